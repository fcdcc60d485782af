"""The log: `audit log`, `audit blame`, `audit as-of`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit import audit as lib
from edgekit.cli.group import Group
from edgekit.cli.options import connected, json_option, limit_option
from edgekit.cli.show import cell, show

if TYPE_CHECKING:
    import sqlite3

_ACTIONS = {"I": "insert", "U": "update", "D": "delete", "S": "schema"}
_BOOKKEEPING = {"created_at", "created_by", "status_id", "updated_at", "updated_by"}


@click.group(cls=Group)
def audit() -> None:
    """Read the log: what changed, who did it, and how rows were at any moment."""


@audit.command(example="edgekit audit log --table vehicle --since 2026-01-31T00:00:00Z")
@click.option("--table", metavar="TABLE", help="Only this table.")
@click.option("--record", metavar="ID", type=int, help="Only this row of the table.")
@click.option("--actor", metavar="NAME", help="Only what this user did.")
@click.option("--since", metavar="TIME", help="Only from this time on, with its zone: 2026-01-31T09:05:00Z.")
@limit_option(100)
@json_option
@connected
def log(
    connection: sqlite3.Connection, table: str | None, record: int | None, actor: str | None,
    since: str | None, limit: int, as_json: bool,
) -> None:  # fmt: skip
    """List what was changed, the newest first."""
    found = lib.entries(connection, table=table, record=record, actor=actor, since=since, limit=limit)
    show(found, as_json, view=entry_line, empty="Nothing was changed.")


def entry_line(entry: lib.Entry) -> dict[str, Any]:
    """Set one entry of the log on a line; who and when are columns of their own and not repeated."""
    if entry.action == "U":
        values = {name: _change(*pair) for name, pair in entry.changes.items()}
    else:
        row = entry.new_values or entry.old_values or {}
        values = {name: cell(value) for name, value in row.items() if value is not None}
    shown = [name for name in values if name not in _BOOKKEEPING] or list(values)
    return {
        "at": entry.performed_at,
        "who": entry.actor or "another program",
        "did": _ACTIONS.get(entry.action, entry.action),
        "row": f"{entry.table_name} {entry.record_key}",
        "why": entry.reason,
        "values": ", ".join(f"{name}: {values[name]}" for name in shown),
    }


def _change(old: Any, new: Any) -> str:
    return cell(new) if old is None else f"{cell(old)} → {'nothing' if new is None else cell(new)}"


@audit.command(example="edgekit audit blame vehicle 7")
@click.argument("table")
@click.argument("record", metavar="ID")
@json_option
@connected
def blame(connection: sqlite3.Connection, table: str, record: str, as_json: bool) -> None:
    """Tell for each column of a row who gave it its value, when and why."""
    show(lib.blame(connection, table, record), as_json, view=_blame_line)


def _blame_line(found: lib.Blame) -> dict[str, Any]:
    return {
        "column": found.column,
        "value": found.value,
        "who": (found.actor or "another program") if found.seq else None,
        "at": found.performed_at,
        "why": found.reason,
    }


@audit.command("as-of", example="edgekit audit as-of 2026-01-31T12:00:00Z vehicle 7")
@click.argument("time")
@click.argument("table")
@click.argument("record", metavar="[ID]", required=False)
@json_option
@connected
def as_of(connection: sqlite3.Connection, time: str, table: str, record: str | None, as_json: bool) -> None:
    """Show the rows of a table, or one of them, exactly as they were at TIME."""
    show(lib.as_of(connection, time, table, record), as_json, empty=f"There was no such row at {time}.")
