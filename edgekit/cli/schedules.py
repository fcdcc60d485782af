"""When integrations run, what ran and what did not: `schedules`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, reading, split_pair
from edgekit.cli.show import show
from edgekit.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

_DAY = click.DateTime(["%Y-%m-%d"])
_TIMING = [
    click.option(
        "--cron", metavar="TEXT", help='Standard cron: minute hour day month weekday, "30 6 * * 1-5".'
    ),
    click.option("--every", metavar="MINUTES", type=click.IntRange(1, 527040), help="So many minutes apart."),
    click.option("--at", metavar="HH:MM", multiple=True, help="At this time every day; may be repeated."),
    click.option("--on", metavar="EVENT", help="When an event of this type comes."),
    click.option("--start", metavar="DAY", type=_DAY, help="No run before this day, such as 2026-01-31."),
    click.option("--end", metavar="DAY", type=_DAY, help="None after this day."),
]
_POLICIES = [
    click.option(
        "--overlap", type=click.Choice(["skip", "queue_one", "queue_all", "cancel_running", "allow"]),
        help="While an earlier run still runs: leave it out, let one or all wait, stop that one, run beside.",
    ),
    click.option(
        "--missed", type=click.Choice(["skip", "run_once", "run_all"]),
        help="Of times nobody was there for: run none, one for all, or each.",
    ),
    click.option("--grace", metavar="SECONDS", type=click.IntRange(0, 604800), help="Late, not missed."),
    click.option("--catch-up", metavar="N", type=click.IntRange(1, 1000), help="run_all runs so many."),
    click.option(
        "--catch-up-delay", metavar="SECONDS", type=click.IntRange(0, 86400), help="Between two of these."
    ),
    click.option(
        "--jitter", metavar="SECONDS", type=click.IntRange(0, 86400), help="Begin up to so much later."
    ),
    click.option(
        "--timeout", metavar="SECONDS", type=click.IntRange(1, 604800), help="Stop a run that takes longer."
    ),
    click.option(
        "--retry", metavar="NAME=NUMBER", multiple=True,
        help="attempts, delay_seconds, multiplier, jitter or max_delay_seconds of runs that fail.",
    ),
    click.option("--param", metavar="NAME=VALUE", multiple=True, help="A setting for these runs only."),
]  # fmt: skip
_ZONE = "The zone of times and days, such as Europe/Berlin."


def timing_options(body: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say when something runs."""
    for option in reversed(_TIMING):
        body = option(body)
    return body


