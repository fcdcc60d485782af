"""One life of the runner: taking over, doing what is due, noticing what others write, ending well."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from filelock import FileLock

from edgekit import clock, db, integrations, jobs, runner
from edgekit.cli.root import edgekit as command
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError, UnavailableError
from edgekit.runner.process import lock
from edgekit.runner.process.signals import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgekit.db import Database
    from edgekit.jobs import Job
    from edgekit.runner import Lived

go_on, begun = threading.Event(), threading.Event()


@jobs.handles("drill.note")
def note(job: Job) -> dict[str, Any]:
    return {"records": len(job.payload)}


@jobs.handles("drill.wait")
def wait(job: Job) -> None:
    begun.set()
    go_on.wait(20)


@jobs.handles("drill.refuse")
def refuse(job: Job) -> None:
    raise InvalidError("This cannot be done.")


@jobs.handles("drill.fault")
def fault(job: Job) -> None:
    raise ZeroDivisionError


others: set[threading.Thread] = set()
"""Threads that were there before the test: another one's may be long in going."""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    others.clear()
    others.update(threading.enumerate())
    go_on.clear()
    begun.clear()
    yield
    go_on.set()


def until(ready: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def states(kind: str = "drill.%") -> list[tuple[str, str]]:
    rows = db.query("SELECT kind, job_status FROM job WHERE kind LIKE ? ORDER BY id", (kind,))
    return [(row["kind"], row["job_status"]) for row in rows]


def sessions() -> list[tuple[str, str | None]]:
    return [
        (row["runner_id"], row["end_reason"])
        for row in db.query("SELECT runner_id, end_reason FROM runner_session ORDER BY id")
    ]


@contextmanager
def living(**options: Any) -> Iterator[tuple[Stop, list[Any], list[Lived]]]:
    """A runner in a thread, its lines and what it came to; it is asked to end at the end of the block."""
    stop, lines, lived = Stop(), [], []

    def live() -> None:
        try:
            lived.append(runner.start(stop=stop, report=lines.append, **options))
        finally:
            db.current().release()

    thread = threading.Thread(target=live)
    thread.start()
    until(lambda: lines)
    try:
        yield stop, lines, lived
    finally:
        stop.ask()
        thread.join(30)
        assert not thread.is_alive()


def test_once_does_what_is_due_and_ends(edge: Database) -> None:
    for kind in ("drill.note", "drill.refuse", "drill.note"):
        jobs.enqueue(kind, {"integration": "people"})
    later = jobs.enqueue("drill.note", run_at=clock.now() + timedelta(hours=1))
    lines: list[Any] = []
    lived = runner.start(once=True, report=lines.append)
    assert (lived.reason, lived.completed, lived.failed, lived.is_stuck) == ("once", 2, 1, False)
    assert [state for _, state in states()] == ["completed", "failed", "completed", "pending"]
    assert jobs.show(later.id).job_status == "pending"
    assert [reason for _, reason in sessions()] == ["stopped"]
    told = [line.text for line in lines]
    assert any("drill.note people (job 1) in" in text and "1 records" in text for text in told)
    assert any("This cannot be done." in text for text in told)
    assert not lock.is_held(edge.path)
    assert set(threading.enumerate()) <= others, "no thread is left, and none with an open connection"


def test_what_another_program_asks_for_is_noticed(edge: Database) -> None:
    with living() as (_, lines, lived):
        with closing(sqlite3.connect(edge.path)) as shell, shell:
            shell.execute(
                "INSERT INTO job(uuid, kind, correlation_id) VALUES (?, 'drill.note', 'c-1')",
                (str(uuid.uuid4()),),
            )
        until(lambda: states() == [("drill.note", "completed")])
        assert runner.status().is_running
        with pytest.raises(ConflictError, match=f"has a runner already: process {os.getpid()}, since 2"):
            runner.start(once=True)
        refused = CliRunner().invoke(command, ["--db", str(edge.path), "runner", "status"])
        assert refused.exit_code == 6, "one file at a time in this process"
    assert lived[0].reason == "asked"
    assert lines[-1].kind == "stopped"


def test_work_that_ends_in_time_is_waited_for(edge: Database) -> None:
    with living() as (stop, lines, lived):
        jobs.enqueue("drill.wait")
        assert begun.wait(20)
        stop.ask()
        until(lambda: lines[-1].kind == "stopping")
        jobs.enqueue("drill.note")
        go_on.set()
    assert states() == [("drill.wait", "completed"), ("drill.note", "pending")], "nothing new is taken up"
    assert (lived[0].completed, lived[0].given_back, lived[0].is_stuck) == (1, 0, False)


def test_work_that_does_not_end_is_given_back(edge: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runner.process.starting._LAST_SECONDS", 0.0)
    with living(grace_seconds=0) as (_, _, lived):
        jobs.enqueue("drill.wait")
        assert begun.wait(20)
    assert states() == [("drill.wait", "pending")]
    assert (lived[0].given_back, lived[0].is_stuck) == (1, True)
    go_on.set()
    until(lambda: set(threading.enumerate()) <= others)
    assert states() == [("drill.wait", "pending")], "what ends too late writes nothing"
    begun.clear()
    assert runner.start(once=True).completed == 1


@pytest.mark.ledger("C-58")
def test_a_run_ends_after_its_batch_and_the_next_runner_goes_on_with_it(
    edge: Database, tmp_path: Path
) -> None:
    source = tmp_path / "people.csv"
    source.write_text("number,name\n" + "".join(f"{n},Person {n}\n" for n in range(4000)), encoding="utf-8")
    settings = {"path": str(source), "table": "person", "key": "number", "create": True, "batch_size": 3}
    integrations.create("people", template="csv-import", settings=settings)
    runner.add_schedule("p", integration="people", every=1, now=clock.now() - timedelta(minutes=1, seconds=9))
    read = "SELECT execution_status AS status, records_read AS read FROM integration_execution ORDER BY id"
    with living() as (_, lines, lived):
        until(lambda: any(row["read"] for row in db.query(read)))
    (cut,) = db.query(read)
    assert (cut["status"], 0 < cut["read"] < 4000) == ("interrupted", True)
    assert db.query("SELECT job_status, attempts FROM job WHERE kind = 'integration.run'") == [
        {"job_status": "pending", "attempts": 0}
    ]
    assert (lived[0].completed, lived[0].failed, lived[0].given_back) == (0, 0, 1)
    assert not lived[0].is_stuck
    assert [line.text for line in lines if "given back" in line.text]
    assert runner.start(once=True).completed == 1
    assert [row["status"] for row in db.query(read)] == ["interrupted", "completed"]
    (slot,) = db.query(
        "SELECT x.execution_status, e.execution_status AS run, e.trigger_kind, x.correlation_id ="
        " e.correlation_id AS same FROM integration_schedule_execution x JOIN integration_execution e ON"
        " e.id = x.execution_id"
    )
    assert tuple(slot.values()) == ("completed", "completed", "schedule", 1)
    shown = runner.status()
    assert (shown.is_running, shown.last_end_reason) == (False, "stopped")
    assert [one["schedule"] for one in shown.last_slots] == ["p"]
    assert "p" in [one["name"] for one in shown.next]
    assert sum(row["read"] for row in db.query(read)) == 4000
    assert db.query("SELECT count(*) AS n, count(DISTINCT number) AS d FROM person") == [
        {"n": 4000, "d": 4000}
    ]


def test_a_fault_of_a_handler_is_told_and_the_runner_goes_on(edge: Database) -> None:
    jobs.enqueue("drill.fault")
    jobs.enqueue("drill.note")
    lines: list[Any] = []
    lived = runner.start(once=True, report=lines.append)
    assert (lived.completed, lived.failed) == (1, 1)
    (told,) = [line.text for line in lines if line.kind == "fault"]
    assert "ZeroDivisionError" in told
    assert "Traceback" in told


def test_what_a_dead_runner_left_is_taken_up(edge: Database) -> None:
    with db.change():
        db.connection().execute(
            "INSERT INTO runner_session(runner_id, process_id, app_version, started_at)"
            " VALUES ('dead', 1, '0', ?)",
            (clock.now_text(),),
        )
    jobs.enqueue("drill.note")
    assert [job.job_status for job in jobs.claim("dead", now=clock.now())] == ["running"]
    lines: list[Any] = []
    assert runner.start(once=True, report=lines.append).completed == 1
    assert [reason for _, reason in sessions()] == ["died", "stopped"]
    assert jobs.show(1).attempts == 2
    assert [line.text.split(" ")[0] for line in lines if line.kind == "recovered"] == ["The", "1"]


def test_what_somebody_is_doing_without_a_runner_is_left_to_them_until_its_time_is_over(
    edge: Database,
) -> None:
    jobs.enqueue("drill.note")
    (job,) = jobs.claim("somebody", now=clock.now())
    assert runner.start(once=True, report=lambda _: None).completed == 0
    assert jobs.show(job.id).runner_id == "somebody"
    runner.tick(job.lease_ends_at + timedelta(seconds=1))
    found = jobs.show(job.id)
    assert (found.job_status, found.attempts) == ("completed", 2)


class Nobody:
    """A pool that has room."""

    runner_id, free, busy = "nobody", 4, {}

    def submit(self, job: Job) -> None:
        raise AssertionError(job)


def test_a_beat_with_nothing_to_do_writes_nothing(edge: Database) -> None:
    changes = "SELECT count(*) AS n FROM audit_transaction"
    runner.tick(pool=Nobody())
    jobs.enqueue("drill.note", run_at=clock.now() + timedelta(hours=1))
    before = db.query(changes)
    assert runner.tick(pool=Nobody()).claimed == 0
    assert db.query(changes) == before, "else each beat would be the reason of the next"


def test_until_ends_by_itself_and_a_viewer_runs_nothing(edge_file: Path, edge: Database) -> None:
    assert runner.start(until=clock.now()).reason == "until"
    with db.change():
        db.connection().execute(
            "INSERT INTO user(username, email, role_id) SELECT 'vera', 'v@example.org', id FROM role"
            " WHERE code = 'VIEWER'"
        )
    edge.close()
    import edgekit

    with edgekit.open(edge_file, actor="vera"), pytest.raises(DeniedError, match="running the runner"):
        runner.start(once=True)


@pytest.mark.parametrize("name", ["SQLITE_IOERR_READ", None])
def test_a_short_life_gives_up_what_fails_again_and_again(
    edge: Database, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    if name is not None:
        error.sqlite_errorname = name

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(runner, "tick", fail)
    monkeypatch.setattr("edgekit.runner.process.starting._AGAIN", timedelta(0))
    lines: list[Any] = []
    expected = sqlite3.OperationalError if name is None else UnavailableError
    with pytest.raises(expected, match="disk I/O error"):
        runner.start(once=True, report=lines.append)
    assert [line.kind for line in lines] == ["started", *([] if name is None else ["failed"] * 2), "stopped"]
    assert [reason for _, reason in sessions()] == ["stopped"]


def test_it_ends_where_its_file_was_replaced(edge: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runner.process.watch.Watch.is_in_place", lambda _: False)
    with pytest.raises(NotFoundError, match=f"{edge.path.name} was moved, deleted or replaced"):
        runner.start(until=clock.now() + timedelta(minutes=1))
    assert [reason for _, reason in sessions()] == ["stopped"]


def test_a_runner_waits_a_moment_for_the_last_processes_of_a_dead_one(edge: Database, tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    source.write_text("number\n1\n", encoding="utf-8")
    settings = {"path": str(source), "table": "person", "key": "number", "create": True}
    number = integrations.create("people", template="csv-import", settings=settings)["id"]
    runner.run("people")
    with db.change():
        db.connection().execute(
            "INSERT INTO runner_session(runner_id, process_id, app_version, started_at)"
            " VALUES ('dead', 1, '0', ?)",
            (clock.now_text(),),
        )
        db.connection().execute(
            "INSERT INTO integration_execution(uuid, integration_id, pipeline_id, trigger_kind,"
            " execution_status, runner_id, source_digest, started_at, correlation_id, organization_id)"
            " SELECT ?, integration_id, pipeline_id, trigger_kind, 'running', '1-dead', source_digest,"
            " started_at, correlation_id, organization_id FROM integration_execution",
            (str(uuid.uuid4()),),
        )
    held = FileLock(edge.path.with_name(f"{edge.path.name}-run{number}.lock"), thread_local=False)
    held.acquire()
    dying = threading.Timer(0.2, held.release)
    dying.start()
    lines: list[Any] = []
    runner.start(once=True, report=lines.append)
    dying.join()
    assert [line.text[:5] for line in lines if line.kind == "recovered"] == ["The r", "1 run"]
    assert db.query("SELECT 1 FROM integration_execution WHERE execution_status = 'running'") == []


def test_a_lock_that_cannot_be_taken_is_said(edge: Database) -> None:
    lock.lock_path(edge.path).mkdir()
    for ask in (runner.status, lambda: runner.start(once=True)):
        with pytest.raises(DeniedError, match=r"-runner\.lock cannot be locked"):
            ask()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_to_a_file_has_the_locks_of_the_file(edge_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "other.db"
    link.parent.mkdir()
    link.symlink_to(edge_file)
    with lock.hold(edge_file):
        refused = CliRunner().invoke(command, ["--db", str(link), "runner", "start", "--once"])
        shown = CliRunner().invoke(command, ["--db", str(link), "runner", "status"])
    assert (refused.exit_code, "has a runner already" in refused.output) == (6, True)
    assert "at work" in shown.output
    assert list(link.parent.iterdir()) == [link]


def launch(path: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgekit", "--db", str(path), "runner", "start", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
@pytest.mark.skipif(sys.platform == "win32", reason="a signal there ends the process at once")
def test_a_signal_ends_it_in_good_order(edge_file: Path, number: int, code: int) -> None:
    before = signal.signal(number, signal.default_int_handler)
    process = launch(edge_file)  # which would inherit that it is ignored, as in a background job of a shell
    signal.signal(number, before)
    assert process.stdout is not None
    assert " started " in process.stdout.readline()
    second = CliRunner().invoke(command, ["--db", str(edge_file), "runner", "start"])
    assert (second.exit_code, "has a runner already" in second.output) == (6, True)
    shown = CliRunner().invoke(command, ["--db", str(edge_file), "runner", "status", "--json"])
    assert json.loads(shown.stdout)["process_id"] == process.pid
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, "")
    assert " stopped " in out.splitlines()[-1]
    with closing(sqlite3.connect(edge_file)) as shell:
        assert shell.execute("SELECT end_reason FROM runner_session").fetchall() == [("stopped",)]
        assert shell.execute("SELECT count(*) FROM job WHERE job_status = 'running'").fetchone() == (0,)
