"""What is wrong with what should happen by itself, and what to do about it, in plain words.

`edgekit doctor` asks this of a plain connection, beside what it asks of the file itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from edgekit import clock
from edgekit.errors import quoted
from edgekit.finding import Finding
from edgekit.runner.process import lock
from edgekit.runner.scheduling.checking import unaccounted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

LATE = timedelta(hours=1)
"""So long what is due may wait while a runner is at work."""

RECENT = timedelta(days=7)
"""What went wrong before that was seen, or does not matter."""

UNTOLD = timedelta(days=1)
"""So long what is to be told may wait: no quiet hours last longer."""

_START = "Start it: edgekit runner start; or with the computer, by itself: edgekit runner install"
_SHOWN = 5


def examine(connection: sqlite3.Connection, path: Path, now: datetime) -> Iterator[Finding]:
    """Look at the runner, its schedules and jobs, at breakers, and at what could not be delivered."""
    is_alive = lock.is_held(path)
    yield from _runner(connection, is_alive=is_alive)
    yield from _due(connection, now, is_alive=is_alive)
    yield from _jobs(connection, now, is_alive=is_alive)
    yield from _breakers(connection, now)
    yield from _undelivered(connection)
    yield from _communications(connection, now)
    yield from _notifications(connection, now)


def _runner(connection: sqlite3.Connection, *, is_alive: bool) -> Iterator[Finding]:
    wanted, waiting = connection.execute(
        "SELECT (SELECT count(*) FROM integration_schedule s JOIN integration i ON i.id = s.integration_id"
        " WHERE s.status_id = 1 AND i.status_id = 1 AND s.schedule_type <> 'manual'),"
        " (SELECT count(*) FROM job WHERE job_status IN ('running', 'interrupted'))"
    ).fetchone()
    last = connection.execute(
        "SELECT started_at, ended_at, end_reason FROM runner_session ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if is_alive:
        yield Finding("ok", f"The runner is at work since {last[0]}." if last else "The runner is at work.")
        return
    died = last is not None and last[1] is None
    if died and (wanted or waiting):
        what = (
            f"The runner that began at {last[0]} is gone without a word: it was killed, the power went, or"
            " the file was restored from a backup of that time."
        )
        yield Finding("warning", what, f"Nothing is lost: the next one takes up what it left. {_START}")
    elif wanted:
        what = f"No runner is at work, so nothing runs by itself; active schedules wait for one: {wanted}."
        yield Finding("warning", what, _START)
    else:
        yield Finding("ok", "No runner is at work, and no schedule waits for one.")


def _due(connection: sqlite3.Connection, now: datetime, *, is_alive: bool) -> Iterator[Finding]:
    found = unaccounted(now, connection=connection)
    for one in found[:_SHOWN]:
        do = f"See what became of its times: edgekit schedules slots {quoted(one.schedule)}"
        do = do if is_alive else _START
        yield Finding("warning", one.what, do)
    if len(found) > _SHOWN:
        yield Finding("warning", f"So it is with {len(found) - _SHOWN} more.", "See: edgekit schedules list")
    if not found:
        yield Finding("ok", "Every time a schedule was due is accounted for.")


def _jobs(connection: sqlite3.Connection, now: datetime, *, is_alive: bool) -> Iterator[Finding]:
    at, late = clock.to_text(now), clock.to_text(now - LATE)
    stuck = connection.execute(
        "SELECT id, kind, claimed_at FROM job WHERE job_status = 'running'"
        " AND (lease_ends_at < ?1 OR (?2 AND claimed_at < ?3)) ORDER BY id",
        (at, not is_alive, late),
    ).fetchall()
    for number, kind, since in stuck[:_SHOWN]:
        what = f"Job {number} ({kind}) is said to run since {since}, and nobody is at it any more."
        yield Finding("warning", what, f"A runner takes it up again by itself. {_START}")
    count, first = connection.execute(
        "SELECT count(*), min(run_at) FROM job WHERE job_status IN ('pending', 'interrupted') AND run_at < ?",
        (late,),
    ).fetchone()
    if count:
        what = f"Jobs that were due wait: {count}, the first since {first}."
        do = "See which: edgekit jobs list --status open" if is_alive else _START
        yield Finding("warning", what, do)
    (failed,) = connection.execute(
        "SELECT count(*) FROM job WHERE job_status = 'failed' AND ended_at > ?"
        " AND kind NOT IN ('integration.run', 'backup.daily')",  # these are spoken of elsewhere
        (clock.to_text(now - RECENT),),
    ).fetchone()
    if failed:
        what = f"Jobs that failed for good in the last seven days: {failed}."
        yield Finding("warning", what, "See why, and try them again: edgekit jobs list --status failed")
    if not stuck and not count and not failed:
        yield Finding("ok", "No job is stuck, late or failed.")


def _breakers(connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    rows = connection.execute(
        "SELECT i.integration_name, b.target, b.failure_count, b.retry_at FROM circuit_breaker b"
        " JOIN integration i ON i.id = b.integration_id"
        " WHERE b.breaker_status <> 'closed' AND i.status_id = 1 ORDER BY b.opened_at"
    ).fetchall()
    for name, target, count, retry_at in rows[:_SHOWN]:
        until = f" until {retry_at}" if retry_at and retry_at > clock.to_text(now) else ""
        what = f"{target} failed {count} times in a row, and {name} leaves it alone{until}."
        yield Finding("warning", what, f"Ask whether it answers: edgekit integrations health {quoted(name)}")
    if len(rows) > _SHOWN:
        what = f"So it is with {len(rows) - _SHOWN} more places."
        yield Finding("warning", what, "See which: edgekit integrations breakers")
    if not rows:
        yield Finding("ok", "Nothing that is called is being left alone.")


def _undelivered(connection: sqlite3.Connection) -> Iterator[Finding]:
    rows = connection.execute(
        "SELECT s.code, count(*) FROM event_delivery d"
        " JOIN event_subscription s ON s.id = d.subscription_id"
        " WHERE d.delivery_status = 'failed' AND s.status_id = 1 GROUP BY s.id ORDER BY 2 DESC"
    ).fetchall()
    for code, count in rows[:_SHOWN]:
        yield Finding(
            "warning",
            f"Events that could not be delivered to {code}: {count}.",
            "See why: edgekit events deliveries --failed. When it is mended:"
            f" edgekit events replay --subscription {quoted(code)}",
        )
    if not rows:
        yield Finding("ok", "Every event reached who listens.")


def _communications(connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    waiting = (
        "SELECT count(*), min(ifnull(c.scheduled_at, c.created_at)), max(c.error_message)"
        " FROM communication c"
        " JOIN communication_status s ON s.id = c.communication_status_id AND s.is_final_state = 0"
        " WHERE ifnull(c.scheduled_at, c.created_at) < ? AND {} EXISTS (SELECT 1 FROM job j"
        " WHERE j.kind = 'communication.send' AND j.dedupe_key = CAST(c.id AS TEXT)"
        " AND j.job_status IN ('pending', 'running', 'interrupted'))"
    )
    late, long_ago = clock.to_text(now - LATE), clock.to_text(now - RECENT)
    unsent, since, why = connection.execute(waiting.format(""), (late,)).fetchone()
    if unsent:
        what = f"Communications that were due are not sent: {unsent}, the first since {since}."
        yield Finding("warning", f"{what} {why}" if why else what, "See each: edgekit communications list")
    tasks, first, _ = connection.execute(waiting.format("NOT"), (long_ago,)).fetchone()
    if tasks:
        what = f"Communications have waited for a person for more than a week: {tasks}, since {first}."
        yield Finding("warning", what, "See which: edgekit communications list --tasks")
    if not unsent and not tasks:
        yield Finding("ok", "No communication waits longer than it should.")


def _notifications(connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    count, first = connection.execute(
        "SELECT count(*), min(due_at) FROM notification WHERE notification_status = 'pending' AND due_at < ?",
        (clock.to_text(now - UNTOLD),),
    ).fetchone()
    if count:
        what = f"Notifications that were due are not told: {count}, the first since {first}."
        yield Finding("warning", what, f"See which: edgekit notifications list --pending. {_START}")
    else:
        yield Finding("ok", "Whatever people are to be told was told in time.")
