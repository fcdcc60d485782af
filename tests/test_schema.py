"""The rules of the schema, on the catalogue itself: what tables, columns, keys and indexes keep to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from catalogue import (
    ORDER,
    OURS,
    TABLES,
    checks,
    columns,
    holds,
    references,
    unique_sets,
    whole_indexes,
)

from edgekit import reference_table, schema, sqlite
from edgekit.errors import RuleError

if TYPE_CHECKING:
    import sqlite3

    from edgekit.db import Database

SIGNED = {
    "created_by": ("INTEGER", 1, "1"),
    "updated_by": ("INTEGER", 0, None),
    "created_at": ("TEXT", 1, "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"),
    "updated_at": ("TEXT", 1, "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"),
}
LIVED = {"status_id": ("INTEGER", 1, "1"), **SIGNED}

# Append-only logs have what they need and no more; a status is its own life cycle.
WITHOUT_LIFE_CYCLE = {
    "status": set(SIGNED),
    "backup": set(),
    "schema_migration": set(),
    "validation_message": {"created_at"},
    "integration_log": {"created_by", "created_at"},
    "integration_transformation_run": {"created_by", "created_at"},
    "webhook_receipt": {"created_by"},
    "approval": set(),
    "consultation_analytics": set(),
    "vault_use_log": set(),
    "metric_sample": set(),
    "client_summary": set(),
    "moderation_action": set(),
}
OWN_KEYS = {"system", "schema_migration"}  # one row, and the numbers of the migrations
GIVEN_NAMES = {"consultation_analytics"}  # like a plural, and given
UPWARD = {"created_by", "updated_by"}
CASCADES = {
    ("integration_mapping", "integration_id"),
    ("integration_mapping_test", "mapping_id"),
    ("integration_schedule", "integration_id"),
    ("integration_schedule_time", "schedule_id"),
    ("integration_schedule_recipient", "schedule_id"),
    ("integration_schedule_execution", "schedule_id"),
    ("circuit_breaker", "integration_id"),
    ("integration_checkpoint", "integration_id"),
    ("workflow_execution", "workflow_id"),
    ("client_app_override", "installation_id"),
    ("handover_package", "client_id"),
    ("handover_package_module", "package_id"),
    ("handover_package_configuration", "package_id"),
    ("handover_package_document", "package_id"),
    ("client_summary", "client_id"),
}
SET_NULL = {("client_app_override", "marketplace_module_id"), ("handover_package", "workflow_id")}
REFERENCE_TABLES = [
    *(table.name for table in reference_table.registry()),
    # and those with much of their own:
    "feature", "component_registry", "configuration_type", "communication_type", "integration_type",
    "marketplace_module",
]  # fmt: skip

# Without the modifier SQLite 3.40 takes 30 February for a time.
TIME = r"(?:{0} IS NULL OR )?strftime\('%Y-%m-%dT%H:%M:%fZ', {0}, '\+0 days'\) IS {0}"
DATE = r"(?:{0} IS NULL OR )?date\({0}, '\+0 days'\) IS {0}"
JSON = r"(?:{0} IS NULL OR )?CASE WHEN json_valid\({0}\) THEN json_type\({0}\) = 'object' ELSE 0 END"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def test_the_files_hold_all_tables(catalogue: sqlite3.Connection) -> None:
    in_file = {
        name
        for (name,) in catalogue.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith("sqlite_")
    }
    assert in_file == set(TABLES)


def test_every_table_is_strict(catalogue: sqlite3.Connection) -> None:
    lax = catalogue.execute(
        "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict"
    ).fetchall()
    assert [name for (name,) in lax if not name.startswith("sqlite_")] == []


@pytest.mark.ledger("S0-15")
def test_names_are_singular_snake_case_and_say_what_a_column_is(catalogue: sqlite3.Connection) -> None:
    plain = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
    for table in TABLES:
        assert plain.fullmatch(table), table
        assert table.endswith("status") or table in GIVEN_NAMES or not table.endswith("s"), table
        foreign = references(catalogue, table)
        for column, (kind, _, default) in columns(catalogue, table).items():
            where = f"{table}.{column}"
            assert plain.fullmatch(column), where
            is_flag = f'"{where}.boolean"' in TABLES[table][0]
            assert is_flag == column.startswith(("is_", "requires_", "applies_to_")), where
            is_time = f'"{where}.time"' in TABLES[table][0] or (default or "").startswith("strftime")
            assert is_time == column.endswith("_at"), where
            if column.endswith("_date"):
                assert f'"{where}.date"' in TABLES[table][0], where
            if column in foreign:
                parent = foreign[column][0]
                stem = column.removesuffix("_id")
                names_parent = stem.endswith(parent) or parent.endswith(stem)
                names_user = parent == "user" and column.endswith("_by")
                is_typed = column.endswith("_type_id") and "table_name" in columns(catalogue, parent)
                assert names_parent or names_user or is_typed or (parent, column) in {
                    (table, "resumed_from_id"), ("audit_gate", "open_gate"), ("user", "assigned_manager_id"),
                    ("integration_pipeline_definition", "pipeline_id"),
                    ("user", "developer_id"),
                }, where  # fmt: skip
            assert kind in {"INTEGER", "REAL", "TEXT", "BLOB", "ANY"}, where


def test_ids_are_never_used_again(catalogue: sqlite3.Connection) -> None:
    for table in OURS:
        key = catalogue.execute("SELECT name, type FROM pragma_table_info(?) WHERE pk", (table,)).fetchall()
        assert key == [("id", "INTEGER")], table
        assert ("AUTOINCREMENT" in TABLES[table][0]) == (table not in OWN_KEYS), table


@pytest.mark.ledger("S0-13", "S1-12")
def test_an_edited_table_says_who_when_and_in_what_state(catalogue: sqlite3.Connection) -> None:
    for table in OURS:
        found = columns(catalogue, table)
        wanted = WITHOUT_LIFE_CYCLE.get(table, set(LIVED))
        assert set(LIVED) & set(found) == wanted, table
        foreign = references(catalogue, table)
        for column in wanted & set(found):
            assert found[column] == LIVED[column], f"{table}.{column}"
            if not column.endswith("_at"):
                assert foreign[column][0] == ("status" if column == "status_id" else "user"), (
                    f"{table}.{column}"
                )


@pytest.mark.ledger("S0-01", "S0-02", "S0-04")
def test_the_schema_is_back_end_only(catalogue: sqlite3.Connection) -> None:
    everywhere = {(table, column) for table in TABLES for column in columns(catalogue, table)}
    shown = {
        "display_order",
        "ui_config",
        "icon",
        "color",
        "colour",
        "ui_component",
        "css_class",
        "widget",
        "layout",
    }
    assert {(table, column) for table, column in everywhere if column in shown} == {
        ("entity_type", "icon"),
        ("entity_type", "color"),
        ("entity_type", "ui_component"),
    }
    states = {"is_active", "is_enabled", "enabled", "active", "deleted_at", "is_deleted"}
    assert {(table, column) for table, column in everywhere if column in states} == {("status", "is_active")}


def test_references_point_down_the_order(catalogue: sqlite3.Connection) -> None:
    for table, (_, file) in TABLES.items():
        for column, (parent, rule) in references(catalogue, table).items():
            assert parent in TABLES, f"{table}.{column} names {parent}, which no file makes"
            if column not in UPWARD:
                assert ORDER.index(parent) <= ORDER.index(table), f"{table}.{column} points up"
                assert TABLES[parent][1] <= file
            stated = "CASCADE" if (table, column) in CASCADES else "NO ACTION"
            assert rule == ("SET NULL" if (table, column) in SET_NULL else stated), f"{table}.{column}"


@pytest.mark.ledger("S0-133", "S1-34", "S1-38", "S1-39", "S1-45")
def test_every_reference_and_look_up_has_an_index(catalogue: sqlite3.Connection) -> None:
    for table in OURS:
        for column in {*references(catalogue, table)} - {"status_id", "created_by", "updated_by"}:
            assert column in whole_indexes(catalogue, table), f"{table}.{column} has no index"
    assert {"integration_id", "correlation_id", "created_at", "created_by"} <= whole_indexes(
        catalogue, "integration_log"
    )
    assert {"environment_id", "expires_at"} <= whole_indexes(catalogue, "integration_credential")


def test_no_index_repeats_another(catalogue: sqlite3.Connection) -> None:
    for table in OURS:
        seen: dict[str, str] = {}
        for name, sql in catalogue.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?",
            (table,),
        ):
            rest = sql[sql.index(" ON ") :]
            assert rest not in seen, f"{name} repeats {seen.get(rest)}"
            seen[rest] = name


def test_every_check_has_a_name_that_says_table_column_and_code(catalogue: sqlite3.Connection) -> None:
    for table in OURS:
        sql = re.sub(r"--.*", "", TABLES[table][0])
        assert len(re.findall(r"\bCHECK\s*\(", sql)) == len(checks(table)), (
            f"{table} has a CHECK without a name"
        )
        names = re.findall(r'CONSTRAINT "([^"]+)"', sql)
        assert len(names) == len(set(names)), table
        for name in names:
            owner, column, code = name.split(".")
            assert owner == table
            assert column == "*" or column in columns(catalogue, table), name
            assert re.fullmatch(r"[a-z_]+", code), name


@pytest.mark.ledger("S4-08", "S4-33", "S4-36", "S4-45")
def test_checks_of_one_kind_are_written_one_way(catalogue: sqlite3.Connection) -> None:
    json_columns = set()
    for table in OURS:
        for name, condition in checks(table).items():
            _, column, code = name.split(".")
            wanted = {
                "time": TIME,
                "date": DATE,
                "json_object": JSON,
                "boolean": r"{0} IN \(0, 1\)",
                "choice": r"{0} IN \('[a-z][a-z0-9_]*'(?:, '[a-z][a-z0-9_]*')*\)",
            }.get(code)
            if wanted:
                assert re.fullmatch(wanted.format(column), condition), f"{name}: {condition}"
            else:
                assert "json" not in condition, f"{name} is not guarded against NULL and broken text"
            if code == "json_object":
                json_columns.add((table, column))
            if code == "boolean":
                assert columns(catalogue, table)[column][1], f"{name}: neither yes nor no"
    assert {
        *(("integration_mapping", column) for column in ("transformation_rules", "validation_rules")),
        *(
            ("integration_pipeline_definition", f"{word}_config")
            for word in ("dead_letter", "performance", "monitoring")
        ),
        ("integration_pipeline_definition", "pipeline_steps"),
        *(("integration_template", f"{word}_template") for word in ("connection", "pipeline")),
        *(
            ("integration_template", word)
            for word in ("mapping_templates", "transformation_library", "test_suite")
        ),
        ("integration_template", "rate_limits"),
        ("integration_template", "renames"),
        ("integration_template_instance", "customizations"),
    } <= json_columns


@pytest.mark.ledger("S0-10")
def test_a_reference_table_has_code_name_and_description(catalogue: sqlite3.Connection) -> None:
    for table in REFERENCE_TABLES:
        found = columns(catalogue, table)
        kinds = [found[column][:2] for column in ("code", "name", "description", "status_id")]
        assert kinds == [("TEXT", 1), ("TEXT", 1), ("TEXT", 0), ("INTEGER", 1)], table
        assert frozenset({"code"}) in unique_sets(catalogue, table), table
        assert references(catalogue, table)["status_id"][0] == "status"
        assert checks(table)[f"{table}.code.length"] == "length(code) BETWEEN 1 AND 50"
        assert checks(table)[f"{table}.name.length"] == "length(name) BETWEEN 1 AND 100"
        assert re.search(r"\bcode TEXT NOT NULL COLLATE NOCASE\b", TABLES[table][0]), table


@pytest.mark.ledger("S0-44", "S0-46", "S0-50", "S0-51", "S0-57")
def test_entities_have_their_columns(catalogue: sqlite3.Connection) -> None:
    signed = "status_id>status created_by>user updated_by?>user created_at updated_at"
    holds(
        catalogue,
        "entity_type",
        "code name description? category_id>entity_category metadata_schema icon? color? ui_component? "
        + signed,
        ("code",),
    )
    assert checks("entity_type")["entity_type.icon.length"] == "length(icon) <= 100"
    assert checks("entity_type")["entity_type.ui_component.length"] == "length(ui_component) <= 100"
    holds(
        catalogue,
        "entity",
        "code name entity_type_id>entity_type program_id?>program producer_id?>producer metadata? " + signed,
        ("code",),
    )
    holds(catalogue, "entity_category", "code name description? sort_order " + signed, ("code",))
    assert columns(catalogue, "entity_category")["sort_order"] == ("INTEGER", 1, "0")
    holds(catalogue, "entity_reference_type", "code name table_name description? " + signed, ("code",))
    for table in ("quote", "driver", "policy", "claim", "vehicle"):
        holds(catalogue, table, "id? " + signed)


@pytest.mark.ledger("S1-07", "S1-08", "S1-10", "S1-11")
def test_insurance_has_its_columns(catalogue: sqlite3.Connection) -> None:
    own = "organization_id>organization status_id created_by updated_by? created_at updated_at "
    of_program = "program_id?>program producer_id?>producer "
    holds(
        catalogue,
        "policy",
        own + of_program + "policy_number quote_id?>quote effective_date expiration_date policy_state",
        ("organization_id", "policy_number"),
    )
    assert checks("policy")["policy.expiration_date.order"] == "effective_date < expiration_date"
    holds(
        catalogue, "quote", own + of_program + "quote_number quote_state", ("organization_id", "quote_number")
    )
    holds(catalogue, "vehicle", own + "vin? model_year? make? model_name?", ("organization_id", "vin"))
    holds(catalogue, "policy_vehicle", "policy_id>policy vehicle_id>vehicle", ("policy_id", "vehicle_id"))
    holds(catalogue, "quote_vehicle", "quote_id>quote vehicle_id>vehicle", ("quote_id", "vehicle_id"))
    holds(
        catalogue,
        "claim",
        own + "claim_number policy_id>policy loss_date claim_state",
        ("organization_id", "claim_number"),
    )


@pytest.mark.ledger("S1-05", "S1-44", "S1-46", "S4-03")
def test_integrations_have_their_columns(catalogue: sqlite3.Connection) -> None:
    holds(catalogue, "integration_type", "code name description? is_default status_id>status", ("code",))
    holds(
        catalogue,
        "integration_credential",
        "uuid integration_id>integration environment_id>environment credential_key value_ciphertext"
        " encryption_key_id>encryption_key expires_at? last_rotated_at? status_id created_by"
        " created_at updated_at",
        ("integration_id", "environment_id", "credential_key"),
    )
    assert "expires_at" in whole_indexes(catalogue, "integration_credential")
    holds(
        catalogue,
        "organization",
        "code name status_id created_by updated_by? created_at updated_at",
        ("code",),
    )
    holds(catalogue, "integration_template", "organization_id?>organization")


@pytest.mark.ledger("S0-54", "S0-55", "S0-56", "S1-06", "S4-04")
def test_parties_have_their_columns(catalogue: sqlite3.Connection) -> None:
    signed = "status_id>status created_by>user updated_by?>user created_at updated_at"
    owned = "organization_id>organization code name " + signed
    holds(catalogue, "program", owned, ("organization_id", "code"))
    holds(catalogue, "producer", owned + " program_id?>program", ("organization_id", "code"))
    holds(
        catalogue,
        "user",
        "username organization_id?>organization role_id?>role license_tier_id?>license_tier " + signed,
        ("username",),
    )
    holds(catalogue, "integration_template_instance", "deployed_by?>user")


@pytest.mark.ledger("S1-04", "S2-31", "S4-01")
def test_an_integration_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "integration",
        "integration_name integration_type_id>integration_type organization_id?>organization"
        " entity_id?>entity connection_config health_status? last_health_check_at? version"
        " status_id>status created_by>user updated_by?>user created_at updated_at",
        ("entity_id",),
    )
    healths = checks("integration")["integration.health_status.choice"]
    assert healths == "health_status IN ('healthy', 'degraded', 'unhealthy')"


@pytest.mark.ledger("S4-47")
def test_a_dead_letter_keeps_what_its_replay_needs(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "dead_letter",
        "integration_id>integration execution_id>integration_execution record source_position step"
        " error_code error_field? error_message attempts replay_status settled_at? correlation_id created_at",
        ("integration_id", "record_digest"),
    )


@pytest.mark.ledger("S3-69", "S3-71")
def test_events_are_found_by_source_and_by_correlation(catalogue: sqlite3.Connection) -> None:
    assert {"event_source_id", "correlation_id"} <= whole_indexes(catalogue, "integration_event")


@pytest.mark.ledger("S0-53", "S0-56")
def test_a_file_has_its_own_row_and_its_system_user(edge: Database) -> None:
    assert edge.query("SELECT table_name FROM entity_reference_type WHERE code IN ('SYSTEM', 'USER')") == [
        {"table_name": "system"},
        {"table_name": "user"},
    ]
    assert edge.query("SELECT id FROM system") == [{"id": 1}]
    assert edge.query("SELECT username, status_id FROM user WHERE id = 1") == [
        {"username": "system", "status_id": 1}
    ]
    with pytest.raises(RuleError), edge.change():
        edge.connection().execute(
            "INSERT INTO system(id, uuid, name, environment_id)"
            " SELECT 2, printf('%036d', 2), name, environment_id FROM system"
        )


@pytest.mark.ledger("S4-11", "S4-52")
def test_active_mappings_of_an_integration_are_found_by_index(catalogue: sqlite3.Connection) -> None:
    sql = "SELECT * FROM integration_mapping WHERE integration_id = ? AND status_id = 1"
    (plan,) = catalogue.execute("EXPLAIN QUERY PLAN " + sql, (1,)).fetchall()
    assert plan[3] == "SEARCH integration_mapping USING INDEX integration_mapping_active (integration_id=?)"


@pytest.mark.ledger("S0-132")
def test_references_are_enforced_on_every_connection(edge: Database) -> None:
    assert edge.connection().execute("PRAGMA foreign_keys").fetchone() == (1,)
    plain = sqlite.connect(edge.path)
    assert plain.execute("PRAGMA foreign_keys").fetchone() == (1,)
    plain.close()
