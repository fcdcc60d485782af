"""Mapping tests: tried on the real mapping, their outcome and the coverage written together."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edgekit import db, integrations
from edgekit.cli import root
from edgekit.errors import NotFoundError
from edgekit.models import IntegrationMapping, IntegrationMappingTest

if TYPE_CHECKING:
    from edgekit.db import Database

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
MAPPINGS = [
    {"source_path": "VIN", "target_path": "vin", "is_required": True},
    {"source_path": "Year", "target_path": "model_year", "target_data_type": "integer"},
    {
        "source_path": "Make",
        "target_path": "make",
        "error_handling": "skip",
        "validation_rules": {"max_length": 5},
    },
]


def make(*tests: tuple[str, str, str, dict[str, Any], dict[str, Any]], status: str = "pending") -> None:
    """Make an integration of vehicles with tests: column, name, type, record, what is expected."""
    integrations.create(
        "cars",
        template="csv-import",
        settings={"path": "cars.csv", "table": "vehicle", "key": "vin"},
        customizations={"mappings": MAPPINGS},
    )
    with db.change(reason="tests"):
        for column, name, kind, record, expected in tests:
            mapping = IntegrationMapping.get(IntegrationMapping.target_path == column)
            IntegrationMappingTest.create(
                mapping=mapping.id, test_name=name, test_type=kind, input_data=record,
                expected_output=expected, test_status=status,
            )  # fmt: skip


def coverage() -> dict[str, float | None]:
    return {row["target_path"]: row["test_coverage"] for row in integrations.list_mappings("cars")}


@pytest.mark.ledger("S4-14")
def test_outcomes_and_coverage_are_written_together(edge: Database) -> None:
    make(
        ("model_year", "a year", "unit", {"Year": "2003"}, {"model_year": 2003}),
        ("model_year", "no year", "edge_case", {}, {"model_year": None}),
        ("model_year", "nonsense", "edge_case", {"Year": "soon"}, {"$error": "type"}),
        ("vin", "wrong", "unit", {"VIN": "A"}, {"vin": "B"}),
        ("make", "whole", "integration", {"VIN": "A", "Make": "kia"}, {"vin": "A", "make": "kia"}),
        ("make", "too long", "edge_case", {"Make": "Oldsmobile"}, {}),
        ("vin", "none", "edge_case", {}, {"$error": "required"}),
    )
    before = db.query("SELECT count(*) AS n FROM audit_transaction")[0]["n"]
    found = {test.test_name: test for test in integrations.run_mapping_tests("cars", now=NOON)}
    assert {name: test.test_status for name, test in found.items()} == {
        "a year": "passed", "no year": "passed", "nonsense": "passed", "wrong": "failed",
        "whole": "passed", "too long": "passed", "none": "passed",
    }  # fmt: skip
    assert found["wrong"].error_message == "vin is 'A', not 'B'."
    assert db.query("SELECT count(*) AS n FROM audit_transaction")[0]["n"] == before + 1
    rows = db.query(
        "SELECT test_name, test_status, actual_output, last_run_at, execution_time_ms >= 0 AS timed"
        " FROM integration_mapping_test ORDER BY id"
    )
    assert [(row["test_status"], json.loads(row["actual_output"])) for row in rows] == [
        ("passed", {"model_year": 2003}),
        ("passed", {"model_year": None}),
        ("passed", {"$error": "type"}),
        ("failed", {"vin": "A"}),
        ("passed", {"vin": "A", "model_year": None, "make": "kia"}),
        ("passed", {}),
        ("passed", {"$error": "required"}),
    ]
    assert {(row["last_run_at"], row["timed"]) for row in rows} == {("2026-03-27T12:00:00.000Z", 1)}
    assert coverage() == {"vin": 50.0, "model_year": 100.0, "make": 66.67}
    assert {row["version"] for row in db.query("SELECT version FROM integration_mapping")} == {1}


@pytest.mark.ledger("S4-14")
def test_trying_again_sees_the_mapping_of_now(edge: Database) -> None:
    make(("model_year", "a year", "unit", {"Year": "2003"}, {"model_year": 2003}))
    assert integrations.run_mapping_tests("cars")[0].test_status == "passed"
    with db.change(reason="another field"):
        mapping = IntegrationMapping.get(IntegrationMapping.target_path == "model_year")
        mapping.source_path = "ModelYear"
        mapping.save()
    (again,) = integrations.run_mapping_tests()
    assert (again.test_status, again.error_message) == ("failed", "model_year is None, not 2003.")
    assert coverage()["model_year"] == 0.0


def test_a_refusal_nobody_expects_fails_with_its_reason(edge: Database) -> None:
    make(
        ("vin", "none", "unit", {}, {"vin": "A"}),
        ("vin", "is refused", "unit", {"VIN": "A"}, {"$error": "required"}),
    )
    first, second = integrations.run_mapping_tests("cars")
    assert (first.test_name, first.test_status) == ("is refused", "failed")
    assert first.error_message == "It was not refused ('required'); it came out as {'vin': 'A'}."
    assert (second.test_status, second.actual_output) == ("failed", {"$error": "required"})
    assert "vin is required" in str(second.error_message)


def test_what_is_skipped_on_purpose_stays_so(edge: Database) -> None:
    make(("vin", "later", "unit", {"VIN": "A"}, {"vin": "B"}), status="skipped")
    (found,) = integrations.run_mapping_tests("cars")
    assert (found.test_status, found.actual_output) == ("skipped", None)
    assert coverage() == {"vin": 0.0, "model_year": None, "make": None}


def test_the_commands(edge: Database) -> None:
    make(
        ("vin", "good", "unit", {"VIN": "A"}, {"vin": "A"}),
        ("vin", "bad", "unit", {"VIN": "A"}, {"vin": "B"}),
    )
    with pytest.raises(NotFoundError, match="no integration carz"):
        integrations.run_mapping_tests("carz")
    edge.close()

    def run(*args: str) -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "mappings", *args])

    done = run("test", "cars", "--json")
    assert done.exit_code == 4
    assert {row["test_name"]: row["test_status"] for row in json.loads(done.stdout)} == {
        "bad": "failed", "good": "passed",
    }  # fmt: skip
    assert "1 of 2 tests failed; the first: vin, bad: vin is 'A', not 'B'." in done.stderr
    listed = json.loads(run("list", "--json").stdout)
    assert [(row["target_path"], row["tests"], row["test_coverage"]) for row in listed] == [
        ("vin", 2, 50.0), ("model_year", 0, None), ("make", 0, None),
    ]  # fmt: skip
