"""How long a command takes to start, against a Python that does nothing: python startup.py [rounds]

The rounds are interleaved, so that a busy moment of the machine falls on all alike; the figure is the median.
Bytecode is written before the rounds that count, as it is for an installed program.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import edgekit

AIMS = {
    "edgekit --help": 4.0,
    "edgekit status": 8.0,
    "edgekit audit log": 8.0,
    "edgekit producers list": 8.0,
    "edgekit integrations list": 8.0,
}
FLOOR = "python -c pass"


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = edgekit.create(Path(folder) / "edge.db")
        commands = _commands(str(path))
        compiled = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(folder) / "compiled")}
        compiled.pop("PYTHONDONTWRITEBYTECODE", None)
        took: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 2):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=compiled)
                if number >= 2:  # the first rounds fill the caches
                    took[name].append(time.perf_counter() - started)
    floor = statistics.median(took[FLOOR])
    print(f"Python {sys.version.split()[0]}, {rounds} rounds")
    print("| command | ms | times the floor | aim |\n|---|---:|---:|---:|")
    for name, times in took.items():
        middle = statistics.median(times)
        aim = f"{AIMS[name]:.0f}" if name in AIMS else ""
        print(f"| `{name}` | {middle * 1e3:.1f} | {middle / floor:.2f} | {aim} |")


def _commands(path: str) -> dict[str, list[str]]:
    python = sys.executable
    program = str(Path(python).with_name("edgekit.exe" if os.name == "nt" else "edgekit"))
    return {
        FLOOR: [python, "-c", "pass"],
        "python -c 'import click'": [python, "-c", "import click"],
        "python -c 'import peewee'": [python, "-c", "import peewee"],
        "edgekit --help": [program, "--help"],
        "edgekit status": [program, "--db", path, "status"],
        "edgekit audit log": [program, "--db", path, "audit", "log"],
        "edgekit verify": [program, "--db", path, "verify"],
        "edgekit producers list": [program, "--db", path, "producers", "list"],
        "edgekit integrations list": [program, "--db", path, "integrations", "list"],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
