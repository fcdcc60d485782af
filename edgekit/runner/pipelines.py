"""Trying a pipeline on a record: the real steps, one by one, and nothing written."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgekit import integrations
from edgekit.errors import EdgekitError, InvalidError
from edgekit.integrations.steps import asking
from edgekit.runner.transform import Batch
from edgekit.runner.work import Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.integrations.steps import Step


def test_integration_pipeline(
    pipeline_id: int,
    test_data: Mapping[str, Any],
    *,
    calls: bool = False,  # noqa: PT028
) -> dict[str, Any]:
    """Bring one record through the steps of a pipeline as a run would, and return what became of it.

    {"success", "steps": [{"step", "status", "output_preview"}], "final_output"}: a step's status is
    `success`, `skipped` where its condition leaves the record out, `filtered` where it took the record out,
    or `failed`, with `error` and `error_code`; a filtered or failed step is the last, and there is no final
    output. Without `calls` a step that asks another integration is skipped, with the `reason`. Nothing is
    written anywhere. Raise NotFoundError for an unknown pipeline, InvalidError for one that cannot be run or
    data that is no object.
    """
    plan = integrations.prepare_pipeline(pipeline_id)
    if not isinstance(test_data, dict):
        raise InvalidError("The test data of a pipeline is one record, a JSON object.")
    steps: list[dict[str, Any]] = []
    with Work(plan) if calls else nullcontext(Work(plan)) as work:
        batch = Batch(plan, [test_data], work)
        for step in plan.steps:
            steps.append(_take(batch, step) if calls else _take_alone(batch, step))
            if steps[-1]["status"] in {"failed", "filtered"}:
                success = steps[-1]["status"] == "filtered"
                return {"success": success, "steps": steps, "final_output": None}
    return {"success": True, "steps": steps, "final_output": _left(batch)}


def _left(batch: Batch) -> Any:
    """Return the record, or all of them where a step made several of it."""
    documents = batch.documents()
    return documents[0] if len(documents) == 1 else list(documents)


def _take_alone(batch: Batch, step: Step) -> dict[str, Any]:
    """Take the step without what asks another integration."""
    asked = [inner.name for inner in asking([step])]
    if not asked:
        return _take(batch, step)
    reason = f"{', '.join(asked)}: another integration is asked only where calls are allowed (--calls)."
    left = tuple(branch for branch in step.branches if not any(inner.asks for inner in branch))
    if left:
        return {**_take(batch, replace(step, branches=left)), "reason": reason}
    told = {"step": step.name, "status": "skipped", "output_preview": _left(batch)}
    return {**told, "reason": reason}


def _take(batch: Batch, step: Step) -> dict[str, Any]:
    """Take the step and tell what it came to."""
    concerned = any(step.concerns(document) for document in batch.documents())
    told = {"step": step.name, "status": "success" if concerned else "skipped"}
    error: EdgekitError | None = None
    try:
        batch.take(step)
    except EdgekitError as failure:
        error = failure
    if batch.outcome.failures:
        error = batch.outcome.failures[0].error
    if error is not None:
        failed = {"status": "failed", "output_preview": None}
        return {**told, **failed, "error": error.message, "error_code": error.code}
    if batch.outcome.filtered and not batch.indexes:
        return {**told, "status": "filtered", "output_preview": None}
    return {**told, "output_preview": _left(batch)}
