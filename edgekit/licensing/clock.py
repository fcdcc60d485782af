"""The clock that cannot be set back: licences are judged no earlier than the latest time the file has seen.

What a file has seen is in `system.clock_at`, which a trigger lets only go on, and in the last change of the
log. Both are kept from the first licence on; a file without one knows no such clock. Where the clock of the
computer is behind, licences are judged at the time seen, and the user is told:

- up to five minutes (`NOISE`) say nothing: clocks that are set by the network differ by as much;
- up to 26 hours (`ZONE`) are what a wrong time zone or summer time does;
- more is a clock that was set back, or that was ahead before.

A clock that was ahead, and has been put right, must not cost anybody the licence: `accept` believes it where
the log shows a leap that nobody worked behind, else the vendor's renewal says which time it is.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from edgekit import clock, db, sqlite
from edgekit.errors import DeniedError, EdgekitError, InvalidError

if TYPE_CHECKING:
    from pathlib import Path

NOISE = timedelta(minutes=5)
"""So much two clocks may differ without a word."""

ZONE = timedelta(hours=26)
"""So far a wrong time zone, date line and summer time can be off."""

STEP = timedelta(hours=1)
"""So much the stored time may lag behind: each step is an entry of the log."""

LEAP = timedelta(days=30)
"""A leap forward of so much is one that a person can take back."""

EXCURSION = timedelta(days=7)
"""So long the file may have been used behind such a leap."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The time of the computer beside the latest the file has seen, which is None where it has no licence."""

    now: datetime
    seen: datetime | None

    @property
    def effective(self) -> datetime:
        """The time licences are judged at."""
        return self.now if self.seen is None else max(self.now, self.seen)

    @property
    def behind(self) -> timedelta:
        """How far the clock is behind what the file has seen."""
        return self.effective - self.now

    @property
    def state(self) -> Literal["right", "behind", "set_back"]:
        """Whether the clock goes on, is off by what a time zone may be, or was set back."""
        if self.behind <= NOISE:
            return "right"
        return "behind" if self.behind <= ZONE else "set_back"

    @property
    def warning(self) -> str | None:
        """What a user is told, or None if the clock is right."""
        if self.state == "right":
            return None
        seen = (
            f"this file was used at {clock.to_text(self.effective)}, and it is only {clock.to_text(self.now)}"
        )
        if self.state == "behind":
            return (
                f"The clock of this computer is {_span(self.behind)} behind: {seen}."
                " A wrong time zone does that. Until it has caught up, licences are judged at the later time."
            )
        return (
            f"The clock of this computer was set back by {_span(self.behind)}: {seen}."
            " Licences are judged at the later time."
        )

    @property
    def remedy(self) -> str:
        """What to do about it, empty if nothing."""
        if self.state == "right":
            return ""
        if self.state == "behind":
            return "Set the clock and its time zone right, and let the network set them."
        return (
            "Set the clock right. If it was ahead before and is right now: edgekit licensing clock --accept"
        )


def read(connection: sqlite3.Connection, now: datetime | None = None) -> Reading:
    """Read the clock beside what the file has seen: one look at two rows."""
    return Reading(now or clock.now(), seen(connection))


def seen(connection: sqlite3.Connection) -> datetime | None:
    """Return the latest time the file has seen, None where it has no licence.

    Whoever keeps what a file says in memory keeps this with it: it moves with changes of the file alone.
    """
    stored, changed = connection.execute(
        "SELECT clock_at, (SELECT performed_at FROM audit_transaction ORDER BY id DESC LIMIT 1) FROM system"
    ).fetchone()
    return None if stored is None else max(clock.from_text(stored), _time(changed))


def _time(text: str | None) -> datetime:
    """Read a time of the log, where no rule can refuse another program's nonsense."""
    try:
        return clock.from_text(text or "")
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def effective_now(now: datetime | None = None) -> datetime:
    """Return the time licences of the opened file are judged at: now, or the latest time it has seen."""
    return read(db.connection(), now).effective


def warning(now: datetime | None = None) -> str | None:
    """Return what the user of the opened file is to be told of the clock, None if it is right."""
    return read(db.connection(), now).warning


def advance(to: datetime) -> None:
    """Note within the open change that it was at least this late; what was seen later stays."""
    _store(db.connection(), "max(ifnull(clock_at, ''), ?)", to, db.current().actor_id)


