"""The run of a slot: the job of kind `integration.run`, and what becomes of the slot when it has ended.

A slot and its job end in one change, however they end. Should a job ever have ended without its slot, the
next tick settles it.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, events, jobs
from edgekit.errors import (
    BusyError,
    ConflictError,
    EdgekitError,
    InvalidError,
    NotFoundError,
    StoppedError,
    UnavailableError,
    quoted,
)
from edgekit.integrations import reading
from edgekit.jobs.stopping import STOPPED
from edgekit.runner import holding, telemetry
from edgekit.runner.scheduling import parameters, retries, slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.integrations import Plan
    from edgekit.jobs import Job
    from edgekit.runner.execution import Execution, RunResult

_LATER_SECONDS = 15.0
"""So much later a run is tried again that found its integration being run by somebody else."""

_COUNTS = {"records_read": "read", "dead_letters": "failed", "retries": "retried"}
"""What an event tells of a slot's runs."""

_TRIGGERS = {"event": "event", "manual": "manual"}
_SLOT = (
    "SELECT e.id, e.schedule_id, e.slot_kind, e.scheduled_at, e.started_at, e.execution_status,"
    " e.execution_id,"
    " e.correlation_id, e.organization_id, e.execution_notes, s.schedule_name, s.integration_id,"
    " s.overlap_policy, s.retry_policy, s.execution_parameters, s.timezone, i.integration_name,"
    " e.event_id FROM integration_schedule_execution e JOIN integration_schedule s ON s.id = e.schedule_id"
    " JOIN integration i ON i.id = s.integration_id"
)


class _HeldError(BusyError):
    """Somebody else runs the integration just now: that was no attempt."""

    retry_after = _LATER_SECONDS

    @property
    def was_sent(self) -> bool:
        """Nothing was asked of the other side."""
        return False


def _given_up(job: Job, code: str, message: str, at: datetime) -> None:
    """Settle, in the open change, the slot whose job has failed for good or was cancelled."""
    for slot in db.query(f"{_SLOT} WHERE e.job_id = ? AND e.{slots.OPEN}", (job.id,)):
        status = "cancelled" if code == "cancelled" else "failed"
        settle({**slot, "error_code": code, "error_message": message}, status, at)


def _again(job: Job) -> None:
    """Refuse to do the job of a slot that has ended again: the schedule is run anew."""
    slot = _find(job)
    if slot["execution_status"] not in {"scheduled", "running"}:
        raise ConflictError(
            f"The slot {slot['id']} of {slot['schedule_name']} stays as it is: {slot['execution_status']}.",
            hint=f"Run it anew: edgekit schedules run {quoted(slot['schedule_name'])}",
        )


@jobs.handles(
    "integration.run",
    isolated=True,
    timeout_seconds=300,
    killed=holding.settle_killed,
    given_up=_given_up,
    again=_again,
)
def run_slot(job: Job) -> dict[str, Any] | None:
    """Run the integration of a slot; run, slot and job end in one change, and none is done again alone."""
    slot = _find(job)
    cause = db.query("SELECT uuid FROM integration_event WHERE id = ?", (slot["event_id"],))
    with events.caused_by(cause[0]["uuid"] if cause else None), reading.only(slot["integration_id"]):
        return _run(job, slot)


