"""The gate every request of an integration passes: counted in the file, by all processes together.

A request takes a slot in each limit's window before it is sent. Slots are taken from the file in small
blocks, each in a short change of its own, and those not used are given back; a killed process loses the few
it held until they count no more.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, cast

from edgekit import clock, db
from edgekit.connectors import Passage
from edgekit.errors import BusyError, RateLimitedError, UnavailableError
from edgekit.integrations import figures
from edgekit.runner.limiting.breakers import Breaker, require_no_change
from edgekit.runner.limiting.sparing import Spared
from edgekit.runner.limiting.windows import Window

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
        self._held: dict[tuple[str, int], int] = {}
        self._warned: set[str] = set()
        self._locks: dict[int, BaseFileLock] = {}

    @contextmanager
    def __call__(self, longest: float, target: str | None = None) -> Iterator[Passage]:
        """Hold a slot and a place while one request is made, waiting for them no longer than so many seconds.

        Raise RateLimitedError, with `limit` naming which one is used up, or CircuitOpenError where the
        `target` is left alone; nothing may be sent then.
        """
        require_no_change(self._name)
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
            moment = self._now()
            try:
                with db.change(reason=f"requests of {self._name}"):
                    for limit in self._rates:
                        window = Window(limit, moment)
                        self._give_back(window)
                        window.store()
            except (BusyError, UnavailableError):
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
            windows = [Window(limit, moment) for limit in self._rates]
            for window in windows:
                self._give_back(window)
            full = [window for window in windows if window.limit.blocks and not window.room()]
            # Of little that is left nobody hoards: another process may need it now.
            shares = [room // 4 for window in windows if (room := window.room())]
            block = 0 if full else max(1, min([self._block, *shares]))
            taken = [window.take(block) for window in windows] if block else []
            if block or self._left:
                for window in windows:
                    window.store()
        self._left, self._held = 0, {}
        if full:
            last = max(full, key=Window.free_at)
            until = last.free_at()
            return max(0.001, until - moment.timestamp()), self._used_up(last.limit, until, moment)
        self._left = block - 1
        self._held = {
            (window.limit.key, window.limit.seconds): share
            for window, (share, _) in zip(windows, taken, strict=True)
        }
        self._ends = min(ends for _, ends in taken) / 1000
        self._block = min(_LARGEST_BLOCK, self._block * 2)
        self._warn(windows, block)
        return None

    def _give_back(self, window: Window) -> None:
        """Give back the slots not used."""
        share = self._held.get((window.limit.key, window.limit.seconds))
        if self._left and share is not None:
            window.give_back(share, self._left)

    def _warn(self, windows: list[Window], taken: int) -> None:
        for window in windows:
            limit = window.limit
            if window.used - taken >= limit.count and limit.key not in self._warned:
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
