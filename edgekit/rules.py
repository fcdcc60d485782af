"""What the file says when it refuses, in our words: the one parser of constraint and trigger messages."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any

from edgekit.errors import (
    BusyError,
    CorruptError,
    DeniedError,
    EdgekitError,
    InvalidError,
    MigrationNeededError,
    RuleError,
    UnavailableError,
)
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_NOT_NULL = re.compile(r"NOT NULL constraint failed: (.+)\.([^.]+)$")
_STRICT = re.compile(r"cannot store (\w+) value in (\w+) column (.+)\.([^.]+)$")
_CHECK = re.compile(r"CHECK constraint failed: (.+)")
_INDEX = re.compile(r"index '(.+)'")
_NOW = re.compile(r"non-deterministic use of (\w+)\(\) in a CHECK constraint")
_READ_ONLY = re.compile(r"cannot modify (.+) because it is a view")
_TAKEN = re.compile(r'^view "?([^"]+)"? already exists')


def translate(error: BaseException, connection: sqlite3.Connection | None = None) -> EdgekitError | None:
    """Turn an error of the driver (or one Peewee wrapped around it) into ours; None if it is a bug of ours.

    `connection` serves to read what is allowed out of the table's own text. Values of the row are not shown.
    """
    original = getattr(error, "orig", None) or error
    if not isinstance(original, sqlite3.Error):
        return _unstorable(original)
    name = getattr(original, "sqlite_errorname", "") or ""
    text = str(original)
    # Not by our words alone: a damaged schema may quote them too. Python 3.11 has no name for a wrong type.
    if isinstance(original, sqlite3.IntegrityError):
        rule = _rule(text, connection)
        return DeniedError(rule.message) if rule.code == "denied" else rule
    if match := _NOW.search(text):
        return _now(match[1])
    return _view(text) or _condition(name, text)


def _unstorable(error: BaseException) -> EdgekitError | None:
    """What Python's driver refuses before SQLite sees it: too large a number, half a character."""
    if isinstance(error, OverflowError) and "SQLite INTEGER" in str(error):
        return InvalidError("A number is beyond the largest whole number the file can hold.")
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return InvalidError("A text is not valid Unicode: it holds half a character, or foreign bytes.")
    return None


def _view(text: str) -> EdgekitError | None:
    """Views carry many names a person may think of: theirs is no table to write into, and no name for one."""
    if match := _READ_ONLY.search(text):
        return InvalidError(f"{match[1]} is a view: it is for reading only. Write to the table it reads.")
    if match := _TAKEN.search(text):
        return InvalidError(f"There is a view named {match[1]}: give the table another name.")
    return None


