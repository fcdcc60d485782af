"""The threads of the runner: jobs claimed ahead where that helps, given back where not, clean after each."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import clock, db, jobs
from edgekit.errors import InvalidError
from edgekit.jobs import kinds
from edgekit.runner.process import pool as pools
from edgekit.runner.process.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgekit.db import Database


@pytest.fixture(autouse=True)
def _own_kinds() -> Iterator[None]:
    yield
    for name in [name for name in kinds._kinds if name.startswith("t.")]:
        del kinds._kinds[name]


class Threads:
    """What runs the work of a pool: threads that end by themselves, each with its connection closed."""

    def __init__(self) -> None:
        self.started: list[threading.Thread] = []

    def run(self, work: Callable[..., None], *args: Any) -> None:
        def live() -> None:
            with suppress(SystemExit, sqlite3.ProgrammingError):  # faults of handlers
                work(*args)
            db.current().leave()

        thread = threading.Thread(target=live)
        self.started.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self.started:
            thread.join(20)


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads()
    yield made
    made.join()


def claim_for(pool: Pool) -> list[jobs.Job]:
    found = jobs.claim(pool.runner_id, now=clock.now(), limit=pool.free, busy=pool.busy)
    for job in found:
        pool.submit(job)
    return found


def ask(kind: str, count: int) -> None:
    with db.change(reason="ask"):
        for number in range(count):
            jobs.enqueue(kind, {"n": number})


def states() -> list[str]:
    return [job.job_status for job in reversed(jobs.list_jobs(limit=1000))]


def test_what_is_quick_is_claimed_ahead_and_ends_together(edge: Database, threads: Threads) -> None:
    jobs.handles("t.quick")(lambda job: {"n": job.payload["n"]})
    ended = threading.Event()
    pool = Pool("me", 2, run=threads.run, ended=ended.set)
    ask("t.quick", 120)
    claimed = []
    while sum(claimed) < 120:
        ended.clear()
        pool.settle()
        claimed.append(len(claim_for(pool)))
        assert ended.wait(20) or pool.is_idle
    while not pool.is_idle:
        pool.settle()
    assert claimed[0] == 2, "nothing is claimed ahead before it is known to be quick"
    assert max(claimed) > 8
    assert [job.result for job in reversed(jobs.list_jobs(limit=200))] == [{"n": n} for n in range(120)]
    before = edge.query("SELECT count(*) AS n FROM audit_transaction")[0]["n"]
    assert before < 120, "a change for each would be 240"
    for _ in range(9):  # a quiet time: nothing stays claimed ahead by habit
        ask("t.quick", 1)
        claim_for(pool)
        while not pool.is_idle:
            pool.settle()
    assert pool.free == 2


def test_what_waits_here_for_long_or_at_the_end_is_given_back(
    edge: Database, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    jobs.handles("t.slow", concurrency=5)(lambda job: go_on.wait(20) and None)
    pool = Pool("me", 1, run=threads.run, ended=lambda: None)
    pool._ahead = 9
    ask("t.slow", 6)
    assert len(claim_for(pool)) == 5, "of a kind no more than may run at once are claimed, waiting or not"
    while len(pool.running()) != 1:
        pass
    assert pool.busy == {"t.slow": 5}
    assert (pool.settle(), pool.is_stalled) == ([], False)
    monkeypatch.setattr(pools, "_LONGEST_WAIT", 0.0)
    assert pool.is_stalled
    assert pool.settle() == [], "what never began has no line of its own"
    assert states() == ["running"] + ["pending"] * 5
    assert {job.attempts for job in jobs.list_jobs(status="pending")} == {0}
    assert pool.free == 0
    pool._ahead = 9
    assert len(claim_for(pool)) == 4
    jobs.cancel(2)
    pool.close()
    pool.settle()
    assert (pool.free, states()) == (0, ["running", "cancelled"] + ["pending"] * 4)
    go_on.set()
    threads.join()
    assert [outcome.job.id for outcome, _ in pool.settle()] == [1]
    assert (pool.is_idle, states()[0]) == (True, "completed")


def misbehave(job: jobs.Job) -> Any:
    """Leave the thread as no handler should."""
    how = job.payload["n"]
    if how == 0:
        db.connection().execute("BEGIN IMMEDIATE")
    if how == 1:
        os.chdir(Path(os.sep))
    if how == 2:
        return 5
    if how == 3:
        raise InvalidError("half \ud800 a character " + "x" * 9000)
    if how == 4:
        raise SystemExit(3)
    if how == 5:
        return {"half": "\ud800"}
    if how == 6:
        db.connection().close()
    return None


def refuse(job: jobs.Job, code: str, message: str, at: object) -> None:
    if job.payload["n"] == 3:
        raise InvalidError("What waits for it cannot be told.")


def test_no_job_spoils_the_next_nor_keeps_its_end_from_the_file(edge: Database, threads: Threads) -> None:
    jobs.handles("t.bad", given_up=refuse)(misbehave)
    pool = Pool("me", 1, run=threads.run, ended=lambda: None)
    pool._ahead = 9
    folder = Path.cwd()
    ask("t.bad", 9)
    claim_for(pool)
    threads.join()
    while threads.started[-1].is_alive():
        threads.join()
    told = {outcome.job.payload["n"]: outcome.error for outcome, _ in pool.settle()}
    assert sorted(told) == list(range(9))
    assert "cannot be told" in str(told[3]), "its end is refused, and no other one's"
    found = [
        "failed",
        "completed",
        "failed",
        "running",
        "failed",
        "failed",
        "failed",
        "completed",
        "completed",
    ]
    assert states() == found
    assert Path.cwd() == folder
    assert "left a change open" in (jobs.show(1).error_message or "")
    assert "SystemExit" in (jobs.show(5).error_message or "")
    kept = jobs.Outcome(jobs.show(4), error=InvalidError("half \ud800 a character " + "x" * 9000))
    jobs.handles("t.plain")(misbehave)
    kinds._kinds["t.bad"] = kinds._kinds["t.plain"]
    assert jobs.settle([kept]) == []
    assert len(jobs.show(4).error_message or "") == 4000
