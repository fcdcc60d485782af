"""Sync: to whom the log goes and from whom catalogues come, in which bundles, and what was set aside."""

from __future__ import annotations

from typing import Any

import peewee

from edgekit.models.base import BusinessRow, JsonField, ReferenceRow, TimeField, reference
from edgekit.models.vault import EncryptionKey


class SyncPeer(ReferenceRow):
    """The other side: a mailbox or a centre."""

    uuid: Any = peewee.TextField(unique=True)
    peer_kind: Any = peewee.TextField()
    address: Any = peewee.TextField()
    secret_ciphertext: Any = peewee.BlobField(null=True)
    encryption_key: Any = reference(EncryptionKey, null=True)
    encryption_key_id: int | None
    public_key: Any = peewee.TextField(null=True)
    site_uuid: Any = peewee.TextField(null=True)
    direction: Any = peewee.TextField(default="both")
    epoch: Any = peewee.IntegerField(default=1)
    last_pushed_seq: Any = peewee.IntegerField(default=0)
    last_pulled_seq: Any = peewee.IntegerField(default=0)
    last_pushed_at: Any = TimeField(null=True)
    last_pulled_at: Any = TimeField(null=True)


class SyncBundle(BusinessRow):
    """A parcel of changes: from which to which number of the log."""

    peer: Any = reference(SyncPeer)
    peer_id: int
    direction: Any = peewee.TextField()
    epoch: Any = peewee.IntegerField()
    from_seq: Any = peewee.IntegerField()
    to_seq: Any = peewee.IntegerField()
    sha256: Any = peewee.TextField(null=True)
    chain_hash: Any = peewee.TextField(null=True)
    file_name: Any = peewee.TextField(null=True)
    row_count: Any = peewee.IntegerField(null=True)
    byte_count: Any = peewee.IntegerField(null=True)
    bundle_status: Any = peewee.TextField(default="pending")
    settled_at: Any = TimeField(null=True)
    error_code: Any = peewee.TextField(null=True)
    error_message: Any = peewee.TextField(null=True)
    correlation_id: Any = peewee.TextField()

    class Meta:
        indexes = ((("peer", "direction", "epoch", "from_seq"), True),)


class SyncQuarantine(BusinessRow):
    """A row of a bundle that could not be applied, set aside so that it holds up only its own children."""

    bundle: Any = reference(SyncBundle)
    bundle_id: int
    site_uuid: Any = peewee.TextField()
    table_name: Any = peewee.TextField()
    record_key: Any = peewee.TextField()
    record: Any = JsonField()
    reason_code: Any = peewee.TextField()
    reason: Any = peewee.TextField()
    parent_sync_quarantine: Any = reference("self", null=True)
    parent_sync_quarantine_id: int | None
    quarantine_status: Any = peewee.TextField(default="held")
    resolved_at: Any = TimeField(null=True)

    class Meta:
        indexes = ((("bundle", "table_name", "record_key"), True),)
