"""The form of an integration in its rows: read as it is, and written so that it becomes another one.

Rows are never deleted: what goes is retired, and comes back where it is wanted again, as its next version.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit.versions import states
from edgekit.errors import InvalidError
from edgekit.integrations import forms, reading, versions
from edgekit.models.integrations import Integration, IntegrationMapping, IntegrationPipelineDefinition

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = [key for key in forms.USUAL_MAPPING if key != "mapping_direction"]
_ACTIVE, _RETIRED = 1, 2
_PIPELINE_COLUMNS = {
    "pipeline_type": "pipeline_type", "error_handling_strategy": "error_handling_strategy",
    "dead_letters": "dead_letter_config", "performance": "performance_config",
}  # fmt: skip


def read(integration_id: int) -> forms.Form:
    """Return the form of an integration as its active rows say it."""
    (row,) = db.query("SELECT connection_config FROM integration WHERE id = ?", (integration_id,))
    pipeline = reading.pipeline_of(integration_id)
    return {
        "settings": json.loads(row["connection_config"]),
        "mappings": {
            row["mapping_name"]: said_by(row)
            for row in _mapping_rows(integration_id)
            if row["status_id"] == 1
        },
        "pipeline": forms.normal_pipeline(pipeline),
    }


def said_by(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a row of `integration_mapping` says, with its direction by code, as templates do."""
    said = {key: row[key] for key in _PLAIN}
    for key in ("transformation_rules", "validation_rules"):
        said[key] = json.loads(said[key]) if isinstance(said[key], str) else said[key]
    said["is_required"] = bool(said["is_required"])
    return {**forms.USUAL_MAPPING, **said, "mapping_direction": row["mapping_direction"]}


def read_before(integration_id: int, seq: int) -> tuple[forms.Form, dict[int, str]]:
    """Return the form an integration had before an entry of the log, and which row each mapping had."""
    integration = before("integration", integration_id, seq)
    found: dict[str, dict[str, Any]] = {}
    rows: dict[int, str] = {}
    codes = {number: code for code, number in _directions().items()}
    for now in _mapping_rows(integration_id):
        then = before("integration_mapping", now["id"], seq)
        if then is not None and then["status_id"] == _ACTIVE:
            then["mapping_direction"] = codes[then["communication_direction_id"]]
            found[then["mapping_name"]] = said_by(then)
            rows[now["id"]] = then["mapping_name"]
    pipelines = db.query(
        "SELECT id FROM integration_pipeline_definition WHERE integration_id = ?", (integration_id,)
    )
    earlier = [before("integration_pipeline_definition", each["id"], seq) for each in pipelines]
    active = next((row for row in earlier if row is not None and row["status_id"] == _ACTIVE), None)
    form = {
        "settings": json.loads(integration["connection_config"]) if integration else {},
        "mappings": found,
        "pipeline": _pipeline_said(active),
    }
    return form, rows


