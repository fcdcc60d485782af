"""What the file's tables are: `schema tables`, `schema show`, `schema diagram`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import connected, json_option
from edgekit.cli.show import show

if TYPE_CHECKING:
    import sqlite3

    from edgekit.dictionary import Column, Table


@click.group(cls=Group)
def schema() -> None:
    """Say what the tables hold, what their columns and values mean, and how they hang together."""


@schema.command(example="edgekit schema tables\nedgekit schema tables --json")
@json_option
@connected
def tables(connection: sqlite3.Connection, as_json: bool) -> None:
    """List the tables by word, with the command for their rows, how many there are, and what one is."""
    from edgekit import dictionary, naming
    from edgekit.dictionary.texts import first_sentence

    words = {**naming.tracked(connection), **naming.commands()}
    own = {table: word for word, table in words.items() if word == naming.plural(table)}
    found: list[dict[str, Any]] = [
        {
            "word": table.word,
            "table": table.name,
            "command": own.get(table.name),
            "rows": naming.count_rows(connection, table.name),
            "columns": len(table.columns),
            "sentence": first_sentence(table.sentence),
        }
        for table in dictionary.read_all(connection)
    ]
    show(found, as_json, view=lambda row: {name: row[name] for name in row if name != "columns"})


@schema.command("show", example="edgekit schema show policy")
@click.argument("table")
@json_option
@connected
def show_table(connection: sqlite3.Connection, table: str, as_json: bool) -> None:
    """Show a table whole: columns and what they mean, rules, triggers, indexes, references both ways."""
    from edgekit import dictionary, naming

    found = dictionary.read(connection, naming.commands().get(table, table))
    show(found, as_json, view=_whole)


def _whole(table: Table) -> dict[str, Any]:
    return {
        "table": table.name,
        "word": table.word,
        "says": table.sentence,
        "generated triggers": table.generated_triggers,
        "referred to by": ", ".join(table.referred_by),
        "columns": [_line(column) for column in table.columns],
        "values": [
            {"column": column.name, "value": value, "meaning": meaning}
            for column in table.columns
            for value, meaning in column.values.items()
        ],
        "rules": [{"rule": f"{c.column}.{c.code}", "says": c.sentence} for c in table.checks],
        "triggers": [{"trigger": t.name, "when": t.when, "says": t.sentence} for t in table.triggers],
        "indexes": [
            {"index": i.name, "columns": i.columns, "unique": i.unique, "where": i.where}
            for i in table.indexes
        ],
    }


def _line(column: Column) -> dict[str, Any]:
    return {
        "column": column.name,
        "type": column.type.lower(),
        "required": "yes" if column.required else "",
        "default": column.default,
        "refers to": column.references or (f"what {column.typed_by} names" if column.typed_by else None),
        "meaning": column.meaning,
    }


@schema.command(
    example="edgekit schema diagram -o schema.svg\nedgekit schema diagram --word insurance --format mermaid"
)
@click.option(
    "--format", "form", type=click.Choice(["svg", "mermaid"]), default="svg", show_default=True,
    help="A drawing, or the text of one for Mermaid.",
)  # fmt: skip
@click.option("--word", metavar="WORD", help="Only the tables of this word, and what they refer to.")
@click.option("-o", "--output", metavar="FILE", help="Write it to FILE instead of showing it.")
@json_option
@connected
def diagram(
    connection: sqlite3.Connection, form: str, word: str | None, output: str | None, as_json: bool
) -> None:
    """Draw the tables and what refers to what."""
    from edgekit.dictionary import diagram as lib

    text = lib.diagram(connection, format=form, word=word)
    if output is None:
        show({"format": form, "text": text} if as_json else text.rstrip("\n"), as_json)
        return
    lib.save(connection, text, output)
    show({"format": form, "path": output} if as_json else f"Wrote {output}.", as_json)
