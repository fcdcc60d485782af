"""Slots: a row for every due time, made by what a plan decides; those that run are started in their turn.

An integration does one run at a time, so a slot that is to run waits without a job until what came before
it has ended; only under the overlap policy `allow` it begins beside it.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, events, jobs
from edgekit.errors import InvalidError
from edgekit.runner.scheduling import logged, planning, retries, rules

if TYPE_CHECKING:
    from collections.abc import Mapping

OPEN = "execution_status IN ('scheduled', 'running')"
"""As the index of open slots says it."""

_INSTANT = timedelta(microseconds=1)
_SOON = timedelta(seconds=60)
"""A job that begins within this time keeps others of its integration waiting."""

_PRIORITY = {"manual": 4, "due": 5, "event": 5, "backfill": 7}
_INSERT = (
    "INSERT INTO integration_schedule_execution(schedule_id, slot_kind, event_id, scheduled_at,"
    " span_ended_at,"
    " slot_count, execution_status, reason, execution_notes, correlation_id, organization_id, created_by,"
    " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
)


def account(row: Mapping[str, Any], now: datetime, *, closing: str | None = None) -> planning.Plan:
    """Make the rows of all that is due of a schedule, in the open change, and write when it is due next.

    Where the schedule is about to change, `closing` is the reason why nothing of it runs any more.
    """
    made = _plan(row, now, closing)
    if made.is_cancelling:
        cancel_open(row, now)
    change = db.current().open_change
    for slot in made.slots:
        if slot.reason == "paused" and _extend(row, slot):
            continue
        # What is made last, which is what runs, carries the id of the change that makes it.
        own = change.correlation_id if change is not None and slot is made.slots[-1] else None
        insert(row, slot, now, correlation_id=own)
    if made.next_at is None or clock.to_text(made.next_at) != row["next_run_at"]:
        set_next(row["id"], made.next_at)
    if any(slot.reason is None for slot in made.slots):
        start_waiting(
            now,
            row["integration_id"],
            at={(row["id"], slot.scheduled_at): slot.run_at for slot in made.slots},
        )
    return made


def _plan(row: Mapping[str, Any], now: datetime, closing: str | None) -> planning.Plan:
    """Decide about all that is due: as the schedule was while it was another, then as it is."""
    rule, standing = rules.rule_of(row), _standing(row)
    before, made = list[planning.Slot](), planning.Plan((), None)
    for until, was_off in logged.stretches(row, standing.due_at, now):
        former = replace(standing, is_off=was_off)
        closed = planning.close(rule, former, "paused" if was_off else "missed", until - _INSTANT)
        before += closed.slots
        if closed.next_at is None:
            return planning.Plan(tuple(before), None)
        standing = replace(standing, due_at=closed.next_at)
    if row["status_id"] in (rules.ACTIVE, rules.PAUSED):  # of what came after its retirement nothing is said
        made = planning.plan(rule, standing, now)
        if closing is not None and made.slots and not standing.is_off:
            made = planning.close(rule, standing, closing, now)
    return replace(made, slots=(*before, *made.slots))


def set_next(schedule_id: int, moment: datetime | None) -> None:
    """Write, in the open change, when a schedule is due next."""
    db.connection().execute(
        "UPDATE integration_schedule SET next_run_at = ?, updated_at = ?, updated_by = ? WHERE id = ?",
        (moment and clock.to_text(moment), clock.now_text(), db.current().actor_id, schedule_id),
    )


def _standing(row: Mapping[str, Any]) -> planning.Standing:
    taken = db.query(
        "SELECT scheduled_at FROM integration_schedule_execution"
        " WHERE schedule_id = ? AND slot_kind = 'due' AND scheduled_at >= ?",
        (row["id"], row["next_run_at"]),
    )
    running, waiting = count_open(row["id"])
    return planning.Standing(
        clock.from_text(row["next_run_at"]),
        frozenset(clock.from_text(slot["scheduled_at"]) for slot in taken),
        running,
        waiting,
        rules.is_off(row),
    )


def count_open(schedule_id: int) -> tuple[int, int]:
    """Count the slots of a schedule that run, and those that wait. A backfill is in nobody's way."""
    (found,) = db.query(
        "SELECT count(*) AS n, count(*) FILTER (WHERE execution_status = 'running') AS running"
        f" FROM integration_schedule_execution WHERE schedule_id = ? AND {OPEN} AND slot_kind <> 'backfill'",
        (schedule_id,),
    )
    return found["running"], found["n"] - found["running"]


