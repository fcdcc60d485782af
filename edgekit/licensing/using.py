"""Counting what is used: in the change of the use itself, so that both are kept or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import clock, db
from edgekit.errors import InvalidError
from edgekit.licensing import facts, registry
from edgekit.licensing.checking import check, explain_short, hint_for, refuse
from edgekit.licensing.clock import effective_now

if TYPE_CHECKING:
    from datetime import datetime

    from edgekit.licensing.deciding import Decision
    from edgekit.scope import Named

PERIODS = ("total", "hour", "day", "month", "year")

_PERIOD_KEY = "x-usage-period"
"""Where a feature's configuration schema says what its quantity is for; without it the caller says."""


@dataclass(frozen=True, slots=True)
class Use:
    """What was used of a feature in the scope whose licence counts it, and what is left of it.

    `licensed` and `remaining` are None where no licence sets a quantity. `warning` says what would have been
    refused, did the licence block.
    """

    feature: str
    scope: str
    period: str
    period_starts_at: str | None
    quantity: int
    used: int
    licensed: int | None
    remaining: int | None
    warning: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """A counter: what was used of a feature in a scope, beside what is licensed there."""

    feature: str
    scope: str
    organization: str | None
    period: str
    period_starts_at: str | None
    used: int
    licensed: int | None
    remaining: int | None


class _Counter(NamedTuple):
    feature_id: int
    scope_type_id: int
    scope_id: int | None
    organization_id: int | None
    period: str
    starts_at: str | None


def use(
    feature: str,
    quantity: int = 1,
    *,
    period: str | None = None,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
    organization: Named | None = None,
    now: datetime | None = None,
) -> Use:
    """Count a use of a feature, in the open change if there is one.

    The licence that decides counts it, in its own scope; so two programs share what the system was licensed
    for. What no licence limits is counted for the organization. `period` is total (seats and units, the
    default), hour, day, month or year. Raise LicenseError, and count nothing, where the installed licence
    blocks and the feature is not available or the quantity used up; in other modes say so in `warning`.
    """
    if type(quantity) is not int or quantity < 1:
        hint = "To give seats back: release()"
        raise InvalidError(f"A use is a whole number of at least 1, not {quantity}.", hint=hint)
    with db.change(reason=f"use {feature}"):
        decision = check(
            feature, program=program, producer=producer, entity=entity, user=user, organization=organization,
            now=now,
        )  # fmt: skip
        counter, label = _counter(decision, period, now)
        warning = None
        if not decision.enabled:
            warning = explain_short(decision)
            refuse(decision.mode, warning, hint=hint_for(decision))
        used = _used(counter)
        licensed = decision.quantity
        if licensed is not None and used + quantity > licensed:
            over = _over(decision, label, quantity, used, licensed, counter.period)
            refuse(decision.mode, over, hint=f"See: edgekit licensing usage {decision.feature}")
            warning = warning or over
        _store(counter, used + quantity)
    return _use(decision, label, counter, quantity, used + quantity, warning)


def release(
    feature: str,
    quantity: int = 1,
    *,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
    organization: Named | None = None,
    now: datetime | None = None,
) -> Use:
    """Give back seats or units that `use` took for good. Raise InvalidError for more than are in use."""
    if type(quantity) is not int or quantity < 1:
        raise InvalidError(f"What is given back is a whole number of at least 1, not {quantity}.")
    with db.change(reason=f"release {feature}"):
        decision = check(
            feature, program=program, producer=producer, entity=entity, user=user, organization=organization,
            now=now,
        )  # fmt: skip
        counter, label = _counter(decision, None, now)
        if counter.starts_at is not None:
            raise InvalidError(f"What is used of {decision.feature} is counted by the {counter.period}.")
        used = _used(counter)
        if quantity > used:
            raise InvalidError(f"Only {used} of {decision.feature} are in use for {label}, not {quantity}.")
        _store(counter, used - quantity)
    return _use(decision, label, counter, quantity, used - quantity, None)


