"""The databases SQL is spoken with: how each is reached, read as a stream, and told of its errors.

What they have in common is here; `sql_sqlite`, `sql_postgres` and `sql_mysql` are one module each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from edgekit import masking
from edgekit.errors import DeniedError, EdgekitError, InvalidError, NotFoundError, UnavailableError

KINDS = {
    "sqlite": ("edgekit.connectors.sql_sqlite", "SqliteSide"),
    "postgresql": ("edgekit.connectors.sql_postgres", "PostgresSide"),
    "postgres": ("edgekit.connectors.sql_postgres", "PostgresSide"),
    "mysql": ("edgekit.connectors.sql_mysql", "MysqlSide"),
    "mariadb": ("edgekit.connectors.sql_mysql", "MysqlSide"),
}

_OPTIONS = {
    "postgresql": {"sslmode", "sslrootcert", "sslcert", "sslkey", "application_name"},
    "mysql": {"ssl", "ssl_ca", "charset"},
    "sqlite": set[str](),
}

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database is and who asks. `shown` says it without a secret."""

    kind: str
    host: str
    port: int | None
    database: str
    user: str
    password: str = field(repr=False, default="")
    options: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 30.0

    @property
    def shown(self) -> str:
        """The address, without the user and the password."""
        if self.kind == "sqlite":
            return self.database
        port = f":{self.port}" if self.port else ""
        return f"{self.kind}://{self.host}{port}/{self.database}"


class Side(Protocol):
    """One open connection. Statements have `?` for their values; each side writes its own mark for it."""

    place: Place
    errors: tuple[type[Exception], ...]
    """What its driver raises."""

    def stream(self, sql: str, values: Row, size: int) -> tuple[list[str], Iterator[list[Row]]]:
        """Run a query in a read-only transaction; return its columns and its rows in lists of `size`.

        Values are what JSON can say: see `docs/connectors.md`.
        """
        ...

    def execute(self, sql: str, values: Row = ()) -> None:
        """Run a statement."""
        ...

    def execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement for each of the rows."""
        ...

    def begin(self) -> None:
        """Begin a transaction that writes."""
        ...

    def commit(self) -> None:
        """Make it last."""
        ...

    def rollback(self) -> None:
        """Undo it."""
        ...

    def columns(self, table: str) -> dict[str, str]:
        """Return the columns of a table with their types; nothing where there is none."""
        ...

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        """Return the column lists that identify a row, the primary key first."""
        ...

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], *, alone: bool) -> str:
        """Write the statement that inserts a row or updates the one with its key.

        `alone`: the table has no other unique key than this one.
        """
        ...

    def types(self) -> Mapping[str, str]:
        """Return the type a new table has for integer, float, boolean, text, json and a text in the key."""
        ...

    def quote(self, name: str) -> str:
        """Write a name of a table or column; `a.b` is b in the schema a."""
        ...

    def is_of_a_record(self, error: Exception) -> bool:
        """Tell an error of a record's values from one that stops everything."""
        ...

    def close(self) -> None:
        """Close the connection, whatever it is doing."""
        ...


