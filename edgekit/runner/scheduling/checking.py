"""What should not be: due times without a row, and slots that nobody settles."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import InvalidError
from edgekit.runner.scheduling import rules

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

_INSTANT = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_LOOKED_AT = timedelta(days=2)
"""So far back rows are compared with what was due."""

_TIMING = (
    "schedule_type", "cron_expression", "interval_minutes", "timezone", "start_date", "end_date", "status_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unaccounted:
    """Due times of a schedule that no row says anything of, or a slot that is left hanging."""

    schedule: str
    since: datetime
    count: int
    what: str
    """A sentence for people."""


def unaccounted(
    now: datetime | None = None, *, connection: sqlite3.Connection | None = None
) -> list[Unaccounted]:
    """Return what is due and has no row, by schedule: of the opened file, or of that of a `connection`.

    A tick makes good what is late; a hole in the past, and a schedule that waits for a time beyond its next
    one, are faults or somebody's doing. Where the times of a schedule were changed, what was before is left
    out.
    """
    moment = now or clock.now()
    reader = _Reader(connection or db.connection())
    condition = "s.status_id IN (1, 2) AND s.schedule_type NOT IN ('event_based', 'manual')"
    found: list[Unaccounted] = []
    for row in reader.query(f"{rules.SELECT} WHERE {condition} ORDER BY s.schedule_name"):
        try:
            found += _look_at(reader, row, moment)
        except InvalidError as error:
            name = row["schedule_name"]
            found.append(Unaccounted(name, moment, 1, f"{name} is never due here: {error.message}"))
    return found + list(_hanging(reader, moment))


class _Reader:
    """A connection of whoever asks."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with closing(self._connection.execute(sql, tuple(params))) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]


def _look_at(reader: _Reader, row: Mapping[str, Any], now: datetime) -> Iterator[Unaccounted]:
    recurrence, name = rules.recurrence_of(row), row["schedule_name"]
    if row["next_run_at"] is None:
        due = next(recurrence.after(now), None)
        if due is not None:
            what = f"{name} has no next time: the next tick of a runner works it out."
            yield Unaccounted(name, due, 1, what)
        return
    planned = clock.from_text(row["next_run_at"])
    late = now - max(_MINUTE, timedelta(seconds=row["grace_seconds"]))
    if planned < late and (count := recurrence.count(planned, late, planned=planned)):
        times = "once" if count == 1 else f"{count} times"
        what = f"{name} was due {times} since {row['next_run_at']} and no row says so: no runner was there."
        yield Unaccounted(name, planned, count, what)
    lost = _lost(reader, row, min(planned, now))
    if lost:
        what = f"{name} was due {len(lost)} times from {clock.to_text(lost[0])} on and no row says so."
        yield Unaccounted(name, lost[0], len(lost), what)
    upcoming = next(recurrence.after(now, planned=_before(row, now)), None)
    if planned > now and upcoming is not None and upcoming < planned and not _has_row(reader, row, upcoming):
        what = f"{name} waits until {row['next_run_at']}, though it is due at {clock.to_text(upcoming)}."
        yield Unaccounted(name, upcoming, 1, what)


def _before(row: Mapping[str, Any], moment: datetime) -> datetime:
    """Return a time of an interval's grid that is not much before a moment; any other schedule needs none."""
    planned = clock.from_text(row["next_run_at"])
    step = timedelta(minutes=row["interval_minutes"] or 1)
    return planned if planned <= moment else planned - (planned - moment - _INSTANT) // step * step


def _lost(reader: _Reader, row: Mapping[str, Any], until: datetime) -> list[datetime]:
    """Return due times of the last days that are between rows, and in none."""
    recurrence, until = rules.recurrence_of(row), until - _INSTANT
    spans = _spans(reader, row, until - _LOOKED_AT, until)
    if not spans:
        return []
    since, planned = spans[0][0], _before(row, spans[0][0])
    if recurrence.count(since, until, planned=planned) <= sum(count for _, _, count in spans):
        return []
    since = max(since, _changed_at(reader, row["id"]) + _INSTANT)
    due = recurrence.between(since, until, planned=planned)
    return [at for at in due if not any(first <= at <= last for first, last, _ in spans)]


def _spans(
    reader: _Reader, row: Mapping[str, Any], since: datetime, until: datetime
) -> list[tuple[datetime, datetime, int]]:
    found = reader.query(
        "SELECT scheduled_at, ifnull(span_ended_at, scheduled_at) AS ended_at, slot_count"
        " FROM integration_schedule_execution WHERE schedule_id = ? AND slot_kind = 'due'"
        " AND scheduled_at BETWEEN ? AND ? ORDER BY scheduled_at",
        (row["id"], clock.to_text(since), clock.to_text(until)),
    )
    return [
        (clock.from_text(slot["scheduled_at"]), clock.from_text(slot["ended_at"]), slot["slot_count"])
        for slot in found
    ]


def _changed_at(reader: _Reader, schedule_id: int) -> datetime:
    """Return when the times of a schedule were last changed, as the log and its times of day tell it."""
    columns = " OR ".join(f"json_type(l.changes, '$.{column}') IS NOT NULL" for column in _TIMING)
    found = reader.query(
        "SELECT max(at) AS at FROM (SELECT max(t.performed_at) AS at FROM audit_log l"
        " JOIN audit_transaction t ON t.id = l.txn_id WHERE l.action <> 'I' AND l.record_key = ?1"
        " AND l.table_id = (SELECT id FROM audit_table WHERE name = 'integration_schedule')"
        f" AND ({columns}) UNION ALL SELECT max(updated_at) FROM integration_schedule_time WHERE"
        " schedule_id = ?1"
        " UNION ALL SELECT created_at FROM integration_schedule WHERE id = ?1)",
        (schedule_id,),
    )
    return clock.from_text(found[0]["at"])


def _has_row(reader: _Reader, row: Mapping[str, Any], at: datetime) -> bool:
    found = reader.query(
        "SELECT 1 AS n FROM integration_schedule_execution"
        " WHERE schedule_id = ? AND slot_kind = 'due' AND scheduled_at = ?",
        (row["id"], clock.to_text(at)),
    )
    return bool(found)


def _hanging(reader: _Reader, now: datetime) -> Iterator[Unaccounted]:
    """Find slots that are open while their job has ended, or that wait with nothing before them."""
    for slot in reader.query(
        "SELECT s.schedule_name, e.scheduled_at, e.job_id, j.job_status FROM integration_schedule_execution e"
        " JOIN integration_schedule s ON s.id = e.schedule_id LEFT JOIN job j ON j.id = e.job_id"
        " WHERE e.execution_status IN ('scheduled', 'running')"
        " AND (j.job_status IN ('completed', 'failed', 'cancelled') AND j.ended_at < ?1 OR e.job_id IS NULL"
        " AND e.scheduled_at < ?1 AND NOT EXISTS (SELECT 1 FROM integration_schedule o"
        " JOIN integration_schedule_execution x ON x.schedule_id = o.id"
        " AND x.execution_status IN ('scheduled', 'running') AND x.job_id IS NOT NULL"
        " WHERE o.integration_id = s.integration_id)) ORDER BY e.id",
        (clock.to_text(now - _MINUTE),),
    ):
        name, at = slot["schedule_name"], slot["scheduled_at"]
        state = "has no job" if slot["job_id"] is None else f"has a job that is {slot['job_status']}"
        what = f"The slot of {name} due at {at} is open and {state}: the next tick of a runner settles it."
        yield Unaccounted(name, clock.from_text(at), 1, what)
