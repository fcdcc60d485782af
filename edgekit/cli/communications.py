"""What is told to others, and what became of it: `communications send`, `list`, `thread` and the like."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Group
from edgekit.cli.options import json_option, limit_option, opened, reading, split_pair
from edgekit.cli.show import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ID = click.argument("communication_id", metavar="ID", type=int)
_NONE = "There is none yet. Send one: edgekit communications send --help"


@click.group(cls=Group)
def communications() -> None:
    """Send mails, calls and messages, and see what became of them."""


@communications.command("list", example="edgekit communications list --status FAILED")
@click.option("--status", metavar="CODE", help="Only those in this state, such as RETRYING.")
@click.option("--channel", metavar="CODE", help="Only those that travel by this channel, such as EMAIL.")
@click.option("--type", "kind", metavar="CODE", help="Only those of this type.")
@click.option("--tasks", is_flag=True, help="Only those that wait for a person.")
@limit_option(50)
@json_option
@reading
def list_communications(
    status: str | None, channel: str | None, kind: str | None, tasks: bool, limit: int, as_json: bool
) -> None:
    """List what was told and is to be told, the newest first, and what it waits for."""
    from edgekit import communications as word

    found = word.list_communications(status=status, channel=channel, type=kind, tasks=tasks, limit=limit)
    show(found, as_json, view=_line, empty=_NONE)


@communications.command("inbox", example="edgekit communications inbox --user maria")
@click.option("--user", metavar="NAME", help="Of this user; without it, of you.")
@limit_option(50)
@json_option
@reading
def list_inbox(user: str | None, limit: int, as_json: bool) -> None:
    """List the messages in your inbox, the newest first."""
    from edgekit import communications as word

    show(word.list_inbox(user, limit=limit), as_json, view=_message, empty="The inbox is empty.")


@communications.command("show", example="edgekit communications show 7")
@_ID
@json_option
@reading
def show_communication(communication_id: int, as_json: bool) -> None:
    """Show one: from whom to whom, about what, what it says, what was answered."""
    from edgekit import communications as word

    show(word.show(communication_id), as_json)


@communications.command("thread", example="edgekit communications thread 7")
@_ID
@json_option
@reading
def show_thread(communication_id: int, as_json: bool) -> None:
    """Show the tree one belongs to, with the jobs, runs, tries and events of the same correlation id."""
    from edgekit import runner

    show(runner.show_thread(communication_id), as_json, view=_thread)


@communications.command(
    "history",
    example="edgekit communications history policy P-1001\nedgekit communications history driver 12 --json",
)
@click.argument("context")
@click.argument("which")
@limit_option(1000)
@json_option
@reading
def show_history(context: str, which: str, limit: int, as_json: bool) -> None:
    """Show all that was exchanged about a policy, quote, driver, vehicle or claim: each message, each try.

    It is named by its number or its id.
    """
    from edgekit import runner

    found = runner.show_history((context, which), limit=limit)
    show(found, as_json, view=_past, empty="Nothing was ever exchanged about it.")


@communications.command(
    "send",
    example="edgekit communications send QUOTE_APPROVAL_NOTIFICATION --to ann@example.org --about quote:Q-7"
    ' --subject Approved --text "Your quote is approved."'
    "\nedgekit communications send ALERT_NOTIFICATION --channel INTERNAL --to user:maria --set subject=Look"
    "\nedgekit communications send DRIVER_VERIFICATION_REQUEST --to entity:DCS --data request.json",
)
@click.argument("type", metavar="TYPE")
@click.option(
    "--to", "target", metavar="WHOM",
    help="Whom it is for: an address, or KIND:KEY, such as user:maria, insured:C-7, entity:DCS.",
)  # fmt: skip
@click.option("--channel", metavar="CODE", help="How it travels; the default of its type if absent.")
@click.option(
    "--about", metavar="KIND:KEY", multiple=True,
    help="What it is about, such as policy:P-7; what it is mainly about first. May be repeated.",
)  # fmt: skip
@click.option("--subject", metavar="TEXT", help="Of a mail.")
@click.option("--text", metavar="TEXT", help="What it says; - reads standard input.")
@click.option("--html", metavar="FILE", help="The same as a page.")
@click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="More of what is sent.")
@click.option("--data", metavar="FILE", help="All of what is sent, a JSON object; - reads standard input.")
@click.option("--at", metavar="TIME", help="Not before, such as 2030-01-31T09:00:00Z.")
@click.option("--answers", "parent", metavar="ID", type=int, help="It belongs to this one.")
@click.option("--key", metavar="TEXT", help="Sent once, however often it is asked for with this key.")
@click.option("--later", is_flag=True, help="Leave it to the runner.")
@json_option
@opened
def send_communication(
    type: str,  # noqa: A002 - as users call it
    target: str | None, channel: str | None, about: tuple[str, ...], subject: str | None, text: str | None,
    html: str | None, pairs: tuple[str, ...], data: str | None, at: str | None, parent: int | None,
    key: str | None, later: bool, as_json: bool,
) -> None:  # fmt: skip
    """Send a mail, make a call, leave a message; say what became of it."""
    from edgekit import clock, runner
    from edgekit import communications as word
    from edgekit.audit.log import utc_text

    said = _data(data, pairs, subject=subject, text=text, html=html)
    if target is not None and "@" in target and ":" not in target:
        said, target = {**said, "to": target}, None
    made = word.create(
        type, target=target or "system", channel=channel, request_data=said or None,
        context=about[0] if about else None, related=about[1:], parent=parent, idempotency_key=key,
        scheduled_at=clock.from_text(utc_text(at)) if at else None,
    )  # fmt: skip
    _tell(word.show(made.id) if later else runner.send_communication(made.id), as_json)


@communications.command("retry", example="edgekit communications retry 7")
@_ID
@click.option("--later", is_flag=True, help="Leave it to the runner.")
@json_option
@opened
def retry(communication_id: int, later: bool, as_json: bool) -> None:
    """Send one again that failed or was cancelled, as a new one of its thread; say what became of it."""
    from edgekit import communications as word
    from edgekit import runner

    number = word.retry(communication_id)
    _tell(word.show(number) if later else runner.send_communication(number), as_json)


@communications.command("cancel", example='edgekit communications cancel 7 --reason "no longer needed"')
@_ID
@click.option("--reason", metavar="TEXT", help="Why.")
@json_option
@opened
def cancel(communication_id: int, reason: str | None, as_json: bool) -> None:
    """Withdraw one that was not sent yet."""
    from edgekit import communications as word

    word.cancel(communication_id, reason=reason)
    show(word.show(communication_id), as_json, view=_line)


@communications.command("complete", example='edgekit communications complete 7 --set note="called back"')
@_ID
@click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="What came of it.")
@json_option
@opened
def complete(communication_id: int, pairs: tuple[str, ...], as_json: bool) -> None:
    """Say that you have done what waits for a person, such as a call."""
    from edgekit import communications as word

    word.complete(communication_id, response_data=_data(None, pairs) or None)
    show(word.show(communication_id), as_json, view=_line)


@communications.command("fail", example='edgekit communications fail 7 --reason "no such number"')
@_ID
@click.option("--reason", metavar="TEXT", required=True, help="Why it could not be done.")
@json_option
@opened
def fail(communication_id: int, reason: str, as_json: bool) -> None:
    """Say that what waits for a person could not be done."""
    from edgekit import communications as word

    word.fail(communication_id, reason=reason)
    show(word.show(communication_id), as_json, view=_line)


@communications.command("relate", example="edgekit communications relate 7 driver:12")
@_ID
@click.argument("context", metavar="KIND:KEY")
@click.option(
    "--as", "relationship", type=click.Choice(["primary", "related", "referenced"]), default="related",
    show_default=True, help="How it has to do with it.",
)  # fmt: skip
@json_option
@opened
def relate(communication_id: int, context: str, relationship: str, as_json: bool) -> None:
    """Say that one has to do with one more policy, quote, driver, vehicle or claim."""
    from edgekit import communications as word

    word.add_context(communication_id, context, relationship=relationship)
    show(word.show(communication_id), as_json)


def _data(given: str | None, pairs: tuple[str, ...], **named: str | None) -> dict[str, Any]:
    """Read what is sent: a document, and what is named beside it over that."""
    said: dict[str, Any] = {}
    if given is not None:
        said = _document(given)
    for pair in pairs:
        name, value = split_pair(pair, form="NAME=VALUE, such as amount=5", where="--set")
        said[name] = value
    for name, told in named.items():
        if told is not None:
            said[name] = _text(told) if name == "html" or told == "-" else told
    return said


def _text(place: str) -> str:
    if place == "-":
        content: bytes = sys.stdin.buffer.read()
        return content.decode("utf-8-sig", "replace")
    path = Path(place)
    if not path.is_file():
        raise click.BadParameter(f"There is no file {place}.")
    return path.read_bytes().decode("utf-8-sig", "replace")


def _document(place: str) -> dict[str, Any]:
    from edgekit import codec
    from edgekit.errors import InvalidError

    found = codec.loads(_text(place))
    if not isinstance(found, dict):
        raise InvalidError("--data: what is sent is a JSON object.")
    return found


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "type", "channel", "source", "target", "about", "subject", "status", "waits_for")
    at = row["completed_at"] or row["started_at"] or row["created_at"]
    told = {**{name: row[name] for name in names}, "at": at, "note": row["error_message"]}
    return {**told, "target": row["recipient"] or row["target"]}


def _message(row: Mapping[str, Any]) -> dict[str, Any]:
    said = row["message"] or {}
    text = said.get("text") or json.dumps(
        {k: v for k, v in said.items() if k != "subject"}, ensure_ascii=False
    )
    return {"id": row["id"], "at": row["completed_at"], "from": row["source"], "about": row["about"],
            "subject": said.get("subject"), "text": text}  # fmt: skip


def _past(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["what"] == "attempt":
        told = f"{row['request_type']} {row['request_url'] or ''} {row['response_code'] or ''}".rstrip()
        told += f" {row['response_time_ms']} ms" if row["response_time_ms"] is not None else ""
        status = "ok" if row["is_success"] else "failed"
    else:
        told = f"{row['type']} by {row['channel']} to {row['target']}"
        status = row["status"]
    return {"at": row["at"], "id": row["communication_id"], "what": row["what"], "told": told,
            "status": status, "note": row["error_message"]}  # fmt: skip


def _thread(found: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a thread out: the tree as indented rows, the rest as it is."""
    rest = {name: value for name, value in found.items() if name != "communications"}
    return {
        "correlation_id": rest.pop("correlation_id"),
        "communications": [row for one in found["communications"] for row in _branch(one, 0)],
        "attempts of runs": rest.pop("attempts"),
        **{name.replace("_", " "): value for name, value in rest.items()},
    }


