"""The tables as Peewee models, one module per word.

They serve the opened file, have no behaviour, and write only inside `db.change()`.
"""

from edgekit.models.core import Environment, SchemaMigration, Status, System, TrackedTable, ValidationMessage
from edgekit.models.entities import Entity, EntityCategory, EntityReferenceType, EntityType
from edgekit.models.events import EventSource, IntegrationEvent
from edgekit.models.insurance import (
    Claim,
    Driver,
    Insured,
    Policy,
    PolicyDriver,
    PolicyVehicle,
    Quote,
    QuoteDriver,
    QuoteVehicle,
    Vehicle,
)
from edgekit.models.integrations import (
    Integration,
    IntegrationCredential,
    IntegrationMapping,
    IntegrationPipelineDefinition,
    IntegrationTemplate,
    IntegrationTemplateInstance,
    IntegrationType,
    TemplateCategory,
)
from edgekit.models.parties import Organization, Producer, Program, User
from edgekit.models.reference import CommunicationDirection, LicenseTier, RelationshipType, Role
from edgekit.models.runner import DeadLetter, IntegrationCheckpoint, IntegrationExecution, IntegrationLog
from edgekit.models.vault import EncryptionKey, VaultUseLog

__all__ = [
    "Claim",
    "CommunicationDirection",
    "DeadLetter",
    "Driver",
    "EncryptionKey",
    "Entity",
    "EntityCategory",
    "EntityReferenceType",
    "EntityType",
    "Environment",
    "EventSource",
    "Insured",
    "Integration",
    "IntegrationCheckpoint",
    "IntegrationCredential",
    "IntegrationEvent",
    "IntegrationExecution",
    "IntegrationLog",
    "IntegrationMapping",
    "IntegrationPipelineDefinition",
    "IntegrationTemplate",
    "IntegrationTemplateInstance",
    "IntegrationType",
    "LicenseTier",
    "Organization",
    "Policy",
    "PolicyDriver",
    "PolicyVehicle",
    "Producer",
    "Program",
    "Quote",
    "QuoteDriver",
    "QuoteVehicle",
    "RelationshipType",
    "Role",
    "SchemaMigration",
    "Status",
    "System",
    "TemplateCategory",
    "TrackedTable",
    "User",
    "ValidationMessage",
    "VaultUseLog",
    "Vehicle",
]
