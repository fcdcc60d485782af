"""Schedules: when an integration runs, by the clock or by events; made, changed, paused, told in advance."""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, integrations
from edgekit.errors import ConflictError, InvalidError, NotFoundError, quoted
from edgekit.models.runner import IntegrationSchedule, IntegrationScheduleTime
from edgekit.recurrence import find_zone, read_cron, read_time

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

_ACTIVE, _PAUSED = 1, 2
_SHOWN = 5
"""So many of the next times are told with a schedule."""


def add_schedule(
    name: str,
    *,
    integration: str,
    cron: str | None = None,
    every: int | None = None,
    at: Sequence[str] = (),
    on: str | None = None,
    timezone: str = "UTC",
    start: date | None = None,
    end: date | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Make a schedule and return what `show_schedule` does.

    It runs by `cron` text, `every` so many minutes, `at` times of day (06:30), or `on` an event of that type;
    without any of them only on demand. Cron and times of day are of the IANA zone `timezone`; `start` and
    `end` are the first and last day of that zone on which it runs. Raise NotFoundError (integration),
    InvalidError (cron text, time, zone), ConflictError (the name is taken).
    """
    found, name = integrations.find(integration), name.strip()
    values = _timing(cron, every, at, on) or {"schedule_type": "manual"}
    find_zone(timezone)
    times = sorted({read_time(text) for text in at})
    with db.change(reason=f"schedules add {name}"):
        if _named(name):
            raise ConflictError(
                f"There is already a schedule {name}.",
                hint=f"Change it: edgekit schedules set {quoted(name)}",
            )
        schedule = IntegrationSchedule(
            schedule_name=name, integration=found["id"], organization=found["organization_id"],
            timezone=timezone, start_date=start, end_date=end, status=_PAUSED if times else _ACTIVE,
        )  # fmt: skip
        _write(schedule, values, now)
        if times:  # the file takes times for a schedule that is there, and activates one that has times
            _write_times(schedule.id, times)
            _write(schedule, {"status": _ACTIVE}, now)
    return show_schedule(name, now=now)


def set_schedule(
    name: str,
    *,
    cron: str | None = None,
    every: int | None = None,
    at: Sequence[str] = (),
    on: str | None = None,
    timezone: str | None = None,
    start: date | None = None,
    end: date | None = None,
    clear: Collection[str] = (),
    now: datetime | None = None,
) -> dict[str, Any]:
    """Change when a schedule runs and return what `show_schedule` does: its next times among it.

    What is not given stays as it is; `clear` may name `start` and `end` to take them away. Raise as
    `add_schedule`.
    """
    schedule = _find(name)
    values = _timing(cron, every, at, on)
    times = sorted({read_time(text) for text in at})
    if timezone is not None:
        find_zone(timezone)
        values["timezone"] = timezone
    for column, value in (("start", start), ("end", end)):
        if value is not None or column in clear:
            values[f"{column}_date"] = value
    if not values:
        raise InvalidError(
            f"What is to change of the schedule {schedule.schedule_name}?",
            hint="Say what it becomes, such as --at 06:30; see edgekit schedules set --help",
        )
    with db.change(reason=f"schedules set {schedule.schedule_name}"):
        if times:
            _write_times(schedule.id, times)
        _write(schedule, values, now)
        if schedule.schedule_type != "fixed_time":
            _write_times(schedule.id, [])
    return show_schedule(schedule.schedule_name, now=now)


def pause_schedule(name: str, *, now: datetime | None = None) -> dict[str, Any]:
    """Let a schedule run no more until it is resumed, and return it. Raise NotFoundError."""
    schedule = _find(name)
    if schedule.status_id == _ACTIVE:
        with db.change(reason=f"schedules pause {schedule.schedule_name}"):
            _write(schedule, {"status": _PAUSED}, now)
    return show_schedule(name, now=now)


def resume_schedule(name: str, *, now: datetime | None = None) -> dict[str, Any]:
    """Let a paused schedule run again and return it. Raise NotFoundError, InvalidError."""
    schedule = _find(name)
    if schedule.status_id != _ACTIVE:
        with db.change(reason=f"schedules resume {schedule.schedule_name}"):
            _write(schedule, {"status": _ACTIVE}, now)
    return show_schedule(name, now=now)


def next_times(
    schedule: str | IntegrationSchedule, count: int = _SHOWN, now: datetime | None = None
) -> list[datetime]:
    """Return the next times a schedule runs after `now`, in UTC, by its name or row.

    There are none while it is paused, after its last day, and where it runs by events or on demand. Raise
    NotFoundError, InvalidError.
    """
    row = _find(schedule) if isinstance(schedule, str) else schedule
    if row.status_id != _ACTIVE:
        return []
    recurrence = row.recurrence(row.columns)
    return list(islice(recurrence.after(now or clock.now(), planned=row.next_run_at), count))


def list_schedules(*, integration: str | None = None) -> list[dict[str, Any]]:
    """Return all schedules, of one integration if that is given, by name. Raise NotFoundError."""
    wanted = None if integration is None else integrations.find(integration)["id"]
    return db.query(
        f"{_SELECT} WHERE ? IS NULL OR s.integration_id = ? ORDER BY s.schedule_name", (wanted, wanted)
    )


def show_schedule(name: str, *, now: datetime | None = None) -> dict[str, Any]:
    """Return a schedule with `next`, the next times it runs: [{"at": …}]. Raise NotFoundError."""
    schedule = _find(name)
    (row,) = db.query(f"{_SELECT} WHERE s.id = ?", (schedule.id,))
    return {**row, "next": [{"at": moment} for moment in next_times(schedule, now=now)]}


_SELECT = (
    "SELECT s.schedule_name AS name, i.integration_name AS integration, s.schedule_type,"
    " CASE s.schedule_type WHEN 'cron' THEN s.cron_expression"
    " WHEN 'interval' THEN 'every ' || s.interval_minutes || ' minutes'"
    " WHEN 'fixed_time' THEN 'at ' || (SELECT group_concat(t.time_of_day, ', ') FROM (SELECT time_of_day FROM"
    " integration_schedule_time WHERE schedule_id = s.id AND status_id = 1 ORDER BY time_of_day) t)"
    " WHEN 'event_based' THEN 'on ' || ifnull(s.event_type, 'any event') ELSE 'on demand' END AS timing,"
    " s.timezone, s.status_id = 1 AS is_active, s.next_run_at, s.last_run_at, s.start_date, s.end_date,"
    " s.overlap_policy, s.missed_execution_policy"
    " FROM integration_schedule s JOIN integration i ON i.id = s.integration_id"
)


def _named(name: str) -> list[IntegrationSchedule]:
    return list(IntegrationSchedule.select().where(IntegrationSchedule.schedule_name == name))


def _find(name: str) -> IntegrationSchedule:
    found = _named(name)
    if len(found) > 1:
        raise ConflictError(f"Several organizations have a schedule {name}.")
    if found:
        return found[0]
    known = [row["name"] for row in list_schedules()]
    close = get_close_matches(name, known, n=3) or known[:5]
    hint = (
        f"There are: {', '.join(close)}." if close else "Add one: edgekit schedules add NAME --integration …"
    )
    raise NotFoundError(f"There is no schedule {name}.", hint=hint)


def _timing(cron: str | None, every: int | None, at: Sequence[str], on: str | None) -> dict[str, Any]:
    """Return the columns that say when, by the one way that is given. Raise InvalidError for two."""
    ways: dict[str, tuple[Any, dict[str, Any]]] = {
        "cron": (cron, {"cron_expression": read_cron(cron) if cron is not None else None}),
        "interval": (every, {"interval_minutes": every}),
        "fixed_time": (at or None, {}),
        "event_based": (on, {"event_type": on}),
    }
    given = [kind for kind, (value, _) in ways.items() if value is not None]
    if len(given) > 1:
        raise InvalidError(
            "A schedule runs by one of cron text, an interval, times of day, or an event.",
            hint="Add a second schedule for the other.",
        )
    if not given:
        return {}
    empty = {"cron_expression": None, "interval_minutes": None, "event_type": None}
    return {**empty, "schedule_type": given[0], **ways[given[0]][1]}


def _write(schedule: IntegrationSchedule, values: dict[str, Any], now: datetime | None) -> None:
    """Change a schedule, and with it when it is due next."""
    for column, value in values.items():
        setattr(schedule, column, value)
    schedule.next_run_at = schedule.next_run(schedule.columns, now or clock.now())
    schedule.save()


def _write_times(schedule_id: int, times: Sequence[str]) -> None:
    """Keep exactly these times of day; one that was there before is taken up again."""
    table = IntegrationScheduleTime
    rows = {row.time_of_day: row for row in table.select().where(table.schedule == schedule_id)}
    for text in times:
        if text not in rows:
            table.insert(schedule=schedule_id, time_of_day=text).execute()
    for wanted in (_ACTIVE, _PAUSED):  # an active schedule keeps at least one at any time
        changed = [
            text
            for text, row in rows.items()
            if row.status_id != wanted and (text in times) == (wanted == _ACTIVE)
        ]
        if changed:
            mine = table.schedule == schedule_id
            table.update(status=wanted).where(mine, table.time_of_day.in_(changed)).execute()
