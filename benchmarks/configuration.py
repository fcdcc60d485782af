"""How long it takes to ask what is configured: python configuration.py [rounds]

Beside a dict (the limit) and dynaconf (which knows no scopes). The variants take turns, in rounds so short
that a busy machine leaves most of them alone; a figure is the median, the multiple is of the dict within a
round. Then a second process commits, time and again, while this one keeps asking: how long after a commit did
the last stale answer come?
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynaconf import Dynaconf
from rounds import take_turns

import edgekit
from edgekit import configuration, db
from edgekit.configuration import resolving

if TYPE_CHECKING:
    from collections.abc import Callable

KIND, KEY, PLACE = "DCS_LIMITS", "requests_per_minute", {"program": "AUTO"}


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = edgekit.create(Path(folder) / "edge.db")
        with edgekit.open(path):
            _fill()
            took = take_turns(_variants(folder), rounds)
            _report(took, rounds)
            _report_seen(path)


def _fill() -> None:
    """Set something at five levels, and as much again for programs nobody asks about."""
    with db.change(reason="benchmark"):
        run = db.connection().execute
        run("INSERT INTO program(code, name) VALUES ('AUTO', 'x')")
        run("INSERT INTO producer(code, name) VALUES ('NORTH', 'x')")
        run(
            "INSERT INTO entity(code, name, entity_type_id, program_id, producer_id)"
            " VALUES ('DMV', 'x', 1, 1, 1)"
        )
        for number in range(200):
            run("INSERT INTO program(code, name) VALUES (?, 'x')", (f"P{number}",))
            configuration.set(KIND, KEY, 10 + number, scope=f"program:P{number}")
        for number, scope in enumerate(("organization", "program:AUTO", "producer:NORTH", "entity:DMV")):
            configuration.set(KIND, KEY, 50 + number, scope=scope)


def _variants(folder: str) -> dict[str, Callable[[], float]]:
    plain = {(KIND, "AUTO"): {KEY: 51, "daily_limit": 10000}}
    settings = Path(folder) / "settings.json"
    settings.write_text('{"default": {"requests_per_minute": 51}}', encoding="utf-8")
    dyna = Dynaconf(settings_files=[str(settings)], environments=True)
    place = (None, "AUTO", None, None, None)
    deep = (None, None, None, "DMV", None)
    return {
        "dict": _timed(lambda: plain[KIND, "AUTO"][KEY], 300),
        "dynaconf, one layer": _timed(lambda: dyna.get(KEY), 100),
        "resolve, cached": _timed(lambda: configuration.resolve(KIND, **PLACE), 300),
        "get, cached": _timed(lambda: configuration.get(KIND, KEY, **PLACE), 300),
        "resolve a program, uncached": _timed(lambda: resolving.work_out(KIND, *place), 30),
        "resolve an entity, uncached": _timed(lambda: resolving.work_out(KIND, *deep), 30),
        "SELECT 1": _timed(lambda: db.connection().execute("SELECT 1").fetchone(), 200),
    }


def _timed(call: Callable[[], Any], count: int) -> Callable[[], float]:
    def run() -> float:
        started = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - started) / count

    return run


def _report(took: dict[str, list[float]], rounds: int) -> None:
    print(f"Python {sys.version.split()[0]}, {rounds} rounds; 5 levels, 205 documents of the type")
    print("| what | us | times a dict |\n|---|---:|---:|")
    for name, times in took.items():
        multiple = statistics.median(a / b for a, b in zip(times, took["dict"], strict=True))
        print(f"| {name} | {statistics.median(times) * 1e6:.2f} | {multiple:.1f} |")


def _write(path: str, pipe: Any) -> None:
    """Be the other process: set what is asked for, and say when it was committed."""
    with edgekit.open(path):
        while (value := pipe.recv()) is not None:
            configuration.set(KIND, KEY, value, scope="program:AUTO")
            pipe.send(time.monotonic())


def _report_seen(path: Path, commits: int = 50) -> None:
    """Ask without a pause, and take the time from a commit to the last question answered as before it."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    other = multiprocessing.get_context("spawn").Process(target=_write, args=(str(path), theirs))
    other.start()
    late = []
    for value in range(1000, 1000 + commits):
        ours.send(value)
        asked = stale = time.monotonic()
        while configuration.get(KIND, KEY, **PLACE) != value:
            asked, stale = time.monotonic(), asked
        late.append(max(stale - ours.recv(), 0.0) * 1e3)
    ours.send(None)
    other.join()
    late.sort()
    print(
        f"the last stale answer came {statistics.median(late):.1f} ms after another process's commit"
        f" (the slowest of {commits}: {late[-1]:.1f} ms)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
