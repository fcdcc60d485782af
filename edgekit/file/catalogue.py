"""What a file's catalogue should be, and in which points it is not.

Tables, columns, keys and indexes are compared by what they mean; rules, triggers and views by their text.
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from edgekit import schema

if TYPE_CHECKING:
    from collections.abc import Iterator


class Difference(NamedTuple):
    """One point in which a file is not as it should be. `kind` is table, trigger or view; `name` is whose."""

    kind: str
    name: str
    sentence: str


_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | --[^\n]* | /\*.*?(?:\*/|$)
    | \w+ | \s+ | .""",
    re.VERBOSE | re.DOTALL,
)


def normalise(sql: str | None) -> str:
    """Leave out of SQL what means nothing: comments, white space, quotes around plain names."""
    tokens = []
    for token in _TOKEN.findall(sql or ""):
        if token.isspace() or token.startswith(("--", "/*")):
            continue
        plain = token[0] == '"' and re.fullmatch(r'"[A-Za-z_]\w*"', token)
        tokens.append(token[1:-1] if plain else token)
    return " ".join(tokens).removesuffix(" ;")


def expected(live: sqlite3.Connection, pristine: sqlite3.Connection | None = None) -> sqlite3.Connection:
    """Build in memory the catalogue the file should have: the schema's, and that of its tracked tables.

    Raise sqlite3.Error if what `tracked_table` says cannot be built.
    """
    from edgekit.audit import triggers

    wanted = schema.pristine() if pristine is None else pristine
    tracked = tracked_tables(live)
    for name, create_sql, _ in tracked:
        for statement in schema.split_statements(create_sql.rstrip().rstrip(";") + ";"):
            # It comes out of the file: it may make a table and reach nothing else, as ATTACH would.
            if not re.match(
                r"\s*CREATE\s+(TABLE|UNIQUE\s+INDEX|INDEX)\b", normalise(statement), re.IGNORECASE
            ):
                raise sqlite3.DatabaseError(
                    f"tracked_table {name} holds more than CREATE TABLE and CREATE INDEX"
                )
            wanted.execute(statement)
    for name, _, table_id in tracked:
        if table_id is None:
            continue
        for sql in triggers.table_triggers(wanted, name, table_id):
            wanted.execute(sql)
        for parent in _own_parents(wanted, name):
            _regenerate(wanted, parent)
    return wanted


def tracked_tables(live: sqlite3.Connection) -> list[tuple[str, str, int | None]]:
    """List the user's own tables that are tracked: name, SQL, id in the log (None if it has none)."""
    rows = live.execute(
        "SELECT t.name, t.create_sql, a.id FROM tracked_table t JOIN status s ON s.id = t.status_id"
        " LEFT JOIN audit_table a ON a.name = t.name WHERE s.is_active = 1 ORDER BY t.id"
    )
    return rows.fetchall()


def untracked_tables(live: sqlite3.Connection, wanted: sqlite3.Connection) -> list[str]:
    """List the tables of the file that are neither ours nor tracked."""
    return sorted(_objects(live, "table").keys() - _objects(wanted, "table").keys())


def differences(live: sqlite3.Connection, wanted: sqlite3.Connection) -> list[Difference]:
    """Compare the file's catalogue with what it should be. What users added beside our tables is theirs."""
    found = [Difference("table", name, sentence) for name, sentence in _tables(live, wanted)]
    own = _objects(wanted, "table")
    for kind in ("view", "trigger"):
        there, needed = _objects(live, kind), _objects(wanted, kind)
        for name, (_, sql) in needed.items():
            if name not in there:
                found.append(Difference(kind, name, f"{kind.capitalize()} {name} is missing."))
            elif there[name][1] != sql and normalise(there[name][1]) != normalise(sql):
                found.append(Difference(kind, name, f"{kind.capitalize()} {name} was changed."))
        if kind == "trigger":
            strangers = [n for n, (table, _) in there.items() if n not in needed and table in own]
            found += [
                Difference(kind, name, f"Trigger {name} on table {there[name][0]} is not one of ours.")
                for name in strangers
            ]
    return found