def _condition(name: str, text: str) -> EdgekitError | None:
    """Errors that are about the file or the disk and not about a row."""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BusyError(
            "The file is busy: another program is writing and did not finish in time.",
            hint="Close the other program, or try again in a moment.",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return CorruptError(
            f"The file is damaged or not a database ({text}).",
            hint="Restore the newest backup: edgekit restore BACKUP FILE.",
        )
    if name.startswith("SQLITE_FULL"):
        return UnavailableError(
            "The disk is full; the change was undone.", hint="Free some space and run the same command again."
        )
    if name.startswith("SQLITE_READONLY"):
        return DeniedError(
            "The file or its folder cannot be written.",
            hint="Move it to a folder you may write, or change its rights.",
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR")):
        return UnavailableError(
            f"The file cannot be opened or read ({text}).", hint="Check the disk, the folder and its rights."
        )
    if name.startswith("SQLITE_TOOBIG"):
        return InvalidError("A value is larger than the file can hold.")
    if name == "SQLITE_SCHEMA":
        return MigrationNeededError("The schema changed meanwhile.", hint="Run the command again.")
    return None


def _rule(text: str, connection: sqlite3.Connection | None) -> RuleError:
    """Read a refusal: our own sentence, or the terse words of the engine."""
    if text.count("|", max(text.find("EK|"), 0)) >= 4 and "EK|" in text:
        _, table, column, code, sentence = text[text.index("EK|") :].split("|", 4)
        return RuleError(table, column, code, sentence)
    if match := _STRICT.search(text):
        value, kind, table, column = match.groups()
        wanted = {
            "INT": "a whole number",
            "INTEGER": "a whole number",
            "REAL": "a number",
            "TEXT": "text",
        }.get(kind, kind)
        return RuleError(table, column, "type", f"{table}.{column} must be {wanted}, not {_noun(value)}.")
    if match := _NOT_NULL.search(text):
        table, column = match.groups()
        return RuleError(table, column, "required", f"{table}.{column} must not be empty.")
    if match := _UNIQUE.search(text):
        return _unique(match[1], connection)
    if match := _CHECK.search(text):
        return _check(match[1], connection)
    if "datatype mismatch" in text:
        return RuleError("*", "id", "type", "An id must be a whole number.")
    if "FOREIGN KEY" in text:
        return RuleError(
            "*",
            "*",
            "reference",
            "A row refers to one that does not exist, or is still referred to by another.",
        )
    return RuleError("*", "*", "constraint", text)


def _now(function: str) -> RuleError:
    """A word such as 'now' where a time is due: SQLite refuses to run the CHECK and names no column."""
    code, example = ("date", "2026-01-31") if function == "date" else ("time", "2026-01-31T09:05:00.000Z")
    return RuleError("*", "*", code, f"A {code} must be written out, such as {example}; 'now' is none.")


def _noun(storage: str) -> str:
    return {"TEXT": "text", "BLOB": "binary data", "REAL": "a fraction", "INT": "a whole number"}.get(
        storage, storage
    )


def _unique(text: str, connection: sqlite3.Connection | None) -> RuleError:
    if match := _INDEX.search(text):
        table, columns = _index_columns(match[1], connection)
    else:
        pairs = [part.rsplit(".", 1) for part in text.split(", ")]
        table, columns = pairs[0][0], [column for _, column in pairs]
    shown = [column for column in columns if column != "organization_id"] or columns
    return RuleError(
        table, shown[-1], "unique", f"There is already a row in {table} with this {' and '.join(shown)}."
    )


def _index_columns(index: str, connection: sqlite3.Connection | None) -> tuple[str, list[str]]:
    """Name table and columns of a unique index over expressions, which SQLite reports by index name only."""
    if connection is not None:
        row = connection.execute(
            "SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'index' AND name = ?", (index,)
        ).fetchone()
        if row:
            found = connection.execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
            plain = [name for (name,) in found if name]
            return row[0], plain or re.findall(r"COALESCE\((\w+),", row[1]) or [index]
    return "*", [index]


def _check(name: str, connection: sqlite3.Connection | None) -> RuleError:
    """A CHECK is named `table.column.code`; what it allows is read from the table's own SQL."""
    parts = name.strip('"').split(".")
    if len(parts) != 3:
        return RuleError("*", "*", "check", f"The rule {name} does not hold.")
    table, column, code = parts
    return RuleError(
        table, column, code, _sentence(table, column, code, _condition_of(table, name, connection))
    )


def named_checks(table: str, sql: str) -> list[tuple[str, str, str, str]]:
    """Return the CHECKs of a CREATE TABLE named in our form: column, code, condition, sentence."""
    found = []
    for match in re.finditer(r'CONSTRAINT "([^".]+)\.([^".]+)\.([^".]+)" CHECK \(', sql):
        condition = _up_to_bracket(sql[match.end() :])
        found.append((match[2], match[3], condition, _sentence(table, match[2], match[3], condition)))
    return found


def _condition_of(table: str, name: str, connection: sqlite3.Connection | None) -> str:
    if connection is None:
        return ""
    row = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)
    ).fetchone()
    sql = (row[0] or "") if row else ""
    start = sql.find(f'CONSTRAINT "{name}" CHECK (')
    if start < 0:
        return ""
    return _up_to_bracket(sql[start:].split("CHECK (", 1)[1])


def _up_to_bracket(text: str) -> str:
    """Cut a condition at the bracket that closes it: a comment or another rule may follow on the line."""
    depth, quoted = 1, False
    for position, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(letter, 0)
            if depth == 0:
                return text[:position]
    return text


_FORMATS = {
    "currency": "three capital letters such as USD",
    "color": "a colour such as #3366CC",
    "feature_key": "small letters, digits and _ with dots between, such as integration.mail",
    "cron_expression": "five fields such as 30 6 * * 1-5: minute, hour, day, month, weekday",
    "time_of_day": "a time of day such as 06:30",
    "period_starts_at": "the first moment of its hour, day, month or year, such as 2026-01-31T00:00:00.000Z",
    "timezone": "a time zone as IANA names it, such as America/New_York",
}


def _figures(code: str, condition: str) -> str | None:
    """Say the limits a CHECK sets to a length or a number."""
    unit = " characters" if code == "length" else ""
    if numbers := re.search(r"BETWEEN (-?\d+) AND (-?\w+)", condition):
        if code == "length" and numbers[1] == "1":
            return f"must not be empty and has at most {numbers[2]}{unit}"
        return f"must be between {numbers[1]} and {numbers[2]}{unit}"
    if exact := re.search(r"\) = (\d+)", condition):
        return f"must have {exact[1]}{unit}"
    if highest := re.search(r"<= (\d+)", condition):
        return f"has at most {highest[1]}{unit}"
    if lowest := re.search(r">= (-?\d+)", condition):
        return "must not be negative" if lowest[1] == "0" else f"must be at least {lowest[1]}{unit}"
    return None


