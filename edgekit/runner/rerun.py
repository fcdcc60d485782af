"""A past run again, from what it kept: what its records would become now, beside what the table says now.

Each batch is really written, by the mapping and pipeline asked for, in a change that is undone: so what the
file itself makes of values, and refuses, is told as well. The rows are compared before and after.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.errors import EdgekitError, InvalidError, quoted
from edgekit.integrations import require_usable
from edgekit.integrations.plan import prepare_earlier
from edgekit.integrations.steps import asking
from edgekit.runner import dead_letters, execution, holding, kept, reading, sending, target, transform
from edgekit.runner.undoing import undone
from edgekit.runner.work import Work
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.integrations.plan import Plan
    from edgekit.runner.execution import Execution
    from edgekit.runner.kept import Batch
    from edgekit.runner.transform import Outcome

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that would not leave the table as it is.

    `what` is `added`, `changed` (`fields` has {column: [now, would be]}), `set_aside` (with the error), or
    `sent` of an integration that sends: another document than the one sent last.
    """

    position: str
    what: str
    key: Mapping[str, Any] | None = None
    fields: Mapping[str, list[Any]] = field(default_factory=dict)
    step: str | None = None
    error_code: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Rerun:
    """What a past run would come to; `differences` are the first so many, the counts are of all records.

    `written_execution_id` is the run that wrote it, where it was asked to write.
    """

    execution_id: int
    integration: str
    mapping_version: int | None
    records: int = 0
    same: int = 0
    added: int = 0
    changed: int = 0
    set_aside: int = 0
    filtered: int = 0
    differences: list[Difference] = field(default_factory=list)
    written_execution_id: int | None = None
    message: str | None = None


def replay_execution(
    execution_id: int,
    *,
    mapping_version: int | None = None,
    as_of_run: bool = False,
    write: bool = False,
    calls: bool = False,
    limit: int = MOST_SHOWN,
) -> Rerun:
    """Run a past execution again from what it kept, and tell how the table would differ from what it is now.

    With the mapping and pipeline of now, the mappings of a version, or both as they were when it began. With
    `write` it is written as a run of its own, whose bad records are set aside; else nothing is. `calls` lets
    steps ask other integrations. Raise NotFoundError (no such run or version), InvalidError where nothing was
    kept or calls are needed, DeniedError where production writes by live mappings only, VaultLockedError.
    """
    run = reading.show_execution(execution_id)
    require_usable(run["integration"])
    if mapping_version is not None and as_of_run:
        raise InvalidError("Take the mappings of a version, or those of the run; not both.")
    plan = prepare_earlier(
        run["integration"], mapping_version=mapping_version,
        execution_id=execution_id if as_of_run else None, trial=not write,
    )  # fmt: skip
    _check(plan, calls=calls, write=write)
    result = Rerun(execution_id, run["integration"], mapping_version)
    batches = kept.read(execution_id)
    with Work(plan) as work:
        if write:
            with holding.hold(plan):
                _perform(plan, batches, work, result, limit)
        else:
            for batch in batches:
                taken = transform.prepare(plan, batch.records, work)
                if plan.to is not None:
                    _compare_sent(batch, taken, result, limit)
                else:
                    with undone(f"executions replay {execution_id}"):
                        _compare(plan, batch, taken, result, limit)
                work.shrink()
    if run["resumed_from_id"] is not None:
        result.message = f"It went on from the execution {run['resumed_from_id']}, which kept what it read."
    return result


def _check(plan: Plan, *, calls: bool, write: bool) -> None:
    if plan.to is not None and write:
        raise InvalidError(
            f"{plan.name} sends records: what it read once is not sent again.",
            hint=f"Send what there is now: edgekit integrations run {quoted(plan.name)}",
        )
    if plan.mapping is None and plan.to is None:
        raise InvalidError(f"{plan.name} has no mapping to send records through.")
    if (asked := [step.name for step in asking(plan.steps)]) and not calls:
        raise InvalidError(
            f"{', '.join(asked)} asks another integration, and calls are not allowed here.",
            hint="Allow them: --calls",
        )


def _perform(plan: Plan, batches: Any, work: Work, result: Rerun, limit: int) -> None:
    """Write it all as a run of its own; a failure ends it, and what was written stays."""
    first = next(batches)  # that nothing was kept is known before a run begins
    current = execution.begin(plan, trigger="replay", anew=True)
    result.written_execution_id = current.id
    try:
        batch: Batch | None = first
        while batch is not None:
            taken = transform.prepare(plan, batch.records, work)
            with db.change(
                reason=f"executions replay {result.execution_id}", correlation_id=current.correlation_id
            ):
                outcome = _compare(plan, batch, taken, result, limit)
                _keep_books(plan, current, batch, outcome)
                work.log_tries(current.correlation_id, current.id)
            work.shrink()
            batch = next(batches, None)
    except KeyboardInterrupt:
        execution.end(current, plan, "interrupted", InvalidError("Stopped by the user."))
        raise
    except EdgekitError as error:
        with db.change(reason=f"executions replay {result.execution_id}: failed"):
            work.log_tries(current.correlation_id, current.id)
            execution.end(current, plan, "failed", error)
        raise
    execution.end(current, plan, "completed")


