"""The open file, and the change: every write happens inside one.

    with edgekit.open("agency.db", actor="maria") as db:
        with db.change(reason="new producer"):
            ...

A file is opened once per process; the Peewee models and the functions of every word serve that file, with one
connection per thread. Whatever works on a file that is not the opened one (verify, backup, migrate) uses
`sqlite.connect()`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from edgekit import rules, sqlite, tracing
from edgekit.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    NotFoundError,
    UnavailableError,
)
from edgekit.isolation.session import read_session, resolve_actor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edgekit.binding import File
    from edgekit.isolation.session import Session
    from edgekit.sqlite import Change

_KEEP_SECONDS = 60.0
"""How often a change is followed by a look at the log."""

moment: object = object()
"""Another object whenever a file is opened or closed, and whenever a change begins or ends, in any thread."""


class _Reading:
    """A plain connection in the place of Peewee's database, for who only reads: one thread, no change."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self.session: Session | None = None

    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise NotFoundError("No file is open.", hint="Open one first: edgekit.open(PATH)")
        return self._connection

    def is_closed(self) -> bool:
        return self._connection is None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def free_models(self) -> None:
        """They were never bound."""


class Database:
    """One opened file. Use it as a context manager."""

    def __init__(self, path: Path, database: File | _Reading, actor: str, login: str | None) -> None:
        self.path = path
        self.actor = actor
        self._login = login
        self._database = database
        self._local = threading.local()
        row = self.connection().execute("SELECT uuid FROM system WHERE id = 1").fetchone()
        if row is None:
            raise CorruptError(f"{path} has no row in `system`.", hint="Run: edgekit doctor")
        self.site: str = row[0]
        self.session: Session = read_session(self.connection(), actor)
        """Who works, and what they may do."""
        self.actor_id: int = self.session.user_id
        if not self.session.sees_all:
            from edgekit.isolation.confined import confine  # most sessions see everything and never need it

            confine(self.connection(), self.session)
            database.session = self.session
        self.keeper: Callable[[sqlite3.Connection, Path], None] | None = None
        self._kept_at = time.monotonic()

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        found: sqlite3.Connection = self._database.connection()
        return found

    def release(self) -> None:
        """Close the connection of this thread, which is about to end; each thread closes its own."""
        if self.open_change is None and not self._database.is_closed():
            self._database.close()

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Run a SELECT and return its rows as dicts."""
        cursor = self.connection().execute(sql, params)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    @property
    def open_change(self) -> Change | None:
        """The change this thread is in, if it is in one."""
        return getattr(self._local, "change", None)

    @contextmanager
    def change(self, *, reason: str | None = None, correlation_id: str | None = None) -> Iterator[Change]:
        """Open a change: one IMMEDIATE transaction with one actor, its audit rows committed with it or not.

        Inside another change of this thread it is a savepoint of that one, which keeps its reason and
        correlation id; without one given it has that of `tracing.under`, or a new one. Raise RuleError where
        the file refuses a row, BusyError after ten seconds behind another writer. Never make a network call
        inside.
        """
        from edgekit.binding import PeeweeException

        global moment
        if isinstance(self._database, _Reading):
            raise DeniedError(f"{self.path} was opened for reading: nothing can be changed.")
        outer = self.open_change
        try:
            with self._database.atomic():
                if outer is not None:
                    yield outer
                else:
                    yield from self._outermost(reason, correlation_id)
        except (PeeweeException, sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            ours = rules.translate(error, self.connection())
            if ours is None:
                raise
            raise ours from error
        finally:
            if outer is None:
                self._settle()
                moment = object()
        if outer is None and time.monotonic() - self._kept_at > _KEEP_SECONDS:
            self.keep()

    def keep(self) -> None:
        """Let the keeper of the log look at it, which seals where much waits; do nothing inside a change."""
        if self.keeper is not None and self.open_change is None and not self._database.is_closed():
            self.keeper(self.connection(), self.path)
            self._kept_at = time.monotonic()

    def _settle(self) -> None:
        """Leave no half-open transaction behind a Ctrl-C between a statement and Peewee's note of it."""
        self._local.change = None
        while not isinstance(self._database, _Reading) and self._database.transaction_depth():
            self._database.pop_transaction()
        if not self._database.is_closed() and self.connection().in_transaction:
            self.connection().execute("ROLLBACK")

    def undo_left(self) -> bool:
        """Undo what this thread has begun and not ended, and return whether there was something."""
        if self._database.is_closed() or isinstance(self._database, _Reading):
            return False
        is_left = self.open_change is not None or self.connection().in_transaction
        if is_left:
            self._settle()
        return is_left

    def _outermost(self, reason: str | None, correlation_id: str | None) -> Iterator[Change]:
        global moment
        noted = reason
        if self._login is not None:
            noted = f"{reason or 'change'} [login {self._login}]"
        connection = self.connection()
        correlation_id = correlation_id or tracing.current()
        change = sqlite.open_gate(connection, self.actor, reason=noted, correlation_id=correlation_id)
        self._local.change = change
        moment = object()
        yield change
        if not connection.in_transaction:
            raise UnavailableError(
                "The file undid the whole change: the disk is full, or could not be written.",
                hint="Free some space and run the same command again.",
            )
        sqlite.close_gate(connection, change)

    def leave(self) -> None:
        """Close this thread's connection: for a thread that ends before the file is closed."""
        if not self._database.is_closed():
            self._database.close()

    def close(self) -> None:
        """Close this thread's connection and free the models."""
        global _current, moment
        self.keep()
        if not self._database.is_closed():
            self._database.close()
        if _current is self:
            _current, moment = None, object()
            self._database.free_models()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is not None:
            self.keeper = None  # whatever went wrong, or Ctrl-C: leave at once
        self.close()