def policy_options(body: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how something runs."""
    for option in reversed(_POLICIES):
        body = option(body)
    return body


def _how(given: dict[str, Any]) -> Any:
    """Return what was said of how it runs, as `runner.add_schedule` takes it."""
    retry = [
        split_pair(text, form="NAME=NUMBER, such as attempts=3", where="--retry") for text in given["retry"]
    ]
    settings = [
        split_pair(text, form="NAME=VALUE, such as day=monday", where="--param") for text in given["param"]
    ]
    given = {name: value for name, value in given.items() if name != "param"}
    return given | {"retry": dict(retry) or None, "parameters": dict(settings) or None}


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


@click.group(cls=Group)
def schedules() -> None:
    """Say when integrations run."""


@schedules.command("list", example="edgekit schedules list")
@click.option("--integration", metavar="NAME", help="Only those of this integration.")
@json_option
@reading
def list_schedules(integration: str | None, as_json: bool) -> None:
    """List the schedules with their times and when each is due next."""
    from edgekit import runner

    found = runner.list_schedules(integration=integration)
    empty = "There is no schedule yet. See: edgekit schedules add --help"
    show([_plain(row) for row in found], as_json, view=_line, empty=empty)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "is_active": bool(row["is_active"])}


def _line(row: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "integration", "timing", "timezone", "next_run_at", "last_run_at")
    return {**{name: row[name] for name in names}, "note": None if row["is_active"] else "paused"}


@schedules.command("show", example="edgekit schedules show nightly")
@click.argument("name")
@json_option
@opened
def show_schedule(name: str, as_json: bool) -> None:
    """Show a schedule and the next times it runs."""
    from edgekit import runner

    _tell(runner.show_schedule(name), as_json)


@schedules.command(
    example='edgekit schedules add nightly --integration customers --cron "0 2 * * 1-5" --timezone Asia/Tokyo'
    "\nedgekit schedules add twice --integration customers --at 06:30 --at 18:00"
    "\nedgekit schedules add often --integration customers --every 15"
)
@click.argument("name")
@click.option("--integration", metavar="NAME", required=True, help="What it runs.")
@timing_options
@policy_options
@click.option("--manual", is_flag=True, help="On demand only.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help=_ZONE)
@json_option
@opened
def add(
    name: str, integration: str, cron: str | None, every: int | None, at: tuple[str, ...], on: str | None,
    start: datetime | None, end: datetime | None, manual: bool, timezone: str, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Add a schedule, by one of --cron, --every, --at, --on and --manual; say when it runs next."""
    from edgekit import runner

    if (cron is None and every is None and not at and on is None) != manual:
        raise click.UsageError("Say when it runs by one of --cron, --every, --at, --on and --manual.")
    found = runner.add_schedule(
        name, integration=integration, cron=cron, every=every, at=at, on=on, timezone=timezone,
        start=_day(start), end=_day(end), **_how(given),
    )  # fmt: skip
    _tell(found, as_json)


@schedules.command("set", example="edgekit schedules set nightly --at 03:00 --timezone America/Chicago")
@click.argument("name")
@timing_options
@policy_options
@click.option("--no-start", is_flag=True, help="Take the first day away.")
@click.option("--no-end", is_flag=True, help="Take the last day away.")
@click.option("--timezone", metavar="ZONE", help=_ZONE)
@json_option
@opened
def set_schedule(
    name: str, cron: str | None, every: int | None, at: tuple[str, ...], on: str | None,
    start: datetime | None, end: datetime | None, no_start: bool, no_end: bool, timezone: str | None,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Change when or how a schedule runs, and say what its next times become."""
    from edgekit import runner

    clear = [day for day, wanted in (("start", no_start), ("end", no_end)) if wanted]
    found = runner.set_schedule(
        name, cron=cron, every=every, at=at, on=on, timezone=timezone, start=_day(start), end=_day(end),
        clear=clear, **_how(given),
    )  # fmt: skip
    _tell(found, as_json)


@schedules.command("next", example="edgekit schedules next nightly --count 10")
@click.argument("name")
@click.option("--count", type=click.IntRange(1, 10000), default=5, show_default=True, help="So many times.")
@json_option
@opened
def next_times(name: str, count: int, as_json: bool) -> None:
    """Tell the next times a schedule runs, each in UTC and for people in its own zone."""
    from edgekit import runner

    moments = runner.next_times(name, count)
    found = runner.show_schedule(name)
    show([{"at": at} for at in moments], as_json, view=lambda row: _time(row, found), empty=_why_none(found))


@schedules.command(example='edgekit schedules pause nightly --reason "the provider moves"')
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why, for people.")
@json_option
@opened
def pause(name: str, reason: str | None, as_json: bool) -> None:
    """Let a schedule run no more until it is resumed. What falls due meanwhile is noted as paused."""
    from edgekit import runner

    _tell(runner.pause_schedule(name, reason=reason), as_json)


@schedules.command(example="edgekit schedules resume nightly")
@click.argument("name")
@json_option
@opened
def resume(name: str, as_json: bool) -> None:
    """Let a paused schedule run again, and say when."""
    from edgekit import runner

    _tell(runner.resume_schedule(name), as_json)


def _tell(found: dict[str, Any], as_json: bool) -> None:
    show(_plain(found), as_json, view=_told, note=None if found["next"] else _why_none(found))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "next": [_time(item, row) for item in row["next"]]}


def _time(item: dict[str, Any], schedule: dict[str, Any]) -> dict[str, Any]:
    from edgekit.recurrence import find_zone

    if schedule["timezone"] == "UTC":
        return item
    local = item["at"].astimezone(find_zone(schedule["timezone"]))
    return {**item, schedule["timezone"]: f"{local:%a %Y-%m-%d %H:%M %Z}"}


def _why_none(found: dict[str, Any]) -> str:
    if not found["is_active"]:
        why = f": {found['pause_reason']}" if found["pause_reason"] else ""
        return f"It is paused{why}. Resume it with: edgekit schedules resume {quoted(found['name'])}"
    if found["schedule_type"] in {"manual", "event_based"}:
        return f"It runs {found['timing']}."
    return "It does not run again: its last day is over."


@schedules.command(
    "notify",
    example="edgekit schedules notify nightly --user maria --user otto"
    "\nedgekit schedules notify nightly --none",
)
@click.argument("name")
@click.option("--user", "users", metavar="NAME", multiple=True, help="Exactly these; may be repeated.")
@click.option("--admins", is_flag=True, help="Who administers the organization, as where nothing is said.")
@click.option("--none", "is_silent", is_flag=True, help="Nobody.")
@json_option
@opened
def notify(name: str, users: tuple[str, ...], admins: bool, is_silent: bool, as_json: bool) -> None:
    """Say who is told when a schedule fails for good, by one of --user, --admins and --none."""
    from edgekit import runner

    if bool(users) + admins + is_silent != 1:
        raise click.UsageError("Say who is told by one of --user, --admins and --none.")
    show(runner.notify_of(name, users, is_silent=is_silent), as_json)


@schedules.command(example="edgekit schedules slots nightly\nedgekit schedules slots --reason missed")
@click.argument("name", required=False)
@click.option(
    "--reason", type=click.Choice(["overlap", "missed", "coalesced", "paused", "timeout"]), help="Only these."
)
@click.option(
    "--status", type=click.Choice(["scheduled", "running", "completed", "failed", "cancelled", "skipped"]),
    help="Only these.",
)  # fmt: skip
@limit_option(50)
@json_option
@reading
def slots(name: str | None, reason: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List what became of due times, the newest first: what ran, what did not, and why."""
    from edgekit import runner

    found = runner.list_slots(name, reason=reason, status=status, limit=limit)
    show(found, as_json, view=_slot_line, empty="Nothing has been due yet.")


def _slot_line(row: dict[str, Any]) -> dict[str, Any]:
    due = row["scheduled_at"] + (f" to {row['span_ended_at']}" if row["slot_count"] > 1 else "")
    times = f" ({row['slot_count']} times)" if row["slot_count"] > 1 else ""
    status = row["execution_status"] + (f": {row['reason']}" if row["reason"] else "") + times
    return {
        "id": row["id"], "schedule": row["schedule"], "kind": row["slot_kind"], "due": due, "status": status,
        "run": row["execution_id"], "records": row["records_processed"] if row["execution_id"] else None,
        "set_aside": row["error_count"] or None, "note": row["execution_notes"],
    }  # fmt: skip


@schedules.command(example="edgekit schedules run nightly")
@click.argument("name")
@json_option
@opened
def run(name: str, as_json: bool) -> None:
    """Ask for a run now, paused or not: it begins as soon as a runner is there."""
    from edgekit import runner

    note = "It runs as soon as a runner is there: edgekit runner start"
    show(runner.run_schedule(name), as_json, view=_slot_line, note=note)


_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])


