"""The ways records take: `pipelines list` and `test`."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading
from edgekit.cli.show import show
from edgekit.errors import InvalidError


@click.group(cls=Group)
def pipelines() -> None:
    """Look at the steps records go through, and try them."""


@pipelines.command("list", example="edgekit pipelines list")
@json_option
@reading
def list_pipelines(as_json: bool) -> None:
    """List the pipelines of the integrations with their steps."""
    from edgekit import integrations

    empty = "There is no pipeline yet: each integration is made with one."
    show(integrations.list_pipelines(), as_json, view=_line, empty=empty)


def _line(row: dict[str, Any]) -> dict[str, Any]:
    steps = ", ".join(str(step.get("name") or step.get("type")) for step in row["steps"])
    return {**row, "steps": steps, "is_active": None if row["is_active"] else "no"}


@pipelines.command("test", example="edgekit pipelines test customers --input record.json")
@click.argument("pipeline", metavar="ID|NAME")
@click.option(
    "--input", "source", metavar="FILE", type=click.File("rb"), default="-",
    help="A JSON file with one record.  [default: standard input]",
)  # fmt: skip
@click.option("--calls", is_flag=True, help="Ask other integrations too, where a step does.")
@json_option
@opened
def test_pipeline(pipeline: str, source: Any, calls: bool, as_json: bool) -> None:
    """Bring a record through the steps of a pipeline, writing nothing. Exits with 4 if a step fails."""
    from edgekit import integrations, runner

    record = None
    with suppress(ValueError):
        record = json.loads(source.read().decode("utf-8-sig"))
    if not isinstance(record, dict):
        raise InvalidError("The input is not one record, a JSON object.", hint='Such as {"number": 7}')
    found = runner.test_integration_pipeline(integrations.find_pipeline(pipeline), record, calls=calls)
    show(found, as_json)
    if not found["success"]:
        failed = found["steps"][-1]
        raise InvalidError(f"The step {failed['step']} failed: {failed['error']}")
