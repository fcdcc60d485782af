"""The tables of integrations: columns, what is refused, and which index answers which question."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import checks, columns, holds, references, unique_sets, whole_indexes
from test_violations import put, refused, sample

from edgekit import db, integrations, models, schema, seeds
from edgekit.errors import ConflictError, InvalidError, NotFoundError, RuleError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

SIGNED = " status_id>status created_by>user updated_by?>user created_at updated_at"
OWNED = " organization_id?>organization" + SIGNED


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


@pytest.fixture
def shell(bare_shell: sqlite3.Connection) -> sqlite3.Connection:
    return bare_shell


def plan(catalogue: sqlite3.Connection, sql: str) -> list[str]:
    marks = (1,) * sql.count("?")
    return [row[3] for row in catalogue.execute("EXPLAIN QUERY PLAN " + sql, marks)]


def choice(table: str, column: str) -> set[str]:
    text = checks(table)[f"{table}.{column}.choice"]
    return {word.strip("' ") for word in text[text.index("(") + 1 : -1].split(",")}


@pytest.mark.ledger("S4-07", "S4-09")
def test_a_mapping_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "integration_mapping",
        "integration_id>integration mapping_name mapping_type source_path target_path source_data_type?"
        " target_data_type? is_required default_value? transformation_rules? validation_rules?"
        " communication_direction_id>communication_direction error_handling mapping_notes? change_reason"
        " test_coverage? version" + OWNED,
        ("integration_id", "communication_direction_id", "target_path"),
    )
    assert frozenset({"integration_id", "mapping_name"}) in unique_sets(catalogue, "integration_mapping")
    assert references(catalogue, "integration_mapping")["integration_id"] == ("integration", "CASCADE")
    assert choice("integration_mapping", "mapping_type") == {"field", "object", "array", "custom"}
    assert choice("integration_mapping", "error_handling") == {"fail", "skip", "default", "null"}
    assert checks("integration_mapping")["integration_mapping.test_coverage.range"] == (
        "test_coverage BETWEEN 0 AND 100"
    )


@pytest.mark.ledger("S4-05")
def test_a_mapping_says_why_it_became_as_it_is(edge: Database) -> None:
    assert choice("integration_mapping", "change_reason") == {
        "new_integration", "field_change", "model_update", "optimization", "troubleshooting",
    }  # fmt: skip
    mapping = _mapping()
    assert (mapping.change_reason, mapping.version) == ("new_integration", 1)
    with edge.change():
        mapping.source_path, mapping.change_reason = "$.other", "field_change"
        mapping.save()
    assert models.IntegrationMapping.get().version == 2
    with edge.change():
        models.IntegrationMapping.update(test_coverage=50.0).execute()
    stored = models.IntegrationMapping.get()
    assert (stored.test_coverage, stored.version) == (50.0, 2), "how well it is tested says nothing new"


def _mapping(**values: Any) -> models.IntegrationMapping:
    with db.change():
        made = models.Integration.create(
            integration_name="files", connection_config={}, integration_type=_type(), **values
        )
        return models.IntegrationMapping.create(
            integration=made, organization=made.organization_id, mapping_name="m", source_path="$.a",
            target_path="a",
        )  # fmt: skip


def _type(code: str = "FILE_IMPORT") -> models.IntegrationType:
    return models.IntegrationType.get(code=code)


@pytest.mark.ledger("S1-44")
def test_what_is_not_said_is_inbound_and_production(edge: Database) -> None:
    for table, column in (
        ("integration_mapping", "communication_direction_id"), ("integration_credential", "environment_id"),
    ):  # fmt: skip
        assert columns(edge.connection(), table)[column][1:] == (1, "1")
    assert edge.query("SELECT id, code FROM communication_direction WHERE id = 1") == [
        {"id": 1, "code": "INBOUND"}
    ]
    assert edge.query("SELECT id, code FROM environment WHERE id = 1") == [{"id": 1, "code": "PRODUCTION"}]


@pytest.mark.ledger("S4-12", "S4-13", "S4-53")
def test_a_mapping_test_has_its_columns(catalogue: sqlite3.Connection) -> None:
    table = "integration_mapping_test"
    holds(
        catalogue,
        table,
        "mapping_id>integration_mapping test_name test_type input_data expected_output test_status"
        " actual_output? execution_time_ms? error_message? last_run_at?" + OWNED,
        ("mapping_id", "test_name"),
    )
    assert references(catalogue, table)["mapping_id"] == ("integration_mapping", "CASCADE")
    assert choice(table, "test_type") == {"unit", "integration", "edge_case", "performance"}
    assert choice(table, "test_status") == {"pending", "passed", "failed", "skipped"}
    json_checks = {name.split(".")[1] for name in checks(table) if name.endswith(".json_object")}
    assert json_checks == {"input_data", "expected_output", "actual_output"}
    sql = f"SELECT * FROM {table} WHERE mapping_id = ? AND test_status = ?"
    assert plan(catalogue, sql) == [
        f"SEARCH {table} USING INDEX {table}_status (mapping_id=? AND test_status=?)"
    ]


@pytest.mark.ledger("S4-12")
def test_tests_go_with_their_mapping(edge: Database) -> None:
    mapping = _mapping()
    with edge.change():
        models.IntegrationMappingTest.create(
            mapping=mapping, test_name="t", input_data={}, expected_output={}
        )
        mapping.delete_instance()
    assert edge.query("SELECT count(*) AS n FROM integration_mapping_test") == [{"n": 0}]


def test_an_approval_says_who_decided_what_of_which_version(shell: sqlite3.Connection) -> None:
    assert choice("approval", "approval_kind") == {
        "technical_review", "data_owner", "security_validation", "testing_sign_off", "certification",
    }  # fmt: skip
    holds(
        shell,
        "approval",
        "mapping_id?>integration_mapping template_id?>integration_template subject_version approval_kind"
        " decision decided_by>user decided_at note?",
    )
    mapping = put(shell, "integration_mapping", **sample(shell, "integration_mapping", version=3))
    good: dict[str, Any] = {
        "mapping_id": mapping,
        "approval_kind": "technical_review",
        "decision": "approved",
        "decided_by": 1,
    }
    for version in ("1", 3):
        assert put(shell, "approval", **good, subject_version=version)
    for version in ("4", "03", "x", "3.0"):
        error = refused(
            shell, lambda version=version: put(shell, "approval", **good, subject_version=version)
        )
        assert (error.column, error.code) == ("subject_version", "version")
    template = {**good, "mapping_id": None, "template_id": 1, "approval_kind": "certification"}
    assert put(shell, "approval", **template, subject_version="1.1.0")
    assert refused(shell, lambda: put(shell, "approval", **template, subject_version="2")).code == "version"


def test_a_decision_stays(edge_file: Path) -> None:
    plain = sqlite3.connect(edge_file, isolation_level=None)
    plain.execute(
        "INSERT INTO approval(template_id, subject_version, approval_kind, decision, decided_by)"
        " VALUES (1, '1.1.0', 'certification', 'rejected', 1)"
    )
    again = "REPLACE INTO approval(id, template_id, subject_version, approval_kind, decision, decided_by)"
    for sql in (
        "UPDATE approval SET decision = 'approved'",
        "DELETE FROM approval",
        f"{again} VALUES (1, 1, '1.1.0', 'certification', 'approved', 1)",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append_only"):
            plain.execute(sql)
    plain.close()


@pytest.mark.ledger("S4-41", "S4-42", "S4-57")
def test_a_transformation_has_its_columns(catalogue: sqlite3.Connection) -> None:
    table = "integration_transformation"
    holds(
        catalogue,
        table,
        "transformation_name description? transformation_type input_schema? output_schema?"
        " transformation_logic language is_reusable performance_tier timeout_seconds error_output_schema?"
        " test_cases? version" + OWNED,
    )
    found = columns(catalogue, table)
    assert (found["timeout_seconds"][2], found["version"][2], found["is_reusable"][2]) == ("30", "1", "1")
    assert choice(table, "transformation_type") == {
        "map", "filter", "aggregate", "enrich", "validate", "custom",
    }  # fmt: skip
    assert choice(table, "language") == {"jmespath", "jsonpath", "javascript", "python", "sql"}
    assert choice(table, "performance_tier") == {"lightweight", "standard", "heavy"}
    json_checks = {name.split(".")[1] for name in checks(table) if name.endswith(".json_object")}
    assert json_checks == {
        "input_schema", "output_schema", "transformation_logic", "error_output_schema", "test_cases",
    }  # fmt: skip
    sql = f"SELECT * FROM {table} WHERE transformation_type = ? AND is_reusable = 1"
    assert plan(catalogue, sql) == [
        f"SEARCH {table} USING INDEX integration_transformation_reusable (transformation_type=?)"
    ]


@pytest.mark.ledger("S4-41")
def test_a_transformation_is_a_new_version_with_every_change(edge: Database) -> None:
    with edge.change():
        row = models.IntegrationTransformation.create(
            transformation_name="Total", transformation_type="aggregate", language="sql",
            transformation_logic={"text": "SELECT sum(premium) FROM input"},
        )  # fmt: skip
        row.timeout_seconds = 5
        row.save()
    assert models.IntegrationTransformation.get().version == 2
    with pytest.raises(RuleError, match="already"), edge.change():
        models.IntegrationTransformation.create(
            transformation_name="TOTAL", transformation_type="map", language="sql", transformation_logic={}
        )


@pytest.mark.ledger("S4-44", "S4-61")
def test_a_pipeline_has_its_columns_and_its_steps(catalogue: sqlite3.Connection) -> None:
    table = "integration_pipeline_definition"
    holds(
        catalogue,
        table,
        "pipeline_name description? integration_id>integration pipeline_type pipeline_steps"
        " error_handling_strategy dead_letter_config? performance_config? monitoring_config? version" + OWNED,
    )
    assert choice(table, "pipeline_type") == {"linear", "conditional", "parallel", "hybrid"}
    assert choice(table, "error_handling_strategy") == {
        "fail_fast", "continue_on_error", "dead_letter", "retry",
    }  # fmt: skip
    sql = f"SELECT * FROM {table} WHERE json_extract(pipeline_steps, '$.steps[0].type') = 'validate'"
    assert plan(catalogue, sql) == [f"SEARCH {table} USING INDEX {table}_first_step (<expr>=?)"]
    steps = plan(catalogue, "SELECT * FROM integration_pipeline_step WHERE pipeline_id = ?")
    assert steps[0] == "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"


@pytest.mark.ledger("S4-45", "S4-61")
def test_steps_are_read_out_of_their_pipeline(shell: sqlite3.Connection) -> None:
    steps = [{"name": "look", "type": "validate", "schema": {}}, {"type": "map"}]
    row = sample(shell, "integration_pipeline_definition", pipeline_steps=json.dumps({"steps": steps}))
    key = put(shell, "integration_pipeline_definition", **row)
    sql = "SELECT step_order, step_name, step_kind FROM integration_pipeline_step WHERE pipeline_id = ?"
    assert shell.execute(sql, (key,)).fetchall() == [(1, "look", "validate"), (2, None, "map")]
    shell.execute(
        """UPDATE integration_pipeline_definition SET pipeline_steps = '{"steps": []}' WHERE id = ?""", (key,)
    )
    assert shell.execute(sql, (key,)).fetchall() == []


@pytest.mark.ledger("S4-33", "S4-45")
def test_a_bare_list_is_refused_with_the_way_to_write_it(shell: sqlite3.Connection) -> None:
    pipeline = sample(shell, "integration_pipeline_definition", pipeline_steps='[{"type": "map"}]')
    error = refused(shell, lambda: put(shell, "integration_pipeline_definition", **pipeline))
    assert error.message.endswith('must be a JSON object; wrap the list: {"steps": […]}.')
    template = sample(shell, "integration_template", mapping_templates="[]")
    error = refused(shell, lambda: put(shell, "integration_template", **template))
    assert error.message.endswith('must be a JSON object; wrap the list: {"mappings": […]}.')


@pytest.mark.ledger("S4-32", "S4-34", "S4-56", "S4-60")
def test_a_template_has_its_columns_and_its_children(catalogue: sqlite3.Connection) -> None:
    table = "integration_template"
    holds(
        catalogue,
        table,
        "code template_name description? integration_type_id>integration_type"
        " template_category_id>template_category version is_certified certification_date? certified_by?>user"
        " connection_template mapping_templates transformation_library? test_suite? documentation_url?"
        " rate_limits? renames?" + OWNED,
    )
    holds(
        catalogue,
        "integration_template_prerequisite",
        "template_id>integration_template prerequisite" + SIGNED,
        ("template_id", "prerequisite"),
    )
    holds(
        catalogue,
        "integration_template_operation",
        "template_id>integration_template operation" + SIGNED,
        ("template_id", "operation"),
    )
    assert choice("integration_template_operation", "operation") == {"create", "read", "update", "delete"}
    sql = f"SELECT * FROM {table} WHERE template_category_id = ? AND status_id = 1"
    assert plan(catalogue, sql) == [
        f"SEARCH {table} USING INDEX integration_template_active (template_category_id=?)"
    ]
    sql = f"SELECT * FROM {table} WHERE json_array_length(mapping_templates, '$.mappings') = 0"
    assert plan(catalogue, sql) == [
        f"SEARCH {table} USING INDEX integration_template_mapping_count (<expr>=?)"
    ]


@pytest.mark.ledger("S4-32", "S4-34")
def test_a_template_of_everybody_is_there_once_per_version(shell: sqlite3.Connection) -> None:
    first = sample(shell, "integration_template", template_name="Same", version="2")
    put(shell, "integration_template", **first)
    again = {**sample(shell, "integration_template"), "template_name": "Same", "version": "2"}
    error = refused(shell, lambda: put(shell, "integration_template", **again))
    assert (error.table, error.code) == ("integration_template", "unique")
    assert put(shell, "integration_template", **{**again, "organization_id": 1})


@pytest.mark.ledger("S4-60")
def test_mappings_are_read_out_of_their_template(edge: Database) -> None:
    found = edge.query(
        "SELECT m.mapping_order, m.mapping_name, m.source_path, m.target_path"
        " FROM integration_template_mapping m JOIN integration_template t ON t.id = m.template_id"
        " WHERE t.code = 'vpic-vin-decode' ORDER BY 1 LIMIT 2"
    )
    assert [tuple(row.values()) for row in found] == [
        (1, "vin", "$.VIN", "vin"),
        (2, "make", "$.Make", "make"),
    ]


@pytest.mark.ledger("S4-35", "S4-38")
def test_a_template_instance_has_its_columns_and_goes_one_way(shell: sqlite3.Connection) -> None:
    table = "integration_template_instance"
    holds(
        shell,
        table,
        "template_id>integration_template integration_id>integration instance_name customizations?"
        " deployment_status deployed_at? deployed_by?>user" + OWNED,
    )
    assert choice(table, "deployment_status") == {"draft", "testing", "active", "deprecated"}
    key = put(shell, table, **sample(shell, table))
    move = f"UPDATE {table} SET deployment_status = ?, deployed_at = '2026-01-31T09:05:00.000Z' WHERE id = ?"
    for state in ("testing", "active", "deprecated"):
        shell.execute(move, (state, key))
    for state in ("draft", "testing", "active"):
        error = refused(shell, lambda state=state: shell.execute(move, (state, key)))
        assert error.code == "transition"


@pytest.mark.ledger("S4-58")
def test_mappings_are_found_by_kind_of_transformation(catalogue: sqlite3.Connection) -> None:
    sql = "SELECT * FROM integration_mapping WHERE json_extract(transformation_rules, '$.type') = 'sum'"
    assert plan(catalogue, sql) == [
        "SEARCH integration_mapping USING INDEX integration_mapping_transformation (<expr>=?)"
    ]


@pytest.mark.ledger("S2-21")
def test_active_integrations_of_an_organization_are_found_by_index(catalogue: sqlite3.Connection) -> None:
    sql = "SELECT * FROM integration WHERE organization_id = ? AND status_id = 1"
    assert plan(catalogue, sql) == ["SEARCH integration USING INDEX integration_active (organization_id=?)"]


@pytest.mark.ledger("S2-07")
def test_an_integration_is_there_once_per_organization_type_and_name(shell: sqlite3.Connection) -> None:
    holds(
        shell,
        "integration",
        "organization_id?>organization integration_type_id>integration_type connection_config health_status?"
        " last_health_check_at?" + SIGNED,
    )
    kinds = [key for (key,) in shell.execute("SELECT id FROM integration_type ORDER BY id LIMIT 2")]
    row = {"integration_name": "drivers", "connection_config": "{}"}
    for organization in (1, None):
        for kind in kinds:
            same = {**row, "integration_type_id": kind, "organization_id": organization}
            put(shell, "integration", **same)
            error = refused(shell, lambda same=same: put(shell, "integration", **same))
            assert (error.table, error.code) == ("integration", "unique")


@pytest.mark.ledger("S1-45", "S1-46")
def test_a_credential_is_found_by_environment_and_by_expiry(catalogue: sqlite3.Connection) -> None:
    assert {"environment_id", "expires_at"} <= whole_indexes(catalogue, "integration_credential")
    sql = "SELECT * FROM integration_credential WHERE expires_at < ?"
    assert "integration_credential_expires (expires_at<?)" in plan(catalogue, sql)[0]
    sql = "SELECT * FROM integration_credential WHERE environment_id = ?"
    assert "integration_credential_environment (environment_id=?)" in plan(catalogue, sql)[0]


@pytest.mark.ledger("S2-34")
def test_a_secret_among_the_settings_is_refused(edge: Database) -> None:
    with pytest.raises(RuleError) as caught, edge.change():
        models.Integration.create(
            integration_name="a", integration_type=_type(), connection_config={"auth": {"api_key": "k"}}
        )
    assert (caught.value.column, caught.value.code) == ("connection_config", "secret")


def test_settings_are_versions_and_the_log_keeps_each(edge: Database) -> None:
    mapping = _mapping()
    with edge.change():
        row = models.Integration.get_by_id(mapping.integration_id)
        row.connection_config = {"path": "b.csv"}
        row.save()
        row.health_status = "healthy"
        row.save()
    assert models.Integration.get().version == 2
    (entry, *_) = edge.query(
        "SELECT old_values FROM audit_entry WHERE table_name = 'integration' AND action = 'U' ORDER BY seq"
    )
    assert json.loads(json.loads(entry["old_values"])["connection_config"]) == {}


def test_of_two_integrations_with_one_name_none_is_taken(edge: Database) -> None:
    with edge.change():
        for code in ("FILE_IMPORT", "REST_API"):
            models.Integration.create(
                integration_name="drivers", integration_type=_type(code), connection_config={}
            )
    with pytest.raises(ConflictError, match="two integrations drivers"):
        integrations.find("drivers")


def test_an_own_integration_comes_before_a_shared_one(edge: Database) -> None:
    with edge.change():
        for organization in (None, 1):
            models.Integration.create(
                integration_name="drivers", integration_type=_type(), connection_config={},
                organization=organization,
            )  # fmt: skip
    assert integrations.find("drivers")["organization_id"] == 1


def test_parts_of_a_shared_integration_are_shared(edge: Database) -> None:
    mapping = _mapping(organization=None)
    assert mapping.organization_id is None
    with pytest.raises(RuleError) as caught, edge.change():
        models.IntegrationMapping.create(
            integration=mapping.integration_id, mapping_name="b", source_path="b", target_path="b"
        )
    assert (caught.value.column, caught.value.code) == ("organization_id", "organization")


def test_the_parts_an_integration_is_made_with_belong_where_it_does(edge: Database) -> None:
    integrations.create("mine", template="vpic-vin-decode")
    for table in (
        "integration_mapping", "integration_template_instance", "integration_pipeline_definition",
    ):  # fmt: skip
        assert edge.query(f"SELECT DISTINCT organization_id FROM {table}") == [{"organization_id": 1}], table


def test_a_mapping_is_made_with_its_direction(edge: Database) -> None:
    item = {"name": "out", "source_path": "make", "target_path": "brand", "mapping_direction": "outbound"}
    made = integrations.create("mine", template="vpic-vin-decode", customizations={"mappings": [item]})
    directions = {row["name"]: row["mapping_direction"] for row in made["mappings"]}
    assert (directions["out"], directions["vin"]) == ("outbound", "inbound")
    assert {part.name for part in integrations.prepare("mine").fields} == set(directions) - {"out"}
    with pytest.raises(InvalidError, match="goes in no direction sideways"):
        integrations.create(
            "other", template="vpic-vin-decode",
            customizations={"mappings": [{**item, "mapping_direction": "sideways"}]},
        )  # fmt: skip


@pytest.mark.ledger("S1-05", "S2-06", "S2-20")
def test_a_type_of_integration_belongs_to_a_feature(shell: sqlite3.Connection, edge_file: Path) -> None:
    holds(
        shell,
        "integration_type",
        "code name description? feature_id>feature is_default" + SIGNED,
        ("code",),
    )
    assert references(shell, "integration_type")["feature_id"] == ("feature", "NO ACTION")
    plain = sqlite3.connect(edge_file, isolation_level=None)
    for sql, said in (
        ("INSERT INTO integration_type(code, name, feature_id) VALUES ('X', 'X', 999)", "reference"),
        ("INSERT INTO integration_type(code, name) VALUES ('X', 'X')", "NOT NULL"),
        ("DELETE FROM feature WHERE code = 'FILE_IMPORTS'", "referenced"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=said):
            plain.execute(sql)
    plain.close()


@pytest.mark.ledger("S1-23", "S2-36")
def test_each_type_is_seeded_with_what_allows_it(edge: Database) -> None:
    found = edge.query(
        "SELECT t.code, f.code AS feature, t.created_by, f.created_by AS by FROM integration_type t"
        " JOIN feature f ON f.id = t.feature_id ORDER BY t.id"
    )
    assert {row["code"]: row["feature"] for row in found} == {
        "DCS_DRIVER_API": "DCS_DRIVER_VERIFICATION",
        "DCS_VEHICLE_API": "API_INTEGRATIONS",
        "DCS_CRIMINAL_API": "API_INTEGRATIONS",
        "VPIC_VIN_DECODE": "API_INTEGRATIONS",
        "REST_API": "API_INTEGRATIONS",
        "FILE_IMPORT": "FILE_IMPORTS",
        "SINGER": "API_INTEGRATIONS",
        "FILE_EXPORT": "FILE_IMPORTS",
        "SQL_DATABASE": "API_INTEGRATIONS",
        "WEBHOOK": "API_INTEGRATIONS",
        "SMTP_MAIL": "API_INTEGRATIONS",
    }
    assert {(row["created_by"], row["by"]) for row in found} == {(1, 1)}, "made by the system user"


@pytest.mark.ledger("S2-33")
def test_a_type_in_use_is_retired_not_deleted(edge: Database) -> None:
    _mapping()
    with pytest.raises(RuleError) as caught, edge.change():
        models.IntegrationType.delete().where(models.IntegrationType.code == "FILE_IMPORT").execute()
    assert caught.value.code == "reference"
    with edge.change():
        models.IntegrationType.update(status=3).where(models.IntegrationType.code == "FILE_IMPORT").execute()
    (listed,) = integrations.list_integrations()
    assert (listed["name"], listed["type_status"]) == ("files", "DEPRECATED")


@pytest.mark.ledger("S1-03")
def test_a_configuration_is_used_by_a_type_in_a_program_once(catalogue: sqlite3.Connection) -> None:
    table = "map_integration_configuration"
    holds(
        catalogue,
        table,
        "program_id>program integration_type_id>integration_type configuration_id>configuration" + SIGNED,
        ("program_id", "integration_type_id", "configuration_id"),
    )
    assert {"program_id", "integration_type_id", "configuration_id"} <= whole_indexes(catalogue, table)


@pytest.mark.ledger("S1-24")
def test_the_demo_has_an_integration_of_each_dcs_type(edge: Database) -> None:
    path = str(schema.seed_folder() / "demo" / "50_integrations.json")
    assert seeds.apply([path]) == {"integration": 3}
    found = edge.query(
        "SELECT t.code, i.status_id, i.created_by, e.code AS entity, y.code AS kind FROM integration i"
        " JOIN integration_type t ON t.id = i.integration_type_id LEFT JOIN entity e ON e.id = i.entity_id"
        " LEFT JOIN entity_type y ON y.id = e.entity_type_id ORDER BY i.id"
    )
    assert [tuple(row.values()) for row in found] == [
        ("DCS_DRIVER_API", 1, 1, "DCS_HOUSEHOLD_DRIVERS", "API_INTEGRATION"),
        ("DCS_VEHICLE_API", 1, 1, None, None),
        ("DCS_CRIMINAL_API", 1, 1, None, None),
    ]
    assert seeds.apply([path]) == {"integration": 0}


def test_every_shipped_template_says_what_it_needs_and_does(edge: Database) -> None:
    bare = edge.query(
        "SELECT code FROM integration_template t"
        " WHERE NOT EXISTS (SELECT 1 FROM integration_template_operation WHERE template_id = t.id)"
        " OR test_suite IS NULL OR description IS NULL"
    )
    assert bare == []


@pytest.mark.ledger("S1-25", "S1-26")
def test_the_types_of_a_provider_are_linked_to_what_is_set_for_a_program(edge: Database) -> None:
    def set_for(kind: str, scope: str, **values: Any) -> None:
        models.Configuration.create(
            configuration_type=models.ConfigurationType.get(code=kind),
            scope_type=models.ScopeType.get(code=scope), config_data={}, **values,
        )  # fmt: skip

    with edge.change():
        edge.connection().execute("UPDATE configuration SET status_id = 2")
        auto, home = (models.Program.create(code=code, name=code) for code in ("AUTO", "HOME"))
        models.IntegrationType.create(code="DCSX_API", name="Somebody else", feature=1)
        for kind in ("DCS_LIMITS", "DCS_MAPPING"):
            set_for(kind, "SYSTEM", organization=1)
            set_for(kind, "PROGRAM", scope_id=auto.id)
            set_for(kind, "PROGRAM", scope_id=home.id)
    assert integrations.map_configurations("AUTO") == 6, "three types, the limits of the system and of AUTO"
    assert integrations.map_configurations("AUTO") == 0
    linked = edge.query(
        "SELECT DISTINCT t.code, p.code AS program FROM map_integration_configuration m"
        " JOIN integration_type t ON t.id = m.integration_type_id JOIN program p ON p.id = m.program_id"
        " ORDER BY 1"
    )
    assert linked == [
        {"code": code, "program": "AUTO"}
        for code in ("DCS_CRIMINAL_API", "DCS_DRIVER_API", "DCS_VEHICLE_API")
    ]
    kinds = edge.query(
        "SELECT DISTINCT k.code, c.scope_id FROM map_integration_configuration m"
        " JOIN configuration c ON c.id = m.configuration_id"
        " JOIN configuration_type k ON k.id = c.configuration_type_id ORDER BY 2"
    )
    assert [(row["code"], row["scope_id"]) for row in kinds] == [
        ("DCS_LIMITS", None),
        ("DCS_LIMITS", auto.id),
    ]
    with pytest.raises(NotFoundError, match="no program LIFE"):
        integrations.map_configurations("LIFE")


@pytest.mark.ledger("S4-11", "S4-52", "S4-62")
def test_one_index_serves_the_active_mappings(catalogue: sqlite3.Connection) -> None:
    """It is idx_integration_mappings_config and idx_integration_mappings_active in one."""
    assert _partial(catalogue, "integration_mapping") == ["integration_mapping_active"]


@pytest.mark.ledger("S4-19", "S4-54", "S4-62")
def test_one_index_serves_the_schedules_that_are_due(catalogue: sqlite3.Connection) -> None:
    """It is idx_schedules_next_run and idx_schedules_active_next in one; another has those without a next."""
    assert sorted(_partial(catalogue, "integration_schedule")) == [
        "integration_schedule_due", "integration_schedule_unplanned"
    ]  # fmt: skip


def _partial(catalogue: sqlite3.Connection, table: str) -> list[str]:
    sql = "SELECT name FROM pragma_index_list(?) WHERE partial"
    return [name for (name,) in catalogue.execute(sql, (table,))]


@pytest.mark.ledger("S4-38")
def test_a_template_of_another_organization_is_not_found(edge: Database) -> None:
    with edge.change():
        other = models.Organization.create(code="OTHER", name="Other")
        for owner, code in ((other, "theirs"), (1, "ours")):
            models.IntegrationTemplate.create(
                code=code, template_name=code, version="1", organization=owner, integration_type=_type(),
                template_category=1, connection_template={"connector": "file", "format": "csv"},
                mapping_templates={"mappings": []},
            )  # fmt: skip
    assert "ours" in {row["code"] for row in integrations.list_templates()}
    assert "theirs" not in {row["code"] for row in integrations.list_templates()}
    with pytest.raises(NotFoundError, match="Template not found or inactive"):
        integrations.create("mine", template="theirs", settings={"path": "a.csv"})
    assert edge.query("SELECT count(*) AS n FROM integration") == [{"n": 0}]
    assert integrations.create("mine", template="ours", settings={"path": "a.csv"})["template"] == "ours 1"


def test_every_trigger_knows_the_same_names_of_secrets(catalogue: sqlite3.Connection) -> None:
    """Names may have hyphens, underscores, spaces and dots; a list or an object is a secret too."""
    sql = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%|secret|%json_tree%'"
    found = dict(catalogue.execute(sql).fetchall())
    assert len(found) > 30
    spelled = "replace(replace(replace(replace(key, '-', ''), '_', ''), ' ', ''), '.', '')"
    asked = f"lower({spelled}) IN secret_name"
    others = {name: text for name, text in found.items() if asked not in text}
    # What is logged is looked through for every row, and quicker with the names in a text.
    assert set(others) == {
        "integration_log_request_data_secret_bi", "integration_log_response_data_secret_bi",
    }  # fmt: skip
    names = {name for (name,) in catalogue.execute("SELECT * FROM secret_name")}
    assert len(names) == 16
    for text in others.values():
        assert spelled in text
        (listed,) = re.findall(r"' ([a-z ]*xapikey[a-z ]*) '", text)
        assert set(listed.split()) == names