@schedules.command(example="edgekit schedules backfill nightly --from 2026-03-01 --to 2026-03-08 --dry-run")
@click.argument("name")
@click.option(
    "--from", "since", metavar="TIME", type=_MOMENT, required=True, help="From this day or time on."
)
@click.option("--to", "until", metavar="TIME", type=_MOMENT, required=True, help="Before this day or time.")
@click.option("--dry-run", is_flag=True, help="Only tell what would run.")
@json_option
@opened
def backfill(name: str, since: datetime, until: datetime, dry_run: bool, as_json: bool) -> None:
    """Run the past due times of a span that did not run, 1000 at most. Days and times are of its zone."""
    from edgekit import runner
    from edgekit.recurrence import find_zone

    zone = find_zone(runner.show_schedule(name)["timezone"])
    found = runner.backfill(
        name, since=since.replace(tzinfo=zone), until=until.replace(tzinfo=zone), dry_run=dry_run
    )
    if found.beyond:
        note: str | None = (
            f"{found.beyond} more are beyond what is taken at once: ask again from the last on."
        )
    else:
        note = "Nothing was asked for." if dry_run else None
    show(found, as_json, view=_backfilled, note=note)


def _backfilled(found: Any) -> dict[str, Any]:
    told = {"schedule": found.schedule, "runs": len(found.due), "left_out": found.left_out}
    if found.due:
        told |= {"first": found.due[0], "last": found.due[-1]}
    return told


@schedules.command(example="edgekit schedules calendar --timezone Europe/Berlin")
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="So many days.")
@click.option(
    "--timezone", metavar="ZONE", default="UTC", show_default=True, help="The zone of days and times."
)
@click.option("--start", metavar="DAY", type=_DAY, help="From this day on; today if absent.")
@json_option
@reading
def calendar(days: int, timezone: str, start: datetime | None, as_json: bool) -> None:
    """Show what is due on each of the coming days."""
    from edgekit import runner

    found = runner.calendar(days=days, timezone=timezone, start=_day(start))
    empty = "Nothing is due in these days."
    show(found, as_json, view=_calendar_line(timezone), empty=empty)


def _calendar_line(timezone: str) -> Callable[[Any], dict[str, Any]]:
    from edgekit.recurrence import find_zone

    zone, shown = find_zone(timezone), set()

    def line(entry: Any) -> dict[str, Any]:
        day = "" if entry.day in shown else f"{entry.day:%a %Y-%m-%d}"
        shown.add(entry.day)
        times = ", ".join(f"{at.astimezone(zone):%H:%M}" for at in entry.times)
        more = f" and {entry.count - len(entry.times)} more" if entry.count > len(entry.times) else ""
        return {
            "day": day, "times": times + more, "schedule": entry.schedule, "integration": entry.integration,
            "note": "paused" if entry.is_paused else None,
        }  # fmt: skip

    return line
