"""Schedules that run when something has happened: one slot for each event and schedule.

Events are read from the outbox in their order, however late: they cannot be missed. Those of a paused
schedule are noted as paused. A run is not started by what it, or a run it led to, tells of runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.runner.scheduling import planning, rules, slots

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_AT_ONCE = 1000
"""So many events are looked at together."""

_HEARD = (
    "SELECT e.id AS event_id, e.event_type, e.correlation_id, e.created_at, s.id AS schedule_id"
    " FROM integration_event e CROSS JOIN integration_schedule s JOIN integration i ON i.id ="
    " s.integration_id"
    " WHERE e.id > ?1 AND e.id <= ?2 AND s.id IN (SELECT value FROM json_each(?3))"
    " AND e.created_at >= s.created_at AND ifnull(e.event_type GLOB s.event_type, e.event_target ="
    " i.integration_name)"
    " AND (e.organization_id IS NULL OR s.organization_id IS NULL OR e.organization_id = s.organization_id)"
    " AND NOT EXISTS (SELECT 1 FROM integration_schedule_execution x WHERE x.event_id = e.id AND"
    " x.schedule_id = s.id)"
    " AND NOT (e.event_type GLOB 'run.*' AND EXISTS (SELECT 1 FROM integration_schedule_execution x"
    " WHERE x.correlation_id = e.correlation_id AND x.schedule_id = s.id)) ORDER BY e.id, s.id"
)


def hear(since: int, now: datetime) -> tuple[int, int]:
    """Make the slots of events after the id `since`; return the last id looked at, and how many."""
    newest = db.query("SELECT max(id) AS id FROM integration_event")[0]["id"] or 0
    if newest <= since:
        return since, 0
    listening = db.query(
        "SELECT id, created_at FROM integration_schedule"
        " WHERE schedule_type = 'event_based' AND status_id IN (1, 2)"
    )
    if not listening:
        return newest, 0
    until = min(newest, max(since, _begun(min(row["created_at"] for row in listening))) + _AT_ONCE)
    numbers = "[" + ",".join(str(row["id"]) for row in listening) + "]"
    heard = db.query(_HEARD, (since, until, numbers))
    for found in heard:
        with db.change(reason=f"event {found['event_type']}", correlation_id=found["correlation_id"]):
            _make(found, now)
    return until, len(heard)


def _begun(earliest: str) -> int:
    """Return the id of the last event before the oldest schedule that listens."""
    found = db.query("SELECT max(id) AS id FROM integration_event WHERE created_at < ?", (earliest,))
    return int(found[0]["id"] or 0)


def last_heard() -> int:
    """Return the id of the last event that led to a slot: what came before it has been looked at."""
    return int(db.query("SELECT max(event_id) AS id FROM integration_schedule_execution")[0]["id"] or 0)


def _make(found: Mapping[str, Any], now: datetime) -> None:
    (row,) = rules.read("s.id = ?", (found["schedule_id"],))
    heard = "SELECT 1 AS n FROM integration_schedule_execution WHERE event_id = ? AND schedule_id = ?"
    if db.query(heard, (found["event_id"], row["id"])):
        return  # by another process, a moment ago
    happened = clock.from_text(found["created_at"])
    if not rules.recurrence_of(row).covers(happened):
        return
    running, waiting = slots.count_open(row["id"])
    reason = None
    if rules.is_off(row):
        reason = "paused"
    elif planning.is_held_up(row["overlap_policy"], running, waiting):
        reason = "overlap"
    elif row["overlap_policy"] == "cancel_running" and running + waiting:
        slots.cancel_open(row, now)
    slot = planning.Slot(happened, reason)
    slots.insert(
        row, slot, now, kind="event", event_id=found["event_id"], correlation_id=found["correlation_id"]
    )
    if reason is None:
        slots.start_waiting(now, row["integration_id"])