def _branch(one: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    margin = "  " * (depth - 1) + "└ " if depth else ""
    at = one["completed_at"] or one["started_at"] or one["created_at"]
    yield {
        "what": f"{margin}{one['id']}", "told": f"{one['type']} by {one['channel']} to {one['target']}",
        "status": one["status"], "at": at, "note": one["error_message"],
    }  # fmt: skip
    for made in one["attempts"]:
        row = _past({**made, "what": "attempt", "communication_id": one["id"]})
        yield {"what": "  " * depth + "  try", **{k: row[k] for k in ("told", "status", "at", "note")}}
    for child in one["children"]:
        yield from _branch(child, depth + 1)


def _tell(found: Mapping[str, Any], as_json: bool) -> None:
    """Show what became of one, and end the command with 4 or 7 where it failed."""
    show(found, as_json, view=_line, note=_fate(found))
    if code := {"FAILED": 4, "TIMEOUT": 7}.get(found["status"]):
        click.get_current_context().exit(code)


def _fate(found: Mapping[str, Any]) -> str | None:
    """Say what to do about one that has not arrived."""
    if found["waits_for"] == "a person":
        return (
            "Nothing serves this channel: somebody has to do it. Then say so:"
            f" edgekit communications complete {found['id']}"
        )
    if found["status"] in {"FAILED", "TIMEOUT"}:
        return f"It failed. When that is mended: edgekit communications retry {found['id']}"
    if found["waits_for"] and found["error_message"]:
        return "It is not sent yet, see the note; a runner sees to it: edgekit runner start"
    if found["waits_for"]:
        return "It waits for its time, and for a runner: edgekit runner start"
    return None
