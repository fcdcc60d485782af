"""Workflows: business processes of several steps, from their templates to what each step did."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, JsonField, ReferenceRow, TimeField, reference
from edgekit.models.clients import Client


class WorkflowType(ReferenceRow):
    """A kind of business process."""


class WorkflowTemplate(BusinessRow):
    """A version of the steps a kind of process takes."""

    code: Any = peewee.TextField()
    name: Any = peewee.TextField()
    description: Any = peewee.TextField(null=True)
    workflow_type: Any = reference(WorkflowType)
    workflow_type_id: int
    version: Any = peewee.TextField()
    definition: Any = JsonField()

    class Meta:
        indexes = ((("code", "version"), True),)


class OrchestrationWorkflow(BusinessRow):
    """A process that is to be, is being, or was gone through."""

    uuid: Any = peewee.TextField(unique=True)
    workflow_name: Any = peewee.TextField()
    workflow_type: Any = reference(WorkflowType)
    workflow_type_id: int
    workflow_template: Any = reference(WorkflowTemplate, null=True)
    workflow_template_id: int | None
    client: Any = reference(Client, null=True)
    client_id: int | None
    workflow_definition: Any = JsonField()
    workflow_status: Any = peewee.TextField(default="pending")
    metadata: Any = JsonField(null=True)
    started_at: Any = TimeField(null=True)
    completed_at: Any = TimeField(null=True)
    correlation_id: Any = peewee.TextField()
    error_code: Any = peewee.TextField(null=True)
    error_message: Any = peewee.TextField(null=True)


class WorkflowExecution(BusinessRow):
    """A step of a workflow: what it was given, what came of it, how often it was tried."""

    workflow: Any = reference(OrchestrationWorkflow, on_delete="CASCADE")
    workflow_id: int
    step_name: Any = peewee.TextField()
    step_type: Any = peewee.TextField()
    execution_order: Any = peewee.IntegerField()
    execution_status: Any = peewee.TextField(default="pending")
    input_data: Any = JsonField(null=True)
    output_data: Any = JsonField(null=True)
    error_data: Any = JsonField(null=True)
    execution_time_ms: Any = peewee.IntegerField(null=True)
    started_at: Any = TimeField(null=True)
    completed_at: Any = TimeField(null=True)
    retry_count: Any = peewee.IntegerField(default=0)
    max_retries: Any = peewee.IntegerField(default=3)

    class Meta:
        indexes = ((("workflow", "execution_order"), True),)
