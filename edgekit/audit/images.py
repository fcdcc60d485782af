"""Values of a row as JSON, written in SQL so that they can be read back to the last bit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgekit.audit.shape import name_sql, text_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekit.audit.shape import Column, Table

ARGUMENTS = 100
"""How many values one call of `format()` gets: SQLite allows 127 arguments."""

_TERMS = 400
"""How many SELECTs one UNION ALL joins: SQLite allows 500."""

_DEPTH = 100  # an expression may be 1,000 deep


def _real(value: str) -> str:
    """REAL exactly: 17 digits are enough in the middle of the range, 21 at its ends; infinity is 9e999."""
    return (
        f"CASE WHEN abs({value}) > 1.7976931348623157e308 THEN iif({value} > 0, '9e999', '-9e999')"
        f" ELSE format(iif(abs({value}) BETWEEN 1e-100 AND 1e100, '%!.17g', '%!.20e'), {value}) END"
    )


def _blob(value: str) -> str:
    return f"""'{{"$blob":"'||hex({value})||'"}}'"""


def value_json(column: Column, row: str) -> str:
    value = f"{row}.{name_sql(column.name)}"
    if column.is_secret:
        return f"""iif({value} IS NULL, 'null', '{{"$secret":true}}')"""
    if column.kind == "integer":
        return value if column.not_null else f"ifnull({value}, 'null')"
    if column.kind == "text":
        return f"json_quote({value})"
    if column.kind == "real":
        return f"CASE WHEN {value} IS NULL THEN 'null' ELSE {_real(value)} END"
    if column.kind == "blob":
        return f"iif({value} IS NULL, 'null', {_blob(value)})"
    return (
        f"CASE typeof({value}) WHEN 'real' THEN {_real(value)}"
        f" WHEN 'blob' THEN {_blob(value)} ELSE json_quote({value}) END"
    )


def is_plain(table: Table) -> bool:
    """Tell whether JSON holds every value of a row as it is: whole numbers and text, and not too many."""
    fits = len(table.columns) <= ARGUMENTS // 2
    return (
        table.has_touch
        and fits
        and all(c.kind in {"integer", "text"} and not c.is_secret for c in table.columns)
    )


def image(table: Table, row: str) -> str:
    """Write a whole row as a JSON object."""
    if is_plain(table):
        pairs = (f"{text_sql(c.name)}, {row}.{name_sql(c.name)}" for c in table.columns)
        return f"json_object({', '.join(pairs)})"
    fields = [json.dumps(c.name).replace("%", "%%") + ":%s" for c in table.columns]
    values = [value_json(c, row) for c in table.columns]
    calls = []
    for i in range(0, max(len(fields), 1), ARGUMENTS):
        template = ("," if i else "{") + ",".join(fields[i : i + ARGUMENTS])
        template += "}" if i + ARGUMENTS >= len(fields) else ""
        calls.append("format(" + ",\n    ".join([text_sql(template), *values[i : i + ARGUMENTS]]) + ")")
    return " || ".join(calls)


def differences(rows: Iterable[tuple[Column, str]], condition: str = "") -> str:
    """Select `{"column": [old, new]}` of the columns that differ; `{}` if none does or `condition` fails.

    Each of `rows` is a column and its new value. SQLite moves the comparison into each SELECT, so that only
    what differs is handed on; and a column of a subquery has no mark of JSON, so that text stays text.
    """
    columns: list[Column] = []
    selects: list[str] = []
    for column, new in rows:
        names = ("", "", "") if len(selects) % _TERMS else (" AS name", " AS old", " AS new")
        columns.append(column)
        old = f"OLD.{name_sql(column.name)}{' COLLATE BINARY' if column.is_collated else ''}"
        selects.append(f"SELECT {text_sql(column.name)}{names[0]}, {old}{names[1]}, {new}{names[2]}")
    where = "old IS NOT new"
    if any(c.kind == "any" for c in columns):  # 1 and 1.0 are equal
        where = f"{where} OR typeof(old) <> typeof(new)"
    pair = "json_array(old, new)"
    if any(c.kind not in {"integer", "text"} or c.is_secret for c in columns):
        pair = f"json('[' || {_any_json('old', columns)} || ',' || {_any_json('new', columns)} || ']')"
    found = f"json_group_object(name, {pair})"
    found = f"iif({condition}, {found}, '{{}}')" if condition else found
    groups = [selects[i : i + _TERMS] for i in range(0, len(selects), _TERMS)]
    unions = ["\n    UNION ALL ".join(group) for group in groups]
    if len(unions) > 1:
        unions = [f"SELECT name, old, new FROM ({union})" for union in unions]
    union = "\n    UNION ALL ".join(unions)
    return f"SELECT {found} FROM (\n    {union}) WHERE {where}"


def _any_json(value: str, columns: list[Column]) -> str:
    """Write a value as JSON whatever column of these it is of."""
    kinds = {c.kind for c in columns if not c.is_secret}
    cases = []
    if secrets := ", ".join(text_sql(c.name) for c in columns if c.is_secret):
        cases.append(f"""name IN ({secrets}) THEN iif({value} IS NULL, 'null', '{{"$secret":true}}')""")
    if kinds & {"real", "any"}:
        cases.append(f"typeof({value}) = 'real' THEN {_real(value)}")
    if kinds & {"blob", "any"}:
        cases.append(f"typeof({value}) = 'blob' THEN {_blob(value)}")
    return f"CASE WHEN {' WHEN '.join(cases)} ELSE json_quote({value}) END"


def any_of(conditions: list[str], joint: str = "\n  OR ") -> str:
    """Join conditions by OR, in groups so that a wide table stays within the depth SQLite allows."""
    if len(conditions) <= _DEPTH:
        return joint.join(conditions)
    groups = [conditions[i : i + _DEPTH] for i in range(0, len(conditions), _DEPTH)]
    return joint.join(f"({joint.join(group)})" for group in groups)
