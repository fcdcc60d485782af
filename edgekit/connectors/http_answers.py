"""What came back: the JSON document, the records in it, or the error that a status and its text amount to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from edgekit import clock, codec, jsonpath
from edgekit.errors import (
    DeniedError,
    EdgekitError,
    InvalidError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXCERPT = 200
"""Characters of a refusal's text that are shown."""

RETRIED = {408, 425, 429, 500, 502, 503, 504}
_PAGE = (b"<html", b"<!doctype html")
_NEXT = re.compile(
    r'<([^>]*)>[^,]*?;\s*rel=(?:next|"(?:[^"]*\s)?next(?:\s[^"]*)?")\s*(?:[;,]|$)', re.IGNORECASE
)
_CHARSET = re.compile(r"charset=\"?([\w.-]+)", re.IGNORECASE)
_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer; `url` is masked, `link` is the same URL to be resolved against, without secrets."""

    document: Any
    url: str
    link: str
    next_link: str | None = None


def kind_of(value: Any) -> str:
    """Say in words what a JSON value is."""
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def decode(body: bytes, headers: Mapping[str, str], *, status: int, url: str) -> Any:
    """Decode a successful answer. Raise InvalidError naming the URL and what came in place of JSON."""
    if status == 204:
        return None
    kind = headers.get("content-type", "")
    start = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise InvalidError(f"{url} gave an empty answer in place of JSON.")
    if start[:1] == b"<":
        what = (
            "an HTML page" if "html" in kind or any(mark in body[:2000].lower() for mark in _PAGE) else "XML"
        )
        raise InvalidError(
            f"{url} gave {what} in place of JSON.",
            hint="Is base_url right? A log-in page or a proxy often answers like this.",
        )
    try:
        return codec.loads(_text(body, kind))
    except InvalidError as error:
        raise InvalidError(f"{url}: {error.message} ({kind or 'no content type'}).") from None


def _text(body: bytes, kind: str) -> bytes | str:
    charset = _CHARSET.search(kind)
    if charset is None or charset[1].lower() in {"utf-8", "utf8", "us-ascii"}:
        return body
    try:
        return body.decode(charset[1])
    except (LookupError, UnicodeDecodeError):
        raise InvalidError(f"not written in {charset[1]} as it says") from None


def records_in(answer: Answer, path: str) -> list[Any]:
    """Return the records at a path: the list there, the one object there, or every match of a wider path.

    Raise InvalidError where nothing is there, which is how many services report an error with status 200.
    """
    if answer.document is None:
        return []
    found = jsonpath.find(path, answer.document)
    if not found:
        if jsonpath.compile(path).segments is None and not _lacks_list(answer.document, path):
            return []
        raise InvalidError(
            f"{answer.url} has nothing at {path}; {_has(answer.document)}.",
            hint="records says where the list is",
        )
    if len(found) > 1:
        return [record for match in found for record in (match if isinstance(match, list) else [match])]
    if found[0] is None:
        return []
    if isinstance(found[0], list):
        return found[0]
    if isinstance(found[0], dict):
        return found
    raise InvalidError(f"{answer.url} has {kind_of(found[0])} at {path}, not a list of records.")


def _lacks_list(document: Any, path: str) -> bool:
    """Tell an answer without the list from one whose list is empty, for a path that ends with `[*]`."""
    holder = jsonpath.compile(path.removesuffix("[*]") or "$")
    if not path.endswith("[*]") or holder.segments is None:
        return False
    found = holder.find(document)
    return not found or not (found[0] is None or isinstance(found[0], list | dict))


def _has(document: Any) -> str:
    if not isinstance(document, dict):
        return f"it is {kind_of(document)}"
    names = ", ".join(str(name)[:40] for name in list(document)[:8])
    return f"it has: {names}" if names else "it is an empty object"


def next_link(headers: Mapping[str, str]) -> str | None:
    """Return the link with rel="next" of a Link header."""
    found = _NEXT.search(headers.get("link", ""))
    return found[1] if found else None


def excerpt(body: bytes, mask: Callable[[str], str]) -> str:
    """Return the beginning of a refusal's text in one line, masked, fit for a terminal."""
    text = mask(body.decode("utf-8", "replace"))
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, mask: Callable[[str], str]
) -> EdgekitError:
    """Return the error that an unsuccessful answer is."""
    text = excerpt(body, mask)
    said = f": {text}" if text and not text.startswith("<") else "."
    if status in {401, 403}:
        return DeniedError(
            f"{url} does not let us in ({status}){said}",
            hint="Check auth and the secret; store a new one: edgekit vault set INTEGRATION KEY",
        )
    if status in {404, 410}:
        return NotFoundError(f"{url} is not there ({status}){said}", hint="Check base_url and path.")
    if 300 <= status < 400:
        target = mask(urljoin(url, headers.get("location", "")))
        return InvalidError(
            f"{url} redirects to {target} ({status}), which is not followed.",
            hint="Only a GET is sent on, and only to the same place; put the new address into base_url.",
        )
    if status == 429:
        return RateLimitedError(
            f"{url} asks us to slow down ({status}){said}", retry_after=retry_after(headers)
        )
    if status == 503 and (wait := retry_after(headers)) is not None:
        return RateLimitedError(f"{url} is not available ({status}){said}", retry_after=wait)
    if status >= 500 or status in RETRIED:
        return UnavailableError(
            f"{url} failed ({status}){said}", hint="The fault is on the other side; try later."
        )
    return InvalidError(f"{url} refused the request ({status}){said}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a Retry-After header asks for, a number or a date; None without one."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - clock.now()).total_seconds())
