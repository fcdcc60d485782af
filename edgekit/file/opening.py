"""Open a file for this process, and look after its log while it is open."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from edgekit import db, sqlite

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

DUE = 1000
"""How many unsealed entries make a new seal due; `edgekit.audit.seals` is not imported just to ask."""


def open(path: str | Path, *, actor: str | None = None) -> db.Database:  # noqa: A001 - the word every user expects
    """Open a file for this process, binding the models to it.

    `actor` is a `user.username`; without it the login of the operating system is used if such a user exists,
    else the system user, with the login noted in each change. When it is closed, and once a minute while it
    is written to, the log is sealed where a thousand entries wait, and a file with a licence notes once an
    hour how late it is. Raise NotFoundError (no such file or
    user), CorruptError (not one of ours), MigrationNeededError (another schema), ConflictError (another is
    open).
    """
    opened = db.open(path, actor=actor)
    opened.keeper = _keep
    return opened


def _keep(connection: sqlite3.Connection, path: Path) -> None:
    last, sealed, clock_at = connection.execute(
        "SELECT (SELECT max(seq) FROM main.audit_log),"
        " (SELECT last_seq FROM audit_seal ORDER BY id DESC LIMIT 1), (SELECT clock_at FROM system)"
    ).fetchone()
    is_due = (last or 0) - (sealed or 0) >= DUE
    if clock_at is None and not is_due:
        return
    if getattr(connection, "confinement", None) is not None:
        # Who keeps the clock and the seals has to see all of the file.
        with closing(sqlite.connect(path)) as whole:
            _keep_all(whole, path, ticks=clock_at is not None, is_due=is_due)
    else:
        _keep_all(connection, path, ticks=clock_at is not None, is_due=is_due)


def _keep_all(connection: sqlite3.Connection, path: Path, *, ticks: bool, is_due: bool) -> None:
    if ticks:
        from edgekit.licensing import clock

        clock.keep(connection, path)
    if is_due:
        from edgekit.file import sealing

        sealing.seal_if_free(connection, path)
