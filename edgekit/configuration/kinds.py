"""The types of configuration: what their schemas say of each key, and at which levels they are set."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from edgekit import cache, db
from edgekit.errors import InvalidError, NotFoundError
from edgekit.scope import LEVELS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from edgekit.scope import Link

MERGES = ("replace", "deep", "append")
_KINDS = cache.Region(
    "configuration types",
    seconds=cache.STATIC_SECONDS,
    tables=("configuration_type", "scope_type", "status"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of configuration.

    `defaults`, `merges` and `finals` are what its schema states of single keys; `levels` are those it may be
    set at; without `is_active` nothing set of it counts.
    """

    id: int
    code: str
    name: str
    description: str | None
    is_active: bool
    levels: tuple[str, ...]
    schema: Mapping[str, Any] = field(repr=False)
    defaults: Mapping[str, Any] = field(repr=False)
    merges: Mapping[str, str] = field(repr=False)
    finals: Mapping[str, str] = field(repr=False)
    ranks: Mapping[str, int] = field(repr=False)
    active_states: frozenset[int] = field(repr=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys the schema names."""
        return tuple(_properties(self.schema))

    @property
    def is_closed(self) -> bool:
        """Whether there are no keys but those the schema names."""
        return self.schema.get("additionalProperties") is False and "patternProperties" not in self.schema

    def locks(self, key: str, link: Link) -> bool:
        """Tell whether what a link sets of a key does not count, since the key is final further up."""
        final = self.finals.get(key)
        if final is None:
            return False
        if final in {"system", "organization"}:
            return link.scope_id is not None or (final == "system" and link.organization_id is not None)
        return link.rank > self.ranks.get(final, link.rank)


def find_type(code: str) -> Kind:
    """Find a type by its code. Raise NotFoundError naming what comes close."""
    return _KINDS.get(code, lambda: _read(code))


def list_types() -> list[Kind]:
    """List the types by code, retired ones too."""
    rows = db.query("SELECT code FROM configuration_type ORDER BY code")
    return [find_type(row["code"]) for row in rows]


def near(word: str, known: Collection[str], otherwise: str | None = None) -> str | None:
    """Say which known words come close to one, or something else where none does."""
    by_fold = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), by_fold, n=2)
    return f"Did you mean {' or '.join(by_fold[name] for name in close)}?" if close else otherwise


def _read(code: str) -> Kind:
    flags = ", ".join(f"t.applies_to_{level}" for level in LEVELS if level != "organization")
    row = (
        db.connection()
        .execute(
            "SELECT t.id, t.code, t.name, t.description, t.schema_definition, s.is_active,"
            " (SELECT json_group_object(table_name, rank) FROM (SELECT table_name, min(hierarchy_level)"
            " AS rank FROM scope_type WHERE table_name NOT NULL GROUP BY table_name)),"
            f" (SELECT json_group_array(id) FROM status WHERE is_active = 1), {flags}"
            " FROM configuration_type t JOIN status s ON s.id = t.status_id WHERE t.code = ?",
            (code,),
        )
        .fetchone()
    )
    if row is None:
        known = [
            name for (name,) in db.connection().execute("SELECT code FROM configuration_type ORDER BY 1")
        ]
        hint = near(code, known, "See: edgekit configuration types")
        raise NotFoundError(f"There is no configuration type {code}.", hint=hint)
    key, code, name, description, text, is_active, ranks, states, *allowed = row
    schema = json.loads(text) if text else {}
    stated = {k: v for k, v in _properties(schema).items() if isinstance(v, dict)}
    flags_of = dict(zip([level for level in LEVELS if level != "organization"], allowed, strict=True))
    flags_of["organization"] = flags_of["system"]
    return Kind(
        key, code, name, description, bool(is_active),
        tuple(level for level in LEVELS if flags_of[level]),
        schema, {k: v["default"] for k, v in stated.items() if "default" in v},
        _stated(code, stated, "x-merge", MERGES), _stated(code, stated, "x-final", LEVELS),
        json.loads(ranks), frozenset(json.loads(states)),
    )  # fmt: skip


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a schema says of its keys; another tool may have written a schema that is none."""
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _stated(code: str, keys: Mapping[str, Any], word: str, choices: Iterable[str]) -> dict[str, str]:
    """Read what is said of keys by a word of ours. Raise InvalidError for what it does not know."""
    found = {key: rule[word] for key, rule in keys.items() if word in rule}
    for key, value in found.items():
        if value not in choices:
            raise InvalidError(
                f"The schema of {code} says {word} {value!r} of {key}; it is one of {', '.join(choices)}.",
                hint=f"Correct it: edgekit configuration-types set {code} schema_definition=…",
            )
    return found
