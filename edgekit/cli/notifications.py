"""What people are told when something fails: `notifications list`, `show`, `mute`, `unmute` and `test`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, reading
from edgekit.cli.show import show

if TYPE_CHECKING:
    from datetime import datetime

_UNTIL = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])


@click.group(cls=Group)
def notifications() -> None:
    """See what people are told when something fails, and have your own say in it."""


@notifications.command("list", example="edgekit notifications list --mine --pending")
@click.option("--mine", is_flag=True, help="Only those to you.")
@click.option("--pending", is_flag=True, help="Only what waits to be told.")
@limit_option(50)
@json_option
@reading
def list_notifications(mine: bool, pending: bool, limit: int, as_json: bool) -> None:
    """List what people were told, are to be told, or were not told and why, the newest first."""
    from edgekit import runner

    found = runner.list_notifications(mine=mine, pending=pending, limit=limit)
    show(found, as_json, view=_line, empty="There are none: nothing failed, or nobody was to be told of it.")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "user", "topic", "subject", "message", "occurrences", "last_occurred_at")
    state = row["drop_reason"] and f"dropped: {row['drop_reason']}"
    if row["notification_status"] == "told":
        state = f"{row['channel']} {str(row['communication_status']).lower()}"
    elif row["notification_status"] == "pending":
        state = f"due {row['due_at']}"
    return {**{name: row[name] for name in names}, "state": state}


@notifications.command("show", example="edgekit notifications show 7")
@click.argument("notification_id", metavar="ID", type=int)
@json_option
@reading
def show_notification(notification_id: int, as_json: bool) -> None:
    """Show one whole, with the message it went out in."""
    from edgekit import runner

    show(runner.show_notification(notification_id), as_json)


@notifications.command(
    example="edgekit notifications mute vehicle-data --until 2031-01-01\nedgekit notifications mute backup"
)
@click.argument("subject")
@click.option("--until", metavar="DAY|TIME", type=_UNTIL, help="Until then, by the clock of this machine.")
@json_option
@opened
def mute(subject: str, until: datetime | None, as_json: bool) -> None:
    """Tell you nothing of a subject, such as an integration; the others are told all the same."""
    from edgekit import runner

    found = runner.mute_notifications(subject, until=until and until.astimezone())
    show(found, as_json)


@notifications.command(example="edgekit notifications unmute vehicle-data")
@click.argument("subject")
@json_option
@opened
def unmute(subject: str, as_json: bool) -> None:
    """Tell you of a subject again."""
    from edgekit import runner

    show(runner.unmute_notifications(subject), as_json, empty="Nothing is muted.")


@notifications.command(example="edgekit notifications test\nedgekit notifications test --channel EMAIL")
@click.option("--channel", metavar="CODE", help="By this one, not the first of yours that can be used.")
@json_option
@click.pass_context
@opened
def test(context: click.Context, channel: str | None, as_json: bool) -> None:
    """Send a message to yourself through the real channel, and say what became of it."""
    from edgekit import runner

    found = runner.try_notifications(channel=channel)
    show(found, as_json, view=_tried)
    if found["communication_status"] in {"FAILED", "TIMEOUT"}:
        context.exit(4)
    if found["communication_status"] != "COMPLETED":
        context.exit(7)


def _tried(row: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "user", "channel", "communication_id", "communication_status", "error")
    return {name: row[name] for name in names}


@notifications.command(example="edgekit notifications expiring")
@json_option
@opened
def expiring(as_json: bool) -> None:
    """Look now for secrets and licences that expire, which is otherwise done once a day."""
    from edgekit import runner

    found = runner.tell_expiring()
    show(found, as_json, view=_expiry, empty="Nothing comes under a threshold that was not told before.")


def _expiry(row: dict[str, Any]) -> dict[str, Any]:
    what = f"{row['key']} of {row['integration']}" if "key" in row else row["license"]
    return {"what": what, "expires_at": row["expires_at"], "days_left": row["days_left"]}
