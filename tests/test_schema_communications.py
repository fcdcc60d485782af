"""Communications in the file: columns, keys, the queries indexes serve, reference rows, threads, contexts."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import TABLES, checks, columns, holds, unique_sets

from edgekit import models, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

SIGNED = "status_id>status created_by>user updated_by?>user created_at updated_at"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


@pytest.mark.ledger("S0-12", "S0-22", "S0-76")
def test_a_type_is_a_purpose(catalogue: sqlite3.Connection, edge: Database) -> None:
    schemas = "request_schema? response_schema? metadata_schema?"
    holds(catalogue, "communication_type", f"code name description? {schemas} {SIGNED}", ("code",))
    assert not {"default_retry_attempts", "default_timeout_seconds"} & set(
        columns(catalogue, "communication_type")
    )
    found = {row["code"] for row in edge.query("SELECT code FROM communication_type")}
    assert {"DRIVER_VERIFICATION_REQUEST", "QUOTE_APPROVAL_NOTIFICATION"} <= found
    assert not {"API_REQUEST", "EMAIL_NOTIFICATION"} & found


@pytest.mark.ledger("S0-94", "S0-96", "S0-97", "S0-98")
def test_reference_tables_have_columns_of_their_own(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "communication_channel",
        f"code name description? is_real_time requires_authentication {SIGNED}",
        ("code",),
    )
    flags = {
        name: columns(catalogue, "communication_channel")[name][2]
        for name in ("is_real_time", "requires_authentication")
    }
    assert flags == {"is_real_time": "0", "requires_authentication": "1"}
    holds(catalogue, "communication_direction", f"code name description? {SIGNED}", ("code",))
    holds(
        catalogue,
        "communication_status",
        f"code name description? is_final_state is_error_state {SIGNED}",
        ("code",),
    )
    for name in ("is_final_state", "is_error_state"):
        assert columns(catalogue, "communication_status")[name] == ("INTEGER", 1, "0")
    holds(catalogue, "business_context_type", f"code name description? table_name {SIGNED}", ("code",))


@pytest.mark.ledger("S0-78")
def test_a_type_lists_its_channels(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "communication_type_channel",
        "communication_type_id>communication_type channel_id>communication_channel is_default"
        f" configuration_schema? {SIGNED}",
        ("communication_type_id", "channel_id"),
    )
    assert columns(catalogue, "communication_type_channel")["is_default"] == ("INTEGER", 1, "0")


@pytest.mark.ledger("S0-24", "S0-80")
def test_a_communication_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "communication",
        "communication_type_id>communication_type source_type_id>entity_reference_type source_id"
        " target_type_id>entity_reference_type target_id channel_id>communication_channel"
        " direction_id>communication_direction business_context_type_id?>business_context_type"
        " business_context_id? request_data? response_data? metadata?"
        " communication_status_id>communication_status error_message? retry_count scheduled_at? started_at?"
        " completed_at? correlation_id parent_communication_id?>communication organization_id>organization"
        f" {SIGNED}",
        ("uuid",),
    )
    assert columns(catalogue, "communication")["retry_count"][2] == "0"
    assert not {"quote_id", "driver_id", "policy_id", "vehicle_id"} & set(columns(catalogue, "communication"))
    assert (
        checks("communication")["communication.correlation_id.length"]
        == "length(correlation_id) BETWEEN 1 AND 100"
    )


@pytest.mark.ledger("S0-25", "S0-91")
def test_a_context_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "communication_business_context",
        "communication_id>communication context_type_id>business_context_type context_id"
        f" relationship_type_id>relationship_type {SIGNED}",
        ("communication_id", "context_type_id", "context_id"),
    )
    assert frozenset({"communication_id", "context_type_id", "context_id"}) in unique_sets(
        catalogue, "communication_business_context"
    )
    assert "communication_context" not in TABLES


def plan(catalogue: sqlite3.Connection, sql: str) -> str:
    return " / ".join(row[3] for row in catalogue.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())


@pytest.mark.parametrize(
    ("where", "index"),
    [
        pytest.param(
            "source_type_id = 3 AND source_id = 7",
            "source (source_type_id=? AND source_id=?)",
            marks=pytest.mark.ledger("S0-81"),
        ),
        pytest.param(
            "target_type_id = 3 AND target_id = 7",
            "target (target_type_id=? AND target_id=?)",
            marks=pytest.mark.ledger("S0-82"),
        ),
        pytest.param(
            "communication_status_id = 1",
            "communication_status (communication_status_id=?)",
            marks=pytest.mark.ledger("S0-83"),
        ),
        pytest.param(
            "correlation_id = 'c'", "correlation (correlation_id=?)", marks=pytest.mark.ledger("S0-84")
        ),
        pytest.param(
            "scheduled_at <= '2026' ORDER BY scheduled_at",
            "scheduled (scheduled_at<?)",
            marks=pytest.mark.ledger("S0-85"),
        ),
        pytest.param(
            "created_at >= '2026' ORDER BY created_at",
            "created (created_at>?)",
            marks=pytest.mark.ledger("S0-86"),
        ),
        (
            "business_context_type_id = 1 AND business_context_id = 7",
            "by_business_context (business_context_type_id=? AND business_context_id=?)",
        ),
    ],
)
def test_communications_are_found_by_index(catalogue: sqlite3.Connection, where: str, index: str) -> None:
    assert (
        plan(catalogue, f"SELECT * FROM communication WHERE {where}")
        == f"SEARCH communication USING INDEX communication_{index}"
    )


def test_contexts_are_found_by_index(catalogue: sqlite3.Connection) -> None:
    table = "communication_business_context"
    by_row = plan(
        catalogue, f"SELECT communication_id FROM {table} WHERE context_type_id = 1 AND context_id = 7"
    )
    assert by_row == f"SEARCH {table} USING INDEX {table}_context (context_type_id=? AND context_id=?)"
    by_communication = plan(catalogue, f"SELECT * FROM {table} WHERE communication_id = 7")
    assert by_communication == f"SEARCH {table} USING INDEX sqlite_autoindex_{table}_1 (communication_id=?)"


def rows(edge: Database, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in edge.query(sql)]


@pytest.mark.ledger("S0-118")
def test_channels(edge: Database) -> None:
    own = "is_real_time, requires_authentication"
    assert rows(edge, f"SELECT code, name, description, {own} FROM communication_channel ORDER BY id") == [
        ("API", "API", "HTTP API", 1, 1),
        ("EMAIL", "Email", "E-mail", 0, 0),
        ("SMS", "SMS", "Text message", 1, 0),
        ("PHONE", "Phone", "Voice call", 1, 0),
        ("MAIL", "Mail", "Postal mail", 0, 0),
        ("WEBHOOK", "Webhook", "HTTP callback", 1, 1),
        ("INTERNAL", "Internal", "Messages inside the system", 1, 0),
    ]


@pytest.mark.ledger("S0-120")
def test_statuses(edge: Database) -> None:
    sql = "SELECT code, name, is_final_state, is_error_state FROM communication_status ORDER BY id"
    assert rows(edge, sql) == [
        ("PENDING", "Pending", 0, 0),
        ("PROCESSING", "Processing", 0, 0),
        ("COMPLETED", "Completed", 1, 0),
        ("FAILED", "Failed", 1, 1),
        ("TIMEOUT", "Timeout", 1, 1),
        ("CANCELLED", "Cancelled", 1, 0),
        ("RETRYING", "Retrying", 0, 0),
    ]


@pytest.mark.ledger("S0-38", "S0-40", "S0-122")
def test_context_types_name_their_tables(edge: Database) -> None:
    assert rows(edge, "SELECT code, name, table_name FROM business_context_type ORDER BY id") == [
        ("QUOTE", "Insurance Quote", "quote"),
        ("DRIVER", "Driver", "driver"),
        ("POLICY", "Insurance Policy", "policy"),
        ("CLAIM", "Insurance Claim", "claim"),
        ("VEHICLE", "Vehicle", "vehicle"),
    ]
    for table in ("business_context_type", "entity_reference_type"):
        named = (
            checks(table)[f"{table}.table_name.choice"].split("(")[1].strip(")").replace("'", "").split(", ")
        )
        assert set(named) <= set(TABLES)
    with edge.change():  # one more, at run time
        models.BusinessContextType.create(code="PROGRAM", name="Program", table_name="program")
    with pytest.raises(RuleError, match="must be one of"), edge.change():
        models.BusinessContextType.create(code="MOON", name="Moon", table_name="moon")


@pytest.mark.ledger("S0-79")
def test_every_type_has_one_default_channel(edge: Database, shell: sqlite3.Connection) -> None:
    sql = (
        "SELECT t.code FROM communication_type t WHERE 1 <> (SELECT count(*) FROM communication_type_channel"
        " WHERE communication_type_id = t.id AND is_default = 1 AND status_id = 1)"
    )
    assert rows(edge, sql) == []
    second = "UPDATE communication_type_channel SET is_default = 1 WHERE communication_type_id = 3"
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        shell.execute(second)
    shell.execute(
        "UPDATE communication_type_channel SET status_id = 2"
        " WHERE communication_type_id = 3 AND is_default = 1"
    )
    shell.execute(f"{second} AND status_id = 1")


def communication(**values: Any) -> models.Communication:
    row = {
        "uuid": f"{models.Communication.select().count():036d}",
        "communication_type": models.CommunicationType.get(code="QUOTE_APPROVAL_NOTIFICATION"),
        "source_type": models.EntityReferenceType.get(code="SYSTEM"),
        "source_id": 1,
        "target_type": models.EntityReferenceType.get(code="USER"),
        "target_id": 1,
        "channel": models.CommunicationChannel.get(code="EMAIL"),
        "direction": models.CommunicationDirection.get(code="OUTBOUND"),
        "communication_status": models.CommunicationStatus.get(code="PENDING"),
        "correlation_id": "thread-1",
    }
    return models.Communication.create(**{**row, **values})


@pytest.mark.ledger("S0-23")
def test_a_type_travels_by_its_channels_only(edge: Database, shell: sqlite3.Connection) -> None:
    channel = {row.code: row for row in models.CommunicationChannel.select()}
    with edge.change():
        communication()
        communication(channel=channel["SMS"])
    with pytest.raises(RuleError) as caught, edge.change():
        communication(channel=channel["API"])
    assert (caught.value.column, caught.value.code) == ("channel_id", "channel")
    shell.execute("UPDATE communication_type_channel SET status_id = 2")
    with pytest.raises(RuleError, match="does not travel by this channel"), edge.change():
        communication()
    with edge.change():
        models.Communication.update(retry_count=1).execute()  # what was sent before stays editable


def test_a_thread_has_one_correlation_id_and_one_organization(edge: Database) -> None:
    with edge.change():
        other = models.Organization.create(code="OTHER", name="Other")
        parent = communication()
        communication(parent_communication=parent)
    with pytest.raises(RuleError, match="correlation id of its parent"), edge.change():
        communication(parent_communication=parent, correlation_id="thread-2")
    with pytest.raises(RuleError) as caught, edge.change():
        communication(parent_communication=parent, organization=other)
    assert caught.value.code == "organization"
    with pytest.raises(RuleError) as caught, edge.change():
        models.Communication.update(organization=other).where(models.Communication.id == parent.id).execute()
    assert caught.value.code == "organization"


def test_what_ended_says_when_and_what_failed_says_why(edge: Database) -> None:
    state = {row.code: row for row in models.CommunicationStatus.select()}
    with edge.change():
        row = communication(communication_status=state["RETRYING"])
    with pytest.raises(RuleError, match="must say why"), edge.change():
        communication(
            communication_status=state["TIMEOUT"], completed_at="2026-01-01T00:00:00.000Z", error_message=""
        )
    with pytest.raises(RuleError, match="must say when"), edge.change():
        communication(communication_status=state["CANCELLED"])
    with edge.change():
        row.communication_status, row.error_message = state["FAILED"], "no answer"
        row.completed_at = "2026-01-01T00:00:00.000Z"
        row.save()
    with pytest.raises(RuleError, match="must say why"), edge.change():
        models.Communication.update(error_message=None).execute()
    with pytest.raises(RuleError, match="does not change its state again"), edge.change():
        models.Communication.update(communication_status=state["COMPLETED"]).execute()
    with edge.change():
        models.CommunicationStatus.update(is_final_state=True).where(
            models.CommunicationStatus.code == "RETRYING"
        ).execute()


@pytest.mark.ledger("S0-39")
def test_a_communication_is_about_several_rows(edge: Database) -> None:
    kind = {row.code: row for row in models.BusinessContextType.select()}
    with edge.change():
        quote = models.Quote.create(quote_number="Q-1")
        driver = models.Driver.create(last_name="Roe", license_number="1", license_state="NY")
        entity = models.Entity.create(code="DCS", name="DCS", entity_type=models.EntityType.get())
        row = communication(
            communication_type=models.CommunicationType.get(code="DRIVER_VERIFICATION_REQUEST"),
            channel=models.CommunicationChannel.get(code="API"),
            target_type=models.EntityReferenceType.get(code="ENTITY"),
            target_id=entity.id,
            business_context_type=kind["QUOTE"],
            business_context_id=quote.id,
        )
        about = models.CommunicationBusinessContext
        about.create(communication=row, context_type=kind["QUOTE"], context_id=quote.id, relationship_type=1)
        related = about.create(communication=row, context_type=kind["DRIVER"], context_id=driver.id)
    assert related.relationship_type.code == "RELATED"
    found = (
        "SELECT communication_id FROM communication_business_context"
        " WHERE context_type_id = {0} AND context_id = {1} UNION SELECT id FROM communication"
        " WHERE business_context_type_id = {0} AND business_context_id = {1}"
    )
    for code, key in (("QUOTE", quote.id), ("DRIVER", driver.id)):
        assert rows(edge, found.format(kind[code].id, key)) == [(row.id,)]
    with pytest.raises(RuleError) as caught, edge.change():
        about.update(relationship_type=1).where(about.id == related.id).execute()
    assert caught.value.code == "primary"


@pytest.mark.ledger("S0-87")
def test_a_context_is_named_whole_or_not_at_all(edge: Database) -> None:
    with pytest.raises(RuleError) as caught, edge.change():
        communication(business_context_id=1)
    assert (caught.value.column, caught.value.code) == ("business_context_id", "required")


def test_the_relationships_that_columns_rely_on_stay(edge: Database) -> None:
    sql = "SELECT id, code FROM relationship_type ORDER BY id"
    assert rows(edge, sql) == [(1, "PRIMARY"), (2, "RELATED"), (3, "REFERENCED")]


@pytest.mark.ledger("S0-77")
@pytest.mark.parametrize(
    ("document", "schema"),
    [
        ("request_data", "request_schema"),
        ("response_data", "response_schema"),
        ("metadata", "metadata_schema"),
    ],
)
def test_what_a_communication_carries_is_as_its_type_says(edge: Database, document: str, schema: str) -> None:
    wanted = {"type": "object", "required": ["vin"], "properties": {"vin": {"type": "string"}}}
    with edge.change():
        kind = models.CommunicationType.get(code="QUOTE_APPROVAL_NOTIFICATION")
        setattr(kind, schema, wanted)
        kind.save()
        with pytest.raises(RuleError, match=f"{document} is not as its type says: vin"):
            communication(**{document: {"vin": 5}})
        made = communication(**{document: {"vin": "x"}})
        setattr(made, document, {})
        with pytest.raises(RuleError, match=f"{document} is not as its type says"):
            made.save()
        communication()  # nothing said is nothing wrong
