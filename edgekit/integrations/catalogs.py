"""What a source has to offer, asked for from the source, and what is taken of it, kept in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import connectors, db
from edgekit.connectors import singer_catalog
from edgekit.errors import InvalidError
from edgekit.integrations import instances, reading, using
from edgekit.integrations.credentials import Secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.connectors.singer_catalog import Stream


def discover(name: str) -> list[Stream]:
    """Ask the tap of an integration which streams it has, and mark the one that is selected.

    Raise NotFoundError (integration, program, secret), InvalidError where its connector has no catalog,
    UnavailableError where the tap fails.
    """
    using.require_usable(name)
    row = reading.find(name)
    return singer_catalog.streams(_catalog(row), row["connection_config"].get("catalog"))


def select(
    name: str,
    stream: str,
    *,
    fields: Sequence[str] = (),
    exclude: Sequence[str] = (),
    replication: str | None = None,
    replication_key: str | None = None,
    key: Sequence[str] = (),
) -> dict[str, Any]:
    """Take a stream of the tap from now on: all its fields, only `fields`, or all but `exclude`.

    `replication` is full or incremental; without it the tap decides. `key` names the fields that identify a
    record where the tap does not say so, or says something else. Stored as a new version of the settings,
    unless they say so already. Return the integration as `show` does. Raise as `discover` does, and
    InvalidError naming the field.
    """
    using.require_usable(name)
    row = reading.find(name)
    settings = row["connection_config"]
    chosen = singer_catalog.select(
        _catalog(row), stream, fields=fields, exclude=exclude, replication=replication,
        replication_key=replication_key, key=key, legacy=settings.get("catalog_option") == "properties",
    )  # fmt: skip
    changed = {**settings, "stream": stream, "catalog": chosen}
    if key:
        changed["key"] = ",".join(key)
    connectors.check_config(connectors.get(settings["connector"]), instances.connector_config(changed))
    with db.change(reason=f"integrations select {name} {stream}"):
        from edgekit.models.integrations import Integration

        if changed != settings:
            stored = Integration.get_by_id(row["id"])
            stored.connection_config = changed
            stored.save()
    return reading.show(name)


def _catalog(row: dict[str, Any]) -> dict[str, Any]:
    settings = row["connection_config"]
    connector = connectors.get(str(settings.get("connector", "")))
    ask = getattr(connector, "discover", None)
    if ask is None:
        raise InvalidError(
            f"{row['integration_name']} has no catalog: the connector {connector.name} reads what it is told"
            " to.",
            hint="Taps of Singer have one: --set connector=singer",
        )
    config = instances.connector_config(settings)
    connectors.check_config(connector, config)
    found: dict[str, Any] = ask(config, secrets=Secrets(row["id"], row["integration_name"]))
    return found
