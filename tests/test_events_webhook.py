"""Events told to another service: signed, in order, under one key, whatever the receiver does."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import http_provider
import pytest

from edgekit import events, integrations, jobs, runner, vault
from edgekit.connectors.http_signature import Message, Signature
from edgekit.errors import DeniedError, InvalidError, NotFoundError, StoppedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgekit.db import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = base64.b64encode(b"a key both sides know well").decode()
STANDARD = {
    "header": "webhook-signature", "prefix": "v1,", "encoding": "base64", "key_encoding": "base64",
    "over": "{nonce}.{timestamp}.{body}", "nonce_header": "webhook-id",
    "timestamp_header": "webhook-timestamp",
}  # fmt: skip


class Receiver:
    """Checks every request as a receiver of Standard Webhooks does, and answers as it is told to."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], Any] = lambda _: http_provider.Reply(None, 204)
        self.taken: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.refused: list[str] = []

    def __call__(self, call: http_provider.Call) -> Any:
        headers = {name.lower(): value for name, value in call.headers.items()}
        try:
            Signature(STANDARD, KEY).verify(Message(call.method, call.path, "", call.body), headers)
        except DeniedError as error:
            self.refused.append(error.message)
            return http_provider.Reply({"error": error.message}, 401)
        assert headers["content-type"].startswith("application/cloudevents+json")
        assert headers["webhook-id"] == headers["idempotency-key"]
        document = json.loads(call.body)
        self.keys.append(headers["idempotency-key"])
        reply = self.answer(document)
        if not isinstance(reply, http_provider.Reply) or reply.status < 300:
            self.taken.append(document)
        return reply

    @property
    def numbers(self) -> list[int]:
        return [document["data"]["n"] for document in self.taken]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def hook(edge: Database, receiver: Receiver) -> Iterator[http_provider.Provider]:
    vault.init()
    with http_provider.serve(receiver) as provider:
        settings = {"to.url": f"{provider.url}/hook", "to.timeout_seconds": 0.5}
        integrations.create("partner", template="webhook-out", settings=settings)
        integrations.set_credential("partner", "signing_key", f"whsec_{KEY}")
        yield provider


def subscribe(**given: Any) -> None:
    events.add_subscription(
        "partner", handler="event.webhook", event_type="policy.*", config={"integration": "partner"}, **given
    )


def tell(number: int, key: str | None = None) -> events.Event:
    return events.emit("policy.bound", {"n": number}, source="MODULES", target="AUTO", ordering_key=key)


def work(now: datetime = NOW) -> None:
    while events.fan_out(now).more or (found := jobs.claim("me", now=now, limit=100)):
        jobs.settle([jobs.perform(job) for job in found], now=now)


def statuses(db: Database) -> list[str]:
    return [row["delivery_status"] for row in db.query("SELECT * FROM event_delivery ORDER BY id")]


@pytest.mark.ledger("S3-40")
def test_a_subscriber_is_told_signed_as_a_cloud_event(
    edge: Database, receiver: Receiver, hook: http_provider.Provider
) -> None:
    subscribe()
    with edge.change(correlation_id="0af76519-16cd-43dd-8448-eb211c80319c"):
        told = tell(1, "policy:1")
    work()
    (document,) = receiver.taken
    assert document.pop("time").endswith("Z")
    assert document.pop("traceparent").startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert document == {
        "specversion": "1.0", "id": told.uuid, "source": f"/edgekit/{edge.site}/modules",
        "type": "policy.bound", "subject": "AUTO", "datacontenttype": "application/json",
        "partitionkey": "policy:1", "sequence": "0000000000000000001",
        "correlationid": "0af76519-16cd-43dd-8448-eb211c80319c", "data": {"n": 1},
    }  # fmt: skip
    (row,) = edge.query("SELECT response_code, is_success, correlation_id FROM integration_log")
    assert tuple(row.values()) == (204, 1, told.correlation_id)
    assert jobs.list_jobs(kind="event.webhook")[0].result == {"status": 204}


def test_a_receiver_that_fails_for_a_while_gets_all_in_order_under_the_same_keys(
    edge: Database, receiver: Receiver, hook: http_provider.Provider
) -> None:
    subscribe()
    for number, key in ((1, "a"), (2, "a"), (3, "b")):
        tell(number, key)
    receiver.answer = lambda _: http_provider.Reply({"error": "later"}, 503)
    work()
    work(NOW + timedelta(minutes=1))
    assert (receiver.taken, len(receiver.keys), len(set(receiver.keys))) == ([], 4, 2)
    (failure,) = events.list_deliveries(status="pending", event=1)
    assert "503" in failure["error"]
    receiver.answer = lambda _: {"ok": True}
    work(NOW + timedelta(hours=1))
    assert receiver.numbers in ([1, 2, 3], [1, 3, 2], [3, 1, 2])
    assert len(set(receiver.keys)) == 3
    assert events.list_events(status="processed", limit=9).__len__() == 3


