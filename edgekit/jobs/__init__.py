"""Everything that happens later: one row each in the table `job`, with one life.

    with db.change(reason="new customer"):
        ...
        jobs.enqueue("communication.send", {"communication": 7}, max_attempts=5)

A job is asked for in the change of what asks for it, claimed by a runner, done by the handler its kind has
registered, and ended in the change of what it did.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.jobs.ending import Outcome, decide, delay, ensure_standing, finish, release, settle
    from edgekit.jobs.job import Job, list_jobs, show
    from edgekit.jobs.kinds import DEFAULT_TIMEOUT, Kind, find, get, handles
    from edgekit.jobs.performing import fault, perform
    from edgekit.jobs.pruning import prune
    from edgekit.jobs.queue import (
        cancel,
        claim,
        claim_one,
        enqueue,
        next_due_at,
        recover,
        replay,
    )
    from edgekit.jobs.stopping import stop_requested

__all__ = [
    "DEFAULT_TIMEOUT",
    "Job",
    "Kind",
    "Outcome",
    "cancel",
    "claim",
    "claim_one",
    "decide",
    "delay",
    "enqueue",
    "ensure_standing",
    "fault",
    "find",
    "finish",
    "get",
    "handles",
    "list_jobs",
    "next_due_at",
    "perform",
    "prune",
    "recover",
    "release",
    "replay",
    "settle",
    "show",
    "stop_requested",
]

_HOMES = {
    **dict.fromkeys(
        ("Outcome", "decide", "delay", "ensure_standing", "finish", "release", "settle"), "ending"
    ),
    **dict.fromkeys(("Job", "list_jobs", "show"), "job"),
    **dict.fromkeys(("DEFAULT_TIMEOUT", "Kind", "find", "get", "handles"), "kinds"),
    **dict.fromkeys(("fault", "perform"), "performing"),
    "prune": "pruning",
    "stop_requested": "stopping",
    **dict.fromkeys(
        ("cancel", "claim", "claim_one", "enqueue", "next_due_at", "recover", "replay"),
        "queue",
    ),
}


def __getattr__(name: str) -> Any:
    # Each part waits until it is used: whoever only asks for a job needs no more.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
