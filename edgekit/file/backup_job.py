"""The standing job that makes the daily backup: when it is due, and what is told when it fails."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, events, jobs
from edgekit.errors import NotFoundError, UnavailableError
from edgekit.file import daily, noting
from edgekit.file.backup_settings import KIND, settings

if TYPE_CHECKING:
    from datetime import datetime

    from edgekit.file.daily import Made
    from edgekit.jobs.job import Job


def next_time(now: datetime) -> datetime:
    """Return when the next daily backup of the opened file is due."""
    return settings().next_time(now)


def tell_failed(job: Job, code: str, message: str, at: datetime) -> None:
    """Tell by an event that there is no backup of today, and which was the last."""
    if code == "cancelled":  # somebody wished it so
        return
    last = next(iter(noting.read_noted(db.connection())), None)
    payload = {
        "file": str(db.current().path),
        "error": message,
        "code": code,
        "hint": "edgekit doctor",
        "last_backup": last and str(last.path),
        "last_backup_at": last and clock.to_text(last.made_at),
    }
    thread = job.correlation_id
    events.emit(
        "backup.failed", payload, source="SYSTEM", ordering_key="backup", correlation_id=thread, now=at
    )


@jobs.handles(
    KIND, concurrency=1, timeout_seconds=6 * 3600, isolated=True, standing=next_time, attempts=5,
    delay_seconds=600, given_up=tell_failed,
)  # fmt: skip
def make_daily(job: Job) -> dict[str, Any] | None:
    """Make the daily backup, unless it is switched off, and tell of it by an event."""
    at = job.claimed_at or clock.now()
    if not settings().enabled:
        return {"skipped": "The daily backup is switched off."}
    try:
        said = _plain(daily.run(now=at))
    except NotFoundError as error:  # a stick that is not put in may be within the hour
        raise UnavailableError(error.message, hint=error.hint) from error
    with db.change(reason="daily backup made", correlation_id=job.correlation_id):
        events.emit("backup.completed", said, source="SYSTEM", ordering_key="backup", now=at)
        jobs.finish(job, said, now=at)
    return None


def _plain(made: Made) -> dict[str, Any]:
    found = asdict(made)
    return {
        **found,
        "path": str(made.path),
        "made_at": clock.to_text(made.made_at),
        "copied_to": made.copied_to and str(made.copied_to),
        "deleted": [str(path) for path in made.deleted],
        "warnings": list(made.warnings),
    }
