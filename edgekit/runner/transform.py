"""One batch's way: validate, map, validate, write, each record that fails on its own set aside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError, InvalidError, SkipRecordError
from edgekit.mapping import ABSENT
from edgekit.runner import target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.integrations.plan import Plan, Step


@dataclass(slots=True)
class Outcome:
    """What became of a batch. A failure is (index of the record, step, error)."""

    written: int = 0
    changed: int = 0
    failures: list[tuple[int, str, EdgekitError]] = field(default_factory=list)


class Batch:
    """Records on their way: as they came, then as rows of the target. `indexes` says which ones are left."""

    def __init__(self, plan: Plan, records: Sequence[Any]) -> None:
        self.plan = plan
        self.records = records
        self.rows: Sequence[Sequence[Any]] | None = None
        self.indexes: Sequence[int] = range(len(records))
        self.outcome = Outcome()

    def take(self, step: Step) -> None:
        """Bring what is left through a step. Raise InvalidError where the mapping is still to be learned."""
        if step.kind == "map":
            self._map()
        else:
            self._check(step)

    def documents(self) -> Sequence[Any]:
        """Return what is left by name, for a schema speaks of members; a column left out is no member."""
        if self.rows is None:
            return self.records
        assert self.plan.mapping is not None
        columns = self.plan.mapping.columns
        if target.is_complete(self.plan):
            return [dict(zip(columns, row, strict=True)) for row in self.rows]
        return [
            {name: value for name, value in zip(columns, row, strict=True) if value is not ABSENT}
            for row in self.rows
        ]

    def _map(self) -> None:
        if self.plan.mapping is None:
            raise InvalidError(
                f"{self.plan.name} has no mapping yet: its first run learns it.",
                hint=f"Run it: edgekit integrations run {self.plan.name}",
            )
        rows, failed = self.plan.mapping.map_many(self.records)
        self.rows = rows
        if failed:
            self.outcome.failures.extend((self.indexes[place], "map", error) for place, error in failed)
            bad = {place for place, _ in failed}
            self.indexes = [index for place, index in enumerate(self.indexes) if place not in bad]

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
        name = "validate_in" if self.rows is None else "validate_out"
        for place in refused:
            finding = step.validator.errors(documents[place], most=1)[0]
            where = f"{finding.path}: " if finding.path else ""
            error = SkipRecordError(f"{where}{finding.message}", error_code=finding.code)
            self.outcome.failures.append((self.indexes[places[place]], name, error))
        bad = {places[place] for place in refused}
        good = [place for place in range(len(self.indexes)) if place not in bad]
        self.indexes = [self.indexes[place] for place in good]
        if self.rows is None:
            self.records = [self.records[place] for place in good]
        else:
            self.rows = [self.rows[place] for place in good]


def process(plan: Plan, records: Sequence[Any]) -> Outcome:
    """Take a batch from records to rows, in the open change."""
    batch = Batch(plan, records)
    for step in plan.steps:
        batch.take(step)
    assert batch.rows is not None
    written, refused = target.write(plan, batch.indexes, batch.rows)
    outcome = batch.outcome
    outcome.failures.extend((index, "write", error) for index, error in refused)
    outcome.written, outcome.changed = written.accepted, written.changed
    return outcome
