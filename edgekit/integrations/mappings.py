"""Mappings edited one by one, each change with its reason; their versions, read from the log."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from edgekit import db, jsonpath
from edgekit.audit.versions import states
from edgekit.configuration.resolving import changed_keys
from edgekit.configuration.versions import Difference
from edgekit.errors import ConflictError, InvalidError, NotFoundError, quoted
from edgekit.integrations import live, reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REASONS = ("new_integration", "field_change", "model_update", "optimization", "troubleshooting")
"""Why a mapping becomes as it is."""

_FIELDS = (
    "mapping_name", "mapping_type", "source_path", "target_path", "source_data_type", "target_data_type",
    "is_required", "default_value", "transformation_rules", "validation_rules", "communication_direction_id",
    "error_handling", "mapping_notes", "status_id",
)  # fmt: skip
_JSON = ("transformation_rules", "validation_rules")
_VERSION = frozenset({"version"})


@dataclass(frozen=True, slots=True)
class MappingVersion:
    """A mapping from one change on: why, by whom, and the fields that differ from before.

    `actor` is None for an edit by another tool, `is_active` tells whether it takes part in runs.
    """

    version: int
    at: str
    actor: str | None
    reason: str | None
    change_reason: str
    keys: tuple[str, ...]
    is_active: bool
    mapping: dict[str, Any]


def list_mappings(name: str | None = None) -> list[dict[str, Any]]:
    """Return the active mappings of an integration, or of all, with how they are tested.

    `is_compiled` says that their paths are looked up directly; the others are searched, some 60 times
    slower. Raise NotFoundError.
    """
    wanted = None if name is None else reading.find(name)["id"]
    found = db.query(
        "SELECT m.id, i.integration_name AS integration, m.mapping_name AS name, m.mapping_type,"
        " m.source_path,"
        " m.target_path, m.target_data_type, m.transformation_rules, lower(d.code) AS mapping_direction,"
        " m.error_handling, m.version,"
        " (SELECT count(*) FROM integration_mapping_test t WHERE t.mapping_id = m.id AND t.status_id = 1)"
        " AS tests,"
        " m.test_coverage FROM integration_mapping m JOIN integration i ON i.id = m.integration_id"
        " JOIN communication_direction d ON d.id = m.communication_direction_id"
        " WHERE m.status_id = 1 AND i.status_id = 1 AND (?1 IS NULL OR i.id = ?1)"
        " ORDER BY i.integration_name, m.id",
        (wanted,),
    )
    for row in found:
        rules = json.loads(row.pop("transformation_rules") or "{}")
        row["is_compiled"] = not searched_paths(row["source_path"], rules)
    return found


def searched_paths(source: str, rules: Mapping[str, Any]) -> list[str]:
    """Return the paths of a mapping that are searched, because they are more than members and indexes."""
    steps = [rules, *(step for step in rules.get("steps") or [] if isinstance(step, dict))]
    used = [source, *(str(path) for step in steps for path in step.get("paths") or [])]
    return [path for path in used if _is_searched(path)]


def _is_searched(path: str) -> bool:
    try:
        return jsonpath.compile(path).segments is None
    except InvalidError:
        return True


def show_mapping(name: str, mapping: str) -> dict[str, Any]:
    """Return one mapping whole, its live version, the paths that are searched. Raise NotFoundError."""
    integration = reading.find(name)
    row = _find(integration, mapping)
    (standing,) = (one for one in live.standings(integration["id"]) if one.id == row["id"])
    said = _told(row)
    rules = said["transformation_rules"] or {}
    said |= {"id": row["id"], "integration": integration["integration_name"], "version": row["version"]}
    said |= {"change_reason": row["change_reason"], "test_coverage": row["test_coverage"]}
    return {**said, "live_version": standing.live_version,
            "searched_paths": searched_paths(row["source_path"], rules)}  # fmt: skip


def add_mapping(name: str, values: Mapping[str, Any], *, reason: str = "new_integration") -> dict[str, Any]:
    """Add a mapping, or bring back a retired one of its name or target, and return it as `show_mapping` does.

    `values` are named as in a template: source_path, target_path, name, target_data_type, … Raise
    NotFoundError, InvalidError (a field, the reason, what cannot be compiled), ConflictError (there is one).
    """
    integration = reading.find(name)
    with db.change(reason=f"mappings add {name}"):
        write_mappings(integration, [values], reason=reason)
    return show_mapping(name, str(values.get("name") or values.get("target_path")))


def write_mappings(
    integration: Mapping[str, Any], items: Sequence[Mapping[str, Any]], *, reason: str
) -> None:
    """Write new mappings of an integration in the open change, as `add_mapping` does one."""
    from edgekit.models.integrations import IntegrationMapping

    _known(reason)
    for values in items:
        row = _row(values)
        for needed in ("source_path", "target_path"):
            if not row.get(needed):
                raise InvalidError(f"A mapping needs {needed}.", hint="source_path=… target_path=…")
        row.setdefault("mapping_name", row["target_path"][:100])
        row |= {"change_reason": reason, "status_id": 1}
        direction = row.get("communication_direction_id", 1)
        there = db.query(
            "SELECT id, status_id, mapping_name FROM integration_mapping WHERE integration_id = ?1 AND"
            " (mapping_name = ?2 COLLATE NOCASE"
            "  OR (target_path = ?3 COLLATE NOCASE AND communication_direction_id = ?4))"
            " ORDER BY status_id, mapping_name <> ?2",
            (integration["id"], row["mapping_name"], row["target_path"], direction),
        )
        if there and there[0]["status_id"] == 1:
            taken, owner = there[0]["mapping_name"], integration["integration_name"]
            raise ConflictError(
                f"{owner} has a mapping {taken} for that already.",
                hint=f"Change it: edgekit mappings set {quoted(owner)} {quoted(taken)} FIELD=VALUE"
                " --reason field_change",
            )
        if there:
            empty = dict.fromkeys(("source_data_type", "target_data_type", "default_value", *_JSON))
            IntegrationMapping.update(**{**empty, **row}).where(
                IntegrationMapping.id == there[0]["id"]
            ).execute()
        else:
            IntegrationMapping.create(
                integration_id=integration["id"], organization_id=integration["organization_id"], **row
            )
    _require_compiled(integration)


def set_mapping(name: str, mapping: str, values: Mapping[str, Any], *, reason: str) -> dict[str, Any]:
    """Change fields of a mapping, as its next version, and return it as `show_mapping` does.

    None empties a field. Its tests are pending until they are tried again. Raise NotFoundError,
    InvalidError (a field, the reason, what cannot be compiled).
    """
    from edgekit.models.integrations import IntegrationMapping

    _known(reason)
    integration = reading.find(name)
    row = _row(values)
    with db.change(reason=f"mappings set {name} {mapping}"):
        changed = IntegrationMapping.get_by_id(_find(integration, mapping)["id"])
        different = {key: value for key, value in row.items() if getattr(changed, key) != value}
        for field, value in {**different, "change_reason": reason}.items() if different else ():
            setattr(changed, field, value)
        if different:
            changed.save()
            _require_compiled(integration)
    return show_mapping(name, changed.mapping_name)


def retire_mapping(name: str, mapping: str, *, reason: str) -> None:
    """Let a mapping take no part any more, at once and in every environment; it stays, with its tests.

    Raise NotFoundError, InvalidError (the reason).
    """
    from edgekit.models.integrations import IntegrationMapping

    _known(reason)
    integration = reading.find(name)
    with db.change(reason=f"mappings retire {name} {mapping}"):
        changed = IntegrationMapping.get_by_id(_find(integration, mapping)["id"])
        changed.status_id, changed.change_reason = 2, reason
        changed.save()


def mapping_history(name: str, mapping: str) -> list[MappingVersion]:
    """List the versions of a mapping, a retired one's too, the newest first. Raise NotFoundError."""
    row = _find(reading.find(name), mapping, retired=True)
    found: list[MappingVersion] = []
    before: dict[str, Any] = {}
    past = list(states(db.connection(), "integration_mapping", row["id"], columns=_VERSION))
    for state in reversed(past):
        said = _told(state.row)
        keys = changed_keys(before, said)
        found.append(
            MappingVersion(
                state.row["version"], state.at, state.actor, state.reason, state.row["change_reason"], keys,
                state.row["status_id"] == 1, said,
            )
        )  # fmt: skip
        before = said
    return found[::-1]


