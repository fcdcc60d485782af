"""Records set aside: stored once however often they are met, listed, replayed or discarded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db, masking
from edgekit.errors import ConflictError, EdgekitError, InvalidError
from edgekit.integrations import Plan, prepare, require_usable
from edgekit.models.runner import DeadLetter
from edgekit.runner import reading, transform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekit.runner.execution import Execution


@dataclass(frozen=True, slots=True)
class Letter:
    """One record that could not be used: as it came, where it stood, at which step and why it failed."""

    record: str
    position: str
    step: str
    code: str
    field: str | None
    message: str


def letter(record: Any, position: str, step: str, error: EdgekitError) -> Letter:
    """Make a letter of a decoded record and the error it met."""
    field = getattr(error, "column", None)
    return Letter(
        as_text(record), position, step, error.code[:50], field[:200] if field else None, error.message
    )


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
        " source_position, step, error_code,"
        " error_field, error_message, correlation_id, created_by, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (integration_id, record_digest) DO UPDATE SET execution_id = excluded.execution_id,"
        " source_position = excluded.source_position, step = excluded.step, error_code = excluded.error_code,"
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


def replay_dead_letter(letter_id: int) -> dict[str, Any]:
    """Send a record through its integration again, with the mapping and rules of now.

    On success it is settled in the change that writes it. On failure the attempt is counted and the error
    raised; the record stays. Raise ConflictError if it is settled already.
    """
    row = reading.show_dead_letter(letter_id)
    if row["status"] != "pending":
        raise ConflictError(f"The dead letter {letter_id} is {row['status']} already.")
    require_usable(row["integration"])
    plan = prepare(row["integration"])
    if plan.mapping is None:
        raise InvalidError(
            f"{plan.name} has no mapping to send a record through.",
            hint=f"Run it: edgekit integrations run {plan.name}",
        )
    failure = _try_again(plan, row)
    if failure is None:
        return reading.show_dead_letter(letter_id)
    step, error = failure
    with db.change(reason=f"dead-letters replay {letter_id}: failed", correlation_id=row["correlation_id"]):
        DeadLetter.update(
            attempts=DeadLetter.attempts + 1,
            step=step,
            error_code=error.code[:50],
            error_message=masking.text(error.message, about=getattr(error, "column", None)),
            error_field=getattr(error, "column", None),
        ).where(DeadLetter.id == letter_id).execute()
    raise InvalidError(
        f"The dead letter {letter_id} failed again: {error.message}",
        hint="Mend its mapping or the data, or discard it.",
    )


def _try_again(plan: Plan, row: dict[str, Any]) -> tuple[str, EdgekitError] | None:
    with db.change(reason=f"dead-letters replay {row['id']}", correlation_id=row["correlation_id"]):
        outcome = transform.process(plan, [row["record"]])
        if not outcome.failures:
            DeadLetter.update(replay_status="replayed", settled_at=clock.now()).where(
                DeadLetter.id == row["id"]
            ).execute()
            return None
    _, step, error = outcome.failures[0]
    return step, error


def discard_dead_letter(letter_id: int) -> dict[str, Any]:
    """Decide against a record: it stays in the file and is not offered again.

    Raise ConflictError if settled.
    """
    row = reading.show_dead_letter(letter_id)
    if row["status"] != "pending":
        raise ConflictError(f"The dead letter {letter_id} is {row['status']} already.")
    with db.change(reason=f"dead-letters discard {letter_id}"):
        DeadLetter.update(replay_status="discarded", settled_at=clock.now()).where(
            DeadLetter.id == letter_id
        ).execute()
    return reading.show_dead_letter(letter_id)
