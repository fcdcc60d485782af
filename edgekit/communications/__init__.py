"""Communications: every exchange with somebody or something outside, about what, and how it went.

    made = communications.create("QUOTE_APPROVAL_NOTIFICATION", target="user:maria", context="quote:Q-7",
                                 request_data={"subject": "Approved", "text": "Q-7 is approved."})
    communications.thread(made.id)
    communications.find_by_context("QUOTE", "Q-7")

A communication is written with the job that sends it, in one change; the runner's channels send it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.communications.creating import add_context, create
    from edgekit.communications.reading import (
        find_by_context,
        list_communications,
        list_inbox,
        show,
        thread,
    )
    from edgekit.communications.states import cancel, complete, fail, retry

__all__ = [
    "add_context",
    "cancel",
    "complete",
    "create",
    "fail",
    "find_by_context",
    "list_communications",
    "list_inbox",
    "retry",
    "show",
    "thread",
]

_HOMES = {
    **dict.fromkeys(("add_context", "create"), "creating"),
    **dict.fromkeys(("find_by_context", "list_communications", "list_inbox", "show", "thread"), "reading"),
    **dict.fromkeys(("cancel", "complete", "fail", "retry"), "states"),
}


def __getattr__(name: str) -> Any:
    # Each part waits until it is used: reading needs no models.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
