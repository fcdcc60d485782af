"""Licensing: what the product can do, what tiers and licences allow, and what stands under a feature."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, JsonField, ReferenceRow, SchemaField, TimeField, now, reference
from edgekit.models.entities import Entity, EntityType
from edgekit.models.parties import Organization
from edgekit.models.reference import LicenseTier, ScopeType
from edgekit.models.vault import EncryptionKey


class FeatureType(ReferenceRow):
    """A family of features; those of a core family are always on."""

    is_core: Any = peewee.BooleanField(default=False)
    sort_order: Any = peewee.IntegerField(default=0)


class Feature(ReferenceRow):
    """A thing the product can do or lets one register, the same for every organization."""

    feature_key: Any = peewee.TextField(unique=True)
    feature_type: Any = reference(FeatureType)
    feature_type_id: int
    value_type: Any = peewee.TextField(default="boolean")
    default_value: Any = JsonField(null=True)
    license_tier: Any = reference(LicenseTier)
    license_tier_id: int
    is_addon: Any = peewee.BooleanField(default=False)
    configuration_schema: Any = SchemaField(null=True)


class FeatureDependency(BusinessRow):
    """Says that a feature works only where another one does."""

    feature: Any = reference(Feature)
    feature_id: int
    depends_on_feature: Any = reference(Feature)
    depends_on_feature_id: int

    class Meta:
        indexes = ((("feature", "depends_on_feature"), True),)


class LicenseTierFeature(BusinessRow):
    """What a tier gives of a feature."""

    license_tier: Any = reference(LicenseTier)
    license_tier_id: int
    feature: Any = reference(Feature)
    feature_id: int
    feature_value: Any = JsonField()

    class Meta:
        indexes = ((("license_tier", "feature"), True),)


class VendorKey(BusinessRow):
    """The public key licence files are checked with."""

    vendor_name: Any = peewee.TextField()
    public_key: Any = peewee.TextField(unique=True)
    previous_vendor_key: Any = reference("self", null=True, unique=True)
    previous_vendor_key_id: int | None
    statement: Any = JsonField(null=True)
    statement_signature: Any = peewee.TextField(null=True)


class LicenseFile(BusinessRow):
    """A licence file that was installed, as it came."""

    serial: Any = peewee.TextField(unique=True)
    vendor_key: Any = reference(VendorKey)
    vendor_key_id: int
    document: Any = JsonField()
    signature: Any = peewee.TextField()
    license_mode: Any = peewee.TextField(default="advise")
    starts_at: Any = TimeField()
    expires_at: Any = TimeField(null=True)
    grace_days: Any = peewee.IntegerField(default=0)
    installed_at: Any = TimeField(default=now)
    revoked_at: Any = TimeField(null=True)
    revocation_reason: Any = peewee.TextField(null=True)


class FeatureLicense(BusinessRow):
    """Licenses a feature to the whole file, a program or a producer."""

    uuid: Any = peewee.TextField(unique=True)
    feature: Any = reference(Feature)
    feature_id: int
    scope_type: Any = reference(ScopeType)
    scope_type_id: int
    scope_id: Any = peewee.IntegerField(null=True)
    organization: Any = reference(Organization, null=True)
    organization_id: int | None
    feature_value: Any = JsonField(null=True)
    feature_configuration: Any = JsonField(null=True)
    licensed_quantity: Any = peewee.IntegerField(default=1)
    license_expires_at: Any = TimeField(null=True)
    license_file: Any = reference(LicenseFile, null=True)
    license_file_id: int | None
    license_key_ciphertext: Any = peewee.BlobField(null=True)
    license_key_hash: Any = peewee.TextField(null=True, unique=True)
    encryption_key: Any = reference(EncryptionKey, null=True)
    encryption_key_id: int | None


class FeatureUsage(BusinessRow):
    """Counts what was used of a feature in a scope."""

    feature: Any = reference(Feature)
    feature_id: int
    scope_type: Any = reference(ScopeType)
    scope_type_id: int
    scope_id: Any = peewee.IntegerField(null=True)
    organization: Any = reference(Organization, null=True)
    organization_id: int | None
    usage_period: Any = peewee.TextField(default="total")
    period_starts_at: Any = TimeField(null=True)
    used_quantity: Any = peewee.IntegerField(default=0)


class EntityTypeFeature(BusinessRow):
    """A feature that entities of a type need or may use."""

    entity_type: Any = reference(EntityType)
    entity_type_id: int
    feature: Any = reference(Feature)
    feature_id: int
    is_required: Any = peewee.BooleanField(default=False)
    configuration_schema: Any = SchemaField(null=True)

    class Meta:
        indexes = ((("entity_type", "feature"), True),)


class EntityFeature(BusinessRow):
    """A feature that one entity needs or may use, beside those of its type."""

    entity: Any = reference(Entity)
    entity_id: int
    feature: Any = reference(Feature)
    feature_id: int
    is_required: Any = peewee.BooleanField(default=False)
    configuration_schema: Any = SchemaField(null=True)

    class Meta:
        indexes = ((("entity", "feature"), True),)


class ModelRegistry(BusinessRow):
    """A model of a provider that may be used."""

    provider: Any = peewee.TextField()
    model_id: Any = peewee.TextField()
    model_name: Any = peewee.TextField()
    feature: Any = reference(Feature)
    feature_id: int

    class Meta:
        indexes = ((("provider", "model_id"), True),)


class ComponentRegistry(ReferenceRow):
    """A part of the product and the feature it is gated by."""

    feature: Any = reference(Feature)
    feature_id: int
