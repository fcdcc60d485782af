"""Sealing bytes, deriving and naming keys: the one door to the cryptography package.

A sealed value is `version (1) | key check (4) | nonce (12) | ciphertext | tag (16)`, AES-256-GCM. Its header
and its context (where it belongs) are authenticated, so a value moved to another row does not open. The key
check says which key a value wants and nothing about the key.

Nonces are random: one key must seal fewer than 2**32 values, far beyond what one file holds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import unicodedata
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Protocol

from edgekit.errors import CorruptError, VaultLockedError


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> object:
        """Take them."""


KEY_SIZE = 32
"""Bytes of a key: AES-256."""

_VERSION = 1
_CHECK_SIZE = 4
_NONCE_SIZE = 12
_TAG_SIZE = 16
_HEADER_SIZE = 1 + _CHECK_SIZE

OVERHEAD = _HEADER_SIZE + _NONCE_SIZE + _TAG_SIZE
"""How many bytes longer a sealed value is than what is in it."""

SCRYPT_N = 2**16
"""Cost of a passphrase: 64 MiB and about 0.12 s."""

_MAX_SCRYPT_BYTES = 2**30  # a file may not make us allocate more than this


def random_key() -> bytes:
    """Return a new random key."""
    return os.urandom(KEY_SIZE)


def key_check(key: bytes) -> bytes:
    """Return four bytes that tell keys apart and reveal nothing of them."""
    return _name(key)[:_CHECK_SIZE]


def fingerprint(key: bytes) -> str:
    """Return the name people know a key by, `k` and 40 bits of a keyed hash, which reveal nothing."""
    return "k" + base64.b32encode(_name(key)[:5]).decode("ascii").lower()


def _name(key: bytes) -> bytes:
    return hmac.new(_sound(key), b"edgekit key name", hashlib.sha256).digest()


def _sound(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise ValueError(f"a key has {KEY_SIZE} bytes, not {len(key)}")
    return key


def encrypt(key: bytes, plaintext: bytes, *, context: str) -> bytes:
    """Seal bytes under a key for one place; the same `context` must be named to open them."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = bytes([_VERSION]) + key_check(key)
    nonce = os.urandom(_NONCE_SIZE)
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + context.encode())


def decrypt(key: bytes, sealed: bytes, *, context: str) -> bytes:
    """Open a sealed value.

    Raise VaultLockedError if it was sealed under another key, CorruptError if it was altered, belongs to
    another context or has no form we know.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if sealed_check(sealed) != key_check(key):
        raise VaultLockedError(f"{context} was sealed under another key than {fingerprint(key)}.")
    header, rest = sealed[:_HEADER_SIZE], sealed[_HEADER_SIZE:]
    nonce, body = rest[:_NONCE_SIZE], rest[_NONCE_SIZE:]
    try:
        return AESGCM(key).decrypt(nonce, body, header + context.encode())
    except InvalidTag:
        raise CorruptError(
            f"{context} does not open: it was altered, or moved here from another row.",
            hint="Set the secret again, or restore a backup.",
        ) from None


def sealed_check(sealed: bytes) -> bytes:
    """Return the check of the key a value was sealed under. Raise CorruptError if it has no form we know."""
    if len(sealed) < OVERHEAD:
        raise CorruptError(
            f"A sealed value has at least {OVERHEAD} bytes; this one has {len(sealed)}.",
            hint="Set the secret again, or restore a backup.",
        )
    if sealed[0] != _VERSION:
        raise CorruptError(
            f"A sealed value has format {sealed[0]}; this program knows format {_VERSION}.",
            hint="Install a newer edgekit, or set the secret again.",
        )
    return sealed[1:_HEADER_SIZE]


_CHUNK_SIZE = 1024 * 1024


def seal_stream(key: bytes, source: IO[bytes], target: Sink, *, context: bytes) -> None:
    """Seal all that a file holds, a megabyte at a time, under a key that seals nothing else.

    Each chunk is bound to its place and the last is marked, so none can be left out, moved or added.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, number = AESGCM(_sound(key)), 0
    chunk = source.read(_CHUNK_SIZE)
    while True:
        following = source.read(_CHUNK_SIZE)
        target.write(cipher.encrypt(_chunk_nonce(number, is_last=not following), chunk, context))
        if not following:
            return
        chunk, number = following, number + 1