def _pipeline_said(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return forms.normal_pipeline({})
    said = {key: row[column] for key, column in _PIPELINE_COLUMNS.items()}
    said |= {key: json.loads(said[key]) for key in ("dead_letters", "performance") if said[key]}
    return forms.normal_pipeline({**said, "steps": json.loads(row["pipeline_steps"])["steps"]})


def before(table: str, record: int, seq: int) -> dict[str, Any] | None:
    """Return a row as it was before an entry of the log; None if it was made since."""
    connection = db.connection()
    made = connection.execute(
        "SELECT 1 FROM audit_log WHERE table_id = (SELECT id FROM audit_table WHERE name = ?)"
        " AND record_key = ? AND action = 'I' AND seq >= ?",
        (table, record, seq),
    ).fetchone()
    if made:
        return None
    columns = frozenset(
        row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    )
    return next(state.row for state in states(connection, table, record, columns=columns) if state.seq < seq)


def write(
    integration_id: int,
    wanted: forms.Form,
    *,
    why: str = "new_integration",
    rows: Mapping[int, str] | None = None,
) -> None:
    """Make the rows of an integration say what a form says, in the open change; equal rows stay untouched.

    `why` is the change_reason of mappings that change; `rows` says which row a mapping is to have, where that
    is not the one of its name. Raise RuleError where the file refuses a row.
    """
    owner = Integration.get_by_id(integration_id)
    if not forms.same(dict(owner.connection_config), wanted["settings"]):
        versions.store_settings(integration_id, wanted["settings"])
    _write_mappings(owner, wanted["mappings"], why, {name: key for key, name in (rows or {}).items()})
    _write_pipeline(owner, wanted["pipeline"])


def _mapping_rows(integration_id: int) -> list[dict[str, Any]]:
    return db.query(
        "SELECT m.*, lower(d.code) AS mapping_direction FROM integration_mapping m"
        " JOIN communication_direction d ON d.id = m.communication_direction_id"
        " WHERE integration_id = ? ORDER BY m.id",
        (integration_id,),
    )


def _write_mappings(
    owner: Integration, wanted: dict[str, dict[str, Any]], why: str, given: Mapping[str, int]
) -> None:
    """Let each mapping have the row given to it or of its name, else one nobody wants with its target."""
    rows = _mapping_rows(owner.id)
    by_id = {row["id"]: row for row in rows}
    by_name = {row["mapping_name"]: row for row in rows if row["id"] not in given.values()}
    chosen = {name: by_id[given[name]] if name in given else by_name.get(name) for name in wanted}
    taken = {row["id"] for row in chosen.values() if row is not None}
    by_target = {
        (row["target_path"], row["mapping_direction"]): row for row in rows if row["id"] not in taken
    }
    plan = [
        (chosen[name] or by_target.pop((said["target_path"], said["mapping_direction"]), None), name, said)
        for name, said in wanted.items()
    ]
    used = {row["id"] for row, _, _ in plan if row is not None}
    for row in rows:
        if row["id"] not in used and row["status_id"] == _ACTIVE:
            _save(row["id"], {"status_id": _RETIRED})
    changed = [step for step in plan if not _stands(*step)]
    _make_way(rows, changed)
    directions = _directions()
    for mine, name, said in changed:
        values = _values(name, said, directions) | {"change_reason": why, "status_id": _ACTIVE}
        if mine is None:
            IntegrationMapping.create(
                integration_id=owner.id, organization_id=owner.organization_id, **values
            )
        else:
            _save(mine["id"], values)


def _stands(row: dict[str, Any] | None, name: str, said: dict[str, Any]) -> bool:
    return (
        row is not None
        and row["status_id"] == _ACTIVE
        and row["mapping_name"] == name
        and forms.same(said_by(row), said)
    )


def _make_way(
    rows: list[dict[str, Any]], changed: list[tuple[dict[str, Any] | None, str, dict[str, Any]]]
) -> None:
    """Move rows out of the way whose name or target another one gets: two may change places."""
    ends = {row["id"]: (name, said["target_path"]) for row, name, said in changed if row is not None}
    for row, name, said in changed:
        for other in rows:
            if row is not None and other["id"] == row["id"]:
                continue
            place = (said["target_path"], said["mapping_direction"])
            has_name = other["mapping_name"] == name
            has_place = (other["target_path"], other["mapping_direction"]) == place
            if (has_name or has_place) and (other["status_id"] != _ACTIVE or other["id"] in ends):
                aside = f"~{other['id']}"
                _save(other["id"], {"mapping_name": aside, "target_path": aside})
                other |= {"mapping_name": aside, "target_path": aside}


def _values(name: str, said: dict[str, Any], directions: dict[str, int]) -> dict[str, Any]:
    if said["mapping_direction"] not in directions:
        raise InvalidError(
            f"The mapping {name} goes in no direction {said['mapping_direction']}.",
            hint=f"It is one of: {', '.join(directions)}.",
        )
    return {
        "mapping_name": name,
        "communication_direction_id": directions[said["mapping_direction"]],
        **{key: said[key] for key in _PLAIN},
    }


def _directions() -> dict[str, int]:
    rows = db.query("SELECT lower(code) AS code, id FROM communication_direction ORDER BY id")
    return {row["code"]: row["id"] for row in rows}


def _save(mapping_id: int, values: dict[str, Any]) -> None:
    row = IntegrationMapping.get_by_id(mapping_id)
    for key, value in values.items():
        setattr(row, key, value)
    row.save()


def _write_pipeline(owner: Integration, wanted: dict[str, Any]) -> None:
    table = IntegrationPipelineDefinition
    row = table.get_or_none(table.integration == owner.id, table.status == _ACTIVE)
    values = {column: wanted[key] or None for key, column in _PIPELINE_COLUMNS.items()}
    values["pipeline_steps"] = {"steps": wanted["steps"]}
    if row is None:
        table.create(
            integration_id=owner.id, organization_id=owner.organization_id,
            pipeline_name=owner.integration_name, **values,
        )  # fmt: skip
        return
    changed = {column: value for column, value in values.items() if not _same(getattr(row, column), value)}
    if changed:
        for column, value in changed.items():
            setattr(row, column, value)
        row.save()


def _same(stored: Any, value: Any) -> bool:
    return forms.same(dict(stored) if isinstance(stored, dict) else stored, value)
