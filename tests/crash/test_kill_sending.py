"""A process that is killed while it sends loses nothing; the other side has each record once."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from http_provider import Call, Reply, serve

import edgekit
from edgekit import db
from edgekit.file.verify import verify
from edgekit.integrations import own_tables as tables
from edgekit.models.integrations import Integration, IntegrationPipelineDefinition

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 20


def prepare(folder: Path, count: int, to: dict[str, Any]) -> Path:
    """Make a file with so many rows, and an integration that sends them."""
    path = edgekit.create(folder / "edge.db")
    with edgekit.open(path):
        tables.create("person", {"number": "INTEGER", "name": "TEXT"}, key=["number"])
        (kind,) = db.query("SELECT id FROM integration_type WHERE code = 'REST_API'")
        with db.change():
            db.connection().executemany(
                "INSERT INTO person(number, name) VALUES (?, ?)", [(n, f"Person {n}") for n in range(count)]
            )
            made = Integration.create(
                integration_name="out",
                integration_type_id=kind["id"],
                connection_config={
                    "connector": "table",
                    "inputs": {"table": "person", "columns": ["number", "name"]},
                    "batch_size": BATCH,
                    "to": to,
                },
            )
            IntegrationPipelineDefinition.create(
                integration_id=made.id, pipeline_name="out", pipeline_steps={"steps": [{"type": "map"}]},
                error_handling_strategy="dead_letter",
            )  # fmt: skip
    return path


def start(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edgekit", "--db", str(path), "integrations", "run", "out", "--json"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ.copy())


def completed(path: Path) -> bool:
    with edgekit.open(path):
        return bool(db.query("SELECT 1 FROM integration_execution WHERE execution_status = 'completed'"))


def check(path: Path, count: int) -> None:
    """What the file says of it: every row delivered and counted once, nothing set aside."""
    with edgekit.open(path):
        (sums,) = db.query(
            "SELECT sum(records_read) AS read, sum(records_written) AS written, sum(records_failed) AS failed"
            " FROM integration_execution"
        )
        assert sums == {"read": count, "written": count, "failed": 0}
        assert db.query("SELECT 1 FROM dead_letter") == []
    assert verify(path) == []


class Other:
    """An HTTP service that takes each idempotency key once, and kills who calls at chosen calls."""

    def __init__(self, kills_at: set[int]) -> None:
        self.taken: dict[str, Any] = {}
        self.calls = 0
        self.kills = 0
        self.kills_at = kills_at
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def __call__(self, call: Call) -> Reply:
        with self.lock:
            self.calls += 1
            record = json.loads(call.body)
            assert self.taken.setdefault(call.headers["Idempotency-Key"], record) == record
            if self.calls in self.kills_at and self.process is not None:
                self.kills += 1
                self.process.kill()  # the record has arrived, and nobody will know
        return Reply({"id": record["number"]}, 201)


def send_through_kills(folder: Path, count: int, kills_at: set[int]) -> Other:
    """Run until it is through, killed at each of these calls, and check both sides."""
    other = Other(kills_at)
    with serve(other) as provider:
        path = prepare(folder, count, {"connector": "http", "base_url": provider.url, "retries": 0})
        for _ in range(len(kills_at) + 1):
            other.process = start(path)
            _, complaint = other.process.communicate(timeout=100)
        assert other.process is not None
        assert other.process.returncode == 0, complaint.decode()
    assert other.kills == len(kills_at)
    assert sorted(record["number"] for record in other.taken.values()) == list(range(count))
    assert other.calls <= count + BATCH * other.kills
    with edgekit.open(path):
        keys = {
            row["idempotency_key"] for row in db.query("SELECT idempotency_key FROM integration_delivery")
        }
    assert keys == set(other.taken)
    check(path, count)
    return other


def test_a_kill_between_sending_and_committing_sends_nothing_twice(tmp_path: Path) -> None:
    send_through_kills(tmp_path, 2 * BATCH, {BATCH})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_between_sending_and_committing_send_nothing_twice(tmp_path: Path) -> None:
    dice = random.Random(7)
    send_through_kills(tmp_path, 20 * BATCH, set(dice.sample(range(1, 20 * BATCH), 20)))


def kill_by_the_clock(
    folder: Path, to: dict[str, Any], count: int, kills: int, seed: int
) -> tuple[Path, int]:
    dice = random.Random(seed)
    path = prepare(folder, count, to)
    killed = 0
    while not completed(path):
        with start(path) as process:
            try:
                _, complaint = process.communicate(timeout=dice.uniform(0.4, 1.2) if killed < kills else 100)
                assert process.returncode == 0, complaint.decode()
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
    return path, killed


def lines(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_text(encoding="utf-8").splitlines()]


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as there:
        return [number for (number,) in there.execute("SELECT number FROM person")]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["file", "sql"])
def test_kills_at_any_time_leave_a_file_or_a_table_with_each_record_once(tmp_path: Path, kind: str) -> None:
    place = tmp_path / ("out.ndjson" if kind == "file" else "out.db")
    to: dict[str, Any] = {"connector": "file", "path": str(place)}
    if kind == "sql":
        to = {"connector": "sql", "url": f"sqlite:///{place}", "table": "person", "key": "number"}
        to["create"] = True
    there: Callable[[Path], list[int]] = lines if kind == "file" else numbers
    path, killed = kill_by_the_clock(tmp_path, to, 40_000, 10, 3)
    assert killed >= 3
    assert sorted(there(place)) == list(range(40_000))
    check(path, 40_000)
