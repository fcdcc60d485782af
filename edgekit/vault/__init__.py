"""The vault: seal a secret for its place, open it again, and know who did.

    sealed = vault.seal(api_key, place=f"integration_credential/{uuid}/value_ciphertext")
    vault.open(sealed.ciphertext, place=…, purpose="run of DCS_DRIVER_API")

Secrets are sealed by a data key. Data keys are rows of `encryption_key`, themselves sealed by the master key,
which is never in the file. It is looked for in this order, and a variable that is set ends the search:

1. `EDGEKIT_MASTER_KEY`: 32 bytes in base64, or `passphrase:` and the words (scrypt; its salt is in the file);
2. `EDGEKIT_MASTER_KEY_FILE`: a file holding the same, readable by its owner alone;
3. the keyring of the operating system (service `edgekit`, user the site's uuid), with the `keyring` extra;
4. `keys/<site>.key` in `EDGEKIT_HOME`, else in the user's data folder.

In the last two an entry whose name ends with the fingerprint of the key a file expects comes first: there lie
the keys of `rotate_master`, beside older ones, which older backups expect.

A master key is only ever made where nothing is sealed yet: a new one could not open what an older one sealed.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import clock, crypto, db, masking
from edgekit.errors import EdgekitError, InvalidError, VaultLockedError
from edgekit.schema import quote_name
from edgekit.vault import keys, master, signing

if TYPE_CHECKING:
    from edgekit.vault.fields import (
        FoundField,
        find_by_license_key,
        find_field,
        list_fields,
        list_uses,
        open_field,
        set_field,
    )
    from edgekit.vault.health import doctor
    from edgekit.vault.master import Master, Source
    from edgekit.vault.recovery import Kit, make_kit, read_kit, recover
    from edgekit.vault.rotation import Rotated, rotate, rotate_master, start_over

_HOMES = {
    "FoundField": "fields",
    "Kit": "recovery",
    "Rotated": "rotation",
    "doctor": "health",
    "find_by_license_key": "fields",
    "find_field": "fields",
    "list_fields": "fields",
    "list_uses": "fields",
    "make_kit": "recovery",
    "open_field": "fields",
    "read_kit": "recovery",
    "recover": "recovery",
    "rotate": "rotation",
    "rotate_master": "rotation",
    "set_field": "fields",
    "start_over": "rotation",
}

__all__ = [
    "FoundField",
    "InitResult",
    "Kit",
    "Rotated",
    "Sealed",
    "Status",
    "doctor",
    "find_by_license_key",
    "find_field",
    "init",
    "list_fields",
    "list_uses",
    "lock",
    "make_kit",
    "open",
    "open_field",
    "read_kit",
    "recover",
    "rotate",
    "rotate_master",
    "seal",
    "set_field",
    "start_over",
    "status",
]


REVEAL = "reveal"
"""The purpose of who shows a secret to a person."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed secret: what the row that owns it stores."""

    ciphertext: bytes = field(repr=False)
    encryption_key_id: int


