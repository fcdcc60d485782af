"""How often a slot is tried again, and after how long.

What the schedule says in `retry_policy` comes first, then DCS_RETRY for types of DCS, then
COMMUNICATION_DEFAULTS, whose `max_retry_attempts` caps all; each as it is resolved for the integration.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.errors import InvalidError
from edgekit.integrations import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN = ("attempts", "delay_seconds", "multiplier", "jitter", "max_delay_seconds")
_ASKED = dict.fromkeys(("retries", "retry_delay_ms", "retry_multiplier"))
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Retries:
    """What is tried again after a failure that may pass: `attempts` more times."""

    attempts: int
    delay_seconds: float = 1.0
    """Before the first of them."""
    multiplier: float = 2.0
    """From each delay to the next."""
    jitter: float = 0.0
    """How much longer a delay may be, as a part of it."""
    max_delay_seconds: float = _HOUR

    def delay(self, attempt: int, draw: float = 0.0) -> float:
        """Return the seconds to wait after an attempt, from 1; `draw`, 0 to 1, chooses within the jitter."""
        exact = self.delay_seconds * self.multiplier ** min(attempt - 1, 60)
        return float(min(self.max_delay_seconds, exact * (1 + self.jitter * draw)))


def attempts(row: Mapping[str, Any]) -> int:
    """Return how often a slot of a schedule is tried again. Raise InvalidError as `resolve` does."""
    return resolve(row["integration_id"], row["retry_policy"]).attempts


def resolve(integration_id: int, retry_policy: str | None) -> Retries:
    """Return how runs by a schedule are retried. Raise InvalidError for a bad policy."""
    own = read(json.loads(retry_policy) if retry_policy else {})
    (row,) = db.query(
        "SELECT i.id, i.integration_name, i.organization_id, i.entity_id, t.code AS integration_type"
        " FROM integration i JOIN integration_type t ON t.id = i.integration_type_id WHERE i.id = ?",
        (integration_id,),
    )
    said = {
        "retries": own.get("attempts"),
        "retry_delay_ms": 1000 * own["delay_seconds"] if "delay_seconds" in own else None,
        "retry_multiplier": own.get("multiplier"),
    }
    found = figures.exchange_settings(row, said, _ASKED)
    return Retries(
        int(found.get("retries", 0)),
        found.get("retry_delay_ms", 1000) / 1000,
        found.get("retry_multiplier", 2.0),
        own.get("jitter", 0.0),
        own.get("max_delay_seconds", _HOUR),
    )


def read(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a retry policy, its numbers no longer as text. Raise InvalidError naming what is wrong in it."""
    found = {}
    for name, value in policy.items():
        if name not in _KNOWN:
            raise InvalidError(f"A retry policy has no {name}.", hint=f"It has {', '.join(_KNOWN)}.")
        number = _number(name, value)
        if name == "attempts" and number != int(number):
            raise InvalidError(f"attempts of a retry policy is a whole number, not {value}.")
        if name == "multiplier" and number < 1:
            raise InvalidError("multiplier of a retry policy is 1 or more.")
        found[name] = int(number) if number == int(number) else number
    return found


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise InvalidError(f"{name} of a retry policy is a number from 0 on, not {value!r}.")
    return value
