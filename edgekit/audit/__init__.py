"""The log of every change: the triggers that write it, and the ways to read it.

from edgekit import audit

audit.blame(connection, "driver", 7)
audit.as_of(connection, "2026-01-31T12:00:00Z", "driver")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.audit.log import Blame, Entry, as_of, blame, entries
    from edgekit.audit.triggers import APPEND_ONLY, audited_tables, fingerprint, schema_sql, table_triggers

__all__ = [
    "APPEND_ONLY",
    "Blame",
    "Entry",
    "as_of",
    "audited_tables",
    "blame",
    "entries",
    "fingerprint",
    "schema_sql",
    "table_triggers",
]

_LOG = {"Blame", "Entry", "as_of", "blame", "entries"}


def __getattr__(name: str) -> Any:
    # Both halves wait until they are used: most commands need neither.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'log' if name in _LOG else 'triggers'}"), name)
