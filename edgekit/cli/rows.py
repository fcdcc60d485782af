"""Rows people edit: `edgekit producers list | show | add | set | retire`, for every table by the same five.

The root asks here for a word that is in no table of its own. `verbs` serves a word that has a group of its
own and wants some of them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Command, Group
from edgekit.cli.options import connected, opened, split_pair
from edgekit.cli.show import show

if TYPE_CHECKING:
    import sqlite3

    from edgekit.dictionary import Table

_LIMIT = 100
_HOW = (
    "Yes and no are yes, no, true, false, 1 or 0; money is in minor units (1250 is 12.50); a time names its"
    " zone; JSON is written out. A reference takes the id, the code or the name of the row. COLUMN= empties a"
    " column."
)


def find_group(word: str, database: str | None) -> Group | None:
    """Find the table whose rows a word names: one of the schema, else one of the user's own in the file."""
    from edgekit import naming

    table = naming.commands().get(word)
    if table is None and database is not None:
        table = _own_table(word, database)
    return None if table is None else _group(word, table)


def words() -> list[str]:
    """List every word that names the rows of a table of the schema."""
    from edgekit import naming

    return list(naming.commands())


def _own_table(word: str, database: str) -> str | None:
    """Find a table of the user's own by its plural or its bare name. A missing file is no trouble yet."""
    from contextlib import closing
    from pathlib import Path

    from edgekit import naming, sqlite

    if not Path(database).is_file():
        return None
    with closing(sqlite.connect(database, read_only=True)) as connection:
        sqlite.check_version(connection, Path(database))
        return naming.tracked(connection).get(word)


def _group(word: str, table: str) -> Group:
    about = f"List, show and edit rows of {table}. See: edgekit schema show {table}"
    commands = verbs(table, word)
    if table == "user":
        from edgekit.cli import access

        commands |= {"password": access.password, "rights": access.rights}
    return Group(word, commands=commands, help=about)


def verbs(table: str, word: str) -> dict[str, click.Command]:
    """Make the five commands for the rows of a table."""
    pairs = click.Argument(["pairs"], metavar="COLUMN=VALUE...", nargs=-1, required=True)
    which = click.Argument(["which"], metavar="ID")
    said: Any = partial(_Command, table=table)
    made = [
        said("list", _list, f"List the rows of {table}, without those that are retired.", _list_options(),
             example=f"edgekit {word} list\nedgekit {word} list --all --limit 10 --json"),
        said("show", _show, "Show one row, by its id, its code or key, or COLUMN=VALUE.", [which],
             example=f"edgekit {word} show 1"),
        said("add", _add, f"Add a row to {table}.", [pairs], tells_columns=True),
        said("set", _set, "Change columns of one row.", [which, pairs], tells_columns=True),
        said("retire", _retire, "Switch one row off; it stays, and status=ACTIVE brings it back.", [which],
             example=f"edgekit {word} retire 1"),
    ]  # fmt: skip
    return {str(command.name): command for command in made}


