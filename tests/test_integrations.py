"""Integrations as rows: made from templates, given secrets, checked before a run."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import audit, db, integrations, runner, vault
from edgekit.errors import ConflictError, DeniedError, EdgekitError, InvalidError, NotFoundError, RuleError
from edgekit.models import Integration, IntegrationType, Organization

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

pytestmark = pytest.mark.usefixtures("edge")

SECRET = "sk-live-7Hq9-Zebra!"
TEMPLATES = [
    "csv-import", "dcs-criminal-check", "dcs-driver-verification", "dcs-vehicle-services", "ndjson-import",
    "rest-source", "singer-tap", "vpic-vin-decode", "webhook-inbox", "webhook-out",
]  # fmt: skip
TABLES = (
    "integration",
    "integration_template_instance",
    "integration_mapping",
    "integration_pipeline_definition",
    "audit_log",
)


def make(name: str = "cars", **settings: Any) -> dict[str, Any]:
    return integrations.create(
        name,
        template="csv-import",
        settings={"path": "cars.csv", "table": "vehicle", "key": "vin", **settings},
    )


def row_counts() -> list[int]:
    return [db.query(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in TABLES]


def one_field(source: str = "vin", target: str = "vin", **more: Any) -> dict[str, Any]:
    return {"source_path": source, "target_path": target, **more}


# --- creating

OUT = {"connector": "webhook", "url": "https://example.org/hook", "auth": {"kind": "none"}}


@pytest.mark.ledger("S4-37")
@pytest.mark.parametrize("code", TEMPLATES)
def test_every_template_makes_an_integration(edge: Database, code: str) -> None:
    source = integrations.show_template(code)
    asked = {
        "import": {"path": "a.csv"},
        "tap": {"tap": "tap-a"},
        "inbox": {"records": "$.x"},
        "out": {"to": OUT},
    }
    needed = asked.get(code.split("-")[-1], {"base_url": "http://localhost"})
    made = integrations.create("mine", template=code, settings=needed, acknowledge=True)
    assert made["settings"] == {**source["connection_template"], **needed}
    assert made["template"] == f"{code} {source['version']}"
    assert made["integration_type"] == source["integration_type"]
    expected = source["mapping_templates"]["mappings"]
    assert [(m["name"], m["source_path"], m["target_path"]) for m in made["mappings"]] == [
        (m["name"], m["source_path"], m["target_path"]) for m in expected
    ]
    assert [m["transformation_rules"] for m in made["mappings"]] == [
        m.get("transformation_rules") for m in expected
    ]
    assert made["pipeline"]["steps"] == source["pipeline_template"]["steps"]
    (instance,) = db.query("SELECT * FROM integration_template_instance")
    assert (instance["instance_name"], instance["deployment_status"]) == ("mine", "draft")
    assert instance["deployed_by"] == edge.actor_id
    assert instance["deployed_at"] is None


@pytest.mark.ledger("S4-79")
def test_all_seeded_templates_are_listed() -> None:
    assert {row["code"] for row in integrations.list_templates()} >= set(TEMPLATES)


@pytest.mark.ledger("S4-37", "S4-38")
def test_an_unknown_or_inactive_template_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="Template not found or inactive") as caught:
        integrations.create("x", template="csv-imprt")
    assert "csv-import" in (caught.value.hint or "")
    with db.change(reason="off"):
        db.connection().execute("UPDATE integration_template SET status_id = 2 WHERE code = 'csv-import'")
    with pytest.raises(NotFoundError, match="not found or inactive"):
        make()


@pytest.mark.ledger("S4-38")
@pytest.mark.parametrize(
    "mappings",
    [
        [one_field(), one_field("a", "make", transformation={"no": "type"})],
        [one_field(), one_field("b", "vin", name="again")],
        [one_field(error_handling="maybe")],
        [one_field(colour="red")],
        [{"source_path": "x"}],
        ["vin"],
        {"vin": "vin"},
    ],
)
def test_a_failing_mapping_leaves_no_rows_behind(mappings: Any) -> None:
    before = row_counts()
    with pytest.raises(InvalidError) as caught:
        integrations.create(
            "cars",
            template="csv-import",
            settings={"path": "a.csv", "table": "vehicle"},
            customizations={"mappings": mappings},
        )
    assert "\n" not in caught.value.message
    assert row_counts() == before


@pytest.mark.ledger("S4-37")
def test_customizations_win_and_replace_mappings_by_name() -> None:
    made = integrations.create(
        "vins",
        template="vpic-vin-decode",
        settings={"batch_size": "10"},
        customizations={
            "connection": {"base_url": "http://127.0.0.1:1", "batch_size": 20, "params": {"x": "1"}},
            "mappings": [
                {"name": "make", "source_path": "$.Brand"},
                one_field("$.Y", "gross_weight", name="new"),
            ],
            "pipeline": {"error_handling_strategy": "fail_fast"},
        },
    )
    assert made["settings"]["base_url"] == "http://127.0.0.1:1"
    assert made["settings"]["params"] == {"x": "1"}, "merged by top-level key"
    assert made["settings"]["batch_size"] == 10, "a setting wins over a customization"
    by_name = {m["name"]: m for m in made["mappings"]}
    assert (by_name["make"]["source_path"], by_name["make"]["target_path"]) == ("$.Brand", "make")
    assert by_name["make"]["is_required"] == 1
    assert by_name["new"]["target_path"] == "gross_weight"
    assert made["pipeline"]["error_handling_strategy"] == "fail_fast"
    assert made["pipeline"]["steps"] == [{"name": "map", "type": "map"}]


@pytest.mark.parametrize("changes", [{"mapings": []}, {"connection": []}, {"pipeline": "x"}])
def test_customizations_of_another_shape_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match="customizations"):
        integrations.create("x", template="csv-import", settings={"path": "a"}, customizations=changes)


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        ("batch_size", "50", 50),
        ("path", "2024", "2024"),
        ("delimiter", "1", "1"),
        ("key", "1", "1"),
        ("create", "true", True),
        ("create", "Yes", True),
        ("create", "0", False),
        ("create", False, False),
        ("format", "ndjson", "ndjson"),
        ("inputs", '{"table": "vehicle"}', {"table": "vehicle"}),
        ("inputs.table", "vehicle", {"table": "vehicle"}),
        ("inputs.filter.vin", "null", {"filter": {"vin": None}}),
    ],
)
def test_a_setting_is_read_as_its_kind_asks(setting: str, text: Any, value: Any) -> None:
    found = make(**{setting: text})["settings"][setting.split(".")[0]]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"delimeter": ";"}, "no setting delimeter", "Did you mean delimiter"),
        ({"zzz": "1"}, "no setting zzz", "batch_size"),
        ({"batch_size": "many"}, "batch_size", ""),
        ({"batch_size": "0"}, "batch_size", ""),
        ({"format": "zzz"}, "format", ""),
        ({"create": "perhaps"}, "true or false", ""),
        ({"path.x": "1"}, "is no object", ""),
        ({"connector": "pigeon"}, "no connector", "file"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, Any], message: str, hint: str) -> None:
    before = row_counts()
    with pytest.raises(EdgekitError, match=message) as caught:
        make(**settings)
    assert hint in (caught.value.hint or "")
    assert row_counts() == before


def test_a_source_without_its_file_is_asked_for_it() -> None:
    with pytest.raises(InvalidError, match="Which file"):
        integrations.create("x", template="csv-import")


@pytest.mark.parametrize(
    "settings",
    [
        {"headers.Authorization": SECRET},
        {"params": {"api_key": SECRET}},
        {"headers": {"X-Api-Key": SECRET}},
        {"params.token": SECRET},
    ],
)
def test_a_setting_named_like_a_secret_is_refused_however_deep(settings: dict[str, Any]) -> None:
    before = row_counts()
    with pytest.raises(InvalidError) as caught:
        integrations.create("vins", template="vpic-vin-decode", settings=settings)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert row_counts() == before


def test_a_name_is_taken_until_retired() -> None:
    make("cars")
    with pytest.raises(ConflictError, match="already an integration"):
        make("CARS")
    for _ in range(2):
        integrations.retire("cars")
        with pytest.raises(NotFoundError):
            integrations.find("cars")
        make("cars")
    assert [row["name"] for row in integrations.list_integrations()] == ["cars"]


def test_the_longest_name_is_freed_too() -> None:
    name = "x" * 100
    make(name)
    integrations.retire(name)
    make(name)
    with pytest.raises(RuleError):
        make("x" * 101)


def test_an_unknown_name_meets_those_that_come_close() -> None:
    make("cars")
    with pytest.raises(NotFoundError) as caught:
        integrations.show("carz")
    assert "cars" in (caught.value.hint or "")


# --- credentials


def everything(edge: Database, tmp_path: Path) -> bytes:
    """Read the live file with its log from another process, and a backup of it."""
    script = (
        "import sys, pathlib\n"
        "for p in pathlib.Path(sys.argv[1]).parent.glob(sys.argv[2]): sys.stdout.buffer.write(p.read_bytes())"
    )
    live = subprocess.run(
        [sys.executable, "-c", script, edge.path, edge.path.name + "*"], capture_output=True, check=True
    ).stdout
    target = sqlite3.connect(tmp_path / "copy.db")
    edge.connection().backup(target)
    target.close()
    return live + (tmp_path / "copy.db").read_bytes()


@pytest.mark.ledger("S2-16", "S2-46")
def test_the_open_part_of_an_integration_is_queried_and_the_secret_part_only_opened(edge: Database) -> None:
    vault.init()
    with db.change():
        owner = Organization.create(code="acme-corp", name="Acme")
        kind = IntegrationType.create(code="langfuse", name="Langfuse", feature=1)
        Integration.create(
            integration_name="tracing",
            integration_type=kind,
            organization=owner,
            connection_config={"public_key": "pk-1", "base_url": "https://127.0.0.1"},
            health_status="healthy",
        )
    integrations.set_credential("tracing", "secret_key", SECRET)
    found = edge.query(
        "SELECT o.code, t.code AS kind, i.status_id, i.health_status,"
        " i.connection_config ->> 'public_key' AS public_key FROM integration i"
        " JOIN integration_type t ON t.id = i.integration_type_id"
        " JOIN organization o ON o.id = i.organization_id"
        " WHERE i.connection_config ->> 'base_url' = 'https://127.0.0.1'"
    )
    assert found == [
        {
            "code": "acme-corp",
            "kind": "langfuse",
            "status_id": 1,
            "health_status": "healthy",
            "public_key": "pk-1",
        }
    ]
    assert integrations.get_credential("tracing", "secret_key") == SECRET
    (stored,) = edge.query("SELECT value_ciphertext FROM integration_credential")
    assert SECRET.encode() not in stored["value_ciphertext"]


@pytest.mark.ledger("S1-47", "S4-91")
def test_no_byte_of_a_credential_is_found_anywhere(
    edge: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vault.init()
    make()
    integrations.set_credential("cars", "api_key", "an-earlier-one-Koala")
    integrations.set_credential("cars", "api_key", SECRET)
    assert integrations.get_credential("cars", "api_key") == SECRET
    found = everything(edge, tmp_path)
    assert b"credential_key" in found
    shown = [integrations.list_credentials(), integrations.show("cars"), list(audit.entries(db.connection()))]
    told = caplog.text + str(shown)
    for secret in (SECRET, "an-earlier-one-Koala"):
        for form in (
            secret.encode(),
            secret.encode("utf-16-le"),
            secret.encode().hex().encode(),
            secret[:10].encode(),
        ):
            assert form not in found
        assert secret not in told


def test_a_list_shows_what_is_stored_but_no_value() -> None:
    vault.init()
    make()
    integrations.set_credential("cars", "api_key", SECRET)
    (row,) = integrations.list_credentials("cars")
    assert (row["integration"], row["key"]) == ("cars", "api_key")
    assert not any("value" in name or "cipher" in name for name in row)
    assert integrations.show("cars")["secrets"] == ["api_key"]


@pytest.mark.ledger("S1-50")
def test_an_expired_credential_is_refused_until_replaced(edge: Database) -> None:
    vault.init()
    make()
    integrations.set_credential("cars", "api_key", SECRET)
    with db.change(reason="expire"):
        db.connection().execute("UPDATE integration_credential SET expires_at = '2020-01-01T00:00:00.000Z'")
    with pytest.raises(DeniedError, match="expired on 2020-01-01") as caught:
        integrations.get_credential("cars", "api_key")
    assert SECRET not in str(caught.value)
    with pytest.raises(DeniedError, match="expired"):
        integrations.credentials.Secrets(1, "cars")["api_key"]
    integrations.set_credential("cars", "api_key", "new")
    assert integrations.get_credential("cars", "api_key") == "new"


@pytest.mark.ledger("S1-50")
def test_each_environment_has_its_own() -> None:
    vault.init()
    make()
    integrations.set_credential("cars", "api_key", "live")
    integrations.set_credential("cars", "api_key", "try", environment="staging")
    assert integrations.get_credential("cars", "api_key") == "live"
    assert integrations.get_credential("cars", "api_key", environment="STAGING") == "try"
    with pytest.raises(NotFoundError, match="no secret api_key"):
        integrations.get_credential("cars", "api_key", environment="PRODUCTION")
    with pytest.raises(NotFoundError, match="no environment moon"):
        integrations.set_credential("cars", "api_key", "x", environment="moon")


def test_a_retired_credential_is_gone_and_can_be_stored_anew() -> None:
    vault.init()
    make()
    integrations.set_credential("cars", "api_key", SECRET)
    with db.change(reason="off"):
        db.connection().execute("UPDATE integration_credential SET status_id = 2")
    with pytest.raises(NotFoundError):
        integrations.get_credential("cars", "api_key")
    integrations.set_credential("cars", "api_key", "new")
    assert integrations.get_credential("cars", "api_key") == "new"


def test_an_empty_secret_is_refused() -> None:
    vault.init()
    make()
    with pytest.raises(InvalidError, match="empty"):
        integrations.set_credential("cars", "api_key", "")
    assert integrations.list_credentials() == []


def test_secrets_of_a_run_open_when_asked_for() -> None:
    vault.init()
    make()
    integrations.set_credential("cars", "api_key", SECRET)
    secrets = integrations.credentials.Secrets(1, "cars")
    assert db.query("SELECT count(*) AS n FROM vault_use_log") == [{"n": 0}]
    assert (list(secrets), len(secrets), secrets["api_key"]) == (["api_key"], 1, SECRET)
    assert SECRET not in repr(secrets)
    with pytest.raises(KeyError):
        secrets["other"]
    assert db.query("SELECT count(*) AS n FROM vault_use_log") == [{"n": 1}]


# --- plans


def with_mapping(**settings: Any) -> None:
    integrations.create(
        "cars",
        template="csv-import",
        settings={"path": "a.csv", "table": "vehicle", "key": "vin", **settings},
        customizations={"mappings": [one_field(), one_field("m", "make")]},
    )


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        ({"table": "vehicel"}, "no table vehicel", "vehicle"),
        ({"table": ""}, "no table to write to", "--set table"),
        ({"table": "producer", "key": ""}, "no column vin", "Its columns are"),
        ({"key": "make"}, "no unique key on make", "vin"),
        ({"inputs": {"table": "vehicel"}}, "no table vehicel", ""),
        ({"inputs": {"table": "vehicle", "columns": ["vni"]}}, "no column vni", ""),
        ({"inputs": {"table": "vehicle", "filter": {"colour": 1}}}, "no column colour", ""),
        ({"inputs": {"table": "vehicle", "filter": ["vin"]}}, "filter is an object", ""),
        ({"inputs": 5}, "inputs names a table", ""),
        ({"batch_size": 0}, "batch_size", ""),
    ],
)
def test_what_a_plan_cannot_do_is_said_before(overrides: dict[str, Any], message: str, hint: str) -> None:
    with_mapping()
    with pytest.raises(EdgekitError, match=message) as caught:
        integrations.prepare("cars", overrides=overrides)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    "table",
    [
        "audit_log",
        "AUDIT_LOG",
        "audit_gate",
        "schema_migration",
        "System",
        "encryption_key",
        "vault_use_log",
        "integration_credential",
        "integration_checkpoint",
        "dead_letter",
        "tracked_table",
    ],
)
def test_the_files_own_books_are_refused(table: str) -> None:
    with_mapping()
    with pytest.raises(InvalidError, match="own books"):
        integrations.prepare("cars", overrides={"table": table})


def test_a_table_is_found_in_any_case() -> None:
    with_mapping(table="VEHICLE", key="VIN")
    plan = integrations.prepare("cars")
    assert (plan.table, plan.key[-1]) == ("vehicle", "vin")


@pytest.mark.parametrize("config", [{"max_percent": "50"}, {"max": 1}, {"max_count": -1}])
def test_thresholds_that_are_none_are_said(config: dict[str, Any]) -> None:
    with_mapping()
    with db.change(reason="x"):
        db.connection().execute(
            "UPDATE integration_pipeline_definition SET dead_letter_config = ?", (json.dumps(config),)
        )
    with pytest.raises(InvalidError, match="dead_letters"):
        integrations.prepare("cars")


def test_an_input_file_is_no_url() -> None:
    integrations.create("vins", template="vpic-vin-decode", settings={"table": "vehicle"})
    plan = integrations.prepare("vins", input="vins.csv")
    assert plan.inputs is not None
    assert plan.inputs.path == "vins.csv"
    with pytest.raises(InvalidError, match="--input has no use"):
        integrations.prepare("vins", input="vins.csv", overrides={"inputs": None})


# --- tables made from data


@pytest.mark.parametrize(("count", "status"), [(950, "completed"), (951, "failed"), (3000, "failed")])
def test_a_table_can_be_wide_but_not_endless(tmp_path: Path, count: int, status: str) -> None:
    path = tmp_path / "t.csv"
    lines = [",".join(f"c{n}" for n in range(count)), ",".join(["1"] * count)]
    path.write_text("\n".join(lines), encoding="utf-8")
    integrations.create(
        "t",
        template="csv-import",
        settings={"path": str(path), "table": "thing", "key": "c0", "create": "yes"},
    )
    for _ in range(2):
        result = runner.run("t")
        assert result.status == status, result.message
    assert ("at most 950" in (result.message or "")) == (status == "failed")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "20", "-3"], "INTEGER"),
        (["1", "2.5"], "REAL"),
        (["1E5", "2"], "TEXT"),
        (["1_000"], "TEXT"),
        (["007"], "TEXT"),
        (["0", "0.5"], "REAL"),
        (["nan"], "TEXT"),
        (["+1"], "TEXT"),
        ([" 1"], "TEXT"),
        (["\u0661"], "TEXT"),
        (["1", "x"], "TEXT"),
        (["1234567890123456"], "TEXT"),
        (["4.0.0"], "TEXT"),
    ],
)
def test_codes_stay_as_they_came(tmp_path: Path, values: list[str], kind: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("k,v\n" + "".join(f"k{n},{value}\n" for n, value in enumerate(values)), encoding="utf-8")
    integrations.create(
        "t",
        template="csv-import",
        settings={"path": str(path), "table": "thing", "key": "k", "create": "yes"},
    )
    result = runner.run("t")
    assert (result.status, result.dead_letters) == ("completed", 0), result.message
    assert db.query("SELECT type FROM pragma_table_info('thing') WHERE name = 'v'") == [{"type": kind}]
    if kind == "TEXT":
        assert [row["v"] for row in db.query("SELECT v FROM thing ORDER BY id")] == values
