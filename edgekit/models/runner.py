"""Runner: what ran, how far it came, and what was set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import peewee

from edgekit import clock
from edgekit.models.base import (
    BusinessRow,
    DateField,
    JsonField,
    MaskedField,
    MaskedJsonField,
    Row,
    TimeField,
    actor_id,
    now,
    organization_id,
    reference,
    user_reference,
)
from edgekit.models.communications import Communication
from edgekit.models.core import Job
from edgekit.models.events import IntegrationEvent
from edgekit.models.integrations import Integration, IntegrationPipelineDefinition
from edgekit.models.parties import Organization, User
from edgekit.models.vault import EncryptionKey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from edgekit.recurrence import Recurrence


class IntegrationSchedule(BusinessRow):
    """Says when an integration runs. Writing what makes it due works out `next_run_at` unless given."""

    due_by: ClassVar[frozenset[str]] = frozenset(
        {"schedule_type", "cron_expression", "interval_minutes", "timezone", "start_date", "end_date"}
        | {"last_run_at"}
    )
    """The columns that make it due; those of its times of day beside them. Its state changes no due time."""

    schedule_name: Any = peewee.TextField()
    integration: Any = reference(Integration, on_delete="CASCADE")
    integration_id: int
    schedule_type: Any = peewee.TextField()
    cron_expression: Any = peewee.TextField(null=True)
    interval_minutes: Any = peewee.IntegerField(null=True)
    event_type: Any = peewee.TextField(null=True)
    after_event_id: Any = peewee.IntegerField(default=0)
    timezone: Any = peewee.TextField(default="UTC")
    start_date: Any = DateField(null=True)
    end_date: Any = DateField(null=True)
    next_run_at: Any = TimeField(null=True)
    last_run_at: Any = TimeField(null=True)
    retry_policy: Any = JsonField(null=True)
    execution_timeout_seconds: Any = peewee.IntegerField(default=300)
    overlap_policy: Any = peewee.TextField(default="skip")
    missed_execution_policy: Any = peewee.TextField(default="skip")
    grace_seconds: Any = peewee.IntegerField(default=300)
    catch_up_limit: Any = peewee.IntegerField(default=24)
    catch_up_delay_seconds: Any = peewee.IntegerField(default=10)
    jitter_seconds: Any = peewee.IntegerField(default=0)
    pause_reason: Any = peewee.TextField(null=True)
    is_failure_notified: Any = peewee.BooleanField(default=True)
    execution_parameters: Any = JsonField(null=True)
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None

    @classmethod
    def update(cls, data: Any = None, /, **values: Any) -> Any:
        """Return the query that updates rows; it takes back a next run worked out for other times."""
        changed = {field.name: value for field, value in cls._normalize_data(data, values).items()}
        if {cls._meta.fields[name].column_name for name in changed} & cls.due_by:
            changed.setdefault("next_run_at", None)
        return super().update(changed)

    @classmethod
    def completed(cls, row: Mapping[str, Any], written: Collection[str]) -> dict[str, Any]:
        """Return `next_run_at` as it follows from what was written."""
        if "next_run_at" in written or not cls.due_by & set(written):
            return {}
        due = cls.next_run(row, clock.now())
        cls._take_back(row.get("id"), due)
        return {"next_run_at": None if due is None else clock.to_text(due)}

    @classmethod
    def next_run(cls, row: Mapping[str, Any], moment: datetime) -> datetime | None:
        """Return when a row, as it will be, is due next. Raise InvalidError for a bad cron text or zone.

        A paused one (status 2) is due as well: what falls into the pause is noted, and not run.
        """
        recurrence = cls.recurrence(row)
        return recurrence.first(moment) if row.get("status_id", 1) in (1, 2) else None

    @classmethod
    def recurrence(cls, row: Mapping[str, Any]) -> Recurrence:
        """Return what makes a row due, its times of day read from the file. Raise InvalidError."""
        from edgekit.recurrence import Recurrence

        times = IntegrationScheduleTime.select(IntegrationScheduleTime.time_of_day).where(
            IntegrationScheduleTime.schedule == row.get("id"), IntegrationScheduleTime.status == 1
        )
        return Recurrence.of(row, tuple(sorted(time.time_of_day for time in times)))

    @classmethod
    def _take_back(cls, row_id: int | None, due: datetime | None) -> None:
        """Empty a next run that stays the same: the file takes one that did not change for one forgotten."""
        if row_id is not None and due is not None:
            cls.update(next_run_at=None).where(cls.id == row_id, cls.next_run_at == due).execute()

    @property
    def columns(self) -> dict[str, Any]:
        """The row by the names of its columns."""
        return {self._meta.fields[name].column_name: value for name, value in self.__data__.items()}

    def save(self, force_insert: bool = False, only: Any = None) -> Any:
        """Write the row, and when it is due next."""
        written = {self._meta.fields[name].column_name for name in self._dirty}
        if self.due_by & written:
            if "next_run_at" not in written:
                self.next_run_at = self.next_run(self.columns, now())
                only = None if only is None else [*only, "next_run_at"]
            self._take_back(None if force_insert else self._pk, self.next_run_at)
        return super().save(force_insert=force_insert, only=only)


class IntegrationScheduleTime(BusinessRow):
    """A time of day at which a schedule runs. Writing one works out when the schedule is due next."""

    schedule: Any = reference(IntegrationSchedule, on_delete="CASCADE")
    schedule_id: int
    time_of_day: Any = peewee.TextField()

    class Meta:
        indexes = ((("schedule", "time_of_day"), True),)

    @classmethod
    def settle(cls, row: Mapping[str, Any]) -> None:
        """Work out anew when the schedule is due next."""
        schedule = IntegrationSchedule.get_by_id(row["schedule_id"])
        due = schedule.next_run(schedule.columns, now())
        if schedule.schedule_type == "fixed_time" and due != schedule.next_run_at:
            schedule.next_run_at = due
            schedule.save()

    def save(self, force_insert: bool = False, only: Any = None) -> Any:
        """Write the row, and when its schedule is due next."""
        saved = super().save(force_insert=force_insert, only=only)
        self.settle({"schedule_id": self.schedule_id})
        return saved


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
    is_concurrent: Any = peewee.BooleanField(default=False)
    started_at: Any = TimeField(null=True)
    ended_at: Any = TimeField(null=True)
    records_read: Any = peewee.IntegerField(default=0)
    records_written: Any = peewee.IntegerField(default=0)
    records_changed: Any = peewee.IntegerField(default=0)
    records_failed: Any = peewee.IntegerField(default=0)
    records_filtered: Any = peewee.IntegerField(default=0)
    retry_count: Any = peewee.IntegerField(default=0)
    error_code: Any = peewee.TextField(null=True)
    error_message: Any = MaskedField(null=True)
    error_data: Any = MaskedJsonField(null=True)
    correlation_id: Any = peewee.TextField()
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None


class IntegrationScheduleExecution(BusinessRow):
    """A due time of a schedule, or a span of them, and what became of it."""

    schedule: Any = reference(IntegrationSchedule, on_delete="CASCADE")
    schedule_id: int
    slot_kind: Any = peewee.TextField(default="due")
    event: Any = reference(IntegrationEvent, null=True)
    event_id: int | None
    job: Any = reference(Job, null=True)
    job_id: int | None
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
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None

    class Meta:
        indexes = ((("event", "schedule"), True),)


class RunnerSession(BusinessRow):
    """One life of a runner, from its start to its end."""

    runner_id: Any = peewee.TextField(unique=True)
    process_id: Any = peewee.IntegerField()
    host_name: Any = peewee.TextField(null=True)
    app_version: Any = peewee.TextField()
    started_at: Any = TimeField()
    ended_at: Any = TimeField(null=True)
    end_reason: Any = peewee.TextField(null=True)


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
    request_url: Any = MaskedField(null=True)
    request_data: Any = MaskedJsonField(null=True)
    response_data: Any = MaskedJsonField(null=True)
    response_code: Any = peewee.IntegerField(null=True)
    response_time_ms: Any = peewee.IntegerField(null=True)
    is_success: Any = peewee.BooleanField(default=True)
    error_message: Any = MaskedField(null=True)
    retry_count: Any = peewee.IntegerField(default=0)
    correlation_id: Any = peewee.TextField()
    external_reference: Any = MaskedField(null=True)
    span_id: Any = peewee.TextField(null=True)
    organization: Any = reference(Organization, null=True, default=organization_id)
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
    step_name: Any = peewee.TextField(null=True)
    step_record: Any = peewee.TextField(null=True)
    error_code: Any = peewee.TextField()
    error_field: Any = peewee.TextField(null=True)
    error_message: Any = MaskedField()
    attempts: Any = peewee.IntegerField(default=1)
    replay_status: Any = peewee.TextField(default="pending")
    settled_at: Any = TimeField(null=True)
    correlation_id: Any = peewee.TextField()

    class Meta:
        indexes = ((("integration", "record_digest"), True),)


class IntegrationExecutionInput(BusinessRow):
    """A batch of what a run read, kept so that it can be run again."""

    uuid: Any = peewee.TextField(unique=True)
    execution: Any = reference(IntegrationExecution)
    execution_id: int
    batch_number: Any = peewee.IntegerField()
    record_count: Any = peewee.IntegerField()
    records_zlib: Any = peewee.BlobField(null=True)
    records_ciphertext: Any = peewee.BlobField(null=True)
    encryption_key: Any = reference(EncryptionKey, null=True)
    encryption_key_id: int | None
    expires_at: Any = TimeField()

    class Meta:
        indexes = ((("execution", "batch_number"), True),)


class IntegrationDelivery(BusinessRow):
    """What became of one record of an integration that sends."""

    integration: Any = reference(Integration)
    integration_id: int
    execution: Any = reference(IntegrationExecution, null=True)
    execution_id: int | None
    record_key: Any = peewee.TextField()
    content_digest: Any = peewee.TextField()
    idempotency_key: Any = peewee.TextField()
    delivery_status: Any = peewee.TextField()
    response_code: Any = peewee.IntegerField(null=True)
    external_reference: Any = MaskedField(null=True)
    response_data: Any = MaskedJsonField(null=True)
    error_message: Any = MaskedField(null=True)
    sent_at: Any = TimeField()

    class Meta:
        indexes = ((("integration", "record_key"), True),)


class WebhookReceipt(Row):
    """What another service told us of its own accord, kept as it came."""

    integration: Any = reference(Integration)
    integration_id: int
    event_id: Any = peewee.TextField()
    content_type: Any = peewee.TextField(null=True)
    headers: Any = JsonField(default=dict)
    body: Any = peewee.TextField()
    received_at: Any = TimeField(default=now)
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None
    created_by: Any = user_reference(column_name="created_by", default=actor_id)

    class Meta:
        indexes = ((("integration", "event_id"), True),)


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
    recent_uses: Any = JsonField(default=dict)

    class Meta:
        indexes = ((("limiter_key", "window_seconds"), True),)
