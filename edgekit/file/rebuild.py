"""Rebuild a file's schema behind a backup, in one transaction: what going up and going down share."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import __version__, rules, schema, seeds, sqlite
from edgekit.errors import CorruptError, EdgekitError, RuleError
from edgekit.file import catalogue, mend
from edgekit.file.backup import SUFFIX, backup
from edgekit.file.verify import integrity, lost_references
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

_FORBIDDEN = re.compile(
    r"(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|ATTACH|DETACH|VACUUM)\b", re.IGNORECASE
)
_ROWS = "-- Rows:\n"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done, or would be. `name` is the migration, trigger or view; `what` a sentence."""

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file is to be brought: a schema number, the folder of migrations, and the schema itself."""

    version: int
    folder: Path
    pristine: Callable[[], sqlite3.Connection]
    left: Callable[[], sqlite3.Connection] | None = None
    """The newer schema the file is taken back from."""


@dataclass(frozen=True, slots=True)
class Script:
    """One migration, up or down. `tables` runs without triggers, `rows` behind them."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Say what the file notes of the migrations it went through."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def tables(self) -> str:
        """The part that speaks of tables and indexes, and moves rows as they are."""
        return self.sql.partition(_ROWS)[0]

    @property
    def rows(self) -> str:
        """The part that makes, changes and removes rows as a user would."""
        return self.sql.partition(_ROWS)[2]


def read_script(path: Path) -> Script:
    """Read one migration. Raise EdgekitError if it opens or ends a transaction of its own."""
    # Line ends may change on the way to a machine; the checksum must not.
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    name = path.name.removesuffix(".sql")
    for statement in schema.split_statements(text):
        if _FORBIDDEN.match(catalogue.normalise(statement)):
            raise EdgekitError(f"Migration {name} must leave the transaction alone.")
    return Script(int(name.split("_")[0]), name, text)


@contextlib.contextmanager
def exclusive(path: Path, *, dry_run: bool) -> Iterator[sqlite3.Connection]:
    """Hold the file for a rebuild, which commits itself; whatever else happens is undone.

    Raise the error of ours that a refusal of SQLite stands for, with the path.
    """
    connection = sqlite.connect(path)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")  # means nothing inside a transaction
        connection.execute("PRAGMA legacy_alter_table = ON")  # RENAME must not touch what refers to the table
        connection.execute("BEGIN" if dry_run else "BEGIN EXCLUSIVE")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        ours = rules.translate(error, connection)
        if ours is None:
            raise
        if isinstance(ours, RuleError):
            raise CorruptError(f"{path}: {ours.message}", hint="Run: edgekit verify") from error
        raise type(ours)(f"{path}: {ours.message}", hint=ours.hint) from error
    finally:
        connection.close()


def rebuild(
    connection: sqlite3.Connection, path: Path, target: Target, scripts: list[Script], at: datetime
) -> Step:
    """Do the work in the open transaction and commit it. The lock is held: the backup misses nothing.

    Going down is told by the target's version: its rows go first, behind the triggers they were made behind.
    Without scripts the triggers and views are made anew, and tables of ours that another program changed.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    number = target.version if scripts else version
    kept = path.with_name(f"{path.name}.pre-{number:04d}-{at:%Y-%m-%dT%H%M%SZ}{SUFFIX}")
    backup(path, kept, seals=False, now=at)
    try:
        before = set(_broken(connection))
        reason = f"migrate {', '.join(script.name for script in scripts) or 'triggers'}"
        if target.version < version:
            _change_rows(connection, scripts, reason)
        users = _take_down(connection, target, "\n".join(script.tables for script in scripts))
        for script in scripts:
            run_tables(connection, script)
        mended = [] if scripts else _mend(connection, target)
        if target.version < version:  # it may be gone through again; the log keeps that it once was
            names = [(script.name.removesuffix(".down"),) for script in scripts]
            connection.executemany("DELETE FROM schema_migration WHERE name = ?", names)
        _put_up(connection, target, users)
        if target.version > version or mended:
            _continue_ids(connection)
        if target.version > version:
            _change_rows(connection, scripts, reason, with_seeds=True)
        _record(connection, version, scripts, target, mended)
        _check(connection, target, before, is_new_schema=bool(scripts))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
            with contextlib.suppress(OSError):  # the file is what it was
                kept.unlink()
        raise
    return Step(kept.name, "Keep this backup until you know that all is well.")


def _change_rows(
    connection: sqlite3.Connection, scripts: list[Script], reason: str, *, with_seeds: bool = False
) -> None:
    """Make and change rows behind the triggers, in a change of the system's."""
    change = sqlite.open_gate(connection, sqlite.SYSTEM_USER, reason=reason)
    if with_seeds:
        seeds.add_missing(connection)
    for script in scripts:
        _run(connection, script.name, script.rows)
    sqlite.close_gate(connection, change)


def _take_down(connection: sqlite3.Connection, target: Target, scripts: str) -> list[str]:
    """Drop all triggers and views; return the SQL of those that users made for themselves.

    A view is a user's if neither schema, the old or the new, has one of its name and no migration names it to
    drop it; a trigger if it is on a table or view of the user's, and not on a table a migration drops.
    """
    own: set[str] = set()
    for made in (target.pristine, target.left or target.pristine):
        pristine = made()
        own |= {name.lower() for (name,) in pristine.execute("SELECT name FROM sqlite_schema")}
        pristine.close()
    own |= {
        name.lower()
        for name in re.findall(r"DROP\s+(?:VIEW|TABLE)\s+(?:IF\s+EXISTS\s+)?\"?(\w+)", scripts, re.IGNORECASE)
    }
    tracked = {name.lower() for name, _, _ in catalogue.tracked_tables(connection)}
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE type IN ('trigger', 'view') ORDER BY type DESC, rowid"
    ).fetchall()
    users = [
        sql for _, name, table, sql in rows if table.lower() not in own | tracked and name.lower() not in own
    ]
    for kind, name, _, _ in sorted(rows):  # triggers first: a view takes its own with it
        connection.execute(f"DROP {kind.upper()} IF EXISTS {quote_name(name)}")
    return users


