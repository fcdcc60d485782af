"""Batches: what a column left out means, which rows change, and the collector put back as it was."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

import pytest

from edgekit import bulk, db, integrations, runner
from edgekit.mapping import ABSENT
from edgekit.runner.garbage import rarely_collected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VINS = ("1FTMW1T88MFA00001", "5YJSA1E26HF000001", "1FTMW1T88MFA00003")
KEY = ("organization_id", "vin")


@pytest.fixture
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("edge")
def test_a_value_left_out_leaves_the_column_as_it_is() -> None:
    columns = ("vin", "model_year")
    with db.change(reason="first"):
        bulk.upsert_rows("vehicle", columns, KEY, [(VINS[0], 2021), (VINS[1], 2017)])
    with db.change(reason="second"):
        written = bulk.upsert_rows(
            "vehicle", columns, KEY, [(VINS[0], ABSENT), (VINS[1], None), (VINS[2], ABSENT)]
        )
    assert (written.accepted, written.changed, written.refused) == (3, 2, [])
    assert db.query("SELECT vin, model_year FROM vehicle ORDER BY id") == [
        {"vin": VINS[0], "model_year": 2021},
        {"vin": VINS[1], "model_year": None},
        {"vin": VINS[2], "model_year": None},
    ]


@pytest.mark.usefixtures("edge")
def test_equal_rows_are_accepted_and_not_touched() -> None:
    rows = [(VINS[0], 2021, "Ford"), (VINS[1], 2017, "Tesla")]
    columns = ("vin", "model_year", "make")
    for expected in (2, 0):
        with db.change(reason="rows"):
            written = bulk.upsert_rows("vehicle", columns, KEY, rows, complete=True)
        assert (written.accepted, written.changed) == (2, expected)
    with db.change(reason="a change of case counts"):
        assert bulk.upsert_rows("vehicle", columns, KEY, [(VINS[0], 2021, "FORD")]).changed == 1


@pytest.mark.usefixtures("edge")
def test_a_skipped_field_is_no_member_for_the_schema_and_no_column_for_the_row(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text(
        f"vin,year,make\n{VINS[0]},soon,Ford\n{VINS[1]},2017,\n{VINS[2]},2020,Ford\n", encoding="utf-8"
    )
    skip = {"error_handling": "skip"}
    schema = {"type": "object", "required": ["make"], "properties": {"model_year": {"minimum": 2018}}}
    integrations.create(
        "cars",
        template="csv-import",
        settings={"path": str(path), "table": "vehicle", "key": "vin"},
        customizations={
            "mappings": [
                {"source_path": "vin", "target_path": "vin"},
                {"source_path": "year", "target_path": "model_year", "target_data_type": "integer", **skip},
                {"source_path": "make", "target_path": "make", "is_required": True, **skip},
            ],
            "pipeline": {
                "steps": [{"type": "map"}, {"type": "validate", "schema": schema}],
                "dead_letters": {"max_percent": 90},
            },
        },
    )
    result = runner.run("cars")
    assert (result.status, result.records_written, result.dead_letters) == ("completed", 2, 1)
    assert db.query("SELECT vin, model_year FROM vehicle ORDER BY id") == [
        {"vin": VINS[0], "model_year": None},
        {"vin": VINS[2], "model_year": 2020},
    ]
    letter = runner.list_dead_letters()[0]
    assert (letter["step"], letter["error_code"]) == ("validate_out", "required")


@pytest.mark.usefixtures("thresholds")
class TestCollector:
    def test_it_is_put_back_when_the_last_run_ends(self) -> None:
        gc.set_threshold(700, 11, 12)
        inside, leave = threading.Event(), threading.Event()

        def other() -> None:
            with rarely_collected():
                inside.set()
                leave.wait(10)

        thread = threading.Thread(target=other)
        with rarely_collected():
            thread.start()
            assert inside.wait(10)
            assert gc.get_threshold() == (200_000, 11, 12)
        assert gc.get_threshold() == (200_000, 11, 12), "the other run goes on"
        leave.set()
        thread.join()
        assert gc.get_threshold() == (700, 11, 12)

    def test_it_is_put_back_after_an_error(self) -> None:
        gc.set_threshold(700, 10, 10)
        with pytest.raises(ZeroDivisionError), rarely_collected():
            raise ZeroDivisionError
        assert gc.get_threshold() == (700, 10, 10)

    @pytest.mark.parametrize("first", [0, 1_000_000])
    def test_a_program_that_collects_more_rarely_keeps_that(self, first: int) -> None:
        gc.set_threshold(first, 10, 10)
        with rarely_collected():
            assert gc.get_threshold() == (first, 10, 10)

    @pytest.mark.usefixtures("edge")
    def test_a_run_collects_rarely_and_leaves_nothing_behind(self, tmp_path: Path) -> None:
        gc.set_threshold(700, 10, 10)
        path = tmp_path / "v.csv"
        path.write_text(f"vin,model_year\n{VINS[0]},2021\n", encoding="utf-8")
        integrations.create(
            "cars", template="csv-import", settings={"path": str(path), "table": "vehicle", "key": "vin"}
        )
        seen: list[int] = []
        runner.run("cars", progress=lambda _: seen.append(gc.get_threshold()[0]))
        assert seen == [200_000]
        assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.usefixtures("edge")
def test_a_value_that_is_an_operational_error_is_refused_alone() -> None:
    columns = ("license_state", "license_number", "last_name", "verified_at")
    key = ("organization_id", "license_state", "license_number")
    rows = [("CA", "1", "A", None), ("CA", "2", "B", "now"), ("CA", "3", "C", None)]
    with db.change(reason="import"):
        written = bulk.upsert_rows("driver", columns, key, rows)
    assert (written.accepted, [(position, rule.code) for position, rule in written.refused]) == (
        2,
        [(1, "time")],
    )
    assert [row["last_name"] for row in db.query("SELECT last_name FROM driver ORDER BY id")] == ["A", "C"]
