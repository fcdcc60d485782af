"""Rows people edit: one way to list, show, add, set and retire for every table, present and to come."""

from __future__ import annotations

import json
import sqlite3
import string
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from test_violations import sample

from edgekit import audit, naming, reference_table, rows, schema
from edgekit.errors import InvalidError, NotFoundError, RuleError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

CATALOGUE = schema.pristine()
TABLES = [table for table in naming.own_tables() if not table.startswith("audit_")]
SHAPES = {table: rows.read_shape(CATALOGUE, table) for table in TABLES}
ADDED = [table for table, shape in SHAPES.items() if shape.adds is None]
EDITED = [table for table, shape in SHAPES.items() if shape.refuses is None]


@pytest.fixture
def agency(edge: Database) -> Database:
    """A file with a program and a producer."""
    rows.add("program", {"code": "AUTO", "name": "Auto"})
    rows.add("producer", {"code": "P1", "name": "Harbor", "program": "AUTO"})
    return edge


def test_every_table_has_a_word_of_its_own() -> None:
    there = CATALOGUE.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%STRICT%'")
    assert {name for (name,) in there} == set(naming.own_tables())
    words = [naming.plural(table) for table in TABLES]
    assert len(set(words)) == len(words)
    assert naming.commands() == dict(zip(words, TABLES, strict=True))


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ("policy", "policies"), ("status", "statuses"), ("entity_category", "entity-categories"),
        ("communication_channel", "communication-channels"), ("key", "keys"), ("box", "boxes"),
        ("branch", "branches"), ("consultation_analytics", "consultation-analytics"), ("My Car", "my-cars"),
    ],
)  # fmt: skip
def test_plurals(table: str, word: str) -> None:
    assert naming.plural(table) == word


def test_what_only_the_engine_writes_is_told_by_rule() -> None:
    refused = {table for table, shape in SHAPES.items() if shape.refuses}
    assert {"integration_execution", "dead_letter", "integration_event", "integration_log"} <= refused
    assert {"communication", "vault_use_log", "schema_migration", "encryption_key"} <= refused
    people = {"producer", "program", "policy", "user", "organization", "communication_channel", "status"}
    assert not people & refused
    assert {"integration_credential", "system", "tracked_table"} & set(ADDED) == set()
    assert not refused & {table.name for table in reference_table.registry()}


def text(value: Any) -> Any:
    """A value as a person would type it."""
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def soundly(edge: Database, table: str) -> dict[str, Any]:
    """What a person would give for a sound row, its parents put into the file."""
    with edge.change():
        row = sample(edge.connection(), table)
    row.pop("status_id", None)
    columns = SHAPES[table].columns
    return {
        name: text(v) for name, v in row.items() if not columns[name].is_given and not columns[name].is_secret
    }


@pytest.mark.ledger("S0-131")
@pytest.mark.parametrize("table", ADDED)
def test_rows_of_every_table_are_added_shown_listed_and_retired(edge: Database, table: str) -> None:
    connection = edge.connection()
    before = len(rows.list_rows(connection, table, retired=True))
    made = rows.add(table, soundly(edge, table))
    assert rows.show(connection, table, made["id"]) == made
    there = rows.list_rows(connection, table, retired=True)
    assert made in there
    assert len(there) >= before + 1
    if not SHAPES[table].has_status:
        with pytest.raises(InvalidError, match="they have no status"):
            rows.retire(table, made["id"])
        return
    gone = rows.retire(table, made["id"])
    assert (gone["status"], gone["updated_by"]) == ("INACTIVE", 1)
    assert gone["id"] not in {row["id"] for row in rows.list_rows(connection, table)}
    back = rows.set_values(table, made["id"], {"status": "ACTIVE"})
    assert back["status"] == "ACTIVE"
    if SHAPES[table].columns.get("version") and SHAPES[table].columns["version"].is_given:
        assert [made["version"], gone["version"], back["version"]] == [1, 2, 3]
    (newest, *_) = audit.entries(connection, table=table, record=made["id"], limit=1)
    assert newest.reason is not None
    assert newest.reason.startswith(f"{naming.plural(table)} set {made['id']}")


@pytest.mark.parametrize("table", [table for table in TABLES if table not in ADDED])
def test_what_is_not_written_by_hand_is_refused_with_a_reason(edge: Database, table: str) -> None:
    with pytest.raises(InvalidError, match=f"Rows of {table} are not written by hand") as caught:
        rows.add(table, {"name": "x"})
    assert (caught.value.hint or "")[-1:] in {".", ")", *string.ascii_letters}
    rows.list_rows(edge.connection(), table)


