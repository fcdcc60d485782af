"""What is kept: how long at most, and which commit ends it."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from edgekit import cache, sqlite
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from edgekit.db import Database

NAMES = cache.Region("names of programs", seconds=100, tables=("program",))
ADD = "INSERT INTO program(code, name) VALUES (?, 'x')"


class Clock:
    """A clock that stands still until it is told to move on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(cache, "clock", own)
    return own


@pytest.fixture
def other(edge: Database) -> Iterator[sqlite3.Connection]:
    """What another process writes through."""
    connection = sqlite.connect(edge.path)
    yield connection
    connection.close()


def programs(edge: Database) -> list[str]:
    """Read the codes through the cache."""

    def load() -> list[str]:
        return [code for (code,) in edge.connection().execute("SELECT code FROM program ORDER BY id")]

    return NAMES.get("all", load)


@pytest.mark.ledger("S3-84", "S3-85", "S3-86", "S3-87")
def test_nothing_is_kept_longer_than_its_bound(edge: Database, clock: Clock) -> None:
    bounds = (cache.DASHBOARD_SECONDS, cache.LISTING_SECONDS, cache.CLIENT_SECONDS, cache.STATIC_SECONDS)
    assert [seconds / 60 for seconds in bounds] == [5, 15, 30, 60]
    for region, seconds in ((cache.DASHBOARD, 300), (cache.LISTINGS, 900), (cache.STATIC, 3600)):
        assert region.seconds == seconds
    for number, seconds in enumerate(bounds):
        region = cache.Region(f"bound {number}", seconds=seconds, tables=("program",))
        answers = iter(("first", "second", "third"))
        assert region.get("key", lambda: next(answers)) == "first"  # noqa: B023 - called at once
        clock.now += seconds - 1
        assert region.get("key", lambda: next(answers)) == "first"  # noqa: B023
        clock.now += 1
        assert region.get("key", lambda: next(answers)) == "second"  # noqa: B023


def test_a_change_sees_its_own_writes_and_keeps_none_of_them(edge: Database, clock: Clock) -> None:
    assert programs(edge) == []
    with pytest.raises(ZeroDivisionError), edge.change():
        edge.connection().execute(ADD, ("A",))
        assert programs(edge) == ["A"]
        raise ZeroDivisionError
    assert programs(edge) == []
    with edge.change():
        edge.connection().execute(ADD, ("A",))
    assert programs(edge) == ["A"]


def test_a_commit_of_any_thread_is_seen_at_once(edge: Database, clock: Clock) -> None:
    seen: list[list[str]] = []
    written, looked = threading.Barrier(2, timeout=10), threading.Barrier(2, timeout=10)

    def reader() -> None:
        seen.append(programs(edge))
        looked.wait()
        written.wait()
        seen.append(programs(edge))
        edge.connection().close()

    thread = threading.Thread(target=reader)
    thread.start()
    looked.wait()
    with edge.change():
        edge.connection().execute(ADD, ("A",))
    written.wait()
    thread.join()
    assert seen == [[], ["A"]]


@pytest.mark.ledger("S0-69")
def test_a_commit_of_another_process_is_seen_within_ten_milliseconds(
    edge: Database, other: sqlite3.Connection, clock: Clock
) -> None:
    assert programs(edge) == []
    other.execute(ADD, ("A",))
    assert programs(edge) == []  # not looked yet
    clock.now += 0.005
    assert programs(edge) == ["A"]
    assert cache.LOOK_SECONDS <= 0.005


def test_a_write_of_its_own_past_any_change_is_seen(edge: Database, clock: Clock) -> None:
    assert programs(edge) == []
    edge.connection().execute(ADD, ("A",))
    clock.now += 0.005
    assert programs(edge) == ["A"]


