"""Events are told in the change they report, reach each listener once and in order, whatever fails."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edgekit import events
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from edgekit.db import Database


# --------------------------------------------------------------------------------------------------- telling


def test_an_event_is_told_in_the_change_it_reports_or_not_at_all(edge: Database) -> None:
    with edge.change(reason="bind", correlation_id="c-1"):
        told = events.emit("policy.bound", {"policy": 7}, source="MODULES", target="AUTO", ordering_key="7")
    (row,) = edge.query(
        "SELECT e.*, s.code FROM integration_event e JOIN event_source s ON s.id = event_source_id"
    )
    assert (row["uuid"], row["event_type"], row["code"]) == (told.uuid, "policy.bound", "MODULES")
    assert (row["event_target"], row["ordering_key"], row["correlation_id"]) == ("AUTO", "7", "c-1")
    assert json.loads(row["event_payload"]) == {"policy": 7}
    with pytest.raises(ZeroDivisionError), edge.change():
        events.emit("policy.bound", source="MODULES")
        raise ZeroDivisionError
    assert edge.query("SELECT count(*) AS n FROM integration_event") == [{"n": 1}]


def test_many_are_told_at_once_and_what_nobody_listens_to_is_done(edge: Database) -> None:
    told = events.emit_many("row.seen", [{"n": n} for n in range(3)], source="INTEGRATION")
    found = edge.query(
        "SELECT uuid, processing_status, processed_at = created_at AS at FROM integration_event"
    )
    assert found == [{"uuid": one.uuid, "processing_status": "processed", "at": 1} for one in told]
    assert events.emit_many("row.seen", [], source="INTEGRATION") == []


def test_events_that_lead_to_each_other_end_somewhere(edge: Database) -> None:
    cause = None
    for _ in range(events.MOST_DEEP):
        told = events.emit("loop.turned", source="MODULES", causation_id=cause)
        assert told.processing_status == "processed"
        cause = told.uuid
    with events.caused_by(told.uuid):
        deepest = events.emit("loop.turned", source="MODULES")
    assert (deepest.causation_id, deepest.processing_status) == (cause, "failed")
    (row,) = edge.query("SELECT processing_error AS e FROM integration_event WHERE uuid = ?", (deepest.uuid,))
    assert row["e"].startswith("More than 16 events led to each other")
    assert events.emit("loop.turned", source="MODULES").causation_id is None


def test_what_is_no_event_is_refused_in_words(edge: Database) -> None:
    for wrong in ("", "Policy.Bound", "policy bound", ".a", "a..b", "a" * 101):
        with pytest.raises(InvalidError, match="no type of an event"):
            events.emit(wrong, source="MODULES")
    with pytest.raises(NotFoundError, match="no event source NONE"):
        events.emit("a.b", source="NONE")
    with pytest.raises(InvalidError, match="at most 200 characters"):
        events.emit("a.b", source="MODULES", ordering_key="k" * 201)


# ---------------------------------------------------------------------------------------------- the commands


def run(*words: str, given: str = "") -> Result:
    from click.testing import CliRunner

    from edgekit.cli import root

    result = CliRunner().invoke(root.edgekit, words, input=given, prog_name="edgekit")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_events_are_told_and_looked_at_by_commands(edge_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_DB", str(edge_file))
    told = run("events", "emit", "policy.bound", "--payload", '{"policy": 7}', "--key", "7", "--json")
    event = json.loads(told.output)
    assert (event["source"], event["status"], event["payload"]) == ("EXTERNAL", "processed", {"policy": 7})
    assert "Nobody listens to it." in run("events", "emit", "a.b", "--payload", "-", given='{"n": 1}').output
    assert [row["type"] for row in json.loads(run("events", "list", "--json").output)] == [
        "a.b",
        "policy.bound",
    ]
    assert (
        len(json.loads(run("events", "list", "--json", "--type", "policy.*", "--status", "processed").output))
        == 1
    )
    assert json.loads(run("events", "list", "--json", "--since", "2999-01-01T00:00:00Z").output) == []
    assert json.loads(run("events", "show", event["uuid"], "--json").output)["deliveries"] == []
    for words, code, said in (
        (("emit", "Policy Bound"), 4, "no type of an event"),
        (("emit", "a.b", "--payload", "[1]"), 4, "not an object"),
        (("emit", "a.b", "--source", "NOBODY"), 3, "no event source NOBODY"),
        (("show", "99"), 3, "no event 99"),
        (("replay",), 2, "Say what is handed over again"),
        (("replay", "1"), 6, "has failed"),
        (("replay", "1", "--since", "2999-01-01T00:00:00Z"), 2, "goes with --subscription"),
        (("list", "--since", "yesterday"), 4, "no time with its zone"),
        (("discard", "9"), 3, "no delivery 9"),
        (("subscriptions", "add", "s"), 2, "Say what is done"),
        (("subscriptions", "add", "s", "--run", "none"), 3, "no integration none"),
        (("subscriptions", "add", "s", "--handler", "a.none"), 3, "Nothing here handles events as a.none"),
        (("subscriptions", "show", "s"), 3, "no subscription s"),
    ):
        result = run("events", *words)
        assert (result.exit_code, said in result.output) == (code, True), (words, result.output)


def test_subscriptions_are_kept_by_commands(edge_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_DB", str(edge_file))
    out = {"connector": "webhook", "url": "https://example.org/hook", "auth": {"kind": "none"}}
    made = run(
        "integrations", "create", "partner", "--template", "webhook-out", "--set", f"to={json.dumps(out)}"
    )
    assert made.exit_code == 0, made.output
    assert "events subscriptions add NAME --type TYPE --webhook partner" in made.output
    run("events", "emit", "policy.bound")
    words = ("events", "subscriptions")
    added = run(
        *words, "add", "s", "--type", "policy.*", "--webhook", "partner", "--from-beginning", "--json"
    )
    found = json.loads(added.output)
    assert (found["handler"], found["config"]) == ("event.webhook", {"integration": "partner"})
    assert (found["behind"], found["state"]) == (1, "active")
    assert json.loads(run(*words, "pause", "s", "--json").output)["state"] == "paused"
    assert json.loads(run(*words, "resume", "s", "--json").output)["state"] == "active"
    changed = json.loads(run(*words, "set", "s", "--every-type", "--max-attempts", "3", "--json").output)
    assert (changed["type"], changed["max_attempts"], changed["config"]) == (
        None,
        3,
        {"integration": "partner"},
    )
    refused = run(*words, "set", "s", "--run", "partner")
    assert (refused.exit_code, "not by event.run" in refused.output) == (4, True)
    assert "partner" in run(*words, "list").output
    assert run(*words, "retire", "s").output == "s is retired.\n"
    assert run(*words, "show", "s").exit_code == 3


# ------------------------------------------------------------------------------------ what a change reaches


@pytest.mark.ledger("S3-43")
def test_a_changed_setting_reaches_a_process_that_runs(
    edge: Database, edge_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit import configuration, integrations, runner
    from edgekit.integrations import figures, reading
    from edgekit.jobs import kinds

    kinds.find("integration.run")  # what a tick would register only for this test
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    heard: list[str] = []
    events.handles("t.settings")(lambda delivery: heard.extend(delivery.event.payload["keys"]))
    events.add_subscription("settings", handler="t.settings", event_type="configuration.changed")
    integrations.create("api", template="rest-source", settings={"base_url": "https://example.org"})
    key = ("COMMUNICATION_DEFAULTS", "default_timeout_seconds")

    def counts() -> tuple[int, int]:
        known = {"retries": {}, "timeout_seconds": {}}
        found = figures.exchange_settings(reading.find("api"), {}, known)
        return configuration.get(*key), found["timeout_seconds"]

    assert 77 not in counts()
    subprocess.run(
        [sys.executable, "-m", "edgekit", "--db", str(edge_file), "configuration", "set", *key, "77"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert counts() == (77, 77), "what is kept in memory is read anew"
    runner.tick()
    assert heard == ["default_timeout_seconds"]
    (event,) = events.list_events(event_type="configuration.changed")
    assert (event["target"], event["status"]) == ("COMMUNICATION_DEFAULTS", "processed")
