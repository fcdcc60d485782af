"""The recovery kit: every key of a file and its master key, in one file under a passphrase.

It opens what its file holds when the master key is lost, on a machine that has nothing else, and every backup
made up to then. As it holds the master key, it also opens data keys made later; a new master key it does not.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import clock, crypto, db
from edgekit.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    InvalidError,
    MigrationNeededError,
    NotFoundError,
    VaultLockedError,
)
from edgekit.vault import fields, keys, master, rotation

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from edgekit.vault.keys import Generation, OpenKeys
    from edgekit.vault.master import Master

FORMAT = "edgekit-recovery-kit/1"

_ABOUT = (
    "Recovery kit of an edgekit file. With it and its passphrase the secrets of the file and of its backups"
    " can be read: keep it apart from both. To use it: edgekit --db FILE vault recover THIS-FILE"
)
_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kit:
    """An opened recovery kit. `by_uuid` holds the keys of the file it was made of, by their uuid."""

    path: Path
    site: str
    name: str
    made_at: str
    master_fingerprint: str
    is_passphrase: bool
    master_key: bytes = field(repr=False)
    by_uuid: dict[str, bytes] = field(repr=False)

    def open(self, generations: Sequence[Generation]) -> OpenKeys:
        """Open the keys of a file: those the kit holds, and those its master key seals."""
        by_id = {}
        for generation in generations:
            if generation.master_fingerprint == self.master_fingerprint:
                by_id[generation.id] = generation.unwrap(self.master_key)
            elif generation.uuid in self.by_uuid:
                by_id[generation.id] = self.by_uuid[generation.uuid]
        return keys.gather(generations, by_id)


@dataclass(frozen=True, slots=True)
class MadeKit:
    """A recovery kit that was written: how many keys it opens, and those it cannot, by generation."""

    path: Path
    made_at: str
    keys: int
    lost_keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a kit brought back.

    `location` is where the master key is now; `is_new` says that the kit's own could not be put back, so
    that another one seals the keys from now on and a new kit is needed. `values` counts the secrets that
    open, `unreadable` names those that do not.
    """

    location: str
    master_fingerprint: str
    is_new: bool
    values: int
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a kit opens of a file: keys by their uuid, values by `table.column`, and what it does not open."""

    keys: frozenset[str]
    values: dict[str, int]
    lost_keys: tuple[int, ...]
    unreadable: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether there was something to open, and everything opened."""
        return bool(self.keys) and not self.lost_keys and not self.unreadable


def make_kit(path: str | Path, passphrase: str, *, now: datetime | None = None) -> MadeKit:
    """Write a recovery kit of the opened file, read it back, and note in the file when that was.

    Raise ConflictError if there is a file, InvalidError for a place beside the database or a short
    passphrase, VaultLockedError without the master key, DeniedError where it cannot be written.
    """
    db.current().session.require_file("administer", "making a recovery kit")
    path, here, at = Path(path), db.current(), clock.to_text(now or clock.now())
    if master.is_beside(path, here.path):
        raise InvalidError(
            f"{path} is beside the database: whoever takes the folder has both.",
            hint="Keep the kit on another disk, such as a USB stick in a drawer.",
        )
    if not path.parent.is_dir():  # a stick that is not in, rather than a folder to be made
        raise NotFoundError(
            f"There is no folder {path.parent}.", hint="Is the stick in? Else create the folder."
        )
    if path.exists():
        raise ConflictError(f"{path} already exists; nothing was changed.", hint="Choose another name.")
    master.require_strong(passphrase, "The passphrase")
    generations = keys.require_data()
    found = keys.require_master(generations)
    everything = keys.read(db.connection())
    open_keys = keys.unwrap(found, everything)
    master_key = found.key(generations[0].kdf)
    assert master_key is not None  # or it would not have been found
    content = {
        "master_key": crypto.key_to_text(master_key),
        "keys": [
            {"uuid": one.uuid, "key": crypto.key_to_text(open_keys.by_id[one.id])}
            for one in everything
            if one.id in open_keys.by_id
        ],
    }
    header = {
        "format": FORMAT, "about": _ABOUT, "site": here.site, "name": _name(), "made_at": at,
        "master_fingerprint": generations[0].master_fingerprint,
        "is_passphrase": generations[0].kdf is not None,
    }  # fmt: skip
    _write(path, header, content, passphrase)
    proven = read_kit(path, passphrase).open(everything).by_id
    if proven != open_keys.by_id:
        raise CorruptError(f"{path} does not read back; make it again on another disk.")
    with db.change(reason="vault recovery-kit"):
        _note("recovery_kit_at", at, proven)
    lost = tuple(one.id for one in everything if one.id not in proven)
    return MadeKit(path, at, len(proven), lost)


