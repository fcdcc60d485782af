"""The committed audit triggers are those of the tables as they are."""

from __future__ import annotations

import sqlite3

import pytest

from edgekit import schema
from edgekit.audit import generate
from edgekit.audit.triggers import APPEND_ONLY

CURE = "schema/99_audit.sql is out of date: run python -m edgekit.audit.generate and commit it"


def test_the_committed_triggers_are_current() -> None:
    committed = (schema.schema_folder() / generate.NAME).read_text(encoding="utf-8")
    assert committed == generate.generated(), CURE


@pytest.mark.ledger("S0-06")
def test_the_committed_views_of_active_rows_are_current() -> None:
    committed = (schema.schema_folder() / generate.VIEWS).read_text(encoding="utf-8")
    assert committed == generate.generated_views(), CURE.replace(generate.NAME, generate.VIEWS)


def test_every_table_is_audited_or_only_added_to() -> None:
    catalogue = schema.pristine()
    names = {name for (name,) in catalogue.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
    tables = [
        name
        for (name,) in catalogue.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith(("audit_", "sqlite_"))
    ]
    assert set(APPEND_ONLY) <= set(tables)
    for table in tables:
        kind = "kept" if table in APPEND_ONLY else "audit"
        wanted = {f"{table}_{kind}_{event}" for event in ("insert", "update", "delete")}
        assert wanted <= names, f"{table}: {CURE}"
    audited = {name for (name,) in catalogue.execute("SELECT name FROM audit_table")}
    assert audited >= set(tables) - set(APPEND_ONLY)


@pytest.mark.parametrize(
    ("sql", "start"),
    [
        (
            "INSERT INTO vehicle(vin) VALUES ('1FTMW1T88MFA0000I')",
            "CHECK constraint failed: vehicle.vin.format",
        ),
        (
            "INSERT INTO vehicle(model_year) VALUES (1500)",
            "CHECK constraint failed: vehicle.model_year.range",
        ),
        (
            "UPDATE organization SET code = ''",
            "CHECK constraint failed: organization.code.length",
        ),
        (
            (
                "INSERT INTO policy(policy_number, effective_date, expiration_date)"
                " VALUES ('P', '2026-02-01', '2026-01-01')"
            ),
            "CHECK constraint failed: policy.expiration_date.order",
        ),
        (
            (
                "INSERT INTO policy(policy_number, effective_date, expiration_date)"
                " VALUES ('P', '2026-02-30', '2027-01-01')"
            ),
            "CHECK constraint failed: policy.effective_date.date",
        ),
    ],
)
def test_any_tool_is_told_which_check_refused(shell: sqlite3.Connection, sql: str, start: str) -> None:
    with pytest.raises(sqlite3.IntegrityError) as caught:
        shell.execute(sql)
    assert str(caught.value).startswith(start)
