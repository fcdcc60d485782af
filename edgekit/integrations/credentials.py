"""The secrets of integrations: sealed by the vault, one row per integration, environment and key."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, vault
from edgekit.audit.log import utc_text
from edgekit.errors import DeniedError, InvalidError, NotFoundError, quoted
from edgekit.integrations import reading
from edgekit.models.integrations import IntegrationCredential

if TYPE_CHECKING:
    from datetime import datetime, timedelta


def set_credential(
    name: str, key: str, value: str, *, environment: str | None = None,
    expires_at: datetime | str | None = None, now: datetime | None = None,
) -> None:  # fmt: skip
    """Store a secret of an integration, replacing an earlier one.

    `environment` is a code such as STAGING; without it the one this file is used in. From `expires_at` on,
    which may be a day, it is refused. Raise NotFoundError (integration, environment), VaultLockedError (no or
    wrong master key), InvalidError (nothing to store, or it has expired already).
    """
    integration = reading.find(name)
    at, until = clock.to_text(now or clock.now()), None if expires_at is None else utc_text(expires_at)
    if until is not None and until <= at:
        raise InvalidError(f"{until} is past: the secret would never serve.", hint="Give a later time.")
    if not key.strip() or not key.isprintable():
        raise InvalidError(f"{key!r} cannot be the name of a secret.", hint="Name it such as api_key.")
    if not value:
        raise InvalidError(f"The secret {key} is empty; nothing was stored.")
    environment_id = _environment_id(environment)
    _store(integration["id"], integration["integration_name"], environment_id, key, value, at=at, until=until)


def get_credential(
    name: str, key: str, *, environment: str | None = None, purpose: str = vault.REVEAL
) -> str:
    """Return a secret in clear; the use is logged, the value never.

    To reveal it to a person takes the right to; a program that opens it for a purpose of its own says which.
    Raise NotFoundError (no such integration or key), DeniedError (expired, or may not), VaultLockedError.
    """
    if purpose == vault.REVEAL:
        db.current().session.require("reveal", "revealing a secret")
    integration = reading.find(name)
    return _open(
        integration["id"], integration["integration_name"], key, _environment_id(environment), purpose
    )


def list_credentials(
    name: str | None = None, *, expiring: timedelta | None = None, now: datetime | None = None
) -> list[dict[str, Any]]:
    """Return which secrets are stored, without their values: where they belong, dates, key.

    `secret` is its mask, `age_days` counts from the last time they were set or rotated. With `expiring` only
    those that have expired, or will within that time, the soonest first.
    """
    integration = reading.find(name)["id"] if name else None
    at = now or clock.now()
    until = None if expiring is None else clock.to_text(at + expiring)
    found = db.query(
        "SELECT i.integration_name AS integration, e.code AS environment, c.credential_key AS key,"
        " '***' AS secret, c.expires_at, c.expires_at IS NOT NULL AND c.expires_at <= ?1 AS is_expired,"
        " c.last_rotated_at,"
        " cast(julianday(?1) - julianday(ifnull(c.last_rotated_at, c.created_at)) AS INTEGER) AS age_days,"
        " k.id AS key_generation, k.uuid AS encryption_key FROM integration_credential c"
        " JOIN integration i ON i.id = c.integration_id JOIN environment e ON e.id = c.environment_id"
        " JOIN encryption_key k ON k.id = c.encryption_key_id"
        " WHERE c.status_id = 1 AND (?2 IS NULL OR i.id = ?2) AND (?3 IS NULL OR c.expires_at <= ?3)"
        " ORDER BY CASE WHEN ?3 IS NOT NULL THEN c.expires_at END, 1, 2, 3",
        (clock.to_text(at), integration, until),
    )
    return [{**row, "is_expired": bool(row["is_expired"])} for row in found]


def unset_credential(name: str, key: str, *, environment: str | None = None) -> None:
    """Take a secret out of use: its value is gone for good, its row stays, retired.

    Raise NotFoundError (integration, environment, key), VaultLockedError.
    """
    integration = reading.find(name)
    environment_id = _environment_id(environment)
    with db.change(reason=f"vault unset {integration['integration_name']} {key}"):
        row = _row(integration["id"], environment_id, key)
        if row is None:
            where = "this environment" if environment is None else environment
            raise _unknown(integration["integration_name"], key, f" in {where}")
        sealed = vault.seal(b"", place=_place(row["uuid"]))  # over the old value: only a backup has it still
        retired = db.query("SELECT id FROM status WHERE code = 'INACTIVE'")[0]["id"]
        IntegrationCredential.update(
            value_ciphertext=sealed.ciphertext,
            encryption_key_id=sealed.encryption_key_id,
            expires_at=None,
            status_id=retired,
        ).where(IntegrationCredential.id == row["id"]).execute()


def rotate_credentials(
    name: str | None = None,
    key: str | None = None,
    *,
    environment: str | None = None,
    older_than: timedelta | None = None,
    now: datetime | None = None,
) -> vault.Rotated:
    """Seal secrets anew under a new key: of one integration, one of them, or, without a name, all there is.

    Without `environment` those of every one. `older_than` leaves out what was set or rotated since. A secret
    stays what it is: a new one comes from its provider, by `set_credential`. Raise NotFoundError,
    InvalidError (a key or environment of no integration), VaultLockedError.
    """
    if name is None and (key is not None or environment is not None):
        raise InvalidError("Say of which integration the secrets are to be rotated.")
    if name is None:
        return vault.rotate(older_than=older_than, now=now)
    integration = reading.find(name)
    found = db.query(
        "SELECT uuid FROM integration_credential WHERE integration_id = ?1 AND status_id = 1"
        " AND (?2 IS NULL OR credential_key = ?2) AND (?3 IS NULL OR environment_id = ?3)",
        (integration["id"], key, None if environment is None else _environment_id(environment)),
    )
    if not found:
        where = "" if environment is None else f" in {environment}"
        raise _unknown(integration["integration_name"], key, where)
    only = [("integration_credential", row["uuid"]) for row in found]
    return vault.rotate(only=only, older_than=older_than, now=now)


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

    def keep(self, key: str, value: str) -> None:
        """Store a secret the other side has given in place of one of these: at once, in its own change."""
        _store(self._integration_id, self._name, self._environment_id, key, value)
        self._opened[key] = value

    def reopen(self, key: str) -> str:
        """Return a secret as it is stored now, whoever has stored it since."""
        self._opened.pop(key, None)
        return self[key]

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
        raise _unknown(name, key)
    if row["expires_at"] is not None and row["expires_at"] <= clock.now_text():
        raise DeniedError(
            f"The secret {key} of {name} expired on {row['expires_at']}.",
            hint=f"Store a new one: edgekit vault set {quoted(name)} {quoted(key)}",
        )
    return vault.open(row["value_ciphertext"], place=_place(row["uuid"]), purpose=purpose).decode()


def _store(
    integration_id: int, name: str, environment_id: int, key: str, value: str, *,
    at: str | None = None, until: str | None = None,
) -> None:  # fmt: skip
    """Seal a secret and write it, over an earlier one if there is one."""
    with db.change(reason=f"vault set {name} {key}"):
        row = _row(integration_id, environment_id, key, retired=True)
        identity = row["uuid"] if row else str(uuid.uuid4())
        sealed = vault.seal(value, place=_place(identity))
        values: dict[str, Any] = {
            "value_ciphertext": sealed.ciphertext,
            "encryption_key_id": sealed.encryption_key_id,
            "last_rotated_at": at or clock.now_text(),
            "expires_at": until,  # without one, that of the earlier secret is gone as well
            "status_id": 1,
        }
        if row:
            IntegrationCredential.update(**values).where(IntegrationCredential.id == row["id"]).execute()
        else:
            IntegrationCredential.create(
                uuid=identity,
                integration_id=integration_id,
                environment_id=environment_id,
                credential_key=key,
                **values,
            )


def _unknown(name: str, key: str | None, where: str = " in this environment") -> NotFoundError:
    if key is None:
        return NotFoundError(
            f"{name} has no secrets{where}.", hint=f"Store one: edgekit vault set {quoted(name)} KEY"
        )
    return NotFoundError(
        f"{name} has no secret {key}{where}.",
        hint=f"See: edgekit vault list {quoted(name)};"
        f" to store it: edgekit vault set {quoted(name)} {quoted(key)}",
    )


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
