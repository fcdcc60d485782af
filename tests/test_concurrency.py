"""Several processes at one file: each does its work whole, or says in one line why not."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from http_provider import Reply, serve

import edgekit
from edgekit import integrations
from edgekit.file.restore import restore
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 20_000


def start(*args: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgekit", *map(str, args)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", env=os.environ.copy(),
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


def query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def wait(ready: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture
def source(tmp_path: Path, edge_file: Path) -> Path:
    """A file of many rows, and two integrations that bring it to tables of their own, which are there."""
    path, first = tmp_path / "big.csv", tmp_path / "first.csv"
    path.write_text("code,label\n" + "".join(f"{n},row\n" for n in range(ROWS)))
    first.write_text("code,label\n0,row\n")
    with edgekit.open(edge_file):
        for name in ("one", "two"):
            settings = {"path": str(first), "table": name, "key": "code", "create": True, "batch_size": 200}
            integrations.create(name, template="csv-import", settings=settings)
            edgekit.runner.run(name)
    return path


def test_the_same_integration_twice_at_once(edge_file: Path) -> None:
    """The second is refused while the first waits for its source, and the first does not notice."""
    asked, go_on = threading.Event(), threading.Event()

    def slow(_: Any) -> Reply:
        asked.set()
        go_on.wait(20)
        return Reply([{"vin": "1HGCM82633A004352", "make": "HONDA"}])

    with edgekit.open(edge_file) as db:
        made = integrations.create("cars", template="csv-import", settings={"path": "x", "table": "vehicle"})
        with serve(slow) as service:
            settings = {"connector": "http", "base_url": service.url, "table": "vehicle", "key": "vin"}
            with db.change(reason="test"):
                db.connection().execute(
                    "UPDATE integration SET connection_config = ? WHERE id = ?",
                    (json.dumps(settings), made["id"]),
                )
            first = start("--db", edge_file, "integrations", "run", "cars")
            assert asked.wait(20)
            code, out, err = finished(start("--db", edge_file, "integrations", "run", "cars"))
            go_on.set()
            assert (code, out) == (6, "")
            assert [line[:6] for line in err.splitlines()] == ["error:", "hint: "]
            assert "being run by another process" in err
            assert finished(first)[0] == 0
    assert len(service.calls) == 1
    assert query(edge_file, "SELECT execution_status FROM integration_execution") == [("completed",)]
    assert query(edge_file, "SELECT count(*) FROM vehicle") == [(1,)]


def test_two_integrations_at_once(edge_file: Path, source: Path) -> None:
    both = [
        start("--db", edge_file, "integrations", "run", name, "--input", source) for name in ("one", "two")
    ]
    assert [finished(process)[0] for process in both] == [0, 0]
    for name in ("one", "two"):
        assert query(edge_file, f"SELECT count(*), count(DISTINCT code) FROM {name}") == [(ROWS, ROWS)]
    assert query(edge_file, "SELECT sum(records_changed) FROM integration_execution") == [(2 * ROWS,)]
    assert verify(edge_file) == []


@pytest.mark.parametrize("seconds", [0.5, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_waits_for_another_program(edge_file: Path, source: Path, seconds: float) -> None:
    lines = source.read_text().splitlines(keepends=True)
    process = start("--db", edge_file, "integrations", "run", "one", "--input", "-")
    assert process.stdin is not None
    process.stdin.write("".join(lines[: ROWS // 2]))
    process.stdin.flush()
    wait(lambda: query(edge_file, "SELECT count(*) FROM one")[0][0] > 500)
    with closing(sqlite3.connect(edge_file, isolation_level=None, timeout=20)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        held = shell.execute("SELECT count(*) FROM one").fetchone()[0]
        feeder = threading.Thread(target=process.stdin.write, args=("".join(lines[ROWS // 2 :]),))
        feeder.start()
        threading.Event().wait(seconds)  # what is measured is the waiting itself
        assert shell.execute("SELECT count(*) FROM one").fetchone()[0] == held < ROWS
        shell.execute("ROLLBACK")
    feeder.join()
    code, _, err = finished(process)
    assert (code, err) == (0, "")
    assert query(edge_file, "SELECT count(*) FROM one") == [(ROWS,)]
    assert verify(edge_file) == []


@pytest.mark.slow
def test_a_program_that_never_ends_is_named_and_readers_do_not_care(edge_file: Path, source: Path) -> None:
    with closing(sqlite3.connect(edge_file, isolation_level=None)) as shell:
        shell.execute("PRAGMA journal_mode = WAL")
        shell.execute("BEGIN IMMEDIATE")
        process = start("--db", edge_file, "integrations", "run", "one", "--input", source)
        for words in (
            ("status",),
            ("verify",),
            ("integrations", "list"),
            ("backup", edge_file.parent / "b.zip"),
        ):
            assert finished(start("--db", edge_file, *words))[0] == 0
        code, out, err = finished(process)
        shell.execute("ROLLBACK")
    assert (code, out) == (6, "")
    assert [line[:6] for line in err.splitlines()] == ["error:", "hint: "]
    assert query(edge_file, "SELECT count(*) FROM one") == [(1,)]


@pytest.mark.slow
def test_a_backup_during_a_run_is_one_moment_of_it(edge_file: Path, source: Path, tmp_path: Path) -> None:
    process = start("--db", edge_file, "integrations", "run", "one", "--input", source)
    wait(lambda: query(edge_file, "SELECT count(*) FROM one")[0][0] > 500)
    backup, copy = tmp_path / "b.zip", tmp_path / "copy.db"
    assert finished(start("--db", edge_file, "backup", backup))[0] == 0
    assert finished(process)[0] == 0
    restore(backup, copy)
    rows = query(copy, "SELECT count(*) FROM one")[0][0]
    newest = "SELECT records_read FROM integration_execution ORDER BY id DESC LIMIT 1"
    assert query(copy, newest) == [(rows,)]  # rows and counters of the same batch
    assert verify(copy) == []
    assert finished(start("--db", copy, "integrations", "run", "one", "--input", source))[0] == 0
    assert query(copy, "SELECT count(*), count(DISTINCT code) FROM one") == [(ROWS, ROWS)]
    assert query(copy, newest) == [(ROWS - rows if rows < ROWS else ROWS,)]


@pytest.mark.slow
def test_the_demo_twice_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    both = [finished(start("demo", "--dir", folder, "--json")) for _ in range(1)]
    shutil.rmtree(folder)
    expected = json.loads(both[0][1])["rows"]
    pair = [start("demo", "--dir", folder, "--json") for _ in range(2)]
    ends = sorted(finished(process) for process in pair)
    assert ends[0][0] == 0
    assert ends[1][0] in {0, 6}
    if ends[1][0]:
        assert ends[1][2].startswith("error: ")
        assert len(ends[1][2].splitlines()) <= 2
    code, out, _ = finished(start("demo", "--dir", folder, "--json"))
    assert code == 0
    assert (json.loads(out)["rows"], json.loads(out)["verify"]) == (expected, [])
