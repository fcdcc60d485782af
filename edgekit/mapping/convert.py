"""Turning a value into one of the data types a mapping names.

| type | accepts | gives |
|---|---|---|
| string | text, numbers, booleans | text, never with a NUL |
| integer | 2011, 2011.0, "2011", "2011.0" | an integer of 64 bits |
| number | numbers and text of numbers, finite | an integer or a float |
| boolean | true, 1, "yes", "Y", "T", "on" … | a boolean |
| date | ISO 8601, a time's date | "2023-01-31" |
| datetime | ISO 8601; without a zone it is UTC | "2023-01-31T09:05:00.000Z" |
| json | any document; text must be JSON | JSON text |
| money | 1234.5, "$1,234.50", "(12.00)", "12.00 EUR" | minor units: 123450 |
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from edgekit import clock
from edgekit.mapping.field import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    Converter = Callable[[Any], Any]

MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)

_INTEGER = re.compile(r"[+-]?[0-9]+(?:\.0*)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_AMOUNT = re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+")
_CURRENCY = re.compile(r"^(?:[A-Z]{3}\s|[$€£¥])\s*|\s*(?:\s[A-Z]{3}|[$€£¥])$")
_BOOLEANS = {
    "true": True, "yes": True, "y": True, "t": True, "on": True, "1": True,
    "false": False, "no": False, "n": False, "f": False, "off": False, "0": False,
}  # fmt: skip
_LONGEST_NUMBER = 400


def to_string(value: Any) -> str:
    """Give text; refuse NUL and what cannot be written as UTF-8."""
    if isinstance(value, str):
        if "\0" in value:
            raise Refused("format", "holds a NUL character")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Refused("format", "holds half of a character") from None
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise Refused("type", "is not text")


def to_integer(value: Any) -> int:
    """Give an integer of 64 bits; refuse a fraction, a boolean, NaN and infinities."""
    wrong = Refused("type", "is not a whole number")
    if isinstance(value, str):
        text = value.strip()
        if not _INTEGER.fullmatch(text):
            raise wrong
        digits = text.partition(".")[0]
        number = int(digits) if len(digits) < _LONGEST_NUMBER else MAX_INTEGER + 1
    elif isinstance(value, bool):
        raise wrong
    elif isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        number = int(value)
    else:
        raise wrong
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise Refused("range", "does not fit 64 bits")
    return number


def to_number(value: Any) -> int | float:
    """Give a finite number; whole ones stay integers where they came as such."""
    number: int | float
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
            raise Refused("type", "is not a number")
        number = int(text) if text.lstrip("+-").isdigit() else float(text)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        number = value
    else:
        raise Refused("type", "is not a number")
    if isinstance(number, float):
        if not math.isfinite(number):
            raise Refused("range", "is not a finite number")
    elif not MIN_INTEGER <= number <= MAX_INTEGER:
        raise Refused("range", "does not fit 64 bits")
    return number


def to_boolean(value: Any) -> bool:
    """Give a boolean for the usual words and for 0 and 1."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in {0, 1}:
        return bool(value)
    found = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise Refused("type", "is neither true nor false")
    return found


def to_date(value: Any) -> str:
    """Give `YYYY-MM-DD` from an ISO date, or the date a time is written with."""
    if isinstance(value, str):
        text = value.strip()
        try:
            return (
                date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
            ).isoformat()[:10]
        except ValueError:
            pass
    raise Refused("format", "is not a date such as 2023-01-31")


def to_datetime(value: Any) -> str:
    """Give a time in UTC as the file stores it, from an ISO time or date."""
    if isinstance(value, str):
        try:
            return moment_text(datetime.fromisoformat(value.strip()))
        except ValueError:
            pass
    raise Refused("format", "is not a time such as 2023-01-31T09:05:00Z")


