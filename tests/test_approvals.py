"""Approvals: in production what was approved runs, and nothing else; elsewhere everything does."""

from __future__ import annotations

import json
import lzma
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import edgekit
from edgekit import clock, db, integrations, runner
from edgekit.cli import root
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from edgekit.file.migrate import migrate
from edgekit.integrations.live import KINDS
from edgekit.models import Approval, IntegrationMapping, IntegrationMappingTest, IntegrationTemplate

if TYPE_CHECKING:
    from edgekit.db import Database

VIN = "1HGCM82633A004352"
MAPPINGS = [
    {"source_path": "VIN", "target_path": "vin", "is_required": True},
    {"source_path": "Make", "target_path": "make"},
]


@pytest.fixture
def cars(edge: Database, tmp_path: Path) -> Database:
    """A file in production with an import of vehicles that nobody has approved."""
    (tmp_path / "cars.csv").write_text(f"VIN,Make,Maker\n{VIN},kia,Kia Motors\n")
    integrations.create(
        "cars",
        template="csv-import",
        settings={"path": str(tmp_path / "cars.csv"), "table": "vehicle", "key": "vin", "ignore": "*"},
        customizations={"mappings": MAPPINGS},
    )
    integrations.switch_environment("production")
    return edge


def add_test(expected: dict[str, Any], mapping: str = "vin") -> None:
    with db.change(reason="a test"):
        IntegrationMappingTest.create(
            mapping=IntegrationMapping.get(IntegrationMapping.mapping_name == mapping).id, test_name="whole",
            test_type="integration", input_data={"VIN": VIN, "Make": "kia"}, expected_output=expected,
        )  # fmt: skip


def edit(mapping: str, **values: Any) -> None:
    with db.change(reason="an edit"):
        row = IntegrationMapping.get(IntegrationMapping.mapping_name == mapping)
        for name, value in values.items():
            setattr(row, name, value)
        row.save()


def makes() -> list[Any]:
    return [row["make"] for row in db.query("SELECT make FROM vehicle")]


def live() -> dict[str, int | None]:
    return {one.mapping: one.live_version for one in integrations.list_approvals("cars")}


@pytest.mark.ledger("S4-06")
def test_nothing_runs_in_production_before_four_approvals(cars: Database) -> None:
    with pytest.raises(DeniedError, match=r"none of its 2 mappings is approved \(missing: technical_review"):
        runner.run("cars")
    assert db.query("SELECT 1 FROM integration_execution") == []
    rehearsed = runner.run("cars", dry_run=True)
    assert rehearsed.records_written == 1, "a rehearsal is always allowed"
    assert "these wait for approval: vin, make" in str(rehearsed.message)
    add_test({"vin": VIN, "make": "kia"})
    for kind in KINDS[:-1]:
        integrations.approve("cars", kinds=[kind])
        with pytest.raises(DeniedError):
            runner.run("cars")
    found = integrations.approve("cars", kinds=["testing_sign_off"], note="by hand")
    assert [(one.live_version, one.missing, one.tests) for one in found] == [(1, (), "passed")] * 2
    assert runner.run("cars").records_written == 1
    rows = list(Approval.select())
    assert len(rows) == 8, "every approval is a row"
    assert {(row.decided_by, row.subject_version) for row in rows} == {(1, "1")}
    assert all(row.decided_at for row in rows)
    assert integrations.show("cars")["mappings"][0]["live_version"] == 1


