"""The line of a reference table: its word, its name, its sentence and its own columns."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import schema
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

REGISTRY = "reference_tables.txt"

_COLUMN = re.compile(
    r"(?P<name>[a-z]\w*):(?P<kind>boolean|integer|text|choice|single|tree)(?:>=(?P<least>-?\d+))?"
    r"(?:\((?P<inside>[^)]*)\))?(?P<marks>[?!]*)(?:=(?P<default>[\w-]+))?(?: -- (?P<comment>.+))?"
)
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a reference table's own."""

    name: str
    kind: str
    inside: str  # the length of a text, the values of a choice
    least: str | None
    nullable: bool
    unique: bool
    default: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Definition:
    """A reference table as its line says."""

    word: str
    name: str
    sentence: str
    columns: tuple[Column, ...]

    @property
    def model_name(self) -> str:
        """The name of its model."""
        return "".join(part.capitalize() for part in self.name.split("_"))


def registry() -> list[Definition]:
    """Return the reference tables, in the order of their lines."""
    text = (schema.schema_folder() / REGISTRY).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [parse(shlex.split(line)) for line in lines]


def parse(words: Sequence[str]) -> Definition:
    """Read a line. Raise InvalidError for what is wrong in it."""
    if len(words) < 3:
        raise InvalidError(
            "A reference table has a word, a name and a sentence.",
            hint='parties office_kind "One row is a kind of office." is_public:boolean',
        )
    word, name, sentence, *columns = words
    if not _NAME.fullmatch(name):
        raise InvalidError(f"{name!r} is no name for a table: singular, small letters and _.")
    if not re.fullmatch(r"One row [^\n']+\.", sentence):
        raise InvalidError(f"{name} needs its sentence: One row is … .", hint="It ends with a full stop.")
    return Definition(word, name, sentence, tuple(_column(name, text) for text in columns))


def _column(table: str, text: str) -> Column:
    match = _COLUMN.fullmatch(text)
    if match is None:
        raise InvalidError(f"{table}: {text!r} is no column.", hint="Such as sort_order:integer=0")
    kind, inside, marks = match["kind"], match["inside"] or "", match["marks"]
    if (kind == "text") != inside.isdigit() or (kind == "choice") != bool(re.search("[a-z]", inside)):
        raise InvalidError(f"{table}: {text!r} is no column.", hint="Such as text(20) or choice(a|b)")
    if kind in {"boolean", "single"} and not match["name"].startswith(("is_", "requires_", "applies_to_")):
        raise InvalidError(f"{table}: a yes or no is called is_…, requires_… or applies_to_….")
    if kind == "tree" and match["name"] != f"parent_{table}_id":
        raise InvalidError(f"{table}: the row above is called parent_{table}_id.")
    default = match["default"] or ("0" if kind in {"boolean", "single"} else None)
    return Column(
        match["name"], kind, inside, match["least"], "?" in marks or kind == "tree", "!" in marks, default,
        match["comment"],
    )  # fmt: skip


def line(table_words: Sequence[str]) -> str:
    """Write a line of the registry, quoted where the shell would ask for it."""
    quoted = [
        word
        if re.fullmatch(r"[\w:=>!?-]+", word)
        else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for word in table_words
    ]
    return " ".join(quoted) + "\n"
