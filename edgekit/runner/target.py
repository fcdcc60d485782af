"""Where mapped rows go: a table of the file, upserted by its natural key, references looked up by code."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from edgekit import bulk, db
from edgekit.errors import EdgekitError, RuleError
from edgekit.mapping import ABSENT, Lookup
from edgekit.models import documents
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.integrations import Plan

Failure = tuple[int, EdgekitError]
"""The index of a record in its batch, and why it cannot be used."""


def write(
    plan: Plan, indexes: Sequence[int], rows: Sequence[Sequence[Any]], *, complete: bool
) -> tuple[bulk.Written, list[Failure]]:
    """Write mapped rows in the open change. `indexes` names them; `complete` says that no value is absent."""
    assert plan.mapping is not None
    columns = plan.mapping.columns
    indexes, rows, failures = resolve(plan, indexes, rows)
    written = bulk.upsert_rows(plan.table, columns, plan.key, rows, complete=complete)
    failures.extend((indexes[position], error) for position, error in written.refused)
    return written, failures


def resolve(
    plan: Plan, indexes: Sequence[int], rows: Sequence[Sequence[Any]]
) -> tuple[Sequence[int], Sequence[Sequence[Any]], list[Failure]]:
    """Return what can be written of mapped rows, codes replaced by the ids they mean, and what cannot."""
    assert plan.mapping is not None
    failures: list[Failure] = []
    columns = plan.mapping.columns
    if plan.mapping.lookups:
        indexes, rows, failures = _look_up(plan, columns, indexes, rows)
    indexes, rows = _identified(plan, columns, indexes, rows, failures)
    if refused := dict(documents.refuse_rows(plan.table, columns, plan.key, rows)):
        failures.extend((indexes[place], error) for place, error in refused.items())
        kept = [place for place in range(len(rows)) if place not in refused]
        indexes, rows = [indexes[place] for place in kept], [rows[place] for place in kept]
    return indexes, rows, failures


def is_complete(plan: Plan) -> bool:
    """Tell whether every mapped row has a value, be it null, for every column."""
    return all(field.error_handling != "skip" for field in plan.fields)


def _identified(
    plan: Plan,
    columns: tuple[str, ...],
    indexes: Sequence[int],
    rows: Sequence[Sequence[Any]],
    failures: list[Failure],
) -> tuple[Sequence[int], Sequence[Sequence[Any]]]:
    """Set rows aside whose key is not whole: NULL equals nothing, so each run would add them again."""
    for place in [columns.index(name) for name in plan.key if name in columns]:
        values = list(map(itemgetter(place), rows))
        if None not in values and ABSENT not in values:
            continue
        kept = []
        for index, row in zip(indexes, rows, strict=True):
            if row[place] is None or row[place] is ABSENT:
                message = f"{plan.table}.{columns[place]} must not be empty: it identifies the record."
                failures.append((index, RuleError(plan.table, columns[place], "required", message)))
            else:
                kept.append((index, row))
        indexes, rows = [index for index, _ in kept], [row for _, row in kept]
    return indexes, rows


def _look_up(
    plan: Plan, columns: tuple[str, ...], indexes: Sequence[int], rows: Sequence[Sequence[Any]]
) -> tuple[list[int], list[Sequence[Any]], list[Failure]]:
    """Replace the codes records carry by the ids of the rows they name, one query per reference and batch."""
    assert plan.mapping is not None
    failures: dict[int, EdgekitError] = {}
    found = [list(row) for row in rows]
    for lookup in plan.mapping.lookups:
        place = columns.index(lookup.column)
        ids = _ids(lookup, {row[place] for row in found} - {None, ABSENT})
        for index, row in zip(indexes, found, strict=True):
            value = row[place]
            if value is None or value is ABSENT:
                continue
            if value in ids:
                row[place] = ids[value]
            else:
                failures.setdefault(
                    index,
                    RuleError(
                        plan.table, lookup.column, "reference",
                        f"{plan.table}.{lookup.column}: there is no {lookup.table} with"
                        f" {lookup.match} {value!r}.",
                    ),
                )  # fmt: skip
    kept = [(index, row) for index, row in zip(indexes, found, strict=True) if index not in failures]
    return [index for index, _ in kept], [row for _, row in kept], list(failures.items())


def _ids(lookup: Lookup, values: set[Any]) -> dict[Any, int]:
    wanted = list(values)
    ids: dict[Any, int] = {}
    match = quote_name(lookup.match)
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        sql = (
            f"SELECT {match}, id FROM {quote_name(lookup.table)} WHERE {match} IN"
            f" ({', '.join('?' * len(part))})"
        )
        ids.update(db.connection().execute(sql, part).fetchall())
    return ids
