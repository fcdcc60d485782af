"""A user's own tables: made, tracked so that they are audited and verified like ours, and let go again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import audit, bulk, db, naming
from edgekit.audit import leaving
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from edgekit.file import catalogue
from edgekit.models.core import TrackedTable
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_PARENT = re.compile(r'\bREFERENCES\s+["`\[]?([^\s"`\](]+)', re.IGNORECASE)
_OURS = re.compile(
    r"_(?:audit_(?:insert|update|delete)|direct_(?:insert|inserted|update|rekeyed|delete)|kept)"
)
_MOST_COLUMNS = 950
"""SQLite takes an expression of 1000 parts, and an upsert compares every column."""

_ACTIVE, _INACTIVE = 1, 2
_TIME = "strftime('%Y-%m-%dT%H:%M:%fZ', {0}, '+0 days')"
_RULES = {
    "boolean": ("INTEGER", "boolean", "{0} IN (0, 1)"),
    "date": ("TEXT", "date", "date({0}, '+0 days') IS {0}"),
    "time": ("TEXT", "time", f"{_TIME} IS {{0}}"),
    "json": ("TEXT", "json", "{0} IS NULL OR json_valid({0})"),
    "integer": ("INTEGER", "", ""),
    "real": ("REAL", "", ""),
    "text": ("TEXT", "", ""),
}
"""The kinds of a column by name: SQL type, and the rule that holds it."""


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table of the user's own. `command` is the word for its rows; None while it is not tracked."""

    name: str
    tracked: bool
    rows: int
    columns: dict[str, str]
    key: tuple[str, ...]
    command: str | None
    tracked_at: str | None
    missing: bool = False
    """Whether it is tracked, and gone all the same: another tool dropped it."""


def list_tables() -> list[OwnTable]:
    """List the user's own tables, tracked or not. Who belongs to one organization sees its tracked ones."""
    connection = db.connection()
    rows = db.query("SELECT name, updated_at FROM tracked_table WHERE status_id = 1 ORDER BY name")
    since = {row["name"].lower(): row["updated_at"] for row in rows}
    own = {name.lower() for name in naming.own_tables()}
    there = {
        row["name"].lower(): row["name"]
        for row in db.query(
            "SELECT s.name FROM sqlite_schema s JOIN pragma_table_list l ON l.schema = 'main'"
            " AND l.name = s.name WHERE s.type = 'table' AND l.type = 'table' AND s.name NOT GLOB 'sqlite_*'"
        )
        if row["name"].lower() not in own
    }
    lost = [OwnTable(r["name"], True, 0, {}, (), None, r["updated_at"], True)
            for r in rows if r["name"].lower() not in there]  # fmt: skip
    if hasattr(connection, "confinement"):
        there = {low: name for low, name in there.items() if low in since}
    found = [_describe(connection, name, since.get(low)) for low, name in there.items()]
    return sorted([*found, *lost], key=lambda table: table.name.lower())


def _describe(connection: Any, name: str, since: str | None) -> OwnTable:
    words = [w for w, t in naming.tracked(connection).items() if t == name and w not in naming.commands()]
    return OwnTable(
        name, since is not None, naming.count_rows(connection, name), bulk.table_columns(connection, name),
        naming.natural_key(connection, name), next(iter(words), None), since,
    )  # fmt: skip


def show_table(name: str) -> OwnTable:
    """Return one of the user's own tables. Raise NotFoundError."""
    found = next((table for table in list_tables() if table.name.lower() == name.lower()), None)
    if found is None:
        raise NotFoundError(f"You have no table {name}.", hint="See: edgekit tables list")
    return found


def create_table(name: str, kinds: Mapping[str, str], *, key: Sequence[str] = ()) -> OwnTable:
    """Create and track a table: `id`, a column for each of `kinds`, and a unique key if there is one.

    A kind is text, integer, real, boolean, date, time, json, or the name of a table whose `id` the column
    holds; with ! behind it the column may not be empty, as those of the key. Raise InvalidError for what the
    file cannot take, ConflictError where the name is taken.
    """
    check_columns(name, kinds, key)
    with db.change(reason=f"tables create {name}"):
        create(name, kinds, key=key)
    return show_table(name)


