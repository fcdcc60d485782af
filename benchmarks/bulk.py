"""Rows in bulk through the data layer, audited, beside the bare `executemany` and unaudited peers.

    python benchmarks/bulk.py [--rows 100000] [--rounds 7]

The limit is `executemany` in transactions of 1,000 into the same `driver` table, with its keys, checks,
foreign keys and indexes, and no trigger. The peers write into that trigger-free table too, with no audit, in
the same transactions. The ratio is the median over the rounds of the limit's time / own time in the same
round.
"""

from __future__ import annotations

import argparse
import gc
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peewee
import sqlite_utils
from rounds import ratios, take_turns

import edgekit
from edgekit import bulk, db

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1000
PRAGMAS = {"journal_mode": "wal", "synchronous": "normal", "foreign_keys": 1}
COLUMNS = (
    "first_name",
    "last_name",
    "date_of_birth",
    "license_number",
    "license_state",
    "license_status",
    "violation_points",
)
KEY = ("license_state", "license_number")
FIXED = {
    "organization_id": 1,
    "created_by": 1,
    "created_at": "2026-01-01T00:00:00.000Z",
    "updated_at": "2026-01-01T00:00:00.000Z",
}
"""What edgekit fills in by itself and the others are given as literals or values."""


def make_rows(count: int) -> list[tuple[Any, ...]]:
    chance = random.Random(7)
    return [
        (
            f"First{chance.randrange(1000)}",
            f"Surname{chance.randrange(10**6)}",
            f"19{chance.randrange(50, 99)}-0{chance.randrange(1, 9)}-1{chance.randrange(9)}",
            f"D{number:09d}",
            chance.choice(["TX", "CA", "NY", "FL"]),
            "valid",
            chance.randrange(12),
        )
        for number in range(count)
    ]


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {pragma} = {value}")
    return connection


def raw(path: Path, batches: list[list[tuple[Any, ...]]]) -> float:
    connection = connect(path)
    literals = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in FIXED.values())
    statement = (
        f"INSERT INTO driver({', '.join((*COLUMNS, *FIXED))})"
        f" VALUES ({', '.join('?' * len(COLUMNS))}, {literals})"
    )
    began = time.perf_counter()
    for batch in batches:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, batch)
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return took


def through_edgekit(path: Path, batches: list[list[tuple[Any, ...]]], *, upsert: bool) -> float:
    with edgekit.open(path):
        began = time.perf_counter()
        for batch in batches:
            with db.change(reason="bulk"):
                if upsert:
                    bulk.upsert_rows("driver", COLUMNS, ("organization_id", *KEY), batch)
                else:
                    bulk.insert_rows("driver", COLUMNS, batch)
        return time.perf_counter() - began


def through_peewee(path: Path, batches: list[list[tuple[Any, ...]]]) -> float:
    database = peewee.SqliteDatabase(path, pragmas=PRAGMAS)
    kinds = {
        name: peewee.IntegerField() if name == "violation_points" else peewee.TextField() for name in COLUMNS
    }
    meta = type("Meta", (), {"database": database, "table_name": "driver"})
    model = type("Driver", (peewee.Model,), {**kinds, "Meta": meta})
    fields = list(kinds.values())
    began = time.perf_counter()
    for batch in batches:
        with database.atomic():
            for start in range(0, len(batch), 500):  # a statement has at most 32,766 values
                model.insert_many(batch[start : start + 500], fields=fields).execute()
    took = time.perf_counter() - began
    database.close()
    return took


def through_sqlite_utils(path: Path, batches: list[list[tuple[Any, ...]]]) -> float:
    connection = connect(path)
    connection.isolation_level = ""
    table = sqlite_utils.Database(connection)["driver"]
    began = time.perf_counter()
    for batch in batches:
        table.insert_all(
            ({**dict(zip(COLUMNS, row, strict=True)), **FIXED} for row in batch), batch_size=BATCH
        )
    took = time.perf_counter() - began
    connection.close()
    return took


def prepare(folder: Path) -> tuple[Path, Path]:
    """Make a fresh file, and one of which every trigger is dropped."""
    with_triggers = edgekit.create(folder / "with.db")
    without = folder / "without.db"
    shutil.copy(with_triggers, without)
    connection = connect(without)
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.close()
    return with_triggers, without


def fresh(
    folder: Path, start: Path, count: int, run: Callable[[Path], float], *, logged: int
) -> Callable[[], float]:
    def once() -> float:
        gc.collect()
        path = folder / "out.db"
        for old in folder.glob("out.db*"):
            old.unlink()
        shutil.copy(start, path)
        took = run(path)
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT count(*) FROM driver").fetchone() == (count,)
        entries = (
            "SELECT count(*) FROM audit_log l JOIN audit_table t ON t.id = l.table_id WHERE t.name = 'driver'"
        )
        assert connection.execute(entries).fetchone() == (logged,)
        connection.close()
        return took

    return once


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rows = make_rows(options.rows)
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    gc.freeze()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full, bare = prepare(folder)
        unaudited = partial(fresh, folder, bare, len(rows), logged=0)
        audited = partial(fresh, folder, full, len(rows), logged=len(rows))
        limit = "executemany, no trigger (the limit)"
        took = take_turns(
            {
                limit: unaudited(lambda path: raw(path, batches)),
                "edgekit bulk.insert_rows, audited": audited(
                    lambda path: through_edgekit(path, batches, upsert=False)
                ),
                "edgekit bulk.upsert_rows, audited": audited(
                    lambda path: through_edgekit(path, batches, upsert=True)
                ),
                "edgekit bulk.insert_rows, every trigger dropped": unaudited(
                    lambda path: through_edgekit(path, batches, upsert=False)
                ),
                f"peewee {peewee.__version__} insert_many, unaudited": unaudited(
                    lambda path: through_peewee(path, batches)
                ),
                "sqlite-utils insert_all, unaudited": unaudited(
                    lambda path: through_sqlite_utils(path, batches)
                ),
            },
            options.rounds,
        )
    print(f"{len(rows):,} rows in transactions of {BATCH:,}, {options.rounds} rounds\n")
    print("| variant | rows/s | ratio (lowest, highest) |\n|---|---:|---:|")
    for variant, (middle, low, high) in ratios(took, limit).items():
        rate = len(rows) / statistics.median(took[variant])
        print(f"| {variant} | {rate:,.0f} | {middle:.2f} ({low:.2f}, {high:.2f}) |")


if __name__ == "__main__":
    main()
