"""How the runner of a file stands, read from the file and its lock by any other process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from edgekit import db
from edgekit.runner.process import lock, tidying

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a runner is at work, what it does, what comes next and what was last."""

    is_running: bool
    since: str | None
    """When it began; of one that does not run, None."""
    process_id: int | None
    host_name: str | None
    app_version: str | None
    last_ended_at: str | None
    last_end_reason: str | None
    """stopped or died, of the life before; of one that died nobody has noticed yet, died."""
    waiting_jobs: int
    failed_jobs: int
    log_bytes: int
    last_backup_at: str | None
    running: list[dict[str, Any]] = field(default_factory=list)
    next: list[dict[str, Any]] = field(default_factory=list)
    last_slots: list[dict[str, Any]] = field(default_factory=list)


def status() -> Status:
    """Return how the runner of the opened file stands."""
    path = db.current().path
    is_running = lock.is_held(path)
    lives = db.query(
        "SELECT runner_id, started_at, process_id, host_name, app_version, ended_at, end_reason"
        " FROM runner_session ORDER BY id DESC LIMIT 2"
    )
    now = lives[0] if lives and is_running and lives[0]["ended_at"] is None else {}
    before: dict[str, Any] = next((row for row in lives if row is not now), {})
    return Status(
        is_running=is_running,
        since=now.get("started_at"),
        process_id=now.get("process_id"),
        host_name=now.get("host_name"),
        app_version=now.get("app_version"),
        last_ended_at=before.get("ended_at"),
        last_end_reason=before.get("end_reason") or ("died" if before else None),
        waiting_jobs=_count("job_status = 'pending'"),
        failed_jobs=_count("job_status = 'failed'"),
        log_bytes=tidying.log_size(path),
        last_backup_at=_last_backup(),
        running=_running(),
        next=_next(),
        last_slots=_last_slots(),
    )


def _count(condition: str) -> int:
    found: int = db.query(f"SELECT count(*) AS n FROM job WHERE {condition}")[0]["n"]
    return found


def _running() -> list[dict[str, Any]]:
    rows = db.query(
        "SELECT id AS job, kind, payload, claimed_at AS since, attempts FROM job"
        " WHERE job_status = 'running' ORDER BY claimed_at, id LIMIT 50"
    )
    return [{**row, "payload": json.loads(row["payload"])} for row in rows]


def _next() -> list[dict[str, Any]]:
    """Return what is due first: schedules, and jobs that wait for their time."""
    return db.query(
        "SELECT * FROM (SELECT next_run_at AS at, 'schedule' AS what, schedule_name AS name"
        " FROM integration_schedule WHERE status_id = 1 AND next_run_at IS NOT NULL"
        " ORDER BY next_run_at LIMIT ?1)"
        " UNION ALL SELECT * FROM (SELECT run_at, 'job', kind FROM job WHERE job_status = 'pending'"
        " ORDER BY run_at LIMIT ?1) ORDER BY 1 LIMIT ?1",
        (_SHOWN,),
    )


def _last_slots() -> list[dict[str, Any]]:
    return db.query(
        "SELECT x.scheduled_at, s.schedule_name AS schedule, x.execution_status AS status, x.reason,"
        " x.started_at, x.ended_at, x.slot_count FROM integration_schedule_execution x"
        " JOIN integration_schedule s ON s.id = x.schedule_id"
        " WHERE x.execution_status <> 'scheduled' ORDER BY x.id DESC LIMIT ?",
        (_SHOWN,),
    )


def _last_backup() -> str | None:
    """Return when the last backup was made, by a runner or by hand."""
    at: str | None = db.query("SELECT max(made_at) AS at FROM backup WHERE pruned_at IS NULL")[0]["at"]
    return at
