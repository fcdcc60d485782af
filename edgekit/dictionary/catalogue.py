"""What a file's catalogue says of a table, with the meanings its text gives: columns, rules, references."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgekit import rules
from edgekit.dictionary import texts
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_WORD = "own"
"""Where tables stand that the user has made."""

_TRIGGER = re.compile(r"\b(BEFORE|AFTER)\s+(INSERT|DELETE|UPDATE(?:\s+OF\s+[\w, ]+?)?)\s+ON\s", re.IGNORECASE)
_REFUSAL = re.compile(r"'EK\|[^|']*\|[^|']*\|[^|']*\|((?:[^']|'')*)'")
_EFFECT = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE) (\w+)")
_DOES = {"INSERT INTO": "Adds to", "DELETE FROM": "Deletes from", "UPDATE": "Updates"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type as the file stores it, what it means, and what each of its values means."""

    name: str
    type: str
    required: bool
    default: str | None
    references: str | None
    typed_by: str | None  # the column that says which table this id is looked up in
    meaning: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A rule of a column (`*`: of the whole row) as a sentence."""

    column: str
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index: `columns` as its SQL has them; `where` if it covers some rows only."""

    name: str
    columns: str
    unique: bool
    where: str | None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A rule written as a trigger: when it looks, and what it says or does."""

    name: str
    when: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table whole. `referred_by` names the columns, as `table.column`, that refer to it."""

    word: str
    name: str
    sentence: str
    columns: tuple[Column, ...]
    checks: tuple[Check, ...]
    indexes: tuple[Index, ...]
    triggers: tuple[Trigger, ...]
    generated_triggers: int
    referred_by: tuple[str, ...]

    @property
    def references(self) -> dict[str, str]:
        """The tables this one refers to, by column."""
        return {column.name: column.references for column in self.columns if column.references}


def names(connection: sqlite3.Connection) -> list[str]:
    """List the tables of a file: ours in the order of the words, then the user's own."""
    ours = [name for word in texts.words() for name in word.tables]
    there = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
            " AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY rowid"
        )
    ]
    rank = {name: place for place, name in enumerate(ours)}
    return sorted(there, key=lambda name: rank.get(name, len(rank)))


def read_all(connection: sqlite3.Connection) -> list[Table]:
    """Return every table of a file, in the order of the words."""
    referrers = _referrers(connection)
    return [_read(connection, name, referrers.get(name.lower(), ())) for name in names(connection)]


def read(connection: sqlite3.Connection, table: str) -> Table:
    """Return one table. Raise NotFoundError, naming those that come close, if the file has no such table."""
    known = names(connection)
    spelled = next((name for name in known if name.lower() == table.lower()), None)
    if spelled is None:
        from difflib import get_close_matches

        close = get_close_matches(table.lower().replace("-", "_"), known, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "See: edgekit schema tables"
        raise NotFoundError(f"There is no table {table}.", hint=hint)
    return _read(connection, spelled, _referrers(connection).get(spelled.lower(), ()))


def declared(table: str) -> Table | None:
    """Return a table of ours as its schema file makes it, without opening any file; None if there is none.

    Nothing is known of references to it.
    """
    found = texts.made("table").get(table)
    word = texts.word_of(table)
    if found is None or word is None:
        return None
    connection = sqlite3.connect(":memory:")
    connection.execute(found.sql)
    for kind in ("index", "trigger"):
        for item in texts.made(kind).values():
            if re.search(rf"\bON {table}\b", item.sql.partition("BEGIN")[0]):
                connection.execute(item.sql)
    read = _read(connection, table, ())
    connection.close()
    return read


def _referrers(connection: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """Return who refers to each table, the signatures and the status left out."""
    found: dict[str, list[str]] = {}
    for name, column, parent in connection.execute(
        'SELECT m.name, f."from", f."table" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f'
        " WHERE m.type = 'table' ORDER BY m.rowid, f.id DESC"
    ):
        if column not in {"created_by", "updated_by", "status_id"}:
            found.setdefault(parent.lower(), []).append(f"{name}.{column}")
    return {parent: tuple(columns) for parent, columns in found.items()}


def _read(connection: sqlite3.Connection, name: str, referred_by: tuple[str, ...]) -> Table:
    (sql,) = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)
    ).fetchone()
    word = texts.word_of(name)
    triggers, generated = _triggers(connection, name)
    checks = rules.named_checks(name, sql)
    return Table(
        word.name if word else OWN_WORD,
        name,
        texts.sentence(name) if word else "A table of your own.",
        tuple(_columns(connection, name, sql, checks)),
        tuple(Check(column, code, sentence) for column, code, _, sentence in checks),
        tuple(_indexes(connection, name)),
        triggers,
        generated,
        referred_by,
    )


