"""Pipelines: tried on one record with the real steps, and run whole with conditions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edgekit import db, integrations, runner
from edgekit.cli import root
from edgekit.errors import InvalidError, NotFoundError
from edgekit.models import Integration, IntegrationPipelineDefinition

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

MAPPINGS = [
    {"source_path": "VIN", "target_path": "vin", "is_required": True},
    {"source_path": "$.Make", "target_path": "make", "transformation_rules": {"type": "upper"}},
    {"source_path": "Year", "target_path": "model_year", "target_data_type": "integer"},
]
STEPS = [
    {"name": "has a year", "type": "validate", "schema": {"required": ["Year"]}},
    {"name": "to a vehicle", "type": "map"},
    {"name": "is recent", "type": "validate", "schema": {"properties": {"model_year": {"minimum": 1990}}}},
]
RECORD = {"VIN": "1HGCM82633A004352", "Make": "honda", "Year": "2003"}
ROW = {"vin": "1HGCM82633A004352", "make": "HONDA", "model_year": 2003}


def make(name: str = "cars", path: Any = "cars.csv", **pipeline: Any) -> int:
    """Make an integration of vehicles and return the id of its pipeline."""
    integrations.create(
        name,
        template="ndjson-import",
        settings={"path": str(path), "table": "vehicle", "key": "vin"},
        customizations={"mappings": MAPPINGS, "pipeline": {"steps": STEPS, **pipeline}},
    )
    return integrations.find_pipeline(name)


def content() -> list[tuple[str, int]]:
    """Count the rows of every table."""
    tables = db.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [(row["name"], db.query(f'SELECT count(*) AS n FROM "{row["name"]}"')[0]["n"]) for row in tables]


@pytest.mark.ledger("S4-48", "S4-49")
def test_a_record_goes_through_the_real_steps_and_nothing_is_written(edge: Database) -> None:
    pipeline = make()
    before = content()
    assert runner.test_integration_pipeline(pipeline, RECORD) == {
        "success": True,
        "steps": [
            {"step": "has a year", "status": "success", "output_preview": RECORD},
            {"step": "to a vehicle", "status": "success", "output_preview": ROW},
            {"step": "is recent", "status": "success", "output_preview": ROW},
        ],
        "final_output": ROW,
    }
    assert content() == before


@pytest.mark.ledger("S4-48", "S4-49")
@pytest.mark.parametrize(
    ("record", "count", "code", "told"),
    [
        ({"VIN": "1HGCM82633A004352"}, 1, "required", "Year"),
        ({"VIN": "", "Year": 2003}, 2, "required", "vin is required"),
        ({"VIN": "1HGCM82633A004352", "Year": "soon"}, 2, "type", "model_year"),
        ({"VIN": "1HGCM82633A004352", "Year": 1980}, 3, "minimum", "model_year"),
    ],
)
def test_a_failing_step_is_the_last_with_its_error(
    edge: Database, record: dict[str, Any], count: int, code: str, told: str
) -> None:
    pipeline = make()
    before = content()
    found = runner.test_integration_pipeline(pipeline, record)
    assert (found["success"], found["final_output"]) == (False, None)
    assert [step["status"] for step in found["steps"]] == ["success"] * (count - 1) + ["failed"]
    failed = found["steps"][-1]
    assert set(failed) == {"step", "status", "output_preview", "error", "error_code"}
    assert told in failed["error"]
    assert failed["error_code"] == code
    assert content() == before


@pytest.mark.ledger("S4-49")
def test_an_unknown_pipeline_is_refused_and_so_is_what_cannot_be_tried(edge: Database) -> None:
    with pytest.raises(NotFoundError, match="no pipeline 99"):
        runner.test_integration_pipeline(99, RECORD)
    pipeline = make()
    with pytest.raises(InvalidError, match="one record"):
        runner.test_integration_pipeline(pipeline, [RECORD])  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="no pipeline carz") as caught:
        integrations.find_pipeline("carz")
    assert caught.value.hint == "There are: cars."
    integrations.retire("cars")
    with pytest.raises(NotFoundError, match="active integration"):
        runner.test_integration_pipeline(pipeline, RECORD)


def test_a_pipeline_that_is_not_the_active_one_can_be_tried(edge: Database) -> None:
    make()
    with db.change(reason="draft"):
        (found,) = Integration.select()
        draft = IntegrationPipelineDefinition.create(
            integration=found.id, pipeline_name="draft", pipeline_steps={"steps": []}, status=2
        )
    found = runner.test_integration_pipeline(draft.id, RECORD)
    assert [step["step"] for step in found["steps"]] == ["map"], "records are mapped in any case"
    assert found["final_output"] == ROW


def test_a_mapping_that_is_still_to_be_learned_fails_its_step(edge: Database) -> None:
    integrations.create("any", template="csv-import", settings={"path": "a.csv", "table": "vehicle"})
    found = runner.test_integration_pipeline(integrations.find_pipeline("any"), RECORD)
    assert [step["status"] for step in found["steps"]] == ["failed"]
    assert "first run learns it" in found["steps"][0]["error"]


def test_steps_stand_in_their_order_and_may_check_more_than_once(edge: Database) -> None:
    steps = [
        {"name": "third", "type": "validate", "order": 3},
        {"name": "first", "type": "validate", "order": 1},
        {"name": "zeroth", "type": "validate", "order": 0},
        {"name": "second", "type": "map", "order": 2},
    ]
    pipeline = make(steps=steps)
    found = runner.test_integration_pipeline(pipeline, RECORD)
    assert [step["step"] for step in found["steps"]] == ["zeroth", "first", "second", "third"]


CONDITIONAL = [
    {"name": "old ones", "type": "validate", "condition": "@.Year < 1990", "schema": {"required": ["Make"]}},
    {"name": "map", "type": "map"},
    {
        "name": "hondas", "type": "validate", "condition": "@.make == 'HONDA'",
        "schema": {"properties": {"model_year": {"minimum": 2000}}},
    },
]  # fmt: skip


def test_a_conditional_step_is_for_some_records_only(edge: Database, tmp_path: Path) -> None:
    source = tmp_path / "cars.ndjson"
    cars = [
        ("A", "ford", 1970),
        ("B", None, 1970),
        ("C", "honda", 1995),
        ("D", "honda", 2003),
        ("E", "kia", 1995),
    ]
    lines = [{"VIN": 16 * "0" + vin, "Make": maker, "Year": year} for vin, maker, year in cars]
    for line in lines:
        if line["Make"] is None:
            del line["Make"]
    source.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    pipeline = make(path=source, steps=CONDITIONAL, pipeline_type="conditional")
    result = runner.run("cars")
    assert (result.records_written, result.dead_letters) == (3, 2)
    assert [row["vin"][-1] for row in db.query("SELECT vin FROM vehicle ORDER BY vin")] == ["A", "D", "E"]
    letters = runner.list_dead_letters()
    assert [(row["source_position"], row["step"]) for row in letters] == [
        ("line 2", "validate_in"), ("line 3", "validate_out"),
    ]  # fmt: skip
    tried = [runner.test_integration_pipeline(pipeline, line) for line in lines]
    assert [[step["status"][:2] for step in found["steps"]] for found in tried] == [
        ["su", "su", "sk"], ["fa"], ["sk", "su", "fa"], ["sk", "su", "su"], ["sk", "su", "sk"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pipeline", "told"),
    [
        ({"steps": CONDITIONAL}, "is linear, not conditional"),
        ({"steps": [{"type": "map", "condition": "@.a"}], "pipeline_type": "conditional"}, "are all mapped"),
        (
            {"steps": [{"type": "validate", "condition": "@.a ="}], "pipeline_type": "conditional"},
            "bad condition",
        ),
        ({"steps": [{"type": "validate", "condition": 7}], "pipeline_type": "conditional"}, "is text"),
        ({"steps": [{"type": "map"}, {"type": "map"}]}, "maps twice"),
        ({"steps": [{"type": "dance", "name": "x"}]}, "'x' cannot be run here"),
        ({"steps": [{"type": ["map"], "name": "x"}]}, "'x' cannot be run here"),
        ({"steps": [{"type": "map", "schema": {}}]}, "'map' has no schema"),
        ({"steps": [{"type": "enrich", "name": "x"}]}, "'x': an enrich step has either lookup or integ"),
        ({"steps": [{"type": "map", "order": "first"}]}, "whole number"),
    ],
)
def test_what_the_engine_cannot_run_is_refused_when_tried_and_when_run(
    edge: Database, pipeline: dict[str, Any], told: str
) -> None:
    tried = make(**pipeline)
    for attempt in (lambda: runner.test_integration_pipeline(tried, RECORD), lambda: runner.run("cars")):
        with pytest.raises(InvalidError, match=told):
            attempt()


def test_the_commands(edge: Database, tmp_path: Path) -> None:
    make()
    edge.close()

    def run(*args: str, stdin: str = "") -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "pipelines", *args], input=stdin)

    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["integration"], listed["pipeline_type"], len(listed["steps"])) == ("cars", "linear", 3)
    good = run("test", "cars", "--json", stdin=json.dumps(RECORD))
    assert (good.exit_code, json.loads(good.stdout)["final_output"]) == (0, ROW)
    record = tmp_path / "record.json"
    record.write_text('{"VIN": "1HGCM82633A004352"}', encoding="utf-8")
    bad = run("test", str(listed["id"]), "--input", str(record), "--json")
    assert (bad.exit_code, json.loads(bad.stdout)["success"]) == (4, False)
    assert "The step has a year failed" in bad.stderr
    assert "HONDA" in run("test", "cars", stdin=json.dumps(RECORD)).stdout
    for stdin in ("", "[]", "nonsense"):
        assert run("test", "cars", stdin=stdin).exit_code == 4
    assert run("test", "nobody", stdin="{}").exit_code == 3


def test_a_pipeline_is_set_compared_and_taken_back(edge: Database) -> None:
    make()
    whole = integrations.show_pipeline("cars")
    assert (whole["integration"], whole["version"], whole["steps"]) == ("cars", 1, STEPS)
    changed = {"steps": [*STEPS[:2]], "performance": {"batch_size": 10, "parallelism": 2}}
    found = integrations.set_pipeline("cars", changed)
    assert (found["version"], found["steps"], found["dead_letters"]) == (2, STEPS[:2], {"max_percent": 50})
    assert integrations.set_pipeline("cars", {"steps": STEPS[:2]})["version"] == 2, "what is so already"
    assert [(one.version, one.keys) for one in integrations.pipeline_history("cars")] == [
        (2, ("performance", "steps")),
        (1, ("dead_letters", "error_handling_strategy", "performance", "pipeline_type", "steps")),
    ]
    gone, performance = sorted(
        integrations.diff_pipeline("cars", 1, 2), key=lambda one: one.key != "steps.is recent"
    )
    assert (gone.key, gone.old, gone.new_is_set) == ("steps.is recent", STEPS[2], False)
    assert performance.key == "performance"
    assert integrations.rollback_pipeline("cars", 1)["version"] == 3
    assert integrations.show_pipeline("cars")["steps"] == STEPS
    with pytest.raises(NotFoundError, match="no version 9"):
        integrations.rollback_pipeline("cars", 9)


DOCUMENTS: list[tuple[dict[str, Any], str]] = [
    ({}, "is a JSON object"),
    ({"step": []}, "has no step"),
    ({"steps": "map"}, "list of objects"),
    ({"pipeline_type": "round"}, "type round"),
    ({"error_handling_strategy": "pray"}, "is one of fail_fast"),
    ({"performance": {"parallelism": 0}}, "parallelism is a whole number"),
    ({"performance": {"speed": 9}}, "performance has no speed"),
    ({"dead_letters": []}, "dead_letters is an object"),
    ({"dead_letters": {"max_percent": -1}}, "max_percent is a number"),
    ({"dead_letters": {"retry": {"attempts": 0}}}, "attempts is a whole number"),
    ({"dead_letters": {"retry": 3}}, "retry is {"),
    ({"dead_letters": {"retry": {}}, "error_handling_strategy": "fail_fast"}, "fail_fast keeps nothing"),
    ({"steps": [{"type": "map"}, {"type": "map"}]}, "maps twice"),
    (
        {"steps": [{"type": "transform", "name": "t", "language": "sql", "text": "SELEC 1"}]},
        "step 't': the sql script",
    ),
    (
        {"steps": [{"type": "dance", "name": "a"}, {"type": "enrich", "name": "b"}]},
        "has 2 faults: The pipeline step 'a' cannot.*; The pipeline step 'b'",
    ),
]


def test_a_pipeline_that_cannot_run_is_not_stored(edge: Database) -> None:
    make()
    before = content()
    for document, told in DOCUMENTS:
        with pytest.raises(InvalidError, match=told):
            integrations.set_pipeline("cars", document)
    assert (content(), integrations.show_pipeline("cars")["version"]) == (before, 1)


def test_the_commands_that_set_a_pipeline(edge: Database, tmp_path: Path) -> None:
    make()
    edge.close()

    def run(*args: str, stdin: str = "") -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "pipelines", *args], input=stdin)

    shown = json.loads(run("show", "cars", "--json").stdout)
    shown["steps"] = STEPS[:2]
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(shown), encoding="utf-8")
    assert run("set", "cars", "--file", str(file)).stdout == "The pipeline cars is version 2 now.\n"
    assert [row["version"] for row in json.loads(run("history", "cars", "--json").stdout)] == [2, 1]
    assert "steps.is recent" in run("diff", "cars", "1", "2").stdout
    assert run("rollback", "cars", "1").exit_code == 0
    bad = run("set", "cars", stdin='{"steps": [{"type": "dance"}]}')
    assert (bad.exit_code, "'dance' cannot be run here" in bad.stderr) == (4, True)
    assert run("set", "cars", stdin="[]").exit_code == 4
