"""Entities: the outside parties and services an agency deals with."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, JsonField, ReferenceRow, SchemaField, reference
from edgekit.models.parties import Organization, Producer, Program


class EntityCategory(ReferenceRow):
    """A kind of entity type."""

    sort_order: Any = peewee.IntegerField(default=0)


class EntityType(ReferenceRow):
    """A type of entity; `metadata_schema` is the JSON Schema its entities follow."""

    category: Any = reference(EntityCategory)
    category_id: int
    metadata_schema: Any = SchemaField()
    icon: Any = peewee.TextField(null=True)
    color: Any = peewee.TextField(null=True)
    ui_component: Any = peewee.TextField(null=True)


class Entity(BusinessRow):
    """An outside party or service."""

    code: Any = peewee.TextField(unique=True)
    name: Any = peewee.TextField()
    entity_type: Any = reference(EntityType)
    entity_type_id: int
    organization: Any = reference(Organization, null=True)
    organization_id: int | None
    program: Any = reference(Program, null=True)
    program_id: int | None
    producer: Any = reference(Producer, null=True)
    producer_id: int | None
    metadata: Any = JsonField(null=True)


class EntityReferenceType(ReferenceRow):
    """Names a table that a party reference may point to."""

    table_name: Any = peewee.TextField()
