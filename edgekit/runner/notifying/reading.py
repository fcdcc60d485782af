"""What is to be told, was told, or was not, and why; and one's own say in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, configuration, db, scope
from edgekit.configuration.writing import content_at
from edgekit.errors import InvalidError, NotFoundError
from edgekit.runner.notifying.settings import TYPE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_SELECT = (
    "SELECT n.id, u.username AS user, n.topic, n.subject, n.message, n.hint, n.occurrences, n.occurred_at,"
    " n.last_occurred_at, n.recovered_at, n.notification_status, n.drop_reason, n.due_at, n.settled_at,"
    " n.communication_id, h.code AS channel, s.code AS communication_status, n.correlation_id"
    " FROM notification n JOIN user u ON u.id = n.user_id"
    " LEFT JOIN communication c ON c.id = n.communication_id"
    " LEFT JOIN communication_channel h ON h.id = c.channel_id"
    " LEFT JOIN communication_status s ON s.id = c.communication_status_id"
)


def list_notifications(*, mine: bool = False, pending: bool = False, limit: int = 50) -> list[dict[str, Any]]:
    """Return notifications, the newest first: with `mine` those to who works, with `pending` what waits."""
    wanted, values = ["1"], list[Any]()
    if mine:
        wanted.append("n.user_id = ?")
        values.append(db.current().actor_id)
    if pending:
        wanted.append("n.notification_status = 'pending'")
    return db.query(f"{_SELECT} WHERE {' AND '.join(wanted)} ORDER BY n.id DESC LIMIT ?", (*values, limit))


def show_notification(notification_id: int) -> dict[str, Any]:
    """Return a notification, with `text`, the message it went out in. Raise NotFoundError."""
    found = db.query(f"{_SELECT} WHERE n.id = ?", (notification_id,))
    if not found:
        raise NotFoundError(
            f"There is no notification {notification_id}.", hint="See: edgekit notifications list"
        )
    said: Sequence[dict[str, Any]] = db.query(
        "SELECT request_data ->> '$.subject' AS title, request_data ->> '$.text' AS text FROM communication"
        " WHERE id = ?",
        (found[0]["communication_id"],),
    )
    return {**found[0], **(said[0] if said else {"title": None, "text": None})}


def list_muted() -> list[dict[str, Any]]:
    """Return what who works wants to hear nothing of: {"subject", "until"}, None until it is taken back."""
    return [{"until": None, **item} for item in _own().get("muted", [])]


def mute_notifications(
    subject: str, *, until: datetime | None = None, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Tell who works nothing of a subject any more, or not before `until`; return all that is muted.

    What had ended by then is left out of it. Raise InvalidError for a subject without a letter, or a time
    that is past.
    """
    at = now or clock.now()
    if not subject.strip():
        raise InvalidError("Say what of.", hint="The subjects are in: edgekit notifications list --mine")
    if until is not None and until <= at:
        raise InvalidError(f"{clock.to_text(until)} is past.", hint="Leave --until out to mute it for good.")
    item = {"subject": subject.strip()} | ({"until": clock.to_text(until)} if until else {})
    with db.change(reason=f"notifications mute {subject}"):
        kept = [
            one for one in _own().get("muted", [])
            if one["subject"].casefold() != subject.strip().casefold()
            and (one.get("until") is None or one["until"] > clock.to_text(at))
        ]  # fmt: skip
        configuration.set(TYPE, "muted", [*kept, item], scope=_me())
    return list_muted()


def unmute_notifications(subject: str) -> list[dict[str, Any]]:
    """Tell who works of a subject again; return what is still muted. Raise NotFoundError if it is not."""
    with db.change(reason=f"notifications unmute {subject}"):
        there = _own().get("muted", [])
        kept = [one for one in there if one["subject"].casefold() != subject.strip().casefold()]
        if len(kept) == len(there):
            known = ", ".join(one["subject"] for one in there)
            raise NotFoundError(
                f"{subject} is not muted.", hint=f"Muted: {known}." if known else "Nothing is."
            )
        configuration.set(TYPE, "muted", kept, scope=_me())
    return list_muted()


def _me() -> str:
    return f"user:{db.current().session.username}"


def _own() -> dict[str, Any]:
    """Return what who works has set for themselves alone."""
    return content_at(configuration.find_type(TYPE), scope.find(_me()))
