"""The doing of one claimed job, in the thread that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from edgekit import tracing
from edgekit.errors import EdgekitError
from edgekit.jobs import kinds, stopping
from edgekit.jobs.ending import Outcome

if TYPE_CHECKING:
    from edgekit.jobs.job import Job


class Isolation(Protocol):
    """What runs a job in a process of its own; see `edgekit.jobs.workers`."""

    def run(self, job: Job, seconds: float) -> Outcome:
        """Run it to its end, or kill it after so many seconds."""
        ...


def perform(job: Job, *, workers: Isolation | None = None) -> Outcome:
    """Do a claimed job and return what it came to, for `settle` to write.

    A kind that can hang is done by `workers`, where they are given, and stopped when its time is up. What is
    no EdgekitError is a fault of the program and is raised; `fault` makes an outcome of it.
    """
    try:
        kind = kinds.get(job.kind)
        if kind.isolated and workers is not None:
            return workers.run(job, job.timeout_seconds or kind.timeout_seconds)
        with tracing.under(job.correlation_id):
            result: dict[str, Any] | None = kind.handler(job)
    except EdgekitError as error:
        is_given_back = error.code == stopping.STOPPED
        return Outcome(job, error=None if is_given_back else error, is_given_back=is_given_back)
    return Outcome(job, result)


def fault(job: Job, error: BaseException) -> Outcome:
    """Make the outcome of a job whose handler has a fault; what it says may be private and is left out."""
    told = EdgekitError(
        f"The handler of {job.kind} has a fault: {type(error).__name__}.",
        hint="The log of the runner says where.",
    )
    return Outcome(job, error=told)
