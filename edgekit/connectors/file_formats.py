"""Records out of bytes: CSV, NDJSON, JSON arrays. What is no record comes as a Reject with its place."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from edgekit import codec
from edgekit.connectors.base import Reject
from edgekit.connectors.file_fixed import FixedReader
from edgekit.connectors.file_json import ArrayReader
from edgekit.connectors.file_text import HEAVY, ByteLines, Text, TextLines, settle_encoding
from edgekit.connectors.file_xml import XmlReader
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.connectors.file_open import Source

_ENDINGS = (
    (".csv", "csv"), (".tsv", "csv"), (".ndjson", "ndjson"), (".jsonl", "ndjson"), (".xml", "xml"),
)  # fmt: skip
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d\s.,()/-]*$)")
_GUARDED = re.compile(r"'+[=@+\-\t\r]")
_SHOWN = 2000
_LONGEST = 1 << 24
_QUOTED = re.compile(r'"[^"]*"')
_UTF8_HINT = " If the file comes from an older Windows program: --set encoding=cp1252."


@dataclass(slots=True)
class Batch:
    """Records with the numbers of their places, and what could not become a record."""

    records: list[Any] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    word: str = "line"

    def __len__(self) -> int:
        return len(self.records) + len(self.rejects)

    def refuse(self, raw: str, number: int, code: str, message: str) -> None:
        """Add what is no record."""
        shown = raw[:_SHOWN].replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()
        self.rejects.append(Reject(shown, f"{self.word} {number}", code, message))


class Reader(Protocol):
    """Reads on through one file."""

    def fill(self, batch: Batch, size: int) -> None:
        """Add up to `size` records and rejects, none at the end. On an error it holds what came before."""
        ...


@runtime_checkable
class Skipping(Protocol):
    """A reader that passes over records faster than it reads them."""

    def skip(self, count: int) -> int:
        """Pass over up to so many records and rejects; return how many there were."""
        ...


def reader(source: Source, config: Mapping[str, Any]) -> Reader:
    """Return a reader of the format that settings, name and first characters say."""
    encoding = settle_encoding(source, str(config.get("encoding", "utf-8")))
    beginning = source.head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    kind = config.get("format") or _guess(source.path, beginning, config)
    longest = int(config.get("max_record_bytes", _LONGEST))
    if kind == "ndjson":
        return _LineReader(source, encoding, longest)
    if kind == "xml":
        return XmlReader(source, config, encoding if "encoding" in config else None, longest)
    text = Text(source, encoding)
    if kind == "csv":
        return _CsvReader(text, source.path, config, longest)
    if kind == "fixed":
        return FixedReader(text, source.path, config, longest)
    return ArrayReader(text, source.path, str(config.get("records", "")), longest)


def kind_of_name(path: str) -> str:
    """Return the format a file's name tells. Raise InvalidError where it tells none."""
    name = path.lower().removesuffix(".gz")
    for ending, kind in (*_ENDINGS, (".json", "json"), (".xlsx", "xlsx")):
        if name.endswith(ending):
            return kind
    raise InvalidError(
        f"In which format is {path} to be written?",
        hint="Say it: --set to.format=csv (or ndjson, json, xlsx, fixed, xml)",
    )


