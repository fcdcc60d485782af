"""One runner per file: a lock the system frees when its process ends, however it ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgekit import db
from edgekit.errors import ConflictError, quoted
from edgekit.runner import holding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def lock_path(path: Path) -> Path:
    """Return the lock file of the runner of a file."""
    return path.with_name(f"{path.name}-runner.lock")


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Be the one runner of a file. Raise ConflictError while another process is."""
    from filelock import FileLock, Timeout

    # Whoever asks whether a runner lives holds the lock for an instant.
    lock = FileLock(lock_path(path), timeout=0.5, poll_interval=0.02, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConflictError(
            f"{path} has a runner already{_who()}.",
            hint=f"See what it does: edgekit --db {quoted(path)} runner status",
        ) from error
    except OSError as error:
        raise holding.unlockable(lock_path(path), error) from error
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Tell whether the runner of a file lives."""
    return not holding.is_free(lock_path(path))


def _who() -> str:
    found = db.query(
        "SELECT process_id, started_at FROM runner_session WHERE ended_at IS NULL ORDER BY id DESC LIMIT 1"
    )
    return f": process {found[0]['process_id']}, since {found[0]['started_at']}" if found else ""
