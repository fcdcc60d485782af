"""Is what vendors signed what the file says? Every answer is a sentence a user may read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from edgekit import clock
from edgekit.licensing import standing, trusting

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime


def findings(connection: sqlite3.Connection) -> list[str]:
    """Check the vendor's keys, the licences, and the rows that came with them."""
    found = list(trusting.unsound(connection).values())
    found += [
        f"Licence {one.serial} is not what its vendor signed: it counts for nothing."
        for one in standing.read(connection).licences
        if one.state == "tampered"
    ]
    return found + _rows(connection)


def _rows(connection: sqlite3.Connection) -> list[str]:
    """Compare the rows that came with licences with what those say."""
    licences = {one.id: one for one in standing.read(connection).licences}
    rows = connection.execute(
        "SELECT l.id, l.license_file_id, f.code, f.feature_key, y.is_core, l.feature_value,"
        " l.licensed_quantity, l.license_expires_at FROM feature_license l"
        " JOIN feature f ON f.id = l.feature_id JOIN feature_type y ON y.id = f.feature_type_id"
        " JOIN status s ON s.id = l.status_id AND s.is_active = 1 WHERE l.license_file_id IS NOT NULL"
    )
    found = []
    for number, file_id, code, key, is_core, value, quantity, expires in rows:
        licence = licences.get(file_id)
        names = {code.upper(), key.upper()}
        said = [
            (grant.value, grant.quantity, None if is_core else licence.expires_at)
            for grant in (licence.features if licence else ())
            if licence and grant.feature.upper() in names
        ]
        if (None if value is None else json.loads(value), quantity, expires) not in said:
            serial = licence.serial if licence else file_id
            found.append(f"feature_license row {number} ({code}) is not what licence {serial} says.")
    return found


class Advice(NamedTuple):
    """Something about licences that somebody should do something about."""

    what: str
    do: str


def advice(connection: sqlite3.Connection, now: datetime | None = None) -> list[Advice]:
    """Say which licences end soon, are in grace or have expired, and whether the clock was set back."""
    found = standing.read(connection, now)
    said = []
    if found.clock.warning:
        said.append(Advice(found.clock.warning, found.clock.remedy))
    at = found.clock.effective
    for one in found.licences:
        renew = f"Ask {one.vendor} for a renewal of {one.serial}, and run: edgekit licensing install FILE"
        if one.state == "expired":
            said.append(Advice(f"Licence {one.serial} expired at {one.ends_at}.", renew))
        elif one.state == "grace":
            what = f"Licence {one.serial} expired at {one.expires_at}; it still holds until {one.ends_at}."
            said.append(Advice(what, renew))
        elif one.state == "wrong_site":
            what = f"Licence {one.serial} is for another site ({one.site}) and does not hold here."
            said.append(Advice(what, f"Ask {one.vendor} for one for this site: edgekit status shows it."))
        elif one.state == "valid" and one.expires_at and clock.from_text(one.expires_at) - at < standing.SOON:
            said.append(Advice(f"Licence {one.serial} expires at {one.expires_at}.", renew))
    return said
