"""Preview: one record beside what each step of each mapping makes of it; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db, jsonpath, masking
from edgekit.errors import InvalidError, quoted
from edgekit.integrations import reading, suggesting
from edgekit.integrations.plan import read_fields
from edgekit.mapping import compile_mapping
from edgekit.mapping.trace import trace
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from edgekit.mapping import CompiledMapping
    from edgekit.mapping.trace import Traced


@dataclass(frozen=True, slots=True)
class Preview:
    """What becomes of one record: each field with its steps, and why it would be set aside, if it would."""

    integration: str
    number: int
    of: int
    fields: tuple[dict[str, Any], ...]
    unmapped: tuple[str, ...]
    set_aside: dict[str, Any] | None


def preview_mappings(
    name: str, *, record: str | dict[str, Any] | None = None, sample: bool = False, number: int = 1,
) -> Preview:  # fmt: skip
    """Take one record through the mappings of an integration as they stand.

    `record` is one, or a file of which the `number`th is taken; with `sample` the source is asked for its
    first page. What is secret is masked. Raise NotFoundError, InvalidError (no mapping, no such record).
    """
    row = reading.find(name)
    fields = read_fields(row["id"], every=True)
    outward = bool(fields) and all(field.direction == "outbound" for field in fields)
    direction = "outbound" if outward else "inbound"
    fields = [field for field in fields if field.direction in {direction, "bidirectional"}]
    if not fields:
        raise InvalidError(
            f"{name} has no mapping to look at.",
            hint=f"Have some proposed: edgekit mappings suggest {quoted(name)}",
        )
    records = _records(name, record, sample)
    if not 1 <= number <= len(records):
        raise InvalidError(f"There is no record {number}; the last one is {len(records)}.")
    chosen = records[number - 1]
    compiled = compile_mapping(fields, direction=direction)
    traced = [trace(field, compiled, chosen) for field in fields]
    told = [_told(one, compiled) for one in traced]
    aside = next((one["refused"] for one in told if one["refused"]), None)
    used = {segments[0] for one in traced if (segments := jsonpath.compile(one.source_path).segments)}
    unmapped = tuple(sorted(key for key in chosen if key not in used))
    return Preview(row["integration_name"], number, len(records), tuple(told), unmapped, aside)


def _records(name: str, record: str | dict[str, Any] | None, sample: bool) -> list[dict[str, Any]]:
    if isinstance(record, dict):
        return [record]
    if record is not None:
        return suggesting.read_sample(record)
    if sample:
        return suggesting.ask_source(name)
    raise InvalidError("Give a record, or ask the source for one.", hint="--record FILE, or --sample.")


def _told(one: Traced, compiled: CompiledMapping) -> dict[str, Any]:
    names = (one.mapping, one.source_path, one.target_path)
    hidden = any(masking.is_secret(name.rpartition(".")[2]) for name in names) or (
        one.is_secret and not isinstance(one.found, dict | list)
    )
    result, looked = _look_up(one, compiled)
    refused = None
    if one.error is not None:
        said = masking.secrets(one.error.message)
        refused = {"step": "map", "error_code": one.error.code, "message": said}
    elif looked is not None and looked["refused"]:
        refused = {"step": "write", "error_code": "reference", "message": looked["refused"]}
    steps = [
        {"step": step.step, "value": _masked(step.value, hidden), "refused": step.refused}
        for step in one.steps
    ]
    return {
        "mapping": one.mapping, "source_path": one.source_path, "found": _masked(one.found, hidden),
        "steps": [*steps, *([looked] if looked else [])], "target_path": one.target_path,
        "result": _masked(result, hidden), "outcome": "set_aside" if refused else one.outcome,
        "refused": refused,
    }  # fmt: skip


def _look_up(one: Traced, compiled: CompiledMapping) -> tuple[Any, dict[str, Any] | None]:
    """Say which row a lookup finds, as the target will when it writes."""
    lookup = next((found for found in compiled.lookups if found.column == one.target_path), None)
    if lookup is None or one.result is None:
        return one.result, None
    rows = db.query(
        f"SELECT id FROM {quote_name(lookup.table)} WHERE {quote_name(lookup.match)} = ?", (one.result,)
    )
    step = f"row of {lookup.table} by {lookup.match}"
    if rows:
        return rows[0]["id"], {"step": step, "value": rows[0]["id"], "refused": None}
    said = f"there is no {lookup.table} with that {lookup.match}"
    return None, {"step": step, "value": None, "refused": said}


def _masked(value: Any, hidden: bool) -> Any:
    if value is None:
        return None
    if hidden:
        return masking.MASK
    if isinstance(value, dict | list):
        return masking.document(value)
    return masking.secrets(value) if isinstance(value, str) else value
