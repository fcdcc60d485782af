"""Schedules: when an integration runs, by the clock or by events; made, changed, paused, told in advance."""

from __future__ import annotations

import json
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from edgekit import clock, db, integrations
from edgekit.errors import ConflictError, InvalidError, NotFoundError, quoted
from edgekit.events.telling import check_pattern
from edgekit.models.runner import IntegrationSchedule, IntegrationScheduleTime
from edgekit.recurrence import find_zone, read_cron, read_time
from edgekit.runner.scheduling import parameters, retries, rules, slots

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime

_ACTIVE, _PAUSED = rules.ACTIVE, rules.PAUSED
_SHOWN = 5
"""So many of the next times are told with a schedule."""


class How(TypedDict, total=False):
    """How a schedule runs; what is not given stays, or is as a new schedule has it."""

    overlap: str | None
    """While an earlier run still runs: skip, queue_one, queue_all, cancel_running, allow."""
    missed: str | None
    """Of due times nobody was there for: skip, run_once, run_all."""
    grace: int | None
    """Seconds by which a due time may be late without being missed."""
    catch_up: int | None
    """So many of them `run_all` runs."""
    catch_up_delay: int | None
    """Seconds between two of these."""
    jitter: int | None
    """Seconds by which a run may begin later, so that not all begin at once."""
    timeout: int | None
    """Seconds after which a run is stopped."""
    retry: Mapping[str, Any] | None
    """{"attempts", "delay_seconds", "multiplier", "jitter", "max_delay_seconds"}; {}: as configured."""
    parameters: Mapping[str, Any] | None
    """Settings of the integration for these runs only; `{due:%Y-%m}` in them is the due time."""


_COLUMNS = {
    "overlap": "overlap_policy", "missed": "missed_execution_policy", "grace": "grace_seconds",
    "catch_up": "catch_up_limit", "catch_up_delay": "catch_up_delay_seconds", "jitter": "jitter_seconds",
    "timeout": "execution_timeout_seconds", "retry": "retry_policy", "parameters": "execution_parameters",
}  # fmt: skip


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
    **how: Unpack[How],
) -> dict[str, Any]:
    """Make a schedule and return what `show_schedule` does.

    It runs by `cron` text, `every` so many minutes, `at` times of day (06:30), or `on` an event of that type;
    without any of them only on demand. Cron and times of day are of the IANA zone `timezone`; `start` and
    `end` are the first and last day of that zone on which it runs; `how` says what `How` knows. One that runs
    by events lets one run wait behind another, if nothing else is said. Raise NotFoundError (integration),
    InvalidError (cron text, time, zone, policy), ConflictError (the name is taken).
    """
    if on is not None and how.get("overlap") is None:
        how["overlap"] = "queue_one"
    found, name = integrations.find(integration), name.strip()
    values = _timing(cron, every, at, on) or {"schedule_type": "manual"}
    find_zone(timezone)
    times = sorted({read_time(text) for text in at})
    with db.change(reason=f"schedules add {name}"):
        values |= _listens_from_now(values, None)
        if _named(name):
            raise ConflictError(
                f"There is already a schedule {name}.",
                hint=f"Change it: edgekit schedules set {quoted(name)}",
            )
        schedule = IntegrationSchedule(
            schedule_name=name, integration=found["id"], organization=found["organization_id"],
            timezone=timezone, start_date=start, end_date=end, status=_PAUSED if times else _ACTIVE,
            **_policies(how),
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
    **how: Unpack[How],
) -> dict[str, Any]:
    """Change when or how a schedule runs and return what `show_schedule` does: its next times among it.

    What is not given stays as it is; `clear` may name `start` and `end` to take them away. New times count
    from now: what was due by the former ones and has not begun is noted as missed. Raise as `add_schedule`.
    """
    schedule = _load(name)
    values = _timing(cron, every, at, on)
    times = sorted({read_time(text) for text in at})
    if timezone is not None:
        find_zone(timezone)
        values["timezone"] = timezone
    for column, value in (("start", start), ("end", end)):
        if value is not None or column in clear:
            values[f"{column}_date"] = value
    policies = _policies(how)
    if not values and not policies:
        raise InvalidError(
            f"What is to change of the schedule {schedule.schedule_name}?",
            hint="Say what it becomes, such as --at 06:30; see edgekit schedules set --help",
        )
    with db.change(reason=f"schedules set {schedule.schedule_name}"):
        schedule = _closed(schedule, now) if values else schedule
        values |= _listens_from_now(values, schedule)
        if times:
            _write_times(schedule.id, times)
        _write(schedule, values | policies, now, is_anew=bool(values))
        if schedule.schedule_type != "fixed_time":
            _write_times(schedule.id, [])
    return show_schedule(schedule.schedule_name, now=now)


