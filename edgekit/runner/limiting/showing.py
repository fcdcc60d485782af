"""What holds an integration's requests back just now: its breakers and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edgekit import clock, connectors, db
from edgekit.integrations import figures, outbound, reading
from edgekit.integrations.figures_explained import Figure, explain_exchange
from edgekit.runner.limiting.windows import Window

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit, how much of it is used up just now, and when the next is free where none is left.

    `seconds` is what it is for: None where it holds at any time. `blocks` says whether more is refused; of a
    licence that only warns it is not.
    """

    limit: str
    allowed: int
    seconds: int | None
    used: int | None
    free_at: str | None
    blocks: bool


@dataclass(frozen=True, slots=True)
class LimitsShown:
    """What holds an integration's requests back, and where each figure comes from."""

    integration: str
    limits: tuple[Allowance, ...]
    figures: tuple[Figure, ...]
    cache_ttl_hours: float | None
    breakers: tuple[dict[str, Any], ...]


def show_limits(integration: str, *, now: datetime | None = None) -> LimitsShown:
    """Return each limit and figure of an integration as it counts, who says it, and what is used up now.

    One whose connector makes no requests of its own, such as a file's, has no limits of them. Raise
    NotFoundError where there is no such integration.
    """
    moment = now or clock.now()
    found = reading.find(integration)
    row = figures.find_row(found["id"])
    settings = found["connection_config"]
    asks, speaks, known = _ways(settings)
    limits, shown = figures.limits(found["id"]), []
    if asks:
        shown = [_allowance(limit, moment) for limit in limits.rates]
        at_once = f"max_concurrent_requests of {limits.concurrent_by}"
        shown.append(Allowance(at_once, limits.concurrent, None, None, None, blocks=True))
    have, most, mode = figures.count_integrations(found["organization_id"])
    if most is not None:
        name = f"max_integrations of {figures.API}"
        shown.append(Allowance(name, most, None, have, None, blocks=mode == "block"))
    return LimitsShown(
        integration,
        tuple(shown),
        tuple(explain_exchange(row, settings, known)) if speaks else (),
        figures.cache_hours(row),
        tuple(one for one in list_breakers(integration, now=now) if one["status"] != "closed"),
    )


def _ways(settings: Mapping[str, Any]) -> tuple[bool, bool, set[str]]:
    """Tell whether an integration makes requests, whether it speaks with anybody, and its settings."""
    asks = speaks = False
    known: set[str] = set()
    to = settings.get("to", {})
    for name, schema in ((settings.get("connector"), "config_schema"), (to.get("connector"), "write_schema")):
        if name is not None and name != outbound.EVENT:
            connector: Any = connectors.get(str(name))
            asks = asks or hasattr(connector, "through")
            speaks = speaks or hasattr(connector, "through") or hasattr(connector, "target_of")
            known |= set(getattr(connector, schema).get("properties", {}))
    return asks, speaks, known


def _allowance(limit: figures.Limit, moment: datetime) -> Allowance:
    window = Window(limit, moment)
    free = None
    if not window.room():
        free = clock.to_text(datetime.fromtimestamp(window.free_at(), UTC))
    return Allowance(limit.name, limit.count, limit.seconds, window.used, free, limit.blocks)


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