@pytest.mark.ledger("S4-06")
def test_an_edited_mapping_runs_as_it_was_until_it_is_approved(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.approve("cars")
    edit("make", source_path="Maker")
    assert live() == {"vin": 1, "make": 1}
    runner.run("cars")
    assert makes() == ["kia"]
    with pytest.raises(ConflictError, match="make: tests fail"):
        integrations.approve("cars")
    assert Approval.select().count() == 8, "nothing was decided"
    edit("make", source_path="Maker", transformation_rules={"type": "upper"})
    with db.change(reason="retire the test"):
        IntegrationMappingTest.update(status=2).execute()
    integrations.approve("cars", ["make"], kinds=KINDS[:-1])
    assert live()["make"] == 1
    with pytest.raises(ConflictError, match="make: tests are absent"):
        integrations.approve("cars", ["make"])


def test_versions_that_write_one_column_do_not_go_live_together(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.approve("cars")
    edit("make", target_path="trim_name")
    integrations.add_mapping("cars", {"name": "second", "source_path": "Make", "target_path": "make"})
    with db.change(reason="the test follows"):
        IntegrationMappingTest.update(
            expected_output={"vin": VIN, "make": "kia", "trim_name": "kia"}
        ).execute()
    with pytest.raises(
        ConflictError, match=r"could not run: mapping \"second\": target make is already written"
    ):
        integrations.approve("cars", ["second"])
    assert runner.run("cars").records_written >= 0
    assert {one.live_version for one in integrations.approve("cars")} == {1, 2}


@pytest.mark.ledger("S4-06")
def test_a_rejected_version_gives_way_to_the_one_before(cars: Database) -> None:
    add_test({"vin": VIN}, "vin")
    add_test({"make": "KIA"}, "make")
    edit("make", transformation_rules={"type": "upper"})
    integrations.approve("cars")
    assert live() == {"vin": 1, "make": 2}
    edit("make", transformation_rules={"type": "upper"}, validation_rules={"max_length": 50})
    integrations.approve("cars")
    assert live()["make"] == 3
    (told,) = integrations.approve("cars", ["MAKE"], kinds=["data_owner"], reject=True, note="not yet")
    assert (told.live_version, told.rejected, told.missing) == (2, ("data_owner",), ("data_owner",))
    assert told.decisions[-1]["note"] == "not yet"
    runner.run("cars")
    assert makes() == ["KIA"]
    integrations.approve("cars", ["make"], kinds=["data_owner"])
    assert live()["make"] == 3


def test_what_another_tool_slips_in_is_not_live(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.approve("cars")
    with db.change(reason="a shell"):
        db.connection().execute(
            "UPDATE integration_mapping SET source_path = 'Maker' WHERE target_path = 'make'"
        )
    assert live() == {"vin": 1, "make": 1}
    runner.run("cars")
    assert makes() == ["kia"], "as it was when it was approved"
    (make,) = (one for one in integrations.list_approvals("cars") if one.mapping == "make")
    assert (make.tests, make.missing) == ("pending", KINDS)


def set_steps(text: str) -> None:
    step = {"type": "transform", "language": "jmespath", "text": text}
    integrations.set_pipeline("cars", {"steps": [{"type": "map"}, step]})


EVIL, GOOD = "{vin: vin, make: 'EVIL'}", "{vin: vin, make: 'GOOD'}"


@pytest.mark.ledger("S4-06")
def test_steps_are_live_as_they_were_approved(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.approve("cars")
    set_steps(EVIL)
    integrations.set_pipeline("cars", {"error_handling_strategy": "fail_fast"})
    assert integrations.show_pipeline("cars")["waits_for_approval"]
    told = integrations.list_approvals("cars")
    assert {(one.live_version, one.missing, one.steps_changed) for one in told} == {(1, KINDS, True)}
    runner.run("cars")
    assert makes() == ["kia"]
    assert integrations.prepare("cars").strategy == "fail_fast", "how errors are handled is not asked for"
    integrations.approve("cars", kinds=KINDS[:1])
    set_steps(GOOD)
    integrations.approve("cars", kinds=KINDS[1:])
    assert {one.missing for one in integrations.list_approvals("cars")} == {KINDS[:1]}
    runner.run("cars")
    assert makes() == ["kia"], "nobody has four approvals of other steps"
    integrations.approve("cars")
    runner.run("cars")
    assert makes() == ["GOOD"]
    assert not integrations.show_pipeline("cars")["waits_for_approval"]


def test_a_clock_that_is_set_back_lets_no_steps_in(cars: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.approve("cars")
    monkeypatch.setattr(clock, "now_text", lambda: "2020-01-01T00:00:00.000Z")
    set_steps(EVIL)
    assert all(one.steps_changed for one in integrations.list_approvals("cars"))
    runner.run("cars")
    assert makes() == ["kia"]
    assert {one.missing for one in integrations.approve("cars")} == {()}


def test_steps_that_changed_between_the_approvals_are_not_live(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    set_steps(EVIL)
    integrations.approve("cars", kinds=KINDS[:1])
    set_steps(GOOD)
    integrations.approve("cars", kinds=KINDS[1:])
    with pytest.raises(DeniedError, match=r"missing: technical_review\)"):
        runner.run("cars")


def test_a_transformation_that_is_named_is_live_as_it_was_approved(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.add_transformation("loud", {"language": "jmespath", "transformation_logic": {"text": GOOD}})
    steps = [{"type": "map"}, {"type": "transform", "transformation": "loud"}]
    integrations.set_pipeline("cars", {"steps": steps})
    integrations.approve("cars")
    integrations.set_transformation("loud", {"transformation_logic": {"text": EVIL}})
    runner.run("cars")
    assert makes() == ["GOOD"]
    assert integrations.approve("cars")[0].missing == ()
    runner.run("cars")
    assert makes() == ["EVIL"]


@pytest.mark.ledger("S4-06")
def test_a_test_that_shows_nothing_signs_nothing_off(cars: Database) -> None:
    add_test({}, "vin")
    add_test({"vin": VIN}, "make")
    with pytest.raises(ConflictError, match="cannot be signed off: make: tests are absent"):
        integrations.approve("cars")
    assert {one.mapping: one.tests for one in integrations.list_approvals("cars")} == {
        "vin": "passed", "make": "absent",
    }  # fmt: skip


def test_what_another_tool_changes_between_the_approvals_is_not_live(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.approve("cars", kinds=KINDS[2:])
    with db.change(reason="a shell"):
        db.connection().execute(
            "UPDATE integration_mapping SET source_path = 'Maker' WHERE target_path = 'make'"
        )
    integrations.approve("cars", kinds=KINDS[:2])
    assert live() == {"vin": 1, "make": None}, "nobody has four approvals of what it was, or is"


def test_whole_records_do_not_leave_in_production(edge: Database, tmp_path: Path) -> None:
    to = {"connector": "file", "path": str(tmp_path / "out.csv")}
    (tmp_path / "in.csv").write_text("a\n1\n")
    connection = {"path": str(tmp_path / "in.csv"), "to": to}
    integrations.create("out", template="csv-import", customizations={"connection": connection})
    integrations.switch_environment("production")
    assert runner.run("out", dry_run=True).records_written > 0
    with pytest.raises(DeniedError, match="it has no mapping, and what leaves is approved there"):
        runner.run("out")


def test_what_is_not_approved_takes_no_part(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.approve("cars", ["vin"])
    runner.run("cars")
    assert makes() == [None]
    integrations.approve("cars", ["make"])
    integrations.approve("cars", ["vin"], reject=True)
    with pytest.raises(InvalidError, match="nothing is mapped to vin") as caught:
        runner.run("cars")
    assert caught.value.hint == (
        "In production these wait for approval: vin. See: edgekit mappings approvals cars"
    )


def test_a_test_of_an_earlier_version_is_pending(cars: Database) -> None:
    add_test({"vin": VIN, "make": "kia"})
    integrations.run_mapping_tests("cars")
    assert {one.tests for one in integrations.list_approvals("cars")} == {"passed"}
    edit("make", mapping_notes="looked at")
    assert {one.tests for one in integrations.list_approvals("cars")} == {"pending"}


def test_a_first_run_in_production_learns_and_writes_nothing(edge: Database, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("code,name\n1,a\n")
    settings = {"path": str(tmp_path / "items.csv"), "table": "item", "key": "code", "create": "true"}
    integrations.create("items", template="csv-import", settings=settings)
    integrations.switch_environment("production")
    learned = runner.run("items")
    assert (learned.status, learned.records_written) == ("failed", 0)
    assert "learned 2 mappings and wrote no record" in str(learned.message)
    assert db.query("SELECT count(*) AS n FROM item") == [{"n": 0}]
    with pytest.raises(DeniedError, match="none of its 2 mappings"):
        runner.run("items")


def test_a_certified_template_approves_what_is_taken_unchanged(cars: Database, tmp_path: Path) -> None:
    old = IntegrationTemplate.get(IntegrationTemplate.code == "csv-import")
    with db.change(reason="a template"):
        IntegrationTemplate.create(
            code="cars", template_name="Cars", version="1.0.0", integration_type_id=old.integration_type_id,
            template_category_id=old.template_category_id, connection_template=old.connection_template,
            mapping_templates={
                "mappings": [{**item, "name": item["target_path"], "default_value": 5} for item in MAPPINGS]
            },
            pipeline_template=old.pipeline_template,
            test_suite={"tests": [{
                "name": "a car", "settings": {"path": "x.csv", "table": "vehicle", "key": "vin"},
                "records": [{"VIN": VIN, "Make": "kia"}], "rows": [{"vin": VIN, "make": "kia"}],
            }]},
        )  # fmt: skip
    settings = {"path": str(tmp_path / "cars.csv"), "table": "vehicle", "key": "vin", "ignore": "*"}
    integrations.retire("cars")
    integrations.create("cars", template="cars", settings=settings)
    assert live() == {"vin": None, "make": None}
    runner.certify("cars", note="Ran a month in the pilot.")
    assert live() == {"vin": 1, "make": 1}
    assert {one.live_by for one in integrations.list_approvals("cars")} == {"certification"}
    integrations.set_mapping("cars", "make", {"source_path": "Maker"}, reason="field_change")
    assert live() == {"vin": 1, "make": 1}
    set_steps(EVIL)
    runner.run("cars")
    assert makes() == ["kia"], "the steps are those of the template, too"
    runner.withdraw_certification("cars", note="It was too early.")
    assert live() == {"vin": None, "make": None}


def test_elsewhere_everything_runs_and_the_switch_says_what_would_stop(cars: Database) -> None:
    from edgekit import vault

    vault.init()
    integrations.set_credential("cars", "api_key", "s3cret")
    told = integrations.switch_environment("staging")
    (one,) = told.integrations
    assert (told.environment, told.changed) == ("staging", True)
    assert (one.runs, one.live, one.missing_secrets, one.reason) == (
        False, 2, ("api_key",), "no secret api_key",
    )  # fmt: skip
    assert runner.run("cars").records_written == 1
    assert live() == {"vin": 1, "make": 1}
    (one,) = integrations.show_environment("production").integrations
    assert (one.runs, one.reason) == (False, "no approved mapping")
    with pytest.raises(NotFoundError, match="no environment moon"):
        integrations.switch_environment("moon")
    reasons = db.query("SELECT reason FROM audit_transaction ORDER BY id DESC LIMIT 3")
    assert any(str(row["reason"]).startswith("environment staging") for row in reasons)


def test_the_commands_decide_and_show(edge_file: Path, tmp_path: Path) -> None:
    def say(*words: str) -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge_file), *words], prog_name="edgekit")

    assert json.loads(say("environment", "--json").output)["environment"] == "development"
    (tmp_path / "cars.csv").write_text("VIN,Make\nA,kia\n")
    changes = tmp_path / "changes.json"
    changes.write_text(json.dumps({"mappings": MAPPINGS}))
    say("integrations", "create", "cars", "--template", "csv-import", "--customize", str(changes),
        "--set", f"path={tmp_path / 'cars.csv'}", "--set", "table=vehicle", "--set", "key=vin")  # fmt: skip
    stopped = say("environment", "production")
    assert stopped.exit_code == 130
    assert "cars would not run in production: no approved mapping." in stopped.output
    assert "why not" in say("environment", "production", "--dry-run").output
    assert say("environment", "production", "--yes").exit_code == 0
    refused = say("integrations", "run", "cars")
    assert refused.exit_code == 5
    assert "edgekit mappings approvals cars" in refused.output
    assert say("mappings", "approve", "cars").exit_code == 2
    assert say("mappings", "approve", "cars", "--all").exit_code == 6
    assert (
        say("mappings", "approve", "cars", "--kind", "data_owner", "--kind", "technical_review").exit_code
        == 0
    )
    (vin, _) = json.loads(say("mappings", "approvals", "cars", "--json").output)
    assert vin["missing"] == ["security_validation", "testing_sign_off"]
    assert vin["live_version"] is None


@pytest.mark.slow
def test_what_ran_in_production_before_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "agency.db"
    packed = Path(__file__).parent / "data" / "agency_v3.db.xz"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    shell = sqlite3.connect(path)
    shell.execute("UPDATE system SET environment_id = (SELECT id FROM environment WHERE code = 'PRODUCTION')")
    shell.commit()
    shell.close()
    migrate(path)
    with edgekit.open(path):
        found = [
            one
            for row in integrations.list_integrations()
            for one in integrations.list_approvals(row["name"])
        ]
        assert len(found) > 10
        assert all(one.live_version == one.version for one in found)
        assert {item["note"] for one in found for item in one.decisions} == {
            "Live before approvals were asked for."
        }
