"""Handover in the file: what a package holds, whose it is, its ways, and the queries its indexes serve."""

from __future__ import annotations

import itertools
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import checks, columns, holds, references

from edgekit import models, rules, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

TIME = "2026-02-01T00:00:00.000Z"
SIGNED = "status_id>status created_by>user updated_by?>user created_at updated_at"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


@pytest.fixture
def desk(shell: sqlite3.Connection) -> sqlite3.Connection:
    """Clients 7 and 8, each with workflow, installation, configuration of its id; number 9 is shared."""
    shell.executescript(
        """
        INSERT INTO organization(id, code, name) VALUES (7, 'SEVEN', 'Seven'), (8, 'EIGHT', 'Eight');
        INSERT INTO client(id, organization_id, client_name, client_status_id)
        VALUES (7, 7, 'Seven', 1), (8, 8, 'Eight', 1);
        INSERT INTO orchestration_workflow(id, uuid, workflow_name, workflow_type_id, client_id,
          workflow_definition, correlation_id)
        SELECT id, printf('%036d', id), 'w', 1, id, '{"steps": [{"name": "one", "type": "notify"}]}', 'c'
        FROM client;
        INSERT INTO marketplace_module(id, code, name, version, category_id, developer_id, pricing_model_id)
        VALUES (1, 'MAIL', 'Mail', '1.2.0', 1, 1, 1);
        INSERT INTO module_installation(id, client_id, module_id, installed_version)
        SELECT id, id, 1, '1' FROM client;
        INSERT INTO configuration(id, configuration_type_id, scope_type_id, organization_id, config_data)
        SELECT o.id, t.id, s.id, o.id, '{}' FROM organization o, configuration_type t, scope_type s
        WHERE o.id > 1 AND t.code = 'SYSTEM_CONFIGURATION' AND s.code = 'SYSTEM';
        INSERT INTO configuration(id, configuration_type_id, scope_type_id, config_data)
        SELECT 9, t.id, s.id, '{}' FROM configuration_type t, scope_type s
        WHERE t.code = 'DEPLOYMENT_CONFIGURATION' AND s.code = 'SYSTEM';
        """
    )
    return shell


def put(shell: sqlite3.Connection, table: str, **row: Any) -> int:
    sql = f"INSERT INTO {table}({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    return shell.execute(sql, list(row.values())).lastrowid or 0


def package(shell: sqlite3.Connection, status: str = "pending", **row: Any) -> int:
    number = shell.execute("SELECT count(*) FROM handover_package").fetchone()[0]
    values = {
        "uuid": f"{number:036d}",
        "client_id": 7,
        "package_name": "p",
        "delivery_status": status,
        "delivery_method_id": 1,
        "delivered_at": TIME if status == "delivered" else None,
        **row,
    }
    return put(shell, "handover_package", **values)


def refused(shell: sqlite3.Connection, write: Any) -> RuleError:
    with pytest.raises(sqlite3.Error) as caught:
        write()
    error = rules.translate(caught.value, shell)
    assert isinstance(error, RuleError)
    return error


@pytest.mark.ledger("S3-35", "S3-54", "S3-91")
def test_a_package_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "handover_package",
        "uuid client_id>client workflow_id?>orchestration_workflow package_name package_type_id>package_type"
        " admin_credentials_ciphertext? encryption_key_id?>encryption_key delivery_status"
        " delivery_method_id?>delivery_method delivered_at? delivery_confirmation? package_metadata? "
        + SIGNED,
        ("uuid",),
    )
    found = columns(catalogue, "handover_package")
    assert found["delivery_status"][2] == "'pending'"
    assert found["admin_credentials_ciphertext"][0] == "BLOB"
    assert "admin_credentials" not in found
    length = checks("handover_package")["handover_package.package_name.length"]
    assert length == "length(package_name) BETWEEN 1 AND 255"


