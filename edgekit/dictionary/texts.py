"""What the schema files say in their comments: of a word, of a table, of a column and its values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from edgekit import schema

_GENERATED = "99"
_CREATE = re.compile(r"^CREATE (?:UNIQUE )?(TABLE|TRIGGER|INDEX|VIEW) (\w+)", re.MULTILINE)
_PIECE = re.compile(
    r"'(?:[^']|'')*' | \"[^\"]*\" | --[^\n]* | [A-Za-z_]\w* | [(),\n] | [^\s] | \s", re.VERBOSE
)
_TABLE_RULES = {"CONSTRAINT", "UNIQUE", "CHECK", "FOREIGN", "PRIMARY"}


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the schema: its file's number, what the file says it is, and its tables in their order."""

    number: str
    name: str
    sentence: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A statement that makes something: its kind (table, trigger …), name, SQL and the comment above it."""

    kind: str
    name: str
    sql: str
    comment: str


@cache
def words() -> tuple[Word, ...]:
    """Return the words in their order, without the generated triggers."""
    found = []
    for file, script in _scripts().items():
        number, _, name = file.removesuffix(".sql").partition("_")
        tables = tuple(made.name for made in statements(file) if made.kind == "table")
        found.append(Word(number, name, _paragraphs(script.partition("CREATE ")[0])[0], tables))
    return tuple(found)


@cache
def _scripts() -> dict[str, str]:
    return {file: script for file, script in schema.schema_scripts() if not file.startswith(_GENERATED)}


@cache
def statements(file: str) -> tuple[Made, ...]:
    """Return what a schema file makes, in its order."""
    found = []
    for text in schema.split_statements(_scripts()[file]):
        if match := _CREATE.search(text):
            sql = text[match.start() :].rstrip("; \n")
            found.append(Made(match[1].lower(), match[2], sql, _block(text[: match.start()])))
    return tuple(found)


@cache
def made(kind: str) -> dict[str, Made]:
    """Return everything of a kind that the files make, the generated triggers left out."""
    return {item.name: item for file in _scripts() for item in statements(file) if item.kind == kind}


def word_of(table: str) -> Word | None:
    """Find the word a table belongs to; None for a table of the user's own."""
    return next((word for word in words() if table in word.tables), None)


def sentence(table: str) -> str:
    """Return what is said above a table; empty for a table of the user's own."""
    found = made("table").get(table)
    return found.comment if found else ""


def first_sentence(text: str) -> str:
    """Cut a text after its first sentence."""
    match = re.match(r".*?[.!](?=\s|$)", text)
    return match[0] if match else text


def _block(above: str) -> str:
    """Return the comment that stands right above a statement, on one line; an empty `--` does not end it."""
    return " ".join(" ".join(_paragraphs(above.rpartition("\n\n")[2])).split())


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a comment, each on one line."""
    lines = [line.strip() for line in text.splitlines()]
    joined = "\n".join(line.removeprefix("--").strip() if line.startswith("--") else "" for line in lines)
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", joined) if part.strip()] or [""]


def column_comments(sql: str) -> dict[str, str]:
    """Return the trailing comments of a CREATE TABLE by column.

    A comment belongs to the definition it stands behind, also behind the comma; on a line of its own to the
    next one.
    """
    found: dict[str, list[str]] = {}
    depth, name, last, is_new_line = 0, "", "", True
    for piece in _PIECE.findall(sql[sql.find("(") :]):
        if piece.startswith("--"):
            owner = name or ("" if is_new_line else last)
            found.setdefault(owner, []).append(piece[2:].strip())
        elif piece in "()":
            depth += 1 if piece == "(" else -1
        elif piece == "\n":
            is_new_line = True
            continue
        elif piece == "," and depth == 1:
            name, last, is_new_line = "", name, False
        elif depth == 1 and not name and not piece.isspace():
            name = piece.strip('"')
            if "" in found and name:
                found[name] = found.pop("")
        if not piece.isspace():
            is_new_line = False
    return {column: " ".join(parts) for column, parts in found.items() if column not in _TABLE_RULES}


def meanings(comment: str, values: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Split a comment into what it says of the column and what of each value: `a: …; b: …`."""
    if not values:
        return comment, {}
    told: list[str] = []
    found: dict[str, str] = {}
    last: list[str] = []
    for part in comment.split("; "):
        lead, colon, rest = part.partition(": ")
        if colon and lead not in values and rest.partition(": ")[0] in values:
            told.append(lead)  # what the column is, and then at once the first value
            part = rest
        match = re.match(r"([\w, ]+): (.+)", part)
        names = [name.strip() for name in match[1].split(",")] if match else []
        if match and set(names) <= {*values, "NULL"}:
            last = names
            found.update(dict.fromkeys(names, match[2]))
        elif last:
            found.update({name: f"{found[name]}; {part}" for name in last})
        elif part:
            told.append(part)
    return "; ".join(told), found
