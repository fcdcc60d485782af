"""The views under the names of the source documents, and of active rows: columns, values, nothing sealed."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import TABLES, columns
from test_violations import ROWS, put, sample

from edgekit import models, schema, seeds
from edgekit.audit.shape import SECRET_ENDINGS
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from edgekit.db import Database

EARLY, TIME, LATE = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"
SCRIPTS = dict(schema.schema_scripts())
VIEWS = [
    name
    for file, script in SCRIPTS.items()
    for name in re.findall(r"^CREATE VIEW (\w+)", script, re.MULTILINE)
    if file.startswith(("97", "98"))
]
COMPATIBLE = [
    name
    for name in VIEWS
    if not name.startswith("active_") and name != "v_client_summary_stale"  # holds a summary against one
]
LIVED = [name for name, (sql, _) in TABLES.items() if re.search(r"^  status_id ", sql, re.MULTILINE)]


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def shown(connection: sqlite3.Connection, view: str) -> list[str]:
    return [column[0] for column in connection.execute(f"SELECT * FROM {view} LIMIT 0").description]


def rows(connection: sqlite3.Connection, sql: str, *values: Any) -> list[dict[str, Any]]:
    found = connection.execute(sql, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


# Active rows


@pytest.mark.ledger("S0-06")
@pytest.mark.parametrize("table", LIVED)
def test_every_table_with_a_status_has_a_view_of_its_active_rows(
    catalogue: sqlite3.Connection, table: str
) -> None:
    wanted = [name for name in columns(catalogue, table) if not name.endswith(SECRET_ENDINGS)]
    assert shown(catalogue, f"active_{table}") == wanted


@pytest.mark.ledger("S0-06", "S0-07")
def test_what_is_active_can_be_asked_two_ways(shell: sqlite3.Connection) -> None:
    put(shell, "status", id=50, code="ON_TRIAL", name="On trial", is_active=1)
    kind = put(shell, "entity_type", **sample(shell, "entity_type"))
    for status in (1, 2, 50):
        put(shell, "entity", code=f"E{status}", name="E", entity_type_id=kind, status_id=status)

    def codes(sql: str) -> list[str]:
        found = shell.execute(sql + " ORDER BY e.id").fetchall()
        return [code for (code,) in found if code in {"E1", "E2", "E50"}]

    exact = "SELECT e.code FROM entity e JOIN status s ON s.id = e.status_id WHERE s.code = 'ACTIVE'"
    by_flag = "SELECT e.code FROM entity e JOIN status s ON s.id = e.status_id WHERE s.is_active"
    view = "SELECT e.code FROM active_entity e"
    assert (codes(exact), codes(by_flag), codes(view)) == (["E1"], ["E1", "E50"], ["E1", "E50"])
    shell.execute("UPDATE entity SET status_id = 2 WHERE code = 'E1'")
    assert (codes(exact), codes(by_flag), codes(view)) == ([], ["E50"], ["E50"])
    shell.execute("UPDATE status SET is_active = 0 WHERE id = 50")
    assert codes(view) == []


@pytest.mark.parametrize("table", ["policy", "communication", "integration_mapping"])
def test_active_rows_are_found_by_the_indexes_of_the_table(catalogue: sqlite3.Connection, table: str) -> None:
    sql = f"EXPLAIN QUERY PLAN SELECT * FROM active_{table} WHERE id = ?"
    assert "INTEGER PRIMARY KEY" in catalogue.execute(sql, (1,)).fetchone()[3]


# Names and columns

SIGNED = "created_by created_at updated_by updated_at"
STATED = {
    "orchestration_workflows": "id workflow_name workflow_type client_id workflow_definition current_step"
    " status steps_completed steps_failed metadata created_at updated_at started_at completed_at",
    "workflow_executions": "id workflow_id step_name step_type execution_order status input_data output_data"
    " error_data execution_time_ms started_at completed_at retry_count max_retries",
    "handover_packages": "id client_id workflow_id package_name package_type installed_modules"
    " module_configurations system_configs deployment_configs sop_documents tutorial_videos admin_credentials"
    " delivery_status delivery_method delivered_at delivery_confirmation package_metadata created_at"
    " updated_at",
    "integration_events": "id event_type event_source event_target event_payload event_metadata processed"
    " processing_status processing_error processed_at correlation_id causation_id created_at",
    "unified_client_dashboard": "client_id client_name company_name client_status active_modules"
    " configured_apps current_workflow workflow_status current_step handover_package delivery_status"
    " system_configurations deployment_configurations subscription_tier subscription_status created_at"
    " updated_at",
    "module_integration_view": "module_id module_name version category installation_id client_id"
    " installation_status override_id enabled override_settings rating_average install_count pricing_model"
    " license_key expires_at installed_at updated_at",
    "v_effective_dcs_configuration": "program_id integration_type config_type config_key config_value",
    "integration_schedule_executions": "id schedule_id execution_id scheduled_time actual_start_time"
    " actual_end_time execution_status records_processed error_count warning_count execution_notes"
    " organization_id",
    "integration_template_instances": "id template_id config_id instance_name customizations"
    " deployment_status deployed_date deployed_by organization_id created_at updated_at",
}
"""Views whose columns a document states whole, in its order."""

NAMED = {
    "feature_registry": "feature_key feature_type depends_on created_by",
    "license_tier_features": "license_tier_id feature_key feature_value",
    "feature_audit_log": "feature_key entity_type entity_id action old_value new_value performed_by"
    " performed_at",
    "integration_registry": "integration_key name feature_key",
    "tenant_integration_configs": "tenant_id integration_key config encrypted_config is_enabled health_status"
    " last_health_check updated_at",
    "tenant_integration_config_history": "config_id old_value new_value changed_by changed_at",
    "LicenseTier": "id name features is_active deleted_at",
    "ModelRegistry": "provider model_id model_name feature_key",
    "ComponentRegistry": "component_key name feature_key is_public",
    "Tenant": "id slug name",
    "organizations": "id",
    "users": "id raw_user_meta_data",
    "clients_enhanced": "id name company_name status created_by assigned_manager created_at updated_at",
    "client_app_overrides": "id client_id enabled override_settings marketplace_module_id installation_id"
    " activation_status activation_metadata",
    "client_deployments": "id client_id status started_at completed_at",
    "client_customizations": "id client_id customization_data",
    "consultation_sessions": "id client_id",
    "questionnaire_submissions": "id answers",
    "consultation_generations": "id prompt result",
    "system_configurations": "id client_id",
    "template_configurations": "template_code settings",
    "deployment_configurations": "id client_id",
    "deployment_templates": "id name version template_data",
    "marketplace_modules": "id name version category rating_average install_count pricing_model updated_at",
    "module_installations": "id tenant_id module_id status installed_at",
    "module_reviews": "id module_id rating",
    "module_licenses": "module_id tenant_id license_key expires_at",
    "module_payments": "id module_id client_id license_id amount currency status payment_method_id paid_at",
    "module_submissions": "id module_id submitted_version submitted_by submitted_at decided_at",
    "moderation_actions": "id submission_id moderated_by action reason",
    "module_validations": "id submission_id check_name details score",
    "publishing_pipelines": "id submission_id module_id status started_at completed_at",
    "developer_stats": "developer_id period module_count install_count rating_average revenue",
    "revenue_analytics": "module_id period gross fee net currency",
    "marketplace_categories": "id code name description parent_id sort_order",
    "integration_configs": "id integration_name integration_type connection_config organization_id " + SIGNED,
    "integration_executions": "id config_id",
    "integration_mappings": "id config_id mapping_name mapping_type source_path target_path source_data_type"
    " target_data_type is_required default_value transformation_rules validation_rules mapping_direction"
    f" is_active error_handling mapping_notes test_coverage organization_id {SIGNED} version",
    "integration_mapping_tests": "id mapping_id test_name test_type input_data expected_output test_status"
    f" actual_output execution_time_ms error_message last_run is_active organization_id {SIGNED}",
    "integration_schedules": "id config_id schedule_name schedule_type cron_expression interval_minutes"
    " fixed_times timezone is_active start_date end_date next_run_time last_run_time retry_policy"
    " execution_timeout_seconds concurrent_execution_allowed missed_execution_policy notification_on_failure"
    f" notification_recipients execution_parameters organization_id {SIGNED}",
    "integration_templates": "id template_name description integration_type template_category version"
    " is_active is_certified certification_date connection_template mapping_templates transformation_library"
    f" test_suite documentation_url prerequisites supported_operations rate_limits organization_id {SIGNED}",
    "integration_transformations": "id transformation_name description transformation_type input_schema"
    " output_schema transformation_logic language is_reusable performance_tier timeout_seconds"
    f" error_output_schema test_cases organization_id {SIGNED} version",
    "integration_pipeline_definitions": "id pipeline_name description config_id pipeline_type pipeline_steps"
    " error_handling_strategy dead_letter_config performance_config monitoring_config is_active"
    f" organization_id {SIGNED}",
    "v_integration_log": "integration_id policy_id quote_id driver_id vehicle_id request_type correlation_id",
}
"""Views that have at least these columns."""

SAME = {
    "FeatureRegistry": "feature_registry",
    "LicenseTierFeatures": "license_tier_features",
    "FeatureAuditLog": "feature_audit_log",
    "IntegrationRegistry": "integration_registry",
    "TenantIntegrationConfig": "tenant_integration_configs",
}
"""The other spelling of a view."""


@pytest.mark.parametrize("view", STATED)
def test_a_view_has_the_columns_its_document_states(catalogue: sqlite3.Connection, view: str) -> None:
    assert shown(catalogue, view) == STATED[view].split()


@pytest.mark.parametrize("view", NAMED)
def test_a_view_has_the_columns_its_document_names(catalogue: sqlite3.Connection, view: str) -> None:
    assert set(NAMED[view].split()) <= set(shown(catalogue, view))


def test_every_name_of_the_documents_is_there(catalogue: sqlite3.Connection) -> None:
    assert set(COMPATIBLE) <= {*STATED, *NAMED, *SAME}
    for name, meant in SAME.items():
        assert shown(catalogue, name) == shown(catalogue, meant)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_for_reading_only(catalogue: sqlite3.Connection, view: str) -> None:
    column = shown(catalogue, view)[0]
    for sql in (
        f"INSERT INTO {view}({column}) VALUES (1)",
        f"UPDATE {view} SET {column} = 1",
        f"DELETE FROM {view}",
    ):
        with pytest.raises(sqlite3.OperationalError, match=f"cannot modify {view} because it is a view"):
            catalogue.execute(sql)


def test_a_person_is_told_that_a_name_is_a_views(edge: Database) -> None:
    for sql in ("UPDATE users SET email = 'a'", "DELETE FROM users"):
        with pytest.raises(InvalidError, match="users is a view: it is for reading only"), edge.change():
            edge.connection().execute(sql)
    for name in ("users", '"Active_Client"'):
        with pytest.raises(InvalidError, match="give the table another name"), edge.change():
            edge.connection().execute(f"CREATE TABLE {name}(a)")


SEALED = [
    table for table, (sql, _) in TABLES.items() if re.search(r"^  \w+(_ciphertext|_hash) ", sql, re.MULTILINE)
]


@pytest.mark.ledger("S3-48", "S3-91", "S1-47")
def test_no_view_shows_what_is_sealed(shell: sqlite3.Connection) -> None:
    assert {"module_license", "handover_package", "integration_credential", "user"} <= set(SEALED)
    key = put(shell, "encryption_key", **sample(shell, "encryption_key", wrapped_key_ciphertext=b"LEAK" * 20))
    for table in SEALED:
        if table == "encryption_key":
            continue
        names = columns(shell, table)
        secret: dict[str, Any] = {
            name: b"LEAK" * 20 if name.endswith("_ciphertext") else "LEAK" * 16
            for name in names
            if name.endswith(SECRET_ENDINGS) and not name.endswith("_zlib")
        }
        if "records_zlib" in names:  # a row has what a run kept in clear, or sealed
            secret["records_zlib"] = None
        if "encryption_key_id" in names:
            secret["encryption_key_id"] = key
        put(shell, table, **sample(shell, table, **secret))
        stored = shell.execute(f"SELECT * FROM {table}").fetchall()
        assert any("LEAK" in str(row) for row in stored), table
    every = [name for (name,) in shell.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")]
    assert set(VIEWS) <= set(every)
    for view in every:
        assert not [name for name in shown(shell, view) if name.endswith(SECRET_ENDINGS)], view
        assert "LEAK" not in str(shell.execute(f"SELECT * FROM {view}").fetchall()), view
    assert [row["license_key"] for row in rows(shell, "SELECT license_key FROM module_licenses")] == ["***"]
    assert rows(shell, "SELECT admin_credentials FROM handover_packages") == [{"admin_credentials": '"***"'}]


def test_every_table_of_a_name_is_read_through_it(shell: sqlite3.Connection) -> None:
    """A sound row of every table shows in the view of its name."""
    for table in ROWS:
        if table in {"status", "vendor_key", "license_file"} or table not in LIVED:
            continue
        put(shell, table, **sample(shell, table))
    quiet = {"v_effective_dcs_configuration", "template_configurations", "system_configurations"}
    quiet |= {"deployment_configurations"}
    for view in COMPATIBLE:
        if view not in quiet and "moderation" not in view:
            assert shell.execute(f"SELECT count(*) FROM {view}").fetchone()[0], view


# Configuration of a provider, per program

USAGE = """
SELECT * FROM v_effective_dcs_configuration
WHERE program_id = 1
AND integration_type = 'DCS_DRIVER_API'
ORDER BY config_type, config_key;
"""


@pytest.fixture
def programs(edge: Database) -> Database:
    """Program 1 with the sample settings, program 2 with none."""
    with edge.change():
        models.Program.create(code="AUTO", name="Auto")
        models.Program.create(code="HOME", name="Home")
    seeds.apply([str(Path(schema.seed_folder()) / "demo" / "35_configuration.json")])
    return edge


@pytest.mark.ledger("S1-27", "S1-30")
def test_the_settings_of_a_provider_are_read_per_program(programs: Database) -> None:
    found = programs.query(USAGE)
    assert {row["program_id"] for row in found} == {1}
    assert [(row["config_type"], row["config_key"], row["config_value"]) for row in found] == [
        ("DCS_CONNECTION", "base_url", "https://ws.dcsinfosys.com:442"),
        ("DCS_CONNECTION", "timeout_seconds", "30"),
        ("DCS_CREDENTIALS", "account_number", "PROG1_12345"),
        ("DCS_CREDENTIALS", "department_id", "4"),
        ("DCS_LIMITS", "daily_limit", "10000"),
        ("DCS_LIMITS", "requests_per_minute", "50"),
        ("DCS_RETRY", "max_retries", "3"),
        ("DCS_RETRY", "retry_delay_ms", "1000"),
    ]
    second = programs.query(USAGE.replace("program_id = 1", "program_id = 2"))
    values = {row["config_key"]: row["config_value"] for row in second}
    assert values["requests_per_minute"] == "100"
    assert not {"account_number", "department_id"} & set(values)
    whole = programs.query(
        "SELECT program_id, integration_type, count(*) AS n FROM v_effective_dcs_configuration GROUP BY 1, 2"
    )
    assert {(row["program_id"], row["integration_type"]): row["n"] for row in whole} == {
        (program, kind): {1: 8, 2: 6}[program]
        for program in (1, 2)
        for kind in ("DCS_CRIMINAL_API", "DCS_DRIVER_API", "DCS_VEHICLE_API")
    }


@pytest.mark.ledger("S1-26", "S1-28", "S1-29")
def test_nothing_leaks_in_from_other_programs_types_or_retired_rows(programs: Database) -> None:
    def keys(program: int) -> set[tuple[str, str]]:
        found = programs.query(
            "SELECT config_type, config_key FROM v_effective_dcs_configuration WHERE program_id = ?",
            (program,),
        )
        return {(row["config_type"], row["config_key"]) for row in found}

    with programs.change():
        for code in ("DCSXLIKE", "OTHER"):
            kind = models.ConfigurationType.create(code=code, name=code, applies_to_system=True)
            scope = models.ScopeType.get(code="SYSTEM")
            models.Configuration.create(configuration_type=kind, scope_type=scope, config_data={"leak": 1})
    assert not [key for _, key in keys(1) if key == "leak"]
    assert not [kind for kind, _ in keys(1) if kind == "DCS_MAPPING"]
    nothing = "SELECT 1 FROM v_effective_dcs_configuration WHERE config_key IS NULL OR program_id IS NULL"
    assert programs.query(nothing) == []
    assert ("DCS_CREDENTIALS", "account_number") in keys(1) - keys(2)
    with programs.change():
        models.Configuration.update(status=2).where(
            models.Configuration.config_data.contains("PROG1_12345")
        ).execute()
    assert ("DCS_CREDENTIALS", "account_number") not in keys(1)


# Clients, modules, packages

DASHBOARD = """
SELECT
    c.id as client_id,
    c.name as client_name,
    c.company_name,
    c.status as client_status,
    COUNT(DISTINCT mi.id) FILTER (WHERE mi.status = 'active') as active_modules,
    COUNT(DISTINCT cao.id) as configured_apps,
    ow.workflow_name as current_workflow,
    ow.status as workflow_status,
    ow.current_step,
    hp.package_name as handover_package,
    hp.delivery_status,
    COUNT(DISTINCT sc.id) as system_configurations,
    COUNT(DISTINCT dc.id) as deployment_configurations,
    c.created_at,
    c.updated_at