def diff_mapping(name: str, mapping: str, old: int, new: int) -> list[Difference]:
    """List the fields that two versions of a mapping say differently. Raise NotFoundError."""
    versions = mapping_history(name, mapping)
    before, after = _pick(mapping, versions, old).mapping, _pick(mapping, versions, new).mapping
    return [
        Difference(key, before.get(key), after.get(key), key in before, key in after)
        for key in changed_keys(before, after)
    ]


def rollback_mapping(
    name: str, mapping: str, version: int, *, reason: str = "troubleshooting"
) -> dict[str, Any]:
    """Let a mapping say what an earlier version said, as a new version; return it as `show_mapping` does.

    Raise NotFoundError (integration, mapping, version), InvalidError (the reason).
    """
    from edgekit.models.integrations import IntegrationMapping

    _known(reason)
    integration = reading.find(name)
    with db.change(reason=f"mappings rollback {name} {mapping} to version {version}"):
        row = _find(integration, mapping, retired=True)
        _pick(mapping, mapping_history(name, mapping), version)
        past = states(db.connection(), "integration_mapping", row["id"], columns=_VERSION)
        old = next(state.row for state in past if state.row["version"] == version)
        wanted = {key: old[key] for key in _FIELDS}
        if any(row[key] != value for key, value in wanted.items()):
            changed = IntegrationMapping.get_by_id(row["id"])
            for key, value in wanted.items():
                setattr(changed, key, json.loads(value) if key in _JSON and value else value)
            changed.change_reason = reason
            changed.save()
            _require_compiled(integration)
    return show_mapping(name, str(old["mapping_name"]))