@pytest.mark.parametrize("how", ["late", "cut", "404", "500", "redirect", "dripping"])
def test_what_is_no_yes_is_tried_again(
    edge: Database, receiver: Receiver, hook: http_provider.Provider, how: str
) -> None:
    replies = {
        "late": http_provider.Reply(hold=True), "cut": http_provider.Reply({"a": "b" * 100}, cut=True),
        "404": http_provider.Reply({}, 404), "500": http_provider.Reply(b"\xff\x00<html>", 500),
        "redirect": http_provider.Reply(None, 302, {"Location": "/elsewhere"}),
        "dripping": http_provider.Reply(b"x" * 50, drip=0.1),
    }  # fmt: skip
    subscribe()
    tell(1)
    receiver.answer = lambda _: replies[how]
    work()
    assert statuses(edge) == ["pending"]
    receiver.answer = lambda _: http_provider.Reply(
        b"\xff\xfe no JSON <html>", 200, {"Content-Type": "application/json"}
    )
    work(NOW + timedelta(minutes=5))
    assert statuses(edge) == ["delivered"], "any 2xx is a yes, whatever it says"
    assert len(set(receiver.keys)) == 1


def test_a_dead_letter_is_replayed_when_the_key_is_right_again(
    edge: Database, receiver: Receiver, hook: http_provider.Provider
) -> None:
    subscribe(max_attempts=2)
    integrations.set_credential("partner", "signing_key", base64.b64encode(b"another key, alas").decode())
    told = tell(1)
    work()
    work(NOW + timedelta(hours=1))
    assert (statuses(edge), receiver.refused) == (["failed"], ["The signature is wrong."] * 2)
    integrations.set_credential("partner", "signing_key", KEY)
    assert events.replay_event(told.uuid, now=NOW) == 1
    work(NOW)
    assert (statuses(edge), receiver.numbers) == (["delivered"], [1])


def test_one_dead_receiver_holds_up_no_other(
    edge: Database, receiver: Receiver, hook: http_provider.Provider
) -> None:
    settings = {"to.url": "http://127.0.0.1:9/hook"}
    integrations.create("dead", template="webhook-out", settings=settings)
    integrations.set_credential("dead", "signing_key", KEY)
    events.add_subscription("dead", handler="event.webhook", config={"integration": "dead"}, max_attempts=1)
    subscribe()
    for number in (1, 2):
        tell(number, "k")
    work()
    assert receiver.numbers == [1, 2]
    assert [d["status"] for d in events.list_deliveries(subscription="dead")] == ["failed", "failed"]
    assert {e["status"] for e in events.list_events()} == {"failed"}


def test_a_subscription_that_cannot_work_says_so(
    edge: Database, receiver: Receiver, hook: http_provider.Provider
) -> None:
    integrations.create("csv", template="csv-import", settings={"path": "a.csv", "table": "t"})
    for kind, config, said in (
        ("event.webhook", {}, "names no integration"),
        ("event.webhook", {"integration": "csv"}, "csv tells nobody by webhook"),
        ("event.run", {"integration": "none"}, "no integration none"),
    ):
        with pytest.raises((InvalidError, NotFoundError), match=said):
            events.add_subscription("wrong", handler=kind, config=config)
    subscribe()
    integrations.disable("partner")
    tell(1)
    work()
    (letter,) = events.list_deliveries(status="failed")
    assert letter["error"] == "The integration partner is disabled."
    integrations.enable("partner")
    with pytest.raises(InvalidError, match="reads the events that a subscription hands"):
        runner.run("partner")


_DIES = """
import os, sys
import edgekit
from edgekit import events, jobs
from edgekit.runner.listening import webhooks
webhooks._log = lambda *_: os._exit(9)
with edgekit.open(sys.argv[1]):
    now = __import__("datetime").datetime.fromisoformat(sys.argv[2])
    events.fan_out(now)
    for job in jobs.claim("dead", now=now):
        jobs.perform(job)
"""


@pytest.mark.slow
def test_killed_between_sending_and_noting_it_is_sent_again_under_its_key(
    edge: Database, edge_file: Path, receiver: Receiver, hook: http_provider.Provider
) -> None:
    subscribe()
    told = tell(1)
    ended = subprocess.run(
        [sys.executable, "-c", _DIES, str(edge_file), NOW.isoformat()], check=False, capture_output=True
    )
    assert ended.returncode == 9, ended.stderr.decode()
    assert (receiver.numbers, statuses(edge)) == ([1], ["delivering"])
    jobs.recover(["dead"], now=NOW)
    work()
    assert (receiver.numbers, len(set(receiver.keys)), statuses(edge)) == ([1, 1], 1, ["delivered"])
    assert {document["id"] for document in receiver.taken} == {told.uuid}


# ------------------------------------------------------------------------------------- an event as an input


def into(name: str, **settings: Any) -> None:
    given = {"connector": "event", "table": name, "key": "n", "create": True, **settings}
    integrations.create(name, template="csv-import", settings=given)


