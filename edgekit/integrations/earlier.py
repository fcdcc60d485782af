"""How the mappings and the pipeline of an integration were before: readings of the log, kept for ever.

Mappings are versioned together: each change that touches any of them makes the next version of the whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit.log import read_changes
from edgekit.audit.versions import deleted
from edgekit.errors import NotFoundError
from edgekit.integrations import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAPPING, _PIPELINE = "integration_mapping", "integration_pipeline_definition"


@dataclass(frozen=True, slots=True)
class MappingsVersion:
    """All mappings of an integration from one change on; `actor` is None for an edit by another tool."""

    version: int
    at: str
    actor: str | None
    reason: str | None
    mappings: int
    change: int


@dataclass(frozen=True, slots=True)
class _Entry:
    key: int
    action: str
    change: int
    text: bytes | None


class _Past:
    """The rows of a table that belong to an integration, and all that is known of how they were."""

    def __init__(self, table: str, integration_id: int) -> None:
        found = db.query(f"SELECT * FROM {table} WHERE integration_id = ? ORDER BY id", (integration_id,))
        self._now = {int(row["id"]): row for row in found}
        gone = {
            int(row["id"]): row
            for row in deleted(db.connection(), table)
            if row.get("integration_id") == integration_id and int(row["id"]) not in self._now
        }
        self._created = {key: str(row["created_at"]) for key, row in {**self._now, **gone}.items()}
        self._entries = list(_entries(table, list(self._created)))

    @cached_property
    def _made(self) -> dict[int, int]:
        return {key: _change_of(time) for key, time in self._created.items()}

    def before(self, time: str) -> list[dict[str, Any]]:
        """Return the rows as they were before a time, by rising id."""
        if not self._entries and all(created < time for created in self._created.values()):
            return list(self._now.values())
        return self.at(_change_before(time))

    def changes(self) -> list[int]:
        """List the changes that touched any of the rows, the first one first."""
        return sorted({*self._made.values(), *(entry.change for entry in self._entries)})

    def at(self, change: int) -> list[dict[str, Any]]:
        """Return the rows as they were once a change was made, by rising id."""
        rows = dict(self._now)
        for entry in self._entries:  # the last first
            if entry.change <= change:
                break
            if entry.action == "D":
                rows[entry.key] = {"id": entry.key, **read_changes(entry.text)}
            elif entry.action == "U" and entry.key in rows:
                before = {column: pair[0] for column, pair in read_changes(entry.text).items()}
                rows[entry.key] = {**rows[entry.key], **before}
        return [rows[key] for key in sorted(rows) if self._made[key] <= change]


class PipelineRows:
    """The pipelines of an integration, as they were at any time."""

    def __init__(self, integration_id: int) -> None:
        self._past = _Past(_PIPELINE, integration_id)

    def at(self, time: str) -> list[dict[str, Any]]:
        """Return the rows as they were before a time, by rising id."""
        return self._past.before(time)


def list_mapping_versions(name: str) -> list[MappingsVersion]:
    """List the versions of an integration's mappings, the newest first. Raise NotFoundError."""
    past = _Past(_MAPPING, int(reading.find(name)["id"]))
    found = []
    for version, change in enumerate(past.changes(), 1):
        (about,) = db.query(
            "SELECT actor, reason, performed_at FROM audit_transaction WHERE id = ?", (change,)
        ) or [{"actor": None, "reason": None, "performed_at": ""}]
        active = sum(row["status_id"] == 1 for row in past.at(change))
        found.append(
            MappingsVersion(version, about["performed_at"], about["actor"], about["reason"], active, change)
        )
    return found[::-1]


def mapping_rows(integration_id: int, name: str, version: int) -> list[dict[str, Any]]:
    """Return the active mappings of a version. Raise NotFoundError with the versions there are."""
    past = _Past(_MAPPING, integration_id)
    changes = past.changes()
    if not 1 <= version <= len(changes):
        hint = f"Versions are 1 to {len(changes)}." if changes else "It has no mapping yet."
        raise NotFoundError(f"The mappings of {name} have no version {version}.", hint=hint)
    return _active(past.at(changes[version - 1]))


def mapping_rows_of_run(integration_id: int, started_at: str) -> list[dict[str, Any]]:
    """Return the mappings a run began with; of one that learned them, those."""
    past = _Past(_MAPPING, integration_id)
    began = _change_at(started_at)
    later = [change for change in past.changes() if change > began]
    return _active(past.at(began)) or (_active(past.at(later[0])) if later else [])


def pipeline_of_run(integration_id: int, pipeline_id: int | None, started_at: str) -> dict[str, Any] | None:
    """Return the pipeline a run took, as it was when the run began; None where it took none."""
    rows = _Past(_PIPELINE, integration_id).at(_change_at(started_at))
    found = [row for row in rows if row["id"] == pipeline_id]
    return reading.pipeline_as(found[0]) if found else None


def _active(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["status_id"] == 1]


def _entries(table: str, keys: list[int]) -> Iterator[_Entry]:
    found = db.connection().execute(
        "SELECT record_key, action, txn_id, CAST(changes AS BLOB) FROM audit_log"
        " WHERE action IN ('U', 'D') AND table_id = (SELECT id FROM audit_table WHERE name = ?)"
        " AND record_key IN (SELECT value FROM json_each(?)) ORDER BY seq DESC",
        (table, json.dumps(keys)),
    )
    for row in found.fetchall():
        yield _Entry(*row)


def _change_at(time: str) -> int:
    """Return the last change made by a time."""
    found = db.query(
        "SELECT id FROM audit_transaction WHERE performed_at <= ? ORDER BY id DESC LIMIT 1", (time,)
    )
    return int(found[0]["id"]) if found else 0


def _change_of(time: str) -> int:
    """Return the change a row was made in, by the time it has: the nearest one, should clocks be set back."""
    found = db.query(
        "SELECT id FROM audit_transaction WHERE performed_at <= ?"
        " ORDER BY performed_at DESC, id DESC LIMIT 1",
        (time,),
    )
    return int(found[0]["id"]) if found else 0


def _change_before(time: str) -> int:
    """Return the last change before the first of a time or later; what follows that one is no earlier."""
    found = db.query(
        "SELECT id - 1 AS id FROM audit_transaction WHERE performed_at >= ? ORDER BY id LIMIT 1", (time,)
    )
    found = found or db.query("SELECT ifnull(max(id), 0) AS id FROM audit_transaction")
    return int(found[0]["id"])
