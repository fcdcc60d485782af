"""A REPLACE by a tool without any pragma is a DELETE and an INSERT, and nothing else is taken for one."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import audit, schema
from edgekit.audit.guards import NEVER_DELETED
from edgekit.audit.shape import read_table
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = """
CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT) STRICT;
CREATE TABLE box (id INTEGER PRIMARY KEY, label TEXT UNIQUE COLLATE NOCASE, number INTEGER UNIQUE,
  state TEXT NOT NULL DEFAULT 'open', inside_id INTEGER REFERENCES box(id) ON DELETE SET NULL) STRICT;
CREATE TABLE item (id INTEGER PRIMARY KEY, box_id INTEGER REFERENCES box(id)) STRICT;
CREATE TRIGGER box_sealed_bi BEFORE INSERT ON box BEGIN
  SELECT RAISE(ABORT, 'EK|box|state|final|A sealed box stays sealed.') FROM box
    WHERE (id = NEW.id OR label = NEW.label) AND state = 'sealed';
END;
"""


@pytest.fixture(params=[False, True], ids=["recursive off", "recursive on"])
def tool(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """A file whose triggers are made as the schema's are: those written by hand once more at the end."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    core = dict(schema.schema_scripts())["00_core.sql"]
    connection.executescript(core + TABLES)
    connection.executescript(audit.schema_sql(connection))
    connection.execute(f"PRAGMA recursive_triggers = {request.param}")
    connection.execute("INSERT INTO box(label, number) VALUES ('a', 1), ('b', 2), ('c', 3)")
    connection.execute("INSERT INTO item(box_id) VALUES (3)")
    yield connection
    connection.close()


def log(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT action, table_name, record_key FROM audit_entry WHERE seq > 4 ORDER BY seq"
    )
    return [f"{action} {table} {key}" for action, table, key in rows]


def boxes(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute("SELECT id, label, number FROM box ORDER BY id").fetchall()


@pytest.mark.parametrize(
    ("sql", "rows", "entries"),
    [
        (
            "INSERT OR REPLACE INTO box(label, number) VALUES ('A', 2)",
            [(3, "c", 3), (4, "A", 2)],
            ["D box 1", "D box 2", "I box 4"],
        ),
        (
            "UPDATE OR REPLACE box SET number = 2 WHERE id = 1",
            [(1, "a", 2), (3, "c", 3)],
            ["D box 2", "U box 1"],
        ),
        ("INSERT OR IGNORE INTO box(label) VALUES ('a')", [(1, "a", 1), (2, "b", 2), (3, "c", 3)], []),
        ("UPDATE OR IGNORE box SET number = 2", [(1, "a", 1), (2, "b", 2), (3, "c", 3)], []),
        (
            "INSERT INTO box(label, number) VALUES ('a', 9) ON CONFLICT(label) DO UPDATE SET number = 9",
            [(1, "a", 9), (2, "b", 2), (3, "c", 3)],
            ["U box 1"],
        ),
        (
            "INSERT INTO box(id, label) VALUES (1, 'z') ON CONFLICT DO NOTHING",
            [(1, "a", 1), (2, "b", 2), (3, "c", 3)],
            [],
        ),
        (
            "REPLACE INTO box(id, label) VALUES (3, 'c')",
            [(1, "a", 1), (2, "b", 2), (3, "c", None)],
            ["D box 3", "I box 3"],
        ),
        (
            "REPLACE INTO box(id, label) VALUES (1, 'z')",
            [(1, "z", None), (2, "b", 2), (3, "c", 3)],
            ["D box 1", "I box 1"],
        ),
    ],
)
def test_a_replace_is_a_delete_and_nothing_else_is(
    tool: sqlite3.Connection, sql: str, rows: list[Any], entries: list[str]
) -> None:
    tool.execute(sql)
    assert boxes(tool) == rows
    assert log(tool) == entries
    assert not tool.execute("SELECT * FROM audit_replaced").fetchall()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("INSERT INTO box(label) VALUES ('a')", "UNIQUE constraint failed: box.label"),
        ("INSERT OR ABORT INTO box(label) VALUES ('a')", "another_row_has_this_key"),
        ("UPDATE OR FAIL box SET number = 2 WHERE id = 1", "another_row_has_this_key"),
        (
            "INSERT INTO box(label) VALUES ('a') ON CONFLICT DO UPDATE SET number = 2",
            "another_row_has_this_key",
        ),
        ("REPLACE INTO box(label) VALUES ('c')", r"EK\|box\|id\|referenced\|Rows of item refer to this row."),
        ("UPDATE OR REPLACE box SET number = 3 WHERE id = 1", r"EK\|box\|id\|referenced\|"),
        ("INSERT INTO box(id, label) VALUES (-1, 'z')", r"EK\|\*\|id\|range\|"),
    ],
)
def test_what_fails_leaves_rows_and_log_alone(tool: sqlite3.Connection, sql: str, words: str) -> None:
    before = boxes(tool)
    with pytest.raises(sqlite3.IntegrityError, match=words):
        tool.execute(sql)
    assert boxes(tool) == before
    assert log(tool) == []


