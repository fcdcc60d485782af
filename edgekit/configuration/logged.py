"""What the log knows of stored documents: their states so far, and those that are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit import versions as log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.audit.versions import State
    from edgekit.configuration.kinds import Kind
    from edgekit.scope import Link

_SAYS = frozenset({"config_data", "version", "status_id"})


def states(record: int, row: dict[str, Any] | None = None) -> Iterator[State]:
    """Walk a document's states backwards from the row as it is, or as it was deleted."""
    return log.states(db.connection(), "configuration", record, columns=_SAYS, row=row)


def deleted(kind: Kind, link: Link) -> list[dict[str, Any]]:
    """Return the documents of a link that are deleted, as they were at the end."""
    owners = {link.organization_id} if link.scope_id is None else {link.organization_id, None}
    place = (kind.id, link.scope_type_id, link.scope_id)
    return [
        row
        for row in log.deleted(db.connection(), "configuration")
        if (row["configuration_type_id"], row["scope_type_id"], row["scope_id"]) == place
        and row["organization_id"] in owners
    ]
