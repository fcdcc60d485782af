"""Which backups are kept: the newest of each day, then of each week, then of each month. Pure.

Counted are days, weeks and months that have a backup, never ages: a computer that was off for a year, or
whose clock was a year ahead for an hour, loses nothing by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

AHEAD = "ahead"
"""A backup dated after now: a clock was wrong, so nothing is concluded from its date, and it stays."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How many to keep. Each kind goes on where the one before it ends, so 7, 4 and 12 are 23 backups."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 12


_PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "daily": lambda moment: (moment.year, moment.month, moment.day),
    "weekly": lambda moment: moment.isocalendar()[:2],
    "monthly": lambda moment: (moment.year, moment.month),
}


def retain(
    times: Iterable[datetime], now: datetime, *, keep: Keep | None = None, zone: tzinfo | None = UTC
) -> dict[datetime, str]:
    """Return the times of the backups to keep, each with what it is kept as: daily, weekly, monthly or ahead.

    Days, weeks and months are those of `zone`, of this computer if that is None. The newest is always among
    them. What is not returned may go.
    """
    wanted = keep or Keep()
    known = sorted(set(times), reverse=True)
    kept = {moment: AHEAD for moment in known if moment > now}
    past = [moment for moment in known if moment <= now]
    local = [(moment.astimezone(zone), moment) for moment in reversed(past)]
    for name, period_of in _PERIODS.items():
        newest = {period_of(here): moment for here, moment in local}
        free = [moment for moment in sorted(newest.values(), reverse=True) if moment not in kept]
        kept |= dict.fromkeys(free[: getattr(wanted, name)], name)
    if past:  # whatever the numbers say
        kept.setdefault(past[0], "daily")
    return kept
