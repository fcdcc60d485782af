"""One correlation id through all that belongs together, and W3C trace context on the way in and out."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from http_provider import Reply, serve

import edgekit
from edgekit import communications, configuration, db, integrations, jobs, runner, tracing, vault
from edgekit.cli import root
from edgekit.errors import CircuitOpenError, EdgekitError, RateLimitedError, UnavailableError
from edgekit.jobs import kinds
from edgekit.jobs.ending import decide
from edgekit.jobs.performing import perform
from edgekit.jobs.worker import told
from edgekit.jobs.workers import retold
from edgekit.runner.work import Work

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


def rest(url: str, **more: Any) -> None:
    settings = {
        "base_url": url, "records": "$.items", "table": "item", "key": "code", "create": True,
        "auth": {"kind": "none"}, "retry_delay_ms": 0,
    }  # fmt: skip
    integrations.create("items", template="rest-source", settings=settings | more)


class TestContext:
    def test_ids_of_one_form_become_those_of_the_other(self) -> None:
        ours = str(uuid.uuid4())
        assert tracing.trace_id(ours) == uuid.UUID(ours).hex
        header = tracing.write_parent(ours, tracing.new_span_id())
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", header)
        assert tracing.read_parent(header) == ours
        other = tracing.trace_id("invoice run 7")
        assert re.fullmatch(r"[0-9a-f]{32}", other)
        assert other == tracing.trace_id("invoice run 7") != tracing.trace_id("invoice run 8")
        assert tracing.trace_id(str(uuid.UUID(int=0))).strip("0"), "a trace id of zeros is none"
        assert tracing.span_id("execution", 1) == tracing.span_id("execution", 1)

    @pytest.mark.parametrize(
        "wrong",
        [
            None, "", "x", PARENT[:-1], PARENT.upper(), PARENT + "-more", f"ff{PARENT[2:]}",
            PARENT.replace(TRACE, "0" * 32), PARENT.replace("00f067aa0ba902b7", "0" * 16),
        ],
    )  # fmt: skip
    def test_a_malformed_one_is_no_one(self, wrong: str | None) -> None:
        assert tracing.read_parent(wrong) is None

    def test_one_of_a_later_version_is_read_as_far_as_it_is_known(self) -> None:
        assert tracing.read_parent(f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later") == str(
            uuid.UUID(TRACE)
        )

    def test_each_change_carries_what_is_at_hand_and_its_own_else(self, edge: Database) -> None:
        with tracing.under("mine"), edge.change() as change:
            assert change.correlation_id == "mine"
        with tracing.under("mine"), edge.change(correlation_id="said") as change:
            assert change.correlation_id == "said"
        with edge.change() as change:
            assert uuid.UUID(change.correlation_id).version == 4


@pytest.mark.ledger("S1-41")
def test_a_run_tells_each_try_and_keeps_what_it_told(edge: Database) -> None:
    replies = [Reply(status=503), Reply({"items": [{"code": "a"}]})]
    with serve(lambda _call: replies.pop(0)) as provider:
        rest(provider.url)
        result = runner.run("items")
        assert result.status == "completed"
    told = [call.headers["traceparent"].split("-") for call in provider.calls]
    assert {one[1] for one in told} == {uuid.UUID(result.correlation_id).hex}
    kept = [one["span_id"] for one in runner.show_execution(result.execution_id or 0)["attempts"]]
    assert kept == [one[2] for one in told]
    assert len(set(kept)) == 2
    written = db.query(
        "SELECT response_code, is_success, retry_count, correlation_id, response_time_ms >= 0 AS is_timed"
        " FROM integration_log ORDER BY id"
    )
    same = {"correlation_id": result.correlation_id, "is_timed": 1}
    assert written == [
        {"response_code": 503, "is_success": 0, "retry_count": 0, **same},
        {"response_code": 200, "is_success": 1, "retry_count": 1, **same},
    ]
    under_it = {
        row["correlation_id"]
        for row in db.query(
            "SELECT DISTINCT t.correlation_id FROM audit_log l JOIN audit_transaction t ON t.id = l.txn_id"
            " JOIN audit_table a ON a.id = l.table_id"
            " WHERE a.name IN ('item', 'integration_log', 'integration_execution', 'rate_limit_window',"
            " 'circuit_breaker', 'integration_checkpoint')"
        )
    }
    assert under_it == {result.correlation_id}, "what limits and breakers write belongs to the run as well"


def test_what_was_set_aside_goes_on_under_the_id_it_had(edge: Database) -> None:
    with serve(lambda _call: {"items": [{"code": "a"}, {"code": None}]}) as provider:
        rest(provider.url)
        result = runner.run("items")
        (letter,) = runner.list_dead_letters()
        assert runner.show_dead_letter(letter["id"])["correlation_id"] == result.correlation_id


def test_steps_taken_side_by_side_carry_it_too(edge: Database) -> None:
    rest("http://127.0.0.1:9")
    with Work(integrations.prepare("items")) as work, tracing.under("mine"):
        assert work.side_by_side([tracing.current] * 3) == ["mine"] * 3


def test_a_header_the_user_set_is_left_alone(edge: Database) -> None:
    with serve(lambda _call: {"items": [{"code": "a"}]}) as provider:
        rest(provider.url, headers={"Traceparent": PARENT})
        result = runner.run("items")
        assert provider.calls[0].headers.get_all("traceparent") == [PARENT]  # type: ignore[attr-defined]
        (attempt,) = runner.show_execution(result.execution_id or 0)["attempts"]
        assert attempt["span_id"] is None


def test_a_webhook_says_of_what_it_is_a_part_if_it_proves_who_it_is(edge: Database) -> None:
    vault.init()
    verify = {"kind": "token", "header": "X-Token"}
    integrations.create("inbox", template="webhook-inbox", settings={"verify": verify, "table": "item"})
    integrations.set_credential("inbox", "token", "sk-7Hq9-Zebra")
    integrations.create(
        "open", template="webhook-inbox", settings={"verify": {"kind": "none"}, "table": "item"}
    )
    headers = {"X-Token": "sk-7Hq9-Zebra", "Traceparent": PARENT, "Content-Type": "application/json"}
    runner.receive_webhook("inbox", headers=headers, body=b'{"id": 1}')
    runner.receive_webhook("open", headers=headers, body=b'{"id": 1}')
    runner.receive_webhook("inbox", headers=headers | {"Traceparent": "nonsense"}, body=b'{"id": 2}')
    written = "SELECT correlation_id FROM audit_transaction WHERE reason GLOB 'webhook *' ORDER BY id"
    ids = [row["correlation_id"] for row in db.query(written)]
    assert ids[0] == str(uuid.UUID(TRACE))
    assert len(set(ids)) == 3


def test_a_command_is_a_part_of_who_calls_it(edge_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(value: int) -> str:
        asked = ["--db", str(edge_file), "configuration", "set", "DCS_LIMITS", "daily_limit", str(value)]
        assert CliRunner().invoke(root.edgekit, asked).exit_code == 0
        newest = "SELECT correlation_id FROM audit_transaction ORDER BY id DESC LIMIT 1"
        with edgekit.open(edge_file) as opened:
            found: str = opened.query(newest)[0]["correlation_id"]
        return found

    monkeypatch.setenv("TRACEPARENT", PARENT)
    assert change(5) == str(uuid.UUID(TRACE))
    monkeypatch.setenv("TRACEPARENT", "nonsense")
    assert change(6) != str(uuid.UUID(TRACE))


def test_a_job_carries_its_id_to_whatever_it_does(edge: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def handle(_job: Any) -> None:
        seen.append(tracing.current())

    kind = kinds.Kind("test.seen", handle)
    monkeypatch.setattr(kinds, "get", lambda _name: kind)
    jobs.enqueue("test.seen", correlation_id="of the job", now=NOON)
    (claimed,) = jobs.claim("me", now=NOON, limit=1)
    perform(claimed)
    assert (seen, tracing.current()) == (["of the job"], None)


@pytest.mark.ledger("S0-75")
def test_a_job_held_back_by_us_comes_again_in_time_and_is_no_attempt(edge: Database) -> None:
    def after(error: EdgekitError) -> tuple[Any, ...]:
        jobs.enqueue("test.held", max_attempts=1, now=NOON)
        (claimed,) = jobs.claim("me", now=NOON, limit=1)
        decide(claimed, error, now=NOON)
        asked = "SELECT job_status, run_at, max_attempts - attempts FROM job WHERE id = ?"
        found: tuple[Any, ...] = db.connection().execute(asked, (claimed.id,)).fetchone()
        return found

    due = "2026-03-27T12:00:42.000Z"
    is_open = CircuitOpenError("open", target="http://a:1", retry_after=42)
    assert after(is_open) == ("pending", due, 1)
    assert after(retold(told(is_open))) == ("pending", due, 1), "of a process of its own as well"
    assert after(RateLimitedError("ours", limit="daily_limit", retry_after=42)) == ("pending", due, 1)
    assert after(RateLimitedError("theirs", retry_after=42))[0] == "failed"
    assert after(UnavailableError("gone"))[0] == "failed"


@pytest.mark.ledger("C-50")
def test_one_id_runs_from_the_slot_to_the_row_of_the_log(edge: Database) -> None:
    """Slot, job, execution, attempt, dead letter, event and all their rows in the log."""
    begin = datetime.now(UTC).replace(second=0, microsecond=0)
    with serve(lambda _call: {"items": [{"code": "a"}, "no record"]}) as provider:
        rest(provider.url)
        runner.add_schedule("hourly", integration="items", every=60, now=begin)
        runner.tick(begin + timedelta(minutes=61))
        runner.tick(begin + timedelta(minutes=62))
    (slot,) = db.query("SELECT * FROM integration_schedule_execution WHERE execution_id IS NOT NULL")
    one = slot["correlation_id"]
    assert uuid.UUID(one).version == 4
    assert provider.calls[0].headers["traceparent"].split("-")[1] == uuid.UUID(one).hex
    for table in ("job WHERE kind = 'integration.run'", "integration_execution", "integration_log",
                  "dead_letter", "integration_event WHERE event_type GLOB 'run.*'"):  # fmt: skip
        found = db.query(f"SELECT correlation_id FROM {table}")
        assert found, table
        assert {row["correlation_id"] for row in found} == {one}, table
    logged = {
        row["name"]
        for row in db.query(
            "SELECT DISTINCT a.name FROM audit_log l JOIN audit_transaction t ON t.id = l.txn_id"
            " JOIN audit_table a ON a.id = l.table_id WHERE t.correlation_id = ?",
            (one,),
        )
    }
    assert logged >= {"item", "integration_execution", "dead_letter", "integration_schedule_execution"}


@pytest.mark.ledger("C-50")
def test_one_id_runs_from_a_communication_to_what_is_told_of_it(edge: Database) -> None:
    """Communication, job, attempt, event and the request itself; its child shares it."""
    with serve(lambda _call: {"ok": True}) as provider:
        integrations.create("partner", template="webhook-endpoint", settings={"to.base_url": provider.url})
        vault.init()
        integrations.set_credential("partner", "signing_key", "a key both sides know")
        configuration.set("CHANNEL_WEBHOOK", "integration", "partner")
        made = communications.create("ALERT_NOTIFICATION", channel="WEBHOOK", request_data={"a": 1}, now=NOON)
        answer = communications.create("ALERT_NOTIFICATION", channel="INTERNAL", parent=made.id, now=NOON)
        runner.tick(NOON)
    one = communications.show(made.id)["correlation_id"]
    assert communications.show(made.id)["status"] == "COMPLETED"
    assert communications.show(answer.id)["correlation_id"] == one
    assert provider.calls[0].headers["traceparent"].split("-")[1] == uuid.UUID(one).hex
    told = {
        table: {row["correlation_id"] for row in db.query(f"SELECT correlation_id FROM {table}")}
        for table in ("job WHERE kind = 'communication.send'", "integration_log",
                      "integration_event WHERE event_type GLOB 'communication.*'")
    }  # fmt: skip
    assert set(map(frozenset, told.values())) == {frozenset({one})}, told
