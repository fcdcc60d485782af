"""Records sent out: what goes, what is noted of the answers, what a second run, a refusal and a break do."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from http_provider import Call, Provider, Reply, in_turn, serve

import edgekit
from edgekit import db, integrations, runner
from edgekit.cli import root
from edgekit.connectors import Page
from edgekit.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from edgekit.integrations import own_tables as tables
from edgekit.models.integrations import Integration, IntegrationMapping, IntegrationPipelineDefinition
from edgekit.runner import execution, sending, transform
from edgekit.runner.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.db import Database

pytestmark = pytest.mark.usefixtures("edge")


class Other:
    """The other side: it takes each idempotency key once and answers a repeated one as before."""

    def __init__(self) -> None:
        self.taken: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.refuses: set[str] = set()
        self.breaks_at: int | None = None

    def __call__(self, call: Call) -> Any:
        if self.breaks_at is not None and len(self.asked) >= self.breaks_at:
            return Reply({"error": "down"}, 503)
        key, record = call.headers["Idempotency-Key"], json.loads(call.body)
        self.asked.append((key, record))
        if record.get("name") in self.refuses:
            return Reply({"error": f"no {record['name']} here"}, 422)
        self.taken.setdefault(key, record)
        return Reply({"id": f"ext-{list(self.taken).index(key)}", "token": "s3cret-token", "sum": 7}, 201)

    @property
    def names(self) -> list[str]:
        return [record["name"] for _, record in self.asked]


@pytest.fixture
def other() -> Other:
    return Other()


@pytest.fixture
def provider(other: Other) -> Iterator[Provider]:
    with serve(other) as provider:
        yield provider


@pytest.fixture(scope="module")
def filled(pattern_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a table of three people, made once."""
    path = Path(shutil.copyfile(pattern_file, tmp_path_factory.mktemp("people") / "edge.db"))
    with edgekit.open(path):
        tables.create("person", {"name": "TEXT", "city": "TEXT", "external": "TEXT"}, key=["name"])
        with db.change():
            db.connection().executemany(
                "INSERT INTO person(name, city) VALUES (?, ?)",
                [("Ann", "Bern"), ("Bob", "Rome"), ("Cy", "Oslo")],
            )
    return path


@pytest.fixture
def edge_file(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(filled, tmp_path / "edge.db"))


def make(
    name: str = "out",
    strategy: str = "dead_letter",
    mappings: Any = (),
    organization: int = 1,
    **settings: Any,
) -> str:
    with db.change():
        row = Integration.create(
            integration_name=name,
            integration_type_id=db.query("SELECT id FROM integration_type WHERE code = 'REST_API'")[0]["id"],
            connection_config=settings,
            organization_id=organization,
        )
        directions = {
            r["code"].lower(): r["id"] for r in db.query("SELECT id, code FROM communication_direction")
        }
        for item in mappings:
            way = item.pop("direction", "outbound")
            IntegrationMapping.create(
                integration_id=row.id, mapping_name=item["target_path"], organization_id=1,
                communication_direction_id=directions[way], **item,
            )  # fmt: skip
        IntegrationPipelineDefinition.create(
            integration_id=row.id, pipeline_name=name, pipeline_type="linear", organization_id=organization,
            pipeline_steps={"steps": [{"type": "map"}]}, error_handling_strategy=strategy,
        )  # fmt: skip
    return name


def rows(provider: Provider, *, changed: bool = False, **more: Any) -> dict[str, Any]:
    inputs = {"table": "person", "columns": ["name", "city"], "changed": changed, **more.pop("inputs", {})}
    to = {
        "connector": "http", "base_url": provider.url, "path": "/people", "retries": 0,
        "answer": {"reference": "$.id"}, **more.pop("to", {}),
    }  # fmt: skip
    return {"connector": "table", "inputs": inputs, "to": to, **more}


def counts(result: runner.RunResult) -> tuple[str, int, int, int, int]:
    return (
        result.status, result.records_read, result.records_written, result.records_changed,
        result.dead_letters,
    )  # fmt: skip


def update(name: str, city: str) -> None:
    with db.change():
        db.connection().execute("UPDATE person SET city = ? WHERE name = ?", (city, name))


def test_a_run_counts_what_it_had_to_send_again(provider: Provider, other: Other) -> None:
    way = {"retries": 1, "retry_delay_ms": 0}
    make(**rows(provider, to=way))
    other.breaks_at = 0
    assert (found := runner.run("out")).status == "failed"
    assert found.retries == 1
    provider.script = in_turn(Reply({}, 503), Reply({}), Reply({}), Reply({}))
    assert (found := runner.run("out")).status == "completed"
    assert found.retries == 1


