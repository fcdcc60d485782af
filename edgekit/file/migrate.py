"""Bring a file to the schema of this program: a backup first, then everything in one transaction or nothing.

`schema/migrations/NNNN_what.sql` leads from schema NNNN-1 to NNNN. Triggers and views are code, not data:
they are dropped before the first statement and made anew after the last, so a migration only speaks of
tables, indexes and rows. It rebuilds a table by CREATE new, INSERT SELECT with named columns, DROP, RENAME.
What stands below the line `-- Rows:` runs after that, behind every trigger, and is logged like any change;
the reference rows that are missing come before it. The way down is restoring the backup, or
`NNNN_what.down.sql` where there is one, whose rows go first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import clock, schema, sqlite
from edgekit.audit import generate, triggers
from edgekit.errors import CorruptError, EdgekitError, InvalidError, MigrationNeededError
from edgekit.file import catalogue, mend, sealing
from edgekit.file.rebuild import Script, Step, Target, exclusive, read_script, rebuild, run_tables
from edgekit.schema import quote_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["Step", "Target", "migrate", "repair_triggers", "roll_back"]


def migrate(
    path: str | Path, *, dry_run: bool = False, target: Target | None = None, now: datetime | None = None
) -> list[Step]:
    """Bring a file to this program's schema and return what was done; nothing if there was nothing to do.

    A file of the right schema has triggers and views repaired that differ from ours, and tables that have our
    columns and differ in something else (a default, a rule, an index). A backup is put beside
    the file first (`NAME.pre-NNNN-TIME.edgekit-backup.zip`, the last step names it). With `dry_run` nothing
    is written. Raise MigrationNeededError (a newer file), CorruptError (damaged, or a step failed) or
    BusyError; then the file is what it was. Views that users made stay, even where they no longer fit.
    """
    path, target = Path(path), target or _ours()
    with exclusive(path, dry_run=dry_run) as connection:
        scripts, steps = _plan(connection, path, target)
        if steps and not dry_run:
            steps.append(rebuild(connection, path, target, scripts, now or clock.now()))
    if steps and not dry_run:
        sealing.renew(path)
    return steps


def roll_back(
    path: str | Path,
    version: int,
    *,
    dry_run: bool = False,
    target: Target | None = None,
    now: datetime | None = None,
) -> list[Step]:
    """Take a file back to an earlier schema by the down path of each migration since; return what was done.

    What the migrations brought goes, its rows with it (the log keeps them); all else stays as it is. A backup
    is put beside the file first. Raise InvalidError where a migration has no down path: its way back is the
    backup that was made before it. Raise as `migrate` otherwise.
    """
    path, target = Path(path), target or _ours()
    with exclusive(path, dry_run=dry_run) as connection:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        scripts = list(reversed(_down_scripts(path, target, version, found)))
        steps = [Step(s.name, f"Take the schema from {s.number} back to {s.number - 1}.") for s in scripts]
        if steps and not dry_run:
            below = Target(version, target.folder, _before(target, scripts), left=target.pristine)
            steps.append(rebuild(connection, path, below, scripts, now or clock.now()))
    if steps and not dry_run:
        sealing.renew(path)
    return steps


def _ours() -> Target:
    return Target(schema.VERSION, schema.schema_folder() / "migrations", schema.pristine)


def _down_scripts(path: Path, target: Target, version: int, found: int) -> list[Script]:
    if found > target.version:
        raise _newer(path, found, target)
    if not 1 <= version <= found:
        raise InvalidError(f"{path} has schema {found} and cannot go back to {version}.")
    downs = []
    for script in _scripts(target):
        if version < script.number <= found:
            down = target.folder / f"{script.name}.down.sql"
            if not down.exists():
                raise InvalidError(
                    f"Migration {script.name} has no way down.",
                    hint=f"Restore the backup made before it: {path.name}.pre-{script.number:04d}-…",
                )
            downs.append(read_script(down))
    return downs


def _before(target: Target, scripts: list[Script]) -> Callable[[], sqlite3.Connection]:
    """Build the schema as it was before some migrations, by their down paths.

    Triggers and views are ours of today, without those that a down path drops by name because they speak of
    what is gone; the generated ones are made for the tables that are left.
    """
    gone = {name for script in scripts for name in _DROPPED.findall(script.tables)}

    def pristine() -> sqlite3.Connection:
        connection = target.pristine()
        connection.execute("PRAGMA legacy_alter_table = ON")
        code = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view')"
            " ORDER BY type DESC, rowid"
        ).fetchall()
        for kind, name, _, _ in sorted(code):
            connection.execute(f"DROP {kind.upper()} IF EXISTS {quote_name(name)}")
        for script in scripts:
            run_tables(connection, script)
        made = generate.previous()
        ours = set(generate.trigger_names(made))
        left = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        for kind, name, on, sql in code:
            if name not in gone | ours and (kind == "view" or on in left):
                connection.execute(sql)
                left.add(name)
        connection.executescript(triggers.schema_sql(connection, made))
        return connection

    return pristine


_DROPPED = re.compile(r"^DROP (?:VIEW|TRIGGER) (?:IF EXISTS )?(\w+)", re.MULTILINE)


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


def _newer(path: Path, version: int, target: Target) -> MigrationNeededError:
    return MigrationNeededError(
        f"{path} has schema {version}; this program knows schema {target.version}.",
        hint="Install a newer edgekit.",
    )


def _plan(connection: sqlite3.Connection, path: Path, target: Target) -> tuple[list[Script], list[Step]]:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > target.version:
        raise _newer(path, version, target)
    scripts = _scripts(target)
    _check_history(connection, path, scripts)
    ahead = [script for script in scripts if script.number > version]
    steps = [Step(s.name, f"Bring the schema from {s.number - 1} to {s.number}.") for s in ahead]
    if steps:
        return ahead, [*steps, Step("triggers and views", "Drop all of ours and make them anew.")]
    return [], _repairs(connection, path, target)


def _repairs(connection: sqlite3.Connection, path: Path, target: Target) -> list[Step]:
    wanted = catalogue.expected(connection, target.pristine())
    try:
        found = catalogue.differences(connection, wanted)
        needed = {name for (name,) in wanted.execute("SELECT name FROM sqlite_schema")}
        tables = mend.mendable(connection, wanted, found)
    finally:
        wanted.close()
    for difference in found:
        if difference.sentence == f"Table {difference.name} is missing.":
            raise CorruptError(
                f"{path}: {difference.sentence}",
                hint="Restore the newest backup: edgekit restore BACKUP FILE",
            )
    return [
        Step(d.name, f"{d.sentence} {'Make it anew.' if d.name in needed else 'Drop it.'}")
        for d in found
        if d.kind != "table" or d.name in tables
    ]


def _scripts(target: Target) -> list[Script]:
    found = [
        read_script(path)
        for path in sorted(target.folder.glob("[0-9]*_*.sql"))
        if not path.name.endswith(".down.sql")
    ]
    if [script.number for script in found] != list(range(2, target.version + 1)):
        raise EdgekitError(f"The migrations of this program do not lead to schema {target.version}.")
    return found


def _check_history(connection: sqlite3.Connection, path: Path, scripts: list[Script]) -> None:
    known = {script.name: script.sha256 for script in scripts}
    for name, sha256 in connection.execute("SELECT name, sha256 FROM schema_migration ORDER BY id"):
        if known.get(name) != sha256:
            raise CorruptError(
                f"{path} went through migration {name}, which this program knows otherwise.",
                hint="Install the edgekit that made this file, or a newer one.",
            )
