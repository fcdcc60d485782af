"""Merging what is said of a feature: its value, and its settings key by key."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgekit import scope
from edgekit.errors import InvalidError
from edgekit.licensing.registry import members, parse

if TYPE_CHECKING:
    from edgekit.licensing.facts import Fact
    from edgekit.scope import Link

USER = scope.LEVELS.index("user")

Said = tuple[int, "Mapping[str, Any]"]
"""A feature value and at which level it is said: registry, tier and the system are the broadest, 0."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def merge(fact: Fact, says: list[Said]) -> tuple[Any, Mapping[str, Any]]:
    """Take the last value said, and the settings key by key over the defaults of the schemas.

    A schema may say of a key how it is merged and where it is final, as that of a configuration does.
    """
    if not says and not fact.schemas:
        return None, _NOTHING
    value = None
    settings: dict[str, Any] = {}
    rules: dict[str, tuple[str | None, int]] = {}
    for schema in fact.schemas:
        settings.update(defaults(schema))
        rules.update(_rules(schema))
    for level, one in says:
        if "value" in one:
            value = one["value"]
        if "settings" in one:
            settings.update(_ruled(settings, one["settings"], level, rules) if rules else one["settings"])
    return freeze(value), freeze(settings)


def _ruled(
    settings: Mapping[str, Any],
    said: Mapping[str, Any],
    level: int,
    rules: Mapping[str, tuple[str | None, int]],
) -> dict[str, Any]:
    """Return what a level makes of settings whose schema says how they merge or where they are final."""
    found = {}
    for key, value in said.items():
        how, final = rules.get(key, (None, USER))
        if level <= final:
            found[key] = scope.join(how, settings[key], value) if key in settings else value
    return found


def level_of(link: Link) -> int:
    if link.scope_id is None:
        return 0 if link.organization_id is None else 1
    return scope.LEVELS.index(link.level.lower())


@lru_cache(maxsize=1024)
def _rules(schema: str) -> Mapping[str, tuple[str | None, int]]:
    """Return how settings merge (`x-merge`) and down to which level they may be set (`x-final`)."""
    if '"x-' not in schema:
        return _NOTHING
    found = {}
    for name, part in members(schema).items():
        if "x-merge" in part or "x-final" in part:
            final = part.get("x-final", "user")
            if final not in scope.LEVELS:
                raise InvalidError(
                    f"The schema of a feature says x-final {final!r} of {name}; levels are"
                    f" {', '.join(scope.LEVELS)}.",
                    hint="Correct it: edgekit features set FEATURE configuration_schema=…",
                )
            found[name] = (part.get("x-merge"), scope.LEVELS.index(final))
    return found


@lru_cache(maxsize=1024)
def defaults(schema: str) -> Mapping[str, Any]:
    """Return the settings a JSON Schema gives by default."""
    plain = parse(schema)
    if schema.count('"properties"') < 2 and '"$ref"' not in schema and '"allOf"' not in schema:
        return {name: part["default"] for name, part in members(schema).items() if "default" in part}
    from edgekit import validate  # with what it imports it takes 50 ms

    validate.check_schema(plain, "The schema of a feature")
    found: Mapping[str, Any] = validate.apply_defaults(plain, {})
    return found


def freeze(value: Any) -> Any:
    """Return a value nobody can change: decisions are shared."""
    if isinstance(value, dict):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    return tuple(map(freeze, value)) if isinstance(value, list) else value


def keep_within(signed: Any, said: Any) -> Any:
    """Let what is entered by hand lower what is signed, not add to it.

    A number may become smaller, a switch go off, a list shorter; other things stay what is signed. A setting
    that has no value without it counts, but for one that switches on.
    """
    if isinstance(signed, Mapping) and isinstance(said, Mapping):
        more = {
            key: keep_within(signed[key], value) if key in signed else value
            for key, value in said.items()
            if key in signed or value is not True
        }
        return MappingProxyType({**signed, **more})
    return said if said == signed or _is_lower(signed, said) else signed


def _is_lower(signed: Any, said: Any) -> bool:
    if isinstance(signed, bool) or isinstance(said, bool):
        return said is False
    if isinstance(signed, int | float) and isinstance(said, int | float):
        return 0 <= said <= signed  # below 0 often means without end
    if isinstance(signed, tuple) and isinstance(said, tuple):
        return all(item in signed for item in said)
    return False
