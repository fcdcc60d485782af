"""Reading what a decision rests on: one recursive statement for a feature and all it depends on.

Licences are then read by their ids, where the chain has any. Nothing is decided here.
"""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import clock, db
from edgekit.errors import NotFoundError
from edgekit.licensing import tiers
from edgekit.licensing.clock import effective_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edgekit.licensing.standing import Licence as LicenceFile
    from edgekit.licensing.standing import Standing
    from edgekit.scope import Link

OVERRIDES = "FEATURE_OVERRIDES"
"""The type of configuration that says what one user's features are: feature values by feature code."""

_ADVISE = "advise"

HAVE_SAY = frozenset({"in_force", "grace", "withheld"})
"""The states of a licence that decides; any other counts as absent."""

_FIXED = 14
"""Columns of the statement before the ids of the licences."""


class Licence(NamedTuple):
    """A licence of a feature on one link of the chain.

    `state` is in_force, grace, withheld (its status is inactive), expired or pending, or says what is
    wrong with its file: revoked, replaced, tampered, wrong_site. `turns_at` is when that changes by itself.
    """

    id: int
    link: Link
    state: str
    value: Mapping[str, Any] | None
    configuration: Mapping[str, Any] | None
    quantity: int
    organization_id: int | None
    expires_at: str | None
    turns_at: str | None
    serial: str | None


class Tier(NamedTuple):
    """The tier a decision counts with."""

    id: int
    code: str
    rank: int


class Fact(NamedTuple):
    """What the file says of one feature at one place; its licences with the broadest first."""

    id: int
    code: str
    key: str
    is_addon: int
    is_core: int
    is_active: int
    needs_rank: int
    needs_tier: str
    default: Mapping[str, Any] | None
    schemas: tuple[str, ...]
    tier_value: Mapping[str, Any] | None
    licences: tuple[Licence, ...]
    override: Mapping[str, Any] | None


class Facts(NamedTuple):
    """The asked feature first, then every feature it depends on, as they are at the place of `chain`.

    `mode` is what the licence files say of unlicensed use; `turns_at` when time alone changes them.
    """

    features: tuple[Fact, ...]
    tier: Tier | None
    chain: tuple[Link, ...]
    mode: str
    turns_at: str | None


@lru_cache(maxsize=1024)
def parse(text: str) -> Any:
    """Read JSON text out of the file; what comes is shared, and never changed."""
    return json.loads(text)


def of_level(chain: Sequence[Link], level: str) -> int | None:
    """Return the id of what stands at a level of a chain, such as USER."""
    return next((link.scope_id for link in reversed(chain) if link.level == level), None)


def read(feature: str, chain: tuple[Link, ...], *, now: datetime | None = None) -> Facts:
    """Read a feature, by code or key, and all it depends on. Raise NotFoundError if there is none such."""
    places = licence_places(chain)
    user = of_level(chain, "USER")
    organizations = [place[2] for place in places if place[1] is None and place[2] is not None][::-1]
    values: list[Any] = [feature, user, *organizations]
    for link, scope, organization in places:
        values += (link.scope_type_id, scope or 0, organization or 0)
    sql = _statement("." in feature, len(organizations), len(places))
    rows = db.connection().execute(sql, values).fetchall()
    if not rows:
        raise _unknown(feature)
    tier = Tier(*rows[0][10:13]) if rows[0][10] is not None else None
    mode, turns, files = _ADVISE, None, None
    if rows[0][13] is not None:
        files = _standing(now)
        mode, turns = files.mode, _next_turn(files)
        tier = _tier_of(user, organizations, now)
    wanted = {key for row in rows for key in row[_FIXED:] if key is not None}
    licences = _licences(sorted(wanted), files, now) if wanted else {}
    overrides = _overrides(user) if user is not None else {}
    given = tiers.values_of(tier.id) if tier is not None else {}
    facts = tuple([_fact(row, places, given, licences, overrides) for row in rows])
    entity = of_level(chain, "ENTITY")
    if entity is not None:
        facts = (facts[0]._replace(schemas=(*facts[0].schemas, *_schemas(facts[0].id, entity))), *facts[1:])
    for one in licences.values():
        if one["turns_at"] is not None and (turns is None or one["turns_at"] < turns):
            turns = one["turns_at"]
    return Facts(facts, tier, chain, mode, turns)


def read_mode(now: datetime | None = None) -> str:
    """Return what an unlicensed use meets: what the licence files say, advise where there is none."""
    row = db.connection().execute("SELECT max(id) FROM license_file").fetchone()
    return _ADVISE if row[0] is None else _standing(now).mode


def _standing(now: datetime | None) -> Standing:
    """Read how the licence files stand. A file without one needs none of what proves them."""
    from edgekit.licensing import standing

    return standing.read(db.connection(), now)


