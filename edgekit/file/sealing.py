"""Look after the log of a file: seal it with the site's key, archive it by year, prune what is old."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import clock, rules, sqlite
from edgekit.audit import archives, pruning, seals
from edgekit.audit.log import utc_text
from edgekit.audit.pruning import before_years
from edgekit.errors import EdgekitError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edgekit.audit.archives import Archived
    from edgekit.audit.pruning import Pruned
    from edgekit.audit.seals import Seal, Sealed


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


def accept(path: str | Path, reason: str, *, actor: str | None = None, now: datetime | None = None) -> Seal:
    """Take the rows of a file as they are from now on, whatever its log says: see `edgekit.audit.accept`."""
    path = Path(path)
    with closing(sqlite.connect(path)) as connection, translated(connection):
        sqlite.check_version(connection, path)
        who = sqlite.SYSTEM_USER if actor is None else _known(connection, actor)
        sqlite.clear_gate(connection)
        return seals.accept(connection, reason, actor=who, signer=_signer(connection, path), now=now)


def renew(path: Path) -> None:
    """Seal the rows of tables anew whose columns have changed, after a migration."""
    with closing(sqlite.connect(path)) as connection, translated(connection):
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit_seal'").fetchone():
            seals.renew(connection, signer=_signer(connection, path))


def archive(
    path: str | Path, *, before: datetime | str | None = None, folder: str | Path | None = None,
    now: datetime | None = None,
) -> list[Archived]:  # fmt: skip
    """Copy what was logged before a time, as a rule before this month, into the archives of its years.

    They lie beside the file or in `folder`. Raise InvalidError for a time that is none.
    """
    path = Path(path)
    until = utc_text(before) if before is not None else f"{now or clock.now():%Y-%m}-01T00:00:00.000Z"
    with closing(sqlite.connect(path)) as connection, translated(connection):
        sqlite.check_version(connection, path)
        return archives.archive(connection, path, until, Path(folder) if folder is not None else None)


def prune(
    path: str | Path, *, before: datetime | str | None = None, keep_years: int | None = None,
    folder: str | Path | None = None, actor: str | None = None, now: datetime | None = None,
    dry_run: bool = False,
) -> Pruned:  # fmt: skip
    """Archive what was logged before a time, then take it out of the log; the archives hold it from then on.

    `keep_years` keeps this calendar year and so many before it; without either, `system.log_retention_years`
    says how many. A dry run does neither. Raise InvalidError where nothing says how much to keep, or for a
    time to come, NotFoundError for an actor who is no user, CorruptError where the log is not what was
    sealed.
    """
    path = Path(path)
    if before is not None and keep_years is not None:
        raise InvalidError("Say before when, or how many years to keep, not both.")
    with closing(sqlite.connect(path)) as connection, translated(connection):
        sqlite.check_version(connection, path)
        if before is None and keep_years is None:
            (keep_years,) = connection.execute("SELECT log_retention_years FROM system").fetchone()
        if before is None and keep_years is None:
            raise InvalidError(
                "Nothing says how much of the log to keep.",
                hint="Say --keep-years N or --before TIME, or set system.log_retention_years.",
            )
        until = utc_text(before) if before is not None else before_years(keep_years or 0, now)
        who = sqlite.SYSTEM_USER if actor is None else _known(connection, actor)
        signer = _signer(connection, path)
        logged = pruning.last_logged(connection)
        if not dry_run:
            sqlite.clear_gate(connection)
            archives.archive(connection, path, until, Path(folder) if folder is not None else None)
        return pruning.prune(
            connection, until, actor=who, signer=signer, logged=logged, now=now, dry_run=dry_run
        )


def _known(connection: sqlite3.Connection, actor: str) -> str:
    row = connection.execute("SELECT username FROM user WHERE username = ?", (actor,)).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no user {actor!r} in this file.", hint="Leave --actor out, or add the user first."
        )
    return str(row[0])


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
