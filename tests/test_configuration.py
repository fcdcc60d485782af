"""Configuration as it is set, resolved, explained and taken back, and the views that must say the same."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit import cache, clock, configuration, masking, models, rows, schema, seeds, sqlite
from edgekit.cli.root import edgekit as command
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from edgekit.db import Database

SAMPLE = str(Path(schema.seed_folder()) / "demo" / "35_configuration.json")
BREAKER = {"circuit_breaker_threshold": 5, "circuit_breaker_timeout_seconds": 60}
DEFAULTS = {"max_retry_attempts": 10, "retry_backoff_multiplier": 2, **BREAKER}
LIMIT = ("DCS_LIMITS", "requests_per_minute")
MIXED = {
    "type": "object",
    "properties": {
        "plain": {"default": 1},
        "tags": {"x-merge": "append", "default": ["base"]},
        "layout": {"x-merge": "deep", "default": {"a": 1, "b": {"c": 2}}},
        "capped": {"x-final": "organization"},
        "fixed": {"x-final": "system", "default": 7},
        "both": {"x-merge": "deep", "x-final": "organization"},
    },
}


@pytest.fixture
def agency(edge: Database) -> Database:
    """Two programs, a producer, and entities of one, of the other, and of none."""
    with edge.change():
        auto = models.Program.create(code="AUTO", name="Auto")
        home = models.Program.create(code="HOME", name="Home")
        north = models.Producer.create(code="NORTH", name="North")
        for code, program, producer in (("DMV", auto, None), ("MVR", home, north), ("VIN", None, north)):
            models.Entity.create(
                code=code, name=code, entity_type=1, program=program, producer=producer, organization=1
            )
        models.User.create(username="maria", organization=1)
    return edge


@pytest.fixture
def mixed(agency: Database) -> Database:
    """A type with every way of merging, set at every level."""
    with agency.change():
        levels = {
            f"applies_to_{level}": True for level in ("system", "program", "producer", "entity", "user")
        }
        models.ConfigurationType.create(code="MIXED", name="Mixed", schema_definition=MIXED, **levels)
    return agency


def written(edge: Database) -> list[tuple[str, dict[str, Any]]]:
    found = edge.query("SELECT event_type, event_payload FROM integration_event ORDER BY id")
    return [(row["event_type"], json.loads(row["event_payload"])) for row in found]


# ------------------------------------------------------------------------------------------- what counts


@pytest.mark.ledger("S0-65", "S0-72", "S0-73", "S1-22")
def test_an_entity_of_the_program_gets_its_values_and_another_the_systems(agency: Database) -> None:
    seeds.apply([SAMPLE])
    own = {"default_timeout_seconds": 45, "default_retry_attempts": 5, **DEFAULTS}
    shared = {"default_timeout_seconds": 30, "default_retry_attempts": 3, **DEFAULTS}
    assert configuration.resolve("COMMUNICATION_DEFAULTS", entity="DMV") == own
    assert configuration.resolve("communication_defaults", program="AUTO") == own
    assert configuration.resolve("COMMUNICATION_DEFAULTS", entity="MVR") == shared
    assert configuration.resolve("COMMUNICATION_DEFAULTS", entity="VIN") == shared
    assert configuration.resolve("COMMUNICATION_DEFAULTS") == shared
    assert configuration.resolve("DEPLOYMENT_CONFIGURATION") == {}


@pytest.mark.ledger("S1-19", "S1-27", "S1-28", "S1-30", "S1-31")
def test_the_view_of_a_service_says_what_the_resolver_says(agency: Database) -> None:
    seeds.apply([SAMPLE])
    sql = (
        "SELECT config_type, config_key, config_value FROM v_effective_dcs_configuration"
        " WHERE program_id = ? AND integration_type = 'DCS_DRIVER_API' ORDER BY 1, 2"
    )
    found = [tuple(row.values()) for row in agency.query(sql, (1,))]
    assert found == [
        ("DCS_CONNECTION", "base_url", "https://ws.dcsinfosys.com:442"),
        ("DCS_CONNECTION", "timeout_seconds", "30"),
        ("DCS_CREDENTIALS", "account_number", "PROG1_12345"),
        ("DCS_CREDENTIALS", "department_id", "4"),
        ("DCS_LIMITS", "daily_limit", "10000"),
        ("DCS_LIMITS", "requests_per_minute", "50"),
        ("DCS_RETRY", "max_retries", "3"),
        ("DCS_RETRY", "retry_delay_ms", "1000"),
    ]
    assert [(k, n, str(configuration.get(k, n, program="AUTO"))) for k, n, _ in found] == found
    second = {(row["config_type"], row["config_key"]): row["config_value"] for row in agency.query(sql, (2,))}
    assert second["DCS_LIMITS", "requests_per_minute"] == "100"
    assert not [kind for kind, _ in second if kind == "DCS_CREDENTIALS"]
    assert configuration.resolve("DCS_CREDENTIALS", program="HOME") == {}


def test_limits_and_retries_resolve_per_program(agency: Database) -> None:
    seeds.apply([SAMPLE])
    assert configuration.resolve("DCS_LIMITS", program="AUTO") == {
        "requests_per_minute": 50,
        "daily_limit": 10000,
    }
    assert configuration.resolve("DCS_LIMITS", program="HOME") == {
        "requests_per_minute": 100,
        "daily_limit": 10000,
    }
    assert configuration.resolve("DCS_RETRY", program="AUTO") == {"max_retries": 3, "retry_delay_ms": 1000}
    breaker = configuration.resolve("COMMUNICATION_DEFAULTS", program="AUTO")
    assert {key: breaker[key] for key in BREAKER} == BREAKER


@pytest.mark.ledger("S0-33", "S0-34", "S0-67")
def test_each_level_overrides_the_keys_it_sets(mixed: Database) -> None:
    place = {"entity": "MVR", "user": "maria"}
    levels = ("system", "organization", "program:HOME", "producer:NORTH", "entity:MVR", "user:maria")
    for number, level in enumerate(levels):
        configuration.set("MIXED", "plain", number, scope=level)
        configuration.set("MIXED", f"only_{number}", level, scope=level)
        found = configuration.resolve("MIXED", **place)
        assert found["plain"] == number
        assert [found[f"only_{n}"] for n in range(number + 1)] == list(levels[: number + 1])
    assert configuration.get("MIXED", "plain", entity="MVR") == 4
    assert configuration.get("MIXED", "plain", program="AUTO") == 1


@pytest.mark.ledger("S0-68")
def test_only_active_documents_of_an_active_type_count_and_the_latest_of_two(agency: Database) -> None:
    configuration.set(*LIMIT, 50, scope="program:AUTO")
    with agency.change():
        run = agency.connection().execute
        state = run("INSERT INTO status(code, name, is_active) VALUES ('TRIAL', 'Trial', 1)").lastrowid
        second = run(
            "INSERT INTO configuration(configuration_type_id, scope_type_id, scope_id, organization_id,"
            " config_data, version, status_id) SELECT configuration_type_id, scope_type_id, scope_id,"
            " organization_id, '{\"requests_per_minute\":60}', 7, ? FROM configuration WHERE scope_id = 1",
            (state,),
        ).lastrowid
    assert configuration.get(*LIMIT, program="AUTO") == 60
    assert effective(agency, 1, 1, "DCS_LIMITS")["requests_per_minute"] == "60"
    with agency.change():
        models.Configuration.update(status=2).where(models.Configuration.id == second).execute()
    assert configuration.get(*LIMIT, program="AUTO") == 50
    with agency.change():
        models.Configuration.delete().where(models.Configuration.id == second).execute()
        models.Configuration.update(status=2).where(models.Configuration.scope_id == 1).execute()
    assert configuration.get(*LIMIT, program="AUTO") == 100
    assert effective(agency, 1, 1, "DCS_LIMITS")["requests_per_minute"] == "100"
    with agency.change():
        models.ConfigurationType.update(status=2).where(
            models.ConfigurationType.code == "DCS_LIMITS"
        ).execute()
    assert configuration.resolve("DCS_LIMITS", program="AUTO") == {}
    assert {c.outcome for c in configuration.explain(*LIMIT, program="AUTO").candidates} == {"retired"}
    with pytest.raises(InvalidError, match="DCS_LIMITS is retired"):
        configuration.set(*LIMIT, 70)


def test_a_schema_states_how_keys_are_merged_and_locked(mixed: Database) -> None:
    configuration.set("MIXED", "tags", ["system"], scope="system")
    configuration.set("MIXED", "tags", ["home"], scope="program:HOME")
    configuration.set("MIXED", "layout", {"b": {"c": None, "d": 3}}, scope="program:HOME")
    configuration.set("MIXED", "capped", 5, scope="organization")
    home = configuration.resolve("MIXED", program="HOME")
    assert home["tags"] == ["base", "system", "home"]
    assert home["layout"] == {"a": 1, "b": {"d": 3}}
    assert configuration.resolve("MIXED", program="AUTO")["layout"] == {"a": 1, "b": {"c": 2}}
    for key, level, narrower in (
        ("capped", "organization", "program:HOME"),
        ("fixed", "system", "organization"),
    ):
        with pytest.raises(DeniedError, match=f"MIXED {key} is locked at the level {level}") as caught:
            configuration.set("MIXED", key, 9, scope=narrower)
        assert "explain" in str(caught.value.hint)
    with mixed.change():  # set before it was locked, or by another tool
        row = models.Configuration.get(models.Configuration.scope_id == 2)
        row.config_data = {**row.config_data, "capped": 99}
        row.save()
    assert configuration.get("MIXED", "capped", program="HOME") == 5
    home["tags"].append("mine")
    home["layout"]["b"]["d"] = 0
    assert configuration.resolve("MIXED", program="HOME")["layout"] == {"a": 1, "b": {"d": 3}}
    assert configuration.get("MIXED", "tags", program="HOME") == ["base", "system", "home"]


def effective(edge: Database, organization: int, program: int | None, kind: str) -> dict[str, Any]:
    found = edge.query(
        "SELECT config_key, config_value FROM v_effective_configuration WHERE organization_id = ?"
        " AND program_id IS ? AND configuration_type = ?",
        (organization, program, kind),
    )
    assert len({row["config_key"] for row in found}) == len(found)
    return {row["config_key"]: row["config_value"] for row in found}


def as_stored(value: Any) -> Any:
    """Write a value as the views do, containers as what they hold."""
    if isinstance(value, dict | list):
        return value
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def as_read(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) and text[:1] in {"{", "["} else text


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from(["", "text", "5", 'q"x', "é"]),
    st.sampled_from([0.5, -2.25]), st.lists(st.integers(0, 3), max_size=2),
    st.just([{"x": [None, True, "a"]}]),
    st.dictionaries(st.sampled_from(["a", "b"]),
                    st.one_of(st.none(), st.integers(0, 3), st.just({"c": None, "d": 1})), max_size=2),
)  # fmt: skip
DOCUMENTS = st.dictionaries(st.sampled_from([*MIXED["properties"], "free"]), VALUES, max_size=5)
PLACES = (  # scope type, scope id, organization
    (1, None, None), (1, None, 1), (1, None, 2), (2, 1, None), (2, 1, 1), (2, 3, 2), (2, 2, None),
)  # fmt: skip


@pytest.mark.ledger("S1-31")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    documents=st.lists(st.tuples(st.sampled_from(PLACES), DOCUMENTS, st.sampled_from([1, 1, 1, 2])),
                  max_size=7, unique_by=lambda row: (row[0], row[2]))
)  # fmt: skip
def test_the_view_and_the_resolver_agree(mixed: Database, documents: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError), mixed.change():
        run = mixed.connection().execute
        run("INSERT INTO organization(id, code, name, parent_organization_id) VALUES (2, 'B', 'x', 1)")
        run("INSERT INTO program(id, code, name, organization_id) VALUES (3, 'BRANCH', 'x', 2)")
        for (level, key, owner), content, status in documents:
            run(
                "INSERT INTO configuration(configuration_type_id, scope_type_id, scope_id, organization_id,"
                " config_data, status_id) SELECT id, ?, ?, ?, ?, ? FROM configuration_type"
                " WHERE code = 'MIXED'",
                (level, key, owner, json.dumps(content), status),
            )
        for owner, program in ((1, None), (2, None), (1, 1), (1, 2), (2, 3)):
            found = configuration.resolve("MIXED", organization=owner, program=program)
            view = effective(mixed, owner, program, "MIXED")
            assert {k: as_read(v) for k, v in view.items()} == {
                k: as_read(as_stored(v)) for k, v in found.items()
            }
            items = {
                (row["configuration_id"], row["config_key"]): as_read(row["config_value"])
                for row in mixed.query(
                    "SELECT * FROM v_configuration_item WHERE configuration_type = 'MIXED'"
                )
            }
            for key, value in found.items():
                told = configuration.explain("MIXED", key, organization=owner, program=program)
                assert (told.value, told.is_set) == (value, True)
                assert {c.outcome for c in told.candidates} & {"wins", "merged"}
                for one in told.candidates:
                    if one.configuration_id is not None:
                        assert items[one.configuration_id, key] == as_read(as_stored(one.value))
        raise ZeroDivisionError


# ----------------------------------------------------------------------------------------- set and unset


@pytest.mark.ledger("S3-43", "S2-35", "S3-03", "S0-62", "S0-128")
def test_every_change_is_a_version_and_an_event_and_seen_at_once(agency: Database) -> None:
    assert configuration.get(*LIMIT, program="AUTO") == 100
    first = configuration.set(*LIMIT, 50, scope="program:AUTO")
    assert (first.type, first.scope, first.version, first.keys) == (
        "DCS_LIMITS", "program AUTO", 1, ("requests_per_minute",),
    )  # fmt: skip
    assert configuration.get(*LIMIT, program="AUTO") == 50
    assert configuration.set(*LIMIT, 50, scope="program:AUTO").keys == ()
    assert configuration.set("DCS_LIMITS", "daily_limit", 500, scope="program:auto").version == 2
    assert configuration.unset(*LIMIT, scope="program:AUTO").version == 3
    assert configuration.resolve("DCS_LIMITS", program="AUTO") == {
        "requests_per_minute": 100,
        "daily_limit": 500,
    }
    events = written(agency)
    assert [(kind, told["version"], told["keys"]) for kind, told in events] == [
        ("configuration.changed", 1, ["requests_per_minute"]),
        ("configuration.changed", 2, ["daily_limit"]),
        ("configuration.changed", 3, ["requests_per_minute"]),
    ]
    assert events[0][1] == {
        "type": "DCS_LIMITS", "scope": "PROGRAM", "scope_id": 1, "organization_id": 1, "configuration_id": 6,
        "version": 1, "keys": ["requests_per_minute"],
    }  # fmt: skip
    one = agency.query(
        "SELECT e.correlation_id = x.correlation_id AS same, s.code FROM integration_event e"
        " JOIN event_source s ON s.id = e.event_source_id JOIN audit_log l ON l.table_id ="
        " (SELECT id FROM audit_table WHERE name = 'integration_event') AND l.record_key = e.id"
        " JOIN audit_transaction x ON x.id = l.txn_id ORDER BY e.id LIMIT 1"
    )
    assert one == [{"same": 1, "code": "CONFIGURATION"}]
    with pytest.raises(ZeroDivisionError), agency.change():
        configuration.set(*LIMIT, 5, scope="program:AUTO")
        assert configuration.get(*LIMIT, program="AUTO") == 5
        raise ZeroDivisionError
    assert len(written(agency)) == 3
    assert configuration.get(*LIMIT, program="AUTO") == 100


@pytest.mark.ledger("S0-42", "S0-69", "S1-52", "S3-86")
def test_what_is_resolved_is_kept_until_something_it_is_made_of_changes(
    agency: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [1000.0]
    monkeypatch.setattr(cache, "clock", lambda: moments[0])
    statements: list[str] = []
    agency.connection().set_trace_callback(statements.append)

    def limit() -> tuple[int, bool]:
        statements.clear()
        found = configuration.get(*LIMIT, program="AUTO")
        return found, any("FROM configuration " in sql for sql in statements)

    assert limit() == (100, True)
    assert limit() == (100, False)
    other = sqlite.connect(agency.path)
    other.execute("INSERT INTO event_source(code, name) VALUES ('P', 'x')")
    moments[0] += 0.01
    assert limit() == (100, False)
    set_at = (
        "UPDATE configuration SET config_data = '{\"requests_per_minute\": 70}', version = 2 WHERE id = 3"
    )
    other.execute(set_at)
    other.close()
    moments[0] += 0.01
    assert limit() == (70, True)
    moments[0] += 30 * 60
    assert limit() == (70, True)
    agency.connection().set_trace_callback(None)


@pytest.mark.ledger("S0-63")
@pytest.mark.parametrize(
    ("key", "value", "said", "hint"),
    [
        ("requests_per_minute", "many", '"many" is not a whole number', "a whole number, at least 1"),
        ("requests_per_minute", 0, "0 is less than 1", "at least 1"),
        ("requests_per_minute", None, "null is not a whole number", "a whole number"),
        ("request_per_minute", 5, "has no key request_per_minute", "Did you mean requests_per_minute?"),
        ("zzz", 5, "has no key zzz", "Keys are requests_per_minute, daily_limit."),
    ],
)
def test_what_the_schema_does_not_allow_is_refused_by_name(
    agency: Database, key: str, value: Any, said: str, hint: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        configuration.set("DCS_LIMITS", key, value, scope="program:AUTO")
    assert "DCS_LIMITS" in caught.value.message
    assert said in caught.value.message
    assert hint in str(caught.value.hint)
    assert written(agency) == []


def test_what_stood_there_wrong_already_does_not_keep_another_key_from_being_set(agency: Database) -> None:
    with agency.change():
        models.Configuration.create(
            configuration_type=4, scope_type=2, scope_id=1, config_data={"daily_limit": "x", "old": 1}
        )
    configuration.set(*LIMIT, 50, scope="program:AUTO")
    with pytest.raises(InvalidError, match="daily_limit"):
        configuration.set("DCS_LIMITS", "daily_limit", "y", scope="program:AUTO")
    configuration.unset("DCS_LIMITS", "old", scope="program:AUTO")
    assert configuration.export_scope("program:AUTO")["documents"]["DCS_LIMITS"]["requests_per_minute"] == 50


def test_unknown_names_say_what_comes_close(agency: Database) -> None:
    configuration.set(*LIMIT, 50, scope="program:AUTO")
    for call, hint in (
        (lambda: configuration.resolve("DCS_LIMIT"), "Did you mean DCS_LIMITS"),
        (lambda: configuration.get("DCS_LIMITS", "dayly_limit"), "Did you mean daily_limit?"),
        (lambda: configuration.get("DCS_LIMITS", "x"), "Keys are daily_limit, requests_per_minute."),
        (lambda: configuration.get("DCS_CREDENTIALS", "account_number"), "configuration set DCS_CREDENTIALS"),
        (lambda: configuration.set(*LIMIT, 5, scope="program:AUTOO"), "Did you mean AUTO?"),
        (
            lambda: configuration.unset("DCS_LIMITS", "daily_limit", scope="program:AUTO"),
            "requests_per_minute",
        ),
        (lambda: configuration.explain("DCS_LIMITS", "dayly_limit"), "Did you mean daily_limit?"),
        (lambda: configuration.diff("DCS_LIMITS", 1, 9, scope="program:AUTO"), "Versions are 1."),
    ):
        with pytest.raises(NotFoundError) as caught:
            call()
        assert hint in str(caught.value.hint)
    assert configuration.get("DCS_CREDENTIALS", "account_number", default="none") == "none"
    with pytest.raises(InvalidError, match="SYSTEM_CONFIGURATION is not set for a program") as refused:
        configuration.set("SYSTEM_CONFIGURATION", "workflow_max_retries", 1, scope="program:AUTO")
    assert refused.value.hint == "Its levels are system, organization."


@pytest.mark.ledger("S2-34")
def test_a_secret_is_refused_and_sent_to_the_vault(mixed: Database) -> None:
    with mixed.change():
        marked = {"type": "object", "properties": {"pin": {"writeOnly": True}}}
        models.ConfigurationType.create(
            code="MARKED", name="Marked", schema_definition=marked, applies_to_system=True
        )
    for kind, key, value in (
        ("MIXED", "api_key", "k-123"), ("MIXED", "auth", {"Client-Secret": "k-123"}),
        ("MARKED", "pin", "k-123"), ("MIXED", "token", ["k-123"]),
        ("MIXED", "list", [{"deep": {"pass phrase": 7}}]), ("MIXED", "list", [[{"token": "k-123"}]]),
        ("MIXED", "smtp_password", "k-123"), ("MIXED", "billing-api-key", "k-123"),
        ("MIXED", "plain", "https://maria:k-123@example.com/"),
        ("MIXED", "tags", ["https://example.com/?api_key=k-123"]),
    ):  # fmt: skip
        with pytest.raises(InvalidError) as caught:
            configuration.set(kind, key, value)
        assert "edgekit vault set INTEGRATION KEY" in str(caught.value.hint)
        assert "k-123" not in caught.value.message
    configuration.set("MIXED", "auth", {"token_url": "https://x", "secret": True})
    configuration.set("MIXED", "plain", {"max_tokens": 5, "keep_password": True, "password": {"vault": "DB"}})
    listed = {name for (name,) in mixed.connection().execute("SELECT * FROM secret_name")}
    assert listed == masking.SECRET_KEYS


def test_a_value_is_one_that_every_reader_can_hold(mixed: Database) -> None:
    def nested(levels: int) -> Any:
        return json.loads("[" * levels + "]" * levels)

    configuration.set("MIXED", "plain", [nested(63), {"least": -(2**63)}])
    assert configuration.get("MIXED", "plain")[1] == {"least": -(2**63)}
    for key, value, words in (
        ("plain", nested(65), "more than 64 levels"), ("plain", {"a": [2**63]}, "largest whole number"),
        ("", 5, "has a name"),
    ):  # fmt: skip
        with pytest.raises(InvalidError, match=words):
            configuration.set("MIXED", key, value)


def test_a_schema_is_looked_at_when_its_row_is_written(edge_file: Path) -> None:
    for schema_definition, words in (
        ('{"properties": []}', "schema_definition: "),
        ('{"type": "bogus"}', "schema_definition: "),
        ('{"properties": {"a": {"x-merge": "sideways"}}}', "x-merge 'sideways'"),
        ('{"properties": {"a": {"x-final": "moon"}}}', "x-final 'moon'"),
    ):
        args = ["configuration-types", "set", "DCS_LIMITS", f"schema_definition={schema_definition}"]
        done = CliRunner().invoke(command, ["--db", str(edge_file), *args])
        assert (done.exit_code, words in done.output) == (4, True), done.output


@pytest.mark.parametrize("properties", ["[]", "5", "null"])
def test_a_schema_that_another_tool_broke_states_nothing(
    agency: Database, shell: sqlite3.Connection, properties: str
) -> None:
    broken = f'{{"properties": {properties}}}'
    shell.execute("UPDATE configuration_type SET schema_definition = ? WHERE code = 'DCS_LIMITS'", (broken,))
    assert configuration.get(*LIMIT, program="AUTO") == 100
    assert configuration.explain(*LIMIT, program="AUTO").value == 100
    assert configuration.find_type("DCS_LIMITS").keys == ()
    with pytest.raises(InvalidError):
        configuration.set(*LIMIT, 50)


def test_a_document_is_not_written_as_a_bare_row(agency: Database) -> None:
    for write in (
        lambda: rows.set_values("configuration", 3, {"config_data": "{}"}),
        lambda: rows.add("configuration", {"config_data": "{}"}),
        lambda: rows.retire("configuration", 3),
    ):
        with pytest.raises(InvalidError, match="not written by hand") as caught:
            write()
        assert "edgekit configuration set TYPE KEY VALUE" in str(caught.value.hint)


def test_two_processes_set_different_keys_of_one_document(agency: Database, edge_file: Path) -> None:
    agency.close()
    code = """
