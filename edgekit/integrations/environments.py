"""The environment a file is used in: what would stop running in another, and the switch to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit import db
from edgekit.errors import NotFoundError
from edgekit.integrations import live
from edgekit.models.core import System


@dataclass(frozen=True, slots=True)
class Readiness:
    """What an integration has in an environment: whether it runs, what stands in the way.

    `missing_secrets` are keys it has where the file is used now, and not there.
    """

    integration: str
    runs: bool
    mappings: int
    live: int
    missing_secrets: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """The environment a file is used in, and how its integrations do in the one that was asked for."""

    environment: str
    wanted: str
    changed: bool
    integrations: tuple[Readiness, ...]


def show_environment(code: str | None = None) -> Place:
    """Return the environment, and how the integrations would do in it or in another. Raise NotFoundError."""
    here = live.environment()
    wanted, target = _find(code or here)
    rows = db.query("SELECT id, integration_name FROM integration WHERE status_id = 1 ORDER BY 2, 1")
    found = tuple(_readiness(row, wanted, target) for row in rows)
    return Place(here.lower(), wanted.lower(), False, found)


def switch_environment(code: str) -> Place:
    """Use the file in another environment from now on, as one change; return how the integrations do there.

    Its secrets are those of the environment, and in production only approved mappings take part in runs.
    Raise NotFoundError (environment), DeniedError for who may not administer the whole file.
    """
    db.current().session.require_file("administer", "switching the environment")
    found = show_environment(code)
    if found.environment == found.wanted:
        return found
    _, target = _find(code)
    with db.change(reason=f"environment {found.wanted}"):
        System.update(environment=target).where(System.id == 1).execute()
    return Place(found.wanted, found.wanted, True, found.integrations)


def _find(code: str) -> tuple[str, int]:
    rows = db.query("SELECT id, code FROM environment WHERE code = ? AND status_id = 1", (code,))
    if not rows:
        known = ", ".join(row["code"].lower() for row in db.query("SELECT code FROM environment ORDER BY id"))
        raise NotFoundError(f"There is no environment {code}.", hint=f"It is one of: {known}.")
    return rows[0]["code"].upper(), rows[0]["id"]


def _readiness(row: dict[str, Any], place: str, target: int) -> Readiness:
    standings = live.standings(row["id"], place=place)
    alive = [one for one in standings if one.live_version is not None]
    keys = db.query(
        "SELECT credential_key FROM integration_credential WHERE integration_id = ?1 AND status_id = 1"
        " AND environment_id = (SELECT environment_id FROM system) AND credential_key NOT IN"
        " (SELECT credential_key FROM integration_credential WHERE integration_id = ?1 AND status_id = 1"
        "  AND environment_id = ?2) ORDER BY id",
        (row["id"], target),
    )
    secrets = tuple(key["credential_key"] for key in keys)
    reason = None
    if secrets:
        reason = f"no secret {', '.join(secrets)}"
    if standings and not alive:
        reason = "no approved mapping" + (f"; {reason}" if reason else "")
    runs = bool(alive or not standings) and not secrets
    return Readiness(row["integration_name"], runs, len(standings), len(alive), secrets, reason)