_current: Database | None = None


def open(path: str | Path, *, actor: str | None = None) -> Database:  # noqa: A001 - the word every user expects
    """Open a file for this process, binding the models to it.

    `actor` is a `user.username`; without it the login of the operating system is used if such a user exists,
    else the system user, with the login noted in each change. Raise NotFoundError (no such file or user),
    CorruptError (not one of ours), MigrationNeededError (another schema), ConflictError (another is open).
    """
    from edgekit import lean  # noqa: F401 - before Peewee
    from edgekit.binding import File

    global _current, moment
    _require_closed()
    path = sqlite.real_path(path)
    sqlite.probe(path)  # says clearly what is wrong with the file before Peewee meets it
    database = File(str(path.absolute()))  # a thread that opens it later may be in another folder
    try:
        database.connect()
        connection = database.connection()
        if connection.execute("SELECT durability FROM system").fetchone() == ("full",):
            database.pragma("synchronous", "full", permanent=True)
        known, login = resolve_actor(connection, actor)
        sqlite.clear_gate(connection)
        opened = Database(path, database, known, login)
    except BaseException as error:
        database.close()
        ours = rules.translate(error)
        if ours is None:
            raise
        raise type(ours)(f"{path}: {ours.message}", hint=ours.hint) from error
    database.bind_models()
    _current, moment = opened, object()
    return opened


def read(path: str | Path, *, actor: str | None = None) -> Database:
    """Open a file for reading only: without Peewee and the models, in this thread, without a change.

    What it costs is little more than what SQLite takes to read the schema. Raise as `open` does.
    """
    global _current, moment
    _require_closed()
    path = sqlite.real_path(path)
    connection = sqlite.connect(path, read_only=True)
    try:
        sqlite.check_version(connection, path)
        known, login = resolve_actor(connection, actor)
        opened = Database(path, _Reading(connection), known, login)
    except BaseException as error:
        connection.close()
        ours = rules.translate(error)
        if ours is None:
            raise
        raise type(ours)(f"{path}: {ours.message}", hint=ours.hint) from error
    _current, moment = opened, object()
    return opened


def _require_closed() -> None:
    if _current is not None:
        raise ConflictError(
            f"{_current.path} is already open in this process.", hint="Close it first: one file at a time."
        )


def is_open() -> bool:
    """Tell whether a file is open."""
    return _current is not None


def current() -> Database:
    """Return the opened file. Raise NotFoundError if none is."""
    if _current is None:
        raise NotFoundError("No file is open.", hint="Open one first: edgekit.open(PATH)")
    return _current


def connection() -> sqlite3.Connection:
    """Return this thread's connection to the opened file."""
    return current().connection()


def query(sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
    """Run a SELECT on the opened file and return its rows as dicts."""
    return current().query(sql, params)


@contextmanager
def change(*, reason: str | None = None, correlation_id: str | None = None) -> Iterator[Change]:
    """Open a change of the opened file; see `Database.change`."""
    with current().change(reason=reason, correlation_id=correlation_id) as opened:
        yield opened
