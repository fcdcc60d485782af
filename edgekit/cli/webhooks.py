"""What other services tell us of their own accord: `webhooks serve`, `list` and `show`."""

from __future__ import annotations

import json
from urllib.parse import quote

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, reading
from edgekit.cli.show import show


@click.group(cls=Group)
def webhooks() -> None:
    """Take what other services tell us, and look at it."""


@webhooks.command("serve", example="edgekit webhooks serve --port 8750")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Listen on this address."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8750,
    show_default=True,
    help="And port; 0 takes a free one.",
)
@json_option
@opened
def serve_webhooks(host: str, port: int, as_json: bool) -> None:
    """Take webhooks at /webhooks/INTEGRATION until Ctrl-C: each is kept in the file before it is answered."""
    from edgekit.runner.webhook_server import PREFIX, WebhookServer
    from edgekit.runner.webhooks import list_hooks

    server = WebhookServer(host, port)
    hooks = [
        {"integration": name, "url": f"{server.url}{PREFIX}{quote(name)}", "verify": kind}
        for name, kind in list_hooks()
    ]
    if as_json:
        click.echo(json.dumps({"url": server.url, "webhooks": hooks}))
    else:
        click.echo(f"Listening on {server.url}. Ctrl-C ends it.")
        for hook in hooks:
            believed = " (not verified: whoever reaches it is believed)" if hook["verify"] == "none" else ""
            click.echo(f"  {hook['url']}{believed}")
    server.run()


@webhooks.command("list", example="edgekit webhooks list payments")
@click.argument("integration", required=False)
@limit_option(50)
@json_option
@reading
def list_receipts(integration: str | None, limit: int, as_json: bool) -> None:
    """List what was received, the newest first, and whether a run has read it."""
    from edgekit import runner

    found = runner.list_webhook_receipts(integration=integration, limit=limit)
    show(found, as_json, empty="Nothing was received yet. Listen: edgekit webhooks serve")


@webhooks.command("show", example="edgekit webhooks show 7")
@click.argument("receipt_id", metavar="ID", type=int)
@json_option
@reading
def show_receipt(receipt_id: int, as_json: bool) -> None:
    """Show one receipt with its headers and body."""
    from edgekit import runner

    show(runner.show_webhook_receipt(receipt_id), as_json)
