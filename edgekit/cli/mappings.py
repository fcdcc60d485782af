"""How fields become columns: the mappings one by one, their versions, their approvals."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.mapping_help import preview, suggest
from edgekit.cli.mapping_testing import confirm_tests, generate_tests, test_mappings
from edgekit.cli.options import json_option, opened, reading, split_pair
from edgekit.cli.show import show
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable


@click.group(cls=Group)
def mappings() -> None:
    """Look at how fields become columns, and try it."""


mappings.add_command(suggest)
mappings.add_command(preview)
mappings.add_command(test_mappings)
mappings.add_command(generate_tests)
mappings.add_command(confirm_tests)


@mappings.command("list", example="edgekit mappings list vehicle-data")
@click.argument("integration", required=False)
@json_option
@reading
def list_mappings(integration: str | None, as_json: bool) -> None:
    """List the mappings, with how many tests each has and how much they cover."""
    from edgekit import integrations

    empty = "There is no mapping yet. An import without mappings learns them in its first run."
    show(integrations.list_mappings(integration), as_json, view=_listed, empty=empty)


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    names = ("integration", "name", "mapping_type", "source_path", "target_path", "target_data_type")
    found = {name: row[name] for name in names}
    found["path"] = "compiled" if row["is_compiled"] else "searched"
    return {**found, "version": row["version"], "tests": row["tests"], "test_coverage": row["test_coverage"]}


@mappings.command("show", example="edgekit mappings show vehicle-data vin")
@click.argument("integration")
@click.argument("mapping")
@json_option
@opened
def show_mapping(integration: str, mapping: str, as_json: bool) -> None:
    """Show one mapping whole, its live version, and which of its paths are searched, not compiled."""
    from edgekit import integrations

    show(integrations.show_mapping(integration, mapping), as_json)


def reason_option(default: str | None = None) -> Callable[[Any], Any]:
    """Give a command `--reason`."""
    given: dict[str, Any] = (
        {"required": True} if default is None else {"default": default, "show_default": True}
    )
    return click.option(
        "--reason", help="Why the mapping becomes as it will be.", **given,
        type=click.Choice(
            ["new_integration", "field_change", "model_update", "optimization", "troubleshooting"]
        ),
    )  # fmt: skip


@mappings.command(
    example="edgekit mappings add vehicle-data source_path=Trim target_path=trim_level"
    ' \'transformation_rules={"type": "trim"}\''
)
@click.argument("integration")
@click.argument("pairs", metavar="FIELD=VALUE...", nargs=-1, required=True)
@reason_option("new_integration")
@json_option
@opened
def add(integration: str, pairs: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Add a mapping: source_path, target_path, target_data_type, is_required and so on."""
    from edgekit import integrations

    show(integrations.add_mapping(integration, _read(pairs), reason=reason), as_json)


