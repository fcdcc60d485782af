"""The decision against a slow, obvious reading of the same rows, over random catalogues."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import clock, crypto, licensing, models
from edgekit.licensing import installing, issuing, settling, statement, trusting, vendor
from edgekit.licensing.terms import Grant

if TYPE_CHECKING:
    from edgekit.db import Database

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)  # past the clock that licence files remember
PAST, FUTURE = "2036-11-21T11:00:00.000Z", "2036-11-21T13:00:00.000Z"
ACME = vendor.Vendor("Acme Software", crypto.SigningKey(b"a" * 32))
FEATURES = [f"R{number}" for number in range(7)]

Row = dict[str, Any]


class Reference:
    """Reads every table whole, and walks it as the documents say."""

    def __init__(self, db: Database, place: dict[str, Any]) -> None:
        self.rows = {
            name: db.query(f"SELECT * FROM {name}")
            for name in (
                "feature", "feature_type", "feature_dependency", "license_tier", "license_tier_feature",
                "feature_license", "organization", "user", "program", "producer", "status", "configuration",
                "configuration_type", "scope_type", "license_file",
            )
        }  # fmt: skip
        self.place = {kind: self.one(kind, name) for kind, name in place.items()}
        self.blocks = bool(self.rows["license_file"])  # those of this test do

    def one(self, table: str, name: str) -> Row:
        column = "username" if table == "user" else "code"
        return next(row for row in self.rows[table] if row[column] == name)

    def by_id(self, table: str, key: int | None) -> Row:
        return next(row for row in self.rows[table] if row["id"] == key)

    def is_active(self, row: Row) -> bool:
        return bool(self.by_id("status", row["status_id"])["is_active"])

    def organizations(self) -> list[int]:
        """The organization of the place, then outwards."""
        for kind in ("organization", "program", "producer", "user"):
            if kind in self.place:
                row = self.place[kind]
                found = row["id"] if kind == "organization" else row["organization_id"]
                break
        else:
            found = 1
        chain = []
        while found is not None:
            chain.append(found)
            found = self.by_id("organization", found)["parent_organization_id"]
        return chain

    def tier(self, *, signed: bool) -> Row | None:
        """The user's, else that of the nearest organization; what a file says of one goes before."""
        found = [] if signed or "user" not in self.place else [self.place["user"]["license_tier_id"]]
        for key in self.organizations():
            row = self.by_id("organization", key)
            said = [json.loads(file["document"]) for file in self.rows["license_file"]]
            files = [one for one in said if one.get("tier") and one.get("organization") == row["code"]]
            if files:
                found.append(self.one("license_tier", files[0]["tier"])["id"])
            elif not signed:
                found.append(row["license_tier_id"])
        return next((self.by_id("license_tier", key) for key in found if key is not None), None)

    def licences(self, feature: Row, *, signed: bool) -> list[Row]:
        """Licences that have a say, the broadest first."""
        levels = {row["code"]: row["id"] for row in self.rows["scope_type"]}
        places: list[list[tuple[int, int | None, int | None]]] = [[(levels["SYSTEM"], None, None)]]
        places += [[(levels["SYSTEM"], None, key)] for key in reversed(self.organizations())]
        for kind in ("program", "producer"):
            if kind in self.place:
                row = self.place[kind]
                level = levels[kind.upper()]
                places.append([(level, row["id"], row["organization_id"]), (level, row["id"], None)])
        found: list[Row] = []
        for alternatives in places:
            here: list[Row] = []
            for level, key, organization in alternatives:
                hit = [
                    row
                    for row in self.rows["feature_license"]
                    if row["feature_id"] == feature["id"] and row["scope_type_id"] == level
                    and (row["scope_id"], row["organization_id"]) == (key, organization)
                ]  # fmt: skip
                if hit and (signed and hit[0]["license_file_id"] is None):
                    continue
                if hit and not (
                    self.is_active(hit[0])
                    and hit[0]["license_expires_at"] is not None
                    and clock.from_text(hit[0]["license_expires_at"]) <= NOW
                ):
                    here.append(hit[0])
            if (
                self.blocks
                and len(here) == 2
                and here[1]["license_file_id"]
                and not here[0]["license_file_id"]
            ):
                found.append(here[1])  # what is signed is not hidden by what is entered
            found += here[:1]
        return found

    def override(self, feature: Row) -> Row | None:
        kind = self.one("configuration_type", "FEATURE_OVERRIDES")["id"]
        for row in self.rows["configuration"]:
            if (
                "user" in self.place
                and row["configuration_type_id"] == kind
                and row["scope_id"] == self.place["user"]["id"]
            ):
                said = json.loads(row["config_data"]).get(feature["code"])
                if said is not None:
                    return said if isinstance(said, dict) else {"enabled": said}
        return None

    def own(self, feature: Row) -> tuple[bool, Any, Row]:
        """Say what a feature is by itself: on or off, its value, its settings."""
        entered = self.walk(feature, signed=False)
        if not self.blocks or self.by_id("feature_type", feature["feature_type_id"])["is_core"]:
            return entered
        enabled, value, settings = self.walk(feature, signed=True)
        if entered[1] is not None and value is not None:
            value = min(value, entered[1])
        lower = {key: min(settings.get(key, number), number) for key, number in entered[2].items()}
        return enabled and entered[0], value, {**settings, **lower}

    def walk(self, feature: Row, *, signed: bool) -> tuple[bool, Any, Row]:
        """Walk all that has a say, or what is signed alone."""
        enabled, value, settings = False, None, {}
        tier = self.tier(signed=signed)
        said = []
        if feature["default_value"]:
            default = json.loads(feature["default_value"])
            enabled = default["enabled"] and not feature["is_addon"]
            said.append(default)
        if tier is not None and not feature["is_addon"]:
            rows = [
                row
                for row in self.rows["license_tier_feature"]
                if (row["license_tier_id"], row["feature_id"]) == (tier["id"], feature["id"])
                and self.is_active(row)
            ]
            if rows:
                said.append(json.loads(rows[0]["feature_value"]))
                enabled = said[-1]["enabled"]
            elif tier["tier_rank"] >= self.by_id("license_tier", feature["license_tier_id"])["tier_rank"]:
                enabled = True
        for row in self.licences(feature, signed=signed):
            one = json.loads(row["feature_value"]) if row["feature_value"] else {"enabled": True}
            said.append(one)
            if row["feature_configuration"] and not signed:
                said.append({"settings": json.loads(row["feature_configuration"])})
            enabled = one["enabled"] and (signed or self.is_active(row))
        override = None if signed else self.override(feature)
        if override is not None:
            said.append(override)
            enabled = override.get("enabled", enabled)
        for one in said:
            value = one.get("value", value)
            settings = {**settings, **one.get("settings", {})}
        if self.by_id("feature_type", feature["feature_type_id"])["is_core"]:
            enabled = True
        return enabled and self.is_active(feature), value, settings

    def needs(self, feature: Row, seen: frozenset[int] = frozenset()) -> list[Row]:
        found = [feature]
        for row in self.rows["feature_dependency"]:
            if (
                row["feature_id"] == feature["id"]
                and self.is_active(row)
                and row["depends_on_feature_id"] not in seen
            ):
                needed = self.by_id("feature", row["depends_on_feature_id"])
                found += self.needs(needed, seen | {feature["id"]})
        return found

    def decide(self, code: str) -> tuple[bool, Any, Row, set[str]]:
        feature = self.one("feature", code)
        _, value, settings = self.own(feature)
        off = {needed["code"] for needed in self.needs(feature) if not self.own(needed)[0]}
        return not off, value, settings, off


