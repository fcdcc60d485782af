"""Durable due jobs dispatched per second, against the least a table and a pool can cost, and beside others.

    python benchmarks/jobs.py [--jobs 20000] [--rounds 5] [--waiting 10000]

The limit is a bare table of three numbers and one index: 100 jobs claimed by one UPDATE … RETURNING, done
by a pool of four threads, their ends written together. Ours does the same with everything that goes with a
job of the file: priorities, kinds, leases, fences, the audit log and all guards. Others are measured where
`BENCH_JOBS_PYTHON` names a Python that has them: `pip install huey "apscheduler<4" sqlalchemy`.

Jobs do nothing but count. All variants run once per round in a turning order; a ratio is the median over the
rounds of the limit's time per job over a variant's own.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

from rounds import ratios, take_turns

import edgekit
from edgekit import clock, jobs

BATCH = 100
THREADS = 4

_BARE = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
CREATE TABLE job(id INTEGER PRIMARY KEY, next_run INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0);
CREATE INDEX due ON job(state, next_run);
"""
_BARE_CLAIM = (
    "UPDATE job SET state = 1 WHERE id IN (SELECT id FROM job WHERE state = 0 AND next_run <= ?"
    " ORDER BY next_run LIMIT ?) RETURNING id"
)

_PEERS = {
    "huey SqliteHuey": 5_000,
    "APScheduler 3, SQLAlchemy store": 500,
}
"""How many jobs of each are enough."""

_PEER = """
import logging, sys, threading, time
from datetime import datetime, timedelta, timezone
logging.disable(logging.CRITICAL)
name, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
left, lock, done = count, threading.Lock(), threading.Event()
def work():
    global left
    with lock:
        left -= 1
        if not left:
            done.set()
if name.startswith("huey"):
    from huey import SqliteHuey
    queue = SqliteHuey("bench", filename=path, results=False)
    task = queue.task()(work)
    for _ in range(count):
        task()
    consumer = queue.create_consumer(
        workers=4, periodic=False, initial_delay=0.001, backoff=1.0, max_delay=0.001
    )
    start = time.perf_counter()
    consumer.start()
    done.wait()
    took = time.perf_counter() - start
    consumer.stop(graceful=False)
else:
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
    from apscheduler.schedulers.background import BackgroundScheduler
    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url="sqlite:///" + path)},
        executors={"default": ThreadPoolExecutor(4)}, timezone=timezone.utc,
        job_defaults={"misfire_grace_time": 3600, "max_instances": 10**6},
    )
    due = datetime.now(timezone.utc) - timedelta(seconds=1)
    scheduler.start(paused=True)
    for number in range(count):
        scheduler.add_job("__main__:work", "date", run_date=due, id=str(number))
    start = time.perf_counter()
    scheduler.resume()
    done.wait()
    took = time.perf_counter() - start
    scheduler.shutdown(wait=False)
print(took / count)
"""


class Count:
    """What every job does."""

    def __init__(self) -> None:
        self.done = 0
        self._lock = threading.Lock()

    def __call__(self, _: object = None) -> None:
        with self._lock:
            self.done += 1


COUNT = Count()


@jobs.handles("bench.count")
def count_one(_: jobs.Job) -> None:
    COUNT()


def bare(count: int) -> float:
    """Return the seconds a job takes on a table that holds nothing else."""
    work, now = Count(), int(time.time())
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(THREADS) as pool:
        connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        connection.executescript(_BARE)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO job(id, next_run) VALUES (?, 1)", ((n,) for n in range(count)))
        connection.execute("COMMIT")
        start = time.perf_counter()
        while rows := connection.execute(_BARE_CLAIM, (now, BATCH)).fetchall():
            for future in [pool.submit(work) for _ in rows]:
                future.result()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("UPDATE job SET state = 2 WHERE id = ?", rows)
            connection.execute("COMMIT")
        took = time.perf_counter() - start
        connection.close()
    assert work.done == count
    return took / count


def ours(count: int, waiting: int, batch: int, grown: list[float]) -> float:
    """Return the seconds a job of a file of ours takes, beside so many that are not yet due."""
    now, known = clock.now(), COUNT.done
    with tempfile.TemporaryDirectory() as folder:
        path = edgekit.create(Path(folder) / "jobs.db")
        with edgekit.open(path) as db, ThreadPoolExecutor(THREADS) as pool:
            with db.change(reason="bench"):
                for _ in range(count):
                    jobs.enqueue("bench.count", now=now)
                for number in range(waiting):
                    jobs.enqueue("bench.count", run_at=now + timedelta(days=1 + number % 30))
            before = logged(db.connection())
            start = time.perf_counter()
            ended: list[jobs.Outcome] = []
            while True:
                with db.change(reason="tick"):
                    jobs.settle(ended, now=now)
                    claimed = jobs.claim("bench", now=now, limit=batch)
                if not claimed:
                    break
                ended = [future.result() for future in [pool.submit(jobs.perform, job) for job in claimed]]
            took = time.perf_counter() - start
            grown.append((logged(db.connection()) - before) / count)
    assert COUNT.done - known == count
    return took / count


def logged(connection: sqlite3.Connection) -> int:
    """Return the bytes the log holds of its own content."""
    whole = "SELECT ifnull(sum(length(changes)), 0) + 12 * count(*) FROM audit_log"
    return int(connection.execute(whole).fetchone()[0])


def peer(python: str, name: str, count: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "peer.py"
        script.write_text(_PEER, encoding="utf-8")
        command = [python, str(script), name, str(Path(folder) / "peer.db"), str(count)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--waiting", type=int, default=10_000)
    given = parser.parse_args()
    grown: list[float] = []
    limit = "bare table, claim 100 + pool (limit)"
    variants = {
        limit: partial(bare, given.jobs),
        "edgekit, claim 100 + pool": partial(ours, given.jobs, 0, BATCH, grown),
        f"edgekit, beside {given.waiting:,} that wait": partial(
            ours, given.jobs, given.waiting, BATCH, grown
        ),
        "edgekit, claim 1 + pool": partial(ours, given.jobs // 20, 0, 1, []),
    }
    python = os.environ.get("BENCH_JOBS_PYTHON")
    for name, count in _PEERS.items():
        if python:
            variants[name] = partial(peer, python, name, count)
        else:
            print(f"{name}: not measured, BENCH_JOBS_PYTHON names no Python that has it")
    took = take_turns(variants, given.rounds)
    found = ratios(took, limit)
    print(f"\n{given.jobs:,} due jobs, {given.rounds} rounds\n")
    print("| dispatch of due jobs | jobs/s | of the limit | lowest..highest |\n|---|---:|---:|---|")
    for name, times in took.items():
        middle, low, high = found[name]
        rate = 1 / statistics.median(times)
        print(f"| {name} | {rate:,.0f} | {middle:.3f} | {low:.3f}..{high:.3f} |")
    print(f"\nThe log grows by {statistics.median(grown):.0f} bytes for a job claimed and completed.")


if __name__ == "__main__":
    main()
