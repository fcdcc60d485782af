"""Events: what has happened, told to whoever listens, in the transaction of the change it reports.

with db.change(reason="policy bound"):
    ...
    events.emit("policy.bound", {"policy": 7}, source="MODULES", ordering_key="policy:7")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.events.telling import MOST_DEEP, Event, caused_by, emit, emit_many

__all__ = ["MOST_DEEP", "Event", "caused_by", "emit", "emit_many"]

_HOMES = {
    **dict.fromkeys(("MOST_DEEP", "Event", "caused_by", "emit", "emit_many"), "telling"),
}


def __getattr__(name: str) -> Any:
    # Each part waits until it is used: whoever only tells something needs no more than the outbox.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
