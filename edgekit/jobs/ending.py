"""How a job ends: completed, tried again, failed, cancelled; and what follows a standing one."""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import clock, db, masking
from edgekit.errors import (
    BusyError,
    ConflictError,
    EdgekitError,
    InvalidError,
    StoppedError,
    UnavailableError,
)
from edgekit.jobs import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.jobs.job import Job

_FAR = timedelta(hours=1)
"""A standing job that is due sooner is not looked at again."""

_LONGEST_MESSAGE = 4000
"""Characters of what is said of an error that are kept."""

STANDING = "standing"
"""The key of the one open job of a kind that always has one."""

_MORE_ATTEMPTS = 10
"""How many more a job is given that was cut off with its runner, which is rarely its own doing."""

_LONGEST_WAIT = 86_400.0
"""Seconds that are waited at most because the other side asks for it."""

_EXACT_LOOKS = 10
"""Times that a job is held back by a limit or breaker of ours and comes again as soon as it may."""

_MINE = " WHERE id = ? AND runner_id = ? AND attempts = ? AND job_status = 'running'"
_COMPLETE = f"UPDATE job SET job_status = 'completed', ended_at = ?, updated_at = ?{_MINE}"
_COMPLETE_ALL = (
    "UPDATE job SET job_status = 'completed', ended_at = ?, updated_at = ?, result = ended.result"
    " FROM (SELECT value ->> 0 AS id, value ->> 1 AS result FROM json_each(?)) AS ended"
    " WHERE job.id = ended.id AND runner_id = ? AND attempts = ? AND job_status = 'running'"
)
_COMPLETE_WITH = f"UPDATE job SET job_status = 'completed', ended_at = ?, updated_at = ?, result = ?{_MINE}"
_RETRY = (
    "UPDATE job SET job_status = 'pending', run_at = ?, max_attempts = max_attempts + ?, runner_id = NULL,"
    f" claimed_at = NULL, lease_ends_at = NULL, error_code = ?, error_message = ?, updated_at = ?{_MINE}"
)
_FAIL = (
    f"UPDATE job SET job_status = ?, ended_at = ?, error_code = ?, error_message = ?, updated_at = ?{_MINE}"
)
_INTERRUPT = f"UPDATE job SET job_status = 'interrupted', ended_at = ?, updated_at = ?{_MINE}"
_AGAIN = (
    "UPDATE job SET job_status = 'pending', ended_at = NULL, run_at = ?, runner_id = NULL, claimed_at = NULL,"
    " lease_ends_at = NULL, error_code = ?, error_message = ?, updated_at = ?"
    " WHERE id = ? AND job_status = 'interrupted'"
)


class Outcome(NamedTuple):
    """What an attempt came to: a result, or what went wrong; of one that was stopped, its process."""

    job: Job
    result: dict[str, Any] | None = None
    error: EdgekitError | None = None
    process_id: int | None = None
    """The process that was killed, or died, in the middle of it."""
    is_given_back: bool = False
    """Whether it was stopped with the runner, and is to be done as if it had not been begun."""


def finish(job: Job, result: Mapping[str, Any] | None = None, *, now: datetime | None = None) -> None:
    """Complete a job, in the open change: what the change writes and this end happen both or neither.

    Raise ConflictError if it is no longer the caller's, and the change must be given up; InvalidError for
    a result JSON cannot say.
    """
    at = now or clock.now()
    document = None if result is None else _document(job, result)
    with db.change(reason=f"job {job.kind}: done", correlation_id=job.correlation_id) as change:
        ended: tuple[Any, ...] = (clock.to_text(at), change.at)
        mine = (job.id, job.runner_id, job.attempts)
        if document is None:
            done = db.connection().execute(_COMPLETE, (*ended, *mine)).rowcount
        else:
            done = db.connection().execute(_COMPLETE_WITH, (*ended, document, *mine)).rowcount
        if done != 1:
            raise ConflictError(
                f"The job {job.id} ({job.kind}) was taken over, or has ended: it is not ours."
            )
        follow(job, at)


