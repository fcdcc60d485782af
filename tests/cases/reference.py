"""Sound rows of the reference tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "role": {"code": "R{n}", "name": "Role"},
    "license_tier": {"code": "T{n}", "name": "Tier", "tier_rank": "1{n}"},
    "relationship_type": {"code": "R{n}", "name": "Relation"},
    "communication_direction": {"code": "D{n}", "name": "Direction"},
}
