"""Communications: every exchange with somebody or something outside, or between parts of the system."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import (
    BusinessRow,
    JsonField,
    ReferenceRow,
    SchemaField,
    TimeField,
    organization_id,
    reference,
)
from edgekit.models.entities import EntityReferenceType
from edgekit.models.parties import Organization
from edgekit.models.reference import CommunicationDirection, RelationshipType


class CommunicationChannel(ReferenceRow):
    """A technical way of delivery."""

    is_real_time: Any = peewee.BooleanField(default=False)
    requires_authentication: Any = peewee.BooleanField(default=True)


class CommunicationStatus(ReferenceRow):
    """A state a communication may be in."""

    is_final_state: Any = peewee.BooleanField(default=False)
    is_error_state: Any = peewee.BooleanField(default=False)


class BusinessContextType(ReferenceRow):
    """A kind of business row a communication may be about, and names its table."""

    table_name: Any = peewee.TextField()


class CommunicationType(ReferenceRow):
    """A business purpose of communications; how they travel is the channel's affair."""

    request_schema: Any = SchemaField(null=True)
    response_schema: Any = SchemaField(null=True)
    metadata_schema: Any = SchemaField(null=True)


class CommunicationTypeChannel(BusinessRow):
    """Says that a type may travel by a channel."""

    communication_type: Any = reference(CommunicationType)
    communication_type_id: int
    channel: Any = reference(CommunicationChannel)
    channel_id: int
    is_default: Any = peewee.BooleanField(default=False)
    configuration_schema: Any = SchemaField(null=True)

    class Meta:
        indexes = ((("communication_type", "channel"), True),)


class Communication(BusinessRow):
    """One exchange: from whom, to whom, about what, by which channel, and how it went."""

    uuid: Any = peewee.TextField(unique=True)
    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    communication_type: Any = reference(CommunicationType)
    communication_type_id: int
    source_type: Any = reference(EntityReferenceType)
    source_type_id: int
    source_id: Any = peewee.IntegerField()
    target_type: Any = reference(EntityReferenceType)
    target_type_id: int
    target_id: Any = peewee.IntegerField()
    channel: Any = reference(CommunicationChannel)
    channel_id: int
    direction: Any = reference(CommunicationDirection)
    direction_id: int
    business_context_type: Any = reference(BusinessContextType, null=True)
    business_context_type_id: int | None
    business_context_id: Any = peewee.IntegerField(null=True)
    request_data: Any = JsonField(null=True)
    response_data: Any = JsonField(null=True)
    metadata: Any = JsonField(null=True)
    communication_status: Any = reference(CommunicationStatus)
    communication_status_id: int
    error_message: Any = peewee.TextField(null=True)
    retry_count: Any = peewee.IntegerField(default=0)
    scheduled_at: Any = TimeField(null=True)
    started_at: Any = TimeField(null=True)
    completed_at: Any = TimeField(null=True)
    correlation_id: Any = peewee.TextField()
    idempotency_key: Any = peewee.TextField(unique=True, null=True)
    parent_communication: Any = reference("self", null=True)
    parent_communication_id: int | None


class CommunicationBusinessContext(BusinessRow):
    """Says that a communication has to do with a business row."""

    communication: Any = reference(Communication)
    communication_id: int
    context_type: Any = reference(BusinessContextType)
    context_type_id: int
    context_id: Any = peewee.IntegerField()
    relationship_type: Any = reference(RelationshipType, default=2)
    relationship_type_id: int

    class Meta:
        indexes = ((("communication", "context_type", "context_id"), True),)
