"""Seals: a chain of hashes over the log, signed where the vault has a key.

    from edgekit import audit

    audit.seal(connection)                  # everything up to now, unsigned
    audit.seal(connection, signer=key)      # signed: anything with `public`, `name` and `sign(bytes)`

A seal covers at most a thousand entries with their changes, and names the seal before it. What is sealed can
be checked by anybody with the file alone; see `edgekit.audit.checks`.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from edgekit import clock, sqlite
from edgekit.audit import encoding, fingerprints
from edgekit.errors import ConflictError, InvalidError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime

    from edgekit.audit.shape import Table

EVERY = 1000
"""How many entries a seal covers at most, and how many unsealed ones make a new one due."""

FORMAT = "edgekit-seal/1"
START = "0" * 64

_AT_ONCE = 5  # seals in one transaction, so that nobody waits long for us
_FIELDS = (
    "id", "kind", "site", "first_seq", "last_seq", "first_txn", "last_txn", "floor_seq", "floor_txn",
    "txn_id", "entries_sha256", "rows_sha256", "findings", "note", "sealed_at", "previous_sha256",
)  # fmt: skip
_COLUMNS = (*_FIELDS, "entry_sums", "sha256", "key_id", "signature")


class Signer(Protocol):
    """What signs a seal: the caller has it from the vault."""

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes of Ed25519."""

    @property
    def name(self) -> str:
        """What people know the key by."""

    def sign(self, data: bytes) -> bytes:
        """Sign some bytes."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A link of the chain, as it is stored; `key` is the name of the key that signed it."""

    id: int
    kind: str
    site: str
    first_seq: int
    last_seq: int
    first_txn: int
    last_txn: int
    floor_seq: int
    floor_txn: int
    txn_id: int | None
    entries_sha256: str
    rows_sha256: str | None
    findings: str | None
    note: str | None
    sealed_at: str
    previous_sha256: str
    entry_sums: bytes | None = None
    sha256: str = ""
    key: str | None = None
    signature: bytes | None = None

    def computed(self) -> str:
        """Hash what the seal says."""
        said = [FORMAT, *(getattr(self, name) for name in _FIELDS), self.key]
        return hashlib.sha256(encoding.encode(said).encode()).hexdigest()

    def signed_bytes(self) -> bytes:
        """Return what the signature is made of."""
        return f"{FORMAT} {self.sha256}".encode()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: what one keeps outside the file to notice a tail that was cut off."""

    id: int
    last_seq: int
    sha256: str
    sealed_at: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing did: how many seals it made over how many entries, and the head of the chain since."""

    seals: int
    entries: int
    findings: int
    signed: bool
    head: Head | None


def head(connection: sqlite3.Connection) -> Head | None:
    """Return the last seal in short, None where nothing is sealed."""
    row = connection.execute(
        "SELECT s.id, s.last_seq, s.sha256, s.sealed_at, k.name FROM audit_seal s"
        " LEFT JOIN audit_key k ON k.id = s.key_id ORDER BY s.id DESC LIMIT 1"
    ).fetchone()
    return Head(*row) if row else None


def unsealed(connection: sqlite3.Connection) -> int:
    """Count the entries no seal covers yet. Two look-ups: cheap enough to ask often."""
    last, sealed = connection.execute(
        "SELECT ifnull((SELECT max(seq) FROM audit_log), 0),"
        " ifnull((SELECT last_seq FROM audit_seal ORDER BY id DESC LIMIT 1), 0)"
    ).fetchone()
    return max(int(last) - int(sealed), 0)


def read(connection: sqlite3.Connection, *, after: int = 0) -> Iterator[Seal]:
    """Yield the seals behind one of them, in the order of the chain."""
    columns = ", ".join(f"s.{name}" for name in (*_FIELDS, "entry_sums", "sha256"))
    rows = connection.execute(
        f"SELECT {columns}, k.name, s.signature FROM audit_seal s LEFT JOIN audit_key k ON k.id = s.key_id"
        " WHERE s.id > ? ORDER BY s.id",
        (after,),
    )
    return (Seal(*row) for row in rows)


