"""Taps and a target that others wrote: one built with singer-sdk, one tap and one target from PyPI."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from connector_contract import pages, records
from test_singer import checkpoint, start, stop, wait_for

from edgekit import db, integrations, runner
from edgekit.connectors import Outgoing
from edgekit.connectors.singer import SingerConnector
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from edgekit.db import Database

pytestmark = [
    pytest.mark.slow,
    # Importing it to know would cost every run of the tests half a second.
    pytest.mark.skipif(importlib.util.find_spec("singer_sdk") is None, reason="singer-sdk is not installed"),
]

SDK_TAP = [sys.executable, str(Path(__file__).with_name("singer_sdk_tap.py"))]


def create(**settings: Any) -> None:
    settings = {"tap": SDK_TAP, "table": "reading", "create": True, **settings}
    integrations.create("people", template="singer-tap", settings=settings)


@pytest.mark.usefixtures("edge")
class TestBuiltWithTheSdk:
    def test_it_is_discovered_selected_and_run(self, edge: Database) -> None:
        create(config={"count": 12})
        (found,) = integrations.discover("people")
        assert (found.stream, found.key, found.replication) == ("readings", ("id",), "INCREMENTAL")
        assert found.replication_keys == ("read_at",)
        assert found.fields["read_at"] == "string (date-time)"
        integrations.select("people", "readings", exclude=["note"])
        assert runner.run("people").records_written == 12
        (row,) = db.query("SELECT * FROM reading WHERE id = 3")
        assert row == {"id": 3, "read_at": "2026-01-01T00:03:00+00:00", "celsius": 1.5, "is_calm": 0}
        again = runner.run("people")  # a bookmark says from where on, itself included
        assert (again.status, again.records_read, again.records_changed) == ("completed", 1, 0)
        assert verify(edge.path) == []

    def test_a_full_one_is_read_whole_each_time(self) -> None:
        create(config={"count": 12})
        integrations.select("people", "readings", replication="full")
        assert [runner.run("people").records_read for _ in range(2)] == [12, 12]

    @pytest.mark.parametrize("how", ["kill", "ctrl-c"])
    def test_stopped_in_the_middle_it_goes_on_from_its_state(
        self, edge: Database, tmp_path: Path, how: str
    ) -> None:
        create(config={"count": 100, "until": str(tmp_path / "go on")}, batch_size=10)
        process = start(edge.path)
        wait_for(edge.path, 50, "reading")
        stop(process, how)
        assert checkpoint()["record"] == 50
        (tmp_path / "go on").touch()
        result = runner.run("people")
        assert (result.status, result.records_read) == ("completed", 51)
        assert [row["id"] for row in db.query("SELECT id FROM reading ORDER BY id")] == list(range(100))
        assert verify(edge.path) == []

    def test_one_that_refuses_its_settings_is_one_line(self) -> None:
        create(config={"count": "many"})
        result = runner.run("people")
        assert result.status == "failed"
        assert result.message is not None
        assert "failed with exit code 1. It said:" in result.message
        assert "'many' is not of type" in result.message


def test_a_tap_of_somebody_else_s(edge: Database, tmp_path: Path) -> None:
    source = tmp_path / "towns.jsonl"

    def grow(*names: str) -> None:
        with source.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({"code": name[:2], "name": name, "size": 3}) + "\n" for name in names)

    grow("Bern", "Chur")
    config = {"path": str(source), "stream_name": "towns", "primary_keys": ["code"]}
    integrations.create("towns", template="singer-tap", settings={
        "tap": "tap-jsonl", "config": config, "table": "town", "create": True,
    })  # fmt: skip
    (found,) = integrations.discover("towns")
    assert (found.stream, found.key) == ("towns", ("code",))
    integrations.select("towns", "towns", fields=["code", "name"])
    assert runner.run("towns").records_written == 2
    grow("Lugano")
    assert runner.run("towns").records_read == 3  # of a file that grew this tap gives all lines again
    assert checkpoint()["cursor"]["bookmarks"]["towns"]["replication_key"] == "_sdc_last_modified"
    assert db.query("SELECT code, name FROM town ORDER BY id") == [
        {"code": "Be", "name": "Bern"}, {"code": "Ch", "name": "Chur"}, {"code": "Lu", "name": "Lugano"},
    ]  # fmt: skip
    assert verify(edge.path) == []


def test_a_target_of_somebody_else_s(tmp_path: Path) -> None:
    out = [
        Outgoing({"id": n, "name": f"Zoë {n}", "size": n / 2}, str(n), f"k{n}", f"row {n}") for n in range(3)
    ]
    to = {
        "target": "target-csv", "stream": "people", "key": "id",
        "config": {"output_path": str(tmp_path), "file_naming_scheme": "{stream_name}.csv"},
    }  # fmt: skip
    with SingerConnector().open(to, state={}, secrets={}) as writer:
        delivery = writer.send(out)
        with (tmp_path / "people.csv").open(encoding="utf-8", newline="") as file:  # it has them already
            rows = list(csv.DictReader(file))
        writer.finish()
    assert [answer.error for answer in delivery.answers] == [None] * 3
    assert rows[2] == {"id": "2", "name": "Zoë 2", "size": "1.0"}


def test_what_one_writes_the_other_reads(tmp_path: Path) -> None:
    """Batches of files, as singer-sdk packs them."""
    config = {
        "count": 25,
        "batch_config": {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": tmp_path.as_uri()},
        },
    }
    found = pages(SingerConnector(), {"tap": SDK_TAP, "config": config, "batch_size": 10})
    assert [record["id"] for record in records(found)] == list(range(25))
    assert list(tmp_path.glob("*.gz"))
