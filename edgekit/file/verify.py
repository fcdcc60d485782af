"""Is the file what it should be? Every answer is a sentence a user may read."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import sqlite
from edgekit.audit import checks as audit_checks
from edgekit.audit.checks import Report
from edgekit.audit.pruning import floor_of
from edgekit.errors import EdgekitError, InvalidError
from edgekit.file import catalogue, history
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SHOWN = 20
"""How many rows of one kind are named before the rest is counted."""

# What integrity_check says of a row that breaks a rule; anything else it says is damage to the file itself.
_RULES = ("CHECK constraint failed", "NULL value in ", "non-", "NUMERIC value in ", "TEXT value in ")


def verify(path: str | Path) -> list[str]:
    """Compare a file with what it should be; return what is wrong in sentences, none if it is sound.

    Covers the catalogue (tables, columns, keys, rules, indexes, triggers, views, tracked tables), the pages,
    every foreign key, the log's numbering and its agreement with the rows, the seals of the log, and a change
    left open. Raise NotFoundError, CorruptError (not a file of ours) or MigrationNeededError (another
    schema). Reads one consistent state while others write.
    """
    return examine(path).findings


def examine(path: str | Path, *, quick: bool = False, anchors: Sequence[str | Path] = ()) -> Report:
    """Do what `verify` does, and say what is worth knowing besides.

    `quick` leaves out the rows and the older part of the log where seals are checked. Each of `anchors` is a
    backup, its manifest, or the hash of a seal: what the file must still contain. Raise InvalidError for one
    that is none.
    """
    path = Path(path)
    wanted = tuple(hashed for one in anchors if (hashed := read_anchor(one)))
    connection = sqlite.connect(path, read_only=True)
    try:
        sqlite.check_version(connection, path)
        with _snapshot(connection):
            seals = Report()
            found = findings(connection, quick=quick, anchors=wanted, facts=seals.facts)
        return Report(found, seals.facts)
    finally:
        connection.close()


def examine_log(
    path: str | Path, *, quick: bool = False, anchors: Sequence[str | Path] = (),
    archives: Sequence[str | Path] = (),
) -> Report:  # fmt: skip
    """Check the log alone: its seals, and whether the rows are what it says; and what archives hold of it."""
    path = Path(path)
    wanted = tuple(hashed for one in anchors if (hashed := read_anchor(one)))
    connection = sqlite.connect(path, read_only=True)
    try:
        sqlite.check_version(connection, path)
        with _snapshot(connection):
            report = audit_checks.check(connection, quick=quick, anchors=wanted)
            report.findings += _log(connection) + history.findings(connection)
        if archives:
            from edgekit.audit.archives import attached  # brings the whole generator along

            with attached(connection, archives), _snapshot(connection):
                held = audit_checks.check_archived(connection)
            report.findings += held.findings
            report.facts += held.facts
        return report
    finally:
        connection.close()


def read_anchor(anchor: str | Path) -> str | None:
    """Read the hash of a seal from a backup, its manifest, or as it is. None: nothing was sealed then.

    Raise InvalidError for what is none of these, CorruptError for a damaged backup.
    """
    path = Path(anchor)
    if not path.is_file():
        return audit_checks.anchor(str(anchor))
    from edgekit.file import encrypting

    encrypting.refuse(path)
    if zipfile.is_zipfile(path):
        from edgekit.file import backup

        said: Any = backup.read_manifest(path).seal
    else:
        try:
            said = json.loads(path.read_text(encoding="utf-8"))["seal"]
        except (ValueError, KeyError, TypeError):
            raise InvalidError(
                f"{path} is neither a backup nor a manifest.", hint="Name a backup, or the hash of a seal."
            ) from None
    if said is None:
        return None
    if not isinstance(said, dict) or "sha256" not in said:
        raise InvalidError(f"{path} names no seal.", hint="Name a backup, or the hash of a seal.")
    return audit_checks.anchor(str(said["sha256"]))


def findings(
    connection: sqlite3.Connection, *, with_catalogue: bool = True, quick: bool = False,
    anchors: tuple[str, ...] = (), facts: list[str] | None = None,
) -> list[str]:  # fmt: skip
    """Do what `examine` does on a connection; without the catalogue, for a file of an older schema."""

    def seals(connection: sqlite3.Connection) -> list[str]:
        report = audit_checks.check(connection, quick=quick, anchors=anchors)
        if facts is not None:
            facts.extend(report.facts)
        return report.findings

    checks: list[Callable[[sqlite3.Connection], list[str]]] = [
        integrity,
        lost_references,
        _log,
        history.findings,
    ]
    if with_catalogue:
        checks.insert(1, _catalogue)
        checks += [seals, _licences]
    found: list[str] = []
    with _snapshot(connection):
        for check in checks:
            try:
                found += check(connection)
            except EdgekitError as error:
                sentence = f"A tracked table cannot be checked: {error}"
            except (sqlite3.DatabaseError, ValueError) as error:  # names and SQL that are no text any more
                sentence = f"The file is damaged: {error}."
            else:
                continue
            if sentence not in found:
                found.append(sentence)
    return found


def _licences(connection: sqlite3.Connection) -> list[str]:
    """Check what vendors signed, where there is any: that brings in more than else is needed."""
    if connection.execute("SELECT 1 FROM vendor_key").fetchone() is None:
        return []
    from edgekit.licensing import proving

    return proving.findings(connection)


def damage(connection: sqlite3.Connection) -> list[str]:
    """Say what is wrong with the pages of the file, whatever is in its rows."""
    return [f"The file is damaged: {line}." for line in _integrity(connection) if not line.startswith(_RULES)]


def integrity(connection: sqlite3.Connection) -> list[str]:
    """Say what is damaged, and which tables hold rows that their own rules refuse: another tool's."""
    lines = _integrity(connection)
    counted = Counter(line for line in lines if line.startswith(_RULES))
    return [f"The file is damaged: {line}." for line in lines if not line.startswith(_RULES)] + [
        f"Rows break a rule of their table: {line} ({count}{' or more' if count >= _SHOWN else ''})."
        for line, count in counted.items()
    ]


