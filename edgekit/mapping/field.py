"""What a mapping is made of, and what refuses a value."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit.errors import SkipRecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR_HANDLING = ("fail", "skip", "default", "null")
DIRECTIONS = ("inbound", "outbound", "bidirectional")


class Absent:
    """The type of `ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT = Absent()
"""In a mapped row: leave this column out, as `error_handling` `skip` says."""


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """One row of `integration_mapping`: where a value comes from, what becomes of it and where it goes."""

    name: str
    source_path: str
    target_path: str
    source_data_type: str | None = None
    target_data_type: str | None = None
    is_required: bool = False
    default_value: Any = None
    transformation_rules: Mapping[str, Any] | None = None
    validation_rules: Mapping[str, Any] | None = None
    error_handling: str = "fail"
    direction: str = "inbound"
    mapping_type: str = "field"


@dataclass(frozen=True, slots=True)
class Lookup:
    """A column whose value is the `match` column of a row of `table`; the target puts that row's id there."""

    column: str
    table: str
    match: str


class FieldError(SkipRecordError):
    """A record is refused because of one field; `code` is its error code."""

    def __init__(self, message: str, *, error_code: str, column: str, source_path: str) -> None:
        super().__init__(message, error_code=error_code)
        self.column = column
        self.source_path = source_path


class Refused(Exception):  # noqa: N818 - an answer passed up to the field that asks, never seen outside
    """A value is refused: the code, and what is wrong with it, to be read after the value."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


_SECRET_NAME = re.compile(
    r"passw|secret|token|api_?key|credential|private_?key|\bssn\b|social_security|tax_id|card_number|cvv|"
    r"account_number|routing_number",
)


def is_secret(*names: str) -> bool:
    """Tell whether a name says that its values must not be shown."""
    return any(_SECRET_NAME.search(name.lower().replace("-", "_").replace(" ", "_")) for name in names)


def shown(value: Any, *, secret: bool = False) -> str:
    """Write a value for a message: 80 characters at most, nothing of a secret."""
    if secret:
        return "the value (not shown)"
    text = repr(value) if isinstance(value, float) else _json(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _json(value: Any) -> str:
    if isinstance(value, str):
        value = value[:200]
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"
