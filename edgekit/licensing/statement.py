"""What a vendor signs, as one text people can mail: licences, revocations, and the keys that check them.

    -----BEGIN EDGEKIT LICENSE-----
    what it says, in a few lines for people

    the same as JSON, which is what is signed: sorted keys, no spaces

    its Ed25519 signature in base64
    -----END EDGEKIT LICENSE-----

What stands before and after, and the line ends mail programs change, do not matter. Within, nothing may
differ from what writing the document anew gives: no byte can be changed unseen. No secret is in any of it.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit import codec, crypto
from edgekit.errors import DeniedError, InvalidError, LicenseFileError, NotFoundError

FORMAT = 1
"""The newest format this program reads and writes."""

LABELS = {
    "license": "EDGEKIT LICENSE",
    "revocation": "EDGEKIT LICENSE REVOCATION",
    "vendor_key": "EDGEKIT VENDOR KEY",
    "key_change": "EDGEKIT VENDOR KEY CHANGE",
}
"""What there is to sign, and the name it stands under in a text."""

KEYFILE_LABEL = "EDGEKIT VENDOR SECRET KEY"
"""The name the secret half of a vendor's key stands under in its file."""

_NAMES = {
    "license": "a licence",
    "revocation": "the revocation of a licence",
    "vendor_key": "a vendor's public key",
    "key_change": "the change of a vendor's key",
}
_USES = {
    "license": "edgekit licensing install FILE",
    "revocation": "edgekit licensing revoke --file FILE",
    "vendor_key": "edgekit licensing trust FILE",
    "key_change": "edgekit licensing rotate-key --file FILE",
}
_BEGIN = re.compile(r"^-----BEGIN (EDGEKIT [A-Z ]+)-----$", re.MULTILINE)
_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Statement:
    """A signed document; `text` is what was signed, `signature` 88 characters of base64."""

    document: dict[str, Any]
    text: str
    signature: str

    @property
    def kind(self) -> str:
        """Which of LABELS it is."""
        return str(self.document["kind"])

    @property
    def signed_by(self) -> str:
        """The name of the key it says it was signed with; only `is_signed` knows."""
        return str(self.document.get("signed_by", ""))

    def is_signed(self, public_key: str) -> bool:
        """Tell whether it was signed with the secret half of a key, given in base64."""
        return is_signed(public_key, self.text, self.signature)


def is_signed(public_key: str, text: str, signature: str) -> bool:
    """Tell whether a text was signed with the secret half of a key, both given in base64."""
    public, signed = from_base64(public_key), from_base64(signature)
    return bool(public and signed) and crypto.is_signed(public or b"", text.encode(), signed or b"")


def sign(kind: str, content: dict[str, Any], vendor: str, key: crypto.SigningKey) -> Statement:
    """Sign a document of a kind for a vendor."""
    document = {"format": FORMAT, "kind": kind, "vendor": vendor, "signed_by": key.name, **content}
    text = codec.canonical(document)
    return Statement(document, text, to_base64(key.sign(text.encode())))


def render(statement: Statement) -> str:
    """Write a statement as the text people mail."""
    label = LABELS[statement.kind]
    readable = json.dumps(statement.document, indent=1, sort_keys=True)  # plain ASCII survives every mail
    return "\n".join(
        (
            f"-----BEGIN {label}-----",
            *(_plain(line) for line in _summary(statement.document)),
            "",
            readable,
            "",
            statement.signature[:44],
            statement.signature[44:],
            f"-----END {label}-----",
            "",
        )
    )


def parse(content: str | bytes, *, wanted: str | None = None) -> Statement:
    """Read a statement out of a text; whether its signature is good is another question.

    Raise LicenseFileError: malformed, newer_format, tampered, or wrong_kind where it is not the kind wanted.
    """
    label, block = _block(_decoded(content))
    if label == KEYFILE_LABEL:
        raise LicenseFileError(
            "This is the secret half of a vendor's key, which stays with the vendor.",
            reason="wrong_kind",
            hint="The public half is in the file beside it whose name ends in .pub.",
        )
    kind = next((name for name, own in LABELS.items() if own == label), None)
    parts = block.split("\n\n")
    if kind is None or len(parts) != 3:
        raise _malformed("it is not whole, or of no kind this program knows")
    document = _document(parts[1])
    if document.get("kind") != kind:
        raise _malformed("it is not what it says it is")
    signature = "".join(parts[2].split("\n")[:-1])
    try:
        statement = Statement(document, codec.canonical(document), signature)
        is_whole = render(statement) == block + "\n"
    except (InvalidError, RecursionError):
        is_whole = False
    if not is_whole:
        raise tampered()
    if wanted is not None and kind != wanted:
        raise LicenseFileError(
            f"This is {_NAMES[kind]}, not {_NAMES[wanted]}.", reason="wrong_kind", hint=f"Run: {_USES[kind]}"
        )
    return statement