EPOCHS = {"epoch": 1, "epoch_ms": 1000}
"""Times as a count since 1970 began in UTC, and how many of them are a second."""
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch(value: Any, form: str) -> datetime:
    """Read a time counted since 1970. Raise ValueError for what is no number, Refused for a year too far."""
    try:
        number = to_number(value)
    except Refused as refused:
        if refused.code == "type":
            raise ValueError(form) from None
        raise
    try:
        if isinstance(number, int):
            return _BEGIN + timedelta(milliseconds=number * 1000 // EPOCHS[form])
        return _BEGIN + timedelta(seconds=number / EPOCHS[form])
    except OverflowError:
        raise Refused("range", "is outside of the years 1 to 9999") from None


def moment_text(moment: datetime) -> str:
    """Write a time as the file stores it; one without a zone is UTC."""
    try:
        text = clock.to_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except OverflowError:
        raise Refused("range", "is outside of the years 1 to 9999") from None
    return text.zfill(24)


def to_json(value: Any) -> str:
    """Give compact JSON text; text must be JSON already."""
    if isinstance(value, str):
        value = from_json(value)
    try:
        return to_string(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    except (TypeError, ValueError, RecursionError):
        raise Refused("type", "cannot be written as JSON") from None


def from_json(value: Any) -> Any:
    """Read a document from JSON text; anything else is one already."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused("format", "is not JSON") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def to_money(value: Any, *, digits: int = 2, decimal: str = ".", rounding: bool = False) -> int:
    """Give minor units of a currency with that many digits: `"$1,234.50"` is 123450.

    Parentheses and a minus mean less than nothing; `decimal` `","` reads `1.234,50`. More digits than the
    currency has are refused, or rounded half up. A float is read as it prints.
    """
    if isinstance(value, str):
        amount = _amount(value, decimal)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("type", "is not an amount of money")
    elif not math.isfinite(value) or abs(value) > MAX_INTEGER:
        raise Refused("range", "is no amount of money that fits 64 bits")
    else:
        amount = Decimal(str(value))
    units = amount.scaleb(digits)
    whole = units.to_integral_value(ROUND_HALF_UP)
    if whole != units and not rounding:
        raise Refused("format", f"has more than {digits} digits after the point")
    if abs(whole) > MAX_INTEGER:
        raise Refused("range", "is no amount of money that fits 64 bits")
    return int(whole)


def _amount(text: str, decimal: str) -> Decimal:
    bare = text.strip()
    negative = bare.startswith("(") and bare.endswith(")")
    bare = bare[1:-1].strip() if negative else bare
    if bare[:1] in {"-", "+"} and not negative:
        negative = bare[0] == "-"
        bare = bare[1:].lstrip()
        bare = _CURRENCY.sub("", bare)
    else:
        bare = _CURRENCY.sub("", bare)
        if bare[:1] == "-" and not negative:
            negative, bare = True, bare[1:]
    if decimal == ",":
        bare = bare.translate({ord(","): ".", ord("."): ","})
    if len(bare) > 40 or not _AMOUNT.fullmatch(bare):
        raise Refused("type", "is not an amount of money")
    amount = Decimal(bare.replace(",", ""))
    return -amount if negative else amount


TYPES: dict[str, Converter] = {
    "string": to_string,
    "integer": to_integer,
    "number": to_number,
    "boolean": to_boolean,
    "date": to_date,
    "datetime": to_datetime,
    "json": to_json,
    "money": to_money,
}


def converter(source: str | None, target: str | None) -> Converter | None:
    """Return what turns a value of one type into the other: it is read as the source type first.

    A value that is the target type already is converted once; money and JSON are what they are between the
    two.
    """
    if source is None or source == target:
        return TYPES[target] if target else None
    read = from_json if source == "json" else TYPES[source]
    if target is None:
        return read
    write = _BETWEEN.get((source, target), TYPES[target])
    return lambda value: write(read(value))


def _document_text(value: Any) -> str:
    return to_json(value) if isinstance(value, (dict, list)) else to_string(value)


_BETWEEN: dict[tuple[str, str], Converter] = {
    ("boolean", "integer"): int,
    ("boolean", "number"): int,
    ("json", "string"): _document_text,
    ("string", "json"): lambda text: json.dumps(text, ensure_ascii=False),
}
