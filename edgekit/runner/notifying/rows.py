"""Notifications as they stand in the file: read as what is decided on, and written back."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.models.notifications import Notification
from edgekit.runner.notifying.deciding import RECOVERIES, Note, failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edgekit.runner.notifying.deciding import Fact

_COLUMNS = [field.name for field in fields(Note)]
_TIMES = {name for name in _COLUMNS if name.endswith("_at")}
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM notification"


def read_known(user_id: int, fact: Fact) -> list[Note]:
    """Read what decides about a fact: of its subject, what waits, what was told last, and all since."""
    failure = failure_of(fact.topic)
    topics = (failure, RECOVERIES.get(failure, failure))
    return _read(
        "user_id = ?1 AND subject = ?2 AND organization_id = ?3 AND topic IN (?4, ?5)"
        " AND (notification_status = 'pending' OR id >= ifnull((SELECT max(id) FROM notification"
        " WHERE user_id = ?1 AND subject = ?2 AND organization_id = ?3 AND topic = ?4"
        " AND notification_status = 'told'), 0)) ORDER BY id",
        (user_id, fact.subject, fact.organization_id, *topics),
    )


def read_pending(user_id: int, organization_id: int) -> list[Note]:
    """Read all that waits to be told to a user of an organization."""
    return _read(
        "user_id = ? AND organization_id = ? AND notification_status = 'pending' ORDER BY id",
        (user_id, organization_id),
    )


def _read(where: str, params: Sequence[Any]) -> list[Note]:
    notes = []
    for row in db.query(f"{_SELECT} WHERE {where}", tuple(params)):
        values: dict[str, Any] = {
            name: clock.from_text(value) if name in _TIMES and value is not None else value
            for name, value in row.items()
        }
        notes.append(Note(**values))
    return notes


def window_end(user_id: int, organization_id: int, latest: datetime) -> datetime | None:
    """Return when the window that is open for a user ends; None if none is."""
    found = db.query(
        "SELECT min(due_at) AS due_at FROM notification WHERE user_id = ? AND organization_id = ?"
        " AND notification_status = 'pending' AND due_at <= ?",
        (user_id, organization_id, clock.to_text(latest)),
    )
    return clock.from_text(found[0]["due_at"]) if found[0]["due_at"] else None


def write(user_id: int, note: Note, *, communication_id: int | None = None) -> None:
    """Write a note into its row, or as a new one, in the open change."""
    values = {name: getattr(note, name) for name in _COLUMNS if name != "id"}
    values["organization"] = values.pop("organization_id")
    if communication_id is not None:
        values["communication"] = communication_id
    if note.id is None:
        Notification.insert(user=user_id, **values).execute()
    else:
        Notification.update(**values).where(Notification.id == note.id).execute()


def sent_since(user_id: int, since: datetime) -> list[datetime]:
    """Return when messages went out to a user since a moment, in order."""
    found = db.query(
        "SELECT min(settled_at) AS sent_at FROM notification WHERE user_id = ? AND settled_at > ?"
        " AND notification_status = 'told' AND topic <> 'test' GROUP BY communication_id ORDER BY 1",
        (user_id, clock.to_text(since)),
    )
    return [clock.from_text(row["sent_at"]) for row in found]
