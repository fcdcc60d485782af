"""Records out of bytes: CSV, NDJSON, JSON arrays. What is no record comes as a Reject with its place."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, BinaryIO

from edgekit import codec
from edgekit.connectors.base import Reject
from edgekit.connectors.file_open import Damage
from edgekit.errors import InvalidError

Item = tuple[str, Any] | Reject
Items = Generator[Item, None, None]
_SHOWN = 2000
_CHUNK = 1 << 16


def items(stream: BinaryIO, path: str, config: Mapping[str, Any]) -> Items:
    """Yield what a file holds, in order, as (position, record) or Reject."""
    encoding = _encoding(stream, path, str(config.get("encoding", "utf-8")))
    kind = config.get("format") or _guess(stream, path)
    if kind == "csv":
        return _csv(stream, path, encoding, config.get("delimiter"), int(config.get("max_record_bytes", 1 << 24)))
    if kind == "ndjson":
        return _ndjson(stream, path, encoding, int(config.get("max_record_bytes", 1 << 24)))
    return _json(stream, path, encoding, str(config.get("records", "")))


def _encoding(stream: BinaryIO, path: str, wanted: str) -> str:
    """Settle the encoding: what a byte-order mark says, else what was asked for."""
    head = _peek(stream, path)
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        name = codecs.lookup(wanted).name
    except LookupError as error:
        raise InvalidError(f"There is no encoding {wanted!r}.", hint="Common ones: utf-8, latin-1, cp1252, utf-16.") from error
    return name


@contextmanager
def _as_text(stream: BinaryIO, encoding: str, newline: str | None = None) -> Iterator[io.TextIOWrapper]:
    """Read bytes as text, leaving the closing of the stream to whoever opened it."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline=newline)
    try:
        yield text
    finally:
        text.detach()


def _peek(stream: BinaryIO, path: str) -> bytes:
    with Damage(path):
        head: bytes = stream.peek(_CHUNK)[:_CHUNK]  # type: ignore[attr-defined]
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise InvalidError(f"{path} is empty.")
    return head


def _guess(stream: BinaryIO, path: str) -> str:
    name = path.lower().removesuffix(".gz")
    for ending, kind in ((".csv", "csv"), (".tsv", "csv"), (".ndjson", "ndjson"), (".jsonl", "ndjson")):
        if name.endswith(ending):
            return kind
    first = _peek(stream, path).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first == b"[" or (first == b"{" and name.endswith(".json")):
        return "json"
    return "ndjson" if first == b"{" else "csv"


def _ndjson(stream: BinaryIO, path: str, encoding: str, longest: int) -> Items:
    """One object a line. UTF-8 goes to the decoder as bytes; other encodings are read as text first."""
    if encoding in {"utf-8", "utf-8-sig"}:
        yield from _json_lines(_byte_lines(stream, longest), path, longest)
    else:
        with _as_text(stream, encoding) as text:
            yield from _json_lines(text, path, longest)


def _json_lines(lines: Iterable[bytes | str], path: str, longest: int) -> Items:
    decode = codec.decoder()
    with Damage(path) as damage:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if number == 1 and isinstance(text, bytes):
                text = text.removeprefix(codecs.BOM_UTF8)
            if not text:
                continue
            damage.count += 1
            position = f"line {number}"
            if len(text) > longest:
                yield Reject(_shown(text[:_SHOWN]), position, "length", f"The line is longer than {longest} bytes.")
                continue
            try:
                record = decode(text)
            except InvalidError as error:
                yield Reject(_shown(text), position, "json", f"The line is {error.message}.")
                continue
            if isinstance(record, dict):
                yield position, record
            else:
                yield Reject(_shown(text), position, "shape", "The line is JSON, but no object.")


def _byte_lines(stream: BinaryIO, longest: int) -> Iterator[bytes]:
    """Yield lines; one that is too long is cut just above the limit and its rest passed over."""
    while line := stream.readline(longest + 2):
        if len(line) > longest and not line.endswith(b"\n"):
            while (rest := stream.readline(_CHUNK)) and not rest.endswith(b"\n"):
                pass
        yield line


def _shown(text: bytes | str) -> str:
    shown = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    return shown.replace("\x00", "\\u0000")


