"""The log: `audit log`, `blame`, `as-of`; `seal`, `verify`; `archive`, `prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit import audit as lib
from edgekit.cli.group import Group
from edgekit.cli.options import (
    anchor_option,
    connected,
    json_option,
    limit_option,
    quick_option,
    whole_file,
)
from edgekit.cli.show import cell, show

if TYPE_CHECKING:
    import sqlite3

    from edgekit.cli.group import Settings

_ACTIONS = {"I": "insert", "U": "update", "D": "delete", "S": "schema"}
_BOOKKEEPING = {"created_at", "created_by", "status_id", "updated_at", "updated_by"}

dir_option = click.option(
    "--dir", "folder", metavar="DIR", help="Where the archives are, if not beside the file."
)


def archives_option(command: Any) -> Any:
    """Say which archives are read beside the file."""
    named = click.option(
        "--archive", "named", metavar="FILE", multiple=True, help="Read this archive as well."
    )
    all_of_them = click.option(
        "--archives", is_flag=True, help="Read the archives beside the file, or in --dir, as well."
    )
    return all_of_them(named(command))


def _archives(settings: Settings, all_of_them: bool, named: tuple[str, ...], folder: str | None) -> list[Any]:
    return [*named, *(lib.find_archives(settings.db, folder) if all_of_them or folder else [])]


@click.group(cls=Group)
def audit() -> None:
    """Read the log: what changed, who did it, how rows were at any moment; seal, check, archive, prune."""


@audit.command(example="edgekit audit log --table vehicle --since 2026-01-31T00:00:00Z")
@click.option("--table", metavar="TABLE", help="Only this table.")
@click.option("--record", metavar="ID", type=int, help="Only this row of the table.")
@click.option("--actor", metavar="NAME", help="Only what this user did.")
@click.option("--since", metavar="TIME", help="Only from this time on, with its zone: 2026-01-31T09:05:00Z.")
@archives_option
@dir_option
@limit_option(100)
@json_option
@connected
@click.pass_obj
def log(
    settings: Settings, connection: sqlite3.Connection, table: str | None, record: int | None,
    actor: str | None, since: str | None, archives: bool, named: tuple[str, ...], folder: str | None,
    limit: int, as_json: bool,
) -> None:  # fmt: skip
    """List what was changed, the newest first."""
    read = _archives(settings, archives, named, folder)
    found = lib.entries(
        connection, table=table, record=record, actor=actor, since=since, limit=limit, archives=read
    )
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
@archives_option
@dir_option
@json_option
@connected
@click.pass_obj
def as_of(
    settings: Settings, connection: sqlite3.Connection, time: str, table: str, record: str | None,
    archives: bool, named: tuple[str, ...], folder: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show the rows of a table, or one of them, exactly as they were at TIME."""
    with lib.attached(connection, _archives(settings, archives, named, folder)):
        found = lib.as_of(connection, time, table, record)
    show(found, as_json, empty=f"There was no such row at {time}.")


@audit.command(example="edgekit audit seal")
@json_option
@whole_file("edit", "sealing the log")
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
    "edgekit audit verify --anchor backups/agency-2026-01-31T090500Z.edgekit-backup.zip\n"
    "edgekit audit verify --archives"
)
@quick_option
@anchor_option
@archives_option
@dir_option
@json_option
@whole_file("read", "checking the log")
@click.pass_context
def verify(
    context: click.Context, quick: bool, anchor: tuple[str, ...], archives: bool, named: tuple[str, ...],
    folder: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Check the log and its seals, and the rows against them. Exit with 8 if anything is wrong.

    It names the first entry that is not what was sealed, the first seal that is false, and each row whose
    values no entry explains. Nothing secret is needed. Only what is kept outside the file shows that the end
    of the log was cut off together with its seals: name a backup, or the seal you noted, with --anchor. What
    was pruned is checked as well where the archives are given that hold it.
    """
    from edgekit.file.verify import examine_log

    read = _archives(context.obj, archives, named, folder)
    show_report(context, examine_log(context.obj.db, quick=quick, anchors=anchor, archives=read), as_json)


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


@audit.command(example='edgekit audit accept --reason "a repair by hand, 12 March" --yes')
@click.option("--reason", metavar="TEXT", required=True, help="Why the rows are right as they are.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
@whole_file("administer", "accepting what was found")
@click.pass_obj
def accept(settings: Settings, reason: str, yes: bool, as_json: bool) -> None:
    """Take the rows as they are from now on, whatever the log says: after what verify found was looked into.

    Who did so and why is a signed seal; the seals that found the rows stay in the chain.
    """
    from edgekit.file import sealing

    if not yes:
        click.confirm(f"Take every row of {settings.db} as it is?", abort=True, err=True)
    made = sealing.accept(settings.db, reason, actor=settings.actor)
    said = {"seal": made.sha256, "sealed_at": made.sealed_at, "key": made.key, "reason": reason}
    show(said, as_json)


@audit.command(example="edgekit audit archive\nedgekit audit archive --before 2026-01-01 --dir archives/")
@click.option("--before", metavar="TIME", help="Archive what is older; without it, all before this month.")
@dir_option
@json_option
@whole_file("edit", "archiving the log")
@click.pass_obj
def archive(settings: Settings, before: str | None, folder: str | None, as_json: bool) -> None:
    """Copy the log, and what the integrations logged, into one archive for each calendar year.

    The archive of 2026 for agency.db is agency-audit-2026.db, an SQLite file beside it. Nothing is taken out
    of the file. Run it every month: it adds what is missing and nothing twice.
    """
    from edgekit.file import sealing

    done = sealing.archive(settings.db, before=before, folder=folder)
    show(done, as_json, empty="There is nothing to archive yet.")


@audit.command(
    example="edgekit audit prune --keep-years 7 --dry-run\nedgekit audit prune --before 2026-01-01 --yes"
)
@click.option("--before", metavar="TIME", help="Take out what is older.")
@click.option(
    "--keep-years",
    metavar="N",
    type=click.IntRange(0, 100),
    help="Keep this calendar year and N before it; without either, system.log_retention_years says it.",
)
@dir_option
@click.option("--dry-run", is_flag=True, help="Say what would be taken out, and do nothing.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
@whole_file("administer", "pruning the log")
@click.pass_obj
def prune(
    settings: Settings, before: str | None, keep_years: int | None, folder: str | None, dry_run: bool,
    yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Archive the old part of the log, then take it out of the file; old requests and figures go too.

    The prune is a signed seal of its own and the chain still checks. What shares a seal with something newer
    stays, and so do the last entry and the history of configurations, integrations, mappings,
    transformations and pipelines.
    """
    from edgekit.file import sealing

    said: dict[str, Any] = {
        "before": before,
        "keep_years": keep_years,
        "folder": folder,
        "actor": settings.actor,
    }
    if not (dry_run or yes):
        plan = sealing.prune(settings.db, **said, dry_run=True)
        question = (
            f"Archive the log before {plan.before} and take {plan.entries:,} entries and"
            f" {sum(plan.logged.values()):,} logged rows out of {settings.db}?"
        )
        click.confirm(question, abort=True, err=True)
    show(sealing.prune(settings.db, **said, dry_run=dry_run), as_json, view=_pruned)


def _pruned(done: Any) -> dict[str, Any]:
    would = "would go" if done.dry_run else "gone"
    return {
        "before": done.before,
        f"entries {would}": f"{done.entries:,}",
        f"changes {would}": f"{done.changes:,}",
        f"logged rows {would}": f"{sum(done.logged.values()):,}",
        "pruned up to entry": done.floor_seq or None,
    }
