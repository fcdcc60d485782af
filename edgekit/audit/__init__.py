"""The log of every change: the triggers that write it, and the ways to read it.

from edgekit import audit

audit.blame(connection, "driver", 7)
audit.as_of(connection, "2026-01-31T12:00:00Z", "driver")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.audit.archives import Archived, archive, attached, find_archives
    from edgekit.audit.checks import Report, check
    from edgekit.audit.log import Blame, Entry, as_of, blame, entries
    from edgekit.audit.pruning import Pruned, before_years, prune
    from edgekit.audit.seals import Head, Seal, Sealed, Signer, accept, head, seal, unsealed
    from edgekit.audit.triggers import APPEND_ONLY, audited_tables, fingerprint, schema_sql, table_triggers

__all__ = [
    "APPEND_ONLY",
    "Archived",
    "Blame",
    "Entry",
    "Head",
    "Pruned",
    "Report",
    "Seal",
    "Sealed",
    "Signer",
    "accept",
    "archive",
    "as_of",
    "attached",
    "audited_tables",
    "before_years",
    "blame",
    "check",
    "entries",
    "find_archives",
    "fingerprint",
    "head",
    "prune",
    "schema_sql",
    "seal",
    "table_triggers",
    "unsealed",
]

_MODULES = {
    **dict.fromkeys(("Blame", "Entry", "as_of", "blame", "entries"), "log"),
    **dict.fromkeys(("Archived", "archive", "attached", "find_archives"), "archives"),
    **dict.fromkeys(("Pruned", "before_years", "prune"), "pruning"),
    **dict.fromkeys(("Report", "check"), "checks"),
    **dict.fromkeys(("Head", "Seal", "Sealed", "Signer", "accept", "head", "seal", "unsealed"), "seals"),
}


def __getattr__(name: str) -> Any:
    # All wait until they are used: most commands need none.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'triggers')}"), name)
