"""Secrets and licences that are about to expire: found once a day, told once for each threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, events
from edgekit.runner.notifying.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_DAY = 86_400
_AGO = 30
"""Days after which what has expired is no longer spoken of."""

_SECRETS = (
    "SELECT c.id, i.integration_name AS integration, c.credential_key AS key, c.expires_at,"
    " ifnull(i.organization_id, 1) AS organization_id FROM integration_credential c"
    " JOIN integration i ON i.id = c.integration_id"
    " WHERE c.status_id = 1 AND i.status_id = 1 AND c.expires_at IS NOT NULL ORDER BY c.id"
)
_FILES = (
    "SELECT id, serial AS license, expires_at, NULL AS organization_id FROM license_file"
    " WHERE status_id = 1 AND revoked_at IS NULL AND expires_at IS NOT NULL ORDER BY id"
)
_GRANTS = (
    "SELECT l.id, f.code AS license, l.license_expires_at AS expires_at, l.organization_id"
    " FROM feature_license l JOIN feature f ON f.id = l.feature_id"
    " WHERE l.status_id = 1 AND l.license_file_id IS NULL AND l.license_expires_at IS NOT NULL ORDER BY l.id"
)
_FOUND = (
    ("secret.expiring", "INTEGRATION", "integration_credential", _SECRETS),
    ("license.expiring", "SYSTEM", "license_file", _FILES),
    ("license.expiring", "SYSTEM", "feature_license", _GRANTS),
)


def tell_expiring(*, now: datetime | None = None) -> list[dict[str, Any]]:
    """Tell an event for each secret and licence that came under a threshold of days; return their payloads.

    The thresholds are `expiry_days` of the organization; what expired is one of its own. Each is told once.
    """
    at, told = now or clock.now(), []
    with db.change(reason="notifications: what expires"):
        for event_type, source, table, sql in _FOUND:
            for row in db.query(sql):
                payload = _due(table, row, at)
                if payload is not None and not _is_told(event_type, payload):
                    events.emit(
                        event_type, payload, source=source, organization_id=row["organization_id"],
                        target=f"{table}:{row['id']}", now=at,
                    )  # fmt: skip
                    told.append(payload)
    return told


def _due(table: str, row: Mapping[str, Any], at: datetime) -> dict[str, Any] | None:
    """Return what is told of a row now; None where it is not under a threshold, or long expired."""
    seconds = (clock.from_text(row["expires_at"]) - at).total_seconds()
    left = math.ceil(seconds / _DAY) if seconds > 0 else -1
    thresholds = (0, *read_settings(organization=row["organization_id"]).expiry_days)
    under = [days for days in thresholds if seconds <= days * _DAY]
    if not under or seconds < -_AGO * _DAY:
        return None
    named = {name: row[name] for name in ("integration", "key", "license") if name in row}
    what = {"table": table, "id": row["id"], "expires_at": row["expires_at"]}
    return {**named, **what, "days_left": left, "threshold_days": min(under)}


def _is_told(event_type: str, payload: Mapping[str, Any]) -> bool:
    found = db.query(
        "SELECT 1 AS found FROM integration_event WHERE event_type = ? AND event_target = ?"
        " AND event_payload ->> '$.expires_at' = ? AND event_payload ->> '$.threshold_days' = ? LIMIT 1",
        (
            event_type, f"{payload['table']}:{payload['id']}", payload["expires_at"],
            payload["threshold_days"],
        ),
    )  # fmt: skip
    return bool(found)
