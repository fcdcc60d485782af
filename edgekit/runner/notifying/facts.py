"""What an event means to people: which thing it is about, in a sentence, and what they can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.errors import quoted
from edgekit.runner.notifying.deciding import Fact
from edgekit.runner.notifying.wording import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

Read = tuple[str, str, str | None]
"""What an event is about, what happened, and what can be done."""


def read_fact(
    event_type: str,
    payload: Mapping[str, Any],
    *,
    occurred_at: datetime,
    correlation_id: str,
    organization_id: int,
) -> Fact:
    """Return what an event tells people. One of a type nobody here knows says what its payload says."""
    subject, message, hint = _READERS.get(event_type, _other)(payload)
    subject, message = plain(subject, 200) or event_type, plain(message) or event_type
    return Fact(
        event_type, subject, message, occurred_at, correlation_id, organization_id, hint and plain(hint)
    )


def _what_ran(payload: Mapping[str, Any]) -> str:
    """Name an integration, and the schedule it ran by: each fails, and is well again, by itself."""
    name, schedule = _said(payload, "integration"), _said(payload, "schedule")
    return f"{name} ({schedule})" if name and schedule and schedule != name else name or schedule


def _run(payload: Mapping[str, Any]) -> Read:
    name = _what_ran(payload)
    execution = payload.get("execution_id", payload.get("execution"))
    look = f"edgekit executions show {execution}" if isinstance(execution, int) else "edgekit executions list"
    return name, _said(payload, "error_message", "message", "error") or "It did not say why.", look


def _well(payload: Mapping[str, Any]) -> Read:
    return _what_ran(payload), "It works again.", None


def _missed(payload: Mapping[str, Any]) -> Read:
    name, count = _said(payload, "schedule"), payload.get("slot_count", 1)
    first, last = _said(payload, "scheduled_at"), _said(payload, "span_ended_at")
    when = f"between {first} and {last}" if last and last != first else f"at {first}"
    times = "It did not run" if count == 1 else f"It did not run {count} times"
    return (
        f"schedule {name}",
        f"{times}, due {when}, because no runner was running.",
        f"edgekit runner status; to make up for it: edgekit schedules backfill {quoted(name)}",
    )


def _backup(payload: Mapping[str, Any]) -> Read:
    last = _said(payload, "last_backup_at")
    said = _said(payload, "error", "error_message", "message").rstrip(".")
    there = f"The last one there is was made on {last[:10]}" if last else "There is none"
    return "backup", f"{said or 'It was not made'}. {there}.", _said(payload, "hint") or "edgekit doctor"


def _backed_up(payload: Mapping[str, Any]) -> Read:
    del payload
    return "backup", "It works again.", None


def _secret(payload: Mapping[str, Any]) -> Read:
    integration, key = _said(payload, "integration"), _said(payload, "key")
    return (
        f"secret {key} of {integration}",
        _expiry(payload),
        f"Get a new one from the provider, then: edgekit vault set {quoted(integration)} {quoted(key)}",
    )


def _license(payload: Mapping[str, Any]) -> Read:
    return (
        f"licence {_said(payload, 'license')}",
        _expiry(payload),
        "Ask its vendor for the next one, then: edgekit licensing install FILE",
    )


def _expiry(payload: Mapping[str, Any]) -> str:
    day, left = _said(payload, "expires_at")[:10], payload.get("days_left")
    if not isinstance(left, int):
        return f"It expires on {day}."
    if left < 0:
        return f"It expired on {day}."
    return f"It expires on {day}, {'today' if left == 0 else 'tomorrow' if left == 1 else f'in {left} days'}."


def _other(payload: Mapping[str, Any]) -> Read:
    return _said(payload, "subject", "name"), _said(payload, "message"), _said(payload, "hint") or None


def _said(payload: Mapping[str, Any], *names: str) -> str:
    """Return the first of these that an event says as text."""
    return next((value for name in names if isinstance(value := payload.get(name), str) and value), "")


_READERS: dict[str, Callable[[Mapping[str, Any]], Read]] = {
    "run.failed": _run,
    "run.recovered": _well,
    "slot.missed": _missed,
    "backup.failed": _backup,
    "backup.completed": _backed_up,
    "secret.expiring": _secret,
    "license.expiring": _license,
}
TOPICS = tuple(_READERS)
"""The events that are told to people; others by a subscription of their own."""
