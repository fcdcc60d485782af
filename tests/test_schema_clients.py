"""Clients in the file: their columns, keys and ways, and the queries their indexes serve."""

from __future__ import annotations

import itertools
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import checks, columns, holds, references, unique_sets

from edgekit import models, rules, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

SIGNED = " status_id>status created_by>user updated_by?>user created_at updated_at"
TIME = "2026-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def refused(shell: sqlite3.Connection, sql: str, *values: Any) -> RuleError:
    with pytest.raises(sqlite3.Error) as caught:
        shell.execute(sql, values)
    error = rules.translate(caught.value, shell)
    assert isinstance(error, RuleError)
    return error


def add_client(shell: sqlite3.Connection, number: int = 7) -> int:
    """Put in a client and the organization it extends, both with one number."""
    shell.execute("INSERT INTO organization(id, code, name) VALUES (?1, 'O' || ?1, 'Client')", (number,))
    shell.execute(
        "INSERT INTO client(id, organization_id, client_name, client_status_id) VALUES (?1, ?1, 'C', 1)",
        (number,),
    )
    return number


@pytest.mark.ledger("S3-06")
def test_a_client_extends_an_organization(catalogue: sqlite3.Connection, shell: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "client",
        "organization_id>organization client_name company_name? contact_name? email? phone? address? city?"
        " state? postal_code? client_status_id>client_status assigned_manager_id?>user" + SIGNED,
        ("organization_id",),
    )
    add_client(shell)
    second = "INSERT INTO client(organization_id, client_name, client_status_id) VALUES (?, 'D', 1)"
    assert refused(shell, second, 7).code == "unique"
    assert refused(shell, second, 8).code == "reference"
    assert refused(shell, second, None).code == "required"


@pytest.mark.ledger("S3-08")
def test_a_deployment_says_what_is_where_since_when(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "client_deployment",
        "client_id>client environment_id>environment deployment_template_id?>deployment_template"
        " configuration_id?>configuration version deployment_status url? started_at? completed_at?"
        " error_message?" + SIGNED,
    )
    assert columns(catalogue, "client_deployment")["deployment_status"][2] == "'pending'"


@pytest.mark.ledger("S3-09")
def test_a_customization_is_of_one_template_for_one_client(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "client_customization",
        "client_id>client deployment_template_id>deployment_template customization_data" + SIGNED,
        ("client_id", "deployment_template_id"),
    )
    assert "client_customization.customization_data.json_object" in checks("client_customization")


@pytest.mark.ledger("S3-10")
def test_an_account_has_a_role_an_organization_and_a_tier(
    catalogue: sqlite3.Connection, edge: Database
) -> None:
    holds(
        catalogue,
        "user",
        "username email? display_name? password_hash? role_id?>role organization_id?>organization"
        " license_tier_id?>license_tier last_login_at?" + SIGNED,
        ("username",),
    )
    assert edge.query("SELECT code FROM role WHERE code = 'ADMIN'") == [{"code": "ADMIN"}]


@pytest.mark.ledger("S3-11", "S3-12", "S3-14")
def test_consultations_have_their_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "consultation_session",
        "organization_id>organization client_id?>client lead_name lead_email? lead_phone? lead_company?"
        " session_status started_at? completed_at?" + SIGNED,
    )
    holds(
        catalogue,
        "questionnaire_submission",
        "consultation_session_id>consultation_session questionnaire_code questionnaire_version answers"
        " submitted_at" + SIGNED,
    )
    assert "questionnaire_submission.answers.json_object" in checks("questionnaire_submission")
    holds(
        catalogue,
        "consultation_analytics",
        "consultation_session_id>consultation_session metric_name metric_value recorded_at",
    )


@pytest.mark.ledger("S3-13")
def test_a_generation_says_what_was_asked_of_which_model(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "consultation_generation",
        "consultation_session_id>consultation_session questionnaire_submission_id?>questionnaire_submission"
        " model_registry_id>model_registry prompt result? generation_status error_message? started_at?"
        " completed_at?" + SIGNED,
    )
    names = {"consultation_generation.prompt.json_object", "consultation_generation.result.json_object"}
    assert names <= set(checks("consultation_generation"))


