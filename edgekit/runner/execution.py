"""One run's own row: begun, counted batch by batch, ended; and what a dead run left behind.

Every batch commits with `WHERE runner_id = me AND execution_status = 'running'`, which fences out a process
that was thought dead; who is dead, `holding` knows.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import ConflictError, EdgekitError
from edgekit.models.runner import IntegrationExecution
from edgekit.runner import holding, kept, reuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.integrations import Plan
    from edgekit.runner.reuse import Reuse


OnEnd = Callable[["Execution", "Plan", str, "EdgekitError | None"], None]
"""Called when a run has ended, with what it came to: completed, failed, cancelled or interrupted."""


@dataclass(slots=True)
class RunResult:
    """What a run came to. `records_read` is `records_written`, `dead_letters` and `filtered` together."""

    integration: str
    execution_id: int | None
    status: str
    records_read: int = 0
    records_written: int = 0
    records_changed: int = 0
    dead_letters: int = 0
    filtered: int = 0
    """Records that a step left out on purpose."""
    retries: int = 0
    skipped: int = 0
    """Driving rows not asked for, because their last answers are fresh."""
    duration_ms: int = 0
    correlation_id: str = ""
    message: str | None = None
    error: EdgekitError | None = field(default=None, repr=False)
    direction: str = "inbound"
    documents: list[Any] = field(default_factory=list)
    """What a dry run would have sent first."""


class RunStoppedError(EdgekitError):
    """A run ends between two batches because it was asked to: as `cancelled`, or for now as `interrupted`."""

    exit_code = 130

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def code(self) -> str:
        """How the run ends."""
        return self.status


@dataclass(slots=True)
class Execution:
    """A running execution of this process."""

    id: int
    runner_id: str
    correlation_id: str
    state: dict[str, Any]
    writer: dict[str, Any] = field(default_factory=dict)
    """How far what is sent has come, as the destination tells it."""
    resumed: bool = False
    """Whether it began in the middle of a pass."""
    is_anew: bool = False
    """Whether it runs what another run kept: that says nothing of the source."""
    is_concurrent: bool = False
    """Whether it runs beside another run, or what it was given: the checkpoint is none of its."""
    records_read: int = 0
    records_written: int = 0
    records_changed: int = 0
    records_failed: int = 0
    records_filtered: int = 0
    retries: int = 0
    batches: int = 0
    """How many of its batches were kept."""
    ended: tuple[str, EdgekitError | None] | None = None
    """How it ended, once that is written."""
    reuse: Reuse | None = None
    is_read: bool = False
    """Whether all was read and sent before, and only the end of it was cut off."""
    first_failure: str = ""
    """Where and why the first record was set aside."""
    job_id: int | None = None
    """The job that runs it, which may be cancelled."""
    stop: Callable[[], bool] | None = None
    """Says whether it is to end for now."""
    trigger: str = "manual"
    """What began it: manual, schedule, event or replay."""
    on_end: OnEnd | None = None
    """Called in the change that writes its end."""

    @property
    def counts(self) -> tuple[int, int, int, int, int, int]:
        """What has been read, written, changed, set aside, filtered out and retried."""
        return (
            self.records_read,
            self.records_written,
            self.records_changed,
            self.records_failed,
            self.records_filtered,
            self.retries,
        )

    @counts.setter
    def counts(self, counts: tuple[int, int, int, int, int, int]) -> None:
        (
            self.records_read,
            self.records_written,
            self.records_changed,
            self.records_failed,
            self.records_filtered,
            self.retries,
        ) = counts


def begin(
    plan: Plan,
    *,
    trigger: str,
    fresh: bool = False,
    anew: bool = False,
    beside: str | None = None,
    correlation_id: str | None = None,
) -> Execution:
    """Settle what a dead run left, and write the row of a new one, which goes on from the last checkpoint.

    A `fresh` one uses no answers again; one that runs what was kept `anew`, or `beside` another under this
    runner id, or what was given, leaves the checkpoint alone.
    """
    runner_id = beside or holding.new_runner_id()
    is_given = plan.inputs is not None and plan.inputs.rows is not None
    with db.change(reason=f"run {plan.name}", correlation_id=correlation_id) as change:
        interrupted = holding.settle_dead(plan.integration_id) if beside is None else None
        kept.prune_own(plan.integration_id)
        row = IntegrationExecution.create(
            uuid=str(uuid.uuid4()),
            integration_id=plan.integration_id,
            pipeline_id=plan.pipeline_id,
            trigger_kind=trigger,
            execution_status="running",
            runner_id=runner_id,
            source_digest=plan.fingerprint,
            resumed_from_id=None if anew or is_given else interrupted,
            is_concurrent=beside is not None,
            started_at=clock.now(),
            correlation_id=change.correlation_id,
            organization_id=plan.organization_id,
        )
        correlation_id = change.correlation_id
    if anew or beside is not None or is_given:
        return Execution(
            row.id, runner_id, correlation_id, {}, is_anew=anew, is_concurrent=beside is not None or is_given
        )
    stored = _checkpoint(plan)
    state, answered = dict(stored.get("state", {})), dict(stored.get("answered", {}))
    is_read = bool(stored.get("unfinished")) and bool(state.get("done"))
    resumed = is_read or (bool(state) and not state.get("done"))
    writer = dict(stored.get("writer", {})) if resumed else {}
    again = reuse.begin(plan, answered, resumed=resumed, fresh=fresh, now=row.started_at)
    return Execution(row.id, runner_id, correlation_id, state, writer, resumed, reuse=again, is_read=is_read)


def spare(plan: Plan, *, fresh: bool) -> Reuse | None:
    """Return what a run would leave out now, were it to begin anew."""
    answered = dict(_checkpoint(plan).get("answered", {}))
    return reuse.begin(plan, answered, resumed=False, fresh=fresh, now=clock.now())


def _checkpoint(plan: Plan) -> dict[str, Any]:
    """Return what the last run of the same source left: its state, and what is known of answers."""
    rows = db.query(
        "SELECT state FROM integration_checkpoint WHERE integration_id = ?", (plan.integration_id,)
    )
    stored: dict[str, Any] = json.loads(rows[0]["state"]) if rows else {}
    return stored if stored.get("source") == plan.fingerprint else {}


def save_counts(execution: Execution, plan: Plan) -> None:
    """Write counters in the batch's own change. Raise ConflictError if the run is no longer ours."""
    at, actor = clock.now_text(), db.current().actor_id
    mine = (
        db.connection()
        .execute(
            "UPDATE integration_execution SET records_read = ?, records_written = ?,"
            " records_changed = ?, records_failed = ?, records_filtered = ?,"
            " retry_count = ?, updated_at = ?, updated_by = ? WHERE id = ? AND runner_id = ? AND"
            " execution_status = 'running'",
            (
                execution.records_read,
                execution.records_written,
                execution.records_changed,
                execution.records_failed,
                execution.records_filtered,
                execution.retries,
                at,
                actor,
                execution.id,
                execution.runner_id,
            ),
        )
        .rowcount
    )
    if mine != 1:
        raise ConflictError(
            f"The run {execution.id} of {plan.name} was taken over by another process; this one stops."
        )


