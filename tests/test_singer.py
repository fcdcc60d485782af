"""Taps of Singer run as integrations: made, discovered, selected, killed and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from test_connectors_singer import TAP

from edgekit import db, integrations, runner
from edgekit.cli import root
from edgekit.errors import InvalidError, NotFoundError
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database


def create(name: str = "people", **config: Any) -> str:
    settings = {"tap": TAP, "config": config, "stream": "people", "table": "person", "create": True}
    integrations.create(name, template="singer-tap", settings=settings)
    return name


def numbers() -> list[int]:
    return [row["id"] for row in db.query("SELECT id FROM person ORDER BY id")]


def checkpoint() -> Any:
    return json.loads(db.query("SELECT state FROM integration_checkpoint")[0]["state"])["state"]


@pytest.mark.usefixtures("edge")
class TestRun:
    def test_the_tap_s_schema_makes_the_table_and_its_key(self) -> None:
        result = runner.run(create(count=3))
        assert (result.status, result.records_written) == ("completed", 3)
        kinds = dict(db.connection().execute("SELECT name, type FROM pragma_table_info('person')").fetchall())
        assert kinds == {
            "id": "INTEGER", "name": "TEXT", "is_new": "INTEGER", "price": "REAL", "tags": "TEXT",
            "token": "TEXT",
        }  # fmt: skip
        assert db.query("SELECT * FROM person WHERE id = 2") == [
            {"id": 2, "name": "name 2", "is_new": 1, "price": 1.0, "tags": "[2]", "token": "t"}
        ]

    def test_the_next_run_takes_what_is_new(self) -> None:
        create(count=3)
        runner.run("people")
        assert checkpoint() == {"done": True, "cursor": {"next": 4}}
        again = runner.run("people")
        assert (again.status, again.records_read) == ("completed", 0)
        assert checkpoint() == {"done": True, "cursor": {"next": 4}}

    def test_a_tap_that_breaks_keeps_what_came_before_and_is_gone_on_with(self, tmp_path: Path) -> None:
        create(count=6, mode="crash", told=str(tmp_path / "told.json"))
        failed = runner.run("people")
        assert failed.status == "failed"
        assert "exit code 3" in (failed.message or "")
        assert numbers() == [1, 2, 3]
        assert checkpoint() == {"cursor": {"next": 3}, "record": 2}
        runner.run("people")  # from its STATE; what lies between is read again, and changes nothing
        assert "--state" in json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))["arguments"]
        assert numbers() == [1, 2, 3]

    def test_a_dry_run_writes_nothing(self) -> None:
        assert runner.run(create(count=3), dry_run=True).records_written == 3
        assert not db.query("SELECT 1 FROM sqlite_schema WHERE name = 'person'")

    def test_waiting_longer_is_no_other_source(self) -> None:
        create(count=3)
        runner.run("people")
        assert runner.run("people", overrides={"silence_seconds": 30}).records_read == 0


def start(path: Path) -> subprocess.Popen[bytes]:
    """Run the integration as a person would, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "edgekit", "--db", str(path), "integrations", "run", "people"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def stop(process: subprocess.Popen[bytes], how: str) -> None:
    """Kill a run, or end it as Ctrl-C does, and see that it ends so."""
    if how == "kill" or os.name == "nt":
        process.kill()
    else:
        process.send_signal(signal.SIGINT)
    code = process.wait(30)
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()
    if how == "ctrl-c" and os.name != "nt":
        assert code == 130


def wait_for(path: Path, least: int, table: str = "person") -> None:
    import sqlite3

    until = time.monotonic() + 60
    while time.monotonic() < until:
        shell = sqlite3.connect(path)
        try:
            if shell.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= least:
                return
        except sqlite3.OperationalError:
            pass
        finally:
            shell.close()
        time.sleep(0.05)
    pytest.fail("the run wrote nothing")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "ctrl-c"])
