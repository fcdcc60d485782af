"""The states a row has been in: what versions, their comparison and their return are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.audit.log import read_changes
from edgekit.audit.shape import name_sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_LATER = """
SELECT l.seq, l.record_key, l.action, CAST(l.changes AS BLOB), x.actor, x.reason, x.performed_at
FROM audit_log l
LEFT JOIN audit_transaction x ON x.id = l.txn_id
WHERE l.action <> 'I' AND l.table_id = (SELECT id FROM audit_table WHERE name = ?)
"""


@dataclass(frozen=True, slots=True)
class State:
    """A row from one change on: `seq` is 0 and the reason unknown where it was made.

    `actor` is None for an edit by another tool.
    """

    seq: int
    row: dict[str, Any]
    at: str
    actor: str | None
    reason: str | None


def states(
    connection: sqlite3.Connection,
    table: str,
    record: int,
    *,
    columns: frozenset[str],
    row: dict[str, Any] | None = None,
) -> Iterator[State]:
    """Walk backwards through the states of a row that differ in any of these columns.

    It begins with `row`, else with the row as it is. Only what the index of the log holds is read: who made
    the row is taken from the row itself.
    """
    if row is None:
        cursor = connection.execute(f"SELECT * FROM {name_sql(table)} WHERE id = ?", (record,))
        row = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))
    later = connection.execute(f"{_LATER} AND l.record_key = ? ORDER BY l.seq DESC", (table, record))
    for seq, _, action, text, actor, reason, at in later.fetchall():
        if action == "U":
            changes = read_changes(text)
            if changes.keys() & columns:
                yield State(seq, row, at, actor, reason)
            row = {**row, **{column: pair[0] for column, pair in changes.items()}}
    maker = connection.execute("SELECT username FROM user WHERE id = ?", (row["created_by"],)).fetchone()
    yield State(0, row, row["created_at"], maker and maker[0], None)


def deleted(connection: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """Give the rows of a table that were deleted, as they were at the end, the first to go first."""
    gone = connection.execute(f"{_LATER} AND l.action = 'D' ORDER BY l.seq", (table,))
    for _, key, _, text, *_ in gone.fetchall():
        yield {"id": key, **read_changes(text)}
