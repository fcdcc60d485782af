"""Records set aside: stored once however often they are met, listed, replayed or discarded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db, masking
from edgekit.errors import ConflictError, EdgekitError
from edgekit.models.runner import DeadLetter
from edgekit.runner import reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekit.integrations import Plan
    from edgekit.runner.execution import Execution
    from edgekit.runner.transform import Failure


@dataclass(frozen=True, slots=True)
class Letter:
    """One record that could not be used: as it came, where it stood, at which step and why it failed.

    `step_name` is the pipeline's own name of the step, `step_record` the record as it came there.
    """

    record: str
    position: str
    step: str
    code: str
    field: str | None
    message: str
    step_name: str | None = None
    step_record: str | None = None


def letter(record: Any, position: str, failure: Failure) -> Letter:
    """Make a letter of a decoded record and the error it met."""
    error = failure.error
    record = failure.record if failure.is_of_many else record
    return Letter(as_text(record), position, failure.step, error.code[:50], _field(error),
                  _message(record, failure), _name(failure), _step_record(failure))  # fmt: skip


def _message(record: Any, failure: Failure) -> str:
    """Say why it failed, without what the record tells of a person: a script may say any of it."""
    return masking.without_personal(failure.error.message, record, failure.record)


def _field(error: EdgekitError) -> str | None:
    field = getattr(error, "column", None)
    return str(field)[:200] if field else None


def _name(failure: Failure) -> str | None:
    return failure.name[:100] if failure.name else None


def _step_record(failure: Failure) -> str | None:
    """Write the record as it came to the step; what is no JSON object begins at the first again."""
    text = as_text(failure.record) if isinstance(failure.record, dict) else ""
    return text if text.startswith('{"') or text == "{}" else None


def as_text(record: Any) -> str:
    """Write a record as JSON; what JSON cannot hold (NaN, lone surrogates) is written as its repr."""
    try:
        text = codec.dumps(record)
        text.encode()
    except (ValueError, TypeError, EdgekitError):
        text = repr(record).encode("utf-8", "backslashreplace").decode()
    return text.replace("\x00", "\\u0000")


def store(execution: Execution, plan: Plan, letters: Iterable[Letter]) -> None:
    """Keep letters in the batch's change.

    One met before is counted up, not added again; a settled one reopens.
    """
    at, actor = clock.now_text(), db.current().actor_id
    stable = plan.connector.positions_are_stable
    db.connection().executemany(
        "INSERT INTO dead_letter(integration_id, execution_id, record, record_digest,"
        " source_position, step, step_name, step_record, error_code,"
        " error_field, error_message, correlation_id, created_by, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (integration_id, record_digest) DO UPDATE SET execution_id = excluded.execution_id,"
        " source_position = excluded.source_position, step = excluded.step,"
        " step_name = excluded.step_name, step_record = excluded.step_record,"
        " error_code = excluded.error_code,"
        " error_field = excluded.error_field, error_message = excluded.error_message,"
        " attempts = attempts + 1,"
        " replay_status = CASE replay_status WHEN 'discarded' THEN 'discarded' ELSE 'pending' END,"
        " settled_at = CASE replay_status WHEN 'discarded' THEN settled_at END,"
        " correlation_id = excluded.correlation_id, updated_by = excluded.created_by,"
        " updated_at = excluded.updated_at",
        [
            (
                plan.integration_id,
                execution.id,
                item.record,
                _digest(item, stable=stable),
                item.position[:200],
                item.step,
                item.step_name,
                item.step_record,
                item.code,
                item.field,
                masking.text(item.message, about=item.field),
                execution.correlation_id,
                actor,
                at,
                at,
            )
            for item in letters
        ],
    )


def _digest(item: Letter, *, stable: bool) -> str:
    """Identify a record: by its content, and by its place where the source keeps places (lines of a file)."""
    text = f"{item.position}\n{item.record}" if stable else item.record
    return hashlib.sha256(text.encode()).hexdigest()


def discard_dead_letter(letter_id: int) -> dict[str, Any]:
    """Decide against a record: it stays in the file and is not offered again.

    Raise ConflictError if settled.
    """
    show_pending(letter_id)
    with db.change(reason=f"dead-letters discard {letter_id}"):
        _settle(letter_id, replay_status="discarded", settled_at=clock.now())
    return reading.show_dead_letter(letter_id)


def show_pending(letter_id: int) -> dict[str, Any]:
    """Return a letter that waits, as `show_dead_letter` does. Raise ConflictError if it is settled."""
    row = reading.show_dead_letter(letter_id)
    if row["status"] != "pending":
        raise ConflictError(f"The dead letter {letter_id} is {row['status']} already.")
    return row


def settle_replayed(letter_id: int) -> None:
    """Note in the open change that a letter went through. Raise ConflictError if it waits no more."""
    _settle(letter_id, replay_status="replayed", settled_at=clock.now())


def note_failure(letter_id: int, record: Any, failure: Failure) -> None:
    """Note in the open change that a letter failed again, where and why; what came is kept."""
    error = failure.error
    _settle(
        letter_id,
        attempts=DeadLetter.attempts + 1,
        step=failure.step,
        step_name=_name(failure),
        step_record=_step_record(failure),
        error_code=error.code[:50],
        error_message=masking.text(_message(record, failure), about=_field(error)),
        error_field=_field(error),
    )


def _settle(letter_id: int, **values: Any) -> None:
    waits = (DeadLetter.id == letter_id) & (DeadLetter.replay_status == "pending")
    if DeadLetter.update(**values).where(waits).execute() != 1:
        raise ConflictError(f"The dead letter {letter_id} was settled by another process meanwhile.")