def last(connection: sqlite3.Connection) -> Seal | None:
    """Return the last seal whole, None where nothing is sealed."""
    end = head(connection)
    return next(read(connection, after=end.id - 1), None) if end else None


def seal(
    connection: sqlite3.Connection, *, signer: Signer | None = None, now: datetime | None = None
) -> Sealed:
    """Seal every entry that is not sealed yet, in short transactions of its own; do nothing where none is.

    Rows whose values contradict the log are named in the seal, and stay named. Raise InvalidError inside an
    open transaction, BusyError's driver error where another writer does not let go.
    """
    if connection.in_transaction:
        raise InvalidError("The log is sealed between changes, not inside one.")
    at = clock.to_text(now or clock.now())
    made = entries = found = 0
    while unsealed(connection):
        with transaction(connection), encoding.exact_text(connection):
            shapes: dict[int, Table | None] = {}
            for _ in range(_AT_ONCE):
                batch = _next(connection, signer, at, shapes)
                if batch is None:
                    break
                made, entries, found = made + 1, entries + batch[0], found + batch[1]
    end = head(connection)
    return Sealed(made, entries, found, end is not None and end.key is not None, end)


def accept(
    connection: sqlite3.Connection, reason: str, *, actor: str = sqlite.SYSTEM_USER,
    signer: Signer | None = None, now: datetime | None = None,
) -> Seal:  # fmt: skip
    """Take the rows as they are from now on, whatever the log says: a seal that names who did so, and why.

    What was changed past the log until now is no finding any more; the seals that found it stay in the chain.
    """
    if not reason.strip():
        raise InvalidError("Rows that contradict the log are accepted for a reason only.")
    seal(connection, signer=signer, now=now)
    at = clock.to_text(now or clock.now())
    with transaction(connection), encoding.exact_text(connection):
        change = sqlite.open_gate(connection, actor, reason=f"audit accept: {reason}")
        fingerprints.take_anew(connection, all_of_them=True)
        made = _append_rows(
            connection, signer, at, txn_id=change.id, note=encoding.encode({"accepted": reason})
        )
        sqlite.close_gate(connection, change)
    return made


def renew(
    connection: sqlite3.Connection, *, signer: Signer | None = None, now: datetime | None = None
) -> Seal | None:
    """Take the rows of tables anew whose columns a migration changed; None where there are none."""
    with transaction(connection), encoding.exact_text(connection):
        if last(connection) is None:
            return None
        differ = [[d.table, d.record] for d in fingerprints.sweep(connection) if d.record]
        if not fingerprints.take_anew(connection, all_of_them=False):
            return None
        numbers = {name: number for number, name in connection.execute("SELECT id, name FROM audit_table")}
        found = [[numbers[table], record] for table, record in differ]
        return _append_rows(
            connection, signer, clock.to_text(now or clock.now()),
            findings=encoding.encode(found) if found else None,
        )  # fmt: skip


