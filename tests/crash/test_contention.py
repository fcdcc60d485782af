"""Eight processes and their threads at one file: nobody is told that it is locked, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "contention.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_eight_processes_at_one_file(tmp_path: Path) -> None:
    """The script for longer spans is the same: `python benchmarks/contention.py 300`."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "15"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    *_, checked = lines = done.stdout.splitlines()
    assert checked == "verify: clean", done.stdout
    rows = [line.split() for line in lines[1:-1]]
    assert len(rows) == 8
    for role, count, *_, told in rows:
        assert int(count) > 0, role
        assert told == "-", done.stdout
