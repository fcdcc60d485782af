"""Clients: whom the agency serves, what they pay for, what is deployed for them, and consultations."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import (
    BusinessRow,
    DateField,
    JsonField,
    ReferenceRow,
    Row,
    TimeField,
    now,
    organization_id,
    reference,
)
from edgekit.models.configuration import Configuration
from edgekit.models.core import Environment
from edgekit.models.licensing import ModelRegistry
from edgekit.models.parties import Organization, User
from edgekit.models.reference import LicenseTier
from edgekit.models.vault import EncryptionKey


class ClientStatus(ReferenceRow):
    """A stage of the relationship with a client."""

    is_final_state: Any = peewee.BooleanField(default=False)


class SubscriptionStatus(ReferenceRow):
    """A state a subscription may be in."""

    is_entitled: Any = peewee.BooleanField(default=False)


class Client(BusinessRow):
    """An organization that is a client: who it is, how to reach it, and who looks after it."""

    organization: Any = reference(Organization, unique=True)
    organization_id: int
    client_name: Any = peewee.TextField()
    company_name: Any = peewee.TextField(null=True)
    contact_name: Any = peewee.TextField(null=True)
    email: Any = peewee.TextField(null=True)
    phone: Any = peewee.TextField(null=True)
    address: Any = peewee.TextField(null=True)
    city: Any = peewee.TextField(null=True)
    state: Any = peewee.TextField(null=True)
    postal_code: Any = peewee.TextField(null=True)
    client_status: Any = reference(ClientStatus)
    client_status_id: int
    assigned_manager: Any = reference(User, null=True)
    assigned_manager_id: int | None


class ClientBillingInfo(BusinessRow):
    """What a client pays for and how. The payment method is sealed by the vault."""

    uuid: Any = peewee.TextField(unique=True)
    client: Any = reference(Client, unique=True)
    client_id: int
    license_tier: Any = reference(LicenseTier)
    license_tier_id: int
    subscription_status: Any = reference(SubscriptionStatus)
    subscription_status_id: int
    billing_name: Any = peewee.TextField(null=True)
    billing_email: Any = peewee.TextField(null=True)
    billing_address: Any = peewee.TextField(null=True)
    payment_method_ciphertext: Any = peewee.BlobField(null=True)
    encryption_key: Any = reference(EncryptionKey, null=True)
    encryption_key_id: int | None
    period_start_date: Any = DateField(null=True)
    period_end_date: Any = DateField(null=True)


class DeploymentTemplate(BusinessRow):
    """A version of a way to set up a client's system, for use again and again."""

    code: Any = peewee.TextField()
    name: Any = peewee.TextField()
    description: Any = peewee.TextField(null=True)
    version: Any = peewee.TextField()
    template_data: Any = JsonField()

    class Meta:
        indexes = ((("code", "version"), True),)


class ClientDeployment(BusinessRow):
    """One setting up of one version in one environment of a client. Trying again is another row."""

    client: Any = reference(Client)
    client_id: int
    environment: Any = reference(Environment)
    environment_id: int
    deployment_template: Any = reference(DeploymentTemplate, null=True)
    deployment_template_id: int | None
    configuration: Any = reference(Configuration, null=True)
    configuration_id: int | None
    version: Any = peewee.TextField()
    deployment_status: Any = peewee.TextField(default="pending")
    url: Any = peewee.TextField(null=True)
    started_at: Any = TimeField(null=True)
    completed_at: Any = TimeField(null=True)
    error_message: Any = peewee.TextField(null=True)


class ClientCustomization(BusinessRow):
    """What a client has otherwise than a deployment template says."""

    client: Any = reference(Client)
    client_id: int
    deployment_template: Any = reference(DeploymentTemplate)
    deployment_template_id: int
    customization_data: Any = JsonField()

    class Meta:
        indexes = ((("client", "deployment_template"), True),)


class ConsultationSession(BusinessRow):
    """A consultation, with a client or with a lead who may become one."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    client: Any = reference(Client, null=True)
    client_id: int | None
    lead_name: Any = peewee.TextField()
    lead_email: Any = peewee.TextField(null=True)
    lead_phone: Any = peewee.TextField(null=True)
    lead_company: Any = peewee.TextField(null=True)
    session_status: Any = peewee.TextField(default="scheduled")
    started_at: Any = TimeField(null=True)
    completed_at: Any = TimeField(null=True)


class QuestionnaireSubmission(BusinessRow):
    """A questionnaire as somebody answered it."""

    consultation_session: Any = reference(ConsultationSession)
    consultation_session_id: int
    questionnaire_code: Any = peewee.TextField()
    questionnaire_version: Any = peewee.TextField()
    answers: Any = JsonField()
    submitted_at: Any = TimeField(default=now)


class ConsultationGeneration(BusinessRow):
    """A recommendation a model was asked for."""

    consultation_session: Any = reference(ConsultationSession)
    consultation_session_id: int
    questionnaire_submission: Any = reference(QuestionnaireSubmission, null=True)
    questionnaire_submission_id: int | None
    model_registry: Any = reference(ModelRegistry)
    model_registry_id: int
    prompt: Any = JsonField()
    result: Any = JsonField(null=True)
    generation_status: Any = peewee.TextField(default="pending")
    error_message: Any = peewee.TextField(null=True)
    started_at: Any = TimeField(null=True)
    completed_at: Any = TimeField(null=True)


class ConsultationAnalytics(Row):
    """A figure measured of a consultation."""

    consultation_session: Any = reference(ConsultationSession)
    consultation_session_id: int
    metric_name: Any = peewee.TextField()
    metric_value: Any = peewee.FloatField()
    recorded_at: Any = TimeField(default=now)
