"""What licences say, made rows: `feature_license` for features, `organization.license_tier_id` for tiers.

The rows follow from the licences that are neither revoked nor replaced, so they are worked out anew whenever
those change. Where two license a feature to the same place, the one that lasts longer has it, then the newer.
"""

from __future__ import annotations

import sqlite3
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import clock, codec, db, rules, scope
from edgekit.errors import EdgekitError, LicenseFileError
from edgekit.licensing import standing

if TYPE_CHECKING:
    from edgekit.licensing.standing import Licence
    from edgekit.licensing.terms import Grant

_COLUMNS = ("feature_value", "licensed_quantity", "license_expires_at", "license_file_id", "status_id")


class Place(NamedTuple):
    """Where a feature is licensed: what is unique in `feature_license`, 0 for none."""

    feature_id: int
    scope_type_id: int
    scope_id: int
    organization_id: int


class Wanted(NamedTuple):
    """A row as a licence wants it."""

    licence: Licence
    row: dict[str, Any]


def settle(connection: sqlite3.Connection, *, strict: str | None = None) -> list[str]:
    """Make the rows what the licences say, within the open change; return what a user should know of it.

    Everything the licence with the serial `strict` names must be there, else LicenseFileError. What an older
    one names and is not there any more is left as it is.
    """
    licences = standing.read(connection).licences
    wanted, left, notes = _wanted(connection, licences, strict)
    there = _there(connection)
    actor = db.current().actor_id
    kept = {one.id for one in _active(licences)}
    kept |= {one.id for one in licences if strict and one.revocation_reason == f"replaced by {strict}"}
    for place, want in wanted.items():
        try:
            if place in there:
                is_withheld = there[place]["license_file_id"] in kept  # by a person, and not by a revocation
                status = there[place]["status_id"] if is_withheld else 1
                _update(connection, there[place], want.row | {"status_id": status}, actor)
            else:
                _insert(connection, place, want.row, actor)
        except sqlite3.IntegrityError as error:
            raise _unfit(connection, place, want.licence, error) from error
    for place, row in there.items():
        if row["license_file_id"] is not None and place not in wanted and row["license_file_id"] not in left:
            _withdraw(connection, row, actor)
    _settle_tiers(connection, licences, strict, actor)
    return notes


def _unfit(
    connection: sqlite3.Connection, place: Place, licence: Licence, error: sqlite3.IntegrityError
) -> LicenseFileError:
    """Name the licence and the feature of which it says what the file's rules refuse."""
    query = "SELECT code FROM feature WHERE id = ?"
    (feature,) = connection.execute(query, (place.feature_id,)).fetchone()
    why = rules.translate(error, connection)
    return LicenseFileError(
        f"What licence {licence.serial} says of {feature} is refused: {why.message if why else error}",
        reason="unfit_value",
        hint="Ask the vendor for a licence whose value is of the feature's kind.",
    )


def _active(licences: tuple[Licence, ...]) -> list[Licence]:
    return [one for one in licences if one.state not in {"revoked", "replaced", "tampered", "wrong_site"}]


def _wanted(
    connection: sqlite3.Connection, licences: tuple[Licence, ...], strict: str | None
) -> tuple[dict[Place, Wanted], set[int], list[str]]:
    """Work out the rows; also name licences not all of which could be, and say what gave way."""
    wanted: dict[Place, Wanted] = {}
    left: set[int] = set()
    notes = []
    for one in sorted(_active(licences), key=lambda one: (one.expires_at or "9999", one.id)):
        for grant in one.features:
            try:
                place, is_core = find(connection, grant, one.organization)
            except LicenseFileError:
                if one.serial == strict:
                    raise
                left.add(one.id)
                continue
            before = wanted.get(place)
            if before is not None and before.licence.serial == strict:
                notes.append(f"{grant.feature} stays with licence {one.serial}, which lasts longer.")
            wanted[place] = Wanted(one, _row(grant, one, is_core=is_core))
    return wanted, left, notes


def _row(grant: Grant, licence: Licence, *, is_core: bool) -> dict[str, Any]:
    return {
        "feature_value": None if grant.value is None else codec.canonical(grant.value),
        "licensed_quantity": grant.quantity,
        "license_expires_at": None if is_core else licence.expires_at,  # a core feature never expires
        "license_file_id": licence.id,
        "status_id": 1,
    }


