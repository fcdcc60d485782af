"""Fixed width: where each column stands in a line, read and written; any other length is no record."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from edgekit import pattern
from edgekit.connectors.file_text import HEAVY, TextLines
from edgekit.errors import InvalidError, SkipRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgekit.connectors.file_formats import Batch
    from edgekit.connectors.file_text import Text


@dataclass(frozen=True, slots=True)
class Column:
    """Where a column stands in a line, counted from 0, and what is filled up on which side."""

    name: str
    start: int
    end: int
    trim: str
    align: str
    fill: str

    def cut(self, line: str) -> str:
        """Return the column's value of a line."""
        value = line[self.start : self.end]
        if self.trim == "both":
            return value.strip()
        if self.trim == "none":
            return value
        return value.lstrip() if self.trim == "left" else value.rstrip()

    def put(self, text: str) -> str:
        """Return a value as wide as the column. Raise SkipRecordError if it is too long."""
        width = self.end - self.start
        if len(text) > width:
            raise SkipRecordError(
                f"The column {self.name} is {width} characters wide; the value has {len(text)}.",
                error_code="length",
            )
        if not text:
            return " " * width
        if self.align == "left":
            return text.ljust(width, self.fill)
        if self.fill == "0" and text[0] in "+-":
            return text[0] + text[1:].rjust(width - 1, "0")
        return text.rjust(width, self.fill)


def layout(wanted: Any) -> list[Column]:
    """Read the setting `columns`. Raise InvalidError naming the column that cannot be so."""
    if not wanted:
        raise InvalidError(
            "Where does each column stand?",
            hint="""Say it: --set 'columns=[{"name": "vin", "start": 1, "length": 17}, …]'""",
        )
    found: list[Column] = []
    at = 0
    for item in wanted:
        if not isinstance(item, dict) or "length" not in item:
            raise InvalidError(
                f"columns: {item if isinstance(item, str) else item.get('name')!r} has no length."
            )
        start = int(item["start"]) - 1 if "start" in item else at
        at = start + int(item["length"])
        trim = item.get("trim", True)
        side = str(trim) if not isinstance(trim, bool) else "both" if trim else "none"
        align = item.get("align", "left")
        found.append(Column(item["name"], start, at, side, align, item.get("fill", " ")))
    names = [column.name for column in found]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise InvalidError(f"columns: two are named {double}.")
    return found


def line_length(columns: Sequence[Column], config: Mapping[str, Any]) -> int:
    """Return how long a line is: what is said, else up to the end of its last column."""
    least = max(column.end for column in columns)
    wanted = int(config.get("record_length", least))
    if wanted < least:
        raise InvalidError(f"record_length is {wanted}, but a column ends at {least}.")
    return wanted


def skipper(config: Mapping[str, Any]) -> Callable[[str], bool]:
    """Return what tells the lines that are no records, such as headers and trailers. Raise InvalidError."""
    tests = []
    for expression in config.get("skip", []):
        try:
            tests.append(pattern.compile(expression))
        except InvalidError as error:
            raise InvalidError(f"skip: {error.message}") from error
    return lambda line: any(test(line) for test in tests)


class FixedReader:
    """Lines cut at the places the settings say."""

    def __init__(self, text: Text, path: str, config: Mapping[str, Any], longest: int) -> None:
        self._lines = TextLines(text, path, longest)
        self._each = chain.from_iterable(self._lines)
        self._columns = layout(config.get("columns"))
        self._width = line_length(self._columns, config)
        self._pads = bool(config.get("pad", False))
        self._is_skipped = skipper(config) if config.get("skip") else None
        self._first = int(config.get("skip_lines", 0))
        self._number = 0

    def fill(self, batch: Batch, size: int) -> None:
        """Add up to `size` records and rejects."""
        self._lines.weight = 0
        for full in self._each:
            self._number += 1
            self._add(batch, full.rstrip("\r\n"))
            if len(batch) >= size or self._lines.weight > HEAVY:
                return

    def _add(self, batch: Batch, line: str) -> None:
        number, width = self._number, self._width
        if number <= self._first or not line or line == "\x1a":
            return
        if self._is_skipped is not None:
            try:
                if self._is_skipped(line):
                    return
            except pattern.PatternTimeoutError as error:
                batch.refuse(line, number, "format", f"Whether to skip the line is unknown: {error}.")
                return
        length = len(line)
        if length != width:
            if length > width:
                if line[width:].strip() or not self._pads:
                    batch.refuse(line, number, "length", f"The line has {length} characters, not {width}.")
                    return
            elif not self._pads:
                hint = "; pad=true fills shorter lines up" if length >= self._columns[0].end else ""
                batch.refuse(line, number, "length", f"The line has {length} characters, not {width}{hint}.")
                return
        if "\x00" in line:
            batch.refuse(line, number, "format", "The line holds a NUL character.")
            return
        batch.records.append({column.name: column.cut(line) for column in self._columns})
        batch.numbers.append(number)
