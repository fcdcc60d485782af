"""So many mails a day, as licensed: counted in the file, for each place they are sent for."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import clock, db, licensing

if TYPE_CHECKING:
    from collections.abc import Mapping

FEATURE = "EMAIL_NOTIFICATIONS"
LIMIT = "daily_email_limit"

_DAY = 86400
_log = logging.getLogger(__name__)


class Full(NamedTuple):
    """A limit that is used up: when the next day begins, and what to say."""

    until: datetime
    message: str


def take(place: Mapping[str, Any], *, now: datetime) -> Full | None:
    """Count one mail in the open change, at each place it is sent for; None if it may go.

    A day is one of UTC. Where a limit is used up nothing is counted; one of a licence that does not block
    only warns. Raise LicenseError where mails need a licence that is not there.
    """
    licensing.require(FEATURE, **place, now=now)
    began = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    used = {}
    for level, key in place.items():
        decision = licensing.check(FEATURE, **{level: key}, now=now)
        most = decision.settings.get(LIMIT)
        if most is None:
            continue
        label = f"{FEATURE}/{level}/{key}"
        used[label] = _used(label, clock.to_text(began))
        if used[label] >= most:
            until = began + timedelta(days=1)
            said = f"The {most} mails a day of the {level} ({LIMIT}) are used up"
            if decision.mode == "block":
                return Full(until, f"{said}: it is sent after {clock.to_text(until)}.")
            _log.warning("%s", said)
    for label, count in used.items():
        _store(label, clock.to_text(began), count + 1)
    return None


def _used(label: str, began: str) -> int:
    found = db.query(
        "SELECT used_count FROM rate_limit_window WHERE limiter_key = ? AND window_seconds = ?"
        " AND window_started_at = ?",
        (label, _DAY, began),
    )
    return int(found[0]["used_count"]) if found else 0


def _store(label: str, began: str, count: int) -> None:
    at, actor = clock.now_text(), db.current().actor_id
    db.connection().execute(
        "INSERT INTO rate_limit_window(limiter_key, window_seconds, window_started_at, used_count,"
        " created_by, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)"
        " ON CONFLICT (limiter_key, window_seconds) DO UPDATE SET window_started_at = ?3, used_count = ?4,"
        " updated_by = ?5, updated_at = ?6",
        (label, _DAY, began, count, actor, at),
    )
