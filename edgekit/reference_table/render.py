"""What a line makes: DDL and model word for word as they stand in the files, and the cases of the tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.reference_table.line import Column, Definition

_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_HEAD = """\
-- {sentence}
CREATE TABLE {name} (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE UNIQUE CONSTRAINT "{name}.code.length" CHECK (length(code) BETWEEN 1 AND 50),
  name TEXT NOT NULL CONSTRAINT "{name}.name.length" CHECK (length(name) BETWEEN 1 AND 100),
  description TEXT,
"""  # noqa: E501
_TAIL = f"""\
  status_id INTEGER NOT NULL DEFAULT 1 REFERENCES status(id),
  created_by INTEGER NOT NULL DEFAULT 1 REFERENCES user(id),
  updated_by INTEGER REFERENCES user(id),
  created_at TEXT NOT NULL DEFAULT ({_NOW}),
  updated_at TEXT NOT NULL DEFAULT ({_NOW})
) STRICT;
"""
_ACYCLIC = """\
CREATE TRIGGER {table}_acyclic_{when} BEFORE {event} ON {table} WHEN NEW.{column} IS NOT NULL BEGIN{note}
  WITH RECURSIVE ancestor(id) AS (
    SELECT NEW.{column}
    UNION SELECT o.{column} FROM {table} o JOIN ancestor a ON o.id = a.id WHERE o.{column} IS NOT NULL
  )
  SELECT RAISE(ABORT, 'EK|{table}|{column}|cycle|{sentence}') FROM ancestor WHERE id = NEW.id;