def open_stream(key: bytes, source: IO[bytes], target: Sink, *, context: bytes) -> None:
    """Open what `seal_stream` wrote.

    Raise CorruptError where it was altered or cut off: what was written by then must not be used.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, number, size = AESGCM(_sound(key)), 0, _CHUNK_SIZE + _TAG_SIZE
    chunk = source.read(size)
    while True:
        following = source.read(size)
        try:
            target.write(cipher.decrypt(_chunk_nonce(number, is_last=not following), chunk, context))
        except InvalidTag:
            raise CorruptError(f"Chunk {number} was altered, or what follows it is missing.") from None
        if not following:
            return
        chunk, number = following, number + 1


def _chunk_nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_NONCE_SIZE - 1) + bytes([is_last])


def lookup_hash(key: bytes, value: bytes) -> str:
    """Return a keyed hash of a value, 64 hexadecimal digits, which tells nothing to who has not the key."""
    return hmac.new(_sound(key), b"edgekit lookup\x00" + value, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Scrypt:
    """How a passphrase becomes a key; kept beside what the key locks. The salt is hexadecimal."""

    salt: str = field(default_factory=lambda: os.urandom(16).hex())
    n: int = SCRYPT_N
    r: int = 8
    p: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Return what a file stores; `from_dict` reads it back."""
        return {"algorithm": "scrypt", **asdict(self)}

    @classmethod
    def from_dict(cls, stored: object) -> Scrypt:
        """Read stored parameters. Raise CorruptError for others than ours or a cost nobody would choose."""
        if isinstance(stored, dict) and stored.keys() == {"algorithm", "salt", "n", "r", "p"}:
            found = cls(salt=stored["salt"], n=stored["n"], r=stored["r"], p=stored["p"])
            if stored["algorithm"] == "scrypt" and found._is_sane():
                return found
        raise CorruptError(
            "The parameters that turn the passphrase into a key are damaged.", hint="Restore a backup."
        )

    def _is_sane(self) -> bool:
        if not all(type(cost) is int and cost > 0 for cost in (self.n, self.r, self.p)):
            return False
        if type(self.salt) is not str or re.fullmatch("([0-9a-f]{2}){14,64}", self.salt) is None:
            return False
        is_power_of_two = self.n > 1 and self.n & (self.n - 1) == 0
        return is_power_of_two and self.p <= 16 and 128 * self.n * self.r <= _MAX_SCRYPT_BYTES

    def derive(self, passphrase: str) -> bytes:
        """Return the key of a passphrase; the same words typed on another system give the same key."""
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt as Kdf

        words = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
        return Kdf(salt=bytes.fromhex(self.salt), length=KEY_SIZE, n=self.n, r=self.r, p=self.p).derive(words)


def key_to_text(key: bytes) -> str:
    """Write a key as 43 characters of base64url, as key files and environment variables hold it."""
    return base64.urlsafe_b64encode(_sound(key)).decode("ascii").rstrip("=")


def key_from_text(text: str) -> bytes | None:
    """Read a key written in base64, either alphabet, padded or not. Return None if it is not one."""
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    if len(plain) != 43 or not plain.isascii():
        return None
    try:
        key = base64.b64decode(plain + "=", altchars=b"-_", validate=True)
    except ValueError:
        return None
    return key if len(key) == KEY_SIZE else None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key: 32 secret bytes, and the public half that everybody may have."""

    secret: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        """The 32 bytes that check a signature."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(_sound(self.secret)).public_key().public_bytes_raw()

    @property
    def name(self) -> str:
        """What people know the key by."""
        return public_name(self.public)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of some bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(_sound(self.secret)).sign(data)


def public_name(public: bytes) -> str:
    """Return the name people know a signing key by: `s` and 80 bits of a hash of its public half."""
    return "s" + base64.b32encode(hashlib.sha256(public).digest()[:10]).decode("ascii").lower()


def is_signed(public: bytes, data: bytes, signature: bytes) -> bool:
    """Tell whether a signature of these bytes was made with the secret half of a public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """What checking one password costs: Argon2id with so many KiB of memory and passes over it."""

    memory: int = 19 * 1024
    passes: int = 2


PASSWORD_COST = PasswordCost()
"""The least OWASP advises: 19 MiB and two passes, about 0.03 s."""

_PASSWORD = re.compile(
    r"\$(?:argon2id\$v=19\$m=(?P<m>\d{1,7}),t=(?P<t>\d{1,3}),p=1|scrypt\$ln=(?P<ln>\d{1,2}),r=8,p=1)"
    r"\$(?P<salt>[A-Za-z0-9+/]{22})\$(?P<key>[A-Za-z0-9+/]{43})"
)


def hash_password(password: str, *, cost: PasswordCost | None = None) -> str:
    """Return what a file keeps of a password: the algorithm, its cost, a salt and the hash, as text.

    Argon2id, or scrypt where this build of OpenSSL has none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    cost, salt = cost or PASSWORD_COST, os.urandom(16)
    try:
        name = f"argon2id$v=19$m={cost.memory},t={cost.passes},p=1"
        key = _argon2(password, salt, cost.memory, cost.passes)
    except UnsupportedAlgorithm:
        name = f"scrypt$ln={SCRYPT_N.bit_length() - 1},r=8,p=1"
        key = Scrypt(salt=salt.hex(), n=SCRYPT_N).derive(password)
    return f"${name}${_b64(salt)}${_b64(key)}"


def check_password(password: str, stored: str) -> bool:
    """Tell whether a password is what a hash was made of. Raise CorruptError for one of no form we know."""
    found = _PASSWORD.fullmatch(stored)
    if found is None:
        raise CorruptError(
            "A stored password hash is damaged.", hint="Set it again: edgekit users password NAME"
        )
    salt = base64.b64decode(found["salt"] + "==")
    if found["ln"] is not None:
        kdf = Scrypt.from_dict(
            {"algorithm": "scrypt", "salt": salt.hex(), "n": 2 ** int(found["ln"]), "r": 8, "p": 1}
        )
        key = kdf.derive(password)
    else:
        if int(found["m"]) > _MAX_SCRYPT_BYTES // 1024:
            raise CorruptError("A stored password hash asks for more memory than anybody would choose.")
        key = _argon2(password, salt, int(found["m"]), int(found["t"]))
    return hmac.compare_digest(_b64(key), found["key"])


def is_weak(stored: str, *, cost: PasswordCost | None = None) -> bool:
    """Tell whether a hash was made at another cost than passwords are hashed at now."""
    cost = cost or PASSWORD_COST
    found = _PASSWORD.fullmatch(stored)
    return found is None or (found["m"], found["t"]) != (str(cost.memory), str(cost.passes))


def _argon2(password: str, salt: bytes, memory: int, passes: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    words = unicodedata.normalize("NFC", password).encode("utf-8", "surrogateescape")
    return Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=memory).derive(words)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii").rstrip("=")