def read_kit(path: str | Path, passphrase: str) -> Kit:
    """Open a recovery kit.

    Raise NotFoundError, CorruptError (no kit, or altered), DeniedError (another passphrase),
    MigrationNeededError (made by a newer edgekit).
    """
    path = Path(path)
    wrong = CorruptError(f"{path} is no recovery kit, or it is damaged.", hint="Use another copy of the kit.")
    if db.is_open() and master.is_same(path, db.current().path):
        raise wrong
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(_LARGEST))
        sealed = base64.b64decode(header.pop("sealed"), validate=True)
        if header["format"] != FORMAT:
            if str(header["format"]).startswith(FORMAT.split("/")[0]):
                raise MigrationNeededError(
                    f"{path} was made by a newer edgekit.", hint="Install a newer edgekit."
                )
            raise wrong
        key = crypto.Scrypt.from_dict(header["kdf"]).derive(passphrase)
        if crypto.sealed_check(sealed) != crypto.key_check(key):
            raise DeniedError(
                f"This is not the passphrase of {path}.", hint="It was chosen when the kit was made."
            )
        content = json.loads(crypto.decrypt(key, sealed, context=_canonical(header)))
        return Kit(
            path, header["site"], header["name"], header["made_at"], header["master_fingerprint"],
            header["is_passphrase"], _key(content["master_key"]),
            {one["uuid"]: _key(one["key"]) for one in content["keys"]},
        )  # fmt: skip
    except FileNotFoundError:
        raise NotFoundError(f"There is no recovery kit {path}.") from None
    except OSError as error:
        raise DeniedError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise wrong from error


def recover(path: str | Path, passphrase: str, *, in_keyring: bool = False) -> Recovered:
    """Make the opened file readable again with a kit alone.

    The kit's master key is put back. Where a variable gives another master key, or the kit's was a passphrase
    or is not the one in use, that one, else a new one, seals every key from now on, in one change. Where the
    master key in use is here, it seals what older keys only the kit opens. Raise VaultLockedError if neither
    opens the key in use: the kit is of another file, or was made before the master key was replaced.
    """
    db.current().session.require_file("administer", "recovering the keys")
    kit = read_kit(path, passphrase)
    generations = keys.require_data()
    everything = keys.read(db.connection())
    open_keys = kit.open(everything)
    _require_any(kit, open_keys)
    here, active = db.current(), generations[0]
    found, _ = master.search(here.site, here.path, expected=active.master_fingerprint)
    if found is not None and _opens(found, active):
        _bring_back(found, active, everything, open_keys, kit)
    else:
        _require_active(kit, active, open_keys)
        is_asked_for = found is not None and found.source in {"environment", "file"}
        if is_asked_for or kit.is_passphrase or kit.master_fingerprint != active.master_fingerprint:
            new = found if found and is_asked_for else _create(None, in_keyring=in_keyring, beside=found)
            done = rotation.change_master(open_keys, new, reason=f"vault recover, kit of {kit.made_at}")
            return Recovered(
                done.location, done.master_fingerprint, True, sum(done.values.values()), done.unreadable
            )
        found = _create(kit.master_key, in_keyring=in_keyring, beside=found)
    keys.lock()
    counts, unreadable = try_all(db.connection(), keys.unlock())
    return Recovered(found.location, active.master_fingerprint, False, sum(counts.values()), unreadable)


def _bring_back(
    found: Master, active: Generation, everything: Sequence[Generation], from_kit: OpenKeys, kit: Kit
) -> None:
    """Seal by the master key in use what only the kit opens: keys from before an older one was lost."""
    known = keys.unwrap(found, everything).by_id
    lost = [one for one in everything if one.id not in known and one.id in from_kit.by_id]
    if not lost:
        return
    master_key = found.key(active.kdf)
    assert master_key is not None  # it opens the active one
    with db.change(reason=f"vault recover, kit of {kit.made_at}"):
        for one in lost:
            keys.rewrap(db.connection(), one, from_kit.by_id[one.id], master_key=master_key, kdf=active.kdf)


