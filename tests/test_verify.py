"""verify() finds what was done to a file behind its back, and says it in sentences."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit import db, schema
from edgekit.errors import CorruptError, MigrationNeededError, NotFoundError
from edgekit.file.catalogue import normalise
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


def _force(path: Path, *statements: str, writable_schema: bool = False) -> None:
    """Do as a tool would that knows no rule."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = 1")
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        " AND tbl_name IN ('audit_log', 'audit_transaction')"
    ).fetchall():
        if not writable_schema:
            connection.execute(f'DROP TRIGGER "{name}"')
    if writable_schema:
        connection.execute("PRAGMA writable_schema = 1")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def _found(path: Path) -> str:
    return "\n".join(verify(path))


def test_a_fresh_file_is_sound_and_stays_untouched(edge_file: Path) -> None:
    before = edge_file.read_bytes()
    assert verify(edge_file) == []
    assert edge_file.read_bytes() == before
    assert [p.name for p in edge_file.parent.iterdir()] == ["edge.db"]


def test_an_open_file_in_use_is_sound(edge: db.Database) -> None:
    with edge.change(reason="x"):
        edge.connection().execute("UPDATE system SET name = 'Other' WHERE id = 1")
        assert verify(edge.path) == []
    assert verify(edge.path) == []


def test_missing_foreign_and_newer_files_are_refused(tmp_path: Path, edge_file: Path) -> None:
    with pytest.raises(NotFoundError):
        verify(tmp_path / "none.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t(a)").connection.close()
    with pytest.raises(CorruptError, match="not an edgekit file"):
        verify(tmp_path / "other.db")
    (tmp_path / "text.db").write_text("hello " * 1000)
    with pytest.raises(CorruptError, match="not an SQLite database"):
        verify(tmp_path / "text.db")
    _force(edge_file, f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(MigrationNeededError):
        verify(edge_file)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("ALTER TABLE vehicle ADD COLUMN extra TEXT", "Table vehicle: column extra does not belong there."),
        ("ALTER TABLE vehicle RENAME COLUMN make TO maker", "Table vehicle: column make is missing."),
        ("DROP TABLE validation_message", "Table validation_message is missing."),
        ("DROP INDEX dead_letter_pending", "Table dead_letter: index dead_letter_pending is missing."),
        (
            "CREATE UNIQUE INDEX u ON vehicle(make)",
            "Table vehicle: index u makes values unique that need not be.",
        ),
        ("DROP TRIGGER status_active_kept_bu", "Trigger status_active_kept_bu is missing."),
        (
            "CREATE TRIGGER mine AFTER INSERT ON vehicle BEGIN SELECT 1; END",
            "Trigger mine on table vehicle is not one",
        ),
    ],
)
def test_a_changed_catalogue_is_named(edge_file: Path, statement: str, sentence: str) -> None:
    _force(edge_file, statement)
    assert sentence in _found(edge_file)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "CHECK (is_active IN (0, 1))",
            "CHECK (is_active IN (0, 1, 2))",
            'rule "status.is_active.boolean" is changed',
        ),
        (
            'CONSTRAINT "status.code.length" CHECK (length(code) BETWEEN 1 AND 50)',
            "",
            'rule "status.code.length" is missing',
        ),
        (
            "code TEXT NOT NULL COLLATE NOCASE UNIQUE",
            "code TEXT NOT NULL UNIQUE",
            "status: UNIQUE (code) is changed",
        ),
        (") STRICT", ")", "Table status is not STRICT."),
        (
            "updated_by INTEGER REFERENCES user(id)",
            "updated_by INTEGER",
            "updated_by no longer refers to user",
        ),
        ("description TEXT", "description TEXT DEFAULT 'x'", "column description differs in default"),
    ],
)
def test_a_rule_taken_out_of_a_table_is_named(edge_file: Path, old: str, new: str, sentence: str) -> None:
    connection = sqlite3.connect(edge_file)
    sql = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'status'").fetchone()[0]
    connection.close()
    assert old in sql
    changed = sql.replace(old, new).replace("'", "''")
    _force(
        edge_file, f"UPDATE sqlite_schema SET sql = '{changed}' WHERE name = 'status'", writable_schema=True
    )
    assert sentence in _found(edge_file)


