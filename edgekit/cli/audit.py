"""The log: `audit log`, `audit blame`, `audit as-of`, `audit seal`, `audit verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit import audit as lib
from edgekit.cli.group import Group
from edgekit.cli.options import anchor_option, connected, json_option, limit_option, quick_option
from edgekit.cli.show import cell, show

if TYPE_CHECKING:
    import sqlite3

    from edgekit.cli.group import Settings

_ACTIONS = {"I": "insert", "U": "update", "D": "delete", "S": "schema"}
_BOOKKEEPING = {"created_at", "created_by", "status_id", "updated_at", "updated_by"}


@click.group(cls=Group)
def audit() -> None:
    """Read the log: what changed, who did it, how rows were at any moment; seal it, and check it."""


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


@audit.command(example="edgekit audit seal")
@json_option
@click.pass_obj
def seal(settings: Settings, as_json: bool) -> None:
    """Seal what is not sealed yet: from then on nobody can alter it unseen.

    A seal is a hash over up to a thousand entries and over the seal before it, signed with the site's key
    where the vault has one and is open. Seals are also made when a file is closed and a thousand entries
    wait, and by every backup.
    """
    from edgekit.file import sealing

    show(sealing.seal(settings.db), as_json, view=_sealed)


def _sealed(done: Any) -> dict[str, Any]:
    return {
        "sealed": f"{done.entries:,} entries",
        "up to entry": done.head.last_seq if done.head else None,
        "rows changed past the log": done.findings or None,
        "signed by": (done.head.key or "nobody: the vault has no key, or is locked") if done.head else None,
        "seal": done.head.sha256 if done.head else None,
    }


@audit.command(
    example="edgekit audit verify\n"
    "edgekit audit verify --anchor backups/agency-2026-01-31T090500Z.edgekit-backup.zip"
)
@quick_option
@anchor_option
@json_option
@click.pass_context
def verify(context: click.Context, quick: bool, anchor: tuple[str, ...], as_json: bool) -> None:
    """Check the log and its seals, and the rows against them. Exit with 8 if anything is wrong.

    It names the first entry that is not what was sealed, the first seal that is false, and each row whose
    values no entry explains. Nothing secret is needed. Only what is kept outside the file shows that the end
    of the log was cut off together with its seals: name a backup, or the seal you noted, with --anchor.
    """
    from edgekit.file.verify import examine_log

    show_report(context, examine_log(context.obj.db, quick=quick, anchors=anchor), as_json)


def show_report(context: click.Context, report: Any, as_json: bool) -> None:
    """Print what checking found, and end with 8 if anything is wrong."""
    path = context.obj.db
    if as_json:
        said = {"findings": report.findings, "facts": report.facts}
        show({"database": path, "sound": not report.findings, **said}, as_json)
    else:
        lines = report.findings or [f"{path} is sound."]
        show("\n".join([*lines, *([""] if len(lines) > 1 else []), *report.facts]), as_json)
    context.exit(8 if report.findings else 0)
