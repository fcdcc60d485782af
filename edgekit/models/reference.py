"""Reference: value sets that several words share."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import ReferenceRow


class Role(ReferenceRow):
    """A role a user may have."""


class LicenseTier(ReferenceRow):
    """A tier of the product, the higher `tier_rank` including the lower ones."""

    tier_rank: Any = peewee.IntegerField(unique=True)


class RelationshipType(ReferenceRow):
    """A way in which a business row may matter to another: primary, related, referenced."""


class CommunicationDirection(ReferenceRow):
    """A direction data may travel in, seen from here."""


class ScopeType(ReferenceRow):
    """A level at which something may be set."""

    hierarchy_level: Any = peewee.IntegerField(unique=True)
    table_name: Any = peewee.TextField(null=True)
