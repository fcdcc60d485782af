"""Ticks: every due time leaves a row, whatever the clock does; what runs, runs once."""

from __future__ import annotations

import json
import socket
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from filelock import FileLock

import edgekit
from edgekit import clock, configuration, db, events, integrations, jobs, runner
from edgekit.cli import root
from edgekit.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from edgekit.file.doctor import doctor
from edgekit.jobs.workers import Workers
from edgekit.runner import holding
from edgekit.runner.examining import examine
from edgekit.runner.scheduling import hearing, retries

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


def test_a_run_ends_with_its_slot_and_its_job_in_one_change(source: str) -> None:
    runner.add_schedule("s", integration=source, every=15, now=NOON)
    runner.tick(after(minutes=15))
    ended = db.query(
        "SELECT DISTINCT l.txn_id FROM audit_log l JOIN audit_table t ON t.id = l.table_id"
        " WHERE l.action = 'U' AND l.changes LIKE '%completed%' AND t.name IN ('job',"
        " 'integration_execution', 'integration_schedule_execution')"
    )
    assert len(ended) == 1, "a kill in between would run it all again"


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
    logged = "SELECT 1 FROM audit_entry WHERE correlation_id = ? AND action = 'I' AND table_name = ?"
    assert db.query(logged, (row["correlation_id"], "integration_schedule_execution"))
    assert row["last_run_at"] == "2026-03-30T12:00:00.000Z"
    assert jobs.list_jobs(status="open", kind="integration.run") == []


class Held:
    """A pool whose jobs run until they are let go."""

    def __init__(self) -> None:
        self.runner_id = "runner-of-the-test"
        self.jobs: list[jobs.Job] = []

    @property
    def free(self) -> int:
        return 8 - len(self.jobs)

    @property
    def busy(self) -> dict[str, int]:
        return {"integration.run": len(self.jobs)}

    def submit(self, job: jobs.Job) -> None:
        self.jobs.append(job)
        with db.change():
            db.connection().execute(
                "UPDATE integration_schedule_execution SET execution_status = 'running', started_at = ?"
                " WHERE job_id = ?",
                (clock.to_text(job.claimed_at or NOON), job.id),
            )

    def end(self, now: datetime) -> None:
        """Let what runs come to its end."""
        ended, self.jobs = self.jobs, []
        jobs.settle([jobs.perform(job) for job in ended], now=now)


def when(*statuses: str) -> list[str]:
    return [f"{row[1]} {row[4]}" for row in told() if not statuses or row[4] in statuses]


# --- overlap


@pytest.mark.ledger("S4-23")
@pytest.mark.parametrize(
    ("policy", "meanwhile", "at_last"),
    [
        ("skip", "running overlap overlap", "completed overlap overlap"),
        ("queue_one", "running scheduled overlap", "completed completed overlap"),
        ("queue_all", "running scheduled scheduled", "completed completed completed"),
        ("allow", "running running running", "completed completed completed"),
    ],
)
def test_what_falls_due_while_an_earlier_run_runs(
    source: str, policy: str, meanwhile: str, at_last: str
) -> None:
    runner.add_schedule("s", integration=source, every=10, overlap=policy, now=NOON)
    pool = Held()
    for minutes in (10, 20, 30):
        runner.tick(after(minutes=minutes), pool=pool)
    assert " ".join(row[4] for row in told()) == meanwhile
    order = []
    for seconds in (1, 2, 3):
        order += [job.payload["slot"] for job in pool.jobs]
        pool.end(after(minutes=30, seconds=seconds))
        runner.tick(after(minutes=30, seconds=seconds), pool=pool)
    assert " ".join(row[4] for row in told()) == at_last
    assert order == sorted(order), "in their order"