def check_columns(name: str, columns: Mapping[str, str], key: Sequence[str]) -> None:
    """Raise InvalidError for columns, kinds or a key that no table can have."""
    if not columns:
        raise InvalidError(f"{name} has no columns.", hint="Name them: name:text price:real due:date")
    for column, kind in columns.items():
        if not _NAME.fullmatch(column):
            raise InvalidError(f"{column!r} cannot be a column's name.", hint="Use letters, digits and _.")
        if column.lower() == "id" and kind != "integer":
            raise InvalidError("The column id is made by itself, an integer; call yours something else.")
        if kind.removesuffix("!") not in _RULES and not _is_table(kind.removesuffix("!")):
            raise InvalidError(
                f"The column {column} is of no kind {kind}.",
                hint=f"Kinds: {', '.join(_RULES)}, or a table whose id it holds; required with ! behind it.",
            )
    lower = {column.lower() for column in columns}
    if len(lower) < len(columns):
        raise InvalidError(f"{name} would have two columns of one name.", hint="Capitals tell none apart.")
    if missing := [part for part in key if part.lower() not in lower]:
        raise InvalidError(f"The key of {name} has no column {missing[0]}.")


def create(name: str, columns: Mapping[str, str], *, key: Sequence[str]) -> None:
    """Create and track a table as `create_table` does, in the open change; a kind may be an SQL type."""
    if not _NAME.fullmatch(name) or name.lower().startswith(("sqlite_", "audit_")):
        raise InvalidError(
            f"{name!r} cannot be a table's name.", hint="Use letters, digits and _, beginning with a letter."
        )
    if len(columns) > _MOST_COLUMNS:
        raise InvalidError(
            f"{name} would have {len(columns)} columns; a table made here has at most {_MOST_COLUMNS}.",
            hint="Leave some out with --set ignore=…",
        )
    taken = db.query("SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE", (name,))
    if taken:
        raise ConflictError(f"There is already a {taken[0]['type']} {name}.", hint="Choose another name.")
    keys = {part.lower() for part in key}
    lines = ["id INTEGER PRIMARY KEY AUTOINCREMENT"]
    lines += [
        _column_sql(name, part, kind, part.lower() in keys)
        for part, kind in columns.items()
        if part.lower() != "id"
    ]
    if key and keys != {"id"}:
        listed = ", ".join(quote_name(part) for part in key)
        lines.append(f'CONSTRAINT "{name}.key.unique" UNIQUE ({listed})')
    with db.change(reason=f"tables create {name}"):
        connection = db.connection()
        connection.execute(f"CREATE TABLE {quote_name(name)} (\n  " + ",\n  ".join(lines) + "\n) STRICT")
        for column, kind in columns.items():
            if _is_reference(kind):
                index = quote_name(f"{name}_{column}")
                connection.execute(f"CREATE INDEX {index} ON {quote_name(name)}({quote_name(column)})")
        # SQLite reads this table from its start on every insert: the newcomer, about to be filled, goes
        # first.
        connection.execute(
            "INSERT INTO sqlite_sequence(rowid, name, seq) SELECT min(0, min(rowid)) - 1, ?,"
            " 0 FROM sqlite_sequence",
            (name,),
        )
        _track(name)


def _is_reference(kind: str) -> bool:
    plain = kind.removesuffix("!").lower()
    return plain not in _RULES


def _is_table(name: str) -> bool:
    return bool(
        db.query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", (name,))
    )


def _column_sql(table: str, column: str, kind: str, is_key: bool) -> str:
    required = " NOT NULL" if is_key or kind.endswith("!") else ""
    plain, own = kind.removesuffix("!"), quote_name(column)
    if _is_reference(kind):
        return f"{own} INTEGER{required} REFERENCES {quote_name(plain)}(id)"
    sql_type, rule, check = _RULES[plain.lower()]
    held = f' CONSTRAINT "{table}.{column}.{rule}" CHECK ({check.format(own)})' if rule else ""
    return f"{own} {sql_type}{required}{held}"


def track_table(name: str) -> OwnTable:
    """Audit and verify a table of the user's own from now on; its rows are logged as made by this change.

    Raise NotFoundError without the table, ConflictError if it is tracked already, InvalidError where the file
    cannot follow it: it has no INTEGER PRIMARY KEY, or is one of ours.
    """
    if name.lower() in {own.lower() for own in naming.own_tables()} or name.lower().startswith("sqlite_"):
        raise InvalidError(f"{name} is a table of edgekit's own; it is audited and verified already.")
    if db.query("SELECT 1 FROM tracked_table WHERE name = ? AND status_id = 1", (name,)):
        raise ConflictError(f"{name} is tracked already.", hint="See: edgekit tables list")
    with db.change(reason=f"tables track {name}"):
        _track(name)
    return show_table(name)