def _run(job: Job, slot: Mapping[str, Any]) -> dict[str, Any] | None:
    from edgekit.runner.engine import run

    if slot["execution_status"] not in {"scheduled", "running"}:
        raise InvalidError(
            f"The slot {slot['id']} of {slot['schedule_name']} has ended: it is {slot['execution_status']}.",
            hint=f"Run it anew: edgekit schedules run {quoted(slot['schedule_name'])}",
        )
    policy = retries.resolve(slot["integration_id"], slot["retry_policy"])  # a bad one is told before it runs
    started, told = time.monotonic(), dict[str, Any]()
    _begin(slot, job)

    def on_end(execution: Execution, plan: Plan, status: str, error: EdgekitError | None) -> None:
        del plan
        if status != "completed":
            _link(slot, execution.id, error)
            return
        ended = (job.claimed_at or clock.now()) + timedelta(seconds=time.monotonic() - started)
        told.update(
            execution=execution.id, records=execution.records_read, set_aside=execution.records_failed
        )
        jobs.finish(job, told, now=ended)
        settle({**slot, "execution_id": execution.id}, "completed", ended)

    try:
        result = run(
            slot["integration_name"],
            overrides=parameters.of_run(slot["execution_parameters"], slot["scheduled_at"], slot["timezone"]),
            trigger=_trigger(slot),
            correlation_id=slot["correlation_id"],
            job_id=job.id,
            beside=slot["overlap_policy"] == "allow",
            stop=jobs.stop_requested,
            on_end=on_end,
        )
    except ConflictError as error:
        if isinstance(error, BusyError):
            raise _retriable(error, job, policy) from error
        raise _HeldError(error.message) from error
    except EdgekitError as error:
        raise _retriable(error, job, policy) from error
    if result.status != "completed":
        raise _retriable(result.error or _stopped(result), job, policy)
    telemetry.tell_slot(slot["id"])
    return told


def _trigger(slot: Mapping[str, Any]) -> str:
    return _TRIGGERS.get(slot["slot_kind"], "schedule")


def _find(job: Job) -> dict[str, Any]:
    found = db.query(f"{_SLOT} WHERE e.id = ?", (job.payload.get("slot"),))
    if not found:
        raise NotFoundError(f"There is no slot {job.payload.get('slot')}: its schedule was deleted.")
    return found[0]


def _begin(slot: Mapping[str, Any], job: Job) -> None:
    at = clock.to_text(job.claimed_at or clock.now())
    with db.change(reason=f"schedules {slot['schedule_name']}: run", correlation_id=slot["correlation_id"]):
        db.connection().execute(
            "UPDATE integration_schedule_execution SET execution_status = 'running',"
            " started_at = ifnull(started_at, ?), updated_at = ? WHERE id = ?",
            (at, clock.now_text(), slot["id"]),
        )
        db.connection().execute(
            "UPDATE integration_schedule SET last_run_at = ?, updated_at = ?, updated_by = ? WHERE id = ?",
            (at, clock.now_text(), db.current().actor_id, slot["schedule_id"]),
        )


def _link(slot: Mapping[str, Any], execution_id: int, error: EdgekitError | None) -> None:
    db.connection().execute(
        "UPDATE integration_schedule_execution SET execution_id = ?, execution_notes = ?, updated_at = ?"
        " WHERE id = ?",
        (execution_id, error.message if error is not None else None, clock.now_text(), slot["id"]),
    )


def _stopped(result: RunResult) -> EdgekitError:
    if result.status == "interrupted" and jobs.stop_requested():  # the next runner goes on with the same job
        return StoppedError(result.message or "The runner was stopped.", reason=STOPPED)
    return UnavailableError(result.message or f"The run was {result.status}.")


def _retriable(error: EdgekitError, job: Job, policy: retries.Retries) -> EdgekitError:
    """Say with an error that may pass when to try again."""
    if isinstance(error, UnavailableError | BusyError) and getattr(error, "retry_after", None) is None:
        draw = int(job.uuid[:8], 16) / 0xFFFFFFFF
        error.retry_after = policy.delay(job.attempts, draw)
    return error


def settle_ended(now: datetime) -> int:
    """Settle the slots whose job has ended without them, start what waits behind them; return how many."""
    found = db.query(
        f"{_SLOT.replace(' FROM', ', j.job_status, j.ended_at, j.error_code, j.error_message FROM', 1)}"
        f" JOIN job j ON j.id = e.job_id WHERE e.{slots.OPEN}"
        " AND j.job_status IN ('completed', 'failed', 'cancelled') ORDER BY e.id"
    )
    for slot in found:
        with db.change(
            reason=f"schedules {slot['schedule_name']}: {slot['job_status']}",
            correlation_id=slot["correlation_id"],
        ):
            status = (
                slot["job_status"] if slot["started_at"] or slot["job_status"] != "completed" else "cancelled"
            )
            settle(slot, status, clock.from_text(slot["ended_at"] or clock.to_text(now)))
        telemetry.tell_slot(slot["id"])
    return len(found)


