"""The generated SQL that holds references whose target table is named by a row: typed references.

A pair `p_type_id`, `p_id` refers to a row of the table that the type's own `table_name` names; SQLite has no
foreign key for that. The triggers here never step aside, since no pragma stands in for them. They judge a
row after it is written: an upsert that becomes an update fires BEFORE INSERT too, and OR REPLACE puts in
defaults.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from edgekit.audit.guards import NEVER_DELETED, refuse, stays_away_from
from edgekit.audit.shape import name_sql, ordinary_tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

_CHOICE = re.compile(r'"(\w+)\.table_name\.choice" CHECK \(table_name IN \(([^)]*)\)')


class Pair(NamedTuple):
    """Two columns of `table` that refer together; `types` is the table of their types."""

    table: str
    type_column: str
    column: str
    types: str
    targets: tuple[str, ...]


def typed_pairs(connection: sqlite3.Connection) -> list[Pair]:
    """Find every pair: `p_type_id` refers to a table that has a `table_name`, `p_id` has no foreign key."""
    tables = ordinary_tables(connection)
    targets = _targets(connection, tables)
    found = []
    for table in tables:
        rows = connection.execute(
            'SELECT "from", "table" FROM pragma_foreign_key_list(?)', (table,)
        ).fetchall()
        parents: dict[str, str] = dict(rows)
        columns = [row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        for type_column in columns:
            column = type_column.removesuffix("_type_id") + "_id"
            types = parents.get(type_column, "")
            is_pair = type_column.endswith("_type_id") and column in columns and column not in parents
            if is_pair and types in targets:
                found.append(Pair(table, type_column, column, types, targets[types]))
    return found


def _targets(connection: sqlite3.Connection, tables: list[str]) -> dict[str, tuple[str, ...]]:
    """Read which tables each table of types may name."""
    found = {}
    for (sql,) in connection.execute("SELECT sql FROM main.sqlite_schema WHERE type = 'table'"):
        if match := _CHOICE.search(sql or ""):
            names = re.findall(r"'(\w+)'", match[2])
            found[match[1]] = tuple(name for name in names if name in tables)
    return found


def typed_triggers(connection: sqlite3.Connection, ids: Mapping[str, int]) -> list[str]:
    """Generate the triggers of all pairs of a fresh file. `ids` are the numbers the log has for tables."""
    pairs = typed_pairs(connection)
    owners = dict.fromkeys(p.table for p in pairs)
    types = dict.fromkeys(p.types for p in pairs)
    targets = dict.fromkeys(t for p in pairs for t in p.targets)
    return [
        *(sql for owner in owners for sql in _of_owner(owner, [p for p in pairs if p.table == owner])),
        *(sql for kind in types for sql in _of_types(kind, [p for p in pairs if p.types == kind])),
        *(
            _of_target(target, [p for p in pairs if target in p.targets], ids.get(target))
            for target in targets
            if target not in NEVER_DELETED
        ),
    ]


def _of_owner(owner: str, pairs: Iterable[Pair]) -> list[str]:
    inserted, updated, columns = "", "", []
    for pair in pairs:
        kind, key = name_sql(pair.type_column), name_sql(pair.column)
        columns += [kind, key]
        sentence = (
            f"{pair.column} must be the id of a row in the table its type names, and empty if it names none."
        )
        cases = "".join(
            f"\n      WHEN '{target}' THEN NEW.{key} IN (SELECT id FROM {name_sql(target)})"
            for target in pair.targets
        )
        step = f"""
  SELECT {refuse(owner, pair.column, "reference", sentence)} WHERE NEW.{kind} NOT NULL
    AND CASE (SELECT table_name FROM {name_sql(pair.types)} WHERE id = NEW.{kind}){cases}
      ELSE NEW.{key} IS NULL END IS NOT 1"""
        inserted += f"{step};"
        updated += f"{step}\n    AND (NEW.{kind}, NEW.{key}) IS NOT (OLD.{kind}, OLD.{key});"
    event = f"AFTER UPDATE OF {', '.join(columns)}"
    return [
        _trigger(owner, "typed_insert", "AFTER INSERT", inserted),
        _trigger(owner, "typed_update", event, updated),
    ]


def _of_types(types: str, pairs: list[Pair]) -> list[str]:
    """Keep what a type in use means. Its deletion a foreign key refuses, but not a REPLACE by the same id."""
    used = " OR ".join(
        f"NEW.id IN (SELECT {name_sql(p.type_column)} FROM {name_sql(p.table)})" for p in pairs
    )
    sentence = f"Rows of {_listed(pairs)} have this type: the table it names stays."
    step = f"\n  SELECT {refuse(types, 'table_name', 'referenced', sentence)} WHERE {used};"
    changed = "NEW.table_name IS NOT OLD.table_name"
    return [
        _trigger(types, "type_inserted", "AFTER INSERT", step),
        _trigger(types, "type_updated", "AFTER UPDATE OF table_name", step, changed),
    ]


def _of_target(target: str, pairs: list[Pair], table_id: int | None) -> str:
    terms = []
    for pair in pairs:
        itself = " AND p.id IS NOT OLD.id" if pair.table == target else ""
        # The types come first: they are few, and IN would gather them anew for each row that goes.
        terms.append(
            f"EXISTS (SELECT 1 FROM {name_sql(pair.types)} t CROSS JOIN {name_sql(pair.table)} p"
            f" ON p.{name_sql(pair.type_column)} = t.id AND p.{name_sql(pair.column)} = OLD.id{itself}"
            f" WHERE t.table_name = '{target}')"
        )
    sentence = f"Rows of {_listed(pairs)} refer to this row."
    step = f"\n  SELECT {refuse(target, 'id', 'referenced', sentence)} WHERE " + "\n    OR ".join(terms) + ";"
    when = "" if table_id is None else stays_away_from("id", table_id)
    return _trigger(target, "typed_delete", "BEFORE DELETE", step, when)


def _listed(pairs: Iterable[Pair]) -> str:
    names = list(dict.fromkeys(p.table for p in pairs))
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _trigger(table: str, suffix: str, event: str, body: str, when: str = "") -> str:
    condition = f" WHEN {when}" if when else ""
    own = name_sql(table)
    return f"CREATE TRIGGER {name_sql(f'{table}_{suffix}')} {event} ON {own}{condition} BEGIN{body}\nEND"
