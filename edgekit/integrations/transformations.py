"""Transformations by name: scripts kept with their schemas and examples, and their versions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from edgekit import db, transformation
from edgekit.audit.versions import states
from edgekit.configuration.resolving import changed_keys
from edgekit.errors import ConflictError, InvalidError, NotFoundError, TransformationError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_JSON = ("input_schema", "output_schema", "transformation_logic", "error_output_schema", "test_cases")
_FIELDS = (
    "transformation_name", "description", "transformation_type", "input_schema", "output_schema",
    "transformation_logic", "language", "is_reusable", "performance_tier", "timeout_seconds",
    "error_output_schema", "test_cases",
)  # fmt: skip
_MEMORY_MB = {"lightweight": 64, "standard": 128, "heavy": 512}
_VERSION = frozenset({"version"})


@dataclass(frozen=True, slots=True)
class StoredTransformation:
    """A transformation ready to be applied, of the type and version it was read in."""

    id: int
    name: str
    kind: str
    version: int
    script: transformation.Transformation

    def take(self, records: Sequence[Any]) -> transformation.Outcome:
        """Bring a batch of records through it, read as its type says."""
        return transformation.take(self.script, self.kind, records)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one document: the output, or the error, whose `document` has the error output schema."""

    output: Any = None
    error: TransformationError | None = None


@dataclass(frozen=True, slots=True)
class TransformationVersion:
    """A transformation from one change on, and the fields that differ from before.

    `actor` is None for an edit by another tool.
    """

    version: int
    at: str
    actor: str | None
    reason: str | None
    keys: tuple[str, ...]
    transformation: dict[str, Any]


def list_transformations() -> list[dict[str, Any]]:
    """Return the active transformations: name, type, language, version, how many examples, and how they went.

    `last_status` is `passed` or `failed` where the examples were tried in this version, else `pending`, and
    `absent` without any.
    """
    rows = db.query(
        "SELECT * FROM integration_transformation WHERE status_id = 1 ORDER BY transformation_name, id"
    )
    shown = ("transformation_type", "language", "performance_tier", "timeout_seconds", "version")
    return [
        {
            "name": row["transformation_name"],
            **{column: row[column] for column in shown},
            "is_shared": row["organization_id"] is None,
            "examples": len(examples_of(row)),
            "last_status": _standing(row),
            "description": row["description"],
        }
        for row in rows
    ]


def show_transformation(name: str) -> dict[str, Any]:
    """Return one transformation whole, with what came of each example last. Raise NotFoundError."""
    row = find_row(name)
    runs = db.query(
        "SELECT case_name, test_status, transformation_version, error_message, created_at AS tried_at"
        " FROM integration_transformation_run WHERE id IN (SELECT max(id) FROM integration_transformation_run"
        " WHERE transformation_id = ? GROUP BY case_name) ORDER BY id",
        (row["id"],),
    )
    return {**told(row), "id": row["id"], "version": row["version"], "last_runs": runs}


def compile_transformation(name: str) -> StoredTransformation:
    """Return a transformation ready to be applied.

    Raise NotFoundError, TransformationError (its text is wrong), InvalidError (its language is not installed,
    one of its schemas is wrong).
    """
    return stored_as(find_row(name))


def stored_as(row: Mapping[str, Any]) -> StoredTransformation:
    """Return the transformation a row says, ready to be applied. Raise as `compile_transformation` does."""
    script = compile_row(row["transformation_name"], told(row))
    return StoredTransformation(
        row["id"], row["transformation_name"], row["transformation_type"], row["version"], script
    )


def try_transformation(name: str, document: Any) -> Trial:
    """Apply a transformation to one document, read as its type says; nothing is written.

    Raise what `compile_transformation` raises, InvalidError for an aggregate without a list.
    """
    stored = compile_transformation(name)
    try:
        return Trial(transformation.take_one(stored.script, stored.kind, document))
    except TransformationError as error:
        return Trial(error=error)


