"""The old part of the log: archived by year, pruned behind a signed record, read back with its archives."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import edgekit
from edgekit import audit, schema, sqlite, vault
from edgekit.audit import archives, pruning, seals
from edgekit.errors import ConflictError, CorruptError, InvalidError, NotFoundError
from edgekit.file import sealing
from edgekit.file.backup import backup
from edgekit.file.restore import restore
from edgekit.file.verify import examine, examine_log, verify

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

YEARS = (2023, 2024, 2025)


def connect(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite.connect(path))


def at(path: Path, moment: str, *statements: str) -> None:
    """Make a change as of a moment that is long past."""
    with connect(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        change = connection.execute(
            "INSERT INTO audit_transaction(open_gate, actor, reason, performed_at)"
            " VALUES (1, 'maria', 'then', ?)",
            (moment,),
        ).lastrowid
        for statement in statements:
            connection.execute(statement)
        connection.execute("UPDATE audit_transaction SET open_gate = NULL WHERE id = ?", (change,))
        connection.execute("COMMIT")


@pytest.fixture(scope="module")
def old_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that was used for three years, and in which today nothing happened but its making."""
    path = edgekit.create(tmp_path_factory.mktemp("old") / "edge.db")
    with connect(path) as connection:  # the rows the file began with are of its first year
        for name, sql in connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE name = 'audit_transaction_kept_bu'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
            connection.execute("UPDATE audit_transaction SET performed_at = '2022-12-31T23:59:59.999Z'")
            connection.execute(sql)
    for year in YEARS:
        at(
            path, f"{year}-01-01T00:00:00.000Z",
            f"INSERT INTO vehicle(make) VALUES ('a{year}'), ('b{year}')",
            "UPDATE organization SET name = name || '.' WHERE id = 1",
        )  # fmt: skip
        at(
            path, f"{year}-12-31T23:59:59.999Z",
            f"UPDATE vehicle SET make = 'c{year}' WHERE make = 'a{year}'",
            f"DELETE FROM vehicle WHERE make = 'b{year}'",
        )  # fmt: skip
    return path


@pytest.fixture
def old(tmp_path: Path, old_pattern: Path) -> Path:
    path = tmp_path / "edge.db"
    shutil.copyfile(old_pattern, path)
    return path


def seqs(path: Path) -> list[int]:
    with connect(path) as connection:
        return [seq for (seq,) in connection.execute("SELECT seq FROM audit_log ORDER BY seq")]


# Pruning


def test_a_pruned_file_is_sound_and_says_so(old: Path) -> None:
    before = seqs(old)
    done = sealing.prune(old, before="2025-01-01")
    left = seqs(old)
    assert done.entries == len(before) - len(left) > 10
    report = examine(old)
    assert report.findings == []
    assert f"The log is pruned up to entry {done.floor_seq}." in report.facts
    with connect(old) as connection:
        assert left[-1] == before[-1]
        times = connection.execute(
            "SELECT min(x.performed_at) FROM audit_log l JOIN audit_transaction x ON x.id = l.txn_id"
            " JOIN audit_table t ON t.id = l.table_id WHERE t.name NOT IN (SELECT value FROM json_each(?))",
            (json.dumps(pruning.KEPT),),
        ).fetchone()
        assert times == ("2025-01-01T00:00:00.000Z",)
        who = connection.execute("SELECT actor, reason FROM audit_transaction ORDER BY id DESC LIMIT 1")
        assert who.fetchone() == ("system", "audit prune before 2025-01-01T00:00:00.000Z")


def test_pruning_twice_and_nothing_new(old: Path) -> None:
    first = sealing.prune(old, before="2024-01-01")
    second = sealing.prune(old, before="2025-01-01")
    again = sealing.prune(old, before="2025-01-01")
    assert second.floor_seq > first.floor_seq
    assert (again.entries, again.changes, again.floor_seq) == (0, 0, second.floor_seq)
    assert verify(old) == []
    at(old, "2026-01-02T00:00:00.000Z", "DELETE FROM vehicle WHERE make = 'c2023'")
    assert verify(old) == []
    sealing.seal(old)
    assert verify(old) == []


