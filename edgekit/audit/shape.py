"""What the generator must know of a table, read from the catalogue: columns, keys, references both ways."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

SECRET_ENDINGS = ("_ciphertext", "_hash", "_zlib")
"""Of columns whose values are never copied: sealed or hashed, or kept in bulk and for a while only."""

TIME_FORMAT = "'%Y-%m-%dT%H:%M:%fZ'"
"""How times are stored, as SQLite's strftime says it."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORD_TEXT = """
abort action add after all alter always analyze and as asc attach autoincrement before begin between by
cascade case cast check collate column commit conflict constraint create cross current current_date
current_time current_timestamp database default deferrable deferred delete desc detach distinct do drop
each else end escape except exclude exclusive exists explain fail filter first following for foreign
from full generated glob group groups having if ignore immediate in index indexed initially inner insert
instead intersect into is isnull join key last left like limit match materialized natural no not nothing
notnull null nulls of offset on or order others outer over partition plan pragma preceding primary query
raise range recursive references regexp reindex release rename replace restrict returning right rollback
row rows savepoint select set table temp temporary then ties to transaction trigger unbounded union
unique update using vacuum values view virtual when where window with without
"""
_KEYWORDS = frozenset(_KEYWORD_TEXT.split())
_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | --[^\n]* | /\*.*?(?:\*/|$)
    | [A-Za-z_\u0080-\uffff][\w$]* | \s+ | .""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Column:
    """A stored column. `kind` is integer, real, text, blob or any; `default` is SQL text."""

    name: str
    kind: str
    not_null: bool
    default: str | None
    declared: str
    is_collated: bool  # by another order than BINARY, perhaps
    is_json: bool = False  # held to be JSON by a rule of the table

    @property
    def is_secret(self) -> bool:
        """Tell whether its values must never be copied."""
        return is_secret(self.name)


@dataclass(frozen=True)
class Fields:
    """The id of a table and its other stored columns: all that reading a row of it asks."""

    name: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """A unique index: its parts as SQL over the table's own column names, and its predicate if it is partial.

    `columns` are the columns its value depends on. `is_generated` says that a generated one is among them.
    """

    parts: tuple[str, ...]
    collations: tuple[str, ...]
    columns: tuple[str, ...]
    predicate: str | None
    is_generated: bool


@dataclass(frozen=True)
class Reference:
    """A foreign key, with every name as the catalogue spells it."""

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_update: str
    on_delete: str
    defaults: tuple[str | None, ...]  # of the child's columns, for SET DEFAULT
    is_to_id: bool  # to the parent's INTEGER PRIMARY KEY and nothing else


@dataclass(frozen=True)
class Table:
    """A table with a rowid that has a name. `columns` leaves out that id and every generated column."""

    name: str
    key: str
    columns: tuple[Column, ...]
    generated: tuple[str, ...]
    unique: tuple[Key, ...]
    references: tuple[Reference, ...]  # to its parents
    children: tuple[Reference, ...]  # from other tables, and from itself

    def column(self, name: str) -> Column | None:
        """Find a stored column other than the id."""
        return next((c for c in self.columns if c.name == name), None)

    @property
    def times(self) -> tuple[str, ...]:
        """List the columns for when a row was made and changed, where their default is a time of ours."""
        return tuple(
            c.name
            for c in self.columns
            if c.name in {"created_at", "updated_at"} and TIME_FORMAT in (c.default or "")
        )

    @property
    def kept(self) -> tuple[str, ...]:
        """List the columns that never change: who made a row, and when."""
        names = ("created_at", "created_by")
        return names if all(self.column(name) for name in names) else ()

    @property
    def has_touch(self) -> bool:
        """Tell whether `updated_at` is there and holds text, so that a time may be written into it."""
        column = self.column("updated_at")
        return column is not None and any(
            word in column.declared.upper() for word in ("CHAR", "CLOB", "TEXT")
        )


def is_secret(column: str) -> bool:
    """Tell whether the values of a column must never be copied."""
    return column.lower().endswith(SECRET_ENDINGS)


def name_sql(name: str) -> str:
    """Write a name as SQL, quoted only where it must be."""
    if _WORD.fullmatch(name) and name.lower() not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def text_sql(text: str) -> str:
    """Write a text literal as SQL."""
    return "'" + text.replace("'", "''") + "'"


def ordinary_tables(connection: sqlite3.Connection) -> list[str]:
    """List the tables of the file in the order of their making, without SQLite's own and virtual ones."""
    rows = connection.execute(
        "SELECT s.name FROM main.sqlite_schema s"
        " JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name"
        " WHERE s.type = 'table' AND l.type = 'table' AND s.name NOT GLOB 'sqlite_*' ORDER BY s.rowid"
    )
    return [row[0] for row in rows]


def all_references(connection: sqlite3.Connection) -> list[Reference]:
    """List every foreign key of the file whose parent exists, in the order of the children's making."""
    return [r for child in ordinary_tables(connection) for r in _references(connection, child)]


