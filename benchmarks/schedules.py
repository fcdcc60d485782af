"""Ten thousand schedules: starting, a tick when nothing is due, a tick when all are, memory, lateness.

Each schedule has an integration of its own, which reads a file of two records. Beside it APScheduler with as
many jobs of its own in memory: it keeps no record of what did not run, and forgets everything at its end.

    python benchmarks/schedules.py [--schedules 10000] [--seconds 20]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import edgekit
from edgekit import clock, db, integrations, jobs, runner

MINUTES = 15


class Full:
    """A pool without room: jobs are made and nobody does them."""

    runner_id, free, busy = "none", 0, {}

    def submit(self, job: jobs.Job) -> None:
        raise AssertionError(job)


def make(folder: Path, count: int, start: datetime) -> Path:
    """Make a file of so many schedules, every quarter of an hour from a time on, spread evenly over it."""
    path = folder / "schedules.db"
    (folder / "prices.csv").write_text("item,price\nchair,49\ntable,120\n", encoding="utf-8")
    edgekit.create(path, organization="Bench")
    settings = {"path": str(folder / "prices.csv"), "table": "price", "key": "item", "create": "true"}
    with edgekit.open(path):
        integrations.create("i0", template="csv-import", settings=settings)
        runner.run("i0")
        copied = "integration_type_id, connection_config, organization_id, status_id"
        names = [row["name"] for row in db.query("SELECT name FROM pragma_table_info('integration_mapping')")]
        mapped = ", ".join(name for name in names if name not in {"id", "integration_id"})
        with db.change(reason="bench"):
            shell = db.connection()
            for n in range(1, count):
                made = shell.execute(
                    f"INSERT INTO integration(integration_name, {copied}) SELECT ?, {copied} FROM integration"
                    " WHERE id = 1 RETURNING id", (f"i{n}",),
                ).fetchall()[0][0]  # fmt: skip
                shell.execute(
                    f"INSERT INTO integration_mapping(integration_id, {mapped})"
                    f" SELECT ?, {mapped} FROM integration_mapping WHERE integration_id = 1", (made,),
                )  # fmt: skip
            rows = [
                (f"s{n}", n + 1, MINUTES, clock.to_text(start + timedelta(minutes=MINUTES * n / count)))
                for n in range(count)
            ]
            shell.executemany(
                "INSERT INTO integration_schedule(schedule_name, integration_id, schedule_type,"
                " interval_minutes,"
                " next_run_at, organization_id) SELECT ?, i.id, 'interval', ?3, ?4, i.organization_id"
                " FROM integration i WHERE i.id = ?2", rows,
            )  # fmt: skip
    return path


def child(name: str, *args: str) -> dict[str, float]:
    """Measure something in a process of its own; return its numbers and its peak memory in MiB."""
    words = [sys.executable, __file__, "--child", name, *args]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    if hasattr(os, "wait4"):  # Windows tells no peak memory of a child
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        memory = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    else:
        assert process.wait() == 0
        memory = float("nan")
    numbers = dict(line.split("=") for line in text.split())
    return {key: float(value) for key, value in numbers.items()} | {"memory_mib": memory}


def made(folder: str, count: str, seconds: str) -> None:
    """Make the file of which the first schedule is due in so many seconds."""
    make(Path(folder), int(count), clock.now() + timedelta(seconds=float(seconds)))


def from_now(path: str) -> None:
    """Have the first schedule be due in three seconds."""
    with edgekit.open(path), db.change(reason="bench: from now on"):
        db.connection().execute(
            "UPDATE integration_schedule SET next_run_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+' ||"
            " (3 + id * 900.0 / (SELECT count(*) FROM integration_schedule)) || ' seconds')"
        )


def started(path: str) -> None:
    """Open the file and make the first tick, then ticks when nothing is due."""
    begun = time.perf_counter()
    with edgekit.open(path):
        now = clock.from_text(db.query("SELECT min(next_run_at) AS at FROM integration_schedule")[0]["at"])
        before = now - timedelta(minutes=1)
        pool: Any = Full()
        runner.tick(before, pool=pool)
        print(f"start_s={time.perf_counter() - begun}")
        took = []
        for second in range(50):
            begun = time.perf_counter()
            runner.tick(before + timedelta(seconds=second), pool=pool)
            took.append(time.perf_counter() - begun)
        print(f"idle_tick_ms={1000 * statistics.median(took)}")


def all_due(path: str) -> None:
    """Make the slots and jobs of all, due at once."""
    with edgekit.open(path):
        now = clock.from_text(db.query("SELECT max(next_run_at) AS at FROM integration_schedule")[0]["at"])
        pool: Any = Full()
        begun, made = time.perf_counter(), 0
        while count := runner.tick(now, pool=pool).made:
            made += count
        took = time.perf_counter() - begun
        print(f"made={made}", f"all_due_s={took}", f"slots_per_s={made / took}")
        begun = time.perf_counter()
        runner.tick(now + timedelta(seconds=1), pool=pool)
        print(f"tick_with_all_open_ms={1000 * (time.perf_counter() - begun)}")


def late(path: str, seconds: str) -> None:
    """Run what falls due for a while, here and one after the other; say how late the runs began."""
    with edgekit.open(path):
        until = time.monotonic() + float(seconds)
        begun = clock.now_text()
        while time.monotonic() < until:
            wake = runner.tick().wake_at or clock.now()
            time.sleep(min(1.0, max(0.0, (wake - clock.now()).total_seconds())))
        found = db.query(
            "SELECT (julianday(started_at) - julianday(scheduled_at)) * 86400000 AS late"
            " FROM integration_schedule_execution WHERE scheduled_at > ? AND execution_status = 'completed'",
            (begun,),
        )
        late_ms = sorted(row["late"] for row in found)
        print(f"runs={len(late_ms)}", f"late_p50_ms={late_ms[len(late_ms) // 2]}",
              f"late_p99_ms={late_ms[int(len(late_ms) * 0.99)]}")  # fmt: skip


def apscheduler(count: str) -> None:
    """Start APScheduler with as many jobs in its memory."""
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    begun = time.perf_counter()
    scheduler = BackgroundScheduler(timezone=UTC)
    first = clock.now() + timedelta(hours=1)
    for n in range(int(count)):
        trigger = IntervalTrigger(minutes=MINUTES, start_date=first + timedelta(seconds=n / 100))
        scheduler.add_job(print, trigger, id=f"s{n}")
    scheduler.start()
    print(f"start_s={time.perf_counter() - begun}")
    scheduler.shutdown(wait=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--child", nargs="+")
    asked = parser.parse_args()
    if asked.child:
        name, *args = asked.child
        known = {"made": made, "from_now": from_now, "started": started, "all_due": all_due, "late": late}
        {**known, "apscheduler": apscheduler}[name](*args)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGEKIT_HOME"] = folder
        path, count = str(Path(folder) / "schedules.db"), str(asked.schedules)
        child("made", folder, count, "3600")
        for name, *args in (("started", path), ("apscheduler", count)):
            tell(name, child(name, *args))
        child("from_now", path)
        tell("late", child("late", path, str(asked.seconds)))
        tell("all_due", child("all_due", path))


def tell(name: str, numbers: dict[str, float]) -> None:
    """Print what a child measured."""
    print(f"{name:12}", ", ".join(f"{key} {value:.2f}" for key, value in numbers.items()))


if __name__ == "__main__":
    main()
