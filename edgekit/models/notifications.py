"""Notifications: what is to be told to whom, and what told it."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, TimeField, organization_id, reference
from edgekit.models.communications import Communication
from edgekit.models.parties import Organization, User


class Notification(BusinessRow):
    """Something to be told to a user: what happened to one thing, since they were told of it last."""

    user: Any = reference(User)
    user_id: int
    topic: Any = peewee.TextField()
    subject: Any = peewee.TextField()
    message: Any = peewee.TextField()
    hint: Any = peewee.TextField(null=True)
    occurrences: Any = peewee.IntegerField(default=1)
    occurred_at: Any = TimeField()
    last_occurred_at: Any = TimeField()
    recovered_at: Any = TimeField(null=True)
    told_before: Any = peewee.IntegerField(default=0)
    due_at: Any = TimeField()
    notification_status: Any = peewee.TextField(default="pending")
    drop_reason: Any = peewee.TextField(null=True)
    settled_at: Any = TimeField(null=True)
    communication: Any = reference(Communication, null=True)
    communication_id: int | None
    correlation_id: Any = peewee.TextField()
    organization: Any = reference(Organization, default=organization_id)
    organization_id: int
