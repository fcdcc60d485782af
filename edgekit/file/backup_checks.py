"""What is wrong with the backups of a file, and what to do about it, in plain words."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db, sqlite
from edgekit.file import backup_settings, noting, placing
from edgekit.finding import Finding

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from edgekit.file.backup_settings import Settings
    from edgekit.file.kept import Kept
    from edgekit.file.noting import Noted

OLD = timedelta(days=3)
"""Without a backup for so long, somebody must be told."""

_NOW = "Make one now: edgekit backups run"
_AHEAD = timedelta(minutes=2)


def findings(connection: sqlite3.Connection, path: Path, now: datetime) -> Iterator[Finding]:
    """Look at the backups a file knows of and at its settings for them."""
    current = _settings(path)
    noted = noting.read_noted(connection)
    unknown = _unknown(connection, current, noted)
    yield from _age(connection, noted, now, is_known=not unknown)
    yield from _found(unknown)
    yield from _failed(connection, noted)
    if current is not None:
        yield from _gone(noted, current, unknown, now)
    if current is None:
        return
    if not current.enabled:
        yield Finding(
            "warning", "The daily backup is switched off.", "Switch it on: edgekit backups settings --on"
        )
    elif current.chosen and (why := placing.missing(current.folder)):
        yield Finding(
            "warning",
            f"The backup folder {current.folder} {why}.",
            "Connect its disk, or choose another: edgekit backups settings --folder FOLDER",
        )
    spoken_of = {one.path.parent for one in unknown}
    if current.second_folder is not None and current.second_folder not in spoken_of:
        yield from _second(current.second_folder, noted, now)
    if current.encrypt or any(one.is_encrypted for one in noted):
        yield from _kit(connection)


def _unknown(connection: sqlite3.Connection, current: Settings | None, noted: list[Noted]) -> list[Kept]:
    if current is None:
        return []
    from edgekit.file import kept

    (site,) = connection.execute("SELECT uuid FROM system").fetchone()
    found = kept.find_unknown(current, noted, site)
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def _found(unknown: list[Kept]) -> Iterator[Finding]:
    """Speak of archives in its folders that the file does not know: it was restored."""
    for folder in sorted({one.path.parent for one in unknown}):
        some = [one for one in unknown if one.path.parent == folder]
        what = (
            f"Backups of this file that it does not know, as after restoring it: {len(some)} in {folder}, the"
            f" last of {some[0].made_at:%Y-%m-%d}. They do not count, and none of them is ever deleted."
        )
        yield Finding("warning", what, "Open them, and count them again: edgekit backups check")


def _age(
    connection: sqlite3.Connection, noted: list[Noted], now: datetime, *, is_known: bool
) -> Iterator[Finding]:
    there = [one for one in noted if one.is_there() and one.made_at <= now + _AHEAD]
    if there:
        last = there[0]
        days = (now - last.made_at).days
        if now - last.made_at <= OLD:
            yield Finding("ok", f"The last backup, of {last.made_at:%Y-%m-%d %H:%M} UTC, is {last.path}.")
        else:
            what = f"The last backup is {days} days old: {last.path}."
            yield Finding("warning", what, f"{_NOW}; a runner makes one every day: edgekit runner start")
    elif noted:
        if is_known:
            what = f"No backup of this file can be found: the last one was {noted[0].path}."
            yield Finding("warning", what, f"Connect the disk it is on. {_NOW}")
    elif is_known:
        (made,) = connection.execute("SELECT created_at FROM system").fetchone()
        is_old = now - clock.from_text(made) > OLD
        yield Finding("warning" if is_old else "ok", "There is no backup of this file.", _NOW)


def _failed(connection: sqlite3.Connection, noted: list[Noted]) -> Iterator[Finding]:
    last = connection.execute(
        "SELECT job_status, ended_at, error_message FROM job WHERE kind = ? AND ended_at IS NOT NULL"
        " AND job_status IN ('completed', 'failed') ORDER BY ended_at DESC LIMIT 1",
        (backup_settings.KIND,),
    ).fetchone()
    if last is None or last[0] == "completed":
        return
    if not any(one.made_at > clock.from_text(last[1]) for one in noted):  # since then one was made by hand
        yield Finding("warning", f"The last daily backup failed on {last[1][:10]}: {last[2]}", _NOW)


def _gone(noted: list[Noted], current: Settings, unknown: list[Kept], now: datetime) -> Iterator[Finding]:
    """Speak of daily backups that should be in a folder which can be seen, and are not."""
    from edgekit.file import kept

    daily = [one for one in noted if one.origin == "daily"]
    gone = [one for one in daily if one.is_gone()]
    for folder in sorted({one.path.parent for one in gone} - {one.path.parent for one in unknown}):
        kinds = kept.kinds_of([one for one in daily if one.path.parent == folder], current, now)
        missing = [one for one in gone if one.path.parent == folder and one.id in kinds]
        if not missing:
            continue
        yield Finding(
            "warning",
            f"Backups are not in {folder} any more: {len(missing)}, the last of"
            f" {missing[0].made_at:%Y-%m-%d}. Another disk is in its place, or somebody deleted them.",
            "See which: edgekit backups list; if that is as it should be, forget them: edgekit backups prune",
        )


def _second(folder: Path, noted: list[Noted], now: datetime) -> Iterator[Finding]:
    why = placing.missing(folder)
    place = folder if why else folder.resolve()
    copies = [one for one in noted if one.path.parent == place and one.made_at <= now + _AHEAD]
    if copies and now - copies[0].made_at <= OLD:
        yield Finding("ok", f"The last copy went to {folder} on {copies[0].made_at:%Y-%m-%d}.")
        return
    since = (
        f"the last copy went there on {copies[0].made_at:%Y-%m-%d}" if copies else "no copy ever went there"
    )
    what = f"The second folder {folder} {why or 'is there'}, and {since}."
    yield Finding("warning", what, "Connect its disk, then: edgekit backups run" if why else _NOW)


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
