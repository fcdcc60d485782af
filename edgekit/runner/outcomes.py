"""How runs end, told as events: run.completed, run.failed, and run.recovered after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import db, events, masking

if TYPE_CHECKING:
    from datetime import datetime

    from edgekit.errors import EdgekitError
    from edgekit.integrations import Plan
    from edgekit.runner.execution import Execution

_BEFORE = (
    "SELECT execution_status FROM integration_execution WHERE integration_id = ? AND id < ?"
    " AND execution_status IN ('completed', 'failed') AND trigger_kind <> 'replay' ORDER BY id DESC LIMIT 1"
)

_STOPPED = (
    "SELECT i.integration_name AS integration, e.integration_id, e.id AS execution_id,"
    " e.trigger_kind AS trigger, e.records_read, e.records_written, e.records_changed,"
    " e.records_failed AS dead_letters, e.records_filtered AS filtered, e.retry_count AS retries,"
    " e.organization_id FROM integration_execution e JOIN integration i ON i.id = e.integration_id"
    " WHERE e.id = ? AND e.execution_status <> 'completed'"
)


def tell(execution: Execution, plan: Plan, status: str, error: EdgekitError | None) -> None:
    """Tell, in the open change, how a run ended; what was stopped or only replayed is not told.

    The events of an integration reach each listener in their order.
    """
    if status not in {"completed", "failed"} or execution.is_anew:
        return
    read, written, changed, failed, filtered, retries = execution.counts
    payload = {
        "integration": plan.name, "integration_id": plan.integration_id, "execution_id": execution.id,
        "trigger": execution.trigger,
        "records_read": read, "records_written": written, "records_changed": changed,
        "dead_letters": failed, "filtered": filtered, "retries": retries,
        "error_code": error.code if error else None, "error_message": error.message if error else None,
    }  # fmt: skip
    told = [f"run.{status}"]
    if status == "completed":
        before = db.query(_BEFORE, (plan.integration_id, execution.id))
        if before and before[0]["execution_status"] == "failed":
            told.append("run.recovered")
    for event_type in told:
        _emit(event_type, payload, plan.organization_id)


def tell_stopped(execution_id: int, code: str, message: str, *, now: datetime) -> None:
    """Tell, in the open change, that a run failed which was stopped from outside."""
    found = db.query(_STOPPED, (execution_id,))
    if found:
        told = {**found[0], "error_code": code, "error_message": message}
        _emit("run.failed", told, told.pop("organization_id"), now=now)


def _emit(
    event_type: str, payload: dict[str, Any], organization_id: int | None, *, now: datetime | None = None
) -> None:
    said = payload["error_message"]
    told = {**payload, "error_message": said and masking.text(said)}
    events.emit(
        event_type, told, source="INTEGRATION", target=payload["integration"][:100],
        ordering_key=f"run/{payload['integration_id']}", organization_id=organization_id, now=now,
    )  # fmt: skip
