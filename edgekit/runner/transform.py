"""One batch's way: the steps of the pipeline, then the target; each record that fails on its own set aside.

Steps are taken outside any change, for some of them wait; `write` is the batch's change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.errors import EdgekitError, InvalidError, NotFoundError, SkipRecordError, quoted
from edgekit.mapping import ABSENT
from edgekit.runner import branches, target
from edgekit.runner.branches import Several, Stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.integrations.plan import Plan
    from edgekit.integrations.steps import Step
    from edgekit.runner.work import Work

WRITE, SEND = "write", "send"
"""Where a record is that went through all steps."""

MOST_NAMED = 100
"""So much of a step's name is kept with a record set aside."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A record of a batch, by its index, that failed on its own: where, why, and as what it came there.

    `record` is None where it was still as it came to the run. What was made of many is known by `is_of_many`:
    the record at its index is then only the last of them.
    """

    index: int
    step: str
    error: EdgekitError
    name: str | None = None
    record: Any = None
    is_of_many: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of a batch."""

    written: int = 0
    changed: int = 0
    filtered: int = 0
    failures: list[Failure] = field(default_factory=list)


class Batch:
    """Records on their way: as they came, then as rows of the target. `indexes` says which ones are left."""

    def __init__(self, plan: Plan, records: Sequence[Any], work: Work, *, is_alone: bool = False) -> None:
        self.plan = plan
        self.work = work
        self.is_alone = is_alone
        """Whether it is one record tried again, without those it came with."""
        self.parted: dict[int, tuple[Step, Any]] = {}
        """Which of them became several, by which step, and as what each came there."""
        self.of_many: set[int] = set()
        """Where there stands now what was made of a whole batch."""
        self.came = records
        self.records = records
        self.rows: Sequence[Sequence[Any]] | None = None
        self.is_mapped = False
        self.is_complete = target.is_complete(plan)
        """Whether every mapped row has a value, be it null, for every column."""
        self.indexes: Sequence[int] = range(len(records))
        self.outcome = Outcome()

    def take(self, step: Step) -> None:
        """Bring what is left through a step. Raise InvalidError where the mapping is still to be learned."""
        if step.kind == "map":
            self._map(step)
        elif step.kind == "validate":
            self._check(step)
        else:
            self._change(step)

    def documents(self) -> Sequence[Any]:
        """Return what is left by name, for a schema speaks of members; a column left out is no member."""
        return self.records if self.rows is None else [self._document(row) for row in self.rows]

    def start_with(self, rows: Sequence[Any]) -> None:
        """Take the records as what the mapping made of them."""
        self.is_mapped = True
        if self.plan.to is not None:
            self.records = rows
            return
        self.rows = [self._row(document) for document in rows]
        self.is_complete = self.is_complete and not any(ABSENT in row for row in self.rows)

    def _document(self, row: Sequence[Any]) -> dict[str, Any]:
        assert self.plan.mapping is not None
        pairs = zip(self.plan.mapping.columns, row, strict=True)
        if self.is_complete:
            return dict(pairs)
        return {name: value for name, value in pairs if value is not ABSENT}

    def _row(self, document: dict[str, Any]) -> tuple[Any, ...]:
        assert self.plan.mapping is not None
        values = (document.get(name, ABSENT) for name in self.plan.mapping.columns)
        return tuple(codec.dumps(value) if isinstance(value, dict | list) else value for value in values)

    def _came_as(self, place: int) -> Any:
        """Return what is at a place, None where it is still as it came to the run."""
        if self.rows is not None:
            return self._document(self.rows[place])
        record, index = self.records[place], self.indexes[place]
        return None if record is self.came[index] and index not in self.of_many else record

    def failure(self, place: int, kind: str, name: str | None, error: EdgekitError) -> Failure:
        """Return why what is at a place failed."""
        index = self.indexes[place]
        return Failure(index, kind, error, name, self._came_as(place), index in self.of_many)

    def _map(self, step: Step) -> None:
        self.is_mapped = True
        if self.plan.to is not None and self.plan.mapping is None:
            self.records = _as_they_are(self.plan, self.records)
            return
        if self.plan.mapping is None:
            raise InvalidError(
                f"{self.plan.name} has no mapping yet: its first run learns it.",
                hint=f"Run it: edgekit integrations run {quoted(self.plan.name)}",
            )
        rows, failed = self.plan.mapping.map_many(self.records)
        if failed:
            self.outcome.failures.extend(
                self.failure(place, "map", step.name, error) for place, error in failed
            )
            bad = {place for place, _ in failed}
            self.indexes = [index for place, index in enumerate(self.indexes) if place not in bad]
        if self.plan.to is None:
            self.rows = rows
        else:
            assert self.plan.to.nest is not None
            self.records = list(map(self.plan.to.nest, rows))

    def _check(self, step: Step) -> None:
        """Keep what is valid; note each other with the first thing wrong with it."""
        assert step.validator is not None
        documents = self.documents()
        places: Sequence[int] = range(len(documents))
        if step.condition is not None:
            places = [place for place in places if step.concerns(documents[place])]
            documents = [documents[place] for place in places]
        refused = step.validator.refused(documents)
        if not refused:
            return
        for place in refused:
            error = branches.finding(step.validator, documents[place])
            self.outcome.failures.append(self.failure(places[place], self._side, step.name, error))
        bad = {places[place] for place in refused}
        self._keep([place for place in range(len(self.indexes)) if place not in bad])

    @property
    def _side(self) -> str:
        """Name a validation by where it stands."""
        return "validate_out" if self.is_mapped else "validate_in"

    def _keep(self, good: list[int]) -> None:
        self.indexes = [self.indexes[place] for place in good]
        if self.rows is None:
            self.records = [self.records[place] for place in good]
        else:
            self.rows = [self.rows[place] for place in good]

    def _change(self, step: Step) -> None:
        """Take a step that makes other records of them; what it refuses or filters out is not left."""
        documents = self.documents()
        results = self._taken(step, documents)
        if self.rows is not None:
            results = [self._fitting(step, result) for result in results]
        if self.plan.to is not None:
            results = [branches.only_one(step, result, "what is sent") for result in results]
        good: list[int] = []
        kept: list[Any] = []
        for place, result in enumerate(results):
            if isinstance(result, Several):
                self.parted.setdefault(self.indexes[place], (step, self._came_as(place)))
                good += [place] * len(result)
                kept += result
            elif not isinstance(result, Stopped):
                good.append(place)
                kept.append(result)
            elif result.error is not None:
                failure = self.failure(place, result.kind, result.name, result.error)
                self.outcome.failures.append(failure)
            else:
                self.outcome.filtered += 1
        if step.is_aggregate:
            self.of_many.update(self.indexes[place] for place in good if step.concerns(documents[place]))
        self._keep(good)
        if self.rows is None:
            self.records = kept
        else:
            self.start_with(kept)

    def _taken(self, step: Step, documents: Sequence[Any]) -> list[Any]:
        """Return what each document becomes; one alone is not taken for the batch that is made one of."""
        if not (step.is_aggregate and self.is_alone):
            return branches.take(step, documents, self.work, side=self._side)
        message = f"{step.name} makes one record of a batch, and this one alone is none; run it again whole."
        stopped = Stopped("transform", step.name, SkipRecordError(message, error_code="batch"))
        return [stopped if step.concerns(document) else document for document in documents]

    def _fitting(self, step: Step, result: Any) -> Any:
        """Behind the mapping a record has the columns that are mapped: what else a step adds fits nowhere."""
        assert self.plan.mapping is not None
        for document in result if isinstance(result, Several) else [result]:
            if isinstance(document, Stopped):
                continue
            if not isinstance(document, dict):
                message = f"{step.name} gives what is no object, so it has no columns."
                return Stopped(branches.word(step), step.name, SkipRecordError(message, error_code="shape"))
            other = [name for name in document if name not in self.plan.mapping.columns]
            if other:
                message = (
                    f"{step.name} gives {other[0]}, which no column is mapped to; place it before the map."
                )
                return Stopped(branches.word(step), step.name, SkipRecordError(message, error_code="column"))
        return result


