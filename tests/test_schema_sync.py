"""Sync in the file: peers without secrets in the clear, bundles that are one each, rows set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from catalogue import holds

from edgekit import models, schema
from edgekit.errors import RuleError

if TYPE_CHECKING:
    import sqlite3

    from edgekit.db import Database

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def catalogue() -> sqlite3.Connection:
    return schema.pristine()


def test_sync_has_its_columns(catalogue: sqlite3.Connection) -> None:
    holds(
        catalogue,
        "sync_peer",
        "code name uuid peer_kind address secret_ciphertext? encryption_key_id?>encryption_key public_key?"
        " site_uuid? direction epoch last_pushed_seq last_pulled_seq last_pushed_at? last_pulled_at?",
        ("code",),
    )
    holds(
        catalogue,
        "sync_bundle",
        "peer_id>sync_peer direction epoch from_seq to_seq sha256? bundle_status settled_at? correlation_id",
        ("peer_id", "direction", "epoch", "from_seq"),
    )
    holds(
        catalogue,
        "sync_quarantine",
        "bundle_id>sync_bundle site_uuid table_name record_key record reason_code reason quarantine_status"
        " parent_sync_quarantine_id?>sync_quarantine resolved_at?",
        ("bundle_id", "table_name", "record_key"),
    )


@pytest.mark.parametrize(
    ("sql", "planned"),
    [
        (
            (
                "SELECT * FROM sync_bundle WHERE peer_id = 1 AND direction = 'push'"
                " AND bundle_status NOT IN ('acknowledged', 'applied', 'rejected')"
            ),
            "SEARCH sync_bundle USING INDEX sync_bundle_open (peer_id=? AND direction=?)",
        ),
        (
            (
                "SELECT id FROM sync_quarantine WHERE quarantine_status = 'held'"
                " AND site_uuid = 's' AND table_name = 'policy' AND record_key = '7'"
            ),
            (
                "SEARCH sync_quarantine USING INDEX sync_quarantine_held"
                " (site_uuid=? AND table_name=? AND record_key=?)"
            ),
        ),
    ],
)
def test_open_bundles_and_held_rows_are_found_by_index(
    catalogue: sqlite3.Connection, sql: str, planned: str
) -> None:
    plan = [row[3] for row in catalogue.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
    assert plan == [planned]


def peer(**values: Any) -> models.SyncPeer:
    row = {
        "code": "CENTRE",
        "name": "Centre",
        "uuid": "0" * 36,
        "peer_kind": "https",
        "address": "https://c.example",
    }
    return models.SyncPeer.create(**{**row, **values})


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://edge:pw@centre/edge",
        "sftp://edge:@centre",
        "https://centre.example/in?api_key=x",
        "https://centre.example/in?sig=1&X-Amz-Signature=x",
        "host=centre PASSWORD=x",
    ],
)
def test_an_address_with_a_secret_is_refused(edge: Database, address: str) -> None:
    with pytest.raises(RuleError) as caught, edge.change():
        peer(address=address)
    assert (caught.value.column, caught.value.code) == ("address", "secret")
    assert address not in caught.value.message


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://edge@centre:5432/edge",
        "/mail/box:1/me@home",
        "C:\\Mail\\out",
        "s3://bucket/a:b@c",
        "https://c:443/in",
    ],
)
def test_an_address_without_one_is_taken(edge: Database, address: str) -> None:
    with edge.change():
        assert peer(address=address).id


def test_what_was_confirmed_stays_so_within_an_epoch(edge: Database) -> None:
    with edge.change():
        peer(last_pushed_seq=500, last_pulled_seq=3)
        models.SyncPeer.update(last_pushed_seq=501).execute()
    for back in ({"last_pushed_seq": 500}, {"last_pulled_seq": 2}, {"epoch": 1, "last_pushed_seq": 0}):
        with pytest.raises(RuleError, match="never goes back"), edge.change():
            models.SyncPeer.update(back).execute()
    with edge.change():
        models.SyncPeer.update(epoch=2, last_pushed_seq=0).execute()
    with pytest.raises(RuleError, match="never goes back"), edge.change():
        models.SyncPeer.update(epoch=1, last_pushed_seq=900).execute()


def bundle(**values: Any) -> models.SyncBundle:
    row = {"peer": 1, "direction": "push", "epoch": 1, "from_seq": 1, "to_seq": 9, "correlation_id": "c"}
    return models.SyncBundle.create(**{**row, **values})


def test_a_bundle_goes_its_way_once(edge: Database) -> None:
    with edge.change():
        peer()
        bundle(direction="pull")
        sent = bundle()
        for step in (
            {"bundle_status": "failed", "error_message": "disk full"},
            {"bundle_status": "pending", "to_seq": 12},
            {"bundle_status": "ready", "sha256": "0" * 64},
            {"bundle_status": "sent"},
            {"bundle_status": "ready"},
            {"bundle_status": "sent"},
            {"bundle_status": "acknowledged", "settled_at": AT},
        ):
            models.SyncBundle.update(step).where(models.SyncBundle.id == sent.id).execute()
    with pytest.raises(RuleError) as caught, edge.change():
        bundle(to_seq=20)
    assert caught.value.code in {"unique", "final", "protected"}
    with edge.change():
        bundle(epoch=2)
        bundle(from_seq=13, to_seq=13)
    with pytest.raises(RuleError, match="stays as it is"), edge.change():
        models.SyncBundle.update(sha256="1" * 64).where(models.SyncBundle.id == sent.id).execute()


def test_a_row_set_aside_waits_for_its_parent(edge: Database) -> None:
    with edge.change():
        peer()
        row = {
            "bundle": bundle(direction="pull"),
            "site_uuid": "1" * 36,
            "record": {"id": 7},
            "reason_code": "reference",
            "reason": "There is no insured 3.",
        }
        poison = models.SyncQuarantine.create(**row, table_name="policy", record_key="7")
        child = models.SyncQuarantine.create(
            **row, table_name="claim", record_key="1", parent_sync_quarantine=poison
        )
    assert child.parent_sync_quarantine_id == poison.id
    with pytest.raises(RuleError, match="cannot wait for itself"), edge.change():
        models.SyncQuarantine.update(parent_sync_quarantine=child).where(
            models.SyncQuarantine.id == poison.id
        ).execute()
