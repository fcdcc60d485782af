"""Configuration: what is set, at which level, as one JSON document per type and scope."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import JsonField, ReferenceRow, SchemaField, VersionedRow, reference
from edgekit.models.parties import Organization
from edgekit.models.reference import ScopeType


class ConfigurationType(ReferenceRow):
    """A family of settings, the JSON Schema they follow, and the levels they may be set at."""

    schema_definition: Any = SchemaField(null=True)
    applies_to_system: Any = peewee.BooleanField(default=False)
    applies_to_program: Any = peewee.BooleanField(default=False)
    applies_to_producer: Any = peewee.BooleanField(default=False)
    applies_to_entity: Any = peewee.BooleanField(default=False)
    applies_to_user: Any = peewee.BooleanField(default=False)
    is_default: Any = peewee.BooleanField(default=False)


class Configuration(VersionedRow):
    """What is set of a family in one scope."""

    configuration_type: Any = reference(ConfigurationType)
    configuration_type_id: int
    scope_type: Any = reference(ScopeType)
    scope_type_id: int
    scope_id: Any = peewee.IntegerField(null=True)
    organization: Any = reference(Organization, null=True)
    organization_id: int | None
    config_data: Any = JsonField()
    config_metadata: Any = JsonField(null=True)
