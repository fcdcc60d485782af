"""The doing of one claimed job, in the thread that asks for it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Protocol

from edgekit import db, tracing
from edgekit.errors import EdgekitError, InvalidError
from edgekit.jobs import kinds, stopping
from edgekit.jobs.ending import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        result = handle(kind, job)
    except EdgekitError as error:
        is_given_back = error.code == stopping.STOPPED
        return Outcome(job, error=None if is_given_back else error, is_given_back=is_given_back)
    return Outcome(job, result)


def handle(kind: kinds.Kind, job: Job) -> dict[str, Any] | None:
    """Call the handler of a kind, and leave the thread as it was: in no change, in the same folder.

    Raise EdgekitError where it left a change open, which would keep everybody from writing: it is undone;
    InvalidError where what it returns is no result.
    """
    file = db.current()
    is_inside, is_left = file.open_change is not None, False
    with tracing.under(job.correlation_id), _same_folder():
        try:
            result = kind.handler(job)
        finally:
            if not is_inside:
                is_left = file.undo_left()
    if is_left:
        raise EdgekitError(f"The handler of {job.kind} left a change open; what it wrote is undone.")
    if not (result is None or isinstance(result, dict)):
        raise InvalidError(f"The handler of {job.kind} returned no dict but: {type(result).__name__}.")
    return result


@contextlib.contextmanager
def _same_folder() -> Iterator[None]:
    try:
        before = os.getcwd()  # noqa: PTH109 - asked for every job, and Path takes ten times as long
    except OSError:  # it is gone
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if os.getcwd() != before:  # noqa: PTH109
                os.chdir(before)


def fault(job: Job, error: BaseException) -> Outcome:
    """Make the outcome of a job whose handler has a fault."""
    return Outcome(job, error=explain(job.kind, error))


def explain(kind: str, error: BaseException) -> EdgekitError:
    """Say that a handler has a fault; what the exception says may be private and is left out."""
    return EdgekitError(
        f"The handler of {kind} has a fault: {type(error).__name__}.",
        hint="The log of the runner says where.",
    )
