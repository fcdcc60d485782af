"""Create a file: schema and reference rows in one transaction, under its final name only when whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import schema, seeds, sqlite
from edgekit.errors import CorruptError, InvalidError, NotFoundError
from edgekit.file import places, placing

if TYPE_CHECKING:
    from edgekit.licensing.statement import Statement

# SQLite reads `sqlite_sequence` from its start on every insert into an AUTOINCREMENT table (measured: +5 us
# behind a hundred others), so the tables that grow fastest come first.
_BUSIEST = (
    "vehicle", "driver", "insured", "policy", "policy_vehicle", "policy_driver", "dead_letter",
    "integration_log", "integration_event", "integration_execution", "job", "event_delivery",
    "communication", "communication_business_context",
)  # fmt: skip


def create(
    path: str | Path, *, organization: str = "My agency", environment: str = "development",
    vendor_key: str | bytes | None = None,
) -> Path:  # fmt: skip
    """Create a file with its schema, reference rows, the system user and one organization (id 1).

    `vendor_key` is the text of the public key licence files will be checked with; LicenseFileError if not.
    It is built in a folder of its own beside its place and put there whole: a crash leaves nothing half-made.
    Raise ConflictError if the name is taken, NotFoundError if the folder does not exist, InvalidError where a
    write-ahead log cannot work (a network folder).
    """
    path = Path(path)
    vendor = None
    if vendor_key is not None:
        from edgekit.licensing import trusting

        vendor = trusting.read_key(vendor_key)
    placing.require_free(path)
    if not path.parent.is_dir():
        raise NotFoundError(f"There is no folder {path.parent}.", hint="Create the folder first.")
    if reason := places.unsafe(path):
        raise InvalidError(
            reason, hint="Put the file on a local disk and copy backups to the network folder."
        )
    with placing.workspace(path.parent) as folder:
        building = folder / path.name
        _build(building, organization, environment, vendor)
        placing.publish(building, path)
    return path


def _build(path: Path, organization: str, environment: str, vendor: Statement | None) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        sqlite.set_pragmas(connection)
        with closing(schema.pristine()) as whole:
            whole.backup(connection)
        # The first rows refer to each other (a user makes a status, and has one): checked at the end.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO sqlite_sequence(name, seq) VALUES (?, 0)", [(name,) for name in _BUSIEST]
        )
        opened = sqlite.open_gate(connection, sqlite.SYSTEM_USER, reason="create")
        seeds.apply_core(connection, organization=organization, environment=environment)
        if vendor is not None:
            from edgekit.licensing import trusting

            trusting.add(connection, vendor, created_by=1)
        sqlite.close_gate(connection, opened)
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken:
            raise CorruptError(f"The reference rows are inconsistent: {broken}.")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
