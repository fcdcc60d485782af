"""What stands under a feature: entities that need one, models and components that are gated by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, rows, scope
from edgekit.errors import NotFoundError, quoted
from edgekit.licensing import checking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.licensing.deciding import Decision
    from edgekit.scope import Named


@dataclass(frozen=True, slots=True)
class Requirement:
    """A feature an entity needs or may use, by its type or for itself, and whether it is there."""

    entity: str
    feature: str
    by: str
    is_required: bool
    enabled: bool
    reason: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """A model or component, the feature it is gated by, and whether that is available."""

    kind: str
    code: str
    name: str
    feature: str
    is_gated: bool
    is_active: bool
    enabled: bool
    reason: str


def requirements(
    entity: Named, *, user: Named | None = None, now: datetime | None = None
) -> list[Requirement]:
    """List what an entity needs or may use, in its own scope; what is said of it itself replaces its type's.

    Raise NotFoundError.
    """
    chain = scope.chain(entity=entity, user=user)
    link = next(link for link in chain if link.level == "ENTITY")
    read = db.query(
        "SELECT f.code, 'type' AS by, t.is_required FROM entity e JOIN entity_type_feature t"
        " ON t.entity_type_id = e.entity_type_id AND t.status_id = 1 JOIN feature f ON f.id = t.feature_id"
        " WHERE e.id = ?1 AND NOT EXISTS (SELECT 1 FROM entity_feature x"
        " WHERE x.entity_id = e.id AND x.feature_id = f.id AND x.status_id = 1)"
        " UNION ALL SELECT f.code, 'entity', x.is_required FROM entity_feature x"
        " JOIN feature f ON f.id = x.feature_id WHERE x.entity_id = ?1 AND x.status_id = 1",
        (link.scope_id,),
    )
    found = []
    for row in read:
        decision = checking.decide(row["code"], chain, now=now)
        found.append(
            Requirement(
                entity=link.label.partition(" ")[2],
                feature=row["code"],
                by=row["by"],
                is_required=bool(row["is_required"]),
                enabled=decision.enabled,
                reason=decision.reason,
                settings=decision.settings,
            )
        )
    return found


def require_entity(
    entity: Named, *, user: Named | None = None, now: datetime | None = None
) -> list[Requirement]:
    """Go on only where all that an entity requires is available; return what it needs or may use.

    Call it before an entity is used. Where something is missing, raise LicenseError if the installed licence
    blocks; else go on. Raise NotFoundError.
    """
    found = requirements(entity, user=user, now=now)
    missing = [one for one in found if one.is_required and not one.enabled]
    if missing:
        names = ", ".join(one.feature for one in missing)
        label = missing[0].entity
        checking.refuse(
            checking.mode(now=now),
            f"The entity {label} requires {names}, not available where it belongs.",
            hint="See what is missing:"
            f" edgekit licensing explain {missing[0].feature} --entity {quoted(label)}",
        )
    return found


def activate_entity(entity: Named, *, now: datetime | None = None) -> list[Requirement]:
    """Make an entity active, where all it requires is available. Raise as `require_entity`."""
    with db.change(reason=f"activate entity {entity}"):
        found = require_entity(entity, now=now)
        key = scope.chain(entity=entity)[-1].scope_id
        db.connection().execute(
            "UPDATE entity SET status_id = 1, updated_by = ?, updated_at = ? WHERE id = ?",
            (db.current().actor_id, clock.now_text(), key),
        )
    return found


def _look_at_entity(key: int) -> None:
    """Refuse, in the change that does it, to make an entity active that lacks what it requires."""
    active = "SELECT 1 FROM entity e JOIN status s ON s.id = e.status_id AND s.is_active = 1 WHERE e.id = ?"
    if db.connection().execute(active, (key,)).fetchone():
        require_entity(key)


rows.guard("entity", _look_at_entity)


def check_component(component: str, **place: Any) -> Decision:
    """Say whether a component may be used: its feature decides, and its own status. See `check`."""
    return checking.check(_gate_of("component_registry", "g.code = ?", (component,), component), **place)


def require_component(component: str, **place: Any) -> Decision:
    """Go on only where a component may be used. Raise as `require`."""
    return checking.require(_gate_of("component_registry", "g.code = ?", (component,), component), **place)


def check_model(provider: str, model: str, **place: Any) -> Decision:
    """Say whether a provider's model may be used. See `check`."""
    where = "g.provider = ? AND g.model_id = ?"
    return checking.check(
        _gate_of("model_registry", where, (provider, model), f"{provider} {model}"), **place
    )


def require_model(provider: str, model: str, **place: Any) -> Decision:
    """Go on only where a provider's model may be used. Raise as `require`."""
    where = "g.provider = ? AND g.model_id = ?"
    return checking.require(
        _gate_of("model_registry", where, (provider, model), f"{provider} {model}"), **place
    )


def gates(**place: Any) -> list[Gate]:
    """List every component and model: the gated and those open to everybody, and what each is at a place."""
    read = db.query(
        "SELECT 'component' AS kind, c.code, c.name, f.code AS feature, f.feature_key,"
        " c.status_id IN (SELECT id FROM status WHERE is_active) AS is_active FROM component_registry c"
        " JOIN feature f ON f.id = c.feature_id UNION ALL SELECT 'model', m.provider || ' ' || m.model_id,"
        " m.model_name, f.code, f.feature_key, m.status_id IN (SELECT id FROM status WHERE is_active)"
        " FROM model_registry m JOIN feature f ON f.id = m.feature_id ORDER BY 1, 2"
    )
    found = []
    for row in read:
        decision = checking.check(row["feature"], **place)
        is_active = bool(row["is_active"])
        found.append(
            Gate(
                kind=row["kind"],
                code=row["code"],
                name=row["name"],
                feature=row["feature"],
                is_gated=row["feature_key"] != "components.public",
                is_active=is_active,
                enabled=decision.enabled and is_active,
                reason=decision.reason if is_active else "retired",
            )
        )
    return found


def _gate_of(table: str, where: str, values: tuple[str, ...], label: str) -> str:
    """Find the feature something active is gated by."""
    row = (
        db.connection()
        .execute(
            f"SELECT f.feature_key FROM {table} g JOIN feature f ON f.id = g.feature_id"
            f" JOIN status s ON s.id = g.status_id AND s.is_active = 1 WHERE {where}",
            values,
        )
        .fetchone()
    )
    if row is None:
        kind = table.partition("_")[0]
        raise NotFoundError(f"There is no active {kind} {label}.", hint="See: edgekit licensing gates")
    return str(row[0])
