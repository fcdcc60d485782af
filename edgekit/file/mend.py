"""Give a table its own definition back after another program changed it, around the rows it has.

`sqlite-utils transform` and its kin make a table anew: triggers go, defaults and rules may come back changed.
A table that still has exactly our columns is mended; a column more or less is somebody's data and left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.schema import quote_name

if TYPE_CHECKING:
    import sqlite3

    from edgekit.file.catalogue import Difference

_OLD = "edgekit_mended"


def mendable(live: sqlite3.Connection, wanted: sqlite3.Connection, found: list[Difference]) -> list[str]:
    """List the tables among the differences that have our columns and differ in something else."""
    names = dict.fromkeys(d.name for d in found if d.kind == "table")
    return [name for name in names if _columns(live, name).keys() == _columns(wanted, name).keys()]


def mend(live: sqlite3.Connection, wanted: sqlite3.Connection, table: str) -> None:
    """Make a table anew as it should be, in the open transaction and without triggers.

    A plain index that somebody added stays. Raise sqlite3.IntegrityError if a row breaks a rule that was
    missing.
    """
    ours = _definitions(wanted, table)
    kept = [
        sql
        for name, sql in _definitions(live, table).items()
        if name not in ours and not sql.upper().startswith("CREATE UNIQUE")
    ]
    last = live.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    for name in _definitions(live, table):
        if name != table:
            live.execute(f"DROP INDEX {quote_name(name)}")
    live.execute(f"ALTER TABLE {quote_name(table)} RENAME TO {_OLD}")
    live.execute(ours.pop(table))
    columns = ", ".join(quote_name(name) for name, hidden in _columns(wanted, table).items() if not hidden)
    live.execute(f"INSERT INTO {quote_name(table)}({columns}) SELECT {columns} FROM {_OLD}")
    live.execute(f"DROP TABLE {_OLD}")
    if last:
        live.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        live.execute("INSERT INTO sqlite_sequence(name, seq) VALUES (?, ?)", (table, *last))
    for sql in [*ours.values(), *kept]:
        live.execute(sql)


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, int]:
    return dict(connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall())


def _definitions(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return the SQL of a table and of its indexes, by name; the table first."""
    rows = connection.execute(
        "SELECT name, sql FROM main.sqlite_schema WHERE tbl_name = ? AND type IN ('table', 'index')"
        " AND sql IS NOT NULL ORDER BY type DESC, rowid",
        (table,),
    )
    return dict(rows.fetchall())
