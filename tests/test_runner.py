"""Runs of files into tables: what is written, set aside, counted, resumed and refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import audit, connectors, db, integrations, runner
from edgekit.errors import ConflictError, InvalidError, NotFoundError, RuleError
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database


def write_csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def vehicles(tmp_path: Path, *lines: str) -> str:
    path = write_csv(tmp_path / "vehicles.csv", "vin,model_year", *lines)
    integrations.create(
        "cars", template="csv-import", settings={"path": str(path), "table": "vehicle", "key": "vin"}
    )
    return "cars"


def counts(result: runner.RunResult) -> tuple[int, int, int, int]:
    return result.records_read, result.records_written, result.records_changed, result.dead_letters


GOOD = ("1FTMW1T88MFA00001,2021", "5YJSA1E26HF000001,2017")


@pytest.mark.usefixtures("edge")
class TestImport:
    def test_rows_land_by_key(self, tmp_path: Path) -> None:
        result = runner.run(vehicles(tmp_path, *GOOD))
        assert result.status == "completed"
        assert counts(result) == (2, 2, 2, 0)
        assert db.query("SELECT vin, model_year, organization_id FROM vehicle ORDER BY id") == [
            {"vin": "1FTMW1T88MFA00001", "model_year": 2021, "organization_id": 1},
            {"vin": "5YJSA1E26HF000001", "model_year": 2017, "organization_id": 1},
        ]

    def test_the_first_run_that_completes_makes_it_live(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *GOOD)
        state = (
            "SELECT deployment_status, deployed_at IS NOT NULL AS dated FROM integration_template_instance"
        )
        runner.run(name, input=str(tmp_path / "absent.csv"))
        assert db.query(state) == [{"deployment_status": "draft", "dated": 0}]
        runner.run(name)
        assert db.query(state) == [{"deployment_status": "active", "dated": 1}]

    def test_a_second_run_changes_nothing_at_all(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *GOOD)
        runner.run(name)
        before = db.query("SELECT * FROM vehicle")
        logged = (
            "SELECT count(*) AS n FROM audit_log l JOIN audit_table t ON t.id = l.table_id WHERE"
            " t.name = 'vehicle'"
        )
        entries = db.query(logged)
        assert counts(runner.run(name)) == (2, 2, 0, 0)
        assert db.query("SELECT * FROM vehicle") == before
        assert db.query(logged) == entries

    def test_a_run_of_a_thousand_rows_is_sealed_at_its_end(self, tmp_path: Path) -> None:
        runner.run(vehicles(tmp_path, *GOOD))
        assert audit.head(db.connection()) is None
        many = write_csv(tmp_path / "many.csv", "vin,model_year", *(f"1FT{n:05d}*,2021" for n in range(1000)))
        runner.run("cars", input=str(many))
        assert audit.unsealed(db.connection()) == 0

    def test_bad_records_are_set_aside_with_place_step_and_sentence(self, tmp_path: Path) -> None:
        result = runner.run(vehicles(tmp_path, *GOOD, "1FTMW1T88MFA0000I,2020", "5YJSA1E26HF000002,soon"))
        assert (result.status, counts(result)) == ("completed", (4, 2, 2, 2))
        letters = runner.list_dead_letters()
        assert [(item["step"], item["error_code"], item["source_position"]) for item in letters] == [
            ("map", "type", "line 5"),
            ("write", "format", "line 4"),
        ]
        assert "model_year" in letters[0]["error_message"]
        assert "without I, O and Q" in letters[1]["error_message"]
        assert runner.show_dead_letter(letters[0]["id"])["record"] == {
            "vin": "5YJSA1E26HF000002",
            "model_year": "soon",
        }

    def test_meeting_a_bad_record_again_adds_no_row(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *GOOD, "SHORT,2020")
        runner.run(name)
        assert runner.run(name).dead_letters == 1
        assert [item["attempts"] for item in runner.list_dead_letters()] == [2]

    def test_more_than_half_set_aside_fails_the_run_and_keeps_the_good(self, tmp_path: Path) -> None:
        result = runner.run(vehicles(tmp_path, GOOD[0], "SHORT,1", "SHORTER,2"))
        assert result.status == "failed"
        assert result.error is not None
        assert result.error.exit_code == 4
        assert "2 of 3 records were set aside (67 %)" in result.error.message
        assert db.query("SELECT count(*) AS n FROM vehicle") == [{"n": 1}]
        assert runner.show_execution(result.execution_id or 0)["error_message"] == result.error.message

    def test_fail_fast_undoes_the_batch(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *GOOD, "SHORT,2020")
        set_pipeline(error_handling_strategy="fail_fast")
        result = runner.run(name)
        assert (result.status, result.records_written) == ("failed", 0)
        assert result.message is not None
        assert result.message.startswith("line 4: ")
        assert db.query("SELECT 1 FROM vehicle") == []
        assert runner.list_dead_letters() == []

    def test_continue_on_error_counts_and_keeps_none(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *GOOD, "SHORT,2020")
        set_pipeline(error_handling_strategy="continue_on_error")
        assert counts(runner.run(name)) == (3, 2, 2, 1)
        assert runner.list_dead_letters() == []

    def test_a_dry_run_leaves_no_trace(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *GOOD, "SHORT,2020")
        before = db.query("SELECT count(*) AS n FROM audit_log")
        result = runner.run(name, dry_run=True)
        assert (result.status, counts(result)) == ("dry_run", (3, 2, 2, 1))
        assert db.query("SELECT 1 FROM vehicle") == []
        assert db.query("SELECT 1 FROM integration_execution") == []
        assert db.query("SELECT count(*) AS n FROM audit_log") == before

    def test_an_input_file_takes_the_place_of_the_own(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, GOOD[0])
        other = write_csv(tmp_path / "other.csv", "VIN,Model Year", GOOD[1])
        runner.run(name)
        assert runner.run(name, input=str(other)).status == "failed", "its fields are not the mapped ones"
        other.write_text(f"vin,model_year\n{GOOD[1]}\n", encoding="utf-8")
        assert runner.run(name, input=str(other)).records_written == 1
        assert len(db.query("SELECT 1 FROM vehicle")) == 2

    def test_what_is_wrong_before_the_first_record_is_said_before(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="no integration trucks") as caught:
            runner.run("trucks")
        assert caught.value.hint is not None
        integrations.create(
            "lost", template="csv-import", settings={"path": "x.csv", "table": "vehicel", "key": "vin"}
        )
        write_csv(tmp_path / "x.csv", "vin,model_year", GOOD[0])
        result = runner.run("lost", input=str(tmp_path / "x.csv"))
        assert result.error is not None
        assert "no table vehicel" in result.error.message
        assert "Did you mean vehicle" in (result.error.hint or "")

    def test_unknown_columns_are_refused_until_ignored(self, tmp_path: Path) -> None:
        path = write_csv(tmp_path / "v.csv", "vin,colour", "1FTMW1T88MFA00001,red")
        integrations.create(
            "v", template="csv-import", settings={"path": str(path), "table": "vehicle", "key": "vin"}
        )
        result = runner.run("v")
        assert result.error is not None
        assert "no column for: colour" in result.error.message
        integrations.create(
            "w",
            template="csv-import",
            settings={"path": str(path), "table": "vehicle", "key": "vin", "ignore": "colour"},
        )
        assert runner.run("w").records_written == 1

    def test_the_files_own_books_are_no_target(self, tmp_path: Path) -> None:
        path = write_csv(tmp_path / "v.csv", "seq,action", "1,I")
        integrations.create(
            "v", template="csv-import", settings={"path": str(path), "table": "audit_log", "key": "seq"}
        )
        result = runner.run("v")
        assert isinstance(result.error, InvalidError)

    def test_two_processes_do_not_run_one_integration(self, tmp_path: Path) -> None:
        from filelock import FileLock

        name = vehicles(tmp_path, *GOOD)
        number = db.query("SELECT id FROM integration")[0]["id"]
        with (
            FileLock(f"{db.current().path}-run{number}.lock"),
            pytest.raises(ConflictError, match="being run by another process"),
        ):
            runner.run(name)
        assert runner.run(name).status == "completed"

    def test_interrupting_ends_between_batches_and_the_next_run_goes_on(self, tmp_path: Path) -> None:
        lines = [f"1FTMW1T88MFA{number:05d},2021" for number in range(30)]
        name = vehicles(tmp_path, *lines)

        def stop(count: int) -> None:
            if count == 20:
                raise KeyboardInterrupt

        first = runner.run(name, overrides={"batch_size": 10}, progress=stop)
        assert (first.status, first.records_written) == ("interrupted", 20)
        second = runner.run(name, overrides={"batch_size": 10})
        assert (second.status, second.records_read) == ("completed", 10)
        assert runner.show_execution(second.execution_id or 0)["resumed_from_id"] == first.execution_id
        assert len(db.query("SELECT 1 FROM vehicle")) == 30

    def test_a_process_that_dies_behind_the_last_batch_has_ended_its_run(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *[f"1FTMW1T88MFA{number:05d},2021" for number in range(20)], "SHORT,2020")

        def die(count: int) -> None:
            if count == 21:
                raise SystemExit

        with pytest.raises(SystemExit):
            runner.run(name, overrides={"batch_size": 10}, progress=die)
        ended = db.query("SELECT execution_status, records_read, records_failed FROM integration_execution")
        assert ended == [{"execution_status": "completed", "records_read": 21, "records_failed": 1}]

    def test_a_batch_that_cannot_be_committed_counts_for_nothing(
        self, tmp_path: Path, edge: Database
    ) -> None:
        name = vehicles(tmp_path, *[f"1FTMW1T88MFA{number:05d},2021" for number in range(3000)])

        def fill_disk(count: int) -> None:
            if count == 1000:
                pages = edge.connection().execute("PRAGMA page_count").fetchone()[0]
                edge.connection().execute(f"PRAGMA max_page_count = {pages + 10}")

        result = runner.run(name, progress=fill_disk)
        assert (result.status, result.records_read, result.records_written) == ("failed", 1000, 1000)
        assert result.error is not None
        assert "disk is full" in result.error.message
        edge.connection().execute("PRAGMA max_page_count = 1000000")
        assert counts(runner.run(name)) == (2000, 2000, 2000, 0)
        assert verify(edge.path) == []

    def test_a_run_taken_over_by_another_process_stops(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *[f"1FTMW1T88MFA{number:05d},2021" for number in range(30)])

        def steal(count: int) -> None:
            if count == 10:
                with db.change(reason="another process"):
                    db.connection().execute("UPDATE integration_execution SET runner_id = 'other'")

        result = runner.run(name, overrides={"batch_size": 10}, progress=steal)
        assert result.error is not None
        assert "taken over" in result.error.message
        assert len(db.query("SELECT 1 FROM vehicle")) == 10


@pytest.mark.usefixtures("edge")
class TestDeadLetters:
    @pytest.mark.ledger("S4-47")
    def test_replay_settles_it_once_the_cause_is_mended(self, tmp_path: Path) -> None:
        runner.run(vehicles(tmp_path, *GOOD, "5YJSA1E26HF000002,1500"))
        letter = runner.list_dead_letters()[0]
        with pytest.raises(InvalidError, match="failed again"):
            runner.replay_dead_letter(letter["id"])
        assert runner.show_dead_letter(letter["id"])["attempts"] == 2
        with db.change(reason="leave the year out when it is odd"):
            db.connection().execute(
                "UPDATE integration_mapping SET error_handling = 'null', validation_rules = ?"
                " WHERE target_path = 'model_year'",
                (json.dumps({"minimum": 1886}),),
            )
        assert runner.replay_dead_letter(letter["id"])["status"] == "replayed"
        assert db.query("SELECT model_year FROM vehicle WHERE vin = '5YJSA1E26HF000002'") == [
            {"model_year": None}
        ]
        with pytest.raises(ConflictError, match="replayed already"):
            runner.replay_dead_letter(letter["id"])

    def test_without_a_mapping_there_is_nothing_to_replay_through(self, tmp_path: Path) -> None:
        runner.run(vehicles(tmp_path, *GOOD, "SHORT,2020"))
        with db.change(reason="all gone"):
            db.connection().execute("UPDATE integration_mapping SET status_id = 2")
        with pytest.raises(InvalidError, match="cars has no mapping"):
            runner.replay_dead_letter(runner.list_dead_letters()[0]["id"])

    def test_discarding_is_final_and_survives_the_next_run(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *GOOD, "SHORT,2020")
        runner.run(name)
        letter = runner.list_dead_letters()[0]
        assert runner.discard_dead_letter(letter["id"])["status"] == "discarded"
        runner.run(name)
        assert runner.list_dead_letters() == []

    def test_a_whole_pass_that_does_not_meet_it_again_supersedes_it(self, tmp_path: Path) -> None:
        name = vehicles(tmp_path, *GOOD, "SHORT,2020", "5YJSA1E26HF000002,1500")
        runner.run(name)
        other = write_csv(tmp_path / "other.csv", "vin,model_year", GOOD[0])
        runner.run(name, input=str(other))
        assert len(runner.list_dead_letters()) == 2, "another file says nothing about this one"
        write_csv(
            tmp_path / "vehicles.csv",
            "vin,model_year",
            *GOOD,
            "5YJSA1E26HF000003,2020",
            "5YJSA1E26HF000002,1500",
        )
        runner.run(name)
        assert [item["source_position"] for item in runner.list_dead_letters()] == ["line 5"]
        assert [item["status"] for item in runner.list_dead_letters(status=None)] == ["superseded", "pending"]

    def test_an_unknown_number_is_not_found(self) -> None:
        with pytest.raises(NotFoundError):
            runner.show_dead_letter(7)


@pytest.mark.usefixtures("edge")
class TestLookup:
    def test_a_code_becomes_the_id_of_the_row_it_names(self, tmp_path: Path) -> None:
        with db.change(reason="a customer"):
            db.connection().execute("INSERT INTO insured(customer_number, name) VALUES ('C-1', 'Ann')")
        path = write_csv(
            tmp_path / "p.csv", "policy_number,customer,effective_date,expiration_date",
            "P-1,C-1,2026-01-01,2027-01-01", "P-2,C-9,2026-01-01,2027-01-01",
        )  # fmt: skip
        lookup = {"type": "lookup", "table": "insured", "match": "customer_number"}
        integrations.create(
            "policies", template="csv-import",
            settings={"path": str(path), "table": "policy", "key": "policy_number"},
            customizations={"mappings": [
                {"source_path": "policy_number", "target_path": "policy_number"},
                {"source_path": "customer", "target_path": "insured_id", "transformation_rules": lookup},
                {"source_path": "effective_date", "target_path": "effective_date"},
                {"source_path": "expiration_date", "target_path": "expiration_date"},
            ]},
        )  # fmt: skip
        assert counts(runner.run("policies")) == (2, 1, 1, 1)
        assert db.query("SELECT insured_id FROM policy") == [{"insured_id": 1}]
        assert "no insured with customer_number 'C-9'" in runner.list_dead_letters()[0]["error_message"]


@pytest.mark.usefixtures("edge")
class TestCreatedTable:
    def create(self, tmp_path: Path, *lines: str, key: str = "number", **settings: Any) -> runner.RunResult:
        path = write_csv(tmp_path / "data.csv", *lines)
        integrations.create(
            "data", template="csv-import",
            settings={"path": str(path), "table": "thing", "key": key, "create": "true", **settings},
        )  # fmt: skip
        return runner.run("data")

    def test_types_are_detected_and_identifiers_stay_text(self, tmp_path: Path) -> None:
        result = self.create(
            tmp_path,
            "number,zip,amount,share,phone,big,note",
            "1,02134,5,0.5,+49 1,12345678901234567,x",
            "2,12345,,1,,1,",
            "3,1,7,2.25,1,2,y",
        )
        assert result.status == "completed", result.message
        kinds = {
            row["name"]: row["type"] for row in db.query("SELECT name, type FROM pragma_table_info('thing')")
        }
        assert kinds == {
            "id": "INTEGER",
            "number": "INTEGER",
            "zip": "TEXT",
            "amount": "INTEGER",
            "share": "REAL",
            "phone": "TEXT",
            "big": "TEXT",
            "note": "TEXT",
        }
        assert db.query("SELECT zip, amount, note FROM thing WHERE number = 2") == [
            {"zip": "12345", "amount": None, "note": None}
        ]

    def test_nested_values_are_kept_as_json(self, tmp_path: Path) -> None:
        path = tmp_path / "n.ndjson"
        path.write_text('{"number": 1, "owner": {"id": 7}, "tags": []}\n{"number": 2}\n', encoding="utf-8")
        settings = {"path": str(path), "table": "thing", "key": "number", "create": "true"}
        integrations.create("data", template="ndjson-import", settings=settings)
        assert counts(runner.run("data")) == (2, 2, 2, 0)
        assert db.query("SELECT owner, tags FROM thing ORDER BY id") == [
            {"owner": '{"id":7}', "tags": "[]"},
            {"owner": None, "tags": None},
        ]

    def test_it_is_tracked_audited_and_verified(self, tmp_path: Path, edge: Database) -> None:
        self.create(tmp_path, "number,name", "1,a", "2,b")
        assert [row["name"] for row in db.query("SELECT name FROM tracked_table")] == ["thing"]
        assert verify(edge.path) == []
        with db.change(reason="edit"):
            db.connection().execute("UPDATE thing SET name = 'c' WHERE number = 1")
        entry = db.query(
            "SELECT action, changes FROM audit_entry WHERE table_name = 'thing' ORDER BY seq DESC LIMIT 1"
        )[0]
        assert entry == {"action": "U", "changes": '{"name":["a","c"]}'}
        db.connection().execute("DROP TRIGGER thing_audit_update")
        assert verify(edge.path) != []

    def test_a_table_that_has_rows_already_can_be_tracked(self, edge: Database) -> None:
        edge.connection().execute("CREATE TABLE note(nr INTEGER PRIMARY KEY, text TEXT) STRICT")
        edge.connection().execute("INSERT INTO note VALUES (7, 'a'), (3, 'b')")
        integrations.track_table("note")
        assert verify(edge.path) == []
        with db.change(reason="edit"):
            edge.connection().execute("UPDATE note SET text = 'c' WHERE nr = 7")
        assert verify(edge.path) == []
        logged = [entry.action for entry in audit.entries(edge.connection(), table="note")]
        assert logged == ["U", "I", "I"]

    def test_twice_gives_the_same_rows(self, tmp_path: Path) -> None:
        self.create(tmp_path, "number,name", "1,a", "2,b")
        assert counts(runner.run("data")) == (2, 2, 0, 0)

    def test_a_record_without_its_key_is_set_aside(self, tmp_path: Path) -> None:
        assert counts(self.create(tmp_path, "number,name", "1,a", ",b", "3,c")) == (3, 2, 2, 1)
        assert runner.list_dead_letters()[0]["error_code"] == "required"

    def test_odd_names_become_columns(self, tmp_path: Path) -> None:
        self.create(tmp_path, "number,First Name,2nd,it's,first-name", "1,Ann,b,c,d")
        columns = [row["name"] for row in db.query("SELECT name FROM pragma_table_info('thing')")]
        assert columns == ["id", "number", "First_Name", "n2nd", "it_s", "first_name_2"]
        assert db.query("SELECT it_s FROM thing") == [{"it_s": "c"}]

    def test_a_field_named_id_is_the_id_only_as_the_whole_key(self, tmp_path: Path) -> None:
        self.create(tmp_path, "id,name", "7,a", "9,b", key="id")
        assert [row["id"] for row in db.query("SELECT id FROM thing")] == [7, 9]

    def test_another_field_named_id_is_kept_beside(self, tmp_path: Path) -> None:
        self.create(tmp_path, "id,name", "A7,a", "A9,b", key="id")
        assert db.query("SELECT id, external_id FROM thing") == [
            {"id": 1, "external_id": "A7"},
            {"id": 2, "external_id": "A9"},
        ]

    def test_a_dry_run_learns_anew_with_every_batch(self, tmp_path: Path) -> None:
        path = write_csv(tmp_path / "data.csv", "id,name", *[f"A{number},x" for number in range(25)])
        settings = {"path": str(path), "table": "thing", "key": "id", "create": "true", "batch_size": 10}
        integrations.create("data", template="csv-import", settings=settings)
        assert counts(runner.run("data", dry_run=True)) == (25, 25, 25, 0)
        assert db.query("SELECT 1 FROM sqlite_schema WHERE name = 'thing'") == []

    @pytest.mark.parametrize(
        ("key", "message"), [("", "What identifies a record of thing"), ("nr", "no field nr")]
    )
    def test_a_key_is_needed(self, tmp_path: Path, key: str, message: str) -> None:
        result = self.create(tmp_path, "number,name", "1,a", key=key)
        assert result.error is not None
        assert message in result.error.message
        assert db.query("SELECT 1 FROM sqlite_schema WHERE name = 'thing'") == []

    @pytest.mark.parametrize("table", ["1st", "audit_mine", "sqlite_x", "a b", "x'y"])
    def test_bad_table_names_are_refused(self, table: str) -> None:
        with pytest.raises(InvalidError, match="cannot be a table's name"):
            integrations.own_tables.create(table, {"a": "TEXT"}, key=["a"])


@pytest.mark.usefixtures("edge")
def test_a_bulk_insert_is_all_or_nothing() -> None:
    from edgekit import bulk

    with db.change(reason="bulk"):
        assert bulk.insert_rows("vehicle", ["vin"], [("1FTMW1T88MFA00001",), ("1FTMW1T88MFA00002",)]) == 2
    with pytest.raises(RuleError), db.change(reason="bulk"):
        bulk.insert_rows("vehicle", ["vin"], [("1FTMW1T88MFA00003",), ("1FTMW1T88MFA00001",)])
    assert len(db.query("SELECT 1 FROM vehicle")) == 2
    with pytest.raises(InvalidError, match="inside a change"):
        bulk.upsert_rows("vehicle", ["vin"], ["vin"], [("1FTMW1T88MFA00004",)])


def set_pipeline(**values: Any) -> None:
    with db.change(reason="pipeline"):
        for column, value in values.items():
            db.connection().execute(f"UPDATE integration_pipeline_definition SET {column} = ?", (value,))


@pytest.mark.usefixtures("edge")
def test_a_third_partys_connector_is_found_by_its_name() -> None:
    with pytest.raises(NotFoundError, match="no connector"):
        connectors.get("carrier-pigeon")
