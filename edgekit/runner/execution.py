"""One run's own row: begun, counted batch by batch, ended; and what a dead run left behind.

A run holds a lock file of its integration for as long as its process lives; the system frees it at a kill. So
a `running` row whose lock is free belongs to the dead, at once and without a time-out. Every batch commits
with `WHERE runner_id = me AND execution_status = 'running'`, which fences out a process that was thought
dead.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import ConflictError, EdgekitError
from edgekit.models.runner import IntegrationExecution
from edgekit.runner import kept, reuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgekit.integrations import Plan
    from edgekit.runner.reuse import Reuse


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


@contextmanager
def hold(plan: Plan) -> Iterator[None]:
    """Hold the integration for this process. Raise ConflictError if another process is running it."""
    from filelock import FileLock, Timeout

    path = db.current().path
    lock = FileLock(path.with_name(f"{path.name}-run{plan.integration_id}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConflictError(
            f"{plan.name} is being run by another process.",
            hint="Wait until it has ended: edgekit executions list",
        ) from error
    try:
        yield
    finally:
        lock.release()


def begin(plan: Plan, *, trigger: str, fresh: bool = False, anew: bool = False) -> Execution:
    """Settle what a dead run left, and write the row of a new one, which goes on from the last checkpoint.

    A `fresh` one uses no answers again; one that runs what was kept `anew` leaves the checkpoint alone.
    """
    runner_id = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
    with db.change(reason=f"run {plan.name}") as change:
        interrupted = _settle_dead(plan.integration_id)
        kept.prune_own(plan.integration_id)
        row = IntegrationExecution.create(
            uuid=str(uuid.uuid4()),
            integration_id=plan.integration_id,
            pipeline_id=plan.pipeline_id,
            trigger_kind=trigger,
            execution_status="running",
            runner_id=runner_id,
            source_digest=plan.fingerprint,
            resumed_from_id=None if anew else interrupted,
            started_at=clock.now(),
            correlation_id=change.correlation_id,
            organization_id=plan.organization_id,
        )
        correlation_id = change.correlation_id
    if anew:
        return Execution(row.id, runner_id, correlation_id, {}, is_anew=True)
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


def _settle_dead(integration_id: int) -> int | None:
    """Mark the run of a dead process as interrupted and return its id. We hold the lock, so it is dead."""
    rows = db.query(
        "SELECT id, trigger_kind FROM integration_execution"
        " WHERE integration_id = ? AND execution_status = 'running'",
        (integration_id,),
    )
    for row in rows:
        IntegrationExecution.update(
            execution_status="interrupted", ended_at=clock.now(), error_code="interrupted",
            error_message="Its process ended without a word; the next run goes on from its last batch.",
        ).where(IntegrationExecution.id == row["id"]).execute()  # fmt: skip
    dead = [int(row["id"]) for row in rows if row["trigger_kind"] != "replay"]
    if dead:
        return dead[0]
    last = db.query(
        "SELECT id, execution_status FROM integration_execution WHERE integration_id = ?"
        " AND trigger_kind <> 'replay' ORDER BY id DESC LIMIT 1",
        (integration_id,),
    )
    return int(last[0]["id"]) if last and last[0]["execution_status"] == "interrupted" else None


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
    if getattr(error, "limit", None) is not None or execution.is_anew:
        healthy = None  # a limit of ours says nothing of the other side
    with db.change(reason=f"run {plan.name}: {status}", correlation_id=execution.correlation_id):
        IntegrationExecution.update(
            execution_status=status,
            ended_at=clock.now(),
            retry_count=execution.retries,
            error_code=error.code if error else None,
            error_message=error.message if error else None,
        ).where(
            IntegrationExecution.id == execution.id,
            IntegrationExecution.runner_id == execution.runner_id,
            IntegrationExecution.execution_status == "running",
        ).execute()
        if status == "completed" and not execution.resumed and not execution.is_anew:
            _supersede_letters(execution, plan)
        if status == "completed" and not execution.is_anew:
            _go_live(plan)
        if healthy:
            db.connection().execute(
                "UPDATE integration SET health_status = ?, last_health_check_at = ?,"
                " updated_at = ?, updated_by = ? WHERE id = ?",
                (healthy, clock.now_text(), clock.now_text(), db.current().actor_id, plan.integration_id),
            )


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
