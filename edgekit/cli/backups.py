"""The backups there are, and the daily one: `backups list`, `run`, `check`, `prune`, `settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, read_secret
from edgekit.cli.show import show
from edgekit.errors import quoted

if TYPE_CHECKING:
    from datetime import datetime

    from edgekit.cli.group import Settings


@click.group(cls=Group)
def backups() -> None:
    """See which backups there are, and say when the daily one is made."""


@backups.command("list", example="edgekit backups list")
@json_option
@opened
def list_backups(as_json: bool) -> None:
    """List the backups of the file, the newest first, with what each is kept as."""
    from edgekit import clock
    from edgekit.file import kept

    found = kept.list_backups()
    now = clock.now()
    newest = next((one.path for one in found if one.is_there), None)
    show(
        found,
        as_json,
        view=lambda one: _line(one, now),
        empty="There is no backup yet. Make one: edgekit backups run",
        note=f"Bring one back with: edgekit restore {quoted(newest)} NEW-FILE" if newest else None,
    )


def _line(one: Any, now: datetime) -> dict[str, Any]:
    return {
        "made": f"{one.made_at:%Y-%m-%d %H:%M} UTC",
        "age": _age(one.made_at, now),
        "size": _size(one.bytes),
        "kept as": one.kept_as,
        "verified": f"{one.verified_at:%Y-%m-%d}" if one.verified_at else "never",
        "note": ", ".join(
            [*(["encrypted"] if one.is_encrypted else []), *([] if one.is_there else ["not there"])]
        ),
        "backup": one.path,
    }


def _age(then: datetime, now: datetime) -> str:
    seconds = (now - then).total_seconds()
    if seconds < 0:
        return "in the future"
    for size, name in ((86400 * 60, "months"), (86400 * 2, "days"), (3600 * 2, "hours")):
        if seconds >= size:
            return f"{seconds // {'months': 2629746, 'days': 86400, 'hours': 3600}[name]:.0f} {name}"
    return f"{max(seconds, 0) // 60:.0f} minutes"


def _size(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"


@backups.command("run", example="edgekit backups run")
@json_option
@click.pass_obj
@opened
def run(settings: Settings, as_json: bool) -> None:
    """Make the daily backup now: proven, copied to the second folder, old ones deleted behind it."""
    from edgekit.file import daily

    made = daily.run(actor=settings.actor)
    note = f"Bring it back with: edgekit restore {quoted(made.path)} NEW-FILE"
    show(made, as_json, view=_made, note=note)


def _made(made: Any) -> dict[str, Any]:
    return {
        "backup": made.path,
        "copy": made.copied_to,
        "made": f"{made.made_at:%Y-%m-%d %H:%M} UTC",
        "size": _size(made.bytes),
        "encrypted": made.is_encrypted,
        "sha256": made.sha256,
        "deleted": [{"backup": path} for path in made.deleted],
        "warnings": [{"warning": sentence} for sentence in made.warnings],
    }


@backups.command(
    "check", example="edgekit backups check agency-backups/agency-2026-01-31T123000Z.edgekit-backup.zip"
)
@click.argument("source", metavar="[BACKUP]", required=False)
@click.option("--kit", metavar="KIT", help="Open an encrypted backup with this recovery kit.")
@json_option
@click.pass_context
@opened
def check(context: click.Context, source: str | None, kit: str | None, as_json: bool) -> None:
    """Open BACKUP whole, as restoring it would, and note that it is sound.

    Of a folder all are opened, and without BACKUP all that are listed. What the file did not know, as after
    restoring it, it knows from then on. Exit with 8 if one is not sound.
    """
    from pathlib import Path

    from edgekit import vault
    from edgekit.file import kept

    found = vault.read_kit(kit, read_secret("Passphrase of the kit")) if kit is not None else None
    actor = context.obj.actor
    if source is None or Path(source).is_dir():
        checked = kept.check_backups(source, kit=found, actor=actor)
        show(checked, as_json, view=_checked, empty="There is no backup to open.")
        context.exit(8 if any(one.problem for one in checked) else 0)
    at = kept.verify_backup(source, kit=found, actor=actor)
    if as_json:
        show({"path": source, "verified_at": at}, as_json)
    else:
        show(f"{source} is whole and can be restored.", as_json)


def _checked(one: Any) -> dict[str, Any]:
    return {"backup": one.path, "result": one.problem or "whole, and can be restored"}


@backups.command("prune", example="edgekit backups prune --dry-run")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
@opened
def prune(settings: Settings, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete the daily backups that newer ones have replaced, as each daily backup does by itself.

    Those that somebody else took out of their folder are forgotten.
    """
    from edgekit.file import kept

    found = kept.prune(dry_run=True)
    if (found.deleted or found.forgotten) and not dry_run:
        if found.deleted and not yes:
            names = "\n".join(f"  {path}" for path in found.deleted)
            click.confirm(f"{names}\nDelete these backups?", abort=True, err=True)
        found = kept.prune(actor=settings.actor)
    if as_json:
        show(found, as_json)
        return
    done = "Would be deleted" if dry_run else "Deleted"
    lines = [f"{done}: {path}" for path in found.deleted] or ["There is nothing to delete."]
    gone = "Not there, and would be forgotten" if dry_run else "Not there, and forgotten"
    lines += [f"{gone}: {path}" for path in found.forgotten]
    show("\n".join([*lines, *found.warnings]), as_json)