@pytest.mark.ledger("S3-14")
def test_figures_of_a_consultation_are_only_added(shell: sqlite3.Connection) -> None:
    shell.execute("INSERT INTO consultation_session(id, lead_name) VALUES (1, 'Ann')")
    add = (
        "INTO consultation_analytics(id, consultation_session_id, metric_name, metric_value)"
        " VALUES (1, 1, 'minutes', 30)"
    )
    shell.execute(f"INSERT {add}")
    for sql in (
        f"REPLACE {add}",
        "UPDATE consultation_analytics SET metric_value = 1",
        "DELETE FROM consultation_analytics",
    ):
        assert refused(shell, sql).code == "append_only"


@pytest.mark.ledger("S3-18")
def test_billing_is_one_row_per_client_with_its_payment_method_sealed(
    catalogue: sqlite3.Connection, shell: sqlite3.Connection
) -> None:
    holds(
        catalogue,
        "client_billing_info",
        "uuid client_id>client license_tier_id>license_tier subscription_status_id>subscription_status"
        " billing_name? billing_email? billing_address? payment_method_ciphertext?"
        " encryption_key_id?>encryption_key period_start_date? period_end_date?" + SIGNED,
        ("client_id",),
    )
    assert frozenset({"uuid"}) in unique_sets(catalogue, "client_billing_info")
    assert columns(catalogue, "client_billing_info")["payment_method_ciphertext"][0] == "BLOB"
    add_client(shell)
    shell.execute(
        "INSERT INTO client_billing_info(uuid, client_id, license_tier_id, subscription_status_id)"
        " VALUES (printf('%036d', 1), 7, 1, 1)"
    )
    shell.execute(
        "INSERT INTO encryption_key(id, uuid, wrapped_key_ciphertext, master_fingerprint)"
        " VALUES (1, printf('%036d', 1), zeroblob(80), 'mk-12345678')"
    )
    shell.execute(
        "UPDATE client_billing_info SET payment_method_ciphertext = ?, encryption_key_id = 1",
        (b"s3cr3t" * 9,),
    )
    logged = [changes for (changes,) in shell.execute("SELECT changes FROM audit_log WHERE action = 'U'")]
    assert any("payment_method_ciphertext" in (changes or "") for changes in logged)
    assert not any(
        "s3cr3t" in (changes or "") or b"s3cr3t".hex() in (changes or "").lower() for changes in logged
    )


@pytest.mark.ledger("S3-19")
def test_a_deployment_template_is_known_by_code_and_version(
    catalogue: sqlite3.Connection, edge: Database
) -> None:
    holds(
        catalogue,
        "deployment_template",
        "code name description? version template_data" + SIGNED,
        ("code", "version"),
    )
    (shipped,) = models.DeploymentTemplate.select()
    assert shipped.template_data["integrations"] == ["vpic-vin-decode"]
    assert edge.query("SELECT count(*) AS n FROM integration_template WHERE code = 'vpic-vin-decode'") == [
        {"n": 1}
    ]


@pytest.mark.ledger("S3-105")
def test_a_client_has_many_deployments_and_is_kept_while_it_has(shell: sqlite3.Connection) -> None:
    add_client(shell)
    for version in ("1", "2"):
        shell.execute(
            "INSERT INTO client_deployment(client_id, environment_id, version) VALUES (7, 1, ?)", (version,)
        )
    assert refused(shell, "DELETE FROM client WHERE id = 7").code in {"reference", "referenced"}
    assert refused(shell, "DELETE FROM organization WHERE id = 7").code in {"reference", "referenced"}


def test_nothing_of_a_client_goes_with_it(catalogue: sqlite3.Connection) -> None:
    for table in models.MODELS["clients"]:
        name = getattr(models, table)._meta.table_name
        assert {rule for _, rule in references(catalogue, name).values()} <= {"NO ACTION"}, name


WAYS = [
    (
        "client_deployment",
        "deployment_status",
        ("pending", "in_progress", "completed", "failed", "rolled_back"),
        {
            ("pending", "in_progress"),
            ("pending", "failed"),
            ("in_progress", "completed"),
            ("in_progress", "failed"),
            ("completed", "rolled_back"),
            ("failed", "rolled_back"),
        },
        {"client_id": 7, "environment_id": 1, "version": "1"},
    ),
    (
        "consultation_session",
        "session_status",
        ("scheduled", "in_progress", "completed", "converted", "cancelled"),
        {
            ("scheduled", "in_progress"),
            ("scheduled", "cancelled"),
            ("in_progress", "completed"),
            ("in_progress", "cancelled"),
            ("completed", "converted"),
        },
        {"lead_name": "Ann", "client_id": 7},
    ),
    (
        "consultation_generation",
        "generation_status",
        ("pending", "running", "completed", "failed"),
        {
            ("pending", "running"),
            ("pending", "failed"),
            ("running", "pending"),
            ("running", "completed"),
            ("running", "failed"),
        },
        {"consultation_session_id": 1, "model_registry_id": 1, "prompt": "{}"},
    ),
]


