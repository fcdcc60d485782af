"""Getting mappings right: `mappings suggest` and `preview`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Command
from edgekit.cli.options import json_option, opened, split_pair
from edgekit.cli.show import show
from edgekit.errors import InvalidError, quoted


@click.command(
    "suggest", cls=Command,
    example="edgekit mappings suggest policies --sample book.csv --apply\n"
    "edgekit mappings suggest --sample answer.json --set records=data.items --table vehicle",
)  # fmt: skip
@click.argument("integration", required=False)
@click.option(
    "--sample", metavar="FILE", help="A file with some records, in any format of the file connector."
)
@click.option("--table", metavar="TABLE", help="Where records go, if not where the integration says.")
@click.option("--ask", is_flag=True, help="Ask the source of the integration for its first page instead.")
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="How to read the file: format, records …"
)
@click.option(
    "--apply", "apply_them", is_flag=True, help="Write what is sure enough as mappings, in one change."
)
@click.option(
    "--threshold", type=click.FloatRange(0, 1), default=0.75, show_default=True, help="How sure that is."
)
@json_option
@opened
def suggest(
    integration: str | None, sample: str | None, table: str | None, ask: bool, settings: tuple[str, ...],
    apply_them: bool, threshold: float, as_json: bool,
) -> None:  # fmt: skip
    """Propose which field goes to which column, with how sure that is, why, and what is left over."""
    from edgekit import integrations

    if apply_them and integration is None:
        raise InvalidError(
            "Say which integration gets the mappings.", hint="edgekit mappings suggest NAME … --apply"
        )
    given = dict(
        split_pair(one, form="KEY=VALUE, such as records=data.items", where="--set") for one in settings
    )
    found = integrations.suggest_mappings(integration, sample=sample, table=table, settings=given, ask=ask)
    sure = sum(one.confidence >= threshold for one in found.proposals)
    if apply_them and integration is not None:
        integrations.apply_suggestions(integration, found, threshold=threshold)
    if as_json:
        show({"table": found.table, "records": found.records, "applied": sure if apply_them else 0,
              "proposals": found.proposals, "unmatched_sources": found.unmatched_sources,
              "unmatched_targets": found.unmatched_targets}, as_json)  # fmt: skip
        return
    show(list(found.proposals), as_json, view=_proposal, empty="Nothing is alike enough to be proposed.")
    show(_left_over(found, integration, sure, apply_them), as_json)


def _proposal(one: Any) -> dict[str, Any]:
    return {
        "sure": f"{one.confidence:.2f}", "source_path": one.source_path, "target_path": one.target_path,
        "type": one.target_data_type, "required": one.is_required, "example": one.example, "why": one.reason,
    }  # fmt: skip


def _left_over(found: Any, integration: str | None, sure: int, applied: bool) -> str:
    """Say what nothing was found for: silence would lose fields."""
    sources = [one["source_path"] for one in found.unmatched_sources]
    empty = sum(one["looks_like"] == "none" for one in found.unmatched_sources)
    targets = [
        one["target_path"] + (" (required)" if one["is_required"] else "") for one in found.unmatched_targets
    ]
    lines = [f"\nFields without a column ({len(sources)}, {empty} of them empty here): {_few(sources)}"]
    lines.append(f"Columns without a field ({len(targets)}): {_few(targets)}")
    if applied:
        next_one = f"edgekit mappings preview {quoted(integration or '')} --record FILE"
        lines.append(f"{sure} mappings were written. Look at what they do: {next_one}")
    return "\n".join(lines)


def _few(names: list[str]) -> str:
    more = f" … and {len(names) - 40} more (--json has all)" if len(names) > 40 else ""
    return (", ".join(names[:40]) or "none") + more


@click.command(
    "preview", cls=Command,
    example="edgekit mappings preview vehicle-data --record answer.json\n"
    "edgekit mappings preview policies --sample --number 3",
)  # fmt: skip
@click.argument("integration")
@click.option(
    "--record", metavar="FILE", help="A file with a record or some, in any format of the file connector."
)
@click.option("--sample", is_flag=True, help="Ask the source for its first page instead.")
@click.option(
    "--number", type=click.IntRange(min=1), default=1, show_default=True, help="Take this record of them."
)
@json_option
@opened
def preview(integration: str, record: str | None, sample: bool, number: int, as_json: bool) -> None:
    """Show one record beside what each step of each mapping makes of it; nothing is written."""
    from edgekit import integrations

    found = integrations.preview_mappings(integration, record=record, sample=sample, number=number)
    if as_json:
        show(found, as_json)
        return
    show(list(found.fields), as_json, view=_traced)
    lines = [f"\nRecord {found.number} of {found.of}."]
    if found.unmapped:
        lines.append(f"No mapping takes: {_few(list(found.unmapped))}")
    if found.set_aside:
        lines.append(f"It would be set aside at {found.set_aside['step']}: {found.set_aside['message']}.")
    show("\n".join(lines), as_json)


def _traced(one: dict[str, Any]) -> dict[str, Any]:
    steps = [
        f"{step['step']}: {step['refused']}" if step["refused"] else f"{step['step']}: {step['value']}"
        if step["step"] != "missing" else "missing"
        for step in one["steps"]
    ]  # fmt: skip
    return {
        "source_path": one["source_path"], "found": one["found"], "steps": " > ".join(steps),
        "target_path": one["target_path"], "result": one["result"], "outcome": one["outcome"],
    }  # fmt: skip
