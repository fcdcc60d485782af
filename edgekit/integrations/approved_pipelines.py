"""The pipeline an approval was given with: its steps, and the transformations they name, as they were then.

Steps change values as mappings do, so whoever approves a mapping approves what comes before and after it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgekit import codec, db
from edgekit.audit.versions import states
from edgekit.integrations import earlier, forms, reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.integrations.steps import Step

_SCRIPT = ("language", "transformation_logic", "transformation_type", "input_schema", "output_schema",
           "error_output_schema")  # fmt: skip
NOW = "9999"
"""A time after all others."""


@dataclass(frozen=True)
class Steps:
    """The type and the steps of a pipeline; what they name is as it was `at` a time."""

    pipeline_type: str
    steps: list[dict[str, Any]]
    at: str

    @cached_property
    def says(self) -> str:
        """All of it as a text, which is equal where the same would be done."""
        scripts = {name: _script_at(name, self.at) for name in sorted(_named(self.steps))}
        return codec.canonical([self.pipeline_type, self.steps, scripts])

    def put_into(self, pipeline: Mapping[str, Any]) -> dict[str, Any]:
        """Return a pipeline with these steps; how errors are handled and how much at once stays its own."""
        return {**pipeline, "pipeline_type": self.pipeline_type, "steps": self.steps}


class Past:
    """The steps an integration has had."""

    def __init__(self, integration_id: int) -> None:
        self._rows = earlier.PipelineRows(integration_id)
        self._known: dict[str, Steps] = {}

    def says(self, time: str = NOW) -> str:
        """Return what the steps said at a time."""
        return self.at(time).says

    def at(self, time: str) -> Steps:
        """Return the steps of the pipeline that was active at a time."""
        if time not in self._known:
            self._known[time] = self._read(time)
        return self._known[time]

    def _read(self, time: str) -> Steps:
        active = [row for row in self._rows.at(time) if row["status_id"] == 1]
        if not active:
            return Steps("linear", [], time)
        said = reading.pipeline_as(active[0])
        return Steps(said["pipeline_type"], said["steps"], time)


def of_template(pipeline_template: str | None, at: str) -> Steps:
    """Return the steps a template gives to what is made from it."""
    said = forms.normal_pipeline(json.loads(pipeline_template or "{}"))
    return Steps(said["pipeline_type"], said["steps"], at)


def as_they_were(steps: Sequence[Step], time: str) -> tuple[Step, ...]:
    """Give each step that names a transformation the script it had at a time."""
    from edgekit.integrations.transforming import script_of

    found = []
    for step in steps:
        script = step.script
        row = _row_at(script.name, time) if script is not None and script.name is not None else None
        branches = tuple(as_they_were(branch, time) for branch in step.branches)
        found.append(replace(step, script=script if row is None else script_of(row), branches=branches))
    return tuple(found)


def _named(steps: Sequence[Mapping[str, Any]]) -> set[str]:
    found = {str(step["transformation"]) for step in steps if step.get("transformation")}
    for step in steps:
        for branch in step.get("branches") or []:
            found |= _named(branch)
    return found


def _script_at(name: str, time: str) -> dict[str, Any] | None:
    row = _row_at(name, time)
    return None if row is None else {column: row[column] for column in _SCRIPT}


def _row_at(name: str, time: str) -> dict[str, Any] | None:
    """Return the row of a transformation as it was at a time; None where there was none."""
    rows = db.query(
        "SELECT * FROM integration_transformation WHERE transformation_name = ?"
        " ORDER BY status_id, organization_id IS NULL, id LIMIT 1",
        (name,),
    )
    past = states(
        db.connection(), "integration_transformation", rows[0]["id"], columns=frozenset(_SCRIPT), row=rows[0]
    ) if rows else ()  # fmt: skip
    return next((state.row for state in past if state.at < time), None)