def _references_around(connection: sqlite3.Connection, table: str) -> list[Reference]:
    """List the foreign keys from a table and to it, as `all_references` does, without reading all others."""
    rows = connection.execute(
        "SELECT DISTINCT s.name FROM main.sqlite_schema s JOIN pragma_foreign_key_list(s.name) f"
        " WHERE s.type = 'table' AND (f.\"table\" = ?1 COLLATE NOCASE OR s.name = ?1) ORDER BY s.rowid",
        (table,),
    ).fetchall()
    ordinary = set(ordinary_tables(connection))
    return [r for (child,) in rows if child in ordinary for r in _references(connection, child)]


def read_fields(connection: sqlite3.Connection, table: str) -> Fields | None:
    """Read the columns of an audited table, quickly; None if it is gone."""
    rows = connection.execute(
        "SELECT s.name, x.name, x.pk FROM main.sqlite_schema s JOIN pragma_table_xinfo(s.name) x"
        " WHERE s.type = 'table' AND s.name = ? COLLATE NOCASE AND x.hidden = 0 ORDER BY x.cid",
        (table,),
    ).fetchall()
    keys = [column for _, column, place in rows if place]
    if not keys:
        return None
    return Fields(rows[0][0], keys[0], tuple(column for _, column, place in rows if not place))