@pytest.mark.parametrize(("table", "column", "states", "ways", "row"), WAYS, ids=[way[0] for way in WAYS])
def test_a_state_changes_along_its_ways_only(
    shell: sqlite3.Connection,
    table: str,
    column: str,
    states: tuple[str, ...],
    ways: set[tuple[str, str]],
    row: dict[str, Any],
) -> None:
    add_client(shell)
    shell.execute("INSERT INTO consultation_session(id, lead_name) VALUES (1, 'Ann')")
    shell.execute(
        "INSERT INTO model_registry(id, provider, model_id, model_name, feature_id)"
        " SELECT 1, 'house', 'm', 'Model', min(id) FROM feature"
    )

    def of(state: str) -> dict[str, Any]:
        ended = state not in {"pending", "scheduled", "in_progress", "running"}
        values = {**row, column: state, "started_at": TIME, "completed_at": TIME if ended else None}
        if table == "consultation_generation":
            values["result"] = "{}" if state == "completed" else None
        return values

    def write(verb: str, values: dict[str, Any]) -> tuple[str, list[Any]]:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        return f"{verb} INTO {table}({names}) VALUES ({marks})", list(values.values())

    for old, new in itertools.product(states, repeat=2):
        key = shell.execute(*write("INSERT", of(old))).lastrowid
        sets = ", ".join(f"{name} = ?" for name in of(new))
        for sql, values in (
            (f"UPDATE {table} SET {sets} WHERE id = ?", [*of(new).values(), key]),
            write("REPLACE", {**of(new), "id": key}),
        ):
            if old == new or (old, new) in ways:
                shell.execute("BEGIN")
                shell.execute(sql, values)
                shell.execute("ROLLBACK")
            else:
                assert refused(shell, sql, *values).code == "transition", (old, new)


def test_a_lead_becomes_a_client(shell: sqlite3.Connection) -> None:
    shell.execute(
        "INSERT INTO consultation_session(id, lead_name, session_status, started_at, completed_at)"
        f" VALUES (1, 'Ann', 'completed', '{TIME}', '{TIME}')"
    )
    convert = "UPDATE consultation_session SET session_status = 'converted', client_id = ? WHERE id = 1"
    assert refused(shell, convert, None).code == "required"
    shell.execute(convert, (add_client(shell),))


QUERIES = [
    ("client", "created_by = ? OR assigned_manager_id = ?", {"client_created_by", "client_assigned_manager"}),
    ("client", "client_status_id = ?", {"client_client_status"}),
    ("client_deployment", "client_id = ?", {"client_deployment_client"}),
    ("client_deployment", "deployment_status IN ('pending', 'in_progress')", {"client_deployment_open"}),
    ("consultation_session", "client_id IS NULL AND lead_email = ?", {"consultation_session_lead"}),
    ("consultation_analytics", "metric_name = ? AND recorded_at >= ?", {"consultation_analytics_metric"}),
]


@pytest.mark.parametrize(("table", "condition", "indexes"), QUERIES)
def test_a_query_uses_its_index(
    catalogue: sqlite3.Connection, table: str, condition: str, indexes: set[str]
) -> None:
    sql = f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {condition}"
    plan = catalogue.execute(sql, ["x"] * condition.count("?")).fetchall()
    found = {row[3].split(" USING INDEX ")[1].split(" ")[0] for row in plan if " USING INDEX " in row[3]}
    assert found == indexes


def test_a_new_file_knows_the_stages_of_clients_and_subscriptions(edge: Database) -> None:
    del edge
    stages = {row.code: row.is_final_state for row in models.ClientStatus.select()}
    assert {code for code, is_final in stages.items() if is_final} == {"CHURNED", "LOST"}
    assert {"LEAD", "PROSPECT", "ACTIVE", "SUSPENDED"} <= set(stages)
    states = {row.code: row.is_entitled for row in models.SubscriptionStatus.select()}
    assert {code for code, may in states.items() if may} == {"TRIAL", "ACTIVE", "PAST_DUE"}
    assert {"CANCELLED", "EXPIRED"} <= set(states)
