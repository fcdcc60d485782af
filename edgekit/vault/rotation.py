"""Replace keys: the data key and what it sealed, or the master key that seals the keys.

Both are one change each: whatever interrupts it, the file is as it was or as it is to be. A new master key is
on the disk, beside the old one, before the file expects it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import clock, crypto, db
from edgekit.errors import ConflictError, CorruptError, InvalidError
from edgekit.vault import fields, keys, master, signing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime, timedelta
    from pathlib import Path

    from edgekit.vault.fields import SealedRow
    from edgekit.vault.keys import Generation, OpenKeys, Purpose
    from edgekit.vault.master import Master


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did.

    `key` is the generation that seals now; `values` counts what it sealed anew by `table.column`;
    `unreadable` names the values no key of the file opens, which stayed as they were; `lost_keys` the
    generations the master key did not open. `location` is where the master key is, `is_new_key` whether a
    new generation was made, `needs_kit` whether no recovery kit opens it.
    """

    key: int
    is_new_key: bool
    values: dict[str, int]
    unreadable: tuple[str, ...]
    lost_keys: tuple[int, ...]
    master_fingerprint: str
    location: str
    needs_kit: bool


def rotate(
    *,
    only: Collection[tuple[str, str]] | None = None,
    older_than: timedelta | None = None,
    now: datetime | None = None,
) -> Rotated:
    """Seal values anew under a new data key, in one change; the value itself stays what it is.

    All of them, or `only` rows named by (table, uuid), or those last sealed longer ago than `older_than`.
    The new key is left out where every value chosen is older than the one in use, or none is chosen. What
    cannot be read stays as it is and is reported. Raise VaultLockedError without the right master key,
    DeniedError for a user who does not see everything.
    """
    db.current().session.require_file("administer", "rotating keys")
    at = now or clock.now()
    found = keys.require_master(keys.require_data())
    is_all = only is None and older_than is None
    with db.change(reason="vault rotate") as change:
        everything = keys.read(db.connection())
        open_keys = keys.unwrap(found, everything)
        active = _require_active(everything, open_keys)
        chosen = _choose(everything, only, None if older_than is None else at - older_than)
        needs_new = is_all or any(row.encryption_key_id == active.id for row in chosen)
        if needs_new:
            master_key = found.key(active.kdf)
            assert master_key is not None  # or it would not have been found
            # A recovery kit holds the master key, so a kit that opens the old key opens the new one.
            kit = active.recovery_kit_at
            open_keys = _add_keys(everything, open_keys, master_key, active.kdf, kit, with_lookup=is_all)
        moved = _reseal(chosen, open_keys, change.at, rehash=is_all)
    _forget_old_pages()
    return _report(found, open_keys, *moved, is_new_key=needs_new)


def rotate_master(*, new_key_file: Path | None = None, in_keyring: bool = False) -> Rotated:
    """Replace the master key: every key of the file is sealed by the new one, and a new data key seals all.

    The new key is random and lies where the old one does, named after its fingerprint, or in the keyring; the
    old one stays for older backups. Where a variable gives the key, it is read from `new_key_file`, or made
    there; the variable must name it from then on. Raise VaultLockedError without the old key, InvalidError
    where `new_key_file` is needed or a passphrase is short, ConflictError if the key is the same.
    """
    db.current().session.require_file("administer", "replacing the master key")
    old = keys.require_master(keys.require_data())
    new = _new_master(old, new_key_file, in_keyring=in_keyring)
    return change_master(keys.unwrap(old, keys.read(db.connection())), new, reason="vault rotate --master")


