"""Integrations: what can be connected, how its fields become ours, and the secrets it needs."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import (
    BusinessRow,
    DateField,
    JsonField,
    ReferenceRow,
    Row,
    SchemaField,
    TimeField,
    VersionedRow,
    actor_id,
    now,
    organization_id,
    reference,
    user_reference,
)
from edgekit.models.configuration import Configuration
from edgekit.models.core import Environment
from edgekit.models.entities import Entity
from edgekit.models.licensing import Feature
from edgekit.models.parties import Organization, Program
from edgekit.models.reference import CommunicationDirection
from edgekit.models.vault import EncryptionKey


class IntegrationType(ReferenceRow):
    """A kind of integration that exists for everybody."""

    feature: Any = reference(Feature)
    feature_id: int
    is_default: Any = peewee.BooleanField(default=False)


class MapIntegrationConfiguration(BusinessRow):
    """Says that a configuration is used by a type of integration in one program."""

    program: Any = reference(Program)
    program_id: int
    integration_type: Any = reference(IntegrationType)
    integration_type_id: int
    configuration: Any = reference(Configuration)
    configuration_id: int

    class Meta:
        indexes = ((("program", "integration_type", "configuration"), True),)


class TemplateCategory(ReferenceRow):
    """A shelf of the template library."""


class Integration(VersionedRow):
    """An integration this file runs: a type, a name and its settings."""

    unversioned = frozenset({"health_status", "last_health_check_at"})
    integration_name: Any = peewee.TextField()
    integration_type: Any = reference(IntegrationType)
    integration_type_id: int
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None
    entity: Any = reference(Entity, null=True, unique=True)
    entity_id: int | None
    connection_config: Any = JsonField()
    health_status: Any = peewee.TextField(null=True)
    last_health_check_at: Any = TimeField(null=True)


class IntegrationCredential(BusinessRow):
    """A secret of an integration in an environment, sealed by the vault."""

    uuid: Any = peewee.TextField(unique=True)
    integration: Any = reference(Integration)
    integration_id: int
    environment: Any = reference(Environment, default=1)
    environment_id: int
    credential_key: Any = peewee.TextField()
    value_ciphertext: Any = peewee.BlobField()
    encryption_key: Any = reference(EncryptionKey)
    encryption_key_id: int
    expires_at: Any = TimeField(null=True)
    last_rotated_at: Any = TimeField(null=True)

    class Meta:
        indexes = ((("integration", "environment", "credential_key"), True),)


class IntegrationMapping(VersionedRow):
    """Says how one field of a record becomes one column of the target."""

    unversioned = frozenset({"test_coverage"})
    integration: Any = reference(Integration, on_delete="CASCADE")
    integration_id: int
    mapping_name: Any = peewee.TextField()
    mapping_type: Any = peewee.TextField(default="field")
    source_path: Any = peewee.TextField()
    target_path: Any = peewee.TextField()
    source_data_type: Any = peewee.TextField(null=True)
    target_data_type: Any = peewee.TextField(null=True)
    is_required: Any = peewee.BooleanField(default=False)
    default_value: Any = peewee.TextField(null=True)
    transformation_rules: Any = JsonField(null=True)
    validation_rules: Any = JsonField(null=True)
    communication_direction: Any = reference(CommunicationDirection, default=1)
    communication_direction_id: int
    error_handling: Any = peewee.TextField(default="fail")
    mapping_notes: Any = peewee.TextField(null=True)
    change_reason: Any = peewee.TextField(default="new_integration")
    test_coverage: Any = peewee.FloatField(null=True)
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None

    class Meta:
        indexes = (
            (("integration", "mapping_name"), True),
            (("integration", "communication_direction", "target_path"), True),
        )


class IntegrationMappingTest(BusinessRow):
    """An example a mapping is tried with, and how the last try went."""

    mapping: Any = reference(IntegrationMapping, on_delete="CASCADE")
    mapping_id: int
    test_name: Any = peewee.TextField()
    test_type: Any = peewee.TextField(default="unit")
    input_data: Any = JsonField()
    expected_output: Any = JsonField()
    test_status: Any = peewee.TextField(default="pending")
    actual_output: Any = JsonField(null=True)
    execution_time_ms: Any = peewee.IntegerField(null=True)
    error_message: Any = peewee.TextField(null=True)
    last_run_at: Any = TimeField(null=True)
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None

    class Meta:
        indexes = ((("mapping", "test_name"), True),)


class IntegrationPipelineDefinition(VersionedRow):
    """The way a record takes through an integration, and what becomes of a bad one."""

    pipeline_name: Any = peewee.TextField()
    description: Any = peewee.TextField(null=True)
    integration: Any = reference(Integration)
    integration_id: int
    pipeline_type: Any = peewee.TextField(default="linear")
    pipeline_steps: Any = JsonField()
    error_handling_strategy: Any = peewee.TextField(default="dead_letter")
    dead_letter_config: Any = JsonField(null=True)
    performance_config: Any = JsonField(null=True)
    monitoring_config: Any = JsonField(null=True)
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None


class IntegrationTransformation(VersionedRow):
    """A transformation by name: logic in one of five languages, its schemas and its examples."""

    transformation_name: Any = peewee.TextField()
    description: Any = peewee.TextField(null=True)
    transformation_type: Any = peewee.TextField()
    input_schema: Any = SchemaField(null=True)
    output_schema: Any = SchemaField(null=True)
    transformation_logic: Any = JsonField()
    language: Any = peewee.TextField()
    is_reusable: Any = peewee.BooleanField(default=True)
    performance_tier: Any = peewee.TextField(default="standard")
    timeout_seconds: Any = peewee.IntegerField(default=30)
    error_output_schema: Any = SchemaField(null=True)
    test_cases: Any = JsonField(null=True)
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None


class IntegrationTransformationRun(Row):
    """One try of a transformation's example."""

    transformation: Any = reference(IntegrationTransformation)
    transformation_id: int
    transformation_version: Any = peewee.IntegerField()
    case_name: Any = peewee.TextField()
    test_status: Any = peewee.TextField()
    actual_output: Any = JsonField(null=True)
    execution_time_ms: Any = peewee.IntegerField(null=True)
    error_message: Any = peewee.TextField(null=True)
    created_by: Any = user_reference(column_name="created_by", default=actor_id)
    created_at: Any = TimeField(default=now)


