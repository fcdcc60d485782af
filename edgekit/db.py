"""The open file, and the change: every write happens inside one.

    with edgekit.open("agency.db", actor="maria") as db:
        with db.change(reason="new producer"):
            ...

A file is opened once per process; the Peewee models and the functions of every word serve that file, with one
connection per thread. Whatever works on a file that is not the opened one (verify, backup, migrate) uses
`connect()`.
"""

from __future__ import annotations

import getpass
import sqlite3
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import peewee

from edgekit import clock, rules, schema
from edgekit.errors import (
    ConflictError,
    CorruptError,
    MigrationNeededError,
    NotFoundError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BUSY_SECONDS = 10
"""How long a statement waits for another writer before it gives up."""

SYSTEM_USER = "system"

proxy: peewee.DatabaseProxy = peewee.DatabaseProxy()
"""What the models are bound to: the opened file."""

_PRAGMAS: dict[str, object] = {
    "journal_mode": "wal",
    "synchronous": "normal",
    "foreign_keys": 1,
    "recursive_triggers": 1,  # so that REPLACE fires the delete triggers
    "secure_delete": 1,  # replaced secrets do not linger in free pages
    "journal_size_limit": 64 * 1024 * 1024,
    "temp_store": "memory",
    # trusted_schema stays on: off would refuse the JSON functions inside our triggers
}


@dataclass(frozen=True, slots=True)
class Change:
    """An open change: who writes, under which correlation id, since when (UTC text)."""

    id: int
    actor: str
    correlation_id: str
    at: str


class _File(peewee.SqliteDatabase):
    """Peewee's database, naming the reference that is missing where SQLite does not."""

    def rollback(self) -> Any:
        # A full disk makes SQLite undo everything at once: a second ROLLBACK would hide why.
        return super().rollback() if self.connection().in_transaction else None

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        if sql.startswith("ROLLBACK TO SAVEPOINT") and not self.connection().in_transaction:
            return None
        try:
            return super().execute_sql(sql, params)
        except peewee.IntegrityError as error:
            if "FOREIGN KEY" not in str(error):
                raise
            named = rules.explain_statement(self.connection(), sql, params or ())
            if named is None:
                raise
            raise named from error


class Database:
    """One opened file. Use it as a context manager."""

    def __init__(self, path: Path, database: _File, actor: str, login: str | None) -> None:
        self.path = path
        self.actor = actor
        self._login = login
        self._database = database
        self._local = threading.local()
        row = self.connection().execute("SELECT uuid FROM system WHERE id = 1").fetchone()
        if row is None:
            raise CorruptError(f"{path} has no row in `system`.", hint="Run: edgekit doctor")
        self.site: str = row[0]
        self.actor_id: int = self._user_id(actor)

    def _user_id(self, username: str) -> int:
        row = self.connection().execute("SELECT id FROM user WHERE username = ?", (username,)).fetchone()
        return int(row[0])

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        found: sqlite3.Connection = self._database.connection()
        return found

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
        correlation id. Raise RuleError where the file refuses a row, BusyError after ten seconds behind
        another writer. Never make a network call inside.
        """
        outer = self.open_change
        try:
            with self._database.atomic():
                if outer is not None:
                    yield outer
                else:
                    yield from self._outermost(reason, correlation_id)
        except (peewee.PeeweeException, sqlite3.Error) as error:
            ours = rules.translate(error, self.connection())
            if ours is None:
                raise
            raise ours from error

    def _outermost(self, reason: str | None, correlation_id: str | None) -> Iterator[Change]:
        noted = reason
        if self._login is not None:
            noted = f"{reason or 'change'} [login {self._login}]"
        connection = self.connection()
        change = open_gate(connection, self.actor, reason=noted, correlation_id=correlation_id)
        self._local.change = change
        try:
            yield change
            if not connection.in_transaction:
                raise UnavailableError(
                    "The file undid the whole change: the disk is full, or could not be written.",
                    hint="Free some space and run the same command again.",
                )
            close_gate(connection, change)
        finally:
            self._local.change = None

    def close(self) -> None:
        """Close this thread's connection and free the models."""
        global _current
        if not self._database.is_closed():
            self._database.close()
        if _current is self:
            _current = None
            proxy.initialize(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


_current: Database | None = None


def open(path: str | Path, *, actor: str | None = None) -> Database:  # noqa: A001 - the word every user expects
    """Open a file for this process, binding the models to it.

    `actor` is a `user.username`; without it the login of the operating system is used if such a user exists,
    else the system user, with the login noted in each change. Raise NotFoundError (no such file or user),
    CorruptError (not one of ours), MigrationNeededError (another schema), ConflictError (another is open).
    """
    global _current
    if _current is not None:
        raise ConflictError(
            f"{_current.path} is already open in this process.", hint="Close it first: one file at a time."
        )
    path = Path(path)
    connection = connect(path)  # says clearly what is wrong with the file before Peewee meets it
    try:
        check_version(connection, path)
        durability = connection.execute("SELECT durability FROM system").fetchone()
        known, login = _resolve_actor(connection, actor)
        _clear_gate(connection)
    finally:
        connection.close()
    pragmas = {**_PRAGMAS, "synchronous": "full" if durability == ("full",) else "normal"}
    database = _File(str(path), lock_type="IMMEDIATE", timeout=BUSY_SECONDS, pragmas=pragmas)
    database.connect()
    try:
        opened = Database(path, database, known, login)
    except BaseException:
        database.close()
        raise
    proxy.initialize(database)
    _current = opened
    return opened


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


def connect(path: str | Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Return a plain connection to a file of ours, in autocommit, with the pragmas each of ours has.

    Raise NotFoundError, or CorruptError if the file is not one of ours. The schema may be of any version.
    `read_only` refuses every write; a file in a folder that cannot be written is readable if nobody uses it.
    """
    path = Path(path)
    if path.is_dir():
        raise NotFoundError(f"{path} is a folder, not a file.", hint="Name the file in it: agency.db.")
    if not path.exists():
        raise NotFoundError(f"There is no file {path}.", hint=f"Create it with: edgekit init {path}")
    schema.require_sqlite()
    connection = None
    try:
        connection = _reach(path, read_only=read_only)
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        if found != schema.APPLICATION_ID:
            raise CorruptError(
                f"{path} is not an edgekit file.", hint="Name another file, or create one: edgekit init FILE"
            )
        set_pragmas(connection, read_only=read_only)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        if "not a database" in str(error):
            raise CorruptError(
                f"{path} is not an SQLite database, or it is damaged.",
                hint="Restore a backup: edgekit restore BACKUP FILE",
            ) from error
        ours = rules.translate(error)
        if ours is None:
            raise
        raise type(ours)(f"{path}: {ours.message}", hint=ours.hint) from error
    except UnicodeDecodeError as error:  # even the names in the file are no text any more
        if connection is not None:
            connection.close()
        raise CorruptError(f"{path} is damaged.", hint="Restore: edgekit restore BACKUP FILE") from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def _reach(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the file and read from it once."""
    uri = path.resolve().as_uri()
    try:
        # mode=ro would leave its -wal and -shm behind: whoever closes last has to tidy up.
        return _reach_uri(f"{uri}?mode=rw", read_only=read_only)
    except sqlite3.OperationalError as error:
        unwritable = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        log = Path(f"{path}-wal")
        if not (read_only and unwritable) or (log.exists() and log.stat().st_size):
            raise
        # No write-ahead log can be made here, so nobody can be writing either.
        return _reach_uri(f"{uri}?immutable=1", read_only=True)


def _reach_uri(uri: str, *, read_only: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        if read_only:
            connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA application_id").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def set_pragmas(connection: sqlite3.Connection, *, read_only: bool = False) -> None:
    """Give a connection what each of ours has; the waiting time first, so that the rest can wait."""
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    for name, value in _PRAGMAS.items():
        if not (read_only and name == "journal_mode"):
            connection.execute(f"PRAGMA {name} = {value}")


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise MigrationNeededError unless the file has exactly the schema this program knows."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > schema.VERSION:
        raise MigrationNeededError(
            f"{path} has schema {found}; this program knows schema {schema.VERSION}.",
            hint="Install a newer edgekit.",
        )
    if found < schema.VERSION:
        raise MigrationNeededError(
            f"{path} has schema {found}; this program needs schema {schema.VERSION}.",
            hint="Run: edgekit migrate",
        )


def _resolve_actor(connection: sqlite3.Connection, actor: str | None) -> tuple[str, str | None]:
    """Return the user's name as stored, and the login to note where the system user stands in."""
    wanted = actor
    if wanted is None:
        try:
            wanted = getpass.getuser()
        except (OSError, KeyError, ImportError):  # no login is known (a service, a container)
            return SYSTEM_USER, None
    row = connection.execute("SELECT username FROM user WHERE username = ?", (wanted,)).fetchone()
    if row is not None:
        return row[0], None
    if actor is not None:
        raise NotFoundError(
            f"There is no user {actor!r} in this file.", hint="Leave --actor out, or add the user first."
        )
    return SYSTEM_USER, wanted


def _clear_gate(connection: sqlite3.Connection) -> None:
    """Close a change that a tool with foreign keys off may have left open."""
    newest = "SELECT id, open_gate FROM audit_transaction ORDER BY id DESC LIMIT 1"
    left = connection.execute(newest).fetchone()
    if left is not None and left[1] is not None:
        connection.execute("UPDATE audit_transaction SET open_gate = NULL WHERE id = ?", (left[0],))


def open_gate(
    connection: sqlite3.Connection,
    actor: str,
    *,
    reason: str | None = None,
    correlation_id: str | None = None,
) -> Change:
    """Write the row that *is* the open change. The caller began a transaction, and closes the gate in it."""
    correlation_id = correlation_id or str(uuid.uuid4())
    at = clock.now_text()
    cursor = connection.execute(
        "INSERT INTO audit_transaction(open_gate, actor, correlation_id, reason,"
        " performed_at) VALUES (1, ?, ?, ?, ?)",
        (actor, correlation_id, reason, at),
    )
    return Change(int(cursor.lastrowid or 0), actor, correlation_id, at)


def close_gate(connection: sqlite3.Connection, change: Change) -> None:
    """Close the change, so that its transaction can be committed."""
    connection.execute("UPDATE audit_transaction SET open_gate = NULL WHERE id = ?", (change.id,))


@contextmanager
def change_on(connection: sqlite3.Connection, *, actor: str = SYSTEM_USER, reason: str) -> Iterator[Change]:
    """Open a change on a plain connection: for creating, migrating and restoring, where no file is opened."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        opened = open_gate(connection, actor, reason=reason)
        yield opened
        close_gate(connection, opened)
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        ours = rules.translate(error, connection)
        if ours is None:
            raise
        raise ours from error
