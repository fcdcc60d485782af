"""What others tell by webhook: real requests to a real server, kept before they are answered, read once."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from connector_contract import ConnectorContract

import edgekit
from edgekit import audit, clock, db, integrations, runner, sqlite, vault
from edgekit.connectors import Connector, check_config, get
from edgekit.connectors.webhook import WebhookConnector, decode
from edgekit.errors import DeniedError, InvalidError, NotFoundError, UnavailableError
from edgekit.file import sealing
from edgekit.runner import webhook_server, webhooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edgekit.db import Database
    from edgekit.runner.webhooks import Receipt

KEY = "wh-k3y-to-sign"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make(name: str = "pay", **settings: Any) -> None:
    """Make an integration that takes webhooks; unless told otherwise anybody's, with their id at $.id."""
    given = {"table": "payment", "key": "id", "create": True, "verify": {"kind": "none"}, "id_path": "$.id"}
    integrations.create(name, template="webhook-inbox", settings={**given, **settings})


def stored() -> list[dict[str, Any]]:
    return db.query("SELECT id, event_id, content_type, headers, body FROM webhook_receipt ORDER BY id")


def tell(name: str = "pay", document: Any = None, **more: Any) -> Receipt:
    body = document if isinstance(document, bytes) else json.dumps(document or {"id": "e1"}).encode()
    return runner.receive_webhook(name, **{"headers": {}, "body": body, "now": NOW, **more})


@contextmanager
def serving(**options: Any) -> Iterator[webhook_server.WebhookServer]:
    """Run a receiver for the opened file until the block ends."""
    server = webhook_server.WebhookServer(**options)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


def address(server: webhook_server.WebhookServer) -> tuple[str, int]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


