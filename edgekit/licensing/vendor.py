"""A vendor's key: made once, its secret half kept in a file of the vendor's, its public half handed out.

The secret half is never in a database, an audit row, a log or an error; with a passphrase it is sealed in its
file as well (scrypt, AES-256-GCM).
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, crypto
from edgekit.errors import (
    ConflictError,
    CorruptError,
    DeniedError,
    InvalidError,
    NotFoundError,
    VaultLockedError,
)
from edgekit.licensing import statement

if TYPE_CHECKING:
    from collections.abc import Callable

PASSPHRASE_LENGTH = 12
"""The fewest characters of a passphrase for a new key."""

_LABEL = statement.KEYFILE_LABEL
_WARNING = "Keep this file to yourself: whoever has it issues licences in your name."
_LARGEST = 100_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who signs, and with which key."""

    name: str
    key: crypto.SigningKey = field(repr=False)

    @property
    def public_key(self) -> str:
        """The public half, in base64."""
        return statement.to_base64(self.key.public)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key that was made: where its halves are, and the name people know it by."""

    vendor: str
    key: str
    secret_file: str
    public_file: str
    has_passphrase: bool


def keygen(path: str | Path, *, vendor: str, passphrase: str | None = None) -> KeyPair:
    """Make a vendor's key: the secret half in a new file only its owner reads, the public one in FILE.pub.

    Raise ConflictError if one of the files exists, InvalidError for a name or passphrase that will not do.
    """
    path = Path(path)
    if path.is_dir():
        raise ConflictError(f"{path} is a folder.", hint="Name a new file in it, such as vendor.key.")
    public_path = path.with_name(f"{path.name}.pub")
    if not (0 < len(vendor) <= 100 and vendor.isprintable()):
        raise InvalidError("The vendor must have a name of 1 to 100 characters.")
    if passphrase is not None and len(passphrase) < PASSPHRASE_LENGTH:
        raise InvalidError(
            f"The passphrase is shorter than {PASSPHRASE_LENGTH} characters.",
            hint="Five words chosen at random are easy to type and hard to guess.",
        )
    for taken in (path, public_path):
        if taken.exists():
            raise ConflictError(
                f"{taken} exists already.", hint="A key is never overwritten: name another file."
            )
    made = Vendor(vendor, crypto.SigningKey(crypto.random_key()))
    write_new(path, _secret_text(made, passphrase), mode=0o600)
    write_new(public_path, statement.render(public_statement(made)))
    return KeyPair(vendor, made.key.name, str(path), str(public_path), passphrase is not None)


def public_statement(vendor: Vendor) -> statement.Statement:
    """Return the public half of a key, signed with itself so that a slip in copying it shows."""
    return statement.sign("vendor_key", {"public_key": vendor.public_key}, vendor.name, vendor.key)


def _secret_text(vendor: Vendor, passphrase: str | None) -> str:
    document: dict[str, Any] = {
        "format": statement.FORMAT,
        "vendor": vendor.name,
        "public_key": vendor.public_key,
        "created_at": clock.now_text(),
    }
    if passphrase is None:
        document["secret"] = crypto.key_to_text(vendor.key.secret)
    else:
        kdf = crypto.Scrypt()
        sealed = crypto.encrypt(kdf.derive(passphrase), vendor.key.secret, context=_place(vendor.public_key))
        document |= {"kdf": kdf.as_dict(), "sealed": statement.to_base64(sealed)}
    body = codec.canonical(document)
    return f"-----BEGIN {_LABEL}-----\n{_WARNING}\n\n{body}\n-----END {_LABEL}-----\n"


def _place(public_key: str) -> str:
    return f"vendor key {public_key}"


def load(path: str | Path, *, ask: Callable[[], str] | None = None) -> Vendor:
    """Read a vendor's secret key; `ask` gives its passphrase where it has one.

    Raise NotFoundError, InvalidError (no such key in the file), VaultLockedError (no passphrase, or a wrong
    one). No part of the key is in any of them.
    """
    path = Path(path)
    document = _document(path)
    name, public_key, secret = document.get("vendor"), document.get("public_key"), document.get("secret")
    if not isinstance(name, str) or not isinstance(public_key, str):
        raise _no_key(path)
    if isinstance(secret, str):
        key = crypto.key_from_text(secret)
    else:
        key = _unsealed(path, document, public_key, ask)
    if key is None:
        raise _no_key(path)
    vendor = Vendor(name, crypto.SigningKey(key))
    if vendor.public_key != public_key:
        raise _no_key(path)
    return vendor


def _unsealed(
    path: Path, document: dict[str, Any], public_key: str, ask: Callable[[], str] | None
) -> bytes | None:
    sealed = statement.from_base64(document["sealed"]) if isinstance(document.get("sealed"), str) else None
    if sealed is None:
        return None
    if ask is None:
        raise VaultLockedError(
            f"The key in {path} has a passphrase.", hint="Give it with --passphrase-file, or on a terminal."
        )
    try:
        kdf = crypto.Scrypt.from_dict(document.get("kdf"))
        return crypto.decrypt(kdf.derive(ask()), sealed, context=_place(public_key))
    except CorruptError:
        return None
    except VaultLockedError:
        raise VaultLockedError(f"This is not the passphrase of the key in {path}.") from None


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
            mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file {path}.", hint="Make a key with: edgekit licensing keygen KEYFILE"
        ) from None
    except OSError as error:
        raise DeniedError(f"{path} cannot be read: {error.strerror}.") from error
    text = content.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    if f"-----BEGIN {statement.LABELS['vendor_key']}-----" in text:
        raise InvalidError(
            f"{path} is the public half of a key.",
            hint=f"To sign, the secret half is needed: {path.name.removesuffix('.pub')}",
        )
    begin, end = f"-----BEGIN {_LABEL}-----\n{_WARNING}\n\n", f"\n-----END {_LABEL}-----"
    if not text.startswith(begin) or end not in text:
        raise _no_key(path)
    if os.name == "posix" and mode & 0o077:
        _log.warning("%s can be read by others (mode %04o). Run: chmod 600 %s", path, mode & 0o777, path)
    try:
        document = codec.loads(text[len(begin) : text.index(end)])
    except InvalidError:
        raise _no_key(path) from None
    if not isinstance(document, dict) or document.get("format") != statement.FORMAT:
        raise _no_key(path)
    return document


def _no_key(path: Path) -> InvalidError:
    return InvalidError(
        f"{path} holds no vendor key, or a damaged one.", hint="Take it from where you keep your copy of it."
    )


def write_new(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a new file whole. Raise ConflictError if it exists, NotFoundError if its folder does not."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise ConflictError(f"{path} exists already.", hint="Name another file.") from None
    except FileNotFoundError:
        raise NotFoundError(f"There is no folder {path.parent}.", hint="Create the folder first.") from None
    except OSError as error:
        raise DeniedError(f"{path} cannot be written: {error.strerror}.") from error
