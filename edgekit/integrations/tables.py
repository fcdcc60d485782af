"""A user's own tables: made from the data that comes in, audited and verified like ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgekit import audit, bulk, db
from edgekit.errors import EdgekitError, InvalidError, NotFoundError
from edgekit.integrations import plan as plans
from edgekit.mapping import FieldMapping
from edgekit.models.core import TrackedTable
from edgekit.models.integrations import IntegrationMapping
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edgekit.connectors import Description

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|-?\.[0-9]+")
_LONGEST_NUMBER = 15
"""Digits a number may have and still be one: longer ones are identifiers, and a REAL would round them."""

_MOST_COLUMNS = 950
"""SQLite takes an expression of 1000 parts, and an upsert compares every column."""

_SQL_TYPES = {"integer": "INTEGER", "boolean": "INTEGER", "float": "REAL", "text": "TEXT"}
_MAPPED_TYPES = {"integer": "INTEGER", "boolean": "INTEGER", "money": "INTEGER", "number": "REAL"}
_FIELD_TYPES = {"INTEGER": "integer", "INT": "integer", "REAL": "number", "TEXT": "string"}


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
    described |= dict.fromkeys(nested, "json")
    plan.fields = [
        _field(source, column, described.get(source, _FIELD_TYPES.get(kinds[column].upper(), "string")))
        for source, column in columns.items()
    ]
    taken: set[str] = set()
    for item in plan.fields:
        name = _free_name(item.name[:90], taken)
        taken.add(name.lower())
        IntegrationMapping.create(
            integration_id=plan.integration_id, organization_id=plan.organization_id, mapping_name=name,
            source_path=item.source_path, target_path=item.target_path,
            target_data_type=item.target_data_type,
        )  # fmt: skip
    plans.finish(plan)


def create(name: str, columns: Mapping[str, str], *, key: Sequence[str]) -> None:
    """Create and track a table: `id`, the columns given as {name: INTEGER | REAL | TEXT}, and a unique key.

    The key's columns may not be empty. A sole INTEGER key named `id` is the id itself. Table, triggers and
    the entry in `tracked_table` are one change. Raise InvalidError for a name the file cannot take.
    """
    if not _NAME.fullmatch(name) or name.lower().startswith(("sqlite_", "audit_")):
        raise InvalidError(
            f"{name!r} cannot be a table's name.", hint="Use letters, digits and _, beginning with a letter."
        )
    if len(columns) > _MOST_COLUMNS:
        raise InvalidError(
            f"{name} would have {len(columns)} columns; a table made here has at most {_MOST_COLUMNS}.",
            hint="Leave some out with --set ignore=…",
        )
    own = [part for part in columns if part.lower() != "id"]
    lines = ["id INTEGER PRIMARY KEY AUTOINCREMENT"]
    lines += [f"{quote_name(part)} {columns[part]}{' NOT NULL' if part in key else ''}" for part in own]
    if tuple(part.lower() for part in key) != ("id",):
        listed = ", ".join(quote_name(part) for part in key)
        lines.append(f'CONSTRAINT "{name}.key.unique" UNIQUE ({listed})')
    with db.change(reason=f"tables create {name}"):
        connection = db.connection()
        connection.execute(f"CREATE TABLE {quote_name(name)} (\n  " + ",\n  ".join(lines) + "\n) STRICT")
        # SQLite reads this table from its start on every insert: the newcomer, about to be filled, goes
        # first.
        connection.execute(
            "INSERT INTO sqlite_sequence(rowid, name, seq) SELECT min(0, min(rowid)) - 1, ?,"
            " 0 FROM sqlite_sequence",
            (name,),
        )
        track(name)


def track(name: str) -> None:
    """Audit and verify a user's own table from now on: its triggers, and its entry in `tracked_table`.

    Rows it has already are logged as made by this change. Raise NotFoundError without the table, InvalidError
    if it has no INTEGER PRIMARY KEY.
    """
    with db.change(reason=f"tables track {name}") as change:
        connection = db.connection()
        bulk.table_columns(connection, name)
        connection.execute(
            "INSERT INTO audit_table(id, name) SELECT max(999, max(id)) + 1, ? FROM audit_table"
            " WHERE NOT EXISTS (SELECT 1 FROM audit_table WHERE name = ?)",
            (name, name),
        )
        number = connection.execute("SELECT id FROM audit_table WHERE name = ?", (name,)).fetchone()[0]
        # Nobody who sees only a part of the file makes triggers, but these are not of their making.
        run = connection.confinement.query if hasattr(connection, "confinement") else connection.execute
        for statement in audit.table_triggers(connection, name, number):
            run(statement)
        (key,) = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk = 1", (name,)).fetchone()
        connection.execute(
            "INSERT INTO audit_log(txn_id, table_id, record_key, action)"
            f" SELECT ?, ?, {quote_name(key)}, 'I' FROM {quote_name(name)} ORDER BY 3",
            (change.id, number),
        )
        statements = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND type IN ('table', 'index')"
            " AND sql IS NOT NULL"
            " ORDER BY type DESC, name",
            (name,),
        )
        TrackedTable.create(name=name, create_sql=";\n".join(sql for (sql,) in statements))


def _refuse_missing(plan: plans.Plan) -> None:
    try:
        bulk.table_columns(db.connection(), plan.table)
    except NotFoundError as error:
        raise NotFoundError(
            error.message,
            hint=f"{str(error.hint).removesuffix('.')}. Or have it made from the data:"
            " --set create=true --set key=…",
        ) from error


def _create_mapped(plan: plans.Plan) -> None:
    """Create the target table with a column per mapping, of the type it converts to."""
    columns = {
        field.target_path: _MAPPED_TYPES.get(str(field.target_data_type), "TEXT") for field in plan.fields
    }
    by_name = {name.lower(): name for name in columns}
    if not plan.key:
        raise InvalidError(
            f"What identifies a record of {plan.table}?",
            hint=f"Say it with --set key=… ; the columns are: {', '.join(columns)}.",
        )
    if missing := [part for part in plan.key if part.lower() not in by_name]:
        raise InvalidError(f"{plan.name}: nothing is mapped to {missing[0]}, which is to identify a record.")
    create(plan.table, columns, key=[by_name[part.lower()] for part in plan.key])


def _matching_columns(plan: plans.Plan, names: Iterable[str]) -> dict[str, str]:
    """Match field names with columns, whatever their case, spaces or dashes."""
    have = bulk.table_columns(db.connection(), plan.table)
    by_name = {name.lower(): name for name in have}
    found, unknown = {}, []
    for name in names:
        column = by_name.get(_column_name(name).lower())
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
    wanted = {_column_name(part).lower() for part in plan.key}
    keeps_id = wanted == {"id"} and any(
        _column_name(name).lower() == "id" and types.get(name) == "integer" for name in names
    )
    columns: dict[str, str] = {}
    taken: set[str] = set() if keeps_id else {"id"}
    for name in names:
        if name in plan.ignore:
            continue
        column = _free_name(
            "external_id" if _column_name(name).lower() == "id" and not keeps_id else _column_name(name),
            taken,
        )
        taken.add(column.lower())
        columns[name] = column
    by_field = {_column_name(name).lower(): column for name, column in columns.items()}
    if missing := [part for part in plan.key if _column_name(part).lower() not in by_field]:
        raise InvalidError(
            f"{plan.name}: the records have no field {missing[0]}.",
            hint=f"Their fields are: {', '.join(names)}.",
        )
    key = [by_field[_column_name(part).lower()] for part in plan.key]
    create(
        plan.table,
        {column: _SQL_TYPES.get(types.get(name, "text"), "TEXT") for name, column in columns.items()},
        key=key,
    )
    plan.key = tuple(key)
    return columns


def _detect(plan: plans.Plan, sample: Sequence[Any]) -> dict[str, str]:
    """Detect the type of each field over the whole source where it is files, which can be read twice."""
    from sqlite_utils.utils import TypeTracker

    tracker = TypeTracker()
    text: set[str] = set()
    fractions: set[str] = set()
    again = plan.connector.name == "file" and plan.config.get("path") != "-"
    for batch in _readable(plan) if again else [sample]:
        rows = (
            # The tracker asks int(), to which 2.5 is a 2: it is told a number as it is written.
            {str(k): repr(v) if isinstance(v, float) else v for k, v in record.items() if v not in (None, "")}
            for record in batch
            if isinstance(record, dict)
        )
        for row in tracker.wrap(rows):
            text.update(name for name, value in row.items() if name not in text and _is_text(value))
            # int(1.5) is no error, so the tracker takes a number that is no text for a whole one.
            fractions.update(k for k, v in row.items() if isinstance(v, float) and not v.is_integer())
    whole = {"integer": "float"}
    return {
        name: "text" if name in text else whole.get(kind, kind) if name in fractions else kind
        for name, kind in tracker.types.items()
    }


def _readable(plan: plans.Plan) -> Iterator[Sequence[Any]]:
    """Yield what can be read of a file; the run itself will say what cannot."""
    try:
        for page in plan.connector.read(plan.config, state={}, inputs=None, secrets=plan.secrets):
            yield page.records
    except EdgekitError:
        return


def _is_text(value: Any) -> bool:
    """Tell an identifier from a number: leading zeros, a plus, 1E5, 1_000, too many digits, nan and inf."""
    if isinstance(value, str):
        return not _NUMBER.fullmatch(value) or sum(c.isdigit() for c in value) > _LONGEST_NUMBER
    return isinstance(value, dict | list) or (isinstance(value, int) and not -(2**63) <= value < 2**63)


def _column_name(name: str) -> str:
    column = re.sub(r"\W+", "_", name.strip(), flags=re.ASCII).strip("_") or "field"
    return f"n{column}" if column[0].isdigit() else column


def _free_name(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free.lower() in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _field(source: str, column: str, data_type: str) -> FieldMapping:
    quoted = source.replace("\\", "\\\\").replace("'", "\\'")
    return FieldMapping(
        name=source,
        source_path=f"$['{quoted}']",
        target_path=column,
        source_data_type=None,
        target_data_type=data_type,
        is_required=False,
        default_value=None,
        transformation_rules=None,
        validation_rules=None,
        error_handling="fail",
        direction="inbound",
    )