def _own_parents(wanted: sqlite3.Connection, table: str) -> list[str]:
    rows = wanted.execute(
        'SELECT DISTINCT m.name FROM pragma_foreign_key_list(?) f JOIN sqlite_schema m ON m.name = f."table"'
        " COLLATE NOCASE AND m.type = 'table' WHERE m.name <> ? COLLATE NOCASE",
        (table, table),
    )
    return [name for (name,) in rows]


def _regenerate(wanted: sqlite3.Connection, table: str) -> None:
    """Make a table's generated triggers anew: those of a parent know its children.

    Those written by hand follow, for they have to stay the youngest.
    """
    from edgekit.audit import leaving, triggers

    row = wanted.execute("SELECT id FROM audit_table WHERE name = ?", (table,)).fetchone()
    if row is None:
        return
    made = {leaving.trigger_name(sql): sql for sql in triggers.table_triggers(wanted, table, row[0])}
    there = wanted.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? ORDER BY rowid", (table,)
    ).fetchall()
    by_hand = {name: sql for name, sql in there if name not in made}
    for name, sql in {**made, **by_hand}.items():
        wanted.execute(f"DROP TRIGGER IF EXISTS {schema.quote_name(name)}")
        wanted.execute(sql)


def _objects(connection: sqlite3.Connection, kind: str) -> dict[str, tuple[str, str]]:
    rows = connection.execute(
        "SELECT name, tbl_name, sql FROM main.sqlite_schema"
        " WHERE type = ? AND name NOT GLOB 'sqlite_*' ORDER BY rowid",
        (kind,),
    )
    return {name: (table, sql) for name, table, sql in rows}


