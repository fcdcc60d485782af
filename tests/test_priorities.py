"""What the source documents called urgent is in the schema; how deep their review cut is said."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from catalogue import checks, columns, holds, references, unique_sets, whole_indexes

from edgekit import audit, schema, sqlite

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def triggers(catalogue: sqlite3.Connection, table: str) -> str:
    found = catalogue.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", (table,)
    )
    return "\n".join(sql for (sql,) in found)


@pytest.mark.ledger("S0-124")
def test_the_change_log_says_how_deep_the_review_cut() -> None:
    text = " ".join((ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split())
    (said,) = [line for line in text.split(" - ") if line.startswith("How deep the review")]
    medium, high = said.split("medium;")
    assert "entity management" in medium
    assert "configuration defaults" in medium
    for word in ("status columns", "communication reference tables", "business contexts", "feature system"):
        assert word in high
    assert "high." in high


@pytest.mark.ledger("S1-09")
def test_a_driver_has_what_a_verification_asks(catalogue: sqlite3.Connection) -> None:
    signed = "status_id>status created_by>user updated_by?>user created_at updated_at"
    holds(
        catalogue,
        "driver",
        "organization_id>organization first_name? last_name date_of_birth? license_number license_state "
        + signed,
        ("organization_id", "license_state", "license_number"),
    )
    for link in ("quote", "policy"):
        holds(catalogue, f"{link}_driver", f"{link}_id>{link} driver_id>driver", (f"{link}_id", "driver_id"))


@pytest.mark.ledger("S2-40")
def test_the_second_set_is_in_the_schema(catalogue: sqlite3.Connection) -> None:
    """Soft delete, dependency validation, JSON indexes, archives, configuration apart from secrets."""
    assert "status_id" in columns(catalogue, "license_tier")
    assert "|cycle|" in triggers(catalogue, "feature_dependency")
    sql = "SELECT feature_id FROM license_tier_feature WHERE feature_value ->> '$.enabled' = 1"
    plan = catalogue.execute("EXPLAIN QUERY PLAN " + sql).fetchall()
    assert any("USING" in row[3] and "INDEX" in row[3] for row in plan)
    assert callable(audit.archive)
    assert "|secret|" in triggers(catalogue, "integration")
    assert "value_ciphertext" in columns(catalogue, "integration_credential")


@pytest.mark.ledger("S2-41")
def test_the_third_set_is_in_the_schema(catalogue: sqlite3.Connection, edge_file: Path) -> None:
    """Versions, a creator for every row, and a reader that cannot write in place of a replica."""
    assert columns(catalogue, "integration")["version"][1] == 1
    assert "|version|order|" in triggers(catalogue, "integration")
    assert columns(catalogue, "feature")["created_by"][:2] == ("INTEGER", 1)
    reader = sqlite.connect(edge_file, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("UPDATE feature SET name = 'x'")
    assert reader.execute("SELECT count(*) FROM feature").fetchone()[0] > 0
    reader.close()


@pytest.mark.ledger("S2-43")
def test_what_a_migration_script_would_have_added_is_there(catalogue: sqlite3.Connection) -> None:
    assert frozenset({"license_tier_id", "feature_id"}) in unique_sets(catalogue, "license_tier_feature")
    for table in ("model_registry", "component_registry", "integration_type"):
        assert references(catalogue, table)["feature_id"] == ("feature", "NO ACTION"), table
        assert "feature_id" in whole_indexes(catalogue, table)
    states = checks("integration")["integration.health_status.choice"]
    assert states == "health_status IN ('healthy', 'degraded', 'unhealthy')"