def read_table(
    connection: sqlite3.Connection, name: str, *, references: Sequence[Reference] | None = None
) -> Table:
    """Read one table's shape. `references` saves reading all foreign keys again for each of many tables.

    Raise NotFoundError if there is no such table and InvalidError if it has no `INTEGER PRIMARY KEY`: the log
    names a row by its id.
    """
    row = connection.execute(
        "SELECT name, strict FROM pragma_table_list(?) WHERE schema = 'main' AND type = 'table'",
        (name,),
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no table {name!r}.")
    name, is_strict = row
    info = connection.execute(
        'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid',
        (name,),
    ).fetchall()
    indexes = connection.execute(
        'SELECT name, "unique", origin, partial FROM pragma_index_list(?) ORDER BY seq DESC', (name,)
    ).fetchall()
    keys = [(c[0], c[1]) for c in info if c[4]]
    if len(keys) != 1 or keys[0][1].upper() != "INTEGER" or any(index[2] == "pk" for index in indexes):
        raise InvalidError(
            f"Table {name!r} cannot be audited: it has no column that is INTEGER PRIMARY KEY.",
            hint="The log names a row by its integer id; add a column `id INTEGER PRIMARY KEY`.",
        )
    text = _table_sql(connection, name)
    collated, replaces = _clauses(text)
    if replaces:
        raise InvalidError(
            f"Table {name!r} cannot be audited: a key of it is UNIQUE ON CONFLICT REPLACE,"
            " so that an INSERT deletes rows unseen.",
            hint="Make the table anew without that clause and write INSERT OR REPLACE where it is meant.",
        )
    columns = tuple(
        _column(c, collated, text, is_strict=bool(is_strict)) for c in info if not c[4] and not c[5]
    )
    generated = tuple(c[0] for c in info if c[5] in (2, 3))
    stored = [keys[0][0], *(c.name for c in columns)]
    references = _references_around(connection, name) if references is None else references
    return Table(
        name,
        keys[0][0],
        columns,
        generated,
        tuple(_key(connection, index[0], stored, generated) for index in indexes if index[1]),
        tuple(r for r in references if r.child == name),
        tuple(r for r in references if r.parent == name),
    )


def _column(told: Sequence[Any], collated: frozenset[str], table_sql: str, *, is_strict: bool) -> Column:
    name, declared, not_null, default, *_ = told
    is_json = f"json_valid({name})" in table_sql
    kind = _kind(declared, is_strict=is_strict)
    return Column(name, kind, bool(not_null), default, declared, name.lower() in collated, is_json)


def _table_sql(connection: sqlite3.Connection, name: str) -> str:
    sql = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?"
    return str(connection.execute(sql, (name,)).fetchone()[0])


@lru_cache(maxsize=512)
def _clauses(sql: str) -> tuple[frozenset[str], bool]:
    """Return in lower case the columns in whose definition COLLATE stands, and if a key replaces rows."""
    tokens = [t for t in _TOKEN.findall(sql) if not t.isspace() and not t.startswith(("--", "/*"))]
    found, depth, first = set(), 0, ""
    for before, part in pairwise(tokens):
        depth += (part == "(") - (part == ")")
        if depth == 1 and before in {"(", ","}:
            first = (_name_of(part) or "").lower()
        if part.lower() == "collate":
            found.add(first)
    words = " ".join(tokens).lower()
    return frozenset(found), re.search(r"(?<!not null )on conflict replace", words) is not None


def _kind(declared: str, *, is_strict: bool) -> str:
    kinds = {"INT": "integer", "INTEGER": "integer", "REAL": "real", "TEXT": "text", "BLOB": "blob"}
    return kinds.get(declared.upper(), "any") if is_strict else "any"


def _key(connection: sqlite3.Connection, index: str, stored: list[str], generated: tuple[str, ...]) -> Key:
    info = connection.execute(
        'SELECT cid, name, coll FROM pragma_index_xinfo(?) WHERE "key" ORDER BY seqno', (index,)
    ).fetchall()
    collations = tuple(i[2] for i in info)
    names = [i[1] for i in info]
    (sql,) = connection.execute(
        "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?", (index,)
    ).fetchone()
    parts, predicate = _index_parts(sql) if sql else ([], None)
    spelled = tuple(parts[i] if n is None else name_sql(n) for i, n in enumerate(names))
    words = {w.lower() for w in _names_in(" ".join(spelled) + " " + (predicate or ""))}
    is_generated = bool(words & {g.lower() for g in generated})
    # What a generated one is made of is its own affair; naming all makes SQLite compute it in BEFORE UPDATE.
    depends = [*stored, *generated] if is_generated else [c for c in stored if c.lower() in words]
    return Key(spelled, collations, tuple(depends), predicate, is_generated)


def _index_parts(sql: str) -> tuple[list[str], str | None]:
    """Split `CREATE UNIQUE INDEX n ON t(a, f(b)) WHERE p` into its parts without COLLATE and order, and p."""
    tokens = [" " if t.startswith(("--", "/*")) else t for t in _TOKEN.findall(sql)]
    end = tokens.index("(")
    depth, parts = 1, [""]
    while depth:
        end += 1
        depth += (tokens[end] == "(") - (tokens[end] == ")")
        if depth == 1 and tokens[end] == ",":
            parts.append("")
        elif depth:
            parts[-1] += tokens[end]
    rest = "".join(tokens[end + 1 :]).strip()
    return [_without_order(p) for p in parts], re.sub(r"^WHERE\b\s*", "", rest, flags=re.IGNORECASE) or None


def _without_order(part: str) -> str:
    part = re.sub(r"\s+(ASC|DESC)\s*$", "", part.strip(), flags=re.IGNORECASE)
    return re.sub(r"\s+COLLATE\s+(\w+|\"[^\"]*\")\s*$", "", part, flags=re.IGNORECASE).strip()


def names_replaced(sql: str, values: dict[str, str]) -> str:
    """Put a value in the place of every name of `values` (in lower case) that an expression uses."""
    tokens = _TOKEN.findall(sql)
    for i, token in enumerate(tokens):
        rest = next((t for t in tokens[i + 1 :] if not t.isspace()), "")
        if (name := _name_of(token)) is not None and rest != "(":
            tokens[i] = values.get(name.lower(), token)
    return "".join(tokens)


def _name_of(token: str) -> str | None:
    if token[0] in '"`[':
        return token[1:-1].replace(token[0] * 2, token[0])
    return token if _WORD.match(token) else None


def _names_in(sql: str) -> list[str]:
    return [name for token in _TOKEN.findall(sql) if (name := _name_of(token)) is not None]


def _references(connection: sqlite3.Connection, child: str) -> list[Reference]:
    rows = connection.execute(
        'SELECT f.id, f."from", l.name, f."to", f.on_update, f.on_delete, f.seq'
        " FROM pragma_foreign_key_list(?) f"
        " JOIN pragma_table_list l ON l.schema = 'main' AND l.name = f.\"table\" COLLATE NOCASE"
        " ORDER BY f.id DESC, f.seq",
        (child,),
    ).fetchall()
    found = []
    for number in dict.fromkeys(row[0] for row in rows):
        of = [row for row in rows if row[0] == number]
        here = connection.execute("SELECT name, dflt_value FROM pragma_table_xinfo(?)", (child,)).fetchall()
        spelled = {row[0].lower(): row[0] for row in here}
        defaults = {row[0].lower(): row[1] for row in here}
        there = connection.execute("SELECT name, pk, type FROM pragma_table_xinfo(?)", (of[0][2],)).fetchall()
        targets = {row[0].lower(): row[0] for row in there}
        primary = [row[0] for row in sorted(there, key=lambda row: row[1]) if row[1]]
        referred = tuple(targets[row[3].lower()] if row[3] else primary[i] for i, row in enumerate(of))
        found.append(
            Reference(
                child,
                tuple(spelled[row[1].lower()] for row in of),
                of[0][2],
                referred,
                of[0][4],
                of[0][5],
                tuple(defaults[row[1].lower()] for row in of),
                referred == tuple(primary) and _has_rowid_name(there),
            )
        )
    return found


def _has_rowid_name(columns: Sequence[tuple[str, int, str]]) -> bool:
    keys = [kind.upper() for _, place, kind in columns if place]
    return keys == ["INTEGER"]
