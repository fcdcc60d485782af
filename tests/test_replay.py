"""Records set aside tried again from any step by any version, and whole runs again from what they kept."""

from __future__ import annotations

import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edgekit import clock, db, integrations, runner, vault
from edgekit.cli import root
from edgekit.errors import DeniedError, InvalidError, NotFoundError, VaultLockedError

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

CARS = ["1FTMW1T88MFA00001", "1FTMW1T88MFA00002", "1FTMW1T88MFA00003"]
AGENT = {
    "type": "enrich", "name": "agent",
    "lookup": {"table": "producer", "match": {"code": "$.agent"}, "columns": {"name": "agent_name"}},
}  # fmt: skip
OLD_ENOUGH = {"type": "validate", "name": "year", "schema": {"properties": {"model_year": {"minimum": 1990}}}}
MAPPINGS = [
    {"source_path": "vin", "target_path": "vin", "is_required": True},
    {"source_path": "year", "target_path": "model_year", "target_data_type": "integer"},
    {"source_path": "agent_name", "target_path": "model_name"},
]


def make(tmp_path: Path, records: list[dict[str, Any]], settings: Any = None, **pipeline: Any) -> None:
    (tmp_path / "cars.ndjson").write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    integrations.create(
        "cars", template="ndjson-import",
        settings={
            "path": str(tmp_path / "cars.ndjson"), "table": "vehicle", "key": "vin", **(settings or {})
        },
        customizations={"mappings": MAPPINGS, "pipeline": {
            "steps": [AGENT, {"type": "map"}, OLD_ENOUGH], "dead_letters": {"max_percent": 100}, **pipeline}},
    )  # fmt: skip


def agent(code: str, name: str) -> None:
    with db.change(reason="an agent"):
        db.connection().execute("INSERT INTO producer(code, name) VALUES (?, ?)", (code, name))


def change_mapping(path: str, **values: Any) -> None:
    from edgekit.models import IntegrationMapping

    with db.change(reason=f"mapping {path}"):
        row = IntegrationMapping.get(IntegrationMapping.target_path == path)
        for name, value in values.items():
            setattr(row, name, value)
        row.save()


def cars() -> list[Any]:
    return [
        tuple(r.values()) for r in db.query("SELECT vin, model_year, model_name FROM vehicle ORDER BY vin")
    ]


@pytest.mark.ledger("S4-47")
def test_a_letter_goes_on_from_the_step_that_failed(edge: Database, tmp_path: Path) -> None:
    agent("A", "Ann")
    make(tmp_path, [{"vin": CARS[0], "year": 1980, "agent": "A"}])
    runner.run("cars")
    (letter,) = runner.list_dead_letters()
    whole = runner.show_dead_letter(letter["id"])
    assert (whole["step"], whole["step_name"]) == ("validate_out", "year")
    assert whole["step_record"] == {"vin": CARS[0], "model_year": 1980, "model_name": "Ann"}
    assert whole["record"] == {"vin": CARS[0], "year": 1980, "agent": "A"}, "as it came"
    with db.change(reason="the agent is gone, and old cars are welcome"):
        db.connection().execute("DELETE FROM producer WHERE code = 'A'")
        db.connection().execute(
            "UPDATE integration_pipeline_definition SET version = version + 1, pipeline_steps ="
            " json_remove(json_set(pipeline_steps, '$.steps[2].schema', json('{}')), '$.x')"
        )
    with pytest.raises(InvalidError, match="failed again"):
        runner.replay_dead_letter(letter["id"])
    again = runner.show_dead_letter(letter["id"])
    assert (again["step"], again["step_name"], again["attempts"], again["status"]) == (
        "enrich", "agent", 2, "pending",
    )  # fmt: skip
    with db.change(reason="as it was set aside first"):
        db.connection().execute(
            "UPDATE dead_letter SET step = 'validate_out', step_name = 'year', step_record = ?",
            (json.dumps(whole["step_record"]),),
        )
    assert runner.replay_dead_letter(letter["id"], start="failed")["status"] == "replayed"
    assert cars() == [(CARS[0], 1980, "Ann")], "the steps before were not taken again"


