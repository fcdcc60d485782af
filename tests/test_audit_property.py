"""The log against the whole schema: undone from the live rows, it gives every earlier state exactly.

Statements of every kind, on every table, by tools that leave pragmas off and by changes of ours in turn.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_audit_triggers import typed
from test_violations import ROWS, put, sample

from edgekit import audit, schema
from edgekit.audit import log
from edgekit.audit.guards import NEVER_DELETED
from edgekit.audit.shape import Table, all_references, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG_AGO = "2020-01-01T00:00:00.000Z"
KINDS = (
    "insert", "insert again", "ignore", "replace", "replace by key", "upsert", "update", "update or replace",
    "update or ignore", "update many", "same", "null", "case", "delete", "delete many",
)  # fmt: skip


@cache
def tables() -> tuple[str, ...]:
    return tuple(audit.audited_tables(schema.pristine()))


@cache
def shapes() -> dict[str, Table]:
    catalogue = schema.pristine()
    references = all_references(catalogue)
    return {name: read_table(catalogue, name, references=references) for name in tables()}


def opened(pattern: Path) -> sqlite3.Connection:
    """Copy a fresh file into memory, as a tool would open it."""
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1000)
    with closing(sqlite3.connect(pattern)) as source:
        source.backup(connection)
    return connection


Rows = dict[int, dict[str, Any]]


class States:
    """Every state a file was in, by the last entry of its log. What looks the same is not read again."""

    fresh: ClassVar[dict[str, tuple[list[Any], Rows]]] = {}
    """What a fresh file holds, which is the same for each: compared, and not made again."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.known = dict(self.fresh)
        self.found: dict[int, dict[str, Rows]] = {}
        self.note()
        self.fresh.update(self.known)

    def note(self) -> None:
        now = {}
        for name, shape in shapes().items():
            raw = self.connection.execute(f'SELECT * FROM "{name}"').fetchall()
            if name not in self.known or self.known[name][0] != raw:
                self.known[name] = raw, exact(log._live(self.connection, shape, None))
            now[name] = self.known[name][1]
        self.found[last_entry(self.connection)] = now

    def assert_undone(self) -> None:
        """Undo the log from its end and compare every state noted on the way."""
        rows = {name: log._live(self.connection, shape, None) for name, shape in shapes().items()}
        now = {name: exact(of) for name, of in rows.items()}
        texts = dict(self.connection.execute("SELECT seq, CAST(changes AS BLOB) FROM audit_log"))
        compared, most = 0, max(self.found) - min(self.found) + 1
        for entry in audit.entries(self.connection, limit=most, inserted_values=False):
            if entry.seq in self.found:
                assert now == self.found[entry.seq], entry.seq
                compared += 1
            if entry.seq <= min(self.found):
                break
            assert isinstance(entry.record_key, int)
            name, key = entry.table_name, entry.record_key
            log._undo(rows[name], shapes()[name], entry.seq, key, entry.action, texts[entry.seq])
            now[name] = exact(rows[name])
        assert compared == len(self.found)


def exact(rows: Rows) -> Rows:
    return {key: {column: typed(value) for column, value in row.items()} for key, row in rows.items()}


