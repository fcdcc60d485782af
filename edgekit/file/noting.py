"""What a file knows of its backups: one row of `backup` each, written right before the archive gets its name.

So whatever has a name has a row, wherever a power cut strikes; where the archive never came, it is missing.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgekit import clock, sqlite
from edgekit.errors import EdgekitError
from edgekit.file import placing
from edgekit.file.sealing import translated
from edgekit.isolation.session import resolve_actor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

Origin = Literal["daily", "manual"]


@dataclass(frozen=True, slots=True)
class Noted:
    """A backup as the file remembers it. `origin` daily is deleted when its time has come, manual never."""

    id: int
    path: Path
    origin: Origin
    is_encrypted: bool
    bytes: int
    sha256: str
    made_at: datetime
    verified_at: datetime

    def is_there(self) -> bool:
        """Tell whether a file of this size has its name: cheap, and enough for what deletes nothing."""
        try:
            return placing.missing(self.path.parent) is None and self.path.stat().st_size == self.bytes
        except OSError:
            return False

    def is_gone(self) -> bool:
        """Tell whether its folder can be seen, and it is not in it, or another file has its name."""
        return placing.missing(self.path.parent) is None and not self.is_there()

    def is_missing(self) -> bool:
        """Tell whether its folder can be seen, and nothing in it has its name."""
        if placing.missing(self.path.parent):
            return False
        try:
            self.path.stat()
        except OSError as error:
            return isinstance(error, FileNotFoundError)
        return False

    def is_unchanged(self) -> bool:
        """Tell whether its file is, to the last bit, the one that was made."""
        return self.is_there() and digest(self.path) == self.sha256


def digest(path: Path) -> str:
    """Return the SHA-256 of an archive. Never of the file itself: closing that would drop its locks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(
    path: Path, archive: Path, destination: Path, *, origin: Origin, encrypted: bool, at: datetime,
    actor: str | None = None,
) -> None:  # fmt: skip
    """Note a backup in the file at `path`, and give the finished archive its name.

    Raise what `placing.publish` does, and BusyError behind another writer; but a backup made by hand is worth
    having of a file that takes no note, too: one that cannot be written, or of an older schema.
    """
    number = None
    try:
        number = note(path, archive, destination, origin=origin, encrypted=encrypted, at=at, actor=actor)
    except (EdgekitError, sqlite3.Error):
        if origin != "manual":
            raise
    try:
        placing.publish(archive, destination)
    except BaseException:
        if number is not None:
            with suppress(EdgekitError, sqlite3.Error):  # without its archive it counts for nothing
                _forget(path, number)
        raise


def note(
    path: Path, archive: Path, destination: Path, *, origin: Origin, encrypted: bool, at: datetime,
    actor: str | None = None,
) -> int:  # fmt: skip
    """Note the backup that is, or is about to be, called `destination`; return the row's id.

    Raise BusyError behind another writer, and what the driver says where the file takes no such row.
    """
    values = (
        str(destination.resolve()), origin, int(encrypted), archive.stat().st_size, digest(archive),
        *[clock.to_text(at)] * 2,
    )  # fmt: skip
    with _change(path, f"backup {destination.name}", actor) as connection:
        cursor = connection.execute(
            "INSERT INTO backup(path, origin, is_encrypted, bytes, sha256, made_at, verified_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        return int(cursor.lastrowid or 0)


def _forget(path: Path, number: int) -> None:
    with _change(path, "the backup failed", None) as connection:
        connection.execute("DELETE FROM backup WHERE id = ?", (number,))


def note_pruned(path: Path, numbers: list[int], at: datetime, *, actor: str | None = None) -> None:
    """Note that backups were deleted to make room."""
    if numbers:
        with _change(path, "old backups deleted", actor) as connection:
            connection.executemany(
                "UPDATE backup SET pruned_at = ? WHERE id = ?",
                [(clock.to_text(at), number) for number in numbers],
            )


def note_verified(path: Path, number: int, at: datetime, *, actor: str | None = None) -> None:
    """Note that a backup was opened again and found whole."""
    with _change(path, "backup verified", actor) as connection:
        connection.execute("UPDATE backup SET verified_at = ? WHERE id = ?", (clock.to_text(at), number))


def read_noted(connection: sqlite3.Connection) -> list[Noted]:
    """Return the backups that were not deleted by us, whether their files are there or not, newest first."""
    rows = connection.execute(
        "SELECT id, path, origin, is_encrypted, bytes, sha256, made_at, verified_at FROM backup"
        " WHERE pruned_at IS NULL ORDER BY made_at DESC, id DESC"
    )
    return [
        Noted(
            number, Path(path), origin, bool(encrypted), size, sha256, clock.from_text(made),
            clock.from_text(verified),
        )
        for number, path, origin, encrypted, size, sha256, made, verified in rows
    ]  # fmt: skip


@contextmanager
def _change(path: Path, reason: str, actor: str | None) -> Iterator[sqlite3.Connection]:
    """Open a change on a plain connection: a backup is made of any file, not only of the opened one."""
    with closing(sqlite.connect(path)) as connection, translated(connection):
        sqlite.check_version(connection, path)
        who, login = resolve_actor(connection, actor)
        connection.execute("BEGIN IMMEDIATE")
        try:
            noted = reason if login is None else f"{reason} [login {login}]"
            change = sqlite.open_gate(connection, who, reason=noted)
            yield connection
            sqlite.close_gate(connection, change)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
