"""What happens in a runner, in a line each, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import clock, db, masking

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from edgekit.jobs import Job, Outcome
    from edgekit.runner.process.life import Recovered
    from edgekit.runner.process.pool import Running

_NAMED = ("integration", "schedule", "communication", "delivery", "subscription")
"""What of a job's payload says which one it is; the rest may be private."""

_COUNTED = ("records", "set_aside", "sent", "delivered", "skipped", "deleted", "removed", "made")
"""What of a job's result is told."""


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened: a word for what it is, and a sentence."""

    at: datetime
    kind: str
    """started, recovered, done, failed, fault, clock, note, stopping or stopped."""
    text: str


def name_job(job: Job) -> str:
    """Name a job for people: its kind, and which one."""
    which = [str(job.payload[key]) for key in _NAMED if isinstance(job.payload.get(key), str | int)]
    if not which and "slot" in job.payload:
        found = db.query(
            "SELECT s.schedule_name AS name FROM integration_schedule_execution x"
            " JOIN integration_schedule s ON s.id = x.schedule_id WHERE x.id = ?",
            (job.payload["slot"],),
        )
        which = [row["name"] for row in found]
    return " ".join([job.kind, *which])


def tell_end(outcome: Outcome, running: Running) -> tuple[str, bool]:
    """Say how an attempt at a job ended, and whether well."""
    seconds = (clock.now() - running.since).total_seconds()
    name = f"{running.name} (job {outcome.job.id})"
    if outcome.is_given_back:
        return f"{name} is given back after {seconds:.1f} s.", False
    if outcome.error is not None:
        return masking.secrets(f"{name} after {seconds:.1f} s: {outcome.error.message}"), False
    result = outcome.result or {}
    counts = [f"{result[key]} {key.replace('_', ' ')}" for key in _COUNTED if result.get(key)]
    return f"{name} in {seconds:.1f} s{': ' if counts else ''}{', '.join(counts)}", True


def tell_recovered(recovered: Recovered) -> list[str]:
    """Say what the dead had left, if they left anything."""
    told = []
    if recovered.runners:
        told.append("The runner before this one ended without a word; its work is taken up.")
    if recovered.jobs:
        told.append(f"{recovered.jobs} jobs were cut off and are done again.")
    if recovered.executions:
        told.append(f"{recovered.executions} runs were cut off and go on from their last batch.")
    return told


def tell_jump(jump: timedelta) -> str:
    """Say how the clock went."""
    seconds = jump.total_seconds()
    span = tell_span(abs(seconds))
    if seconds < 0:
        return f"The clock was set back by {span}. Nothing that ran runs again."
    return f"The machine slept, or its clock was set forward, for {span}. What is due is looked at now."


def tell_span(seconds: float) -> str:
    """Say how long something lasts, in the largest unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
