"""Vault: the keys that seal secrets, and the log of who used what."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, JsonField, Row, TimeField, now


class EncryptionKey(BusinessRow):
    """One generation of the key that seals the secrets of this file."""

    uuid: Any = peewee.TextField(unique=True)
    purpose: Any = peewee.TextField(default="data")
    wrapped_key_ciphertext: Any = peewee.BlobField()
    master_fingerprint: Any = peewee.TextField()
    kdf: Any = JsonField(null=True)
    activated_at: Any = TimeField(default=now)
    retired_at: Any = TimeField(null=True)
    recovery_kit_at: Any = TimeField(null=True)
    drilled_at: Any = TimeField(null=True)


class VaultUseLog(Row):
    """One use of a secret: who opened what, for what."""

    used_at: Any = TimeField(default=now)
    actor: Any = peewee.TextField()
    place: Any = peewee.TextField()
    purpose: Any = peewee.TextField()
    process: Any = peewee.TextField()
    correlation_id: Any = peewee.TextField()
