"""What is told and when, decided without a file: windows, repeats, recovery, quiet hours, limits."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from edgekit.runner.notifying import wording
from edgekit.runner.notifying.deciding import Fact, Note, Reader, decide, hear, is_recovery, read_story
from edgekit.runner.notifying.settings import Settings

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
PLAIN = Settings({}, zone=ZoneInfo("UTC"))
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class World:
    """One reader and all that is written for them, as the file keeps it."""

    def __init__(self, settings: Settings = PLAIN) -> None:
        self.settings = settings
        self.notes: dict[int, Note] = {}
        self.messages: list[tuple[datetime, list[Note]]] = []

    def pending(self) -> list[Note]:
        return [note for note in self.notes.values() if note.notification_status == "pending"]

    def write(self, note: Note) -> None:
        number = note.id if note.id is not None else len(self.notes) + 1
        self.notes[number] = replace(note, id=number)

    def hear(self, topic: str, at: datetime, subject: str = "vins") -> None:
        fact = Fact(topic, subject, "The server answered 503.", at, "c", 1)
        ends = at + self.settings.window
        window = min((note.due_at for note in self.pending() if note.due_at <= ends), default=ends)
        mine = [note for note in self.notes.values() if note.subject == subject]
        for note in hear(fact, read_story(topic, mine), window, self.settings, at):
            self.write(note)

    def flush(self, at: datetime) -> datetime | None:
        reader = Reader(self.settings, [sent for sent, _ in self.messages])
        found = decide(self.pending(), reader, at)
        for note in (*found.dropped, *found.told):
            self.write(note)
        if found.told:
            self.messages.append((at, list(found.told)))
        return found.next_at

    def run(self, until: datetime) -> None:
        """Flush whenever something is due, as the jobs do."""
        while due := min((note.due_at for note in self.pending()), default=None):
            at = max(due, self.now)
            while at <= until:
                self.now = at
                wake = self.flush(at)
                if wake is None or not any(note.due_at <= at for note in self.pending()):
                    break
                at = wake
            if at > until or due > until:
                break
        self.now = until

    now = BEGIN

    def play(self, story: list[tuple[datetime, str, str]], until: datetime) -> None:
        for at, topic, subject in sorted(story):
            self.run(at)
            self.hear(topic, at, subject)
        self.run(until)


def told(world: World, topic: str = "run.failed") -> list[datetime]:
    return [at for at, notes in world.messages for note in notes if note.topic == topic]


def at(minutes: float) -> datetime:
    return BEGIN + minutes * MINUTE


def test_what_happens_in_one_window_is_one_message() -> None:
    world = World()
    story = [(at(n / 10), "run.failed", name) for n, name in enumerate(["vins", "rates", "vins", "drivers"])]
    world.play(story, at(60))
    ((sent, notes),) = world.messages
    assert sent == at(10)
    assert {note.subject: note.occurrences for note in notes} == {"vins": 2, "rates": 1, "drivers": 1}


def test_a_failure_that_goes_on_is_told_after_an_hour_four_hours_and_then_daily() -> None:
    world = World()
    world.play([(at(5 * n), "run.failed", "vins") for n in range(12 * 24 * 4)], at(60 * 24 * 4))
    hours = [(sent - at(10)) / HOUR for sent in told(world)]
    assert hours == [0, 1, 5, 29, 53, 77]
    counts = [note.occurrences for _, (note,) in world.messages]
    assert counts[:3] == [2, 12, 48]  # 09:00 and 09:05 (09:10 is heard after the message), then all since


def test_a_thousand_failures_of_a_thousand_things_are_six_messages_an_hour() -> None:
    world = World(replace(PLAIN, grouping_minutes=1))
    world.play([(at(n * 0.06), "run.failed", f"i{n}") for n in range(1000)], at(60))
    assert len(world.messages) == 6
    world.run(at(200))
    assert sum(len(notes) for _, notes in world.messages) == 1000
    assert len(world.messages) == 7


def test_recovery_is_told_once_and_only_where_the_failure_was() -> None:
    world = World()
    world.play(
        [
            (at(0), "run.failed", "vins"), (at(30), "run.recovered", "vins"),
            (at(60), "run.recovered", "vins"),
            (at(0), "run.failed", "brief"), (at(5), "run.recovered", "brief"),
            (at(0), "run.recovered", "never"),
        ],
        at(24 * 60),
    )  # fmt: skip
    assert [(sent, [(n.topic, n.subject) for n in notes]) for sent, notes in world.messages] == [
        (at(10), [("run.failed", "vins")]),
        (at(40), [("run.recovered", "vins")]),
    ]
    reasons = {note.subject: note.drop_reason for note in world.notes.values() if note.drop_reason}
    assert reasons == {"brief": "recovered"}


def test_flapping_is_told_but_not_each_time() -> None:
    world = World()
    story = [(at(4 * n), "run.failed" if n % 2 == 0 else "run.recovered", "vins") for n in range(15 * 12)]
    world.play(story, at(12 * 60 + 30))
    assert len(told(world)) <= 4
    assert len(world.messages) <= 7
    assert sum(n.occurrences for _, notes in world.messages for n in notes if n.topic == "run.failed") > 30
    slow = World()  # each time well again before its window ends, but ever again
    slow.play(
        [(at(30 * n + 5 * k), ("run.failed", "run.recovered")[k], "vins") for n in range(48) for k in (0, 1)],
        at(24 * 60),
    )
    assert 1 <= len(slow.messages) <= 5


def test_quiet_hours_wait_but_for_what_is_urgent() -> None:
    night = replace(PLAIN, quiet_hours=(time(22), time(7)), urgent_topics=frozenset({"backup.failed"}))
    world = World(night)
    evening = BEGIN.replace(hour=23)
    world.play([(evening, "run.failed", "vins"), (evening, "backup.failed", "backup")], evening + 12 * HOUR)
    assert [(sent, [n.subject for n in notes]) for sent, notes in world.messages] == [
        (evening + 10 * MINUTE, ["backup"]),
        (evening + 8 * HOUR, ["vins"]),
    ]
    waiting = replace(world.notes[1], notification_status="pending")
    inside = decide([waiting], Reader(night, is_reached_outside=False), evening + 10 * MINUTE)
    assert len(inside.told) == 1  # what stays in the file wakes nobody


@pytest.mark.parametrize(
    ("moment", "end", "hours"),
    [
        ("2026-03-28T22:30Z", "2026-03-29T05:00Z", "22:00-07:00"),  # the night the clocks go forward
        ("2026-10-24T21:30Z", "2026-10-25T06:00Z", "22:00-07:00"),  # and back
        ("2026-03-29T00:30Z", "2026-03-29T01:00Z", "22:00-02:30"),  # 02:30 is skipped: until 03:00
        ("2026-10-25T01:15Z", "2026-10-25T01:30Z", "22:00-02:30"),  # 02:15, the second time
        ("2026-06-01T10:30Z", "2026-06-01T11:00Z", "12:00-13:00"),
        ("2026-06-01T11:00Z", None, "12:00-13:00"),
        ("2026-06-01T20:00Z", "2026-06-02T05:00Z", "22:00-07:00"),
        ("2026-06-01T05:00Z", None, "22:00-07:00"),
    ],
)
def test_quiet_hours_are_of_the_wall_clock(moment: str, end: str | None, hours: str) -> None:
    first, last = (time.fromisoformat(text) for text in hours.split("-"))
    found = replace(PLAIN, zone=ZoneInfo("Europe/Berlin"), quiet_hours=(first, last)).quiet_until(
        datetime.fromisoformat(moment)
    )
    assert found == (datetime.fromisoformat(end) if end else None)


def test_quiet_hours_without_a_zone_are_of_this_machine() -> None:
    local = datetime(2026, 6, 1, 23, 0).astimezone()
    found = Settings({}, quiet_hours=(time(22), time(7))).quiet_until(local.astimezone(UTC))
    assert found == datetime(2026, 6, 2, 7, 0).astimezone()


def test_what_is_muted_or_switched_off_is_not_told() -> None:
    world = World(replace(PLAIN, muted={"vins": at(60)}, topics={"slot.missed": False}))
    world.play(
        [(at(0), "run.failed", "VINS"), (at(1), "run.failed", "rates"), (at(2), "slot.missed", "nightly")],
        at(50),
    )
    ((_, notes),) = world.messages
    assert [note.subject for note in notes] == ["rates"]
    world.play([(at(61), "run.failed", "VINS")], at(90))
    assert [[note.subject for note in notes] for _, notes in world.messages] == [["rates"], ["VINS"]]


def test_a_clock_that_was_a_year_ahead_keeps_nobody_from_being_told() -> None:
    world = World()
    ahead = BEGIN + timedelta(days=365)
    world.now = ahead
    world.play(
        [(ahead, "run.failed", "vins"), (ahead + 20 * MINUTE, "run.failed", "vins")], ahead + 30 * MINUTE
    )
    assert len(world.messages) == 1
    world.now = BEGIN
    for hours in range(48):
        world.hear("run.failed", BEGIN + hours * HOUR)
        world.run(BEGIN + hours * HOUR)
    assert 1 <= len(world.messages) - 1 <= 3


MOVES = st.lists(
    st.tuples(
        st.integers(1, 40),
        st.sampled_from(["run.failed", "run.failed", "run.recovered", "slot.missed", "backup.failed",
                         "backup.completed"]),
        st.sampled_from(["vins", "rates", "drivers", "nightly"]),
    ),
    min_size=1, max_size=120,
)  # fmt: skip


@tuned(max_examples=60, deadline=None)
@given(MOVES, st.integers(0, 30), st.integers(1, 4), st.booleans())
def test_no_storm_ever_and_nothing_that_lasts_is_lost(
    moves: list[tuple[int, str, str]], window: int, most: int, has_nights: bool
) -> None:
    own = replace(
        PLAIN, grouping_minutes=window, max_messages_per_hour=most,
        quiet_hours=(time(22), time(7)) if has_nights else None,
    )  # fmt: skip
    world, moment, story = World(own), BEGIN, []
    for minutes, topic, subject in moves:
        moment += minutes * MINUTE
        story.append((moment, topic, subject))
    world.play(story, moment + 72 * HOUR)
    sent = [when for when, _ in world.messages]
    assert not world.pending()
    for n, when in enumerate(sent):
        assert own.quiet_until(when) is None
        assert len([one for one in sent[: n + 1] if when - one < HOUR]) <= most
        assert n == 0 or when - sent[n - 1] >= own.window
    for topic, well in (("run.failed", "run.recovered"), ("backup.failed", "backup.completed")):
        for subject in {subject for _, _, subject in story}:
            _check_story(world, topic, well, subject, story)


def _check_story(
    world: World, topic: str, well: str, subject: str, story: list[tuple[datetime, str, str]]
) -> None:
    heard = [(when, kind) for when, kind, name in sorted(story) if name == subject and kind in {topic, well}]
    said = [(when, n) for when, notes in world.messages for n in notes
            if n.subject == subject and n.topic in {topic, well}]  # fmt: skip
    if heard and heard[-1][1] == topic:
        assert any(not is_recovery(n.topic) for _, n in said), "it still fails, and nobody was told"
        assert said[-1][1].topic == topic, "the last word was that it is well, and it is not"
    for before, now in zip([None, *said], said, strict=False):
        if now[1].topic == well:
            assert before is not None, "it was well again of nothing"
            assert before[1].topic == topic, "it was well again twice"
            known = [kind for when, kind in heard if when < now[0]]
            assert known[-1] == well or now[0] in dict(heard), "it had failed again by then"
    failures = [(when, n) for when, n in said if n.topic == topic]
    for (first, _), (second, note) in itertools.pairwise(failures):
        waits = world.settings.repeat_minutes
        if note.told_before:
            assert second - first >= waits[min(note.told_before, len(waits)) - 1] * MINUTE


def test_a_message_says_what_how_often_since_when_and_what_to_do() -> None:
    berlin = replace(PLAIN, zone=ZoneInfo("Europe/Berlin"))
    fact = Fact("run.failed", "vehicle data", "401 for token=abcdef1234 of a@b.ch\nAgain.", at(0), "c", 1,
                "edgekit executions show 7")  # fmt: skip
    failed = hear(fact, read_story("run.failed", []), at(10), berlin, at(0))[0]
    failed = replace(failed, occurrences=14, last_occurred_at=at(5))
    well = replace(failed, topic="run.recovered", subject="rates", occurrences=1, hint=None)
    said = wording.text([well, failed], berlin, at(10))
    assert said == (
        "vehicle data failed 14 times since 10:00, the last time at 10:05: 401 for token=*** of *** Again.\n"
        "  What to do: edgekit executions show 7\n\n"
        "rates works again since 10:00.\n\n"
        'To hear no more of one of them: edgekit notifications mute "vehicle data"\n'
    )
    assert wording.title([well, failed], "Main Street\r\nBcc: x") == (
        "Main Street Bcc: x: vehicle data failed, rates works again"
    )
    assert wording.title([failed], "Main Street") == "Main Street: vehicle data failed"
    many = [replace(failed, subject=f"i{n}") for n in range(100)]
    assert "And 60 more: edgekit notifications list" in wording.text(many, berlin, at(10))
