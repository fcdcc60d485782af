"""What hangs together: a thread, with all that carries its correlation id, and the history of a row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgekit import communications, db
from edgekit.communications import places, states

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekit.communications.places import Named

_ATTEMPT = (
    "SELECT l.id, i.integration_name AS integration, l.communication_id, l.execution_id, l.created_at AS at,"
    " l.request_type, l.request_url, l.response_code, l.response_time_ms, l.is_success, l.error_message,"
    " l.retry_count, l.external_reference, l.correlation_id FROM integration_log l"
    " JOIN integration i ON i.id = l.integration_id"
)
_CARRIERS = {
    "slots": "SELECT x.id, s.schedule_name AS schedule, x.execution_status AS status, x.reason,"
    " x.scheduled_at AS at, x.execution_id FROM integration_schedule_execution x"
    " JOIN integration_schedule s ON s.id = x.schedule_id WHERE x.correlation_id = ? ORDER BY x.id",
    "executions": "SELECT e.id, i.integration_name AS integration, e.execution_status AS status, e.started_at"
    " AS at, e.ended_at, e.records_read, e.records_written, e.records_failed, e.error_message"
    " FROM integration_execution e JOIN integration i ON i.id = e.integration_id"
    " WHERE e.correlation_id = ? ORDER BY e.id",
    "jobs": "SELECT id, kind, job_status AS status, run_at AS at, attempts, max_attempts, ended_at,"
    " error_message FROM job WHERE correlation_id = ? ORDER BY id",
    "events": "SELECT id, event_type, processing_status AS status, created_at AS at FROM integration_event"
    " WHERE correlation_id = ? ORDER BY id",
    "dead_letters": "SELECT d.id, i.integration_name AS integration, d.replay_status AS status, d.created_at"
    " AS at, d.source_position, d.step, d.error_message FROM integration_execution e"
    " JOIN dead_letter d ON d.execution_id = e.id JOIN integration i ON i.id = d.integration_id"
    " WHERE e.correlation_id = ? ORDER BY d.id",
}
"""All else that carries the correlation id of a thread, each in the order it was made."""


def show_thread(communication_id: int) -> dict[str, Any]:
    """Return the thread of a communication: their tree, each with its tries, and what else is of it.

    That are the slots, executions, jobs, events, dead letters and tries of runs that carry the same
    correlation id. Raise NotFoundError.
    """
    correlation_id = states.row(communication_id)["correlation_id"]
    tree = communications.thread(communication_id)
    tries = _attempts("l.correlation_id = ? ORDER BY l.id", (correlation_id,))
    by_communication: dict[int | None, list[dict[str, Any]]] = {}
    for one in tries:
        by_communication.setdefault(one["communication_id"], []).append(one)
    for one in _walk(tree):
        one["attempts"] = by_communication.get(one["id"], [])
    return {
        "correlation_id": correlation_id,
        "communications": tree,
        "attempts": by_communication.get(None, []),
        **{name: db.query(sql, (correlation_id,)) for name, sql in _CARRIERS.items()},
    }


def show_history(context: Named, *, limit: int = 1000) -> list[dict[str, Any]]:
    """Return all that was exchanged about a business row, the newest first: communications and each try.

    It is named such as `policy:P-7`, `driver:12` or `("VEHICLE", 3)`; `limit` is one of communications.
    Raise NotFoundError, InvalidError.
    """
    place = places.context(context)
    code = db.query("SELECT code FROM business_context_type WHERE id = ?", (place.type_id,))[0]["code"]
    about = communications.find_by_context(code, place.id, limit=limit)
    found = [
        {
            "at": one["started_at"] or one["scheduled_at"] or one["created_at"], "what": "communication",
            "communication_id": one["id"], **{key: one[key] for key in _TOLD},
        }
        for one in about
    ]  # fmt: skip
    ids = json.dumps([one["id"] for one in about])
    tries = _attempts("l.communication_id IN (SELECT value FROM json_each(?)) ORDER BY l.id", (ids,))
    found += [{"what": "attempt", **one} for one in tries]
    return sorted(found, key=lambda one: (one["at"], one["what"] == "attempt"), reverse=True)


_TOLD = (
    "type", "channel", "direction", "source", "target", "status", "subject", "error_message",
    "correlation_id",
)  # fmt: skip


def _attempts(where: str, params: tuple[Any, ...]) -> list[dict[str, Any]]:
    found = db.query(f"{_ATTEMPT} WHERE {where}", params)
    for one in found:
        one["is_success"] = bool(one["is_success"])
    return found


def _walk(tree: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for one in tree:
        yield one
        yield from _walk(one["children"])
