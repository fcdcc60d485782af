"""Records as bytes of a file: CSV, NDJSON, a JSON array, fixed width, XML. What does not fit is refused."""

from __future__ import annotations

import codecs
import csv
import io
import re
from typing import TYPE_CHECKING, Any, Protocol
from xml.sax.saxutils import escape, quoteattr

from edgekit import codec
from edgekit.connectors.file_fixed import layout, line_length
from edgekit.connectors.file_formats import delimiter_of, guarded
from edgekit.errors import EdgekitError, InvalidError, SkipRecordError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"(?:([^\W\d][\w.-]*):)?[^\W\d][\w.-]*")
_LONGEST_CELL = 32_767


class Encoder(Protocol):
    """Writes one format. `columns` are those of a table, once they are known; none where there are none."""

    columns: list[str]

    def begin(self, records: Sequence[Mapping[str, Any]]) -> bytes:
        """Return what comes before the first records, these."""
        ...

    def record(self, record: Mapping[str, Any], *, is_first: bool) -> bytes:
        """Return one record. Raise SkipRecordError where it cannot be written."""
        ...

    def end(self, *, is_empty: bool) -> bytes:
        """Return what comes behind the last record."""
        ...


def encoder(kind: str, config: Mapping[str, Any], columns: Sequence[str]) -> Encoder:
    """Return the encoder of a format. Raise InvalidError for settings it cannot have."""
    if kind == "csv":
        return _Csv(config, columns)
    if kind == "fixed":
        return _Fixed(config)
    if kind == "xml":
        return _Xml(config)
    if kind == "json":
        return _Json()
    return _Lines(columns, is_sheet=kind == "xlsx")


def as_text(value: Any) -> str:
    """Write a value as a cell's text: nothing for null, true and false, JSON of what is nested."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return codec.dumps(value)


def _refused(why: str, code: str = "format") -> SkipRecordError:
    return SkipRecordError(why, error_code=code)


class _Encoding:
    """Text as bytes, the mark only at the beginning."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        wanted = str(config.get("encoding", "utf-8"))
        try:
            name = codecs.lookup(wanted).name
            "x".encode(name)
        except (LookupError, UnicodeError, TypeError) as error:
            raise InvalidError(
                f"There is no encoding {wanted!r}.", hint="Common ones: utf-8, latin-1, cp1252, utf-16."
            ) from error
        self.mark = b""
        if name in {"utf-16", "utf-32"}:
            name = f"{name}-le"
            self.mark = "\ufeff".encode(name)
        elif name == "utf-8-sig" or (name.startswith("utf") and config.get("bom")):
            name = name.removesuffix("-sig")
            self.mark = "\ufeff".encode(name)
        self.name = name

    def encode(self, text: str) -> bytes:
        try:
            return text.encode(self.name)
        except UnicodeEncodeError as error:
            what = f"U+{ord(error.object[error.start]):04X}"
            raise _refused(f"The character {what} cannot be written in {self.name}.", "encoding") from error


class _Csv:
    def __init__(self, config: Mapping[str, Any], columns: Sequence[str]) -> None:
        self._chosen = [str(name) for name in config.get("columns", ())]
        self.columns = list(self._chosen or columns)
        self._names: frozenset[str] = frozenset()
        self._guards = bool(config.get("formula_guard", True))
        self._has_header = bool(config.get("header", True))
        self._encoding = _Encoding(config)
        end = "\n" if config.get("line_end") == "lf" else "\r\n"
        quoting: Any = csv.QUOTE_ALL if config.get("quoting") == "all" else csv.QUOTE_MINIMAL
        self._text = io.StringIO(newline="")
        mark = delimiter_of(config.get("delimiter")) or ","
        self._writer = csv.writer(self._text, delimiter=mark, lineterminator=end, quoting=quoting)

    def begin(self, records: Sequence[Mapping[str, Any]]) -> bytes:
        if not self.columns:
            self.columns = list(dict.fromkeys(name for record in records for name in record))
        if not self._has_header or not self.columns:
            return self._encoding.mark
        return self._encoding.mark + self._row(self.columns)

    def record(self, record: Mapping[str, Any], *, is_first: bool) -> bytes:
        del is_first
        if not self._chosen and (unknown := record.keys() - self._known()):
            raise _refused(
                f"The file has no column {min(unknown)}: its columns are those of the first records, or the"
                " setting columns.",
                "column",
            )
        return self._row([record.get(name) for name in self.columns])

    def _known(self) -> frozenset[str]:
        if len(self._names) != len(self.columns):
            self._names = frozenset(self.columns)
        return self._names

    def _row(self, values: Sequence[Any]) -> bytes:
        cells = [self._cell(value) for value in values]
        self._text.seek(0)
        self._text.truncate()
        self._writer.writerow(cells)
        return self._encoding.encode(self._text.getvalue())

    def _cell(self, value: Any) -> str:
        text = as_text(value)
        if "\x00" in text:
            raise _refused("A CSV cannot hold a NUL character.")
        return guarded(text) if self._guards and isinstance(value, str) else text

    def end(self, *, is_empty: bool) -> bytes:
        return self.begin([]) if is_empty else b""


