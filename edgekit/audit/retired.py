"""The generated SQL that keeps retired values of reference tables from being given to rows anew.

A value whose own status does not count as active stays with the rows that have it; no row is given it. The
insert is judged after it, because an upsert that becomes an update fires BEFORE INSERT too. A REPLACE makes
a new row, so it cannot keep a retired value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.audit.guards import first_of, refuse
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


def given_values(table: str, references: Iterable[Reference], values: set[str]) -> str:
    """Write what refuses a new row a retired value; nothing if it refers to no reference table."""
    return first_of(
        [_case(table, r, f"NEW.{name_sql(r.columns[0])}") for r in _to_values(table, references, values)]
    )


def retired_triggers(table: str, references: Iterable[Reference], values: set[str]) -> list[str]:
    """Generate the trigger that keeps a row from being changed to a retired value, if there can be one."""
    found = _to_values(table, references, values)
    if not found:
        return []
    columns = [name_sql(r.columns[0]) for r in found]
    cases = [_case(table, r, f"nullif(NEW.{c}, OLD.{c})") for r, c in zip(found, columns, strict=True)]
    head = f"CREATE TRIGGER {name_sql(table + '_value_update')} AFTER UPDATE OF {', '.join(columns)}"
    return [f"{head} ON {name_sql(table)} BEGIN{first_of(cases)}\nEND"]


def _to_values(table: str, references: Iterable[Reference], values: set[str]) -> list[Reference]:
    return [
        r
        for r in references
        if r.child == table and r.parent in values and (table, r.columns[0]) not in EXEMPT
    ]


def _case(table: str, reference: Reference, value: str) -> str:
    # Most values are in status 1, which is always active: only for others the status is looked up.
    parent, column = reference.parent, reference.columns[0]
    status = f"nullif((SELECT status_id FROM {name_sql(parent)} WHERE id = {value}), 1)"
    sentence = f"This {parent} is retired: rows that have it keep it, no other is given it."
    refusal = refuse(table, column, "retired", sentence)
    return f"WHEN (SELECT is_active FROM status WHERE id = {status}) = 0 THEN {refusal}"
