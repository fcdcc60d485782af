"""Looking at a type of configuration that is written as a row: what its schema says by our words."""

from __future__ import annotations

from edgekit import db, rows
from edgekit.configuration.kinds import find_type


def _look(key: int) -> None:
    """Refuse, in the change that writes it, an `x-merge` or `x-final` that means nothing."""
    (code,) = db.connection().execute("SELECT code FROM configuration_type WHERE id = ?", (key,)).fetchone()
    find_type(code)


rows.guard("configuration_type", _look)
