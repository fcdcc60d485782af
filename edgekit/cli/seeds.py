"""Reference rows: `seeds apply`."""

from __future__ import annotations

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened
from edgekit.cli.show import show


@click.group(cls=Group)
def seeds() -> None:
    """Add reference rows: those that come with edgekit, or your own."""


@seeds.command(example="edgekit seeds apply\nedgekit seeds apply our-producers.json")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@json_option
@opened
def apply(paths: tuple[str, ...], as_json: bool) -> None:
    """Add the missing rows of the seed files PATH, or of edgekit's own; what is there is left alone."""
    from edgekit import seeds as lib

    added = {table: count for table, count in lib.apply(list(paths) or None).items() if count}
    if as_json:
        show({"added": added}, as_json)
    else:
        rows = [{"table": table, "added": count} for table, count in added.items()]
        show(rows, as_json, empty="Every row is there already.")
