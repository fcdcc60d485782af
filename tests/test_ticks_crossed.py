"""Ticks while other tools write, other processes tick, something is killed, or the clock was wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from test_ticks import NOON, Held, after, source, told, when

from edgekit import clock, db, events, jobs, rows, runner
from edgekit.errors import InvalidError
from edgekit.runner import housekeeping
from edgekit.runner.scheduling import hearing, slots, ticking

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

__all__ = ["source"]


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time of the log: its last one."""
    times = [NOON]
    monkeypatch.setattr(clock, "now", lambda: times[-1])
    return times


def by_hand(sql: str, *values: Any) -> None:
    with db.change(reason="by hand"):
        db.connection().execute(sql, values)


def kinds_and_reasons() -> list[tuple[Any, ...]]:
    return [row[1:] for row in told()]


def test_a_pause_by_any_tool_is_noted_as_one_though_no_runner_was_there(
    source: str, wall: list[datetime]
) -> None:
    runner.add_schedule("s", integration=source, every=15, missed="run_all", now=NOON)
    wall.append(after(minutes=40))
    rows.set_values("integration_schedule", 1, {"status_id": "INACTIVE"})
    wall.append(after(minutes=80))
    by_hand("UPDATE integration SET status_id = 2")
    wall.append(after(minutes=100))
    by_hand("UPDATE integration_schedule SET status_id = 1")
    wall.append(after(minutes=130))
    by_hand("UPDATE integration SET status_id = 1")
    runner.tick(after(minutes=165))
    assert kinds_and_reasons() == [
        ("03-27T12:15", "03-27T12:30", 2, "missed"),
        ("03-27T12:45", "03-27T14:00", 6, "paused"),
        ("03-27T14:15", None, 1, "completed"),
        ("03-27T14:30", None, 1, "scheduled"),
        ("03-27T14:45", None, 1, "scheduled"),
    ]


def test_a_pause_in_which_the_last_day_passes(source: str, wall: list[datetime]) -> None:
    runner.add_schedule("s", integration=source, every=360, end=date(2026, 3, 28), now=NOON)
    wall.append(after(hours=20))
    by_hand("UPDATE integration_schedule SET status_id = 2")
    wall.append(after(days=3))
    by_hand("UPDATE integration_schedule SET status_id = 1")
    runner.tick(after(days=4))
    runner.tick(after(days=5))
    assert kinds_and_reasons() == [
        ("03-27T18:00", "03-28T06:00", 3, "missed"),
        ("03-28T12:00", "03-28T18:00", 2, "paused"),
    ]
    assert db.query("SELECT next_run_at FROM integration_schedule") == [{"next_run_at": None}]


def test_a_retired_schedule_is_due_no_more(source: str, wall: list[datetime]) -> None:
    runner.add_schedule("s", integration=source, every=15, now=NOON)
    wall.append(after(minutes=20))
    by_hand("UPDATE integration_schedule SET status_id = 3")
    assert runner.tick(after(minutes=40)).wake_at != after(minutes=45)
    runner.tick(after(minutes=60))
    assert kinds_and_reasons() == [("03-27T12:15", None, 1, "missed")]
    wall.append(after(minutes=70))
    by_hand("UPDATE integration_schedule SET status_id = 1")
    for minutes in (71, 90):
        runner.tick(after(minutes=minutes))
    assert len(told()) == 2
    assert told()[-1][-1] == "completed"


def test_a_retry_policy_nobody_understands_fails_its_own_slot_and_no_other(source: str) -> None:
    for name in ("bad", "good"):
        runner.add_schedule(name, integration=source, every=15, now=NOON)
    by_hand("UPDATE integration_schedule SET retry_policy = '{\"tries\": 3}' WHERE id = 1")
    runner.tick(after(minutes=15))
    ended = {slot["schedule"]: slot for slot in runner.list_slots()}
    assert (ended["bad"]["execution_status"], ended["good"]["execution_status"]) == ("failed", "completed")
    assert "has no tries" in ended["bad"]["execution_notes"]


def test_a_run_that_was_to_be_stopped_is_cancelled_though_its_runner_died_first(source: str) -> None:
    runner.add_schedule("s", integration=source, every=15, overlap="cancel_running", now=NOON)
    pool = Held()
    for minutes in (15, 30):
        runner.tick(after(minutes=minutes), pool=pool)
    jobs.recover([pool.runner_id], now=after(minutes=31))
    assert when() == ["03-27T12:15 cancelled", "03-27T12:30 scheduled"]
    assert db.query("SELECT 1 FROM integration_event WHERE event_type = 'run.failed'") == []


def test_what_waits_for_a_stopped_run_is_stopped_with_it_before_it_gets_a_job(source: str) -> None:
    runner.add_schedule("s", integration=source, every=15, overlap="cancel_running", now=NOON)
    runner.run_schedule("s", now=after(minutes=14))
    runner.run_schedule("s", now=after(minutes=14, seconds=30))
    runner.tick(after(minutes=15))
    assert [row[4] for row in told()] == ["cancelled", "cancelled", "completed"]
    assert {job.job_status for job in jobs.list_jobs(kind="integration.run")} == {"cancelled", "completed"}


