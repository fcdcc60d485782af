"""An integration as another one asks it: its source alone, with neither pipeline nor target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import connectors, licensing
from edgekit.errors import InvalidError
from edgekit.integrations import figures, instances, reading, using
from edgekit.integrations.credentials import Secrets

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Source:
    """The source of an integration, ready to be asked."""

    integration_id: int
    name: str
    organization_id: int | None
    connector: connectors.Connector
    config: Mapping[str, Any]
    secrets: Mapping[str, str]


def prepare_source(name: str) -> Source:
    """Read the source of an integration and check that it may be used.

    Raise NotFoundError, InvalidError naming the setting, DeniedError, LicenseError.
    """
    using.require_usable(name)
    row = reading.find(name)
    if row["entity_id"] is not None:
        licensing.require_entity(row["entity_id"])
    connector = connectors.get(str(row["connection_config"].get("connector", "")))
    if connector.name == "table":
        raise InvalidError(f"{name} reads a table of this file: enrich from it by lookup.")
    config = instances.connector_config(row["connection_config"])
    config |= figures.exchange_settings(row, config, connector.config_schema.get("properties", {}))
    connectors.check_config(connector, config)
    secrets = Secrets(row["id"], row["integration_name"])
    return Source(row["id"], row["integration_name"], row["organization_id"], connector, config, secrets)
