"""From a source to rows: edgekit beside hand-written code, and beside what a user would take instead.

    python benchmarks/pipeline.py [--records 100000] [--rounds 5] [--source ndjson|http|all]

Each variant is a process of its own and its wall time is taken, start and imports included. The limits are
`json.loads`, a map of 15 fields written by hand and `executemany` into a bare table with its primary key
(WAL, transactions of 1,000, no audit, no check). edgekit runs an integration with 15 typed fields, a JSON
Schema of the mapped row, an audited table and a checkpoint a batch. HTTP serves pages of 1,000 from a process
of its own over one kept connection. The ratio is the median over the rounds of the limit's time / own time in
the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peers
from rounds import ratios, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 1000


# ------------------------------------------------------------------------------------ the children


def read_lines(source: str, loads: Callable[[bytes], Any]) -> Iterator[list[Any]]:
    page: list[Any] = []
    with Path(source).open("rb") as lines:
        for line in lines:
            page.append(loads(line))
            if len(page) == PAGE:
                yield page
                page = []
    if page:
        yield page


def read_pages(source: str, loads: Callable[[bytes], Any]) -> Iterator[list[Any]]:
    from http.client import HTTPConnection

    connection = HTTPConnection(source.removeprefix("http://"))
    link = "/records?page=1"
    while link:
        connection.request("GET", link)
        document = loads(connection.getresponse().read())
        yield document["data"]
        link = document["next"]


def floor(source: str, target: str, decoder: str = "json") -> None:
    from records import FIELDS, by_hand_as_tuple

    loads = json.loads
    if decoder == "msgspec":
        import msgspec

        loads = msgspec.json.decode

    columns = [f"{name} {'REAL' if name == 'premium' else 'TEXT'}" for name, _ in FIELDS]
    connection = sqlite3.connect(target, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    connection.execute(f"CREATE TABLE records ({', '.join(columns)}, PRIMARY KEY (record_id))")
    statement = f"INSERT INTO records VALUES ({', '.join('?' * len(columns))})"
    for page in (read_pages if source.startswith("http") else read_lines)(source, loads):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, [by_hand_as_tuple(record) for record in page])
        connection.execute("COMMIT")
    connection.close()


def run_edgekit(target: str) -> None:
    import edgekit
    from edgekit import runner

    with edgekit.open(target):
        result = runner.run("records")
    assert result.status == "completed", result


def run_without_extras(target: str) -> None:
    for name in ("msgspec", "jsonschema_rs"):
        sys.modules[name] = None  # type: ignore[assignment]
    run_edgekit(target)


def serve(source: str) -> None:
    """Serve the lines of a file in pages, each naming the next; say the port on standard output."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from urllib.parse import parse_qs, urlparse

    starts = [0]  # of pages, in bytes: the file may be larger than memory
    with Path(source).open("rb") as file:
        for number, line in enumerate(file, 1):
            if number % PAGE == 1:
                starts.append(starts[-1])
            starts[-1] += len(line)
    lock = threading.Lock()
    opened = Path(source).open("rb")  # noqa: SIM115 - as long as the process serves

    def page(number: int) -> bytes:
        with lock:
            opened.seek(starts[number - 1])
            lines = opened.read(starts[number] - starts[number - 1])
        following = f'"/records?page={number + 1}"' if number + 1 < len(starts) else "null"
        return b'{"data":[' + lines.rstrip().replace(b"\n", b",") + b'],"next":' + following.encode() + b"}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one go: else Nagle's algorithm waits for the reader
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            number = int(parse_qs(urlparse(self.path).query).get("page", ["1"])[0])
            body = page(number)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def write_source(path: str, count: str) -> None:
    from records import records

    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for start in range(0, int(count), 10_000):
            part = records(min(10_000, int(count) - start), seed=start, first=start + 1)
            file.writelines(
                json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n" for record in part
            )


def prepare(path: str, source: str, triggers: str) -> None:
    """Make the file a run starts from: an audited table and an integration that fills it."""
    from records import FIELDS

    import edgekit
    from edgekit import db, integrations
    from edgekit.integrations import own_tables as tables

    kinds = {name: "REAL" if name == "premium" else "TEXT" for name, _ in FIELDS}
    text = {"type": "string", "minLength": 1, "maxLength": 64}
    schema = {
        "type": "object",
        "required": ["record_id", "licence_no"],
        "additionalProperties": False,
        "properties": {name: text for name, _ in FIELDS}
        | {"premium": {"type": "number", "minimum": 0}, "first_violation": {"type": ["string", "null"]}},
    }
    connection: dict[str, Any] = {"connector": "file", "path": source, "format": "ndjson"}
    if source.startswith("http"):
        connection = {
            "connector": "http",
            "base_url": source,
            "path": "/records",
            "records": "$.data",
            "pagination": {"kind": "next_link", "next_path": "$.next"},
        }
    edgekit.create(path)
    with edgekit.open(path):
        tables.create("records", kinds, key=["record_id"])
        with db.change(reason="a template without settings of its own"):
            db.connection().execute(
                "INSERT INTO integration_template(code, template_name, version, integration_type_id,"
                " template_category_id, connection_template, mapping_templates)"
                """ SELECT 'records', 'Records', '1.0.0', id, 1, '{}', '{"mappings": []}'"""
                " FROM integration_type WHERE code = 'REST_API'"
            )
        integrations.create(
            "records",
            template="records",
            customizations={
                "connection": {**connection, "table": "records", "key": "record_id"},
                "mappings": [
                    {
                        "name": name,
                        "source_path": path,
                        "target_path": name,
                        "target_data_type": "number" if name == "premium" else "string",
                    }
                    for name, path in FIELDS
                ],
                "pipeline": {
                    "steps": [
                        {"name": "map", "type": "map"},
                        {"name": "check", "type": "validate", "schema": schema},
                    ]
                },
            },
        )
        if triggers == "no":
            connected = db.connection()
            for (name,) in connected.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'records'"
            ).fetchall():
                connected.execute(f'DROP TRIGGER "{name}"')


