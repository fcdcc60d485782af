"""When the daily backup is made, where it goes, what is kept: the configuration type BACKUP_SETTINGS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import clock, configuration, db, jobs, recurrence
from edgekit.errors import InvalidError, NotFoundError, UnavailableError
from edgekit.file import noting, places, placing
from edgekit.file.retention import Keep

if TYPE_CHECKING:
    from collections.abc import Collection

TYPE = "BACKUP_SETTINGS"
KIND = "backup.daily"
"""The standing job that makes them."""

SHOWN = (
    "enabled", "time", "timezone", "folder", "second_folder", "encrypt", "keep_daily", "keep_weekly",
    "keep_monthly", "next_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """What counts for the daily backup of the opened file.

    `folder` is beside the file where nobody chose another; `second_folder` takes a copy of each. `time` is of
    the zone, or of this computer where `timezone` is None.
    """

    enabled: bool
    time: str
    timezone: str | None
    folder: Path
    second_folder: Path | None
    encrypt: bool
    keep_daily: int
    keep_weekly: int
    keep_monthly: int
    chosen: bool
    """Whether somebody chose the folder: only the one beside the file is made when it is missing."""

    @property
    def next_at(self) -> datetime | None:
        """When it is due next, None where it is switched off."""
        return self.next_time(clock.now()) if self.enabled else None

    @property
    def keep(self) -> Keep:
        """How many are kept."""
        return Keep(self.keep_daily, self.keep_weekly, self.keep_monthly)

    @property
    def zone(self) -> tzinfo | None:
        """The zone of days and times; None is this computer's, and where the one that is set is unknown."""
        try:
            return recurrence.find_zone(self.timezone) if self.timezone else None
        except InvalidError:  # a backup at another time is better than none; `advice` says so
            return None

    def next_time(self, now: datetime) -> datetime:
        """Return when the next daily backup is due, after `now`."""
        at = time.fromisoformat(self.time)
        today = now.astimezone(self.zone).date()
        for days in range(3):  # a day whose clocks go forward over it has none
            naive = datetime.combine(today + timedelta(days=days), at)
            # A naive time is taken for this computer's, with its summer time on that day.
            moment = (naive.replace(tzinfo=self.zone) if self.zone else naive).astimezone(UTC)
            if moment > now:
                return moment
        return now + timedelta(days=1)


DEFAULTS: dict[str, Any] = {
    "enabled": True, "time": "12:30", "encrypt": False, "keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12,
}  # fmt: skip
"""As the type states them: they count as well where somebody has retired it, or its rows are missing."""


def settings() -> Settings:
    """Return the settings that count."""
    try:
        found = DEFAULTS | configuration.resolve(TYPE)
    except NotFoundError:  # no file goes without backups for want of a row
        found = DEFAULTS
    path = db.current().path.resolve()
    folder, second = found.get("folder"), found.get("second_folder")
    return Settings(
        enabled=found["enabled"],
        time=found["time"],
        timezone=found.get("timezone"),
        folder=path.parent / folder if folder else path.with_name(f"{path.stem}-backups"),
        second_folder=path.parent / second if second else None,
        encrypt=found["encrypt"],
        keep_daily=found["keep_daily"],
        keep_weekly=found["keep_weekly"],
        keep_monthly=found["keep_monthly"],
        chosen=bool(folder),
    )


def set_settings(
    changes: dict[str, Any], *, clear: Collection[str] = (), now: datetime | None = None
) -> tuple[Settings, list[str]]:
    """Change settings by their names, or `clear` them; return what counts then, and what to think of.

    Another time counts for the next backup already. A folder that is named is made, and tried. Raise
    InvalidError, NotFoundError or DeniedError for a folder that cannot be used, VaultLockedError
    where backups are to be encrypted and there is no key.
    """
    db.current().session.require_file("administer", "changing the backups")
    changes = dict(changes)
    for name in ("folder", "second_folder"):
        if changes.get(name) is not None:
            changes[name] = str(_usable(Path(changes[name])))
    if "timezone" in changes:
        recurrence.find_zone(changes["timezone"])
    if "time" in changes:
        changes["time"] = recurrence.read_time(changes["time"])
    if changes.get("encrypt"):
        from edgekit.vault import keys

        keys.active_of(db.connection(), db.current().path)
    known = configuration.resolve(TYPE)
    with db.change(reason="backups settings"):
        for name, value in changes.items():
            configuration.set(TYPE, name, value)
        for name in clear:
            if name in known:
                configuration.unset(TYPE, name)
        found = settings()
        if found.second_folder == found.folder:
            raise InvalidError(
                "The second folder is the first one.", hint="Name another, such as a USB stick."
            )
        if not {"time", "timezone"}.isdisjoint({*changes, *clear}):
            _reschedule(now)
    return found, advice(found)