def insert(
    row: Mapping[str, Any],
    slot: planning.Slot,
    now: datetime,
    *,
    kind: str = "due",
    event_id: int | None = None,
    correlation_id: str | None = None,
    notes: str | None = None,
) -> int:
    """Write a slot of a schedule in the open change, tell that it was missed if it was, and return its id."""
    at, thread = clock.to_text(now), correlation_id or str(uuid.uuid4())
    values = (
        row["id"], kind, event_id, clock.to_text(slot.scheduled_at),
        slot.span_ended_at and clock.to_text(slot.span_ended_at), slot.count,
        "skipped" if slot.reason else "scheduled", slot.reason, notes, thread,
        row["organization_id"], db.current().actor_id, at, at,
    )  # fmt: skip
    ((found,),) = db.connection().execute(_INSERT, values).fetchall()
    if slot.reason == "missed":
        payload = {
            "schedule": row["schedule_name"], "integration": row["integration_name"], "slot_id": found,
            "scheduled_at": clock.to_text(slot.scheduled_at), "slot_count": slot.count,
            "span_ended_at": clock.to_text(slot.span_ended_at or slot.scheduled_at),
        }  # fmt: skip
        events.emit(
            "slot.missed", payload, source="ORCHESTRATION", target=row["integration_name"],
            correlation_id=thread, organization_id=row["organization_id"], now=now,
        )  # fmt: skip
    return int(found)


def _extend(row: Mapping[str, Any], slot: planning.Slot) -> bool:
    """Let the row before stand for more, if it is of the same pause: one row for each."""
    before = db.query(
        "SELECT id, reason FROM integration_schedule_execution"
        " WHERE schedule_id = ? AND slot_kind = 'due' AND scheduled_at < ? ORDER BY scheduled_at"
        " DESC LIMIT 1",
        (row["id"], clock.to_text(slot.scheduled_at)),
    )
    if not before or before[0]["reason"] != slot.reason:
        return False
    db.connection().execute(
        "UPDATE integration_schedule_execution SET span_ended_at = ?, slot_count = slot_count + ?,"
        " updated_at = ?, updated_by = ? WHERE id = ?",
        (clock.to_text(slot.span_ended_at or slot.scheduled_at), slot.count, clock.now_text(),
         db.current().actor_id, before[0]["id"]),
    )  # fmt: skip
    return True


def cancel_open(row: Mapping[str, Any], now: datetime) -> None:
    """Stop what a schedule runs, and what of it waits, in the open change."""
    found = db.query(
        "SELECT id, job_id FROM integration_schedule_execution"
        # What has no job yet first: the end of one that has would give it one.
        f" WHERE schedule_id = ? AND {OPEN} AND slot_kind <> 'backfill' ORDER BY job_id IS NOT NULL, id",
        (row["id"],),
    )
    for slot in found:
        note = "A later run of the same schedule took its place."
        db.connection().execute(
            "UPDATE integration_schedule_execution SET execution_notes = ?, updated_at = ? WHERE id = ?",
            (note, clock.now_text(), slot["id"]),
        )
        if slot["job_id"] is not None:
            if jobs.show(slot["job_id"]).job_status in {"pending", "running", "interrupted"}:
                jobs.cancel(slot["job_id"], now=now)
            continue
        db.connection().execute(
            "UPDATE integration_schedule_execution SET execution_status = 'cancelled', ended_at = ?,"
            " updated_at = ? WHERE id = ?",
            (clock.to_text(now), clock.now_text(), slot["id"]),
        )


_FIRST = (
    "SELECT x.id FROM integration_schedule_execution x WHERE x.schedule_id = s.id AND x.job_id IS NULL"
    f" AND x.{OPEN} AND x.slot_kind {{}} 'backfill' ORDER BY x.scheduled_at, x.id LIMIT 1"
)
_WAITING = (
    "SELECT e.id, e.schedule_id, e.slot_kind, e.scheduled_at, e.correlation_id,"
    " s.integration_id, s.overlap_policy, s.missed_execution_policy, s.grace_seconds,"
    " s.catch_up_delay_seconds, s.jitter_seconds, s.execution_timeout_seconds, s.retry_policy"
    " FROM integration_schedule s CROSS JOIN integration_schedule_execution e"
    f" ON e.id = ifnull(({_FIRST.format('<>')}), ({_FIRST.format('=')}))"
    " WHERE s.integration_id = ? AND (s.overlap_policy = 'allow' OR NOT ?)"
    " ORDER BY e.slot_kind = 'backfill', e.scheduled_at, e.id"
)
"""The first of each schedule that waits for its turn."""

