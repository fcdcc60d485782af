"""How fields become columns: `mappings list` and `test`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading
from edgekit.cli.show import show
from edgekit.errors import InvalidError


@click.group(cls=Group)
def mappings() -> None:
    """Look at how fields become columns, and try it."""


@mappings.command("list", example="edgekit mappings list vehicle-data")
@click.argument("integration", required=False)
@json_option
@reading
def list_mappings(integration: str | None, as_json: bool) -> None:
    """List the mappings, with how many tests each has and how much they cover."""
    from edgekit import integrations

    empty = "There is no mapping yet. An import without mappings learns them in its first run."
    show(integrations.list_mappings(integration), as_json, empty=empty)


@mappings.command("test", example="edgekit mappings test vehicle-data")
@click.argument("integration", required=False)
@json_option
@opened
def test_mappings(integration: str | None, as_json: bool) -> None:
    """Try the mappings on their tests and note what came of each. Exits with 4 if one fails."""
    from edgekit import integrations

    found = integrations.run_mapping_tests(integration)
    empty = "There is no test. Add one: edgekit integration-mapping-tests add …"
    show(found, as_json, view=_line, empty=empty)
    failed = [test for test in found if test.test_status == "failed"]
    if failed:
        first = failed[0]
        raise InvalidError(
            f"{len(failed)} of {len(found)} tests failed; the first: {first.mapping}, {first.test_name}:"
            f" {first.error_message}"
        )


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
    """Approve the newest version of mappings, all that are not live if none is named."""
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
        "rejected": ", ".join(one.rejected),
    }  # fmt: skip


def _line(test: Any) -> dict[str, Any]:
    names = ("integration", "mapping", "test_name", "test_type", "test_status", "error_message")
    return {name: getattr(test, name) for name in names}
