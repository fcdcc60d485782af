"""Integrations read: by name, all of them, one whole. Needs no connector and no model, so it is quick."""

from __future__ import annotations

import json
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.errors import ConflictError, InvalidError, NotFoundError, quoted
from edgekit.integrations import forms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_only: ContextVar[int | None] = ContextVar("edgekit.integrations.only", default=None)


@contextmanager
def only(integration_id: int) -> Iterator[None]:
    """Make the name of an integration mean, inside, that one alone: others may have integrations so named.

    For what is done for an organization by somebody who sees all of them.
    """
    token = _only.set(integration_id)
    try:
        yield
    finally:
        _only.reset(token)


def find(name: str, *, organization_id: int | None = None) -> dict[str, Any]:
    """Return the row of an active integration by its name, an organization's own before a shared one.

    With an `organization_id` it is one of that organization, or shared. Raise NotFoundError with the names
    that come close, ConflictError if two bear the name.
    """
    rows = [row for row in rows_named(name) if organization_id in {None, row["organization_id"]}
            or row["organization_id"] is None]  # fmt: skip
    if len(rows) > 1 and rows[0]["organization_id"] == rows[1]["organization_id"]:
        raise ConflictError(
            f"There are two integrations {name}, of different types.", hint="Give one another name."
        )
    if len(rows) > 1 and rows[1]["organization_id"] is not None:  # only who sees all meets them
        raise ConflictError(
            f"Several organizations have an integration {name}.",
            hint="Work as a user of the one that is meant: edgekit --actor NAME …",
        )
    if rows:
        row = rows[0]
        row["connection_config"] = json.loads(row["connection_config"])
        return row
    if db.query("SELECT 1 FROM integration WHERE integration_name = ?", (name,)):
        raise NotFoundError(
            f"The integration {name} is disabled.", hint=f"Run: edgekit integrations enable {quoted(name)}"
        )
    known = [item["name"] for item in list_integrations()]
    close = get_close_matches(name, known, n=3) or known
    hint = (
        f"There are: {', '.join(close)}."
        if close
        else "Create one: edgekit integrations create NAME --template CODE"
    )
    raise NotFoundError(f"There is no integration {name}.", hint=hint)


def list_integrations() -> list[dict[str, Any]]:
    """Return the active integrations with type, target table, health and last run.

    `type_status` other than ACTIVE says that their type was retired: they go on, and should be replaced.
    """
    return db.query(
        "SELECT i.integration_name AS name, t.code AS integration_type, s.code AS type_status,"
        " json_extract(i.connection_config, '$.table') AS target_table,"
        " json_extract(i.connection_config, '$.to.connector') AS sends_to, i.health_status,"
        " e.id AS last_execution_id, e.execution_status AS last_status, e.started_at AS last_run_at"
        " FROM integration i JOIN integration_type t ON t.id = i.integration_type_id"
        " JOIN status s ON s.id = t.status_id LEFT JOIN integration_execution e"
        "   ON e.id = (SELECT max(x.id) FROM integration_execution x WHERE x.integration_id = i.id)"
        " WHERE i.status_id = 1 ORDER BY i.integration_name"
    )


def show(name: str) -> dict[str, Any]:
    """Return an integration whole: settings, template, mappings, pipeline, keys of secrets (no values).

    `live_version` of a mapping is the version a run takes; in production None where none is approved.
    """
    from edgekit.integrations.live import standings

    row = find(name)
    live = {standing.mapping: standing.live_version for standing in standings(row["id"])}
    mappings = db.query(
        "SELECT mapping_name AS name, m.version, source_path, target_path, target_data_type,"
        " is_required, default_value,"
        " transformation_rules, validation_rules, lower(d.code) AS mapping_direction, error_handling"
        " FROM integration_mapping m JOIN communication_direction d ON d.id = m.communication_direction_id"
        " WHERE integration_id = ? AND m.status_id = 1 ORDER BY m.id",
        (row["id"],),
    )
    for mapping in mappings:
        for column in ("transformation_rules", "validation_rules"):
            mapping[column] = json.loads(mapping[column]) if mapping[column] else None
        mapping["live_version"] = live[mapping["name"]]
    origin = db.query(
        "SELECT t.code, t.version, x.customizations ->> '$.acknowledgement' AS acknowledgement"
        " FROM integration_template_instance x JOIN"
        " integration_template t ON t.id = x.template_id"
        " WHERE x.integration_id = ?",
        (row["id"],),
    )
    keys = db.query(
        "SELECT credential_key FROM integration_credential WHERE integration_id = ? ORDER BY id", (row["id"],)
    )
    said = origin[0]["acknowledgement"] if origin else None
    return {
        "id": row["id"],
        "name": row["integration_name"],
        "integration_type": row["integration_type"],
        "template": f"{origin[0]['code']} {origin[0]['version']}" if origin else None,
        "settings": row["connection_config"],
        "mappings": mappings,
        "pipeline": pipeline_of(row["id"]),
        "secrets": [key["credential_key"] for key in keys],
        "secrets_missing": missing_secrets(row["id"], row["connection_config"]),
        **({"acknowledgement": json.loads(said)} if said else {}),
    }


def missing_secrets(integration_id: int, settings: Mapping[str, Any]) -> list[str]:
    """Name the secrets settings need that are not stored in the environment this file is used in."""
    stored = db.query(
        "SELECT lower(c.credential_key) AS name FROM integration_credential c"
        " JOIN system s ON s.environment_id = c.environment_id"
        " WHERE c.integration_id = ? AND c.status_id = 1",
        (integration_id,),
    )
    names = {row["name"] for row in stored}
    return [key for key in forms.secret_keys(settings) if key.lower() not in names]