FROM clients_enhanced c
LEFT JOIN module_installations mi ON c.id = mi.tenant_id
LEFT JOIN client_app_overrides cao ON c.id = cao.client_id
LEFT JOIN orchestration_workflows ow ON c.id = ow.client_id AND ow.status IN ('in_progress', 'pending')
LEFT JOIN handover_packages hp ON c.id = hp.client_id AND hp.delivery_status != 'delivered'
LEFT JOIN system_configurations sc ON c.id = sc.client_id
LEFT JOIN deployment_configurations dc ON c.id = dc.client_id
GROUP BY c.id, c.name, c.company_name, c.status, ow.workflow_name, ow.status, ow.current_step,
         hp.package_name, hp.delivery_status, c.created_at, c.updated_at
"""
"""As the document writes it, but for the billing table, whose codes are rows of their own here."""

MODULES = """
SELECT
    mm.id as module_id,
    mm.name as module_name,
    mm.version,
    mm.category,
    mi.id as installation_id,
    mi.tenant_id as client_id,
    mi.status as installation_status,
    cao.id as override_id,
    cao.enabled,
    cao.override_settings,
    mm.rating_average,
    mm.install_count,
    mm.pricing_model,
    ml.license_key,
    ml.expires_at,
    mi.installed_at,
    mm.updated_at
