"""When integrations run: `schedules list`, `show`, `add`, `set`, `next`, `pause` and `resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, reading
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
_ZONE = "The zone of times and days, such as Europe/Berlin."


def timing_options(body: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say when something runs."""
    for option in reversed(_TIMING):
        body = option(body)
    return body


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
@click.option("--manual", is_flag=True, help="On demand only.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help=_ZONE)
@json_option
@opened
def add(
    name: str, integration: str, cron: str | None, every: int | None, at: tuple[str, ...], on: str | None,
    start: datetime | None, end: datetime | None, manual: bool, timezone: str, as_json: bool,
) -> None:  # fmt: skip
    """Add a schedule, by one of --cron, --every, --at, --on and --manual; say when it runs next."""
    from edgekit import runner

    if (cron is None and every is None and not at and on is None) != manual:
        raise click.UsageError("Say when it runs by one of --cron, --every, --at, --on and --manual.")
    found = runner.add_schedule(
        name, integration=integration, cron=cron, every=every, at=at, on=on, timezone=timezone,
        start=_day(start), end=_day(end),
    )  # fmt: skip
    _tell(found, as_json)


@schedules.command("set", example="edgekit schedules set nightly --at 03:00 --timezone America/Chicago")
@click.argument("name")
@timing_options
@click.option("--no-start", is_flag=True, help="Take the first day away.")
@click.option("--no-end", is_flag=True, help="Take the last day away.")
@click.option("--timezone", metavar="ZONE", help=_ZONE)
@json_option
@opened
def set_schedule(
    name: str, cron: str | None, every: int | None, at: tuple[str, ...], on: str | None,
    start: datetime | None, end: datetime | None, no_start: bool, no_end: bool, timezone: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Change when a schedule runs, and say what its next times become."""
    from edgekit import runner

    clear = [day for day, wanted in (("start", no_start), ("end", no_end)) if wanted]
    found = runner.set_schedule(
        name, cron=cron, every=every, at=at, on=on, timezone=timezone, start=_day(start), end=_day(end),
        clear=clear,
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


@schedules.command(example="edgekit schedules pause nightly")
@click.argument("name")
@json_option
@opened
def pause(name: str, as_json: bool) -> None:
    """Let a schedule run no more until it is resumed."""
    from edgekit import runner

    _tell(runner.pause_schedule(name), as_json)


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
        return f"It is paused. Resume it with: edgekit schedules resume {quoted(found['name'])}"
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