@pytest.mark.ledger("S3-40")
def test_an_integration_runs_with_an_event_as_its_record_once(edge: Database, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("n,state\n9,old\n")
    integrations.create(
        "policies", template="csv-import",
        settings={"path": str(tmp_path / "in.csv"), "table": "pol", "key": "n", "create": True},
    )  # fmt: skip
    assert runner.run("policies").records_written == 1
    events.add_subscription(
        "runs", handler="event.run", event_type="policy.*", config={"integration": "policies"}
    )
    told = events.emit("policy.bound", {"n": 1, "state": "bound"}, source="MODULES")
    work()
    assert edge.query("SELECT n, state FROM pol ORDER BY n") == [
        {"n": 1, "state": "bound"}, {"n": 9, "state": "old"},
    ]  # fmt: skip
    (run,) = edge.query("SELECT * FROM integration_execution WHERE trigger_kind = 'event'")
    assert (run["execution_status"], run["correlation_id"]) == ("completed", told.correlation_id)
    completed = events.list_events(event_type="run.completed")[0]
    assert (completed["causation_id"], completed["payload"]["execution_id"]) == (told.uuid, run["id"])
    again = runner.run("policies")
    assert (again.records_read, again.records_changed) == (1, 0), "its checkpoint is its own"


def test_a_run_that_an_event_started_and_its_delivery_end_together_or_not_at_all(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    into("pol")
    events.add_subscription("runs", handler="event.run", config={"integration": "pol"}, event_type="policy.*")
    settle, ends = events.Delivery.settle, []

    def once_broken(delivery: events.Delivery, result: Any = None, **given: Any) -> None:
        settle(delivery, result, **given)
        ends.append(result)
        if len(ends) == 1:
            raise UnavailableError("the power went")

    monkeypatch.setattr(events.Delivery, "settle", once_broken)
    events.emit("policy.bound", {"n": 1}, source="MODULES")
    work()
    runs = "SELECT execution_status FROM integration_execution ORDER BY id"
    assert ([row["execution_status"] for row in edge.query(runs)], statuses(edge)) == (
        ["failed"],
        ["pending"],
    )
    assert edge.query("SELECT name FROM sqlite_schema WHERE name = 'pol'") == [] or (
        edge.query("SELECT n FROM pol") == []
    )
    work(NOW + timedelta(hours=1))
    assert [row["execution_status"] for row in edge.query(runs)] == ["failed", "completed"]
    assert edge.query("SELECT n FROM pol") == [{"n": 1}]
    assert [d["attempts"] for d in events.list_deliveries(subscription="runs", status="delivered")] == [2]
    assert [event["type"] for event in events.list_events(event_type="run.*")] == [
        "run.recovered", "run.completed",
    ], "a failure that is tried again is not told"  # fmt: skip


def test_a_run_that_is_stopped_for_good_is_told_as_failed(edge: Database) -> None:
    into("pol")
    given = {"config": {"integration": "pol"}, "event_type": "policy.*", "max_attempts": 2}
    events.add_subscription("runs", handler="event.run", **given)
    events.emit("policy.bound", {"n": 1}, source="MODULES")
    events.fan_out(NOW)
    for attempt in (1, 2):
        at = NOW + timedelta(hours=attempt)
        (job,) = jobs.claim("me", now=at)
        with edge.change():
            edge.connection().execute(
                "INSERT INTO integration_execution(uuid, integration_id, trigger_kind, execution_status,"
                " runner_id, correlation_id) VALUES (?, 1, 'event', 'running', '777-x', ?)",
                (str(uuid.uuid4()), job.correlation_id),
            )
        late = StoppedError("It took too long: https://u:secret@example.org", reason="timeout")
        jobs.settle([jobs.Outcome(job, error=late, process_id=777)], now=at)
        told = events.list_events(event_type="run.*")
        assert len(told) == attempt - 1, "while it is tried again nothing has failed"
    assert told[0]["type"] == "run.failed"
    assert (told[0]["payload"]["error_code"], told[0]["payload"]["execution_id"]) == ("timeout", 2)
    assert (told[0]["target"], told[0]["ordering_key"]) == ("pol", "run/1")
    assert told[0]["payload"]["error_message"] == "It took too long: https://***@example.org"


def test_how_runs_end_is_told_once_each(edge: Database, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("n\n1\n")
    integrations.create(
        "it", template="csv-import", settings={"path": str(path), "table": "t", "key": "n", "create": True}
    )
    runner.run("it")
    path.unlink()
    runner.run("it")
    path.write_text("n\n2\n")
    runner.run("it")
    runner.run("it", dry_run=True)
    found = list(reversed(events.list_events(event_type="run.*")))
    assert [event["type"] for event in found] == [
        "run.completed", "run.failed", "run.completed", "run.recovered",
    ]  # fmt: skip
    assert found[1]["payload"]["error_message"]
    assert (found[0]["payload"]["records_written"], found[0]["target"]) == (1, "it")
    assert {event["ordering_key"] for event in found} == {"run/1"}
