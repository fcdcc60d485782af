"""What is told, and when: decided from what happened, what was told before, the settings and the time.

Nothing here sees the file. What happens to one thing (the subject) is one story for each reader:

- a failure waits for the end of the window it falls into, and counts those that follow it;
- once told, it is told again only after a growing interval, until a day of calm;
- what is well again before it was told is not told, unless it failed `FLAPS` times in a row of such;
- that it is well again is told once, and only if the failure was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from edgekit.runner.notifying.settings import Settings

FLAPS = 3
"""So many failures are told even if the thing is well again by then."""

RECOVERIES = {"run.failed": "run.recovered", "backup.failed": "backup.completed"}
"""What says that a failure is over."""
_FAILURES = {recovery: failure for failure, recovery in RECOVERIES.items()}


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened to a subject, told in a sentence, and what can be done about it."""

    topic: str
    subject: str
    message: str
    occurred_at: datetime
    correlation_id: str
    organization_id: int
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A row of `notification`, as far as it decides something; without an id it is to be added."""

    topic: str
    subject: str
    message: str
    occurred_at: datetime
    last_occurred_at: datetime
    due_at: datetime
    correlation_id: str
    organization_id: int
    hint: str | None = None
    occurrences: int = 1
    told_before: int = 0
    recovered_at: datetime | None = None
    notification_status: str = "pending"
    drop_reason: str | None = None
    settled_at: datetime | None = None
    id: int | None = None

    def dropped(self, reason: str, now: datetime) -> Note:
        """Return it as one that is not told."""
        return replace(self, notification_status="dropped", drop_reason=reason, settled_at=now)


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of a subject: what waits to be told, what was told last, what was dropped last."""

    pending: Note | None = None
    recovery: Note | None = None
    told: Note | None = None
    dropped: Note | None = None


def failure_of(topic: str) -> str:
    """Return the failure a topic is about: of a recovery what it ends, else the topic."""
    return _FAILURES.get(topic, topic)


def is_recovery(topic: str) -> bool:
    """Tell whether a topic says that something is well again."""
    return topic in _FAILURES


def read_story(topic: str, notes: Iterable[Note]) -> Story:
    """Make the story a topic belongs to out of what is known of its subject, in the order it was written."""
    failure = failure_of(topic)
    pending = recovery = told = dropped = None
    for note in notes:
        state = note.notification_status
        if note.topic == RECOVERIES.get(failure) and state == "pending":
            recovery = note
        elif note.topic != failure:
            continue
        elif state == "pending":
            pending = note
        elif state == "told":
            told, dropped = note, None
        elif note.drop_reason == "recovered":
            dropped = note
    return Story(pending, recovery, told, dropped)


def hear(fact: Fact, story: Story, window: datetime, settings: Settings, now: datetime) -> list[Note]:
    """Return what is to be written for a fact: rows changed, and rows added.

    `window` is when what came just before it will be told.
    """
    if is_recovery(fact.topic):
        return _recovered(fact, story, window, now)
    written = []
    told = story.told
    if story.recovery is not None:
        written.append(story.recovery.dropped("failed_again", now))
        if told is not None and told.recovered_at is not None:
            told = replace(told, recovered_at=None)
            written.append(told)
    before = story.pending
    if before is not None:
        written.append(
            replace(
                before, occurrences=before.occurrences + 1, message=fact.message, hint=fact.hint,
                last_occurred_at=max(before.last_occurred_at, fact.occurred_at),
                correlation_id=fact.correlation_id, recovered_at=None,
                due_at=min(before.due_at, max(window, _latest(settings, now))),
            )
        )  # fmt: skip
        return written
    times, held = _held(story, settings, now)
    begun = story.dropped if _continues(story.dropped, settings, now) else None
    written.append(
        replace(
            _note(fact, max(window, held) if held else window),
            told_before=times,
            occurrences=1 + (begun.occurrences if begun else 0),
            occurred_at=min(begun.occurred_at, fact.occurred_at) if begun else fact.occurred_at,
        )
    )
    return written


def _recovered(fact: Fact, story: Story, window: datetime, now: datetime) -> list[Note]:
    told = story.told
    is_known = told is not None and told.recovered_at is None
    written = []
    if story.pending is not None:
        well = replace(story.pending, recovered_at=now)
        written.append(well.dropped("recovered", now) if is_known else well)
    if told is not None and is_known:
        written.append(replace(told, recovered_at=now))
        if story.recovery is None:
            written.append(_note(fact, window))
    return written


