"""What columns records would make: their types by what they hold, their names as the file takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgekit.mapping import FieldMapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|-?\.[0-9]+")
_LONGEST_NUMBER = 15
"""Digits a number may have and still be one: longer ones are identifiers, and a REAL would round them."""

SQL_TYPES = {"integer": "INTEGER", "boolean": "INTEGER", "float": "REAL", "text": "TEXT"}
FIELD_TYPES = {"INTEGER": "integer", "INT": "integer", "REAL": "number", "TEXT": "string"}


def detect(batches: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Detect the type of each field of records: integer, float or text."""
    from sqlite_utils.utils import TypeTracker

    tracker = TypeTracker()
    text: set[str] = set()
    fractions: set[str] = set()
    for batch in batches:
        rows = (
            # The tracker asks int(), to which 2.5 is a 2: it is told a number as it is written.
            {str(k): repr(v) if isinstance(v, float) else v for k, v in record.items() if v not in (None, "")}
            for record in batch
            if isinstance(record, dict)
        )
        for row in tracker.wrap(rows):
            text.update(name for name, value in row.items() if name not in text and _is_text(value))
            # int(1.5) is no error, so the tracker takes a number that is no text for a whole one.
            fractions.update(k for k, v in row.items() if isinstance(v, float) and not v.is_integer())
    whole = {"integer": "float"}
    return {
        name: "text" if name in text else whole.get(kind, kind) if name in fractions else kind
        for name, kind in tracker.types.items()
    }


def _is_text(value: Any) -> bool:
    """Tell an identifier from a number: leading zeros, a plus, 1E5, 1_000, too many digits, nan and inf."""
    if isinstance(value, str):
        return not _NUMBER.fullmatch(value) or sum(c.isdigit() for c in value) > _LONGEST_NUMBER
    return isinstance(value, dict | list) or (isinstance(value, int) and not -(2**63) <= value < 2**63)


def column_name(name: str) -> str:
    """Return the name of the column for a field."""
    column = re.sub(r"\W+", "_", name.strip(), flags=re.ASCII).strip("_") or "field"
    return f"n{column}" if column[0].isdigit() else column


def free_name(name: str, taken: set[str]) -> str:
    """Return a name, numbered where it is taken."""
    free, number = name, 2
    while free.lower() in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def field(source: str, column: str, data_type: str) -> FieldMapping:
    """Map a member of a record to a column."""
    quoted = source.replace("\\", "\\\\").replace("'", "\\'")
    return FieldMapping(
        name=source,
        source_path=f"$['{quoted}']",
        target_path=column,
        source_data_type=None,
        target_data_type=data_type,
        is_required=False,
        default_value=None,
        transformation_rules=None,
        validation_rules=None,
        error_handling="fail",
        direction="inbound",
    )
