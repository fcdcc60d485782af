"""Connectors: `connectors list` and `show`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option
from edgekit.cli.show import show


@click.group(cls=Group)
def connectors() -> None:
    """See what can be connected, and what each connector can be told."""


@connectors.command("list", example="edgekit connectors list")
@json_option
def list_connectors(as_json: bool) -> None:
    """List the connectors that are here, and in which directions each of them works."""
    from edgekit import connectors as lib

    show(lib.list_connectors(), as_json, view=_line)


def _line(found: Any) -> dict[str, Any]:
    return {
        "connector": found.name,
        "reads": "yes" if found.reads is not None else "",
        "writes": "yes" if found.writes is not None else "",
        "secrets": ", ".join(found.secrets),
    }


@connectors.command("show", example="edgekit connectors show http\nedgekit connectors show file --to")
@click.argument("name")
@click.option("--to", "outward", is_flag=True, help="What it can be told under to, to send.")
@json_option
def show_connector(name: str, outward: bool, as_json: bool) -> None:
    """Show the settings of a connector: type, default, which must be given, which name a secret."""
    from edgekit import connectors as lib

    found = lib.show_connector(name)
    if as_json:
        show(found, as_json)
        return
    settings = found.writes if outward else found.reads
    nothing = f"{name} cannot be {'written to' if outward else 'read'}."
    secrets = f"Secrets it may use: {', '.join(found.secrets)}. Store one: edgekit vault set INTEGRATION KEY"
    show(list(settings or ()), as_json, view=_setting, empty=nothing, note=secrets if found.secrets else None)


def _setting(one: Any) -> dict[str, Any]:
    return {
        "setting": one.name,
        "type": one.type,
        "default": one.default,
        "must": "yes" if one.is_required else "",
        "names a secret": one.secret or "",
        "meaning": one.description,
    }
