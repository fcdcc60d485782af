"""What decisions share and is kept between them: the registry of features, tiers, and who has which.

Each is read anew when a table it comes from changes. Licences themselves are read for every decision.
"""

from __future__ import annotations

import json
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import cache, clock, db
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.licensing.standing import Standing

OVERRIDES = "FEATURE_OVERRIDES"
"""The type of configuration that says what one user's features are: feature values by feature code."""

_ACTIVE = "({0}.status_id = 1 OR EXISTS (SELECT 1 FROM status WHERE id = {0}.status_id AND is_active))"

_FEATURES = cache.Region(
    "registry of features",
    seconds=cache.STATIC_SECONDS,
    tables=("feature", "feature_type", "feature_dependency", "license_tier", "status"),
)
_TIERS = cache.Region(
    "tiers of whom", seconds=cache.CLIENT_SECONDS, tables=("organization", "user", "license_tier")
)
_TIER_FEATURES = cache.Region(
    "features of tiers", seconds=cache.STATIC_SECONDS, tables=("license_tier_feature", "status")
)
_LICENSED = cache.Region("licensed features", seconds=cache.CLIENT_SECONDS, tables=("feature_license",))
_USERS = cache.Region(
    "overrides of users",
    seconds=cache.CLIENT_SECONDS,
    tables=("configuration", "configuration_type", "scope_type"),
)
_FILES = cache.Region(
    "licence files", seconds=cache.CLIENT_SECONDS, tables=("license_file", "vendor_key", "system")
)


class Registered(NamedTuple):
    """A feature as it is registered."""

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


class Tier(NamedTuple):
    """The tier a decision counts with."""

    id: int
    code: str
    rank: int


@lru_cache(maxsize=1024)
def parse(text: str) -> Any:
    """Read JSON text out of the file; what comes is shared, and never changed."""
    return json.loads(text)


def members(schema: str) -> dict[str, dict[str, Any]]:
    """Return what a schema says of settings; another tool may have written one that is none."""
    found = parse(schema).get("properties")
    named = found.items() if isinstance(found, dict) else ()
    return {name: part for name, part in named if isinstance(part, dict)}


def registered(feature: str) -> tuple[Registered, ...]:
    """Return a feature, named by code or key, and then all it depends on. Raise NotFoundError."""
    return _FEATURES.get(feature, lambda: _read(feature))


def _read(feature: str) -> tuple[Registered, ...]:
    # CROSS JOIN keeps the order of the walk: the asked feature comes first.
    rows = (
        db.connection()
        .execute(
            "WITH RECURSIVE need(id) AS (SELECT id FROM feature WHERE code = ?1 OR feature_key = ?1"
            " UNION SELECT d.depends_on_feature_id FROM need w JOIN feature_dependency d"
            f" ON d.feature_id = w.id AND {_ACTIVE.format('d')})"
            " SELECT f.id, f.code, f.feature_key, f.is_addon, y.is_core,"
            f" {_ACTIVE.format('f')} AND {_ACTIVE.format('y')}, r.tier_rank, r.code, f.default_value,"
            " f.configuration_schema FROM need n CROSS JOIN feature f ON f.id = n.id"
            " CROSS JOIN feature_type y ON y.id = f.feature_type_id"
            " CROSS JOIN license_tier r ON r.id = f.license_tier_id",
            (feature,),
        )
        .fetchall()
    )
    if not rows:
        raise _unknown(feature)
    return tuple(
        Registered._make(
            (
                *row[:8],
                None if row[8] is None else parse(row[8]),
                () if row[9] is None else (row[9],),
            )
        )
        for row in rows
    )


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


def values_of(tier_id: int) -> Mapping[int, Mapping[str, Any]]:
    """Return what a tier says of features by itself, by the feature's id; read once, for all who have it."""
    return _TIER_FEATURES.get(tier_id, lambda: _read_values(tier_id))


def _read_values(tier_id: int) -> dict[int, Mapping[str, Any]]:
    rows = db.connection().execute(
        "SELECT feature_id, feature_value FROM license_tier_feature"
        " WHERE license_tier_id = ? AND status_id IN (SELECT id FROM status WHERE is_active)",
        (tier_id,),
    )
    return {feature: parse(value) for feature, value in rows}


