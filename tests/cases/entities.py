"""Sound rows of the entities tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "entity_category": {"code": "C{n}", "name": "Category"},
    "entity_type": {"code": "T{n}", "name": "Type", "metadata_schema": "{{}}"},
    "entity": {"code": "E{n}", "name": "Service"},
    "entity_reference_type": {"code": "R{n}", "name": "Kind", "table_name": "user"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "entity_type.color.format": {"color": "#12345G"},
}
