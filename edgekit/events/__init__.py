"""Events: what has happened, told to whoever listens, in the transaction of the change it reports.

with db.change(reason="policy bound"):
    ...
    events.emit("policy.bound", {"policy": 7}, source="MODULES", ordering_key="policy:7")

An event is a row of the outbox. Each subscription has a cursor into it; `fan_out`, which every tick of a
runner calls, makes deliveries of what lies behind the cursor, each done by a job of the subscription's kind.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.events.delivering import Delivery, handles
    from edgekit.events.fanning import Fanned, fan_out
    from edgekit.events.outbox import Told
    from edgekit.events.pruning import prune_events
    from edgekit.events.reading import list_deliveries, list_events, show_event
    from edgekit.events.replaying import discard_delivery, replay_event, replay_subscription
    from edgekit.events.subscriptions import (
        add_subscription,
        list_subscriptions,
        pause_subscription,
        resume_subscription,
        retire_subscription,
        set_subscription,
        show_subscription,
    )
    from edgekit.events.telling import MOST_DEEP, Event, caused_by, emit, emit_many

_HOMES = {
    **dict.fromkeys(("Delivery", "handles"), "delivering"),
    **dict.fromkeys(("Fanned", "fan_out"), "fanning"),
    "Told": "outbox",
    "prune_events": "pruning",
    **dict.fromkeys(("list_deliveries", "list_events", "show_event"), "reading"),
    **dict.fromkeys(("discard_delivery", "replay_event", "replay_subscription"), "replaying"),
    **dict.fromkeys(
        (
            "add_subscription", "list_subscriptions", "pause_subscription", "resume_subscription",
            "retire_subscription", "set_subscription", "show_subscription",
        ),
        "subscriptions",
    ),
    **dict.fromkeys(("MOST_DEEP", "Event", "caused_by", "emit", "emit_many"), "telling"),
}  # fmt: skip

__all__ = [
    "MOST_DEEP",
    "Delivery",
    "Event",
    "Fanned",
    "Told",
    "add_subscription",
    "caused_by",
    "discard_delivery",
    "emit",
    "emit_many",
    "fan_out",
    "handles",
    "list_deliveries",
    "list_events",
    "list_subscriptions",
    "pause_subscription",
    "prune_events",
    "replay_event",
    "replay_subscription",
    "resume_subscription",
    "retire_subscription",
    "set_subscription",
    "show_event",
    "show_subscription",
]


def __getattr__(name: str) -> Any:
    # Each part waits until it is used: whoever only tells something needs no more than the outbox.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
