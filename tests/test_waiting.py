"""How a change waits for another writer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edgekit import db, sqlite
from edgekit.errors import BusyError

if TYPE_CHECKING:
    from edgekit.db import Database


def test_a_change_looks_often_whether_another_writer_has_ended(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    with closing(sqlite3.connect(edge.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 20:
                other.execute("ROLLBACK")

        monkeypatch.setattr("edgekit.sqlite.time.sleep", sleep)
        with db.change():
            edge.connection().execute("UPDATE system SET name = 'Another'")
    assert len(waits) == 20
    assert max(waits) < 0.01, "who looks seldom is never first"
    assert db.query("SELECT name FROM system") == [{"name": "Another"}]


def test_a_change_gives_up_and_the_connection_is_as_patient_as_before(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(edge.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0)
        with pytest.raises(BusyError), db.change():
            pass
    assert edge.connection().execute("PRAGMA busy_timeout").fetchone() == (10_000,)
    with db.change():
        edge.connection().execute("UPDATE system SET name = 'Another'")
    assert edge.connection().execute("PRAGMA busy_timeout").fetchone() == (10_000,)