def test_what_was_asked_for_by_a_clock_that_was_ahead_does_not_wait_for_it(source: str) -> None:
    runner.add_schedule("s", integration=source, every=15, now=NOON)
    runner.add_schedule("t", integration=source, every=9999, now=NOON)
    runner.tick(after(minutes=1), pool=Held())
    pool = Held()
    runner.tick(after(days=2, minutes=1), pool=pool)
    for name in ("s", "t"):
        runner.run_schedule(name, now=after(days=2, minutes=2))
    pool.end(after(days=2, minutes=3))
    runner.tick(after(minutes=3))
    runner.tick(after(minutes=4))
    assert [row[4] for row in told() if row[0] == "manual"] == ["completed"] * 2


def test_a_gap_that_is_cut_short_leaves_out_what_ran_within_it(source: str) -> None:
    runner.add_schedule("s", integration=source, every=60, missed="run_once", now=NOON)
    for hours in (5, 0.5, 7, 5.5):
        runner.tick(after(hours=hours))
    assert kinds_and_reasons() == [
        ("03-27T13:00", "03-27T16:00", 4, "coalesced"),
        ("03-27T17:00", None, 1, "completed"),
        ("03-27T19:00", None, 1, "completed"),
    ]


def test_a_last_day_that_only_a_wrong_clock_saw_has_not_passed(source: str) -> None:
    runner.add_schedule("s", integration=source, every=60, end=date(2026, 3, 27), now=NOON)
    for hours in (50, 1.5, 2):
        runner.tick(after(hours=hours))
    assert kinds_and_reasons() == [
        ("03-27T13:00", None, 1, "missed"),
        ("03-27T14:00", None, 1, "completed"),
    ]


def test_a_run_that_is_made_up_for_knows_its_due_time(source: str, tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"2026-03-0{day}-Mo.csv").write_text(f"item,price\nchair {day},4\n", encoding="utf-8")
    named = {"path": str(tmp_path / "{due:%Y-%m-%d}-Mo.csv")}
    runner.add_schedule("s", integration=source, at=["23:30"], timezone="America/New_York", parameters=named)
    first = datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert len(runner.backfill("s", since=first, until=first + timedelta(days=2)).due) == 2
    for _ in range(3):
        runner.tick()
    assert [row[4] for row in told()] == ["completed", "completed"]
    assert {row["item"] for row in db.query("SELECT item FROM price")} == {"chair 1", "chair 2"}
    with pytest.raises(InvalidError, match="says no form of a due time"):
        runner.set_schedule("s", parameters={"path": "{due:%Q}.csv"})


def test_two_processes_give_a_slot_one_job(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.add_schedule("s", integration=source, every=15, overlap="queue_all", now=NOON)
    runner.tick(after(minutes=15), pool=Held())
    runner.tick(after(minutes=30), pool=Held())
    by_hand("UPDATE job SET job_status = 'completed', ended_at = created_at WHERE id IN"
            " (SELECT job_id FROM integration_schedule_execution)")  # fmt: skip
    by_hand("UPDATE integration_schedule_execution SET execution_status = 'completed', ended_at = started_at"
            " WHERE job_id IS NOT NULL")  # fmt: skip
    look, looks = slots._next_to_start, []

    def between(now: datetime, integration_id: int) -> Any:
        found = look(now, integration_id)
        looks.append(found)
        if len(looks) == 1:  # the other one is quicker, to the end
            assert slots.start_waiting(now, integration_id) == 1
            (job,) = jobs.claim("other", now=now, limit=1, busy=dict.fromkeys(("housekeeping.daily",), 9))
            jobs.settle([jobs.perform(job)], now=now)
        return found

    monkeypatch.setattr(slots, "_next_to_start", between)
    assert slots.start_waiting(after(minutes=30), 1) == 0
    assert [row[4] for row in told()] == ["completed", "completed"]
    assert len(jobs.list_jobs(kind="integration.run")) == 2


def test_a_long_queue_is_looked_at_from_its_front(source: str, edge: Database) -> None:
    runner.add_schedule("s", integration=source, every=15, overlap="queue_all", now=NOON)
    plans = [
        " ".join(row["detail"] for row in edge.query(f"EXPLAIN QUERY PLAN {sql}", values))
        for sql, values in ((slots._WAITING, (1, 0)), (slots._BEGUN, (1,)))
    ]
    assert "execution_open (schedule_id=? AND job_id=?)" in plans[0]
    assert "execution_open (schedule_id=? AND job_id>?)" in plans[1]


def test_old_slots_go_and_what_is_still_needed_stays(source: str) -> None:
    now = datetime.now(UTC)
    runner.add_schedule("s", integration=source, every=60 * 24, overlap="queue_all", now=now)
    runner.add_schedule("e", integration=source, on="rates.come")
    for _ in range(2):
        with db.change():
            events.emit("rates.come", {}, source="ORCHESTRATION")
        runner.tick(now + timedelta(seconds=5))
    runner.tick(now + timedelta(days=1))
    runner.tick(now + timedelta(days=2))
    with db.change():
        events.emit("rates.stay", {}, source="ORCHESTRATION")
    first = housekeeping.throw_away(now=now + timedelta(days=200))
    assert (first["slots"], first["events"] > 0) == (0, True), "events that made a slot stay with it"
    assert [row[0] for row in told()].count("event") == 2
    done = housekeeping.throw_away(now=now + timedelta(days=500))
    assert done["slots"] == 2
    assert sorted(row[0] for row in told()) == ["due", "event"]
    ticking._memories.clear()
    assert hearing.hear(hearing.last_heard(), now + timedelta(days=500), {})[1] == 0, "nothing is heard again"