def test_no_secret_is_ever_read_or_named(edge: Database) -> None:
    for table, shape in SHAPES.items():
        for column in shape.columns.values():
            if column.name.endswith(("_ciphertext", "_hash")):
                assert column.is_secret, f"{table}.{column.name}"
                for given in ({column.name: "x"}, {column.name: ""}):
                    with pytest.raises(InvalidError, match=r"holds a secret|not written by hand"):
                        rows.set_values(table, 1, given) if table == "user" else rows.add(table, given)
                with pytest.raises(InvalidError, match="holds a secret"):
                    rows.list_rows(edge.connection(), table, where={column.name: "x"})
    with edge.change():
        edge.connection().execute("UPDATE user SET password_hash = 'swordfish'")
    shown = rows.show(edge.connection(), "user", "system")
    assert "swordfish" not in json.dumps([shown, *rows.list_rows(edge.connection(), "user")])
    assert "password_hash" not in shown


def test_a_reference_takes_an_id_a_code_or_a_name(agency: Database) -> None:
    for number, value in enumerate(["AUTO", "auto", "Auto", "1", 1]):
        for name in ("program", "program_id"):
            made = rows.add("producer", {"code": f"P{number}{name}", "name": "x", name: value})
            assert (made["program_id"], made["program"]) == (1, "AUTO")


def test_a_row_is_found_by_id_key_name_or_column(agency: Database) -> None:
    for which in (1, "1", "P1", "p1", "Harbor", "code=P1", "program=AUTO"):
        assert rows.show(agency.connection(), "producer", which)["id"] == 1
    rows.add("producer", {"code": "2", "name": "Pier"})
    assert rows.show(agency.connection(), "producer", "2")["code"] == "2"
    rows.add("producer", {"code": "1", "name": "Quay"})
    assert rows.show(agency.connection(), "producer", "1")["code"] == "P1", "digits are an id first"
    assert rows.show(agency.connection(), "producer", "code=1")["name"] == "Quay"
    rows.add("driver", {"last_name": "Ray", "license_state": "NH", "license_number": "007"})
    assert rows.show(agency.connection(), "driver", "license_number=007")["last_name"] == "Ray"


@pytest.mark.parametrize(
    "which", ["77", "P7", "", " ", "-1", "9" * 30, "0", "name=nobody", "😀", "' OR 1=1 --"]
)
def test_a_row_that_is_not_there(agency: Database, which: str) -> None:
    with pytest.raises((NotFoundError, InvalidError)):
        rows.show(agency.connection(), "producer", which)


def test_a_name_that_several_have_is_no_answer(agency: Database) -> None:
    rows.add("producer", {"code": "P2", "name": "Harbor"})
    with pytest.raises(InvalidError, match="Harbor names 2 rows of producer") as caught:
        rows.retire("producer", "Harbor")
    assert caught.value.hint == "Name one by its id: 1, 2."


def test_a_code_means_the_row_of_the_same_organization(agency: Database) -> None:
    other = rows.add("organization", {"code": "EAST", "name": "East"})
    theirs = rows.add("program", {"organization": "EAST", "code": "AUTO", "name": "Auto East"})
    made = rows.add("producer", {"code": "E1", "name": "x", "program": "AUTO", "organization": "EAST"})
    assert (made["organization_id"], made["program_id"]) == (other["id"], theirs["id"])
    assert rows.set_values("producer", "E1", {"program": "AUTO"})["program_id"] == theirs["id"]
    assert rows.set_values("producer", "P1", {"program": "AUTO"})["program_id"] == 1


def test_values_are_read_by_their_columns(agency: Database) -> None:
    kind = rows.add("feature_type", {"code": "X", "name": "X", "is_core": "Yes"})
    assert kind["is_core"] is True
    assert rows.set_values("feature_type", "X", {"is_core": "no"})["is_core"] is False
    policy = rows.add(
        "policy",
        {"policy_number": "00042", "effective_date": "2026-01-31", "expiration_date": "2027-01-31",
         "annual_premium": " 125000 "},
    )  # fmt: skip
    assert (policy["policy_number"], policy["annual_premium"], policy["currency"]) == ("00042", 125000, "USD")
    entity = rows.add("entity", {"code": "E", "name": "E", "entity_type": "API_INTEGRATION",
                                 "metadata": ' {"b": [1, "ü"]} '})  # fmt: skip
    assert entity["metadata"] == {"b": [1, "ü"]}
    user = rows.add("user", {"username": "ann", "last_login_at": "2026-01-31T10:05:00+01:00"})
    assert user["last_login_at"] == "2026-01-31T09:05:00.000Z"


def test_nothing_means_null(agency: Database) -> None:
    assert rows.set_values("producer", "P1", {"program": ""})["program_id"] is None
    with pytest.raises(RuleError, match=r"producer\.name must not be empty") as caught:
        rows.set_values("producer", "P1", {"name": "  "})
    assert (caught.value.table, caught.value.column, caught.value.code) == ("producer", "name", "required")


