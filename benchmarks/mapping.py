"""Mapping and validation, side by side with hand-written Python.

    python benchmarks/mapping.py [rounds] [records]

All variants take turns in every round, in an order that rotates; a ratio is the median over the rounds of the
ratio within a round, so that what slows the machine down slows all of them. Results are compared before.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from records import FIELDS, STATES, by_hand, by_hand_as_tuple, records

from edgekit import validate
from edgekit.mapping import FieldMapping, compile_mapping

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 1000


def pages(rows: list[Any]) -> list[list[Any]]:
    return [rows[start : start + PAGE] for start in range(0, len(rows), PAGE)]


def one_by_one(function: Callable[[Any], Any]) -> Callable[[list[list[Any]]], object]:
    return lambda parts: [[function(row) for row in part] for part in parts]


def by_page(function: Callable[[list[Any]], Any]) -> Callable[[list[list[Any]]], object]:
    return lambda parts: [function(part) for part in parts]


def compare(
    title: str, variants: dict[str, tuple[Callable[..., object], list[list[Any]]]], rounds: int
) -> None:
    """Print a table; the first variant is the limit."""
    names = list(variants)
    rates: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.freeze()
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            run, parts = variants[name]
            gc.collect()
            began = time.perf_counter()
            run(parts)
            rates[name].append(sum(map(len, parts)) / (time.perf_counter() - began))
    print(f"\n| {title} | records/s | ratio |\n|---|---:|---:|")
    for name in names:
        ratio = statistics.median(a / b for a, b in zip(rates[name], rates[names[0]], strict=True))
        print(f"| {name} | {statistics.median(rates[name]):,.0f} | {ratio:.3f} |")


def mapping_variants(count: int) -> dict[str, tuple[Callable[..., object], list[list[Any]]]]:
    rows = records(count)
    plain = compile_mapping([FieldMapping(name, path, name) for name, path in FIELDS])
    typed = compile_mapping(
        [
            FieldMapping(name, path, name, target_data_type="number" if name == "premium" else "string")
            for name, path in FIELDS
        ]
    )
    checked = compile_mapping([_checked(name, path) for name, path in FIELDS])
    for row in rows[:300]:
        wanted = tuple(by_hand(row).values())
        assert wanted == by_hand_as_tuple(row) == plain.map(row) == typed.map(row) == checked.map(row)
    ragged = [
        {**row, "household": {k: v for k, v in row["household"].items() if k != "contacts"}} if n % 3 else row
        for n, row in enumerate(rows)
    ]
    careful = compile_mapping([FieldMapping(name, path, name) for name, path in FIELDS])
    careful.map_many(ragged[:PAGE])
    all_pages = pages(rows)
    return {
        "hand-written, a dict a record (the limit)": (one_by_one(by_hand), all_pages),
        "hand-written, a tuple a record": (one_by_one(by_hand_as_tuple), all_pages),
        "compiled, a page": (by_page(plain.map_many), all_pages),
        "compiled, a record": (one_by_one(plain.map), all_pages),
        "compiled, a page, two records of three lack a member": (by_page(careful.map_many), pages(ragged)),
        "compiled, a page, every field typed": (by_page(typed.map_many), all_pages),
        "compiled, a page, typed, a date, 2 patterns, a choice, lengths": (
            by_page(checked.map_many),
            all_pages,
        ),
        "interpreted, a record": (one_by_one(plain.interpret), all_pages[:5]),
    }


def _checked(name: str, path: str) -> FieldMapping:
    rules = {
        "zip": {"pattern": "^[0-9]{5}$"},
        "record_id": {"pattern": "^REC-[0-9]{8}$"},
        "state": {"choice": list(STATES)},
        "licence_no": {"min_length": 5, "max_length": 20},
    }
    kind = {"premium": "number", "birth_date": "date"}.get(name, "string")
    return FieldMapping(
        name, path, name, target_data_type=kind, validation_rules=rules.get(name), is_required=name in rules
    )


def schema_variants(count: int) -> dict[str, tuple[Callable[..., object], list[list[Any]]]]:
    import jsonschema
    import jsonschema_rs

    text = {"type": "string", "minLength": 1, "maxLength": 64}
    schema = {
        "type": "object",
        "required": ["record_id", "licence_no"],
        "additionalProperties": False,
        "properties": {name: text for name, _ in FIELDS}
        | {"premium": {"type": "number", "minimum": 0}, "first_violation": {"type": ["string", "null"]}},
    }
    rows = pages([by_hand(row) for row in records(count)])
    ours = validate.compile(schema)
    assert ours.is_fast
    return {
        "jsonschema-rs is_valid (the limit)": (
            one_by_one(jsonschema_rs.validator_for(schema).is_valid),
            rows,
        ),
        "edgekit refused, a page": (by_page(ours.refused), rows),
        "edgekit is_valid": (one_by_one(ours.is_valid), rows),
        "jsonschema is_valid": (
            one_by_one(jsonschema.Draft202012Validator(schema).is_valid),
            [rows[0][:500]],
        ),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 50_000
    compare("15 member and index paths", mapping_variants(count), rounds)
    compare("JSON Schema of the mapped row", schema_variants(count), rounds)


if __name__ == "__main__":
    main()