def test_what_the_table_refused_is_written_as_it_was_mapped(edge: Database, tmp_path: Path) -> None:
    make(tmp_path, [{"vin": "SHORT", "year": 2001}], steps=[])
    runner.run("cars")
    (letter,) = runner.list_dead_letters()
    assert letter["step"] == "write"
    with db.change(reason="mended by hand"):
        db.connection().execute(
            "UPDATE dead_letter SET step_record = json_set(step_record, '$.vin', ?)", (CARS[0],)
        )
    runner.replay_dead_letter(letter["id"], start="failed")
    assert cars() == [(CARS[0], 2001, None)]


def test_a_step_that_is_no_more_is_named(edge: Database, tmp_path: Path) -> None:
    make(tmp_path, [{"vin": CARS[0], "year": 1980, "agent": "A"}])
    runner.run("cars")
    (letter,) = runner.list_dead_letters()
    with db.change(reason="another pipeline"):
        db.connection().execute(
            "UPDATE integration_pipeline_definition SET version = version + 1,"
            " pipeline_steps = '{\"steps\": []}'"
        )
    with pytest.raises(NotFoundError, match="no step agent any more"):
        runner.replay_dead_letter(letter["id"], start="failed")
    assert runner.replay_dead_letter(letter["id"])["status"] == "replayed"


@pytest.mark.ledger("S4-47")
def test_a_letter_goes_by_the_mapping_of_now_of_a_version_or_of_its_run(
    edge: Database, tmp_path: Path
) -> None:
    records = [{"vin": vin, "year": 1980 + number} for number, vin in enumerate(CARS)]
    make(tmp_path, records, steps=[{"type": "map"}, OLD_ENOUGH])
    runner.run("cars")
    first, second, third = (row["id"] for row in runner.list_dead_letters())
    change_mapping("model_year", source_path="no_year")
    versions = integrations.list_mapping_versions("cars")
    assert [(one.version, one.mappings, str(one.reason).split(" [")[0]) for one in versions] == [
        (2, 3, "mapping model_year"), (1, 3, "integrations create cars"),
    ]  # fmt: skip
    with db.change(reason="old cars are welcome"):
        db.connection().execute(
            "UPDATE integration_pipeline_definition SET version = version + 1,"
            " pipeline_steps = '{\"steps\": []}'"
        )
    runner.replay_dead_letter(first)
    runner.replay_dead_letter(second, mapping_version=1)
    with pytest.raises(InvalidError, match="failed again"):
        runner.replay_dead_letter(third, as_of_run=True)  # by the pipeline of the run as well
    assert cars() == [(CARS[0], None, None), (CARS[1], 1981, None)]
    with pytest.raises(NotFoundError, match="have no version 7"):
        runner.replay_dead_letter(third, mapping_version=7)
    with pytest.raises(InvalidError, match="not both"):
        runner.replay_dead_letter(third, mapping_version=1, as_of_run=True)


def test_production_writes_by_live_mappings_only(edge: Database, tmp_path: Path) -> None:
    make(
        tmp_path, [{"vin": CARS[0], "year": 1980}], {"keep_inputs": True}, steps=[{"type": "map"}, OLD_ENOUGH]
    )
    run = runner.run("cars").execution_id or 0
    (letter,) = runner.list_dead_letters()
    with db.change(reason="in earnest"):
        db.connection().execute(
            "UPDATE system SET environment_id = (SELECT id FROM environment WHERE code = 'PRODUCTION')"
        )
    with pytest.raises(DeniedError, match="live mappings only"):
        runner.replay_dead_letter(letter["id"], mapping_version=1)
    with pytest.raises(DeniedError, match="live mappings only"):
        runner.replay_execution(run, mapping_version=1, write=True)
    assert runner.replay_execution(run, mapping_version=1).set_aside == 1