class _Lines:
    """One JSON object a line: NDJSON, and what a workbook is made from in the end."""

    def __init__(self, columns: Sequence[str], *, is_sheet: bool) -> None:
        self.columns = list(columns)
        self._is_sheet = is_sheet

    def begin(self, records: Sequence[Mapping[str, Any]]) -> bytes:
        del records
        return b""

    def record(self, record: Mapping[str, Any], *, is_first: bool) -> bytes:
        del is_first
        if self._is_sheet:
            self._check(record)
        return _json(record) + b"\n"

    def _check(self, record: Mapping[str, Any]) -> None:
        for name, value in record.items():
            text = as_text(value)
            if len(text) > _LONGEST_CELL or len(name) > _LONGEST_CELL:
                raise _refused(f"A cell holds at most {_LONGEST_CELL} characters; {name} has more.", "length")
            if found := _NO_XML.search(text) or _NO_XML.search(name):
                raise _refused(f"A cell cannot hold the character U+{ord(found[0]):04X} of {name}.")
        self.columns += [name for name in record if name not in self.columns]
        if len(self.columns) > 16_384:
            raise InvalidError("A sheet has at most 16384 columns.")

    def end(self, *, is_empty: bool) -> bytes:
        del is_empty
        return b""


class _Json:
    """An array, a record a line."""

    columns: list[str] = []  # noqa: RUF012 - never filled

    def begin(self, records: Sequence[Mapping[str, Any]]) -> bytes:
        del records
        return b"["

    def record(self, record: Mapping[str, Any], *, is_first: bool) -> bytes:
        return (b"\n" if is_first else b",\n") + _json(record)

    def end(self, *, is_empty: bool) -> bytes:
        return b"[]\n" if is_empty else b"\n]\n"


def _json(record: Mapping[str, Any]) -> bytes:
    try:
        return codec.dumps(record).encode()
    except (EdgekitError, ValueError, TypeError) as error:
        raise _refused(f"The record cannot be written as JSON: {error}.") from error


class _Fixed:
    columns: list[str] = []  # noqa: RUF012 - the layout has them

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._layout = sorted(layout(config.get("columns")), key=lambda column: column.start)
        self._width = line_length(self._layout, config)
        for before, after in zip(self._layout, self._layout[1:], strict=False):
            if after.start < before.end:
                raise InvalidError(f"columns: {before.name} and {after.name} overlap.")
        self._encoding = _Encoding(config)
        self._end = "\r\n" if config.get("line_end") == "crlf" else "\n"

    def begin(self, records: Sequence[Mapping[str, Any]]) -> bytes:
        del records
        return self._encoding.mark

    def record(self, record: Mapping[str, Any], *, is_first: bool) -> bytes:
        del is_first
        line = ""
        for column in self._layout:
            text = as_text(record.get(column.name))
            if any(mark in text for mark in "\r\n\x00"):
                raise _refused(
                    f"The value of {column.name} has a line break or NUL, which a line cannot hold."
                )
            line = line.ljust(column.start) + column.put(text)
        return self._encoding.encode(line.ljust(self._width) + self._end)

    def end(self, *, is_empty: bool) -> bytes:
        return self._encoding.mark if is_empty else b""


class _Xml:
    columns: list[str] = []  # noqa: RUF012 - there are none

    def __init__(self, config: Mapping[str, Any]) -> None:
        path = [part for part in str(config.get("records", "records/record")).split("/") if part]
        if len(path) < 2:
            raise InvalidError(
                "records names the element around the records, and theirs.",
                hint="Such as --set to.records=orders/order",
            )
        self._around, self._name = path[:-1], path[-1]
        self._spaces = dict(config.get("namespaces", {}))
        for name in path:
            self._check(name)
        self._encoding = _Encoding(config)
        self._told = {"utf-16-le": "utf-16", "utf-32-le": "utf-32"}.get(
            self._encoding.name, self._encoding.name
        )

    def begin(self, records: Sequence[Mapping[str, Any]]) -> bytes:
        del records
        spaces = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in self._spaces.items())
        head = f'<?xml version="1.0" encoding="{self._told}"?>\n<{self._around[0]}{spaces}>'
        head += "".join(f"<{name}>" for name in self._around[1:])
        return self._encoding.mark + self._bytes(head + "\n")

    def record(self, record: Mapping[str, Any], *, is_first: bool) -> bytes:
        del is_first
        return self._bytes(self._element(self._name, record) + "\n")

    def _element(self, name: str, value: Any) -> str:
        self._check(name)
        if isinstance(value, list):
            return "".join(self._element(name, item) for item in value)
        if not isinstance(value, dict):
            text = _escaped(as_text(value))
            return f"<{name}>{text}</{name}>" if text else f"<{name}/>"
        attributes, inside = "", ""
        for key, item in value.items():
            if key == "#text":
                inside += _escaped(as_text(item))
            elif key.startswith("@"):
                self._check(key[1:])
                attributes += f" {key[1:]}={quoteattr(_checked(as_text(item)))}"
            else:
                inside += self._element(key, item)
        return f"<{name}{attributes}>{inside}</{name}>" if inside else f"<{name}{attributes}/>"

    def _check(self, name: str) -> None:
        found = _NAME.fullmatch(name)
        if found is None or (found[1] is not None and found[1] not in self._spaces):
            raise _refused(f"{name[:100]!r} cannot be the name of an XML element.", "name")

    def end(self, *, is_empty: bool) -> bytes:
        around = "".join(f"</{name}>" for name in reversed(self._around))
        return (self.begin([]) if is_empty else b"") + self._bytes(around + "\n")

    def _bytes(self, text: str) -> bytes:
        return text.encode(self._encoding.name, "xmlcharrefreplace")


def _checked(text: str) -> str:
    if found := _NO_XML.search(text):
        raise _refused(f"XML cannot hold the character U+{ord(found[0]):04X}.")
    return text


def _escaped(text: str) -> str:
    return escape(_checked(text), {"\r": "&#13;"})
