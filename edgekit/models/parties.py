"""Parties: the agency, its people, its programs and producers."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, TimeField, organization_id, reference
from edgekit.models.reference import LicenseTier, Role


class Organization(BusinessRow):
    """An agency (the tenant)."""

    code: Any = peewee.TextField(unique=True)
    name: Any = peewee.TextField()
    parent_organization: Any = reference("self", null=True)
    parent_organization_id: int | None
    license_tier: Any = reference(LicenseTier, null=True)
    license_tier_id: int | None


class User(BusinessRow):
    """A person or program that changes things."""

    username: Any = peewee.TextField(unique=True)
    email: Any = peewee.TextField(null=True)
    display_name: Any = peewee.TextField(null=True)
    password_hash: Any = peewee.TextField(null=True)
    organization: Any = reference(Organization, null=True)
    organization_id: int | None
    role: Any = reference(Role, null=True)
    role_id: int | None
    license_tier: Any = reference(LicenseTier, null=True)
    license_tier_id: int | None
    last_login_at: Any = TimeField(null=True)


class Program(BusinessRow):
    """A line of business with its own rules, such as AUTO."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    code: Any = peewee.TextField()
    name: Any = peewee.TextField()
    description: Any = peewee.TextField(null=True)

    class Meta:
        indexes = ((("organization", "code"), True),)


class Producer(BusinessRow):
    """Somebody who sells: an agent, a broker, an office."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    code: Any = peewee.TextField()
    name: Any = peewee.TextField()
    program: Any = reference(Program, null=True)
    program_id: int | None

    class Meta:
        indexes = ((("organization", "code"), True),)
