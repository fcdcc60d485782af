"""Encrypted backups: the whole archive sealed, so that who finds it can read nothing of the file.

    edgekit-sealed-backup/1 | length (4) | what opens it, as JSON | chunks of a megabyte, each sealed

The archive has a key of its own, sealed by the data key of the file; the data key comes along, sealed by the
master key as it is in the file. So the master key alone opens it, and so does the recovery kit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from edgekit import clock, crypto
from edgekit.errors import CorruptError, InvalidError, MigrationNeededError, VaultLockedError, quoted
from edgekit.vault import keys, master

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime
    from pathlib import Path
    from typing import IO

    from edgekit.vault.recovery import Kit

SUFFIX = ".edgekit-backup.sealed"

_MAGIC = b"edgekit-sealed-backup/"
_FORM = b"1\n"
_LARGEST = 64 * 1024


def is_sealed(path: Path) -> bool:
    """Tell whether a file is an encrypted backup."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def encrypt(
    connection: sqlite3.Connection, database: Path, source: Path, target: Path, *, at: datetime
) -> None:
    """Seal an archive of a file under the file's data key, and read it back.

    Raise VaultLockedError where the file has no key, or its master key is missing or another.
    """
    generation, data_key = keys.active_of(connection, database)
    name, content_key = str(uuid.uuid4()), crypto.random_key()
    header = {
        "id": name,
        "site": connection.execute("SELECT uuid FROM system").fetchone()[0],
        "created_at": clock.to_text(at),
        "key": {
            "uuid": generation.uuid,
            "wrapped": base64.b64encode(generation.wrapped).decode(),
            "master_fingerprint": generation.master_fingerprint,
            "kdf": generation.kdf and generation.kdf.as_dict(),
        },
        "content_key": base64.b64encode(
            crypto.encrypt(data_key, content_key, context=f"backup/{name}")
        ).decode(),
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    with source.open("rb") as plain, target.open("xb") as file:
        file.write(_MAGIC + _FORM + len(text).to_bytes(4) + text)
        crypto.seal_stream(content_key, plain, file, context=text)
    with source.open("rb") as plain, target.open("rb") as file:
        again = _Hash()
        _, text = _header(file, target)
        crypto.open_stream(content_key, file, again, context=text)
        if again.digest() != hashlib.file_digest(plain, "sha256").digest():
            raise CorruptError(f"{target} does not read back; it was thrown away.")


def decrypt(path: Path, target: Path, *, kit: Kit | None = None) -> None:
    """Open an encrypted backup into a new file, with the master key of its site, or with a recovery kit.

    Raise VaultLockedError if neither opens it, CorruptError if it was altered or cut off,
    MigrationNeededError if a newer edgekit made it.
    """
    with path.open("rb") as file:
        header, text = _header(file, path)
        try:
            sealed = base64.b64decode(header["content_key"], validate=True)
            data_key = _data_key(path, header, target, kit)
            content_key = crypto.decrypt(data_key, sealed, context=f"backup/{header['id']}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(path) from error
        with target.open("xb") as plain:
            try:
                crypto.open_stream(content_key, file, plain, context=text)
            except CorruptError as error:
                raise _damaged(path) from error


def read_origin(path: Path) -> tuple[str, str]:
    """Return which site made an encrypted backup, and when: what it says without a key, and so unproven."""
    with path.open("rb") as file:
        header, _ = _header(file, path)
    return str(header.get("site")), str(header.get("created_at"))


def refuse(path: Path) -> None:
    """Raise InvalidError for an encrypted backup, where an open one is needed."""
    if is_sealed(path):
        raise InvalidError(
            f"{path} is encrypted.", hint=f"Restore it first: edgekit restore {quoted(path)} FILE"
        )


def _data_key(path: Path, header: dict[str, Any], target: Path, kit: Kit | None) -> bytes:
    """Open the data key a backup was sealed under."""
    about = header["key"]
    kdf = crypto.Scrypt.from_dict(about["kdf"]) if about["kdf"] else None
    wrapped = base64.b64decode(about["wrapped"], validate=True)
    generation = keys.Generation(
        0, about["uuid"], "data", wrapped, about["master_fingerprint"], kdf, "", None
    )
    if kit is not None:
        found = kit.open([generation]).by_id.get(0)
        if found is None:
            raise VaultLockedError(
                f"{kit.path}, made on {kit.made_at}, does not open {path}.", hint="Use another kit."
            )
        return found
    here, looked = master.search(header["site"], target, expected=generation.master_fingerprint)
    key = here and here.key(kdf)
    if not key or crypto.fingerprint(key) != generation.master_fingerprint:
        where = here.location if here else ", ".join(looked)
        raise VaultLockedError(
            f"{path} is encrypted under master key {generation.master_fingerprint}, which is not here.",
            hint=f"Looked in {where}. Bring the key, or give the recovery kit: --kit KIT",
        )
    return generation.unwrap(key)


def _header(file: IO[bytes], path: Path) -> tuple[dict[str, Any], bytes]:
    """Read what opens a backup: (what it says, as it stands there)."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise _damaged(path)
    if file.read(len(_FORM)) != _FORM:
        raise MigrationNeededError(f"{path} was made by a newer edgekit.", hint="Install a newer edgekit.")
    size = int.from_bytes(file.read(4))
    text = file.read(min(size, _LARGEST))
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(header, dict):
        raise _damaged(path)
    return header, text


def _damaged(path: Path) -> CorruptError:
    return CorruptError(f"{path} is damaged: it does not open.", hint="Use another backup.")


class _Hash:
    """Takes what is written to it, and keeps its hash."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return len(data)

    def digest(self) -> bytes:
        return self._hash.digest()
