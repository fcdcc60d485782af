"""Values of databases as JSON can say them, without loss."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from edgekit import codec
from edgekit.errors import SkipRecordError

if TYPE_CHECKING:
    from edgekit.connectors.base import Outgoing

_PLAIN = (int, str, type(None))


def plain(value: Any) -> Any:
    """Return a value as JSON can say it.

    Decimals are text, so that no digit is lost; dates and times ISO 8601, in UTC with a Z where they have a
    zone; bytes base64; what JSON has no number for (NaN, infinity) text.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def moment(value: datetime) -> str:
    """Write a time in UTC with a Z, or one without a zone as it is."""
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def duration(value: timedelta) -> str:
    """Write hours, minutes and seconds, as many hours as there are."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    seconds = value.days * 86400 + value.seconds
    rest = f".{value.microseconds:06d}" if value.microseconds else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{rest}"


def stored(value: Any) -> Any:
    """Return a value as a column takes it: what is nested is JSON text."""
    return codec.dumps(value) if isinstance(value, dict | list) else value


def row_of(item: Outgoing, columns: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the values of a record for these columns."""
    return tuple(stored(item.record[name]) for name in columns)


def kind_of(values: list[Any]) -> str:
    """Say which kind of column holds all of these values: integer, float, boolean, json or text."""
    found = {_kind(value) for value in values if value is not None}
    if found == {"integer", "float"}:
        return "float"
    return found.pop() if len(found) == 1 else "text"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if -(2**63) <= value < 2**63 else "text"
    if isinstance(value, float):
        return "float"
    return "json" if isinstance(value, dict | list) else "text"


def require_key(item: Outgoing, key: tuple[str, ...]) -> None:
    """Raise SkipRecordError for a record without a value for what identifies it."""
    for name in key:
        if item.record.get(name) in (None, ""):
            raise SkipRecordError(f"The record has no {name}, which identifies it.", error_code="required")