def test_everything_may_be_pruned_but_the_last_entry(old: Path) -> None:
    last = seqs(old)[-1]
    sealing.prune(old, before="2026-01-01")
    with connect(old) as connection:
        (left,) = connection.execute("SELECT max(seq) FROM audit_log").fetchone()
        assert left == last
    at(old, "2026-01-02T00:00:00.000Z", "INSERT INTO vehicle(make) VALUES ('new')")
    assert seqs(old)[-1] == last + 1
    sealing.prune(old, before="2026-02-01")
    assert verify(old) == []


def test_the_history_of_versioned_tables_stays(old: Path) -> None:
    with connect(old) as connection:
        table = (
            "SELECT l.seq FROM audit_log l JOIN audit_table t ON t.id = l.table_id WHERE t.name = 'system'"
        )
        kept = connection.execute(table).fetchall()
    sealing.prune(old, before="2026-01-01")
    with connect(old) as connection:
        assert connection.execute(table).fetchall() == kept
        name = "audit_log_kept_bd"
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
    named = re.findall(r"'(\w+)'", sql[sql.index("name IN (") :].split(")")[0])
    assert tuple(named) == pruning.KEPT


def test_a_prune_is_signed(old: Path) -> None:
    with edgekit.open(old):
        vault.init()
    sealing.prune(old, before="2025-01-01")
    with connect(old) as connection:
        last = seals.last(connection)
        assert last is not None
        assert (last.kind, last.key is not None) == ("prune", True)
        assert json.loads(last.note or "")["before"] == "2025-01-01T00:00:00.000Z"
    assert verify(old) == []


def test_a_dry_run_changes_nothing(old: Path) -> None:
    before = old.read_bytes()
    plan = sealing.prune(old, before="2025-01-01", dry_run=True)
    assert old.read_bytes() == before
    assert sealing.prune(old, before="2025-01-01").entries == plan.entries


STRAY = [
    "DELETE FROM audit_log WHERE seq = (SELECT min(seq) FROM audit_log)",
    "DELETE FROM audit_log",
    "DELETE FROM audit_transaction",
    "DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log)",
]


@pytest.mark.ledger("S1-42")
@pytest.mark.parametrize("statement", STRAY)
def test_no_stray_delete_uses_the_floor(old: Path, statement: str) -> None:
    sealing.seal(old)
    sealing.prune(old, before="2023-06-01")
    with connect(old) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for open_gate in (False, True):
            if open_gate:
                sqlite.open_gate(connection, "system", reason="audit prune before 2026-01-01")
            with pytest.raises(sqlite3.IntegrityError, match="append_only"):
                connection.execute(statement)
        connection.execute("ROLLBACK")


def test_evidence_is_not_pruned(old: Path) -> None:
    sealing.seal(old)
    with connect(old) as connection:
        connection.execute("DROP TRIGGER audit_log_kept_bu")
        connection.execute("UPDATE audit_log SET record_key = 9 WHERE seq = 4")
    with pytest.raises(CorruptError, match="Entry 4 of the log is not what was sealed"):
        sealing.prune(old, before="2025-01-01")


def test_what_is_wrong_after_a_prune_is_found(old: Path) -> None:
    sealing.prune(old, before="2025-01-01")
    with connect(old) as connection:
        made = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
            " AND tbl_name IN ('vehicle', 'audit_log')"
        ).fetchall()
        for name, _ in made:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("INSERT INTO vehicle(id, make) VALUES (70, 'x')")
        connection.execute("DELETE FROM vehicle WHERE make = 'c2023'")
        connection.execute("UPDATE vehicle SET make = 'x' WHERE make = 'c2024'")
        connection.execute("UPDATE audit_log SET record_key = 2 WHERE seq = (SELECT min(seq) FROM audit_log)")
        for _, sql in made:
            connection.execute(sql)
    found = "\n".join(verify(old))
    for sentence in (
        "vehicle row 70 is there, but not by the log",
        "vehicle row 1 is gone, but not by the log",
        "vehicle row 3 was changed past the log",
        "What was kept of the log up to entry",
    ):
        assert sentence in found


