"""What the log knows of a schedule: when it was paused, and when it became another, by whatever tool."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.runner.scheduling import rules

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_LATE = timedelta(minutes=1)
_ENTRIES = (
    "SELECT t.performed_at, iif(l.action = 'U', l.changes, '{}') FROM audit_log l"
    " JOIN audit_transaction t ON t.id = l.txn_id"
    " WHERE l.action <> 'I' AND l.record_key = ?2"
    " AND l.table_id = (SELECT id FROM audit_table WHERE name = ?1) ORDER BY l.seq DESC"
)


def changes(
    table: str, key: int, columns: Collection[str], since: datetime
) -> list[tuple[datetime, dict[str, Any]]]:
    """Return when columns of a row were changed after a time, with what they were before; the first first."""
    found = []
    with closing(db.connection().execute(_ENTRIES, (table, key))) as entries:
        for at, text in entries:  # the newest first: a row that runs often has more than is worth reading
            moment = clock.from_text(at)
            if moment <= since:
                break
            if before := {name: was for name, (was, _) in json.loads(text).items() if name in columns}:
                found.append((moment, before))
    return found[::-1]


def stretches(row: Mapping[str, Any], since: datetime, now: datetime) -> list[tuple[datetime, bool]]:
    """Return until when a schedule was as it is no more: off, or not, by its own state or its integration's.

    Nothing is said of how it is now, nor of what was changed less than a minute ago.
    """
    if now - since < _LATE:
        return []
    names = {"integration_schedule": row["id"], "integration": row["integration_id"]}
    told = sorted(
        (at, table, before["status_id"])
        for table, key in names.items()
        for at, before in changes(table, key, {"status_id"}, since)
        if at <= now
    )
    state = {"integration_schedule": row["status_id"], "integration": row["integration_status"]}
    found: list[tuple[datetime, bool]] = []
    for at, table, was in reversed(told):
        is_off = _is_off(state)
        state[table] = was
        if _is_off(state) != is_off:
            found.append((at, not is_off))
    return found[::-1]


def _is_off(state: Mapping[str, int]) -> bool:
    return any(status != rules.ACTIVE for status in state.values())
