"""Breakers: a place that keeps failing is left alone for a while, then tried once, by whoever comes first."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from http_provider import Reply, serve

import edgekit
from edgekit import configuration, db, integrations, jobs, runner
from edgekit.cli import root
from edgekit.connectors.http import HttpConnector
from edgekit.errors import (
    CircuitOpenError,
    EdgekitError,
    InvalidError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)
from edgekit.integrations import figures
from edgekit.integrations.figures import Breaking, Limits
from edgekit.runner.limiting.breakers import Breaker
from edgekit.runner.limits import Gate, gated

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
PLACE = "https://api.example.org:443"


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def rest(url: str, name: str = "items", **more: Any) -> None:
    settings = {
        "base_url": url, "records": "$.items", "table": "item", "key": "code", "create": True,
        "auth": {"kind": "none"}, "retry_delay_ms": 0,
    }  # fmt: skip
    integrations.create(name, template="rest-source", settings=settings | more)


def rows() -> list[tuple[Any, ...]]:
    found = db.query("SELECT target, breaker_status, failure_count FROM circuit_breaker ORDER BY target")
    return [tuple(row.values()) for row in found]


def health() -> str | None:
    found: str | None = db.query("SELECT health_status FROM integration WHERE id = 1")[0]["health_status"]
    return found


def changes() -> int:
    return int(db.query("SELECT count(*) AS n FROM audit_transaction")[0]["n"])


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def breaker(edge: Database, time: Clock) -> Breaker:
    rest("https://api.example.org")
    return Breaker(edge.path, 1, "items", Breaking(3, 60), now=time)


def call(breaker: Breaker, *statuses: int | None, target: str = PLACE) -> None:
    """Make calls that are answered with these statuses; None: no answer came."""
    for status in statuses:
        with breaker(target) as passage:
            passage.status, passage.failed = status, status is None


@pytest.mark.ledger("S0-75", "C-54")
def test_it_opens_is_left_alone_is_tried_once_and_closes(breaker: Breaker, time: Clock) -> None:
    call(breaker, 500, None, 200, 503, 502)
    assert rows() == [(PLACE, "closed", 2)], "only those in a row count"
    call(breaker, None)
    assert (rows(), health()) == ([(PLACE, "open", 3)], "unhealthy")
    time.move(59)
    with pytest.raises(
        CircuitOpenError, match=r"failed 3 times in a row and is left alone until .*12:01:00"
    ) as e:
        call(breaker, 200)
    assert (e.value.retry_after, e.value.target, e.value.was_sent) == (1.0, PLACE, False)
    call(breaker, 200, target="https://other.example.org:443")
    time.move(1)
    with breaker(PLACE) as passage:
        assert (rows(), health()) == ([(PLACE, "half_open", 3)], "degraded")
        with pytest.raises(CircuitOpenError, match="being tried by another call") as e:
            call(Breaker(breaker._stem.parent / "edge.db", 1, "items", Breaking(3, 60), now=time), 200)
        assert 0 < (e.value.retry_after or 0) <= 60
        passage.status = 500
    assert (rows(), health()) == ([(PLACE, "open", 4)], "unhealthy"), "a failed trial opens it again"
    with pytest.raises(CircuitOpenError):
        call(breaker, 200)
    time.move(60)
    call(breaker, 200)
    assert (rows(), health()) == ([(PLACE, "closed", 0)], "healthy")
    before = changes()
    call(breaker, 200, 404, 200)
    assert changes() == before, "a call that goes well writes nothing"


@pytest.mark.ledger("S0-75")
def test_what_counts_as_a_failure(breaker: Breaker, time: Clock) -> None:
    call(breaker, *[400, 401, 403, 404, 408, 409, 422, 429, 501] * 2)
    assert rows() == []
    for error in (RateLimitedError("slow", limit="ours"), InvalidError("ours"), EdgekitError("a bug")):
        with pytest.raises(EdgekitError), breaker(PLACE):
            raise error
    assert rows() == []
    with pytest.raises(UnavailableError), breaker(PLACE):
        raise UnavailableError("no connection")
    assert rows() == [(PLACE, "closed", 1)]
    strict = Breaker(breaker._stem.parent / "edge.db", 1, "items", Breaking(2, 60, counts_429=True), now=time)
    call(strict, 429)
    assert rows() == [(PLACE, "open", 2)]
    time.move(60)
    with pytest.raises(KeyboardInterrupt), strict(PLACE):
        raise KeyboardInterrupt
    assert (rows(), health()) == ([(PLACE, "open", 2)], "unhealthy"), "a trial that was given up says nothing"
    call(strict, 200)
    assert rows() == [(PLACE, "closed", 0)]


def test_a_clock_set_back_does_not_keep_it_open(breaker: Breaker, time: Clock) -> None:
    call(breaker, None, None, None)
    time.move(-30)
    with pytest.raises(CircuitOpenError):
        call(breaker, 200)
    time.move(-86400)
    call(breaker, 200)
    assert rows() == [(PLACE, "closed", 0)]


@pytest.mark.ledger("S0-75")
def test_what_was_answered_stands_where_it_cannot_be_counted(
    breaker: Breaker,
    time: Clock,
    edge: Database,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer that is lost is asked for again, or sent twice."""
    call(breaker, None)
    monkeypatch.setattr("edgekit.sqlite.BUSY_SECONDS", 0)
    other = sqlite3.connect(edge.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with caplog.at_level("WARNING"):
        call(breaker, 200)
        with pytest.raises(UnavailableError, match="no connection"), breaker(PLACE):
            raise UnavailableError("no connection")
        breaker.fail(PLACE)
    other.close()
    assert [PLACE in line for line in caplog.messages] == [True] * 3
    assert rows() == [(PLACE, "closed", 1)]
    call(breaker, 200)
    assert rows() == [(PLACE, "closed", 0)]


@pytest.mark.ledger("S2-14")
def test_health_tells_of_what_it_asked_and_new_settings_begin_anew(edge: Database) -> None:
    with serve(lambda _call: {"items": [{"code": "a"}]}) as provider:
        rest(provider.url)
        ours = Breaker(edge.path, 1, "items", Breaking(1, 60), now=Clock())  # long past: its time is over
        call(ours, None, target="https://gone.example.org:443")
        found = runner.check_health("items")
        assert found.health_status == "degraded"
        assert "https://gone.example.org:443, which failed 1 times, was not asked" in str(found.message)
        assert runner.run("items").status == "completed"
        assert health() == "degraded"
        integrations.set_settings("items", {"timeout_seconds": 5})
        assert rows() == [("https://gone.example.org:443", "closed", 0)]
        assert health() is None
        assert runner.run("items").status == "completed"
        assert health() == "healthy"
        call(ours, None, target=provider.url)
        back = runner.check_health("items", now=NOON - timedelta(days=400))
        assert back.health_status == "healthy", "a clock set back does not keep it from being asked"


TRIAL = """
import sys, edgekit
from pathlib import Path
from edgekit.integrations.figures import Breaking
from edgekit.runner.limiting.breakers import Breaker
with edgekit.open(sys.argv[1]):
    with Breaker(Path(sys.argv[1]), 1, "items", Breaking(1, 60))(sys.argv[2]):
        print("in", flush=True)
        sys.stdin.read()
"""


@pytest.mark.ledger("S0-75")
def test_one_trial_over_all_processes_and_one_that_dies_leaves_it_to_the_next(edge_file: Path) -> None:
    with edgekit.open(edge_file):
        rest("https://api.example.org")
        ours = Breaker(edge_file, 1, "items", Breaking(1, 60), now=Clock())  # long past: its time is over
        call(ours, None)
        theirs = subprocess.Popen(
            [sys.executable, "-c", TRIAL, str(edge_file), PLACE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert theirs.stdout is not None
        assert theirs.stdout.readline() == "in\n"
        now = Breaker(edge_file, 1, "items", Breaking(1, 60))
        with pytest.raises(CircuitOpenError, match="being tried by another call"):
            call(now, 200)
        theirs.kill()
        theirs.communicate()
        assert rows() == [(PLACE, "half_open", 1)], "nobody was there to say how it went"
        call(now, 200)
        assert (rows(), health()) == ([(PLACE, "closed", 0)], "healthy")


@pytest.mark.ledger("S0-75", "C-54")
def test_a_run_meets_it_sends_nothing_and_says_so(edge: Database) -> None:
    with serve(lambda _call: Reply(status=503)) as provider:
        rest(provider.url, retries=1, circuit_breaker={"threshold": 3, "timeout_seconds": 600})
        assert runner.run("items").status == "failed"
        assert (rows(), health()) == ([(provider.url, "closed", 2)], "degraded")
        refused = runner.run("items")
        assert len(provider.calls) == 3, "the second try of the second run was refused already"
        assert isinstance(refused.error, CircuitOpenError)
        assert "failed (503)" in str(refused.error.hint)
        assert health() == "unhealthy", "the end of the run leaves what the breaker says"
        again = runner.run("items")
        assert len(provider.calls) == 3
        provider.script = lambda _call: {"items": [{"code": "a"}]}
        assert runner.check_health("items").health_status == "unhealthy"
        assert len(provider.calls) == 3
        execution = runner.show_execution(again.execution_id or 0)
        assert execution["error_code"] == "circuit_open"
        (attempt,) = execution["attempts"]
        assert (attempt["response_code"], attempt["is_success"]) == (None, False)
        assert "nothing was sent" in attempt["error_message"]
        (row,) = runner.list_breakers("items")
        assert (row["status"], 590 < row["seconds_left"] <= 600) == ("open", True)
        assert again.error is not None
        assert 590 < (again.error.retry_after or 0) <= 600
        later = runner.check_health("items", now=datetime.now(UTC) + timedelta(seconds=600))
        assert (later.health_status, "answers again after 3 failures" in str(later.message)) == (
            "healthy",
            True,
        )
        assert (rows(), health()) == ([(provider.url, "closed", 0)], "healthy")
        assert runner.run("items").status == "completed"


@pytest.mark.ledger("S0-75")
def test_a_try_that_was_made_before_a_refusal_is_an_attempt(edge: Database) -> None:
    """Else a scheduled run would never fail, as its first try opens the breaker that refuses the second."""
    begin = datetime.now(UTC).replace(second=0, microsecond=0)
    with serve(lambda _call: Reply(status=503)) as provider:
        rest(provider.url, retries=3, circuit_breaker={"threshold": 1, "timeout_seconds": 60})
        runner.add_schedule("hourly", integration="items", every=60, now=begin)
        runner.set_schedule("hourly", retry={"attempts": 1, "delay_seconds": 30})
        for minutes in (60, 70):
            runner.tick(begin + timedelta(minutes=minutes))
            with edge.change():  # the gate goes by the clock of the machine: let its time be over there too
                edge.connection().execute(
                    "UPDATE circuit_breaker SET opened_at = '2026-01-01T00:00:00.000Z',"
                    " retry_at = '2026-01-01T00:10:00.000Z'"
                )
        assert len(provider.calls) == 2
        (job,) = db.query("SELECT job_status, error_code FROM job WHERE kind = 'integration.run'")
        assert (job["job_status"], job["error_code"]) == ("failed", "circuit_open")


def test_what_is_held_back_again_and_again_looks_less_and_less_often(edge: Database) -> None:
    """A thousand messages to a place that is down for a day would be millions of rows."""
    job = jobs.enqueue("integration.run", {})
    held = CircuitOpenError("left alone", target=PLACE, retry_after=60)
    waits = [jobs.delay(job._replace(attempts=number), held) for number in range(1, 400)]
    assert waits[:10] == [60.0] * 10, "at first as soon as it may"
    looks = next(n for n in range(len(waits)) if sum(waits[:n]) >= 86400)
    assert looks < 200
    assert waits[looks] < 0.02 * 86400, "and yet it comes soon, for what it has waited"
    assert jobs.delay(job._replace(attempts=50), RateLimitedError("asked", retry_after=60)) == 60


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.ledger("S0-75")
def test_mail_and_databases_have_one_too(edge: Database, time: Clock) -> None:
    """They make no requests of HTTP: each opening and each sending is a call."""
    rest("https://api.example.org", circuit_breaker={"threshold": 2})
    port = closed_port()
    from edgekit import connectors

    ways: dict[str, dict[str, Any]] = {
        "smtp": {"host": "127.0.0.1", "port": port, "security": "none", "sender": "a@example.org",
                 "recipient": "b@example.org", "subject": "s", "body": "b"},
        "sql": {"url": f"postgresql://127.0.0.1:{port}/db", "table": "t", "key": "id", "timeout_seconds": 2},
    }  # fmt: skip
    letter = connectors.Outgoing({}, "k", "k", "1")
    for kind, config in ways.items():
        connector: Any = connectors.get(kind)
        for expected in (UnavailableError, UnavailableError, CircuitOpenError):
            with (
                pytest.raises(expected) as error,
                gated(connector, 1, "items", now=time) as limited,
                limited.open(config, state={}, secrets={"password": "x"}) as writer,  # type: ignore[attr-defined]
            ):
                writer.send([letter])
            assert isinstance(error.value, CircuitOpenError) == (expected is CircuitOpenError)
        (attempt,) = vars(error.value)["attempts"]
        assert "nothing was sent" in attempt.error
    assert rows() == [
        (f"postgresql://127.0.0.1:{port}", "open", 2), (f"smtp://127.0.0.1:{port}", "open", 2),
    ]  # fmt: skip


def test_a_database_that_is_read_has_one_and_a_file_has_none(edge: Database, tmp_path: Path) -> None:
    port = closed_port()
    rest("https://api.example.org", "far", circuit_breaker={"threshold": 1})
    from edgekit import connectors

    connector = connectors.get("sql")
    for expected in (UnavailableError, CircuitOpenError):
        with gated(connector, 1, "far") as limited, pytest.raises(expected):
            next(limited.read(
                {"url": f"postgresql://127.0.0.1:{port}/db", "source_table": "t"},
                state={}, inputs=None, secrets={"password": "x"},
            ))  # fmt: skip
    file: Any = connectors.get("file")
    targets = {path: file.target_of({"path": path}) for path in ("a.csv", "C:\\a.csv", "file:///a.csv")}
    assert set(targets.values()) == {None}
    assert file.target_of({"path": "sftp://ann@files.example.org:2222/in/*.csv"}) == (
        "sftp://files.example.org:2222"
    )
    assert connectors.get("sql").target_of({"url": "sqlite:///x.db"}) is None  # type: ignore[attr-defined]


@pytest.mark.ledger("C-33")
def test_its_figures_come_from_the_integration_then_dcs_then_the_defaults(edge: Database) -> None:
    rest("https://api.example.org")
    assert figures.limits(1).breaking == Breaking(5, 60, counts_429=False)
    configuration.set("COMMUNICATION_DEFAULTS", "circuit_breaker_threshold", 8, scope="organization:MAIN")
    configuration.set("COMMUNICATION_DEFAULTS", "circuit_breaker_counts_429", True)
    configuration.set("DCS_RETRY", "circuit_breaker_timeout_seconds", 30)
    assert figures.limits(1).breaking == Breaking(8, 60, counts_429=True)
    integrations.create(
        "drivers", template="dcs-driver-verification", settings={"auth": {"kind": "none"}}, acknowledge=True
    )
    assert figures.limits(2).breaking == Breaking(8, 30, counts_429=True)
    integrations.set_settings("drivers", {"circuit_breaker": {"timeout_seconds": 7, "counts_429": False}})
    assert figures.limits(2).breaking == Breaking(8, 7, counts_429=False)
    configuration.set("DCS_RETRY", "circuit_breaker_timeout_seconds", 10**15)
    integrations.set_settings("drivers", {}, unset=["circuit_breaker"])
    edge_of_time = Breaker(edge.path, 2, "drivers", figures.limits(2).breaking)
    for _ in range(8):
        call(edge_of_time, None)
    assert rows() == [(PLACE, "open", 8)], "there is no such time, and it opens all the same"
    for wrong in ({"threshold": 0}, {"counts_429": 1}, {"tries": 3}, 5):
        with pytest.raises(InvalidError, match="circuit_breaker"):
            integrations.set_settings("drivers", {"circuit_breaker": wrong})


def test_nothing_is_asked_while_a_change_is_open(edge: Database) -> None:
    with serve(lambda _call: []) as provider:
        gate = Gate(edge.path, 1, "items", Limits((), 1))
        source = HttpConnector().through(gate).read(
            {"base_url": provider.url}, state={}, inputs=None, secrets={}
        )  # fmt: skip
        with pytest.raises(EdgekitError, match="while a change of the file is open"), edge.change():
            next(source)
        assert provider.calls == []


def test_the_commands(edge_file: Path) -> None:
    def run(*args: str) -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge_file), "integrations", *args])

    with edgekit.open(edge_file):
        rest("https://api.example.org")
        call(Breaker(edge_file, 1, "items", Breaking(1, 600)), None)
        call(Breaker(edge_file, 1, "items", Breaking(2, 600)), None, target="https://b.example.org:443")
    (first, second) = json.loads(run("breakers", "--json").stdout)
    assert {k: first[k] for k in ("integration", "target", "status", "failure_count")} == {
        "integration": "items", "target": PLACE, "status": "open", "failure_count": 1,
    }  # fmt: skip
    assert (second["status"], second["seconds_left"]) == ("closed", None)
    assert PLACE in run("breakers", "items").stdout
    assert run("health", "items").exit_code == 7
    unknown = run("reset-breaker", "items", "--target", "https://c:1")
    assert (unknown.exit_code, "https://b.example.org:443" in unknown.stderr) == (3, True)
    assert json.loads(run("reset-breaker", "items", "--json").stdout)["closed"] == [
        PLACE, "https://b.example.org:443",
    ]  # fmt: skip
    assert "No breaker of items" in run("reset-breaker", "items").stdout
    with edgekit.open(edge_file):
        assert {row[1] for row in rows()} == {"closed"}
        assert health() is None
        with pytest.raises(NotFoundError):
            runner.reset_breakers("nobody")


