"""Gathering what a decision rests on: a feature and all it depends on, the tier, the licences at a place."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import clock, db
from edgekit.licensing import registry
from edgekit.licensing.clock import effective_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edgekit.licensing.registry import Registered, Tier
    from edgekit.licensing.standing import Licence as LicenceFile
    from edgekit.licensing.standing import Standing
    from edgekit.scope import Link

UNLICENSED = "advise"
"""The mode of a file without a licence file: it stops nothing."""

HAVE_SAY = frozenset({"in_force", "grace", "withheld"})
"""The states of a licence that decides; any other counts as absent."""


class Licence(NamedTuple):
    """A licence of a feature on one link of the chain.

    `state` is in_force, grace, withheld (its status is inactive), expired or pending, or says what is wrong
    with its file: revoked, replaced, tampered, wrong_site. `turns_at` is when that changes by itself.
    """

    id: int
    link: Link
    organization_id: int | None
    state: str
    value: Mapping[str, Any] | None
    configuration: Mapping[str, Any] | None
    quantity: int
    expires_at: str | None
    turns_at: str | None
    serial: str | None


class Fact(NamedTuple):
    """What the file says of one feature at one place; its licences with the broadest first.

    `schemas` are those of its settings: its own, then those of the entity that is asked for.
    """

    of: Registered
    schemas: tuple[str, ...]
    tier_value: Mapping[str, Any] | None
    licences: Sequence[Licence]
    override: Mapping[str, Any] | None


class Facts(NamedTuple):
    """The asked feature first, then every feature it depends on, as they are at the place of `chain`.

    `mode` is what the licence files say of unlicensed use; `turns_at` when time alone changes these. `signed`
    is the same without what is entered by hand, where the mode is block and something is.
    """

    features: tuple[Fact, ...]
    tier: Tier | None
    chain: tuple[Link, ...]
    mode: str
    turns_at: str | None
    signed: Facts | None = None


class Place(NamedTuple):
    """A chain as decisions need it."""

    points: tuple[tuple[Link, int | None, int | None], ...]
    values: tuple[int, ...]
    organizations: tuple[int, ...]
    user: int | None
    entity: int | None


def read(feature: str, chain: tuple[Link, ...], *, now: datetime | None = None) -> Facts:
    """Gather a feature, by code or key, and all it depends on. Raise NotFoundError if there is none such."""
    place = place_of(chain)
    found = registry.registered(feature)
    files = registry.standing_of(now)
    tier, signed_tier = registry.tiers_of(place.user, place.organizations, now)
    given = registry.values_of(tier.id) if tier is not None else {}
    overrides = registry.overrides_of(place.user) if place.user is not None else {}
    licensed = registry.licensed()
    wanted = {one.id: one for one in found if one.id in licensed}
    licences = _licences(wanted, place, files, now) if wanted else {}
    facts = tuple([
        Fact(
            one, one.schemas, given.get(one.id), licences.get(one.id, ()),
            overrides.get(one.code.upper(), overrides.get(one.key.upper())) if overrides else None,
        )
        for one in found
    ])  # fmt: skip
    if place.entity is not None:
        schemas = (*found[0].schemas, *_schemas(found[0].id, place.entity))
        facts = (facts[0]._replace(schemas=schemas), *facts[1:])
    turns = None
    if licences or files is not None:
        turns = _next_turn(licences, files)
    if files is None:
        return Facts(facts, tier, chain, UNLICENSED, turns)
    whole = Facts(facts, tier, chain, files.mode, turns)
    return whole._replace(signed=_signed(whole, signed_tier, files, now)) if files.mode == "block" else whole


def _signed(whole: Facts, tier: Tier | None, files: Standing, now: datetime | None) -> Facts | None:
    """Take away what is entered by hand; None where nothing is that could add to what is signed."""
    if tier == whole.tier and not any(map(_has_more, whole.features)):
        return None
    given = registry.values_of(tier.id) if tier is not None else {}
    by_serial = {one.serial: one for one in files.licences}
    facts = tuple([
        fact._replace(
            tier_value=given.get(fact.of.id),
            licences=[
                _as_signed(one, by_serial[one.serial], now)
                for one in fact.licences
                if one.serial is not None
            ],
            override=None,
        )
        for fact in whole.features
    ])  # fmt: skip
    return whole._replace(features=facts, tier=tier)


def _has_more(fact: Fact) -> bool:
    """Say whether a person or another tool entered something of a feature; a file has no settings."""
    return fact.override is not None or any(
        one.serial is None or one.configuration is not None for one in fact.licences
    )


def _as_signed(one: Licence, file: LicenceFile, now: datetime | None) -> Licence:
    """Return a licence as its file has it: a person may have withheld it, or given it settings."""
    state = _state(1, one.expires_at, file, now)[0] if one.state == "withheld" else one.state
    return one._replace(state=state, configuration=None)


def read_mode(now: datetime | None = None) -> str:
    """Return what an unlicensed use meets: what the licence files say, advise where there is none."""
    files = registry.standing_of(now)
    return UNLICENSED if files is None else files.mode


def find_feature(feature: str) -> tuple[int, str]:
    """Find a feature by code or key; return its id and code. Raise NotFoundError saying what comes close."""
    found = registry.registered(feature)[0]
    return found.id, found.code


def of_level(chain: Sequence[Link], level: str) -> int | None:
    """Return the id of what stands at a level of a chain, such as USER."""
    return next((link.scope_id for link in reversed(chain) if link.level == level), None)


@lru_cache(maxsize=4096)
def place_of(chain: tuple[Link, ...]) -> Place:
    """Say where on a chain licences stand, the broadest first.

    A program or producer has two points, one shared by all organizations before its organization's own.
    """
    points: list[tuple[Link, int | None, int | None]] = []
    for link in chain:
        if link.scope_id is None:
            points.append((link, None, link.organization_id))
        elif link.level in {"PROGRAM", "PRODUCER"}:
            points += [(link, link.scope_id, None), (link, link.scope_id, link.organization_id)]
    values = [
        value
        for link, scope, organization in points
        for value in (link.scope_type_id, scope or 0, organization or 0)
    ]
    owners = [link.organization_id for link in chain if link.scope_id is None]
    return Place(
        tuple(points),
        tuple(values),
        tuple(owner for owner in reversed(owners) if owner is not None),
        of_level(chain, "USER"),
        of_level(chain, "ENTITY"),
    )


@lru_cache(maxsize=512)
def _statement(features: int, points: int) -> str:
    """Write the statement that reads licences: a seek in the index for each feature at each point."""
    rows = ", ".join(
        f"({number}, ?{number * 3 + 1}, ?{number * 3 + 2}, ?{number * 3 + 3})" for number in range(points)
    )
    marks = ", ".join(f"?{points * 3 + number + 1}" for number in range(features))
    return (
        f"WITH point(n, level, scope, owner) AS (VALUES {rows})"
        " SELECT p.n, l.feature_id, l.id, l.feature_value, l.feature_configuration, l.licensed_quantity,"
        " (l.status_id = 1 OR EXISTS (SELECT 1 FROM status WHERE id = l.status_id AND is_active)),"
        " l.license_expires_at, l.license_file_id FROM point p CROSS JOIN feature_license l"
        f" ON l.feature_id IN ({marks}) AND l.scope_type_id = p.level AND COALESCE(l.scope_id, 0) = p.scope"
        " AND COALESCE(l.organization_id, 0) = p.owner"
    )


def _licences(
    features: Mapping[int, Registered], place: Place, files: Standing | None, now: datetime | None
) -> dict[int, list[Licence]]:
    """Read the licences of features at a place, by feature, and say what state they are in."""
    rows = (
        db.connection()
        .execute(_statement(len(features), len(place.points)), (*place.values, *features))
        .fetchall()
    )
    by_id = {one.id: one for one in files.licences} if files is not None else {}
    blocks = files is not None and files.mode == "block"  # what is entered does not hide what is signed
    found: dict[int, list[Licence]] = {}
    for point, feature, key, value, configuration, quantity, active, expires, file_id in rows:
        link, scope, organization = place.points[point]
        file = by_id.get(file_id)
        if blocks and file is not None and file.holds and not _names(file, features[feature]):
            file = None  # written beside a licence that does not speak of it
        if (
            file is not None
            and file.expires_at is not None
            and (expires is None or file.expires_at < expires)
        ):
            expires = file.expires_at
        state, turns = _state(active, expires, file, now)
        there = found.setdefault(feature, [])
        if scope is not None and state in HAVE_SAY and there and there[-1].link is link:
            is_kept = blocks and file is None and there[-1].serial is not None
            if not is_kept:  # a level prefers the organization's own
                there.pop()
        there.append(
            Licence(
                id=key,
                link=link,
                organization_id=organization,
                state=state,
                value=None if value is None else registry.parse(value),
                configuration=None if configuration is None else registry.parse(configuration),
                quantity=quantity,
                expires_at=expires,
                turns_at=turns,
                serial=None if file is None else file.serial,
            )
        )
    return found


def _names(file: LicenceFile, feature: Registered) -> bool:
    known = {feature.code.upper(), feature.key.upper()}
    return any(grant.feature.upper() in known for grant in file.features)


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


def _next_turn(licences: Mapping[int, Sequence[Licence]], files: Standing | None) -> str | None:
    times = [one.turns_at for some in licences.values() for one in some]
    if files is not None:
        times.append(registry.next_turn(files))
    return min((time for time in times if time is not None), default=None)


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
