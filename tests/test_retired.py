"""A retired value of a reference table stays with the rows that have it and is given to no other."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from test_violations import put, refused, sample

import edgekit
from edgekit import models, schema
from edgekit.audit.retired import EXEMPT, value_tables
from edgekit.audit.triggers import APPEND_ONLY
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.db import Database


def _references() -> list[tuple[str, str, str]]:
    catalogue = schema.pristine()
    values = value_tables(catalogue)
    found = catalogue.execute(
        'SELECT m.name, f."from", f."table" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f'
        " WHERE m.type = 'table' ORDER BY m.rowid, f.id"
    ).fetchall()
    return [
        (table, column, parent)
        for table, column, parent in found
        if parent in values and (table, column) not in EXEMPT and table not in {*APPEND_ONLY, "system"}
    ]


@pytest.fixture
def guarded(edge_file: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(edge_file, isolation_level=None)
    yield connection
    connection.close()


def leave_alone(guarded: sqlite3.Connection, table: str) -> None:
    """Take the other rules from a table: what they ask of the value is not the matter here."""
    names = guarded.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", (table,)
    ).fetchall()
    for (name,) in names:
        if name not in {f"{table}_audit_insert", f"{table}_value_update"}:
            guarded.execute(f"DROP TRIGGER {name}")
    guarded.execute("PRAGMA ignore_check_constraints = ON")


def test_what_reference_tables_are_is_seen(guarded: sqlite3.Connection) -> None:
    found = value_tables(guarded)
    assert {"role", "license_tier", "scope_type", "integration_type", "feature", "environment"} <= found
    assert not {"status", "organization", "program", "entity", "integration_template"} & found
    names = {(table, column) for table, column, _ in _references()}
    assert {("user", "license_tier_id"), ("organization", "license_tier_id")} <= names


@pytest.mark.ledger("S0-09")
@pytest.mark.parametrize(("table", "column", "parent"), _references())
def test_a_retired_value_is_given_to_no_row(
    guarded: sqlite3.Connection, table: str, column: str, parent: str
) -> None:
    value = put(guarded, parent, **sample(guarded, parent))
    leave_alone(guarded, table)
    having = put(guarded, table, **sample(guarded, table, **{column: value}))
    other = put(guarded, table, **sample(guarded, table))
    guarded.execute(f"UPDATE {parent} SET status_id = 3 WHERE id = ?", (value,))
    row = sample(guarded, table, **{column: value})
    for error in (
        refused(guarded, lambda: put(guarded, table, **row)),
        refused(
            guarded, lambda: guarded.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (value, other))
        ),
    ):
        assert (error.table, error.column, error.code) == (table, column, "retired")
        assert "retired" in error.message
    guarded.execute(f"UPDATE {table} SET updated_by = 1, {column} = {column} WHERE id = ?", (having,))
    guarded.execute(f"UPDATE {parent} SET status_id = 1 WHERE id = ?", (value,))
    assert put(guarded, table, **row)


@pytest.mark.ledger("S2-25")
def test_a_deprecated_tier_keeps_its_users_and_takes_no_other(edge: Database) -> None:
    with edge.change():
        tier = models.LicenseTier.create(code="GOLD", name="Gold", tier_rank=9)
        maria = models.User.create(username="maria", license_tier=tier)
        tier.status = 3
        tier.save()
    with edge.change():
        maria.display_name = "Maria"
        maria.save()
    assert edge.query("SELECT license_tier_id FROM user WHERE username = 'maria'") == [
        {"license_tier_id": tier.id}
    ]
    with pytest.raises(RuleError, match="retired"), edge.change():
        models.User.create(username="otto", license_tier=tier)
    with pytest.raises(RuleError, match="retired"), edge.change():
        models.Organization.update(license_tier=tier).execute()
    with pytest.raises(RuleError, match="refer"), edge.change():
        tier.delete_instance()


@pytest.mark.ledger("S0-09")
def test_a_status_of_ones_own_may_count_as_active(guarded: sqlite3.Connection) -> None:
    trial = put(guarded, "status", code="TRIAL", name="On trial", is_active=1)
    tier = put(guarded, "license_tier", **sample(guarded, "license_tier", status_id=trial))
    assert put(guarded, "user", **sample(guarded, "user", license_tier_id=tier))
    guarded.execute("UPDATE status SET is_active = 0 WHERE id = ?", (trial,))
    error = refused(guarded, lambda: put(guarded, "user", **sample(guarded, "user", license_tier_id=tier)))
    assert error.code == "retired"


def test_an_upsert_of_a_row_that_has_it_passes(guarded: sqlite3.Connection) -> None:
    tier = put(guarded, "license_tier", **sample(guarded, "license_tier"))
    put(guarded, "user", username="maria", license_tier_id=tier)
    guarded.execute("UPDATE license_tier SET status_id = 3 WHERE id = ?", (tier,))
    upsert = (
        "INSERT INTO user(username, license_tier_id) VALUES (?, ?)"
        " ON CONFLICT(username) DO UPDATE SET display_name = 'M', license_tier_id = excluded.license_tier_id"
    )
    guarded.execute(upsert, ("maria", tier))
    assert refused(guarded, lambda: guarded.execute(upsert, ("otto", tier))).code == "retired"


@pytest.mark.ledger("S0-08", "S0-09", "S0-36", "S0-37", "S0-43")
def test_a_new_value_is_used_at_once(edge_file: Path, guarded: sqlite3.Connection) -> None:
    growing = {"communication_channel", "entity_category", "communication_type", "communication_status"}
    assert growing | {"role", "license_tier", "client_status", "workflow_type"} <= value_tables(guarded)
    with edgekit.open(edge_file) as edge, edge.change():
        role = models.Role.create(code="AUDITOR", name="Auditor")
        assert models.User.create(username="maria", role=role).role_id == role.id
