"""Who is running an integration, and who died of it.

A run holds a lock file of its integration for as long as its process lives; the system frees it at a kill. So
a `running` row whose lock is free belongs to the dead, at once and without a time-out. A run beside another
one holds a lock file of its own, named by its `runner_id`.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from edgekit import clock, db
from edgekit.errors import ConflictError, DeniedError
from edgekit.models.runner import IntegrationExecution

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from edgekit.integrations import Plan
    from edgekit.jobs import Job

_LOOK_SECONDS = 0.02


@contextmanager
def hold(plan: Plan, *, beside: bool = False) -> Iterator[str | None]:
    """Hold the integration for this process, and yield None.

    With `beside`, where another run holds it: hold a lock of this run alone, and yield the runner id that
    names it. Raise ConflictError if another process is running it and this run cannot be beside that.
    """
    from filelock import FileLock, Timeout

    # A runner that looks who is alive holds the lock for an instant.
    lock = FileLock(_lock_path(plan.integration_id), timeout=0.2, poll_interval=0.02)
    runner_id = None
    try:
        lock.acquire()
    except Timeout as error:
        if not beside or (why := _alone(plan)) is not None:
            raise ConflictError(
                f"{plan.name} is being run by another process{why if beside else ''}.",
                hint="Wait until it has ended: edgekit executions list",
            ) from error
        runner_id = new_runner_id()
        lock = FileLock(_lock_path(plan.integration_id, runner_id), timeout=0)
        lock.acquire()
    try:
        yield runner_id
    finally:
        lock.release()
        if runner_id is not None:
            _remove(_lock_path(plan.integration_id, runner_id))


def _alone(plan: Plan) -> str | None:
    """Say why a run of this integration cannot be beside another one; None: it can."""
    if plan.to is not None:
        return ", and what it sends is not sent twice at once"
    if plan.config.get("then", "keep") != "keep":
        return ", and each moves or deletes the files it has read"
    return None


def new_runner_id() -> str:
    """Return a name for what this process is about to run."""
    return f"{os.getpid()}-{uuid.uuid4().hex[:12]}"


def _lock_path(integration_id: int, runner_id: str | None = None) -> Path:
    path = db.current().path
    own = "" if runner_id is None else f"-{runner_id}"
    return path.with_name(f"{path.name}-run{integration_id}{own}.lock")


def _remove(path: Path) -> None:
    with suppress(OSError):  # on Windows somebody may be looking whether it is held
        path.unlink(missing_ok=True)


def is_free(path: Path) -> bool:
    """Tell whether no living process holds a lock file."""
    from filelock import FileLock, Timeout

    if not path.exists():
        return True
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return False
    except OSError as error:
        raise unlockable(path, error) from error
    lock.release()
    return True


def unlockable(path: Path, error: OSError) -> DeniedError:
    """Say why a lock file is of no use: mostly another user of the computer has made it."""
    return DeniedError(
        f"{path} cannot be locked: {error.strerror}.",
        hint="Work as the user it belongs to, or remove it while nothing runs on the file.",
    )


def recover_executions(*, patience_seconds: float = 0.0) -> int:
    """Mark every run whose process is dead as interrupted, and return how many there were.

    The next run of each integration goes on from its last batch. Those whose process lives are looked at
    again for so long: it may be about to end.
    """
    running = (
        "SELECT integration_id, runner_id, is_concurrent FROM integration_execution"
        " WHERE execution_status = 'running'"
    )
    paths = {
        (row["integration_id"], row["runner_id"]): _lock_path(
            row["integration_id"], row["runner_id"] if row["is_concurrent"] else None
        )
        for row in db.query(running)
    }
    until = time.monotonic() + patience_seconds
    dead = {key: path for key, path in paths.items() if is_free(path)}
    while len(dead) < len(paths) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        dead |= {key: path for key, path in paths.items() if key not in dead and is_free(path)}
    if not dead:
        return 0
    with db.change(reason="recover runs of a dead process"):
        found = sum(_interrupt(*key) for key in dead)
    for (_, runner_id), path in dead.items():
        if runner_id and path.name.endswith(f"-{runner_id}.lock"):
            _remove(path)
    return found


def settle_dead(integration_id: int) -> int | None:
    """Mark the runs of dead processes as interrupted; return the id of the one to go on from.

    We hold the lock of the integration, so whoever ran with it is dead.
    """
    rows = db.query(
        "SELECT id, trigger_kind, runner_id, is_concurrent FROM integration_execution"
        " WHERE integration_id = ? AND execution_status = 'running'",
        (integration_id,),
    )
    for row in rows:
        if not row["is_concurrent"] or is_free(_lock_path(integration_id, row["runner_id"])):
            _interrupt(integration_id, row["runner_id"])
    dead = [int(row["id"]) for row in rows if row["trigger_kind"] != "replay" and not row["is_concurrent"]]
    if dead:
        return dead[0]
    last = db.query(
        "SELECT id, execution_status FROM integration_execution WHERE integration_id = ?"
        " AND trigger_kind <> 'replay' AND NOT is_concurrent ORDER BY id DESC LIMIT 1",
        (integration_id,),
    )
    return int(last[0]["id"]) if last and last[0]["execution_status"] == "interrupted" else None


def settle_killed(job: Job, process_id: int, code: str, message: str, now: datetime) -> None:
    """Write in the open change how the runs ended that a killed process was at: as its job did.

    A run whose time was up has failed, a cancelled one is cancelled; one that was stopped with its runner, or
    whose process died, is interrupted. Each goes on from its last batch when it is run again.
    """
    status, health = {"timeout": ("failed", "degraded"), "cancelled": ("cancelled", None)}.get(
        code, ("interrupted", None)
    )
    at = clock.to_text(now)
    with db.change(reason=f"job {job.kind}: {code}", correlation_id=job.correlation_id) as change:
        rows = (
            db.connection()
            .execute(
                "UPDATE integration_execution SET execution_status = ?,"
                " ended_at = max(?, ifnull(started_at, '')), error_code = ?, error_message = ?,"
                " updated_at = ?, updated_by = ?"
                " WHERE execution_status = 'running' AND runner_id GLOB ? RETURNING integration_id",
                (status, at, code, message, change.at, db.current().actor_id, f"{process_id}-*"),
            )
            .fetchall()
        )
        if health is not None:
            db.connection().executemany(
                "UPDATE integration SET health_status = ?, last_health_check_at = ?, updated_at = ?,"
                " updated_by = ? WHERE id = ?",
                [(health, at, change.at, db.current().actor_id, number) for (number,) in rows],
            )


def _interrupt(integration_id: int, runner_id: str | None) -> int:
    table = IntegrationExecution
    ended: int = (
        table.update(
            execution_status="interrupted", ended_at=clock.now(), error_code="interrupted",
            error_message="Its process ended without a word; the next run goes on from its last batch.",
        )
        .where(
            table.integration_id == integration_id, table.runner_id == runner_id,
            table.execution_status == "running",
        )
        .execute()
    )  # fmt: skip
    return ended
