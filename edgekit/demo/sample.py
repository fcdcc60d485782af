"""The sample rows: one of each thing an agency has, beside the reference rows, to try things on.

Not the demo itself, which runs a whole book: these are few rows with known keys, and program 1 is AUTO.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgekit import db, integrations, schema, seeds, vault
from edgekit.errors import ConflictError

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "AUTO"
INTEGRATION_TYPE = "DCS_DRIVER_API"
ENVIRONMENT = "PRODUCTION"


@dataclass(frozen=True, slots=True)
class Sample:
    """How many rows were added per table, and what was left out."""

    added: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def apply() -> Sample:
    """Add the sample rows that are missing from the opened file, in one change.

    The secrets of the sample integration are made up on the spot, where the vault can keep them. Raise
    ConflictError, with nothing added, if program 1 is not the sample's.
    """
    with db.change(reason="seeds apply demo"):
        _require_own_program()
        added = seeds.apply([str(path) for path in files()])
        count, notes = _make_credentials()
    return Sample({**added, "integration_credential": count}, notes)


def files() -> list[Path]:
    """Return the files of the sample rows, in their order."""
    return sorted((schema.seed_folder() / "demo").glob("[0-9]*.json"))


def _require_own_program() -> None:
    """See that program 1 is the sample's or free: the sample's configuration is about program 1."""
    used = db.query("SELECT seq FROM sqlite_sequence WHERE name = 'program' AND seq > 0")
    first = db.query("SELECT code FROM program WHERE id = 1")
    if used and (not first or first[0]["code"].upper() != PROGRAM):
        which = first[0]["code"] if first else "no longer there"
        raise ConflictError(
            f"Program 1 of this file is {which}, not the sample's {PROGRAM}: no sample row was added.",
            hint="Add the sample rows to a new file: edgekit init FILE",
        )


def _make_credentials() -> tuple[int, list[str]]:
    """Make up a user name and a password for the sample integration; say why not, if not."""
    found = db.query(
        "SELECT i.integration_name AS name FROM integration i JOIN integration_type t"
        " ON t.id = i.integration_type_id WHERE t.code = ? AND i.status_id = 1 ORDER BY i.id LIMIT 1",
        (INTEGRATION_TYPE,),
    )
    if not found:
        return 0, [f"There is no integration of {INTEGRATION_TYPE}, and so no sample credentials."]
    name = str(found[0]["name"])
    state = vault.status()
    if not state.key_generations or state.problem:
        why = state.problem or "The vault has no key yet."
        return 0, [f"No credentials were made up for {name}: {why} Then apply the sample rows once more."]
    there = {row["key"] for row in integrations.list_credentials(name) if row["environment"] == ENVIRONMENT}
    made = {"username": f"sample-{secrets.token_hex(4)}", "password": secrets.token_urlsafe(24)}
    for key in made.keys() - there:
        integrations.set_credential(name, key, made[key], environment=ENVIRONMENT)
    return len(made.keys() - there), []
