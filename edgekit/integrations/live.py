"""Which version of each mapping is live: in production what was approved, elsewhere what stands.

Approvals are rows for a version; what a version said is read from the log. Needs no model, so it is quick.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit.versions import states
from edgekit.errors import DeniedError, quoted
from edgekit.integrations import approved_pipelines, semver

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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


@dataclass(slots=True)
class Decided:
    """What was decided of one version, by kind; approvals are those since the last rejection."""

    last: dict[str, str] = field(default_factory=dict)
    approved: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, decision: str, at: str) -> None:
        """Take the next decision."""
        self.last[kind] = decision
        times = self.approved.setdefault(kind, [])
        if decision == "approved":
            times.append(at)
        else:
            times.clear()

    @property
    def span(self) -> tuple[str, str] | None:
        """When the first and the last of the four approvals were given, if all are."""
        if any(not self.approved.get(kind) for kind in KINDS):
            return None
        times = [self.approved[kind][-1] for kind in KINDS]
        return min(times), max(times)

    def lacks(self, past: approved_pipelines.Past) -> tuple[str, ...]:
        """List the kinds of approval nobody has given with the steps of now."""
        return tuple(
            kind
            for kind in KINDS
            if not any(past.says(time) == past.says() for time in self.approved.get(kind, ()))
        )

    def seen_at(self, past: approved_pipelines.Past) -> str | None:
        """Return the last time at which all four had approved the steps there were, if they ever had."""
        told = [{past.says(time) for time in self.approved[kind]} for kind in KINDS]
        times = sorted({time for kind in KINDS for time in self.approved[kind]}, reverse=True)
        return next((time for time in times if all(past.says(time) in said for said in told)), None)


_Decisions = dict[str, Decided]
"""By version."""


@dataclass(frozen=True, slots=True)
class _Certified:
    """What a certified template version says: its mappings by name, and the steps around them."""

    mappings: Mapping[str, Mapping[str, Any]]
    steps: approved_pipelines.Steps


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
    steps: approved_pipelines.Steps | None = None
    """The steps around it that were approved with it."""
    steps_changed: bool = False
    """Whether the pipeline has other steps by now, which wait for approval."""


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
    certified = _certified(integration_id) if rows else ()
    if not certified and not decided:
        return [Standing(r["id"], r["mapping_name"], r["version"], None, None, KINDS, (), r) for r in rows]
    past, codes = approved_pipelines.Past(integration_id), direction_codes()
    return [_standing(row, decided.get(row["id"], {}), certified, codes, past) for row in rows]


def fields_of(rows: Iterable[Mapping[str, Any]], *, every: bool = False) -> list[FieldMapping]:
    """Read rows of `integration_mapping`; those that only go outward if `every` one is wanted."""
    codes = direction_codes()
    found = [_field(row, codes[row["communication_direction_id"]]) for row in rows]
    return [field for field in found if every or field.direction != "outbound"]


def live_parts(
    integration_id: int, name: str, *, every: bool = False
) -> tuple[list[FieldMapping], approved_pipelines.Steps | None]:
    """Return what takes part in a run that counts: the mappings as their live versions say, and the steps.

    The steps are those all of these mappings were approved with; None where the pipeline counts as it is.
    Raise DeniedError where the integration has mappings and none of them is live, saying what is missing.
    """
    found = standings(integration_id)
    live = [one for one in found if one.live_version is not None]
    if found and not live:
        raise not_live(name, found)
    steps = [one.steps for one in live if one.steps is not None]
    oldest = min(steps, key=lambda one: one.at) if any(one.steps_changed for one in live) else None
    return fields_of((one.row for one in live), every=every), oldest


def not_live(name: str, found: Iterable[Standing]) -> DeniedError:
    """Say that nothing of an integration is live in production, what is missing, and the commands."""
    found = list(found)
    missing = sorted({kind for one in found for kind in one.missing}, key=KINDS.index)
    return DeniedError(
        f"{name} does not run in production: none of its {len(found)} mappings is approved"
        f" (missing: {', '.join(missing)}).",
        hint=f"What is missing: edgekit mappings approvals {quoted(name)}. Test and approve them:"
        f" edgekit mappings test {quoted(name)}; edgekit mappings approve {quoted(name)} --all",
    )


def sends_unmapped(name: str) -> DeniedError:
    """Say that whole records do not leave in production: approved mappings say what does."""
    return DeniedError(
        f"{name} does not run in production: it has no mapping, and what leaves is approved there.",
        hint=f"Say what leaves: edgekit mappings add {quoted(name)} source_path=… target_path=…"
        f" mapping_direction=outbound; then: edgekit mappings approve {quoted(name)} --all",
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
        f"In production these wait for approval: {', '.join(waiting)}."
        f" See: edgekit mappings approvals {quoted(name)}"
    )


def _standing(
    row: dict[str, Any], decided: _Decisions, certified: Sequence[_Certified],
    codes: Mapping[int, str], past: approved_pipelines.Past,
) -> Standing:  # fmt: skip
    now = decided.get(str(row["version"]), Decided())
    live = _newest_live(row, decided, certified, codes, past)
    rejected = tuple(kind for kind in KINDS if now.last.get(kind) == "rejected")
    own = (row["id"], row["mapping_name"], row["version"])
    if live is None:
        return Standing(*own, None, None, now.lacks(past) or KINDS, rejected, row)
    version, by, said, steps = live
    changed = steps.says != past.says()
    missing: tuple[str, ...] = ()
    if version != row["version"] or _differ(row, said):
        missing = now.lacks(past) if version != row["version"] else KINDS
        missing = missing or KINDS
    elif changed:
        missing = now.lacks(past) or KINDS
    return Standing(*own, version, by, missing, rejected, said, steps, changed)


def _newest_live(
    row: dict[str, Any], decided: _Decisions, certified: Sequence[_Certified],
    codes: Mapping[int, str], past: approved_pipelines.Past,
) -> tuple[int, str, dict[str, Any], approved_pipelines.Steps] | None:  # fmt: skip
    """Find the newest version that may be live: why, as it was when it was approved, and with which steps."""
    if not certified and not any(one.span for one in decided.values()):
        return None
    disturbed: set[int] = set()
    for state in states(db.connection(), "integration_mapping", row["id"], columns=CONTENT, row=row):
        version = state.row["version"]
        decisions = decided.get(str(version), Decided())
        if state.row["status_id"] != 1 or "rejected" in decisions.last.values():
            continue
        # What another tool changed since, without giving it a version, nobody has approved; what it changed
        # between the approvals not everybody saw. Nor did everybody see steps that changed between them.
        span = decisions.span
        if span is not None and state.at < span[0] and version not in disturbed:
            seen_at = decisions.seen_at(past)
            if seen_at is not None:
                return version, "approvals", state.row, past.at(seen_at)
        if span is not None and span[0] <= state.at <= span[1]:
            disturbed.add(version)
        said = _said(state.row, codes) if certified else {}
        for template in certified:
            if template.mappings.get(state.row["mapping_name"]) == said:
                return version, "certification", state.row, template.steps
    return None


def _differ(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(row[column] != other[column] for column in CONTENT)


def _decisions(integration_id: int) -> dict[int, _Decisions]:
    """Return what was decided by mapping and version."""
    found: dict[int, _Decisions] = {}
    for row in db.query(
        "SELECT a.mapping_id, a.subject_version, a.approval_kind, a.decision, a.decided_at FROM approval a"
        " JOIN integration_mapping m ON m.id = a.mapping_id WHERE m.integration_id = ? ORDER BY a.id",
        (integration_id,),
    ):
        versions = found.setdefault(row["mapping_id"], {})
        decided = versions.setdefault(row["subject_version"], Decided())
        decided.note(row["approval_kind"], row["decision"], row["decided_at"])
    return found


def _certified(integration_id: int) -> tuple[_Certified, ...]:
    """Return what the certified among the template versions say that an integration was made from.

    It is the one it has now, and behind it those it was upgraded from: what was taken unchanged from them
    goes on until something newer may.
    """
    rows = db.query(
        "SELECT x.id AS instance, t.id, t.code, t.version FROM integration_template_instance x"
        " JOIN integration_template t ON t.id = x.template_id WHERE x.integration_id = ?",
        (integration_id,),
    )
    if not rows:
        return ()
    past = states(
        db.connection(),
        "integration_template_instance",
        rows[0]["instance"],
        columns=frozenset({"template_id"}),
    )
    pinned = dict.fromkeys([rows[0]["id"], *(state.row["template_id"] for state in past)])
    found = [_vouched_for(template, rows[0]["version"]) for template in pinned]
    return tuple(one for one in found if one is not None)


def _vouched_for(template_id: int, newest: str) -> _Certified | None:
    """Return what a template version says, if it is certified and no newer than that."""
    (row, *_) = db.query(
        "SELECT t.version, t.mapping_templates, t.pipeline_template, t.is_certified, a.decision, a.decided_at"
        " FROM integration_template t LEFT JOIN approval a ON a.template_id = t.id"
        " AND a.approval_kind = 'certification' WHERE t.id = ? ORDER BY a.id DESC LIMIT 1",
        (template_id,),
    )
    is_newer = semver.key(row["version"]) > semver.key(newest)
    if not row["is_certified"] or row["decision"] != "approved" or is_newer:
        return None
    items = json.loads(row["mapping_templates"] or "{}").get("mappings", [])
    return _Certified(
        {str(item.get("name") or item.get("target_path")): _template_says(item) for item in items},
        approved_pipelines.of_template(row["pipeline_template"], row["decided_at"]),
    )


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
