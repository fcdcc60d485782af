"""Whether integrations can reach what they are connected to: asked with as little as shows it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgekit import clock, connectors, db, integrations, tracing
from edgekit.errors import CircuitOpenError, EdgekitError, RateLimitedError, VaultLockedError
from edgekit.integrations import figures, outbound
from edgekit.integrations.credentials import Secrets
from edgekit.integrations.instances import connector_config
from edgekit.models.integrations import Integration
from edgekit.runner.attempts import log_attempts
from edgekit.runner.limiting.breakers import is_left_alone
from edgekit.runner.limits import gated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_LATE_MS = 5000


@dataclass(frozen=True, slots=True)
class Health:
    """How an integration fares: `healthy`, `degraded`, `unhealthy`, or None where nothing can be asked."""

    integration: str
    health_status: str | None
    message: str | None = None
    response_time_ms: int | None = None
    last_health_check_at: datetime | None = None


def check_health(name: str, *, late_ms: int = _LATE_MS, now: datetime | None = None) -> Health:
    """Ask the source of an integration for next to nothing, write how it fares, and return it.

    Healthy is one that answers as it should; degraded one that answers after `late_ms`, after a second try,
    only in part, asks to wait, or whose breaker is half open; unhealthy one that does not answer or does not
    let us in, or whose breaker is open: that one is not asked before its time, and then this is the one trial
    that closes it or opens it again. `health_status`, `last_health_check_at` and
    the attempts are written together. Raise NotFoundError (no such integration), VaultLockedError.
    """
    return _check(integrations.find(name), late_ms, now or clock.now())


def _check(row: dict[str, Any], late_ms: int, moment: datetime) -> Health:
    correlation_id = tracing.new_correlation_id()
    with tracing.under(correlation_id):
        return _checked(row, late_ms, moment, correlation_id)


def _checked(row: dict[str, Any], late_ms: int, moment: datetime, correlation_id: str) -> Health:
    found, attempts = _judge(row, late_ms, moment)
    if found.health_status is None:
        return found
    with db.change(reason=f"integrations health {found.integration}"):
        Integration.update(health_status=found.health_status, last_health_check_at=moment).where(
            Integration.id == row["id"]
        ).execute()
        log_attempts(row["id"], row["organization_id"], attempts, correlation_id=correlation_id)
    return replace(found, last_health_check_at=moment)


def check_all_health(*, late_ms: int = _LATE_MS, now: datetime | None = None) -> list[Health]:
    """Check the health of every active integration, by name.

    One whose secret nobody can open now is unhealthy here and does not hold up the others; what is stored of
    it stays, as the other side was not asked.
    """
    found = []
    for row in integrations.find_all():
        try:
            found.append(_check(row, late_ms, now or clock.now()))
        except VaultLockedError as error:
            found.append(Health(row["integration_name"], "unhealthy", error.message))
    return found


def _judge(row: dict[str, Any], late_ms: int, now: datetime) -> tuple[Health, Sequence[connectors.Attempt]]:
    name = row["integration_name"]
    breaker = _breaker(row["id"])
    if breaker is not None and is_left_alone(breaker, now):
        held = f"{breaker['target']} failed {breaker['failure_count']} times and is left alone until"
        return Health(name, "unhealthy", f"{held} {breaker['retry_at']}."), []
    began = time.monotonic()
    try:
        page = _ask(row, now)
    except VaultLockedError:
        raise  # that says nothing of the other side
    except EdgekitError as error:
        if getattr(error, "limit", None) is not None:
            return Health(name, None, error.message), []
        # A breaker that refuses here is being tried by another call just now.
        is_slow = isinstance(error, RateLimitedError | CircuitOpenError)
        status = "degraded" if is_slow else "unhealthy"
        tries = vars(error).get("attempts", [])
        return Health(name, status, error.message, _took(tries, began)), tries
    if page is None:
        return Health(name, None, "There is nothing to ask: it reads standard input, or is only sent to."), []
    took = _took(page.attempts, began)
    complaint = _complaint(page, took, late_ms)
    if complaint is None and breaker is not None:
        left = _breaker(row["id"])
        if left is None:
            again = f"{breaker['target']} answers again after {breaker['failure_count']} failures."
            return Health(name, "healthy", again, took), page.attempts
        complaint = (
            f"It answers; {left['target']}, which failed {left['failure_count']} times, was not asked."
        )
    return Health(name, "degraded" if complaint else "healthy", complaint, took), page.attempts


def _ask(row: dict[str, Any], now: datetime) -> connectors.Page | None:
    settings = row["connection_config"]
    if "to" in settings:
        return _ask_destination(row, outbound.read_way(row["integration_name"], settings), now)
    connector = connectors.get(str(settings.get("connector", "")))
    config = connector_config(settings)
    connectors.check_config(connector, config)
    config |= figures.exchange_settings(row, config, connector.config_schema.get("properties", {}))
    with gated(connector, row["id"], row["integration_name"], now=lambda: now) as limited:
        return connectors.probe(limited, config, secrets=Secrets(row["id"], row["integration_name"]))


def _ask_destination(row: dict[str, Any], way: outbound.Way | None, now: datetime) -> connectors.Page | None:
    """Ask the other side without sending anything, where its connector knows how to."""
    connector: Any = way.connector if way is not None else None
    if way is None or not hasattr(connector, "probe_write"):
        return None
    known = connector.write_schema.get("properties", {})
    config = way.config | figures.exchange_settings(row, way.config, known)
    secrets = Secrets(row["id"], row["integration_name"])
    limited: Any
    with gated(connector, row["id"], row["integration_name"], now=lambda: now) as limited:
        page: connectors.Page | None = limited.probe_write(config, secrets=secrets)
    return page


def _complaint(page: connectors.Page, took: int, late_ms: int) -> str | None:
    """Say what is not as it should be of a source that answered."""
    if page.rejects and not page.records:
        return f"Its first record cannot be read: {page.rejects[0].message}"
    if len(page.attempts) > 1 and page.attempts[0].error is not None:
        return f"It answered only when asked again; at first: {page.attempts[0].error}"
    if took > late_ms:
        return f"It answered late, after {took} ms."
    return None


def _took(attempts: Sequence[connectors.Attempt], began: float) -> int:
    """Say how long the other side took; where no try was timed, how long all of it took."""
    if attempts:
        return sum(attempt.duration_ms for attempt in attempts)
    return round((time.monotonic() - began) * 1000)


def _breaker(integration_id: int) -> dict[str, Any] | None:
    """Return the breaker of an integration that is not closed, an open one first."""
    rows = db.query(
        "SELECT target, breaker_status, failure_count, opened_at, retry_at FROM circuit_breaker"
        " WHERE integration_id = ? AND breaker_status <> 'closed'"
        " ORDER BY breaker_status <> 'open', retry_at DESC LIMIT 1",
        (integration_id,),
    )
    return rows[0] if rows else None