@pytest.fixture(scope="module")
def places() -> list[dict[str, str]]:
    return [
        {}, {"program": "A"}, {"producer": "P"}, {"program": "A", "producer": "P"}, {"user": "maria"},
        {"program": "B", "user": "maria"}, {"program": "E"}, {"organization": "EAST"}, {"user": "otto"},
        {"program": "E", "user": "otto"},
    ]  # fmt: skip


def say(rng: random.Random) -> Row:
    found: Row = {"enabled": rng.random() < 0.6}
    if rng.random() < 0.4:
        found["value"] = rng.randrange(9)
    if rng.random() < 0.4:
        found["settings"] = {rng.choice("abc"): rng.randrange(9)}
    return found


def fill(db: Database, rng: random.Random) -> None:
    """Write another catalogue over the last one."""
    pick, chance = rng.choice, rng.random
    connection = db.connection()
    for table in ("feature_license", "license_tier_feature", "feature_dependency", "configuration"):
        connection.execute(f"DELETE FROM {table} WHERE id > 0")
    tiers = [row["id"] for row in db.query("SELECT id FROM license_tier")]
    for row in db.query("SELECT id FROM organization UNION SELECT id FROM user"):
        for table in ("organization", "user"):
            tier = pick([None, *tiers])
            connection.execute(f"UPDATE {table} SET license_tier_id = ? WHERE id = ?", (tier, row["id"]))
    kinds = {row["code"]: row["id"] for row in db.query("SELECT id, code FROM feature_type")}
    ids = {}
    for code in FEATURES:
        is_core = code == "R6"
        values = (
            kinds["CORE" if is_core else "ANALYTICS"], pick(tiers), int(chance() < 0.25),
            None if chance() < 0.6 or is_core else json.dumps(say(rng)),
        )  # fmt: skip
        connection.execute(
            "INSERT INTO feature(code, name, feature_key, value_type, feature_type_id, license_tier_id,"
            f" is_addon, default_value) VALUES ('{code}', 'x', 'r.{code.lower()}', 'integer', ?, ?, ?, ?)"
            " ON CONFLICT(code) DO UPDATE SET license_tier_id = excluded.license_tier_id,"
            " is_addon = excluded.is_addon, default_value = excluded.default_value, status_id = 1",
            values,
        )
        ids[code] = db.query("SELECT id FROM feature WHERE code = ?", (code,))[0]["id"]
    for number, code in enumerate(FEATURES[:-1]):
        for needed in FEATURES[number + 1 :]:
            if chance() < 0.2:
                connection.execute(
                    "INSERT INTO feature_dependency(feature_id, depends_on_feature_id, status_id)"
                    " VALUES (?, ?, ?)",
                    (ids[code], ids[needed], 1 if chance() < 0.9 else 2),
                )
        for tier in tiers:
            if chance() < 0.3:
                models.LicenseTierFeature.create(license_tier=tier, feature=ids[code], feature_value=say(rng))
        license_feature(db, rng, ids[code])
    for code in FEATURES[:-1]:
        if chance() < 0.1:
            connection.execute("UPDATE feature SET status_id = 2 WHERE code = ?", (code,))
    override(rng)


