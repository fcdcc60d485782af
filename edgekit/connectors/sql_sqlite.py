"""SQLite as the other side: another file than ours, opened read-only where it is read."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.connectors.sql_sides import Place, Row, in_lists, quoted, translate
from edgekit.connectors.sql_values import plain
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.errors import EdgekitError

_OF_A_RECORD = (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError, sqlite3.DataError)


class SqliteSide:
    """An open SQLite file."""

    errors = _OF_A_RECORD

    def __init__(self, place: Place, *, writes: bool) -> None:
        self.place = place
        path = Path(place.database)
        if not path.is_file() and not (writes and path.parent.is_dir()):
            raise NotFoundError(f"There is no file {place.database}.")
        mode = "rwc" if writes else "ro"
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=place.timeout_seconds,
                isolation_level=None, check_same_thread=False,
            )  # fmt: skip
            self._connection.execute("PRAGMA foreign_keys = ON" if writes else "PRAGMA query_only = ON")
            self._connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def stream(self, sql: str, values: Row, size: int) -> tuple[list[str], Iterator[list[Row]]]:
        """Run a query in a read transaction, which sees the file as it is now."""
        try:
            self._connection.execute("BEGIN")
            cursor = self._connection.execute(sql, list(values))
        except sqlite3.Error as error:
            raise self.translate(error) from error
        names = [column[0] for column in cursor.description or ()]

        def fetch(count: int) -> list[Row]:
            try:
                return [tuple(map(plain, row)) for row in cursor.fetchmany(count)]
            except sqlite3.Error as error:
                raise self.translate(error) from error

        return names, in_lists(fetch, size)

    def execute(self, sql: str, values: Row = ()) -> None:
        """Run a statement; what is wrong with a record's values is raised as it is."""
        try:
            self._connection.execute(sql, list(values))
        except _OF_A_RECORD:
            raise
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement for each row."""
        try:
            self._connection.executemany(sql, rows)
        except _OF_A_RECORD:
            raise
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def begin(self) -> None:
        """Begin to write."""
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make it last, over a loss of power too."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Undo it."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def columns(self, table: str) -> dict[str, str]:
        """Return name and declared type of each column."""
        sql = "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden IN (0, 2, 3)"
        return dict(self._connection.execute(sql, (table,)).fetchall())

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        """Return the primary key, then the columns of each unique index that is not partial."""
        sql = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
        keys = [tuple(name for (name,) in self._connection.execute(sql, (table,)))]
        listed = 'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial'
        for (index,) in self._connection.execute(listed, (table,)).fetchall():
            found = self._connection.execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
            keys.append(tuple(name for (name,) in found))
        return [key for key in dict.fromkeys(keys) if key and all(key)]

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], *, alone: bool) -> str:
        """Write an INSERT with ON CONFLICT on the key."""
        del alone
        return on_conflict(self.quote, table, columns, key)

    def types(self) -> Mapping[str, str]:
        """Return the types of a new table."""
        return {
            "integer": "INTEGER", "float": "REAL", "boolean": "INTEGER", "text": "TEXT", "json": "TEXT",
            "key": "TEXT",
        }  # fmt: skip

    def quote(self, name: str) -> str:
        """Write a name; a dot in it is part of it, for there are no schemas."""
        return '"' + name.replace('"', '""') + '"' if "." in name else quoted(name, '"')

    def is_of_a_record(self, error: Exception) -> bool:
        """Constraints, and numbers or text SQLite cannot hold."""
        return isinstance(error, _OF_A_RECORD)

    def translate(self, error: Exception) -> EdgekitError:
        """Say what SQLite said."""
        said = str(error)
        sort = "invalid"
        if "unable to open" in said or "no such table" in said:
            sort = "missing"
        elif "locked" in said or "busy" in said or "disk I/O" in said:
            sort = "unavailable"
        elif "readonly" in said:
            sort = "denied"
        return translate(self.place, said, sort)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def on_conflict(quote: Any, table: str, columns: Sequence[str], key: Sequence[str]) -> str:
    """Write an upsert as SQLite and PostgreSQL know it."""
    names = ", ".join(map(quote, columns))
    marks = ", ".join("?" * len(columns))
    others = [quote(name) for name in columns if name not in key]
    what = f"UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in others)}" if others else "NOTHING"
    target = ", ".join(map(quote, key))
    return f"INSERT INTO {quote(table)} ({names}) VALUES ({marks}) ON CONFLICT ({target}) DO {what}"
