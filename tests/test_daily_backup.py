"""A verified backup every day: kept as long as promised, deleted only behind a newer one, and told of."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import clock, configuration, jobs, models
from edgekit.cli import root
from edgekit.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    InvalidError,
    NotFoundError,
    VaultLockedError,
)
from edgekit.file import backup_settings, daily, kept, noting, placing
from edgekit.file.backup import backup
from edgekit.file.backup_checks import findings
from edgekit.file.backup_settings import set_settings, settings
from edgekit.file.restore import restore
from edgekit.models.events import IntegrationEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.db import Database

pytestmark = pytest.mark.usefixtures("standing")

NOW = datetime(2027, 3, 5, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _rows(edge: Database) -> list[dict[str, Any]]:
    return edge.query("SELECT * FROM backup ORDER BY id")


def _events(kind: str) -> list[dict[str, Any]]:
    rows = IntegrationEvent.select().where(IntegrationEvent.event_type == kind).order_by(IntegrationEvent.id)
    return [dict(row.event_payload) for row in rows]


def _made_of(edge: Database, folder: Path, at: datetime, origin: Any = "daily") -> Path:
    """Put an archive in place as a backup would, of some bytes."""
    archive = folder / "building"
    archive.write_bytes(os.urandom(40))
    target = folder / f"edge-{at:%Y-%m-%dT%H%M%SZ}.edgekit-backup.zip"
    noting.publish(edge.path, archive, target, origin=origin, encrypted=False, at=at)
    archive.unlink(missing_ok=True)
    return target


def test_a_backup_is_made_beside_the_file_noted_and_listed(edge: Database) -> None:
    made = daily.run(now=NOW)
    assert made.path == edge.path.parent / "edge-backups" / "edge-2027-03-05T123000Z.edgekit-backup.zip"
    assert (made.warnings, made.deleted, made.copied_to) == ((), (), None)
    (row,) = _rows(edge)
    assert (row["path"], row["origin"], row["bytes"]) == (
        str(made.path),
        "daily",
        made.path.stat().st_size,
    )
    assert row["sha256"] == made.sha256 == noting.digest(made.path)
    assert row["made_at"] == row["verified_at"] == "2027-03-05T12:30:00.000Z"
    (listed,) = kept.list_backups(now=NOW)
    assert (listed.path, listed.kept_as, listed.is_there) == (made.path, "daily", True)
    restored = restore(made.path, edge.path.parent / "again.db")
    assert restored.findings == []
    by_hand = backup(edge.path, edge.path.parent / "b.zip", now=NOW + DAY)
    assert [one.kept_as for one in kept.list_backups(now=NOW + DAY)] == ["manual", "daily"]
    assert _rows(edge)[1]["path"] == str(by_hand.path)


@pytest.mark.slow
def test_after_a_year_of_days_exactly_the_promised_ones_are_there(edge: Database) -> None:
    folder = settings().folder
    folder.mkdir()
    start = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
    for number in range(366):
        at = start + number * DAY
        path = _made_of(edge, folder, at)
        thinned = kept.thin(now=at)
        assert thinned.warnings == ()
        assert path.exists()
        assert len(thinned.deleted) <= 1
    days = [name[5:15] for name in _names(folder)]
    assert days == [
        "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30", "2026-07-31",
        "2026-08-31", "2026-09-30", "2026-10-31", "2026-11-29", "2026-11-30", "2026-12-06", "2026-12-13",
        "2026-12-20", "2026-12-26", "2026-12-27", "2026-12-28", "2026-12-29", "2026-12-30", "2026-12-31",
        "2027-01-01",
    ]  # fmt: skip
    listed = {f"{one.made_at:%Y-%m-%d}": one.kept_as for one in kept.list_backups(now=at)}
    assert sorted(listed) == days
    assert [listed[day] for day in days].count("monthly") == 11  # the first year has no more ends of a month
    assert all(row["pruned_at"] for row in _rows(edge) if row["path"].split("edge-")[-1][:10] not in days)


def test_a_second_folder_takes_a_copy_and_its_absence_is_a_warning(edge: Database, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    found, advice = set_settings({"second_folder": str(stick)})
    assert (found.second_folder, advice) == (stick, [])
    stick.rename(tmp_path / "pulled")
    first = daily.run(now=NOW)
    assert first.copied_to is None
    assert "is not there" in first.warnings[0]
    assert not stick.exists(), "the place of a stick is never filled instead"
    (tmp_path / "pulled").rename(stick)
    name = "edge-2027-03-06T123000Z.edgekit-backup.zip"
    (stick / name).write_text("another agency's, of a file of the same name")
    second = daily.run(now=NOW + DAY)
    assert (second.warnings, second.path.name) == ((), name)
    assert second.copied_to == stick / "edge-2027-03-06T123000Z-2.edgekit-backup.zip"
    assert second.copied_to.read_bytes() == second.path.read_bytes()
    assert (stick / name).read_text().startswith("another")
    assert len(_names(found.folder)) == 2
    second.copied_to.unlink()
    with pytest.raises(NotFoundError, match="None of the 1 backups that went") as refusal:
        backup_settings.ready(stick, make=False)  # as where the disk of a mount point is not connected
    assert "backups prune" in str(refusal.value.hint)
    assert kept.prune(now=NOW + DAY).forgotten == (second.copied_to,)
    backup_settings.ready(stick, make=False)


def test_two_backups_of_one_second_have_two_names(edge: Database) -> None:
    folder = settings().folder
    folder.mkdir()
    first = _made_of(edge, folder, NOW)
    again = daily.run(now=NOW)
    assert again.path == folder / "edge-2027-03-05T123000Z-2.edgekit-backup.zip"
    assert first.exists()
    assert [one.path for one in kept.list_backups(now=NOW)] == [again.path, first]


def test_a_network_drive_that_went_away_holds_nobody_up(
    edge: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share"
    set_settings({"second_folder": str(share), "encrypt": False})
    copy = _made_of(edge, share, NOW)
    forever, look = threading.Event(), placing._look

    def hang(folder: Path) -> str | None:
        if folder == share:
            forever.wait()
        return look(folder)

    monkeypatch.setattr(placing, "_look", hang)
    monkeypatch.setattr(placing, "ANSWER_SECONDS", 0.05)
    try:
        (listed,) = kept.list_backups(now=NOW)
        assert (listed.path, listed.is_there) == (copy, False)
        assert kept.thin(now=NOW) == kept.Thinned(())
        backup_settings.tell()
        said = [one.what for one in findings(edge.connection(), edge.path, NOW + 4 * DAY)]
        assert any(f"The second folder {share} does not answer" in what for what in said)
        with pytest.raises(NotFoundError, match="does not answer"):
            backup_settings.ready(share, make=False)
        with pytest.raises(edgekit.UnavailableError, match="does not answer"):
            set_settings({"folder": str(share)})
    finally:
        forever.set()
        placing._silent.clear()
    assert kept.list_backups(now=NOW)[0].is_there


def test_only_what_it_made_and_what_nobody_changed_is_deleted(edge: Database) -> None:
    set_settings({"keep_daily": 1, "keep_weekly": 0, "keep_monthly": 0})
    folder = settings().folder
    folder.mkdir()
    first = _made_of(edge, folder, NOW)
    by_hand = _made_of(edge, folder, NOW + timedelta(hours=1), origin="manual")
    (folder / "holiday.edgekit-backup.zip").write_text("not ours")
    (folder / "letter.txt").write_text("not ours")
    changed = _made_of(edge, folder, NOW + timedelta(hours=2))
    changed.write_bytes(b"x" * changed.stat().st_size)
    last = daily.run(now=NOW + DAY)
    assert last.deleted == (first,)
    assert "is not what was written, and stays" in last.warnings[0]
    assert {by_hand.name, changed.name, "letter.txt", "holiday.edgekit-backup.zip"} < set(_names(folder))


def test_nothing_is_deleted_where_the_newest_is_not_sound(edge: Database) -> None:
    set_settings({"keep_daily": 1, "keep_weekly": 0, "keep_monthly": 0})
    folder = settings().folder
    folder.mkdir()
    old = _made_of(edge, folder, NOW)
    new = _made_of(edge, folder, NOW + DAY)
    assert kept.prune(dry_run=True, now=NOW + DAY).deleted == (old,)
    assert old.exists()
    content = new.read_bytes()
    new.write_bytes(content[::-1])
    thinned = kept.prune(now=NOW + DAY)
    assert thinned.deleted == ()
    assert "no older backup is deleted" in thinned.warnings[0]
    new.write_bytes(content)
    assert kept.prune(now=NOW + DAY).deleted == (old,)
    assert kept.prune(now=NOW + DAY) == kept.Thinned(())


def test_a_failed_backup_deletes_nothing_and_leaves_nothing(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_settings({"keep_daily": 1, "keep_weekly": 0, "keep_monthly": 0})
    settings().folder.mkdir()
    first = _made_of(edge, settings().folder, NOW)
    before = _rows(edge)

    def fail(building: Path, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(placing, "publish", fail)
    with pytest.raises(edgekit.UnavailableError, match="the disk is full"):
        daily.run(now=NOW + DAY)
    assert _names(first.parent) == [first.name]
    assert _rows(edge) == before
    monkeypatch.undo()
    assert daily.run(now=NOW + DAY).deleted == (first,)


@pytest.mark.slow
def test_leavings_of_a_killed_backup_are_taken_away_after_a_day(edge: Database) -> None:
    daily.run(now=NOW)
    folder = settings().folder
    for name in (".edgekit-abcdefgh", ".edgekit-ijklmnop", ".edgekit-mine.d"):
        (folder / name).mkdir()
        (folder / name / "agency.db").write_text("half")
    old = (clock.now() - timedelta(days=2)).timestamp()
    os.utime(folder / ".edgekit-abcdefgh", (old, old))
    os.utime(folder / ".edgekit-mine.d", (old, old))
    daily.run(now=clock.now())
    left = [name for name in _names(folder) if name.startswith(".")]
    assert left == [".edgekit-ijklmnop", ".edgekit-mine.d"]


def test_settings_are_checked_where_they_are_made(edge: Database, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    assert set_settings({"folder": str(folder), "time": "7:05"})[0].time == "07:05"
    assert folder.is_dir()
    (tmp_path / "file").write_text("x")
    for wrong in (
        {"folder": str(tmp_path / "file")}, {"time": "24:00"}, {"timezone": "Europe/Atlantis"},
        {"second_folder": str(folder)}, {"keep_daily": 0},
    ):  # fmt: skip
        with pytest.raises(InvalidError):
            set_settings(wrong)
    with pytest.raises(VaultLockedError, match="no key yet"):
        set_settings({"encrypt": True})
    shutil.rmtree(folder)
    with pytest.raises(NotFoundError, match="is not there") as refusal:
        daily.run(now=NOW)
    assert "backups settings --folder" in str(refusal.value.hint)
    set_settings({}, clear=["folder"])
    settings().folder.write_text("in the way")
    with pytest.raises(InvalidError, match="is a file"):
        daily.run(now=NOW)
    settings().folder.unlink()
    assert settings().folder == tmp_path / "edge-backups"
    synced = tmp_path / "Dropbox"
    _, advice = set_settings({"folder": str(synced)})
    assert "Encrypt the backups" in advice[0]
    assert daily.run(now=NOW).path.parent == synced
    assert configuration.resolve("BACKUP_SETTINGS")["keep_weekly"] == 4


@pytest.mark.parametrize(
    ("zone", "time", "now", "due"),
    [
        ("UTC", "12:30", "2027-03-05T12:29Z", "2027-03-05T12:30Z"),
        ("UTC", "12:30", "2027-03-05T12:30Z", "2027-03-06T12:30Z"),
        ("America/Chicago", "12:30", "2027-03-13T20:00Z", "2027-03-14T17:30Z"),  # clocks go forward that day
        ("America/Chicago", "02:30", "2027-03-14T06:00Z", "2027-03-14T08:30Z"),  # which has no half past two
        ("America/Chicago", "01:30", "2027-11-07T05:00Z", "2027-11-07T06:30Z"),  # and this one has it twice
        ("America/Chicago", "01:30", "2027-11-07T06:30Z", "2027-11-08T07:30Z"),
        ("Pacific/Kiritimati", "00:00", "2027-12-31T09:59Z", "2027-12-31T10:00Z"),
    ],
)
def test_it_is_due_at_a_time_of_day_where_the_agency_is(
    edge: Database, zone: str, time: str, now: str, due: str
) -> None:
    set_settings({"timezone": zone, "time": time})
    found = backup_settings.next_time(datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(due)


def test_a_retired_type_leaves_what_it_stated(edge: Database) -> None:
    stated = configuration.find_type("BACKUP_SETTINGS").defaults
    assert stated == backup_settings.DEFAULTS
    before = settings()
    for status in (2, None):
        with edge.change(reason="retire"):
            if status is None:
                edge.connection().execute("DELETE FROM configuration_type WHERE code = 'BACKUP_SETTINGS'")
            else:
                edge.connection().execute(
                    "UPDATE configuration_type SET status_id = ? WHERE code = 'BACKUP_SETTINGS'", (status,)
                )
        assert settings() == before


def test_without_a_zone_the_time_is_this_computers(edge: Database) -> None:
    found = backup_settings.next_time(NOW).astimezone()
    assert (found.hour, found.minute) == (12, 30)
    configuration.set(
        "BACKUP_SETTINGS", "timezone", "Europe/Atlantis"
    )  # by a command that cannot know better
    assert backup_settings.next_time(NOW) == found
    assert any("no time zone" in sentence for sentence in backup_settings.tell()[1])


def _tick(now: datetime) -> list[jobs.Outcome]:
    """Do what a runner does with jobs at a moment."""
    jobs.ensure_standing(now)
    done = [jobs.perform(job) for job in jobs.claim("r", now=now) if job.kind == backup_settings.KIND]
    jobs.settle(done, now=now)
    return done


def test_the_job_makes_one_a_day_and_one_when_the_computer_was_off(edge: Database) -> None:
    set_settings({"timezone": "UTC"})
    assert _tick(NOW - DAY / 2) == []
    assert _tick(NOW) != []
    assert _tick(NOW + DAY / 2) == []
    assert len(_tick(NOW + 3 * DAY + timedelta(hours=5))) == 1, "three days off: one backup, at once"
    assert _tick(NOW + 3 * DAY + timedelta(hours=6)) == []
    assert [name[5:15] for name in _names(settings().folder)] == ["2027-03-05", "2027-03-08"]
    assert [event["path"] for event in _events("backup.completed")] == [row["path"] for row in _rows(edge)]
    set_settings({"enabled": False})
    assert len(_tick(NOW + 4 * DAY)) == 1
    assert len(_rows(edge)) == 2
    assert jobs.list_jobs(kind=backup_settings.KIND, status="completed", limit=1)[0].result is not None
    assert jobs.list_jobs(kind=backup_settings.KIND, status="open")[0].run_at == NOW + 5 * DAY


def test_a_final_failure_is_told_and_the_next_day_tried_again(edge: Database, tmp_path: Path) -> None:
    set_settings({"timezone": "UTC", "folder": str(tmp_path / "stick")})
    last = _made_of(edge, tmp_path / "stick", NOW)
    jobs.ensure_standing(NOW)
    shutil.move(tmp_path / "stick", tmp_path / "pulled")
    at, tries = NOW + DAY, 0
    while not (told := _events("backup.failed")):
        tries += len(_tick(at))
        at += timedelta(minutes=5)
    assert tries == 5
    assert timedelta(hours=1) < at - NOW - DAY < timedelta(hours=3), "a stick may be put in within the hour"
    assert "stick is not there" in told[0]["error"]
    assert (told[0]["code"], told[0]["last_backup"]) == ("unavailable", str(last))
    job = jobs.list_jobs(kind=backup_settings.KIND, status="failed")[0]
    assert "is not there" in str(job.error_message)
    shutil.move(tmp_path / "pulled", tmp_path / "stick")
    assert _tick(NOW + 2 * DAY)[0].error is None
    assert len(_names(tmp_path / "stick")) == 2


def test_a_full_disk_is_tried_again_the_same_day(edge: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    set_settings({"timezone": "UTC"})
    _tick(NOW - DAY / 2)
    real, calls = daily.run, []

    def run(**given: Any) -> daily.Made:
        calls.append(given)
        if len(calls) == 1:
            raise edgekit.UnavailableError("The disk is full.")
        return real(**given)

    monkeypatch.setattr(daily, "run", run)
    _tick(NOW)
    assert _events("backup.failed") == []
    assert _tick(NOW + timedelta(hours=1))[0].error is None
    assert len(calls) == 2


@pytest.mark.slow
def test_a_clock_that_was_a_year_ahead_does_not_stop_the_backups(edge: Database) -> None:
    set_settings({"timezone": "UTC"})
    _tick(NOW + 365 * DAY)
    _tick(NOW + 366 * DAY)
    assert _names(settings().folder) == ["edge-2028-03-05T123000Z.edgekit-backup.zip"]
    assert _tick(NOW - DAY / 2) == []
    assert len(_tick(NOW)) == 1
    assert [one.kept_as for one in kept.list_backups(now=NOW)] == ["ahead", "daily"]


def test_another_time_counts_for_the_next_one_already(edge: Database) -> None:
    set_settings({"timezone": "UTC"})
    jobs.ensure_standing(NOW)
    set_settings({"time": "18:00"}, now=NOW)
    (job,) = jobs.list_jobs(kind=backup_settings.KIND, status="open")
    assert job.run_at == NOW.replace(hour=18, minute=0)


@pytest.mark.slow
def test_a_backup_the_file_forgot_is_found_and_checked(edge: Database, tmp_path: Path) -> None:
    made = daily.run(now=NOW)
    edge.close()
    restore(made.path, edge.path, replace=True, now=NOW)
    with edgekit.open(edge.path) as again:
        assert _rows(again) == []
        (found,) = kept.list_backups(now=NOW)
        assert (found.path, found.kept_as, found.verified_at) == (made.path, "found", None)
        assert kept.check_backups(now=NOW + DAY) == [kept.Checked(made.path, None)]
        (known,) = kept.list_backups(now=NOW + DAY)
        assert (known.kept_as, known.verified_at, known.made_at) == ("daily", NOW + DAY, NOW)
        by_hand = backup(edge.path, made.path.parent, now=NOW + DAY).path
        again.connection().execute("DELETE FROM backup WHERE origin = 'manual'")
        assert kept.check_backups(made.path.parent, now=NOW + DAY)[1].problem is None
        assert [one.kept_as for one in kept.list_backups(now=NOW + DAY)] == ["manual", "daily"]
        by_hand.unlink()
        away = tmp_path / "put-away"
        away.mkdir()
        for copy in (away / made.path.name, made.path.with_name("keep.edgekit-backup.zip")):
            shutil.copyfile(made.path, copy)
            kept.verify_backup(copy, now=NOW + DAY)
            known = {one.path: one.kept_as for one in kept.list_backups(now=NOW + DAY)}
            assert known[copy] == "manual", "what a person put away is never deleted"
            copy.unlink()
        made.path.write_bytes(made.path.read_bytes()[:-100])
        with pytest.raises(CorruptError):
            kept.verify_backup(made.path)
        (checked,) = kept.check_backups(made.path.parent)
        assert "damaged" in str(checked.problem)
    edgekit.create(tmp_path / "other.db")
    other = backup(tmp_path / "other.db", tmp_path / "other.zip").path
    with edgekit.open(edge.path), pytest.raises(InvalidError, match="another file"):
        kept.verify_backup(other)


@pytest.mark.slow
def test_a_manual_backup_of_a_file_that_takes_no_note_is_made_all_the_same(edge_file: Path) -> None:
    shell = sqlite3.connect(edge_file, isolation_level=None)
    shell.execute("DROP TABLE backup")
    shell.close()
    assert backup(edge_file, edge_file.parent / "b.zip").path.exists()
    with pytest.raises((edgekit.EdgekitError, sqlite3.Error)):
        backup(edge_file, edge_file.parent / "c.zip", origin="daily")
    assert not (edge_file.parent / "c.zip").exists()


def test_users_who_do_not_see_the_whole_file_do_nothing_with_its_backups(edge: Database) -> None:
    with edge.change(reason="two"):
        other = models.Organization.create(code="OTHER", name="Other")
        models.User.create(username="bob", display_name="Bob", organization=other.id)
    daily.run(now=NOW)
    edge.close()
    with edgekit.open(edge.path, actor="bob") as theirs:
        assert theirs.query("SELECT * FROM backup") == []
        for act in (kept.list_backups, kept.prune, daily.run, backup_settings.tell, lambda: set_settings({})):
            with pytest.raises(DeniedError):
                act()


_LIMITED = """
import resource, signal, sys
import edgekit
from edgekit import jobs
from edgekit.file import daily
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with edgekit.open(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    try:
        daily.run()
    except edgekit.UnavailableError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file sizes")
def test_a_disk_that_is_full_is_said_in_one_line_and_nothing_is_left(edge: Database) -> None:
    first = daily.run(now=NOW - 400 * DAY).path
    before = _rows(edge)
    edge.close()
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(edge.path), "600000"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    assert done.stdout.startswith(f"{first.parent}: ")
    assert _names(first.parent) == [first.name]
    with edgekit.open(edge.path) as again:
        assert _rows(again) == before


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, on which there is too little room."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("no disk can be made here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_small_disk_is_full(edge: Database, full: Path) -> None:
    set_settings({"folder": str(full)})
    with pytest.raises(edgekit.UnavailableError) as refusal:
        daily.run(now=NOW)
    assert str(refusal.value) == f"{full}: the disk is full; nothing was written."
    assert (_names(full), _rows(edge)) == ([], [])
    set_settings({"second_folder": str(full)}, clear=["folder"])
    (full / "ballast").write_bytes(bytes(900_000))
    made = daily.run(now=NOW)
    assert (made.copied_to, _names(full)) == (None, ["ballast"])
    assert "the disk is full" in made.warnings[0]


PASSPHRASE = b"seven slow tugs pull the ferry"


def _command(*words: str, given: bytes = b"", ends: int = 0) -> str:
    done = CliRunner().invoke(root.edgekit, list(words), input=given, prog_name="edgekit")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == ends, done.output
    return done.output


@pytest.mark.slow
def test_from_a_fresh_folder_to_a_new_computer_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, drawer, stick = (tmp_path / name for name in ("office", "drawer", "stick"))
    office.mkdir()
    drawer.mkdir()
    monkeypatch.chdir(office)
    _command("init", "edgekit.db", "--organization", "Harbor Street")
    assert "no backup yet" in _command("backups", "list")
    _command("vault", "init")
    said = _command("backups", "settings", "--encrypt", "--second-folder", str(stick), "--at", "7:15")
    assert "every day at 07:15, in the time of this computer" in said
    _command("vault", "recovery-kit", str(drawer / "kit.json"), given=PASSPHRASE)
    made = json.loads(_command("backups", "run", "--json"))
    assert Path(made["copied_to"]).parent == stick
    (first, second) = json.loads(_command("backups", "list", "--json"))
    assert {first["kept_as"], second["kept_as"]} == {"daily"}
    line = next(line for line in _command("backups", "list").splitlines() if "Bring one back" in line)
    words = shlex.split(line.partition("edgekit ")[2])
    _command(*words[:-1], "again.db")
    assert "whole" in _command("backups", "check", made["path"])
    assert "nothing to delete" in _command("backups", "prune", "--yes")
    assert json.loads(_command("backups", "settings", "--json"))["keep_monthly"] == 12

    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "new-computer"))  # nothing is left but stick and kit
    monkeypatch.chdir(drawer)
    shutil.rmtree(office)
    office.mkdir()
    monkeypatch.chdir(office)
    assert "Bring the key, or give the recovery kit" in _command("restore", str(stick), "edgekit.db", ends=5)
    said = _command("restore", str(stick), "edgekit.db", "--kit", str(drawer / "kit.json"), given=PASSPHRASE)
    assert made["copied_to"] in said
    _command("vault", "recover", str(drawer / "kit.json"), given=PASSPHRASE)
    assert "Harbor Street" in _command("status")
    assert "found" in _command("backups", "list")
    said = _command("doctor")
    assert "error" not in said
    assert "Backups of this file that it does not know, as after restoring it: 1 in" in said
    assert "whole, and can be restored" in _command("backups", "check")
    said = _command("doctor")
    assert "does not know" not in said
    assert "can be found" not in said
    assert json.loads(_command("backups", "run", "--json"))["is_encrypted"] is True


