"""Limits: how often and how many at once the other side is asked, by all processes together; and retries."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from http_provider import Reply, serve

from edgekit import clock, configuration, connectors, crypto, db, integrations, licensing, models, runner
from edgekit.cli import root
from edgekit.connectors.http import HttpConnector
from edgekit.errors import InvalidError, LicenseError, RateLimitedError
from edgekit.integrations import figures
from edgekit.integrations.figures import DAY, HOUR, MINUTE, Limit, Limits
from edgekit.licensing import installing, issuing, statement, trusting, vendor
from edgekit.licensing.terms import Grant
from edgekit.runner import inputs, reuse
from edgekit.runner.limits import Gate

if TYPE_CHECKING:
    from pathlib import Path

    from http_provider import Call

    from edgekit.db import Database

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
ACME = vendor.Vendor("Acme Software", crypto.SigningKey(b"a" * 32))


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.moment = NOON
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.moment += timedelta(seconds=seconds)


def gate_of(time: Clock, *limits: Limit, concurrent: int = 10) -> Gate:
    path = db.current().path
    return Gate(path, 7, "items", Limits(limits, concurrent), now=time.now, sleep=time.sleep)


def ask(gate: Gate, times: int, *, longest: float = 60) -> int:
    """Pass the gate so often; return how often it was let through before it refused."""
    for number in range(times):
        try:
            with gate(longest):
                pass
        except RateLimitedError:
            return number
    return times


def used() -> dict[str, int]:
    return {row["limiter_key"]: row["used_count"] for row in db.query("SELECT * FROM rate_limit_window")}


def policies(count: int) -> None:
    with db.change():
        insured = models.Insured.create(customer_number="C1", name="Ann Smith")
        for number in range(count):
            models.Policy.create(
                policy_number=f"P{number}", insured=insured,
                effective_date="2026-01-01", expiration_date="2027-01-01",
            )  # fmt: skip


def dcs(url: str, **more: Any) -> None:
    """Connect the driver service on loopback, one policy to a request."""
    settings = {"base_url": url, "auth": {"kind": "none"}, "batch_size": 1, "pagination": {"kind": "none"}}
    integrations.create(
        "drivers", template="dcs-driver-verification", settings=settings | more, acknowledge=True
    )


def rest(url: str, name: str = "items", **more: Any) -> None:
    settings = {
        "base_url": url, "records": "$.items", "table": "item", "key": "code", "create": True,
        "auth": {"kind": "none"}, "page_size": 1, "pagination": {"kind": "page", "total_path": "$.total"},
    }  # fmt: skip
    integrations.create(name, template="rest-source", settings=settings | more)


def pages(total: int) -> Any:
    def answer(call: Call) -> Any:
        return {"items": [{"code": call.query["page"][0]}], "total": total}

    return answer


def licence(db_: Database, mode: str, **settings: Any) -> None:
    """Install a licence of this mode; `settings` are those of API_INTEGRATIONS."""
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
    trusting.trust(statement.render(vendor.public_statement(ACME)))
    granted = [Grant("API_INTEGRATIONS"), Grant("DCS_DRIVER_VERIFICATION")]
    installing.install(statement.render(issuing.issue(ACME, features=granted, mode=mode, now=now)), now=now)
    licensing.grant("API_INTEGRATIONS", settings=settings)


@pytest.fixture
def auto(edge: Database) -> int:
    """The program AUTO, for which the types of DCS are set up: 50 requests a minute."""
    with edge.change():
        program = models.Program.create(code="AUTO", name="Auto")
    configuration.set("DCS_LIMITS", "requests_per_minute", 50, scope="program:AUTO")
    integrations.map_configurations("AUTO")
    return int(program.id)


@pytest.mark.usefixtures("edge")
class TestWindows:
    @pytest.mark.ledger("C-35")
    def test_the_tightest_of_all_limits_decides_and_is_waited_for_or_named(self) -> None:
        time = Clock()
        gate = gate_of(time, Limit("a", "so many a minute", 3, MINUTE), Limit("b", "so many a day", 5, DAY))
        assert ask(gate, 3, longest=0) == 3
        assert ask(gate, 1, longest=59) == 0
        assert time.waits == []
        assert ask(gate, 1) == 1, "a short wait is waited"
        assert time.waits == [60.0]
        with pytest.raises(
            RateLimitedError, match=r"so many a day \(5\) is used up until 2026-03-28T12:01:00"
        ):
            [gate(60).__enter__() for _ in range(2)]
        gate.close()
        assert used() == {"a": 2, "b": 5}

    @pytest.mark.ledger("C-35")
    def test_no_minute_wherever_it_begins_holds_more_than_a_minute_may(self) -> None:
        """One early request and a burst at the end of its minute: another burst may not follow at once."""
        time = Clock()
        gate = gate_of(time, Limit("a", "ten a minute", 10, MINUTE))
        assert ask(gate, 1) == 1
        time.moment += timedelta(seconds=58)
        assert ask(gate, 20, longest=0) == 9
        time.moment += timedelta(seconds=4)
        assert ask(gate, 20, longest=0) == 1
        time.moment += timedelta(seconds=61)
        assert ask(gate, 20, longest=0) == 10, "the fifty-eighth second's count until five after they might"

    @pytest.mark.ledger("C-35")
    @pytest.mark.parametrize("seed", range(2))
    def test_whatever_the_pace_of_two_the_limit_holds_and_is_nearly_reached(self, seed: int) -> None:
        chance, time = random.Random(seed), Clock()
        limits = (Limit("a", "a minute", 20, MINUTE), Limit("b", "two seconds", 4, 2))
        gates = [gate_of(time, *limits) for _ in range(2)]
        passed: list[float] = []
        for _ in range(400):
            pause = chance.choice([0.0, 0.0, 0.01, 0.4, chance.uniform(0, 12)])
            time.moment += timedelta(seconds=pause)
            gate = chance.choice(gates)
            passed += [time.moment.timestamp()] * ask(gate, chance.randint(1, 9), longest=0)
        for limit in limits:
            spans = [last - first for first, last in zip(passed, passed[limit.count :], strict=False)]
            assert min(spans) >= limit.seconds - 1e-3
        most = 20 * (passed[-1] - passed[0]) / 60
        assert len(passed) > 0.7 * most, "and not much is left unused"

    def test_a_new_window_begins_with_the_first_request_after_the_last_has_ended(self) -> None:
        time = Clock()
        gate = gate_of(time, Limit("a", "two an hour", 2, HOUR))
        assert ask(gate, 3) == 2
        time.moment += timedelta(seconds=HOUR)
        assert ask(gate, 3) == 2

    def test_slots_not_used_are_given_back_and_little_is_not_hoarded(self) -> None:
        time = Clock()
        limit = Limit("a", "a hundred", 100, MINUTE)
        first, second = gate_of(time, limit), gate_of(time, limit)
        assert ask(first, 30) == 30
        assert ask(second, 10) == 10
        assert used()["a"] <= 40 + 2 * 16
        first.close()
        second.close()
        assert used() == {"a": 40}
        assert ask(first, 100, longest=0) + ask(second, 100, longest=0) == 60

    def test_slots_of_a_window_that_has_ended_do_not_count_in_the_next(self) -> None:
        time = Clock()
        gate = gate_of(time, Limit("a", "a hundred", 100, MINUTE), Limit("b", "a thousand", 1000, DAY))
        ask(gate, 4)  # takes 1, 2 and 4, and holds three of them
        time.moment += timedelta(seconds=66)
        ask(gate, 1)
        gate.close()
        assert used() == {"a": 1, "b": 5}

    def test_a_clock_set_back_neither_frees_nor_blocks_for_ever(self) -> None:
        time = Clock()
        gate = gate_of(time, Limit("a", "two", 2, MINUTE))
        assert ask(gate, 3, longest=0) == 2
        time.moment -= timedelta(seconds=30)
        assert ask(gate, 1, longest=0) == 0
        time.moment -= timedelta(days=30)
        assert ask(gate, 1, longest=0) == 1

    def test_every_try_of_the_connector_passes_and_what_is_refused_is_not_sent(self) -> None:
        time = Clock()
        gate = gate_of(time, Limit("a", "three", 3, DAY))
        with serve(lambda _call: Reply(status=503)) as provider:
            source = (
                HttpConnector(time.sleep)
                .through(gate)
                .read({"base_url": provider.url, "retries": 8}, state={}, inputs=None, secrets={})
            )
            with pytest.raises(RateLimitedError, match="three") as refused:
                next(source)
            assert len(provider.calls) == 3
        tries = vars(refused.value)["attempts"]
        assert [attempt.response_code for attempt in tries] == [503, 503, 503, None]
        assert "nothing was sent" in tries[-1].error


LOOP = """
import sys, edgekit
from pathlib import Path
from edgekit.connectors.http import HttpConnector
from edgekit.errors import RateLimitedError
from edgekit.integrations.figures import Limit, Limits
from edgekit.runner.limits import Gate
file, url, times, most, concurrent = sys.argv[1:]
with edgekit.open(file):
    gate = Gate(Path(file), 7, "items", Limits((Limit("a", "all", int(most), 86400),), int(concurrent)))
    connector = HttpConnector().through(gate)
    for _ in range(int(times)):
        try:
            config = {"base_url": url, "max_retry_after_seconds": 20}
            next(connector.read(config, state={}, inputs=None, secrets={}))
        except RateLimitedError:
            break
    gate.close()