def _mend(connection: sqlite3.Connection, target: Target) -> list[str]:
    """Give every table its definition back that still has our columns; return which."""
    wanted = catalogue.expected(connection, target.pristine())
    try:
        tables = mend.mendable(connection, wanted, catalogue.differences(connection, wanted))
        for table in tables:
            mend.mend(connection, wanted, table)
    finally:
        wanted.close()
    return tables


def run_tables(connection: sqlite3.Connection, script: Script) -> None:
    """Run the part of a migration that wants no triggers about."""
    _run(connection, script.name, script.tables)


def _run(connection: sqlite3.Connection, name: str, script: str) -> None:
    for statement in schema.split_statements(script):
        if re.match(r"DROP (VIEW|TRIGGER)\b", catalogue.normalise(statement), re.IGNORECASE):
            continue  # done with all the others
        try:
            connection.execute(statement)
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.OperationalError) and rules.translate(error) is not None:
                raise  # the disk is full, or the like
            first = catalogue.normalise(statement)[:60]
            raise CorruptError(
                f"Migration {name} failed at “{first}”: {error}. The file is what it was.",
                hint="Run: edgekit doctor",
            ) from error


def _put_up(connection: sqlite3.Connection, target: Target, users: list[str]) -> None:
    """Make our triggers and views anew, then the users' own where they still fit."""
    wanted = catalogue.expected(connection, target.pristine())
    try:
        for number, name in wanted.execute("SELECT id, name FROM audit_table"):
            connection.execute("INSERT OR IGNORE INTO audit_table(id, name) VALUES (?, ?)", (number, name))
        ours = wanted.execute(
            "SELECT sql FROM sqlite_schema WHERE type IN ('trigger', 'view') ORDER BY type DESC, rowid"
        ).fetchall()
    finally:
        wanted.close()
    for (sql,) in ours:
        connection.execute(sql)
    for sql in users:
        connection.execute(sql)


def _continue_ids(connection: sqlite3.Connection) -> None:
    """Let a table that is here again give out the ids that follow those it gave out before."""
    logged = connection.execute(
        "SELECT a.name, max(l.record_key) FROM audit_log l JOIN audit_table a ON a.id = l.table_id"
        " JOIN sqlite_schema s ON s.type = 'table' AND s.name = a.name AND s.sql LIKE '%AUTOINCREMENT%'"
        " WHERE l.action = 'D' AND typeof(l.record_key) = 'integer' GROUP BY a.name"
    ).fetchall()
    given = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
    for name, last in logged:
        if name not in given:
            connection.execute("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)", (name, last))
        elif given[name] < last:
            connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last, name))


def _record(
    connection: sqlite3.Connection, version: int, scripts: list[Script], target: Target, mended: list[str]
) -> None:
    """Write the new number, and into the log that the schema changed."""
    connection.execute(f"PRAGMA user_version = {target.version}")
    names = [script.name for script in scripts]
    change = sqlite.open_gate(
        connection, sqlite.SYSTEM_USER, reason=f"migrate {', '.join(names) or 'triggers'}"
    )
    if target.version > version:
        connection.executemany(
            "INSERT INTO schema_migration(name, sha256, app_version) VALUES (?, ?, ?)",
            [(script.name, script.sha256, __version__) for script in scripts],
        )
    changes: dict[str, list[Any]] = {"schema": [version, target.version], "migrations": names}
    if mended:
        changes["tables"] = mended
    connection.execute(
        "INSERT INTO audit_log(txn_id, table_id, record_key, action, changes)"
        " VALUES (?, (SELECT id FROM audit_table WHERE name = 'system'), NULL, 'S', ?)",
        (change.id, json.dumps(changes, separators=(",", ":"))),
    )
    sqlite.close_gate(connection, change)


def _broken(connection: sqlite3.Connection) -> list[str]:
    return [*integrity(connection), *lost_references(connection)]


def _check(connection: sqlite3.Connection, target: Target, before: set[str], *, is_new_schema: bool) -> None:
    """Look at the result before it counts. What was wrong with the rows before is not its fault."""
    found = [sentence for sentence in _broken(connection) if sentence not in before]
    wanted = catalogue.expected(connection, target.pristine())
    try:
        differences = catalogue.differences(connection, wanted)
        views = wanted.execute("SELECT name FROM sqlite_schema WHERE type = 'view'").fetchall()
    finally:
        wanted.close()
    found += [d.sentence for d in differences if is_new_schema or d.kind != "table"]
    for (name,) in views:
        try:
            connection.execute(f"SELECT * FROM {quote_name(name)} LIMIT 0")
        except sqlite3.Error as error:
            found.append(f"View {name} cannot be read: {error}.")
    if found:
        raise CorruptError(
            f"The migration was undone: {found[0]}" + (f" ({len(found)} findings)" if len(found) > 1 else ""),
            hint="Run: edgekit verify",
        )
