"""How much of a limit is used up: a window that slides, counted by all processes in one row of the file.

What was let through is kept in shares of the window, each with its first and last moment and its count, and
counts until the window's length after its last. So no stretch of that length, wherever it begins, holds more
than the limit allows; a slot is free again at most a share too late.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db

if TYPE_CHECKING:
    from edgekit.integrations.figures import Limit

_SHARES = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Window:
    """One limit as it stands at a moment. Times are milliseconds since 1970."""

    def __init__(self, limit: Limit, moment: datetime) -> None:
        """Read what still counts."""
        self.limit = limit
        micros = (moment - _EPOCH) // _MICROSECOND
        self._now, self._used_at = micros // 1000, -(-micros // 1000)
        self._span = limit.seconds * 1000
        self._width = max(1, self._span // _SHARES)
        rows = db.query(
            "SELECT id, window_started_at, recent_uses FROM rate_limit_window"
            " WHERE limiter_key = ? AND window_seconds = ?",
            (limit.key, limit.seconds),
        )
        self._row: int | None = rows[0]["id"] if rows else None
        self._shares: list[list[int]] = []
        if rows:
            start = (clock.from_text(rows[0]["window_started_at"]) - _EPOCH) // _MICROSECOND // 1000
            shares = [
                [start + a, start + b, n] for a, b, n in json.loads(rows[0]["recent_uses"]).get("shares", ())
            ]
            # What was used later than now was used before the clock was set back: it holds no longer either.
            self._shares = [s for s in shares if s[1] + self._span > self._now > s[0] - self._span]

    @property
    def used(self) -> int:
        """How much is used up."""
        return sum(share[2] for share in self._shares)

    def room(self) -> int:
        """Return how much is left."""
        return max(0, self.limit.count - self.used)

    def free_at(self) -> float:
        """Return when the next slot is free, as seconds since 1970."""
        left, at = self.used, self._now
        for _, last, count in sorted(self._shares, key=lambda share: share[1]):
            if left < self.limit.count:
                break
            left, at = left - count, last + self._span
        return at / 1000

    def take(self, count: int) -> tuple[int, int]:
        """Use up so many slots. Return the share they are of, and until when they may be used."""
        newest = self._shares[-1] if self._shares else None
        if newest is None or not 0 <= self._used_at - newest[0] < self._width:
            newest = [self._used_at, self._used_at, 0]
            self._shares.append(newest)
        ends = newest[0] + self._width
        newest[1] = max(newest[1], self._used_at if count == 1 else ends)
        newest[2] += count
        return newest[0], ends

    def give_back(self, share: int, count: int) -> None:
        """Free slots of a share that were taken and not used, if it still counts."""
        for there in self._shares:
            if there[0] == share:
                there[2] = max(0, there[2] - count)
        self._shares = [there for there in self._shares if there[2]]

    def store(self) -> None:
        """Write it, in the open change."""
        start = min((share[0] for share in self._shares), default=self._now)
        shares = [[first - start, last - start, count] for first, last, count in self._shares]
        text = json.dumps({"shares": shares}, separators=(",", ":"))
        started = clock.to_text(_EPOCH + timedelta(milliseconds=start))
        at, actor = clock.now_text(), db.current().actor_id
        if self._row is None:
            db.connection().execute(
                "INSERT INTO rate_limit_window(limiter_key, window_seconds, window_started_at, used_count,"
                " recent_uses, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (self.limit.key, self.limit.seconds, started, self.used, text, actor, at, at),
            )
        else:
            db.connection().execute(
                "UPDATE rate_limit_window SET window_started_at = ?, used_count = ?, recent_uses = ?,"
                " updated_by = ?, updated_at = ? WHERE id = ?",
                (started, self.used, text, actor, at, self._row),
            )