@pytest.mark.ledger("S4-23")
def test_the_earlier_run_is_stopped_for_the_later_one(source: str) -> None:
    runner.add_schedule("s", integration=source, every=10, overlap="cancel_running", now=NOON)
    pool = Held()
    runner.tick(after(minutes=10), pool=pool)
    runner.tick(after(minutes=20), pool=pool)
    (first,) = pool.jobs
    assert jobs.show(first.id).cancel_requested_at == after(minutes=20), "whoever runs it is to stop it"
    assert [row[4] for row in told()] == ["running", "scheduled"], "the later one waits until it has stopped"
    pool.jobs = []
    jobs.decide(first, UnavailableError("Stopped."), now=after(minutes=20, seconds=1))
    runner.tick(after(minutes=20, seconds=1), pool=pool)
    assert [row[4] for row in told()] == ["cancelled", "running"]
    pool.end(after(minutes=21))
    (last, stopped) = runner.list_slots("s")
    assert last["execution_status"] == "completed"
    assert stopped["execution_notes"] == "A later run of the same schedule took its place."


def test_runs_of_two_schedules_of_an_integration_wait_for_each_other(source: str) -> None:
    for name in ("a", "b"):
        runner.add_schedule(name, integration=source, every=10, now=NOON)
    pool = Held()
    assert runner.tick(after(minutes=10), pool=pool).claimed == 1
    assert runner.tick(after(minutes=11), pool=pool).claimed == 0
    pool.end(after(minutes=12))
    assert runner.tick(after(minutes=12), pool=pool).claimed == 1
    pool.end(after(minutes=13))
    assert [row[4] for row in told()] == ["completed", "completed"]


# --- paused, days, changes


@pytest.mark.ledger("S4-26")
def test_a_pause_is_one_row_however_often_it_is_looked_at(source: str) -> None:
    runner.add_schedule("s", integration=source, every=10, now=NOON)
    runner.tick(after(minutes=10))
    runner.pause_schedule("s", reason="The provider moves.", now=after(minutes=15))
    assert runner.show_schedule("s")["pause_reason"] == "The provider moves."
    for minutes in (20, 30, 75):
        runner.tick(after(minutes=minutes))
    runner.resume_schedule("s", now=after(minutes=95))
    runner.tick(after(minutes=100))
    with db.change():
        db.connection().execute("UPDATE integration SET status_id = 2")
    runner.tick(after(minutes=110))
    runner.tick(after(minutes=120))
    assert told() == [
        ("due", "03-27T12:10", None, 1, "completed"),
        ("due", "03-27T12:20", "03-27T13:30", 8, "paused"),
        ("due", "03-27T13:40", None, 1, "completed"),
        ("due", "03-27T13:50", "03-27T14:00", 2, "paused"),
    ]
    assert runner.show_schedule("s")["pause_reason"] is None


@pytest.mark.ledger("S4-26")
def test_nothing_runs_before_the_first_day_or_after_the_last(source: str) -> None:
    runner.add_schedule(
        "s", integration=source, at=["09:00"], timezone="Asia/Tokyo", start=date(2026, 3, 29),
        end=date(2026, 3, 30), now=NOON,
    )  # fmt: skip
    for day in range(6):
        runner.tick(after(days=day))
    assert when() == ["03-29T00:00 missed", "03-30T00:00 missed"]
    runner.tick(after(days=9))
    assert db.query("SELECT next_run_at FROM integration_schedule") == [{"next_run_at": None}]
    runner.add_schedule("t", integration=source, every=60, end=date(2026, 3, 27), now=NOON)
    runner.tick(after(days=2))
    assert told()[0] == ("due", "03-27T13:00", "03-27T23:00", 11, "missed")


@pytest.mark.ledger("S4-28")
def test_a_changed_schedule_counts_from_the_change_and_runs_nothing_old(source: str) -> None:
    runner.add_schedule("s", integration=source, every=10, missed="run_all", now=NOON)
    changed = runner.set_schedule("s", every=60, now=after(minutes=35))
    assert changed["next"][0]["at"] == after(minutes=95), "from the change on"
    assert told() == [("due", "03-27T12:10", "03-27T12:30", 3, "missed")]
    runner.set_schedule("s", cron="0 * * * *", now=after(minutes=40))
    runner.tick(after(minutes=60))
    assert when() == ["03-27T12:10 missed", "03-27T13:00 completed"]
    runner.set_schedule("s", missed="skip", jitter=30, now=after(minutes=61))
    assert runner.next_times("s", 1, now=after(minutes=61)) == [after(hours=2)]
    with db.change(reason="another tool"):
        db.connection().execute(
            "UPDATE integration_schedule SET cron_expression = '30 * * * *', next_run_at = NULL"
        )
    assert runner.tick(after(hours=5)).wake_at == after(hours=5, minutes=30), "what was before is not due"


