"""Which configurations the types of integration use in a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.errors import ConflictError, NotFoundError
from edgekit.models.integrations import MapIntegrationConfiguration

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIGURATION_TYPES = ("DCS_CONNECTION", "DCS_CREDENTIALS", "DCS_LIMITS", "DCS_RETRY")


def map_configurations(
    program: str, *, types: str = "DCS_", configuration_types: Sequence[str] = CONFIGURATION_TYPES
) -> int:
    """Link the types whose codes begin with `types` to what is set for a program; return how many are new.

    What is set: active configurations of `configuration_types` at the level of the system (for everybody or
    for the program's organization) or for the program itself. Applied again it adds nothing. Raise
    NotFoundError (program), ConflictError if several organizations have a program of this code.
    """
    row = _program(program)
    marks = ", ".join("?" * len(configuration_types))
    missing = (
        "SELECT t.id AS integration_type_id, c.id AS configuration_id FROM integration_type t"
        " JOIN configuration c JOIN configuration_type k ON k.id = c.configuration_type_id"
        " JOIN scope_type s ON s.id = c.scope_type_id"
        # Compared letter by letter: the underscore of a prefix is no wildcard.
        " WHERE substr(t.code, 1, length(?1)) = ?1 COLLATE NOCASE AND t.status_id = 1 AND c.status_id = 1"
        " AND (s.code = 'SYSTEM' OR (s.code = 'PROGRAM' AND c.scope_id = ?2))"
        " AND (c.organization_id IS NULL OR c.organization_id = ?3)"
        " AND NOT EXISTS (SELECT 1 FROM map_integration_configuration m WHERE m.program_id = ?2"
        " AND m.integration_type_id = t.id AND m.configuration_id = c.id)"
        f" AND k.code IN ({marks}) ORDER BY t.id, c.id"
    )
    with db.change(reason=f"integrations map-configurations {program}"):
        found = db.query(missing, (types, row["id"], row["organization_id"], *configuration_types))
        for pair in found:
            MapIntegrationConfiguration.create(program_id=row["id"], **pair)
    return len(found)


def _program(code: str) -> dict[str, Any]:
    rows = db.query("SELECT id, organization_id FROM program WHERE code = ? ORDER BY id", (code,))
    if not rows:
        raise NotFoundError(f"There is no program {code}.", hint="See: edgekit programs list")
    if len(rows) > 1:
        raise ConflictError(f"Several organizations have a program {code}.")
    return rows[0]
