"""Writing licences: grant a feature to a scope, withhold it, take the licence away again; and give tiers."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db, rows, scope
from edgekit.errors import InvalidError, LicenseError, NotFoundError
from edgekit.licensing import checking, deciding, facts, registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.scope import Link, Named


@dataclass(frozen=True, slots=True)
class Granted:
    """A licence as it was written. `also` names what was granted with it or, withheld, what goes off too."""

    id: int
    feature: str
    scope: str
    enabled: bool
    value: Any
    settings: Mapping[str, Any] | None
    quantity: int
    expires_at: str | None
    also: tuple[str, ...]


def grant(
    feature: str,
    *,
    place: str = "system",
    organization: Named | None = None,
    value: Any = None,
    settings: Mapping[str, Any] | None = None,
    quantity: int | None = None,
    expires_at: datetime | None = None,
    with_prerequisites: bool = False,
    now: datetime | None = None,
) -> Granted:
    """License a feature to a place (`system`, `organization[:CODE]`, `program:CODE`, `producer:CODE`).

    A licence that is there is written anew: quantity and settings stay if they are not given. `value` is of
    the kind the feature declares; `settings` follow its configuration schema. Raise InvalidError where
    settings do not, where a feature it depends on is not available there and `with_prerequisites` does not
    grant it too, or where a licence file says otherwise; LicenseError where licences block and none that is
    signed gives it; NotFoundError, RuleError.
    """
    key, code = facts.find_feature(feature)
    if expires_at is not None and expires_at <= (now or clock.now()):
        raise InvalidError(
            f"{clock.to_text(expires_at)} is past: the licence of {code} would never hold.",
            hint="Give a later time, or take the licence away: edgekit licensing unset",
        )
    if settings is not None:
        check_settings(key, code, settings)
    link = _licensable(place, organization)
    columns: dict[str, Any] = {"status_id": 1}
    if settings is not None:
        columns["feature_configuration"] = json.dumps(settings, ensure_ascii=False)
    said = {"enabled": True} if value is None else {"enabled": True, "value": value}
    own = {
        "feature_value": json.dumps(said, ensure_ascii=False),
        "license_expires_at": clock.to_text(expires_at) if expires_at is not None else None,
    } | ({"licensed_quantity": quantity} if quantity is not None else {})
    with db.change(reason=f"license {code} to {link.label}"):
        also = _grant_prerequisites(code, link, with_prerequisites, now)
        there = _find(key, link)
        if there is None or there["license_file_id"] is None:
            columns |= own
        elif (value, quantity, expires_at) != (None, None, None):
            raise InvalidError(
                f"{code} is licensed to {link.label} by a file: its value, quantity and expiry are signed.",
                hint="Ask the vendor for another licence, or license it to a program or producer.",
            )
        written = _save(key, link, there, columns)
        _require_within(code, link, now)
    return _granted(written, code, link, also)


def _require_within(code: str, link: Link, now: datetime | None) -> None:
    """Refuse, while licences block, what of a grant by hand would not count."""
    found = facts.read(code, _chain_of(link), now=now)
    if found.signed is None:
        return
    counted, entered = deciding.decide(found), deciding.decide(found._replace(signed=None))
    both = [(one.enabled, one.value, one.settings, one.quantity) for one in (counted, entered)]
    if both[0] != both[1]:
        raise LicenseError(
            f"{code} is not granted to {link.label}: the licence blocks, and none that is signed gives it.",
            hint="Ask the vendor for a licence that does, and install it: edgekit licensing install",
        )


def withhold(feature: str, *, place: str = "system", organization: Named | None = None) -> Granted:
    """Switch a feature off at a place and below it, whatever its tier and broader licences say.

    The licence that is there becomes inactive and keeps what it says; `grant` makes it active again. `also`
    of the result names the features that depend on it and go off there with it. Raise RuleError for a core
    feature, NotFoundError.
    """
    key, code = facts.find_feature(feature)
    link = _licensable(place, organization)
    with db.change(reason=f"withhold {code} from {link.label}"):
        chain = _chain_of(link)
        before = [name for name in _dependents(key) if checking.decide(name, chain).enabled]
        inactive = db.connection().execute("SELECT id FROM status WHERE code = 'INACTIVE'").fetchone()[0]
        written = _save(key, link, _find(key, link), {"status_id": inactive})
        also = tuple(name for name in before if not checking.decide(name, chain).enabled)
    return _granted(written, code, link, also)


def unset(feature: str, *, place: str = "system", organization: Named | None = None) -> None:
    """Take a licence away, so that tier and broader licences decide again.

    Raise NotFoundError without one, InvalidError for one that came in a file.
    """
    key, code = facts.find_feature(feature)
    link = _licensable(place, organization)
    with db.change(reason=f"unset the licence of {code} for {link.label}"):
        there = _find(key, link)
        if there is None:
            raise NotFoundError(f"{code} has no licence of its own for {link.label}.")
        if there["license_file_id"] is not None:
            raise InvalidError(
                f"The licence of {code} for {link.label} came in a file and stays.",
                hint=f"To switch it off: edgekit licensing withhold {code}",
            )
        db.connection().execute("DELETE FROM feature_license WHERE id = ?", (there["id"],))


def assign_tier(
    tier: str | None, *, organization: Named | None = None, user: Named | None = None
) -> dict[str, Any]:
    """Give a tier to a user, else to an organization (without one to the main one); None takes it away.

    Raise RuleError for a tier that is retired (who has it keeps it), InvalidError where a licence file says
    which tier an organization has, LicenseError where licences block and none gives it, NotFoundError.
    """
    table, named = (
        ("user", user) if user is not None else ("organization", organization or scope.main_organization())
    )
    chain = scope.chain(user=user) if user is not None else scope.chain(organization=named)
    key = facts.of_level(chain, "USER") if user is not None else chain[-1].organization_id
    if user is None:
        _require_unsigned(chain[-1])
    row = None
    if tier is not None:
        row = db.connection().execute("SELECT id, code FROM license_tier WHERE code = ?", (tier,)).fetchone()
        if row is None:
            raise NotFoundError(f"There is no tier {tier}.", hint="See: edgekit licensing tiers")
        _require_tier_within(row[0], chain)
    with db.change(reason=f"tier {tier} for {chain[-1].label}"):
        db.connection().execute(
            f"UPDATE {table} SET license_tier_id = ?, updated_by = ?, updated_at = ? WHERE id = ?",
            (row and row[0], db.current().actor_id, clock.now_text(), key),
        )
    return {"for": chain[-1].label, "tier": row and row[1]}


def _require_tier_within(tier: int, chain: tuple[Link, ...]) -> None:
    """Refuse, while licences block, a tier above the one licence files give there."""
    if facts.read_mode() != "block":
        return
    _, signed = registry.tiers_of(None, facts.place_of(chain).organizations, None)
    ranks = dict(db.connection().execute("SELECT id, tier_rank FROM license_tier"))
    if signed is None or ranks[tier] > signed.rank:
        what = f"a signed licence gives {signed.code}" if signed else "no signed licence gives a tier"
        raise LicenseError(
            f"The tier of {chain[-1].label} stays: the licence blocks, and {what}.",
            hint="Ask the vendor for a licence of that tier, and install it: edgekit licensing install",
        )


def _require_unsigned(link: Link) -> None:
    """Refuse to say which tier an organization has where a licence file does, also one that has expired."""
    code = link.label.partition(" ")[2]
    files = registry.standing_of(None)
    for one in files.licences if files is not None else ():
        is_its_own = one.organization is None or one.organization.upper() == code.upper()
        if one.tier and is_its_own and one.state in {"valid", "grace", "not_yet_valid", "expired"}:
            raise InvalidError(
                f"The tier of {link.label} is {one.tier} by the licence {one.serial}: it is signed.",
                hint="Ask the vendor for another licence.",
            )


def read_value(text: str, *, what: str) -> Any:
    """Read a value as people type it: JSON, or the text itself where it does not look like that.

    Raise InvalidError for broken JSON; `what` begins the message.
    """
    try:
        return codec.loads(text)
    except InvalidError as error:
        if text.lstrip()[:1] not in {"{", "[", '"'}:
            return text
        hint = "For example: '{\"daily_email_limit\": 50}'"
        raise InvalidError(f"{what}: {error.message}", hint=hint) from error


def check_settings(feature_id: int, code: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings that do not follow the feature's schema. Raise InvalidError saying where."""
    row = (
        db.connection()
        .execute("SELECT configuration_schema FROM feature WHERE id = ?", (feature_id,))
        .fetchone()
    )
    if row[0] is None:
        if settings:
            raise InvalidError(f"The feature {code} has no settings.")
        return
    from edgekit import validate

    validate.check(json.loads(row[0]), dict(settings), what=f"The settings of {code}")