def _tables(live: sqlite3.Connection, wanted: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    there = _objects(live, "table")
    written, known = _written(live), _written(wanted)
    for name, (_, sql) in _objects(wanted, "table").items():
        if name not in there:
            yield name, f"Table {name} is missing."
            continue
        if written[name] == known[name]:
            continue
        sentences = _strictness(live, wanted, name)
        sentences += _columns(live, wanted, name)
        sentences += _references(live, wanted, name)
        sentences += _indexes(live, wanted, name)
        if not sentences and there[name][1] != sql:
            sentences += _definitions(name, there[name][1], sql)
        for sentence in sentences:
            yield name, sentence


def _written(connection: sqlite3.Connection) -> dict[str, set[tuple[str, str | None]]]:
    """Read the text of each table and its indexes: where it is the same, so is all the pragmas tell."""
    found: dict[str, set[tuple[str, str | None]]] = {}
    for table, name, sql in connection.execute(
        "SELECT tbl_name, name, sql FROM main.sqlite_schema WHERE type IN ('table', 'index')"
    ):
        found.setdefault(table, set()).add((name, sql))
    return found


def _strictness(live: sqlite3.Connection, wanted: sqlite3.Connection, table: str) -> list[str]:
    sql = "SELECT strict FROM pragma_table_list(?) WHERE schema = 'main'"
    there, needed = (bool(one.execute(sql, (table,)).fetchone()[0]) for one in (live, wanted))
    return [] if there == needed else [f"Table {table} is{'' if there else ' not'} STRICT."]


_COLUMNS = ("type", "NOT NULL", "default", "primary key", "generated")


def _columns(live: sqlite3.Connection, wanted: sqlite3.Connection, table: str) -> list[str]:
    def read(connection: sqlite3.Connection) -> dict[str, tuple[object, ...]]:
        sql = 'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
        return {
            row[0]: (row[1], row[2], normalise(row[3]), *row[4:]) for row in connection.execute(sql, (table,))
        }

    there, needed = read(live), read(wanted)
    found = [f"Table {table}: column {name} is missing." for name in needed if name not in there]
    found += [f"Table {table}: column {name} does not belong there." for name in there if name not in needed]
    for name in needed.keys() & there.keys():
        wrong = [what for what, a, b in zip(_COLUMNS, there[name], needed[name], strict=True) if a != b]
        if wrong:
            found.append(f"Table {table}: column {name} differs in {', '.join(wrong)}.")
    return sorted(found)


def _references(live: sqlite3.Connection, wanted: sqlite3.Connection, table: str) -> list[str]:
    def read(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
        sql = (
            'SELECT group_concat("from"), lower("table"), ifnull(group_concat("to"), \'id\'),'
            " on_update, on_delete"
            " FROM (SELECT * FROM pragma_foreign_key_list(?) ORDER BY id, seq) GROUP BY id"
        )
        return set(connection.execute(sql, (table,)))

    there, needed = read(live), read(wanted)
    found = [f"Table {table}: {r[0]} no longer refers to {r[1]} as it should." for r in needed - there]
    found += [f"Table {table}: {r[0]} refers to {r[1]}, which is not ours." for r in there - needed]
    return sorted(found)


def _indexes(live: sqlite3.Connection, wanted: sqlite3.Connection, table: str) -> list[str]:
    there, needed = _read_indexes(live, table), _read_indexes(wanted, table)
    found = [
        f"Table {table}: {name} is {'changed' if name in there else 'missing'}."
        for name, index in needed.items()
        if there.get(name) != index
    ]
    # A plain index somebody added makes reading faster and nothing else; a unique one refuses rows.
    found += [
        f"Table {table}: {name} makes values unique that need not be."
        for name, index in there.items()
        if name not in needed and index[0]
    ]
    return found


def _read_indexes(connection: sqlite3.Connection, table: str) -> dict[str, tuple[object, ...]]:
    """Read a table's indexes; one that a constraint made is known by its columns, not by its number."""
    rows = connection.execute(
        'SELECT l.name, l."unique", l.partial, m.sql FROM pragma_index_list(?) l'
        " LEFT JOIN main.sqlite_schema m ON m.type = 'index' AND m.name = l.name",
        (table,),
    ).fetchall()
    found: dict[str, tuple[object, ...]] = {}
    for name, unique, partial, sql in rows:
        columns = connection.execute(
            'SELECT name, "desc", coll FROM pragma_index_xinfo(?) WHERE "key" ORDER BY seqno', (name,)
        ).fetchall()
        label = f"index {name}" if sql else f"UNIQUE ({', '.join(str(c[0]) for c in columns)})"
        found[label] = (unique, partial, tuple(columns), normalise(sql))
    return found


def _definitions(table: str, there: str, needed: str) -> list[str]:
    """Compare what no pragma tells: CHECKs, collations, the text of generated columns."""
    have, want = _split(there), _split(needed)
    found = []
    for label in [*want, *(k for k in have if k not in want)]:
        if have.get(label) == want.get(label):
            continue
        rule = re.fullmatch(r'CONSTRAINT (".*")', label)
        what = f"rule {rule[1]}" if rule else f"the definition of {label}"
        state = "missing" if label not in have else "changed" if label in want else "not ours"
        found.append(f"Table {table}: {what} is {state}.")
    return found


def _split(sql: str) -> dict[str, str]:
    """Take a CREATE TABLE apart: {column or constraint: its definition}, with the named CHECKs apart."""
    text = normalise(sql)
    body, depth, start = text[text.index("(") + 1 : text.rindex(")")], 0, 0
    parts = []
    for token in re.finditer(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[(),]", body):
        if token[0] == "," and depth == 0:
            parts.append(body[start : token.start()].strip())
            start = token.end()
        depth += {"(": 1, ")": -1}.get(token[0], 0)
    parts.append(body[start:].strip())
    found = {"the table's options": text[text.rindex(")") + 1 :].strip()}
    for part in parts:
        label, *checks = re.split(r'(?=CONSTRAINT "[^"]*" CHECK)', part)
        for check in checks:
            name = re.match(r'CONSTRAINT "[^"]*"', check)
            found[name[0] if name else check] = check.strip()
        if label.strip():
            words = label.split()
            named = words[0] not in {"CONSTRAINT", "CHECK", "UNIQUE", "FOREIGN", "PRIMARY"}
            found[f"column {words[0]}" if named else label.strip()] = label.strip()
    return found
