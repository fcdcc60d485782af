"""The templates of integrations: `templates list`, `show`, `upgrade`, `certify`, `export`, `import`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading
from edgekit.cli.show import show
from edgekit.errors import ConflictError, InvalidError, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

acknowledge_option = click.option(
    "--acknowledge", is_flag=True, help="What the template asks for beforehand is there."
)
_DRY = click.option("--dry-run", is_flag=True, help="Show what would come of it; change nothing.")
_YES = click.option("--yes", is_flag=True, help="Do not ask first.")


def acknowledged(prerequisites: Sequence[str], given: bool) -> bool:
    """Say whether prerequisites are acknowledged: by the option, else by whoever sits at the terminal."""
    if given or not prerequisites or not sys.stdin.isatty():
        return given
    click.echo("It needs beforehand:\n" + "\n".join(f"  - {text}" for text in prerequisites), err=True)
    return click.confirm("Is all of that there?", err=True)


@click.group(cls=Group)
def templates() -> None:
    """Look at templates, upgrade what was made from them, certify and share them."""


@templates.command("list", example="edgekit integrations templates list")
@click.option("--all-versions", is_flag=True, help="Every version, not only the newest.")
@json_option
@reading
def list_templates(all_versions: bool, as_json: bool) -> None:
    """List the templates, the newest version of each."""
    from edgekit import integrations as lib

    view = ("code", "version", "template_name", "description")
    show(lib.list_templates(all_versions=all_versions), as_json, view=lambda row: {n: row[n] for n in view})


@templates.command("show", example="edgekit integrations templates show csv-import")
@click.argument("code", metavar="CODE[@VERSION]")
@json_option
@reading
def show_template(code: str, as_json: bool) -> None:
    """Show a template whole: its connection, mappings, pipeline, tests and what it needs beforehand."""
    from edgekit import integrations as lib

    show(lib.show_template(code), as_json)


@templates.command(example="edgekit integrations templates versions csv-import")
@click.argument("code")
@json_option
@reading
def versions(code: str, as_json: bool) -> None:
    """List the versions of a template, the newest first, and how many integrations have each."""
    from edgekit import integrations as lib

    show(lib.list_template_versions(code), as_json)


@templates.command(example="edgekit integrations templates diff csv-import 1.0.0 1.1.0")
@click.argument("code")
@click.argument("old", metavar="V1")
@click.argument("new", metavar="V2")
@json_option
@reading
def diff(code: str, old: str, new: str, as_json: bool) -> None:
    """Show what two versions of a template say differently."""
    from edgekit import integrations as lib

    show(lib.diff_templates(code, old, new), as_json, view=_change, empty="They make the same integration.")


def _change(part: Any) -> dict[str, Any]:
    return {"part": part.part, "before": part.template_before, "after": part.template_now}


@templates.command("test", example="edgekit integrations templates test csv-import")
@click.argument("code", metavar="CODE[@VERSION]")
@json_option
@opened
def test_template(code: str, as_json: bool) -> None:
    """Try a template on the records and rows of its test suite. Exits with 4 if one fails."""
    from edgekit import runner

    found = runner.try_template(code)
    show(found, as_json, view=_tried, empty="It has no tests.")
    if any(test.status == "failed" for test in found):
        click.get_current_context().exit(4)


def _tried(test: Any) -> dict[str, Any]:
    return {"test": test.name, "status": test.status, "message": test.message}


@templates.command(
    example="edgekit integrations templates upgrade vehicle-data --dry-run\n"
    "edgekit integrations templates upgrade --all vpic-vin-decode --yes"
)
@click.argument("name", required=False)
@click.option("--all", "code", metavar="CODE", help="Everything that was made from this template.")
@click.option("--to", metavar="VERSION", help="To this version; without it to the newest.")
@click.option(
    "--take", metavar="[PART=]SIDE", multiple=True,
    help="Settle conflicts: template or mine for all, PART=template or PART=mine for one; may be repeated.",
)  # fmt: skip
@acknowledge_option
@_DRY
@_YES
@json_option
@opened
def upgrade(
    name: str | None, code: str | None, to: str | None, take: tuple[str, ...], acknowledge: bool,
    dry_run: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Bring an integration to a newer version of its template: shown first, tried before it is kept.

    What was customised stays. Nothing is changed where both sides changed the same, or a test fails.
    """
    from edgekit import runner

    if (name is None) == (code is None):
        raise click.UsageError("Name an integration, or --all with the code of a template.")
    sides = _sides(take)

    def go(*, dry: bool, known: bool) -> list[Any]:
        if code is not None:
            return runner.upgrade_all(code, to=to, take=sides, acknowledge=known, dry_run=dry)
        return [runner.upgrade(str(name), to=to, take=sides, acknowledge=known, dry_run=dry)]

    found = go(dry=True, known=True)
    ready = [result for result in found if result.status == "would_upgrade"]
    if ready and not dry_run:
        needed = list(dict.fromkeys(text for result in ready for text in result.prerequisites))
        known = acknowledged(needed, acknowledge)
        _ask(found, yes, "upgrade")
        found = go(dry=False, known=known)
    _show_upgrades(found, as_json, one=code is None)