def tiers_of(
    user: int | None, organizations: tuple[int, ...], now: datetime | None
) -> tuple[Tier | None, Tier | None]:
    """Return the tier of the user, else of the first of the organizations that has one; and the signed one.

    Where a licence file gave an organization its tier, that counts while the file holds. The second is what
    licence files alone give; it is looked for where the mode is block.
    """
    if standing_of(now) is None:
        return _TIERS.get((user, organizations), lambda: _find_tier(_entered_tier(user, organizations))), None
    code, signed = _signed_tier(user, organizations, now)
    tier = _find_tier(code)
    return tier, tier if signed == code else _find_tier(signed)


def _entered_tier(user: int | None, organizations: tuple[int, ...]) -> str | None:
    of_user = "SELECT t.code FROM user u JOIN license_tier t ON t.id = u.license_tier_id WHERE u.id = ?"
    row = db.connection().execute(of_user, (user,)).fetchone()
    for organization in organizations:
        if row is None:
            row = (
                db.connection()
                .execute(
                    "SELECT t.code FROM organization o JOIN license_tier t ON t.id = o.license_tier_id"
                    " WHERE o.id = ?",
                    (organization,),
                )
                .fetchone()
            )
    return None if row is None else str(row[0])


def _signed_tier(
    user: int | None, organizations: tuple[int, ...], now: datetime | None
) -> tuple[str | None, str | None]:
    from edgekit.licensing import standing

    connection, files = db.connection(), standing_of(now)
    assert files is not None
    code = _entered_tier(user, ())
    for organization in organizations:
        if code is not None and files.mode != "block":
            break
        of_it = "SELECT code FROM organization WHERE id = ?"
        (name,) = connection.execute(of_it, (organization,)).fetchone()
        signed = standing.tier_of(connection, name, None, now, files=files)
        if signed is not None:
            return code or signed, signed
        if code is None:
            entered = _entered_tier(None, (organization,))
            code = standing.tier_of(connection, name, entered, now, files=files)
    return code, None


def _find_tier(code: str | None) -> Tier | None:
    row = (
        db.connection()
        .execute("SELECT id, code, tier_rank FROM license_tier WHERE code = ?", (code,))
        .fetchone()
    )
    return None if row is None else Tier._make(row)


def licensed() -> frozenset[int]:
    """Return the ids of all features that have a licence anywhere."""
    return _LICENSED.get(None, _read_licensed)


def _read_licensed() -> frozenset[int]:
    rows = db.connection().execute(  # a seek for each feature, however many licences there are
        "SELECT id FROM feature f WHERE EXISTS (SELECT 1 FROM feature_license WHERE feature_id = f.id)"
    )
    return frozenset(key for (key,) in rows)


def overrides_of(user: int) -> Mapping[str, Any]:
    """Return what is set of features for a user, by feature code or key in capitals."""
    return _USERS.get(user, lambda: _read_overrides(user))


def _read_overrides(user: int) -> Mapping[str, Any]:
    """Read the document of configuration: its word comes later in the order, so its row alone is read."""
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
        if _is_override(value)
    }


def _is_override(value: Any) -> bool:
    """Tell whether a value says something of a feature; written past the program, it may be anything."""
    if not isinstance(value, dict):
        return isinstance(value, bool)
    return isinstance(value.get("enabled", True), bool) and isinstance(value.get("settings", {}), dict)


def standing_of(now: datetime | None) -> Standing | None:
    """Return how the licence files stand; None where there is none, and nothing has to be proven."""
    if now is not None:
        return _read_standing(now)[0]
    found, until = _FILES.get(None, lambda: _read_standing(None))
    return found if until is None or time() < until else _read_standing(None)[0]


def _read_standing(now: datetime | None) -> tuple[Standing | None, float | None]:
    if db.connection().execute("SELECT max(id) FROM license_file").fetchone()[0] is None:
        return None, None
    from edgekit.licensing import standing

    found = standing.read(db.connection(), now)
    turn = next_turn(found)
    return found, None if turn is None else clock.from_text(turn).timestamp()


def next_turn(files: Standing) -> str | None:
    """Say when one of the licence files begins or ends next."""
    at = clock.to_text(files.clock.effective)
    waiting = (one for one in files.licences if one.state in {"valid", "grace", "not_yet_valid"})
    times = [time for one in waiting for time in (one.starts_at, one.expires_at, one.ends_at)]
    return min((time for time in times if time is not None and time > at), default=None)