def save_batch(execution: Execution, plan: Plan, state: Mapping[str, Any], *, finished: bool = False) -> None:
    """Write counters and checkpoint in the batch's own change; `finished` where what was sent is in place.

    Raise ConflictError if the run is no longer ours.
    """
    save_counts(execution, plan)
    if execution.is_concurrent:
        return
    at, actor = clock.now_text(), db.current().actor_id
    content: dict[str, Any] = {"source": plan.fingerprint, "state": dict(state)}
    if plan.to is not None and not finished:
        content |= {"writer": execution.writer, "unfinished": True}
    if execution.reuse is not None:
        # What is set aside is kept to be replayed; what is only counted is gone.
        lost = execution.records_failed > 0 and plan.strategy == "continue_on_error"
        execution.reuse.is_lost = execution.reuse.is_lost or lost
        content["answered"] = execution.reuse.document(done=bool(state.get("done")))
    document = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    db.connection().execute(
        "INSERT INTO integration_checkpoint(integration_id, state, execution_id, created_by,"
        " updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (integration_id) DO UPDATE SET state = excluded.state, execution_id ="
        " excluded.execution_id,"
        " updated_by = ?, updated_at = excluded.updated_at WHERE integration_checkpoint.state"
        " IS NOT excluded.state",
        (plan.integration_id, document, execution.id, actor, at, actor),
    )


