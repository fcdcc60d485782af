"""Sound rows of the communications tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "communication_channel": {"code": "C{n}", "name": "Channel"},
    "communication_status": {"code": "S{n}", "name": "State"},
    "business_context_type": {"code": "B{n}", "name": "Context", "table_name": "program"},
    "communication_type": {"code": "T{n}", "name": "Purpose"},
    "communication_type_channel": {},
    "communication": {  # from the system to its user, by a link that is there from the start
        "uuid": "{n:036d}",
        "communication_type_id": 1,
        "source_type_id": 1,
        "source_id": 1,
        "target_type_id": 2,
        "target_id": 1,
        "channel_id": 1,
        "direction_id": 2,
        "communication_status_id": 1,
        "correlation_id": "c",
        "idempotency_key": "k{n}",
    },
    "communication_business_context": {},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "communication.business_context_id.required": {"business_context_type_id": 1},
    "communication.completed_at.time": {
        "communication_status_id": 3,
        "completed_at": "2026-02-30T09:05:00.000Z",
    },
    "communication.completed_at.order": {
        "communication_status_id": 3,
        "started_at": "2026-01-02T00:00:00.000Z",
        "completed_at": "2026-01-01T00:00:00.000Z",
    },
    "communication.parent_communication_id.cycle": {"id": 50, "parent_communication_id": 50},
}

SAME: dict[str, dict[str, Any]] = {"communication_type_channel_default": {"is_default": 1}}

COLUMNS = "communication_type_id, source_type_id, source_id, target_type_id, target_id, channel_id, direction_id, correlation_id"
BEGUN = "UPDATE communication SET communication_status_id = 2, started_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1"
END = f"{BEGUN}; UPDATE communication SET communication_status_id = 3, completed_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1"
TWIN = (
    f"INSERT INTO communication(id, uuid, communication_status_id, {COLUMNS})"
    f" SELECT 50, printf('%036d', 50), communication_status_id, {COLUMNS} FROM communication WHERE id = ?1"
)
CHILD = TWIN.replace("communication(id,", "communication(parent_communication_id, id,").replace(
    "SELECT", "SELECT id,"
)
ABOUT = "UPDATE communication SET business_context_type_id = 1, business_context_id = 1 WHERE id = ?1"
MIRROR = (
    "INSERT INTO communication_business_context(communication_id, context_type_id, context_id, relationship_type_id)"
    " VALUES (?1, 1, 1, 1)"
)
QUOTE = "INSERT INTO quote(id, quote_number) VALUES (1, 'Q'), (2, 'R')"


def replaced(values: str) -> str:
    """Write the row anew under its id, with other values."""
    names, given = zip(*(pair.split(" = ") for pair in values.split(", ")), strict=True)
    kept = [name for name in f"id, uuid, communication_status_id, {COLUMNS}".split(", ") if name not in names]
    return (
        f"REPLACE INTO communication({', '.join([*names, *kept])})"
        f" SELECT {', '.join([*given, *kept])} FROM communication WHERE id = ?1"
    )


REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "communication_route_bi": (
        "communication",
        TWIN.replace(
            "target_id, channel_id, direction_id, correlation_id FROM",
            "target_id, 5, direction_id, correlation_id FROM",
        ),
        "communication.channel_id.channel",
    ),
    "communication_route_bu": (
        "communication",
        "UPDATE communication SET channel_id = 5 WHERE id = ?1",
        "communication.channel_id.channel",
    ),
    "communication_final_bi": (
        "communication",
        f"{END}; {replaced('communication_status_id = 1')}",
        "communication.communication_status_id.final",
    ),
    "communication_final_bu": (
        "communication",
        f"{END}; UPDATE communication SET communication_status_id = 7, completed_at = NULL WHERE id = ?1",
        "communication.communication_status_id.final",
    ),
    "communication_status_flags_bi": (
        "communication",
        f"{END}; REPLACE INTO communication_status(code, name) VALUES ('completed', 'Open')",
        "communication_status.is_final_state.protected",
    ),
    "communication_status_flags_bu": (
        "communication",
        f"{END}; UPDATE communication_status SET is_final_state = 0 WHERE id = 3",
        "communication_status.is_final_state.protected",
    ),
    "communication_outcome_bi": (
        "communication",
        TWIN.replace("50), communication_status_id,", "50), 4,"),
        "communication.error_message.required",
    ),
    "communication_outcome_bu": (
        "communication",
        f"{BEGUN}; UPDATE communication SET communication_status_id = 3 WHERE id = ?1",
        "communication.completed_at.required",
    ),
    "communication_acyclic_bi": (
        "communication",
        f"{CHILD}; {replaced('parent_communication_id = 50')}",
        "communication.parent_communication_id.cycle",
    ),
    "communication_acyclic_bu": (
        "communication",
        f"{CHILD}; UPDATE communication SET parent_communication_id = 50 WHERE id = ?1",
        "communication.parent_communication_id.cycle",
    ),
    "communication_thread_bi": (
        "communication",
        CHILD.replace("correlation_id FROM", "'other' FROM"),
        "communication.correlation_id.correlation",
    ),
    "communication_thread_bu": (
        "communication",
        f"{CHILD}; UPDATE communication SET correlation_id = 'other' WHERE id = ?1",
        "communication.correlation_id.correlation",
    ),
    "communication_business_context_primary_bi": (
        "communication",
        f"{QUOTE}; {ABOUT}; {MIRROR.replace('1, 1, 1)', '1, 2, 1)')}",
        "communication_business_context.relationship_type_id.primary",
    ),
    "communication_business_context_primary_bu": (
        "communication",
        f"{QUOTE}; {ABOUT}; {MIRROR}; UPDATE communication_business_context SET relationship_type_id = 2 WHERE communication_id = ?1",
        "communication_business_context.relationship_type_id.primary",
    ),
    "communication_primary_bi": (
        "communication",
        f"{QUOTE}; {ABOUT}; {MIRROR}; {replaced('business_context_type_id = 1, business_context_id = 2')}",
        "communication.business_context_id.primary",
    ),
    "communication_primary_bu": (
        "communication",
        f"{QUOTE}; {ABOUT}; {MIRROR}; UPDATE communication SET business_context_id = 2 WHERE id = ?1",
        "communication.business_context_id.primary",
    ),
    "communication_identity_bu": (
        "communication",
        "UPDATE communication SET idempotency_key = NULL WHERE id = ?1",
        "communication.idempotency_key.protected",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "an end before it has begun": (
        "communication",
        "UPDATE communication SET communication_status_id = 3, completed_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1",
        "communication.communication_status_id.transition",
    ),
    "back to the beginning": (
        "communication",
        f"{BEGUN}; UPDATE communication SET communication_status_id = 1 WHERE id = ?1",
        "communication.communication_status_id.transition",
    ),
    "back to the beginning by REPLACE": (
        "communication",
        f"{BEGUN}; {replaced('communication_status_id = 1')}",
        "communication.communication_status_id.transition",
    ),
    "sent, and nobody knows since when": (
        "communication",
        "UPDATE communication SET communication_status_id = 2 WHERE id = ?1",
        "communication.started_at.required",
    ),
    "another attempt that is not counted": (
        "communication",
        f"{BEGUN}; UPDATE communication SET communication_status_id = 7 WHERE id = ?1",
        "communication.retry_count.order",
    ),
    "another uuid": (
        "communication",
        "UPDATE OR REPLACE communication SET uuid = printf('%036d', 0) WHERE id = ?1",
        "communication.idempotency_key.protected",
    ),
    "an end before it has ended": (
        "communication",
        "UPDATE communication SET completed_at = '2026-01-01T00:00:00.000Z' WHERE id = ?1",
        "communication.completed_at.required",
    ),
    "the default instead of PRIMARY": (
        "communication",
        f"{QUOTE}; {ABOUT}; {MIRROR}; UPDATE OR REPLACE communication_business_context SET relationship_type_id = NULL WHERE communication_id = ?1",
        "communication_business_context.relationship_type_id.primary",
    ),
}
