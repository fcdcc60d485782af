"""The time at which a runner is to end, as people say it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, time, timedelta

from edgekit.errors import InvalidError


def read_until(text: str, now: datetime) -> datetime:
    """Read `18:00` as the next such time in the zone of `now`, `2026-01-31T18:00` as that moment of it.

    Raise InvalidError for what is no time, or over.
    """
    with suppress(ValueError):
        day = time.fromisoformat(text)
        at = datetime.combine(now.date(), day, day.tzinfo or now.tzinfo)
        return (at if at > now else at + timedelta(days=1)).astimezone(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError(
            f"{text!r} is no time.", hint="Write 18:00, or 2026-01-31T18:00, of this computer's clock."
        ) from error
    moment = moment.replace(tzinfo=now.tzinfo) if moment.tzinfo is None else moment
    if moment <= now:
        raise InvalidError(f"{text} is over: it is {now:%Y-%m-%d %H:%M}.")
    return moment.astimezone(UTC)