def _note(fact: Fact, due: datetime) -> Note:
    return Note(
        fact.topic, fact.subject, fact.message, fact.occurred_at, fact.occurred_at, due, fact.correlation_id,
        fact.organization_id, fact.hint,
    )  # fmt: skip


def _held(story: Story, settings: Settings, now: datetime) -> tuple[int, datetime | None]:
    """Return how often a subject was told without a calm between, and until when it is not told again."""
    told = story.told
    if told is None or told.settled_at is None or not settings.repeat_minutes:
        return 0, None
    seen = max(
        moment
        for note in (told, story.dropped) if note is not None
        for moment in (note.last_occurred_at, note.recovered_at, note.settled_at) if moment is not None
    )  # fmt: skip
    if now - seen > timedelta(minutes=settings.repeat_minutes[-1]):
        return 0, None
    times = told.told_before + 1
    wait = settings.repeat_minutes[min(times, len(settings.repeat_minutes)) - 1]
    return times, min(told.settled_at, now) + timedelta(minutes=wait)  # the clock may have been set back


def _latest(settings: Settings, now: datetime) -> datetime:
    """Return when a repeat is due at the latest: what is due later was so by a clock that was set back."""
    return now + timedelta(minutes=max(settings.repeat_minutes, default=0))


def _continues(dropped: Note | None, settings: Settings, now: datetime) -> bool:
    """Tell whether a failure goes on with one that mended itself before it was told."""
    if dropped is None or dropped.settled_at is None or not settings.repeat_minutes:
        return False
    return now - dropped.settled_at <= timedelta(minutes=settings.repeat_minutes[0])


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of what a reader has pending: told now in one message, dropped, or looked at later."""

    told: tuple[Note, ...] = ()
    dropped: tuple[Note, ...] = ()
    next_at: datetime | None = None
    """When something that waits may be told; None where nothing waits."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who is told: what they want, when they were told something lately, and how they are reached."""

    settings: Settings
    sent_at: Sequence[datetime] = field(default=())
    """When the messages of the last hour, or of the last window if that is longer, went out."""
    is_reached_outside: bool = True
    """Whether a message leaves the file: quiet hours are for those."""


def decide(pending: Iterable[Note], reader: Reader, now: datetime) -> Decision:
    """Decide what a reader is told now of what is pending, in one message at most."""
    settings = reader.settings
    dropped, due, later = [], [], []
    for note in pending:
        reason = _why_not(note, settings, now)
        if reason is not None:
            dropped.append(note.dropped(reason, now))
        elif note.due_at <= now:
            due.append(note)
        else:
            later.append(note.due_at)
    free_at = _free_at(reader, now)
    quiet = settings.quiet_until(now) if reader.is_reached_outside else None
    told = [note for note in due if quiet is None or note.topic in settings.urgent_topics]
    if free_at is not None:
        told = []
        later.append(free_at)
    if quiet is not None and len(told) < len(due):
        later.append(quiet)
    written = tuple(replace(note, notification_status="told", settled_at=now) for note in told)
    return Decision(written, tuple(dropped), min(later, default=None))


def _why_not(note: Note, settings: Settings, now: datetime) -> str | None:
    """Say why something is not told at all; None if it is."""
    if not settings.wants(note.topic):
        return "disabled"
    if note.due_at > now:
        return None
    if settings.is_muted(note.subject, now):
        return "muted"
    if note.recovered_at is not None and note.occurrences < FLAPS:
        return "recovered"
    return None


def _free_at(reader: Reader, now: datetime) -> datetime | None:
    """Return when the next message may go out; None if it may now."""
    sent = sorted(moment for moment in reader.sent_at if moment <= now)
    settings, waits = reader.settings, []
    if sent and now - sent[-1] < settings.window:
        waits.append(sent[-1] + settings.window)
    hour = timedelta(hours=1)
    lately = [moment for moment in sent if now - moment < hour]
    if len(lately) >= settings.max_messages_per_hour:
        waits.append(lately[-settings.max_messages_per_hour] + hour)
    return max(waits, default=None)
