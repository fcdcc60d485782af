"""Runs told to an OpenTelemetry collector: spans made of their rows once they have ended; the one door to it.

Nothing is done, and nothing imported, unless the standard variables ask for it: OTEL_EXPORTER_OTLP_ENDPOINT
or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. Rows are the truth: a collector that is away costs a few seconds once a
minute and a line in the log, never a run.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from edgekit import __version__, clock, db, tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

_log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LONGEST_SECONDS = 2.0
"""For one telling, where OTEL_EXPORTER_OTLP_TIMEOUT says nothing."""

_AWAY_SECONDS = 60.0
"""For which a collector that did not take what it was told is told nothing."""

_MOST_ATTEMPTS = 1000

_RUN = (
    "SELECT e.id, e.uuid, e.trigger_kind, e.execution_status, e.started_at, e.ended_at, e.records_read,"
    " e.records_written, e.records_failed, e.error_code, e.correlation_id,"
    " i.integration_name AS integration, s.id AS slot"
    " FROM integration_execution e JOIN integration i ON i.id = e.integration_id"
    " LEFT JOIN integration_schedule_execution s ON s.id ="
    " (SELECT max(x.id) FROM integration_schedule_execution x WHERE x.correlation_id = e.correlation_id)"
    " WHERE e.id = ? AND e.ended_at IS NOT NULL"
)
_ATTEMPTS = (
    "SELECT id, request_type, request_url, response_code, response_time_ms, is_success, retry_count, span_id,"
    " created_at FROM integration_log WHERE execution_id = ? ORDER BY id LIMIT ?"
)
_SLOT = (
    "SELECT e.id, e.slot_kind, e.execution_status, e.reason, e.scheduled_at, e.started_at, e.ended_at,"
    " e.correlation_id, s.schedule_name AS schedule FROM integration_schedule_execution e"
    " JOIN integration_schedule s ON s.id = e.schedule_id WHERE e.id = ? AND e.ended_at IS NOT NULL"
)


def is_configured() -> bool:
    """Tell whether the environment asks for runs to be told."""
    asked = os.environ.get
    if asked("OTEL_SDK_DISABLED", "").lower() == "true" or asked("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    return any(asked(name) for name in _ENDPOINTS)


def tell_run(execution_id: int) -> None:
    """Tell of a run that has ended, and of its tries, outside any change; do nothing where nobody asked."""
    if is_configured() and (found := db.query(_RUN, (execution_id,))):
        _teller.tell(lambda: list(_of_run(found[0])))


def tell_slot(slot_id: int) -> None:
    """Tell of a slot that is settled, outside any change; do nothing where nobody asked."""
    if is_configured() and (found := db.query(_SLOT, (slot_id,))):
        _teller.tell(lambda: [_of_slot(found[0])])


class _Teller:
    """Keeps the way to the collector, of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exporter: OTLPSpanExporter | None = None
        self._away_until = 0.0

    def tell(self, make: Any) -> None:
        """Hand spans over and wait until they are taken. What goes wrong is a line in the log."""
        with self._lock:
            if time.monotonic() < self._away_until:
                return
            if self._exporter is None and not self._open():
                return
            from opentelemetry.sdk.trace.export import SpanExportResult

            assert self._exporter is not None
            if self._exporter.export(make()) is not SpanExportResult.SUCCESS:
                self._away_until = time.monotonic() + _AWAY_SECONDS
                _log.warning("The collector%s takes no traces; runs go on without.", _at_endpoint())

    def _open(self) -> bool:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError:
            self._away_until = float("inf")
            _log.warning("Traces are asked for by OTEL_*, and not sent: pip install 'edgekit[otel]'")
            return False
        # What they would write of each failure is said here, once and in our words.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        own = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
        longest = None if any(os.environ.get(name) for name in own) else _LONGEST_SECONDS
        try:
            self._exporter = OTLPSpanExporter(timeout=longest)
        except (ValueError, RuntimeError) as error:
            self._away_until = float("inf")
            _log.warning("Traces are asked for by OTEL_*, and not sent: %s", error)
            return False
        return True


_teller = _Teller()


