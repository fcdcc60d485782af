"""`edgekit integrations limits | breakers | reset-breaker`: what holds requests back, and letting them go."""

from __future__ import annotations

from typing import Any

import click

from edgekit.cli.group import Command
from edgekit.cli.options import json_option, opened, reading
from edgekit.cli.show import show
from edgekit.errors import quoted

_SPANS = {1: "a second", 60: "a minute", 3600: "an hour", 86400: "a day", None: "at any time"}


@click.command(cls=Command, example="edgekit integrations limits vehicle-data")
@click.argument("name")
@json_option
@reading
def limits(name: str, as_json: bool) -> None:
    """Show what holds an integration's requests back: each limit, what is used up of it, and who says it."""
    from edgekit import runner

    show(runner.show_limits(name), as_json, view=_limits_view)


def _limits_view(found: Any) -> dict[str, Any]:
    limits = [
        {
            "allowed": f"{one.allowed:,} {_SPANS.get(one.seconds, f'in {one.seconds} s')}",
            "used": one.used, "free at": one.free_at, "limit": one.limit,
            "above it": "refused" if one.blocks else "a warning",
        }
        for one in found.limits
    ]  # fmt: skip
    figures = [{"figure": one.figure, "value": one.value, "from": one.source} for one in found.figures]
    hours = f"{found.cache_ttl_hours:g}" if found.cache_ttl_hours is not None else None
    return {
        "integration": found.integration, "answers are used again for hours": hours,
        "limits": limits, "figures": figures, "breakers": list(found.breakers),
    }  # fmt: skip


@click.command(
    cls=Command, example="edgekit integrations breakers\nedgekit integrations breakers vehicle-data --json"
)
@click.argument("name", required=False)
@json_option
@reading
def breakers(name: str | None, as_json: bool) -> None:
    """List the places that failed, of one integration or all, and which of them are left alone until when."""
    from edgekit import runner

    empty = "No breaker is open: nothing that was called has failed since it last answered."
    show(runner.list_breakers(name), as_json, empty=empty)


@click.command("reset-breaker", cls=Command, example="edgekit integrations reset-breaker vehicle-data")
@click.argument("name")
@click.option("--target", metavar="URL", help="Only the breaker of this place, as scheme://host:port.")
@json_option
@opened
def reset_breaker(name: str, target: str | None, as_json: bool) -> None:
    """Close the breakers of an integration, so that its next call passes at once."""
    from edgekit import runner

    closed = runner.reset_breakers(name, target=target)
    said: Any = f"Closed {', '.join(closed)}." if closed else f"No breaker of {name} is open."
    again = f"\nAsk whether it answers: edgekit integrations health {quoted(name)}" if closed else ""
    show({"integration": name, "closed": closed} if as_json else said + again, as_json)


COMMANDS = (limits, breakers, reset_breaker)