def _next_turn(files: Standing) -> str | None:
    """Say when one of the licence files begins or ends next."""
    at = clock.to_text(files.clock.effective)
    times = [time for one in files.licences for time in (one.starts_at, one.expires_at, one.ends_at)]
    return min((time for time in times if time is not None and time > at), default=None)


def _tier_of(user: int | None, organizations: Sequence[int], now: datetime | None) -> Tier | None:
    """Find the tier where there are licence files: one of theirs counts while it holds, no longer."""
    from edgekit.licensing import standing

    connection = db.connection()
    tier = "SELECT t.code FROM license_tier t WHERE t.id = x.license_tier_id"
    row = connection.execute(f"SELECT ({tier}) FROM user x WHERE id = ?", (user,)).fetchone()
    code = row and row[0]
    for organization in organizations:
        if code is None:
            name, entered = connection.execute(
                f"SELECT code, ({tier}) FROM organization x WHERE id = ?", (organization,)
            ).fetchone()
            code = standing.tier_of(connection, name, entered, now)
    found = connection.execute(
        "SELECT id, code, tier_rank FROM license_tier WHERE code = ?", (code,)
    ).fetchone()
    return None if found is None else Tier(*found)


def _schemas(feature: int, entity: int) -> list[str]:
    """Read the schemas an entity's type and the entity itself have of a feature's settings."""
    rows = db.connection().execute(
        "SELECT t.configuration_schema FROM entity e JOIN entity_type_feature t"
        " ON t.entity_type_id = e.entity_type_id AND t.feature_id = ?1 AND t.status_id = 1 WHERE e.id = ?2"
        " UNION ALL SELECT configuration_schema FROM entity_feature"
        " WHERE entity_id = ?2 AND feature_id = ?1 AND status_id = 1",
        (feature, entity),
    )
    return [schema for (schema,) in rows if schema is not None]


def licence_places(chain: Sequence[Link]) -> list[tuple[Link, int | None, int | None]]:
    """Give the places of a chain where licences stand, the broadest first: link, scope and organization.

    A program or producer has two, the one shared by all organizations before its organization's own.
    """
    places: list[tuple[Link, int | None, int | None]] = []
    for link in chain:
        if link.scope_id is None:
            places.append((link, None, link.organization_id))
        elif link.level in {"PROGRAM", "PRODUCER"}:
            places += [(link, link.scope_id, None), (link, link.scope_id, link.organization_id)]
    return places


@lru_cache(maxsize=256)
def _statement(is_dotted: bool, organizations: int, places: int) -> str:
    """Write the statement: the feature and what it needs, each with what its tier gives and its licences."""
    active = "({0}.status_id = 1 OR EXISTS (SELECT 1 FROM status WHERE id = {0}.status_id AND is_active))"
    named = "feature_key = ?1 OR code = ?1" if is_dotted else "code = ?1"
    owners = "".join(
        f", (SELECT license_tier_id FROM organization WHERE id = ?{number})"
        for number in range(3, 3 + organizations)
    )
    joins = []
    for number in range(places):
        first = 3 + organizations + 3 * number
        joins.append(
            f"LEFT JOIN feature_license l{number} ON l{number}.feature_id = n.id"
            f" AND l{number}.scope_type_id = ?{first} AND COALESCE(l{number}.scope_id, 0) = ?{first + 1}"
            f" AND COALESCE(l{number}.organization_id, 0) = ?{first + 2}"
        )
    ids = "".join(f", l{number}.id" for number in range(places))
    # CROSS JOIN keeps the order of the walk: the asked feature comes first.
    return (
        f"WITH RECURSIVE need(id) AS (SELECT id FROM feature WHERE {named}"
        " UNION SELECT d.depends_on_feature_id FROM need w JOIN feature_dependency d ON d.feature_id = w.id"
        f" AND {active.format('d')})"
        " SELECT n.id, f.code, f.feature_key, f.is_addon, y.is_core,"
        f" {active.format('f')} AND {active.format('y')}, r.tier_rank, r.code, f.default_value,"
        f" f.configuration_schema, o.id, o.code, o.tier_rank,"
        f" (SELECT max(id) FROM license_file){ids}"
        " FROM need n CROSS JOIN feature f ON f.id = n.id"
        " CROSS JOIN feature_type y ON y.id = f.feature_type_id"
        " CROSS JOIN license_tier r ON r.id = f.license_tier_id LEFT JOIN license_tier o ON o.id ="
        f" coalesce((SELECT license_tier_id FROM user WHERE id = ?2){owners}, NULL)"
        f" {' '.join(joins)}"
    )


