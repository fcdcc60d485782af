"""Sound rows of the reference tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "role": {"code": "R{n}", "name": "Role"},
    "license_tier": {"code": "T{n}", "name": "Tier", "tier_rank": "1{n}"},
    "relationship_type": {"code": "R{n}", "name": "Relation"},
    "communication_direction": {"code": "D{n}", "name": "Direction"},
    "scope_type": {"code": "S{n}", "name": "Level", "hierarchy_level": "1{n}"},
}

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "communication_direction_kept_bi": (
        None,
        "REPLACE INTO communication_direction(code, name) VALUES ('inbound', 'x')",
        "communication_direction.id.protected",
    ),
    "communication_direction_kept_bu": (
        None,
        "UPDATE communication_direction SET code = 'OTHER' WHERE id = 1",
        "communication_direction.id.protected",
    ),
    "communication_direction_kept_bd": (
        None,
        "DELETE FROM communication_direction WHERE id = 1",
        "communication_direction.id.protected",
    ),
    "relationship_type_kept_bi": (
        None,
        "REPLACE INTO relationship_type(code, name) VALUES ('related', 'x')",
        "relationship_type.id.protected",
    ),
    "relationship_type_kept_bu": (
        None,
        "UPDATE OR REPLACE relationship_type SET code = 'PRIMARY' WHERE id = 3",
        "relationship_type.id.protected",
    ),
    "relationship_type_kept_bd": (
        None,
        "DELETE FROM relationship_type WHERE id = 2",
        "relationship_type.id.protected",
    ),
}