@pytest.mark.parametrize(
    ("table", "given", "column", "said"),
    [
        ("producer", {"program": "NONE"}, "program_id", "there is no program NONE; it is one of: AUTO."),
        ("producer", {"program": "99"}, "program_id", "there is no program 99"),
        ("producer", {"program": "9" * 25}, "program_id", "there is no program 9999"),
        ("producer", {"code": "P1"}, "code", "There is already a row in producer with this code."),
        ("producer", {"code": "p1"}, "code", "There is already a row in producer with this code."),
        ("producer", {"code": "x" * 51}, "code", "must not be empty and has at most 50 characters"),
        ("feature_type", {"is_core": "maybe"}, "is_core", "is yes or no, not 'maybe'"),
        ("vehicle", {"model_year": "new"}, "model_year", "must be a whole number, not 'new'"),
        ("vehicle", {"model_year": "1" * 400}, "model_year", "must be a whole number"),
        ("vehicle", {"model_year": "1700"}, "model_year", "must be between 1886 and 2100"),
        ("vehicle", {"vin": "I" * 17}, "vin", "must have 17 characters"),
        ("entity", {"metadata": "{"}, "metadata", "must be a JSON object: Expecting"),
        ("entity", {"metadata": "[1]"}, "metadata", "must be a JSON object"),
        ("quote", {"quote_state": "odd"}, "quote_state", "must be one of: draft, quoted, bound"),
        ("driver", {"date_of_birth": "31.01.2026"}, "date_of_birth", "must be a date such as 2026-01-31"),
        ("user", {"last_login_at": "yesterday"}, "last_login_at", "must be a time with its zone"),
        ("user", {"last_login_at": "2026-01-31T09:05:00"}, "last_login_at", "must be a time with its zone"),
        ("policy", {"currency": "usd"}, "currency", "must be three capital letters such as USD"),
        ("organization", {"parent_organization": "MAIN"}, "", ""),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_is_right(
    agency: Database, table: str, given: dict[str, str], column: str, said: str
) -> None:
    sound = {**soundly(agency, table), **given}
    if not column:
        assert rows.add(table, sound)["parent_organization"] == "MAIN"
        return
    before = len(rows.list_rows(agency.connection(), table, retired=True))
    with pytest.raises(RuleError) as caught:
        rows.add(table, sound)
    assert (caught.value.table, caught.value.column) == (table, column)
    assert said in caught.value.message
    assert len(rows.list_rows(agency.connection(), table, retired=True)) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nam": "x"}, "producer has no column nam"),
        ({"": "x"}, "producer has no column"),
        ({'name" = 1 --': "x"}, "producer has no column"),
        ({"id": "7"}, "producer.id is given by the file"),
        ({"created_by": "1"}, "producer.created_by is given by the file"),
        ({"updated_at": "2026-01-31T09:05:00.000Z"}, "producer.updated_at is given by the file"),
        ({"program": "AUTO", "program_id": "1"}, "The same column is given twice"),
    ],
)
def test_a_column_nobody_sets(agency: Database, given: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        rows.set_values("producer", "P1", given)
    with pytest.raises(InvalidError, match=said):
        rows.add("producer", {"code": "N", "name": "N", **given})


def test_text_with_a_nul_is_refused(agency: Database) -> None:
    with pytest.raises(RuleError, match=r"producer\.code holds a NUL"):
        rows.add("producer", {"code": "A\0" + "B" * 99, "name": "x"})


def test_a_column_that_comes_close_is_named(agency: Database) -> None:
    with pytest.raises(InvalidError) as caught:
        rows.add("producer", {"cod": "x"})
    assert caught.value.hint == "Did you mean code?"
    with pytest.raises(InvalidError) as caught:
        rows.add("producer", {"zzz": "x"})
    assert caught.value.hint == "Its columns are: organization_id, code, name, program_id, status_id."


@pytest.mark.parametrize("table", ["no_such", "audit_log", "sqlite_sequence", "", "program; DROP TABLE x"])
def test_a_table_there_is_none_of(edge: Database, table: str) -> None:
    for work in (lambda: rows.add(table, {}), lambda: rows.list_rows(edge.connection(), table)):
        with pytest.raises(NotFoundError, match="There is no table"):
            work()


def test_strange_letters_are_kept(agency: Database) -> None:
    name = "Zoë 😀 ‮\u0007 '; DROP TABLE program; -- % _ \\"
    made = rows.add("producer", {"code": "É=😀", "name": name})
    assert (made["code"], made["name"]) == ("É=😀", name)
    assert rows.show(agency.connection(), "producer", "É=😀")["id"] == made["id"]
    assert rows.list_rows(agency.connection(), "producer", where={"name": name}) == [made]


def test_what_is_so_already_is_not_written(agency: Database) -> None:
    before = rows.show(agency.connection(), "producer", "P1")
    entries = len(audit.entries(agency.connection(), table="producer", limit=100))
    assert rows.set_values("producer", "P1", {"name": "Harbor", "program": "AUTO"}) == before
    assert len(audit.entries(agency.connection(), table="producer", limit=100)) == entries


def test_how_a_row_fares_is_no_new_version(agency: Database) -> None:
    rows.add("integration", {**soundly(agency, "integration"), "integration_name": "n"})
    assert rows.set_values("integration", "n", {"health_status": "healthy"})["version"] == 1
    assert rows.set_values("integration", "n", {"integration_name": "m"})["version"] == 2
    assert rows.set_values("integration", "m", {"integration_name": "m"})["version"] == 2


def test_a_change_is_signed(agency: Database) -> None:
    before = rows.show(agency.connection(), "producer", "P1")
    after = rows.set_values("producer", "P1", {"name": "Pier"})
    assert (before["updated_by"], after["updated_by"], after["created_by"]) == (None, 1, 1)
    assert after["updated_at"] >= before["updated_at"]
    assert after["created_at"] == before["created_at"]


def test_lists_are_filtered_and_cut(agency: Database) -> None:
    connection = agency.connection()
    for number in range(5):
        rows.add("producer", {"code": f"Q{number}", "name": "Quay"})
    assert [row["code"] for row in rows.list_rows(connection, "producer", where={"program": "AUTO"})] == [
        "P1"
    ]
    assert len(rows.list_rows(connection, "producer", where={"program": ""})) == 5
    assert [r["code"] for r in rows.list_rows(connection, "producer", limit=2)] == ["P1", "Q0"]
    rows.retire("producer", "Q0")
    assert len(rows.list_rows(connection, "producer")) == 5
    assert [r["code"] for r in rows.list_rows(connection, "producer", where={"status": "INACTIVE"})] == ["Q0"]
    with pytest.raises(InvalidError, match="has no column nam"):
        rows.list_rows(connection, "producer", where={"nam": "x"})


def test_lists_stand_in_a_sensible_order(edge: Database) -> None:
    connection = edge.connection()
    tiers = [row["code"] for row in rows.list_rows(connection, "license_tier")]
    assert tiers == ["BASIC", "STANDARD", "PREMIUM", "ENTERPRISE"]
    codes = [row["code"] for row in rows.list_rows(connection, "role")]
    assert codes == sorted(codes)


def test_a_table_of_the_users_own_has_them_too(edge: Database) -> None:
    with edge.change():
        edge.connection().execute(
            'CREATE TABLE "my cars" (id INTEGER PRIMARY KEY, plate TEXT NOT NULL UNIQUE, "order by" TEXT)'
        )
    made = rows.add("my cars", {"plate": "NH 1", "order by": "x"})
    assert made == {"id": 1, "plate": "NH 1", "order by": "x"}
    assert rows.set_values("my cars", "NH 1", {"order by": ""})["order by"] is None
    assert rows.list_rows(edge.connection(), "my cars", where={"plate": "NH 1"}) == [
        {**made, "order by": None}
    ]
    with pytest.raises(InvalidError, match="they have no status"):
        rows.retire("my cars", 1)


def test_rows_broken_by_another_tool_are_shown_as_they_are(agency: Database) -> None:
    rows.add("entity", {"code": "E", "name": "E", "entity_type": "API_INTEGRATION", "metadata": "{}"})
    shell = sqlite3.connect(agency.path, isolation_level=None)
    shell.execute("PRAGMA ignore_check_constraints = ON")
    for (name,) in shell.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'entity'"
    ):
        shell.execute(f"DROP TRIGGER {name}")
    shell.execute("UPDATE entity SET metadata = '{broken', program_id = 77")
    shell.close()
    (row,) = rows.list_rows(agency.connection(), "entity", where={"code": "E"})
    assert (row["metadata"], row["program_id"], row["program"]) == ("{broken", 77, None)


def test_a_later_word_has_its_say_in_rows_written_from_python(edge_file: Path) -> None:
    script = """if True:
        import sys, edgekit
        from edgekit import errors, rows
        with edgekit.open(sys.argv[1]):
            try:
                rows.add("configuration_type", {
                    "code": "ODD", "name": "Odd", "applies_to_system": "1",
                    "schema_definition": '{"properties": {"a": {"x-merge": "rubbish"}}}',
                })
            except errors.InvalidError as error:
                print(error.message)
    """
    done = subprocess.run(
        [sys.executable, "-c", script, str(edge_file)], capture_output=True, text=True, check=True
    )
    assert "x-merge" in done.stdout
    with closing(sqlite3.connect(edge_file)) as shell:
        assert shell.execute("SELECT count(*) FROM configuration_type WHERE code = 'ODD'").fetchone() == (0,)
