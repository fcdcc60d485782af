"""Sound rows of the monitoring tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "metric_sample": {"metric": "m", "value": 1.5},
    "alert_rule": {"code": "A{n}", "name": "Limit", "metric": "m", "threshold": 5},
    "sla_target": {"metric": "m", "comparison": "at_least", "target": 99.5, "window_seconds": 86400},
    "alert": {
        "alert_rule_id": 1,
        "subject": "s{n}",
        "observed_value": 6,
        "threshold": 5,
        "message": "Too much.",
    },
    "dashboard": {"code": "D{n}", "name": "Figures", "definition": "{{}}"},
    "client_summary": {
        "active_modules": 0,
        "configured_apps": 0,
        "system_configurations": 0,
        "deployment_configurations": 0,
    },
}

AT = "2026-01-01T00:00:00.000Z"
SPECIAL: dict[str, dict[str, Any]] = {
    "alert.alert_rule_id.required": {"alert_rule_id": None},
    "alert.acknowledged_at.required": {"alert_status": "acknowledged"},
    "alert.resolved_at.required": {"alert_status": "resolved"},
    "alert.resolved_at.order": {"alert_status": "resolved", "resolved_at": AT},
}

RESOLVED = "UPDATE alert SET alert_status = 'resolved', resolved_at = opened_at WHERE id = ?1"

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "alert_transition_bi": (
        "alert",
        (
            f"{RESOLVED}; REPLACE INTO alert(id, alert_rule_id, observed_value, threshold, message)"
            " SELECT id, alert_rule_id, observed_value, threshold, message FROM alert WHERE id = ?1"
        ),
        "alert.alert_status.final",
    ),
    "alert_transition_bu": (
        "alert",
        f"{RESOLVED}; UPDATE OR REPLACE alert SET alert_status = NULL, resolved_at = NULL WHERE id = ?1",
        "alert.alert_status.final",
    ),
}

TAKEN = (
    "UPDATE alert SET alert_status = 'acknowledged', acknowledged_at = opened_at, acknowledged_by = 1"
    " WHERE id = ?1"
)
AGAIN = (
    "INTO alert(alert_rule_id, subject, observed_value, threshold, message)"
    " SELECT alert_rule_id, subject, 9, threshold, message FROM alert WHERE id = ?1"
)

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "an alert somebody is at, by REPLACE of the open one": (
        "alert",
        f"{TAKEN}; REPLACE {AGAIN}",
        "alert.alert_status.transition",
    ),
}
