"""What the runner keeps: `executions` and `dead-letters`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, reading
from edgekit.cli.show import show
from edgekit.errors import InvalidError, quoted

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


@executions.command("save-as-test", example="edgekit executions save-as-test 12 --records 10")
@click.argument("execution_id", metavar="ID", type=int)
@click.option(
    "--records", metavar="N", type=click.IntRange(min=1), default=5, show_default=True,
    help="So many of its records at most.",
)  # fmt: skip
@json_option
@opened
def save_as_test(execution_id: int, records: int, as_json: bool) -> None:
    """Store records a run set aside or kept as tests of the mappings, what tells of a person masked."""
    from edgekit import runner

    found = runner.save_as_test(execution_id, records=records)
    show(found, as_json, empty="They are tests already.",
         note="Look at what they expect, then: edgekit mappings test" if found else None)  # fmt: skip


@executions.command("replay", example="edgekit executions replay 12 --mapping-version 3 --diff")
@click.argument("execution_id", metavar="ID", type=int)
@click.option("--mapping-version", metavar="N", type=int, help="With the mappings of this version.")
@click.option("--as-of-run", is_flag=True, help="With mappings and pipeline as they were when it began.")
@click.option("--diff", is_flag=True, help="Show the records that would differ, field by field.")
@click.option("--write", is_flag=True, help="Write it, as a run of its own.")
@click.option("--calls", is_flag=True, help="Ask other integrations too, where a step does.")
@limit_option(100)
@json_option
@opened
def replay_execution(
    execution_id: int, mapping_version: int | None, as_of_run: bool, diff: bool, write: bool, calls: bool,
    limit: int, as_json: bool,
) -> None:  # fmt: skip
    """Run a past execution again from what it kept, and count what would differ; nothing is written.

    It is compared with what the table says now.
    """
    from edgekit import runner

    found = runner.replay_execution(
        execution_id, mapping_version=mapping_version, as_of_run=as_of_run, write=write, calls=calls,
        limit=limit if diff else 0,
    )  # fmt: skip
    note = None if write else "Nothing was written."
    show(found, as_json, view=_rerun_line, note=note)
    if diff and not as_json:
        click.echo("")
        show(found.differences, as_json, view=_difference_line, empty="No record would differ.")


def _rerun_line(found: Any) -> dict[str, Any]:
    shown = ("execution_id", "integration", "mapping_version", "records", "same", "added", "changed",
             "set_aside", "filtered", "written_execution_id", "message")  # fmt: skip
    return {name: value for name in shown if (value := getattr(found, name)) is not None}


def _difference_line(found: Any) -> dict[str, Any]:
    fields = "; ".join(f"{column}: {now} -> {would}" for column, (now, would) in found.fields.items())
    key = ", ".join(str(value) for value in (found.key or {}).values())
    return {"position": found.position, "key": key, "what": found.what, "fields": fields or found.error}


@executions.command("prune-inputs", example="edgekit executions prune-inputs --dry-run")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@json_option
@opened
def prune_inputs(dry_run: bool, as_json: bool) -> None:
    """Delete what runs kept and what is past its time. Each run does so for its own integration."""
    from edgekit import runner

    show(runner.prune_inputs(dry_run=dry_run), as_json)


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
    shown = (
        "id",
        "integration",
        "status",
        "source_position",
        "step",
        "step_name",
        "error_code",
        "error_message",
    )
    return {name: row[name] for name in shown}


@dead_letters.command("show", example="edgekit dead-letters show 3")
@click.argument("letter_id", metavar="ID", type=int)
@json_option
@reading
def show_dead_letter(letter_id: int, as_json: bool) -> None:
    """Show a record that was set aside: what came, from where, and why it was not used."""
    from edgekit import runner

    show(runner.show_dead_letter(letter_id), as_json)


@dead_letters.command(
    example="edgekit dead-letters replay 3 --from failed\n"
    "edgekit dead-letters replay --all --integration vehicle-data"
)
@click.argument("letter_id", metavar="[ID]", type=int, required=False)
@click.option("--all", "every", is_flag=True, help="All that wait, of --integration.")
@only_integration
@click.option("--step", metavar="STEP", help="With --all: those set aside at this step, by its name or kind.")
@click.option(
    "--from", "start", type=click.Choice(["first", "failed"]), default="first", show_default=True,
    help="Begin with the first step, or with the one that failed.",
)  # fmt: skip
@click.option("--mapping-version", metavar="N", type=int, help="With the mappings of this version.")
@click.option("--as-of-run", is_flag=True, help="With mappings and pipeline as they were when the run began.")
@json_option
@opened
def replay(
    letter_id: int | None, every: bool, integration: str | None, step: str | None, start: str,
    mapping_version: int | None, as_of_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Send records through their integration again, with the mapping and the rules of now unless said."""
    from edgekit import runner

    if every is (letter_id is not None) or every is not (integration is not None) or (step and not every):
        raise click.UsageError("Name one by its ID, or all of one: --all --integration NAME [--step STEP]")
    if letter_id is not None:
        found = runner.replay_dead_letter(
            letter_id, start=start, mapping_version=mapping_version, as_of_run=as_of_run
        )
        show(found, as_json)
        return
    assert integration is not None
    result = runner.replay_dead_letters(
        integration, step=step, start=start, mapping_version=mapping_version, as_of_run=as_of_run
    )
    show(result, as_json, view=_replayed_line)
    if result.error is not None:
        raise result.error
    if result.failed:
        raise InvalidError(
            f"{result.failed} of {result.tried} records failed again.",
            hint=f"See why: edgekit dead-letters list --integration {quoted(result.integration)}",
        )


def _replayed_line(result: Any) -> dict[str, Any]:
    failed = ", ".join(f"{code} {count}" for code, count in sorted(result.errors.items()))
    line = {name: getattr(result, name) for name in ("integration", "tried", "replayed", "failed")}
    return {**line, "errors": failed, "message": result.message}


@dead_letters.command(example="edgekit dead-letters discard 3")
@click.argument("letter_id", metavar="ID", type=int)
@json_option
@opened
def discard(letter_id: int, as_json: bool) -> None:
    """Decide against a record: it stays in the file and is not offered again."""
    from edgekit import runner

    show(runner.discard_dead_letter(letter_id), as_json)
