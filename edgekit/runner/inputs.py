"""The rows that drive a source: decode these VINs, verify these drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import bulk, connectors, db
from edgekit.errors import InvalidError, quoted
from edgekit.integrations import outbound
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.integrations.plan import Inputs, Plan
    from edgekit.runner.reuse import Reuse

_AT_ONCE = 500


def read(plan: Plan, state: Mapping[str, Any], reuse: Reuse | None = None) -> Iterator[dict[str, Any]]:
    """Yield the driving rows after the checkpoint, each with its `id`: a table's own, or a line number.

    Rows whose answers are used again are left out, and counted in `reuse.skipped`.
    """
    assert plan.inputs is not None
    after = state.get("input")
    if plan.inputs.rows is not None:
        return _given(plan, plan.inputs.rows)
    if plan.inputs.path is not None:
        return _from_file(plan.inputs, int(after or 0))
    if plan.connector.name == "table":
        return _records(plan.inputs, after)
    return _from_table(plan.inputs, int(after or 0), reuse)


def require_given(plan: Plan) -> None:
    """Raise InvalidError for an integration that reads events and was given none."""
    if plan.connector.name == "event" and (plan.inputs is None or plan.inputs.rows is None):
        how = "--webhook" if plan.to is not None and plan.to.kind == "webhook" else "--run"
        raise InvalidError(
            f"{plan.name} reads the events that a subscription hands to it.",
            hint=f"Subscribe it: edgekit events subscriptions add NAME --type TYPE {how} {quoted(plan.name)}",
        )


def read_row(plan: Plan, key: Any) -> dict[str, Any] | None:
    """Return the row that is a record of the connector `table` as it is now; None where it is gone."""
    assert plan.inputs is not None
    assert plan.inputs.table is not None
    condition, params = _condition(plan.inputs.filter)
    name = quote_name(plan.inputs.key)
    sql = f"SELECT {_chosen(plan.inputs)} FROM {quote_name(plan.inputs.table)} WHERE {name} = ?{condition}"
    rows = db.query(sql, (key, *params))
    return rows[0] if rows else None


def _chosen(inputs: Inputs) -> str:
    """Name the columns of a record: those asked for, else all but the secrets."""
    assert inputs.table is not None
    names = inputs.columns or outbound.columns_of(inputs.table)
    return ", ".join(quote_name(name) for name in dict.fromkeys((inputs.key, *names)))


def _records(inputs: Inputs, after: Any) -> Iterator[dict[str, Any]]:
    """Read rows as records, by their key, which must tell each from the others."""
    assert inputs.table is not None
    table, key = quote_name(inputs.table), quote_name(inputs.key)
    condition, params = _condition(inputs.filter)
    if (inputs.key,) not in bulk.unique_keys(db.connection(), inputs.table):
        (found,) = db.query(
            f"SELECT count(*) - count(DISTINCT {key}) AS more FROM {table} WHERE 1{condition}", params
        )
        if found["more"]:
            raise InvalidError(
                f"{inputs.table}.{inputs.key} does not tell its rows apart: it is empty or there twice.",
                hint='Name the column that does: "inputs": {"table": …, "key": …}',
            )
    # A view may sort all its rows for each part, so parts of it are larger.
    size = _AT_ONCE if inputs.key == "id" else _AT_ONCE * 20
    chosen = _chosen(inputs)
    while True:
        behind, bounds = (f" AND {key} > ?", [after]) if after is not None else ("", [])
        sql = f"SELECT {chosen} FROM {table} WHERE 1{condition}{behind} ORDER BY {key} LIMIT {size}"
        rows = db.query(sql, (*params, *bounds))
        yield from rows
        if len(rows) < size:
            return
        after = rows[-1][inputs.key]


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


def _given(plan: Plan, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield rows that were given: records as they are, driving rows with the columns asked for."""
    assert plan.inputs is not None
    for number, (place, row) in enumerate(rows, 1):
        if plan.connector.name == "event":
            yield {"position": place, "record": dict(row)}
            continue
        wanted = [name for name in plan.inputs.columns if name != "id"]
        if wanted and wanted[0] not in row:
            raise InvalidError(
                f"{plan.name} is driven by {', '.join(wanted)}: what it was given has no {wanted[0]}."
            )
        yield {**{name: row.get(name) for name in wanted}, "id": number}


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
