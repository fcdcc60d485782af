"""`tick`: everything the runner does at a moment, from nothing but the file and the time."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from edgekit import clock, db, events, jobs
from edgekit.errors import InvalidError
from edgekit.runner.scheduling import hearing, rewinding, rules, running, slots

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from edgekit.db import Database

_AT_ONCE = 200
"""So many schedules are read together."""


class Pool(Protocol):
    """What does claimed jobs in threads; see `edgekit.runner.process`."""

    runner_id: str

    @property
    def free(self) -> int:
        """How many more jobs may be claimed."""

    @property
    def busy(self) -> Mapping[str, int]:
        """How many of each kind are being done."""

    def submit(self, job: jobs.Job) -> None:
        """Have a claimed job done."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What a tick did, and when it wants to be called next: at once if that is not later than now."""

    at: datetime
    made: int = 0
    """Rows of due times and events, whether they run or not."""
    settled: int = 0
    """Slots whose job had ended without them."""
    started: int = 0
    """Slots that had waited for their turn."""
    claimed: int = 0
    """Jobs that were handed over, or done here."""
    rewound: int = 0
    """Schedules that were set back with the clock."""
    faults: tuple[str, ...] = ()
    """Schedules that nobody can work out, each with the reason."""
    wake_at: datetime | None = None


@dataclass(slots=True)
class _Memory:
    """What one process remembers of a file, and works out anew when it begins."""

    runner_id: str
    event_id: int
    at: datetime | None = None


_memories: WeakKeyDictionary[Database, _Memory] = WeakKeyDictionary()


def tick(now: datetime | None = None, *, pool: Pool | None = None) -> Tick:
    """Make a row of everything that is due, start what is to run, settle what has ended.

    With a `pool` claimed jobs are handed over to it; without one they are done here, one after the other,
    until none is due. The same moment twice does nothing twice, and a moment before the last one sets the
    schedules back to it.
    """
    at = now or clock.now()
    memory = _remember()
    rewound = rewinding.rewind(at, memory.at)
    memory.at = at
    _take_back(at, memory.runner_id if pool is None else pool.runner_id)
    settled = running.settle_ended(at)
    made, faults = _make_due(at, is_whole=pool is None)
    made += _hear(memory, at, faults)
    started = slots.start_all(at)
    more = events.fan_out(at).more
    while more and pool is None:
        more = events.fan_out(at).more
    jobs.ensure_standing(at)
    claimed = _hand_over(at, pool) if pool is not None else _work(memory, at)
    wake_at = at if more else _wake_at(faults)
    return Tick(at, made, settled, started, claimed, rewound, tuple(faults.values()), wake_at)


def _remember() -> _Memory:
    file = db.current()
    if file not in _memories:
        _memories[file] = _Memory(f"tick-{os.getpid()}-{uuid.uuid4().hex[:12]}", hearing.last_heard())
    return _memories[file]


def _make_due(now: datetime, *, is_whole: bool) -> tuple[int, dict[int, str]]:
    """Make the slots of what is due, each schedule in a change of its own: of all, or of the first so many.

    With a pool the first ones begin to run before the last are made.
    """
    faults: dict[int, str] = {}
    made, at = 0, clock.to_text(now)
    _plan_anew(now, faults)
    while True:
        found = db.query(
            "SELECT id FROM integration_schedule WHERE next_run_at <= ? AND id NOT IN (SELECT value"
            " FROM json_each(?))"
            " ORDER BY next_run_at LIMIT ?",
            (at, json.dumps(list(faults)), _AT_ONCE),
        )
        if not found:
            return made, faults
        for row in found:
            made += _make_one(row["id"], now, faults)
        if not is_whole:
            return made, faults


def _make_one(schedule_id: int, now: datetime, faults: dict[int, str]) -> int:
    with db.change(reason="schedules: due"):
        rows = rules.read("s.id = ? AND s.next_run_at <= ?", (schedule_id, clock.to_text(now)))
        if not rows:
            return 0
        try:
            return len(slots.account(rows[0], now).slots)
        except InvalidError as error:  # a zone this machine does not know; the others are due all the same
            faults[schedule_id] = f"{rows[0]['schedule_name']}: {error.message}"
            return 0


def _plan_anew(now: datetime, faults: dict[int, str]) -> None:
    """Work out when schedules are due whose times another tool has changed: what was due before is not."""
    found = rules.read(
        "s.next_run_at IS NULL AND s.schedule_type NOT IN ('event_based', 'manual') AND s.status_id IN (1, 2)"
        " AND ifnull(s.end_date >= ?, 1)",
        (f"{now.date()}",),
    )
    for row in found:
        try:
            due = next(rules.recurrence_of(row).after(now), None)
        except InvalidError as error:
            faults[row["id"]] = f"{row['schedule_name']}: {error.message}"
            continue
        if due is not None:
            with db.change(reason=f"schedules {row['schedule_name']}: plan"):
                slots.set_next(row["id"], due)


def _take_back(now: datetime, own: str) -> None:
    """Take back jobs whose lease is over from whoever is no living runner: a runner ends its own itself."""
    lost = db.query(
        "SELECT DISTINCT runner_id FROM job WHERE job_status = 'running' AND lease_ends_at < ?"
        " AND runner_id <> ? AND runner_id NOT IN (SELECT runner_id FROM runner_session"
        " WHERE ended_at IS NULL)",
        (clock.to_text(now), own),
    )
    if lost:
        jobs.recover([row["runner_id"] for row in lost], now=now)


def _hear(memory: _Memory, now: datetime, faults: dict[int, str]) -> int:
    made = 0
    while True:
        heard, count = hearing.hear(memory.event_id, now, faults)
        made += count
        if heard == memory.event_id:
            return made
        memory.event_id = heard


def _hand_over(now: datetime, pool: Pool) -> int:
    if not pool.free:
        return 0
    claimed = jobs.claim(pool.runner_id, now=now, limit=pool.free, busy=pool.busy)
    for job in claimed:
        pool.submit(job)
    return len(claimed)


def _work(memory: _Memory, now: datetime) -> int:
    """Do what is due here, and what follows from it, until nothing is."""
    done = 0
    while claimed := jobs.claim(memory.runner_id, now=now, limit=1):
        jobs.settle([jobs.perform(claimed[0])], now=now)
        running.settle_ended(now)
        _hear(memory, now, {})
        events.fan_out(now)
        done += 1
    return done


def _wake_at(faults: Collection[int]) -> datetime | None:
    """Return when something is due next, other than what nobody here can work out."""
    due = db.query(
        "SELECT min(next_run_at) AS at FROM integration_schedule WHERE next_run_at IS NOT NULL"
        " AND id NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(list(faults)),),
    )[0]["at"]
    moments = [clock.from_text(due) if due else None, jobs.next_due_at()]
    return min((moment for moment in moments if moment is not None), default=None)