def _csv(stream: BinaryIO, path: str, encoding: str, delimiter: str | None, longest: int) -> Items:
    """A header and rows. Lines without a cell are passed over, rows of another width set aside."""
    with _as_text(stream, encoding, newline="") as text, Damage(path) as damage:
        csv.field_size_limit(min(longest, 2**31 - 1))
        first = text.readline()
        mark = delimiter or max(",;\t|", key=first.count)
        reader = csv.reader(chain([first], text), delimiter=mark)
        try:
            header = [name.strip() for name in next(reader)]
            _check_header(header, path)
            width = len(header)
            for row in reader:
                if not row or (len(row) == 1 and width > 1 and not row[0].strip()):
                    continue
                damage.count += 1
                position = f"line {reader.line_num}"
                if len(row) != width:
                    message = f"The row has {len(row)} cells, the header {width}."
                    yield Reject(_joined(row, mark), position, "width", message)
                elif any("\x00" in cell for cell in row):
                    yield Reject(_shown(_joined(row, mark)), position, "format", "The row holds a NUL character.")
                else:
                    yield position, dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise InvalidError(
                f"{path}, line {reader.line_num}: this is no readable CSV: {error}.",
                hint="A quotation mark may be missing, or the file is no CSV.",
            ) from error


def _joined(row: list[str], mark: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=mark, lineterminator="").writerow(row)
    return text.getvalue()[:_SHOWN]


def _check_header(header: list[str], path: str) -> None:
    if not any(header):
        raise InvalidError(f"{path}: its first line must name the columns.")
    for place, name in enumerate(header, 1):
        if not name:
            raise InvalidError(f"{path}: column {place} has no name.", hint="Give each column a name in the first line.")
        if "\x00" in name:
            raise InvalidError(f"{path} is no CSV: its first line holds NUL characters.")
    twice = next((name for place, name in enumerate(header) if name in header[:place]), None)
    if twice is not None:
        raise InvalidError(f"{path}: two columns are named {twice}.", hint="Rename one of them in the first line.")


class _Window:
    """Text read as it is needed, with what has been used dropped."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.held = ""

    def more(self) -> bool:
        chunk = self._text.read(_CHUNK)
        self.held += chunk
        return bool(chunk)

    def skip(self, characters: str) -> str:
        """Drop leading characters and return the next one, or '' at the end."""
        while True:
            self.held = self.held.lstrip(characters)
            if self.held or not self.more():
                return self.held[:1]


def _json(stream: BinaryIO, path: str, encoding: str, member: str) -> Items:
    """An array of objects, decoded one by one; or one document with the array inside, at `records`."""
    with _as_text(stream, encoding) as text, Damage(path) as damage:
        window = _Window(text)
        if member or window.skip(" \t\r\n") != "[":
            yield from _inside(window, path, member)
            return
        window.held = window.held[1:]
        number = 0
        while (found := window.skip(" \t\r\n,")) != "]":
            if not found:
                raise InvalidError(f"{path} is cut off after record {number}.", hint="Fetch it again; what was read is kept.")
            number += 1
            record = _next_value(window, path, number)
            damage.count = number
            yield _item(record, f"record {number}")


def _next_value(window: _Window, path: str, number: int) -> Any:
    """Decode the value at the window's beginning, reading on for as long as it is incomplete."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    size = len(window.held)
    while True:
        try:
            value, end = decoder.raw_decode(window.held)
        except json.JSONDecodeError as error:
            if _more_of(window, size):
                size = len(window.held)
                continue
            raise InvalidError(
                f"{path} is cut off or no JSON at record {number}: {error.msg}.", hint="Fetch it again; what was read is kept."
            ) from error
        if end == len(window.held) and isinstance(value, int | float) and window.more():
            continue  # a number may go on in the next chunk
        window.held = window.held[end:]
        return value


def _more_of(window: _Window, size: int) -> bool:
    """Read on, doubling what is held, so that a long record is not decoded over and over."""
    while window.more():
        if len(window.held) >= 2 * size:
            return True
    return len(window.held) > size


def _inside(window: _Window, path: str, member: str) -> Items:
    while window.more():
        pass
    try:
        document = codec.loads(window.held)
    except InvalidError as error:
        raise InvalidError(f"{path} is {error.message}.") from error
    for name in filter(None, member.removeprefix("$.").split(".")):
        document = document.get(name) if isinstance(document, dict) else None
    if isinstance(document, dict) and not member:
        document = [document]
    if not isinstance(document, list):
        where = f"has no array at {member}" if member else "holds no records"
        raise InvalidError(f"{path} {where}.", hint="Say where they are: --set records=data.items")
    for number, record in enumerate(document, 1):
        yield _item(record, f"record {number}")


def _item(record: Any, position: str) -> Item:
    if isinstance(record, dict):
        return position, record
    return Reject(codec.dumps(record), position, "shape", "This is JSON, but no object.")


def _refuse(name: str) -> Any:
    raise InvalidError(f"{name} is no number in JSON")