class TestRows:
    def test_each_row_is_sent_and_what_was_answered_is_noted(self, provider: Provider, other: Other) -> None:
        result = runner.run(make(**rows(provider)))
        assert counts(result) == ("completed", 3, 3, 3, 0)
        assert [record for _, record in other.asked] == [
            {"name": "Ann", "city": "Bern"}, {"name": "Bob", "city": "Rome"}, {"name": "Cy", "city": "Oslo"},
        ]  # fmt: skip
        found = runner.list_deliveries("out")
        noted = ("record_key", "status", "response_code", "external_reference")
        assert [tuple(delivery[name] for name in noted) for delivery in found] == [
            (str(number), "delivered", 201, f"ext-{number - 1}") for number in (1, 2, 3)
        ]
        assert found[0]["response_data"] == {"id": "ext-0", "token": "***", "sum": 7}
        assert [d["idempotency_key"] for d in found] == [key for key, _ in other.asked]
        assert [d["execution_id"] for d in found] == [result.execution_id] * 3
        tries = runner.show_execution(result.execution_id or 0)["attempts"]
        assert [(t["method"], t["response_code"]) for t in tries] == [("POST", 201)] * 3

    def test_content_sent_again_goes_under_the_same_key(self, provider: Provider, other: Other) -> None:
        make(**rows(provider))
        runner.run("out")
        assert counts(runner.run("out")) == ("completed", 3, 3, 3, 0)
        assert [key for key, _ in other.asked[:3]] == [key for key, _ in other.asked[3:]]
        assert len(other.taken) == 3

    def test_only_changes_are_sent_where_only_they_are_asked_for(
        self, provider: Provider, other: Other
    ) -> None:
        make(**rows(provider, changed=True))
        assert counts(runner.run("out")) == ("completed", 3, 3, 3, 0)
        assert counts(runner.run("out")) == ("completed", 3, 3, 0, 0)
        update("Bob", "Lima")
        assert counts(runner.run("out")) == ("completed", 3, 3, 1, 0)
        assert other.names == ["Ann", "Bob", "Cy", "Bob"]

    def test_content_that_comes_back_is_a_delivery_of_its_own(self, provider: Provider, other: Other) -> None:
        make(**rows(provider, changed=True))
        for city in ("Rome", "Lima", "Rome"):
            update("Bob", city)
            runner.run("out")
        bob = [key for key, record in other.asked if record["name"] == "Bob"]
        assert len(bob) == len(set(bob)) == 3

    def test_a_row_that_goes_back_after_a_break_is_sent_again(self, provider: Provider, other: Other) -> None:
        make(**rows(provider, changed=True))
        runner.run("out")
        taking = other.__call__

        def takes_and_breaks(call: Call) -> Any:
            taking(call)
            return Reply({"error": "down"}, 503)

        provider.script = takes_and_breaks
        update("Bob", "Lima")
        assert runner.run("out").status == "failed"
        assert runner.list_deliveries("out")[1]["status"] == "sending"
        provider.script = taking
        update("Bob", "Rome")
        assert counts(runner.run("out")) == ("completed", 3, 3, 1, 0)
        assert [record["city"] for record in other.taken.values()] == ["Bern", "Rome", "Oslo", "Lima", "Rome"]

    def test_a_refused_record_is_set_aside_and_tried_again_by_the_next_run(
        self, provider: Provider, other: Other
    ) -> None:
        other.refuses = {"Bob"}
        make(**rows(provider, changed=True))
        assert counts(runner.run("out")) == ("completed", 3, 2, 2, 1)
        (letter,) = runner.list_dead_letters()
        assert (letter["step"], letter["error_code"], letter["source_position"]) == (
            "send",
            "http_422",
            "row 2",
        )
        (failed,) = runner.list_deliveries("out", failed=True)
        assert (failed["record_key"], failed["response_code"]) == ("2", 422)
        assert "Bob" in failed["error_message"] or failed["error_message"]
        other.refuses = set()
        assert counts(runner.run("out")) == ("completed", 3, 3, 1, 0)
        assert runner.list_deliveries("out", failed=True) == []
        assert runner.list_dead_letters() == []

    def test_a_replay_sends_the_row_as_it_is_now(self, provider: Provider, other: Other) -> None:
        other.refuses = {"Bob"}
        runner.run(make(**rows(provider)))
        (letter,) = runner.list_dead_letters()
        with pytest.raises(InvalidError, match="failed again"):
            runner.replay_dead_letter(letter["id"])
        other.refuses, other.breaks_at = set(), 0
        with pytest.raises(UnavailableError):
            runner.replay_dead_letter(letter["id"])
        tries = runner.show_execution(letter["execution_id"])["attempts"]
        assert [tried["response_code"] for tried in tries] == [201, 422, 201, 422, 503]
        other.breaks_at = None
        update("Bob", "Kyiv")
        assert runner.replay_dead_letter(letter["id"])["status"] == "replayed"
        assert other.asked[-1][1] == {"name": "Bob", "city": "Kyiv"}
        assert runner.list_deliveries("out", failed=True) == []

    def test_a_replay_from_the_failed_step_sends_what_was_refused_under_its_key(
        self, provider: Provider, other: Other
    ) -> None:
        other.refuses = {"Bob"}
        runner.run(make(**rows(provider)))
        refused = next(asked for asked in other.asked if asked[1]["name"] == "Bob")
        other.refuses = set()
        update("Bob", "Kyiv")
        result = runner.replay_dead_letters("out", step="send", start="failed")
        assert (result.tried, result.replayed) == (1, 1)
        assert other.asked[-1] == refused, "as it was, and known by the same key"
        assert runner.list_deliveries("out", failed=True) == []

    def test_a_replay_of_a_row_that_is_gone_says_so(self, provider: Provider, other: Other) -> None:
        other.refuses = {"Bob"}
        runner.run(make(**rows(provider)))
        with db.change():
            db.connection().execute("DELETE FROM person WHERE name = 'Bob'")
        with pytest.raises(ConflictError, match="not there any more"):
            runner.replay_dead_letter(runner.list_dead_letters()[0]["id"])

    def test_fail_fast_stops_and_notes_what_had_arrived(self, provider: Provider, other: Other) -> None:
        other.refuses = {"Bob"}
        make(strategy="fail_fast", **rows(provider, changed=True, batch_size=2))
        result = runner.run("out")
        assert (result.status, other.names) == ("failed", ["Ann", "Bob"])
        assert [d["status"] for d in runner.list_deliveries("out")] == ["delivered", "failed"]
        other.refuses = set()
        assert counts(runner.run("out")) == ("completed", 3, 3, 2, 0)
        assert other.names == ["Ann", "Bob", "Bob", "Cy"]

    def test_the_retry_strategy_tries_what_was_refused_once_more(
        self, provider: Provider, other: Other
    ) -> None:
        other.refuses = {"Bob"}
        refusing = other.__call__

        def forgiving(call: Call) -> Any:
            if "Bob" in other.names:
                other.refuses = set()
            return refusing(call)

        provider.script = forgiving
        make(strategy="retry", **rows(provider))
        assert counts(runner.run("out"))[:3] == ("completed", 3, 3)
        assert other.names == ["Ann", "Bob", "Cy", "Bob"]

    def test_what_arrived_before_a_break_is_noted_and_the_rest_sent_by_the_next_run(
        self, provider: Provider, other: Other
    ) -> None:
        other.breaks_at = 2
        make(**rows(provider, changed=True))
        result = runner.run("out")
        assert (result.status, result.error is not None and result.error.exit_code) == ("failed", 7)
        assert [d["record_key"] for d in runner.list_deliveries("out")] == ["1", "2"]
        other.breaks_at = None
        assert counts(runner.run("out")) == ("completed", 3, 3, 1, 0)
        assert other.names == ["Ann", "Bob", "Cy"]

    def test_a_dry_run_sends_nothing_and_shows_what_would_go(self, provider: Provider, other: Other) -> None:
        make(**rows(provider, changed=True))
        result = runner.run("out", dry_run=True)
        assert (result.status, result.records_changed, other.asked) == ("dry_run", 3, [])
        assert result.documents[0] == {"name": "Ann", "city": "Bern"}
        runner.run("out")
        assert runner.run("out", dry_run=True).documents == []

    def test_an_answer_is_written_back_into_the_row(self, provider: Provider, other: Other) -> None:
        settings = rows(provider, changed=True, to={"write_back": {"external": "$.id"}})
        del settings["inputs"]["columns"]
        make(ignore="created_at", **settings)
        runner.run("out")
        assert db.query("SELECT name, external FROM person ORDER BY id") == [
            {"name": "Ann", "external": "ext-0"}, {"name": "Bob", "external": "ext-1"},
            {"name": "Cy", "external": "ext-2"},
        ]  # fmt: skip
        assert counts(runner.run("out")) == ("completed", 3, 3, 0, 0)

    def test_an_answer_the_row_does_not_take_is_set_aside(self, provider: Provider) -> None:
        settings = rows(provider, to={"write_back": {"name": "$.sum"}})
        make(**settings)
        result = runner.run("out")  # the name is 7 for all three, and the second of it is one too many
        assert {item["step"] for item in runner.list_dead_letters()} == {"write"}
        assert result.dead_letters == 2
        assert [d["status"] for d in runner.list_deliveries("out")] == ["delivered"] * 3

    def test_mappings_that_go_outward_make_the_document(self, provider: Provider, other: Other) -> None:
        mappings: list[dict[str, Any]] = [
            {"source_path": "name", "target_path": "name", "transformation_rules": {"type": "upper"}},
            {"source_path": "city", "target_path": "address.city.name"},
            {"source_path": "zip", "target_path": "address.zip", "default_value": "0000"},
            {"source_path": "$.person.town", "target_path": "city", "direction": "bidirectional"},
            {"source_path": "never", "target_path": "never", "direction": "inbound"},
            {
                "source_path": "tags",
                "target_path": "tags",
                "default_value": '["a"]',
                "target_data_type": "json",
            },
        ]
        runner.run(make(mappings=mappings, **rows(provider)))
        assert other.asked[0][1] == {
            "name": "ANN",
            "address": {"city": {"name": "Bern"}, "zip": "0000"},
            "person": {"town": "Bern"},
            "tags": ["a"],
        }

    def test_rows_become_events_in_the_batch_s_own_change(self) -> None:
        inputs = {"table": "person", "columns": ["name"], "changed": True}
        make(connector="table", inputs=inputs, to={"connector": "event", "type": "person.seen"})
        result = runner.run("out")
        assert counts(result) == ("completed", 3, 3, 3, 0)
        found = db.query(
            "SELECT uuid, event_type, event_payload, event_metadata, correlation_id, organization_id"
            " FROM integration_event WHERE event_type = 'person.seen' ORDER BY id"
        )
        assert [json.loads(row["event_payload"]) for row in found] == [
            {"name": "Ann"}, {"name": "Bob"}, {"name": "Cy"},
        ]  # fmt: skip
        assert {(row["event_type"], row["correlation_id"], row["organization_id"]) for row in found} == {
            ("person.seen", result.correlation_id, 1)
        }
        assert [d["external_reference"] for d in runner.list_deliveries("out")] == [r["uuid"] for r in found]
        assert counts(runner.run("out")) == ("completed", 3, 3, 0, 0)

    def test_a_view_is_sent_by_the_column_that_tells_its_rows_apart(
        self, provider: Provider, other: Other
    ) -> None:
        db.connection().execute("CREATE VIEW town AS SELECT city AS name, name AS person FROM person")
        settings = rows(provider, batch_size=1, inputs={"table": "town", "columns": ["name"], "key": "name"})
        runner.run(make(**settings))
        assert other.names == ["Bern", "Oslo", "Rome"]
        assert {d["record_key"] for d in runner.list_deliveries("out")} == {"Bern", "Oslo", "Rome"}
        update("Cy", "Rome")
        assert "does not tell its rows apart" in str(runner.run("out").message)

    def test_a_secret_does_not_leave(self, provider: Provider) -> None:
        settings = rows(provider, inputs={"table": "encryption_key", "columns": []})
        sent = runner.run(make(**settings), dry_run=True).documents
        assert not any("ciphertext" in json.dumps(document) for document in sent)
        settings["inputs"] = {"table": "integration_credential", "columns": ["value_ciphertext"]}
        make("bare", **settings)
        with pytest.raises(InvalidError, match="no column value_ciphertext"):
            runner.run("bare")

    def test_the_command_lists_what_was_delivered(self, edge: Database, provider: Provider) -> None:
        make(**rows(provider))
        edge.close()
        ran = CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "integrations", "run", "out"])
        assert "sent" in ran.output
        assert "written" not in ran.output
        asked = ["--db", str(edge.path), "integrations", "deliveries", "out", "--json"]
        said = json.loads(CliRunner().invoke(root.edgekit, asked).output)
        assert [item["record_key"] for item in said] == ["1", "2", "3"]