def test_a_real_other_process_is_seen(edge: Database) -> None:
    assert programs(edge) == []
    code = (
        f"import sqlite3; sqlite3.connect({str(edge.path)!r}, isolation_level=None).execute({ADD!r}, ['A'])"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    until = time.monotonic() + 0.010
    while time.monotonic() < until:
        pass
    assert programs(edge) == ["A"]


def test_other_tables_and_an_endless_tail(
    edge: Database, other: sqlite3.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    def look() -> int:
        clock.now += 0.005
        NAMES.get("count", lambda: loads.append(1))
        return len(loads)

    assert look() == 1
    other.execute("INSERT INTO producer(code, name) VALUES ('P', 'x')")
    assert look() == 1  # a busy importer of other rows ends nothing
    other.execute(ADD, ("A",))
    assert (look(), look()) == (2, 2)
    monkeypatch.setattr(cache, "LONGEST_TAIL", 0)
    other.execute("INSERT INTO producer(code, name) VALUES ('Q', 'x')")
    assert look() == 3  # too much to read: everything starts anew


def test_what_a_commit_overtook_while_it_was_made_is_not_kept(
    edge: Database, other: sqlite3.Connection, clock: Clock
) -> None:
    def load() -> int:
        (count,) = edge.connection().execute("SELECT count(*) FROM program").fetchone()
        if not count:
            other.execute(ADD, ("A",))
            clock.now += 0.005
            programs(edge)  # looks, and sees the commit
        return int(count)

    assert NAMES.get("slow", load) == 0
    assert NAMES.get("slow", load) == 1


def test_a_thread_in_the_middle_of_a_reading_does_not_hold_up_others(
    edge: Database, other: sqlite3.Connection, clock: Clock
) -> None:
    rows = edge.connection().execute("SELECT code FROM status UNION ALL SELECT code FROM environment")
    next(rows)  # from here on this thread sees the file as it was
    other.execute(ADD, ("A",))
    clock.now += 0.005
    assert programs(edge) == []
    seen: list[list[str]] = []

    def reader() -> None:
        seen.append(programs(edge))
        edge.connection().close()

    thread = threading.Thread(target=reader)
    thread.start()
    thread.join()
    assert seen == [["A"]]
    rows.fetchall()
    clock.now += 0.005
    assert programs(edge) == ["A"]


def test_a_query_is_kept_until_a_table_it_reads_changes(
    edge: Database, other: sqlite3.Connection, clock: Clock
) -> None:
    sql = "SELECT program_id, config_value FROM v_effective_configuration WHERE config_key = ?"
    region = cache.DASHBOARD
    tables = cache.tables_read(edge.connection(), sql, ("x",))
    assert {"organization", "configuration", "program"} <= tables
    first = region.query(sql, ("daily_limit",))
    assert first
    assert region.query(sql, ("daily_limit",)) is first
    other.execute("INSERT INTO producer(code, name) VALUES ('P', 'x')")
    clock.now += 0.005
    assert region.query(sql, ("daily_limit",)) is first
    other.execute(ADD, ("A",))
    clock.now += 0.005
    assert len(region.query(sql, ("daily_limit",))) == len(first) + 1


def test_a_query_of_a_table_whose_changes_are_not_logged_ends_with_any_commit(
    edge: Database, other: sqlite3.Connection, clock: Clock
) -> None:
    sql = "SELECT count(*) AS n FROM validation_message"
    assert cache.STATIC.query(sql) == [{"n": 0}]
    other.execute(
        "INSERT INTO validation_message(table_name, record_key, code, message) VALUES ('a', '1', 'b', 'c')"
    )
    clock.now += 0.005
    assert cache.STATIC.query(sql) == [{"n": 1}]


def test_a_region_starts_anew_when_it_is_full_or_another_file_is_opened(
    edge: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 2)
    for key in ("a", "b", "c"):
        NAMES.get(key, lambda: "old")
    assert NAMES.get("c", lambda: "new") == "old"
    assert NAMES.get("a", lambda: "new") == "new"
    edge.close()
    with pytest.raises(NotFoundError, match="No file is open"):
        NAMES.get("c", lambda: "new")


def test_every_region_is_made_of_tables_whose_changes_are_logged(edge: Database) -> None:
    for module in ("configuration.resolving", "licensing.checking", "licensing.deciding", "licensing.tiers"):
        importlib.import_module(f"edgekit.{module}")
    logged = {name for (name,) in edge.connection().execute("SELECT name FROM audit_table")}
    assert {r.name: r.tables - logged for r in cache._regions if not r.tables <= logged} == {}