def _append_rows(connection: sqlite3.Connection, signer: Signer | None, at: str, **values: Any) -> Seal:
    before = last(connection)
    return append(
        connection, before, signer, kind="rows", sealed_at=at,
        last_seq=before.last_seq if before else 0, last_txn=before.last_txn if before else 0,
        entries_sha256=START, rows_sha256=fingerprints.total(connection), **values,
    )  # fmt: skip


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write to the log's own tables: all of it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _next(
    connection: sqlite3.Connection, signer: Signer | None, at: str, shapes: dict[int, Table | None]
) -> tuple[int, int] | None:
    """Seal the next part of the log; return how many entries it has and how many rows contradict it."""
    before = last(connection)
    entries = connection.execute(
        f"{encoding.ENTRY} WHERE seq > ? ORDER BY seq LIMIT ?", (before.last_seq if before else 0, EVERY)
    ).fetchall()
    if not entries:
        return None
    entries = _of_one_month(connection, entries)
    last_seq = entries[-1][0]
    known = [row[1] for row in entries if isinstance(row[1], int)]
    last_txn = max([before.last_txn if before else 0, *known])
    hashed, sums = encoding.digest(
        connection.execute(
            f"{encoding.CHANGE} WHERE id > ? AND id <= ? ORDER BY id",
            (before.last_txn if before else 0, last_txn),
        ),
        entries,
    )
    rows_sha256, contradictions = fingerprints.take(connection, entries, shapes)
    append(
        connection, before, signer, kind="entries", last_seq=last_seq, last_txn=last_txn,
        entries_sha256=hashed, entry_sums=sums, rows_sha256=rows_sha256,
        findings=encoding.encode(contradictions) if contradictions else None, sealed_at=at,
    )  # fmt: skip
    return len(entries), len(contradictions)


def _of_one_month(connection: sqlite3.Connection, entries: list[Any]) -> list[Any]:
    """End a seal where a month ends, so that it can be pruned with its month."""
    month = "SELECT substr(performed_at, 1, 7) FROM audit_transaction WHERE id = ?"
    first = connection.execute(month, (entries[0][1],)).fetchone()
    if connection.execute(month, (entries[-1][1],)).fetchone() == first:
        return entries
    for number, row in enumerate(entries):
        if connection.execute(month, (row[1],)).fetchone() != first:
            return entries[:number]
    return entries


def append(connection: sqlite3.Connection, before: Seal | None, signer: Signer | None, **values: Any) -> Seal:
    """Add a link to the chain, within the open transaction."""
    site = connection.execute("SELECT uuid FROM system WHERE id = 1").fetchone()
    key_id, key = (None, None) if signer is None else (_key_id(connection, signer), signer.name)
    said: dict[str, Any] = {
        "id": before.id + 1 if before else 1,
        "site": site[0] if site else "",
        "first_seq": before.last_seq + 1 if before else 1,
        "first_txn": before.last_txn + 1 if before else 1,
        "floor_seq": before.floor_seq if before else 0,
        "floor_txn": before.floor_txn if before else 0,
        "previous_sha256": before.sha256 if before else START,
        **dict.fromkeys(("txn_id", "rows_sha256", "findings", "note")),
        **values,
    }
    made = Seal(**said, key=key)
    made = replace(made, sha256=made.computed())
    if signer is not None:
        made = replace(made, signature=signer.sign(made.signed_bytes()))
    stored = [key_id if name == "key_id" else getattr(made, name) for name in _COLUMNS]
    marks = ", ".join("?" * len(_COLUMNS))
    connection.execute(f"INSERT INTO audit_seal({', '.join(_COLUMNS)}) VALUES ({marks})", stored)
    return made


def add_key(connection: sqlite3.Connection, public: bytes, name: str) -> int:
    """Put a public key into the file, so that its seals can be checked without any secret. Return its id."""
    found = connection.execute("SELECT id FROM audit_key WHERE name = ?", (name,)).fetchone()
    if found:
        return int(found[0])
    added = connection.execute(
        "INSERT INTO audit_key(id, name, public_key, added_at)"
        " VALUES ((SELECT ifnull(max(id), 0) + 1 FROM audit_key), ?, ?, ?)",
        (name, public, clock.now_text()),
    )
    return int(added.lastrowid or 0)


def _key_id(connection: sqlite3.Connection, signer: Signer) -> int:
    row = connection.execute(
        "SELECT id FROM audit_key WHERE name = ? AND public_key = ?", (signer.name, signer.public)
    ).fetchone()
    if row is None:
        raise ConflictError(
            f"The file does not have the public key {signer.name}.", hint="Run: edgekit vault init"
        )
    return int(row[0])
