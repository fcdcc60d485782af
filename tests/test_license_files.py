"""Licence files: signed on one machine, installed on another, refused with a reason where they must be."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgekit
from edgekit import clock, codec, crypto, licensing
from edgekit.errors import (
    ConflictError,
    EdgekitError,
    InvalidError,
    LicenseError,
    LicenseFileError,
    NotFoundError,
    VaultLockedError,
)
from edgekit.file.verify import verify
from edgekit.licensing import clock as license_clock
from edgekit.licensing import installing, issuing, proving, standing, statement, terms, trusting, vendor
from edgekit.licensing.terms import Grant

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database
    from edgekit.licensing.vendor import Vendor

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)  # past what the pattern file has seen
ACME = vendor.Vendor("Acme Software", crypto.SigningKey(b"a" * 32))
OTHER = vendor.Vendor("Other Software", crypto.SigningKey(b"o" * 32))
API = Grant("API_INTEGRATIONS", quantity=5)


@pytest.fixture
def agency(edge: Database) -> Database:
    """An agency's file that trusts Acme."""
    trusting.trust(public(ACME))
    return edge


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the clock of the computer."""
    return lambda at: monkeypatch.setattr(clock, "now", lambda: at)


def public(who: Vendor) -> str:
    return statement.render(vendor.public_statement(who))


def licence(who: Vendor = ACME, **said: Any) -> str:
    """Write a licence for the API, good for a year, as it is mailed."""
    said = {"features": [API], "expires": NOW + 365 * DAY, "now": NOW} | said
    return statement.render(issuing.issue(who, **said))


def renewal(old: str, who: Vendor = ACME, **said: Any) -> str:
    return statement.render(issuing.renew(who, old, **({"now": NOW} | said)))


def refused(content: str | bytes, at: datetime = NOW) -> LicenseFileError:
    """Have a licence refused, and see that nothing of it is written."""
    before = rows()
    with pytest.raises(LicenseFileError) as caught:
        installing.install(content, now=at)
    assert rows() == before
    assert caught.value.message.endswith(".")
    assert caught.value.hint
    return caught.value


def rows() -> list[Any]:
    tables = ("license_file", "feature_license", "organization", "audit_transaction", "system", "vendor_key")
    return [edgekit.db.query(f"SELECT * FROM {table}") for table in tables]


def held() -> dict[str, tuple[int, str | None, int]]:
    found = edgekit.db.query(
        "SELECT f.code, l.licensed_quantity, l.license_expires_at, l.status_id FROM feature_license l"
        " JOIN feature f ON f.id = l.feature_id"
    )
    return {r["code"]: (r["licensed_quantity"], r["license_expires_at"], r["status_id"]) for r in found}


def tier(organization: int = 1) -> str | None:
    found = edgekit.db.query(
        "SELECT t.code FROM organization o JOIN license_tier t ON t.id = o.license_tier_id WHERE o.id = ?",
        (organization,),
    )
    return found[0]["code"] if found else None


# Issue and install


def test_a_licence_is_installed_with_all_that_follows_in_one_change(agency: Database) -> None:
    text = licence(tier="PREMIUM", customer="Smith & Söhne", mode="block", grace_days=14, serial="A-1")
    done = installing.install(text, now=NOW)
    assert (done.licence.serial, done.licence.state, done.mode) == ("A-1", "valid", "block")
    assert (done.replaced, done.notes, done.licence.customer) == ((), (), "Smith & Söhne")
    assert held() == {"API_INTEGRATIONS": (5, clock.to_text(NOW + 365 * DAY), 1)}
    assert tier() == "PREMIUM"
    [changes] = agency.query(
        "SELECT count(*) AS n FROM audit_transaction WHERE reason LIKE 'install licence%'"
    )
    assert changes["n"] == 1
    assert standing.list_files(NOW) == [done.licence]
    assert verify(agency.path) == []


def test_a_licence_is_plain_text_that_survives_the_mail(agency: Database) -> None:
    text = licence(customer="Smith & Söhne", serial="A-1")
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 78
    assert "Licence A-1 of Acme Software for Smith & S\\xf6hne" in text
    mailed = "\ufeffDear all,\r\n\r\nhere it is:\r\n\r\n" + text.replace("\n", "\r\n") + "\r\nYours, Acme\r\n"
    assert installing.install(mailed.encode(), now=NOW).licence.serial == "A-1"


def test_a_file_without_a_licence_advises(edge: Database) -> None:
    assert standing.mode() == "advise"
    assert standing.list_files() == []
    assert license_clock.seen(edge.connection()) is None


def test_scopes_values_and_organizations_are_those_of_the_file(agency: Database) -> None:
    with agency.change(reason="an agency of two"):
        connection = agency.connection()
        connection.execute("INSERT INTO organization(code, name) VALUES ('EAST', 'East')")
        connection.execute("INSERT INTO program(code, name) VALUES ('AUTO', 'Auto')")
    value = {"enabled": True, "settings": {"x": 1}}
    installing.install(licence(features=[Grant("api_integrations", "program:AUTO", 3, value)]), now=NOW)
    installing.install(licence(organization="east", tier="STANDARD"), now=NOW)
    found = agency.query(
        "SELECT s.code, l.scope_id, l.organization_id, l.licensed_quantity, l.feature_value"
        " FROM feature_license l JOIN scope_type s ON s.id = l.scope_type_id ORDER BY l.id"
    )
    assert [tuple(row.values()) for row in found] == [
        ("PROGRAM", 1, 1, 3, '{"enabled":true,"settings":{"x":1}}'),
        ("SYSTEM", None, 2, 5, None),
    ]
    assert (tier(1), tier(2)) == (None, "STANDARD")
    assert refused(licence(features=[Grant("NOPE")])).code == "unknown_feature"
    assert refused(licence(features=[Grant("API_INTEGRATIONS", "program:NOPE")])).code == "unknown_scope"
    assert refused(licence(organization="NOPE")).code == "unknown_scope"
    unfit = refused(
        licence(features=[Grant("API_INTEGRATIONS", value={"enabled": True, "value": 5})], serial="A-9")
    )
    said = "What licence A-9 says of API_INTEGRATIONS is refused: The value is not of the kind"
    assert (unfit.code, unfit.message[: len(said)]) == ("unfit_value", said)
    assert refused(licence(tier="NOPE")).code == "unknown_tier"
    assert proving.findings(agency.connection()) == []


def test_a_core_feature_never_expires(agency: Database) -> None:
    text = licence(features=[Grant("QUOTE_CREATION")])
    installing.install(text, now=NOW)
    assert held() == {"QUOTE_CREATION": (1, None, 1)}
    gone = issuing.revoke(ACME, standing.list_files(NOW)[0].serial, now=NOW)
    installing.revoke(statement.render(gone), now=NOW)
    assert held() == {"QUOTE_CREATION": (1, None, 1)}


def test_what_people_type_is_a_time_and_a_number_there_is() -> None:
    for starts, expires, days in (
        (None, None, 10**8),
        (None, None, 10**20),
        (None, "0001-01-01T00:00+14:00", None),
        ("soon", None, None),
    ):
        with pytest.raises(InvalidError):
            issuing.times(starts, expires, days)
    with pytest.raises(InvalidError, match="The quantity of A is no number"):
        issuing.grants([f"A={'9' * 5000}"], [])


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"features": []}, "a tier or a feature"),
        ({"expires": NOW - DAY}, "expire after it starts"),
        ({"features": [API, Grant("api_integrations")]}, "named twice"),
        ({"features": [Grant("A", "user:maria")]}, "a scope"),
        ({"features": [Grant("A", quantity=0)]}, "a quantity"),
        ({"features": [Grant("A", value={"on": True})]}, "enabled"),
        ({"mode": "stop"}, "mode"),
        ({"site": "my file"}, "uuid"),
        ({"serial": "two\nlines"}, "serial"),
        ({"grace_days": -1}, "grace"),
        ({"expires": datetime(9999, 12, 31, tzinfo=UTC)}, "before 9900"),
    ],
)
def test_what_no_file_would_take_is_not_issued(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        licence(**said)


# Refused


def test_tampered_foreign_newer_and_unknown_files_are_refused_each_with_its_reason(agency: Database) -> None:
    good = licence(serial="A-1")
    assert refused(good.replace('"quantity": 5', '"quantity": 500')).code == "tampered"
    assert refused(good.replace("Licence A-1", "Licence A-2")).code == "tampered", "the lines for people too"
    foreign = refused(licence(OTHER))
    assert foreign.code == "foreign_vendor"
    assert "Acme Software" in foreign.message
    pretended = issuing.issue(OTHER, features=[API], now=NOW).document | {"signed_by": ACME.key.name}
    assert refused(render(pretended, OTHER)).code == "tampered"
    newer = refused(good.replace('"format": 1', '"format": 2'))
    assert newer.code == "newer_format"
    assert "newer edgekit" in str(newer.hint)
    document = issuing.issue(ACME, features=[API], now=NOW).document
    assert refused(render(document | {"seats": 5}, ACME)).code == "newer_format"
    assert refused(render({n: v for n, v in document.items() if n != "serial"}, ACME)).code == "malformed"
    assert refused(render(document | {"grace_days": True}, ACME)).code == "malformed"
    assert refused("").code == refused("hello").code == refused(b"\xff\xfe").code == "malformed"
    assert refused(good + good).code == refused(good[:-20]).code == "malformed"
    other = refused(statement.render(issuing.revoke(ACME, "A-1", now=NOW)))
    assert (other.code, "None" in statement.describe(issuing.revoke(ACME, "A-1"))) == ("wrong_kind", False)
    assert "licensing revoke --file" in str(other.hint)
    assert installing.install(good, now=NOW).licence.holds


def _nested(inner: Any) -> Any:
    return st.lists(inner) | st.dictionaries(TEXTS, inner)


def render(document: dict[str, Any], who: Vendor) -> str:
    """Sign any document, as no command of ours would."""
    text = codec.canonical(document)
    return statement.render(
        statement.Statement(document, text, base64.b64encode(who.key.sign(text.encode())).decode())
    )


GOOD = licence(serial="A-1", tier="PREMIUM", customer="Smith & Söhne").encode()


def test_no_byte_of_a_file_can_be_changed(agency: Database) -> None:
    """Each place of it is changed in turn; what is no licence any more must not even reach the signature."""
    key = trusting.keys(agency.connection())[-1].public_key
    for place in range(len(GOOD)):
        for other in (GOOD[place] ^ 1, ord(" "), ord("\n"), ord("\r")):
            if other != GOOD[place]:
                changed = GOOD[:place] + bytes([other]) + GOOD[place + 1 :]
                assert not is_accepted(changed, key), (place, chr(other))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_nor_can_any_byte_become_any_other(place: int, byte: int) -> None:
    changed = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    assert is_accepted(changed, ACME.public_key) == (changed == GOOD)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=50)
GRANTS = st.builds(
    Grant,
    TEXTS,
    st.sampled_from(["system", "program:AUTO", "producer:P 1"]),
    st.integers(1, 2**53),
    st.none() | st.fixed_dictionaries({"enabled": st.booleans(), "value": st.floats(-1e9, 1e9) | TEXTS}),
)


@settings(max_examples=50, deadline=None)
@given(
    features=st.lists(GRANTS, min_size=1, max_size=4, unique_by=lambda grant: grant.feature.upper()),
    customer=st.none() | TEXTS, serial=TEXTS, grace_days=st.integers(0, 3650), clock=st.booleans(),
)  # fmt: skip
def test_what_is_issued_is_what_is_read(
    features: list[Grant], customer: str | None, serial: str, grace_days: int, clock: bool
) -> None:
    text = licence(
        features=features, customer=customer, serial=serial, grace_days=grace_days, sets_clock=clock
    )
    found = statement.parse(text.replace("\n", "\r\n"))
    said = terms.read(found)
    assert found.is_signed(ACME.public_key)
    assert (said.features, said.customer, said.serial) == (tuple(features), customer, serial)
    assert (said.grace_days, said.sets_clock) == (grace_days, clock)


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, _nested, max_leaves=10))
def test_nonsense_that_is_signed_is_refused_in_our_words(content: Any) -> None:
    whole = issuing.issue(ACME, features=[API], now=NOW).document
    for name in whole:
        if name not in {"format", "kind"}:
            with suppress(LicenseFileError):
                terms.read(statement.parse(render(whole | {name: content}, ACME)))


def is_accepted(content: bytes, key: str) -> bool:
    try:
        found = statement.parse(content, wanted="license")
        terms.read(found)
    except LicenseFileError:
        return False
    return found.is_signed(key)


def test_time_and_site_are_those_of_the_licence(agency: Database) -> None:
    site = agency.site
    assert refused(licence(site="00000000-0000-4000-8000-000000000000")).code == "wrong_site"
    early = refused(licence(starts=NOW + DAY, now=NOW))
    assert early.code == "not_yet_valid"
    assert refused(licence(), NOW + 365 * DAY).code == "expired"
    assert refused(licence(grace_days=14), NOW + 379 * DAY).code == "expired"
    done = installing.install(licence(grace_days=14, site=site, serial="A-1"), now=NOW + 370 * DAY)
    assert done.licence.state == "grace"
    assert "days of grace" in done.notes[0]


def test_a_clock_a_little_behind_the_vendors_does_no_harm(agency: Database) -> None:
    done = installing.install(licence(now=NOW + timedelta(minutes=3)), now=NOW)
    assert done.licence.state == "valid"


def test_an_old_licence_is_not_installed_again(agency: Database) -> None:
    first = licence(serial="A-1")
    installing.install(first, now=NOW)
    again = refused(first)
    assert (again.code, "since" in again.message) == ("already_installed", True)
    second = renewal(first, serial="A-2")
    third = renewal(second, serial="A-3", expires=NOW + 800 * DAY)
    done = installing.install(third, now=NOW)
    assert done.replaced == ("A-1",)
    assert held()["API_INTEGRATIONS"] == (5, clock.to_text(NOW + 800 * DAY), 1)
    for old in (first, second):  # the second never was here
        error = refused(old)
        assert error.code == "replaced"
        assert "A-3" in error.message
    states = {one.serial: one.state for one in standing.list_files(NOW)}
    assert states == {"A-1": "replaced", "A-3": "valid"}


def test_without_a_vendor_no_licence_is_checked(edge: Database) -> None:
    error = refused(licence())
    assert error.code == "no_vendor_key"
    assert "licensing trust" in str(error.hint)
    assert isinstance(error, LicenseError)
    assert error.exit_code == 5


# Revoke and renew


def test_a_revoked_licence_gives_nothing_any_more_and_stays_so(agency: Database) -> None:
    text = licence(serial="A-1", tier="PREMIUM", mode="block")
    installing.install(text, now=NOW)
    gone = statement.render(issuing.revoke(ACME, "A-1", why="returned", now=NOW))
    assert installing.revoke(gone, now=NOW) == installing.Revoked("A-1", "returned", True)
    assert held() == {"API_INTEGRATIONS": (5, clock.to_text(NOW + 365 * DAY), 2)}
    assert tier() is None
    assert standing.mode(NOW) == "block", "taking a licence back frees nobody"
    assert licensing.check("API_INTEGRATIONS", now=NOW).turns_at is None
    assert "None" not in statement.render(issuing.revoke(ACME, "A-2", now=NOW)).partition("{")[0]
    error = refused(text)
    assert (error.code, "returned" in error.message) == ("revoked", True)
    with pytest.raises(LicenseFileError, match="already") as again:
        installing.revoke(gone, now=NOW)
    assert again.value.code == "revoked"
    assert proving.findings(agency.connection()) == []
    installing.install(renewal(text, serial="A-2"), now=NOW)
    assert held()["API_INTEGRATIONS"][2] == 1
    assert tier() == "PREMIUM"


def test_a_revocation_may_come_before_the_licence(agency: Database) -> None:
    gone = issuing.revoke(ACME, "A-1", now=NOW)
    assert installing.revoke(statement.render(gone), now=NOW) == installing.Revoked("A-1", None, False)
    assert refused(licence(serial="A-1")).code == "revoked"
    assert standing.mode(NOW) == "advise"
    assert [one.state for one in standing.list_files(NOW)] == ["revoked"]
    foreign = statement.render(issuing.revoke(OTHER, "A-2", now=NOW))
    with pytest.raises(LicenseFileError) as error:
        installing.revoke(foreign, now=NOW)
    assert error.value.code == "foreign_vendor"
    assert proving.findings(agency.connection()) == []


def test_the_first_licence_sets_the_mode_and_its_renewal_another(agency: Database) -> None:
    first = licence(serial="A-1", mode="block")
    installing.install(first, now=NOW)
    beside = installing.install(licence(serial="B-1", features=[Grant("BASIC_REPORTING")]), now=NOW)
    assert (beside.mode, beside.licence.mode) == ("block", "advise")
    assert "stays block" in beside.notes[0]
    assert standing.mode(NOW + 1000 * DAY) == "block", "time frees nobody"
    installing.install(renewal(first, serial="A-2", mode="warn"), now=NOW)
    assert standing.mode(NOW) == "warn"
    installing.revoke(statement.render(issuing.revoke(ACME, "A-2", now=NOW)), now=NOW)
    assert standing.mode(NOW) == "advise", "of what is left the oldest counts"


def test_of_two_licences_for_one_feature_the_one_that_lasts_longer_counts(agency: Database) -> None:
    installing.install(licence(serial="A-1"), now=NOW)
    short = licence(serial="B-1", features=[Grant("API_INTEGRATIONS", quantity=50)], expires=NOW + 30 * DAY)
    assert "stays with licence A-1" in installing.install(short, now=NOW).notes[0]
    assert held()["API_INTEGRATIONS"][0] == 5
    installing.revoke(statement.render(issuing.revoke(ACME, "A-1", now=NOW)), now=NOW)
    assert held()["API_INTEGRATIONS"] == (50, clock.to_text(NOW + 30 * DAY), 1)


def test_what_a_person_switched_off_stays_off_when_it_is_renewed(agency: Database) -> None:
    first = licence(serial="A-1")
    installing.install(first, now=NOW)
    with agency.change(reason="not for us"):
        agency.connection().execute("UPDATE feature_license SET status_id = 2")
    installing.install(renewal(first, serial="A-2"), now=NOW)
    assert held()["API_INTEGRATIONS"][2] == 2


def test_a_renewal_runs_on_the_old_terms_but_for_what_is_said() -> None:
    old = licence(serial="A-1", mode="block", grace_days=7, customer="Smith", expires=NOW + 90 * DAY)
    new = terms.read(statement.parse(renewal(old, customer=None, mode="warn", now=NOW + 80 * DAY)))
    assert (new.mode, new.grace_days, new.customer, new.replaces) == ("warn", 7, "Smith", ("A-1",))
    assert (new.starts_at, new.expires_at) == (clock.to_text(NOW + 80 * DAY), clock.to_text(NOW + 170 * DAY))
    assert new.features == (API,)


def test_a_tier_holds_while_a_licence_gives_it(agency: Database) -> None:
    installing.install(licence(tier="PREMIUM", grace_days=10), now=NOW)
    connection = agency.connection()

    def at(days: int) -> str | None:
        return standing.tier_of(connection, "MAIN", tier(), NOW + days * DAY)

    assert (at(0), at(370), at(376)) == ("PREMIUM", "PREMIUM", None)
    assert standing.tier_of(connection, "MAIN", "BASIC", NOW + 376 * DAY) == "BASIC", "entered by hand"


# The vendor's key


def test_a_vendor_is_trusted_once(agency: Database) -> None:
    with pytest.raises(ConflictError, match="trusts Acme Software"):
        trusting.trust(public(ACME))
    with pytest.raises(LicenseFileError) as error:
        trusting.trust(public(OTHER))
    assert error.value.code == "foreign_vendor"
    with pytest.raises(LicenseFileError) as error:
        trusting.trust(public(OTHER).replace("Other", "Otter"))
    assert error.value.code == "tampered"


def test_a_key_is_replaced_by_what_the_old_one_signed(agency: Database) -> None:
    before = licence(serial="A-1")
    late = licence(serial="A-2", features=[Grant("BASIC_REPORTING")])
    installing.install(before, now=NOW)
    new = vendor.Vendor("Acme Ltd", crypto.SigningKey(b"n" * 32))
    with pytest.raises(LicenseFileError) as error:
        trusting.rotate_key(statement.render(issuing.change_key(OTHER, new)))
    assert error.value.code == "foreign_vendor"
    change = statement.render(issuing.change_key(ACME, new))
    assert trusting.rotate_key(change).vendor == "Acme Ltd"
    with pytest.raises(LicenseFileError) as error:
        trusting.rotate_key(change)
    assert error.value.code == "retired_key"
    assert refused(late).code == "retired_key"
    assert standing.show(agency.connection(), "A-1", NOW).state == "valid", "what is installed stays"
    renewed = installing.install(renewal(before, new, serial="A-3"), now=NOW)
    assert renewed.replaced == ("A-1",)
    assert proving.findings(agency.connection()) == []


def test_what_is_written_past_the_program_gives_nothing(agency: Database) -> None:
    installing.install(licence(serial="A-1"), now=NOW)
    connection = agency.connection()
    with agency.change(reason="by hand"):
        connection.execute(
            "INSERT INTO license_file(serial, vendor_key_id, document, signature, starts_at)"
            " SELECT 'A-9', vendor_key_id, replace(document, 'A-1', 'A-9'), signature, starts_at"
            " FROM license_file"
        )
        connection.execute(
            "INSERT INTO license_file(serial, vendor_key_id, document, signature, license_mode, starts_at)"
            " SELECT 'A-8', vendor_key_id, document, signature, 'block', starts_at FROM license_file LIMIT 1"
        )
        connection.execute("UPDATE feature_license SET licensed_quantity = 500")
    states = {one.serial: one.state for one in standing.list_files(NOW)}
    assert states == {"A-1": "valid", "A-8": "tampered", "A-9": "tampered"}
    found = verify(agency.path)
    assert [sentence.split(" is not ")[0] for sentence in found] == [
        "Licence A-9",
        "Licence A-8",
        "feature_license row 1 (API_INTEGRATIONS)",
    ]
    assert standing.mode(NOW) == "advise"


def test_a_key_nobody_vouched_for_is_found_and_so_is_all_it_signed(agency: Database) -> None:
    mine, lie = OTHER.public_key, "x" * 88
    with agency.change(reason="by hand"):
        agency.connection().execute(
            "INSERT INTO vendor_key(vendor_name, public_key, previous_vendor_key_id, statement,"
            " statement_signature) VALUES ('Me', ?1, 1, json_object('public_key', ?1, 'replaces', ?2), ?3)",
            (mine, ACME.public_key, lie),
        )
    installing.install(licence(OTHER, serial="A-1"), now=NOW)
    assert [one.state for one in standing.list_files(NOW)] == ["tampered"]
    assert "was not signed with the key before it" in proving.findings(agency.connection())[0]


# The key file


def test_a_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    made = vendor.keygen(tmp_path / "vendor.key", vendor="Acme Software")
    secret, open_half = tmp_path / "vendor.key", tmp_path / "vendor.key.pub"
    if os.name == "posix":
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    loaded = vendor.load(secret)
    assert (loaded.name, loaded.key.name) == ("Acme Software", made.key)
    assert trusting.read_key(open_half.read_bytes()).document["public_key"] == loaded.public_key
    assert crypto.key_to_text(loaded.key.secret) not in open_half.read_text() + repr(loaded) + repr(made)
    with pytest.raises(LicenseFileError, match="secret half of a vendor's key") as given:
        trusting.read_key(secret.read_bytes())
    assert ".pub" in str(given.value.hint)
    with pytest.raises(ConflictError):
        vendor.keygen(secret, vendor="Acme Software")
    with pytest.raises(ConflictError, match="is a folder"):
        vendor.keygen("..", vendor="Acme Software")
    with pytest.raises(ConflictError, match="is a folder"):
        vendor.keygen(".", vendor="Acme Software")
    with pytest.raises(InvalidError, match="public half"):
        vendor.load(open_half)
    with pytest.raises(NotFoundError):
        vendor.load(tmp_path / "none.key")


def test_a_passphrase_seals_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto.Scrypt, "__init__", _cheap)
    path = tmp_path / "vendor.key"
    with pytest.raises(InvalidError, match="12 characters"):
        vendor.keygen(path, vendor="Acme", passphrase="short")
    vendor.keygen(path, vendor="Acme", passphrase="correct horse battery")
    key = vendor.load(path, ask=lambda: "correct horse battery").key
    assert crypto.key_to_text(key.secret) not in path.read_text()
    with pytest.raises(VaultLockedError, match="not the passphrase"):
        vendor.load(path, ask=lambda: "wrong horse battery")
    with pytest.raises(VaultLockedError, match="has a passphrase"):
        vendor.load(path)


def _cheap(self: crypto.Scrypt, salt: str = "00" * 16, n: int = 2, r: int = 8, p: int = 1) -> None:
    for name, value in {"salt": salt, "n": 2, "r": r, "p": p}.items():
        object.__setattr__(self, name, value)


@pytest.mark.parametrize("content", ["", "hello", "-----BEGIN EDGEKIT VENDOR SECRET KEY-----\n{}\n"])
def test_a_damaged_key_file_is_named_and_never_quoted(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vendor.key"
    path.write_text(content)
    with pytest.raises(InvalidError, match="no vendor key"):
        vendor.load(path)
    vendor.keygen(tmp_path / "good.key", vendor="Acme")
    text = (tmp_path / "good.key").read_text()
    secret = json.loads(text.split("\n")[3])["secret"]
    path.write_text(text.replace(secret, secret[:-4] + "AAAA"))
    with pytest.raises(InvalidError) as error:
        vendor.load(path)
    assert secret[:10] not in str(error.value) + str(error.value.hint)


def test_no_part_of_a_secret_key_is_in_the_file(agency: Database, tmp_path: Path) -> None:
    vendor.keygen(tmp_path / "vendor.key", vendor="Acme Ltd")
    new = vendor.load(tmp_path / "vendor.key")
    trusting.rotate_key(statement.render(issuing.change_key(ACME, new)))
    installing.install(licence(new), now=NOW)
    agency.close()
    content = b"".join(path.read_bytes() for path in agency.path.parent.glob("edge.db*"))
    for secret in (new.key.secret, ACME.key.secret):
        for spelled in (
            secret,
            crypto.key_to_text(secret).encode(),
            base64.b64encode(secret),
            secret.hex().encode(),
        ):
            assert spelled not in content


# The clock


def test_the_first_licence_starts_the_clock(agency: Database, machine: Any) -> None:
    installing.install(licence(grace_days=14), now=NOW)
    [licensed] = standing.list_files(NOW - 365 * DAY)
    assert licensed.state == "valid", "judged at the latest time seen"
    machine(NOW + 400 * DAY)
    with agency.change(reason="work"):
        pass
    for back in (timedelta(hours=1), 365 * DAY):
        found = standing.read(agency.connection(), NOW + 400 * DAY - back)
        assert [one.state for one in found.licences] == ["expired"]
        assert found.clock.state == ("behind" if back < DAY else "set_back")
    error = refused(licence(serial="A-2", expires=NOW + 90 * DAY), NOW + 30 * DAY)
    assert error.code == "expired"
    assert "set back by 370 days" in error.message


def test_a_renewal_can_put_right_a_clock_that_was_ahead(agency: Database, machine: Any) -> None:
    first = licence(serial="A-1")
    installing.install(first, now=NOW)
    for days in range(3000, 3020):  # too long for the file to believe it by itself
        machine(NOW + days * DAY)
        with agency.change(reason="work"):
            pass
    machine(NOW + DAY)
    assert standing.list_files()[0].state == "expired"
    assert refused(renewal(first, serial="A-2"), NOW + DAY).code == "expired"
    put_right = renewal(first, serial="A-3", sets_clock=True, now=NOW + DAY)
    done = installing.install(put_right, now=NOW + DAY)
    assert (done.licence.state, done.notes) == ("valid", ())
    assert license_clock.read(agency.connection()).state == "right"
    assert refused(put_right, NOW + DAY).code == "already_installed"


def test_the_vendors_own_time_is_believed(agency: Database, machine: Any) -> None:
    machine(NOW)
    installing.install(licence(serial="A-1", now=NOW + 60 * DAY, starts=NOW), now=NOW)
    assert license_clock.effective_now(NOW) == NOW + 60 * DAY


def test_doctor_speaks_in_time(agency: Database) -> None:
    def said(days: int) -> list[str]:
        return [one.what for one in proving.advice(agency.connection(), NOW + days * DAY)]

    installing.install(licence(serial="A-1", grace_days=14), now=NOW)
    assert said(0) == said(330) == []
    assert "expires at" in said(340)[0]
    assert "still holds until" in said(366)[0]
    assert "A-1 expired at" in said(380)[0]
    assert all(one.do for one in proving.advice(agency.connection(), NOW + 380 * DAY))


def test_two_vendors_at_once_cannot_install_the_same_twice(agency: Database) -> None:
    text = licence(serial="A-1")
    with agency.change(reason="by another process"):
        installing.install(text, now=NOW)
    with pytest.raises(EdgekitError):
        installing.install(text, now=NOW)
    plain = sqlite3.connect(agency.path)
    assert plain.execute("SELECT count(*) FROM license_file").fetchone() == (1,)
    plain.close()
