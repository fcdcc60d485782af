"""doctor() says in plain words what is wrong and what to do."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import clock, db, jobs, sqlite, vault
from edgekit.cli import root
from edgekit.errors import NotFoundError
from edgekit.file import doctor as module
from edgekit.file import kept, noting, places
from edgekit.file.backup_checks import findings
from edgekit.file.backup_settings import set_settings
from edgekit.file.doctor import Finding, doctor
from edgekit.runner.examining import examine
from edgekit.runner.process import lock

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from edgekit.jobs.job import Job


def _bad(path: Path) -> list[Finding]:
    return [finding for finding in doctor(path) if finding.severity != "ok"]


def _one(at: Path | list[Finding], severity: str, words: str) -> Finding:
    looked = at if isinstance(at, list) else doctor(at)
    found = [f for f in looked if f.severity == severity and words in f.what]
    assert len(found) == 1, looked
    assert found[0].do
    return found[0]


def _around(path: Path) -> list[Finding]:
    """Say what doctor says of where a file lives, which is quick."""
    return list(module._surroundings(path))


def _noted(path: Path, target: Path, at: datetime, *, origin: Any = "daily", encrypted: bool = False) -> Path:
    """Put an archive in place as a backup would, of some bytes."""
    target.parent.mkdir(exist_ok=True)
    archive = target.with_name("building")
    archive.write_bytes(target.name.encode())
    noting.publish(path, archive, target, origin=origin, encrypted=encrypted, at=at)
    archive.unlink(missing_ok=True)
    return target


def test_a_fresh_file_is_well(edge_file: Path) -> None:
    found = doctor(edge_file)
    assert {finding.severity for finding in found} == {"ok"}
    assert "edgekit backups run" in "".join(finding.do for finding in found)
    assert [p.name for p in edge_file.parent.iterdir()] == ["edge.db"]


def test_no_file_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        doctor(tmp_path / "none.db")


def test_what_is_not_our_file_is_a_finding(
    tmp_path: Path, shell: sqlite3.Connection, edge_file: Path
) -> None:
    (tmp_path / "text.db").write_text("hello " * 999)
    assert "not an SQLite database" in _one(tmp_path / "text.db", "error", "text.db").what
    shell.execute("PRAGMA user_version = 99")
    assert "newer edgekit" in _one(edge_file, "error", "schema 99").do


def test_findings_of_verify_come_first_with_a_remedy(edge_file: Path, shell: sqlite3.Connection) -> None:
    shell.execute("DROP TRIGGER status_active_kept_bu")
    shell.execute("ALTER TABLE vehicle ADD COLUMN mine TEXT")
    found = doctor(edge_file)
    assert [finding.severity for finding in found][:2] == ["error", "error"]
    assert found[-1].severity == "ok"
    assert "migrate" in _one(found, "error", "Trigger status_active_kept_bu").do
    assert "schema" in _one(found, "error", "column mine").do


def test_damage_says_restore(edge_file: Path) -> None:
    content = bytearray(edge_file.read_bytes())
    content[4096 * 3 : 4096 * 12] = b"\x00" * (4096 * 9)
    edge_file.write_bytes(content)
    assert any("restore" in finding.do for finding in _bad(edge_file))


def test_a_synchronised_and_a_network_folder(
    tmp_path: Path, edge_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "OneDrive - Agency"
    folder.mkdir()
    shutil.copyfile(edge_file, folder / "a.db")
    assert "Move the file out" in _one(_around(folder / "a.db"), "warning", "synchronised folder").do
    monkeypatch.setattr(places, "_file_system", lambda folder: "nfs4")
    assert "local disk" in _one(_around(edge_file), "error", "network folder").do


def test_a_large_log_and_a_full_disk(edge: db.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with edge.change(reason="x"):
        edge.connection().execute("UPDATE system SET name = 'x'")
    monkeypatch.setattr(module, "WAL_BYTES", 1000)
    assert "Close" in _one(_around(edge.path), "warning", "write-ahead log").do
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert "Free some space" in _one(_around(edge.path), "warning", "The disk has").do


def test_an_untracked_table_a_broken_view_and_leavings(edge_file: Path, shell: sqlite3.Connection) -> None:
    shell.execute("CREATE TABLE notes(a)")
    shell.execute("CREATE VIEW broken AS SELECT missing FROM notes")
    (edge_file.parent / ".edgekit-abc").mkdir()
    found = doctor(edge_file)
    assert _one(found, "warning", "Table notes is not tracked").do == "edgekit tables track notes"
    _one(found, "warning", "View broken cannot be read")
    _one(found, "warning", ".edgekit-abc")
    assert {finding.severity for finding in found} == {"warning", "ok"}


def test_what_cannot_be_written_is_said_once(edge_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "access", lambda path, how: path != edge_file.parent)
    found = [one for one in _around(edge_file) if one.severity != "ok"]
    assert "can be read but not written" in _one(found, "warning", "edge.db").what
    with closing(sqlite3.connect(":memory:")) as other:
        assert list(module._sqlite(other, edge_file)) == [], "its journal mode is not known then"


def test_a_clock_that_was_ahead(edge_file: Path, shell: sqlite3.Connection) -> None:
    ahead = clock.to_text(clock.now() + timedelta(days=2))
    shell.execute("INSERT INTO audit_transaction(actor, performed_at) VALUES ('x', ?)", (ahead,))
    assert "clock" in _one(edge_file, "warning", ahead).what


def test_a_stuck_run_and_waiting_records(edge_file: Path, shell: sqlite3.Connection) -> None:
    integration = shell.execute(
        "INSERT INTO integration(integration_name, integration_type_id, connection_config)"
        " SELECT 'vins', min(id), '{}' FROM integration_type RETURNING id"
    ).fetchone()[0]
    columns = "integration_id, uuid, execution_status, correlation_id, started_at"
    run = shell.execute(
        f"INSERT INTO integration_execution({columns}) VALUES (?, ?, 'running', 'c', ?) RETURNING id",
        (integration, "0" * 36, clock.now_text()),
    ).fetchone()[0]
    assert [one.severity for one in module._runs(shell, clock.now())] == ["ok"]
    later = doctor(edge_file, now=clock.now() + timedelta(hours=2))
    stuck = [finding for finding in later if f"Run {run} of vins" in finding.what]
    assert [finding.severity for finding in stuck] == ["warning"]
    assert "integrations run vins" in stuck[0].do


def test_the_master_key_is_checked(edge_file: Path, tmp_path: Path) -> None:
    with edgekit.open(edge_file) as edge:
        with edge.change(reason="vault"):
            vault.init()
        assert _bad(edge_file) == []  # also while it is open
    assert _bad(edge_file) == []
    (tmp_path / "home").rename(tmp_path / "gone")
    assert "vault" in _one(edge_file, "error", "No master key").do


def test_a_file_never_put_into_wal_is_said(edge_file: Path, shell: sqlite3.Connection) -> None:
    shell.execute("PRAGMA journal_mode = DELETE")
    do = _one(edge_file, "warning", "journal mode delete").do
    assert "WAL" in do
    done = CliRunner().invoke(root.edgekit, ["--db", str(edge_file), *do.rpartition("edgekit ")[2].split()])
    assert done.exit_code == 0
    shell.execute("SELECT 1 FROM system")
    assert shell.execute("PRAGMA journal_mode").fetchone() == ("wal",), "what it advises helps"


NOW = clock.now()


def _sick(path: Path, now: datetime | None = None) -> list[str]:
    """Say what is not well with the backups, and with what should happen by itself."""
    with closing(sqlite.connect(path, read_only=True)) as connection:
        looked = [check(connection, path, now or clock.now()) for check in (findings, examine)]
        found = [finding for each in looked for finding in each if finding.severity != "ok"]
    assert all(finding.do for finding in found)
    return [finding.what for finding in found]


def test_three_days_without_a_backup_are_a_warning(edge_file: Path, tmp_path: Path) -> None:
    assert _sick(edge_file) == []
    assert _sick(edge_file, NOW + timedelta(days=4)) == ["There is no backup of this file."]
    by_hand = _noted(edge_file, tmp_path / "by-hand.zip", NOW, origin="manual")
    assert _sick(edge_file, NOW + timedelta(days=2)) == []
    (old,) = _sick(edge_file, NOW + timedelta(days=5))
    assert "5 days old" in old
    by_hand.rename(tmp_path / "away.zip")
    (gone,) = _sick(edge_file, NOW)
    assert "No backup of this file can be found" in gone


@pytest.mark.slow
def test_deleted_backups_a_missing_folder_and_a_stick_left_at_home(edge_file: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    with edgekit.open(edge_file):
        set_settings({"second_folder": str(stick)})
    for number in range(2):
        for folder in (stick, tmp_path / "edge-backups"):
            _noted(edge_file, folder / f"{number}.edgekit-backup.zip", NOW + timedelta(days=number))
    first = tmp_path / "edge-backups" / "0.edgekit-backup.zip"
    assert _sick(edge_file, NOW + timedelta(days=1)) == []
    stick.rename(tmp_path / "pulled")
    assert _sick(edge_file, NOW + timedelta(days=1)) == []
    late = _sick(edge_file, NOW + timedelta(days=5))
    assert late[1].startswith(f"The second folder {stick} is not there, and the last copy went there on")
    (tmp_path / "pulled").rename(stick)
    first.unlink()
    (deleted,) = _sick(edge_file, NOW + timedelta(days=1))
    assert deleted.startswith(f"Backups are not in {first.parent} any more: 1, the last of")
    with edgekit.open(edge_file):
        assert kept.prune(dry_run=True).forgotten == (first,)
    done = CliRunner().invoke(root.edgekit, ["--db", str(edge_file), "backups", "prune"])
    assert f"Not there, and forgotten: {first}" in done.stdout
    assert _sick(edge_file, NOW + timedelta(days=1)) == [], "what it advises helps"
    first.parent.rename(tmp_path / "elsewhere")
    assert _sick(edge_file, NOW + timedelta(days=1)) == [], "the copies are there, and it is made anew"
    with edgekit.open(edge_file):
        set_settings({"folder": str(tmp_path / "disk")})
    (tmp_path / "disk").rmdir()
    (missing,) = _sick(edge_file, NOW + timedelta(days=1))
    assert missing == f"The backup folder {tmp_path / 'disk'} is not there."
    with edgekit.open(edge_file):
        jobs.settle([jobs.perform(job) for job in _due_backup()], now=NOW + timedelta(days=1))
        set_settings({"enabled": False})
    failed, off = _sick(edge_file, NOW + timedelta(days=1))
    _noted(edge_file, tmp_path / "edge-backups" / "2.edgekit-backup.zip", NOW + timedelta(days=1, hours=1))
    assert _sick(edge_file, NOW + timedelta(days=2)) == [off], "one was made since"
    assert failed.startswith(f"The last daily backup failed on {NOW + timedelta(days=1):%Y-%m-%d}: The")
    assert "switched off" in off


def _due_backup() -> list[Job]:
    jobs.enqueue("backup.daily", max_attempts=1, now=NOW)
    return jobs.claim("r", now=NOW)


def test_encrypted_backups_ask_for_a_recovery_kit(
    edge: db.Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    vault.init()
    set_settings({"encrypt": True})
    _noted(edge.path, edge.path.parent / "sealed", NOW, encrypted=True)
    assert ["recovery kit" in what for what in _sick(edge.path)] == [True]
    vault.make_kit(tmp_path_factory.mktemp("drawer") / "kit.json", "a long enough passphrase")
    assert _sick(edge.path) == []


def _integration(shell: sqlite3.Connection) -> None:
    shell.execute(
        "INSERT INTO integration(integration_name, integration_type_id, connection_config)"
        " SELECT 'vins', min(id), '{}' FROM integration_type"
    )


def _schedule(shell: sqlite3.Connection) -> datetime:
    """Make a schedule that is due every night at three, and return when next."""
    _integration(shell)
    three = NOW.replace(hour=3, minute=0, second=0, microsecond=0)
    due = three if three > NOW else three + timedelta(days=1)
    shell.execute(
        "INSERT INTO integration_schedule(schedule_name, integration_id, schedule_type, cron_expression,"
        " next_run_at) SELECT 'nightly', id, 'cron', '0 3 * * *', ? FROM integration",
        (clock.to_text(due),),
    )
    return due


def test_schedules_without_a_runner_and_one_that_died(edge_file: Path, shell: sqlite3.Connection) -> None:
    assert _sick(edge_file) == []
    _schedule(shell)
    assert any("No runner is at work" in what for what in _sick(edge_file))
    shell.execute(
        "INSERT INTO runner_session(runner_id, process_id, app_version, started_at)"
        " VALUES ('r', 1, '1', '2026-11-01T06:00:00.000Z')"
    )
    assert any("2026-11-01T06:00:00.000Z is gone without a word" in what for what in _sick(edge_file))
    with edgekit.open(edge_file), lock.hold(edge_file):
        assert not any("runner" in what for what in _sick(edge_file))


def test_a_due_time_without_a_row(edge_file: Path, shell: sqlite3.Connection) -> None:
    three = _schedule(shell)
    before, after = _sick(edge_file, NOW), _sick(edge_file, three + timedelta(days=2))
    assert not any("no row" in what for what in before)
    assert [what.startswith("nightly was due 2 times since") for what in after].count(True) == 1


def test_jobs_that_are_stuck_late_or_failed(edge_file: Path, shell: sqlite3.Connection) -> None:
    early = clock.to_text(NOW - timedelta(hours=3))
    columns = "uuid, kind, correlation_id, job_status, run_at, runner_id, claimed_at, ended_at, error_message"
    for number, values in enumerate((
        ("t.a", "c", "running", early, "r", early, None, None),
        ("t.b", "c", "pending", early, None, None, None, None),
        ("t.c", "c", "failed", early, None, None, early, "no"),
    )):  # fmt: skip
        shell.execute(
            f"INSERT INTO job({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (f"{number:036d}", *values)
        )
    found = _sick(edge_file)
    assert [what[:30] for what in found] == [
        "Job 1 (t.a) is said to run sin",
        "Jobs that were due wait: 1, th",
        "Jobs that failed for good in t",
    ]


def test_a_place_that_is_left_alone_and_events_nobody_got(edge_file: Path, shell: sqlite3.Connection) -> None:
    _integration(shell)
    shell.execute(
        "INSERT INTO circuit_breaker(integration_id, target, breaker_status, failure_count, opened_at,"
        " retry_at) SELECT id, 'https://vins.example', 'open', 5, '2026-11-01T06:00:00.000Z',"
        " '2099-11-01T06:00:00.000Z' FROM integration"
    )
    shell.execute(
        "INSERT INTO event_subscription(code, name, handler_kind) VALUES ('CRM', 'The CRM', 'webhook')"
    )
    shell.execute(
        "INSERT INTO integration_event(uuid, event_type, event_source_id, event_payload, correlation_id)"
        " SELECT printf('%036d', 1), 'policy.bound', min(id), '{}', 'c' FROM event_source"
    )
    shell.execute(
        "INSERT INTO event_delivery(event_id, subscription_id, idempotency_key, delivery_status, settled_at,"
        " error_message) SELECT e.id, s.id, 'k', 'failed', e.created_at, 'no' FROM integration_event e,"
        " event_subscription s WHERE s.code = 'CRM'"
    )
    open_one, lost = _sick(edge_file)
    assert "https://vins.example failed 5 times in a row, and vins leaves it alone until 2099" in open_one
    assert lost == "Events that could not be delivered to CRM: 1."


def test_a_clock_that_was_set_back(edge_file: Path, shell: sqlite3.Connection) -> None:
    late, early = (clock.to_text(NOW - timedelta(hours=hours)) for hours in (2, 8))
    for at in (late, early):
        shell.execute("INSERT INTO audit_transaction(actor, performed_at) VALUES ('x', ?)", (at,))
    assert f"a change of {early} came after one of {late}" in _one(edge_file, "warning", "set back").what
    assert list(module._set_back(shell, NOW + timedelta(days=9))) == []


def test_the_checks_of_higher_words_are_made_too(edge_file: Path, shell: sqlite3.Connection) -> None:
    _schedule(shell)
    done = CliRunner().invoke(root.edgekit, ["--db", str(edge_file), "doctor"])
    assert done.exit_code == 0
    assert "warning  No runner is at work" in done.output
    assert "edgekit runner start" in done.output
