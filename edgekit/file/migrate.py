"""Bring a file to the schema of this program: a backup first, then everything in one transaction or nothing.

`schema/migrations/NNNN_what.sql` leads from schema NNNN-1 to NNNN. Triggers and views are code, not data:
they are dropped before the first statement and made anew after the last, so a migration only speaks of
tables, indexes and rows. It rebuilds a table by CREATE new, INSERT SELECT with named columns, DROP, RENAME.
The way down is restoring the backup.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import __version__, clock, rules, schema, sqlite
from edgekit.errors import CorruptError, EdgekitError, MigrationNeededError
from edgekit.file import catalogue
from edgekit.file.backup import SUFFIX, backup
from edgekit.file.verify import integrity, lost_references
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


_FORBIDDEN = re.compile(
    r"(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|ATTACH|DETACH|VACUUM)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing `migrate` does, or would do. `name` is the migration, trigger or view; `what` a sentence."""

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file is to be brought: a schema number, the folder of migrations, and the schema itself."""

    version: int
    folder: Path
    pristine: Callable[[], sqlite3.Connection]


@dataclass(frozen=True, slots=True)
class _Script:
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrate(
    path: str | Path, *, dry_run: bool = False, target: Target | None = None, now: datetime | None = None
) -> list[Step]:
    """Bring a file to this program's schema and return what was done; nothing if there was nothing to do.

    A file of the right schema has triggers and views repaired that differ from ours. A backup is put beside
    the file first (`NAME.pre-NNNN-TIME.edgekit-backup.zip`, the last step names it). With `dry_run` nothing
    is written. Raise MigrationNeededError (a newer file), CorruptError (damaged, or a step failed) or
    BusyError; then the file is what it was. Views that users made stay, even where they no longer fit.
    """
    path = Path(path)
    target = target or Target(schema.VERSION, schema.schema_folder() / "migrations", schema.pristine)
    connection = sqlite.connect(path)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")  # means nothing inside a transaction
        connection.execute("PRAGMA legacy_alter_table = ON")  # RENAME must not touch what refers to the table
        connection.execute("BEGIN" if dry_run else "BEGIN EXCLUSIVE")
        try:
            steps = _plan(connection, path, target)
            if steps and not dry_run:
                steps.append(_carry_out(connection, path, target, now or clock.now()))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        ours = rules.translate(error, connection)
        if ours is None:
            raise
        raise type(ours)(f"{path}: {ours.message}", hint=ours.hint) from error
    finally:
        connection.close()
    return steps


def repair_triggers(path: str | Path, *, dry_run: bool = False) -> list[Step]:
    """Drop and make anew the triggers and views that differ from ours, and return which; see `migrate`.

    Raise MigrationNeededError unless the file has this program's schema.
    """
    connection = sqlite.connect(path, read_only=True)
    try:
        sqlite.check_version(connection, Path(path))
    finally:
        connection.close()
    return migrate(path, dry_run=dry_run)


def _plan(connection: sqlite3.Connection, path: Path, target: Target) -> list[Step]:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > target.version:
        raise MigrationNeededError(
            f"{path} has schema {version}; this program knows schema {target.version}.",
            hint="Install a newer edgekit.",
        )
    scripts = _scripts(target)
    _check_history(connection, path, scripts)
    steps = [
        Step(s.name, f"Bring the schema from {s.number - 1} to {s.number}.")
        for s in scripts
        if s.number > version
    ]
    if steps:
        return [*steps, Step("triggers and views", "Drop all of ours and make them anew.")]
    return _repairs(connection, target)


def _repairs(connection: sqlite3.Connection, target: Target) -> list[Step]:
    wanted = catalogue.expected(connection, target.pristine())
    try:
        found = [d for d in catalogue.differences(connection, wanted) if d.kind != "table"]
        needed = {name for (name,) in wanted.execute("SELECT name FROM sqlite_schema")}
    finally:
        wanted.close()
    return [
        Step(d.name, f"{d.sentence} {'Make it anew.' if d.name in needed else 'Drop it.'}") for d in found
    ]


def _scripts(target: Target) -> list[_Script]:
    found = []
    for path in sorted(target.folder.glob("[0-9]*_*.sql")):
        # Line ends may change on the way to a machine; the checksum must not.
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        for statement in schema.split_statements(text):
            if _FORBIDDEN.match(catalogue.normalise(statement)):
                raise EdgekitError(f"Migration {path.stem} must leave the transaction alone.")
        found.append(_Script(int(path.name.split("_")[0]), path.stem, text))
    if [script.number for script in found] != list(range(2, target.version + 1)):
        raise EdgekitError(f"The migrations of this program do not lead to schema {target.version}.")
    return found


def _check_history(connection: sqlite3.Connection, path: Path, scripts: list[_Script]) -> None:
    known = {script.name: script.sha256 for script in scripts}
    for name, sha256 in connection.execute("SELECT name, sha256 FROM schema_migration ORDER BY id"):
        if known.get(name) != sha256:
            raise CorruptError(
                f"{path} went through migration {name}, which this program knows otherwise.",
                hint="Install the edgekit that made this file, or a newer one.",
            )


def _carry_out(connection: sqlite3.Connection, path: Path, target: Target, at: datetime) -> Step:
    """Do the work in the open transaction and commit it. The lock is held: the backup misses nothing."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    scripts = [script for script in _scripts(target) if script.number > version]
    number = scripts[-1].number if scripts else version
    kept = path.with_name(f"{path.name}.pre-{number:04d}-{at:%Y-%m-%dT%H%M%SZ}{SUFFIX}")
    backup(path, kept, now=at)
    try:
        before = set(_broken(connection))
        users = _take_down(connection, target, "\n".join(script.sql for script in scripts))
        for script in scripts:
            _run(connection, script)
        _put_up(connection, target, users)
        _record(connection, version, scripts, target)
        _check(connection, target, before, is_new_schema=bool(scripts))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
            with contextlib.suppress(OSError):  # the file is what it was
                kept.unlink()
        raise
    return Step(kept.name, "Keep this backup until you know that all is well.")