def test_many_letters_are_replayed_and_counted(edge: Database, tmp_path: Path) -> None:
    agent("A", "Ann")
    records = [
        {"vin": CARS[0], "year": 2000, "agent": "B"},
        {"vin": CARS[1], "year": 2000, "agent": "C"},
        {"vin": CARS[2], "year": 1980, "agent": "A"},
    ]
    make(tmp_path, records)
    runner.run("cars")
    agent("B", "Bob")
    result = runner.replay_dead_letters("cars", step="agent")
    assert (result.tried, result.replayed, result.failed, result.errors) == (2, 1, 1, {"not_found": 1})
    assert [row["step"] for row in runner.list_dead_letters()] == ["enrich", "validate_out"]
    edge.close()

    def run(*args: str) -> Any:
        return CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "dead-letters", *args])

    answer = run("replay", "--all", "--integration", "cars", "--as-of-run", "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["tried"]) == (4, 2)
    assert "2 of 2 records failed again" in answer.stderr
    assert "step_name" in run("list").stdout
    for wrong in ((), ("1", "--all"), ("--all",), ("1", "--step", "x")):
        assert run("replay", *wrong).exit_code == 2


def test_what_is_tried_again_at_the_end_of_a_run_follows_its_policy(
    edge: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(
        tmp_path,
        [{"vin": CARS[0], "year": 2000, "agent": "A"}, {"vin": CARS[1], "year": 2000, "agent": "Z"}],
        dead_letters={"max_percent": 60, "retry": {"attempts": 3, "delay_seconds": 60}},
    )
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            agent("A", "Ann")

    monkeypatch.setattr("edgekit.runner.engine.time.sleep", wait)
    result = runner.run("cars")
    assert (result.status, result.records_written, result.dead_letters) == ("completed", 1, 1)
    assert waited == [60, 60, 60]
    assert [row["attempts"] for row in runner.list_dead_letters(status=None)] == [2, 4]


KEEPS = {"keep_inputs": {"days": 10}}


def kept() -> list[dict[str, Any]]:
    return db.query("SELECT * FROM integration_execution_input ORDER BY id")


def test_a_past_run_shows_what_another_mapping_would_make_of_it(edge: Database, tmp_path: Path) -> None:
    records = [{"vin": vin, "year": 2000 + n, "old": 1990 + n} for n, vin in enumerate(CARS)]
    make(tmp_path, records, KEEPS, steps=[])
    run = runner.run("cars", overrides={"batch_size": 2}).execution_id or 0
    assert [(row["batch_number"], row["record_count"]) for row in kept()] == [(1, 2), (2, 1)]
    assert "records_zlib" not in str(db.query("SELECT changes FROM audit_entry WHERE changes LIKE '%zlib%'"))
    same = runner.replay_execution(run)
    assert (same.records, same.same, same.differences) == (3, 3, [])
    change_mapping("model_year", source_path="old", validation_rules={"minimum": 1991})
    with db.change(reason="one is gone"):
        db.connection().execute("DELETE FROM vehicle WHERE vin = ?", (CARS[2],))
    before = edge.connection().execute("SELECT max(seq) FROM audit_log").fetchone()
    found = runner.replay_execution(run)
    assert (found.same, found.added, found.changed, found.set_aside) == (0, 1, 1, 1)
    one, two, three = found.differences
    assert (one.position, one.what, one.step, one.error_code) == ("line 1", "set_aside", "map", "range")
    assert (two.what, two.key, two.fields) == ("changed", {"vin": CARS[1]}, {"model_year": [2001, 1991]})
    assert (three.what, three.fields["model_year"]) == ("added", [None, 1992])
    assert edge.connection().execute("SELECT max(seq) FROM audit_log").fetchone() == before
    old = runner.replay_execution(run, mapping_version=1, limit=0)
    assert (old.same, old.added, old.changed, old.differences) == (2, 1, 0, [])


def test_a_past_run_is_written_again_as_a_run_of_its_own(edge: Database, tmp_path: Path) -> None:
    records = [{"vin": vin, "year": 2000 + n, "old": 1990 + n} for n, vin in enumerate(CARS)]
    make(tmp_path, records, KEEPS, steps=[])
    run = runner.run("cars").execution_id or 0
    state = db.query("SELECT state FROM integration_checkpoint")
    change_mapping("model_year", source_path="old", validation_rules={"minimum": 1991})
    found = runner.replay_execution(run, write=True)
    assert (found.changed, found.set_aside) == (2, 1)
    assert [year for _, year, _ in cars()] == [2000, 1991, 1992], "only what is affected changes"
    shown = runner.show_execution(found.written_execution_id or 0)
    assert (shown["trigger_kind"], shown["status"]) == ("replay", "completed")
    counts = ("records_read", "records_written", "records_changed", "dead_letters")
    assert [shown[name] for name in counts] == [3, 2, 2, 1]
    assert [row["execution_id"] for row in runner.list_dead_letters()] == [found.written_execution_id]
    assert db.query("SELECT state FROM integration_checkpoint") == state
    with pytest.raises(InvalidError, match="kept nothing"):
        runner.replay_execution(found.written_execution_id or 0)


def test_a_run_that_sent_shows_what_would_be_sent_now(edge: Database, tmp_path: Path) -> None:
    (tmp_path / "out.ndjson").write_text(
        '{"id": 1, "name": "Ann"}\n{"id": 2, "name": "Bob"}\n', encoding="utf-8"
    )
    integrations.create(
        "out", template="ndjson-import",
        settings={"path": str(tmp_path / "out.ndjson"), "keep_inputs": True,
                  "to": {"connector": "event", "type": "person.seen"}},
        customizations={"connection": {}},
    )  # fmt: skip
    run = runner.run("out").execution_id or 0
    assert runner.replay_execution(run).same == 2
    upper = {"type": "transform", "language": "jmespath", "text": "{id: id, name: join('', [name, '!'])}"}
    integrations.set_pipeline("out", {"steps": [upper]})
    found = runner.replay_execution(run)
    assert (found.records, found.same, found.changed) == (2, 0, 2)
    assert [(one.what, one.fields["name"]) for one in found.differences] == [
        ("sent", [None, "Ann!"]), ("sent", [None, "Bob!"]),
    ]  # fmt: skip
    assert len(db.query("SELECT 1 FROM integration_event WHERE event_type = 'person.seen'")) == 2, (
        "nothing was sent"
    )
    with pytest.raises(InvalidError, match="is not sent again"):
        runner.replay_execution(run, write=True)


def test_nothing_is_kept_unless_it_is_said_and_its_time_ends(edge: Database, tmp_path: Path) -> None:
    make(tmp_path, [{"vin": CARS[0], "year": 2000}], steps=[])
    run = runner.run("cars").execution_id or 0
    assert kept() == []
    with pytest.raises(InvalidError, match="kept nothing") as caught:
        runner.replay_execution(run)
    assert caught.value.hint is not None
    assert "keep-inputs cars --days 30" in caught.value.hint
    integrations.keep_inputs("cars", days=2)
    run = runner.run("cars").execution_id or 0
    assert zlib.decompress(kept()[0]["records_zlib"]).startswith(
        b'{"positions": ["line 1"], "records": [{"vin"'
    )
    later = clock.now() + timedelta(days=3)
    assert runner.prune_inputs(dry_run=True, now=later).batches == 1
    assert runner.prune_inputs(now=clock.now()).batches == 0
    assert (runner.prune_inputs(now=later).executions, kept()) == (1, [])
    runner.run("cars")
    with db.change(reason="time goes by"):
        db.connection().execute(
            "UPDATE integration_execution_input SET expires_at = '2026-01-01T00:00:00.000Z'"
        )
    integrations.keep_inputs("cars", days=None)
    runner.run("cars")
    assert kept() == [], "a run clears away what its integration kept"


@pytest.mark.parametrize("said", [5, {"days": 0}, {"days": True}, {"years": 1}, {"encrypt": "yes"}])
def test_what_keep_inputs_cannot_be(edge: Database, tmp_path: Path, said: Any) -> None:
    make(tmp_path, [], {"keep_inputs": json.dumps(said)}, steps=[])
    with pytest.raises(InvalidError, match="keep_inputs"):
        runner.run("cars")


def test_what_is_personal_is_kept_sealed_and_rotated(
    edge: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, [{"vin": CARS[0], "year": 2000, "email": "ann@example.org"}], KEEPS, steps=[])
    change_mapping("model_name", source_path="$.email")
    with pytest.raises(
        VaultLockedError, match="keeps what it reads sealed, and the vault is locked"
    ) as caught:
        runner.run("cars")
    assert caught.value.hint is not None
    assert "keep-inputs cars --off" in caught.value.hint
    assert db.query("SELECT 1 FROM integration_execution") == [], "known before the run"
    vault.init()
    run = runner.run("cars").execution_id or 0
    (row,) = kept()
    assert row["records_zlib"] is None
    assert b"ann@example" not in row["records_ciphertext"]
    assert runner.replay_execution(run).same == 1
    rotated = vault.rotate()
    assert rotated.values == {"integration_execution_input.records_ciphertext": 1}
    assert kept()[0]["records_ciphertext"] != row["records_ciphertext"]
    assert runner.replay_execution(run).same == 1
    assert db.query("SELECT DISTINCT purpose FROM vault_use_log") == [{"purpose": f"executions replay {run}"}]
    plain = integrations.keep_inputs("cars", encrypt=False)
    assert plain["keep_inputs"] == {"days": 30, "encrypt": False}
    runner.run("cars")
    assert kept()[1]["records_zlib"] is not None


def test_what_is_personal_is_sealed_though_nothing_takes_it(edge: Database, tmp_path: Path) -> None:
    make(tmp_path, [{"vin": CARS[0], "year": 2000, "owner": [{"phone": "1"}]}], KEEPS, steps=[])
    result = runner.run("cars")
    assert (result.status, kept()) == ("failed", [])
    assert "cars keeps what it reads sealed, and the vault is locked" in (result.message or "")
    vault.init()
    runner.run("cars")
    assert [row["records_zlib"] for row in kept()] == [None]


def test_the_commands_of_a_replay(edge: Database, tmp_path: Path) -> None:
    make(tmp_path, [{"vin": vin, "year": 2000} for vin in CARS], steps=[])
    edge.close()

    def run(*args: str) -> Any:
        answer = CliRunner().invoke(root.edgekit, ["--db", str(edge.path), *args])
        assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
        return answer

    assert "for 7 days" in run("integrations", "keep-inputs", "cars", "--days", "7").stdout
    number = json.loads(run("integrations", "run", "cars", "--json").stdout)["execution_id"]
    shown = run("executions", "replay", str(number), "--diff")
    assert (shown.exit_code, "No record would differ." in shown.stdout) == (0, True)
    with_json = json.loads(run("executions", "replay", str(number), "--diff", "--json").stdout)
    assert (with_json["records"], with_json["same"]) == (3, 3)
    assert run("executions", "replay", str(number), "--mapping-version", "9").exit_code == 3
    assert run("executions", "replay", "77").exit_code == 3
    assert json.loads(run("executions", "prune-inputs", "--dry-run", "--json").stdout)["batches"] == 0
    assert run("integrations", "keep-inputs", "cars", "--off").stdout == "cars keeps nothing.\n"
    assert run("integrations", "keep-inputs", "cars", "--days", "0").exit_code == 4
