"""One batch's way: validate, map, validate, write, each record that fails on its own set aside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError, SkipRecordError
from edgekit.mapping import ABSENT
from edgekit.runner import target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit import validate
    from edgekit.integrations import Plan


@dataclass(slots=True)
class Outcome:
    """What became of a batch. A failure is (index of the record, step, error)."""

    written: int = 0
    changed: int = 0
    failures: list[tuple[int, str, EdgekitError]] = field(default_factory=list)


def process(plan: Plan, records: Sequence[Any]) -> Outcome:
    """Take a batch from records to rows, in the open change."""
    assert plan.mapping is not None
    outcome = Outcome()
    indexes: Sequence[int] = range(len(records))
    if plan.validate_in is not None:
        indexes = _check(plan.validate_in, records, indexes, "validate_in", outcome)
        records = [records[index] for index in indexes]
    rows, failed = plan.mapping.map_many(records)
    if failed:
        outcome.failures.extend((indexes[position], "map", error) for position, error in failed)
        bad = {position for position, _ in failed}
        indexes = [index for position, index in enumerate(indexes) if position not in bad]
    if plan.validate_out is not None:
        documents = _documents(plan.mapping.columns, rows, complete=target.is_complete(plan))
        good = _check(plan.validate_out, documents, indexes, "validate_out", outcome)
        if len(good) < len(rows):
            rows, indexes = [rows[position] for position in good], [indexes[position] for position in good]
    written, refused = target.write(plan, indexes, rows)
    outcome.failures.extend((index, "write", error) for index, error in refused)
    outcome.written, outcome.changed = written.accepted, written.changed
    return outcome


def _documents(
    columns: tuple[str, ...], rows: Sequence[Sequence[Any]], *, complete: bool
) -> list[dict[str, Any]]:
    """Give rows back their names, for a schema speaks of members; a column left out is no member."""
    if complete:
        return [dict(zip(columns, row, strict=True)) for row in rows]
    return [
        {name: value for name, value in zip(columns, row, strict=True) if value is not ABSENT} for row in rows
    ]


def _check(
    validator: validate.Validator,
    documents: Sequence[Any],
    indexes: Sequence[int],
    step: str,
    outcome: Outcome,
) -> Sequence[int]:
    """Keep the positions of valid documents; note the others with the first thing wrong with each.

    `indexes` says which record of the batch each document came from.
    """
    refused = validator.refused(documents)
    for position in refused:
        finding = validator.errors(documents[position], most=1)[0]
        where = f"{finding.path}: " if finding.path else ""
        error = SkipRecordError(f"{where}{finding.message}", error_code=finding.code)
        outcome.failures.append((indexes[position], step, error))
    if not refused:
        return range(len(documents))
    bad = set(refused)
    return [position for position in range(len(documents)) if position not in bad]
