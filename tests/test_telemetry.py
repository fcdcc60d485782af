"""OpenTelemetry: runs, their tries and slots arrive at a collector, as their rows have them."""

from __future__ import annotations

import logging
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from http_provider import Reply, serve
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from edgekit import db, integrations, runner, tracing
from edgekit.runner import telemetry

if TYPE_CHECKING:
    from http_provider import Call

    from edgekit.db import Database

SECRET = "sk-7Hq9-Zebra"


def taken(_call: Call) -> Reply:
    return Reply(b"", headers={"Content-Type": "application/x-protobuf"})


def spans(calls: list[Call]) -> list[Any]:
    found = []
    for call in calls:
        told = ExportTraceServiceRequest.FromString(call.body)
        found += [span for r in told.resource_spans for scope in r.scope_spans for span in scope.spans]
    return found


def said(of: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in of.attributes}


@pytest.fixture(autouse=True)
def _own_teller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_teller", telemetry._Teller())
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME", *telemetry._ENDPOINTS):
        monkeypatch.delenv(name, raising=False)


def rest(url: str) -> None:
    settings = {
        "base_url": url, "records": "$.items", "table": "item", "key": "code", "create": True,
        "auth": {"kind": "none"}, "retry_delay_ms": 0, "params": {"who": "Ann Smith"},
    }  # fmt: skip
    integrations.create("items", template="rest-source", settings=settings)


def test_a_run_of_a_schedule_arrives_as_spans_of_one_trace(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [Reply(status=503), Reply({"items": [{"code": "a"}]})]
    begin = datetime.now(UTC).replace(second=0, microsecond=0)
    with serve(taken) as collector, serve(lambda _call: replies.pop(0)) as provider:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=" + SECRET)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        rest(provider.url)
        runner.add_schedule("hourly", integration="items", every=60, now=begin)
        runner.tick(begin + timedelta(minutes=61))
        assert {(call.method, call.path) for call in collector.calls} == {("POST", "/v1/traces")}
        assert collector.calls[0].headers["x-api-key"] == SECRET
        found = {span.name: span for span in spans(collector.calls)}
        told = [call.headers["traceparent"].split("-") for call in provider.calls]
        first = ExportTraceServiceRequest.FromString(collector.calls[0].body)
    run, slot = found["run items"], found["slot hourly"]
    tries = [span for span in spans(collector.calls) if span.name == "GET"]
    (row,) = db.query("SELECT uuid, correlation_id, started_at FROM integration_execution")
    assert {span.trace_id.hex() for span in [run, slot, *tries]} == {uuid.UUID(row["correlation_id"]).hex}
    assert [span.span_id.hex() for span in tries] == [one[2] for one in told], "as it was told the provider"
    assert {span.parent_span_id for span in tries} == {run.span_id}
    assert run.span_id.hex() == tracing.span_id("execution", row["uuid"])
    assert (run.parent_span_id, slot.parent_span_id) == (slot.span_id, b"")
    assert [said(span).get("http.response.status_code") for span in tries] == [503, 200]
    assert [span.status.code for span in tries] == [2, 0]
    assert said(tries[0])["url.full"] == provider.url
    assert "Ann" not in str(spans(collector.calls)), "what is asked for may be somebody's"
    assert said(run)["edgekit.records.written"] == 1
    begun = round(datetime.fromisoformat(row["started_at"]).timestamp() * 1000)
    assert run.start_time_unix_nano == begun * 1_000_000
    resource = said(first.resource_spans[0].resource)
    assert resource["service.name"] == "edgekit"
    assert (resource["service.instance.id"], resource["deployment.environment.name"]) == (edge.site, "test")


def test_a_collector_that_is_away_costs_one_try_and_a_line(
    edge: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serve(lambda _call: Reply(status=400)) as collector,
        serve(lambda _call: {"items": [{"code": "a"}]}) as provider,
        caplog.at_level(logging.WARNING),
    ):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces")
        rest(provider.url)
        assert [runner.run("items").status for _ in range(2)] == ["completed"] * 2
        assert len(collector.calls) == 1
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"The collector at {collector.url} takes no traces; runs go on without."]


@pytest.mark.parametrize("place", ["http://[x", "localhost:4318"])
def test_an_endpoint_that_is_none_costs_a_line_and_no_run(
    edge: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", place)
    with caplog.at_level(logging.WARNING):
        telemetry._teller.tell(list)
        telemetry._teller.tell(list)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "traces" in line.lower()
    assert "OTEL_" in line


def test_a_try_at_an_address_that_is_none_is_told_like_any_other(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(taken) as collector, serve(lambda _call: {"items": [{"code": "a"}]}) as provider:
        rest(provider.url)
        number = runner.run("items").execution_id
        with db.change():
            for url in ("http://[x", "http://127.0.0.1:99999/a?who=Ann", "https://ann:pw@h/a"):
                db.connection().execute(
                    "INSERT INTO integration_log(integration_id, execution_id, request_type, request_url,"
                    " is_success, correlation_id) SELECT integration_id, id, 'GET', ?, 0, correlation_id"
                    " FROM integration_execution",
                    (url,),
                )
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        telemetry.tell_run(number or 0)
        told = [said(span).get("url.full") for span in spans(collector.calls)][2:]
    assert told == ["", "http://127.0.0.1:99999/a", "https://h/a"]


def test_nothing_is_told_unless_asked(edge: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(taken) as collector, serve(lambda _call: {"items": [{"code": "a"}]}) as provider:
        rest(provider.url)
        assert runner.run("items").status == "completed"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        for name, value in (("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")):
            with monkeypatch.context() as setting:
                setting.setenv(name, value)
                assert runner.run("items").status == "completed"
        assert collector.calls == []
        runner.run("items")
        assert len(collector.calls) == 1


def test_without_the_extra_it_is_said_once(
    edge: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with serve(lambda _call: {"items": [{"code": "a"}]}) as provider, caplog.at_level(logging.WARNING):
        rest(provider.url)
        assert [runner.run("items").status for _ in range(2)] == ["completed"] * 2
    (line,) = [record.getMessage() for record in caplog.records]
    assert "pip install 'edgekit[otel]'" in line


@pytest.mark.slow
def test_nothing_of_it_is_imported_where_nobody_asks() -> None:
    asked = (
        "import sys, edgekit.runner.engine; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
