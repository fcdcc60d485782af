"""How an integration asks the other side, worked out along the chain: time-out, retries, and how often."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import configuration, db, licensing, scope
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

API = "API_INTEGRATIONS"
"""The feature whose settings limit every integration that makes requests."""

MINUTE, HOUR, DAY = 60, 3600, 86400

_AT_ONCE = "max_concurrent_requests"

_SPANS = {
    "requests_per_second": 1,
    "requests_per_minute": MINUTE,
    "requests_per_hour": HOUR,
    "requests_per_day": DAY,
    "daily_limit": DAY,
}
"""What `rate_limits` of an integration or a template may say, and the seconds it is for."""

_COMMON = "COMMUNICATION_DEFAULTS"

SOURCES: dict[str, tuple[tuple[str, str], ...]] = {
    "timeout_seconds": (("DCS_CONNECTION", "timeout_seconds"), (_COMMON, "default_timeout_seconds")),
    "retries": (("DCS_RETRY", "max_retries"), (_COMMON, "default_retry_attempts")),
    "retry_delay_ms": (("DCS_RETRY", "retry_delay_ms"),),
    "retry_multiplier": ((_COMMON, "retry_backoff_multiplier"),),
    **{
        f"breaker_{name}": (("DCS_RETRY", f"circuit_breaker_{name}"), (_COMMON, f"circuit_breaker_{name}"))
        for name in ("threshold", "timeout_seconds", "counts_429")
    },
}
"""Where a figure is configured, if the integration says none itself: types of DCS look at theirs first."""

EXCHANGE = tuple(name for name in SOURCES if not name.startswith("breaker_"))
BREAKER = tuple(name for name in SOURCES if name.startswith("breaker_"))
"""What `circuit_breaker` of an integration may say, without the beginning."""

_MOST_RETRIES = 20
_LONGEST = 366 * DAY
"""Seconds a breaker leaves a place alone at most: for ever is told by disabling the integration."""

_CACHE = "cache_ttl_hours"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in a window of so many seconds, counted under a key that others may share."""

    key: str
    name: str
    count: int
    seconds: int
    blocks: bool = True
    """Whether a request above it is refused; one of a licence that does not block only warns."""


@dataclass(frozen=True, slots=True)
class Breaking:
    """After how many failures in a row a target is left alone, and for how many seconds."""

    threshold: int = 5
    seconds: int = 60
    counts_429: bool = False
    """Whether being asked to slow down is a failure."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits that hold for the requests of an integration at once, and when its breakers open."""

    rates: tuple[Limit, ...]
    concurrent: int
    breaking: Breaking = Breaking()
    concurrent_by: str = "edgekit"
    """Who says how many may run at the same time."""


