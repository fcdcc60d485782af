"""What is thrown away in time: ended jobs, what was handed on or told, inputs kept for replay."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, configuration, db, events, jobs
from edgekit.errors import NotFoundError
from edgekit.events.pruning import KEEP_DAYS as KEEP_EVENTS_DAYS
from edgekit.jobs.pruning import KEEP_DAYS, KEEP_FAILED_DAYS
from edgekit.runner.kept import prune_inputs
from edgekit.runner.notifying.pruning import KEEP_DAYS as KEEP_NOTIFICATIONS_DAYS
from edgekit.runner.notifying.pruning import prune_notifications
from edgekit.runner.scheduling.pruning import KEEP_DAYS as KEEP_SLOTS_DAYS
from edgekit.runner.scheduling.pruning import prune_slots

if TYPE_CHECKING:
    from datetime import datetime

CONFIGURATION = "HOUSEKEEPING_SETTINGS"


def _tomorrow(now: datetime) -> datetime:
    return now + timedelta(days=1)


@jobs.handles("housekeeping.daily", concurrency=1, standing=_tomorrow, attempts=3)
def keep_house(job: jobs.Job) -> dict[str, Any]:
    """Delete what is older than the configuration says, a day after the last time."""
    return throw_away(now=job.claimed_at or clock.now())


def throw_away(*, now: datetime) -> dict[str, Any]:
    """Delete what is older than the configuration says; return how much of each."""
    days = _days()
    return {
        "jobs": jobs.prune(
            keep_days=days["keep_jobs_days"], keep_failed_days=days["keep_failed_jobs_days"],
            let_go=_let_go, now=now,
        ),
        "slots": prune_slots(keep_days=days["keep_slots_days"], now=now),
        "events": events.prune_events(keep_days=days["keep_events_days"], now=now),
        "notifications": prune_notifications(keep_days=days["keep_notifications_days"], now=now),
        "inputs": prune_inputs(now=now).batches,
    }  # fmt: skip


def _days() -> dict[str, int]:
    known = {
        "keep_jobs_days": KEEP_DAYS,
        "keep_failed_jobs_days": KEEP_FAILED_DAYS,
        "keep_slots_days": KEEP_SLOTS_DAYS,
        "keep_events_days": KEEP_EVENTS_DAYS,
        "keep_notifications_days": KEEP_NOTIFICATIONS_DAYS,
    }
    try:
        return known | configuration.resolve(CONFIGURATION)
    except NotFoundError:  # a file from before there was this type: `seeds apply` adds it
        return known


def _let_go(numbers: str) -> None:
    """A slot is kept longer; what ran for it is its execution."""
    db.connection().execute(
        "UPDATE integration_schedule_execution SET job_id = NULL, updated_at = ?"
        " WHERE job_id IN (SELECT value FROM json_each(?))",
        (clock.now_text(), numbers),
    )
