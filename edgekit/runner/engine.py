"""Run an integration: page by page, each batch's rows, rejects, checkpoint and counters in one change.

A kill at any instant therefore loses nothing and repeats nothing: what was committed is counted and the
checkpoint stands behind it; what was not is read again. No change is open while a source is being waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from edgekit import db, tracing
from edgekit.errors import ConflictError, DeniedError, EdgekitError, InvalidError, SkipRecordError, quoted
from edgekit.integrations import Plan, live, prepare, require_usable, tables
from edgekit.integrations.reading import require_secrets
from edgekit.runner import (
    attempts,
    dead_letters,
    execution,
    garbage,
    holding,
    inputs,
    kept,
    outcomes,
    reading,
    replaying,
    sending,
    telemetry,
    transform,
)
from edgekit.runner.execution import Execution, OnEnd, RunResult, RunStoppedError
from edgekit.runner.limits import gated
from edgekit.runner.undoing import undone
from edgekit.runner.work import Work

if TYPE_CHECKING:
    from edgekit.connectors import Description, Page
    from edgekit.mapping import FieldMapping
    from edgekit.runner.sending import Outlet

Progress = Callable[[int], None]
"""Called after every batch with the number of records read so far."""


def run(
    name: str,
    *,
    input: str | None = None,  # noqa: A002 - as the command spells it
    records: Mapping[str, Mapping[str, Any]] | None = None,
    overrides: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    fresh: bool = False,
    trigger: str = "manual",
    correlation_id: str | None = None,
    job_id: int | None = None,
    beside: bool = False,
    stop: Callable[[], bool] | None = None,
    on_end: OnEnd | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run an integration to its end, or go on from where an interrupted run stopped.

    `input` is a file in place of the source's own, or of the rows that drive it; `records`, by their places,
    are given in place of either, and leave the checkpoint alone; `overrides` are settings for this run only;
    `dry_run` reads, maps and writes every batch and undoes it, though requests count; `fresh` asks also for
    rows whose last answers are used again. All it does carries `correlation_id`. `on_end` is called in the
    change that writes the end; without it and without a job, how it ended is told as an event.

    While another run of the integration is at work, one `beside` it begins from the beginning and leaves the
    checkpoint alone. A run whose job `job_id` is to be cancelled ends after its batch as `cancelled`, one
    whose `stop` says so as `interrupted`, as with Ctrl-C. A run that failed is returned with `error`. Raise
    NotFoundError or InvalidError for what can be known before the first record, ConflictError if another
    process is running it.
    """
    started = time.monotonic()
    require_usable(name)
    plan = prepare(name, input=input, records=records, overrides=overrides, trial=dry_run)
    inputs.require_given(plan)
    # What others prove themselves by is asked for when something is received, not when it is read.
    ways = {**plan.config, "verify": None, "to": plan.to.config if plan.to is not None else None}
    require_secrets(plan.integration_id, plan.name, ways)
    correlation_id = correlation_id or tracing.new_correlation_id()
    with (
        tracing.under(correlation_id),
        holding.hold(plan, beside=beside and not dry_run) as runner_id,
        garbage.rarely_collected(),
        gated(plan.connector, plan.integration_id, plan.name) as plan.connector,
        Work(plan) as work,
    ):
        if dry_run:
            result = _rehearse(plan, work, progress, fresh)
        else:
            kept.require_vault(plan)
            current = execution.begin(
                plan, trigger=trigger, fresh=fresh, beside=runner_id, correlation_id=correlation_id
            )
            current.job_id, current.stop, current.trigger = job_id, stop, trigger
            current.on_end = on_end or (outcomes.tell if job_id is None else None)
            result = _perform(plan, current, work, progress)
    result.duration_ms = round((time.monotonic() - started) * 1000)
    if result.execution_id is not None:
        telemetry.tell_run(result.execution_id)
    db.current().keep()
    return result


