"""Validation rules of a field.

    {"pattern": "^[A-HJ-NPR-Z0-9]{17}$"}                                  of the converted value
    {"source": {"max_length": 20}, "target": {"minimum": 1900}}           before and after conversion

Keys: `min_length`, `max_length` (characters, or elements of a list), `pattern` (in the dialect of JSON
Schema), `choice` (a list), `minimum`, `maximum` (numbers, or text in order, such as ISO dates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import pattern
from edgekit.errors import InvalidError
from edgekit.mapping.field import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], None]

KEYS = frozenset({"min_length", "max_length", "pattern", "choice", "minimum", "maximum"})


def compile_checks(rules: Mapping[str, Any] | None) -> tuple[Check | None, Check | None]:
    """Return the checks of the value as it came and of the converted one. Raise InvalidError if bad."""
    if not rules:
        return None, None
    if rules.keys() <= {"source", "target"}:
        return _all(rules.get("source") or {}), _all(rules.get("target") or {})
    return None, _all(rules)


def _all(rules: Any) -> Check | None:
    if not isinstance(rules, dict):
        raise InvalidError("validation rules must be an object")
    unknown = rules.keys() - KEYS
    if unknown:
        raise InvalidError(
            f"validation rule {min(unknown)!r} is unknown", hint="known are " + ", ".join(sorted(KEYS))
        )
    checks = [_BUILD[key](rules[key]) for key in sorted(rules)]
    if len(checks) <= 1:
        return checks[0] if checks else None

    def check(value: Any) -> None:
        for one in checks:
            one(value)

    return check


def _min_length(limit: Any) -> Check:
    least = _count(limit, "min_length")

    def check(value: Any) -> None:
        if _length(value) < least:
            raise Refused("length", f"is shorter than {least}")

    return check


def _max_length(limit: Any) -> Check:
    most = _count(limit, "max_length")

    def check(value: Any) -> None:
        if _length(value) > most:
            raise Refused("length", f"is longer than {most}")

    return check


def _count(limit: Any, key: str) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise InvalidError(f"{key} must be a whole number, not {limit!r}")
    return limit


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (str, list)) else len(str(value))


def _pattern(expression: Any) -> Check:
    if not isinstance(expression, str):
        raise InvalidError(f"pattern must be text, not {expression!r}")
    found = pattern.compile(expression)

    def check(value: Any) -> None:
        try:
            if found(value if isinstance(value, str) else str(value)):
                return
        except pattern.PatternTimeoutError as error:
            raise Refused("pattern", f"cannot be checked: {error}") from None
        raise Refused("pattern", f"does not match {expression}")

    return check


def _choice(choices: Any) -> Check:
    if not isinstance(choices, list) or not choices:
        raise InvalidError("choice must be a list of values")
    names = ", ".join(str(choice) for choice in choices)
    names = names if len(names) <= 120 else names[:119] + "…"

    def check(value: Any) -> None:
        if not any(
            value == choice and (value is True or value is False) == isinstance(choice, bool)
            for choice in choices
        ):
            raise Refused("choice", f"is none of {names}")

    return check


def _minimum(limit: Any) -> Check:
    _limit(limit, "minimum")

    def check(value: Any) -> None:
        if _comparable(value, limit) < limit:
            raise Refused("range", f"is less than {limit}")

    return check


def _maximum(limit: Any) -> Check:
    _limit(limit, "maximum")

    def check(value: Any) -> None:
        if _comparable(value, limit) > limit:
            raise Refused("range", f"is more than {limit}")

    return check


def _limit(limit: Any, key: str) -> None:
    if isinstance(limit, bool) or not isinstance(limit, (int, float, str)) or limit != limit:
        raise InvalidError(f"{key} must be a number or text, not {limit!r}")


def _comparable(value: Any, limit: Any) -> Any:
    """Return the value where it has an order with the limit; text is compared with text only."""
    if (
        isinstance(value, str)
        if isinstance(limit, str)
        else (isinstance(value, (int, float)) and not isinstance(value, bool) and value == value)
    ):
        return value
    raise Refused("type", f"cannot be compared with {limit}")


_BUILD: dict[str, Callable[[Any], Check]] = {
    "min_length": _min_length,
    "max_length": _max_length,
    "pattern": _pattern,
    "choice": _choice,
    "minimum": _minimum,
    "maximum": _maximum,
}
