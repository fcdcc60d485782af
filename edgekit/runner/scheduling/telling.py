"""What schedules did and will do, for people: their slots, and a calendar of the coming days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.recurrence import find_zone
from edgekit.runner.scheduling import rules, schedules

if TYPE_CHECKING:
    from collections.abc import Sequence

_EACH = 3
"""So many times of a schedule are told of a day; of more only how many there are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule on a day of the calendar: its first times, in UTC, and how many there are."""

    day: date
    schedule: str
    integration: str
    times: list[datetime]
    count: int
    is_paused: bool


def list_slots(
    name: str | None = None, *, reason: str | None = None, status: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return what became of due times, the newest first: of one schedule, or one reason, or one status.

    A row with `slot_count` above 1 stands for all due times up to `span_ended_at`. Raise NotFoundError.
    """
    conditions, params = ["1"], []
    for column, value in (
        ("e.schedule_id", None if name is None else schedules.find(name)),
        ("e.reason", reason),
        ("e.execution_status", status),
    ):
        if value is not None:
            conditions.append(f"{column} = ?")
            params.append(value)
    order = "e.scheduled_at" if name is not None else "e.id"
    return read_slots(
        f"{' AND '.join(conditions)} ORDER BY {order} DESC, e.id DESC LIMIT ?", (*params, limit)
    )


def read_slots(condition: str, params: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the slots for which a condition on `e` holds."""
    return db.query(
        "SELECT e.id, s.schedule_name AS schedule, i.integration_name AS integration, e.slot_kind,"
        " e.scheduled_at, e.span_ended_at, e.slot_count, e.execution_status, e.reason, e.started_at,"
        " e.ended_at,"
        " e.job_id, e.execution_id, e.event_id, e.records_processed, e.error_count, e.warning_count,"
        " e.execution_notes, e.correlation_id FROM integration_schedule_execution e"
        " JOIN integration_schedule s ON s.id = e.schedule_id JOIN integration i ON i.id = s.integration_id"
        f" WHERE {condition}",
        params,
    )


def calendar(
    *, days: int = 7, timezone: str = "UTC", start: date | None = None, now: datetime | None = None
) -> list[Entry]:
    """Return what is due on each of the coming days of a zone, from today or `start`, in its order.

    What is past by now is left out. Paused schedules are told as such. Raise InvalidError for an unknown
    zone.
    """
    zone, moment = find_zone(timezone), now or clock.now()
    first = start or moment.astimezone(zone).date()
    found = []
    for row in rules.read("s.status_id IN (1, 2) AND s.next_run_at IS NOT NULL ORDER BY s.schedule_name"):
        recurrence, planned = rules.recurrence_of(row), clock.from_text(row["next_run_at"])
        for number in range(days):
            day = first + timedelta(days=number)
            begin = max(_midnight(day, zone), moment)
            end = _midnight(day + timedelta(days=1), zone) - timedelta(microseconds=1)
            if begin > end:
                continue
            times = list(islice(recurrence.between(begin, end, planned=planned), _EACH))
            if times:
                count = recurrence.count(begin, end, planned=planned) if len(times) == _EACH else len(times)
                name, of = row["schedule_name"], row["integration_name"]
                found.append(Entry(day, name, of, times, count, rules.is_off(row)))
    return sorted(found, key=lambda entry: (entry.day, entry.times[0], entry.schedule))


def _midnight(day: date, zone: Any) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(clock.now().tzinfo)
