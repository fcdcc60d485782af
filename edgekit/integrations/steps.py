"""The steps of a pipeline, read and checked: what each does, in which order, and what goes side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgekit import jsonpath, validate
from edgekit.errors import EdgekitError, InvalidError
from edgekit.integrations.enriching import Enrichment, read_enrichment
from edgekit.integrations.transforming import Script, read_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TYPES = ("linear", "conditional", "parallel", "hybrid")
_CONDITIONAL = {"conditional", "hybrid"}
_SIDE_BY_SIDE = {"parallel", "hybrid"}
_KNOWN: dict[str, set[str]] = {
    "validate": {"schema"},
    "map": set(),
    "transform": {"transformation", "language", "text", "transformation_type"},
    "enrich": {"lookup", "integration", "send", "match", "columns", "into", "missing"},
    "parallel": {"branches"},
}
"""What a step of each type may say, beside `type`, `name`, `order`, `condition` and `description`."""

_ALL = {"type", "name", "order", "condition", "description"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a pipeline, with what it does and the records it is for."""

    name: str
    kind: str
    validator: validate.Validator | None = None
    condition: jsonpath.Path | None = None
    enrichment: Enrichment | None = None
    script: Script | None = None
    branches: tuple[tuple[Step, ...], ...] = ()

    def concerns(self, document: Any) -> bool:
        """Tell whether the step is for a document: all of them where it has no condition."""
        return self.condition is None or bool(self.condition.find([document]))

    @property
    def asks(self) -> bool:
        """Whether it asks another integration."""
        return self.enrichment is not None and self.enrichment.integration is not None

    @property
    def is_aggregate(self) -> bool:
        """Whether it makes records of a whole batch."""
        return self.script is not None and self.script.kind == "aggregate"

    @property
    def waits(self) -> bool:
        """Whether it waits, for another side or another process: then its branch gets a thread of its own."""
        return self.asks or (self.script is not None and not self.script.transformation.is_direct)

    def each(self) -> Iterator[Step]:
        """Yield the step and those inside it."""
        yield self
        for branch in self.branches:
            yield from branch


def read_steps(name: str, pipeline: Mapping[str, Any]) -> tuple[Step, ...]:
    """Read the steps of a pipeline in their order, the mapping among them.

    Those of a `parallel` pipeline that stand on one side of the mapping go side by side. Raise InvalidError
    naming the step, or the type of pipeline, that cannot be run.
    """
    kind, steps = pipeline["pipeline_type"], pipeline["steps"]
    if kind not in TYPES:
        raise InvalidError(
            f"The pipeline of {name} is of type {kind}, which cannot be run.",
            hint=f"Its type is one of: {', '.join(TYPES)}.",
        )
    found = [_step(step, kind) for step in _ordered(steps)]
    mappings = sum(step.kind == "map" for step in found)
    if mappings > 1:
        raise InvalidError(f"The pipeline of {name} maps twice; a record is mapped once.")
    whole = _named(found if mappings else [*found, Step("map", "map")])
    return tuple(_side_by_side(whole) if kind == "parallel" else whole)


def _ordered(steps: Any) -> list[dict[str, Any]]:
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise InvalidError('The steps of the pipeline are a list of objects: [{"type": "map"}].')
    return [step for _, step in sorted(enumerate(steps, 1), key=_place)]


def _place(numbered: tuple[int, dict[str, Any]]) -> int:
    """Say where a step stands: by its `order`, else by its place in the list."""
    number, step = numbered
    order = step.get("order", number)
    if not isinstance(order, int) or isinstance(order, bool):
        raise InvalidError(f"The pipeline step {label(step)}: order is a whole number.")
    return order


def _named(steps: list[Step]) -> list[Step]:
    """Give every step a name of its own, by which a record set aside finds it again."""
    taken: set[str] = set()

    def own(step: Step) -> Step:
        name, number = step.name, 2
        while name.lower() in taken:
            name, number = f"{step.name} {number}", number + 1
        taken.add(name.lower())
        branches = tuple(tuple(own(inner) for inner in branch) for branch in step.branches)
        return replace(step, name=name, branches=branches)

    return [own(step) for step in steps]


def _side_by_side(steps: list[Step]) -> list[Step]:
    """Let the steps on each side of the mapping go side by side."""
    place = next(number for number, step in enumerate(steps) if step.kind == "map")
    found: list[Step] = []
    for part in (steps[:place], steps[place : place + 1], steps[place + 1 :]):
        branches = [branch for step in part for branch in (step.branches or ((step,),))]
        if len(branches) < 2:
            found += part
            continue
        group = Step(" + ".join(step.name for step in part), "parallel", branches=tuple(branches))
        _refuse_conflicts(group)
        found.append(group)
    return found


