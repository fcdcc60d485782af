"""What is in the outbox, and what became of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit.log import utc_text
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from datetime import datetime

STATES = ("pending", "processing", "processed", "failed")
DELIVERY_STATES = ("pending", "delivering", "delivered", "failed", "discarded")

_EVENT = (
    "SELECT e.id, e.uuid, e.event_type AS type,"
    " (SELECT code FROM event_source WHERE id = e.event_source_id) AS source, e.event_target AS target,"
    " e.processing_status AS status, e.processing_error AS error, e.ordering_key, e.correlation_id,"
    " e.causation_id, e.event_payload AS payload, e.event_metadata AS metadata, e.created_at, e.processed_at"
    " FROM integration_event e"
)
_DELIVERY = (
    "SELECT d.id, d.event_id, e.event_type AS type, s.code AS subscription, d.delivery_status AS status,"
    " d.attempts, d.idempotency_key, d.error_code, d.error_message AS error,"
    " CASE WHEN d.delivery_status = 'pending' THEN d.next_attempt_at END AS next_attempt_at, d.settled_at,"
    " d.created_at FROM event_delivery d JOIN integration_event e ON e.id = d.event_id"
    " JOIN event_subscription s ON s.id = d.subscription_id"
)


def list_events(
    *,
    event_type: str | None = None,
    status: str | None = None,
    source: str | None = None,
    correlation_id: str | None = None,
    since: datetime | str | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return events, the newest first; `event_type` may be a pattern, `since` is a time with its zone.

    Raise InvalidError for no such status or time.
    """
    _require_state(status, STATES)
    wanted = {
        "e.event_type GLOB ?": event_type,
        "e.processing_status = ?": status,
        "e.event_source_id = (SELECT id FROM event_source WHERE code = ?)": source,
        "e.correlation_id = ?": correlation_id,
        "e.created_at >= ?": utc_text(since) if since is not None else None,
    }
    return [_event(row) for row in _rows(_EVENT, wanted, "e.id DESC", limit)]


def show_event(event: str | int) -> dict[str, Any]:
    """Return one event, by its id or uuid, with its deliveries. Raise NotFoundError."""
    found = db.query(f"{_EVENT} WHERE e.uuid = ?1 OR e.id = ?1", (event,))
    if not found:
        raise NotFoundError(f"There is no event {event}.", hint="See: edgekit events list")
    row = _event(found[0])
    return {**row, "deliveries": db.query(f"{_DELIVERY} WHERE d.event_id = ? ORDER BY d.id", (row["id"],))}


def list_deliveries(
    *, subscription: str | None = None, event: int | None = None, status: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return deliveries, the newest first. Raise InvalidError for no such status."""
    _require_state(status, DELIVERY_STATES)
    wanted = {"s.code = ?": subscription, "d.event_id = ?": event, "d.delivery_status = ?": status}
    return _rows(_DELIVERY, wanted, "d.id DESC", limit)


def _rows(sql: str, wanted: dict[str, Any], order: str, limit: int) -> list[dict[str, Any]]:
    given = {condition: value for condition, value in wanted.items() if value is not None}
    where = f" WHERE {' AND '.join(given)}" if given else ""
    return db.query(f"{sql}{where} ORDER BY {order} LIMIT ?", (*given.values(), limit))


def _event(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "payload": json.loads(row["payload"]), "metadata": json.loads(row["metadata"])}


def _require_state(status: str | None, states: tuple[str, ...]) -> None:
    if status is not None and status not in states:
        raise InvalidError(f"{status} is no such state.", hint=f"It is one of: {', '.join(states)}.")
