"""The versions of what is set at a place: all of them readings of the log, which keeps them for ever."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db, scope
from edgekit.configuration.kinds import find_type
from edgekit.configuration.logged import deleted, states
from edgekit.configuration.resolving import changed_keys, documents, order
from edgekit.configuration.writing import write
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgekit.audit.versions import State
    from edgekit.configuration.kinds import Kind
    from edgekit.configuration.writing import Written
    from edgekit.scope import Link, Named, Place


@dataclass(frozen=True, slots=True)
class Version:
    """What was set at a place by one change: the whole document, and the keys that differ from before.

    `actor` is None for an edit by another tool. `is_active` tells whether it counted.
    """

    version: int
    at: str
    actor: str | None
    reason: str | None
    keys: tuple[str, ...]
    is_active: bool
    config_data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that two versions say differently; a side that does not set it is None and not `*_is_set`."""

    key: str
    old: Any
    new: Any
    old_is_set: bool
    new_is_set: bool


def history(kind: str, *, scope: Place | str = "system", organization: Named | None = None) -> list[Version]:
    """List the versions of what is set of a type at a place, the newest first.

    Raise NotFoundError (type, place).
    """
    found = find_type(kind)
    return _versions(found, _find(scope, organization))


def diff(
    kind: str, old: int, new: int, *, scope: Place | str = "system", organization: Named | None = None
) -> list[Difference]:
    """List the keys that two versions at a place say differently. Raise NotFoundError for a version."""
    found = find_type(kind)
    link = _find(scope, organization)
    versions = _versions(found, link)
    before = _pick(found, link, versions, old).config_data
    after = _pick(found, link, versions, new).config_data
    return [
        Difference(key, before.get(key), after.get(key), key in before, key in after)
        for key in changed_keys(before, after)
    ]


def rollback(
    kind: str, version: int, *, scope: Place | str = "system", organization: Named | None = None
) -> Written:
    """Set at a place again what an earlier version said: as a new version, checked as any other.

    Raise NotFoundError for the version, and as `configuration.set`.
    """
    found = find_type(kind)
    with db.change(reason=f"configuration rollback {found.code} to version {version}"):
        link = _find(scope, organization)
        content = _pick(found, link, _versions(found, link), version).config_data
        return write(found, link, content)


def _find(place: Place | str, organization: Named | None) -> Link:
    return scope.find(place, organization=organization)


def _pick(kind: Kind, link: Link, versions: list[Version], version: int) -> Version:
    found = next((one for one in versions if one.version == version), None)
    if found is None:
        known = ", ".join(str(one.version) for one in versions[:10])
        raise NotFoundError(
            f"{kind.code} has no version {version} for {link.label}.",
            hint=f"Versions are {known}." if known else "Nothing was ever set there.",
        )
    return found


def _timed(steps: Iterable[State]) -> Iterator[tuple[str, int, State]]:
    """Give the states of a document, the last first, none later than the next: clocks may be set back."""
    at = ""
    for step in steps:
        at = min(at or step.at, step.at)
        yield at, step.seq, step


def _versions(kind: Kind, link: Link) -> list[Version]:
    timed: list[tuple[str, int, State]] = []
    for document in sorted(documents(kind, [link]), key=order):
        timed += _timed(states(document.id))
    for row in deleted(kind, link):
        timed += _timed(states(row["id"], row))
    found: list[Version] = []
    before: dict[str, Any] = {}
    for _, _, step in sorted(timed, key=lambda one: one[:2]):
        content = json.loads(step.row["config_data"])
        keys = changed_keys(before, content)
        is_active = step.row["status_id"] in kind.active_states
        if keys or not found or (step.row["version"], is_active) != (found[-1].version, found[-1].is_active):
            found.append(
                Version(step.row["version"], step.at, step.actor, step.reason, keys, is_active, content)
            )
        before = content
    return found[::-1]
