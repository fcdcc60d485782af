"""One job as it stands in the file, and the reading of many."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import db
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUSES = ("pending", "running", "completed", "failed", "cancelled", "interrupted")
OPEN = "('pending', 'running', 'interrupted')"
"""The states of a job that has not ended, as a list in SQL: the index of open keys asks for just these."""

COLUMNS = (
    "id, uuid, kind, payload, job_status, run_at, priority, attempts, max_attempts, timeout_seconds,"
    " runner_id, claimed_at, lease_ends_at, ended_at, dedupe_key, correlation_id, cancel_requested_at,"
    " error_code, error_message, result, created_at"
)


class Job(NamedTuple):  # made by the thousand, which a frozen dataclass takes three times as long for
    """Something to be done later, or that was. `uuid` is the idempotency key of its effects elsewhere."""

    id: int
    uuid: str
    kind: str
    payload: dict[str, Any]
    job_status: str
    run_at: datetime
    priority: int
    attempts: int
    """How many times it was claimed: 1 in the first attempt."""
    max_attempts: int
    timeout_seconds: int | None
    runner_id: str | None
    claimed_at: datetime | None
    lease_ends_at: datetime | None
    ended_at: datetime | None
    dedupe_key: str | None
    correlation_id: str
    cancel_requested_at: datetime | None
    error_code: str | None
    error_message: str | None
    result: dict[str, Any] | None
    created_at: datetime


def of_row(row: Sequence[Any]) -> Job:
    """Make a job of a row of `COLUMNS`."""
    (
        number, uuid, kind, payload, status, run_at, priority, attempts, most, timeout, runner_id, claimed,
        lease, ended, key, correlation_id, cancel, code, message, result, created,
    ) = row  # fmt: skip
    return Job(
        number, uuid, kind, {} if payload == "{}" else json.loads(payload), status, _time(run_at), priority,
        attempts, most, timeout, runner_id, claimed and _time(claimed), lease and _time(lease),
        ended and _time(ended), key, correlation_id, cancel and _time(cancel), code, message,
        None if result is None else json.loads(result), _time(created),
    )  # fmt: skip


def as_claimed(row: Sequence[Any], runner_id: str, at: str, lease_ends_at: str) -> tuple[Any, ...]:
    """Return a row of `COLUMNS` as it is once it is claimed."""
    return (*row[:4], "running", *row[5:7], row[7] + 1, *row[8:10], runner_id, at, lease_ends_at, *row[13:])


_time = datetime.fromisoformat  # each stored time ends with Z


def show(job_id: int) -> Job:
    """Return a job. Raise NotFoundError."""
    row = db.connection().execute(f"SELECT {COLUMNS} FROM job WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"There is no job {job_id}.", hint="See: edgekit jobs list")
    return of_row(row)


def list_jobs(
    *, kind: str | None = None, status: str | None = None, correlation_id: str | None = None, limit: int = 50
) -> list[Job]:
    """Return jobs, the newest first; `status` is a state of jobs, or `open` for all that have not ended.

    Raise InvalidError for another status.
    """
    if status is not None and status not in (*STATUSES, "open"):
        raise InvalidError(
            f"{status} is no state of a job.", hint=f"It is one of: open, {', '.join(STATUSES)}."
        )
    wanted: list[str] = []
    values: list[Any] = []
    for column, value in (("kind", kind), ("correlation_id", correlation_id)):
        if value is not None:
            wanted.append(f"{column} = ?")
            values.append(value)
    if status == "open":
        wanted.append(f"job_status IN {OPEN}")
    elif status is not None:
        wanted.append("job_status = ?")
        values.append(status)
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    rows = db.connection().execute(
        f"SELECT {COLUMNS} FROM job{where} ORDER BY id DESC LIMIT ?",
        (*values, limit),
    )
    return [of_row(row) for row in rows]
