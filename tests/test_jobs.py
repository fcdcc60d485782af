"""Jobs: asked for with what asks for them, claimed once, ended with what they did, taken from the dead."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import edgekit
from edgekit import clock, jobs
from edgekit.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    RateLimitedError,
    StoppedError,
    UnavailableError,
)
from edgekit.jobs import kinds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.db import Database
    from edgekit.jobs.job import Job

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_kinds() -> Iterator[None]:
    """Let what a test registers be gone after it."""
    yield
    for name in [name for name in kinds._kinds if name.startswith(("t.", "lazy."))]:
        del kinds._kinds[name]


def after(**given: float) -> datetime:
    return NOW + timedelta(**given)


def claim_one(runner: str = "me", now: datetime = NOW) -> Job:
    (job,) = jobs.claim(runner, now=now, limit=1)
    return job


def test_a_job_lives_from_asking_to_its_end(edge: Database) -> None:
    job = jobs.enqueue("t.work", {"n": 1, "name": "Zoë"}, now=NOW)
    assert (job.job_status, job.attempts, job.priority, job.payload) == (
        "pending",
        0,
        5,
        {"n": 1, "name": "Zoë"},
    )
    mine = claim_one()
    assert (mine.id, mine.uuid, mine.job_status, mine.attempts) == (job.id, job.uuid, "running", 1)
    assert (mine.runner_id, mine.claimed_at) == ("me", NOW)
    assert mine == jobs.show(job.id)
    assert mine.lease_ends_at == after(seconds=kinds.DEFAULT_TIMEOUT + 60)
    jobs.finish(mine, {"made": 3}, now=after(seconds=5))
    done = jobs.show(job.id)
    assert (done.job_status, done.result, done.ended_at) == ("completed", {"made": 3}, after(seconds=5))
    assert jobs.claim("me", now=after(days=9)) == []


def test_what_asks_and_what_is_asked_for_are_one_change(edge: Database) -> None:
    with pytest.raises(InvalidError), edge.change(reason="ask"):
        jobs.enqueue("t.work", now=NOW)
        raise InvalidError("No.")
    assert jobs.list_jobs() == []
    with edge.change(reason="ask", correlation_id="thread-1"):
        jobs.enqueue("t.work", now=NOW)
    assert jobs.list_jobs(correlation_id="thread-1")[0].kind == "t.work"


def test_the_most_urgent_goes_first_and_nothing_before_its_time(edge: Database) -> None:
    with edge.change(reason="ask"):
        for name, priority, minutes in (("a", 5, -1), ("b", 5, -2), ("c", 0, -1), ("d", 9, -60), ("e", 0, 1)):
            jobs.enqueue(f"t.{name}", priority=priority, run_at=after(minutes=minutes))
        jobs.enqueue("t.f", run_at=after(minutes=-1))
    assert jobs.next_due_at() == after(minutes=-60)
    assert [job.kind for job in jobs.claim("me", now=NOW, limit=3)] == ["t.c", "t.b", "t.a"]
    assert [job.kind for job in jobs.claim("me", now=NOW)] == ["t.f", "t.d"]
    assert jobs.next_due_at() == after(minutes=1)
    assert [job.kind for job in jobs.claim("me", now=after(minutes=1))] == ["t.e"]
    assert jobs.next_due_at() is None


def test_of_a_kind_no_more_run_than_may(edge: Database) -> None:
    jobs.handles("t.few", concurrency=2, timeout_seconds=10)(lambda job: None)
    with edge.change(reason="ask"):
        for number in range(6):
            jobs.enqueue("t.few", {"n": number}, priority=0, now=NOW)
        for _ in range(3):
            jobs.enqueue("t.many", priority=1, now=NOW)
    first = jobs.claim("me", now=NOW, limit=3)
    assert [job.kind for job in first] == ["t.few", "t.few", "t.many"]
    assert first[0].lease_ends_at == after(seconds=70)
    assert [job.kind for job in jobs.claim("you", now=NOW)] == ["t.many", "t.many"]
    jobs.finish(first[0], now=NOW)
    assert [job.payload for job in jobs.claim("you", now=NOW)] == [{"n": 2}]
    assert jobs.claim("you", now=NOW, busy={"t.few": 2}) == []
    assert len(jobs.claim("you", now=NOW, busy={"t.few": 1})) == 1


def test_an_open_key_is_there_once(edge: Database) -> None:
    first = jobs.enqueue("t.work", {"n": 1}, dedupe_key="k", now=NOW)
    assert jobs.enqueue("t.work", {"n": 2}, dedupe_key="k", now=NOW) == first
    assert jobs.enqueue("t.other", dedupe_key="k", now=NOW).id != first.id
    mine = next(job for job in jobs.claim("me", now=NOW) if job.kind == "t.work")
    assert jobs.enqueue("t.work", dedupe_key="k", now=NOW).id == first.id
    jobs.finish(mine, now=NOW)
    assert jobs.enqueue("t.work", dedupe_key="k", now=NOW).id > first.id


def test_effect_and_end_are_one_change_and_a_stranger_is_fenced_out(edge: Database) -> None:
    jobs.enqueue("t.work", max_attempts=3, now=NOW)
    old = claim_one("old")
    assert [job.job_status for job in jobs.recover(["old"], now=after(minutes=1))] == ["pending"]
    new = claim_one("old", after(minutes=1))  # the same runner: the attempt tells them apart
    assert (new.attempts, new.uuid) == (2, old.uuid)
    with pytest.raises(ConflictError, match="taken over"), edge.change(reason="effect"):
        edge.connection().execute("UPDATE organization SET name = 'twice' WHERE id = 1")
        jobs.finish(old, now=NOW)
    assert edge.query("SELECT count(*) AS n FROM organization WHERE name = 'twice'") == [{"n": 0}]
    assert jobs.decide(old, UnavailableError("down"), now=NOW) is None
    assert not jobs.release(old, now=NOW)
    with edge.change(reason="effect"):
        edge.connection().execute("UPDATE organization SET name = 'once' WHERE id = 1")
        jobs.finish(new, now=NOW)
    assert edge.query("SELECT name FROM organization WHERE id = 1") == [{"name": "once"}]
    assert jobs.show(new.id).job_status == "completed"


def test_what_may_help_is_tried_again_later_and_later(edge: Database) -> None:
    jobs.handles("t.work", delay_seconds=10, longest_delay_seconds=25)(lambda job: None)
    jobs.enqueue("t.work", max_attempts=5, now=NOW)
    at, waits = NOW, []
    for _ in range(4):
        mine = claim_one(now=at)
        assert jobs.decide(mine, UnavailableError("down"), now=at) == "pending"
        waits.append((jobs.show(mine.id).run_at - at).total_seconds())
        at = jobs.show(mine.id).run_at
    for wait, whole in zip(waits, (10, 20, 25, 25), strict=True):
        assert 0.75 * whole <= wait <= whole
    last = claim_one(now=at)
    assert jobs.decide(last, UnavailableError("still down"), now=at) == "failed"
    ended = jobs.show(last.id)
    assert (ended.error_code, ended.error_message, ended.attempts) == ("unavailable", "still down", 5)


def test_a_wait_that_is_asked_for_is_kept_and_what_cannot_help_fails(edge: Database) -> None:
    jobs.enqueue("t.work", max_attempts=3, now=NOW)
    mine = claim_one()
    assert jobs.decide(mine, RateLimitedError("slow down", retry_after=90), now=NOW) == "pending"
    assert jobs.show(mine.id).run_at == after(seconds=90)
    mine = claim_one(now=after(seconds=90))
    assert jobs.decide(mine, InvalidError("nonsense"), now=NOW) == "failed"
    with pytest.raises(ConflictError):
        jobs.finish(mine, now=NOW)


def test_a_job_given_back_has_lost_no_attempt(edge: Database) -> None:
    jobs.enqueue("t.work", now=NOW)
    assert jobs.release(claim_one(), now=NOW)
    back = jobs.list_jobs(status="open")[0]
    assert (back.job_status, back.attempts, back.runner_id, back.claimed_at) == ("pending", 0, None, None)


def test_cancel_stops_what_waits_and_asks_whoever_runs_it(edge: Database) -> None:
    waiting = jobs.enqueue("t.work", run_at=after(days=1))
    assert jobs.cancel(waiting.id, now=NOW).job_status == "cancelled"
    jobs.enqueue("t.work", max_attempts=5, now=NOW)
    mine = claim_one()
    assert jobs.cancel(mine.id, now=NOW).cancel_requested_at == NOW
    stopped = StoppedError("It was cancelled.", reason="cancelled")
    assert jobs.decide(mine, stopped, now=NOW) == "cancelled"
    assert jobs.show(mine.id).error_code == "cancelled"
    with pytest.raises(ConflictError, match="is cancelled"):
        jobs.cancel(mine.id)
    with pytest.raises(NotFoundError, match="no job 99"):
        jobs.cancel(99)


def test_a_failed_job_is_done_again_as_a_new_one(edge: Database) -> None:
    jobs.enqueue("t.work", {"n": 1}, priority=2, max_attempts=2, timeout_seconds=9, dedupe_key="k", now=NOW)
    mine = claim_one()
    with pytest.raises(ConflictError, match="is running"):
        jobs.replay(mine.id)
    jobs.decide(mine, InvalidError("no"), now=NOW)
    again = jobs.replay(mine.id, now=NOW)
    assert again.id != mine.id
    assert again.uuid != mine.uuid
    for field in (
        "kind",
        "payload",
        "priority",
        "max_attempts",
        "timeout_seconds",
        "dedupe_key",
        "correlation_id",
    ):
        assert getattr(again, field) == getattr(mine, field)


def test_what_the_dead_were_doing_is_taken_up_again_but_not_for_ever(edge: Database) -> None:
    jobs.enqueue("t.work", timeout_seconds=30, now=NOW)
    for attempt in range(1, 12):
        mine = claim_one(f"r{attempt}")
        assert mine.attempts == attempt
        assert jobs.recover(["another"], now=NOW) == []
        (job,) = jobs.recover([f"r{attempt}"], now=NOW)
    assert (job.job_status, job.error_code) == ("failed", "interrupted")


def test_who_is_long_over_its_time_has_lost_its_job(edge: Database) -> None:
    jobs.enqueue("t.work", timeout_seconds=30, now=NOW)
    claim_one()
    assert jobs.recover(now=after(seconds=90)) == []
    (job,) = jobs.recover(now=after(seconds=91))
    assert (job.job_status, job.runner_id, job.attempts) == ("pending", None, 1)


def test_a_cancelled_job_of_the_dead_is_cancelled(edge: Database) -> None:
    jobs.enqueue("t.work", now=NOW)
    jobs.cancel(claim_one().id, now=NOW)
    (job,) = jobs.recover(["me"], now=NOW)
    assert job.job_status == "cancelled"


@pytest.mark.usefixtures("standing")
def test_a_standing_kind_always_has_one_open_job(edge: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_STANDING", ())
    own = {name: kind for name, kind in kinds._kinds.items() if kind.standing is None}
    monkeypatch.setattr(kinds, "_kinds", own)
    jobs.handles("t.daily", standing=lambda now: now + timedelta(days=1), attempts=2)(lambda job: None)
    (first,) = jobs.ensure_standing(NOW)
    assert jobs.ensure_standing(NOW) == []
    assert (first.run_at, first.dedupe_key, first.max_attempts) == (after(days=1), "standing", 2)
    mine = claim_one(now=after(days=3))
    assert jobs.settle([jobs.Outcome(mine)], now=after(days=3)) == []
    (second,) = jobs.list_jobs(status="open")
    assert second.run_at == after(days=4)
    mine = claim_one(now=after(days=4))
    jobs.decide(mine, InvalidError("no"), now=after(days=4))
    (third,) = jobs.list_jobs(status="open")
    assert third.run_at == after(days=5)
    jobs.cancel(third.id, now=after(days=5))
    assert jobs.list_jobs(status="open")[0].run_at == after(days=6)


def test_a_handler_is_found_when_the_first_job_of_it_is_met(
    edge: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from edgekit import jobs\n@jobs.handles('lazy.work')\ndef work(j):\n    return {'got': j.payload}\n"
    )
    (tmp_path / "lazy_jobs.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(kinds, "_HOMES", {"lazy": "lazy_jobs"})
    jobs.enqueue("lazy.work", {"n": 1}, now=NOW)
    outcome = jobs.perform(claim_one())
    assert outcome.result == {"got": {"n": 1}}
    jobs.enqueue("unknown.work", now=NOW)
    outcome = jobs.perform(claim_one())
    assert isinstance(outcome.error, NotFoundError)
    assert jobs.settle([outcome], now=NOW) == []
    assert jobs.list_jobs(status="failed")[0].error_code == "not_found"
    with pytest.raises(InvalidError, match="has a handler already"):
        jobs.handles("lazy.work")(lambda job: None)


def test_many_ends_are_one_change_and_each_is_right(edge: Database) -> None:
    with edge.change(reason="ask"):
        for number in range(6):
            jobs.enqueue("t.work", {"n": number}, now=NOW)
    mine = jobs.claim("me", now=NOW)
    jobs.finish(mine[0], {"by": "its handler"}, now=NOW)
    jobs.recover(["me"], now=NOW)
    (retaken,) = jobs.claim("you", now=NOW, limit=1)
    assert retaken.id == mine[1].id
    rest = [*jobs.claim("me", now=NOW)]
    outcomes = [jobs.Outcome(job) for job in (mine[0], mine[1], *rest[:2])]
    outcomes += [jobs.Outcome(rest[2], {"n": 1}), jobs.Outcome(rest[3], error=InvalidError("no"))]
    lost = jobs.settle([*outcomes, jobs.Outcome(rest[3], {"a": {1, 2}})], now=NOW)
    assert [job.id for job in lost] == [mine[1].id, rest[3].id]
    states = [job.job_status for job in reversed(jobs.list_jobs())]
    assert states == ["completed", "running", "completed", "completed", "completed", "failed"]
    assert jobs.show(mine[0].id).result == {"by": "its handler"}


def test_a_result_json_cannot_say_fails_the_job(edge: Database) -> None:
    jobs.enqueue("t.work", now=NOW)
    assert jobs.settle([jobs.Outcome(claim_one(), {"a": {1, 2}})], now=NOW) == []
    assert jobs.list_jobs()[0].error_code == "invalid"
    with pytest.raises(InvalidError, match="cannot be written as JSON"):
        jobs.enqueue("t.work", {"a": float("nan")})


CLAIMER = """
import sys, edgekit
from edgekit import clock, jobs
with edgekit.open(sys.argv[1]) as db:
    sys.stdin.readline()
    while found := jobs.claim(sys.argv[2], now=clock.now(), limit=7):
        for job in found:
            with db.change(reason="effect"):
                db.connection().execute(
                    "INSERT INTO validation_message(table_name, record_key, code, message, created_at)"
                    " VALUES ('job', ?, 'done', ?, ?)", (str(job.id), sys.argv[2], clock.now_text()))
                jobs.finish(job)
