"""The ways records take: looked at, set, compared and tried."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading
from edgekit.cli.show import show, version_line
from edgekit.errors import InvalidError, quoted


@click.group(cls=Group)
def pipelines() -> None:
    """Look at the steps records go through, set them, and try them."""


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


@pipelines.command("show", example="edgekit pipelines show customers")
@click.argument("pipeline", metavar="ID|NAME")
@json_option
@reading
def show_pipeline(pipeline: str, as_json: bool) -> None:
    """Show a pipeline whole; its JSON can be changed and given back to `set`."""
    from edgekit import integrations

    show(integrations.show_pipeline(pipeline), as_json)


def _said(found: dict[str, Any]) -> str:
    said = f"The pipeline {found['name']} is version {found['version']} now."
    if found["waits_for_approval"]:
        said += (
            "\nIts steps wait for approval; those that were approved run until then."
            f" Next: edgekit mappings approve {quoted(found['integration'])} --all"
        )
    return said


@pipelines.command("set", example="edgekit pipelines set customers --file pipeline.json")
@click.argument("pipeline", metavar="ID|NAME")
@click.option(
    "--file", "source", metavar="FILE", type=click.File("rb"), default="-",
    help="A JSON file with what is to change: pipeline_type, steps, error_handling_strategy, dead_letters,"
    " performance.  [default: standard input]",
)  # fmt: skip
@json_option
@opened
def set_pipeline(pipeline: str, source: Any, as_json: bool) -> None:
    """Give a pipeline other steps or rules, as its next version, once every step is known to run."""
    from edgekit import integrations

    document = _object(source, 'The file is no JSON object, such as {"steps": [{"type": "map"}]}.')
    shown = {key: value for key, value in document.items() if key not in _TOLD}  # as `show --json` gives it
    found = integrations.set_pipeline(pipeline, shown)
    show(found if as_json else _said(found), as_json)


_TOLD = ("id", "name", "integration", "version", "is_active", "waits_for_approval")


@pipelines.command("history", example="edgekit pipelines history customers")
@click.argument("pipeline", metavar="ID|NAME")
@json_option
@reading
def history(pipeline: str, as_json: bool) -> None:
    """List the versions of a pipeline, the newest first: who, when, why, and what changed."""
    from edgekit import integrations

    show(integrations.pipeline_history(pipeline), as_json, view=lambda found: version_line(found, "changed"))


@pipelines.command("diff", example="edgekit pipelines diff customers 1 2")
@click.argument("pipeline", metavar="ID|NAME")
@click.argument("old", metavar="V1", type=int)
@click.argument("new", metavar="V2", type=int)
@json_option
@reading
def diff(pipeline: str, old: int, new: int, as_json: bool) -> None:
    """Show what two versions of a pipeline say differently, step by step."""
    from edgekit import integrations

    show(integrations.diff_pipeline(pipeline, old, new), as_json, empty="They say the same.")


@pipelines.command("rollback", example="edgekit pipelines rollback customers 1")
@click.argument("pipeline", metavar="ID|NAME")
@click.argument("version", type=int)
@json_option
@opened
def rollback(pipeline: str, version: int, as_json: bool) -> None:
    """Give a pipeline what an earlier version said, as its next version."""
    from edgekit import integrations

    found = integrations.rollback_pipeline(pipeline, version)
    show(found if as_json else _said(found), as_json)


def _object(source: Any, complaint: str) -> dict[str, Any]:
    document = None
    with suppress(ValueError, RecursionError):
        document = json.loads(source.read().decode("utf-8-sig"))
    if not isinstance(document, dict):
        raise InvalidError(complaint)
    return document


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

    record = _object(source, 'The input is not one record, a JSON object such as {"number": 7}.')
    found = runner.test_integration_pipeline(integrations.find_pipeline(pipeline), record, calls=calls)
    show(found, as_json)
    if not found["success"]:
        failed = found["steps"][-1]
        raise InvalidError(f"The step {failed['step']} failed: {failed['error']}")
