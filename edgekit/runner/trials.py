"""Trying an integration as it is: whether it can run, and does what tests say, its own and its template's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db, integrations
from edgekit.errors import EdgekitError
from edgekit.integrations import form_rows, forms, reading, templates
from edgekit.runner import template_tests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Tried:
    """One test of an integration: `readiness`, a `mapping test` of its own, or a `template test`."""

    kind: str
    name: str
    status: str
    message: str | None = None


def test_integration(name: str) -> list[Tried]:
    """Try an integration whole, asking nothing of the other side and writing no record.

    First whether it can be prepared for a run, then the tests of its mappings, whose results are stored, then
    the test suite of the template version it was made from, as far as its own mappings leave that as it was.
    Raise NotFoundError.
    """
    row = reading.find(name)
    problem = refusal(row["id"])
    tried = [Tried("readiness", row["integration_name"], "failed" if problem else "passed", problem)]
    sql = "SELECT template_id FROM integration_template_instance WHERE integration_id = ?"
    found = db.query(sql, (row["id"],))
    if problem is None:
        template = templates.read_template(found[0]["template_id"]) if found else None
        tried += try_form(row, form_rows.read(row["id"]), template, None)
    return tried


def refusal(integration_id: int) -> str | None:
    """Say why an integration cannot be prepared for a run as it is; None if it can."""
    pipeline = reading.pipeline_of(integration_id)
    if pipeline["id"] is None:
        return None
    try:
        integrations.prepare_pipeline(pipeline["id"])
    except EdgekitError as error:
        return error.message
    return None


def try_form(
    row: Mapping[str, Any], form: forms.Form, template: Mapping[str, Any] | None, before: str | None
) -> Iterator[Tried]:
    """Try what an integration has become: whether it can run, its mapping tests, its template's suite.

    `before` says what kept it from running already.
    """
    problem = refusal(row["id"])
    if problem is not None and before is None:
        yield Tried("readiness", row["integration_name"], "failed", problem)
        return
    for test in integrations.run_mapping_tests(row["integration_name"]):
        if test.test_status != "skipped":
            label = f"{test.mapping}: {test.test_name}"
            yield Tried("mapping test", label, test.test_status, test.error_message)
    if template is None:
        return
    pipeline = reading.pipeline_of(row["id"])
    for suite_test in template_tests.try_instance(template, pipeline["id"], own_targets(form, template)):
        yield Tried("template test", suite_test.name, suite_test.status, suite_test.message)


def own_targets(form: forms.Form, template: Mapping[str, Any]) -> set[str]:
    """Name the targets a form maps otherwise than a template does."""
    theirs = forms.of_template(template)["mappings"]
    both = {**theirs, **form["mappings"]}
    differing = [
        name
        for name in both
        if not forms.same(theirs.get(name, forms.GONE), form["mappings"].get(name, forms.GONE))
    ]
    return {
        side[name]["target_path"] for name in differing for side in (theirs, form["mappings"]) if name in side
    }