def _take_down(connection: sqlite3.Connection, target: Target, scripts: str) -> list[str]:
    """Drop all triggers and views; return the SQL of those that users made for themselves.

    A view is a user's if the new schema has none of its name and no migration names it to drop it; a trigger
    if it is on a table or view of the user's.
    """
    pristine = target.pristine()
    own = {name.lower() for (name,) in pristine.execute("SELECT name FROM sqlite_schema")}
    pristine.close()
    own |= {
        name.lower()
        for name in re.findall(r"DROP\s+VIEW\s+(?:IF\s+EXISTS\s+)?\"?(\w+)", scripts, re.IGNORECASE)
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


def _run(connection: sqlite3.Connection, script: _Script) -> None:
    for statement in schema.split_statements(script.sql):
        if re.match(r"DROP VIEW\b", catalogue.normalise(statement), re.IGNORECASE):
            continue  # done with all the others
        try:
            connection.execute(statement)
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.OperationalError) and rules.translate(error) is not None:
                raise  # the disk is full, or the like
            first = " ".join(statement.split())[:60]
            raise CorruptError(
                f"Migration {script.name} failed at “{first}”: {error}. The file is what it was.",
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


def _record(connection: sqlite3.Connection, version: int, scripts: list[_Script], target: Target) -> None:
    """Write the new number, and into the log that the schema changed."""
    connection.execute(f"PRAGMA user_version = {target.version}")
    names = [script.name for script in scripts]
    change = sqlite.open_gate(
        connection, sqlite.SYSTEM_USER, reason=f"migrate {', '.join(names) or 'triggers'}"
    )
    connection.executemany(
        "INSERT INTO schema_migration(name, sha256, app_version) VALUES (?, ?, ?)",
        [(script.name, script.sha256, __version__) for script in scripts],
    )
    changes = {"schema": [version, target.version], "migrations": names}
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
