r"""Regular expressions over text from outside, bounded in time: the one door to the regex package.

The dialect is that of JSON Schema: a pattern is found anywhere unless it is anchored, `$` is the very end
(not before a last line feed), `\d` and `\w` mean ASCII. A pattern that backtracks without end on some hostile
value is stopped, and a value too long to be searched is not searched.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT = 10_000
"""Characters a value may have to be searched."""

MAX_PATTERN = 1_000
"""Characters of a pattern."""

TIME_LIMIT = 0.25
"""Seconds one search may take; a sound pattern needs microseconds."""


_PLAIN = re.compile(r"(?:[^*+?|(){}]|\{[0-9]{1,3}\})*[*+]?(?:[^*+?|(){}]|\{[0-9]{1,3}\})*")
# No group, no alternative, at most one open repetition: such a pattern cannot run away, and asking the clock
# costs four times what the search does.


class PatternTimeoutError(Exception):
    """A search was stopped, or not begun: neither yes nor no is known."""


@lru_cache(maxsize=512)
def compile(pattern: str) -> Callable[[str], bool]:  # noqa: A001 - used qualified, as in the standard library
    """Return a function telling whether a text holds the pattern.

    Raise InvalidError for a bad pattern. The function raises PatternTimeoutError where it cannot tell.
    """
    return _bounded(_translate(pattern), pattern, whole=False)


@lru_cache(maxsize=512)
def compile_raw(expression: str, *, whole: bool) -> Callable[[str], bool]:
    """Do the same for an expression already in the dialect of the regex package."""
    return _bounded(expression, expression, whole=whole)


def _bounded(expression: str, shown: str, *, whole: bool) -> Callable[[str], bool]:
    import regex  # type: ignore[import-untyped]

    if len(shown) > MAX_PATTERN:
        raise InvalidError(f"the pattern {shown[:40]!r}… is longer than {MAX_PATTERN} characters")
    try:
        compiled: Any = regex.compile(expression)
    except (regex.error, RecursionError, OverflowError) as error:
        raise InvalidError(f"{shown!r} is not a regular expression: {error}") from None
    search = compiled.fullmatch if whole else compiled.search

    def found_plain(text: str) -> bool:
        if len(text) > MAX_TEXT:
            raise PatternTimeoutError(f"a text of {len(text):,} characters is too long to be searched")
        return search(text) is not None

    def found(text: str) -> bool:
        if len(text) > MAX_TEXT:
            raise PatternTimeoutError(f"a text of {len(text):,} characters is too long to be searched")
        try:
            return search(text, timeout=TIME_LIMIT) is not None
        except TimeoutError:
            raise PatternTimeoutError(f"searching for {shown!r} took too long") from None

    return found_plain if _PLAIN.fullmatch(shown) else found


_OUTSIDE = {"$": r"\Z", r"\d": "[0-9]", r"\D": "[^0-9]", r"\w": "[A-Za-z0-9_]", r"\W": "[^A-Za-z0-9_]"}
_IN_CLASS = {r"\d": "0-9", r"\w": "A-Za-z0-9_"}


def _translate(pattern: str) -> str:
    """Write a pattern of JSON Schema in the dialect of the regex package."""
    parts: list[str] = []
    in_class = False
    for piece in re.findall(r"(?s)\\.|.", pattern):
        if piece in {"[", "]"}:
            in_class = piece == "["
        parts.append((_IN_CLASS if in_class else _OUTSIDE).get(piece, piece))
    return "".join(parts)