def exchange_settings(
    row: Mapping[str, Any], own: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Return time-out and retries as they count for an integration, of those settings its connector knows.

    What it says itself comes before DCS_CONNECTION and DCS_RETRY, which hold for types of DCS, and those
    before COMMUNICATION_DEFAULTS. `retry_cap` caps the retries.
    """
    if not {"timeout_seconds", "retries"} & set(known):
        return {}
    found = {name: _resolved(row, name, own) for name in EXCHANGE if name in known}
    if found.get("retries") is not None:
        found["retries"] = min(found["retries"], retry_cap(row))
    if found.get("timeout_seconds") is not None:
        longest = known["timeout_seconds"].get("maximum", found["timeout_seconds"])
        found["timeout_seconds"] = min(found["timeout_seconds"], longest)
    return {name: value for name, value in found.items() if value is not None}


def retry_cap(row: Mapping[str, Any]) -> int:
    """Return how often an integration may try again at most: `max_retry_attempts`, and DCS's `max_retries`.

    A narrower scope may lower the cap; one that would raise it is not heard.
    """
    said = configuration.explain("COMMUNICATION_DEFAULTS", "max_retry_attempts", **place_of(row))
    heard = [one for one in said.candidates if one.outcome in {"wins", "overridden"}]
    caps = [one.value for one in [one for one in heard if one.version] or heard] + [_MOST_RETRIES]
    if is_dcs(row):
        caps.append(configuration.resolve("DCS_RETRY", **place_of(row)).get("max_retries", _MOST_RETRIES))
    return int(min(caps))


def sources(row: Mapping[str, Any], figure: str) -> list[tuple[str, str]]:
    """Return the types and keys of configuration that say a figure for an integration, the first first."""
    return [(kind, key) for kind, key in SOURCES[figure] if is_dcs(row) or not kind.startswith("DCS_")]


def _resolved(row: Mapping[str, Any], figure: str, own: Mapping[str, Any]) -> Any:
    """Return what counts of a figure: the integration's own, or the first that is configured."""
    if own.get(figure) is not None:
        return own[figure]
    place = place_of(row)
    return _first(*(configuration.resolve(kind, **place).get(key) for kind, key in sources(row, figure)))


def limits(integration_id: int) -> Limits:
    """Return every limit that holds for the requests of an integration.

    Those of its program for types of DCS (DCS_LIMITS), those of the licensed feature (`rate_limit_per_hour`,
    `max_concurrent_requests`), and `rate_limits` of the integration and of its template.
    """
    row = find_row(integration_id)
    rates = [*_own(row), *_licensed(row), *(_dcs(row) if is_dcs(row) else ())]
    concurrent, said_by = _concurrent(row)
    return Limits(tuple(rates), concurrent, _breaking(row), said_by)


def find_row(integration_id: int) -> dict[str, Any]:
    """Return what figures are worked out from, of one integration."""
    return db.query(
        "SELECT i.id, i.integration_name, i.organization_id, i.entity_id, i.integration_type_id,"
        " t.code AS integration_type, f.code AS feature,"
        " json_extract(i.connection_config, '$.rate_limits') AS own,"
        " json_extract(i.connection_config, '$.circuit_breaker') AS breaker,"
        " (SELECT p.rate_limits FROM integration_template_instance x JOIN integration_template p"
        " ON p.id = x.template_id WHERE x.integration_id = i.id) AS template"
        " FROM integration i JOIN integration_type t ON t.id = i.integration_type_id"
        " JOIN feature f ON f.id = t.feature_id WHERE i.id = ?",
        (integration_id,),
    )[0]


def _breaking(row: Mapping[str, Any]) -> Breaking:
    """Work out when breakers open: what the integration says, then DCS_RETRY, then COMMUNICATION_DEFAULTS."""
    own = {}
    if row["breaker"] is not None:
        said = check_circuit_breaker(json.loads(row["breaker"]), what=row["integration_name"])
        own = {f"breaker_{name}": value for name, value in said.items()}
    threshold, seconds, counts = (_resolved(row, name, own) for name in BREAKER)
    known = Breaking()
    return Breaking(threshold or known.threshold, min(seconds or known.seconds, _LONGEST), bool(counts))


def check_circuit_breaker(value: Any, *, what: str) -> dict[str, int]:
    """Read `circuit_breaker`, such as {"threshold": 3}. Raise InvalidError naming what is wrong."""
    if not isinstance(value, dict):
        raise InvalidError(f'{what}: circuit_breaker is an object, such as {{"threshold": 3}}.')
    for name, said in value.items():
        if f"breaker_{name}" not in BREAKER:
            has = ", ".join(figure.removeprefix("breaker_") for figure in BREAKER)
            raise InvalidError(f"{what}: circuit_breaker has no {name}.", hint=f"It has {has}.")
        if name == "counts_429":
            if not isinstance(said, bool):
                raise InvalidError(f"{what}: counts_429 of circuit_breaker is true or false.")
        elif isinstance(said, bool) or not isinstance(said, int) or said < 1:
            raise InvalidError(f"{what}: {name} of circuit_breaker is a whole number from 1 on.")
    return value


def check_rate_limits(value: Any, *, what: str) -> dict[str, int]:
    """Read `rate_limits`, such as {"requests_per_minute": 60}. Raise InvalidError naming what is wrong."""
    if not isinstance(value, dict):
        raise InvalidError(f'{what}: rate_limits is an object, such as {{"requests_per_minute": 60}}.')
    for name, count in value.items():
        if name not in {*_SPANS, _AT_ONCE}:
            has = ", ".join([*_SPANS, _AT_ONCE])
            raise InvalidError(f"{what}: rate_limits has no {name}.", hint=f"It has {has}.")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidError(f"{what}: {name} of rate_limits is a whole number from 1 on.")
    return value


_COUNTED = (
    "SELECT i.organization_id FROM integration i JOIN integration_type t ON t.id = i.integration_type_id"
    " JOIN feature f ON f.id = t.feature_id JOIN feature_type k ON k.id = f.feature_type_id"
    " WHERE i.status_id = 1 AND NOT k.is_core"
)


def count_integrations(organization_id: int | None) -> tuple[int, int | None, str]:
    """Return how many integrations an organization has that count, how many it may have, and the mode."""
    decision = licensing.check(API, organization=organization_id)
    have = len(db.query(f"{_COUNTED} AND i.organization_id IS ?", (organization_id,)))
    return have, decision.settings.get("max_integrations"), decision.mode


def require_room(integration_id: int) -> None:
    """Go on only where an integration, active by now, is within `max_integrations` of its organization.

    Counted are those of types that need a feature beyond the core: files need none. One too many raises
    LicenseError where the installed licence blocks, and is logged where it warns.
    """
    found = db.query(f"{_COUNTED} AND i.id = ?", (integration_id,))
    if not found:
        return
    have, most, mode = count_integrations(found[0]["organization_id"])
    if most is not None and have > most:
        from edgekit.licensing import checking

        checking.refuse(
            mode,
            f"This would be the {have}. active integration; {API} allows {most} (max_integrations).",
            hint="Switch one off first: edgekit integrations disable NAME",
        )


def cache_hours(row: Mapping[str, Any]) -> float | None:
    """Return for how many hours what DCS answered is used again (`cache_ttl_hours`), None for other types."""
    if not is_dcs(row):
        return None
    found = None
    if row["entity_id"] is not None:
        found = licensing.check("DCS_DRIVER_VERIFICATION", entity=row["entity_id"]).settings.get(_CACHE)
    if found is None:
        found = _declared("entity_feature", "entity", "DCS_HOUSEHOLD_DRIVERS", _CACHE)
    return None if found is None else float(found)


def _own(row: Mapping[str, Any]) -> Iterator[Limit]:
    """Yield what the integration and its template say, the tighter for each span."""
    tightest: dict[int, tuple[int, str]] = {}
    for what, said in _stated(row):
        for name, count in said.items():
            if name in _SPANS:
                limit = (count, f"{name} of {what}")
                tightest[_SPANS[name]] = min(limit, tightest.get(_SPANS[name], limit))
    for seconds, (count, name) in tightest.items():
        yield Limit(f"integration/{row['id']}", name, count, seconds)


def _stated(row: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield `rate_limits` of the integration's template and its own, with whose they are."""
    for source in ("template", "own"):
        if row[source] is not None:
            what = row["integration_name"] + ("'s template" if source == "template" else "")
            yield what, check_rate_limits(json.loads(row[source]), what=what)


def _licensed(row: Mapping[str, Any]) -> Iterator[Limit]:
    places: dict[str, dict[str, Any]] = {}
    if row["organization_id"] is not None:
        places[f"organization/{row['organization_id']}"] = {"organization": row["organization_id"]}
    else:
        places["system"] = {}
    for program in _programs(row):
        places[f"program/{program}"] = {"program": program}
    if row["entity_id"] is not None:
        places[f"entity/{row['entity_id']}"] = {"entity": row["entity_id"]}
    for label, place in places.items():
        for feature in dict.fromkeys((API, row["feature"])):
            decision = licensing.check(feature, **place)
            count = decision.settings.get("rate_limit_per_hour")
            if count is not None:
                name = f"rate_limit_per_hour of {feature} for {_named(label)}"
                yield Limit(f"{feature}/{label}", name, int(count), HOUR, decision.mode == "block")


def _dcs(row: Mapping[str, Any]) -> Iterator[Limit]:
    """Yield the limits of each program the integration works for; without one, of the organization."""
    owner = row["organization_id"]
    places: dict[str, dict[str, Any]] = {
        f"program/{program}": {"program": program} for program in _programs(row)
    } or ({"system": {}} if owner is None else {f"organization/{owner}": {"organization": owner}})
    for label, place in places.items():
        found = configuration.resolve("DCS_LIMITS", **place)
        for key, seconds in (("requests_per_minute", MINUTE), ("daily_limit", DAY)):
            if found.get(key) is not None:
                name = f"{key} of DCS_LIMITS for {_named(label)}"
                yield Limit(f"DCS_LIMITS/{label}", name, int(found[key]), seconds)


def _named(label: str) -> str:
    """Write a place such as program/1 with its code, as people know it."""
    table, _, key = label.partition("/")
    rows = db.query(f"SELECT code FROM {table} WHERE id = ?", (int(key),)) if key else []
    return f"{table} {rows[0]['code'] if rows else key}".strip()


def _concurrent(row: Mapping[str, Any]) -> tuple[int, str]:
    """Return how many requests may run at the same time, the fewest that is said, and who says it."""
    said = [(found[_AT_ONCE], f"rate_limits of {what}") for what, found in _stated(row) if _AT_ONCE in found]
    if row["entity_id"] is not None:
        settings = licensing.check(API, entity=row["entity_id"]).settings
        if _AT_ONCE in settings:
            return min([*said, (int(settings[_AT_ONCE]), f"{API} for its entity")])
    found = _declared("entity_type_feature", "entity_type", "API_INTEGRATION", _AT_ONCE)
    general = (10, "edgekit") if found is None else (int(found), "the entity type API_INTEGRATION")
    return min([*said, general])


def _declared(table: str, of: str, code: str, key: str) -> Any:
    """Return the default that the registry states for a setting of an entity or a type of them."""
    rows = db.query(
        f"SELECT json_extract(x.configuration_schema, '$.properties.' || ? || '.default') AS value"
        f" FROM {table} x JOIN {of} e ON e.id = x.{of}_id WHERE e.code = ? AND x.status_id = 1",
        (key, code),
    )
    return next((row["value"] for row in rows if row["value"] is not None), None)


def place_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Say where an integration stands: its entity, its one program, else its organization."""
    if row["entity_id"] is not None:
        return {"entity": row["entity_id"]}
    programs = _programs(row) if is_dcs(row) else []
    if len(programs) == 1:
        return {"program": programs[0]}
    return {} if row["organization_id"] is None else {"organization": row["organization_id"]}


def _programs(row: Mapping[str, Any]) -> list[int]:
    """Return the programs an integration works for: its entity's, else those its type is set up for."""
    if row["entity_id"] is not None:
        links = scope.chain(entity=row["entity_id"])
        own = [link.scope_id for link in links if link.level == "PROGRAM" and link.scope_id is not None]
        if own:
            return own
    rows = db.query(
        "SELECT DISTINCT m.program_id FROM map_integration_configuration m"
        " JOIN program p ON p.id = m.program_id JOIN integration_type t ON t.id = m.integration_type_id"
        " WHERE t.code = ? AND m.status_id = 1 AND p.status_id = 1"
        " AND (?2 IS NULL OR p.organization_id IS ?2) ORDER BY 1",
        (row["integration_type"], row["organization_id"]),
    )
    return [row["program_id"] for row in rows]


def is_dcs(row: Mapping[str, Any]) -> bool:
    """Whether an integration is of a type of DCS, which has figures of its own."""
    return str(row["integration_type"]).upper().startswith("DCS_")


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
