"""Taking slots out of the file that ended long ago."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db

if TYPE_CHECKING:
    from datetime import datetime

KEEP_DAYS = 400
"""How long what became of due times is kept: a year can be compared with the one before."""

_AT_ONCE = 1000
_OLD = (
    "SELECT e.id FROM integration_schedule s CROSS JOIN integration_schedule_execution e"
    " ON e.schedule_id = s.id AND e.scheduled_at < ?1"
    " WHERE e.execution_status NOT IN ('scheduled', 'running') AND ifnull(e.span_ended_at < ?1, 1)"
    # The last of each schedule says how it stands, and the last event how far all events were heard.
    " AND e.scheduled_at < (SELECT max(scheduled_at) FROM integration_schedule_execution"
    " WHERE schedule_id = s.id)"
    " AND ifnull(e.event_id < (SELECT max(event_id) FROM integration_schedule_execution), 1) LIMIT ?2"
)


def prune_slots(*, keep_days: int = KEEP_DAYS, now: datetime) -> int:
    """Delete slots that ended and whose due time is more than so many days ago, and return how many.

    A thousand at once, each in a change of its own. The log says what they were; their executions stay.
    """
    before, count = clock.to_text(now - timedelta(days=keep_days)), 0
    while rows := db.connection().execute(_OLD, (before, _AT_ONCE)).fetchall():
        numbers = json.dumps([number for (number,) in rows])
        with db.change(reason="slots: prune"):
            db.connection().execute(
                "DELETE FROM integration_schedule_execution WHERE id IN (SELECT value FROM json_each(?))",
                (numbers,),
            )
        count += len(rows)
    return count
