"""What a schedule does at a moment: decided from what it says, what is known of it, and the time.

Pure: no file, no clock of its own. Every due time from the first one that has no row up to now is in exactly
one decision, so nothing is lost and nothing is done twice however far the clock jumps; and the next due
time is always after now, so nothing waits for a future that a wrong clock once made up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edgekit import clock

if TYPE_CHECKING:
    from edgekit.recurrence import Recurrence

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a schedule says."""

    recurrence: Recurrence
    missed_policy: str = "skip"
    overlap_policy: str = "skip"
    grace: timedelta = timedelta(seconds=300)
    catch_up_limit: int = 24
    catch_up_delay: timedelta = timedelta(seconds=10)
    jitter_seconds: int = 0
    seed: str = ""
    """What its jitter is drawn from: the same after every start."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a schedule."""

    due_at: datetime
    """The first due time that has no row yet."""
    taken: frozenset[datetime] = frozenset()
    """Later due times that have one: the clock was set back."""
    running: int = 0
    """How many of its runs have begun and not ended."""
    waiting: int = 0
    """How many wait to begin."""
    is_off: bool = False
    """Whether it, or its integration, is paused."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What becomes of a due time, or of `count` of them as a span: it runs unless there is a reason."""

    scheduled_at: datetime
    reason: str | None = None
    span_ended_at: datetime | None = None
    count: int = 1
    run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a schedule does now, in the order of its due times, and when to ask again."""

    slots: tuple[Slot, ...]
    next_at: datetime | None
    is_cancelling: bool = False
    """Whether what it runs now is stopped for it."""


def plan(rule: Rule, standing: Standing, now: datetime) -> Plan:
    """Decide about every due time up to `now`.

    Those later than the grace are missed: under `run_once` the last of all runs and the others are
    `coalesced` into it, under `run_all` the last `catch_up_limit` run one after the other, else none does.
    Of several within the grace the last one runs for all, unless the overlap policy wants each.
    """
    line = _Line(rule.recurrence, standing, now)
    upcoming = line.first_after(now)
    if not (due := line.count(standing.due_at, now)):
        return Plan((), upcoming)
    if standing.is_off:
        return Plan(line.span("paused", standing.due_at, now), upcoming)
    missed_until, wanted = _wanted(rule, standing, line, due, now)
    slots = line.span("missed", standing.due_at, missed_until) if missed_until else ()
    since = missed_until + _INSTANT if missed_until else standing.due_at
    if wanted and _is_in_the_way(rule, standing, line, now):
        return Plan((*slots, *line.span("overlap", since, now)), upcoming)
    if wanted:
        slots = (*slots, *line.span("coalesced", since, wanted[0] - _INSTANT))
    is_cancelling = rule.overlap_policy == "cancel_running" and bool(wanted)
    runs = tuple(Slot(at, run_at=_run_at(rule, at, place, now)) for place, at in enumerate(wanted))
    return Plan((*slots, *runs), upcoming, is_cancelling and standing.running + standing.waiting > 0)


def close(rule: Rule, standing: Standing, reason: str, now: datetime) -> Plan:
    """Decide that nothing of what is due runs, for a reason: the schedule is about to become another."""
    line = _Line(rule.recurrence, standing, now)
    return Plan(line.span(reason, standing.due_at, now), line.first_after(now))


def _wanted(
    rule: Rule, standing: Standing, line: _Line, due: int, now: datetime
) -> tuple[datetime | None, list[datetime]]:
    """Return until when all is missed, and what is to run of the rest, were nothing in the way."""
    each = rule.overlap_policy in {"queue_all", "allow"}
    in_time = max(standing.due_at, now - rule.grace)
    if rule.missed_policy == "run_all":
        wanted = line.latest(rule.catch_up_limit, standing.due_at, now)
        return (wanted[0] - _INSTANT if due > len(wanted) else None), wanted
    wanted = line.latest(rule.catch_up_limit if each else 1, in_time, now)
    if rule.missed_policy == "run_once":
        return None, wanted or line.latest(1, standing.due_at, now)
    return (in_time - _INSTANT if in_time > standing.due_at else None), wanted


def _is_in_the_way(rule: Rule, standing: Standing, line: _Line, now: datetime) -> bool:
    """Whether an earlier run keeps what is due from running. What `run_all` catches up waits for its turn."""
    late = line.count(standing.due_at, now - rule.grace - _INSTANT)
    if rule.missed_policy == "run_all" and late:
        return False
    return is_held_up(rule.overlap_policy, standing.running, standing.waiting)


def is_held_up(overlap_policy: str, running: int, waiting: int) -> bool:
    """Whether what runs, or waits, of a schedule keeps another run of it from being taken up."""
    if overlap_policy == "skip":
        return running + waiting > 0
    return overlap_policy == "queue_one" and waiting > 0


def _run_at(rule: Rule, at: datetime, place: int, now: datetime) -> datetime:
    """Say when to begin: what is caught up begins one after the other, and all is spread by the jitter."""
    return max(now + place * rule.catch_up_delay, at + jitter(rule.seed, at, rule.jitter_seconds))


def jitter(seed: str, at: datetime, most: int) -> timedelta:
    """Return by how much a due time is put off: below `most` seconds, and the same whenever it is asked."""
    if not most:
        return timedelta()
    digest = hashlib.sha256(f"{seed}/{clock.to_text(at)}".encode()).digest()
    return timedelta(milliseconds=int.from_bytes(digest[:8]) % (most * 1000))


class _Line:
    """The due times of a schedule that have no row yet."""

    def __init__(self, recurrence: Recurrence, standing: Standing, now: datetime) -> None:
        self._recurrence = recurrence
        self._planned = standing.due_at
        self._taken = standing.taken
        self._past = sorted(at for at in standing.taken if standing.due_at <= at <= now)

    def first_after(self, moment: datetime) -> datetime | None:
        times = self._recurrence.after(moment, planned=self._planned)
        return next((at for at in times if at not in self._taken), None)

    def count(self, first: datetime, last: datetime) -> int:
        if first > last:
            return 0
        taken = sum(first <= at <= last for at in self._past)
        return self._recurrence.count(first, last, planned=self._planned) - taken

    def latest(self, count: int, first: datetime, last: datetime) -> list[datetime]:
        if first > last:
            return []
        found = self._recurrence.latest(count + len(self._past), first, last, planned=self._planned)
        return [at for at in found if at not in self._taken][-count:]

    def span(self, reason: str, first: datetime, last: datetime) -> tuple[Slot, ...]:
        """Return the one row for all from `first` to `last`, if there are any."""
        if not (count := self.count(first, last)):
            return ()
        begun = self.first_after(first - _INSTANT)
        ended = self.latest(1, first, last)[0]
        if begun is None or count == 1:
            return (Slot(ended, reason),)
        return (Slot(begun, reason, ended, count),)
