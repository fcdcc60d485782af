"""The master key: where it is looked for, how it is written, how it is made. The database is not touched."""

from __future__ import annotations

import logging
import os
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgekit import crypto
from edgekit.errors import CorruptError, DeniedError, InvalidError, UnavailableError, VaultLockedError

Source = Literal["environment", "file", "keyring", "home"]

VARIABLE = "EDGEKIT_MASTER_KEY"
FILE_VARIABLE = "EDGEKIT_MASTER_KEY_FILE"
HOME_VARIABLE = "EDGEKIT_HOME"
PASSPHRASE_PREFIX = "passphrase:"  # noqa: S105 - how one is spelled, not one

PASSPHRASE_LENGTH = 12
"""The fewest characters of a passphrase a new vault takes."""

_LEAST_DIFFERENT = 5

_SERVICE = "edgekit"
_KEYRING = "the keyring of the operating system"
_LARGEST = 4096

_log = logging.getLogger(__name__)
_warned: set[str] = set()


@dataclass(frozen=True, slots=True)
class Master:
    """A master key that was found: a random key, or a passphrase to be made one with the salt of the file."""

    source: Source
    location: str
    random_key: bytes | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()

    def key(self, kdf: crypto.Scrypt | None) -> bytes | None:
        """Return the key, or None if this is the other kind; `kdf` is what a passphrase needs."""
        if kdf is None:
            return self.random_key
        return None if self.passphrase is None else kdf.derive(self.passphrase)

    def new_kdf(self) -> crypto.Scrypt | None:
        """Return fresh parameters for a passphrase, None for a key. Raise InvalidError if it is too short."""
        if self.passphrase is None:
            return None
        require_strong(self.passphrase, f"The passphrase in {self.location}")
        return crypto.Scrypt()


def require_strong(passphrase: str, what: str) -> None:
    """Raise InvalidError for a passphrase that is short, or a few characters over and over."""
    fault = None
    if len(passphrase) < PASSPHRASE_LENGTH:
        fault = f"is shorter than {PASSPHRASE_LENGTH} characters"
    elif len(set(passphrase)) < _LEAST_DIFFERENT:
        fault = f"has fewer than {_LEAST_DIFFERENT} different characters"
    if fault:
        raise InvalidError(
            f"{what} {fault}.", hint="Five words chosen at random are easy to type and hard to guess."
        )


def search(site: str, database: Path, *, expected: str | None = None) -> tuple[Master | None, list[str]]:
    """Find the master key of a site: (it or None, what was looked at and why it did not serve).

    A variable that is set ends the search. `expected` is the fingerprint of the key that is wanted: in the
    keyring and the user's data folder, which keep several, an entry of that name comes first. Raise
    VaultLockedError where a place holds no key.
    """
    text = os.environ.get(VARIABLE)
    if text:
        return _parse(text, "environment", VARIABLE), []
    looked = [f"{VARIABLE} (not set)"]
    named = os.environ.get(FILE_VARIABLE)
    if named:
        found = _read(Path(named), "file", database)
        return found, [*looked, f"{FILE_VARIABLE} ({named}: no such file)"]
    looked.append(f"{FILE_VARIABLE} (not set)")
    secret, reason = _ask_keyring(site, expected)
    if secret is not None:
        return _parse(secret, "keyring", _KEYRING), looked
    looked.append(f"{_KEYRING} ({reason})")
    path = _home_path(site)
    if expected is not None:
        found = _read(_home_path(site, expected), "home", database)
        if found is not None:
            return found, looked
    return _read(path, "home", database), [*looked, f"{path} (no such file)"]


def create(
    site: str, database: Path, *, in_keyring: bool, key: bytes | None = None, beside_old: bool = False
) -> Master:
    """Make a random master key, or put `key` in place, where `search` found none; return it as it reads back.

    With `beside_old` it is named after its fingerprint, so that the key in use until now stays. Raise
    InvalidError for a place beside the database, DeniedError where it cannot be written, UnavailableError if
    the keyring does not keep it.
    """
    key = key or crypto.random_key()
    name = crypto.fingerprint(key) if beside_old else None
    text = crypto.key_to_text(key)
    if in_keyring:
        return _store_in_keyring(_entry(site, name), text)
    named = os.environ.get(FILE_VARIABLE)
    if named and not beside_old:
        return create_file(Path(named), database, text, source="file")
    return create_file(_home_path(site, name), database, text, source="home")


def create_file(path: Path, database: Path, text: str, *, source: Source = "file") -> Master:
    """Write a master key to a file for its owner alone, which stays as it is if it is there already."""
    if is_beside(path, database):
        raise InvalidError(
            f"{path} is beside the database: whoever copies the folder has the secrets and the key to them.",
            hint=f"Set {FILE_VARIABLE} to a file in another folder, or leave it out.",
        )
    try:
        write_private(path, text + "\n")
    except OSError as error:
        raise DeniedError(
            f"The master key cannot be written to {path}: {error.strerror}.",
            hint=f"Set {FILE_VARIABLE} to a file you may write, or {HOME_VARIABLE} to a folder.",
        ) from error
    found = _read(path, source, database)
    if found is None:
        raise DeniedError(
            f"The master key written to {path} is not there any more.", hint="Run the command again."
        )
    return found


def read_file(path: Path, database: Path) -> Master | None:
    """Read a master key from a file, None if there is none. Raise VaultLockedError if it holds no key."""
    return _read(path, "file", database)


