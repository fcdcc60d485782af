"""When something is due: at cron times, every so many minutes, at times of day; in its zone and days.

Pure: no file, no clock of its own. Cron is standard cron, minute hour day month weekday: Sunday is 0 or 7;
day and weekday both given mean either of them. Where clocks go forward, a time that does not exist is due
right after the gap; where they go back, a time that exists twice is due once, but `*` and `*/n` go by real
time.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from heapq import merge
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from zoneinfo import ZoneInfo

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = 'It is minute, hour, day, month and weekday, such as "30 6 * * 1-5"; or @daily and its like.'
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What makes something due, as a row of `integration_schedule` says it, with its times of day."""

    schedule_type: str
    cron_expression: str | None = None
    interval_minutes: int | None = None
    times_of_day: tuple[str, ...] = ()
    timezone: str = "UTC"
    start_date: date | None = None
    end_date: date | None = None
    last_run_at: datetime | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any], times_of_day: tuple[str, ...] = ()) -> Recurrence:
        """Read it from a row, whose days and times may still be text. Raise InvalidError, see `check`."""
        known = {field.name: row[field.name] for field in fields(cls) if row.get(field.name) is not None}
        known.setdefault("schedule_type", "manual")
        for name, kind in {"start_date": date, "end_date": date, "last_run_at": datetime}.items():
            if isinstance(known.get(name), str):
                known[name] = _read(name, known[name], kind)
        found = cls(**known | {"times_of_day": times_of_day})
        found.check()
        return found

    def check(self) -> None:
        """Raise InvalidError where the cron text cannot be understood or there is no such zone."""
        find_zone(self.timezone)
        if self.cron_expression is not None:
            read_cron(self.cron_expression)

    def first(self, now: datetime) -> datetime | None:
        """Return when it is due next, None if never again or only on demand.

        An interval counts from the last run, so what was missed is due already; all else is after `now`.
        """
        if self.schedule_type == "interval":
            return next(self._until_end(iter([self._first_interval(now)])), None)
        return next(self.after(now), None)

    def after(self, moment: datetime, *, planned: datetime | None = None) -> Iterator[datetime]:
        """Yield the due times after a moment, in UTC. An interval counts from `planned` if known."""
        if self.schedule_type == "interval":
            return self._until_end(self._intervals(moment, planned))
        if self.schedule_type == "cron":
            expressions = [self.cron_expression or ""]
        elif self.schedule_type == "fixed_time":
            expressions = [f"{int(text[3:])} {int(text[:2])} * * *" for text in self.times_of_day]
        else:
            return iter(())
        base = self._not_before_start(moment - _TICK) - _TICK  # the second of `moment` itself is tried too
        found = merge(*(_matches(text, base, find_zone(self.timezone)) for text in expressions))
        return self._until_end(_rising(found, moment))

    def covers(self, moment: datetime) -> bool:
        """Tell whether a moment is within its first and last day, those among them."""
        if self.start_date is None and self.end_date is None:
            return True
        day = moment.astimezone(find_zone(self.timezone)).date()
        return (self.start_date or day) <= day <= (self.end_date or day)

    def between(
        self, first: datetime, last: datetime, *, planned: datetime | None = None
    ) -> Iterator[datetime]:
        """Yield the due times from `first` to `last`, both among them."""
        return takewhile(lambda moment: moment <= last, self.after(first - _INSTANT, planned=planned))

    def latest(
        self, count: int, first: datetime, last: datetime, *, planned: datetime | None = None
    ) -> list[datetime]:
        """Return the last `count` due times from `first` to `last`, in their order."""
        span = timedelta(hours=1)
        while True:
            start = last - span if span < last - first else first
            found = deque(self.between(start, last, planned=planned), maxlen=count)
            if len(found) == count or start == first:
                return list(found)
            span *= 4

    def count(self, first: datetime, last: datetime, *, planned: datetime | None = None) -> int:
        """Count the due times from `first` to `last`; of years of minutes without looking at each."""
        few = sum(1 for _ in islice(self.between(first, last, planned=planned), _FEW))
        if few < _FEW:
            return few
        if self.schedule_type == "interval":
            begun = next(self.between(first, last, planned=planned))
            ended = self.latest(1, first, last, planned=planned)[0]
            return (ended - begun) // self._step + 1
        return self._count_by_days(first, last)

    def _count_by_days(self, first: datetime, last: datetime) -> int:
        """Count a day whose clocks are left alone as hours by minutes, any other one by one."""
        zone, each = find_zone(self.timezone), self._each_day()
        day, until = first.astimezone(zone).date() + _DAY, last.astimezone(zone).date()
        if self.end_date is not None:
            until = min(until, self.end_date + _DAY)
        if until <= day:
            return sum(1 for _ in self.between(first, last))
        midnights = [datetime.combine(day + n * _DAY, time(), tzinfo=zone) for n in range(-1, 3)]
        total = sum(1 for _ in self.between(first, midnights[1].astimezone(UTC) - _INSTANT))
        while day < until:
            if (
                len({midnight.utcoffset() for midnight in midnights}) > 1
            ):  # also what is moved to the next day
                begin, end = (midnight.astimezone(UTC) for midnight in midnights[1:3])
                total += sum(1 for _ in self.between(begin, end - _INSTANT))
            elif self.start_date is None or day >= self.start_date:
                total += each(day)
            day += _DAY
            midnights = [*midnights[1:], datetime.combine(day + 2 * _DAY, time(), tzinfo=zone)]
        return total + sum(1 for _ in self.between(midnights[1].astimezone(UTC), last))

    def _each_day(self) -> Callable[[date], int]:
        """Return what tells how often it is due on a day whose clocks are left alone."""
        from cronsim import CronSim

        if self.schedule_type == "fixed_time":
            return lambda day: len(set(self.times_of_day))
        parsed = CronSim(self.cron_expression or "", datetime(2000, 1, 1, tzinfo=UTC))
        often = len(parsed.hours) * len(parsed.minutes)
        return lambda day: often if day.month in parsed.months and parsed.match_day(day) else 0

    def _first_interval(self, now: datetime) -> datetime:
        return self._not_before_start((self.last_run_at or now).astimezone(UTC) + self._step)

    def _intervals(self, moment: datetime, planned: datetime | None) -> Iterator[datetime]:
        due = (planned or self._first_interval(moment)).astimezone(UTC)
        if due <= moment:
            due += ((moment - due) // self._step + 1) * self._step
        while True:
            yield due
            due += self._step

    @property
    def _step(self) -> timedelta:
        return timedelta(minutes=self.interval_minutes or 1)

    def _not_before_start(self, moment: datetime) -> datetime:
        zone = find_zone(self.timezone)
        if self.start_date is None or moment.astimezone(zone).date() >= self.start_date:
            return moment.astimezone(UTC)
        return datetime.combine(self.start_date, time(), tzinfo=zone).astimezone(UTC)

    def _until_end(self, moments: Iterator[datetime]) -> Iterator[datetime]:
        zone = find_zone(self.timezone)
        try:
            for moment in moments:
                if self.end_date is not None and moment.astimezone(zone).date() > self.end_date:
                    return
                yield moment
        except OverflowError:  # behind the last year there is
            return


_TICK = timedelta(seconds=1)
_INSTANT = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_FEW = 1500
"""So many due times are counted one by one."""


def _matches(expression: str, base: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    from cronsim import CronSim

    # Without a zone of its own cronsim would take no account of clocks that are changed.
    for moment in CronSim(expression, base.astimezone(zone)):
        yield moment.astimezone(UTC)


def _rising(moments: Iterator[datetime], after: datetime) -> Iterator[datetime]:
    """Leave out what is not later than the one before: in the hour that comes twice cronsim looks back."""
    for moment in moments:
        if moment > after:
            yield moment
            after = moment


def _read(name: str, text: str, kind: type[date]) -> date:
    try:
        return kind.fromisoformat(text)
    except ValueError:
        raise InvalidError(f"{name}: {text!r} is no day of the calendar.", hint="Write 2026-01-31.") from None


def read_cron(text: str) -> str:
    """Return cron text with single spaces, an alias such as @daily written out. Raise InvalidError."""
    from cronsim import CronSim, CronSimError

    parts = _ALIASES.get(text.strip().lower(), text).split()
    if len(parts) != 5:
        raise InvalidError(
            f'The cron text "{text}" does not have five fields but {len(parts)}.', hint=_FIELDS
        )
    expression = " ".join(parts)
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise InvalidError(f'The cron text "{text}" matches no {field}.', hint=_FIELDS) from None
    return expression


def read_time(text: str) -> str:
    """Return a time of day as `06:30`. Raise InvalidError if it is none."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise InvalidError(f"{text} is no time of day.", hint="Write hours and minutes, such as 06:30.")
    return f"{int(found[1]):02d}:{found[2]}"


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raise InvalidError with the names that come close."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as Europe
        from difflib import get_close_matches

        known = sorted(available_timezones())
        close = get_close_matches(name, known, n=3) or [zone for zone in known if zone.endswith(f"/{name}")]
        hint = f"Did you mean {' or '.join(close)}?" if close else "Write it like Europe/Berlin, or UTC."
        raise InvalidError(f"There is no time zone {name}.", hint=hint) from None
