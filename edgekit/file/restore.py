"""Put a backup in place, whole or not at all, and never silently over another file."""

from __future__ import annotations

import re
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import dataclass
from dataclasses import replace as replace_field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import clock, rules, sqlite
from edgekit.errors import BusyError, ConflictError, CorruptError, InvalidError, NotFoundError
from edgekit.file import encrypting, places, placing
from edgekit.file.backup import (
    DATABASE,
    SUFFIX,
    Manifest,
    check,
    copy_database,
    read_origin,
    unpack,
)
from edgekit.file.verify import findings
from edgekit.schema import VERSION

if TYPE_CHECKING:
    from datetime import datetime

    from edgekit.vault.recovery import Kit

_AHEAD = timedelta(minutes=2)
_NAMED = re.compile(
    rf"(?P<file>.+)-(?P<time>\d{{4}}-\d\d-\d\dT\d{{6}}Z)(-(?P<number>\d+))?({re.escape(SUFFIX)}|{re.escape(encrypting.SUFFIX)})"
)


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored file: where it is, what the backup said (None for a plain copy), where the old file went.

    `schema` may be older than this program's (run migrate); `findings` is what `verify` says of the file.
    """

    path: Path
    schema: int
    manifest: Manifest | None
    moved_aside: Path | None
    findings: list[str]


def restore(
    source: str | Path, destination: str | Path, *, replace: bool = False, kit: Kit | None = None,
    now: datetime | None = None,
) -> Restored:  # fmt: skip
    """Restore a backup, or a plain copy of a file, to `destination`, after checking it whole.

    Of a folder it is the newest backup in it that is restored, by the time in its name, if all are of one
    file; one dated after now, by a clock that was wrong, only where there is no other.
    Raise ConflictError if the destination exists; with `replace` it is moved aside first, to
    `NAME.before-restore-TIME.db`, which raises BusyError while any program has it open. Raise NotFoundError,
    CorruptError (no backup, damaged), MigrationNeededError (newer), UnavailableError (disk full) or
    InvalidError (a network folder). An encrypted backup opens with the master key of its site, or with `kit`;
    VaultLockedError says that neither is here. Nothing is half-written: on failure the destination stays.
    """
    source, destination = Path(source), Path(destination)
    if source.is_dir():
        source = _newest(source, now or clock.now())
    if not source.is_file():
        raise NotFoundError(f"There is no backup {source}.")
    if destination.is_dir():
        raise ConflictError(
            f"{destination} is a folder.", hint="Name the file to restore to, such as agency.db."
        )
    if not replace:
        placing.require_free(destination)
    if reason := places.unsafe(destination):
        raise InvalidError(reason, hint="Restore to a local disk.")
    with placing.workspace(destination.parent) as folder:
        building = folder / DATABASE
        manifest = fetch(source, building, kit=kit)
        if manifest is not None:  # an encrypted one was read beside the new file
            manifest = replace_field(manifest, path=source)
        connection = sqlite.connect(building, read_only=True)
        try:
            version = check(connection, source)
            found = findings(connection, with_catalogue=version == VERSION)
        finally:
            connection.close()
        with closing(sqlite.connect(building)):
            pass  # write-ahead log, as every file of ours has it
        placing.copy_rights(source, building)
        aside = _move_aside(destination, now or clock.now()) if replace else None
        try:
            placing.publish(building, destination)
        except BaseException:
            if aside is not None and not destination.exists():
                aside.rename(destination)
            raise
    return Restored(destination, version, manifest, aside, found)


def _newest(folder: Path, now: datetime) -> Path:
    found = {path: match for path in folder.iterdir() if (match := _NAMED.fullmatch(path.name))}
    if not found:
        raise NotFoundError(f"There is no backup in {folder}.", hint="Name the backup itself.")
    files: dict[str, str] = {}
    for path in sorted(found, key=lambda path: found[path]["time"]):
        if origin := read_origin(path):
            files[origin[0]] = f"{path.name} ({origin[1] or 'encrypted'})"
    if len(files) > 1:
        raise ConflictError(
            f"{folder} holds backups of several files; the last ones: {', '.join(sorted(files.values()))}.",
            hint="Name the backup itself.",
        )
    limit = f"{now + _AHEAD:%Y-%m-%dT%H%M%SZ}"
    return max(
        found,
        key=lambda path: (
            found[path]["time"] <= limit,
            found[path]["time"],
            int(found[path]["number"] or 1),
        ),
    )


def fetch(source: Path, building: Path, *, kit: Kit | None = None) -> Manifest | None:
    """Bring the database of a backup, or of a plain copy, into a new file; `kit` opens an encrypted one."""
    if encrypting.is_sealed(source):
        plain = building.with_name("plain.zip")
        encrypting.decrypt(source, plain, kit=kit)
        try:
            return unpack(plain, building)
        finally:
            plain.unlink()
    if source.suffix.lower() == ".zip" or not _is_sqlite(source):
        if source.stat().st_size == 0 or not zipfile.is_zipfile(source):
            raise CorruptError(f"{source} is not a backup, or it is damaged.", hint="Use another backup.")
        return unpack(source, building)
    connection = sqlite.connect(source, read_only=True)
    try:
        copy_database(connection, building)
    except sqlite3.Error as error:
        ours = rules.translate(error)
        if ours is None:
            raise
        raise type(ours)(f"{source}: {ours.message}", hint="Use another backup.") from error
    finally:
        connection.close()
    return None


def _is_sqlite(path: Path) -> bool:
    """Ask SQLite itself: the file may be in use, and nothing else in this process may open it then."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    try:
        connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.DatabaseError as error:
        return error.sqlite_errorname != "SQLITE_NOTADB"
    else:
        return True
    finally:
        connection.close()


def _move_aside(path: Path, at: datetime) -> Path | None:
    """Rename the file that is to be replaced, after making sure that nobody has it open."""
    left = [Path(f"{path}{suffix}") for suffix in placing.COMPANIONS]
    aside = path.with_name(f"{path.stem}.before-restore-{at:%Y-%m-%dT%H%M%SZ}.db")
    if any(Path(f"{aside}{suffix}").exists() for suffix in ("", *placing.COMPANIONS)):
        raise ConflictError(
            f"{aside} already exists; nothing was changed.", hint="Move it away, or wait a second."
        )
    if path.exists():
        _fold(path)
    # What is left now belongs to a damaged file, or to one that was deleted: it must not touch the new file.
    for companion in left:
        if companion.exists():
            companion.rename(f"{aside}{str(companion).removeprefix(str(path))}")
    if not path.exists():
        return None
    path.rename(aside)
    return aside


def _fold(path: Path) -> None:
    """Fold the write-ahead log into the file. Raise BusyError if any other connection has the file open."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=1, isolation_level=None
    )
    try:
        # Leaving WAL needs the file for ourselves: even an idle connection of another program prevents it.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.DatabaseError as error:
        if isinstance(rules.translate(error), CorruptError):
            return  # damaged, which is why it is being replaced
        if isinstance(rules.translate(error), BusyError):
            raise BusyError(
                f"{path} is in use; nothing was changed.",
                hint="Close every program that has it open and try again.",
            ) from error
        raise
    finally:
        connection.close()
