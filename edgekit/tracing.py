"""The correlation id that what is being done now carries, and W3C trace context, its form between programs.

A trace id is the 32 digits of a correlation id that is a UUID, else of a digest of it; a correlation id that
came from outside is the UUID with the digits of the trace id. So either tells the other.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_current: ContextVar[str | None] = ContextVar("correlation_id", default=None)

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.DOTALL)


def current() -> str | None:
    """Return the correlation id that what is done now carries; None where each change has one of its own."""
    return _current.get()


@contextmanager
def under(correlation_id: str | None) -> Iterator[None]:
    """Let all that is done in here, in this thread, carry a correlation id; None: each change its own."""
    before = _current.set(correlation_id)
    try:
        yield
    finally:
        _current.reset(before)


def new_correlation_id() -> str:
    """Return the correlation id at hand, or a new one."""
    import uuid

    return _current.get() or str(uuid.uuid4())


def read_parent(text: str | None) -> str | None:
    """Return the correlation id a `traceparent` stands for; None for none, or for one that is malformed."""
    found = _PARENT.fullmatch(text.strip()) if text else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[4]):
        return None
    if not int(found[2], 16) or not int(found[3], 16):
        return None
    import uuid

    return str(uuid.UUID(found[2]))


def trace_id(correlation_id: str) -> str:
    """Return the trace id of a correlation id: 32 hexadecimal digits."""
    import hashlib
    import uuid

    try:
        digits = uuid.UUID(correlation_id).hex
    except ValueError:
        digits = ""
    return digits if digits.strip("0") else hashlib.sha256(correlation_id.encode()).hexdigest()[:32]


def span_id(kind: str, key: object) -> str:
    """Return the span id of a row: 16 hexadecimal digits, always the same for it."""
    import hashlib

    return hashlib.sha256(f"{kind}/{key}".encode()).hexdigest()[:16]


def new_span_id() -> str:
    """Return a span id for something that has no row yet."""
    import secrets

    return f"{secrets.randbelow(2**64 - 1) + 1:016x}"


def write_parent(correlation_id: str, span: str) -> str:
    """Return the `traceparent` of a request. It says sampled: each try is kept as a row."""
    return f"00-{trace_id(correlation_id)}-{span}-01"
