"""Health: a real question to the other side, as small as it can be, and what is written of the answer."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from click.testing import CliRunner
from http_provider import Reply, in_turn, serve

from edgekit import connectors, db, integrations, runner, vault
from edgekit.cli import root
from edgekit.errors import NotFoundError, VaultLockedError
from edgekit.integrations.figures import Breaking
from edgekit.models import CircuitBreaker
from edgekit.runner.limiting.breakers import Breaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.connectors import Page
    from edgekit.db import Database

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
GOOD = {"items": [{"code": "a"}]}


def source(url: str, name: str = "items", **more: Any) -> None:
    settings = {
        "base_url": url, "records": "$.items", "table": "item", "page_size": 100,
        "pagination": {"kind": "page", "size_param": "limit"}, **more,
    }  # fmt: skip
    integrations.create(name, template="rest-source", settings=settings | {"auth": {"kind": "none"}} | more)


def of_file(name: str, path: Path | str) -> None:
    integrations.create(name, template="csv-import", settings={"path": str(path), "table": "item"})


def stored() -> list[dict[str, Any]]:
    return db.query("SELECT health_status, last_health_check_at, version FROM integration ORDER BY id")


@pytest.mark.ledger("S2-14")
def test_a_source_that_answers_is_healthy_and_asked_for_one_record(edge: Database) -> None:
    with serve(lambda _call: GOOD) as provider:
        source(provider.url, path="/v1/items")
        before = db.query("SELECT count(*) AS n FROM audit_transaction")[0]["n"]
        found = runner.check_health("items", now=NOON)
    assert (found.integration, found.health_status, found.message) == ("items", "healthy", None)
    assert found.last_health_check_at == NOON
    (call,) = provider.calls
    assert (call.method, call.path, call.query["limit"]) == ("GET", "/v1/items", ["1"])
    assert stored() == [
        {"health_status": "healthy", "last_health_check_at": "2026-03-27T12:00:00.000Z", "version": 1}
    ]
    (tried,) = db.query("SELECT request_type, response_code, is_success, execution_id FROM integration_log")
    assert tried == {"request_type": "GET", "response_code": 200, "is_success": 1, "execution_id": None}
    assert db.query("SELECT count(*) AS n FROM audit_transaction")[0]["n"] == before + 2  # request and answer
    assert integrations.list_integrations()[0]["health_status"] == "healthy"


@pytest.mark.ledger("S2-14", "C-54")
@pytest.mark.parametrize(
    ("replies", "status", "told"),
    [
        ([Reply({}, 500), GOOD], "degraded", "only when asked again"),
        ([Reply({}, 429, {"Retry-After": "60"})], "degraded", "slow down"),
        ([Reply({}, 503)], "unhealthy", "failed (503)"),
        ([Reply({}, 401)], "unhealthy", "does not let us in"),
        ([Reply({}, 404)], "unhealthy", "is not there"),
        ([Reply(b"<html>")], "unhealthy", "JSON"),
        ([{"items": ["no object"]}], "degraded", "first record cannot be read"),
    ],
)
def test_what_an_answer_says_of_the_other_side(
    edge: Database, replies: list[Any], status: str, told: str
) -> None:
    with serve(in_turn(*replies)) as provider:
        source(provider.url)
        found = runner.check_health("items")
        assert len(provider.calls) <= 2
    assert (found.health_status, told in str(found.message)) == (status, True), found
    assert stored()[0]["health_status"] == status
    tries = db.query("SELECT is_success, correlation_id FROM integration_log ORDER BY id")
    assert len(tries) == len(provider.calls)
    assert len({row["correlation_id"] for row in tries}) == 1


def test_a_late_answer_degrades_and_none_is_unhealthy(edge: Database) -> None:
    with serve(lambda _call: GOOD) as provider:
        source(provider.url)
        found = runner.check_health("items", late_ms=-1)
    assert (found.health_status, str(found.message)[:17]) == ("degraded", "It answered late,")
    found = runner.check_health("items")
    assert (found.health_status, found.message is not None) == ("unhealthy", True)
    assert stored()[0]["version"] == 1


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply({}), "healthy"),
        (Reply({}, 404), "healthy"),
        (Reply({}, 405), "healthy"),
        (Reply({}, 501), "healthy"),
        (Reply({}, 429), "degraded"),
        (Reply({}, 403), "unhealthy"),
        (Reply({}, 502), "unhealthy"),
    ],
)
def test_where_asking_might_do_something_only_the_door_is_knocked_at(
    edge: Database, reply: Reply, status: str
) -> None:
    """A request driven by our rows may cost money: a health check must not verify a driver."""
    with serve(lambda _call: reply) as provider:
        integrations.create("vins", template="vpic-vin-decode", settings={"base_url": provider.url})
        assert runner.check_health("vins").health_status == status
    (call,) = provider.calls
    assert (call.method, call.body) == ("HEAD", b"")


def test_rows_in_a_path_are_left_out(edge: Database) -> None:
    with serve(lambda _call: Reply({}, 404)) as provider:
        source(
            provider.url,
            path="/decode/{vin}/now",
            request={"inputs": {"join": "{vin}", "into": "path", "name": "vin"}},
            inputs={"table": "vehicle", "columns": ["vin"]},
        )
        assert runner.check_health("items").health_status == "healthy"
    assert [(call.method, call.path) for call in provider.calls] == [("HEAD", "/decode/")]


def test_files(edge: Database, tmp_path: Path) -> None:
    good, torn = tmp_path / "good.csv", tmp_path / "torn.csv"
    good.write_text("code,name\n1,A\n2,B\n", encoding="utf-8")
    torn.write_text("code,name\n1\n2,B\n", encoding="utf-8")
    for name, path in {"a": good, "b": torn, "c": tmp_path / "none.csv", "d": "-"}.items():
        of_file(name, path)
    found = runner.check_all_health(now=NOON)
    assert [(item.integration, item.health_status) for item in found] == [
        ("a", "healthy"), ("b", "degraded"), ("c", "unhealthy"), ("d", None),
    ]  # fmt: skip
    assert "There is no file" in str(found[2].message)
    assert "standard input" in str(found[3].message)
    assert [row["last_health_check_at"] is None for row in stored()] == [False, False, False, True]


@pytest.mark.ledger("C-54")
def test_an_open_breaker_is_unhealthy_and_not_asked_a_half_open_one_degraded(edge: Database) -> None:
    later = datetime(2026, 3, 27, 12, 5, tzinfo=UTC)
    with serve(lambda _call: GOOD) as provider:
        source(provider.url)
        with db.change(reason="it failed"):
            breaker = CircuitBreaker.create(
                integration=1, target=provider.url, breaker_status="open", failure_count=5,
                opened_at=NOON, retry_at=later,
            )  # fmt: skip
        found = runner.check_health("items", now=NOON)
        assert (found.health_status, provider.calls) == ("unhealthy", [])
        assert "2026-03-27T12:05:00.000Z" in str(found.message)
        with db.change(reason="it is tried"):
            breaker.breaker_status = "half_open"
            breaker.save()
        with Breaker(edge.path, 1, "items", Breaking(5, 300), now=lambda: later)(provider.url):
            assert runner.check_health("items", now=later).health_status == "degraded"
            assert (stored()[0]["health_status"], provider.calls) == ("degraded", [])
        with db.change(reason="another place of it fails as well"):
            CircuitBreaker.create(
                integration=1, target="http://else.example.org:80", breaker_status="open", failure_count=5,
                opened_at=NOON, retry_at=NOON,
            )  # fmt: skip
        assert runner.check_health("items", now=later).health_status == "degraded"
        with db.change(reason="it answers"):
            CircuitBreaker.update(breaker_status="closed", opened_at=None, retry_at=None).execute()
        assert runner.check_health("items", now=NOON).health_status == "healthy"


def test_a_missing_secret_is_unhealthy_and_a_locked_vault_says_nothing(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(lambda _call: GOOD) as provider:
        source(provider.url, auth={"kind": "header", "name": "X-Api-Key", "secret": "api_key"})
        found = runner.check_health("items")
        assert (found.health_status, provider.calls) == ("unhealthy", [])
        vault.init()
        integrations.set_credential("items", "api_key", "sk-7Hq9-Zebra")
        assert runner.check_health("items", now=NOON).health_status == "healthy"
        assert provider.calls[0].headers["X-Api-Key"] == "sk-7Hq9-Zebra"
        vault.lock()
        monkeypatch.setenv("EDGEKIT_HOME", str(edge.path.parent / "elsewhere"))
        with pytest.raises(VaultLockedError):
            runner.check_health("items")
        of_file("z", "-")
        found, other = runner.check_all_health()
        assert (found.health_status, "master key" in str(found.message)) == ("unhealthy", True)
        assert "standard input" in str(other.message), "one without its secret does not hold up the others"
    assert stored()[0] == {
        "health_status": "healthy", "last_health_check_at": "2026-03-27T12:00:00.000Z", "version": 1,
    }  # fmt: skip


class Plain:
    """A connector of somebody else's, who knows of no probe."""

    name = "plain"
    positions_are_stable = False
    config_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"batch_size": {"type": "integer"}},
    }

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def read(self, config: Any, **_: Any) -> Iterator[Page]:
        self.asked.append(config)
        yield connectors.Page([{}], ["1"], {})
        self.asked.append("more")
        yield connectors.Page([{}], ["2"], {"done": True})


