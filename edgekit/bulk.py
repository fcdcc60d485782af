"""Many rows at once into one table, audited like any other write.

Peewee builds a statement per row and costs eight to fifteen times the database's own work, so rows in bulk go
to `executemany` on the same connection, inside the same change. Rows the file refuses are handed back, each
with its rule; the rest is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from edgekit import db, rules
from edgekit.errors import DeniedError, InvalidError, NotFoundError, RuleError
from edgekit.mapping import ABSENT
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from edgekit.sqlite import Change

Row = Sequence[Any]

_OF_A_ROW = (
    sqlite3.IntegrityError,
    sqlite3.OperationalError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    UnicodeEncodeError,
)
"""What a single row's values can raise."""


@dataclass(slots=True)
class Written:
    """What became of a batch: rows accepted, rows that really changed, and (index, rule) of those refused."""

    accepted: int = 0
    changed: int = 0
    refused: list[tuple[int, RuleError]] = field(default_factory=list)


def table_columns(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return a table's columns as {name: declared type}.

    Raise NotFoundError with the names that come close.
    """
    found = dict(connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall())
    kind = connection.execute(
        "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE", (table,)
    ).fetchone()
    if not found or kind != ("table",):
        raise NotFoundError(
            f"There is no table {table}.", hint=_close(table, _tables(connection), "edgekit status")
        )
    return found


def unique_keys(connection: sqlite3.Connection, table: str) -> list[tuple[str, ...]]:
    """Return the column lists that identify a row: unique indexes over plain columns, and the id last."""
    keys = []
    for name, partial in connection.execute(
        'SELECT name, partial FROM pragma_index_list(?) WHERE "unique" = 1', (table,)
    ).fetchall():
        columns = [
            column for (column,) in connection.execute("SELECT name FROM pragma_index_info(?)", (name,))
        ]
        if not partial and all(columns):
            keys.append(tuple(columns))
    keys.extend(
        (name,)
        for (name,) in connection.execute(
            "SELECT name FROM pragma_table_info(?) WHERE pk = 1", (table,)
        ).fetchall()
    )
    return keys


def resolve_key(
    connection: sqlite3.Connection, table: str, key: Sequence[str], columns: Iterable[str]
) -> tuple[str, ...]:
    """Find the unique key that identifies a record of a table.

    `key` is what the user named, possibly nothing: then the only key all of whose columns are in `columns` is
    taken. The organization need not be named. Raise InvalidError with the table's keys.
    """
    keys = unique_keys(connection, table)
    given = {column.lower() for column in columns} | {"organization_id"}
    wanted = {column.lower() for column in key}
    for found in keys:
        names = {column.lower() for column in found}
        if wanted and wanted in (names, names - {"organization_id"}):
            return found
    fitting = [found for found in keys if {column.lower() for column in found} <= given]
    if not wanted and len(fitting) == 1:
        return fitting[0]
    known = " | ".join(",".join(c for c in found if c != "organization_id") or "id" for found in keys)
    if wanted:
        raise InvalidError(f"{table} has no unique key on {', '.join(key)}.", hint=f"Its keys are: {known}.")
    raise InvalidError(
        f"What identifies a record of {table}?", hint=f"Say it with --set key=… ; its keys are: {known}."
    )


def insert_rows(table: str, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Insert rows into a table of the opened file, all or none, and return how many.

    Needs an open change; its actor becomes `created_by`. Raise RuleError at the first row the file refuses.
    """
    connection = db.connection()
    with db.change():
        statement = _insert(connection, table, tuple(columns), _open_change())
        return connection.executemany(statement, rows).rowcount


def upsert_rows(
    table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Row], *, complete: bool = False
) -> Written:
    """Insert or update rows of the opened file by a unique key, in an open change.

    A row that is there already and equal is accepted and not touched. A value `mapping.ABSENT` leaves that
    column as it is (on insert: to its default); `complete` says that there is none. Refused rows come back
    with their rules; the order of rows is kept.
    """
    connection = db.connection()
    change = _open_change()
    written = Written()
    for positions, names, part in _same_columns(tuple(columns), rows, complete=complete):
        statement = _upsert(connection, table, names, tuple(key), change)
        _write(connection, table, names, statement, positions, part, written)
    return written


def _write(
    connection: sqlite3.Connection,
    table: str,
    names: tuple[str, ...],
    statement: str,
    positions: Sequence[int],
    rows: Sequence[Row],
    written: Written,
) -> None:
    """Write all rows in one go; where the file refuses one, undo and write them one by one to find which."""
    connection.execute("SAVEPOINT edgekit_bulk")
    try:
        changed = connection.executemany(statement, rows).rowcount
    except _OF_A_ROW as error:
        if not _is_of_a_row(error):
            raise
        connection.execute("ROLLBACK TO edgekit_bulk")
        for position, row in zip(positions, rows, strict=True):
            try:
                written.changed += connection.execute(statement, row).rowcount
            except _OF_A_ROW as refused:
                if not _is_of_a_row(refused):
                    raise
                written.refused.append((position, _refusal(connection, table, names, row, refused)))
            else:
                written.accepted += 1
    else:
        written.changed += changed
        written.accepted += len(rows)
    finally:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute("RELEASE edgekit_bulk")


