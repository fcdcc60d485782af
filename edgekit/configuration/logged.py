"""What the log knows of stored documents: their states so far, and those that are deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit.log import read_changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.configuration.kinds import Kind
    from edgekit.scope import Link

_LATER = """
SELECT l.seq, l.record_key, l.action, CAST(l.changes AS BLOB), x.actor, x.reason, x.performed_at
FROM audit_log l
LEFT JOIN audit_transaction x ON x.id = l.txn_id
WHERE l.action <> 'I' AND l.table_id = (SELECT id FROM audit_table WHERE name = 'configuration')
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One state of a stored document, as the log has it."""

    seq: int
    row: dict[str, Any]
    at: str
    actor: str | None
    reason: str | None


def states(record: int, row: dict[str, Any] | None = None) -> Iterator[Step]:
    """Walk a document's states backwards from the row as it is, or as it was deleted."""
    connection = db.connection()
    if row is None:
        cursor = connection.execute("SELECT * FROM configuration WHERE id = ?", (record,))
        row = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))
    later = connection.execute(f"{_LATER} AND l.record_key = ? ORDER BY l.seq DESC", (record,)).fetchall()
    for seq, _, action, text, actor, reason, at in later:
        if action == "U":
            changes = read_changes(text)
            if changes.keys() & {"config_data", "version", "status_id"}:
                yield Step(seq, row, at, actor, reason)
            row = {**row, **{column: pair[0] for column, pair in changes.items()}}
    maker = connection.execute("SELECT username FROM user WHERE id = ?", (row["created_by"],)).fetchone()
    yield Step(0, row, row["created_at"], maker and maker[0], None)


def deleted(kind: Kind, link: Link) -> list[dict[str, Any]]:
    """Return the documents of a link that are deleted, as they were at the end."""
    found = []
    gone = f"{_LATER} AND l.action = 'D' ORDER BY l.seq"
    for _, key, _, text, *_ in db.connection().execute(gone):
        row = {"id": key, **read_changes(text)}
        same = (row["configuration_type_id"], row["scope_type_id"], row["scope_id"])
        owners = {link.organization_id} if link.scope_id is None else {link.organization_id, None}
        if same == (kind.id, link.scope_type_id, link.scope_id) and row["organization_id"] in owners:
            found.append(row)
    return found
