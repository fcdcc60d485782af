"""What a schedule says of the settings of its runs, with the due time where they name it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from edgekit import clock
from edgekit.errors import InvalidError
from edgekit.recurrence import find_zone

if TYPE_CHECKING:
    from collections.abc import Callable

_DUE = re.compile(r"\{due:([^{}]*)\}")
_FORMAT = re.compile(r"([^%]|%[YmdHMSjGVu%])+")
_CODES = "%Y %m %d %H %M %S %j %G %V %u"


def check(parameters: Any) -> None:
    """Raise InvalidError where a due time is asked for in a form there is none of."""
    _replace(parameters, _checked)


def _checked(found: re.Match[str]) -> str:
    if not _FORMAT.fullmatch(found[1]):
        raise InvalidError(
            f"{found[0]} says no form of a due time.", hint=f"Write it like {{due:%Y-%m-%d}}, of {_CODES}."
        )
    return found[0]


def of_run(text: str | None, scheduled_at: str, timezone: str) -> dict[str, Any]:
    """Return the settings of the run of a slot: `{due:%Y-%m}` is its due time, in the schedule's zone.

    Raise InvalidError as `check` does, and for an unknown zone.
    """
    if not text or "{due:" not in text:
        return json.loads(text) if text else {}
    due = clock.from_text(scheduled_at).astimezone(find_zone(timezone))
    replaced: dict[str, Any] = _replace(
        json.loads(text), lambda found: due.strftime(_checked(found)[len("{due:") : -1])
    )
    return replaced


def _replace(value: Any, put: Callable[[re.Match[str]], str]) -> Any:
    if isinstance(value, str):
        return _DUE.sub(put, value)
    if isinstance(value, dict):
        return {name: _replace(part, put) for name, part in value.items()}
    return [_replace(part, put) for part in value] if isinstance(value, list) else value