def test_what_a_retry_adds_to_a_file_is_part_of_the_checkpoint(tmp_path: Path) -> None:
    to = {"connector": "file", "path": str(tmp_path / "out.ndjson")}
    make(connector="table", inputs={"table": "person", "columns": ["name"]}, to=to)
    plan = integrations.prepare("out")
    current = execution.begin(plan, trigger="manual")
    stored = "SELECT json_extract(state, '$.writer') AS writer FROM integration_checkpoint"
    with sending.opened(plan, current) as outlet, Work(plan) as work:
        assert outlet is not None
        page = Page([{"id": 1, "name": "Ann"}], ["row 1"], {"done": True})
        sent = outlet.send(transform.prepare(plan, page.records, work), page)
        with db.change():
            sent.store()
            execution.save_batch(current, plan, page.state)
        before = json.loads(db.query(stored)[0]["writer"])
        again = outlet.send_again(transform.prepare(plan, [{"id": 2, "name": "Bob"}], work), "row 2")
        with db.change():
            again.store()
        assert json.loads(db.query(stored)[0]["writer"]) == again.state != before
    assert runner.run("out").status == "completed"  # the process ended before the file was whole
    assert (tmp_path / "out.ndjson").read_text(encoding="utf-8") == '{"name":"Ann"}\n{"name":"Bob"}\n'


