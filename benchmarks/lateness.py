"""Ten thousand schedules and one runner: what it takes to begin, and how late a due time is taken up.

    python benchmarks/lateness.py [--schedules 10000] [--over 600] [--seconds 30]

The schedules are due evenly `over` so many seconds, each to run an integration of one record; the runner
works for `seconds`. Late is the time from when a slot was due to its row (made), and to its run (begun).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edgekit
from edgekit import clock, db, integrations, runner

if TYPE_CHECKING:
    from edgekit.jobs import Job

INTEGRATIONS = 40


class Nobody:
    """Room for nothing: what is left is the looking."""

    runner_id, free, busy = "nobody", 0, {}

    def submit(self, job: Job) -> None:
        raise AssertionError(job)


def prepare(folder: Path, count: int, over: float) -> Path:
    source = folder / "one.csv"
    source.write_text("item,price\nchair,49\n", encoding="utf-8")
    path = edgekit.create(folder / "edge.db")
    with edgekit.open(path):
        numbers = []
        for n in range(INTEGRATIONS):
            settings = {"path": str(source), "table": f"price_{n}", "key": "item", "create": True}
            numbers.append(integrations.create(f"prices {n}", template="csv-import", settings=settings)["id"])
            runner.run(f"prices {n}")
        first = clock.now() + timedelta(seconds=8)
        rows = [
            (f"s {n}", numbers[n % INTEGRATIONS], clock.to_text(first + timedelta(seconds=over * n / count)))
            for n in range(count)
        ]
        with db.change(reason="benchmark"):
            db.connection().executemany(
                "INSERT INTO integration_schedule(schedule_name, integration_id, next_run_at, schedule_type,"
                " interval_minutes) VALUES (?, ?, ?, 'interval', 600)",
                rows,
            )
    return path


def measure(path: Path, seconds: float) -> dict[str, Any]:
    with edgekit.open(path):
        began = time.perf_counter()
        runner.tick(pool=Nobody())
        first = time.perf_counter() - began
        began = time.perf_counter()
        for _ in range(20):
            runner.tick(pool=Nobody())
        idle = (time.perf_counter() - began) / 20
        before = time.process_time()
        began = time.perf_counter()
        runner.start(until=clock.now() + timedelta(seconds=seconds))
        share = (time.process_time() - before) / (time.perf_counter() - began)
        late = db.query(
            "SELECT x.scheduled_at, x.created_at, e.started_at FROM integration_schedule_execution x"
            " LEFT JOIN integration_execution e ON e.id = x.execution_id ORDER BY x.id"
        )
    made = [_milliseconds(row["scheduled_at"], row["created_at"]) for row in late]
    begun = [_milliseconds(row["scheduled_at"], row["started_at"]) for row in late if row["started_at"]]
    return {"first": first, "idle": idle, "share": share, "made": sorted(made), "begun": sorted(begun)}


def _milliseconds(due: str, at: str) -> float:
    return (clock.from_text(at) - clock.from_text(due)).total_seconds() * 1000


def _memory() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--over", type=float, default=600.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare is not None:
        prepare(given.prepare, given.schedules, given.over)
        return
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own, so that the memory is the runner's.
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--prepare", folder], check=True)
        found = measure(Path(folder) / "edge.db", given.seconds)
    print(f"{given.schedules} schedules, {given.schedules / given.over:.1f} due a second")
    print(f"first tick {1000 * found['first']:.1f} ms, one with nothing to do {1000 * found['idle']:.2f} ms")
    print(f"CPU share of the runner itself {found['share']:.2f}, peak memory {_memory():.0f} MB")
    for name in ("made", "begun"):
        times = found[name] or [float("nan")]
        p50, p99 = (times[int(len(times) * part)] for part in (0.5, 0.99))
        print(
            f"{name:<6} {len(found[name])} slots, ms late: p50 {p50:.0f}, p99 {p99:.0f}, most {times[-1]:.0f}"
        )


if __name__ == "__main__":
    main()