class _Command(Command):
    """A command for the rows of one table; its help may tell the table's columns."""

    def __init__(
        self, name: str, body: Any, about: str, params: list[click.Parameter], *, table: str,
        example: str | None = None, tells_columns: bool = False,
    ) -> None:  # fmt: skip
        as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document.")
        callback = partial(body, table=table)
        super().__init__(name, callback=callback, help=about, params=[*params, as_json], example=example)
        self.table = table
        self.tells_columns = tells_columns

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Tell the columns that may be set: type, whether one must be, what it means."""
        if self.tells_columns:
            described = _described(self.table, ctx)
            with formatter.section("Columns"):
                formatter.write_dl([(name, text) for name, text in _settable(described)])
            with formatter.indentation():
                formatter.write_paragraph()
                formatter.write_text(_HOW)
        super().format_epilog(ctx, formatter)


def _list_options() -> list[click.Parameter]:
    return [
        click.Option(["--all", "retired"], is_flag=True, help="Those that are retired, too."),
        click.Option(["--where"], metavar="COLUMN=VALUE", multiple=True,
                     help="Only such rows; may be repeated. COLUMN= finds those without a value."),
        click.Option(["--columns"], metavar="A,B", help="Show these columns."),
        click.Option(["--limit"], type=click.IntRange(min=1),
                     help=f"Show so many at most.  [default: {_LIMIT}; with --json all]"),
    ]  # fmt: skip


@connected
def _list(
    connection: sqlite3.Connection, table: str, retired: bool, where: tuple[str, ...], columns: str | None,
    limit: int | None, as_json: bool,
) -> None:  # fmt: skip
    from edgekit import rows

    most = limit or (None if as_json else _LIMIT)
    wanted = _pairs(where, "--where")
    found = rows.list_rows(
        connection, table, where=wanted, retired=retired, limit=None if most is None else most + 1
    )
    is_cut = most is not None and len(found) > most
    found = found[:most]
    shape = rows.read_shape(connection, table)
    names = _chosen(columns, shape, found)
    if as_json:
        show([{name: row[name] for name in names} for row in found] if columns else found, as_json)
        return
    view = partial(_view, names=names or rows.columns_to_show(shape, found))
    note = f"There are more than {most}: see them with --limit." if is_cut else None
    empty = f"There is no such row in {table}." if where or not retired else f"{table} is empty."
    show(found, as_json, view=view, empty=empty, note=note)


def _view(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _chosen(columns: str | None, shape: Any, found: list[dict[str, Any]]) -> list[str]:
    """Read `--columns`. Raise InvalidError for one that is not there."""
    from edgekit.errors import InvalidError

    names = [name.strip() for name in (columns or "").split(",") if name.strip()]
    known = list(found[0]) if found else [c.name for c in shape.columns.values() if not c.is_secret]
    if not found:
        known += [shape.label(c.name) for c in shape.columns.values() if c.parent]
    if unknown := [name for name in names if name not in known]:
        raise InvalidError(
            f"{shape.name} has no column {unknown[0]} to show.",
            hint=f"Choose among: {', '.join(dict.fromkeys(known))}.",
        )
    return names


@connected
def _show(connection: sqlite3.Connection, table: str, which: str, as_json: bool) -> None:
    from edgekit import rows

    show(rows.show(connection, table, which), as_json, view=_named)


@opened
def _add(table: str, pairs: tuple[str, ...], as_json: bool) -> None:
    from edgekit import rows

    show(rows.add(table, _pairs(pairs, "COLUMN=VALUE")), as_json, view=_named)


@opened
def _set(table: str, which: str, pairs: tuple[str, ...], as_json: bool) -> None:
    from edgekit import rows

    show(rows.set_values(table, which, _pairs(pairs, "COLUMN=VALUE")), as_json, view=_named)


@opened
def _retire(table: str, which: str, as_json: bool) -> None:
    from edgekit import rows

    show(rows.retire(table, which), as_json, view=_named)


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Let what a reference points at stand in the place of its id, for people."""
    named = {f"{name}_id" for name in row if row[name] is not None}
    return {name: value for name, value in row.items() if name not in named}


def _pairs(texts: tuple[str, ...], where: str) -> dict[str, str]:
    """Take COLUMN=VALUE apart. Raise a usage error for what is none, or for the same column twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, value = split_pair(text, form="COLUMN=VALUE, such as name=Smith", where=where)
        if name in found:
            raise click.BadParameter(f"{name} is given twice.", param_hint=where)
        found[name] = value
    return found


def _described(table: str, ctx: click.Context) -> Table:
    """Read what is said of a table: of ours from the schema's text, of the user's own from the file."""
    from edgekit import dictionary

    found = dictionary.declared(table)
    if found is not None:
        return found
    from contextlib import closing

    from edgekit import sqlite

    with closing(sqlite.connect(ctx.obj.db, read_only=True)) as connection:
        return dictionary.read(connection, table)


def _settable(table: Table) -> list[tuple[str, str]]:
    from edgekit.rows.shape import SECRET, SIGNATURE

    seals = any(column.name.endswith("_ciphertext") for column in table.columns)
    hidden = {"id", "uuid", *SIGNATURE, *(["encryption_key_id"] if seals else [])}
    return [
        (column.name, _told(table, column))
        for column in table.columns
        if column.name not in hidden
        and not column.name.endswith(SECRET)
        and column.type != "BLOB"  # nobody types one
        and not (column.name == "version" and column.type == "INTEGER")
    ]


def _told(table: Table, column: Any) -> str:
    """Say of a column its type, whether it must be given, what it means and what is allowed."""
    kinds = {check.code for check in table.checks if check.column == column.name}
    special = {"boolean": "yes or no", "json_object": "JSON object", "date": "date", "time": "time"}
    kind = next((text for code, text in special.items() if code in kinds), column.type.lower())
    if column.references:
        kind = f"id or code of a row of {column.references}"
    elif column.typed_by:
        kind = f"id or code of a row of the table {column.typed_by} names"
    must = ", required" if column.required and column.default is None else ""
    default = "" if column.default is None else f", default {column.default}"
    values = "; ".join(f"{value}: {text}" for value, text in column.values.items())
    rules = [
        check.sentence.removeprefix(f"{table.name}.{column.name} ")
        for check in table.checks
        if check.column == column.name and check.code in {"length", "range", "format"}
    ]
    parts = [f"{kind}{must}{default}", column.meaning, values, *rules]
    return "; ".join(part.rstrip(".") for part in parts if part)