def _columns(
    connection: sqlite3.Connection, table: str, sql: str, checks: list[tuple[str, str, str, str]]
) -> Iterator[Column]:
    comments = texts.column_comments(sql)
    listed = 'SELECT "from", "table" FROM pragma_foreign_key_list(?)'
    references = dict(connection.execute(listed, (table,)).fetchall())
    choices = {
        column: tuple(re.findall(r"'([^']*)'", condition))
        for column, code, condition, _ in checks
        if code == "choice"
    }
    info = (
        'SELECT name, type, "notnull" OR pk, dflt_value FROM pragma_table_xinfo(?) WHERE hidden IN (0, 2, 3)'
    )
    for name, kind, required, default in connection.execute(info, (table,)).fetchall():
        values = choices.get(name, ())
        text, told = texts.meanings(comments.get(name, ""), values)
        if name == "table_name":  # the values are tables, whose sentences say what they are
            told = {value: told.get(value) or texts.first_sentence(texts.sentence(value)) for value in values}
        by = name.removesuffix("_id") + "_type_id"
        typed_by = by if name.endswith("_id") and name not in references and by in references else None
        order = [*values, *(["NULL"] if "NULL" in told else [])]
        meant = {value: told.get(value, "") for value in order}
        yield Column(name, kind, bool(required), default, references.get(name), typed_by, text, meant)


def _indexes(connection: sqlite3.Connection, table: str) -> Iterator[Index]:
    found = connection.execute(
        'SELECT i.name, i."unique", s.sql FROM pragma_index_list(?) i'
        " LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = i.name ORDER BY i.seq DESC",
        (table,),
    ).fetchall()
    for name, unique, sql in found:
        if sql is None:
            parts = connection.execute("SELECT name FROM pragma_index_info(?)", (name,)).fetchall()
            yield Index(name, ", ".join(part for (part,) in parts), bool(unique), None)
        else:
            parts = re.split(r"\)\s+WHERE\s+", sql[sql.index("(") + 1 :], maxsplit=1, flags=re.IGNORECASE)
            where = " ".join(parts[1].split()) if len(parts) > 1 else None
            columns = parts[0] if where else parts[0].rstrip().removesuffix(")")
            yield Index(name, " ".join(columns.split()), bool(unique), where)


def _triggers(connection: sqlite3.Connection, table: str) -> tuple[tuple[Trigger, ...], int]:
    """Return the triggers somebody wrote, and how many were generated."""
    written, generated = [], 0
    for name, sql in connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? ORDER BY rowid", (table,)
    ):
        made = texts.made("trigger").get(name)
        if made is None:
            generated += 1
            continue
        match = _TRIGGER.search(sql)
        when = " ".join(f"{match[1]} {match[2]}".lower().split()) if match else ""
        written.append(Trigger(name, when, _says(sql) or texts.first_sentence(made.comment) or _does(sql)))
    return tuple(written), generated


def _says(sql: str) -> str:
    return " ".join(dict.fromkeys(text.replace("''", "'") for text in _REFUSAL.findall(sql)))


def _does(sql: str) -> str:
    body = sql.partition("BEGIN")[2]
    return " ".join(dict.fromkeys(f"{_DOES[verb]} {table}." for verb, table in _EFFECT.findall(body)))
