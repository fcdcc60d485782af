"""What has happened, and who is told of it: `events emit`, `list`, `show`, `replay`, `subscriptions`."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.event_subscriptions import subscriptions
from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, read_object, reading
from edgekit.cli.show import show

_STATES = ("pending", "processing", "processed", "failed")
_DELIVERY_STATES = ("pending", "delivering", "delivered", "failed", "discarded")
_SINCE = click.option(
    "--since", metavar="TIME", help="Only of events from this time on, with its zone: 2026-01-31T09:05:00Z."
)


@click.group(cls=Group)
def events() -> None:
    """Tell what has happened, and see who heard of it."""


@events.command(
    example="edgekit events emit policy.bound --payload '{\"policy\": 7}' --key policy:7"
    "\nedgekit events emit policy.bound --payload - < policy.json"
)
@click.argument("event_type", metavar="TYPE")
@click.option(
    "--payload", metavar="JSON", default="{}", help="What happened, an object; - reads it from stdin."
)
@click.option(
    "--source", metavar="CODE", default="EXTERNAL", show_default=True, help="Who tells it: an event source."
)
@click.option("--key", metavar="TEXT", help="Events with the same one reach each listener in their order.")
@click.option("--target", metavar="TEXT", help="What or whom it is about.")
@click.option("--cause", metavar="UUID", help="The event that led to it.")
@json_option
@opened
def emit(
    event_type: str, payload: str, source: str, key: str | None, target: str | None, cause: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Tell an event: it reaches whoever listens when a runner takes it up."""
    from edgekit import events as word

    told = word.emit(
        event_type, read_object(payload, "--payload"), source=source, ordering_key=key, target=target,
        causation_id=cause,
    )  # fmt: skip
    show(word.show_event(told.uuid), as_json, view=_told, note=None if as_json else _what_follows(told))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "uuid", "type", "source", "status", "correlation_id")}


def _what_follows(told: Any) -> str:
    return {
        "pending": "A runner hands it on: edgekit runner start",
        "processed": "Nobody listens to it.",
        "failed": "It is told to nobody: too many events led to it.",
    }[told.processing_status]


@events.command("list", example="edgekit events list --type 'run.*' --status failed")
@click.option("--type", "event_type", metavar="TYPE", help="Only of this type, or pattern such as run.*.")
@click.option("--status", type=click.Choice(_STATES), help="Only those in this state.")
@click.option("--source", metavar="CODE", help="Only from this source.")
@click.option("--correlation", metavar="ID", help="Only those that belong together under this id.")
@_SINCE
@limit_option(50)
@json_option
@reading
def list_events(
    event_type: str | None, status: str | None, source: str | None, correlation: str | None,
    since: str | None, limit: int, as_json: bool,
) -> None:  # fmt: skip
    """List events, the newest first."""
    from edgekit import events as word

    found = word.list_events(
        event_type=event_type, status=status, source=source, correlation_id=correlation,
        since=since, limit=limit,
    )  # fmt: skip
    show(found, as_json, view=_line, empty="There is no such event.")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "created_at", "type", "source", "target", "status", "error")
    return {name: row[name] for name in names}


@events.command("show", example="edgekit events show 12")
@click.argument("event", metavar="EVENT")
@json_option
@reading
def show_event(event: str, as_json: bool) -> None:
    """Show one event, by its id or uuid, with its deliveries."""
    from edgekit import events as word

    show(word.show_event(event), as_json)


@events.command("deliveries", example="edgekit events deliveries --failed --subscription partner")
@click.option("--subscription", metavar="NAME", help="Only those of this subscription.")
@click.option("--failed", is_flag=True, help="Only those that were given up.")
@click.option("--status", type=click.Choice(_DELIVERY_STATES), help="Only those in this state.")
@limit_option(50)
@json_option
@reading
def list_deliveries(
    subscription: str | None, failed: bool, status: str | None, limit: int, as_json: bool
) -> None:
    """List what became of events on their way to subscriptions, the newest first."""
    from edgekit import events as word

    found = word.list_deliveries(
        subscription=subscription, status="failed" if failed else status, limit=limit
    )
    show(found, as_json, view=_delivery, empty="There is no such delivery.")


def _delivery(row: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "event_id", "type", "subscription", "status", "attempts", "next_attempt_at", "error")
    return {name: row[name] for name in names}


@events.command(
    example="edgekit events replay 12"
    "\nedgekit events replay --subscription partner --all --since 2026-01-31T00:00:00Z"
)
@click.argument("event", metavar="EVENT", required=False)
@click.option("--subscription", metavar="NAME", help="For this subscription alone.")
@click.option("--all", "delivered", is_flag=True, help="Also what had arrived.")
@_SINCE
@json_option
@opened
def replay(
    event: str | None, subscription: str | None, delivered: bool, since: str | None, as_json: bool
) -> None:
    """Hand over again what was given up: of one event, or of a subscription."""
    from edgekit import events as word

    if event is None and subscription is None:
        raise click.UsageError("Say what is handed over again: EVENT, --subscription NAME, or both.")
    if event is not None and since is not None:
        raise click.UsageError("--since goes with --subscription alone.")
    if event is not None:
        count = word.replay_event(event, subscription=subscription, delivered=delivered)
    else:
        count = word.replay_subscription(str(subscription), since=since, delivered=delivered)
    said = f"{count} {'delivery goes' if count == 1 else 'deliveries go'} again when a runner takes them up."
    show({"deliveries": count} if as_json else said, as_json)


@events.command(example="edgekit events discard 31")
@click.argument("delivery_id", metavar="DELIVERY", type=int)
@json_option
@opened
def discard(delivery_id: int, as_json: bool) -> None:
    """Decide against a delivery that was given up or waits: it is not handed over any more."""
    from edgekit import events as word

    word.discard_delivery(delivery_id)
    show({"discarded": delivery_id} if as_json else f"The delivery {delivery_id} is discarded.", as_json)


events.add_command(subscriptions)