def _home_path(site: str, fingerprint: str | None = None) -> Path:
    """Name the key file of a site; what comes from the database must not lead anywhere else."""
    try:
        name = _entry(str(uuid.UUID(site)), fingerprint)
    except ValueError:
        raise CorruptError(f"{site!r} in `system` is no uuid.", hint="Restore a backup.") from None
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home) / "keys" / f"{name}.key"
    from platformdirs import user_data_path

    return user_data_path("edgekit", appauthor=False) / "keys" / f"{name}.key"


def _entry(site: str, fingerprint: str | None) -> str:
    """Name an entry that keeps a key: that of the site, or one of several."""
    if fingerprint is None:
        return site
    if re.fullmatch("k[a-z2-7]{8}", fingerprint) is None:
        raise CorruptError(
            f"{fingerprint!r} in encryption_key names no master key.", hint="Restore a backup."
        )
    return f"{site}.{fingerprint}"


def _parse(text: str, source: Source, location: str, warnings: tuple[str, ...] = ()) -> Master:
    plain = text.strip()
    if plain.startswith(PASSPHRASE_PREFIX):
        words = plain.removeprefix(PASSPHRASE_PREFIX).strip()
        if words:
            return Master(source, location, passphrase=words, warnings=warnings)
    key = crypto.key_from_text(plain)
    if key is None:
        raise VaultLockedError(
            f"{location} holds no master key.",
            hint="It must be 32 bytes in base64 (43 characters), or words after passphrase and a colon.",
        )
    return Master(source, location, random_key=key, warnings=warnings)


def _read(path: Path, source: Source, database: Path) -> Master | None:
    """Read a key file; None if there is none."""
    location = f"{FILE_VARIABLE} ({path})" if source == "file" else str(path)
    if is_same(path, database):
        raise VaultLockedError(f"{location} is the database, and no master key.", hint="Name another file.")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
            mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VaultLockedError(
            f"The master key cannot be read from {location}: {error.strerror}.",
            hint="Check the file and its rights.",
        ) from error
    warnings = []
    if os.name == "posix" and mode & 0o077:
        warnings.append(f"{path} can be read by others (mode {mode & 0o777:04o}). Run: chmod 600 {path}")
    if is_beside(path, database):
        warnings.append(
            f"{path} is beside the database: whoever copies the folder has both. Move it elsewhere."
        )
    for warning in warnings:
        _warn_once(warning)
    # A byte order mark is what some editors put first; anything undecodable is refused as no key.
    return _parse(content.decode("utf-8-sig", "replace"), source, location, tuple(warnings))


def _warn_once(warning: str) -> None:
    if warning not in _warned:
        _warned.add(warning)
        _log.warning("%s", warning)


def is_beside(path: Path, database: Path) -> bool:
    """Tell whether a file lies in the folder of the database."""
    return path.resolve().parent == database.resolve().parent


def is_same(path: Path, database: Path) -> bool:
    """Tell whether a path is the database, which nothing but SQLite may open: closing it drops the locks."""
    try:
        return path.samefile(database)
    except OSError:  # there is no such file, or none to be asked about
        return False


def write_private(path: Path, text: str) -> bool:
    """Put a file in place whole, for its owner only; one that is there already stays, and False is returned.

    Raise OSError where it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with os.fdopen(
            os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(building, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if path.exists():
                return False
            building.rename(path)
    finally:
        building.unlink(missing_ok=True)
    if os.name == "posix":  # the name must last as well: losing the key is losing the secrets
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return True


def _ask_keyring(site: str, expected: str | None) -> tuple[str | None, str]:
    """Return (the entry, "") or (None, why there is none). A keyring that fails is no reason to stop."""
    try:
        import keyring
        from keyring.errors import KeyringError, KeyringLocked, NoKeyringError
    except ImportError:
        return None, "not installed: pip install edgekit[keyring]"
    try:
        secret = keyring.get_password(_SERVICE, site)
        if expected is not None and (secret is None or not _is_key(secret, expected)):
            secret = keyring.get_password(_SERVICE, _entry(site, expected)) or secret
    except NoKeyringError:
        return None, "there is none here"
    except KeyringLocked:
        return None, "locked"
    except (KeyringError, RuntimeError, OSError) as error:
        return None, f"does not answer: {type(error).__name__}"
    return (secret, "") if secret else (None, "no entry")


def _is_key(text: str, fingerprint: str) -> bool:
    """Tell whether a text is a random key of this fingerprint."""
    key = crypto.key_from_text(text)
    return key is not None and crypto.fingerprint(key) == fingerprint


def _store_in_keyring(entry: str, text: str) -> Master:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise UnavailableError(
            f"T{_KEYRING[1:]} needs the keyring extra.", hint="Run: pip install edgekit[keyring]"
        ) from None
    try:
        keyring.set_password(_SERVICE, entry, text)
        kept = keyring.get_password(_SERVICE, entry)
    except (KeyringError, RuntimeError, OSError) as error:
        raise UnavailableError(
            f"T{_KEYRING[1:]} does not take the master key: {type(error).__name__}.",
            hint="Unlock it, or leave the option out: the key then goes to a file.",
        ) from error
    if kept != text:
        raise UnavailableError(
            f"T{_KEYRING[1:]} did not keep the master key.",
            hint="Leave the option out: the key then goes to a file.",
        )
    return _parse(kept, "keyring", _KEYRING)