def _is_of_a_row(error: Exception) -> bool:
    """Tell a refused row from a full disk: the text now in a time column is an operational error too."""
    return not isinstance(error, sqlite3.OperationalError) or isinstance(rules.translate(error), RuleError)


def _refusal(
    connection: sqlite3.Connection, table: str, names: Sequence[str], row: Row, error: Exception
) -> RuleError:
    if "FOREIGN KEY" in str(error):
        named = rules.explain_reference(connection, table, dict(zip(names, row, strict=True)))
        if named is not None:
            return named
    found = rules.translate(error, connection)
    if isinstance(found, DeniedError):
        return RuleError(table, "*", "denied", found.message)
    return found if isinstance(found, RuleError) else _unstorable(table, names, row, error)


def _unstorable(table: str, names: Sequence[str], row: Row, error: Exception) -> RuleError:
    """Name the column whose value SQLite cannot hold at all."""
    for name, value in zip(names, row, strict=True):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return RuleError(
                table, name, "range", f"{table}.{name} is beyond the largest whole number the file can hold."
            )
        if isinstance(value, str) and not _encodes(value):
            return RuleError(table, name, "format", f"{table}.{name} holds text that is not valid Unicode.")
        if not isinstance(value, int | float | str | bytes | None):
            return RuleError(
                table, name, "type", f"{table}.{name} must be a single value, not a {type(value).__name__}."
            )
    return RuleError(table, "*", "type", f"A value of {table} cannot be stored: {error}")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _same_columns(
    columns: tuple[str, ...], rows: Sequence[Row], *, complete: bool
) -> Iterator[tuple[Sequence[int], tuple[str, ...], Sequence[Row]]]:
    """Split a batch into runs of rows that give the same columns; nearly always that is the whole batch."""
    if complete or not any(ABSENT in row for row in rows):
        if rows:
            yield range(len(rows)), columns, rows
        return
    masks = [tuple(value is not ABSENT for value in row) for row in rows]
    for mask, group in groupby(range(len(rows)), key=lambda index: masks[index]):
        positions = list(group)
        names = tuple(name for name, given in zip(columns, mask, strict=True) if given)
        yield (
            positions,
            names,
            [tuple(value for value in rows[index] if value is not ABSENT) for index in positions],
        )


def _open_change() -> Change:
    change = db.current().open_change
    if change is None:
        raise InvalidError("Rows are written inside a change.", hint="with db.change(reason=…): …")
    return change


@lru_cache(maxsize=256)
def _shape(table: str, catalogue: int, site: str) -> frozenset[str]:
    """The columns of a table, read once per version of the catalogue of a file."""
    del catalogue, site
    return frozenset(table_columns(db.connection(), table))


def _fixed(
    connection: sqlite3.Connection, table: str, names: Sequence[str], change: Change
) -> dict[str, str]:
    """Columns every insert fills by itself, as SQL literals: the tenant, who, and when."""
    version = connection.execute("PRAGMA schema_version").fetchone()[0]
    have = _shape(table, version, db.current().site) - set(names)
    at = "'" + change.at + "'"
    literals = {
        "organization_id": str(db.current().session.organization_id),
        "created_by": str(db.current().actor_id),
        "created_at": at,
        "updated_at": at,
    }
    return {name: literal for name, literal in literals.items() if name in have}


def _insert(connection: sqlite3.Connection, table: str, names: tuple[str, ...], change: Change) -> str:
    fixed = _fixed(connection, table, names, change)
    columns = ", ".join(quote_name(name) for name in (*names, *fixed))
    values = ", ".join(["?"] * len(names) + list(fixed.values()))
    return f"INSERT INTO {quote_name(table)} ({columns}) VALUES ({values})"


def _upsert(
    connection: sqlite3.Connection,
    table: str,
    names: tuple[str, ...],
    key: tuple[str, ...],
    change: Change,
) -> str:
    version = connection.execute("PRAGMA schema_version").fetchone()[0]
    have = _shape(table, version, db.current().site)
    statement = _insert(connection, table, names, change)
    target = ", ".join(quote_name(name) for name in key)
    updated = [quote_name(name) for name in names if name not in key]
    if not updated:
        return f"{statement} ON CONFLICT ({target}) DO NOTHING"
    assignments = [f"{name} = excluded.{name}" for name in updated]
    if "updated_by" in have and "updated_by" not in names:
        assignments.append(f"updated_by = {db.current().actor_id}")
    if "updated_at" in have and "updated_at" not in names:
        assignments.append(f"updated_at = '{change.at}'")
    # Equal rows are not touched: no new updated_at, nothing in the log. BINARY, so that a change of case
    # counts.
    differs = " OR ".join(
        f"{quote_name(table)}.{name} IS NOT excluded.{name} COLLATE BINARY" for name in updated
    )
    return f"{statement} ON CONFLICT ({target}) DO UPDATE SET {', '.join(assignments)} WHERE {differs}"


def _tables(connection: sqlite3.Connection) -> list[str]:
    return [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name"
        )
    ]


def _close(word: str, known: Iterable[str], otherwise: str) -> str:
    """Suggest names that look like a mistyped one."""
    from difflib import get_close_matches

    matches = get_close_matches(word, list(known), n=3)
    return f"Did you mean {' or '.join(matches)}?" if matches else f"See: {otherwise}"
