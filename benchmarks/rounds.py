"""Turns: every variant once per round, in an order that rotates, and ratios within a round.

What slows the machine down for a while slows all variants of that round alike; so a ratio can be trusted
where a rate cannot.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def take_turns(variants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each variant once per round; return the seconds each says it took."""
    names = list(variants)
    took: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            took[name].append(variants[name]())
    return took


def ratios(took: Mapping[str, list[float]], limit: str) -> dict[str, tuple[float, float, float]]:
    """Return (median, lowest, highest) of the limit's time over a variant's own, within each round."""
    found = {}
    for name, times in took.items():
        values = [a / b for a, b in zip(took[limit], times, strict=True)]
        found[name] = (statistics.median(values), min(values), max(values))
    return found
