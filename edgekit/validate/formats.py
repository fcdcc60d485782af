"""The formats that are checked, by the same functions whatever is installed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def _is_date(text: str) -> bool:
    from datetime import date

    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    found = re.fullmatch(
        r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[Zz]|[+-]([0-9]{2}):([0-9]{2}))", text
    )
    if not found:
        return False
    hour, minute, second, zone_hour, zone_minute = (int(part or 0) for part in found.groups())
    return hour < 24 and minute < 60 and second < 60 and zone_hour < 24 and zone_minute < 60


def _is_moment(text: str) -> bool:
    return len(text) > 11 and text[10] in "Tt " and _is_date(text[:10]) and _is_time(text[11:])


def _is_email(text: str) -> bool:
    return (
        len(text) <= 254
        and re.fullmatch(r"[^\s@<>\x00-\x1f]{1,64}@[^\s@<>\x00-\x1f.]+(?:\.[^\s@<>\x00-\x1f.]+)*", text)
        is not None
    )


def _is_uri(text: str) -> bool:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-Z\[\]_a-z~%@]+", text) or re.search(
        r"%(?![0-9A-Fa-f]{2})", text
    ):
        return False
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) if parts.scheme in {"http", "https", "ftp", "ws", "wss"} else True


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "date-time": _is_moment,
    "time": _is_time,
    "email": _is_email,
    "uri": _is_uri,
    "uuid": _is_uuid,
}
"""The formats that are checked, here and in both validators."""

REMARKS = (
    "duration", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri", "iri-reference",
    "json-pointer", "regex", "relative-json-pointer", "uri-reference", "uri-template", "color",
)  # fmt: skip


@lru_cache(maxsize=1)
def format_checker() -> Any:
    """Return the checker of the reference, with these formats and no others."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    for name, function in FORMATS.items():
        checker.checks(name)(lambda value, function=function: not isinstance(value, str) or function(value))
    return checker
