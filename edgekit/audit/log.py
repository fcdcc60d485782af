"""Reading the log: what happened, who set each value, and how rows were at any moment.

Everything here takes a plain connection and only reads. Secret columns (`*_ciphertext`, `*_hash`) are not in
the log; they are None wherever a row is rebuilt.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock
from edgekit.audit.archives import attached
from edgekit.audit.shape import is_secret, name_sql, read_fields, read_table
from edgekit.errors import CorruptError, InvalidError, NotFoundError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from edgekit.audit.shape import Fields, Table

_ENTRY = """
SELECT l.seq, t.name, l.record_key, l.action, CAST(l.changes AS BLOB),
  x.actor, x.correlation_id, x.reason, x.performed_at
FROM audit_log l
LEFT JOIN audit_table t ON t.id = l.table_id
LEFT JOIN audit_transaction x ON x.id = l.txn_id"""


@dataclass(frozen=True)
class Entry:
    """One changed row.

    `action` is I(nsert), U(pdate), D(elete) or S(chema). `changes` is `{column: [old, new]}` of an update,
    the old row of a deletion, empty for an insert. `actor` is None for an edit by another tool, and `reason`
    is then `direct`.
    """

    seq: int
    table_name: str
    record_key: int | None
    action: str
    changes: dict[str, Any]
    old_values: dict[str, Any] | None
    new_values: dict[str, Any] | None
    actor: str | None
    correlation_id: str | None
    reason: str | None
    performed_at: str


@dataclass(frozen=True)
class Blame:
    """Who gave a column the value it has. All else is None for a row older than the log."""

    column: str
    value: Any
    actor: str | None
    performed_at: str | None
    seq: int | None
    reason: str | None


def entries(
    connection: sqlite3.Connection,
    *,
    table: str | None = None,
    record: int | str | None = None,
    actor: str | None = None,
    since: datetime | str | None = None,
    limit: int | None = 100,
    inserted_values: bool = True,
    archives: Sequence[str | Path] = (),
) -> list[Entry]:
    """List log entries, the newest first, those of up to nine archives too.

    `since` is a time with its zone, included. `new_values` of an insert is the row as inserted, rebuilt from
    what followed; `inserted_values=False` spares that look-up for each and leaves it None. Raise
    NotFoundError for a table or record the file has never had, InvalidError for a time that is none.
    """
    if archives:
        with attached(connection, archives):
            return entries(
                connection, table=table, record=record, actor=actor, since=since, limit=limit,
                inserted_values=inserted_values,
            )  # fmt: skip
    if record is not None and table is None:
        raise InvalidError("A record is named by its table and its id.", hint="Name the table as well.")
    conditions, values = ["1"], list[Any]()
    if table is not None:
        table, number = _table_id(connection, table)
        conditions.append("l.table_id = ?")
        values.append(number)
        if record is not None:
            key = _record_key(table, record)
            _require_record(connection, table, number, key)
            conditions.append("l.record_key = ?")
            values.append(key)
    if actor is not None:
        _require_actor(connection, actor)
        conditions.append("x.actor = ?")
        values.append(actor)
    if since is not None:
        conditions.append("l.seq >= ?")
        values.append(_first_entry(connection, _last_change(connection, utc_text(since), included=False)))
    rows = connection.execute(
        f"{_ENTRY} WHERE {' AND '.join(conditions)} ORDER BY l.seq DESC LIMIT ?",
        (*values, -1 if limit is None else limit),
    )
    found = [_entry(row) for row in rows.fetchall()]
    if inserted_values:
        shapes: dict[str, tuple[int, Fields | None]] = {}
        found = [_with_inserted(connection, e, shapes) if e.action == "I" else e for e in found]
    return found


def blame(connection: sqlite3.Connection, table: str, record: int | str) -> list[Blame]:
    """Tell for each column of one row who gave it its value, and when.

    A column nobody changed since is the inserter's. Secret columns are named without their value. Raise
    NotFoundError if the row does not exist now.
    """
    table, number = _table_id(connection, table)
    key = _record_key(table, record)
    shape = read_table(connection, table, references=())
    row = _live(connection, shape, key).get(key)
    if row is None:
        _require_record(connection, table, number, key)
        raise NotFoundError(
            f"{table} {key} is deleted.", hint="Its entries in the log say by whom; as_of shows it as it was."
        )
    setter: dict[str, Entry] = {}
    deleted = 0
    for entry in _later(connection, number, key):
        if entry.action == "D":
            setter, deleted = {}, entry.seq
        else:
            setter.update(dict.fromkeys(entry.changes, entry))
    if setter.keys() < row.keys():
        inserted = _insert_of_live(connection, number, key, after=deleted)
        setter = {**dict.fromkeys(row, inserted), **setter} if inserted else setter
    return [_blame(column, value, setter.get(column)) for column, value in row.items()]


def _blame(column: str, value: Any, entry: Entry | None) -> Blame:
    if entry is None:
        return Blame(column, value, None, None, None, None)
    return Blame(column, value, entry.actor, entry.performed_at, entry.seq, entry.reason)


def as_of(
    connection: sqlite3.Connection, moment: datetime | str, table: str, record: int | str | None = None
) -> list[dict[str, Any]]:
    """Rebuild the rows of a table, or one of them, exactly as they were at a moment, by rising id.

    Changes made at the very moment are in. A row that did not exist then is not in the answer. `-0.0` reads
    0.0; generated columns are left out. Raise NotFoundError for a table or record the file has never had,
    InvalidError for a time that is none, and CorruptError if rows and log contradict each other.
    """
    from edgekit.audit.leaving import is_followed
    from edgekit.audit.pruning import require_kept

    at = utc_text(moment)
    table, number = _table_id(connection, table)
    key = None if record is None else _record_key(table, record)
    if key is not None:
        _require_record(connection, table, number, key)
    require_kept(connection, table, at)
    shape = read_table(connection, table, references=())
    connection.execute("SAVEPOINT audit_as_of")  # the rows and the log as of one commit
    try:
        rows = _live(connection, shape, key) if is_followed(connection, table) else {}
        for step in _backwards(connection, number, key, after=_last_change(connection, at)):
            _undo(rows, shape, *step)
    finally:
        connection.execute("RELEASE audit_as_of")
    columns = [shape.key, *(c.name for c in shape.columns)]
    return [{**dict.fromkeys(columns), **rows[k]} for k in sorted(rows)]


def _undo(
    rows: dict[int, dict[str, Any]], shape: Table, seq: int, key: int, action: str, text: bytes | None
) -> None:
    """Take one entry back from the rows."""
    if action == "S":
        return
    if (action == "D") is (key in rows):
        raise CorruptError(
            f"{shape.name} {key} does not fit entry {seq} of the log.",
            hint="It was changed past the triggers; verify the file.",
        )
    if action == "I":
        del rows[key]
    elif action == "D":
        rows[key] = {shape.key: key, **read_changes(text)}
    else:
        rows[key].update({column: pair[0] for column, pair in read_changes(text).items()})


def _with_inserted(
    connection: sqlite3.Connection, entry: Entry, shapes: dict[str, tuple[int, Fields | None]]
) -> Entry:
    """Fill in the row as it was inserted: first old values, and what never changed since."""
    record = entry.record_key
    if record is None:
        return entry
    if entry.table_name not in shapes:
        name, number = _table_id(connection, entry.table_name)
        shapes[entry.table_name] = number, read_fields(connection, name)
    number, shape = shapes[entry.table_name]
    first: dict[str, Any] = {}
    rest: dict[str, Any] | None = None
    for later in _later(connection, number, record, after=entry.seq):
        if later.action == "D":
            rest = later.changes
            break
        for column, pair in later.changes.items():
            first.setdefault(column, pair[0])
    if rest is None and shape is not None:
        rest = _live(connection, shape, record).get(record)
    if rest is None:
        return entry
    key = {shape.key: record} if shape else {}
    return Entry(**{**entry.__dict__, "new_values": {**key, **rest, **first}})


def _live(
    connection: sqlite3.Connection, shape: Table | Fields, key: int | None
) -> dict[int, dict[str, Any]]:
    columns = [c if isinstance(c, str) else c.name for c in shape.columns]
    secret = {name for name in columns if is_secret(name)}
    selected = ", ".join("NULL" if c in secret else name_sql(c) for c in columns)
    sql = f"SELECT {', '.join(filter(None, [name_sql(shape.key), selected]))} FROM {name_sql(shape.name)}"
    if key is None:
        rows = connection.execute(sql)
    else:
        rows = connection.execute(f"{sql} WHERE {name_sql(shape.key)} = ?", (key,))
    names = [shape.key, *columns]
    return {row[0]: dict(zip(names, row, strict=True)) for row in map(tuple, rows)}


def _later(connection: sqlite3.Connection, number: int, key: int, after: int = 0) -> Iterator[Entry]:
    """One record's updates and deletions, the oldest first: what the index of the log holds."""
    rows = connection.execute(
        f"{_ENTRY} WHERE l.action <> 'I' AND l.table_id = ? AND l.record_key = ? AND l.seq > ?"
        " ORDER BY l.seq",
        (number, key, after),
    )
    return map(_entry, rows)


