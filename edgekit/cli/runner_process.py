"""The runner's process: `runner start`, `status`, `install` and `uninstall`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading, whole_file
from edgekit.cli.show import show

if TYPE_CHECKING:
    from edgekit.cli.group import Settings


@click.group(cls=Group)
def runner() -> None:
    """Run what is due: keep the runner going, or have the system do so."""


@runner.command(
    example="edgekit runner start\nedgekit runner start --once\nedgekit runner start --until 18:00"
)
@click.option("--once", is_flag=True, help="End when all that is due is settled.")
@click.option("--until", metavar="TIME", help="End at this time: 18:00, or 2026-01-31T18:00.")
@click.option(
    "--threads", type=click.IntRange(1, 64), default=4, show_default=True, help="Do so much at once."
)
@click.option(
    "--grace", metavar="SECONDS", type=click.FloatRange(0, 3600), default=20, show_default=True,
    help="When it ends, wait so long for what is at work.",
)  # fmt: skip
@click.option("--log", metavar="FILE", type=click.Path(path_type=Path), help="Write the lines here too.")
@click.pass_context
@opened
def start(
    context: click.Context, once: bool, until: str | None, threads: int, grace: float, log: Path | None
) -> None:
    """Run what is due, here, until it is stopped: Ctrl-C, or a signal to end.

    There is one runner per file. What an earlier one left when it was killed is taken up first.
    """
    import os

    from edgekit import clock
    from edgekit import runner as running
    from edgekit.cli.live import View
    from edgekit.runner.process import signals
    from edgekit.runner.process.until import read_until

    ends_at = None if until is None else read_until(until, clock.now().astimezone())
    stop, view = signals.Stop(), View(log)
    with signals.heard_by(stop):
        try:
            lived = running.start(
                once=once, until=ends_at, threads=threads, grace_seconds=grace, stop=stop, report=view.line,
                look=view.standing,
            )  # fmt: skip
        finally:
            view.close()
            stop.tell_ended()
    code = 130 if stop.is_interrupt else 0
    if lived.is_stuck:
        os._exit(code)  # a thread that cannot be stopped would keep the process for ever
    context.exit(code)


@runner.command(example="edgekit runner status")
@json_option
@reading
def status(as_json: bool) -> None:
    """Show whether a runner is at work, what it does, what comes next and what was last."""
    from edgekit import runner as running

    show(running.status(), as_json, view=_standing)


def _standing(found: Any) -> dict[str, Any]:
    row = dataclasses.asdict(found)
    if found.is_running:
        state = f"at work since {found.since}, process {found.process_id}"
    elif found.last_end_reason == "died":
        state = "not running; the last one ended without a word. Start one: edgekit runner start"
    else:
        state = "not running. Start one: edgekit runner start"
    for name in ("is_running", "since", "process_id", "host_name", "app_version"):
        del row[name]
    row["running"] = [
        {"job": one["job"], "kind": one["kind"], "since": one["since"]} for one in found.running
    ]
    return {"runner": state, **row}


@runner.command(example="edgekit runner install\nedgekit runner install --print")
@click.option("--print", "only_print", is_flag=True, help="Only show what would be written, and where.")
@json_option
@whole_file("edit", "installing its runner")
@click.pass_obj
def install(settings: Settings, only_print: bool, as_json: bool) -> None:
    """Have the system start the runner of this file at each log-in, and keep it running.

    It writes a systemd user unit, a launchd agent or a Windows scheduled task, for this user alone.
    """
    from edgekit import runner as running

    file = Path(settings.db)
    if not only_print:
        _tell(running.install(file, actor=settings.actor), as_json, "It runs, and starts with each log-in.")
        return
    unit = running.plan_service(file, actor=settings.actor)
    if as_json:
        show({"kind": unit.kind, "name": unit.name, "path": str(unit.path), "text": unit.text}, as_json)
        return
    click.echo(unit.text)
    for note in (f"The {unit.kind} would be written to {unit.path}", *unit.notes):
        click.echo(note, err=True)


@runner.command(example="edgekit runner uninstall")
@json_option
@whole_file("edit", "uninstalling its runner")
@click.pass_obj
def uninstall(settings: Settings, as_json: bool) -> None:
    """Take the service of this file away. The file and what is scheduled in it stay as they are."""
    from edgekit import runner as running

    _tell(running.uninstall(Path(settings.db)), as_json, "It is ended and does not start again.")


def _tell(service: Any, as_json: bool, done: str) -> None:
    if as_json:
        show(service, as_json)
        return
    show({"kind": service.kind, "name": service.name, "path": service.path, "log": service.log}, as_json)
    if service.is_done:
        click.echo(done)
    else:
        click.echo(f"The system did not do its part ({service.complaint}). Once it can, by hand:")
        for words in service.commands:
            click.echo(f"  {words}")
    for note in service.notes:
        click.echo(f"Note: {note}")
