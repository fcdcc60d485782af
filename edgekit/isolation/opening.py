"""Plain connections that see what a user may, for what reads a file without opening it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import sqlite
from edgekit.errors import EdgekitError
from edgekit.isolation.session import read_session, resolve_actor

if TYPE_CHECKING:
    import os


def connect(path: str | os.PathLike[str], *, actor: str | None = None) -> sqlite3.Connection:
    """Return a connection for reading, as `sqlite.connect` does, that shows what a user may see.

    Raise also NotFoundError (no such user), DeniedError (one who is retired), MigrationNeededError.
    """
    connection = sqlite.connect(Path(path), read_only=True)
    try:
        sqlite.check_version(connection, Path(path))
        session = read_session(connection, resolve_actor(connection, actor)[0])
        if not session.sees_all:
            from edgekit.isolation.confined import confine

            confine(connection, session)
    except BaseException:
        connection.close()
        raise
    return connection


def require_file(path: str | os.PathLike[str], right: str, doing: str, *, actor: str | None = None) -> None:
    """Raise DeniedError unless a user may do what concerns the whole file, whatever its schema.

    A file that is missing or damaged has nobody to ask: whoever works on it next says what is wrong.
    """
    try:
        connection = sqlite.connect(Path(path), read_only=True)
    except EdgekitError:
        return
    with closing(connection):
        try:
            session = read_session(connection, resolve_actor(connection, actor)[0])
        except sqlite3.Error:
            return
    session.require_file(right, doing)
