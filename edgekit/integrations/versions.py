"""The versions of an integration's settings: readings of the log, which keeps them for ever."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db
from edgekit.audit.versions import states
from edgekit.configuration.resolving import changed_keys
from edgekit.configuration.versions import Difference
from edgekit.errors import InvalidError, NotFoundError
from edgekit.integrations import reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAYS = frozenset({"connection_config", "version"})


@dataclass(frozen=True, slots=True)
class Version:
    """An integration's settings from one change on, and the keys that differ from before.

    `actor` is None for an edit by another tool. A version without keys changed something else: its name.
    """

    version: int
    at: str
    actor: str | None
    reason: str | None
    keys: tuple[str, ...]
    settings: dict[str, Any]


def history(name: str) -> list[Version]:
    """List the versions of an integration's settings, the newest first. Raise NotFoundError."""
    record = int(reading.find(name)["id"])
    found: list[Version] = []
    before: dict[str, Any] = {}
    for state in reversed(list(states(db.connection(), "integration", record, columns=_SAYS))):
        settings = json.loads(state.row["connection_config"])
        keys = changed_keys(before, settings)
        found.append(Version(state.row["version"], state.at, state.actor, state.reason, keys, settings))
        before = settings
    return found[::-1]


def diff(name: str, old: int, new: int) -> list[Difference]:
    """List the settings that two versions say differently. Raise NotFoundError (integration, version)."""
    versions = history(name)
    before, after = _pick(name, versions, old).settings, _pick(name, versions, new).settings
    return [
        Difference(key, before.get(key), after.get(key), key in before, key in after)
        for key in changed_keys(before, after)
    ]


def set_settings(
    name: str, settings: Mapping[str, Any], *, unset: Sequence[str] = (), why: str | None = None
) -> dict[str, Any]:
    """Change settings of an integration, as its next version; return it as `show` does.

    `settings` are read as by `create`: text as the setting's kind asks, `a.b` reaching into an object; those
    of `unset` are taken out. What is so already makes no version. Raise NotFoundError, InvalidError naming
    the setting, RuleError for a secret.
    """
    from edgekit.integrations import instances

    with db.change(reason=why or f"integrations set {name}"):
        row = reading.find(name)
        wanted = instances.with_settings(row["connection_config"], settings)
        for path in unset:
            *places, last = path.split(".")
            holder = wanted
            for place in places:
                holder = holder.get(place, {}) if isinstance(holder, dict) else {}
            if not isinstance(holder, dict) or last not in holder:
                raise InvalidError(f"{name} has no setting {path}.")
            del holder[last]
        instances.check_settings(name, wanted)
        if changed_keys(row["connection_config"], wanted):
            store_settings(row["id"], wanted)
    return reading.show(name)


def rollback(name: str, version: int) -> dict[str, Any]:
    """Give an integration the settings of an earlier version, as a new one; return it as `show` does.

    Settings that are so already are not written. Raise NotFoundError (integration, version), RuleError for
    what the file no longer allows.
    """
    with db.change(reason=f"integrations rollback {name} to version {version}"):
        row = reading.find(name)
        settings = _pick(name, history(name), version).settings
        if changed_keys(row["connection_config"], settings):
            store_settings(row["id"], settings)
    return reading.show(name)


def store_settings(integration_id: int, settings: Mapping[str, Any]) -> None:
    """Write settings in the open change, and close the breakers: they may lead elsewhere, or be mended."""
    from edgekit.models.integrations import Integration
    from edgekit.models.runner import CircuitBreaker

    changed = Integration.get_by_id(integration_id)
    changed.connection_config = settings
    closed = {"breaker_status": "closed", "failure_count": 0, "opened_at": None, "retry_at": None}
    failed = (CircuitBreaker.breaker_status != "closed") | (CircuitBreaker.failure_count > 0)
    if (
        CircuitBreaker.update(**closed)
        .where(CircuitBreaker.integration_id == integration_id, failed)
        .execute()
    ):
        changed.health_status = None
    changed.save()


def _pick(name: str, versions: Sequence[Version], version: int) -> Version:
    found = next((one for one in versions if one.version == version), None)
    if found is None:
        known = ", ".join(str(one.version) for one in versions[:10])
        raise NotFoundError(
            f"The integration {name} has no version {version}.", hint=f"Versions are {known}."
        )
    return found