FROM marketplace_modules mm
LEFT JOIN module_installations mi ON mm.id = mi.module_id
LEFT JOIN client_app_overrides cao ON mi.id = cao.installation_id
LEFT JOIN module_licenses ml ON mm.id = ml.module_id AND mi.tenant_id = ml.tenant_id
"""


@pytest.fixture
def agency(shell: sqlite3.Connection) -> sqlite3.Connection:
    """Client 7 has two of everything, client 8 has nothing; module 3 is nobody's."""
    shell.executescript(
        """
        INSERT INTO organization(id, code, name) VALUES (7, 'SEVEN', 'Seven'), (8, 'EIGHT', 'Eight');
        INSERT INTO client(id, organization_id, client_name, company_name, client_status_id)
        SELECT 7, 7, 'Seven', 'Seven Ltd', id FROM client_status WHERE code = 'ACTIVE' UNION ALL
        SELECT 8, 8, 'Eight', NULL, id FROM client_status WHERE code = 'LEAD';
        INSERT INTO client_billing_info(uuid, client_id, license_tier_id, subscription_status_id)
        SELECT printf('%036d', 7), 7, t.id, s.id FROM license_tier t, subscription_status s
        WHERE t.code = 'PREMIUM' AND s.code = 'TRIAL';
        INSERT INTO marketplace_module(id, code, name, version, category_id, developer_id, pricing_model_id)
        VALUES (1, 'MAIL', 'Mail', '1.2.0', 1, 1, 3), (2, 'SCAN', 'Scan', '1.0.0', 2, 1, 1),
          (3, 'FLOW', 'Flow', '1.0.0', 3, 1, 1);
        INSERT INTO module_installation(id, client_id, module_id, installed_version, installation_status, installed_at)
        VALUES (1, 7, 1, '1.2.0', 'active', '2026-02-01T00:00:00.000Z'),
          (2, 7, 2, '1.0.0', 'inactive', '2026-02-01T00:00:00.000Z');
        INSERT INTO client_app_override(id, client_id, app_code, installation_id, override_settings, status_id)
        VALUES (1, 7, 'mail', 1, '{"from": "a"}', 1), (2, 7, 'mail-2', 1, NULL, 2), (3, 7, 'own', NULL, NULL, 1);
        INSERT INTO encryption_key(id, uuid, wrapped_key_ciphertext, master_fingerprint)
        VALUES (1, printf('%036d', 1), zeroblob(70), 'mk-123456789');
        INSERT INTO module_license(uuid, client_id, module_id, license_key_ciphertext, license_key_hash,
          encryption_key_id, expires_at)
        VALUES (printf('%036d', 1), 7, 1, zeroblob(40), printf('%064d', 1), 1, '2027-01-01T00:00:00.000Z');
        INSERT INTO module_review(module_id, reviewed_by, rating, moderation_status) VALUES (1, 1, 4, 'approved');
        INSERT INTO configuration(id, configuration_type_id, scope_type_id, organization_id, config_data, status_id)
        SELECT 70 + t.id * 2 + a.id, t.id, s.id, 7, '{}', a.id FROM configuration_type t, scope_type s, status a
        WHERE t.code IN ('SYSTEM_CONFIGURATION', 'DEPLOYMENT_CONFIGURATION') AND s.code = 'SYSTEM' AND a.id < 3;
        """  # noqa: E501
    )
    return shell


