"""A process that is killed at random while it imports loses nothing and repeats nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit import db, integrations
from edgekit.file.verify import verify
from edgekit.integrations import own_tables as tables

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = 30_000
BAD_EVERY = 400  # one record in so many cannot be used


def write_source(path: Path) -> int:
    """Write the source and return how many of its records are bad."""
    bad = 0
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, RECORDS + 1):
            points: object = number % 12
            if number % BAD_EVERY == 0:
                points, bad = "many", bad + 1
            record = {"number": f"{number:08d}", "name": f"Person {number}", "points": points}
            file.write(json.dumps(record) + "\n")
    return bad


def prepare(folder: Path) -> tuple[Path, int]:
    source = folder / "people.ndjson"
    bad = write_source(source)
    path = edgekit.create(folder / "edge.db")
    with edgekit.open(path):
        tables.create("person", {"number": "TEXT", "name": "TEXT", "points": "INTEGER"}, key=["number"])
        integrations.create(
            "people",
            template="ndjson-import",
            settings={"path": str(source), "table": "person", "batch_size": 50},
        )
    return path, bad


def run_and_kill(path: Path, after: float) -> bool:
    """Run the import in a process of its own; kill it after so many seconds. Return whether it was killed."""
    command = [sys.executable, "-m", "edgekit", "--db", str(path), "integrations", "run", "people", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ.copy()
    )
    try:
        _, complaint = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, complaint.decode()
    return False


def is_through(path: Path) -> bool:
    """Whether a run has come to its end; a kill may hit the process after that."""
    with edgekit.open(path):
        return bool(db.query("SELECT 1 FROM integration_execution WHERE execution_status = 'completed'"))


def check(path: Path, bad: int, kills: int) -> None:
    good = RECORDS - bad
    with edgekit.open(path):
        counted = db.query("SELECT count(*) AS n, count(DISTINCT number) AS d FROM person")[0]
        assert counted == {"n": good, "d": good}
        logged = db.query(
            "SELECT count(*) AS n FROM audit_log l JOIN audit_table t ON t.id = l.table_id"
            " WHERE t.name = 'person'"
        )
        assert logged[0]["n"] == good, "a record was written twice"
        letters = db.query("SELECT count(*) AS n, sum(attempts) AS tries FROM dead_letter")[0]
        assert letters == {"n": bad, "tries": bad}
        sums = db.query(
            "SELECT sum(records_read) AS read, sum(records_written) AS written,"
            " sum(records_failed) AS failed,"
            " sum(execution_status = 'completed') AS completed, sum(execution_status ="
            " 'interrupted') AS interrupted"
            " FROM integration_execution"
        )[0]
        assert (sums["read"], sums["written"], sums["failed"], sums["completed"]) == (RECORDS, good, bad, 1)
        assert sums["interrupted"] <= kills
    assert verify(path) == []


def drill(folder: Path, wanted: int, seed: int) -> int:
    """Kill imports of one file until it is through, and report how many kills that took."""
    dice = random.Random(seed)
    path, bad = prepare(folder)
    kills = 0
    while not is_through(path):
        if kills == wanted:
            assert not run_and_kill(path, 100), "the import hangs"
        else:
            kills += run_and_kill(path, dice.uniform(0.3, 0.7))
    check(path, bad, kills)
    return kills


def test_five_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    kills = 0
    for round_ in range(20):
        folder = tmp_path / str(round_)
        folder.mkdir()
        kills += drill(folder, wanted=5 - kills, seed=round_)
        if kills >= 5:
            return
    pytest.fail(f"only {kills} kills hit a running import")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_sixty_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    kills = 0
    for round_ in range(120):
        folder = tmp_path / str(round_)
        folder.mkdir()
        kills += drill(folder, wanted=60 - kills, seed=1000 + round_)
        if kills >= 60:
            return
    pytest.fail(f"only {kills} kills hit a running import")
