"""MySQL and MariaDB as the other side, by PyMySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.connectors.sql_sides import Place, Row, in_lists, need, quoted, translate, with_marks
from edgekit.connectors.sql_values import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edgekit.errors import EdgekitError

_DENIED = {1044, 1045, 1142, 1143, 1227, 1698}
_MISSING = {1049, 1146}
_UNAVAILABLE = {1040, 1053, 1158, 1159, 1160, 1161, 1205, 1213, 2002, 2003, 2006, 2013, 2055}
_OF_A_RECORD = {
    1048, 1062, 1136, 1216, 1217, 1264, 1265, 1292, 1364, 1366, 1406, 1411, 1451, 1452, 3140, 3819, 4025,
}  # fmt: skip
_DATE_TYPES = (7, 10, 12, 14)  # timestamp, date, datetime, newdate
_TIMESTAMP, _DATETIME, _JSON = 7, 12, 245


class MysqlSide:
    """An open connection to MySQL or MariaDB."""

    def __init__(self, place: Place, *, writes: bool) -> None:
        self.place = place
        self._driver: Any = need("pymysql", extra="mysql")
        self.errors: tuple[type[Exception], ...] = (self._driver.Error, OSError)
        from pymysql.constants import CLIENT
        from pymysql.converters import conversions

        conv: dict[Any, Any] = dict(conversions)
        for number in _DATE_TYPES:
            conv.pop(number, None)  # as text: it is exact, and there are dates Python does not have
        try:
            self._connection = self._driver.connect(
                host=place.host, port=place.port or 3306, user=place.user or None, password=place.password,
                database=place.database, charset=place.options.get("charset", "utf8mb4"), conv=conv,
                connect_timeout=max(2, round(place.timeout_seconds)), autocommit=True,
                client_flag=CLIENT.FOUND_ROWS, **_encryption(place),
                init_command="SET SESSION time_zone = '+00:00', net_write_timeout = 3600,"
                " sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
            )  # fmt: skip
        except (self._driver.Error, OSError) as error:
            raise self.translate(error) from error
        self._writes = writes

    def stream(self, sql: str, values: Row, size: int) -> tuple[list[str], Iterator[list[Row]]]:
        """Run a query whose rows come as they are read, in a read-only transaction that sees one moment."""
        from pymysql.cursors import SSCursor

        self._run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        cursor = self._connection.cursor(SSCursor)
        try:
            cursor.execute(with_marks(sql, "%s", len(values)) if values else sql, list(values) or None)
        except (self._driver.Error, OSError) as error:
            raise self.translate(error) from error
        names = [column[0] for column in cursor.description or ()]
        turn = [_TURN.get(column[1], plain) for column in cursor.description or ()]

        def fetch(count: int) -> list[Row]:
            try:
                rows = cursor.fetchmany(count)
            except (self._driver.Error, OSError) as error:
                raise self.translate(error) from error
            return [tuple(one(value) for one, value in zip(turn, row, strict=True)) for row in rows]

        return names, in_lists(fetch, size)

    def execute(self, sql: str, values: Row = ()) -> None:
        """Run a statement; what is wrong with a record's values is raised as it is."""
        self._run(sql, values)

    def _run(self, sql: str, values: Row = ()) -> list[Any]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(with_marks(sql, "%s", len(values)) if values else sql, list(values) or None)
                return list(cursor.fetchall())
        except (self._driver.Error, OSError) as error:
            if self.is_of_a_record(error):
                raise
            raise self.translate(error) from error

    def execute_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement for each row."""
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(with_marks(sql, "%s", len(rows[0])), [list(row) for row in rows])
        except (self._driver.Error, OSError) as error:
            if self.is_of_a_record(error):
                raise
            raise self.translate(error) from error

    def begin(self) -> None:
        """Begin to write."""
        self._run("START TRANSACTION")

    def commit(self) -> None:
        """Make it last."""
        self._run("COMMIT")

    def rollback(self) -> None:
        """Undo it; where the connection is gone, the server does."""
        if self._connection.open:
            self._run("ROLLBACK")

    def columns(self, table: str) -> dict[str, str]:
        """Return name and type of each column that can be written."""
        schema, name = self._split(table)
        rows = self._run(
            "SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = ?"
            " AND table_name = ? AND extra NOT LIKE ? ORDER BY ordinal_position",
            (schema, name, "%GENERATED%"),
        )
        return {str(column): str(kind) for column, kind in rows}

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        """Return the primary key, then the columns of each other unique index."""
        schema, name = self._split(table)
        rows = self._run(
            "SELECT index_name, column_name FROM information_schema.statistics WHERE table_schema = ?"
            " AND table_name = ? AND non_unique = 0"
            " ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index",
            (schema, name),
        )
        keys: dict[str, list[str]] = {}
        for index, column in rows:
            keys.setdefault(index, []).append(column)
        return [tuple(columns) for columns in keys.values()]

    def _split(self, table: str) -> tuple[str, str]:
        schema, _, name = table.rpartition(".")
        return schema or self.place.database, name

    def upsert(self, table: str, columns: Sequence[str], key: Sequence[str], *, alone: bool) -> str:
        """Write an INSERT that updates the row with the same key.

        MySQL would update the row of any unique key: where there is another one, a row that meets that one is
        refused by asking for a subquery of two rows.
        """
        names = ", ".join(map(self.quote, columns))
        marks = ", ".join("?" * len(columns))
        first = self.quote(key[0])
        same = " AND ".join(f"{self.quote(name)} <=> VALUES({self.quote(name)})" for name in key)
        others = [self.quote(name) for name in columns if name not in key]
        updated = [f"{n} = VALUES({n})" for n in others] or [f"{first} = {first}"]
        if not alone:
            guard = f"{first} = IF({same}, {first}, (SELECT 1 UNION ALL SELECT 2))"
            updated = [guard, *updated]
        into = f"INSERT INTO {self.quote(table)} ({names}) VALUES ({marks})"
        return f"{into} ON DUPLICATE KEY UPDATE {', '.join(updated)}"

    def types(self) -> Mapping[str, str]:
        """Return the types of a new table; a text that identifies a row has a length."""
        return {
            "integer": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN", "text": "LONGTEXT", "json": "JSON",
            "key": "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        }  # fmt: skip

    def quote(self, name: str) -> str:
        """Write a name; `database.table` is a table of another database."""
        return quoted(name, "`")

    def is_of_a_record(self, error: Exception) -> bool:
        """Constraints, values that fit no column, and a row that meets another unique key."""
        return _number(error) in _OF_A_RECORD | {1242}

    def translate(self, error: Exception) -> EdgekitError:
        """Say what MySQL said."""
        number = _number(error)
        said = str(error.args[-1]) if error.args else str(error)
        if number in _DENIED:
            sort = "denied"
        elif number in _MISSING:
            sort = "missing"
        elif number in _UNAVAILABLE or isinstance(error, OSError) or (not number and not self._is_open()):
            sort = "unavailable"
        else:
            sort = "invalid"
        return translate(self.place, said, sort)

    def _is_open(self) -> bool:
        return bool(getattr(getattr(self, "_connection", None), "open", False))

    def close(self) -> None:
        """Break the connection off: to read on to the end of a query only to leave it would take its time."""
        self._connection._force_close()  # noqa: SLF001 - PyMySQL has no other word for it


def _number(error: Exception) -> int:
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def _encryption(place: Place) -> dict[str, Any]:
    if "ssl_ca" in place.options:
        return {"ssl_ca": place.options["ssl_ca"], "ssl_verify_identity": True}
    return {"ssl": {"check_hostname": False}} if place.options.get("ssl") in {"true", "1"} else {}


def _moment(value: Any) -> Any:
    return value.replace(" ", "T", 1) if isinstance(value, str) else plain(value)


def _stamp(value: Any) -> Any:
    return f"{_moment(value)}Z" if isinstance(value, str) else plain(value)


def _document(value: Any) -> Any:
    return codec.loads(value) if isinstance(value, str | bytes) else value


_TURN: Mapping[int, Callable[[Any], Any]] = {_TIMESTAMP: _stamp, _DATETIME: _moment, _JSON: _document}
