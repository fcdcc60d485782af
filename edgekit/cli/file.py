"""The file as a whole: `init`, `status`, `verify`, `doctor`, `backup`, `restore`, `migrate`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Command, Settings
from edgekit.cli.options import anchor_option, json_option, quick_option, read_secret, whole_file
from edgekit.cli.show import show, show_findings
from edgekit.errors import quoted


@click.command(cls=Command, example='edgekit init agency.db --organization "Smith & Sons"')
@click.argument("file")
@click.option(
    "--organization", metavar="NAME", default="My agency", show_default=True, help="Whose file it is."
)
@click.option(
    "--environment", type=click.Choice(["development", "staging", "production"]), default="development",
    show_default=True, help="What the file is used for.",
)  # fmt: skip
@click.option(
    "--vendor-key", metavar="FILE", help="The public key of the vendor whose licences the file will trust."
)
@json_option
def init(file: str, organization: str, environment: str, vendor_key: str | None, as_json: bool) -> None:
    """Create FILE with its schema, the reference rows, and one organization."""
    from edgekit.file.create import create
    from edgekit.file.status import status as read_status

    key = None
    if vendor_key is not None:
        from edgekit.licensing.statement import read_file

        key = read_file(vendor_key)
    create(file, organization=organization, environment=environment, vendor_key=key)
    made = read_status(file)
    if as_json:
        show(made, as_json)
    else:
        note = f"Next: edgekit --db {quoted(file)} status"
        show(f"Created {file} for {made.organization} (schema {made.schema}).", as_json, note=note)


@click.command(cls=Command, example="edgekit --db agency.db status")
@json_option
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Show whose file it is, how many rows it has, what was changed last, and how the integrations do."""
    from edgekit.file.status import status as read_status

    show(read_status(settings.db, actor=settings.actor), as_json, view=_at_a_glance)


def _at_a_glance(found: Any) -> dict[str, Any]:
    last = found.last_change
    when = f"{last['at']} by {last['actor'] or 'another program'}: {last['reason']}" if last else "none"
    return {
        "file": found.path,
        "organization": found.organization,
        "environment": found.environment,
        "site": found.site,
        "schema": found.schema,
        "size": f"{found.bytes / 1024:,.0f} KB",
        "last change": when,
        "log": f"{found.audit_rows:,} entries",
        "last backup": found.last_backup_at or "none: edgekit backups run",
        "set aside": f"{found.dead_letters:,} records" if found.dead_letters else "nothing",
        "rows": {name: count for name, count in found.tables.items() if count},
        "integrations": found.integrations,
    }


@click.command(cls=Command, example="edgekit --db agency.db verify")
@quick_option
@anchor_option
@json_option
@whole_file("read", "checking the file")
@click.pass_context
def verify(context: click.Context, quick: bool, anchor: tuple[str, ...], as_json: bool) -> None:
    """Check the file: schema, triggers, pages, references, log, seals. Exit with 8 if anything is wrong."""
    from edgekit.cli.audit import show_report
    from edgekit.file.verify import examine

    show_report(context, examine(context.obj.db, quick=quick, anchors=anchor), as_json)


@click.command(
    cls=Command,
    example="edgekit --db agency.db backup backups/\nedgekit --db agency.db backup /media/stick/ --encrypt",
)
@click.argument("destination", metavar="DEST")
@click.option("--encrypt", is_flag=True, help="Seal it: only the master key or the recovery kit opens it.")
@json_option
@whole_file("edit", "backing up the file")
@click.pass_obj
def backup(settings: Settings, destination: str, encrypt: bool, as_json: bool) -> None:
    """Write a backup to DEST, a new file or a folder, while others may write; it is proven by opening it."""
    from edgekit.file.backup import backup as backup_file

    made = backup_file(settings.db, destination, encrypted=encrypt, actor=settings.actor)
    show(made, as_json, view=_backed_up, note=f"Bring it back with: edgekit restore {quoted(made.path)} FILE")


def _backed_up(made: Any) -> dict[str, Any]:
    return {
        "backup": made.path,
        "organization": made.organization,
        "rows": f"{sum(made.rows.values()):,}",
        "made": made.created_at,
        "sha256": made.database["sha256"],
        "findings": [{"finding": sentence} for sentence in made.findings],
    }


@click.command(
    cls=Command,
    example="edgekit restore agency-backups/agency-2026-01-31T123000Z.edgekit-backup.zip new.db\n"
    "edgekit restore agency-backups new.db",
)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DEST")
@click.option(
    "--replace",
    "--yes",
    "replace",
    is_flag=True,
    help="Put it in the place of DEST, which is kept beside it.",
)
@click.option("--kit", metavar="KIT", help="Open an encrypted backup with this recovery kit.")
@json_option
@click.pass_obj
def restore(
    settings: Settings, source: str, destination: str, replace: bool, kit: str | None, as_json: bool
) -> None:
    """Bring the backup SRC, or the newest in a folder, back as the file DEST, checked whole before it."""
    from edgekit.file.restore import restore as restore_file
    from edgekit.isolation.opening import require_file

    if replace:
        require_file(destination, "administer", "replacing the file", actor=settings.actor)

    opened = None
    if kit is not None:
        from edgekit import vault

        opened = vault.read_kit(kit, read_secret("Passphrase of the kit"))
    made = restore_file(source, destination, replace=replace, kit=opened)
    show(made, as_json, view=_restored)


def _restored(made: Any) -> dict[str, Any]:
    origin = made.manifest
    return {
        "restored": made.path,
        "from": origin.path if origin else None,
        "organization": origin.organization if origin else None,
        "backup made": origin.created_at if origin else None,
        "rows": sum(origin.rows.values()) if origin else None,
        "moved aside": made.moved_aside,
        "findings": [{"finding": sentence} for sentence in made.findings],
    }


@click.command(cls=Command, example="edgekit --db agency.db migrate --dry-run")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--back-to", type=click.IntRange(1), metavar="VERSION",
    help="Take the file back to an earlier schema: what came since goes, its rows with it.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask before going back.")
@json_option
@whole_file("administer", "changing the schema")
@click.pass_obj
def migrate(settings: Settings, dry_run: bool, back_to: int | None, yes: bool, as_json: bool) -> None:
    """Bring the file to the schema of this program, behind a backup; repair what differs."""
    from edgekit.file.migrate import migrate as migrate_file
    from edgekit.file.migrate import roll_back

    if back_to is None:
        steps = migrate_file(settings.db, dry_run=dry_run)
    else:
        if not (dry_run or yes):
            click.confirm("Rows of what came since will be gone. Go back?", abort=True, err=True)
        steps = roll_back(settings.db, back_to, dry_run=dry_run)
    note = "Nothing was done: this was --dry-run." if dry_run and steps else None
    show(steps, as_json, empty=f"{settings.db} is up to date.", note=note)


@click.command(cls=Command, example="edgekit --db agency.db doctor")
@json_option
@whole_file("read", "examining the file")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what is wrong with the file and its place, and what to do. Exit with 8 on an error."""
    from edgekit.file.doctor import doctor as look
    from edgekit.runner.examining import examine

    found = look(context.obj.db, further=[examine])
    show_findings(context, found, as_json)
