"""A file's bytes: found, opened, unpacked, and every trouble on the way in one clear line."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1 << 18
_HEAD = 1 << 16
_GZIP = b"\x1f\x8b"
_DAMAGED = "Fetch it again; nothing of it was used."
_AGAIN = "Fetch it again; what was read is kept."
_OTHER_KINDS = (
    (b"PK\x03\x04", "a ZIP/XLSX file", "If it is a workbook: --set format=xlsx; else unpack the ZIP."),
    (b"PK\x05\x06", "an empty ZIP file", "Unpack the ZIP."),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file", "Save it as XLSX, or the sheet as CSV."),
    (b"SQLite format 3\x00", "an SQLite database", "Export its table as CSV."),
    (b"%PDF", "a PDF", None),
    (b"PAR1", "a Parquet file", "Write it as CSV or NDJSON."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "Unpack it first, or pack it with gzip."),
    (b"BZh", "a bzip2 file", "Unpack it first, or pack it with gzip."),
    (b"\xfd7zXZ", "an xz file", "Unpack it first, or pack it with gzip."),
    (_GZIP, "gzip packed in gzip", "Unpack it once: gunzip FILE."),
)
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


class BrokenError(Exception):
    """The bytes end or spoil in the middle. Whoever counts the records says where."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Source:
    """The unpacked bytes of one file, block by block. `head` is their beginning, read ahead."""

    def __init__(self, path: str, stream: Any, identity: str) -> None:
        self.path = path
        self.identity = identity
        self._stream = stream
        self.head = b""
        while len(self.head) < _HEAD and (block := self._read(_HEAD)):
            self.head += block
        self._waiting = self.head

    def read(self) -> bytes:
        """Return the next bytes as soon as there are some, b"" at the end. Raise BrokenError."""
        if self._waiting:
            block, self._waiting = self._waiting, b""
            return block
        return self._read(BLOCK)

    def _read(self, size: int) -> bytes:
        # read1 hands out what was unpacked before the damage; read would drop it.
        try:
            block: bytes = self._stream.read1(size)
        except EOFError as error:
            raise BrokenError("is cut off {}: its gzip data ends too early", _AGAIN) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise BrokenError("is damaged {}: its gzip data cannot be unpacked", _AGAIN) from error
        except OSError as error:
            raise BrokenError(f"cannot be read {{}}: {error.strerror or error}") from error
        return block


@contextmanager
def source(path: str, *, shown: str | None = None, mark: str | None = None) -> Iterator[Source]:
    """Open a file, or standard input for `-`, unpacking gzip by its first bytes.

    `shown` is what it is called, and `mark` what tells its content, where that is not the file's own. Raise
    NotFoundError if there is none, InvalidError if it is a folder, unreadable, empty or no text.
    """
    name = "standard input" if path == "-" else shown or path
    raw = _standard_input() if path == "-" else _opened(path)
    try:
        identity = "" if path == "-" else mark or _identity(raw)
        try:
            packed = raw.peek(2)[:2] == _GZIP
            if packed and raw.seekable():
                _check_packed(raw)
            found = Source(name, gzip.GzipFile(fileobj=raw) if packed else raw, identity)
        except BrokenError as error:
            raise InvalidError(f"{name} {error.what.format('at its beginning')}.", hint=error.hint) from error
        except OSError as error:
            raise InvalidError(f"{name} cannot be read: {error.strerror or error}.") from error
        _check_kind(found)
        yield found
    finally:
        if path != "-":
            raw.close()


def _check_packed(raw: io.BufferedReader) -> None:
    """Unpack the whole file once for its checksum, which stands at its end. Raise BrokenError.

    A flipped bit unpacks to records that look right and are not: they would be written before it is known.
    What is only cut off is right as far as it goes, and is found while reading.
    """
    stream = gzip.GzipFile(fileobj=raw)
    try:
        while stream.read1(BLOCK):
            pass
    except EOFError:
        pass
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BrokenError("is damaged: its gzip data cannot be unpacked", _DAMAGED) from error
    raw.seek(0)


def _standard_input() -> io.BufferedReader:
    buffer: Any = getattr(sys.stdin, "buffer", None)
    if buffer is None:
        raise InvalidError("There is no standard input to read from.", hint="Name a file: --input FILE")
    if not hasattr(buffer, "peek"):
        return io.BufferedReader(_Borrowed(buffer))
    found: io.BufferedReader = buffer
    return found


class _Borrowed(io.RawIOBase):
    """Somebody else's stream, which stays open when this is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)


def _opened(path: str) -> io.BufferedReader:
    try:
        return Path(path).open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(
            f"There is no file {path}.", hint="Check the path; it is seen from the current folder."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if "\x00" not in path and Path(path).is_dir():  # what Windows calls a denied permission
            raise InvalidError(f"{path} is a folder, not a file.") from error
        why = error.strerror if isinstance(error, OSError) else "that is no path"
        raise InvalidError(f"{path} cannot be read: {why}.", hint="Check the path and its rights.") from error


def _identity(raw: io.BufferedReader) -> str:
    """Identify the file's present content cheaply; what is no plain file is never the same twice."""
    found = os.fstat(raw.fileno())
    return f"{found.st_size} {found.st_mtime_ns}" if raw.seekable() else ""


def _check_kind(found: Source) -> None:
    """Refuse what is surely no text, saying what it looks like."""
    path, head = found.path, found.head
    if len(head) < _HEAD and not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise InvalidError(f"{path} is empty.")
    for mark, kind, hint in _OTHER_KINDS:
        if head.startswith(mark):
            raise InvalidError(f"{path} looks like {kind}, not CSV or JSON.", hint=hint)
    if head.startswith(_WIDE_MARKS):
        return
    sample = head[:4096]
    binary = len(sample) - len(sample.translate(None, bytes({*range(9), *range(14, 27)})))
    if binary > 4 and binary * 20 > len(sample) and not _is_wide(sample):
        raise InvalidError(f"{path} looks like a binary file, not CSV or JSON.")


def _is_wide(sample: bytes) -> bool:
    """Tell UTF-16 without a mark: every other byte is NUL."""
    return abs(sample[::2].count(0) - sample[1::2].count(0)) * 10 > len(sample) * 3


@contextmanager
def on_disk(path: str) -> Iterator[str]:
    """Give the path of a file that can be read at any place: standard input is kept in one of its own."""
    if path != "-":
        _opened(path).close()
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        kept = Path(folder) / "input"
        with kept.open("wb") as target:
            shutil.copyfileobj(_standard_input(), target)
        yield str(kept)


def disk_identity(path: str) -> str:
    """Identify the present content of a file of this machine cheaply."""
    with _opened(path) as raw:
        return _identity(raw)
