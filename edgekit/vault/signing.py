"""The site's signing key: what seals of the audit log are signed with.

Its secret half is a row of `encryption_key`, sealed by the master key like every other; its public half is in
`audit_key`, for whoever checks a seal. All here takes a plain connection: files that are not the opened one
are sealed as well.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from edgekit import crypto
from edgekit.audit.seals import add_key
from edgekit.errors import EdgekitError
from edgekit.vault import master

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def exists(connection: sqlite3.Connection) -> bool:
    """Tell whether the file has a signing key."""
    active = "SELECT 1 FROM encryption_key WHERE purpose = 'signing' AND retired_at IS NULL"
    return connection.execute(active).fetchone() is not None


def create(
    connection: sqlite3.Connection, master_key: bytes, kdf: crypto.Scrypt | None, *, created_by: int
) -> crypto.SigningKey:
    """Give the file a signing key, within the open change; one in use until now is retired."""
    retire = (
        "UPDATE encryption_key SET retired_at = max(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), activated_at)"
        " WHERE purpose = 'signing' AND retired_at IS NULL"
    )
    connection.execute(retire)
    key, row = crypto.SigningKey(crypto.random_key()), str(uuid.uuid4())
    wrapped = crypto.encrypt(master_key, key.secret, context=_place(row))
    connection.execute(
        "INSERT INTO encryption_key"
        "(uuid, purpose, wrapped_key_ciphertext, master_fingerprint, kdf, created_by)"
        " VALUES (?, 'signing', ?, ?, ?, ?)",
        (
            row,
            wrapped,
            crypto.fingerprint(master_key),
            json.dumps(kdf.as_dict()) if kdf else None,
            created_by,
        ),
    )
    add_key(connection, key.public, key.name)
    return key


def signer(connection: sqlite3.Connection, path: Path) -> crypto.SigningKey | None:
    """Open the signing key of a file; None where there is none, or its master key is missing or another."""
    row = connection.execute(
        "SELECT k.uuid, k.wrapped_key_ciphertext, k.master_fingerprint, k.kdf, s.uuid"
        " FROM encryption_key k, system s WHERE k.purpose = 'signing' AND k.retired_at IS NULL"
    ).fetchone()
    if row is None:
        return None
    name, wrapped, fingerprint, kdf, site = row
    try:
        found, _ = master.search(site, path, expected=fingerprint)
        key = found and found.key(crypto.Scrypt.from_dict(json.loads(kdf)) if kdf else None)
        if not key or crypto.fingerprint(key) != fingerprint:
            return None
        return crypto.SigningKey(crypto.decrypt(key, wrapped, context=_place(name)))
    except EdgekitError:  # locked, or damaged: the log is sealed all the same
        return None


def _place(row: str) -> str:
    return f"encryption_key/{row}/wrapped_key_ciphertext"
