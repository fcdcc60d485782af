"""The generated SQL that keeps retired values of reference tables from being given to rows anew.

A value whose own status does not count as active stays with the rows that have it; no row is given it. The
insert is judged after it, because an upsert that becomes an update fires BEFORE INSERT too. A REPLACE makes
a new row, so it cannot keep a retired value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.audit.shape import name_sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from edgekit.audit.shape import Reference

NO_VALUES = {"alert_rule", "dashboard", "event_subscription", "sync_peer"}
"""Tables laid out like a reference table whose rows are set up to work, not to be chosen from."""

EXEMPT = {
    ("feature_usage", "feature_id"),
    ("integration_event", "event_source_id"),
    ("module_payment", "module_id"),
    ("module_submission", "module_id"),  # a module is submitted before it is on the market
}
"""What tells what happened: it did, whatever became of the value."""


def value_tables(connection: sqlite3.Connection) -> set[str]:
    """Name the reference tables: a code that is a key, a name, a description and a status."""
    rows = connection.execute(
        "SELECT m.name FROM sqlite_schema m WHERE m.type = 'table'"
        " AND (SELECT count(*) FROM pragma_table_info(m.name)"
        "   WHERE name IN ('code', 'name', 'description', 'status_id')) = 4"
        ' AND EXISTS (SELECT 1 FROM pragma_index_list(m.name) l WHERE l."unique" AND NOT l.partial'
        "   AND (SELECT group_concat(name) FROM pragma_index_info(l.name)) = 'code')"
    )
    return {name for (name,) in rows} - NO_VALUES


def retired_triggers(table: str, references: Iterable[Reference], values: set[str]) -> list[str]:
    """Generate the two triggers of one table, none if it refers to no reference table."""
    columns = [
        (r.columns[0], r.parent)
        for r in references
        if r.child == table and r.parent in values and (table, r.columns[0]) not in EXEMPT
    ]
    if not columns:
        return []
    given = "\n    ".join(_case(table, column, parent) for column, parent in columns)
    changed = "\n    ".join(
        _case(table, column, parent, f"NEW.{name_sql(column)} IS NOT OLD.{name_sql(column)} AND ")
        for column, parent in columns
    )
    listed = ", ".join(name_sql(column) for column, _ in columns)
    own = name_sql(table)
    inserted = f"CREATE TRIGGER {name_sql(table + '_value_insert')} AFTER INSERT ON {own} BEGIN"
    updated = f"CREATE TRIGGER {name_sql(table + '_value_update')} AFTER UPDATE OF {listed} ON {own} BEGIN"
    return [
        f"{head}\n  SELECT CASE\n    {cases} END;\nEND"
        for head, cases in ((inserted, given), (updated, changed))
    ]


def _case(table: str, column: str, parent: str, condition: str = "") -> str:
    # Most values are in status 1, which is always active: only for others the status is looked up.
    retired = (
        f"EXISTS (SELECT 1 FROM {name_sql(parent)} v WHERE v.id = NEW.{name_sql(column)} AND v.status_id <> 1"
        " AND (SELECT is_active FROM status WHERE id = v.status_id) = 0)"
    )
    sentence = f"This {parent} is retired: rows that have it keep it, no other is given it."
    return f"WHEN {condition}{retired} THEN RAISE(ABORT, 'EK|{table}|{column}|retired|{sentence}')"
