"""Schedules as rows: what each says, read once for planning."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.recurrence import Recurrence
from edgekit.runner.scheduling.planning import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ACTIVE, PAUSED = 1, 2

SELECT = (
    "SELECT s.id, s.schedule_name, s.integration_id, i.integration_name, s.organization_id, s.schedule_type,"
    " s.cron_expression, s.interval_minutes, s.event_type, s.timezone, s.start_date, s.end_date,"
    " s.last_run_at,"
    " s.next_run_at, s.status_id, i.status_id AS integration_status, s.missed_execution_policy,"
    " s.overlap_policy, s.grace_seconds, s.catch_up_limit, s.catch_up_delay_seconds, s.jitter_seconds,"
    " s.execution_timeout_seconds, s.retry_policy, CASE WHEN s.schedule_type = 'fixed_time' THEN"
    " (SELECT group_concat(time_of_day) FROM (SELECT time_of_day FROM integration_schedule_time"
    " WHERE schedule_id = s.id AND status_id = 1 ORDER BY time_of_day)) END AS times"
    " FROM integration_schedule s JOIN integration i ON i.id = s.integration_id"
)
"""What planning needs of a schedule and its integration."""


def read(condition: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Return the schedules for which a condition on `s` and its integration `i` holds."""
    return db.query(f"{SELECT} WHERE {condition}", params)


def recurrence_of(row: Mapping[str, Any]) -> Recurrence:
    """Return when a schedule is due. Raise InvalidError where its text cannot be understood."""
    return Recurrence.of(row, tuple((row["times"] or "").split(",")) if row["times"] else ())


def rule_of(row: Mapping[str, Any]) -> Rule:
    """Return all that planning goes by. Raise InvalidError as `recurrence_of` does."""
    return Rule(
        recurrence_of(row),
        row["missed_execution_policy"],
        row["overlap_policy"],
        timedelta(seconds=row["grace_seconds"]),
        row["catch_up_limit"],
        timedelta(seconds=row["catch_up_delay_seconds"]),
        row["jitter_seconds"],
        f"{db.current().site}/{row['id']}",
    )


def is_off(row: Mapping[str, Any]) -> bool:
    """Tell whether a schedule, or its integration, is paused."""
    return bool(row["status_id"] != ACTIVE or row["integration_status"] != ACTIVE)
