"""Telling what has happened: a row in the outbox, in the change it is about."""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db
from edgekit.errors import InvalidError, NotFoundError
from edgekit.events.outbox import MATCHES, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

MOST_DEEP = 16
"""So many events may lead to each other: one that is deeper is kept as failed, and nobody hears it."""

_TYPE = re.compile(r"[a-z0-9_]+([.-][a-z0-9_]+)*")
_PATTERN = re.compile(r"[a-z0-9_*?]+([.-][a-z0-9_*?]+)*")
LONGEST_TYPE, _LONGEST_KEY = 100, 200
_TOO_DEEP = (
    f"More than {MOST_DEEP} events led to each other: this one is told to nobody."
    " Something that listens causes what it listens to."
)

_cause: ContextVar[str | None] = ContextVar("edgekit.events.cause", default=None)
"""The event that is being handled."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it was told; `processing_status` is failed where too many led to it."""

    uuid: str
    type: str
    correlation_id: str
    causation_id: str | None
    processing_status: str


def emit(
    event_type: str,
    payload: Mapping[str, Any] | None = None,
    *,
    source: str,
    ordering_key: str | None = None,
    causation_id: str | None = None,
    correlation_id: str | None = None,
    organization_id: int | None = None,
    target: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> Event:
    """Put an event into the outbox, in the open change or in one of its own, and return it.

    Without a `correlation_id` it has that of the change. `causation_id` is the uuid of the event that led to
    it; inside a handler that is the event it handles. Events with the same `ordering_key` reach each listener
    one after the other. Raise InvalidError for a type that is none, NotFoundError for an unknown source.
    """
    (event,) = emit_many(
        event_type,
        [payload or {}],
        source=source,
        ordering_keys=[ordering_key],
        causation_id=causation_id,
        correlation_id=correlation_id,
        organization_id=organization_id,
        target=target,
        metadata=[metadata or {}],
        now=now,
    )
    return event


def emit_many(
    event_type: str,
    payloads: Sequence[Mapping[str, Any]],
    *,
    source: str,
    ordering_keys: Sequence[str | None] | None = None,
    causation_id: str | None = None,
    correlation_id: str | None = None,
    organization_id: int | None = None,
    target: str | None = None,
    metadata: Sequence[Mapping[str, Any]] | None = None,
    now: datetime | None = None,
) -> list[Event]:
    """Put many events of one type into the outbox at once; `ordering_keys` and `metadata` have one for each.

    Raise as `emit` does.
    """
    check_type(event_type)
    if not payloads:
        return []
    keys = ordering_keys or [None] * len(payloads)
    if (longest := max((len(key) for key in keys if key), default=1)) > _LONGEST_KEY:
        raise InvalidError(f"An ordering key has at most {_LONGEST_KEY} characters: one has {longest}.")
    with db.change(reason=f"events emit {event_type}") as change:
        source_id = find_source(source)
        organization_id = organization_id or own_organization()
        cause = causation_id or _cause.get()
        status, at = _status(event_type, source_id, organization_id, cause), change.at
        moment = clock.to_text(now) if now is not None else at
        error = _TOO_DEEP if status == "failed" else None
        done = moment if status == "processed" else None
        thread = correlation_id or change.correlation_id
        told = [Event(str(uuid.uuid4()), event_type, thread, cause, status) for _ in payloads]
        noted: Sequence[Mapping[str, Any]] = metadata or [{}] * len(payloads)
        if error is not None:
            noted = [{**more, REFUSED: "depth"} for more in noted]
        db.connection().executemany(
            "INSERT INTO integration_event(uuid, event_type, event_source_id, event_target, event_payload,"
            " ordering_key, event_metadata, processing_status, processing_error, processed_at,"
            " correlation_id, causation_id, organization_id, created_by, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    event.uuid, event_type, source_id, target, codec.dumps(dict(payload)), key or None,
                    codec.dumps(dict(more)), status, error, done, event.correlation_id, cause,
                    organization_id, db.current().actor_id, moment, moment,
                )
                for event, payload, key, more in zip(told, payloads, keys, noted, strict=True)
            ],
        )  # fmt: skip
    return told


@contextmanager
def caused_by(event_uuid: str | None) -> Iterator[None]:
    """Make every event that is told inside one that this event led to; None: that nothing led to."""
    token = _cause.set(event_uuid)
    try:
        yield
    finally:
        _cause.reset(token)


def check_type(event_type: str) -> None:
    """Raise InvalidError unless a text is the type of an event: dotted, in lower case."""
    if not _TYPE.fullmatch(event_type) or len(event_type) > LONGEST_TYPE:
        raise InvalidError(
            f"{event_type[:LONGEST_TYPE]} is no type of an event: small letters and digits, parted by dots,"
            f" {LONGEST_TYPE} characters at most.",
            hint="Such as: policy.bound",
        )


def check_pattern(pattern: str) -> None:
    """Raise InvalidError unless a text is the type of an event, or a pattern (`policy.*`) of some."""
    if not _PATTERN.fullmatch(pattern) or len(pattern) > LONGEST_TYPE:
        raise InvalidError(
            f"{pattern[:LONGEST_TYPE]} is neither a type of events nor a pattern of some.",
            hint="Such as: policy.bound or policy.*",
        )


def own_organization() -> int | None:
    """Name the organization that what a user tells belongs to, of users who see no other."""
    session = db.current().session
    return None if session.sees_all else session.organization_id


def find_source(code: str) -> int:
    """Return the id of an event source. Raise NotFoundError."""
    found = db.connection().execute("SELECT id FROM event_source WHERE code = ?", (code,)).fetchone()
    if found is None:
        raise NotFoundError(f"There is no event source {code}.", hint="See: edgekit event-sources list")
    return int(found[0])


def _status(event_type: str, source_id: int, organization_id: int | None, cause: str | None) -> str:
    """Say what an event is to begin with: of what nobody listens to nothing is left to be done."""
    if cause is not None and _depth(cause) >= MOST_DEEP:
        return "failed"
    if not db.current().session.sees_all:
        return "pending"  # who else listens is not seen from here
    listens = db.connection().execute(_LISTENS, (event_type, source_id, organization_id))
    return "pending" if listens.fetchone()[0] else "processed"


_LISTENS = (
    "SELECT EXISTS (SELECT 1 FROM event_subscription s,"
    " (SELECT ?1 AS event_type, ?2 AS event_source_id, ?3 AS organization_id, '{}' AS event_metadata) e"
    f" WHERE s.status_id IN (1, 2) AND {MATCHES})"
)
"""Whether a subscription, paused or not, is about events of a type, a source and an organization."""


def _depth(cause: str) -> int:
    """Count the events that led to each other, up to the one named and with it."""
    found = db.connection().execute(
        "WITH RECURSIVE above(uuid, depth) AS (VALUES (?1, 1) UNION ALL"
        " SELECT e.causation_id, a.depth + 1 FROM above a JOIN integration_event e ON e.uuid = a.uuid"
        " WHERE e.causation_id IS NOT NULL AND a.depth < ?2) SELECT max(depth) FROM above",
        (cause, MOST_DEEP),
    )
    return int(found.fetchone()[0])
