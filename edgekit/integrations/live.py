"""Which version of each mapping is live: in production what was approved, elsewhere what stands.

Approvals are rows for a version; what a version said is read from the log. Needs no model, so it is quick.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit.versions import states
from edgekit.errors import DeniedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgekit.mapping import FieldMapping

KINDS = ("technical_review", "data_owner", "security_validation", "testing_sign_off")
"""The approvals a version of a mapping needs before it goes live in production."""

PRODUCTION = "PRODUCTION"

_SAYS = (
    "mapping_type", "source_path", "target_path", "source_data_type", "target_data_type", "is_required",
    "default_value", "transformation_rules", "validation_rules", "mapping_direction", "error_handling",
)  # fmt: skip
"""What a mapping says, as a template writes it."""

_USUALLY = {"mapping_type": "field", "mapping_direction": "inbound", "error_handling": "fail"}
CONTENT = frozenset({
    "mapping_name", "mapping_type", "source_path", "target_path", "source_data_type", "target_data_type",
    "is_required", "default_value", "transformation_rules", "validation_rules", "communication_direction_id",
    "error_handling", "version", "status_id",
})  # fmt: skip
"""The columns that say what a mapping does, and whether."""

Decisions = dict[str, tuple[str, str]]
"""By kind of approval: the decision, and when."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one mapping stands: the version it has, the one that is live, the approvals the newest still lacks.

    `by` is `approvals`, `certification` (taken unchanged from a certified template), `environment` (only
    production asks for approvals) or None where no version is live.
    """

    id: int
    mapping: str
    version: int
    live_version: int | None
    by: str | None
    missing: tuple[str, ...]
    rejected: tuple[str, ...]
    row: Mapping[str, Any]
    """The mapping as its live version says it; as it stands where none is live."""


def environment() -> str:
    """Return the code of the environment the file is used in, such as PRODUCTION."""
    found = db.query("SELECT e.code FROM system s JOIN environment e ON e.id = s.environment_id")
    return str(found[0]["code"]).upper()


def standings(integration_id: int, *, place: str | None = None) -> list[Standing]:
    """Tell of each active mapping which version is live, in this environment or in `place`."""
    place = environment() if place is None else place.upper()
    rows = db.query(
        "SELECT * FROM integration_mapping WHERE integration_id = ? AND status_id = 1 ORDER BY id",
        (integration_id,),
    )
    if place != PRODUCTION:
        return [
            Standing(r["id"], r["mapping_name"], r["version"], r["version"], "environment", (), (), r)
            for r in rows
        ]
    decided = _decisions(integration_id)
    certified = _certified(integration_id) if rows else {}
    codes = direction_codes()
    return [_standing(row, decided.get(row["id"], {}), certified, codes) for row in rows]


def fields_of(rows: Iterable[Mapping[str, Any]], *, every: bool = False) -> list[FieldMapping]:
    """Read rows of `integration_mapping`; those that only go outward if `every` one is wanted."""
    codes = direction_codes()
    found = [_field(row, codes[row["communication_direction_id"]]) for row in rows]
    return [field for field in found if every or field.direction != "outbound"]


def live_fields(integration_id: int, name: str, *, every: bool = False) -> list[FieldMapping]:
    """Return the mappings that take part in a run that counts, each as its live version says it.

    Raise DeniedError where the integration has mappings and none of them is live, saying what is missing.
    """
    found = standings(integration_id)
    live = [one for one in found if one.live_version is not None]
    if found and not live:
        raise not_live(name, found)
    return fields_of((one.row for one in live), every=every)


def not_live(name: str, found: Iterable[Standing]) -> DeniedError:
    """Say that nothing of an integration is live in production, what is missing, and the commands."""
    found = list(found)
    missing = sorted({kind for one in found for kind in one.missing}, key=KINDS.index)
    quoted = f'"{name}"' if " " in name else name
    return DeniedError(
        f"{name} does not run in production: none of its {len(found)} mappings is approved"
        f" (missing: {', '.join(missing)}).",
        hint=f"What is missing: edgekit mappings approvals {quoted}. Test and approve them:"
        f" edgekit mappings test {quoted}; edgekit mappings approve {quoted} --all",
    )


def sends_unmapped(name: str) -> DeniedError:
    """Say that whole records do not leave in production: approved mappings say what does."""
    quoted = f'"{name}"' if " " in name else name
    return DeniedError(
        f"{name} does not run in production: it has no mapping, and what leaves is approved there.",
        hint=f"Say what leaves: edgekit mappings add {quoted} source_path=… target_path=…"
        f" mapping_direction=outbound; then: edgekit mappings approve {quoted} --all",
    )


def said_since(row: Mapping[str, Any]) -> str:
    """Return since when a row of `integration_mapping` says what it says."""
    past = states(db.connection(), "integration_mapping", row["id"], columns=CONTENT, row=dict(row))
    return next(past).at


def say_waiting(integration_id: int, name: str) -> str | None:
    """Say which mappings wait for approval, as the hint of an error; None where none does."""
    waiting = [one.mapping for one in standings(integration_id) if one.live_version is None]
    if not waiting:
        return None
    return (
        f"In production these wait for approval: {', '.join(waiting)}. See: edgekit mappings approvals {name}"
    )


def _standing(
    row: dict[str, Any], decided: Mapping[str, Decisions],
    certified: Mapping[str, Mapping[str, Any]], codes: Mapping[int, str],
) -> Standing:  # fmt: skip
    now = decided.get(str(row["version"]), {})
    template = certified.get(row["mapping_name"])
    version, by, live = _newest_live(row, decided, template, codes)
    missing: tuple[str, ...] = ()
    if version == row["version"] and _differ(row, live):
        missing = KINDS
    elif version != row["version"]:
        missing = tuple(kind for kind in KINDS if now.get(kind, ("", ""))[0] != "approved") or KINDS
    rejected = tuple(kind for kind in KINDS if now.get(kind, ("", ""))[0] == "rejected")
    return Standing(row["id"], row["mapping_name"], row["version"], version, by, missing, rejected, live)


def _newest_live(
    row: dict[str, Any], decided: Mapping[str, Decisions], template: Mapping[str, Any] | None,
    codes: Mapping[int, str],
) -> tuple[int | None, str | None, dict[str, Any]]:  # fmt: skip
    """Find the newest version that may be live, as it was when it was approved."""
    if template is None and not any(_approved_at(decisions) for decisions in decided.values()):
        return None, None, row
    disturbed: set[int] = set()
    for state in states(db.connection(), "integration_mapping", row["id"], columns=CONTENT, row=row):
        decisions = decided.get(str(state.row["version"]), {})
        if state.row["status_id"] != 1 or any(said == "rejected" for said, _ in decisions.values()):
            continue
        span = _approved_at(decisions)
        # What another tool changed since, without giving it a version, nobody has approved; what it changed
        # between the approvals not everybody saw.
        if span is not None and state.at < span[0] and state.row["version"] not in disturbed:
            return state.row["version"], "approvals", state.row
        if span is not None and span[0] <= state.at <= span[1]:
            disturbed.add(state.row["version"])
        if template is not None and _said(state.row, codes) == template:
            return state.row["version"], "certification", state.row
    return None, None, row


def _differ(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(row[column] != other[column] for column in CONTENT)


def _approved_at(decisions: Decisions) -> tuple[str, str] | None:
    """Return when the first and the last of the four approvals were given, if all are."""
    if any(decisions.get(kind, ("", ""))[0] != "approved" for kind in KINDS):
        return None
    times = [decisions[kind][1] for kind in KINDS]
    return min(times), max(times)


def _decisions(integration_id: int) -> dict[int, dict[str, Decisions]]:
    """Return the last decision and its time by mapping, version and kind."""
    found: dict[int, dict[str, Decisions]] = {}
    for row in db.query(
        "SELECT a.mapping_id, a.subject_version, a.approval_kind, a.decision, a.decided_at FROM approval a"
        " JOIN integration_mapping m ON m.id = a.mapping_id WHERE m.integration_id = ? ORDER BY a.id",
        (integration_id,),
    ):
        versions = found.setdefault(row["mapping_id"], {})
        decision = row["decision"], row["decided_at"]
        versions.setdefault(row["subject_version"], {})[row["approval_kind"]] = decision
    return found


def _certified(integration_id: int) -> dict[str, dict[str, Any]]:
    """Return the mappings of the template an integration is an instance of, by name, if it is certified."""
    rows = db.query(
        "SELECT t.mapping_templates FROM integration_template_instance x"
        " JOIN integration_template t ON t.id = x.template_id WHERE x.integration_id = ?"
        " AND (SELECT decision FROM approval WHERE template_id = t.id AND approval_kind = 'certification'"
        "  ORDER BY id DESC LIMIT 1) = 'approved'",
        (integration_id,),
    )
    items = json.loads(rows[0]["mapping_templates"] or "{}").get("mappings", []) if rows else []
    return {str(item.get("name") or item.get("target_path")): _template_says(item) for item in items}


def _template_says(item: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: item.get(key) or _USUALLY.get(key) for key in _SAYS}
    said["is_required"] = bool(item.get("is_required"))
    said["transformation_rules"] = item.get("transformation_rules") or item.get("transformation")
    default = item.get("default_value")
    said["default_value"] = default if default is None or isinstance(default, str) else json.dumps(default)
    said["mapping_direction"] = str(said["mapping_direction"]).lower()
    return said


def _said(row: Mapping[str, Any], codes: Mapping[int, str]) -> dict[str, Any]:
    said = {key: row.get(key) for key in _SAYS}
    for key in ("transformation_rules", "validation_rules"):
        said[key] = (json.loads(row[key]) or None) if row[key] else None
    said["is_required"] = bool(row["is_required"])
    said["mapping_direction"] = codes[row["communication_direction_id"]]
    return said


def direction_codes() -> dict[int, str]:
    """Return the directions by id: inbound, outbound, bidirectional."""
    return {
        row["id"]: row["code"]
        for row in db.query("SELECT id, lower(code) AS code FROM communication_direction")
    }


def _field(row: Mapping[str, Any], direction: str) -> FieldMapping:
    from edgekit.mapping import FieldMapping

    rules, checks = row["transformation_rules"], row["validation_rules"]
    return FieldMapping(
        name=row["mapping_name"],
        source_path=row["source_path"],
        target_path=row["target_path"],
        source_data_type=row["source_data_type"],
        target_data_type=row["target_data_type"],
        is_required=bool(row["is_required"]),
        default_value=row["default_value"],
        transformation_rules=json.loads(rules) if rules else None,
        validation_rules=json.loads(checks) if checks else None,
        error_handling=row["error_handling"],
        direction=direction,
        mapping_type=row["mapping_type"],
    )