"""


def two_processes(file: Path, url: str, *figures: int) -> None:
    command = [sys.executable, "-c", LOOP, str(file), url, *map(str, figures)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said


@pytest.mark.ledger("C-35", "S0-115")
def test_two_processes_share_a_limit_and_never_run_more_at_once_than_allowed(edge_file: Path) -> None:
    guard, running, most = threading.Lock(), 0, 0

    def script(_call: Call) -> Any:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)  # the answer takes a while, so that requests would meet
        with guard:
            running -= 1
        return []

    with serve(script) as provider:
        two_processes(edge_file, provider.url, 12, 15, 1)
        assert (len(provider.calls), most) == (15, 1)


PACE = """
import sys, time, edgekit
from pathlib import Path
from edgekit.connectors import http
from edgekit.integrations.figures import Limit, Limits
from edgekit.runner.limits import Gate
file, url = sys.argv[1:]
with edgekit.open(file):
    gate = Gate(Path(file), 7, "items", Limits((Limit("a", "four a second", 4, 1),), 10))
    connector = http.HttpConnector().through(gate)
    for number in range(8):
        begun = time.time()
        page = next(connector.read({"base_url": url}, state={}, inputs=None, secrets={}))
        print(begun, page.attempts[0].started_at.timestamp(), flush=True)
        if not number:
            time.sleep(0.8)
    gate.close()