def read_file(path: str | Path) -> bytes:
    """Read what a vendor sent. Raise NotFoundError, or DeniedError if it cannot be read."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.") from None
    except OSError as error:
        raise DeniedError(f"{path} cannot be read: {error.strerror}.") from error


def tampered() -> LicenseFileError:
    """Say that something was changed after it was signed."""
    return LicenseFileError(
        "The file was changed after it was signed.",
        reason="tampered",
        hint="Ask the vendor to send it again, as an attachment.",
    )


def _decoded(content: str | bytes) -> str:
    if len(content) > _LARGEST:
        raise _malformed("it is too large for one")
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _malformed("it is no text") from None
    return content.replace("\r\n", "\n")


def _block(text: str) -> tuple[str, str]:
    """Cut the one statement out of a text, from its first line to its last."""
    found = list(_BEGIN.finditer(text))
    if len(found) != 1:
        raise _malformed("there is none in it" if not found else "there are several in it: one at a time")
    label, start = found[0][1], found[0].start()
    last = f"\n-----END {label}-----"
    end = text.find(last, start)
    if end < 0 or text[end + len(last) : end + len(last) + 1] not in {"", "\n"}:
        raise _malformed("its end is missing")
    return label, text[start : end + len(last)]


def _document(text: str) -> dict[str, Any]:
    try:
        document = codec.loads(text)
    except InvalidError:
        raise _malformed("what it says cannot be read") from None
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise _malformed("it says nothing")
    if document["format"] != FORMAT:
        raise newer(f"it has format {document['format']}, and this program knows format {FORMAT}")
    return document


def newer(why: str) -> LicenseFileError:
    """Say that a file wants a newer program."""
    return LicenseFileError(
        f"This file is for a newer program: {why}.", reason="newer_format", hint="Install a newer edgekit."
    )


def _malformed(why: str) -> LicenseFileError:
    return LicenseFileError(
        f"This is no licence file, or no whole one: {why}.",
        reason="malformed",
        hint="Save what the vendor sent as it is, from the line BEGIN to the line END.",
    )


def _summary(document: dict[str, Any]) -> list[str]:
    """Say in a few lines what a document says; it may be any, so nothing is taken for granted."""
    kind, vendor = document["kind"], document.get("vendor")
    if kind == "vendor_key":
        lines = [f"The public key of {vendor}: licences are checked with it. It is no secret."]
    elif kind == "key_change":
        lines = [f"{vendor} signs with another key from now on."]
    elif kind == "revocation":
        why = f": {document['reason']}" if document.get("reason") else ""
        lines = [f"{vendor} takes back the licence {document.get('serial')}{why}"]
    else:
        customer = document.get("customer") or "whoever has it"
        lines = [
            f"Licence {document.get('serial')} of {vendor} for {customer}",
            f"Tier {document.get('tier') or '-'}; features {_features(document.get('features'))}",
            f"From {document.get('starts_at')} until {document.get('expires_at') or 'ever'}",
        ]
    return [*lines, f"Use it with: {_USES[kind]}"]


def describe(statement: Statement) -> str:
    """Say in one line what a statement is."""
    return _summary(statement.document)[0]


def _features(grants: Any) -> str:
    if not isinstance(grants, list) or not grants:
        return "-"
    return ", ".join(str(grant.get("feature")) if isinstance(grant, dict) else "?" for grant in grants)


def _plain(line: str) -> str:
    return line.replace("\n", " ").encode("ascii", "backslashreplace").decode("ascii")


def to_base64(data: bytes) -> str:
    """Write bytes in base64."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """Read base64 that is written in the one right way; None if it is not."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if to_base64(data) == text else None
