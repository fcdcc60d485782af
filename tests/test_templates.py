"""Templates: their versions, what upgrading does to what was made from them, who vouches, and sharing."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import db, integrations, models, runner, seeds, vault
from edgekit.cli import root
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError, RuleError
from edgekit.integrations import forms, semver, sharing
from edgekit.integrations import templates as all_templates
from edgekit.runner import trials

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

FIRST: dict[str, Any] = {
    "code": "orders", "template_name": "Orders", "version": "1.9.0", "description": "Orders of a shop.",
    "integration_type_id": "FILE_IMPORT", "template_category_id": "OPERATIONS",
    "connection_template": {"connector": "file", "format": "csv", "delimiter": ";", "table": "orders",
                            "key": "number", "create": True},
    "mapping_templates": {"mappings": [
        {"name": "number", "source_path": "$.No", "target_path": "number", "is_required": True},
        {"name": "buyer", "source_path": "$.Buyer", "target_path": "buyer"},
        {"name": "total", "source_path": "$.Total", "target_path": "total", "target_data_type": "number"},
    ]},
    "pipeline_template": {"steps": [{"name": "map", "type": "map"}]},
    "test_suite": {"tests": [
        {"name": "an order", "settings": {"path": "x.csv"},
         "records": [{"No": "1", "Buyer": "Ann", "Total": "2.5"}],
         "rows": [{"number": "1", "buyer": "Ann", "total": 2.5}]},
    ]},
    "integration_template_operation": [{"operation": "read"}],
}  # fmt: skip


def version(number: str, *, base: dict[str, Any] = FIRST, **changes: Any) -> dict[str, Any]:
    return {**base, "version": number, **changes}


def mappings(**changes: dict[str, Any] | None) -> dict[str, Any]:
    """Return the mappings of the first version with changes by name; None takes one out."""
    found = {item["name"]: dict(item) for item in FIRST["mapping_templates"]["mappings"]}
    for name, change in changes.items():
        if change is None:
            del found[name]
        else:
            found[name] = {**found.get(name, {"name": name}), **change}
    return {"mappings": list(found.values())}


SECOND = version(
    "1.10.0",
    connection_template={**FIRST["connection_template"], "delimiter": ",", "batch_size": 500},
    mapping_templates=mappings(
        buyer={"source_path": "$.Customer"},
        total={"target_data_type": "money"},
        currency={"source_path": "$.Currency", "target_path": "currency", "default_value": "USD"},
    ),
    test_suite={"tests": [
        {"name": "an order", "settings": {"path": "x.csv"},
         "records": [{"No": "1", "Customer": "Ann", "Total": "2.50"}],
         "rows": [{"number": "1", "buyer": "Ann", "total": 250, "currency": "USD"}]},
    ]},
)  # fmt: skip


def ship(folder: Path, *templates: dict[str, Any]) -> None:
    """Bring template versions as a new version of the program does."""
    path = folder / "own.json"
    path.write_text(json.dumps({"integration_template": list(templates)}), encoding="utf-8")
    seeds.apply([str(path)])


def said(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what an integration says, without the numbers of its versions, which only rise."""
    numbers = {"version", "live_version"}
    return {**shown, "mappings": [{k: m[k] for k in m if k not in numbers} for m in shown["mappings"]]}


def make(name: str, **more: Any) -> dict[str, Any]:
    return integrations.create(name, template="orders", settings={"path": "orders.csv"}, **more)


@pytest.fixture
def orders(edge: Database, tmp_path: Path) -> Database:
    ship(tmp_path, FIRST)
    with db.change(reason="the table"):
        integrations.own_tables.create(
            "orders",
            {"number": "TEXT", "buyer": "TEXT", "total": "TEXT", "currency": "TEXT", "note": "TEXT"},
            key=["number"],
        )
    return edge


# --- versions


def test_versions_are_ordered_as_numbers_not_as_text() -> None:
    wanted = [
        "odd",
        "1",
        "1.2",
        "1.9.2",
        "1.10.0-alpha.2",
        "1.10.0-alpha.10",
        "1.10.0-rc.1",
        "1.10.0",
        "2.0.0",
    ]
    assert sorted(sorted(wanted), key=semver.key) == wanted
    assert [semver.is_early(text) for text in ("2.0.0-rc.1", "2.0.0", "odd")] == [True, False, True]


@pytest.mark.ledger("S4-80")
def test_a_code_means_its_newest_release_and_instances_keep_their_version(
    orders: Database, tmp_path: Path
) -> None:
    assert make("old")["template"] == "orders 1.9.0"
    ship(tmp_path, SECOND, version("2.0.0-rc.1", template_name="Early"))
    assert make("new")["template"] == "orders 1.10.0"
    assert integrations.show("old")["template"] == "orders 1.9.0"
    assert integrations.create("pinned", template="orders@2.0.0-rc.1", settings={"path": "a.csv"})
    found = integrations.list_template_versions("orders")
    assert [(v.version, v.integrations, v.is_newest) for v in found] == [
        ("2.0.0-rc.1", 1, False), ("1.10.0", 1, True), ("1.9.0", 1, False),
    ]  # fmt: skip
    listed = [row["version"] for row in integrations.list_templates() if row["code"] == "orders"]
    assert listed == ["1.10.0"]
    every = [r["version"] for r in integrations.list_templates(all_versions=True) if r["code"] == "orders"]
    assert every == ["1.9.0", "1.10.0", "2.0.0-rc.1"]
    with pytest.raises(NotFoundError, match=r"orders has no version 3\.0\.0") as caught:
        integrations.show_template("orders@3.0.0")
    assert "1.10.0" in (caught.value.hint or "")
    differing = {part.part for part in integrations.diff_templates("orders", "1.9.0", "1.10.0")}
    assert differing == {
        "settings.delimiter", "settings.batch_size", "mappings.buyer.source_path",
        "mappings.total.target_data_type", "mappings.currency",
    }  # fmt: skip


