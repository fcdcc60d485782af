"""A backup is whole while others write, proves itself and restores exactly; or nothing is written."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit import db, schema, sqlite
from edgekit.errors import (
    BusyError,
    ConflictError,
    CorruptError,
    MigrationNeededError,
    NotFoundError,
    UnavailableError,
)
from edgekit.file import placing, sealing
from edgekit.file.backup import DATABASE, MANIFEST, Manifest, backup, read_manifest
from edgekit.file.restore import restore
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 11, 19, 5, tzinfo=UTC)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def pattern_backup(pattern_file: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup of the fresh file, made once."""
    folder = tmp_path_factory.mktemp("backup")
    shutil.copyfile(pattern_file, folder / "edge.db")  # a backup seals the file first
    return backup(folder / "edge.db", folder).path.read_bytes()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def _rename_system(path: Path, name: str) -> None:
    with edgekit.open(path) as edge, edge.change(reason="rename"):
        edge.connection().execute("UPDATE system SET name = ?", (name,))


def test_a_backup_restores_to_the_same_rows(edge_file: Path, out: Path) -> None:
    _rename_system(edge_file, "Über & Sons")
    sealing.seal(edge_file)
    before = _dump(edge_file)
    manifest = backup(edge_file, out / "b.zip")
    assert _names(out) == ["b.zip"]
    restored = restore(out / "b.zip", out / "again.db")
    assert restored.manifest == manifest
    assert restored.findings == []
    assert restored.schema == schema.VERSION
    assert restored.moved_aside is None
    assert _names(out) == ["again.db", "b.zip"]
    assert verify(out / "again.db") == []
    assert _dump(out / "again.db") == before
    with edgekit.open(out / "again.db") as edge:
        assert edge.query("SELECT name FROM system") == [{"name": "Über & Sons"}]
        assert edge.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]


def test_the_manifest_says_what_is_in_it(edge: db.Database, out: Path) -> None:
    with edge.change(reason="x"):
        edge.connection().execute(
            "INSERT INTO audit_log(txn_id, table_id, record_key, action) VALUES (1, 1, 1, 'I')"
        )
    made = backup(edge.path, out, now=NOW)
    assert made.path == out / "edge-2026-11-21T111905Z.edgekit-backup.zip"
    assert read_manifest(made.path) == made
    assert made.site == edge.site
    assert made.organization == "Test Agency"
    assert made.created_at == "2026-11-21T11:19:05.000Z"
    assert made.rows["status"] == edge.query("SELECT count(*) AS n FROM status")[0]["n"]
    assert made.log is not None
    noted = "SELECT max(seq) - 1 AS n FROM audit_log"  # the note that it was made comes after it
    assert made.log["seq"] == edge.query(noted)[0]["n"]
    with zipfile.ZipFile(made.path) as archive:
        assert sorted(archive.namelist()) == [DATABASE, MANIFEST]
        assert json.loads(archive.read(MANIFEST))["database"]["bytes"] == archive.getinfo(DATABASE).file_size


def test_nothing_is_ever_overwritten(edge_file: Path, out: Path) -> None:
    backup(edge_file, out / "b.zip")
    before = (out / "b.zip").read_bytes()
    with pytest.raises(ConflictError, match="already exists"):
        backup(edge_file, out / "b.zip")
    with pytest.raises(ConflictError, match="already exists"):
        restore(out / "b.zip", edge_file)
    assert (out / "b.zip").read_bytes() == before
    assert verify(edge_file) == []


def test_the_name_taken_at_the_last_moment_is_kept(
    edge_file: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = placing.publish

    def late(building: Path, path: Path) -> None:
        path.write_text("another program was quicker")
        real(building, path)

    monkeypatch.setattr(placing, "publish", late)
    with pytest.raises(ConflictError, match="another program"):
        backup(edge_file, out / "b.zip")
    assert (out / "b.zip").read_text() == "another program was quicker"
    assert _names(out) == ["b.zip"]


def test_a_backup_is_consistent_while_others_write(edge_file: Path, out: Path) -> None:
    stop = threading.Event()
    written = threading.Event()

    def write() -> None:
        connection = sqlite.connect(edge_file)
        number = 0
        while not stop.is_set():
            number += 1
            connection.execute("BEGIN IMMEDIATE")
            change = sqlite.open_gate(connection, "system", reason="load")
            connection.executemany(
                "INSERT INTO validation_message(table_name, record_key, code, message)"
                " VALUES ('t', ?, 'c', ?)",
                [(number, "x" * 500)] * 20,
            )
            sqlite.close_gate(connection, change)
            connection.execute("COMMIT")
            written.set()
            stop.wait(0.005)  # often enough, and the file stays small
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert written.wait(10)
        for n in range(2):
            made = backup(edge_file, out / f"{n}.zip")
            assert made.findings == []
            assert made.rows["validation_message"] % 20 == 0
    finally:
        stop.set()
        thread.join()
    restore(out / "1.zip", out / "r.db")
    assert verify(out / "r.db") == []


def test_backing_up_leaves_the_opened_file_alone(edge: db.Database, out: Path) -> None:
    with edge.change(reason="before"):
        edge.connection().execute("UPDATE system SET name = 'before'")
    backup(edge.path, out)
    with edge.change(reason="after"):
        edge.connection().execute("UPDATE system SET name = 'after'")
    code = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT name FROM system'))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(edge.path)], capture_output=True, text=True, check=True
    )
    assert "after" in done.stdout


