"""The vault: seal a secret for its place, open it again, and know who did.

    sealed = vault.seal(api_key, place=f"integration_credential/{uuid}/value_ciphertext")
    vault.open(sealed.ciphertext, place=…, purpose="run of DCS_DRIVER_API")

Secrets are sealed by a data key. Data keys are rows of `encryption_key`, themselves sealed by the master key,
which is never in the file. It is looked for in this order, and a variable that is set ends the search:

1. `EDGEKIT_MASTER_KEY`: 32 bytes in base64, or `passphrase:` and the words (scrypt; its salt is in the file);
2. `EDGEKIT_MASTER_KEY_FILE`: a file holding the same, readable by its owner alone;
3. the keyring of the operating system (service `edgekit`, user the site's uuid), with the `keyring` extra;
4. `keys/<site>.key` in `EDGEKIT_HOME`, else in the user's data folder.

A master key is only ever made where nothing is sealed yet: a new one could not open what an older one sealed.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from edgekit import clock, crypto, db
from edgekit.errors import EdgekitError, InvalidError, VaultLockedError
from edgekit.schema import quote_name
from edgekit.vault import master, signing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.vault.master import Master, Source

__all__ = ["InitResult", "Sealed", "Status", "init", "lock", "open", "seal", "status"]


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


@dataclass(frozen=True, slots=True)
class _Generation:
    """A row of `encryption_key`."""

    id: int
    uuid: str
    wrapped: bytes = field(repr=False)
    master_fingerprint: str
    kdf: crypto.Scrypt | None

    @property
    def place(self) -> str:
        return f"encryption_key/{self.uuid}/wrapped_key_ciphertext"


@dataclass(frozen=True, slots=True)
class _DataKeys:
    """The data keys of a file, opened, by row and by the check a sealed value carries."""

    by_id: dict[int, bytes] = field(default_factory=dict, repr=False)
    by_check: dict[bytes, bytes] = field(default_factory=dict, repr=False)


_opened: WeakKeyDictionary[db.Database, _DataKeys] = WeakKeyDictionary()


def init(*, in_keyring: bool = False) -> InitResult:
    """Make the vault usable: its first data key, the key that signs the log, a master key if none is found.

    Repeating it is safe. A new master key goes to the keyring if asked, else to `EDGEKIT_MASTER_KEY_FILE` if
    that is set, else to the user's data folder. Raise VaultLockedError where something is sealed already and
    its master key is missing or another, InvalidError for a short passphrase or a place beside the database.
    """
    if not _generations():
        with db.change(reason="vault init"):
            if not _generations():  # else another process was faster
                return _create_first_key(in_keyring=in_keyring)
    generations = _generations()
    found = _require_master(generations)
    _unwrap(found, generations)
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
        raise VaultLockedError("The vault of this file has no key yet.", hint="Run: edgekit vault init")
    keys = _held()
    if row[0] not in keys.by_id:  # the first use, or another process has rotated
        keys = _unlock()
    if isinstance(plaintext, str):
        try:
            plaintext = plaintext.encode()
        except UnicodeEncodeError:  # its own text would show the secret
            raise InvalidError("The secret is not valid text.", hint="Give it as bytes.") from None
    return Sealed(crypto.encrypt(keys.by_id[row[0]], plaintext, context=place), row[0])


def open(ciphertext: bytes, *, place: str, purpose: str = "use") -> bytes:  # noqa: A001 - read as vault.open
    """Open a sealed secret and note the use in `vault_use_log`; what was sealed as text comes as UTF-8.

    The note belongs to the open change if there is one, and is undone with it. Raise VaultLockedError without
    the right key, CorruptError if the value was altered or moved; then nothing is noted.
    """
    check = crypto.sealed_check(ciphertext)
    keys = _held()
    if check not in keys.by_check:
        keys = _unlock()
    if check not in keys.by_check:
        raise VaultLockedError(
            f"{place} was sealed under a key this file does not have.",
            hint="Set the secret again, or restore a backup.",
        )
    plaintext = crypto.decrypt(keys.by_check[check], ciphertext, context=place)
    process = f"{Path(sys.argv[0]).name[:150] or 'python'}[{os.getpid()}]"
    with db.change(reason="vault open") as change:
        db.connection().execute(
            "INSERT INTO vault_use_log(used_at, actor, place, purpose, process, correlation_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (clock.now_text(), change.actor, place, purpose, process, change.correlation_id),
        )
    return plaintext


def lock() -> None:
    """Forget the keys this process holds; the next use looks for the master key again."""
    _opened.clear()


def status() -> Status:
    """Say which master key is in use, whether it opens every key of the file, and how much is sealed."""
    found: Master | None = None
    problem: str | None = None
    expected: str | None = None
    count = db.query("SELECT count(*) AS n FROM encryption_key WHERE purpose = 'data'")[0]["n"]
    try:
        found, looked = master.search(db.current().site, db.current().path)
        generations = _generations()
        if generations:
            expected = generations[0].master_fingerprint
            _unwrap(_check_found(found, looked, generations), generations, all_of_them=True)
        else:
            problem = "The vault of this file has no key yet. Run: edgekit vault init"
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
    found, _ = master.search(opened.site, opened.path)
    created = found is None
    if found is None:
        found = master.create(opened.site, opened.path, in_keyring=in_keyring)
    kdf = found.new_kdf()
    key = found.key(kdf)
    if key is None:
        raise VaultLockedError(f"{found.location} holds no usable master key.")
    name, row = crypto.fingerprint(key), str(uuid.uuid4())
    wrapped = crypto.encrypt(key, crypto.random_key(), context=f"encryption_key/{row}/wrapped_key_ciphertext")
    db.connection().execute(
        "INSERT INTO encryption_key(uuid, wrapped_key_ciphertext, master_fingerprint, kdf, created_by)"
        " VALUES (?, ?, ?, ?, ?)",
        (row, wrapped, name, json.dumps(kdf.as_dict()) if kdf else None, opened.actor_id),
    )
    signing.create(db.connection(), key, kdf, created_by=opened.actor_id)
    return InitResult(found.source, found.location, name, created)


def _add_signing_key(found: Master, kdf: crypto.Scrypt | None) -> None:
    """Give the file the key its log is signed with, where it has none."""
    key = found.key(kdf)
    if key is not None and not signing.exists(db.connection()):
        with db.change(reason="vault init"):
            signing.create(db.connection(), key, kdf, created_by=db.current().actor_id)


def _generations() -> list[_Generation]:
    """Read the keys of the file, still sealed: the active one first, then from new to old."""
    rows = db.connection().execute(
        "SELECT id, uuid, wrapped_key_ciphertext, master_fingerprint, kdf FROM encryption_key"
        " WHERE purpose = 'data' ORDER BY retired_at IS NOT NULL, id DESC"
    )
    return [
        _Generation(
            key, name, wrapped, fingerprint, crypto.Scrypt.from_dict(json.loads(kdf)) if kdf else None
        )
        for key, name, wrapped, fingerprint, kdf in rows
    ]


def _held() -> _DataKeys:
    """Return the data keys this process holds for the opened file; empty before the first use."""
    return _opened.get(db.current()) or _DataKeys()


def _unlock() -> _DataKeys:
    """Open the data keys of the file with the master key, and hold them until the file is closed."""
    generations = _generations()
    if not generations:
        raise VaultLockedError("The vault of this file has no key yet.", hint="Run: edgekit vault init")
    keys = _unwrap(_require_master(generations), generations)
    _opened[db.current()] = keys
    return keys


def _require_master(generations: Sequence[_Generation]) -> Master:
    """Find the master key of the active generation, or raise VaultLockedError naming what is expected."""
    found, looked = master.search(db.current().site, db.current().path)
    return _check_found(found, looked, generations)


def _check_found(found: Master | None, looked: list[str], generations: Sequence[_Generation]) -> Master:
    active = generations[0]
    wanted = f"{'the passphrase of ' if active.kdf else ''}key {active.master_fingerprint}"
    if found is None:
        raise VaultLockedError(
            f"No master key: this file expects {wanted}.",
            hint=f"Looked in {', '.join(looked)}. Bring the key back: a new one could not open the secrets.",
        )
    key = found.key(active.kdf)
    if key is not None and crypto.fingerprint(key) == active.master_fingerprint:
        return found
    if key is None and found.random_key is not None:
        key = found.random_key
    name = f"key {crypto.fingerprint(key)}" if key is not None else "a passphrase"
    raise VaultLockedError(
        f"Wrong master key: this file expects {wanted}, {found.location} is {name}.",
        hint="Nothing was changed. Put the expected key there, or remove this one if it hides the right one.",
    )


def _unwrap(found: Master, generations: Sequence[_Generation], *, all_of_them: bool = False) -> _DataKeys:
    """Open the data keys sealed by this master key; those sealed by another are left out, or refused."""
    keys = _DataKeys()
    derived: dict[crypto.Scrypt | None, bytes | None] = {}
    for generation in generations:
        if generation.kdf not in derived:  # a passphrase takes a tenth of a second
            derived[generation.kdf] = found.key(generation.kdf)
        key = derived[generation.kdf]
        if key is None or crypto.fingerprint(key) != generation.master_fingerprint:
            if all_of_them:
                raise VaultLockedError(
                    f"Key generation {generation.id} is sealed by master key {generation.master_fingerprint},"
                    " which is not the one in use."
                )
            continue
        data_key = crypto.decrypt(key, generation.wrapped, context=generation.place)
        keys.by_id[generation.id] = data_key
        keys.by_check[crypto.key_check(data_key)] = data_key
    return keys


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