"""


@pytest.mark.slow
@pytest.mark.ledger("C-35")
def test_two_processes_together_never_pass_the_limit_in_any_stretch_of_its_length(edge_file: Path) -> None:
    """However slow the machine: each slot was taken between the two moments its process tells of it."""
    with serve(lambda _call: []) as provider:
        command = [sys.executable, "-c", PACE, str(edge_file), provider.url]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        told = [line for process in running for line in process.communicate(timeout=60)[0].splitlines()]
        assert len(provider.calls) == len(told) == 16
    slots = sorted((tuple(map(float, line.split())) for line in told), key=lambda slot: slot[1])
    for first, fifth in zip(slots, slots[4:], strict=False):
        assert fifth[1] - first[0] >= 1 - 0.002
    assert slots[-1][1] - slots[0][0] >= 3


@pytest.mark.usefixtures("edge")
class TestRuns:
    @pytest.mark.ledger("S1-20")
    def test_a_program_has_its_limit_and_the_default_is_for_all_others(self, auto: int) -> None:
        dcs("http://127.0.0.1:9")
        rows = db.query("SELECT id FROM integration")
        rates = {(limit.key, limit.seconds): limit.count for limit in figures.limits(rows[0]["id"]).rates}
        key = f"DCS_LIMITS/program/{auto}"
        assert (rates[key, MINUTE], rates[key, DAY]) == (50, 10000)
        with db.change():
            db.connection().execute("UPDATE map_integration_configuration SET status_id = 2")
        rates = {(limit.key, limit.seconds): limit.count for limit in figures.limits(rows[0]["id"]).rates}
        key = "DCS_LIMITS/organization/1"
        assert (rates[key, MINUTE], rates[key, DAY]) == (100, 10000)

    @pytest.mark.ledger("S1-20")
    def test_above_the_limit_nothing_is_sent_it_is_recorded_and_the_next_run_goes_on(self, auto: int) -> None:
        policies(5)
        configuration.set("DCS_LIMITS", "daily_limit", 2, scope="program:AUTO")
        with serve(lambda _call: {"drivers": []}) as provider:
            dcs(provider.url)
            result = runner.run("drivers")
            assert (result.status, len(provider.calls)) == ("failed", 2)
            assert "daily_limit of DCS_LIMITS for program AUTO (2)" in str(result.message)
            execution = runner.show_execution(result.execution_id or 0)
            assert execution["error_code"] == "rate_limited"
            assert execution["attempts"][-1]["response_code"] is None
            assert "nothing was sent" in execution["attempts"][-1]["error_message"]
            assert db.query("SELECT health_status FROM integration") == [{"health_status": None}]
            assert runner.check_health("drivers").health_status is None
            assert len(provider.calls) == 2
            configuration.set("DCS_LIMITS", "daily_limit", 6, scope="program:AUTO")
            assert runner.run("drivers").status == "completed"
            asked = [call.query["policies"] for call in provider.calls]
            assert asked == [["P0"], ["P1"], ["P2"], ["P3"], ["P4"]]
        assert used()[f"DCS_LIMITS/program/{auto}"] == 5

    def test_what_the_integration_and_its_template_say_holds_beside(self, edge: Database) -> None:
        with edge.change():
            models.IntegrationTemplate.update(
                rate_limits={"requests_per_hour": 9, "requests_per_day": 3}
            ).where(models.IntegrationTemplate.code == "rest-source").execute()
        with serve(pages(8)) as provider:
            rest(provider.url, rate_limits={"requests_per_day": 4})
            result = runner.run("items")
            assert (result.records_written, len(provider.calls)) == (3, 3)
            assert "requests_per_day of items's template (3)" in str(result.message)
        with pytest.raises(InvalidError, match="requests_per_fortnight"):
            rest("http://127.0.0.1:9", "others", rate_limits={"requests_per_fortnight": 4})
        with pytest.raises(InvalidError, match="from 1 on"):
            rest("http://127.0.0.1:9", "others", rate_limits={"requests_per_day": 0})

    @pytest.mark.ledger("S0-111")
    def test_a_licence_s_hourly_limit_blocks_where_the_licence_does(self, edge: Database) -> None:
        licence(edge, "block", rate_limit_per_hour=2)
        with serve(pages(4)) as provider:
            rest(provider.url)
            result = runner.run("items")
            assert (result.status, len(provider.calls)) == ("failed", 2)
            assert "rate_limit_per_hour of API_INTEGRATIONS" in str(result.message)

    def test_without_a_licence_it_warns(self, caplog: pytest.LogCaptureFixture) -> None:
        licensing.grant("API_INTEGRATIONS", settings={"rate_limit_per_hour": 2})
        with serve(pages(3)) as provider:
            rest(provider.url)
            assert runner.run("items").status == "completed"
            assert len(provider.calls) == 3
        assert [record.message for record in caplog.records] == [
            "items: more than the 2 requests of rate_limit_per_hour of API_INTEGRATIONS for organization MAIN"
        ]

    def test_how_many_at_once_is_the_fewest_anybody_says(self) -> None:
        rest("http://127.0.0.1:9", rate_limits={"max_concurrent_requests": 2})
        rest("http://127.0.0.1:9", "others", rate_limits={"max_concurrent_requests": 12})
        assert [figures.limits(number).concurrent for number in (1, 2)] == [2, 10]

    @pytest.mark.ledger("C-35", "S0-111")
    def test_the_command_shows_every_limit_what_is_used_up_and_who_says_it(self, auto: int) -> None:
        policies(2)
        configuration.set("DCS_LIMITS", "daily_limit", 2, scope="program:AUTO")
        configuration.set("COMMUNICATION_DEFAULTS", "retry_backoff_multiplier", 3, scope="organization:MAIN")
        with serve(lambda _call: {"drivers": []}) as provider:
            dcs(provider.url, retries=12, circuit_breaker={"threshold": 9})
            runner.run("drivers")
        path = db.current().path
        db.current().close()
        asked = ["--db", str(path), "integrations", "limits", "drivers"]
        found = json.loads(CliRunner().invoke(root.edgekit, [*asked, "--json"]).stdout)
        limits = {one["limit"]: (one["allowed"], one["seconds"], one["used"]) for one in found["limits"]}
        assert limits["requests_per_minute of DCS_LIMITS for program AUTO"] == (50, 60, 2)
        assert limits["daily_limit of DCS_LIMITS for program AUTO"] == (2, 86400, 2)
        assert limits["rate_limit_per_hour of API_INTEGRATIONS for program AUTO"] == (1000, 3600, 2)
        assert limits["max_concurrent_requests of the entity type API_INTEGRATION"] == (10, None, None)
        assert limits["max_integrations of API_INTEGRATIONS"] == (5, None, 1)
        free = {one["limit"].split()[0]: one["free_at"] is not None for one in found["limits"]}
        assert (free["daily_limit"], free["requests_per_minute"]) == (True, False)
        said_by = {one["figure"]: (one["value"], one["source"]) for one in found["figures"]}
        assert said_by["timeout_seconds"] == (30, "timeout_seconds of DCS_CONNECTION, system")
        capped = "capped by max_retry_attempts or max_retries of DCS_RETRY; 12 asked by settings of drivers"
        assert said_by["retries"] == (3, capped)
        assert said_by["retry_multiplier"][1].endswith("COMMUNICATION_DEFAULTS, organization MAIN")
        assert said_by["breaker_threshold"] == (9, "settings of drivers")
        assert (found["cache_ttl_hours"], found["breakers"]) == (24, [])
        shown = CliRunner().invoke(root.edgekit, asked)
        assert "50 a minute" in shown.stdout

    def test_files_pass_no_gate(self, tmp_path: Path) -> None:
        path = tmp_path / "items.csv"
        path.write_text("code\na\n", encoding="utf-8")
        settings = {"path": str(path), "table": "item", "key": "code", "create": True}
        integrations.create("items", template="csv-import", settings=settings)
        assert runner.run("items").status == "completed"
        assert used() == {}
        found = runner.show_limits("items")
        assert [one.limit for one in found.limits] == ["max_integrations of API_INTEGRATIONS"]
        events = {"connector": "event", "event_type": "item.told"}
        rest("http://127.0.0.1:9", "told")
        with db.change():
            db.connection().execute(
                "UPDATE integration SET connection_config = json_set(connection_config, '$.to', json(?))"
                " WHERE integration_name = 'told'",
                (json.dumps(events),),
            )
        assert "requests" not in str(runner.show_limits("items").limits)
        assert any("rate_limit_per_hour" in one.limit for one in runner.show_limits("told").limits)


class TestRetries:
    def row(self) -> dict[str, Any]:
        return integrations.find("drivers")

    def settings(self, **own: Any) -> dict[str, Any]:
        return figures.exchange_settings(self.row(), own, HttpConnector.config_schema["properties"])

    @pytest.mark.ledger("C-33", "S0-74")
    def test_the_narrower_says_and_the_cap_holds(self, auto: int) -> None:
        rest("http://127.0.0.1:9")
        known = HttpConnector.config_schema["properties"]
        row = integrations.find("items")
        assert figures.exchange_settings(row, {}, known) == {
            "timeout_seconds": 30, "retries": 3, "retry_multiplier": 2,
        }  # fmt: skip
        configuration.set("COMMUNICATION_DEFAULTS", "default_timeout_seconds", 45, scope="organization:MAIN")
        assert figures.exchange_settings(row, {"retries": 15, "retry_delay_ms": 5}, known) == {
            "timeout_seconds": 45, "retries": 10, "retry_delay_ms": 5, "retry_multiplier": 2,
        }  # fmt: skip

    @pytest.mark.ledger("S0-74")
    def test_a_narrower_scope_may_lower_the_cap_and_not_raise_it(self, auto: int) -> None:
        rest("http://127.0.0.1:9")
        known, row = HttpConnector.config_schema["properties"], integrations.find("items")

        def retries() -> int:
            return int(figures.exchange_settings(row, {"retries": 20}, known)["retries"])

        configuration.set("COMMUNICATION_DEFAULTS", "max_retry_attempts", 15, scope="organization:MAIN")
        assert retries() == 10
        configuration.set("COMMUNICATION_DEFAULTS", "max_retry_attempts", 4, scope="organization:MAIN")
        assert retries() == 4
        configuration.set("COMMUNICATION_DEFAULTS", "default_retry_attempts", 7, scope="organization:MAIN")
        assert figures.exchange_settings(row, {}, known)["retries"] == 4

    @pytest.mark.ledger("S0-74")
    def test_every_call_that_can_time_out_does_so_by_the_same_figure(self, auto: int) -> None:
        rest("http://127.0.0.1:9")
        row = integrations.find("items")
        configuration.set("COMMUNICATION_DEFAULTS", "default_timeout_seconds", 900)
        found = {
            kind: figures.exchange_settings(row, {}, schema["properties"]).get("timeout_seconds")
            for kind, schema in {
                "http": HttpConnector.config_schema,
                "sql": connectors.get("sql").config_schema,
                "smtp": connectors.get_destination("smtp").write_schema,
                "file": connectors.get("file").config_schema,
            }.items()
        }
        assert found == {"http": 900, "sql": 900, "smtp": 600, "file": None}, "600 is the longest for mail"

    @pytest.mark.ledger("S1-21", "C-33")
    def test_dcs_is_asked_again_three_times_at_most_after_1_2_and_4_seconds(self, auto: int) -> None:
        waits: list[float] = []
        with serve(lambda _call: Reply(status=500)) as provider:
            dcs(provider.url)
            config = {"base_url": provider.url} | self.settings(retries=9)
            with pytest.raises(Exception, match="tried 4 times"):
                next(HttpConnector(waits.append).read(config, state={}, inputs=None, secrets={}))
            assert len(provider.calls) == 4
        assert [int(wait) for wait in waits] == [1, 2, 4]
        configuration.set("DCS_RETRY", "max_retries", 1, scope="program:AUTO")
        configuration.set("COMMUNICATION_DEFAULTS", "max_retry_attempts", 2)
        assert self.settings()["retries"] == 1
        configuration.set("DCS_RETRY", "max_retries", 7, scope="program:AUTO")
        assert self.settings()["retries"] == 2

    @pytest.mark.usefixtures("edge")
    def test_a_run_retries_as_is_resolved_and_the_checkpoint_stays(self) -> None:
        configuration.set("COMMUNICATION_DEFAULTS", "default_retry_attempts", 1)
        with serve(lambda _call: Reply(status=500)) as provider:
            rest(provider.url, retry_delay_ms=0)
            before = integrations.prepare("items").fingerprint
            assert runner.run("items").error is not None
            assert len(provider.calls) == 2
        configuration.set("COMMUNICATION_DEFAULTS", "default_retry_attempts", 2)
        assert integrations.prepare("items").fingerprint == before


class TestNumber:
    @pytest.mark.ledger("S0-111")
    def test_one_more_than_licensed_is_refused_where_the_licence_blocks(
        self, edge: Database, tmp_path: Path
    ) -> None:
        licence(edge, "block", max_integrations=2)
        rest("http://127.0.0.1:9", "one")
        rest("http://127.0.0.1:9", "two")
        with pytest.raises(LicenseError, match="max_integrations"):
            rest("http://127.0.0.1:9", "three")
        assert [row["name"] for row in integrations.list_integrations()] == ["one", "two"]
        integrations.create("file", template="csv-import", settings={"path": str(tmp_path), "table": "item"})
        integrations.disable("two")
        rest("http://127.0.0.1:9", "three")
        with pytest.raises(LicenseError, match="max_integrations"):
            integrations.enable("two")

    def test_without_a_licence_nothing_is_blocked(self, edge: Database) -> None:
        for number in range(6):
            rest("http://127.0.0.1:9", f"source {number}")
        assert len(integrations.list_integrations()) == 6


class TestReuse:
    def asked(self, provider: Any) -> list[str]:
        found = [call.query["policies"][0] for call in provider.calls]
        provider.calls.clear()
        return found

    @pytest.mark.ledger("S0-115")
    def test_what_was_answered_within_its_hours_is_not_asked_again(self, edge: Database) -> None:
        policies(3)
        with serve(lambda _call: {"drivers": []}) as provider:
            dcs(provider.url)
            first = runner.run("drivers")
            assert (first.skipped, self.asked(provider)) == (0, ["P0", "P1", "P2"])
            assert (runner.run("drivers").skipped, self.asked(provider)) == (3, [])
            assert runner.run("drivers", dry_run=True).skipped == 3
            with edge.change():
                models.Policy.update(annual_premium=5).where(models.Policy.policy_number == "P1").execute()
            assert (runner.run("drivers").skipped, self.asked(provider)) == (2, ["P1"])
            assert (runner.run("drivers").skipped, self.asked(provider)) == (3, [])
            assert (runner.run("drivers", fresh=True).skipped, len(self.asked(provider))) == (0, 3)
            assert runner.run("drivers").skipped == 3
            with edge.change():
                models.IntegrationMapping.update(default_value="1").where(
                    models.IntegrationMapping.target_path == "violation_points"
                ).execute()
            assert (runner.run("drivers").skipped, len(self.asked(provider))) == (0, 3)

    def test_it_ages_by_when_it_was_asked_not_by_when_it_was_left_out(self, edge: Database) -> None:
        policies(2)
        plan, day = self.plan(), timedelta(hours=24)
        start = clock.now() + timedelta(minutes=1)
        first = reuse.begin(plan, {}, resumed=False, fresh=False, now=start)
        assert first is not None
        assert len(list(inputs.read(plan, {}, first))) == 2
        kept = first.document(done=True)
        for hours in (1, 12, 23):
            later = reuse.begin(plan, kept, resumed=False, fresh=False, now=start + timedelta(hours=hours))
            assert later is not None
            assert (list(inputs.read(plan, {}, later)), later.skipped) == ([], 2)
            kept = later.document(done=True)
        aged = reuse.begin(plan, kept, resumed=False, fresh=False, now=start + day)
        assert aged is not None
        assert len(list(inputs.read(plan, {}, aged))) == 2

    def plan(self) -> Any:
        dcs("http://127.0.0.1:9")
        return integrations.prepare("drivers")

    def test_a_pass_that_is_broken_off_goes_on_and_then_counts_whole(self, edge: Database) -> None:
        policies(4)
        replies = [Reply({"drivers": []})] * 2 + [Reply(status=400)] + [Reply({"drivers": []})]
        with serve(lambda _call: replies.pop(0) if len(replies) > 1 else replies[0]) as provider:
            dcs(provider.url)
            assert runner.run("drivers").status == "failed"
            assert self.asked(provider) == ["P0", "P1", "P2"]
            assert (runner.run("drivers").status, self.asked(provider)) == ("completed", ["P2", "P3"])
            assert (runner.run("drivers").skipped, self.asked(provider)) == (4, [])

    def test_other_services_are_asked_each_time(self, edge: Database) -> None:
        policies(2)
        with serve(lambda _call: {"items": [{"code": "a"}]}) as provider:
            rest(
                provider.url, inputs={"table": "policy", "columns": ["policy_number"]}, batch_size=1,
                request={"inputs": {"join": "{policy_number}", "into": "query", "name": "policies"}},
                pagination={"kind": "none"},
            )  # fmt: skip
            for _ in range(2):
                assert runner.run("items").skipped == 0
            assert len(provider.calls) == 4
