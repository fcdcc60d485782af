"""Runs over HTTP with a real file: what is renewed is kept sealed, and no secret is anywhere to be read."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner
from http_provider import Call, Reply, serve

import edgekit
from edgekit import db, integrations, runner, vault
from edgekit.cli import root

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from edgekit.db import Database

CLIENT, FIRST = "cl1ent-s3cret-Zebra", "r3fresh-t0ken-0-Zebra"


class Service:
    """Gives a new refresh token with each access token and takes each of them once."""

    def __init__(self) -> None:
        self.refresh = FIRST
        self.given = 0
        self.taken: list[tuple[str | None, Any]] = []
        self.stored: list[str] = []

    def __call__(self, call: Call) -> Any:
        if call.path == "/token":
            if call.form["refresh_token"] != [self.refresh]:
                return Reply({"error": "invalid_grant", "error_description": f"used up: {call.form}"}, 400)
            self.given += 1
            self.refresh = f"r3fresh-t0ken-{self.given}-Zebra"
            return {
                "access_token": f"acc3ss-t0ken-{self.given}-Zebra",
                "refresh_token": self.refresh,
                "expires_in": 0,
            }
        if call.headers.get("Authorization") != f"Bearer acc3ss-t0ken-{self.given}-Zebra":
            return Reply({}, 401)
        if call.method == "POST":
            self.taken.append((call.headers["Idempotency-Key"], json.loads(call.body)))
            return Reply({"id": f"x{len(self.taken)}", "token": call.headers["Authorization"]}, 201)
        page = int(call.query["page"][0])
        return [{"code": f"c{page}", "said": call.headers["Authorization"][:6]}] if page < 4 else []


def auth(url: str) -> dict[str, Any]:
    return {"kind": "oauth2", "grant": "refresh_token", "token_url": f"{url}/token", "client_auth": "body"}


def secrets_of(name: str) -> None:
    for key, value in (("client_id", "me"), ("client_secret", CLIENT), ("refresh_token", FIRST)):
        integrations.set_credential(name, key, value)


def test_a_renewed_refresh_token_is_kept_sealed_and_nothing_tells_it(
    edge_file: Path, edge: Database, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service()
    vault.init()
    with serve(service) as provider, caplog.at_level(logging.DEBUG):
        settings = {
            "base_url": provider.url, "auth": auth(provider.url), "pagination": {"kind": "page"},
            "table": "item", "key": "code", "create": True,
        }  # fmt: skip
        integrations.create("items", template="rest-source", settings=settings)
        secrets_of("items")
        assert runner.run("items").records_written == 3
        assert service.given == 4  # a token that is over at once is asked for each time
        kept = integrations.get_credential("items", "refresh_token", purpose="test")
        assert kept == service.refresh != FIRST
        assert runner.run("items", fresh=True).status == "completed"  # and goes on with it
        integrations.set_credential("items", "refresh_token", "r3fresh-t0ken-of-old-Zebra")
        failed = runner.run("items")
    assert failed.status == "failed"
    assert "gives us no token (400): invalid_grant" in str(failed.message)
    tries = db.query("SELECT request_type, request_url FROM integration_log WHERE request_url LIKE '%/token'")
    assert len(tries) == 4 + 4 + 1
    edge.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shown = CliRunner().invoke(root.edgekit, ["--db", str(edge_file), "executions", "show", "1"])
    told = edge_file.read_bytes() + caplog.text.encode() + str(failed).encode() + shown.output.encode()
    assert b"Zebra" not in told


def test_what_is_sent_and_answered_is_noted_without_secrets(edge_file: Path, edge: Database) -> None:
    service = Service()
    vault.init()
    with edge.change(reason="people"):
        for number in range(3):
            edge.connection().execute(
                "INSERT INTO program(code, name, organization_id) VALUES (?, ?, 1)", (f"P{number}", "Auto")
            )
    with serve(service) as provider:
        settings = {
            "connector": "table", "inputs": {"table": "program", "columns": ["code", "name"]},
            "to": {"connector": "http", "base_url": provider.url, "auth": auth(provider.url),
                   "answer": {"reference": "$.id"}},
        }  # fmt: skip
        with edge.change(reason="way out"):
            integrations.create(
                "out", template="rest-source", settings={"base_url": provider.url, "table": "x"}
            )
            edge.connection().execute(
                "UPDATE integration SET connection_config = ? WHERE integration_name = 'out'",
                (json.dumps(settings),),
            )
        secrets_of("out")
        result = runner.run("out")
    assert (result.status, result.records_written) == ("completed", len(service.taken))
    assert len({key for key, _ in service.taken}) == len(service.taken) >= 3
    noted = db.query("SELECT external_reference FROM integration_delivery ORDER BY id")
    assert [row["external_reference"] for row in noted] == [f"x{n + 1}" for n in range(len(noted))]
    edge.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"Zebra" not in edge_file.read_bytes()
    edge.close()
    with edgekit.open(edge_file):
        assert integrations.get_credential("out", "refresh_token", purpose="test") == service.refresh