def start_over(*, in_keyring: bool = False) -> Rotated:
    """Give up what a lost master key sealed, so that secrets can be stored again under another.

    The values stay where they are, unreadable, until they are set again or a recovery kit turns up. Raise
    ConflictError where the master key is here: nothing needs to be given up.
    """
    here = db.current()
    here.session.require_file("administer", "giving up secrets")
    active = keys.require_data()[0]
    found, _ = master.search(here.site, here.path, expected=active.master_fingerprint)
    key = found.key(active.kdf) if found else None
    if key is not None and crypto.fingerprint(key) == active.master_fingerprint:
        raise ConflictError("The master key is here: nothing was given up.", hint="Run: edgekit vault doctor")
    if found is None or found.source not in {"environment", "file"}:
        found = master.create(here.site, here.path, in_keyring=in_keyring, beside_old=found is not None)
    kdf = found.new_kdf()
    master_key = found.key(kdf)
    assert master_key is not None  # with parameters of its own kind there is one
    with db.change(reason="vault init --start-over"):
        everything = keys.read(db.connection())
        _add_keys(everything, keys.OpenKeys(), master_key, kdf, None, with_lookup=True)
        signing.create(db.connection(), master_key, kdf, created_by=here.actor_id)
        open_keys = keys.unwrap(found, keys.read(db.connection()))
    keys.lock()
    lost = tuple(row.place(name) for row in fields.every_row(db.connection()) for name in row.values)
    return _report(found, open_keys, {}, lost, is_new_key=True)


def change_master(open_keys: OpenKeys, new: Master, *, reason: str) -> Rotated:
    """Seal every opened key by a new master key, and every value by a new data key, in one change."""
    kdf = new.new_kdf()  # before the change: a passphrase takes a tenth of a second
    master_key = new.key(kdf)
    if master_key is None:
        raise InvalidError(f"{new.location} holds no usable master key.")
    name = crypto.fingerprint(master_key)
    with db.change(reason=reason) as change:
        everything = keys.read(db.connection())
        _require_active(everything, open_keys)
        if all(generation.master_fingerprint == name for generation in everything):
            raise ConflictError(f"{new.location} is the master key in use.", hint="Give another one.")
        for generation in everything:
            if generation.id in open_keys.by_id:
                keys.rewrap(
                    db.connection(),
                    generation,
                    open_keys.by_id[generation.id],
                    master_key=master_key,
                    kdf=kdf,
                )
        # Keys made after the kit were opened by the master key in it, which no longer seals them.
        db.connection().execute(
            "UPDATE encryption_key SET recovery_kit_at = NULL WHERE recovery_kit_at < activated_at"
        )
        open_keys = _add_keys(everything, open_keys, master_key, kdf, None, with_lookup=True)
        moved = _reseal(list(fields.every_row(db.connection())), open_keys, change.at, rehash=True)
        _prove(new, master_key)
    _forget_old_pages()
    return _report(new, open_keys, *moved, is_new_key=True)


def _active(generations: Iterable[Generation]) -> Generation:
    return next(found for found in generations if found.purpose == "data" and found.retired_at is None)


def _require_active(generations: Iterable[Generation], open_keys: OpenKeys) -> Generation:
    """Return the key in use, within the change: meanwhile another program may have replaced it."""
    active = _active(generations)
    if active.id not in open_keys.by_id:
        raise ConflictError(
            "Another program replaced the keys meanwhile; nothing was changed.",
            hint="Run the same command again.",
        )
    return active


def _add_keys(
    generations: Iterable[Generation], open_keys: OpenKeys, master_key: bytes, kdf: crypto.Scrypt | None,
    recovery_kit_at: str | None, *, with_lookup: bool,
) -> OpenKeys:  # fmt: skip
    """Add a data key, and one to look values up by where there is one."""
    purposes: list[Purpose] = ["data"]
    if with_lookup and any(generation.purpose == "lookup" for generation in generations):
        purposes.append("lookup")
    added = {}
    for purpose in purposes:
        key = crypto.random_key()
        row = keys.add(
            db.connection(), purpose, key, master_key=master_key, kdf=kdf, recovery_kit_at=recovery_kit_at
        )
        added[row] = key
    return keys.gather(keys.read(db.connection()), open_keys.by_id | added)


def _choose(
    generations: list[Generation], only: Collection[tuple[str, str]] | None, before: datetime | None
) -> list[SealedRow]:
    """Read the rows to be sealed anew."""
    rows = list(fields.every_row(db.connection()))
    if only is not None:
        wanted = set(only)
        rows = [row for row in rows if (row.table.name, row.uuid) in wanted]
    if before is not None:
        limit = clock.to_text(before)
        activated = {generation.id: generation.activated_at for generation in generations}
        rows = [row for row in rows if _sealed_at(row, activated) < limit]
    return rows


