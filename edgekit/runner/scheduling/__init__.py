"""When integrations run: schedules, their due times, and a row for each of them.

`tick` is the whole of it: it makes a slot of every due time, starts what is to run and settles what has
ended. What a due time leads to is decided by `planning`, which knows neither file nor clock.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.runner.scheduling.asking import Backfill, backfill, run_schedule
    from edgekit.runner.scheduling.checking import Unaccounted, unaccounted
    from edgekit.runner.scheduling.telling import Entry, calendar, list_slots

__all__ = [
    "Backfill",
    "Entry",
    "Unaccounted",
    "backfill",
    "calendar",
    "list_slots",
    "run_schedule",
    "unaccounted",
]

_HOMES = {
    **dict.fromkeys(("Backfill", "backfill", "run_schedule"), "asking"),
    **dict.fromkeys(("Unaccounted", "unaccounted"), "checking"),
    **dict.fromkeys(("Entry", "calendar", "list_slots"), "telling"),
}


def __getattr__(name: str) -> Any:
    # Each part waits until it is used, as in `edgekit.runner`.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
