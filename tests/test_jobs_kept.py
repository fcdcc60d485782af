"""Jobs at the command line, and how long they are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from test_violations import put, sample

from edgekit import configuration, db, jobs
from edgekit.cli.root import edgekit as command
from edgekit.errors import InvalidError
from edgekit.jobs import kinds
from edgekit.runner import housekeeping

if TYPE_CHECKING:
    from edgekit.db import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ended(kind: str, days: float, *, fails: bool = False) -> jobs.Job:
    """Return a job that ended so many days ago."""
    at = NOW - timedelta(days=days)
    jobs.enqueue(kind, now=at, priority=0)
    (job,) = jobs.claim("me", now=at, limit=1)
    error = InvalidError("no") if fails else None
    jobs.settle([jobs.Outcome(job, {"n": 1}, error)], now=at)
    return jobs.show(job.id)


def test_what_ended_long_ago_is_thrown_away_and_a_slot_is_kept(edge: Database) -> None:
    old, failed = ended("t.old", 31), ended("t.failed", 89, fails=True)
    oldest, recent = ended("t.oldest", 91, fails=True), ended("t.recent", 29)
    waiting = jobs.enqueue("t.waiting", run_at=NOW - timedelta(days=400))
    with edge.change(reason="slot"):
        table = "integration_schedule_execution"
        put(edge.connection(), table, **sample(edge.connection(), table, job_id=old.id))
    done = housekeeping.throw_away(now=NOW)
    assert done == {"jobs": 2, "slots": 0, "events": 0, "notifications": 0, "inputs": 0}
    assert {job.id for job in jobs.list_jobs()} == {failed.id, recent.id, waiting.id}
    assert oldest.id not in {failed.id, recent.id}
    assert edge.query("SELECT job_id FROM integration_schedule_execution") == [{"job_id": None}]
    configuration.set("HOUSEKEEPING_SETTINGS", "keep_jobs_days", 5)
    assert housekeeping.throw_away(now=NOW)["jobs"] == 1
    assert {job.id for job in jobs.list_jobs()} == {failed.id, waiting.id}


@pytest.mark.usefixtures("standing")
def test_housekeeping_stands_and_is_done_every_day(edge: Database) -> None:
    (asked,) = [job for job in jobs.ensure_standing(NOW) if job.kind == "housekeeping.daily"]
    assert asked.run_at == NOW + timedelta(days=1)
    at = NOW + timedelta(days=2)
    mine = next(job for job in jobs.claim("me", now=at) if job.kind == "housekeeping.daily")
    jobs.settle([jobs.perform(mine)], now=at)
    assert jobs.show(mine.id).result == {"jobs": 0, "slots": 0, "events": 0, "notifications": 0, "inputs": 0}
    (following,) = jobs.list_jobs(kind="housekeeping.daily", status="open")
    assert following.run_at == at + timedelta(days=1)


@pytest.fixture
def file_of_jobs(edge: Database, monkeypatch: pytest.MonkeyPatch) -> list[jobs.Job]:
    """A failed, a waiting and a running job, in a file that is closed."""
    made = [
        ended("t.broken", 1, fails=True),
        jobs.enqueue("t.waits", {"n": 1}, run_at=NOW + timedelta(days=9999)),
    ]
    jobs.enqueue("t.runs", now=NOW, priority=0)
    made += jobs.claim("me", now=NOW, limit=1)
    monkeypatch.setenv("EDGEKIT_DB", str(edge.path))
    edge.close()
    return made


def say(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(command, list(words))
    assert done.exit_code == code, done.output
    return done.output


def told(*words: str) -> Any:
    return json.loads(say(*words, "--json"))


def test_jobs_are_listed_shown_retried_and_cancelled(file_of_jobs: list[jobs.Job]) -> None:
    broken, waits, runs = file_of_jobs
    assert [row["id"] for row in told("jobs", "list")] == [runs.id, waits.id, broken.id]
    assert [row["kind"] for row in told("jobs", "list", "--status", "open")] == ["t.runs", "t.waits"]
    assert [row["kind"] for row in told("jobs", "list", "--kind", "t.waits")] == ["t.waits"]
    assert "no" in say("jobs", "list", "--status", "failed")
    assert told("jobs", "show", str(broken.id))["error_code"] == "invalid"
    assert "There is no job 99" in say("jobs", "show", "99", code=3)
    again = told("jobs", "retry", str(broken.id))
    assert (again["job_status"], again["correlation_id"]) == ("pending", broken.correlation_id)
    assert "only a failed or cancelled one" in say("jobs", "retry", str(waits.id), code=6)
    assert "is cancelled" in say("jobs", "cancel", str(waits.id))
    assert "is being stopped" in say("jobs", "cancel", str(runs.id))
    assert "has ended" in say("jobs", "cancel", str(waits.id), code=6)
    assert "is to be stopped" in say("jobs", "list", "--status", "running")
    assert "There is no such job" in say("jobs", "list", "--status", "interrupted")


def test_every_kind_of_ours_has_a_module_that_is_there() -> None:
    for kind in kinds._STANDING:
        assert jobs.get(kind).standing is not None
    assert not db.is_open()
