"""APScheduler as what it is here: a clock that wakes once, and threads. What is due stands in the file."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING, Any

from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger

from edgekit import clock, db

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_WAKE = "wake"
_LEAVE_SECONDS = 10.0


class Clockwork:
    """One wake-up at a time, in a thread of its own, and a number of threads for work.

    A fault of the program in the beat is told with its exception, one in work with its traceback.
    """

    def __init__(
        self,
        threads: int,
        *,
        beat: Callable[[], None],
        beat_failed: Callable[[BaseException], None],
        work_failed: Callable[[str], None],
    ) -> None:
        self.threads = threads
        self._beat = beat
        self._beat_failed = beat_failed
        self._work_failed = work_failed
        # What goes wrong is told by its event; its own log would say it again, with a traceback.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL + 1)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"clock": ThreadPoolExecutor(1), "work": ThreadPoolExecutor(threads)},
            # A wake-up is never too late, and while one is at work another may come.
            job_defaults={"misfire_grace_time": None, "max_instances": 1_000_000},
        )
        self._scheduler.add_listener(self._tell, EVENT_JOB_ERROR)

    def start(self) -> None:
        """Begin; nothing happens before `wake_at` or `run`."""
        self._scheduler.start()

    def wake_at(self, moment: datetime) -> None:
        """Call the beat at a time, or at once if it is past, in place of the wake-up before."""
        self._scheduler.add_job(
            self._beat, DateTrigger(moment, timezone=UTC), id=_WAKE, executor="clock", replace_existing=True
        )

    def run(self, work: Callable[..., None], *args: Any) -> None:
        """Do work in a thread as soon as one is free."""
        self._scheduler.add_job(work, DateTrigger(clock.now(), timezone=UTC), args=args, executor="work")

    def look_again(self) -> None:
        """Compare the clock of the wall again: it was set, or the machine slept."""
        self._scheduler.wakeup()

    def stop(self, *, wait: bool) -> None:
        """End; with `wait`, after each thread has closed its connection."""
        if wait:
            self._leave("clock", 1)
            self._leave("work", self.threads)
        self._scheduler.remove_all_jobs()
        self._scheduler.shutdown(wait=wait)

    def _leave(self, executor: str, threads: int) -> None:
        """Let each thread close its own connection: only the thread that opened it may."""
        together = threading.Barrier(threads + 1)

        def meet() -> None:
            with suppress(threading.BrokenBarrierError):  # who is late is not waited for
                together.wait(_LEAVE_SECONDS)

        def leave() -> None:
            meet()
            db.current().release()

        for _ in range(threads):
            self._scheduler.add_job(leave, DateTrigger(clock.now(), timezone=UTC), executor=executor)
        meet()

    def _tell(self, event: Any) -> None:
        if event.job_id == _WAKE:
            self._beat_failed(event.exception)
        else:
            # What it says may be private; where it happened, and what it is, is not.
            self._work_failed(f"{type(event.exception).__name__}\nTraceback:\n{event.traceback.rstrip()}")
