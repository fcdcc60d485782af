"""The life of a job: asked for, claimed, ended, tried again, taken from the dead.

Each function writes in the change that is open, or in one of its own. Whoever writes for a running job names
itself and the attempt, so that a process that was thought dead writes nothing any more.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db
from edgekit.errors import ConflictError, InvalidError
from edgekit.jobs import job as reading
from edgekit.jobs import kinds
from edgekit.jobs.ending import follow, give_up
from edgekit.jobs.job import COLUMNS, OPEN, Job

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from edgekit.sqlite import Change

_INSERT = (
    "INSERT INTO job(uuid, kind, payload, run_at, priority, max_attempts, timeout_seconds, dedupe_key,"
    " correlation_id, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    f" RETURNING {COLUMNS}"
)
_KIND, _TIMEOUT = (COLUMNS.split(", ").index(name) for name in ("kind", "timeout_seconds"))
_LEASE_SECONDS = 60
"""How much longer than its time an attempt may go on before it is taken to be lost."""


def enqueue(
    kind: str,
    payload: Mapping[str, Any] | None = None,
    *,
    run_at: datetime | None = None,
    priority: int = 5,
    max_attempts: int = 1,
    timeout_seconds: int | None = None,
    dedupe_key: str | None = None,
    correlation_id: str | None = None,
    now: datetime | None = None,
) -> Job:
    """Ask for something to be done, not before `run_at`; of what is due, priority 0 goes first and 9 last.

    Where an open job of the kind has the `dedupe_key`, that job is returned and nothing is written. Without
    a `correlation_id` it is the change's. Raise InvalidError for a payload JSON cannot say, RuleError.
    """
    document = _document(kind, payload)
    with db.change(reason=f"job {kind}") as change:
        if dedupe_key is not None and (open_one := _open_job(kind, dedupe_key)) is not None:
            return open_one
        at = clock.to_text(run_at or now or clock.now())
        values = (
            str(uuid.uuid4()), kind, document, at, priority, max_attempts, timeout_seconds, dedupe_key,
            correlation_id or change.correlation_id, db.current().actor_id, change.at, change.at,
        )  # fmt: skip
        return reading.of_row(db.connection().execute(_INSERT, values).fetchall()[0])


def _document(kind: str, payload: Mapping[str, Any] | None) -> str:
    try:
        return json.dumps(dict(payload or {}), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidError(f"What a job {kind} is given cannot be written as JSON: {error}.") from error


def _open_job(kind: str, dedupe_key: str) -> Job | None:
    row = (
        db.connection()
        .execute(
            f"SELECT {COLUMNS} FROM job WHERE kind = ? AND dedupe_key = ? AND job_status IN {OPEN}",
            (kind, dedupe_key),
        )
        .fetchone()
    )
    return None if row is None else reading.of_row(row)


def claim(
    runner_id: str, *, now: datetime, limit: int = 100, busy: Mapping[str, int] | None = None
) -> list[Job]:
    """Take jobs that are due, the most urgent first, no more of a kind than may run at once.

    `busy` says how many of each kind run; without it, what the file says. What is returned is running, is the
    caller's alone and has used up an attempt; `claim` returns nothing rather than wait.
    """
    at, version = clock.to_text(now), _version()
    chosen = _candidates(at, limit, busy)
    if not chosen:  # a change, though nothing is written in it, is an entry: none for a look in vain
        return []
    with db.change(reason="jobs: claim") as change:
        if _version() != version:  # somebody has written between the look and the change
            chosen = _candidates(at, limit, busy)
        return _take(change, runner_id, chosen, now)


def _version() -> int:
    """Return what is another number when another connection has written."""
    return int(db.connection().execute("PRAGMA data_version").fetchone()[0])


def claim_one(job_id: int, runner_id: str, *, now: datetime) -> Job | None:
    """Take one job for whoever waits for its end; None where it waits no more, or others have it."""
    with db.change(reason="jobs: claim") as change:
        asked = f"SELECT {COLUMNS} FROM job WHERE id = ? AND job_status = 'pending'"
        found = {row[0]: row for row in db.connection().execute(asked, (job_id,))}
        return next(iter(_take(change, runner_id, found, now)), None)


def _take(change: Change, runner_id: str, chosen: Mapping[int, Any], now: datetime) -> list[Job]:
    """Write that jobs are the caller's, in an open change that has just read them, and return them so."""
    at = clock.to_text(now)
    leases: dict[int, tuple[str, list[int]]] = {}
    taken = []
    for number, row in chosen.items():
        seconds = _seconds(row)
        if seconds not in leases:
            leases[seconds] = clock.to_text(now + timedelta(seconds=seconds + _LEASE_SECONDS)), []
        lease, numbers = leases[seconds]
        numbers.append(number)
        taken.append(reading.of_row(reading.as_claimed(row, runner_id, at, lease)))
    for lease, numbers in leases.values():
        # Not RETURNING what was read just now, which takes half as long again.
        db.connection().execute(
            "UPDATE job SET job_status = 'running', runner_id = ?, claimed_at = ?, lease_ends_at = ?,"
            " attempts = attempts + 1, updated_at = ? WHERE id IN (SELECT value FROM json_each(?))",
            (runner_id, at, lease, change.at, json.dumps(numbers)),
        )
    return taken


def _seconds(row: Sequence[Any]) -> int:
    """Return how long an attempt of a job may take."""
    known = kinds.find(row[_KIND])
    return int(row[_TIMEOUT] or (known.timeout_seconds if known is not None else kinds.DEFAULT_TIMEOUT))


