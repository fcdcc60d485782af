"""Features, tiers, licences and registries in the file: columns, kinds, core features, plans, seeds."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import TABLES, checks, columns, holds, references, unique_sets

from edgekit import models, rules, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

SIGNED = "status_id>status created_by>user updated_by?>user created_at updated_at"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def plan(connection: sqlite3.Connection, sql: str) -> str:
    found = connection.execute("EXPLAIN QUERY PLAN " + sql, [1] * sql.count("?")).fetchall()
    return "\n".join(row[3] for row in found)


def refusal(shell: sqlite3.Connection, sql: str, *values: Any) -> str:
    with pytest.raises(sqlite3.Error) as caught:
        shell.execute(sql, values)
    error = rules.translate(caught.value, shell)
    assert isinstance(error, RuleError)
    return f"{error.table}.{error.column}.{error.code}"


def feature(shell: sqlite3.Connection, code: str = "X", kind: str = "INTEGRATION", **values: Any) -> int:
    row = {"code": code, "name": code, "feature_key": f"tests.{code.lower()}", "license_tier_id": 1, **values}
    sql = (
        f"INSERT INTO feature({', '.join(row)}, feature_type_id) VALUES ({', '.join('?' * len(row))},"
        " (SELECT id FROM feature_type WHERE code = ?))"
    )
    return shell.execute(sql, [*row.values(), kind]).lastrowid or 0


def grant(shell: sqlite3.Connection, feature_id: int, value: str, tier: int = 1) -> int:
    sql = "INSERT INTO license_tier_feature(license_tier_id, feature_id, feature_value) VALUES (?, ?, ?)"
    return shell.execute(sql, (tier, feature_id, value)).lastrowid or 0


def license_it(shell: sqlite3.Connection, feature_id: int, **values: Any) -> int:
    number = shell.execute("SELECT count(*) FROM feature_license").fetchone()[0]
    row = {"uuid": f"{number:036d}", "feature_id": feature_id, "scope_type_id": 1, **values}
    sql = f"INSERT INTO feature_license({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    return shell.execute(sql, list(row.values())).lastrowid or 0


@pytest.mark.ledger("S0-99", "S0-100", "S2-01", "S2-36")
def test_features_have_their_columns(catalogue: sqlite3.Connection) -> None:
    holds(catalogue, "feature_type", f"code name description? is_core sort_order {SIGNED}", ("code",))
    assert columns(catalogue, "feature_type")["is_core"] == ("INTEGER", 1, "0")
    assert columns(catalogue, "feature_type")["sort_order"] == ("INTEGER", 1, "0")
    own = (
        "code name description? feature_key feature_type_id>feature_type value_type default_value?"
        " license_tier_id>license_tier is_addon configuration_schema? "
    )
    holds(catalogue, "feature", own + SIGNED, ("code",))
    assert frozenset({"feature_key"}) in unique_sets(catalogue, "feature")
    kinds = "value_type IN ('boolean', 'integer', 'number', 'string', 'json')"
    assert checks("feature")["feature.value_type.choice"] == kinds
    holds(
        catalogue,
        "feature_dependency",
        f"feature_id>feature depends_on_feature_id>feature {SIGNED}",
        ("feature_id", "depends_on_feature_id"),
    )


@pytest.mark.ledger("S0-20", "S0-31", "S0-101", "S0-102")
def test_a_licence_has_its_columns_and_one_per_scope(
    catalogue: sqlite3.Connection, shell: sqlite3.Connection
) -> None:
    holds(
        catalogue,
        "feature_license",
        "uuid feature_id>feature scope_type_id>scope_type scope_id? organization_id?>organization"
        " feature_value? feature_configuration? licensed_quantity license_expires_at?"
        " license_key_ciphertext? license_key_hash? encryption_key_id?>encryption_key " + SIGNED,
    )
    assert columns(catalogue, "feature_license")["licensed_quantity"] == ("INTEGER", 1, "1")
    names = {*columns(catalogue, "feature_license"), *columns(catalogue, "feature")}
    assert not names & {"is_enabled", "configuration_data", "license_key", "scope_type", "license_level"}
    one = "SELECT * FROM feature_license WHERE scope_type_id = ? AND scope_id = ?"
    assert "USING INDEX feature_license_scope (scope_type_id=? AND scope_id=?)" in plan(catalogue, one)
    other = "SELECT * FROM feature_license WHERE feature_id = ?"
    assert "USING INDEX feature_license_feature_scope (feature_id=?)" in plan(catalogue, other)
    made = feature(shell)
    license_it(shell, made)
    again = "INSERT INTO feature_license(uuid, feature_id, scope_type_id) VALUES (printf('%036d', 99), ?, 1)"
    assert refusal(shell, again, made).endswith(".unique")
    of_organization = again.replace("scope_type_id)", "scope_type_id, organization_id)")
    shell.execute(of_organization.replace("1)", "1, 1)"), (made,))
    none = "UPDATE feature_license SET licensed_quantity = 0"
    assert refusal(shell, none) == "feature_license.licensed_quantity.range"


@pytest.mark.ledger("S0-48", "S2-02", "S2-03", "S2-10", "S2-23")
def test_tiers_and_requirements_have_their_columns(catalogue: sqlite3.Connection) -> None:
    holds(catalogue, "license_tier", f"code name tier_rank {SIGNED}", ("code",))
    assert not {"features", "is_active", "deleted_at"} & set(columns(catalogue, "license_tier"))
    holds(
        catalogue,
        "license_tier_feature",
        f"license_tier_id>license_tier feature_id>feature feature_value {SIGNED}",
        ("license_tier_id", "feature_id"),
    )
    holds(catalogue, "user", "license_tier_id?>license_tier organization_id?>organization")
    for table, parent in (("entity_type_feature", "entity_type"), ("entity_feature", "entity")):
        holds(
            catalogue,
            table,
            f"{parent}_id>{parent} feature_id>feature is_required configuration_schema? {SIGNED}",
            (f"{parent}_id", "feature_id"),
        )
        assert columns(catalogue, table)["is_required"] == ("INTEGER", 1, "0")


@pytest.mark.ledger("S2-04", "S2-05", "S2-20", "S2-45")
def test_registries_stand_under_features_and_belong_to_nobody(
    catalogue: sqlite3.Connection, shell: sqlite3.Connection
) -> None:
    holds(
        catalogue,
        "model_registry",
        f"provider model_id model_name feature_id>feature {SIGNED}",
        ("provider", "model_id"),
    )
    holds(catalogue, "component_registry", f"code name feature_id>feature {SIGNED}", ("code",))
    registries = ("feature", "feature_type", "feature_dependency", "license_tier", "license_tier_feature")
    for table in (*registries, "model_registry", "component_registry", "integration_type"):
        assert "organization_id" not in columns(catalogue, table), table
    for table in ("program", "producer", "integration", "feature_license", "feature_usage", "configuration"):
        assert "organization_id" in columns(catalogue, table), table
    made = feature(shell)
    for table, row in (
        ("model_registry(provider, model_id, model_name, feature_id)", "'P', 'm', 'M', ?"),
        ("component_registry(code, name, feature_id)", "'C', 'c', ?"),
    ):
        name = table.split("(")[0]
        assert references(catalogue, name)["feature_id"] == ("feature", "NO ACTION")
        insert = f"INSERT INTO {table} VALUES ({row})"
        assert refusal(shell, insert, 999) == f"{name}.feature_id.reference"
        shell.execute(insert, (made,))
        assert refusal(shell, "DELETE FROM feature WHERE id = ?", made) == "feature.id.referenced"
        shell.execute(f"DELETE FROM {name}")


@pytest.mark.ledger("S2-24")
def test_components_are_gated_or_public(shell: sqlite3.Connection) -> None:
    insert = (
        "INSERT INTO component_registry(code, name, feature_id) VALUES (?, ?, (SELECT id"
        " FROM feature WHERE code = ?))"
    )
    shell.execute(insert, ("AGENTS", "Agents", "API_INTEGRATIONS"))
    shell.execute(insert, ("HELP", "Help", "COMPONENTS_PUBLIC"))
    found = shell.execute(
        "SELECT code, is_public, feature_key FROM v_component_registry ORDER BY code"
    ).fetchall()
    assert found == [("AGENTS", 0, "integration.api_integrations"), ("HELP", 1, "components.public")]
    assert refusal(shell, insert, "NONE", "None", "NO_SUCH") == "component_registry.feature_id.required"
    for write in (
        "INSERT INTO component_registry(code, name) VALUES ('X', 'x')",
        "UPDATE component_registry SET feature_id = NULL",
    ):
        with pytest.raises(sqlite3.IntegrityError, match=r"open to everybody has components\.public"):
            shell.execute(write)
    change = "UPDATE feature SET {} WHERE code = 'COMPONENTS_PUBLIC'"
    for broken in ("status_id = 2", """default_value = '{"enabled": false}'"""):
        assert refusal(shell, change.format(broken)) == "feature.status_id.core"
    moved = "feature_type_id = (SELECT id FROM feature_type WHERE code = 'WORKFLOW')"
    assert refusal(shell, change.format(moved)) == "feature.feature_type_id.core"
    assert refusal(shell, "DELETE FROM feature WHERE code = 'COMPONENTS_PUBLIC'").startswith("feature.id.")


VALUES = {
    "boolean": (["true", "false"], ["42", "1.5", '"yes"', "null", "[]", "{}"]),
    "integer": (["42", "-1", "0"], ["1.5", "true", '"42"', "null"]),
    "number": (["42", "1.5", "1e3"], ["true", '"1"', "null"]),
    "string": (['"yes"', '""'], ["42", "true", "null", "[]"]),
    "json": (["42", "true", '"x"', "null", "[1]", '{"a": 1}', "1.5"], []),
}


@pytest.mark.ledger("S2-32")
@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_of_the_kind_its_feature_declares(shell: sqlite3.Connection, kind: str) -> None:
    good, bad = VALUES[kind]
    made = feature(shell, value_type=kind)
    tier = grant(shell, made, '{"enabled": true}')
    scoped = license_it(shell, made)
    updates = (
        ("feature", "default_value", made),
        ("license_tier_feature", "feature_value", tier),
        ("feature_license", "feature_value", scoped),
    )
    for text in good:
        for table, column, key in updates:
            value = f'{{"enabled": true, "value": {text}}}'
            shell.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (value, key))
    for text in bad:
        value = f'{{"enabled": true, "value": {text}}}'
        for table, column, key in updates:
            update = f"UPDATE {table} SET {column} = ? WHERE id = ?"
            assert refusal(shell, update, value, key) == f"{table}.{column}.type"
        with pytest.raises(sqlite3.IntegrityError, match=r"\|type\|"):
            feature(shell, "Y", value_type=kind, default_value=value)
        with pytest.raises(sqlite3.IntegrityError, match=r"\|type\|"):
            grant(shell, made, value, tier=2)
        with pytest.raises(sqlite3.IntegrityError, match=r"\|type\|"):
            license_it(shell, made, organization_id=1, feature_value=value)


@pytest.mark.ledger("S2-32")
def test_a_value_says_once_and_clearly_whether_it_is_on(shell: sqlite3.Connection) -> None:
    made = feature(shell)
    tier = grant(shell, made, '{"enabled": false, "settings": {"a": 1}}')
    update = "UPDATE license_tier_feature SET feature_value = ? WHERE id = ?"
    for value in (
        "{}",
        '{"value": true}',
        '{"enabled": 1}',
        '{"enabled": "true"}',
        '{"enabled": null}',
        '{"enabled": true, "enabled": 0}',
        '{"\\u0065nabled": true}',
        '{"enabled": true, "enabled": false}',
    ):
        assert refusal(shell, update, value, tier) == "license_tier_feature.feature_value.enabled"
        for write in (
            lambda value=value: feature(shell, "Y", default_value=value),
            lambda value=value: grant(shell, made, value, tier=2),
            lambda value=value: license_it(shell, made, feature_value=value),
        ):
            with pytest.raises(sqlite3.IntegrityError, match=r"\|enabled\|"):
                write()
        default = "UPDATE feature SET default_value = ? WHERE id = ?"
        assert refusal(shell, default, value, made) == "feature.default_value.enabled"
    # Readers differ in which of two they take.
    two = '{"enabled": true, "value": true, "value": 42}'
    assert refusal(shell, update, two, tier) == "license_tier_feature.feature_value.type"


@pytest.mark.ledger("S2-32")
def test_a_kind_stays_while_values_are_of_it(shell: sqlite3.Connection) -> None:
    made = feature(shell, value_type="integer", default_value='{"enabled": true, "value": 1}')
    change = "UPDATE feature SET value_type = 'string' WHERE id = ?"
    assert refusal(shell, change, made) == "feature.default_value.type"
    shell.execute("UPDATE feature SET default_value = NULL WHERE id = ?", (made,))
    tier = grant(shell, made, '{"enabled": true, "value": 7}')
    assert refusal(shell, change, made) == "feature.value_type.referenced"
    replace = (
        "REPLACE INTO feature(id, code, name, feature_key, feature_type_id,"
        " license_tier_id{}) SELECT id, code, name,"
        " feature_key, feature_type_id, license_tier_id{} FROM feature WHERE id = ?"
    )
    assert (
        refusal(shell, replace.format(", value_type", ", 'string'"), made) == "feature.value_type.referenced"
    )
    assert refusal(shell, replace.format(", value_type", ", NULL"), made) == "feature.value_type.referenced"
    shell.execute(
        "UPDATE license_tier_feature SET feature_value = '{\"enabled\": true}' WHERE id = ?", (tier,)
    )
    scoped = license_it(shell, made, feature_value='{"enabled": true, "value": 7}')
    assert refusal(shell, change, made) == "feature.value_type.referenced"
    assert (
        refusal(shell, replace.format(", value_type", ", 'string'"), made) == "feature.value_type.referenced"
    )
    shell.execute("UPDATE feature_license SET feature_value = NULL WHERE id = ?", (scoped,))
    shell.execute(change, (made,))
    # A value may not move to a feature of another kind either.
    grant(shell, feature(shell, "Z", value_type="integer"), '{"enabled": true, "value": 1}', tier=2)
    moved = "UPDATE license_tier_feature SET feature_id = ? WHERE license_tier_id = 2"
    assert refusal(shell, moved, made) == "license_tier_feature.feature_value.type"


@pytest.mark.ledger("S0-21")
def test_a_core_feature_is_always_on(shell: sqlite3.Connection) -> None:
    (core,) = shell.execute("SELECT id FROM feature WHERE code = 'USER_MANAGEMENT'").fetchone()
    off = '{"enabled": false}'
    for status in (2, 3, 4):
        update = "UPDATE feature SET status_id = ? WHERE id = ?"
        assert refusal(shell, update, status, core) == "feature.status_id.core"
    assert (
        refusal(shell, "UPDATE feature SET default_value = ? WHERE id = ?", off, core)
        == "feature.status_id.core"
    )
    insert = "INSERT INTO license_tier_feature(license_tier_id, feature_id, feature_value) VALUES (1, ?, ?)"
    assert refusal(shell, insert, core, off) == "license_tier_feature.feature_value.core"
    insert = (
        "INSERT INTO feature_license(uuid, feature_id, scope_type_id, {}) VALUES"
        " (printf('%036d', 1), ?, 1, ?)"
    )
    assert refusal(shell, insert.format("feature_value"), core, off) == "feature_license.feature_value.core"
    soon = "2030-01-01T00:00:00.000Z"
    expiring = insert.format("license_expires_at")
    assert refusal(shell, expiring, core, soon) == "feature_license.license_expires_at.core"
    for table, key in (
        ("license_tier_feature", grant(shell, core, '{"enabled": true}')),
        ("feature_license", license_it(shell, core)),
    ):
        update = f"UPDATE {table} SET feature_value = ? WHERE id = ?"
        assert refusal(shell, update, off, key) == f"{table}.feature_value.core"
    # Nor by way of another feature's licence, of its type, or of a REPLACE.
    made = license_it(shell, feature(shell), license_expires_at=soon)
    moved = "UPDATE feature_license SET feature_id = ? WHERE id = ?"
    assert refusal(shell, moved, core, made) == "feature_license.license_expires_at.core"
    assert (
        refusal(shell, "UPDATE feature_type SET is_core = 0 WHERE code = 'CORE'")
        == "feature_type.is_core.core"
    )
    replace = (
        "REPLACE INTO feature(id, code, name, feature_key, feature_type_id, license_tier_id, status_id)"
        " SELECT id, code, name, feature_key, {}, 1, {} FROM feature WHERE id = ?"
    )
    assert refusal(shell, replace.format("feature_type_id", 2), core) == "feature.status_id.core"
    assert refusal(shell, replace.format("2", 1), core) == "feature.feature_type_id.core"
    trial = shell.execute("INSERT INTO status(code, name, is_active) VALUES ('TRIAL', 'Trial', 1)").lastrowid
    assert refusal(shell, "UPDATE feature SET status_id = ? WHERE id = ?", trial, core) == (
        "feature.status_id.core"  # it counts as active, but not for ever: only the first state does
    )


@pytest.mark.ledger("S0-107", "S2-27")
def test_features_depend_on_each_other_without_a_cycle(shell: sqlite3.Connection) -> None:
    one, two, three = (feature(shell, code) for code in ("A", "B", "C"))
    insert = "INSERT INTO feature_dependency(feature_id, depends_on_feature_id) VALUES (?, ?)"
    cycle = "feature_dependency.depends_on_feature_id.cycle"
    assert refusal(shell, insert, one, one) == cycle
    assert refusal(shell, insert, one, 999) == "feature_dependency.depends_on_feature_id.reference"
    shell.execute(insert, (one, two))
    shell.execute(insert, (two, three))
    assert refusal(shell, insert, three, one) == cycle
    assert refusal(shell, insert, two, one) == cycle
    (key,) = shell.execute("SELECT max(id) FROM feature_dependency").fetchone()
    update = "UPDATE feature_dependency SET depends_on_feature_id = ? WHERE id = ?"
    assert refusal(shell, update, one, key) == cycle
    replace = "REPLACE INTO feature_dependency(id, feature_id, depends_on_feature_id) VALUES (?, ?, ?)"
    assert refusal(shell, replace, key, two, one) == cycle
    shell.execute(replace, (key, three, two))  # the other way round, now that two > three is gone
    assert refusal(shell, insert, two, three) == cycle
    assert refusal(shell, "DELETE FROM feature WHERE id = ?", two) == "feature.id.referenced"


@pytest.mark.ledger("S2-18", "S2-28", "S2-30")
def test_what_a_tier_gives_is_read_from_an_index(catalogue: sqlite3.Connection) -> None:
    one = "SELECT feature_value FROM license_tier_feature WHERE license_tier_id = ? AND feature_id = ?"
    assert plan(catalogue, one).startswith("SEARCH license_tier_feature USING INDEX ")
    assert plan(catalogue, one).endswith("(license_tier_id=? AND feature_id=?)")
    of_user = (
        "SELECT t.feature_id, t.feature_value FROM user u JOIN license_tier_feature t"
        " ON t.license_tier_id = u.license_tier_id AND t.status_id = 1 WHERE u.id = ?"
    )
    covering = "SEARCH t USING COVERING INDEX license_tier_feature_covering (license_tier_id=?)"
    assert covering in plan(catalogue, of_user)
    enabled = (
        "SELECT license_tier_id, feature_id FROM license_tier_feature WHERE feature_value ->> '$.enabled' = 1"
    )
    assert "USING INDEX license_tier_feature_enabled (<expr>=?)" in plan(catalogue, enabled)


def test_enabled_is_found_by_its_index(shell: sqlite3.Connection) -> None:
    on, off = feature(shell, "A"), feature(shell, "B")
    grant(shell, on, '{"enabled": true}')
    grant(shell, off, '{"enabled": false}')
    sql = "SELECT feature_id FROM license_tier_feature WHERE feature_value ->> '$.enabled' = ?"
    assert shell.execute(sql, (1,)).fetchall() == [(on,)]
    assert shell.execute(sql, (0,)).fetchall() == [(off,)]


@pytest.mark.ledger("S0-102")
def test_a_feature_is_licensed_to_system_program_or_producer(shell: sqlite3.Connection) -> None:
    made = feature(shell)
    shell.execute("INSERT INTO organization(id, code, name) VALUES (2, 'OTHER', 'Other')")
    shell.execute("INSERT INTO program(id, code, name) VALUES (1, 'AUTO', 'Auto')")
    shell.execute("INSERT INTO producer(id, code, name) VALUES (1, 'P', 'Producer')")
    levels = dict(shell.execute("SELECT code, id FROM scope_type").fetchall())
    insert = (
        "INSERT INTO feature_license(uuid, feature_id, scope_type_id, scope_id, organization_id)"
        " VALUES (printf('%036d', 1000 + ?3), ?1, ?2, ?3, ?4)"
    )
    for code in ("ENTITY", "USER"):
        wrong = "feature_license.scope_type_id.scope"
        assert refusal(shell, insert, made, levels[code], 1, None) == wrong
    for code in ("PROGRAM", "PRODUCER"):
        other = "feature_license.organization_id.organization"
        assert refusal(shell, insert, made, levels[code], 1, 2) == other
    scoped = license_it(shell, made, scope_type_id=levels["PROGRAM"], scope_id=1, organization_id=1)
    moved = "UPDATE feature_license SET organization_id = 2 WHERE id = ?"
    assert refusal(shell, moved, scoped) == "feature_license.organization_id.organization"
    license_it(shell, made, scope_type_id=levels["PRODUCER"], scope_id=1)


def test_a_vendor_key_is_replaced_by_one_it_vouches_for(shell: sqlite3.Connection) -> None:
    keys = ["A" * 44, "B" * 44, "C" * 44]
    insert = (
        "INSERT INTO vendor_key(vendor_name, public_key, previous_vendor_key_id, statement,"
        " statement_signature)"
        " VALUES ('V', ?, ?, ?, ?)"
    )
    says = json.dumps({"public_key": keys[1], "replaces": keys[0]})
    protected = "vendor_key.id.protected"
    assert refusal(shell, insert, keys[1], 1, says, "s" * 88) == protected  # there is none to vouch
    shell.execute(insert, (keys[0], None, None, None))
    assert refusal(shell, insert, keys[1], None, None, None) == protected
    wrong = json.dumps({"public_key": keys[2], "replaces": keys[0]})
    assert refusal(shell, insert, keys[1], 1, wrong, "s" * 88) == "vendor_key.statement.protected"
    shell.execute(insert, (keys[1], 1, says, "s" * 88))
    # Only the last key may vouch for the next one.
    again = json.dumps({"public_key": keys[2], "replaces": keys[0]})
    assert refusal(shell, insert, keys[2], 1, again, "s" * 88) == protected
    replace = "REPLACE INTO vendor_key(id, vendor_name, public_key) VALUES (1, 'V', ?)"
    assert refusal(shell, replace, keys[2]) == protected
    shell.execute("UPDATE vendor_key SET vendor_name = 'Vendor Ltd'")


def test_an_installed_licence_may_be_revoked_and_nothing_else(shell: sqlite3.Connection) -> None:
    shell.execute("INSERT INTO vendor_key(vendor_name, public_key) VALUES ('V', ?)", ("A" * 44,))
    shell.execute(
        "INSERT INTO license_file(serial, vendor_key_id, document, signature, starts_at)"
        " VALUES ('L1', 1, '{}', ?, '2026-01-01T00:00:00.000Z')",
        ("s" * 88,),
    )
    later = "2030-01-01T00:00:00.000Z"
    for column, value in {
        "serial": "L2", "document": '{"a":1}', "signature": "t" * 88, "license_mode": "block",
        "starts_at": later, "expires_at": later, "grace_days": 9, "installed_at": later,
    }.items():  # fmt: skip
        update = f"UPDATE license_file SET {column} = ?"
        assert refusal(shell, update, value) == "license_file.document.protected", column
    shell.execute("UPDATE license_file SET revoked_at = ?, revocation_reason = 'returned'", (later,))
    back = "UPDATE license_file SET revoked_at = NULL, revocation_reason = NULL"
    assert refusal(shell, back) == "license_file.revoked_at.final"


@pytest.mark.ledger("S0-28", "S0-29", "S0-41", "S0-108", "S0-109")
def test_core_features_are_seeded(edge: Database) -> None:
    found = edge.query(
        "SELECT code, name, is_core, sort_order, status_id, created_by FROM feature_type ORDER BY id"
    )
    assert [tuple(row.values()) for row in found] == [
        ("CORE", "Core System Features", 1, 1, 1, 1),
        ("INTEGRATION", "Integration Features", 0, 2, 1, 1),
        ("ANALYTICS", "Analytics & Reporting", 0, 3, 1, 1),
        ("WORKFLOW", "Workflow Management", 0, 4, 1, 1),
    ]
    tiers = edge.query("SELECT code FROM license_tier ORDER BY tier_rank")
    assert [row["code"] for row in tiers] == ["BASIC", "STANDARD", "PREMIUM", "ENTERPRISE"]
    found = edge.query(
        "SELECT f.code, f.name, f.feature_key, t.code AS tier, f.status_id, f.created_by FROM feature f"
        " JOIN license_tier t ON t.id = f.license_tier_id JOIN feature_type y ON y.id = f.feature_type_id"
        " WHERE y.code = 'CORE' AND f.code <> 'FILE_IMPORTS' ORDER BY f.id"
    )
    assert [tuple(row.values()) for row in found] == [
        ("USER_MANAGEMENT", "User Management", "core.user_management", "BASIC", 1, 1),
        ("QUOTE_CREATION", "Quote Creation", "core.quote_creation", "BASIC", 1, 1),
        ("POLICY_MANAGEMENT", "Policy Management", "core.policy_management", "BASIC", 1, 1),
        ("COMPONENTS_PUBLIC", "Public Components", "components.public", "BASIC", 1, 1),
    ]


@pytest.mark.ledger("S0-110", "S0-112")
def test_features_to_be_sold_are_seeded(edge: Database) -> None:
    found = {
        row["code"]: row
        for row in edge.query(
            "SELECT f.code, f.name, y.code AS type, t.code AS tier, f.configuration_schema AS"
            " settings FROM feature f"
            " JOIN license_tier t ON t.id = f.license_tier_id JOIN feature_type y ON y.id = f.feature_type_id"
        )
    }
    for code, name, kind, tier in (
        ("API_INTEGRATIONS", "API Integrations", "INTEGRATION", "STANDARD"),
        ("DCS_DRIVER_VERIFICATION", "DCS Driver Verification", "INTEGRATION", "PREMIUM"),
        ("EMAIL_NOTIFICATIONS", "Email Notifications", "INTEGRATION", "STANDARD"),
        ("BASIC_REPORTING", "Basic Reporting", "ANALYTICS", "STANDARD"),
        ("ADVANCED_ANALYTICS", "Advanced Analytics", "ANALYTICS", "PREMIUM"),
    ):
        row = found[code]
        assert (row["name"], row["type"], row["tier"]) == (name, kind, tier)

    def settings(code: str) -> Any:
        return json.loads(found[code]["settings"])["properties"]

    assert settings("API_INTEGRATIONS") == {
        "max_integrations": {"type": "integer", "default": 5},
        "rate_limit_per_hour": {"type": "integer", "default": 1000},
    }
    level = {"type": "string", "enum": ["basic", "enhanced"], "default": "basic"}
    assert settings("DCS_DRIVER_VERIFICATION") == {"verification_level": level}
    assert settings("EMAIL_NOTIFICATIONS") == {"daily_email_limit": {"type": "integer", "default": 100}}
    needs = edge.query(
        "SELECT f.code, d.code AS needed FROM feature_dependency x JOIN feature f ON f.id = x.feature_id"
        " JOIN feature d ON d.id = x.depends_on_feature_id"
    )
    assert needs == [{"code": "ADVANCED_ANALYTICS", "needed": "BASIC_REPORTING"}]


@pytest.mark.ledger("S0-113", "S0-114")
def test_requirements_of_types_and_entities_are_seeded(edge: Database) -> None:
    kind = models.EntityType.get(code="API_INTEGRATION")
    assert kind.category.code == "INTEGRATION"
    (of_type,) = models.EntityTypeFeature.select()
    assert (of_type.entity_type_id, of_type.feature.code, of_type.is_required) == (
        kind.id,
        "API_INTEGRATIONS",
        1,
    )
    assert of_type.configuration_schema["properties"] == {
        "max_concurrent_requests": {"type": "integer", "default": 10}
    }
    (of_entity,) = models.EntityFeature.select()
    assert (of_entity.entity.code, of_entity.entity.entity_type_id) == ("DCS_HOUSEHOLD_DRIVERS", kind.id)
    assert (of_entity.feature.code, of_entity.is_required) == ("DCS_DRIVER_VERIFICATION", 1)
    assert of_entity.configuration_schema["properties"] == {
        "cache_ttl_hours": {"type": "integer", "default": 24}
    }


@pytest.mark.ledger("S2-08", "S2-15", "S2-22", "S2-26")
def test_what_becomes_of_a_feature_is_found_by_feature_and_time(edge: Database) -> None:
    with edge.change(reason="trial"):
        made = models.Feature.create(
            code="X",
            name="X",
            feature_key="tests.x",
            feature_type=2,
            license_tier=1,
            default_value={"enabled": True},
        )
    with edge.change():
        tier = models.LicenseTierFeature.create(
            license_tier=1, feature=made, feature_value={"enabled": False}
        )
        made.name = "First"
        made.save()
        made.name = "Second"
        made.save()
    with edge.change():
        tier.feature_value = {"enabled": True}
        tier.save()
    with edge.change():
        tier.delete_instance()
    found = edge.query(
        "SELECT c.table_name, c.action, c.actor, e.old_values, e.new_values FROM v_feature_change c"
        " LEFT JOIN audit_entry e ON e.seq = c.seq WHERE c.feature_key = 'tests.x' AND"
        " c.performed_at >= '2000'"
        " ORDER BY c.performed_at, c.txn_id, c.seq"
    )
    assert [(row["table_name"], row["action"]) for row in found] == [
        ("feature", "I"),
        ("license_tier_feature", "I"),
        ("feature", "U"),
        ("feature", "U"),
        ("license_tier_feature", "U"),
        ("license_tier_feature", "D"),
    ]
    assert {row["actor"] for row in found} == {"system"}
    assert '"enabled":true' in found[4]["new_values"].replace("\\", "")
    assert json.loads(found[2]["new_values"])["name"] == "First"
    sql = (
        "SELECT * FROM v_feature_change WHERE feature_key = ? AND performed_at >= ? AND performed_at < ?"
        " ORDER BY performed_at DESC"
    )
    steps = plan(edge.connection(), sql)
    assert "USING INDEX audit_feature_time (feature_id=? AND performed_at>? AND performed_at<?)" in steps
    assert "USING INDEX audit_log_record (table_id=? AND record_key=?)" in steps
    assert "TEMP B-TREE" not in steps
    assert "SCAN" not in steps


@pytest.mark.ledger("S2-15")
def test_any_program_s_change_of_a_feature_is_noted(shell: sqlite3.Connection) -> None:
    made, other = feature(shell), feature(shell, "Y")
    needs = "INSERT INTO feature_dependency(feature_id, depends_on_feature_id) VALUES (?, ?)"
    shell.execute(needs, (made, other))
    scoped = license_it(shell, made)
    shell.execute("UPDATE feature_license SET feature_id = ? WHERE id = ?", (other, scoped))
    shell.execute("DELETE FROM feature_license WHERE id = ?", (scoped,))
    noted = shell.execute(
        "SELECT feature_id, table_name, action FROM audit_feature WHERE feature_id >= ? ORDER BY id", (made,)
    ).fetchall()
    assert sorted(noted) == sorted(
        [
            (made, "feature", "I"),
            (other, "feature", "I"),
            (made, "feature_dependency", "I"),
            (made, "feature_license", "I"),
            (made, "feature_license", "U"),
            (other, "feature_license", "U"),
            (other, "feature_license", "D"),
        ]
    )
    for change in (
        "UPDATE audit_feature SET feature_id = 1",
        "DELETE FROM audit_feature",
        "REPLACE INTO audit_feature(id, feature_id) VALUES (1, 1)",
        "INSERT INTO audit_feature(id, feature_id) VALUES (999, 1)",
    ):
        assert refusal(shell, change) == "audit_feature.*.append_only"


@pytest.mark.ledger("S2-07", "S2-15")
def test_what_becomes_of_an_integration_is_noted_under_the_feature_of_its_type(edge: Database) -> None:
    kind = models.IntegrationType.get(code="DCS_DRIVER_API")
    with edge.change():
        models.Integration.create(integration_name="dcs", integration_type=kind, connection_config={})
    with edge.change():
        models.Integration.update(connection_config={"path": "/"}).execute()
    key = models.Feature.get_by_id(kind.feature_id).feature_key
    found = edge.query(
        "SELECT table_name, action FROM v_feature_change WHERE feature_key = ? AND table_name"
        " = 'integration' ORDER BY txn_id",
        (key,),
    )
    assert [row["action"] for row in found] == ["I", "U"]


def test_tables_of_licensing_are_in_their_file() -> None:
    assert {table for table, (_, file) in TABLES.items() if file == 30} >= {
        "feature", "feature_license", "feature_usage", "license_file", "vendor_key", "model_registry",
    }  # fmt: skip
