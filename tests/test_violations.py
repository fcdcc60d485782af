"""Every CHECK, unique index and hand-written trigger of the schema is broken once, by a plain connection.

The cases are tied to the catalogue: a constraint without a case fails here.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import rules, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a row needs beyond its references and defaults. {n} makes rows differ.
ROWS: dict[str, dict[str, Any]] = {
    "status": {"code": "S{n}", "name": "State"},
    "environment": {"code": "E{n}", "name": "Place"},
    "tracked_table": {"name": "own_{n}", "create_sql": "CREATE TABLE own_{n}(id INTEGER PRIMARY KEY)"},
    "schema_migration": {"name": "m{n}", "sha256": "{n:064d}", "app_version": "1"},
    "validation_message": {"table_name": "t", "record_key": "1", "code": "c", "message": "m"},
    "role": {"code": "R{n}", "name": "Role"},
    "license_tier": {"code": "T{n}", "name": "Tier", "tier_rank": 100},
    "relationship_type": {"code": "R{n}", "name": "Relation"},
    "communication_direction": {"code": "D{n}", "name": "Direction"},
    "organization": {"code": "O{n}", "name": "Agency"},
    "user": {"username": "user{n}"},
    "program": {"code": "P{n}", "name": "Program"},
    "producer": {"code": "P{n}", "name": "Producer"},
    "insured": {"customer_number": "C{n}", "name": "Ann"},
    "quote": {"quote_number": "Q{n}"},
    "policy": {"policy_number": "P{n}", "effective_date": "2026-01-01", "expiration_date": "2027-01-01"},
    "driver": {"last_name": "Roe", "license_number": "L{n}", "license_state": "NY"},
    "vehicle": {"vin": "1HGCM82633A{n:06d}"},
    "policy_driver": {},
    "policy_vehicle": {},
    "quote_driver": {},
    "quote_vehicle": {},
    "claim": {"claim_number": "C{n}", "loss_date": "2026-02-01"},
    "entity_category": {"code": "C{n}", "name": "Category"},
    "entity_type": {"code": "T{n}", "name": "Type", "metadata_schema": "{{}}"},
    "entity": {"code": "E{n}", "name": "Service"},
    "entity_reference_type": {"code": "R{n}", "name": "Kind", "table_name": "entity"},
    "encryption_key": {
        "uuid": "{n:036d}",
        "wrapped_key_ciphertext": b"k" * 80,
        "master_fingerprint": "mk-12345678",
        "activated_at": "2026-01-01T00:00:00.000Z",
        "retired_at": "2026-02-01T00:00:00.000Z",
    },
    "vault_use_log": {"actor": "a", "place": "p", "purpose": "p", "process": "p", "correlation_id": "c"},
    "event_source": {"code": "S{n}", "name": "Source"},
    "integration_event": {"uuid": "{n:036d}", "event_type": "t", "event_payload": "{{}}", "correlation_id": "c"},  # noqa: E501
    "integration_type": {"code": "T{n}", "name": "Type"},
    "template_category": {"code": "C{n}", "name": "Shelf"},
    "integration": {"integration_name": "name{n}", "connection_config": "{{}}"},
    "integration_credential": {"uuid": "{n:036d}", "credential_key": "key{n}", "value_ciphertext": b"v" * 40},
    "integration_mapping": {"mapping_name": "m", "source_path": "$.a", "target_path": "t{n}"},
    "integration_pipeline_definition": {"pipeline_name": "p", "pipeline_steps": "{{}}", "status_id": 2},
    "integration_template": {
        "code": "T{n}", "template_name": "t", "version": "1", "connection_template": "{{}}", "mapping_templates": "{{}}",  # noqa: E501
    },
    "integration_template_instance": {"instance_name": "i"},
    "integration_execution": {"uuid": "{n:036d}", "correlation_id": "c"},
    "integration_checkpoint": {"state": "{{}}"},
    "integration_log": {"request_type": "GET", "correlation_id": "c"},
    "dead_letter": {
        "record": "{{}}", "record_digest": "{n:064d}", "source_position": "line 1", "step": "map", "error_code": "e",  # noqa: E501
        "error_message": "m", "correlation_id": "c",
    },
}  # fmt: skip

# By the code of the CHECK: what it must refuse.
BY_CODE: dict[str, Any] = {
    "boolean": 2,
    "time": "2026-01-31 09:05:00",
    "date": "2026-02-30",
    "choice": "nonsense",
    "json_object": "[1]",
}
SPECIAL: dict[str, dict[str, Any]] = {
    "system.id.single": {"id": 2},
    "system.uuid.length": {"uuid": "short"},
    "organization.parent_organization_id.cycle": {"id": 50, "parent_organization_id": 50},
    "policy.currency.format": {"currency": "usd"},
    "policy.expiration_date.order": {"expiration_date": "2026-01-01"},
    "vehicle.vin.length": {"vin": "1HGCM82633A00435"},
    "vehicle.vin.format": {"vin": "1HGCM82633A00435O"},
    "vehicle.model_year.range": {"model_year": 1885},
    "driver.violation_points.range": {"violation_points": 1000},
    "entity_type.color.format": {"color": "#12345G"},
    "encryption_key.retired_at.order": {"retired_at": "2025-01-01T00:00:00.000Z"},
    "integration_mapping.test_coverage.range": {"test_coverage": 100.5},
    "integration_template.certification_date.required": {"is_certified": 1},
    "integration_execution.ended_at.required": {"execution_status": "completed"},
    "integration_execution.resumed_from_id.cycle": {"id": 50, "resumed_from_id": 50},
    "integration_event.processed_at.required": {"processing_status": "processed"},
    "integration_log.response_code.range": {"response_code": 20},
    "dead_letter.settled_at.required": {"replay_status": "replayed"},
}

CHECK = re.compile(
    r'CONSTRAINT "(\w+\.[\w*]+\.\w+)" CHECK \((.*?)\)(?:,?$|,?\s+--| CONSTRAINT)', re.MULTILINE
)
NUMBERS = itertools.count(1)


def _hand_written() -> str:
    return "\n".join(script for file, script in schema.schema_scripts() if not file.startswith("99"))


CHECKS = dict(CHECK.findall(_hand_written()))
TRIGGERS = [
    name
    for name in re.findall(r"^CREATE TRIGGER (\w+)", _hand_written(), re.MULTILINE)
    if not name.startswith("audit_")
]
UNIQUE = [
    (table, index)
    for table, index, origin in schema.pristine().execute(
        "SELECT m.name, i.name, i.origin FROM sqlite_schema m, pragma_index_list(m.name) i"
        " WHERE m.type = 'table' AND i.\"unique\" AND m.name NOT LIKE 'audit%'"
    )
    if origin != "pk" and table != "system"
]


@pytest.fixture
def guarded(edge_file: Path) -> Iterator[sqlite3.Connection]:
    """A file with every trigger, the generated ones too."""
    connection = sqlite3.connect(edge_file, isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def shell(bare_shell: sqlite3.Connection) -> sqlite3.Connection:
    """A file where no generated trigger answers before the rule written by hand."""
    return bare_shell


def sample(shell: sqlite3.Connection, table: str, **values: Any) -> dict[str, Any]:
    """Return a sound row of a table, with the rows it refers to put into the file."""
    n = next(NUMBERS)
    row = {
        column: value.format(n=n) if isinstance(value, str) else value
        for column, value in ROWS[table].items()
    }
    required = shell.execute(
        'SELECT f."from", f."table" FROM pragma_foreign_key_list(?) f JOIN pragma_table_info(?) c ON c.name = f."from"'  # noqa: E501
        ' WHERE c."notnull" AND c.dflt_value IS NULL',
        (table, table),
    ).fetchall()
    for column, parent in required:
        if column not in values:
            row[column] = put(shell, parent, **sample(shell, parent))
    return {**row, **values}


def put(shell: sqlite3.Connection, table: str, **row: Any) -> int:
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    return (
        shell.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', list(row.values())).lastrowid or 0
    )


def refused(shell: sqlite3.Connection, write: Any) -> RuleError:
    with pytest.raises(sqlite3.Error) as caught:
        write()
    ours = rules.translate(caught.value, shell)
    assert isinstance(ours, RuleError)
    return ours


def is_readable(sentence: str) -> bool:
    """Whether it is a sentence for a person and not the engine's or the parser's last resort."""
    jargon = ("CHECK", "constraint", "json_valid", "GLOB", "EK|", "is not as the rule")
    return not any(word in sentence for word in jargon) and sentence[-1] in ".!" and len(sentence) < 250


def bad_value(name: str, condition: str) -> Any:
    """Find a value a CHECK must refuse, from its code and figures."""
    code = name.split(".")[2]
    if code in BY_CODE:
        return "2026-02-30T09:05:00.000Z" if "+0 days" in condition and code == "time" else BY_CODE[code]
    is_bytes = "_ciphertext" in name
    if code == "length" and (match := re.search(r"(?:BETWEEN \d+ AND|<=|=) (\d+)", condition)):
        longer = int(match[1]) + 1
        return b"x" * longer if is_bytes else "x" * longer
    if match := re.search(r">= (\d+)", condition):
        return int(match[1]) - 1
    raise AssertionError(f"{name} has no case: add one to SPECIAL")


def break_check(shell: sqlite3.Connection, name: str) -> RuleError:
    table, column, _ = name.split(".")
    values = SPECIAL.get(name) or {column: bad_value(name, CHECKS[name])}
    if table == "system":
        shell.execute("DROP TRIGGER system_uuid_bu")  # it answers first
        assignment = next(iter(values))
        return refused(
            shell, lambda: shell.execute(f"UPDATE system SET {assignment} = ?", (values[assignment],))
        )
    row = sample(shell, table)
    error = refused(shell, lambda: put(shell, table, **{**row, **values}))
    put(shell, table, **row)  # the same row without the fault is fine
    return error


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_refuses(shell: sqlite3.Connection, name: str) -> None:
    error = break_check(shell, name)
    assert f"{error.table}.{error.column}.{error.code}" == name
    assert is_readable(error.message), error.message


@pytest.mark.parametrize("name", CHECKS)
def test_with_every_trigger_in_place_what_breaks_a_check_is_refused_too(
    guarded: sqlite3.Connection, name: str
) -> None:
    assert break_check(guarded, name).table == name.split(".")[0]


TEXTS = [
    name
    for name, condition in CHECKS.items()
    if condition.startswith("length(") and "BETWEEN 1 AND" in condition and not name.startswith("system.")
]


@pytest.mark.parametrize("name", TEXTS)
def test_a_required_text_is_not_empty(shell: sqlite3.Connection, name: str) -> None:
    table, column, code = name.split(".")
    row = sample(shell, table)
    error = refused(shell, lambda: put(shell, table, **{**row, column: ""}))
    assert (error.table, error.column, error.code) == (table, column, code)
    assert "must not be empty" in error.message


JSON_CHECKS = [name for name in CHECKS if name.endswith(".json_object")]


@pytest.mark.ledger("S0-45")
@pytest.mark.parametrize("name", JSON_CHECKS)
@pytest.mark.parametrize("value", ["{", "", "null", '"text"', "7"])
def test_a_json_column_takes_objects_only(shell: sqlite3.Connection, name: str, value: str) -> None:
    table, column, _ = name.split(".")
    row = sample(shell, table)
    error = refused(shell, lambda: put(shell, table, **{**row, column: value}))
    assert (error.table, error.column, error.code) == (table, column, "json_object")


@pytest.mark.parametrize("value", ["#00ff7F", None])
def test_a_color_is_six_hex_digits_or_nothing(shell: sqlite3.Connection, value: str | None) -> None:
    assert put(shell, "entity_type", **sample(shell, "entity_type", color=value))


@pytest.mark.parametrize(("table", "index"), UNIQUE)
def test_a_unique_index_refuses_a_second(shell: sqlite3.Connection, table: str, index: str) -> None:
    (sql,) = shell.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    parts = [name for (name,) in shell.execute("SELECT name FROM pragma_index_info(?)", (index,))]
    words = set(re.findall(r"\w+", sql[sql.index(" ON ") :])) if sql else set()
    columns = {name for (name,) in shell.execute("SELECT name FROM pragma_table_info(?)", (table,))}
    same = (words | {part for part in parts if part}) & columns
    wanted = {"is_default": 1, "status_id": 1, "retired_at": None, "execution_status": "running"}
    if "entity_id" in same:
        wanted["entity_id"] = put(shell, "entity", **sample(shell, "entity"))
    if "tier_rank" in same:
        wanted["tier_rank"] = 77
    extra = {column: value for column, value in wanted.items() if column in same}
    first = sample(shell, table, **extra)
    key = put(shell, table, **first)
    stored = dict(
        zip(
            same,
            shell.execute(f"SELECT {', '.join(same)} FROM {table} WHERE id = ?", (key,)).fetchone(),
            strict=True,
        )
    )
    second = {**sample(shell, table), **({"tier_rank": 78} if table == "license_tier" else {}), **stored}
    error = refused(shell, lambda: put(shell, table, **second))
    if table == "encryption_key":
        assert error.code == "protected", "its own trigger answers first"
        return
    assert (error.table, error.code) == (table, "unique")
    assert error.column in same
    assert is_readable(error.message), error.message


# A trigger that refuses: the table whose sound row is put in, the statement (? is its id), column and code.
REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "status_active_kept_bi": (
        None,
        "INSERT OR REPLACE INTO status(id, code, name) VALUES (1, 'ACTIVE', 'x')",
        "status.id.protected",
    ),
    "status_active_kept_bu": (None, "UPDATE status SET is_active = 0 WHERE id = 1", "status.id.protected"),
    "status_active_kept_bd": (None, "DELETE FROM status WHERE id = 1", "status.id.protected"),
    "organization_acyclic_bi": (
        "organization",
        (
            "UPDATE organization SET parent_organization_id = 1 WHERE id = ?1;"
            " INSERT OR REPLACE INTO organization(id, code, name, parent_organization_id) VALUES (1, 'MAIN', 'x', ?1)"  # noqa: E501
        ),
        "organization.parent_organization_id.cycle",
    ),
    "organization_acyclic_bu": (
        "organization",
        (
            "UPDATE organization SET parent_organization_id = 1 WHERE id = ?1;"
            " UPDATE organization SET parent_organization_id = ?1 WHERE id = 1"
        ),
        "organization.parent_organization_id.cycle",
    ),
    "system_uuid_bi": (
        None,
        "REPLACE INTO system(id, uuid, name, environment_id) SELECT 1, printf('%036d', 1), name, environment_id FROM system",  # noqa: E501
        "system.uuid.protected",
    ),
    "system_uuid_bu": (None, "UPDATE system SET uuid = printf('%036d', 1)", "system.uuid.protected"),
    "system_kept_bd": (None, "DELETE FROM system", "system.id.protected"),
    "user_system_kept_bi": (
        None,
        "REPLACE INTO user(id, username, created_by) VALUES (9, 'System', 9)",
        "user.id.protected",
    ),
    "user_system_kept_bu": (None, "UPDATE user SET username = 'other' WHERE id = 1", "user.id.protected"),
    "user_kept_bd": ("user", "DELETE FROM user WHERE id = ?1", "user.id.protected"),
    "encryption_key_kept_bd": (
        "encryption_key",
        "DELETE FROM encryption_key WHERE id = ?1",
        "encryption_key.id.protected",
    ),
    "encryption_key_kept_bi": (
        "encryption_key",
        "INSERT OR REPLACE INTO encryption_key SELECT * FROM encryption_key WHERE id = ?1",
        "encryption_key.id.protected",
    ),
    "encryption_key_uuid_bu": (
        "encryption_key",
        "UPDATE encryption_key SET uuid = printf('%036d', 0) WHERE id = ?1",
        "encryption_key.uuid.protected",
    ),
    "encryption_key_retired_bu": (
        "encryption_key",
        "UPDATE encryption_key SET retired_at = NULL WHERE id = ?1",
        "encryption_key.retired_at.final",
    ),
    "integration_connection_config_secret_bi": (
        "integration",
        (
            "INSERT INTO integration(integration_name, integration_type_id, connection_config)"
            """ SELECT 'other', integration_type_id, '{"auth": [{"Api-Key": "k"}]}' FROM integration WHERE id = ?1"""  # noqa: E501
        ),
        "integration.connection_config.secret",
    ),
    "integration_connection_config_secret_bu": (
        "integration",
        """UPDATE integration SET connection_config = '{"clientSecret": "k"}' WHERE id = ?1""",
        "integration.connection_config.secret",
    ),
    "integration_template_connection_template_secret_bi": (
        "integration_template",
        (
            "INSERT INTO integration_template(code, template_name, integration_type_id, template_category_id, version,"  # noqa: E501
            " connection_template, mapping_templates) SELECT 'other', 't', integration_type_id, template_category_id, '1',"  # noqa: E501
            """ '{"password": 1234}', '{}' FROM integration_template WHERE id = ?1"""
        ),
        "integration_template.connection_template.secret",
    ),
    "integration_template_connection_template_secret_bu": (
        "integration_template",
        """UPDATE integration_template SET connection_template = '{"headers": {"Authorization": "x"}}' WHERE id = ?1""",  # noqa: E501
        "integration_template.connection_template.secret",
    ),
    "integration_mapping_rules_bi": (
        "integration_mapping",
        (
            "INSERT INTO integration_mapping(integration_id, mapping_name, source_path, target_path, transformation_rules)"  # noqa: E501
            """ SELECT integration_id, 'm', 'a', 'b', '{"to": 1}' FROM integration_mapping WHERE id = ?1"""
        ),
        "integration_mapping.transformation_rules.type",
    ),
    "integration_mapping_rules_bu": (
        "integration_mapping",
        """UPDATE integration_mapping SET transformation_rules = '{"type": null}' WHERE id = ?1""",
        "integration_mapping.transformation_rules.type",
    ),
    "integration_version_bi": (
        "integration",
        (
            "UPDATE integration SET version = 7 WHERE id = ?1;"
            " REPLACE INTO integration(id, integration_name, integration_type_id, connection_config) SELECT id, integration_name, integration_type_id, '{}' FROM integration WHERE id = ?1"  # noqa: E501
        ),
        "integration.version.order",
    ),
    "integration_version_bu": (
        "integration",
        "UPDATE integration SET version = 7 WHERE id = ?1; UPDATE integration SET version = 6 WHERE id = ?1",
        "integration.version.order",
    ),
    "integration_mapping_version_bi": (
        "integration_mapping",
        (
            "UPDATE integration_mapping SET version = 7 WHERE id = ?1;"
            " REPLACE INTO integration_mapping(id, integration_id, mapping_name, source_path, target_path) SELECT id, integration_id, 'm', 'a', 'b' FROM integration_mapping WHERE id = ?1"  # noqa: E501
        ),
        "integration_mapping.version.order",
    ),
    "integration_mapping_version_bu": (
        "integration_mapping",
        (
            "UPDATE integration_mapping SET version = 7 WHERE id = ?1;"
            " UPDATE integration_mapping SET version = 6 WHERE id = ?1"
        ),
        "integration_mapping.version.order",
    ),
    "integration_pipeline_definition_version_bi": (
        "integration_pipeline_definition",
        (
            "UPDATE integration_pipeline_definition SET version = 7 WHERE id = ?1;"
            " REPLACE INTO integration_pipeline_definition(id, integration_id, pipeline_name, pipeline_steps) SELECT id, integration_id, 'p', '{}' FROM integration_pipeline_definition WHERE id = ?1"  # noqa: E501
        ),
        "integration_pipeline_definition.version.order",
    ),
    "integration_pipeline_definition_version_bu": (
        "integration_pipeline_definition",
        (
            "UPDATE integration_pipeline_definition SET version = 7 WHERE id = ?1;"
            " UPDATE integration_pipeline_definition SET version = 6 WHERE id = ?1"
        ),
        "integration_pipeline_definition.version.order",
    ),
    "integration_credential_uuid_bu": (
        "integration_credential",
        "UPDATE integration_credential SET uuid = printf('%036d', 0) WHERE id = ?1",
        "integration_credential.uuid.protected",
    ),
    "integration_execution_final_bi": (
        "integration_execution",
        (
            "UPDATE integration_execution SET execution_status = 'failed', ended_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1;"  # noqa: E501
            " REPLACE INTO integration_execution(uuid, integration_id, execution_status, correlation_id)"
            " SELECT uuid, integration_id, 'running', 'c' FROM integration_execution WHERE id = ?1"
        ),
        "integration_execution.execution_status.final",
    ),
    "integration_execution_final_bu": (
        "integration_execution",
        (
            "UPDATE integration_execution SET execution_status = 'failed', ended_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1;"  # noqa: E501
            " UPDATE integration_execution SET execution_status = 'running', ended_at = NULL WHERE id = ?1"
        ),
        "integration_execution.execution_status.final",
    ),
}
EFFECTS = {"integration_mapping_types_ai", "integration_mapping_types_au"}


def test_every_trigger_has_a_case() -> None:
    assert {*REFUSALS, *EFFECTS} == set(TRIGGERS)
    assert set(ROWS) >= {name.split(".")[0] for name in CHECKS} - {"system"}


def break_trigger(shell: sqlite3.Connection, name: str) -> RuleError:
    table, statements, _ = REFUSALS[name]
    key = put(shell, table, **sample(shell, table)) if table else 0
    *before, last = statements.split("; ")
    for statement in before:
        shell.execute(statement, (key,))
    return refused(shell, lambda: shell.execute(last, (key,) if "?1" in last else ()))


@pytest.mark.ledger("S4-50")
@pytest.mark.parametrize("name", REFUSALS)
def test_a_trigger_refuses(shell: sqlite3.Connection, name: str) -> None:
    error = break_trigger(shell, name)
    assert f"{error.table}.{error.column}.{error.code}" == REFUSALS[name][2]
    if not name.startswith("integration_mapping"):  # its wording is given
        assert is_readable(error.message), error.message


@pytest.mark.parametrize("name", REFUSALS)
def test_with_every_trigger_in_place_it_is_refused_too(guarded: sqlite3.Connection, name: str) -> None:
    assert break_trigger(guarded, name).table == REFUSALS[name][2].split(".")[0]


def test_a_log_of_its_own_takes_no_row_without_its_parent(guarded: sqlite3.Connection) -> None:
    error = refused(
        guarded, lambda: put(guarded, "integration_log", **{**ROWS["integration_log"], "integration_id": 77})
    )
    assert (error.table, error.column, error.code) == ("integration_log", "integration_id", "reference")


def test_a_setting_may_say_where_a_secret_is(shell: sqlite3.Connection) -> None:
    config = '{"password": {"vault": "password"}, "token_url": "https://127.0.0.1/token", "auth": "bearer"}'
    assert put(shell, "integration", **sample(shell, "integration", connection_config=config))


@pytest.mark.ledger("S4-50", "S4-51")
def test_a_mapping_between_types_is_accepted_with_a_warning(shell: sqlite3.Connection) -> None:
    def warnings() -> list[Any]:
        return shell.execute(
            "SELECT table_name, record_key, code, message FROM validation_message"
        ).fetchall()

    put(shell, "integration_mapping", **sample(shell, "integration_mapping", source_data_type="string"))
    same = {"source_data_type": "string", "target_data_type": "string"}
    key = put(shell, "integration_mapping", **sample(shell, "integration_mapping", **same))
    converts = '{"type": "to_integer"}'
    ruled = {"source_data_type": "string", "target_data_type": "integer", "transformation_rules": converts}
    other = put(shell, "integration_mapping", **sample(shell, "integration_mapping", **ruled))
    assert warnings() == []
    text = "Data type mismatch without transformation: string -> integer"
    shell.execute("UPDATE integration_mapping SET target_data_type = 'integer' WHERE id = ?", (key,))
    assert warnings() == [("integration_mapping", str(key), "type_mismatch", text)]
    shell.execute("UPDATE integration_mapping SET transformation_rules = NULL WHERE id = ?", (other,))
    differs = {"source_data_type": "string", "target_data_type": "integer"}
    third = put(shell, "integration_mapping", **sample(shell, "integration_mapping", **differs))
    assert [key for _, key, _, _ in warnings()] == [str(key), str(other), str(third)]


@pytest.mark.ledger("S4-50")
def test_the_words_about_rules_without_a_type_are_given(shell: sqlite3.Connection) -> None:
    rulesless = sample(shell, "integration_mapping", transformation_rules="{}")
    error = refused(shell, lambda: put(shell, "integration_mapping", **rulesless))
    assert error.message == "Transformation rules must include type"
