"""The time, in the one form the file stores: UTC, ISO 8601, milliseconds, `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """Write an aware time as the file stores it: `2026-01-31T09:05:00.123Z`."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)  # %Y would leave out the zeros of early years
    return f"{utc.isoformat(timespec='milliseconds')}Z"


def from_text(text: str) -> datetime:
    """Read a stored time back. Raise ValueError if it has no zone or is no time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment.astimezone(UTC)


def now_text() -> str:
    """Return the current time as the file stores it."""
    return to_text(now())