def pause_schedule(name: str, *, reason: str | None = None, now: datetime | None = None) -> dict[str, Any]:
    """Let a schedule run no more until it is resumed, and return it; `reason` is for people.

    What runs goes on, and what falls due is noted as paused. Raise NotFoundError.
    """
    schedule = _load(name)
    if schedule.status_id == _ACTIVE or reason is not None:
        with db.change(reason=f"schedules pause {schedule.schedule_name}"):
            schedule = _closed(schedule, now)
            _write(schedule, {"status": _PAUSED, "pause_reason": reason}, now, is_anew=False)
    return show_schedule(name, now=now)


def resume_schedule(name: str, *, now: datetime | None = None) -> dict[str, Any]:
    """Let a paused schedule run again and return it. Raise NotFoundError, InvalidError."""
    schedule = _load(name)
    if schedule.status_id != _ACTIVE:
        with db.change(reason=f"schedules resume {schedule.schedule_name}"):
            schedule = _closed(schedule, now)
            anew = schedule.next_run_at is None
            _write(schedule, {"status": _ACTIVE, "pause_reason": None}, now, is_anew=anew)
    return show_schedule(name, now=now)


def next_times(
    schedule: str | IntegrationSchedule, count: int = _SHOWN, now: datetime | None = None
) -> list[datetime]:
    """Return the next times a schedule runs after `now`, in UTC, by its name or row.

    There are none while it is paused, after its last day, and where it runs by events or on demand. Raise
    NotFoundError, InvalidError.
    """
    row = _load(schedule) if isinstance(schedule, str) else schedule
    if row.status_id != _ACTIVE:
        return []
    recurrence = row.recurrence(row.columns)
    return list(islice(recurrence.after(now or clock.now(), planned=row.next_run_at), count))


def list_schedules(*, integration: str | None = None) -> list[dict[str, Any]]:
    """Return all schedules, of one integration if that is given, by name. Raise NotFoundError."""
    wanted = None if integration is None else integrations.find(integration)["id"]
    found = db.query(
        f"{_SELECT} WHERE ? IS NULL OR s.integration_id = ? ORDER BY s.schedule_name", (wanted, wanted)
    )
    return [_read(row) for row in found]


def show_schedule(name: str, *, now: datetime | None = None) -> dict[str, Any]:
    """Return a schedule with `next`, the next times it runs: [{"at": …}]. Raise NotFoundError."""
    schedule = _load(name)
    (row,) = db.query(f"{_SELECT} WHERE s.id = ?", (schedule.id,))
    return {**_read(row), "next": [{"at": moment} for moment in next_times(schedule, now=now)]}


def _read(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        name: row[name] and json.loads(row[name]) for name in ("retry_policy", "execution_parameters")
    }


