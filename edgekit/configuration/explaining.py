"""Saying why a key has its value: every candidate along the chain, who set it, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import scope
from edgekit.configuration.kinds import find_type, near
from edgekit.configuration.logged import states
from edgekit.configuration.resolving import changed_keys, counting, documents
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from edgekit.configuration.kinds import Kind
    from edgekit.configuration.resolving import Document
    from edgekit.scope import Named


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value on the way: where it is set, by whom and when, and what became of it.

    `outcome` is wins, merged, overridden, locked, passed_over or retired; `why` says it as a sentence. Of the
    schema's default nobody is named.
    """

    scope: str
    value: Any
    outcome: str
    why: str
    set_by: str | None
    set_at: str | None
    version: int | None
    configuration_id: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a key is at a place, and why; `is_set` is False where nobody sets it and it has no default."""

    type: str
    key: str
    value: Any
    is_set: bool
    chain: str
    merge: str
    final: str | None
    candidates: tuple[Candidate, ...]


def explain(
    kind: str,
    key: str,
    *,
    organization: Named | None = None,
    program: Named | None = None,
    producer: Named | None = None,
    entity: Named | None = None,
    user: Named | None = None,
) -> Explanation:
    """Tell of one key at a place each candidate, the narrowest first, and why it counts or does not.

    Raise NotFoundError for a type, a place, or a key that neither the schema nor anybody names.
    """
    found = find_type(kind)
    links = scope.chain(
        organization=organization, program=program, producer=producer, entity=entity, user=user
    )
    every = documents(found, links)
    chosen = {document.id for document in counting(found, links)}
    setting = [document for document in every if key in document.content]
    if key not in found.keys and not setting:
        known = {*found.keys, *(name for document in every for name in document.content)}
        raise NotFoundError(
            f"{found.code} has no key {key}.",
            hint=near(key, known, f"Keys are {', '.join(sorted(known))}." if known else None),
        )
    candidates, value, is_set = _judge(found, key, setting, chosen)
    return Explanation(
        found.code, key, value, is_set, scope.describe(links), found.merges.get(key, "replace"),
        found.finals.get(key), tuple(candidates),
    )  # fmt: skip


def _judge(
    kind: Kind, key: str, setting: list[Document], chosen: set[int]
) -> tuple[list[Candidate], Any, bool]:
    """Go along the chain as the resolver does, and note what becomes of each value."""
    how = kind.merges.get(key, "replace")
    value = kind.defaults.get(key) if kind.is_active else None
    counts = [d for d in setting if kind.is_active and d.id in chosen and not kind.locks(key, d.link)]
    merged: list[str] = []  # what the final value is made of, the narrowest last
    if kind.is_active and key in kind.defaults:
        merged = ["schema default"]
    for document in counts:
        own = document.content[key]
        joined = scope.join(how, value, own) if merged else own
        kinds: tuple[type, ...] = {"append": (list,), "deep": (dict,)}.get(how, ())
        adds = bool(merged) and isinstance(value, kinds) and isinstance(own, kinds)
        merged = [*merged, document.link.label] if adds else [document.link.label]
        value = joined
    found = []
    for document in reversed(setting):
        outcome, why = _outcome(kind, key, document, chosen, merged)
        found.append(_candidate(key, document, outcome, why))
    if key in kind.defaults:
        outcome, why = _of_default(kind, merged)
        found.append(Candidate("schema default", kind.defaults[key], outcome, why, None, None, None, None))
    return found, value, bool(merged)


def _outcome(
    kind: Kind, key: str, document: Document, chosen: set[int], merged: list[str]
) -> tuple[str, str]:
    label = document.link.label
    if not kind.is_active:
        return "retired", f"{kind.code} is retired: nothing of it counts"
    if document.status_id not in kind.active_states:
        return "retired", "this document is retired"
    if document.id not in chosen:
        return (
            "passed_over",
            f"of {label} another document counts: the organization's own, or a later version",
        )
    if kind.locks(key, document.link):
        return "locked", f"{key} is locked at the level {kind.finals[key]}: nothing narrower counts"
    if label not in merged:
        return "overridden", f"{merged[0]} is narrower"
    if len(merged) > 1:
        return "merged", f"merged ({kind.merges[key]}) with {', '.join(m for m in merged if m != label)}"
    return "wins", "the narrowest that sets it"


def _of_default(kind: Kind, merged: list[str]) -> tuple[str, str]:
    if not kind.is_active:
        return "retired", f"{kind.code} is retired: nothing of it counts"
    if merged == ["schema default"]:
        return "wins", "nobody sets it"
    if "schema default" in merged:
        return "merged", f"merged with {', '.join(merged[1:])}"
    return "overridden", f"{merged[0]} sets it"


def _candidate(key: str, document: Document, outcome: str, why: str) -> Candidate:
    """Name who gave the key its value: the last state of the document that changed it."""
    value = document.content[key]
    by: str | None = None
    at: str | None = None
    for step in states(document.id):
        content = json.loads(step.row["config_data"])
        if key not in content or changed_keys({key: content[key]}, {key: value}):
            break
        by, at = step.actor, step.at
    return Candidate(document.link.label, value, outcome, why, by, at, document.version, document.id)
