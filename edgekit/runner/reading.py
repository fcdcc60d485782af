"""Past runs and records set aside, read. Needs no connector and no model, so it is quick."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from edgekit import codec, db, integrations
from edgekit.errors import EdgekitError, NotFoundError

_EXECUTION = (
    "e.id, i.integration_name AS integration, e.execution_status AS status, e.trigger_kind,"
    " e.started_at, e.ended_at,"
    " e.records_read, e.records_written, e.records_changed, e.records_failed AS dead_letters,"
    " e.records_filtered AS filtered,"
    " e.retry_count AS retries,"
    " e.error_code, e.error_message, e.correlation_id, e.resumed_from_id"
)


def _require_integration(name: str | None) -> None:
    """Raise NotFoundError for a name that no integration has or had, with those that come close."""
    if name is not None:
        known = "SELECT 1 FROM integration WHERE integration_name = ? COLLATE NOCASE"
        if not db.query(known, (name,)):
            integrations.find(name)


def list_executions(*, integration: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Return the newest runs, newest first. Raise NotFoundError if there was never such an integration."""
    _require_integration(integration)
    return db.query(
        f"SELECT {_EXECUTION} FROM integration_execution e JOIN integration i ON i.id = e.integration_id"
        " WHERE ? IS NULL OR i.integration_name = ? COLLATE NOCASE ORDER BY e.id DESC LIMIT ?",
        (integration, integration, limit),
    )


def show_execution(execution_id: int) -> dict[str, Any]:
    """Return one run with its attempts to reach the other side. Raise NotFoundError."""
    rows = db.query(
        f"SELECT {_EXECUTION} FROM integration_execution e JOIN integration i ON i.id ="
        " e.integration_id WHERE e.id = ?",
        (execution_id,),
    )
    if not rows:
        raise NotFoundError(f"There is no execution {execution_id}.", hint="See: edgekit executions list")
    attempts = db.query(
        "SELECT request_type AS method, request_url AS url, response_code, response_time_ms,"
        " is_success, error_message,"
        " retry_count AS retry, span_id, created_at FROM integration_log WHERE execution_id = ? ORDER BY id",
        (execution_id,),
    )
    (kept,) = db.query(
        "SELECT count(*) AS batches, sum(record_count) AS records, max(expires_at) AS until"
        " FROM integration_execution_input WHERE execution_id = ?",
        (execution_id,),
    )
    return {**rows[0], "kept_inputs": kept if kept["batches"] else None, "attempts": attempts}


_LETTER = (
    "d.id, i.integration_name AS integration, d.replay_status AS status, d.step, d.step_name,"
    " d.error_code, d.error_field,"
    " d.error_message, d.source_position, d.attempts, d.execution_id, d.created_at, d.updated_at"
)


def list_dead_letters(
    *, integration: str | None = None, status: str | None = "pending", limit: int = 1000
) -> list[dict[str, Any]]:
    """Return records set aside, oldest first; those waiting unless `status` says otherwise (None: all).

    Raise NotFoundError if there was never such an integration.
    """
    _require_integration(integration)
    return db.query(
        f"SELECT {_LETTER} FROM dead_letter d JOIN integration i ON i.id = d.integration_id"
        " WHERE (? IS NULL OR i.integration_name = ? COLLATE NOCASE) AND (? IS NULL OR d.replay_status = ?)"
        " ORDER BY d.id LIMIT ?",
        (integration, integration, status, status, limit),
    )


def show_dead_letter(letter_id: int) -> dict[str, Any]:
    """Return one record set aside, with the record itself. Raise NotFoundError."""
    rows = db.query(
        f"SELECT {_LETTER}, d.record, d.step_record, d.correlation_id FROM dead_letter d"
        " JOIN integration i ON i.id = d.integration_id WHERE d.id = ?",
        (letter_id,),
    )
    if not rows:
        raise NotFoundError(f"There is no dead letter {letter_id}.", hint="See: edgekit dead-letters list")
    row = rows[0]
    for name in ("record", "step_record"):
        # where it was not JSON when it came, the raw text is what there is
        with suppress(ValueError, EdgekitError):
            row[name] = row[name] and codec.loads(row[name])
    return row