def usage(feature: str | None = None) -> list[Usage]:
    """List what was used, of one feature or of all, scope by scope, the latest period first."""
    rows = db.query(
        "SELECT f.code, s.code AS level, s.table_name, u.scope_id, u.organization_id, o.code AS organization,"
        " coalesce(p.code, d.code) AS named, u.usage_period, u.period_starts_at, u.used_quantity,"
        " l.licensed_quantity FROM feature_usage u JOIN feature f ON f.id = u.feature_id"
        " JOIN scope_type s ON s.id = u.scope_type_id LEFT JOIN organization o ON o.id = u.organization_id"
        " LEFT JOIN program p ON s.table_name = 'program' AND p.id = u.scope_id"
        " LEFT JOIN producer d ON s.table_name = 'producer' AND d.id = u.scope_id"
        " LEFT JOIN feature_license l ON l.feature_id = u.feature_id AND l.scope_type_id = u.scope_type_id"
        " AND coalesce(l.scope_id, 0) = coalesce(u.scope_id, 0)"
        " AND coalesce(l.organization_id, 0) = coalesce(u.organization_id, 0)"
        " AND l.status_id IN (SELECT id FROM status WHERE is_active)"
        " WHERE ?1 IS NULL OR f.code = ?1 OR f.feature_key = ?1"
        " ORDER BY f.id, s.hierarchy_level, u.scope_id, u.usage_period, u.period_starts_at DESC",
        (feature,),
    )
    if feature is not None and not rows:
        facts.find_feature(feature)
    return [_usage(row) for row in rows]


def _usage(row: dict[str, Any]) -> Usage:
    licensed = row["licensed_quantity"]
    level = row["level"].lower()
    return Usage(
        feature=row["code"],
        scope=f"{level} {row['named']}" if row["table_name"] else level,
        organization=row["organization"],
        period=row["usage_period"],
        period_starts_at=row["period_starts_at"],
        used=row["used_quantity"],
        licensed=licensed,
        remaining=None if licensed is None else max(licensed - row["used_quantity"], 0),
    )


def _counter(decision: Decision, period: str | None, now: datetime | None) -> tuple[_Counter, str]:
    """Find where a use is counted: at the licence that decides or did last, else for the organization."""
    fact = decision.facts.features[0]
    stated = next((registry.parse(schema).get(_PERIOD_KEY) for schema in fact.schemas), None)
    period = stated or period or "total"
    if period not in PERIODS:
        raise InvalidError(f"There is no period {period!r}; periods are {', '.join(PERIODS)}.")
    starts = _starts(period, now)
    licence = decision.licence or next(reversed(fact.licences), None)
    if licence is not None:
        link = licence.link
        place = (link.scope_type_id, link.scope_id, licence.organization_id)
        return _Counter(fact.of.id, *place, period, starts), link.label
    link = [link for link in decision.facts.chain if link.scope_id is None][-1]
    return _Counter(fact.of.id, link.scope_type_id, None, link.organization_id, period, starts), link.label


def _starts(period: str, now: datetime | None) -> str | None:
    """Return when the running period began, in UTC; a clock set back begins none anew."""
    cut = {"hour": 13, "day": 10, "month": 7, "year": 4}.get(period)
    if cut is None:
        return None
    return clock.to_text(effective_now(now))[:cut] + "0000-01-01T00:00:00.000Z"[cut:]


_WHERE = (
    " WHERE feature_id = ? AND scope_type_id = ? AND COALESCE(scope_id, 0) = COALESCE(?, 0)"
    " AND COALESCE(organization_id, 0) = COALESCE(?, 0) AND usage_period = ?"
    " AND COALESCE(period_starts_at, '') = COALESCE(?, '')"
)


def _used(counter: _Counter) -> int:
    row = db.connection().execute(f"SELECT used_quantity FROM feature_usage{_WHERE}", counter).fetchone()
    return 0 if row is None else int(row[0])


def _store(counter: _Counter, used: int) -> None:
    """Write a counter. The change holds the file's one write lock, so nobody counts between."""
    connection, actor = db.connection(), db.current().actor_id
    updated = connection.execute(
        f"UPDATE feature_usage SET used_quantity = ?, updated_by = ?, updated_at = ?{_WHERE}",
        (used, actor, clock.now_text(), *counter),
    )
    if not updated.rowcount:
        connection.execute(
            "INSERT INTO feature_usage(feature_id, scope_type_id, scope_id, organization_id, usage_period,"
            " period_starts_at, used_quantity, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*counter, used, actor),
        )


def _over(decision: Decision, label: str, quantity: int, used: int, licensed: int, period: str) -> str:
    when = "" if period == "total" else f" in this {period}"
    return (
        f"{decision.feature} is licensed to {label} for {licensed}{when}: {used} are used,"
        f" {quantity} more would be {used + quantity}."
    )


def _use(
    decision: Decision, label: str, counter: _Counter, quantity: int, used: int, warning: str | None
) -> Use:
    licensed = decision.quantity
    remaining = None if licensed is None else max(licensed - used, 0)
    return Use(
        decision.feature,
        label,
        counter.period,
        counter.starts_at,
        quantity,
        used,
        licensed,
        remaining,
        warning,
    )
