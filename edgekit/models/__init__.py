"""The tables as Peewee models, one module per word, each imported when one of its models is asked for.

They serve the opened file, have no behaviour, and write only inside `db.change()`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgekit import lean  # noqa: F401 - before Peewee
from edgekit.models import core, parties  # noqa: F401 - every other row names a status and a user

if TYPE_CHECKING:
    from edgekit.models.clients import *  # noqa: F403
    from edgekit.models.communications import *  # noqa: F403
    from edgekit.models.configuration import *  # noqa: F403
    from edgekit.models.core import *  # noqa: F403
    from edgekit.models.entities import *  # noqa: F403
    from edgekit.models.events import *  # noqa: F403
    from edgekit.models.handover import *  # noqa: F403
    from edgekit.models.insurance import *  # noqa: F403
    from edgekit.models.integrations import *  # noqa: F403
    from edgekit.models.licensing import *  # noqa: F403
    from edgekit.models.marketplace import *  # noqa: F403
    from edgekit.models.monitoring import *  # noqa: F403
    from edgekit.models.parties import *  # noqa: F403
    from edgekit.models.reference import *  # noqa: F403
    from edgekit.models.runner import *  # noqa: F403
    from edgekit.models.sync import *  # noqa: F403
    from edgekit.models.vault import *  # noqa: F403
    from edgekit.models.workflows import *  # noqa: F403

MODELS = {
    "core": (
        "Status",
        "Environment",
        "System",
        "SchemaMigration",
        "TrackedTable",
        "ValidationMessage",
        "Backup",
        "Job",
    ),
    "reference": (
        "Role",
        "LicenseTier",
        "RelationshipType",
        "CommunicationDirection",
        "ScopeType",
    ),
    "parties": (
        "Organization",
        "User",
        "Program",
        "Producer",
    ),
    "insurance": (
        "Insured",
        "Quote",
        "Policy",
        "Driver",
        "Vehicle",
        "Claim",
        "PolicyDriver",
        "PolicyVehicle",
        "QuoteDriver",
        "QuoteVehicle",
    ),
    "entities": (
        "EntityCategory",
        "EntityType",
        "Entity",
        "EntityReferenceType",
    ),
    "vault": (
        "EncryptionKey",
        "VaultUseLog",
    ),
    "events": (
        "EventSource",
        "IntegrationEvent",
        "EventSubscription",
        "EventDelivery",
    ),
    "licensing": (
        "FeatureType",
        "Feature",
        "FeatureDependency",
        "LicenseTierFeature",
        "VendorKey",
        "LicenseFile",
        "FeatureLicense",
        "FeatureUsage",
        "EntityTypeFeature",
        "EntityFeature",
        "ModelRegistry",
        "ComponentRegistry",
    ),
    "configuration": (
        "ConfigurationType",
        "Configuration",
    ),
    "communications": (
        "CommunicationChannel",
        "CommunicationStatus",
        "BusinessContextType",
        "CommunicationType",
        "CommunicationTypeChannel",
        "Communication",
        "CommunicationBusinessContext",
    ),
    "integrations": (
        "IntegrationType",
        "MapIntegrationConfiguration",
        "TemplateCategory",
        "Integration",
        "IntegrationCredential",
        "IntegrationMapping",
        "IntegrationMappingTest",
        "IntegrationPipelineDefinition",
        "IntegrationTransformation",
        "IntegrationTransformationRun",
        "IntegrationTemplate",
        "IntegrationTemplatePrerequisite",
        "IntegrationTemplateOperation",
        "Approval",
        "IntegrationTemplateInstance",
    ),
    "runner": (
        "IntegrationSchedule",
        "IntegrationScheduleTime",
        "IntegrationScheduleRecipient",
        "IntegrationExecution",
        "IntegrationScheduleExecution",
        "IntegrationExecutionCommunication",
        "IntegrationCheckpoint",
        "IntegrationExecutionInput",
        "IntegrationDelivery",
        "IntegrationLog",
        "DeadLetter",
        "WebhookReceipt",
        "CircuitBreaker",
        "RateLimitWindow",
        "RunnerSession",
    ),
    "notifications": ("Notification",),
    "clients": (
        "ClientStatus",
        "SubscriptionStatus",
        "Client",
        "ClientBillingInfo",
        "DeploymentTemplate",
        "ClientDeployment",
        "ClientCustomization",
        "ConsultationSession",
        "QuestionnaireSubmission",
        "ConsultationGeneration",
        "ConsultationAnalytics",
    ),
    "workflows": (
        "WorkflowType",
        "WorkflowTemplate",
        "OrchestrationWorkflow",
        "WorkflowExecution",
    ),
    "marketplace": (
        "MarketplaceCategory",
        "PricingModel",
        "PaymentStatus",
        "MarketplaceModule",
        "ModuleInstallation",
        "ClientAppOverride",
        "ModuleLicense",
        "ModuleReview",
        "ModulePayment",
        "ModuleSubmission",
        "ModuleValidation",
        "ModerationAction",
        "PublishingPipeline",
    ),
    "handover": (
        "PackageType",
        "DeliveryMethod",
        "HandoverPackage",
        "HandoverPackageModule",
        "HandoverPackageConfiguration",
        "HandoverPackageDocument",
    ),
    "monitoring": (
        "MetricSample",
        "AlertRule",
        "SlaTarget",
        "Alert",
        "Dashboard",
        "ClientSummary",
    ),
    "sync": (
        "SyncPeer",
        "SyncBundle",
        "SyncQuarantine",
    ),
}
"""The models of each word, in the order of their tables."""

_WORDS = {model: word for word, models in MODELS.items() for model in models}

__all__ = list(_WORDS)


def __getattr__(name: str) -> Any:
    """Import the word a model belongs to: making all models costs as much as starting Python thrice."""
    if name not in _WORDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"edgekit.models.{_WORDS[name]}"), name)
