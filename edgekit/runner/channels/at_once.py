"""Sending one communication at once, in this process, instead of waiting for a runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import clock, communications, jobs
from edgekit.communications import states
from edgekit.runner.holding import new_runner_id

if TYPE_CHECKING:
    from datetime import datetime


def send_communication(communication_id: int, *, now: datetime | None = None) -> dict[str, Any]:
    """Send one that is due, unless another process is at it, and return it as `communications.show` does.

    What became of it is in its status: nothing is raised for a channel that failed. Raise NotFoundError.
    """
    at = now or clock.now()
    states.row(communication_id)
    waiting = states.has_open_job(communication_id)
    if waiting is not None and waiting["run_at"] <= clock.to_text(at):
        job = jobs.claim_one(waiting["id"], new_runner_id(), now=at)
        if job is not None:
            jobs.settle([jobs.perform(job)], now=now)
    return communications.show(communication_id)
