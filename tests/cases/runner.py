"""Sound rows of the runner tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

from cases.integrations import ELSEWHERE, of_parent, stays

ROWS: dict[str, dict[str, Any]] = {
    "integration_schedule": {"schedule_name": "s{n}", "schedule_type": "manual"},
    "integration_schedule_time": {"time_of_day": "06:30"},
    "integration_schedule_recipient": {"user_id": 1},
    "integration_schedule_execution": {
        "scheduled_at": "2026-01-31T06:30:00.000Z",
        "correlation_id": "c",
    },
    "runner_session": {
        "runner_id": "r{n}",
        "process_id": 1,
        "app_version": "1",
        "started_at": "2026-01-31T06:30:00.000Z",
    },
    "circuit_breaker": {"target": "https://127.0.0.1"},
    "rate_limit_window": {
        "limiter_key": "k{n}",
        "window_seconds": 60,
        "window_started_at": "2026-01-31T06:30:00.000Z",
    },
    "integration_execution": {"uuid": "{n:036d}", "correlation_id": "c"},
    "integration_execution_communication": {},
    "integration_checkpoint": {"state": "{{}}"},
    "integration_log": {"request_type": "GET", "correlation_id": "c"},
    "integration_execution_input": {
        "uuid": "{n:036d}",
        "batch_number": "{n}",
        "record_count": 1,
        "records_zlib": b"x",
        "expires_at": "2026-01-31T06:30:00.000Z",
    },
    "integration_delivery": {
        "record_key": "{n}",
        "content_digest": "{n:064d}",
        "idempotency_key": "k{n}",
        "delivery_status": "delivered",
        "sent_at": "2026-01-31T06:30:00.000Z",
    },
    "notification": {
        "user_id": 1,
        "topic": "run.failed",
        "subject": "{n}",
        "message": "m",
        "occurred_at": "2026-01-31T06:30:00.000Z",
        "last_occurred_at": "2026-01-31T06:30:00.000Z",
        "due_at": "2026-01-31T06:40:00.000Z",
        "correlation_id": "c",
    },
    "webhook_receipt": {"event_id": "e{n}", "body": "{{}}"},
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
    "integration_schedule.cron_expression.format": {"cron_expression": "@daily"},
    "integration_schedule.cron_expression.length": {"cron_expression": "0 0 1 1 " + "1" * 200},
    "integration_schedule.cron_expression.required": {"schedule_type": "cron"},
    "integration_schedule.grace_seconds.range": {"grace_seconds": -1},
    "integration_schedule.catch_up_limit.range": {"catch_up_limit": 0},
    "integration_schedule.catch_up_delay_seconds.range": {"catch_up_delay_seconds": -1},
    "integration_schedule.jitter_seconds.range": {"jitter_seconds": -1},
    "integration_schedule.interval_minutes.required": {"schedule_type": "interval"},
    "integration_schedule.interval_minutes.range": {"interval_minutes": 0},
    "integration_schedule.timezone.format": {"timezone": "Europe/Berlin; x"},
    "integration_schedule.timezone.length": {"timezone": "E" * 65},
    "integration_schedule.next_run_at.required": {"next_run_at": "2026-01-31T06:30:00.000Z"},
    "integration_schedule.end_date.order": {"start_date": "2026-02-01", "end_date": "2026-01-31"},
    "integration_schedule.execution_timeout_seconds.range": {"execution_timeout_seconds": 0},
    "integration_schedule_time.time_of_day.format": {"time_of_day": "24:00"},
    "integration_schedule_execution.span_ended_at.order": {"span_ended_at": "2026-01-31T06:00:00.000Z"},
    "integration_schedule_execution.started_at.required": {"execution_status": "running"},
    "integration_schedule_execution.ended_at.required": {"execution_status": "failed"},
    "integration_schedule_execution.reason.required": {"execution_status": "skipped"},
    "circuit_breaker.opened_at.required": {"opened_at": "2026-01-31T06:30:00.000Z"},
    "circuit_breaker.retry_at.required": {
        "breaker_status": "open",
        "opened_at": "2026-01-31T06:30:00.000Z",
    },
    "circuit_breaker.retry_at.order": {
        "breaker_status": "open",
        "opened_at": "2026-01-31T06:30:00.000Z",
        "retry_at": "2026-01-31T06:00:00.000Z",
    },
    "runner_session.end_reason.required": {"ended_at": "2026-01-31T06:30:00.000Z"},
    "integration_schedule_execution.event_id.required": {"slot_kind": "event"},
    "notification.last_occurred_at.order": {"last_occurred_at": "2026-01-31T06:00:00.000Z"},
    "notification.settled_at.required": {"settled_at": "2026-01-31T06:30:00.000Z"},
    "notification.communication_id.required": {
        "notification_status": "told",
        "settled_at": "2026-01-31T06:30:00.000Z",
    },
    "notification.drop_reason.required": {"drop_reason": "muted"},
    "rate_limit_window.window_seconds.range": {"window_seconds": 0},
    "dead_letter.settled_at.required": {"replay_status": "replayed"},
    "integration_execution_input.records_zlib.required": {"records_zlib": None},
    "integration_execution_input.encryption_key_id.required": {"encryption_key_id": 1},
    "integration_delivery.error_message.required": {"delivery_status": "failed"},
    "integration_delivery.response_code.range": {"response_code": 20},
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

SETTLED = "execution_status = 'skipped', reason = 'missed'"
AGAIN = (
    "REPLACE INTO integration_schedule_execution(schedule_id, scheduled_at, correlation_id, execution_status)"
    " SELECT schedule_id, scheduled_at, 'c', {} FROM integration_schedule_execution WHERE id = ?1"
)
STARTED = "execution_status = 'running', started_at = '2026-01-31T06:30:00.000Z'"
AT_SEVEN = (
    "UPDATE integration_schedule SET schedule_type = 'fixed_time'"
    " WHERE id = (SELECT schedule_id FROM integration_schedule_time WHERE id = ?1); "
)

THERE = (
    "INSERT INTO communication(id, uuid, organization_id, communication_type_id, source_type_id, source_id, target_type_id,"
    " target_id, channel_id, direction_id, communication_status_id, correlation_id)"
    " VALUES (90, printf('%036d', 90), 90, 1, 1, 1, 2, 1, 1, 2, 1, 'c')"
)
"""A communication of another organization."""

DROPPED = "notification_status = 'dropped', drop_reason = 'muted', settled_at = '2026-01-31T06:30:00.000Z'"

REFUSALS |= {
    "notification_final_bi": (
        "notification",
        (
            f"UPDATE notification SET {DROPPED} WHERE id = ?1; "
            "REPLACE INTO notification(id, user_id, topic, subject, message, occurred_at, last_occurred_at,"
            " due_at, correlation_id) SELECT id, user_id, topic, subject, message, occurred_at,"
            " last_occurred_at, due_at, 'c' FROM notification WHERE id = ?1"
        ),
        "notification.notification_status.final",
    ),
    "notification_final_bu": (
        "notification",
        (
            f"UPDATE notification SET {DROPPED} WHERE id = ?1; UPDATE notification SET"
            " notification_status = 'pending', drop_reason = NULL, settled_at = NULL WHERE id = ?1"
        ),
        "notification.notification_status.final",
    ),
    **of_parent(
        "integration_schedule",
        "integration_id, schedule_name, schedule_type",
        "integration_id, 'x', 'manual'",
    ),
    **of_parent(
        "integration_execution",
        "integration_id, uuid, correlation_id",
        "integration_id, printf('%036d', 0), 'c'",
    ),
    **of_parent(
        "integration_schedule_execution",
        "schedule_id, scheduled_at, correlation_id",
        "schedule_id, '2026-02-01T06:30:00.000Z', 'c'",
    ),
    **stays(
        "integration_run_organization",
        "integration",
        "integration_name, integration_type_id, connection_config",
        "integration_schedule",
        "integration_id",
    ),
    **stays(
        "integration_schedule_owner",
        "integration_schedule",
        "integration_id, schedule_name, schedule_type",
        "integration_schedule_execution",
        "schedule_id",
    ),
    "integration_schedule_execution_parameters_secret_bi": (
        "integration_schedule",
        (
            "INSERT INTO integration_schedule(integration_id, schedule_name, schedule_type, execution_parameters)"
            """ SELECT integration_id, 'x', 'manual', '{"api_key": "k"}' FROM integration_schedule WHERE id = ?1"""
        ),
        "integration_schedule.execution_parameters.secret",
    ),
    "integration_schedule_execution_parameters_secret_bu": (
        "integration_schedule",
        """UPDATE integration_schedule SET execution_parameters = '{"a": {"Token": "k"}}' WHERE id = ?1""",
        "integration_schedule.execution_parameters.secret",
    ),
    "integration_schedule_next_run_at_bu": (
        "integration_schedule",
        (
            "UPDATE integration_schedule SET schedule_type = 'interval', interval_minutes = 5 WHERE id = ?1; "
            "UPDATE integration_schedule SET next_run_at = '2026-01-31T06:30:00.000Z' WHERE id = ?1; "
            "UPDATE integration_schedule SET interval_minutes = 60 WHERE id = ?1"
        ),
        "integration_schedule.next_run_at.stale",
    ),
    "integration_schedule_times_ai": (
        "integration_schedule",
        (
            "INSERT INTO integration_schedule(integration_id, schedule_name, schedule_type)"
            " SELECT integration_id, 'x', 'fixed_time' FROM integration_schedule WHERE id = ?1"
        ),
        "integration_schedule.schedule_type.times",
    ),
    "integration_schedule_times_bu": (
        "integration_schedule",
        "UPDATE integration_schedule SET schedule_type = 'fixed_time' WHERE id = ?1",
        "integration_schedule.schedule_type.times",
    ),
    "integration_schedule_time_kept_ai": (
        "integration_schedule_time",
        (
            AT_SEVEN + "INSERT INTO integration_schedule(id, integration_id, schedule_name, schedule_type)"
            " SELECT 90, integration_id, 'x', 'manual' FROM integration_schedule LIMIT 1; "
            "REPLACE INTO integration_schedule_time(id, schedule_id, time_of_day) VALUES (?1, 90, '07:00')"
        ),
        "integration_schedule_time.schedule_id.times",
    ),
    "integration_schedule_time_kept_au": (
        "integration_schedule_time",
        AT_SEVEN + "UPDATE integration_schedule_time SET status_id = 2 WHERE id = ?1",
        "integration_schedule_time.schedule_id.times",
    ),
    "integration_schedule_time_kept_ad": (
        "integration_schedule_time",
        AT_SEVEN + "DELETE FROM integration_schedule_time WHERE id = ?1",
        "integration_schedule_time.schedule_id.times",
    ),
    "integration_schedule_execution_final_bi": (
        "integration_schedule_execution",
        f"UPDATE integration_schedule_execution SET {SETTLED} WHERE id = ?1; {AGAIN.format(repr('scheduled'))}",
        "integration_schedule_execution.execution_status.final",
    ),
    "integration_schedule_execution_final_bu": (
        "integration_schedule_execution",
        (
            f"UPDATE integration_schedule_execution SET {SETTLED} WHERE id = ?1; "
            f"UPDATE integration_schedule_execution SET {STARTED} WHERE id = ?1"
        ),
        "integration_schedule_execution.execution_status.final",
    ),
    "integration_schedule_execution_begun_bi": (
        "integration_schedule_execution",
        f"UPDATE integration_schedule_execution SET {STARTED} WHERE id = ?1; {AGAIN.format('NULL')}",
        "integration_schedule_execution.execution_status.transition",
    ),
    "integration_schedule_execution_begun_bu": (
        "integration_schedule_execution",
        (
            f"UPDATE integration_schedule_execution SET {STARTED} WHERE id = ?1; "
            "UPDATE integration_schedule_execution SET execution_status = 'scheduled' WHERE id = ?1"
        ),
        "integration_schedule_execution.execution_status.transition",
    ),
    "integration_execution_begun_bi": (
        "integration_execution",
        (
            "UPDATE integration_execution SET execution_status = 'running' WHERE id = ?1;"
            " REPLACE INTO integration_execution(uuid, integration_id, execution_status, correlation_id)"
            " SELECT uuid, integration_id, NULL, 'c' FROM integration_execution WHERE id = ?1"
        ),
        "integration_execution.execution_status.transition",
    ),
    "integration_execution_begun_bu": (
        "integration_execution",
        (
            "UPDATE integration_execution SET execution_status = 'running' WHERE id = ?1;"
            " UPDATE integration_execution SET execution_status = 'pending' WHERE id = ?1"
        ),
        "integration_execution.execution_status.transition",
    ),
    "integration_log_organization_bi": (
        "integration",
        (
            "INSERT INTO integration_log(integration_id, request_type, correlation_id, organization_id)"
            " VALUES (?1, 'GET', 'c', NULL)"
        ),
        "integration_log.organization_id.organization",
    ),
    "webhook_receipt_organization_bi": (
        "integration",
        (
            "INSERT INTO webhook_receipt(integration_id, event_id, body, organization_id)"
            " VALUES (?1, 'e', '{}', NULL)"
        ),
        "webhook_receipt.organization_id.organization",
    ),
    "integration_execution_communication_organization_bi": (
        "integration_execution",
        (
            f"{ELSEWHERE}; {THERE}; "
            "INSERT INTO integration_execution_communication(execution_id, communication_id) VALUES (?1, 90)"
        ),
        "integration_execution_communication.communication_id.organization",
    ),
    "integration_execution_communication_organization_bu": (
        "integration_execution_communication",
        (
            f"{ELSEWHERE}; {THERE}; "
            "UPDATE integration_execution_communication SET communication_id = 90 WHERE id = ?1"
        ),
        "integration_execution_communication.communication_id.organization",
    ),
    "communication_run_organization_bi": (
        "integration_execution_communication",
        f"{ELSEWHERE}; {THERE.replace('INSERT', 'REPLACE').replace('90, printf', '(SELECT max(communication_id) FROM integration_execution_communication), printf')}",
        "communication.organization_id.organization",
    ),
    "communication_run_organization_bu": (
        "integration_execution_communication",
        (
            f"{ELSEWHERE}; UPDATE communication SET organization_id = 90"
            " WHERE id = (SELECT communication_id FROM integration_execution_communication WHERE id = ?1)"
        ),
        "communication.organization_id.organization",
    ),
    "integration_log_request_data_secret_bi": (
        "integration",
        (
            "INSERT INTO integration_log(integration_id, request_type, correlation_id, request_data)"
            """ VALUES (?1, 'GET', 'c', '{"headers": {"Authorization": "Bearer x"}}')"""
        ),
        "integration_log.request_data.secret",
    ),
    "integration_log_response_data_secret_bi": (
        "integration",
        (
            "INSERT INTO integration_log(integration_id, request_type, correlation_id, response_data)"
            """ VALUES (?1, 'GET', 'c', '{"access_token": "x"}')"""
        ),
        "integration_log.response_data.secret",
    ),
    "circuit_breaker_state_bi": (
        "circuit_breaker",
        (
            "REPLACE INTO circuit_breaker(integration_id, target, breaker_status, opened_at)"
            " SELECT integration_id, target, 'half_open', '2026-01-31T06:30:00.000Z' FROM circuit_breaker WHERE id = ?1"
        ),
        "circuit_breaker.breaker_status.transition",
    ),
    "integration_delivery_response_data_secret_bi": (
        "integration_delivery",
        (
            "INSERT INTO integration_delivery(integration_id, record_key, content_digest, idempotency_key, delivery_status, sent_at, response_data)"
            " SELECT integration_id, 'other', content_digest, 'k', 'delivered', sent_at, '{\"access token\": \"t\"}' FROM integration_delivery WHERE id = ?1"
        ),
        "integration_delivery.response_data.secret",
    ),
    "integration_delivery_response_data_secret_bu": (
        "integration_delivery",
        """UPDATE integration_delivery SET response_data = '{"list": [{"Password": "p"}]}' WHERE id = ?1""",
        "integration_delivery.response_data.secret",
    ),
    "circuit_breaker_state_bu": (
        "circuit_breaker",
        (
            "UPDATE circuit_breaker SET breaker_status = 'half_open', opened_at = '2026-01-31T06:30:00.000Z'"
            " WHERE id = ?1"
        ),
        "circuit_breaker.breaker_status.transition",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "integration_execution begun anew by default": (
        "integration_execution",
        "UPDATE integration_execution SET execution_status = 'running' WHERE id = ?1; UPDATE OR REPLACE integration_execution SET execution_status = NULL WHERE id = ?1",
        "integration_execution.execution_status.transition",
    ),
    "integration_schedule_execution begun anew by default": (
        "integration_schedule_execution",
        "UPDATE integration_schedule_execution SET execution_status = 'running', started_at = scheduled_at WHERE id = ?1; UPDATE OR REPLACE integration_schedule_execution SET execution_status = NULL, started_at = NULL WHERE id = ?1",
        "integration_schedule_execution.execution_status.transition",
    ),
    "integration_schedule active by default": (
        "integration_schedule",
        "UPDATE integration_schedule SET schedule_type = 'fixed_time', status_id = 2 WHERE id = ?1; UPDATE OR REPLACE integration_schedule SET status_id = NULL WHERE id = ?1",
        "integration_schedule.schedule_type.times",
    ),
    "integration_schedule.execution_parameters with a secret key": (
        "integration_schedule",
        """UPDATE integration_schedule SET execution_parameters = '{"secret.key": "k"}' WHERE id = ?1""",
        "integration_schedule.execution_parameters.secret",
    ),
    "integration_log.request_data with a password not masked": (
        "integration",
        """INSERT INTO integration_log(integration_id, request_type, correlation_id, request_data) VALUES (?1, 'GET', 'c', '{"Pass Phrase": ["***", "x"]}')""",
        "integration_log.request_data.secret",
    ),
    "integration_log.response_data with a password not masked": (
        "integration",
        """INSERT INTO integration_log(integration_id, request_type, correlation_id, response_data) VALUES (?1, 'GET', 'c', '{"Pass Phrase": ["***", "x"]}')""",
        "integration_log.response_data.secret",
    ),
}

SAME: dict[str, dict[str, Any]] = {
    "integration_execution_running": {"execution_status": "running"},
    "sqlite_autoindex_integration_schedule_execution_1": {"slot_kind": "event"},
}
