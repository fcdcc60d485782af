"""The threads that do claimed jobs, and what they came to; `tick` claims as many as there is room for."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import clock, jobs
from edgekit.errors import EdgekitError
from edgekit.runner.process.telling import name_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edgekit.jobs import Job, Outcome
    from edgekit.jobs.workers import Workers


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
        self.is_closed = False
        """Whether no more jobs are taken."""
        self._run, self._ended, self._workers = run, ended, workers
        self._lock = threading.Lock()
        self._running: dict[int, Running] = {}
        self._outcomes: list[Outcome] = []

    @property
    def free(self) -> int:
        """How many more jobs may be claimed now."""
        with self._lock:
            return 0 if self.is_closed else max(0, self.threads - len(self._running))

    @property
    def busy(self) -> dict[str, int]:
        """How many jobs of each kind are being done."""
        return dict(Counter(running.job.kind for running in self.running()))

    def running(self) -> list[Running]:
        """Return what is being done, the longest first."""
        with self._lock:
            return sorted(self._running.values(), key=lambda running: running.since)

    def submit(self, job: Job) -> None:
        """Have a claimed job done by a thread."""
        name = name_job(job)
        with self._lock:
            self._running[job.id] = Running(job, name, clock.now())
        self._run(self._perform, job)

    def _perform(self, job: Job) -> None:
        try:
            outcome = jobs.perform(job, workers=self._workers)
        except EdgekitError as error:
            outcome = jobs.Outcome(job, error=error)
        except BaseException as error:
            self._put(jobs.fault(job, error))
            raise  # the clockwork tells its traceback; the runner goes on
        self._put(outcome)

    def _put(self, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes.append(outcome)
        self._ended()

    def settle(self) -> list[tuple[Outcome, Running]]:
        """Write what has ended, in one change, and return it. What cannot be written is kept."""
        with self._lock:
            ended, self._outcomes = self._outcomes, []
        if not ended:
            return []
        try:
            jobs.settle(ended, now=clock.now())
        except BaseException:
            with self._lock:
                self._outcomes = ended + self._outcomes
            raise
        with self._lock:
            return [(outcome, self._running.pop(outcome.job.id)) for outcome in ended]