def test_the_past_before_the_floor_is_refused_clearly(old: Path) -> None:
    sealing.prune(old, before="2025-01-01")
    with connect(old) as connection:
        with pytest.raises(NotFoundError, match="pruned up to 2024-12-31"):
            audit.as_of(connection, "2024-06-01", "vehicle")
        assert [row["make"] for row in audit.as_of(connection, "2025-06-01", "vehicle")] == [
            "c2023", "c2024", "a2025", "b2025",
        ]  # fmt: skip
        assert audit.as_of(connection, "2024-06-01", "system")
        with audit.attached(connection, audit.find_archives(old)):
            assert [row["make"] for row in audit.as_of(connection, "2024-06-01", "vehicle")] == [
                "c2023", "a2024", "b2024",
            ]  # fmt: skip
    command = [sys.executable, "-m", "edgekit", "--db", str(old), "audit", "as-of", "2024-06-01", "vehicle"]
    alone = subprocess.run(command, capture_output=True, text=True, check=False)
    assert alone.returncode == 3
    assert "audit as-of --archives" in alone.stderr
    with_them = subprocess.run([*command, "--archives"], capture_output=True, text=True, check=True)
    assert "b2024" in with_them.stdout


def test_a_pruned_file_is_backed_up_and_restored(old: Path, tmp_path: Path) -> None:
    sealing.prune(old, before="2025-01-01")
    made = backup(old, tmp_path / "made.zip")
    assert made.findings == []
    assert restore(made.path, tmp_path / "again.db").findings == []


def test_how_much_to_keep_can_be_kept_in_the_file(old: Path) -> None:
    now = seals.clock.from_text("2026-03-01T00:00:00Z")
    with pytest.raises(InvalidError, match="Nothing says how much"):
        sealing.prune(old, now=now)
    at(old, "2026-02-01T00:00:00.000Z", "UPDATE system SET log_retention_years = 1")
    assert sealing.prune(old, now=now, dry_run=True).before == "2025-01-01T00:00:00.000Z"
    assert sealing.prune(old, keep_years=0, now=now, dry_run=True).before == "2026-01-01T00:00:00.000Z"


def test_bad_requests_to_prune(old: Path) -> None:
    with pytest.raises(InvalidError, match="still to come"):
        sealing.prune(old, before="2999-01-01")
    with pytest.raises(InvalidError, match="no time with its zone"):
        sealing.prune(old, before="soon")
    with pytest.raises(InvalidError, match="not both"):
        sealing.prune(old, before="2025-01-01", keep_years=1)
    with pytest.raises(NotFoundError, match="no user 'nobody'"):
        sealing.prune(old, before="2025-01-01", actor="nobody")
    with pytest.raises(NotFoundError, match="no folder"):
        sealing.prune(old, before="2025-01-01", folder="nowhere")


# Archives


@pytest.mark.ledger("S2-29", "C-98")
def test_each_calendar_year_has_its_archive(old: Path) -> None:
    total = len(seqs(old))
    done = sealing.archive(old, before="2026-01-01")
    assert [one.year for one in done] == [2022, *YEARS]
    assert sum(one.added for one in done) == total
    for one, year in zip(done[1:], YEARS, strict=True):
        assert one.path == str(old.with_name(f"edge-audit-{year}.db"))
        with closing(sqlite3.connect(one.path)) as archive:
            spans = archive.execute(
                "SELECT min(performed_at), max(performed_at) FROM audit_transaction"
            ).fetchone()
            assert spans == (f"{year}-01-01T00:00:00.000Z", f"{year}-12-31T23:59:59.999Z")
            assert archive.execute("SELECT count(*) FROM audit_log").fetchone() == (one.entries,)
    assert [one.added for one in sealing.archive(old, before="2026-01-01")] == [0, 0, 0, 0]
    assert seqs(old) == list(range(1, total + 1))


