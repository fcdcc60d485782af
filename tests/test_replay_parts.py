"""Records that became several, or one of a batch: set aside so that nothing is lost and none made up."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from test_replay import CARS, KEEPS, OLD_ENOUGH, agent, cars, make

from edgekit import db, integrations, runner
from edgekit.errors import InvalidError
from edgekit.runner import replaying


def script(text: str, kind: str, language: str = "jmespath") -> dict[str, Any]:
    return {
        "type": "transform", "name": "script", "language": language, "text": text, "transformation_type": kind
    }  # fmt: skip


def years(*years: int) -> list[dict[str, Any]]:
    return [{"vin": vin, "year": year} for vin, year in zip(CARS, years, strict=True)]


@pytest.mark.ledger("S4-47")
@pytest.mark.usefixtures("edge")
def test_parts_of_one_record_are_set_aside_as_one_and_none_is_lost(tmp_path: Path) -> None:
    steps = [script("cars", "custom"), {"type": "map"}, OLD_ENOUGH]
    make(tmp_path, [{"cars": years(2000, 1980, 1981)}], steps=steps)
    result = runner.run("cars")
    assert (result.records_written, result.dead_letters) == (1, 1)
    (letter,) = runner.list_dead_letters()
    assert (letter["step_name"], letter["error_code"]) == ("script", "minimum")
    assert "2 of the records it became" in runner.show_dead_letter(letter["id"])["error_message"]
    integrations.set_pipeline("cars", {"steps": steps[:2]})
    runner.replay_dead_letter(letter["id"], start="failed")
    assert [year for _, year, _ in cars()] == [2000, 1980, 1981]


SUMMED = script("{vin: [0].vin, year: sum([].year)}", "aggregate")


@pytest.mark.ledger("S4-46", "S4-47")
@pytest.mark.parametrize("strategy", ["retry", "dead_letter"])
@pytest.mark.usefixtures("edge")
def test_what_was_made_of_a_batch_goes_on_where_it_stopped(tmp_path: Path, strategy: str) -> None:
    few = {"type": "validate", "name": "few", "schema": {"properties": {"model_year": {"maximum": 2000}}}}
    make(
        tmp_path, years(900, 901, 902),
        steps=[SUMMED, {"type": "map"}, few], error_handling_strategy=strategy,
        dead_letters={"max_percent": 100, "retry": {"attempts": 1, "delay_seconds": 0}},
    )  # fmt: skip
    assert runner.run("cars").dead_letters == 1
    assert cars() == [], "the last of the batch is not what was made of it"
    (letter,) = runner.list_dead_letters()
    assert runner.show_dead_letter(letter["id"])["record"]["model_year"] == 2703
    integrations.set_pipeline("cars", {"steps": [SUMMED, {"type": "map"}, {**few, "schema": {}}]})
    with pytest.raises(InvalidError, match="model_year"):
        runner.replay_dead_letter(letter["id"])  # the table knows no such year
    assert runner.show_dead_letter(letter["id"])["step"] == "write"


@pytest.mark.usefixtures("edge")
def test_two_of_one_batch_are_set_aside_each_and_one_alone_is_no_batch(tmp_path: Path) -> None:
    known = {"type": "validate", "name": "known", "schema": {"properties": {"year": {"type": "integer"}}}}
    pairs = script("[:2]", "aggregate")
    records = [*years(1980, 1981, 2000), {"vin": CARS[0], "year": "soon"}]
    make(tmp_path, records, steps=[known, pairs, {"type": "map"}, OLD_ENOUGH])
    runner.run("cars")
    letters = [runner.show_dead_letter(row["id"]) for row in runner.list_dead_letters()]
    found = [row["record"].get("year", row["record"].get("model_year")) for row in letters]
    assert found == ["soon", 1980, 1981]
    passing = {**known, "schema": {}}, pairs, {"type": "map"}, {**OLD_ENOUGH, "schema": {}}
    integrations.set_pipeline("cars", {"steps": list(passing)})
    result = runner.replay_dead_letters("cars")
    assert (result.replayed, result.errors) == (2, {"batch": 1})
    assert [year for _, year, _ in cars()] == [1980, 1981]


@pytest.mark.usefixtures("edge")
def test_what_a_second_try_leaves_out_is_filtered_not_written(tmp_path: Path) -> None:
    leaves_out = script("year > `1`", "filter")
    by_code = {"table": "producer", "match": {"code": "$.vin"}, "columns": ["name"]}
    make(
        tmp_path, years(1, 2000, 2001),
        steps=[{"type": "enrich", "name": "late", "lookup": by_code}, leaves_out, {"type": "map"}],
        dead_letters={"max_percent": 100, "retry": {"attempts": 1, "delay_seconds": 0}},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgekit.runner.engine.time.sleep", lambda _: [agent(vin, "Ann") for vin in CARS])
        result = runner.run("cars")
    assert (result.records_written, result.filtered, result.dead_letters) == (2, 1, 0)
    shown = runner.show_execution(result.execution_id or 0)
    assert [shown[name] for name in ("records_written", "records_changed", "filtered")] == [2, 2, 1]


@pytest.mark.ledger("S4-46")
@pytest.mark.usefixtures("edge")
def test_a_run_stops_where_more_are_set_aside_than_its_pipeline_allows(tmp_path: Path) -> None:
    make(
        tmp_path, years(1980, 1981, 2000), steps=[{"type": "map"}, OLD_ENOUGH],
        dead_letters={"max_count": 2, "max_percent": None}, performance={"batch_size": 1},
    )  # fmt: skip
    assert (runner.run("cars").status, len(cars())) == ("completed", 1)
    integrations.set_pipeline("cars", {"dead_letters": {"max_count": 1, "max_percent": None}})
    result = runner.run("cars")
    assert (result.status, result.records_read) == ("failed", 2), "the rest is not read"
    assert "2 records were set aside, more than the 1 allowed" in (result.message or "")


@pytest.mark.parametrize("by", ["a run", "a replay"])
@pytest.mark.usefixtures("edge")
def test_what_another_process_settled_meanwhile_is_left_to_it(tmp_path: Path, by: str) -> None:
    retry = {"retry": {"attempts": 1, "delay_seconds": 0}} if by == "a run" else {}
    steps = [{"type": "map"}, OLD_ENOUGH]
    make(tmp_path, years(1980, 1981, 1982), steps=steps, dead_letters={"max_percent": 100, **retry})
    take = replaying._taken

    def overtaken(plan: Any, row: dict[str, Any], *rest: Any) -> Any:
        if row["id"] == 1:
            with db.change(reason="as the other process"):
                replaying.dead_letters.settle_replayed(1)
        return take(plan, row, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replaying, "_taken", overtaken)
        result = runner.run("cars")
        assert (result.status, result.dead_letters) == ("completed", 3)
        if by == "a replay":
            again = runner.replay_dead_letters("cars")
            assert (again.tried, again.failed, again.error) == (2, 2, None)
    assert [row["attempts"] for row in runner.list_dead_letters(status=None)] == [1, 2, 2]


@pytest.mark.usefixtures("edge")
def test_what_a_script_says_of_a_person_is_not_kept(tmp_path: Path) -> None:
    born = {"vin": CARS[0], "driver": {"dob": "3 May 1980"}}
    make(tmp_path, [born], steps=[script("int(input['driver']['dob'])", "map", "python"), {"type": "map"}])
    runner.run("cars")
    integrations.set_pipeline("cars", {"dead_letters": {"max_percent": 1}})
    runner.run("cars")
    kept = db.query("SELECT error_message FROM dead_letter UNION ALL"
                    " SELECT error_message FROM integration_execution")  # fmt: skip
    assert "invalid literal" in str(kept)
    assert "1980" not in str(kept)
    runner.replay_dead_letters("cars")
    assert "1980" not in str(db.query("SELECT error_message FROM dead_letter"))


@pytest.mark.usefixtures("edge")
def test_a_run_goes_on_from_a_run_and_never_from_a_replay(tmp_path: Path) -> None:
    make(tmp_path, years(2000, 2001, 2002), KEEPS, steps=[])
    run = runner.run("cars").execution_id or 0

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for cut_off in ("execution.end", "transform.prepare"):  # as by a kill, and by Ctrl-C
        with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(f"edgekit.runner.rerun.{cut_off}", stopped if "prepare" in cut_off else _nothing)
            runner.replay_execution(run, write=True)
        later = runner.run("cars").execution_id or 0
        assert runner.show_execution(later)["resumed_from_id"] is None
        assert runner.show_execution(later - 1)["status"] == "interrupted"


def _nothing(*_: Any, **__: Any) -> None:
    pass


@pytest.mark.ledger("S4-48")
@pytest.mark.usefixtures("edge")
def test_a_trial_shows_all_that_one_record_becomes(tmp_path: Path) -> None:
    make(tmp_path, years(1, 2, 3), steps=[script("cars", "custom"), {"type": "map"}])
    pipeline = integrations.find_pipeline("cars")
    found = runner.test_integration_pipeline(pipeline, {"cars": years(2000, 2001, 2002)})
    assert [row["model_year"] for row in found["final_output"]] == [2000, 2001, 2002]
    assert [len(step["output_preview"]) for step in found["steps"]] == [3, 3]


@pytest.mark.slow
def test_the_benchmark_of_runs_makes_what_it_measures(tmp_path: Path) -> None:
    program = Path(__file__).parents[1] / "benchmarks" / "pipeline.py"
    for child in (["write", "in.ndjson", "50"], ["prepare", "b.db", "in.ndjson", "yes"], ["edgekit", "b.db"]):
        subprocess.run([sys.executable, program, "child", *child], check=True, cwd=tmp_path)
    with db.open(tmp_path / "b.db"):
        assert db.query("SELECT count(*) AS n FROM records") == [{"n": 50}]
