"""Where the SQL of the file is, and how to run it statement by statement."""

from __future__ import annotations

import re
import sqlite3
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from edgekit.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

APPLICATION_ID = 0x45444745
"""The number in the header of every file of ours: `EDGE` in ASCII."""

VERSION = 6
"""The schema this program writes and reads, in `PRAGMA user_version`."""


def _folder(packed: str, beside: str) -> Path:
    """Find a data folder: inside the installed package, else at the top of a checkout."""
    from pathlib import Path  # a short command opens a file without it

    package = Path(__file__).parent
    inside = package / packed
    return inside if inside.is_dir() else package.parent / beside


def schema_folder() -> Path:
    """Return the folder of the schema files."""
    return _folder("schema_files", "schema")


def seed_folder() -> Path:
    """Return the folder of the reference data."""
    return _folder("seed_files", "seeds")


def schema_scripts() -> list[tuple[str, str]]:
    """Return the schema files as (name, SQL), in the order they load."""
    return [
        (path.name, path.read_text(encoding="utf-8")) for path in sorted(schema_folder().glob("[0-9]*.sql"))
    ]


def split_statements(script: str) -> Iterator[str]:
    """Yield the complete statements of a script.

    `;` alone ends nothing: a trigger has many. `executescript` would commit the open transaction first.
    """
    pending: list[str] = []
    for line in script.splitlines(keepends=True):
        pending.append(line)
        if ";" in line and sqlite3.complete_statement("".join(pending)):
            yield "".join(pending).strip()
            pending.clear()
    rest = "".join(pending).strip()
    if rest and any(line.strip() and not line.lstrip().startswith("--") for line in rest.splitlines()):
        raise ValueError(f"the script ends inside a statement: {rest[:80]!r}")


def pristine() -> sqlite3.Connection:
    """Build the schema in memory, empty of data: what a sound file's catalogue is compared with."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    if hasattr(connection, "deserialize"):  # an SQLite may be built without it
        connection.deserialize(_image(tuple(schema_scripts())))
    else:
        _run_scripts(connection, schema_scripts())
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection


def _run_scripts(connection: sqlite3.Connection, scripts: Iterable[tuple[str, str]]) -> None:
    for _, script in scripts:
        connection.executescript(script)


@lru_cache(maxsize=1)
def _image(scripts: tuple[tuple[str, str], ...]) -> bytes:
    """Return the bytes of a file made of these scripts: copying them takes a hundredth of making them."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for name, script in scripts:
            if name.startswith("99"):
                _write_triggers(connection, script)
            else:
                connection.executescript(script)
        return connection.serialize()
    finally:
        connection.close()


def _write_triggers(connection: sqlite3.Connection, script: str) -> None:
    """Put the generated triggers into the catalogue by hand: for each that it makes SQLite reads all of it.

    The connection itself does not see them; whoever opens the file does.
    """
    made: dict[str, tuple[str, str, str]] = {}
    dropped = []
    for statement in split_statements(script):
        sql = _HEAD_COMMENT.sub("", statement).removesuffix(";")
        if match := _TRIGGER.match(sql):
            made[match[1]] = (match[1], match[2], sql)
        elif sql.startswith("DROP TRIGGER "):
            dropped.append((sql.split()[-1],))
        else:
            connection.execute(sql)
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany("DELETE FROM sqlite_schema WHERE type = 'trigger' AND name = ?", dropped)
    connection.executemany("INSERT INTO sqlite_schema VALUES ('trigger', ?, ?, 0, ?)", made.values())


_HEAD_COMMENT = re.compile(r"\A(?:\s*--[^\n]*\n)*\s*")
_TRIGGER = re.compile(r'CREATE TRIGGER "?(\w+)"?\s.*?\sON\s+"?(\w+)"?\s', re.DOTALL)


def require_sqlite() -> None:
    """Raise UnavailableError if the SQLite of this Python is too old for the schema."""
    if sqlite3.sqlite_version_info < (3, 38):
        raise UnavailableError(
            f"SQLite {sqlite3.sqlite_version} is too old: STRICT tables, JSON and RETURNING need 3.38.",
            hint="Use a Python with a newer SQLite.",
        )


@cache
def quote_name(name: str) -> str:
    """Quote a table or column name for SQL."""
    return '"' + name.replace('"', '""') + '"'
