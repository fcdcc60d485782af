"""Configuration: one JSON document per type and scope, resolved along the one chain, each version kept.

    configuration.set("DCS_LIMITS", "requests_per_minute", 50, scope="program:AUTO")
    configuration.get("DCS_LIMITS", "requests_per_minute", program="AUTO")   # 50
    configuration.resolve("DCS_LIMITS", program="AUTO")                      # every key, defaults included
    configuration.explain("DCS_LIMITS", "requests_per_minute", program="AUTO")

A narrower scope wins per top-level key. The schema of a type states each key's default, how it is merged
(`"x-merge": "replace"`, `"deep"` or `"append"`) and where it is locked (`"x-final": "program"`: nothing
narrower counts). What is set is checked against the schema; each change is a version and tells an event.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.configuration.exchange import Imported, export_scope, import_scope, write_export
    from edgekit.configuration.explaining import Candidate, Explanation, explain
    from edgekit.configuration.kinds import Kind, find_type, list_types
    from edgekit.configuration.resolving import get, resolve
    from edgekit.configuration.versions import Difference, Version, diff, history, rollback
    from edgekit.configuration.writing import Written, read_value, set, unset  # noqa: A004 - used qualified

__all__ = [
    "Candidate",
    "Difference",
    "Explanation",
    "Imported",
    "Kind",
    "Version",
    "Written",
    "diff",
    "explain",
    "export_scope",
    "find_type",
    "get",
    "history",
    "import_scope",
    "list_types",
    "read_value",
    "resolve",
    "rollback",
    "set",
    "unset",
    "write_export",
]

_HOMES = {
    **dict.fromkeys(("Imported", "export_scope", "import_scope", "write_export"), "exchange"),
    **dict.fromkeys(("Candidate", "Explanation", "explain"), "explaining"),
    **dict.fromkeys(("Kind", "find_type", "list_types"), "kinds"),
    **dict.fromkeys(("get", "resolve"), "resolving"),
    **dict.fromkeys(("Difference", "Version", "diff", "history", "rollback"), "versions"),
    **dict.fromkeys(("Written", "read_value", "set", "unset"), "writing"),
}


def __getattr__(name: str) -> Any:
    # Each part waits until it is used: reading needs no schema checker.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found  # the next call costs no look-up here
    return found
