"""Handing events on: each subscription has a cursor, and what lies behind it becomes deliveries with jobs.

A change takes the events of one batch, in the order of their ids, and moves the cursor with them: a kill at
any instant makes no delivery twice and leaves none out. Ids are given in the order of commits, because a file
has one writer at a time; so nothing comes to light behind a cursor later.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, jobs
from edgekit.events.outbox import MATCHES, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

BATCH = 500
_MOST_BATCHES = 4
"""So many at once, about half a second: in between schedules are looked at."""
_LAG = 1000
"""So far a cursor may stay behind events that are none of its: moving it is a write, looking again is not."""

DEFAULT_ATTEMPTS = 8
"""Attempts of a delivery where neither the subscription nor the kind of its handler says."""


@dataclass(frozen=True, slots=True)
class Fanned:
    """What a fan-out came to; with `more`, it stopped before the end of the outbox."""

    deliveries: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Listener:
    id: int
    code: str
    handler_kind: str
    max_attempts: int | None
    last_event_id: int


_BEHIND = (
    "SELECT id, code, handler_kind, max_attempts, last_event_id FROM event_subscription"
    " WHERE status_id = 1 AND last_event_id < (SELECT max(id) FROM integration_event) ORDER BY id"
)


def fan_out(now: datetime, *, most_batches: int = _MOST_BATCHES) -> Fanned:
    """Make deliveries, and a job for each that need not wait, of the events behind each active cursor.

    Without new events that is one look at the file.
    """
    made, batches, more = 0, 0, False
    for row in db.connection().execute(_BEHIND).fetchall():
        listener, goes_on = _Listener(*row), True
        while goes_on:
            if batches >= most_batches:
                return Fanned(made, more=True)
            count, goes_on = _take_batch(listener.id, now)
            made += count
            batches += count > 0
        more = more or goes_on
    return Fanned(made, more)


def _take_batch(subscription_id: int, now: datetime) -> tuple[int, bool]:
    """Take the next events of a subscription; return how many became deliveries, and if there are more."""
    if not _has_news(subscription_id):
        return 0, False
    with db.change(reason="events: fan out") as change:
        row = db.connection().execute(f"{_ONE}", (subscription_id,)).fetchone()
        if row is None:
            return 0, False  # paused meanwhile
        listener, top = _Listener(*row[:-1]), row[-1]
        found = db.connection().execute(
            "SELECT e.id, e.uuid, e.ordering_key, e.correlation_id FROM integration_event e,"
            f" event_subscription s WHERE s.id = ?1 AND e.id > s.last_event_id AND {MATCHES}"
            " ORDER BY e.id LIMIT ?2",
            (subscription_id, BATCH),
        ).fetchall()  # fmt: skip
        is_full = len(found) == BATCH
        _make_deliveries(listener, found, now, change.at)
        _move(subscription_id, found[-1][0] if is_full else top, change.at)
    return len(found), is_full


_ONE = (
    "SELECT id, code, handler_kind, max_attempts, last_event_id, (SELECT max(id) FROM integration_event)"
    " FROM event_subscription WHERE id = ? AND status_id = 1"
)


def _has_news(subscription_id: int) -> bool:
    """Tell whether there is an event for a subscription, or its cursor is far behind."""
    found = db.connection().execute(
        "SELECT EXISTS (SELECT 1 FROM integration_event e WHERE e.id > s.last_event_id AND"
        f" {MATCHES}) OR (SELECT max(id) FROM integration_event) > s.last_event_id + ?2"
        " FROM event_subscription s WHERE s.id = ?1",
        (subscription_id, _LAG),
    )
    return bool(found.fetchone()[0])


def _move(subscription_id: int, to: int, at: str) -> None:
    db.connection().execute(
        "UPDATE event_subscription SET last_event_id = ?, updated_at = ? WHERE id = ? AND last_event_id < ?",
        (to, at, subscription_id, to),
    )


def _make_deliveries(listener: _Listener, found: Sequence[Any], now: datetime, at: str) -> None:
    """Write a delivery for each event, and its job unless it waits for one before it."""
    if not found:
        return
    moment, actor = clock.to_text(now), db.current().actor_id
    taken = _open_keys(listener.id, {key for _, _, key, _ in found if key is not None})
    for event_id, uuid, key, correlation_id in found:
        (delivery_id,) = db.connection().execute(
            "INSERT INTO event_delivery(event_id, subscription_id, ordering_key, idempotency_key,"
            " next_attempt_at, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (event_id, subscription_id) DO NOTHING RETURNING id",
            (event_id, listener.id, key, f"{uuid}-{listener.id}", moment, actor, at, at),
        ).fetchone() or (None,)  # fmt: skip
        if delivery_id is None or key in taken:
            continue  # replayed before its turn; or its turn comes when the one before it has settled
        if key is not None:
            taken.add(key)
        ask(delivery_id, listener.handler_kind, listener.max_attempts, correlation_id, now)
    db.connection().execute(
        "UPDATE integration_event SET processing_status = 'processing', updated_at = ?"
        " WHERE id IN (SELECT value FROM json_each(?)) AND processing_status = 'pending'",
        (at, json.dumps([row[0] for row in found])),
    )


def _open_keys(subscription_id: int, keys: Collection[str]) -> set[str]:
    """Return those of some ordering keys of which a delivery has not settled."""
    rows = db.connection().execute(
        "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM event_delivery WHERE subscription_id = ?"
        " AND ordering_key = value AND delivery_status IN ('pending', 'delivering'))",
        (json.dumps(list(keys)), subscription_id),
    )
    return {key for (key,) in rows}


def ask(delivery_id: int, kind: str, max_attempts: int | None, correlation_id: str, now: datetime) -> None:
    """Ask, in the open change, for the job of a delivery, unless it has one."""
    known = jobs.find(kind)
    attempts = max_attempts or (known.attempts if known is not None else DEFAULT_ATTEMPTS)
    jobs.enqueue(
        kind, {"delivery": delivery_id}, max_attempts=attempts, dedupe_key=key_of(delivery_id),
        correlation_id=correlation_id, now=now,
    )  # fmt: skip