def _integrity(connection: sqlite3.Connection) -> list[str]:
    try:
        rows = connection.execute(f"PRAGMA integrity_check({_SHOWN})").fetchall()
    except (sqlite3.DatabaseError, ValueError) as error:
        return [str(error)]
    return [line.strip() for (text,) in rows for line in text.splitlines() if text != "ok"]


@contextlib.contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read everything as of one moment; leave a transaction of the caller alone."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with contextlib.suppress(sqlite3.OperationalError):  # damage may have ended it
            connection.execute("ROLLBACK")


def _catalogue(connection: sqlite3.Connection) -> list[str]:
    wanted = catalogue.expected(connection)
    try:
        found = [difference.sentence for difference in catalogue.differences(connection, wanted)]
        for name, _, table_id in catalogue.tracked_tables(connection):
            if table_id is None:
                found.append(f"Table {name} is tracked but has no number in audit_table, so nothing logs it.")
        logged = dict(connection.execute("SELECT id, name FROM audit_table"))
        for number, name in wanted.execute("SELECT id, name FROM audit_table"):
            if logged.get(number) != name:
                found.append(
                    f"The log knows table {name} as number {number}, but audit_table says otherwise."
                )
        known = {number for (number,) in wanted.execute("SELECT id FROM audit_table")}
        for number, name in logged.items():
            if number < 1000 and number not in known:
                found.append(f"audit_table has a row for {name} that is not one of ours.")
        return found
    finally:
        wanted.close()


def lost_references(connection: sqlite3.Connection) -> list[str]:
    """Name every row that refers to one that does not exist."""
    counted: Counter[str] = Counter()
    found = []
    for table, rowid, parent, number in connection.execute("PRAGMA foreign_key_check"):
        if parent == "audit_gate":
            continue  # a change left open is said by its own sentence
        counted[table] += 1
        if counted[table] <= _SHOWN:
            found.append(_reference(connection, table, rowid, parent, number))
    found += [
        f"{table}: {count - _SHOWN} more rows refer to rows that do not exist."
        for table, count in counted.items()
        if count > _SHOWN
    ]
    return found


def _reference(
    connection: sqlite3.Connection, table: str, rowid: int | None, parent: str, number: int
) -> str:
    columns = connection.execute(
        'SELECT "from" FROM pragma_foreign_key_list(?) WHERE id = ? ORDER BY seq', (table, number)
    ).fetchall()
    names = [name for (name,) in columns]
    if rowid is None or not names:
        return f"A row of {table} refers to a row of {parent} that does not exist."
    wanted = ", ".join(quote_name(name) for name in names)
    values = connection.execute(
        f"SELECT {wanted} FROM {quote_name(table)} WHERE rowid = ?", (rowid,)
    ).fetchone()
    shown = ", ".join(str(value) for value in values)
    return f"{table} row {rowid}: {', '.join(names)} refers to {parent} {shown}, which does not exist."


def _log(connection: sqlite3.Connection) -> list[str]:
    """Look for holes in the log and for a change that was never closed."""
    found = []
    if connection.execute("SELECT 1 FROM system").fetchone() is None:
        found.append("system has no row: the file cannot be opened.")
    found += [
        f"Change {number} was left open by another program: every later write is counted as part of it."
        for (number,) in connection.execute("SELECT id FROM audit_transaction WHERE open_gate IS NOT NULL")
    ]
    if connection.execute("SELECT id FROM audit_gate WHERE id <> 0").fetchone():
        found.append("audit_gate has a row that must not be there: a change could stay open unseen.")
    floor, _ = floor_of(connection)
    count, last = connection.execute(
        "SELECT count(*), max(seq) FROM audit_log WHERE seq > ?", (floor,)
    ).fetchone()
    if count and last > floor + count:
        found += _holes(connection, floor, last - floor - count)
    lost = connection.execute(
        "SELECT count(*) FROM audit_log"
        " WHERE txn_id IS NULL OR txn_id NOT IN (SELECT id FROM audit_transaction)"
    ).fetchone()[0]
    if lost:
        found.append(f"{lost} entries of the log belong to a change that is not in audit_transaction.")
    return found


def _holes(connection: sqlite3.Connection, floor: int, missing: int) -> list[str]:
    rows = connection.execute(
        "SELECT before + 1, seq - 1"
        " FROM (SELECT seq, lag(seq, 1, ?1) OVER (ORDER BY seq) AS before FROM audit_log"
        " WHERE seq > ?1) WHERE seq > before + 1 LIMIT ?2",
        (floor, _SHOWN),
    ).fetchall()
    places = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in rows)
    return [f"{missing} entries of the log are missing: {places}."]