import sys, edgekit
from edgekit import configuration
with edgekit.open(sys.argv[1]):
    for number in range(8):
        configuration.set("DEPLOYMENT_CONFIGURATION", f"{sys.argv[2]}_{number}", number)
"""
    both = [subprocess.Popen([sys.executable, "-c", code, str(edge_file), name]) for name in ("a", "b")]
    assert [process.wait() for process in both] == [0, 0]
    with sqlite3.connect(edge_file) as connection:
        sql = (
            "SELECT config_data, version FROM configuration WHERE configuration_type_id ="
            " (SELECT id FROM configuration_type WHERE code = 'DEPLOYMENT_CONFIGURATION')"
        )
        ((text, version),) = connection.execute(sql).fetchall()
        (events,) = connection.execute("SELECT count(*) FROM integration_event").fetchone()
    connection.close()
    assert json.loads(text) == {f"{name}_{number}": number for name in "ab" for number in range(8)}
    assert (version, events) == (16, 16)


# --------------------------------------------------------------------------------------- explain, versions


def test_explain_names_every_candidate_who_set_it_and_why(mixed: Database) -> None:
    mixed.close()
    import edgekit

    with edgekit.open(mixed.path, actor="maria"):
        configuration.set("MIXED", "plain", 2, scope="organization")
        configuration.set("MIXED", "plain", 3, scope="program:HOME")
        configuration.set("MIXED", "other", 0, scope="program:HOME")
        told = configuration.explain("MIXED", "plain", program="HOME")
        assert (told.value, told.chain) == (3, "system > organization MAIN > program HOME")
        assert [(c.scope, c.value, c.outcome, c.set_by) for c in told.candidates] == [
            ("program HOME", 3, "wins", "maria"),
            ("organization MAIN", 2, "overridden", "maria"),
            ("schema default", 1, "overridden", None),
        ]
        assert told.candidates[1].why == "program HOME is narrower"
        assert told.candidates[0].version == 2
        first = configuration.history("MIXED", scope="program:HOME")[-1]
        assert told.candidates[0].set_at == first.at
        configuration.set("MIXED", "tags", ["x"], scope="program:HOME")
        tags = configuration.explain("MIXED", "tags", program="HOME")
        assert [(c.scope, c.outcome) for c in tags.candidates] == [
            ("program HOME", "merged"), ("schema default", "merged"),
        ]  # fmt: skip
        assert (tags.value, tags.merge) == (["base", "x"], "append")
        unset = configuration.explain("MIXED", "capped", program="HOME")
        assert (unset.value, unset.is_set, unset.candidates, unset.final) == (None, False, (), "organization")


def test_explain_tells_what_was_locked_and_passed_over(mixed: Database) -> None:
    configuration.set("MIXED", "capped", 1, scope="organization")
    with mixed.change():
        kind = models.ConfigurationType.get(code="MIXED").id
        for owner, value in ((None, 2), (1, 3)):
            models.Configuration.create(
                configuration_type=kind, scope_type=2, scope_id=2, organization=owner,
                config_data={"capped": value, "plain": value},
            )  # fmt: skip
    locked = configuration.explain("MIXED", "capped", program="HOME")
    assert [(c.value, c.outcome) for c in locked.candidates] == [
        (3, "locked"),
        (2, "passed_over"),
        (1, "wins"),
    ]
    plain = configuration.explain("MIXED", "plain", program="HOME")
    assert (plain.value, [c.outcome for c in plain.candidates]) == (3, ["wins", "passed_over", "overridden"])


@pytest.mark.ledger("S2-35", "S0-62")
def test_versions_are_listed_compared_and_brought_back(agency: Database) -> None:
    here = {"scope": "program:AUTO"}
    assert configuration.history("DCS_LIMITS", **here) == []
    configuration.set(*LIMIT, 50, **here)
    configuration.set(*LIMIT, 60, **here)
    configuration.set("DCS_LIMITS", "daily_limit", 600, **here)
    found = configuration.history("DCS_LIMITS", **here)
    assert [(v.version, v.keys, v.config_data) for v in found] == [
        (3, ("daily_limit",), {"requests_per_minute": 60, "daily_limit": 600}),
        (2, ("requests_per_minute",), {"requests_per_minute": 60}),
        (1, ("requests_per_minute",), {"requests_per_minute": 50}),
    ]
    assert found[0].reason is not None
    assert found[0].reason.startswith("configuration set DCS_LIMITS daily_limit")
    told = configuration.diff("DCS_LIMITS", 1, 3, **here)
    assert [(d.key, d.old, d.new, d.old_is_set) for d in told] == [
        ("daily_limit", None, 600, False), ("requests_per_minute", 50, 60, True),
    ]  # fmt: skip
    assert configuration.rollback("DCS_LIMITS", 1, **here).version == 4
    assert configuration.resolve("DCS_LIMITS", program="AUTO") == {
        "requests_per_minute": 50,
        "daily_limit": 10000,
    }
    assert configuration.diff("DCS_LIMITS", 1, 4, **here) == []
    assert len(written(agency)) == 4


def test_a_document_that_was_retired_or_deleted_goes_on_in_its_versions(agency: Database) -> None:
    here = {"scope": "program:AUTO"}
    configuration.set(*LIMIT, 50, **here)
    with agency.change():
        models.Configuration.update(status=2).where(models.Configuration.scope_id == 1).execute()
    assert configuration.get(*LIMIT, program="AUTO") == 100
    assert configuration.set(*LIMIT, 70, **here).version == 3
    with agency.change(reason="tidied away"):
        models.Configuration.delete().where(models.Configuration.scope_id == 1).execute()
    assert configuration.set(*LIMIT, 80, **here).version == 4
    found = configuration.history("DCS_LIMITS", **here)
    assert [(v.version, v.config_data["requests_per_minute"]) for v in found if v.is_active] == [
        (4, 80), (3, 70), (1, 50),
    ]  # fmt: skip
    configuration.rollback("DCS_LIMITS", 1, **here)
    assert configuration.get(*LIMIT, program="AUTO") == 50


def test_an_edit_by_another_tool_is_a_version_by_nobody(agency: Database, shell: sqlite3.Connection) -> None:
    shell.execute(
        "UPDATE configuration SET config_data = '{\"requests_per_minute\": 9}', version = 2 WHERE id = 3"
    )
    shell.close()
    newest = configuration.history("DCS_LIMITS")[0]
    assert (newest.version, newest.actor, newest.keys) == (2, None, ("daily_limit", "requests_per_minute"))
    assert configuration.explain("DCS_LIMITS", "requests_per_minute").candidates[0].set_by is None


def test_a_clock_that_was_set_back_changes_no_order(
    agency: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = clock.now()
    for value, days in ((50, 0), (60, 365), (70, 1)):
        monkeypatch.setattr(clock, "now", lambda days=days: today + timedelta(days=days))
        configuration.set(*LIMIT, value, scope="program:AUTO")
    assert [one.version for one in configuration.history("DCS_LIMITS", scope="program:AUTO")] == [3, 2, 1]


def test_who_set_true_did_not_set_one(mixed: Database, shell: sqlite3.Connection) -> None:
    configuration.set("MIXED", "plain", 1)
    assert configuration.explain("MIXED", "plain").candidates[0].set_by == "system"
    shell.execute(
        "UPDATE configuration SET config_data = ? WHERE config_data ->> 'plain' = 1", ('{"plain":true}',)
    )
    with mixed.change():
        assert configuration.explain("MIXED", "plain").candidates[0].set_by is None


# ------------------------------------------------------------------------------------- export and import


def test_an_export_is_the_callers_own(edge: Database) -> None:
    schema_text = json.dumps({"properties": {"list": {"type": "array"}}})
    kind = {"code": "OWN", "name": "Own", "schema_definition": schema_text, "applies_to_system": "1"}
    rows.add("configuration_type", kind)
    configuration.set("OWN", "list", [1, 2])
    document = configuration.export_scope()
    document["documents"]["OWN"]["list"].append(3)
    assert configuration.get("OWN", "list") == [1, 2]
    configuration.import_scope(document)
    assert configuration.get("OWN", "list") == [1, 2, 3]
    assert configuration.history("OWN")[0].version == 2


def test_a_scope_goes_out_and_into_another(mixed: Database, tmp_path: Path) -> None:
    configuration.set(*LIMIT, 50, scope="program:AUTO")
    configuration.set("MIXED", "plain", {"é": [1]}, scope="program:AUTO")
    configuration.set("MIXED", "gone", 1, scope="program:HOME")
    document = configuration.export_scope("program:AUTO")
    assert document["documents"] == {
        "DCS_LIMITS": {"requests_per_minute": 50},
        "MIXED": {"plain": {"é": [1]}},
    }
    path = configuration.write_export(document, tmp_path / "auto.json")
    with pytest.raises(ConflictError):
        configuration.write_export(document, path)
    dry = configuration.import_scope(path, scope="program:HOME", dry_run=True)
    assert [(one.type, one.keys) for one in dry.written] == [
        ("DCS_LIMITS", ("requests_per_minute",)), ("MIXED", ("gone", "plain")),
    ]  # fmt: skip
    assert configuration.get(*LIMIT, program="HOME") == 100
    assert len(configuration.import_scope(path, scope="program:HOME").written) == 2
    assert configuration.export_scope("program:HOME")["documents"] == document["documents"]
    assert configuration.import_scope(path).written == ()


def test_what_is_one_organization_s_comes_back_to_it(edge: Database) -> None:
    rows.add("organization", {"code": "OTHER", "name": "Other"})
    configuration.set(*LIMIT, 7, organization="OTHER")
    document = configuration.export_scope(organization="OTHER")
    configuration.unset(*LIMIT, organization="OTHER")
    configuration.import_scope(document)
    assert configuration.get(*LIMIT, organization="OTHER") == 7
    assert configuration.get(*LIMIT) == 100


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-20], "not valid JSON"),
        (lambda text: text.replace("edgekit-configuration", "other"), "is no configuration"),
        (lambda text: text.replace('"format_version": 1', '"format_version": 9'), "format version 9"),
        (lambda text: text.replace("DCS_RETRY", "DCS_RETRI"), "no configuration type DCS_RETRI"),
        (lambda text: text.replace('"max_retries": 4', '"max_retries": "x"'), "DCS_RETRY max_retries"),
        (lambda text: text.replace('"max_retries": 4', '"password": "x"'), "named like a secret"),
        (lambda text: text.replace('{"max_retries": 4}', "[]"), "DCS_RETRY is no object"),
        (lambda text: text.replace("program:AUTO", "program:NONE"), "no program NONE"),
        (lambda text: "[]", "is no configuration"),
    ],
)
def test_a_corrupt_import_changes_nothing(agency: Database, tmp_path: Path, change: Any, words: str) -> None:
    documents = {"DCS_LIMITS": {"daily_limit": 5}, "DCS_RETRY": {"max_retries": 4}}
    whole = {"format": "edgekit-configuration", "format_version": 1, "scope": "program:AUTO",
             "documents": documents}  # fmt: skip
    path = tmp_path / "in.json"
    path.write_text(change(json.dumps(whole)), encoding="utf-8")
    with pytest.raises((InvalidError, NotFoundError), match=words):
        configuration.import_scope(path)
    with pytest.raises(DeniedError, match="cannot be read"):
        configuration.import_scope(tmp_path)
    assert configuration.get("DCS_LIMITS", "daily_limit", program="AUTO") == 10000
    assert written(agency) == []


# ------------------------------------------------------------------------------------------- the commands


def run(edge_file: Path, *args: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, ["--db", str(edge_file), "configuration", *args])
    return done.exit_code, done.output


def test_the_commands_say_what_the_functions_do(agency: Database, edge_file: Path, tmp_path: Path) -> None:
    agency.close()

    def told(*args: str) -> Any:
        code, output = run(edge_file, *args, "--json")
        assert code == 0, output
        return json.loads(output)

    here = ("--scope", "program:AUTO")
    assert run(edge_file, "set", *LIMIT, "50", *here) == (
        0, "DCS_LIMITS for program AUTO: requests_per_minute (version 1).\n",
    )  # fmt: skip
    assert told("get", *LIMIT, "--program", "AUTO") == {"value": 50}
    assert told("get", "DCS_LIMITS", "--program", "AUTO") == {
        "value": {"requests_per_minute": 50, "daily_limit": 10000}
    }
    assert told("get", *LIMIT) == {"value": 100}
    assert run(edge_file, "get", *LIMIT, "--entity", "DMV") == (0, "50\n")
    assert told("set", "DEPLOYMENT_CONFIGURATION", "note", "plain text")["version"] == 1
    assert told("set", "DEPLOYMENT_CONFIGURATION", "list", "[1, true]")["keys"] == ["list"]
    assert told("get", "DEPLOYMENT_CONFIGURATION") == {"value": {"list": [1, True], "note": "plain text"}}
    explained = told("explain", *LIMIT, "--program", "AUTO")
    assert [c["outcome"] for c in explained["candidates"]] == ["wins", "overridden", "overridden"]
    assert "DCS_LIMITS requests_per_minute is 50, along system" in run(
        edge_file, "explain", *LIMIT, "--program", "AUTO"
    )[1]  # fmt: skip
    told("set", *LIMIT, "60", *here)
    assert [v["version"] for v in told("history", "DCS_LIMITS", *here)] == [2, 1]
    assert told("diff", "DCS_LIMITS", "1", "2", *here)[0]["old"] == 50
    assert told("rollback", "DCS_LIMITS", "1", *here)["version"] == 3
    path = str(tmp_path / "auto.json")
    assert run(edge_file, "export", *here, "--output", path)[0] == 0
    assert told("import", path, "--scope", "program:HOME")["written"][0]["type"] == "DCS_LIMITS"
    assert json.loads(run(edge_file, "export", "--scope", "program:HOME")[1])["scope"] == "program:HOME"
    assert told("unset", *LIMIT, *here)["version"] == 4
    assert {"DCS_LIMITS", "DCS_MAPPING"} <= {kind["code"] for kind in told("types")}


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("set", "DCS_LIMITS", "requests_per_minute", "50", "--scope", "progam:AUTO"), 4, "program:AUTO"),
        (("set", "DCS_LIMITS", "requests_per_minute", "many"), 4, "a whole number, at least 1"),
        (("set", "DEPLOYMENT_CONFIGURATION", "api_key", "hunter2"), 4, "edgekit vault set INTEGRATION KEY"),
        (("get", "DCS_LIMITZ"), 3, "DCS_LIMITS"),
        (("get", "DCS_LIMITS", "--program", "X"), 3, "There is no program X"),
        (("rollback", "DCS_LIMITS", "7"), 3, "Versions are 1."),
        (("import", "missing.json"), 3, "There is no file missing.json"),
        (("import", "."), 5, "Is a directory"),
        (("get", "DCS_LIMITS", "--program", "\udcff"), 4, "not valid Unicode"),
    ],
)
def test_a_mistake_ends_with_one_line_and_a_hint(
    edge_file: Path, args: tuple[str, ...], code: int, words: str
) -> None:
    found, output = run(edge_file, *args)
    assert found == code
    assert words in output
    assert output.startswith("error: ")
    assert "hunter2" not in output
    assert "Traceback" not in output