def _insert_of_live(connection: sqlite3.Connection, number: int, key: int, after: int) -> Entry | None:
    """Find the insert of a row that lives, its last one. Inserts have no index: read the log from its end."""
    row = connection.execute(
        f"{_ENTRY} WHERE +l.action = 'I' AND +l.table_id = ? AND +l.record_key = ? AND l.seq > ?"
        " ORDER BY l.seq DESC LIMIT 1",
        (number, key, after),
    ).fetchone()
    return row and _entry(row)


def _backwards(
    connection: sqlite3.Connection, number: int, key: int | None, *, after: int
) -> Iterator[tuple[int, int, str, bytes | None]]:
    """Yield seq, key, action and changes of what was logged after a change, the newest first."""
    condition, values = ("", ()) if key is None else (" AND +record_key = ?", (key,))
    rows = connection.execute(
        "SELECT seq, record_key, action, CAST(changes AS BLOB) FROM audit_log"
        f" WHERE +table_id = ? AND seq >= ?{condition} ORDER BY seq DESC",
        (number, _first_entry(connection, after), *values),
    )
    return map(tuple, rows)


def _first_entry(connection: sqlite3.Connection, after: int) -> int:
    """Find the first entry of a later change: seq and txn_id rise together, so halve the way."""
    # One query for both would read the whole log.
    (low,) = connection.execute("SELECT ifnull(min(seq), 1) FROM audit_log").fetchone()
    (high,) = connection.execute("SELECT ifnull(max(seq), 0) + 1 FROM audit_log").fetchone()
    while low < high:
        middle = (low + high) // 2
        sql = "SELECT seq, txn_id FROM audit_log WHERE seq >= ? ORDER BY seq LIMIT 1"
        seq, change = connection.execute(sql, (middle,)).fetchone()
        low, high = (seq + 1, high) if change <= after else (low, middle)
    return int(low)


