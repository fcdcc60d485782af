"""Make files whole before they get their name: built in a folder of their own, synced, then put in place."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sqlite3
import stat
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import rules
from edgekit.errors import ConflictError, DeniedError, EdgekitError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANSWER_SECONDS = 5.0
"""A disk that says nothing for so long is taken for one that is not there: a network drive that went away."""

SILENT = "does not answer"
_SILENT_SECONDS = 60.0
_silent: dict[Path, float] = {}
"""Folders that did not answer, with when they are asked again: each question leaves a thread behind."""

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a file."""


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """Give a folder only this user can read, beside the final place, and take it away whatever happens.

    Errors of the disk and the driver inside become ours: DeniedError, UnavailableError, BusyError …
    """
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}.", hint="Create the folder first.")
    try:
        with tempfile.TemporaryDirectory(prefix=".edgekit-", dir=folder, ignore_cleanup_errors=True) as made:
            yield Path(made)
    except (OSError, sqlite3.Error) as error:
        ours = explain(error, folder)
        if ours is None:
            raise
        raise ours from error


def explain(error: OSError | sqlite3.Error, place: Path) -> EdgekitError | None:
    """Say in our words what the disk or the driver said about a place; None if it is a bug of ours."""
    full = UnavailableError(
        f"{place}: the disk is full; nothing was written.", hint="Free some space and try again."
    )
    if isinstance(error, sqlite3.Error):
        if getattr(error, "sqlite_errorname", None) == "SQLITE_FULL":
            return full
        ours = rules.translate(error)
        return None if ours is None else type(ours)(f"{place}: {ours.message}", hint=ours.hint)
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return full
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return DeniedError(f"{place} cannot be written.", hint="Choose another folder, or change its rights.")
    return UnavailableError(f"{place}: {error.strerror or error}.", hint="Check the disk and the folder.")


def publish(building: Path, path: Path) -> None:
    """Give a finished file its name, never over another one's, and make sure that it survives a power cut.

    No connection may have the file open. Raise ConflictError if the name is taken.
    """
    with building.open("rb+") as file:
        os.fsync(file.fileno())
    taken = ConflictError(f"{path} was created by another program meanwhile; nothing was changed.")
    try:
        os.link(building, path)  # fails if the name was taken meanwhile, on every system that has links
    except FileExistsError as error:
        raise taken from error
    except OSError:  # a file system without hard links
        if path.exists():
            raise taken from None
        building.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Write a folder's names to the disk, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders, and needs none of this
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def missing(folder: Path) -> str | None:
    """Say why nothing can be done in a folder ("is not there", "does not answer" …), or None.

    Whoever asks a network drive whose server is gone for a file may wait for ever; this waits
    `ANSWER_SECONDS`, and then takes its silence for an answer for a minute.
    """
    if time.monotonic() < _silent.get(folder, 0.0):
        return SILENT
    said: list[str | None] = []
    asking = threading.Thread(target=lambda: said.append(_look(folder)), daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    if said:
        _silent.pop(folder, None)
        return said[0]
    _silent[folder] = time.monotonic() + _SILENT_SECONDS
    return SILENT


def _look(folder: Path) -> str | None:
    try:
        return None if stat.S_ISDIR(folder.stat().st_mode) else "is not a folder"
    except (FileNotFoundError, NotADirectoryError):
        return "is not there"
    except OSError as error:
        return f"cannot be seen ({error.strerror or error})"


def name_freely(first: Path, ending: str, act: Callable[[Path], None]) -> Path:
    """Do something that needs a free name: the first, or that with -2, -3 … before its ending; return it.

    Two files of one name may be backed up into one folder in the same second.
    """
    base = first.name.removesuffix(ending)
    for number in itertools.count(1):
        path = first if number == 1 else first.with_name(f"{base}-{number}{ending}")
        try:
            require_free(path)
            act(path)
        except ConflictError:
            if number == _MOST_OF_A_NAME or not path.exists():
                raise
        else:
            break
    return path


_MOST_OF_A_NAME = 99


def require_free(path: Path) -> None:
    """Raise ConflictError if there is a file at this path, or what SQLite kept beside a deleted one."""
    if path.exists():
        raise ConflictError(
            f"{path} already exists; nothing was changed.",
            hint="Choose another name, or move that file away.",
        )
    for suffix in COMPANIONS:
        left = Path(f"{path}{suffix}")
        if left.exists():  # SQLite would play it into the new file
            raise ConflictError(
                f"{left} is left from a file that was deleted; nothing was changed.",
                hint="Move it away, or choose another name.",
            )


def copy_rights(source: Path, target: Path) -> None:
    """Let nobody read a copy who cannot read the original."""
    with contextlib.suppress(OSError):
        target.chmod(source.stat().st_mode & 0o777 | 0o600)  # its owner may always write
