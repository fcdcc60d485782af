"""Test cases made from mappings: what is usual, missing, null, of the wrong type, at a bound, beyond it.

What is expected is what the mapping does now, so a case proves nothing until a person has looked at it: it is
stored as skipped, and tried from when it is confirmed on.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edgekit import db, jsonpath, masking
from edgekit.errors import InvalidError, NotFoundError, quoted
from edgekit.integrations import mapping_tests, reading, suggesting
from edgekit.integrations.plan import read_fields
from edgekit.models.integrations import IntegrationMapping, IntegrationMappingTest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.mapping import FieldMapping

PREFIX = "generated: "
"""How the names of generated tests begin."""

_LONG, _UNICODE = 1000, "Ünïcödé 漢字 😀"
_DATES = (("leap day", (2024, 2, 29)), ("first day", (1, 1, 1)), ("last day", (9999, 12, 31)))
_BY_TYPE: dict[str, tuple[tuple[str, Any], ...]] = {
    "integer": (
        ("text instead of a number", "soon"), ("zero", "0"), ("negative", "-1"), ("a fraction", "1.5"),
        ("largest", str(2**63 - 1)), ("too large", str(2**63)),
    ),
    "number": (("text instead of a number", "soon"), ("zero", "0"), ("largest", "1e308"),
               ("too large", "1e309")),
    "boolean": (("yes", "yes"), ("neither", "maybe")),
    "money": (
        ("text instead of an amount", "soon"), ("thousands", "1,234.50"), ("in parentheses", "(12.00)"),
        ("too many digits", "0.005"), ("too large", "9" * 20),
    ),
    "json": (("no JSON", "{"),),
}  # fmt: skip
_USUAL = {"integer": "2", "number": "2.5", "boolean": "true", "money": "12.50", "json": "{}",
          "date": "2024-05-17",          "datetime": "2024-05-17T08:30:00Z"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A case that is proposed for a mapping; `expected_output` is what the mapping does now."""

    mapping: str
    test_name: str
    test_type: str
    input_data: dict[str, Any]
    expected_output: dict[str, Any]


def generate_tests(name: str, *, sample: str | None = None, apply: bool = False) -> list[Case]:
    """Propose cases for each mapping whose path is members and indexes; those it has already are left out.

    The usual values are those of a `sample` file, but what is secret or tells of a person is made up. With
    `apply` they are stored, as skipped until `confirm_tests`. Raise NotFoundError, InvalidError.
    """
    row = reading.find(name)
    records = suggesting.read_sample(sample) if sample is not None else []
    fields = {field.name: field for field in read_fields(row["id"], every=True)}
    rows = list(
        IntegrationMapping.select().where(
            IntegrationMapping.integration == row["id"], IntegrationMapping.status == 1
        )
    )
    if not rows:
        raise InvalidError(
            f"{name} has no mapping to make tests of.",
            hint=f"Have some proposed: edgekit mappings suggest {quoted(name)}",
        )
    there = {(test["mapping_id"], test["test_name"]) for test in db.query(
        "SELECT mapping_id, test_name FROM integration_mapping_test")}  # fmt: skip
    made = [
        (mapping, case)
        for mapping in rows
        for case in _cases(fields[mapping.mapping_name], records)
        if (mapping.id, case.test_name) not in there
    ]
    if apply and made:
        with db.change(reason=f"mappings generate-tests {name}"):
            for mapping, case in made:
                IntegrationMappingTest.create(
                    mapping_id=mapping.id, organization_id=mapping.organization_id, test_name=case.test_name,
                    test_type=case.test_type, input_data=case.input_data,
                    expected_output=case.expected_output, test_status="skipped",
                )  # fmt: skip
    return [case for _, case in made]


def confirm_tests(name: str, mappings: Sequence[str] = ()) -> int:
    """Say that generated tests expect what is right, of all mappings or of some; return how many.

    They are pending from then on, and tried with the others. Raise NotFoundError.
    """
    row = reading.find(name)
    known = {one.mapping_name.lower(): one.id for one in IntegrationMapping.select().where(
        IntegrationMapping.integration == row["id"], IntegrationMapping.status == 1)}  # fmt: skip
    for wanted in mappings:
        if wanted.lower() not in known:
            raise NotFoundError(
                f"{name} has no mapping {wanted}.", hint=f"See: edgekit mappings list {quoted(name)}"
            )
    ids = [known[wanted.lower()] for wanted in mappings] or list(known.values())
    table = IntegrationMappingTest
    with db.change(reason=f"mappings confirm-tests {name}"):
        changed: int = table.update(test_status="pending").where(
            table.mapping.in_(ids), table.test_status == "skipped", table.test_name.startswith(PREFIX)
        ).execute()  # fmt: skip
    return changed


