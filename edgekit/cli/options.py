"""The options and openings commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgekit.cli.group import Settings

Body = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

quick_option = click.option(
    "--quick", is_flag=True, help="Leave out the rows and the older part of the log where seals are checked."
)

anchor_option = click.option(
    "--anchor",
    metavar="BACKUP|HASH",
    multiple=True,
    help="A backup, its manifest, or a seal kept elsewhere: the file must still contain that seal.",
)


def limit_option(default: int) -> Callable[[Body], Body]:
    """Give a command `--limit`."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Show so many at most.",
    )


def split_pair(text: str, *, form: str, where: str) -> tuple[str, str]:
    """Take NAME=VALUE apart. Raise a usage error that says the `form`, such as KEY=VALUE, such as a=1."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise click.BadParameter(f"Write it as {form}.", param_hint=where)
    return name.strip(), value


def place_options(body: Body) -> Body:
    """Give a command the options that say which place is meant: `--organization` … `--user`."""
    for level in ("user", "entity", "producer", "program", "organization"):
        named = "name" if level == "user" else "code"
        body = click.option(f"--{level}", metavar=named.upper(), help=f"For this {level}, by its {named}.")(
            body
        )
    return body


def opened(body: Body) -> Body:
    """Open the file of `--db`, while the command runs: as `--actor`, who sees and changes what they may."""

    @wraps(body)
    @click.pass_obj
    def run(settings: Settings, /, *args: Any, **kwargs: Any) -> Any:
        from edgekit import tracing
        from edgekit.file.opening import open as open_file

        # Who calls us may say of which of its doings this is a part, as W3C has it.
        asked = tracing.read_parent(os.environ.get("TRACEPARENT"))
        with open_file(settings.db, actor=settings.actor), tracing.under(asked):
            return body(*args, **kwargs)

    return run


def reading(body: Body) -> Body:
    """Open the file of `--db` for reading, as `--actor`, while the command runs: quicker, without models."""

    @wraps(body)
    @click.pass_obj
    def run(settings: Settings, /, *args: Any, **kwargs: Any) -> Any:
        from edgekit import db

        with db.read(settings.db, actor=settings.actor):
            return body(*args, **kwargs)

    return run


def connected(body: Body) -> Body:
    """Give the command a plain connection, for reading as `--actor`, to the file of `--db`."""

    @wraps(body)
    @click.pass_obj
    def run(settings: Settings, /, *args: Any, **kwargs: Any) -> Any:
        from contextlib import closing

        from edgekit.isolation.opening import connect

        with closing(connect(settings.db, actor=settings.actor)) as connection:
            return body(connection, *args, **kwargs)

    return run


def whole_file(right: str, doing: str) -> Callable[[Body], Body]:
    """Run a command on the path of `--db` only for who may do what concerns the whole file.

    In a file of several organizations that is who sees all of them, else who has the right.
    """

    def decorate(body: Body) -> Body:
        @wraps(body)
        def run(*args: Any, **kwargs: Any) -> Any:
            from edgekit.isolation.opening import require_file

            settings: Settings = click.get_current_context().obj
            require_file(settings.db, right, doing, actor=settings.actor)
            return body(*args, **kwargs)

        return run

    return decorate


def read_secret(what: str, *, twice: bool = False) -> str:
    """Ask on a terminal without showing it; else take what comes, without the end of its line."""
    if sys.stdin.isatty():
        value: str = click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True)
        return value
    content: bytes = sys.stdin.buffer.read()
    # Bytes that are no text are kept apart: the vault refuses them without showing them.
    text = content.decode("utf-8-sig", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")


def read_object(text: str, what: str) -> dict[str, Any]:
    """Read a JSON object that was typed; - stands for what comes on stdin. Raise InvalidError."""
    from edgekit import codec
    from edgekit.errors import InvalidError

    found = codec.loads(sys.stdin.buffer.read() if text == "-" else text)
    if not isinstance(found, dict):
        raise InvalidError(f"{what} is not an object.", hint='Write it like {"policy": 7}')
    return found