def prove(connection: sqlite3.Connection, kit: Kit) -> Proof:
    """Open every key and every secret of a file, which may be a backup of any schema, with a kit alone."""
    generations = keys.read(connection)
    open_keys = kit.open(generations)
    counts, unreadable = try_all(connection, open_keys)
    opened = frozenset(one.uuid for one in generations if one.id in open_keys.by_id)
    lost = tuple(one.id for one in generations if one.uuid not in opened)
    return Proof(opened, counts, lost, unreadable)


def try_all(connection: sqlite3.Connection, open_keys: OpenKeys) -> tuple[dict[str, int], tuple[str, ...]]:
    """Open every secret of a file and keep none: (how many by `table.column`, those that do not open)."""
    counts: Counter[str] = Counter()
    unreadable = []
    for row in fields.every_row(connection):
        for name, value in row.values.items():
            try:
                is_open = open_keys.open(value, row.place(name)) is not None
            except CorruptError:
                is_open = False
            if is_open:
                counts[f"{row.table.name}.{name}"] += 1
            else:
                unreadable.append(row.place(name))
    return dict(counts), tuple(unreadable)


def note_drill(proof: Proof, *, now: datetime | None = None) -> None:
    """Note in the opened file which of its keys a kit has just been proven to open."""
    with db.change(reason="vault drill"):
        opens = [one.id for one in keys.read(db.connection()) if one.uuid in proof.keys]
        _note("drilled_at", clock.to_text(now or clock.now()), opens)


def _note(column: str, at: str, opens: Iterable[int]) -> None:
    db.connection().executemany(
        f"UPDATE encryption_key SET {column} = ?, updated_by = ?, updated_at = ? WHERE id = ?",
        [(at, db.current().actor_id, clock.now_text(), number) for number in opens],
    )


def _require_any(kit: Kit, open_keys: OpenKeys) -> None:
    if not open_keys.by_id:
        raise VaultLockedError(
            f"{kit.path} is the kit of another file: {kit.name} ({kit.site}).",
            hint="Nothing was changed. Use the kit of this file.",
        )


def _require_active(kit: Kit, active: Generation, open_keys: OpenKeys) -> None:
    if open_keys.active is None:
        raise VaultLockedError(
            f"{kit.path} was made on {kit.made_at}, before the master key was replaced on"
            f" {active.activated_at}: it does not open the key in use.",
            hint="Nothing was changed. Use a newer kit, or restore a backup made before then.",
        )


def _create(key: bytes | None, *, in_keyring: bool, beside: Master | None) -> Master:
    here = db.current()
    return master.create(here.site, here.path, in_keyring=in_keyring, key=key, beside_old=beside is not None)


def _opens(found: Master | None, active: Generation) -> bool:
    key = found.key(active.kdf) if found else None
    return key is not None and crypto.fingerprint(key) == active.master_fingerprint


def _write(path: Path, header: dict[str, Any], content: dict[str, Any], passphrase: str) -> None:
    kdf = crypto.Scrypt()
    header = {**header, "kdf": kdf.as_dict()}
    plain = json.dumps(content).encode()
    sealed = crypto.encrypt(kdf.derive(passphrase), plain, context=_canonical(header))
    text = json.dumps({**header, "sealed": base64.b64encode(sealed).decode()}, indent=2, ensure_ascii=False)
    try:
        written = master.write_private(path, text + "\n")
    except OSError as error:
        raise DeniedError(
            f"The recovery kit cannot be written to {path}: {error.strerror}.", hint="Choose another folder."
        ) from error
    if not written:
        raise ConflictError(f"{path} was created by another program meanwhile; nothing was changed.")


def _canonical(header: dict[str, Any]) -> str:
    """Write what the kit says openly, so that altering it is noticed."""
    return "recovery_kit/" + json.dumps(header, sort_keys=True, separators=(",", ":"))


def _key(text: str) -> bytes:
    key = crypto.key_from_text(text)
    if key is None:
        raise ValueError("no key")
    return key


def _name() -> str:
    return str(db.query("SELECT name FROM system")[0]["name"])
