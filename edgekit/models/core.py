"""Core: this installation, its life-cycle states, what was done to its schema."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import (
    BusinessRow,
    EditedRow,
    JsonField,
    ReferenceRow,
    Row,
    TimeField,
    now,
    reference,
)


class Status(EditedRow):
    """A life-cycle state a row of any other table may be in."""

    code: Any = peewee.TextField(unique=True)
    name: Any = peewee.TextField()
    description: Any = peewee.TextField(null=True)
    is_active: Any = peewee.BooleanField(default=False)


class Environment(ReferenceRow):
    """A kind of place the file may be used in."""


class System(BusinessRow):
    """The one row is this installation: its identity across machines is `uuid`."""

    id: Any = peewee.IntegerField(primary_key=True)
    uuid: Any = peewee.TextField(unique=True)
    name: Any = peewee.TextField()
    environment: Any = reference(Environment)
    environment_id: int
    durability: Any = peewee.TextField(default="normal")
    log_retention_years: Any = peewee.IntegerField(null=True)
    clock_at: Any = TimeField(null=True)


class SchemaMigration(Row):
    """A step the schema of this file has taken."""

    id: Any = peewee.IntegerField(primary_key=True)
    name: Any = peewee.TextField(unique=True)
    sha256: Any = peewee.TextField()
    app_version: Any = peewee.TextField()
    applied_at: Any = TimeField(default=now)


class TrackedTable(BusinessRow):
    """A table of the user's own that is audited and verified like ours."""

    name: Any = peewee.TextField(unique=True)
    create_sql: Any = peewee.TextField()


class ValidationMessage(Row):
    """A warning about a row that was accepted all the same."""

    table_name: Any = peewee.TextField()
    record_key: Any = peewee.TextField()
    code: Any = peewee.TextField()
    message: Any = peewee.TextField()
    created_at: Any = TimeField(default=now)


class Backup(Row):
    """A backup of this file: where it was put, and when it was last opened and found whole."""

    path: Any = peewee.TextField()
    origin: Any = peewee.TextField()
    is_encrypted: Any = peewee.BooleanField()
    bytes: Any = peewee.IntegerField()
    sha256: Any = peewee.TextField()
    made_at: Any = TimeField()
    verified_at: Any = TimeField()
    pruned_at: Any = TimeField(null=True)


class Job(BusinessRow):
    """Something to be done later, by the handler a word has registered for its kind."""

    uuid: Any = peewee.TextField(unique=True)
    kind: Any = peewee.TextField()
    payload: Any = JsonField(default=dict)
    job_status: Any = peewee.TextField(default="pending")
    run_at: Any = TimeField(default=now)
    priority: Any = peewee.IntegerField(default=5)
    attempts: Any = peewee.IntegerField(default=0)
    max_attempts: Any = peewee.IntegerField(default=1)
    timeout_seconds: Any = peewee.IntegerField(null=True)
    cancel_requested_at: Any = TimeField(null=True)
    runner_id: Any = peewee.TextField(null=True)
    claimed_at: Any = TimeField(null=True)
    lease_ends_at: Any = TimeField(null=True)
    ended_at: Any = TimeField(null=True)
    dedupe_key: Any = peewee.TextField(null=True)
    correlation_id: Any = peewee.TextField()
    error_code: Any = peewee.TextField(null=True)
    error_message: Any = peewee.TextField(null=True)
    result: Any = JsonField(null=True)