_SELECT = (
    "SELECT s.schedule_name AS name, i.integration_name AS integration, s.schedule_type,"
    " CASE s.schedule_type WHEN 'cron' THEN s.cron_expression"
    " WHEN 'interval' THEN 'every ' || s.interval_minutes || ' minutes'"
    " WHEN 'fixed_time' THEN 'at ' || (SELECT group_concat(t.time_of_day, ', ') FROM (SELECT time_of_day FROM"
    " integration_schedule_time WHERE schedule_id = s.id AND status_id = 1 ORDER BY time_of_day) t)"
    " WHEN 'event_based' THEN 'on ' || ifnull(s.event_type, 'any event') ELSE 'on demand' END AS timing,"
    " s.timezone, s.status_id = 1 AS is_active, s.pause_reason,"
    " CASE WHEN s.status_id = 1 THEN s.next_run_at END AS next_run_at, s.last_run_at, s.start_date,"
    " s.end_date,"
    " s.overlap_policy, s.missed_execution_policy, s.grace_seconds, s.catch_up_limit,"
    " s.catch_up_delay_seconds,"
    " s.jitter_seconds, s.execution_timeout_seconds, s.retry_policy, s.execution_parameters"
    " FROM integration_schedule s JOIN integration i ON i.id = s.integration_id"
)


def _named(name: str) -> list[int]:
    found = db.query("SELECT id FROM integration_schedule WHERE schedule_name = ?", (name,))
    return [row["id"] for row in found]


def find(name: str) -> int:
    """Return the id of a schedule. Raise NotFoundError with the names that come close, ConflictError."""
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


def _load(name: str) -> IntegrationSchedule:
    found: IntegrationSchedule = IntegrationSchedule.get_by_id(find(name))
    return found


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
    if on is not None:
        check_pattern(on)
    empty = {"cron_expression": None, "interval_minutes": None, "event_type": None}
    return {**empty, "schedule_type": given[0], **ways[given[0]][1]}


def _listens_from_now(values: Mapping[str, Any], schedule: IntegrationSchedule | None) -> dict[str, Any]:
    """Return what makes a schedule listen from the next event on, where it begins to, or to others."""
    if values.get("schedule_type") != "event_based":
        return {}
    if schedule is not None and (schedule.schedule_type, schedule.event_type) == (
        "event_based", values["event_type"],
    ):  # fmt: skip
        return {}
    return {"after_event_id": db.query("SELECT ifnull(max(id), 0) AS id FROM integration_event")[0]["id"]}


def _policies(how: How) -> dict[str, Any]:
    """Return the columns of how it runs. Raise InvalidError for a retry policy that is none."""
    if unknown := how.keys() - _COLUMNS:
        raise TypeError(f"A schedule has no {', '.join(sorted(unknown))}: it has {', '.join(_COLUMNS)}.")
    found: dict[str, Any] = {_COLUMNS[name]: value for name, value in how.items() if value is not None}
    if "retry_policy" in found:
        found["retry_policy"] = retries.read(found["retry_policy"]) or None
    if "execution_parameters" in found:
        parameters.check(found["execution_parameters"])
        found["execution_parameters"] = dict(found["execution_parameters"]) or None
    return found


def _closed(schedule: IntegrationSchedule, now: datetime | None) -> IntegrationSchedule:
    """Account for what was due of a schedule before it becomes another, and return it anew."""
    moment = now or clock.now()
    for row in rules.read("s.id = ? AND s.next_run_at <= ?", (schedule.id, clock.to_text(moment))):
        slots.account(row, moment, closing="missed")
    found: IntegrationSchedule = IntegrationSchedule.get_by_id(schedule.id)
    return found


def _write(
    schedule: IntegrationSchedule, values: dict[str, Any], now: datetime | None, *, is_anew: bool = True
) -> None:
    """Change a schedule; where its times are others, it is due next after now."""
    due = schedule.next_run_at
    for column, value in values.items():
        setattr(schedule, column, value)
    if is_anew:
        due = next(schedule.recurrence(schedule.columns).after(now or clock.now()), None)
    schedule.next_run_at = due
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