def _document(job: Job, result: Mapping[str, Any]) -> str:
    try:
        document = json.dumps(dict(result), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        document.encode()  # half a character is a ValueError too
    except (TypeError, ValueError) as error:
        raise InvalidError(f"The result of a job {job.kind} cannot be written as JSON: {error}.") from error
    return document


def decide(
    job: Job, error: EdgekitError, *, now: datetime | None = None, delay_seconds: float | None = None
) -> str | None:
    """Write that an attempt failed: pending again where that may help and attempts are left, else failed.

    An UnavailableError or BusyError may be tried again, after what the error asks for, or `delay_seconds`, or
    what the kind says: doubled with each attempt, up to its longest, spread by a part of it. What a limit or
    breaker of ours held back is no attempt, and has another for it. A job that was to be stopped is
    cancelled. Return the new state, or None where the job is no longer the caller's.
    """
    at = now or clock.now()
    code, message = error.code[:50], masking.text(error.message or error.code)
    with db.change(reason=f"job {job.kind}: {code}", correlation_id=job.correlation_id) as change:
        mine, message = (job.id, job.runner_id, job.attempts), _writable(message)
        is_unwanted = _is_unwanted(job)
        may_help = isinstance(error, UnavailableError | BusyError)
        # What a limit or a breaker of ours held back was no attempt against the other side.
        held = int(not error.was_sent)
        if may_help and job.attempts < job.max_attempts + held and not is_unwanted:
            due = at + timedelta(seconds=delay(job, error, delay_seconds))
            values: tuple[Any, ...] = (clock.to_text(due), held, code, message, change.at, *mine)
            return "pending" if db.connection().execute(_RETRY, values).rowcount else None
        status = "cancelled" if is_unwanted else "failed"
        values = (status, clock.to_text(at), code, message, change.at, *mine)
        if not db.connection().execute(_FAIL, values).rowcount:
            return None
        give_up(job, status if is_unwanted else code, message, at)
        follow(job, at)
        return status


def _writable(message: str) -> str:
    """Return what is said of an error so that the file takes it, whoever's text is in it."""
    return message[:_LONGEST_MESSAGE].encode(errors="replace").decode()


def _is_unwanted(job: Job) -> bool:
    asked = "SELECT 1 FROM job WHERE id = ? AND cancel_requested_at IS NOT NULL"
    return db.connection().execute(asked, (job.id,)).fetchone() is not None


def delay(job: Job, error: EdgekitError | None = None, base: float | None = None) -> float:
    """Return the seconds to wait before the next attempt of a job.

    The spread is the job's own, so that the same job waits as long each time it is asked.
    """
    wanted = getattr(error, "retry_after", None)
    if wanted is not None:
        # Each look at a place that is left alone is a row or two, and of many jobs, in a day, too many.
        looks = job.attempts / _EXACT_LOOKS if error is not None and not error.was_sent else 1.0
        return min(float(wanted) * max(1.0, looks), _LONGEST_WAIT)
    kind = kinds.find(job.kind)
    first = base if base is not None else kind.delay_seconds if kind is not None else 30.0
    longest = max(first, kind.longest_delay_seconds if kind is not None else 3600.0)
    whole = min(longest, first * 2.0 ** min(max(job.attempts, 1) - 1, 40))
    spread = zlib.crc32(f"{job.uuid}{job.attempts}".encode()) / 2**32
    return float(whole * (0.75 + 0.25 * spread))


def interrupt(job: Job, *, now: datetime) -> None:
    """Write in the open change that whoever ran a job is gone: it is pending again, or failed for good."""
    with db.change() as change:
        at = clock.to_text(now)
        if (
            not db.connection()
            .execute(_INTERRUPT, (at, change.at, job.id, job.runner_id, job.attempts))
            .rowcount
        ):
            return
        message = "Its process ended without a word."
        if job.cancel_requested_at is not None:
            _end_interrupted(job, "cancelled", message, now)
        elif job.attempts < job.max_attempts + _MORE_ATTEMPTS:
            due = clock.to_text(now)
            db.connection().execute(_AGAIN, (due, "interrupted", message, change.at, job.id))
        else:
            _end_interrupted(job, "failed", message, now)


def _end_interrupted(job: Job, status: str, message: str, now: datetime) -> None:
    with db.change() as change:
        db.connection().execute(
            "UPDATE job SET job_status = ?, error_code = 'interrupted', error_message = ?, updated_at = ?"
            " WHERE id = ? AND job_status = 'interrupted'",
            (status, message, change.at, job.id),
        )
        give_up(job, "cancelled" if status == "cancelled" else "interrupted", message, now)
        follow(job, now)


def release(job: Job, *, now: datetime) -> bool:
    """Give a claimed job back as if it had not been taken; return whether it was still the caller's.

    One that was to be stopped is cancelled.
    """
    with db.change(reason=f"job {job.kind}: given back", correlation_id=job.correlation_id) as change:
        if _is_unwanted(job):
            return decide(job, StoppedError("It was cancelled.", reason="cancelled"), now=now) is not None
        return bool(
            db.connection()
            .execute(
                "UPDATE job SET job_status = 'pending', attempts = attempts - 1, runner_id = NULL,"
                " claimed_at = NULL, lease_ends_at = NULL, updated_at = ?"
                " WHERE id = ? AND runner_id = ? AND attempts = ? AND job_status = 'running'",
                (change.at, job.id, job.runner_id, job.attempts),
            )
            .rowcount
        )


def settle(outcomes: Sequence[Outcome], *, now: datetime | None = None) -> list[Job]:
    """Write how many attempts ended, in one change; a job its handler has finished itself is left as it is.

    Of an attempt whose process was killed, its kind settles what else was left, in the same change. Return
    the jobs that were somebody else's by then.
    """
    at = now or clock.now()
    lost: list[Job] = []
    if not outcomes:
        return lost
    with db.change(reason="jobs: settle") as change:
        plain = {number: document for number, o in enumerate(outcomes) if (document := _told(o)) is not None}
        attempts: dict[tuple[str | None, int], list[int]] = {}
        for number in plain:
            job = outcomes[number].job
            attempts.setdefault((job.runner_id, job.attempts), []).append(number)
        for mine, these in attempts.items():
            # One statement for all takes half as long as one for each.
            told = ",".join(f"[{outcomes[number].job.id},{plain[number]}]" for number in these)
            ended = (clock.to_text(at), change.at, f"[{told}]", *mine)
            if db.connection().execute(_COMPLETE_ALL, ended).rowcount != len(these):
                found = [outcomes[number].job for number in these]
                lost += [job for job in found if not _is_ended_by(job)]
        for number, outcome in enumerate(outcomes):
            if number not in plain and not _settle_one(outcome, at):
                lost.append(outcome.job)
    return lost


def _told(outcome: Outcome) -> str | None:
    """Return what an attempt came to that has just ended well: JSON of the text of its result, or null.

    None where there is more to do than to write that: an error, a next one to ask for, no JSON.
    """
    if outcome.error is not None or outcome.is_given_back or outcome.job.dedupe_key == STANDING:
        return None
    if outcome.result is None:
        return "null"
    try:
        return json.dumps(_document(outcome.job, outcome.result))
    except InvalidError:
        return None


def _settle_one(outcome: Outcome, at: datetime) -> bool:
    job, error = outcome.job, outcome.error
    if outcome.process_id is not None and (kind := kinds.find(job.kind)) and kind.killed is not None:
        code, message = (error.code, error.message) if error else ("gone", "The runner was stopped.")
        kind.killed(job, outcome.process_id, code, message, at)
    if outcome.is_given_back:
        return release(job, now=at) or _is_ended_by(job)
    if error is not None:
        return decide(job, error, now=at) is not None or _is_ended_by(job)
    try:
        finish(job, outcome.result, now=at)
    except ConflictError:
        return _is_ended_by(job)
    except InvalidError as unfit:
        return decide(job, unfit, now=at) is not None
    return True


def _is_ended_by(job: Job) -> bool:
    """Whether this very attempt of it has ended already, as by a handler that finished it itself."""
    found = db.connection().execute(
        "SELECT 1 FROM job WHERE id = ? AND runner_id = ? AND attempts = ? AND job_status = 'completed'",
        (job.id, job.runner_id, job.attempts),
    )
    return found.fetchone() is not None


def give_up(job: Job, code: str, message: str, at: datetime) -> None:
    """Tell, in the open change, whoever registered the kind that this job will not be done."""
    ending = kinds.find_ending(job.kind, job.dedupe_key)
    if ending is not None:
        ending(job, code, message, at)


def follow(job: Job, at: datetime) -> None:
    """Ask, in the open change, for the next job of a kind that always has one, where a standing one ended."""
    if job.dedupe_key != STANDING:
        return
    kind = kinds.find(job.kind)
    if kind is not None and kind.standing is not None:
        _stand(kind, kind.standing(at), at)


def ensure_standing(now: datetime) -> list[Job]:
    """Ask for a job of each kind that always has one and has none; return those that were asked for.

    One that waits for a time beyond its next is due at its next: the clock was ahead when it was asked for.
    """
    standing = kinds.standing_kinds()
    _bring_back(standing, now)
    missing = [kind for kind in standing if not _stands(kind.name)]
    if not missing:
        return []
    with db.change(reason="jobs: standing"):
        # Looked at again: another process may have asked meanwhile.
        return [
            _stand(kind, kind.standing(now), now)
            for kind in missing
            if kind.standing is not None and not _stands(kind.name)
        ]


def _bring_back(standing: Sequence[kinds.Kind], now: datetime) -> None:
    late = [
        (clock.to_text(due), number)
        for kind in standing
        if kind.standing is not None
        for number, run_at in _waiting(kind.name, now + _FAR)
        if (due := kind.standing(now)) < clock.from_text(run_at)
    ]
    if late:
        with db.change(reason="jobs: the clock was ahead") as change:
            db.connection().executemany(
                "UPDATE job SET run_at = ?, updated_at = ? WHERE id = ? AND job_status = 'pending'",
                [(due, change.at, number) for due, number in late],
            )


def _waiting(kind: str, after: datetime) -> list[tuple[int, str]]:
    return (
        db.connection()
        .execute(
            "SELECT id, run_at FROM job WHERE kind = ? AND dedupe_key = ?"
            " AND job_status IN ('pending', 'running', 'interrupted')"  # as the index of open keys says it
            " AND job_status = 'pending' AND run_at > ?",
            (kind, STANDING, clock.to_text(after)),
        )
        .fetchall()
    )


def _stands(kind: str) -> bool:
    found = db.connection().execute(
        "SELECT 1 FROM job WHERE kind = ? AND dedupe_key = ?"
        " AND job_status IN ('pending', 'running', 'interrupted')",
        (kind, STANDING),
    )
    return found.fetchone() is not None


def _stand(kind: kinds.Kind, run_at: datetime, now: datetime) -> Job:
    from edgekit.jobs.queue import enqueue

    return enqueue(kind.name, run_at=run_at, max_attempts=kind.attempts, dedupe_key=STANDING, now=now)