def workflow(shell: sqlite3.Connection, number: int, status: str, created: str, *steps: str) -> None:
    row = {
        "id": number,
        "uuid": f"{number:036d}",
        "workflow_name": f"w{number}",
        "workflow_type_id": 1,
        "client_id": 7,
        "workflow_definition": '{"steps": [{"name": "a", "type": "notify"}]}',
        "workflow_status": status,
        "started_at": None if status == "pending" else created,
        "completed_at": created if status == "completed" else None,
        "correlation_id": "c",
        "created_at": created,
    }
    put(shell, "orchestration_workflow", **row)
    for order, state in enumerate(steps, start=1):
        times = {"started_at": created, "completed_at": created if state == "completed" else None}
        put(
            shell, "workflow_execution", workflow_id=number, step_name=f"step {order}", step_type="notify",
            execution_order=order, execution_status=state, **times,
        )  # fmt: skip


def package(shell: sqlite3.Connection, number: int, status: str, created: str) -> None:
    row = {"id": number, "uuid": f"{number:036d}", "client_id": 7, "package_name": f"p{number}"}
    done = {"delivery_method_id": 1, "delivered_at": created if status == "delivered" else None}
    put(shell, "handover_package", **row, delivery_status=status, **done, created_at=created)


@pytest.mark.ledger("S3-45", "S3-46", "C-83")
def test_the_dashboard_has_one_row_per_client(agency: sqlite3.Connection) -> None:
    workflow(agency, 1, "pending", LATE)
    workflow(agency, 2, "in_progress", EARLY, "completed", "running", "pending")
    workflow(agency, 3, "in_progress", TIME, "completed", "pending")
    workflow(agency, 4, "completed", LATE)
    for number, (status, created) in enumerate(
        [("pending", EARLY), ("ready", TIME), ("delivered", LATE)], start=1
    ):
        package(agency, number, status, created)
    first, second = rows(agency, "SELECT * FROM unified_client_dashboard ORDER BY client_id")
    assert {name: first[name] for name in first if not name.endswith("_at")} == {
        "client_id": 7,
        "client_name": "Seven",
        "company_name": "Seven Ltd",
        "client_status": "active",
        "active_modules": 1,
        "configured_apps": 3,
        "current_workflow": "w3",
        "workflow_status": "in_progress",
        "current_step": "step 2",
        "handover_package": "p2",
        "delivery_status": "ready",
        "system_configurations": 1,
        "deployment_configurations": 1,
        "subscription_tier": "premium",
        "subscription_status": "trial",
    }
    assert (second["client_id"], second["client_status"], second["created_at"] is None) == (8, "lead", False)
    counts = ("active_modules", "configured_apps", "system_configurations", "deployment_configurations")
    assert [second[name] for name in counts] == [0, 0, 0, 0]
    assert second["current_workflow"] is second["handover_package"] is second["subscription_tier"] is None
    agency.execute("UPDATE orchestration_workflow SET workflow_status = 'failed', completed_at = started_at WHERE workflow_status = 'in_progress'")  # noqa: E501  # fmt: skip
    (only,) = rows(agency, "SELECT current_workflow FROM unified_client_dashboard WHERE client_id = 7")
    assert only == {"current_workflow": "w1"}


