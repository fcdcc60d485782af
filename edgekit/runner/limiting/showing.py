"""What holds an integration's requests back just now: its breakers and its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.integrations import reading

if TYPE_CHECKING:
    from datetime import datetime


def list_breakers(integration: str | None = None, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """Return the breakers that have met a failure, by integration and target, the closed ones too.

    `failure_count` is how many there were in a row; `seconds_left` how long it is left alone yet, None where
    the next call may pass.
    """
    wanted = reading.find(integration)["id"] if integration is not None else None
    moment = now or clock.now()
    rows = db.query(
        "SELECT i.integration_name AS integration, b.target, b.breaker_status AS status, b.failure_count,"
        " b.opened_at, b.retry_at FROM circuit_breaker b JOIN integration i ON i.id = b.integration_id"
        " WHERE ?1 IS NULL OR b.integration_id = ?1 ORDER BY i.integration_name, b.target",
        (wanted,),
    )
    for row in rows:
        left = None
        if row["status"] == "open":
            left = round((clock.from_text(row["retry_at"]) - moment).total_seconds())
        row["seconds_left"] = left if left is not None and left > 0 else None
    return rows