def _candidates(at: str, limit: int, busy: Mapping[str, int] | None) -> dict[int, Any]:
    """Choose what to claim, in order: rows of `COLUMNS` by their id.

    The index is by priority and time, so each priority is asked for by itself: what is not yet due is never
    looked at. A kind that is full is left out and the rest asked for again.
    """
    if busy is None:
        running = "SELECT kind, count(*) FROM job WHERE job_status = 'running' GROUP BY kind"
        busy = dict(db.connection().execute(running).fetchall())
    room: dict[str, int | None] = {}
    chosen: dict[int, Any] = {}
    priority = _next_priority(-1)
    while priority is not None and len(chosen) < limit:
        full = [kind for kind, left in room.items() if left == 0]
        rows = (
            db.connection()
            .execute(
                f"SELECT {COLUMNS} FROM job WHERE job_status = 'pending' AND priority = ?"
                " AND run_at <= ? AND kind NOT IN (SELECT value FROM json_each(?))"
                " ORDER BY run_at, id LIMIT ?",
                (priority, at, json.dumps(full), limit),
            )
            .fetchall()
        )
        if not _choose(rows, limit, chosen, room, busy):
            priority = _next_priority(priority)
    return chosen


def _next_priority(after: int) -> int | None:
    found = (
        db.connection()
        .execute(
            "SELECT priority FROM job WHERE job_status = 'pending' AND priority > ?"
            " ORDER BY priority LIMIT 1",
            (after,),
        )
        .fetchone()
    )
    return None if found is None else int(found[0])


def _choose(
    rows: list[Any],
    limit: int,
    chosen: dict[int, Any],
    room: dict[str, int | None],
    busy: Mapping[str, int],
) -> bool:
    """Add what there is room for, and say whether something was left out, so that others may come in."""
    is_left_out = False
    for row in rows:
        number, kind = row[0], row[_KIND]
        if number in chosen:
            continue
        if len(chosen) == limit:
            return False
        if kind not in room:
            known = kinds.find(kind)
            most = known.concurrency if known is not None else None
            room[kind] = None if most is None else max(0, most - busy.get(kind, 0))
        left = room[kind]
        if left == 0:
            is_left_out = True
            continue
        if left is not None:
            room[kind] = left - 1
        chosen[number] = row
    return is_left_out


def next_due_at() -> datetime | None:
    """Return when the first pending job is due, which may be past, or None if none is pending."""
    first: str | None = None
    priority = _next_priority(-1)
    while priority is not None:
        (found,) = (
            db.connection()
            .execute("SELECT min(run_at) FROM job WHERE job_status = 'pending' AND priority = ?", (priority,))
            .fetchone()
        )
        first = min(first or found, found)
        priority = _next_priority(priority)
    return None if first is None else clock.from_text(first)


def cancel(job_id: int, *, now: datetime | None = None) -> Job:
    """Stop a job: one that waits at once; of one that runs it is noted, and whoever runs it stops it.

    A standing one is followed by its next. Raise NotFoundError, ConflictError if it has ended.
    """
    at = now or clock.now()
    job = reading.show(job_id)
    with db.change(reason=f"job {job.kind}: cancel", correlation_id=job.correlation_id) as change:
        job = reading.show(job_id)
        actor = db.current().actor_id
        if job.job_status == "running":
            db.connection().execute(
                "UPDATE job SET cancel_requested_at = ?, updated_at = ?, updated_by = ?"
                " WHERE id = ? AND cancel_requested_at IS NULL",
                (clock.to_text(at), change.at, actor, job_id),
            )
        elif job.job_status in {"pending", "interrupted"}:
            db.connection().execute(
                "UPDATE job SET job_status = 'cancelled', ended_at = ?, updated_at = ?, updated_by = ?"
                " WHERE id = ?",
                (clock.to_text(at), change.at, actor, job_id),
            )
            give_up(job, "cancelled", "Its job was cancelled.", at)
            follow(job, at)
        else:
            raise ConflictError(f"The job {job_id} has ended: it is {job.job_status}.")
        return reading.show(job_id)


def replay(job_id: int, *, now: datetime | None = None) -> Job:
    """Do a failed or cancelled job again: as a new one, due now, of the same correlation id.

    Raise NotFoundError, ConflictError if it is open or completed, and what its kind raises where what it was
    for has ended.
    """
    job = reading.show(job_id)
    if job.job_status not in {"failed", "cancelled"}:
        raise ConflictError(
            f"The job {job_id} is {job.job_status}: only a failed or cancelled one is done again."
        )
    kind = kinds.find(job.kind)
    if kind is not None and kind.again is not None:
        kind.again(job)
    return enqueue(
        job.kind,
        job.payload,
        priority=job.priority,
        max_attempts=job.max_attempts,
        timeout_seconds=job.timeout_seconds,
        dedupe_key=job.dedupe_key,
        correlation_id=job.correlation_id,
        now=now,
    )


def recover(runner_ids: Collection[str] | None = None, *, now: datetime) -> list[Job]:
    """Take back what the dead were doing: pending again where attempts are left, else failed.

    `runner_ids` are runners known to be dead; without them, whatever has not ended long after its time was
    up. Return the jobs as they are now.
    """
    condition, values = "lease_ends_at < ?", clock.to_text(now)
    if runner_ids is not None:
        condition, values = "runner_id IN (SELECT value FROM json_each(?))", json.dumps(list(runner_ids))
    lost = f"SELECT {COLUMNS} FROM job WHERE job_status = 'running' AND {condition} ORDER BY +id"
    if not db.connection().execute(lost, (values,)).fetchone():
        return []
    from edgekit.jobs.ending import interrupt

    with db.change(reason="jobs: recover"):
        found = [reading.of_row(row) for row in db.connection().execute(lost, (values,)).fetchall()]
        for job in found:
            interrupt(job, now=now)
        return [reading.show(job.id) for job in found]