@pytest.mark.ledger("S3-45", "S3-103")
def test_the_documents_own_dashboard_agrees_where_it_has_one_row(agency: sqlite3.Connection) -> None:
    workflow(agency, 2, "in_progress", EARLY, "completed", "running")
    package(agency, 1, "ready", EARLY)
    agency.execute("UPDATE configuration SET status_id = 1 WHERE organization_id = 7 AND id NOT IN (SELECT max(id) FROM configuration GROUP BY configuration_type_id)")  # noqa: E501  # fmt: skip
    agency.execute("DELETE FROM configuration WHERE organization_id = 7 AND status_id = 2")
    theirs = rows(agency, DASHBOARD)
    ours = {row["client_id"]: row for row in rows(agency, "SELECT * FROM unified_client_dashboard")}
    assert len(theirs) == len(ours) == 2
    for row in theirs:
        assert {name: ours[row["client_id"]][name] for name in row} == row
    workflow(agency, 5, "pending", TIME)
    assert len(rows(agency, DASHBOARD)) == 3, "which is what one row per client mends"
    assert len(rows(agency, "SELECT * FROM unified_client_dashboard")) == 2


@pytest.mark.ledger("S3-47", "S3-48", "C-84")
def test_modules_are_shown_with_who_has_them(agency: sqlite3.Connection) -> None:
    # What another client has bought is nobody else's: neither a second row nor another's licence.
    agency.execute(
        "INSERT INTO module_license(uuid, client_id, module_id, license_key_ciphertext, license_key_hash,"
        " encryption_key_id) SELECT printf('%036d', 10 + id), 8, id, zeroblob(40), printf('%064d', 10 + id),"
        " 1 FROM marketplace_module"
    )
    found = rows(agency, "SELECT * FROM module_integration_view ORDER BY module_id, override_id")
    assert found == rows(agency, MODULES + "ORDER BY mm.id, cao.id")
    assert [(row["module_id"], row["client_id"], row["override_id"], row["enabled"]) for row in found] == [
        (1, 7, 1, 1),
        (1, 7, 2, 0),
        (2, 7, None, None),
        (3, None, None, None),
    ]
    first = found[0]
    assert {name: first[name] for name in first if not name.endswith("updated_at")} == {
        "module_id": 1,
        "module_name": "Mail",
        "version": "1.2.0",
        "category": "integration",
        "installation_id": 1,
        "client_id": 7,
        "installation_status": "active",
        "override_id": 1,
        "enabled": 1,
        "override_settings": '{"from": "a"}',
        "rating_average": 4.0,
        "install_count": 1,
        "pricing_model": "subscription",
        "license_key": "***",
        "expires_at": "2027-01-01T00:00:00.000Z",
        "installed_at": TIME,
    }
    assert found[2]["license_key"] is None


