"""What a source offers and what is taken of it: `integrations discover` and `integrations select`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Command
from edgekit.cli.options import json_option, opened
from edgekit.cli.show import show
from edgekit.errors import quoted


@click.command(cls=Command, example="edgekit integrations discover issues")
@click.argument("name")
@json_option
@opened
def discover(name: str, as_json: bool) -> None:
    """Ask the tap of an integration which streams it has, with their keys, replication and fields."""
    from edgekit import integrations as lib

    note = f"Take one with: edgekit integrations select {quoted(name)} STREAM"
    show(lib.discover(name), as_json, view=_stream, empty="The tap has no streams.", note=note)


def _stream(found: Any) -> dict[str, Any]:
    gone = set(found.excluded)
    return {
        "stream": found.stream,
        "selected": "yes" if found.selected else "",
        "key": ", ".join(found.key),
        "replication": found.replication or "",
        "by": ", ".join(found.replication_keys),
        "fields": ", ".join(f"({name})" if name in gone else name for name in found.fields),
    }


@click.command(
    cls=Command,
    example="edgekit integrations select issues issues --exclude body,user --replication incremental",
)
@click.argument("name")
@click.argument("stream")
@click.option("--fields", metavar="A,B", help="Only these fields, beside those that always come.")
@click.option("--exclude", metavar="A,B", help="All fields but these.")
@click.option(
    "--replication", type=click.Choice(["full", "incremental"]),
    help="Read all of it each time, or only what is new. [default: as the tap does]",
)  # fmt: skip
@click.option("--replication-key", metavar="FIELD", help="What is new is seen by this field.")
@click.option("--key", metavar="A,B", help="The fields that identify a record, where the tap does not say.")
@json_option
@opened
def select(
    name: str,
    stream: str,
    fields: str | None,
    exclude: str | None,
    replication: str | None,
    replication_key: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Take a stream of a tap, whole or some of its fields, as a new version of the settings."""
    from edgekit import integrations as lib

    found = lib.select(
        name, stream, fields=_names(fields), exclude=_names(exclude), replication=replication,
        replication_key=replication_key, key=_names(key),
    )  # fmt: skip
    said = f"{name} takes {stream}. Run it with: edgekit integrations run {quoted(name)}"
    show(found if as_json else said, as_json)


def _names(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
