"""A migration happens whole, behind a backup, or the file is exactly what it was."""

from __future__ import annotations

import json
import lzma
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit import audit, db, naming, runner, schema, seeds, sqlite
from edgekit.audit import generate, triggers
from edgekit.errors import BusyError, CorruptError, EdgekitError, InvalidError, MigrationNeededError
from edgekit.file import rebuild as module
from edgekit.file.migrate import Target, migrate, repair_triggers, roll_back
from edgekit.file.restore import restore
from edgekit.file.verify import findings, verify

# What a real one does: rebuild a table others refer to, add one with an index, move rows.
GOOD = """
-- Statuses get a colour; a table of notes.
CREATE TABLE status_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE
    CONSTRAINT "status.code.length" CHECK (length(code) BETWEEN 1 AND 60),
  name TEXT NOT NULL CONSTRAINT "status.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
  is_active INTEGER NOT NULL DEFAULT 0 CONSTRAINT "status.is_active.boolean" CHECK (is_active IN (0, 1)),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  colour TEXT
) STRICT;
INSERT INTO status_new(id, code, name, description, is_active, created_by, updated_by, created_at, updated_at)
  SELECT id, code, name, description, is_active, created_by, updated_by, created_at, updated_at FROM status;
DROP TABLE status;
ALTER TABLE status_new RENAME TO status;
CREATE TABLE remark (
  id INTEGER PRIMARY KEY AUTOINCREMENT, status_id INTEGER NOT NULL REFERENCES status(id), text TEXT
) STRICT;
CREATE INDEX remark_status ON remark(status_id);
INSERT INTO remark(status_id, text) SELECT id, 'from ' || code FROM status;
"""
BASE = schema.VERSION
NEXT = BASE + 1
STEP = f"{NEXT:04d}_step{NEXT}"
VIEW = "CREATE VIEW remark_list AS SELECT r.id, s.code FROM remark r JOIN status s ON s.id = r.status_id"


def _target(tmp_path: Path, *scripts: str, version: int = 0) -> Target:
    """A program whose schema is ours, brought further by these migrations."""
    folder = tmp_path / "migrations"
    folder.mkdir(exist_ok=True)
    real = schema.schema_folder() / "migrations"
    for path in real.glob("*.sql") if real.is_dir() else ():
        shutil.copy(path, folder)
    for number, script in enumerate(scripts, NEXT):
        (folder / f"{number:04d}_step{number}.sql").write_text(script)

    def pristine() -> sqlite3.Connection:
        connection = schema.pristine()
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {schema.quote_name(name)}")
        connection.execute("PRAGMA legacy_alter_table = ON")
        for statement in STATEMENTS:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute(VIEW)
        return connection

    return Target(version or BASE + len(scripts), folder, pristine)


def _dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()
        return [*connection.iterdump(), *map(str, rows), str(version)]
    finally:
        connection.close()


def _backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.edgekit-backup.zip"))


def _stored(path: Path) -> dict[str, tuple[list[str], set[Any]]]:
    """Read the columns and rows of every table but the log."""
    connection = sqlite3.connect(path)
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
        " AND name NOT GLOB 'audit_*' AND name <> 'schema_migration'"
    ).fetchall()
    found = {}
    for (table,) in tables:
        rows = connection.execute(f"SELECT * FROM {table}")
        found[table] = [column[0] for column in rows.description], set(rows)
    connection.close()
    return found


@pytest.mark.parametrize(
    "version", [pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow), 5]
)
def test_a_file_of_an_earlier_schema_keeps_every_row_and_becomes_what_a_new_one_is(
    edge_file: Path, tmp_path: Path, version: int
) -> None:
    path = tmp_path / "agency.db"
    # The demo, clients and the sample rows; of schema 4 also a table of one's own, put to use in production.
    packed = Path(__file__).parent / "data" / f"agency_v{version}.db.xz"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    before = _stored(path)
    assert sum(len(rows) for _, rows in before.values()) > 1000
    would = migrate(path, dry_run=True)
    assert _stored(path) == before
    assert migrate(path)[:-1] == would
    assert verify(path) == []  # its catalogue is the pristine one, its log and seals hold
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    for table, (columns, rows) in before.items():
        columns, rows = _kept_of(table, columns, rows)
        there = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        assert set(columns) <= there, table
        kept = set(connection.execute(f"SELECT {', '.join(columns)} FROM {table}"))
        if table == "integration_schedule":  # what waited waits in line since
            rows = {tuple("queue_all" if value == "queue" else value for value in row) for row in rows}
        assert rows <= kept, table
    connection.close()
    assert _told_otherwise(path, edge_file) == []
    if version == 4:
        _goes_on(path)


