"""The log and its guards, met with plain sqlite3 connections: ours with every pragma, a tool's with none."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edgekit import audit
from edgekit.audit import log
from edgekit.audit.shape import all_references, read_table
from edgekit.errors import InvalidError, NotFoundError

SCHEMA = Path(__file__).resolve().parent.parent / "schema"
NOW = "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"
TABLES = f"""
CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT) STRICT;
CREATE TABLE agent (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ref TEXT NOT NULL COLLATE NOCASE UNIQUE,
  organization_id INTEGER NOT NULL DEFAULT 1,
  code TEXT,
  label TEXT,
  is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
  score REAL,
  photo BLOB,
  extra ANY,
  number INTEGER,
  "order" TEXT,
  "odd ""name%" TEXT,
  password_hash TEXT,
  shout TEXT GENERATED ALWAYS AS (upper(code) || number) VIRTUAL UNIQUE,
  boss_id INTEGER REFERENCES agent(id),
  created_by INTEGER DEFAULT 1,
  created_at TEXT NOT NULL DEFAULT {NOW},
  updated_at TEXT NOT NULL DEFAULT {NOW},
  UNIQUE (organization_id, code)
) STRICT;
CREATE UNIQUE INDEX agent_default ON agent(is_default) WHERE is_default = 1;
CREATE UNIQUE INDEX agent_label ON agent(COALESCE(number, 0), lower(label) DESC) /* a, b */;
CREATE TABLE note (id INTEGER PRIMARY KEY,
  agent_id INTEGER NOT NULL REFERENCES agent(id) ON DELETE CASCADE, body TEXT) STRICT;
CREATE TABLE bill (id INTEGER PRIMARY KEY,
  agent_id INTEGER REFERENCES agent(id) ON DELETE RESTRICT, cents INTEGER) STRICT;
CREATE TABLE task (number INTEGER PRIMARY KEY,
  agent_id INTEGER REFERENCES agent ON DELETE SET NULL, updated_at TEXT) STRICT;
CREATE TABLE mark (id INTEGER PRIMARY KEY,
  agent_id INTEGER DEFAULT 1 REFERENCES agent(id) ON DELETE SET DEFAULT) STRICT;
CREATE TABLE place (id INTEGER PRIMARY KEY,
  inside_id INTEGER REFERENCES place(id) ON DELETE CASCADE, name TEXT UNIQUE);
CREATE TABLE sign (id INTEGER PRIMARY KEY, place_id INTEGER REFERENCES place(id) ON DELETE CASCADE,
  place_name TEXT REFERENCES place(name) ON UPDATE CASCADE ON DELETE CASCADE);
