"""Who listens to what: `events subscriptions add`, `list`, `show`, `pause`, `resume`, `set`, `retire`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, opened, read_object, reading
from edgekit.cli.show import show

if TYPE_CHECKING:
    from collections.abc import Callable

_ABOUT = [
    click.option("--type", "event_type", metavar="TYPE", help="Of this type, or pattern such as policy.*."),
    click.option("--source", metavar="CODE", help="Only from this event source."),
    click.option("--webhook", metavar="INTEGRATION", help="Tell it by webhook, through this integration."),
    click.option("--run", metavar="INTEGRATION", help="Run this integration with the event as its record."),
    click.option("--about", metavar="FIELD", help="With --run: a field that says which event it is."),
    click.option("--max-attempts", metavar="N", type=click.IntRange(1), help="Give up after so many tries."),
    click.option("--title", metavar="TEXT", help="What people read."),
]


def about_options(body: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say what a subscription is about and what it does."""
    for option in reversed(_ABOUT):
        body = option(body)
    return body


@click.group(cls=Group)
def subscriptions() -> None:
    """Say who is told of which events."""


@subscriptions.command(
    example="edgekit events subscriptions add partner --type 'policy.*' --webhook partner"
    "\nedgekit events subscriptions add verify --type driver.added --run verify-drivers --from-beginning"
)
@click.argument("name")
@about_options
@click.option("--handler", metavar="KIND", help="Or: a kind of job that a package registered.")
@click.option("--config", metavar="JSON", help="What that handler needs to know.")
@click.option(
    "--from-beginning", is_flag=True, help="Begin with the first event there is, not with the next."
)
@click.option("--from", "after", metavar="EVENT", help="Begin behind this event, by its id or uuid.")
@json_option
@opened
def add(
    name: str, event_type: str | None, source: str | None, webhook: str | None, run: str | None,
    about: str | None, max_attempts: int | None, title: str | None, handler: str | None, config: str | None,
    from_beginning: bool, after: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Add a subscription: whoever it is for is told what happens from now on."""
    from edgekit import events

    if sum(given is not None for given in (webhook, run, handler)) != 1:
        raise click.UsageError("Say what is done with an event by one of --webhook, --run and --handler.")
    if from_beginning and after is not None:
        raise click.UsageError("Say where it begins by --from-beginning or --from, not by both.")
    kind = "event.webhook" if webhook is not None else "event.run" if run is not None else str(handler)
    found = events.add_subscription(
        name, handler=kind, event_type=event_type, source=source, max_attempts=max_attempts, title=title,
        config=_config(webhook or run, about, config), after=0 if from_beginning else after,
    )  # fmt: skip
    show(found, as_json, view=_shown)


def _config(integration: str | None, about: str | None, given: str | None) -> dict[str, Any] | None:
    found = read_object(given, "--config") if given is not None else {}
    found |= {"integration": integration} if integration is not None else {}
    found |= {"about": about} if about is not None else {}
    return found or None


@subscriptions.command("list", example="edgekit events subscriptions list")
@json_option
@reading
def list_subscriptions(as_json: bool) -> None:
    """List the subscriptions: what each is about, and how much waits or was given up."""
    from edgekit import events

    empty = "Nobody listens yet. See: edgekit events subscriptions add --help"
    show(events.list_subscriptions(), as_json, view=_line, empty=empty)


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["name"], "type": row["type"] or "every", "handler": row["handler"],
        "to": row["config"].get("integration"), "state": row["state"], "open": row["open"],
        "failed": row["failed"],
    }  # fmt: skip


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "type": row["type"] or "every", "config": json.dumps(row["config"], ensure_ascii=False)}


@subscriptions.command("show", example="edgekit events subscriptions show partner")
@click.argument("name")
@json_option
@reading
def show_subscription(name: str, as_json: bool) -> None:
    """Show one subscription and how far it has come."""
    from edgekit import events

    show(events.show_subscription(name), as_json, view=_shown)


@subscriptions.command("set", example="edgekit events subscriptions set partner --type policy.bound")
@click.argument("name")
@about_options
@click.option("--every-type", is_flag=True, help="Of every type from now on.")
@click.option("--every-source", is_flag=True, help="From every source from now on.")
@json_option
@opened
def set_subscription(
    name: str, event_type: str | None, source: str | None, webhook: str | None, run: str | None,
    about: str | None, max_attempts: int | None, title: str | None, every_type: bool, every_source: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Change what a subscription is about, or through which integration it works."""
    from edgekit import events

    if webhook is not None and run is not None:
        raise click.UsageError("Say --webhook or --run, as the subscription was added.")
    kind = "event.webhook" if webhook is not None else "event.run" if run is not None else None
    found = events.set_subscription(
        name, handler=kind, event_type=event_type, source=source, max_attempts=max_attempts, title=title,
        config=_config(webhook or run, about, None),
        clear=tuple(word for word, wanted in (("type", every_type), ("source", every_source)) if wanted),
    )  # fmt: skip
    show(found, as_json, view=_shown)


@subscriptions.command(example="edgekit events subscriptions pause partner")
@click.argument("name")
@json_option
@opened
def pause(name: str, as_json: bool) -> None:
    """Hand nothing on to a subscription until it is resumed; what happens meanwhile waits."""
    from edgekit import events

    show(events.pause_subscription(name), as_json, view=_shown)


@subscriptions.command(example="edgekit events subscriptions resume partner")
@click.argument("name")
@json_option
@opened
def resume(name: str, as_json: bool) -> None:
    """Let a paused subscription go on where it stood."""
    from edgekit import events

    show(events.resume_subscription(name), as_json, view=_shown)


@subscriptions.command(example="edgekit events subscriptions retire partner")
@click.argument("name")
@json_option
@opened
def retire(name: str, as_json: bool) -> None:
    """End a subscription: what it was not told by now it never is."""
    from edgekit import events

    events.retire_subscription(name)
    show({"retired": name} if as_json else f"{name} is retired.", as_json)