@mappings.command(
    "set", example="edgekit mappings set vehicle-data model_year source_path=Year --reason field_change"
)
@click.argument("integration")
@click.argument("mapping")
@click.argument("pairs", metavar="FIELD=VALUE...", nargs=-1, required=True)
@reason_option()
@json_option
@opened
def set_mapping(integration: str, mapping: str, pairs: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Change fields of a mapping, as its next version; FIELD= empties one."""
    from edgekit import integrations

    show(integrations.set_mapping(integration, mapping, _read(pairs), reason=reason), as_json)


@mappings.command(example="edgekit mappings retire vehicle-data trim_level --reason model_update")
@click.argument("integration")
@click.argument("mapping")
@reason_option()
@json_option
@opened
def retire(integration: str, mapping: str, reason: str, as_json: bool) -> None:
    """Let a mapping take no part any more; it stays, and `mappings rollback` brings it back."""
    from edgekit import integrations

    integrations.retire_mapping(integration, mapping, reason=reason)
    show({"mapping": mapping, "retired": True} if as_json else f"Retired {mapping}.", as_json)


@mappings.command("versions", example="edgekit mappings versions vehicle-data")
@click.argument("integration")
@json_option
@reading
def versions(integration: str, as_json: bool) -> None:
    """List the versions of all mappings of an integration together, as `--mapping-version` names them."""
    from edgekit import integrations

    show(integrations.list_mapping_versions(integration), as_json, view=_versions_line)


def _versions_line(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in ("version", "at", "actor", "reason", "mappings")}


@mappings.command(example="edgekit mappings history vehicle-data model_year")
@click.argument("integration")
@click.argument("mapping")
@json_option
@reading
def history(integration: str, mapping: str, as_json: bool) -> None:
    """List the versions of a mapping, the newest first: who, when, why, which fields."""
    from edgekit import integrations

    show(integrations.mapping_history(integration, mapping), as_json, view=_version)


def _version(found: Any) -> dict[str, Any]:
    return {
        "version": found.version, "at": found.at, "actor": found.actor or "another tool",
        "why": found.change_reason, "reason": found.reason, "fields": ", ".join(found.keys),
        "active": found.is_active,
    }  # fmt: skip


@mappings.command(example="edgekit mappings diff vehicle-data model_year 1 2")
@click.argument("integration")
@click.argument("mapping")
@click.argument("old", metavar="V1", type=int)
@click.argument("new", metavar="V2", type=int)
@json_option
@reading
def diff(integration: str, mapping: str, old: int, new: int, as_json: bool) -> None:
    """Show the fields that two versions of a mapping say differently."""
    from edgekit import integrations

    show(integrations.diff_mapping(integration, mapping, old, new), as_json, empty="They say the same.")


@mappings.command(example="edgekit mappings rollback vehicle-data model_year 1")
@click.argument("integration")
@click.argument("mapping")
@click.argument("version", type=int)
@reason_option("troubleshooting")
@json_option
@opened
def rollback(integration: str, mapping: str, version: int, reason: str, as_json: bool) -> None:
    """Let a mapping say what an earlier version said, as a new version."""
    from edgekit import integrations

    show(integrations.rollback_mapping(integration, mapping, version, reason=reason), as_json)


def _read(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Take FIELD=VALUE apart: rules are JSON, is_required is yes or no, nothing is None, all else text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, text = split_pair(pair, form="FIELD=VALUE, such as target_path=vin", where="FIELD")
        found[name] = _value(name, text) if text else None
    return found


def _value(name: str, text: str) -> Any:
    if name == "is_required":
        known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in known:
            raise InvalidError(f"is_required is yes or no, not {text}.")
        return known[text.lower()]
    if not name.endswith("_rules"):
        return text
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    raise InvalidError(f'{name} is a JSON object, such as {{"type": "trim"}}.')


@mappings.command(
    example="edgekit mappings approve vehicle-data --all --note 'Reviewed with the agency'\n"
    "edgekit mappings approve vehicle-data vin --kind technical_review --kind data_owner"
)
@click.argument("integration")
@click.argument("mapping", nargs=-1)
@click.option(
    "--kind", "kinds", multiple=True, help="What is approved; may be repeated.",
    type=click.Choice(["technical_review", "data_owner", "security_validation", "testing_sign_off"]),
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="All four kinds.")
@click.option("--note", metavar="TEXT", help="The evidence, or why not.")
@click.option("--reject", is_flag=True, help="Take the newest version back instead.")
@json_option
@opened
def approve(
    integration: str, mapping: tuple[str, ...], kinds: tuple[str, ...], every: bool, note: str | None,
    reject: bool, as_json: bool,
) -> None:  # fmt: skip
    """Approve mappings, with the pipeline's steps around them; all that wait if none is named."""
    from edgekit import integrations
    from edgekit.integrations.live import KINDS

    if bool(kinds) == every:
        raise click.UsageError("Say what is approved: --kind KIND, which may be repeated, or --all.")
    found = integrations.approve(
        integration, mapping, kinds=KINDS if every else kinds, reject=reject, note=note
    )
    show(found, as_json, view=_approvals, empty="All mappings are approved already.")


@mappings.command(example="edgekit mappings approvals vehicle-data")
@click.argument("integration")
@json_option
@opened
def approvals(integration: str, as_json: bool) -> None:
    """Show which version of each mapping is live, and what the newest lacks to go live in production."""
    from edgekit import integrations

    show(
        integrations.list_approvals(integration), as_json, view=_approvals,
        empty="There is no mapping yet. An import without mappings learns them in its first run.",
    )  # fmt: skip


def _approvals(one: Any) -> dict[str, Any]:
    return {
        "mapping": one.mapping, "version": one.version, "live": one.live_version or "no",
        "by": one.live_by, "missing for production": ", ".join(one.missing) or "nothing", "tests": one.tests,
        "rejected": ", ".join(one.rejected), "steps": "changed" if one.steps_changed else "",
    }  # fmt: skip