def _perform(plan: Plan, current: Execution, work: Work, progress: Progress | None) -> RunResult:
    try:
        with sending.opened(plan, current) as outlet:
            if not current.is_read:
                _read_all(plan, current, work, progress, outlet)
            if plan.policy.attempts:
                _retry_letters(plan, current, work, outlet)
            if outlet is not None:
                outlet.finish()
        if current.ended is None:
            current.ended = _end(plan, current)
    except KeyboardInterrupt:
        if current.ended is None:
            execution.end(current, plan, "interrupted", InvalidError("Stopped by the user."))
            go_on = "Stopped. Run it again to go on from the last batch."
            return _result(plan, current, "interrupted", message=go_on)
    except RunStoppedError as asked:
        execution.end(current, plan, asked.status, asked)
        return _result(plan, current, asked.status, message=asked.message)
    except EdgekitError as failure:
        _end_failed(plan, current, work, failure)
        current.ended = "failed", failure
    except BaseException:
        _end_failed(plan, current, work, EdgekitError("A fault of the program stopped the run."))
        raise
    status, error = current.ended
    return _result(plan, current, status, error=error, message=error.message if error else None)


def _end(plan: Plan, current: Execution) -> tuple[str, EdgekitError | None]:
    """Write how a run that has read everything ended, and return it."""
    error = _excess(plan, current, final=True)
    status = "completed" if error is None else "failed"
    with db.change(reason=f"run {plan.name}: {status}", correlation_id=current.correlation_id):
        if plan.to is not None:
            execution.save_batch(current, plan, current.state, finished=True)
        execution.end(current, plan, status, error)
    return status, error


def _end_failed(plan: Plan, current: Execution, work: Work, error: EdgekitError) -> None:
    """Write how the run failed, if the file can be written at all; if not, the next run settles it."""
    try:
        with db.change(reason=f"run {plan.name}: failed", correlation_id=current.correlation_id):
            attempts.log_run(plan, current, getattr(error, "attempts", []))
            work.log_tries(current.correlation_id, current.id)
            execution.end(current, plan, "failed", error)
    except EdgekitError as second:
        error.hint = error.hint or second.message


def _read_all(
    plan: Plan, current: Execution, work: Work, progress: Progress | None, outlet: Outlet | None
) -> None:
    with closing(_pages(plan, current)) as pages:
        for page in pages:
            before = current.counts
            batch = _take_steps(plan, page, work)
            sent = outlet.send(batch, page) if outlet is not None else None
            try:
                with db.change(reason=f"run {plan.name}", correlation_id=current.correlation_id):
                    outcome = transform.write(batch) if sent is None else sent.store()
                    _write_batch(plan, current, page, outcome)
                    work.log_tries(current.correlation_id, current.id)
                    # The end is part of the last batch: a kill between the two would read all of it again.
                    # What was sent is brought to its final place first.
                    last = bool(page.state.get("done")) and not plan.policy.attempts and plan.to is None
                    ended = _end(plan, current) if last else None
            except BaseException:
                current.counts = before  # the batch is undone: it counts for nothing
                raise
            current.ended = ended
            if plan.to is not None:
                current.state = page.state
            _acknowledge(plan, page.state)
            page.records = []  # let go before the next page is read; the connector may still need its list
            del batch, sent, outcome
            work.shrink()
            if progress is not None:
                progress(current.records_read)
            if ended is None and (error := _excess(plan, current, final=False)) is not None:
                raise error
            if ended is None:
                execution.look_up(current)


def _acknowledge(plan: Plan, state: Mapping[str, Any]) -> None:
    """Tell the connector, if it wants to know, that what it yielded with a state is kept for good."""
    committed = getattr(plan.connector, "committed", None)
    if committed is not None:
        committed({**plan.config, **plan.exchange}, state=state, secrets=plan.secrets)