def test_a_plain_index_view_or_table_of_the_user_is_no_finding(
    edge_file: Path, shell: sqlite3.Connection
) -> None:
    shell.execute("CREATE INDEX faster ON vehicle(make)")
    shell.execute("CREATE VIEW mine AS SELECT * FROM vehicle")
    shell.execute("CREATE TABLE notes(a)")
    shell.execute("CREATE TRIGGER notes_t AFTER INSERT ON notes BEGIN SELECT 1; END")
    assert verify(edge_file) == []


def test_white_space_and_comments_mean_nothing() -> None:
    assert normalise('CREATE  TABLE "t" (a -- one\n)') == normalise("CREATE TABLE t(a)")
    assert normalise("SELECT 'a  b'") != normalise("SELECT 'a b'")


def test_a_row_without_its_parent_is_named(edge_file: Path, shell: sqlite3.Connection) -> None:
    for (name,) in shell.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'system'"
    ).fetchall():
        shell.execute(f'DROP TRIGGER "{name}"')
    shell.execute("UPDATE system SET environment_id = 77")
    assert "system row 1: environment_id refers to environment 77, which does not exist." in verify(edge_file)


def test_a_row_against_a_rule_is_named(edge_file: Path) -> None:
    _force(
        edge_file,
        "INSERT INTO audit_transaction(open_gate) VALUES (1)",  # in a change the guards leave it to SQLite
        "UPDATE organization SET code = ''",
        "UPDATE audit_transaction SET open_gate = NULL",
    )
    assert "Rows break a rule of their table: CHECK constraint failed in organization" in _found(edge_file)


def test_holes_in_the_log_are_named(edge_file: Path) -> None:
    with edgekit.open(edge_file) as edge, edge.change():
        edge.connection().executemany(
            "INSERT INTO audit_log(txn_id, table_id, record_key, action) VALUES (1, 1, ?, 'I')",
            [(i,) for i in range(9)],
        )
    last = sqlite3.connect(edge_file).execute("SELECT max(seq) FROM audit_log").fetchone()[0]
    _force(edge_file, f"DELETE FROM audit_log WHERE seq IN ({last - 6}, {last - 4}, {last - 3})")
    assert f"3 entries of the log are missing: {last - 6}, {last - 4} to {last - 3}." in verify(edge_file)


def test_entries_without_their_change_are_named(edge_file: Path) -> None:
    _force(edge_file, "INSERT INTO audit_log(txn_id, table_id, record_key, action) VALUES (999, 1, 1, 'I')")
    assert "1 entries of the log belong to a change that is not in audit_transaction." in verify(edge_file)


def test_a_change_left_open_is_named(edge_file: Path) -> None:
    _force(edge_file, "INSERT INTO audit_transaction(open_gate, actor) VALUES (1, 'x')")
    found = [sentence for sentence in verify(edge_file) if "Trigger" not in sentence]
    assert len(found) == 1
    assert "left open" in found[0]
    edgekit.open(edge_file).close()
    assert "left open" not in _found(edge_file)


def _page_of(path: Path, name: str) -> tuple[int, int]:
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    return root, size


@pytest.mark.parametrize(
    "name", ["audit_log", "status", "sqlite_autoindex_status_1", "tracked_table", "audit_table"]
)
def test_a_damaged_page_gives_a_sentence(edge_file: Path, name: str) -> None:
    root, size = _page_of(edge_file, name)
    content = bytearray(edge_file.read_bytes())
    content[(root - 1) * size : root * size] = b"\xff" * size
    edge_file.write_bytes(content)
    assert "The file is damaged" in _found(edge_file)


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_gives_a_traceback(edge_file: Path, seed: int) -> None:
    rng = random.Random(seed)
    content = bytearray(edge_file.read_bytes())
    for _ in range(rng.choice([1, 5, 40])):
        at = rng.randrange(0, len(content))
        content[at : at + 64] = rng.randbytes(min(64, len(content) - at))
    if seed % 3 == 0:
        del content[rng.randrange(2000, len(content)) :]
    edge_file.write_bytes(content)
    with contextlib.suppress(CorruptError, MigrationNeededError):
        verify(edge_file)


def test_a_tracked_table_is_verified_like_ours(edge_file: Path, shell: sqlite3.Connection) -> None:
    from edgekit.audit.triggers import table_triggers

    create = (
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, a TEXT,"
        " owner_id INTEGER REFERENCES organization(id)) STRICT"
    )
    shell.execute(create)
    shell.execute("CREATE INDEX notes_a ON notes(a)")
    shell.execute("INSERT INTO audit_table(id, name) VALUES (1000, 'notes')")
    shell.execute(
        "INSERT INTO tracked_table(name, create_sql) VALUES ('notes', ?)",
        (create + ";\nCREATE INDEX notes_a ON notes(a);",),
    )
    for sql in table_triggers(shell, "notes", 1000):
        shell.execute(sql)
    found = [sentence for sentence in verify(edge_file) if "organization" not in sentence]
    assert found == []
    shell.execute("DROP TRIGGER notes_audit_insert")
    shell.execute("DROP INDEX notes_a")
    assert "Trigger notes_audit_insert is missing." in _found(edge_file)
    assert "Table notes: index notes_a is missing." in _found(edge_file)


