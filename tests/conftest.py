"""A real file for every test, opened, with keys of its own and nothing of the machine's user."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgekit
from edgekit.db import Database


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep master keys and settings of the person running the tests out of them."""
    monkeypatch.setenv("EDGEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    for name in ("EDGEKIT_DB", "EDGEKIT_MASTER_KEY", "EDGEKIT_MASTER_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def pattern_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh file, made once: copying it is cheaper than making it for each test."""
    return edgekit.create(tmp_path_factory.mktemp("pattern") / "edge.db", organization="Test Agency")


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
