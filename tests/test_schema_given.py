"""Limits, values and defaults the documents state, column by column, against what the file holds."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from catalogue import TABLES, checks, columns

from edgekit import schema

if TYPE_CHECKING:
    import sqlite3


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def limit(table: str, column: str) -> int:
    """How long a text may be at most."""
    return int(re.findall(r"\d+", checks(table)[f"{table}.{column}.length"])[-1])


def limits(given: str) -> None:
    """Assert limits written as `table.column=characters`."""
    for word in given.split():
        place, _, wanted = word.partition("=")
        assert limit(*place.split(".")) == int(wanted), place


def choices(given: dict[str, str]) -> None:
    """Assert the whole set of values of columns that take no others."""
    for place, values in given.items():
        table, column = place.split(".")
        assert set(re.findall(r"'(\w+)'", checks(table)[f"{place}.choice"])) == set(values.split()), place
        assert column in checks(table)[f"{place}.choice"]


def defaults(catalogue: sqlite3.Connection, given: str) -> None:
    """Assert defaults written as `table.column=value`."""
    for word in given.split():
        place, _, wanted = word.partition("=")
        table, column = place.split(".")
        _, required, default = columns(catalogue, table)[column]
        assert (default or "").strip("'") == wanted, place
        assert required, f"{place} may be NULL in spite of its default"


@pytest.mark.ledger("S0-10")
def test_every_value_has_a_code_of_fifty_and_a_name_of_a_hundred(catalogue: sqlite3.Connection) -> None:
    longer = {"organization", "program", "producer", "entity"}  # no values: what people call their own
    for table in set(TABLES) - longer:
        found = columns(catalogue, table)
        if {"code", "name"} <= set(found):
            assert (limit(table, "code"), limit(table, "name")) == (50, 100), table
            assert found["code"][1], table
            assert found["name"][1], table


@pytest.mark.ledger("S0-44", "S0-80", "S0-91", "S0-78")
def test_entities_and_communications_have_the_limits_and_defaults_stated(
    catalogue: sqlite3.Connection,
) -> None:
    limits("entity_type.icon=100 entity_type.ui_component=100 communication.correlation_id=100")
    defaults(catalogue, "communication.retry_count=0 communication_type_channel.is_default=0")
    (related,) = [
        default
        for name, (_, _, default) in columns(catalogue, "communication_business_context").items()
        if name == "relationship_type_id"
    ]
    assert related == "2"  # RELATED, held by triggers of its own


@pytest.mark.ledger("S0-94", "S0-97", "S0-99", "S0-100", "S0-101")
def test_flags_and_quantities_begin_as_stated(catalogue: sqlite3.Connection) -> None:
    defaults(
        catalogue,
        "communication_channel.is_real_time=0 communication_channel.requires_authentication=1"
        " communication_status.is_final_state=0 communication_status.is_error_state=0"
        " feature_type.is_core=0 feature_type.sort_order=0 feature.is_addon=0"
        " feature_license.licensed_quantity=1",
    )


@pytest.mark.ledger("S0-48", "S0-50", "S0-58", "S0-59")
def test_configuration_and_requirements_begin_as_stated(catalogue: sqlite3.Connection) -> None:
    flags = " ".join(
        f"configuration_type.applies_to_{level}=0"
        for level in ("system", "program", "producer", "entity", "user")
    )
    defaults(
        catalogue,
        f"{flags} configuration.version=1 entity_type_feature.is_required=0 entity_category.sort_order=0",
    )


@pytest.mark.ledger("S1-32", "S1-44")
def test_the_integration_log_and_credentials_have_the_limits_stated(catalogue: sqlite3.Connection) -> None:
    limits(
        "integration_log.request_type=50 integration_log.request_url=500 integration_log.correlation_id=100"
        " integration_log.external_reference=100 integration_credential.credential_key=50"
    )
    defaults(
        catalogue,
        "integration_log.is_success=1 integration_log.retry_count=0 integration_credential.environment_id=1",
    )
    assert schema_seed("environment")[0] == "PRODUCTION"


def schema_seed(table: str) -> list[str]:
    """The codes of a reference table in the order of their ids."""
    for path in sorted((schema.schema_folder().parent / "seeds").glob("*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        if table in rows:
            return [row["code"] for row in rows[table]]
    raise AssertionError(table)


@pytest.mark.ledger("S3-32", "S3-33", "S3-34", "S3-35", "S3-36")
def test_workflows_packages_and_events_have_the_limits_and_defaults_stated(
    catalogue: sqlite3.Connection,
) -> None:
    limits(
        "orchestration_workflow.workflow_name=255 workflow_execution.step_name=255"
        " workflow_execution.step_type=100 handover_package.package_name=255"
        " integration_event.event_type=100 integration_event.event_target=100"
    )
    defaults(
        catalogue,
        "client_app_override.activation_status=pending orchestration_workflow.workflow_status=pending"
        " workflow_execution.execution_status=pending workflow_execution.retry_count=0"
        " workflow_execution.max_retries=3 handover_package.delivery_status=pending"
        " integration_event.event_metadata={} integration_event.processing_status=pending",
    )


@pytest.mark.ledger("S4-07", "S4-16", "S4-20", "S4-32", "S4-41")
def test_mappings_schedules_and_templates_begin_as_stated(catalogue: sqlite3.Connection) -> None:
    defaults(
        catalogue,
        "integration_mapping.is_required=0 integration_mapping.version=1 integration_schedule.timezone=UTC"
        " integration_schedule.execution_timeout_seconds=300 integration_schedule.is_failure_notified=1"
        " integration_schedule.overlap_policy=skip integration_schedule_execution.records_processed=0"
        " integration_schedule_execution.error_count=0 integration_schedule_execution.warning_count=0"
        " integration_template.is_certified=0 integration_transformation.is_reusable=1"
        " integration_transformation.timeout_seconds=30 integration_transformation.version=1",
    )


@pytest.mark.ledger("S2-31", "S3-55", "S3-56", "S3-57", "S3-59")
def test_states_are_those_of_the_documents_and_no_others() -> None:
    choices(
        {
            "integration.health_status": "healthy degraded unhealthy",
            "orchestration_workflow.workflow_status": "pending in_progress completed failed cancelled",
            "workflow_execution.execution_status": "pending running completed failed skipped",
            "handover_package.delivery_status": "pending preparing ready delivering delivered failed",
            "integration_event.processing_status": "pending processing processed failed",
            "client_app_override.activation_status": "pending active failed inactive",
        }
    )


@pytest.mark.ledger("S4-07", "S4-12", "S4-16", "S4-20", "S4-35")
def test_kinds_of_mappings_tests_and_schedules_are_those_of_the_documents() -> None:
    choices(
        {
            "integration_mapping.mapping_type": "field object array custom",
            "integration_mapping.error_handling": "fail skip default null",
            "integration_mapping_test.test_type": "unit integration edge_case performance",
            "integration_mapping_test.test_status": "pending passed failed skipped",
            "integration_schedule.schedule_type": "cron interval fixed_time event_based manual",
            "integration_schedule.missed_execution_policy": "run_once run_all skip",
            "integration_schedule_execution.execution_status": (
                "scheduled running completed failed cancelled skipped"
            ),
            "integration_template_instance.deployment_status": "draft testing active deprecated",
        }
    )


@pytest.mark.ledger("S4-34", "S4-41", "S4-44")
def test_kinds_of_transformations_and_pipelines_are_those_of_the_documents() -> None:
    choices(
        {
            "integration_template_operation.operation": "create read update delete",
            "integration_transformation.transformation_type": "map filter aggregate enrich validate custom",
            "integration_transformation.language": "jmespath jsonpath javascript python sql",
            "integration_transformation.performance_tier": "lightweight standard heavy",
            "integration_pipeline_definition.pipeline_type": "linear conditional parallel hybrid",
            "integration_pipeline_definition.error_handling_strategy": (
                "fail_fast continue_on_error dead_letter retry"
            ),
        }
    )


@pytest.mark.ledger("S0-102", "S3-22", "S3-58", "S4-09", "S4-18")
def test_figures_stay_within_what_is_stated() -> None:
    for name, wanted in {
        "feature_license.licensed_quantity.range": "licensed_quantity >= 1",
        "module_review.rating.range": "rating BETWEEN 1 AND 5",
        "workflow_execution.retry_count.range": "retry_count BETWEEN 0 AND max_retries",
        "integration_mapping.test_coverage.range": "test_coverage BETWEEN 0 AND 100",
        "integration_schedule.interval_minutes.range": "interval_minutes BETWEEN 1 AND 527040",
        "integration_schedule.end_date.order": "start_date <= end_date",
        "module_license.seats.range": "seats >= 1",
    }.items():
        assert checks(name.split(".")[0])[name] == wanted
