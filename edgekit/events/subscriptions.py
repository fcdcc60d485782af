"""Who listens to what: subscriptions, each with a cursor into the outbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db
from edgekit.errors import ConflictError, InvalidError, NotFoundError
from edgekit.events.delivering import ask_next, check_config
from edgekit.events.fanning import ask
from edgekit.events.outbox import settle_events
from edgekit.events.telling import check_pattern, find_source, own_organization

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ACTIVE, _PAUSED, _RETIRED = 1, 2, 4
_STATES = {_ACTIVE: "active", _PAUSED: "paused"}
_AT_ONCE = 500

_SUBSCRIPTION = (
    "SELECT s.id, s.code AS name, s.name AS title, s.event_type AS type,"
    " (SELECT code FROM event_source WHERE id = s.event_source_id) AS source,"
    " (SELECT code FROM organization WHERE id = s.organization_id) AS organization,"
    " s.handler_kind AS handler, s.handler_config AS config, s.max_attempts, s.status_id, s.last_event_id,"
    " (SELECT ifnull(max(id), 0) FROM integration_event) - s.last_event_id AS behind,"
    " (SELECT count(*) FROM event_delivery WHERE subscription_id = s.id AND delivery_status IN"
    "  ('pending', 'delivering')) AS open,"
    " (SELECT count(*) FROM event_delivery WHERE subscription_id = s.id AND delivery_status = 'failed')"
    "  AS failed"
    " FROM event_subscription s WHERE s.status_id IN (1, 2)"
)


def list_subscriptions() -> list[dict[str, Any]]:
    """Return the subscriptions by name: what each is about, its handler, and how much waits or failed."""
    return [_shown(row) for row in db.query(f"{_SUBSCRIPTION} ORDER BY s.code")]


def show_subscription(name: str) -> dict[str, Any]:
    """Return one subscription. Raise NotFoundError."""
    found = db.query(f"{_SUBSCRIPTION} AND s.code = ?", (name,))
    if not found:
        raise NotFoundError(
            f"There is no subscription {name}.", hint="See: edgekit events subscriptions list"
        )
    return _shown(found[0])


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    status = row.pop("status_id")
    return {
        **row, "config": json.loads(row["config"]) if row["config"] else {}, "state": _STATES[status],
    }  # fmt: skip


def add_subscription(
    name: str,
    *,
    handler: str,
    event_type: str | None = None,
    source: str | None = None,
    config: Mapping[str, Any] | None = None,
    max_attempts: int | None = None,
    organization_id: int | None = None,
    title: str | None = None,
    after: str | int | None = None,
) -> dict[str, Any]:
    """Add a subscription and return it. It is told what happens from now on.

    `event_type` may be a pattern (`policy.*`), and is every type if absent; `handler` is the kind of job that
    handles a delivery. `after` is the event (id or uuid) behind which it begins, 0 for the very first. Raise
    InvalidError, NotFoundError (handler, source, event), ConflictError where the name is taken.
    """
    _check(event_type, max_attempts)
    check_config(handler, config or {})
    with db.change(reason=f"events subscriptions add {name}") as change:
        _require_free(name)
        cursor = _last_event() if after is None else _event_id(after)
        db.connection().execute(
            "INSERT INTO event_subscription(code, name, event_type, event_source_id, organization_id,"
            " handler_kind, handler_config, max_attempts, last_event_id, created_by, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                name, title or name, event_type, None if source is None else find_source(source),
                organization_id or own_organization(), handler, codec.dumps(dict(config)) if config else None,
                max_attempts, cursor, db.current().actor_id, change.at, change.at,
            ),
        )  # fmt: skip
        return show_subscription(name)


def _check(event_type: str | None, max_attempts: int | None) -> None:
    if event_type is not None:
        check_pattern(event_type)
    if max_attempts is not None and max_attempts < 1:
        raise InvalidError("A delivery is tried once at least: max_attempts is 1 or more.")


def _require_free(name: str) -> None:
    row = db.query("SELECT status_id FROM event_subscription WHERE code = ?", (name,))
    if row:
        gone = " It was retired; names are not used again." if row[0]["status_id"] == _RETIRED else ""
        raise ConflictError(f"There is a subscription {name} already.{gone}", hint="Take another name.")


def _last_event() -> int:
    return int(db.query("SELECT ifnull(max(id), 0) AS last FROM integration_event")[0]["last"])


def _event_id(event: str | int) -> int:
    """Return the number of an event by its id or uuid; 0 is before the first."""
    if str(event) == "0":
        return 0
    found = db.query("SELECT id FROM integration_event WHERE uuid = ?1 OR id = ?1", (event,))
    if not found:
        raise NotFoundError(f"There is no event {event}.", hint="See: edgekit events list")
    return int(found[0]["id"])


def set_subscription(
    name: str,
    *,
    handler: str | None = None,
    event_type: str | None = None,
    source: str | None = None,
    config: Mapping[str, Any] | None = None,
    max_attempts: int | None = None,
    title: str | None = None,
    clear: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Change what a subscription is about, or how its handler is told to work; return it.

    What became a delivery stays one. `handler`, if given, must be the one it has. `config` is put over what
    is there; `clear` names what is to hold no longer: `type` (then every type), `source`, `max_attempts`.
    Raise as `add_subscription` does.
    """
    _check(event_type, max_attempts)
    with db.change(reason=f"events subscriptions set {name}") as change:
        found = show_subscription(name)
        if handler not in {None, found["handler"]}:
            raise InvalidError(
                f"{name} is done by {found['handler']}, not by {handler}.", hint="Add another subscription."
            )
        merged = {**found["config"], **(config or {})}
        if config:
            check_config(found["handler"], merged)
        given = {
            "name": title,
            "event_type": event_type,
            "event_source_id": None if source is None else find_source(source),
            "handler_config": codec.dumps(merged) if config else None,
            "max_attempts": max_attempts,
        }
        values: dict[str, Any] = {column: value for column, value in given.items() if value is not None}
        columns = {"type": "event_type", "source": "event_source_id", "max_attempts": "max_attempts"}
        values |= {columns[word]: None for word in clear}
        if values:
            assigned = ", ".join(f"{column} = ?" for column in values)
            db.connection().execute(
                f"UPDATE event_subscription SET {assigned}, updated_at = ?, updated_by = ? WHERE id = ?",
                (*values.values(), change.at, db.current().actor_id, found["id"]),
            )
            _settle_unheard(clock.now())
        return show_subscription(name)


