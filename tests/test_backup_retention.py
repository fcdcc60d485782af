"""Which backups are kept: counted in days, weeks and months that have one, and never the newest lost."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from edgekit.file.retention import Keep, retain

if TYPE_CHECKING:
    from collections.abc import Iterable

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _days(count: int, start: datetime = NOON) -> list[datetime]:
    return [start + timedelta(days=number) for number in range(count)]


def _by_kind(kept: dict[datetime, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for moment in sorted(kept):
        found.setdefault(kept[moment], []).append(f"{moment:%Y-%m-%d}")
    return found


def test_after_two_years_of_days_it_is_exactly_these() -> None:
    days = _days(731)  # to Saturday, the first of January 2028
    assert _by_kind(retain(days, days[-1])) == {
        "daily": [f"2027-12-{day}" for day in range(26, 32)] + ["2028-01-01"],
        "weekly": ["2027-11-28", "2027-12-05", "2027-12-12", "2027-12-19"],
        "monthly": [
            "2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30",
            "2027-07-31", "2027-08-31", "2027-09-30", "2027-10-31", "2027-11-30",
        ],
    }  # fmt: skip


def _thinned(times: Iterable[datetime], keep: Keep, zone: ZoneInfo) -> set[datetime]:
    """Take backups as they come, deleting after each what may go, as it happens day by day."""
    there: set[datetime] = set()
    for moment in times:
        there = set(retain({*there, moment}, moment, keep=keep, zone=zone))
    return there


@pytest.mark.parametrize("seed", range(40))
def test_deleting_day_by_day_leaves_what_one_look_at_all_of_them_would(seed: int) -> None:
    rng = random.Random(seed)
    zone = ZoneInfo(rng.choice(["UTC", "America/Chicago", "Europe/Berlin", "Pacific/Apia"]))
    keep = Keep(rng.randint(1, 9), rng.randint(0, 6), rng.randint(0, 14))
    moment, times = NOON, []
    for _ in range(rng.randint(1, 400)):
        moment += timedelta(hours=rng.choice([1, 24, 24, 24, 25, 70, 24 * 40]), minutes=rng.randint(0, 600))
        times.append(moment)
    kept = retain(times, times[-1], keep=keep, zone=zone)
    assert _thinned(times, keep, zone) == set(kept)
    for kind, most in (("daily", keep.daily), ("weekly", keep.weekly), ("monthly", keep.monthly)):
        found = sorted(moment.astimezone(zone) for moment in kept if kept[moment] == kind)
        assert len(found) <= most
        assert all(earlier.date() != later.date() for earlier, later in pairwise(found))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_clock_does_the_newest_stays_and_nothing_dated_ahead_goes(seed: int) -> None:
    rng = random.Random(seed)
    there: set[datetime] = set()
    for number in range(200):
        jump = rng.choice([0] * 20 + [-400, 400, -3, 3000])
        moment = NOON + timedelta(days=number + jump)
        before = {*there, moment}
        there = set(retain(before, moment, keep=Keep(rng.randint(0, 3), 0, 0)))
        assert moment in there
        assert {one for one in before if one > moment} <= there
        assert there <= before


def test_a_clock_a_year_ahead_for_one_day_costs_no_old_backup() -> None:
    days = _days(100)
    before = set(retain(days, days[-1]))
    ahead = days[-1] + timedelta(days=366)
    meanwhile = set(retain({*before, ahead}, ahead))
    assert len(before - meanwhile) <= 1  # one day more has a backup, and so one less is kept
    right = days[-1] + timedelta(days=1)
    after = retain({*meanwhile, right}, right)
    assert after[ahead] == "ahead"
    assert right in after


def test_a_computer_that_was_off_loses_nothing() -> None:
    days = _days(7)
    assert set(retain(days, NOON + timedelta(days=9999))) == set(days)
    assert retain([], NOON) == {}
    assert retain(days, days[-1], keep=Keep(0, 0, 0)) == {days[-1]: "daily"}