def _known(reason: str) -> None:
    if reason not in REASONS:
        raise InvalidError(f"There is no reason {reason}.", hint=f"It is one of: {', '.join(REASONS)}.")


def _find(integration: Mapping[str, Any], which: str, *, retired: bool = False) -> dict[str, Any]:
    """Return the row of a mapping by its name, else by its target."""
    rows = db.query(
        "SELECT * FROM integration_mapping WHERE integration_id = ?1 AND (status_id = 1 OR ?3)"
        " AND (mapping_name = ?2 COLLATE NOCASE OR target_path = ?2 COLLATE NOCASE)"
        " ORDER BY status_id <> 1, mapping_name <> ?2, mapping_name <> ?2 COLLATE NOCASE, id",
        (integration["id"], which, retired),
    )
    if rows:
        return rows[0]
    known = [
        row["mapping_name"]
        for row in db.query(
            "SELECT mapping_name FROM integration_mapping WHERE integration_id = ? AND status_id = 1",
            (integration["id"],),
        )
    ]
    close = get_close_matches(which, known, n=3) or known[:10]
    raise NotFoundError(
        f"{integration['integration_name']} has no mapping {which}.",
        hint=f"There are: {', '.join(close)}." if close else None,
    )


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn fields as a template names them into columns. Raise InvalidError for one there is not."""
    known = {*_FIELDS, "name", "mapping_direction"} - {"status_id", "communication_direction_id"}
    if unknown := sorted(values.keys() - known):
        raise InvalidError(
            f"A mapping has no field {unknown[0]}.", hint=f"Fields: {', '.join(sorted(known))}."
        )
    row = dict(values)
    if "name" in row:
        row["mapping_name"] = row.pop("name")
    if "mapping_direction" in row:
        wanted = str(row.pop("mapping_direction")).lower()
        codes = {code: key for key, code in live.direction_codes().items()}
        if wanted not in codes:
            raise InvalidError(f"There is no direction {wanted}.", hint=f"It is one of: {', '.join(codes)}.")
        row["communication_direction_id"] = codes[wanted]
    default = row.get("default_value")
    if default is not None and not isinstance(default, str):
        row["default_value"] = json.dumps(default)
    for name in _JSON:
        if row.get(name) is not None and not isinstance(row[name], dict):
            raise InvalidError(f"{name} is a JSON object.")
    return row


def _require_compiled(integration: Mapping[str, Any]) -> None:
    """Raise InvalidError naming the mapping that cannot be compiled, before anything is kept.

    Two that only case tells apart are one to who names them, and to the file their columns are one.
    """
    from edgekit.mapping import compile_mapping

    rows = db.query(
        "SELECT * FROM integration_mapping WHERE integration_id = ? AND status_id = 1", (integration["id"],)
    )
    fields = live.fields_of(rows, every=True)
    names = Counter(field.name.lower() for field in fields)
    if twice := next((field.name for field in fields if names[field.name.lower()] > 1), None):
        raise ConflictError(f"{integration['integration_name']} has a mapping {twice} already.")
    for direction in ("inbound", "outbound"):
        compile_mapping(fields, direction=direction)


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """Say a row as a template writes it."""
    said = {key: row[key] for key in _FIELDS if key not in {"status_id", "communication_direction_id"}}
    said["is_required"] = bool(row["is_required"])
    for key in _JSON:
        said[key] = json.loads(row[key]) if row[key] else None
    said["mapping_direction"] = live.direction_codes()[row["communication_direction_id"]]
    return {"name": said.pop("mapping_name"), **said}


def _pick(mapping: str, versions: Sequence[MappingVersion], version: int) -> MappingVersion:
    found = next((one for one in versions if one.version == version), None)
    if found is None:
        known = ", ".join(str(one.version) for one in versions[:10])
        raise NotFoundError(f"The mapping {mapping} has no version {version}.", hint=f"Versions are {known}.")
    return found
