"""While licences block, only what is signed switches on; what is entered by hand may take away."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import configuration, crypto, licensing, models, rows
from edgekit.cli.root import edgekit as cli
from edgekit.errors import LicenseError
from edgekit.licensing import installing, issuing, statement, trusting, vendor
from edgekit.licensing.terms import Grant

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)  # past what the pattern file has seen
ACME = vendor.Vendor("Acme Software", crypto.SigningKey(b"a" * 32))
EMAIL = "EMAIL_NOTIFICATIONS"


@pytest.fixture
def agency(edge: Database) -> Database:
    """A file that trusts Acme, with a program, a user and an organization below the main one."""
    with edge.change():
        models.Program.create(code="AUTO", name="Auto")
        models.User.create(username="maria", organization=1)
        models.Organization.create(code="EAST", name="East", parent_organization=1)
    trusting.trust(statement.render(vendor.public_statement(ACME)))
    return edge


def install(*features: Grant, mode: str = "block", **said: Any) -> str:
    """Install a licence Acme has signed; return its text."""
    given = list(features) or ([] if "tier" in said else [Grant("USER_MANAGEMENT")])
    text = statement.render(issuing.issue(ACME, features=given, mode=mode, now=NOW, **said))
    installing.install(text, now=NOW)
    return text


def reason(feature: str = EMAIL, **place: Any) -> str:
    found = licensing.check(feature, **place)
    explained = licensing.explain(feature, **place)
    assert (explained.enabled, explained.reason) == (found.enabled, found.reason)
    assert explained.enabled == (not explained.unmet)
    return found.reason


@pytest.mark.parametrize("mode", ["advise", "warn"])
def test_what_is_entered_by_hand_counts_until_licences_block(agency: Database, mode: str) -> None:
    old = install(mode=mode)
    licensing.grant(EMAIL, place="program:AUTO")
    licensing.assign_tier("STANDARD", organization="EAST")
    configuration.set("FEATURE_OVERRIDES", EMAIL, True, scope="user:maria")
    places: list[tuple[str, dict[str, str]]] = [
        ("license", {"program": "AUTO"}), ("tier", {"organization": "EAST"}), ("user", {"user": "maria"}),
    ]  # fmt: skip
    for wanted, place in places:
        assert reason(**place) == wanted
        assert licensing.require(EMAIL, **place).enabled
    installing.install(statement.render(issuing.renew(ACME, old, mode="block", now=NOW)), now=NOW)
    for _, place in places:  # what was kept is decided anew at once
        assert reason(**place) == "not_signed"
        with pytest.raises(LicenseError, match="only what the vendor signed counts"):
            licensing.require(EMAIL, **place)
    assert reason("USER_MANAGEMENT", user="maria") == "core"
    install(Grant(EMAIL), serial="B-1")
    for _, place in places:
        assert reason(**place) == "license"
    installing.revoke(statement.render(issuing.revoke(ACME, "B-1", now=NOW)), now=NOW)
    assert [reason(**place) for _, place in places] == ["not_signed"] * 3


def test_explain_says_what_was_granted_by_hand(agency: Database) -> None:
    licensing.grant(EMAIL, place="program:AUTO")
    licensing.assign_tier("PREMIUM", user="maria")
    configuration.set("FEATURE_OVERRIDES", EMAIL, True, scope="user:maria")
    install()
    found = licensing.explain(EMAIL, program="AUTO", user="maria")
    [unmet] = found.unmet
    assert (unmet.link, unmet.needs, unmet.has) == ("license", "a signed licence", "by hand")
    assert "only what the vendor signed counts" in unmet.message
    named = [step.source for step in found.path if "entered by hand" in step.detail]
    assert named == ["tier", "license", "user"]
    assert not [step for step in found.path if step.says == "on"]


@pytest.mark.parametrize(
    ("given", "wanted"), [("ENTERPRISE", "tier"), ("STANDARD", "tier"), ("BASIC", "not_licensed")]
)
def test_a_tier_by_hand_lowers_a_signed_one(agency: Database, given: str, wanted: str) -> None:
    licensing.assign_tier(given, user="maria")
    install(tier="PREMIUM")
    assert reason(EMAIL, user="maria") == wanted
    agency_only = "not_signed" if given == "ENTERPRISE" else "not_licensed"
    enterprise = models.LicenseTier.get(code="ENTERPRISE")
    with agency.change():
        models.Feature.create(
            code="TOP", name="Top", feature_key="tests.top", license_tier=enterprise,
            feature_type=models.FeatureType.get(code="ANALYTICS"),
        )  # fmt: skip
    assert reason("TOP", user="maria") == agency_only


def test_hand_entered_licences_and_overrides_withhold_and_lower(agency: Database) -> None:
    api = "API_INTEGRATIONS"
    install(Grant(api, quantity=5), Grant(EMAIL))
    licensing.withhold(EMAIL, place="program:AUTO")
    assert reason(program="AUTO") == "withheld"
    configuration.set("FEATURE_OVERRIDES", EMAIL, False, scope="user:maria")
    assert reason(user="maria") == "user_off"
    licensing.withhold(EMAIL)  # what is signed may be switched off, and on again below
    assert reason() == "withheld"
    assert licensing.grant(EMAIL, place="program:AUTO").enabled
    assert reason(program="AUTO") == "license"
    licensing.grant(api, settings={"max_integrations": 2})
    assert licensing.check(api).settings["max_integrations"] == 2
    with pytest.raises(LicenseError, match="none that is signed gives it"):
        licensing.grant(api, settings={"max_integrations": 500})
    with pytest.raises(LicenseError, match="none that is signed gives it"):
        licensing.grant(api, place="program:AUTO", quantity=500)
    configuration.set("FEATURE_OVERRIDES", api, {"settings": {"max_integrations": 900}}, scope="user:maria")
    found = licensing.check(api, user="maria")
    assert (found.settings["max_integrations"], found.quantity) == (5, 5)


def test_an_upward_grant_by_hand_is_refused_with_one_clear_line(agency: Database, edge_file: Path) -> None:
    licensing.assign_tier("BASIC")
    install()
    before = agency.query("SELECT count(*) AS n FROM feature_license")
    agency.close()
    for arguments, named in (
        (["grant", EMAIL], "EMAIL_NOTIFICATIONS is not granted to system"),
        (["grant", "ADVANCED_ANALYTICS", "--with-prerequisites"], "ADVANCED_ANALYTICS is not granted"),
        (["assign-tier", "PREMIUM"], "The tier of organization MAIN stays"),
        (["assign-tier", "PREMIUM", "--user", "maria"], "The tier of user maria stays"),
        (["assign-tier", "PREMIUM", "--organization", "EAST"], "The tier of organization EAST stays"),
    ):
        result = CliRunner().invoke(cli, ["--db", str(edge_file), "licensing", *arguments])
        assert result.exit_code == 5
        [error, hint] = result.output.splitlines()
        assert named in error
        assert "Ask the vendor" in hint
    with edgekit.open(edge_file) as db:
        assert db.query("SELECT count(*) AS n FROM feature_license") == before
        assert licensing.assign_tier(None)["tier"] is None
        install(tier="PREMIUM")
        assert licensing.assign_tier("STANDARD", user="maria")["tier"] == "STANDARD"
        with pytest.raises(LicenseError, match="a signed licence gives PREMIUM"):
            licensing.assign_tier("ENTERPRISE", user="maria")


def test_a_row_that_names_a_licence_which_does_not_give_it_does_not_count(agency: Database) -> None:
    install(Grant("email_notifications"), serial="A-1")
    rows.add("feature_license", {"feature": "BASIC_REPORTING", "scope_type": "SYSTEM", "license_file": "A-1"})
    assert reason("BASIC_REPORTING") == "not_signed"
    assert reason() == "license"


def test_rows_another_tool_writes_do_not_count(agency: Database, edge_file: Path) -> None:
    install(mode="block")
    assert reason() == "not_licensed"
    agency.close()
    with sqlite3.connect(edge_file) as shell:
        shell.execute(
            "INSERT INTO feature_license(uuid, feature_id, scope_type_id)"
            " SELECT '00000000-0000-4000-8000-000000000001', id, 1 FROM feature WHERE code = ?", (EMAIL,),
        )  # fmt: skip
        shell.execute("UPDATE organization SET license_tier_id = 4")
    shell.close()
    with edgekit.open(edge_file):
        assert reason() == "not_signed"
        assert reason("BASIC_REPORTING") == "not_signed"
