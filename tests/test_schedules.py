"""Schedules: when they are due, by the clock of their zone; and what is written with them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit import clock, db, integrations, rows, runner
from edgekit.cli import root
from edgekit.errors import ConflictError, InvalidError, NotFoundError, RuleError
from edgekit.models import IntegrationSchedule, IntegrationScheduleTime
from edgekit.recurrence import Recurrence, read_cron, read_time

if TYPE_CHECKING:
    from pathlib import Path

    from edgekit.db import Database

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)  # a Friday, two days before London's clocks go forward
LONDON = "Europe/London"


def due(kind: str, moment: datetime = NOON, count: int = 3, **more: Any) -> list[str]:
    found = islice(Recurrence(kind, **more).after(moment), count)
    return [at.isoformat(timespec="minutes").removesuffix("+00:00") for at in found]


def cron(text: str, moment: datetime = NOON, count: int = 3, zone: str = "UTC", **more: Any) -> list[str]:
    return due("cron", moment, count, cron_expression=text, timezone=zone, **more)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- cron, against another reading of it


@pytest.mark.ledger("S4-27", "S4-29")
@pytest.mark.parametrize(
    "day", [*range(8), "sun", "mon", "tue", "wed", "thu", "fri", "sat", "1-5", "5-7", "0,6"]
)
def test_each_day_of_the_week_is_the_day_cron_means(day: int | str) -> None:
    expected = croniter(f"30 6 * * {day}", NOON)
    found = Recurrence("cron", cron_expression=f"30 6 * * {day}").after(NOON)
    assert list(islice(found, 20)) == [expected.get_next(datetime) for _ in range(20)]


NUMBERS = [(0, 59), (0, 23), (1, 28), (1, 12), (0, 7)]


@st.composite
def cron_texts(draw: st.DrawFn) -> str:
    """Any five fields of lists, ranges and steps, two kinds of which other programs read another way."""
    parts = []
    for low, high in NUMBERS:
        one = st.integers(low, high)
        span = (
            st.tuples(one, one)
            .filter(lambda pair: 0 < pair[1] - pair[0] < 6)  # a whole week is any day to one of the two
            .map(lambda pair: f"{pair[0]}-{pair[1]}")
        )
        step = st.integers(2, high).map(lambda n: f"*/{n}")
        several = st.lists(one, min_size=1, max_size=3, unique=True).map(
            lambda found: ",".join(map(str, found))
        )
        kinds = [st.just("*"), several, span] + ([step] if low == 0 and high != 7 else [])
        parts.append(draw(st.one_of(kinds)))
    return " ".join(parts)


@pytest.mark.ledger("S4-29", "S4-30")
@settings(max_examples=60, deadline=None)
@given(cron_texts(), st.integers(0, 60 * 24 * 400))
def test_cron_is_what_another_program_makes_of_it(text: str, minutes: int) -> None:
    start = NOON + timedelta(minutes=minutes)
    expected = croniter(text, start)
    found = list(islice(Recurrence("cron", cron_expression=text).after(start), 5))
    assert found == [expected.get_next(datetime) for _ in range(5)]


@pytest.mark.ledger("S4-30")
def test_month_ends_and_leap_days() -> None:
    assert cron("0 0 31 * *") == ["2026-03-31T00:00", "2026-05-31T00:00", "2026-07-31T00:00"]
    assert cron("0 0 L * *", utc("2027-12-31 00:00")) == [
        "2028-01-31T00:00",
        "2028-02-29T00:00",
        "2028-03-31T00:00",
    ]
    assert cron("0 0 29 2 *", count=2) == ["2028-02-29T00:00", "2032-02-29T00:00"]
    assert cron("0 9 * * mon#2", count=2) == ["2026-04-13T09:00", "2026-05-11T09:00"]


def test_a_day_and_a_weekday_are_either_of_them() -> None:
    assert cron("0 9 13 * 5", utc("2026-04-09 12:00")) == [
        "2026-04-10T09:00",
        "2026-04-13T09:00",
        "2026-04-17T09:00",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0 0 * *", "but 4"),
        ("0 0 * * * *", "but 6"),
        ("60 0 * * *", "minute"),
        ("0 0 30 2 *", "day-of-month"),
        ("0 0 * * 8", "day-of-week"),
        ("0 0 * * ?", "day-of-week"),
        ("@reboot", "but 1"),
        ("", "but 0"),
    ],
)
def test_what_is_no_cron_text_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidError, match=told) as caught:
        read_cron(text)
    assert "minute, hour, day, month and weekday" in (caught.value.hint or "")


def test_aliases_and_spaces_are_written_out() -> None:
    assert read_cron(" @Daily") == "0 0 * * *"
    assert read_cron("0  0 *\t* *") == "0 0 * * *"
    assert read_time("6:05") == "06:05"
    for text in ("24:00", "6", "06:60", "06:30:00"):
        with pytest.raises(InvalidError, match="no time of day"):
            read_time(text)


# --- clocks that are changed


@pytest.mark.ledger("S4-29", "S4-30")
def test_a_time_in_the_gap_is_due_right_after_it() -> None:
    """In London 01:00 to 02:00 of 29 March does not exist."""
    expected = ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]
    assert cron("30 1 * * *", zone=LONDON) == expected
    assert due("fixed_time", times_of_day=("01:30",), timezone=LONDON) == expected
    both = due(
        "fixed_time", utc("2026-03-28 23:00"), times_of_day=("01:15", "01:45", "02:00"), timezone=LONDON
    )
    assert both == ["2026-03-29T01:00", "2026-03-30T00:15", "2026-03-30T00:45"]
    assert cron("*/30 * * * *", utc("2026-03-29 00:15"), zone=LONDON) == [
        "2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30",
    ]  # fmt: skip


@pytest.mark.ledger("S4-29", "S4-30")
def test_a_time_that_comes_twice_is_due_once() -> None:
    """In London 01:00 to 02:00 of 25 October comes twice, from 00:00 and from 01:00 UTC."""
    for moment in ("2026-10-24 12:00", "2026-10-25 00:15"):
        expected = ["2026-10-25T00:30", "2026-10-26T01:30"]
        assert cron("30 1 * * *", utc(moment), 2, LONDON) == expected
        assert due("fixed_time", utc(moment), 2, times_of_day=("01:30",), timezone=LONDON) == expected
    for moment in ("2026-10-25 00:30", "2026-10-25 01:10", "2026-10-25 01:30"):
        assert cron("30 1 * * *", utc(moment), 1, LONDON) == ["2026-10-26T01:30"]
    assert cron("*/30 * * * *", utc("2026-10-25 00:15"), 4, LONDON) == [
        "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00",
    ]  # fmt: skip


@pytest.mark.ledger("S4-30")
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["30 1 * * *", "*/20 1-2 * * *", "0 */3 * * *", "15,45 0 * * 0", "59 23 L * *"]),
    st.sampled_from([LONDON, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"]),
    st.integers(0, 60 * 24 * 365),
)
def test_times_rise_after_their_moment_in_any_zone(text: str, zone: str, minutes: int) -> None:
    start = NOON + timedelta(minutes=minutes)
    found = list(islice(Recurrence("cron", cron_expression=text, timezone=zone).after(start), 12))
    assert all(one < other for one, other in pairwise([start, *found]))


# --- the other kinds


@pytest.mark.ledger("S4-27", "S4-30")
def test_an_interval_counts_from_the_last_run_or_from_now() -> None:
    often = Recurrence("interval", interval_minutes=30)
    assert often.first(NOON) == utc("2026-03-27 12:30")
    assert due("interval", interval_minutes=30) == [
        "2026-03-27T12:30",
        "2026-03-27T13:00",
        "2026-03-27T13:30",
    ]
    ran = Recurrence("interval", interval_minutes=30, last_run_at=utc("2026-03-27 11:45"))
    assert ran.first(NOON) == utc("2026-03-27 12:15")
    late = Recurrence("interval", interval_minutes=30, last_run_at=utc("2026-03-27 10:05"))
    assert late.first(NOON) == utc("2026-03-27 10:35"), "it is due already"
    assert next(late.after(NOON)) == utc("2026-03-27 12:05")


@pytest.mark.ledger("S4-27", "S4-30")
def test_fixed_times_before_between_and_after_all_of_the_day() -> None:
    times = ("06:30", "12:00", "18:00")
    for moment, expected in (
        ("2026-03-27 05:00", "2026-03-27T06:30"),
        ("2026-03-27 06:30", "2026-03-27T12:00"),
        ("2026-03-27 13:00", "2026-03-27T18:00"),
        ("2026-03-27 18:00:01", "2026-03-28T06:30"),
    ):
        assert due("fixed_time", utc(moment), 1, times_of_day=times) == [expected]
    assert due("fixed_time", utc("2026-07-01 05:00"), 1, times_of_day=times, timezone=LONDON) == [
        "2026-07-01T05:30"
    ]
    assert due("fixed_time", times_of_day=()) == []


@pytest.mark.ledger("S4-27")
def test_by_event_or_by_hand_there_is_no_next_run() -> None:
    for kind in ("event_based", "manual"):
        assert (Recurrence(kind).first(NOON), due(kind)) == (None, [])


@pytest.mark.ledger("S4-29", "S4-30")
def test_days_are_those_of_the_zone_and_nothing_is_due_outside_of_them() -> None:
    tokyo = {"timezone": "Asia/Tokyo", "start_date": date(2026, 4, 1), "end_date": date(2026, 4, 2)}
    assert cron("0 0 * * *", zone="Asia/Tokyo", **{k: tokyo[k] for k in ("start_date", "end_date")}) == [
        "2026-03-31T15:00", "2026-04-01T15:00",
    ]  # fmt: skip
    assert due("fixed_time", times_of_day=("23:59",), **tokyo) == ["2026-04-01T14:59", "2026-04-02T14:59"]
    assert due("interval", interval_minutes=1440, **tokyo) == ["2026-03-31T15:00", "2026-04-01T15:00"]
    over = utc("2026-04-02 15:00")
    for kind, more in (
        ("cron", {"cron_expression": "* * * * *"}),
        ("fixed_time", {"times_of_day": ("12:00",)}),
        ("interval", {"interval_minutes": 5}),
        ("interval", {"interval_minutes": 5, "last_run_at": over}),
    ):
        assert Recurrence(kind, **tokyo, **more).first(over) is None
    assert due("interval", interval_minutes=500_000, start_date=date(9999, 12, 30)) == ["9999-12-30T00:00"]


# --- rows


@pytest.fixture
def source(edge: Database, tmp_path: Path) -> str:
    integrations.create("cars", template="csv-import", settings={"path": "cars.csv", "table": "vehicle"})
    return "cars"


def stored(name: str = "s") -> str | None:
    (row,) = db.query("SELECT next_run_at FROM integration_schedule WHERE schedule_name = ?", (name,))
    value: str | None = row["next_run_at"]
    return value


@pytest.mark.ledger("S4-28", "S4-29")
def test_making_changing_pausing_and_resuming_tell_the_next_times(source: str) -> None:
    made = runner.add_schedule("s", integration=source, cron="30 1 * * *", timezone=LONDON, now=NOON)
    assert [item["at"] for item in made["next"]] == runner.next_times("s", now=NOON)
    assert stored() == "2026-03-28T01:30:00.000Z"
    runner.set_schedule("s", timezone="UTC", now=NOON)
    assert stored() == "2026-03-28T01:30:00.000Z"
    changed = runner.set_schedule("s", at=["13:00", "7:00"], end=date(2026, 3, 28), now=NOON)
    assert changed["timing"] == "at 07:00, 13:00"
    assert [f"{item['at']:%d %H:%M}" for item in changed["next"]] == ["27 13:00", "28 07:00", "28 13:00"]
    runner.set_schedule("s", at=["7:00"], now=NOON)
    assert (stored(), len(runner.next_times("s", now=NOON))) == ("2026-03-28T07:00:00.000Z", 1)
    assert runner.pause_schedule("s", now=NOON)["next"] == []
    assert stored() == "2026-03-28T07:00:00.000Z", "what falls into the pause is noted then"
    assert runner.list_schedules()[0]["next_run_at"] is None
    runner.resume_schedule("s", now=NOON)
    assert stored() == "2026-03-28T07:00:00.000Z"
    runner.set_schedule("s", every=20, now=NOON)
    assert (stored(), runner.show_schedule("s", now=NOON)["timing"]) == (
        "2026-03-27T12:20:00.000Z",
        "every 20 minutes",
    )
    assert db.query("SELECT count(*) AS n FROM integration_schedule_time WHERE status_id = 1") == [{"n": 0}]
    assert len(runner.next_times("s", 3, utc("2026-03-28 23:00"))) == 2, "until the end of the last day"
    runner.set_schedule("s", clear=["end"], now=NOON)
    assert len(runner.next_times("s", 3, utc("2026-03-28 23:00"))) == 3
    runner.set_schedule("s", on="policy.bound", now=NOON)
    assert (stored(), runner.next_times("s")) == (None, [])


@pytest.mark.ledger("S4-28")
def test_every_way_of_writing_a_schedule_works_out_its_next_run(source: str) -> None:
    """By the model, by the commands for rows, and by a query over many, which leaves it to the runner."""
    with db.change(reason="by hand"):
        schedule = IntegrationSchedule.create(
            schedule_name="s", integration=1, schedule_type="interval", interval_minutes=10,
            last_run_at=NOON, organization=1,
        )  # fmt: skip
    assert stored() == "2026-03-27T12:10:00.000Z"
    with db.change(reason="it ran"):
        schedule.last_run_at = utc("2026-03-27 13:00")
        schedule.save()
    assert stored() == "2026-03-27T13:10:00.000Z"
    with db.change(reason="by hand"):
        schedule.overlap_policy = "queue_all"
        schedule.next_run_at = NOON
        schedule.save()
    rows.set_values("integration_schedule", 1, {"overlap_policy": "skip"})
    assert stored() == clock.to_text(NOON), "what makes it due was not touched"
    rows.set_values("integration_schedule", 1, {"interval_minutes": "20"})
    assert stored() == "2026-03-27T13:20:00.000Z"
    rows.set_values("integration_schedule", 1, {"end_date": "2026-03-26"})
    assert stored() is None
    with db.change(reason="many"):
        IntegrationSchedule.update(end_date=None, next_run_at=NOON).execute()
        IntegrationSchedule.update(interval_minutes=5).execute()
    assert stored() is None
    rows.set_values("integration_schedule", 1, {"status_id": "INACTIVE", "schedule_type": "fixed_time"})
    time = rows.add("integration_schedule_time", {"schedule_id": 1, "time_of_day": "06:30"})
    rows.set_values("integration_schedule", 1, {"status_id": "ACTIVE", "timezone": "Asia/Tokyo"})
    assert str(stored()).endswith("T21:30:00.000Z")
    rows.set_values("integration_schedule_time", time["id"], {"time_of_day": "06:45"})
    assert str(stored()).endswith("T21:45:00.000Z")
    with db.change(reason="by hand"):
        IntegrationScheduleTime.update(time_of_day="07:00").execute()
        IntegrationScheduleTime.get_by_id(time["id"]).save()
    assert str(stored()).endswith("T22:00:00.000Z")


@pytest.mark.ledger("S4-29")
def test_a_schedule_nobody_can_work_out_is_not_written(source: str) -> None:
    made = {"integration": source, "now": NOON}
    with pytest.raises(InvalidError, match="no time zone Berlin") as caught:
        runner.add_schedule("s", every=5, timezone="Berlin", **made)
    assert caught.value.hint == "Did you mean Europe/Berlin?"
    with pytest.raises(InvalidError, match="day-of-week"):
        runner.add_schedule("s", cron="0 0 * * 9", **made)
    with pytest.raises(InvalidError, match="one of"):
        runner.add_schedule("s", every=5, at=["06:30"], **made)
    with pytest.raises(RuleError, match="interval_minutes"):
        runner.add_schedule("s", every=0, **made)
    with pytest.raises(NotFoundError, match="no integration"):
        runner.add_schedule("s", integration="carz", every=5)
    assert runner.list_schedules() == []
    runner.add_schedule("s", every=5, **made)
    with pytest.raises(ConflictError, match="already a schedule"):
        runner.add_schedule("S", every=5, **made)
    with pytest.raises(InvalidError, match="What is to change"):
        runner.set_schedule("s")
    for column, value in (
        ("timezone", "Europe"),
        ("start_date", "2026-02-30"),
        ("cron_expression", "0 0 31 4 *"),
    ):
        with pytest.raises(InvalidError):
            rows.set_values("integration_schedule", 1, {column: value})
    assert stored() == "2026-03-27T12:05:00.000Z"


def test_the_commands(source: str, edge: Database) -> None:
    edge.close()

    def run(*args: str) -> Any:
        done = CliRunner().invoke(root.edgekit, ["--db", str(edge.path), "schedules", *args])
        return done.exit_code, json.loads(
            done.stdout
        ) if "--json" in args and not done.exit_code else done.output

    code, made = run(
        "add", "s", "--integration", "cars", "--cron", "0 9 * * 1-5", "--timezone", LONDON, "--json"
    )
    assert (code, made["timing"], len(made["next"])) == (0, "0 9 * * 1-5", 5)
    code, times = run("next", "s", "--count", "7", "--json")
    assert code == 0
    assert len(times) == 7
    for item in times:
        assert list(item) == ["at"]
        local = clock.from_text(item["at"]).astimezone(ZoneInfo(LONDON))
        assert (local.hour, local.minute, local.weekday() < 5) == (9, 0, True)
    assert "09:00 GMT" in run("next", "s", "--count", "400")[1]
    code, listed = run("list", "--json")
    assert [(row["name"], row["is_active"], row["next_run_at"]) for row in listed] == [
        ("s", True, times[0]["at"])
    ]
    code, changed = run("set", "s", "--at", "6:30", "--at", "18:00", "--json")
    assert (code, changed["schedule_type"], len(changed["next"])) == (0, "fixed_time", 5)
    assert run("pause", "s", "--json")[1]["is_active"] is False
    assert run("next", "s", "--json") == (0, [])
    assert "edgekit schedules resume s" in run("next", "s")[1]
    assert len(run("resume", "s", "--json")[1]["next"]) == 5
    assert "on demand" in run("add", "m", "--integration", "cars", "--manual")[1]
    assert "06:30" in run("show", "s")[1]
    assert run("add", "x", "--integration", "cars")[0] == 2
    assert run("next", "nobody")[0] == 3
