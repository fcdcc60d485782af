"""Audited writes against raw ones, on the real tables `driver`, `vehicle` and `communication`.

    python benchmarks/audited_writes.py [--table driver] [--rounds 7] [--rows 100000] [--single 10000]

`raw` is the table with its keys, checks, foreign keys and indexes and no trigger; `audited` has every
trigger of the file, the guards of the log and its index, and pays for opening and closing each change. All
run once per round in a turning order; a ratio is the median over the rounds of raw time / own time in the
same round. Bytes are what the file grew by over the raw one, per change.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sqlite3
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import edgekit

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1_000
TIME = "2026-01-01T00:00:00.000Z"
OPEN = (
    "INSERT INTO audit_transaction(open_gate, actor, correlation_id, reason) VALUES (1, 'maria', ?, 'import')"
)
CLOSE = "UPDATE audit_transaction SET open_gate = NULL WHERE id = ?"
CORRELATION = "0190f6f0-7c1a-7c39-9d4e-1c2f3a4b5c6d"

VARIANTS = {
    "raw": (),
    "change() alone": ("change",),
    "audited": ("change", "triggers"),
    "audited, log without its index": ("change", "triggers", "no index"),
    "audited, inserts indexed too": ("change", "triggers", "whole index"),
    "audited, log without its guard": ("change", "triggers", "no guard"),
}


def drivers(r: random.Random, rows: int) -> list[tuple]:
    """Draw rows of `driver`."""
    return [
        (
            f"First{r.randrange(1000)}", f"Surname{r.randrange(10**6)}",
            f"19{r.randrange(50, 99)}-0{r.randrange(1, 9)}-1{r.randrange(9)}", f"D{i:09d}",
            r.choice(["TX", "CA", "NY", "FL"]), "valid", r.randrange(12), TIME, 1, 1, TIME, TIME,
        )
        for i in range(rows)
    ]  # fmt: skip


def vehicles(r: random.Random, rows: int) -> list[tuple]:
    """Draw rows of `vehicle`."""
    makes = ["FORD", "TOYOTA", "HONDA", "BMW"]
    return [
        (
            f"1FTMW1T8{i:09d}", r.randrange(1990, 2026), r.choice(makes), f"Model {r.randrange(300)}",
            r.choice(["Pickup", "Sedan/Saloon"]), 1, 1, TIME, TIME,
        )
        for i in range(rows)
    ]  # fmt: skip


def communications(r: random.Random, rows: int) -> list[tuple]:
    """Draw rows of `communication`: requests to the system itself, each a thread of its own."""
    return [
        (
            str(uuid.UUID(int=r.getrandbits(128), version=4)), 1, 1, 1, 1, 1, 1, 2,
            json.dumps({"number": i, "state": r.choice(["TX", "CA"])}), 1, f"run-{i}", 1, TIME, TIME,
        )
        for i in range(rows)
    ]  # fmt: skip


TABLES: dict[str, tuple[str, Callable[[random.Random, int], list[tuple]], str, Callable[[int], tuple]]] = {
    "driver": (
        """first_name, last_name, date_of_birth, license_number, license_state, license_status,
        violation_points, verified_at, created_by, updated_by, created_at, updated_at""",
        drivers,
        "violation_points = ?, license_status = ?",
        lambda k: (12 + k % 12, "expired" if k % 2 else "suspended"),
    ),
    "vehicle": (
        "vin, model_year, make, model_name, body_class, created_by, updated_by, created_at, updated_at",
        vehicles,
        "model_name = ?, body_class = ?",
        lambda k: (f"Model {300 + k % 12}", "Truck" if k % 2 else "Van"),
    ),
    "communication": (
        """uuid, organization_id, communication_type_id, source_type_id, source_id, target_type_id, target_id,
        direction_id, request_data, communication_status_id, correlation_id, channel_id, created_at,
        updated_at""",
        communications,
        "communication_status_id = ?, started_at = ?",
        lambda _: (2, TIME),
    ),
}


def workload(table: str, rows: int) -> list[tuple[str, str, list[tuple]]]:
    r = random.Random(7)
    columns, draw, changed, values = TABLES[table]
    inserts = draw(r, rows)
    ids = list(range(1, rows + 1))
    r.shuffle(ids)
    updates = [
        (*values(k), 1, f"2026-02-01T00:00:{k % 60:02d}.000Z", i) for k, i in enumerate(ids[: rows // 5])
    ]
    deletes = [(i,) for i in ids[-rows // 20 :]]
    marks = ",".join("?" * len(inserts[0]))
    return [
        ("insert", f"INSERT INTO {table}({columns}) VALUES ({marks})", inserts),
        ("update", f"UPDATE {table} SET {changed}, updated_by = ?, updated_at = ? WHERE id = ?", updates),
        ("delete", f"DELETE FROM {table} WHERE id = ?", deletes),
    ]


def prepare(path: Path, traits: tuple[str, ...]) -> sqlite3.Connection:
    edgekit.create(path)
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "recursive_triggers=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(
        "INSERT OR IGNORE INTO communication_type(id, code, name) VALUES (1, 'REQUEST', 'Request')"
    )
    if "triggers" not in traits:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
    if "no index" in traits:
        connection.execute("DROP INDEX audit_log_record")
    if "whole index" in traits:
        connection.execute("DROP INDEX audit_log_record")
        connection.execute("CREATE INDEX audit_log_record ON audit_log(table_id, record_key)")
    if "no guard" in traits:
        connection.execute("DROP TRIGGER audit_log_kept_bi")
    return connection


def run(
    folder: Path, traits: tuple[str, ...], work: list[tuple[str, str, list[tuple]]], batch: int
) -> dict[str, float]:
    path = folder / "bench.db"
    connection = prepare(path, traits)
    changes = "change" in traits
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    known = connection.execute("SELECT count(*) FROM audit_log").fetchone()[0]
    figures: dict[str, float] = {}
    for name, sql, rows in work:
        start = time.perf_counter()
        for i in range(0, len(rows), batch):
            connection.execute("BEGIN IMMEDIATE")
            if changes:
                change = connection.execute(OPEN, (CORRELATION,)).lastrowid
            connection.executemany(sql, rows[i : i + batch])
            if changes:
                connection.execute(CLOSE, (change,))
            connection.execute("COMMIT")
        figures[name] = time.perf_counter() - start
    figures["all"] = sum(figures.values())
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    figures["bytes"] = path.stat().st_size - before
    logged = connection.execute("SELECT count(*) FROM audit_log").fetchone()[0] - known
    assert logged == (sum(len(rows) for _, _, rows in work) if "triggers" in traits else 0)
    connection.close()
    return figures


def measure(title: str, table: str, rows: int, batch: int, rounds: int) -> None:
    work = workload(table, rows)
    total = sum(len(r) for _, _, r in work)
    names = list(VARIANTS)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    gc.freeze()
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            gc.collect()
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(run(Path(folder), VARIANTS[name], work, batch))
    rate = statistics.median(total / f["all"] for f in found["raw"])
    print(
        f"\n{title} into `{table}`: {rows:,} inserts, {rows // 5:,} updates, {rows // 20:,} deletes;"
        f" raw {rate:,.0f} rows/s; {rounds} rounds\n"
    )
    print("| variant | all | insert | update | delete | bytes/change |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in names:
        pairs = list(zip(found["raw"], found[name], strict=True))
        ratios = [
            statistics.median(a[phase] / b[phase] for a, b in pairs)
            for phase in ("all", "insert", "update", "delete")
        ]
        size = statistics.median((b["bytes"] - a["bytes"]) / total for a, b in pairs)
        print(f"| {name} | " + " | ".join(f"{r:.2f}" for r in ratios) + f" | {size:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", choices=TABLES, default="driver")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument(
        "--single", type=int, default=10_000, help="rows of the one-row transactions; 0 leaves them out"
    )
    options = parser.parse_args()
    measure("Batches of 1,000", options.table, options.rows, BATCH, options.rounds)
    if options.single:
        measure("One row per transaction", options.table, options.single, 1, options.rounds)


if __name__ == "__main__":
    main()