def guarded(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would take for a formula.

    A sign before figures alone (a phone number, -) is none. A text that looks guarded already gets another
    one, so that taking it away always gives what was written.
    """
    return f"'{text}" if _FORMULA.match(text) or _GUARDED.match(text) else text


def unguarded(text: str) -> str:
    """Take the apostrophe away that `guarded` put there."""
    return text[1:] if _GUARDED.match(text) else text


def read_header(source: Source, config: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the names of a CSV's columns and what stands between them."""
    encoding = settle_encoding(source, str(config.get("encoding", "utf-8")))
    reader = _CsvReader(Text(source, encoding), source.path, {**config, "columns": []}, _LONGEST)
    return reader.begin()


def is_sheet(path: str, config: Mapping[str, Any]) -> bool:
    """Tell whether a file is a workbook, by what is said or by its name."""
    return str(config.get("format") or path.lower().rpartition(".")[2]) in {"xlsx", "xlsm"}


def _guess(path: str, beginning: str, config: Mapping[str, Any]) -> str:
    if any(isinstance(column, dict) for column in config.get("columns", ())):
        return "fixed"
    name = path.lower().removesuffix(".gz")
    for ending, kind in _ENDINGS:
        if name.endswith(ending):
            return kind
    if beginning.startswith("<?xml"):
        return "xml"
    if beginning[:1] == "[" or name.endswith(".json"):
        return "ndjson" if _has_object_lines(beginning) else "json"
    return "ndjson" if beginning[:1] == "{" else "csv"


def _has_object_lines(beginning: str) -> bool:
    """Tell objects one a line, whatever the file is called."""
    first, _, rest = beginning.partition("\n")
    try:
        return beginning[0] == "{" and rest.lstrip()[:1] == "{" and isinstance(codec.loads(first), dict)
    except (InvalidError, IndexError):
        return False


class _LineReader:
    """One JSON object a line."""

    def __init__(self, source: Source, encoding: str, longest: int) -> None:
        self._longest = longest
        self._bytes = ByteLines(source, longest) if encoding == "utf-8" else None
        self._text = (
            iter(TextLines(Text(source, encoding), source.path, longest)) if self._bytes is None else None
        )
        self._lines: list[bytes] | list[str] = []
        self._at = 0
        self._number = 0

    def fill(self, batch: Batch, size: int) -> None:
        weight = 0
        while len(batch) < size and weight < HEAVY:
            if self._at >= len(self._lines):
                self._lines, self._at = self._next(), 0
                if not self._lines:
                    return
                weight += sum(map(len, self._lines))
            end = self._at + size - len(batch)
            self._read(batch, self._lines[self._at : end])

    def skip(self, count: int) -> int:
        """Pass over lines undecoded: each that is not blank is a record, or a reject."""
        passed = 0
        while passed < count:
            if self._at >= len(self._lines):
                self._lines, self._at = self._next(), 0
                if not self._lines:
                    break
            line = self._lines[self._at]
            passed += len(line) > self._longest or bool(line.strip())
            self._at += 1
            self._number += 1
        return passed

    def _next(self) -> list[bytes] | list[str]:
        if self._bytes is not None:
            return self._bytes.next()
        assert self._text is not None
        return next(self._text, [])

    def _read(self, batch: Batch, lines: Sequence[bytes | str]) -> None:
        decode, refused = codec.decoder()
        add, note, longest = batch.records.append, batch.numbers.append, self._longest
        before = self._number
        for number, line in enumerate(lines, before + 1):
            if len(line) <= longest:
                try:
                    record = decode(line)
                    if type(record) is dict:
                        add(record)
                        note(number)
                        continue
                except refused:
                    pass
                except InvalidError:
                    pass
            self._closer(batch, line, number)
        self._number = before + len(lines)
        self._at += len(lines)

    def _closer(self, batch: Batch, line: bytes | str, number: int) -> None:
        """Look at a line the decoder did not take at once."""
        raw = line[: 4 * _SHOWN]
        shown = (raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw).strip()
        if len(line) > self._longest:
            batch.refuse(shown, number, "length", f"The line is longer than {self._longest} bytes.")
            return
        if not line.strip():
            return
        try:
            record = codec.loads(line)
        except InvalidError as error:
            hint = _UTF8_HINT if "UTF-8" in error.message else ""
            batch.refuse(shown, number, "json", f"The line is {error.message}.{hint}")
            return
        if isinstance(record, dict):
            batch.records.append(record)
            batch.numbers.append(number)
        else:
            batch.refuse(shown, number, "shape", "The line is JSON, but no object.")


class _CsvReader:
    """A header and rows. Lines without a cell are passed over, rows of another width set aside."""

    def __init__(self, text: Text, path: str, config: Mapping[str, Any], longest: int) -> None:
        self._path = path
        self._guards = bool(config.get("formula_guard", True))
        self._lines = TextLines(text, path, longest, guarded=self._guards)
        self._longest = longest
        self._mark = delimiter_of(config.get("delimiter"))
        self._names = [str(name) for name in config.get("columns", ())]
        self._reader: Any = None
        self._header: list[str] = []
        self._line = 1
        self._begun = 1

    def fill(self, batch: Batch, size: int) -> None:
        csv.field_size_limit(min(self._longest, 2**31 - 1))
        if self._reader is None:
            self._begin()
        self._lines.weight = 0
        while len(batch) < size:
            try:
                if self._rows(batch, size):
                    return
            except csv.Error as error:
                self._misread(batch, error)

    def _rows(self, batch: Batch, size: int) -> bool:
        """Add rows until the batch is full or the file ends; return True then."""
        rows, lines, header = self._reader, self._lines, self._header
        width, line = len(header), self._line
        add, note, left = batch.records.append, batch.numbers.append, size - len(batch)
        try:
            for row in rows:
                if len(row) == width and row[0] and not lines.alert:
                    add(dict(zip(header, row, strict=False)))
                    note(line)
                    left -= 1
                else:
                    left -= self._closer(batch, row, line)
                    if lines.weight > HEAVY and batch:
                        left = 0
                line = rows.line_num + 1
                if left <= 0:
                    return True
        finally:
            self._begun, self._line = line, rows.line_num + 1
        return True

    def _closer(self, batch: Batch, row: list[str], line: int) -> int:
        """Look at a row that is not quite as most are; return how many it adds to the batch."""
        width = len(self._header)
        if not row or (width > 1 and not any(cell.strip() for cell in row) and len(row) in {1, width}):
            return 0
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) != width:
            message = f"The row has {len(row)} cells, the header {width}."
            batch.refuse(self._joined(row), line, "width", message)
        elif any("\x00" in cell for cell in row):
            batch.refuse(self._joined(row), line, "format", "The row holds a NUL character.")
        else:
            if self._guards:
                row = [unguarded(cell) if cell[:1] == "'" else cell for cell in row]
            batch.records.append(dict(zip(self._header, row, strict=True)))
            batch.numbers.append(line)
        return 1

    def _misread(self, batch: Batch, error: csv.Error) -> None:
        """Set one badly quoted row aside. Raise InvalidError if its quote swallowed the rest of the file."""
        last = self._line - 1
        if "unexpected end" in str(error) or "field larger" in str(error):
            raise InvalidError(
                f"{self._path}, line {self._begun}: a quotation mark opens in this record and is not closed.",
                hint="Close or remove it; what stands before is kept.",
            ) from error
        raw = self._lines.between(self._begun, last)
        batch.refuse(raw.rstrip("\r\n"), self._begun, "quote", f"The row is not well quoted: {error}.")

    def begin(self) -> tuple[list[str], str]:
        """Read the header; return it and the delimiter."""
        csv.field_size_limit(min(self._longest, 2**31 - 1))
        self._begin()
        return self._header, self._mark or ","

    def _begin(self) -> None:
        """Read the header: the first line with something in it."""
        lines = chain.from_iterable(self._lines)
        first = next((line for line in lines if self._passed_over(line)), None)
        if first is None:
            raise InvalidError(f"{self._path} is empty.")
        outside = _QUOTED.sub("", first)
        mark = self._mark or max(",;\t|", key=outside.count)
        self._mark = mark
        blank = [""] * (self._line - 1)  # so that line_num counts from the file's beginning
        self._reader = csv.reader(chain(blank, [first], lines), delimiter=mark, strict=True)
        if self._names:
            self._header = _checked(self._names, self._path)
            for _ in blank:
                next(self._reader)
            self._begun = self._line
            return
        try:
            header = next(row for row in self._reader if row)
        except csv.Error as error:
            raise InvalidError(
                f"{self._path}: its first line, which names the columns, is no CSV: {error}."
            ) from error
        names = [name.strip() for name in header]
        self._header = _checked([unguarded(name) for name in names] if self._guards else names, self._path)
        self._begun = self._line = self._reader.line_num + 1

    def _passed_over(self, line: str) -> bool:
        if line.strip():
            return True
        self._line += 1
        return False

    def _joined(self, row: list[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self._mark or ",", lineterminator="").writerow(row)
        return text.getvalue()


def delimiter_of(wanted: str | None) -> str | None:
    """Read the setting of a delimiter. Raise InvalidError for what cannot be one."""
    if wanted is None:
        return None
    mark = {"tab": "\t", "\\t": "\t"}.get(wanted.lower(), wanted)
    if len(mark) != 1 or mark in '"\r\n\x00':
        raise InvalidError(f"{wanted!r} cannot be a delimiter.", hint="It is one character, or tab.")
    return mark


def _checked(header: list[str], path: str) -> list[str]:
    """Return the columns' names; nameless ones at the end (a trailing delimiter) are dropped."""
    while header and not header[-1]:
        header = header[:-1]
    if not header:
        raise InvalidError(f"{path}: its first line must name the columns.")
    if any("\x00" in name for name in header):
        raise InvalidError(f"{path} is no CSV: its first line holds NUL characters.")
    if "" in header:
        place = header.index("") + 1
        raise InvalidError(
            f"{path}: column {place} has no name.", hint="Give each column a name in the first line."
        )
    seen: set[str] = set()
    for name in header:
        if name in seen:
            raise InvalidError(
                f"{path}: two columns are named {name[:100]}.", hint="Rename one of them in the first line."
            )
        seen.add(name)
    return header
