"""A JSON array, its records decoded one by one; or one document with the array inside."""

from __future__ import annotations

import re
from typing import Any, Protocol

from edgekit import codec
from edgekit.connectors.file_text import HEAVY, Text
from edgekit.errors import InvalidError

_BLANK = re.compile(r"[ \t\r\n]*")
_WHOLE = 1 << 26
"""Characters of a document that must be held whole, because its array is inside of it."""


class _Batch(Protocol):
    records: list[Any]
    numbers: list[int]
    word: str

    def refuse(self, raw: str, number: int, code: str, message: str) -> None: ...
    def __len__(self) -> int: ...


class ArrayReader:
    """Reads on through one array of objects; memory holds the record at hand, not the file."""

    def __init__(self, text: Text, path: str, member: str, longest: int) -> None:
        self._text = text
        self._path = path
        self._member = member
        self._longest = longest
        self._held = ""
        self._at = 0
        self._number = 0
        self._state = "new"
        self._inside: list[Any] = []

    def fill(self, batch: _Batch, size: int) -> None:
        batch.word = "record"
        if self._state == "new":
            self._begin()
        weight = 0
        while len(batch) < size and weight < HEAVY and self._state != "ended":
            if self._state == "inside":
                if self._number >= len(self._inside):
                    return
                value, raw = self._inside[self._number], ""
            elif self._is_over():
                return
            else:
                begun = self._at
                value = self._value()
                weight += self._at - begun
                raw = self._held[begun : min(self._at, begun + 4000)] if not isinstance(value, dict) else ""
            self._number += 1
            self._add(batch, value, raw)

    def _add(self, batch: _Batch, value: Any, raw: str) -> None:
        if isinstance(value, dict):
            batch.records.append(value)
            batch.numbers.append(self._number)
        elif isinstance(value, InvalidError):
            batch.refuse(raw, self._number, "json", f"The record is {value.message}.")
        else:
            batch.refuse(raw or codec.dumps(value), self._number, "shape", "This is JSON, but no object.")

    def _begin(self) -> None:
        if not self._member and self._next() == "[":
            self._at += 1
            self._state = "first"
            return
        self._inside = self._find()
        self._held = ""
        self._state = "inside"

    def _more(self) -> bool:
        """Read on, dropping what has been used."""
        block = self._text.read()
        self._held = self._held[self._at :] + block
        self._at = 0
        return bool(block)

    def _next(self) -> str:
        """Return the next character that is not blank, without using it; "" at the end."""
        while True:
            found = _BLANK.match(self._held, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._held) or not self._more():
                return self._held[self._at : self._at + 1]

    def _is_over(self) -> bool:
        """Go past the comma to the next value. Raise InvalidError if the array is cut off or wrong."""
        found = self._next()
        if found == "," and self._state == "later":
            self._at += 1
            found = self._next()
        elif found not in {"", "]"} and self._state == "later":
            raise InvalidError(f"{self._path} is no JSON after record {self._number}: a comma is missing.")
        if not found:
            raise InvalidError(
                f"{self._path} is cut off after record {self._number}.",
                hint="Fetch it again; what was read is kept.",
            )
        self._state = "later"
        if found != "]":
            return False
        self._at += 1
        self._state = "ended"
        if self._next():
            raise InvalidError(
                f"{self._path} goes on after its array ended with record {self._number}.",
                hint="One array is read; for one object a line: --set format=ndjson",
            )
        return True

    def _value(self) -> Any:
        """Decode the value that begins here, reading on for as long as it is incomplete."""
        while True:
            try:
                value, end = codec.split(self._held, self._at)
            except ValueError as error:
                self._grow(error)
                continue
            except RecursionError as error:
                where = f"{self._path}, record {self._number + 1}"
                raise InvalidError(f"{where}: it is nested too deeply.") from error
            if end == len(self._held) and not isinstance(value, dict) and self._more():
                continue  # a number may go on in the next block
            self._at = end
            return value

    def _grow(self, error: ValueError) -> None:
        """Double what is held: a long record is not decoded over and over. Raise InvalidError at the end."""
        size = len(self._held) - self._at
        why = getattr(error, "msg", str(error))
        hint = "Fetch it again; what was read is kept."
        if size > self._longest:
            why, hint = (
                f"it is longer than {self._longest} characters, or broken",
                "If it is right: --set max_record_bytes=…",
            )
        elif self._more():
            while len(self._held) < 2 * size and self._more():
                pass
            return
        raise InvalidError(
            f"{self._path} is cut off or no JSON at record {self._number + 1}: {why}.", hint=hint
        ) from error

    def _find(self) -> list[Any]:
        """Read the whole document and return the array at `records`."""
        path, parts = self._path, [self._held]
        size = len(self._held)
        while block := self._text.read():
            parts.append(block)
            size += len(block)
            if size > _WHOLE:
                raise InvalidError(
                    f"{path} is too large to look for an array inside.",
                    hint="Have it written as one array, or as NDJSON.",
                )
        try:
            document = codec.loads("".join(parts))
        except InvalidError as error:
            raise InvalidError(f"{path} is {error.message}.") from error
        inside: Any = document
        for name in filter(None, self._member.removeprefix("$").split(".")):
            inside = inside.get(name) if isinstance(inside, dict) else None
        if isinstance(inside, list):
            return inside
        lists = (
            [name for name, value in document.items() if isinstance(value, list)]
            if isinstance(document, dict)
            else []
        )
        if self._member:
            raise InvalidError(
                f"{path} has no array at {self._member}.",
                hint=f"There are arrays at: {', '.join(lists[:5])}." if lists else None,
            )
        hint = (
            f"Say where they are: --set records={lists[0]}"
            if lists
            else "An array of objects is needed, or one object a line."
        )
        kind = "one object" if isinstance(document, dict) else "one value"
        raise InvalidError(f"{path} holds {kind}, no records.", hint=hint)
