"""edgekit: one SQLite file is an agency's back office.

The file defends itself, every write is a change with an actor, and every change is in the log:

    import edgekit

    edgekit.create("agency.db", organization="Smith & Sons")
    with edgekit.open("agency.db") as db:
        with db.change(reason="first program"):
            ...
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

__all__ = [
    "BusyError",
    "CircuitOpenError",
    "ConflictError",
    "CorruptError",
    "Database",
    "DeniedError",
    "EdgekitError",
    "InvalidError",
    "LicenseError",
    "MigrationNeededError",
    "NotFoundError",
    "RateLimitedError",
    "RuleError",
    "SkipRecordError",
    "UnavailableError",
    "VaultLockedError",
    "__version__",
    "create",
    "open",
]

if TYPE_CHECKING:
    from edgekit.db import Database
    from edgekit.errors import (
        BusyError,
        CircuitOpenError,
        ConflictError,
        CorruptError,
        DeniedError,
        EdgekitError,
        InvalidError,
        LicenseError,
        MigrationNeededError,
        NotFoundError,
        RateLimitedError,
        RuleError,
        SkipRecordError,
        UnavailableError,
        VaultLockedError,
    )
    from edgekit.file.create import create
    from edgekit.file.opening import open  # noqa: A004 - the word every user expects


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import edgekit` alone costs nothing."""
    import importlib

    if name == "Database":
        return importlib.import_module("edgekit.db").Database
    if name == "open":
        return importlib.import_module("edgekit.file.opening").open
    if name == "create":
        return importlib.import_module("edgekit.file.create").create
    if name in __all__:
        return getattr(importlib.import_module("edgekit.errors"), name)
    return importlib.import_module(f"edgekit.{name}") if _is_word(name) else _unknown(name)


def _is_word(name: str) -> bool:
    """Words are reachable as attributes, so that `edgekit.runner.run` works after `import edgekit`."""
    from importlib.util import find_spec

    return not name.startswith("_") and find_spec(f"edgekit.{name}") is not None


def _unknown(name: str) -> Any:
    raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
