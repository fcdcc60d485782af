"""The marketplace: modules on offer, and which client has, may use, pays for and thinks what of them."""

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
from edgekit.models.clients import Client, DeploymentTemplate
from edgekit.models.integrations import IntegrationTemplate
from edgekit.models.licensing import Feature
from edgekit.models.parties import User
from edgekit.models.vault import EncryptionKey
from edgekit.models.workflows import OrchestrationWorkflow


class MarketplaceCategory(ReferenceRow):
    """A shelf of the marketplace."""

    parent_marketplace_category: Any = reference("self", null=True)
    parent_marketplace_category_id: int | None
    sort_order: Any = peewee.IntegerField(default=0)


class PricingModel(ReferenceRow):
    """A way modules are paid for."""

    is_recurring: Any = peewee.BooleanField(default=False)


class PaymentStatus(ReferenceRow):
    """A state a payment may be in."""

    is_paid: Any = peewee.BooleanField(default=False)
    is_final_state: Any = peewee.BooleanField(default=False)
    is_error_state: Any = peewee.BooleanField(default=False)


class MarketplaceModule(ReferenceRow):
    """Something offered to all clients, in the version offered now."""

    version: Any = peewee.TextField()
    module_kind: Any = peewee.TextField(default="module")
    integration_template: Any = reference(IntegrationTemplate, null=True)
    integration_template_id: int | None
    deployment_template: Any = reference(DeploymentTemplate, null=True)
    deployment_template_id: int | None
    category: Any = reference(MarketplaceCategory)
    category_id: int
    developer: Any = reference(User)
    developer_id: int
    pricing_model: Any = reference(PricingModel)
    pricing_model_id: int
    price: Any = peewee.IntegerField(default=0)
    currency: Any = peewee.TextField(default="USD")
    feature: Any = reference(Feature, null=True)
    feature_id: int | None


class ModuleInstallation(BusinessRow):
    """That a client has, is to have, or had a module."""

    client: Any = reference(Client)
    client_id: int
    module: Any = reference(MarketplaceModule)
    module_id: int
    installed_version: Any = peewee.TextField()
    installation_status: Any = peewee.TextField(default="pending")
    installed_at: Any = TimeField(null=True)
    uninstalled_at: Any = TimeField(null=True)
    error_message: Any = peewee.TextField(null=True)


class ClientAppOverride(BusinessRow):
    """How an application is set up for a client, and whether the module behind it is at work."""

    client: Any = reference(Client)
    client_id: int
    app_code: Any = peewee.TextField()
    override_settings: Any = JsonField(null=True)
    marketplace_module: Any = reference(MarketplaceModule, null=True, on_delete="SET NULL")
    marketplace_module_id: int | None
    installation: Any = reference(ModuleInstallation, null=True, on_delete="CASCADE")
    installation_id: int | None
    activation_status: Any = peewee.TextField(default="pending")
    activation_metadata: Any = JsonField(null=True)

    class Meta:
        indexes = ((("client", "app_code"), True),)


class ModuleLicense(BusinessRow):
    """What a client has bought of a module: how many may use it, and until when."""

    uuid: Any = peewee.TextField(unique=True)
    client: Any = reference(Client)
    client_id: int
    module: Any = reference(MarketplaceModule)
    module_id: int
    license_key_ciphertext: Any = peewee.BlobField(null=True)
    license_key_hash: Any = peewee.TextField(null=True, unique=True)
    encryption_key: Any = reference(EncryptionKey, null=True)
    encryption_key_id: int | None
    seats: Any = peewee.IntegerField(default=1)
    expires_at: Any = TimeField(null=True)

    class Meta:
        indexes = ((("client", "module"), True),)


class ModuleReview(BusinessRow):
    """What somebody thinks of a module. It counts once it is approved."""

    module: Any = reference(MarketplaceModule)
    module_id: int
    reviewed_by: Any = user_reference(column_name="reviewed_by")
    client: Any = reference(Client, null=True)
    client_id: int | None
    rating: Any = peewee.IntegerField()
    review_text: Any = peewee.TextField(null=True)
    moderation_status: Any = peewee.TextField(default="pending")

    class Meta:
        indexes = ((("module", "reviewed_by"), True),)


class ModulePayment(BusinessRow):
    """A payment for a module, made, due or given up."""

    uuid: Any = peewee.TextField(unique=True)
    client: Any = reference(Client)
    client_id: int
    module: Any = reference(MarketplaceModule)
    module_id: int
    license: Any = reference(ModuleLicense, null=True)
    license_id: int | None
    amount: Any = peewee.IntegerField()
    fee: Any = peewee.IntegerField(default=0)
    currency: Any = peewee.TextField(default="USD")
    payment_status: Any = reference(PaymentStatus)
    payment_status_id: int
    payment_method_ciphertext: Any = peewee.BlobField(null=True)
    encryption_key: Any = reference(EncryptionKey, null=True)
    encryption_key_id: int | None
    provider_reference: Any = peewee.TextField(null=True, unique=True)
    paid_at: Any = TimeField(null=True)


class ModuleSubmission(BusinessRow):
    """A version of a module that its developer asks to have published."""

    module: Any = reference(MarketplaceModule)
    module_id: int
    submitted_version: Any = peewee.TextField()
    submitted_by: Any = user_reference(column_name="submitted_by")
    submission_status: Any = peewee.TextField(default="pending")
    submitted_at: Any = TimeField(default=now)
    decided_at: Any = TimeField(null=True)


class ModuleValidation(BusinessRow):
    """One check of a submission and what came of it."""

    submission: Any = reference(ModuleSubmission)
    submission_id: int
    check_name: Any = peewee.TextField()
    validation_status: Any = peewee.TextField(default="pending")
    details: Any = JsonField(null=True)
    score: Any = peewee.FloatField(null=True)
    validated_at: Any = TimeField(null=True)

    class Meta:
        indexes = ((("submission", "check_name"), True),)


class ModerationAction(Row):
    """What a moderator did about a submission, and why."""

    submission: Any = reference(ModuleSubmission)
    submission_id: int
    moderated_by: Any = user_reference(column_name="moderated_by")
    action: Any = peewee.TextField()
    reason: Any = peewee.TextField(null=True)
    moderated_at: Any = TimeField(default=now)


class PublishingPipeline(BusinessRow):
    """The way of a submission to the market."""

    submission: Any = reference(ModuleSubmission, unique=True)
    submission_id: int
    workflow: Any = reference(OrchestrationWorkflow, null=True)
    workflow_id: int | None
    publishing_status: Any = peewee.TextField(default="pending")
    started_at: Any = TimeField(null=True)
    completed_at: Any = TimeField(null=True)
    error_message: Any = peewee.TextField(null=True)