@pytest.mark.parametrize(
    "sql", ["REPLACE INTO box(id, label) VALUES (2, 'z')", "REPLACE INTO box(label) VALUES ('b')"]
)
def test_a_rule_written_by_hand_sees_a_row_before_it_is_replaced(tool: sqlite3.Connection, sql: str) -> None:
    tool.execute("UPDATE box SET state = 'sealed' WHERE id = 2")
    with pytest.raises(sqlite3.IntegrityError, match="A sealed box stays sealed"):
        tool.execute(sql)


def test_an_update_nested_in_the_deletion_deletes_nothing_again(tool: sqlite3.Connection) -> None:
    tool.execute("UPDATE box SET inside_id = 2 WHERE id IN (1, 2)")
    seen = len(log(tool))
    tool.execute("UPDATE OR REPLACE box SET number = 2 WHERE id = 1")
    assert tool.execute("SELECT id, number, inside_id FROM box").fetchall() == [(1, 2, None), (3, 3, None)]
    found = log(tool)[seen:]
    assert found.count("D box 2") == 1
    assert found[-1] == "U box 1"


def test_the_generated_file_makes_those_written_by_hand_the_youngest() -> None:
    catalogue = schema.pristine()
    rows = catalogue.execute(
        "SELECT rowid, name, tbl_name FROM sqlite_schema WHERE type = 'trigger'"
    ).fetchall()
    number = {name: rowid for rowid, name, _ in rows}
    checked = 0
    for rowid, name, table in rows:
        if re.search(r"_b[iu]$", name) and f"{table}_audit_update" in number:
            assert rowid > number[f"{table}_direct_insert"], name
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("sql", ["DELETE FROM {0} WHERE id = 2", "REPLACE INTO {0}({1}) VALUES ({2})"])
@pytest.mark.parametrize("table", ["status", "user"])
def test_users_and_states_are_never_deleted(
    shell: sqlite3.Connection, edge: Any, table: str, sql: str
) -> None:
    del edge
    names, values = {"status": ("id, code, name", "2, 'X', 'x'"), "user": ("id, username", "2, 'x'")}[table]
    shell.execute("INSERT INTO user(id, username) VALUES (2, 'two'), (3, 'three')")
    with pytest.raises(sqlite3.IntegrityError, match=rf"EK\|{table}\|id\|protected"):
        shell.execute(sql.format(table, names, values))
    key = names.split(", ")[1]
    with pytest.raises(sqlite3.IntegrityError, match=rf"EK\|{table}\|id\|protected"):
        shell.execute(
            f"UPDATE OR REPLACE {table} SET {key} = (SELECT {key} FROM {table} WHERE id = 2) WHERE id = 3"
        )


@pytest.mark.parametrize("table", NEVER_DELETED)
def test_a_table_never_deleted_from_refuses_it_by_a_rule_of_its_own(
    bare_shell: sqlite3.Connection, shell: sqlite3.Connection, table: str
) -> None:
    for connection, sql in (
        (bare_shell, f"DELETE FROM {table}"),
        (shell, f"REPLACE INTO {table} SELECT * FROM {table} WHERE id = 1"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=rf"EK\|{table}\|id\|protected"):
            connection.execute(sql)


def test_a_key_that_replaces_by_itself_cannot_be_audited() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'x')"
    )
    connection.execute("CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT UNIQUE ON CONFLICT /* */ REPLACE)")
    assert read_table(connection, "t").name == "t"
    with pytest.raises(InvalidError, match="ON CONFLICT REPLACE"):
        read_table(connection, "u")
    connection.close()


def test_what_the_guards_look_up_is_found_by_index() -> None:
    """A tool's single write does not read whole tables to find what it would replace, or who refers to it."""
    catalogue = schema.pristine()
    replaced = references = 0
    for name, sql in catalogue.execute(
        "SELECT name, sql FROM sqlite_schema WHERE name GLOB '*_direct_*'"
    ).fetchall():
        text = re.sub(r"\b(NEW|OLD)\.(\w+|\"[^\"]+\")", "?1", sql)
        for search in re.findall(r"INTO audit_replaced SELECT .*?(FROM .*?);", text, re.DOTALL):
            plan = [row[3] for row in catalogue.execute(f"EXPLAIN QUERY PLAN SELECT 1 {search}", (None,))]
            assert not [step for step in plan if step.startswith("SCAN") and "CONSTANT" not in step], (
                name,
                plan,
            )
            replaced += 1
        for search in re.findall(r"\?1 (?:NOT )?IN \(SELECT \w+ FROM \w+\)", text):
            codes = [row[1] for row in catalogue.execute(f"EXPLAIN SELECT 1 WHERE {search}", (None,))]
            assert "OpenEphemeral" not in codes, (name, search)
            references += 1
    assert replaced > 80
    assert references > 80
