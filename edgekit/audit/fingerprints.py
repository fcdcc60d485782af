"""What every audited row was like at one point of the log, so that an edit past the triggers shows.

`audit_row` holds a hash of each row and the entry of the log it is as of; `audit_fingerprint` sums it up by
table, and each seal vouches for the sums. Both are brought up to date by sealing, for the rows the log names
and no others. A row that differs from its hash, and that no later entry explains, was edited past the log.

What cannot be seen: an edit of a value between the insert of its row and the first seal after it (an insert
is logged by its key alone), and secret columns of a row between two seals that both changed it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit.audit import encoding
from edgekit.audit.log import read_changes
from edgekit.audit.shape import name_sql, read_table
from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from edgekit.audit.shape import Table

_SHOWN = 20
_STEPS = """
SELECT action, changes FROM audit_log
WHERE action <> 'I' AND table_id = ? AND record_key = ? AND seq > ? ORDER BY seq DESC"""


class _Kept(NamedTuple):
    """What is stored of a row."""

    seq: int
    hash: bytes


class _Named(NamedTuple):
    """How some entries name a row: the last of them, and what the first of them did."""

    seq: int
    first: str


class Difference(NamedTuple):
    """A row that is not what the log says."""

    table: str
    record: int
    sentence: str


def take(
    connection: sqlite3.Connection, entries: Sequence[Sequence[Any]], shapes: dict[int, Table | None]
) -> tuple[str, list[list[int]]]:
    """Bring the hashes of the rows up to date that some entries name.

    Return the hash over all sums, and (table, id) of each row whose values contradict the log. Call it with
    text read exactly, inside the transaction of the seal, and with the same `shapes`, which it fills,
    throughout that.
    """
    (top,) = connection.execute("SELECT ifnull(max(seq), 0) FROM audit_log").fetchone()
    touched: dict[int, dict[int, _Named]] = {}
    for seq, _, table_id, key, action, _ in entries:
        if action in ("I", "U", "D") and type(key) is int and type(table_id) is int:
            keys = touched.setdefault(table_id, {})
            first = keys[key].first if key in keys else action
            keys[key] = _Named(seq, first)
    contradictions: list[list[int]] = []
    for table_id, keys in sorted(touched.items()):
        if table_id not in shapes:
            shapes[table_id] = shape_of(connection, table_id)
        shape = shapes[table_id]
        if shape is None:
            continue
        if _stored_columns(connection, table_id) not in (None, _columns(shape)):
            _take_table(connection, shape, table_id)  # a column is gone: nothing to compare with
        else:
            contradictions += ([table_id, key] for key in _take(connection, shape, table_id, keys, top))
    return total(connection), contradictions


def _take(
    connection: sqlite3.Connection, shape: Table, table_id: int, keys: dict[int, _Named], top: int
) -> list[int]:
    among, wanted = _among(keys)
    stored = {
        key: _Kept(seq, known)
        for key, seq, known in connection.execute(
            f"SELECT record_key, seq, hash FROM audit_row WHERE table_id = ? AND record_key {among}",
            (table_id, *wanted),
        )
    }
    stepped = {
        key
        for (key,) in connection.execute(
            f"SELECT record_key FROM audit_log WHERE action <> 'I' AND table_id = ? AND record_key {among}",
            (table_id, *wanted),
        )
    }
    sql = f"{_select(shape)} WHERE {name_sql(shape.key)} {among}"
    live = {row[0]: row[1:] for row in encoding.fetch_exact(connection, sql, wanted)}
    wrong, gone, there = [], [], []
    for key, named in keys.items():
        kept = stored.get(key)
        if kept is not None and kept.seq >= named.seq:
            continue  # hashed since
        # A table that is tracked again has its rows logged as made again.
        known = None if named.first == "I" else kept
        if (known or key in stepped) and _contradicts(
            connection, shape, table_id, key, known, live.get(key), after=kept.seq if kept else 0
        ):
            wrong.append(key)
        if key in live:
            there.append((table_id, key, top, encoding.row_hash(table_id, key, live[key])))
        elif kept is not None:
            gone.append(key)
    renewed = [stored[row[1]].hash for row in there if row[1] in stored]
    minus = [*renewed, *(stored[key].hash for key in gone)]
    _sum_up(connection, shape, table_id, [row[3] for row in there], minus)
    connection.executemany(
        "INSERT INTO audit_row(table_id, record_key, seq, hash) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
        there,
    )
    connection.executemany(
        "DELETE FROM audit_row WHERE table_id = ? AND record_key = ?", [(table_id, key) for key in gone]
    )
    return wrong


def _sum_up(
    connection: sqlite3.Connection,
    shape: Table,
    table_id: int,
    plus: list[bytes],
    minus: list[bytes],
) -> None:
    row = connection.execute(
        "SELECT sum, row_count FROM audit_fingerprint WHERE table_id = ?", (table_id,)
    ).fetchone()
    before, count = (int.from_bytes(row[0], "big"), row[1]) if row else (0, 0)
    after = encoding.add_up(before, plus, minus).to_bytes(encoding.HASH_SIZE, "big")
    connection.execute(
        "INSERT INTO audit_fingerprint(table_id, columns, row_count, sum) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET row_count = excluded.row_count, sum = excluded.sum",
        (table_id, _columns(shape), count + len(plus) - len(minus), after),
    )


def total(connection: sqlite3.Connection) -> str:
    """Hash the sums of all tables."""
    rows = connection.execute(
        "SELECT table_id, columns, row_count, sum FROM audit_fingerprint ORDER BY table_id"
    )
    return hashlib.sha256("\n".join(encoding.encode(row) for row in rows).encode()).hexdigest()


def take_anew(connection: sqlite3.Connection, *, all_of_them: bool) -> bool:
    """Take the hashes of all rows as they are now, or only of tables that have other columns since.

    Return whether anything was done.
    """
    done = False
    for (table_id,) in connection.execute("SELECT id FROM audit_table ORDER BY id").fetchall():
        shape = shape_of(connection, table_id, as_sealed=False)
        stored = _stored_columns(connection, table_id)
        if shape is not None and (all_of_them or (stored is not None and stored != _columns(shape))):
            _take_table(connection, shape, table_id)
            done = True
        elif shape is None and stored is not None:  # the table is gone
            _forget(connection, table_id)
            done = True
    return done


def _take_table(connection: sqlite3.Connection, shape: Table, table_id: int) -> None:
    _forget(connection, table_id)
    (top,) = connection.execute("SELECT ifnull(max(seq), 0) FROM audit_log").fetchone()
    hashes = []
    for key, values in _live(connection, shape):
        hashes.append(encoding.row_hash(table_id, key, values))
        connection.execute(
            "INSERT INTO audit_row(table_id, record_key, seq, hash) VALUES (?, ?, ?, ?)",
            (table_id, key, top, hashes[-1]),
        )
    if hashes:
        _sum_up(connection, shape, table_id, hashes, [])


def _forget(connection: sqlite3.Connection, table_id: int) -> None:
    connection.execute("DELETE FROM audit_row WHERE table_id = ?", (table_id,))
    connection.execute("DELETE FROM audit_fingerprint WHERE table_id = ?", (table_id,))


def _stored_columns(connection: sqlite3.Connection, table_id: int) -> str | None:
    found = connection.execute("SELECT columns FROM audit_fingerprint WHERE table_id = ?", (table_id,))
    row = found.fetchone()
    return row and str(row[0])


def sweep(connection: sqlite3.Connection) -> Iterator[Difference]:
    """Compare every audited row with its hash; yield those that no entry of the log explains.

    Rows made since the last seal have no hash yet; whether the log made them is asked by `verify` as well.
    """
    with encoding.exact_text(connection):
        for table_id, shape in shapes(connection):
            columns = _stored_columns(connection, table_id)
            if columns is None:
                continue
            if columns != _columns(shape):
                yield Difference(shape.name, 0, f"{shape.name} lacks columns it had when it was sealed.")
                continue
            yield from _differences(connection, shape, table_id)


def _differences(connection: sqlite3.Connection, shape: Table, table_id: int) -> Iterator[Difference]:
    this = name_sql(shape.key)
    columns = ", ".join(f"t.{name_sql(name)}" for name in (shape.key, *(c.name for c in shape.columns)))
    rows = connection.execute(
        f"SELECT r.seq, r.hash, {columns} FROM {name_sql(shape.name)} t"
        f" JOIN audit_row r ON r.table_id = ? AND r.record_key = t.{this} ORDER BY t.{this}",
        (table_id,),
    )
    shown = 0
    for seq, known, key, *row in rows:
        kept, values = _Kept(seq, known), tuple(row)
        if encoding.row_hash(table_id, key, values) == known:
            continue
        if _contradicts(connection, shape, table_id, key, kept, values, after=kept.seq):
            shown += 1
            if shown > _SHOWN:
                yield Difference(shape.name, 0, f"{shape.name}: more rows were changed past the log.")
                return
            yield Difference(
                shape.name,
                key,
                f"{shape.name} row {key} was changed past the log: no entry explains its values.",
            )


def sums_differ(connection: sqlite3.Connection) -> list[str]:
    """Name the tables whose hashes do not add up to what is stored of them."""
    found: dict[int, tuple[int, int]] = {}
    for table_id, known in connection.execute("SELECT table_id, hash FROM audit_row"):
        count, so_far = found.get(table_id, (0, 0))
        found[table_id] = (count + 1, so_far + int.from_bytes(known, "big"))
    stored = {
        table_id: (count, int.from_bytes(known, "big"))
        for table_id, count, known in connection.execute(
            "SELECT table_id, row_count, sum FROM audit_fingerprint"
        )
    }
    names = dict(connection.execute("SELECT id, name FROM audit_table"))
    return [
        str(names.get(number, number))
        for number in sorted(found.keys() | stored.keys())
        if stored.get(number, (0, 0))
        != (found.get(number, (0, 0))[0], found.get(number, (0, 0))[1] % (1 << 8 * encoding.HASH_SIZE))
    ]


def _contradicts(
    connection: sqlite3.Connection, shape: Table, table_id: int, key: int, kept: _Kept | None,
    values: tuple[Any, ...] | None, *, after: int,
) -> bool:  # fmt: skip
    """Undo what the log says was done to a row since it was hashed, and tell if that leads elsewhere."""
    names = [column.name for column in shape.columns]
    row = dict(zip(names, values, strict=True)) if values is not None else None
    for action, text in connection.execute(_STEPS, (table_id, key, after)).fetchall():
        changes = read_changes(text)
        if any(column.is_secret and column.name in changes for column in shape.columns):
            return False  # what it was is not in the log
        if action == "D":
            row = {name: changes.get(name) for name in names}
        elif action == "U" and row is not None:
            for column, (old, new) in changes.items():
                if column in row and not _same(row[column], new):
                    return True
                row[column] = old
    if kept is None or row is None:
        return False  # made since; whether it is there by the log is another question
    return encoding.row_hash(table_id, key, [row[name] for name in names]) != kept.hash


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _live(connection: sqlite3.Connection, shape: Table) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield id and values of all rows of a table, by rising id."""
    rows = connection.execute(f"{_select(shape)} ORDER BY {name_sql(shape.key)}")
    return ((row[0], tuple(row[1:])) for row in rows)


