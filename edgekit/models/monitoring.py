"""Monitoring: figures over time, the limits they are held against, and what was found when one was passed."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import (
    BusinessRow,
    JsonField,
    ReferenceRow,
    Row,
    TimeField,
    now,
    reference,
    user_reference,
)
from edgekit.models.clients import Client
from edgekit.models.communications import Communication
from edgekit.models.integrations import Integration
from edgekit.models.parties import Organization


class MetricSample(Row):
    """One figure at one moment, kept as it was."""

    metric: Any = peewee.TextField()
    labels: Any = JsonField(default=dict)
    value: Any = peewee.FloatField()
    sampled_at: Any = TimeField(default=now)


class AlertRule(ReferenceRow):
    """A limit: what the samples of a metric, taken together over a window, must not come to."""

    metric: Any = peewee.TextField()
    integration: Any = reference(Integration, null=True)
    integration_id: int | None
    labels: Any = JsonField(null=True)
    aggregation: Any = peewee.TextField(default="average")
    comparison: Any = peewee.TextField(default="above")
    threshold: Any = peewee.FloatField()
    window_seconds: Any = peewee.IntegerField(default=300)
    severity: Any = peewee.TextField(default="warning")


class SlaTarget(BusinessRow):
    """What was promised of an integration."""

    integration: Any = reference(Integration)
    integration_id: int
    metric: Any = peewee.TextField()
    aggregation: Any = peewee.TextField(default="average")
    comparison: Any = peewee.TextField()
    target: Any = peewee.FloatField()
    window_seconds: Any = peewee.IntegerField()

    class Meta:
        indexes = ((("integration", "metric"), True),)


class Alert(BusinessRow):
    """One time a limit was passed or a promise broken, until it is over."""

    alert_rule: Any = reference(AlertRule, null=True)
    alert_rule_id: int | None
    sla_target: Any = reference(SlaTarget, null=True)
    sla_target_id: int | None
    subject: Any = peewee.TextField(null=True)
    alert_status: Any = peewee.TextField(default="open")
    observed_value: Any = peewee.FloatField()
    threshold: Any = peewee.FloatField()
    message: Any = peewee.TextField()
    opened_at: Any = TimeField(default=now)
    acknowledged_at: Any = TimeField(null=True)
    acknowledged_by: Any = user_reference(column_name="acknowledged_by", null=True)
    resolved_at: Any = TimeField(null=True)
    communication: Any = reference(Communication, null=True)
    communication_id: int | None


class Dashboard(ReferenceRow):
    """A collection of figures worth seeing together. What it looks like is the reader's affair."""

    organization: Any = reference(Organization, null=True)
    organization_id: int | None
    definition: Any = JsonField()


class ClientSummary(Row):
    """What `unified_client_dashboard` says of a client, as of the last refresh, which alone writes it."""

    client: Any = reference(Client, unique=True, on_delete="CASCADE")
    client_id: int
    active_modules: Any = peewee.IntegerField()
    configured_apps: Any = peewee.IntegerField()
    current_workflow: Any = peewee.TextField(null=True)
    workflow_status: Any = peewee.TextField(null=True)
    current_step: Any = peewee.TextField(null=True)
    handover_package: Any = peewee.TextField(null=True)
    delivery_status: Any = peewee.TextField(null=True)
    system_configurations: Any = peewee.IntegerField()
    deployment_configurations: Any = peewee.IntegerField()
    subscription_tier: Any = peewee.TextField(null=True)
    subscription_status: Any = peewee.TextField(null=True)
    changed_at: Any = TimeField(default=now)