def _kept_of(table: str, columns: list[str], rows: set[Any]) -> tuple[list[str], set[Any]]:
    """Leave out what a migration may complete in a row of ours; `_told_otherwise` looks at that."""
    completed = {"configuration_type": "schema_definition", "integration_type": "description"}
    if table not in completed:
        return columns, rows
    left = [n for n, name in enumerate(columns) if name not in {completed[table], "updated_at", "updated_by"}]
    return [columns[n] for n in left], {tuple(row[n] for n in left) for row in rows}


def _told_otherwise(path: Path, new: Path) -> list[str]:
    """Say which reference row of a new file an older one, by now of its schema, has not, or has differently.

    What a row refers to is compared by its code; a text that is JSON by what it says.
    """
    found = []
    connection = sqlite3.connect(path)
    connection.execute("ATTACH ? AS fresh", (str(new),))
    words = [json.loads(file.read_text(encoding="utf-8")) for file in seeds._files()]
    for table in dict.fromkeys(table for word in words for table in word):
        keys = seeds._keys(connection, table)
        mine, theirs = (_meant(connection, name, table, keys) for name in ("main", "fresh"))
        for key, row in theirs.items():
            for column, value in row.items():
                if (there := mine.get(key, {}).get(column, "nothing")) != value:
                    found.append(f"{table} {key}: {column} is {there!r}, not {value!r}")
    connection.close()
    return found


