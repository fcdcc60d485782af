"""The write-ahead log, kept small without anybody having to wait for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from edgekit import sqlite
from edgekit.errors import EdgekitError

BIG = 4 * 1024 * 1024
"""A log larger than this is worth emptying: SQLite writes back at a thousand pages but never shortens it."""

HUGE = 64 * 1024 * 1024
"""A log larger than this is emptied even while work is going on."""

_PATIENCE_MS = 100


def log_size(path: Path) -> int:
    """Return the bytes of the write-ahead log of a file."""
    try:
        return Path(f"{path}-wal").stat().st_size
    except OSError:
        return 0


def empty_log(path: Path) -> bool:
    """Write the log back into the file and cut it off, where nobody uses it; return whether that was done.

    What is much is written back while others write; they wait for the last of it alone, a tenth of a second
    at most. A reader of an old state keeps the log as it is, and so does a full disk.
    """
    if not log_size(path):
        return True
    try:
        with closing(sqlite.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except (EdgekitError, sqlite3.OperationalError):
        return False  # it loses nothing, and is tried again
    return not busy