def _sentence(table: str, column: str, code: str, condition: str) -> str:
    """Say what a CHECK of ours asks for, by its code and the figures in its text."""
    what = table if column == "*" else f"{table}.{column}"
    values = re.findall(r"'([^']*)'", condition)
    order = re.search(r"(\w+) <(=?) (\w+)", condition)
    sentences = {
        "boolean": f"{what} must be 0 or 1.",
        "json_object": f"{what} must be a JSON object.",
        "date": f"{what} must be a date such as 2026-01-31.",
        "time": f"{what} must be a UTC time such as 2026-01-31T09:05:00.000Z.",
        "choice": f"{what} must be one of: {', '.join(values)}.",
        "cycle": f"{what} must not lead back to the same row.",
        "order": f"{what} must {'not come before' if order and order[2] else 'come after'}"
        f" {order[1] if order else 'what precedes it'}.",
        "required": f"{what} does not fit the rest of the row.",
        "single": f"{table} has one row only.",
    }
    if column == "vin" and code in {"length", "format"}:
        return (
            f"{what} must have 17 characters (digits and capital letters without I, O and Q);"
            " a VIN known in part writes * for each unknown character."
        )
    if code == "format" and column in _FORMATS:
        return f"{what} must be {_FORMATS[column]}."
    if code in {"length", "range"} and (figures := _figures(code, condition)):
        return f"{what} {figures}."
    return sentences.get(code, f"{what} is not as the rule “{code}” asks.")


def explain_reference(
    connection: sqlite3.Connection, table: str, values: Mapping[str, Any]
) -> RuleError | None:
    """Find which reference of a row has nothing to point at: SQLite names none when a foreign key fails."""
    for row in connection.execute('SELECT "table", "from", "to" FROM pragma_foreign_key_list(?)', (table,)):
        parent, column, target = row[0], row[1], row[2] or "id"
        value = values.get(column)
        if value is None:
            continue
        sql = f"SELECT 1 FROM {quote_name(parent)} WHERE {quote_name(target)} = ?"
        if connection.execute(sql, (value,)).fetchone() is None:
            return RuleError(
                table, column, "reference", f"{table}.{column}: there is no {parent} with {target} {value}."
            )
    return None


def explain_referrers(connection: sqlite3.Connection, table: str, key: Any) -> RuleError | None:
    """Find which table still refers to a row that was to be deleted."""
    children = connection.execute(
        'SELECT m.name, f."from" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f'
        " WHERE m.type = 'table' AND f.\"table\" = ? COLLATE NOCASE",
        (table,),
    ).fetchall()
    for child, column in children:
        sql = f"SELECT 1 FROM {quote_name(child)} WHERE {quote_name(column)} = ? LIMIT 1"
        if connection.execute(sql, (key,)).fetchone():
            return RuleError(table, "id", "referenced", f"Rows of {child} refer to this row of {table}.")
    return None


_PEEWEE_INSERT = re.compile(r'INSERT (?:OR \w+ )?INTO "([^"]+)" \(([^)]*)\) VALUES \(')
_PEEWEE_UPDATE = re.compile(r'UPDATE "([^"]+)" SET (.*?)(?: WHERE |$)', re.DOTALL)
_PEEWEE_DELETE = re.compile(
    r'DELETE FROM "([^"]+)" WHERE \(?"[^"]*"\."id" = \?\)?|DELETE FROM "([^"]+)" WHERE \("id" = \?\)'
)


def explain_statement(connection: sqlite3.Connection, sql: str, params: Sequence[Any]) -> RuleError | None:
    """Read a statement Peewee wrote, to find which of its references has nothing to point at."""
    if match := _PEEWEE_INSERT.match(sql):
        columns = re.findall(r'"([^"]+)"', match[2])
        for start in range(0, len(params), max(len(columns), 1)):
            values = dict(zip(columns, params[start : start + len(columns)], strict=False))
            if named := explain_reference(connection, match[1], values):
                return named
    elif match := _PEEWEE_UPDATE.match(sql):
        places = re.finditer(r'"([^"]+)" = \?|\?', match[2])  # version = version + ? takes a place too
        values = {place[1]: value for place, value in zip(places, params, strict=False) if place[1]}
        return explain_reference(connection, match[1], values)
    elif match := _PEEWEE_DELETE.match(sql):
        return explain_referrers(connection, match[1] or match[2], params[0])
    return None
