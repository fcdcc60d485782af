"""Tiers: what is sold as one, from the lowest to the highest."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit import db
from edgekit.licensing import registry


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier, who has it, and the features it covers by its rank or by a value of its own."""

    code: str
    name: str
    rank: int
    is_retired: bool
    users: int
    organizations: int
    features: tuple[str, ...]


def list_tiers() -> list[Tier]:
    """List the tiers, the lowest first. A retired one is given to nobody new; who has it keeps it."""
    rows = db.query(
        "SELECT t.id, t.code, t.name, t.tier_rank,"
        " t.status_id IN (SELECT id FROM status WHERE is_active) AS active,"
        " (SELECT count(*) FROM user WHERE license_tier_id = t.id) AS users,"
        " (SELECT count(*) FROM organization WHERE license_tier_id = t.id) AS organizations"
        " FROM license_tier t ORDER BY t.tier_rank"
    )
    features = db.query(
        "SELECT f.id, f.code, r.tier_rank FROM feature f JOIN license_tier r ON r.id = f.license_tier_id"
        " WHERE f.is_addon = 0 AND f.status_id IN (SELECT id FROM status WHERE is_active) ORDER BY f.id"
    )
    found = []
    for row in rows:
        own = registry.values_of(row["id"])
        covered = [
            feature["code"]
            for feature in features
            if (
                own[feature["id"]]["enabled"]
                if feature["id"] in own
                else feature["tier_rank"] <= row["tier_rank"]
            )
        ]
        found.append(
            Tier(
                code=row["code"],
                name=row["name"],
                rank=row["tier_rank"],
                is_retired=not row["active"],
                users=row["users"],
                organizations=row["organizations"],
                features=tuple(covered),
            )
        )
    return found