def _as_they_are(plan: Plan, records: Sequence[Any]) -> Sequence[Any]:
    """Leave out what is to be ignored, and a key that was not asked for; all else of a record leaves."""
    left_out = set(plan.ignore)
    if plan.connector.name == "table" and plan.inputs is not None and plan.inputs.columns:
        left_out |= {plan.inputs.key} - set(plan.inputs.columns)
    if not left_out:
        return records
    return [
        {name: value for name, value in record.items() if name not in left_out}
        if isinstance(record, dict)
        else record
        for record in records
    ]


def prepare(plan: Plan, records: Sequence[Any], work: Work, *, is_alone: bool = False) -> Batch:
    """Take records through all steps of the pipeline, outside any change."""
    return finish(begin(plan, records, work, is_alone=is_alone))


def begin(plan: Plan, records: Sequence[Any], work: Work, *, is_alone: bool = False) -> Batch:
    """Take records as far as the mapping."""
    batch = Batch(plan, records, work, is_alone=is_alone)
    for step in plan.steps[: _mapping(plan)]:
        batch.take(step)
    return batch


def finish(batch: Batch) -> Batch:
    """Take records that came as far as the mapping through it and what follows."""
    for step in batch.plan.steps[_mapping(batch.plan) :]:
        batch.take(step)
    return batch