def _fact(
    row: tuple[Any, ...],
    places: Sequence[tuple[Link, int | None, int | None]],
    given: Mapping[int, Mapping[str, Any]],
    licences: Mapping[int, dict[str, Any]],
    overrides: Mapping[str, Any],
) -> Fact:
    found: list[Licence] = []
    if licences:
        for key, (link, scope, organization) in zip(row[_FIXED:], places, strict=True):
            if key is None or key not in licences:  # the second: deleted between the two statements
                continue
            has_say = licences[key]["state"] in HAVE_SAY
            if scope is not None and has_say and found and found[-1].link is link:
                found.pop()  # a level prefers the organization's own
            found.append(Licence(link=link, organization_id=organization, **licences[key]))
    default = row[8]
    return Fact._make(
        (
            *row[:8],
            None if default is None else parse(default),
            () if row[9] is None else (row[9],),
            given.get(row[0]),
            tuple(found),
            overrides.get(row[1].upper(), overrides.get(row[2].upper())) if overrides else None,
        )
    )


def _licences(ids: Sequence[int], files: Standing | None, now: datetime | None) -> dict[int, dict[str, Any]]:
    """Read licences with the file each came in, and say what state they are in."""
    rows = db.connection().execute(
        "SELECT l.id, l.feature_value, l.feature_configuration, l.licensed_quantity,"
        " (l.status_id = 1 OR EXISTS (SELECT 1 FROM status WHERE id = l.status_id AND is_active)),"
        " l.license_expires_at, l.license_file_id FROM feature_license l"
        f" WHERE l.id IN ({', '.join('?' * len(ids))})",
        ids,
    )
    by_id = {one.id: one for one in files.licences} if files is not None else {}
    found = {}
    for key, value, configuration, quantity, active, own, file_id in rows:
        file = by_id.get(file_id)
        ends = file.expires_at if file is not None else None
        expires = min((moment for moment in (own, ends) if moment is not None), default=None)
        state, turns = _state(active, expires, file, now)
        found[key] = {
            "id": key,
            "state": state,
            "value": None if value is None else parse(value),
            "configuration": None if configuration is None else parse(configuration),
            "quantity": quantity,
            "expires_at": expires,
            "turns_at": turns,
            "serial": file.serial if file is not None else None,
        }
    return found


def _state(
    active: int, expires: str | None, file: LicenceFile | None, now: datetime | None
) -> tuple[str, str | None]:
    """Say what state a licence is in, and when that changes by itself."""
    if file is not None and file.state in {"revoked", "replaced", "tampered", "wrong_site"}:
        return file.state, None
    if not active:
        return "withheld", None
    if file is not None and file.state == "not_yet_valid":
        return "pending", file.starts_at
    if expires is None:
        return "in_force", None
    moment = clock.to_text(effective_now(now))
    if moment < expires:
        return "in_force", expires
    end = expires
    if file is not None and file.grace_days:
        end = clock.to_text(clock.from_text(expires) + timedelta(days=file.grace_days))
    return ("grace", end) if moment < end else ("expired", None)


def _overrides(user: int) -> Mapping[str, Any]:
    """Read what is set of features for a user, by feature code.

    It stands in a document of configuration, whose words come later in the order: the row alone is read.
    """
    rows = (
        db.connection()
        .execute(
            "SELECT c.config_data FROM configuration_type y JOIN scope_type s ON s.table_name = 'user'"
            " JOIN configuration c ON c.configuration_type_id = y.id AND c.scope_type_id = s.id"
            " AND COALESCE(c.scope_id, 0) = ? AND c.status_id = 1 WHERE y.code = ? AND y.status_id = 1"
            " ORDER BY c.organization_id IS NOT NULL",  # the organization's own after the one for all
            (user, OVERRIDES),
        )
        .fetchall()
    )
    found = parse(rows[-1][0]) if rows else {}
    return {
        name.upper(): value if isinstance(value, dict) else {"enabled": value}
        for name, value in found.items()
    }


def find_feature(feature: str) -> tuple[int, str]:
    """Find a feature by code or key; return its id and code. Raise NotFoundError saying what comes close."""
    row = (
        db.connection()
        .execute("SELECT id, code FROM feature WHERE code = ?1 OR feature_key = ?1", (feature,))
        .fetchone()
    )
    if row is None:
        raise _unknown(feature)
    return int(row[0]), str(row[1])


def _unknown(feature: str) -> NotFoundError:
    import difflib

    rows = db.connection().execute("SELECT code, feature_key FROM feature ORDER BY id").fetchall()
    known = {name.upper(): name for row in rows for name in row}
    near = difflib.get_close_matches(feature.upper(), known, n=2)
    hint = (
        f"Did you mean {' or '.join(known[name] for name in near)}?"
        if near
        else "See: edgekit licensing list"
    )
    return NotFoundError(f"There is no feature {feature}.", hint=hint)
