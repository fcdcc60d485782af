"""Trying mappings on their examples, and how much of what can happen to a field good examples have shown."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, jsonpath
from edgekit.audit.versions import states
from edgekit.errors import InvalidError, SkipRecordError
from edgekit.integrations import reading
from edgekit.integrations.plan import read_fields
from edgekit.mapping import ABSENT, compile_mapping
from edgekit.models.integrations import IntegrationMapping, IntegrationMappingTest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edgekit.mapping import FieldMapping

_VERSION = frozenset({"version"})


@dataclass(frozen=True, slots=True)
class MappingTest:
    """An example and what came of it. `actual_output` is `{"$error": code}` where the record was refused."""

    integration: str
    mapping: str
    test_name: str
    test_type: str
    test_status: str
    expected_output: dict[str, Any]
    actual_output: dict[str, Any] | None = None
    execution_time_ms: int | None = None
    error_message: str | None = None


def run_mapping_tests(name: str | None = None, *, now: datetime | None = None) -> list[MappingTest]:
    """Try the mappings of an integration, or of all, on their tests, and return what came of each.

    A test passes where each column it expects has the value it expects: of the field alone, or of the whole
    record for a test of type `integration`. That a record is refused is expected as `{"$error": code}`.
    Skipped tests stay so. Per integration, the outcomes and `test_coverage` of each mapping are written
    together. Raise NotFoundError, InvalidError for a mapping that cannot be compiled.
    """
    rows = reading.find_all() if name is None else [reading.find(name)]
    return [outcome for row in rows for outcome in _try_integration(row, now or clock.now())]


def tests_stand(integration_id: int) -> dict[int, str]:
    """Tell of each active mapping how its tests went: `passed`, `failed`, `pending` or `absent`.

    A test of type `integration` speaks for every mapping whose column it expects. Skipped ones say nothing;
    what was tried on an earlier version, or before it was edited, is pending.
    """
    mappings = db.query(
        "SELECT * FROM integration_mapping WHERE integration_id = ? AND status_id = 1", (integration_id,)
    )
    tests = db.query(
        "SELECT t.* FROM integration_mapping_test t JOIN integration_mapping m ON m.id = t.mapping_id"
        " WHERE m.integration_id = ? AND m.status_id = 1 AND t.status_id = 1 AND t.test_status <> 'skipped'",
        (integration_id,),
    )
    since = {row["id"]: _said_since(row) for row in mappings} if tests else {}
    found: dict[int, set[str]] = {row["id"]: set() for row in mappings}
    for test in tests:
        whole, expected = test["test_type"] == "integration", json.loads(test["expected_output"])
        speaks_for = [
            row["id"] for row in mappings
            if row["id"] == test["mapping_id"] or (whole and row["target_path"] in expected)
        ]  # fmt: skip
        changed = max(since[key] for key in (since if whole else speaks_for))
        stale = test["last_run_at"] is None or test["last_run_at"] < changed
        for key in speaks_for:
            found[key].add("pending" if stale else test["test_status"])
    order = ("failed", "pending", "passed")
    return {key: next((how for how in order if how in hows), "absent") for key, hows in found.items()}


def _said_since(row: dict[str, Any]) -> str:
    """Return since when a mapping says what it says."""
    first = next(states(db.connection(), "integration_mapping", row["id"], columns=_VERSION, row=row))
    return first.at


def _try_integration(row: dict[str, Any], now: datetime) -> list[MappingTest]:
    fields = {field.name: field for field in read_fields(row["id"], every=True)}
    mappings = IntegrationMapping.select().where(
        IntegrationMapping.integration == row["id"], IntegrationMapping.status == 1
    )
    outcomes: list[MappingTest] = []
    with db.change(reason=f"mappings test {row['integration_name']}"):
        for mapping in mappings:
            field = fields[mapping.mapping_name]
            ways: set[str] = set()
            tests = _tests(mapping.id)
            for test in tests:
                whole = test.test_type == "integration"
                _try(test, list(fields.values()) if whole else [field], _direction(field), now)
                if test.test_status == "passed":
                    ways |= _ways_of(field, test.input_data)
                outcomes.append(_told(row["integration_name"], mapping.mapping_name, test))
            coverage = _coverage(field, ways) if tests else None
            if mapping.test_coverage != coverage:
                mapping.test_coverage = coverage
                mapping.save()
    return outcomes


def _tests(mapping_id: int) -> list[IntegrationMappingTest]:
    table = IntegrationMappingTest
    return list(
        table.select().where(table.mapping == mapping_id, table.status == 1).order_by(table.test_name)
    )


def _try(test: IntegrationMappingTest, fields: Sequence[FieldMapping], direction: str, now: datetime) -> None:
    """Run a test and write its outcome."""
    if test.test_status == "skipped":
        return
    began = time.monotonic()
    actual, message = _mapped(fields, direction, test.input_data)
    took = round((time.monotonic() - began) * 1000)
    wrong = [
        column
        for column, value in test.expected_output.items()
        if column not in actual or actual[column] != value
    ]
    if "$error" in actual and "$error" not in test.expected_output:
        told = message
    elif wrong:
        told = f"{wrong[0]} is {_shown(actual, wrong[0])}, not {test.expected_output[wrong[0]]!r}."
    else:
        told = None
    test.test_status = "passed" if told is None else "failed"
    test.actual_output, test.error_message = actual, told
    test.execution_time_ms, test.last_run_at = took, now
    test.save()


def _shown(actual: dict[str, Any], column: str) -> str:
    return repr(actual[column]) if column in actual else "left out"


def _mapped(
    fields: Sequence[FieldMapping], direction: str, record: dict[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """Map a record; a refused one gives its error code, and why."""
    mapping = compile_mapping(fields, direction=direction)
    try:
        row = mapping.map(record)
    except SkipRecordError as error:
        return {"$error": error.code}, error.message
    found = zip(mapping.columns, row, strict=True)
    return {column: value for column, value in found if value is not ABSENT}, None


def _ways_of(field: FieldMapping, record: dict[str, Any]) -> set[str]:
    """Tell which way a field went: its `value` was written, `missing`, or `refused`, whatever followed."""
    try:
        found = jsonpath.find(field.source_path, record)
        is_missing = all(value is None or value == "" for value in found)
        strict = replace(field, error_handling="fail", is_required=False)
        compile_mapping([strict], direction=_direction(field)).map(record)
    except (SkipRecordError, InvalidError):
        return {"refused"}
    return {"missing" if is_missing else "value"}


def _direction(field: FieldMapping) -> str:
    return "outbound" if field.direction == "outbound" else "inbound"


def _coverage(field: FieldMapping, ways: set[str]) -> float:
    """Say how many per cent of the ways a field can go were gone by tests that passed."""
    may_refuse = field.target_data_type or field.transformation_rules or field.validation_rules
    possible = {"value", "missing", *(["refused"] if may_refuse else [])}
    return round(100 * len(ways & possible) / len(possible), 2)


def _told(integration: str, mapping: str, test: IntegrationMappingTest) -> MappingTest:
    return MappingTest(
        integration=integration,
        mapping=mapping,
        test_name=test.test_name,
        test_type=test.test_type,
        test_status=test.test_status,
        expected_output=dict(test.expected_output),
        actual_output=None if test.actual_output is None else dict(test.actual_output),
        execution_time_ms=test.execution_time_ms,
        error_message=test.error_message,
    )
