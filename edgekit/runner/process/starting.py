"""One life of the runner: take over, wake at what is due, notice what others write, end in good order."""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import __version__, clock, db, rules, runner
from edgekit.errors import EdgekitError, NotFoundError
from edgekit.jobs import stopping
from edgekit.runner.process import life, lock, tidying
from edgekit.runner.process.pool import Pool, Running
from edgekit.runner.process.signals import Stop
from edgekit.runner.process.telling import Line, tell_end, tell_jump, tell_recovered
from edgekit.runner.process.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edgekit.runner.process.clockwork import Clockwork

THREADS = 4
"""Jobs done at once, unless said otherwise."""

GRACE_SECONDS = 20.0
"""How long work is waited for when the runner is to end."""

_LOOK_SECONDS = 0.25
"""How often the runner looks whether somebody has written."""

_AGAIN = timedelta(seconds=5)
"""After a beat that failed: the file was busy for long, or the disk full."""

_MOST_PUT_OFFS = 3
"""So many beats that fail one after the other end a life that is to end by itself."""
_LAST_SECONDS = 2.0
"""For what was stopped to say so."""

_FLOOR = timedelta(milliseconds=20)
_FULL = timedelta(milliseconds=500)
_TIDY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a runner stands: what it does, and when it will wake."""

    since: datetime
    running: list[Running]
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lived:
    """What a life of the runner came to."""

    runner_id: str
    reason: str
    """once: all that was due is settled; until: its time was up; asked: it was asked to end."""
    completed: int
    failed: int
    given_back: int
    """Jobs that could not be ended: the next runner does them."""
    is_stuck: bool
    """Whether a thread still works and cannot be stopped: the process has to be ended."""


def start(
    *,
    once: bool = False,
    until: datetime | None = None,
    threads: int = THREADS,
    grace_seconds: float = GRACE_SECONDS,
    stop: Stop | None = None,
    report: Callable[[Line], None] | None = None,
    look: Callable[[Standing], None] | None = None,
) -> Lived:
    """Run what is due as long as nobody asks `stop`, and return what that came to.

    With `once` until all that is due is settled, with `until` up to that time. `report` is given each line of
    what happens, `look` once a second how it stands. What is at work at the end is waited for up to
    `grace_seconds`, then stopped and given back. Raise ConflictError while the file has another runner.
    """
    opened = db.current()
    opened.session.require_file("edit", "running the runner")
    with lock.hold(opened.path):
        lived = _Life(threads, grace_seconds, stop or Stop(), _told(report or _say_nothing), look)
        return lived.live(once=once, until=until)


def _told(report: Callable[[Line], None]) -> Callable[[Line], None]:
    """Have what a log or console cannot show said so that it can."""

    def tell(line: Line) -> None:
        try:
            report(line)
        except UnicodeEncodeError:
            report(Line(line.at, line.kind, ascii(line.text)[1:-1]))

    return tell


def _say_nothing(line: Line) -> None:
    del line


class _Life:
    def __init__(
        self,
        threads: int,
        grace_seconds: float,
        stop: Stop,
        report: Callable[[Line], None],
        look: Callable[[Standing], None] | None,
    ) -> None:
        from edgekit.jobs.workers import Workers
        from edgekit.runner.process.clockwork import Clockwork

        opened = db.current()
        self._path, self._report, self._look, self._stop = opened.path, report, look, stop
        self._grace = grace_seconds
        self.runner_id = life.new_runner_id()
        self._clockwork: Clockwork = Clockwork(
            threads,
            beat=self._beat,
            beat_failed=self._fail,
            work_failed=lambda told: self._say("fault", told),
        )
        self._workers = Workers(opened.path, actor=opened.actor)
        self._pool = Pool(
            self.runner_id, threads, run=self._clockwork.run, ended=self._poke, workers=self._workers
        )
        self._gate = threading.Lock()
        self._beating = threading.Lock()
        self._is_poked = False
        self._quiet = threading.Event()
        self._fault: BaseException | None = None
        self._since = clock.now()
        self._next_at: datetime | None = None
        self._completed = self._failed = self._given_back = 0
        self._told: set[str] = set()
        self._is_once = False
        self._put_offs = 0

    def live(self, *, once: bool, until: datetime | None) -> Lived:
        """Live from the taking over to the end."""
        reason, self._is_once = "asked", once
        stopping.begin()
        recovered = life.begin(self.runner_id, now=self._since)
        self._say("started", f"edgekit {__version__} runs {self._path}, as {self.runner_id}.")
        for text in tell_recovered(recovered):
            self._say("recovered", text)
        try:
            self._clockwork.start()
            self._poke()
            reason = self._watch(once, until)
        finally:
            lived = self._end(reason)
        if self._fault is not None:
            raise self._fault
        return lived

    def _watch(self, once: bool, until: datetime | None) -> str:
        """Look at the file and the clocks until there is a reason to end, and return it."""
        watch, tidied = Watch(), time.monotonic()
        every = _LOOK_SECONDS / 5 if once else _LOOK_SECONDS
        while not self._stop.wait(every) and self._fault is None:
            if until is not None and clock.now() >= until:
                return "until"
            if once and self._quiet.is_set():
                return "once"
            if (jump := watch.find_jump()) is not None:
                self._say("clock", tell_jump(jump))
                self._clockwork.look_again()
                self._poke()
            if not watch.is_in_place():
                raise NotFoundError(
                    f"{self._path} was moved, deleted or replaced while its runner was at work.",
                    hint="The runner has ended. Start it again where the file is.",
                )
            if watch.has_changed():
                self._poke()
            if self._look is not None:
                self._look(Standing(self._since, self._pool.running(), self._next_at))
            if self._pool.is_stalled:
                self._poke()
            if time.monotonic() - tidied > _TIDY_SECONDS:
                self._tidy()
                tidied = time.monotonic()
        return "asked"

    def _tidy(self) -> None:
        """Keep the log small and sealed, in a quiet moment."""
        size = tidying.log_size(self._path)
        if size > tidying.HUGE or (size > tidying.BIG and self._pool.is_idle):
            tidying.empty_log(self._path)
        db.current().keep()

    def _poke(self) -> None:
        """Have a beat at once; several wishes before it are one."""
        with self._gate:
            if not self._is_poked:
                self._is_poked = True
                self._clockwork.wake_at(clock.now())

    def _beat(self) -> None:
        """Write what has ended, do what is due, and set the clock to what is due next."""
        with self._beating:
            with self._gate:
                self._is_poked = False
            if self._pool.is_closed:
                return
            now, floor = clock.now(), _FLOOR
            try:
                self._settle()
                tick = runner.tick(now, pool=self._pool)
                wake_at = self._next_at = tick.wake_at
            except (EdgekitError, sqlite3.Error) as error:
                self._put_off(error)
                wake_at = now + _AGAIN
            else:
                self._put_offs = 0
                self._tell_faults(tick.faults)
                is_due = wake_at is not None and wake_at <= now
                if self._pool.is_idle and not is_due:
                    self._quiet.set()
                if is_due and not self._pool.free:
                    return  # the first one that ends makes room
                if not (tick.claimed or tick.made or self._pool.is_idle):
                    floor = _FULL  # what is due is of kinds of which no more may run
            with self._gate:
                if wake_at is not None and not self._is_poked:
                    self._clockwork.wake_at(max(wake_at, clock.now() + floor))

    def _put_off(self, error: EdgekitError | sqlite3.Error) -> None:
        """Say why a beat failed, which the next may not; a life that is to be short tries a few times."""
        ours = error if isinstance(error, EdgekitError) else rules.translate(error)
        if ours is None:
            raise error
        self._put_offs += 1
        if self._is_once and self._put_offs == _MOST_PUT_OFFS:
            raise ours from error
        self._say("failed", f"{ours.message} Trying again in {_AGAIN.seconds} seconds.")

    def _tell_faults(self, faults: tuple[str, ...]) -> None:
        """Say what is wrong with a schedule, once."""
        for fault in faults:
            if fault not in self._told:
                self._say("failed", fault)
        self._told = set(faults)

    def _settle(self) -> None:
        for outcome, running in self._pool.settle():
            text, is_well = tell_end(outcome, running)
            self._completed += is_well
            self._given_back += outcome.is_given_back
            self._failed += not (is_well or outcome.is_given_back)
            self._say("done" if is_well else "note" if outcome.is_given_back else "failed", text)

    def _fail(self, error: BaseException) -> None:
        """Note a fault of the program in the beat: it ends the runner, which raises it."""
        self._fault = self._fault or error

    def _end(self, reason: str) -> Lived:
        with self._beating:
            self._pool.close()
        if running := self._pool.running():
            self._say("stopping", f"Waiting for {len(running)} at work, up to {self._grace:g} seconds.")
            stopping.ask()
            self._workers.stop()
            self._wait(self._grace)
            self._workers.close()
            self._wait(_LAST_SECONDS, even_urgent=True)
        else:
            self._workers.close()
        is_stuck = not self._pool.is_idle
        self._clockwork.stop(wait=not is_stuck)
        given_back = self._given_back + life.end(self.runner_id, now=clock.now())
        if not tidying.empty_log(self._path):
            self._say(
                "note",
                "The write-ahead log stays for now: another program reads the file, or the disk is full.",
            )
        ways = {"once": "all that was due is settled", "until": "its time was up", "asked": "as asked"}
        back = f", {given_back} given back to the next runner" if given_back else ""
        self._say("stopped", f"Ended, {ways[reason]}: {self._completed} done, {self._failed} failed{back}.")
        self._stop.tell_ended()
        return Lived(self.runner_id, reason, self._completed, self._failed, given_back, is_stuck)

    def _wait(self, seconds: float, *, even_urgent: bool = False) -> None:
        """Wait until nothing is at work, writing what ends meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and (even_urgent or not self._stop.is_urgent):
            try:
                self._settle()
            except EdgekitError as error:
                self._say("failed", error.message)
            if self._pool.is_idle:
                return
            time.sleep(0.02)

    def _say(self, kind: str, text: str) -> None:
        try:
            self._report(Line(clock.now(), kind, text))
        except OSError:  # whoever read it has gone; the work goes on
            self._report = _say_nothing
