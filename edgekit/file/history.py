"""Does the log agree with the rows? What was done while the triggers were away, or made up, shows here.

Two things cannot be seen here: a value that was changed unlogged, and a tail of updates that was cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.audit.pruning import floor_of, last_note
from edgekit.schema import quote_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_SHOWN = 20
_LAST_ID = 2**63 - 1
_FOLD = 1_000_003  # ids are summed modulo this: enough to see that one row stands for another
_MADE = "CASE action WHEN 'I' THEN 1 ELSE -1 END"
_TIME = "strftime('%Y-%m-%dT%H:%M:%fZ', {0}, '+0 days') IS NOT {0}"


def findings(connection: sqlite3.Connection) -> list[str]:
    """Say in sentences where log and rows contradict each other, and which ids and times cannot be."""
    return [
        *_entries(connection),
        *_changes(connection),
        *_rows(connection),
        *_ids(connection),
        *_times(connection),
    ]


def _entries(connection: sqlite3.Connection) -> Iterator[str]:
    """Look at each entry of the log by itself."""
    count, first = connection.execute(
        "SELECT count(*), min(seq) FROM audit_log WHERE NOT ifnull(CASE action WHEN 'S' THEN 1 ELSE"
        " typeof(record_key) = 'integer' AND table_id IN (SELECT id FROM audit_table) AND CASE"
        " WHEN action = 'I' THEN changes IS NULL"
        " WHEN action IN ('U', 'D') AND json_valid(changes) THEN json_type(changes) = 'object' END END, 0)"
    ).fetchone()
    if count:
        yield f"{count} entries of the log say nothing that can be understood; the first is {first}."


def _changes(connection: sqlite3.Connection) -> Iterator[str]:
    _, floor = floor_of(connection)
    count, last, timeless = connection.execute(
        "SELECT total(id > ?), ifnull(max(id), 0),"
        f" total({_TIME.format('performed_at')}) FROM audit_transaction",
        (floor,),
    ).fetchone()
    if count < last - floor:
        yield f"{int(last - floor - count)} changes are missing from audit_transaction."
    if timeless:
        yield f"{int(timeless)} changes in audit_transaction have no time that can be read."


def _rows(connection: sqlite3.Connection) -> Iterator[str]:
    """Every row must have been made in the log, and not deleted there."""
    logged: dict[int, tuple[int, int]] = {}
    pruned = last_note(connection).get("made", {})
    for number, (made, folded) in pruned.items():
        logged[int(number)] = (made, folded)
    for number, made, folded in connection.execute(
        f"SELECT table_id, sum({_MADE}), sum({_MADE} * (record_key % {_FOLD})) FROM audit_log"
        " WHERE action IN ('I', 'D') GROUP BY table_id"
    ):
        before = logged.get(number, (0, 0))
        logged[number] = (before[0] + made, before[1] + folded)
    for number, table, key in _audited(connection):
        own, this = quote_name(table), quote_name(key)
        found = connection.execute(f"SELECT count(*), ifnull(sum({this} % {_FOLD}), 0) FROM {own}").fetchone()
        if tuple(found) != logged.get(number, (0, 0)):
            yield from _contradictions(connection, number, table, key)


def _contradictions(connection: sqlite3.Connection, number: int, table: str, key: str) -> Iterator[str]:
    logged = "FROM audit_log WHERE table_id = ?1 AND action IN ('I', 'D')"
    parts = [
        f"SELECT record_key AS record, {_MADE} AS made, 0 AS live {logged}",
        f"SELECT {quote_name(key)}, 0, 1 FROM {quote_name(table)}",
    ]
    if floor_of(connection)[0]:  # whose making is pruned: rows that were deleted since, and rows still sealed
        deleted = f"{logged} GROUP BY record_key HAVING min(seq * 2 + (action = 'I')) % 2 = 0"
        parts.append(f"SELECT record_key, 1, 0 {deleted}")
        parts.append(
            "SELECT record_key, 1, 0 FROM audit_row WHERE table_id = ?1"
            f" AND record_key NOT IN (SELECT record_key {logged} AND record_key IS NOT NULL)"
        )
    rows = connection.execute(
        f"SELECT record, sum(made), sum(live) FROM ({' UNION ALL '.join(parts)})"
        " GROUP BY record HAVING sum(made) <> sum(live) LIMIT ?2",
        (number, _SHOWN),
    ).fetchall()
    for record, made, live in rows:
        if live and made < 1:
            yield f"{table} row {record} is there, but not by the log: unlogged work, or a false entry."
        elif made == 1:
            yield f"{table} row {record} is gone, but not by the log: unlogged work, or a false entry."
        else:
            yield f"{table} row {record}: the log says it was made or deleted more often than can be."
    if len(rows) == _SHOWN:
        yield f"{table}: there may be more rows that the log contradicts."


def _ids(connection: sqlite3.Connection) -> Iterator[str]:
    """No id is given out twice, and there is a next one."""
    given = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
    for number, table, key in _audited(connection):
        if not connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? AND sql LIKE '%AUTOINCREMENT%'",
            (table,),
        ).fetchone():
            continue
        (live,) = connection.execute(
            f"SELECT ifnull(max({quote_name(key)}), 0) FROM {quote_name(table)}"
        ).fetchone()
        (gone,) = connection.execute(
            "SELECT ifnull(max(record_key), 0) FROM audit_log WHERE table_id = ? AND action <> 'I'"
            " AND typeof(record_key) = 'integer'",
            (number,),
        ).fetchone()
        last = max(given.get(table) or 0, live)
        if gone > last:
            yield f"{table}: the id {gone} was used, and would be given out again."
        if last >= _LAST_ID:
            yield f"{table} takes no more rows: its last id is used."


def _times(connection: sqlite3.Connection) -> Iterator[str]:
    """A row says when it was made and changed."""
    for table, column in connection.execute(
        "SELECT s.name, c.name FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type = 'table'"
        " AND c.name IN ('created_at', 'updated_at') AND c.dflt_value LIKE 'strftime(''%Y-%m-%dT%H:%M:%fZ''%'"
    ).fetchall():
        name = quote_name(table)
        (count,) = connection.execute(f"SELECT count(*) FROM {name} WHERE {_TIME.format(column)}").fetchone()
        if count:
            yield f"{table}: {count} rows have no time in {column} that can be read."


def _audited(connection: sqlite3.Connection) -> list[tuple[int, str, str]]:
    """List the tables the log is kept for (number, name, column of the id), without those untracked since."""
    return connection.execute(
        "SELECT a.id, s.name, c.name FROM audit_table a"
        " JOIN sqlite_schema s ON s.name = a.name COLLATE NOCASE AND s.type = 'table'"
        " JOIN pragma_table_info(s.name) c ON c.pk = 1"
        " WHERE a.id < 1000 OR a.name IN"
        " (SELECT t.name FROM tracked_table t JOIN status x ON x.id = t.status_id WHERE x.is_active = 1)"
    ).fetchall()
