"""The backups there are: listed with what each is kept as, opened again, deleted when their time has come."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import clock, db, sqlite
from edgekit.errors import EdgekitError, InvalidError, NotFoundError
from edgekit.file import encrypting, noting, placing
from edgekit.file.backup import DATABASE, SUFFIX, check, read_origin
from edgekit.file.backup_settings import Settings, settings
from edgekit.file.restore import fetch
from edgekit.file.retention import retain

if TYPE_CHECKING:
    from datetime import datetime

    from edgekit.file.backup import Manifest
    from edgekit.file.noting import Noted
    from edgekit.vault.recovery import Kit

MANUAL, FOUND, DUE = "manual", "found", "to go"


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup of the opened file. `made_at` and `verified_at` are UTC; sizes are bytes.

    `kept_as` is daily, weekly or monthly; ahead (dated after now); manual (made by hand, never deleted);
    found (lies in the folder, but the file does not know it, and so never deletes it); or to go (the next
    daily backup deletes it). `is_there` is False where the archive is gone, or another file has its name.
    """

    path: Path
    made_at: datetime
    bytes: int
    kept_as: str
    is_encrypted: bool
    is_there: bool
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Thinned:
    """What became of old backups: those deleted, and why others that may go are still there.

    `forgotten` are those that somebody else took away, or would be.
    """

    deleted: tuple[Path, ...]
    warnings: tuple[str, ...] = ()
    forgotten: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup that was opened whole: sound where `problem` is None."""

    path: Path
    problem: str | None


def list_backups(*, now: datetime | None = None) -> list[Kept]:
    """Return every backup the opened file knows of, and those of it that lie in its folders, newest first."""
    db.current().session.require_file("read", "listing the backups")
    at, current = now or clock.now(), settings()
    noted = noting.read_noted(db.connection())
    kept = {number: kind for group in _groups(noted) for number, kind in kinds_of(group, current, at).items()}
    found = [
        Kept(
            one.path, one.made_at, one.bytes, MANUAL if one.origin == "manual" else kept.get(one.id, DUE),
            one.is_encrypted, one.is_there(), one.verified_at,
        )
        for one in noted
    ]  # fmt: skip
    found += find_unknown(current, noted, db.current().site)
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def prune(*, dry_run: bool = False, actor: str | None = None, now: datetime | None = None) -> Thinned:
    """Delete the daily backups of the opened file whose time has come; a dry run says which they are.

    Those that are not in their folder any more, though it can be seen, are forgotten.
    """
    db.current().session.require_file("administer", "deleting backups")
    at, path = now or clock.now(), db.current().path
    thinned = thin(dry_run=dry_run, actor=actor, now=at)
    gone = [one for one in noting.read_noted(db.connection()) if one.is_missing()]
    if not dry_run:
        noting.note_pruned(path, [one.id for one in gone], at, actor=actor)
    return replace(thinned, forgotten=tuple(one.path for one in gone))


def thin(*, dry_run: bool = False, actor: str | None = None, now: datetime | None = None) -> Thinned:
    """Delete, in each folder by itself, the daily backups whose time has come, as the last step of a new one.

    What is deleted is the very archive that was made, and only where the newest one beside it is too.
    """
    at, current, path = now or clock.now(), settings(), db.current().path
    deleted: list[Path] = []
    warnings: list[str] = []
    gone: list[int] = []
    for group in _groups(noting.read_noted(db.connection())):
        kept = kinds_of(group, current, at)
        due = [one for one in group if one.id not in kept and one.is_there()]
        if due and not _newest(group).is_unchanged():
            warnings.append(f"{_newest(group).path} is not what was written: no older backup is deleted.")
            continue
        for one in due:
            if problem := None if dry_run else _delete(one):
                warnings.append(problem)
            else:
                deleted.append(one.path)
                gone.append(one.id)
        # Of one that somebody else deleted the note goes when its time has come, if its folder can be seen.
        gone += [one.id for one in group if one.id not in kept and one.is_missing()]
    if not dry_run:
        noting.note_pruned(path, sorted(set(gone)), at, actor=actor)
    return Thinned(tuple(deleted), tuple(warnings))


def verify_backup(
    source: str | Path, *, kit: Kit | None = None, actor: str | None = None, now: datetime | None = None
) -> datetime:
    """Open a backup of the opened file again, whole, as restoring it would, and note that; return when.

    One the file did not know is known from then on: as a daily one, where it was made as that and lies in a
    folder of the daily backup under its name, else as one that is never deleted. Raise what `restore` raises
    (NotFoundError, CorruptError, VaultLockedError …), InvalidError for the backup of another file.
    """
    db.current().session.require_file("administer", "checking a backup")
    source, path, at = Path(source).resolve(), db.current().path, now or clock.now()
    if not source.is_file():
        raise NotFoundError(f"There is no backup {source}.", hint="See: edgekit backups list")
    with placing.workspace(path.parent) as folder:
        manifest = fetch(source, folder / DATABASE, kit=kit)
        with contextlib.closing(sqlite.connect(folder / DATABASE, read_only=True)) as connection:
            check(connection, source)
            whose = connection.execute("SELECT uuid FROM system").fetchone()
    if whose != (db.current().site,):
        raise InvalidError(f"{source} is the backup of another file.", hint="See: edgekit backups list")
    known = [one for one in noting.read_noted(db.connection()) if one.path == source and one.is_unchanged()]
    if known:
        number = known[0].id
    else:
        made = clock.from_text(manifest.created_at) if manifest else at
        sealed = encrypting.is_sealed(source)
        origin: noting.Origin = "daily" if manifest and _is_daily(manifest, source, made) else "manual"
        number = noting.note(path, source, source, origin=origin, encrypted=sealed, at=made, actor=actor)
    noting.note_verified(path, number, at, actor=actor)
    return at


def _is_daily(manifest: Manifest, source: Path, made: datetime) -> bool:
    """Tell whether an archive is one that the daily backup put there; what a person put away stays."""
    current = settings()
    folders = {
        folder.resolve()
        for folder in (current.folder, current.second_folder)
        if folder is not None and not placing.missing(folder)
    }
    is_named = f"-{made:%Y-%m-%dT%H%M%SZ}" in source.name
    return manifest.origin == "daily" and is_named and source.parent in folders


def check_backups(
    folder: str | Path | None = None, *, kit: Kit | None = None, actor: str | None = None,
    now: datetime | None = None,
) -> list[Checked]:  # fmt: skip
    """Open every backup of the opened file again, as `verify_backup` does: of one folder, or that are listed.

    What is wrong with one is said of it, and the others are opened all the same.
    """
    if folder is None:
        sources = [one.path for one in list_backups(now=now) if one.is_there]
    else:
        site = db.current().site
        sources = [path for path in _archives(Path(folder)) if (read_origin(path) or (site,))[0] == site]
    checked = []
    for source in sources:
        try:
            verify_backup(source, kit=kit, actor=actor, now=now)
            checked.append(Checked(source, None))
        except EdgekitError as error:
            checked.append(Checked(source, error.message))
    return checked


def _groups(noted: list[Noted]) -> list[list[Noted]]:
    """Part the daily ones by the folder they are in: each folder has its own newest, and its own old ones."""
    found: dict[Path, list[Noted]] = {}
    for one in noted:
        if one.origin == "daily":
            found.setdefault(one.path.parent, []).append(one)
    return list(found.values())


def kinds_of(group: list[Noted], current: Settings, at: datetime) -> dict[int, str]:
    """Say of each to be kept what as, by its id. What is missing takes no place of what is there."""
    found: dict[int, str] = {}
    for some in (group, [one for one in group if one.is_there()]):
        kept = retain([one.made_at for one in some], at, keep=current.keep, zone=current.zone)
        found |= {one.id: kept[one.made_at] for one in some if one.made_at in kept}
    return found


def _newest(group: list[Noted]) -> Noted:
    return max((one for one in group if one.is_there()), key=lambda one: (one.made_at, one.id))


def _delete(one: Noted) -> str | None:
    """Delete an archive, if it is still the one that was made; else say why not."""
    try:
        if not one.is_unchanged():
            return f"{one.path} is not what was written, and stays. Look at it, and delete it yourself."
        one.path.unlink()
    except OSError as error:
        return f"{one.path} could not be deleted: {error.strerror or error}."
    return None


def find_unknown(current: Settings, noted: list[Noted], site: str) -> list[Kept]:
    """Find the archives of a file in its folders that it knows nothing of, as after restoring it."""
    known, found = {one.path for one in noted}, []
    for folder in filter(None, (current.folder, current.second_folder)):
        for path in _archives(folder):
            if path.resolve() in known:
                continue
            origin = read_origin(path)
            if origin and origin[0] == site:
                with contextlib.suppress(OSError):  # it went meanwhile
                    sealed, size = path.name.endswith(encrypting.SUFFIX), path.stat().st_size
                    found.append(Kept(path, origin[2], size, FOUND, sealed, True, None))
    return found


def _archives(folder: Path) -> list[Path]:
    if placing.missing(folder):
        return []
    try:
        names = sorted(path for path in folder.iterdir() if path.name.endswith((SUFFIX, encrypting.SUFFIX)))
    except OSError:  # it may not be listed
        return []
    return names
