"""How a runner is asked to stop, what it notices of clocks and other writers, and its log."""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import db
from edgekit.errors import InvalidError
from edgekit.runner.process import clockwork, signals, telling, tidying
from edgekit.runner.process.until import read_until
from edgekit.runner.process.watch import Watch

if TYPE_CHECKING:
    from edgekit.db import Database

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_each_signal_asks_and_the_handlers_from_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    for number in (signal.SIGTERM, signal.SIGINT):
        stop = signals.Stop()
        with signals.heard_by(stop):
            assert not stop.is_asked
            signal.raise_signal(number)
            assert stop.wait(5)
        assert stop.is_interrupt is (number == signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_parent_has_said_to_ignore_is_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stop = signals.Stop()
        with signals.heard_by(stop):
            signal.raise_signal(signal.SIGINT)
        assert not stop.is_asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_asked_twice_at_once_is_asked_once_and_later_it_is_urgent(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = signals.Stop()
    stop.ask()
    stop.ask()
    assert (stop.is_asked, stop.is_urgent) == (True, False)
    monkeypatch.setattr(signals, "_PATIENCE", -1.0)
    stop.ask()
    assert stop.is_urgent


def test_a_windows_console_that_closes_waits_for_the_runner_to_end() -> None:
    stop = signals.Stop()
    assert signals.hear_console(stop, 0) == 0, "Ctrl-C comes as a signal"
    assert not stop.is_asked
    answers: list[int] = []
    asked = threading.Thread(target=lambda: answers.append(signals.hear_console(stop, 2, seconds=60)))
    asked.start()
    assert stop.wait(5)
    assert answers == [], "Windows would end the process now"
    stop.tell_ended()
    asked.join(5)
    assert (answers, stop.is_urgent) == ([1], False)
    slow = signals.Stop()
    assert signals.hear_console(slow, 6, seconds=0.02) == 1
    assert slow.is_urgent, "half the time was enough of patience"


@pytest.mark.usefixtures("edge")
def test_a_watch_notices_sleep_and_a_clock_set_back_but_no_passing_of_time() -> None:
    wall, steady = [NOW], [100.0]
    watch = Watch(wall=lambda: wall[0], steady=lambda: steady[0])

    def pass_by(*, wall_seconds: float, steady_seconds: float) -> timedelta | None:
        wall[0] += timedelta(seconds=wall_seconds)
        steady[0] += steady_seconds
        return watch.find_jump()

    assert pass_by(wall_seconds=0.25, steady_seconds=0.25) is None
    assert pass_by(wall_seconds=3600, steady_seconds=3600) is None, (
        "the process stood still, no clock was set"
    )
    slept = pass_by(wall_seconds=3 * 86400, steady_seconds=0.3)
    assert slept is not None
    assert "3 d" in telling.tell_jump(slept)
    assert pass_by(wall_seconds=0.25, steady_seconds=0.25) is None, "it is told once"
    back = pass_by(wall_seconds=-7200, steady_seconds=0.25)
    assert back is not None
    assert "set back by 2 h" in telling.tell_jump(back)


@pytest.mark.usefixtures("edge")
def test_the_clockwork_ends_though_a_thread_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clockwork, "_LEAVE_SECONDS", 0.05)
    told: list[Any] = []
    work = clockwork.Clockwork(1, beat=lambda: None, beat_failed=told.append, work_failed=told.append)
    late, is_at_work = threading.Event(), threading.Event()

    def dawdle() -> None:
        is_at_work.set()
        late.wait(20)

    work.start()
    work.run(dawdle)
    assert is_at_work.wait(20)
    threading.Timer(0.2, late.set).start()
    work.stop(wait=True)
    assert told == []


def test_a_watch_sees_what_others_commit(edge: Database) -> None:
    watch = Watch()
    assert not watch.has_changed()
    with closing(sqlite3.connect(edge.path)) as shell, shell:
        shell.execute("UPDATE system SET name = 'Another'")
    assert watch.has_changed()
    assert not watch.has_changed()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be moved there")
def test_a_watch_sees_that_its_file_was_moved_or_replaced(edge: Database) -> None:
    watch, aside = Watch(), edge.path.with_name("aside.db")
    assert watch.is_in_place()
    edge.path.rename(aside)
    assert not watch.is_in_place()
    edge.path.write_bytes(b"")
    assert not watch.is_in_place()
    aside.replace(edge.path)
    assert watch.is_in_place()


def test_the_log_is_emptied_and_a_reader_is_left_alone(edge: Database) -> None:
    def write() -> None:
        with db.change():
            edge.connection().execute("UPDATE system SET name = name || '.'")

    write()
    assert tidying.log_size(edge.path) > 0
    assert tidying.empty_log(edge.path)
    assert tidying.log_size(edge.path) == 0
    with closing(sqlite3.connect(edge.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        name = reader.execute("SELECT name FROM system").fetchall()
        write()
        assert not tidying.empty_log(edge.path)
        write()  # nobody is in the way of it
        assert reader.execute("SELECT name FROM system").fetchall() == name
    assert tidying.empty_log(edge.path)
    assert tidying.log_size(Path("absent")) == 0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("18:00", NOW.replace(hour=18)),
        ("11:59", NOW.replace(hour=11, minute=59) + timedelta(days=1)),
        ("2026-03-01T13:30", NOW.replace(hour=13, minute=30)),
        ("2026-03-01T13:30+01:00", NOW.replace(hour=12, minute=30)),
    ],
)
def test_until_reads_a_time_of_day_or_a_moment(text: str, at: datetime) -> None:
    assert read_until(text, NOW) == at


@pytest.mark.parametrize("text", ["25:00", "soon", "", "2026-02-28T10:00"])
def test_until_refuses_what_is_no_time_or_is_over(text: str) -> None:
    with pytest.raises(InvalidError):
        read_until(text, NOW)


def test_spans_are_said_in_the_largest_unit_that_fits() -> None:
    assert [telling.tell_span(s) for s in (5, 90, 600, 8000, 400_000)] == [
        "5 s",
        "90 s",
        "10 min",
        "2 h",
        "5 d",
    ]
