"""A million records, the run killed on its way: is memory flat, is nothing lost and nothing repeated?

    python benchmarks/million.py [--records 1000000] [--kills 3] [--source ndjson|http|all]

Records, table and integration are those of `pipeline.py`. Each process that is killed leaves its batches and
its checkpoint; the next goes on. In the end the table has every record once, all runs together have read each
record once, and `verify` finds nothing.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline import Bench, child


def read_so_far(target: Path) -> int:
    """Count what all runs have read and kept."""
    connection = sqlite3.connect(f"{target.as_uri()}?mode=ro", uri=True, timeout=30)
    try:
        (count,) = connection.execute(
            "SELECT ifnull(sum(records_read), 0) FROM integration_execution"
        ).fetchone()
        return int(count)
    finally:
        connection.close()


def run(bench: Bench, count: int, kills: int) -> None:
    bench.target = bench.prepared()
    began = time.perf_counter()
    for kill in range(1, kills + 1):
        process = subprocess.Popen(child("edgekit", bench.target), stdout=subprocess.DEVNULL)
        while process.poll() is None and read_so_far(bench.target) < count * kill // (kills + 1):
            time.sleep(0.2)
        process.kill()
        bench.wait(f"killed at {read_so_far(bench.target):,}", process)
    process = subprocess.Popen(child("edgekit", bench.target), stdout=subprocess.DEVNULL)
    bench.wait("to its end", process)
    took = time.perf_counter() - began
    assert process.returncode == 0
    # By a child, as everything: what this process once held would count as the memory of every later child.
    command = [sys.executable, "-m", "edgekit", "--db", str(bench.target), "verify", "--json"]
    findings = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)["findings"]
    connection = sqlite3.connect(bench.target)
    (rows,) = connection.execute("SELECT count(*) FROM records").fetchone()
    connection.close()
    kind = "HTTP, pages of 1,000" if bench.source.startswith("http") else "NDJSON"
    print(f"\n{kind}: {count:,} records in {took:.0f} s, {kills} kills included\n")
    print("| process | peak MB |\n|---|---:|")
    for name, peak in bench.peaks.items():
        print(f"| {name} | {peak:.0f} |")
    print(f"\nrows {rows:,}, read by all runs {read_so_far(bench.target):,}, findings of verify: {findings}")
    assert (rows, read_so_far(bench.target), findings) == (count, count, [])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--source", choices=["ndjson", "http", "all"], default="all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = folder / "in.ndjson"
        subprocess.run(child("write", lines, str(options.records)), check=True)
        if options.source in {"ndjson", "all"}:
            run(Bench(folder, str(lines), options.records), options.records, options.kills)
        if options.source in {"http", "all"}:
            with subprocess.Popen(child("serve", lines), stdout=subprocess.PIPE, text=True) as server:
                try:
                    assert server.stdout is not None
                    address = f"http://127.0.0.1:{int(server.stdout.readline())}"
                    run(Bench(folder, address, options.records), options.records, options.kills)
                finally:
                    server.terminate()


if __name__ == "__main__":
    main()