def add_transformation(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Add a transformation, or bring back a retired one of its name; return it as `show_transformation` does.

    `values` has language and text, and may have transformation_type (`map` unless it is said), schemas,
    test_cases and the other columns. The script is read before anything is kept. Raise InvalidError,
    TransformationError (as `compile_transformation`), ConflictError (there is one).
    """
    from edgekit.models.integrations import IntegrationTransformation as Table

    row = {"transformation_type": "map", **_row(values), "transformation_name": name}
    for needed in ("language", "transformation_logic"):
        if row.get(needed) is None:
            said = "text" if needed == "transformation_logic" else needed
            raise InvalidError(f"A transformation needs its {said}.")
    _require_sound(name, row)
    with db.change(reason=f"transformations add {name}"):
        there = _named(name, retired=True)
        if there and there[0]["status_id"] == 1:
            raise ConflictError(
                f"There is a transformation {name} already.",
                hint=f"Change it: edgekit transformations set {quoted(name)} FIELD=VALUE",
            )
        if there:
            kept = {"description", "is_reusable", "performance_tier", "timeout_seconds"}
            empty = dict.fromkeys(set(_FIELDS) - row.keys() - kept)
            Table.update(**{**empty, **row, "status_id": 1}).where(Table.id == there[0]["id"]).execute()
        else:
            Table.create(**row)
    return show_transformation(name)


def set_transformation(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Change fields of a transformation, as its next version; return it as `show_transformation` does.

    None empties a field; what is so already is not written. Raise NotFoundError, and what
    `add_transformation` raises.
    """
    from edgekit.models.integrations import IntegrationTransformation as Table

    given = _row(values)
    row = find_row(name)
    before = {key: row[key] if key not in _JSON else _read(row[key]) for key in _FIELDS}
    _require_sound(name, {**before, **given})
    different = {key: value for key, value in given.items() if before[key] != value}
    if different:
        with db.change(reason=f"transformations set {name}"):
            changed = Table.get_by_id(row["id"])
            for field, value in different.items():
                setattr(changed, field, value)
            changed.save()
    return show_transformation(str(given.get("transformation_name", name)))


def retire_transformation(name: str) -> None:
    """Let a transformation be used no more; it stays, with its runs. Raise NotFoundError."""
    from edgekit.models.integrations import IntegrationTransformation as Table

    with db.change(reason=f"transformations retire {name}"):
        changed = Table.get_by_id(find_row(name)["id"])
        changed.status_id = 2
        changed.save()


def transformation_history(name: str) -> list[TransformationVersion]:
    """List the versions of a transformation, a retired one's too, the newest first. Raise NotFoundError."""
    row = find_row(name, retired=True)
    found: list[TransformationVersion] = []
    before: dict[str, Any] = dict.fromkeys(told(row))
    past = list(states(db.connection(), "integration_transformation", row["id"], columns=_VERSION))
    for state in reversed(past):
        said = told(state.row)
        keys = changed_keys(before, said)
        found.append(
            TransformationVersion(state.row["version"], state.at, state.actor, state.reason, keys, said)
        )
        before = said
    return found[::-1]


def compile_row(name: str, said: Mapping[str, Any]) -> transformation.Transformation:
    """Compile what `told` says of a row."""
    return transformation.compile(
        said["language"],
        said["text"],
        limits=transformation.Limits(
            seconds=said["timeout_seconds"], memory_mb=_MEMORY_MB.get(said["performance_tier"], 128)
        ),
        input_schema=said["input_schema"],
        output_schema=said["output_schema"],
        error_output_schema=said["error_output_schema"],
        name=name,
    )


def _require_sound(name: str, row: Mapping[str, Any]) -> None:
    """Read the script with its engine, before anything is kept."""
    logic = row["transformation_logic"]
    if not isinstance(logic, dict) or not isinstance(logic.get("text"), str):
        raise InvalidError('transformation_logic is {"text": "…"}.')
    said = {
        "timeout_seconds": row.get("timeout_seconds") or 30,
        "performance_tier": row.get("performance_tier") or "standard",
        "language": row["language"],
        "text": logic["text"],
        **{key: row.get(key) for key in ("input_schema", "output_schema", "error_output_schema")},
    }
    compile_row(name, said).check()


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn fields as a person names them into columns. Raise InvalidError for one there is not."""
    row = dict(values)
    if "text" in row:
        row["transformation_logic"] = {"text": row.pop("text")}
    if "name" in row:
        row["transformation_name"] = row.pop("name")
    if isinstance(row.get("test_cases"), list):
        row["test_cases"] = {"cases": row["test_cases"]}
    if unknown := sorted(row.keys() - set(_FIELDS)):
        known = ", ".join(sorted({*_FIELDS, "text"} - {"transformation_logic"}))
        raise InvalidError(f"A transformation has no field {unknown[0]}.", hint=f"Fields: {known}.")
    for key in _JSON:
        if row.get(key) is not None and not isinstance(row[key], dict):
            raise InvalidError(f"{key} is a JSON object.")
    examples_of(row)
    return row


def examples_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the examples of a row. Raise InvalidError where they are none."""
    cases = (_read(row.get("test_cases")) or {}).get("cases", [])
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise InvalidError('test_cases is {"cases": [{"name": …, "input": …, "expected": …}]}.')
    return cases


def _read(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """Say a row as a person writes it."""
    said = {key: _read(row[key]) if key in _JSON else row[key] for key in _FIELDS}
    logic = said.pop("transformation_logic")
    said["is_reusable"] = bool(said["is_reusable"])
    return {"name": said.pop("transformation_name"), **said, "text": logic.get("text", "")}


def _standing(row: Mapping[str, Any]) -> str:
    if not examples_of(row):
        return "absent"
    runs = db.query(
        "SELECT test_status FROM integration_transformation_run WHERE id IN (SELECT max(id)"
        " FROM integration_transformation_run WHERE transformation_id = ? AND transformation_version = ?"
        " GROUP BY case_name)",
        (row["id"], row["version"]),
    )
    states_of = {run["test_status"] for run in runs}
    return next((state for state in ("failed", "passed") if state in states_of), "pending")


def _named(name: str, *, retired: bool) -> list[dict[str, Any]]:
    return db.query(
        "SELECT * FROM integration_transformation WHERE transformation_name = ?1 AND (status_id = 1 OR ?2)"
        " ORDER BY status_id, organization_id IS NULL, id",
        (name, retired),
    )


def find_row(name: str, *, retired: bool = False) -> dict[str, Any]:
    """Return the row of a transformation, an organization's own before a shared one."""
    rows = _named(name, retired=retired)
    if len(rows) > 1 and rows[1]["organization_id"] is not None and rows[1]["status_id"] == 1:
        raise ConflictError(  # only who sees all meets them
            f"Several organizations have a transformation {name}.",
            hint="Work as a user of the one that is meant: edgekit --actor NAME …",
        )
    if rows:
        return rows[0]
    known = [row["name"] for row in list_transformations()]
    close = get_close_matches(name, known, n=3) or known[:10]
    hint = f"There are: {', '.join(close)}." if close else "Add one: edgekit transformations add NAME …"
    raise NotFoundError(f"There is no transformation {name}.", hint=hint)
