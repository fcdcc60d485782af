"""By which channel a message goes, and what becomes of one that could not be sent."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, communications, configuration, db
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

FAILURE_TYPE, TYPE = TYPES = "SCHEDULE_FAILURE_NOTIFICATION", "ALERT_NOTIFICATION"
"""The types of communication: of a message that tells of a failed run, and of any other."""

INTERNAL = "INTERNAL"
"""The channel of messages that stay in the file: it always works."""

_DISTRUST = timedelta(hours=1)
"""So long after a message by a channel failed it is not used again."""


def choose_channel(
    wanted: Sequence[str], user_id: int, organization_id: int, *, again: bool = False, now: datetime
) -> str:
    """Return the first of the wanted channels that can be used for a user; INTERNAL where none can.

    One by which the last message failed not long ago is left out, unless it is to be tried `again`.
    """
    for code in wanted:
        channel = code.upper()
        if channel == INTERNAL:
            break
        if can_use(channel, user_id, organization_id) and (
            again or not _failed_lately(channel, user_id, now)
        ):
            return channel
    return INTERNAL


def _failed_lately(channel: str, user_id: int, now: datetime) -> bool:
    """Tell whether the last notification of a user by a channel failed not long ago, or is held back."""
    found = db.query(
        "SELECT s.code, c.completed_at, c.error_message FROM notification n"
        " JOIN communication c ON c.id = n.communication_id"
        " JOIN communication_status s ON s.id = c.communication_status_id"
        " JOIN communication_channel h ON h.id = c.channel_id"
        " WHERE n.user_id = ? AND h.code = ? ORDER BY c.id DESC LIMIT 1",
        (user_id, channel),
    )
    if found and found[0]["code"] in {"PENDING", "RETRYING"}:
        return found[0]["error_message"] is not None  # the mails of the day are used up, or nobody answers
    if not found or found[0]["code"] not in {"FAILED", "TIMEOUT"}:
        return False
    return now - clock.from_text(found[0]["completed_at"]) < _DISTRUST


def tell_inside(communication_id: int, *, now: datetime) -> int | None:
    """Put what a failed message says into the inbox of its reader, in the open change; return the new one.

    Do nothing for a communication that is no notification, or was one inside.
    """
    found = db.query(
        "SELECT c.uuid, c.target_id, c.request_data, c.organization_id, t.code AS type"
        " FROM communication c JOIN communication_type t ON t.id = c.communication_type_id"
        " JOIN communication_channel h ON h.id = c.channel_id WHERE c.id = ? AND h.code <> ?"
        " AND EXISTS (SELECT 1 FROM notification WHERE communication_id = c.id)",
        (communication_id, INTERNAL),
    )
    if not found:
        return None
    row = found[0]
    made = communications.create(
        row["type"],
        channel=INTERNAL,
        source="system",
        target=("USER", row["target_id"]),
        request_data=json.loads(row["request_data"]),
        parent=communication_id,
        organization=row["organization_id"],
        idempotency_key=f"{row['uuid']}-internal",
        now=now,
    )
    return int(made.id)


def can_use(channel: str, user_id: int, organization_id: int) -> bool:
    """Tell whether a message would leave by a channel: it is linked, served, and the user can be reached."""
    linked = db.query(
        "SELECT count(*) AS n FROM communication_type_channel l JOIN communication_type t"
        " ON t.id = l.communication_type_id JOIN communication_channel h ON h.id = l.channel_id"
        " WHERE h.code = ? AND t.code IN (?, ?) AND l.status_id = 1 AND h.status_id = 1",
        (channel, *TYPES),
    )
    if linked[0]["n"] < len(TYPES):
        return False
    if channel == "EMAIL" and not db.query(
        "SELECT 1 AS found FROM user WHERE id = ? AND email <> ''", (user_id,)
    ):
        return False
    try:
        served = configuration.resolve(f"CHANNEL_{channel}", organization=organization_id)
    except NotFoundError:
        return False
    ways = [served, *(served.get("types", {}).get(kind, {}) for kind in TYPES)]
    return any(way.get("integration") or way.get("provider") for way in ways)
