"""Records on their way out: sent while no change is open, and what was answered committed with the rest.

A kill between sending and committing loses nothing: what was sent is sent again, under the same key, which
lets the other side tell a second try from a second record.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.connectors import Answer, Delivery, Outgoing
from edgekit.errors import ConflictError, EdgekitError, InvalidError, SkipRecordError, quoted
from edgekit.runner import attempts, deliveries, execution, holding, inputs
from edgekit.runner.deliveries import Parcel
from edgekit.runner.execution import Execution
from edgekit.runner.limits import gated
from edgekit.runner.transform import SEND, WRITE, Batch, Failure, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.connectors import Attempt, Page, Writer
    from edgekit.integrations import Plan
    from edgekit.integrations.outbound import Way

_MOST_SHOWN = 3
"""Documents a dry run shows of what it would send."""


@dataclass(slots=True)
class Sent:
    """What became of records that were sent, not yet committed."""

    outlet: Outlet
    outcome: Outcome
    parcels: list[Parcel] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    unchanged: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    is_retry: bool = False
    """Whether it was sent behind the last page of a run: no other checkpoint follows."""

    def store(self) -> Outcome:
        """Write answers, tries and what follows from them, in the open change."""
        plan, current = self.outlet.plan, self.outlet.current
        if self.outlet.way.connector is None:
            self.answers = deliveries.tell(plan, self.parcels)
        deliveries.store(plan, self.parcels, self.answers, execution_id=current.id)
        refused = deliveries.write_back(plan, self.parcels, self.answers)
        self.outcome.failures.extend(
            Failure(parcel.index, WRITE, error, None, parcel.outgoing.record) for parcel, error in refused
        )
        self.outcome.changed = sum(answer.error is None for answer in self.answers) - len(refused)
        self.outcome.written = self.outcome.changed + self.unchanged
        attempts.log_run(plan, current, self.attempts)
        current.writer = self.state
        if self.is_retry and current.runner_id:
            execution.save_writer(current, plan)
        return self.outcome


class Outlet:
    """The open way out of one run. It is opened when something is to be sent, or to be finished."""

    def __init__(self, plan: Plan, current: Execution) -> None:
        assert plan.to is not None
        self.plan = plan
        self.way: Way = plan.to
        self.current = current
        self._stack = ExitStack()
        self._writer: Writer | None = None

    def close(self) -> None:
        """Leave what is open; what was not finished is half-written, and stands under no final name."""
        self._stack.close()

    def _open(self) -> Writer:
        if self._writer is None:
            connector: Any = self.way.connector
            connector = self._stack.enter_context(gated(connector, self.plan.integration_id, self.plan.name))
            config = {**self.way.config, **self.way.exchange}
            opened = connector.open(config, state=self.current.writer, secrets=self.plan.secrets)
            self._writer = self._stack.enter_context(opened)
        return self._writer

    def send(self, batch: Batch, page: Page) -> Sent:
        """Send what went through the steps of one page, outside any change.

        Raise SkipRecordError under `fail_fast` at a record that cannot be sent or was refused: what was sent
        by then is noted. Raise EdgekitError where nothing more can be sent.
        """
        sent = Sent(self, batch.outcome, state=self.current.writer)
        parcels = _parcels(batch, page.positions, sent, only_changes=_only_changes(self.plan))
        stops = self.plan.strategy == "fail_fast"
        if stops:
            _stop_at_first(page, batch.outcome)
        self._hand_over(parcels, sent)
        if stops and batch.outcome.failures:
            self._note(sent)
            _stop_at_first(page, batch.outcome)
        return sent

    def send_again(self, batch: Batch, position: str) -> Sent:
        """Send the one record of a dead letter, outside any change, whether it was sent before or not."""
        sent = Sent(self, batch.outcome, state=self.current.writer, is_retry=True)
        self._hand_over(_parcels(batch, [position], sent, only_changes=False), sent)
        return sent

    def _hand_over(self, parcels: list[Parcel], sent: Sent) -> None:
        """Send records and take down what was answered. The outbox is written when all is committed."""
        sent.parcels = parcels
        if self.way.connector is None or not parcels:
            return
        deliveries.announce(self.plan, parcels, correlation_id=self.current.correlation_id)
        try:
            delivery = self._open().send([parcel.outgoing for parcel in parcels])
        except EdgekitError as error:
            answered = getattr(error, "answers", [])  # of those before the one it broke at
            sent.parcels, sent.answers = parcels[: len(answered)], answered
            self._note(sent)
            raise
        _check(self.way.kind, parcels, delivery)
        sent.answers, sent.state, sent.attempts = delivery.answers, delivery.state, delivery.attempts
        sent.outcome.failures.extend(
            Failure(parcel.index, SEND, answer.error, None, parcel.outgoing.record)
            for parcel, answer in zip(parcels, sent.answers, strict=True)
            if answer.error is not None
        )

    def _note(self, sent: Sent) -> None:
        """Commit what was answered to records of a page that is otherwise undone."""
        with db.change(reason=f"run {self.plan.name}", correlation_id=self.current.correlation_id):
            sent.store()

    def current_record(self, letter: Mapping[str, Any]) -> Any:
        """Return the record of a dead letter: a row of a table as it is now, any other as it came.

        Raise ConflictError where the row is gone.
        """
        record, plan = letter["record"], self.plan
        if plan.connector.name != "table" or plan.inputs is None or not isinstance(record, dict):
            return record
        row = inputs.read_row(plan, record.get(plan.inputs.key))
        if row is None:
            raise ConflictError(
                f"The row of {plan.inputs.table} that the dead letter {letter['id']} is of is not there any"
                " more, or is left out by the filter.",
                hint=f"Decide against it: edgekit dead-letters discard {letter['id']}",
            )
        return row

    def finish(self) -> None:
        """Bring what was sent to its final place, outside any change.

        A run of changes alone that had none leaves what is there as it is.
        """
        if self.way.connector is None:
            return
        if self._writer is None and _only_changes(self.plan) and not self.current.writer:
            return
        self._open().finish()


@contextmanager
def opened(plan: Plan, current: Execution) -> Iterator[Outlet | None]:
    """Give the way out of a run; None where its records go into a table."""
    if plan.to is None:
        yield None
        return
    outlet = Outlet(plan, current)
    try:
        yield outlet
    finally:
        outlet.close()


@contextmanager
def opened_again(plan: Plan, letter: Mapping[str, Any]) -> Iterator[Outlet | None]:
    """Give a way out for the record of a dead letter; None where it goes into a table.

    Raise InvalidError where a single record cannot be sent, ConflictError while the integration runs.
    """
    if plan.to is None:
        yield None
        return
    if getattr(plan.to.connector, "writes_whole", False):
        raise InvalidError(
            f"{plan.name} writes a whole each time: a single record cannot be added to it.",
            hint=f"Run it again: edgekit integrations run {quoted(plan.name)}",
        )
    current = Execution(letter["execution_id"], "", letter["correlation_id"], {})
    with holding.hold(plan), opened(plan, current) as outlet:
        assert outlet is not None
        try:
            yield outlet
            outlet.finish()
        except EdgekitError as error:
            tries = vars(error).get("attempts", [])
            with db.change(
                reason=f"dead-letters replay {letter['id']}", correlation_id=current.correlation_id
            ):
                attempts.log_run(plan, current, tries)
            raise


def would_send(batch: Batch, positions: Sequence[str]) -> tuple[list[Parcel], int]:
    """Return what differs from what was sent last, and how many records do not. Nothing is sent."""
    sent = Sent(Outlet(batch.plan, Execution(0, "", "", {})), batch.outcome)
    return _parcels(batch, positions, sent, only_changes=True), sent.unchanged


def rehearse(batch: Batch, positions: Sequence[str], shown: list[Any]) -> Outcome:
    """Do all to a page but send it; keep the first documents that would go in `shown`."""
    sent = Sent(Outlet(batch.plan, Execution(0, "", "", {})), batch.outcome)
    parcels = _parcels(batch, positions, sent, only_changes=_only_changes(batch.plan))
    shown.extend(parcel.outgoing.record for parcel in parcels[: max(0, _MOST_SHOWN - len(shown))])
    batch.outcome.changed = len(parcels)
    batch.outcome.written = len(parcels) + sent.unchanged
    return batch.outcome


def _only_changes(plan: Plan) -> bool:
    return plan.inputs is not None and plan.inputs.changed


def _parcels(batch: Batch, positions: Sequence[str], sent: Sent, *, only_changes: bool) -> list[Parcel]:
    """Say what is to be sent of a page, and count what was sent already. What cannot be told apart fails."""
    plan = batch.plan
    told: list[tuple[int, dict[str, Any], str, str]] = []
    for index, document in zip(batch.indexes, batch.documents(), strict=True):
        try:
            if not isinstance(document, dict):
                raise InvalidError("What is sent is an object, and the record is none.")
            key = deliveries.record_key(plan, batch.came[index], positions[index])
            told.append((index, document, key, deliveries.content_digest(plan, document)))
        except EdgekitError as error:
            batch.outcome.failures.append(Failure(index, SEND, error, None, document))
    last = deliveries.read_last(plan, list(dict.fromkeys(key for _, _, key, _ in told)))
    parcels = []
    for index, document, key, digest in told:
        before = last.get(key)
        if only_changes and before is not None and before.is_delivered and before.content_digest == digest:
            sent.unchanged += 1
            continue
        idempotency = deliveries.idempotency_key(plan, key, digest, before)
        last[key] = deliveries.Last(digest, idempotency, is_delivered=True)
        outgoing = Outgoing(document, key, idempotency, positions[index])
        replaces = before is not None and before.content_digest != digest
        parcels.append(Parcel(index, batch.came[index], outgoing, digest, replaces))
    return parcels


def _stop_at_first(page: Page, outcome: Outcome) -> None:
    """Raise the first failure of a page."""
    if page.rejects:
        first = page.rejects[0]
        raise SkipRecordError(f"{first.position}: {first.message}", error_code=first.code)
    if outcome.failures:
        failure = outcome.failures[0]
        error = failure.error
        raise SkipRecordError(f"{page.positions[failure.index]}: {error.message}", error_code=error.code)


def _check(kind: str, parcels: Sequence[Parcel], delivery: Delivery) -> None:
    """Refuse to guess which answer is whose."""
    if len(delivery.answers) != len(parcels):
        raise EdgekitError(
            f"The connector {kind} answered {len(delivery.answers)} of {len(parcels)} records: a fault in it."
        )
