"""Work that hangs is stopped: its process is killed with all it has started, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import job_handlers  # noqa: F401 - registers what hangs
import pytest

from edgekit import clock, db, integrations, jobs
from edgekit.errors import RateLimitedError, StoppedError, UnavailableError
from edgekit.jobs.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.db import Database
    from edgekit.jobs import Job, Outcome


@contextmanager
def listening() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def claimed(kind: str, **payload: object) -> Job:
    """Ask for a job and claim it."""
    asked = jobs.enqueue(kind, payload, max_attempts=2, priority=0)
    (job,) = jobs.claim("me", now=clock.now(), limit=1)
    assert job.id == asked.id
    return job


PATIENCE = (0.6, 6.0, 30.0)
"""Seconds a job is given until it is seen to have begun: the first will do on most machines."""


def alive(process_id: int) -> bool:
    """Tell whether a process is there and no zombie."""
    stat = Path(f"/proc/{process_id}/stat")
    if Path("/proc/self/stat").exists():
        return stat.exists() and stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(process_id, 0)
    except OSError:
        return False
    return True


def wait_until(holds: object, seconds: float = 20.0) -> None:
    """Wait until something holds, and fail if it never does."""
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def begun(path: Path) -> tuple[int, str]:
    """Wait until the handler is in the middle of it; return its process and what it said."""
    wait_until(lambda: path.exists() and " " in path.read_text(encoding="utf-8"))
    process_id, said = path.read_text(encoding="utf-8").split(" ", 1)
    return int(process_id), said


@contextmanager
def running(workers: Workers, job: Job, seconds: float = 60.0) -> Iterator[list[Outcome]]:
    """Have a job done by a worker in another thread; what is yielded has the outcome at the end."""
    found: list[Outcome] = []

    def work() -> None:
        found.append(workers.run(job, seconds=seconds))
        db.current().release()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield found
    finally:
        thread.join(30)


@pytest.fixture
def workers(edge: Database) -> Iterator[Workers]:
    with Workers(edge.path) as made:
        yield made


def test_a_worker_does_one_job_after_another(edge: Database, workers: Workers) -> None:
    processes = []
    for name in ("First", "Second"):
        outcome = jobs.perform(claimed("hang.well", name=name), workers=workers)
        assert outcome.error is None
        assert jobs.settle([outcome]) == []
        assert edge.query("SELECT name FROM organization WHERE id = 1") == [{"name": name}]
        processes.append(outcome.result)
        assert jobs.show(outcome.job.id).result == outcome.result
    assert processes[0] == processes[1] != {"process": os.getpid()}


def test_what_a_handler_leaves_behind_is_not_met_by_the_next(
    edge: Database, workers: Workers, tmp_path: Path
) -> None:
    begun_at = str(tmp_path / "begun")
    jobs.settle([jobs.perform(claimed("hang.fault", begun=begun_at), workers=workers)])
    where = jobs.perform(claimed("hang.where"), workers=workers).result
    assert where is not None
    assert (where["left"], where["folder"]) == (None, str(Path.cwd()))
    broken = jobs.perform(claimed("hang.fault", begun=begun_at, is_wrong=True), workers=workers)
    assert jobs.settle([broken]) == []
    ended = jobs.show(broken.job.id)  # a fault is none that trying again may help, as in a thread
    assert (ended.job_status, ended.attempts) == ("failed", 1)
    assert ended.error_message == "The handler of hang.fault has a fault: KeyError."
    after = jobs.perform(claimed("hang.where"), workers=workers).result
    assert after is not None
    assert after["process"] != where["process"]


def test_an_error_of_a_worker_counts_as_it_would_here(workers: Workers) -> None:
    outcome = jobs.perform(claimed("hang.refuse"), workers=workers)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.message) == ("invalid", "Never.")
    assert outcome.error.hint == "Ask for something else."
    jobs.settle([outcome])
    assert jobs.show(outcome.job.id).job_status == "failed"
    outcome = jobs.perform(claimed("hang.refuse", later=True), workers=workers)
    assert isinstance(outcome.error, UnavailableError)
    assert outcome.error.code == RateLimitedError("").code
    now = clock.now()
    jobs.settle([outcome], now=now)
    again = jobs.show(outcome.job.id)
    assert again.job_status == "pending"
    assert round((again.run_at - now).total_seconds()) == 77


def test_what_hangs_is_killed_with_all_it_has_started(
    edge: Database, workers: Workers, tmp_path: Path
) -> None:
    wanted = ["hang.loop", "hang.socket", "hang.script", "hang.child"]
    ended: dict[str, Outcome] = {}
    with listening() as port:
        for seconds in PATIENCE:
            asked = [claimed(kind, begun=str(tmp_path / kind), port=port) for kind in wanted]
            with ExitStack() as stack:
                found = [stack.enter_context(running(workers, job, seconds)) for job in asked]
            ended |= {outcome.job.kind: outcome for (outcome,) in found}
            wanted = [kind for kind in wanted if not (tmp_path / kind).exists()]
    for kind, outcome in ended.items():
        process_id, said = begun(tmp_path / kind)
        assert isinstance(outcome.error, StoppedError)
        assert (outcome.error.code, outcome.process_id) == ("timeout", process_id)
        assert not alive(process_id)
        assert bool(said) == (kind == "hang.child")
        if said:
            wait_until(lambda child=int(said): not alive(child))
    jobs.settle(list(ended.values()))
    for outcome in ended.values():
        job = jobs.show(outcome.job.id)
        assert (job.job_status, job.error_code, job.attempts) == ("pending", "timeout", 1)
    assert edge.query("SELECT count(*) AS n FROM organization WHERE name = 'half'") == [{"n": 0}]


def test_a_run_whose_time_is_up_is_settled_with_its_job(edge: Database, workers: Workers) -> None:
    with listening() as port:
        settings = {"base_url": f"http://127.0.0.1:{port}", "table": "thing", "key": "id", "create": True}
        integrations.create("stuck", template="rest-source", settings=settings)
        at_work = "SELECT count(*) AS n FROM integration_execution WHERE execution_status = 'running'"
        for seconds in PATIENCE:
            job = claimed("hang.run", name="stuck")
            outcome = workers.run(job, seconds=seconds + 0.6)
            if edge.query(at_work) == [{"n": 1}]:
                break
    assert edge.query(at_work) == [{"n": 1}]
    jobs.settle([outcome])
    (row,) = edge.query(
        "SELECT execution_status AS status, error_code AS code, correlation_id FROM integration_execution"
    )
    assert row == {"status": "failed", "code": "timeout", "correlation_id": job.correlation_id}
    assert jobs.show(job.id).error_code == "timeout"


def test_a_cancelled_job_is_stopped_while_it_runs(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.jobs.workers._GRACE_SECONDS", 0.1)
    job = claimed("hang.script", begun=str(tmp_path / "begun"))
    with running(workers, job) as found:
        process_id, _ = begun(tmp_path / "begun")
        jobs.cancel(job.id)
    assert not alive(process_id)
    jobs.settle(found)
    ended = jobs.show(job.id)
    assert (ended.job_status, ended.error_code) == ("cancelled", "cancelled")


def test_what_is_stopped_with_the_runner_is_given_back(workers: Workers, tmp_path: Path) -> None:
    job = claimed("hang.script", begun=str(tmp_path / "begun"))
    with running(workers, job) as found:
        process_id, _ = begun(tmp_path / "begun")
        workers.close()
    assert not alive(process_id)
    jobs.settle(found)
    back = jobs.show(job.id)
    assert (back.job_status, back.attempts, back.runner_id) == ("pending", 0, None)
    assert workers.run(back, seconds=1.0).is_given_back


def test_a_worker_that_dies_costs_its_job_an_attempt_and_no_more(workers: Workers) -> None:
    outcome = jobs.perform(claimed("hang.die"), workers=workers)
    assert isinstance(outcome.error, StoppedError)
    assert outcome.error.code == "gone"
    assert "exit code 7" in outcome.error.message
    jobs.settle([outcome])
    assert jobs.show(outcome.job.id).job_status == "pending"
    assert jobs.perform(claimed("hang.well", name="Next"), workers=workers).error is None


RUNNER = """
import sys, job_handlers, edgekit
from edgekit import clock, jobs
from edgekit.jobs.workers import Workers
with edgekit.open(sys.argv[1]) as db, Workers(db.path) as workers:
    (job,) = jobs.claim("doomed", now=clock.now())
    jobs.perform(job, workers=workers)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is not killed by a signal")
@pytest.mark.parametrize("kind", ["hang.loop", "hang.child"])
def test_nothing_is_left_when_the_runner_is_killed(edge: Database, tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "begun"
    jobs.enqueue(kind, {"begun": str(mark)})
    tests = str(Path(__file__).parent)
    paths = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(edge.path)], env={**os.environ, "PYTHONPATH": paths}
    )
    process_id, said = begun(mark)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    wait_until(lambda: not alive(process_id))
    if said:
        wait_until(lambda: not alive(int(said)))
    (job,) = jobs.recover(["doomed"], now=clock.now())
    assert job.job_status == "pending"
    assert edge.query("SELECT count(*) AS n FROM organization WHERE name = 'half'") == [{"n": 0}]
