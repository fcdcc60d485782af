"""What the values of a field look like: an address for mail, a date in some form, an amount, a VIN."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_FORMS = ("%Y-%m-%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y%m%d", "%m-%d-%Y", "%d-%b-%Y", "%b %d, %Y",
          "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d")  # fmt: skip
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}|(?=.*\*)(?=.*[A-Z])(?=.*[0-9])[A-HJ-NPR-Z0-9*]{3,17}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?:\+?[0-9]{1,3}[ .-]?)?(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-]?[0-9]{4}")
_MONEY = re.compile(
    r"[-(]?\s*(?:[$€£]|[A-Z]{3}\s)\s*[0-9][0-9,]*(?:\.[0-9]{1,2})?\)?|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]{2}"
)
_COMMA = re.compile(
    r"[-(]?\s*(?:[$€£]|[A-Z]{3})?\s*-?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+),[0-9]{2}\s*(?:[$€£]|[A-Z]{3})?\)?"
)
"""An amount with a decimal comma; with two digits behind it, it cannot be one of thousands."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_POSTAL = re.compile(
    r"[0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]"
)
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})?\.[0-9]+")
_BOOLEAN = frozenset({"true", "false", "yes", "no", "y", "n"})
_CODES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND"
    " OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY PR"
)
_STATES = frozenset(_CODES.split())
_MOST = 0.9
"""The part of the values that must look so."""


@dataclass(frozen=True, slots=True)
class Look:
    """What values look like: the kind, the form of dates, another that would do."""

    kind: str
    form: str | None = None
    """That of dates, as strftime writes it; `,` for amounts with a decimal comma."""
    also: str | None = None


def look(values: list[Any]) -> Look:
    """Tell what values look like.

    It is vin, email, phone, state, postal_code, date, datetime, money, boolean, year, integer, number, json
    or text; `none` where there is no value.
    """
    if not values:
        return Look("none")
    if any(isinstance(value, dict | list) for value in values):
        return Look("json")
    if all(isinstance(value, bool) for value in values):
        return Look("boolean")
    if all(isinstance(value, int | float) for value in values):
        return _numbers([str(value) for value in values])
    texts = [str(value).strip() for value in values]
    if _mostly(texts, _TIME.fullmatch):
        return Look("datetime")
    if forms := [form for form in _FORMS if _mostly(texts, lambda text: _is_date(text, form))]:  # noqa: B023
        return Look("date", forms[0], forms[1] if len(forms) > 1 else None)
    for kind, test in (
        ("email", _EMAIL.fullmatch), ("vin", lambda t: len(t) >= 8 and _VIN.fullmatch(t)),
        ("phone", _PHONE.fullmatch), ("state", _STATES.__contains__),
        ("money", lambda t: _MONEY.fullmatch(t) and not _COMMA.fullmatch(t)),
        ("boolean", lambda t: t.lower() in _BOOLEAN), ("postal_code", _POSTAL.fullmatch),
    ):  # fmt: skip
        if _mostly(texts, test):
            return Look(kind)
    if _mostly(texts, _COMMA.fullmatch, 1.0):
        return Look("money", ",")
    return _numbers(texts)


def _numbers(texts: list[str]) -> Look:
    if _mostly(texts, _INTEGER.fullmatch, 1.0):
        return Look("year" if all(1886 <= int(text) <= 2100 for text in texts) else "integer")
    if _mostly(texts, lambda text: _INTEGER.fullmatch(text) or _NUMBER.fullmatch(text), 1.0):
        return Look("number")
    return Look("text")


def _is_date(text: str, form: str) -> bool:
    if not 6 <= len(text) <= 12 or (form == "%Y%m%d" and len(text) != 8):
        return False
    try:
        return 1850 <= datetime.strptime(text, form).year <= 2150  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return False


def _mostly(texts: list[str], test: Any, part: float = _MOST) -> bool:
    misses, bearable = 0, round(len(texts) * (1 - part), 6)
    for text in texts:
        if not test(text):
            misses += 1
            if misses > bearable:
                return False
    return True