def find(connection: sqlite3.Connection, grant: Grant, organization: str | None) -> tuple[Place, bool]:
    """Find what a grant names, and whether the feature is core. Raise LicenseFileError if it is not there."""
    feature = connection.execute(
        "SELECT f.id, y.is_core FROM feature f JOIN feature_type y ON y.id = f.feature_type_id"
        " WHERE f.code = ?1 OR f.feature_key = ?1",
        (grant.feature,),
    ).fetchone()
    if feature is None:
        raise LicenseFileError(
            f"The licence names the feature {grant.feature}, which this file does not have.",
            reason="unknown_feature",
            hint="Install a newer edgekit and run: edgekit migrate; edgekit seeds apply",
        )
    where = grant.scope
    if where == "system" and organization is not None:
        where, organization = f"organization:{organization}", None
    try:
        link = scope.find(where, organization=organization)
    except EdgekitError as error:
        raise LicenseFileError(
            f"The licence is for {where}, which is not clear in this file: {error.message}",
            reason="unknown_scope",
            hint=f"Add it first, under that code, or ask the vendor for another scope than {where}.",
        ) from error
    return Place(feature[0], link.scope_type_id, link.scope_id or 0, link.organization_id or 0), bool(
        feature[1]
    )


def _there(connection: sqlite3.Connection) -> dict[Place, dict[str, Any]]:
    cursor = connection.execute(
        f"SELECT feature_id, scope_type_id, ifnull(scope_id, 0), ifnull(organization_id, 0), id,"
        f" {', '.join(_COLUMNS)} FROM feature_license"
    )
    return {Place(*row[:4]): dict(zip(("id", *_COLUMNS), row[4:], strict=True)) for row in cursor}


def _insert(connection: sqlite3.Connection, place: Place, row: dict[str, Any], actor: int) -> None:
    connection.execute(
        "INSERT INTO feature_license(uuid, feature_id, scope_type_id, scope_id, organization_id,"
        f" {', '.join(_COLUMNS)}, created_by) VALUES (?, ?, ?, nullif(?, 0), nullif(?, 0), ?, ?, ?, ?, ?, ?)",
        (str(uuid.uuid4()), *place, *(row[name] for name in _COLUMNS), actor),
    )


def _update(connection: sqlite3.Connection, there: dict[str, Any], row: dict[str, Any], actor: int) -> None:
    if all(there[name] == row[name] for name in _COLUMNS):
        return
    connection.execute(
        f"UPDATE feature_license SET {', '.join(f'{name} = ?' for name in _COLUMNS)}, updated_at = ?,"
        " updated_by = ? WHERE id = ?",
        (*(row[name] for name in _COLUMNS), clock.now_text(), actor, there["id"]),
    )


def _withdraw(connection: sqlite3.Connection, row: dict[str, Any], actor: int) -> None:
    """Let a row rest whose licence is gone; of a core feature it does no harm and stays."""
    connection.execute(
        "UPDATE feature_license SET status_id = (SELECT id FROM status WHERE code = 'INACTIVE'),"
        " updated_at = ?, updated_by = ? WHERE id = ? AND status_id = 1"
        " AND feature_id IN (SELECT f.id FROM feature f JOIN feature_type y ON y.id = f.feature_type_id"
        " WHERE y.is_core = 0)",
        (clock.now_text(), actor, row["id"]),
    )


def _settle_tiers(
    connection: sqlite3.Connection, licences: tuple[Licence, ...], strict: str | None, actor: int
) -> None:
    tiers = {
        code.upper(): (rank, number)
        for code, rank, number in connection.execute("SELECT code, tier_rank, id FROM license_tier")
    }
    organizations = connection.execute("SELECT id, code, license_tier_id FROM organization").fetchall()
    codes = {code.upper() for _, code, _ in organizations}
    for one in licences:
        if one.serial == strict:
            _require(one, tiers.keys(), codes)
    active = _active(licences)
    for number, code, entered in organizations:
        own = [one for one in licences if one.tier and (one.organization or code).upper() == code.upper()]
        held = [
            tiers[one.tier.upper()] for one in own if one in active and one.tier and one.tier.upper() in tiers
        ]
        gone = {tiers.get((one.tier or "").upper(), (0, 0))[1] for one in own}
        tier = max(held)[1] if held else (None if entered in gone else entered)
        if tier != entered:
            connection.execute(
                "UPDATE organization SET license_tier_id = ?, updated_at = ?, updated_by = ? WHERE id = ?",
                (tier, clock.now_text(), actor, number),
            )


def _require(one: Licence, tiers: Any, organizations: set[str]) -> None:
    if one.tier is not None and one.tier.upper() not in tiers:
        raise LicenseFileError(
            f"The licence is for the tier {one.tier}, which this file does not have.",
            reason="unknown_tier",
            hint="Install a newer edgekit, or ask the vendor which tier is meant.",
        )
    if one.organization is not None and one.organization.upper() not in organizations:
        raise LicenseFileError(
            f"The licence is for the organization {one.organization}, which this file does not have.",
            reason="unknown_scope",
            hint="Add it first, under that code.",
        )
