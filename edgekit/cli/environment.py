"""What the file is used for: `environment`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Command
from edgekit.cli.options import json_option, opened
from edgekit.cli.show import show
from edgekit.errors import quoted


@click.command(
    cls=Command, example="edgekit environment\nedgekit environment production --dry-run\n"
    "edgekit environment production --yes",
)  # fmt: skip
@click.argument("environment", metavar="[NAME]", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would stop running there, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask where something would stop running.")
@json_option
@opened
def environment(environment: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Show what the file is used for, or use it as development, staging or production from now on."""
    from edgekit.integrations import environments

    found = environments.show_environment(environment)
    stops = [one for one in found.integrations if not one.runs]
    if environment is None or dry_run or found.environment == found.wanted:
        show(found, as_json, view=_place, note=_next(stops, found.wanted))
        return
    if stops and not yes:
        for one in stops:
            click.echo(f"{one.integration} would not run in {found.wanted}: {one.reason}.", err=True)
        click.confirm(f"Use the file in {found.wanted} all the same?", abort=True, err=True)
    show(environments.switch_environment(environment), as_json, view=_place, note=_next(stops, found.wanted))


def _place(found: Any) -> dict[str, Any]:
    names = ("integration", "runs", "mappings", "live")
    listed = [
        {**{name: getattr(one, name) for name in names}, "why not": one.reason} for one in found.integrations
    ]
    asked = {"asked for": found.wanted} if found.wanted != found.environment else {}
    return {"environment": found.environment, **asked, "integrations": listed}


def _next(stops: list[Any], place: str) -> str | None:
    """Say how to get the first that does not run going."""
    if not stops:
        return None
    first = stops[0]
    if first.missing_secrets:
        return (
            f"Next: edgekit vault set {quoted(first.integration)} {quoted(first.missing_secrets[0])}"
            f" --environment {place}"
        )
    return f"Next: edgekit mappings approvals {quoted(first.integration)}"
