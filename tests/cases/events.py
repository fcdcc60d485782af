"""Sound rows of the events tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "event_source": {"code": "S{n}", "name": "Source"},
    "integration_event": {
        "uuid": "{n:036d}",
        "event_type": "t",
        "event_source_id": 1,
        "event_payload": "{{}}",
        "correlation_id": "c",
    },
    "event_subscription": {"code": "S{n}", "name": "Listener", "handler_kind": "k"},
    "event_delivery": {"idempotency_key": "k{n}"},
}

AT = "2026-01-01T00:00:00.000Z"
SPECIAL: dict[str, dict[str, Any]] = {
    "integration_event.processed_at.required": {"processing_status": "processed"},
    "event_delivery.settled_at.required": {"delivery_status": "discarded"},
    "event_delivery.error_message.required": {"delivery_status": "failed", "settled_at": AT},
}

TOLD = "uuid, event_type, event_source_id, event_payload, correlation_id"
PROCESSED = (
    f"UPDATE integration_event SET processing_status = 'processed', processed_at = '{AT}' WHERE id = ?1"
)
DISCARDED = f"UPDATE event_delivery SET delivery_status = 'discarded', settled_at = '{AT}' WHERE id = ?1"

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "integration_event_told_bi": (
        "integration_event",
        (
            f"REPLACE INTO integration_event({TOLD})"
            f" SELECT {TOLD.replace('event_payload', 'json_object(char(97), 1)')} FROM integration_event WHERE id = ?1"
        ),
        "integration_event.event_payload.protected",
    ),
    "integration_event_told_bu": (
        "integration_event",
        "UPDATE integration_event SET event_metadata = json_object('a', 1) WHERE id = ?1",
        "integration_event.event_payload.protected",
    ),
    "integration_event_transition_bi": (
        "integration_event",
        (
            f"{PROCESSED}; REPLACE INTO integration_event(processing_status, {TOLD})"
            f" SELECT NULL, {TOLD} FROM integration_event WHERE id = ?1"
        ),
        "integration_event.processing_status.final",
    ),
    "integration_event_transition_bu": (
        "integration_event",
        "UPDATE integration_event SET processing_status = 'failed' WHERE id = ?1",
        "integration_event.processing_status.transition",
    ),
    "event_subscription_handler_config_secret_bi": (
        None,
        (
            "INSERT INTO event_subscription(code, name, handler_kind, handler_config)"
            """ VALUES ('A', 'A', 'k', '{"inner": {"api-key": "x"}}')"""
        ),
        "event_subscription.handler_config.secret",
    ),
    "event_subscription_handler_config_secret_bu": (
        "event_subscription",
        """UPDATE event_subscription SET handler_config = '{"token": 1}' WHERE id = ?1""",
        "event_subscription.handler_config.secret",
    ),
    "event_delivery_transition_bi": (
        "event_delivery",
        (
            f"{DISCARDED}; REPLACE INTO event_delivery(event_id, subscription_id, idempotency_key)"
            " SELECT event_id, subscription_id, 'other' FROM event_delivery WHERE id = ?1"
        ),
        "event_delivery.delivery_status.final",
    ),
    "event_delivery_transition_bu": (
        "event_delivery",
        f"UPDATE event_delivery SET delivery_status = 'delivered', settled_at = '{AT}' WHERE id = ?1",
        "event_delivery.delivery_status.transition",
    ),
    "event_delivery_identity_bi": (
        "event_delivery",
        (
            "REPLACE INTO event_delivery(id, event_id, subscription_id, idempotency_key)"
            " SELECT id, event_id, subscription_id, 'other' FROM event_delivery WHERE id = ?1"
        ),
        "event_delivery.idempotency_key.protected",
    ),
    "event_delivery_identity_bu": (
        "event_delivery",
        "UPDATE event_delivery SET idempotency_key = 'other' WHERE id = ?1",
        "event_delivery.idempotency_key.protected",
    ),
    "event_delivery_organization_bi": (
        None,
        (
            "INSERT INTO organization(id, code, name) VALUES (70, 'A', 'A'), (71, 'B', 'B');"
            " INSERT INTO integration_event(id, uuid, event_type, event_source_id, event_payload, correlation_id, organization_id)"
            " VALUES (70, printf('%036d', 0), 't', 1, '{}', 'c', 70);"
            " INSERT INTO event_subscription(id, code, name, handler_kind, organization_id) VALUES (70, 'X', 'x', 'k', 71);"
            " INSERT INTO event_delivery(event_id, subscription_id, idempotency_key) VALUES (70, 70, 'k')"
        ),
        "event_delivery.subscription_id.organization",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "an object under a secret name": (
        "event_subscription",
        """UPDATE event_subscription SET handler_config = '{"password": {"value": "x"}}' WHERE id = ?1""",
        "event_subscription.handler_config.secret",
    ),
    "more than where the secret is": (
        "event_subscription",
        """UPDATE event_subscription SET handler_config = '{"token": {"vault": "a", "b": "x"}}' WHERE id = ?1""",
        "event_subscription.handler_config.secret",
    ),
    "a list under a secret name": (
        "event_subscription",
        """UPDATE event_subscription SET handler_config = '{"password": ["k"]}' WHERE id = ?1""",
        "event_subscription.handler_config.secret",
    ),
    "a secret name with a space": (
        "event_subscription",
        """UPDATE event_subscription SET handler_config = '{"API Key": "k"}' WHERE id = ?1""",
        "event_subscription.handler_config.secret",
    ),
}
