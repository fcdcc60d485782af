"""What keeps a communication waiting although it is due: no master key, or a place that is left alone.

Nothing goes out meanwhile, so that is no attempt of it: it is looked at again, ever more rarely, and nothing
is written but why it waits.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import UnavailableError, VaultLockedError
from edgekit.integrations import forms
from edgekit.vault import keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.runner.channels.message import Service

LONGEST = timedelta(days=3)
"""So long a place that does not answer is waited for."""

LONGEST_TOLD = timedelta(hours=1)
"""So long a notification waits for anything, before it is put into the inbox."""

_SELDOM = 900.0
"""Seconds between two looks at most."""

_TRIAL_SECONDS = 60
"""A breaker is half open no longer than that, unless the process that tried has died."""


class HeldBackError(UnavailableError):
    """Nothing was sent, and it was no attempt: it is looked at again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after

    @property
    def was_sent(self) -> bool:
        """No, or it says nothing of this communication."""
        return False


def find_lock(row: Mapping[str, Any]) -> VaultLockedError | None:
    """Return why no secret can be opened in this process, if that is so; no change may be open.

    A keyring may ask a person, and a passphrase takes its time.
    """
    if row["channel"] == "INTERNAL" or keys.held().by_id or not keys.data():
        return None
    try:
        keys.unlock()
    except VaultLockedError as error:
        return error
    return None


def find_reason(
    row: Mapping[str, Any], service: Service, locked: VaultLockedError | None, *, attempts: int, now: datetime
) -> HeldBackError | None:
    """Return why one is not sent now, as things stand in the open change; None if it may be tried."""
    integration = service.integration
    if integration is None:
        return None
    if locked is not None and forms.secret_keys(integration["connection_config"]):
        if is_overdue(row, LONGEST_TOLD, now=now) and _is_told(row):
            return None  # which fails, and goes into the inbox
        name = integration["integration_name"]
        return HeldBackError(
            f"It waits for the master key, without which the secrets of {name} stay closed: {locked.message}",
            retry_after=min(_SELDOM, 60.0 * max(1, attempts)), hint=locked.hint,
        )  # fmt: skip
    return _left_alone(integration, row, now)


def _left_alone(
    integration: Mapping[str, Any], row: Mapping[str, Any], now: datetime
) -> HeldBackError | None:
    at = clock.to_text(now)
    found = db.query(
        "SELECT target, failure_count, opened_at, retry_at FROM circuit_breaker WHERE integration_id = ?1"
        " AND (breaker_status = 'open' AND retry_at > ?2 OR breaker_status = 'half_open'"
        " AND updated_at BETWEEN ?3 AND ?4) ORDER BY retry_at DESC LIMIT 1",
        (
            integration["id"], at, clock.to_text(now - timedelta(seconds=_TRIAL_SECONDS)),
            clock.to_text(now + timedelta(seconds=_TRIAL_SECONDS)),
        ),
    )  # fmt: skip
    if not found or is_overdue(row, longest(row), now=now):
        return None
    one = found[0]
    left = (clock.from_text(one["retry_at"]) - now).total_seconds()
    span = clock.from_text(one["retry_at"]) - clock.from_text(one["opened_at"])
    if left > 2 * span.total_seconds():  # the clock was set back: as the breaker sees it
        return None
    return HeldBackError(
        f"It waits: {one['target']} does not answer {integration['integration_name']} and is left alone.",
        retry_after=max(left, _growing(one["failure_count"])),
        hint="It is sent when it answers again. See: edgekit integrations breakers",
    )


def pause_of(integration_id: int) -> float | None:
    """Return how many seconds what waits for a place that keeps failing is not looked at; None for none.

    How a single attempt went says nothing then of what was sent.
    """
    found = db.query(
        "SELECT max(failure_count) AS times FROM circuit_breaker"
        " WHERE integration_id = ? AND breaker_status <> 'closed'",
        (integration_id,),
    )
    times = found[0]["times"]
    return None if times is None else _growing(times)


def _growing(times: int) -> float:
    """The longer a place does not answer, the more rarely all that waits for it is looked at."""
    return max(1.0, min(_SELDOM, 15.0 * times))


def longest(row: Mapping[str, Any]) -> timedelta:
    """Return how long one waits for a place that does not answer."""
    return LONGEST_TOLD if _is_told(row) else LONGEST


def is_overdue(row: Mapping[str, Any], span: timedelta, *, now: datetime) -> bool:
    """Tell whether one was due longer ago than that."""
    return now - clock.from_text(row["scheduled_at"] or row["created_at"]) > span


def _is_told(row: Mapping[str, Any]) -> bool:
    """Whether it is a notification, which can be put into the inbox."""
    return bool(db.query("SELECT 1 FROM notification WHERE communication_id = ? LIMIT 1", (row["id"],)))
