"""Sound rows of the vault tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "encryption_key": {
        "uuid": "{n:036d}",
        "wrapped_key_ciphertext": b"k" * 80,
        "master_fingerprint": "mk-12345678",
        "activated_at": "2026-01-01T00:00:00.000Z",
        "retired_at": "2026-02-01T00:00:00.000Z",
    },
    "vault_use_log": {"actor": "a", "place": "p", "purpose": "p", "process": "p", "correlation_id": "c"},
}

SPECIAL: dict[str, dict[str, Any]] = {
    "encryption_key.retired_at.order": {"retired_at": "2025-01-01T00:00:00.000Z"},
}

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "encryption_key_kept_bd": (
        "encryption_key",
        "DELETE FROM encryption_key WHERE id = ?1",
        "encryption_key.id.protected",
    ),
    "encryption_key_kept_bi": (
        "encryption_key",
        "INSERT OR REPLACE INTO encryption_key SELECT * FROM encryption_key WHERE id = ?1",
        "encryption_key.id.protected",
    ),
    "encryption_key_uuid_bu": (
        "encryption_key",
        "UPDATE encryption_key SET uuid = printf('%036d', 0) WHERE id = ?1",
        "encryption_key.uuid.protected",
    ),
    "encryption_key_retired_bu": (
        "encryption_key",
        "UPDATE encryption_key SET retired_at = NULL WHERE id = ?1",
        "encryption_key.retired_at.final",
    ),
}

SAME: dict[str, dict[str, Any]] = {"encryption_key_active": {"retired_at": None}}

KEPT = {"encryption_key"}
"""Tables where a trigger answers before a unique index does."""
