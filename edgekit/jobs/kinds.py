"""The kinds of job there are: what does the work, how many at once, how long, and what follows.

A kind is registered by the word that owns it, and its module is imported when the first job of it is met.
Other packages name theirs as entry points of the group `edgekit.job_kinds`: `"acme.rate" = "acme.jobs"`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from datetime import datetime

    from edgekit.jobs.job import Job

Handler = Callable[["Job"], "dict[str, Any] | None"]
Next = Callable[["datetime"], "datetime"]
Killed = Callable[["Job", int, str, str, "datetime"], None]
GivenUp = Callable[["Job", str, str, "datetime"], None]
Again = Callable[["Job"], None]

DEFAULT_TIMEOUT = 3600
"""Seconds an attempt may take where neither the job nor its kind says."""

_HOMES: dict[str, str] = {
    "backup": "edgekit.file.backup_job",
    "communication": "edgekit.runner.channels.sending",
    "event": "edgekit.runner.listening",
    "housekeeping": "edgekit.runner.housekeeping",
    "integration.run": "edgekit.runner.scheduling.running",
    "notification": "edgekit.runner.notifying.handling",
    "notification.hear": "edgekit.runner.notifying.listening",
    "notification.fall_back": "edgekit.runner.notifying.listening",
}
"""The module of each kind of ours, by the kind or by what stands before its last dot."""

_OF_KEYS: dict[str, str] = {"delivery": "edgekit.events.delivering"}
"""The module whose `give_up` settles what a job was for whose kind nothing here handles, by what its key
begins with: its package may have been removed since it was asked for."""

_STANDING: tuple[str, ...] = ("backup.daily", "housekeeping.daily", "notification.sweep")
"""The kinds of ours that always have an open job."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a kind of job."""

    name: str
    handler: Handler
    concurrency: int | None = None
    """How many of it run at once; None: as many as there are places."""
    timeout_seconds: int = DEFAULT_TIMEOUT
    isolated: bool = False
    """Whether it can hang, and so runs in a process of its own that is killed when its time is up."""
    standing: Next | None = None
    """When the next job of it is due, asked when one has ended."""
    attempts: int = 1
    """What a standing job is given as `max_attempts`."""
    delay_seconds: float = 30.0
    """Before the second attempt; doubled before each further one."""
    longest_delay_seconds: float = 3600.0
    killed: Killed | None = None
    """Called in the change that writes the end of a job whose process was killed or died, with the job, the
    id of the process, the code (timeout, cancelled or gone), what happened, and when: to settle what else it
    left."""
    given_up: GivenUp | None = None
    """Called in the change that ends a job as failed or cancelled, with the job, the code, what happened, and
    when: to settle what waits for it."""
    again: Again | None = None
    """Called with a job that is to be done again by hand; raises where that cannot be, and says what can."""


_kinds: dict[str, Kind] = {}


def handles(
    kind: str,
    *,
    concurrency: int | None = None,
    timeout_seconds: int = DEFAULT_TIMEOUT,
    isolated: bool = False,
    standing: Next | None = None,
    attempts: int = 1,
    delay_seconds: float = 30.0,
    longest_delay_seconds: float = 3600.0,
    killed: Killed | None = None,
    given_up: GivenUp | None = None,
    again: Again | None = None,
) -> Callable[[Handler], Handler]:
    """Register what is decorated as the handler of a kind of job; see `Kind` for what the options mean.

    The handler is given the job and returns its result, or None. What it writes into the file together with
    `finish(job)` in one change is done exactly once. Raise InvalidError if the kind has another handler.
    """

    def register(handler: Handler) -> Handler:
        known = _kinds.get(kind)
        if known is not None and known.handler.__qualname__ != handler.__qualname__:
            raise InvalidError(f"The kind of job {kind} has a handler already.")
        _kinds[kind] = Kind(
            kind, handler, concurrency, timeout_seconds, isolated, standing, attempts, delay_seconds,
            longest_delay_seconds, killed, given_up, again,
        )  # fmt: skip
        return handler

    return register


def find(kind: str) -> Kind | None:
    """Return what is known of a kind, or None if nothing here handles it."""
    if (known := _kinds.get(kind)) is not None:
        return known
    home = _HOMES.get(kind) or _HOMES.get(kind.rpartition(".")[0])
    if home is None:
        home = _foreign().get(kind)
    if home is None:
        return None
    import_module(home)
    return _kinds.get(kind)


def find_ending(kind: str, dedupe_key: str | None) -> GivenUp | None:
    """Return what settles what a job was for when it is given up, also where nothing handles its kind."""
    if (known := find(kind)) is not None:
        return known.given_up
    home = _OF_KEYS.get((dedupe_key or "").partition(":")[0])
    return None if home is None else cast("GivenUp", import_module(home).give_up)


def get(kind: str) -> Kind:
    """Return what is known of a kind. Raise NotFoundError if nothing here handles it."""
    found = find(kind)
    if found is None:
        raise NotFoundError(
            f"Nothing here handles jobs of the kind {kind}.",
            hint="Install the package that does, then: edgekit jobs retry ID",
        )
    return found


def standing_kinds() -> list[Kind]:
    """Return the kinds that always have an open job: ours, other packages', and what was registered."""
    for name in (*_STANDING, *_foreign()):
        find(name)
    return [kind for kind in _kinds.values() if kind.standing is not None]


@lru_cache(maxsize=1)
def _foreign() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {entry.name: entry.module for entry in entry_points(group="edgekit.job_kinds")}
