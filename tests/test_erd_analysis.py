"""The P0 and P1 points of the ERD analysis, each tried on the ERD as it was drawn and on ours."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ERD = """
CREATE TABLE feature_registry (
  feature_key TEXT PRIMARY KEY, feature_type TEXT, depends_on TEXT, created_by INTEGER
);
CREATE TABLE license_tier (id INTEGER PRIMARY KEY, name TEXT, features TEXT, is_active INTEGER);
CREATE TABLE license_tier_features (
  id INTEGER PRIMARY KEY, license_tier_id INTEGER REFERENCES license_tier(id),
  feature_key TEXT REFERENCES feature_registry(feature_key), feature_value TEXT
);
CREATE TABLE model_registry (
  id INTEGER PRIMARY KEY, provider TEXT, model_id TEXT, model_name TEXT UNIQUE, feature_key TEXT
);
CREATE TABLE component_registry (
  id INTEGER PRIMARY KEY, component_key TEXT UNIQUE, name TEXT, feature_key TEXT
);
CREATE TABLE integration_registry (integration_key TEXT PRIMARY KEY, name TEXT, feature_key TEXT);
CREATE TABLE tenant_integration_configs (
  id INTEGER PRIMARY KEY, tenant_id INTEGER,
  integration_key TEXT REFERENCES integration_registry(integration_key),
  config TEXT, is_enabled INTEGER, health_status TEXT, last_health_check TEXT
);
CREATE TABLE feature_audit_log (
  id INTEGER PRIMARY KEY, feature_key TEXT, entity_type TEXT, entity_id TEXT, performed_at TEXT
);
"""
"""The tables as the analysis found them."""


@pytest.fixture
def erd() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript("PRAGMA foreign_keys = ON;" + ERD)
    connection.execute("INSERT INTO feature_registry VALUES ('models.openai', 'boolean', '[]', 1)")
    yield connection
    connection.close()


def plan(connection: sqlite3.Connection, sql: str) -> str:
    found = connection.execute("EXPLAIN QUERY PLAN " + sql, [1] * sql.count("?")).fetchall()
    return "\n".join(row[3] for row in found)


def accepts(connection: sqlite3.Connection, sql: str, *values: Any) -> bool:
    try:
        connection.execute(sql, values)
    except sqlite3.IntegrityError:
        return False
    return True


@pytest.fixture
def feature_id(shell: sqlite3.Connection) -> int:
    sql = (
        "INSERT INTO feature(code, name, feature_key, feature_type_id, license_tier_id)"
        " SELECT 'MODELS_OPENAI', 'OpenAI', 'models.openai', id, 1 FROM feature_type WHERE"
        " code = 'INTEGRATION'"
    )
    return shell.execute(sql).lastrowid or 0


@pytest.mark.ledger("S2-18", "S2-38", "S2-44")
def test_1_a_tier_s_feature_is_found_by_index_and_there_once(
    erd: sqlite3.Connection, shell: sqlite3.Connection, feature_id: int
) -> None:
    before = "SELECT feature_value FROM license_tier_features WHERE license_tier_id = ? AND feature_key = ?"
    assert "SCAN" in plan(erd, before)
    after = "SELECT feature_value FROM license_tier_feature WHERE license_tier_id = ? AND feature_id = ?"
    assert plan(shell, after).startswith("SEARCH license_tier_feature USING INDEX")
    erd.execute("INSERT INTO license_tier VALUES (1, 'Basic', NULL, 1)")
    twice = (
        "INSERT INTO license_tier_features(license_tier_id, feature_key, feature_value)"
        " VALUES (1, 'models.openai', ?)"
    )
    assert accepts(erd, twice, "{}")
    assert accepts(erd, twice, "{}")
    twice = "INSERT INTO license_tier_feature(license_tier_id, feature_id, feature_value) VALUES (1, ?, ?)"
    assert accepts(shell, twice, feature_id, '{"enabled": true}')
    assert not accepts(shell, twice, feature_id, '{"enabled": false}')


@pytest.mark.ledger("S2-19", "S2-38", "S2-44")
def test_2_two_providers_may_offer_a_model_of_one_name(
    erd: sqlite3.Connection, shell: sqlite3.Connection, feature_id: int
) -> None:
    before = (
        "INSERT INTO model_registry(provider, model_id, model_name, feature_key) VALUES"
        " (?, ?, 'GPT-4', 'models.openai')"
    )
    assert accepts(erd, before, "OpenAI", "gpt-4")
    assert not accepts(erd, before, "Azure OpenAI", "gpt-4")
    after = "INSERT INTO model_registry(provider, model_id, model_name, feature_id) VALUES (?, ?, ?, ?)"
    assert accepts(shell, after, "OpenAI", "gpt-4", "GPT-4", feature_id)
    assert accepts(shell, after, "Azure OpenAI", "gpt-4", "GPT-4", feature_id)
    assert not accepts(shell, after, "openai", "gpt-4", "GPT-4 again", feature_id)
    assert accepts(erd, before.replace("'GPT-4'", "'GPT-4 again'"), "OpenAI", "gpt-4")


REGISTRIES = {
    "model_registry": ("provider, model_id, model_name", "'P', 'm', 'M'"),
    "component_registry": ("code, name", "'C', 'c'"),
    "integration_type": ("code, name", "'I', 'i'"),
}
BEFORE = {
    "model_registry": ("provider, model_id, model_name", "'P', 'm', 'M'"),
    "component_registry": ("component_key, name", "'C', 'c'"),
    "integration_registry": ("integration_key, name", "'I', 'i'"),
}


@pytest.mark.ledger("S2-06", "S2-20", "S2-38", "S2-44")
@pytest.mark.parametrize(("before", "after"), list(zip(BEFORE, REGISTRIES, strict=True)))
def test_3_to_5_a_registry_refers_to_a_feature_that_exists(
    erd: sqlite3.Connection, shell: sqlite3.Connection, feature_id: int, before: str, after: str
) -> None:
    names, values = BEFORE[before]
    assert accepts(erd, f"INSERT INTO {before}({names}, feature_key) VALUES ({values}, 'no.such')")
    erd.execute(f"UPDATE {before} SET feature_key = 'models.openai'")
    assert accepts(erd, "DELETE FROM feature_registry")
    names, values = REGISTRIES[after]
    insert = f"INSERT INTO {after}({names}, feature_id) VALUES ({values}, ?)"
    assert not accepts(shell, insert, 999)
    assert accepts(shell, insert, feature_id)
    assert not accepts(shell, "DELETE FROM feature WHERE id = ?", feature_id)
    assert not accepts(shell, f"UPDATE {after} SET feature_id = 999 WHERE feature_id = ?", feature_id)


@pytest.mark.ledger("S2-21", "S2-39", "S2-44")
def test_4_the_active_integrations_of_a_tenant_are_found_by_a_partial_index(
    erd: sqlite3.Connection, shell: sqlite3.Connection
) -> None:
    before = "SELECT * FROM tenant_integration_configs WHERE tenant_id = ? AND is_enabled = 1"
    assert "SCAN" in plan(erd, before)
    after = "SELECT * FROM integration WHERE organization_id = ? AND status_id = 1"
    found = plan(shell, after)
    index = found.split("USING INDEX ")[1].split(" ")[0]
    (sql,) = shell.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    assert "(organization_id" in sql
    assert sql.endswith("WHERE status_id = 1")


@pytest.mark.ledger("S2-22", "S2-39", "S2-44")
def test_5_changes_of_a_feature_in_a_time_are_found_without_sorting(
    erd: sqlite3.Connection, shell: sqlite3.Connection
) -> None:
    sql = (
        "SELECT * FROM {} WHERE feature_key = ? AND performed_at >= ? AND performed_at < ?"
        " ORDER BY performed_at DESC"
    )
    before = plan(erd, sql.format("feature_audit_log"))
    assert "SCAN" in before
    assert "TEMP B-TREE" in before
    after = plan(shell, sql.format("v_feature_change"))
    assert "SCAN" not in after
    assert "TEMP B-TREE" not in after


@pytest.mark.ledger("S2-23", "S2-39", "S2-44")
def test_6_what_a_tier_gives_is_said_in_one_place(erd: sqlite3.Connection, shell: sqlite3.Connection) -> None:
    erd.execute("INSERT INTO license_tier VALUES (1, 'Basic', '[\"models.openai\"]', 1)")
    (said,) = erd.execute("SELECT features FROM license_tier").fetchone()
    (kept,) = erd.execute("SELECT count(*) FROM license_tier_features").fetchone()
    assert (said, kept) == ('["models.openai"]', 0)  # and nothing minds
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        shell.execute("SELECT features FROM license_tier")


@pytest.mark.ledger("S2-24", "S2-39", "S2-44")
def test_7_a_component_is_gated_or_public(
    erd: sqlite3.Connection, shell: sqlite3.Connection, feature_id: int
) -> None:
    assert accepts(erd, "INSERT INTO component_registry(component_key, name) VALUES ('C', 'c')")
    insert = (
        "INSERT INTO component_registry(code, name, feature_id) VALUES (?, 'c', (SELECT id"
        " FROM feature WHERE feature_key = ?))"
    )
    assert not accepts(shell, insert, "C", None)
    assert accepts(shell, insert, "C", "models.openai")
    assert accepts(shell, insert, "D", "components.public")
    assert not accepts(shell, "UPDATE component_registry SET feature_id = NULL")
    found = shell.execute("SELECT code, is_public FROM v_component_registry ORDER BY code").fetchall()
    assert found == [("C", 0), ("D", 1)]


@pytest.mark.ledger("S2-31", "S2-39", "S2-44")
def test_14_the_health_of_an_integration_is_one_of_three_or_unknown(
    erd: sqlite3.Connection, shell: sqlite3.Connection
) -> None:
    erd.execute("INSERT INTO tenant_integration_configs(tenant_id) VALUES (1)")
    assert accepts(erd, "UPDATE tenant_integration_configs SET health_status = 'broken'")
    shell.execute(
        "INSERT INTO integration(integration_name, integration_type_id, connection_config)"
        " SELECT 'i', id, '{}' FROM integration_type LIMIT 1"
    )
    update = "UPDATE integration SET health_status = ?"
    for health in ("healthy", "degraded", "unhealthy", None):
        assert accepts(shell, update, health)
    assert not accepts(shell, update, "broken")


@pytest.mark.ledger("S2-09")
def test_a_tenant_owns_users_and_integrations(shell: sqlite3.Connection) -> None:
    tenant = shell.execute("INSERT INTO organization(code, name) VALUES ('acme-corp', 'Acme')").lastrowid
    user = "INSERT INTO user(username, organization_id) VALUES (?, ?)"
    config = (
        "INSERT INTO integration(integration_name, integration_type_id, connection_config, organization_id)"
        " SELECT ?, id, '{}', ? FROM integration_type LIMIT 1"
    )
    for put in (user, config):
        assert accepts(shell, put, "langfuse", tenant)
        assert not accepts(shell, put, "other", 999)
    assert not accepts(shell, "DELETE FROM organization WHERE id = ?", tenant)


@pytest.mark.ledger("S2-26", "S2-28", "S2-32", "S2-33", "S2-42")
def test_9_11_15_16_points_of_no_priority_are_held_too(shell: sqlite3.Connection, feature_id: int) -> None:
    # 9: an entry of the log names table and record, and is joined back through them.
    shell.execute("UPDATE feature SET name = 'Models' WHERE id = ?", (feature_id,))
    joined = (
        "SELECT f.name FROM audit_entry e JOIN feature f ON f.id = e.record_key"
        " WHERE e.table_name = 'feature' AND e.action = 'U'"
    )
    assert shell.execute(joined).fetchall() == [("Models",)]
    # 11: the join from user to what the tier gives reads the index only.
    of_user = (
        "SELECT t.feature_id, t.feature_value FROM user u JOIN license_tier_feature t"
        " ON t.license_tier_id = u.license_tier_id WHERE u.id = ?"
    )
    assert "SEARCH t USING COVERING INDEX" in plan(shell, of_user)
    # 15: a boolean feature refuses {"value": 42}.
    value = "UPDATE feature SET default_value = ? WHERE id = ?"
    assert not accepts(shell, value, '{"enabled": true, "value": 42}', feature_id)
    assert accepts(shell, value, '{"enabled": true, "value": true}', feature_id)
    # 16: a type that integrations are of is retired, not deleted.
    (kind,) = shell.execute(
        "INSERT INTO integration_type(code, name, feature_id)"
        " SELECT 'OTHER_API', 'Of no template', feature_id FROM integration_type"
        " WHERE code = 'DCS_CRIMINAL_API' RETURNING id"
    ).fetchone()
    put = (
        "INSERT INTO integration(integration_name, integration_type_id, connection_config)"
        " VALUES (?, ?, '{}')"
    )
    assert accepts(shell, put, "one", kind)
    assert not accepts(shell, "DELETE FROM integration_type WHERE id = ?", kind)
    assert accepts(shell, "UPDATE integration_type SET status_id = 3 WHERE id = ?", kind)
    assert not accepts(shell, put, "two", kind)
    assert accepts(shell, "DELETE FROM integration WHERE integration_type_id = ?", kind)
    assert accepts(shell, "DELETE FROM integration_type WHERE id = ?", kind)
