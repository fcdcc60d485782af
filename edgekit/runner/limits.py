"""The gate every request of an integration passes: counted in the file, by all processes together.

A request takes a slot in each limit's window before it is sent. Slots are taken from the file in small
blocks, each in a short change of its own, and those not used are given back at the end; a killed process
loses the few it held until their windows end. A window begins with its first request.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from edgekit import clock, db
from edgekit.connectors import Passage
from edgekit.errors import BusyError, EdgekitError, RateLimitedError
from edgekit.integrations import figures
from edgekit.runner.limiting.breakers import Breaker
from edgekit.runner.limiting.sparing import Spared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from filelock import BaseFileLock

    from edgekit.connectors import Connector
    from edgekit.integrations.figures import Limit, Limits

_log = logging.getLogger(__name__)

_LARGEST_BLOCK = 16
_PATIENCE = 0.05
"""Seconds between two looks for a free place among the requests that run."""


@contextmanager
def gated(
    connector: Connector,
    integration_id: int,
    name: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = clock.now,
) -> Iterator[Connector]:
    """Give the connector with every request of it limited, and none made to a place that keeps failing.

    One that makes no requests but speaks with a place in another way has a breaker alone; one that speaks
    with nobody is given as it is.
    """
    through = getattr(connector, "through", None)
    if through is None and not hasattr(connector, "target_of"):
        yield connector
        return
    path, limits = db.current().path, figures.limits(integration_id)
    breaker = Breaker(path, integration_id, name, limits.breaking, now=now)
    if through is None:
        yield cast("Connector", Spared(connector, breaker))
        return
    gate = Gate(path, integration_id, name, limits, breaker, now=now, sleep=sleep)
    try:
        yield through(gate)
    finally:
        gate.close()


class Gate:
    """Lets the requests of one integration through as its limits allow."""

    def __init__(
        self,
        path: Path,
        integration_id: int,
        name: str,
        limits: Limits,
        breaker: Breaker | None = None,
        *,
        now: Callable[[], datetime] = clock.now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stem = path.with_name(f"{path.name}-request{integration_id}")
        self._name = name
        self._breaker = breaker
        self._rates = limits.rates
        self._concurrent = limits.concurrent
        self._now = now
        self._sleep = sleep
        self._left = 0
        self._block = 1
        self._ends = 0.0
        self._held: list[tuple[str, int, str]] = []
        self._warned: set[str] = set()
        self._locks: dict[int, BaseFileLock] = {}

    @contextmanager
    def __call__(self, longest: float, target: str | None = None) -> Iterator[Passage]:
        """Hold a slot and a place while one request is made, waiting for them no longer than so many seconds.

        Raise RateLimitedError, with `limit` naming which one is used up, or CircuitOpenError where the
        `target` is left alone; nothing may be sent then.
        """
        if db.current().open_change is not None:
            raise EdgekitError(f"{self._name} would ask the other side while a change of the file is open.")
        with ExitStack() as stack:
            passage = stack.enter_context(self._breaker(target)) if self._breaker and target else Passage()
            stack.enter_context(self._admitted(longest))
            yield passage

    @contextmanager
    def _admitted(self, longest: float) -> Iterator[None]:
        waited = 0.0
        while True:
            place = self._enter()
            try:
                if place is None:
                    wait, error = _PATIENCE, self._crowded()
                else:
                    full = self._take()
                    if full is None:
                        break
                    wait, error = full
                    place.release()
            except BaseException:
                if place is not None:
                    place.release()
                raise
            if waited + wait > longest:
                raise error
            self._sleep(wait)
            waited += wait
        try:
            yield
        finally:
            place.release()

    def close(self) -> None:
        """Give back what was taken and not used."""
        if self._left and self._held:
            try:
                with db.change(reason=f"requests of {self._name}"):
                    self._give_back()
            except BusyError:
                _log.warning("%s: slots not used stay counted until their windows end", self._name)
        self._left = 0

    def _take(self) -> tuple[float, RateLimitedError] | None:
        """Take a slot; return how long to wait and why, if there is none."""
        if not self._rates:
            return None
        moment = self._now()
        if self._left and moment.timestamp() < self._ends:
            self._left -= 1
            return None
        with db.change(reason=f"requests of {self._name}"):
            self._give_back()
            windows = [(limit, *_window(limit, moment)) for limit in self._rates]
            full = [
                (_end(started, limit), limit)
                for limit, _, started, used in windows
                if limit.blocks and used >= limit.count
            ]
            free = [limit.count - used for limit, _, _, used in windows if used < limit.count]
            # Of little that is left nobody hoards: another process may need it now.
            block = 0 if full else max(1, min([self._block, *(room // 4 for room in free)]))
            if block:
                for limit, row_id, started, used in windows:
                    _store(limit, row_id, started, used + block)
        self._left, self._held = 0, []
        if full:
            until, limit = max(full, key=lambda one: one[0])
            return max(0.001, until - moment.timestamp()), self._used_up(limit, until, moment)
        self._left = block - 1
        self._held = [(limit.key, limit.seconds, started) for limit, _, started, _ in windows]
        self._ends = min(_end(started, limit) for limit, _, started, _ in windows)
        self._block = min(_LARGEST_BLOCK, self._block * 2)
        self._warn(windows)
        return None

    def _give_back(self) -> None:
        """Give back the slots not used, where their window has not ended."""
        if not self._left:
            return
        for key, seconds, started in self._held:
            db.connection().execute(
                "UPDATE rate_limit_window SET used_count = max(0, used_count - ?), updated_by = ?,"
                " updated_at = ? WHERE limiter_key = ? AND window_seconds = ? AND window_started_at = ?",
                (self._left, db.current().actor_id, clock.now_text(), key, seconds, started),
            )

    def _warn(self, windows: list[tuple[Limit, int | None, str, int]]) -> None:
        for limit, _, _, used in windows:
            if used >= limit.count and limit.key not in self._warned:
                self._warned.add(limit.key)
                _log.warning("%s: more than the %d requests of %s", self._name, limit.count, limit.name)

    def _used_up(self, limit: Limit, until: float, moment: datetime) -> RateLimitedError:
        from datetime import UTC, datetime

        at = clock.to_text(datetime.fromtimestamp(until, UTC))
        return RateLimitedError(
            f"{self._name}: nothing was sent, {limit.name} ({limit.count}) is used up until {at}.",
            retry_after=until - moment.timestamp(),
            limit=limit.name,
            hint="Run it again then; it goes on from its last batch.",
        )

    def _crowded(self) -> RateLimitedError:
        return RateLimitedError(
            f"{self._name}: nothing was sent, {self._concurrent} requests of it run already"
            " (max_concurrent_requests).",
            retry_after=_PATIENCE,
            limit="max_concurrent_requests",
            hint="Run it again when they have ended.",
        )

    def _enter(self) -> BaseFileLock | None:
        """Take one of the places for requests that run at the same time; None where all are taken.

        A place is a lock file: the system frees it when its process dies, however it does.
        """
        from filelock import FileLock, Timeout

        for number in range(1, self._concurrent + 1):
            lock = self._locks.get(number)
            if lock is None:
                lock = FileLock(self._stem.with_name(f"{self._stem.name}-{number}.lock"), timeout=0)
                self._locks[number] = lock
            try:
                lock.acquire()
            except Timeout:
                continue
            return lock
        return None


def _window(limit: Limit, moment: datetime) -> tuple[int | None, str, int]:
    """Return the row, the beginning and the use of a limit's window; a new one where the last has ended."""
    rows = db.query(
        "SELECT id, window_started_at, used_count FROM rate_limit_window"
        " WHERE limiter_key = ? AND window_seconds = ?",
        (limit.key, limit.seconds),
    )
    if not rows:
        return None, clock.to_text(moment), 0
    row = rows[0]
    age = (moment - clock.from_text(row["window_started_at"])).total_seconds()
    # One that began later than now was made before the clock was set back: it holds no longer than its span.
    if -limit.seconds < age < limit.seconds:
        return row["id"], row["window_started_at"], row["used_count"]
    return row["id"], clock.to_text(moment), 0


def _store(limit: Limit, row_id: int | None, started: str, used: int) -> None:
    at, actor = clock.now_text(), db.current().actor_id
    values: tuple[Any, ...]
    if row_id is None:
        sql = (
            "INSERT INTO rate_limit_window(limiter_key, window_seconds, window_started_at, used_count,"
            " created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        values = (limit.key, limit.seconds, started, used, actor, at, at)
    else:
        sql = (
            "UPDATE rate_limit_window SET window_started_at = ?, used_count = ?, updated_by = ?,"
            " updated_at = ? WHERE id = ?"
        )
        values = (started, used, actor, at, row_id)
    db.connection().execute(sql, values)


def _end(started: str, limit: Limit) -> float:
    return clock.from_text(started).timestamp() + limit.seconds
