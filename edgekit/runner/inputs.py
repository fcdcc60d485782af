"""The rows that drive a source: decode these VINs, verify these drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import connectors, db
from edgekit.errors import InvalidError
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgekit.integrations.plan import Inputs, Plan
    from edgekit.runner.reuse import Reuse

_AT_ONCE = 500


def read(plan: Plan, state: Mapping[str, Any], reuse: Reuse | None = None) -> Iterator[dict[str, Any]]:
    """Yield the driving rows after the checkpoint, each with its `id`: a table's own, or a line number.

    Rows whose answers are used again are left out, and counted in `reuse.skipped`.
    """
    assert plan.inputs is not None
    after = int(state.get("input") or 0)
    if plan.inputs.path is not None:
        return _from_file(plan.inputs, after)
    return _from_table(plan.inputs, after, reuse)


def _from_table(inputs: Inputs, after: int, reuse: Reuse | None) -> Iterator[dict[str, Any]]:
    """Read in small parts, each a statement of its own: the table may be written to between two of them."""
    assert inputs.table is not None
    columns = ", ".join(quote_name(name) for name in dict.fromkeys(("id", *inputs.columns)))
    condition, params = _condition(inputs.filter)
    if reuse is not None:
        without, bounds = reuse.condition()
        if without:
            reuse.skipped = _count(inputs.table, condition, (after, *params)) - _count(
                inputs.table, condition + without, (after, *params, *bounds)
            )
        condition, params = condition + without, [*params, *bounds]
    sql = (
        f"SELECT {columns} FROM {quote_name(inputs.table)} WHERE id > ?{condition} ORDER BY id"
        f" LIMIT {_AT_ONCE}"
    )
    while rows := db.query(sql, (after, *params)):
        if reuse is not None:
            reuse.has_asked = True
        yield from rows
        after = rows[-1]["id"]


def _count(table: str, condition: str, params: tuple[Any, ...]) -> int:
    sql = f"SELECT count(*) AS n FROM {quote_name(table)} WHERE id > ?{condition}"
    return int(db.query(sql, params)[0]["n"])


def _condition(wanted: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Turn {"column": value | null | [values] | {"not": value}} into SQL with bound values."""
    parts: list[str] = []
    params: list[Any] = []
    for column, value in wanted.items():
        name = quote_name(column)
        if isinstance(value, list):
            parts.append(f" AND {name} IN ({', '.join('?' * len(value))})")
            params.extend(value)
        elif isinstance(value, dict):
            if set(value) != {"not"}:
                raise InvalidError(f'inputs: the filter on {column} is a value, a list, or {{"not": value}}.')
            parts.append(f" AND {name} IS NOT ?")
            params.append(value["not"])
        else:
            parts.append(f" AND {name} IS ?")
            params.append(value)
    return "".join(parts), params


def _from_file(inputs: Inputs, after: int) -> Iterator[dict[str, Any]]:
    """Read a file of rows; its columns may be spelled in any case.

    Lines that are no records are an error here.
    """
    connector = connectors.get("file")
    number = 0
    for page in connector.read({"path": inputs.path}, state={}, inputs=None, secrets={}):
        if page.rejects:
            raise InvalidError(f"{inputs.path}, {page.rejects[0].position}: {page.rejects[0].message}")
        for record in page.records:
            number += 1
            if number <= after:
                continue
            lower = {str(key).strip().lower(): value for key, value in record.items()}
            wanted = [name for name in inputs.columns if name != "id"]
            if wanted and wanted[0] not in lower:
                raise InvalidError(
                    f"{inputs.path} has no column {wanted[0]}.",
                    hint=f"It drives the source by: {', '.join(wanted)}.",
                )
            yield {**{name: lower.get(name) for name in wanted}, "id": number}