def require_secrets(integration_id: int, name: str, settings: Mapping[str, Any]) -> None:
    """Raise InvalidError where a secret the settings need is not stored, with the command that stores it."""
    missing = missing_secrets(integration_id, settings)
    if missing:
        raise InvalidError(
            f"{name} needs the secret {missing[0]}, which is not stored"
            f"{', nor are the other ' + str(len(missing) - 1) if missing[1:] else ''}.",
            hint=f"Store it: edgekit vault set {quoted(name)} {quoted(missing[0])}",
        )


def pipeline_of(integration_id: int, pipeline_id: int | None = None) -> dict[str, Any]:
    """Return the active pipeline of an integration, or the one of the id: type, steps, strategy, limits."""
    rows = db.query(
        "SELECT id, pipeline_name, pipeline_type, pipeline_steps, error_handling_strategy,"
        " dead_letter_config, performance_config FROM integration_pipeline_definition"
        " WHERE integration_id = ?1 AND CASE WHEN ?2 IS NULL THEN status_id = 1 ELSE id = ?2 END",
        (integration_id, pipeline_id),
    )
    if not rows:
        none: dict[str, Any] = {"id": None, "pipeline_type": "linear", "steps": []}
        return {**none, "error_handling_strategy": "dead_letter", "dead_letters": {}, "performance": {}}
    return pipeline_as(rows[0])


def pipeline_as(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a row of a pipeline says, its JSON read."""
    return {
        "id": row["id"],
        "pipeline_type": row["pipeline_type"],
        "steps": json.loads(row["pipeline_steps"])["steps"],
        "error_handling_strategy": row["error_handling_strategy"],
        "dead_letters": json.loads(row["dead_letter_config"] or "{}"),
        "performance": json.loads(row["performance_config"] or "{}"),
    }


def find_by_pipeline(pipeline_id: int) -> dict[str, Any]:
    """Return the row of the active integration a pipeline belongs to. Raise NotFoundError."""
    rows = db.query(
        f"{_ROW} JOIN integration_pipeline_definition p ON p.integration_id = i.id"
        " WHERE p.id = ? AND i.status_id = 1",
        (pipeline_id,),
    )
    if not rows:
        raise NotFoundError(
            f"There is no pipeline {pipeline_id} of an active integration.",
            hint="See: edgekit pipelines list",
        )
    return {**rows[0], "connection_config": json.loads(rows[0]["connection_config"])}


def find_pipeline(which: str) -> int:
    """Return the id of a pipeline by id or name, an active one first. Raise NotFoundError, ConflictError."""
    rows = db.query(
        "SELECT p.id, p.pipeline_name, max(p.status_id, i.status_id) AS status_id"
        " FROM integration_pipeline_definition p JOIN integration i ON i.id = p.integration_id"
        " WHERE p.id = ?1 OR p.pipeline_name = ?1 COLLATE NOCASE ORDER BY p.id IS NOT ?1, 3",
        (int(which) if which.isdecimal() else which,),
    )
    if not rows:
        known = [row["name"] for row in list_pipelines()]
        close = get_close_matches(which, known, n=3) or known[:5]
        hint = f"There are: {', '.join(close)}." if close else "See: edgekit pipelines list"
        raise NotFoundError(f"There is no pipeline {which}.", hint=hint)
    if len(rows) > 1 and not which.isdecimal() and rows[1]["status_id"] == rows[0]["status_id"]:
        raise ConflictError(f"There are several pipelines {which}.", hint="Name it by its id.")
    return int(rows[0]["id"])


def list_pipelines() -> list[dict[str, Any]]:
    """Return the pipelines of the active integrations with their steps, by the names of the integrations."""
    found = db.query(
        "SELECT p.id, p.pipeline_name AS name, i.integration_name AS integration, p.pipeline_type,"
        " p.pipeline_steps AS steps, p.error_handling_strategy, p.version, p.status_id = 1 AS is_active"
        " FROM integration_pipeline_definition p JOIN integration i ON i.id = p.integration_id"
        " WHERE i.status_id = 1 ORDER BY i.integration_name, p.id"
    )
    for row in found:
        row |= {"steps": json.loads(row["steps"])["steps"], "is_active": bool(row["is_active"])}
    return found


_ROW = (
    "SELECT i.id, i.entity_id, i.integration_name, i.organization_id, i.connection_config,"
    " t.code AS integration_type"
    " FROM integration i JOIN integration_type t ON t.id = i.integration_type_id"
)


def find_all() -> list[dict[str, Any]]:
    """Return the rows of all active integrations as `find` does, by name: two organizations may share one."""
    rows = db.query(f"{_ROW} WHERE i.status_id = 1 ORDER BY i.integration_name, i.id")
    for row in rows:
        row["connection_config"] = json.loads(row["connection_config"])
    return rows


def rows_named(name: str) -> list[dict[str, Any]]:
    """Return the active integrations of a name, shared ones last, their settings as JSON text."""
    return db.query(
        f"{_ROW} WHERE i.integration_name = ?1 AND i.status_id = 1 AND {MEANT}"
        " ORDER BY i.organization_id IS NULL, i.id",
        (name, meant()),
    )


MEANT = (
    "(?2 IS NULL OR i.id = ?2 OR i.integration_name <>"
    " (SELECT integration_name FROM integration WHERE id = ?2))"
)
"""Whether the integration `i` may be meant by its name, where `meant` says one."""


def meant() -> int | None:
    """Return the id of the one integration that its name means here, None where nobody has said."""
    return _only.get()
