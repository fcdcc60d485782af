"""Which integration or provider serves a channel at the place of a communication, and whether it may."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, configuration, db, integrations, licensing
from edgekit.errors import DeniedError, InvalidError, NotFoundError, quoted
from edgekit.integrations import forms, reading
from edgekit.runner.channels.message import Provider, Service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

BY_HAND = {"SMS", "PHONE", "MAIL"}
"""Channels a person serves where nothing else does."""

PROVIDERS = "edgekit.channels"
"""The group of entry points by which packages bring providers along."""

_SOLD = ("program_id", "producer_id")


def place_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Say where a communication stands on the scope chain.

    That is its organization, of what it is about the program and the producer, and an entity it is for.
    """
    place: dict[str, Any] = {"organization": row["organization_id"]}
    tables = db.query(
        "SELECT b.table_name AS about, e.table_name AS target FROM entity_reference_type e"
        " LEFT JOIN business_context_type b ON b.id = ?2 WHERE e.id = ?1",
        (row["target_type_id"], row["business_context_type_id"]),
    )[0]
    if tables["about"] is not None:
        found = db.query(f"SELECT * FROM {tables['about']} WHERE id = ?", (row["business_context_id"],))
        for column in _SOLD:
            if found and found[0].get(column) is not None:
                place[column.removesuffix("_id")] = found[0][column]
    if tables["target"] == "entity":
        place["entity"] = row["target_id"]
    return place


def find(row: Mapping[str, Any]) -> Service:
    """Return what serves the channel of a communication.

    Raise InvalidError where nothing does, or the configuration names what cannot, NotFoundError for an
    integration there is not, DeniedError for one that may not be used here.
    """
    channel = str(row["channel"]).upper()
    if channel == "INTERNAL":
        return Service(channel)
    kind = f"CHANNEL_{channel}"
    is_known = bool(db.query("SELECT 1 FROM configuration_type WHERE code = ?", (kind,)))
    said = configuration.resolve(kind, **place_of(row)) if is_known else {}
    own = said.get("types", {}).get(row["type"], {})
    said = {**said, **own}
    name, provider = said.get("integration"), said.get("provider")
    rest = {key: value for key, value in said.items() if key not in {"integration", "provider", "types"}}
    if name is None and provider is None:
        if channel in BY_HAND:
            return Service(channel, settings=rest)
        raise InvalidError(
            f"Nothing serves the channel {channel} here.",
            hint=f"Name an integration that does: edgekit configuration set {kind} integration NAME"
            + ("" if is_known else "; the type is new, it comes by: edgekit seeds apply"),
        )
    integration = _usable(str(name), row, channel) if name is not None else None
    return Service(channel, integration, provider, rest)


def _usable(name: str, row: Mapping[str, Any], channel: str) -> Mapping[str, Any]:
    found = {one["organization_id"]: one for one in reading.rows_named(name)}
    integration = found.get(row["organization_id"]) or found.get(None)
    if integration is None:
        if not found:
            integrations.find(name)  # which says what comes close
        raise DeniedError(
            f"{name}, which serves {channel}, belongs to another organization.",
            hint=f"Name one of its own: edgekit configuration set CHANNEL_{channel} integration NAME"
            " --scope organization:CODE",
        )
    integration["connection_config"] = codec.loads(integration["connection_config"])
    feature = db.query(
        "SELECT f.code FROM integration i JOIN integration_type t ON t.id = i.integration_type_id"
        " JOIN feature f ON f.id = t.feature_id WHERE i.id = ?",
        (integration["id"],),
    )[0]["code"]
    licensing.require(feature, organization=row["organization_id"])
    return integration


def require_credential(service: Service, row: Mapping[str, Any], *, now: datetime) -> None:
    """Go on only with a valid credential, where the channel asks for one.

    Raise DeniedError where the integration proves itself by nothing or by what has expired, InvalidError
    where the secret is not stored. Nothing has been sent then.
    """
    integration = service.integration
    if integration is None:
        if row["requires_authentication"] and not service.is_person:
            raise DeniedError(
                f"{service.channel} asks for a credential, and no integration is named that holds one.",
                hint=f"edgekit configuration set CHANNEL_{service.channel} integration NAME",
            )
        return
    name, settings = integration["integration_name"], integration["connection_config"]
    keys = {key.lower() for key in forms.secret_keys(settings)}
    if row["requires_authentication"] and not keys:
        raise DeniedError(
            f"{service.channel} asks for a credential, and {name} proves itself by none: nothing was sent.",
            hint=f"Say how it proves itself (to.auth, or auth), then: edgekit vault set {quoted(name)} KEY",
        )
    reading.require_secrets(integration["id"], name, settings)
    expired = db.query(
        "SELECT c.credential_key AS key, c.expires_at FROM integration_credential c"
        " JOIN system s ON s.environment_id = c.environment_id"
        " WHERE c.integration_id = ? AND c.status_id = 1 AND c.expires_at <= ?",
        (integration["id"], clock.to_text(now)),
    )
    for stored in expired:
        if stored["key"].lower() in keys:
            raise DeniedError(
                f"The secret {stored['key']} of {name} expired on {stored['expires_at']}: nothing was sent.",
                hint=f"Store a new one: edgekit vault set {quoted(name)} {quoted(stored['key'])}",
            )


def provider(name: str) -> Provider:
    """Return a provider that a package brings along. Raise NotFoundError with those there are."""
    found = {point.name: point for point in entry_points(group=PROVIDERS)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise NotFoundError(
            f"There is no provider {name} of messages here. There are: {known}.",
            hint="Install the package that brings it along, or take its name out of the configuration.",
        )
    try:
        made: Provider = found[name].load()()
    except (ImportError, AttributeError) as error:
        raise NotFoundError(
            f"The provider {name} cannot be loaded: {error}.", hint="Install its package again."
        ) from error
    return made
