"""Events and jobs in the file: columns, the queries indexes serve, what never changes, one open job a key."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import checks, columns, holds

from edgekit import models, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

SIGNED = "status_id>status created_by>user updated_by?>user created_at updated_at"
AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


@pytest.mark.ledger("S3-36")
def test_an_event_has_its_columns(catalogue: sqlite3.Connection, edge: Database) -> None:
    holds(
        catalogue,
        "integration_event",
        "uuid event_type event_source_id>event_source event_target? event_payload event_metadata"
        f" processing_status processing_error? processed_at? correlation_id causation_id? {SIGNED}",
        ("uuid",),
    )
    found = columns(catalogue, "integration_event")
    assert "processed" not in found, "it is processing_status = 'processed'"
    assert (found["event_metadata"][2], found["processing_status"][2]) == ("'{}'", "'pending'")
    assert (
        checks("integration_event")["integration_event.event_type.length"]
        == "length(event_type) BETWEEN 1 AND 100"
    )
    sources = {row["code"] for row in edge.query("SELECT code FROM event_source")}
    assert {"ORCHESTRATION", "MARKETPLACE", "MODULES", "HANDOVER"} <= sources


@pytest.mark.parametrize(
    ("sql", "planned"),
    [
        pytest.param(
            "SELECT * FROM integration_event WHERE event_type = 't'",
            "SEARCH integration_event USING INDEX integration_event_event_type (event_type=?)",
            marks=pytest.mark.ledger("S3-68"),
        ),
        pytest.param(
            "SELECT * FROM integration_event WHERE processing_status = 'pending' ORDER BY id LIMIT 100",
            "SCAN integration_event USING INDEX integration_event_pending",
            marks=pytest.mark.ledger("S3-70"),
        ),
        pytest.param(
            "SELECT * FROM integration_event WHERE created_at >= '2026' ORDER BY created_at",
            "SEARCH integration_event USING INDEX integration_event_created (created_at>?)",
            marks=pytest.mark.ledger("S3-72"),
        ),
        (
            (
                "SELECT id FROM event_delivery WHERE subscription_id = 1 AND ordering_key = 'k'"
                " AND delivery_status IN ('pending', 'delivering') ORDER BY event_id LIMIT 1"
            ),
            ("SEARCH event_delivery USING INDEX event_delivery_open (subscription_id=? AND ordering_key=?)"),
        ),
        (
            (
                "SELECT id FROM job WHERE job_status = 'pending'"
                " AND priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) AND run_at <= '2026'"
                " ORDER BY priority, run_at LIMIT 100"
            ),
            "SEARCH job USING INDEX job_due (priority=? AND run_at<?)",
        ),
        (
            "SELECT * FROM job WHERE job_status = 'running' AND lease_ends_at < '2026'",
            "SEARCH job USING INDEX job_running (lease_ends_at<?)",
        ),
        (
            "SELECT * FROM job WHERE correlation_id = 'c'",
            "SEARCH job USING INDEX job_correlation (correlation_id=?)",
        ),
    ],
)
def test_what_is_due_is_found_by_index(catalogue: sqlite3.Connection, sql: str, planned: str) -> None:
    plan = [row[3] for row in catalogue.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
    assert plan == [planned]


def event(**values: Any) -> models.IntegrationEvent:
    row = {
        "uuid": "0" * 36,
        "event_type": "policy.bound",
        "event_source": 1,
        "event_payload": {"policy": 7},
        "correlation_id": "c",
    }
    return models.IntegrationEvent.create(**{**row, **values})


def test_an_event_stays_as_it_was_told(edge: Database) -> None:
    with edge.change():
        row = event()
    assert models.IntegrationEvent.get().event_metadata == {}
    for column, value in {
        "event_type": "x",
        "event_source": 2,
        "event_target": "x",
        "event_payload": {},
        "event_metadata": {"a": 1},
        "correlation_id": "x",
        "causation_id": "x",
        "organization": 1,
        "uuid": "1" * 36,
    }.items():
        with pytest.raises(RuleError, match="stays as it was told"), edge.change():
            models.IntegrationEvent.update({column: value}).execute()
    with edge.change():
        row.processing_status = "processing"
        row.save()
        row.processing_status, row.processed_at = "processed", AT
        row.save()


def moves(kind: Any, column: str, steps: list[dict[str, Any]]) -> None:
    """Walk one row through states, each with what it needs."""
    for step in steps:
        kind.update(step).execute()
        assert getattr(kind.get(), column) == step[column]


def test_a_failed_event_can_be_taken_up_again(edge: Database) -> None:
    with edge.change():
        event()
        states = ["processing", "pending", "processing", "failed", "pending", "processing"]
        moves(
            models.IntegrationEvent, "processing_status", [{"processing_status": state} for state in states]
        )


def test_a_delivery_is_one_per_event_and_listener(edge: Database) -> None:
    with edge.change():
        told = event()
        listener = models.EventSubscription.create(code="LOG", name="Log", handler_kind="log.write")
        models.EventDelivery.create(event=told, subscription=listener, idempotency_key="1-1")
    with pytest.raises(RuleError, match="already a row"), edge.change():
        models.EventDelivery.create(event=told, subscription=listener, idempotency_key="1-2")
    failed = {"delivery_status": "failed", "settled_at": AT, "error_message": "no answer"}
    again = {"delivery_status": "pending", "settled_at": None}
    taken = {"delivery_status": "delivered", "settled_at": AT}
    going = {"delivery_status": "delivering"}
    with edge.change():
        moves(models.EventDelivery, "delivery_status", [going, failed, again, going, taken, again])
        models.EventDelivery.update(delivery_status="discarded", settled_at=AT).execute()
    with pytest.raises(RuleError, match="discarded does not change"), edge.change():
        models.EventDelivery.update(**again).execute()


def job(**values: Any) -> models.Job:
    return models.Job.create(**{"uuid": "0" * 36, "kind": "k", "correlation_id": "c", **values})


def test_of_jobs_with_one_key_only_one_is_open(edge: Database) -> None:
    claimed = {"job_status": "running", "runner_id": "r", "claimed_at": AT}
    with edge.change():
        job(dedupe_key="a")
        job(uuid="1" * 36, kind="other", dedupe_key="a")
        job(uuid="2" * 36)
        job(uuid="3" * 36)
    first = models.Job.id == 1
    for step in (claimed, {"job_status": "interrupted", "ended_at": AT}, {**claimed, "ended_at": None}):
        with edge.change():
            models.Job.update(**step).where(first).execute()
        with pytest.raises(RuleError, match="already a row"), edge.change():
            job(uuid="4" * 36, dedupe_key="a")
    with edge.change():
        models.Job.update(job_status="completed", ended_at=AT).where(first).execute()
        job(uuid="4" * 36, dedupe_key="a")
    assert models.Job.get_by_id(1).payload == {}


@pytest.mark.parametrize("ended", ["completed", "failed", "cancelled"])
def test_a_job_that_has_ended_stays_so(edge: Database, shell: sqlite3.Connection, ended: str) -> None:
    with edge.change():
        job(job_status=ended, ended_at=AT, error_message="m")
    for state, at in (("'pending'", "NULL"), ("'interrupted'", f"'{AT}'"), ("NULL", "NULL")):
        for way in ("UPDATE", "UPDATE OR REPLACE"):
            with pytest.raises(sqlite3.IntegrityError):
                shell.execute(f"{way} job SET job_status = {state}, ended_at = {at}")
    assert models.Job.get().job_status == ended


def test_more_than_there_are_priorities_is_refused(edge: Database) -> None:
    with pytest.raises(RuleError, match="between 0 and 9"), edge.change():
        job(priority=-1)
