"""How the licence files of a file stand at a time: which hold, whose tier they give, which mode is in force.

A licence counts only if its vendor's signature over it is good and it says in its columns what was signed: a
row somebody wrote past the program gives nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from edgekit import clock, codec, db
from edgekit.errors import InvalidError, LicenseFileError, NotFoundError
from edgekit.licensing import clock as license_clock
from edgekit.licensing import statement, terms, trusting
from edgekit.licensing.terms import Terms

if TYPE_CHECKING:
    import sqlite3

State = Literal["valid", "grace", "expired", "not_yet_valid", "wrong_site", "replaced", "revoked", "tampered"]

SOON = timedelta(days=30)
"""So long before its end a licence is spoken of."""

UNLICENSED = "advise"
"""The mode of a file that never had a licence."""


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence file that is installed, and how it stands.

    A licence that was revoked before it was ever installed is known by its serial alone. `ends_at` is when it
    ceases to hold, its days of grace included; None for never.
    """

    id: int
    serial: str
    state: State
    vendor: str
    customer: str | None
    mode: str
    tier: str | None
    organization: str | None
    features: tuple[terms.Grant, ...]
    site: str | None
    starts_at: str
    expires_at: str | None
    grace_days: int
    ends_at: str | None
    installed_at: str
    revoked_at: str | None
    revocation_reason: str | None
    replaces: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether what it grants is granted."""
        return self.state in {"valid", "grace"}


@dataclass(frozen=True, slots=True)
class Standing:
    """All licence files of a file at a time, the oldest first, and the mode in force."""

    licences: tuple[Licence, ...]
    mode: str
    clock: license_clock.Reading


def read(connection: sqlite3.Connection, now: datetime | None = None) -> Standing:
    """Read how the licences stand at the time they are judged at."""
    reading = license_clock.read(connection, now)
    (site,) = connection.execute("SELECT uuid FROM system").fetchone()
    lost = trusting.unsound(connection)
    rows = connection.execute(
        "SELECT f.id, f.serial, f.document, f.signature, f.license_mode, f.starts_at, f.expires_at,"
        " f.grace_days, f.installed_at, f.revoked_at, f.revocation_reason, k.vendor_name, k.id, k.public_key"
        " FROM license_file f JOIN vendor_key k ON k.id = f.vendor_key_id ORDER BY f.id"
    ).fetchall()
    gone = {serial for row in rows for serial in _replaced(row[2])}
    at = clock.to_text(reading.effective)
    found = tuple(
        _at(_licence(row[:-2], None if row[-2] in lost else row[-1], site, row[1] in gone), at)
        for row in rows
    )
    return Standing(found, _mode(found), reading)


def list_files(now: datetime | None = None) -> list[Licence]:
    """List the licence files of the opened file, the newest first."""
    return list(read(db.connection(), now).licences)[::-1]


def show(connection: sqlite3.Connection, serial: str, now: datetime | None = None) -> Licence:
    """Return the licence with a serial. Raise NotFoundError if there is none."""
    found = next((one for one in read(connection, now).licences if one.serial == serial), None)
    if found is None:
        raise NotFoundError(
            f"There is no licence {serial} in this file.", hint="See: edgekit licensing files"
        )
    return found


def mode(now: datetime | None = None) -> str:
    """Return the mode in force in the opened file: advise, warn or block."""
    return read(db.connection(), now).mode


def _mode(licences: tuple[Licence, ...]) -> str:
    """Return what the first licence says, or whichever has taken its place.

    A licence for something else installed beside it changes nothing; where the first was revoked, the next
    one counts; where all were, the last one. An expired one counts: time frees nobody.
    """
    real = [one for one in licences if one.features or one.tier]
    if not real:
        return UNLICENSED
    numbers = {one.serial: one.id for one in real}
    heads = [one for one in real if one.state not in {"revoked", "replaced", "tampered"}]
    if not heads:
        return real[-1].mode
    return min(
        heads, key=lambda one: min((numbers.get(serial, one.id) for serial in one.replaces), default=one.id)
    ).mode


def tier_of(
    connection: sqlite3.Connection, organization: str, entered: str | None, now: datetime | None = None, *,
    files: Standing | None = None,
) -> str | None:  # fmt: skip
    """Return the code of the tier an organization has, given the one that is entered for it.

    Where licences name a tier for it, the highest of those that hold counts. Where they named the one that is
    entered and hold no more, there is none. Else what is entered counts. `files` is what `read` gave.
    """
    said = [
        one
        for one in (files or read(connection, now)).licences
        if one.tier and (one.organization is None or one.organization.upper() == organization.upper())
    ]
    held = [one.tier.upper() for one in said if one.holds and one.tier]
    if held:
        ranks = dict(connection.execute("SELECT upper(code), tier_rank FROM license_tier").fetchall())
        return max(held, key=lambda code: ranks.get(code, -1))
    if entered is not None and entered.upper() in {(one.tier or "").upper() for one in said}:
        return None
    return entered


@lru_cache(maxsize=256)
def _licence(
    row: tuple[Any, ...], public_key: str | None, site: str, is_replaced: bool
) -> dict[State, Licence]:
    """Return a stored licence as it stands, or as it stands at each time."""
    number, serial, text, signature, mode, starts, expires, grace, installed, revoked, why, vendor = row
    said = _said(public_key, text, signature) if public_key else None
    columns = (serial, mode, starts, expires, grace)
    is_whole = isinstance(said, Terms) and columns == (
        said.serial, said.mode, said.starts_at, said.expires_at, said.grace_days,
    )  # fmt: skip
    known = said if isinstance(said, Terms) else Terms(serial, installed, starts)
    ends = expires
    if is_whole and expires is not None:
        ends = clock.to_text(clock.from_text(expires) + timedelta(days=grace))
    states: tuple[State, ...] = ("not_yet_valid", "valid", "grace", "expired")
    if said is None or (isinstance(said, Terms) and not is_whole) or (said == serial and revoked is None):
        states = ("tampered",)
    elif revoked is not None:
        states = ("replaced" if is_replaced else "revoked",)
    elif known.site is not None and known.site != site:
        states = ("wrong_site",)
    return {
        state: Licence(
            id=number, serial=serial, state=state, vendor=vendor, customer=known.customer, mode=mode,
            tier=known.tier, organization=known.organization, features=known.features, site=known.site,
            starts_at=starts, expires_at=expires, grace_days=grace, ends_at=ends, installed_at=installed,
            revoked_at=revoked, revocation_reason=why, replaces=known.replaces,
        )
        for state in states
    }  # fmt: skip


def _at(found: dict[State, Licence], at: str) -> Licence:
    """Return the licence as it stands at a time."""
    first = next(iter(found.values()))
    return (
        found[_time_state(first.starts_at, first.expires_at, first.ends_at, at)] if len(found) > 1 else first
    )


def _time_state(starts: str, expires: str | None, ends: str | None, at: str) -> State:
    if at < starts:
        return "not_yet_valid"
    if expires is None or ends is None or at < expires:
        return "valid"
    return "grace" if at < ends else "expired"


@lru_cache(maxsize=256)
def _said(public_key: str, text: str, signature: str) -> Terms | str | None:
    """Read what a stored document says: terms, or the serial a revocation names; None if it is not signed."""
    if not statement.is_signed(public_key, text, signature):
        return None
    document = codec.loads(text)
    if document["kind"] == "revocation":
        return str(document["serial"])
    try:
        return terms.read(statement.Statement(document, text, signature))
    except LicenseFileError:
        return None


@lru_cache(maxsize=256)
def _replaced(text: str) -> tuple[str, ...]:
    """Name the serials a stored document takes the place of, whoever wrote it."""
    try:
        document = codec.loads(text)
    except InvalidError:  # nested deeper than we read
        return ()
    found = document.get("replaces", []) if document.get("kind") == "license" else []
    return tuple(str(serial) for serial in found) if isinstance(found, list) else ()
