"""A real file for every test, opened, with keys of its own and nothing of the machine's user."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sqlite3
import sys
from typing import TYPE_CHECKING

import platformdirs
import pytest

import edgekit
from edgekit import schema
from edgekit.audit import generate
from edgekit.jobs import kinds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.db import Database


NUMBERS = itertools.count(1)


def pytest_configure() -> None:
    """Where no bytecode is to be written into the tree, keep it elsewhere, for the next run too.

    Compiling the tests and what they import takes each worker seven seconds, and each command seconds more.
    """
    if sys.dont_write_bytecode and "PYTHONPYCACHEPREFIX" not in os.environ:
        folder = platformdirs.user_cache_path("edgekit-tests", appauthor=False) / "compiled"
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(folder)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of the test's own, kept where the test fails.

    Pytest's makes a link to each and keeps all: gigabytes written to the disk, milliseconds for each test.
    """
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.getbasetemp() / f"{name}-{next(NUMBERS)}"
    folder.mkdir(mode=0o700)
    failed = request.session.testsfailed
    yield folder
    if request.session.testsfailed == failed:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def _own_home(request: pytest.FixtureRequest, _homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep master keys and settings of the person running the tests out of them."""
    if "tmp_path" in request.fixturenames:
        home = request.getfixturevalue("tmp_path") / "home"
    else:
        home = _homes / str(next(NUMBERS))
    monkeypatch.setenv("EDGEKIT_HOME", str(home))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    for name in ("EDGEKIT_DB", "EDGEKIT_MASTER_KEY", "EDGEKIT_MASTER_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def standing() -> None:
    """Let there be the jobs that always are, such as the daily backup, as there are in life."""


@pytest.fixture(autouse=True)
def _nothing_stands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test have the jobs it asks for and no others, unless it asks for those too: a year has many."""
    if "standing" not in request.fixturenames:
        monkeypatch.setattr(kinds, "standing_kinds", list)


@pytest.fixture(scope="session")
def pattern_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh file, made once: copying it is cheaper than making it for each test. None changes it."""
    made = edgekit.create(tmp_path_factory.mktemp("pattern") / "edge.db", organization="Test Agency")
    fresh = made.read_bytes()
    yield made
    assert made.read_bytes() == fresh, "a test wrote into the file that all others copy"


@pytest.fixture
def edge_file(tmp_path: Path, pattern_file: Path) -> Path:
    """A fresh file, not opened."""
    path = tmp_path / "edge.db"
    shutil.copyfile(pattern_file, path)
    return path


@pytest.fixture
def edge(edge_file: Path) -> Iterator[Database]:
    """A fresh file, opened."""
    with edgekit.open(edge_file) as db:
        yield db


@pytest.fixture
def shell(edge_file: Path) -> Iterator[sqlite3.Connection]:
    """The same file as any other tool would open it: no pragma of ours."""
    connection = sqlite3.connect(edge_file, isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def bare_pattern(pattern_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh file without the generated triggers."""
    path = tmp_path_factory.mktemp("bare") / "bare.db"
    shutil.copyfile(pattern_file, path)
    connection = sqlite3.connect(path, isolation_level=None)
    drop_generated(connection)
    connection.close()
    return path


@pytest.fixture
def bare_shell(tmp_path: Path, bare_pattern: Path) -> Iterator[sqlite3.Connection]:
    """Like `shell`, where only the rules written by hand answer: the order of triggers is undefined."""
    shutil.copyfile(bare_pattern, tmp_path / "bare.db")
    connection = sqlite3.connect(tmp_path / "bare.db", isolation_level=None)
    yield connection
    connection.close()


def drop_generated(connection: sqlite3.Connection) -> None:
    """Drop the triggers `schema/99_audit.sql` makes."""
    names = generate.trigger_names(dict(schema.schema_scripts())[generate.NAME])
    assert names
    connection.execute("BEGIN")
    for name in names:
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("COMMIT")
