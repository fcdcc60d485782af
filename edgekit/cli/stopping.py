"""Ctrl-C: the first one ends the work in good order, a second one cannot disturb that."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_PATIENCE = 1.5
"""Seconds in which a second Ctrl-C is the same wish once more: a key held down, an impatient finger."""

_asked_at: float | None = None


def listen() -> None:
    """Raise KeyboardInterrupt at the first Ctrl-C; end the process at one that comes later and finds us.

    What is open then is undone by the next who opens the file, as after a kill: nothing is lost or repeated.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a parent has said to ignore it
        signal.signal(signal.SIGINT, _stop)


def ignore() -> None:
    """Hear no more: what is left to do is to say that we stopped."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    global _asked_at
    if _asked_at is None:
        _asked_at = time.monotonic()
        raise KeyboardInterrupt
    if time.monotonic() - _asked_at > _PATIENCE:
        os._exit(130)
