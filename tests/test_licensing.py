"""What is licensed, why, and how much of it is used."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import clock, configuration, crypto, integrations, licensing, models, rows
from edgekit.cli.root import edgekit as cli
from edgekit.errors import DeniedError, InvalidError, LicenseError, NotFoundError, RuleError
from edgekit.licensing import installing, issuing, statement, trusting, vendor
from edgekit.licensing.terms import Grant

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)  # past what the pattern file has seen
DAY = timedelta(days=1)
ACME = vendor.Vendor("Acme Software", crypto.SigningKey(b"a" * 32))


@pytest.fixture
def agency(edge: Database) -> Database:
    """A file with a program, its producer and two users, the second of another organization."""
    with edge.change():
        auto = models.Program.create(code="AUTO", name="Auto")
        models.Program.create(code="HOME", name="Home")
        models.Producer.create(code="P7", name="Harbor Street", program=auto)
        models.User.create(username="maria", organization=1)
        other = models.Organization.create(code="EAST", name="East", parent_organization=1)
        models.User.create(username="otto", organization=other)
    return edge


def add_feature(
    db: Database, code: str, *, tier: str = "STANDARD", needs: str | None = None, **values: Any
) -> int:
    with db.change():
        made = models.Feature.create(
            code=code, name=code, feature_key=f"tests.{code.lower()}",
            feature_type=models.FeatureType.get(code="ANALYTICS"),
            license_tier=models.LicenseTier.get(code=tier), **values,
        )  # fmt: skip
        if needs is not None:
            needed = models.Feature.get(code=needs)
            models.FeatureDependency.create(feature=made, depends_on_feature=needed)
    return int(made.id)


def install(
    db: Database,
    mode: str,
    *,
    features: dict[str, int] | list[Grant] | None = None,
    renews: str = "",
    **said: Any,
) -> str:
    """Install a licence file signed by a vendor the file trusts, and return its text."""
    if not models.VendorKey.select().exists():
        trusting.trust(statement.render(vendor.public_statement(ACME)))
    granted = features or {"USER_MANAGEMENT": 1}
    if isinstance(granted, dict):
        granted = [Grant(code, quantity=quantity) for code, quantity in granted.items()]
    said = {"features": granted, "mode": mode, "now": NOW} | said
    text = statement.render(issuing.renew(ACME, renews, **said) if renews else issuing.issue(ACME, **said))
    installing.install(text, now=NOW)
    return text


def reason(feature: str, **place: Any) -> str:
    found = licensing.check(feature, **place)
    assert found.enabled == (found.reason in {"core", "default", "tier", "license", "grace", "user"})
    return found.reason


@pytest.mark.ledger("S0-16", "S0-103", "C-67")
def test_the_narrowest_licence_decides(agency: Database) -> None:
    assert reason("USER_MANAGEMENT", producer="P7") == "core"
    assert reason("EMAIL_NOTIFICATIONS", producer="P7") == "not_licensed"
    licensing.grant("EMAIL_NOTIFICATIONS")
    assert reason("EMAIL_NOTIFICATIONS", program="AUTO", producer="P7") == "license"
    licensing.withhold("EMAIL_NOTIFICATIONS", place="program:AUTO")
    assert reason("EMAIL_NOTIFICATIONS", program="AUTO") == "withheld"
    assert reason("EMAIL_NOTIFICATIONS", program="HOME") == "license"
    licensing.grant("EMAIL_NOTIFICATIONS", place="producer:P7")
    assert reason("EMAIL_NOTIFICATIONS", program="AUTO", producer="P7") == "license"
    licensing.unset("EMAIL_NOTIFICATIONS", place="program:AUTO")
    assert reason("EMAIL_NOTIFICATIONS", program="AUTO") == "license"
    licensing.withhold("EMAIL_NOTIFICATIONS", place="organization:EAST")
    assert reason("EMAIL_NOTIFICATIONS", organization="EAST") == "withheld"
    assert reason("EMAIL_NOTIFICATIONS") == "license"
    with pytest.raises(NotFoundError):
        licensing.unset("EMAIL_NOTIFICATIONS", place="program:AUTO")


@pytest.mark.ledger("S0-103")
def test_a_licence_past_its_end_counts_as_absent(agency: Database) -> None:
    end = NOW + timedelta(days=1)
    licensing.grant("EMAIL_NOTIFICATIONS", place="program:AUTO", expires_at=end)
    with pytest.raises(InvalidError, match="is past"):
        licensing.grant("EMAIL_NOTIFICATIONS", place="program:AUTO", expires_at=end, now=end)
    assert reason("EMAIL_NOTIFICATIONS", program="AUTO", now=end - timedelta(milliseconds=1)) == "license"
    assert reason("EMAIL_NOTIFICATIONS", program="AUTO", now=end) == "expired"
    licensing.grant("EMAIL_NOTIFICATIONS", organization=1)
    assert reason("EMAIL_NOTIFICATIONS", program="AUTO", now=end) == "license"
    licensing.unset("EMAIL_NOTIFICATIONS", organization=1)
    licensing.assign_tier("STANDARD")
    assert reason("EMAIL_NOTIFICATIONS", program="AUTO", now=end) == "tier"


def test_a_file_s_licence_ends_in_grace_and_is_revoked(agency: Database) -> None:
    end = NOW + 30 * DAY
    features = {"EMAIL_NOTIFICATIONS": 1}
    install(agency, "block", features=features, expires=end, grace_days=10, serial="A-1")
    for at, wanted in {0: "license", 30: "grace", 39: "grace", 40: "expired"}.items():
        assert reason("EMAIL_NOTIFICATIONS", now=NOW + at * DAY) == wanted
    found = licensing.explain("EMAIL_NOTIFICATIONS", now=NOW + 35 * DAY)
    assert found.turns_at == clock.to_text(NOW + 40 * DAY)
    assert "in grace until" in found.path[-2].detail
    installing.revoke(statement.render(issuing.revoke(ACME, "A-1", now=NOW)), now=NOW)
    assert reason("EMAIL_NOTIFICATIONS", now=NOW) == "revoked"
    assert licensing.mode(now=NOW) == "block", "revoking frees nobody"
    install(agency, "advise", tier="STANDARD")
    assert reason("EMAIL_NOTIFICATIONS", now=NOW) == "tier"


def test_a_tier_of_a_licence_file_lasts_as_long_as_the_file(agency: Database) -> None:
    install(agency, "block", tier="PREMIUM", expires=NOW + 30 * DAY)
    assert reason("ADVANCED_ANALYTICS", program="AUTO", now=NOW) == "tier"
    assert licensing.check("ADVANCED_ANALYTICS", program="AUTO", now=NOW).mode == "block"
    found = licensing.explain("ADVANCED_ANALYTICS", program="AUTO", now=NOW + 30 * DAY)
    assert [one.link for one in found.unmet] == ["dependency", "tier", "license", "tier", "license"]
    assert found.tier is None
    for tier in ("ENTERPRISE", None):  # neither above it, nor for when it has expired
        with pytest.raises(InvalidError, match="PREMIUM by the licence"):
            licensing.assign_tier(tier)
    assert licensing.assign_tier("STANDARD", user="maria")["tier"] == "STANDARD"


def test_a_licence_somebody_wrote_past_the_program_grants_nothing(agency: Database) -> None:
    install(agency, "block", features={"EMAIL_NOTIFICATIONS": 1})
    with agency.change():
        forged = models.LicenseFile.create(
            serial="F-1", vendor_key=1, document={"kind": "license"}, signature="s" * 88, starts_at=NOW
        )
        licence = {"uuid": "u" * 36, "scope_type": 1, "license_file": forged}
        models.FeatureLicense.create(feature=models.Feature.get(code="BASIC_REPORTING"), **licence)
    assert reason("BASIC_REPORTING") == "tampered"


@pytest.mark.ledger("S0-19", "S0-104", "C-66")
def test_a_tier_covers_what_takes_it_or_less(agency: Database) -> None:
    sold = {"BASIC": "BASIC", "STANDARD": "STANDARD", "PREMIUM": "PREMIUM", "ENTERPRISE": "ENTERPRISE"}
    for code, tier in sold.items():
        add_feature(agency, f"F_{code}", tier=tier)
    add_feature(agency, "EXTRA", tier="BASIC", is_addon=True)
    order = list(sold)
    for number, tier in enumerate(order):
        licensing.assign_tier(tier)
        covered = [code for code in order if licensing.check(f"F_{code}", program="AUTO").enabled]
        assert covered == order[: number + 1]
        assert reason("EXTRA") == "not_licensed", "no tier covers an add-on"
    licensing.grant("EXTRA")
    assert reason("EXTRA") == "license"
    licensing.assign_tier("BASIC", user="maria")
    assert reason("F_PREMIUM", user="maria") == "not_licensed", "the user's tier goes before"
    assert reason("F_PREMIUM", user="otto") == "tier", "an organization without one has that above it"
    listed = {tier.code: tier for tier in licensing.list_tiers()}
    assert listed["BASIC"].users == 1
    assert "EXTRA" not in listed["ENTERPRISE"].features
    assert "F_STANDARD" in listed["STANDARD"].features
    assert "F_PREMIUM" not in listed["STANDARD"].features


@pytest.mark.ledger("S2-25")
def test_a_retired_tier_still_covers_who_has_it(agency: Database) -> None:
    licensing.assign_tier("PREMIUM")
    with agency.change():
        models.LicenseTier.update(status=2).where(models.LicenseTier.code == "PREMIUM").execute()
    assert reason("ADVANCED_ANALYTICS") == "tier"
    with pytest.raises(RuleError, match="retired"):
        licensing.assign_tier("PREMIUM", user="maria")


@pytest.mark.ledger("S0-17", "S0-105", "C-68")
def test_settings_merge_along_the_chain_over_the_schema_s_defaults(agency: Database) -> None:
    standard = {"max_integrations": 5, "rate_limit_per_hour": 1000}
    assert licensing.check("API_INTEGRATIONS", program="AUTO").settings == standard, "figures resolve anyhow"
    licensing.grant("API_INTEGRATIONS", settings={"max_integrations": 8})
    licensing.grant("API_INTEGRATIONS", place="program:AUTO", settings={"rate_limit_per_hour": 20})
    found = licensing.check("API_INTEGRATIONS", program="AUTO")
    assert found.settings == {"max_integrations": 8, "rate_limit_per_hour": 20}
    assert licensing.check("API_INTEGRATIONS", program="HOME").settings["rate_limit_per_hour"] == 1000
    with pytest.raises(InvalidError, match="max_integrations"):
        licensing.grant("API_INTEGRATIONS", settings={"max_integrations": "many"})
    with pytest.raises(TypeError):
        found.settings["max_integrations"] = 99  # type: ignore[index]
    entity = licensing.check("API_INTEGRATIONS", entity="DCS_HOUSEHOLD_DRIVERS").settings
    assert entity["max_concurrent_requests"] == 10
    assert licensing.check("DCS_DRIVER_VERIFICATION", entity="DCS_HOUSEHOLD_DRIVERS").settings == {
        "verification_level": "basic", "cache_ttl_hours": 24,
    }  # fmt: skip


@pytest.mark.ledger("S0-105")
def test_a_schema_says_how_settings_merge_and_where_they_are_final(agency: Database) -> None:
    parts = {
        "tags": {"type": "array", "default": ["a"], "x-merge": "append"},
        "limits": {"type": "object", "x-merge": "deep"},
        "cap": {"type": "integer", "default": 5, "x-final": "program"},
    }
    schema = {"type": "object", "properties": parts}
    add_feature(agency, "RULED", configuration_schema=schema)
    licensing.grant("RULED", settings={"tags": ["b"], "limits": {"day": 1, "hour": 2}})
    licensing.grant("RULED", place="program:AUTO", settings={"cap": 7, "limits": {"hour": 3}})
    licensing.grant("RULED", place="producer:P7", settings={"cap": 99, "tags": ["c"]})
    found = licensing.check("RULED", program="AUTO", producer="P7").settings
    assert found["tags"] == ("a", "b", "c")
    assert (found["limits"], found["cap"]) == ({"day": 1, "hour": 3}, 7)


@pytest.mark.ledger("S2-11", "S2-17")
def test_a_value_goes_from_registry_to_tier_to_user(agency: Database) -> None:
    made = add_feature(agency, "MODELS", value_type="integer", default_value={"enabled": False, "value": 1})
    assert (reason("MODELS"), licensing.check("MODELS").value) == ("not_licensed", 1)
    with agency.change():
        gold = models.LicenseTier.create(code="GOLD", name="Gold", tier_rank=9)
        value = {"enabled": True, "value": 5, "settings": {"temperature": 1}, "badge": "new"}
        models.LicenseTierFeature.create(license_tier=gold, feature=made, feature_value=value)
    licensing.assign_tier("GOLD")
    found = licensing.check("MODELS", user="maria")
    assert (found.reason, found.value, found.settings) == ("tier", 5, {"temperature": 1})
    override(agency, "maria", {"MODELS": {"enabled": True, "value": 7, "settings": {"top": 2}}})
    found = licensing.check("tests.models", user="maria")
    assert (found.reason, found.value, found.settings) == ("user", 7, {"temperature": 1, "top": 2})
    assert licensing.check("MODELS", user="otto").value == 5
    override(agency, "otto", {"tests.models": False, "USER_MANAGEMENT": False})
    assert reason("MODELS", user="otto") == "user_off"
    assert reason("USER_MANAGEMENT", user="otto") == "core"
    assert [one.link for one in licensing.explain("MODELS", user="otto").unmet] == ["user"]


def override(db: Database, user: str, document: dict[str, Any]) -> None:
    with db.change():
        models.Configuration.create(
            configuration_type=models.ConfigurationType.get(code="FEATURE_OVERRIDES"),
            scope_type=models.ScopeType.get(code="USER"),
            scope_id=models.User.get(username=user).id,
            config_data=document,
        )


@pytest.mark.ledger("S0-30", "C-65")
def test_prerequisites_count_when_licensed_and_when_checked(agency: Database) -> None:
    with pytest.raises(InvalidError, match="BASIC_REPORTING"):
        licensing.grant("ADVANCED_ANALYTICS", place="program:AUTO")
    assert licensing.usage() == []
    both = licensing.grant("ADVANCED_ANALYTICS", place="program:AUTO", with_prerequisites=True)
    assert both.also == ("BASIC_REPORTING",)
    assert reason("ADVANCED_ANALYTICS", program="AUTO") == "license"
    assert reason("ADVANCED_ANALYTICS", program="HOME") == "not_licensed"
    gone = licensing.withhold("BASIC_REPORTING", place="program:AUTO")
    assert gone.also == ("ADVANCED_ANALYTICS",)
    assert reason("ADVANCED_ANALYTICS", program="AUTO") == "dependency"
    install(agency, "block", features={"ADVANCED_ANALYTICS": 1})
    with pytest.raises(LicenseError, match="depends on BASIC_REPORTING"):
        licensing.require("ADVANCED_ANALYTICS", program="AUTO")


@pytest.mark.ledger("S0-18")
def test_a_component_goes_off_with_its_feature_and_all_that_it_needs(agency: Database) -> None:
    add_feature(agency, "AGENTS", default_value={"enabled": True})
    add_feature(agency, "AGENT_MEMORY", default_value={"enabled": True}, needs="AGENTS")
    with agency.change():
        memory = models.Feature.get(code="AGENT_MEMORY")
        models.ComponentRegistry.create(code="MEMORY", name="Memory", feature=memory)
        public = models.Feature.get(feature_key="components.public")
        models.ComponentRegistry.create(code="HELP", name="Help", feature=public)
        models.ModelRegistry.create(provider="openai", model_id="gpt", model_name="GPT", feature=memory)
    assert licensing.require_component("MEMORY", program="AUTO").enabled
    assert licensing.check_model("OpenAI", "gpt").enabled
    with agency.change():
        models.Feature.update(status=2).where(models.Feature.code == "AGENTS").execute()
    assert not licensing.check_component("MEMORY").enabled
    assert not licensing.check_model("openai", "gpt").enabled
    found = {(gate.kind, gate.code): (gate.is_gated, gate.enabled) for gate in licensing.gates()}
    assert found == {
        ("component", "MEMORY"): (True, False),
        ("component", "HELP"): (False, True),
        ("model", "openai gpt"): (True, False),
    }
    install(agency, "block")
    with pytest.raises(LicenseError, match="AGENT_MEMORY"):
        licensing.require_component("MEMORY")
    with agency.change():
        models.ComponentRegistry.update(status=2).where(models.ComponentRegistry.code == "HELP").execute()
    with pytest.raises(NotFoundError):
        licensing.check_component("HELP")


@pytest.mark.ledger("S0-49")
def test_an_entity_works_where_all_it_requires_is_there(agency: Database) -> None:
    assert licensing.require_entity("DCS_HOUSEHOLD_DRIVERS"), "a file without a licence file stops nothing"
    install(agency, "block")
    with agency.change():
        models.Entity.update(status=2).where(models.Entity.code == "DCS_HOUSEHOLD_DRIVERS").execute()
    with pytest.raises(LicenseError, match="API_INTEGRATIONS, DCS_DRIVER_VERIFICATION"):
        licensing.activate_entity("DCS_HOUSEHOLD_DRIVERS")
    assert models.Entity.get(code="DCS_HOUSEHOLD_DRIVERS").status_id == 2
    install(agency, "block", features={"API_INTEGRATIONS": 1})
    with pytest.raises(LicenseError, match="requires DCS_DRIVER_VERIFICATION"):
        licensing.require_entity("DCS_HOUSEHOLD_DRIVERS")
    install(agency, "block", features={"DCS_DRIVER_VERIFICATION": 1})
    licensing.withhold("API_INTEGRATIONS")
    with pytest.raises(LicenseError, match="requires API_INTEGRATIONS"):
        rows.set_values("entity", "DCS_HOUSEHOLD_DRIVERS", {"status": "ACTIVE"})
    licensing.grant("API_INTEGRATIONS")
    found = licensing.activate_entity("DCS_HOUSEHOLD_DRIVERS")
    assert {(one.feature, one.by, one.is_required, one.enabled) for one in found} == {
        ("API_INTEGRATIONS", "type", True, True),
        ("DCS_DRIVER_VERIFICATION", "entity", True, True),
    }
    assert models.Entity.get(code="DCS_HOUSEHOLD_DRIVERS").status_id == 1
    integrations.create("drivers", template="csv-import", settings={"path": "d.csv", "table": "driver"})
    with agency.change():
        entity = models.Entity.get(code="DCS_HOUSEHOLD_DRIVERS")
        models.Integration.update(entity=entity).where(
            models.Integration.integration_name == "drivers"
        ).execute()
    licensing.withhold("API_INTEGRATIONS")
    with pytest.raises(LicenseError, match="requires API_INTEGRATIONS"):
        integrations.prepare("drivers")


def test_the_mode_says_what_an_unlicensed_use_meets(
    agency: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "edgekit.licensing")
    assert licensing.mode() == "advise"
    assert not licensing.require("ADVANCED_ANALYTICS").enabled
    assert caplog.messages == []
    text = install(agency, "warn")
    assert not licensing.require("ADVANCED_ANALYTICS").enabled
    assert "ADVANCED_ANALYTICS is not available" in caplog.messages[0]
    install(agency, "block", renews=text, expires=NOW + DAY)
    assert licensing.mode() == licensing.mode(now=NOW + 2 * DAY) == "block", "also when it has expired"
    with pytest.raises(LicenseError) as caught:
        licensing.require("ADVANCED_ANALYTICS", program="AUTO")
    assert caught.value.exit_code == 5
    assert "licensing explain ADVANCED_ANALYTICS --program AUTO" in str(caught.value.hint)
    assert licensing.require("USER_MANAGEMENT").enabled


@pytest.mark.ledger("S0-106", "C-72")
def test_use_is_counted_and_refused_beyond_what_is_licensed(agency: Database) -> None:
    home = Grant("EMAIL_NOTIFICATIONS", "program:HOME", 2)
    install(agency, "block", features=[Grant("EMAIL_NOTIFICATIONS", quantity=5), home])
    assert licensing.use("EMAIL_NOTIFICATIONS", 3, program="AUTO").remaining == 2
    assert licensing.use("EMAIL_NOTIFICATIONS").used == 4, "what the system is licensed for is shared"
    with pytest.raises(LicenseError, match="for 5: 4 are used, 2 more would be 6"):
        licensing.use("EMAIL_NOTIFICATIONS", 2, program="AUTO")
    licensing.use("EMAIL_NOTIFICATIONS", 2, program="HOME")
    with pytest.raises(LicenseError, match="program HOME for 2"):
        licensing.use("EMAIL_NOTIFICATIONS", program="HOME")
    assert [(one.scope, one.used, one.remaining) for one in licensing.usage("EMAIL_NOTIFICATIONS")] == [
        ("system", 4, 1), ("program HOME", 2, 0),
    ]  # fmt: skip
    assert licensing.release("EMAIL_NOTIFICATIONS", 4).used == 0
    with pytest.raises(InvalidError, match="Only 0"):
        licensing.release("EMAIL_NOTIFICATIONS")
    with pytest.raises(LicenseError, match="not available"):
        licensing.use("ADVANCED_ANALYTICS")
    with pytest.raises(InvalidError):
        licensing.use("EMAIL_NOTIFICATIONS", 0)
    with pytest.raises(InvalidError, match="signed"):
        licensing.grant("EMAIL_NOTIFICATIONS", quantity=500)


def test_what_a_licence_counted_is_given_back_after_it_has_ended(agency: Database) -> None:
    home = Grant("EMAIL_NOTIFICATIONS", "program:HOME", 5)
    install(agency, "block", features=[home], expires=NOW + DAY)
    licensing.use("EMAIL_NOTIFICATIONS", 3, program="HOME")
    later = NOW + 200 * DAY
    assert licensing.release("EMAIL_NOTIFICATIONS", 3, program="HOME", now=later).used == 0


@pytest.mark.parametrize("quantity", [0, -1, 1.5, float("nan"), True, 10**30])
def test_a_use_is_a_whole_number_the_file_can_hold(agency: Database, quantity: Any) -> None:
    with pytest.raises(InvalidError, match="whole number"):
        licensing.use("USER_MANAGEMENT", quantity)
    with pytest.raises(InvalidError):
        licensing.release("USER_MANAGEMENT", quantity)
    assert licensing.usage() == []


@pytest.mark.parametrize(
    "broken",
    [
        '{"properties": []}', '{"properties": 5}', '{"properties": {"a": 5}}', '{"properties": {"a": true}}',
        '{"properties": {"a": true, "b": {"default": 1, "x-final": "user"}}}',
    ],
)  # fmt: skip
def test_a_schema_that_another_tool_wrote_breaks_no_decision(
    agency: Database, shell: sqlite3.Connection, broken: str
) -> None:
    sql = "UPDATE feature SET configuration_schema = ? WHERE code = 'USER_MANAGEMENT'"
    shell.execute(sql, (broken,))
    assert licensing.check("USER_MANAGEMENT").enabled
    shell.execute(sql, ('{"allOf": [{"properties": 5}]}',))
    with agency.change(), pytest.raises(InvalidError, match="The schema of a feature"):
        licensing.check("USER_MANAGEMENT")


@pytest.mark.parametrize("said", ["5", "null", "[true]", '{"enabled": "x"}', '{"settings": [1]}'])
def test_what_is_no_feature_value_says_nothing_of_a_user(
    agency: Database, shell: sqlite3.Connection, said: str
) -> None:
    configuration.set("FEATURE_OVERRIDES", "EMAIL_NOTIFICATIONS", True, scope="user:maria")
    assert reason("EMAIL_NOTIFICATIONS", user="maria") == "user"
    shell.execute(
        "UPDATE configuration SET config_data = ? WHERE id = (SELECT max(id) FROM configuration)",
        (f'{{"EMAIL_NOTIFICATIONS": {said}}}',),
    )
    with agency.change():  # nothing is kept within
        assert reason("EMAIL_NOTIFICATIONS", user="maria") == "not_licensed"


def test_use_is_undone_with_the_work_it_counts(agency: Database) -> None:
    licensing.grant("EMAIL_NOTIFICATIONS", quantity=1)
    with pytest.raises(ZeroDivisionError), agency.change():
        licensing.use("EMAIL_NOTIFICATIONS")
        raise ZeroDivisionError
    assert licensing.usage() == []
    assert licensing.use("EMAIL_NOTIFICATIONS").warning is None
    over = licensing.use("EMAIL_NOTIFICATIONS")
    assert over.used == 2
    assert "1 more would be 2" in str(over.warning), "a file without a licence file warns and goes on"
    assert "not available" in str(licensing.use("ADVANCED_ANALYTICS").warning)
    seen = agency.query("SELECT DISTINCT actor FROM audit_entry WHERE table_name = 'feature_usage'")
    assert len(seen) == 1


def test_a_quantity_may_be_for_a_period(agency: Database) -> None:
    at = datetime(2031, 11, 21, 12, tzinfo=UTC)
    add_feature(agency, "CALLS", configuration_schema={"type": "object", "x-usage-period": "month"})
    install(agency, "block", features={"CALLS": 2, "EMAIL_NOTIFICATIONS": 9})
    assert licensing.use("CALLS", 2, now=at).period_starts_at == "2031-11-01T00:00:00.000Z"
    with pytest.raises(LicenseError, match="in this month"):
        licensing.use("CALLS", now=at + timedelta(days=9))
    assert licensing.use("CALLS", now=at + timedelta(days=10)).used == 1
    for period, start in {"hour": "T12:00", "day": "T00:00", "year": "-01-01"}.items():
        used = licensing.use("EMAIL_NOTIFICATIONS", period=period, now=at)
        assert start in str(used.period_starts_at)
        assert used.used == 1
    with pytest.raises(InvalidError, match="period"):
        licensing.use("EMAIL_NOTIFICATIONS", period="week")


def test_a_user_of_one_organization_counts_and_asks_there(agency: Database, edge_file: Path) -> None:
    with agency.change():
        user = models.Role.get(code="USER")
        models.User.update(role=user).where(models.User.username << ["maria", "otto"]).execute()
    install(agency, "block", features={"EMAIL_NOTIFICATIONS": 3})
    agency.close()
    for name, left in {"maria": 2, "otto": 1}.items():  # both use up what the system is licensed for
        with edgekit.open(edge_file, actor=name):
            assert licensing.check("EMAIL_NOTIFICATIONS").enabled
            assert licensing.use("EMAIL_NOTIFICATIONS").remaining == left
            assert not licensing.explain("ADVANCED_ANALYTICS").enabled
            with pytest.raises(DeniedError):
                licensing.grant("BASIC_REPORTING")
            with pytest.raises(DeniedError):
                licensing.assign_tier("ENTERPRISE", user=name)
    with edgekit.open(edge_file, actor="otto"), pytest.raises(NotFoundError):
        licensing.check("EMAIL_NOTIFICATIONS", program="AUTO")


TAKE = """
import sys, edgekit
from edgekit import licensing
taken = 0
with edgekit.open(sys.argv[1]):
    for _ in range(15):
        try:
            licensing.use("EMAIL_NOTIFICATIONS")
            taken += 1
        except edgekit.LicenseError:
            pass
