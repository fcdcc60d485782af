"""What a person typed, as the value a column stores. What is allowed the file itself says when it refuses."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edgekit import clock, naming
from edgekit.errors import InvalidError, RuleError
from edgekit.schema import quote_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from edgekit.rows.shape import Column, Shape

_YES_NO = {"yes": 1, "true": 1, "1": 1, "no": 0, "false": 0, "0": 0}
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_ID = re.compile(r"0|-?[1-9]\d{0,18}")
_SHOWN = 10


def read(
    connection: sqlite3.Connection,
    shape: Shape,
    given: Mapping[str, Any],
    *,
    current: Mapping[str, Any] | None = None,
    settable: bool = True,
) -> dict[str, Any]:
    """Turn `{"program": "AUTO"}` into `{"program_id": 3}`, every value as its column stores it.

    Text is read by the column's kind and nothing (empty text) is NULL. A reference takes an id, or the code
    or name of the row; `current` is the row to be changed. Without `settable` any column may be named that is
    no secret. Raise InvalidError or RuleError naming the column.
    """
    current = current or {}
    named = {_column(shape, name, settable=settable): value for name, value in given.items()}
    if len(named) < len(given):
        raise InvalidError("The same column is given twice.")
    organization = _organization(connection, shape, {**current, **named})
    values = {}
    for name, value in named.items():
        column = shape.columns[name]
        if column.typed_by is None:
            values[name] = _value(connection, shape, column, value, organization)
    for name, value in named.items():
        if name not in values:
            kinds = {**current, **values}
            values[name] = _typed(connection, shape, shape.columns[name], value, kinds, organization)
    return values


def _column(shape: Shape, name: str, *, settable: bool) -> str:
    """Find the column a name means: its own, or that of a reference without `_id`."""
    found = name if name in shape.columns else f"{name}_id"
    column = shape.columns.get(found)
    if column is None:
        open_ones = [c.name for c in shape.columns.values() if not c.is_given and not c.is_secret]
        raise InvalidError(
            f"{shape.name} has no column {name}.", hint=_did_you_mean(name, open_ones) or _listed(open_ones)
        )
    if column.is_secret:
        raise InvalidError(
            f"{shape.name}.{found} holds a secret: it is never shown, and set only through the vault.",
            hint=_door(shape, found),
        )
    if column.is_given and settable:
        raise InvalidError(f"{shape.name}.{found} is given by the file: nobody sets it.")
    return found


def _door(shape: Shape, column: str) -> str | None:
    """Say by which command a secret is set, which no argument may carry."""
    if shape.name == "integration_credential":
        return "Use: edgekit vault set INTEGRATION KEY"
    if not column.endswith("_ciphertext"):
        return None
    return f"Use: edgekit vault put {shape.command} ID {column.removesuffix('_ciphertext')}"


def _did_you_mean(name: str, known: list[str]) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=2)
    return f"Did you mean {' or '.join(close)}?" if close else None


def _listed(known: list[str]) -> str:
    return f"Its columns are: {', '.join(known)}."


def _value(
    connection: sqlite3.Connection, shape: Shape, column: Column, value: Any, organization: int | None
) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if column.parent is not None:
        scope = None if column.name == "organization_id" else organization
        return refer(connection, f"{shape.name}.{column.name}", column.parent, value, organization=scope)
    if not isinstance(value, str):
        return _plain(value)
    if "\0" in value:  # the file's own limits on length see nothing behind one
        name = f"{shape.name}.{column.name}"
        raise RuleError(shape.name, column.name, "format", f"{name} holds a NUL character.")
    reader = _READERS.get(column.kind)
    return reader(shape.name, column.name, value) if reader else value


def _plain(value: Any) -> Any:
    """Write a Python value as SQLite stores it."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return clock.to_text(value)
    return value


def _boolean(table: str, column: str, text: str) -> int:
    found = _YES_NO.get(text.strip().lower())
    if found is None:
        raise RuleError(table, column, "boolean", f"{table}.{column} is yes or no, not {text!r}.")
    return found


def _integer(table: str, column: str, text: str) -> int:
    number = int(text) if _INTEGER.fullmatch(text.strip()) else 1 << 63
    if not -(1 << 63) <= number < 1 << 63:
        raise RuleError(table, column, "type", f"{table}.{column} must be a whole number, not {text!r}.")
    return number


