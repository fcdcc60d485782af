"""Plain connections that see what a user may, for what reads a file without opening it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import sqlite
from edgekit.isolation.session import read_session, resolve_actor

if TYPE_CHECKING:
    import os
    import sqlite3


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

    A file that is missing or damaged has nobody to ask: what is to be done says so itself.
    """
    if not Path(path).is_file():
        return
    connection = sqlite.connect(Path(path), read_only=True)
    try:
        read_session(connection, resolve_actor(connection, actor)[0]).require_file(right, doing)
    finally:
        connection.close()
