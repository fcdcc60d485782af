"""The vendor a file trusts: a public key that is given once and replaced only by what it has signed itself.

Triggers keep the chain of keys whole and in order, and the seals of the log hold it. The file is as safe from
its owner as that: whoever owns the machine can make another file, or change the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import codec, crypto, db
from edgekit.errors import ConflictError, LicenseFileError
from edgekit.licensing import statement

if TYPE_CHECKING:
    import sqlite3

    from edgekit.licensing.statement import Statement


@dataclass(frozen=True, slots=True)
class Trusted:
    """A key licences are checked with: whose it is, what people know it by, since when it is trusted."""

    id: int
    vendor: str
    key: str
    public_key: str
    since: str


def keys(connection: sqlite3.Connection) -> list[Trusted]:
    """Read the keys of the vendor, the one in force last."""
    rows = connection.execute("SELECT id, vendor_name, public_key, created_at FROM vendor_key ORDER BY id")
    return [Trusted(row, vendor, key_name(public), public, since) for row, vendor, public, since in rows]


def key_name(public_key: str) -> str:
    """Return the name people know a key by, given in base64."""
    return crypto.public_name(statement.from_base64(public_key) or b"")


def read_key(content: str | bytes) -> Statement:
    """Read a vendor's public key, which is signed with itself. Raise LicenseFileError."""
    given = statement.parse(content, wanted="vendor_key")
    if not given.is_signed(str(given.document.get("public_key"))):
        raise statement.tampered()
    return given


def trust(content: str | bytes) -> Trusted:
    """Trust a vendor from now on, given the text of the public key file.

    Raise ConflictError if the file trusts this key already, LicenseFileError if it trusts another one or the
    text is no public key.
    """
    given = read_key(content)
    public, vendor = given.document["public_key"], str(given.document["vendor"])
    with db.change(reason=f"trust {vendor}"):
        connection = db.connection()
        known = keys(connection)
        if known and known[-1].public_key == public:
            raise ConflictError(f"This file trusts {known[-1].vendor} ({known[-1].key}) already.")
        if known:
            raise LicenseFileError(
                f"This file trusts {known[-1].vendor} ({known[-1].key}), and trusts one vendor only.",
                reason="foreign_vendor",
                hint="Another key needs a statement signed with that one:"
                " edgekit licensing rotate-key --file FILE",
            )
        add(connection, given, created_by=db.current().actor_id)
        return keys(connection)[-1]


def add(connection: sqlite3.Connection, given: Statement, *, created_by: int) -> None:
    """Write the first key within the open change, as `read_key` gave it."""
    connection.execute(
        "INSERT INTO vendor_key(vendor_name, public_key, created_by) VALUES (?, ?, ?)",
        (str(given.document["vendor"])[:100], given.document["public_key"], created_by),
    )


def rotate_key(content: str | bytes) -> Trusted:
    """Trust another key of the vendor, given the text the last one has signed.

    Licences that are installed stay; new ones must be signed with the new key. Raise LicenseFileError.
    """
    given = statement.parse(content, wanted="key_change")
    public = given.document.get("public_key")
    with db.change(reason="vendor key changed"):
        connection = db.connection()
        last = checked(connection, given)
        if not isinstance(public, str) or len(statement.from_base64(public) or b"") != crypto.KEY_SIZE:
            raise statement.tampered()
        connection.execute(
            "INSERT INTO vendor_key(vendor_name, public_key, previous_vendor_key_id, statement,"
            " statement_signature, created_by) VALUES (?, ?, ?, ?, ?, ?)",
            (
                str(given.document["vendor"])[:100],
                public,
                last.id,
                given.text,
                given.signature,
                db.current().actor_id,
            ),
        )
        return keys(connection)[-1]


def checked(connection: sqlite3.Connection, given: Statement) -> Trusted:
    """Return the key in force, if it signed a statement. Raise LicenseFileError saying why it did not."""
    known = keys(connection)
    if not known:
        raise LicenseFileError(
            "This file trusts no vendor yet, so no licence can be checked.",
            reason="no_vendor_key",
            hint="Give it the vendor's public key once: edgekit licensing trust FILE",
        )
    last = known[-1]
    if given.is_signed(last.public_key):
        return last
    if given.signed_by == last.key:
        raise statement.tampered()
    vendor = given.document.get("vendor")
    if earlier := next((key for key in known if key.key == given.signed_by), None):
        raise LicenseFileError(
            f"It is signed with an earlier key of {vendor} ({earlier.key}), which {last.key} has replaced.",
            reason="retired_key",
            hint="Ask the vendor to issue it again with the new key.",
        )
    raise LicenseFileError(
        f"It is signed by {vendor} with a key this file does not trust ({given.signed_by}); it trusts"
        f" {last.vendor} ({last.key}).",
        reason="foreign_vendor",
        hint="If the vendor has a new key, ask for the statement that says so: edgekit licensing rotate-key",
    )


def unsound(connection: sqlite3.Connection) -> dict[int, str]:
    """Find keys that were not vouched for by the one before, and those behind them: a sentence by id."""
    rows = connection.execute(
        "SELECT k.id, k.public_key, p.id, p.public_key, k.statement, k.statement_signature FROM vendor_key k"
        " LEFT JOIN vendor_key p ON p.id = k.previous_vendor_key_id"
        " WHERE k.id > (SELECT min(id) FROM vendor_key) ORDER BY k.id"
    )
    found: dict[int, str] = {}
    for number, public, before, vouching, text, signature in rows:
        is_vouched = (
            vouching is not None
            and before not in found
            and statement.is_signed(vouching, text, signature)
            and codec.loads(text).get("public_key") == public
        )
        if not is_vouched:
            found[number] = f"Vendor key {number} ({key_name(public)}) was not signed with the key before it."
    return found