@pytest.mark.ledger("S3-35", "C-81")
def test_a_package_shows_its_links_as_lists(agency: sqlite3.Connection) -> None:
    package(agency, 1, "ready", EARLY)
    put(
        agency,
        "handover_package_module",
        package_id=1,
        installation_id=1,
        module_configuration='{"from": "a"}',
    )
    put(agency, "handover_package_module", package_id=1, installation_id=2)
    by_type = dict(
        agency.execute(
            "SELECT t.code, c.id FROM configuration c JOIN configuration_type t"
            " ON t.id = c.configuration_type_id WHERE c.organization_id = 7 AND c.status_id = 1"
        ).fetchall()
    )
    for key in by_type.values():
        put(
            agency,
            "handover_package_configuration",
            package_id=1,
            configuration_id=key,
            configuration_version=1,
        )
    for kind, title in (("sop", "Backup"), ("tutorial_video", "First steps"), ("manual", "Manual")):
        put(agency, "handover_package_document", package_id=1, document_type=kind, title=title, url="u")
    (row,) = rows(agency, "SELECT * FROM handover_packages")
    read = {name: json.loads(row[name]) for name in row if name.endswith(("s", "data", "ion")) and row[name] and row[name][0] in '[{"'}  # noqa: E501  # fmt: skip
    assert read == {
        "installed_modules": [1, 2],
        "module_configurations": {"mail": {"from": "a"}, "scan": {}},
        "system_configs": [by_type["SYSTEM_CONFIGURATION"]],
        "deployment_configs": [by_type["DEPLOYMENT_CONFIGURATION"]],
        "sop_documents": [{"title": "Backup", "url": "u"}],
        "tutorial_videos": [{"title": "First steps", "url": "u"}],
        "admin_credentials": {},
        "delivery_confirmation": {},
        "package_metadata": {},
    }
    assert (row["package_type"], row["delivery_method"]) == ("complete", "portal")


@pytest.mark.ledger("S3-33", "S3-34")
def test_a_workflow_is_shown_with_its_steps_by_name(agency: sqlite3.Connection) -> None:
    workflow(agency, 1, "in_progress", EARLY, "completed", "running")
    (row,) = rows(agency, "SELECT * FROM orchestration_workflows")
    assert (row["workflow_type"], row["status"], row["current_step"]) == (
        "client_onboarding",
        "in_progress",
        "step 2",
    )
    assert [json.loads(row[name]) for name in ("steps_completed", "steps_failed", "metadata")] == [
        ["step 1"],
        [],
        {},
    ]
    steps = rows(agency, "SELECT * FROM workflow_executions ORDER BY execution_order")
    assert [(step["status"], step["input_data"], step["max_retries"]) for step in steps] == [
        ("completed", "{}", 3),
        ("running", "{}", 3),
    ]


