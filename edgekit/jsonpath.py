"""Finding values in a document by path: JSONPath (RFC 9535), the one door to jsonpath-rfc9535.

    jsonpath.find("$.drivers[*].name", document)        every match, in document order
    jsonpath.compile("drivers[0].name").segments        ("drivers", 0, "name")

A path that does not start with `$` is a field path: `Make`, `household.policy.number`, `drivers[0].name`. It
is made of letters, digits, `_`, dots and `[digits]`; any other text (`Policy No.`, `total premium`, `a..b`)
is the name of one member at the top, as a CSV header is. So a header with a space is written as it is, and
one that would read as a path (`policy.number`) is written `$['policy.number']`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from edgekit import pattern
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LENGTH = 10_000
"""Characters of a path."""

_FIELD_PATH = re.compile(r"\w+(?:\[\d{1,15}\])*(?:\.\w+(?:\[\d{1,15}\])*)*")
_FIELD_STEP = re.compile(r"\w+|\[\d+\]")

MISSING: Any = object()
"""What `Path.first` gives where nothing matches; null is a match."""


class Path:
    """A compiled path: `.text`, `.segments` and `.find(document)`.

    `segments` has the member names and indexes of a path made of nothing else, otherwise it is None.
    """

    __slots__ = ("_query", "segments", "text")

    def __init__(self, text: str, segments: tuple[str | int, ...] | None, query: Any = None) -> None:
        self.text = text
        self.segments = segments
        self._query = query

    def __repr__(self) -> str:
        return f"Path({self.text!r})"

    def find(self, document: Any) -> list[Any]:
        """Return the values at every match, in document order; an empty list where there is none.

        Raise InvalidError where the document is too deep for `..`, or a search cannot tell in time.
        """
        if self.segments is not None:
            value = _walk(self.segments, document)
            return [] if value is MISSING else [value]
        from jsonpath_rfc9535 import JSONPathError

        try:
            return [node.value for node in self._query.find(document)]
        except (JSONPathError, pattern.PatternTimeoutError) as error:
            raise InvalidError(f"path {_short(self.text)}: {_reason(error)}") from None

    def first(self, document: Any) -> Any:
        """Return the value of the first match, or `MISSING`."""
        if self.segments is not None:
            return _walk(self.segments, document)
        found = self.find(document)
        return found[0] if found else MISSING


def _walk(segments: tuple[str | int, ...], document: Any) -> Any:
    """Follow members and indexes as RFC 9535 does: members of objects only, indexes of arrays only."""
    value = document
    for segment in segments:
        if isinstance(segment, str):
            if not isinstance(value, dict) or segment not in value:
                return MISSING
        elif not isinstance(value, list) or not -len(value) <= segment < len(value):
            return MISSING
        value = value[segment]
    return value


@lru_cache(maxsize=1024)
def compile(path: str) -> Path:  # noqa: A001 - used qualified, as in the standard library
    """Read a JSONPath, or a field path as the head of this module says.

    Raise InvalidError naming the path and the position where it goes wrong, counted from 1.
    """
    if not path:
        raise InvalidError("a path cannot be empty", hint="`$` is the whole document")
    if len(path) > MAX_LENGTH:
        raise InvalidError(f"path {_short(path)} is longer than {MAX_LENGTH:,} characters")
    if not path.lstrip().startswith("$"):
        return Path(path, _field_segments(path))
    query = _parse(path)
    return Path(path, _segments(query), query)


def find(path: str, document: Any) -> list[Any]:
    """Return the values at every match of a path, in document order. Raise InvalidError for a bad path."""
    return compile(path).find(document)


def _field_segments(text: str) -> tuple[str | int, ...]:
    if not _FIELD_PATH.fullmatch(text):
        return (text,)
    return tuple(int(step[1:-1]) if step[0] == "[" else step for step in _FIELD_STEP.findall(text))


def _parse(path: str) -> Any:
    from jsonpath_rfc9535 import JSONPathError

    try:
        query = _environment().compile(path)
    except JSONPathError as error:
        token = error.token
        where = "" if token is None else f" at position {token.index + 1}"
        raise InvalidError(f"path {_short(path)} is not JSONPath{where}: {_reason(error)}") from None
    except RecursionError:
        raise InvalidError(f"path {_short(path)} is nested too deeply") from None
    return query


def _segments(query: Any) -> tuple[str | int, ...] | None:
    if not query.singular_query():
        return None
    selectors = [segment.selectors[0] for segment in query.segments]
    return tuple(s.name if hasattr(s, "name") else s.index for s in selectors)


@lru_cache(maxsize=1)
def _environment() -> Any:
    """Give the library our `match` and `search`, which stop: its own may search for ever."""
    from jsonpath_rfc9535 import JSONPathEnvironment
    from jsonpath_rfc9535.function_extensions import Match, Search

    class BoundedMatch(Match):
        def __call__(self, string: object, expression: object) -> bool:
            return _holds(string, expression, whole=True)

    class BoundedSearch(Search):
        def __call__(self, string: object, expression: object) -> bool:
            return _holds(string, expression, whole=False)

    environment = JSONPathEnvironment()
    environment.function_extensions |= {"match": BoundedMatch(), "search": BoundedSearch()}
    return environment


def _holds(string: object, expression: object, *, whole: bool) -> bool:
    if not isinstance(string, str) or not isinstance(expression, str):
        return False
    found = _i_regexp(expression, whole)
    return found is not None and found(string)


@lru_cache(maxsize=512)
def _i_regexp(expression: str, whole: bool) -> Callable[[str], bool] | None:
    """Compile an I-Regexp (RFC 9485); None for anything else, which matches nothing."""
    from iregexp_check import check
    from jsonpath_rfc9535.function_extensions._pattern import map_re

    if len(expression) > pattern.MAX_PATTERN or not check(expression):
        return None
    try:
        return pattern.compile_raw(map_re(expression), whole=whole)
    except InvalidError:
        return None


def _reason(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def _short(text: str) -> str:
    return f'"{text}"' if len(text) <= 80 else f'"{text[:79]}…"'
