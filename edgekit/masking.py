"""What must not be read in a log, an error text or a log view: secrets, and what tells of a person.

    masking.text("GET https://u:p@host/?token=abc failed")     # "GET https://***@host/?token=*** failed"
    masking.document({"api_key": "abc", "email": "a@b.ch"})    # {"api_key": "***", "email": "***"}

It is done when something is written, so that a log is as clean for the sqlite3 shell as for us. Masked are:
values of the vault that were opened in this process, and what is known by its form or by the name it stands
under. `SECRET_KEYS` are the names of secrets; `PERSONAL` declares the columns and keys that hold personal
data. Names are compared without case, spaces, dashes, dots and underscores.

The record in a dead letter is data, kept whole to be replayed; what is said about it is masked.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"

SECRET_KEYS = frozenset(
    {
        "password", "passwd", "apikey", "token", "accesstoken", "refreshtoken", "clientsecret", "privatekey",
        "authorization", "bearer", "xapikey", "secret", "secretkey", "accesskey", "passphrase", "pwd",
    }
)  # fmt: skip
"""Keys that hold a secret; the file's own triggers know the same ones."""

PERSONAL = frozenset(
    {
        "address", "billingaddress", "billingemail", "birthdate", "birthday", "dateofbirth", "dob",
        "driverlicense", "driverslicense", "email", "emailaddress", "leademail", "leadphone",
        "licensenumber", "mobile", "passportnumber", "phone", "phonenumber", "postaladdress",
        "socialsecuritynumber", "ssn", "street", "streetaddress", "taxid", "telephone",
    }
)  # fmt: skip
"""Columns and keys that hold what tells of a person."""

SHORTEST = 6
"""A shorter secret is not looked for in texts: it would be found in every word."""

MOST_NOTED = 1000

LOGIN_IN_URL = re.compile(r"([a-z][a-z0-9+.-]{0,30}://)[^/?#\s@]+@", re.IGNORECASE)
KEY_IN_QUERY = re.compile(
    r"([?&;_-](?:api[_-]?key|access[_-]?key|passw(?:or)?d|pwd|secret|token|sig(?:nature)?)=)"
    r"[^&#\s\"'<>]+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest|Negotiate)\s+(?!\*)[A-Za-z0-9+/=._~-]{6,}", re.IGNORECASE)
_NAMED = re.compile(
    r"""(["']?)\b([A-Za-z](?:[A-Za-z]|[ _.-](?=[A-Za-z])){1,30})\1\s*(=|:)\s*"""
    r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&}\])"']+)"""
)
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_PHONE = re.compile(r"(?<![\w.-])(?:\+?1[ .-]?)?(?:\(\d{3}\)[ ]?|\d{3}[.-])\d{3}[.-]\d{4}(?![\w-])")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")

_noted: dict[str, None] = {}


def note(secret: str) -> None:
    """Take it that a secret is open in this process: from now on no text says it."""
    if len(secret) >= SHORTEST:
        for written in variants(secret):
            _noted.pop(written, None)
            _noted[written] = None  # the newest last
        while len(_noted) > MOST_NOTED:
            del _noted[next(iter(_noted))]


def forget() -> None:
    """Forget every secret that was noted."""
    _noted.clear()


def variants(secret: str) -> set[str]:
    """Return the ways a secret is written: as it is, in a URL, in JSON, in base64."""
    coded = base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode()
    written = {secret, json.dumps(secret)[1:-1], coded}
    if secret.isprintable():
        written |= {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return written


def hide(text: str, values: Iterable[str]) -> str:
    """Return a text without these values."""
    for value in sorted(values, key=len, reverse=True):
        if value:
            text = text.replace(value, MASK)
    return text


def secrets(text: str) -> str:
    """Return a text without secrets. What tells of a person stays: for who typed it, on a terminal."""
    text = hide(text, _noted)
    text = LOGIN_IN_URL.sub(rf"\1{MASK}@", text)
    text = KEY_IN_QUERY.sub(rf"\1{MASK}", text)
    text = _SCHEME.sub(rf"\1 {MASK}", text)
    return _NAMED.sub(lambda found: _named(found, SECRET_KEYS), text)


def text(said: str, *, about: str | None = None) -> str:
    """Return a text without secrets and without what tells of a person.

    `about` is the column or key it speaks of: where that is personal, every value it quotes goes.
    """
    said = secrets(said)
    said = _NAMED.sub(lambda found: _named(found, PERSONAL), said)
    said = _PHONE.sub(MASK, _SSN.sub(MASK, _EMAIL.sub(MASK, said)))
    return _QUOTED.sub(f"'{MASK}'", said) if about is not None and is_personal(about) else said


def without_personal(said: str, *documents: Any) -> str:
    """Return a text without what documents hold by names that tell of a person."""
    values: set[str] = set()
    waiting = list(documents)
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
            values.update(str(item) for key, item in one.items() if _tells(str(key), item))
        elif isinstance(one, list):
            waiting += one
    return hide(said, values)


def _tells(key: str, value: Any) -> bool:
    # A short one would be found in every word.
    return isinstance(value, str | int | float) and is_personal(key) and len(str(value)) > 3


def document(value: Any, *, personal: bool = True) -> Any:
    """Return a decoded JSON document as it may be logged: masked by its keys, and its texts masked.

    Without `personal` only secrets are: what tells of a person stays where it is data, not a log.
    """
    if isinstance(value, dict):
        masked = _is_masked if personal else is_secret
        return {key: MASK if masked(str(key)) and item is not None and not isinstance(item, dict | bool)
                else document(item, personal=personal) for key, item in value.items()}  # fmt: skip
    if isinstance(value, list | tuple):
        return [document(item, personal=personal) for item in value]
    if isinstance(value, str):
        return text(value) if personal else secrets(value)
    return value


def is_secret(name: str) -> bool:
    """Tell whether a key is the name of a secret."""
    return _plain(name) in SECRET_KEYS


def ends_in_secret(name: str) -> bool:
    """Tell whether the last words of a key are the name of a secret, as those of `smtp_password` are."""
    return not _endings(name).isdisjoint(SECRET_KEYS)


def holds_secret(text: str) -> bool:
    """Tell whether a text holds an address with a log-in or a key in it."""
    return bool(LOGIN_IN_URL.search(text) or KEY_IN_QUERY.search(text))


def is_personal(name: str) -> bool:
    """Tell whether a column (`driver.license_number`) or key holds what tells of a person."""
    return _plain(name.rpartition(".")[2]) in PERSONAL


def _is_masked(name: str) -> bool:
    return is_secret(name) or is_personal(name)


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name).lower()


def _endings(name: str) -> set[str]:
    words = re.split(r"[\s_.-]+", name.lower())
    return {"".join(words[start:]) for start in range(len(words))}


def _named(found: re.Match[str], names: frozenset[str]) -> str:
    """Mask the value behind a name, if the name (or its last words) is one of those."""
    if _endings(found[2]).isdisjoint(names) or MASK in found[4]:
        return found[0]
    start = found.start(4) - found.start()
    mark = found[4][0] if found[4][0] in "\"'" else ""
    return f"{found[0][:start]}{mark}{MASK}{mark}"