def test_records_of_a_file_are_sent_by_their_place(tmp_path: Path, provider: Provider, other: Other) -> None:
    path = tmp_path / "people.ndjson"
    path.write_text('{"name": "Ann"}\n{"name": "Ann"}\n[1]\n', encoding="utf-8")
    make(connector="file", path=str(path), to=rows(provider)["to"])
    assert counts(runner.run("out")) == ("completed", 3, 2, 2, 1)
    assert [d["record_key"] for d in runner.list_deliveries("out")] == ["line 1", "line 2"]
    assert len(other.taken) == 2


def test_keys_of_several_fields_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "people.ndjson"
    path.write_text('{"a": "x/y", "b": "z"}\n{"a": "x", "b": "y/z"}\n', encoding="utf-8")
    to = {"connector": "file", "path": str(tmp_path / "out.ndjson"), "deliveries": True}
    make(connector="file", path=str(path), key="a,b", to=to)
    runner.run("out")
    assert [d["record_key"] for d in runner.list_deliveries("out")] == ["x%2Fy/z", "x/y%2Fz"]


def test_a_database_is_imported_and_the_next_run_takes_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    rows = [(1, "Ann", "2026-01-01"), (2, "Bob", "2026-01-02")]
    with closing(sqlite3.connect(path)) as shop, shop:
        shop.execute("CREATE TABLE customer (number INTEGER PRIMARY KEY, name TEXT, seen TEXT)")
        shop.executemany("INSERT INTO customer VALUES (?, ?, ?)", rows)
    make(
        connector="sql", url=f"sqlite:///{path}", source_table="customer", incremental={"column": "seen"},
        table="customer", key="number", create=True, batch_size=1,
    )  # fmt: skip
    assert counts(runner.run("out")) == ("completed", 2, 2, 2, 0)
    with closing(sqlite3.connect(path)) as shop, shop:
        shop.execute("UPDATE customer SET name = 'Bo' WHERE number = 2")
        shop.execute("INSERT INTO customer VALUES (3, 'Cy', '2026-01-03')")
    assert counts(runner.run("out")) == ("completed", 2, 2, 2, 0)
    assert [row["name"] for row in db.query("SELECT name FROM customer ORDER BY number")] == [
        "Ann",
        "Bo",
        "Cy",
    ]


