"""An event becomes what is to be told to each of its recipients; what is due is told later, by `flush`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, db, jobs
from edgekit.runner.notifying import rows
from edgekit.runner.notifying.deciding import failure_of, hear, read_story
from edgekit.runner.notifying.facts import read_fact
from edgekit.runner.notifying.recipients import find_recipients, find_schedule
from edgekit.runner.notifying.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

FLUSH = "notification.flush"
_ATTEMPTS = 5


def notify(
    event_type: str,
    payload: Mapping[str, Any],
    *,
    organization_id: int | None = None,
    correlation_id: str | None = None,
    occurred_at: datetime | None = None,
    now: datetime | None = None,
) -> int:
    """Write what an event means to people, in the open change or one of its own; return how many are told.

    It goes to the recipients of the schedule that the payload names (`schedule_id`), else to who administers
    the organization. A topic that a user has switched off is not written.
    """
    at = now or clock.now()
    told = 0
    with db.change(reason=f"notifications: {event_type}") as change:
        schedule = find_schedule(payload, organization_id)
        for one in find_recipients(organization_id, schedule_id=schedule):
            settings = read_settings(user=one.user_id)
            if not settings.wants(failure_of(event_type)):
                continue
            fact = read_fact(
                event_type, payload, occurred_at=occurred_at or at,
                correlation_id=correlation_id or change.correlation_id, organization_id=one.organization_id,
            )  # fmt: skip
            story = read_story(fact.topic, rows.read_known(one.user_id, fact))
            ends = at + settings.window
            window = rows.window_end(one.user_id, one.organization_id, ends) or ends
            for note in hear(fact, story, window, settings, at):
                rows.write(one.user_id, note)
                if note.notification_status == "pending":
                    order_flush(note.due_at, now=at)
            told += 1
    return told


def order_flush(due: datetime, *, besides: int | None = None, now: datetime) -> None:
    """See to it, in the open change, that a job tells what is due then, `besides` the one named.

    What waits although it was due has one already, for when it may be told.
    """
    before = clock.to_text(due) if due > now else "9"
    waiting = db.query(
        "SELECT 1 AS found FROM job WHERE kind = ? AND run_at <= ?"
        " AND job_status IN ('pending', 'running', 'interrupted') AND id IS NOT ? LIMIT 1",
        (FLUSH, before, besides),
    )
    if not waiting:
        jobs.enqueue(FLUSH, run_at=max(due, now), max_attempts=_ATTEMPTS, now=now)