@pytest.mark.ledger("S3-05", "C-81")
def test_what_is_in_a_package_is_linked_by_keys(catalogue: sqlite3.Connection) -> None:
    of = "package_id>handover_package "
    holds(
        catalogue,
        "handover_package_module",
        of + "installation_id>module_installation module_configuration? " + SIGNED,
        ("package_id", "installation_id"),
    )
    holds(
        catalogue,
        "handover_package_configuration",
        of + "configuration_id>configuration configuration_version " + SIGNED,
        ("package_id", "configuration_id"),
    )
    holds(catalogue, "handover_package_document", of + "document_type title url? content_digest? " + SIGNED)
    kinds = checks("handover_package_document")["handover_package_document.document_type.choice"]
    assert {"'sop'", "'tutorial_video'"} <= set(kinds[kinds.index("(") + 1 : -1].split(", "))


@pytest.mark.ledger("S3-35", "S3-59")
def test_a_package_is_complete_unless_it_says_otherwise(edge: Database, desk: sqlite3.Connection) -> None:
    assert models.PackageType.get_by_id(1).code == "COMPLETE"
    package(desk)
    assert desk.execute("SELECT package_type_id FROM handover_package").fetchone() == (1,)
    error = refused(desk, lambda: package(desk, package_type_id=99))
    assert (error.column, error.code) == ("package_type_id", "reference")
    put(desk, "package_type", id=50, code="RENEWAL", name="Renewal")
    package(desk, package_type_id=50)
    ways = {row.code for row in models.DeliveryMethod.select()}
    assert {"PORTAL", "EMAIL", "SECURE_LINK", "IN_PERSON"} <= ways


@pytest.mark.ledger("S3-52", "S3-53")
def test_a_package_goes_with_its_client_and_outlives_its_workflow(desk: sqlite3.Connection) -> None:
    found = references(desk, "handover_package")
    assert (found["client_id"], found["workflow_id"]) == (
        ("client", "CASCADE"),
        ("orchestration_workflow", "SET NULL"),
    )
    first = package(desk, workflow_id=7)
    put(desk, "handover_package_document", package_id=first, document_type="sop", title="t", url="u")
    put(desk, "handover_package_configuration", package_id=first, configuration_id=9, configuration_version=1)
    desk.execute("DELETE FROM orchestration_workflow WHERE id = 7")
    assert desk.execute("SELECT id, workflow_id FROM handover_package").fetchall() == [(first, None)]
    desk.execute("DELETE FROM module_installation WHERE client_id = 7")
    desk.execute("DELETE FROM client WHERE id = 7")
    for table in ("handover_package", "handover_package_document", "handover_package_configuration"):
        assert desk.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    gone = desk.execute("SELECT table_name FROM audit_entry WHERE action = 'D'").fetchall()
    assert {"client", "handover_package", "handover_package_document"} <= {name for (name,) in gone}


STATES = ("pending", "preparing", "ready", "delivering", "delivered", "failed")
WAYS = {
    ("pending", "preparing"), ("pending", "failed"), ("preparing", "ready"), ("preparing", "failed"),
    ("ready", "preparing"), ("ready", "delivering"), ("ready", "failed"), ("delivering", "delivered"),
    ("delivering", "failed"), ("failed", "preparing"), ("failed", "ready"),
}  # fmt: skip


@pytest.mark.ledger("S3-57")
@pytest.mark.parametrize(("old", "new"), [*itertools.product(STATES, repeat=2)])
def test_a_package_is_delivered_along_its_ways_only(desk: sqlite3.Connection, old: str, new: str) -> None:
    key = package(desk, old)
    at = TIME if new == "delivered" else None
    change = "UPDATE handover_package SET delivery_status = ?, delivered_at = ? WHERE id = ?"
    swap = (
        "REPLACE INTO handover_package(delivery_status, delivered_at, id, uuid, client_id, package_name,"
        " delivery_method_id) VALUES (?, ?, ?, printf('%036d', 0), 7, 'p', 1)"
    )
    for sql in (change, swap):
        if old == new or (old, new) in WAYS:
            desk.execute("BEGIN")
            desk.execute(sql, (new, at, key))
            desk.execute("ROLLBACK")
        else:
            assert refused(desk, lambda sql=sql: desk.execute(sql, (new, at, key))).code == "transition"


