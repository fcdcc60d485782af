"""A backup that is killed leaves no half file that counts, and no old one is deleted for it."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit.file import daily, kept
from edgekit.file.backup import unpack
from edgekit.file.backup_settings import set_settings, settings
from edgekit.file.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2027, 3, 5, 12, 30, tzinfo=UTC)

_DAYS = """
import sys
from datetime import datetime, timedelta
import edgekit
from edgekit.file import daily
with edgekit.open(sys.argv[1]):
    now = datetime.fromisoformat(sys.argv[2])
    print("ready", flush=True)
    while True:
        daily.run(now=now)
        now += timedelta(days=1)
        print(now.isoformat(), flush=True)
"""


@pytest.mark.slow
def test_a_backup_killed_at_any_moment_leaves_whole_ones_only(edge_file: Path, tmp_path: Path) -> None:
    rng = random.Random(7)
    stick = tmp_path / "stick"
    with edgekit.open(edge_file):
        set_settings({"keep_daily": 2, "keep_weekly": 0, "keep_monthly": 0, "second_folder": str(stick)})
        folder = settings().folder
        for number in range(2):
            daily.run(now=NOW - timedelta(days=2 - number))
    now = NOW
    for _ in range(15):
        before = {path.name for path in folder.iterdir()}
        process = subprocess.Popen(
            [sys.executable, "-c", _DAYS, str(edge_file), now.isoformat()], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            process.wait(rng.uniform(0.02, 1.5))
        except subprocess.TimeoutExpired:
            process.kill()
        done = process.communicate()[0].split()
        assert process.returncode not in {0, 1}
        made = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        if (
            not done
        ):  # killed before it said so, but maybe after it was done: an old one goes behind a new one
            lost = {name for name in before if not name.startswith(".")} - made
            assert len(lost) <= len(made - before) <= 1
        assert len(made) >= 2
        _hold(edge_file, folder, tmp_path)
        _hold(edge_file, stick, tmp_path)
        now = max([now, *map(datetime.fromisoformat, done)]) + timedelta(days=1)
    with edgekit.open(edge_file):
        daily.run(now=now)
        there = [one for one in kept.list_backups(now=now) if one.path.parent == folder and one.is_there]
        assert [one.kept_as for one in there] == ["daily", "daily"]
        assert len([path for path in stick.iterdir() if not path.name.startswith(".")]) == 2
    assert verify(edge_file) == []


def _hold(edge_file: Path, folder: Path, tmp_path: Path) -> None:
    """Each archive that has a name is whole, and the file knows it."""
    shell = sqlite3.connect(edge_file)
    noted = {path for (path,) in shell.execute("SELECT path FROM backup WHERE pruned_at IS NULL")}
    shell.close()
    for path in folder.iterdir():
        if not path.name.startswith("."):
            unpack(path, tmp_path / "proof.db")
            (tmp_path / "proof.db").unlink()
            assert str(path) in noted
