"""What an agency does: install the licence its vendor sent, or the word that one is taken back.

Each is one change: checked whole first, then written with all that follows from it, or nothing is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db
from edgekit.errors import LicenseFileError
from edgekit.licensing import clock as license_clock
from edgekit.licensing import settling, standing, statement, terms, trusting

if TYPE_CHECKING:
    import sqlite3

    from edgekit.licensing.standing import Licence
    from edgekit.licensing.terms import Terms


@dataclass(frozen=True, slots=True)
class Installed:
    """A licence that was installed, the mode in force now, and what a user should know."""

    licence: Licence
    mode: str
    replaced: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    """A licence that was taken back, and whether it was installed here."""

    serial: str
    reason: str | None
    was_installed: bool


def install(content: str | bytes, *, now: datetime | None = None) -> Installed:
    """Install a licence, given the text its vendor sent: licence, features and tier in one change.

    A renewal takes the place of the licences it names. Raise LicenseFileError, whose code says why it is
    refused; nothing is written then.
    """
    given = statement.parse(content, wanted="license")
    with db.change(reason="install licence"):
        connection = db.connection()
        key = trusting.checked(connection, given)
        wanted = terms.read(given)
        reading = license_clock.read_within_change(now)
        at = reading.effective
        if wanted.sets_clock:
            at = max(reading.now, clock.from_text(wanted.issued_at))
        _require_new(connection, wanted)
        _require_site(connection, wanted)
        _require_time(wanted, at, reading)
        if wanted.sets_clock:
            license_clock.put_right(at)
        else:
            license_clock.advance(max(at, clock.from_text(wanted.issued_at)))
        replaced = _write(connection, given, wanted, key.id, at)
        notes = settling.settle(connection, strict=wanted.serial)
        found = standing.read(connection, now)
        licence = next(one for one in found.licences if one.serial == wanted.serial)
    if licence.state == "grace":
        notes.append(
            f"It expired at {licence.expires_at} and holds until {licence.ends_at} by its days of grace."
        )
    if found.clock.warning:
        notes.append(found.clock.warning)
    if found.mode != licence.mode:
        notes.append(f"The mode in force stays {found.mode}: an earlier licence says so.")
    return Installed(licence, found.mode, replaced, tuple(notes))


def _require_new(connection: sqlite3.Connection, wanted: Terms) -> None:
    """Refuse what was here before, and what something that was here has taken the place of."""
    licences = standing.read(connection).licences
    by = next((one for one in licences if wanted.serial in one.replaces), None)
    if by is not None:
        raise LicenseFileError(
            f"Licence {wanted.serial} was replaced by {by.serial}: an old licence is not installed again.",
            reason="replaced",
            hint="Ask the vendor for a renewal.",
        )
    there = next((one for one in licences if one.serial == wanted.serial), None)
    if there is None:
        return
    if there.revoked_at is not None:
        why = f": {there.revocation_reason}" if there.revocation_reason else ""
        raise LicenseFileError(
            f"Licence {wanted.serial} was revoked at {there.revoked_at}{why}.",
            reason="revoked",
            hint="Ask the vendor for another one.",
        )
    raise LicenseFileError(
        f"Licence {wanted.serial} is installed already, since {there.installed_at}.",
        reason="already_installed",
        hint="See how it stands: edgekit licensing files",
    )


def _require_site(connection: sqlite3.Connection, wanted: Terms) -> None:
    (site,) = connection.execute("SELECT uuid FROM system").fetchone()
    if wanted.site is not None and wanted.site != site:
        raise LicenseFileError(
            f"Licence {wanted.serial} is for the site {wanted.site}; this file is the site {site}.",
            reason="wrong_site",
            hint=f"Install it in the file it is for, or ask the vendor for one for {site}.",
        )


def _require_time(wanted: Terms, at: datetime, reading: license_clock.Reading) -> None:
    said = f" {reading.warning}" if reading.warning else ""
    if at + license_clock.NOISE < clock.from_text(wanted.starts_at):
        raise LicenseFileError(
            f"Licence {wanted.serial} holds from {wanted.starts_at} on, and it is {clock.to_text(at)}.",
            reason="not_yet_valid",
            hint="Install it then. If the clock of this computer is behind, set it right.",
        )
    if wanted.expires_at is None:
        return
    if at >= clock.from_text(wanted.expires_at) + timedelta(days=wanted.grace_days):
        grace = f", with {wanted.grace_days} days of grace" if wanted.grace_days else ""
        raise LicenseFileError(
            f"Licence {wanted.serial} expired at {wanted.expires_at}{grace}, and it is {clock.to_text(at)}."
            f"{said}",
            reason="expired",
            hint=reading.remedy or "Ask the vendor for a renewal.",
        )


def _write(
    connection: sqlite3.Connection, given: statement.Statement, wanted: Terms, key_id: int, at: datetime
) -> tuple[str, ...]:
    """Write the licence as it came, and let those it replaces go."""
    actor = db.current().actor_id
    connection.execute(
        "INSERT INTO license_file(serial, vendor_key_id, document, signature, license_mode, starts_at,"
        " expires_at, grace_days, installed_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            wanted.serial, key_id, given.text, given.signature, wanted.mode, wanted.starts_at,
            wanted.expires_at, wanted.grace_days, clock.to_text(at), actor,
        ),
    )  # fmt: skip
    why = f"replaced by {wanted.serial}"
    return tuple(serial for serial in wanted.replaces if _take_back(connection, serial, why, at))


def _take_back(connection: sqlite3.Connection, serial: str, why: str | None, at: datetime) -> bool:
    done = connection.execute(
        "UPDATE license_file SET revoked_at = ?, revocation_reason = ?, updated_at = ?, updated_by = ?"
        " WHERE serial = ? AND revoked_at IS NULL",
        (clock.to_text(at), why and why[:200], clock.now_text(), db.current().actor_id, serial),
    )
    return done.rowcount > 0


def revoke(content: str | bytes, *, now: datetime | None = None) -> Revoked:
    """Take a licence back, given the text its vendor signed; one that is not here will never be installed.

    Its features and its tier go in the same change, unless another licence gives them; the mode stays. Raise
    LicenseFileError, whose code says why the text is refused.
    """
    given = statement.parse(content, wanted="revocation")
    serial, why = given.document.get("serial"), given.document.get("reason")
    with db.change(reason="revoke licence"):
        connection = db.connection()
        key = trusting.checked(connection, given)
        if not isinstance(serial, str) or not (why is None or isinstance(why, str)):
            raise statement.tampered()
        at = license_clock.read_within_change(now).effective
        there = connection.execute(
            "SELECT revoked_at FROM license_file WHERE serial = ?", (serial,)
        ).fetchone()
        if there is not None and there[0] is not None:
            raise LicenseFileError(
                f"Licence {serial} is revoked or replaced already, since {there[0]}.",
                reason="revoked",
                hint="There is nothing more to do.",
            )
        if there is None:
            _note(connection, given, serial, key.id, at)
        _take_back(connection, serial, why, at)
        settling.settle(connection)
    return Revoked(serial, why, there is not None)


def _note(
    connection: sqlite3.Connection, given: statement.Statement, serial: str, key_id: int, at: datetime
) -> None:
    """Keep the revocation in the place of a licence that was never installed."""
    moment, mode = clock.to_text(at), standing.read(connection).mode
    connection.execute(
        "INSERT INTO license_file(serial, vendor_key_id, document, signature, license_mode, starts_at,"
        " installed_at, revoked_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            serial, key_id, given.text, given.signature, mode, moment, moment, moment,
            db.current().actor_id,
        ),
    )  # fmt: skip
