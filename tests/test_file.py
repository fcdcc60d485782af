"""A file is created whole or not at all, opened with clear words, and written to inside a change."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import peewee
import pytest

import edgekit
from edgekit import binding, db, schema, sqlite
from edgekit.errors import (
    BusyError,
    ConflictError,
    CorruptError,
    DeniedError,
    InvalidError,
    MigrationNeededError,
    NotFoundError,
    RuleError,
    UnavailableError,
)
from edgekit.file import create as creating
from edgekit.file import places, placing
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Create


def test_a_created_file_is_sound(tmp_path: Path) -> None:
    path = edgekit.create(tmp_path / "a.db", organization="Smith & Sons", environment="staging")
    assert path == tmp_path / "a.db"
    assert _names(tmp_path) == ["a.db"]
    assert verify(path) == []
    with edgekit.open(path) as edge:
        assert edge.query("SELECT name FROM organization") == [{"name": "Smith & Sons"}]
        assert edge.query("SELECT code FROM environment e JOIN system s ON s.environment_id = e.id") == [
            {"code": "STAGING"}
        ]
        assert edge.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]


def test_an_existing_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("mine")
    with pytest.raises(ConflictError, match="already exists"):
        edgekit.create(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_text() == "mine"
    with pytest.raises(ConflictError, match="already exists"):
        edgekit.create(tmp_path)


def test_the_log_of_a_deleted_file_is_not_played_into_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "a.db-wal").write_bytes(b"left")
    with pytest.raises(ConflictError, match="left from a file that was deleted"):
        edgekit.create(tmp_path / "a.db")
    assert _names(tmp_path) == ["a.db-wal"]


def test_missing_folders_and_wrong_values_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        edgekit.create(tmp_path / "none" / "a.db")
    with pytest.raises(InvalidError, match="environment"):
        edgekit.create(tmp_path / "a.db", environment="moon")
    with pytest.raises(InvalidError, match="needs a name"):
        edgekit.create(tmp_path / "a.db", organization="  ")
    monkeypatch.setattr(places, "_file_system", lambda folder: "cifs")
    with pytest.raises(InvalidError, match="network folder"):
        edgekit.create(tmp_path / "a.db")
    assert _names(tmp_path) == []


def test_of_two_that_create_the_same_name_one_wins(tmp_path: Path) -> None:
    code = (
        "import sys, edgekit; sys.stdin.readline()\n"
        "try: edgekit.create(sys.argv[1], organization=sys.argv[2]); print('made')\n"
        "except edgekit.ConflictError as error: print('conflict')"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "a.db"), f"Agency {n}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for n in range(3)
    ]  # fmt: skip
    for process in running:  # all have imported; let them go together
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate()[0].strip() for process in running)
    assert said == ["conflict", "conflict", "made"]
    assert _names(tmp_path) == ["a.db"]
    assert verify(tmp_path / "a.db") == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, sqlite3.OperationalError, MemoryError])
def test_an_interrupted_create_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(creating.seeds, "apply_core", fail)
    with pytest.raises(error):
        edgekit.create(tmp_path / "a.db")
    assert _names(tmp_path) == []


def test_a_killed_create_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    code = (
        "import os, sys, edgekit; from edgekit.file import create, placing\n"
        "placing.publish = lambda *a: os._exit(9)\n"
        "create.create(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.db")], check=False)
    assert done.returncode == 9
    assert not (tmp_path / "a.db").exists()
    edgekit.create(tmp_path / "a.db")  # and nothing stands in the way


_LIMITED = """
import resource, signal, sys, edgekit
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    edgekit.create(sys.argv[1])
except edgekit.EdgekitError as error:
    print(error.exit_code, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file sizes")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path / "a.db")], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("7 ")
    assert _names(tmp_path) == []


def test_errors_of_the_disk_are_ours(tmp_path: Path) -> None:
    for number, kind in ((28, UnavailableError), (13, DeniedError), (30, DeniedError), (5, UnavailableError)):
        with pytest.raises(kind, match=str(tmp_path.name)), placing.workspace(tmp_path):
            raise OSError(number, "x")


# Open


def test_what_is_not_our_file_is_said_clearly(tmp_path: Path, edge_file: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no file"):
        edgekit.open(tmp_path / "none.db")
    with pytest.raises(NotFoundError, match="is a folder"):
        edgekit.open(tmp_path)
    (tmp_path / "empty.db").touch()
    with pytest.raises(CorruptError, match="not an edgekit file"):
        edgekit.open(tmp_path / "empty.db")
    assert (tmp_path / "empty.db").stat().st_size == 0
    (tmp_path / "text.db").write_text("a,b\n1,2\n" * 500)
    with pytest.raises(CorruptError, match="not an SQLite database"):
        edgekit.open(tmp_path / "text.db")
    connection = sqlite3.connect(tmp_path / "foreign.db")
    connection.execute("CREATE TABLE t(a)")
    connection.close()
    before = (tmp_path / "foreign.db").read_bytes()
    with pytest.raises(CorruptError, match="not an edgekit file"):
        edgekit.open(tmp_path / "foreign.db")
    assert (tmp_path / "foreign.db").read_bytes() == before
    assert not [name for name in _names(tmp_path) if name.endswith(("-wal", "-shm"))]


@pytest.mark.parametrize(
    ("version", "match"), [(schema.VERSION + 1, "this program knows"), (0, "this program needs")]
)
def test_another_schema_is_refused(
    edge_file: Path, shell: sqlite3.Connection, version: int, match: str
) -> None:
    shell.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(MigrationNeededError, match=match):
        edgekit.open(edge_file)
    with pytest.raises(NotFoundError):
        db.current()


def test_one_file_at_a_time(edge: db.Database, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="already open"):
        edgekit.open(edge.path)
    edge.close()
    with pytest.raises(NotFoundError, match="No file is open"):
        db.current()
    edgekit.open(edge.path).close()


def test_an_unknown_actor_is_not_found(edge_file: Path) -> None:
    with pytest.raises(NotFoundError, match="no user 'nobody-here'"):
        edgekit.open(edge_file, actor="nobody-here")
    with edgekit.open(edge_file, actor="SYSTEM") as edge:
        assert edge.actor == "system"


def test_a_login_without_a_user_is_noted(edge_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "maria")
    with edgekit.open(edge_file) as edge:
        assert edge.actor == "system"
        with edge.change(reason="work"):
            pass
        last = edge.query("SELECT actor, reason FROM audit_transaction ORDER BY id DESC LIMIT 1")
        assert last == [{"actor": "system", "reason": "work [login maria]"}]
        with edge.change():
            edge.connection().execute("INSERT INTO user(username) VALUES ('Maria')")
    with edgekit.open(edge_file) as edge:
        assert edge.actor == "Maria"
    monkeypatch.setattr(getpass, "getuser", lambda: (_ for _ in ()).throw(OSError("no login")))
    with edgekit.open(edge_file) as edge:
        assert edge.actor == "system"


def test_a_read_only_connection_writes_nothing_and_leaves_nothing(edge_file: Path) -> None:
    connection = sqlite.connect(edge_file, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("UPDATE system SET name = 'x'")
    connection.close()
    assert [name for name in _names(edge_file.parent) if name.startswith("edge.db")] == ["edge.db"]


# Change


def _name(edge: db.Database) -> object:
    return edge.query("SELECT name FROM system")[0]["name"]


def _set(edge: db.Database, name: str) -> None:
    edge.connection().execute("UPDATE system SET name = ?", (name,))


def test_a_change_has_an_actor_and_a_reason(edge: db.Database) -> None:
    with edge.change(reason="why", correlation_id="abc") as change:
        assert edge.open_change == change
        _set(edge, "new")
    assert edge.open_change is None
    assert _name(edge) == "new"
    row = edge.query("SELECT * FROM audit_transaction WHERE id = ?", (change.id,))[0]
    assert (row["actor"], row["correlation_id"], row["performed_at"]) == (edge.actor, "abc", change.at)
    assert row["open_gate"] is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whatever_interrupts_a_change_undoes_it(edge: db.Database, error: type[BaseException]) -> None:
    before, count = _name(edge), edge.query("SELECT count(*) AS n FROM audit_transaction")
    with pytest.raises(error), edge.change(reason="x"):
        _set(edge, "half")
        raise error
    assert _name(edge) == before
    assert edge.query("SELECT count(*) AS n FROM audit_transaction") == count
    assert edge.open_change is None
    with edge.change(reason="and it goes on"):
        _set(edge, "after")
    assert _name(edge) == "after"


def test_a_change_inside_a_change_is_a_savepoint(edge: db.Database) -> None:
    with edge.change(reason="outer") as outer:
        _set(edge, "kept")
        with pytest.raises(ValueError, match="inner"), edge.change(reason="ignored") as inner:
            assert inner == outer
            _set(edge, "lost")
            raise ValueError("inner")
        with db.change():
            edge.connection().execute("UPDATE organization SET name = 'also kept'")
    assert _name(edge) == "kept"
    assert edge.query("SELECT name FROM organization") == [{"name": "also kept"}]
    assert edge.query("SELECT count(*) AS n FROM audit_transaction WHERE reason LIKE 'outer%'") == [{"n": 1}]


def test_an_open_change_cannot_be_committed(edge_file: Path) -> None:
    connection = sqlite.connect(edge_file)
    connection.execute("BEGIN IMMEDIATE")
    change = sqlite.open_gate(connection, "system", reason="x")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("COMMIT")
    sqlite.close_gate(connection, change)
    connection.execute("COMMIT")
    connection.close()


def test_waiting_for_another_writer_ends(edge_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0)
    other = sqlite3.connect(edge_file, isolation_level=None)
    with edgekit.open(edge_file) as edge:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError) as caught, edge.change(reason="x"):
            raise AssertionError("never gets here")
        assert caught.value.hint
        assert edge.open_change is None
        assert _name(edge)  # reading never waits
        other.execute("ROLLBACK")
        with edge.change(reason="x"):
            _set(edge, "now")
    other.close()


class _Environment(peewee.Model):
    code = peewee.TextField()
    name = peewee.TextField()
    created_by = peewee.IntegerField()
    updated_by = peewee.IntegerField(null=True)

    class Meta:
        database = binding.proxy
        table_name = "environment"


def test_a_missing_reference_is_named(edge: db.Database) -> None:
    with pytest.raises(RuleError) as caught, edge.change():
        _Environment.insert(code="MOON", name="Moon", created_by=77).execute()
    assert (caught.value.table, caught.value.column, caught.value.rule) == (
        "environment",
        "created_by",
        "reference",
    )
    assert "no user with id 77" in caught.value.message
    with pytest.raises(RuleError) as caught, edge.change():
        rows = [{"code": f"C{n}", "name": "x", "created_by": 1 if n < 3 else 78} for n in range(5)]
        _Environment.insert_many(rows).execute()
    assert "78" in caught.value.message
    with pytest.raises(RuleError) as caught, edge.change():
        _Environment.update(updated_by=79).where(_Environment.id == 1).execute()
    assert "79" in caught.value.message
    used = 2  # the first is protected by a rule of its own
    with edge.change():
        edge.connection().execute("UPDATE system SET environment_id = ?", (used,))
    for delete in (
        _Environment.delete().where(_Environment.id == used).execute,
        _Environment.get_by_id(used).delete_instance,
    ):
        with pytest.raises(RuleError) as caught, edge.change():
            delete()
        assert (caught.value.table, caught.value.rule) == ("environment", "referenced")
        assert "system" in caught.value.message
    assert edge.query("SELECT count(*) AS n FROM environment WHERE code LIKE 'C_'") == [{"n": 0}]


def test_every_thread_has_its_connection(edge: db.Database) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                with db.change(reason=f"thread {number}") as change:
                    count = db.query("SELECT count(*) AS n FROM validation_message")[0][
                        "n"
                    ]  # read, then write
                    db.connection().execute(
                        "INSERT INTO validation_message(table_name, record_key, code, message)"
                        " VALUES ('t', ?, ?, 'm')",
                        (count, f"{number}.{turn}"),
                    )
                    assert db.current().open_change == change
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)
        finally:
            edge.connection().close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    keys = [
        int(row["record_key"]) for row in edge.query("SELECT record_key FROM validation_message ORDER BY id")
    ]
    assert keys == list(range(60))  # nobody wrote between another's read and write
    assert edge.query("SELECT count(*) AS n FROM audit_transaction WHERE open_gate IS NOT NULL") == [{"n": 0}]


def _fill(edge: db.Database) -> None:
    pages = edge.query("PRAGMA page_count")[0]["page_count"]
    edge.query(f"PRAGMA max_page_count = {pages + 3}")
    edge.connection().execute(
        "INSERT INTO validation_message(table_name, record_key, code, message) VALUES ('t', 'k', 'c', ?)",
        ("x" * 1_000_000,),
    )


def test_a_full_file_undoes_the_change(edge: db.Database) -> None:
    before = _name(edge)
    with pytest.raises(UnavailableError, match="disk is full"), edge.change():
        _set(edge, "x")
        with edge.change():
            _fill(edge)
    assert _name(edge) == before
    # SQLite decides whether a full disk undoes the statement or everything: do the latter in its place.
    with pytest.raises(UnavailableError, match="undid the whole change"), edge.change():
        _set(edge, "x")
        with contextlib.suppress(UnavailableError), edge.change():
            edge.connection().execute("ROLLBACK")
            raise UnavailableError("full")
    assert _name(edge) == before
    assert verify(edge.path) == []


def test_a_change_another_tool_left_open_is_closed_at_the_start(
    edge_file: Path, shell: sqlite3.Connection
) -> None:
    shell.execute("INSERT INTO audit_transaction(open_gate, actor) VALUES (1, 'x')")
    with edgekit.open(edge_file) as edge:
        assert edge.query("SELECT count(*) AS n FROM audit_transaction WHERE open_gate IS NOT NULL") == [
            {"n": 0}
        ]


def test_a_copied_file_opens_elsewhere(edge_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Büro 100% #1?"
    folder.mkdir()
    shutil.copyfile(edge_file, folder / "a b.db")
    with edgekit.open(folder / "a b.db") as edge:
        assert verify(edge.path) == []


@pytest.mark.parametrize("step", ["begin", "commit", "pop_transaction"])
def test_a_ctrl_c_between_a_statement_and_the_note_of_it_leaves_nothing_open(
    edge: db.Database, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real = getattr(edge._database, step)
    pressed = []

    def interrupted(*args: object, **kwargs: object) -> object:
        result = real(*args, **kwargs)
        if not pressed:
            pressed.append(step)
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(edge._database, step, interrupted)
        with edge.change(reason="first"):
            pass
    assert pressed
    assert not edge.connection().in_transaction
    assert edge.open_change is None
    with edge.change(reason="second") as change:
        assert edge.open_change is change
    assert edge.query("SELECT count(*) AS n FROM audit_transaction WHERE open_gate IS NOT NULL") == [{"n": 0}]
