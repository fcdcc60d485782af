"""Decisions that no table of its own holds: what stands where, what is kept as rows instead of columns."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from catalogue import TABLES, columns, holds, references

from edgekit import schema

if TYPE_CHECKING:
    import sqlite3


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


@pytest.mark.ledger("S0-125")
def test_tables_are_made_in_the_order_of_the_build() -> None:
    phases = [
        ["status", "user", "role", "scope_type"],
        ["feature", "feature_license"],
        ["configuration_type", "configuration"],
        ["communication_type", "communication"],
        ["integration", "integration_mapping_test"],
    ]
    numbers = [[TABLES[table][1] for table in tables] for tables in phases]
    for earlier, later in pairwise(numbers):
        assert max(earlier) < min(later)


@pytest.mark.ledger("S0-129")
def test_what_was_approved_is_what_is_there(catalogue: sqlite3.Connection) -> None:
    holds(catalogue, "feature_license", "feature_id>feature scope_type_id>scope_type scope_id?")
    for table in ("communication_channel", "communication_status", "license_tier", "scope_type"):
        holds(catalogue, table, "code name description? status_id>status")
    holds(catalogue, "configuration", "configuration_type_id>configuration_type scope_type_id>scope_type")
    assert "configuration" not in {parent for parent, _ in references(catalogue, "configuration").values()}
    assert not [table for table in TABLES if "configuration_hierarchy" in table]
    holds(catalogue, "communication", "business_context_type_id?>business_context_type business_context_id?")
    holds(
        catalogue,
        "communication_business_context",
        "communication_id>communication context_type_id>business_context_type context_id",
    )


@pytest.mark.ledger("S2-09")
def test_a_tenant_owns_its_integrations_and_its_users(
    catalogue: sqlite3.Connection, shell: sqlite3.Connection
) -> None:
    holds(catalogue, "organization", "code name", unique=("code",))
    assert references(catalogue, "integration")["organization_id"][0] == "organization"
    assert references(catalogue, "user")["organization_id"][0] == "organization"
    key = shell.execute("INSERT INTO organization(code, name) VALUES ('acme-corp', 'Acme')").lastrowid
    shell.execute("INSERT INTO user(username, organization_id) VALUES ('ann', ?)", (key,))
    tenant = (
        "SELECT o.code FROM user u JOIN organization o ON o.id = u.organization_id WHERE u.username = 'ann'"
    )
    assert shell.execute(tenant).fetchone() == ("acme-corp",)


@pytest.mark.ledger("S0-03")
def test_a_preference_of_presentation_is_a_configuration_of_its_own_type(shell: sqlite3.Connection) -> None:
    made = shell.execute(
        "INSERT INTO configuration_type(code, name, applies_to_user) VALUES ('SCREEN', 'Screen', 1)"
    ).lastrowid
    shell.execute(
        "INSERT INTO configuration(configuration_type_id, scope_type_id, scope_id, config_data)"
        """ SELECT ?, id, 1, '{"rows_per_page": 50}' FROM scope_type WHERE code = 'USER'""",
        (made,),
    )
    item = "SELECT config_key, config_value FROM v_configuration_item WHERE configuration_type = 'SCREEN'"
    assert shell.execute(item).fetchall() == [("rows_per_page", "50")]
    assert not {"rows_per_page", "display_order", "ui_config"} & set(columns(shell, "user"))


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (
            "SELECT message FROM validation_message WHERE table_name = ? AND record_key = ?",
            "validation_message_record",
        ),
        ("SELECT id FROM alert_rule WHERE metric = ?", "alert_rule_metric"),
        (
            "SELECT used_quantity FROM feature_usage WHERE scope_type_id = ? AND scope_id = ?",
            "feature_usage_scope",
        ),
        ("SELECT id FROM integration_event WHERE correlation_id = ?", "integration_event_correlation"),
    ],
)
def test_an_index_serves_its_query(catalogue: sqlite3.Connection, sql: str, index: str) -> None:
    found = catalogue.execute(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?")).fetchall()
    assert [row[3].split(" (")[0].replace("COVERING ", "") for row in found] == [
        f"SEARCH {sql.split(' FROM ')[1].split()[0]} USING INDEX {index}"
    ]
