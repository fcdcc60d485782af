"""JSON columns that follow a schema which the row's type states, such as the metadata of an entity.

SQL cannot check a JSON Schema, so the data layer does, wherever it writes such a row.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import db
from edgekit.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


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
    for column, schema_column in followed.schemas.items():
        if followed.named_by not in written and column not in written:
            continue
        found = refusal(table, column, row.get(column), _schema(followed, schema_column, row))
        if found is not None:
            raise found


def refuse_rows(
    table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[tuple[int, RuleError]]:
    """Return the places of the rows, as they will be stored by their key, that `check` refuses, and why."""
    followed = FOLLOWED.get(table)
    if followed is None or not followed.schemas.keys() & set(columns):
        return []
    found = []
    for place, values in enumerate(rows):
        row = dict(zip(columns, values, strict=True))
        if followed.named_by not in row:
            row[followed.named_by] = _stored_type(table, followed, {name: row.get(name) for name in key})
        try:
            check(table, row, set(row))
        except RuleError as error:
            found.append((place, error))
    return found


def _stored_type(table: str, followed: Followed, key: Mapping[str, Any]) -> Any:
    where = " AND ".join(f"{name} IS ?" for name in key)
    sql = f"SELECT {followed.named_by} FROM {table} WHERE {where}"
    found = db.connection().execute(sql, list(key.values())).fetchone()
    return found[0] if found else None


def refusal(table: str, column: str, stored: Any, schema: str | None) -> RuleError | None:
    """Say what is wrong with one document, if anything is."""
    if stored is None or not schema:
        return None
    from edgekit import validate

    try:
        document = json.loads(stored) if isinstance(stored, str) else stored
    except ValueError:
        return None  # no JSON at all: the file itself refuses that
    for one in validate.compile(json.loads(schema)).errors(document, most=1):
        said = f"{table}.{column} is not as its type says: {one}"
        return RuleError(table, column, "schema", said)
    return None


def _schema(followed: Followed, column: str, row: Mapping[str, Any]) -> str | None:
    sql = f"SELECT {column} FROM {followed.types} WHERE id = ?"
    found = db.connection().execute(sql, (row.get(followed.named_by),)).fetchone()
    return found[0] if found else None
