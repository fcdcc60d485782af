"""JSON columns that follow a schema which the row's type states, such as the metadata of an entity.

SQL cannot check a JSON Schema, so the data layer does, wherever it writes such a row.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import db
from edgekit.errors import RuleError
from edgekit.mapping import ABSENT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from edgekit.validate import Validator

    _Validators = dict[str, Validator]


class Followed(NamedTuple):
    """Which column names the type, in which table types stand, and which schema each document follows."""

    named_by: str
    types: str
    schemas: Mapping[str, str]


FOLLOWED = {
    "entity": Followed("entity_type_id", "entity_type", {"metadata": "metadata_schema"}),
    "communication": Followed(
        "communication_type_id",
        "communication_type",
        {
            "request_data": "request_schema",
            "response_data": "response_schema",
            "metadata": "metadata_schema",
        },
    ),
}


def check(table: str, row: Mapping[str, Any], written: Collection[str]) -> None:
    """Raise RuleError for a document that is not as its type says; `row` is as stored, or with decoded JSON.

    It is looked at if it or the type is among the columns `written`. NULL follows every schema.
    """
    followed = FOLLOWED.get(table)
    if followed is None:
        return
    touched = followed.schemas if followed.named_by in written else followed.schemas.keys() & set(written)
    if touched:
        _check(table, followed, row, touched, _validators(followed, row.get(followed.named_by)))


def refuse_rows(
    table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[tuple[int, RuleError]]:
    """Return the places of the rows, as they will be stored by their key, that `check` refuses, and why."""
    followed = FOLLOWED.get(table)
    if followed is None or not {followed.named_by, *followed.schemas} & set(columns):
        return []
    found = []
    known: dict[Any, _Validators] = {}  # most rows of a batch are of one type
    for place, values in enumerate(rows):
        row = {name: value for name, value in zip(columns, values, strict=True) if value is not ABSENT}
        if not {followed.named_by, *followed.schemas} <= row.keys():
            row = _stored(table, followed, {name: row.get(name) for name in key}) | row
        kind = row.get(followed.named_by)
        if kind not in known:
            known[kind] = _validators(followed, kind)
        try:
            _check(table, followed, row, row.keys(), known[kind])
        except RuleError as error:
            found.append((place, error))
    return found


def _stored(table: str, followed: Followed, key: Mapping[str, Any]) -> dict[str, Any]:
    """Return type and documents of the row that has a key, which stay where an import leaves them out."""
    names = (followed.named_by, *followed.schemas)
    where = " AND ".join(f"{name} IS ?" for name in key)
    sql = f"SELECT {', '.join(names)} FROM {table} WHERE {where}"
    found = db.connection().execute(sql, list(key.values())).fetchone()
    return dict(zip(names, found, strict=True)) if found else {}


def _validators(followed: Followed, kind: Any) -> _Validators:
    """Compile the schemas a type states, by the column that follows each."""
    from edgekit import validate

    names = ", ".join(followed.schemas.values())
    found = db.connection().execute(f"SELECT {names} FROM {followed.types} WHERE id = ?", (kind,)).fetchone()
    schemas = dict(zip(followed.schemas, found or (), strict=False))
    return {column: validate.compile(json.loads(schema)) for column, schema in schemas.items() if schema}


def _check(
    table: str, followed: Followed, row: Mapping[str, Any], touched: Collection[str], known: _Validators
) -> None:
    for column in followed.schemas:
        if column not in touched or column not in known or row.get(column) is None:
            continue
        try:
            document = json.loads(row[column]) if isinstance(row[column], str) else row[column]
        except ValueError:
            continue  # no JSON at all: the file itself refuses that
        for one in known[column].errors(document, most=1):
            said = f"{table}.{column} is not as its type says: {one}"
            raise RuleError(table, column, "schema", said)
