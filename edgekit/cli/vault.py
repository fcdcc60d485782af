"""Secrets and the keys they are under: the commands of `vault`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, read_secret, reading
from edgekit.cli.show import show, show_findings
from edgekit.errors import quoted

if TYPE_CHECKING:
    from datetime import timedelta

    from edgekit.vault import Rotated

environment_option = click.option(
    "--environment", metavar="CODE",
    help="production, staging or development; without it the one the file is used in.",
)  # fmt: skip


@click.group(cls=Group)
def vault() -> None:
    """Keep secrets sealed under a key that is not in the file."""


@vault.command(example="edgekit vault init")
@click.option("--keyring", "in_keyring", is_flag=True, help="Keep a new master key in the system's keyring.")
@click.option("--start-over", is_flag=True, help="The master key is lost for good: give up what it sealed.")
@click.option("--yes", is_flag=True, help="Do not ask before giving anything up.")
@json_option
@opened
def init(in_keyring: bool, start_over: bool, yes: bool, as_json: bool) -> None:
    """Make the vault ready: find the master key, or make one where nothing is sealed, and say where."""
    from edgekit import vault as lib

    if start_over:
        if not yes:
            click.confirm("Give up every secret sealed until now?", abort=True, err=True)
        done = lib.start_over(in_keyring=in_keyring)
        show(done, as_json, view=_rotated, note="Set the secrets again: edgekit vault set INTEGRATION KEY")
        return
    note = "Keep a copy of the master key apart from the file: without it no secret can be read again."
    show(lib.init(in_keyring=in_keyring), as_json, note=note)


@vault.command(
    "set",
    example="edgekit vault set driver-checks api_key\n"
    "edgekit vault set driver-checks api_key --environment staging --expires 2027-06-30 < key.txt",
)
@click.argument("integration")
@click.argument("key")
@environment_option
@click.option("--expires", metavar="TIME", help="When it ends: a day, or a time with its zone.")
@opened
def set_secret(integration: str, key: str, environment: str | None, expires: str | None) -> None:
    """Store a secret; its value is asked for, or read from standard input, and never an argument."""
    from edgekit import integrations

    value = read_secret(f"{key} of {integration}")
    integrations.set_credential(integration, key, value, environment=environment, expires_at=expires)
    show(f"Stored {key} of {integration}.", as_json=False)


@vault.command("get", example="edgekit vault get driver-checks api_key --reveal")
@click.argument("integration")
@click.argument("key")
@click.option("--reveal", is_flag=True, required=True, help="Say that the secret may be shown.")
@environment_option
@json_option
@opened
def get_secret(integration: str, key: str, reveal: bool, environment: str | None, as_json: bool) -> None:
    """Show a secret. The use is logged, the value is not."""
    from edgekit import integrations

    value = integrations.get_credential(integration, key, environment=environment)
    show({"integration": integration, "key": key, "value": value} if as_json else value, as_json)


@vault.command("list", example="edgekit vault list\nedgekit vault list --expiring 30")
@click.argument("integration", required=False)
@click.option(
    "--expiring", type=click.IntRange(min=0), metavar="DAYS",
    help="Only what has expired, or will within so many days.",
)  # fmt: skip
@json_option
@reading
def list_secrets(integration: str | None, expiring: int | None, as_json: bool) -> None:
    """List which secrets are stored, without their values: how old they are, and until when they serve."""
    from datetime import timedelta

    from edgekit import integrations

    within = None if expiring is None else timedelta(days=expiring)
    empty = "No secret is stored." if within is None else "No secret expires by then."
    found = integrations.list_credentials(integration, expiring=within)
    show(found, as_json, view=_in_short, empty=empty)


def _in_short(row: dict[str, Any]) -> dict[str, Any]:
    """Choose what fits a terminal."""
    names = ("integration", "environment", "key", "secret", "age_days", "expires_at", "key_generation")
    return {**{name: row[name] for name in names}, "expired": "yes" if row["is_expired"] else None}


@vault.command(example="edgekit vault unset driver-checks api_key")
@click.argument("integration")
@click.argument("key")
@environment_option
@json_option
@opened
def unset(integration: str, key: str, environment: str | None, as_json: bool) -> None:
    """Take a secret out of use; its value is gone for good."""
    from edgekit import integrations

    integrations.unset_credential(integration, key, environment=environment)
    done = {"integration": integration, "key": key, "unset": True}
    show(done if as_json else f"{key} of {integration} is out of use.", as_json)


@vault.command(example="edgekit vault put client-billing-infos 7 payment_method < card.txt")
@click.argument("table")
@click.argument("row")
@click.argument("field")
@click.option("--clear", is_flag=True, help="Take the value out instead.")
@json_option
@opened
def put(table: str, row: str, field: str, clear: bool, as_json: bool) -> None:
    """Seal a field of any row, such as a payment method; the value comes as with set."""
    from edgekit import vault as lib

    lib.set_field(table, row, field, None if clear else read_secret(f"{field} of {table} {row}"))
    done = {"table": table, "row": row, "field": field, "is_set": not clear}
    show(done if as_json else f"{'Cleared' if clear else 'Stored'} {field} of {table} {row}.", as_json)


@vault.command(example="edgekit vault reveal client-billing-infos 7 payment_method")
@click.argument("table")
@click.argument("row")
@click.argument("field")
@json_option
@opened
def reveal(table: str, row: str, field: str, as_json: bool) -> None:
    """Show a sealed field of any row. The use is logged, the value is not."""
    from edgekit import vault as lib

    value = lib.open_field(table, row, field)
    if as_json:
        show({"table": table, "row": row, "field": field, "value": value}, as_json)
    else:
        show(f"{table} {row} has no {field}." if value is None else value, as_json)


@vault.command(example="edgekit vault find license_key < key.txt")
@click.argument("field")
@json_option
@opened
def find(field: str, as_json: bool) -> None:
    """Find the rows a sealed value such as a licence key belongs to; nothing is opened."""
    from edgekit import vault as lib

    show(lib.find_field(field, read_secret(field)), as_json, empty="No row has this value.")


@vault.command(example="edgekit vault fields")
@json_option
@reading
def fields(as_json: bool) -> None:
    """List the fields that are sealed, and how many hold a value."""
    from edgekit import vault as lib

    show(lib.list_fields(), as_json)


@vault.command(example="edgekit vault uses --limit 20")
@limit_option(50)
@json_option
@reading
def uses(limit: int, as_json: bool) -> None:
    """Show who used which secret for what, the newest first."""
    from edgekit import vault as lib

    show(lib.list_uses(limit=limit), as_json, empty="No secret was ever used.")


@vault.command(example="edgekit vault status")
@json_option
@reading
def status(as_json: bool) -> None:
    """Show which master key is in use, whether it opens every key of the file, and how much is sealed."""
    from edgekit import vault as lib

    show(lib.status(), as_json)


def _duration(_: click.Context, option: click.Parameter, text: str | None) -> timedelta | None:
    """Read `90d`, `12h` or `2w`."""
    from datetime import timedelta

    if text is None:
        return None
    units = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
    number, unit = text[:-1], units.get(text[-1:])
    if unit is None or not number.isdecimal() or len(number) > 5:
        raise click.BadParameter(f"{text} is no length of time: write 90d, 12h or 2w.")
    return int(number) * unit


@vault.command(
    example="edgekit vault rotate\nedgekit vault rotate --older-than 90d\nedgekit vault rotate --master"
)
@click.argument("integration", required=False)
@click.argument("key", required=False)
@environment_option
@click.option(
    "--older-than", callback=_duration, metavar="TIME", help="Only what was sealed longer ago: 90d."
)
@click.option("--master", is_flag=True, help="Replace the master key as well, and every key it seals.")
@click.option(
    "--new-key", type=click.Path(path_type=Path), metavar="FILE",
    help="The new master key: a file to read it from, or to make it in.",
)  # fmt: skip
@click.option("--keyring", "in_keyring", is_flag=True, help="Keep the new one in the system's keyring.")
@json_option
@opened
def rotate(
    integration: str | None, key: str | None, environment: str | None, older_than: timedelta | None,
    master: bool, new_key: Path | None, in_keyring: bool, as_json: bool,
) -> None:  # fmt: skip
    """Seal secrets anew under a new key: all, those of an integration, or one. Their values stay."""
    from edgekit import integrations
    from edgekit import vault as lib

    if (new_key or in_keyring) and not master:
        raise click.UsageError("--new-key and --keyring go with --master.")
    if master and (integration or environment or older_than):
        raise click.UsageError("--master seals everything anew: leave the rest out.")
    if environment and not integration:
        raise click.UsageError("--environment goes with an integration.")
    if master:
        done = lib.rotate_master(new_key_file=new_key, in_keyring=in_keyring)
    else:
        done = integrations.rotate_credentials(
            integration, key, environment=environment, older_than=older_than
        )
    show(done, as_json, view=_rotated, note=_after(done, new_key))


def _rotated(done: Rotated) -> dict[str, Any]:
    return {
        "sealed anew": ", ".join(f"{count} {place}" for place, count in done.values.items()) or "nothing",
        "under key": done.key,
        "master key": f"{done.master_fingerprint} ({done.location})",
        "not readable": ", ".join(done.unreadable),
    }


def _after(done: Rotated, new_key: Path | None) -> str | None:
    """Say what is left to do."""
    parts = []
    if new_key is not None:
        hides = ", and no EDGEKIT_MASTER_KEY" if os.environ.get("EDGEKIT_MASTER_KEY") else ""
        parts.append(f"From now on: EDGEKIT_MASTER_KEY_FILE={new_key.resolve()}{hides}")
    if done.needs_kit and done.values:
        parts.append("No recovery kit opens this key: make one with edgekit vault recovery-kit FILE")
    if done.unreadable or done.lost_keys:
        parts.append("Not everything could be read: see edgekit vault doctor")
    return "\n".join(parts) or None


@vault.command("recovery-kit", example="edgekit vault recovery-kit /media/stick/agency-kit.json")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@opened
def recovery_kit(file: Path, as_json: bool) -> None:
    """Write every key of the file, under a passphrase, to FILE, which serves when the master key is lost.

    The passphrase is asked for, or read from standard input. Keep the kit apart from the computer.
    """
    from edgekit import vault as lib

    made = lib.make_kit(file, read_secret("Passphrase for the kit", twice=True))
    show(made, as_json, note=f"Try it: edgekit vault drill {quoted(file)}")


@vault.command(example="edgekit vault recover /media/stick/agency-kit.json")
@click.argument("kit", type=click.Path(path_type=Path))
@click.option("--keyring", "in_keyring", is_flag=True, help="Keep the master key in the system's keyring.")
@json_option
@opened
def recover(kit: Path, in_keyring: bool, as_json: bool) -> None:
    """Make the secrets readable again with the recovery KIT and its passphrase alone."""
    from edgekit import vault as lib

    done = lib.recover(kit, read_secret("Passphrase of the kit"), in_keyring=in_keyring)
    note = "Another master key seals the secrets now: make a new kit with edgekit vault recovery-kit FILE"
    show(done, as_json, note=note if done.is_new else None)


@vault.command(example="edgekit vault drill /media/stick/agency-kit.json")
@click.argument("kit", type=click.Path(path_type=Path))
@click.option("--backup", type=click.Path(path_type=Path), metavar="FILE", help="Try it on this backup.")
@json_option
@click.pass_context
def drill(context: click.Context, kit: Path, backup: Path | None, as_json: bool) -> None:
    """Prove the recovery KIT: open every secret of a copy with it alone. Exit with 8 if one stays shut."""
    from edgekit.file.drilling import drill as try_kit
    from edgekit.file.opening import open as open_file

    with open_file(context.obj.db, actor=context.obj.actor):
        done = try_kit(kit, read_secret("Passphrase of the kit"), backup=backup)
    show(done, as_json)
    context.exit(0 if done.holds else 8)


@vault.command(example="edgekit vault doctor")
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what is wrong with keys, secrets and the recovery kit, and what to do. Exit with 8 on an error."""
    from edgekit import vault as lib
    from edgekit.file.opening import open as open_file

    with open_file(context.obj.db, actor=context.obj.actor):
        found = lib.doctor()
    show_findings(context, found, as_json)