def _look_at_settings(key: int) -> None:
    """Refuse settings that do not follow the schema, in the change that writes a licence by hand."""
    row = (
        db.connection()
        .execute(
            "SELECT f.id, f.code, l.feature_configuration FROM feature_license l"
            " JOIN feature f ON f.id = l.feature_id WHERE l.id = ?",
            (key,),
        )
        .fetchone()
    )
    if row is not None and row[2] is not None:
        check_settings(row[0], row[1], json.loads(row[2]))


rows.guard("feature_license", _look_at_settings)


def _licensable(place: str, organization: Named | None) -> Link:
    link = scope.find(place, organization=organization)
    if link.level in {"ENTITY", "USER"}:
        raise InvalidError(
            f"A feature is licensed to the system, a program or a producer, not to {link.label}.",
            hint=f"For one: edgekit configuration set {registry.OVERRIDES} FEATURE true --scope user:NAME",
        )
    return link


def _chain_of(link: Link) -> tuple[Link, ...]:
    """Build the chain that ends at a link: what holds there."""
    if link.level in {"PROGRAM", "PRODUCER"}:
        return scope.chain(organization=link.organization_id, **{link.level.lower(): link.scope_id})
    if link.organization_id is None:
        return scope.chain()[:1]
    return scope.chain(organization=link.organization_id)


