"""Where the figures of an integration come from: time-out, retries and breaker, each with who says it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import configuration
from edgekit.integrations import figures

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure as it counts, and where it comes from; None where the connector has its own way."""

    figure: str
    value: Any
    source: str


def explain_exchange(
    row: Mapping[str, Any], settings: Mapping[str, Any], known: Collection[str]
) -> list[Figure]:
    """Return time-out, retries and breaker as they count for an integration with these settings.

    Those its connector does not know, of `known` settings, and those nobody says are left out.
    """
    way = settings.get("to", settings)
    breaker = json.loads(row["breaker"]) if row["breaker"] is not None else {}
    own = {name: way.get(name) for name in figures.EXCHANGE}
    own |= {f"breaker_{name}": value for name, value in breaker.items()}
    names = [name for name in figures.SOURCES if name in known or name in figures.BREAKER]
    found = [_figure(row, name, own.get(name)) for name in names]
    return [_capped(row, one) if one.figure == "retries" else one for one in found if one.value is not None]


def _figure(row: Mapping[str, Any], name: str, own: Any) -> Figure:
    if own is not None:
        return Figure(name, own, f"settings of {row['integration_name']}")
    for kind, key in figures.sources(row, name):
        said = configuration.explain(kind, key, **figures.place_of(row))
        if said.value is not None:
            winner = next((one for one in said.candidates if one.outcome in {"wins", "merged"}), None)
            return Figure(name, said.value, f"{key} of {kind}, {winner.scope if winner else 'default'}")
    return Figure(name, None, "")


def _capped(row: Mapping[str, Any], found: Figure) -> Figure:
    cap = figures.retry_cap(row)
    if found.value <= cap:
        return found
    by = "max_retry_attempts" + (" or max_retries of DCS_RETRY" if figures.is_dcs(row) else "")
    return Figure(found.figure, cap, f"capped by {by}; {found.value} asked by {found.source}")
