"""Bytes as lines and as text, in blocks: memory stays bounded, and what is wrong has a line."""

from __future__ import annotations

import codecs
import io
import re
from typing import TYPE_CHECKING

from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.connectors.file_open import Source

HEAVY = 1 << 23
"""Bytes or characters after which a batch is handed on even if it has few records."""


def settle_encoding(source: Source, wanted: str) -> str:
    """Settle the encoding: what a byte-order mark says, else what was asked for. Raise InvalidError."""
    head = source.head
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    ):  # fmt: skip
        if head.startswith(mark):
            return name
    try:
        name = codecs.lookup(wanted).name
        b" ".decode(name, "replace")
    except (LookupError, UnicodeError, ValueError) as error:
        raise InvalidError(
            f"There is no encoding {wanted!r}.", hint="Common ones: utf-8, latin-1, cp1252, utf-16."
        ) from error
    if name in {"utf-8", "utf-8-sig"} and max(head[:1000:2].count(0), head[1:1000:2].count(0)) * 3 > len(
        head[:1000]
    ):
        hint = "utf-16-le" if head[1:1000:2].count(0) > head[:1000:2].count(0) else "utf-16-be"
        raise InvalidError(
            f"{source.path} looks like UTF-16 without a mark.", hint=f"Say so: --set encoding={hint}"
        )
    return name.removesuffix("-sig") if name.startswith("utf-8") else name


_GUARD = re.compile(r"'[=@+\-\t\r]")


def _may_be_guarded(block: str) -> bool:
    """Tell whether an apostrophe stands before what begins a formula, be it in the next block."""
    return "'" in block and (block.endswith("'") or _GUARD.search(block) is not None)


class Text:
    """Decoded text, block by block. A byte that is not of the encoding is named with its line."""

    def __init__(self, source: Source, encoding: str) -> None:
        self._source = source
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
        self._failure: InvalidError | None = None
        self._lines = 0
        self._at_end = False

    def read(self) -> str:
        """Return the next text, "" at the end. Raise InvalidError after the text before a bad byte."""
        if self._failure is not None:
            raise self._failure
        text = ""
        while not text and not self._at_end:
            block = self._source.read()
            self._at_end = not block
            try:
                text = self._decoder.decode(block, self._at_end)
            except UnicodeDecodeError as error:
                text = self._before(error)
                if not text:
                    assert self._failure is not None
                    raise self._failure from error
            self._lines += text.count("\n")
        return text

    def _before(self, error: UnicodeDecodeError) -> str:
        good = codecs.decode(error.object[: error.start], self._encoding, "replace").removeprefix("\ufeff")
        line = self._lines + good.count("\n") + 1
        what = (
            f"the byte 0x{error.object[error.start]:02x}" if error.start < len(error.object) else error.reason
        )
        hint = "If it comes from an older Windows program: --set encoding=cp1252 (or latin-1)."
        self._failure = InvalidError(
            f"{self._source.path}, line {line}: {what} is not {self._encoding}.", hint=hint
        )
        return good[: max(good.rfind("\n"), good.rfind("\r")) + 1]  # no half lines


class TextLines:
    """Lists of lines with their ends, as csv takes them: `for line in chain.from_iterable(lines)`.

    `alert` is set while something needs a closer look: a NUL in these lines, a guarded formula where they may
    be `guarded`, or `weight` over HEAVY.
    """

    def __init__(self, text: Text, path: str, longest: int, *, guarded: bool = False) -> None:
        self._text = text
        self._path = path
        self._longest = longest
        self._guarded = guarded
        self._kept: list[str] = []
        self._before: list[str] = []
        self._first = 1
        self.alert = False
        self.weight = 0

    def __iter__(self) -> Iterator[list[str]]:
        parts: list[str] = []
        size = 0
        odd = was_odd = False
        while block := self._text.read():
            if block.endswith("\r"):
                block += self._text.read()  # may be half of \r\n
            self.weight += len(block)
            odd = odd or "\x00" in block or (self._guarded and _may_be_guarded(block))
            parts.append(block)
            size += len(block)
            if "\n" not in block and "\r" not in block:
                self._check(size)
                continue
            lines = io.StringIO("".join(parts), newline="").readlines()
            parts = [] if lines[-1].endswith(("\n", "\r")) else [lines.pop()]
            size = len(parts[0]) if parts else 0
            self._check(size)
            self.alert, odd, was_odd = odd or was_odd or self.weight > HEAVY, False, odd
            yield self._remember(lines)
        if parts:
            self.alert = odd or was_odd or self.weight > HEAVY
            yield self._remember(["".join(parts)])

    def _check(self, size: int) -> None:
        if size > self._longest:
            line = self._first + len(self._before) + len(self._kept)
            raise InvalidError(
                f"{self._path}, line {line}: it is longer than {self._longest} characters.",
                hint="The file may be no CSV; if it is right: --set max_record_bytes=…",
            )

    def _remember(self, lines: list[str]) -> list[str]:
        self._first += len(self._before)
        self._before, self._kept = self._kept, lines
        return lines

    def between(self, first: int, last: int) -> str:
        """Return the lines of these numbers, as far as they are still held."""
        lines = [*self._before, *self._kept]
        return "".join(lines[max(first - self._first, 0) : max(last - self._first + 1, 0)])


class ByteLines:
    """Lists of lines of bytes, for JSON: without their ends; one too long is cut just above the limit."""

    def __init__(self, source: Source, longest: int) -> None:
        self._source = source
        self._longest = longest
        head = source.head
        self._end = b"\r" if b"\r" in head and b"\n" not in head else b"\n"
        self._parts: list[bytes] = []
        self._size = 0
        self._first = True
        self._ended = False

    def next(self) -> list[bytes]:
        """Return the next lines, [] at the end. Raise BrokenError."""
        while not self._ended:
            block = self._source.read()
            if not block:
                self._ended = True
                return [self._whole()] if self._parts else []
            if self._first:
                block, self._first = block.removeprefix(codecs.BOM_UTF8), False
            lines = block.split(self._end)
            rest = lines.pop()
            if lines:
                self._add(lines[0])
                lines[0] = self._whole()
            self._add(rest)
            if lines:
                return lines
        return []

    def _add(self, part: bytes) -> None:
        """Keep a part of a line, but no more than tells that the line is too long."""
        if self._size <= self._longest:
            self._parts.append(part)
            self._size += len(part)

    def _whole(self) -> bytes:
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        return line
