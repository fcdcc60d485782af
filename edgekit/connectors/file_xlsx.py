"""XLSX: one sheet of a workbook, row by row, and one written; the one door to openpyxl."""

from __future__ import annotations

import re
import zipfile
import zlib
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.connectors.file_formats import Batch

_LOOKED_AT = 20
"""Rows among which the header is looked for."""

_MOST_UNPACKED = 2 << 30
_MOST_TIMES = 100
_TAKEN_FOR_MORE = frozenset("=#")
_SMALL = 1 << 24
"""A part of a workbook larger than this may be packed to no less than a hundredth."""

_MOST_ROWS = 1 << 20

_ZEROS = re.compile(r"0[0 -]*0")
_HAS_TIME = re.compile(r"[hs]", re.IGNORECASE)
_HIDDEN = re.compile(r"\"[^\"]*\"|\\.|\[[^\]]*\]")
_WHOLE = 2**53


class SheetReader:
    """Reads on through one sheet: a header, and rows.

    Cells come as text, numbers, true or false; blank ones as null; dates and times as ISO text; a number
    shown with leading zeros (00042, 012-34-5678) as that text.
    """

    def __init__(self, rows: Iterator[Sequence[Any]], path: str, config: Mapping[str, Any]) -> None:
        self._path = path
        self._rows = enumerate(rows, 1)
        self._wanted = config.get("header_row")
        self._nulls = config.get("error_cells", "reject") == "null"
        self._names: list[str | None] = []
        self._begun = False

    def fill(self, batch: Batch, size: int) -> None:
        """Add up to `size` records and rejects."""
        batch.word = "row"
        if not self._begun:
            self._begun = True
            self._begin()
        for number, row in self._rows:
            self._add(batch, number, row)
            if len(batch) >= size:
                return

    def _begin(self) -> None:
        """Find the header: the row that is said, else the first at least half as full as the fullest."""
        if self._wanted is not None:
            ahead = list(islice(self._rows, int(self._wanted) - 1, int(self._wanted)))
            if not ahead:
                raise InvalidError(f"{self._path} has no row {self._wanted}.")
        else:
            ahead = list(islice(self._rows, _LOOKED_AT))
        filled = [sum(_is_filled(cell) for cell in row) for _, row in ahead]
        most = max(filled, default=0)
        if not most:
            where = f"row {self._wanted}" if self._wanted else "its first rows"
            raise InvalidError(
                f"{self._path}: its sheet has nothing in {where}.",
                hint="Name another one: --set sheet=NAME, or its row: --set header_row=NUMBER",
            )
        place = next(index for index, count in enumerate(filled) if count * 2 >= most)
        self._names = _header(ahead[place][1])
        self._rows = chain(ahead[place + 1 :], self._rows)  # type: ignore[assignment]

    def _add(self, batch: Batch, number: int, row: Sequence[Any]) -> None:
        record: dict[str, Any] = {}
        names, any_filled = self._names, False
        for place, cell in enumerate(row):
            value = None if cell.value is None else _value(cell)
            name = names[place] if place < len(names) else None
            if value is None or value == "":
                if name is not None:
                    record[name] = None
                continue
            any_filled = True
            if cell.data_type == "e":
                if not self._nulls:
                    what = f"The cell {_letters(place)}{number} holds the error {value}."
                    raw = codec.dumps([None if found.value is None else _value(found) for found in row])
                    batch.refuse(raw, number, "cell", what)
                    return
                value = None
            record[_letters(place) if name is None else name] = value
        if not any_filled:
            return
        for name in names[len(row) :]:
            if name is not None:
                record[name] = None
        batch.records.append(record)
        batch.numbers.append(number)


def _is_filled(cell: Any) -> bool:
    return cell.value is not None and str(cell.value).strip() != ""


def _header(row: Sequence[Any]) -> list[str | None]:
    """Name the columns; a nameless one has None, and a name met again gets a number: Amount_2."""
    names: list[str | None] = []
    taken: set[str] = set()
    for cell in row:
        text = " ".join(str(_value(cell)).split()) if _is_filled(cell) else ""
        name, number = text, 2
        while name in taken:
            name, number = f"{text}_{number}", number + 1
        if text:
            taken.add(name)
        names.append(name or None)
    while names and names[-1] is None:
        names.pop()
    return names


def _letters(place: int) -> str:
    """Name a column as the program does: A, B, … Z, AA."""
    text, number = "", place + 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text


def _value(cell: Any) -> Any:
    value = cell.value
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
            value = int(value)
        shown = cell.number_format
        if isinstance(value, int) and value >= 0 and shown[:1] == "0" and len(shown) > 1:
            return _as_shown(value, shown)
        return value
    if isinstance(value, datetime):
        has_time = _HAS_TIME.search(_HIDDEN.sub("", cell.number_format)) or value.time() != time()
        return value.isoformat(timespec="auto") if has_time else value.date().isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _as_shown(value: int, shown: str) -> int | str:
    """Return a number whose format is all zeros as the text people see: 00042, 012-34-5678."""
    mask = shown.replace("\\", "").replace('"', "")
    if not _ZEROS.fullmatch(mask):
        return value
    digits, text = list(str(value).zfill(mask.count("0"))), ""
    for mark in reversed(mask):
        text = (digits.pop() if mark == "0" else mark) + text
    return "".join(digits) + text


