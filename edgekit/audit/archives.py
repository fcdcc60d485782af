"""Archives of the log: one SQLite file for each calendar year, `agency-audit-2026.db` beside `agency.db`.

An archive holds the entries of one year with their changes, and what the integrations logged and measured in
it. It is added to month by month, and only ever added to; archiving again adds what is missing and nothing
twice. Any tool can open it; its `application_id` is not that of a file of ours, so nothing opens it as one.

    with audit.attached(connection, audit.find_archives("agency.db")):
        audit.as_of(connection, "2020-01-31", "vehicle")  # the file and its archives as one log
        connection.execute("SELECT * FROM integration_log")  # and these rows too
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.audit.triggers import PRUNED
from edgekit.errors import ConflictError, CorruptError, DeniedError, InvalidError, NotFoundError
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

APPLICATION_ID = 0x45444741
"""The number in the header of every archive: `EDGA` in ASCII."""

LIMIT = 9
"""How many archives one query may span: SQLite attaches ten files."""

_VERSION = 1
_READ = {"audit_log": "seq", "audit_transaction": "id", "audit_table": "id", **dict.fromkeys(PRUNED, "id")}
_TABLES = """
CREATE TABLE archive.archive (
  id INTEGER PRIMARY KEY CHECK (id = 1), site TEXT NOT NULL, year INTEGER NOT NULL
) STRICT;
CREATE TABLE archive.audit_table (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE archive.audit_transaction (
  id INTEGER PRIMARY KEY, actor TEXT, correlation_id TEXT, reason TEXT, performed_at TEXT
) STRICT;
CREATE TABLE archive.audit_log (
  seq INTEGER PRIMARY KEY, txn_id INTEGER, table_id INTEGER, record_key ANY, action TEXT, changes TEXT
) STRICT;
CREATE INDEX archive.audit_log_record ON audit_log(table_id, record_key) WHERE action <> 'I';
"""
_ENTRIES = """
SELECT l.seq, l.txn_id, l.table_id, l.record_key, l.action, l.changes FROM main.audit_log l
JOIN main.audit_transaction x ON x.id = l.txn_id WHERE x.performed_at >= ? AND x.performed_at < ?"""
_CHANGES = """
SELECT id, actor, correlation_id, reason, performed_at FROM main.audit_transaction
WHERE performed_at >= ? AND performed_at < ? AND open_gate IS NULL"""


@dataclass(frozen=True, slots=True)
class Archived:
    """What was added to one archive, and what it holds since."""

    path: str
    year: int
    added: int
    logged: int
    entries: int


def archive_path(database: Path, year: int, folder: Path | None = None) -> Path:
    """Name the archive of a year: beside the file, or in another folder."""
    return (folder or database.parent) / f"{database.stem}-audit-{year:04d}.db"


def find_archives(database: str | Path, folder: str | Path | None = None) -> list[Path]:
    """List the archives of a file, the oldest year first."""
    database = Path(database)
    place = Path(folder) if folder is not None else database.parent
    if not place.is_dir():
        raise NotFoundError(f"There is no folder {place}.")
    name = re.compile(re.escape(database.stem) + r"-audit-\d{4}\.db")
    return sorted(path for path in place.iterdir() if name.fullmatch(path.name))


def archive(
    connection: sqlite3.Connection, database: Path, before: str, folder: Path | None = None
) -> list[Archived]:
    """Copy everything logged before a time (UTC text) into the archives of its years; return what was added.

    Each archive is written in one transaction and checked against the file before it is committed: a crash
    loses nothing, and doing it again repeats nothing. Writers of the file are not held up. Raise
    ConflictError where an archive is another file's, or has other entries under the same numbers.
    """
    if folder is not None and not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}.", hint="Create the folder first.")
    if connection.in_transaction:
        raise InvalidError("The log is archived between changes, not inside one.")
    done = []
    for year in _years(connection, before):
        path = archive_path(database, year, folder)
        try:
            connection.execute("ATTACH ? AS archive", (f"{path.resolve().as_uri()}?mode=rwc",))
            done.append(_fill(connection, path, year, before))
        except sqlite3.DatabaseError as error:
            if "not a database" in str(error) or "malformed" in str(error):
                raise CorruptError(
                    f"{path} is no archive, or it is damaged.", hint="Move it away."
                ) from error
            raise
        finally:
            connection.rollback()
            if any(name == "archive" for _, name, _ in connection.execute("PRAGMA database_list")):
                connection.execute("DETACH archive")
    return done


def _years(connection: sqlite3.Connection, before: str) -> list[int]:
    times = ["SELECT performed_at AS at FROM audit_transaction WHERE open_gate IS NULL"]
    times += [f"SELECT {column} FROM {table}" for table, column in PRUNED.items()]
    rows = connection.execute(
        f"SELECT DISTINCT substr(at, 1, 4) FROM ({' UNION ALL '.join(times)})"
        " WHERE at < ? AND at GLOB '[0-9][0-9][0-9][0-9]-*' ORDER BY 1",
        (before,),
    )
    return [int(year) for (year,) in rows]


def _fill(connection: sqlite3.Connection, path: Path, year: int, before: str) -> Archived:
    """Add to the attached archive what it lacks of its year, 1 January to the next, the latter excluded."""
    span = (f"{year:04d}-01-01", min(f"{year + 1:04d}-01-01", before))
    connection.execute("PRAGMA archive.synchronous = FULL")
    connection.execute("BEGIN")
    (site,) = connection.execute("SELECT uuid FROM main.system").fetchone()
    _prepare(connection, path, site, year)
    connection.execute("INSERT OR IGNORE INTO archive.audit_table SELECT id, name FROM main.audit_table")
    connection.execute(f"INSERT OR IGNORE INTO archive.audit_transaction {_CHANGES}", span)
    added = connection.execute(f"INSERT OR IGNORE INTO archive.audit_log {_ENTRIES}", span).rowcount
    for wanted, table in ((_CHANGES, "audit_transaction"), (_ENTRIES, "audit_log")):
        _require_same(connection, path, f"{wanted} EXCEPT SELECT * FROM archive.{table}", span)
    logged = sum(_copy_log(connection, table, column, span) for table, column in PRUNED.items())
    for table, column in PRUNED.items():
        rows = f"SELECT id, {column} FROM main.{table} WHERE {column} >= ? AND {column} < ?"
        _require_same(connection, path, f"{rows} EXCEPT SELECT id, {column} FROM archive.{table}", span)
    (entries,) = connection.execute("SELECT count(*) FROM archive.audit_log").fetchone()
    connection.execute("COMMIT")
    return Archived(str(path), year, added, logged, entries)


def _require_same(connection: sqlite3.Connection, path: Path, missing: str, span: tuple[str, str]) -> None:
    if connection.execute(f"{missing} LIMIT 1", span).fetchone():
        raise ConflictError(
            f"{path} has other entries under the numbers of this file.",
            hint="It is of another state of the file: move it away, or name another folder with --dir.",
        )


def _prepare(connection: sqlite3.Connection, path: Path, site: str, year: int) -> None:
    """Make the tables of a new archive; make sure that an old one is the right one."""
    found = connection.execute("PRAGMA archive.application_id").fetchone()[0]
    if not found and not connection.execute("SELECT 1 FROM archive.sqlite_schema").fetchone():
        for statement in _TABLES.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("INSERT INTO archive.archive VALUES (1, ?, ?)", (site, year))
        connection.execute(f"PRAGMA archive.application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA archive.user_version = {_VERSION}")
        return
    if found != APPLICATION_ID:
        raise CorruptError(
            f"{path} is there, and is no archive.", hint="Move it away, or name another folder."
        )
    whose = connection.execute("SELECT site, year FROM archive.archive").fetchone()
    if whose != (site, year):
        raise ConflictError(
            f"{path} is the archive of another file or year.", hint="Name another folder with --dir."
        )


def _copy_log(connection: sqlite3.Connection, table: str, column: str, span: tuple[str, str]) -> int:
    """Add the rows of an append-only log, with whatever columns it has by now."""
    wanted = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table,)).fetchall()
    there = _columns(connection, table, "archive")
    if not there:
        made = ", ".join(
            f"{quote_name(name)} {kind}{' PRIMARY KEY' if key else ''}" for name, kind, key in wanted
        )
        connection.execute(f"CREATE TABLE archive.{quote_name(table)} ({made}) STRICT")
    for name, kind, _ in wanted if there else []:
        if name not in there:
            connection.execute(
                f"ALTER TABLE archive.{quote_name(table)} ADD COLUMN {quote_name(name)} {kind}"
            )
    names = ", ".join(quote_name(name) for name, _, _ in wanted)
    return connection.execute(
        f"INSERT OR IGNORE INTO archive.{quote_name(table)} ({names})"
        f" SELECT {names} FROM main.{quote_name(table)} WHERE {column} >= ? AND {column} < ?",
        span,
    ).rowcount


@contextmanager
def attached(connection: sqlite3.Connection, archives: Sequence[str | Path]) -> Iterator[None]:
    """Let everything that reads the log on this connection read some archives as well, while it lasts.

    TEMP views take the place of the log's tables, of `integration_log`, `metric_sample` and
    `webhook_receipt`; what the file has itself is not read from an archive again. Raise InvalidError for more
    than nine, NotFoundError, CorruptError for a file that is no archive, ConflictError for another file's.
    """
    archives = list(dict.fromkeys(Path(path).resolve() for path in archives))  # twice named counts once
    if len(archives) > LIMIT:
        raise InvalidError(
            f"{len(archives)} archives are too many: SQLite reads {LIMIT} beside the file in one query.",
            hint="Name the years that matter with --archive.",
        )
    if not archives:
        yield
        return
    if getattr(connection, "confinement", None) is not None:
        raise DeniedError(
            "Archives hold the log of everybody who uses the file: only who sees all of it reads them.",
            hint="The system user may, or an administrator who belongs to no organization.",
        )
    if connection.in_transaction:
        raise InvalidError("Archives are attached between changes, not inside one.")
    names: list[str] = []
    (read_only,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = 0")  # for the TEMP views
    try:
        for path in map(Path, archives):
            _attach(connection, path, f"archive_{len(names)}", names)
        for table, key in _READ.items():
            _view(connection, table, key, names)
        connection.execute(f"PRAGMA query_only = {read_only}")
        yield
    finally:
        connection.execute("PRAGMA query_only = 0")
        for table in _READ:
            connection.execute(f"DROP VIEW IF EXISTS temp.{table}")
        for name in names:
            connection.execute(f"DETACH {name}")
        connection.execute(f"PRAGMA query_only = {read_only}")


def _attach(connection: sqlite3.Connection, path: Path, name: str, names: list[str]) -> None:
    check_archive(path)
    connection.execute(f"ATTACH ? AS {name}", (f"{path.resolve().as_uri()}?mode=ro",))
    names.append(name)
    site = connection.execute(f"SELECT site FROM {name}.archive").fetchone()
    if site != connection.execute("SELECT uuid FROM main.system").fetchone():
        raise ConflictError(f"{path} is the archive of another file.", hint="Leave it out.")


def check_archive(path: Path) -> None:
    """Raise NotFoundError without the file, CorruptError if it is no archive of ours."""
    if not path.is_file():
        raise NotFoundError(f"There is no archive {path}.")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError:
        found = None
    if found != APPLICATION_ID:
        raise CorruptError(f"{path} is no archive of the log.", hint="Leave it out.")


def _view(connection: sqlite3.Connection, table: str, key: str, names: list[str]) -> None:
    columns = _columns(connection, table, "main")
    parts = [f"SELECT {', '.join(columns)} FROM main.{table}"]
    for number, name in enumerate(names):
        there = _columns(connection, table, name)
        if not there:  # nothing of it was logged when the archive was last added to
            continue
        archived = [f"a.{column}" if column in there else f"NULL AS {column}" for column in columns]
        parts.append(
            f"SELECT {', '.join(archived)} FROM {name}.{table} a"
            f" WHERE NOT EXISTS (SELECT 1 FROM main.{table} m WHERE m.{key} = a.{key})"
            + "".join(
                f" AND NOT EXISTS (SELECT 1 FROM {earlier}.{table} e WHERE e.{key} = a.{key})"
                for earlier in names[:number]
                if table == "audit_table"
            )
        )
    connection.execute(f"CREATE TEMP VIEW {table} AS {' UNION ALL '.join(parts)}")


def _columns(connection: sqlite3.Connection, table: str, place: str) -> list[str]:
    return [
        name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?, ?)", (table, place))
    ]
