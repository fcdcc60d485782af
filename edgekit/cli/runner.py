"""What the runner keeps: `executions` and `dead-letters`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, reading
from edgekit.cli.show import show

only_integration = click.option("--integration", metavar="NAME", help="Only those of this integration.")


@click.group(cls=Group)
def executions() -> None:
    """Look at past runs of integrations."""


@executions.command("list", example="edgekit executions list --integration vehicle-data")
@only_integration
@limit_option(50)
@json_option
@reading
def list_executions(integration: str | None, limit: int, as_json: bool) -> None:
    """List runs, the newest first."""
    from edgekit import runner

    found = runner.list_executions(integration=integration, limit=limit)
    show(found, as_json, view=_run_line, empty="Nothing has run yet.")


def _run_line(row: dict[str, Any]) -> dict[str, Any]:
    counts = ("records_read", "records_written", "dead_letters", "retries")
    return {
        name: row[name] for name in ("id", "integration", "status", "started_at", *counts, "error_message")
    }


@executions.command("show", example="edgekit executions show 12")
@click.argument("execution_id", metavar="ID", type=int)
@json_option
@reading
def show_execution(execution_id: int, as_json: bool) -> None:
    """Show one run with each attempt to reach the other side."""
    from edgekit import runner

    show(runner.show_execution(execution_id), as_json)


@click.group(cls=Group)
def dead_letters() -> None:
    """Look at records that were set aside, replay or discard them."""


@dead_letters.command("list", example="edgekit dead-letters list --integration vehicle-data")
@only_integration
@click.option(
    "--status", type=click.Choice(["pending", "replayed", "discarded", "all"]), default="pending",
    show_default=True, help="Only those in this state.",
)  # fmt: skip
@limit_option(1000)
@json_option
@reading
def list_dead_letters(integration: str | None, status: str, limit: int, as_json: bool) -> None:
    """List the records that wait for a decision, the oldest first."""
    from edgekit import runner

    wanted = None if status == "all" else status
    found = runner.list_dead_letters(integration=integration, status=wanted, limit=limit)
    show(found, as_json, view=_letter_line, empty="No record is set aside.")


def _letter_line(row: dict[str, Any]) -> dict[str, Any]:
    shown = ("id", "integration", "status", "source_position", "step", "error_code", "error_message")
    return {name: row[name] for name in shown}


@dead_letters.command("show", example="edgekit dead-letters show 3")
@click.argument("letter_id", metavar="ID", type=int)
@json_option
@reading
def show_dead_letter(letter_id: int, as_json: bool) -> None:
    """Show a record that was set aside: what came, from where, and why it was not used."""
    from edgekit import runner

    show(runner.show_dead_letter(letter_id), as_json)


@dead_letters.command(example="edgekit dead-letters replay 3")
@click.argument("letter_id", metavar="ID", type=int)
@json_option
@opened
def replay(letter_id: int, as_json: bool) -> None:
    """Send a record through its integration again, with the mapping and the rules of now."""
    from edgekit import runner

    show(runner.replay_dead_letter(letter_id), as_json)


@dead_letters.command(example="edgekit dead-letters discard 3")
@click.argument("letter_id", metavar="ID", type=int)
@json_option
@opened
def discard(letter_id: int, as_json: bool) -> None:
    """Decide against a record: it stays in the file and is not offered again."""
    from edgekit import runner

    show(runner.discard_dead_letter(letter_id), as_json)
