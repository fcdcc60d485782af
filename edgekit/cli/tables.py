"""Tables of one's own: `tables create`, `track`, `untrack` and `list`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading
from edgekit.cli.show import show
from edgekit.errors import quoted


@click.group(cls=Group)
def tables() -> None:
    """Make tables of your own that are audited and verified like the rest, or let the file follow one."""


@tables.command("list", example="edgekit tables list")
@json_option
@reading
def list_tables(as_json: bool) -> None:
    """List your own tables: which are tracked, what is in them, the command for their rows."""
    from edgekit import integrations as lib

    empty = "You have no tables of your own. Make one with: edgekit tables create NAME COLUMN:KIND …"
    show(lib.list_tables(), as_json, view=_line, empty=empty)


def _line(found: Any) -> dict[str, Any]:
    tracked = "missing" if found.missing else "yes" if found.tracked else "no"
    return {
        "table": found.name, "tracked": tracked, "rows": f"{found.rows:,}", "key": ", ".join(found.key),
        "columns": ", ".join(found.columns), "command": found.command or "",
    }  # fmt: skip


@tables.command(
    example="edgekit tables create tool code:text name:text! price:real bought_at:date owner_id:producer"
    " --key code\nedgekit tables create town --from towns.csv --key code"
)
@click.argument("name")
@click.argument("columns", metavar="COLUMN:KIND...", nargs=-1)
@click.option("--key", metavar="A,B", help="The columns that tell a row from the others.")
@click.option(
    "--from", "source", metavar="FILE",
    help="Make a column per field of this file, and put its rows in; COLUMN:KIND says otherwise for some.",
)  # fmt: skip
@json_option
@opened
def create(name: str, columns: tuple[str, ...], key: str | None, source: str | None, as_json: bool) -> None:
    """Make a table: id, the columns, and a unique key.

    Kinds are text, integer, real, boolean, date, time and json, or the name of a table whose id the column
    holds; with ! behind it the column may not be empty.
    """
    from edgekit import integrations as lib

    kinds = dict(_column(text) for text in columns)
    keys = [part.strip() for part in (key or "").split(",") if part.strip()]
    if source:
        found = lib.create_table_from(name, source, kinds=kinds, key=keys)
    else:
        found = lib.create_table(name, kinds, key=keys)
    rows = f" with {found.rows:,} rows" if source else ""
    said = f"Made {found.name}{rows}." + (f" See: edgekit {found.command} list" if found.command else "")
    show(found if as_json else said, as_json)


def _column(text: str) -> tuple[str, str]:
    name, separator, kind = text.partition(":")
    if not separator or not name.strip() or not kind.strip():
        raise click.BadParameter(f"{text} is no COLUMN:KIND, such as name:text.", param_hint="COLUMN:KIND")
    return name.strip(), kind.strip()


@tables.command(example="edgekit tables track notes")
@click.argument("name")
@json_option
@opened
def track(name: str, as_json: bool) -> None:
    """Audit and verify a table you made with another tool, from now on; it needs an INTEGER PRIMARY KEY."""
    from edgekit import integrations as lib

    found = lib.track_table(name)
    said = f"{found.name} is tracked from now on, with {found.rows:,} rows."
    show(found if as_json else said, as_json)


@tables.command(example="edgekit tables untrack notes")
@click.argument("name")
@json_option
@opened
def untrack(name: str, as_json: bool) -> None:
    """Audit and verify a table no more. It keeps its rows, and the log keeps its past."""
    from edgekit import integrations as lib

    rows = lib.untrack_table(name)
    said = (
        f"{name} is tracked no more. Its {rows:,} rows stay, and so does what the log says of them:"
        f" edgekit audit log --table {quoted(name)}"
    )
    show({"table": name, "tracked": False, "rows": rows} if as_json else said, as_json)