@pytest.mark.ledger("S1-43")
def test_archives_grow_month_by_month_with_what_the_integrations_logged(old: Path) -> None:
    with connect(old) as connection:
        connection.execute("PRAGMA foreign_keys = 0")
        for name in ("integration_log_direct_insert", "integration_log_organization_bi"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.executemany(
            "INSERT INTO integration_log(integration_id, request_type, correlation_id, created_at)"
            " VALUES (1, 'x', 'c', ?)",
            [(f"2025-{month:02d}-28T10:00:00.000Z",) for month in range(1, 13)],
        )
    march = sealing.archive(old, now=seals.clock.from_text("2025-04-17T00:00:00Z"))
    assert (march[-1].year, march[-1].logged) == (2025, 3)
    all_of_it = sealing.archive(old, now=seals.clock.from_text("2026-01-01T00:00:00Z"))
    assert all_of_it[-1].logged == 9
    with closing(sqlite3.connect(all_of_it[-1].path)) as archive:
        assert archive.execute("SELECT count(*) FROM integration_log").fetchone() == (12,)


LOGGED = [f"{year}-{month:02d}-28T10:00:00.000Z" for year in YEARS for month in (1, 7)]
LOGGED_IN = ["integration_log", "metric_sample", "webhook_receipt"]
SAMPLE = "INSERT INTO metric_sample(metric, value, sampled_at) VALUES ('m', 1, '{}')"


def logged(path: Path) -> dict[str, int]:
    with connect(path) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in LOGGED_IN
        }


@pytest.fixture
def noted(old: Path) -> Path:
    """A file that has requests and figures of all its years."""
    at(
        old, "2025-12-31T23:59:59.999Z",
        "INSERT INTO integration(integration_name, connection_config, integration_type_id)"
        " SELECT 'files', '{}', id FROM integration_type LIMIT 1",
        *(
            "INSERT INTO integration_log(integration_id, request_type, correlation_id, created_at)"
            f" VALUES (1, 'x', 'c', '{moment}')"
            for moment in LOGGED
        ),
        *(SAMPLE.format(moment) for moment in LOGGED),
        *(
            "INSERT INTO webhook_receipt(integration_id, event_id, body, received_at)"
            f" VALUES (1, '{moment}', '{{}}', '{moment}')"
            for moment in LOGGED
        ),
    )  # fmt: skip
    return old


@pytest.mark.ledger("S2-29", "S1-43")
def test_what_integrations_logged_and_measured_is_pruned_and_still_read(noted: Path) -> None:
    plan = sealing.prune(noted, before="2025-01-01", dry_run=True)
    done = sealing.prune(noted, before="2025-01-01")
    assert plan.logged == done.logged == dict.fromkeys(LOGGED_IN, 4)
    assert logged(noted) == dict.fromkeys(LOGGED_IN, 2)
    assert verify(noted) == []
    with closing(sqlite.connect(noted, read_only=True)) as connection:
        with audit.attached(connection, audit.find_archives(noted)):
            for table, column in (
                ("integration_log", "created_at"),
                ("metric_sample", "sampled_at"),
                ("webhook_receipt", "received_at"),
            ):
                found = connection.execute(f"SELECT {column} FROM {table} ORDER BY id").fetchall()
                assert [moment for (moment,) in found] == LOGGED
        note = connection.execute("SELECT note FROM audit_seal ORDER BY id DESC LIMIT 1").fetchone()[0]
    assert json.loads(note)["logged"] == done.logged
    assert sealing.prune(noted, before="2025-01-01").logged == dict.fromkeys(done.logged, 0)
    # The rest goes where nothing of the log itself can go: the floor stays, the chain holds.
    done = sealing.prune(noted, before="2025-06-01")
    later = sealing.prune(noted, before="2025-12-01")
    assert (later.floor_seq, later.logged) == (done.floor_seq, dict.fromkeys(done.logged, 1))
    assert verify(noted) == []
    with closing(sqlite.connect(noted, read_only=True)) as connection:
        found = audit.entries(connection, table="vehicle", archives=audit.find_archives(noted))
        assert len(found) == 12


@pytest.mark.parametrize("table", LOGGED_IN)
def test_nothing_logged_goes_but_behind_a_prune_record_of_the_same_change(noted: Path, table: str) -> None:
    def deleted(*statements: str) -> None:
        with pytest.raises(sqlite3.IntegrityError, match=f"Rows of {table} are only ever added"):
            at(noted, "2026-01-01T00:00:00.000Z", *statements, f"DELETE FROM {table} WHERE id = 6")

    deleted()
    sealing.prune(noted, before="2025-06-01")
    deleted()  # the record is of another change
    with connect(noted) as connection, pytest.raises(sqlite3.IntegrityError, match="only ever added"):
        connection.execute(f"DELETE FROM {table}")
    record = (
        "INSERT INTO audit_seal(id, kind, site, first_seq, last_seq, first_txn, last_txn, floor_seq,"
        " floor_txn, txn_id, entries_sha256, note, previous_sha256, sha256) SELECT id + 1, 'prune', site,"
        " last_seq + 1, last_seq, last_txn + 1, last_txn, floor_seq, floor_txn,"
        " (SELECT max(id) FROM audit_transaction),"
        ' sha256, \'{"before": "2025-07-01"}\', sha256, sha256 FROM audit_seal ORDER BY id DESC LIMIT 1'
    )
    deleted(record)  # younger than what the record says
    assert logged(noted)[table] == 1