def _pages(plan: Plan, current: Execution) -> Generator[Page, None, None]:
    """Read the source from where the run goes on."""
    state = current.state
    rows = inputs.read(plan, state, current.reuse) if plan.inputs is not None else None
    config = {**plan.config, **plan.exchange}
    source = plan.connector.read(config, state=state, inputs=rows, secrets=plan.secrets)
    with closing(source):
        yield from source


def _take_steps(plan: Plan, page: Page, work: Work) -> transform.Batch:
    """Take a page through the steps, before its change is open: some of them wait for another side.

    Where there is no mapping yet it is learned from the first page, as its records come to the mapping.
    """
    if plan.mapping is not None or plan.to is not None:
        return transform.prepare(plan, page.records, work)
    if page.rejects and not page.records:
        first = page.rejects[0]
        if _is_no_source(page):
            return transform.begin(plan, [], work)
        raise InvalidError(f"{plan.name}: no record can be read; {first.position}: {first.message}")
    batch = transform.begin(plan, page.records, work)
    with db.change(reason=f"run {plan.name}: learn the mapping"):
        tables.adopt(plan, batch.records or page.records, _description(plan, page))
    if plan.learns_only:
        raise _learned(plan)
    return transform.finish(batch)


def _is_no_source(page: Page) -> bool:
    """Whether a page tells of nothing but files that are none, and others are still to come."""
    is_none = not page.records and all(reject.code == "file" for reject in page.rejects)
    return is_none and not page.state.get("done")


def _description(plan: Plan, page: Page) -> Description | None:
    """Return what the source says of its records, as long as no step makes others of them."""
    reshaped = any(step.kind not in {"map", "validate"} for step in plan.steps)
    return None if reshaped else page.description


def _learned(plan: Plan) -> DeniedError:
    return DeniedError(
        f"{plan.name} learned {len(plan.fields)} mappings and wrote no record: in production they are"
        " approved first.",
        hint=f"Look at them, test and approve them: edgekit mappings approvals {quoted(plan.name)}",
    )


def _write_batch(plan: Plan, current: Execution, page: Page, outcome: transform.Outcome) -> None:
    """Write everything that is to be known about a page. Raise the first error under `fail_fast`."""
    letters = [
        dead_letters.Letter(reject.raw, reject.position, "read", reject.code, None, reject.message)
        for reject in page.rejects
    ]
    letters += [
        dead_letters.letter(page.records[failure.index], page.positions[failure.index], failure)
        for failure in outcome.failures
    ]
    if letters and plan.strategy == "fail_fast":
        first = letters[0]
        raise SkipRecordError(f"{first.position}: {first.message}", error_code=first.code)
    if letters and not current.first_failure:
        current.first_failure = f"{letters[0].position}: {letters[0].message}"
    if letters and plan.strategy != "continue_on_error":
        dead_letters.store(current, plan, letters)
    current.records_read += len(page.records) + len(page.rejects)
    current.records_written += outcome.written
    current.records_changed += outcome.changed
    current.records_failed += len(letters)
    current.records_filtered += outcome.filtered
    attempts.log_run(plan, current, page.attempts)
    kept.keep(plan, current, page)
    execution.save_batch(current, plan, page.state)


def _excess(plan: Plan, current: Execution, *, final: bool) -> InvalidError | None:
    """Say that more was set aside than the pipeline allows, if it was. What was written stays."""
    failed, read, limits = current.records_failed, current.records_read, plan.policy
    hint = f"See why: edgekit dead-letters list --integration {quoted(plan.name)}"
    if limits.max_count is not None and failed > limits.max_count:
        return InvalidError(
            f"{failed} records were set aside, more than the {limits.max_count} allowed;"
            f" the first: {current.first_failure}",
            hint=hint,
        )
    percent = 100 * failed / read if read else 0.0
    if final and limits.max_percent is not None and percent > limits.max_percent:
        return InvalidError(
            f"{failed} of {read} records were set aside ({percent:.0f} %), more than the"
            f" {limits.max_percent:g} % allowed; the first: {current.first_failure}",
            hint=hint,
        )
    return None