def _sides(take: Sequence[str]) -> dict[str, str]:
    sides = {}
    for text in take:
        part, _, side = text.rpartition("=")
        if side not in {"template", "mine"}:
            raise click.BadParameter("Write template, mine, PART=template or PART=mine.", param_hint="--take")
        sides[part or "*"] = side
    return sides


def _ask(found: Sequence[Any], yes: bool, verb: str) -> None:
    """Go on only where somebody has agreed to what was shown."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidError(
            f"Nothing was changed: look at it with --dry-run, then {verb} with --yes.",
        )
    for result in found:
        show(result, as_json=False, view=_upgrade)
    click.confirm("Do it?", abort=True, err=True)


def _show_upgrades(found: Sequence[Any], as_json: bool, *, one: bool) -> None:
    """Show what came of each; end with an error where one is not as it should be."""
    if one:
        show(found[0], as_json, view=_upgrade)
        if found[0].error is not None:
            raise found[0].error
        return
    show(found, as_json, view=_line, empty="Nothing was made from it.")
    failed = [result for result in found if result.error is not None]
    if failed:
        raise ConflictError(
            f"{len(failed)} of {len(found)} stay as they are; the first is {failed[0].integration}:"
            f" {failed[0].error.message}",
            hint=failed[0].error.hint,
        )


def _line(result: Any) -> dict[str, Any]:
    count = {outcome: sum(part.outcome == outcome for part in result.parts) for outcome in _OUTCOMES}
    return {
        "integration": result.integration, "from": result.from_version, "to": result.to_version,
        "status": result.status, **count,
        "tests": f"{sum(test.status == 'passed' for test in result.tests)}/{len(result.tests)}",
    }  # fmt: skip


_OUTCOMES = ("follows", "kept", "conflict")


def _upgrade(result: Any) -> dict[str, Any]:
    shown = [
        {"part": p.part, "outcome": p.outcome, "template had": p.template_before, "yours": p.mine,
         "template has": p.template_now}
        if p.outcome != "differs"
        else {"part": p.part, "now": p.template_before, "then": p.template_now,
              **({"note": p.note} if p.note else {})}
        for p in result.parts
    ]  # fmt: skip
    tests = [{"what": t.kind, "test": t.name, "status": t.status, "message": t.message} for t in result.tests]
    return {
        "integration": result.integration,
        "template": f"{result.template} {result.from_version} -> {result.to_version}",
        "status": result.status, "changes": shown, **({"tests": tests} if tests else {}),
    }  # fmt: skip


@templates.command(example="edgekit integrations templates rollback vehicle-data --yes")
@click.argument("name")
@_DRY
@_YES
@json_option
@opened
def rollback(name: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take the last upgrade of an integration back: settings, mappings, pipeline and version of before."""
    from edgekit import runner

    found = runner.roll_back_upgrade(name, dry_run=True)
    if not dry_run:
        _ask([found], yes, "roll back")
        found = runner.roll_back_upgrade(name)
    show(found, as_json, view=_upgrade)


@templates.command(
    example='edgekit integrations templates certify vpic-vin-decode --note "ran a month in the pilot agency"'
)
@click.argument("code", metavar="CODE[@VERSION]")
@click.option("--note", metavar="TEXT", required=True, help="The evidence, or why it is withdrawn.")
@click.option("--withdraw", is_flag=True, help="Take the certification back.")
@json_option
@opened
def certify(code: str, note: str, withdraw: bool, as_json: bool) -> None:
    """Vouch for a template version: its own tests must pass, and who, when and why is kept."""
    from edgekit import runner

    found = runner.withdraw_certification(code, note=note) if withdraw else runner.certify(code, note=note)
    view = ("code", "version", "is_certified", "certified_by", "certification_date")
    show(found, as_json, view=lambda row: {name: row[name] for name in view})


@templates.command(
    "export", example="edgekit integrations templates export vpic-vin-decode --output vpic.json"
)
@click.argument("code", metavar="CODE[@VERSION]")
@click.option("--output", metavar="FILE", help="A new file; without it, standard output.")
@json_option
@opened
def export_template(code: str, output: str | None, as_json: bool) -> None:
    """Write a template as one signed file, for others to import. It never holds a secret."""
    from edgekit import integrations as lib
    from edgekit.configuration.exchange import write_export

    document = lib.export_template(code)
    if output is None:
        show(document, as_json=True)
        return
    path = write_export(document, output)
    by = document.get("signed_by")
    signed = f"signed by {by}" if by else f"not signed; its checksum is {document['checksum']}"
    template = document["template"]
    summary = {"file": str(path), "signed_by": by, "checksum": document["checksum"]}
    show(
        summary if as_json else f"Wrote {template['code']} {template['version']} to {path}, {signed}.",
        as_json,
    )


@templates.command("import", example="edgekit integrations templates import csv.json --dry-run")
@click.argument("file", metavar="FILE")
@click.option("--trust", metavar="NAME", help="The key that signed it; if nobody did, the checksum.")
@_DRY
@json_option
@opened
def import_template(file: str, trust: str | None, dry_run: bool, as_json: bool) -> None:
    """Take a template over from a file, after its signature, its content and its signer are looked at."""
    from edgekit import integrations as lib

    found = lib.import_template(file, trust=trust, dry_run=dry_run)
    note = None
    if found.outcome == "added":
        note = f"Try it: edgekit integrations templates test {quoted(f'{found.code}@{found.version}')}"
    show(found, as_json, note=note)
