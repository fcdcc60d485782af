"""Values of a row as JSON, written in SQL so that they can be read back to the last bit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgekit.audit.shape import name_sql, text_sql

if TYPE_CHECKING:
    from edgekit.audit.shape import Column, Table

ARGUMENTS = 100
"""How many values one call of `format()` gets: SQLite allows 127 arguments."""

_DEPTH = 100  # an expression may be 1,000 deep


def _real(value: str) -> str:
    """REAL exactly: 17 digits are enough in the middle of the range, 21 at its ends; infinity is 9e999."""
    return (
        f"CASE WHEN abs({value}) > 1.7976931348623157e308 THEN iif({value} > 0, '9e999', '-9e999')"
        f" ELSE format(iif(abs({value}) BETWEEN 1e-100 AND 1e100, '%!.17g', '%!.20e'), {value}) END"
    )


def value_json(column: Column, row: str) -> str:
    value = f"{row}.{name_sql(column.name)}"
    text = f"json_quote({chr(39) * 2}||{value})" if row == "NEW" else f"json_quote({value})"
    blob = f"""'{{"$blob":"'||hex({value})||'"}}'"""
    if column.is_secret:
        return f"""iif({value} IS NULL, 'null', '{{"$secret":true}}')"""
    if column.kind == "integer":
        return value if column.not_null else f"ifnull({value}, 'null')"
    if column.kind == "text":
        return text
    if column.kind == "real":
        return f"CASE WHEN {value} IS NULL THEN 'null' ELSE {_real(value)} END"
    if column.kind == "blob":
        return f"iif({value} IS NULL, 'null', {blob})"
    return (
        f"CASE typeof({value}) WHEN 'text' THEN {text} WHEN 'integer' THEN {value}"
        f" WHEN 'real' THEN {_real(value)} WHEN 'blob' THEN {blob} ELSE 'null' END"
    )


def image(table: Table, row: str) -> str:
    """Write a whole row as a JSON object."""
    fields = [json.dumps(c.name).replace("%", "%%") + ":%s" for c in table.columns]
    values = [value_json(c, row) for c in table.columns]
    calls = []
    for i in range(0, max(len(fields), 1), ARGUMENTS):
        template = ("," if i else "{") + ",".join(fields[i : i + ARGUMENTS])
        template += "}" if i + ARGUMENTS >= len(fields) else ""
        calls.append("format(" + ",\n    ".join([text_sql(template), *values[i : i + ARGUMENTS]]) + ")")
    return " || ".join(calls)


def differs(column: Column) -> str:
    name = name_sql(column.name)
    if column.kind == "any":  # 1 and 1.0 are equal
        return (
            f"(NEW.{name} IS NOT OLD.{name} COLLATE BINARY OR typeof(NEW.{name}) IS NOT typeof(OLD.{name}))"
        )
    return f"NEW.{name} IS NOT OLD.{name}" + (" COLLATE BINARY" if column.kind == "text" else "")


def any_of(conditions: list[str], joint: str = "\n  OR ") -> str:
    """Join conditions by OR, in groups so that a wide table stays within the depth SQLite allows."""
    if len(conditions) <= _DEPTH:
        return joint.join(conditions)
    groups = [conditions[i : i + _DEPTH] for i in range(0, len(conditions), _DEPTH)]
    return joint.join(f"({joint.join(group)})" for group in groups)