"""


def test_eight_at_once_do_every_job_exactly_once(edge: Database) -> None:
    """Four processes and four threads, all of them claiming from the same file."""
    with edge.change(reason="ask"):
        for number in range(240):
            jobs.enqueue("t.work", {"n": number}, priority=number % 3)
    processes = [
        subprocess.Popen([sys.executable, "-c", CLAIMER, str(edge.path), f"p{n}"], stdin=subprocess.PIPE)
        for n in range(4)
    ]
    done: list[int] = []

    def work(name: str) -> None:
        while found := jobs.claim(name, now=clock.now(), limit=7):
            assert jobs.settle([jobs.Outcome(job) for job in found]) == []
            done.extend(job.id for job in found)
        edge.leave()

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    effects = [int(row["record_key"]) for row in edge.query("SELECT record_key FROM validation_message")]
    assert sorted(effects + done) == [job.id for job in reversed(jobs.list_jobs(limit=1000))]
    assert {job.attempts for job in jobs.list_jobs(limit=1000)} == {1}


def test_a_look_in_vain_leaves_nothing_in_the_log(edge: Database) -> None:
    jobs.handles("t.few", concurrency=1)(lambda job: None)
    jobs.enqueue("t.few", now=NOW)
    jobs.enqueue("t.few", now=NOW)
    jobs.enqueue("t.later", run_at=after(days=1))
    claim_one()
    made = edge.query("SELECT max(id) AS id FROM audit_transaction")
    assert jobs.claim("me", now=NOW) == []
    assert jobs.settle([]) == []
    assert jobs.recover(["another"], now=NOW) == []
    assert edge.query("SELECT max(id) AS id FROM audit_transaction") == made


def test_claiming_looks_at_nothing_that_is_not_due(edge: Database) -> None:
    plan = edge.query(
        "EXPLAIN QUERY PLAN SELECT id, kind, timeout_seconds FROM job WHERE job_status = 'pending'"
        " AND priority = 5 AND run_at <= '2026' ORDER BY run_at, id LIMIT 9"
    )
    assert [step["detail"] for step in plan] == ["SEARCH job USING INDEX job_due (priority=? AND run_at<?)"]


@pytest.fixture
def crashed(edge_file: Path) -> Iterator[Any]:
    """What is left after a process was killed between an effect and the end of its job."""
    text = """
import os, sys, edgekit
from edgekit import clock, jobs
with edgekit.open(sys.argv[1]) as db:
    jobs.enqueue("t.work", max_attempts=2)
    (job,) = jobs.claim("dead", now=clock.now())
    with db.change(reason="effect"):
        db.connection().execute("UPDATE organization SET name = 'half' WHERE id = 1")
        jobs.finish(job)
        os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", text, str(edge_file)], check=False)
    assert done.returncode != 0
    with edgekit.open(edge_file) as db:
        yield db


def test_a_kill_before_the_commit_leaves_neither_effect_nor_end(crashed: Database) -> None:
    assert crashed.query("SELECT count(*) AS n FROM organization WHERE name = 'half'") == [{"n": 0}]
    (job,) = jobs.recover(["dead"], now=clock.now())
    assert (job.job_status, job.attempts) == ("pending", 1)
    jobs.finish(claim_one(now=clock.now()))
    assert jobs.list_jobs()[0].attempts == 2
