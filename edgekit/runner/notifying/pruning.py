"""Taking notifications out of the file that were told, or not told, long ago. What told them stays."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db

if TYPE_CHECKING:
    from datetime import datetime

KEEP_DAYS = 90
"""How long they are kept: longer than what was told is counted on, so that nobody hears of it twice."""

_AT_ONCE = 1000
_OLD = "SELECT id FROM notification WHERE id > ? AND settled_at < ? ORDER BY id LIMIT ?"


def prune_notifications(*, now: datetime, keep_days: int = KEEP_DAYS) -> int:
    """Delete notifications that were told or dropped more than so many days ago; the log says what they were.

    A thousand at once, each in a change of its own. Return how many. Those that wait are kept, and so are the
    communications that told the others.
    """
    before, last, count = clock.to_text(now - timedelta(days=keep_days)), 0, 0
    while rows := db.connection().execute(_OLD, (last, before, _AT_ONCE)).fetchall():
        last = rows[-1][0]
        with db.change(reason="notifications: prune"):
            db.connection().execute(
                "DELETE FROM notification WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps([number for (number,) in rows]),),
            )
        count += len(rows)
    return count
