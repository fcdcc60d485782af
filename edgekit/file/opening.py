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
    if clock_at is not None:
        from edgekit.licensing import clock

        clock.keep(connection, path)
    if (last or 0) - (sealed or 0) >= DUE:
        from edgekit.file import sealing

        if getattr(connection, "confinement", None) is None:
            sealing.seal_if_free(connection, path)
        else:  # who seals has to see all of the log
            with closing(sqlite.connect(path)) as whole:
                sealing.seal_if_free(whole, path)
