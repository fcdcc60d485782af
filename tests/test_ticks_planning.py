"""What a schedule does at a moment, against the same said due time by due time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.recurrence import Recurrence
from edgekit.runner.scheduling import planning
from edgekit.runner.scheduling.planning import Rule, Standing, plan

START = datetime(2026, 3, 20, 7, 0, tzinfo=UTC)  # before the clocks of Europe go forward
MINUTE = timedelta(minutes=1)

RECURRENCES = [
    Recurrence("cron", cron_expression="*/20 * * * *", timezone="Europe/London"),
    Recurrence("cron", cron_expression="30 1 * * *", timezone="Europe/London"),
    Recurrence("cron", cron_expression="0 9 * * 1-5", timezone="America/New_York"),
    Recurrence("fixed_time", times_of_day=("02:15", "02:45", "18:00"), timezone="Australia/Lord_Howe"),
    Recurrence("interval", interval_minutes=45),
    Recurrence("interval", interval_minutes=1440, end_date=datetime(2026, 4, 2, tzinfo=UTC).date()),
]


@st.composite
def situations(draw: st.DrawFn) -> tuple[Rule, Standing, datetime]:
    recurrence = draw(st.sampled_from(RECURRENCES))
    first = START + draw(st.integers(0, 60 * 24)) * MINUTE
    due_at = next(recurrence.after(first))
    now = due_at + draw(st.one_of(st.integers(-60, 120), st.integers(0, 60 * 24 * 20))) * MINUTE
    coming = list(islice(recurrence.between(due_at, now + timedelta(days=2), planned=due_at), 400))
    taken = draw(st.sets(st.sampled_from(coming), max_size=3)) if coming else set()
    rule = Rule(
        recurrence,
        draw(st.sampled_from(["skip", "run_once", "run_all"])),
        draw(st.sampled_from(["skip", "queue_one", "queue_all", "cancel_running", "allow"])),
        timedelta(seconds=draw(st.sampled_from([0, 300, 3600, 86400]))),
        draw(st.sampled_from([1, 3, 24])),
        timedelta(seconds=draw(st.sampled_from([0, 10]))),
        draw(st.sampled_from([0, 90])),
        "seed",
    )
    running, waiting = draw(st.integers(0, 1)), draw(st.integers(0, 2))
    return rule, Standing(due_at, frozenset(taken), running, waiting, draw(st.booleans())), now


def expected(rule: Rule, standing: Standing, now: datetime, due: list[datetime]) -> dict[datetime, str]:
    """Say of each due time what becomes of it, by the words of the documentation."""
    if standing.is_off:
        return dict.fromkeys(due, "paused")
    late = [at for at in due if now - at > rule.grace]
    in_time = [at for at in due if at not in late]
    wants_each = rule.overlap_policy in {"queue_all", "allow"}
    if rule.missed_policy == "run_all":
        runs, others = due[-rule.catch_up_limit :], "missed"
    else:
        runs = in_time[-rule.catch_up_limit :] if wants_each else in_time[-1:]
        others = "missed" if rule.missed_policy == "skip" else "coalesced"
        if rule.missed_policy == "run_once" and not runs:
            runs = due[-1:]
    said = {at: "run" if at in runs else others if at in late else "coalesced" for at in due}
    if rule.missed_policy == "run_all":
        said = {at: "run" if at in runs else "missed" for at in due}
    busy = {"skip": standing.running + standing.waiting, "queue_one": standing.waiting}
    if busy.get(rule.overlap_policy, 0) and runs and not (rule.missed_policy == "run_all" and late):
        said = {at: what if what == "missed" else "overlap" for at, what in said.items()}
    return said


@pytest.mark.ledger("S4-22", "S4-23", "S4-26")
@settings(max_examples=120, deadline=None)
@given(situations())
def test_each_due_time_is_in_one_row_and_the_row_says_what_its_policy_means(
    situation: tuple[Rule, Standing, datetime],
) -> None:
    rule, standing, now = situation
    every = list(rule.recurrence.between(standing.due_at, now, planned=standing.due_at))
    due = [at for at in every if at not in standing.taken]
    found = plan(rule, standing, now)
    said: dict[datetime, str] = {}
    for slot in found.slots:
        span = [at for at in due if slot.scheduled_at <= at <= (slot.span_ended_at or slot.scheduled_at)]
        assert (len(span), span[0]) == (slot.count, slot.scheduled_at)
        assert not said.keys() & set(span), "one row for each"
        said |= dict.fromkeys(span, slot.reason or "run")
        assert (slot.run_at is not None) == (slot.reason is None)
        assert slot.run_at is None or slot.run_at >= now
    assert said == expected(rule, standing, now, due)
    assert found.next_at is None or (found.next_at > now and found.next_at not in standing.taken)
    later = rule.recurrence.after(now, planned=standing.due_at)
    assert found.next_at == next((at for at in later if at not in standing.taken), None)
    assert plan(rule, standing, now) == found, "the same twice"


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(RECURRENCES), st.lists(st.integers(-3000, 9000), min_size=1, max_size=12))
def test_wherever_now_jumps_no_due_time_is_in_two_rows(recurrence: Recurrence, jumps: list[int]) -> None:
    """Ticks one after the other, forward and back: what has a row is never decided again."""
    now, due_at = START, next(recurrence.after(START))
    rule, rows = Rule(recurrence, "run_all", catch_up_limit=1000), set[datetime]()
    for jump in jumps:
        now = max(START, now + jump * MINUTE)
        if due_at > now:  # where the clock was set back what is due is worked out anew
            due_at = next((at for at in recurrence.after(now, planned=due_at) if at not in rows), due_at)
        taken = frozenset(at for at in rows if at >= due_at)
        found = plan(rule, Standing(due_at, taken), now)
        made = [slot.scheduled_at for slot in found.slots]
        assert not rows & set(made)
        assert all(at <= now for at in made)
        rows |= set(made)
        if found.next_at is None:
            return
        due_at = found.next_at


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(RECURRENCES), st.integers(0, 60 * 24 * 30), st.integers(0, 60 * 24 * 90))
def test_counting_a_long_gap_is_counting_it_one_by_one(recurrence: Recurrence, first: int, span: int) -> None:
    begin = START + first * MINUTE
    end = begin + span * MINUTE
    planned = begin + 7 * MINUTE if recurrence.schedule_type == "interval" else None
    each = list(recurrence.between(begin, end, planned=planned))
    assert recurrence.count(begin, end, planned=planned) == len(each)
    assert recurrence.latest(5, begin, end, planned=planned) == each[-5:]


@pytest.mark.parametrize("zone", ["Europe/London", "Pacific/Apia"])
def test_years_of_minutes_are_counted_by_the_day(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in 2011, when Samoa left a day out."""
    monkeypatch.setattr("edgekit.recurrence._FEW", 10)
    for expression in ("*/30 * * * *", "30 0 * * 5,6", "15,45 1-3 */2 * *"):
        recurrence = Recurrence("cron", cron_expression=expression, timezone=zone)
        for year, hours in ((2011, 24 * 100), (2012, 24 * 70), (2011, 5)):
            begin = datetime(year, 10, 3, 4, 5, tzinfo=UTC)
            end = begin + timedelta(hours=hours)
            assert recurrence.count(begin, end) == sum(1 for _ in recurrence.between(begin, end))
    monkeypatch.undo()
    minutes = Recurrence("cron", cron_expression="* * * * *", timezone=zone)
    years = datetime(2026, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
    assert minutes.count(*years) == (365 * 3 + 1) * 24 * 60 + 1


def test_jitter_is_drawn_from_the_schedule_and_the_time_alone() -> None:
    times = [START + n * MINUTE for n in range(300)]
    drawn = [planning.jitter("site/1", at, 600) for at in times]
    assert drawn == [planning.jitter("site/1", at, 600) for at in times]
    assert drawn != [planning.jitter("site/2", at, 600) for at in times]
    assert len(set(drawn)) > 290
    assert timedelta() <= min(drawn) < timedelta(seconds=30) < timedelta(seconds=570) < max(drawn)
    assert max(drawn) < timedelta(seconds=600)
    assert planning.jitter("site/1", START, 0) == timedelta()


def test_a_catch_up_begins_one_run_after_the_other_and_jitter_never_hurries_one() -> None:
    recurrence = Recurrence("cron", cron_expression="0 * * * *")
    rule = Rule(recurrence, "run_all", "allow", catch_up_limit=4, jitter_seconds=60, seed="x")
    now = START + timedelta(hours=10, seconds=30)
    found = plan(rule, Standing(START), now)
    runs: list[Any] = [slot for slot in found.slots if slot.reason is None]
    assert [slot.scheduled_at for slot in runs] == [START + timedelta(hours=n) for n in (7, 8, 9, 10)]
    assert [slot.run_at - now for slot in runs[:3]] == [timedelta(seconds=10 * n) for n in range(3)]
    assert runs[3].run_at >= now + timedelta(seconds=30)
    assert [(slot.reason, slot.count) for slot in found.slots[:1]] == [("missed", 7)]
