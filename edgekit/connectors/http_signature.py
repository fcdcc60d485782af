"""Signatures over a message, keyed by a shared secret (HMAC): made for what we send, checked on what comes.

The template `over` says what is signed, in the sender's own order: `{timestamp}.{body}`, or a line each of
method, path and body. `prefix` stands before the signature in its header and may hold the time as well, as in
`t={timestamp},v1=`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edgekit import clock
from edgekit.errors import DeniedError, InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLERANCE = 300
"""Seconds a signed time may differ from ours, if nothing is said."""

_PLACE = re.compile(r"\{(\w+)\}")
_PLACES = {"method", "path", "query", "timestamp", "nonce", "body"}
_BETWEEN = re.compile(r"[,\s]+")
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_NAME: dict[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9_.\\-]+$"}

SIGNATURE_SETTINGS: dict[str, Any] = {
    "algorithm": {"enum": ["sha256", "sha512"], "description": "sha256"},
    "header": {**_NAME, "description": "Carries the signature: X-Signature."},
    "prefix": {"type": "string", "description": "Before the signature: sha256=, or t={timestamp},v1="},
    "encoding": {"enum": ["hex", "base64"], "description": "hex"},
    "key_encoding": {"enum": ["text", "base64", "hex"], "description": "How the secret is written: text."},
    "over": {**_TEXT, "description": "What is signed, of method, path, query, timestamp, nonce: {body}"},
    "timestamp_header": {**_NAME, "description": "Carries the time in seconds, if `over` has it."},
    "nonce_header": {**_NAME, "description": "Carries the nonce, if `over` has it."},
}
"""Of a JSON Schema for what describes a signature."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a signature may be over: the path and query as they are sent, the body byte by byte."""

    method: str
    path: str
    query: str
    body: bytes


class Signature:
    """One way to sign, as its settings say. Its repr tells no secret."""

    def __init__(self, settings: Mapping[str, Any], secret: str) -> None:
        """Raise InvalidError for settings that cannot be used together, or a secret that is no such key."""
        self.header = str(settings.get("header", "X-Signature"))
        self._algorithm = str(settings.get("algorithm", "sha256"))
        self._prefix = str(settings.get("prefix", ""))
        self._encoding = str(settings.get("encoding", "hex"))
        self._over = str(settings.get("over", "{body}"))
        self._timestamp_header: str | None = settings.get("timestamp_header")
        self.nonce_header: str | None = settings.get("nonce_header")
        self._tolerance = float(settings.get("tolerance_seconds", TOLERANCE))
        self._key = _key(secret, str(settings.get("key_encoding", "text")))
        self._check()

    def _check(self) -> None:
        places = set(_PLACE.findall(self._over))
        if unknown := sorted((places | set(_PLACE.findall(self._prefix))) - _PLACES):
            raise InvalidError(
                f"The signature knows no {{{unknown[0]}}}.", hint=f"It knows: {', '.join(sorted(_PLACES))}."
            )
        *before, last = self._prefix.split(",")
        if "{" in last or not set(_PLACE.findall(",".join(before))) <= {"timestamp", "nonce"}:
            raise InvalidError(
                "The prefix of a signature holds time and nonce only, each with a comma behind it.",
                hint='Such as "t={timestamp},v1="',
            )
        told = {
            "timestamp": self._timestamp_header is not None or "{timestamp}" in self._prefix,
            "nonce": self.nonce_header is not None or "{nonce}" in self._prefix,
        }
        for name, is_told in told.items():
            if is_told != (name in places):
                raise InvalidError(
                    f"The signature's {name} must both be sent and stand in `over`: else it proves nothing.",
                    hint=f'Such as "over": "{{{name}}}.{{body}}", "{name}_header": "X-{name.title()}"',
                )

    def sign(
        self, message: Message, *, nonce: str | None = None, now: datetime | None = None
    ) -> dict[str, str]:
        """Return the headers that sign a message: with the time of now, and a nonce, new if none is given."""
        told = {
            "timestamp": str(int((now or clock.now()).timestamp())),
            "nonce": nonce or secrets.token_hex(16),
        }
        headers = {self.header: _fill(self._prefix, told) + self._compute(message, told)}
        for name, header in (("timestamp", self._timestamp_header), ("nonce", self.nonce_header)):
            if header is not None:
                headers[header] = told[name]
        return headers

    def verify(self, message: Message, headers: Mapping[str, str], *, now: datetime | None = None) -> None:
        """Check a message that came, its headers named in lower case. Raise DeniedError saying what is wrong.

        Of several signatures, as while keys are changed, one that is right is enough.
        """
        given = headers.get(self.header.lower(), "")
        told, signatures = self._read(given)
        for name, header in (("timestamp", self._timestamp_header), ("nonce", self.nonce_header)):
            if header is not None:
                told[name] = headers.get(header.lower(), "").strip()
        expected = self._compute(message, told).encode()
        fold = str.lower if self._encoding == "hex" else str
        is_right = False
        for signature in signatures[:10]:
            is_right |= hmac.compare_digest(fold(signature).encode(), expected)
        if not is_right:
            raise DeniedError("The signature is missing." if not given else "The signature is wrong.")
        if "{timestamp}" in self._over:
            self._require_recent(told.get("timestamp", ""), now or clock.now())

    def _read(self, given: str) -> tuple[dict[str, str], list[str]]:
        """Take apart what the header says: times and nonces in it, and each signature."""
        *before, last = self._prefix.split(",")
        told: dict[str, str] = {}
        signatures = []
        for part in _BETWEEN.split(given.strip()):
            for wanted in before:
                literal, place = _PLACE.split(wanted, maxsplit=1)[0], _PLACE.search(wanted)
                if place is not None and part.startswith(literal):
                    told.setdefault(place[1], part[len(literal) :])
            if part.startswith(last.strip()):
                signatures.append(part[len(last.strip()) :])
        return told, [signature for signature in signatures if signature]

    def _compute(self, message: Message, told: Mapping[str, str]) -> str:
        known = {
            "method": message.method.encode(),
            "path": message.path.encode(),
            "query": message.query.encode(),
            "body": message.body,
            **{name: value.encode() for name, value in told.items()},
        }
        pieces = _PLACE.split(self._over)
        signed = b"".join(
            known.get(piece, b"") if number % 2 else piece.encode() for number, piece in enumerate(pieces)
        )
        digest = hmac.digest(self._key, signed, self._algorithm)
        return digest.hex() if self._encoding == "hex" else base64.b64encode(digest).decode()

    def _require_recent(self, text: str, now: datetime) -> None:
        moment = _moment(text)
        if moment is None or abs(now.timestamp() - moment) > self._tolerance:
            raise DeniedError("The signed time is too far from ours: it may be sent again by somebody else.")


def _fill(template: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values.get(place[1], ""), template)


def _moment(text: str) -> float | None:
    """Read a signed time: seconds or milliseconds since 1970, or ISO 8601 with its zone."""
    if text.isascii() and text.isdigit() and len(text) <= 16:
        return int(text) / (1000 if len(text) > 11 else 1)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def _key(secret: str, encoding: str) -> bytes:
    try:
        if encoding == "base64":
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        return bytes.fromhex(secret) if encoding == "hex" else secret.encode()
    except (binascii.Error, ValueError):
        raise InvalidError(
            f"The secret to sign with is not written in {encoding}.",
            hint="Store it again, or correct key_encoding.",
        ) from None
