"""The keys of a file: rows of `encryption_key`, opened by the master key and held while the file is open."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from edgekit import clock, crypto, db
from edgekit.errors import VaultLockedError
from edgekit.vault import master

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edgekit.vault.master import Master

Purpose = Literal["data", "signing", "lookup"]

NO_KEY = "The vault of this file has no key yet."


@dataclass(frozen=True, slots=True)
class Generation:
    """A row of `encryption_key`; the times are stored text."""

    id: int
    uuid: str
    purpose: str
    wrapped: bytes = field(repr=False)
    master_fingerprint: str
    kdf: crypto.Scrypt | None
    activated_at: str
    retired_at: str | None
    recovery_kit_at: str | None = None
    drilled_at: str | None = None

    @property
    def place(self) -> str:
        """What its wrapped key is bound to."""
        return place(self.uuid)

    def unwrap(self, master_key: bytes) -> bytes:
        """Open the key. Raise VaultLockedError (another master key), CorruptError (altered or moved)."""
        return crypto.decrypt(master_key, self.wrapped, context=self.place)


@dataclass(frozen=True, slots=True)
class OpenKeys:
    """Keys of a file, opened: by row, and the data keys by the check a sealed value carries.

    `active` and `lookup` are the ids of the rows that serve what is written now, if their keys are open.
    """

    by_id: dict[int, bytes] = field(default_factory=dict, repr=False)
    by_check: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    active: int | None = None
    lookup: int | None = None

    def open(self, sealed: bytes, place: str) -> bytes | None:
        """Open a sealed value; None if its key is not among these. Raise CorruptError if it was altered."""
        key = self.by_check.get(crypto.sealed_check(sealed))
        return None if key is None else crypto.decrypt(key, sealed, context=place)


opened: WeakKeyDictionary[db.Database, OpenKeys] = WeakKeyDictionary()
"""The keys this process holds, by opened file."""


def place(row: str) -> str:
    """Say what the wrapped key of a row is bound to."""
    return f"encryption_key/{row}/wrapped_key_ciphertext"


def read(connection: sqlite3.Connection, *purposes: Purpose) -> list[Generation]:
    """Read the keys of a file, still sealed: those in use first, then from new to old. All without a purpose.

    A file of an older schema, such as a backup, is read as well.
    """
    known = {row[0] for row in connection.execute("SELECT name FROM pragma_table_info('encryption_key')")}
    if not known:
        return []
    newer = ", ".join(name if name in known else "NULL" for name in ("recovery_kit_at", "drilled_at"))
    purpose = "purpose" if "purpose" in known else "'data'"
    rows = connection.execute(
        f"SELECT id, uuid, {purpose}, wrapped_key_ciphertext, master_fingerprint, kdf, activated_at,"
        f" retired_at, {newer} FROM encryption_key ORDER BY retired_at IS NOT NULL, id DESC"
    )
    found = [
        Generation(
            number, name, kind, wrapped, fingerprint,
            crypto.Scrypt.from_dict(json.loads(kdf)) if kdf else None, *times,
        )
        for number, name, kind, wrapped, fingerprint, kdf, *times in rows
    ]  # fmt: skip
    return [generation for generation in found if not purposes or generation.purpose in purposes]


def data() -> list[Generation]:
    """Read the data keys of the opened file, the active one first."""
    return read(db.connection(), "data")


def require_data() -> list[Generation]:
    """Read the data keys of the opened file, the active one first. Raise VaultLockedError if it has none."""
    found = data()
    if not found:
        raise VaultLockedError(NO_KEY, hint="Run: edgekit vault init")
    return found


def held() -> OpenKeys:
    """Return the keys this process holds for the opened file; empty before the first use."""
    return opened.get(db.current()) or OpenKeys()


def lock() -> None:
    """Forget every key this process holds."""
    opened.clear()


def unlock() -> OpenKeys:
    """Open the keys of the file with the master key, and hold them until the file is closed.

    Raise VaultLockedError where there is no key, or its master key is missing or another.
    """
    found = require_master(require_data())
    keys = unwrap(found, read(db.connection(), "data", "lookup"))
    opened[db.current()] = keys
    return keys


def require_master(generations: Sequence[Generation]) -> Master:
    """Find the master key of the active generation, or raise VaultLockedError naming what is expected."""
    here = db.current()
    found, looked = master.search(here.site, here.path, expected=generations[0].master_fingerprint)
    return check_found(found, looked, generations)


def check_found(found: Master | None, looked: Iterable[str], generations: Sequence[Generation]) -> Master:
    """Return the master key if it opens the active generation, else raise VaultLockedError naming both."""
    active = generations[0]
    wanted = f"{'the passphrase of ' if active.kdf else ''}key {active.master_fingerprint}"
    if found is None:
        raise VaultLockedError(
            f"No master key: this file expects {wanted}.",
            hint=f"Looked in {', '.join(looked)}. Bring the key back, or use the recovery kit"
            " (edgekit vault recover KIT): a new key could not open the secrets. If both are lost, give the"
            " secrets up: edgekit vault init --start-over",
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


def active_of(connection: sqlite3.Connection, path: Path) -> tuple[Generation, bytes]:
    """Return the key in use of any file, opened or not. Raise VaultLockedError like `unlock`."""
    generations = read(connection, "data")
    if not generations:
        raise VaultLockedError(NO_KEY, hint="Run: edgekit vault init")
    (site,) = connection.execute("SELECT uuid FROM system").fetchone()
    found = master.search(site, path, expected=generations[0].master_fingerprint)
    key = check_found(*found, generations).key(generations[0].kdf)
    assert key is not None  # or it would not have been found
    return generations[0], generations[0].unwrap(key)


def unwrap(found: Master, generations: Iterable[Generation], *, all_of_them: bool = False) -> OpenKeys:
    """Open the keys sealed by this master key; those sealed by another are left out, or refused."""
    by_id: dict[int, bytes] = {}
    derived: dict[crypto.Scrypt | None, bytes | None] = {}
    kept = list(generations)
    for generation in kept:
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
        by_id[generation.id] = generation.unwrap(key)
    return gather(kept, by_id)


def gather(generations: Iterable[Generation], by_id: dict[int, bytes]) -> OpenKeys:
    """Put opened keys in order."""
    checks, active, lookup = {}, None, None
    for generation in generations:
        key = by_id.get(generation.id)
        if key is None:
            continue
        if generation.purpose == "data":
            checks[crypto.key_check(key)] = key
            active = generation.id if generation.retired_at is None else active
        elif generation.purpose == "lookup":
            lookup = generation.id if generation.retired_at is None else lookup
    return OpenKeys(by_id, checks, active, lookup)


def add(
    connection: sqlite3.Connection,
    purpose: Purpose,
    key: bytes,
    *,
    master_key: bytes,
    kdf: crypto.Scrypt | None,
    recovery_kit_at: str | None = None,
) -> int:
    """Write a key, sealed by the master key, within the open change; the one in use retires."""
    row, at = str(uuid.uuid4()), clock.now_text()
    connection.execute(
        # A clock set back must not make a key retire before it was born.
        "UPDATE encryption_key SET retired_at = max(?, activated_at), updated_by = ?, updated_at = ?"
        " WHERE purpose = ? AND retired_at IS NULL",
        (at, db.current().actor_id, at, purpose),
    )
    return int(
        connection.execute(
            "INSERT INTO encryption_key(uuid, purpose, wrapped_key_ciphertext, master_fingerprint, kdf,"
            " activated_at, recovery_kit_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                row, purpose, crypto.encrypt(master_key, key, context=place(row)),
                crypto.fingerprint(master_key), kdf and json.dumps(kdf.as_dict()), at, recovery_kit_at,
                db.current().actor_id,
            ),
        ).fetchone()[0]
    )  # fmt: skip


def rewrap(
    connection: sqlite3.Connection, generation: Generation, key: bytes, *, master_key: bytes,
    kdf: crypto.Scrypt | None,
) -> None:  # fmt: skip
    """Seal a key by another master key, within the open change."""
    connection.execute(
        "UPDATE encryption_key SET wrapped_key_ciphertext = ?, master_fingerprint = ?, kdf = ?,"
        " updated_by = ?, updated_at = ? WHERE id = ?",
        (
            crypto.encrypt(master_key, key, context=generation.place), crypto.fingerprint(master_key),
            kdf and json.dumps(kdf.as_dict()), db.current().actor_id, clock.now_text(), generation.id,
        ),
    )  # fmt: skip
