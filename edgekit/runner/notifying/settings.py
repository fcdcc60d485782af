"""How a reader wants to be told: one configuration document along the scope chain, down to the user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, configuration
from edgekit.errors import InvalidError, NotFoundError
from edgekit.recurrence import find_zone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

TYPE = "NOTIFICATION_SETTINGS"
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """What counts for one reader."""

    topics: Mapping[str, bool]
    """What is told; a topic that is not named is."""
    channels: tuple[str, ...] = ("EMAIL", "INTERNAL")
    """By which a message goes: the first that can be used."""
    grouping_minutes: int = 10
    repeat_minutes: tuple[int, ...] = (60, 240, 1440)
    max_messages_per_hour: int = 6
    quiet_hours: tuple[time, time] | None = None
    urgent_topics: frozenset[str] = frozenset()
    zone: ZoneInfo | None = None
    """None: that of this machine."""
    expiry_days: tuple[int, ...] = (30, 7, 1)
    muted: Mapping[str, datetime | None] | None = None
    """Subjects in small letters, and until when; None: until it is taken back."""

    @property
    def window(self) -> timedelta:
        """How long what happens is gathered before it is told."""
        return timedelta(minutes=self.grouping_minutes)

    def wants(self, topic: str) -> bool:
        """Tell whether a topic is told at all."""
        return self.topics.get(topic, True)

    def is_muted(self, subject: str, now: datetime) -> bool:
        """Tell whether the reader wants to hear nothing of a subject: `vins` means `vins (nightly)` too."""
        muted, names = self.muted or {}, {subject.casefold(), subject.partition(" (")[0].casefold()}
        ends = [muted[name] for name in names if name in muted]
        return any(until is None or now < until for until in ends)

    def local(self, moment: datetime) -> datetime:
        """Return a moment as the clock of the reader shows it."""
        return moment.astimezone(self.zone)

    def quiet_until(self, moment: datetime) -> datetime | None:
        """Return when the quiet hours end that a moment falls into; None if it falls into none.

        They are hours of the wall clock: where it is set forward over their end, they end right then.
        """
        if self.quiet_hours is None or not self._is_quiet(moment):
            return None
        begin, end = self.quiet_hours
        local = self.local(moment)
        day = local.date() + timedelta(days=int(begin > end and local.time() >= begin))
        ends = self._instant(datetime.combine(day, end))
        if ends <= moment:  # the hour that comes twice
            ends = self._instant(datetime.combine(day, end).replace(fold=1))
        while ends - _MINUTE > moment and not self._is_quiet(ends - _MINUTE):
            ends -= _MINUTE
        return ends

    def _is_quiet(self, moment: datetime) -> bool:
        if self.quiet_hours is None:
            return False
        begin, end = self.quiet_hours
        wall = self.local(moment).time()
        return begin <= wall < end if begin <= end else wall >= begin or wall < end

    def _instant(self, wall: datetime) -> datetime:
        if self.zone is None:
            return wall.astimezone(UTC)  # without a zone it is of this machine
        return wall.replace(tzinfo=self.zone).astimezone(UTC)


def read_settings(*, user: int | None = None, organization: int | None = None) -> Settings:
    """Read what counts for a user, or for an organization."""
    try:
        return parse(configuration.resolve(TYPE, user=user, organization=organization))
    except NotFoundError:  # a file from before there were notifications, its seeds not yet applied
        return Settings({})


def parse(found: Mapping[str, Any]) -> Settings:
    """Make settings out of a resolved document; the schema has seen to its types."""
    quiet, zone = found.get("quiet_hours"), found.get("timezone")
    default = Settings({})
    return Settings(
        topics=found.get("topics", {}),
        channels=tuple(found.get("channels", default.channels)),
        grouping_minutes=found.get("grouping_minutes", default.grouping_minutes),
        repeat_minutes=tuple(sorted(found.get("repeat_minutes", default.repeat_minutes))),
        max_messages_per_hour=found.get("max_messages_per_hour", default.max_messages_per_hour),
        quiet_hours=_hours(quiet) if quiet else None,
        urgent_topics=frozenset(found.get("urgent_topics", ())),
        zone=_zone(zone),
        expiry_days=tuple(sorted(found.get("expiry_days", default.expiry_days))),
        muted={item["subject"].casefold(): _time(item.get("until")) for item in found.get("muted", ())},
    )


def _zone(name: str | None) -> ZoneInfo | None:
    """Return the zone; of one that is misspelt that of this machine, as nobody is there to be told."""
    try:
        return find_zone(name) if name else None
    except InvalidError:
        return None


def _time(text: str | None) -> datetime | None:
    """Return a time; one there is not, such as a 31st of June, is past."""
    try:
        return clock.from_text(text) if text else None
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _hours(quiet: Mapping[str, str]) -> tuple[time, time] | None:
    begin, end = time.fromisoformat(quiet["from"]), time.fromisoformat(quiet["to"])
    return None if begin == end else (begin, end)
