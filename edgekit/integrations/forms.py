"""What a template, or an integration made from one, consists of; and how three of such forms become one.

A form is plain data: `settings`, `mappings` by name, `pipeline`, the scripts of a template in their steps.
Nothing here reads or writes the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Form = dict[str, dict[str, Any]]

PARTS = ("settings", "mappings", "pipeline")

_DEPTH = {"settings": 99, "mappings": 2, "pipeline": 2}
"""How deep a part is compared key by key; what lies deeper is one whole, as rules of a mapping are."""

USUAL_MAPPING = {
    "mapping_type": "field", "source_path": None, "target_path": None, "source_data_type": None,
    "target_data_type": None, "is_required": False, "default_value": None, "transformation_rules": None,
    "mapping_direction": "inbound", "validation_rules": None, "error_handling": "fail", "mapping_notes": None,
}  # fmt: skip
"""What a mapping can say, and what it says where it says nothing."""

USUAL_PIPELINE = {
    "pipeline_type": "linear", "steps": [{"name": "map", "type": "map"}],
    "error_handling_strategy": "dead_letter", "dead_letters": {}, "performance": {},
}  # fmt: skip

_AUTH_SECRETS = {
    "header": {"secret": "api_key"}, "query": {"secret": "api_key"}, "bearer": {"secret": "token"},
    "token": {"secret": "token"},
    "hmac": {"secret": "signing_key"},
    "basic": {"username_secret": "username", "password_secret": "password"},
    "oauth2": {"client_id_secret": "client_id", "client_secret_secret": "client_secret"},
}  # fmt: skip
"""The secrets each kind of proof needs: the setting that names the key in the vault, and its usual key."""


class Gone:
    """The type of `GONE`."""

    def __repr__(self) -> str:
        return "nothing"


GONE = Gone()
"""In a part: it is not there."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing two or three forms say differently, such as `settings.page_size`; None: it is not there.

    `outcome`: `follows` (as the template has it now), `kept` (the integration's own stays), `conflict` (both
    changed it, and nobody has said which counts) or `differs` where only two forms are compared.
    """

    part: str
    template_before: Any
    mine: Any
    template_now: Any
    outcome: str
    note: str | None = None


def of_template(template: Mapping[str, Any]) -> Form:
    """Return the form of a template, as `show_template` returns it."""
    return {
        "settings": dict(template["connection_template"]),
        "mappings": _mappings(template["mapping_templates"].get("mappings", [])),
        "pipeline": with_scripts(normal_pipeline(template["pipeline_template"]), library(template)),
    }


def _mappings(items: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidError("The mappings of a template are a list of objects.")
    found: dict[str, dict[str, Any]] = {}
    for name, said in map(normal_mapping, items):
        if name in found:
            raise InvalidError(f"Two mappings have the name {name}.")
        found[name] = said
    return found


def normal_mapping(item: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a mapping as a template writes it, and all it says. Raise InvalidError."""
    name = str(item.get("name") or item.get("target_path"))
    known = {"name", "transformation", *USUAL_MAPPING}
    if unknown := sorted(set(item) - known):
        raise InvalidError(
            f"The mapping {name} has no field {unknown[0]}.", hint=f"Fields: {', '.join(sorted(known))}."
        )
    for key in ("source_path", "target_path"):
        if not isinstance(item.get(key), str) or not item[key]:
            raise InvalidError(f"The mapping {name} has no {key}.")
    said = {**USUAL_MAPPING, **{key: item[key] for key in USUAL_MAPPING if item.get(key) is not None}}
    if said["transformation_rules"] is None:
        said["transformation_rules"] = item.get("transformation")
    said["is_required"] = bool(said["is_required"])
    said["mapping_direction"] = str(said["mapping_direction"]).lower()
    if said["default_value"] is not None and not isinstance(said["default_value"], str):
        said["default_value"] = json.dumps(said["default_value"])
    return name, said