@dataclass(frozen=True, slots=True)
class InitResult:
    """Which master key the vault uses, and whether it was made just now."""

    source: Source
    location: str
    fingerprint: str
    created: bool


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the vault: `problem` is None when all opens, `secrets` counts values by `table.column`."""

    problem: str | None
    source: Source | None
    location: str | None
    expected_fingerprint: str | None
    key_generations: int
    secrets: dict[str, int]
    uses: int
    last_used_at: str | None
    warnings: tuple[str, ...]


def __getattr__(name: str) -> Any:
    # A run only opens: what looks after the keys waits until it is asked for.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def init(*, in_keyring: bool = False) -> InitResult:
    """Make the vault usable: its first data key, the key that signs the log, a master key if none is found.

    Repeating it is safe. A new master key goes to the keyring if asked, else to `EDGEKIT_MASTER_KEY_FILE` if
    that is set, else to the user's data folder. Raise VaultLockedError where something is sealed already and
    its master key is missing or another, InvalidError for a short passphrase or a place beside the database,
    DeniedError for who may not make keys.
    """
    if not keys.data():
        with db.change(reason="vault init"):
            if not keys.data():  # else another process was faster
                return _create_first_key(in_keyring=in_keyring)
    generations = keys.data()
    found = keys.require_master(generations)
    keys.unwrap(found, generations)
    _add_signing_key(found, generations[0].kdf)
    return InitResult(found.source, found.location, generations[0].master_fingerprint, created=False)


def seal(plaintext: bytes | str, *, place: str) -> Sealed:
    """Seal a secret for the one place that may open it: `table/uuid of the row/column`.

    Call it in the change that stores the result, so that no rotation comes between. Raise VaultLockedError
    where the vault has no key yet, or its master key is missing or wrong.
    """
    active = "SELECT id FROM encryption_key WHERE purpose = 'data' AND retired_at IS NULL"
    row = db.connection().execute(active).fetchone()
    if row is None:
        raise VaultLockedError(keys.NO_KEY, hint="Run: edgekit vault init")
    open_keys = keys.held()
    if row[0] not in open_keys.by_id:  # the first use, or another process has rotated
        open_keys = keys.unlock()
    if isinstance(plaintext, str):
        try:
            plaintext = plaintext.encode()
        except UnicodeEncodeError:  # its own text would show the secret
            raise InvalidError(
                "The secret is not valid text.", hint="Write other bytes in base64 first."
            ) from None
    return Sealed(crypto.encrypt(open_keys.by_id[row[0]], plaintext, context=place), row[0])


def open(  # noqa: A001 - read as vault.open
    ciphertext: bytes, *, place: str, purpose: str = "use", is_secret: bool = True
) -> bytes:
    """Open a sealed secret and note the use in `vault_use_log`; what was sealed as text comes as UTF-8.

    From then on no text says it, unless it is no secret itself but data that is kept sealed.
    The note belongs to the open change if there is one, and is undone with it. Raise VaultLockedError without
    the right key, CorruptError if the value was altered or moved; then nothing is noted.
    """
    open_keys = keys.held()
    if crypto.sealed_check(ciphertext) not in open_keys.by_check:
        open_keys = keys.unlock()
    plaintext = open_keys.open(ciphertext, place)
    if plaintext is None:
        raise VaultLockedError(
            f"{place} was sealed under a key this file does not have.",
            hint="Set the secret again, or restore a backup.",
        )
    process = f"{Path(sys.argv[0]).name[:150] or 'python'}[{os.getpid()}]"
    with db.change(reason="vault open") as change:
        db.connection().execute(
            "INSERT INTO vault_use_log(used_at, actor, place, purpose, process, correlation_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (clock.now_text(), change.actor, place, purpose, process, change.correlation_id),
        )
    if is_secret:
        masking.note(plaintext.decode("utf-8", "replace"))
    return plaintext


def lock() -> None:
    """Forget the keys this process holds; the next use looks for the master key again."""
    keys.lock()
    masking.forget()


def status() -> Status:
    """Say which master key is in use, whether it opens every key of the file, and how much is sealed."""
    found: Master | None = None
    problem: str | None = None
    expected: str | None = None
    count = db.query("SELECT count(*) AS n FROM encryption_key WHERE purpose = 'data'")[0]["n"]
    try:
        generations = keys.data()
        expected = generations[0].master_fingerprint if generations else None
        found, looked = master.search(db.current().site, db.current().path, expected=expected)
        if generations:
            everything = keys.read(db.connection())
            keys.unwrap(keys.check_found(found, looked, generations), everything, all_of_them=True)
        else:
            problem = f"{keys.NO_KEY} Run: edgekit vault init"
    except EdgekitError as error:
        problem = f"{error.message} {error.hint}" if error.hint else error.message
    used = db.query("SELECT count(*) AS uses, max(used_at) AS last FROM vault_use_log")[0]
    return Status(
        problem=problem,
        source=found.source if found else None,
        location=found.location if found else None,
        expected_fingerprint=expected,
        key_generations=count,
        secrets=_count_secrets(),
        uses=used["uses"],
        last_used_at=used["last"],
        warnings=found.warnings if found else (),
    )


def _create_first_key(*, in_keyring: bool) -> InitResult:
    opened = db.current()
    if orphans := _count_secrets():
        where = ", ".join(orphans)
        raise VaultLockedError(
            f"There are sealed values ({where}) but no key in encryption_key; no new key was made.",
            hint="Restore a backup that has the keys.",
        )
    # Before a master key is made: one that is not used lies about for ever.
    opened.session.require_file("administer", "making the keys of the vault")
    found, _ = master.search(opened.site, opened.path)
    created = found is None
    if found is None:
        found = master.create(opened.site, opened.path, in_keyring=in_keyring)
    kdf = found.new_kdf()
    key = found.key(kdf)
    if key is None:
        raise VaultLockedError(f"{found.location} holds no usable master key.")
    for purpose in ("data", "lookup"):
        keys.add(db.connection(), purpose, crypto.random_key(), master_key=key, kdf=kdf)
    signing.create(db.connection(), key, kdf, created_by=opened.actor_id)
    return InitResult(found.source, found.location, crypto.fingerprint(key), created)


def _add_signing_key(found: Master, kdf: crypto.Scrypt | None) -> None:
    """Give the file the key its log is signed with, where it has none."""
    key = found.key(kdf)
    if key is not None and not signing.exists(db.connection()):
        with db.change(reason="vault init"):
            signing.create(db.connection(), key, kdf, created_by=db.current().actor_id)


def _count_secrets() -> dict[str, int]:
    """Count the sealed values of the file by `table.column`, found in the catalogue; keys are not counted."""
    connection = db.connection()
    columns = connection.execute(
        r"SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        r" AND m.sql NOT LIKE 'CREATE VIRTUAL%' AND m.name <> 'encryption_key'"
        r" AND c.name LIKE '%\_ciphertext' ESCAPE '\'"
    ).fetchall()
    found = {}
    for table, column in columns:
        name = quote_name(column)
        # A user's own column may have such a name: ours start with the version of the sealed form.
        row = connection.execute(
            f"SELECT count(*) FROM {quote_name(table)} WHERE typeof({name}) = 'blob'"
            f" AND length({name}) >= {crypto.OVERHEAD} AND substr({name}, 1, 1) = x'01'"
        ).fetchone()
        if row[0]:
            found[f"{table}.{column}"] = row[0]
    return found
