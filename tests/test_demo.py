"""The demo does what the README says: the main job, twice, with nothing there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit import db
from edgekit.demo import scenario
from edgekit.errors import ConflictError
from edgekit.file.verify import verify

RUN_FIELDS = {
    "integration",
    "execution_id",
    "status",
    "records_read",
    "records_written",
    "dead_letters",
    "retries",
    "duration_ms",
}
BUSINESS = ("insured", "policy", "vehicle", "driver", "policy_vehicle", "policy_driver", "dead_letter")


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgekit", "demo", "--dir", str(folder), *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ.copy(),
        timeout=100,
        check=False,
    )


def row_counts(path: Path) -> dict[str, int]:
    with edgekit.open(path):
        return {name: db.query(f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in BUSINESS}


def test_it_runs_twice_and_nothing_is_there_twice(tmp_path: Path) -> None:
    folder = tmp_path / "try out"
    counts: list[dict[str, int]] = []
    for _ in range(2):
        done = demo(folder, "--json")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        result: dict[str, Any] = json.loads(done.stdout)
        assert set(result) >= {"database", "organization", "runs", "audit_rows", "verify"}
        assert result["verify"] == []
        assert all(set(run) >= RUN_FIELDS for run in result["runs"])
        assert [run["status"] for run in result["runs"]] == ["completed"] * 8
        assert all(
            run["records_read"] == run["records_written"] + run["dead_letters"] for run in result["runs"]
        )
        assert sum(run["dead_letters"] for run in result["runs"]) > 0
        assert sum(run["retries"] for run in result["runs"]) > 0
        counts.append(row_counts(Path(result["database"])))
    assert counts[0] == counts[1]
    # The book has 454 usable lines; their errors are known by number.
    assert counts[0] == {
        "insured": 287,
        "policy": 293,
        "vehicle": 348,
        "driver": 427,
        "policy_vehicle": 342,
        "policy_driver": 410,
        "dead_letter": counts[0]["dead_letter"],
    }
    assert counts[0]["dead_letter"] >= 40
    assert verify(folder / "agency.db") == []


def test_the_summary_tells_the_story(tmp_path: Path) -> None:
    done = demo(tmp_path / "d")
    assert done.returncode == 0
    for words in (
        "What ran",
        "vehicle-data",
        "set aside",
        "One record's story",
        "the file is sound",
        "dead-letters list",
    ):
        assert words in done.stdout


def test_every_decoded_vehicle_has_its_make_and_every_attempt_is_logged(tmp_path: Path) -> None:
    result = scenario.run(tmp_path / "d")
    with edgekit.open(result.database):
        undecoded = db.query("SELECT vin, decode_note FROM vehicle WHERE make IS NULL")
        assert [row["decode_note"][:2] for row in undecoded] == ["7 "], "one maker of the book is unknown"
        codes = {
            row["response_code"] for row in db.query("SELECT DISTINCT response_code FROM integration_log")
        }
        assert codes == {200, 429, 503}
        key = db.query("SELECT value_ciphertext FROM integration_credential")[0]["value_ciphertext"]
        assert isinstance(key, bytes)
        urls = db.query("SELECT request_url FROM integration_log")
        assert all("127.0.0.1" in row["request_url"] for row in urls)


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    edgekit.create(tmp_path / "agency.db", organization="Another Agency")
    with pytest.raises(ConflictError, match="belongs to Another Agency"):
        scenario.run(tmp_path)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ConflictError, match="is a file, not a folder"):
        scenario.run(tmp_path / "file")
