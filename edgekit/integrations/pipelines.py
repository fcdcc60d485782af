"""Pipelines shown and set: each step checked before anything is stored, every version read from the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit.versions import states
from edgekit.configuration.resolving import changed_keys
from edgekit.configuration.versions import Difference
from edgekit.errors import EdgekitError, InvalidError, NotFoundError
from edgekit.integrations import live, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.integrations.steps import Step

_KEYS = ("pipeline_type", "steps", "error_handling_strategy", "dead_letters", "performance")
_COLUMNS = {
    "pipeline_type": "pipeline_type",
    "pipeline_steps": "steps",
    "error_handling_strategy": "error_handling_strategy",
    "dead_letter_config": "dead_letters",
    "performance_config": "performance",
}
_STRATEGIES = ("fail_fast", "continue_on_error", "dead_letter", "retry")
_SAYS = frozenset({*_COLUMNS, "version"})


@dataclass(frozen=True, slots=True)
class PipelineVersion:
    """A pipeline from one change on, and what of it differs from before.

    `actor` is None for an edit by another tool.
    """

    version: int
    at: str
    actor: str | None
    reason: str | None
    keys: tuple[str, ...]
    pipeline: dict[str, Any]


def show_pipeline(which: str) -> dict[str, Any]:
    """Return a pipeline whole, by id or name, and whether its steps wait for approval here.

    Raise NotFoundError, ConflictError.
    """
    row = _row(reading.find_pipeline(which))
    return {
        "id": row["id"],
        "name": row["pipeline_name"],
        "integration": row["integration_name"],
        **_document(row),
        "version": row["version"],
        "is_active": row["status_id"] == 1,
        "waits_for_approval": any(one.steps_changed for one in live.standings(row["integration_id"])),
    }


def set_pipeline(which: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Give a pipeline, found by id or name, other steps or rules, as its next version; return it whole.

    What the document does not name stays. It is checked against the integration as it is, step by step;
    raise InvalidError naming every step that cannot run, and nothing is stored.
    """
    with db.change(reason=f"pipelines set {which}"):
        row = _row(reading.find_pipeline(which))
        wanted = {**_document(row), **_checked(document)}
        _check_whole(row["integration_name"], row["id"], wanted)
        _write(row["id"], wanted, _document(row))
    return show_pipeline(str(row["id"]))


def pipeline_history(which: str) -> list[PipelineVersion]:
    """List the versions of a pipeline, the newest first. Raise NotFoundError."""
    record = reading.find_pipeline(which)
    found: list[PipelineVersion] = []
    before: dict[str, Any] = {}
    for state in reversed(
        list(states(db.connection(), "integration_pipeline_definition", record, columns=_SAYS))
    ):
        pipeline = _document(state.row)
        keys = changed_keys(before, pipeline)
        found.append(
            PipelineVersion(state.row["version"], state.at, state.actor, state.reason, keys, pipeline)
        )
        before = pipeline
    return found[::-1]


def diff_pipeline(which: str, old: int, new: int) -> list[Difference]:
    """List what two versions of a pipeline say differently, step by step.

    Raise NotFoundError for a pipeline or version.
    """
    versions = pipeline_history(which)
    before, after = (_flat(_pick(which, versions, version).pipeline) for version in (old, new))
    return [
        Difference(key, before.get(key), after.get(key), key in before, key in after)
        for key in changed_keys(before, after)
    ]


def rollback_pipeline(which: str, version: int) -> dict[str, Any]:
    """Give a pipeline what an earlier version said, as its next version, checked as any other.

    Raise NotFoundError (pipeline, version), InvalidError for a step that cannot run any more.
    """
    with db.change(reason=f"pipelines rollback {which} to version {version}"):
        return set_pipeline(which, _pick(which, pipeline_history(which), version).pipeline)


def _row(pipeline_id: int) -> dict[str, Any]:
    return db.query(
        "SELECT p.*, i.integration_name FROM integration_pipeline_definition p"
        " JOIN integration i ON i.id = p.integration_id WHERE p.id = ?",
        (pipeline_id,),
    )[0]


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    said = reading.pipeline_as(dict(row))
    return {key: said[key] for key in _KEYS}


def _flat(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """Take a pipeline apart, so that a comparison names the step that differs."""
    flat: dict[str, Any] = {key: pipeline[key] for key in _KEYS if key != "steps"}
    for number, step in enumerate(pipeline["steps"], 1):
        name = f"steps.{step.get('name') or step.get('type')}"
        flat[name if name not in flat else f"{name} {number}"] = step
    return flat


def _checked(document: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(document, dict) or not document:
        raise InvalidError("A pipeline is a JSON object.", hint='Such as {"steps": [{"type": "map"}]}')
    if unknown := set(document) - set(_KEYS):
        raise InvalidError(f"A pipeline has no {min(unknown)}.", hint=f"It has: {', '.join(_KEYS)}.")
    strategy = document.get("error_handling_strategy", _STRATEGIES[0])
    if strategy not in _STRATEGIES:
        raise InvalidError(f"error_handling_strategy is one of {', '.join(_STRATEGIES)}.")
    for key in ("dead_letters", "performance"):
        if not isinstance(document.get(key, {}), dict):
            raise InvalidError(f"{key} is an object.")
    return dict(document)


def _check_whole(name: str, pipeline_id: int, wanted: dict[str, Any]) -> None:
    """Check each step by itself, to name all that is wrong, then the pipeline as a whole."""
    from edgekit.integrations.plan import check_pipeline

    faults = list(dict.fromkeys(_faults(name, wanted)))
    if faults:
        many = f"The pipeline of {name} has {len(faults)} faults: " if len(faults) > 1 else ""
        raise InvalidError(many + "; ".join(fault.rstrip(".") for fault in faults) + ".")
    check_pipeline(name, {"id": pipeline_id, **wanted})


def _faults(name: str, wanted: Mapping[str, Any]) -> Iterator[str]:
    from edgekit.integrations.steps import read_steps

    steps = wanted["steps"]
    for step in steps if isinstance(steps, list) else []:
        try:
            for read in read_steps(name, {**wanted, "steps": [step]}):
                _check_scripts(read)
        except EdgekitError as error:
            yield error.message


def _check_scripts(step: Step) -> None:
    """Read each script with the engine that will run it."""
    for inner in step.each():
        if inner.script is not None:
            try:
                inner.script.transformation.check()
            except EdgekitError as error:
                raise InvalidError(f"The pipeline step {inner.name!r}: {error.message}") from None


def _write(pipeline_id: int, wanted: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    from edgekit.models.integrations import IntegrationPipelineDefinition

    if not changed_keys(dict(before), dict(wanted)):
        return
    changed = IntegrationPipelineDefinition.get_by_id(pipeline_id)
    for column, key in _COLUMNS.items():
        if wanted[key] != before[key]:
            setattr(changed, column, {"steps": wanted[key]} if key == "steps" else wanted[key])
    changed.save()


def _pick(which: str, versions: Sequence[PipelineVersion], version: int) -> PipelineVersion:
    found = next((one for one in versions if one.version == version), None)
    if found is None:
        known = ", ".join(str(one.version) for one in versions[:10])
        raise NotFoundError(f"The pipeline {which} has no version {version}.", hint=f"Versions are {known}.")
    return found