@pytest.mark.ledger("S3-15", "S3-16", "S3-17", "S3-03", "C-28")
def test_configurations_of_three_tables_are_one(agency: sqlite3.Connection) -> None:
    assert {row["client_id"] for row in rows(agency, "SELECT client_id FROM system_configurations")} == {
        7,
        None,
    }
    assert [row["is_active"] for row in rows(agency, "SELECT is_active FROM deployment_configurations")] == [
        1,
        0,
    ]
    agency.execute(
        "INSERT INTO configuration(configuration_type_id, scope_type_id, organization_id, config_data)"
        """ SELECT t.id, s.id, 8, '{"vpic": {"batch": 5}, "csv": {"sep": ";"}}' FROM configuration_type t"""
        " JOIN scope_type s WHERE t.code = 'TEMPLATE_CONFIGURATION' AND s.code = 'SYSTEM'"
    )
    found = rows(agency, "SELECT client_id, template_code, settings FROM template_configurations ORDER BY 2")
    assert found == [
        {"client_id": 8, "template_code": "csv", "settings": '{"sep":";"}'},
        {"client_id": 8, "template_code": "vpic", "settings": '{"batch":5}'},
    ]


@pytest.mark.ledger("S3-06", "S3-10")
def test_clients_and_users_say_who_may_see_them(agency: sqlite3.Connection) -> None:
    (role,) = agency.execute("SELECT id FROM role WHERE code = 'ADMIN'").fetchone()
    put(agency, "user", id=20, username="ann", role_id=role)
    put(agency, "user", id=21, username="bob")
    agency.execute("UPDATE client SET assigned_manager_id = 21 WHERE id = 8")
    policy = (
        "SELECT id FROM clients_enhanced WHERE ?1 = created_by OR ?1 = assigned_manager OR EXISTS"
        " (SELECT 1 FROM users WHERE id = ?1 AND raw_user_meta_data->>'role' = 'admin') ORDER BY id"
    )
    seen = {user: [key for (key,) in agency.execute(policy, (user,))] for user in (1, 20, 21, 22)}
    assert seen == {1: [7, 8], 20: [7, 8], 21: [8], 22: []}


# Features, tenants, integrations

OF_A_USER = """
SELECT u.*, ltf.feature_key, ltf.feature_value
FROM "user" u
JOIN license_tier_features ltf ON u.license_tier_id = ltf.license_tier_id
WHERE u.id = ?;
"""
BY_FEATURE = """
SELECT * FROM feature_audit_log
WHERE feature_key = 'core.quote_creation'
  AND performed_at >= '2025-01-01'
ORDER BY performed_at DESC;
"""


@pytest.mark.ledger("S2-01", "S2-03", "S2-23", "S2-28")
def test_a_user_has_the_features_of_its_tier(edge: Database) -> None:
    with edge.change():
        tier = models.LicenseTier.get(code="PREMIUM")
        kind = models.FeatureType.get(is_core=False)
        maria = models.User.create(username="maria", license_tier=tier)
        feature = models.Feature.create(
            code="F", name="F", feature_key="tests.f", feature_type=kind, license_tier=tier
        )
        other = models.Feature.create(
            code="G", name="G", feature_key="tests.g", feature_type=kind, license_tier=tier
        )
        models.FeatureDependency.create(feature=other, depends_on_feature=feature)
        models.LicenseTierFeature.create(
            license_tier=tier, feature=feature, feature_value={"enabled": True, "value": True}
        )
        retired = models.LicenseTierFeature.create(
            license_tier=tier, feature=other, feature_value={"enabled": True}
        )
        retired.status = 2
        retired.save()
    found = {
        row["feature_key"]: json.loads(row["feature_value"]) for row in edge.query(OF_A_USER, (maria.id,))
    }
    assert found["tests.f"] == {"enabled": True, "value": True}
    assert "tests.g" not in found
    plan = edge.connection().execute("EXPLAIN QUERY PLAN " + OF_A_USER, (maria.id,)).fetchall()
    assert any("COVERING INDEX license_tier_feature_covering (license_tier_id=?)" in row[3] for row in plan)
    (row,) = edge.query("SELECT * FROM FeatureRegistry WHERE feature_key = 'tests.g'")
    assert (row["feature_type"], json.loads(row["depends_on"]), row["is_active"]) == (
        "boolean",
        ["tests.f"],
        1,
    )
    (row,) = edge.query("SELECT * FROM LicenseTier WHERE code = 'premium'")
    assert json.loads(row["features"]) == found
    assert (row["is_active"], row["deleted_at"]) == (1, None)
    with edge.change():
        maria.license_tier = None
        maria.save()
        tier.status = models.Status.get(code="DELETED")
        tier.save()
    (row,) = edge.query("SELECT is_active, deleted_at FROM LicenseTier WHERE code = 'premium'")
    assert row["is_active"] == 0
    assert row["deleted_at"] is not None


@pytest.mark.ledger("S2-08", "S2-22", "C-73")
def test_changes_of_a_feature_are_listed_newest_first_by_its_index(edge: Database) -> None:
    with edge.change():
        feature = models.Feature.get(feature_key="core.quote_creation")
        feature.name = "Quotes"
        feature.save()
    found = [
        row
        for row in edge.query(BY_FEATURE)
        if row["entity_type"] == "registry" and row["action"] == "update"
    ]
    assert [(row["entity_id"], row["performed_by"]) for row in found] == [(str(feature.id), "system")]
    assert json.loads(found[0]["old_value"])["name"] == "Quote Creation"
    assert json.loads(found[0]["new_value"])["name"] == "Quotes"
    plan = "\n".join(
        row[3] for row in edge.connection().execute("EXPLAIN QUERY PLAN " + BY_FEATURE).fetchall()
    )
    assert "audit_feature_time (feature_id=? AND performed_at>?)" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.ledger("S2-06", "S2-07", "S2-09", "C-40")
