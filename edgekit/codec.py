r"""JSON in and out: one door, the fast decoder where it is installed, the same answers either way.

Whole numbers stay whole however long; NaN, infinities and half characters (a lone `\ud800`) are not read,
NaN and infinities not written; of a key given twice the last one counts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from edgekit.errors import InvalidError

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_MARK = b"\xef\xbb\xbf"

Decode = Callable[[bytes | str], Any]


def loads(data: bytes | str) -> Any:
    """Decode one JSON document; bytes are UTF-8. Raise InvalidError saying what is wrong and where."""
    decode, refused = decoder()
    try:
        return decode(data)
    except refused:
        return _loads(data)  # says what is wrong in one way, and knows the few documents msgspec refuses


@cache
def decoder() -> tuple[Decode, tuple[type[Exception], ...]]:
    """Return a bare decoder for loops, and what it raises when `loads` is to be asked instead."""
    try:
        import msgspec
    except ImportError:
        return _loads, ()
    return msgspec.json.Decoder().decode, (msgspec.DecodeError, UnicodeError, RecursionError)


def _loads(data: bytes | str) -> Any:
    try:
        text = data if isinstance(data, str) else data.removeprefix(_MARK).decode()
        document = _strict().decode(text)
    except json.JSONDecodeError as error:
        raise InvalidError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from error
    except UnicodeDecodeError as error:
        raise InvalidError(f"not valid UTF-8 at byte {error.start + 1}") from error
    except RecursionError as error:
        raise InvalidError("JSON nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise InvalidError(f"not usable JSON: {str(error).split(';')[0]}") from error
    if _HALF.search(text) or (isinstance(data, str) and not data.isascii()):
        _refuse_halves(document)
    return document


def split(text: str, start: int) -> tuple[Any, int]:
    """Decode the document that begins at `start`; return it and where it ends.

    Raise ValueError while it is incomplete, RecursionError if it is too deep. A document that is whole but
    not usable (NaN, a number too large, half a character) comes as the InvalidError itself: its end is known.
    """
    try:
        document, end = _strict().raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except (InvalidError, ValueError):
        _, end = _tolerant().raw_decode(text, start)
    else:
        if not _HALF.search(text, start, end):
            return document, end
    try:
        return loads(text[start:end]), end
    except InvalidError as error:
        return error, end


@cache
def _strict() -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


@cache
def _tolerant() -> json.JSONDecoder:
    return json.JSONDecoder(parse_int=str, parse_float=str)


def _refuse_constant(name: str) -> Any:
    raise InvalidError(f"not valid JSON: {name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidError(f"not usable JSON: the number {text[:40]} is too large")
    return number


def _refuse_halves(document: Any) -> None:
    try:
        dumps(document).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise InvalidError(f"not usable JSON: {half} is half a character") from error


def dumps(document: Any) -> str:
    """Write a document as compact JSON, letters as they are. Raise InvalidError for what JSON cannot say."""
    return _write(document, _encoder)


def canonical(document: Any) -> str:
    """Write a document in the one form that equal documents share: sorted keys, no spaces."""
    return _write(document, _sorted_encoder)


# Kept, because json.dumps makes one anew for every document, which takes longer than writing a small one.
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_sorted_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def _write(document: Any, encoder: json.JSONEncoder) -> str:
    try:
        return encoder.encode(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"cannot be written as JSON: {error}") from error