def test_a_row_that_came_after_the_copy_is_not_pruned(noted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = archives.archive

    def copied(connection: sqlite3.Connection, *rest: Any) -> list[archives.Archived]:
        done = copy(connection, *rest)
        at(noted, "2026-01-01T00:00:00.000Z", SAMPLE.format("2023-05-05T00:00:00.000Z"))
        return done

    monkeypatch.setattr(archives, "archive", copied)
    assert sealing.prune(noted, before="2025-01-01").logged["metric_sample"] == 4
    monkeypatch.undo()
    assert sealing.prune(noted, before="2025-01-01").logged["metric_sample"] == 1


@pytest.mark.ledger("S2-29")
def test_one_query_reads_the_file_and_its_archives(old: Path) -> None:
    with connect(old) as connection:
        before = audit.entries(connection, limit=None)
    sealing.prune(old, before="2025-01-01")
    with closing(sqlite.connect(old, read_only=True)) as connection:
        assert len(audit.entries(connection, limit=None)) < len(before)
        found = audit.entries(connection, limit=None, archives=audit.find_archives(old))
        then = [entry for entry in found if entry.reason != "audit prune before 2025-01-01T00:00:00.000Z"]
        assert then == before
        some = audit.entries(
            connection, table="vehicle", since="2024-01-01", actor="maria", archives=audit.find_archives(old)
        )
        assert {entry.performed_at[:4] for entry in some} == {"2024", "2025"}
        with pytest.raises(sqlite3.OperationalError):  # read-only as it was
            connection.execute("DELETE FROM vehicle")


@pytest.mark.ledger("S2-29")
def test_what_was_pruned_is_checked_in_its_archives(old: Path) -> None:
    sealing.prune(old, before="2025-01-01")
    found = audit.find_archives(old)
    sound = examine_log(old, archives=found)
    held = [fact for fact in sound.facts if fact.startswith("The archives hold")]
    assert sound.findings == []
    (_, count, total) = re.findall(r"\d+|hold", held[0])
    assert count == total != "0"
    some = examine_log(old, archives=found[1:2])  # of what is in no archive given, nothing is wrong
    assert some.findings == []
    assert f"of the {total} sealed parts" in some.facts[-1]
    assert f"hold {count} of" not in some.facts[-1]

    def tampered(*statements: str) -> list[str]:
        copy = found[2].with_name("copy.db")
        shutil.copyfile(found[2], copy)
        with closing(sqlite3.connect(copy)) as archive, archive:
            for statement in statements:
                archive.execute(statement)
        return examine_log(old, archives=[*found[:2], copy]).findings

    with closing(sqlite3.connect(found[2])) as archive:
        (seq,) = archive.execute("SELECT max(seq) FROM audit_log WHERE action = 'U'").fetchone()
    assert tampered(f"UPDATE audit_log SET changes = '{{\"make\": [1, 2]}}' WHERE seq = {seq}") == [
        f"The archives: Entry {seq} of the log is not what was sealed (seal {_seal_of(old, seq)})."
    ]
    assert tampered(f"DELETE FROM audit_log WHERE seq = {seq}") == [
        f"The archives: Entry {seq} of the log is missing, which seal {_seal_of(old, seq)} covers."
    ]
    assert "or changes" in tampered("UPDATE audit_transaction SET actor = 'eve' WHERE actor = 'maria'")[0]


def _seal_of(path: Path, seq: int) -> int:
    with connect(path) as connection:
        found = connection.execute(
            "SELECT id FROM audit_seal WHERE kind = 'entries' AND ? BETWEEN first_seq AND last_seq", (seq,)
        )
        return int(found.fetchone()[0])


def test_archives_that_are_none_are_refused(old: Path, tmp_path: Path) -> None:
    other = edgekit.create(tmp_path / "other.db")
    (tmp_path / "text.db").write_text("hello" * 100)
    sealing.archive(old, before="2026-01-01")
    (first, *_) = audit.find_archives(old)
    with connect(old) as connection:
        with pytest.raises(InvalidError, match="10 archives are too many"):
            audit.entries(connection, archives=[tmp_path / f"{number}.db" for number in range(10)])
        once = audit.entries(connection, archives=[first])
        assert audit.entries(connection, archives=[first] * 10) == once, "one named twice counts once"
        with pytest.raises(NotFoundError, match="no archive"):
            audit.entries(connection, archives=[tmp_path / "none.db"])
        for path in (old, tmp_path / "text.db"):
            with pytest.raises(CorruptError, match="is no archive"):
                audit.entries(connection, archives=[path])
        assert len(audit.entries(connection)) == 100
    with connect(other) as connection, pytest.raises(ConflictError, match="another file"):
        audit.entries(connection, archives=[first])
    with pytest.raises(CorruptError, match="not an edgekit file"):
        edgekit.open(first)
    assert schema.APPLICATION_ID != archives.APPLICATION_ID


def test_an_archive_in_the_way_is_not_touched(old: Path, tmp_path: Path) -> None:
    sealing.archive(old, before="2023-01-01")
    path = archives.archive_path(old, 2022)
    with closing(sqlite3.connect(path, isolation_level=None)) as archive:
        archive.execute("UPDATE audit_log SET record_key = 99 WHERE seq = 2")
    with pytest.raises(ConflictError, match="other entries under the numbers"):
        sealing.prune(old, before="2024-01-01")
    path.unlink()
    shutil.copyfile(old, path)
    with pytest.raises(CorruptError, match="is no archive"):
        sealing.archive(old, before="2024-01-01")
    path.write_text("hello " * 1000)
    with pytest.raises(CorruptError, match="is no archive"):
        sealing.archive(old, before="2024-01-01")
    assert len(seqs(old)) == seqs(old)[-1]


KILLS = {
    "before the copy is committed": "edgekit.audit.archives._copy_log",
    "between copy and prune": "edgekit.audit.pruning.prune",
    "before the prune is recorded": "edgekit.audit.seals.append",
    "before the prune is committed": "edgekit.sqlite.close_gate",
}


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize("place", KILLS)
def test_kill_9_loses_nothing_and_repeats_nothing(old: Path, place: str) -> None:
    sealing.seal(old)
    with connect(old) as connection:
        before = audit.entries(connection, limit=None)
    module, _, name = KILLS[place].rpartition(".")
    program = (
        f"import os, signal, {module} as module\n"
        "from edgekit.file import sealing\n"
        f"module.{name} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"sealing.prune({str(old)!r}, before='2025-01-01')\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert verify(old) == []
    with connect(old) as connection:
        assert audit.entries(connection, limit=None) == before
    sealing.prune(old, before="2025-01-01")
    assert verify(old) == []
    with connect(old) as connection:
        found = audit.entries(connection, limit=None, archives=audit.find_archives(old))
    assert found == before


def run(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgekit", "--db", str(path), "audit", *words]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)


def test_the_commands(old: Path) -> None:
    plan: dict[str, Any] = json.loads(
        run(old, "prune", "--before", "2025-01-01", "--dry-run", "--json").stdout
    )
    asked = run(old, "prune", "--before", "2025-01-01")
    assert asked.returncode == 130  # nobody there to say yes
    done = json.loads(run(old, "prune", "--before", "2025-01-01", "--yes", "--json").stdout)
    assert done["entries"] == plan["entries"] > 0
    log = json.loads(run(old, "log", "--archives", "--limit", "10000", "--json").stdout)
    assert {entry["performed_at"][:4] for entry in log} >= {"2022", "2023", "2024", "2025"}
    assert "edge-audit-2025.db" in run(old, "archive").stdout
    checked = run(old, "verify", "--archives")
    assert (checked.returncode, "The archives hold" in checked.stdout) == (0, True)
    bad = run(old, "prune", "--keep-years", "-1")
    assert bad.returncode == 2
    bad = run(old, "prune")
    assert (bad.returncode, bad.stderr.splitlines()[0]) == (
        4,
        "error: Nothing says how much of the log to keep.",
    )