def override(rng: random.Random) -> None:
    pick, chance = rng.choice, rng.random
    for user in ("maria", "otto"):
        if chance() < 0.5:
            document = {code: pick([chance() < 0.5, say(rng)]) for code in FEATURES if chance() < 0.4}
            models.Configuration.create(
                configuration_type=models.ConfigurationType.get(code="FEATURE_OVERRIDES"),
                scope_type=models.ScopeType.get(code="USER"), scope_id=models.User.get(username=user).id,
                config_data=document,
            )  # fmt: skip


def license_feature(db: Database, rng: random.Random, feature: int) -> None:
    """Give a feature licences here and there: in force, withheld, expired."""
    levels = {row["code"]: row["id"] for row in db.query("SELECT id, code FROM scope_type")}
    where: list[tuple[str, int | None, int | None]] = [
        ("SYSTEM", None, None),
        ("SYSTEM", None, 1),
        ("SYSTEM", None, 2),
    ]
    where += [("PROGRAM", key, org) for key, org in ((1, 1), (1, None), (2, 1), (3, 2))]
    where += [("PRODUCER", 1, 1), ("PRODUCER", 1, None)]
    for number, (level, key, organization) in enumerate(where):
        if rng.random() < 0.75:
            continue
        value, settings = say(rng), {rng.choice("abc"): rng.randrange(9)}
        db.connection().execute(
            "INSERT INTO feature_license(uuid, feature_id, scope_type_id, scope_id, organization_id,"
            " feature_value, feature_configuration, license_expires_at, status_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                f"{feature:018d}{number:018d}", feature, levels[level], key, organization,
                rng.choice([None, json.dumps(value)]), rng.choice([None, json.dumps(settings)]),
                rng.choice([None, None, PAST, FUTURE]), rng.choice([1, 1, 1, 2]),
            ),
        )  # fmt: skip


