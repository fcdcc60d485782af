"""Sound rows of the core tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "status": {"code": "S{n}", "name": "State"},
    "environment": {"code": "E{n}", "name": "Place"},
    "tracked_table": {"name": "own_{n}", "create_sql": "CREATE TABLE own_{n}(id INTEGER PRIMARY KEY)"},
    "schema_migration": {"name": "m{n}", "sha256": "{n:064d}", "app_version": "1"},
    "backup": {
        "path": "/b{n}.zip",
        "origin": "daily",
        "is_encrypted": 0,
        "bytes": 9,
        "sha256": "{n:064d}",
        "made_at": "2026-01-01T00:00:00.000Z",
        "verified_at": "2026-01-01T00:00:00.000Z",
    },
    "job": {"uuid": "{n:036d}", "kind": "k", "dedupe_key": "d{n}", "correlation_id": "c"},
    "validation_message": {"table_name": "t", "record_key": "1", "code": "c", "message": "m"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "job.timeout_seconds.range": {"timeout_seconds": 0},
    "job.priority.range": {"priority": 10},
    "job.runner_id.required": {"job_status": "running"},
    "job.ended_at.required": {"job_status": "completed"},
    "job.error_message.required": {"job_status": "failed", "ended_at": "2026-01-01T00:00:00.000Z"},
    "system.clock_at.time": {"clock_at": "2026-02-30T00:00:00.000Z"},
    "system.id.single": {"id": 2},
    "system.log_retention_years.range": {"log_retention_years": 101},
    "system.uuid.length": {"uuid": "short"},
}

CLAIM = "UPDATE job SET job_status = 'running', runner_id = 'r', claimed_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1"
DONE = "UPDATE job SET job_status = 'completed', ended_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1"

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "environment_kept_bi": (
        None,
        "REPLACE INTO environment(code, name) VALUES ('production', 'x')",
        "environment.id.protected",
    ),
    "environment_kept_bu": (
        None,
        "UPDATE environment SET code = 'OTHER' WHERE id = 1",
        "environment.id.protected",
    ),
    "environment_kept_bd": (
        None,
        "DELETE FROM environment WHERE id = 1",
        "environment.id.protected",
    ),
    "job_transition_bi": (
        "job",
        (
            f"{CLAIM}; {DONE}; REPLACE INTO job(uuid, kind, correlation_id, job_status)"
            " SELECT uuid, kind, correlation_id, NULL FROM job WHERE id = ?1"
        ),
        "job.job_status.final",
    ),
    "job_transition_bu": ("job", DONE, "job.job_status.transition"),
    "status_active_kept_bi": (
        None,
        "INSERT OR REPLACE INTO status(id, code, name) VALUES (1, 'ACTIVE', 'x')",
        "status.id.protected",
    ),
    "status_active_kept_bu": (None, "UPDATE status SET is_active = 0 WHERE id = 1", "status.id.protected"),
    "status_kept_bd": ("status", "DELETE FROM status WHERE id = ?1", "status.id.protected"),
    "system_uuid_bi": (
        None,
        "REPLACE INTO system(id, uuid, name, environment_id) SELECT 1, printf('%036d', 1), name, environment_id FROM system",
        "system.uuid.protected",
    ),
    "system_uuid_bu": (None, "UPDATE system SET uuid = printf('%036d', 1)", "system.uuid.protected"),
    "system_clock_bi": (
        None,
        (
            "UPDATE system SET clock_at = '2026-02-01T00:00:00.000Z';"
            " REPLACE INTO system(id, uuid, name, environment_id) SELECT 1, uuid, name, environment_id FROM system"
        ),
        "system.clock_at.protected",
    ),
    "system_clock_bu": (
        None,
        (
            "UPDATE system SET clock_at = '2026-02-01T00:00:00.000Z';"
            " UPDATE system SET clock_at = '2026-01-31T00:00:00.000Z'"
        ),
        "system.clock_at.protected",
    ),
    "system_kept_bd": (None, "DELETE FROM system", "system.id.protected"),
    "job_uuid_bu": (
        "job",
        "UPDATE OR REPLACE job SET uuid = printf('%036d', 0) WHERE id = ?1",
        "job.uuid.protected",
    ),
}