def pause_subscription(name: str) -> dict[str, Any]:
    """Hand nothing on to a subscription until it is resumed; its events and deliveries wait. Return it."""
    found = show_subscription(name)
    if found["state"] == "active":
        with db.change(reason=f"events subscriptions pause {name}"):
            _set_status(found["id"], _PAUSED)
    return show_subscription(name)


def resume_subscription(name: str, *, now: datetime | None = None) -> dict[str, Any]:
    """Let a paused subscription go on where it stood. Return it."""
    found, at = show_subscription(name), now or clock.now()
    if found["state"] == "paused":
        with db.change(reason=f"events subscriptions resume {name}"):
            _set_status(found["id"], _ACTIVE)
            _ask_again(found["id"], at)
    return show_subscription(name)


def _ask_again(subscription_id: int, now: datetime) -> None:
    """Ask for the job of every open delivery that need not wait for another."""
    keyed = db.query(
        "SELECT DISTINCT ordering_key AS key FROM event_delivery WHERE subscription_id = ?"
        " AND delivery_status IN ('pending', 'delivering') AND ordering_key IS NOT NULL",
        (subscription_id,),
    )
    for row in keyed:
        ask_next(subscription_id, row["key"], now=now)
    free = db.query(
        "SELECT d.id, s.handler_kind, s.max_attempts, e.correlation_id FROM event_delivery d"
        " JOIN event_subscription s ON s.id = d.subscription_id JOIN integration_event e ON e.id = d.event_id"
        " WHERE d.subscription_id = ? AND d.delivery_status IN ('pending', 'delivering')"
        " AND d.ordering_key IS NULL ORDER BY d.event_id",
        (subscription_id,),
    )
    for row in free:
        ask(row["id"], row["handler_kind"], row["max_attempts"], row["correlation_id"], now)


def retire_subscription(name: str, *, now: datetime | None = None) -> None:
    """End a subscription: what it has not been told yet it never is; what it was told stays on record.

    Raise NotFoundError.
    """
    at = now or clock.now()
    with db.change(reason=f"events subscriptions retire {name}") as change:
        found = show_subscription(name)
        _set_status(found["id"], _RETIRED)
        rows = db.connection().execute(
            "UPDATE event_delivery SET delivery_status = 'discarded', settled_at = ?, updated_at = ?"
            " WHERE subscription_id = ? AND delivery_status = 'pending' RETURNING event_id",
            (clock.to_text(at), change.at, found["id"]),
        ).fetchall()  # fmt: skip
        settle_events([event_id for (event_id,) in rows], now=at)
        _settle_unheard(at)


def _set_status(subscription_id: int, status: int) -> None:
    at = clock.now_text()
    db.connection().execute(
        "UPDATE event_subscription SET status_id = ?, updated_at = ?, updated_by = ? WHERE id = ?",
        (status, at, db.current().actor_id, subscription_id),
    )


def _settle_unheard(now: datetime) -> None:
    """Settle events that waited for a subscription which is not about them any more."""
    rows = db.query("SELECT id FROM integration_event WHERE processing_status = 'pending'")
    for start in range(0, len(rows), _AT_ONCE):
        settle_events([row["id"] for row in rows[start : start + _AT_ONCE]], now=now)
