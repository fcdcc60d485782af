"""Monitoring: what is summed up so that it can be read without a join.

    from edgekit import monitoring

    monitoring.refresh()
    monitoring.list_clients()

`client_summary` holds what `unified_client_dashboard` says of each client, as of the last refresh. Which
clients it is behind on is told by the view `v_client_summary_stale`, and by `edgekit doctor`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import clock, db

if TYPE_CHECKING:
    from datetime import datetime

REFRESHED = "client_summary.changed"
"""The metric each refresh leaves a sample of: how many clients it found something else of."""

_SUMMED = (
    "active_modules", "configured_apps", "current_workflow", "workflow_status", "current_step",
    "handover_package", "delivery_status", "system_configurations", "deployment_configurations",
    "subscription_tier", "subscription_status",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to: how many clients are summed up, and of how many that is something else now."""

    clients: int
    changed: int
    refreshed_at: str


@dataclass(frozen=True, slots=True)
class ClientSummary:
    """One client as of the last refresh, of `refreshed_at`; its names and stage are read as they are now."""

    client_id: int
    client_name: str
    company_name: str | None
    client_status: str
    active_modules: int
    configured_apps: int
    current_workflow: str | None
    workflow_status: str | None
    current_step: str | None
    handover_package: str | None
    delivery_status: str | None
    system_configurations: int
    deployment_configurations: int
    subscription_tier: str | None
    subscription_status: str | None
    refreshed_at: str


def refresh(*, now: datetime | None = None) -> Refreshed:
    """Bring `client_summary` up to what the rows of each client say. What is so already is not written."""
    at, names = clock.to_text(now or clock.now()), ", ".join(_SUMMED)
    found = ", ".join(f"excluded.{name}" for name in _SUMMED)
    stored = ", ".join(f"client_summary.{name}" for name in _SUMMED)
    with db.change(reason="monitoring refresh"):
        connection = db.connection()
        changed = connection.execute(
            f"INSERT INTO client_summary(client_id, {names}, changed_at)"
            f" SELECT client_id, {names}, ? FROM unified_client_dashboard WHERE true"
            f" ON CONFLICT (client_id) DO UPDATE SET ({names}, changed_at) = ({found}, excluded.changed_at)"
            f" WHERE ({stored}) IS NOT ({found})",
            (at,),
        ).rowcount
        connection.execute(
            "INSERT INTO metric_sample(metric, value, sampled_at) VALUES (?, ?, ?)", (REFRESHED, changed, at)
        )
        (clients,) = connection.execute("SELECT count(*) FROM client_summary").fetchone()
    return Refreshed(clients, changed, at)


def list_clients() -> list[ClientSummary]:
    """Return the clients as they were summed up last, by name; none before the first refresh."""
    names = ", ".join(f"s.{name}" for name in _SUMMED)
    rows = db.connection().execute(
        "SELECT c.id, c.client_name, c.company_name, (SELECT lower(code) FROM client_status"
        f" WHERE id = c.client_status_id), {names}, ifnull((SELECT max(sampled_at) FROM metric_sample"
        " WHERE metric = ?), s.changed_at) FROM client_summary s JOIN client c ON c.id = s.client_id"
        " ORDER BY c.client_name, c.id",
        (REFRESHED,),
    )
    return [ClientSummary(*row) for row in rows]
