"""Eight processes at one file: what each gets done, how long a writer waits, and whether anybody is refused.

    python benchmarks/contention.py [SECONDS]

A runner with its threads and workers, two imports one after the other, two programs of two writing threads
each, another tool that writes, a reader of states, and backups. A writer's wait is the time of one change of
one row, from the wish to the commit. Nobody may be told that the file is locked.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgekit
from edgekit import clock, db, integrations, jobs, runner
from edgekit.errors import EdgekitError
from edgekit.file.backup import backup
from edgekit.file.verify import verify
from edgekit.integrations import own_tables as tables

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = 2000
PAUSE = 0.002
"""Between two changes of a thread: people and programs think, too."""


@jobs.handles("contention.note")
def note(job: jobs.Job) -> None:
    """Write a row and the end of the job in one change: it is there once."""
    with db.change(reason="job"):
        db.connection().execute("INSERT INTO note(text) VALUES (?)", (f"job {job.id}",))
        jobs.finish(job)


class Log:
    """What one process did, how long each took, and what it was told."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.errors: list[str] = []

    def time(self, work: Callable[[], Any]) -> None:
        began = time.perf_counter()
        try:
            work()
        except (EdgekitError, sqlite3.Error) as error:
            self.errors.append(f"{type(error).__name__}: {error}")
        self.waits.append(time.perf_counter() - began)

    def report(self, role: str) -> dict[str, Any]:
        waits = sorted(self.waits) or [0.0]
        return {
            "role": role, "done": len(self.waits), "p50": waits[len(waits) // 2],
            "p99": waits[int(len(waits) * 0.99)], "worst": waits[-1], "errors": self.errors,
        }  # fmt: skip


def run_role(role: str, path: Path, seconds: float) -> dict[str, Any]:
    """Work as one of the eight until the time is up."""
    log, until = Log(), time.monotonic() + seconds
    if role == "shell":
        shell(path, log, until)
        return log.report(role)
    if role == "backup":
        while time.monotonic() < until:
            log.time(lambda: backup(path, path.parent / "backups" / f"{time.monotonic_ns()}.zip"))
            time.sleep(1)
        return log.report(role)
    with edgekit.open(path):
        {"runner": live, "read": read, "write": write}.get(role, load)(role, log, until)
    return log.report(role)


def live(_: str, log: Log, until: float) -> None:
    ends_at = clock.now() + timedelta(seconds=until - time.monotonic())
    lines: list[Any] = []
    lived = runner.start(until=ends_at, threads=4, report=lines.append)
    log.waits = [0.0] * lived.completed
    log.errors = [line.text for line in lines if line.kind in {"failed", "fault"}]


def load(role: str, log: Log, until: float) -> None:
    while time.monotonic() < until:
        log.time(lambda: runner.run(role))


def read(_: str, log: Log, until: float) -> None:
    while time.monotonic() < until:
        log.time(lambda: (runner.status(), runner.list_executions(limit=50), db.query("SELECT * FROM note")))
        time.sleep(0.05)


def write(_: str, log: Log, until: float) -> None:
    opened = db.current()

    def insert() -> None:
        with opened.change(reason="note"):
            opened.connection().execute("INSERT INTO note(text) VALUES ('typed')")

    def body() -> None:
        number = 0
        while time.monotonic() < until:
            log.time(insert)
            if number % 20 == 0:
                log.time(lambda: jobs.enqueue("contention.note"))
            number += 1
            time.sleep(PAUSE)
        opened.release()

    threads = [threading.Thread(target=body) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def shell(path: Path, log: Log, until: float) -> None:
    """Write as another tool does that has set a time to wait."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
        while time.monotonic() < until:
            log.time(lambda: connection.execute("INSERT INTO note(text) VALUES ('by hand')"))
            time.sleep(PAUSE)


ROLES = ("runner", "one", "two", "write", "write", "shell", "read", "backup")


def prepare(folder: Path) -> Path:
    source = folder / "people.ndjson"
    lines = [json.dumps({"number": f"{n:06d}", "name": f"Person {n}"}) for n in range(RECORDS)]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = edgekit.create(folder / "edge.db")
    (folder / "backups").mkdir()
    with edgekit.open(path):
        tables.create("note", {"text": "TEXT"}, key=[])
        for name in ("one", "two", "by_clock"):
            tables.create(f"person_{name}", {"number": "TEXT", "name": "TEXT"}, key=["number"])
            settings = {"path": str(source), "table": f"person_{name}", "batch_size": 500}
            integrations.create(name, template="ndjson-import", settings=settings)
        runner.add_schedule(
            "by clock", integration="by_clock", every=1, now=clock.now() - timedelta(minutes=1)
        )
    return path


def contend(folder: Path, seconds: float) -> tuple[list[dict[str, Any]], list[str]]:
    """Let the eight work for so long; return what each reports, and what `verify` finds after them."""
    path = prepare(folder)
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--role", role, str(path), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for role in ROLES
    ]
    reports = []
    for process, role in zip(processes, ROLES, strict=True):
        out, _ = process.communicate(timeout=seconds * 3 + 120)
        if process.returncode:
            reports.append({"role": role, "done": 0, "errors": [f"ended with {process.returncode}"]})
        else:
            reports.append(json.loads(out.splitlines()[-1]))
    with edgekit.open(path):
        runner.start(once=True)  # what was asked for last
        (counted,) = db.query(
            "SELECT count(*) AS done, count(DISTINCT text) AS different, (SELECT count(*) FROM job WHERE"
            " kind = 'contention.note') AS asked FROM note WHERE text LIKE 'job %'"
        )
    found = verify(path)
    if len(set(counted.values())) != 1:
        found.append(f"jobs: {counted}")
    return reports, found


def main() -> None:
    if sys.argv[1:2] == ["--role"]:
        print(json.dumps(run_role(sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))))
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        reports, found = contend(Path(folder), seconds)
    print(f"{'who':<8}{'done':>8}{'p50 ms':>10}{'p99 ms':>10}{'worst ms':>10}  told")
    for report in reports:
        times = "".join(f"{1000 * report.get(name, 0.0):>10.1f}" for name in ("p50", "p99", "worst"))
        print(f"{report['role']:<8}{report['done']:>8}{times}  {report['errors'][:3] or '-'}")
    print("verify:", "; ".join(found) or "clean")


if __name__ == "__main__":
    main()
