"""The daily backup: made and proven, copied to a second folder, and only then the old ones deleted."""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db
from edgekit.errors import ConflictError, CorruptError, EdgekitError
from edgekit.file import backup_settings, encrypting, kept, noting, placing
from edgekit.file.backup import SUFFIX, backup
from edgekit.file.backup_settings import settings

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_LEAVING = re.compile(r"\.edgekit-[a-z0-9_]{8}")
_LEAVING_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Made:
    """A daily backup that was made: proven, of so many bytes, with the SHA-256 of its archive.

    `copied_to` is where its copy is; `deleted` are the old ones that made room; `warnings` say what is wrong
    all the same.
    """

    path: Path
    made_at: datetime
    bytes: int
    sha256: str
    is_encrypted: bool
    copied_to: Path | None
    deleted: tuple[Path, ...]
    warnings: tuple[str, ...]


def run(*, actor: str | None = None, now: datetime | None = None) -> Made:
    """Make the daily backup of the opened file now, whether it is due or not, and delete what it replaces.

    What goes wrong with the second folder, or with deleting, is a warning. Raise NotFoundError (the folder is
    not there), DeniedError, UnavailableError (disk full), CorruptError, VaultLockedError; then nothing was
    deleted, and nothing half-written is left.
    """
    database, at, current = db.current(), now or clock.now(), settings()
    database.session.require_file("edit", "backing up the file")
    if database.open_change is not None:
        raise ConflictError("A backup is not made inside a change.", hint="Make it after the change.")
    backup_settings.ready(current.folder, make=not current.chosen)
    for folder in {current.folder, database.path.parent.resolve()}:
        _sweep(folder, at)
    manifest = backup(
        database.path, current.folder, encrypted=current.encrypt, origin="daily", actor=actor, now=at
    )
    warnings = [f"The file has a fault: {finding}" for finding in manifest.findings]
    made = next(o for o in noting.read_noted(db.connection()) if o.path == manifest.path.resolve())
    copied_to = None
    if current.second_folder is not None:
        try:
            copied_to = _copy(database.path, made, current.second_folder, at, actor)
        except EdgekitError as error:
            warnings.append(f"No copy was made in the second folder. {error.message}")
    thinned = kept.thin(actor=actor, now=at)
    return Made(
        made.path, made.made_at, made.bytes, made.sha256, made.is_encrypted, copied_to, thinned.deleted,
        (*warnings, *thinned.warnings),
    )  # fmt: skip


def _copy(path: Path, made: noting.Noted, folder: Path, at: datetime, actor: str | None) -> Path:
    """Copy a backup that was just proven into the second folder, and read the copy back."""
    backup_settings.ready(folder, make=False)
    encrypted = made.is_encrypted
    with placing.workspace(folder) as place:
        archive = place / "archive"
        shutil.copyfile(made.path, archive)
        if noting.digest(archive) != made.sha256:
            raise CorruptError(f"The copy in {folder} does not read back; it was thrown away.")
        placing.copy_rights(made.path, archive)
        return placing.name_freely(
            folder / made.path.name,
            encrypting.SUFFIX if encrypted else SUFFIX,
            lambda name: noting.publish(
                path, archive, name, origin="daily", encrypted=encrypted, at=at, actor=actor
            ),
        )


def _sweep(folder: Path, at: datetime) -> None:
    """Take away what a backup or another command left that was killed a day ago or more."""
    limit = min(at, clock.now()) - _LEAVING_AGE
    for left in folder.glob(".edgekit-*") if placing.missing(folder) is None else []:
        with contextlib.suppress(
            OSError
        ):  # somebody else takes it away, or it cannot be: nothing hangs on it
            if _LEAVING.fullmatch(left.name) and left.is_dir() and left.stat().st_mtime < limit.timestamp():
                shutil.rmtree(left, ignore_errors=True)
