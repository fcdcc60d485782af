"""Insurance: who and what is insured. A driver or vehicle outlives one policy, so links join them."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, DateField, TimeField, organization_id, reference
from edgekit.models.parties import Organization, Producer, Program


class Insured(BusinessRow):
    """A customer: a person or household that is or may become insured."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    customer_number: Any = peewee.TextField()
    name: Any = peewee.TextField()
    email: Any = peewee.TextField(null=True)
    phone: Any = peewee.TextField(null=True)
    address: Any = peewee.TextField(null=True)
    city: Any = peewee.TextField(null=True)
    state: Any = peewee.TextField(null=True)
    postal_code: Any = peewee.TextField(null=True)

    class Meta:
        indexes = ((("organization", "customer_number"), True),)


class Quote(BusinessRow):
    """An offer."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    quote_number: Any = peewee.TextField()
    program: Any = reference(Program, null=True)
    program_id: int | None
    producer: Any = reference(Producer, null=True)
    producer_id: int | None
    insured: Any = reference(Insured, null=True)
    insured_id: int | None
    quote_state: Any = peewee.TextField(default="draft")

    class Meta:
        indexes = ((("organization", "quote_number"), True),)


class Policy(BusinessRow):
    """A contract of insurance for a time."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    policy_number: Any = peewee.TextField()
    program: Any = reference(Program, null=True)
    program_id: int | None
    producer: Any = reference(Producer, null=True)
    producer_id: int | None
    quote: Any = reference(Quote, null=True)
    quote_id: int | None
    insured: Any = reference(Insured, null=True)
    insured_id: int | None
    effective_date: Any = DateField()
    expiration_date: Any = DateField()
    annual_premium: Any = peewee.IntegerField(null=True)
    currency: Any = peewee.TextField(default="USD")
    policy_state: Any = peewee.TextField(default="in_force")

    class Meta:
        indexes = ((("organization", "policy_number"), True),)


class Driver(BusinessRow):
    """A person who drives."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    first_name: Any = peewee.TextField(null=True)
    last_name: Any = peewee.TextField()
    date_of_birth: Any = DateField(null=True)
    license_number: Any = peewee.TextField()
    license_state: Any = peewee.TextField()
    license_status: Any = peewee.TextField(null=True)
    violation_points: Any = peewee.IntegerField(null=True)
    verified_at: Any = TimeField(null=True)

    class Meta:
        indexes = ((("organization", "license_state", "license_number"), True),)


class Vehicle(BusinessRow):
    """A vehicle."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    vin: Any = peewee.TextField(null=True)
    model_year: Any = peewee.IntegerField(null=True)
    make: Any = peewee.TextField(null=True)
    model_name: Any = peewee.TextField(null=True)
    trim_name: Any = peewee.TextField(null=True)
    body_class: Any = peewee.TextField(null=True)
    vehicle_type: Any = peewee.TextField(null=True)
    fuel_type: Any = peewee.TextField(null=True)
    decode_note: Any = peewee.TextField(null=True)

    class Meta:
        indexes = ((("organization", "vin"), True),)


class Claim(BusinessRow):
    """A loss reported under a policy."""

    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
    claim_number: Any = peewee.TextField()
    policy: Any = reference(Policy)
    policy_id: int
    loss_date: Any = DateField()
    claim_state: Any = peewee.TextField(default="open")

    class Meta:
        indexes = ((("organization", "claim_number"), True),)


class PolicyDriver(BusinessRow):
    """Says that a driver is on a policy."""

    policy: Any = reference(Policy)
    policy_id: int
    driver: Any = reference(Driver)
    driver_id: int
    relationship: Any = peewee.TextField(null=True)

    class Meta:
        indexes = ((("policy", "driver"), True),)


class PolicyVehicle(BusinessRow):
    """Says that a vehicle is on a policy."""

    policy: Any = reference(Policy)
    policy_id: int
    vehicle: Any = reference(Vehicle)
    vehicle_id: int

    class Meta:
        indexes = ((("policy", "vehicle"), True),)


class QuoteDriver(BusinessRow):
    """Says that a driver is on a quote."""

    quote: Any = reference(Quote)
    quote_id: int
    driver: Any = reference(Driver)
    driver_id: int

    class Meta:
        indexes = ((("quote", "driver"), True),)


class QuoteVehicle(BusinessRow):
    """Says that a vehicle is on a quote."""

    quote: Any = reference(Quote)
    quote_id: int
    vehicle: Any = reference(Vehicle)
    vehicle_id: int

    class Meta:
        indexes = ((("quote", "vehicle"), True),)