# --- the clock


@pytest.mark.ledger("S4-22")
@pytest.mark.parametrize(
    ("missed", "rows"),
    [
        ("skip", [("03-28T01:30", "03-30T00:30", 3, "missed"), ("03-31T00:30", None, 1, "completed")]),
        ("run_once", [("03-28T01:30", "03-30T00:30", 3, "coalesced"), ("03-31T00:30", None, 1, "completed")]),
        ("run_all", [
            ("03-28T01:30", "03-29T01:00", 2, "missed"), ("03-30T00:30", None, 1, "completed"),
            ("03-31T00:30", None, 1, "completed"),
        ]),
    ],
)  # fmt: skip
def test_a_sleep_of_days_over_the_change_of_the_clocks(
    source: str, missed: str, rows: list[tuple[Any, ...]]
) -> None:
    """At 01:30 in London, which the 29th does not have: there it is due right after the gap, at 01:00 UTC."""
    runner.add_schedule(
        "s", integration=source, cron="30 1 * * *", timezone="Europe/London", missed=missed, catch_up=2,
        now=NOON,
    )  # fmt: skip
    woken = datetime(2026, 3, 31, 0, 32, tzinfo=UTC)
    runner.tick(woken)
    while (wake := runner.tick(woken).wake_at) is not None and wake < woken + timedelta(minutes=5):
        woken = wake
    assert [row[1:] for row in told()] == rows


@pytest.mark.ledger("S4-22")
def test_a_clock_set_back_runs_nothing_twice_and_waits_for_no_old_future(edge: Database, source: str) -> None:
    runner.add_schedule("s", integration=source, every=60, now=NOON)
    runner.tick(after(hours=1))
    runner.tick(after(days=1000))  # the battery of the clock was empty
    assert [row[1:4] for row in told()][1] == ("03-27T14:00", "12-21T11:00", 23998)
    back = runner.tick(after(hours=1, minutes=5))
    assert (back.rewound, back.wake_at) == (1, after(hours=2))
    for hours in (2, 3):
        runner.tick(after(hours=hours))
    assert when() == [
        "03-27T13:00 completed", "03-27T14:00 completed", "03-27T15:00 completed", "12-21T12:00 completed",
    ]  # fmt: skip
    runner.tick(after(hours=1, minutes=30))
    assert runner.tick(after(hours=3)).made == 0, "those times have run"
    assert runner.tick(after(hours=4)).made == 1
    runner.tick(after(days=1000, hours=1))
    path = edge.path
    edge.close()
    with edgekit.open(path):  # a new process finds it in the rows
        assert runner.tick(after(hours=4, minutes=1)).wake_at == after(hours=5)


def test_a_small_step_back_is_no_news(source: str) -> None:
    runner.add_schedule("s", integration=source, every=60, now=NOON)
    runner.tick(after(hours=1))
    assert runner.tick(after(minutes=59, seconds=30)).made == 0
    assert runner.tick(after(hours=1)).made == 0


# --- by events, by hand, of the past


