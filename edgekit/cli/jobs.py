"""What is to be done later, and what became of it: `jobs list`, `show`, `retry` and `cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, reading
from edgekit.cli.show import show

if TYPE_CHECKING:
    from edgekit.jobs import Job

_STATES = ("open", "pending", "running", "completed", "failed", "cancelled", "interrupted")


@click.group(cls=Group)
def jobs() -> None:
    """Look at what is to be done later, and what became of it."""


@jobs.command("list", example="edgekit jobs list --status failed")
@click.option("--status", type=click.Choice(_STATES), help="Only those in this state; open: not yet ended.")
@click.option("--kind", metavar="KIND", help="Only those of this kind, such as integration.run.")
@click.option("--correlation", metavar="ID", help="Only those that belong together under this id.")
@limit_option(50)
@json_option
@reading
def list_jobs(
    status: str | None, kind: str | None, correlation: str | None, limit: int, as_json: bool
) -> None:
    """List jobs, the newest first."""
    from edgekit import jobs as word

    found = word.list_jobs(kind=kind, status=status, correlation_id=correlation, limit=limit)
    show([_plain(job) for job in found], as_json, view=_line, empty="There is no such job.")


def _plain(job: Job) -> dict[str, Any]:
    return job._asdict()


def _line(row: dict[str, Any]) -> dict[str, Any]:
    note = row["error_message"] or (row["cancel_requested_at"] and "is to be stopped")
    return {
        "id": row["id"], "kind": row["kind"], "status": row["job_status"], "run_at": row["run_at"],
        "attempts": f"{row['attempts']} of {max(row['attempts'], row['max_attempts'])}", "note": note,
    }  # fmt: skip


@jobs.command("show", example="edgekit jobs show 12")
@click.argument("job_id", metavar="ID", type=int)
@json_option
@reading
def show_job(job_id: int, as_json: bool) -> None:
    """Show one job with what it was given and what came of it."""
    from edgekit import jobs as word

    show(_plain(word.show(job_id)), as_json)


@jobs.command("retry", example="edgekit jobs retry 12")
@click.argument("job_id", metavar="ID", type=int)
@json_option
@opened
def retry(job_id: int, as_json: bool) -> None:
    """Do a failed or cancelled job again, as a new one that is due now."""
    from edgekit import jobs as word

    job = word.replay(job_id)
    show(
        _plain(job) if as_json else f"The job {job.id} ({job.kind}) does it again; a runner takes it up.",
        as_json,
    )


@jobs.command("cancel", example="edgekit jobs cancel 12")
@click.argument("job_id", metavar="ID", type=int)
@json_option
@opened
def cancel(job_id: int, as_json: bool) -> None:
    """Stop a job: one that waits at once, one that runs within seconds."""
    from edgekit import jobs as word

    job = word.cancel(job_id)
    said = "is cancelled" if job.job_status == "cancelled" else "runs, and is being stopped"
    show(_plain(job) if as_json else f"The job {job.id} ({job.kind}) {said}.", as_json)
