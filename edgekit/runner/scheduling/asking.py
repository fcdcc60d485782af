"""Runs that somebody asks for: one now, or those that past due times would have been."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import InvalidError, quoted
from edgekit.integrations import require_usable
from edgekit.runner.scheduling import planning, rules, schedules, slots, telling

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 1000
"""So many due times are backfilled at once, the first of them."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a backfill asks for: due times in their order, and what is left out."""

    schedule: str
    due: list[datetime] = field(default_factory=list)
    """The due times that run, or in a dry run would."""
    left_out: int = 0
    """Due times that ran, or wait to: they are not run again."""
    beyond: int = 0
    """Due times above the most that is taken at once: ask again from the last one on."""
    is_dry_run: bool = False


def run_schedule(name: str, *, now: datetime | None = None) -> dict[str, Any]:
    """Ask for a run of a schedule now, paused or not, whatever its times; return its slot.

    It begins as soon as a runner is there and the integration is free, with what the schedule says of its
    runs. Raise NotFoundError, DeniedError or ConflictError if its integration cannot be run.
    """
    moment = now or clock.now()
    row = _row(name)
    require_usable(row["integration_name"])
    with db.change(reason=f"schedules run {row['schedule_name']}") as change:
        slot = planning.Slot(moment)
        found = slots.insert(row, slot, moment, kind="manual", correlation_id=change.correlation_id)
        slots.start_waiting(moment, row["integration_id"])
        return telling.read_slots("e.id = ?", (found,))[0]


def backfill(
    name: str, *, since: datetime, until: datetime, dry_run: bool = False, now: datetime | None = None
) -> Backfill:
    """Run the due times from `since` to before `until` that did not run, one after the other; see `MOST`.

    They are those the schedule has as it is now. A `dry_run` only tells them. Raise NotFoundError,
    InvalidError for a span that is empty or not past.
    """
    moment = now or clock.now()
    row = _row(name)
    if since >= until:
        raise InvalidError("A backfill goes from an earlier time to a later one: --from is not before --to.")
    if since > moment:
        hint = f"See what comes: edgekit schedules next {quoted(row['schedule_name'])}"
        raise InvalidError("A backfill is of times that are past.", hint=hint)
    recurrence = rules.recurrence_of(row)
    if row["schedule_type"] in {"event_based", "manual"}:
        raise InvalidError(
            f"{row['schedule_name']} has no due times: it runs by events or on demand.",
            hint=f"Run it now: edgekit schedules run {quoted(row['schedule_name'])}",
        )
    last = min(until - timedelta(microseconds=1), moment)
    planned = _anchor(row, since)
    due = list(islice(recurrence.between(since, last, planned=planned), 10 * MOST))
    done = _done(row["id"], since, last)
    wanted = [at for at in due if at not in done]
    beyond = recurrence.count(since, last, planned=planned) - len(due) + max(0, len(wanted) - MOST)
    found = Backfill(row["schedule_name"], wanted[:MOST], len(due) - len(wanted), beyond, dry_run)
    if not dry_run and found.due:
        require_usable(row["integration_name"])
        with db.change(reason=f"schedules backfill {row['schedule_name']}"):
            for at in found.due:
                slots.insert(row, planning.Slot(at), moment, kind="backfill")
            slots.start_waiting(moment, row["integration_id"])
    return found


def _row(name: str) -> dict[str, Any]:
    return rules.read("s.id = ?", (schedules.find(name),))[0]


def _anchor(row: Mapping[str, Any], since: datetime) -> datetime | None:
    """Return a time of an interval not after `since`, on the grid it is due by."""
    if row["schedule_type"] != "interval":
        return None
    step = timedelta(minutes=row["interval_minutes"])
    due = clock.from_text(row["next_run_at"]) if row["next_run_at"] else since
    return due - (-(-(due - since) // step)) * step if due > since else due


def _done(schedule_id: int, since: datetime, until: datetime) -> set[datetime]:
    """Return the due times that ran to their end, or are about to."""
    found = db.query(
        "SELECT scheduled_at FROM integration_schedule_execution WHERE schedule_id = ?"
        " AND slot_kind IN ('due', 'backfill') AND execution_status IN ('scheduled', 'running', 'completed')"
        " AND scheduled_at BETWEEN ? AND ?",
        (schedule_id, clock.to_text(since), clock.to_text(until)),
    )
    return {clock.from_text(slot["scheduled_at"]) for slot in found}