@backups.command(
    "settings",
    example="edgekit backups settings --at 18:30 --second-folder /media/stick/backups\n"
    "edgekit backups settings --encrypt",
)
@click.option("--on/--off", "enabled", default=None, help="Whether there is a daily backup.")
@click.option("--at", "time", metavar="HH:MM", help="When, in the time of this computer or of --timezone.")
@click.option("--timezone", metavar="ZONE", help="Whose days and times count, such as America/Chicago.")
@click.option("--folder", metavar="FOLDER", help="Where to.")
@click.option("--second-folder", metavar="FOLDER", help="Where a copy goes: a stick, a network folder.")
@click.option("--encrypt/--no-encrypt", "encrypt", default=None, help="Seal them under the master key.")
@click.option("--daily", "keep_daily", metavar="N", type=click.IntRange(1), help="Keep so many days.")
@click.option("--weekly", "keep_weekly", metavar="N", type=click.IntRange(0), help="And so many weeks.")
@click.option("--monthly", "keep_monthly", metavar="N", type=click.IntRange(0), help="And so many months.")
@click.option(
    "--clear", multiple=True, type=click.Choice(["folder", "second-folder", "timezone"]),
    help="Take this setting back.",
)  # fmt: skip
@json_option
@opened
def change_settings(clear: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Show the settings of the daily backup, or change those that are named."""
    from edgekit.file import backup_settings

    changes = {name: value for name, value in given.items() if value is not None}
    found, advice = (
        backup_settings.set_settings(changes, clear=[name.replace("-", "_") for name in clear])
        if changes or clear
        else backup_settings.tell()
    )
    if as_json:
        show({**{name: getattr(found, name) for name in backup_settings.SHOWN}, "advice": advice}, as_json)
        return
    show(found, as_json, view=lambda settings: _settings(settings, advice))


def _settings(found: Any, advice: list[str]) -> dict[str, Any]:
    when = f"every day at {found.time}, {found.timezone or 'in the time of this computer'}"
    return {
        "made": when if found.enabled else "never: switched off",
        "folder": found.folder,
        "second folder": found.second_folder or "none",
        "kept": f"{found.keep_daily} daily, {found.keep_weekly} weekly, {found.keep_monthly} monthly",
        "encrypted": found.encrypt,
        "to think of": [{"advice": sentence} for sentence in advice],
    }
