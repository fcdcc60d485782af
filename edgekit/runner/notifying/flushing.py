"""What is due is told: one message to each recipient, by the first channel that can be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, communications, db
from edgekit.errors import DeniedError, InvalidError, NotFoundError
from edgekit.runner.notifying import rows, wording
from edgekit.runner.notifying.deciding import Note, Reader, decide
from edgekit.runner.notifying.hearing import order_flush
from edgekit.runner.notifying.recipients import is_active
from edgekit.runner.notifying.routes import FAILURE_TYPE, INTERNAL, TYPE, choose_channel
from edgekit.runner.notifying.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edgekit.runner.notifying.settings import Settings

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Flushed:
    """What was told: how many things in how many messages; how many were dropped; when more is due."""

    messages: int = 0
    told: int = 0
    dropped: int = 0
    next_at: datetime | None = None
    faults: tuple[str, ...] = ()
    """Why somebody could not be told: tried again an hour later, it keeps nobody else from being told."""


def flush_notifications(*, besides: int | None = None, now: datetime | None = None) -> Flushed:
    """Tell each user in one message what is due, and order the job for what has to wait; all in one change.

    Messages go out by jobs of their own. Two processes that do this at once tell everything once: the second
    finds it told. The job `besides` which another is ordered is the one that does it.
    """
    at = now or clock.now()
    messages = told = dropped = 0
    later, faults = [], list[str]()
    with db.change(reason="notifications: flush"):
        for row in db.query(
            "SELECT user_id, organization_id FROM notification WHERE notification_status = 'pending'"
            " AND due_at <= ? GROUP BY user_id, organization_id ORDER BY min(due_at), user_id",
            (clock.to_text(at),),
        ):
            try:
                with db.change():
                    found = _flush_one(row["user_id"], row["organization_id"], at)
            except (InvalidError, NotFoundError, DeniedError) as error:
                faults.append(f"user {row['user_id']}: {error.message}")
                found = Flushed(next_at=at + _HOUR)
            messages, told = messages + found.messages, told + found.told
            dropped += found.dropped
            later += [found.next_at] if found.next_at else []
        (waiting,) = db.query(
            "SELECT min(due_at) AS due_at FROM notification"
            " WHERE notification_status = 'pending' AND due_at > ?",
            (clock.to_text(at),),
        )
        later += [clock.from_text(waiting["due_at"])] if waiting["due_at"] else []
        next_at = min(later, default=None)
        if next_at is not None:
            order_flush(next_at, besides=besides, now=at)
    return Flushed(messages, told, dropped, next_at, tuple(faults))


def _flush_one(user_id: int, organization_id: int, at: datetime) -> Flushed:
    pending = rows.read_pending(user_id, organization_id)
    if not is_active(user_id):
        for note in pending:
            rows.write(user_id, note.dropped("disabled", at))
        return Flushed(dropped=len(pending))
    settings = read_settings(user=user_id)
    channel = choose_channel(settings.channels, user_id, organization_id, now=at)
    sent = rows.sent_since(user_id, at - max(_HOUR, settings.window))
    found = decide(pending, Reader(settings, sent, channel != INTERNAL), at)
    for note in found.dropped:
        rows.write(user_id, note)
    if found.told:
        tell(user_id, organization_id, found.told, settings, channel, at)
    return Flushed(int(bool(found.told)), len(found.told), len(found.dropped), found.next_at)


def tell(
    user_id: int, organization_id: int, notes: Sequence[Note], settings: Settings, channel: str, at: datetime
) -> int:
    """Write the one message that tells all this, and note with what it was told; return the communication."""
    is_failure = any(note.topic == "run.failed" for note in notes)
    ids = {note.correlation_id for note in notes}
    made = communications.create(
        FAILURE_TYPE if is_failure else TYPE,
        channel=channel,
        source="system",
        target=("USER", user_id),
        request_data={
            "subject": wording.title(notes, _place(organization_id)),
            "text": wording.text(notes, settings, at),
        },
        correlation_id=ids.pop() if len(ids) == 1 else None,
        organization=organization_id,
        now=at,
    )
    for note in notes:
        rows.write(user_id, note, communication_id=made.id)
    return int(made.id)


def _place(organization_id: int) -> str:
    found = db.query("SELECT name FROM organization WHERE id = ?", (organization_id,))
    return str(found[0]["name"]) if found else "edgekit"
