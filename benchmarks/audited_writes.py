"""Audited writes against raw ones, on the real `driver` table.

    python benchmarks/audited_writes.py [--rounds 7] [--rows 100000] [--single 10000]

`raw` is the table with its keys, checks, foreign keys and indexes and no trigger; `audited` has every
generated trigger, the guards of the log and its index, and pays for opening and closing each change. All run
once per round in a turning order; a ratio is the median over the rounds of raw time / own time in the same
round. Bytes are what the file grew by over the raw one, per change.
"""

from __future__ import annotations

import argparse
import gc
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from edgekit.audit import schema_sql

SCHEMA = Path(__file__).resolve().parent.parent / "schema"
BATCH = 1_000
TIME = "2026-01-01T00:00:00.000Z"
INSERT = (
    "INSERT INTO driver(first_name, last_name, date_of_birth, license_number, license_state, license_status,"
    " violation_points, verified_at, created_by, updated_by, created_at, updated_at)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
)
UPDATE = (
    "UPDATE driver SET violation_points = ?, license_status = ?, updated_by = ?, updated_at = ? WHERE id = ?"
)
DELETE = "DELETE FROM driver WHERE id = ?"
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


def workload(rows: int) -> list[tuple[str, str, list[tuple]]]:
    r = random.Random(7)
    inserts = [
        (
            f"First{r.randrange(1000)}",
            f"Surname{r.randrange(10**6)}",
            f"19{r.randrange(50, 99)}-0{r.randrange(1, 9)}-1{r.randrange(9)}",
            f"D{i:09d}",
            r.choice(["TX", "CA", "NY", "FL"]),
            "valid",
            r.randrange(12),
            TIME,
            1,
            1,
            TIME,
            TIME,
        )
        for i in range(rows)
    ]
    ids = list(range(1, rows + 1))
    r.shuffle(ids)
    updates = [
        (r.randrange(12, 24), r.choice(["expired", "suspended"]), 1, f"2026-02-01T00:00:{k % 60:02d}.000Z", i)
        for k, i in enumerate(ids[: rows // 5])
    ]
    deletes = [(i,) for i in ids[-rows // 20 :]]
    return [("insert", INSERT, inserts), ("update", UPDATE, updates), ("delete", DELETE, deletes)]


def prepare(path: Path, traits: tuple[str, ...]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "recursive_triggers=ON"):
        connection.execute(f"PRAGMA {pragma}")
    files = [f for f in sorted(SCHEMA.glob("*.sql")) if not f.name.startswith("99_")]
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.executescript("BEGIN;" + "\n".join(f.read_text(encoding="utf-8") for f in files) + "COMMIT;")
    connection.executescript(
        "INSERT INTO status(code, name, is_active) VALUES ('ACTIVE', 'Active', 1);"
        "INSERT INTO organization(code, name) VALUES ('OWN', 'My agency');"
        "INSERT INTO user(username) VALUES ('system');"
    )
    connection.execute("PRAGMA foreign_keys=ON")
    if "triggers" in traits:
        connection.executescript(schema_sql(connection))
    else:
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
    logged = connection.execute("SELECT count(*) FROM audit_log").fetchone()[0]
    assert logged == (sum(len(rows) for _, _, rows in work) if "triggers" in traits else 0)
    connection.close()
    return figures


def measure(title: str, rows: int, batch: int, rounds: int) -> None:
    work = workload(rows)
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
        f"\n{title}: {rows:,} inserts, {rows // 5:,} updates, {rows // 20:,} deletes;"
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
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument(
        "--single", type=int, default=10_000, help="rows of the one-row transactions; 0 leaves them out"
    )
    options = parser.parse_args()
    measure("Batches of 1,000", options.rows, BATCH, options.rounds)
    if options.single:
        measure("One row per transaction", options.single, 1, options.rounds)


if __name__ == "__main__":
    main()
