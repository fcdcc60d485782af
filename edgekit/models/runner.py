"""Runner: what ran, how far it came, and what was set aside."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import (
    BusinessRow,
    DateField,
    JsonField,
    Row,
    TimeField,
    actor_id,
    now,
    reference,
    user_reference,
)
from edgekit.models.communications import Communication
from edgekit.models.integrations import Integration, IntegrationPipelineDefinition
from edgekit.models.parties import Organization, User


class IntegrationSchedule(BusinessRow):
    """Says when an integration runs."""

    schedule_name: Any = peewee.TextField()
    integration: Any = reference(Integration, on_delete="CASCADE")
    integration_id: int
    schedule_type: Any = peewee.TextField()
    cron_expression: Any = peewee.TextField(null=True)
    interval_minutes: Any = peewee.IntegerField(null=True)
    event_type: Any = peewee.TextField(null=True)
    timezone: Any = peewee.TextField(default="UTC")
    start_date: Any = DateField(null=True)
    end_date: Any = DateField(null=True)
    next_run_at: Any = TimeField(null=True)
    last_run_at: Any = TimeField(null=True)
    retry_policy: Any = JsonField(null=True)
    execution_timeout_seconds: Any = peewee.IntegerField(default=300)
    overlap_policy: Any = peewee.TextField(default="skip")
    missed_execution_policy: Any = peewee.TextField(default="skip")
    is_failure_notified: Any = peewee.BooleanField(default=True)
    execution_parameters: Any = JsonField(null=True)
    organization: Any = reference(Organization, null=True, default=1)
    organization_id: int | None


class IntegrationScheduleTime(BusinessRow):
    """A time of day at which a schedule runs."""

    schedule: Any = reference(IntegrationSchedule, on_delete="CASCADE")
    schedule_id: int
    time_of_day: Any = peewee.TextField()

    class Meta:
        indexes = ((("schedule", "time_of_day"), True),)


class IntegrationScheduleRecipient(BusinessRow):
    """A user who hears of a schedule's final failures."""

    schedule: Any = reference(IntegrationSchedule, on_delete="CASCADE")
    schedule_id: int
    user: Any = reference(User)
    user_id: int

    class Meta:
        indexes = ((("schedule", "user"), True),)


class IntegrationExecution(BusinessRow):
    """One run of an integration."""

    uuid: Any = peewee.TextField(unique=True)
    integration: Any = reference(Integration)
    integration_id: int
    pipeline: Any = reference(IntegrationPipelineDefinition, null=True)
    pipeline_id: int | None
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
    error_data: Any = JsonField(null=True)
    correlation_id: Any = peewee.TextField()
    organization: Any = reference(Organization, null=True, default=1)
    organization_id: int | None


class IntegrationScheduleExecution(BusinessRow):
    """A due time of a schedule, or a span of them, and what became of it."""

    schedule: Any = reference(IntegrationSchedule, on_delete="CASCADE")
    schedule_id: int
    execution: Any = reference(IntegrationExecution, null=True)
    execution_id: int | None
    scheduled_at: Any = TimeField()
    span_ended_at: Any = TimeField(null=True)
    slot_count: Any = peewee.IntegerField(default=1)
    started_at: Any = TimeField(null=True)
    ended_at: Any = TimeField(null=True)
    execution_status: Any = peewee.TextField(default="scheduled")
    reason: Any = peewee.TextField(null=True)
    records_processed: Any = peewee.IntegerField(default=0)
    error_count: Any = peewee.IntegerField(default=0)
    warning_count: Any = peewee.IntegerField(default=0)
    execution_notes: Any = peewee.TextField(null=True)
    correlation_id: Any = peewee.TextField()
    organization: Any = reference(Organization, null=True, default=1)
    organization_id: int | None

    class Meta:
        indexes = ((("schedule", "scheduled_at"), True),)


class IntegrationExecutionCommunication(BusinessRow):
    """Says that a run made a communication."""

    execution: Any = reference(IntegrationExecution)
    execution_id: int
    communication: Any = reference(Communication)
    communication_id: int

    class Meta:
        indexes = ((("execution", "communication"), True),)


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
    communication: Any = reference(Communication, null=True)
    communication_id: int | None
    request_type: Any = peewee.TextField()
    request_url: Any = peewee.TextField(null=True)
    request_data: Any = JsonField(null=True)
    response_data: Any = JsonField(null=True)
    response_code: Any = peewee.IntegerField(null=True)
    response_time_ms: Any = peewee.IntegerField(null=True)
    is_success: Any = peewee.BooleanField(default=True)
    error_message: Any = peewee.TextField(null=True)
    retry_count: Any = peewee.IntegerField(default=0)
    correlation_id: Any = peewee.TextField()
    external_reference: Any = peewee.TextField(null=True)
    organization: Any = reference(Organization, null=True, default=1)
    organization_id: int | None
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


class CircuitBreaker(BusinessRow):
    """The breaker between an integration and a place it calls."""

    integration: Any = reference(Integration, on_delete="CASCADE")
    integration_id: int
    target: Any = peewee.TextField()
    breaker_status: Any = peewee.TextField(default="closed")
    failure_count: Any = peewee.IntegerField(default=0)
    opened_at: Any = TimeField(null=True)
    retry_at: Any = TimeField(null=True)

    class Meta:
        indexes = ((("integration", "target"), True),)


class RateLimitWindow(BusinessRow):
    """How much of a limit is used up in its current window, by all processes together."""

    limiter_key: Any = peewee.TextField()
    window_seconds: Any = peewee.IntegerField()
    window_started_at: Any = TimeField()
    used_count: Any = peewee.IntegerField(default=0)

    class Meta:
        indexes = ((("limiter_key", "window_seconds"), True),)
