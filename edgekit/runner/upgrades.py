"""Bringing integrations to a newer version of their template, tried before it is kept, and back again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgekit import codec, connectors, db
from edgekit.audit.versions import states
from edgekit.errors import ConflictError, EdgekitError, InvalidError, quoted
from edgekit.integrations import form_rows, forms, instances, reading, semver, templates
from edgekit.models.integrations import IntegrationTemplateInstance
from edgekit.runner import trials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_UPGRADE, _ROLLBACK = "templates upgrade", "templates rollback"


@dataclass(slots=True)
class Upgrade:
    """What came of bringing an integration to another version of its template, or would.

    `status`: `upgraded`, `rolled_back`, `would_upgrade`, `would_roll_back`, `current` (nothing to do),
    `conflict`, `tests_failed` or `failed`; then nothing was changed, and `error` says why.
    """

    integration: str
    template: str
    from_version: str
    to_version: str
    status: str = "failed"
    parts: tuple[forms.Part, ...] = ()
    tests: tuple[trials.Tried, ...] = ()
    prerequisites: tuple[str, ...] = ()
    """What the new version needs beforehand and the old one did not."""
    error: EdgekitError | None = field(default=None, repr=False)


class _Red(Exception):  # noqa: N818 - takes an upgrade back
    pass


def upgrade(
    name: str,
    *,
    to: str | None = None,
    take: Mapping[str, str] | None = None,
    acknowledge: bool = False,
    dry_run: bool = False,
) -> Upgrade:
    """Bring an integration to the newest version of its template, or to one, in one change or not at all.

    What it has as its version of the template has it follows; what was customised or edited stays. What both
    changed is a conflict, until `take` says which counts: {"settings.page_size": "template" | "mine"}, or "*"
    for all. Before it is kept, the mapping tests and the template's test suite are run on what it becomes:
    nothing is changed if one fails. `acknowledge` speaks for prerequisites that are new. The outcome is
    returned, with `error`; raise NotFoundError (integration, version), ConflictError (made from no template).
    """
    row = reading.find(name)
    instance = _instance(row)
    old = templates.read_template(instance["template_id"])
    new = templates.show_template(f"{old['code']}@{to}" if to else old["code"])
    result = Upgrade(row["integration_name"], old["code"], old["version"], new["version"])
    if semver.key(new["version"]) <= semver.key(old["version"]):
        result.status = "current"
        if to and new["id"] != old["id"]:
            result.status, result.error = "failed", _older(result)
        return result
    try:
        _check_take(take or {})
        _bring(result, row, instance, (old, new), take or {}, acknowledge=acknowledge, dry_run=dry_run)
    except EdgekitError as error:
        result.error = error
    return result


def upgrade_all(
    code: str,
    *,
    to: str | None = None,
    take: Mapping[str, str] | None = None,
    acknowledge: bool = False,
    dry_run: bool = False,
) -> list[Upgrade]:
    """Bring every integration made from a template to its newest version, each by itself, as `upgrade` does.

    One that cannot be brought there keeps nobody else from it. Raise NotFoundError (template, version).
    """
    wanted = templates.show_template(f"{code}@{to}" if to else code)
    names = db.query(
        "SELECT i.integration_name AS name, t.version FROM integration_template_instance x"
        " JOIN integration i ON i.id = x.integration_id JOIN integration_template t ON t.id = x.template_id"
        " WHERE t.code = ? AND i.status_id = 1 ORDER BY i.integration_name",
        (wanted["code"],),
    )
    found = []
    for row in names:
        try:
            result = upgrade(row["name"], to=to, take=take, acknowledge=acknowledge, dry_run=dry_run)
        except EdgekitError as error:
            result = Upgrade(row["name"], wanted["code"], row["version"], wanted["version"], error=error)
        found.append(result)
    return found


def roll_back_upgrade(name: str, *, dry_run: bool = False) -> Upgrade:
    """Give an integration exactly the form it had before its last upgrade, as new versions of its rows.

    Settings, mappings, pipeline, customizations and the version of the template are those of then; what was
    edited since goes, and its part says so in `note`. Said again, the upgrade before that one is taken back.
    Raise NotFoundError, ConflictError where it was never upgraded.
    """
    row = reading.find(name)
    instance = _instance(row)
    (first, last), earlier = _last_upgrade(name, instance["id"])
    old, new = (templates.read_template(each["template_id"]) for each in (earlier, instance))
    form, rows = form_rows.read_before(row["id"], first)
    upgraded, _ = form_rows.read_before(row["id"], last + 1)
    mine = form_rows.read(row["id"])
    result = Upgrade(
        row["integration_name"], old["code"], new["version"], old["version"],
        parts=tuple(_noted(forms.compare(mine, form), forms.compare(upgraded, mine))),
    )  # fmt: skip
    if dry_run:
        result.status = "would_roll_back"
        return result
    with db.change(reason=f"{_ROLLBACK} {row['integration_name']} to {old['code']} {old['version']}"):
        _require_untouched(instance, mine)
        form_rows.write(row["id"], form, why="troubleshooting", rows=rows)
        pinned = IntegrationTemplateInstance.get_by_id(instance["id"])
        pinned.template_id = earlier["template_id"]
        pinned.customizations = codec.loads(earlier["customizations"] or "null")
        pinned.save()
    result.status = "rolled_back"
    return result


def _noted(parts: Iterable[forms.Part], edited: Iterable[forms.Part]) -> Iterator[forms.Part]:
    """Say of each part that goes back whether somebody edited it since the upgrade."""
    since = [part.part for part in edited]
    for part in parts:
        is_edited = any(
            f"{one}.".startswith(f"{part.part}.") or f"{part.part}.".startswith(f"{one}.") for one in since
        )
        yield replace(part, note="It was edited since the upgrade; the edit goes.") if is_edited else part


def _require_untouched(instance: Mapping[str, Any], seen: forms.Form) -> None:
    """Raise ConflictError where an integration is not what it was when it was looked at."""
    number = instance["integration_id"]
    now = db.query("SELECT template_id FROM integration_template_instance WHERE id = ?", (instance["id"],))
    if now[0]["template_id"] != instance["template_id"] or not forms.same(form_rows.read(number), seen):
        raise ConflictError(
            "It was changed by somebody else meanwhile; nothing was done.", hint="Try it again."
        )


def _instance(row: Mapping[str, Any]) -> dict[str, Any]:
    found = db.query("SELECT * FROM integration_template_instance WHERE integration_id = ?", (row["id"],))
    if not found:
        raise ConflictError(f"{row['integration_name']} was not made from a template.")
    return found[0]


def _older(result: Upgrade) -> ConflictError:
    return ConflictError(
        f"{result.integration} has {result.template} {result.from_version}, which is newer than"
        f" {result.to_version}.",
        hint="To take its last upgrade back:"
        f" edgekit integrations templates rollback {quoted(result.integration)}",
    )


def _check_take(take: Mapping[str, str]) -> None:
    for part, side in take.items():
        if side not in {"template", "mine"}:
            raise InvalidError(f"{part}: {side!r} is neither template nor mine.")


def _bring(
    result: Upgrade, row: Mapping[str, Any], instance: Mapping[str, Any],
    versions: tuple[dict[str, Any], dict[str, Any]], take: Mapping[str, str], *,
    acknowledge: bool, dry_run: bool,
) -> None:  # fmt: skip
    old, new = versions
    if old["integration_type"] != new["integration_type"]:
        raise ConflictError(
            f"{new['code']} {new['version']} is for another type of integration, {new['integration_type']}.",
            hint="Make a new integration from it.",
        )
    mine = form_rows.read(row["id"])
    form, renamed = _merged(result, row["id"], (old, mine, new), take)
    open_ones = [part.part for part in result.parts if part.outcome == "conflict"]
    if open_ones:
        result.status = "conflict"
        raise ConflictError(
            f"{result.integration} and {new['code']} {new['version']} both changed: {', '.join(open_ones)}.",
            hint=f"Say which counts, for all: --take template (or mine); for one: --take {open_ones[0]}=mine",
        )
    fresh = {**new, "prerequisites": [p for p in new["prerequisites"] if p not in old["prerequisites"]]}
    result.prerequisites = tuple(fresh["prerequisites"])
    known = instances.require_acknowledged(fresh, acknowledge=acknowledge or dry_run)
    instances.check_settings(result.integration, form["settings"])
    before = trials.refusal(row["id"])
    try:
        with db.change(reason=f"{_UPGRADE} {result.integration} to {new['code']} {new['version']}"):
            _require_untouched(instance, mine)
            form_rows.write(row["id"], form, why="field_change", rows=renamed)
            _pin(instance, new, known)
            result.tests = tuple(trials.try_form(row, form, new, before))
            red = [test for test in result.tests if test.status == "failed"]
            if red or dry_run:
                raise _Red
    except _Red:
        result.status = "tests_failed" if red else "would_upgrade"
    else:
        result.status = "upgraded"
    if red:
        raise InvalidError(
            f"{result.integration} stays on {old['version']}: {red[0].kind} {red[0].name!r} failed:"
            f" {red[0].message}"
        )


def _merged(
    result: Upgrade,
    integration_id: int,
    three: tuple[dict[str, Any], forms.Form, dict[str, Any]],
    take: Mapping[str, str],
) -> tuple[forms.Form, dict[int, str]]:
    """Bring the change of the template into the form of an integration; say which mapping has which row."""
    old, mine, new = three
    base, theirs = forms.of_template(old), forms.of_template(new)
    names = {name: name for name in mine["mappings"]}
    for version in templates.between(new["code"], old["version"], new["version"]):
        base, mine = (forms.rename(form, version["renames"]) for form in (base, mine))
        changed = version["renames"].get("mappings", {})
        names = {before: str(changed.get(now, now)) for before, now in names.items()}
    form, parts = forms.merge(base, mine, theirs, take=take)
    _refuse_one_place(form)
    parts += _unknown_settings(form, base, theirs, take)
    result.parts = tuple(parts)
    ids = {
        found["mapping_name"]: found["id"]
        for found in db.query(
            "SELECT id, mapping_name FROM integration_mapping WHERE integration_id = ?", (integration_id,)
        )
    }
    return form, {ids[before]: now for before, now in names.items() if now in form["mappings"]}


def _refuse_one_place(form: forms.Form) -> None:
    """Raise ConflictError where two mappings of what an integration would become fill the same place."""
    owners: dict[tuple[str, str], str] = {}
    for name, said in form["mappings"].items():
        other = owners.setdefault((said["target_path"], said["mapping_direction"]), name)
        if other != name:
            raise ConflictError(
                f"The mappings {other} and {name} would both fill {said['target_path']}.",
                hint=f"Keep one of them: --take mappings.{name}=mine, or: edgekit mappings retire",
            )


def _unknown_settings(
    form: forms.Form, base: forms.Form, theirs: forms.Form, take: Mapping[str, str]
) -> Iterator[forms.Part]:
    """Find settings of one's own the new version may not know: never dropped, nor kept, without a word.

    They are those its connector does not know, and all of them where it is another connector.
    """
    settings = form["settings"]
    schema = connectors.get(str(settings.get("connector", ""))).config_schema
    is_other = settings.get("connector") != base["settings"].get("connector")
    known = set() if is_other else set(schema.get("properties", {}))
    if schema.get("additionalProperties") is not False and not is_other:
        return
    known |= {*instances.TARGET_SETTINGS, *theirs["settings"], "connector"}
    for key in [key for key in settings if key not in known]:
        label = f"settings.{key}"
        side = forms.settle(label, take)
        note = f"It was set for another connector than {settings['connector']}, or one that knew {key}."
        outcome = {"template": "follows", "mine": "kept"}.get(str(side), "conflict")
        yield forms.Part(label, None, settings[key], None, outcome, note)
        if side == "template":
            del settings[key]


def _pin(instance: Mapping[str, Any], new: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    pinned = IntegrationTemplateInstance.get_by_id(instance["id"])
    pinned.template_id = new["id"]
    if known:
        pinned.customizations = {**(pinned.customizations or {}), **known}
    pinned.save()


def _last_upgrade(name: str, instance_id: int) -> tuple[tuple[int, int], dict[str, Any]]:
    """Find the last upgrade that was not taken back: its first and last entry of the log, the instance."""
    connection = db.connection()
    columns = frozenset({"template_id"})
    undone, found = 0, None
    for state in states(connection, "integration_template_instance", instance_id, columns=columns):
        if found is not None:
            first, last = connection.execute(
                "SELECT min(seq), max(seq) FROM audit_log"
                " WHERE txn_id = (SELECT txn_id FROM audit_log WHERE seq = ?)",
                (found,),
            ).fetchone()
            earlier = form_rows.before("integration_template_instance", instance_id, first)
            assert earlier is not None  # it was there to be upgraded
            return (int(first), int(last)), earlier
        reason = state.reason or ""
        if reason.startswith(_ROLLBACK):
            undone += 1
        elif reason.startswith(_UPGRADE) and undone:
            undone -= 1
        elif reason.startswith(_UPGRADE):
            found = state.seq
    raise ConflictError(f"{name} was not upgraded since it was made: there is nothing to take back.")
