"""What the runner looks at several times a second: has somebody written, was the clock set, did we sleep."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

JUMP = timedelta(seconds=2)
"""So much between the clock of the wall and the one that only goes on is noticed."""


class Watch:
    """Looks at the file and the clocks from one thread."""

    def __init__(
        self, *, wall: Callable[[], datetime] = clock.now, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._steady = wall, steady
        self._version = self._read_version()
        self._path = db.current().path
        self._place = _place(self._path)
        self._seen = wall(), steady()

    def _read_version(self) -> int:
        # It changes with every commit but this connection's own, and costs two microseconds.
        found: int = db.connection().execute("PRAGMA data_version").fetchone()[0]
        return found

    def has_changed(self) -> bool:
        """Tell whether another connection has committed since the last look."""
        version = self._read_version()
        changed, self._version = version != self._version, version
        return changed

    def is_in_place(self) -> bool:
        """Tell whether nobody has moved, deleted or replaced the file since it was opened."""
        return _place(self._path) == self._place

    def find_jump(self) -> timedelta | None:
        """Return by how much the clock of the wall went other than time did since the last look.

        More is a sleep of the machine or a clock set forward, less a clock set back; None is neither.
        """
        (wall, steady), self._seen = self._seen, (self._wall(), self._steady())
        jump = (self._seen[0] - wall) - timedelta(seconds=self._seen[1] - steady)
        return jump if abs(jump) > JUMP else None


def _place(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