def _of_run(row: dict[str, Any]) -> Iterator[ReadableSpan]:
    correlation_id, own = row["correlation_id"], tracing.span_id("execution", row["uuid"])
    yield _span(
        f"run {row['integration']}", correlation_id, own,
        None if row["slot"] is None else tracing.span_id("slot", f"{db.current().site}/{row['slot']}"),
        (row["started_at"], row["ended_at"]),
        {
            "edgekit.integration": row["integration"], "edgekit.execution.id": row["id"],
            "edgekit.trigger": row["trigger_kind"], "edgekit.status": row["execution_status"],
            "edgekit.records.read": row["records_read"], "edgekit.records.written": row["records_written"],
            "edgekit.records.set_aside": row["records_failed"], "error.type": row["error_code"],
        },
        failed=row["execution_status"] == "failed",
    )  # fmt: skip
    for one in db.query(_ATTEMPTS, (row["id"], _MOST_ATTEMPTS)):
        place = _place(one["request_url"] or "")
        is_http = place.scheme in {"http", "https"}
        yield _span(
            one["request_type"], correlation_id,
            one["span_id"] or tracing.span_id("attempt", f"{db.current().site}/{one['id']}"), own,
            (one["created_at"], one["response_time_ms"] or 0),
            {
                "http.request.method" if is_http else "edgekit.request": one["request_type"],
                # Without what is asked for: it may be somebody's.
                "url.full": place._replace(query="", fragment="").geturl(),
                "server.address": place.hostname, "server.port": _port(place),
                "http.response.status_code": one["response_code"],
                "http.request.resend_count": one["retry_count"] or None,
            },
            failed=not one["is_success"], is_call=True,
        )  # fmt: skip


def _of_slot(row: dict[str, Any]) -> ReadableSpan:
    return _span(
        f"slot {row['schedule']}", row["correlation_id"],
        tracing.span_id("slot", f"{db.current().site}/{row['id']}"), None,
        (row["started_at"] or row["scheduled_at"], row["ended_at"]),
        {
            "edgekit.schedule": row["schedule"], "edgekit.slot.id": row["id"],
            "edgekit.slot.kind": row["slot_kind"], "edgekit.slot.due_at": row["scheduled_at"],
            "edgekit.status": row["execution_status"], "edgekit.slot.reason": row["reason"],
        },
        failed=row["execution_status"] == "failed",
    )  # fmt: skip


def _span(
    name: str,
    correlation_id: str,
    own: str,
    parent: str | None,
    times: tuple[str, str | int],
    attributes: dict[str, Any],
    *,
    failed: bool,
    is_call: bool = False,
) -> ReadableSpan:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span: str) -> SpanContext:
        trace = int(tracing.trace_id(correlation_id), 16)
        return SpanContext(trace, int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    begin = _nanoseconds(times[0])
    end = begin + times[1] * 1_000_000 if isinstance(times[1], int) else _nanoseconds(times[1])
    said = {key: value for key, value in attributes.items() if value is not None}
    return ReadableSpan(
        name, context(own), context(parent) if parent else None, _resource(),
        {**said, "edgekit.correlation_id": correlation_id},
        kind=SpanKind.CLIENT if is_call else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
        start_time=begin, end_time=max(begin, end),
    )  # fmt: skip


def _resource() -> Resource:
    """Say who tells: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, or edgekit."""
    from opentelemetry.sdk.resources import Resource

    own: dict[str, Any] = {"service.version": __version__, "service.instance.id": db.current().site}
    told = os.environ.get("OTEL_SERVICE_NAME"), os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not told[0] and "service.name=" not in str(told[1]):
        own["service.name"] = "edgekit"
    return Resource.create(own)


def _nanoseconds(text: str) -> int:
    return round(clock.from_text(text).timestamp() * 1000) * 1_000_000


def _at_endpoint() -> str:
    name = next((name for name in _ENDPOINTS if os.environ.get(name)), "")
    parts = _place(os.environ.get(name, ""))
    if parts.scheme in {"http", "https"} and parts.netloc:
        return f" at {parts.scheme}://{parts.netloc}"
    return f" {name} names, which is no address such as http://localhost:4318,"


def _place(url: str) -> SplitResult:
    """Take an address apart, without a user's name in it; one that is none has no parts."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


def _port(place: SplitResult) -> int | None:
    try:
        return place.port
    except ValueError:
        return None
