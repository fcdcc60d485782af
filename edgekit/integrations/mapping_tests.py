"""Trying mappings on their examples, and how much of what can happen to a field good examples have shown."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, jsonpath
from edgekit.audit.versions import states
from edgekit.errors import InvalidError, SkipRecordError
from edgekit.integrations import live, reading
from edgekit.integrations.plan import read_fields
from edgekit.mapping import ABSENT, compile_mapping
from edgekit.models.integrations import IntegrationMapping, IntegrationMappingTest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edgekit.mapping import CompiledMapping, FieldMapping

_RESULT = frozenset({"last_run_at"})
_TIMES = 1000
"""How often a test of type performance maps its record: its milliseconds are microseconds of one."""

_SLOWER, _NOTICED_MS = 2.0, 5
"""What counts as slower: so many times the last time, and no less than the milliseconds of noise."""


@dataclass(frozen=True, slots=True)
class _Last:
    """What came of a test the last time."""

    status: str
    output: dict[str, Any] | None
    took_ms: int | None


@dataclass(frozen=True, slots=True)
class MappingTest:
    """An example and what came of it. `actual_output` is `{"$error": code}` where the record was refused.

    `change` compares with the last result: first, same, changed (another output), newly_failing,
    newly_passing or skipped; `differences` are the columns that came out otherwise. `is_slower` is more than
    twice the last time, and never a failure.
    """

    integration: str
    mapping: str
    test_name: str
    test_type: str
    test_status: str
    expected_output: dict[str, Any]
    actual_output: dict[str, Any] | None = None
    execution_time_ms: int | None = None
    error_message: str | None = None
    change: str = "first"
    differences: tuple[dict[str, Any], ...] = ()
    last_time_ms: int | None = None
    is_slower: bool = False


@dataclass(frozen=True, slots=True)
class Suite:
    """A run of tests summed up beside the last one; each list has `mapping: test`."""

    passed: int
    failed: int
    skipped: int
    newly_failing: tuple[str, ...]
    newly_passing: tuple[str, ...]
    changed: tuple[str, ...]
    slower: tuple[str, ...]
    took_ms: int
    tests: tuple[MappingTest, ...]


def summarise(tests: Sequence[MappingTest]) -> Suite:
    """Sum up what came of tests, beside what came of them the last time."""
    count = Counter(test.test_status for test in tests)

    def named(change: str) -> tuple[str, ...]:
        return tuple(f"{test.mapping}: {test.test_name}" for test in tests if test.change == change)

    return Suite(
        passed=count["passed"], failed=count["failed"], skipped=count["skipped"],
        newly_failing=named("newly_failing"), newly_passing=named("newly_passing"), changed=named("changed"),
        slower=tuple(f"{test.mapping}: {test.test_name}" for test in tests if test.is_slower),
        took_ms=sum(test.execution_time_ms or 0 for test in tests), tests=tuple(tests),
    )  # fmt: skip


def mapping_test_history(name: str, *, test: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Return the results the tests of an integration have had, the newest first, or those of one test.

    Times are in milliseconds. Raise NotFoundError.
    """
    found = []
    for row in db.query(
        "SELECT t.*, m.mapping_name FROM integration_mapping_test t"
        " JOIN integration_mapping m ON m.id = t.mapping_id WHERE m.integration_id = ?1"
        " AND (?2 IS NULL OR t.test_name = ?2)",
        (reading.find(name)["id"], test),
    ):
        mapping = row.pop("mapping_name")
        for state in states(db.connection(), "integration_mapping_test", row["id"], columns=_RESULT, row=row):
            said = state.row
            if said["last_run_at"] is not None:
                output = json.loads(said["actual_output"]) if said["actual_output"] else None
                found.append({
                    "at": said["last_run_at"], "mapping": mapping, "test_name": said["test_name"],
                    "test_status": said["test_status"], "execution_time_ms": said["execution_time_ms"],
                    "error_message": said["error_message"], "actual_output": output,
                })  # fmt: skip
    return sorted(found, key=lambda one: str(one["at"]), reverse=True)[:limit]


def run_mapping_tests(name: str | None = None, *, now: datetime | None = None) -> list[MappingTest]:
    """Try the mappings of an integration, or of all, on their tests, and return what came of each.

    A test passes where each column it expects has the value it expects: of the field alone, or of the whole
    record for a test of type `integration`. That a record is refused is expected as `{"$error": code}`.
    One of type `performance` maps its record a thousand times. Skipped tests stay so. Per integration, the
    outcomes and `test_coverage` of each mapping are written together. Raise NotFoundError, InvalidError for a
    mapping that cannot be compiled.
    """
    rows = reading.find_all() if name is None else [reading.find(name)]
    return [outcome for row in rows for outcome in _try_integration(row, now or clock.now())]


