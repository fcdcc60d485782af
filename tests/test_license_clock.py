"""The clock of a file cannot be set back, and a clock that was ahead bricks nothing."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import edgekit
from edgekit import clock, db, models
from edgekit.errors import DeniedError, InvalidError
from edgekit.file.verify import verify
from edgekit.licensing import clock as lib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.db import Database

DAY = timedelta(days=1)


class Computer:
    """The clock of a computer, which a test sets."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC).replace(microsecond=0) + DAY

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch) -> Computer:
    computer = Computer()
    monkeypatch.setattr(clock, "now", computer)
    return computer


@pytest.fixture
def licensed(computer: Computer, edge_file: Path) -> Iterator[Database]:
    """A file that has a clock, as one with a licence has."""
    opened = edgekit.open(edge_file)
    _work(opened)
    with opened.change(reason="first licence"):
        lib.advance(computer.at)
    yield opened
    opened.close()


def _work(opened: Database) -> None:
    with opened.change(reason="work"):
        pass


def test_a_file_without_a_licence_has_no_clock(edge: Database) -> None:
    past = datetime(2001, 1, 1, tzinfo=UTC)
    assert lib.read(edge.connection(), past) == lib.Reading(past, None)
    assert lib.effective_now(past) == past
    assert not lib.keep(edge.connection(), edge.path, clock.now() + DAY)


@pytest.mark.parametrize(
    ("back", "state", "words"),
    [
        (timedelta(0), "right", None),
        (timedelta(minutes=4), "right", None),
        (timedelta(hours=1), "behind", "is 1 hour behind"),
        (timedelta(days=365), "set_back", "was set back by 365 days"),
    ],
)
def test_an_hour_and_a_year_back(
    licensed: Database, computer: Computer, back: timedelta, state: str, words: str | None
) -> None:
    seen = computer.at
    computer.at -= back
    found = lib.read(licensed.connection())
    assert (found.state, found.behind, found.effective) == (state, back, seen)
    assert lib.effective_now() == seen
    assert (found.warning is None) == (words is None) == (found.remedy == "")
    assert words is None or words in str(found.warning)
    _work(licensed)  # a change at the wrong time does not hide what was seen
    assert lib.effective_now() == seen


def test_the_clock_goes_on_with_every_change_and_with_use(licensed: Database, computer: Computer) -> None:
    computer.at += timedelta(minutes=20)
    assert not lib.keep(licensed.connection(), licensed.path), "once an hour is enough"
    _work(licensed)
    seen = computer.at
    assert lib.effective_now(seen - DAY) == seen, "the log alone says so"
    computer.at += 2 * DAY
    path = licensed.path
    licensed.close()
    with edgekit.open(path) as opened:  # whoever closes it notes the time
        assert opened.query("SELECT clock_at FROM system") == [{"clock_at": clock.to_text(computer.at)}]
        assert lib.effective_now(seen) == computer.at
        assert not opened.connection().in_transaction
    assert verify(path) == []


def test_nobodys_work_fails_for_the_clock(licensed: Database, computer: Computer) -> None:
    computer.at += DAY
    other = sqlite3.connect(licensed.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not lib.keep(licensed.connection(), licensed.path)
    other.close()
    assert not lib.keep(licensed.connection(), licensed.path.with_name("none.db"))
    assert lib.keep(licensed.connection(), licensed.path)


def test_the_clock_goes_on_whoever_works(licensed: Database, computer: Computer) -> None:
    with licensed.change(reason="staff"):
        models.User.create(username="maria", organization=1, role=models.Role.get(code="VIEWER"))
    licensed.close()
    computer.at += 2 * DAY
    with edgekit.open(licensed.path, actor="maria") as opened:
        assert lib.effective_now() == computer.at
        with pytest.raises(DeniedError), opened.change():
            lib.put_right(computer.at - DAY)
    with edgekit.open(licensed.path) as opened:
        assert lib.effective_now(computer.at - DAY) == computer.at


def test_a_clock_that_was_ahead_is_believed_again(licensed: Database, computer: Computer) -> None:
    right = computer.at + timedelta(hours=2)
    computer.at += 3650 * DAY
    _work(licensed)
    lib.keep(licensed.connection(), licensed.path)
    computer.at = right
    _work(licensed)
    assert lib.read(licensed.connection()).state == "set_back"
    found = lib.accept(reason="the battery was empty")
    assert (found.state, found.effective) == ("right", right)
    said = licensed.query("SELECT reason FROM audit_transaction ORDER BY id DESC LIMIT 1")[0]["reason"]
    assert said.startswith("clock accepted: the battery was empty")
    computer.at -= timedelta(hours=3)
    assert lib.effective_now() == right, "from there it goes on as before"


def test_whoever_worked_until_then_cannot_go_back(licensed: Database, computer: Computer) -> None:
    for _ in range(40):
        computer.at += DAY
        _work(licensed)
    seen = computer.at
    computer.at -= 20 * DAY
    with pytest.raises(DeniedError, match="without a leap") as refused:
        lib.accept(reason="it was wrong")
    assert "--sets-clock" in str(refused.value.hint)
    assert lib.effective_now() == seen


def test_a_leap_is_taken_back_once_and_within_a_week(licensed: Database, computer: Computer) -> None:
    right = computer.at
    computer.at += 100 * DAY
    for _ in range(9):
        computer.at += DAY
        _work(licensed)
    computer.at = right
    with pytest.raises(DeniedError, match="more than 7 days"):
        lib.accept(reason="it was wrong")
    _work(licensed)
    computer.at += 300 * DAY
    _work(licensed)
    computer.at = right
    with pytest.raises(DeniedError, match="more than once"):
        lib.accept(reason="it was wrong")


def test_what_only_the_stored_time_says_is_the_vendors(licensed: Database, computer: Computer) -> None:
    with pytest.raises(InvalidError, match="is right"):
        lib.accept(reason="no reason")
    with licensed.change(reason="a hand in the table"):
        lib.advance(computer.at + 400 * DAY)
    with pytest.raises(DeniedError, match="no change of this file was made later"):
        lib.accept(reason="it was wrong")


def test_nonsense_in_the_log_is_no_time(licensed: Database, computer: Computer) -> None:
    licensed.connection().execute("INSERT INTO audit_transaction(performed_at) VALUES ('tomorrow')")
    assert db.current().open_change is None
    assert lib.effective_now() == computer.at