def _track(name: str) -> None:
    with db.change(reason=f"tables track {name}") as change:
        connection = db.connection()
        bulk.table_columns(connection, name)
        (name,) = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", (name,)
        ).fetchone()
        _require_no_triggers(name)
        number = _number(connection, name)
        for statement in audit.table_triggers(connection, name, number):
            _raw(connection)(statement)
        (key,) = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk = 1", (name,)).fetchone()
        connection.execute(
            "INSERT INTO audit_log(txn_id, table_id, record_key, action)"
            f" SELECT ?, ?, {quote_name(key)}, 'I' FROM {quote_name(name)} ORDER BY 3",
            (change.id, number),
        )
        _tell_parents(connection, name, _note(connection, name))


def _require_no_triggers(name: str) -> None:
    """Raise InvalidError for a table with triggers that are not ours: verify could not vouch for them."""
    found = db.query(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY 1",
        (name,),
    )
    if found:
        raise InvalidError(
            f"{name} has a trigger of its own, {found[0]['name']}, which the file could not vouch for.",
            hint="Drop it first; if the table was tracked under another name, untrack that one.",
        )


def _number(connection: Any, name: str) -> int:
    """Return the number of a table in the log, the one it had before if it was tracked once."""
    row = connection.execute("SELECT id FROM audit_table WHERE name = ? COLLATE NOCASE", (name,)).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO audit_table(id, name) SELECT max(999, max(id)) + 1, ? FROM audit_table RETURNING id",
            (name,),
        ).fetchone()
    return int(row[0])


def _note(connection: Any, name: str) -> str:
    """Write how a table is built to `tracked_table`, where verify reads it, and return it."""
    statements = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND type IN ('table', 'index')"
        " AND sql IS NOT NULL ORDER BY type DESC, name",
        (name,),
    )
    built = ";\n".join(sql for (sql,) in statements)
    earlier = TrackedTable.get_or_none(TrackedTable.name == name)
    if earlier is None:
        TrackedTable.create(name=name, create_sql=built)
    else:
        earlier.create_sql, earlier.status_id = built, _ACTIVE
        earlier.save()
    return built


def untrack_table(name: str) -> int:
    """Let a table of the user's own go: no more audit, no verify. It keeps its rows, and the log its past.

    Each row is logged once more as it is now, under this change and as deleted from what is followed, so that
    the past of the table can be read whole for ever. Return how many there were. A table that is gone is let
    go as well. Raise NotFoundError if none of that name is tracked.
    """
    rows = db.query("SELECT id, name FROM tracked_table WHERE name = ? AND status_id = 1", (name,))
    if not rows:
        raise NotFoundError(f"{name} is not tracked.", hint="See: edgekit tables list")
    db.current().session.require("edit", "changing tables")
    name = rows[0]["name"]
    with db.change(reason=f"tables untrack {name}") as change:
        connection = db.connection()
        count = 0
        if _is_table(name):
            number = connection.execute("SELECT id FROM audit_table WHERE name = ?", (name,)).fetchone()[0]
            count = naming.count_rows(connection, name)
            _raw(connection)(leaving.leave(connection, name, change.id, number))
        for trigger in _triggers(name):
            _raw(connection)(f"DROP TRIGGER {quote_name(trigger)}")
        row = TrackedTable.get_by_id(rows[0]["id"])
        row.status_id = _INACTIVE
        row.save()
        _tell_parents(connection, name, row.create_sql)
    return count


def _triggers(name: str) -> list[str]:
    """Return the triggers made for a table, on whatever table they are by now: it may have been renamed."""
    return [
        row["name"]
        for row in db.query("SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
        if row["name"].startswith(name) and _OURS.fullmatch(row["name"].removeprefix(name))
    ]


def _raw(connection: Any) -> Callable[..., Any]:
    """Return what runs a statement of ours: nobody who sees only a part of the file makes triggers."""
    run: Callable[..., Any] = (
        connection.confinement.query if hasattr(connection, "confinement") else connection.execute
    )
    return run


def _tell_parents(connection: Any, name: str, built: str) -> None:
    """Make the triggers of the tables it refers to anew: those of a parent know its children.

    Raise DeniedError where the user sees only a part of the file: what others track is not known then.
    """
    named = {word.lower() for word in _PARENT.findall(built)} - {name.lower()}
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    parents = [table for (table,) in tables if table.lower() in named]
    if not parents:
        return
    if hasattr(connection, "confinement"):
        raise DeniedError(
            f"{name} refers to {parents[0]}: only who sees the whole file may track it or let it go.",
            hint="The system user may, or an administrator who belongs to no organization.",
        )
    wanted = catalogue.expected(connection)
    try:
        for parent in parents:
            triggers = wanted.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? ORDER BY rowid",
                (parent,),
            ).fetchall()
            for trigger, sql in triggers:
                connection.execute(f"DROP TRIGGER IF EXISTS {quote_name(trigger)}")
                connection.execute(sql)
    finally:
        wanted.close()