def test_only_changes_go_into_a_file_where_only_they_are_asked_for(tmp_path: Path) -> None:
    inputs = {"table": "person", "columns": ["name"], "changed": True}
    path = tmp_path / "out.ndjson"
    make(connector="table", inputs=inputs, to={"connector": "file", "path": str(path)})
    assert counts(runner.run("out")) == ("completed", 3, 3, 3, 0)
    with db.change():
        db.connection().execute("UPDATE person SET name = 'Cyd' WHERE name = 'Cy'")
    assert counts(runner.run("out")) == ("completed", 3, 3, 1, 0)
    assert path.read_text(encoding="utf-8") == '{"name":"Cyd"}\n'
    assert counts(runner.run("out")) == ("completed", 3, 3, 0, 0)
    assert path.read_text(encoding="utf-8") == '{"name":"Cyd"}\n', "nothing new leaves what is there"


def test_a_template_gives_way_to_another_connector(tmp_path: Path) -> None:
    settings = {
        "connector": "table", "inputs": '{"table": "person", "columns": ["name"]}',
        "to.connector": "file", "to.path": str(tmp_path / "out.csv"),
    }  # fmt: skip
    integrations.create("people", template="csv-import", settings=settings)
    assert counts(runner.run("people")) == ("completed", 3, 3, 3, 0)
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines() == ["name", "Ann", "Bob", "Cy"]
    assert integrations.list_integrations()[0]["sends_to"] == "file"
    event = {"inputs": {"table": "person"}, "to.connector": "event", "to.type": "x"}
    made = integrations.create("events", template="rest-sink", settings=event, acknowledge=True)
    assert made["settings"]["to"] == {"connector": "event", "type": "x"}


