"""Records set aside, tried again: one or many, from the first step or the failed one, by any version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import db, tracing
from edgekit.errors import EdgekitError, InvalidError, quoted
from edgekit.integrations import require_usable
from edgekit.integrations.plan import prepare_earlier
from edgekit.runner import dead_letters, reading, sending, transform
from edgekit.runner.work import Work

if TYPE_CHECKING:
    from edgekit.integrations import Plan
    from edgekit.runner.sending import Outlet
    from edgekit.runner.transform import Batch, Outcome

STARTS = ("first", "failed")


@dataclass(slots=True)
class Replayed:
    """What a replay of many came to. `errors` counts by code what failed again; `error` stopped the rest."""

    integration: str
    tried: int = 0
    replayed: int = 0
    failed: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    message: str | None = None
    error: EdgekitError | None = field(default=None, repr=False)


def replay_dead_letter(
    letter_id: int, *, start: str = "first", mapping_version: int | None = None, as_of_run: bool = False
) -> dict[str, Any]:
    """Send a record through its integration again, with the mapping and rules of now.

    `start` is `first`, or `failed`: the step it stopped at, as which it came there. `mapping_version` takes
    the mappings of a version instead, `as_of_run` mappings and pipeline as they were when the run began. On
    success it is settled in the change that writes it. On failure the attempt is counted and the error
    raised; the record stays. Raise ConflictError if it is settled already, NotFoundError for a version or
    step there is not, DeniedError where production writes by live mappings only.
    """
    _check(start, mapping_version, as_of_run=as_of_run)
    row = dead_letters.show_pending(letter_id)
    require_usable(row["integration"])
    plan = _plan(row["integration"], mapping_version, row["execution_id"] if as_of_run else None)
    with Work(plan) as work, sending.opened_again(plan, row) as outlet:
        outcome = try_again(plan, row, work, outlet, start=start)
    if not outcome.failures:
        return reading.show_dead_letter(letter_id)
    raise InvalidError(
        f"The dead letter {letter_id} failed again: {outcome.failures[0].error.message}",
        hint="Mend its mapping or the data, or discard it.",
    )


def replay_dead_letters(
    integration: str,
    *,
    step: str | None = None,
    start: str = "first",
    mapping_version: int | None = None,
    as_of_run: bool = False,
) -> Replayed:
    """Send all records that wait through their integration again, those of one step if it is named.

    Each is a change of its own, and options are those of `replay_dead_letter`. What fails again stays, and
    is counted; where another side cannot be asked at all, the rest waits and `error` says why. Raise
    NotFoundError, InvalidError as `replay_dead_letter` does.
    """
    _check(start, mapping_version, as_of_run=as_of_run)
    require_usable(integration)
    rows = [
        row
        for row in reading.list_dead_letters(integration=integration, limit=-1)
        if step is None or step in {row["step"], row["step_name"]}
    ]
    result = Replayed(rows[0]["integration"] if rows else integration)
    runs = sorted({row["execution_id"] for row in rows}) if as_of_run else [None]
    for run in runs:
        ids = [row["id"] for row in rows if run is None or row["execution_id"] == run]
        if ids and result.error is None:
            plan = _plan(integration, mapping_version, run)
            with Work(plan) as work:
                _replay(plan, ids, work, start, result)
    return result


def _replay(plan: Plan, ids: list[int], work: Work, start: str, result: Replayed) -> None:
    for letter_id in ids:
        row = reading.show_dead_letter(letter_id)
        if row["status"] != "pending":
            continue  # settled meanwhile
        try:
            with sending.opened_again(plan, row) as outlet:
                outcome = try_again(plan, row, work, outlet, start=start)
        except EdgekitError as error:
            if is_settled(letter_id):
                continue  # by another process, while this one was at it
            result.error, result.message = error, error.message
            return
        work.shrink()
        result.tried += 1
        result.replayed += not outcome.failures
        if outcome.failures:
            code = outcome.failures[0].error.code
            result.failed += 1
            result.errors[code] = result.errors.get(code, 0) + 1


def is_settled(letter_id: int) -> bool:
    """Tell whether a letter waits no more."""
    return bool(reading.show_dead_letter(letter_id)["status"] != "pending")


def _check(start: str, mapping_version: int | None, *, as_of_run: bool) -> None:
    if start not in STARTS:
        raise InvalidError(
            f"{start!r} is no place to start from.", hint=f"It is one of: {', '.join(STARTS)}."
        )
    if mapping_version is not None and as_of_run:
        raise InvalidError("Take the mappings of a version, or those of the run; not both.")


def _plan(integration: str, mapping_version: int | None, run: int | None) -> Plan:
    plan = prepare_earlier(integration, mapping_version=mapping_version, execution_id=run)
    if plan.mapping is None and plan.to is None:
        raise InvalidError(
            f"{plan.name} has no mapping to send a record through.",
            hint=f"Run it: edgekit integrations run {quoted(plan.name)}",
        )
    return plan


def try_again(
    plan: Plan, row: dict[str, Any], work: Work, outlet: Outlet | None = None, *, start: str = "first"
) -> Outcome:
    """Take a letter through its pipeline; settle it, or count the attempt where it failed again.

    `row` is as `show_dead_letter` gives it. Raise EdgekitError where a step cannot be taken at all, and
    ConflictError if it was settled meanwhile; then nothing is changed but the log of what was asked.
    """
    correlation_id, run = row["correlation_id"], row["execution_id"]
    try:
        with tracing.under(correlation_id):
            batch = _taken(plan, row, work, outlet, start)
            sent = outlet.send_again(batch, row["source_position"]) if outlet is not None else None
    except EdgekitError:
        with db.change(reason=f"dead-letters replay {row['id']}: failed", correlation_id=correlation_id):
            work.log_tries(correlation_id, run)
        raise
    with db.change(reason=f"dead-letters replay {row['id']}", correlation_id=correlation_id):
        work.log_tries(correlation_id, run)
        outcome = transform.write(batch) if sent is None else sent.store()
        if not outcome.failures:
            dead_letters.settle_replayed(row["id"])
        else:
            dead_letters.note_failure(row["id"], row["record"], outcome.failures[0])
    return outcome


def _taken(plan: Plan, row: dict[str, Any], work: Work, outlet: Outlet | None, start: str) -> Batch:
    if row["step"] != "read" and _goes_on(plan, row, start):
        there = row["record"] if row["step_record"] is None else row["step_record"]
        return transform.resume(plan, row["record"], there, row["step_name"], row["step"], work)
    record = row["record"] if outlet is None else outlet.current_record(row)
    return transform.prepare(plan, [record], work, is_alone=True)


def _goes_on(plan: Plan, row: dict[str, Any], start: str) -> bool:
    """Tell whether a letter begins with the step that failed.

    What was made of many is nothing to the steps before; a row that could not be kept is made once more.
    """
    place = row["step_name"], row["step"]
    if start == "first":
        return transform.is_of_many(plan, *place)
    return row["step_record"] is not None or not transform.is_behind_mapping(plan, *place)
