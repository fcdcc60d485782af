"""What notifications hear of: events that people are told, and messages to them that could not be sent."""

from __future__ import annotations

from edgekit import clock, db, events
from edgekit.runner.notifying.hearing import notify
from edgekit.runner.notifying.routes import tell_inside


@events.handles("notification.hear", concurrency=1, attempts=5)
def hear_event(delivery: events.Delivery) -> None:
    """Write what an event means to people, and that it was heard, in one change: one at a time, in order."""
    event, at = delivery.event, delivery.job.claimed_at or clock.now()
    wanted = delivery.config.get("topics") or [event.type]
    with db.change(reason=f"notifications: {event.type}", correlation_id=event.correlation_id):
        # Who ran something by hand has seen how it failed.
        is_seen = event.type == "run.failed" and event.payload.get("trigger") == "manual"
        count = 0 if is_seen or event.type not in wanted else notify(
            event.type, event.payload, organization_id=event.organization_id,
            correlation_id=event.correlation_id, occurred_at=event.created_at, now=at,
        )  # fmt: skip
        delivery.settle({"recipients": count}, now=at)


@events.handles("notification.fall_back", attempts=5)
def hear_of_failed_message(delivery: events.Delivery) -> None:
    """Put a notification that could not be sent into the inbox; a failure of that kind is told to nobody."""
    at = delivery.job.claimed_at or clock.now()
    number = delivery.event.payload.get("communication")
    with db.change(reason="notifications: not sent", correlation_id=delivery.event.correlation_id):
        inside = tell_inside(number, now=at) if isinstance(number, int) else None
        delivery.settle({"communication": inside}, now=at)
