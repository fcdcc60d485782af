"""Taking jobs out of the file that ended long ago."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

KEEP_DAYS = 30
"""How long completed and cancelled jobs are kept."""

KEEP_FAILED_DAYS = 90

_AT_ONCE = 1000
_OLD = (
    "SELECT id FROM job WHERE id > ?1 AND (job_status IN ('completed', 'cancelled') AND ended_at < ?2"
    " OR job_status = 'failed' AND ended_at < ?3) ORDER BY id LIMIT ?4"
)


def prune(
    *,
    keep_days: int = KEEP_DAYS,
    keep_failed_days: int = KEEP_FAILED_DAYS,
    let_go: Callable[[str], None] | None = None,
    now: datetime,
) -> int:
    """Delete jobs that ended more than so many days ago, and return how many; the log says what they were.

    A thousand at once, each in a change of its own. `let_go` is called in it with their ids, a JSON array, to
    let go of them where a row refers to one.
    """
    before = [clock.to_text(now - timedelta(days=days)) for days in (keep_days, keep_failed_days)]
    last, count = 0, 0
    while rows := db.connection().execute(_OLD, (last, *before, _AT_ONCE)).fetchall():
        last = rows[-1][0]
        numbers = json.dumps([number for (number,) in rows])
        with db.change(reason="jobs: prune"):
            if let_go is not None:
                let_go(numbers)
            db.connection().execute(
                "DELETE FROM job WHERE id IN (SELECT value FROM json_each(?))", (numbers,)
            )
        count += len(rows)
    return count
