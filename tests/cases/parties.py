"""Sound rows of the parties tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "organization": {"code": "O{n}", "name": "Agency"},
    "user": {"username": "user{n}"},
    "program": {"code": "P{n}", "name": "Program"},
    "producer": {"code": "P{n}", "name": "Producer"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "organization.parent_organization_id.cycle": {"id": 50, "parent_organization_id": 50},
}

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "organization_acyclic_bi": (
        "organization",
        (
            "UPDATE organization SET parent_organization_id = 1 WHERE id = ?1;"
            " INSERT OR REPLACE INTO organization(id, code, name, parent_organization_id) VALUES (1, 'MAIN', 'x', ?1)"
        ),
        "organization.parent_organization_id.cycle",
    ),
    "organization_acyclic_bu": (
        "organization",
        (
            "UPDATE organization SET parent_organization_id = 1 WHERE id = ?1;"
            " UPDATE organization SET parent_organization_id = ?1 WHERE id = 1"
        ),
        "organization.parent_organization_id.cycle",
    ),
    "user_system_kept_bi": (
        None,
        "REPLACE INTO user(id, username, created_by) VALUES (9, 'System', 9)",
        "user.id.protected",
    ),
    "user_system_kept_bu": (None, "UPDATE user SET username = 'other' WHERE id = 1", "user.id.protected"),
    "user_kept_bd": ("user", "DELETE FROM user WHERE id = ?1", "user.id.protected"),
}
