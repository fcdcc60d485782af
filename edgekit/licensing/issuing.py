"""What a vendor does, without a database: issue licences, renew them, take them back, change keys."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec
from edgekit.errors import InvalidError
from edgekit.licensing import statement, terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.licensing.terms import Grant, Terms
    from edgekit.licensing.vendor import Vendor


def issue(
    vendor: Vendor, *, features: Sequence[Grant] = (), tier: str | None = None,
    organization: str | None = None, customer: str | None = None, site: str | None = None,
    mode: str = "advise", starts: datetime | None = None, expires: datetime | None = None,
    grace_days: int = 0, serial: str | None = None, sets_clock: bool = False, now: datetime | None = None,
) -> statement.Statement:  # fmt: skip
    """Issue a licence. Raise InvalidError for terms no file would take."""
    issued = now or clock.now()
    return _signed(
        vendor,
        terms.Terms(
            serial=serial or new_serial(issued),
            issued_at=clock.to_text(issued),
            starts_at=clock.to_text(starts or issued),
            expires_at=clock.to_text(expires) if expires else None,
            mode=mode,
            grace_days=grace_days,
            customer=customer,
            site=site,
            tier=tier,
            organization=organization,
            features=tuple(features),
            sets_clock=sets_clock,
        ),
    )


def renew(
    vendor: Vendor, old: str | bytes, *, starts: datetime | None = None, expires: datetime | None = None,
    serial: str | None = None, now: datetime | None = None, **changes: Any,
) -> statement.Statement:  # fmt: skip
    """Issue a licence that takes the place of an old one, on its terms but for what is given.

    Where neither is given, it runs from now for as long as the old one did. `changes` are other fields of
    `Terms`; those that are None stay as they were. The old file may be signed with an earlier key of the
    vendor: its signature is not asked for. Raise LicenseFileError if it is no licence, InvalidError for terms
    no file would take.
    """
    before = terms.read(statement.parse(old, wanted="license"))
    issued = now or clock.now()
    begins = starts or issued
    if expires is None and before.expires_at is not None:
        try:
            expires = begins + (clock.from_text(before.expires_at) - clock.from_text(before.starts_at))
        except OverflowError:
            raise InvalidError(
                "It would end beyond the last year there is.", hint="Say when it ends: --expires"
            ) from None
    return _signed(
        vendor,
        replace(
            before,
            serial=serial or new_serial(issued),
            issued_at=clock.to_text(issued),
            starts_at=clock.to_text(begins),
            expires_at=clock.to_text(expires) if expires else None,
            replaces=(before.serial, *before.replaces),
            sets_clock=bool(changes.pop("sets_clock", False)),
            **{name: value for name, value in changes.items() if value is not None},
        ),
    )


def revoke(
    vendor: Vendor, serial: str, *, why: str | None = None, now: datetime | None = None
) -> statement.Statement:
    """Sign that a licence is taken back; the file it is installed in has to be shown it."""
    if not (0 < len(serial) <= 100 and serial.isprintable()):
        raise InvalidError("The serial must have 1 to 100 characters, in one line.")
    if why is not None and not (0 < len(why) <= 200 and why.isprintable()):
        raise InvalidError("The reason must have 1 to 200 characters, in one line.")
    content = {"serial": serial, "reason": why, "issued_at": clock.to_text(now or clock.now())}
    return statement.sign("revocation", content, vendor.name, vendor.key)


def change_key(vendor: Vendor, new: Vendor, *, now: datetime | None = None) -> statement.Statement:
    """Sign with the old key that a new one takes its place."""
    if vendor.public_key == new.public_key:
        raise InvalidError(
            "The new key is the old one.", hint="Make one with: edgekit licensing keygen KEYFILE"
        )
    content = {
        "public_key": new.public_key,
        "replaces": vendor.public_key,
        "issued_at": clock.to_text(now or clock.now()),
    }
    return statement.sign("key_change", content, new.name, vendor.key)


def new_serial(issued: datetime) -> str:
    """Return a serial nobody has: the day, and 48 random bits."""
    return f"{issued:%Y%m%d}-{uuid.uuid4().hex[:12]}"


def _signed(vendor: Vendor, wanted: Terms) -> statement.Statement:
    if problem := wanted.problem():
        raise InvalidError(problem)
    return statement.sign("license", wanted.as_document(), vendor.name, vendor.key)


def grants(
    features: Sequence[str], values: Sequence[tuple[str, str]], *, scope: str = "system"
) -> tuple[Grant, ...]:
    """Read what a person types: features as `CODE` or `CODE=QUANTITY`, values as a code and JSON.

    A feature with a value need not be named twice. Raise InvalidError for what cannot be read.
    """
    given: dict[str, Any] = {}
    for code, text in values:
        given[code] = codec.loads(text)
        if not isinstance(given[code], dict):
            raise InvalidError(
                f"The value of {code} is no feature value.",
                hint='For example: {"enabled": true, "value": 5000}',
            )
    found = {}
    for feature in (*features, *given):
        code, equals, quantity = feature.partition("=")
        if equals and not (quantity.isascii() and quantity.isdigit() and len(quantity) < 20):
            raise InvalidError(f"The quantity of {code} is no number.", hint=f"Write: --feature {code}=5")
        if code not in found:
            found[code] = terms.Grant(code, scope, int(quantity) if equals else 1, given.get(code))
    return tuple(found.values())


def times(
    starts: str | None, expires: str | None, days: int | None
) -> tuple[datetime | None, datetime | None]:
    """Read when a licence begins and ends, as a person types it; a date is its first moment in UTC.

    Raise InvalidError for what is no time, or an end given twice.
    """
    if expires is not None and days is not None:
        raise InvalidError("Say either when it expires, or for how many days it holds.")
    begins = _time(starts)
    ends = _time(expires)
    if days is not None:
        try:
            ends = (begins or clock.now()) + timedelta(days=days)
        except OverflowError:
            raise InvalidError(f"{days} days are beyond the last year there is.") from None
    return begins, ends


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidError(
            f"{text} is no time.", hint="Write it so: 2027-01-31, or 2027-01-31T12:00Z"
        ) from None
    if len(text) > len("2027-01-31") and found.tzinfo is None:
        raise InvalidError(f"{text} names no time zone.", hint=f"In UTC: {text}Z")
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise InvalidError(f"{text} is no time there is in UTC.") from None
