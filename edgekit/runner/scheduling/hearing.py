"""Schedules that run when something has happened: one slot for each event and schedule.

Events are read from the outbox in their order, however late: they cannot be missed. Those of a paused
schedule are noted as paused. A run is not started by what it, or a run it led to, tells of runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import InvalidError
from edgekit.events.outbox import REFUSED
from edgekit.runner.scheduling import planning, rules, slots

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_AT_ONCE = 1000
"""So many events are looked at together."""

_HEARD = (
    "SELECT e.id AS event_id, e.event_type, e.correlation_id, e.created_at, s.id AS schedule_id,"
    " s.schedule_name"
    " FROM integration_event e CROSS JOIN integration_schedule s JOIN integration i ON i.id ="
    " s.integration_id"
    " WHERE e.id > ?1 AND e.id <= ?2 AND s.id IN (SELECT value FROM json_each(?3))"
    " AND e.id > s.after_event_id AND (s.after_event_id > 0 OR e.created_at >= s.created_at)"
    f" AND json_extract(e.event_metadata, '$.{REFUSED}') IS NULL AND ifnull(e.event_type GLOB s.event_type,"
    " e.event_target = i.integration_name)"
    " AND (e.organization_id IS NULL OR s.organization_id IS NULL OR e.organization_id = s.organization_id)"
    " AND NOT EXISTS (SELECT 1 FROM integration_schedule_execution x WHERE x.event_id = e.id AND"
    " x.schedule_id = s.id)"
    " AND NOT (e.event_type GLOB 'run.*' AND EXISTS (SELECT 1 FROM integration_schedule_execution x"
    " WHERE x.correlation_id = e.correlation_id AND x.schedule_id = s.id)) ORDER BY e.id, s.id"
)


def hear(since: int, now: datetime, faults: dict[int, str]) -> tuple[int, int]:
    """Make the slots of events after the id `since`; return the last id looked at, and how many.

    Schedules that nobody can work out here are put into `faults`, each with the reason; others go on.
    """
    newest = db.query("SELECT max(id) AS id FROM integration_event")[0]["id"] or 0
    if newest <= since:
        return newest, 0  # less than before: an older file was put in its place
    listening = db.query(
        "SELECT id, after_event_id FROM integration_schedule"
        " WHERE schedule_type = 'event_based' AND status_id IN (1, 2)"
    )
    if not listening:
        return newest, 0
    since = max(since, min(row["after_event_id"] for row in listening))
    until = min(newest, since + _AT_ONCE)
    numbers = "[" + ",".join(str(row["id"]) for row in listening) + "]"
    heard = db.query(_HEARD, (since, until, numbers))
    for found in heard:
        with db.change(reason=f"event {found['event_type']}", correlation_id=found["correlation_id"]):
            try:
                _make(found, now)
            except InvalidError as error:  # its last day is of a zone this machine does not know
                faults[found["schedule_id"]] = f"{found['schedule_name']}: {error.message}"
    return until, len(heard)


def last_heard() -> int:
    """Return an id after which to look for events: every one up to it has led to all its slots.

    A process that ended in the middle may have made the last one's slots for some of its schedules only.
    """
    found = db.query("SELECT max(event_id) AS id FROM integration_schedule_execution")[0]["id"]
    return max(0, int(found or 0) - 1)


def _make(found: Mapping[str, Any], now: datetime) -> None:
    rows = rules.read("s.id = ?", (found["schedule_id"],))
    heard = "SELECT 1 AS n FROM integration_schedule_execution WHERE event_id = ? AND schedule_id = ?"
    if not rows or db.query(heard, (found["event_id"], found["schedule_id"])):
        return  # deleted, or heard by another process, a moment ago
    row = rows[0]
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
