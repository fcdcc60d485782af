"""Runner: what ran, how far it came, and what was set aside."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import (
    BusinessRow,
    JsonField,
    Row,
    TimeField,
    actor_id,
    now,
    reference,
    user_reference,
)
from edgekit.models.integrations import Integration
from edgekit.models.parties import Organization


class IntegrationExecution(BusinessRow):
    """One run of an integration."""

    uuid: Any = peewee.TextField(unique=True)
    integration: Any = reference(Integration)
    integration_id: int
    trigger_kind: Any = peewee.TextField(default="manual")
    execution_status: Any = peewee.TextField(default="pending")
    runner_id: Any = peewee.TextField(null=True)
    source_digest: Any = peewee.TextField(null=True)
    resumed_from: Any = reference("self", null=True)
    resumed_from_id: int | None
    started_at: Any = TimeField(null=True)
    ended_at: Any = TimeField(null=True)
    records_read: Any = peewee.IntegerField(default=0)
    records_written: Any = peewee.IntegerField(default=0)
    records_changed: Any = peewee.IntegerField(default=0)
    records_failed: Any = peewee.IntegerField(default=0)
    retry_count: Any = peewee.IntegerField(default=0)
    error_code: Any = peewee.TextField(null=True)
    error_message: Any = peewee.TextField(null=True)
    correlation_id: Any = peewee.TextField()
    organization: Any = reference(Organization, null=True)
    organization_id: int | None


class IntegrationCheckpoint(BusinessRow):
    """How far an integration has come: what the connector needs to go on."""

    integration: Any = reference(Integration, unique=True, on_delete="CASCADE")
    integration_id: int
    state: Any = JsonField()
    execution: Any = reference(IntegrationExecution, null=True)
    execution_id: int | None


class IntegrationLog(Row):
    """One attempt to reach the other side, kept for ever as it was."""

    integration: Any = reference(Integration)
    integration_id: int
    execution: Any = reference(IntegrationExecution, null=True)
    execution_id: int | None
    request_type: Any = peewee.TextField()
    request_url: Any = peewee.TextField(null=True)
    response_code: Any = peewee.IntegerField(null=True)
    response_time_ms: Any = peewee.IntegerField(null=True)
    is_success: Any = peewee.BooleanField(default=True)
    error_message: Any = peewee.TextField(null=True)
    retry_count: Any = peewee.IntegerField(default=0)
    correlation_id: Any = peewee.TextField()
    external_reference: Any = peewee.TextField(null=True)
    created_by: Any = user_reference(column_name="created_by", default=actor_id)
    created_at: Any = TimeField(default=now)


class DeadLetter(BusinessRow):
    """A record that could not be used, kept as it came until it is replayed or discarded."""

    integration: Any = reference(Integration)
    integration_id: int
    execution: Any = reference(IntegrationExecution)
    execution_id: int
    record: Any = peewee.TextField()
    record_digest: Any = peewee.TextField()
    source_position: Any = peewee.TextField()
    step: Any = peewee.TextField()
    error_code: Any = peewee.TextField()
    error_field: Any = peewee.TextField(null=True)
    error_message: Any = peewee.TextField()
    attempts: Any = peewee.IntegerField(default=1)
    replay_status: Any = peewee.TextField(default="pending")
    settled_at: Any = TimeField(null=True)
    correlation_id: Any = peewee.TextField()

    class Meta:
        indexes = ((("integration", "record_digest"), True),)
