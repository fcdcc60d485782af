"""The target of an integration, learned from the data that comes in: its columns, and its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import bulk, db
from edgekit.errors import EdgekitError, InvalidError, NotFoundError
from edgekit.integrations import own_tables
from edgekit.integrations import plan as plans
from edgekit.integrations.detecting import FIELD_TYPES, SQL_TYPES, column_name, detect, field, free_name
from edgekit.models.integrations import IntegrationMapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edgekit.connectors import Description


_MAPPED_TYPES = {"integer": "INTEGER", "boolean": "INTEGER", "money": "INTEGER", "number": "REAL"}


def adopt(plan: plans.Plan, sample: Sequence[Any], description: Description | None = None) -> None:
    """Give an integration without mappings one column per field of its records, in the open change.

    With `create` a missing table is made first, its types detected from the source (the whole file where it
    can be read twice, else the first batch), or as the source itself describes them; its own key serves where
    none is set. The mappings are stored, so that they can be seen and edited. One that has mappings, and no
    table yet, gets the table from them. Raise InvalidError or NotFoundError naming the table or field.
    """
    if plan.fields:
        _create_mapped(plan)
        plans.finish(plan)
        return
    types = dict(description.types) if description is not None else {}
    names = list(dict.fromkeys([*types, *(str(k) for r in sample if isinstance(r, dict) for k in r)]))
    if not names:
        raise InvalidError(f"{plan.name}: the source has no records to learn the fields from.")
    exists = db.query(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", (plan.table,)
    )
    if not exists and not plan.create:
        _refuse_missing(plan)
    if not exists and description is not None:
        plan.key = plan.key or description.key
    columns = _matching_columns(plan, names) if exists else _create_for(plan, names, sample, types)
    kinds = bulk.table_columns(db.connection(), plan.table)
    nested = {
        str(k) for r in sample if isinstance(r, dict) for k, v in r.items() if isinstance(v, dict | list)
    }
    described = {name: kind for name, kind in types.items() if kind in {"boolean", "json"}}
    described = {**_flags(sample), **described, **dict.fromkeys(nested, "json")}
    plan.fields = [
        field(source, column, described.get(source, FIELD_TYPES.get(kinds[column].upper(), "string")))
        for source, column in columns.items()
    ]
    taken: set[str] = set()
    for item in plan.fields:
        name = free_name(item.name[:90], taken)
        taken.add(name.lower())
        IntegrationMapping.create(
            integration_id=plan.integration_id, organization_id=plan.organization_id, mapping_name=name,
            source_path=item.source_path, target_path=item.target_path,
            target_data_type=item.target_data_type,
        )  # fmt: skip
    plans.finish(plan)


def _refuse_missing(plan: plans.Plan) -> None:
    try:
        bulk.table_columns(db.connection(), plan.table)
    except NotFoundError as error:
        raise NotFoundError(
            error.message,
            hint=f"{str(error.hint).removesuffix('.')}. Or have it made from the data:"
            " --set create=true --set key=…",
        ) from error


def _flags(sample: Sequence[Any]) -> dict[str, str]:
    """Find the fields whose values are all true or false: as numbers they would be refused."""
    kinds: dict[str, set[type]] = {}
    for record in sample:
        for name, value in record.items() if isinstance(record, dict) else ():
            if value is not None:
                kinds.setdefault(str(name), set()).add(type(value))
    return {name: "boolean" for name, found in kinds.items() if found == {bool}}


def _create_mapped(plan: plans.Plan) -> None:
    """Create the target table with a column per mapping, of the type it converts to."""
    columns = {
        item.target_path: _MAPPED_TYPES.get(str(item.target_data_type), "TEXT") for item in plan.fields
    }
    by_name = {name.lower(): name for name in columns}
    if not plan.key:
        raise InvalidError(
            f"What identifies a record of {plan.table}?",
            hint=f"Say it with --set key=… ; the columns are: {', '.join(columns)}.",
        )
    if missing := [part for part in plan.key if part.lower() not in by_name]:
        raise InvalidError(f"{plan.name}: nothing is mapped to {missing[0]}, which is to identify a record.")
    own_tables.create(plan.table, columns, key=[by_name[part.lower()] for part in plan.key])


def _matching_columns(plan: plans.Plan, names: Iterable[str]) -> dict[str, str]:
    """Match field names with columns, whatever their case, spaces or dashes."""
    have = bulk.table_columns(db.connection(), plan.table)
    by_name = {name.lower(): name for name in have}
    found, unknown = {}, []
    for name in names:
        column = by_name.get(column_name(name).lower())
        if column is not None:
            found[name] = column
        elif "*" not in plan.ignore and name not in plan.ignore:
            unknown.append(name)
    if unknown:
        listed = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
        raise InvalidError(
            f"{plan.name}: the table {plan.table} has no column for: {listed}.",
            hint=(
                f"Leave them out with --set ignore={','.join(unknown[:3])} or ignore=*. Columns:"
                f" {', '.join(have)}."
            ),
        )
    return found


def _create_for(
    plan: plans.Plan, names: list[str], sample: Sequence[Any], described: Mapping[str, str]
) -> dict[str, str]:
    """Create the target table for these fields and return which column each goes to."""
    if not plan.key:
        raise InvalidError(
            f"What identifies a record of {plan.table}?",
            hint=f"Say it with --set key=… ; the fields are: {', '.join(names)}.",
        )
    types = {**_detect(plan, sample), **described}
    wanted = {column_name(part).lower() for part in plan.key}
    keeps_id = wanted == {"id"} and any(
        column_name(name).lower() == "id" and types.get(name) == "integer" for name in names
    )
    columns: dict[str, str] = {}
    taken: set[str] = set() if keeps_id else {"id"}
    for name in names:
        if name in plan.ignore:
            continue
        column = free_name(
            "external_id" if column_name(name).lower() == "id" and not keeps_id else column_name(name),
            taken,
        )
        taken.add(column.lower())
        columns[name] = column
    by_field = {column_name(name).lower(): column for name, column in columns.items()}
    if missing := [part for part in plan.key if column_name(part).lower() not in by_field]:
        raise InvalidError(
            f"{plan.name}: the records have no field {missing[0]}.",
            hint=f"Their fields are: {', '.join(names)}.",
        )
    key = [by_field[column_name(part).lower()] for part in plan.key]
    own_tables.create(
        plan.table,
        {column: SQL_TYPES.get(types.get(name, "text"), "TEXT") for name, column in columns.items()},
        key=key,
    )
    plan.key = tuple(key)
    return columns


def _detect(plan: plans.Plan, sample: Sequence[Any]) -> dict[str, str]:
    """Detect the type of each field over the whole source where it is files, which can be read twice."""
    again = plan.connector.name == "file" and plan.config.get("path") != "-"
    return detect(_readable(plan) if again else [sample])


def _readable(plan: plans.Plan) -> Iterator[Sequence[Any]]:
    """Yield what can be read of a file; the run itself will say what cannot."""
    try:
        for page in plan.connector.read(plan.config, state={}, inputs=None, secrets=plan.secrets):
            yield page.records
    except EdgekitError:
        return
