"""Typed references: a type names the table, an id the row, and neither goes away under the pair."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from edgekit import audit, schema
from edgekit.audit.guards import NEVER_DELETED
from edgekit.audit.typed import typed_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = """
CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT) STRICT;
CREATE TABLE ship (id INTEGER PRIMARY KEY, name TEXT UNIQUE) STRICT;
CREATE TABLE port (id INTEGER PRIMARY KEY, name TEXT UNIQUE) STRICT;
CREATE TABLE place_type (id INTEGER PRIMARY KEY, code TEXT UNIQUE, table_name TEXT
  CONSTRAINT "place_type.table_name.choice" CHECK (table_name IN ('ship', 'port', 'visit'))) STRICT;
CREATE TABLE visit (id INTEGER PRIMARY KEY, code TEXT UNIQUE,
  place_type_id INTEGER NOT NULL DEFAULT 1 REFERENCES place_type(id), place_id INTEGER,
  next_type_id INTEGER REFERENCES place_type(id), next_id INTEGER) STRICT;
"""
ROWS = """
INSERT INTO ship(id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO port(id, name) VALUES (1, 'p'), (7, 'q');
INSERT INTO place_type(id, code, table_name)
  VALUES (1, 'SHIP', 'ship'), (2, 'PORT', 'port'), (3, 'SEA', NULL), (4, 'VISIT', 'visit'),
  (5, 'SPARE', 'port');
INSERT INTO visit(id, code, place_type_id, place_id, next_type_id, next_id)
  VALUES (1, 'x', 1, 2, 2, 7), (2, 'y', 3, NULL, NULL, NULL), (3, 'z', 4, 1, NULL, NULL),
  (4, 'w', 4, 4, NULL, NULL);
"""
WAYS = ["a tool", "a tool with foreign keys", "a tool with both", "a change of ours"]


def made() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(dict(schema.schema_scripts())["00_core.sql"] + TABLES)
    connection.executescript(audit.schema_sql(connection) + ROWS)
    return connection


@pytest.fixture(params=WAYS)
def sea(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    connection = made()
    connection.execute(f"PRAGMA foreign_keys = {request.param != WAYS[0]}")
    connection.execute(f"PRAGMA recursive_triggers = {request.param in WAYS[2:]}")
    connection.execute("BEGIN")
    if request.param == WAYS[3]:
        connection.execute("INSERT INTO audit_transaction(open_gate) VALUES (1)")
    yield connection
    connection.close()


PLACE, NEXT = ("visit", "place_id", "reference"), ("visit", "next_id", "reference")
USED = ("ship", "id", "referenced")
TYPE = ("place_type", "table_name", "referenced")


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("INSERT INTO visit(place_type_id, place_id) VALUES (1, 7)", PLACE),  # a port has this id
        ("INSERT OR IGNORE INTO visit(place_type_id, place_id) VALUES (1, 7)", PLACE),
        ("INSERT INTO visit(place_type_id, place_id) VALUES (1, NULL)", PLACE),
        ("INSERT INTO visit(place_type_id, place_id) VALUES (3, 1)", PLACE),
        (
            "REPLACE INTO visit(code, place_type_id, place_id) VALUES ('v', NULL, 7)",
            PLACE,
        ),  # the default is 1
        ("INSERT INTO visit(place_id, next_type_id, next_id) VALUES (1, 2, 3)", NEXT),
        ("UPDATE visit SET place_id = 99 WHERE id = 1", PLACE),
        ("UPDATE OR IGNORE visit SET place_id = 99 WHERE id = 1", PLACE),
        ("UPDATE visit SET place_type_id = 2 WHERE id = 1", PLACE),
        ("UPDATE visit SET place_id = NULL WHERE id = 1", PLACE),
        ("UPDATE visit SET place_id = 1 WHERE id = 2", PLACE),
        ("UPDATE visit SET next_id = 2 WHERE id = 1", NEXT),
        ("INSERT INTO visit(id, place_id) VALUES (1, 1) ON CONFLICT DO UPDATE SET place_id = 9", PLACE),
        ("DELETE FROM ship WHERE id = 2", USED),
        ("DELETE FROM ship", USED),
        ("REPLACE INTO ship(name) VALUES ('b')", USED),
        ("UPDATE OR REPLACE ship SET name = 'b' WHERE id = 1", USED),
        ("DELETE FROM port WHERE id = 7", ("port", "id", "referenced")),
        ("DELETE FROM visit WHERE id = 1", ("visit", "id", "referenced")),
        ("UPDATE place_type SET table_name = 'port' WHERE id = 1", TYPE),
        ("UPDATE place_type SET table_name = NULL WHERE id = 2", TYPE),
        ("REPLACE INTO place_type(id, code, table_name) VALUES (1, 'SHIP', 'port')", TYPE),
        ("REPLACE INTO place_type(id, code, table_name) VALUES (3, 'SEA', 'port')", TYPE),
    ],
)
def test_what_would_leave_a_pair_without_its_row_is_refused(
    sea: sqlite3.Connection, sql: str, refusal: tuple[str, str, str]
) -> None:
    with pytest.raises(sqlite3.IntegrityError) as caught:
        sea.execute(sql)
    assert tuple(str(caught.value).split("|")[1:4]) == refusal


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO visit(place_type_id, place_id, next_type_id, next_id) VALUES (1, 3, 2, 1)",
        "INSERT INTO visit(place_type_id) VALUES (3)",
        "INSERT INTO visit(id, place_type_id, place_id) VALUES (9, 4, 9)",
        "UPDATE visit SET place_type_id = 2, place_id = 7, next_type_id = NULL, next_id = NULL WHERE id = 1",
        "INSERT INTO visit(code, place_id) VALUES ('x', 99) ON CONFLICT(code) DO UPDATE SET place_id = 1",
        "UPDATE visit SET code = 'k'  WHERE id = 1",
        "DELETE FROM ship WHERE id IN (1, 3)",
        "DELETE FROM visit WHERE id = 4",
        "DELETE FROM port WHERE id = 1",
        "UPDATE place_type SET table_name = 'ship' WHERE id = 5",
        "UPDATE place_type SET table_name = table_name, code = 'K' WHERE id = 1",
    ],
)
def test_what_leaves_every_pair_its_row_is_taken(sea: sqlite3.Connection, sql: str) -> None:
    sea.execute(sql)


def test_a_row_may_be_replaced_by_one_of_its_id() -> None:
    connection = made()
    connection.execute("REPLACE INTO ship(id, name) VALUES (2, 'B')")
    assert connection.execute("SELECT name FROM ship WHERE id = 2").fetchone() == ("B",)
    connection.close()


def test_every_pair_of_the_schema_is_held() -> None:
    catalogue = schema.pristine()
    names = {name for (name,) in catalogue.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
    pairs = typed_pairs(catalogue)
    assert {"scope_type", "entity_reference_type", "business_context_type"} <= {p.types for p in pairs}
    for pair in pairs:
        assert pair.targets
        assert {f"{pair.table}_typed_insert", f"{pair.table}_typed_update"} <= names
        assert {f"{pair.types}_type_inserted", f"{pair.types}_type_updated"} <= names
        assert {f"{t}_typed_delete" for t in pair.targets if t not in NEVER_DELETED} <= names


def test_who_refers_to_a_row_is_found_by_index() -> None:
    catalogue = schema.pristine()
    triggers = catalogue.execute(
        "SELECT name, sql FROM sqlite_schema WHERE name GLOB '*_typed_delete'"
    ).fetchall()
    for name, sql in triggers:
        asked = sql[sql.index("WHERE EXISTS") : sql.rindex(";")].replace("OLD.id", "?1")
        plan = [row[3] for row in catalogue.execute(f"EXPLAIN QUERY PLAN SELECT 1 {asked}", (1,))]
        assert {step.split(" USING")[0] for step in plan if " p" in step} == {"SEARCH p"}, (name, plan)
    assert len(triggers) > 8
