"""A busy runner that is killed at random, another one trying to begin each time, loses and repeats nothing.

What it does meanwhile: imports by a schedule that has much to catch up, deliveries to a real service while
others write what is to be delivered, and a schedule that fails, of which somebody is told.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from http_provider import Call, Reply, serve

import edgekit
from edgekit import clock, db, integrations, runner
from edgekit.file.verify import verify
from edgekit.integrations import own_tables as tables

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = 300
BATCH = 20
MINUTES = 450
"""So many due times of the import have passed when the runner first begins."""
BROKEN = 20
OFTEN = 7
PARCELS = 4
"""So many rows more are to be delivered after each kill."""


class Receiver:
    """A service that takes parcels and knows a repeated one by its key."""

    def __init__(self) -> None:
        self.keys: dict[int, list[str]] = {}
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> Reply:
        key = call.headers.get("Idempotency-Key", "")
        with self._lock:
            self.keys.setdefault(json.loads(call.body)["number"], []).append(key)
        time.sleep(0.005)
        return Reply({"id": key[:8]}, status=201)


def prepare(folder: Path, url: str, minutes: int, broken: int) -> Path:
    """Make a file with an import, something to send, and something that fails, and a schedule for each."""
    source = folder / "people.ndjson"
    lines = [json.dumps({"number": f"{n:06d}", "name": f"Person {n}"}) for n in range(RECORDS)]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = edgekit.create(folder / "edge.db")
    with edgekit.open(path):
        with db.change():
            db.connection().execute(
                "INSERT INTO user(username, email, organization_id, role_id) SELECT 'maria', 'm@example.org',"
                " 1, id FROM role WHERE code = 'ADMIN'"
            )
        tables.create("person", {"number": "TEXT", "name": "TEXT"}, key=["number"])
        tables.create("parcel", {"number": "INTEGER", "content": "TEXT"}, key=["number"])
        settings = {"path": str(source), "table": "person", "batch_size": BATCH}
        integrations.create("people", template="ndjson-import", settings=settings)
        absent = {"path": str(folder / "absent.csv"), "table": "price", "key": "item", "create": True}
        integrations.create("broken", template="csv-import", settings=absent)
        sending = {
            "connector": "table", "batch_size": 2,
            "inputs": {"table": "parcel", "columns": ["number", "content"], "changed": True},
            "to": {"connector": "http", "base_url": url, "path": "/parcels"},
        }  # fmt: skip
        integrations.create("parcels", template="csv-import", settings=sending)
        add_parcels(path, 0)
        for name, span in (("people", minutes), ("parcels", minutes), ("broken", broken)):
            runner.add_schedule(name, integration=name, every=1, now=clock.now() - timedelta(minutes=span))
        with db.change():
            db.connection().execute(
                "UPDATE integration_schedule SET missed_execution_policy = 'run_all', catch_up_limit = 1000,"
                " catch_up_delay_seconds = 0, overlap_policy = 'queue_all',"
                " retry_policy = '{\"attempts\": 1}'"
            )
    return path


def add_parcels(path: Path, first: int) -> None:
    """Write what is to be delivered, as any other program would."""
    with closing(sqlite3.connect(path, timeout=10)) as shell, shell:
        shell.executemany(
            "INSERT INTO parcel(number, content) VALUES (?, 'x')", [(first + n,) for n in range(PARCELS)]
        )


def launch(path: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgekit", "--db", str(path), "runner", "start", *words]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ.copy(),
    )


def query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path, timeout=10)) as shell:
        return shell.execute(sql).fetchall()


def wait(ready: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a process is the runner of a file."""
    lives = f"SELECT 1 FROM runner_session WHERE ended_at IS NULL AND process_id = {process.pid}"
    wait(lambda: query(path, lives) or process.poll() is not None)


def kill_one(path: Path, dice: random.Random, number: int, threads: int) -> None:
    """Start a runner and another, which is refused; kill the first at any moment of its work."""
    first = launch(path, "--threads", str(threads))
    wait_for(path, first)
    second = launch(path)
    add_parcels(path, number * PARCELS)
    if dice.random() < 0.5:  # the other half is killed while the second one looks
        second.wait(30)
    time.sleep(dice.uniform(0, 1.2))
    # What is cut off a dozen times in a row is given up; on a slow machine it is let come to its end before.
    often = f"SELECT 1 FROM job WHERE job_status IN ('pending', 'running') AND attempts > {OFTEN}"
    wait(lambda: not query(path, often) or first.poll() is not None, 300)
    assert first.poll() is None, first.communicate()[1]
    if second.poll() is None:  # its end is to be known before the lock is free
        second.wait(30)
    _, complaint = second.communicate(timeout=30)
    assert second.returncode == 6, complaint
    assert "has a runner already" in complaint
    first.kill()
    first.communicate()


def settle(path: Path, threads: int) -> None:
    """Let a last runner do all that is left, waiting for what is tried again later."""
    left = "SELECT 1 FROM integration_schedule_execution WHERE execution_status IN ('scheduled', 'running')"
    process = launch(path, "--threads", str(threads))
    wait_for(path, process)
    wait(lambda: not query(path, left), 600)
    process.terminate()
    out, err = process.communicate(timeout=60)
    if sys.platform != "win32":
        assert (process.returncode, err) == (0, ""), out[-2000:]
    last = launch(path, "--once")  # what followed from the last of it
    assert (last.communicate(timeout=60)[1], last.returncode) == ("", 0)