def test_a_connector_without_a_probe_is_read_for_one_small_page() -> None:
    plain = Plain()
    page = connectors.probe(plain, {"batch_size": 50}, secrets={})  # type: ignore[arg-type]
    assert page is not None
    assert (page.positions, plain.asked) == (["1"], [{"batch_size": 1}])


def test_the_command(edge: Database, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    good = tmp_path / "good.csv"
    good.write_text("code\n1\n", encoding="utf-8")
    of_file("good", good)
    with pytest.raises(NotFoundError, match="no integration goood"):
        runner.check_health("goood")
    edge.close()

    def run(*args: str) -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "integrations", *args])

    one = run("health", "good", "--json")
    assert (one.exit_code, json.loads(one.stdout)["health_status"]) == (0, "healthy")
    made = run(
        "create", "far", "--template", "rest-source", "--set", f"base_url={closed}", "--set", "table=x",
        "--set", "auth.kind=none",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    every = run("health", "--json")
    assert every.exit_code == 7
    assert {row["integration"]: row["health_status"] for row in json.loads(every.stdout)} == {
        "far": "unhealthy", "good": "healthy",
    }  # fmt: skip
    assert "far is unhealthy" in every.stderr
    assert run("health", "nobody").exit_code == 3


def test_a_name_that_two_organizations_share_stands_for_both(edge: Database, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("code\na\n", encoding="utf-8")
    of_file("same", people)
    with db.change(reason="another organization's"):
        run = db.connection().execute
        run("INSERT INTO organization(id, code, name) VALUES (90, 'OTHER', 'Other')")
        run(
            "INSERT INTO integration(integration_name, integration_type_id, organization_id,"
            " connection_config)"
            " SELECT integration_name, integration_type_id, 90, connection_config FROM integration"
        )
    assert [(one.integration, one.health_status) for one in runner.check_all_health()] == [
        ("same", "healthy")
    ] * 2
    assert integrations.run_mapping_tests() == []