"""
NAMES = ("agent", "note", "bill", "task", "mark", "place", "sign")


def connect(path, *, ours):
    connection = sqlite3.connect(path, isolation_level=None)
    if ours:
        pragmas(connection, on=True)
    return connection


def pragmas(connection, *, on, recursive=None):
    connection.execute(f"PRAGMA foreign_keys = {on}")
    connection.execute(f"PRAGMA recursive_triggers = {on if recursive is None else recursive}")


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "file.db"
    make(found).close()
    return found


def make(found, tables=TABLES, names=NAMES):
    connection = sqlite3.connect(found, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
    connection.executescript((SCHEMA / "00_core.sql").read_text(encoding="utf-8") + tables)
    for number, name in enumerate(names, 1000):
        connection.execute("INSERT INTO audit_table(id, name) VALUES (?, ?)", (number, name))
        for sql in audit.table_triggers(connection, name, number):
            connection.execute(sql)
    return connection


@pytest.fixture
def own(path):
    with closing_connection(path, ours=True) as connection:
        yield connection


@pytest.fixture
def tool(path):
    with closing_connection(path, ours=False) as connection:
        yield connection


@contextmanager
def closing_connection(path, *, ours):
    connection = connect(path, ours=ours)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def change(connection, actor="maria", reason=None):
    connection.execute("BEGIN IMMEDIATE")
    sql = "INSERT INTO audit_transaction(open_gate, actor, reason) VALUES (1, ?, ?)"
    number = connection.execute(sql, (actor, reason)).lastrowid
    yield number
    connection.execute("UPDATE audit_transaction SET open_gate = NULL WHERE id = ?", (number,))
    connection.execute("COMMIT")


def logged(connection, since=0):
    sql = "SELECT t.name, record_key, action, changes FROM audit_log JOIN audit_table t ON t.id = table_id"
    return connection.execute(sql + " WHERE seq > ? ORDER BY seq", (since,)).fetchall()


def actions(connection, since=0):
    return [f"{action} {name} {key}" for name, key, action, _ in logged(connection, since)]


def last_changes(connection):
    return json.loads(logged(connection)[-1][3])


def refused(connection, sql, values=()):
    with pytest.raises(sqlite3.IntegrityError) as caught:
        connection.execute(sql, values)
    mark, table, column, code, sentence = str(caught.value).split("|")
    assert mark == "EK"
    assert sentence.endswith(".")
    return table, column, code


# The replay: every earlier state is in the log

TEXTS = ["a", "A", "b", "nul\0here", "quo'te\"\\", "é☃", "", '{"a":1}', None]
REALS = [
    0.1,
    1.2345678901234567e-200,
    5e-324,
    -1.7976931348623157e308,
    float("inf"),
    float("-inf"),
    2.5,
    1 / 3,
    100.0,
    None,
]
NUMBERS = [0, 1, 2, 2**63 - 1, -(2**63), None]
EXTRAS = [1, 1.0, "1", b"1", b"", None, float("inf"), 2**62 + 1, "text", 0.1]


def statement(r):
    """One of many kinds of statements, with its values; may fail. Exact: one changed row makes one entry."""
    key, other = r.randrange(1, 9), r.randrange(1, 9)
    ref, text, code = r.choice("abcdABCDef"), r.choice(TEXTS), r.choice(["x", "y", "z", None])
    real, number, extra = r.choice(REALS), r.choice(NUMBERS), r.choice(EXTRAS)
    blob = r.choice([b"\0\1", b"", None, b"long" * 20])
    place = r.choice(["here", "there", "nowhere"])
    kinds = [
        ("INSERT INTO agent(ref, code, label, number) VALUES (?, ?, ?, ?)", (ref, code, text, number)),
        ("INSERT INTO agent(ref, score, photo, extra) VALUES (?, ?, ?, ?)", (ref, real, blob, extra)),
        ("INSERT INTO agent(id, ref, boss_id) VALUES (?, ?, ?)", (key, ref, r.choice([key, other, None]))),
        ("INSERT OR IGNORE INTO agent(id, ref, is_default) VALUES (?, ?, ?)", (key, ref, r.randrange(2))),
        ("INSERT OR REPLACE INTO agent(id, ref, code) VALUES (?, ?, ?)", (key, ref, code)),
        ("INSERT OR REPLACE INTO agent(ref, is_default) VALUES (?, ?)", (ref, r.randrange(2))),
        ("INSERT OR REPLACE INTO agent(ref, organization_id, code) VALUES (?, NULL, ?)", (ref, code)),
        ("REPLACE INTO agent(ref, label, number) VALUES (?, ?, ?)", (ref, text, number)),
        (
            "INSERT INTO agent(ref, code) VALUES (?, ?) ON CONFLICT(ref) DO UPDATE SET code = excluded.code",
            (ref, code),
        ),
        ("INSERT INTO agent(id, ref) VALUES (?, ?) ON CONFLICT DO NOTHING", (key, ref)),
        (
            "INSERT INTO agent(ref) VALUES (?), (?) ON CONFLICT(ref) DO UPDATE SET ref = excluded.ref",
            (ref, ref.upper()),
        ),
        (
            "INSERT INTO agent(ref, extra) SELECT ref || '!', 1 FROM agent WHERE id = ? AND length(ref) < 4",
            (key,),
        ),
        ("UPDATE agent SET score = ?, photo = ?, extra = ? WHERE id = ?", (real, blob, extra, key)),
        ("UPDATE agent SET extra = ?, number = ? WHERE id = ?", (extra, number, key)),
        ('UPDATE agent SET label = ?, "order" = ?, "odd ""name%" = ? WHERE id = ?', (text, text, text, key)),
        ("UPDATE agent SET ref = upper(ref) WHERE id = ?", (key,)),
        ("UPDATE agent SET ref = ref", ()),
        ("UPDATE agent SET ref = ?, code = ? WHERE id = ?", (ref, code, key)),
        ("UPDATE OR REPLACE agent SET ref = ?, is_default = ? WHERE id = ?", (ref, r.randrange(2), key)),
        ("UPDATE OR REPLACE agent SET code = ?, number = ? WHERE id = ?", (code, number, key)),
        ("UPDATE OR REPLACE agent SET number = ? WHERE id = ?", (number, key)),
        ("UPDATE OR IGNORE agent SET ref = ?, is_default = 1 WHERE id = ?", (ref, key)),
        (
            "UPDATE agent SET label = json_set('{}', '$.a', ?), updated_at = '2020' WHERE id = ?",
            (text, key),
        ),
        ("UPDATE agent SET boss_id = ? WHERE id = ?", (other, key)),
        ("UPDATE agent SET boss_id = NULL", ()),
        ("DELETE FROM agent WHERE id = ?", (key,)),
        ("DELETE FROM agent WHERE id IN (?, ?)", (key, other)),
        ("INSERT INTO note(agent_id, body) VALUES (?, ?)", (key, text)),
        ("INSERT INTO bill(agent_id, cents) VALUES (?, ?)", (key, number)),
        ("DELETE FROM bill WHERE agent_id = ?", (key,)),
        ("INSERT OR REPLACE INTO task(number, agent_id) VALUES (?, ?)", (other, key)),
        ("UPDATE task SET agent_id = ?, updated_at = NULL WHERE number = ?", (key, other)),
        ("INSERT INTO mark(agent_id) VALUES (?)", (key,)),
        ("DELETE FROM mark WHERE id = ?", (other,)),
        (
            "INSERT INTO place(id, inside_id, name) VALUES (?, ?, ?)",
            (key, r.choice([key, other, None]), r.choice([place, None])),
        ),
        (
            "INSERT OR REPLACE INTO place(id, inside_id, name) VALUES (?, ?, ?)",
            (key, r.choice([other, None]), place),
        ),
        (
            "UPDATE OR REPLACE place SET name = ?, inside_id = ? WHERE id = ?",
            (place, r.choice([other, None]), key),
        ),
        ("UPDATE place SET name = name || ? WHERE id = ?", (r.choice(["", "!"]), key)),
        ("DELETE FROM place WHERE id = ?", (key,)),
        (
            "INSERT INTO sign(place_id, place_name) VALUES (?, ?)",
            (r.choice([key, None]), r.choice([place, None])),
        ),
        ("DELETE FROM sign WHERE id > ?", (other,)),
    ]
    sql, values = r.choice(kinds)
    exact = "REPLACE" not in sql and "), (" not in sql and "IN (?" not in sql
    return sql, values, exact


def state(connection, shapes):
    return {
        (name, key): {column: typed(value) for column, value in row.items()}
        for name, shape in shapes.items()
        for key, row in log._live(connection, shape, None).items()
    }


def typed(value):
    return type(value).__name__, (value + 0.0 if isinstance(value, float) else value)


def test_log_replays_every_earlier_state(tmp_path):
    path = tmp_path / "fuzz.db"
    for seed in range(2):
        replay(path, seed, steps=700)
        path.unlink()


def replay(path, seed, steps):
    r = random.Random(seed)
    connection = make(path)
    shapes = {name: read_table(connection, name) for name in NAMES}
    states = {}
    before = state(connection, shapes)
    done = 0
    for step in range(steps):
        ours = r.random() < 0.4
        # A tool may set one of the two, or neither; and one of ours never writes outside a change.
        pragmas(connection, on=ours or r.random() < 0.2, recursive=ours or r.random() < 0.2)
        sql, values, exact = statement(r)
        first = connection.execute("SELECT ifnull(max(seq), 0) FROM audit_log").fetchone()[0]
        with suppress(sqlite3.IntegrityError):
            if ours:
                try:
                    with change(connection):
                        connection.execute(sql, values)
                        done += 1
                        if r.random() < 0.1:
                            raise sqlite3.IntegrityError
                except sqlite3.IntegrityError:
                    connection.execute("ROLLBACK")
            else:
                connection.execute(sql, values)
                done += 1
        now = state(connection, shapes)
        last = connection.execute("SELECT ifnull(max(seq), 0) FROM audit_log").fetchone()[0]
        moved = sum(before.get(k) != now.get(k) for k in before.keys() | now.keys())
        assert last - first == moved if exact else last - first >= moved, (
            seed,
            step,
            sql,
            values,
            logged(connection, first),
        )
        assert not connection.execute("PRAGMA foreign_key_check").fetchall(), (seed, step, sql, values)
        states[last] = before = now
    assert done > steps / 3
    assert connection.execute("SELECT count(*) = max(seq) FROM audit_log").fetchone()[0]
    rows = {name: log._live(connection, shapes[name], None) for name in NAMES}
    texts = dict(connection.execute("SELECT seq, CAST(changes AS BLOB) FROM audit_log"))
    for entry in audit.entries(connection, limit=None, inserted_values=False):
        if entry.seq in states:
            found = {
                (n, k): {c: typed(v) for c, v in row.items()} for n in NAMES for k, row in rows[n].items()
            }
            assert found == states[entry.seq], (seed, entry.seq)
        if entry.action == "U":
            new = {c: typed(v) for c, v in entry.new_values.items()}
            assert new == {c: typed(rows[entry.table_name][entry.record_key][c]) for c in new}, (seed, entry)
        step = (entry.seq, entry.record_key, entry.action, texts[entry.seq])
        log._undo(rows[entry.table_name], shapes[entry.table_name], *step)
    assert not any(rows.values())
    connection.close()


# One statement, one entry


def test_every_kind_of_change_leaves_the_entries_it_should(own):
    with change(own):
        own.execute("INSERT INTO agent(ref) VALUES ('a'), ('b')")
        assert actions(own) == ["I agent 1", "I agent 2"]
        own.execute("UPDATE agent SET ref = 'A' WHERE id = 1")  # only the case
        assert last_changes(own)["ref"] == ["a", "A"]
        own.execute("UPDATE agent SET label = 'x' WHERE id = 1")
        assert last_changes(own)["label"] == [None, "x"]
        own.execute("UPDATE agent SET label = NULL WHERE id = 1")
        assert last_changes(own)["label"] == ["x", None]
        seen = len(logged(own))
        own.execute("UPDATE agent SET label = label")
        own.execute("INSERT OR IGNORE INTO agent(ref) VALUES ('a')")
        assert len(logged(own)) == seen
        own.execute("INSERT INTO agent(ref) VALUES ('b') ON CONFLICT(ref) DO UPDATE SET label = 'up'")
        assert actions(own, seen) == ["U agent 2"]
        own.execute("INSERT OR REPLACE INTO agent(id, ref) VALUES (2, 'c')")
        assert actions(own, seen + 1) == ["D agent 2", "I agent 2"]


def test_replace_by_a_tool_leaves_both_entries(tool):
    tool.execute("INSERT INTO agent(ref, label) VALUES ('a', 'first'), ('b', NULL)")
    tool.execute("INSERT OR REPLACE INTO agent(id, ref) VALUES (1, 'b')")
    assert actions(tool, 2) == ["D agent 1", "D agent 2", "I agent 1"]
    assert json.loads(logged(tool)[2][3])["label"] == "first"


def test_replace_through_partial_and_expression_keys_and_defaults_is_logged(tool):
    tool.execute("INSERT INTO agent(ref, is_default, label, code) VALUES ('a', 1, 'Lab', 'k')")
    tool.execute("INSERT OR REPLACE INTO agent(ref, is_default) VALUES ('b', 1)")
    assert actions(tool, 1) == ["D agent 1", "I agent 2"]
    tool.execute("INSERT INTO agent(ref, label) VALUES ('c', 'LAB')")
    tool.execute("UPDATE OR REPLACE agent SET label = 'lab', number = 0 WHERE id = 2")
    assert actions(tool, 4) == ["U agent 2", "D agent 3"] or actions(tool, 4) == ["D agent 3", "U agent 2"]
    tool.execute("INSERT INTO agent(ref, code, number) VALUES ('d', 'q', 5), ('e', 'Q', 6)")
    tool.execute("UPDATE OR REPLACE agent SET number = 5 WHERE ref = 'e'")
    assert "D agent 4" in actions(tool, 6)
    tool.execute("INSERT OR REPLACE INTO agent(ref, organization_id, code) VALUES ('f', NULL, 'Q')")
    assert "D agent 5" in actions(tool, 8)


def test_ignored_statement_of_a_tool_leaves_no_false_deletion(path, tool):
    tool.execute("INSERT INTO agent(ref) VALUES ('a'), ('b')")
    tool.execute("INSERT OR IGNORE INTO agent(ref) VALUES ('a')")
    with closing_connection(path, ours=True) as own, change(own):
        own.execute("DELETE FROM agent WHERE id = 1")
        own.execute("INSERT INTO agent(ref) VALUES ('c')")
        assert actions(own, 2) == ["D agent 1", "I agent 4"] or actions(own, 2) == ["D agent 1", "I agent 3"]


@pytest.mark.parametrize("ours", [True, False])
def test_cascade_and_its_kin_are_logged_for_ours_and_for_tools(path, ours):
    with closing_connection(path, ours=ours) as connection:
        connection.executescript(
            "INSERT INTO agent(ref) VALUES ('keep'), ('go'); INSERT INTO note(agent_id) VALUES (2), (1);"
            "INSERT INTO task(agent_id) VALUES (2); INSERT INTO mark(agent_id) VALUES (2);"
            "INSERT INTO place VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 2, 'c');"
            "INSERT INTO sign(place_id) VALUES (3);"
        )
        seen = len(logged(connection))
        connection.execute("DELETE FROM agent WHERE id = 2")
        assert sorted(actions(connection, seen)) == ["D agent 2", "D note 1", "U mark 1", "U task 1"]
        seen += 4
        connection.execute("DELETE FROM place WHERE id = 1")
        assert sorted(actions(connection, seen)) == ["D place 1", "D place 2", "D place 3", "D sign 1"]
        assert not connection.execute("PRAGMA foreign_key_check").fetchall()


def test_a_changed_key_takes_its_children_along(tool):
    tool.executescript("INSERT INTO place(name) VALUES ('a'); INSERT INTO sign(place_name) VALUES ('a');")
    tool.execute("UPDATE place SET name = 'b'")
    assert tool.execute("SELECT place_name FROM sign").fetchone() == ("b",)
    tool.execute("INSERT OR REPLACE INTO place(id, name) VALUES (1, 'c')")  # ON DELETE CASCADE, by its name
    assert actions(tool)[-3:] == ["D sign 1", "D place 1", "I place 1"]


# The touch


Y2020, Y2030, Y2031 = (f"{year}-01-01T00:00:00.000Z" for year in (2020, 2030, 2031))


@pytest.mark.ledger("S0-14")
@pytest.mark.parametrize("ours", [True, False])
def test_updated_at_is_set_for_who_does_not_and_the_edit_is_one_entry(path, ours):
    with closing_connection(path, ours=ours) as connection:
        connection.execute("INSERT INTO agent(ref, created_at, updated_at) VALUES ('a', ?1, ?1)", (Y2020,))
        connection.execute("UPDATE agent SET label = 'x'")
        assert connection.execute("SELECT created_at, updated_at > '2026' FROM agent").fetchone() == (
            Y2020,
            1,
        )
        (updated_at,) = connection.execute("SELECT updated_at FROM agent").fetchone()
        assert actions(connection) == ["I agent 1", "U agent 1"]
        assert last_changes(connection) == {"label": [None, "x"], "updated_at": [Y2020, updated_at]}
        connection.execute("UPDATE agent SET label = 'y', updated_at = ?", (Y2030,))
        assert last_changes(connection)["updated_at"] == [updated_at, Y2030]
        refused(connection, "UPDATE agent SET created_at = '2021'")
        refused(connection, "UPDATE agent SET created_by = 2")
        connection.execute("UPDATE agent SET updated_at = ?, created_at = ?", (Y2031, Y2020))
        assert last_changes(connection) == {"updated_at": [Y2030, Y2031]}
        assert len(logged(connection)) == 4
        connection.execute("INSERT INTO task(agent_id) VALUES (1)")
        connection.execute("UPDATE task SET agent_id = NULL")
        assert last_changes(connection)["updated_at"][0] is None


# Values


def test_values_keep_their_type_and_every_bit(tool):
    tool.execute("INSERT INTO agent(ref) VALUES ('a')")
    values = {
        "score": 0.1 + 0.2,
        "photo": b"\0\xff",
        "extra": float("-inf"),
        "number": -(2**63),
        "label": 'nul\0 "quoted" é',
        'odd "name%': "100%s",
    }
    for column, value in values.items():
        quoted = column.replace('"', '""')
        tool.execute(f'UPDATE agent SET "{quoted}" = ?', (value,))
        entry = audit.entries(tool, limit=1)[0]
        assert typed(entry.new_values[column]) == typed(value)
        assert json.loads(entry_text(tool))[column][0] is None
    tool.execute("UPDATE agent SET extra = 1")
    tool.execute("UPDATE agent SET extra = 1.0")
    assert [typed(v) for v in audit.entries(tool, limit=1)[0].changes["extra"]] == [
        ("int", 1),
        ("float", 1.0),
    ]


def entry_text(connection):
    return connection.execute("SELECT changes FROM audit_entry ORDER BY seq DESC LIMIT 1").fetchone()[0]


def test_json_made_by_a_function_is_logged_as_the_text_it_is(tool):
    tool.execute("INSERT INTO agent(ref, label) VALUES ('a', '{}')")
    tool.execute("UPDATE agent SET label = json_set(label, '$.a', 1), extra = json('[1]')")
    assert last_changes(tool)["label"] == ["{}", '{"a":1}']
    assert last_changes(tool)["extra"] == [None, "[1]"]


def test_json_made_by_a_function_is_text_too_where_rows_are_edited_by_hand(shell):
    shell.execute("UPDATE configuration_type SET schema_definition = json_set('{}', '$.a', 1) WHERE id = 1")
    assert json.loads(entry_text(shell))["schema_definition"][1] == '{"a":1}'


def test_secret_columns_are_never_in_the_log(path, tool):
    tool.execute("INSERT INTO agent(ref, password_hash) VALUES ('a', 'TOPSECRET1')")
    tool.execute("UPDATE agent SET password_hash = 'TOPSECRET2'")
    tool.execute("UPDATE agent SET password_hash = NULL")
    tool.execute("UPDATE agent SET password_hash = 'TOPSECRET3'")
    tool.execute("INSERT OR REPLACE INTO agent(id, ref, password_hash) VALUES (1, 'b', 'TOPSECRET4')")
    tool.execute("DELETE FROM agent")
    assert actions(tool) == [f"{a} agent 1" for a in "IUUUDID"]
    mark = {"$secret": True}
    assert [json.loads(c)["password_hash"] for _, _, a, c in logged(tool) if a == "U"] == [
        [mark] * 2,
        [mark, None],
        [None, mark],
    ]
    for table in ("audit_log", "audit_replaced", "audit_transaction"):
        assert "TOPSECRET" not in str(tool.execute(f"SELECT * FROM {table}").fetchall())


def test_a_table_of_two_hundred_columns(tmp_path):
    columns = [f"column_{i}" for i in range(200)]
    wide = (
        "CREATE TABLE user (id INTEGER PRIMARY KEY);"
        f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {' REAL, '.join(columns)} TEXT, UNIQUE (column_7));"
    )
    connection = make(tmp_path / "wide.db", wide, ("wide",))
    connection.execute(
        f"INSERT INTO wide({', '.join(columns)}) VALUES ({', '.join('?' * 200)})", [i / 3 for i in range(200)]
    )
    connection.execute("UPDATE wide SET " + ", ".join(f"{c} = {c} + 1" for c in columns))
    assert last_changes(connection)["column_198"] == [66.0, 67.0]
    connection.execute("INSERT OR REPLACE INTO wide(id, column_7) VALUES (1, 2.0)")
    row = json.loads(logged(connection)[2][3])
    assert list(row) == columns
    assert row["column_100"] == 100 / 3 + 1
    connection.close()


# Guards, each violated by a connection without any pragma


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO note(agent_id) VALUES (9)", ("note", "agent_id", "reference")),
        ("INSERT INTO note(agent_id) VALUES (-1)", ("note", "agent_id", "reference")),
        ("INSERT OR IGNORE INTO note(agent_id) VALUES (9)", ("note", "agent_id", "reference")),
        ("UPDATE note SET agent_id = 9", ("note", "agent_id", "reference")),
        ("INSERT INTO agent(ref, boss_id) VALUES ('n', 9)", ("agent", "boss_id", "reference")),
        ("INSERT INTO agent(ref, boss_id) VALUES ('n', -1)", ("agent", "boss_id", "reference")),
        ("UPDATE agent SET boss_id = 9 WHERE id = 2", ("agent", "boss_id", "reference")),
        ("INSERT INTO sign(place_name) VALUES ('nowhere')", ("sign", "place_name", "reference")),
        ("DELETE FROM agent WHERE id = 1", ("agent", "id", "referenced")),  # boss of 2
        ("DELETE FROM agent WHERE id = 3", ("agent", "id", "referenced")),  # has a bill
        ("INSERT OR REPLACE INTO agent(ref) VALUES ('c')", ("agent", "id", "referenced")),
        ("UPDATE OR REPLACE agent SET ref = 'c' WHERE id = 2", ("agent", "id", "referenced")),
        ("UPDATE agent SET id = 9 WHERE id = 2", ("agent", "id", "immutable")),
        ("UPDATE agent SET created_at = '2020'", ("agent", "created_at", "immutable")),
        ("UPDATE agent SET created_by = 2", ("agent", "created_by", "immutable")),
        ("UPDATE agent SET updated_at = 'later'", ("*", "updated_at", "time")),
        ("INSERT INTO agent(ref, created_at) VALUES ('z', '2026-02-30')", ("*", "created_at", "time")),
        ("REPLACE INTO agent(ref, updated_at) VALUES ('z', 'now')", ("*", "updated_at", "time")),
        ("INSERT INTO agent(id, ref) VALUES (9223372036854775807, 'z')", ("*", "id", "range")),
        ("UPDATE agent SET rowid = 9 WHERE id = 2", ("agent", "id", "immutable")),
        ("UPDATE task SET _rowid_ = 9", ("task", "number", "immutable")),
        ("UPDATE OR REPLACE agent SET id = 2 WHERE id = 1", ("agent", "id", "immutable")),
    ],
)
def test_guards_of_references_and_ids(tool, sql, expected):
    tool.executescript(
        "INSERT INTO agent(ref) VALUES ('a'), ('b'), ('c'); UPDATE agent SET boss_id = 1 WHERE id = 2;"
        "INSERT INTO note(agent_id) VALUES (2); INSERT INTO bill(agent_id) VALUES (3);"
        "INSERT INTO task(number) VALUES (1);"
    )
    before = logged(tool)
    assert refused(tool, sql) == expected
    assert logged(tool) == before


def test_a_row_may_be_its_own_parent(tool):
    tool.execute("INSERT INTO agent(id, ref, boss_id) VALUES (5, 'a', 5)")
    tool.execute("UPDATE agent SET label = 'x'")
    tool.execute("DELETE FROM agent")
    assert actions(tool) == ["I agent 5", "U agent 5", "D agent 5"]


LOG = ("audit_log", "*", "append_only")


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT"])
@pytest.mark.parametrize("seq", [1, 2, 0, -5, 99, 2**63 - 1])
def test_the_log_takes_no_row_but_the_next(tool, verb, seq):
    tool.execute("INSERT INTO agent(ref) VALUES ('a'), ('b')")
    assert refused(tool, f"{verb} INTO audit_log(seq, action) VALUES (?, 'U')", (seq,)) == LOG


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("audit_log", "UPDATE audit_log SET action = 'X'"),
        ("audit_log", "UPDATE OR REPLACE audit_log SET seq = 2 WHERE seq = 1"),
        ("audit_log", "DELETE FROM audit_log"),
        ("audit_log", "INSERT INTO audit_log(seq) VALUES (1) ON CONFLICT DO UPDATE SET action = 'X'"),
        ("audit_transaction", "UPDATE audit_transaction SET actor = 'eve'"),
        ("audit_transaction", "UPDATE audit_transaction SET performed_at = '2020'"),
        ("audit_transaction", "UPDATE audit_transaction SET open_gate = 1"),
        ("audit_transaction", "DELETE FROM audit_transaction"),
        ("audit_transaction", "INSERT OR REPLACE INTO audit_transaction(id, actor) VALUES (1, 'eve')"),
        ("audit_transaction", "INSERT INTO audit_transaction(id, actor) VALUES (7, 'eve')"),
        ("audit_table", "UPDATE audit_table SET name = 'x' WHERE id = 1000"),
        ("audit_table", "DELETE FROM audit_table"),
        ("audit_table", "INSERT OR REPLACE INTO audit_table(id, name) VALUES (1000, 'x')"),
        ("audit_table", "INSERT OR IGNORE INTO audit_table(id, name) VALUES (7, 'AGENT')"),
        ("audit_gate", "INSERT INTO audit_gate VALUES (1)"),
        ("audit_gate", "UPDATE audit_gate SET id = 1"),
        ("audit_gate", "DELETE FROM audit_gate"),
    ],
)
def test_the_log_is_only_ever_added_to(tool, table, sql):
    tool.execute("INSERT INTO agent(ref) VALUES ('a')")
    assert refused(tool, sql) == (table, "*", "append_only")


def test_the_same_table_row_may_come_again(tool):
    tool.execute("INSERT OR IGNORE INTO audit_table(id, name) VALUES (1000, 'agent')")
    assert tool.execute("SELECT count(*) FROM audit_table").fetchone() == (len(NAMES),)


def test_no_commit_leaves_a_change_open(own):
    own.execute("BEGIN")
    own.execute("INSERT INTO audit_transaction(open_gate, actor) VALUES (1, 'maria')")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        own.execute("COMMIT")
    own.execute("ROLLBACK")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE vault_use_log SET note = 'x'",
        "DELETE FROM vault_use_log",
        "INSERT OR REPLACE INTO vault_use_log(id, code) VALUES (1, 'new')",
        "INSERT OR REPLACE INTO vault_use_log(code) VALUES ('A')",
        "UPDATE OR REPLACE vault_use_log SET id = 2",
    ],
)
@pytest.mark.ledger("S1-42")
def test_append_only_tables_refuse_every_change(tmp_path, sql):
    made = (
        "CREATE TABLE user (id INTEGER PRIMARY KEY); CREATE TABLE vault_use_log "
        "(id INTEGER PRIMARY KEY, code TEXT UNIQUE COLLATE NOCASE, note TEXT) STRICT;"
    )
    connection = make(tmp_path / "log.db", made, ("vault_use_log",))
    connection.execute("INSERT INTO vault_use_log(code) VALUES ('a')")
    assert refused(connection, sql) == ("vault_use_log", "*", "append_only")
    assert not logged(connection)
    connection.close()


# The generated file


def whole_schema():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    files = [f for f in sorted(SCHEMA.glob("*.sql")) if not f.name.startswith("99_")]
    connection.executescript("\n".join(f.read_text(encoding="utf-8") for f in files))
    return connection


def test_generated_file_fits_every_table_of_the_schema():
    connection = whole_schema()
    sql = audit.schema_sql(connection)
    connection.executescript(sql)
    connection.executescript("PRAGMA recursive_triggers = ON")
    references = all_references(connection)
    for table in audit.audited_tables(connection):
        columns = [c.name for c in read_table(connection, table, references=references).columns]
        first = f'"{columns[0]}"'
        # Only preparing a statement makes SQLite look at what its triggers name.
        connection.execute(f"EXPLAIN INSERT INTO {table}({first}) VALUES (1)")
        connection.execute(f"EXPLAIN UPDATE {table} SET " + ", ".join(f'"{c}" = NULL' for c in columns))
        connection.execute(f"EXPLAIN DELETE FROM {table}")
    assert {"driver", "policy", "user", "status"} <= set(audit.audited_tables(connection))
    assert not {
        n for n in audit.audited_tables(connection) if n.startswith("audit_") or n in audit.APPEND_ONLY
    }
    assert audit.schema_sql(connection, sql) == sql
    connection.close()


def test_table_numbers_stay_and_are_never_given_again():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE first (id INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE second (id INTEGER PRIMARY KEY)")
    before = audit.schema_sql(connection)
    connection.execute("DROP TABLE second")
    connection.execute("CREATE TABLE another (id INTEGER PRIMARY KEY)")
    after = audit.schema_sql(connection, before)
    assert "VALUES (1, 'first');" in after
    assert "VALUES (2, 'second');" in after
    assert "VALUES (3, 'another');" in after
    assert "TRIGGER second_" not in after
    connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (code TEXT PRIMARY KEY)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY DESC)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE t (a INTEGER, b INTEGER, PRIMARY KEY (a, b))",
        "CREATE TABLE t (id INT PRIMARY KEY)",
    ],
)
def test_a_table_without_an_integer_id_cannot_be_audited(sql):
    connection = sqlite3.connect(":memory:")
    connection.execute(sql)
    with pytest.raises(InvalidError, match="INTEGER PRIMARY KEY"):
        audit.table_triggers(connection, "t", 1000)
    with pytest.raises(NotFoundError):
        audit.table_triggers(connection, "u", 1000)
    connection.close()


def test_fingerprint_tells_a_changed_trigger(own):
    before = audit.fingerprint(own)
    assert len(before) == 64
    (sql,) = own.execute("SELECT sql FROM sqlite_schema WHERE name = 'agent_audit_delete'").fetchone()
    own.execute("DROP TRIGGER agent_audit_delete")
    assert audit.fingerprint(own) != before
    own.execute(sql)
    assert audit.fingerprint(own) == before
