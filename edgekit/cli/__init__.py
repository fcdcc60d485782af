"""The command line: `edgekit [--db FILE] [--actor NAME] WORD VERB`.

A command parses, calls one function, shows the result once. Nothing of weight is imported before a command
runs: see the table in `root`. Errors end in `group.Root`, and nowhere else.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    import gc

    try:
        # What is imported now stays. To look for garbage in it meanwhile, and once more at the end, would be
        # a sixth of the time of a short command.
        gc.disable()
        from edgekit.cli import stopping
        from edgekit.cli.root import edgekit

        gc.freeze()
        gc.enable()
        stopping.listen()
        _prepare_streams()
        edgekit(prog_name="edgekit")
    except KeyboardInterrupt:  # before the first command, or behind the last
        sys.stderr.write("Stopped.\n")
        sys.exit(130)


def _prepare_streams() -> None:
    """Let no character of a record stop the output; on Windows, write UTF-8 instead of the code page."""
    encoding = "utf-8" if sys.platform == "win32" else None
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Half a surrogate is written \\udc80, which in a JSON document is what it should be.
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
