"""The tables as the text of a Mermaid `erDiagram`, which GitHub and many editors draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.dictionary.page import STANDARD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgekit.dictionary.catalogue import Table


def render(tables: Sequence[Table], outside: Sequence[Table] = ()) -> str:
    """Write the tables and their references; of those `outside` only the names."""
    drawn = {table.name for table in (*tables, *outside)}
    lines = ["erDiagram"]
    for table in tables:
        lines += _entity(table)
    for table in tables:
        lines += _relations(table, drawn)
    return "\n".join(lines) + "\n"


def _entity(table: Table) -> Iterator[str]:
    unique = {index.columns for index in table.indexes if index.unique and index.where is None}
    yield f"  {table.name} {{"
    for column in table.columns:
        if column.name in STANDARD:
            continue
        marks = ["PK"] if column.name == "id" else ["FK"] if column.references else []
        marks += ["UK"] if column.name in unique else []
        note = f' "{_plain(column.meaning)}"' if column.meaning else ""
        yield f"    {column.type} {column.name}{' ' + ', '.join(marks) if marks else ''}{note}"
    yield "  }"


def _relations(table: Table, drawn: set[str]) -> Iterator[str]:
    for column in table.columns:
        if column.references in drawn and column.name not in STANDARD:
            parent = "||" if column.required else "|o"
            yield f"  {column.references} {parent}--o{{ {table.name} : {column.name}"


def _plain(text: str) -> str:
    """Leave out what ends a comment of Mermaid."""
    return text.replace('"', "'").replace("\n", " ")