def _step(step: Mapping[str, Any], pipeline_type: str, *, inside: bool = False) -> Step:
    kind = step.get("type")
    if not isinstance(kind, str) or kind not in _KNOWN:
        raise InvalidError(
            f"The pipeline step {label(step)} cannot be run here: steps are {', '.join(_KNOWN)}."
        )
    if unknown := set(step) - _ALL - _KNOWN[kind]:
        known = sorted(_KNOWN[kind] | _ALL)
        raise InvalidError(
            f"The pipeline step {label(step)} has no {min(unknown)}.", hint=f"It has: {', '.join(known)}."
        )
    if step.get("condition") is not None and (pipeline_type not in _CONDITIONAL or kind == "map"):
        why = (
            "its records are all mapped"
            if kind == "map"
            else f"its pipeline is {pipeline_type}, not conditional or hybrid"
        )
        raise InvalidError(f"The pipeline step {label(step)} has a condition, but {why}.")
    if inside and kind in {"map", "parallel"}:
        raise InvalidError(f"The pipeline step {label(step)}: a branch holds no {kind} step.")
    if kind == "parallel" and pipeline_type not in _SIDE_BY_SIDE:
        raise InvalidError(
            f"The pipeline step {label(step)} has branches, but its pipeline is {pipeline_type}, not"
            " parallel or hybrid."
        )
    try:
        return _made(step, kind, pipeline_type)
    except EdgekitError as error:
        if error.message.startswith("The pipeline step"):
            raise
        raise InvalidError(f"The pipeline step {label(step)}: {error.message}", hint=error.hint) from None


def _made(step: Mapping[str, Any], kind: str, pipeline_type: str) -> Step:
    made = Step(str(step.get("name") or kind), kind, condition=_condition(step))
    if kind == "validate":
        return replace(made, validator=validate.compile(step.get("schema", {})))
    if kind == "enrich":
        return replace(made, enrichment=read_enrichment(step))
    if kind == "transform":
        return replace(made, script=read_script(step))
    if kind == "parallel":
        made = replace(made, branches=_branches(step, pipeline_type))
        _refuse_conflicts(made)
    return made


def _branches(step: Mapping[str, Any], pipeline_type: str) -> tuple[tuple[Step, ...], ...]:
    branches = step.get("branches")
    if not isinstance(branches, list) or len(branches) < 2 or not all(branches):
        raise InvalidError("branches is a list of two or more lists of steps: [[{…}], [{…}, {…}]].")
    return tuple(
        tuple(_step(inner, pipeline_type, inside=True) for inner in _ordered(branch)) for branch in branches
    )


def _refuse_conflicts(step: Step) -> None:
    """Refuse branches that are known to write one member: which one counts would be anybody's guess."""
    writers: dict[str, tuple[int, str]] = {}
    for number, branch in enumerate(step.branches):
        for inner in branch:
            if inner.is_aggregate:
                raise InvalidError(
                    f"The pipeline step {inner.name!r} makes one record of many; it stands in no branch."
                )
            for member in inner.enrichment.members if inner.enrichment else ():
                owner = writers.setdefault(member, (number, inner.name))
                if owner[0] != number:
                    raise InvalidError(
                        f"The pipeline step {step.name!r}: the branches of {owner[1]!r} and {inner.name!r}"
                        f" both write {member}."
                    )


def asking(steps: Iterable[Step]) -> list[Step]:
    """Return the steps, those in branches as well, that ask another integration."""
    return [inner for step in steps for inner in step.each() if inner.asks]


def _condition(step: Mapping[str, Any]) -> jsonpath.Path | None:
    """Read what a record must be like, as a filter of JSONPath says it: `@.state == 'TX'`."""
    text = step.get("condition")
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidError(f"The pipeline step {label(step)}: condition is text, such as @.state == 'TX'.")
    try:
        return jsonpath.compile(f"$[?{text}]")
    except InvalidError as error:
        raise InvalidError(
            f"The pipeline step {label(step)} has a bad condition: {error.message}", hint=error.hint
        ) from None


def label(step: Mapping[str, Any]) -> str:
    """Name a step as its writer did, else by its type."""
    return repr(str(step.get("name", step.get("type"))))