def last_entry(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT ifnull(max(seq), 0) FROM audit_log").fetchone()[0])


class Writer:
    """Statements about rows that are there, or made of a sound row. `number` chooses all that is open."""

    def __init__(self, connection: sqlite3.Connection, table: str, number: int) -> None:
        self.connection, self.table = connection, table
        self.random = random.Random(number)
        self.names = [shapes()[table].key, *(c.name for c in shapes()[table].columns)]

    def key(self) -> int:
        keys = [row[0] for row in self.connection.execute(f'SELECT id FROM "{self.table}"')]
        return int(self.random.choice(keys)) if keys else 1

    def run(self, kind: str) -> None:
        own = f'"{self.table}"'
        listed = ", ".join(f'"{name}"' for name in self.names)
        rest = ", ".join(f'"{name}"' for name in self.names[1:])
        column = f'"{self.random.choice(self.names[1:])}"'
        verb = kind.upper() if kind.startswith("update or") else "UPDATE"
        other = f"(SELECT {column} FROM {own} ORDER BY id * {self.random.randrange(1, 97)} % 97 LIMIT 1)"
        sql = {
            "insert again": f"INSERT INTO {own}({rest}) SELECT {rest} FROM {own} WHERE id = ?",
            "ignore": f"INSERT OR IGNORE INTO {own}({listed}) SELECT {listed} FROM {own} WHERE id = ?",
            "replace": f"INSERT OR REPLACE INTO {own}({listed}) SELECT {listed} FROM {own} WHERE id = ?",
            "replace by key": f"REPLACE INTO {own}({rest}) SELECT {rest} FROM {own} WHERE id = ?",
            "upsert": f"INSERT INTO {own}({listed}) SELECT {listed} FROM {own} WHERE id = ?"
            f" ON CONFLICT(id) DO UPDATE SET {column} = {other}",
            "same": f"UPDATE {own} SET {column} = {column}",
            "null": f"UPDATE {own} SET {column} = NULL WHERE id = ?",
            "case": f"UPDATE {own} SET {column} = upper({column}) WHERE id = ?",
            "update many": f"UPDATE {own} SET {column} = {other}",
            "delete": f"DELETE FROM {own} WHERE id = ?",
            "delete many": f"DELETE FROM {own}",
        }.get(kind, f"{verb} {own} SET {column} = {other} WHERE id = ?")
        if kind == "insert" and self.table in ROWS:  # of `system` there is one row
            put(self.connection, self.table, **sample(self.connection, self.table))
        else:
            self.connection.execute(sql, (self.key(),) if "?" in sql else ())


def step(
    connection: sqlite3.Connection, table: str, kind: str, who: tuple[bool, bool, bool], number: int
) -> None:
    """Let somebody run one statement; what a rule refuses leaves nothing behind."""
    ours, keys, recursive = who
    connection.execute(f"PRAGMA foreign_keys = {ours or keys}")
    connection.execute(f"PRAGMA recursive_triggers = {ours or recursive}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if ours:
            connection.execute("INSERT INTO audit_transaction(open_gate, actor) VALUES (1, 'maria')")
        Writer(connection, table, number).run(kind)
        connection.execute("UPDATE audit_transaction SET open_gate = NULL WHERE open_gate = 1")
        connection.execute("COMMIT")
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK")


def steps_on(chosen: list[str]) -> st.SearchStrategy[list[Any]]:
    who = st.tuples(st.booleans(), st.booleans(), st.booleans())
    one = st.tuples(st.sampled_from(chosen), st.sampled_from(KINDS), who, st.integers(0, 2**16))
    return st.lists(one, min_size=1, max_size=25)


# Few tables at a time, so that what is done to one row meets what was done to it before.
STEPS = st.lists(st.sampled_from(tables()), min_size=1, max_size=4).flatmap(steps_on)


def replay(pattern: Path, steps: list[Any]) -> None:
    with closing(opened(pattern)) as connection:
        states = States(connection)
        for table, kind, who, number in steps:
            step(connection, table, kind, who, number)
            states.note()
            broken = connection.execute("PRAGMA foreign_key_check").fetchall()
            assert not broken, (table, kind, who, broken)
            assert not connection.execute("SELECT * FROM audit_replaced").fetchall()
        states.assert_undone()


CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@settings(max_examples=15, deadline=None, suppress_health_check=CHECKS)
@given(steps=STEPS)
def test_undoing_the_log_gives_every_earlier_state(pattern_file: Path, steps: list[Any]) -> None:
    replay(pattern_file, steps)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=600, deadline=None, suppress_health_check=CHECKS)
@given(steps=STEPS)
def test_undoing_a_long_log_gives_every_earlier_state(pattern_file: Path, steps: list[Any]) -> None:
    replay(pattern_file, steps)


EACH = (
    "insert", "same", "null", "update", "case", "upsert", "replace", "replace by key", "insert",
    "delete many",
)  # fmt: skip


@pytest.mark.parametrize("table", [t for t in tables() if t != "system"])
def test_every_table_keeps_a_log_that_can_be_undone(pattern_file: Path, table: str) -> None:
    with closing(opened(pattern_file)) as connection:
        states = States(connection)
        put(connection, table, **sample(connection, table))
        states.note()
        for number, kind in enumerate(EACH):
            step(connection, table, kind, (number % 3 == 0, False, False), number)
            states.note()
        assert len(states.found) > 1
        assert not connection.execute("PRAGMA foreign_key_check").fetchall()
        states.assert_undone()


@pytest.fixture(scope="module")
def shared(pattern_file: Path) -> Iterator[sqlite3.Connection]:
    """One file for all tables: each test makes rows of its own and takes none away."""
    with closing(opened(pattern_file)) as connection:
        yield connection


@pytest.mark.ledger("S0-14")
@pytest.mark.parametrize("table", [t for t in tables() if shapes()[t].has_touch and t != "system"])
def test_updated_at_is_refreshed_and_created_at_never_changes(shared: sqlite3.Connection, table: str) -> None:
    own, times = f'"{table}"', {"created_at": LONG_AGO, "updated_at": LONG_AGO}
    key = put(shared, table, **sample(shared, table), **times)
    shared.execute(f"UPDATE {own} SET updated_by = ifnull(updated_by, 0) + 1 WHERE id = {key}")
    sql = f"SELECT created_at, updated_at > created_at FROM {own} WHERE id = {key}"
    assert shared.execute(sql).fetchone() == (LONG_AGO, 1)
    with pytest.raises(sqlite3.IntegrityError, match=rf"EK\|{table}\|created_at\|immutable"):
        shared.execute(f"UPDATE {own} SET created_at = '2021-01-01T00:00:00.000Z' WHERE id = {key}")


def test_a_table_never_deleted_from_is_named_so() -> None:
    assert set(NEVER_DELETED) <= set(tables())