@pytest.mark.ledger("S4-26")
def test_an_event_starts_one_run_of_each_schedule_it_is_for(source: str) -> None:
    for name, pattern in (("a", "policy.bound"), ("b", "policy.*"), ("c", "claim.opened")):
        runner.add_schedule(name, integration=source, on=pattern, overlap="queue_all")
    came = clock.now() + timedelta(minutes=1)
    with db.change(reason="bound", correlation_id="deal-7"):
        events.emit("policy.bound", {"policy": 7}, source="MODULES", now=came)
    assert runner.tick(came).made == 2
    assert runner.tick(came).made == 0
    found = runner.list_slots()
    assert [(slot["schedule"], slot["slot_kind"], slot["execution_status"]) for slot in found] == [
        ("b", "event", "completed"), ("a", "event", "completed"),
    ]  # fmt: skip
    assert {slot["correlation_id"] for slot in found} == {"deal-7"}
    assert {row["trigger_kind"] for row in db.query("SELECT trigger_kind FROM integration_execution")} == {
        "event"
    }
    runner.pause_schedule("a", now=came)
    events.emit("policy.bound", {}, source="MODULES", now=came)
    runner.tick(came + timedelta(days=3))
    assert [(slot["schedule"], slot["reason"]) for slot in runner.list_slots(limit=2)] == [
        ("b", None),
        ("a", "paused"),
    ]


def fresh() -> None:
    """Forget what this process knows of the file, as one that has just begun."""
    from edgekit.runner.scheduling import ticking

    ticking._memories.clear()


