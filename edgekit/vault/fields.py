"""The sealed columns of a file, found in its catalogue, and the one door to them.

A sealed column is named `*_ciphertext` and stands in a table with `uuid` and `encryption_key_id`. Where it
has a brother named `*_hash`, that holds a keyed hash of the value, by which the row is found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import crypto, db, naming, rows, vault
from edgekit.errors import InvalidError, NotFoundError, VaultLockedError
from edgekit.schema import quote_name
from edgekit.vault import keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from edgekit.vault.keys import OpenKeys

_OWN_DOOR = {
    "integration_credential": "edgekit vault set INTEGRATION KEY",
    "integration_execution_input": "edgekit executions replay ID",
}
"""Tables whose secrets know more than their value, such as when they expire."""


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table with sealed columns: `hashes` names the hash of a column that has one."""

    name: str
    columns: tuple[str, ...]
    hashes: dict[str, str]
    others: frozenset[str]


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A row of such a table: its values by column, those that are NULL left out."""

    table: SealedTable
    uuid: str
    values: dict[str, bytes] = field(repr=False)
    encryption_key_id: int | None
    rotated_at: str | None

    def place(self, column: str) -> str:
        """Say what a value of it is sealed to."""
        return f"{self.table.name}/{self.uuid}/{column}"


@dataclass(frozen=True, slots=True)
class FoundField:
    """A row whose sealed value is the one looked for."""

    table: str
    id: int
    column: str


def tables(connection: sqlite3.Connection) -> list[SealedTable]:
    """Find every table with sealed columns, the user's own as well."""
    listed = connection.execute(
        "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        r" AND m.sql LIKE '%\_ciphertext%' ESCAPE '\' AND m.sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    columns: dict[str, list[str]] = {}
    for table, column in listed:
        columns.setdefault(table, []).append(column)
    found = []
    for table, names in columns.items():
        sealed = tuple(name for name in names if name.endswith("_ciphertext"))
        if sealed and {"uuid", "encryption_key_id"} <= set(names):
            pairs = {name: f"{name.removesuffix('_ciphertext')}_hash" for name in sealed}
            hashes = {name: other for name, other in pairs.items() if other in names}
            found.append(SealedTable(table, sealed, hashes, frozenset(names)))
    return found


def sealed_rows(connection: sqlite3.Connection, table: SealedTable) -> Iterator[SealedRow]:
    """Yield the rows of a table that hold anything sealed, retired ones as well."""
    named = ", ".join(quote_name(name) for name in table.columns)
    some = " OR ".join(f"{quote_name(name)} IS NOT NULL" for name in table.columns)
    rotated = "last_rotated_at" if "last_rotated_at" in table.others else "NULL"
    found = connection.execute(
        f"SELECT uuid, encryption_key_id, {rotated}, {named} FROM {quote_name(table.name)} WHERE {some}"
    )
    for identity, key, rotated_at, *values in found.fetchall():
        kept = {
            name: value
            for name, value in zip(table.columns, values, strict=True)
            if isinstance(value, bytes) and value
        }
        if kept:
            yield SealedRow(table, str(identity), kept, key, rotated_at)


def every_row(connection: sqlite3.Connection) -> Iterator[SealedRow]:
    """Yield every row of a file that holds anything sealed."""
    for table in tables(connection):
        yield from sealed_rows(connection, table)


def set_field(table: str, which: str | int, column: str, value: str | bytes | None) -> None:
    """Seal a value into a column of a row, which is found by its id or code; None takes it out.

    The column may be named without `_ciphertext`. Raise NotFoundError (table, row), InvalidError (no sealed
    column, nothing to store), VaultLockedError, RuleError (another row has the same value, where it is
    looked up by it).
    """
    name, sealed, row_id = _find(table, which, column)
    if value is not None and not value:
        raise InvalidError(f"The value for {name}.{sealed} is empty; nothing was stored.")
    with db.change(reason=f"vault put {name} {which} {sealed.removesuffix('_ciphertext')}") as change:
        shape = _shape(name)
        values: dict[str, Any] = {sealed: None}
        if value is not None:
            kept = vault.seal(value, place=f"{name}/{_uuid(name, row_id)}/{sealed}")
            values = {sealed: kept.ciphertext, "encryption_key_id": kept.encryption_key_id}
        elif len(shape.columns) == 1:
            values["encryption_key_id"] = None
        if sealed in shape.hashes:
            values[shape.hashes[sealed]] = None if value is None else lookup_hash(value)
        write(db.connection(), shape, values, change.at, "id", row_id)


def open_field(table: str, which: str | int, column: str, *, purpose: str = vault.REVEAL) -> str | None:
    """Return the value of a sealed column in clear, None if there is none; the use is noted in the use log.

    To reveal it to a person takes the right to; a program that opens it for a purpose of its own says which.
    Raise NotFoundError (table, row), InvalidError (no sealed column), DeniedError, VaultLockedError,
    CorruptError.
    """
    if purpose == vault.REVEAL:
        db.current().session.require("reveal", "revealing a secret")
    name, sealed, row_id = _find(table, which, column)
    sql = f"SELECT uuid, {quote_name(sealed)} FROM {quote_name(name)} WHERE id = ?"
    identity, ciphertext = db.connection().execute(sql, (row_id,)).fetchone()
    if ciphertext is None:
        return None
    return vault.open(ciphertext, place=f"{name}/{identity}/{sealed}", purpose=purpose).decode(
        "utf-8", "surrogateescape"
    )


def find_field(column: str, value: str | bytes) -> list[FoundField]:
    """Find the rows of any table whose sealed column of this name holds a value, opening none of them.

    Only columns with a keyed hash can be searched; raise InvalidError for another. Nothing is logged, since
    whoever asks has the value already.
    """
    sealed = column if column.endswith("_ciphertext") else f"{column}_ciphertext"
    searched = [table for table in tables(db.connection()) if sealed in table.hashes]
    if not searched:
        known = sorted({name for table in tables(db.connection()) for name in table.hashes})
        raise InvalidError(f"Rows are not found by {column}.", hint=f"They are by: {', '.join(known)}.")
    if not keys.read(db.connection(), "lookup"):
        return []  # nothing was ever stored that could be found
    wanted = lookup_hash(value)
    found = []
    for table in searched:
        sql = f"SELECT id FROM {quote_name(table.name)} WHERE {quote_name(table.hashes[sealed])} = ?"
        found += [
            FoundField(table.name, int(row[0]), sealed) for row in db.connection().execute(sql, (wanted,))
        ]
    return found


def find_by_license_key(key: str) -> list[FoundField]:
    """Find the feature or module licence a licence key belongs to, by its keyed hash."""
    return find_field("license_key", key)


def list_fields() -> list[dict[str, Any]]:
    """Return every sealed field of the opened file, and how many rows hold a value of it."""
    found = []
    for table in tables(db.connection()):
        counts = Counter(name for row in sealed_rows(db.connection(), table) for name in row.values)
        found += [
            {
                "table": naming.plural(table.name),
                "field": name.removesuffix("_ciphertext"),
                "values": counts[name],
                "is_found_by_value": name in table.hashes,
            }
            for name in table.columns
        ]
    return found


def list_uses(*, limit: int | None = None) -> list[dict[str, Any]]:
    """Return who used which secret for what, the newest first."""
    return db.query(
        "SELECT used_at, actor, place, purpose, process, correlation_id FROM vault_use_log"
        " ORDER BY id DESC LIMIT ?",
        (-1 if limit is None else limit,),
    )


def lookup_hash(value: str | bytes) -> str:
    """Return the keyed hash a value is found by, making the file's lookup key where it has none yet.

    Space around the value does not count.
    """
    known = keys.read(db.connection(), "lookup")
    open_keys = keys.held()
    if not known or open_keys.lookup != known[0].id:  # the first use, or another process has rotated
        open_keys = keys.unlock()
    if open_keys.lookup is None:
        if known:
            raise VaultLockedError(
                "The key by which values are looked up is sealed by another master key than the one in use.",
                hint="Run: edgekit vault doctor",
            )
        open_keys = _add_lookup_key()
    assert open_keys.lookup is not None
    return crypto.lookup_hash(open_keys.by_id[open_keys.lookup], plain(value))


def plain(value: str | bytes) -> bytes:
    """Return what of a value is hashed."""
    return (value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value).strip()


def _add_lookup_key() -> OpenKeys:
    with db.change(reason="vault: a key to look values up by"):
        generations = keys.data()
        active = generations[0]
        master_key = keys.require_master(generations).key(active.kdf)
        assert master_key is not None  # or it would not have been found
        keys.add(
            db.connection(), "lookup", crypto.random_key(), master_key=master_key, kdf=active.kdf,
            recovery_kit_at=active.recovery_kit_at,
        )  # fmt: skip
        return keys.unlock()


def write(
    connection: sqlite3.Connection, table: SealedTable, values: dict[str, Any], at: str, key: str, row: Any
) -> None:
    """Update one row within the open change, signing it like the models do."""
    signed = {**values, "updated_by": db.current().actor_id, "updated_at": at}
    kept = {name: value for name, value in signed.items() if name in table.others}
    assignments = ", ".join(f"{quote_name(name)} = ?" for name in kept)
    sql = f"UPDATE {quote_name(table.name)} SET {assignments} WHERE {quote_name(key)} = ?"
    connection.execute(sql, (*kept.values(), row))


def _find(table: str, which: str | int, column: str) -> tuple[str, str, int]:
    """Return (table, sealed column, id of the row) that are meant."""
    shape = rows.read_shape(db.connection(), naming.commands().get(table, table))
    if shape.name in _OWN_DOOR:
        raise InvalidError(
            f"The secrets of {shape.name} have a command of their own.", hint=f"Use: {_OWN_DOOR[shape.name]}"
        )
    known = [found.columns for found in tables(db.connection()) if found.name == shape.name]
    sealed = column if column.endswith("_ciphertext") else f"{column}_ciphertext"
    if not known or sealed not in known[0]:
        names = _names(known[0] if known else ())
        raise InvalidError(
            f"{shape.name} has no sealed column {column}.",
            hint=f"It has: {names}." if names else "Sealed columns are listed by: edgekit vault fields",
        )
    return shape.name, sealed, rows.find(db.connection(), shape, which)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(name.removesuffix("_ciphertext") for name in columns)


def _shape(table: str) -> SealedTable:
    for found in tables(db.connection()):
        if found.name == table:
            return found
    raise NotFoundError(f"There is no table {table} with sealed columns.")


def _uuid(table: str, row_id: int) -> str:
    found = db.connection().execute(f"SELECT uuid FROM {quote_name(table)} WHERE id = ?", (row_id,))
    return str(found.fetchone()[0])
