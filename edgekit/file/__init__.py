"""The file as a whole: create, verify, migrate, back up, restore, look after it.

Everything here takes paths and plain connections; no file needs to be open. The live file is never read with
`open()`: closing such a handle would drop SQLite's locks and lose commits.
"""