def test_integrations_of_a_tenant_are_shown_without_their_secrets(edge: Database) -> None:
    with edge.change():
        acme = models.Organization.create(code="ACME-CORP", name="Acme")
        feature = models.Feature.get(feature_key="components.public")
        kind = models.IntegrationType.create(code="LANGFUSE", name="Langfuse", feature=feature)
        config = {"public_key": "pk_lf_abc123", "base_url": "https://cloud.langfuse.com"}
        made = models.Integration.create(
            integration_name="langfuse", integration_type=kind, organization=acme, connection_config=config,
            health_status="healthy", last_health_check_at="2025-01-15T10:30:00.000Z",
        )  # fmt: skip
        key = models.EncryptionKey.create(
            uuid="0" * 36, wrapped_key_ciphertext=b"k" * 70, master_fingerprint="mk-123456789"
        )
        models.IntegrationCredential.create(
            uuid="1" * 36, integration=made, environment=1, credential_key="secret_key",
            value_ciphertext=b"s" * 40, encryption_key=key,
        )  # fmt: skip
    query = "SELECT * FROM tenant_integration_configs WHERE tenant_id = ? AND is_enabled = true"
    (row,) = edge.query(query, (acme.id,))
    assert json.loads(row["config"]) == config
    assert json.loads(row["encrypted_config"]) == {"secret_key": "***"}
    assert (row["integration_key"], row["health_status"], row["last_health_check"]) == (
        "langfuse",
        "healthy",
        "2025-01-15T10:30:00.000Z",
    )
    assert edge.query("SELECT slug FROM Tenant WHERE id = ?", (acme.id,)) == [{"slug": "acme-corp"}]
    assert edge.query("SELECT feature_key FROM IntegrationRegistry WHERE integration_key = 'langfuse'") == [
        {"feature_key": "components.public"}
    ]
    with edge.change():
        made.status = 2
        made.save()
    assert edge.query(query, (acme.id,)) == []
    history = edge.query(
        "SELECT action, changed_by FROM tenant_integration_config_history WHERE config_id = ?", (made.id,)
    )
    assert history == [{"action": "I", "changed_by": "system"}, {"action": "U", "changed_by": "system"}]
    (row,) = edge.query(
        "SELECT integration_type, is_active FROM integration_configs WHERE id = ?", (made.id,)
    )
    assert row == {"integration_type": "langfuse", "is_active": 0}


@pytest.mark.ledger("S4-16", "S4-07", "S4-20")
def test_schedules_and_mappings_are_shown_as_their_document_has_them(shell: sqlite3.Connection) -> None:
    key = put(shell, "integration", **sample(shell, "integration"))
    put(
        shell, "integration_schedule", id=1, schedule_name="s", integration_id=key,
        schedule_type="fixed_time", overlap_policy="queue_all", status_id=2, next_run_at=TIME,
        last_run_at=EARLY,
    )  # fmt: skip
    for time in ("18:30", "06:00"):
        put(shell, "integration_schedule_time", schedule_id=1, time_of_day=time)
    put(shell, "integration_schedule_recipient", schedule_id=1, user_id=1)
    (row,) = rows(shell, "SELECT * FROM integration_schedules")
    assert (row["config_id"], row["is_active"], row["next_run_time"], row["last_run_time"]) == (
        key,
        0,
        TIME,
        EARLY,
    )
    assert (json.loads(row["fixed_times"]), json.loads(row["notification_recipients"])) == (
        ["06:00", "18:30"],
        [1],
    )
    assert (row["concurrent_execution_allowed"], row["notification_on_failure"]) == (0, 1)
    shell.execute("UPDATE integration_schedule SET overlap_policy = 'allow', status_id = 1")
    (row,) = rows(shell, "SELECT is_active, concurrent_execution_allowed FROM integration_schedules")
    assert row == {"is_active": 1, "concurrent_execution_allowed": 1}
    mapping = sample(shell, "integration_mapping", integration_id=key)
    put(shell, "integration_mapping", **mapping, communication_direction_id=1)
    (row,) = rows(shell, "SELECT config_id, mapping_direction, is_active FROM integration_mappings")
    assert row == {"config_id": key, "mapping_direction": "inbound", "is_active": 1}


@pytest.mark.ledger("C-07")
def test_codes_are_shown_in_small_letters(agency: sqlite3.Connection) -> None:
    for view, column in (
        ("clients_enhanced", "status"),
        ("marketplace_modules", "category"),
        ("marketplace_modules", "pricing_model"),
        ("integration_registry", "integration_key"),
        ("organizations", "code"),
        ("unified_client_dashboard", "subscription_tier"),
    ):
        found = {row[0] for row in agency.execute(f"SELECT {column} FROM {view} WHERE {column} IS NOT NULL")}
        assert found, view
        assert found == {code.lower() for code in found}, view


def test_the_dashboard_looks_everything_up_by_index(catalogue: sqlite3.Connection) -> None:
    for view, name in (("unified_client_dashboard", "client_id"), ("module_integration_view", "module_id")):
        plan = catalogue.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {name} = ?", (7,)).fetchall()
        scans = [row[3] for row in plan if row[3].startswith("SCAN") and "subquery" not in row[3].lower()]
        assert set(scans) <= {"SCAN status"}, view  # which has a handful of rows
