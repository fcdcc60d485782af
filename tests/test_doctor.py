"""doctor() says in plain words what is wrong and what to do."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit import clock, db, vault
from edgekit.errors import NotFoundError
from edgekit.file import doctor as module
from edgekit.file import places
from edgekit.file.doctor import Finding, doctor

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def _bad(path: Path) -> list[Finding]:
    return [finding for finding in doctor(path) if finding.severity != "ok"]


def _one(path: Path, severity: str, words: str) -> Finding:
    found = [f for f in doctor(path) if f.severity == severity and words in f.what]
    assert len(found) == 1, doctor(path)
    assert found[0].do
    return found[0]


def test_a_fresh_file_is_well(edge_file: Path) -> None:
    assert _bad(edge_file) == []
    assert "edgekit backup" in "".join(finding.do for finding in doctor(edge_file))
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
    assert "migrate" in _one(edge_file, "error", "Trigger status_active_kept_bu").do
    assert "schema" in _one(edge_file, "error", "column mine").do


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
    edgekit.create(folder / "a.db")
    assert "Move the file out" in _one(folder / "a.db", "warning", "synchronised folder").do
    monkeypatch.setattr(places, "_file_system", lambda folder: "nfs4")
    assert "local disk" in _one(edge_file, "error", "network folder").do


def test_a_large_log_and_a_full_disk(edge: db.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with edge.change(reason="x"):
        edge.connection().execute("UPDATE system SET name = 'x'")
    monkeypatch.setattr(module, "WAL_BYTES", 1000)
    assert "Close" in _one(edge.path, "warning", "write-ahead log").do
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert "Free some space" in _one(edge.path, "warning", "The disk has").do


def test_an_untracked_table_a_broken_view_and_leavings(edge_file: Path, shell: sqlite3.Connection) -> None:
    shell.execute("CREATE TABLE notes(a)")
    shell.execute("CREATE VIEW broken AS SELECT missing FROM notes")
    (edge_file.parent / ".edgekit-abc").mkdir()
    assert _one(edge_file, "warning", "Table notes is not tracked").do == "edgekit tables track notes"
    _one(edge_file, "warning", "View broken cannot be read")
    _one(edge_file, "warning", ".edgekit-abc")
    assert all(finding.severity == "warning" for finding in _bad(edge_file))


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
    assert _bad(edge_file) == []
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
    assert "WAL" in _one(edge_file, "warning", "journal mode delete").do
