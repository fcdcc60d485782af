"""Plain connections to a file of ours, and the gate that marks an open change on one.

What works on a file that need not be the opened one (verify, backup, migrate, reading the log) uses these;
they bring in nothing but the standard library.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from edgekit import clock, rules, schema
from edgekit.errors import CorruptError, DeniedError, MigrationNeededError, NotFoundError, quoted

BUSY_SECONDS = 10
"""How long a statement waits for another writer before it gives up."""

_EAGER_SECONDS, _EASY_SECONDS = 0.001, 0.003
_EASY_BETWEEN = (0.002, 0.05)
"""Who has waited neither very shortly nor for long looks more seldom, and lets the others go first."""

_PATIENT = f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}"

SYSTEM_USER = "system"

PRAGMAS: dict[str, object] = {
    "journal_mode": "wal",
    "synchronous": "normal",
    "foreign_keys": 1,
    "recursive_triggers": 1,  # so that REPLACE fires the delete triggers
    "secure_delete": 1,  # replaced secrets do not linger in free pages
    "journal_size_limit": 64 * 1024 * 1024,
    "temp_store": "memory",
    # trusted_schema stays on: off would refuse the JSON functions inside our triggers
}
"""What every connection of ours is given."""


class Connection(sqlite3.Connection):
    """A connection that may be told what its user sees; see `edgekit.isolation`."""


@dataclass(frozen=True, slots=True)
class Change:
    """An open change: who writes, under which correlation id, since when (UTC text)."""

    id: int
    actor: str
    correlation_id: str
    at: str


def connect(path: str | Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Return a plain connection to a file of ours, in autocommit, with the pragmas each of ours has.

    Raise NotFoundError, or CorruptError if the file is not one of ours. The schema may be of any version.
    `read_only` refuses every write; a file in a folder that cannot be written is readable if nobody uses it.
    """
    connection = _open_ours(Path(path), read_only=read_only)
    try:
        set_pragmas(connection, read_only=read_only)
    except BaseException as error:
        connection.close()
        raise _explained(error, Path(path)) from error
    return connection


def real_path(path: str | Path) -> Path:
    """Return the file a path stands for: of a link the file itself, beside which its log and locks are."""
    path = Path(path)
    return path.resolve() if path.is_symlink() else path


def probe(path: Path) -> None:
    """Look at a file's header alone, which is quick. Raise as `connect` and `check_version` do."""
    connection = _open_ours(path, read_only=False)
    try:
        check_version(connection, path)
    finally:
        connection.close()


def _open_ours(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if path.is_dir():
        raise NotFoundError(f"{path} is a folder, not a file.", hint="Name the file in it: agency.db.")
    if not path.exists():
        raise NotFoundError(f"There is no file {path}.", hint=f"Create it with: edgekit init {quoted(path)}")
    schema.require_sqlite()
    try:
        connection = _reach(path, read_only=read_only)
    except BaseException as error:
        raise _explained(error, path) from error
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if found != schema.APPLICATION_ID:
        connection.close()
        raise CorruptError(
            f"{path} is not an edgekit file.", hint="Name another file, or create one: edgekit init FILE"
        )
    return connection


def _explained(error: BaseException, path: Path) -> BaseException:
    """Say what is wrong with the file, in one of our errors where it is not a bug of ours."""
    restore = "Restore a backup: edgekit restore BACKUP FILE"
    if isinstance(error, UnicodeDecodeError):  # even the names in the file are no text any more
        return CorruptError(f"{path} is damaged.", hint=restore)
    if not isinstance(error, sqlite3.Error):
        return error
    if "not a database" in str(error):
        return CorruptError(f"{path} is not an SQLite database, or it is damaged.", hint=restore)
    if getattr(error, "sqlite_errorname", "").startswith("SQLITE_CANTOPEN"):
        return _unopened(path)
    ours = rules.translate(error)
    return error if ours is None else type(ours)(f"{path}: {ours.message}", hint=ours.hint)


def _unopened(path: Path) -> DeniedError:
    """Say why SQLite cannot open a file that is there: no right to read it, or to write beside it."""
    # Asked of the system and not tried: opening the live file here would drop SQLite's locks on it.
    why = "can be read but not written, or its folder not" if os.access(path, os.R_OK) else "cannot be read"
    return DeniedError(f"{path} {why}.", hint="Move it to a folder you may write, or change its rights.")


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
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, factory=Connection
    )
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
    for name, value in PRAGMAS.items():
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


def begin(connection: sqlite3.Connection) -> None:
    """Begin to write; wait for other writers, and the longer the more eagerly.

    SQLite itself looks ever more seldom, ten times a second in the end, and whoever comes later is first.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    began = time.monotonic()
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                waited = time.monotonic() - began
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited > BUSY_SECONDS:
                    raise
            else:
                return
            is_easy = _EASY_BETWEEN[0] < waited < _EASY_BETWEEN[1]
            time.sleep(_EASY_SECONDS if is_easy else _EAGER_SECONDS)
    finally:
        connection.execute(_PATIENT)


def clear_gate(connection: sqlite3.Connection) -> None:
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
