"""Sound rows of the runner tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "integration_execution": {"uuid": "{n:036d}", "correlation_id": "c"},
    "integration_checkpoint": {"state": "{{}}"},
    "integration_log": {"request_type": "GET", "correlation_id": "c"},
    "dead_letter": {
        "record": "{{}}",
        "record_digest": "{n:064d}",
        "source_position": "line 1",
        "step": "map",
        "error_code": "e",
        "error_message": "m",
        "correlation_id": "c",
    },
}

SPECIAL: dict[str, dict[str, Any]] = {
    "integration_execution.ended_at.required": {"execution_status": "completed"},
    "integration_execution.resumed_from_id.cycle": {"id": 50, "resumed_from_id": 50},
    "integration_log.response_code.range": {"response_code": 20},
    "dead_letter.settled_at.required": {"replay_status": "replayed"},
}

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "integration_execution_final_bi": (
        "integration_execution",
        (
            "UPDATE integration_execution SET execution_status = 'failed', ended_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1;"
            " REPLACE INTO integration_execution(uuid, integration_id, execution_status, correlation_id)"
            " SELECT uuid, integration_id, 'running', 'c' FROM integration_execution WHERE id = ?1"
        ),
        "integration_execution.execution_status.final",
    ),
    "integration_execution_final_bu": (
        "integration_execution",
        (
            "UPDATE integration_execution SET execution_status = 'failed', ended_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1;"
            " UPDATE integration_execution SET execution_status = 'running', ended_at = NULL WHERE id = ?1"
        ),
        "integration_execution.execution_status.final",
    ),
}

SAME: dict[str, dict[str, Any]] = {"integration_execution_running": {"execution_status": "running"}}