CHILDREN: dict[str, Callable[..., None]] = {
    "floor": floor,
    "edgekit": run_edgekit,
    "without-extras": run_without_extras,
    "serve": serve,
    "write": write_source,
    "prepare": prepare,
}


# ------------------------------------------------------------------------------------ the rounds


def child(name: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, __file__, "child", name, *map(str, arguments)]


class Bench:
    """The variants of one source, their files and what they took."""

    def __init__(self, folder: Path, source: str, count: int) -> None:
        self.folder = folder
        self.source = source
        self.count = count
        self.target = folder / "out.db"
        self.peaks: dict[str, float] = {}

    def prepared(self, *, triggers: bool = True) -> Path:
        kind = "http" if self.source.startswith("http") else "file"
        path = self.folder / f"prepared-{kind}-{'with' if triggers else 'without'}.db"
        subprocess.run(child("prepare", path, self.source, "yes" if triggers else "no"), check=True)
        return path

    def variant(self, name: str, command: list[str], start: Path | None = None) -> Callable[[], float]:
        def run() -> float:
            for old in self.folder.glob("out.db*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            if start is not None:
                shutil.copy(start, self.target)
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            self.wait(name, process)
            took = time.perf_counter() - began
            if process.returncode:
                raise SystemExit(f"{name} failed")
            connection = sqlite3.connect(self.target)
            assert connection.execute("SELECT count(*) FROM records").fetchone() == (self.count,), name
            connection.close()
            return took

        return run

    def wait(self, name: str, process: subprocess.Popen[bytes]) -> None:
        if not hasattr(os, "wait4"):  # Windows tells no peak memory of a child
            process.wait()
            return
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        size = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
        self.peaks[name] = max(size, self.peaks.get(name, 0.0))

    def variants(self) -> dict[str, Callable[[], float]]:
        ours = self.prepared()
        found = {
            "by hand (the limit)": (child("floor", self.source, self.target), None),
            "by hand, decoding with msgspec": (child("floor", self.source, self.target, "msgspec"), None),
            "edgekit with the fast extra": (child("edgekit", self.target), ours),
            "edgekit without it": (child("without-extras", self.target), ours),
            "edgekit with the fast extra, its table's triggers dropped": (
                child("edgekit", self.target),
                self.prepared(triggers=False),
            ),
        }
        found |= {name: (command, None) for name, command in peers.commands(self.source, self.target).items()}
        return {name: self.variant(name, *rest) for name, rest in found.items()}

    def report(self, rounds: int, only: str) -> None:
        variants = self.variants()
        limit = next(iter(variants))
        variants = {name: run for name, run in variants.items() if name == limit or only in name}
        took = take_turns(variants, rounds)
        kind = "HTTP, pages of 1,000" if self.source.startswith("http") else "NDJSON"
        print(f"\n{kind}: {self.count:,} records, {rounds} rounds\n")
        print("| variant | records/s | ratio (lowest, highest) | peak MB |\n|---|---:|---:|---:|")
        for name, (middle, low, high) in ratios(took, limit).items():
            rate = self.count / statistics.median(took[name])
            peak = f"{self.peaks[name]:.0f}" if name in self.peaks else "-"
            print(f"| {name} | {rate:,.0f} | {middle:.2f} ({low:.2f}, {high:.2f}) | {peak} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--source", choices=["ndjson", "http", "all"], default="all")
    parser.add_argument("--only", default="", help="variants whose name holds this text, and the limit")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = folder / "in.ndjson"
        # Made by a child: what this process once held would count as the memory of every later child.
        subprocess.run(child("write", lines, str(options.records)), check=True)
        if options.source in {"ndjson", "all"}:
            Bench(folder, str(lines), options.records).report(options.rounds, options.only)
        if options.source in {"http", "all"}:
            with subprocess.Popen(child("serve", lines), stdout=subprocess.PIPE, text=True) as server:
                try:
                    assert server.stdout is not None
                    bench = Bench(
                        folder, f"http://127.0.0.1:{int(server.stdout.readline())}", options.records
                    )
                    bench.report(options.rounds, options.only)
                finally:
                    server.terminate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        CHILDREN[sys.argv[2]](*sys.argv[3:])
    else:
        main()