def read_place(config: Mapping[str, Any], secrets: Mapping[str, str]) -> Place:
    """Read where a database is from the settings. Raise InvalidError naming what is wrong with it."""
    url = str(config["url"])
    scheme, _, rest = url.partition("://")
    if scheme not in KINDS or not rest:
        raise InvalidError(
            f"{masking.secrets(url)} is no address of a database.",
            hint="Such as sqlite:///file.db, postgresql://host/database or mysql://host/database",
        )
    timeout = float(config.get("timeout_seconds", 30))
    if scheme == "sqlite":
        return Place("sqlite", "", None, _sqlite_path(rest), "", timeout_seconds=timeout)
    kind = "postgresql" if scheme.startswith("postgres") else "mysql"
    parts = urlsplit(url)
    if parts.password is not None:
        raise InvalidError(
            "The url holds a password.", hint="Leave it out, and store it: edgekit vault set NAME password"
        )
    try:
        port = parts.port
    except ValueError:
        raise InvalidError(f"{masking.secrets(url)} has no usable port.") from None
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    for name in options:
        if name not in _OPTIONS[kind]:
            known = ", ".join(sorted(_OPTIONS[kind]))
            raise InvalidError(
                f"The url has an option {name}, which is not known.", hint=f"There are: {known}."
            )
    user = str(config.get("user") or unquote(parts.username or ""))
    password = secrets.get(_password_key(config)) or ""
    database = unquote(parts.path.removeprefix("/"))
    if not database:
        raise InvalidError(
            f"{masking.secrets(url)} names no database.", hint="Such as postgresql://host/sales"
        )
    return Place(kind, parts.hostname or "localhost", port, database, user, password, options, timeout)


def _password_key(config: Mapping[str, Any]) -> str:
    wanted = config.get("password", {"vault": "password"})
    return str(wanted["vault"])


def _sqlite_path(rest: str) -> str:
    """Read `/file.db`, `//folder/file.db` or `/C:/file.db`: the first slash belongs to the address."""
    path = unquote(rest.removeprefix("/"))
    if not path or path == ":memory:":
        raise InvalidError(
            "The url names no file.", hint="Such as sqlite:///file.db or sqlite:////data/file.db"
        )
    return path


def connect(place: Place, *, writes: bool) -> Side:
    """Open a connection. Raise UnavailableError, DeniedError, NotFoundError or InvalidError in one line."""
    module, kind = KINDS[place.kind]
    side: Side = getattr(import_module(module), kind)(place, writes=writes)
    return side


def need(module: str, *, extra: str) -> Any:
    """Import a driver. Raise InvalidError saying how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise InvalidError(
            f"Speaking with this database needs the package {module}.",
            hint=f"Install it: pip install 'edgekit[{extra}]'",
        ) from error


_SORTS: dict[str, type[EdgekitError]] = {
    "denied": DeniedError,
    "missing": NotFoundError,
    "unavailable": UnavailableError,
}


def translate(place: Place, said: str, sort: str) -> EdgekitError:
    """Make an error of what a database said: one line, without the password.

    `sort` is `denied`, `missing`, `unavailable` or `invalid`.
    """
    text = " ".join(said.split())
    if place.password:
        text = masking.hide(text, masking.variants(place.password))
    text = masking.secrets(text)
    hints = {
        "denied": "Look at the user; store what it is let in by with: edgekit vault set NAME password",
        "unavailable": "Try again later, and look at the address.",
    }
    found = _SORTS.get(sort, InvalidError)
    return found(f"{place.shown}: {text}", hint=hints.get(sort))


def quoted(name: str, mark: str) -> str:
    """Quote a name, each part of one with a schema by itself."""
    parts = name.split(".")
    if not all(parts) or any("\0" in part for part in parts):
        raise InvalidError(f"{name!r} is no name of a table or column.")
    return ".".join(mark + part.replace(mark, mark * 2) + mark for part in parts)


_MARK = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|%|\?")


def with_marks(sql: str, mark: str, count: int) -> str:
    """Write another mark for the last `count` `?` outside of quotes, and double every `%`.

    What stands before them is a query of the user's own, in which `?` may be an operator.
    """
    not_ours = sum(found[0] == "?" for found in _MARK.finditer(sql)) - count

    def one(found: re.Match[str]) -> str:
        nonlocal not_ours
        text = found[0]
        if text != "?":
            return text.replace("%", "%%")
        not_ours -= 1
        return text if not_ours >= 0 else mark

    return _MARK.sub(one, sql)


def in_lists(fetch: Callable[[int], Sequence[Row]], size: int) -> Iterator[list[Row]]:
    """Yield rows in lists of `size`, until there are none."""
    while rows := list(fetch(size)):
        yield rows