def test_rows_go_into_another_database(tmp_path: Path) -> None:
    to = {
        "connector": "sql", "url": f"sqlite:///{tmp_path / 'other.db'}", "table": "people", "key": "name",
        "create": True,
    }  # fmt: skip
    inputs = {"table": "person", "columns": ["name", "city"], "changed": True}
    make(connector="table", inputs=inputs, to=to)
    assert counts(runner.run("out")) == ("completed", 3, 3, 3, 0)
    update("Bob", "Lima")
    assert counts(runner.run("out")) == ("completed", 3, 3, 1, 0)
    with closing(sqlite3.connect(tmp_path / "other.db")) as there:
        found = there.execute("SELECT name, city FROM people ORDER BY name").fetchall()
    assert found == [("Ann", "Bern"), ("Bob", "Lima"), ("Cy", "Oslo")]


def test_the_file_that_is_open_is_no_other_side(edge: Database) -> None:
    make("in", connector="sql", url=f"sqlite:///{edge.path}", source_table="person", table="driver")
    to = {"connector": "sql", "url": f"sqlite:///{edge.path}", "table": "person", "key": "id"}
    make("out", connector="table", inputs={"table": "person"}, to=to)
    for end in ("", "-wal", "-shm"):
        way = {"connector": "file", "path": f"{edge.path}{end}", "format": "ndjson"}
        make(f"over{end}", connector="table", inputs={"table": "person"}, to=way)
    to = {"connector": "file", "path": f"LOCAL://{edge.path}", "format": "ndjson"}
    make("local", connector="table", inputs={"table": "person"}, to=to)
    for name in ("in", "out", "over", "over-wal", "over-shm", "local"):
        with pytest.raises(InvalidError, match="is the file this runs in"):
            runner.run(name)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"to": "http"}, "to says where records are sent"),
        ({"to": {"connector": "table"}}, "nothing can be sent by it"),
        ({"to": {"connector": "event"}}, "type"),
        ({"to": {"connector": "event", "type": "x"}, "table": "driver"}, "go to one of them"),
        ({"to": {"connector": "event", "type": "x", "write_back": {"a": "$"}}}, "none is the source"),
        ({"to": {"connector": "event", "type": "x", "deliveries": 1}}, "true or false"),
        (
            {
                "inputs": {"path": "x", "changed": True},
                "to": {"connector": "file", "path": "x", "deliveries": False},
            },
            "told by what was delivered",
        ),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named_before_anything_is_sent(settings: dict[str, Any], said: str) -> None:
    make(connector="file", path="absent", **settings)
    with pytest.raises(InvalidError, match=said):
        runner.run("out")


def test_a_destination_nobody_knows_is_answered_with_those_there_are() -> None:
    make(connector="file", path="absent", to={"connector": "pigeon"})
    with pytest.raises(NotFoundError, match="pigeon"):
        runner.run("out")
    assert integrations.find("out")["connection_config"]["to"] == {"connector": "pigeon"}


def test_only_rows_its_user_sees_leave(edge: Database, provider: Provider, other: Other) -> None:
    with db.change():
        run = db.connection().execute
        run("INSERT INTO organization(id, code, name) VALUES (2, 'B', 'Bee')")
        run(
            "INSERT INTO user(username, organization_id, role_id)"
            " SELECT 'bea', 2, id FROM role WHERE code = 'ADMIN'"
        )
        run("INSERT INTO producer(organization_id, code, name) VALUES (1, 'A', 'Theirs'), (2, 'B', 'Ours')")
    edge.close()
    with edgekit.open(edge.path, actor="bea"):
        make(**rows(provider, inputs={"table": "producer", "columns": ["name"]}), organization=2)
        assert counts(runner.run("out")) == ("completed", 1, 1, 1, 0)
        assert [d["external_reference"] for d in runner.list_deliveries("out")] == ["ext-0"]
    assert other.names == ["Ours"]
