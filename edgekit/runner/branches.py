"""Steps that make other records of records, and branches of them that go side by side.

A branch sees the records as they came to the branches; what each changed is put together in the order they
are written in, so the result never depends on which was faster. Branches that wait have a thread each; the
rest take turns, for Python does one thing at a time and threads would only slow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import transformation
from edgekit.errors import EdgekitError, SkipRecordError
from edgekit.runner.enrich import enrich

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.integrations.steps import Step
    from edgekit.runner.work import Work
    from edgekit.validate import Validator

_GONE = object()


@dataclass(frozen=True, slots=True)
class Stopped:
    """A record that a step did not let through: with an error, or without one filtered out."""

    kind: str
    name: str
    error: EdgekitError | None = None


class Several(list[Any]):
    """The records that were made of one."""


def take(step: Step, documents: Sequence[Any], work: Work, *, side: str) -> list[Any]:
    """Return what each document becomes by a step, or where it stopped. `side` names a validation.

    Raise EdgekitError where the step cannot be taken at all.
    """
    places = [place for place, document in enumerate(documents) if step.concerns(document)]
    concerned = [documents[place] for place in places]
    if step.kind == "parallel":
        found = _all_branches(step, concerned, work, side)
    elif step.kind == "validate":
        found = _checked(step, concerned, side)
    elif step.kind == "transform":
        found = transform(step, concerned)
    else:
        found = [
            Stopped(step.kind, step.name, result) if isinstance(result, EdgekitError) else result
            for result in enrich(step, concerned, work)
        ]
    results = list(documents)
    for place, result in zip(places, found, strict=True):
        results[place] = result
    return results


def transform(step: Step, documents: Sequence[Any]) -> list[Any]:
    """Return what each document becomes by a script: another, several, nothing, or an error."""
    assert step.script is not None
    outcome = transformation.take(step.script.transformation, step.script.kind, documents)
    made: dict[int, list[Any]] = {}
    for place, document in outcome.kept:
        made.setdefault(place, []).append(document)
    failed = dict(outcome.failed)
    return [_made(step, made.get(place, []), failed.get(place)) for place in range(len(documents))]


def _made(step: Step, made: list[Any], error: EdgekitError | None) -> Any:
    if error is not None or not made:
        return Stopped("transform", step.name, error)
    return made[0] if len(made) == 1 else Several(made)


def word(step: Step) -> str:
    """Name a step as a record set aside does."""
    return "enrich" if step.kind == "enrich" else "transform"


def finding(validator: Validator, document: Any) -> SkipRecordError:
    """Return the first thing wrong with a document that was refused."""
    first = validator.errors(document, most=1)[0]
    where = f"{first.path}: " if first.path else ""
    return SkipRecordError(f"{where}{first.message}", error_code=first.code)


def _checked(step: Step, documents: Sequence[Any], side: str) -> list[Any]:
    assert step.validator is not None
    refused = set(step.validator.refused(documents))
    return [
        Stopped(side, step.name, finding(step.validator, document)) if place in refused else document
        for place, document in enumerate(documents)
    ]


def _all_branches(step: Step, documents: Sequence[Any], work: Work, side: str) -> list[Any]:
    if not documents:
        return []
    tasks = [_task(branch, documents, work, side) for branch in step.branches]
    waits = [any(inner.waits for inner in branch) for branch in step.branches]
    results: list[list[Any]] = [[]] * len(tasks)
    waiting = [number for number, is_waiting in enumerate(waits) if is_waiting]
    if len(waiting) > 1:
        done = work.side_by_side([tasks[number] for number in waiting])
        for number, result in zip(waiting, done, strict=True):
            results[number] = result
    for number, task in enumerate(tasks):
        if not (waits[number] and len(waiting) > 1):
            results[number] = task()
    return [
        _joined(step, document, [result[place] for result in results])
        for place, document in enumerate(documents)
    ]


def _task(branch: Sequence[Step], documents: Sequence[Any], work: Work, side: str) -> Callable[[], list[Any]]:
    def run() -> list[Any]:
        results = list(documents)
        for step in branch:
            places = [place for place, result in enumerate(results) if not isinstance(result, Stopped)]
            taken = take(step, [results[place] for place in places], work, side=side)
            for place, result in zip(places, taken, strict=True):
                results[place] = only_one(step, result, "what a branch gives")
        return results

    return run


def only_one(step: Step, result: Any, where: str) -> Any:
    """Refuse several records for one.

    In a branch they could not be put together with what the others give; on the way out each needs a key.
    """
    if not isinstance(result, Several):
        return result
    message = f"{step.name} gives {len(result)} records for one; {where} is one."
    return Stopped("transform", step.name, SkipRecordError(message, error_code="several"))


def _joined(step: Step, document: Any, results: Sequence[Any]) -> Any:
    """Put together what the branches made of a record: the first that stopped it, else all they changed."""
    stopped = [result for result in results if isinstance(result, Stopped)]
    failed = [result for result in stopped if result.error is not None]
    if stopped:
        return (failed or stopped)[0]
    changed = [result for result in results if result is not document]
    if not changed:
        return document
    if not isinstance(document, dict) or not all(isinstance(result, dict) for result in changed):
        message = f"{step.name}: what branches make of a record is put together only where all are objects."
        return Stopped("transform", step.name, SkipRecordError(message, error_code="shape"))
    whole, owned = dict(document), set()
    for result in changed:
        for member in [*document, *(name for name in result if name not in document)]:
            value = result.get(member, _GONE)
            if value is document.get(member, _GONE) or _same(value, document.get(member, _GONE)):
                continue
            if member in owned and not _same(value, whole.get(member, _GONE)):
                message = f"{step.name}: two branches give {member} different values."
                return Stopped("transform", step.name, SkipRecordError(message, error_code="conflict"))
            owned.add(member)
            if value is _GONE:
                whole.pop(member, None)
            else:
                whole[member] = value
    return whole


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: true is not 1."""
    return type(one) is type(other) and bool(one == other)
