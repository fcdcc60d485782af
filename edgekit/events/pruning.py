"""Taking old events out of the outbox: those that are done, with their deliveries."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db

if TYPE_CHECKING:
    from datetime import datetime

KEEP_DAYS = 90
"""How long events that were processed are kept. What failed or waits is kept until it is settled, and what
started a schedule as long as the slot that says so."""

_AT_ONCE = 1000
_OLD = (
    "SELECT e.id FROM integration_event e WHERE e.created_at < ?1"
    " AND e.processing_status IN ('processed', 'failed')"
    " AND NOT EXISTS (SELECT 1 FROM event_delivery WHERE event_id = e.id"
    " AND delivery_status NOT IN ('delivered', 'discarded'))"
    " AND NOT EXISTS (SELECT 1 FROM integration_schedule_execution WHERE event_id = e.id)"
    " AND e.id < (SELECT max(id) FROM integration_event) ORDER BY e.created_at LIMIT ?2"
)


def prune_events(*, now: datetime, keep_days: int = KEEP_DAYS) -> int:
    """Delete events that were processed and are older than so many days, with their deliveries.

    A thousand at once, each in a change of its own. Return how many; the log says what they were.
    """
    before, count = clock.to_text(now - timedelta(days=keep_days)), 0
    while rows := db.connection().execute(_OLD, (before, _AT_ONCE)).fetchall():
        with db.change(reason="events: prune"):
            numbers = json.dumps([number for (number,) in rows])
            for table, column in (("event_delivery", "event_id"), ("integration_event", "id")):
                db.connection().execute(
                    f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", (numbers,)
                )
        count += len(rows)
    return count
