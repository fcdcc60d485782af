"""Events: what has happened, told to whoever listens, in the transaction of the change it reports."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, JsonField, ReferenceRow, TimeField, now, reference
from edgekit.models.parties import Organization


class EventSource(ReferenceRow):
    """A part of the system that emits events."""


class IntegrationEvent(BusinessRow):
    """An event in the outbox."""

    uuid: Any = peewee.TextField(unique=True)
    event_type: Any = peewee.TextField()
    event_source: Any = reference(EventSource)
    event_source_id: int
    event_target: Any = peewee.TextField(null=True)
    event_payload: Any = JsonField()
    ordering_key: Any = peewee.TextField(null=True)
    event_metadata: Any = JsonField(default=dict)
    processing_status: Any = peewee.TextField(default="pending")
    processing_error: Any = peewee.TextField(null=True)
    processed_at: Any = TimeField(null=True)
    correlation_id: Any = peewee.TextField()
    causation_id: Any = peewee.TextField(null=True)
    organization: Any = reference(Organization, null=True)
    organization_id: int | None


class EventSubscription(ReferenceRow):
    """Says who listens: the events it is about become deliveries, done by jobs of its kind."""

    event_type: Any = peewee.TextField(null=True)
    event_source: Any = reference(EventSource, null=True)
    event_source_id: int | None
    organization: Any = reference(Organization, null=True)
    organization_id: int | None
    handler_kind: Any = peewee.TextField()
    handler_config: Any = JsonField(null=True)
    max_attempts: Any = peewee.IntegerField(null=True)
    last_event_id: Any = peewee.IntegerField(default=0)


class EventDelivery(BusinessRow):
    """An event on its way to one who listens."""

    event: Any = reference(IntegrationEvent)
    event_id: int
    subscription: Any = reference(EventSubscription)
    subscription_id: int
    ordering_key: Any = peewee.TextField(null=True)
    idempotency_key: Any = peewee.TextField(unique=True)
    delivery_status: Any = peewee.TextField(default="pending")
    attempts: Any = peewee.IntegerField(default=0)
    next_attempt_at: Any = TimeField(default=now)
    settled_at: Any = TimeField(null=True)
    error_code: Any = peewee.TextField(null=True)
    error_message: Any = peewee.TextField(null=True)

    class Meta:
        indexes = ((("event", "subscription"), True),)