def post(
    server: webhook_server.WebhookServer, path: str, body: Any, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*address(server), timeout=5)
    try:
        connection.request("POST", path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def raw(server: webhook_server.WebhookServer, sent: bytes) -> bytes:
    """Send bytes as they are and return all that comes back."""
    with socket.create_connection(address(server), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        while piece := connection.recv(65536):
            found += piece
        return found


def signed(body: str, key: str = KEY, at: datetime | None = None) -> dict[str, str]:
    moment = str(int((at or clock.now()).timestamp()))
    mac = hmac.new(key.encode(), f"{moment}.{body}".encode(), hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={moment},v1={mac}"}


STRIPE = {
    "kind": "hmac",
    "header": "Stripe-Signature",
    "prefix": "t={timestamp},v1=",
    "over": "{timestamp}.{body}",
}


class Given(WebhookConnector):
    """The connector with the rows a run would give it: those of the file behind the checkpoint."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def read(self, config: Any, *, state: Any, inputs: Any, secrets: Any) -> Any:
        left = (row for row in self.rows if row["id"] > state.get("input", 0))
        return super().read(config, state=state, inputs=left, secrets=secrets)


class TestContract(ConnectorContract):
    """The connector keeps to what all keep to."""

    @pytest.fixture
    def connector(self) -> Connector:
        row = {"content_type": None, "headers": "{}", "received_at": "2026-03-01T12:00:00.000Z"}
        bodies = ['{"id": 1}', "[1, 2]", "oops", '[{"id": 4}, {"id": 5}]', '{"id": 6}', '{"id": 7}']
        return Given([{"id": n, "event_id": str(n), "body": b, **row} for n, b in enumerate(bodies, 1)])

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return {"verify": {"kind": "none"}, "batch_size": 2}

    def test_an_error_is_of_the_tree_and_tells_no_secret(self) -> None:  # type: ignore[override]
        """It reads what is here already: nothing can break."""


@pytest.mark.parametrize(
    "config",
    [{}, {"verify": {"kind": "maybe"}}, {"verify": {"kind": "none"}, "id_path": "$.id", "id_header": "X"}],
)
def test_how_senders_are_verified_is_said_and_not_assumed(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        check_config(get("webhook"), config)


@pytest.mark.usefixtures("edge")
def test_what_is_told_is_kept_as_it_came_and_told_again_only_once() -> None:
    make()
    body = '{"id": "e1",  "name": "Ännchen"}'.encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Topic": "paid",
        "Authorization": "Bearer x",
    }
    first = tell(document=body, headers=headers)
    again = tell(document=b'{"id": "e1", "name": "other"}')
    assert (first.is_new, again.is_new, again.id) == (True, False, first.id)
    (row,) = stored()
    assert (row["event_id"], row["content_type"]) == ("e1", "application/json")
    assert row["body"] == body.decode()
    assert set(json.loads(row["headers"])) == {"content-type", "x-topic"}
    make("other")
    assert tell("other").is_new  # the id is unique within an integration only


@pytest.mark.usefixtures("edge")
def test_without_a_place_for_ids_each_delivery_counts() -> None:
    integrations.create("all", template="webhook-inbox", settings={"table": "t", "verify": {"kind": "none"}})
    assert [tell("all").is_new, tell("all").is_new] == [True, True]
    integrations.create(
        "by-header", template="webhook-inbox",
        settings={"table": "t", "verify": {"kind": "none"}, "id_header": "X-Delivery"},
    )  # fmt: skip
    assert tell("by-header", headers={"x-delivery": "d1"}).event_id == "d1"
    with pytest.raises(InvalidError, match="no id of the event at X-Delivery"):
        tell("by-header")


WRONG: list[tuple[bytes, dict[str, str], str]] = [
    (b"", {}, "neither JSON nor a form"),
    (b'{"id":', {}, "neither JSON nor a form"),
    (b"\xff\xfe", {}, "UTF-8"),
    (b'{"id": "a\x00"}', {}, "NUL"),
    (b'{"id": {"a": 1}}', {}, "no id"),
    (b'{"id": "' + b"x" * 201 + b'"}', {}, "no id"),
    (b"[" * 100_000 + b"]" * 100_000, {}, "nested"),
    (b"a;b", {"Content-Type": "application/x-www-form-urlencoded"}, "a form"),
    (b"\x1f\x8b", {"Content-Encoding": "gzip"}, "compressed"),
]


@pytest.mark.usefixtures("edge")
def test_wrong_content_is_refused_and_not_kept() -> None:
    make()
    for body, headers, says in WRONG:
        with pytest.raises(InvalidError, match=says):
            tell(document=body, headers=headers)
    assert stored() == []


@pytest.mark.usefixtures("edge")
def test_who_asks_whether_we_are_there_is_answered() -> None:
    make(challenge="$.challenge")
    with serving() as server:
        asked = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"})
        assert post(server, "/webhooks/pay", asked) == (200, {"challenge": "3eZbrw1a"})
        assert post(server, "/webhooks/pay", '{"id": 1, "challenge": 7}')[1]["repeated"] is False
    assert len(stored()) == 1


@pytest.mark.usefixtures("edge")
def test_only_who_signs_is_believed_and_only_for_a_while() -> None:
    vault.init()
    make(verify=STRIPE)
    integrations.set_credential("pay", "signing_key", KEY)
    body = '{"id": "e1"}'
    for wrong in (
        {},
        signed(body, "an0ther"),
        signed('{"id": "e2"}', at=NOW),
        {"Stripe-Signature": "t=,v1="},
    ):
        with pytest.raises(DeniedError):
            tell(document=body.encode(), headers=wrong)
    with pytest.raises(DeniedError, match="time"):
        tell(document=body.encode(), headers=signed(body, at=NOW - timedelta(seconds=301)))
    assert stored() == []
    assert tell(document=body.encode(), headers=signed(body, at=NOW)).is_new
    assert "stripe-signature" not in stored()[0]["headers"]


@pytest.mark.usefixtures("edge")
def test_a_token_is_compared_whole() -> None:
    vault.init()
    make(verify={"kind": "token", "header": "Authorization", "prefix": "Bearer ", "secret": "hook_token"})
    with pytest.raises(UnavailableError, match="hook_token"):
        tell(headers={"Authorization": "Bearer "})
    integrations.set_credential("pay", "hook_token", KEY)
    for wrong in ("", "Bearer", "Bearer ", f"Bearer {KEY[:-1]}", f"Bearer {KEY}x", KEY, "Bearer ä"):
        with pytest.raises(DeniedError):
            tell(headers={"Authorization": wrong})
    assert tell(headers={"Authorization": f"Bearer {KEY}"}).is_new


@pytest.mark.usefixtures("edge")
def test_a_run_reads_each_receipt_once_whatever_the_settings_become() -> None:
    make(records="$.items", about="webhook")
    assert (runner.run("pay").status, runner.run("pay", dry_run=True).records_read) == ("completed", 0)
    tell(
        document={"id": "e1", "items": [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, 7]},
        headers={"X-Topic": "t"},
    )
    tell(document={"id": "e2", "none": True})
    first = runner.run("pay")
    assert (first.status, first.records_written, first.dead_letters) == ("completed", 2, 2)
    letters = runner.list_dead_letters()
    assert [letter["source_position"] for letter in letters] == ["receipt 1 record 3", "receipt 2"]
    (row, _) = db.query("SELECT * FROM payment ORDER BY id")
    assert json.loads(row["webhook"]) == {
        "event_id": "e1", "received_at": "2026-03-01T12:00:00.000Z", "headers": {"x-topic": "t"},
    }  # fmt: skip
    assert runner.run("pay").records_read == 0
    tell(document={"id": "e3", "items": [{"id": 3, "v": "c"}]})
    with db.change(reason="settings"):
        db.connection().execute(
            "UPDATE integration SET connection_config = json_set(connection_config, '$.max_body_bytes', 5000)"
        )
    second = runner.run("pay")
    assert (second.records_read, second.records_written) == (1, 1)
    assert len(runner.list_dead_letters()) == 2  # that they were not met again says nothing
    listed = runner.list_webhook_receipts(integration="pay")
    assert [(row["id"], row["is_read"]) for row in listed] == [(3, True), (2, True), (1, True)]
    tell(document={"id": "e4", "items": []})
    assert [row["is_read"] for row in runner.list_webhook_receipts(limit=1)] == [False]
    with pytest.raises(InvalidError, match="no input"):
        runner.run("pay", input="x.json")


def test_a_form_is_read_by_its_fields() -> None:
    body, kind = "from=%2B1555&tag=a&tag=b&empty=", "application/x-www-form-urlencoded; charset=utf-8"
    assert decode(body, kind) == {"from": "+1555", "tag": ["a", "b"], "empty": ""}


@pytest.mark.usefixtures("edge")
def test_what_is_answered_is_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    make()
    levels: list[int] = []
    receive = webhooks.receive_webhook

    def looked(*args: Any, **more: Any) -> Receipt:
        levels.extend(db.connection().execute("PRAGMA synchronous").fetchone())
        return receive(*args, **more)

    monkeypatch.setattr(webhooks, "receive_webhook", looked)
    with serving() as server:
        assert post(server, "/webhooks/pay", '{"id": "e1"}')[0] == 200
    assert levels == [2]  # FULL


def test_the_server_answers_when_it_is_kept(edge: Database) -> None:
    make()
    with serving() as server:
        assert post(server, "/webhooks/pay", '{"id": "e1"}') == (200, {"id": 1, "repeated": False})
        assert len(stored()) == 1
        assert post(server, "/webhooks/pay", '{"id": "e1"}') == (200, {"id": 1, "repeated": True})
        chunks = b'6\r\n{"id":\r\n5\r\n "e2"\r\n1\r\n}\r\n0\r\n\r\n'
        assert raw(server, CHUNKED + chunks).startswith(b"HTTP/1.1 200")
        assert post(server, "/webhooks/p%61y?x=1", '{"id": "e3"}')[0] == 200
    assert [row["event_id"] for row in stored()] == ["e1", "e2", "e3"]
    assert not edge.open_change


@pytest.mark.slow
@pytest.mark.usefixtures("edge")
def test_the_same_event_told_by_many_at_once_is_kept_once() -> None:
    make()
    with serving() as server, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: post(server, "/webhooks/pay", '{"id": "e1"}'), range(24)))
    assert [status for status, _ in answers] == [200] * 24
    assert sum(not said["repeated"] for _, said in answers) == 1
    assert len(stored()) == 1


def head(length: int | str, *more: str) -> bytes:
    lines = ["POST /webhooks/pay HTTP/1.1", "Host: x", f"Content-Length: {length}", *more, "", ""]
    return "\r\n".join(lines).encode()


CHUNKED = b"POST /webhooks/pay HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


SENT: list[tuple[bytes, int]] = [
    (b"GET /webhooks/pay HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /webhooks/nobody HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /webhooks/../pay HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /webhooks/file HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (head(101), 413),
    (head(0), 400),
    (head(9) + b'{"id": 1}', 200),
    (CHUNKED + b"fff\r\n" + b"x" * 4095, 413),
    (head(4, "Content-Length: 5") + b"abcd", 400),
    (head("-4"), 400),
    (head(4, "X: " + "y" * 200_000), 431),
    (b"\x16\x03\x01\x02\x00\x01", 400),
    (b"POST /webhooks/pay HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", 400),
]


def test_whatever_is_sent_is_answered_in_one_line(edge: Database, capfd: pytest.CaptureFixture[str]) -> None:
    make(max_body_bytes=100)
    integrations.create("file", template="csv-import", settings={"path": "x", "table": "item"})
    with serving() as server:
        for sent, status in SENT:
            first, _, rest = raw(server, sent).partition(b"\r\n")
            assert int(first.split()[1]) == status, sent[:200]
            assert json.loads(rest.partition(b"\r\n\r\n")[2])
    assert "Traceback" not in capfd.readouterr().err
    assert len(stored()) == 1
    assert not edge.open_change


@pytest.mark.slow
@pytest.mark.usefixtures("edge")
def test_who_says_nothing_or_half_is_cut_off() -> None:
    make()
    halves = [b"", b"POST /webh", head(100) + b'{"id"', head(9, "Expect: 100-continue")]
    with serving(seconds=0.2) as server, ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(address(server), timeout=5)) for _ in halves]
        for connection, sent in zip(slow, halves, strict=True):
            connection.sendall(sent)
        found = [b"".join(iter(lambda c=connection: c.recv(65536), b"")) for connection in slow]
        assert found == [b"", b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n"]
        assert post(server, "/webhooks/pay", '{"id": "e1"}')[0] == 200
    assert len(stored()) == 1


def test_bad_attempts_are_logged_within_bounds_and_nothing_tells_a_secret(
    edge_file: Path, edge: Database, caplog: pytest.LogCaptureFixture
) -> None:
    vault.init()
    make(verify=STRIPE)
    integrations.set_credential("pay", "signing_key", KEY)
    body = json.dumps({"id": "e1"})
    with caplog.at_level(logging.DEBUG), serving() as server:
        for _ in range(25):
            assert post(server, "/webhooks/pay", body, signed(body, "wr0ng-key-wr0ng"))[0] == 401
            assert post(server, "/webhooks/nobody", body)[0] == 404
        good = signed(body)
        assert post(server, "/webhooks/pay", body, good | {"X-Api-Key": KEY, "Cookie": "s=1"})[0] == 200
        old = signed(body, at=clock.now() - timedelta(hours=1))
        assert post(server, "/webhooks/pay", body, old)[0] == 401
    logged = db.query("SELECT request_type, request_url, response_code, error_message FROM integration_log")
    assert len(logged) == 10
    assert logged[0]["response_code"] == 401
    assert "The signature is wrong. (from 127.0.0.1)" in logged[0]["error_message"]
    assert len([r for r in caplog.records if "nobody" in r.getMessage()]) == 10
    edge.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = edge_file.read_bytes() + caplog.text.encode()
    for secret in (KEY, good["Stripe-Signature"].partition("v1=")[2], "wr0ng-key-wr0ng", "s=1"):
        assert secret.encode() not in kept


def test_what_cannot_be_checked_is_to_be_told_again(edge: Database) -> None:
    vault.init()
    make(verify={"kind": "hmac"})
    with serving() as server:
        assert post(server, "/webhooks/pay", "{}")[0] == 503
    assert stored() == []
    assert db.query("SELECT response_code AS c FROM integration_log") == [{"c": 503}]


def test_an_address_in_use_is_said_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UnavailableError, match="listen on"):
        webhook_server.WebhookServer(port=taken.getsockname()[1])


def test_who_receives_for_one_organization_receives_nothing_for_another(
    edge_file: Path, edge: Database
) -> None:
    with edge.change():
        run = edge.connection().execute
        run("INSERT INTO organization(id, code, name) VALUES (2, 'B', 'Bee')")
        run("INSERT INTO user(username, organization_id, role_id) VALUES ('bob', 2, 2)")
    make()
    tell()
    edge.close()
    with edgekit.open(edge_file, actor="bob"):
        make("ours")
        with serving() as server:
            assert post(server, "/webhooks/pay", '{"id": "e1"}')[0] == 404
            assert post(server, "/webhooks/ours", '{"id": "e1"}')[0] == 200
        assert [row["integration"] for row in runner.list_webhook_receipts()] == ["ours"]
        with pytest.raises(NotFoundError):
            runner.show_webhook_receipt(1)
        assert runner.show_webhook_receipt(2)["body"] == '{"id": "e1"}'
        assert runner.run("ours").records_written == 1


@pytest.mark.slow
def test_what_was_answered_survives_a_kill(edge_file: Path, edge: Database) -> None:
    make()
    edge.close()
    command = [
        sys.executable,
        "-m",
        "edgekit",
        "--db",
        str(edge_file),
        "webhooks",
        "serve",
        "--port",
        "0",
        "--json",
    ]
    for number in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            server: Any = type("At", (), {"url": url})
            told = [
                post(server, "/webhooks/pay", json.dumps({"id": n}))[0]
                for n in range(number * 5, number * 5 + 5)
            ]
            process.kill()
        assert told == [200] * 5
    with edgekit.open(edge_file):
        assert [row["event_id"] for row in stored()] == [str(n) for n in range(15)]
        assert runner.run("pay").records_written == 15


RUN = """
import sys, edgekit
from edgekit import runner
with edgekit.open(sys.argv[1]):
    runner.run("pay", progress=lambda count: print(count, flush=True))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_behind_the_last_receipt_it_committed(
    edge_file: Path, edge: Database
) -> None:
    make(batch_size=3, key="sid")
    for number in range(200):
        tell(document={"id": f"e{number}", "sid": number})
    edge.close()
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(edge_file)], stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout is not None
        for _ in range(5):
            assert one.stdout.readline()
        one.kill()
    with edgekit.open(edge_file):
        (before,) = db.query("SELECT records_read AS n, execution_status AS s FROM integration_execution")
        assert 15 <= before["n"] < 200
        assert before["s"] == "running"
        second = runner.run("pay")
        assert second.records_read == 200 - before["n"]
        assert db.query("SELECT count(DISTINCT sid) AS n, count(*) AS m FROM payment") == [
            {"n": 200, "m": 200}
        ]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_ends_the_server_in_good_order(edge_file: Path, edge: Database) -> None:
    make()
    edge.close()
    command = [sys.executable, "-m", "edgekit", "--db", str(edge_file), "webhooks", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "Ctrl-C ends it" in process.stdout.readline()
        assert "not verified" in process.stdout.readline()
        began = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in errors
    assert time.monotonic() - began < 5


def test_old_receipts_are_pruned_with_the_log(edge_file: Path, edge: Database) -> None:
    make()
    tell(document={"id": "old"}, now=datetime(2020, 5, 1, tzinfo=UTC))
    tell(document={"id": "new"}, now=clock.now())
    edge.close()
    with closing(sqlite.connect(edge_file)) as connection:
        audit.seal(connection)
    assert sealing.prune(edge_file, before="2025-01-01").logged["webhook_receipt"] == 1
    with edgekit.open(edge_file):
        assert [row["event_id"] for row in stored()] == ["new"]
