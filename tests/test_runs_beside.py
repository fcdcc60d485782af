"""A run beside another of its integration, a run that is asked to end, and what a dead one left."""

from __future__ import annotations

import json
import threading
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import edgekit
from edgekit import clock, db, integrations, runner
from edgekit.errors import ConflictError
from edgekit.integrations import own_tables as tables
from edgekit.models.core import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgekit.db import Database

RECORDS = 30


@pytest.fixture
def people(edge: Database, tmp_path: Path) -> Iterator[Path]:
    """An integration of three batches."""
    source = tmp_path / "people.ndjson"
    lines = [json.dumps({"number": f"{n:04d}", "name": f"Person {n}"}) for n in range(RECORDS)]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    tables.create("person", {"number": "TEXT", "name": "TEXT"}, key=["number"])
    settings = {"path": str(source), "table": "person", "batch_size": 10}
    integrations.create("people", template="ndjson-import", settings=settings)
    return source


def elsewhere(work: Callable[[], Any]) -> Any:
    """Do it in another thread, and return what it returns or the error it raises."""
    found: list[Any] = []

    def body() -> None:
        try:
            found.append(work())
        except edgekit.errors.EdgekitError as error:
            found.append(error)
        finally:
            db.current().release()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(20)
    return found[0]


def executions() -> list[dict[str, Any]]:
    return db.query(
        "SELECT execution_status AS status, is_concurrent, records_read AS read, resumed_from_id AS resumed,"
        " correlation_id FROM integration_execution ORDER BY id"
    )


def test_a_run_beside_another_begins_anew_and_leaves_the_checkpoint_alone(people: Path) -> None:
    checkpoint = "SELECT state, execution_id FROM integration_checkpoint"
    found: list[Any] = []

    def between(read: int) -> None:
        if read == 20:
            before = db.query(checkpoint)
            found.append(elsewhere(lambda: runner.run("people")))
            found.append(elsewhere(lambda: runner.run("people", beside=True, correlation_id="slot-7")))
            assert db.query(checkpoint) == before

    assert runner.run("people", progress=between).status == "completed"
    refused, beside = found
    assert isinstance(refused, ConflictError)
    assert (beside.status, beside.records_read, beside.records_changed) == ("completed", RECORDS, 10)
    assert [(row["status"], row["is_concurrent"], row["read"]) for row in executions()] == [
        ("completed", 0, 30), ("completed", 1, 30),
    ]  # fmt: skip
    assert executions()[1]["correlation_id"] == beside.correlation_id == "slot-7"
    said = db.query("SELECT DISTINCT reason FROM audit_transaction WHERE correlation_id = 'slot-7'")
    assert said
    assert list(people.parent.glob("*-run*-*.lock")) == [], "its lock file is gone"


def test_alone_it_is_a_run_like_any_other(people: Path) -> None:
    result = runner.run("people", beside=True)
    assert result.status == "completed"
    assert executions()[0]["is_concurrent"] == 0
    assert db.query("SELECT 1 FROM integration_checkpoint")


def test_what_moves_the_files_it_read_runs_beside_nothing(people: Path) -> None:
    found: list[Any] = []
    with db.change():
        db.connection().execute(
            "UPDATE integration SET connection_config = json_set(connection_config, '$.path', ?, '$.then',"
            " 'move:done') WHERE integration_name = 'people'",
            (str(people.parent / "*.ndjson"),),
        )
    beside = partial(runner.run, "people", beside=True)
    runner.run("people", progress=lambda _: found.append(elsewhere(beside)))
    assert isinstance(found[0], ConflictError)
    assert "moves or deletes" in found[0].message


def job() -> Job:
    return Job.create(
        uuid=str(uuid.uuid4()), kind="integration.run", job_status="running", runner_id="me",
        claimed_at=clock.now(), correlation_id="c-1",
    )  # fmt: skip


def test_a_run_whose_job_is_cancelled_ends_after_its_batch(people: Path) -> None:
    with db.change():
        row = job()

    def cancel(read: int) -> None:
        if read == 10:
            with db.change():
                Job.update(cancel_requested_at=clock.now()).where(Job.id == row.id).execute()

    result = runner.run("people", job_id=row.id, progress=cancel)
    assert (result.status, result.records_read) == ("cancelled", 10)
    (ended,) = executions()
    assert (ended["status"], ended["read"]) == ("cancelled", 10)
    assert runner.show_execution(1)["error_code"] == "cancelled"
    assert runner.run("people").records_read == 20, "the next goes on from there"


def test_a_run_of_a_runner_that_stops_is_interrupted_and_resumed(people: Path) -> None:
    result = runner.run("people", stop=lambda: True)
    assert (result.status, result.records_read) == ("interrupted", 10)
    assert runner.run("people", stop=lambda: False).status == "completed"
    assert [(row["status"], row["read"], row["resumed"]) for row in executions()] == [
        ("interrupted", 10, None), ("completed", 20, 1),
    ]  # fmt: skip


def test_runs_of_the_dead_are_interrupted_and_those_of_the_living_are_not(people: Path) -> None:
    found: list[Any] = []

    def between(read: int) -> None:
        if read == 10:
            found.append(elsewhere(runner.recover_executions))
            assert [row["status"] for row in executions()] == ["running"]

    runner.run("people", progress=between)
    assert found == [0]
    with db.change():
        for number, concurrent in ((1, 0), (2, 1)):
            db.connection().execute(
                "INSERT INTO integration_execution(uuid, integration_id, execution_status, runner_id,"
                " started_at, is_concurrent, correlation_id) SELECT ?, id, 'running', ?, ?, ?, 'x'"
                " FROM integration WHERE integration_name = 'people'",
                (str(uuid.uuid4()), f"dead-{number}", clock.now_text(), concurrent),
            )
    (number,) = db.query("SELECT id FROM integration WHERE integration_name = 'people'")
    left = people.parent / f"edge.db-run{number['id']}-dead-2.lock"
    left.touch()
    assert runner.recover_executions() == 2
    assert [row["status"] for row in executions()] == ["completed", "interrupted", "interrupted"]
    assert not left.exists()
    assert runner.recover_executions() == 0


def test_a_run_settles_the_dead_beside_it_too(people: Path) -> None:
    with db.change():
        db.connection().execute(
            "INSERT INTO integration_execution(uuid, integration_id, execution_status, runner_id, started_at,"
            " is_concurrent, correlation_id) SELECT ?, id, 'running', 'dead-1', ?, 1, 'x' FROM integration"
            " WHERE integration_name = 'people'",
            (str(uuid.uuid4()), clock.now_text()),
        )
    runner.run("people")
    assert [(row["status"], row["resumed"]) for row in executions()] == [
        ("interrupted", None), ("completed", None),
    ]  # fmt: skip
