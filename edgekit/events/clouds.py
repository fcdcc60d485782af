"""Events in the form other systems read: CloudEvents 1.0, structured JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, db, tracing

if TYPE_CHECKING:
    from edgekit.events.outbox import Told


def as_cloud_event(event: Told) -> dict[str, Any]:
    """Write an event as a CloudEvents document: it says the same however often it is asked for.

    Beside what the standard asks for it has the extensions `partitionkey`, `sequence`, `correlationid`,
    `causationid` and `traceparent`.
    """
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.uuid,
        "source": f"/edgekit/{db.current().site}/{event.source.lower()}",
        "type": event.type,
        "time": clock.to_text(event.created_at),
        "datacontenttype": "application/json",
        "sequence": f"{event.id:019d}",
        "correlationid": event.correlation_id,
        "traceparent": tracing.write_parent(event.correlation_id, tracing.span_id("event", event.uuid)),
        "data": event.payload,
    }
    further = {
        "subject": event.target,
        "partitionkey": event.ordering_key,
        "causationid": event.causation_id,
    }
    return document | {name: value for name, value in further.items() if value}
