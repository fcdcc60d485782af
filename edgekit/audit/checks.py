"""Is the log what was sealed? Walk the chain, and name the first seal, entry or row that is not.

The public keys are in the file, so nothing secret is needed. What no look inside the file can show is a tail
that was cut off together with its seals: `anchored` compares the chain with a hash kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import crypto
from edgekit.audit import encoding, fingerprints
from edgekit.audit.seals import START, read, unsealed
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from edgekit.audit.seals import Seal

_RECENT = 10
_SUM = 4


@dataclass
class Report:
    """What checking the seals found: `findings` are wrong, `facts` are worth knowing."""

    findings: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)


def check(connection: sqlite3.Connection, *, quick: bool = False, anchors: tuple[str, ...] = ()) -> Report:
    """Check the chain of seals, the entries they cover and the rows they vouch for.

    `quick` leaves out the rows and all entries but those of the last ten seals. `anchors` are hashes of seals
    kept outside the file.
    """
    report = Report()
    with encoding.exact_text(connection):
        seals = list(read(connection))
        report.findings += _chain(connection, seals)
        broken = bool(report.findings)
        report.findings += _entries(connection, seals[-_RECENT:] if quick else seals)
        report.findings += _kept(connection, seals)
        report.findings += _contradictions(connection, seals)
        if not quick:
            report.findings += _rows(connection, seals, broken=broken)
        report.findings += _anchors(seals, anchors)
        report.facts += _facts(connection, seals)
    return report


def check_archived(connection: sqlite3.Connection) -> Report:
    """Check what was pruned, as the archives attached hold it, against the seals that stayed in the file.

    What the chain of seals is worth, `check` says.
    """
    report = Report()
    with encoding.exact_text(connection):
        seals = list(read(connection))
        floor = max((one.floor_seq for one in seals), default=0)
        pruned = [one for one in seals if one.kind == "entries" and one.last_seq <= floor]
        found = 0
        for one in pruned:
            entries, is_sealed = _hashed(connection, one)
            if is_sealed:
                found += 1
            elif not _is_absent(connection, one, len(entries)):
                report.findings.append(f"The archives: {_first_wrong(one, entries)}")
        report.facts.append(f"The archives hold {found} of the {len(pruned)} sealed parts that were pruned.")
    return report


def _is_absent(connection: sqlite3.Connection, one: Seal, entries: int) -> bool:
    """Whether no archive has anything of a part of the log: all that there is was kept in the file itself."""
    (kept,) = connection.execute(
        "SELECT count(*) FROM main.audit_log WHERE seq BETWEEN ? AND ?", (one.first_seq, one.last_seq)
    ).fetchone()
    return bool(kept == entries <= one.last_seq - one.first_seq)


def log_findings(connection: sqlite3.Connection) -> list[str]:
    """Check the chain and every entry it covers, and no rows."""
    with encoding.exact_text(connection):
        seals = list(read(connection))
        return [*_chain(connection, seals), *_entries(connection, seals), *_kept(connection, seals)]


def _chain(connection: sqlite3.Connection, seals: list[Seal]) -> Iterator[str]:
    """Check what the seals say of each other. The first that is wrong ends it: all later ones rest on it."""
    keys = dict(connection.execute("SELECT name, public_key FROM audit_key"))
    for name, public in keys.items():
        if crypto.public_name(public) != name:
            yield f"Public key {name} is not the key of that name."
    numbers = dict(connection.execute("SELECT id, key_id IS NOT NULL FROM audit_seal"))
    before: Seal | None = None
    for one in seals:
        wrong = _link(one, before)
        if wrong is None and (one.key is not None or numbers[one.id] or one.signature is not None):
            public = keys.get(one.key or "")
            if public is None or not crypto.is_signed(public, one.signed_bytes(), one.signature or b""):
                wrong = f"Seal {one.id} has a signature that is not by key {one.key}: the seal is false."
        if wrong is not None:
            yield wrong
            return
        before = one
    if before is not None:
        site = connection.execute("SELECT uuid FROM system").fetchone()
        sites = {site[0] if site else "", *_former_sites(connection)}
        strange = next((one for one in seals if one.site not in sites), None)
        if strange is not None:
            yield f"Seal {strange.id} belongs to another file, {strange.site}."


def _link(one: Seal, before: Seal | None) -> str | None:
    if one.id != (before.id + 1 if before else 1):
        return f"Seal {before.id + 1 if before else 1} is missing."
    if one.computed() != one.sha256:
        return f"Seal {one.id} is not what was sealed: it was altered."
    follows = (
        one.previous_sha256 == (before.sha256 if before else START)
        and one.first_seq == (before.last_seq + 1 if before else 1)
        and one.first_txn == (before.last_txn + 1 if before else 1)
        and one.last_seq >= one.first_seq - 1
        and one.floor_seq >= (before.floor_seq if before else 0)
        and (one.kind == "prune" or one.floor_seq == (before.floor_seq if before else 0))
    )
    return None if follows else f"Seal {one.id} does not follow the one before it: the chain is broken."


def _former_sites(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        "SELECT json_extract(l.changes, '$.uuid[0]') FROM audit_log l JOIN audit_table t ON t.id = l.table_id"
        " WHERE t.name = 'system' AND l.action = 'U' AND l.record_key = 1 AND json_valid(l.changes)"
    )
    return (uuid for (uuid,) in rows if uuid is not None)


def _entries(connection: sqlite3.Connection, seals: list[Seal]) -> Iterator[str]:
    """Hash the log anew; the first seal that does not hold ends it."""
    floor = max((one.floor_seq for one in seals), default=0)
    for one in seals:
        if one.kind != "entries" or one.last_seq <= floor:
            continue
        entries, is_sealed = _hashed(connection, one)
        if not is_sealed:
            yield _first_wrong(one, entries)
            return
    if seals:
        (last,) = connection.execute("SELECT ifnull(max(seq), 0) FROM audit_log").fetchone()
        if last < seals[-1].last_seq:
            yield (
                f"The log ends at entry {last}, but entries up to {seals[-1].last_seq} were sealed:"
                " its end was cut off."
            )


def _hashed(connection: sqlite3.Connection, one: Seal) -> tuple[list[Any], bool]:
    """Read the entries a seal covers; return them, and whether they and their changes are what was sealed."""
    entries = connection.execute(
        f"{encoding.ENTRY} WHERE seq BETWEEN ? AND ? ORDER BY seq", (one.first_seq, one.last_seq)
    ).fetchall()
    changes = connection.execute(
        f"{encoding.CHANGE} WHERE id BETWEEN ? AND ? ORDER BY id", (one.first_txn, one.last_txn)
    )
    hashed, _ = encoding.digest(changes, entries)
    return entries, hashed == one.entries_sha256


def _first_wrong(one: Seal, entries: list[Any]) -> str:
    """Name the first entry whose sum is not the one the seal noted."""
    sums = one.entry_sums or b""
    there = {row[0]: row for row in entries}
    for number in range(one.first_seq, one.last_seq + 1):
        at = (number - one.first_seq) * _SUM
        row = there.get(number)
        if row is None:
            return f"Entry {number} of the log is missing, which seal {one.id} covers."
        if sums[at : at + _SUM] != encoding.entry_sum(row):
            return f"Entry {number} of the log is not what was sealed (seal {one.id})."
    changes = f"changes {one.first_txn} to {one.last_txn}"
    return (
        f"Entries {one.first_seq} to {one.last_seq} of the log, or {changes} they belong to, are not what was"
        f" sealed (seal {one.id})."
    )


def _kept(connection: sqlite3.Connection, seals: list[Seal]) -> Iterator[str]:
    """Hash what the last prune left below its floor."""
    pruned = next((one for one in reversed(seals) if one.kind == "prune"), None)
    if pruned is None:
        return
    last_txn = max(
        (one.last_txn for one in seals if one.kind == "entries" and one.last_seq <= pruned.floor_seq),
        default=0,
    )
    hashed, _ = encoding.digest(
        connection.execute(f"{encoding.CHANGE} WHERE id <= ? ORDER BY id", (last_txn,)),
        connection.execute(f"{encoding.ENTRY} WHERE seq <= ? ORDER BY seq", (pruned.floor_seq,)),
    )
    if hashed != pruned.entries_sha256:
        yield (
            f"What was kept of the log up to entry {pruned.floor_seq} is not what was sealed"
            f" (seal {pruned.id})."
        )


def _contradictions(connection: sqlite3.Connection, seals: list[Seal]) -> Iterator[str]:
    """Name the rows that contradicted the log when they were sealed, unless they were accepted since."""
    names = dict(connection.execute("SELECT id, name FROM audit_table"))
    accepted = max((one.id for one in seals if one.kind == "rows" and one.note is not None), default=0)
    for one in seals:
        if one.findings is None or one.id < accepted:
            continue
        try:
            found = [
                (str(names.get(table, table)), int(record)) for table, record in json.loads(one.findings)
            ]
        except (TypeError, ValueError):  # the seal was altered, which is said already
            continue
        for table, record in found:
            yield f"{table} row {record} was changed past the log before seal {one.id}."


def _rows(connection: sqlite3.Connection, seals: list[Seal], *, broken: bool) -> Iterator[str]:
    vouched = next((one for one in reversed(seals) if one.rows_sha256 is not None), None)
    if vouched is None:
        return
    wrong = fingerprints.sums_differ(connection)
    if wrong:
        yield f"The hashes of the rows of {', '.join(wrong)} were altered."
    elif fingerprints.total(connection) != vouched.rows_sha256 and not broken:
        yield f"The hashes of the rows are not what was sealed (seal {vouched.id})."
    yield from (difference.sentence for difference in fingerprints.sweep(connection))


def _anchors(seals: list[Seal], anchors: tuple[str, ...]) -> Iterator[str]:
    known = {one.sha256 for one in seals}
    for anchor in anchors:
        if anchor.lower() not in known:
            yield (
                f"The file has no seal {anchor[:12]}…, which is kept elsewhere: the end of the log was"
                " cut off, or this is another file, or an older state of it."
            )


def _facts(connection: sqlite3.Connection, seals: list[Seal]) -> Iterator[str]:
    waiting = unsealed(connection)
    if not seals:
        yield f"Nothing is sealed yet; {waiting} entries of the log wait."
        return
    end = seals[-1]
    yield f"The log is sealed up to entry {end.last_seq}, by {len(seals)} seals; {waiting} entries wait."
    unsigned = sum(one.key is None for one in seals)
    if unsigned:
        which = "All" if unsigned == len(seals) else f"{unsigned} of {len(seals)}"
        yield f"{which} seals are unsigned: the vault had no key for them, or was locked."
    if end.floor_seq:
        yield f"The log is pruned up to entry {end.floor_seq}."
    yield f"The last seal is {end.sha256}."


def anchor(text: str) -> str:
    """Read a hash kept elsewhere. Raise InvalidError if it is none."""
    found = text.strip().lower()
    if len(found) != hashlib.sha256().digest_size * 2 or set(found) - set("0123456789abcdef"):
        raise InvalidError(
            f"{text!r} is no seal.", hint="A seal is 64 hexadecimal digits, or name a backup that holds one."
        )
    return found
