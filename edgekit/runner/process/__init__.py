"""The runner as a process: one per file, its clock and threads, its start and end, its place as a service."""
