"""What is wrong with a file and its surroundings, and what to do about it, in plain words."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import clock, db, naming, sqlite
from edgekit.errors import CorruptError, EdgekitError, MigrationNeededError, quoted
from edgekit.file import backup_checks, catalogue, places
from edgekit.file.verify import findings
from edgekit.finding import Finding, worst_first
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WAL_BYTES = 64 * 1024 * 1024
"""A write-ahead log larger than this is being kept from shrinking."""

STALE = timedelta(hours=1)
"""How long after the last sign of life a run that says it is running is doubted."""

_AHEAD = timedelta(minutes=2)
_RECENT, _LOOKED_AT = timedelta(days=7), 10_000


Check = Callable[[sqlite3.Connection, Path, datetime], Iterable[Finding]]
"""Looks at a file through a connection for reading: the words above this one have theirs."""


def doctor(path: str | Path, *, further: Sequence[Check] = (), now: datetime | None = None) -> list[Finding]:
    """Look at a file and where it lives; return everything looked at, the worst first.

    `further` are the checks of higher words, such as `edgekit.runner.examining.examine`. Errors are what
    `verify` finds and what keeps the file from being used; warnings can wait. Raise NotFoundError if there is
    no file, BusyError if it stays locked: all else that is wrong is a finding.
    """
    path = Path(path)
    found = list(_surroundings(path))
    try:
        connection = sqlite.connect(path, read_only=True)
    except (CorruptError, MigrationNeededError) as error:
        found.append(Finding("error", error.message, error.hint or ""))
    else:
        try:
            found += _inside(connection, path, further, now or clock.now())
        finally:
            connection.close()
    return worst_first(found)


def _surroundings(path: Path) -> Iterator[Finding]:
    if reason := places.unsafe(path):
        yield Finding(
            "error", reason, "Move the file to a local disk and copy backups to the network folder."
        )
    elif reason := places.synchronised(path):
        yield Finding("warning", reason, "Move the file out of it and let backups be synchronised instead.")
    else:
        yield Finding("ok", "The folder is on a local disk.")
    if not path.is_file():
        return
    if not _is_writable(path):
        do = "Move it to a folder you may write, or change its rights."
        yield Finding("warning", f"{path} can be read but not written, or its folder not.", do)
    log = Path(f"{path}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > WAL_BYTES:
        yield Finding(
            "warning",
            f"The write-ahead log has {size // 1_000_000} MB: a program keeps an old state of the file open.",
            "Close every program that reads the file, then run: edgekit doctor",
        )
    else:
        yield Finding("ok", f"The write-ahead log has {size // 1000} kB.")
    yield _space(path, size)
    left = sorted(folder.name for folder in path.parent.glob(".edgekit-*") if folder.is_dir())
    if left:
        yield Finding(
            "warning",
            f"{path.parent} holds what an interrupted backup, restore or init left: {', '.join(left)}.",
            "Delete it when no such command is running.",
        )


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _space(path: Path, log_size: int) -> Finding:
    free = shutil.disk_usage(path.parent).free
    needed = path.stat().st_size + log_size
    sentence = f"The disk has {free // 1_000_000:,} MB free; the file takes {needed // 1_000_000:,} MB."
    if free < 2 * needed or free < 100_000_000:
        return Finding(
            "warning", sentence, "Free some space: a backup or migration needs twice the file's size."
        )
    return Finding("ok", sentence)


def _inside(
    connection: sqlite3.Connection, path: Path, further: Sequence[Check], now: datetime
) -> list[Finding]:
    try:
        sqlite.check_version(connection, path)
    except MigrationNeededError as error:
        return [Finding("error", error.message, error.hint or "")]
    sentences = findings(connection)
    found = [Finding("error", sentence, _remedy(sentence)) for sentence in sentences]
    if not sentences:
        found.append(Finding("ok", "The file is what it should be: schema, rows, references and log."))
    checks: list[Callable[[], Iterable[Finding]]] = [
        lambda: _sqlite(connection, path),
        lambda: _own_tables(connection),
        lambda: _runs(connection, now),
        lambda: _summaries(connection),
        lambda: _clock(connection, now),
        lambda: _set_back(connection, now),
        lambda: _licences(connection, now),
        lambda: _vault(connection, path, now),
        *(partial(look, connection, path, now) for look in (backup_checks.findings, *further)),
    ]
    for check in checks:
        try:
            found += check()
        except sqlite3.DatabaseError:
            if not sentences:  # else it is said already why it cannot be read
                raise
    return found


_RESTORE = "Restore the newest backup: edgekit restore BACKUP FILE"


def _remedy(sentence: str) -> str:
    if sentence.startswith("The file is damaged"):
        return _RESTORE
    is_mendable = re.match(
        r"Table \w+(: (?!column \w+ (is missing|does not belong))| is (not )?STRICT)", sentence
    )
    if sentence.startswith(("Trigger", "View")) or is_mendable:
        return "Have it repaired: edgekit migrate"
    if "left open" in sentence:
        return "Use the file once with edgekit, which closes it: edgekit backups list"
    if "does not exist" in sentence or "break a rule" in sentence:
        return "Mend or delete these rows; edgekit audit blame TABLE ID says who wrote them."
    if sentence.startswith(("Licence", "Vendor key", "feature_license row")):
        return "Somebody wrote past the program. Ask the vendor for a renewal, which sets it right."
    if "of the log" in sentence:
        return "Somebody edited the log. Keep the file, and compare it with a backup."
    lost = re.fullmatch(r"Table ([^:]+) is missing\.", sentence)
    if lost and lost[1] not in naming.own_tables():
        return f"Another program dropped it. Restore a backup, or: edgekit tables untrack {quoted(lost[1])}"
    return "Another program changed the schema. Undo that, or restore a backup: edgekit restore BACKUP FILE"


def _sqlite(connection: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if mode == "wal":
        yield Finding("ok", f"SQLite {sqlite3.sqlite_version}, journal mode WAL.")
    elif _is_writable(path):  # of what cannot be written, another mode is told than it has
        yield Finding(
            "warning",
            f"SQLite {sqlite3.sqlite_version}, journal mode {mode}: readers and writers wait for each other.",
            "Open the file once with edgekit, which sets WAL: edgekit backups list",
        )


def _own_tables(connection: sqlite3.Connection) -> Iterator[Finding]:
    wanted = catalogue.expected(connection)
    try:
        for name in catalogue.untracked_tables(connection, wanted):
            yield Finding(
                "warning",
                f"Table {name} is not tracked: its changes are not in the log and it is not verified.",
                f"edgekit tables track {quoted(name)}",
            )
    finally:
        wanted.close()
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'").fetchall():
        try:
            connection.execute(f"SELECT * FROM {quote_name(name)} LIMIT 0")
        except sqlite3.Error as error:
            yield Finding("warning", f"View {name} cannot be read: {error}.", "Drop it or make it anew.")


def _runs(connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    limit = clock.to_text(now - STALE)
    rows = connection.execute(
        "SELECT e.id, i.integration_name, e.started_at FROM integration_execution e"
        " JOIN integration i ON i.id = e.integration_id"
        " WHERE e.execution_status = 'running' AND max(e.updated_at, ifnull(e.started_at, '')) < ?",
        (limit,),
    ).fetchall()
    for number, name, started_at in rows:
        yield Finding(
            "warning",
            f"Run {number} of {name} is said to run since {started_at}, without a sign of life for an hour.",
            f"If no edgekit is at work, go on from where it stopped: edgekit integrations run {quoted(name)}",
        )
    pending = connection.execute(
        "SELECT count(*) FROM dead_letter WHERE replay_status = 'pending'"
    ).fetchone()[0]
    if pending:
        what = f"Records that could not be used and wait for somebody: {pending}."
        yield Finding("warning", what, "edgekit dead-letters list")
    if not rows and not pending:
        yield Finding("ok", "No run is stuck, and no record waits.")


def _summaries(connection: sqlite3.Connection) -> Iterator[Finding]:
    if not connection.execute("SELECT 1 FROM client_summary").fetchone():
        return  # nobody reads it in this file
    (behind,) = connection.execute("SELECT count(*) FROM v_client_summary_stale").fetchone()
    if behind:
        what = f"client_summary does not say what the rows say, for {behind} client(s): it was not refreshed."
        yield Finding("warning", what, "edgekit monitoring refresh")
    else:
        yield Finding("ok", "client_summary says what the rows say.")


def _set_back(connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    """Find the last change that is dated before the one it came after."""
    jump = connection.execute(
        "SELECT t.performed_at, b.performed_at FROM audit_transaction t JOIN audit_transaction b"
        " ON b.id = t.id - 1 WHERE t.id > (SELECT max(id) - ? FROM audit_transaction)"
        " AND t.performed_at BETWEEN ? AND ? AND julianday(b.performed_at) - julianday(t.performed_at) > ?"
        " ORDER BY t.id DESC LIMIT 1",
        (_LOOKED_AT, clock.to_text(now - _RECENT), clock.to_text(now), _AHEAD / timedelta(days=1)),
    ).fetchone()
    if jump:
        yield Finding(
            "warning",
            f"The clock of this computer was set back: a change of {jump[0]} came after one of {jump[1]}.",
            "Let the clock be set by the network; what was due meanwhile is in: edgekit schedules list",
        )


def _clock(connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    (seen,) = connection.execute("SELECT clock_at FROM system").fetchone()
    if seen is not None:
        return  # with a licence there is more to say of it
    last = connection.execute(
        "SELECT performed_at FROM audit_transaction WHERE performed_at > ? ORDER BY id DESC LIMIT 1",
        (clock.to_text(now + _AHEAD),),
    ).fetchone()
    if last:
        yield Finding(
            "warning",
            f"A change was made at {last[0]}, and it is only {clock.to_text(now)}: a clock is wrong.",
            "Set the clock of this computer, and let it be set by the network.",
        )
    else:
        yield Finding("ok", "The clock goes on from the last change.")


def _licences(connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    if not connection.execute("SELECT 1 FROM license_file").fetchone():
        yield Finding("ok", "No licence is installed: nothing is blocked.")
        return
    from edgekit.licensing import proving

    found = proving.advice(connection, now)
    for what, do in found:
        yield Finding("warning", what, do)
    if not found:
        yield Finding("ok", "Every licence holds, for more than 30 days, and the clock goes on.")


def _vault(connection: sqlite3.Connection, path: Path, now: datetime) -> Iterator[Finding]:
    if not connection.execute("SELECT 1 FROM encryption_key").fetchone():
        yield Finding("ok", "No secret is stored.")
        return
    from edgekit import vault

    opened = db._current  # noqa: SLF001 - asking must not raise
    if opened is not None and opened.path.resolve() != path.resolve():
        what = "The master key was not checked: this program has another file open."
        yield Finding("warning", what, "Run: edgekit vault doctor")
        return
    try:
        with contextlib.nullcontext() if opened else db.open(path, actor=sqlite.SYSTEM_USER):
            yield from vault.doctor(now=now)
    except EdgekitError as error:  # the vault serves an opened file, which takes more than reading
        yield Finding("warning", f"The master key was not checked: {error.message}", error.hint or "")