@pytest.mark.slow
def test_of_a_folder_the_newest_backup_is_restored(edge: Database, tmp_path: Path) -> None:
    for number in range(2):
        made = daily.run(now=NOW + number * DAY)
    (made.path.parent / "notes.txt").write_text("x")
    done = restore(made.path.parent, tmp_path / "new.db")
    assert done.manifest is not None
    assert done.manifest.path == made.path
    with pytest.raises(NotFoundError, match="no backup in"):
        restore(tmp_path, tmp_path / "x.db")
    ahead = made.path.with_name("edge-2029-03-05T123000Z.edgekit-backup.zip")
    shutil.copyfile(made.path, ahead)
    renamed = made.path.with_name(made.path.name.replace("edge-", "renamed-").replace("Z.", "Z-2."))
    shutil.copyfile(made.path, renamed)
    done = restore(made.path.parent, tmp_path / "right.db", now=NOW + 2 * DAY)
    assert done.manifest is not None
    assert done.manifest.path == renamed, "of the same second the last, and not what a wrong clock dated"
    (tmp_path / "south").mkdir()
    edgekit.create(tmp_path / "south" / "edge.db", organization="South")
    other = backup(tmp_path / "south" / "edge.db", made.path.parent, now=NOW).path
    with pytest.raises(ConflictError, match="several files") as refusal:
        restore(made.path.parent, tmp_path / "x.db")
    assert f"{other.name} (South)" in refusal.value.message
