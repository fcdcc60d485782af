"""JMESPath and JSONPath: the one door to jmespath.

A plain expression (members, indexes and one object or list of such) costs what it says and is answered in
this process. Every other one can take for ever or grow without end, and is answered in a worker.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from edgekit import codec, jsonpath, pattern
from edgekit.errors import InvalidError
from edgekit.transformation.limits import Refusal, out_of_time, too_deep, too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgekit.transformation.limits import Limits

MAX_LENGTH = 10_000
"""Characters of an expression."""

_STEPS = {"field", "index", "subexpression", "index_expression", "current", "identity"}
_PLAIN_DEPTH = 50
_PLAIN = _STEPS | {"multi_select_dict", "multi_select_list", "key_val_pair"}


def compile_jmespath(text: str) -> Callable[[Any], Any] | None:
    """Return a function where the expression is plain. Raise Refusal for a bad expression."""
    expression = _parse(text)
    if not _is_plain(expression.parsed):
        return None
    search: Callable[[Any], Any] = expression.search
    return search


def compile_jsonpath(text: str) -> Callable[[Any], Any] | None:
    """Do the same for a path, whose value is the list of its matches."""
    try:
        path = jsonpath.compile(text)
    except InvalidError as error:
        raise Refusal("syntax", f"is wrong: {error.message}") from None
    return path.find if path.segments is not None else None


def _parse(text: str) -> Any:
    import jmespath  # type: ignore[import-untyped]
    from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]

    if len(text) > MAX_LENGTH:
        raise Refusal("syntax", f"is longer than {MAX_LENGTH:,} characters")
    try:
        return jmespath.compile(text)
    except JMESPathError as error:
        place = getattr(error, "lex_position", None)
        line = None if place is None else text.count("\n", 0, place) + 1
        raise Refusal("syntax", f"is no JMESPath: {str(error).splitlines()[0]}", line) from None
    except (RecursionError, ValueError):
        raise Refusal("syntax", "is no JMESPath that can be read") from None


def _is_plain(node: Any, *, inside: bool = False, depth: int = 0) -> bool:
    """Tell whether every part is a member, an index or the one selection around them, and none deep."""
    kind = node["type"]
    if kind not in _PLAIN or (inside and kind.startswith("multi_select")) or depth > _PLAIN_DEPTH:
        return False
    inside = inside or kind.startswith("multi_select") or kind == "subexpression"
    return all(_is_plain(child, inside=inside, depth=depth + 1) for child in node["children"])


class Evaluator:
    """An expression at work in a worker."""

    def __init__(self, language: str, text: str, limits: Limits) -> None:
        self.limits = limits
        self.search = _jsonpath(text) if language == "jsonpath" else _jmespath(text, limits)

    def run(self, document: bytes, seconds: float) -> str:
        """Answer one record in JSON. Raise Refusal; the worker is killed where it takes too long."""
        try:
            answer = self.search(codec.loads(document))
            if _size(answer, {}) > self.limits.output:
                raise too_large(self.limits.output)
        except pattern.PatternTimeoutError:
            raise out_of_time(seconds) from None
        except RecursionError:
            raise too_deep() from None
        except InvalidError as error:
            if isinstance(error.__context__, pattern.PatternTimeoutError):
                raise out_of_time(seconds) from None
            raise Refusal("failed", f"fails: {error.message}") from None
        try:
            return codec.dumps(answer)
        except InvalidError as error:
            raise Refusal("output", f"gives what {error.message}") from None


def _jsonpath(text: str) -> Callable[[Any], Any]:
    try:
        return jsonpath.compile(text).find
    except InvalidError as error:
        raise Refusal("syntax", f"is wrong: {error.message}") from None


def _jmespath(text: str, limits: Limits) -> Callable[[Any], Any]:
    from jmespath import Options
    from jmespath.exceptions import JMESPathError, JMESPathTypeError

    expression = _parse(text)
    options = Options(custom_functions=_functions(limits.output))

    def search(document: Any) -> Any:
        try:
            return expression.search(document, options)
        except JMESPathTypeError as error:  # its own words would show the value
            wanted = " or ".join(error.expected_types)
            said = f"{error.function_name}() takes {wanted}, not {error.actual_type}"
            raise Refusal("failed", f"fails: {said}") from None
        except JMESPathError as error:
            raise Refusal("failed", f"fails: {error}") from None
        except (ArithmeticError, TypeError, ValueError) as error:
            raise Refusal("failed", f"fails: {type(error).__name__}") from None

    return search


@cache
def _functions(limit: int) -> Any:
    """Give the library functions whose texts do not outgrow the answer: its own build them unasked."""
    from jmespath import functions

    class Bounded(functions.Functions):  # type: ignore[misc]
        @functions.signature({"types": ["string"]}, {"types": ["array-string"]})  # type: ignore[untyped-decorator]
        def _func_join(self, separator: str, array: list[str]) -> str:
            if sum(map(len, array)) + len(separator) * len(array) > limit:
                raise too_large(limit)
            return separator.join(array)

        @functions.signature({"types": []})  # type: ignore[untyped-decorator]
        def _func_to_string(self, value: Any) -> str:
            if isinstance(value, str):
                return value
            if _size(value, {}) > limit:
                raise too_large(limit)
            return codec.dumps(value)

    return Bounded()


def _size(value: Any, known: dict[int, int]) -> int:
    """Measure a value as JSON without writing it: one list may stand in it a million times."""
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, list | dict):
        return 8
    size = known.get(id(value))
    if size is None:
        if isinstance(value, list):
            size = sum(_size(item, known) for item in value)
        else:
            size = sum(len(name) + 4 + _size(item, known) for name, item in value.items())
        known[id(value)] = size = size + len(value) + 2
    return size
