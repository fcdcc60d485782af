"""What is licensed: `licensing check`, `explain`, `list`, `usage`, `tiers`, `grant`, `withhold` and more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import license_files
from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, place_options
from edgekit.cli.show import show
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from edgekit.licensing.checking import Explanation
    from edgekit.licensing.deciding import Decision
    from edgekit.licensing.tiers import Tier


@click.group(cls=Group)
def licensing() -> None:
    """Ask what is licensed and why, license features, and count their use."""


for _command in license_files.COMMANDS:
    licensing.add_command(_command)


_scope_option = click.option(
    "--scope", "place", metavar="LEVEL[:CODE]", default="system", show_default=True,
    help="Where: system, organization[:CODE], program:CODE, producer:CODE.",
)  # fmt: skip

_organization_option = click.option(
    "--organization", metavar="CODE", help="Whose program or producer it is, where several have such a code."
)


@licensing.command(example="edgekit licensing check ADVANCED_ANALYTICS --program AUTO --json")
@click.argument("feature")
@place_options
@json_option
@opened
def check(feature: str, as_json: bool, **place: Any) -> None:
    """Say whether a feature is available at a place, and why."""
    from edgekit import licensing as lib

    show(_answer(lib.check(feature, **place)), as_json)
    license_files.warn_of_clock()


def _answer(decision: Decision) -> dict[str, Any]:
    return {
        "enabled": decision.enabled,
        "reason": decision.reason,
        "message": decision.message,
        "feature": decision.feature,
        "feature_key": decision.feature_key,
        "value": decision.value,
        "settings": decision.settings,
        "quantity": decision.quantity,
        "mode": decision.mode,
        "turns_at": decision.turns_at,
    }


@licensing.command(example="edgekit licensing explain ADVANCED_ANALYTICS --program AUTO --json")
@click.argument("feature")
@place_options
@json_option
@opened
def explain(feature: str, as_json: bool, **place: Any) -> None:
    """Say why a feature is available or not: all that was looked at, and every link that is missing."""
    from edgekit import licensing as lib

    show(lib.explain(feature, **place), as_json, view=_explained)
    license_files.warn_of_clock()


def _explained(found: Explanation) -> dict[str, Any]:
    return {
        "enabled": found.enabled,
        "reason": found.message,
        "mode": found.mode,
        "chain": " > ".join(found.chain),
        "tier": found.tier,
        "value": found.value,
        "settings": dict(found.settings),
        "unmet": [{"link": one.link, "message": one.message} for one in found.unmet],
        "path": [
            {
                "feature": one.feature,
                "source": one.source,
                "scope": one.scope,
                "says": one.says,
                "detail": one.detail,
            }
            for one in found.path
        ],
    }


@licensing.command("list", example="edgekit licensing list --program AUTO")
@place_options
@json_option
@opened
def list_features(as_json: bool, **place: Any) -> None:
    """List all features with whether they are available at a place."""
    from edgekit import licensing as lib

    show(lib.list_features(**place), as_json)


@licensing.command(example="edgekit licensing usage")
@click.argument("feature", required=False)
@json_option
@opened
def usage(feature: str | None, as_json: bool) -> None:
    """List what was used of features, beside what is licensed."""
    from edgekit import licensing as lib

    show(lib.usage(feature), as_json, empty="Nothing was counted.")


@licensing.command(example="edgekit licensing tiers")
@json_option
@opened
def tiers(as_json: bool) -> None:
    """List the tiers: who has them, and which features they cover."""
    from edgekit import licensing as lib

    show(lib.list_tiers(), as_json, view=_tier)


def _tier(tier: Tier) -> dict[str, Any]:
    return {
        "code": tier.code,
        "rank": tier.rank,
        "retired": tier.is_retired,
        "users": tier.users,
        "organizations": tier.organizations,
        "features": len(tier.features),
    }


@licensing.command("assign-tier", example="edgekit licensing assign-tier PREMIUM --user maria")
@click.argument("tier", required=False)
@click.option("--organization", metavar="CODE", help="Whose tier it is, if not the main organization's.")
@click.option("--user", metavar="NAME", help="The one user it is for; it goes before the organization's.")
@click.option("--none", is_flag=True, help="Take the tier away.")
@json_option
@opened
def assign_tier(
    tier: str | None, organization: str | None, user: str | None, none: bool, as_json: bool
) -> None:
    """Give a tier to the organization, or to one user."""
    from edgekit import licensing as lib

    if (tier is None) != none:
        raise click.UsageError("Name a tier, or say --none.")
    show(lib.assign_tier(tier, organization=organization, user=user), as_json)


@licensing.command(example="edgekit licensing grant EMAIL_NOTIFICATIONS --scope program:AUTO --quantity 5")
@click.argument("feature")
@_scope_option
@_organization_option
@click.option("--value", metavar="JSON", help="Its value, where it has one.")
@click.option("--settings", metavar="JSON", help="Settings of the feature there, as an object.")
@click.option("--quantity", type=click.IntRange(min=1), help="How many units or seats.")
@click.option(
    "--expires", metavar="TIME", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="When it ends, in UTC: 2027-01-31 (as that day begins) or 2027-01-31T12:00:00Z.",
)  # fmt: skip
@click.option("--with-prerequisites", is_flag=True, help="Grant what it depends on and lacks there, too.")
@json_option
@opened
def grant(
    feature: str,
    place: str,
    organization: str | None,
    value: str | None,
    settings: str | None,
    quantity: int | None,
    expires: datetime | None,
    with_prerequisites: bool,
    as_json: bool,
) -> None:
    """License a feature to a place."""
    from edgekit import licensing as lib
    from edgekit.licensing import granting

    said = None if value is None else granting.read_value(value, what="--value")
    given = lib.grant(
        feature, place=place, organization=organization, value=said,
        settings=_settings(settings), quantity=quantity, expires_at=expires and expires.replace(tzinfo=UTC),
        with_prerequisites=with_prerequisites,
    )  # fmt: skip
    show(given, as_json)


@licensing.command(example="edgekit licensing withhold EMAIL_NOTIFICATIONS --scope producer:P7")
@click.argument("feature")
@_scope_option
@_organization_option
@json_option
@opened
def withhold(feature: str, place: str, organization: str | None, as_json: bool) -> None:
    """Switch a feature off at a place and below it."""
    from edgekit import licensing as lib

    found = lib.withhold(feature, place=place, organization=organization)
    note = f"Off with it: {', '.join(found.also)}" if found.also else None
    show(found, as_json, note=note)


@licensing.command(example="edgekit licensing unset EMAIL_NOTIFICATIONS --scope producer:P7")
@click.argument("feature")
@_scope_option
@_organization_option
@opened
def unset(feature: str, place: str, organization: str | None) -> None:
    """Take a licence away, so that tier and broader licences decide again."""
    from edgekit import licensing as lib

    lib.unset(feature, place=place, organization=organization)
    show(f"The licence of {feature} for {place} is gone.", as_json=False)


@licensing.command(example="edgekit licensing entity DCS_HOUSEHOLD_DRIVERS")
@click.argument("entity")
@click.option("--activate", is_flag=True, help="Make it active, if all it requires is there.")
@json_option
@opened
def entity(entity: str, activate: bool, as_json: bool) -> None:
    """List the features an entity requires or may use, and whether they are there."""
    from edgekit import licensing as lib

    found = lib.activate_entity(entity) if activate else lib.requirements(entity)
    show(found, as_json, empty="It requires no feature.")


@licensing.command(example="edgekit licensing gates --user maria")
@place_options
@json_option
@opened
def gates(as_json: bool, **place: Any) -> None:
    """List components and models: which are gated by a feature, which are open, which may be used."""
    from edgekit import licensing as lib

    show(lib.gates(**place), as_json, empty="No component and no model is registered.")


def _settings(text: str | None) -> dict[str, Any] | None:
    from edgekit.licensing import granting

    found = None if text is None else granting.read_value(text, what="--settings")
    if found is not None and not isinstance(found, dict):
        raise InvalidError("--settings is an object.", hint="For example: '{\"daily_email_limit\": 50}'")
    return found
