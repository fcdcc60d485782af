"""Integrations: `integrations list`, `show`, `create`, `run`, `health`, and their `templates`."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import click

from edgekit.cli import catalogs, integration_limits, integration_settings
from edgekit.cli.group import Group, say_stopped
from edgekit.cli.integration_settings import read_settings
from edgekit.cli.options import json_option, limit_option, opened, reading
from edgekit.cli.progress import Counting
from edgekit.cli.show import show
from edgekit.cli.templates import acknowledge_option, acknowledged, templates
from edgekit.errors import InvalidError, UnavailableError, quoted


@click.group(cls=Group)
def integrations() -> None:
    """Connect sources to tables of the file, tables to other sides, and run them."""


@integrations.command("list", example="edgekit integrations list")
@json_option
@reading
def list_integrations(as_json: bool) -> None:
    """List the integrations with their target, their health and their last run."""
    from edgekit import integrations as lib

    empty = "There is no integration yet. See: edgekit integrations templates list"
    show(lib.list_integrations(), as_json, empty=empty)


@integrations.command("show", example="edgekit integrations show vehicle-data")
@click.argument("name")
@json_option
@reading
def show_integration(name: str, as_json: bool) -> None:
    """Show an integration whole: settings, mappings, pipeline, and which secrets it has."""
    from edgekit import integrations as lib

    show(lib.show(name), as_json)


@integrations.command(example="edgekit integrations usable vehicle-data")
@click.argument("name")
@json_option
@opened
def usable(name: str, as_json: bool) -> None:
    """Say whether you may use an integration, and what stands in the way. Exit with 5 if you may not."""
    from edgekit import integrations as lib

    found = lib.usable(name)
    show(found, as_json, view=_use)
    click.get_current_context().exit(0 if found.usable else 5)


def _use(found: Any) -> dict[str, Any]:
    conditions = [{"condition": c.name, "holds": c.holds, "says": c.reason} for c in found.conditions]
    return {"integration": found.integration, "usable": found.usable, "conditions": conditions}


@integrations.command(example="edgekit integrations enable vehicle-data")
@click.argument("name")
@json_option
@opened
def enable(name: str, as_json: bool) -> None:
    """Switch an integration on again, with its settings, secrets and history."""
    from edgekit import integrations as lib

    found = lib.enable(name)
    show(found if as_json else f"Enabled {name}. See: edgekit integrations show {quoted(name)}", as_json)


@integrations.command(example="edgekit integrations disable vehicle-data")
@click.argument("name")
@json_option
@opened
def disable(name: str, as_json: bool) -> None:
    """Switch an integration off for a while; it keeps all it has, and does not run until it is enabled."""
    from edgekit import integrations as lib

    lib.disable(name)
    said = f"Disabled {name}. On again with: edgekit integrations enable {quoted(name)}"
    show({"integration": name, "enabled": False} if as_json else said, as_json)


@integrations.command(
    example="edgekit integrations create customers --template csv-import"
    " --set path=customers.csv --set table=customer --set key=number --set create=true"
)
@click.argument("name")
@click.option(
    "--template",
    metavar="CODE",
    required=True,
    help="Or CODE@VERSION. See: edgekit integrations templates list.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="A setting; may be repeated. Never a secret.",
)
@click.option(
    "--customize", metavar="FILE", type=click.File("rb"),
    help="A JSON file with changes to the template's connection, mappings and pipeline.",
)  # fmt: skip
@acknowledge_option
@json_option
@opened
def create(
    name: str, template: str, settings: tuple[str, ...], customize: Any, acknowledge: bool, as_json: bool
) -> None:
    """Make an integration from a template; secrets are stored apart, by `edgekit vault set`."""
    from edgekit import integrations as lib

    changes = _read_customization(customize) if customize else None
    given = read_settings(name, settings)
    known = acknowledged(lib.show_template(template)["prerequisites"], acknowledge)
    found = lib.create(name, template=template, settings=given, customizations=changes, acknowledge=known)
    to_store = [
        f"edgekit vault set {quoted(found['name'])} {quoted(key)}" for key in found["secrets_missing"]
    ]
    first = f"Store its secrets first: {'; '.join(to_store)}\n" if to_store else ""
    show(found, as_json, note=f"{first}{_how_to_use(found)}")


def _how_to_use(found: dict[str, Any]) -> str:
    """Say what an integration is used by: those that read events are run by a subscription."""
    if found["settings"].get("connector") != "event":
        return f"Run it with: edgekit integrations run {quoted(found['name'])}"
    how = "--webhook" if found["settings"].get("to", {}).get("connector") == "webhook" else "--run"
    return f"Subscribe it: edgekit events subscriptions add NAME --type TYPE {how} {quoted(found['name'])}"


def _read_customization(file: Any) -> dict[str, Any]:
    """Read the file of `--customize`. Raise InvalidError if it is not a JSON object."""
    document = None
    with suppress(ValueError, RecursionError):
        document = json.loads(file.read().decode("utf-8-sig"))
    if not isinstance(document, dict):
        raise InvalidError(
            f"{file.name} is not a JSON object.", hint='For example: {"connection": {"page_size": 50}}'
        )
    return document


@integrations.command(
    example="edgekit integrations run vehicle-data\nedgekit integrations run customers --input new.csv"
)
@click.argument("name")
@click.option("--input", "source", metavar="FILE", help="Read this file instead (- is standard input).")
@click.option("--dry-run", is_flag=True, help="Write everything and undo it; send nothing.")
@click.option("--fresh", is_flag=True, help="Ask again also for what was answered within cache_ttl_hours.")
@json_option
@click.pass_context
@opened
def run(
    context: click.Context, name: str, source: str | None, dry_run: bool, fresh: bool, as_json: bool
) -> None:
    """Run an integration, or go on where an interrupted run stopped. A failed run exits with 4 or 7."""
    from edgekit import runner

    with Counting(name) as progress:
        result = runner.run(name, input=source, dry_run=dry_run, fresh=fresh, progress=progress)
    aside = f"See what was set aside: edgekit dead-letters list --integration {quoted(name)}"
    show(result, as_json, view=_run_line, note=aside if result.dead_letters and not dry_run else None)
    if result.error is not None:
        raise result.error
    if result.status == "interrupted":
        say_stopped(f"Stopped; the batches written so far stay. Go on with: {_again(context, name, source)}")
        context.exit(130)


@integrations.command(example="edgekit integrations deliveries drivers-out --failed")
@click.argument("name")
@click.option("--failed", is_flag=True, help="Only those the other side refused.")
@limit_option(1000)
@json_option
@reading
def deliveries(name: str, failed: bool, limit: int, as_json: bool) -> None:
    """List what became of the records an integration sent, and what the other side answered."""
    from edgekit import runner

    found = runner.list_deliveries(name, failed=failed, limit=limit)
    show(found, as_json, view=_delivery_line, empty="Nothing was refused." if failed else "Nothing was sent.")


def _delivery_line(row: dict[str, Any]) -> dict[str, Any]:
    shown = ("record_key", "status", "response_code", "external_reference", "sent_at", "error_message")
    return {name: row[name] for name in shown}


def _again(context: click.Context, name: str, source: str | None) -> str:
    """Write the command that goes on with an interrupted run."""
    given = ["--input", source] if source else []
    words = ["edgekit", "--db", context.obj.db, "integrations", "run", name, *given]
    return " ".join(map(quoted, words))


def _run_line(result: Any) -> dict[str, Any]:
    seconds = result.duration_ms / 1000
    return {
        "integration": result.integration,
        "execution": result.execution_id,
        "status": result.status,
        "read": f"{result.records_read:,}",
        **_came_to(result),
        "set aside": f"{result.dead_letters:,}",
        **({"filtered": f"{result.filtered:,}"} if result.filtered else {}),
        "retries": result.retries,
        "took": f"{seconds:.1f} s, {result.records_read / max(seconds, 0.001):,.0f} records/s",
        **({"not asked again": f"{result.skipped:,}"} if result.skipped else {}),
        **({"note": result.message} if result.status == "dry_run" else {}),
        **{f"document {place}": text for place, text in enumerate(map(_as_json, result.documents), 1)},
    }


def _came_to(result: Any) -> dict[str, str]:
    if result.direction == "inbound":
        return {"written": f"{result.records_written:,}", "changed": f"{result.records_changed:,}"}
    unchanged = result.records_written - result.records_changed
    return {"sent": f"{result.records_changed:,}", **({"unchanged": f"{unchanged:,}"} if unchanged else {})}


def _as_json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)


@integrations.command("keep-inputs", example="edgekit integrations keep-inputs vehicle-data --days 90")
@click.argument("name")
@click.option("--days", type=int, default=30, show_default=True, help="How long it is kept.")
@click.option("--encrypt/--plain", default=None, help="Seal it, or not.  [default: where it is personal]")
@click.option("--off", is_flag=True, help="Keep nothing of the runs to come.")
@json_option
@opened
def keep_inputs(name: str, days: int, encrypt: bool | None, off: bool, as_json: bool) -> None:
    """Keep what runs read, so that they can be run again: edgekit executions replay ID."""
    from edgekit import integrations as lib

    found = lib.keep_inputs(name, days=None if off else days, encrypt=encrypt)
    said = f"{name} keeps nothing." if off else f"{name} keeps what it reads for {days} days."
    show(found if as_json else said, as_json)


@integrations.command(example="edgekit integrations health\nedgekit integrations health vehicle-data --json")
@click.argument("name", required=False)
@json_option
@opened
def health(name: str | None, as_json: bool) -> None:
    """Ask whether the other side answers, of one integration or all. Exits with 7 where one does not."""
    from edgekit import runner

    found = runner.check_all_health() if name is None else [runner.check_health(name)]
    empty = "There is no integration yet. See: edgekit integrations templates list"
    show(found if name is None else found[0], as_json, empty=empty)
    failing = [item for item in found if item.health_status == "unhealthy"]
    if failing:
        more = f" ({len(failing)} of {len(found)} are unhealthy.)" if len(found) > 1 else ""
        raise UnavailableError(f"{failing[0].integration} is unhealthy: {failing[0].message}{more}")


integrations.add_command(catalogs.discover)
integrations.add_command(catalogs.select)
for command in (*integration_settings.COMMANDS, *integration_limits.COMMANDS):
    integrations.add_command(command)
integrations.add_command(templates)