def _last_change(connection: sqlite3.Connection, at: str, *, included: bool = True) -> int:
    """Find the last change made by then. If the clock was set back, the later of two claims counts."""
    row = connection.execute(
        f"SELECT id FROM audit_transaction WHERE performed_at {'<=' if included else '<'} ?"
        " ORDER BY id DESC LIMIT 1",
        (at,),
    ).fetchone()
    return row[0] if row else 0


def _table_id(connection: sqlite3.Connection, table: str) -> tuple[str, int]:
    row = connection.execute("SELECT name, id FROM audit_table WHERE name = ?", (table,)).fetchone()
    if row is None:
        known = [r[0] for r in connection.execute("SELECT name FROM audit_table ORDER BY name")]
        near = difflib.get_close_matches(table.lower(), known)
        raise NotFoundError(
            f"There is no audited table {table!r}.",
            hint=f"Did you mean {' or '.join(near)}?" if near else None,
        )
    return row[0], row[1]


def _record_key(table: str, record: int | str) -> int:
    try:
        return int(record)
    except ValueError:
        raise InvalidError(f"{record!r} is no id of {table}.", hint="An id is a whole number.") from None


def _require_actor(connection: sqlite3.Connection, actor: str) -> None:
    """Raise NotFoundError for a name that is no user's and stands in no change: it is misspelt."""
    known = (
        "SELECT EXISTS (SELECT 1 FROM user WHERE username = ?1)"
        " OR EXISTS (SELECT 1 FROM audit_transaction WHERE actor = ?1)"
    )
    if not connection.execute(known, (actor,)).fetchone()[0]:
        names = [name for (name,) in connection.execute("SELECT username FROM user ORDER BY id LIMIT 10")]
        raise NotFoundError(f"There is no user {actor!r} in this file.", hint=f"Users: {', '.join(names)}.")


