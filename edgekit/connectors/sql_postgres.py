"""PostgreSQL as the other side, by psycopg 3."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.connectors.sql_sides import Place, Row, in_lists, need, quoted, translate, with_marks
from edgekit.connectors.sql_sqlite import on_conflict
from edgekit.connectors.sql_values import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edgekit.errors import EdgekitError

_AS_TEXT = ("date", "timestamp", "timestamptz", "numeric", "interval", "uuid", "time", "timetz")
"""Types whose own text is exact where Python's has a limit: years, infinity, months of an interval."""

_MISSING = {"42P01", "3D000", "3F000"}
_DENIED = {"42501", "28000", "28P01"}
_UNAVAILABLE = ("08", "53", "57P", "40", "55P03", "25006")


class PostgresSide:
    """An open connection to PostgreSQL."""

    def __init__(self, place: Place, *, writes: bool) -> None:
        self.place = place
        self._cursor: Any = None
        self._driver: Any = need("psycopg", extra="postgres")
        self.errors: tuple[type[Exception], ...] = (self._driver.Error,)
        known = {"host": place.host, "port": place.port, "user": place.user, "password": place.password}
        try:
            self._connection = self._driver.connect(
                dbname=place.database, connect_timeout=max(2, round(place.timeout_seconds)), autocommit=True,
                options="-c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 -c extra_float_digits=1",
                **{name: value for name, value in known.items() if value}, **place.options,
            )  # fmt: skip
            if not writes:
                self._connection.read_only = True
                self._connection.isolation_level = self._driver.IsolationLevel.REPEATABLE_READ
        except self._driver.Error as error:
            raise self.translate(error) from error
        self._exactly()

    def _exactly(self) -> None:
        """Read dates, times and numbers as PostgreSQL writes them, and JSON by our own decoder."""
        from psycopg.types.json import set_json_loads
        from psycopg.types.string import TextLoader

        for name in _AS_TEXT:
            self._connection.adapters.register_loader(name, TextLoader)
        set_json_loads(codec.loads, self._connection)

    def stream(self, sql: str, values: Row, size: int) -> tuple[list[str], Iterator[list[Row]]]:
        """Run a query by a cursor of the server, in a read-only transaction that sees one moment."""
        try:
            self._connection.autocommit = False
            self._cursor = cursor = self._connection.cursor(name="edgekit")
            cursor.itersize = size
            cursor.execute(with_marks(sql, "%s", len(values)), list(map(_written, values)))
        except self._driver.Error as error:
            raise self.translate(error) from error
        names = [column.name for column in cursor.description or ()]
        turn = [_TURN.get(column.type_code, plain) for column in cursor.description or ()]

        def fetch(count: int) -> list[Row]:
            try:
                rows = cursor.fetchmany(count)
            except self._driver.Error as error:
                raise self.translate(error) from error
            return [tuple(one(value) for one, value in zip(turn, row, strict=True)) for row in rows]

        return names, in_lists(fetch, size)

    def execute(self, sql: str, values: Row = ()) -> None:
        """Run a statement; what is wrong with a record's values is raised as it is."""
        self._run(
            lambda cursor: cursor.execute(with_marks(sql, "%s", len(values)), list(map(_written, values)))
        )

    def execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement for each row, in one go."""
        written = [tuple(map(_written, row)) for row in rows]
        self._run(lambda cursor: cursor.executemany(with_marks(sql, "%s", len(rows[0])), written))

    def _run(self, do: Callable[[Any], Any]) -> None:
        try:
            with self._connection.cursor() as cursor:
                do(cursor)
        except self._driver.Error as error:
            if self.is_of_a_record(error):
                raise
            raise self.translate(error) from error

    def begin(self) -> None:
        """Begin to write."""
        self.execute("BEGIN")

    def commit(self) -> None:
        """Make it last."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Undo it; where the connection is gone, the server does."""
        if not self._connection.closed:
            self.execute("ROLLBACK")

    def columns(self, table: str) -> dict[str, str]:
        """Return name and type of each column that can be written."""
        return dict(
            self._all(
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
                " WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped"
                " AND a.attgenerated = '' ORDER BY a.attnum",
                (self.quote(table),),
            )
        )

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        """Return the primary key, then the columns of each other unique index over plain columns."""
        rows = self._all(
            "SELECT array_agg(a.attname::text ORDER BY k.place) FROM pg_index i"
            " CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number"
            " WHERE i.indrelid = to_regclass(?) AND i.indisunique AND i.indpred IS NULL"
            " AND i.indexprs IS NULL"
            " AND k.place <= i.indnkeyatts GROUP BY i.indexrelid, i.indisprimary"
            " ORDER BY i.indisprimary DESC, i.indexrelid",
            (self.quote(table),),
        )
        return [tuple(columns) for (columns,) in rows]

    def _all(self, sql: str, values: Row) -> list[Any]:
        try:
            return list(self._connection.execute(with_marks(sql, "%s", len(values)), list(values)).fetchall())
        except self._driver.Error as error:
            raise self.translate(error) from error

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], *, alone: bool) -> str:
        """Write an INSERT with ON CONFLICT on the key."""
        del alone
        return on_conflict(self.quote, table, columns, key)

    def types(self) -> Mapping[str, str]:
        """Return the types of a new table."""
        return {
            "integer": "bigint", "float": "double precision", "boolean": "boolean", "text": "text",
            "json": "jsonb", "key": "text",
        }  # fmt: skip

    def quote(self, name: str) -> str:
        """Write a name; `schema.table` is a table in a schema."""
        return quoted(name, '"')

    def is_of_a_record(self, error: Exception) -> bool:
        """Constraints (class 23) and values that fit no column (class 22)."""
        state = str(getattr(error, "sqlstate", None) or "")
        return state[:2] in {"22", "23"} or (isinstance(error, self._driver.DataError) and not state)

    def translate(self, error: Exception) -> EdgekitError:
        """Say what PostgreSQL said, of the first of several places where it tried."""
        state = str(getattr(error, "sqlstate", None) or "")
        said = getattr(getattr(error, "diag", None), "message_primary", None) or _first(str(error))
        if state in _DENIED or "password authentication failed" in said or "no password supplied" in said:
            sort = "denied"
        elif state in _MISSING or ("database" in said and "does not exist" in said and not state):
            sort = "missing"
        elif (not state and isinstance(error, self._driver.OperationalError)) or state.startswith(
            _UNAVAILABLE
        ):
            sort = "unavailable"
        else:
            sort = "invalid"
        return translate(self.place, said, sort)

    def close(self) -> None:
        """Close the connection; what was not committed is undone."""
        if self._cursor is not None:
            with suppress(self._driver.Error):  # of a connection that is gone it goes too
                self._cursor.close()
        self._connection.close()


def _first(said: str) -> str:
    """Take the line that says why: the others repeat it for each address, or give advice."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[0].removeprefix("connection failed: ") if lines else "it cannot be reached"


def _written(value: Any) -> Any:
    """Hand over a value as text, which PostgreSQL reads by the column's type: it refuses, never rounds."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _zoned(value: Any) -> Any:
    """Write a time as ISO 8601 has it; a zone is UTC, for the session is."""
    if not isinstance(value, str):
        return plain(value)
    text = value.replace(" ", "T", 1) if " BC" not in value else value
    return text.removesuffix("+00") + "Z" if text.endswith("+00") else text


_TURN: Mapping[int, Callable[[Any], Any]] = {1114: _zoned, 1184: _zoned}
"""By the number of the type: timestamp, timestamptz."""