@pytest.mark.ledger("S0-75")
def test_a_scheduled_run_that_meets_it_comes_again_when_its_time_is_over_and_not_before(
    edge: Database,
) -> None:
    begin = datetime.now(UTC).replace(second=0, microsecond=0)
    due = begin + timedelta(minutes=60)
    with serve(lambda _call: Reply(status=503)) as provider:
        rest(provider.url, retries=0, circuit_breaker={"threshold": 1, "timeout_seconds": 600})
        runner.add_schedule("hourly", integration="items", every=60, now=begin)
        runner.set_schedule("hourly", retry={"attempts": 1, "delay_seconds": 30})
        runner.tick(due)
        assert (rows(), len(provider.calls)) == ([(provider.url, "open", 1)], 1)
        assert health() == "unhealthy", "the end of the run that failed leaves it so"
        runner.tick(due + timedelta(seconds=60))  # the one retry it has: refused, and so it still has it
        (job,) = db.query(
            "SELECT job_status, run_at, max_attempts - attempts AS n, error_code FROM job"
            " WHERE kind = 'integration.run'"
        )
        assert (job["job_status"], job["n"], job["error_code"]) == ("pending", 1, "circuit_open")
        waits = datetime.fromisoformat(job["run_at"]) - due
        assert timedelta(seconds=600) < waits <= timedelta(seconds=660)
        runner.tick(due + timedelta(seconds=500))
        assert len(provider.calls) == 1, "not before"
        provider.script = lambda _call: {"items": [{"code": "a"}]}
        with edge.change():  # the gate goes by the clock of the machine: let its time be over there too
            edge.connection().execute(
                "UPDATE circuit_breaker SET opened_at = '2026-01-01T00:00:00.000Z',"
                " retry_at = '2026-01-01T00:10:00.000Z'"
            )
        runner.tick(due + timedelta(seconds=700))
        assert (rows(), len(provider.calls)) == ([(provider.url, "closed", 0)], 2)
        (slot,) = db.query(
            "SELECT execution_status FROM integration_schedule_execution WHERE scheduled_at <= ?",
            (due.strftime("%Y-%m-%dT%H:%M:%S.000Z"),),
        )
        assert slot["execution_status"] == "completed"
