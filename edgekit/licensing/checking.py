"""Asking: is a feature available at a place, why, and what is missing.

Answers are kept until a table they rest on changes, or a licence expires; where `now` is given they are
worked out anew.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

from edgekit import cache, db, scope
from edgekit.errors import LicenseError, quoted
from edgekit.licensing import deciding, facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.licensing.deciding import Decision, Step, Unmet
    from edgekit.scope import Link, Named

_log = logging.getLogger(__name__)

_PLACES = ("scope_type", "status", "organization", "program", "producer", "entity", "user")

_DECISIONS = cache.Region(
    "features",
    seconds=cache.CLIENT_SECONDS,
    tables=(
        *_PLACES, "feature", "feature_type", "feature_dependency", "license_tier", "license_tier_feature",
        "feature_license", "license_file", "configuration_type", "configuration", "entity_type_feature",
        "entity_feature", "system",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with all that was looked at, and every link that is missing."""

    feature: str
    feature_key: str
    enabled: bool
    reason: str
    message: str
    value: Any
    settings: Mapping[str, Any]
    quantity: int | None
    mode: str
    tier: str | None
    chain: tuple[str, ...]
    unmet: tuple[Unmet, ...]
    dependencies: tuple[tuple[str, str], ...]
    path: tuple[Step, ...]
    turns_at: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One feature in a list."""

    feature: str
    feature_key: str
    name: str
    feature_type: str
    needs_tier: str
    is_addon: bool
    enabled: bool
    reason: str


def check(
    feature: str,
    *,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
    organization: Named | None = None,
    now: datetime | None = None,
) -> Decision:
    """Say whether a feature, by code or key, is available at a place.

    The answer is true in every mode; `require` and `use` are what a mode stops. Raise NotFoundError (feature,
    program …), and as `scope.chain`.
    """
    asked = (feature, organization, program, producer, entity, user)
    if now is not None:
        return _decide_asked(asked, now)
    found = _DECISIONS.get(asked, partial(_decide_asked, asked))
    if found.good_until is not None and time() >= found.good_until:
        return decide(feature, found.facts.chain)
    return found


_Asked = tuple[str, "Named | None", "Named | None", "Named | None", "Named | None", "Named | None"]


def _decide_asked(asked: _Asked, now: datetime | None = None) -> Decision:
    feature, organization, program, producer, entity, user = asked
    chain = scope.chain(
        organization=organization, program=program, producer=producer, entity=entity, user=user
    )
    return decide(feature, chain, now=now)


def require(
    feature: str,
    *,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
    organization: Named | None = None,
    now: datetime | None = None,
) -> Decision:
    """Go on only where a feature is available, and return the decision.

    Where it is not, raise LicenseError if the installed licence blocks; else go on, and log a warning if it
    warns. Raise as `check`.
    """
    decision = check(
        feature,
        program=program,
        producer=producer,
        entity=entity,
        user=user,
        organization=organization,
        now=now,
    )
    if not decision.enabled:
        refuse(decision.mode, explain_short(decision), hint=hint_for(decision))
    return decision


def explain(
    feature: str,
    *,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
    organization: Named | None = None,
    now: datetime | None = None,
) -> Explanation:
    """Say why a feature is available at a place or not: the whole path, and every unmet link.

    Raise as `check`.
    """
    chain = scope.chain(
        program=program, producer=producer, entity=entity, user=user, organization=organization
    )
    decision = decide(feature, chain, now=now)
    found = decision.facts
    edges = _edges([fact.of.id for fact in found.features])
    codes = {fact.of.id: fact.of.code for fact in found.features}
    return Explanation(
        feature=decision.feature,
        feature_key=decision.feature_key,
        enabled=decision.enabled,
        reason=decision.reason,
        message=decision.message,
        value=decision.value,
        settings=decision.settings,
        quantity=decision.quantity,
        mode=decision.mode,
        tier=found.tier.code if found.tier is not None else None,
        chain=tuple(link.label for link in chain),
        unmet=tuple(deciding.find_unmet(decision, edges)),
        dependencies=tuple((codes[needer], codes[needed]) for needer, needed in edges),
        path=decision.path,
        turns_at=decision.turns_at,
    )


def list_features(
    *,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
    organization: Named | None = None,
    now: datetime | None = None,
) -> list[Line]:
    """List every feature with what it is at a place."""
    chain = scope.chain(
        program=program, producer=producer, entity=entity, user=user, organization=organization
    )
    rows = db.query(
        "SELECT f.code, f.feature_key, f.name, y.code AS family, t.code AS tier, f.is_addon FROM feature f"
        " JOIN feature_type y ON y.id = f.feature_type_id JOIN license_tier t ON t.id = f.license_tier_id"
        " ORDER BY y.sort_order, y.id, f.id"
    )
    found = []
    for row in rows:
        decision = decide(row["code"], chain, now=now)
        found.append(
            Line(
                feature=row["code"],
                feature_key=row["feature_key"],
                name=row["name"],
                feature_type=row["family"],
                needs_tier=row["tier"],
                is_addon=bool(row["is_addon"]),
                enabled=decision.enabled,
                reason=decision.reason,
            )
        )
    return found


def mode(*, now: datetime | None = None) -> str:
    """Return what an unlicensed use meets in this file: advise, warn or block."""
    return facts.read_mode(now)


def decide(feature: str, chain: tuple[Link, ...], *, now: datetime | None = None) -> Decision:
    """Decide anew, whatever is kept."""
    return deciding.decide(facts.read(feature, chain, now=now))


def refuse(mode: str, message: str, *, hint: str | None = None) -> None:
    """Meet an unlicensed use as the mode says. Raise LicenseError if it blocks."""
    if mode == "block":
        raise LicenseError(message, hint=hint)
    if mode == "warn":
        _log.warning("%s", message)


def explain_short(decision: Decision) -> str:
    """Say in one sentence where a feature is not available, and why."""
    where = decision.facts.chain[-1].label if decision.facts.chain else "this file"
    message = decision.message
    if decision.reason == "dependency":
        off = [
            fact.of.code
            for fact, verdict in zip(decision.facts.features, decision.verdicts, strict=True)
            if not verdict.enabled
        ]
        message = f"It depends on {', '.join(off)}, which {'is' if len(off) == 1 else 'are'} off."
    return f"The feature {decision.feature} is not available for {where}. {message}"


def hint_for(decision: Decision) -> str:
    """Name the command that says all of it."""
    given = [
        f" --{link.level.lower()} {quoted(link.label.partition(' ')[2])}"
        for link in decision.facts.chain
        if link.scope_id is not None
    ]
    return f"See what is missing: edgekit licensing explain {decision.feature}{''.join(given)}"


def _edges(features: list[int]) -> list[tuple[int, int]]:
    """Read which of these features needs which."""
    marks = ", ".join("?" * len(features))
    rows = db.connection().execute(
        "SELECT d.feature_id, d.depends_on_feature_id FROM feature_dependency d"
        f" JOIN status s ON s.id = d.status_id AND s.is_active = 1 WHERE d.feature_id IN ({marks})"
        " ORDER BY d.feature_id, d.depends_on_feature_id",
        features,
    )
    return [(needer, needed) for needer, needed in rows]