def normal_pipeline(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """Return all a pipeline says; its list of steps may stand in an object. Raise InvalidError."""
    said = {key: pipeline.get(key) or usual for key, usual in USUAL_PIPELINE.items()}
    if isinstance(said["steps"], dict):
        said["steps"] = said["steps"].get("steps", [])
    if not _are_steps(said["steps"]):
        raise InvalidError('The steps of a pipeline are a list of objects: [{"type": "map"}].')
    return said


def _are_steps(steps: Any) -> bool:
    return isinstance(steps, list) and all(isinstance(step, dict) for step in steps)


def library(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the scripts a template brings, by name. Raise InvalidError for a library of another shape."""
    items = template["transformation_library"].get("transformations", [])
    return scripts(items, f"The transformation library of {template['code']}")


def scripts(items: Any, what: str) -> dict[str, dict[str, Any]]:
    """Read a list of scripts by name. Raise InvalidError for another shape."""
    keys = {"name", "language", "text", "transformation_type"}
    for item in items if isinstance(items, list) else [None]:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or set(item) - keys:
            raise InvalidError(
                f"{what} has another shape.", hint='It is a list of {"name", "language", "text"}.'
            )
    return {item["name"]: {key: item[key] for key in item if key != "name"} for item in items}


def with_scripts(pipeline: dict[str, Any], found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Put scripts into the steps that name them: an integration keeps its own, whatever others do."""

    def own(step: dict[str, Any]) -> dict[str, Any]:
        branches = step.get("branches")
        if isinstance(branches, list) and all(map(_are_steps, branches)):
            step = {**step, "branches": [[own(each) for each in branch] for branch in branches]}
        name = step.get("transformation")
        if not isinstance(name, str) or name not in found:
            return step
        bare = {key: value for key, value in step.items() if key != "transformation"}
        return {"name": name, **bare, **found[name]}

    return {**pipeline, "steps": [own(step) for step in pipeline["steps"]]}


def suite(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tests of a template. Raise InvalidError where its suite has another shape."""
    tests = template["test_suite"].get("tests", [])
    if not isinstance(tests, list) or not all(map(_is_test, tests)):
        raise InvalidError(
            f"The test suite of {template['code']} has another shape.",
            hint='It is {"tests": [{"name", "settings": {…}, "records": […], "rows": […]}]}.',
        )
    return list(tests)


def _is_test(test: Any) -> bool:
    return (
        isinstance(test, dict)
        and isinstance(test.get("settings", {}), dict)
        and isinstance(test.get("records"), list)
        and isinstance(test.get("rows"), list)
        and all(isinstance(row, dict) for row in test["rows"])
    )


def secret_keys(settings: Mapping[str, Any]) -> list[str]:
    """Name the secrets settings need, by their keys in the vault: of `auth`, `verify` and {"vault": KEY}."""
    return list(dict.fromkeys(_secret_keys(settings)))


def _secret_keys(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _secret_keys(item)
    if not isinstance(value, dict):
        return
    if set(value) == {"vault"}:
        yield str(value["vault"])
        return
    for auth in (value.get("auth"), value.get("verify")):
        if not isinstance(auth, dict):
            continue
        wanted = dict(_AUTH_SECRETS.get(str(auth.get("kind")), {}))
        if auth.get("grant") == "refresh_token":
            wanted = {"client_id_secret": "client_id", "refresh_token_secret": "refresh_token"}
        for setting, usual in wanted.items():
            yield str(auth.get(setting, usual))
    for item in value.values():
        yield from _secret_keys(item)


def compare(old: Form, new: Form) -> list[Part]:
    """List what two forms say differently."""
    found = [
        Part(label, _shown(before), None, _shown(after), "differs")
        for name in PARTS
        for label, before, after in _differences(name, old[name], new[name], _DEPTH[name])
    ]
    return sorted(found, key=_place)


def _differences(label: str, old: Any, new: Any, depth: int) -> Iterator[tuple[str, Any, Any]]:
    if same(old, new):
        return
    if depth and isinstance(old, dict) and isinstance(new, dict) and _one_kind(label, old, new):
        for key in {**old, **new}:
            yield from _differences(f"{label}.{key}", old.get(key, GONE), new.get(key, GONE), depth - 1)
    else:
        yield label, old, new


def merge(base: Form, mine: Form, theirs: Form, *, take: Mapping[str, str]) -> tuple[Form, list[Part]]:
    """Bring what changed from `base` to `theirs` into `mine`, and tell of each part that differs.

    What `mine` has as `base` follows `theirs`; what only `mine` changed stays. What both changed is a
    conflict, settled by `take`: {"settings.page_size": "template" | "mine", "*": …}; until then it stays
    mine.
    """
    parts: list[Part] = []
    merged = {
        name: _merge(name, base[name], mine[name], theirs[name], _DEPTH[name], take, parts) for name in PARTS
    }
    return merged, sorted(parts, key=_place)


def _merge(
    label: str, base: Any, mine: Any, theirs: Any, depth: int, take: Mapping[str, str], parts: list[Part]
) -> Any:
    if same(mine, theirs):
        return mine
    own, other = isinstance(mine, dict), isinstance(theirs, dict)
    if depth and own and other and _one_kind(label, mine, theirs) and isinstance(base, dict | Gone):
        before = base if isinstance(base, dict) else {}
        keys = {**before, **mine, **theirs}
        found = {
            key: _merge(
                f"{label}.{key}", before.get(key, GONE), mine.get(key, GONE), theirs.get(key, GONE),
                depth - 1, take, parts,
            )
            for key in keys
        }  # fmt: skip
        order = [*mine, *(key for key in theirs if key not in mine)]
        return {key: found[key] for key in order if found[key] is not GONE}
    part = Part(label, _shown(base), _shown(mine), _shown(theirs), "conflict")
    chosen, outcome = settle(label, take), "conflict"
    if same(mine, base):
        chosen, outcome = "template", "follows"
    elif same(theirs, base):
        chosen, outcome = "mine", "kept"
    elif chosen is not None:
        outcome = "follows" if chosen == "template" else "kept"
    parts.append(replace(part, outcome=outcome))
    return theirs if chosen == "template" else mine


def settle(label: str, take: Mapping[str, str]) -> str | None:
    """Say which side counts for a conflict, if somebody has said so."""
    return take.get(label, take.get("*"))


def rename(form: Form, renames: Mapping[str, Any]) -> Form:
    """Call settings and mappings of a form as a later version calls them. Raise InvalidError.

    A setting may be named by a path: `request.form`. All are renamed at once: two may change names. What is
    not there is passed over.
    """
    check_renames(renames)
    result: Form = json.loads(json.dumps(form))
    moved = {
        new: _taken(result["settings"], old.split(".")) for old, new in renames.get("settings", {}).items()
    }
    for new, value in moved.items():
        if value is not GONE:
            _put(result["settings"], new.split("."), value)
    names = renames.get("mappings", {})
    result["mappings"] = {}
    for name, said in form["mappings"].items():
        now = names.get(name, name)
        if now in result["mappings"]:
            raise InvalidError(
                f"The new version renames a mapping to {now}, and there is another of that name.",
                hint="Give your own mapping another name first: edgekit mappings set",
            )
        result["mappings"][now] = said
    return result


def check_renames(renames: Mapping[str, Any]) -> None:
    """Raise InvalidError where what a version calls otherwise is told in another shape."""
    for part, names in renames.items():
        good = part in {"settings", "mappings"} and isinstance(names, dict)
        if not good or not all(isinstance(new, str) and new for new in names.values()):
            raise InvalidError(
                f"The renames of a template have another shape at {part}.",
                hint='They are {"settings": {"old": "new"}, "mappings": {"old": "new"}}.',
            )
        if len(set(names.values())) < len(names):
            raise InvalidError(f"The renames of a template give two {part} one name.")


def _taken(settings: dict[str, Any], path: Sequence[str]) -> Any:
    *way, last = path
    place: Any = settings
    for part in way:
        place = place.get(part, GONE) if isinstance(place, dict) else GONE
    return place.pop(last, GONE) if isinstance(place, dict) else GONE


def _put(settings: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *way, last = path
    place = settings
    for part in way:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidError(
                f"The new version renames a setting to {'.'.join(path)}, within a plain value."
            )
        place = inner
    if last in place:
        raise InvalidError(
            f"The new version renames a setting to {'.'.join(path)}, which is set already.",
            hint="Take one of the two out first: edgekit integrations set NAME --unset KEY",
        )
    place[last] = value


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: 1 is not true, and 1.0 is 1."""
    if one is GONE or other is GONE:
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _one_kind(label: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two objects can be mixed: settings of one kind of log-in mean nothing to another."""
    within = label.startswith("settings.")
    return not within or all(one.get(key) == other.get(key) for key in ("kind", "connector"))


def _shown(value: Any) -> Any:
    return None if value is GONE else value


def _place(part: Part) -> tuple[int, str]:
    return PARTS.index(part.part.partition(".")[0]), part.part
