"""JSON in and out: one door, the fast decoder where it is installed, the same answers either way.

Whole numbers stay whole however long; NaN and infinities are neither read nor written; of a key given twice the last
one counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from edgekit.errors import InvalidError


def loads(data: bytes | str) -> Any:
    """Decode one JSON document. Raise InvalidError saying what is wrong and where."""
    return decoder()(data)


@cache
def decoder() -> Callable[[bytes | str], Any]:
    """Return the decoder itself, for loops that decode many documents."""
    try:
        import msgspec
    except ImportError:
        return _loads
    decode, failure = msgspec.json.Decoder().decode, (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

    def fast(data: bytes | str) -> Any:
        try:
            return decode(data)
        except failure:
            return _loads(data)  # says what is wrong in one way, and knows the few documents msgspec refuses

    return fast


def _loads(data: bytes | str) -> Any:
    try:
        return json.loads(data, parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise InvalidError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from error
    except UnicodeDecodeError as error:
        raise InvalidError(f"not valid UTF-8 at byte {error.start + 1}") from error
    except RecursionError as error:
        raise InvalidError("JSON nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise InvalidError(f"not usable JSON: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise InvalidError(f"not valid JSON: {name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidError(f"not usable JSON: the number {text[:40]} is too large")
    return number


def dumps(document: Any) -> str:
    """Write a document as compact JSON, every letter readable. Raise InvalidError for what JSON cannot say."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"cannot be written as JSON: {error}") from error


def canonical(document: Any) -> str:
    """Write a document in the one form that equal documents share: sorted keys, no spaces."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"cannot be written as JSON: {error}") from error
