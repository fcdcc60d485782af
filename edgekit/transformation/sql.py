"""SQL in a worker: queries of one table `input`, in a database that is nowhere but in memory."""

from __future__ import annotations

import math
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.errors import InvalidError
from edgekit.transformation.limits import Refusal, out_of_memory, out_of_time, too_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.transformation.limits import Limits

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN = {
    "changes", "edit", "fts3_tokenizer", "last_insert_rowid", "load_extension", "readfile", "total_changes",
    "writefile",
}  # fmt: skip
_TABLES = {"input", "json_each", "json_tree"}
_MAX_COLUMNS = 500
_WORD = 2**63
_STEPS = 1000  # of SQLite's machine between two looks at the clock: some 10 us


class Evaluator:
    """A query at work in a worker."""

    def __init__(self, text: str, limits: Limits, columns: Sequence[str]) -> None:
        if "\0" in text or not text.strip():
            raise Refusal("syntax", "is no query")
        self.text = text
        self.limits = limits
        self.columns = list(columns)
        self._deadline = math.inf
        self._is_ours = False
        self._insert = ""
        self._shape: list[str] | None = None
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("PRAGMA temp_store = MEMORY")
        for table in ("json_each", "json_tree"):  # once, while tables may be made: later they are known
            connection.execute(f"SELECT 1 FROM {table}('[]')").fetchall()
        connection.execute(f"PRAGMA hard_heap_limit = {self.limits.memory}")
        for category, limit in (
            (sqlite3.SQLITE_LIMIT_LENGTH, self.limits.output),
            (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
            (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        ):
            connection.setlimit(category, limit)
        connection.set_progress_handler(self._is_late, _STEPS)
        connection.set_authorizer(self._authorize)
        self._shape = None
        return connection

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _authorize(self, action: int, name: str | None, column: str | None, *_: str | None) -> int:
        if self._is_ours:
            return sqlite3.SQLITE_OK
        refused = action not in _ALLOWED
        if action == sqlite3.SQLITE_FUNCTION:
            refused = (column or "").lower() in _FORBIDDEN
        elif action == sqlite3.SQLITE_READ:  # without a column: something is only counted
            refused = (name or "").lower() not in _TABLES if column else (name or "").startswith("sqlite_")
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    def run(self, document: bytes, seconds: float) -> str:
        """Answer one record in JSON within so many seconds. Raise Refusal."""
        self._deadline = time.monotonic() + seconds
        try:
            self._fill(codec.loads(document))
            return codec.dumps(self._query())
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _refusal(error, seconds) from None
        except InvalidError as error:
            raise Refusal("output", f"gives what {error.message}") from None

    def _fill(self, document: Any) -> None:
        """Make the table: a row per record, a column per member, or per member the input schema knows."""
        records = document if isinstance(document, list) else [document]
        if not all(isinstance(record, dict) for record in records):
            raise Refusal("input", "takes an object, or a list of such: members are the columns")
        names = dict.fromkeys(self.columns)
        for record in records:
            names.update(dict.fromkeys(record))
        shape = list(names)
        self._is_ours = True
        try:
            if shape != self._shape:
                self._make(shape)
            else:
                self._connection.execute("DELETE FROM input")
            rows = ([_cell(record.get(name)) for name in shape] or [None] for record in records)
            self._connection.executemany(self._insert, rows)
        finally:
            self._is_ours = False

    def _make(self, names: list[str]) -> None:
        if len(names) > _MAX_COLUMNS:
            raise Refusal("input", f"takes no more than {_MAX_COLUMNS} members")
        if any("\0" in name for name in names) or len({name.lower() for name in names}) < len(names):
            raise Refusal("input", "takes no members whose names differ in capitals only, nor a NUL in one")
        self._shape = None
        self._connection.execute("DROP TABLE IF EXISTS input")
        quoted = ['"' + name.replace('"', '""') + '"' for name in names] or ['""']
        self._connection.execute(f"CREATE TABLE input ({', '.join(quoted)})")
        self._insert = f"INSERT INTO input VALUES ({', '.join('?' * len(quoted))})"
        self._shape = names

    def _query(self) -> list[dict[str, Any]]:
        cursor = self._connection.execute(self.text)
        if cursor.description is None:
            raise Refusal("syntax", "is no query: it starts with SELECT, WITH or VALUES")
        names = [entry[0] for entry in cursor.description]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise Refusal("output", f"gives two columns named {twice}: name one of them with AS")
        size, rows = 0, []
        width = sum(len(name) + 8 for name in names)
        for row in cursor:
            for value in row:
                if isinstance(value, bytes):
                    raise Refusal("output", "gives a blob, which is no JSON: use hex(…)")
                size += len(value) if isinstance(value, str) else 0
            size += width
            if size > self.limits.output:
                raise too_large(self.limits.output)
            rows.append(dict(zip(names, row, strict=True)))
        return rows


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return codec.dumps(value)
    if isinstance(value, int) and not -_WORD <= value < _WORD:
        raise Refusal("input", "cannot take a whole number of more than 64 bits: make it a text")
    return value


def _refusal(error: sqlite3.Error | sqlite3.Warning, seconds: float) -> Refusal:
    text = str(error)
    if text == "interrupted":
        return out_of_time(seconds)
    if "too big" in text or "out of memory" in text:
        return out_of_memory()
    if "not authorized" in text or "prohibited" in text or "authorization denied" in text:
        return Refusal("denied", "may only query the table input")
    if "one statement" in text:
        return Refusal("syntax", "is more than one statement")
    if "UTF-8" in text:
        return Refusal("output", "gives a text that is not UTF-8")
    if any(sign in text for sign in ("syntax error", "incomplete input", "unrecognized token", "overflow")):
        return Refusal("syntax", f"is no SQL: {text}")
    return Refusal("failed", f"fails: {text}")
