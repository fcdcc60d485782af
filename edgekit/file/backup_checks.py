"""What is wrong with the backups of a file, and what to do about it, in plain words."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db, sqlite
from edgekit.file import backup_settings, noting
from edgekit.finding import Finding

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from edgekit.file.backup_settings import Settings
    from edgekit.file.noting import Noted

OLD = timedelta(days=3)
"""Without a backup for so long, somebody must be told."""

_NOW = "Make one now: edgekit backups run"
_AHEAD = timedelta(minutes=2)


def findings(connection: sqlite3.Connection, path: Path, now: datetime) -> Iterator[Finding]:
    """Look at the backups a file knows of and at its settings for them."""
    current = _settings(path)
    noted = noting.read_noted(connection)
    yield _age(connection, noted, now)
    yield from _failed(connection)
    yield from _gone(noted)
    if current is None:
        return
    if not current.enabled:
        yield Finding(
            "warning", "The daily backup is switched off.", "Switch it on: edgekit backups settings --on"
        )
    elif current.chosen and not current.folder.is_dir():
        yield Finding(
            "warning",
            f"The backup folder {current.folder} is not there.",
            "Connect its disk, or choose another: edgekit backups settings --folder FOLDER",
        )
    if current.second_folder is not None:
        yield from _second(current.second_folder, noted, now)
    if current.encrypt or any(one.is_encrypted for one in noted):
        yield from _kit(connection)


def _age(connection: sqlite3.Connection, noted: list[Noted], now: datetime) -> Finding:
    there = [one for one in noted if one.is_there() and one.made_at <= now + _AHEAD]
    if there:
        last = there[0]
        days = (now - last.made_at).days
        if now - last.made_at <= OLD:
            return Finding("ok", f"The last backup, of {last.made_at:%Y-%m-%d %H:%M} UTC, is {last.path}.")
        what = f"The last backup is {days} days old: {last.path}."
        return Finding("warning", what, f"{_NOW}; a runner makes one every day: edgekit runner start")
    if noted:
        what = f"No backup of this file can be found: the last one was {noted[0].path}."
        return Finding("warning", what, f"Connect the disk it is on. {_NOW}")
    (made,) = connection.execute("SELECT created_at FROM system").fetchone()
    what = "There is no backup of this file."
    if now - clock.from_text(made) > OLD:
        return Finding("warning", what, _NOW)
    return Finding("ok", what, _NOW)


def _failed(connection: sqlite3.Connection) -> Iterator[Finding]:
    last = connection.execute(
        "SELECT job_status, ended_at, error_message FROM job WHERE kind = ? AND ended_at IS NOT NULL"
        " AND job_status IN ('completed', 'failed') ORDER BY ended_at DESC LIMIT 1",
        (backup_settings.KIND,),
    ).fetchone()
    if last is not None and last[0] == "failed":
        yield Finding("warning", f"The last daily backup failed on {last[1][:10]}: {last[2]}", _NOW)


def _gone(noted: list[Noted]) -> Iterator[Finding]:
    """Speak of daily backups that are missing from folders which can be seen."""
    gone = [one for one in noted if one.origin == "daily" and not one.is_there() and one.path.parent.is_dir()]
    for folder in sorted({one.path.parent for one in gone}):
        missing = [one for one in gone if one.path.parent == folder]
        yield Finding(
            "warning",
            f"Backups were deleted by somebody, or replaced: {len(missing)} in {folder}, the last of"
            f" {missing[0].made_at:%Y-%m-%d}.",
            "See which: edgekit backups list",
        )


def _second(folder: Path, noted: list[Noted], now: datetime) -> Iterator[Finding]:
    copies = [one for one in noted if one.path.parent == folder.resolve()]
    if copies and now - copies[0].made_at <= OLD:
        yield Finding("ok", f"The last copy went to {folder} on {copies[0].made_at:%Y-%m-%d}.")
        return
    since = (
        f"the last copy went there on {copies[0].made_at:%Y-%m-%d}" if copies else "no copy ever went there"
    )
    state = "is there" if folder.is_dir() else "is not there"
    what = f"The second folder {folder} {state}, and {since}."
    yield Finding("warning", what, "Connect its disk, then: edgekit backups run")


def _kit(connection: sqlite3.Connection) -> Iterator[Finding]:
    newest = "SELECT recovery_kit_at FROM encryption_key WHERE purpose = 'data' ORDER BY id DESC LIMIT 1"
    made = connection.execute(newest).fetchone()
    if made is not None and made[0] is None:
        yield Finding(
            "warning",
            "The backups are encrypted, and there is no recovery kit: if this computer is lost, nothing opens"
            " them.",
            "Make one and keep it apart from this computer: edgekit vault recovery-kit FILE",
        )


def _settings(path: Path) -> Settings | None:
    """Read the settings of a file, which takes opening it; None where another is open."""
    with _opened(path) as is_open:
        return backup_settings.settings() if is_open else None


@contextmanager
def _opened(path: Path) -> Iterator[bool]:
    if db.is_open():
        yield db.current().path.resolve() == path.resolve()
        return
    with db.read(path, actor=sqlite.SYSTEM_USER):
        yield True