def _real(table: str, column: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number != number or number in {float("inf"), float("-inf")}:
        raise RuleError(table, column, "type", f"{table}.{column} must be a number, not {text!r}.")
    return number


def _json(table: str, column: str, text: str) -> str:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RuleError(
            table, column, "json_object", f"{table}.{column} must be a JSON object: {error}."
        ) from error
    if not isinstance(document, dict):
        raise RuleError(table, column, "json_object", f"{table}.{column} must be a JSON object.")
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _time(table: str, column: str, text: str) -> str:
    """Bring a time with a zone into the one form the file stores; the file judges what is none."""
    try:
        return clock.to_text(clock.from_text(text.strip()))
    except ValueError as error:
        raise RuleError(
            table, column, "time", f"{table}.{column} must be a time with its zone: 2026-01-31T09:05:00Z."
        ) from error


_READERS: dict[str, Any] = {
    "boolean": _boolean, "integer": _integer, "real": _real, "json": _json, "time": _time,
}  # fmt: skip


def refer(
    connection: sqlite3.Connection, field: str, parent: str, value: Any, *, organization: int | None = None
) -> int:
    """Find the row a reference means: by its id, else key, else name. Raise RuleError if none is."""
    found = matches(connection, parent, str(value), organization)
    if len(found) == 1:
        return found[0]
    table, _, column = field.partition(".")
    if found:
        ids = ", ".join(map(str, found[:_SHOWN]))
        raise RuleError(
            table, column, "reference", f"{field}: {value} names several rows of {parent}; their ids: {ids}."
        )
    raise RuleError(
        table, column, "reference", f"{field}: there is no {parent} {value}{_known(connection, parent)}.",
        hint=f"See: edgekit {naming.plural(parent)} list",
    )  # fmt: skip


def matches(
    connection: sqlite3.Connection, table: str, text: str, organization: int | None = None
) -> list[int]:
    """Return the ids of the rows a text means. Digits are an id if there is such a row.

    Where several have the same key the organization's own goes first.
    """
    name = quote_name(table)
    if _ID.fullmatch(text):
        by_id = connection.execute(f"SELECT id FROM {name} WHERE id = ?", (_integer(table, "id", text),))
        if row := by_id.fetchone():
            return [int(row[0])]
    columns = {c for (c,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}
    label = naming.label_column(connection, table)
    for column in dict.fromkeys(c for c in (label, "code", "name") if c in columns):
        sql = f"SELECT id FROM {name} WHERE {quote_name(str(column))} = ?"
        found = [int(row[0]) for row in connection.execute(sql, (text,))]
        if len(found) > 1 and organization is not None and "organization_id" in columns:
            own = connection.execute(f"{sql} AND organization_id = ?", (text, organization)).fetchall()
            found = [int(row[0]) for row in own] or found
        if found:
            return found
    return []


def _known(connection: sqlite3.Connection, table: str) -> str:
    """List what a reference may name, if that is not too much to read."""
    label = naming.label_column(connection, table)
    if label is None:
        return ""
    sql = f"SELECT {quote_name(label)} FROM {quote_name(table)} ORDER BY id LIMIT {_SHOWN + 1}"
    codes = [str(row[0]) for row in connection.execute(sql)]
    if not codes:
        return ", and none at all yet"
    more = ", …" if len(codes) > _SHOWN else ""
    return f"; it is one of: {', '.join(codes[:_SHOWN])}{more}"


def _organization(connection: sqlite3.Connection, shape: Shape, named: Mapping[str, Any]) -> int | None:
    """Say whose rows a reference by code means: those of the row's own organization, by default 1."""
    value = named.get("organization_id")
    if value is None or not str(value).strip():
        return 1
    return refer(connection, f"{shape.name}.organization_id", "organization", value)


def _typed(
    connection: sqlite3.Connection,
    shape: Shape,
    column: Column,
    value: Any,
    kinds: Mapping[str, Any],
    organization: int | None,
) -> Any:
    """Read an id whose table the row of another column names: `context_type=POLICY context_id=PA-1001`."""
    kind = kinds.get(column.typed_by or "")
    parent = shape.columns[column.typed_by or ""].parent if column.typed_by else None
    if value is None or not str(value).strip():
        return None
    if kind is None or parent is None:
        return _integer(shape.name, column.name, str(value))
    row = connection.execute(f"SELECT table_name FROM {quote_name(parent)} WHERE id = ?", (kind,)).fetchone()
    if row is None or row[0] is None:
        return _integer(shape.name, column.name, str(value))
    return refer(connection, f"{shape.name}.{column.name}", row[0], value, organization=organization)
