"""What an integration is told: `integrations set`, `history`, `diff`, `rollback`, `test` and `retire`."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.group import Command
from edgekit.cli.options import json_option, opened, reading, split_pair
from edgekit.cli.show import show, version_line
from edgekit.errors import InvalidError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECRET = re.compile(
    r"(?:.*[_-])?(?:(?:api|access|private)[_-]?key|passw(?:or)?d|passphrase|secret|token|authorization|bearer)",
    re.IGNORECASE,
)
_PAGING = re.compile(r"(?:next|page|cursor|continuation|sync)[_-]?token", re.IGNORECASE)
_REFERENCE = re.compile(
    r"(?:.*\.)?(?:auth|verify)\.(?:(?:username|password|client_id|client_secret|refresh_token)_)?secret="
    r"[a-z][a-z0-9_]*"
)
"""How a setting names a secret of the vault by its key."""

_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@", re.IGNORECASE)


@click.command(
    "set",
    cls=Command,
    example="edgekit integrations set vehicle-data page_size=50\n"
    "edgekit integrations set vehicle-data auth.kind=none --unset incremental",
)
@click.argument("name")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--unset", metavar="KEY", multiple=True, help="Take a setting out; may be repeated.")
@json_option
@opened
def set_settings(name: str, pairs: tuple[str, ...], unset: tuple[str, ...], as_json: bool) -> None:
    """Change settings of an integration, as its next version; a.b reaches into an object."""
    from edgekit import integrations as lib

    if not pairs and not unset:
        raise click.UsageError("Say what is to be other: KEY=VALUE, or --unset KEY.")
    found = lib.set_settings(name, read_settings(name, pairs), unset=unset)
    show(found, as_json, note=f"What it was before: edgekit integrations history {quoted(name)}")


@click.command("retire", cls=Command, example="edgekit integrations retire vehicle-data")
@click.argument("name")
@json_option
@opened
def retire(name: str, as_json: bool) -> None:
    """Switch an integration off for good; its rows and its history stay, its name is free again."""
    from edgekit import integrations as lib

    lib.retire(name)
    said = f"Retired {name}. What it did stays: edgekit executions list"
    show({"integration": name, "retired": True} if as_json else said, as_json)


@click.command("test", cls=Command, example="edgekit integrations test vehicle-data")
@click.argument("name")
@json_option
@opened
def test_integration(name: str, as_json: bool) -> None:
    """Try an integration: can it run, and do its mappings do what tests say? Exits with 4 if one fails."""
    from edgekit import runner

    found = runner.test_integration(name)
    show(found, as_json)
    failed = [one for one in found if one.status == "failed"]
    if failed:
        one = failed[0]
        raise InvalidError(
            f"{len(failed)} of {len(found)} tests failed; the first: {one.kind} {one.name}: {one.message}"
        )


@click.command(cls=Command, example="edgekit integrations history vehicle-data")
@click.argument("name")
@json_option
@reading
def history(name: str, as_json: bool) -> None:
    """List the versions of an integration's settings, the newest first: who, when, why, which keys."""
    from edgekit import integrations as lib

    show(lib.history(name), as_json, view=lambda found: version_line(found, "keys"))


@click.command(cls=Command, example="edgekit integrations diff vehicle-data 1 2")
@click.argument("name")
@click.argument("old", metavar="V1", type=int)
@click.argument("new", metavar="V2", type=int)
@json_option
@reading
def diff(name: str, old: int, new: int, as_json: bool) -> None:
    """Show the settings that two versions say differently."""
    from edgekit import integrations as lib

    show(lib.diff(name, old, new), as_json, empty="They say the same.")


@click.command(cls=Command, example="edgekit integrations rollback vehicle-data 1")
@click.argument("name")
@click.argument("version", type=int)
@json_option
@opened
def rollback(name: str, version: int, as_json: bool) -> None:
    """Give an integration the settings of an earlier version, as a new version."""
    from edgekit import integrations as lib

    show(lib.rollback(name, version), as_json)


def read_settings(name: str, pairs: tuple[str, ...]) -> dict[str, str]:
    """Take KEY=VALUE apart. Raise InvalidError for what looks like a secret; a value is never shown."""
    settings = {}
    for pair in pairs:
        key, value = split_pair(pair, form="KEY=VALUE, such as table=customer", where="--set")
        if named := next(_secrets_in(key, value), None):
            inside = named.startswith(("config.", "to.config."))  # of a program that takes it from us
            secret = quoted(named.split(".")[-1])
            raise InvalidError(
                f"{named} looks like a secret, and a setting is readable by everyone who has the file.",
                hint=f"Leave it out, and store it apart: edgekit vault set {quoted(name)} {secret}"
                + (f" ; then say where it is: --set {named}.vault={secret}" if inside else ""),
            )
        settings[key] = value
    return settings


def _secrets_in(key: str, value: Any) -> Iterator[str]:
    """Name the secrets in a setting: by its name, inside an object, or as the password of a URL."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _secrets_in(f"{key}.{inner}", item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets_in(key, item)
    elif isinstance(value, str) and _is_secret(key, value):
        yield key


def _is_secret(key: str, value: str) -> bool:
    if not value or _REFERENCE.fullmatch(f"{key}={value}"):
        return False
    name = key.split(".")[-1]
    return bool((_SECRET.fullmatch(name) and not _PAGING.fullmatch(name)) or _PASSWORD_IN_URL.match(value))


COMMANDS = (set_settings, test_integration, history, diff, rollback, retire)
"""They stand under `integrations`."""