def tests_stand(integration_id: int) -> dict[int, str]:
    """Tell of each active mapping how its tests went: `passed`, `failed`, `pending` or `absent`.

    A test speaks for its mapping, one of type `integration` for all, where it expects the column; that a
    record is refused shows nothing of the value by itself. Skipped ones say nothing; what was tried on an
    earlier version, or before it was edited, is pending.
    """
    mappings = db.query(
        "SELECT * FROM integration_mapping WHERE integration_id = ? AND status_id = 1", (integration_id,)
    )
    tests = db.query(
        "SELECT t.* FROM integration_mapping_test t JOIN integration_mapping m ON m.id = t.mapping_id"
        " WHERE m.integration_id = ? AND m.status_id = 1 AND t.status_id = 1 AND t.test_status <> 'skipped'",
        (integration_id,),
    )
    since = {row["id"]: live.said_since(row) for row in mappings} if tests else {}
    found: dict[int, set[str]] = {row["id"]: set() for row in mappings}
    shown: set[int] = set()
    for test in tests:
        whole, expected = test["test_type"] == "integration", json.loads(test["expected_output"])
        speaks_for = [
            row["id"] for row in mappings
            if (whole or row["id"] == test["mapping_id"]) and _columns(row["target_path"]) & expected.keys()
        ]  # fmt: skip
        shown.update(speaks_for)
        if "$error" in expected:
            speaks_for.append(test["mapping_id"])
        changed = max((since[key] for key in (since if whole else speaks_for)), default="")
        stale = test["last_run_at"] is None or test["last_run_at"] < changed
        for key in speaks_for:
            found[key].add("pending" if stale else test["test_status"])
    order = ("failed", "pending", "passed")
    told = {key: next((how for how in order if how in hows), "absent") for key, hows in found.items()}
    return {key: "absent" if how == "passed" and key not in shown else how for key, how in told.items()}


def _columns(target_path: str) -> set[str]:
    """Return what outcomes may call the target of a mapping: the path, or the one member it is."""
    segments = jsonpath.compile(target_path).segments or ()
    return {target_path.removeprefix("$."), *map(str, segments if len(segments) == 1 else ())}


def _try_integration(row: dict[str, Any], now: datetime) -> list[MappingTest]:
    fields = {field.name: field for field in read_fields(row["id"], every=True)}
    mappings = IntegrationMapping.select().where(
        IntegrationMapping.integration == row["id"], IntegrationMapping.status == 1
    )
    outcomes: list[MappingTest] = []
    ways_taken = {_direction(field) for field in fields.values()}
    whole = {way: compile_mapping(list(fields.values()), direction=way) for way in ways_taken}
    with db.change(reason=f"mappings test {row['integration_name']}"):
        for mapping in mappings:
            field = fields[mapping.mapping_name]
            ways: set[str] = set()
            tests = _tests(mapping.id)
            alone = compile_mapping([field], direction=_direction(field))
            for test in tests:
                last = _Last(test.test_status, test.actual_output, test.execution_time_ms)
                _try(test, whole[_direction(field)] if test.test_type == "integration" else alone, now)
                if test.test_status == "passed":
                    ways |= _ways_of(field, test.input_data)
                outcomes.append(_told(row["integration_name"], mapping.mapping_name, test, last))
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


def _try(test: IntegrationMappingTest, mapping: CompiledMapping, now: datetime) -> None:
    """Run a test and write its outcome."""
    if test.test_status == "skipped":
        return
    actual, message, took = _mapped(
        mapping, test.input_data, times=_TIMES if test.test_type == "performance" else 1
    )
    wrong = [
        column
        for column, value in test.expected_output.items()
        if column not in actual or actual[column] != value
    ]
    if "$error" in actual and "$error" not in test.expected_output:
        told = message
    elif wrong and wrong[0] == "$error":
        told = f"It was not refused ({test.expected_output['$error']!r}); it came out as {actual!r}."
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
    mapping: CompiledMapping, record: dict[str, Any], *, times: int = 1
) -> tuple[dict[str, Any], str | None, int]:
    """Map a record so many times; a refused one gives its error code and why; last come milliseconds."""
    began = time.monotonic()
    try:
        for _ in range(times):
            row = mapping.map(record)
    except SkipRecordError as error:
        return {"$error": error.code}, error.message, round((time.monotonic() - began) * 1000)
    took = round((time.monotonic() - began) * 1000)
    found = zip(mapping.columns, row, strict=True)
    return {column: value for column, value in found if value is not ABSENT}, None, took


def map_record(fields: Sequence[FieldMapping], direction: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return what a test would see of a record: columns and values, or `{"$error": code}`."""
    return _mapped(compile_mapping(fields, direction=direction), record)[0]


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


def _told(integration: str, mapping: str, test: IntegrationMappingTest, last: _Last) -> MappingTest:
    now, before = test.actual_output, last.output if last.status in {"passed", "failed"} else None
    took, took_before = test.execution_time_ms, last.took_ms if before is not None else None
    slower = False
    if took is not None and took_before is not None:
        slower = took > _SLOWER * took_before and took - took_before >= _NOTICED_MS
    return MappingTest(
        integration=integration,
        mapping=mapping,
        test_name=test.test_name,
        test_type=test.test_type,
        test_status=test.test_status,
        expected_output=dict(test.expected_output),
        actual_output=None if now is None else dict(now),
        execution_time_ms=took,
        error_message=test.error_message,
        change=_change(test.test_status, last, same=now == before),
        differences=() if before is None or now is None else _differences(before, now),
        last_time_ms=took_before,
        is_slower=slower,
    )


def _change(status: str, last: _Last, *, same: bool) -> str:
    if status == "skipped":
        return "skipped"
    if last.status not in {"passed", "failed"}:
        return "first"
    if status != last.status:
        return "newly_failing" if status == "failed" else "newly_passing"
    return "same" if same else "changed"


def _differences(before: dict[str, Any], now: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"column": column, "last": before.get(column), "now": now.get(column)}
        for column in sorted(before.keys() | now.keys())
        if (column in before, before.get(column)) != (column in now, now.get(column))
    )
