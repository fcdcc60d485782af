"""A file's bytes: found, opened, unpacked, and every trouble on the way in one clear line."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from edgekit.errors import InvalidError, NotFoundError

_GZIP = b"\x1f\x8b"
_BUFFER = 1 << 20


@contextmanager
def stream(path: str) -> Iterator[BinaryIO]:
    """Open a file or standard input for reading bytes, unpacking gzip by its first bytes.

    Raise NotFoundError if there is none, InvalidError if it is a folder, unreadable or empty.
    """
    if path == "-":
        yield _unpacked(io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer), _BUFFER), "standard input")
        return
    try:
        raw = Path(path).open("rb", buffering=_BUFFER)
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {path}.", hint="Check the path; it is seen from the current folder.") from error
    except IsADirectoryError as error:
        raise InvalidError(f"{path} is a folder, not a file.") from error
    except OSError as error:
        if Path(path).is_dir():  # what Windows calls a denied permission
            raise InvalidError(f"{path} is a folder, not a file.") from error
        raise InvalidError(f"{path} cannot be read: {error.strerror}.", hint="Check its rights.") from error
    with raw:
        yield _unpacked(cast(io.BufferedReader, raw), path)


def _unpacked(raw: io.BufferedReader, path: str) -> BinaryIO:
    head = raw.peek(2)[:2]
    if not head:
        raise InvalidError(f"{path} is empty.")
    if head == _GZIP:
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)), _BUFFER))
    return raw


class Damage:
    """Turns what reading can raise into one line that says how far it came. `count` is kept by the reader."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.count = 0

    def __enter__(self) -> Damage:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        after = f"after record {self.count}" if self.count else "at its beginning"
        if isinstance(error, EOFError):
            raise InvalidError(
                f"{self.path} is cut off {after}: its gzip data ends too early.", hint="Fetch it again; what was read is kept."
            ) from error
        if isinstance(error, gzip.BadGzipFile | zlib.error):
            raise InvalidError(
                f"{self.path} is damaged {after}: its gzip data cannot be unpacked.", hint="Fetch it again; what was read is kept."
            ) from error
        if isinstance(error, UnicodeDecodeError):
            raise InvalidError(
                f"{self.path} is not {error.encoding} {after}: it has the byte 0x{error.object[error.start]:02x}.",
                hint="If it comes from an older Windows program: --set encoding=cp1252 (or latin-1).",
            ) from error
        if isinstance(error, OSError):
            raise InvalidError(f"{self.path} cannot be read {after}: {error.strerror or error}.") from error
