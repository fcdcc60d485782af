"""Sound rows of the core tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "status": {"code": "S{n}", "name": "State"},
    "environment": {"code": "E{n}", "name": "Place"},
    "tracked_table": {"name": "own_{n}", "create_sql": "CREATE TABLE own_{n}(id INTEGER PRIMARY KEY)"},
    "schema_migration": {"name": "m{n}", "sha256": "{n:064d}", "app_version": "1"},
    "validation_message": {"table_name": "t", "record_key": "1", "code": "c", "message": "m"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "system.id.single": {"id": 2},
    "system.uuid.length": {"uuid": "short"},
}

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "status_active_kept_bi": (
        None,
        "INSERT OR REPLACE INTO status(id, code, name) VALUES (1, 'ACTIVE', 'x')",
        "status.id.protected",
    ),
    "status_active_kept_bu": (None, "UPDATE status SET is_active = 0 WHERE id = 1", "status.id.protected"),
    "status_active_kept_bd": (None, "DELETE FROM status WHERE id = 1", "status.id.protected"),
    "system_uuid_bi": (
        None,
        "REPLACE INTO system(id, uuid, name, environment_id) SELECT 1, printf('%036d', 1), name, environment_id FROM system",
        "system.uuid.protected",
    ),
    "system_uuid_bu": (None, "UPDATE system SET uuid = printf('%036d', 1)", "system.uuid.protected"),
    "system_kept_bd": (None, "DELETE FROM system", "system.id.protected"),
}
