"""Configuration in the file: columns, one document per scope, levels, secrets, the views, and the seeds."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import TABLES, checks, columns, holds

from edgekit import models, rules, schema, seeds
from edgekit.audit.retired import value_tables
from edgekit.errors import InvalidError, RuleError

if TYPE_CHECKING:
    from edgekit.db import Database

SIGNED = "status_id>status created_by>user updated_by?>user created_at updated_at"
SAMPLE = str(Path(schema.seed_folder()) / "demo" / "35_configuration.json")
BREAKER = {"circuit_breaker_threshold": "5", "circuit_breaker_timeout_seconds": "60"}
DEFAULTS = {**BREAKER, "max_retry_attempts": "10", "retry_backoff_multiplier": "2"}


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def plan(connection: sqlite3.Connection, sql: str) -> str:
    found = connection.execute("EXPLAIN QUERY PLAN " + sql, [1] * sql.count("?")).fetchall()
    return "\n".join(row[3] for row in found)


def refusal(shell: sqlite3.Connection, sql: str, *values: Any) -> str:
    with pytest.raises(sqlite3.Error) as caught:
        shell.execute(sql, values)
    error = rules.translate(caught.value, shell)
    assert isinstance(error, RuleError)
    return f"{error.table}.{error.column}.{error.code}"


SET = (
    "INSERT INTO configuration(configuration_type_id, scope_type_id, scope_id, organization_id, config_data)"
    " SELECT t.id, s.id, ?3, ?4, ?5 FROM configuration_type t, scope_type s WHERE t.code = ?1 AND s.code = ?2"
)


def put(
    shell: sqlite3.Connection, kind: str, level: str, scope: int | None, organization: int | None, **data: Any
) -> int:
    return shell.execute(SET, (kind, level, scope, organization, json.dumps(data))).lastrowid or 0


@pytest.fixture
def places(shell: sqlite3.Connection) -> sqlite3.Connection:
    """Two organizations, one above the other, with a program each; a producer, an entity and a user."""
    shell.executescript("""
      INSERT INTO organization(id, code, name, parent_organization_id) VALUES (2, 'LOCAL', 'Local office', 1);
      INSERT INTO program(id, code, name, organization_id)
        VALUES (1, 'AUTO', 'Auto', 1), (2, 'AUTO', 'Auto', 2);
      INSERT INTO producer(id, code, name, organization_id) VALUES (1, 'P', 'Producer', 1);
      INSERT INTO entity(id, code, name, entity_type_id, organization_id) VALUES (50, 'E', 'Service', 1, 1);
      INSERT INTO user(id, username, organization_id) VALUES (50, 'maria', 1);
    """)
    return shell


@pytest.mark.ledger("S0-58", "S1-02", "S1-17")
def test_a_type_has_its_columns(catalogue: sqlite3.Connection, shell: sqlite3.Connection) -> None:
    levels = "applies_to_system applies_to_program applies_to_producer applies_to_entity applies_to_user"
    holds(
        catalogue,
        "configuration_type",
        f"code name description? schema_definition? {levels} is_default {SIGNED}",
        ("code",),
    )
    for flag in (*levels.split(), "is_default"):
        assert columns(catalogue, "configuration_type")[flag] == ("INTEGER", 1, "0")
    shell.execute("UPDATE configuration_type SET is_default = 1 WHERE code = 'SYSTEM_CONFIGURATION'")
    second = "UPDATE configuration_type SET is_default = 1 WHERE code = 'DCS_RETRY'"
    assert refusal(shell, second).endswith(".unique")


@pytest.mark.ledger("S0-26", "S0-27", "S0-59", "S1-01", "S1-15")
def test_a_configuration_has_its_columns_and_look_ups(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "configuration",
        "configuration_type_id>configuration_type scope_type_id>scope_type scope_id?"
        f" organization_id?>organization config_data config_metadata? version {SIGNED}",
    )
    assert columns(catalogue, "configuration")["version"] == ("INTEGER", 1, "1")
    assert "parent_configuration_id" not in columns(catalogue, "configuration")
    assert "configuration_hierarchy" not in TABLES
    at_scope = "SELECT * FROM configuration WHERE scope_type_id = ? AND scope_id = ?"
    assert "USING INDEX configuration_scope (scope_type_id=? AND scope_id=?)" in plan(catalogue, at_scope)
    of_type = "SELECT * FROM configuration WHERE configuration_type_id = ?"
    assert "USING INDEX configuration_configuration_type (configuration_type_id=?)" in plan(
        catalogue, of_type
    )
    active = (
        "SELECT * FROM configuration WHERE configuration_type_id = ? AND scope_type_id = ?"
        " AND COALESCE(scope_id, 0) = ? AND COALESCE(organization_id, 0) = ? AND status_id = 1"
    )
    assert "SEARCH configuration USING INDEX configuration_active" in plan(catalogue, active)


@pytest.mark.ledger("S0-64", "S0-117", "S1-22")
def test_levels_are_seeded(catalogue: sqlite3.Connection, edge: Database) -> None:
    holds(catalogue, "scope_type", f"code name description? hierarchy_level table_name? {SIGNED}", ("code",))
    tables = "table_name IN ('program', 'producer', 'entity', 'user')"
    assert checks("scope_type")["scope_type.table_name.choice"] == tables
    found = edge.query("SELECT code, name, hierarchy_level, table_name FROM scope_type ORDER BY id")
    assert [tuple(row.values()) for row in found] == [
        ("SYSTEM", "System", 1, None),
        ("PROGRAM", "Program", 2, "program"),
        ("PRODUCER", "Producer", 3, "producer"),
        ("ENTITY", "Entity", 4, "entity"),
        ("USER", "User", 5, "user"),
    ]
    assert all(row["description"] for row in edge.query("SELECT description FROM scope_type"))
    with edge.change():
        assert models.ScopeType.create(
            code="OFFICE", name="Office", hierarchy_level=6, table_name="entity"
        ).id


@pytest.mark.ledger("S0-33", "S0-62", "S1-14")
def test_of_a_scope_one_document_is_active(places: sqlite3.Connection) -> None:
    for scope in (("SYSTEM", None, None), ("SYSTEM", None, 1), ("PROGRAM", 1, None), ("PROGRAM", 1, 1)):
        level, key, organization = scope
        if scope != ("SYSTEM", None, None):  # that one is seeded
            put(places, "DCS_LIMITS", level, key, organization, daily_limit=1)
        again = refusal(places, SET, "DCS_LIMITS", level, key, organization, "{}")
        assert again.endswith(".unique"), scope
        places.execute(
            SET.replace("config_data)", "config_data, status_id)").replace("?5", "?5, 2"),
            ("DCS_LIMITS", level, key, organization, "{}"),
        )
    put(places, "DCS_RETRY", "PROGRAM", 1, None, daily_limit=1)  # the same key in another type
    revived = "UPDATE configuration SET status_id = 1 WHERE status_id = 2"
    assert refusal(places, revived).endswith(".unique")


@pytest.mark.ledger("S0-61")
def test_a_type_is_set_at_its_levels_only(places: sqlite3.Connection) -> None:
    scopes = {"SYSTEM": None, "PROGRAM": 1, "PRODUCER": 1, "ENTITY": 50, "USER": 50}
    flags = {level: f"applies_to_{level.lower()}" for level in scopes}
    for allowed in scopes:
        places.execute("INSERT INTO configuration_type(code, name) VALUES (?, ?)", (allowed, allowed))
        for level, scope in scopes.items():
            wrong = "configuration.scope_type_id.scope"
            assert refusal(places, SET, allowed, level, scope, None, "{}") == wrong
        on = f"UPDATE configuration_type SET {flags[allowed]} = 1 WHERE code = ?"
        places.execute(on, (allowed,))
        key = put(places, allowed, allowed, scopes[allowed], None)
        for level in set(scopes) - {allowed}:
            assert refusal(places, SET, allowed, level, scopes[level], None, "{}") == wrong
            moved = (
                "UPDATE configuration SET scope_type_id = (SELECT id FROM scope_type WHERE code ="
                " ?), scope_id = ? WHERE id = ?"
            )
            assert refusal(places, moved, level, scopes[level], key) == wrong
        off = on.replace("= 1", "= 0")
        assert refusal(places, off, allowed) == "configuration_type.*.referenced"
        other = (
            "UPDATE configuration SET configuration_type_id = (SELECT id FROM"
            " configuration_type WHERE code = ?) WHERE id = ?"
        )
        places.execute("INSERT INTO configuration_type(code, name) VALUES (?, 'x')", (f"NO_{allowed}",))
        assert refusal(places, other, f"NO_{allowed}", key) == wrong
        places.execute("DELETE FROM configuration WHERE id = ?", (key,))
        places.execute(off, (allowed,))


@pytest.mark.ledger("S0-52", "S0-60")
def test_a_scope_is_a_row_that_exists_and_the_system_none(places: sqlite3.Connection) -> None:
    wrong = "configuration.scope_id.reference"
    for level, scope in (("SYSTEM", 1), ("PROGRAM", None), ("PROGRAM", 99), ("PRODUCER", 2), ("ENTITY", 99)):
        assert refusal(places, SET, "DCS_RETRY", level, scope, None, "{}") == wrong, (level, scope)
    key = put(places, "DCS_RETRY", "PROGRAM", 1, None)
    update = "UPDATE configuration SET scope_id = ? WHERE id = ?"
    for scope in (None, 99):
        assert refusal(places, update, scope, key) == wrong
    assert refusal(places, "DELETE FROM program WHERE id = 1") == "program.id.referenced"
    moved = "UPDATE scope_type SET table_name = 'producer' WHERE code = 'PROGRAM'"
    assert refusal(places, moved) == "scope_type.table_name.referenced"
    places.execute("DELETE FROM program WHERE id = 2")


def test_what_is_set_for_a_scope_is_set_for_its_organization(places: sqlite3.Connection) -> None:
    for level, scope in {"PROGRAM": 1, "PRODUCER": 1, "ENTITY": 50}.items():
        other = "configuration.organization_id.organization"
        assert refusal(places, SET, "DCS_RETRY", level, scope, 2, "{}") == other
        key = put(places, "DCS_RETRY", level, scope, 1)
        moved = "UPDATE configuration SET organization_id = 2 WHERE id = ?"
        assert refusal(places, moved, key) == other
    places.execute("INSERT INTO configuration_type(code, name, applies_to_user) VALUES ('LOOK', 'Look', 1)")
    assert refusal(places, SET, "LOOK", "USER", 50, 2, "{}") == other
    put(places, "LOOK", "USER", 50, 1)
    put(places, "LOOK", "USER", 1, 2)  # the system user belongs to no organization


@pytest.mark.ledger("S1-14")
def test_a_key_stands_once_in_a_document(places: sqlite3.Connection) -> None:
    wrong = "configuration.config_data.unique"
    for twice in ('{"a": 1, "a": 2}', '{"a": 1, "\\u0061": 2}'):
        assert refusal(places, SET, "DCS_RETRY", "PROGRAM", 1, None, twice) == wrong
        assert refusal(places, "UPDATE configuration SET config_data = ?", twice) == wrong
    put(places, "DCS_RETRY", "PROGRAM", 1, None, a={"x": 1}, b={"x": 1})


@pytest.mark.parametrize(
    "data",
    [
        {"password": "x"},
        {"auth": {"api-key": "x"}},
        {"list": [{"Client_Secret": "x"}]},
        {"token": 5},
        {"private_key": ["x"]},
    ],
)
def test_no_key_is_named_like_a_secret(places: sqlite3.Connection, data: dict[str, Any]) -> None:
    wrong = "configuration.config_data.secret"
    assert refusal(places, SET, "DCS_CREDENTIALS", "PROGRAM", 1, None, json.dumps(data)) == wrong
    key = put(places, "DCS_CREDENTIALS", "PROGRAM", 1, None, account_number="A1", token_url="https://x")
    update = "UPDATE configuration SET {} = ? WHERE id = ?"
    assert refusal(places, update.format("config_data"), json.dumps(data), key) == wrong
    noted = update.format("config_metadata")
    assert refusal(places, noted, json.dumps(data), key) == "configuration.config_metadata.secret"
    with_note = SET.replace("config_data)", "config_data, config_metadata)").replace("?5", "'{}', ?5")
    made = refusal(places, with_note, "DCS_CREDENTIALS", "SYSTEM", None, None, json.dumps(data))
    assert made == "configuration.config_metadata.secret"
    places.execute(noted, ('{"account_number": {"note": "ours"}}', key))


@pytest.mark.ledger("S0-70", "S0-71", "S1-18", "S1-54")
def test_types_and_values_of_the_system_are_seeded(edge: Database) -> None:
    kinds = {row["code"]: row for row in edge.query("SELECT * FROM configuration_type")}
    for code, name in (
        ("DCS_CONNECTION", "DCS Connection Settings"),
        ("DCS_CREDENTIALS", "DCS Credentials"),
        ("DCS_LIMITS", "DCS Rate Limits"),
        ("DCS_MAPPING", "DCS Field Mapping"),
        ("DCS_RETRY", "DCS Retry Policy"),
    ):
        row = kinds[code]
        assert (row["name"], row["is_default"], row["status_id"]) == (name, 0, 1)
        assert (row["applies_to_system"], row["applies_to_program"]) == (1, 1)
    assert {"SYSTEM_CONFIGURATION", "TEMPLATE_CONFIGURATION", "DEPLOYMENT_CONFIGURATION"} <= set(kinds)
    assert kinds["COMMUNICATION_DEFAULTS"]["applies_to_system"] == 1
    assert kinds["COMMUNICATION_DEFAULTS"]["applies_to_program"] == 1
    found = edge.query(
        "SELECT configuration_type, config_data FROM configuration c JOIN (SELECT DISTINCT configuration_id,"
        " configuration_type, scope FROM v_configuration_item) i ON i.configuration_id = c.id"
        " WHERE i.scope = 'SYSTEM'"
    )
    assert {row["configuration_type"]: json.loads(row["config_data"]) for row in found} == {
        "COMMUNICATION_DEFAULTS": {
            "default_timeout_seconds": 30,
            "default_retry_attempts": 3,
            "max_retry_attempts": 10,
            "retry_backoff_multiplier": 2,
            "circuit_breaker_threshold": 5,
            "circuit_breaker_timeout_seconds": 60,
        },
        "DCS_CONNECTION": {"base_url": "https://ws.dcsinfosys.com:442", "timeout_seconds": 30},
        "DCS_LIMITS": {"requests_per_minute": 100, "daily_limit": 10000},
        "DCS_RETRY": {"max_retries": 3, "retry_delay_ms": 1000},
        "SYSTEM_CONFIGURATION": {
            "workflow_max_retries": 3,
            "schedule_timeout_seconds": 300,
            "transformation_timeout_seconds": 30,
        },
    }


@pytest.mark.ledger("S0-11")
def test_operational_figures_are_no_columns_of_types(catalogue: sqlite3.Connection) -> None:
    figures = re.compile("timeout|retr|attempt|backoff|breaker|delay|limit")
    for table in value_tables(catalogue):
        assert not [name for name in columns(catalogue, table) if figures.search(name)], table


def test_a_type_states_what_its_documents_follow(edge: Database) -> None:
    documents = {row["type"]: json.loads(row["data"]) for row in edge.query(
        "SELECT t.code AS type, c.config_data AS data FROM configuration c"
        " JOIN configuration_type t ON t.id = c.configuration_type_id"
    )}  # fmt: skip
    for kind in models.ConfigurationType.select():
        assert kind.schema_definition["type"] == "object", kind.code
        stated = {
            key: rule["default"]
            for key, rule in kind.schema_definition.get("properties", {}).items()
            if "default" in rule
        }
        document = documents.get(kind.code, stated)  # of some the schema alone says it all
        assert stated == {key: document[key] for key in stated}, kind.code


def effective(connection: Any, program: int | None, kind: str, organization: int = 1) -> dict[str, str]:
    sql = (
        "SELECT config_key, config_value FROM v_effective_configuration"
        " WHERE program_id IS ? AND organization_id = ? AND configuration_type = ?"
    )
    return {row[0]: row[1] for row in connection.execute(sql, (program, organization, kind)).fetchall()}


@pytest.mark.ledger("S0-34", "S0-72", "S0-73", "S1-19", "S1-31")
def test_a_program_overrides_the_keys_it_sets(edge: Database) -> None:
    with edge.change():
        auto = models.Program.create(code="AUTO", name="Auto")
        home = models.Program.create(code="HOME", name="Home")
    assert seeds.apply([SAMPLE]) == {"configuration": 3}
    assert seeds.apply([SAMPLE]) == {"configuration": 0}
    connection = edge.connection()
    own = {"default_timeout_seconds": "45", "default_retry_attempts": "5", **DEFAULTS}
    assert effective(connection, auto.id, "COMMUNICATION_DEFAULTS") == own
    shared = {"default_timeout_seconds": "30", "default_retry_attempts": "3", **DEFAULTS}
    assert effective(connection, home.id, "COMMUNICATION_DEFAULTS") == shared
    assert effective(connection, None, "COMMUNICATION_DEFAULTS") == shared
    ours = {"account_number": "PROG1_12345", "department_id": "4"}
    assert effective(connection, auto.id, "DCS_CREDENTIALS") == ours
    assert effective(connection, home.id, "DCS_CREDENTIALS") == {}
    limits = {"requests_per_minute": "50", "daily_limit": "10000"}
    assert effective(connection, auto.id, "DCS_LIMITS") == limits
    assert effective(connection, home.id, "DCS_LIMITS")["requests_per_minute"] == "100"


def test_the_effective_value_follows_the_organization(places: sqlite3.Connection) -> None:
    def limits(program: int | None, organization: int) -> tuple[str, str]:
        found = effective(places, program, "DCS_LIMITS", organization)
        return found["requests_per_minute"], found["daily_limit"]

    assert limits(2, 2) == ("100", "10000")
    put(places, "DCS_LIMITS", "SYSTEM", None, 1, requests_per_minute=80, daily_limit=800)
    assert limits(None, 1) == limits(1, 1) == limits(2, 2) == ("80", "800")  # the organization above
    put(places, "DCS_LIMITS", "SYSTEM", None, 2, daily_limit=700)
    assert (limits(2, 2), limits(None, 2), limits(1, 1)) == (("80", "700"), ("80", "700"), ("80", "800"))
    put(places, "DCS_LIMITS", "PROGRAM", 2, None, requests_per_minute=60, daily_limit=600)
    assert (limits(2, 2), limits(None, 2), limits(1, 1)) == (("60", "600"), ("80", "700"), ("80", "800"))
    own = put(places, "DCS_LIMITS", "PROGRAM", 2, 2, requests_per_minute=50)
    assert limits(2, 2) == ("50", "700")  # of a program one document counts
    places.execute("UPDATE configuration SET status_id = 2 WHERE id = ?", (own,))
    assert limits(2, 2) == ("60", "600")
    places.execute("UPDATE configuration_type SET status_id = 2 WHERE code = 'DCS_LIMITS'")
    assert effective(places, 2, "DCS_LIMITS", 2) == {}


@pytest.mark.ledger("S1-13")
def test_a_document_is_read_key_by_key(places: sqlite3.Connection) -> None:
    data = {"t": "text", "i": 7, "r": 1.5, "b": True, "f": False, "n": None, "o": {"a": [1]}, 'q"x': 1}
    key = put(places, "DEPLOYMENT_CONFIGURATION", "SYSTEM", None, None, **data)
    note = '{"t": {"unit": "s"}, "i": "a note", "other": 1}'
    places.execute("UPDATE configuration SET config_metadata = ? WHERE id = ?", (note, key))
    sql = (
        "SELECT config_key, config_value, config_metadata, scope, scope_id FROM"
        " v_configuration_item WHERE configuration_id = ?"
    )
    found = {row[0]: row[1:] for row in places.execute(sql, (key,))}
    assert {name: row[0] for name, row in found.items()} == {
        "t": "text", "i": "7", "r": "1.5", "b": "true", "f": "false", "n": None, "o": '{"a":[1]}', 'q"x': "1",
    }  # fmt: skip
    assert (found["t"][1], found["i"][1], found["r"][1]) == ('{"unit":"s"}', '"a note"', None)
    assert {row[2:] for row in found.values()} == {("SYSTEM", None)}


def test_a_seed_names_the_row_of_a_scope(edge: Database, tmp_path: Path) -> None:
    def applied(scope: Any) -> None:
        path = tmp_path / "own.json"
        row = {
            "configuration_type_id": "DCS_RETRY",
            "scope_type_id": "USER",
            "scope_id": scope,
            "config_data": {},
        }
        path.write_text(json.dumps({"configuration": [row]}), encoding="utf-8")
        seeds.apply([str(path)])

    for scope, words in (
        ({"program": "NONE"}, "no code of program"),
        ({"nothing": "X"}, "nothing"),
        ({"program": "A", "producer": "B"}, "one row"),
    ):
        with pytest.raises(InvalidError, match=words):
            applied(scope)
    with edge.change():
        models.ConfigurationType.update(applies_to_user=True).execute()
    applied({"user": "system"})
    assert edge.query("SELECT scope_id FROM v_configuration_item WHERE scope = 'USER'") == []
    assert edge.query("SELECT scope_id FROM configuration WHERE scope_type_id = 5") == [{"scope_id": 1}]
