"""What a licence says, and whether it says it well: asked when one is issued, and when one is installed."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

from edgekit import clock
from edgekit.errors import LicenseFileError
from edgekit.licensing import statement

MODES = ("advise", "warn", "block")
"""What is done about what is not licensed: answer truthfully, also say so at each use, or refuse it."""

MAX_GRACE_DAYS = 3650

_LAST = "9900"  # the days of grace must still fit behind it

_SCOPE = re.compile(r"system|(program|producer):\S.{0,49}")
_REQUIRED = {"serial", "issued_at", "starts_at", "mode", "features"}
_OPTIONAL = {
    "customer", "site", "expires_at", "grace_days", "tier", "organization", "replaces", "sets_clock",
}  # fmt: skip
_ENVELOPE = {"format", "kind", "vendor", "signed_by"}


@dataclass(frozen=True, slots=True)
class Grant:
    """A feature that is licensed: by its code or key, to the `system` or to `program:CODE`, `producer:CODE`.

    `value` is a feature value, None for what the tier gives; `quantity` counts units or seats.
    """

    feature: str
    scope: str = "system"
    quantity: int = 1
    value: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a licence says; times as the file stores them, `expires_at` None for ever, `site` None for any.

    `organization` is the code of one in the file, None for the whole file. `replaces` names the serials it
    takes the place of. Where it `sets_clock`, the vendor vouches that it was `issued_at` when it was issued.
    """

    serial: str
    issued_at: str
    starts_at: str
    mode: str = "advise"
    expires_at: str | None = None
    grace_days: int = 0
    customer: str | None = None
    site: str | None = None
    tier: str | None = None
    organization: str | None = None
    features: tuple[Grant, ...] = ()
    replaces: tuple[str, ...] = ()
    sets_clock: bool = False

    def as_document(self) -> dict[str, Any]:
        """Return what is signed; what says nothing is left out."""
        document: dict[str, Any] = {
            name: value for name in (*_REQUIRED, *_OPTIONAL) if (value := getattr(self, name))
        }
        document["features"] = [
            {
                "feature": grant.feature,
                "scope": grant.scope,
                "quantity": grant.quantity,
                **({} if grant.value is None else {"value": grant.value}),
            }
            for grant in self.features
        ]
        if self.replaces:
            document["replaces"] = list(self.replaces)
        return document

    def problem(self) -> str | None:
        """Say what is wrong with these terms, None if nothing."""
        checks = (
            (_is_text(self.serial, 100), "The serial must have 1 to 100 characters, in one line."),
            (
                self.customer is None or _is_text(self.customer, 200),
                "The customer must be a name in one line.",
            ),
            (self.site is None or _is_uuid(self.site), "The site must be the uuid `edgekit status` shows."),
            (self.mode in MODES, f"The mode must be one of {', '.join(MODES)}."),
            (
                _is_time(self.issued_at) and _is_time(self.starts_at),
                f"The times must be times before {_LAST}.",
            ),
            (
                self.expires_at is None or _is_time(self.expires_at),
                f"The expiry must be a time before {_LAST}.",
            ),
            (_is_count(self.grace_days, 0, MAX_GRACE_DAYS), f"Days of grace go from 0 to {MAX_GRACE_DAYS}."),
            (self.tier is None or _is_text(self.tier, 50), "The tier must be the code of one."),
            (
                self.organization is None or _is_text(self.organization, 50),
                "The organization must be a code.",
            ),
            (all(_is_text(one, 100) for one in self.replaces), "What it replaces must be serials."),
            (self.serial not in self.replaces, "A licence cannot replace itself."),
            (self.tier or self.features, "A licence must name a tier or a feature."),
            (isinstance(self.sets_clock, bool), "Whether it sets the clock is true or false."),
        )
        for is_right, sentence in checks:
            if not is_right:
                return sentence
        if self.expires_at is not None and self.expires_at <= self.starts_at:
            return "A licence must expire after it starts."
        places = [(grant.feature.upper(), grant.scope.upper()) for grant in self.features if _is_grant(grant)]
        if len(places) != len(self.features):
            return (
                "A feature needs a code, a scope (system, program:CODE or producer:CODE), a quantity of"
                ' at least 1 and, where it has a value, {"enabled": true or false, …}.'
            )
        twice = next((place for place in places if places.count(place) > 1), None)
        return f"The feature {twice[0]} is named twice for {twice[1].lower()}." if twice else None


def read(signed: statement.Statement) -> Terms:
    """Read the terms of a licence. Raise LicenseFileError where it says what this program does not know."""
    document = {name: value for name, value in signed.document.items() if name not in _ENVELOPE}
    if unknown := sorted(document.keys() - _REQUIRED - _OPTIONAL):
        raise statement.newer(f"it speaks of {unknown[0]!r}")
    grants, replaces = document.get("features"), document.get("replaces", [])
    known = {"feature", "scope", "quantity", "value"}
    is_read = (
        document.keys() >= _REQUIRED
        and isinstance(replaces, list)
        and isinstance(grants, list)
        and all(isinstance(one, dict) and "feature" in one and one.keys() <= known for one in grants)
    )
    if not is_read:
        raise _unclear("Something is missing.")
    found = Terms(
        **{**document, "features": tuple(Grant(**one) for one in grants or ()), "replaces": tuple(replaces)}
    )
    if problem := found.problem():
        raise _unclear(problem)
    return found


def _unclear(problem: str) -> LicenseFileError:
    return LicenseFileError(
        f"The licence is signed, but it is none: {problem}", reason="malformed", hint="Tell the vendor."
    )


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and clock.to_text(clock.from_text(value)) == value < _LAST
    except (ValueError, OverflowError):
        return False


def _is_count(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_grant(grant: Grant) -> bool:
    return (
        _is_text(grant.feature, 100)
        and isinstance(grant.scope, str)
        and _SCOPE.fullmatch(grant.scope) is not None
        and _is_count(grant.quantity, 1, 2**53)
        and (
            grant.value is None
            or (isinstance(grant.value, dict) and type(grant.value.get("enabled")) is bool)
        )
    )
