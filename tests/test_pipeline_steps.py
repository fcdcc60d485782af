"""Steps that add to records, and branches of them that go side by side."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from http_provider import Call, Provider, Reply, serve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit import db, integrations, runner, vault
from edgekit.errors import InvalidError
from edgekit.integrations.steps import Step, read_steps
from edgekit.runner import branches
from edgekit.runner.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.db import Database

CARS = ["1FTMW1T88MFA00001", "1FTMW1T88MFA00002", "1FTMW1T88MFA00003"]
LOOKUP = {"table": "producer", "match": {"code": "$.agent"}, "columns": {"name": "agent_name"}}
BY_AGENT = {"type": "enrich", "name": "agent", "lookup": LOOKUP}
MAKE = {
    "type": "enrich", "name": "decode", "integration": "vins", "send": {"vin": "$.vin"},
    "match": {"VIN": "$.vin"}, "columns": {"$.Make": "make"},
}  # fmt: skip
BODY = {**MAKE, "name": "bodies", "columns": {"Body": "body"}}
MAPPINGS = [
    {"source_path": "vin", "target_path": "vin", "is_required": True},
    {"source_path": "$.make", "target_path": "make"},
    {"source_path": "$.body", "target_path": "body_class"},
    {"source_path": "$.agent_name", "target_path": "model_name"},
]


def answer(call: Call) -> Any:
    vins = call.form["DATA"][0].split(";")
    return {"Results": [{"VIN": vin, "Make": f"M{vin[-1]}", "Body": f"B{vin[-1]}"} for vin in reversed(vins)]}


@pytest.fixture
def vins(edge: Database) -> Iterator[Provider]:
    with serve(answer) as provider:
        integrations.create(
            "vins", template="vpic-vin-decode",
            settings={"base_url": provider.url, "retries": "0", "request": json.dumps(
                {"inputs": {"join": "{vin}", "separator": ";", "into": "form", "name": "DATA"}})},
        )  # fmt: skip
        yield provider


def agents() -> None:
    with db.change(reason="agents"):
        db.connection().executemany(
            "INSERT INTO producer(code, name) VALUES (?, ?)", [("A1", "Ann"), ("B2", "Bob")]
        )


def make(tmp_path: Path, records: list[dict[str, Any]], **pipeline: Any) -> None:
    source = tmp_path / "cars.ndjson"
    source.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    integrations.create(
        "cars", template="ndjson-import",
        settings={"path": str(source), "table": "vehicle", "key": "vin"},
        customizations={"mappings": MAPPINGS, "pipeline": pipeline},
    )  # fmt: skip


def cars(columns: str = "make") -> list[Any]:
    return [tuple(row.values()) for row in db.query(f"SELECT {columns} FROM vehicle ORDER BY vin")]


def test_a_record_is_enriched_from_a_table_in_one_query(edge: Database, tmp_path: Path) -> None:
    agents()
    records = [{"vin": vin, "agent": agent} for vin, agent in zip(CARS, ("a1", "B2", "B2"), strict=True)]
    make(tmp_path, records, steps=[BY_AGENT])
    asked: list[str] = []
    edge.connection().set_trace_callback(asked.append)
    result = runner.run("cars")
    edge.connection().set_trace_callback(None)
    assert (result.records_written, result.dead_letters) == (3, 0)
    assert cars("model_name") == [("Ann",), ("Bob",), ("Bob",)], "a code without its case, as the column says"
    assert sum("json_each" in sql and "producer" in sql and "JOIN" in sql for sql in asked) == 1


CHECKED = {"type": "validate", "schema": {"properties": {"agent": {"const": "A1"}}}}
LATE = {"type": "validate", "schema": {"properties": {"make": {"const": "good"}}}}
NO_ERROR = {"type": "transform", "language": "jmespath", "text": "join('', [agent, make]) && @"}


@pytest.mark.ledger("S4-46", "S4-47")
@pytest.mark.parametrize(
    ("step", "kind", "bad"),
    [
        (CHECKED, "validate_in", {"agent": "B"}),
        ({"type": "map"}, "map", {"vin": None}),
        (LATE, "validate_out", {"make": "bad"}),
        (BY_AGENT, "enrich", {"agent": "B"}),
        (NO_ERROR, "transform", {"make": 7}),
        ({"type": "parallel", "branches": [[CHECKED], [BY_AGENT]]}, "validate_in", {"agent": "B"}),
        ({"type": "parallel", "branches": [[BY_AGENT], [NO_ERROR]]}, "transform", {"make": 7}),
        ({"type": "map"}, "write", {"vin": "SHORT"}),
    ],
)
@pytest.mark.parametrize(
    "strategy",
    [
        "fail_fast",
        "dead_letter",
        pytest.param("continue_on_error", marks=pytest.mark.slow),
        pytest.param("retry", marks=pytest.mark.slow),
    ],
)
def test_what_fails_at_any_step_follows_the_strategy(
    edge: Database, tmp_path: Path, strategy: str, step: dict[str, Any], kind: str, bad: dict[str, Any]
) -> None:
    agents()
    records = [{"vin": vin, "agent": "A1", "make": "good"} for vin in CARS]
    records[1] |= bad
    steps = [{"type": "map"}, step] if kind == "validate_out" else [step]
    make(tmp_path, records, steps=steps, pipeline_type="hybrid", error_handling_strategy=strategy)
    result = runner.run("cars")
    letters = [(row["step"], row["attempts"]) for row in runner.list_dead_letters()]
    if strategy == "fail_fast":
        assert (result.status, result.records_written, letters, cars()) == ("failed", 0, [], [])
        assert (result.message or "").startswith("line 2: ")
        return
    assert (result.status, result.records_written, result.dead_letters) == ("completed", 2, 1)
    assert len(cars()) == 2
    tries = {"continue_on_error": [], "dead_letter": [(kind, 1)], "retry": [(kind, 2)]}
    assert letters == tries[strategy]


@pytest.mark.parametrize(
    ("missing", "written", "name", "letters"),
    [("fail", 1, "Ann", 2), ("skip", 3, "kept", 0), ("null", 3, None, 0)],
)
def test_what_is_not_found_fails_is_left_or_is_null(
    edge: Database, tmp_path: Path, missing: str, written: int, name: str | None, letters: int
) -> None:
    agents()
    records = [
        {"vin": CARS[0], "agent": "A1"},
        {"vin": CARS[1], "agent": "ZZ", "agent_name": "kept"},
        {"vin": CARS[2], "agent": None, "agent_name": "kept"},
    ]
    make(tmp_path, records, steps=[{**BY_AGENT, "lookup": {**LOOKUP, "missing": missing}}])
    result = runner.run("cars", overrides={"batch_size": 2})
    assert (result.records_written, result.dead_letters) == (written, letters)
    assert cars("model_name")[-1] == (name,)
    found = [(row["step"], row["step_name"], row["error_code"]) for row in runner.list_dead_letters()]
    assert found == [("enrich", "agent", "not_found")] * letters


def test_a_view_may_be_looked_up_and_all_of_it_go_into_one_member(edge: Database, tmp_path: Path) -> None:
    agents()
    lookup = {"view": "active_producer", "match": {"code": "$.agent"}, "into": "agent"}
    name = {"source_path": "$.agent.name", "target_path": "make"}
    make(tmp_path, [{"vin": CARS[0], "agent": "A1"}], steps=[{**BY_AGENT, "lookup": lookup}])
    with db.change(reason="the name of the agent"):
        db.connection().execute(
            "UPDATE integration_mapping SET source_path = ? WHERE target_path = ?", tuple(name.values())
        )
    assert runner.run("cars").records_written == 1
    assert cars() == [("Ann",)]


def test_what_no_table_holds_is_looked_up_like_anything(edge: Database, tmp_path: Path) -> None:
    agents()
    make(tmp_path, [], steps=[BY_AGENT])
    (step, _) = integrations.prepare("cars").steps
    with Work(integrations.prepare("cars")) as work:
        odd = [{"agent": value} for value in ("\ud800", float("nan"), True, 10**30, [], "A1")]
        found = branches.take(step, odd, work, side="validate_in")
    assert [getattr(one, "error", None) is not None for one in found] == [True] * 5 + [False]


def test_a_lookup_reads_a_table_without_an_index_once_a_batch(edge: Database, tmp_path: Path) -> None:
    with db.change(reason="many"):
        db.connection().executemany(
            "INSERT INTO producer(code, name) VALUES (?, ?)", [(f"A{n}", f"N{n}") for n in range(4000)]
        )
    make(tmp_path, [], steps=[BY_AGENT])
    (step, _) = integrations.prepare("cars").steps
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with Work(integrations.prepare("cars")) as work:
        edge.connection().set_progress_handler(count, 1000)
        found = branches.take(step, [{"agent": f"a{n}"} for n in range(500)], work, side="validate_in")
        edge.connection().set_progress_handler(None, 0)
    assert [one["agent_name"] for one in found] == [f"N{n}" for n in range(500)]
    assert steps < 200, "thousands of operations of SQLite; each key by itself takes 50 times as many"


@pytest.mark.parametrize(
    ("kind", "stored", "asked"),
    [
        ("text", "7", [7, "7"]),
        ("text", "7.5", [7.5, "7.5"]),
        ("text", "x", ["x"]),
        ("integer", 7, [7, "7", " +07 ", "7.0", "0.7e1"]),
        ("real", 7.5, [7.5, "7.5", ".75e1"]),
        ("integer", 2**62 + 1, [2**62 + 1, str(2**62 + 1)]),
        ("real", 2.0**64, [2**64, str(2**64), "0" * 5000 + str(2**64)]),
        ("boolean", 1, [True, 1, "1"]),
    ],
)
def test_what_is_looked_up_compares_as_the_column_does(
    edge: Database, tmp_path: Path, kind: str, stored: Any, asked: list[Any]
) -> None:
    integrations.create_table("codes", {"code": kind, "name": "text"})
    with db.change(reason="a code"):
        db.connection().execute("INSERT INTO codes(code, name) VALUES (?, 'found')", (stored,))
    lookup = {"table": "codes", "match": {"code": "$.agent"}, "columns": ["name"], "missing": "null"}
    make(tmp_path, [], steps=[{**BY_AGENT, "lookup": lookup}])
    (step, _) = integrations.prepare("cars").steps
    for value, name in [*((value, "found") for value in asked), ("7,5", None), ("9" * 5000, None), (0, None)]:
        with Work(integrations.prepare("cars")) as work:
            (found,) = branches.take(step, [{"agent": value}], work, side="validate_in")
        assert found["name"] == name, value


def test_two_rows_with_the_key_are_refused(edge: Database, tmp_path: Path) -> None:
    agents()
    several = {**BY_AGENT, "lookup": {**LOOKUP, "match": {"status_id": "$.agent"}}}
    make(tmp_path, [{"vin": CARS[0], "agent": 1}], steps=[several])
    assert runner.run("cars").dead_letters == 1
    (letter,) = runner.list_dead_letters()
    assert (letter["error_code"], "more than one" in letter["error_message"]) == ("ambiguous", True)


def test_another_integration_is_asked_once_for_each_key_and_its_tries_are_logged(
    edge: Database, vins: Provider, tmp_path: Path
) -> None:
    records = [{"vin": CARS[number % 2]} for number in range(6)]
    make(tmp_path, records, steps=[MAKE])
    result = runner.run("cars", overrides={"batch_size": 2})
    assert (result.status, result.records_written) == ("completed", 6)
    assert cars() == [("M1",), ("M2",)]
    assert [call.form["DATA"] for call in vins.calls] == [[f"{CARS[0]};{CARS[1]}"]], (
        "known keys are not asked"
    )
    log = db.query(
        "SELECT i.integration_name, l.is_success, l.execution_id FROM integration_log l"
        " JOIN integration i ON i.id = l.integration_id"
    )
    assert log == [{"integration_name": "vins", "is_success": 1, "execution_id": result.execution_id}]
    runner.run("cars")
    assert len(vins.calls) == 2, "a run begins with no answers"


def test_where_the_other_side_fails_the_run_stops_and_goes_on_later(
    edge: Database, vins: Provider, tmp_path: Path
) -> None:
    make(tmp_path, [{"vin": vin} for vin in CARS], steps=[MAKE])
    vins.script = lambda call: answer(call) if len(vins.calls) != 2 else Reply({}, status=500)
    first = runner.run("cars", overrides={"batch_size": 1})
    assert (first.status, first.records_written, first.dead_letters) == ("failed", 1, 0)
    assert (first.message or "").startswith("The step decode cannot ask vins: ")
    assert [row["is_success"] for row in db.query("SELECT is_success FROM integration_log ORDER BY id")] == [
        1,
        0,
    ]
    second = runner.run("cars", overrides={"batch_size": 1})
    assert (second.status, second.records_read) == ("completed", 2)
    assert cars() == [("M1",), ("M2",), ("M3",)]


def test_the_limits_of_the_integration_asked_hold(edge: Database, vins: Provider, tmp_path: Path) -> None:
    with db.change(reason="a limit"):
        db.connection().execute(
            "UPDATE integration SET connection_config = json_set(connection_config, '$.rate_limits',"
            " json('{\"requests_per_day\": 1}'), '$.max_retry_after_seconds', 0)"
        )
    make(tmp_path, [{"vin": vin} for vin in CARS], steps=[MAKE])
    result = runner.run("cars", overrides={"batch_size": 1})
    assert (result.status, result.records_written, len(vins.calls)) == ("failed", 1, 1)
    assert result.error is not None
    assert "requests_per_day" in result.error.message


BRANCHES = {"type": "parallel", "name": "both", "branches": [[MAKE], [BODY]]}


@pytest.mark.ledger("S4-46")
def test_branches_that_wait_do_so_at_the_same_time(edge: Database, vins: Provider, tmp_path: Path) -> None:
    together = threading.Barrier(2)

    def met(call: Call) -> Any:
        together.wait(10)  # neither is answered before both have asked
        return answer(call)

    vins.script = met
    make(tmp_path, [{"vin": vin} for vin in CARS], steps=[BRANCHES, BY_NOTHING], pipeline_type="hybrid")
    result = runner.run("cars")
    assert (result.status, result.records_written) == ("completed", 3), result.message
    assert cars("make, body_class") == [("M1", "B1"), ("M2", "B2"), ("M3", "B3")]
    assert threading.active_count() < 8, "no thread is left behind"


def test_branches_take_slots_and_open_secrets_in_their_threads(
    edge: Database, vins: Provider, tmp_path: Path
) -> None:
    auth = {"kind": "header", "name": "X-Key", "secret": "api_key"}
    with db.change(reason="a limit and a key"):
        db.connection().execute(
            "UPDATE integration SET connection_config = json_set(connection_config, '$.rate_limits',"
            " json('{\"requests_per_hour\": 100}'), '$.auth', json(?))",
            (json.dumps(auth),),
        )
    vault.init()
    integrations.set_credential("vins", "api_key", "open sesame")
    together = threading.Barrier(2)

    def met(call: Call) -> Any:
        together.wait(10)
        return answer(call) if call.headers["X-Key"] == "open sesame" else Reply({}, status=401)

    vins.script = met
    make(tmp_path, [{"vin": vin} for vin in CARS], steps=[MAKE, BODY], pipeline_type="parallel")
    result = runner.run("cars", overrides={"batch_size": 2})
    assert (result.status, result.records_written) == ("completed", 3), result.message
    assert db.query("SELECT used_count FROM rate_limit_window WHERE limiter_key LIKE 'integration%'") == [
        {"used_count": 4}
    ]


BY_NOTHING = {"type": "validate", "name": "odd", "condition": "@.vin == 'x'", "schema": False}


@pytest.mark.skipif(sys.platform == "win32", reason="a signal is sent to one thread")
def test_a_branch_that_waits_for_its_turn_does_not_begin_after_ctrl_c(edge: Database, tmp_path: Path) -> None:
    make(tmp_path, [], performance={"parallelism": 1})
    begun: list[str] = []

    def stopped() -> None:
        begun.append("first")
        threading.Event().wait(0.1)  # until the other one waits for its turn
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        threading.Event().wait(0.3)  # until the other thread has heard of it

    with pytest.raises(KeyboardInterrupt), Work(integrations.prepare("cars")) as work:
        work.side_by_side([stopped, lambda: begun.append("second")])
    assert begun == ["first"]


@pytest.mark.ledger("S4-46")
def test_the_steps_of_a_parallel_pipeline_go_side_by_side(edge: Database, tmp_path: Path) -> None:
    agents()
    other = {**BY_AGENT, "name": "id", "lookup": {**LOOKUP, "columns": {"code": "make"}}}
    make(tmp_path, [{"vin": CARS[0], "agent": "a1"}], steps=[BY_AGENT, other], pipeline_type="parallel")
    pipeline = integrations.find_pipeline("cars")
    assert [step.kind for step in integrations.prepare_pipeline(pipeline).steps] == ["parallel", "map"]
    tried = runner.test_integration_pipeline(pipeline, {"vin": CARS[0], "agent": "a1"})
    assert [step["step"] for step in tried["steps"]] == ["agent + id", "map"]
    assert runner.run("cars").records_written == 1
    assert cars("make, model_name") == [("A1", "Ann")]


def test_branches_that_write_one_member_are_refused_before_anything_runs(edge: Database) -> None:
    with pytest.raises(InvalidError, match="'agent' and 'agent 2' both write agent_name"):
        read_steps("x", {"pipeline_type": "parallel", "steps": [BY_AGENT, BY_AGENT]})


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"branches": [[MAKE]]}, "two or more"),
        ({"branches": [[{"type": "map"}], [BY_AGENT]]}, "holds no map"),
        ({"branches": [[{"type": "parallel", "branches": []}], [BY_AGENT]]}, "holds no parallel"),
    ],
)
def test_branches_that_are_none_are_refused(edge: Database, step: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidError, match=told):
        read_steps("x", {"pipeline_type": "hybrid", "steps": [{"type": "parallel", **step}]})
    with pytest.raises(InvalidError, match="not parallel or hybrid"):
        read_steps("x", {"pipeline_type": "linear", "steps": [{"type": "parallel", **step}]})


LOOKUPS: list[tuple[dict[str, Any], str]] = [
    ({"table": "nowhere"}, "no table or view nowhere"),
    ({"match": {"colour": "$.a"}}, "producer has no column colour"),
    ({"columns": ["colour"]}, "producer has no column colour"),
    ({"columns": None}, "columns says what is added"),
    ({"columns": ["name", ["code"]]}, "columns is a list of names"),
    ({"match": {}}, "match says by what"),
    ({"match": {"code": "$["}}, "path"),
    ({"missing": "ignore"}, "missing is one of"),
    ({"into": ""}, "into is the name"),
    ({"columns": {"code": "a", "name": "a"}}, "gives a twice"),
    ({"table": "user", "match": {"username": "$.a"}, "columns": ["password_hash"]}, "is sealed"),
    ({"table": "audit_log"}, "own books"),
    ({"colums": 1}, "lookup has no colums"),
]


def test_a_lookup_that_cannot_work_is_refused_naming_the_step(edge: Database) -> None:
    for lookup, told in LOOKUPS:
        step = {**BY_AGENT, "lookup": {**LOOKUP, **lookup}}
        with pytest.raises(InvalidError, match=f"step 'agent'.*{told}"):
            read_steps("x", {"pipeline_type": "linear", "steps": [step]})


def test_behind_the_mapping_a_step_gives_mapped_columns_only(edge: Database, tmp_path: Path) -> None:
    agents()
    late = {
        **BY_AGENT,
        "lookup": {"table": "producer", "match": {"code": "make"}, "columns": {"name": "trim_name"}},
    }
    make(tmp_path, [{"vin": CARS[0], "make": "A1"}], steps=[{"type": "map"}, late])
    runner.run("cars")
    (letter,) = runner.list_dead_letters()
    assert (letter["step"], letter["error_code"]) == ("enrich", "column")
    assert runner.show_dead_letter(letter["id"])["step_record"]["make"] == "A1"


def test_trying_a_pipeline_asks_nobody_unless_allowed(edge: Database, vins: Provider, tmp_path: Path) -> None:
    make(tmp_path, [], steps=[BRANCHES], pipeline_type="parallel")
    pipeline = integrations.find_pipeline("cars")
    alone = runner.test_integration_pipeline(pipeline, {"vin": CARS[0]})
    assert [step["status"] for step in alone["steps"]] == ["skipped", "success"]
    assert "--calls" in alone["steps"][0]["reason"]
    assert vins.calls == []
    whole = runner.test_integration_pipeline(pipeline, {"vin": CARS[0]}, calls=True)
    assert (whole["success"], whole["final_output"]["make"]) == (True, "M1")
    assert db.query("SELECT 1 FROM integration_log") == []


def script(language: str, text: str, kind: str = "map", **more: Any) -> dict[str, Any]:
    return {"type": "transform", "language": language, "text": text, "transformation_type": kind, **more}


RECORDS = [{"vin": vin, "make": make, "tags": ["a", "b"]} for vin, make in zip(CARS, "xyz", strict=True)]


@pytest.mark.parametrize(
    ("step", "rows", "counts"),
    [
        (script("jmespath", "{vin: vin, make: join('-', tags)}"), ["a-b", "a-b", "a-b"], (3, 0, 0)),
        (script("jmespath", "make != 'y'", "filter"), ["x", "z"], (2, 1, 0)),
        (script("jmespath", "{body: upper(make)}", "enrich"), [], (0, 0, 3)),
        (script("jmespath", "{body: to_string(tags)}", "enrich"), ["x", "y", "z"], (3, 0, 0)),
        (script("jmespath", "[-1]", "aggregate"), ["z"], (1, 2, 0)),
        (script("jmespath", "make == 'x' || ['no x']", "validate"), ["x"], (1, 0, 2)),
        (script("jmespath", "make != 'x' && @ || `null`", "custom"), ["y", "z"], (2, 1, 0)),
        (script("python", "{**input, 'make': input['make'] * 2}"), ["xx", "yy", "zz"], (3, 0, 0)),
    ],
)
def test_a_script_makes_other_records_and_what_it_leaves_out_is_no_failure(
    edge: Database, tmp_path: Path, step: dict[str, Any], rows: list[str], counts: tuple[int, int, int]
) -> None:
    make(tmp_path, RECORDS, steps=[{**step, "name": "script"}], dead_letters={"max_percent": 100})
    result = runner.run("cars")
    assert (result.records_written, result.filtered, result.dead_letters) == counts, result.message
    assert [row[0] for row in cars()] == rows
    shown = runner.show_execution(result.execution_id or 0)
    assert (shown["records_read"], shown["filtered"]) == (3, counts[1])
    letters = runner.list_dead_letters()
    assert {(row["step"], row["step_name"]) for row in letters} <= {("transform", "script")}


def test_one_record_may_become_several_and_each_is_written_or_set_aside(
    edge: Database, tmp_path: Path
) -> None:
    several = script("jmespath", "parts[].{vin: @}", "custom")
    make(
        tmp_path, [{"parts": [CARS[0], "SHORT", CARS[1]]}], steps=[several], dead_letters={"max_percent": 100}
    )
    result = runner.run("cars")
    assert (result.records_written, result.dead_letters) == (2, 1)
    (letter,) = runner.list_dead_letters()
    assert runner.show_dead_letter(letter["id"])["step_record"]["vin"] == "SHORT"


def test_what_is_sent_or_comes_from_a_branch_is_one_record(edge: Database, tmp_path: Path) -> None:
    several = script("jmespath", "[@, @]", "custom", name="twice")
    (tmp_path / "cars.ndjson").write_text(json.dumps(RECORDS[0]), encoding="utf-8")
    integrations.create(
        "out", template="ndjson-import",
        settings={"path": str(tmp_path / "cars.ndjson"), "to": {"connector": "event", "type": "seen"}},
        customizations={"pipeline": {"steps": [several]}},
    )  # fmt: skip
    runner.run("out")
    (letter,) = runner.list_dead_letters()
    assert (letter["step_name"], letter["error_code"]) == ("twice", "several")
    found = read_steps(
        "x", {"pipeline_type": "parallel", "steps": [several, BY_NOTHING | {"condition": None}]}
    )
    work: Any = Nothing()
    (stopped,) = branches.take(found[0], [RECORDS[0]], work, side="validate_in")
    assert stopped.error.code == "several"


def test_a_transformation_of_the_file_is_taken_by_its_name(edge: Database, tmp_path: Path) -> None:
    named = {"type": "transform", "transformation": "shout"}
    with pytest.raises(InvalidError, match="here is no transformation shout"):
        read_steps("x", {"pipeline_type": "linear", "steps": [named]})
    with db.change(reason="a transformation"):
        db.connection().execute(
            "INSERT INTO integration_transformation(transformation_name, transformation_type, language,"
            " transformation_logic, output_schema) VALUES ('Shout', 'map', 'jmespath', ?, ?)",
            (
                json.dumps({"text": "{vin: vin, make: join('', [make, '!'])}"}),
                json.dumps({"properties": {"make": {"enum": ["x!", "y!"]}}}),
            ),
        )
    make(tmp_path, RECORDS, steps=[named], dead_letters={"max_percent": 100})
    assert runner.run("cars").records_written == 2
    assert cars() == [("x!",), ("y!",)]
    (letter,) = runner.list_dead_letters()
    assert letter["error_code"] == "output"


def test_behind_the_mapping_a_script_may_change_and_leave_out_columns(edge: Database, tmp_path: Path) -> None:
    late = script("jmespath", "{vin: vin, make: join('', [make, '?'])}")
    make(tmp_path, RECORDS[:1], steps=[{"type": "map"}, late])
    with db.change(reason="a car"):
        db.connection().execute("INSERT INTO vehicle(vin, body_class) VALUES (?, 'kept')", (CARS[0],))
    runner.run("cars")
    assert cars("make, body_class") == [("x?", "kept")]


def test_scripts_go_side_by_side(edge: Database, tmp_path: Path) -> None:
    one = script("python", "{**input, 'make': 'one'}", name="one")
    two = script("python", "{**input, 'body': 'two'}", name="two")
    make(tmp_path, RECORDS, steps=[one, two], pipeline_type="parallel")
    assert runner.run("cars").records_written == 3
    assert cars("make, body_class") == [("one", "two")] * 3
    both = script("python", "{**input, 'make': 'two'}", name="both")
    found = read_steps("x", {"pipeline_type": "parallel", "steps": [one, both]})
    work: Any = Nothing()
    conflict, same = branches.take(found[0], [{"make": "x"}, {"make": "two"}], work, side="validate_in")
    assert (conflict.error.code, "both" in conflict.name) == ("conflict", True)
    assert same == {"make": "one"}
    with pytest.raises(InvalidError, match="stands in no branch"):
        read_steps("x", {"pipeline_type": "parallel", "steps": [one, script("jmespath", "@", "aggregate")]})


SCRIPTS: list[tuple[dict[str, Any], str]] = [
    ({"language": "jmespath"}, "either transformation"),
    ({"language": "cobol", "text": "x"}, "no language"),
    ({"language": "jmespath", "text": "{"}, "step 'transform'"),
    ({"language": "jmespath", "text": "@", "transformation_type": "dance"}, "is one of map"),
    ({"transformation": "x", "language": "jmespath"}, "language belongs to a script"),
]


def test_a_script_that_cannot_run_is_refused_naming_the_step(edge: Database) -> None:
    for step, told in SCRIPTS:
        with pytest.raises(InvalidError, match=told):
            read_steps("x", {"pipeline_type": "linear", "steps": [{"type": "transform", **step}]})


class Nothing:
    """Work of steps that need none."""

    def side_by_side(self, tasks: list[Any]) -> list[Any]:
        results = {number: tasks[number]() for number in reversed(range(len(tasks)))}
        return [results[number] for number in range(len(tasks))]


MEMBERS = ("a", "b", "c", "d")
VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.sampled_from(["", "x"]))
DOCUMENTS = st.dictionaries(st.sampled_from(MEMBERS), VALUES)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(documents=st.lists(DOCUMENTS, max_size=5), minimum=st.integers(0, 2))
def test_side_by_side_gives_what_one_after_the_other_gives(documents: list[Any], minimum: int) -> None:
    """Steps that do not touch what another writes come to the same, with the same records set aside."""
    schema = {"properties": {"a": {"type": "integer", "minimum": minimum}}}
    found = read_steps(
        "x",
        {"pipeline_type": "hybrid", "steps": [
            {"type": "validate", "name": "v", "schema": schema},
            {"type": "validate", "name": "w", "condition": "@.b == 1", "schema": {"required": ["c"]}},
        ]},
    )[:2]  # fmt: skip
    group = Step("both", "parallel", branches=tuple((step,) for step in found))
    work: Any = Nothing()
    together = branches.take(group, documents, work, side="validate_in")
    for document, result in zip(documents, together, strict=True):
        alone: Any = document
        for step in found:
            if not isinstance(alone, branches.Stopped):
                (alone,) = branches.take(step, [alone], work, side="validate_in")
        if isinstance(alone, branches.Stopped):
            assert (result.kind, result.name, result.error.code) == (alone.kind, alone.name, alone.error.code)
        else:
            assert result == alone


@settings(max_examples=100, deadline=None)
@given(document=DOCUMENTS, made=st.lists(DOCUMENTS, min_size=2, max_size=3))
def test_what_branches_changed_is_put_together_or_refused(document: Any, made: list[Any]) -> None:
    """Every member is as the one branch that changed it says; two that differ about one are a conflict."""
    step = Step("both", "parallel")
    joined = branches._joined(step, document, made)

    def said(one: dict[str, Any], name: str) -> str:
        return json.dumps(one[name]) if name in one else "nothing"

    changes = {name: {said(one, name) for one in made} - {said(document, name)} for name in MEMBERS}
    if any(len(values) > 1 for values in changes.values()):
        assert isinstance(joined, branches.Stopped)
        assert joined.error is not None
        assert joined.error.code == "conflict"
    else:
        for name, values in changes.items():
            assert said(joined, name) == (values.pop() if values else said(document, name))