def check(path: Path, service: Receiver, kills: int, broken: int, *, stopped: int = 2) -> None:
    assert verify(path) == []
    with edgekit.open(path):
        lives = db.query("SELECT end_reason, count(*) AS n FROM runner_session GROUP BY 1 ORDER BY 1")
        assert [(row["end_reason"], row["n"]) for row in lives] == [("died", kills), ("stopped", stopped)]
        for table, column in (("job", "job_status"), ("integration_execution", "execution_status")):
            assert db.query(f"SELECT 1 FROM {table} WHERE {column} = 'running'") == []
        check_slots()
        counted = db.query("SELECT count(*) AS n, count(DISTINCT number) AS d FROM person")[0]
        assert counted == {"n": RECORDS, "d": RECORDS}
        logged = (
            "SELECT count(*) AS n FROM audit_log l JOIN audit_table t ON t.id = l.table_id WHERE t.name = "
        )
        assert db.query(f"{logged} 'person'")[0]["n"] == RECORDS, "a record was written twice"
        (runs,) = db.query(
            "SELECT sum(e.records_read) AS read, sum(e.execution_status = 'completed') AS completed FROM"
            " integration_execution e JOIN integration i ON i.id = e.integration_id"
            " WHERE i.integration_name = 'people'"
        )
        assert runs["read"] == RECORDS * runs["completed"], "a batch was counted twice, or not"
        check_deliveries(service, (kills + 1) * PARCELS)
        check_told(broken)


def check_slots() -> None:
    """Every due time has exactly one row, from the first one to the last."""
    for schedule in db.query("SELECT id, schedule_name AS name, created_at FROM integration_schedule"):
        rows = db.query(
            "SELECT scheduled_at, ifnull(span_ended_at, scheduled_at) AS last, slot_count,"
            " execution_status AS status, execution_notes AS notes FROM integration_schedule_execution"
            " WHERE schedule_id = ? ORDER BY scheduled_at",
            (schedule["id"],),
        )
        before = None
        for row in rows:
            first, last = clock.from_text(row["scheduled_at"]), clock.from_text(row["last"])
            assert row["slot_count"] == round((last - first) / timedelta(minutes=1)) + 1
            if before is not None:
                assert first - before == timedelta(minutes=1), f"{schedule['name']}: none for {before}"
            before = last
        wanted = "failed" if schedule["name"] == "broken" else "completed"
        assert [row for row in rows if row["status"] != wanted] == [], schedule["name"]
        late = "SELECT next_run_at AS at FROM integration_schedule WHERE id = ?"
        following = clock.from_text(db.query(late, (schedule["id"],))[0]["at"])
        assert before is not None
        assert following - before == timedelta(minutes=1)


def check_deliveries(service: Receiver, count: int) -> None:
    assert sorted(service.keys) == list(range(count)), "the other side has each"
    assert [number for number, keys in service.keys.items() if len(set(keys)) != 1 or not keys[0]] == []
    rows = db.query(
        "SELECT delivery_status, count(*) AS n, count(DISTINCT record_key) AS d FROM"
        " integration_delivery GROUP BY 1"
    )
    assert [tuple(row.values()) for row in rows] == [("delivered", count, count)]


def check_told(broken: int) -> None:
    """What failed is in one notification or another, each once."""
    failed = db.query("SELECT count(*) AS n FROM integration_event WHERE event_type = 'run.failed'")[0]["n"]
    told = sum(row["occurrences"] for row in runner.list_notifications())
    assert told == failed >= broken
    assert db.query("SELECT 1 FROM job WHERE kind LIKE 'notif%' AND job_status = 'failed'") == []


def drill(folder: Path, kills: int, seed: int, minutes: int, broken: int, threads: int) -> None:
    dice, service = random.Random(seed), Receiver()
    with serve(service) as provider:
        path = prepare(folder, provider.url, minutes, broken)
        for number in range(1, kills + 1):
            kill_one(path, dice, number, threads)
        settle(path, threads)
        with edgekit.open(path):
            runner.run("parcels")  # those that came after the last due time
    check(path, service, kills, broken)


def test_a_kill_of_a_runner_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """The drill below with one kill, in the middle of an import, and one life after it."""
    service = Receiver()
    read = "SELECT 1 FROM integration_execution WHERE execution_status = 'running' AND records_read > 0"
    with serve(service) as provider:
        path = prepare(tmp_path, provider.url, 3, 2)
        process = launch(path, "--threads", "1")
        add_parcels(path, PARCELS)
        wait(lambda: query(path, read) or process.poll() is not None)
        process.kill()
        process.communicate()
        with edgekit.open(path):
            runner.start(once=True)
    check(path, service, 1, 2, stopped=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_kills_of_a_runner_lose_and_repeat_nothing(tmp_path: Path) -> None:
    drill(tmp_path, kills=100, seed=11, minutes=MINUTES, broken=BROKEN, threads=4)