def put_right(at: datetime) -> None:
    """Take within the open change a time for the latest the file has seen, though it saw a later one."""
    _store(db.connection(), "?", at, db.current().actor_id)


def _store(connection: sqlite3.Connection, value: str, at: datetime, actor_id: int) -> None:
    connection.execute(
        f"UPDATE system SET clock_at = {value}, updated_at = ?, updated_by = ?",
        (clock.to_text(at), clock.now_text(), actor_id),
    )


def keep(connection: sqlite3.Connection, path: Path, now: datetime | None = None) -> bool:
    """Note between changes how late it is, at most once an hour; return whether that was done.

    It is done on a connection of its own, whoever the user is. Do nothing where the file has no licence,
    where another writes, or where it cannot be written: nobody's work may fail for it.
    """
    now = now or clock.now()
    stored = connection.execute("SELECT clock_at FROM system").fetchone()
    if connection.in_transaction or stored is None or stored[0] is None:
        return False
    if now - clock.from_text(stored[0]) < STEP:
        return False
    try:
        with closing(sqlite.connect(path)) as own:
            own.execute("PRAGMA busy_timeout = 0")
            own.execute("BEGIN IMMEDIATE")
            opened = sqlite.open_gate(own, sqlite.SYSTEM_USER, reason="clock")
            _store(own, "max(clock_at, ?)", now, 1)
            sqlite.close_gate(own, opened)
            own.execute("COMMIT")
    except (sqlite3.Error, EdgekitError):
        return False
    return True


def accept(*, reason: str, now: datetime | None = None) -> Reading:
    """Believe the clock of this computer again after it was ahead, and note who said so and why.

    That is done where the log shows the mistake: one leap forward of more than 30 days, followed by at most
    7 days of use, and back. Whoever leaps and comes back gains nothing by it: the time goes on from where it
    was before the leap. Raise InvalidError where the clock is right, DeniedError where the log shows no such
    leap; then the vendor can help.
    """
    with db.change(reason=f"clock accepted: {reason}"):
        connection = db.connection()
        found = read_within_change(now)
        if found.state == "right":
            raise InvalidError("The clock of this computer is right, as far as this file can tell.")
        if why := _why_not(connection, found.now):
            raise DeniedError(
                f"The clock of this computer is not believed: {why}",
                hint="Set it right. If it is, ask the vendor for a renewal that says the time:"
                " edgekit licensing renew --sets-clock",
            )
        put_right(found.now)
    return read(connection, now)


def read_within_change(now: datetime | None = None) -> Reading:
    """Read the clock beside what the opened file had seen before the change that is open."""
    opened = db.current().open_change
    before = "SELECT performed_at FROM audit_transaction WHERE id < ? ORDER BY id DESC LIMIT 1"
    read_both = f"SELECT clock_at, ({before}) FROM system"
    stored, changed = db.connection().execute(read_both, (opened.id if opened else None,)).fetchone()
    return Reading(
        now or clock.now(), None if stored is None else max(clock.from_text(stored), _time(changed))
    )


def _why_not(connection: sqlite3.Connection, now: datetime) -> str | None:
    """Say why the log does not show a clock that was ahead for a while; None where it does."""
    later: list[Any] = connection.execute(
        "SELECT id, performed_at FROM audit_transaction WHERE performed_at > ? ORDER BY id",
        (clock.to_text(now + NOISE),),
    ).fetchall()
    if not later:
        return "no change of this file was made later."
    first, last = later[0][0], later[-1][0]
    if last - first + 1 != len(later):
        return "it went ahead and back more than once."
    before = connection.execute(
        "SELECT performed_at FROM audit_transaction WHERE id < ? ORDER BY id DESC LIMIT 1", (first,)
    ).fetchone()
    times = [_time(text) for _, text in later]
    if before is None or times[0] - _time(before[0]) < LEAP:
        return f"until then it went on without a leap of {LEAP.days} days."
    if max(times) - min(times) > EXCURSION:
        return f"this file was used for more than {EXCURSION.days} days at the later time."
    signed = connection.execute("SELECT max(document ->> '$.issued_at') FROM license_file").fetchone()[0]
    if signed is not None and clock.from_text(signed) > now + ZONE:
        return f"the vendor signed a licence of this file at {signed}."
    return None


def _span(length: timedelta) -> str:
    """Say how long something is in the largest unit that fits."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = round(length.total_seconds() / size)
        if length.total_seconds() >= size:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"