@pytest.mark.ledger("S3-57")
def test_states_are_these_and_a_delivered_package_says_when_and_how(desk: sqlite3.Connection) -> None:
    said = ", ".join(f"'{state}'" for state in STATES)
    wanted = f"delivery_status IN ({said})"
    assert checks("handover_package")["handover_package.delivery_status.choice"] == wanted
    error = refused(desk, lambda: package(desk, "delivered", delivered_at=None))
    assert (error.column, error.code) == ("delivered_at", "required")
    error = refused(desk, lambda: package(desk, "delivered", delivery_method_id=None))
    assert (error.column, error.code) == ("delivery_method_id", "required")
    assert refused(desk, lambda: package(desk, "lost")).code == "choice"


@pytest.mark.ledger("S3-05")
def test_everything_in_a_package_is_its_clients(desk: sqlite3.Connection) -> None:
    key = package(desk, workflow_id=7)
    put(desk, "handover_package_module", package_id=key, installation_id=7)
    put(desk, "handover_package_configuration", package_id=key, configuration_id=7, configuration_version=1)
    put(desk, "handover_package_configuration", package_id=key, configuration_id=9, configuration_version=1)
    writes: list[Any] = [
        lambda: package(desk, workflow_id=8),
        lambda: put(desk, "handover_package_module", package_id=key, installation_id=8),
        lambda: put(
            desk,
            "handover_package_configuration",
            package_id=key,
            configuration_id=8,
            configuration_version=1,
        ),
        lambda: desk.execute("UPDATE handover_package_module SET installation_id = 8"),
        lambda: desk.execute("UPDATE handover_package SET workflow_id = 8"),
    ]
    assert [refused(desk, write).code for write in writes] == ["client"] * len(writes)
    moves = [
        "UPDATE handover_package SET client_id = 8",
        "UPDATE module_installation SET client_id = 8 WHERE id = 7",
        "UPDATE orchestration_workflow SET client_id = 8 WHERE id = 7",
        "UPDATE configuration SET organization_id = 8 WHERE id = 7",
        "UPDATE client SET organization_id = 1 WHERE id = 7",
    ]
    codes = [refused(desk, lambda sql=sql: desk.execute(sql)).code for sql in moves]
    assert codes == ["immutable", "immutable", "referenced", "referenced", "referenced"]
    desk.execute("UPDATE configuration SET organization_id = 8 WHERE id = 8")


@pytest.mark.ledger("S3-105")
def test_a_client_has_many_packages(desk: sqlite3.Connection) -> None:
    keys = [package(desk), package(desk, "delivered"), package(desk, client_id=8)]
    assert desk.execute("SELECT client_id, count(*) FROM handover_package GROUP BY client_id").fetchall() == [
        (7, 2),
        (8, 1),
    ]
    for key in keys[:2]:
        put(desk, "handover_package_module", package_id=key, installation_id=7)
    error = refused(desk, lambda: desk.execute("DELETE FROM module_installation WHERE id = 7"))
    assert error.code == "referenced"


QUERIES = [
    pytest.param(
        "SELECT * FROM handover_package WHERE client_id = ?",
        "handover_package_client (client_id=?)",
        marks=pytest.mark.ledger("S3-65"),
    ),
    pytest.param(
        "SELECT * FROM handover_package WHERE workflow_id = ?",
        "handover_package_workflow (workflow_id=?)",
        marks=pytest.mark.ledger("S3-66"),
    ),
    pytest.param(
        "SELECT * FROM handover_package WHERE delivery_status = ?",
        "handover_package_delivery_status (delivery_status=?)",
        marks=pytest.mark.ledger("S3-67"),
    ),
]


@pytest.mark.parametrize(("sql", "index"), QUERIES)
def test_a_query_uses_its_index(catalogue: sqlite3.Connection, sql: str, index: str) -> None:
    (plan,) = catalogue.execute("EXPLAIN QUERY PLAN " + sql, ("x",)).fetchall()
    assert plan[3].split(" USING INDEX ")[-1] == index
