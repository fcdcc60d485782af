"""Ticks: every due time leaves a row, whatever the clock does; what runs, runs once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import db, integrations, jobs, runner

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)  # a Friday, two days before London's clocks go forward


@pytest.fixture
def source(edge: Database, tmp_path: Path) -> str:
    (tmp_path / "prices.csv").write_text("item,price\nchair,49\ntable,120\n", encoding="utf-8")
    settings = {"path": str(tmp_path / "prices.csv"), "table": "price", "key": "item", "create": "true"}
    integrations.create("prices", template="csv-import", settings=settings)
    return "prices"


def after(**span: float) -> datetime:
    return NOON + timedelta(**span)


def told() -> list[tuple[Any, ...]]:
    """What the table of slots says: kind, first and last due time, how many, what became of them and why."""
    found = db.query(
        "SELECT slot_kind, scheduled_at, span_ended_at, slot_count, execution_status, reason"
        " FROM integration_schedule_execution ORDER BY scheduled_at, id"
    )
    return [
        (row["slot_kind"], short(row["scheduled_at"]), short(row["span_ended_at"]), row["slot_count"],
         row["reason"] or row["execution_status"])
        for row in found
    ]  # fmt: skip


def short(text: str | None) -> str | None:
    return text and text[5:16]


@pytest.mark.ledger("S4-22")
def test_what_is_due_runs_once_and_a_gap_is_one_row(source: str) -> None:
    runner.add_schedule("s", integration=source, every=15, now=NOON)
    assert runner.tick(after(minutes=14)).made == 0
    done = runner.tick(after(minutes=15))
    assert (done.made, done.claimed, done.wake_at) == (1, 1, after(minutes=30))
    assert runner.tick(after(minutes=15)).made == 0, "the same moment twice does nothing twice"
    runner.tick(after(days=3))
    assert told() == [
        ("due", "03-27T12:15", None, 1, "completed"),
        ("due", "03-27T12:30", "03-30T11:45", 286, "missed"),
        ("due", "03-30T12:00", None, 1, "completed"),
    ]
    (row,) = db.query(
        "SELECT e.records_processed, e.correlation_id, x.correlation_id AS run, j.correlation_id AS job,"
        " x.trigger_kind, s.last_run_at FROM integration_schedule_execution e JOIN integration_schedule s"
        " JOIN integration_execution x ON x.id = e.execution_id JOIN job j ON j.id = e.job_id"
        " WHERE e.scheduled_at LIKE '%12:15%'"
    )
    assert (row["records_processed"], row["trigger_kind"]) == (2, "schedule")
    assert row["correlation_id"] == row["run"] == row["job"]
    assert row["last_run_at"] == "2026-03-30T12:00:00.000Z"
    assert jobs.list_jobs(status="open", kind="integration.run") == []
