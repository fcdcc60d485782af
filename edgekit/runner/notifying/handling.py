"""The jobs behind notifications: what is due is told, and once a day what expires is looked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, jobs
from edgekit.runner.notifying.expiring import tell_expiring
from edgekit.runner.notifying.flushing import flush_notifications
from edgekit.runner.notifying.hearing import FLUSH

if TYPE_CHECKING:
    from edgekit.jobs import Job

_MORNING = 5
"""The hour of the day, UTC, at which the sweep is due."""


@jobs.handles(FLUSH, concurrency=1, timeout_seconds=300)
def handle_flush(job: Job) -> dict[str, Any] | None:
    """Tell what is due, and end the job, in one change."""
    at = job.claimed_at or clock.now()
    with db.change(reason="notifications: flush", correlation_id=job.correlation_id):
        found = flush_notifications(besides=job.id, now=at)
        said = {"messages": found.messages, "told": found.told, "dropped": found.dropped}
        jobs.finish(job, {**said, **({"faults": list(found.faults)} if found.faults else {})}, now=at)
    return None


def next_sweep(now: datetime) -> datetime:
    """Return when what expires is looked for next: once a day."""
    today = now.replace(hour=_MORNING, minute=0, second=0, microsecond=0)
    return today if now < today else today + timedelta(days=1)


@jobs.handles("notification.sweep", standing=next_sweep, attempts=5, timeout_seconds=300)
def handle_sweep(job: Job) -> dict[str, Any] | None:
    """Tell what is about to expire, and what is due and was left behind, and end the job, in one change."""
    at = job.claimed_at or clock.now()
    with db.change(reason="notifications: sweep", correlation_id=job.correlation_id):
        expiring, found = tell_expiring(now=at), flush_notifications(now=at)
        jobs.finish(job, {"expiring": len(expiring), "messages": found.messages}, now=at)
    return None