def test_a_row_against_a_rule_is_noted_and_still_backed_up(edge_file: Path, out: Path) -> None:
    connection = sqlite3.connect(edge_file, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = 1")
    connection.execute("INSERT INTO audit_transaction(open_gate) VALUES (1)")  # the guards leave it to SQLite
    connection.execute("UPDATE environment SET name = ''")
    connection.execute("UPDATE audit_transaction SET open_gate = NULL WHERE open_gate = 1")
    connection.close()
    assert any("CHECK" in sentence for sentence in backup(edge_file, out / "b.zip").findings)
    assert restore(out / "b.zip", out / "r.db").findings


def test_a_damaged_file_is_not_backed_up(edge_file: Path, out: Path) -> None:
    content = bytearray(edge_file.read_bytes())
    content[8192 : 8192 * 4] = b"\x5a" * (8192 * 3)
    edge_file.write_bytes(content)
    with pytest.raises(CorruptError):
        backup(edge_file, out / "b.zip")
    assert _names(out) == []


def test_wrong_sources_and_places_are_named(edge_file: Path, out: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        backup(out / "none.db", out / "b.zip")
    with pytest.raises(NotFoundError, match="no folder"):
        backup(edge_file, out / "none" / "b.zip")
    with pytest.raises(NotFoundError, match="no backup"):
        restore(out / "none.zip", out / "r.db")
    backup(edge_file, out / "b.zip")
    with pytest.raises(NotFoundError, match="no folder"):
        restore(out / "b.zip", out / "none" / "r.db")
    with pytest.raises(ConflictError, match="is a folder"):
        restore(out / "b.zip", out)
    assert _names(out) == ["b.zip"]


@pytest.mark.parametrize("name", ["x.zip", "x.db"])
@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04 hello" * 40, b"SQLite format 3\x00" + b"\x00" * 5000]
)
def test_what_is_no_backup_is_refused(out: Path, name: str, content: bytes) -> None:
    (out / name).write_bytes(content)
    with pytest.raises(CorruptError):
        restore(out / name, out / "r.db")
    assert _names(out) == [name]


def test_a_foreign_archive_and_a_foreign_database_are_refused(out: Path) -> None:
    with zipfile.ZipFile(out / "x.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CorruptError, match="not an edgekit backup"):
        restore(out / "x.zip", out / "r.db")
    connection = sqlite3.connect(out / "x.db")
    connection.execute("CREATE TABLE t(a)")
    connection.close()
    with pytest.raises(CorruptError, match="not an edgekit file"):
        restore(out / "x.db", out / "r.db")
    assert _names(out) == ["x.db", "x.zip"]


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_archive_never_restores(
    edge_file: Path, out: Path, pattern_backup: bytes, seed: int
) -> None:
    rng = random.Random(seed)
    content = bytearray(pattern_backup)
    if seed % 5 == 0:
        del content[rng.randrange(len(content)) :]
    else:
        at = rng.randrange(len(content))
        content[at] ^= 1 << rng.randrange(8)
    (out / "b.zip").write_bytes(content)
    try:
        restore(out / "b.zip", out / "r.db")
    except (CorruptError, MigrationNeededError):
        assert _names(out) == ["b.zip"]
    else:  # a bit of a date in the archive's own headers
        assert _dump(out / "r.db") == _dump(edge_file)


def _rewrite(path: Path, **changed: object) -> None:
    with zipfile.ZipFile(path) as archive:
        manifest, content = json.loads(archive.read(MANIFEST)), archive.read(DATABASE)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps({**manifest, **changed}))
        archive.writestr(DATABASE, content)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"format": "edgekit-backup/2"}, MigrationNeededError),
        ({"schema": schema.VERSION + 1}, MigrationNeededError),
        ({"format": "something/1"}, CorruptError),
        ({"database": {"sha256": "0" * 64, "bytes": 10**9}}, CorruptError),
        ({"database": {"sha256": "0" * 64, "bytes": 10}}, CorruptError),
        ({"database": None}, CorruptError),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    out: Path, pattern_backup: bytes, changed: dict[str, object], error: type[Exception]
) -> None:
    (out / "b.zip").write_bytes(pattern_backup)
    _rewrite(out / "b.zip", **changed)
    with pytest.raises(error):
        restore(out / "b.zip", out / "r.db")
    assert _names(out) == ["b.zip"]


def test_a_database_that_was_exchanged_is_refused(edge_file: Path, out: Path) -> None:
    made = backup(edge_file, out / "b.zip")
    with zipfile.ZipFile(out / "b.zip") as archive:
        content = bytearray(archive.read(DATABASE))
    assert content.count(b"Test Agency") > 0
    with zipfile.ZipFile(out / "x.zip", "w") as archive:  # sound as an archive, and as a database
        archive.writestr(MANIFEST, made.to_json())
        archive.writestr(DATABASE, content.replace(b"Test Agency", b"Best Agency"))
    with pytest.raises(CorruptError, match="not what was backed up"):
        restore(out / "x.zip", out / "r.db")
    assert _names(out) == ["b.zip", "x.zip"]