@pytest.mark.ledger("C-61", "C-62", "S4-37")
def test_a_mapping_that_says_little_is_a_field_that_comes_in_and_fails(orders: Database) -> None:
    make("shop", customizations={"pipeline": {"steps": [{"type": "map"}]}})
    found = orders.query(
        "SELECT m.mapping_type, d.code, m.error_handling FROM integration_mapping m"
        " JOIN communication_direction d ON d.id = m.communication_direction_id WHERE mapping_name = 'buyer'"
    )
    assert [tuple(row.values()) for row in found] == [("field", "INBOUND", "fail")]
    (pipeline,) = orders.query("SELECT pipeline_steps FROM integration_pipeline_definition")
    assert json.loads(pipeline["pipeline_steps"]) == {"steps": [{"type": "map"}]}
    document = integrations.export_template("orders")
    bare = document["template"]["mapping_templates"]["mappings"]
    listed = rewritten(document, version="1.9.8", mapping_templates=bare)
    assert integrations.import_template(listed, trust=listed["checksum"]).mappings == len(bare)
    assert integrations.show_template("orders@1.9.8")["mapping_templates"] == {"mappings": bare}


# --- what is needed beforehand


@pytest.mark.ledger("S4-39")
def test_prerequisites_are_acknowledged_by_somebody_before_anything_is_made(orders: Database) -> None:
    settings = {"base_url": "http://127.0.0.1:1"}
    with pytest.raises(InvalidError, match="needs beforehand: A contract with DCS") as caught:
        integrations.create("drivers", template="dcs-driver-verification", settings=settings)
    assert "--acknowledge" in (caught.value.hint or "")
    assert orders.query("SELECT count(*) AS n FROM integration")[0]["n"] == 0
    made = integrations.create(
        "drivers", template="dcs-driver-verification", settings=settings, acknowledge=True
    )
    said = made["acknowledgement"]
    assert said["acknowledged_by"] == orders.actor
    assert said["acknowledged_at"].endswith("Z")
    assert said["prerequisites"] == integrations.show_template("dcs-driver-verification")["prerequisites"]
    assert "acknowledgement" not in make("plain"), "nothing is asked where nothing is needed"


def test_what_a_template_needs_from_the_vault_is_said_and_a_run_waits_for_it(orders: Database) -> None:
    vault.init()
    made = integrations.create(
        "drivers", template="dcs-driver-verification", settings={"base_url": "http://127.0.0.1:1"},
        acknowledge=True,
    )  # fmt: skip
    assert made["secrets_missing"] == ["api_key"]
    with pytest.raises(InvalidError, match="drivers needs the secret api_key, which is not stored") as caught:
        runner.run("drivers")
    assert caught.value.hint == "Store it: edgekit vault set drivers api_key"
    integrations.set_credential("drivers", "api_key", "a key that is long")
    assert integrations.show("drivers")["secrets_missing"] == []


# --- upgrading


