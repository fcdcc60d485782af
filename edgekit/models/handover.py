"""Handover: what a client gets when its system is ready, packed, delivered and confirmed."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, JsonField, ReferenceRow, TimeField, reference
from edgekit.models.clients import Client
from edgekit.models.configuration import Configuration
from edgekit.models.marketplace import ModuleInstallation
from edgekit.models.vault import EncryptionKey
from edgekit.models.workflows import OrchestrationWorkflow


class PackageType(ReferenceRow):
    """A kind of package."""


class DeliveryMethod(ReferenceRow):
    """A way a package may reach a client."""


class HandoverPackage(BusinessRow):
    """A package for a client. The administrator's credentials in it are sealed by the vault."""

    uuid: Any = peewee.TextField(unique=True)
    client: Any = reference(Client, on_delete="CASCADE")
    client_id: int
    workflow: Any = reference(OrchestrationWorkflow, null=True, on_delete="SET NULL")
    workflow_id: int | None
    package_name: Any = peewee.TextField()
    package_type: Any = reference(PackageType, default=1)
    package_type_id: int
    admin_credentials_ciphertext: Any = peewee.BlobField(null=True)
    encryption_key: Any = reference(EncryptionKey, null=True)
    encryption_key_id: int | None
    delivery_status: Any = peewee.TextField(default="pending")
    delivery_method: Any = reference(DeliveryMethod, null=True)
    delivery_method_id: int | None
    delivered_at: Any = TimeField(null=True)
    delivery_confirmation: Any = JsonField(null=True)
    package_metadata: Any = JsonField(null=True)


class HandoverPackageModule(BusinessRow):
    """An installed module in a package, with the settings it had when it was packed."""

    package: Any = reference(HandoverPackage, on_delete="CASCADE")
    package_id: int
    installation: Any = reference(ModuleInstallation)
    installation_id: int
    module_configuration: Any = JsonField(null=True)

    class Meta:
        indexes = ((("package", "installation"), True),)


class HandoverPackageConfiguration(BusinessRow):
    """A configuration in a package, of the client's organization or of everybody, as handed over."""

    package: Any = reference(HandoverPackage, on_delete="CASCADE")
    package_id: int
    configuration: Any = reference(Configuration)
    configuration_id: int
    configuration_version: Any = peewee.IntegerField()

    class Meta:
        indexes = ((("package", "configuration"), True),)


class HandoverPackageDocument(BusinessRow):
    """A document in a package: where it is, or what its content hashes to, or both."""

    package: Any = reference(HandoverPackage, on_delete="CASCADE")
    package_id: int
    document_type: Any = peewee.TextField()
    title: Any = peewee.TextField()
    url: Any = peewee.TextField(null=True)
    content_digest: Any = peewee.TextField(null=True)
    sort_order: Any = peewee.IntegerField(default=0)

    class Meta:
        indexes = ((("package", "document_type", "title"), True),)