def _meant(
    connection: sqlite3.Connection, file: str, table: str, keys: tuple[str, ...]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Read the rows of a table by what identifies them, references by their codes."""
    own = {"id", "uuid", "created_at", "updated_at", "created_by", "updated_by"}
    parents = dict(connection.execute('SELECT "from", "table" FROM pragma_foreign_key_list(?)', (table,)))
    labels: dict[str, dict[Any, Any]] = {}
    for column, parent in parents.items():
        label = naming.label_column(connection, parent) or "id"
        labels[column] = dict(connection.execute(f'SELECT id, "{label}" FROM {file}."{parent}"'))
    rows = connection.execute(f'SELECT * FROM {file}."{table}"')
    names = [name for name, *_ in rows.description]
    meant = {}
    for values in rows:
        row = {n: labels[n].get(v) if n in labels else v for n, v in zip(names, values, strict=True)}
        parsed = {
            n: json.loads(v) if isinstance(v, str) and v[:1] in set("{[") else v for n, v in row.items()
        }
        meant[tuple(row[key] for key in keys)] = {n: v for n, v in parsed.items() if n not in own}
    return meant


@pytest.mark.slow
def test_what_somebody_wrote_into_a_type_of_configuration_stays(tmp_path: Path) -> None:
    path = tmp_path / "agency.db"
    packed = Path(__file__).parent / "data" / "agency_v5.db.xz"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    own = {
        "DCS_RETRY": '{"type":"object","properties":{"circuit_breaker_counts_429":{"const":true},"x":{}}}',
        "COMMUNICATION_DEFAULTS": None,
    }
    connection = sqlite3.connect(path, isolation_level=None)
    for code, text in own.items():
        connection.execute("UPDATE configuration_type SET schema_definition = ? WHERE code = ?", (text, code))
    connection.close()
    migrate(path)
    connection = sqlite3.connect(path)
    kept = dict(connection.execute("SELECT code, schema_definition FROM configuration_type"))
    connection.close()
    assert {code: kept[code] for code in own} == own


def _goes_on(path: Path) -> None:
    """What ran in production before approvals were asked for runs on, into a table that is audited still."""
    book = path.with_name("own.csv")
    book.write_text("code,amount\na,1\nb,3\n", encoding="utf-8")
    with edgekit.open(path) as opened:
        ran = runner.run("own", overrides={"path": str(book)})
        assert (ran.status, ran.records_changed) == ("completed", 1)
        logged = audit.entries(opened.connection(), table="own_thing", limit=1)
    assert logged[0].changes == {"amount": [2, 3]}
    assert verify(path) == []


def test_a_migration_brings_the_file_to_the_new_schema(edge_file: Path, tmp_path: Path) -> None:
    before = _dump(edge_file)
    target = _target(tmp_path, GOOD)
    steps = migrate(edge_file, target=target)
    assert [step.name for step in steps[:2]] == [STEP, "triggers and views"]
    connection = sqlite.connect(edge_file)
    try:
        assert connection.execute("PRAGMA user_version").fetchone() == (NEXT,)
        assert connection.execute("SELECT count(*) FROM remark_list").fetchone() == (4,)
        assert connection.execute(
            "SELECT name, length(sha256), app_version FROM schema_migration"
        ).fetchall() == [(STEP, 64, edgekit.__version__)]
        entry = connection.execute(
            "SELECT l.action, l.changes, t.actor, t.reason, t.open_gate FROM audit_log l"
            " JOIN audit_transaction t ON t.id = l.txn_id ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        assert entry == (
            "S",
            f'{{"schema":[{BASE},{NEXT}],"migrations":["{STEP}"]}}',
            "system",
            f"migrate {STEP}",
            None,
        )
        assert findings(connection, with_catalogue=False) == []
        with pytest.raises(sqlite3.IntegrityError, match=r"EK\|status\|id\|protected"):
            connection.execute("UPDATE status SET is_active = 0 WHERE id = 1")
    finally:
        connection.close()
    # the way down is the backup
    assert [path.name for path in _backups(edge_file)] == [steps[-1].name]
    restore(_backups(edge_file)[0], tmp_path / "old.db")
    assert _dump(tmp_path / "old.db") == before
    assert migrate(edge_file, target=target) == []
    with pytest.raises(MigrationNeededError):
        verify(edge_file)


def test_a_dry_run_only_says_what_it_would_do(edge_file: Path, tmp_path: Path) -> None:
    before = _dump(edge_file)
    steps = migrate(edge_file, target=_target(tmp_path, GOOD), dry_run=True)
    assert [step.what for step in steps] == [
        f"Bring the schema from {BASE} to {NEXT}.",
        "Drop all of ours and make them anew.",
    ]
    assert _dump(edge_file) == before
    assert _backups(edge_file) == []


STATEMENTS = list(schema.split_statements(GOOD))


LATER = [pytest.param(number, marks=pytest.mark.slow) for number in (1, 3, 4)]


@pytest.mark.parametrize("at", [0, *LATER, len(STATEMENTS)])
@pytest.mark.parametrize(
    "bad",
    [
        "SELECT nothing FROM nowhere;",
        pytest.param("INSERT INTO status(code, name) VALUES ('ACTIVE', 'x');", marks=pytest.mark.slow),
    ],
)
def test_a_bad_statement_anywhere_leaves_the_file_as_it_was(
    edge_file: Path, tmp_path: Path, at: int, bad: str
) -> None:
    before = _dump(edge_file)
    script = "\n".join([*STATEMENTS[:at], bad, *STATEMENTS[at:]])
    with pytest.raises(CorruptError, match=STEP):
        migrate(edge_file, target=_target(tmp_path, script))
    assert _dump(edge_file) == before
    assert _backups(edge_file) == []
    assert verify(edge_file) == []


@pytest.mark.parametrize(
    "name",
    [
        "_check",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("_take_down", "_run", "_put_up", "_record")),
    ],
)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, pytest.param(sqlite3.OperationalError, marks=pytest.mark.slow)]
)
def test_a_failure_after_any_step_leaves_the_file_as_it_was(
    edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: type[BaseException]
) -> None:
    before = _dump(edge_file)
    real = getattr(module, name)

    def fail(*args: object, **options: object) -> None:
        real(*args, **options)
        raise error

    monkeypatch.setattr(module, name, fail)
    with pytest.raises(error):
        migrate(edge_file, target=_target(tmp_path, GOOD))
    assert _dump(edge_file) == before
    assert _backups(edge_file) == []
    assert verify(edge_file) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "match"),
    [
        ("DELETE FROM environment;", "does not exist"),  # a row that others refer to
        ("DROP INDEX remark_status;", "index remark_status is missing"),  # not what the new schema says
        pytest.param(
            "ALTER TABLE remark RENAME COLUMN status_id TO state_id;",
            "column state_id does not belong",
            marks=pytest.mark.slow,
        ),
        ("COMMIT;", "leave the transaction alone"),
    ],
)
def test_a_result_that_is_not_the_new_schema_is_undone(
    edge_file: Path, tmp_path: Path, more: str, match: str
) -> None:
    before = _dump(edge_file)
    with pytest.raises(EdgekitError, match=match):
        migrate(edge_file, target=_target(tmp_path, GOOD + more))
    assert _dump(edge_file) == before


def test_a_kill_in_the_middle_leaves_the_file_as_it_was(edge_file: Path, tmp_path: Path) -> None:
    before = _dump(edge_file)
    target = _target(tmp_path, GOOD)
    code = (
        "import os, sys; from pathlib import Path; from edgekit import schema\n"
        "from edgekit.file import migrate as m, rebuild\n"
        "rebuild._put_up = lambda *a: os._exit(9)\n"
        "m.migrate(sys.argv[1], target=m.Target(int(sys.argv[3]), Path(sys.argv[2]), schema.pristine))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(edge_file), str(target.folder), str(NEXT)], check=False
    )
    assert done.returncode == 9
    assert _dump(edge_file) == before
    assert verify(edge_file) == []


@pytest.mark.slow
def test_what_users_made_survives(edge_file: Path, shell: sqlite3.Connection, tmp_path: Path) -> None:
    for sql in (
        "CREATE TABLE mine(a)",
        "CREATE TABLE seen(a)",
        "CREATE TRIGGER mine_t AFTER INSERT ON mine BEGIN INSERT INTO seen VALUES (NEW.a); END",
        "CREATE VIEW my_statuses AS SELECT code FROM status",
        "INSERT INTO mine VALUES (1)",
    ):
        shell.execute(sql)
    migrate(edge_file, target=_target(tmp_path, GOOD))
    shell.execute("INSERT INTO mine VALUES (2)")
    assert shell.execute("SELECT a FROM seen").fetchall() == [(1,), (2,)]
    assert shell.execute("SELECT count(*) FROM my_statuses").fetchone() == (4,)


@pytest.mark.slow
def test_a_view_a_migration_drops_stays_dropped(
    edge_file: Path, shell: sqlite3.Connection, tmp_path: Path
) -> None:
    shell.execute("CREATE VIEW old_list AS SELECT 1 AS a")
    migrate(edge_file, target=_target(tmp_path, GOOD + "DROP VIEW IF EXISTS old_list;"))
    assert shell.execute("SELECT 1 FROM sqlite_schema WHERE name = 'old_list'").fetchone() is None


@pytest.mark.slow
def test_a_newer_file_and_a_changed_migration_are_refused(edge_file: Path, tmp_path: Path) -> None:
    target = _target(tmp_path, GOOD)
    migrate(edge_file, target=target)
    with pytest.raises(MigrationNeededError, match=f"knows schema {BASE}"):
        migrate(edge_file)
    (target.folder / f"{STEP}.sql").write_text(GOOD.replace("\n", "\r\n"), newline="")
    assert migrate(edge_file, target=target) == []  # line ends are not a change
    (target.folder / f"{STEP}.sql").write_text(GOOD + "-- changed")
    with pytest.raises(CorruptError, match="knows otherwise"):
        migrate(edge_file, target=target)


def test_a_gap_in_the_migrations_is_our_bug(edge_file: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match=f"do not lead to schema {NEXT + 1}"):
        migrate(edge_file, target=_target(tmp_path, GOOD, version=NEXT + 1))


def test_a_busy_file_is_left_alone(
    edge: db.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0)
    with edge.change(reason="x"):
        edge.connection().execute("UPDATE system SET name = 'busy'")
        with pytest.raises(BusyError):
            migrate(edge.path, target=_target(tmp_path, GOOD))
    assert _backups(edge.path) == []


def test_a_sound_file_needs_nothing(edge_file: Path) -> None:
    before = edge_file.read_bytes()
    assert migrate(edge_file) == []
    assert repair_triggers(edge_file) == []
    assert edge_file.read_bytes() == before
    assert _backups(edge_file) == []


def test_triggers_and_views_that_differ_are_repaired(edge_file: Path, shell: sqlite3.Connection) -> None:
    shell.execute("DROP TRIGGER status_active_kept_bu")
    shell.execute("DROP TRIGGER status_kept_bd")
    shell.execute("CREATE TRIGGER status_kept_bd BEFORE DELETE ON status BEGIN SELECT 1; END")
    shell.execute("CREATE TRIGGER stranger AFTER INSERT ON status BEGIN SELECT 1; END")
    would = repair_triggers(edge_file, dry_run=True)
    assert {step.what for step in would} == {
        "Trigger status_active_kept_bu is missing. Make it anew.",
        "Trigger status_kept_bd was changed. Make it anew.",
        "Trigger stranger on table status is not one of ours. Drop it.",
    }
    assert len(verify(edge_file)) == 3
    assert repair_triggers(edge_file)[:-1] == would
    assert verify(edge_file) == []
    assert len(_backups(edge_file)) == 1
    assert shell.execute("SELECT reason FROM audit_transaction ORDER BY id DESC").fetchone() == (
        "migrate triggers",
    )


def test_a_table_that_differs_is_not_repaired_and_does_not_stand_in_the_way(
    edge_file: Path, shell: sqlite3.Connection
) -> None:
    shell.execute("ALTER TABLE vehicle ADD COLUMN mine TEXT")
    shell.execute("DROP TRIGGER status_active_kept_bu")
    migrate(edge_file)
    assert [sentence for sentence in verify(edge_file) if "mine" not in sentence] == []


CHANGED = """
PRAGMA legacy_alter_table = ON;
CREATE TABLE changed (id INTEGER PRIMARY KEY, organization_id INTEGER DEFAULT '1', code TEXT, name TEXT,
  program_id INTEGER, status_id INTEGER DEFAULT '1', created_by INTEGER, updated_by INTEGER, created_at TEXT,
  updated_at TEXT);
INSERT INTO changed SELECT id, organization_id, code, name, program_id, status_id, created_by, updated_by,
  created_at, updated_at FROM producer;
DROP TABLE producer;
ALTER TABLE changed RENAME TO producer;
CREATE INDEX mine ON producer(name);
CREATE UNIQUE INDEX strange ON producer(updated_at);
"""


def test_a_table_made_anew_by_another_program_is_given_its_definition_back(
    edge_file: Path, shell: sqlite3.Connection
) -> None:
    shell.execute("INSERT INTO producer(id, code, name) VALUES (7, 'A', 'Ann'), (9, 'B', 'Bo')")
    shell.execute("DELETE FROM producer WHERE id = 9")
    rows = shell.execute("SELECT * FROM producer").fetchall()
    shell.executescript(CHANGED)
    assert len(verify(edge_file)) > 10
    would = migrate(edge_file, dry_run=True)
    assert migrate(edge_file)[:-1] == would
    assert verify(edge_file) == []
    assert shell.execute("SELECT * FROM producer").fetchall() == rows
    names = {name for (name,) in shell.execute("SELECT name FROM pragma_index_list('producer')")}
    assert "mine" in names
    assert "strange" not in names
    with pytest.raises(sqlite3.IntegrityError, match=r"producer\.code"):
        shell.execute("INSERT INTO producer(code, name) VALUES ('', 'Cy')")
    added = shell.execute("INSERT INTO producer(code, name) VALUES ('C', 'Cy')").lastrowid
    assert added == 10, "no id is used again, although the other program forgot them"
    (entry,) = shell.execute("SELECT changes FROM audit_log WHERE action = 'S' ORDER BY seq DESC LIMIT 1")
    assert '"tables":["producer"]' in entry[0]


@pytest.mark.slow
def test_a_table_is_not_mended_around_rows_that_break_its_rules(
    edge_file: Path, shell: sqlite3.Connection
) -> None:
    shell.execute("INSERT INTO producer(code, name) VALUES ('A', 'Ann')")
    shell.executescript(CHANGED)
    shell.execute("UPDATE producer SET code = NULL")
    before = _dump(edge_file)
    with pytest.raises(CorruptError, match=r"producer\.code must not be empty"):
        migrate(edge_file)
    assert _dump(edge_file) == before
    assert _backups(edge_file) == []


@pytest.mark.parametrize("statement", ["DROP TABLE policy_driver", "ALTER TABLE insured RENAME TO customer"])
def test_a_lost_table_is_not_made_up(edge_file: Path, shell: sqlite3.Connection, statement: str) -> None:
    shell.execute(statement)
    before = _dump(edge_file)
    with pytest.raises(CorruptError, match=r"Table \w+ is missing") as caught:
        migrate(edge_file)
    assert "restore" in (caught.value.hint or "")
    assert _dump(edge_file) == before


# A way down for GOOD: what it brought goes, the notes by name, so that the log knows.
BACK = """
DROP VIEW remark_list;
DROP TABLE remark;
ALTER TABLE status DROP COLUMN colour;
-- Rows:
DELETE FROM remark;
"""


def _with_way_down(tmp_path: Path) -> Target:
    target = _target(tmp_path, GOOD.replace("INSERT INTO remark", "-- Rows:\nINSERT INTO remark"))
    (target.folder / f"{STEP}.down.sql").write_text(BACK)

    def pristine() -> sqlite3.Connection:
        connection = target.pristine()
        script = triggers.schema_sql(connection, generate.previous())
        for name in generate.trigger_names(generate.previous()):
            connection.execute(f"DROP TRIGGER {name}")
        connection.executescript(script)
        return connection

    return Target(target.version, target.folder, pristine)


@pytest.mark.slow
def test_a_migration_goes_down_and_up_again(
    edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "VERSION", NEXT)
    target = _with_way_down(tmp_path)
    migrate(edge_file, target=target)
    shell = sqlite.connect(edge_file)
    statuses = shell.execute("SELECT id, code, is_active FROM status").fetchall()
    assert shell.execute("SELECT count(*) FROM remark").fetchone() == (4,)
    shell.close()
    steps = roll_back(edge_file, BASE, target=target)
    assert [step.name for step in steps[:-1]] == [f"{STEP}.down"]
    shell = sqlite.connect(edge_file)
    assert shell.execute("SELECT 1 FROM sqlite_schema WHERE name LIKE 'remark%'").fetchall() == []
    assert shell.execute("SELECT id, code, is_active FROM status").fetchall() == statuses
    assert shell.execute("PRAGMA user_version").fetchone() == (BASE,)
    with pytest.raises(sqlite3.IntegrityError, match=r"EK\|status\|id\|protected"):
        shell.execute("UPDATE status SET is_active = 0 WHERE id = 1")
    shell.execute("UPDATE status SET name = 'Resting' WHERE id = 2")
    assert shell.execute("SELECT action FROM audit_log ORDER BY seq DESC LIMIT 1").fetchone() == ("U",)
    shell.close()
    migrate(edge_file, target=target)
    shell = sqlite.connect(edge_file)
    assert shell.execute("SELECT min(id), count(*) FROM remark").fetchone() == (5, 4), "ids are not reused"
    assert findings(shell, with_catalogue=False) == []
    shell.close()


@pytest.mark.slow
def test_without_a_way_down_the_backup_is_named(edge_file: Path, tmp_path: Path) -> None:
    target = _target(tmp_path, GOOD)
    migrate(edge_file, target=target)
    before = _dump(edge_file)
    with pytest.raises(InvalidError, match="has no way down"):
        roll_back(edge_file, BASE, target=target)
    for version in (0, NEXT + 1):
        with pytest.raises(InvalidError, match="cannot go back to"):
            roll_back(edge_file, version, target=target)
    assert _dump(edge_file) == before
    assert roll_back(edge_file, NEXT, target=target) == []


@pytest.mark.slow
def test_a_dry_run_of_the_way_down_writes_nothing(edge_file: Path, tmp_path: Path) -> None:
    target = _with_way_down(tmp_path)
    migrate(edge_file, target=target)
    before = _dump(edge_file)
    assert [step.what for step in roll_back(edge_file, BASE, dry_run=True, target=target)] == [
        f"Take the schema from {NEXT} back to {BASE}."
    ]
    assert _dump(edge_file) == before
