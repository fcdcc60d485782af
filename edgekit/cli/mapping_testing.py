"""Whether mappings do what they should: `mappings test`, `generate-tests` and `confirm-tests`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Command
from edgekit.cli.options import json_option, opened
from edgekit.cli.show import show
from edgekit.errors import InvalidError, quoted

_EMPTY = "There is no test. Have some proposed: edgekit mappings generate-tests NAME"


@click.command(
    "test", cls=Command,
    example="edgekit mappings test vehicle-data\nedgekit mappings test vehicle-data --summary --json\n"
    "edgekit mappings test vehicle-data --history",
)  # fmt: skip
@click.argument("integration", required=False)
@click.option(
    "--summary", is_flag=True, help="Sum up: what fails now and did not, what passes, what is slower."
)
@click.option("--history", is_flag=True, help="Show the results tests have had instead; none is tried.")
@json_option
@opened
def test_mappings(integration: str | None, summary: bool, history: bool, as_json: bool) -> None:
    """Try the mappings on their tests, beside the last results. Exits with 4 if one fails."""
    from edgekit import integrations

    if history:
        if integration is None:
            raise click.UsageError("Say whose history: edgekit mappings test NAME --history.")
        show(
            integrations.mapping_test_history(integration),
            as_json,
            view=_past,
            empty="Nothing was tried yet.",
        )
        return
    found = integrations.run_mapping_tests(integration)
    suite = integrations.summarise(found)
    if as_json:
        show(suite if summary else found, as_json)
    else:
        if not summary:
            show(found, as_json, view=_line, empty=_EMPTY)
        if found:
            show(_summed(suite), as_json)
    failed = [test for test in found if test.test_status == "failed"]
    if failed:
        first = failed[0]
        raise InvalidError(
            f"{len(failed)} of {len(found)} tests failed; the first: {first.mapping}, {first.test_name}:"
            f" {first.error_message}"
        )


def _line(test: Any) -> dict[str, Any]:
    names = ("integration", "mapping", "test_name", "test_type", "test_status")
    last = "; ".join(f"{one['column']}: {one['last']!r} > {one['now']!r}" for one in test.differences)
    told = {name: getattr(test, name) for name in names}
    return {**told, "since last time": test.change.replace("_", " "), "differences": last,
            "ms": test.execution_time_ms, "error_message": test.error_message}  # fmt: skip


def _past(one: dict[str, Any]) -> dict[str, Any]:
    names = ("at", "mapping", "test_name", "test_status", "execution_time_ms", "error_message")
    return {name: one[name] for name in names}


def _summed(suite: Any) -> str:
    """Say a run of tests in a few lines."""
    skipped = f", {suite.skipped} skipped" if suite.skipped else ""
    lines = [f"\n{suite.passed} passed, {suite.failed} failed{skipped}, in {suite.took_ms} ms."]
    lines += [
        f"{what.replace('_', ' ').capitalize()}: {'; '.join(getattr(suite, what))}"
        for what in ("newly_failing", "newly_passing", "changed", "slower") if getattr(suite, what)
    ]  # fmt: skip
    return "\n".join(lines)


@click.command(
    "generate-tests", cls=Command,
    example="edgekit mappings generate-tests vehicle-data\n"
    "edgekit mappings generate-tests vehicle-data --sample answer.json --apply",
)  # fmt: skip
@click.argument("integration")
@click.option("--sample", metavar="FILE", help="Records whose values are the usual ones.")
@click.option("--apply", "apply_them", is_flag=True, help="Store them, to be confirmed.")
@json_option
@opened
def generate_tests(integration: str, sample: str | None, apply_them: bool, as_json: bool) -> None:
    """Propose tests: null, missing, wrong type, bounds, extremes; what is expected is what happens now."""
    from edgekit import integrations

    found = integrations.generate_tests(integration, sample=sample, apply=apply_them)
    look = f"Look at what they expect, then: edgekit mappings confirm-tests {quoted(integration)}"
    note = look if apply_them else "Nothing was stored. Store them with --apply."
    show(found, as_json, view=_case, empty="There is nothing to add.", note=note if found else None)


def _case(one: Any) -> dict[str, Any]:
    names = ("mapping", "test_name", "input_data", "expected_output")
    return {name: getattr(one, name) for name in names[:2]} | {
        name: str(getattr(one, name))[:80] for name in names[2:]
    }


@click.command(
    "confirm-tests", cls=Command,
    example="edgekit mappings confirm-tests vehicle-data\nedgekit mappings confirm-tests vehicle-data vin",
)  # fmt: skip
@click.argument("integration")
@click.argument("mapping", nargs=-1)
@json_option
@opened
def confirm_tests(integration: str, mapping: tuple[str, ...], as_json: bool) -> None:
    """Say that generated tests expect what is right; from then on they are tried."""
    from edgekit import integrations

    number = integrations.confirm_tests(integration, mapping)
    said = f"{number} tests are confirmed. Try them: edgekit mappings test {quoted(integration)}"
    show({"integration": integration, "confirmed": number} if as_json else said, as_json)
