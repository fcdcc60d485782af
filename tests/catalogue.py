"""What the files in `schema/` say of a table, for tests to ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgekit import schema

if TYPE_CHECKING:
    import sqlite3

CHECK = re.compile(r'CONSTRAINT "([^"]+)" CHECK \((.*)\)(?:,?$|,?\s+--| CONSTRAINT| DEFAULT)', re.MULTILINE)


def _tables() -> dict[str, tuple[str, int]]:
    """Return SQL and file number of every table, in the order they are made."""
    found = {}
    for file, script in schema.schema_scripts():
        for statement in schema.split_statements(script):
            if match := re.search(r"^CREATE TABLE (\w+) (.*)", statement, re.MULTILINE | re.DOTALL):
                found[match[1]] = (statement[match.start() :], int(file[:2]))
    return found


TABLES = _tables()


OURS = [name for name in TABLES if not name.startswith("audit_")]


ORDER = list(TABLES)


def columns(catalogue: sqlite3.Connection, table: str) -> dict[str, tuple[str, int, str | None]]:
    found = catalogue.execute('SELECT name, type, "notnull", dflt_value FROM pragma_table_info(?)', (table,))
    return {name: (kind, required, default) for name, kind, required, default in found}


def references(catalogue: sqlite3.Connection, table: str) -> dict[str, tuple[str, str]]:
    found = catalogue.execute('SELECT "from", "table", on_delete FROM pragma_foreign_key_list(?)', (table,))
    return {column: (parent, rule) for column, parent, rule in found}


def unique_sets(catalogue: sqlite3.Connection, table: str) -> set[frozenset[str]]:
    found = set()
    for index, is_unique in catalogue.execute(
        'SELECT name, "unique" FROM pragma_index_list(?)', (table,)
    ).fetchall():
        if is_unique:
            parts = catalogue.execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
            found.add(frozenset(name for (name,) in parts))
    return found


def checks(table: str) -> dict[str, str]:
    return dict(CHECK.findall(TABLES[table][0]))


def whole_indexes(catalogue: sqlite3.Connection, table: str) -> set[str]:
    """Return the columns that an index over all rows of the table begins with."""
    found = catalogue.execute("SELECT name FROM pragma_index_list(?) WHERE NOT partial", (table,)).fetchall()
    first = [
        catalogue.execute("SELECT name FROM pragma_index_info(?) WHERE seqno = 0", (name,)).fetchone()[0]
        for (name,) in found
    ]
    return {column for column in first if column}


def holds(catalogue: sqlite3.Connection, table: str, wanted: str, unique: tuple[str, ...] = ()) -> None:
    """Assert columns written as `name` (NOT NULL), `name?` (nullable) or either with `>table` (reference)."""
    found, foreign = columns(catalogue, table), references(catalogue, table)
    for word in wanted.split():
        column, _, parent = word.partition(">")
        name = column.rstrip("?")
        assert name in found, f"{table}.{name} is missing"
        assert bool(found[name][1]) != column.endswith("?"), f"{table}.{name}"
        if parent:
            assert foreign[name][0] == parent, f"{table}.{name}"
    if unique:
        assert frozenset(unique) in unique_sets(catalogue, table), f"{table}{unique}"