def masked_record(fields: Sequence[FieldMapping], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without what is secret or tells of a person, by its own names or by its columns'."""
    masked: dict[str, Any] = masking.document(record)
    for field in fields:
        path, column = jsonpath.compile(field.source_path), field.target_path.rpartition(".")[2]
        value = path.first(masked)
        if path.segments and isinstance(path.segments[0], str) and isinstance(value, str | int | float):
            hidden = masking.document({column: value})[column]
            if hidden != value:
                _put(masked, path.segments, hidden)
    return masked


def _cases(field: FieldMapping, records: Sequence[Mapping[str, Any]]) -> list[Case]:
    segments = jsonpath.compile(field.source_path).segments
    if segments is None or not segments or not isinstance(segments[0], str):
        return []
    if any(isinstance(one, int) and abs(one) >= _LONG for one in segments):
        return []  # nobody can look at a record with a list that long
    base = _base(field, segments, records)
    direction = "outbound" if field.direction == "outbound" else "inbound"
    found: list[Case] = []
    seen: set[str] = set()
    for label, document in _documents(field, segments, base):
        text = json.dumps(document, sort_keys=True)
        expected = mapping_tests.map_record([field], direction, document)
        if text in seen or not expected:
            continue  # left out is what a test cannot tell from anything
        seen.add(text)
        kind = "unit" if label == "usual" else "edge_case"
        found.append(Case(field.name, f"{PREFIX}{label}"[:100], kind, document, expected))
    return found


def _documents(
    field: FieldMapping, segments: tuple[str | int, ...], base: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "usual", base
    yield "missing", {key: value for key, value in base.items() if key != segments[0]}
    for label, value in _values(field):
        document = json.loads(json.dumps(base))
        _put(document, segments, value)
        yield label, document


def _values(field: FieldMapping) -> Iterator[tuple[str, Any]]:
    """Yield what else could come, by type, rules and checks."""
    yield "null", None
    yield "empty", ""
    if field.mapping_type in {"object", "array"}:
        yield "text instead of an object or a list", "text"
        yield "an empty object", {}
        yield "an empty list", []
        return
    yield "an object instead of a value", {"a": 1}
    yield "a list instead of a value", [1]
    kind = _kind(field)
    yield from _BY_TYPE.get(kind, ())
    if kind in {"date", "datetime"}:
        yield from _dates(field)
    elif kind == "string":
        yield "unicode", _UNICODE
        yield "very long", "x" * _LONG
        yield "only spaces", "   "
    rules = field.transformation_rules or {}
    if rules.get("type") == "map":
        yield from (("a value of the table", key) for key in list(rules.get("values", {}))[:1])
        yield "a value that is not in the table", "no such value"
    for place in _checks(field.validation_rules):
        yield from _bounds(place)


def _kind(field: FieldMapping) -> str:
    rule = (field.transformation_rules or {}).get("type")
    return rule if rule in {"date", "datetime", "money"} else field.target_data_type or "string"


def _dates(field: FieldMapping) -> Iterator[tuple[str, Any]]:
    forms = (field.transformation_rules or {}).get("format", "%Y-%m-%d")
    form = forms if isinstance(forms, str) else forms[0]
    for label, day in _DATES:
        with suppress(ValueError):
            yield label, datetime(*day).strftime(form)  # noqa: DTZ001 - a date has no zone
    yield "a day there is not", datetime(2023, 2, 28).strftime(form).replace("28", "29")  # noqa: DTZ001
    yield "text instead of a date", "soon"


def _checks(rules: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if not rules:
        return []
    return (
        [rules.get("source") or {}, rules.get("target") or {}]
        if rules.keys() <= {"source", "target"}
        else [rules]
    )


def _bounds(checks: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in ("min_length", "max_length"):
        if isinstance(limit := checks.get(key), int) and limit <= _LONG:
            yield f"{key} {limit}", "x" * limit
            outside = limit + (1 if key == "max_length" else -1)
            if outside > 0:
                yield f"{key}, one beyond", "x" * outside
    for key, step in (("minimum", -1), ("maximum", 1)):
        if isinstance(limit := checks.get(key), int | float) and not isinstance(limit, bool):
            yield f"{key} {limit}", limit
            yield f"{key}, one beyond", limit + step
    if choices := checks.get("choice"):
        yield "a choice", choices[0]
        yield "no choice", "no such choice"


def _base(
    field: FieldMapping, segments: tuple[str | int, ...], records: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a record with a usual value at the path, and what the rules read beside it."""
    rules = field.transformation_rules or {}
    beside = {jsonpath.compile(path).segments for path in rules.get("paths") or []} - {None}
    wanted = {segments[0], *(one[0] for one in beside if one)}
    path = jsonpath.compile(field.source_path)
    for record in records:
        value = path.first(record)
        if value is not jsonpath.MISSING and value not in (None, ""):
            kept = {key: record[key] for key in record if key in wanted}
            masked = masked_record([field], kept)
            if masked != kept:
                break  # what was masked is made up instead
            return masked
    document: dict[str, Any] = {}
    _put(document, segments, _usual(field))
    return document


def _usual(field: FieldMapping) -> Any:
    if field.mapping_type in {"object", "array"}:
        return {"a": 1} if field.mapping_type == "object" else [1]
    rules = field.transformation_rules or {}
    kind = _kind(field)
    if rules.get("type") == "map":
        return next(iter(rules.get("values", {})), "A")
    if kind in {"date", "datetime"} and rules.get("format"):
        form = rules["format"] if isinstance(rules["format"], str) else rules["format"][0]
        return datetime(2024, 5, 17, 8, 30).strftime(form)  # noqa: DTZ001
    for checks in _checks(field.validation_rules):
        if checks.get("choice"):
            return checks["choice"][0]
        if "minimum" in checks:
            return checks["minimum"]
    return _USUAL.get(kind, "A")


def _put(document: dict[str, Any], segments: tuple[str | int, ...], value: Any) -> None:
    """Put a value at a place, making objects and lists on the way there."""
    place: Any = document
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        if isinstance(segment, int):
            while len(place) <= max(segment, 0):
                place.append(None)
        nested = place[segment] if isinstance(segment, int) else place.get(segment)
        wanted = list if not last and isinstance(segments[number + 1], int) else dict
        if last:
            place[segment] = value
        elif not isinstance(nested, wanted):
            place[segment] = nested = wanted()
        place = nested
