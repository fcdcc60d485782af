"""A process that is killed while it replaces keys leaves every secret readable."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit import db, integrations, vault
from edgekit.file.verify import verify
from edgekit.vault import fields, keys

if TYPE_CHECKING:
    from pathlib import Path


# The process says when it begins, so that the start of Python is no part of the time until the kill.
ROTATE = """
import sys, edgekit
from edgekit import vault
with edgekit.open(sys.argv[1]):
    print("ready", flush=True)
    while True:
        vault.rotate() if sys.argv[2] == "data" else vault.rotate_master()
        print("done", flush=True)
"""


def prepare(folder: Path, secrets: int) -> tuple[Path, dict[str, str]]:
    path = edgekit.create(folder / "edge.db")
    with edgekit.open(path):
        vault.init()
        integrations.create("cars", template="csv-import", settings={"path": "a.csv", "table": "vehicle"})
        stored = {f"key_{number}": f"secret {number} {os.urandom(6).hex()}" for number in range(secrets)}
        with db.change(reason="many secrets"):
            for key, value in stored.items():
                integrations.set_credential("cars", key, value)
    vault.lock()
    return path, stored


def rotate_and_kill(path: Path, what: str, after: float) -> int:
    """Rotate without end in a process of its own, and kill it; return how many rotations it finished."""
    process = subprocess.Popen(
        [sys.executable, "-c", ROTATE, str(path), what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        _, complaint = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        return said.count("done")
    raise AssertionError(complaint)


def check(path: Path, stored: dict[str, str]) -> None:
    """Open every secret as the next process would, and find each key of the file whole."""
    with edgekit.open(path):
        assert vault.status().problem is None
        open_keys = keys.unlock()
        (table,) = [one for one in fields.tables(db.connection()) if one.name == "integration_credential"]
        found = {open_keys.open(value, row.place(name)) for row in fields.sealed_rows(db.connection(), table)
                 for name, value in row.values.items()}  # fmt: skip
        assert found == {value.encode() for value in stored.values()}
        used = db.query("SELECT DISTINCT encryption_key_id AS id FROM integration_credential")
        assert [row["id"] for row in used] == [keys.data()[0].id], "all or nothing was sealed anew"
    vault.lock()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_sixty_kills_leave_every_secret_readable(tmp_path: Path) -> None:
    dice = random.Random(1)
    path, stored = prepare(tmp_path, 400)
    finished = 0
    for number in range(60):
        finished += rotate_and_kill(path, "master" if number % 2 else "data", dice.uniform(0.02, 0.4))
        check(path, stored)
    assert verify(path) == []
    assert finished > 0, "none of them was through, so the kills came too early"


STAGES = ("crypto.encrypt", "keys.add", "keys.rewrap", "fields.write", "_prove", "_forget_old_pages")
"""What a rotation does, step by step; it is killed as each begins."""

STOP = """
import os, signal, sys, edgekit
from edgekit import crypto, vault
from edgekit.vault import fields, keys, rotation
home, _, name = sys.argv[3].rpartition(".")
module = {"": rotation, "crypto": crypto, "keys": keys, "fields": fields}[home]
with edgekit.open(sys.argv[1]):
    setattr(module, name, lambda *_, **__: os._exit(9))
    vault.rotate() if sys.argv[2] == "data" else vault.rotate_master()
"""


@pytest.mark.parametrize("what", ["master", pytest.param("data", marks=pytest.mark.slow)])
def test_a_kill_at_each_step_leaves_every_secret_readable(tmp_path: Path, what: str) -> None:
    path, stored = prepare(tmp_path, 20)
    before = None
    for stage in STAGES:
        if what == "data" and stage in {"keys.rewrap", "_prove"}:
            continue
        with edgekit.open(path):
            before = [one.id for one in keys.data()]
        done = subprocess.run([sys.executable, "-c", STOP, str(path), what, stage], check=False)
        assert done.returncode == 9, stage
        check(path, stored)
        with edgekit.open(path):
            is_through = [one.id for one in keys.data()] != before
        assert is_through == (stage == "_forget_old_pages"), stage