def settle(slot: Mapping[str, Any], status: str, ended: datetime) -> None:
    """Write what became of a slot that ran, in the open change, and start what waits for its integration.

    An event may start several, so what belongs to the others is not counted.
    """
    runs = db.query(
        "SELECT max(id) AS id, total(records_read) AS read, total(records_failed) AS failed,"
        " total(retry_count) AS retried FROM integration_execution WHERE correlation_id = ?1 AND"
        " integration_id = ?2 AND trigger_kind = ?3 AND id NOT IN (SELECT ifnull(execution_id, 0)"
        " FROM integration_schedule_execution WHERE correlation_id = ?1 AND id <> ?4)",
        (slot["correlation_id"], slot["integration_id"], _trigger(slot), slot["id"]),
    )[0]
    said = [
        slot.get("error_message"),
        slot["execution_notes"],
    ]  # of a cancelled one, the reason that was given
    message = next(filter(None, said if status == "failed" else said[::-1]), None)
    message = None if status == "completed" else message
    begun, is_late = slot["started_at"], status == "failed" and slot.get("error_code") == "timeout"
    reason = "timeout" if is_late else None
    ended_at = max(clock.to_text(ended), begun) if begun else clock.to_text(ended)
    was_open = db.connection().execute(
        "UPDATE integration_schedule_execution SET execution_status = ?, reason = ?, ended_at = ?,"
        " execution_id = ?, records_processed = ?, error_count = ?, warning_count = ?, execution_notes = ?,"
        f" updated_at = ? WHERE id = ? AND {slots.OPEN}",
        (
            status, reason, ended_at,
            slot["execution_id"] or runs["id"], int(runs["read"]), int(runs["failed"]), int(runs["retried"]),
            message, clock.now_text(), slot["id"],
        ),
    ).rowcount  # fmt: skip
    if was_open:
        counts = {name: int(runs[column]) for name, column in _COUNTS.items()}
        _tell({**slot, "execution_id": slot["execution_id"] or runs["id"]}, status, message, counts, ended)
        slots.start_waiting(ended, slot["integration_id"])


def _tell(
    slot: Mapping[str, Any], status: str, message: str | None, counts: Mapping[str, int], ended: datetime
) -> None:
    """Tell how a slot ended; and where its schedule had failed before, that it works again."""
    if status not in {"completed", "failed"}:
        return
    payload = {
        "schedule": slot["schedule_name"], "integration": slot["integration_name"], "slot_id": slot["id"],
        "execution_id": slot["execution_id"], "scheduled_at": slot["scheduled_at"], "error_message": message,
        **counts,
    }  # fmt: skip
    told = [f"run.{status}"]
    if status == "completed" and _had_failed(slot):
        told.append("run.recovered")
    for event_type in told:
        events.emit(
            event_type, payload, source="INTEGRATION", target=slot["integration_name"][:100],
            ordering_key=f"run/{slot['integration_id']}",
            correlation_id=slot["correlation_id"], organization_id=slot["organization_id"], now=ended,
        )  # fmt: skip


def _had_failed(slot: Mapping[str, Any]) -> bool:
    """Whether the slot of the same schedule that ended before this one failed."""
    before = db.query(
        "SELECT execution_status FROM integration_schedule_execution WHERE schedule_id = ? AND id <> ?"
        " AND execution_status IN ('completed', 'failed') ORDER BY scheduled_at DESC, id DESC LIMIT 1",
        (slot["schedule_id"], slot["id"]),
    )
    return bool(before) and before[0]["execution_status"] == "failed"
