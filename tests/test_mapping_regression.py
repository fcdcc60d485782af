"""Mapping tests over time: compared with the last result, generated, made of a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edgekit import db, integrations, runner
from edgekit.cli import root
from edgekit.errors import InvalidError, NotFoundError
from edgekit.integrations.mapping_cases import masked_record
from edgekit.mapping import FieldMapping
from edgekit.models import IntegrationMapping, IntegrationMappingTest

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
VIN = "1HGCM82633A004352"
MAPPINGS = [
    {"source_path": "VIN", "target_path": "vin", "is_required": True, "validation_rules": {"max_length": 17}},
    {"source_path": "Year", "target_path": "model_year", "target_data_type": "integer"},
    {"source_path": "Fuel", "target_path": "fuel_type",
     "transformation_rules": {"type": "map", "values": {"G": "Gasoline"}}},
]  # fmt: skip


@pytest.fixture
def cars(edge: Database, tmp_path: Path) -> Database:
    path = tmp_path / "cars.csv"
    path.write_text(f"VIN,Year,Fuel,email\n{VIN},2003,G,ann@example.org\nX,soon,G,bob@example.org\n")
    integrations.create(
        "cars", template="csv-import",
        settings={"path": str(path), "table": "vehicle", "key": "vin", "ignore": "*"},
        customizations={"mappings": MAPPINGS},
    )  # fmt: skip
    return edge


def add_test(column: str, name: str, record: dict[str, Any], expected: dict[str, Any], **more: Any) -> None:
    with db.change(reason="a test"):
        mapping = IntegrationMapping.get(IntegrationMapping.target_path == column)
        IntegrationMappingTest.create(
            mapping=mapping.id, test_name=name, input_data=record, expected_output=expected, **more
        )


def run(minutes: int) -> dict[str, Any]:
    found = integrations.run_mapping_tests("cars", now=NOON + timedelta(minutes=minutes))
    return {test.test_name: test for test in found}


@pytest.mark.ledger("S4-84")
def test_a_run_is_compared_with_the_last_one(cars: Database) -> None:
    add_test("model_year", "a year", {"Year": "2003"}, {"model_year": 2003})
    add_test("model_year", "text", {"Year": "2003"}, {"model_year": "2003"})
    add_test("fuel_type", "gas", {"Fuel": "G"}, {"fuel_type": "Gasoline"})
    add_test("fuel_type", "set aside", {"Fuel": "?"}, {}, test_status="skipped")
    assert {test.change for test in run(0).values()} == {"first", "skipped"}
    assert {test.change for test in run(1).values()} == {"same", "skipped"}
    integrations.set_mapping("cars", "model_year", {"target_data_type": "string"}, reason="field_change")
    found = run(2)
    assert {name: test.change for name, test in found.items()} == {
        "a year": "newly_failing", "text": "newly_passing", "gas": "same", "set aside": "skipped",
    }  # fmt: skip
    assert found["a year"].differences == ({"column": "model_year", "last": 2003, "now": "2003"},)
    suite = integrations.summarise(list(found.values()))
    assert (suite.passed, suite.failed, suite.skipped) == (2, 1, 1)
    assert suite.newly_failing == ("model_year: a year",)
    assert suite.newly_passing == ("model_year: text",)
    rules = {"type": "map", "values": {"G": "Petrol"}}
    integrations.set_mapping("cars", "fuel_type", {"transformation_rules": rules}, reason="field_change")
    assert run(3)["gas"].differences == ({"column": "fuel_type", "last": "Gasoline", "now": "Petrol"},)


@pytest.mark.ledger("S4-85")
def test_times_are_kept_and_compared(cars: Database) -> None:
    def took(milliseconds: int) -> None:
        with db.change(reason="as if"):
            IntegrationMappingTest.update(execution_time_ms=milliseconds).execute()

    integrations.set_mapping("cars", "fuel_type", {"source_path": "$..Fuel"}, reason="troubleshooting")
    deep = {"list": [{"a": number} for number in range(3)], "Fuel": "G"}
    add_test("fuel_type", "how long", deep, {"fuel_type": "Gasoline"}, test_type="performance")
    assert (run(0)["how long"].last_time_ms, run(1)["how long"].is_slower) == (None, False)
    took(1)
    slow = run(2)["how long"]
    assert slow.execution_time_ms is not None
    assert (slow.is_slower, slow.last_time_ms, slow.execution_time_ms >= 6) == (True, 1, True)
    assert slow.test_status == "passed", "slower is no failure by itself"
    assert integrations.summarise([slow]).slower == ("fuel_type: how long",)
    took(100_000)
    assert not run(3)["how long"].is_slower
    past = integrations.mapping_test_history("cars")
    assert past[0]["execution_time_ms"] < 100_000
    assert [one["at"][14:16] for one in past] == ["03", "02", "01", "00"]
    with pytest.raises(NotFoundError):
        integrations.mapping_test_history("none")


@pytest.mark.ledger("S4-83", "S4-86")
def test_edge_cases_are_proposed_and_wait_for_a_person(cars: Database, tmp_path: Path) -> None:
    (tmp_path / "sample.json").write_text(json.dumps([{"VIN": VIN, "Year": 2011, "Fuel": "G"}]))
    found = integrations.generate_tests("cars", sample=str(tmp_path / "sample.json"))
    by = {(case.mapping, case.test_name.removeprefix("generated: ")): case for case in found}
    assert by["vin", "usual"].input_data == {"VIN": VIN}
    assert by["vin", "missing"].expected_output == {"$error": "required"}
    assert by["vin", "max_length, one beyond"].expected_output == {"$error": "length"}
    assert by["vin", "an object instead of a value"].expected_output.keys() <= {"vin", "$error"}
    assert by["model_year", "null"].expected_output == {"model_year": None}
    assert by["model_year", "text instead of a number"].expected_output == {"$error": "type"}
    assert by["model_year", "too large"].expected_output == {"$error": "range"}
    assert by["fuel_type", "a value that is not in the table"].expected_output == {"$error": "choice"}
    assert ("vin", "unicode") in by
    assert db.query("SELECT 1 FROM integration_mapping_test") == []
    integrations.generate_tests("cars", apply=True)
    assert integrations.generate_tests("cars", apply=True) == [], "none twice"
    assert {test.test_status for test in integrations.run_mapping_tests("cars")} == {"skipped"}
    assert {one.tests for one in integrations.list_approvals("cars")} == {"absent"}
    add_test("vin", "by hand", {"VIN": "A"}, {"vin": "B"}, test_status="skipped")
    confirmed = integrations.confirm_tests("cars", ["vin"])
    assert confirmed > 5
    assert {one.mapping: one.tests for one in integrations.list_approvals("cars")}["vin"] == "pending"
    tried = [test for test in integrations.run_mapping_tests("cars") if test.mapping == "vin"]
    assert {test.test_status for test in tried if test.test_name != "by hand"} == {"passed"}
    assert [test.test_name for test in tried if test.test_status == "skipped"] == ["by hand"], "not generated"
    assert integrations.confirm_tests("cars", ["vin"]) == 0, "what was tried stays so"
    (vin, *_) = integrations.list_mappings("cars")
    assert vin["test_coverage"] == 100
    with pytest.raises(NotFoundError, match="no mapping colour"):
        integrations.confirm_tests("cars", ["colour"])


def test_generated_cases_hold_nothing_of_a_person(cars: Database, tmp_path: Path) -> None:
    integrations.add_mapping("cars", {"source_path": "email", "target_path": "decode_note"})
    (tmp_path / "sample.json").write_text(json.dumps([{"email": "ann@example.org"}]))
    found = integrations.generate_tests("cars", sample=str(tmp_path / "sample.json"))
    assert "ann@example.org" not in str(found)
    assert "***" not in str(found), "it is made up"
    fields = [FieldMapping("tel", "$.an.Telefon", "phone"), FieldMapping("x", "$..y", "phone")]
    record = {"an": {"Telefon": "+49 30 1"}, "Ort": "Ulm"}
    assert masked_record(fields, record) == {"an": {"Telefon": "***"}, "Ort": "Ulm"}, "by its column"
    assert record["an"] == {"Telefon": "+49 30 1"}
    integrations.set_mapping("cars", "decode_note", {"source_path": "$.a[3000000]"}, reason="field_change")
    assert "decode_note" not in {case.mapping for case in integrations.generate_tests("cars")}


def test_a_run_becomes_tests_with_nothing_of_a_person(cars: Database) -> None:
    runner.run("cars")
    (execution,) = runner.list_executions(integration="cars")
    (made,) = runner.save_as_test(execution["id"])
    assert made["expected_output"] == {"$error": "type"}
    assert made["is_masked"]
    stored = IntegrationMappingTest.get()
    assert (stored.test_type, stored.test_status) == ("integration", "pending")
    assert "bob@example.org" not in str(stored.input_data)
    assert {test.test_status for test in integrations.run_mapping_tests("cars")} == {"passed"}
    assert runner.save_as_test(execution["id"]) == [], "none twice"
    with pytest.raises(NotFoundError):
        runner.save_as_test(99)


def test_kept_records_become_tests_too(cars: Database) -> None:
    integrations.keep_inputs("cars", days=30, encrypt=False)
    runner.run("cars")
    (execution,) = runner.list_executions(integration="cars")
    made = runner.save_as_test(execution["id"], records=2)
    assert {"vin": VIN, "model_year": 2003, "fuel_type": "Gasoline"} in [
        one["expected_output"] for one in made
    ]


def test_a_run_of_which_nothing_is_at_hand_says_so(cars: Database, tmp_path: Path) -> None:
    (tmp_path / "cars.csv").write_text(f"VIN\n{VIN}\n")
    runner.run("cars")
    with pytest.raises(InvalidError, match="Nothing of the execution 1 is at hand"):
        runner.save_as_test(1)


def test_the_commands_try_and_tell(cars: Database, edge_file: Path) -> None:
    add_test("model_year", "a year", {"Year": "2003"}, {"model_year": 2003})
    cars.close()

    def say(*words: str) -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge_file), *words], prog_name="edgekit")

    assert "1 passed, 0 failed, in" in say("mappings", "test", "cars").output
    assert len(json.loads(say("mappings", "test", "cars", "--history", "--json").output)) == 1
    assert say("mappings", "test", "--history").exit_code == 2
    assert "Nothing was stored" in say("mappings", "generate-tests", "cars").output
    assert say("mappings", "generate-tests", "cars", "--apply").exit_code == 0
    assert "tests are confirmed" in say("mappings", "confirm-tests", "cars").output
    summed = json.loads(say("mappings", "test", "cars", "--summary", "--json").output)
    assert summed["passed"] > 1
    assert summed["newly_passing"] == summed["newly_failing"] == []
