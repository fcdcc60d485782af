"""A process that is killed while it asks another integration about its records loses and repeats nothing."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from http_provider import Call, serve
from test_kill_import import is_through, run_and_kill

import edgekit
from edgekit import db, integrations
from edgekit.file.verify import verify
from edgekit.integrations import own_tables as tables

RECORDS, BAD_EVERY = 3000, 100
NAME = {
    "type": "enrich", "name": "name", "integration": "names", "send": {"number": "number"},
    "match": {"number": "number"}, "columns": ["name"],
}  # fmt: skip
CITY = {**NAME, "name": "city", "columns": ["city"]}


def answer(call: Call) -> Any:
    """Know a name and a city of everybody but each hundredth."""
    asked = call.form["numbers"][0].split(",")
    return [
        {"number": number, "name": f"Person {number}", "city": f"City {number}"}
        for number in asked
        if int(number) % BAD_EVERY
    ]


def prepare(folder: Path, url: str) -> Path:
    source = folder / "people.ndjson"
    lines = (json.dumps({"number": f"{number:06d}"}) for number in range(1, RECORDS + 1))
    source.write_text("\n".join(lines), encoding="utf-8")
    path = edgekit.create(folder / "edge.db")
    with edgekit.open(path):
        tables.create("person", {"number": "TEXT", "name": "TEXT", "city": "TEXT"}, key=["number"])
        integrations.create("names", template="rest-source", settings={
            "base_url": url, "method": "POST", "table": "person", "batch_size": 50, "auth": {"kind": "none"},
            "request": {"inputs": {"join": "{number}", "separator": ",", "into": "form", "name": "numbers"}},
        })  # fmt: skip
        integrations.create("people", template="ndjson-import", settings={
            "path": str(source), "table": "person", "batch_size": 25, "keep_inputs": True,
        }, customizations={"pipeline": {"pipeline_type": "parallel", "steps": [NAME, CITY]}})  # fmt: skip
    return path


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kills_between_asking_and_writing_lose_and_repeat_nothing(tmp_path: Path) -> None:
    dice, kills = random.Random(7), 0
    with serve(answer) as provider:
        path = prepare(tmp_path, provider.url)
        while kills < 6 and not is_through(path):
            kills += run_and_kill(path, dice.uniform(0.9, 1.8))
        if not is_through(path):
            assert not run_and_kill(path, 100), "the import hangs"
    assert kills >= 3, "too few kills hit a running import"
    bad = RECORDS // BAD_EVERY
    with edgekit.open(path):
        found = db.query("SELECT count(*) AS n, sum(name IS NULL OR city IS NULL) AS bare FROM person")
        assert found == [{"n": RECORDS - bad, "bare": 0}]
        letters = db.query("SELECT count(*) AS n, sum(attempts) AS tries FROM dead_letter")
        assert letters == [{"n": bad, "tries": bad}]
        kept = db.query("SELECT sum(record_count) AS n, count(DISTINCT execution_id) AS runs"
                        " FROM integration_execution_input")[0]  # fmt: skip
        assert kept["n"] == RECORDS
        sums = db.query("SELECT sum(records_read) AS read, sum(records_written) AS written FROM"
                        " integration_execution")  # fmt: skip
        assert sums == [{"read": RECORDS, "written": RECORDS - bad}]
    assert verify(path) == []
