"""Seal the log of a file with the site's key: on demand, when a file is left, and before a backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import rules, sqlite
from edgekit.audit import seals
from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edgekit.audit.seals import Sealed


def seal(path: str | Path, *, now: datetime | None = None) -> Sealed:
    """Seal every entry of the log that is not sealed yet, signed where the vault has a key and is open.

    Raise NotFoundError, CorruptError (not a file of ours), MigrationNeededError (another schema), BusyError.
    """
    path = Path(path)
    with closing(sqlite.connect(path)) as connection, translated(connection):
        sqlite.check_version(connection, path)
        return seals.seal(connection, signer=_signer(connection, path), now=now)


def seal_if_free(connection: sqlite3.Connection, path: Path) -> Sealed | None:
    """Seal on an open connection; do nothing where another writes, or the file cannot be written.

    What is not sealed now is sealed the next time: no work of anybody may fail for it.
    """
    if connection.in_transaction:
        return None
    (waits,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        return seals.seal(connection, signer=_signer(connection, path))
    except (sqlite3.Error, EdgekitError):
        return None
    finally:
        connection.execute(f"PRAGMA busy_timeout = {waits}")


def _signer(connection: sqlite3.Connection, path: Path) -> seals.Signer | None:
    from edgekit.vault import signing  # only where something is sealed: it brings Peewee along

    return signing.signer(connection, path)


@contextmanager
def translated(connection: sqlite3.Connection) -> Iterator[None]:
    """Turn errors of the driver into ours."""
    try:
        yield
    except sqlite3.Error as error:
        ours = rules.translate(error, connection)
        if ours is None:
            raise
        raise ours from error