def _reschedule(now: datetime | None) -> None:
    """Give the next daily backup up for one at the time that counts now."""
    for job in jobs.list_jobs(kind=KIND, status="open"):
        if job.job_status == "pending" and job.attempts == 0:
            jobs.cancel(job.id, now=now)  # a standing one is followed by its next


def tell() -> tuple[Settings, list[str]]:
    """Return the settings that count, and what to think of."""
    db.current().session.require_file("read", "reading how backups are made")
    found = settings()
    return found, advice(found)


def _usable(folder: Path) -> Path:
    """Make a folder where there is none, and try to write in it."""
    why = placing.missing(folder)
    if why == placing.SILENT:
        raise UnavailableError(f"{folder} {why}.", hint="Connect its disk, or name another folder.")
    if why == "is not a folder":
        raise InvalidError(f"{folder} is a file.", hint="Name a folder for the backups.")
    folder = folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        ours = placing.explain(error, folder)
        if ours is None:
            raise
        raise ours from error
    with placing.workspace(folder):
        return folder


def ready(folder: Path, *, make: bool) -> None:
    """Raise NotFoundError unless a folder is there; make it if that is wished.

    One that somebody chose is never made: where a stick is not put in, its place would be filled instead.
    """
    if make:
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError as error:
            raise InvalidError(
                f"{folder} is a file, where the backups are to go.",
                hint="Move it away, or choose a folder: edgekit backups settings --folder FOLDER",
            ) from error
        except OSError as error:
            ours = placing.explain(error, folder)
            if ours is None:
                raise
            raise ours from error
    if why := placing.missing(folder):
        raise NotFoundError(
            f"The backup folder {folder} {why}.",
            hint="Connect its disk, or choose another: edgekit backups settings --folder FOLDER",
        )
    if not make:
        _require_its_disk(folder)


def _require_its_disk(folder: Path) -> None:
    """Raise NotFoundError where a folder stands for a disk that is not connected, as a mount point does.

    It is then on the disk of the file, and of all that ever went there nothing is left.
    """
    went = [one for one in noting.read_noted(db.connection()) if one.path.parent == folder.resolve()]
    if went and all(one.is_gone() for one in went) and _same_disk(folder, db.current().path.parent):
        raise NotFoundError(
            f"None of the {len(went)} backups that went to {folder} is there: its disk is not connected,"
            " or somebody emptied it.",
            hint="Connect its disk; if it was emptied on purpose, say so: edgekit backups prune",
        )


def advice(found: Settings) -> list[str]:
    """Say what is worth thinking of, of settings that work."""
    folders = [
        folder
        for folder in (found.folder, found.second_folder)
        if folder is not None and placing.missing(folder) != placing.SILENT
    ]
    said = [
        f"{folder} is copied to other computers, and what is in it can be read there."
        " Encrypt the backups: edgekit backups settings --encrypt"
        for folder in folders
        if not found.encrypt and places.synchronised(folder / "backup")
    ]
    if found.timezone and found.zone is None:
        said.append(f"There is no time zone {found.timezone}: the time of this computer counts.")
    if found.enabled and found.second_folder is None and _same_disk(found.folder, db.current().path.parent):
        said.append(
            "The backups are on the same disk as the file: what takes the disk takes both."
            " Name a stick or a network folder: edgekit backups settings --second-folder FOLDER"
        )
    return said


def _same_disk(folder: Path, other: Path) -> bool:
    place = folder.parent if placing.missing(folder) else folder
    return placing.missing(place) is None and place.stat().st_dev == other.stat().st_dev


def next_time(now: datetime | None = None) -> datetime:
    """Return when the next daily backup of the opened file is due."""
    return settings().next_time(now or clock.now())
