"""Whether an integration may be used, and switching it on and off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit import db, licensing
from edgekit.errors import ConflictError, DeniedError, NotFoundError, quoted
from edgekit.integrations import figures, reading

_ENABLED, _DISABLED = 1, 2
_GOES_ON = {"ACTIVE", "DEPRECATED"}
"""States of a type whose integrations run: a deprecated one is kept for what uses it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold before an integration is used; without one that `blocks` no run begins."""

    name: str
    holds: bool
    blocks: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Use:
    """Whether the user may use an integration, and why."""

    integration: str
    usable: bool
    conditions: tuple[Condition, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What stands in the way."""
        return tuple(condition.reason for condition in self.conditions if not condition.holds)


def usable(name: str) -> Use:
    """Say whether the user may run an integration: all conditions, and what stands in the way of each.

    Its type is active (or deprecated: kept for what uses it); it is enabled; it belongs to the user's
    organization; the role allows it; and the feature of its type is licensed for the user, which blocks where
    the installed licence does. Raise NotFoundError where the user sees no such integration.
    """
    row = _row(name)
    conditions = (_type(row), _enabled(row), _own(row), _role(), _feature(row))
    return Use(row["name"], all(c.holds or not c.blocks for c in conditions), conditions)


def require_usable(name: str) -> None:
    """Go on only where `usable` says so. Raise DeniedError with the reasons, LicenseError if that is one."""
    row = _row(name)
    found = [
        condition for condition in (_type(row), _enabled(row), _own(row), _role()) if not condition.holds
    ]
    if found:
        raise DeniedError(
            f"{row['name']} cannot be used: {' '.join(condition.reason for condition in found)}",
            hint=f"See: edgekit integrations usable {quoted(row['name'])}",
        )
    licensing.require(row["feature"], **_place(row))


def enable(name: str) -> dict[str, Any]:
    """Switch an integration on again, with all it had, and return it as `show` does.

    Raise LicenseError where it is one more than the installed licence, which blocks, allows.
    """
    _switch(name, _ENABLED, "enable")
    return reading.show(name)


def disable(name: str) -> None:
    """Switch an integration off for a while: it keeps its name, settings, secrets and history.

    It does not run until it is enabled. Raise NotFoundError where the user sees no such integration.
    """
    _switch(name, _DISABLED, "disable")


def _switch(name: str, status: int, verb: str) -> None:
    from edgekit.models.integrations import Integration

    row = _row(name)
    if row["status_id"] != status:
        with db.change(reason=f"integrations {verb} {row['name']}"):
            Integration.update(status_id=status).where(Integration.id == row["id"]).execute()
            if status == _ENABLED:
                figures.require_room(row["id"])


def _row(name: str) -> dict[str, Any]:
    rows = db.query(
        "SELECT i.id, i.integration_name AS name, i.organization_id, i.status_id, t.code AS type,"
        " s.code AS type_status, f.code AS feature FROM integration i"
        " JOIN integration_type t ON t.id = i.integration_type_id JOIN status s ON s.id = t.status_id"
        " JOIN feature f ON f.id = t.feature_id WHERE i.integration_name = ?1"
        f" AND {reading.MEANT} ORDER BY i.status_id <> 1, i.organization_id IS NULL, i.id",
        (name, reading.meant()),
    )
    if not rows:
        reading.find(name)  # which says what comes close
        raise NotFoundError(f"There is no integration {name}.")
    if len({row["organization_id"] for row in rows} - {None}) > 1:  # only who sees all meets them
        raise ConflictError(
            f"Several organizations have an integration {name}.",
            hint="Work as a user of the one that is meant: edgekit --actor NAME …",
        )
    return rows[0]


def _type(row: dict[str, Any]) -> Condition:
    state = row["type_status"]
    return Condition(
        "type", state in _GOES_ON, True,
        f"Its type {row['type']} is {state.lower()}.",
    )  # fmt: skip


def _enabled(row: dict[str, Any]) -> Condition:
    on = row["status_id"] == _ENABLED
    return Condition("enabled", on, True, "It is enabled." if on else "It is disabled.")


def _own(row: dict[str, Any]) -> Condition:
    session = db.current().session
    own = session.sees_all or row["organization_id"] == session.organization_id
    said = (
        "It belongs to the organization." if own else "It is shared by all: only who sees everything runs it."
    )
    return Condition("organization", own, True, said)


def _role() -> Condition:
    session = db.current().session
    may = "edit" in session.rights
    return Condition(
        "role", may, True, f"The role {session.role} {'allows' if may else 'does not allow'} it."
    )


def _feature(row: dict[str, Any]) -> Condition:
    found = licensing.check(row["feature"], **_place(row))
    return Condition(
        "feature", found.enabled, found.mode == "block", f"Feature {row['feature']}: {found.message}"
    )


def _place(row: dict[str, Any]) -> dict[str, Any]:
    """Where it is used: by the user, with their tier; what the system runs, by the organization."""
    session = db.current().session
    place: dict[str, Any] = {"organization": row["organization_id"]}
    return place if session.sees_all else {**place, "user": session.user_id}
