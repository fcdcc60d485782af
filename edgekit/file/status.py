"""What is in a file and what happened last, at a glance: read without Peewee, because it is asked often."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from edgekit import __version__, schema
from edgekit.schema import quote_name

TABLES = (
    "insured", "policy", "vehicle", "driver", "policy_vehicle", "policy_driver", "quote", "claim", "producer",
    "program", "entity", "user",
)  # fmt: skip
"""Ours that are counted; a user's own tracked tables come after them."""


@dataclass(frozen=True, slots=True)
class Status:
    """A file at a glance. `tables` counts rows, `last_change` is {"at", "actor", "reason"} or None."""

    path: str
    organization: str
    environment: str
    site: str
    schema: int
    edgekit: str
    bytes: int
    tables: dict[str, int]
    audit_rows: int
    dead_letters: int
    last_backup_at: str | None
    """Of the backups the file knows of; None also for who does not see the whole file."""
    last_change: dict[str, Any] | None
    integrations: list[dict[str, Any]]


def status(path: str | os.PathLike[str], *, actor: str | None = None) -> Status:
    """Read a file at a glance, in one of several organizations what `actor` may see of it.

    Raise NotFoundError, CorruptError (not ours), MigrationNeededError or DeniedError (a retired actor).
    """
    with closing(_connect(os.fspath(path), actor)) as connection:
        one = connection.execute(
            "SELECT s.uuid, e.code,"
            " (SELECT name FROM organization ORDER BY id = ? DESC, id LIMIT 1),"
            " (SELECT count(*) FROM audit_log),"
            " (SELECT count(*) FROM dead_letter WHERE replay_status = 'pending'),"
            " (SELECT max(made_at) FROM backup WHERE pruned_at IS NULL)"
            " FROM system s JOIN environment e ON e.id = s.environment_id",
            (_own_organization(connection),),
        ).fetchone()
        site, environment, organization, audit_rows, dead_letters, backup = one or ("", "", "", 0, 0, None)
        return Status(
            path=os.fspath(path),
            organization=organization,
            environment=environment.lower(),
            site=site,
            schema=schema.VERSION,
            edgekit=__version__,
            bytes=_pages(connection),
            tables=_counts(connection),
            audit_rows=audit_rows,
            dead_letters=dead_letters,
            last_backup_at=backup,
            last_change=_last_change(connection),
            integrations=_integrations(connection),
        )


def _connect(path: str, actor: str | None) -> sqlite3.Connection:
    """Connect as the actor may see the file. In a file of one organization, nobody named sees all."""
    connection = _connect_to_all(path)
    (several,) = connection.execute("SELECT count(*) > 1 FROM organization").fetchone()
    if actor is None and not several:
        return connection
    connection.close()
    from edgekit.isolation.opening import connect

    return connect(path, actor=actor)


def _sees_all(connection: sqlite3.Connection) -> bool:
    return getattr(connection, "confinement", None) is None


def _own_organization(connection: sqlite3.Connection) -> int:
    confinement = getattr(connection, "confinement", None)
    return 1 if confinement is None else int(confinement.session.organization_id)


def _connect_to_all(path: str) -> sqlite3.Connection:
    """Open a sound file of ours the short way; anything else goes the long way, which says what it is."""
    if os.path.isfile(path):  # noqa: PTH113 - pathlib costs a tenth of the whole command
        try:
            connection = sqlite3.connect(path, timeout=10, isolation_level=None)
            connection.execute("PRAGMA query_only = 1")
            found = (
                connection.execute("PRAGMA application_id").fetchone(),
                connection.execute("PRAGMA user_version").fetchone(),
            )
        except sqlite3.Error:
            found = None
        if found == ((schema.APPLICATION_ID,), (schema.VERSION,)):
            return connection
    from pathlib import Path

    from edgekit import sqlite

    connection = sqlite.connect(path, read_only=True)
    try:
        sqlite.check_version(connection, Path(path))
    except BaseException:
        connection.close()
        raise
    return connection


def _pages(connection: sqlite3.Connection) -> int:
    """Count the bytes of the file by SQLite: the file itself must not be opened beside it."""
    pages, size = connection.execute(
        "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
    ).fetchone()
    return int(pages * size)


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    own = [name for (name,) in connection.execute("SELECT name FROM tracked_table ORDER BY name")]
    return {
        name: connection.execute(f"SELECT count(*) FROM {quote_name(name)}").fetchone()[0]
        for name in (*TABLES, *own)
    }


def _last_change(connection: sqlite3.Connection) -> dict[str, Any] | None:
    # Who does not see all sees a change by one of its entries.
    newest = "audit_transaction ORDER BY id" if _sees_all(connection) else "audit_entry ORDER BY seq"
    row = connection.execute(f"SELECT performed_at, actor, reason FROM {newest} DESC LIMIT 1").fetchone()
    return None if row is None else dict(zip(("at", "actor", "reason"), row, strict=True))


def _integrations(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT i.integration_name, e.execution_status, e.started_at, e.records_read, e.records_written,"
        " e.records_failed"
        " FROM integration i LEFT JOIN integration_execution e"
        "   ON e.id = (SELECT max(x.id) FROM integration_execution x WHERE x.integration_id = i.id)"
        " WHERE i.status_id = 1 ORDER BY i.integration_name"
    )
    names = ("name", "last_status", "last_run_at", "records_read", "records_written", "dead_letters")
    return [dict(zip(names, row, strict=True)) for row in rows]
