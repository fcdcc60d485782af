"""Trying a pipeline on a record: the real steps, one by one, and nothing written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import integrations
from edgekit.errors import EdgekitError, InvalidError
from edgekit.runner.transform import Batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.integrations.plan import Step


def test_integration_pipeline(pipeline_id: int, test_data: Mapping[str, Any]) -> dict[str, Any]:
    """Bring one record through the steps of a pipeline as a run would, and return what became of it.

    {"success", "steps": [{"step", "status", "output_preview"}], "final_output"}: a step's status is
    `success`, `skipped` where its condition leaves the record out, or `failed`, with `error` and
    `error_code`; a failed step is the last, and there is no final output. Nothing is written anywhere. Raise
    NotFoundError for an unknown pipeline, InvalidError for one that cannot be run or data that is no object.
    """
    plan = integrations.prepare_pipeline(pipeline_id)
    if not isinstance(test_data, dict):
        raise InvalidError("The test data of a pipeline is one record, a JSON object.")
    batch = Batch(plan, [test_data])
    steps: list[dict[str, Any]] = []
    for step in plan.steps:
        steps.append(_take(batch, step))
        if steps[-1]["status"] == "failed":
            return {"success": False, "steps": steps, "final_output": None}
    return {"success": True, "steps": steps, "final_output": batch.documents()[0]}


def _take(batch: Batch, step: Step) -> dict[str, Any]:
    """Take the step and tell what it came to."""
    told = {"step": step.name, "status": "success" if step.concerns(batch.documents()[0]) else "skipped"}
    error: EdgekitError | None = None
    try:
        batch.take(step)
    except EdgekitError as failure:
        error = failure
    if batch.outcome.failures:
        error = batch.outcome.failures[0][2]
    if error is not None:
        failed = {"status": "failed", "output_preview": None}
        return {**told, **failed, "error": error.message, "error_code": error.code}
    return {**told, "output_preview": batch.documents()[0]}
