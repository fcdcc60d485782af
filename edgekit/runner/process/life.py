"""The lives of runners: one row each, and what the dead have left, taken up again."""

from __future__ import annotations

import os
import platform
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import __version__, db, jobs
from edgekit.models.runner import RunnerSession
from edgekit.runner import holding

if TYPE_CHECKING:
    from datetime import datetime


_LAST_BREATH = 3.0
"""Seconds that are waited for the processes of a dead runner to end, where any still runs something."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a runner found when it began: who had died, and what became of their work."""

    runners: int = 0
    jobs: int = 0
    executions: int = 0


def new_runner_id() -> str:
    """Return a name for this life."""
    return f"runner-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def begin(runner_id: str, *, now: datetime) -> Recovered:
    """Write that a runner lives, and take back what dead ones were doing, in one change.

    The caller holds the lock of the runner: whichever else is said to live is dead. A job that no runner has,
    such as a mail that somebody sends at once, is left to its lease.
    """
    is_after_death = bool(db.query("SELECT 1 FROM runner_session WHERE ended_at IS NULL"))
    # What it had begun in processes of their own notices its death, and frees what it held, a moment later.
    executions = holding.recover_executions(patience_seconds=_LAST_BREATH if is_after_death else 0.0)
    with db.change(reason="runner: start"):
        died: int = (
            RunnerSession.update(ended_at=now, end_reason="died")
            .where(RunnerSession.ended_at.is_null())
            .execute()
        )
        workers = db.query(
            "SELECT DISTINCT runner_id FROM job WHERE job_status = 'running'"
            " AND runner_id IN (SELECT runner_id FROM runner_session)"
        )
        recovered = jobs.recover([row["runner_id"] for row in workers], now=now)
        RunnerSession.create(
            runner_id=runner_id, process_id=os.getpid(), host_name=platform.node()[:255] or None,
            app_version=__version__, started_at=now,
        )  # fmt: skip
    return Recovered(died, len(recovered), executions)


def end(runner_id: str, *, now: datetime) -> int:
    """Write that a runner has ended, and give back what it could not end; return how many jobs that were."""
    with db.change(reason="runner: stop"):
        left = jobs.recover([runner_id], now=now)
        RunnerSession.update(ended_at=now, end_reason="stopped").where(
            RunnerSession.runner_id == runner_id, RunnerSession.ended_at.is_null()
        ).execute()
    return len(left)