def _require_record(connection: sqlite3.Connection, table: str, number: int, key: int) -> None:
    """Raise NotFoundError for a record that is neither live nor in the log as deleted."""
    shape = read_table(connection, table, references=())
    own, this = name_sql(shape.name), name_sql(shape.key)
    deleted = "SELECT 1 FROM audit_log WHERE action <> 'I' AND table_id = ? AND record_key = ?"
    if connection.execute(
        f"SELECT 1 FROM {own} WHERE {this} = ? UNION ALL {deleted} LIMIT 1", (key, number, key)
    ).fetchone():
        return
    near = connection.execute(f"SELECT {this} FROM {own} ORDER BY abs({this} - ?) LIMIT 3", (key,)).fetchall()
    hint = (
        "There is " + ", ".join(str(n) for n in sorted(row[0] for row in near)) + "."
        if near
        else "The table is empty."
    )
    raise NotFoundError(f"There is no {table} {key}, nor was there ever.", hint=hint)


def utc_text(when: datetime | str) -> str:
    """Read a time with its zone; a day alone is its beginning in UTC."""
    if isinstance(when, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", when):
        when += "T00:00:00Z"
    try:
        at = clock.from_text(when) if isinstance(when, str) else when
        if at.tzinfo is None:
            raise ValueError(when)
        return clock.to_text(at)
    except (ValueError, OverflowError):
        raise InvalidError(
            f"{str(when)!r} is no time with its zone.",
            hint="Write it like 2026-01-31, 2026-01-31T09:05:00Z or 2026-01-31T10:05:00+01:00.",
        ) from None


def _entry(row: Any) -> Entry:
    seq, table, key, action, text, actor, correlation_id, reason, performed_at = row
    changes = read_changes(text)
    old = new = None
    if action == "U":
        old = {column: pair[0] for column, pair in changes.items()}
        new = {column: pair[1] for column, pair in changes.items()}
    elif action == "D":
        old = changes
    return Entry(seq, table, key, action, changes, old, new, actor, correlation_id, reason, performed_at)


def read_changes(text: bytes | str | None) -> Any:
    """Read what an entry says was changed, its BLOBs as bytes and its secrets as None."""
    if isinstance(text, bytes):  # text that is not UTF-8 went into the log as it was
        text = text.decode("utf-8", "surrogateescape")
    return _DECODER.decode(text) if text else {}


def _value(found: dict[str, Any]) -> Any:
    """Read the two markers back. No value of a row is ever an object: JSON columns are text."""
    if found.keys() == {"$blob"}:
        return bytes.fromhex(found["$blob"])
    if found.keys() == {"$secret"}:
        return None
    return found


_DECODER = json.JSONDecoder(object_hook=_value)
