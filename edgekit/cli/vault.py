"""The secrets of integrations: `vault init`, `set`, `get`, `list`, `status`."""

from __future__ import annotations

import sys

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened
from edgekit.cli.show import show

environment_option = click.option(
    "--environment", metavar="CODE", help="Another environment than the file's own."
)


@click.group(cls=Group)
def vault() -> None:
    """Keep the secrets of integrations, sealed under a key that is not in the file."""


@vault.command(example="edgekit vault init")
@click.option("--keyring", "in_keyring", is_flag=True, help="Keep a new master key in the system's keyring.")
@json_option
@opened
def init(in_keyring: bool, as_json: bool) -> None:
    """Make the vault ready: find the master key, or make one where nothing is sealed, and say where."""
    from edgekit import vault as lib

    note = "Keep a copy of the master key apart from the file: without it no secret can be read again."
    show(lib.init(in_keyring=in_keyring), as_json, note=note)


@vault.command(
    "set",
    example="edgekit vault set driver-checks api_key\nedgekit vault set driver-checks api_key < key.txt",
)
@click.argument("integration")
@click.argument("key")
@environment_option
@opened
def set_secret(integration: str, key: str, environment: str | None) -> None:
    """Store a secret; its value is asked for, or read from standard input, and never an argument."""
    from edgekit import integrations

    integrations.set_credential(integration, key, _read_secret(integration, key), environment=environment)
    show(f"Stored {key} of {integration}.", as_json=False)


def _read_secret(integration: str, key: str) -> str:
    """Ask on a terminal without showing it; else take what comes, without the end of its line."""
    if sys.stdin.isatty():
        value: str = click.prompt(f"{key} of {integration}", hide_input=True, err=True)
        return value
    content: bytes = sys.stdin.buffer.read()
    # Bytes that are no text are kept apart: the vault refuses them without showing them.
    text = content.decode("utf-8-sig", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")


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


@vault.command("list", example="edgekit vault list")
@click.argument("integration", required=False)
@json_option
@opened
def list_secrets(integration: str | None, as_json: bool) -> None:
    """List which secrets are stored, without their values."""
    from edgekit import integrations

    show(integrations.list_credentials(integration), as_json, empty="No secret is stored.")


@vault.command(example="edgekit vault status")
@json_option
@opened
def status(as_json: bool) -> None:
    """Show which master key is in use, whether it opens every key of the file, and how much is sealed."""
    from edgekit import vault as lib

    show(lib.status(), as_json)
