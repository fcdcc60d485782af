"""The words of a message: a title, and for each thing what happened, how often, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit import masking
from edgekit.errors import quoted
from edgekit.runner.notifying.deciding import is_recovery

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edgekit.runner.notifying.deciding import Note
    from edgekit.runner.notifying.settings import Settings

MOST_LISTED = 40
"""Things a message lists; of the rest it says how many there are."""

_LONGEST_MESSAGE, _LONGEST_TITLE, _NAMED = 300, 120, 3
_VERBS = {"run.failed": "failed", "run.recovered": "works again", "slot.missed": "did not run",
          "backup.failed": "failed", "backup.completed": "works again", "secret.expiring": "expires",
          "license.expiring": "expires", "test": "test"}  # fmt: skip


def plain(text: str, longest: int = _LONGEST_MESSAGE) -> str:
    """Return a text as one line without secrets and what tells of a person, cut where it is longer."""
    return _line(masking.text(text), longest)


def _line(text: str, longest: int) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def title(notes: Sequence[Note], place: str) -> str:
    """Name in one line what a message is about: the first few things, and where they happened."""
    parts = [f"{note.subject} {_VERBS.get(note.topic, note.topic)}" for note in _ordered(notes)]
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    # Each by itself: an agency called Main Street, and a colon, look like somebody's address.
    what = ", ".join(map(plain, parts[:_NAMED]))
    return _line(f"{plain(place)}: {what}{more}", _LONGEST_TITLE)


def text(notes: Sequence[Note], settings: Settings, now: datetime) -> str:
    """Write what a message says: failures first, each thing with all that happened to it together."""
    ordered = _ordered(notes)
    blocks = ["\n".join(_block(note, settings, now)) for note in ordered[:MOST_LISTED]]
    if len(ordered) > MOST_LISTED:
        blocks.append(
            f"And {len(ordered) - MOST_LISTED} more: edgekit notifications list --limit {len(ordered)}"
        )
    loud = next(
        (note.subject for note in ordered if not is_recovery(note.topic) and note.topic != "test"), None
    )
    if loud is not None:
        blocks.append(f"To hear no more of one of them: edgekit notifications mute {quoted(loud)}")
    return "\n\n".join(blocks) + "\n"


def _ordered(notes: Sequence[Note]) -> list[Note]:
    first: dict[str, tuple[bool, datetime]] = {}
    for note in notes:
        place = (is_recovery(note.topic), note.occurred_at)
        first[note.subject] = min(first.get(note.subject, place), place)
    return sorted(notes, key=lambda note: (first[note.subject], note.subject, note.occurred_at, note.topic))


def _block(note: Note, settings: Settings, now: datetime) -> list[str]:
    begun, last = (_clock(moment, settings, now) for moment in (note.occurred_at, note.last_occurred_at))
    subject, said = plain(note.subject, 200), plain(note.message)
    if note.topic == "run.failed" or note.topic == "backup.failed":
        often = f"failed at {last}" if note.occurrences == 1 else (
            f"failed {note.occurrences} times since {begun}, the last time at {last}"
        )  # fmt: skip
        lines = [f"{subject} {often}: {said}"]
    elif is_recovery(note.topic):
        lines = [f"{subject} works again since {begun}."]
    else:
        often = "" if note.occurrences == 1 else f" ({note.occurrences} times since {begun})"
        lines = [f"{subject}: {said}{often}"]
    if note.recovered_at is not None:
        lines.append(f"  It works again since {_clock(note.recovered_at, settings, now)}.")
    elif note.told_before and not is_recovery(note.topic):
        lines.append("  You were told of it before; it is still so.")
    if note.hint and note.recovered_at is None:
        lines.append(f"  What to do: {note.hint}")
    return lines


def _clock(moment: datetime, settings: Settings, now: datetime) -> str:
    """Write a time as the reader's clock shows it, with the day where it is another one."""
    local = settings.local(moment)
    is_today = local.date() == settings.local(now).date()
    return f"{local:%H:%M}" if is_today else f"{local:%H:%M on %Y-%m-%d}"
