"""Events: what has happened, told to whoever listens, in the transaction of the change it reports."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, JsonField, ReferenceRow, TimeField, reference
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
    event_metadata: Any = JsonField(null=True)
    processing_status: Any = peewee.TextField(default="pending")
    processing_error: Any = peewee.TextField(null=True)
    processed_at: Any = TimeField(null=True)
    correlation_id: Any = peewee.TextField()
    causation_id: Any = peewee.TextField(null=True)
    organization: Any = reference(Organization, null=True)
    organization_id: int | None