def _keep_books(plan: Plan, current: Execution, batch: Batch, outcome: Outcome) -> None:
    letters = [
        dead_letters.letter(batch.records[failure.index], batch.positions[failure.index], failure)
        for failure in outcome.failures
    ]
    if letters:
        dead_letters.store(current, plan, letters)
    current.records_read += len(batch.records)
    current.records_written += outcome.written
    current.records_changed += outcome.changed
    current.records_failed += len(letters)
    current.records_filtered += outcome.filtered
    execution.save_counts(current, plan)


def _compare_sent(batch: Batch, taken: transform.Batch, result: Rerun, limit: int) -> None:
    """Count and tell what would be sent and differs from what was sent last."""
    parcels, unchanged = sending.would_send(taken, batch.positions)
    result.records += len(batch.records)
    result.same += unchanged
    result.filtered += taken.outcome.filtered
    found = _set_aside(batch, taken.outcome, result)
    for parcel in parcels:
        result.changed += 1
        fields = {name: [None, value] for name, value in parcel.outgoing.record.items()}
        found[parcel.index] = Difference(
            batch.positions[parcel.index], "sent", {"key": parcel.outgoing.key}, fields
        )
    _show(found, result, limit)


def _set_aside(batch: Batch, outcome: Outcome, result: Rerun) -> dict[int, Difference]:
    found = {}
    for failure in outcome.failures:
        result.set_aside += 1
        found[failure.index] = Difference(
            batch.positions[failure.index], "set_aside", step=failure.name or failure.step,
            error_code=failure.error.code, error=failure.error.message,
        )  # fmt: skip
    return found


def _show(found: Mapping[int, Difference], result: Rerun, limit: int) -> None:
    for index in sorted(found):
        if len(result.differences) < limit:
            result.differences.append(found[index])


def _compare(plan: Plan, batch: Batch, taken: transform.Batch, result: Rerun, limit: int) -> Outcome:
    """Write a batch in the open change, and count and tell what differs from before."""
    assert taken.rows is not None
    places, rows, _ = target.resolve(plan, range(len(taken.rows)), taken.rows)
    keys = {place: _key(plan, row) for place, row in zip(places, rows, strict=True)}
    before = _stored(plan, list(keys.values()))
    outcome = transform.write(taken)
    after = _stored(plan, list(keys.values()))
    result.records += len(batch.records)
    result.filtered += outcome.filtered
    found = _set_aside(batch, outcome, result)
    told: set[Any] = set()
    for place, key in keys.items():
        index, text = taken.indexes[place], _written(key)
        if index in found and found[index].what == "set_aside":
            continue
        old, new = before.get(text), after.get(text)
        if text in told or old == new or new is None:  # a key that comes twice is told once
            result.same += 1
            continue
        told.add(text)
        result.added += old is None
        result.changed += old is not None
        changes = {
            column: [None if old is None else old[column], value]
            for column, value in new.items()
            if old is None or old[column] != value
        }
        found[index] = Difference(batch.positions[index], "added" if old is None else "changed", key, changes)
    _show(found, result, limit)
    return outcome


def _key(plan: Plan, row: Sequence[Any]) -> dict[str, Any]:
    assert plan.mapping is not None
    return {name: row[plan.mapping.columns.index(name)] for name in _key_columns(plan)}


def _written(key: Mapping[str, Any]) -> str:
    # Of plain characters: half of one is the table's to refuse.
    return json.dumps(list(key.values()), default=str)


def _key_columns(plan: Plan) -> list[str]:
    assert plan.mapping is not None
    return [name for name in plan.key if name in plan.mapping.columns]


def _stored(plan: Plan, keys: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the mapped columns of the rows with these keys, by key as it was asked for."""
    assert plan.mapping is not None
    columns = ", ".join(f"t.{quote_name(name)}" for name in plan.mapping.columns)
    joined = " AND ".join(
        f"t.{quote_name(name)} = json_extract(w.value, '$[{number}]')"
        for number, name in enumerate(_key_columns(plan))
    )
    own = ""
    if "organization_id" in plan.key and "organization_id" not in plan.mapping.columns:
        own = f" AND t.organization_id IS {db.current().session.organization_id}"
    values = [_written(key) for key in keys]
    rows = db.connection().execute(
        f"SELECT w.key, {columns} FROM json_each(?) w JOIN {quote_name(plan.table)} t ON {joined}{own}",
        (f"[{', '.join(values)}]",),
    )
    return {values[number]: dict(zip(plan.mapping.columns, row, strict=True)) for number, *row in rows}