def look_up(execution: Execution) -> None:
    """Look between two batches whether the run is wanted still. Raise RunStoppedError if not."""
    cancelled = "SELECT 1 FROM job WHERE id = ? AND cancel_requested_at IS NOT NULL"
    if execution.job_id is not None and db.query(cancelled, (execution.job_id,)):
        raise RunStoppedError("cancelled", "Its job was cancelled. What it had written stays.")
    if execution.stop is not None and execution.stop():
        raise RunStoppedError("interrupted", "The runner was stopped. The next run goes on from there.")


def save_writer(execution: Execution, plan: Plan) -> None:
    """Write how far what is sent has come, in the open change; what is read stays where it is."""
    db.connection().execute(
        "UPDATE integration_checkpoint SET state = json_set(state, '$.writer', json(?)), updated_at = ?,"
        " updated_by = ? WHERE integration_id = ?",
        (json.dumps(execution.writer), clock.now_text(), db.current().actor_id, plan.integration_id),
    )


def end(execution: Execution, plan: Plan, status: str, error: EdgekitError | None = None) -> None:
    """Write how a run ended. A run that was taken over is left alone."""
    healthy = {"completed": "healthy", "failed": "degraded"}.get(status)
    if (error is not None and not error.was_sent) or execution.is_anew:
        healthy = None  # a limit or a breaker of ours says nothing new of the other side
    with db.change(reason=f"run {plan.name}: {status}", correlation_id=execution.correlation_id):
        is_ours = (
            IntegrationExecution.update(
                execution_status=status,
                ended_at=clock.now(),
                retry_count=execution.retries,
                error_code=error.code if error else None,
                error_message=error.message if error else None,
            )
            .where(
                IntegrationExecution.id == execution.id,
                IntegrationExecution.runner_id == execution.runner_id,
                IntegrationExecution.execution_status == "running",
            )
            .execute()
        )
        whole = not (execution.resumed or execution.is_anew or execution.is_concurrent)
        if status == "completed" and whole:
            _supersede_letters(execution, plan)
        if status == "completed" and not execution.is_anew:
            _go_live(plan)
        if healthy:
            db.connection().execute(
                "UPDATE integration SET health_status = ?2, last_health_check_at = ?3,"
                " updated_at = ?3, updated_by = ?4 WHERE id = ?1"
                " AND NOT EXISTS (SELECT 1 FROM circuit_breaker WHERE integration_id = ?1"
                " AND breaker_status <> 'closed')",
                (plan.integration_id, healthy, clock.now_text(), db.current().actor_id),
            )
        if is_ours and execution.on_end is not None:
            execution.on_end(execution, plan, status, error)


def _go_live(plan: Plan) -> None:
    """Mark an instance of a template as live once it has run through."""
    at, actor = clock.now_text(), db.current().actor_id
    db.connection().execute(
        "UPDATE integration_template_instance SET deployment_status = 'active', deployed_at = ?,"
        " updated_at = ?, updated_by = ?"
        " WHERE integration_id = ? AND deployment_status IN ('draft', 'testing')",
        (at, at, actor, plan.integration_id),
    )


def _supersede_letters(execution: Execution, plan: Plan) -> None:
    """Settle what a whole pass of the same source did not meet again: it was mended, or is gone.

    A source read by increments shows a record once, so for it nothing follows from its absence; nor where
    rows were not asked for again.
    """
    if execution.reuse is not None and execution.reuse.skipped:
        return
    if {"cursor", "input"} & set(execution.state) or plan.config.get("incremental"):
        return
    at, actor = clock.now_text(), db.current().actor_id
    db.connection().execute(
        "UPDATE dead_letter SET replay_status = 'superseded', settled_at = ?, updated_at = ?, updated_by = ?"
        " WHERE integration_id = ? AND replay_status = 'pending' AND execution_id <> ?"
        " AND execution_id IN (SELECT id FROM integration_execution WHERE integration_id = ?"
        " AND source_digest = ?)",
        (at, at, actor, plan.integration_id, execution.id, plan.integration_id, plan.fingerprint),
    )