END;
"""


def ddl(table: Definition) -> str:
    """Write the table, its indexes and triggers, as the schema file has them."""
    parts = [_HEAD.format(sentence=table.sentence, name=table.name)]
    parts += [f"  {_column_sql(table.name, column)}\n" for column in table.columns]
    parts.append(_TAIL)
    for column in table.columns:
        if column.kind == "single":
            index = f"{table.name}_{column.name.removeprefix('is_')}"
            parts.append(
                f"CREATE UNIQUE INDEX {index} ON {table.name}({column.name}) WHERE {column.name} = 1;\n"
            )
        elif column.kind == "tree":
            index = f"{table.name}_{column.name.removesuffix('_id')}"
            parts.append(f"CREATE INDEX {index} ON {table.name}({column.name});\n")
            parts += ["\n", *_acyclic(table.name, column.name)]
    return "".join(parts)


def _column_sql(table: str, column: Column) -> str:
    name = column.name
    kind = {"text": "TEXT", "choice": "TEXT"}.get(column.kind, "INTEGER")
    default = f" DEFAULT {_default_sql(column)}" if column.default is not None else ""
    words = [f"{name} {kind}{'' if column.nullable else ' NOT NULL'}{default}"]
    words += ["UNIQUE"] if column.unique else []
    words += [f"REFERENCES {table}(id)"] if column.kind == "tree" else []
    code, condition = _check(column)
    words += [f'CONSTRAINT "{table}.{name}.{code}" CHECK ({condition})'] if code else []
    comment = f"  -- {column.comment}" if column.comment else ""
    return f"{' '.join(words)},{comment}"


def _default_sql(column: Column) -> str:
    return f"'{column.default}'" if column.kind in {"text", "choice"} else str(column.default)


def _check(column: Column) -> tuple[str, str]:
    """Say which CHECK a column has: its code and condition; both empty if it has none."""
    name = column.name
    if column.kind in {"boolean", "single"}:
        return "boolean", f"{name} IN (0, 1)"
    if column.kind == "integer":
        return ("range", f"{name} >= {column.least}") if column.least is not None else ("", "")
    if column.kind == "text":
        most = column.inside
        return (
            "length",
            f"length({name}) <= {most}" if column.nullable else f"length({name}) BETWEEN 1 AND {most}",
        )
    if column.kind == "choice":
        values = ", ".join(f"'{value.strip()}'" for value in column.inside.split("|"))
        return "choice", f"{name} IN ({values})"
    return "cycle", f"{name} IS NOT id"


def _acyclic(table: str, column: str) -> list[str]:
    what = table.replace("_", " ")
    sentence = f"{'An' if what[0] in 'aeiou' else 'A'} {what} cannot be its own ancestor."
    cases = [("bi", "INSERT", "  -- by REPLACE"), ("bu", f"UPDATE OF {column}", "")]
    return [
        _ACYCLIC.format(table=table, column=column, when=when, event=event, note=note, sentence=sentence)
        for when, event, note in cases
    ]


def model(table: Definition) -> str:
    """Write the model, as the module of its word has it."""
    lines = [f"class {table.model_name}(ReferenceRow):", f'    """{_docstring(table.sentence)}"""']
    fields = [line for column in table.columns for line in _field(column)]
    return "\n".join([*lines, *(["", *fields] if fields else [])]) + "\n"


def _docstring(sentence: str) -> str:
    """Say what a row is, in the first sentence and without `One row is`."""
    rest = re.sub(r"^One row (is )?", "", sentence).partition(". ")[0].rstrip(".")
    return f"{rest[0].upper()}{rest[1:]}."


def _field(column: Column) -> list[str]:
    options = ["unique=True"] if column.unique else []
    options += ["null=True"] if column.nullable else []
    if column.kind == "tree":
        attribute = column.name.removesuffix("_id")
        return [f'    {attribute}: Any = reference("self", null=True)', f"    {column.name}: int | None"]
    if column.kind in {"boolean", "single"}:
        kind, options = "Boolean", [*options, f"default={column.default == '1'}"]
    elif column.kind == "integer":
        kind, options = "Integer", [*options, *([f"default={column.default}"] if column.default else [])]
    else:
        kind, options = "Text", [*options, *([f'default="{column.default}"'] if column.default else [])]
    return [f"    {column.name}: Any = peewee.{kind}Field({', '.join(options)})"]


def rows(table: Definition) -> str:
    """Write the sound row the tests put in."""
    values = {"code": f"{table.name[0].upper()}{{n}}", "name": table.name.replace("_", " ").capitalize()}
    values |= {column.name: value.replace("901", "{n}") for column, value in _required(table)}
    return f'    "{table.name}": {_dict(values)},\n'


def special(table: Definition) -> str:
    """Write what breaks a CHECK whose text does not say so."""
    return "".join(
        f'    "{table.name}.{column.name}.cycle": {{"id": 901, "{column.name}": 901}},\n'
        for column in table.columns
        if column.kind == "tree"
    )


def same(table: Definition) -> str:
    """Write what makes a row one that a partial unique index counts."""
    return "".join(
        f'    "{table.name}_{column.name.removeprefix("is_")}": {{"{column.name}": 1}},\n'
        for column in table.columns
        if column.kind == "single"
    )


def refusals(table: Definition) -> str:
    """Write how the triggers against a circle are met."""
    lines = []
    for column in table.columns:
        if column.kind != "tree":
            continue
        more = {**{c.name: value for c, value in _required(table)}, column.name: ""}
        names = ", ".join(["id", "code", "name", *more])
        values = ", ".join(f"'{value}'" for value in more.values() if value)
        row = f"VALUES ({{id}}, '{{code}}', 'x', {values + ', ' if values else ''}{{above}})"
        first = f"INSERT INTO {table.name}({names}) " + row.format(id=901, code="X1", above="?1")
        again = f"INSERT OR REPLACE INTO {table.name}({names}) " + row.format(id="?1", code="X2", above=901)
        update = f"UPDATE {table.name} SET {column.name} = 901 WHERE id = ?1"
        for when, last in (("bi", again), ("bu", update)):
            lines.append(
                f'    "{table.name}_acyclic_{when}": (\n        "{table.name}",\n        "{first}; {last}",\n'
                f'        "{table.name}.{column.name}.cycle",\n    ),\n'
            )
    return "".join(lines)


def _required(table: Definition) -> list[tuple[Column, str]]:
    """Return the columns a row must give, each with a value that is sound."""
    return [
        (column, {"choice": column.inside.partition("|")[0].strip(), "text": "x901"}.get(column.kind, "901"))
        for column in table.columns
        if not column.nullable and column.default is None
    ]


def _dict(values: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": "{value}"' for name, value in values.items()) + "}"
