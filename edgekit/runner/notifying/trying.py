"""A message to oneself: the way notifications take, tried before something fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.runner.channels.at_once import send_communication
from edgekit.runner.notifying.deciding import Note
from edgekit.runner.notifying.flushing import tell
from edgekit.runner.notifying.reading import list_notifications
from edgekit.runner.notifying.routes import choose_channel
from edgekit.runner.notifying.settings import read_settings

if TYPE_CHECKING:
    from datetime import datetime

TOPIC = "test"


def try_notifications(*, channel: str | None = None, now: datetime | None = None) -> dict[str, Any]:
    """Send a message to who works, at once, by `channel` or the first of theirs that can be used; return it.

    It waits for no window and no quiet hours and counts for no limit. `error` says why it did not go out.
    Raise NotFoundError (no such channel), InvalidError (notifications do not travel by it).
    """
    at, who = now or clock.now(), db.current().session
    settings = read_settings(user=who.user_id)
    with db.change(reason="notifications test") as change:
        way = channel or choose_channel(
            settings.channels, who.user_id, who.organization_id, again=True, now=at
        )
        note = Note(
            TOPIC, "notifications", "This is a test: what fails here would be told to you like this.", at, at,
            at, change.correlation_id, who.organization_id, notification_status="told", settled_at=at,
        )  # fmt: skip
        made = tell(who.user_id, who.organization_id, [note], settings, way, at)
    send_communication(made, now=at)
    (said,) = db.query("SELECT error_message AS error FROM communication WHERE id = ?", (made,))
    return {**list_notifications(mine=True, limit=1)[0], **said}
