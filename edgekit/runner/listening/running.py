"""`event.run`: an integration run with an event as its input.

The record is the payload of the event; with `about` in the subscription's settings, a member of that name
says which event it is. The end of the run and the end of the delivery are one change: a run that was written
is not written again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, events
from edgekit.errors import BusyError, ConflictError, EdgekitError, UnavailableError
from edgekit.integrations import reading, require_usable
from edgekit.runner import holding, outcomes
from edgekit.runner.listening.webhooks import integration_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.integrations import Plan
    from edgekit.jobs import Job
    from edgekit.runner.execution import Execution, RunResult

KIND = "event.run"
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.25


def _given_up(job: Job, code: str, message: str, at: datetime) -> None:
    """Tell, in the open change, that a run failed that was stopped from outside: it could not itself."""
    if code not in {"timeout", "gone", "interrupted"}:
        return
    found = db.query(
        "SELECT max(e.id) AS id FROM event_delivery d JOIN event_subscription s ON s.id = d.subscription_id"
        " JOIN integration i ON i.integration_name = json_extract(s.handler_config, '$.integration')"
        " JOIN integration_execution e ON e.integration_id = i.id AND e.correlation_id = ?"
        " WHERE d.id = ? AND e.trigger_kind = 'event'",
        (job.correlation_id, job.payload.get("delivery")),
    )
    if found[0]["id"] is not None:
        outcomes.tell_stopped(found[0]["id"], code, message, now=at)


def _check(config: Mapping[str, Any]) -> None:
    """Raise where settings name no integration there is, or one that whoever asks may not run."""
    reading.find(integration_in(config))
    require_usable(integration_in(config))


@events.handles(
    KIND,
    concurrency=4,
    timeout_seconds=600,
    isolated=True,
    killed=holding.settle_killed,
    given_up=_given_up,
    check=_check,
)
def run_integration(delivery: events.Delivery) -> dict[str, Any] | None:
    """Run the integration a subscription names with the event of a delivery as its one record."""
    event, about = delivery.event, delivery.config.get("about")
    record = dict(event.payload)
    if isinstance(about, str):
        record[about] = {
            "id": event.uuid, "type": event.type, "source": event.source, "target": event.target,
            "at": clock.to_text(event.created_at), "correlation_id": event.correlation_id,
        }  # fmt: skip
    row = reading.find(integration_in(delivery.config), organization_id=delivery.organization_id)
    with reading.only(row["id"]):
        result = _run(delivery, row["integration_name"], record)
    if result.status != "completed":
        raise result.error or UnavailableError(result.message or f"The run ended as {result.status}.")
    return {"execution": result.execution_id}


def _run(delivery: events.Delivery, name: str, record: dict[str, Any]) -> RunResult:
    """Run it, after whoever runs it now: what is sent is not sent twice at once."""
    from edgekit.runner.engine import run

    def on_end(execution: Execution, plan: Plan, status: str, error: EdgekitError | None) -> None:
        is_last = delivery.job.attempts >= delivery.job.max_attempts
        if status == "completed" or is_last or not isinstance(error, UnavailableError | BusyError):
            outcomes.tell(execution, plan, status, error)
        if status == "completed":
            delivery.settle({"execution": execution.id})

    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return run(
                name, records={f"event {delivery.event.uuid}": record}, trigger="event",
                correlation_id=delivery.event.correlation_id, job_id=delivery.job.id, beside=True,
                on_end=on_end,
            )  # fmt: skip
        except ConflictError as busy:
            if delivery.is_settled or time.monotonic() > until:
                raise UnavailableError(busy.message, hint=busy.hint) from busy
            time.sleep(_LOOK_SECONDS)
