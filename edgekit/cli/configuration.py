"""What is configured, at which level: `configuration set`, `get`, `explain`, `history` and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, place_options, reading
from edgekit.cli.show import show

if TYPE_CHECKING:
    from collections.abc import Callable

scope_option = click.option(
    "--scope", metavar="LEVEL[:CODE]", default="system", show_default=True,
    help="Where: system, organization, program, producer, entity or user, with the code of which.",
)  # fmt: skip


def at_scope(body: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--scope` and `--organization`."""
    organization = click.option(
        "--organization", metavar="CODE", help="Whose, where several organizations have the code."
    )
    return scope_option(organization(body))


@click.group(cls=Group)
def configuration() -> None:
    """Set what varies by program, producer, entity or user, and ask what counts and why."""


@configuration.command(
    "set", example="edgekit configuration set DCS_LIMITS requests_per_minute 50 --scope program:AUTO"
)
@click.argument("kind", metavar="TYPE")
@click.argument("key")
@click.argument("value")
@at_scope
@json_option
@opened
def set_key(kind: str, key: str, value: str, scope: str, organization: str | None, as_json: bool) -> None:
    """Set one key: VALUE is JSON if it parses as that, else text. Before a negative number write --."""
    from edgekit import configuration as lib

    _written(lib.set(kind, key, lib.read_value(value), scope=scope, organization=organization), as_json)


@configuration.command(
    "unset", example="edgekit configuration unset DCS_LIMITS requests_per_minute --scope program:AUTO"
)
@click.argument("kind", metavar="TYPE")
@click.argument("key")
@at_scope
@json_option
@opened
def unset_key(kind: str, key: str, scope: str, organization: str | None, as_json: bool) -> None:
    """Take one key back, so that what is set further up counts again."""
    from edgekit import configuration as lib

    _written(lib.unset(kind, key, scope=scope, organization=organization), as_json)


def _written(result: Any, as_json: bool) -> None:
    if as_json:
        show(result, as_json)
    elif result.keys:
        keys = ", ".join(result.keys)
        show(f"{result.type} for {result.scope}: {keys} (version {result.version}).", as_json)
    else:
        show(f"{result.type} for {result.scope} says so already (version {result.version}).", as_json)


@configuration.command("get", example="edgekit configuration get DCS_LIMITS --program AUTO --json")
@click.argument("kind", metavar="TYPE")
@click.argument("key", required=False)
@place_options
@json_option
@reading
def get_value(kind: str, key: str | None, as_json: bool, **place: str | None) -> None:
    """Show what counts at a place: one key, or all of them with their defaults."""
    from edgekit import configuration as lib

    value = lib.resolve(kind, **place) if key is None else lib.get(kind, key, **place)
    if as_json:
        show({"value": value}, as_json)
    elif key is None:
        rows = [{"key": name, "value": _cell(item)} for name, item in sorted(value.items())]
        show(rows, as_json, empty="Nothing is set.")
    else:
        show(_cell(value), as_json)


def _cell(value: Any) -> str:
    """Write a value as one would type it: text as it is, all else as JSON."""
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@configuration.command(example="edgekit configuration explain DCS_LIMITS requests_per_minute --program AUTO")
@click.argument("kind", metavar="TYPE")
@click.argument("key")
@place_options
@json_option
@reading
def explain(kind: str, key: str, as_json: bool, **place: str | None) -> None:
    """Show every value on the way, the narrowest first: who set it and when, and why it counts or not."""
    from edgekit import configuration as lib

    found = lib.explain(kind, key, **place)
    if as_json:
        show(found, as_json)
        return
    is_now = f"is {_cell(found.value)}" if found.is_set else "has no value"
    note = f"{found.type} {found.key} {is_now}, along {found.chain}."
    show(list(found.candidates), as_json, view=_candidate_line, empty="Nobody sets it.", note=note)


def _candidate_line(candidate: Any) -> dict[str, Any]:
    return {
        "scope": candidate.scope,
        "value": _cell(candidate.value),
        "outcome": candidate.outcome,
        "why": candidate.why,
        "set_by": candidate.set_by,
        "set_at": candidate.set_at,
    }


@configuration.command(example="edgekit configuration history DCS_LIMITS --scope program:AUTO")
@click.argument("kind", metavar="TYPE")
@at_scope
@json_option
@reading
def history(kind: str, scope: str, organization: str | None, as_json: bool) -> None:
    """List the versions of what is set at one place, the newest first: who, when, why, which keys."""
    from edgekit import configuration as lib

    found = lib.history(kind, scope=scope, organization=organization)
    show(found, as_json, view=_version_line, empty="Nothing was ever set there.")


