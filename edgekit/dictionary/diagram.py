"""A drawing of the tables of a file, whole or of one word with what its tables refer to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.dictionary import mermaid, svg
from edgekit.dictionary.catalogue import read_all
from edgekit.dictionary.page import STANDARD
from edgekit.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    import sqlite3

FORMATS = ("svg", "mermaid")


def diagram(connection: sqlite3.Connection, *, format: str = "svg", word: str | None = None) -> str:  # noqa: A002
    """Draw the tables as `svg`, or as the text of a `mermaid` diagram.

    Raise NotFoundError if there is no such word.
    """
    every = read_all(connection)
    render = svg.render if format == "svg" else mermaid.render
    if word is None:
        return render(every)
    tables = [table for table in every if table.word == word]
    if not tables:
        known = ", ".join(dict.fromkeys(table.word for table in every))
        raise NotFoundError(f"There is no word {word}.", hint=f"It is one of: {known}.")
    inside = {table.name for table in tables}
    named = {parent for t in tables for column, parent in t.references.items() if column not in STANDARD}
    return render(tables, [table for table in every if table.name in named - inside])


def save(connection: sqlite3.Connection, text: str, path: str) -> None:
    """Write a drawing. Raise NotFoundError (no such folder), ConflictError (it is the file drawn)."""
    target = Path(path)
    if not target.parent.is_dir():
        raise NotFoundError(f"There is no folder {target.parent}.", hint="Create the folder first.")
    drawn = {Path(row[2]).resolve() for row in connection.execute("PRAGMA database_list") if row[2]}
    if target.resolve() in drawn or target.is_dir():
        raise ConflictError(f"{path} is not a place for a drawing.", hint="Name a new file: -o schema.svg")
    target.write_text(text, encoding="utf-8", newline="\n")