def test_a_plain_copy_restores_too(edge: db.Database, out: Path) -> None:
    restored = restore(edge.path, out / "r.db")  # even one in use
    assert restored.manifest is None
    assert verify(out / "r.db") == []


def test_replacing_moves_the_old_file_aside(edge_file: Path, out: Path) -> None:
    backup(edge_file, out / "b.zip")
    _rename_system(edge_file, "newer")
    restored = restore(out / "b.zip", edge_file, replace=True, now=NOW)
    assert restored.moved_aside == edge_file.with_name("edge.before-restore-2026-11-21T111905Z.db")
    assert "newer" in "".join(_dump(restored.moved_aside))
    assert "newer" not in "".join(_dump(edge_file))
    assert not any(path.name.endswith(("-wal", "-shm")) for path in edge_file.parent.iterdir())


def test_replacing_a_file_in_use_is_refused(edge: db.Database, out: Path) -> None:
    backup(edge.path, out / "b.zip")
    with pytest.raises(BusyError, match="is in use"):
        restore(out / "b.zip", edge.path, replace=True)
    with edge.change(reason="still ours"):
        edge.connection().execute("UPDATE system SET name = 'still ours'")
    assert verify(edge.path) == []
    assert not list(edge.path.parent.glob("*before*"))


def test_replacing_a_file_another_process_has_open_is_refused(edge_file: Path, out: Path) -> None:
    backup(edge_file, out / "b.zip")
    code = "import edgekit,sys; edgekit.open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(edge_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"open"
        with pytest.raises(BusyError):
            restore(out / "b.zip", edge_file, replace=True)
        other.communicate(b"")
    assert restore(out / "b.zip", edge_file, replace=True).moved_aside is not None


def test_a_damaged_file_can_be_replaced(edge_file: Path, out: Path) -> None:
    backup(edge_file, out / "b.zip")
    edge_file.write_bytes(b"\xff" * 40000)
    edge_file.with_name("edge.db-wal").write_bytes(b"what was written last")
    restored = restore(out / "b.zip", edge_file, replace=True)
    assert restored.moved_aside is not None
    assert restored.moved_aside.read_bytes() == b"\xff" * 40000
    assert not edge_file.with_name("edge.db-wal").exists()
    assert verify(edge_file) == []


def test_a_stale_log_beside_an_empty_place_is_not_played_in(edge_file: Path, out: Path) -> None:
    backup(edge_file, out / "b.zip")
    (out / "r.db-wal").write_bytes(b"x" * 100)
    with pytest.raises(ConflictError, match="left from a file"):
        restore(out / "b.zip", out / "r.db")
    restore(out / "b.zip", out / "r.db", replace=True, now=NOW)
    assert _names(out) == ["b.zip", "r.before-restore-2026-11-21T111905Z.db-wal", "r.db"]


def test_a_failed_replacement_puts_the_old_file_back(
    edge_file: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(edge_file, out / "b.zip")
    _rename_system(edge_file, "newer")

    def fail(building: Path, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(placing, "publish", fail)
    with pytest.raises(UnavailableError, match="full"):
        restore(out / "b.zip", edge_file, replace=True)
    assert "newer" in "".join(_dump(edge_file))
    assert not list(edge_file.parent.glob("*before*"))


_LIMITED = """
import resource, signal, sys
from pathlib import Path
import edgekit.file.backup, edgekit.file.restore
from edgekit.errors import UnavailableError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
function = edgekit.file.backup.backup if sys.argv[2] == "backup" else edgekit.file.restore.restore
try:
    function(sys.argv[3], sys.argv[4])
except UnavailableError as error:
    print(error.exit_code, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file sizes")
@pytest.mark.parametrize("limit", [10_000, 400_000])
@pytest.mark.parametrize("what", ["backup", "restore"])
def test_a_full_disk_leaves_nothing(edge_file: Path, out: Path, limit: int, what: str) -> None:
    with edgekit.open(edge_file) as edge, edge.change(reason="grow"):
        edge.connection().execute(
            "INSERT INTO validation_message(table_name, record_key, code, message) VALUES ('t', 'k', 'c', ?)",
            (os.urandom(500_000).hex(),),
        )
    archive = out.parent / "b.zip"
    backup(edge_file, archive)
    source = edge_file if what == "backup" else archive
    target = out / ("b.zip" if what == "backup" else "r.db")
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(limit), what, str(source), str(target)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.startswith("7 ")
    assert _names(out) == []
    assert verify(edge_file) == []


def test_the_copy_has_the_rights_of_the_original(edge_file: Path, out: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has other rights")
    edge_file.chmod(0o600)
    made: Manifest = backup(edge_file, out)
    assert made.path.stat().st_mode & 0o777 == 0o600
