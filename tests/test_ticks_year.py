"""A year in some seconds: clocks change, the machine sleeps, its clock is set back, and every row is right.

What is expected is worked out here from the calendar of the zone alone, by other means than the product's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from edgekit import clock, db, integrations, jobs, runner
from edgekit.jobs import kinds

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
GRACE = timedelta(seconds=300)


class Here:
    """A pool that runs what is scheduled at once, and nothing else: no backups of a year."""

    runner_id, free = "runner-of-the-test", 100

    def __init__(self) -> None:
        self.busy = {kind.name: 1000 for kind in kinds.standing_kinds()}

    def submit(self, job: jobs.Job) -> None:
        outcome = jobs.perform(job) if job.kind == "integration.run" else jobs.Outcome(job)
        jobs.settle([outcome], now=job.claimed_at)


@pytest.fixture
def source(edge: Database, tmp_path: Path) -> str:
    (tmp_path / "prices.csv").write_text("item,price\nchair,49\n", encoding="utf-8")
    settings = {"path": str(tmp_path / "prices.csv"), "table": "price", "key": "item", "create": "true"}
    integrations.create("prices", template="csv-import", settings=settings)
    return "prices"


def local(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Say when a clock on the wall shows a time, or what it shows instead right after a gap; in UTC."""
    shown = datetime.combine(day, at)
    while True:
        moment = shown.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == shown:
            return moment
        shown += MINUTE


def every_day(at: time, zone: str, first: date, last: date) -> list[datetime]:
    days = (last - first).days + 1
    return [local(first + n * DAY, at, ZoneInfo(zone)) for n in range(days)]


@dataclass
class Journey:
    """Ticks as a runner makes them, with sleeps and a clock that is set back; and the moments of all."""

    now: datetime
    pool: Here
    moments: list[datetime]

    def tick(self, now: datetime) -> datetime | None:
        self.now = now
        self.moments.append(now)
        while (done := runner.tick(now, pool=self.pool)).claimed:
            pass
        return done.wake_at

    def until(self, end: datetime) -> None:
        """Wake when the runner asks to be, at the earliest a second later, as far as a time."""
        while (wake := self.tick(self.now)) is not None and wake < end:
            self.now = max(wake, self.now + timedelta(seconds=1))
        self.now = end

    def sleep(self, span: timedelta) -> None:
        self.now += span


def expected(due: list[datetime], moments: list[datetime], missed: str) -> dict[datetime, str]:
    """Say of each due time what becomes of it, at the first moment that is not before it."""
    said: dict[datetime, str] = {}
    for now in moments:
        # Set back, what was noted for times that have not come is no longer so; what ran, ran.
        said = {at: what for at, what in said.items() if at <= now or what == "completed"}
        new = [at for at in due if at <= now and at not in said]
        late = [at for at in new if now - at > GRACE]
        if missed == "run_all":
            said |= dict.fromkeys(new[:-3], "missed") | dict.fromkeys(new[-3:], "completed")
        elif missed == "run_once":
            said |= dict.fromkeys(new[:-1], "coalesced") | dict.fromkeys(new[-1:], "completed")
        else:
            said |= dict.fromkeys(late, "missed") | dict.fromkeys(new[len(late) :], "completed")
    return said


def told(due: list[datetime]) -> dict[datetime, str]:
    """Say the same from the rows: each stands for the due times of its span, and for so many of them."""
    said: dict[datetime, str] = {}
    for row in db.query("SELECT * FROM integration_schedule_execution WHERE slot_kind = 'due' ORDER BY id"):
        first = clock.from_text(row["scheduled_at"])
        last = clock.from_text(row["span_ended_at"] or row["scheduled_at"])
        span = [at for at in due if first <= at <= last]
        assert (len(span), span[0], span[-1]) == (row["slot_count"], first, last)
        assert not said.keys() & set(span)
        said |= dict.fromkeys(span, row["reason"] or row["execution_status"])
    return said


JOURNEYS = [
    ("Europe/London", time(1, 30), date(2026, 3, 27), date(2026, 4, 4), "skip"),
    ("America/New_York", time(2, 15), date(2026, 3, 6), date(2026, 3, 14), "run_once"),
    ("Australia/Lord_Howe", time(1, 45), date(2026, 4, 3), date(2026, 4, 11), "run_all"),
]


def travel(source: str, zone: str, at: time, first: date, last: date, missed: str, *, rest: timedelta) -> Any:
    """Go from two days before the first day to two weeks after the last, and compare every row."""
    begin = datetime.combine(first - 2 * DAY, time(), tzinfo=UTC)
    runner.add_schedule(
        "s", integration=source, at=[f"{at:%H:%M}"], timezone=zone, start=first, end=last, missed=missed,
        catch_up=3, now=begin,
    )  # fmt: skip
    due, journey = every_day(at, zone, first, last), Journey(begin, Here(), [])
    journey.until(begin + 5 * DAY)
    journey.sleep(3 * DAY + 2 * MINUTE)
    journey.until(journey.now + rest)
    journey.tick(journey.now - timedelta(hours=66))  # the clock is set back, into the sleep
    assert told(due) == expected(due, journey.moments, missed)
    journey.until(datetime.combine(last + 2 * DAY, time(), tzinfo=UTC))
    journey.tick(datetime.combine(last + 14 * DAY, time(), tzinfo=UTC))
    assert told(due) == expected(due, journey.moments, missed)
    assert set(told(due)) == set(due), "every due time has its row"
    assert runner.unaccounted(journey.now) == []
    assert db.query("SELECT next_run_at FROM integration_schedule") == [{"next_run_at": None}]
    ran = "SELECT count(*) AS n FROM integration_execution"
    completed = sum(what == "completed" for what in told(due).values())
    assert db.query(ran) == [{"n": completed}], "each ran once"


@pytest.mark.ledger("S4-22", "S4-26", "S4-29")
@pytest.mark.parametrize(("zone", "at", "first", "last", "missed"), JOURNEYS)
def test_days_around_the_change_of_the_clocks(
    source: str, zone: str, at: time, first: date, last: date, missed: str
) -> None:
    travel(source, zone, at, first, last, missed, rest=DAY)


@pytest.mark.slow
@pytest.mark.ledger("S4-22", "S4-26", "S4-29")
@pytest.mark.parametrize(
    ("zone", "at", "missed"),
    [
        ("Europe/London", time(1, 30), "run_all"),
        ("America/New_York", time(2, 30), "skip"),
        ("Australia/Lord_Howe", time(2, 15), "run_once"),
        ("Africa/Cairo", time(0, 15), "skip"),
        ("Asia/Tokyo", time(23, 59), "run_once"),
    ],
)
def test_a_whole_year(source: str, zone: str, at: time, missed: str) -> None:
    travel(source, zone, at, date(2026, 1, 5), date(2026, 12, 20), missed, rest=250 * DAY)
