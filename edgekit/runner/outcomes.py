"""How runs end, told as events: run.completed, run.failed, and run.recovered after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit import db, events

if TYPE_CHECKING:
    from edgekit.errors import EdgekitError
    from edgekit.integrations import Plan
    from edgekit.runner.execution import Execution

_BEFORE = (
    "SELECT execution_status FROM integration_execution WHERE integration_id = ? AND id < ?"
    " AND execution_status IN ('completed', 'failed') AND trigger_kind <> 'replay' ORDER BY id DESC LIMIT 1"
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
        events.emit(
            event_type, payload, source="INTEGRATION", target=plan.name[:100],
            ordering_key=f"run/{plan.integration_id}", organization_id=plan.organization_id,
        )  # fmt: skip
