"""The options and openings commands share."""

from __future__ import annotations

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


def place_options(body: Body) -> Body:
    """Give a command the options that say which place is meant: `--organization` … `--user`."""
    for level in ("user", "entity", "producer", "program", "organization"):
        named = "name" if level == "user" else "code"
        body = click.option(f"--{level}", metavar=named.upper(), help=f"For this {level}, by its {named}.")(
            body
        )
    return body


def opened(body: Body) -> Body:
    """Open the file of `--db`, as `--actor`, while the command runs."""

    @wraps(body)
    @click.pass_obj
    def run(settings: Settings, /, *args: Any, **kwargs: Any) -> Any:
        from edgekit.file.opening import open as open_file

        with open_file(settings.db, actor=settings.actor):
            return body(*args, **kwargs)

    return run


def connected(body: Body) -> Body:
    """Give the command a plain connection, for reading, to the file of `--db` as its first argument."""

    @wraps(body)
    @click.pass_obj
    def run(settings: Settings, /, *args: Any, **kwargs: Any) -> Any:
        from contextlib import closing
        from pathlib import Path

        from edgekit import sqlite

        with closing(sqlite.connect(settings.db, read_only=True)) as connection:
            sqlite.check_version(connection, Path(settings.db))
            return body(connection, *args, **kwargs)

    return run