@pytest.mark.slow
@pytest.mark.ledger("S4-80")
def test_three_instances_one_customised_are_upgraded_and_rolled_back(
    edge_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_DB", str(edge_file))

    def command(*words: str, code: int = 0) -> Any:
        done = CliRunner().invoke(root.edgekit, words, prog_name="edgekit")
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in words else done.output

    def templates(*words: str, code: int = 0) -> Any:
        return command("integrations", "templates", *words, code=code)

    (tmp_path / "first.json").write_text(json.dumps({"integration_template": [FIRST]}))
    (tmp_path / "second.json").write_text(json.dumps({"integration_template": [SECOND]}))
    (tmp_path / "mine.json").write_text(json.dumps({"mappings": [
        {"name": "buyer", "source_path": "$.Purchaser"},
        {"name": "note", "source_path": "$.Note", "target_path": "note"},
    ]}))  # fmt: skip
    (tmp_path / "orders.csv").write_text("No;Buyer;Total;Note\n1;Ann;2.5;x\n")
    command("seeds", "apply", "first.json")
    with edgekit.open(edge_file), db.change(reason="the table"):
        columns = dict.fromkeys(("number", "buyer", "total", "currency", "note"), "TEXT")
        integrations.own_tables.create("orders", columns, key=["number"])
    for name in ("berlin", "paris"):
        command("integrations", "create", name, "--template", "orders", "--set", "path=orders.csv")
    command("integrations", "create", "rome", "--template", "orders", "--set", "path=orders.csv",
            "--set", "delimiter=|", "--customize", "mine.json")  # fmt: skip
    before = {n: command("integrations", "show", n, "--json") for n in ("berlin", "paris", "rome")}
    assert templates("upgrade", "--all", "orders", "--dry-run", "--json")[0]["status"] == "current"

    command("seeds", "apply", "second.json")
    changed = templates("diff", "orders", "1.9.0", "1.10.0", "--json")
    assert "mappings.buyer.source_path" in {part["part"] for part in changed}
    shown = templates("upgrade", "--all", "orders", "--dry-run", "--json", code=6)
    assert [(u["integration"], u["status"]) for u in shown] == [
        ("berlin", "would_upgrade"), ("paris", "would_upgrade"), ("rome", "conflict"),
    ]  # fmt: skip
    assert {n: command("integrations", "show", n, "--json") for n in before} == before

    done = templates("upgrade", "--all", "orders", "--yes", "--json", code=6)
    assert [u["status"] for u in done] == ["upgraded", "upgraded", "conflict"]
    assert all(test["status"] == "passed" for test in done[0]["tests"])
    berlin = command("integrations", "show", "berlin", "--json")
    assert berlin["template"] == "orders 1.10.0"
    assert (berlin["settings"]["delimiter"], berlin["settings"]["batch_size"]) == (",", 500)
    assert [m["name"] for m in berlin["mappings"]] == ["number", "buyer", "total", "currency"]

    told = templates("upgrade", "rome", "--yes", code=6)
    assert "mappings.buyer.source_path" in told
    assert "settings.delimiter" in told
    rome = templates("upgrade", "rome", "--take", "mine", "--take", "settings.delimiter=template",
                     "--yes", "--json")  # fmt: skip
    assert rome["status"] == "upgraded"
    outcomes = {part["part"]: part["outcome"] for part in rome["parts"]}
    assert outcomes["mappings.buyer.source_path"] == "kept"
    assert outcomes["mappings.note"] == "kept"
    assert outcomes["settings.delimiter"] == outcomes["mappings.currency"] == "follows"
    now = command("integrations", "show", "rome", "--json")
    assert {m["name"]: m["source_path"] for m in now["mappings"]} == {
        "number": "$.No", "buyer": "$.Purchaser", "total": "$.Total", "note": "$.Note",
        "currency": "$.Currency",
    }  # fmt: skip

    for name in before:
        back = templates("rollback", name, "--yes", "--json")
        assert (back["status"], back["to_version"]) == ("rolled_back", "1.9.0")
        assert said(command("integrations", "show", name, "--json")) == said(before[name])
    with edgekit.open(edge_file) as edge:
        assert [v.version for v in integrations.history("rome")] == [3, 2, 1], "as new versions"
        assert edge.query("SELECT max(version) AS n FROM integration_mapping")[0]["n"] > 2
    assert "nothing to take back" in templates("rollback", "rome", "--yes", code=6)
    templates("upgrade", "rome", "--take", "mine", "--yes")
    ran = command("integrations", "run", "berlin", "--json")
    assert (ran["status"], ran["records_written"]) == ("completed", 1)


@pytest.mark.ledger("S4-80")
def test_a_red_test_keeps_the_old_form(orders: Database, tmp_path: Path) -> None:
    make("shop")
    (mapping,) = [m for m in integrations.list_mappings("shop") if m["name"] == "total"]
    with db.change(reason="a test of one's own"):
        models.IntegrationMappingTest.create(
            mapping_id=mapping["id"],
            test_name="whole",
            input_data={"Total": "3"},
            expected_output={"total": 3},
        )
    before = integrations.show("shop"), orders.query("SELECT * FROM integration_mapping_test")
    ship(tmp_path, SECOND)
    result = runner.upgrade("shop")
    assert result.status == "tests_failed"
    assert result.error is not None
    assert "mapping test 'total: whole' failed: total is 300, not 3" in result.error.message
    assert (integrations.show("shop"), orders.query("SELECT * FROM integration_mapping_test")) == before
    broken = version("1.11.0", test_suite={"tests": [
        {"name": "wrong", "records": [{"No": "1", "Buyer": "Ann"}], "rows": [{"buyer": "Bob"}]},
    ]})  # fmt: skip
    ship(tmp_path, broken)
    result = runner.upgrade("shop")
    assert "template test 'wrong' failed: Record 1: buyer is 'Ann', not 'Bob'" in str(result.error)
    assert integrations.show("shop") == before[0]


def test_columns_mapped_in_a_way_of_ones_own_are_not_held_against_the_template(
    orders: Database, tmp_path: Path
) -> None:
    make("shop", customizations={"mappings": [
        {"name": "buyer", "source_path": "$.Purchaser", "is_required": True},
    ]})  # fmt: skip
    ship(tmp_path, version("1.9.1", mapping_templates=mappings(total={"target_data_type": "money"}),
                           test_suite={"tests": [{"name": "an order", "records": [{"No": "1", "Total": "2"}],
                                                  "rows": [{"number": "1", "total": 200}]}]}))  # fmt: skip
    result = runner.upgrade("shop")
    assert result.status == "upgraded", result.error


def test_what_a_version_calls_otherwise_moves_along_and_what_it_does_not_know_is_a_conflict(
    orders: Database, tmp_path: Path
) -> None:
    make("shop", customizations={"mappings": [{"name": "buyer", "source_path": "$.Purchaser"}]})
    (first,) = [m["id"] for m in integrations.list_mappings("shop") if m["name"] == "buyer"]
    renamed = mappings(buyer=None, customer={"source_path": "$.Buyer", "target_path": "buyer"})
    ship(
        tmp_path,
        version(
            "1.9.5", mapping_templates=renamed, renames={"mappings": {"buyer": "customer"}}, test_suite={}
        ),
        version("1.9.6", mapping_templates=renamed, test_suite={}),
    )
    result = runner.upgrade("shop")
    assert result.status == "upgraded", result.error
    found = {m["name"]: m for m in integrations.list_mappings("shop")}
    assert (found["customer"]["id"], found["customer"]["source_path"]) == (first, "$.Purchaser")

    moved = {"connector": "http", "base_url": "http://127.0.0.1:1", "records": "$", "table": "orders",
             "key": "number"}  # fmt: skip
    ship(tmp_path, version("2.0.0", connection_template=moved, mapping_templates=renamed, test_suite={}))
    result = runner.upgrade("shop")
    assert result.status == "conflict"
    (unknown,) = [part for part in result.parts if part.part == "settings.path" and part.note]
    assert (unknown.outcome, unknown.mine) == ("conflict", "orders.csv")
    result = runner.upgrade("shop", take={"*": "template"})
    assert result.status == "upgraded", result.error
    assert integrations.show("shop")["settings"] == moved


def test_two_mappings_that_would_fill_one_place_are_named(orders: Database, tmp_path: Path) -> None:
    make("shop")
    integrations.set_mapping("shop", "buyer", {"name": "customer"}, reason="field_change")
    ship(tmp_path, SECOND)
    assert [part.part for part in runner.upgrade("shop").parts if part.outcome == "conflict"] == [
        "mappings.buyer"
    ]
    result = runner.upgrade("shop", take={"*": "template"})
    assert "customer and buyer would both fill buyer" in str(result.error)


def test_two_mappings_may_change_places(orders: Database, tmp_path: Path) -> None:
    make("shop")
    before = said(integrations.show("shop"))
    swapped = mappings(number={"target_path": "buyer"}, buyer={"target_path": "number"})
    ship(tmp_path, version("1.9.7", mapping_templates=swapped, test_suite={}))
    result = runner.upgrade("shop")
    assert result.status == "upgraded", result.error
    targets = {m["name"]: m["target_path"] for m in integrations.show("shop")["mappings"]}
    assert targets == {"number": "buyer", "buyer": "number", "total": "total"}
    runner.roll_back_upgrade("shop")
    assert said(integrations.show("shop")) == before


@pytest.mark.ledger("S4-80")
def test_rolling_back_twice_takes_two_upgrades_back(orders: Database, tmp_path: Path) -> None:
    make("shop", customizations={"connection": {"encoding": "cp1252"}})
    first = said(integrations.show("shop"))
    ship(tmp_path, SECOND)
    runner.upgrade("shop")
    second = said(integrations.show("shop"))
    third: dict[str, Any] = {"connection_template": {**SECOND["connection_template"], "batch_size": 9}}
    third["integration_template_prerequisite"] = [{"prerequisite": "A"}]
    ship(tmp_path, version("1.11.0", base=SECOND, **third))
    asked = runner.upgrade("shop")
    assert "needs beforehand: A" in str(asked.error)
    assert runner.upgrade("shop", acknowledge=True).status == "upgraded"
    assert integrations.show("shop")["acknowledgement"]["prerequisites"] == ["A"]
    ship(tmp_path, version("1.12.0", base=SECOND, **third))
    assert runner.upgrade("shop").status == "upgraded", "what was acknowledged is not asked again"
    runner.roll_back_upgrade("shop")
    runner.roll_back_upgrade("shop")
    assert said(integrations.show("shop")) == second
    runner.roll_back_upgrade("shop")
    assert said(integrations.show("shop")) == first
    with pytest.raises(ConflictError, match="nothing to take back"):
        runner.roll_back_upgrade("shop")


@pytest.mark.ledger("S4-80")
def test_what_was_edited_since_the_upgrade_is_named_before_it_goes(orders: Database, tmp_path: Path) -> None:
    make("shop")
    ship(tmp_path, SECOND)
    runner.upgrade("shop")
    assert [part.part for part in runner.roll_back_upgrade("shop", dry_run=True).parts if part.note] == []
    integrations.set_mapping("shop", "number", {"source_path": "$.Number"}, reason="field_change")
    integrations.set_settings("shop", {"batch_size": 7})
    back = runner.roll_back_upgrade("shop", dry_run=True)
    assert [part.part for part in back.parts if part.note] == [
        "settings.batch_size",
        "mappings.number.source_path",
    ]
    assert "mappings.buyer.source_path" in {part.part for part in back.parts}


@pytest.mark.ledger("S4-80")
def test_an_edit_of_somebody_else_meanwhile_is_not_overwritten(
    orders: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("shop")
    ship(tmp_path, SECOND)
    wait = trials.refusal

    def edited(integration_id: int) -> Any:
        integrations.set_settings("shop", {"batch_size": 7})
        return wait(integration_id)

    monkeypatch.setattr(trials, "refusal", edited)
    result = runner.upgrade("shop")
    assert (result.status, type(result.error)) == ("failed", ConflictError)
    assert "changed by somebody else meanwhile" in str(result.error)
    assert (integrations.show("shop")["template"], integrations.show("shop")["settings"]["batch_size"]) == (
        "orders 1.9.0", 7,
    )  # fmt: skip


def test_only_what_is_newer_is_an_upgrade(orders: Database, tmp_path: Path) -> None:
    ship(tmp_path, SECOND)
    make("shop")
    assert runner.upgrade("shop").status == "current"
    result = runner.upgrade("shop", to="1.9.0")
    assert "newer than 1.9.0" in str(result.error)
    with db.change(reason="by hand"):
        models.Integration.create(integration_name="bare", integration_type_id=1, connection_config={})
    with pytest.raises(ConflictError, match="bare was not made from a template"):
        runner.upgrade("bare")


def test_three_forms_become_one() -> None:
    base: forms.Form = {
        "settings": {"a": 1, "b": {"x": 1, "y": 1}, "c": 1, "auth": {"kind": "header", "name": "A"}},
        "mappings": {}, "pipeline": {},
    }  # fmt: skip
    mine = {**base, "settings": {"a": 2, "b": {"x": 2, "y": 1}, "auth": {"kind": "bearer"}, "own": 5}}
    theirs = {
        **base,
        "settings": {"a": 1, "b": {"x": 1, "y": 2}, "c": 3, "auth": {"kind": "header", "name": "B"}},
    }
    merged, parts = forms.merge(base, mine, theirs, take={"settings.c": "template"})
    assert merged["settings"] == {"a": 2, "b": {"x": 2, "y": 2}, "auth": {"kind": "bearer"}, "own": 5, "c": 3}
    assert {part.part: part.outcome for part in parts} == {
        "settings.a": "kept", "settings.auth": "conflict", "settings.b.x": "kept", "settings.b.y": "follows",
        "settings.c": "follows", "settings.own": "kept",
    }  # fmt: skip


@pytest.mark.ledger("S4-39")
def test_parts_of_a_template_are_customised_by_name(orders: Database, tmp_path: Path) -> None:
    steps = [{"type": "transform", "transformation": "shout"}, {"name": "map", "type": "map"}]
    script = {"name": "shout", "language": "jmespath", "text": "merge(@, {note: 'template'})"}
    template = version(
        "1.9.3", pipeline_template={"steps": steps}, transformation_library={"transformations": [script]},
        test_suite={}, mapping_templates=mappings(note={"source_path": "$.note", "target_path": "note"}),
    )  # fmt: skip
    ship(tmp_path, template)
    assert make("plain")["pipeline"]["steps"][0] == {
        "name": "shout", "type": "transform", "language": "jmespath", "text": script["text"],
    }  # fmt: skip
    own = {"name": "shout", "text": "merge(@, {note: 'mine'})"}
    mapping = {"name": "buyer", "source_path": "$.Purchaser"}
    make("ours", customizations={"transformations": [own], "mappings": [mapping]})
    (tmp_path / "o.csv").write_text("No;Buyer;Purchaser;Total\n1;Ann;Bob;2\n")
    for name, wanted in (("plain", ("Ann", "template")), ("ours", ("Bob", "mine"))):
        assert runner.run(name, overrides={"path": str(tmp_path / "o.csv")}).status == "completed"
        assert tuple(orders.query("SELECT buyer, note FROM orders")[0].values()) == wanted
    changed = {"transformations": [{**script, "text": "merge(@, {note: 'newer'})"}]}
    ship(tmp_path, version("1.9.4", base=template, transformation_library=changed))
    assert runner.upgrade("plain").status == "upgraded"
    assert [part.part for part in runner.upgrade("ours").parts if part.outcome == "conflict"] == [
        "pipeline.steps"
    ]
    with pytest.raises(InvalidError, match="transformations of the customizations has another shape"):
        make("bad", customizations={"transformations": [{"language": "sql"}]})


# --- a version stays what it is


@pytest.mark.ledger("S4-80", "S4-81")
def test_a_version_in_use_or_certified_stays_as_it_is(orders: Database) -> None:
    setting = "connection_template = json_object('connector', 'file')"
    change = f"UPDATE integration_template SET {setting} WHERE code = 'orders'"
    with db.change(reason="free"):
        db.connection().execute(change.replace("file", "http"))
    with db.change(reason="back"):
        db.connection().execute(change)
        db.connection().execute("UPDATE integration_template SET mapping_templates = '{\"mappings\": []}',"
                                " test_suite = NULL WHERE code = 'orders'")  # fmt: skip
    integrations.create("x", template="orders", settings={"path": "a", "table": "orders"})
    with pytest.raises(RuleError, match="Make a new version"), db.change(reason="no"):
        db.connection().execute(change.replace("file", "http"))
    with db.change(reason="what it is called may be mended"):
        db.connection().execute(
            "UPDATE integration_template SET description = 'Better.' WHERE code = 'orders'"
        )


# --- certification


@pytest.mark.ledger("S4-81")
def test_certifying_takes_evidence_and_is_taken_back_with_a_reason(orders: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="takes evidence"):
        runner.certify("orders", note="  ")
    found = runner.certify("orders", note="Ran a month in the pilot.")
    assert found["is_certified"]
    assert (found["certified_by"], len(found["certification_date"])) == (orders.actor, 10)
    approval = orders.query("SELECT * FROM approval")[0]
    assert (approval["approval_kind"], approval["decision"], approval["subject_version"]) == (
        "certification", "approved", "1.9.0",
    )  # fmt: skip
    assert approval["note"] == "Ran a month in the pilot. (1 of its own tests passed)"
    with pytest.raises(ConflictError, match="certified already"):
        runner.certify("orders", note="again")
    with pytest.raises(RuleError, match="Make a new version"), db.change(reason="no"):
        db.connection().execute("UPDATE integration_template SET test_suite = NULL WHERE code = 'orders'")
    with pytest.raises(RuleError, match="Make a new version"), db.change(reason="in one go"):
        db.connection().execute(
            "UPDATE integration_template SET is_certified = 0, test_suite = NULL WHERE code = 'orders'"
        )
    ship(tmp_path, SECOND)
    assert not integrations.show_template("orders")["is_certified"], "a new version needs its own"
    back = runner.withdraw_certification("orders@1.9.0", note="The provider changed.")
    assert (back["is_certified"], back["certification_date"], back["certified_by"]) == (False, None, None)
    decisions = [row["decision"] for row in orders.query("SELECT decision FROM approval ORDER BY id")]
    assert decisions == ["approved", "rejected"]
    red = version("1.12.0", test_suite={"tests": [
        {"name": "wrong", "settings": {"path": "a"}, "records": [{"No": "1"}], "rows": []},
    ]})  # fmt: skip
    ship(tmp_path, red, version("1.13.0", test_suite=None))
    with pytest.raises(InvalidError, match="'wrong' failed: 1 rows came out, not 0"):
        runner.certify("orders@1.12.0", note="x")
    with pytest.raises(InvalidError, match="has no tests"):
        runner.certify("orders@1.13.0", note="x")


@pytest.mark.ledger("S4-80", "S4-81")
def test_in_production_what_a_certified_version_brought_runs_until_the_newer_is_vouched_for(
    orders: Database, tmp_path: Path
) -> None:
    def live(name: str) -> dict[str, Any]:
        return {one.mapping: (one.live_version, one.live_by) for one in integrations.list_approvals(name)}

    with db.change(reason="it is in earnest"):
        db.connection().execute(
            "UPDATE system SET environment_id = (SELECT id FROM environment WHERE code = 'PRODUCTION')"
        )
    runner.certify("orders", note="Pilot.")
    make("shop")
    vouched = (1, "certification")
    assert live("shop") == {"number": vouched, "buyer": vouched, "total": vouched}
    ship(tmp_path, SECOND)
    assert runner.upgrade("shop").status == "upgraded"
    assert live("shop") == {
        "number": vouched, "buyer": vouched, "total": vouched, "currency": (None, None),
    }, "those of before go on"  # fmt: skip
    standings = [one for one in integrations.live.standings(1) if one.live_version is not None]
    fields = {one.mapping: one.row["source_path"] for one in standings}
    assert fields == {"number": "$.No", "buyer": "$.Buyer", "total": "$.Total"}
    runner.certify("orders@1.10.0", note="Pilot.")
    assert live("shop") == {
        "number": vouched, "buyer": (2, "certification"), "total": (2, "certification"), "currency": vouched,
    }  # fmt: skip
    runner.roll_back_upgrade("shop")
    assert live("shop")["buyer"] == (3, "certification"), "as the version says that it has again"
    runner.withdraw_certification("orders@1.9.0", note="The shop changed.")
    assert {said for said, _ in live("shop").values()} == {None}, "one newer than its own speaks for nothing"


@pytest.mark.ledger("S4-38", "S4-81", "S4-82")
def test_only_administrators_vouch_and_what_one_organization_imported_is_no_other_ones(
    orders: Database, edge_file: Path
) -> None:
    with db.change(reason="people"):
        run = db.connection().execute
        run("INSERT INTO organization(id, code, name) VALUES (2, 'B', 'Bee')")
        for person in (("uma", 1, 2), ("bob", 2, 2), ("vic", 1, 3)):
            run("INSERT INTO user(username, organization_id, role_id) VALUES (?, ?, ?)", person)
    orders.close()
    with edgekit.open(edge_file, actor="uma"):
        document = rewritten(integrations.export_template("orders"), version="1.9.9")
        integrations.import_template(document, trust=document["checksum"])
        with pytest.raises(DeniedError, match="certifying templates"):
            runner.certify("orders", note="It is good.")
    with edgekit.open(edge_file, actor="bob"):
        assert [row.version for row in integrations.list_template_versions("orders")] == ["1.9.0"]
        with pytest.raises(NotFoundError, match="Template not found or inactive"):
            integrations.create("theirs", template="orders@1.9.9")
    with edgekit.open(edge_file, actor="vic"):
        other = rewritten(document, version="1.9.10")
        with pytest.raises(DeniedError):
            integrations.import_template(other, trust=other["checksum"])


# --- sharing


@pytest.fixture
def other(pattern_file: Path, tmp_path: Path) -> Path:
    return shutil.copyfile(pattern_file, tmp_path / "other.db")


@pytest.mark.ledger("S4-82")
def test_a_template_goes_to_another_file_signed_and_whole(
    edge_file: Path, other: Path, tmp_path: Path
) -> None:
    shared = {**SECOND, "integration_template_prerequisite": [{"prerequisite": "A shop"}],
              "renames": {"mappings": {"purchaser": "buyer"}}}  # fmt: skip
    with edgekit.open(edge_file):
        vault.init()
        ship(tmp_path, shared)
        document = integrations.export_template("orders")
        assert integrations.import_template(document).outcome == "there_already"
        original = integrations.show_template("orders")
    signer = document["signed_by"]
    with edgekit.open(other) as there:
        looked = integrations.import_template(document, dry_run=True)
        assert (looked.outcome, looked.signer, looked.is_trusted) == ("would_add", signer, False)
        with pytest.raises(DeniedError, match=f"signed by {signer}"):
            integrations.import_template(document, trust="s" + "a" * 16)
        assert there.query("SELECT 1 FROM integration_template WHERE code = 'orders'") == []
        assert integrations.import_template(document, trust=signer).outcome == "added"
        taken = integrations.show_template("orders")
        names = set(original) - {"id", "organization_id"}
        assert {name: taken[name] for name in names} == {name: original[name] for name in names}
        assert not taken["is_certified"]
        assert integrations.import_template(document, trust=signer).outcome == "there_already"
        assert [test.status for test in runner.try_template("orders")] == ["passed"]


@pytest.mark.ledger("S4-82")
def test_a_signature_of_somebody_else_is_not_that_of_the_signer(
    edge_file: Path, other: Path, tmp_path: Path
) -> None:
    signed = []
    for path in (edge_file, other):
        with edgekit.open(path):
            vault.init()
            ship(tmp_path, FIRST)
            signed.append(integrations.export_template("orders"))
    ours, theirs = signed
    name = ours["signed_by"]
    assert name != theirs["signed_by"]
    forged = [
        {**ours, "signature": theirs["signature"]},
        {**ours, **{key: theirs[key] for key in ("signature", "public_key")}},
        {**theirs, "signed_by": name},
    ]
    renewed = [{**one, "checksum": sharing._checksum(one)} for one in forged]
    with edgekit.open(other):
        for document in renewed:
            with pytest.raises(edgekit.errors.CorruptError, match="was changed"):
                integrations.import_template(document, trust=name)
        # The order of keys is no part of what is signed: the same document in another order is the same.
        turned = json.loads(json.dumps(dict(reversed(ours.items()))))
        assert integrations.import_template(turned, dry_run=True).signer == name


def tampered(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**document, **changes}


@pytest.mark.ledger("S4-82")
def test_what_was_changed_is_newer_or_holds_a_secret_is_refused(orders: Database, tmp_path: Path) -> None:
    unsigned = integrations.export_template("orders")
    assert "signed_by" not in unsigned
    vault.init()
    document = integrations.export_template("orders")
    other = {**document["template"], "description": "Something else."}
    for changed in (
        tampered(document, template=other),
        tampered(unsigned, template=other),
        tampered(document, signature=document["signature"][::-1]),
        tampered(document, checksum="c" + "a" * 24),
    ):
        with pytest.raises(edgekit.errors.CorruptError, match="was changed after it was written"):
            integrations.import_template(changed)
    stripped = {key: value for key, value in document.items() if key not in {"signature", "signed_by"}}
    with pytest.raises(edgekit.errors.CorruptError):
        integrations.import_template(stripped)
    with pytest.raises(InvalidError, match="format version 2"):
        integrations.import_template(tampered(document, format_version=2))
    with pytest.raises(InvalidError, match="is no template"):
        integrations.import_template({"format": "edgekit-configuration"})
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InvalidError, match=r"broken\.json"):
        integrations.import_template(tmp_path / "broken.json")
    with pytest.raises(NotFoundError):
        integrations.import_template(tmp_path / "absent.json")
    ship(tmp_path, version("3.0.0", connection_template={
        "connector": "http", "base_url": "https://ann:hunter22@example.org"}))  # fmt: skip
    with pytest.raises(InvalidError, match=r"holds a secret at template\.connection_template\.base_url"):
        integrations.export_template("orders@3.0.0")
    ship(tmp_path, version("3.1.0", test_suite={"tests": [
        {"name": "t", "records": [{"password": "hunter22"}], "rows": []}]}))  # fmt: skip
    with pytest.raises(InvalidError, match=r"records\[0\]\.password"):
        integrations.export_template("orders@3.1.0")


def rewritten(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what somebody else would write: other content, its own checksum, no signature."""
    bare = {key: document[key] for key in ("format", "format_version")}
    bare["template"] = {**document["template"], **changes}
    return {**bare, "checksum": sharing._checksum(bare)}


@pytest.mark.ledger("S4-82")
def test_a_file_nobody_signed_is_believed_by_its_checksum(orders: Database) -> None:
    document = rewritten(integrations.export_template("orders"), version="1.9.9")
    with pytest.raises(DeniedError, match="signed by nobody") as caught:
        integrations.import_template(document)
    assert document["checksum"] in (caught.value.hint or "")
    found = integrations.import_template(document, trust=document["checksum"])
    assert (found.outcome, found.newest_until_now) == ("added", "1.9.0")
    other = rewritten(document, description="Another.")
    with pytest.raises(ConflictError, match=r"There is a orders 1\.9\.9 here already"):
        integrations.import_template(other, trust=other["checksum"])


@pytest.mark.ledger("S4-82")
@pytest.mark.parametrize(
    ("said", "changes"),
    [
        ("mappings of a template are a list", {"mapping_templates": {"mappings": "abc"}}),
        ("mappings of a template are a list", {"mapping_templates": {"mappings": [1]}}),
        ("Two mappings have the name a", {"mapping_templates": [
            {"name": "a", "source_path": "$.x", "target_path": "x"},
            {"name": "a", "source_path": "$.y", "target_path": "y"}]}),
        ("mapping a has no source_path", {"mapping_templates": [
            {"name": "a", "source_path": 5, "target_path": "x"}]}),
        ("rule 'nope' is unknown", {"mapping_templates": [
            {"source_path": "$.x", "target_path": "x", "transformation_rules": {"type": "nope"}}]}),
        ("goes in no direction up", {"mapping_templates": [
            {"source_path": "$.x", "target_path": "x", "mapping_direction": "up"}]}),
        ("steps of a pipeline are a list", {"pipeline_template": {"steps": {"steps": 5}}}),
        ("'wipe' cannot be run here", {"pipeline_template": {"steps": [{"type": "wipe"}]}}),
        ("has branches", {"pipeline_template": {"steps": [{"type": "parallel", "branches": [5]}]}}),
        ("A pipeline has no stepz", {"pipeline_template": {"stepz": []}}),
        ("error_handling_strategy is one of", {"pipeline_template": {"error_handling_strategy": "yolo"}}),
        ("renames of a template have another shape", {"renames": {"mappings": "x"}}),
        ("renames of a template have another shape", {"renames": {"settings": {"a": {"b": 1}}}}),
        ("give two mappings one name", {"renames": {"mappings": {"a": "c", "b": "c"}}}),
        ("rate_limits has no often", {"rate_limits": {"often": 1}}),
        ("a code is letters", {"code": "csv-import@9.9.9"}),
        ("a code is letters", {"code": "orders\x1b[8m"}),
        ("documentation_url begins with", {"documentation_url": "javascript:alert(1)"}),
        ("description is a text", {"description": 5}),
        ("no setting nope", {"connection_template": {"connector": "file", "nope": 1}}),
        ("no connector 'nope'", {"connection_template": {"connector": "table", "to": {"connector": "nope"}}}),
        ("holds a secret", {"description": "password=hunter22hunter"}),
        ("holds a secret", {"transformation_library": {"transformations": [
            {"name": "a", "language": "python", "text": "api_key = 'hunter22hunter'"}]}}),
        ("holds a secret", {"connection_template": {"connector": "http", "headers": {
            "X-A": base64.b64encode(b"Bearer abcdef0123456789").decode()}}}),
    ],
)  # fmt: skip
def test_a_file_that_is_no_good_template_is_refused_whole(
    orders: Database, said: str, changes: dict[str, Any]
) -> None:
    document = rewritten(integrations.export_template("orders"), **{"version": "6.0.0", **changes})
    with pytest.raises(InvalidError, match=said):
        integrations.import_template(document, trust=document["checksum"])


@pytest.mark.ledger("S4-82")
def test_where_records_would_go_is_seen_before_a_template_is_taken_over(orders: Database) -> None:
    to = {"connector": "http", "base_url": "https://elsewhere.example", "path": "/all"}
    steps = [{"type": "transform", "language": "jmespath", "text": "@"}, {"type": "map"}]
    document = rewritten(
        integrations.export_template("orders"), version="6.1.0", category="UNKNOWN HERE",
        connection_template={"connector": "table", "inputs": {"table": "insured"}, "to": to},
        mapping_templates=[], pipeline_template={"steps": steps}, test_suite={},
    )  # fmt: skip
    looked = integrations.import_template(document, dry_run=True)
    assert looked.settings["to"] == to
    assert looked.settings["inputs"] == {"table": "insured"}
    assert list(looked.steps) == steps
    assert integrations.import_template(document, trust=document["checksum"]).outcome == "added"
    assert integrations.import_template(document, trust=document["checksum"]).outcome == "there_already"


@pytest.mark.ledger("S4-79", "S4-80")
def test_a_new_program_brings_its_version_beside_one_that_was_imported(
    orders: Database, tmp_path: Path
) -> None:
    document = rewritten(integrations.export_template("orders"), version="1.10.0", prerequisites=["Mine"])
    integrations.import_template(document, trust=document["checksum"])
    make("shop", acknowledge=True)
    ship(tmp_path, {**SECOND, "integration_template_prerequisite": [{"prerequisite": "Theirs"}]})
    own, theirs = orders.query("SELECT * FROM integration_template WHERE version = '1.10.0' ORDER BY id")
    assert (own["organization_id"], theirs["organization_id"]) == (1, None)
    assert integrations.show_template("orders")["prerequisites"] == ["Mine"], (
        "the organization's own is meant"
    )
    assert all_templates.read_template(theirs["id"])["prerequisites"] == ["Theirs"]


def test_names_change_places_and_nothing_that_is_set_is_overwritten() -> None:
    form: forms.Form = {
        "settings": {"a": 1, "b": 2, "c": {"x": 3}},
        "mappings": {"m": {}, "n": {}},
        "pipeline": {},
    }
    swapped = forms.rename(form, {"settings": {"a": "b", "b": "a"}, "mappings": {"m": "n", "n": "m"}})
    assert swapped["settings"] == {"a": 2, "b": 1, "c": {"x": 3}}
    assert list(swapped["mappings"]) == ["n", "m"]
    moved = forms.rename(form, {"settings": {"a": "b", "b": "c.y"}})
    assert moved["settings"] == {"b": 1, "c": {"x": 3, "y": 2}}
    with pytest.raises(InvalidError, match=r"to b, which is set already"):
        forms.rename(form, {"settings": {"a": "b"}})
    with pytest.raises(InvalidError, match="to n, and there is another"):
        forms.rename(form, {"mappings": {"m": "n"}})


def test_another_tool_cannot_change_what_is_pinned_either(orders: Database, edge_file: Path) -> None:
    make("shop")
    shell = sqlite3.connect(edge_file)
    with pytest.raises(sqlite3.IntegrityError, match="pinned"):
        shell.execute("UPDATE integration_template SET renames = '{}' WHERE code = 'orders'")
    shell.close()
