"""Whether what this process does is to end for now, for handlers that ask in between."""

from __future__ import annotations

import threading

STOPPED = "stopped"
"""The reason of a StoppedError by which a handler says that it ended early: its job is given back."""

_asked = threading.Event()


def stop_requested() -> bool:
    """Tell whether the runner is ending: a handler that can go on later ends now.

    It raises StoppedError with the reason `stopped`; the next runner does the job, which lost no attempt.
    """
    return _asked.is_set()


def ask() -> None:
    """Have what this process does end for now."""
    _asked.set()


def begin() -> None:
    """Let work go on again: a runner begins."""
    _asked.clear()
