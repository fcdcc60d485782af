"""How entries, changes and rows are written down to be hashed. Any change here breaks every seal there is.

All is JSON without spaces, in ASCII; a BLOB is `{"$blob": hex}`. Text that is not UTF-8 keeps its bytes as
lone surrogates.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ENTRY = "SELECT seq, txn_id, table_id, record_key, action, changes FROM audit_log"
CHANGE = "SELECT id, actor, correlation_id, reason, performed_at FROM audit_transaction"

HASH_SIZE = 16
"""Bytes of the hash of a row."""


def _plain(value: object) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"$blob": value.hex()}
    raise TypeError(f"{type(value).__name__} is no value of SQLite")


encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


def _encoder() -> Callable[[object], str]:
    """Return what writes as `encode` does, without making an encoder for each row where Python can."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encode
    write = make(None, _plain, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True)
    return lambda value: "".join(write(value, 0))


_write = _encoder()


@contextmanager
def exact_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Read text that is not UTF-8 as it is, where Python's own reading would fail."""
    usual = connection.text_factory
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = usual


def fetch_exact(connection: sqlite3.Connection, sql: str, params: Sequence[Any]) -> list[Any]:
    """Fetch all rows of a SELECT as `exact_text` reads them, as fast as Python reads what is UTF-8."""
    exact, connection.text_factory = connection.text_factory, str
    try:
        return connection.execute(sql, params).fetchall()
    except sqlite3.OperationalError:  # some text is not
        connection.text_factory = exact
        return connection.execute(sql, params).fetchall()
    finally:
        connection.text_factory = exact


def digest(changes: Iterable[Sequence[Any]], entries: Iterable[Sequence[Any]]) -> tuple[str, bytes]:
    """Hash a part of the log: (SHA-256 of its changes and entries, CRC-32 of each entry)."""
    hashed, sums = hashlib.sha256(), bytearray()
    for row in changes:
        hashed.update(b"T" + encode(row).encode() + b"\n")
    for row in entries:
        text = _entry(row)
        hashed.update(b"E" + text + b"\n")
        sums += zlib.crc32(text).to_bytes(4, "big")
    return hashed.hexdigest(), bytes(sums)


def entry_sum(row: Sequence[Any]) -> bytes:
    """Return the sum of one entry, as `digest` puts it."""
    return zlib.crc32(_entry(row)).to_bytes(4, "big")


def _entry(row: Sequence[Any]) -> bytes:
    """Write one entry as `encode` does; those of inserts, the most after an import, without its cost."""
    if row[4] == "I" and row[5] is None and {*map(type, row[:4])} == {int}:
        return b'[%d,%d,%d,%d,"I",null]' % tuple(row[:4])
    return encode(row).encode()


def row_hash(table_id: int, key: int, values: Sequence[Any]) -> bytes:
    """Hash one row for its place; -0.0 is 0.0, as in the log."""
    exact = values
    if 0.0 in values:
        exact = [value + 0.0 if type(value) is float else value for value in values]
    return hashlib.blake2b(_write([table_id, key, exact]).encode(), digest_size=HASH_SIZE).digest()


def add_up(total: int, plus: Iterable[bytes], minus: Iterable[bytes] = ()) -> int:
    """Add hashes of rows to the sum of a table, and take others off."""
    change = sum(int.from_bytes(h, "big") for h in plus) - sum(int.from_bytes(h, "big") for h in minus)
    return int((total + change) % (1 << 8 * HASH_SIZE))