def _retry_letters(plan: Plan, current: Execution, work: Work, outlet: Outlet | None) -> None:
    """Try what failed again, now that all the rest is in: a reference may have arrived meanwhile."""
    pending = "SELECT id FROM dead_letter WHERE execution_id = ? AND replay_status = 'pending' ORDER BY id"
    for _ in range(plan.policy.attempts):
        if not (letters := db.query(pending, (current.id,))):
            break
        time.sleep(plan.policy.delay_seconds)
        work.forget_missing()
        for row in letters:
            try:
                outcome = replaying.try_again(plan, reading.show_dead_letter(row["id"]), work, outlet)
            except ConflictError:
                if replaying.is_settled(row["id"]):
                    continue  # somebody replayed or discarded it meanwhile
                raise
            if not outcome.failures:
                current.records_failed -= 1
                current.records_written += outcome.written
                current.records_changed += outcome.changed
                current.records_filtered += outcome.filtered
    with db.change(reason=f"run {plan.name}: retried", correlation_id=current.correlation_id):
        work.log_tries(current.correlation_id, current.id)
        execution.save_counts(current, plan)


def _rehearse(plan: Plan, work: Work, progress: Progress | None, fresh: bool) -> RunResult:
    """Do all of a run but the keeping of it: no execution, no checkpoint, no dead letters."""
    current = Execution(0, "", "", {}, reuse=execution.spare(plan, fresh=fresh))
    learn, sample, asked = plan.mapping is None and plan.to is None, None, (plan.key, plan.fields)
    documents: list[Any] = []
    with closing(_pages(plan, current)) as source:
        for page in source:
            batch = transform.begin(plan, page.records, work)
            if learn and _is_no_source(page):
                current.records_read += len(page.rejects)
                current.records_failed += len(page.rejects)
                continue
            sample = sample or (batch.records or page.records, _description(plan, page))
            if learn:
                with undone(f"run {plan.name} --dry-run: learn the mapping"):
                    _learn_again(plan, sample, asked)  # steps behind it are taken outside any change
            batch = transform.finish(batch)
            with undone(f"run {plan.name} --dry-run"):
                if learn:
                    _learn_again(plan, sample, asked)
                if plan.to is None:
                    outcome = transform.write(batch)
                else:
                    outcome = sending.rehearse(batch, page.positions, documents)
            current.records_read += len(page.records) + len(page.rejects)
            current.records_written += outcome.written
            current.records_changed += outcome.changed
            current.records_failed += len(outcome.failures) + len(page.rejects)
            current.records_filtered += outcome.filtered
            current.retries += sum(attempt.retry_number > 0 for attempt in page.attempts)
            if progress is not None:
                progress(current.records_read)
    message = "Nothing was written." if plan.to is None else "Nothing was sent."
    if waiting := live.say_waiting(plan.integration_id, plan.name):
        message = f"{message} {waiting}"
    result = _result(plan, current, "dry_run", message=message)
    result.execution_id, result.documents = None, documents
    return result


def _learn_again(
    plan: Plan,
    sample: tuple[Sequence[Any], Description | None],
    asked: tuple[tuple[str, ...], list[FieldMapping]],
) -> None:
    """Learn the mapping from where it began: what was learned before was undone with its table."""
    plan.key, plan.fields = asked
    tables.adopt(plan, *sample)


def _result(
    plan: Plan,
    current: Execution,
    status: str,
    *,
    error: EdgekitError | None = None,
    message: str | None = None,
) -> RunResult:
    return RunResult(
        integration=plan.name,
        execution_id=current.id,
        status=status,
        records_read=current.records_read,
        records_written=current.records_written,
        records_changed=current.records_changed,
        dead_letters=current.records_failed,
        filtered=current.records_filtered,
        retries=current.retries,
        skipped=current.reuse.skipped if current.reuse is not None else 0,
        correlation_id=current.correlation_id,
        message=message,
        error=error,
        direction="inbound" if plan.to is None else "outbound",
    )