def _mapping(plan: Plan) -> int:
    return next(number for number, step in enumerate(plan.steps) if step.kind == "map")


def resume(plan: Plan, came: Any, record: Any, name: str | None, step: str, work: Work) -> Batch:
    """Take a record through the steps from the one it failed at; `record` is as what it came there.

    Raise NotFoundError where the pipeline has no such step any more.
    """
    batch = Batch(plan, [came], work, is_alone=True)
    batch.records = [record]
    place = _place(plan, name, step)
    if place > _mapping(plan):
        batch.start_with([record])
    for one in plan.steps[place:]:
        batch.take(one)
    return batch


def is_of_many(plan: Plan, name: str | None, step: str) -> bool:
    """Tell whether what stopped at a step may have been made of a whole batch: only there it can go on."""
    made = [number for number, one in enumerate(plan.steps) if one.is_aggregate]
    place = _number(plan, name, step) if made else None
    return place is not None and place > made[0]


def is_behind_mapping(plan: Plan, name: str | None, step: str) -> bool:
    """Tell whether what stopped at a step was a row by then."""
    return plan.to is None and _place(plan, name, step) > _mapping(plan)


def _place(plan: Plan, name: str | None, step: str) -> int:
    number = _number(plan, name, step)
    if number is None:
        raise NotFoundError(
            f"The pipeline of {plan.name} has no step {name or step} any more.",
            hint="Replay it: --from first",
        )
    return number


def _number(plan: Plan, name: str | None, step: str) -> int | None:
    if step in {WRITE, SEND}:
        return len(plan.steps)
    wanted = (name or step)[:MOST_NAMED]
    for number, one in enumerate(plan.steps):
        if any(wanted == inner.name[:MOST_NAMED] for inner in one.each()):
            return number
    return None


def write(batch: Batch) -> Outcome:
    """Write what went through the steps, in the open change."""
    if batch.plan.mapping is None:  # nothing came yet that it could be learned from
        return batch.outcome
    assert batch.rows is not None
    places = range(len(batch.rows))  # one record may have become several
    written, refused = target.write(batch.plan, places, batch.rows, complete=batch.is_complete)
    outcome = batch.outcome
    if refused:
        outcome.failures.extend(batch.failure(place, WRITE, None, error) for place, error in refused)
    if batch.parted:
        outcome.failures = _one_each(batch)
    outcome.written, outcome.changed = written.accepted, written.changed
    return outcome


def _one_each(batch: Batch) -> list[Failure]:
    """Return one failure for each record: several parts of one that failed go on where it was parted."""
    found: dict[tuple[int, int], list[Failure]] = {}
    for number, failure in enumerate(batch.outcome.failures):
        is_part = failure.index in batch.parted and not failure.is_of_many
        found.setdefault((failure.index, -1 if is_part else number), []).append(failure)
    return [parts[0] if len(parts) == 1 else _whole(batch, parts) for parts in found.values()]


def _whole(batch: Batch, parts: list[Failure]) -> Failure:
    first = parts[0]
    step, record = batch.parted[first.index]
    message = f"{len(parts)} of the records it became were set aside; the first: {first.error.message}"
    error = SkipRecordError(message, error_code=first.error.code)
    return Failure(first.index, branches.word(step), error, step.name, record)
