"""`monitoring`: what is summed up of the clients."""

from __future__ import annotations

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading
from edgekit.cli.show import show


@click.group(cls=Group)
def monitoring() -> None:
    """See how the clients stand, from a summary that is refreshed."""


@monitoring.command(example="edgekit monitoring refresh")
@json_option
@opened
def refresh(as_json: bool) -> None:
    """Sum up the clients anew: modules, workflow, package on its way, configurations, subscription.

    Only what has changed is written. Run it as often as the figures must be fresh; edgekit doctor says when
    they are behind.
    """
    from edgekit import monitoring as lib

    show(lib.refresh(), as_json)


@monitoring.command(example="edgekit monitoring clients --json")
@json_option
@reading
def clients(as_json: bool) -> None:
    """List the clients as they were summed up last."""
    from edgekit import monitoring as lib

    show(lib.list_clients(), as_json, empty="No client is summed up yet. Run: edgekit monitoring refresh")