class IntegrationTemplate(BusinessRow):
    """One version of a reusable integration."""

    code: Any = peewee.TextField()
    template_name: Any = peewee.TextField()
    description: Any = peewee.TextField(null=True)
    integration_type: Any = reference(IntegrationType)
    integration_type_id: int
    template_category: Any = reference(TemplateCategory)
    template_category_id: int
    version: Any = peewee.TextField()
    is_certified: Any = peewee.BooleanField(default=False)
    certification_date: Any = DateField(null=True)
    certified_by: Any = user_reference(column_name="certified_by", null=True)
    connection_template: Any = JsonField()
    mapping_templates: Any = JsonField()
    pipeline_template: Any = JsonField(null=True)
    transformation_library: Any = JsonField(null=True)
    test_suite: Any = JsonField(null=True)
    renames: Any = JsonField(null=True)
    rate_limits: Any = JsonField(null=True)
    documentation_url: Any = peewee.TextField(null=True)
    organization: Any = reference(Organization, null=True)
    organization_id: int | None


class IntegrationTemplatePrerequisite(BusinessRow):
    """Something to have ready before a template is used."""

    template: Any = reference(IntegrationTemplate)
    template_id: int
    prerequisite: Any = peewee.TextField()
    sort_order: Any = peewee.IntegerField(default=0)

    class Meta:
        indexes = ((("template", "prerequisite"), True),)


class IntegrationTemplateOperation(BusinessRow):
    """Says that a template supports an operation."""

    template: Any = reference(IntegrationTemplate)
    template_id: int
    operation: Any = peewee.TextField()

    class Meta:
        indexes = ((("template", "operation"), True),)


class Approval(Row):
    """Somebody's decision on one version of a mapping or a template."""

    mapping: Any = reference(IntegrationMapping, null=True)
    mapping_id: int | None
    template: Any = reference(IntegrationTemplate, null=True)
    template_id: int | None
    subject_version: Any = peewee.TextField()
    approval_kind: Any = peewee.TextField()
    decision: Any = peewee.TextField()
    decided_by: Any = user_reference(column_name="decided_by")
    decided_at: Any = TimeField(default=now)
    note: Any = peewee.TextField(null=True)


class IntegrationTemplateInstance(BusinessRow):
    """Says which template version an integration was made from."""

    template: Any = reference(IntegrationTemplate)
    template_id: int
    integration: Any = reference(Integration, unique=True)
    integration_id: int
    instance_name: Any = peewee.TextField()
    customizations: Any = JsonField(null=True)
    deployment_status: Any = peewee.TextField(default="draft")
    deployed_at: Any = TimeField(null=True)
    deployed_by: Any = user_reference(column_name="deployed_by", null=True)
    organization: Any = reference(Organization, null=True, default=organization_id)
    organization_id: int | None
