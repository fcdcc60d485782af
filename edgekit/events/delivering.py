"""Handling a delivery: taken, handled, settled; tried again by its job, and given up when that is.

    @events.handles("acme.score", attempts=5)
    def score(delivery: events.Delivery) -> dict[str, Any] | None:
        with db.change(reason="score"):
            ...
            delivery.settle()       # handled exactly once: it commits with what the handler writes

A handler that returns without having settled its delivery is taken to have handled it. What it does outside
the file carries `delivery.idempotency_key`, which is the same in every attempt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, jobs, masking
from edgekit.errors import ConflictError, EdgekitError, NotFoundError
from edgekit.events import outbox
from edgekit.events.fanning import DEFAULT_ATTEMPTS, ask
from edgekit.events.telling import caused_by

if TYPE_CHECKING:
    from datetime import datetime

    from edgekit.events.outbox import Told
    from edgekit.jobs import kinds

Handler = Callable[["Delivery"], "dict[str, Any] | None"]
"""Handles one delivery. It returns what is kept as the result of the job, or None."""

_checks: dict[str, Callable[[Mapping[str, Any]], object]] = {}
"""What looks at the settings of a subscription before it is kept, by the kind of its handler."""

_endings: dict[str, kinds.GivenUp] = {}
"""What else is to be done when a delivery is given up, by the kind of its handler."""


@dataclass(slots=True)
class Delivery:
    """An event on its way to one subscription, in the hands of its handler."""

    id: int
    idempotency_key: str
    attempts: int
    """How many times it was tried, this time among them and whatever was replayed."""
    subscription: str
    config: Mapping[str, Any]
    """What the subscription says the handler needs to know."""
    event: Told
    job: jobs.Job
    subscription_id: int = 0
    organization_id: int | None = None
    """Whose subscription it is; None: one of all."""
    is_settled: bool = field(default=False)

    def settle(self, result: Mapping[str, Any] | None = None, *, now: datetime | None = None) -> None:
        """Write in the open change that it was handled, and end its job; what waited behind it goes next.

        Raise ConflictError if the job is no longer the caller's: the change must be given up.
        """
        at = now or clock.now()
        with db.change(correlation_id=self.event.correlation_id) as change:
            jobs.finish(self.job, result, now=at)
            db.connection().execute(
                "UPDATE event_delivery SET delivery_status = 'delivered', settled_at = ?, error_code = NULL,"
                " error_message = NULL, updated_at = ? WHERE id = ? AND delivery_status = 'delivering'",
                (clock.to_text(at), change.at, self.id),
            )
            # What waited is due at once, by the clock of whoever claimed this one.
            follow_up(self.id, now=min(at, self.job.claimed_at or at))
        self.is_settled = True


def handles(
    kind: str,
    *,
    concurrency: int | None = None,
    timeout_seconds: int = 300,
    isolated: bool = False,
    attempts: int = DEFAULT_ATTEMPTS,
    delay_seconds: float = 10.0,
    longest_delay_seconds: float = 4 * 3600.0,
    killed: kinds.Killed | None = None,
    given_up: kinds.GivenUp | None = None,
    check: Callable[[Mapping[str, Any]], object] | None = None,
) -> Callable[[Handler], Handler]:
    """Register what is decorated as what subscriptions of a `handler_kind` do with an event.

    `check` raises for settings of a subscription it cannot work with; the other options are those of a kind
    of job, `given_up` being called when its delivery has failed for good.
    Raise InvalidError if the kind has another handler.
    """

    def register(handler: Handler) -> Handler:
        @wraps(handler)
        def handle(job: jobs.Job) -> dict[str, Any] | None:
            return deliver(job, handler)

        jobs.handles(
            kind, concurrency=concurrency, timeout_seconds=timeout_seconds, isolated=isolated,
            attempts=attempts, delay_seconds=delay_seconds, longest_delay_seconds=longest_delay_seconds,
            killed=killed, given_up=give_up,
        )(handle)  # fmt: skip
        if check is not None:
            _checks[kind] = check
        if given_up is not None:
            _endings[kind] = given_up
        return handler

    return register


def check_config(kind: str, config: Mapping[str, Any]) -> None:
    """Raise NotFoundError where nothing handles events as a kind, or what its check raises."""
    if (found := jobs.find(kind)) is None or found.given_up is not give_up:
        raise NotFoundError(
            f"Nothing here handles events as {kind}.",
            hint="There are event.webhook and event.run, and what other packages register.",
        )
    if kind in _checks:
        _checks[kind](config)


def deliver(job: jobs.Job, handler: Handler, *, now: datetime | None = None) -> dict[str, Any] | None:
    """Hand the delivery of a job to its handler, and write what came of it. Raise what the handler raises."""
    with db.change(reason=f"job {job.kind}", correlation_id=job.correlation_id):
        delivery = _take(job) if _is_its_turn(job) else None
        if delivery is None:  # discarded, or its subscription is paused: nothing is left to be done now
            _let_go(job, now or clock.now())
            jobs.finish(job, {"skipped": True}, now=now)
            return None
    with caused_by(delivery.event.uuid):
        try:
            result = handler(delivery)
        except EdgekitError as error:
            _note(delivery, error, now or clock.now())
            raise
    if not delivery.is_settled:
        with db.change(reason=f"events: {delivery.subscription}", correlation_id=job.correlation_id):
            delivery.settle(result, now=now)
    return result


def _is_its_turn(job: jobs.Job) -> bool:
    """Take up, in the open change, what was given up, where its job is done again: `edgekit jobs retry`.

    Return whether it goes now: not while another of its key is open, after which it goes by itself. Raise
    ConflictError for one that arrived since, or whose subscription is retired.
    """
    number = int(job.payload.get("delivery") or 0)
    row = db.connection().execute(
        "SELECT d.delivery_status, d.event_id, s.code, s.status_id IN (1, 2), EXISTS (SELECT 1 FROM"
        " event_delivery o WHERE o.subscription_id = d.subscription_id AND o.ordering_key = d.ordering_key"
        " AND o.delivery_status IN ('pending', 'delivering')) FROM event_delivery d"
        " JOIN event_subscription s ON s.id = d.subscription_id WHERE d.id = ?",
        (number,),
    ).fetchone()  # fmt: skip
    if row is None or row[0] not in {"failed", "delivered"}:
        return row is not None
    status, event_id, subscription, is_heard, waits = row
    if status == "delivered":
        raise ConflictError(
            f"The delivery {number} has arrived.",
            hint=f"To hand it over again all the same: edgekit events replay {event_id} --all",
        )
    if not is_heard:
        raise ConflictError(f"The subscription {subscription} is retired: it is told nothing more.")
    reopen(number, event_id, now=clock.now())
    return not waits


def reopen(delivery_id: int, event_id: int, *, now: datetime) -> None:
    """Make a settled delivery pending once more, in the open change, and its event one that is processed."""
    moment, at = clock.to_text(now), clock.now_text()
    db.connection().execute(
        "UPDATE event_delivery SET delivery_status = 'pending', settled_at = NULL, next_attempt_at = ?,"
        " updated_at = ?, updated_by = ? WHERE id = ?",
        (moment, at, db.current().actor_id, delivery_id),
    )
    for before, after in (("failed", "pending"), ("pending", "processing")):
        db.connection().execute(
            "UPDATE integration_event SET processing_status = ?, updated_at = ? WHERE id = ?"
            " AND processing_status = ?",
            (after, at, event_id, before),
        )


def _take(job: jobs.Job) -> Delivery | None:
    """Count an attempt in the open change, and read what it is about; None where it must not be handled."""
    at, delivery_id = clock.now_text(), job.payload.get("delivery")
    row = db.connection().execute(
        "UPDATE event_delivery SET delivery_status = 'delivering', attempts = attempts + 1, updated_at = ?"
        " WHERE id = ? AND delivery_status IN ('pending', 'delivering') AND EXISTS (SELECT 1 FROM"
        " event_subscription s WHERE s.id = subscription_id AND s.status_id = 1 AND s.handler_kind = ?)"
        " AND EXISTS (SELECT 1 FROM job WHERE id = ? AND runner_id IS ? AND attempts = ?"
        " AND job_status = 'running') RETURNING id, idempotency_key, attempts, event_id, subscription_id",
        (at, delivery_id, job.kind, job.id, job.runner_id, job.attempts),
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    number, key, attempts, event_id, subscription_id = row
    code, config, organization_id = db.connection().execute(
        "SELECT code, handler_config, organization_id FROM event_subscription WHERE id = ?",
        (subscription_id,),
    ).fetchone()  # fmt: skip
    (event,) = outbox.read("WHERE e.id = ?", (event_id,))
    return Delivery(
        number,
        key,
        attempts,
        code,
        json.loads(config) if config else {},
        event,
        job,
        subscription_id,
        organization_id,
    )


def _let_go(job: jobs.Job, now: datetime) -> None:
    """Discard, in the open change, a delivery whose subscription was retired while it was being tried."""
    row = db.connection().execute(
        "UPDATE event_delivery SET delivery_status = 'discarded', settled_at = ?, updated_at = ? WHERE id = ?"
        " AND delivery_status = 'pending' AND EXISTS (SELECT 1 FROM event_subscription s"
        " WHERE s.id = subscription_id AND s.status_id NOT IN (1, 2)) RETURNING id",
        (clock.to_text(now), clock.now_text(), job.payload.get("delivery")),
    ).fetchone()  # fmt: skip
    if row is not None:
        follow_up(row[0], now=now)


def _note(delivery: Delivery, error: EdgekitError, now: datetime) -> None:
    """Write why an attempt failed, unless somebody else has taken the job over."""
    job, message = delivery.job, masking.text(error.message or error.code)
    due = clock.to_text(now + timedelta(seconds=jobs.delay(job, error)))
    with db.change(reason=f"events: {delivery.subscription}", correlation_id=job.correlation_id) as change:
        noted = db.connection().execute(
            "UPDATE event_delivery SET delivery_status = 'pending', next_attempt_at = ?, error_code = ?,"
            " error_message = ?, updated_at = ? WHERE id = ? AND delivery_status = 'delivering' AND EXISTS"
            " (SELECT 1 FROM job WHERE id = ? AND runner_id IS ? AND attempts = ?"
            " AND job_status = 'running')",
            (due, error.code[:50], message, change.at, delivery.id, job.id, job.runner_id, job.attempts),
        )
        if noted.rowcount:
            _tell_event(delivery.event.id, f"{delivery.subscription}: {message}", change.at)


def _tell_event(event_id: int, message: str, at: str) -> None:
    db.connection().execute(
        "UPDATE integration_event SET processing_error = ?, updated_at = ? WHERE id = ?"
        " AND processing_status <> 'processed'",
        (message, at, event_id),
    )


def give_up(job: jobs.Job, code: str, message: str, at: datetime) -> None:
    """Write, in the change that ends a job for good, that its delivery failed: it is a dead letter now."""
    delivery_id, said = job.payload.get("delivery"), masking.text(message)
    with db.change() as change:
        db.connection().execute(
            "UPDATE event_delivery SET delivery_status = 'delivering', updated_at = ? WHERE id = ?"
            " AND delivery_status = 'pending'",
            (change.at, delivery_id),
        )
        row = db.connection().execute(
            "UPDATE event_delivery SET delivery_status = 'failed', settled_at = ?, error_code = ?,"
            " error_message = ?, updated_at = ? WHERE id = ? AND delivery_status = 'delivering'"
            " RETURNING event_id, (SELECT code FROM event_subscription WHERE id = subscription_id)",
            (clock.to_text(at), code[:50], said, change.at, delivery_id),
        ).fetchone()  # fmt: skip
        if row is not None:
            _tell_event(row[0], f"{row[1]}: {said}", change.at)
            follow_up(int(delivery_id or 0), now=at)
            if job.kind in _endings:
                _endings[job.kind](job, code, message, at)


def follow_up(delivery_id: int, *, now: datetime) -> None:
    """Do, in the open change, what follows from a delivery being settled: for its event, and its key."""
    event_id, subscription_id, key = db.connection().execute(
        "SELECT event_id, subscription_id, ordering_key FROM event_delivery WHERE id = ?", (delivery_id,)
    ).fetchone()  # fmt: skip
    outbox.settle_events([event_id], now=now)
    if key is not None:
        ask_next(subscription_id, key, now=now)


def ask_next(subscription_id: int, key: str, *, now: datetime) -> None:
    """Ask, in the open change, for the job of the first open delivery of a key, unless it has one."""
    row = db.connection().execute(
        "SELECT d.id, s.handler_kind, s.max_attempts, e.correlation_id FROM event_delivery d"
        " JOIN event_subscription s ON s.id = d.subscription_id JOIN integration_event e ON e.id = d.event_id"
        " WHERE d.subscription_id = ? AND d.ordering_key = ? AND d.delivery_status IN"
        " ('pending', 'delivering') ORDER BY d.event_id LIMIT 1",
        (subscription_id, key),
    ).fetchone()  # fmt: skip
    if row is not None:
        ask(row[0], row[1], row[2], row[3], now)