def _sealed_at(row: SealedRow, activated: dict[int, str]) -> str:
    """Say since when a row is sealed as it is: its own note, else the age of its key."""
    return row.rotated_at or activated.get(row.encryption_key_id or 0, "")


def _reseal(
    rows: Iterable[SealedRow], open_keys: OpenKeys, at: str, *, rehash: bool
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Seal rows under the active key and read them back; return (counts, places that could not be read)."""
    assert open_keys.active is not None
    key = open_keys.by_id[open_keys.active]
    counts: Counter[str] = Counter()
    unreadable: list[str] = []
    for row in rows:
        found = {name: _try_open(open_keys, value, row.place(name)) for name, value in row.values.items()}
        lost = [row.place(name) for name, plain in found.items() if plain is None]
        if lost:
            unreadable += lost
            continue  # the row names one key for all it holds
        values: dict[str, object] = {"encryption_key_id": open_keys.active, "last_rotated_at": at}
        for name, plain in found.items():
            assert plain is not None
            values[name] = sealed = crypto.encrypt(key, plain, context=row.place(name))
            if crypto.decrypt(key, sealed, context=row.place(name)) != plain:
                raise CorruptError(f"{row.place(name)} does not read back; nothing was changed.")
            if rehash and name in row.table.hashes and open_keys.lookup is not None:
                lookup = open_keys.by_id[open_keys.lookup]
                values[row.table.hashes[name]] = crypto.lookup_hash(lookup, fields.plain(plain))
            counts[f"{row.table.name}.{name}"] += 1
        fields.write(db.connection(), row.table, values, at, "uuid", row.uuid)
    return dict(counts), tuple(unreadable)


def _try_open(open_keys: OpenKeys, value: bytes, place: str) -> bytes | None:
    """Open a value, None if it cannot be: one that is lost must not keep the others from a new key."""
    try:
        return open_keys.open(value, place)
    except CorruptError:
        return None


def _prove(new: Master, master_key: bytes) -> None:
    """Open the keys once more as the next process will. Raise CorruptError, which undoes the change."""
    for generation in keys.read(db.connection()):
        if generation.master_fingerprint == crypto.fingerprint(master_key):
            generation.unwrap(master_key)
    if new.key(_active(keys.read(db.connection())).kdf) != master_key:
        raise CorruptError("The new master key does not read back; nothing was changed.")


def _forget_old_pages() -> None:
    """Take what was replaced out of the write-ahead log too; freed pages are zeroed already."""
    with suppress(sqlite3.OperationalError):  # a reader keeps it: it goes with the next checkpoint
        db.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    keys.lock()


def _report(
    found: Master,
    open_keys: OpenKeys,
    values: dict[str, int],
    unreadable: tuple[str, ...],
    *,
    is_new_key: bool,
) -> Rotated:
    everything = keys.read(db.connection())
    active = _active(everything)
    return Rotated(
        key=active.id,
        is_new_key=is_new_key,
        values=values,
        unreadable=unreadable,
        lost_keys=tuple(one.id for one in everything if one.id not in open_keys.by_id),
        master_fingerprint=active.master_fingerprint,
        location=found.location,
        needs_kit=active.recovery_kit_at is None,
    )


def _new_master(old: Master, new_key_file: Path | None, *, in_keyring: bool) -> Master:
    here = db.current()
    if new_key_file is not None:
        if in_keyring:
            raise InvalidError("Say a file or the keyring, not both.")
        new = master.read_file(new_key_file, here.path)
        return new or master.create_file(new_key_file, here.path, crypto.key_to_text(crypto.random_key()))
    if old.source in {"environment", "file"}:
        raise InvalidError(
            f"The master key comes from {old.location}: say where the new one is.",
            hint="Name a file to read it from, or to make it in: edgekit vault rotate --master"
            f" --new-key FILE. From then on {master.FILE_VARIABLE} names that file.",
        )
    return master.create(
        here.site, here.path, in_keyring=in_keyring or old.source == "keyring", beside_old=True
    )
