"""Sound rows of the sync tables, and a case for each rule that the figures in its text do not give away."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "sync_peer": {
        "code": "P{n}",
        "name": "Centre",
        "uuid": "{n:036d}",
        "peer_kind": "https",
        "address": "https://centre.example/in",
    },
    "sync_bundle": {
        "direction": "push",
        "epoch": 1,
        "from_seq": 1,
        "to_seq": 9,
        "correlation_id": "c",
        "error_message": "m",
    },
    "sync_quarantine": {
        "site_uuid": "{n:036d}",
        "table_name": "policy",
        "record_key": "{n}",
        "record": "{{}}",
        "reason_code": "reference",
        "reason": "There is no insured.",
    },
}

AT = "2026-01-01T00:00:00.000Z"
MADE = "sha256 = printf('%064d', 1)"
SPECIAL: dict[str, dict[str, Any]] = {
    "sync_peer.encryption_key_id.required": {"secret_ciphertext": b"x" * 40},
    "sync_bundle.to_seq.order": {"from_seq": 10},
    "sync_bundle.sha256.required": {"bundle_status": "ready"},
    "sync_bundle.settled_at.required": {"settled_at": AT},
    "sync_bundle.error_message.required": {"bundle_status": "failed", "error_message": None},
    "sync_quarantine.resolved_at.required": {"quarantine_status": "applied"},
    "sync_quarantine.parent_sync_quarantine_id.cycle": {"id": 50, "parent_sync_quarantine_id": 50},
}

PEER = "code, name, uuid, peer_kind, address"
BUNDLE = "peer_id, direction, epoch, from_seq, correlation_id, error_message"
ROW = "bundle_id, site_uuid, table_name, record_key, record, reason_code, reason"
APPLIED = f"UPDATE sync_quarantine SET quarantine_status = 'applied', resolved_at = '{AT}' WHERE id = ?1"
CHILD = (
    f"INSERT INTO sync_quarantine(id, parent_sync_quarantine_id, {ROW})"
    f" SELECT 50, id, {ROW.replace('record_key', '50')} FROM sync_quarantine WHERE id = ?1"
)
READY = f"UPDATE sync_bundle SET bundle_status = 'ready', {MADE} WHERE id = ?1"
REJECTED = f"UPDATE sync_bundle SET bundle_status = 'rejected', settled_at = '{AT}' WHERE id = ?1"
SENT = "UPDATE sync_bundle SET bundle_status = 'sent' WHERE id = ?1"

REFUSALS: dict[str, tuple[str | None, str, str]] = {
    "sync_peer_uuid_bu": (
        "sync_peer",
        "UPDATE sync_peer SET uuid = printf('%036d', 0) WHERE id = ?1",
        "sync_peer.uuid.protected",
    ),
    "sync_peer_address_secret_bi": (
        None,
        (
            f"INSERT INTO sync_peer({PEER})"
            " VALUES ('X', 'X', printf('%036d', 0), 'postgresql', 'postgresql://edge:secret@centre/edge')"
        ),
        "sync_peer.address.secret",
    ),
    "sync_peer_address_secret_bu": (
        "sync_peer",
        "UPDATE sync_peer SET address = 'host=centre Password=x' WHERE id = ?1",
        "sync_peer.address.secret",
    ),
    "sync_peer_watermark_bi": (
        "sync_peer",
        (
            "UPDATE sync_peer SET last_pushed_seq = 7 WHERE id = ?1;"
            f" REPLACE INTO sync_peer({PEER}) SELECT {PEER} FROM sync_peer WHERE id = ?1"
        ),
        "sync_peer.last_pushed_seq.order",
    ),
    "sync_peer_watermark_bu": (
        "sync_peer",
        (
            "UPDATE sync_peer SET last_pulled_seq = 7 WHERE id = ?1;"
            " UPDATE OR REPLACE sync_peer SET last_pulled_seq = NULL WHERE id = ?1"
        ),
        "sync_peer.last_pushed_seq.order",
    ),
    "sync_bundle_transition_bi": (
        "sync_bundle",
        (
            f"{READY}; {SENT}; {REJECTED}; REPLACE INTO sync_bundle(to_seq, sha256, {BUNDLE})"
            f" SELECT to_seq, sha256, {BUNDLE} FROM sync_bundle WHERE id = ?1"
        ),
        "sync_bundle.bundle_status.final",
    ),
    "sync_bundle_transition_bu": (
        "sync_bundle",
        f"UPDATE sync_bundle SET bundle_status = 'sent', {MADE} WHERE id = ?1",
        "sync_bundle.bundle_status.transition",
    ),
    "sync_bundle_content_bi": (
        "sync_bundle",
        (
            f"{READY}; REPLACE INTO sync_bundle(to_seq, sha256, bundle_status, {BUNDLE})"
            f" SELECT to_seq + 1, sha256, bundle_status, {BUNDLE} FROM sync_bundle WHERE id = ?1"
        ),
        "sync_bundle.sha256.protected",
    ),
    "sync_bundle_content_bu": (
        "sync_bundle",
        f"{READY}; UPDATE sync_bundle SET to_seq = 10 WHERE id = ?1",
        "sync_bundle.sha256.protected",
    ),
    "sync_quarantine_transition_bi": (
        "sync_quarantine",
        f"{APPLIED}; REPLACE INTO sync_quarantine({ROW}) SELECT {ROW} FROM sync_quarantine WHERE id = ?1",
        "sync_quarantine.quarantine_status.final",
    ),
    "sync_quarantine_transition_bu": (
        "sync_quarantine",
        f"{APPLIED}; UPDATE sync_quarantine SET quarantine_status = 'held', resolved_at = NULL WHERE id = ?1",
        "sync_quarantine.quarantine_status.final",
    ),
    "sync_quarantine_acyclic_bi": (
        "sync_quarantine",
        (
            f"{CHILD}; REPLACE INTO sync_quarantine(id, parent_sync_quarantine_id, {ROW})"
            f" SELECT id, 50, {ROW} FROM sync_quarantine WHERE id = ?1"
        ),
        "sync_quarantine.parent_sync_quarantine_id.cycle",
    ),
    "sync_quarantine_acyclic_bu": (
        "sync_quarantine",
        f"{CHILD}; UPDATE sync_quarantine SET parent_sync_quarantine_id = 50 WHERE id = ?1",
        "sync_quarantine.parent_sync_quarantine_id.cycle",
    ),
    "sync_peer_uuid_bi": (
        "sync_peer",
        "REPLACE INTO sync_peer(id, code, name, uuid, peer_kind, address) SELECT id, code, name, printf('%036d', 0), peer_kind, address FROM sync_peer WHERE id = ?1",
        "sync_peer.uuid.protected",
    ),
}

FURTHER: dict[str, tuple[str | None, str, str]] = {
    "an address with a signature": (
        "sync_peer",
        "UPDATE sync_peer SET address = 'https://h/box?sv=1&sig=abc' WHERE id = ?1",
        "sync_peer.address.secret",
    ),
    "an address with the key of an account": (
        "sync_peer",
        "UPDATE sync_peer SET address = 'az://box;AccountKey=abc' WHERE id = ?1",
        "sync_peer.address.secret",
    ),
}