def _version_line(version: Any) -> dict[str, Any]:
    return {
        "version": version.version,
        "at": version.at,
        "actor": version.actor or "another tool",
        "reason": version.reason,
        "keys": ", ".join(version.keys),
        "state": None if version.is_active else "retired",
    }


@configuration.command(example="edgekit configuration diff DCS_LIMITS 1 2 --scope program:AUTO")
@click.argument("kind", metavar="TYPE")
@click.argument("old", metavar="V1", type=int)
@click.argument("new", metavar="V2", type=int)
@at_scope
@json_option
@reading
def diff(kind: str, old: int, new: int, scope: str, organization: str | None, as_json: bool) -> None:
    """Show the keys that two versions say differently."""
    from edgekit import configuration as lib

    found = lib.diff(kind, old, new, scope=scope, organization=organization)
    show(found, as_json, view=_difference_line, empty="They say the same.")


def _difference_line(found: Any) -> dict[str, Any]:
    return {
        "key": found.key,
        "old": _cell(found.old) if found.old_is_set else "(not set)",
        "new": _cell(found.new) if found.new_is_set else "(not set)",
    }


@configuration.command(example="edgekit configuration rollback DCS_LIMITS 1 --scope program:AUTO")
@click.argument("kind", metavar="TYPE")
@click.argument("version", type=int)
@at_scope
@json_option
@opened
def rollback(kind: str, version: int, scope: str, organization: str | None, as_json: bool) -> None:
    """Set again what an earlier version said, as a new version."""
    from edgekit import configuration as lib

    _written(lib.rollback(kind, version, scope=scope, organization=organization), as_json)


@configuration.command(
    "export", example="edgekit configuration export --scope program:AUTO --output auto.json"
)
@at_scope
@click.option("--output", metavar="FILE", help="Write it there instead of printing it.")
@reading
def export_scope(scope: str, organization: str | None, output: str | None) -> None:
    """Print what is set at one place, of every type, as one JSON document."""
    from edgekit import configuration as lib

    document = lib.export_scope(scope, organization=organization)
    if output is None:
        show(document, as_json=True)
    else:
        lib.write_export(document, output)
        count = len(document["documents"])
        types = "1 type is" if count == 1 else f"{count} types are"
        show(f"{types} in {output}, as set for {document['scope']}.", as_json=False)


@configuration.command(
    "import", example="edgekit configuration import auto.json --scope program:HOME --dry-run"
)
@click.argument("file")
@click.option("--scope", metavar="LEVEL[:CODE]", help="Where to.  [default: where it came from]")
@click.option("--organization", metavar="CODE", help="Whose, where several organizations have the code.")
@click.option("--dry-run", is_flag=True, help="Check it and say what would change, and change nothing.")
@json_option
@opened
def import_scope(
    file: str, scope: str | None, organization: str | None, dry_run: bool, as_json: bool
) -> None:
    """Set what an exported FILE says: all of it, or where anything is wrong nothing."""
    from edgekit import configuration as lib

    found = lib.import_scope(file, scope=scope, organization=organization, dry_run=dry_run)
    if as_json:
        show(found, as_json)
        return
    rows = [
        {"type": one.type, "keys": ", ".join(one.keys), "version": one.version or None}
        for one in found.written
    ]
    note = "Nothing was changed: this was a dry run." if dry_run else None
    show(rows, as_json, empty=f"{found.scope} says so already.", note=note)


@configuration.command("types", example="edgekit configuration types")
@json_option
@reading
def list_types(as_json: bool) -> None:
    """List the types of configuration, their keys, and the levels they may be set at."""
    from edgekit import configuration as lib

    rows = [
        {
            "code": kind.code, "name": kind.name,
            "description": kind.description,
            "is_active": kind.is_active, "levels": list(kind.levels),
            "keys": list(kind.keys), "schema": dict(kind.schema),
        }
        for kind in lib.list_types()
    ]  # fmt: skip
    show(rows, as_json, view=_type_line)


def _type_line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": row["code"],
        "description": row["description"],
        "levels": ", ".join(row["levels"]),
        "keys": ", ".join(row["keys"]),
        "state": None if row["is_active"] else "retired",
    }
