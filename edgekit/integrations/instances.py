"""Integrations as rows: made from a template in one change, found by name, retired."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from edgekit import clock, connectors, db, masking
from edgekit.errors import ConflictError, InvalidError
from edgekit.integrations import figures, form_rows, forms, outbound, reading, templates
from edgekit.models.integrations import Integration, IntegrationTemplateInstance

if TYPE_CHECKING:
    from collections.abc import Mapping

TARGET_SETTINGS = {
    "circuit_breaker", "create", "ignore", "inputs", "keep_inputs", "key", "rate_limits", "table", "to",
}  # fmt: skip
"""Settings of where records go, what drives the source and how often; all others are the connector's."""

_VAULT_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,49}")


def create(
    name: str,
    *,
    template: str,
    settings: Mapping[str, Any] | None = None,
    customizations: Mapping[str, Any] | None = None,
    acknowledge: bool = False,
) -> dict[str, Any]:
    """Make an integration from a template: its row, instance, mappings and pipeline, in one change.

    `template` is a code, for its newest version, or CODE@VERSION. `settings` override the template's
    connection per top-level key; text is read as the setting's kind asks, and `a.b` reaches into an object.
    `customizations` may hold `connection`, `mappings` and `transformations` (by name: over the template's, or
    added) and `pipeline`. What the
    template asks for beforehand must be acknowledged; who did, and when, is kept in the instance. Return
    what `show` returns. Raise NotFoundError (template), InvalidError (a setting, or prerequisites nobody
    acknowledged), ConflictError (the name is taken), LicenseError (one too many).
    """
    source = templates.show_template(template)
    changes = _checked_changes(customizations or {})
    form = customised(source, changes, settings or {})
    name = name.strip()
    check_settings(name, form["settings"])
    known = require_acknowledged(source, acknowledge=acknowledge)
    with db.change(reason=f"integrations create {name}"):
        if reading.rows_named(name):
            raise ConflictError(
                f"There is already an integration {name}.",
                hint="Choose another name. See: edgekit integrations list",
            )
        made = insert(name, source, form, changes | known)
        figures.require_room(made)
    return reading.show(name)


def customised(
    source: Mapping[str, Any], changes: Mapping[str, Any], settings: Mapping[str, Any]
) -> forms.Form:
    """Return the form of a template with the changes of one integration put over it. Raise InvalidError."""
    connection = {**source["connection_template"], **changes.get("connection", {})}
    base = source["mapping_templates"].get("mappings", [])
    own = forms.scripts(changes.get("transformations", []), "transformations of the customizations")
    library = forms.library(source)
    library |= {name: {**library.get(name, {}), **script} for name, script in own.items()}
    pipeline = forms.normal_pipeline({**source["pipeline_template"], **changes.get("pipeline", {})})
    return {
        "settings": with_settings(connection, settings),
        "mappings": _merge_mappings(base, changes.get("mappings", [])),
        "pipeline": forms.with_scripts(pipeline, library),
    }


def check_settings(name: str, connection: Mapping[str, Any]) -> None:
    """Check the settings of an integration as a whole. Raise InvalidError naming the setting."""
    connector = connectors.get(str(connection.get("connector", "")))
    connectors.check_config(connector, connector_config(connection))
    _refuse_secrets(connection)
    if isinstance(connection.get("to"), dict):
        _refuse_secrets(connection["to"])
    outbound.read_way(name, connection)
    if "rate_limits" in connection:
        figures.check_rate_limits(connection["rate_limits"], what=name)
    if "circuit_breaker" in connection:
        figures.check_circuit_breaker(connection["circuit_breaker"], what=name)


def check_known(connection: Mapping[str, Any]) -> None:
    """Check settings that are not whole yet: where they lead, and that nothing in them is a secret.

    Raise NotFoundError for a connector, InvalidError for a setting there is not.
    """
    schema = connectors.get(str(connection.get("connector", ""))).config_schema
    known = {*schema.get("properties", {}), *TARGET_SETTINGS, "connector"}
    unknown = sorted(set(connection) - known)
    if unknown and schema.get("additionalProperties") is False:
        raise InvalidError(f"There is no setting {unknown[0]}.")
    _refuse_secrets(connection)
    to = connection.get("to")
    if to is None:
        return
    if not isinstance(to, dict):
        raise InvalidError("The setting to is an object.")
    _refuse_secrets(to)
    if to.get("connector") != outbound.EVENT:
        connectors.get_destination(str(to.get("connector", "")))


def require_acknowledged(source: Mapping[str, Any], *, acknowledge: bool) -> dict[str, Any]:
    """Return who acknowledges now what a template asks for, as the instance keeps it.

    Raise InvalidError with the list where nobody does.
    """
    wanted = source["prerequisites"]
    if not wanted:
        return {}
    if not acknowledge:
        raise InvalidError(
            f"{source['code']} {source['version']} needs beforehand: {'; '.join(wanted)}.",
            hint="See to it, and say so with: --acknowledge",
        )
    session = db.current().session
    said = {"acknowledged_by": session.username, "acknowledged_at": clock.now_text(), "prerequisites": wanted}
    return {"acknowledgement": {**said, "template_version": source["version"]}}