def _grant_prerequisites(code: str, link: Link, wanted: bool, now: datetime | None) -> tuple[str, ...]:
    """Grant what a feature depends on and lacks at a place, or refuse to grant it at all."""
    decision = checking.decide(code, _chain_of(link), now=now)
    facts_and_verdicts = zip(decision.facts.features[1:], decision.verdicts[1:], strict=True)
    missing = [fact for fact, verdict in facts_and_verdicts if not verdict.enabled]
    if missing and not wanted:
        names = ", ".join(fact.of.code for fact in missing)
        raise InvalidError(
            f"{code} depends on {names}, not available for {link.label}.",
            hint="Grant that first, or both at once: --with-prerequisites",
        )
    for fact in missing:
        granted = {"status_id": 1, "feature_value": '{"enabled": true}', "license_expires_at": None}
        _save(fact.of.id, link, _find(fact.of.id, link), granted)
    return tuple(fact.of.code for fact in missing)


def _dependents(feature_id: int) -> list[str]:
    """Name the features that depend on one, directly or through others."""
    rows = db.connection().execute(
        "WITH RECURSIVE needer(id) AS (SELECT ? UNION SELECT d.feature_id FROM needer n"
        " JOIN feature_dependency d ON d.depends_on_feature_id = n.id"
        " JOIN status s ON s.id = d.status_id AND s.is_active = 1)"
        " SELECT f.code FROM needer n JOIN feature f ON f.id = n.id WHERE n.id <> ? ORDER BY f.id",
        (feature_id, feature_id),
    )
    return [code for (code,) in rows]


def _find(feature_id: int, link: Link) -> dict[str, Any] | None:
    found = db.query(
        "SELECT * FROM feature_license WHERE feature_id = ? AND scope_type_id = ?"
        " AND COALESCE(scope_id, 0) = COALESCE(?, 0) AND COALESCE(organization_id, 0) = COALESCE(?, 0)",
        (feature_id, link.scope_type_id, link.scope_id, link.organization_id),
    )
    return found[0] if found else None


def _save(
    feature_id: int, link: Link, there: Mapping[str, Any] | None, columns: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a licence, for the first time or anew, and return its row."""
    connection, actor = db.connection(), db.current().actor_id
    if there is None:
        place = {
            "uuid": str(uuid.uuid4()),
            "feature_id": feature_id,
            "scope_type_id": link.scope_type_id,
            "scope_id": link.scope_id,
            "organization_id": link.organization_id,
            "created_by": actor,
        }
        row = {**place, **columns}
        connection.execute(
            f"INSERT INTO feature_license({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            list(row.values()),
        )
    else:
        row = {**columns, "updated_by": actor, "updated_at": clock.now_text()}
        parts = ", ".join(f"{name} = ?" for name in row)
        connection.execute(f"UPDATE feature_license SET {parts} WHERE id = ?", (*row.values(), there["id"]))
    written = _find(feature_id, link)
    assert written is not None
    return written


def _granted(row: Mapping[str, Any], code: str, link: Link, also: tuple[str, ...]) -> Granted:
    said = json.loads(row["feature_value"]) if row["feature_value"] else {}
    settings = row["feature_configuration"]
    return Granted(
        id=row["id"],
        feature=code,
        scope=link.label,
        enabled=row["status_id"] == 1 and said.get("enabled", True),
        value=said.get("value"),
        settings=None if settings is None else json.loads(settings),
        quantity=row["licensed_quantity"],
        expires_at=row["license_expires_at"],
        also=also,
    )