def test_sql_in_tracked_table_reaches_nothing_else(
    edge_file: Path, shell: sqlite3.Connection, tmp_path: Path
) -> None:
    target = tmp_path / "stolen.db"
    shell.execute("INSERT INTO tracked_table(name, create_sql) VALUES ('x', ?)", (f"ATTACH '{target}' AS y",))
    assert "more than CREATE TABLE" in _found(edge_file)
    assert not target.exists()


UNDER_THE_LOG = [
    ("INSERT INTO vehicle(id, make) VALUES (70, 'x')", "vehicle row 70 is there, but not by the log"),
    ("DELETE FROM vehicle WHERE id = 1", "vehicle row 1 is gone, but not by the log"),
    ("UPDATE sqlite_sequence SET seq = 0", "vehicle: the id 2 was used, and would be given out again."),
    ("UPDATE vehicle SET updated_at = 'later'", "vehicle: 1 rows have no time in updated_at"),
    (f"INSERT INTO vehicle(id) VALUES ({2**63 - 1})", "vehicle takes no more rows"),
    ("DELETE FROM system", "system has no row"),
]


@pytest.mark.parametrize(("statement", "sentence"), UNDER_THE_LOG)
def test_what_was_done_without_the_triggers_is_named(
    edge_file: Path, shell: sqlite3.Connection, statement: str, sentence: str
) -> None:
    shell.execute("INSERT INTO vehicle(make) VALUES ('a'), ('b')")
    shell.execute("DELETE FROM vehicle WHERE id = 2")
    assert verify(edge_file) == []
    made = shell.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('vehicle', 'system')"
    ).fetchall()
    for name, _ in made:
        shell.execute(f'DROP TRIGGER "{name}"')
    shell.execute(statement)
    for _, sql in made:
        shell.execute(sql)
    assert sentence in _found(edge_file)


MADE_UP = [
    ("1, 'I', NULL", "vehicle row 1: the log says it was made or deleted more often than can be."),
    ("9, 'I', NULL", "vehicle row 9 is gone, but not by the log"),
    ("1, 'D', '{\"make\":null}'", "vehicle row 1 is there, but not by the log"),
    ("1, 'Z', NULL", "1 entries of the log say nothing that can be understood"),
    ("1, 'U', 'nothing'", "1 entries of the log say nothing that can be understood"),
    ("NULL, 'D', '{\"make\":null}'", "1 entries of the log say nothing that can be understood"),
]


@pytest.mark.parametrize(("entry", "sentence"), MADE_UP)
def test_an_entry_that_was_made_up_is_named(
    edge_file: Path, shell: sqlite3.Connection, entry: str, sentence: str
) -> None:
    shell.execute("INSERT INTO vehicle(make) VALUES ('a')")
    shell.execute(
        "INSERT INTO audit_log(txn_id, table_id, record_key, action, changes)"
        f" SELECT 1, id, {entry} FROM audit_table WHERE name = 'vehicle'"
    )
    assert sentence in _found(edge_file)


def test_changes_and_names_that_were_made_up_are_named(edge_file: Path, shell: sqlite3.Connection) -> None:
    shell.execute("INSERT INTO audit_transaction(actor, performed_at) VALUES ('maria', 'never')")
    shell.execute("INSERT INTO audit_table VALUES (500, 'nothing')")
    with pytest.raises(sqlite3.IntegrityError):
        shell.execute("INSERT INTO audit_log(seq, txn_id) VALUES (-1, 1)")
    with pytest.raises(sqlite3.IntegrityError):
        shell.execute("INSERT INTO audit_transaction(id) VALUES (-1)")
    assert verify(edge_file) == [
        "audit_table has a row for nothing that is not one of ours.",
        "1 changes in audit_transaction have no time that can be read.",
    ]
    _force(edge_file, "DELETE FROM audit_transaction WHERE id = 1")
    assert "1 changes are missing from audit_transaction." in _found(edge_file)
