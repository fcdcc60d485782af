"""What the log says of a table that is no longer followed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgekit.audit.images import image
from edgekit.audit.shape import name_sql, read_table

if TYPE_CHECKING:
    import sqlite3

_TRIGGER = re.compile(r'CREATE TRIGGER (?:"((?:[^"]|"")+)"|(\S+))')


def leave(connection: sqlite3.Connection, table: str, txn: int, table_id: int) -> str:
    """Write the statement that logs every row of a table as it is now, as the last that is known of it.

    Without it the values a row had before could not be read later: the log keeps what differs, back from the
    row as it is.
    """
    shape = read_table(connection, table)
    own = name_sql(shape.name)
    return (
        "INSERT INTO main.audit_log(txn_id, table_id, record_key, action, changes)"
        f" SELECT {txn}, {table_id}, {own}.{name_sql(shape.key)}, 'D', {image(shape, own)} FROM main.{own}"
        " ORDER BY 3"
    )


def is_followed(connection: sqlite3.Connection, table: str) -> bool:
    """Tell whether the log goes on for a table: for one of the user's own until it is let go."""
    row = connection.execute(
        "SELECT s.is_active FROM tracked_table t JOIN status s ON s.id = t.status_id WHERE t.name = ?",
        (table,),
    ).fetchone()
    return row is None or bool(row[0])


def trigger_name(statement: str) -> str:
    """Return the name of the trigger that a generated statement makes."""
    found = _TRIGGER.match(statement)
    assert found is not None
    return found[1].replace('""', '"') if found[1] else found[2]
