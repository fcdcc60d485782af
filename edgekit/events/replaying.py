"""Handing deliveries over again, and deciding against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.audit.log import utc_text
from edgekit.errors import ConflictError, NotFoundError
from edgekit.events.delivering import follow_up, reopen
from edgekit.events.fanning import ask
from edgekit.events.subscriptions import show_subscription

if TYPE_CHECKING:
    from datetime import datetime

_AT_ONCE = 500


def replay_event(
    event: str | int, *, subscription: str | None = None, delivered: bool = False, now: datetime | None = None
) -> int:
    """Hand an event (its id or uuid) to its subscribers again and return to how many.

    To those it failed for, or with `delivered` also to those it reached; to one `subscription` if it is
    named, even if that was never told. Each knows it by the key of the first time. Raise NotFoundError, and
    ConflictError where there is nothing to be done again.
    """
    at = now or clock.now()
    with db.change(reason=f"events replay {event}"):
        row = db.query("SELECT id FROM integration_event WHERE uuid = ?1 OR id = ?1", (event,))
        if not row:
            raise NotFoundError(f"There is no event {event}.", hint="See: edgekit events list")
        condition, values = "d.event_id = ?", [row[0]["id"]]
        if subscription is not None:
            condition, values = f"{condition} AND d.subscription_id = ?", [
                *values, show_subscription(subscription)["id"],
            ]  # fmt: skip
        count = _again(condition, values, delivered, at)
        if not count:
            raise ConflictError(
                f"No delivery of the event {event} has failed.",
                hint=f"To hand it over again all the same: edgekit events replay {event} --all",
            )
    return count


def replay_subscription(
    name: str, *, since: datetime | str | None = None, delivered: bool = False, now: datetime | None = None
) -> int:
    """Hand what failed for a subscription over again, of events told `since` then; return how many.

    With `delivered` also what reached it. Raise NotFoundError, InvalidError (no such time).
    """
    at, found = now or clock.now(), show_subscription(name)
    condition, values = "d.subscription_id = ?", [found["id"]]
    if since is not None:
        condition += " AND d.event_id IN (SELECT id FROM integration_event WHERE created_at >= ?)"
        values.append(utc_text(since))
    count, more = 0, True
    while more:
        with db.change(reason=f"events replay --subscription {name}"):
            part = _again(f"{condition} AND d.settled_at < ?", [*values, clock.to_text(at)], delivered, at)
        count, more = count + part, part == _AT_ONCE
    return count


def _again(condition: str, values: list[Any], delivered: bool, now: datetime) -> int:
    """Make settled deliveries pending once more, in the open change, and ask for their jobs."""
    states = "('failed', 'delivered')" if delivered else "('failed')"
    rows = db.query(
        "SELECT d.id, d.event_id, d.subscription_id, d.ordering_key, s.status_id, s.handler_kind,"
        " s.max_attempts, e.correlation_id FROM event_delivery d JOIN event_subscription s"
        " ON s.id = d.subscription_id JOIN integration_event e ON e.id = d.event_id"
        f" WHERE {condition} AND d.delivery_status IN {states} AND s.status_id IN (1, 2)"
        " ORDER BY d.event_id LIMIT ?",
        (*values, _AT_ONCE),
    )
    for row in rows:
        waits = row["ordering_key"] is not None and _is_open(row["subscription_id"], row["ordering_key"])
        reopen(row["id"], row["event_id"], now=now)
        if row["status_id"] == 1 and not waits:
            ask(row["id"], row["handler_kind"], row["max_attempts"], row["correlation_id"], now)
    return len(rows)


def _is_open(subscription_id: int, key: str) -> bool:
    found = db.connection().execute(
        "SELECT 1 FROM event_delivery WHERE subscription_id = ? AND ordering_key = ?"
        " AND delivery_status IN ('pending', 'delivering')",
        (subscription_id, key),
    )
    return found.fetchone() is not None


def discard_delivery(delivery_id: int, *, now: datetime | None = None) -> None:
    """Decide against a delivery that failed or waits: it is not handed over any more.

    Raise NotFoundError, ConflictError for one that is on its way or done.
    """
    at = now or clock.now()
    with db.change(reason=f"events discard {delivery_id}") as change:
        found = db.query(
            "SELECT delivery_status, subscription_id, ordering_key FROM event_delivery WHERE id = ?",
            (delivery_id,),
        )
        if not found:
            raise NotFoundError(f"There is no delivery {delivery_id}.", hint="See: edgekit events deliveries")
        if found[0]["delivery_status"] not in {"failed", "pending"}:
            raise ConflictError(f"The delivery {delivery_id} is {found[0]['delivery_status']} already.")
        db.connection().execute(
            "UPDATE event_delivery SET delivery_status = 'discarded', settled_at = ?, updated_at = ?,"
            " updated_by = ? WHERE id = ?",
            (clock.to_text(at), change.at, db.current().actor_id, delivery_id),
        )
        _reopen_event(delivery_id, change.at)
        follow_up(delivery_id, now=at)


def _reopen_event(delivery_id: int, at: str) -> None:
    """Let a failed event be judged anew: with what failed discarded it may count as processed."""
    db.connection().execute(
        "UPDATE integration_event SET processing_status = 'pending', updated_at = ? WHERE processing_status ="
        " 'failed' AND id = (SELECT event_id FROM event_delivery WHERE id = ?)",
        (at, delivery_id),
    )