def insert(name: str, source: Mapping[str, Any], form: forms.Form, customizations: Mapping[str, Any]) -> int:
    """Write the rows of an integration within the open change, and return its id."""
    made = Integration.create(
        integration_name=name,
        integration_type_id=_type_id(source["integration_type"]),
        connection_config=form["settings"],
    )
    IntegrationTemplateInstance.create(
        template_id=source["id"],
        integration_id=made.id,
        instance_name=name,
        customizations=dict(customizations) or None,
        deployed_by=db.current().actor_id,
        organization_id=made.organization_id,
    )
    form_rows.write(made.id, form)
    return int(made.id)


def retire(name: str) -> None:
    """Switch an integration off, keeping its rows and history; its name is free again."""
    row = reading.find(name)
    with db.change(reason=f"integrations retire {name}"):
        retired = f"{row['integration_name'][:75]} (retired {row['id']})"
        Integration.update(status_id=2, integration_name=retired).where(Integration.id == row["id"]).execute()


def connector_config(connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are the connector's own."""
    return {
        key: value for key, value in connection.items() if key not in TARGET_SETTINGS and key != "connector"
    }


def _type_id(code: str) -> int:
    return int(db.query("SELECT id FROM integration_type WHERE code = ?", (code,))[0]["id"])


def with_settings(connection: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put settings over a connection, each read as its kind asks. Raise InvalidError for one nobody knows."""
    connector = connectors.get(str(settings.get("connector", connection.get("connector", ""))))
    kinds: Mapping[str, Any] = connector.config_schema.get("properties", {})
    known = set(kinds) | TARGET_SETTINGS | {"connector"}
    result: dict[str, Any] = json.loads(json.dumps(connection))
    if settings.get("connector", result.get("connector")) != result.get("connector"):
        # Another connector in the place of the template's: what only that one knows is left behind.
        result = {name: value for name, value in result.items() if name in known}
    to = result.get("to")
    if isinstance(to, dict) and settings.get("to.connector", to.get("connector")) != to.get("connector"):
        del result["to"]
    for path, value in settings.items():
        first, *rest = path.split(".")
        if first not in known:
            close = get_close_matches(first, known, n=2)
            hint = (
                f"Did you mean {' or '.join(close)}?"
                if close
                else f"It is one of: {', '.join(sorted(known))}."
            )
            raise InvalidError(f"There is no setting {first}.", hint=hint)
        place = result
        for part in (first, *rest)[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise InvalidError(f"The setting {path} reaches into {part}, which is no object.")
        place[(first, *rest)[-1]] = _read_setting(first, value, {} if rest else kinds.get(first, {}))
    return result


def _read_setting(name: str, value: Any, kind: Mapping[str, Any]) -> Any:
    """Read a setting given as text: JSON if it parses, unless the setting is text by its nature."""
    if not isinstance(value, str) or name in {"table", "key", "ignore"} or "string" in _types(kind):
        return value
    if name == "create":
        return _yes_or_no(name, value)
    try:
        return json.loads(value)
    except ValueError:
        return value


def _yes_or_no(name: str, value: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if value.strip().lower() not in known:
        raise InvalidError(f"{name} is true or false, not {value!r}.")
    return known[value.strip().lower()]


def _types(kind: Mapping[str, Any]) -> list[str]:
    types = kind.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _refuse_secrets(connection: Mapping[str, Any]) -> None:
    """Refuse a log-in or a key in an address, and a secret where its key in the vault belongs.

    The file itself refuses settings that are named like secrets. Raise InvalidError, the value not shown.
    """
    kept = "Leave it out, and store it apart: edgekit vault set INTEGRATION KEY"
    for name, value in connection.items():
        if isinstance(value, str) and masking.holds_secret(value):
            raise InvalidError(f"The setting {name} holds a secret in its address.", hint=kept)
    out = connection.get("to")
    places = {"auth": connection.get("auth"), "verify": connection.get("verify")}
    places["to.auth"] = out.get("auth") if isinstance(out, dict) else None
    for place, settings in places.items():
        for name, value in settings.items() if isinstance(settings, dict) else ():
            if name.endswith("secret") and not _VAULT_KEY.fullmatch(str(value)):
                raise InvalidError(
                    f"The setting {place}.{name} is the key of a secret in the vault, such as api_key;"
                    " what stands there is none.",
                    hint=kept,
                )


def _checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check the shape of customizations. Raise InvalidError for a part nobody knows."""
    kinds = {"connection": dict, "mappings": list, "transformations": list, "pipeline": dict}
    for part, value in changes.items():
        if part not in kinds:
            raise InvalidError(
                f"customizations has no part {part}.", hint=f"Its parts are: {', '.join(kinds)}."
            )
        if not isinstance(value, kinds[part]):
            raise InvalidError(
                f"customizations: {part} is {'a list' if part == 'mappings' else 'an object'}."
            )
    if not all(isinstance(item, dict) for item in changes.get("mappings", [])):
        raise InvalidError("customizations: each of mappings is an object with source_path and target_path.")
    return dict(changes)


def _merge_mappings(base: list[dict[str, Any]], changes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Put customised mappings over the template's, by name."""
    merged = {str(item.get("name") or item.get("target_path")): dict(item) for item in base}
    for item in changes:
        label = str(item.get("name") or item.get("target_path"))
        merged[label] = {**merged.get(label, {}), **item, "name": label}
    return dict(map(forms.normal_mapping, merged.values()))