def test_a_process_that_ended_in_the_middle_of_an_event_leaves_no_schedule_out(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        runner.add_schedule(name, integration=source, on="policy.bound", overlap="queue_all")
    events.emit("policy.bound", source="MODULES")
    make, calls = hearing._make, []

    def once(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        make(*given)

    monkeypatch.setattr(hearing, "_make", once)
    with pytest.raises(KeyboardInterrupt):
        runner.tick()
    fresh()
    runner.tick()
    fresh()
    runner.tick()
    assert sorted(slot["schedule"] for slot in runner.list_slots()) == ["a", "b"]


def test_a_schedule_hears_nothing_from_before_it_listened(source: str) -> None:
    runner.add_schedule("s", integration=source, on="policy.bound")
    events.emit_many("claim.opened", [{}] * 3, source="MODULES")
    runner.set_schedule("s", on="claim.*")
    fresh()
    assert runner.tick().made == 0
    events.emit("claim.opened", source="MODULES")
    runner.set_schedule("s", on="claim.*", overlap="queue_all")
    fresh()
    assert runner.tick().made == 1
    with pytest.raises(InvalidError, match="nor a pattern"):
        runner.set_schedule("s", on="[a-z")


def test_an_event_that_started_a_schedule_is_kept_with_its_slot(source: str) -> None:
    runner.add_schedule("s", integration=source, on="policy.bound")
    for event_type in ("claim.opened", "policy.bound", "claim.closed"):
        events.emit(event_type, source="MODULES")
    runner.tick()
    far = clock.now() + timedelta(days=100)
    assert events.prune_events(now=far) >= 2
    assert [event["type"] for event in events.list_events(event_type="[pc]*")] == ["policy.bound"]
    fresh()
    assert runner.tick(far).made == 0


def test_schedules_that_start_each_other_by_events_end_somewhere(source: str) -> None:
    runner.add_schedule("s", integration=source, on="loop.turned", overlap="skip")
    cause = None
    for _ in range(events.MOST_DEEP + 1):
        cause = events.emit("loop.turned", source="MODULES", causation_id=cause).uuid
    assert runner.tick().made == events.MOST_DEEP, "the last one is told to nobody"
    first = events.list_events(event_type="loop.turned", limit=100)[-1]["uuid"]
    assert [event["causation_id"] for event in events.list_events(event_type="run.completed")] == [first]


def test_a_tick_hands_on_so_many_events_and_wants_to_be_called_again(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.events.fanning.BATCH", 2)
    events.add_subscription("s", handler="event.run", event_type="a.b", config={"integration": source})
    events.emit_many("a.b", [{}] * 9, source="MODULES", ordering_keys=["k"] * 9)
    now, pool = clock.now(), Held()
    ticked = [runner.tick(now, pool=pool) for _ in range(2)]
    assert ([one.wake_at == now for one in ticked], events.show_subscription("s")["open"]) == (
        [True, False],
        9,
    )
    assert len(pool.jobs) == 1, "the first of the key"


def test_a_zone_nobody_knows_holds_up_no_other_schedule(source: str) -> None:
    for name in ("a", "b"):
        runner.add_schedule(name, integration=source, on="policy.bound", overlap="queue_all",
                            end=date(2099, 1, 1))  # fmt: skip
    with db.change(reason="another tool"):
        db.connection().execute("UPDATE integration_schedule SET timezone = 'No/Where' WHERE id = 1")
    events.emit("policy.bound", source="MODULES")
    ticked = runner.tick()
    assert (ticked.made, [slot["schedule"] for slot in runner.list_slots()]) == (2, ["b"])
    assert "a: " in ticked.faults[0]


def test_a_schedule_is_not_started_by_its_own_end(source: str) -> None:
    runner.add_schedule("again", integration=source, on="run.completed")
    runner.add_schedule("first", integration=source)
    now = clock.now() + timedelta(minutes=1)
    runner.run_schedule("first", now=now)
    for seconds in range(5):
        runner.tick(now + timedelta(seconds=seconds))
    found = [(slot["schedule"], slot["records_processed"]) for slot in runner.list_slots()]
    assert found == [("again", 2), ("first", 2)]


@pytest.mark.ledger("S4-26")
def test_by_hand_a_schedule_runs_whatever_its_times(source: str) -> None:
    runner.add_schedule("s", integration=source)
    runner.pause_schedule("s")
    asked = runner.run_schedule("s", now=NOON)
    assert (asked["slot_kind"], asked["execution_status"]) == ("manual", "scheduled")
    runner.tick(NOON)
    assert told() == [("manual", "03-27T12:00", None, 1, "completed")]
    with pytest.raises(NotFoundError, match="no schedule x"):
        runner.run_schedule("x")


@pytest.mark.ledger("S4-22")
def test_past_due_times_are_run_later_on_demand(source: str) -> None:
    runner.add_schedule("s", integration=source, at=["06:00", "18:00"], timezone="Europe/London", now=NOON)
    runner.tick(after(hours=6))
    span = {"since": after(days=-2), "until": after(days=1), "now": after(hours=7)}
    told_first = runner.backfill("s", dry_run=True, **span)
    assert (len(told_first.due), told_first.left_out, len(told())) == (4, 1, 1)
    assert runner.backfill("s", **span).due == told_first.due
    runner.tick(after(hours=7))
    assert [row[0] for row in told()] == ["backfill"] * 4 + ["due"]
    assert {row[4] for row in told()} == {"completed"}
    assert runner.backfill("s", **span).due == []
    minutes = runner.add_schedule("m", integration=source, every=1, now=NOON)
    assert minutes["timing"] == "every 1 minutes"
    many = runner.backfill("m", since=after(days=-2), until=NOON, dry_run=True, now=NOON)
    assert (len(many.due), many.beyond) == (1000, 1880)
    with pytest.raises(InvalidError, match="past"):
        runner.backfill("m", since=after(days=1), until=after(days=2), now=NOON)
    with pytest.raises(InvalidError, match="not before"):
        runner.backfill("m", since=NOON, until=NOON, now=NOON)


# --- failing and trying again


@pytest.mark.ledger("S4-24")
def test_a_run_that_fails_is_tried_again_as_its_policy_says(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> Any:
        raise UnavailableError("The provider is away.")

    monkeypatch.setattr("edgekit.runner.engine._read_all", refuse)
    retry = {"attempts": 2, "delay_seconds": 60, "multiplier": 3}
    runner.add_schedule("s", integration=source, cron="0 13 * * *", retry=retry, timeout=99, now=NOON)
    due = after(hours=1)
    for seconds, attempts, status in (
        (0, 1, "running"),
        (59, 1, "running"),
        (60, 2, "running"),
        (239, 2, "running"),
    ):
        runner.tick(due + timedelta(seconds=seconds))
        (slot,) = runner.list_slots("s")
        job = jobs.show(slot["job_id"])
        assert (job.attempts, slot["execution_status"], job.timeout_seconds) == (attempts, status, 99)
    runner.tick(due + timedelta(seconds=240))
    (slot,) = runner.list_slots("s")
    assert (slot["execution_status"], slot["execution_notes"]) == ("failed", "The provider is away.")
    runs = db.query("SELECT id, correlation_id, error_message FROM integration_execution ORDER BY id")
    assert (len(runs), {row["correlation_id"] for row in runs}) == (3, {slot["correlation_id"]})
    assert slot["execution_id"] == runs[-1]["id"]
    monkeypatch.undo()
    runner.tick(due + timedelta(days=1))
    types = [row["event_type"] for row in db.query("SELECT event_type FROM integration_event ORDER BY id")]
    assert types == ["run.failed", "run.completed", "run.recovered"]


@pytest.mark.ledger("S4-24")
def test_what_a_policy_leaves_open_comes_from_the_configuration(source: str) -> None:
    row = db.query("SELECT id FROM integration")[0]["id"]
    known = configuration.resolve("COMMUNICATION_DEFAULTS")
    found = retries.resolve(row, None)
    assert (found.attempts, found.multiplier) == (
        known["default_retry_attempts"], known["retry_backoff_multiplier"],
    )  # fmt: skip
    assert [found.delay(n) for n in (1, 2, 3)] == [1, 2, 4]
    assert retries.resolve(row, '{"attempts": 99}').attempts == known["max_retry_attempts"]
    wide = retries.resolve(
        row, '{"attempts": 0, "delay_seconds": 10, "jitter": 0.5, "max_delay_seconds": 25}'
    )
    assert (wide.attempts, wide.delay(1), wide.delay(1, 1.0), wide.delay(9)) == (0, 10, 15, 25)
    for policy in ({"attempt": 1}, {"attempts": -1}, {"attempts": 1.5}, {"multiplier": 0.5}, {"jitter": "x"}):
        with pytest.raises(InvalidError):
            retries.read(policy)


@pytest.mark.ledger("S4-24")
def test_a_run_that_takes_too_long_is_a_failed_slot_with_that_reason(source: str) -> None:
    runner.add_schedule("s", integration=source, every=10, retry={"attempts": 0}, now=NOON)
    pool = Held()
    runner.tick(after(minutes=10), pool=pool)
    (job,) = pool.jobs

    class LateError(UnavailableError):
        code = "timeout"

    jobs.settle([jobs.Outcome(job, error=LateError("Stopped after 300 s."))], now=after(minutes=15))
    runner.tick(after(minutes=15))
    (slot,) = runner.list_slots("s")
    assert (slot["execution_status"], slot["reason"]) == ("failed", "timeout")
    assert (slot["execution_notes"], slot["ended_at"]) == ("Stopped after 300 s.", "2026-03-27T12:15:00.000Z")
    with pytest.raises(ConflictError, match="stays as it is: failed") as refused:
        jobs.replay(slot["job_id"], now=after(minutes=16))
    assert "edgekit schedules run s" in str(refused.value.hint)
    assert jobs.list_jobs(kind="integration.run", status="open") == []


def test_the_work_of_a_dead_runner_is_taken_up_again(source: str) -> None:
    runner.add_schedule("s", integration=source, every=10, now=NOON)
    pool = Held()
    runner.tick(after(minutes=10), pool=pool)
    jobs.recover([pool.runner_id], now=after(minutes=12))
    assert [row[4] for row in told()] == ["running"], "the slot goes on"
    runner.tick(after(minutes=12))
    assert [row[4] for row in told()] == ["completed"]
    assert len(db.query("SELECT 1 FROM integration_execution")) == 1


# --- what should not be


def test_what_is_due_and_has_no_row_is_told(source: str, edge: Database) -> None:
    ahead = clock.now() + timedelta(days=400)
    base = ahead.replace(minute=0, second=0, microsecond=0)
    runner.add_schedule("s", integration=source, cron="0 * * * *", now=base)
    runner.tick(base + timedelta(hours=1))
    assert runner.unaccounted(base + timedelta(hours=2)) == [], "within the grace"
    (late,) = runner.unaccounted(base + timedelta(hours=5, minutes=10))
    said = [
        one.what for one in doctor(edge.path, further=[examine], now=base + timedelta(hours=5, minutes=10))
    ]
    assert late.what in said
    assert (late.schedule, late.count, late.since) == ("s", 4, base + timedelta(hours=2))
    assert "no runner was there" in late.what
    runner.tick(base + timedelta(hours=5))
    assert runner.unaccounted(base + timedelta(hours=5)) == []
    with db.change(reason="somebody"):
        db.connection().execute("DELETE FROM integration_schedule_execution WHERE reason = 'missed'")
    (lost,) = runner.unaccounted(base + timedelta(hours=5, minutes=1))
    assert (lost.count, lost.since) == (3, base + timedelta(hours=2)), "though there are rows after it"
    with db.change(reason="somebody"):
        db.connection().execute(
            "DELETE FROM integration_schedule_execution WHERE scheduled_at > ?",
            (clock.to_text(base + timedelta(hours=3)),),
        )
        db.connection().execute(
            "UPDATE integration_schedule SET next_run_at = ?", (clock.to_text(base + timedelta(hours=9)),)
        )
    found = runner.unaccounted(base + timedelta(hours=5, minutes=1))
    assert [(one.count, one.since - base) for one in found] == [
        (4, timedelta(hours=2)), (1, timedelta(hours=6)),
    ]  # fmt: skip
    assert "though it is due" in found[1].what


def test_a_schedule_nobody_here_can_work_out_does_not_stop_the_others(source: str) -> None:
    for name in ("a", "b"):
        runner.add_schedule(name, integration=source, every=10, now=NOON)
    with db.change(reason="a newer machine"):
        db.connection().execute(
            "UPDATE integration_schedule SET timezone = 'Mars/Olympus', next_run_at ="
            " '2026-03-27T12:05:00.000Z'"
            " WHERE schedule_name = 'a'"
        )
    done = runner.tick(after(minutes=10))
    assert done.faults == ("a: There is no time zone Mars/Olympus.",)
    assert [slot["schedule"] for slot in runner.list_slots()] == ["b"]
    assert done.wake_at is not None
    assert done.wake_at > after(minutes=10), "nobody is woken for it over and over"
    assert [one.schedule for one in runner.unaccounted(after(minutes=10))] == ["a"]


# --- told to people


def test_the_calendar_tells_a_week(source: str) -> None:
    runner.add_schedule("nightly", integration=source, cron="30 1 * * *", timezone="Europe/London", now=NOON)
    runner.add_schedule("often", integration=source, every=120, now=NOON)
    runner.pause_schedule("often", now=NOON)
    week = runner.calendar(timezone="Europe/London", now=NOON)
    assert [(f"{entry.day:%d}", entry.schedule, entry.count, entry.is_paused) for entry in week][:4] == [
        ("27", "often", 5, True), ("28", "often", 12, True), ("28", "nightly", 1, False),
        ("29", "often", 12, True),
    ]  # fmt: skip
    night = next(entry for entry in week if (entry.day.day, entry.schedule) == (29, "nightly"))
    assert night.times == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC)], "right after the gap"
    assert runner.calendar(days=1, start=date(2026, 3, 1), now=NOON) == []


def test_the_commands_tell_what_ran_and_what_did_not(source: str, edge: Database) -> None:
    runner.add_schedule("s", integration=source, every=10, now=NOON)
    runner.tick(after(minutes=10))
    runner.tick(after(days=1))
    edge.close()

    def run(*args: str) -> tuple[int, str]:
        done = CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "schedules", *args])
        return done.exit_code, done.output

    code, shown = run("slots", "s")
    assert (code, "skipped: missed (142 times)" in shown, "completed" in shown) == (0, True, True)
    assert [row["slot_count"] for row in json.loads(run("slots", "--reason", "missed", "--json")[1])] == [142]
    given = ("--overlap", "queue_one", "--missed", "run_once", "--retry", "attempts=2", "--param", "key=name")
    changed = json.loads(run("set", "s", *given, "--json")[1])
    assert (changed["retry_policy"], changed["execution_parameters"]) == ({"attempts": 2}, {"key": "name"})
    assert "attempts of a retry policy is a number" in run("set", "s", "--retry", "attempts=many")[1]
    assert "because" in run("pause", "s", "--reason", "because")[1]
    assert json.loads(run("run", "s", "--json")[1])["slot_kind"] == "manual"
    assert json.loads(run("calendar", "--json")[1]) != []
    assert "paused" in run("calendar", "--days", "2", "--timezone", "Europe/London")[1]
    asked = ("backfill", "s", "--from", "2026-03-28", "--to", "2026-03-28 02:00", "--json")
    code, told_of = run(*asked)
    assert (code, len(json.loads(told_of)["due"])) == (0, 12)
    assert run("backfill", "s", "--from", "2999-01-01", "--to", "2999-01-02")[0] == 4


