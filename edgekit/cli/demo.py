"""The main job in one go: `demo`."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.audit import entry_line
from edgekit.cli.group import Command
from edgekit.cli.options import json_option
from edgekit.cli.progress import Counting
from edgekit.cli.show import cell, cut, show, table, terminal_width
from edgekit.errors import quoted

if TYPE_CHECKING:
    from edgekit.demo.scenario import DemoResult


@click.command(cls=Command, example="edgekit demo\nedgekit demo --dir try-out --json")
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    default="edgekit-demo",
    show_default=True,
    help="Where to put agency.db.",
)
@json_option
@click.pass_context
def demo(context: click.Context, folder: str, as_json: bool) -> None:
    """Show the main job on a small agency's file, offline: import, ask two providers, set aside, audit.

    Run it again in the same folder: it goes on, and nothing is there twice.
    """
    from edgekit.demo import scenario

    with Counting() as progress:
        result = scenario.run(folder, progress=progress.of)
    if as_json:
        show(result, as_json)
    else:
        for part in (_opening, _runs, _set_aside, _story, _closing):
            click.echo("\n".join([*part(result), ""]))
    failed = next((run.error for run in result.runs if run.error is not None), None)
    if failed is not None:
        raise failed
    context.exit(8 if result.verify else 0)


_PLURALS = {
    "insured": "insureds", "policy": "policies", "vehicle": "vehicles", "driver": "drivers",
    "policy_vehicle": "vehicles on policies", "policy_driver": "drivers on policies",
}  # fmt: skip


def _title(text: str) -> str:
    return click.style(text, fg="cyan", bold=True)


def _opening(result: DemoResult) -> list[str]:
    what = "made" if result.first_time else "opened again"
    return [
        "",
        f"{_title(result.organization)}: {result.database}, {what}. Nothing outside this machine was asked.",
    ]


def _runs(result: DemoResult) -> list[str]:
    rows: list[dict[str, Any]] = []
    for run in result.runs:
        seconds = max(run.duration_ms, 1) / 1000
        rows.append({
            "integration": run.integration, "status": run.status, "read": run.records_read,
            "written": run.records_written, "set aside": run.dead_letters, "retries": run.retries,
            "ms": run.duration_ms, "records/s": round(run.records_read / seconds),
        })  # fmt: skip
    there = ", ".join(f"{count:,} {_PLURALS.get(name, name)}" for name, count in result.rows.items())
    lines = [_title("What ran"), *table(rows, indent=2)]
    return [*lines, "", f"  In the file now: {there};", f"  {result.audit_rows:,} entries in its log."]


def _set_aside(result: DemoResult) -> list[str]:
    reasons = Counter((row["integration"], row["error_code"]) for row in result.set_aside)
    first = {(row["integration"], row["error_code"]): row for row in reversed(result.set_aside)}
    rows = [
        {"records": count, "integration": key[0], "why": key[1], "for example": _example(first[key])}
        for key, count in reasons.most_common(8)
    ]
    return [_title("What was set aside, and why"), *(table(rows, indent=2) if rows else ["  Nothing."])]


def _example(letter: dict[str, Any]) -> str:
    return f"{letter['source_position']}: {letter['error_message']}"


def _story(result: DemoResult) -> list[str]:
    if not result.vehicle:
        return []
    car = result.vehicle
    name = " ".join(
        cell(car[key]) for key in ("model_year", "make", "model_name") if car.get(key) is not None
    )
    lines = [_title(f"One record's story: vehicle {car['id']}, {cell(car['vin'])}, is a {name}")]
    for entry in reversed(result.story):
        line = entry_line(entry)
        why = str(line["why"]).partition(" [login")[0]
        lines.append(f"  {line['at']}  {line['did']} by {line['who']}: {why}")
        lines.append("    " + cut(line["values"], terminal_width() - 4))
    return lines


def _closing(result: DemoResult) -> list[str]:
    sound = (
        ["  verify: the file is sound."]
        if not result.verify
        else [f"  verify: {finding}" for finding in result.verify]
    )
    command = f"{_program()} --db {quoted(result.database)}"
    vehicle = result.vehicle.get("id", 1)
    return [
        _title("Was it right?"),
        *sound,
        f"  The master key of its vault is in {result.master_key}.",
        "",
        _title("Try next"),
        f"  {command} dead-letters list",
        f"  {command} audit blame vehicle {vehicle}",
        f"  {command} verify",
    ]


def _program() -> str:
    """Say how edgekit was started, where the bare name would not find it."""
    from shutil import which

    if sys.argv[0].endswith("__main__.py"):
        return "python -m edgekit"
    return "edgekit" if which("edgekit") else quoted(sys.argv[0])
