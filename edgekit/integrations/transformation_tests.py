"""Trying transformations on their examples."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, transformation
from edgekit.errors import InvalidError, TransformationError
from edgekit.integrations.transformations import compile_row, examples_of, find_row, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class TransformationTest:
    """An example and what came of it. `actual_output` has `output`, or `$error` with the code."""

    transformation: str
    version: int
    case_name: str
    test_status: str
    actual_output: dict[str, Any] | None = None
    execution_time_ms: int | None = None
    error_message: str | None = None


def run_transformation_tests(
    name: str | None = None, *, now: datetime | None = None
) -> list[TransformationTest]:
    """Try a transformation, or all of them, on their examples; return what came of each.

    An example passes where the script, read as its type says, gives what is expected; that it fails is
    expected as `{"$error": code}`, and one with `"skip": true` is not tried. The outcomes are written
    together, a row each. Raise NotFoundError, InvalidError (an example that is none).
    """
    rows = [find_row(name)] if name is not None else _all()
    outcomes = [(row["id"], outcome) for row in rows for outcome in _try_all(row)]
    if outcomes:
        with db.change(reason=f"transformations test {name or ''}".strip()):
            _write(outcomes, now or clock.now())
    return [outcome for _, outcome in outcomes]


def _all() -> list[dict[str, Any]]:
    return db.query(
        "SELECT * FROM integration_transformation WHERE status_id = 1 ORDER BY transformation_name"
    )


def _write(outcomes: Sequence[tuple[int, TransformationTest]], now: datetime) -> None:
    from edgekit.models.integrations import IntegrationTransformationRun

    for transformation_id, outcome in outcomes:
        IntegrationTransformationRun.create(
            transformation_id=transformation_id,
            transformation_version=outcome.version,
            case_name=outcome.case_name,
            test_status=outcome.test_status,
            actual_output=outcome.actual_output,
            execution_time_ms=outcome.execution_time_ms,
            error_message=outcome.error_message,
            created_at=now,
        )


def _try_all(row: dict[str, Any]) -> list[TransformationTest]:
    name, version = row["transformation_name"], row["version"]
    cases = examples_of(row)
    script = compile_row(name, told(row)) if cases else None
    found = []
    for number, case in enumerate(cases, 1):
        title = str(case.get("name") or f"example {number}")[:100]
        if script is None or case.get("skip") is True:
            found.append(TransformationTest(name, version, title, "skipped"))
            continue
        if "input" not in case or "expected" not in case:
            raise InvalidError(f"{name}: {title} has no input or nothing expected.")
        actual, message, took = _measure(script, row["transformation_type"], case["input"])
        wrong = _difference(case["expected"], actual, message)
        status = "passed" if wrong is None else "failed"
        found.append(TransformationTest(name, version, title, status, actual, took, wrong))
    return found


def _measure(
    script: transformation.Transformation, kind: str, document: Any
) -> tuple[dict[str, Any], str | None, int]:
    began = time.monotonic()
    message = None
    try:
        actual: dict[str, Any] = {"output": transformation.take_one(script, kind, document)}
    except TransformationError as error:
        actual, message = {"$error": error.code}, error.message
    return actual, message, round((time.monotonic() - began) * 1000)


def _difference(expected: Any, actual: Mapping[str, Any], message: str | None) -> str | None:
    """Say what is not as expected; None where it is."""
    is_error = isinstance(expected, dict) and expected.keys() == {"$error"}
    if is_error or "$error" in actual:
        same = is_error and actual.get("$error") == expected["$error"]
        return (
            None
            if same
            else message or f"It gives a value, and is expected to end with {expected['$error']}."
        )
    if actual["output"] == expected:
        return None
    return f"It gives {_short(actual['output'])}, not {_short(expected)}."


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"
