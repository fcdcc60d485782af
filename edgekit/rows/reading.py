"""Rows as people read them: what a reference points at beside its id, JSON as JSON, secrets never."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgekit import naming
from edgekit.errors import InvalidError, NotFoundError
from edgekit.rows import values
from edgekit.rows.shape import SIGNATURE, read_shape
from edgekit.schema import quote_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from edgekit.rows.shape import Shape

_RANKS = ("sort_order", "tier_rank", "hierarchy_level", "execution_order")
"""Columns made to sort by."""

_ROOM = 9
"""So many columns fit a terminal."""


def list_rows(
    connection: sqlite3.Connection,
    table: str,
    *,
    where: Mapping[str, Any] | None = None,
    retired: bool = False,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of a table, without those whose status is not an active one unless `retired` is set.

    `where` is read like values to set; nothing means NULL. Rows stand in the order made for them, else by
    their key, those of a log the newest first. Raise NotFoundError (table), InvalidError (a condition).
    """
    shape = read_shape(connection, table)
    wanted = values.read(connection, shape, where or {}, settable=False)
    parts = [f"t.{quote_name(name)} IS ?" for name in wanted]
    if not retired and shape.has_status and "status_id" not in wanted:
        parts.append("t.status_id IN (SELECT id FROM status WHERE is_active)")
    condition = f" WHERE {' AND '.join(parts)}" if parts else ""
    sql = f"{_select(connection, shape)}{condition} ORDER BY {_order(shape)} LIMIT ?"
    found = connection.execute(sql, (*wanted.values(), -1 if limit is None else limit))
    return _read(shape, found)


def show(connection: sqlite3.Connection, table: str, which: str | int) -> dict[str, Any]:
    """Return one row, found by its id or key. Raise NotFoundError if there is none."""
    shape = read_shape(connection, table)
    key = find(connection, shape, which)
    return _read(shape, connection.execute(f"{_select(connection, shape)} WHERE t.id = ?", (key,)))[0]


def find(connection: sqlite3.Connection, shape: Shape, which: str | int) -> int:
    """Return the id of the row that is meant: by its id, its code or key, its name, or `column=value`.

    Raise NotFoundError if there is none, InvalidError if there are several.
    """
    text = str(which).strip()
    column, sign, value = text.partition("=")
    found = values.matches(connection, shape.name, text)
    if not found and sign:
        wanted = values.read(connection, shape, {column: value}, settable=False)
        ((name, stored),) = wanted.items()
        sql = f"SELECT id FROM {quote_name(shape.name)} WHERE {quote_name(name)} IS ? ORDER BY id"
        found = [int(row[0]) for row in connection.execute(sql, (stored,))]
    if not found:
        raise NotFoundError(
            f"There is no {shape.name} {text}.", hint=f"See: edgekit {shape.command} list --all"
        )
    if len(found) > 1:
        shown = ", ".join(map(str, found[:10])) + (", …" if len(found) > 10 else "")
        raise InvalidError(
            f"{text} names {len(found)} rows of {shape.name}.", hint=f"Name one by its id: {shown}."
        )
    return found[0]


def columns_to_show(shape: Shape, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Choose the fields that tell rows apart on a terminal: key first, references by name, no bookkeeping."""
    left_out = {*SIGNATURE, "uuid", "description", "status_id", *shape.key}
    fields = ["id", *(_field(shape, column) for column in shape.key)]
    for column in shape.columns.values():
        if column.name in left_out or column.is_secret or column.kind in {"json", "blob"}:
            continue
        field = _field(shape, column.name)
        values_there = {str(row.get(field)) for row in rows}
        if column.name == "organization_id" and len(values_there) < 2:
            continue
        if values_there != {"None"} or not rows:
            fields.append(field)
    if shape.has_status and len({row["status"] for row in rows} | {"ACTIVE"}) > 1:
        fields.insert(1 + len(shape.key), "status")
    return list(dict.fromkeys(fields))[:_ROOM]


def _field(shape: Shape, column: str) -> str:
    """Name the field people read for a column: what a reference points at instead of its id."""
    return shape.label(column) if shape.columns[column].parent else column


def _select(connection: sqlite3.Connection, shape: Shape) -> str:
    """Write the SELECT of all that may be shown, each reference with what it points at beside it."""
    parts = []
    for column in shape.columns.values():
        if column.is_secret or column.kind == "blob":
            continue
        name = quote_name(column.name)
        parts.append(f"t.{name}")
        if column.parent is None or column.name in SIGNATURE:
            continue
        label = naming.label_column(connection, column.parent) or "id"
        there = f"(SELECT p.{quote_name(label)} FROM {quote_name(column.parent)} p WHERE p.id = t.{name})"
        parts.append(f"{there} AS {quote_name(shape.label(column.name))}")
    return f"SELECT {', '.join(parts)} FROM {quote_name(shape.name)} t"


def _order(shape: Shape) -> str:
    if shape.refuses:
        return "t.id DESC" if "id" in shape.columns else "t.rowid DESC"
    ranks = [name for name in _RANKS if name in shape.columns]
    names = [*ranks, *shape.key, *(["id"] if "id" in shape.columns else [])]
    return ", ".join(f"t.{quote_name(name)}" for name in names) or "t.rowid"


def _read(shape: Shape, found: sqlite3.Cursor) -> list[dict[str, Any]]:
    """Turn rows into dicts: yes and no as booleans, JSON as what it says."""
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found]
    for name, column in shape.columns.items():
        if column.kind == "boolean":
            for row in rows:
                row[name] = row[name] if row[name] is None else bool(row[name])
        elif column.kind == "json":
            for row in rows:
                row[name] = None if row[name] is None else _document(row[name])
    return rows


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # what another tool left there is shown as it is
