"""Python's cycle collector, kept from looking through every page of records over and over."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECTS = 200_000
"""Some pages of 1,000 nested records: only what outlives them sets the collector off."""

_lock = Lock()
_inside = 0
_before = (0, 0, 0)


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Let the cycle collector run every 200,000 new objects instead of every 700, for the time of a run.

    Decoded records make objects by the ten thousand and no cycles, and go when the last name for them goes;
    looking for cycles among them took a third of the time of decoding. Cycles made elsewhere are still found.
    A program that has set its collector rarer, or has switched it off, keeps that.
    """
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = gc.get_threshold()
            if 0 < _before[0] < _OBJECTS:
                gc.set_threshold(_OBJECTS, *_before[1:])
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                gc.set_threshold(*_before)
