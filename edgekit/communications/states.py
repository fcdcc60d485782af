"""The life of a communication: PENDING, PROCESSING, RETRYING between attempts, and one of four ends.

Whoever sends one calls `begin`, and, once it knows how that went, `settle` in the change that keeps what was
answered. A process that ends in between leaves it PROCESSING: the next `begin` counts one more attempt, which
goes out under the same key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db, jobs, masking
from edgekit.errors import ConflictError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

KIND = "communication.send"
"""The kind of job that sends one."""

OPEN = ("PENDING", "PROCESSING", "RETRYING")

_SELECT = (
    "SELECT c.*, s.code AS status, s.is_final_state, t.code AS type, h.code AS channel,"
    " h.requires_authentication, d.code AS direction FROM communication c"
    " JOIN communication_status s ON s.id = c.communication_status_id"
    " JOIN communication_type t ON t.id = c.communication_type_id"
    " JOIN communication_channel h ON h.id = c.channel_id"
    " JOIN communication_direction d ON d.id = c.direction_id WHERE c.id = ?"
)


def status_id(code: str) -> int:
    """Return the id of a state. Raise NotFoundError."""
    found = db.query("SELECT id FROM communication_status WHERE code = ?", (code,))
    if not found:
        known = ", ".join(
            row["code"] for row in db.query("SELECT code FROM communication_status ORDER BY id")
        )
        raise NotFoundError(f"There is no communication status {code}.", hint=f"There are: {known}.")
    return int(found[0]["id"])


def row(communication_id: int) -> dict[str, Any]:
    """Return a communication as it is stored, with the codes of what it refers to. Raise NotFoundError."""
    found = db.query(_SELECT, (communication_id,))
    if not found:
        raise NotFoundError(
            f"There is no communication {communication_id}.", hint="See: edgekit communications list"
        )
    for name in ("request_data", "response_data", "metadata"):
        found[0][name] = codec.loads(found[0][name]) if found[0][name] is not None else None
    return found[0]


def enqueue(
    communication_id: int, *, run_at: datetime, priority: int = 5, now: datetime | None = None
) -> None:
    """Order the job that sends one, in the open change; one that waits already stays."""
    from edgekit import configuration

    one = row(communication_id)
    common = configuration.resolve("COMMUNICATION_DEFAULTS", organization=one["organization_id"])
    retries = min(common.get("default_retry_attempts", 3), common.get("max_retry_attempts", 10))
    jobs.enqueue(
        KIND, {"communication": communication_id}, run_at=run_at, priority=priority,
        max_attempts=1 + retries, dedupe_key=str(communication_id), correlation_id=one["correlation_id"],
        now=now,
    )  # fmt: skip


def has_open_job(communication_id: int) -> dict[str, Any] | None:
    """Return the job that is to send one or sends it; None where none does, as of a task for a person."""
    found = db.query(
        "SELECT id, job_status, run_at FROM job WHERE kind = ? AND dedupe_key = ?"
        " AND job_status IN ('pending', 'running', 'interrupted')",
        (KIND, str(communication_id)),
    )
    return found[0] if found else None


def begin(communication_id: int, *, now: datetime | None = None) -> dict[str, Any] | None:
    """Note that one is being sent and return its row; None where it has ended. In the open change.

    One that a process left while it was being sent counts one more attempt: whether it arrived is unknown.
    """
    at = now or clock.now()
    one = row(communication_id)
    if one["is_final_state"]:
        return None
    if one["status"] == "PROCESSING":
        again(communication_id, "A process ended while it was being sent; whether it arrived is unknown.")
        one = row(communication_id)
    _write(one, "PROCESSING", started_at=one["started_at"] or at)
    return row(communication_id)


def again(communication_id: int, why: str) -> None:
    """Note that an attempt failed and another follows, in the open change."""
    one = row(communication_id)
    _write(one, "RETRYING", error_message=masking.text(why), retry_count=one["retry_count"] + 1)


def postpone(communication_id: int, why: str) -> None:
    """Note why one that waits is not sent yet, in the open change."""
    one = row(communication_id)
    _write(one, one["status"], error_message=masking.text(why))


def settle(
    communication_id: int,
    status: str,
    *,
    response: Mapping[str, Any] | None = None,
    error: str | None = None,
    now: datetime | None = None,
) -> None:
    """Note how one ended, in the open change: COMPLETED, FAILED, TIMEOUT or CANCELLED.

    Secrets in the response are masked. Raise RuleError where it is not as the type says, ConflictError
    where it has ended already.
    """
    at = now or clock.now()
    one = row(communication_id)
    if one["is_final_state"]:
        raise _ended(one)
    if status in {"COMPLETED", "TIMEOUT"} and one["started_at"] is None:
        _write(one, "PROCESSING", started_at=at)
    elif one["started_at"] is not None:  # a clock that was set back in between makes no end before the start
        at = max(at, clock.from_text(one["started_at"]))
    values: dict[str, Any] = {"completed_at": at, "error_message": masking.text(error) if error else None}
    if response is not None:
        values["response_data"] = masking.document(dict(response), personal=False)
    _write(one, status, **values)


def cancel(communication_id: int, *, reason: str | None = None, now: datetime | None = None) -> None:
    """Withdraw one that has not been sent, and the job that would.

    Raise NotFoundError, ConflictError where it has ended or is being sent now.
    """
    with db.change(reason=f"communications cancel {communication_id}"):
        one = row(communication_id)
        job = has_open_job(communication_id)
        if one["is_final_state"]:
            raise _ended(one)
        if job is not None and job["job_status"] != "pending":
            raise ConflictError(
                f"Communication {communication_id} is being sent: it is too late.",
                hint=f"See what becomes of it: edgekit communications show {communication_id}",
            )
        settle(communication_id, "CANCELLED", error=reason, now=now)
        if job is not None:
            jobs.cancel(job["id"], now=now)


def complete(
    communication_id: int,
    *,
    response_data: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> None:
    """Say that somebody has done what waits for a person. Raise ConflictError for what does not."""
    with db.change(reason=f"communications complete {communication_id}"):
        _require_task(communication_id)
        settle(communication_id, "COMPLETED", response=response_data, now=now)


def fail(communication_id: int, *, reason: str, now: datetime | None = None) -> None:
    """Say that what waits for a person could not be done, and why. Raise ConflictError for what does not."""
    if not reason.strip():
        raise InvalidError("Say why it failed.", hint="--reason TEXT")
    with db.change(reason=f"communications fail {communication_id}"):
        _require_task(communication_id)
        settle(communication_id, "FAILED", error=reason, now=now)


def retry(communication_id: int, *, now: datetime | None = None) -> int:
    """Send one again; return the id of what is sent.

    One that has not ended and has no job any more gets one, under its own key. Of one that failed or was
    cancelled a copy is sent, its child, under a key of its own: if it arrived after all, it arrives twice.
    Raise ConflictError for one that arrived or is on its way.
    """
    from edgekit.communications.creating import copy

    at = now or clock.now()
    with db.change(reason=f"communications retry {communication_id}"):
        one = row(communication_id)
        if one["status"] == "COMPLETED":
            raise _ended(one)
        if one["is_final_state"]:
            return copy(one, now=at)
        job = has_open_job(communication_id)
        if job is not None:
            raise ConflictError(
                f"Communication {communication_id} is on its way: job {job['id']}, due {job['run_at']}.",
                hint=f"See: edgekit jobs show {job['id']}",
            )
        enqueue(communication_id, run_at=at, now=at)
    return communication_id


def _require_task(communication_id: int) -> None:
    one = row(communication_id)
    if one["is_final_state"]:
        raise _ended(one)
    if (job := has_open_job(communication_id)) is not None:
        raise ConflictError(
            f"Communication {communication_id} waits for no person: job {job['id']} sends it.",
            hint=f"Withdraw it first: edgekit communications cancel {communication_id}",
        )


def _ended(one: Mapping[str, Any]) -> ConflictError:
    return ConflictError(
        f"Communication {one['id']} has ended: {one['status']} at {one['completed_at']}.",
        hint=f"See: edgekit communications show {one['id']}",
    )


def _write(one: Mapping[str, Any], status: str, **values: Any) -> None:
    from edgekit.models.communications import Communication

    made = Communication.get_by_id(one["id"])
    made.communication_status = status_id(status)
    for name, value in values.items():
        setattr(made, name, value)
    made.save()
