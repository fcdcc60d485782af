"""Reference rows: `seeds apply`."""

from __future__ import annotations

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened
from edgekit.cli.show import show

_SAMPLE = "demo"


@click.group(cls=Group)
def seeds() -> None:
    """Add reference rows: those that come with edgekit, or your own."""


@seeds.command(
    example="edgekit seeds apply\nedgekit seeds apply demo\nedgekit seeds apply our-producers.json"
)
@click.argument("paths", metavar="[demo | PATH]...", nargs=-1)
@json_option
@opened
def apply(paths: tuple[str, ...], as_json: bool) -> None:
    """Add the missing rows of the seed files PATH, or of edgekit's own; what is there is left alone.

    The word demo means the sample rows that come with edgekit: a few of each kind, with program 1 AUTO.
    """
    from edgekit import seeds as lib

    files = [path for path in paths if path != _SAMPLE]
    counts: dict[str, int] = {}
    notes: list[str] = []
    if _SAMPLE in paths:
        from edgekit.demo import sample

        result = sample.apply()
        counts, notes = result.added, result.notes
    if files or not paths:
        counts = {**counts, **lib.apply(files or None)}
    added = {table: count for table, count in counts.items() if count}
    if as_json:
        show({"added": added, **({"notes": notes} if _SAMPLE in paths else {})}, as_json)
    else:
        rows = [{"table": table, "added": count} for table, count in added.items()]
        show(rows, as_json, empty="Every row is there already.", note="\n".join(notes) or None)
