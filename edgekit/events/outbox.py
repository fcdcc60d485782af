"""The SQL that several parts of the outbox share: who listens to what, and what has become of an event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, db

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

REFUSED = "refused"
"""The member of an event's metadata that says why nobody is told of it."""

MATCHES = (
    "(s.event_type IS NULL OR e.event_type GLOB s.event_type)"
    " AND (s.event_source_id IS NULL OR s.event_source_id = e.event_source_id)"
    " AND (s.organization_id IS NULL OR s.organization_id = e.organization_id)"
    f" AND json_extract(e.event_metadata, '$.{REFUSED}') IS NULL"
)
"""Whether the subscription `s` is about the event `e`."""

_COLUMNS = (
    "e.id, e.uuid, e.event_type, (SELECT code FROM event_source WHERE id = e.event_source_id),"
    " e.event_target, e.event_payload, e.event_metadata, e.ordering_key, e.correlation_id,"
    " e.causation_id, e.organization_id, e.created_at"
)


@dataclass(frozen=True, slots=True)
class Told:
    """An event as whoever handles it gets it."""

    id: int
    uuid: str
    type: str
    source: str
    target: str | None
    payload: dict[str, Any]
    metadata: dict[str, Any]
    ordering_key: str | None
    correlation_id: str
    causation_id: str | None
    organization_id: int | None
    created_at: datetime


def read(condition: str, parameters: Sequence[Any]) -> list[Told]:
    """Return events by a condition on `integration_event e` and what follows it."""
    rows = db.connection().execute(f"SELECT {_COLUMNS} FROM integration_event e {condition}", parameters)
    return [_told(row) for row in rows]


def _told(row: Sequence[Any]) -> Told:
    number, uuid, kind, source, target, payload, metadata, key, correlation, causation, organization, at = row
    return Told(
        number, uuid, kind, source, target, json.loads(payload), json.loads(metadata), key, correlation,
        causation, organization, clock.from_text(at),
    )  # fmt: skip


_SETTLE = (
    "UPDATE integration_event AS e SET processing_status ="
    " CASE WHEN EXISTS (SELECT 1 FROM event_delivery WHERE event_id = e.id AND delivery_status = 'failed')"
    " THEN 'failed' ELSE 'processed' END,"
    " processed_at = CASE WHEN EXISTS (SELECT 1 FROM event_delivery WHERE event_id = e.id"
    " AND delivery_status = 'failed') THEN NULL ELSE ?1 END,"
    " processing_error = CASE WHEN EXISTS (SELECT 1 FROM event_delivery WHERE event_id = e.id"
    " AND delivery_status = 'failed') THEN processing_error END, updated_at = ?2"
    " WHERE id IN (SELECT value FROM json_each(?3)) AND processing_status IN ('pending', 'processing')"
    " AND NOT EXISTS (SELECT 1 FROM event_delivery WHERE event_id = e.id"
    " AND delivery_status IN ('pending', 'delivering'))"
    " AND NOT EXISTS (SELECT 1 FROM event_subscription s WHERE s.status_id IN (1, 2)"
    f" AND s.last_event_id < e.id AND {MATCHES}"
    " AND NOT EXISTS (SELECT 1 FROM event_delivery WHERE event_id = e.id AND subscription_id = s.id))"
)


def settle_events(event_ids: Iterable[int], *, now: datetime) -> None:
    """Write in the open change what has become of events: processed or failed, once all of it is settled."""
    change = db.current().open_change
    at = clock.to_text(now)
    numbers = json.dumps(sorted(set(event_ids)))
    # Only what is being processed may fail: one that was never taken up is.
    db.connection().execute(
        "UPDATE integration_event SET processing_status = 'processing', updated_at = ?1"
        " WHERE id IN (SELECT value FROM json_each(?2)) AND processing_status = 'pending'"
        " AND EXISTS (SELECT 1 FROM event_delivery WHERE event_id = integration_event.id)",
        (change.at if change else at, numbers),
    )
    db.connection().execute(_SETTLE, (at, change.at if change else at, numbers))


def key_of(delivery_id: int) -> str:
    """Return the key under which a delivery has one open job."""
    return f"delivery:{delivery_id}"
