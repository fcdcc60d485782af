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

_OTHER = "INSERT INTO organization(id, code, name) VALUES (77, 'OTHER', 'Other');"

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "entity_organization_bi": (
        "program",
        (
            f"{_OTHER} INSERT INTO entity(code, name, entity_type_id, organization_id, program_id)"
            " SELECT 'X', 'x', id, 77, ?1 FROM entity_type LIMIT 1"
        ),
        "entity.program_id.organization",
    ),
    "entity_organization_bu": (
        "producer",
        (
            f"{_OTHER} INSERT INTO entity(code, name, entity_type_id, organization_id) SELECT 'X', 'x', id, 77 FROM entity_type LIMIT 1;"
            " UPDATE entity SET producer_id = ?1 WHERE code = 'X'"
        ),
        "entity.producer_id.organization",
    ),
}
