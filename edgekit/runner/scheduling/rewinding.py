"""The clock was set back: what was made for times that have not come yet is taken back.

What ran stays and does not run twice, for its row stays. Rows that say why something did not run, and slots
that only wait, are of a future that has not happened: they go, and when each schedule is due next is worked
out anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, jobs
from edgekit.errors import InvalidError
from edgekit.runner.scheduling import planning, rules, slots

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edgekit.recurrence import Recurrence

_INSTANT = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
"""Clocks are put right by less all the time."""

_IS_LATER = "ifnull(s.next_run_at > ?1, s.schedule_type NOT IN ('event_based', 'manual'))"
"""It waits for a later time, or its last day has passed."""

_IS_AHEAD = (
    f"{_IS_LATER} AND (s.last_run_at > ?2 OR s.updated_at > ?2 OR EXISTS"
    " (SELECT 1 FROM integration_schedule_execution e WHERE e.schedule_id = s.id AND e.slot_kind = 'due'"
    " AND e.scheduled_at > ?2) OR (SELECT e.span_ended_at FROM integration_schedule_execution e"
    " WHERE e.schedule_id = s.id AND e.slot_kind = 'due' AND e.scheduled_at <= ?2"
    " ORDER BY e.scheduled_at DESC LIMIT 1) > ?2)"
)


def rewind(now: datetime, before: datetime | None) -> int:
    """Set back every schedule whose clock was ahead; return how many there were.

    `before` is when this process last looked. If it did not, what the rows say of the future tells it.
    """
    if before is not None and before - now < _MINUTE:
        return 0
    at, tolerant = clock.to_text(now), clock.to_text(now + _MINUTE)
    found = rules.read(_IS_AHEAD, (at, tolerant)) if before is None else rules.read(_IS_LATER, (at,))
    count = _bring_forward(now)
    for row in found:
        try:
            count += _rewind_one(row, now)
        except InvalidError:  # nobody here can work it out; the tick says so when it is due
            continue
    return count


_BEHIND = (
    "SELECT DISTINCT j.id FROM integration_schedule_execution e JOIN job j ON j.id = e.job_id"
    f" JOIN integration_schedule s ON s.id = e.schedule_id WHERE e.{slots.OPEN}"
    " AND j.job_status = 'pending' AND j.run_at > ?1 AND (e.slot_kind <> 'due' OR e.scheduled_at <= ?1)"
    " AND (e.created_at > ?1 OR e.started_at > ?1 OR s.last_run_at > ?1)"
)


def _bring_forward(now: datetime) -> int:
    """Let begin what was asked for, or is tried again, by a clock that was ahead; return 1 if any did."""
    waiting = [row["id"] for row in db.query(_BEHIND, (clock.to_text(now + _MINUTE),))]
    if not waiting:
        return 0
    with db.change(reason="schedules: the clock was ahead") as change:
        db.connection().executemany(
            "UPDATE job SET run_at = ?, updated_at = ? WHERE id = ? AND job_status = 'pending'",
            [(clock.to_text(now), change.at, number) for number in waiting],
        )
    return 1


def _rewind_one(row: Mapping[str, Any], now: datetime) -> bool:
    recurrence, at = rules.recurrence_of(row), clock.to_text(now)
    noted = db.query(
        "SELECT id, job_id, scheduled_at, span_ended_at FROM integration_schedule_execution"
        " WHERE schedule_id = ? AND slot_kind = 'due' AND execution_status IN ('scheduled', 'skipped')"
        " AND (scheduled_at > ? OR span_ended_at > ?)",
        (row["id"], at, at),
    )
    if row["next_run_at"] is None:  # it was due last when its last row says
        last = db.query(
            "SELECT max(ifnull(span_ended_at, scheduled_at)) AS at FROM integration_schedule_execution"
            " WHERE schedule_id = ? AND slot_kind = 'due'",
            (row["id"],),
        )[0]["at"]
        if last is None or last <= at:
            return False
        row = {**row, "next_run_at": last}
    if not noted and _due_again(row, recurrence, now) is None:
        return False
    with db.change(reason=f"schedules {row['schedule_name']}: the clock was set back"):
        taken = _taken(row["id"], min((slot["scheduled_at"] for slot in noted), default=at))
        for slot in noted:
            _take_back(slot, recurrence, taken, now)
        if (due := _due_again(row, recurrence, now)) is not None:
            slots.set_next(row["id"], due)
    return True


def _due_again(row: Mapping[str, Any], recurrence: Recurrence, now: datetime) -> datetime | None:
    """Return when a schedule is due next that has waited for a later time, else None."""
    taken = _taken(row["id"], clock.to_text(now))
    planned = _on_its_grid(row, recurrence, now)
    due = next((at for at in recurrence.after(now, planned=planned) if at not in taken), None)
    return due if due is not None and clock.to_text(due) < row["next_run_at"] else None


def _taken(schedule_id: int, since: str) -> set[datetime]:
    found = db.query(
        "SELECT scheduled_at FROM integration_schedule_execution"
        " WHERE schedule_id = ? AND slot_kind = 'due' AND scheduled_at >= ?",
        (schedule_id, since),
    )
    return {clock.from_text(slot["scheduled_at"]) for slot in found}


def _on_its_grid(row: Mapping[str, Any], recurrence: Recurrence, now: datetime) -> datetime:
    """Return the time of an interval that follows now, so many whole steps before the one it was due."""
    due = clock.from_text(row["next_run_at"])
    if recurrence.schedule_type != "interval" or recurrence.start_date is not None:
        return due
    step = timedelta(minutes=recurrence.interval_minutes or 1)
    return due - (due - now - _INSTANT) // step * step


def _take_back(
    slot: Mapping[str, Any], recurrence: Recurrence, taken: Collection[datetime], now: datetime
) -> None:
    """Delete what was only noted, or only waits, for a time to come; shorten a span that reaches into it."""
    if slot["job_id"] is not None and jobs.show(slot["job_id"]).job_status != "pending":
        return
    if slot["scheduled_at"] > clock.to_text(now):
        db.connection().execute("DELETE FROM integration_schedule_execution WHERE id = ?", (slot["id"],))
        if slot["job_id"] is not None:
            jobs.cancel(slot["job_id"], now=now)
        return
    first = clock.from_text(slot["scheduled_at"])
    # What is within it and has a row of its own is none of it: it ran before the clock was set back.
    own = frozenset(at for at in taken if at != first)
    (kept,) = planning.close(planning.Rule(recurrence), planning.Standing(first, own), "kept", now).slots
    db.connection().execute(
        "UPDATE integration_schedule_execution SET span_ended_at = ?, slot_count = ?, updated_at = ?,"
        " updated_by = ? WHERE id = ?",
        (
            kept.span_ended_at and clock.to_text(kept.span_ended_at),
            kept.count,
            clock.now_text(),
            db.current().actor_id,
            slot["id"],
        ),
    )