def test_a_run_waits_while_somebody_runs_the_integration(source: str) -> None:
    runner.add_schedule("s", integration=source, every=10, retry={"attempts": 0}, now=NOON)
    with FileLock(holding._lock_path(1)):
        runner.tick(after(minutes=10))
    (slot,) = runner.list_slots("s")
    job = jobs.show(slot["job_id"])
    assert (slot["execution_status"], job.job_status) == ("running", "pending")
    assert job.attempts < job.max_attempts, "it has another for what was none"
    runner.tick(after(minutes=10, seconds=14))
    assert [row[4] for row in told()] == ["running"]
    runner.tick(after(minutes=10, seconds=15))
    assert [row[4] for row in told()] == ["completed"]


def test_a_slot_that_is_tried_again_later_keeps_its_place(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> Any:
        raise UnavailableError("The provider is away.")

    monkeypatch.setattr("edgekit.runner.engine._read_all", refuse)
    retry = {"attempts": 1, "delay_seconds": 1800}
    runner.add_schedule("s", integration=source, every=10, overlap="queue_all", retry=retry, now=NOON)
    runner.tick(after(minutes=10))
    monkeypatch.undo()
    runner.tick(after(minutes=20))
    assert [row[4] for row in told()] == ["running", "scheduled"], "the later one does not overtake"
    runner.tick(after(minutes=40))
    assert [row[4] for row in told()] == ["completed", "completed", "missed", "completed"]
    runs = (
        "SELECT scheduled_at FROM integration_schedule_execution WHERE execution_id > 1 ORDER BY execution_id"
    )
    assert [row["scheduled_at"][11:16] for row in db.query(runs)][:2] == ["12:10", "12:20"]


class Isolated(Held):
    """A pool that runs each job in a process of its own, until it has ended or its time is up."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.workers = Workers(path)

    def submit(self, job: jobs.Job) -> None:
        if job.kind == "integration.run":
            jobs.settle([jobs.perform(job, workers=self.workers)], now=job.claimed_at)


@pytest.mark.slow
@pytest.mark.ledger("S4-24")
def test_a_run_that_hangs_is_stopped_at_its_time_and_tried_again(edge: Database) -> None:
    """Against a service that takes the call and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            "base_url": f"http://127.0.0.1:{silent.getsockname()[1]}", "path": "/x", "table": "item",
            "key": "code", "create": True, "timeout_seconds": 60,
        }  # fmt: skip
        integrations.create("items", template="rest-source", settings=settings)
        retry = {"attempts": 1, "delay_seconds": 60}
        runner.add_schedule("s", integration="items", every=10, timeout=2, retry=retry, now=NOON)
        pool = Isolated(edge.path)
        try:
            runner.tick(after(minutes=10), pool=pool)
            (slot,) = runner.list_slots("s")
            assert (slot["execution_status"], jobs.show(slot["job_id"]).job_status) == ("running", "pending")
            states = db.query("SELECT execution_status, error_code FROM integration_execution")
            assert states == [{"execution_status": "failed", "error_code": "timeout"}]
            runner.tick(after(minutes=12), pool=pool)
        finally:
            pool.workers.close()
    (slot,) = runner.list_slots("s")
    assert (slot["execution_status"], slot["reason"], slot["execution_id"]) == ("failed", "timeout", 2)
    assert "longer than 2 seconds" in slot["execution_notes"]