_BEGUN = (
    "SELECT e.schedule_id, j.job_status, j.run_at FROM integration_schedule s"
    " CROSS JOIN integration_schedule_execution e ON e.schedule_id = s.id"
    f" AND e.{OPEN} AND e.job_id > 0 JOIN job j ON j.id = e.job_id WHERE s.integration_id = ?"
)


def start_all(now: datetime) -> int:
    """Start what waits and whose turn has come, of every integration; return how many."""
    found = db.query(
        "SELECT DISTINCT s.integration_id FROM integration_schedule_execution e"
        " JOIN integration_schedule s ON s.id = e.schedule_id"
        f" WHERE e.{OPEN} AND e.execution_status = 'scheduled' AND e.job_id IS NULL"
    )
    return sum(start_waiting(now, row["integration_id"]) for row in found)


def start_waiting(
    now: datetime, integration_id: int, *, at: Mapping[tuple[int, datetime], datetime | None] | None = None
) -> int:
    """Give slots of an integration whose turn has come their job, and return how many.

    `at` says when those begin that were just planned, by schedule and due time.
    """
    started = 0
    while (slot := _next_to_start(now, integration_id)) is not None:
        is_own = db.current().open_change is None
        with db.change(reason="schedules: start", correlation_id=slot["correlation_id"]):
            if is_own and _next_to_start(now, integration_id) != slot:
                continue  # another process was quicker
            planned = (at or {}).get((slot["schedule_id"], clock.from_text(slot["scheduled_at"])))
            _give_job(slot, planned or _begins_at(slot, now), now)
        started += 1
    return started


def _next_to_start(now: datetime, integration_id: int) -> dict[str, Any] | None:
    begun = db.query(_BEGUN, (integration_id,))
    soon = clock.to_text(now + _SOON)
    is_busy = any(other["job_status"] != "pending" or other["run_at"] <= soon for other in begun)
    own = {other["schedule_id"] for other in begun}
    for slot in db.query(_WAITING, (integration_id, is_busy)):
        is_beside = slot["overlap_policy"] == "allow" and slot["slot_kind"] != "backfill"
        if is_beside or not (is_busy or slot["schedule_id"] in own):
            return slot
    return None


def _give_job(slot: Mapping[str, Any], run_at: datetime, now: datetime) -> None:
    try:
        attempts = 1 + retries.attempts(slot)
    except InvalidError:  # its run says so, and fails
        attempts = 1
    job = jobs.enqueue(
        "integration.run", {"slot": slot["id"]}, run_at=run_at, priority=_PRIORITY[slot["slot_kind"]],
        max_attempts=attempts, timeout_seconds=slot["execution_timeout_seconds"],
        dedupe_key=f"slot/{slot['id']}", correlation_id=slot["correlation_id"], now=now,
    )  # fmt: skip
    db.connection().execute(
        "UPDATE integration_schedule_execution SET job_id = ?, updated_at = ? WHERE id = ?",
        (job.id, clock.now_text(), slot["id"]),
    )


def _begins_at(slot: Mapping[str, Any], now: datetime) -> datetime:
    """Say when a slot begins whose turn has come: what `run_all` catches up, a while after the one before."""
    due = clock.from_text(slot["scheduled_at"])
    if slot["slot_kind"] != "due":
        due = min(due, now)  # it was asked for, or happened, by a clock that was ahead
    if slot["slot_kind"] not in {"due", "event"}:
        return due
    late = now - due > timedelta(seconds=slot["grace_seconds"])
    if slot["slot_kind"] == "due" and late and slot["missed_execution_policy"] == "run_all":
        return now + timedelta(seconds=slot["catch_up_delay_seconds"])
    return due + planning.jitter(f"{db.current().site}/{slot['schedule_id']}", due, slot["jitter_seconds"])
