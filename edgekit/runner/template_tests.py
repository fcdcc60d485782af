"""Trying a template, or what an integration made from it became, on the records and rows of its test suite.

The steps of a run take the records; nothing is asked of the other side, and nothing stays written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import integrations
from edgekit.errors import EdgekitError
from edgekit.integrations import forms, instances, reading, tables, templates
from edgekit.integrations.steps import asking
from edgekit.runner.transform import Batch
from edgekit.runner.undoing import undone
from edgekit.runner.work import Work

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edgekit.integrations.plan import Plan

NAME = "~tried template"
"""What the integration is called that a template is tried as; it never stays."""


@dataclass(frozen=True, slots=True)
class SuiteTest:
    """A test of a template's suite and how it went: `passed`, or `failed` with what is not as expected.

    `not_compared` names columns the integration fills in a way of its own.
    """

    name: str
    status: str
    message: str | None = None
    not_compared: tuple[str, ...] = ()


def try_template(code: str) -> list[SuiteTest]:
    """Try a template on its test suite and return what came of each test; none where it has no suite.

    Each test is {"name", "settings", "records", "rows"}: an integration made with these settings maps the
    records to these rows, column by column; of a row only what it names is compared, and a record that is
    to be refused gives {"$error": code}, one a step takes out {"$filtered": true}. Steps that ask another
    integration are left out. Raise NotFoundError, InvalidError for a suite of another shape.
    """
    source = templates.show_template(code)
    return [_try_alone(source, test) for test in forms.suite(source)]


def try_instance(source: Mapping[str, Any], pipeline_id: int, own: Collection[str]) -> list[SuiteTest]:
    """Try the suite of a template on an integration made from it, in the open change.

    `own` are the targets that integration maps in a way of its own: they are not compared, and a record they
    refuse is not held against the template. A template without mappings is tried by itself.
    """
    tests = forms.suite(source)
    if not source["mapping_templates"].get("mappings"):
        return [_try_alone(source, test) for test in tests]
    return [_judge(test, lambda: integrations.prepare_pipeline(pipeline_id), own) for test in tests]


def _try_alone(source: Mapping[str, Any], test: dict[str, Any]) -> SuiteTest:
    def prepare() -> Plan:
        form = instances.customised(source, {}, test.get("settings", {}))
        instances.check_settings(source["code"], form["settings"])
        made = instances.insert(NAME, source, form, {})
        return integrations.prepare_pipeline(reading.pipeline_of(made)["id"])

    return _judge(test, prepare, ())


def _judge(test: dict[str, Any], prepare: Any, own: Collection[str]) -> SuiteTest:
    name, found, told = str(test.get("name")), [], None
    with undone(f"templates test {name}"):
        try:
            found = _rows(prepare(), test["records"], own)
        except EdgekitError as error:
            told = error.message
    if told is None and len(found) != len(test["rows"]):
        told = f"{len(found)} rows came out, not {len(test['rows'])}."
    if told is None:
        pairs = enumerate(zip(found, test["rows"], strict=True), 1)
        told = next(filter(None, (_wrong(number, *pair, own) for number, pair in pairs)), None)
    compared = {column for row in test["rows"] for column in row}
    left_out = tuple(sorted(column for column in own if column in compared))
    return SuiteTest(name, "passed" if told is None else "failed", told, left_out)


def _rows(plan: Plan, records: list[Any], own: Collection[str]) -> list[dict[str, Any] | None]:
    """Take records one by one through the steps; None for one that the instance's own refused."""
    plan.config["path"] = "-"  # the records are given: no file is looked into for the types
    if plan.mapping is None and plan.to is None:
        tables.adopt(plan, records)
    return [_row(plan, record, own) for record in records]


def _row(plan: Plan, record: Any, own: Collection[str]) -> dict[str, Any] | None:
    batch = Batch(plan, [record], Work(plan))
    for step in plan.steps:
        if not asking([step]):  # nobody else is asked
            batch.take(step)
        if batch.outcome.filtered:
            return {"$filtered": True}
        if batch.outcome.failures:
            error = batch.outcome.failures[0].error
            return (
                None
                if getattr(error, "column", None) in own
                else {"$error": error.code, "$said": error.message}
            )
    return dict(batch.documents()[0])


def _wrong(
    number: int, row: dict[str, Any] | None, expected: dict[str, Any], own: Collection[str]
) -> str | None:
    """Say what is not as expected of a row; what else it has is nobody's business."""
    if row is None:
        return None
    if ("$filtered" in row) != ("$filtered" in expected):
        return f"Record {number} was {'taken out' if '$filtered' in row else 'not taken out'} by a step."
    refused, wanted = row.get("$error"), expected.get("$error")
    if refused != wanted:
        came = f"was refused ({refused}: {row['$said']})" if refused else "was not refused"
        return f"Record {number} {came}; expected was {wanted or 'a row'}."
    for column, value in expected.items():
        if column not in own and not forms.same(row.get(column, forms.GONE), value):
            came = repr(row[column]) if column in row else "left out"
            return f"Record {number}: {column} is {came}, not {value!r}."
    return None
