"""Proposing mappings: fields of a sample matched with columns, each with a confidence and the reason.

Pure: columns are told by the caller, records are a sample. No two sources are proposed for one target, no
source for two; what stays unmatched on either side is listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import jsonpath
from edgekit.mapping import words
from edgekit.mapping.values import Look, look

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_UNSEEN = 0.7
"""The most confidence in a lookup that found no row, by a field that is called otherwise."""

LEAST = 0.5
"""The least confidence something is proposed with."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEEPEST, _MOST_VALUES = 6, 500
_INSIDE = "\n"
"""What stands in the name of a field between an object and its member; a header may have spaces."""

_FITS = {
    "integer": {"integer", "year"}, "number": {"number", "integer", "year"}, "date": {"date", "datetime"},
    "datetime": {"datetime", "date"}, "boolean": {"boolean"}, "money": {"money", "number", "integer", "year"},
    "json": {"json"},
}  # fmt: skip
"""By the kind of a column, what values may look like; text takes anything but objects and lists."""

_TELLING = {"vin", "email", "phone", "state", "postal_code"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column mappings may go to: its kind of value, and what it refers to.

    `codes` are values by column of the table it refers to; `choices` the only values it takes.
    """

    name: str
    kind: str
    is_required: bool = False
    references: str | None = None
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping that is proposed. `reason` says why, and what should be looked at."""

    source_path: str
    target_path: str
    confidence: float
    reason: str
    target_data_type: str | None
    is_required: bool
    transformation_rules: dict[str, Any] | None
    example: Any

    def mapping(self) -> dict[str, Any]:
        """Return it as the fields of a mapping."""
        names = ("source_path", "target_path", "target_data_type", "is_required", "transformation_rules")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What is proposed, the most certain first, and what nothing was found for."""

    table: str
    records: int
    proposals: tuple[Proposal, ...]
    unmatched_sources: tuple[dict[str, Any], ...]
    unmatched_targets: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class _Source:
    path: str
    name: str
    values: list[Any]
    filled: int
    looks: Look


def suggest(
    records: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, table: str,
    used: Collection[str] = (),
) -> Suggestions:  # fmt: skip
    """Propose mappings of the fields of these records, but those `used`, to these columns of a table."""
    places = {jsonpath.compile(path).segments for path in used} - {None}
    sources = [one for one in _sources(records) if jsonpath.compile(one.path).segments not in places]
    found = [
        (proposal.confidence, number, place, proposal)
        for number, source in enumerate(sources)
        for place, column in enumerate(columns)
        if (proposal := _propose(source, column, table, len(records))) is not None
    ]
    taken: set[int] = set()
    filled: set[int] = set()
    chosen: list[Proposal] = []
    for _, number, place, proposal in sorted(found, key=lambda one: (-one[0], one[1], one[2])):
        if number not in taken and place not in filled:
            taken.add(number)
            filled.add(place)
            chosen.append(proposal)
    return Suggestions(
        table, len(records), tuple(chosen),
        tuple({"source_path": s.path, "looks_like": s.looks.kind, "example": _short(s.values)}
              for n, s in enumerate(sources) if n not in taken),
        tuple({"target_path": c.name, "is_required": c.is_required}
              for p, c in enumerate(columns) if p not in filled),
    )  # fmt: skip


def _sources(records: Sequence[Mapping[str, Any]]) -> list[_Source]:
    """Gather the values of each field, those of objects inside by their path."""
    gathered: dict[str, tuple[str, list[Any]]] = {}
    for record in records:
        _gather(record, "$", "", 0, gathered)
    found = []
    for path, (name, values) in gathered.items():
        there = [value for value in values if value is not None and value != ""]
        found.append(_Source(path, name, there[:_MOST_VALUES], len(there), look(there[:_MOST_VALUES])))
    return found


def _gather(
    record: Mapping[str, Any], path: str, name: str, depth: int, gathered: dict[str, tuple[str, list[Any]]]
) -> None:
    for key, value in record.items():
        quoted = str(key).replace("\\", "\\\\").replace("'", "\\'")
        inner = f"{path}.{key}" if _NAME.fullmatch(str(key)) else f"{path}['{quoted}']"
        called = f"{name}{_INSIDE}{key}" if name else str(key)
        if isinstance(value, dict) and depth < _DEEPEST:
            _gather(value, inner, called, depth + 1, gathered)
        else:
            gathered.setdefault(inner, (called, []))[1].append(value)


def _propose(source: _Source, column: Column, table: str, records: int) -> Proposal | None:
    names = _alike(source.name, column, table)
    rules, data_type, fit, said = _fit(source, column)
    if fit < 0:
        return None
    confidence = 0.8 * names + 0.2 * fit if names else 0.0
    if fit == 1.0 and source.looks.kind in _TELLING and source.looks.kind in words.tokens(column.name):
        confidence = max(confidence, 0.6 + 0.35 * names)
    if names and source.looks.kind == "year" and column.name.endswith("year"):
        confidence = max(confidence, 0.6 + 0.35 * names)
    if fit >= 0.9 and column.choices and len(set(map(str, source.values))) > 1:
        confidence = max(confidence, 0.6 + 0.35 * names)
    if source.looks.kind == "none":
        confidence *= 0.85
        said = [*said, "no value in the sample"]
    if source.looks.also and column.kind == "date":
        confidence *= 0.85
        said = [*said, f"day and month could be the other way round ({source.looks.also})"]
    if rules and rules["type"] == "lookup" and fit < 1.0 and not _names_match(source, rules["match"]):
        confidence = min(confidence, _UNSEEN)
    ours, theirs = words.unit(source.name), words.unit(column.name)
    if ours and theirs and ours != theirs:
        confidence *= 0.6
        said = [*said, f"units differ: {ours} and {theirs}, nothing converts them"]
    if confidence < LEAST:
        return None
    called = "the names are the same" if names == 1 else f"the names are alike ({names:.2f})"
    reason = "; ".join([called if names else "by its values", *said])
    return Proposal(
        source.path, column.name, round(confidence, 2), reason, data_type,
        column.is_required and source.filled == records, rules, _short(source.values),
    )  # fmt: skip


def _names_match(source: _Source, match: str) -> bool:
    """Tell whether a field is called what rows of another table are known by, as `policyNumber`."""
    return words.tokens(source.name.rpartition(_INSIDE)[2])[-1:] == words.tokens(match)[-1:]


def _alike(source: str, column: Column, table: str) -> float:
    """Compare names; of a field inside of an object its own name counts, and a little more with the path."""
    about = table
    names = [column.name]
    if column.references is not None:
        about = column.references
        names += [
            column.name.removesuffix("_id"),
            *(name for name in column.codes if name not in {"code", "name"}),
        ]
    if column.choices and column.name.endswith("_state"):
        names.append(f"{column.name.removesuffix('_state')}_status")
    last = source.rpartition(_INSIDE)[2]
    whole = max(words.likeness(source, name, about) for name in names)
    if column.references is None and words.is_name_of(source, column.name):
        whole = max(whole, 0.83)
    own = max(words.likeness(last, name, about) for name in names) * 0.92 if last != source else 0.0
    return max(whole, own)


def _fit(source: _Source, column: Column) -> tuple[dict[str, Any] | None, str | None, float, list[str]]:
    """Return rules, type, how well values fit (-1: not at all) and what is to be said."""
    looks = source.looks
    if column.references is not None:
        return _fit_reference(source, column)
    if column.choices:
        return _fit_choices(source, column)
    if looks.kind == "none":
        return None, _type(column.kind), 0.3, []
    if column.kind in _FITS:
        if looks.kind not in _FITS[column.kind]:
            return None, None, -1, []
        form = (
            looks.form
            if column.kind == "date" and looks.kind == "date" and looks.form != "%Y-%m-%d"
            else None
        )
        rules: dict[str, Any] | None = {"type": "date", "format": form} if form else None
        said = [f"dates of the form {form}"] if form else [f"values look like {looks.kind}"]
        if looks.form == ",":
            rules, said = {"type": "money", "decimal": ","}, [f"{looks.kind} with a decimal comma"]
        sure = looks.kind == column.kind or (column.name.endswith("year") and looks.kind == "year")
        return rules, _type(column.kind), 1.0 if sure else 0.6, said
    if looks.kind == "json":
        return None, None, -1, []
    wanted = words.tokens(column.name)
    if looks.kind in _TELLING and ("_".join(wanted).endswith(looks.kind) or looks.kind in wanted):
        return None, "string", 1.0, [f"values look like {looks.kind}"]
    if looks.kind in _TELLING - {"state"} or looks.kind in {"date", "datetime"}:
        return None, "string", 0.0, [f"values look like {looks.kind}"]
    return None, "string", 0.6, []


def _fit_reference(
    source: _Source, column: Column
) -> tuple[dict[str, Any] | None, str | None, float, list[str]]:
    values = {str(value) for value in source.values}
    best = max(
        ((len(values & there) / len(values), match) for match, there in column.codes.items() if values),
        default=(0.0, ""),
        key=lambda one: one[0],
    )
    if best[0] >= 0.8:
        rules = {"type": "lookup", "table": column.references, "match": best[1]}
        return rules, None, 1.0, [f"{best[0]:.0%} of the values are a {best[1]} of {column.references}"]
    match = next(iter(column.codes), None)
    if match is None or source.looks.kind in {"json", "date", "datetime"}:
        return None, None, -1, []
    rules = {"type": "lookup", "table": column.references, "match": match}
    return (
        rules,
        None,
        0.2,
        [f"looked up as {match} of {column.references}, where the sample's values are not yet"],
    )


def _fit_choices(
    source: _Source, column: Column
) -> tuple[dict[str, Any] | None, str | None, float, list[str]]:
    values = {str(value) for value in source.values}
    if values and values <= column.choices:
        return None, "string", 1.0, ["all values are ones it takes"]
    folded = {_fold(choice): choice for choice in column.choices}
    pairs = {value: folded[_fold(value)] for value in values if _fold(value) in folded}
    if values and len(pairs) == len(values):
        return (
            {"type": "map", "values": dict(sorted(pairs.items()))},
            "string",
            0.9,
            ["values differ in spelling"],
        )
    if pairs or not values:
        return None, "string", 0.2, [f"it takes only {', '.join(sorted(column.choices))}"]
    return None, None, -1, []


def _fold(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _type(kind: str) -> str:
    return kind if kind in _FITS else "string"


def _short(values: Sequence[Any]) -> Any:
    if not values:
        return None
    first = values[0]
    return first if isinstance(first, int | float | bool) else str(first)[:60]
