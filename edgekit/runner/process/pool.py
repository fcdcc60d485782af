"""The threads that do claimed jobs, and what they came to; `tick` claims as many as there is room for.

While jobs end within moments, more are claimed than there are threads, so that these do not wait for changes
of the file; where jobs take long, none are. What has waited here for long is given back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import clock, db, jobs
from edgekit.errors import BusyError, EdgekitError, UnavailableError
from edgekit.runner.process.telling import name_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edgekit.jobs import Job, Outcome
    from edgekit.jobs.workers import Workers

_MOST_AHEAD = 200
"""So many jobs wait here for a thread at most: what a change of the file costs is shared by enough then."""

_QUICK_SECONDS = 0.05
"""Jobs that take longer, in the mean, are not claimed ahead: a change for each is nothing beside them."""

_LINGER_SECONDS = 0.1
"""A thread that has nothing to do waits so long for more before it is given up."""

_LONGEST_WAIT = 0.5
"""Seconds a claimed job waits here at most: something more urgent may have come meanwhile."""


@dataclass(frozen=True, slots=True)
class Running:
    """A job that is being done."""

    job: Job
    name: str
    since: datetime


class Pool:
    """Hands jobs to threads, for `tick`; what they come to is put aside for `settle`."""

    def __init__(
        self,
        runner_id: str,
        threads: int,
        *,
        run: Callable[..., None],
        ended: Callable[[], None],
        workers: Workers | None = None,
    ) -> None:
        self.runner_id = runner_id
        self.threads = threads
        self._run, self._ended, self._workers = run, ended, workers
        self._lock = threading.Lock()
        self._is_wanted = threading.Condition(self._lock)
        self._is_closed = False
        self._waiting: deque[tuple[Running, float]] = deque()
        self._running: dict[int, Running] = {}
        self._outcomes: list[Outcome] = []
        self._threads = self._doing = 0
        self._ahead = 0
        self._was_full = False
        self._ended_count, self._took = 0, 0.0

    @property
    def is_closed(self) -> bool:
        """Whether no more jobs are taken."""
        return self._is_closed

    def close(self) -> None:
        """Take no more jobs, and have what no thread has begun given back by the next `settle`."""
        with self._lock:
            self._is_closed = True
            self._give_back()
            self._is_wanted.notify_all()

    @property
    def free(self) -> int:
        """How many more jobs may be claimed now."""
        with self._lock:
            return 0 if self._is_closed else max(0, self._room())

    def _room(self) -> int:
        return self.threads + self._ahead - self._doing - len(self._waiting)

    @property
    def busy(self) -> dict[str, int]:
        """How many jobs of each kind are ours: being done, or claimed ahead."""
        with self._lock:
            ours = [running.job.kind for running in self._running.values()]
            return dict(Counter([*ours, *(waits.job.kind for waits, _ in self._waiting)]))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is ours: not being done, not waiting, and all that has ended is written."""
        with self._lock:
            return not (self._running or self._waiting or self._outcomes)

    @property
    def is_stalled(self) -> bool:
        """Whether jobs wait here for long that the next `settle` gives back."""
        with self._lock:
            return self._has_waited()

    def _has_waited(self) -> bool:
        return bool(self._waiting) and time.monotonic() - self._waiting[0][1] > _LONGEST_WAIT

    def running(self) -> list[Running]:
        """Return what is being done, the longest first."""
        with self._lock:
            return sorted(self._running.values(), key=lambda running: running.since)

    def submit(self, job: Job) -> None:
        """Have a claimed job done by the next thread that is free."""
        waits = Running(job, name_job(job), clock.now())
        with self._lock:
            self._waiting.append((waits, time.monotonic()))
            self._was_full = self._was_full or self._room() <= 0
            self._is_wanted.notify()
            is_another = self._threads < min(self.threads, self._doing + len(self._waiting))
            self._threads += is_another
        if is_another:
            self._run(self._work)

    def _work(self) -> None:
        """Do what waits, one after the other, until nothing has for a moment."""
        while (job := self._begin()) is not None:
            started = time.monotonic()
            try:
                outcome = jobs.perform(job, workers=self._workers)
            except EdgekitError as error:
                outcome = jobs.Outcome(job, error=error)
            except BaseException as error:
                db.current().release()  # whatever its connection is in is not the next one's
                self._put(jobs.fault(job, error), started)
                self._go_on()
                raise  # the clockwork tells its traceback; the runner goes on
            if isinstance(outcome.error, BusyError):  # perhaps of what an earlier one has left unread
                db.current().release()
            self._put(outcome, started)

    def _begin(self) -> Job | None:
        with self._lock:
            self._is_wanted.wait_for(lambda: self._waiting or self._is_closed, _LINGER_SECONDS)
            if not self._waiting:
                self._threads -= 1
                return None
            waited, _ = self._waiting.popleft()
            self._doing += 1
            self._running[waited.job.id] = Running(waited.job, waited.name, clock.now())
            return waited.job

    def _go_on(self) -> None:
        """Have another thread take the place of this one, which ends with a fault."""
        with self._lock:
            is_wanted = bool(self._waiting)
            self._threads -= not is_wanted
        if is_wanted:
            self._run(self._work)

    def _put(self, outcome: Outcome, started: float) -> None:
        with self._lock:
            self._outcomes.append(outcome)
            self._doing -= 1
            self._ended_count += 1
            self._took += time.monotonic() - started
        self._ended()

    def settle(self) -> list[tuple[Outcome, Running]]:
        """Write what has ended, in one change, and return it. What cannot be written is kept."""
        with self._lock:
            if self._has_waited():
                self._ahead = 0
                self._give_back()
            ended, self._outcomes = self._outcomes, []
        if not ended:
            return []
        try:
            ended = self._write(ended)
        except BaseException:
            with self._lock:
                self._outcomes = ended + self._outcomes
            raise
        with self._lock:
            self._adapt()
            done = [(outcome, self._running.pop(outcome.job.id, None)) for outcome in ended]
        return [(outcome, running) for outcome, running in done if running is not None]

    def _write(self, ended: list[Outcome]) -> list[Outcome]:
        """Write ends, and return them as written: one the file refuses keeps back none of the others."""
        now = clock.now()
        try:
            jobs.settle(ended, now=now)
        except (BusyError, UnavailableError):  # which goes by
            raise
        except EdgekitError as error:
            if len(ended) > 1:
                return [written for outcome in ended for written in self._write([outcome])]
            refused = jobs.Outcome(ended[0].job, error=error)
            with suppress(EdgekitError):  # else it stays as it is until another runner takes over
                jobs.settle([refused], now=now)
            return [refused]
        return ended

    def _give_back(self) -> None:
        self._outcomes += [jobs.Outcome(waits.job, is_given_back=True) for waits, _ in self._waiting]
        self._waiting.clear()

    def _adapt(self) -> None:
        """Claim further ahead where more was due than there was room for and it was quick."""
        if self._was_full and self._took < _QUICK_SECONDS * self._ended_count:
            self._ahead = min(_MOST_AHEAD, max(self.threads, 2 * self._ahead))
        else:
            self._ahead //= 2
        self._was_full, self._ended_count, self._took = False, 0, 0.0