@pytest.mark.ledger("S0-21", "S0-103", "C-66", "C-67", "S2-11")
def test_decisions_are_those_of_the_obvious_reading(edge: Database, places: list[dict[str, str]]) -> None:
    with edge.change():
        connection = edge.connection()
        connection.execute(
            "INSERT INTO organization(id, code, name, parent_organization_id) VALUES (2, 'EAST', 'East', 1)"
        )
        connection.execute(
            "INSERT INTO program(id, code, name, organization_id)"
            " VALUES (1, 'A', 'A', 1), (2, 'B', 'B', 1), (3, 'E', 'E', 2)"
        )
        connection.execute("INSERT INTO producer(id, code, name, organization_id) VALUES (1, 'P', 'P', 1)")
        connection.execute("INSERT INTO user(username, organization_id) VALUES ('maria', 1), ('otto', 2)")
    answers = set()
    for seed in range(8):
        rng = random.Random(seed)
        with edge.change():
            fill(edge, rng)
        answers |= compare(edge, places, f"seed {seed}")
    assert len(answers) >= 9, "random catalogues should meet most reasons"
    with edge.change():
        edge.connection().execute("UPDATE feature SET status_id = 1 WHERE code LIKE 'R_'")
    install()
    for seed in range(8, 14):
        rng = random.Random(seed)
        with edge.change():
            fill(edge, rng)
            edge.connection().execute("UPDATE feature SET status_id = 1 WHERE code LIKE 'R_'")
            settling.settle(edge.connection())
            edge.connection().execute(f"UPDATE feature SET status_id = 2 WHERE code = 'R{seed % 6}'")
            edge.connection().execute(  # by a person
                "UPDATE feature_license SET status_id = ?, feature_configuration = ?"
                " WHERE license_file_id IS NOT NULL AND id % 3 = ?"
                " AND feature_id <> (SELECT id FROM feature WHERE code = 'R6')",
                (rng.choice([1, 2]), rng.choice([None, '{"a": 1, "b": 8}']), rng.randrange(3)),
            )
        answers |= compare(edge, places, f"blocking, seed {seed}")
    assert "not_signed" in answers


def install() -> None:
    """Install licences that block: a tier for an organization, and features here and there."""
    trusting.trust(statement.render(vendor.public_statement(ACME)))
    value = {"enabled": True, "value": 4, "settings": {"a": 4}}
    features = [
        Grant("R0"), Grant("R1", "program:A", value=value), Grant("R2", "producer:P"),
        Grant("R3", value=value), Grant("R3", "program:A", value={"enabled": False}),
        Grant("R5", "program:E"), Grant("R6", value=value),
    ]  # fmt: skip
    for said in ({"features": features}, {"features": [], "tier": "STANDARD", "organization": "EAST"}):
        installing.install(statement.render(issuing.issue(ACME, mode="block", **said)))


def compare(edge: Database, places: list[dict[str, str]], what: str) -> set[str]:
    """Ask both at every place; return the reasons that were met."""
    answers = set()
    for place in places:
        reference = Reference(edge, place)
        for code in FEATURES:
            enabled, value, settings, off = reference.decide(code)
            found = licensing.check(code, **place, now=NOW)
            where = f"{what} {code} {place} {found.reason}"
            assert (found.enabled, found.value, dict(found.settings)) == (enabled, value, settings), where
            explained = licensing.explain(code, **place, now=NOW)
            named = {one.feature for one in explained.unmet if one.link != "dependency"}
            assert named == off, where
            assert explained.enabled == (not explained.unmet)
            answers.add(found.reason)
    return answers
