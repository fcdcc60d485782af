"""The job that sends a communication: noted before, sent while no change is open, noted after.

A process that ends in between leaves it PROCESSING, and whether it arrived is unknown: it is sent again under
the same key, which lets the other side tell a second try from a second message.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, events, jobs, masking
from edgekit.communications import states
from edgekit.errors import (
    BusyError,
    CircuitOpenError,
    ConflictError,
    EdgekitError,
    InvalidError,
    NotFoundError,
    RuleError,
    UnavailableError,
    VaultLockedError,
)
from edgekit.integrations.credentials import Secrets
from edgekit.runner import attempts
from edgekit.runner.channels import daily, serving, waiting
from edgekit.runner.channels.message import Message, Sent, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from edgekit.connectors import Attempt

CONCURRENT = 4
LONGEST = 900
"""Seconds one may take: time-outs of the connectors are shorter."""

_LATER = (60.0, 600.0, 3600.0)
"""Seconds until the second attempt, the third, and each after that: a mail server that is started anew is
away for minutes, one that is mended for an hour."""

_PATIENCE = 6
"""How often it is tried to keep an answer while the file is busy, ten seconds each."""


def _give_up(job: jobs.Job, code: str, message: str, now: datetime) -> None:
    """End, in the open change, a communication whose job will not be done, where the job has not ended it."""
    number = int(job.payload["communication"])
    open_one = (
        "SELECT 1 FROM communication c JOIN communication_status s ON s.id = c.communication_status_id"
        " WHERE c.id = ? AND s.is_final_state = 0"
    )
    if db.query(open_one, (number,)):
        status = {"cancelled": "CANCELLED", "timeout": "TIMEOUT"}.get(code, "FAILED")
        states.settle(number, status, error=message, now=now)
        if status != "CANCELLED":
            _tell("communication.failed", states.row(number), message)


def _require_open(job: jobs.Job) -> None:
    """Raise where what a job sends has ended: it is sent again as a new one of its thread."""
    number = int(job.payload["communication"])
    if (found := states.row(number))["is_final_state"]:
        raise ConflictError(
            f"The communication {number} has ended: it is {found['status']}.",
            hint=f"Send it anew: edgekit communications retry {number}",
        )


@jobs.handles(
    states.KIND, concurrency=CONCURRENT, timeout_seconds=LONGEST, given_up=_give_up, again=_require_open
)
def send(job: jobs.Job) -> dict[str, Any] | None:
    """Send the communication a job names. Raise EdgekitError as its channel does, once that is noted."""
    began, claimed = time.monotonic(), job.claimed_at or clock.now()

    def now() -> datetime:
        return claimed + timedelta(seconds=time.monotonic() - began)

    number = int(job.payload["communication"])
    ready = _begin(job, number, _find_lock(number), now())
    if isinstance(ready, waiting.HeldBackError):
        raise ready
    if ready is None:
        return None
    row, service = ready
    try:
        sent = _through(_message(row), service)
    except EdgekitError as error:
        raise _note_failure(job, row, service, error, now()) from error
    _note_arrival(job, row, service, sent, now())
    return None


def _find_lock(number: int) -> VaultLockedError | None:
    found = db.query(
        "SELECT h.code AS channel FROM communication c JOIN communication_channel h ON h.id = c.channel_id"
        " WHERE c.id = ?",
        (number,),
    )
    return waiting.find_lock(found[0]) if found else None


def _begin(
    job: jobs.Job, number: int, locked: VaultLockedError | None, now: datetime
) -> tuple[dict[str, Any], Service] | waiting.HeldBackError | None:
    """Note that it is being sent; None where there is nothing to send now, and the job is done.

    What has to wait says why. What cannot be sent as things stand has failed, before anything went out.
    """
    reason = f"communications send {number}"
    try:
        with db.change(reason=reason, correlation_id=job.correlation_id):
            _require_mine(job)
            row = states.row(number)
            if row["is_final_state"]:
                _done(job, row, row["status"], now)
                return None
            service = serving.find(row)
            serving.require_credential(service, row, now=now)
            _require_repeatable(job, row, service)
            held = waiting.find_reason(row, service, locked, attempts=job.attempts, now=now)
            if held is not None:
                if row["error_message"] != masking.text(held.message):  # a row in the log each time, else
                    states.postpone(number, held.message)
                return held
            if row["channel"] == "EMAIL" and row["status"] == "PENDING":
                full = daily.take(serving.place_of(row), now=now)
                if full is not None:
                    states.postpone(number, full.message)
                    _done(job, row, "PENDING", now, until=clock.to_text(full.until))
                    states.enqueue(number, run_at=full.until, now=now)
                    return None
            begun = states.begin(number, now=now)
            assert begun is not None
            if service.is_internal:
                states.settle(number, "COMPLETED", now=now)
                _done(job, row, "COMPLETED", now)
                return None
            if service.is_person:
                _done(job, row, "PROCESSING", now, waits_for="a person")
                return None
            return begun, service
    except (BusyError, UnavailableError, ConflictError):
        raise
    except EdgekitError as error:
        _fail(job, number, error, now)
        raise


def _require_repeatable(job: jobs.Job, row: Mapping[str, Any], service: Service) -> None:
    """Go on unless a process died sending it to a service that would take it twice. Raise SkipRecordError.

    A task for a person is PROCESSING too; the job that sends it after all is a new one.
    """
    from edgekit.runner.channels import api

    if row["status"] == "PROCESSING" and job.attempts > 1 and not api.is_repeatable(service):
        raise api.unknown("A process ended while it was being sent.")


def _done(job: jobs.Job, row: Mapping[str, Any], status: str, now: datetime, **more: Any) -> None:
    jobs.finish(job, {"communication": row["id"], "status": status, **more}, now=now)


def _message(row: Mapping[str, Any]) -> Message:
    table = db.query("SELECT table_name FROM entity_reference_type WHERE id = ?", (row["target_type_id"],))
    return Message(
        row["id"], row["type"], row["channel"], (table[0]["table_name"], row["target_id"]),
        row["request_data"] or {}, row["idempotency_key"], row["correlation_id"], row["retry_count"],
    )  # fmt: skip


def _through(message: Message, service: Service) -> Sent:
    """Send a message by what serves its channel; no change is open now."""
    from edgekit.runner.channels import api, email

    settings = service.integration["connection_config"] if service.integration is not None else {}
    if service.provider is not None:
        secrets: Mapping[str, str] = {}
        if service.integration is not None:
            secrets = Secrets(service.integration["id"], service.integration["integration_name"])
        own = {**settings, **service.settings}
        return serving.provider(service.provider).send(message, settings=own, secrets=secrets)
    kind = settings["to"].get("connector") if "to" in settings else settings.get("connector")
    if kind == "smtp":
        return email.send(message, service)
    if kind == "http":
        return (api.send_signed if message.channel == "WEBHOOK" else api.send)(message, service)
    assert service.integration is not None
    raise InvalidError(
        f"{service.integration['integration_name']} sends by {kind}: that cannot serve {message.channel}.",
        hint="An integration whose to.connector is smtp or http can.",
    )


def _note_arrival(job: jobs.Job, row: Mapping[str, Any], service: Service, sent: Sent, now: datetime) -> None:
    """Keep the answer, and end the communication and its job with it, in one change."""

    def keep() -> None:
        with _change(job, row):
            _log(row, service, sent.attempts, sent.response)
            states.settle(row["id"], "COMPLETED", response=sent.response, now=now)
            _tell("communication.completed", row)
            _done(job, row, "COMPLETED", now)

    try:
        _patiently(keep)
    except RuleError as unfit:
        with _change(job, row):
            _require_mine(job)
            _log(row, service, sent.attempts, sent.response)
            why = f"It was sent and answered, but the answer cannot be kept: {unfit.message}"
            states.settle(row["id"], "FAILED", error=why, now=now)
            _tell("communication.failed", row, why)
        raise


def _note_failure(
    job: jobs.Job, row: Mapping[str, Any], service: Service, error: EdgekitError, now: datetime
) -> EdgekitError:
    """Keep the tries, and note whether another attempt follows; return what the job is decided by.

    What a limit or a breaker of ours held back was no attempt, and of a place that keeps failing none is the
    last: another follows, until one has waited too long.
    """
    may_help = isinstance(error, UnavailableError | BusyError)
    with _change(job, row):
        _require_mine(job)
        _log(row, service, vars(error).get("attempts", ()), vars(error).get("response"))
        is_late = waiting.is_overdue(row, waiting.longest(row), now=now)
        is_last = may_help and error.was_sent and 1 < job.max_attempts <= job.attempts
        if is_last and not is_late and (pause := _pause(service)):
            error = waiting.HeldBackError(error.message, retry_after=pause, hint=error.hint)
        elif isinstance(error, CircuitOpenError) and is_late:
            error = UnavailableError(error.message, hint=error.hint)
        follows = may_help and job.attempts < job.max_attempts + int(not error.was_sent)
        if follows:
            states.again(row["id"], error.message)
            if error.retry_after is None:
                error.retry_after = _LATER[min(job.attempts, len(_LATER)) - 1]
            return error
        status = "TIMEOUT" if isinstance(error, UnavailableError) and error.is_late else "FAILED"
        states.settle(row["id"], status, error=_said(error), now=now)
        _tell("communication.failed", row, _said(error))
    return error


def _pause(service: Service) -> float | None:
    return waiting.pause_of(service.integration["id"]) if service.integration is not None else None


def _fail(job: jobs.Job, number: int, error: EdgekitError, now: datetime) -> None:
    """Note that one cannot be sent: nothing went out. One that is not there has nothing to be noted."""
    if isinstance(error, NotFoundError) and not db.query(
        "SELECT 1 FROM communication WHERE id = ?", (number,)
    ):
        return
    row = states.row(number)
    with _change(job, row):
        _require_mine(job)
        states.settle(number, "FAILED", error=_said(error), now=now)
        _tell("communication.failed", row, _said(error))


def _patiently(keep: Callable[[], None]) -> None:
    """Keep what was answered, however long the file is busy: what is sent and not kept is sent again."""
    for left in reversed(range(_PATIENCE)):
        try:
            keep()
        except BusyError:
            if not left:
                raise
        else:
            return


def _require_mine(job: jobs.Job) -> None:
    """Go on, in the open change, only while nobody has taken the job over. Raise ConflictError."""
    held = "SELECT 1 FROM job WHERE id = ? AND runner_id = ? AND attempts = ? AND job_status = 'running'"
    if not db.query(held, (job.id, job.runner_id, job.attempts)):
        raise ConflictError(f"The job {job.id} was taken over, or has ended: it is not ours.")


def _said(error: EdgekitError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message


def _change(job: jobs.Job, row: Mapping[str, Any]) -> Any:
    return db.change(reason=f"communications send {row['id']}", correlation_id=job.correlation_id)


def _log(
    row: Mapping[str, Any], service: Service, tries: Sequence[Attempt], response: Mapping[str, Any] | None
) -> None:
    if service.integration is None:
        return
    attempts.log_attempts(
        service.integration["id"], service.integration["organization_id"], tries,
        correlation_id=row["correlation_id"], communication_id=row["id"], retries=row["retry_count"],
        response=response,
    )  # fmt: skip


def _tell(event: str, row: Mapping[str, Any], error: str | None = None) -> None:
    said = {"error": masking.text(error)} if error else {}
    events.emit(
        event,
        {"communication": row["id"], "type": row["type"], "channel": row["channel"], **said},
        source="INTEGRATION",
        correlation_id=row["correlation_id"],  # a job that was killed is settled with others, in one change
        organization_id=row["organization_id"],
    )