print(taken)
"""


@pytest.mark.ledger("S0-106")
def test_two_processes_never_use_more_than_is_licensed(edge_file: Path) -> None:
    with edgekit.open(edge_file) as db:
        install(db, "block", features={"EMAIL_NOTIFICATIONS": 20})
    takers = [
        subprocess.Popen([sys.executable, "-c", TAKE, str(edge_file)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert sum(int(taker.communicate(timeout=60)[0]) for taker in takers) == 20
    with closing(sqlite3.connect(edge_file)) as shell:
        assert shell.execute("SELECT used_quantity FROM feature_usage").fetchall() == [(20,)]


@pytest.mark.ledger("S2-37")
def test_what_a_tier_gives_is_read_once_for_all_who_have_it(agency: Database) -> None:
    licensing.assign_tier("PREMIUM")
    with agency.change():
        for number in range(30):
            models.User.create(username=f"u{number}", organization=1)
    seen: list[str] = []
    agency.connection().set_trace_callback(seen.append)
    for number in range(30):
        assert licensing.check("BASIC_REPORTING", user=f"u{number}").reason == "tier"
    agency.connection().set_trace_callback(None)
    assert sum("FROM license_tier_feature" in sql for sql in seen) == 1
    with agency.change():
        models.LicenseTierFeature.create(
            license_tier=models.LicenseTier.get(code="PREMIUM"),
            feature=models.Feature.get(code="BASIC_REPORTING"),
            feature_value={"enabled": False},
        )
    assert reason("BASIC_REPORTING", user="u7") == "tier_withholds"


def test_a_kept_answer_goes_with_what_it_rests_on(agency: Database, shell: sqlite3.Connection) -> None:
    assert reason("EMAIL_NOTIFICATIONS") == "not_licensed"
    licensing.grant("EMAIL_NOTIFICATIONS")
    assert licensing.check("EMAIL_NOTIFICATIONS") is licensing.check("EMAIL_NOTIFICATIONS")
    shell.execute("UPDATE feature_license SET status_id = 2")
    deadline = time.monotonic() + 2
    while licensing.check("EMAIL_NOTIFICATIONS").enabled and time.monotonic() < deadline:
        pass
    assert reason("EMAIL_NOTIFICATIONS") == "withheld", "another process's commit is seen"
    licensing.grant("EMAIL_NOTIFICATIONS", expires_at=datetime.now(UTC) + timedelta(milliseconds=150))
    assert reason("EMAIL_NOTIFICATIONS") == "license"
    deadline = time.monotonic() + 2
    while licensing.check("EMAIL_NOTIFICATIONS").enabled and time.monotonic() < deadline:
        pass
    assert reason("EMAIL_NOTIFICATIONS") == "expired", "time alone ends it too"


@pytest.mark.ledger("C-63")
def test_a_feature_is_named_by_code_or_key(agency: Database) -> None:
    found = licensing.check("basic_reporting")
    assert (found.feature, found.feature_key) == ("BASIC_REPORTING", "analytics.basic_reporting")
    assert licensing.check("analytics.basic_reporting").feature == "BASIC_REPORTING"
    with pytest.raises(NotFoundError) as caught:
        licensing.check("BASIC_REPORTNG")
    assert "BASIC_REPORTING" in str(caught.value.hint)


def run(path: Path, *words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(cli, ["--db", str(path), "licensing", *words])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if "--json" in words else done.output


@pytest.mark.ledger("S0-103", "S0-107")
def test_explain_names_every_unmet_link(edge_file: Path, shell: sqlite3.Connection) -> None:
    shell.execute("INSERT INTO program(code, name) VALUES ('AUTO', 'Auto')")
    asked = ("ADVANCED_ANALYTICS", "--program", "AUTO", "--json")
    found = run(edge_file, "explain", *asked)
    assert [(one["feature"], one["link"], one["needs"]) for one in found["unmet"]] == [
        ("ADVANCED_ANALYTICS", "dependency", "BASIC_REPORTING"),
        ("ADVANCED_ANALYTICS", "tier", "PREMIUM"),
        ("ADVANCED_ANALYTICS", "license", "a licence"),
        ("BASIC_REPORTING", "tier", "STANDARD"),
        ("BASIC_REPORTING", "license", "a licence"),
    ]
    assert found["chain"] == ["system", "organization MAIN", "program AUTO"]
    assert found["dependencies"] == [["ADVANCED_ANALYTICS", "BASIC_REPORTING"]]
    assert {"default", "tier", "license"} == {step["source"] for step in found["path"]}
    checked = run(edge_file, "check", *asked)
    assert (checked["enabled"], checked["reason"]) == (False, "not_licensed")
    assert "no licence along system > organization MAIN > program AUTO" in run(
        edge_file, "explain", *asked[:3]
    )
    with pytest.raises(sqlite3.IntegrityError, match="itself"):
        shell.execute(
            "INSERT INTO feature_dependency(feature_id, depends_on_feature_id) SELECT b.id, a.id"
            " FROM feature a, feature b WHERE a.code = 'ADVANCED_ANALYTICS' AND b.code = 'BASIC_REPORTING'"
        )
    run(edge_file, "assign-tier", "STANDARD")
    run(edge_file, "withhold", "BASIC_REPORTING", "--scope", "program:AUTO")
    kinds = [(one["feature"], one["link"], one["has"]) for one in run(edge_file, "explain", *asked)["unmet"]]
    assert kinds == [
        ("ADVANCED_ANALYTICS", "dependency", "withheld"),
        ("ADVANCED_ANALYTICS", "tier", "STANDARD"),
        ("ADVANCED_ANALYTICS", "license", None),
        ("BASIC_REPORTING", "license", "withheld"),
    ]


def test_an_indirect_dependency_is_named_link_by_link(agency: Database) -> None:
    add_feature(agency, "LOW", tier="BASIC")
    add_feature(agency, "MIDDLE", tier="BASIC", default_value={"enabled": True}, needs="LOW")
    add_feature(agency, "TOP", tier="BASIC", default_value={"enabled": True}, needs="MIDDLE")
    found = licensing.explain("TOP")
    assert [(one.feature, one.link, one.needs) for one in found.unmet] == [
        ("TOP", "dependency", "MIDDLE"), ("MIDDLE", "dependency", "LOW"),
        ("LOW", "tier", "BASIC"), ("LOW", "license", "a licence"),
    ]  # fmt: skip
    assert found.reason == "dependency"


def test_rows_written_by_hand_are_looked_at(edge_file: Path) -> None:
    def add(settings: str) -> Any:
        words = ["feature=EMAIL_NOTIFICATIONS", "scope_type=SYSTEM", f"feature_configuration={settings}"]
        return CliRunner().invoke(cli, ["--db", str(edge_file), "feature-licenses", "add", *words])

    refused = add('{"daily_email_limit": "many"}')
    assert (refused.exit_code, "daily_email_limit" in refused.output) == (4, True)
    assert add('{"daily_email_limit": 5}').exit_code == 0
    assert run(edge_file, "check", "EMAIL_NOTIFICATIONS", "--json")["settings"] == {"daily_email_limit": 5}


def test_the_commands_of_licensing(edge_file: Path, shell: sqlite3.Connection) -> None:
    shell.execute("INSERT INTO program(code, name) VALUES ('AUTO', 'Auto')")
    granted = run(
        edge_file, "grant", "EMAIL_NOTIFICATIONS", "--scope", "program:AUTO", "--quantity", "3", "--expires",
        "2099-01-31", "--settings", '{"daily_email_limit": 7}', "--json",
    )  # fmt: skip
    assert granted["expires_at"] == "2099-01-31T00:00:00.000Z"
    assert granted["settings"] == {"daily_email_limit": 7}
    checked = run(edge_file, "check", "EMAIL_NOTIFICATIONS", "--program", "AUTO", "--json")
    assert checked["enabled"] is True
    assert checked["settings"] == {"daily_email_limit": 7}
    listed = {one["feature"]: one["enabled"] for one in run(edge_file, "list", "--program", "AUTO", "--json")}
    assert listed["EMAIL_NOTIFICATIONS"] is True
    assert listed["BASIC_REPORTING"] is False
    assert run(edge_file, "usage", "--json") == []
    assert run(edge_file, "gates", "--json") == []
    assert len(run(edge_file, "tiers", "--json")) == 4
    assert len(run(edge_file, "entity", "DCS_HOUSEHOLD_DRIVERS", "--json")) == 2
    run(edge_file, "unset", "EMAIL_NOTIFICATIONS", "--scope", "program:AUTO")
    assert "core feature" in run(edge_file, "withhold", "USER_MANAGEMENT", code=4)
    for settings, words in (("{", "not valid JSON"), ("[" * 50_000, "too deeply"), ('{"a": NaN}', "NaN")):
        assert words in run(edge_file, "grant", "EMAIL_NOTIFICATIONS", "--settings", settings, code=4)
    assert "largest" in run(edge_file, "grant", "EMAIL_NOTIFICATIONS", "--quantity", "9" * 30, code=4)
    assert "an object" in run(edge_file, "grant", "EMAIL_NOTIFICATIONS", "--settings", "5", code=4)
    assert "FEATURE_OVERRIDES" in run(edge_file, "grant", "BASIC_REPORTING", "--scope", "user:system", code=4)
    run(edge_file, "assign-tier", code=2)
    assert run(edge_file, "assign-tier", "--none", "--json")["tier"] is None
