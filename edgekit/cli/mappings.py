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


def _line(test: Any) -> dict[str, Any]:
    names = ("integration", "mapping", "test_name", "test_type", "test_status", "error_message")
    return {name: getattr(test, name) for name in names}
