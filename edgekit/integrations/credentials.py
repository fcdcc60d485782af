"""The secrets of integrations: sealed by the vault, one row per integration, environment and key."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from edgekit import clock, db, vault
from edgekit.errors import DeniedError, InvalidError, NotFoundError
from edgekit.integrations import reading
from edgekit.models.integrations import IntegrationCredential


def set_credential(name: str, key: str, value: str, *, environment: str | None = None) -> None:
    """Store a secret of an integration, replacing an earlier one.

    `environment` is a code such as STAGING; without it the one this file is used in. Raise NotFoundError
    (integration, environment), VaultLockedError (no or wrong master key), InvalidError (nothing to store).
    """
    integration = reading.find(name)
    if not value:
        raise InvalidError(f"The secret {key} is empty; nothing was stored.")
    environment_id = _environment_id(environment)
    with db.change(reason=f"vault set {integration['integration_name']} {key}"):
        row = _row(integration["id"], environment_id, key, retired=True)
        identity = row["uuid"] if row else str(uuid.uuid4())
        sealed = vault.seal(value, place=_place(identity))
        values: dict[str, Any] = {
            "value_ciphertext": sealed.ciphertext,
            "encryption_key_id": sealed.encryption_key_id,
            "last_rotated_at": clock.now(),
            "expires_at": None,  # that was the earlier one's
            "status_id": 1,
        }
        if row:
            IntegrationCredential.update(**values).where(IntegrationCredential.id == row["id"]).execute()
        else:
            IntegrationCredential.create(
                uuid=identity,
                integration_id=integration["id"],
                environment_id=environment_id,
                credential_key=key,
                **values,
            )


def get_credential(name: str, key: str, *, environment: str | None = None, purpose: str = "reveal") -> str:
    """Return a secret in clear; the use is logged, the value never.

    Raise NotFoundError (no such integration or key), DeniedError (expired), VaultLockedError.
    """
    integration = reading.find(name)
    return _open(
        integration["id"], integration["integration_name"], key, _environment_id(environment), purpose
    )


def list_credentials(name: str | None = None) -> list[dict[str, Any]]:
    """Return which secrets are stored, without their values: integration, environment, key, dates, key id."""
    integration = reading.find(name)["id"] if name else None
    return db.query(
        "SELECT i.integration_name AS integration, e.code AS environment, c.credential_key AS"
        " key, c.expires_at,"
        " c.last_rotated_at, k.uuid AS encryption_key FROM integration_credential c"
        " JOIN integration i ON i.id = c.integration_id JOIN environment e ON e.id = c.environment_id"
        " JOIN encryption_key k ON k.id = c.encryption_key_id"
        " WHERE c.status_id = 1 AND (? IS NULL OR i.id = ?) ORDER BY 1, 2, 3",
        (integration, integration),
    )


class Secrets(Mapping[str, str]):
    """The secrets of one integration as a connector sees them: opened when asked for, each use logged."""

    def __init__(self, integration_id: int, name: str) -> None:
        self._integration_id = integration_id
        self._name = name
        self._environment_id = _environment_id(None)
        self._opened: dict[str, str] = {}

    def __getitem__(self, key: str) -> str:
        if key not in self._opened:
            if _row(self._integration_id, self._environment_id, key) is None:
                raise KeyError(key)
            self._opened[key] = _open(
                self._integration_id, self._name, key, self._environment_id, f"run {self._name}"
            )
        return self._opened[key]

    def __iter__(self) -> Iterator[str]:
        rows = db.query(
            "SELECT credential_key FROM integration_credential WHERE integration_id = ? AND"
            " environment_id = ? AND status_id = 1",
            (self._integration_id, self._environment_id),
        )
        return iter([row["credential_key"] for row in rows])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"Secrets({self._name!r})"


def _open(integration_id: int, name: str, key: str, environment_id: int, purpose: str) -> str:
    row = _row(integration_id, environment_id, key)
    if row is None:
        raise NotFoundError(
            f"{name} has no secret {key} in this environment.",
            hint=f"Store it: edgekit vault set {name} {key}",
        )
    if row["expires_at"] is not None and row["expires_at"] <= clock.now_text():
        raise DeniedError(
            f"The secret {key} of {name} expired on {row['expires_at']}.",
            hint=f"Store a new one: edgekit vault set {name} {key}",
        )
    return vault.open(row["value_ciphertext"], place=_place(row["uuid"]), purpose=purpose).decode()


def _place(identity: str) -> str:
    return f"integration_credential/{identity}/value_ciphertext"


def _row(
    integration_id: int, environment_id: int, key: str, *, retired: bool = False
) -> dict[str, Any] | None:
    rows = db.query(
        "SELECT id, uuid, value_ciphertext, expires_at FROM integration_credential"
        " WHERE integration_id = ? AND environment_id = ? AND credential_key = ?"
        " AND (status_id = 1 OR ?)",
        (integration_id, environment_id, key, retired),
    )
    return rows[0] if rows else None


def _environment_id(code: str | None) -> int:
    if code is None:
        return int(db.query("SELECT environment_id FROM system")[0]["environment_id"])
    rows = db.query("SELECT id FROM environment WHERE code = ?", (code,))
    if not rows:
        known = ", ".join(row["code"].lower() for row in db.query("SELECT code FROM environment ORDER BY id"))
        raise NotFoundError(f"There is no environment {code}.", hint=f"It is one of: {known}.")
    return int(rows[0]["id"])