def _among(keys: Collection[int]) -> tuple[str, tuple[Any, ...]]:
    """Write a condition for rows of some ids; it may take in a few between them, where that reads faster."""
    first, last = min(keys), max(keys)
    if last - first < 2 * len(keys):
        return "BETWEEN ? AND ?", (first, last)
    return "IN (SELECT value FROM json_each(?))", (json.dumps(list(keys)),)


def _select(shape: Table) -> str:
    columns = ", ".join([name_sql(shape.key), *(name_sql(c.name) for c in shape.columns)])
    return f"SELECT {columns} FROM {name_sql(shape.name)}"


def _columns(shape: Table) -> str:
    return encoding.encode([column.name for column in shape.columns])


def shape_of(connection: sqlite3.Connection, table_id: int, *, as_sealed: bool = True) -> Table | None:
    """Read the shape of an audited table; None if it is gone, or not audited any more.

    `as_sealed` gives it the columns its rows were hashed with, as long as it has them all.
    """
    row = connection.execute(
        "SELECT name FROM audit_table WHERE id = ? AND (id < 1000 OR name IN"
        " (SELECT t.name FROM tracked_table t JOIN status x ON x.id = t.status_id WHERE x.is_active = 1))",
        (table_id,),
    ).fetchone()
    if row is None:
        return None
    try:
        shape = read_table(connection, row[0], references=())
    except EdgekitError:
        return None
    stored = _stored_columns(connection, table_id) if as_sealed else None
    there = {column.name: column for column in shape.columns}
    names = json.loads(stored) if stored else ()
    if names and all(name in there for name in names):
        return replace(shape, columns=tuple(there[name] for name in names))
    return shape


def shapes(connection: sqlite3.Connection) -> Iterator[tuple[int, Table]]:
    """Yield number and shape of every audited table that is there."""
    for (number,) in connection.execute("SELECT id FROM audit_table ORDER BY id").fetchall():
        shape = shape_of(connection, number)
        if shape is not None:
            yield number, shape
