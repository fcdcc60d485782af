"""Monitoring in the file: limits from the start, samples found by metric and time, one open alert each."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import columns, holds

from edgekit import models, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def rule(edge: Database, code: str) -> tuple[Any, ...]:
    sql = "SELECT metric, aggregation, comparison, threshold FROM alert_rule WHERE status_id = 1 AND code = ?"
    (row,) = edge.query(sql, (code,))
    return tuple(row.values())


@pytest.mark.ledger("S3-98")
def test_events_may_wait_five_minutes(edge: Database) -> None:
    assert rule(edge, "EVENT_LAG") == ("event.lag_seconds", "maximum", "above", 300.0)


@pytest.mark.ledger("S3-99")
def test_five_workflows_in_a_hundred_may_fail(edge: Database) -> None:
    assert rule(edge, "WORKFLOW_FAILURE_RATE") == ("workflow.failure_percent", "average", "above", 5.0)


@pytest.mark.ledger("S3-100")
def test_four_fifths_of_the_connections_may_be_in_use(edge: Database) -> None:
    assert rule(edge, "CONNECTION_POOL_USAGE") == ("database.pool_percent", "maximum", "above", 80.0)


@pytest.mark.ledger("S3-101")
def test_queries_may_take_two_seconds(edge: Database) -> None:
    assert rule(edge, "QUERY_RESPONSE_TIME") == ("database.query_ms", "p95", "above", 2000.0)


def test_monitoring_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(catalogue, "metric_sample", "metric labels value sampled_at")
    assert "status_id" not in columns(catalogue, "metric_sample")
    holds(
        catalogue,
        "sla_target",
        "integration_id>integration metric aggregation comparison target window_seconds status_id>status",
        ("integration_id", "metric"),
    )
    holds(
        catalogue,
        "alert",
        "alert_rule_id?>alert_rule sla_target_id?>sla_target subject? alert_status observed_value threshold"
        " message opened_at acknowledged_at? acknowledged_by?>user resolved_at?"
        " communication_id?>communication",
    )
    holds(
        catalogue, "dashboard", "code name description? definition organization_id?>organization", ("code",)
    )


def test_samples_are_found_by_metric_and_time(catalogue: sqlite3.Connection) -> None:
    sql = "SELECT value FROM metric_sample WHERE metric = 'm' AND sampled_at >= '2026' ORDER BY sampled_at"
    (plan,) = catalogue.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    assert plan[3] == "SEARCH metric_sample USING INDEX metric_sample_metric (metric=? AND sampled_at>?)"


def test_a_sample_stays_as_it_was(edge: Database, shell: sqlite3.Connection) -> None:
    with edge.change():
        models.MetricSample.create(metric="event.lag_seconds", value=3)
    assert models.MetricSample.get().labels == {}
    for write in (
        "UPDATE metric_sample SET value = 0",
        "DELETE FROM metric_sample",
        "REPLACE INTO metric_sample(id, metric, value) VALUES (1, 'm', 0)",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append_only"):
            shell.execute(write)


def alert(**values: Any) -> models.Alert:
    row = {
        "alert_rule": 1,
        "observed_value": 400,
        "threshold": 300,
        "message": "Events wait.",
        "opened_at": AT,
    }
    return models.Alert.create(**{**row, **values})


def test_a_limit_has_one_open_alert_for_each_thing(edge: Database) -> None:
    with edge.change():
        first = alert()
        alert(subject="integration files")
        alert(alert_rule=2)
    seen = {"alert_status": "acknowledged", "acknowledged_at": AT, "acknowledged_by": 1}
    for step in ({}, seen):
        with edge.change():
            models.Alert.update({**step, "threshold": 300}).where(models.Alert.id == first.id).execute()
        with pytest.raises(RuleError) as caught, edge.change():
            alert()
        assert caught.value.code == "unique"
    over = {"alert_status": "resolved", "resolved_at": AT}
    with edge.change():
        models.Alert.update(over).where(models.Alert.id == first.id).execute()
        alert()
    with pytest.raises(RuleError, match="does not open again"), edge.change():
        models.Alert.update(alert_status="open", resolved_at=None).where(
            models.Alert.id == first.id
        ).execute()


def test_an_alert_is_of_a_limit_or_of_a_promise(edge: Database) -> None:
    with edge.change():
        kind = models.IntegrationType.get(code="FILE_IMPORT")
        files = models.Integration.create(integration_name="f", integration_type=kind, connection_config={})
        promise = models.SlaTarget.create(
            integration=files,
            metric="run.success_percent",
            comparison="at_least",
            target=99,
            window_seconds=86400,
        )
        alert(alert_rule=None, sla_target=promise)
    for both in ({"sla_target": promise, "subject": "x"}, {"alert_rule": None}):
        with pytest.raises(RuleError) as caught, edge.change():
            alert(**both)
        assert (caught.value.column, caught.value.code) == ("alert_rule_id", "required")
    with pytest.raises(RuleError) as caught, edge.change():
        alert(alert_rule=None, sla_target=promise)
    assert caught.value.code == "unique"