@contextmanager
def sheet(path: str, shown: str, config: Mapping[str, Any]) -> Iterator[SheetReader]:
    """Open one sheet of a workbook. Raise InvalidError: no workbook, no such sheet, larger than allowed."""
    _check_size(path, shown, int(config.get("max_unpacked_bytes", _MOST_UNPACKED)))
    try:
        from openpyxl import load_workbook  # type: ignore[import-untyped]
    except ImportError as error:
        raise missing(shown) from error
    with Path(path).open("rb") as raw:  # which the package leaves open where it fails
        with _reading(shown):
            book = load_workbook(raw, read_only=True, data_only=True, keep_links=False)
        try:
            found = _chosen(book, shown, config.get("sheet"))
            yield SheetReader(_guarded(found, shown), shown, config)
        finally:
            book.close()


def _guarded(found: Any, shown: str) -> Iterator[Sequence[Any]]:
    found.reset_dimensions()  # what the file says of its size may be wrong
    with _reading(shown):
        for number, row in enumerate(found.iter_rows(), 1):
            if number > _MOST_ROWS:
                raise InvalidError(f"{shown} numbers rows beyond {_MOST_ROWS}: it may be made to harm.")
            yield row


def _chosen(book: Any, shown: str, wanted: Any) -> Any:
    sheets = {found.title: found for found in book.worksheets}
    names = list(sheets)
    if not names:
        raise InvalidError(f"{shown} has no sheet.")
    known = f"Its sheets are: {', '.join(names[:20])}."
    if wanted is None:
        return sheets[names[0]]
    if str(wanted) in sheets:
        return sheets[str(wanted)]
    if str(wanted).isdecimal():
        if not 1 <= int(wanted) <= len(names):
            raise InvalidError(f"{shown} has no sheet number {wanted}.", hint=known)
        return sheets[names[int(wanted) - 1]]
    raise InvalidError(f"{shown} has no sheet {wanted!r}.", hint=known)


def _check_size(path: str, shown: str, most: int) -> None:
    """Refuse what unpacks to more than is allowed. The sizes a ZIP names are the most it is unpacked to."""
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
    except (zipfile.BadZipFile, ValueError) as error:
        raise InvalidError(
            f"{shown} is no XLSX file, or damaged.", hint="An old XLS file: save it as XLSX."
        ) from error
    except OSError as error:
        raise InvalidError(f"{shown} cannot be read: {error.strerror or error}.") from error
    size = sum(member.file_size for member in members)
    held = sum(m.file_size for m in members if not m.filename.startswith("xl/worksheets/"))
    names = {member.filename for member in members}
    if "xl/workbook.xml" not in names and "[Content_Types].xml" not in names:
        raise InvalidError(f"{shown} is a ZIP file, but no XLSX workbook.", hint="Unpack the ZIP.")
    dense = any(m.file_size > max(_SMALL, m.compress_size * _MOST_TIMES) for m in members)
    if (dense and most == _MOST_UNPACKED) or size > most or held > most // 16:
        raise InvalidError(
            f"{shown} would unpack to more than is allowed, {size} bytes: it may be made to harm.",
            hint="If it is right: --set max_unpacked_bytes=…",
        )


def write_sheet(
    path: Path, rows: Iterator[Mapping[str, Any]], columns: Sequence[str], shown: str, title: Any
) -> None:
    """Write a workbook of one sheet, row by row. A text is a text, be it like a formula or an error."""
    try:
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell  # type: ignore[import-untyped]
    except ImportError as error:
        raise missing(shown) from error
    book = Workbook(write_only=True)
    try:
        sheet = book.create_sheet(str(title or "Sheet1"))
    except ValueError as error:
        raise InvalidError(f"sheet: {title!r} cannot be a sheet's name: {error}.") from error

    def cell(value: Any) -> Any:
        if isinstance(value, dict | list) or (isinstance(value, int) and abs(value) >= _WHOLE):
            value = codec.dumps(value)
        if not isinstance(value, str) or value[:1] not in _TAKEN_FOR_MORE:
            return value
        found = WriteOnlyCell(sheet, value=value)
        found.data_type = "s"
        return found

    try:
        if columns:
            sheet.append([cell(name) for name in columns])
        for row in rows:
            sheet.append([cell(row.get(name)) for name in columns])
        book.save(path)
    finally:
        book.close()


def missing(shown: str) -> NotFoundError:
    """Say that the package for workbooks is not there."""
    return NotFoundError(
        f"{shown}: for XLSX files a package is needed that is not installed.",
        hint="Install it: pip install 'edgekit[xlsx]'",
    )


@contextmanager
def _reading(shown: str) -> Iterator[None]:
    """Turn what a damaged workbook makes the packages raise into one line."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]

    damaged = f"{shown} is a damaged workbook, or none"
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ParseError, InvalidFileException) as error:
        raise InvalidError(f"{damaged}: {' '.join(str(error).split())[:200]}.") from error
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        if any(isinstance(e, DefusedXmlException) for e in (error, error.__cause__, error.__context__)):
            raise InvalidError(f"{shown} declares XML entities, which are not read.") from error
        why = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise InvalidError(f"{damaged}: {why}.") from error
