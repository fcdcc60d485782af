"""Reading the log back: entries, blame, and rows as they were."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edgekit import audit
from edgekit.errors import CorruptError, InvalidError, NotFoundError

SCHEMA = Path(__file__).resolve().parent.parent / "schema"
TABLES = """
CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT) STRICT;
CREATE TABLE driver (
  id INTEGER PRIMARY KEY, name TEXT UNIQUE, points INTEGER, score REAL, photo BLOB, key_ciphertext TEXT,
  updated_at TEXT
) STRICT;
CREATE TABLE vehicle (id INTEGER PRIMARY KEY, vin TEXT) STRICT;
"""


@pytest.fixture
def file(tmp_path):
    connection = sqlite3.connect(tmp_path / "file.db", isolation_level=None)
    connection.executescript((SCHEMA / "00_core.sql").read_text(encoding="utf-8") + TABLES)
    for number, table in enumerate(("driver", "vehicle"), 1):
        connection.execute("INSERT INTO audit_table VALUES (?, ?)", (number, table))
        for sql in audit.table_triggers(connection, table, number):
            connection.execute(sql)
    yield connection
    connection.close()


def write(connection, minute, sql, *values, actor="maria", reason=None):
    """One change of ours at a given minute of noon."""
    connection.execute("BEGIN IMMEDIATE")
    number = connection.execute(
        "INSERT INTO audit_transaction(open_gate, actor, correlation_id, reason, performed_at)"
        " VALUES (1, ?, ?, ?, ?)",
        (actor, f"c{minute}", reason, at(minute)),
    ).lastrowid
    connection.execute(sql, values)
    connection.execute("UPDATE audit_transaction SET open_gate = NULL WHERE id = ?", (number,))
    connection.execute("COMMIT")


def at(minute):
    return f"2026-01-31T12:{minute:02d}:00.000Z"


@pytest.fixture
def told(file):
    """A driver who is written, edited, replaced by another and written again."""
    write(
        file, 1, "INSERT INTO driver(name, points, updated_at) VALUES ('Ann', 3, 't1'), ('Bob', NULL, 't1')"
    )
    write(
        file, 2, "UPDATE driver SET points = 5, updated_at = 't2' WHERE id = 1", actor="john", reason="court"
    )
    write(
        file,
        3,
        "UPDATE driver SET name = 'Anne', score = 0.1, photo = x'00ff', updated_at = 't3' WHERE id = 1",
    )
    write(file, 4, "DELETE FROM driver WHERE id = 2", actor="john")
    write(file, 5, "INSERT INTO driver(id, name) VALUES (2, 'Bea')")
    return file


def test_entries_come_newest_first_with_who_why_and_when(told):
    newest, *_, second, first = audit.entries(told)
    assert [e.seq for e in audit.entries(told)] == [6, 5, 4, 3, 2, 1]
    assert (newest.action, newest.table_name, newest.record_key, newest.actor) == ("I", "driver", 2, "maria")
    assert newest.new_values["name"] == "Bea"
    assert newest.old_values is None
    assert first.new_values == {
        "id": 1, "name": "Ann", "points": 3, "score": None, "photo": None, "key_ciphertext": None,
        "updated_at": "t1",
    }  # fmt: skip
    assert second.new_values["name"] == "Bob"  # from its deletion
    court = audit.entries(told, actor="john")[-1]
    assert (court.reason, court.correlation_id, court.performed_at) == ("court", "c2", at(2))
    assert court.changes == {"points": [3, 5], "updated_at": ["t1", "t2"]}
    assert court.old_values == {"points": 3, "updated_at": "t1"}
    assert court.new_values == {"points": 5, "updated_at": "t2"}
    assert audit.entries(told, inserted_values=False)[0].new_values is None


def test_entries_can_be_narrowed(told):
    write(told, 6, "INSERT INTO vehicle(vin) VALUES ('V')")
    assert [e.seq for e in audit.entries(told, table="DRIVER", record="2")] == [6, 5, 2]
    assert [e.seq for e in audit.entries(told, table="vehicle")] == [7]
    assert [e.seq for e in audit.entries(told, since=at(4))] == [7, 6, 5]
    assert [e.seq for e in audit.entries(told, since=datetime(2026, 1, 31, 12, 4, 0, 1, tzinfo=UTC))] == [
        7,
        6,
        5,
    ]
    assert [e.seq for e in audit.entries(told, since=at(40))] == []
    assert [e.seq for e in audit.entries(told, limit=2)] == [7, 6]
    assert len(audit.entries(told, limit=None)) == 7


def test_an_edit_by_another_tool_is_there_without_an_actor(told):
    told.execute("UPDATE driver SET points = 6 WHERE id = 1")
    entry = audit.entries(told, limit=1)[0]
    assert (entry.actor, entry.reason) == (None, "direct")
    assert entry.performed_at > "2026"


def test_blame_names_the_last_to_set_each_column(told):
    told.execute("UPDATE driver SET key_ciphertext = 'sealed', updated_at = 't9' WHERE id = 1")
    lines = {line.column: line for line in audit.blame(told, "driver", 1)}
    assert list(lines) == ["id", "name", "points", "score", "photo", "key_ciphertext", "updated_at"]
    assert lines["points"] == audit.Blame("points", 5, "john", at(2), 3, "court")
    assert (lines["name"].actor, lines["name"].performed_at, lines["name"].value) == ("maria", at(3), "Anne")
    assert (lines["id"].actor, lines["id"].performed_at, lines["id"].seq) == ("maria", at(1), 1)
    assert (lines["key_ciphertext"].value, lines["key_ciphertext"].reason) == (None, "direct")
    assert {line.seq for line in audit.blame(told, "driver", 2)} == {6}  # of its second life only


def test_blame_of_a_row_older_than_the_log_names_nobody(told):
    triggers = told.execute("SELECT name, sql FROM sqlite_schema WHERE name GLOB 'driver_*'").fetchall()
    for name, _ in triggers:
        told.execute(f"DROP TRIGGER {name}")
    told.execute("INSERT INTO driver(id, name) VALUES (9, 'Old')")
    for _, sql in triggers:
        told.execute(sql)
    assert audit.blame(told, "driver", 9)[1] == audit.Blame("name", "Old", None, None, None, None)


def test_blame_of_a_deleted_row_says_so(told):
    write(told, 6, "DELETE FROM driver WHERE id = 2")
    with pytest.raises(NotFoundError, match="driver 2 is deleted"):
        audit.blame(told, "driver", 2)


def names(rows):
    return [(row["id"], row["name"], row["points"]) for row in rows]


def test_as_of_rebuilds_every_moment(told):
    assert audit.as_of(told, at(0), "driver") == []
    assert names(audit.as_of(told, at(1), "driver")) == [(1, "Ann", 3), (2, "Bob", None)]
    assert names(audit.as_of(told, "2026-01-31T13:02:59.999+01:00", "driver")) == [
        (1, "Ann", 5),
        (2, "Bob", None),
    ]
    assert audit.as_of(told, at(3), "driver", 1) == [
        {
            "id": 1,
            "name": "Anne",
            "points": 5,
            "score": 0.1,
            "photo": b"\0\xff",
            "key_ciphertext": None,
            "updated_at": "t3",
        }
    ]
    assert names(audit.as_of(told, at(4), "driver")) == [(1, "Anne", 5)]
    assert names(audit.as_of(told, datetime(2026, 1, 31, 12, 30, tzinfo=UTC), "driver")) == [
        (1, "Anne", 5),
        (2, "Bea", None),
    ]
    assert audit.as_of(told, at(4), "driver", 2) == []
    assert names(audit.as_of(told, at(3), "driver", 2)) == [(2, "Bob", None)]


def test_secrets_are_none_wherever_a_row_is_rebuilt(file):
    write(file, 1, "INSERT INTO driver(name, key_ciphertext) VALUES ('Ann', 'sealed')")
    assert audit.as_of(file, at(1), "driver")[0]["key_ciphertext"] is None
    write(file, 2, "UPDATE driver SET key_ciphertext = 'other', updated_at = 't2'")
    write(file, 3, "DELETE FROM driver")
    assert audit.as_of(file, at(1), "driver")[0]["key_ciphertext"] is None
    assert "sealed" not in str(audit.entries(file))


def test_as_of_follows_the_order_of_changes_when_the_clock_is_set_back(told):
    write(told, 2, "UPDATE driver SET points = 9, updated_at = 't6' WHERE id = 1")
    assert names(audit.as_of(told, at(4), "driver", 1)) == [(1, "Anne", 9)]
    assert names(audit.as_of(told, at(1), "driver", 1)) == [(1, "Ann", 3)]


def test_as_of_of_rows_changed_past_the_triggers_is_an_error_that_names_them(told):
    told.execute("DROP TRIGGER driver_audit_delete")
    told.execute("DELETE FROM driver WHERE id = 1")
    with pytest.raises(CorruptError, match="driver 1 does not fit entry 4"):
        audit.as_of(told, at(1), "driver")


def test_as_of_leaves_an_open_transaction_alone(told):
    told.execute("BEGIN")
    audit.as_of(told, at(1), "driver")
    assert told.in_transaction
    told.execute("ROLLBACK")


def test_wrong_names_times_and_ids_are_told_with_what_is_right(told):
    with pytest.raises(NotFoundError, match="no audited table 'drivers'") as caught:
        audit.as_of(told, at(1), "drivers")
    assert "driver" in caught.value.hint
    for call in (lambda: audit.as_of(told, at(1), "driver", 77), lambda: audit.blame(told, "driver", 77)):
        with pytest.raises(NotFoundError, match="no driver 77") as caught:
            call()
        assert "1, 2" in caught.value.hint
    for moment in ("yesterday", "2026-02-30", "2026-01-31T12:00:00", datetime(2026, 1, 31)):  # noqa: DTZ001
        with pytest.raises(InvalidError, match="no time with its zone") as caught:
            audit.as_of(told, moment, "driver")
        assert "2026-01-31T09:05:00Z" in caught.value.hint
    with pytest.raises(InvalidError, match="'x' is no id"):
        audit.entries(told, table="driver", record="x")
    with pytest.raises(InvalidError, match="its table and its id"):
        audit.entries(told, record=1)


def test_the_view_shows_what_the_tool_of_a_person_needs(told):
    told.execute("UPDATE driver SET score = 9e999 WHERE id = 1")
    view = told.execute(
        "SELECT action, table_name, old_values, new_values, actor, reason FROM audit_entry ORDER BY seq"
    ).fetchall()
    assert view[2] == (
        "U",
        "driver",
        '{"points":3,"updated_at":"t1"}',
        '{"points":5,"updated_at":"t2"}',
        "john",
        "court",
    )
    assert view[0][:4] == ("I", "driver", None, None)
    assert view[4][2].startswith('{"name":"Bob"')
    assert view[4][3] is None
    assert '"score":9e999' in view[6][3]


def test_importing_audit_costs_nothing_before_it_is_used():
    code = "import sys, edgekit.audit; print('edgekit.audit.log' in sys.modules, 'sqlite3' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


def test_a_day_alone_is_its_beginning_in_utc(told: Any) -> None:
    assert (
        audit.as_of(told, "1999-01-01", "driver") == audit.as_of(told, "1999-01-01T00:00:00Z", "driver") == []
    )
    assert (
        audit.as_of(told, "2999-01-01", "driver") == audit.as_of(told, "2999-01-01T00:00:00Z", "driver") != []
    )