def test_a_run_stopped_in_the_middle_goes_on_from_the_last_state(
    edge: Database, tmp_path: Path, how: str
) -> None:
    create(count=30, mode="wait", until=str(tmp_path / "go on"))
    with db.change(reason="smaller batches"):
        db.connection().execute(
            "UPDATE integration SET connection_config = json_set(connection_config, '$.batch_size', 2)"
        )
    process = start(edge.path)
    wait_for(edge.path, 14)
    stop(process, how)
    assert numbers() == list(range(1, 15))
    assert checkpoint() == {"cursor": {"next": 15}, "record": 14}
    (tmp_path / "go on").touch()
    result = runner.run("people")
    assert (result.status, result.records_read) == ("completed", 16)
    assert numbers() == list(range(1, 31))
    assert verify(edge.path) == []


@pytest.mark.usefixtures("edge")
class TestCatalog:
    def test_the_streams_are_listed(self) -> None:
        create()
        people, towns = integrations.discover("people")
        assert (people.stream, people.selected, people.key) == ("people", False, ("id",))
        assert people.replication_keys == ("id",)
        assert people.fields["name"] == "string"
        assert (towns.stream, towns.key) == ("towns", ())

    def test_a_selection_is_a_version_of_the_settings(self) -> None:
        create(count=3)
        shown = integrations.select("people", "people", fields=["name", "token"], replication="incremental")
        assert shown["settings"]["stream"] == "people"
        (entry,) = shown["settings"]["catalog"]["streams"]
        assert (entry["replication_method"], entry["replication_key"]) == ("INCREMENTAL", "id")
        runner.run("people")
        assert db.query("SELECT * FROM person WHERE id = 1") == [{"id": 1, "name": "name 1", "token": "t"}]
        assert integrations.discover("people")[0].excluded == ("is_new", "price", "tags")
        assert next(version.keys for version in integrations.history("people")) == ("catalog",)
        before = integrations.history("people")
        integrations.select("people", "people", fields=["name", "token"], replication="incremental")
        assert integrations.history("people") == before

    def test_what_does_not_fit_is_named(self) -> None:
        create()
        with pytest.raises(NotFoundError, match="no stream cows") as caught:
            integrations.select("people", "cows")
        assert caught.value.hint == "It has: people, towns."
        with pytest.raises(InvalidError, match="people has no field nmae"):
            integrations.select("people", "people", fields=["nmae"])
        with pytest.raises(InvalidError, match="id always comes"):
            integrations.select("people", "people", exclude=["id"])
        with pytest.raises(InvalidError, match="not read incrementally by name") as wrong:
            integrations.select("people", "people", replication="incremental", replication_key="name")
        assert wrong.value.hint == "By: id."
        with pytest.raises(InvalidError, match="by which field"):
            integrations.select("people", "towns", replication="incremental")

    def test_a_source_without_a_catalog_says_so(self, tmp_path: Path) -> None:
        settings = {"path": str(tmp_path / "a.csv"), "table": "vehicle"}
        integrations.create("cars", template="csv-import", settings=settings)
        with pytest.raises(InvalidError, match="cars has no catalog"):
            integrations.discover("cars")

    def test_the_commands(self, edge: Database) -> None:
        create()
        edge.close()

        def ask(*words: str) -> Any:
            answer = CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "integrations", *words])
            assert answer.exit_code == 0, answer.output
            return answer.output

        assert "id, name, is_new" in ask("discover", "people")
        assert "people takes people" in ask("select", "people", "people", "--exclude", "tags", "--key", "id")
        (people, _) = json.loads(ask("discover", "people", "--json"))
        assert people["excluded"] == ["tags"]
        shown = json.loads(ask("select", "people", "people", "--json"))
        assert shown["settings"]["key"] == "id"

    def test_a_secret_among_the_settings_of_a_tap_is_told_where_it_belongs(self, edge: Database) -> None:
        edge.close()
        asked = ["--db", str(edge.path), "integrations", "create", "people", "--template", "singer-tap"]
        asked += ["--set", "tap=tap-people", "--set", 'config={"api_key": "hunter2"}']
        answer = CliRunner().invoke(root.edgekit, asked)
        assert answer.exit_code == 4
        assert (
            "edgekit vault set people api_key ; then say where it is: --set config.api_key.vault=api_key"
            in (answer.output)
        )
        assert "hunter2" not in answer.output
