"""Take what is old out of the log. The floor rises; what stays, and what went, is said by a seal of its own.

A prune is a link of the chain like every seal, signed like it, and names the change that pruned: who, when
and why. The triggers of the log let entries go in that very change only, up to its floor. The last entry
stays, and the history of versioned tables and of the file's own row is kept for ever. What the integrations
logged and measured goes the same way, behind the same kind of seal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import clock, sqlite
from edgekit.audit import checks, encoding, seals
from edgekit.audit.triggers import PRUNED
from edgekit.errors import CorruptError, InvalidError, NotFoundError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.audit.seals import Seal, Signer

KEPT = (
    "configuration", "integration", "integration_mapping", "integration_transformation",
    "integration_pipeline_definition", "integration_template_instance", "system",
)  # fmt: skip
"""Tables whose entries are never pruned; the trigger of `audit_log` names them too."""

_AT_ONCE = 100_000  # entries in one transaction, so that nobody waits long for us
_STAYS = (
    "(seq = (SELECT max(seq) FROM audit_log) OR table_id IN (SELECT id FROM audit_table WHERE name IN"
    f" ({', '.join(repr(name) for name in KEPT)})))"
)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What pruning took, or with a dry run would take: `entries`, `changes` and rows logged before a time."""

    before: str
    floor_seq: int
    entries: int
    changes: int
    dry_run: bool
    logged: dict[str, int] = field(default_factory=dict)
    """Rows of `integration_log`, `metric_sample` and `webhook_receipt`."""


def floor_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the last entry and the last change that are pruned, (0, 0) where nothing is."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit_seal'").fetchone():
        return 0, 0  # a file of an old schema
    row = connection.execute(
        "SELECT floor_seq, floor_txn FROM audit_seal ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def last_note(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return what the last prune said: "before", "until", "entries", "changes", "made"; empty without one."""
    if floor_of(connection) == (0, 0):
        return {}
    row = connection.execute(
        "SELECT note FROM audit_seal WHERE kind = 'prune' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    try:
        note = json.loads(row[0]) if row else {}
    except (TypeError, ValueError):  # an altered seal, which verify names
        return {}
    return note if isinstance(note, dict) else {}


def require_kept(connection: sqlite3.Connection, table: str, at: str) -> None:
    """Raise NotFoundError for a moment whose later entries are pruned, and in no archive attached."""
    until = last_note(connection).get("until")
    if until is None or at >= until or table in KEPT:
        return
    floor, _ = floor_of(connection)
    if connection.execute("SELECT count(*) FROM audit_log WHERE seq <= ?", (floor,)).fetchone() == (floor,):
        return
    raise NotFoundError(
        f"The log is pruned up to {until}: how {table} was before, the file alone cannot tell.",
        hint="Read its archives too: edgekit audit as-of --archives …",
    )


def before_years(years: int, now: datetime | None = None) -> str:
    """Return when the calendar years begin that are kept: this one and so many before it."""
    if years < 0:
        raise InvalidError("The years to keep are a whole number, 0 or more.")
    return f"{(now or clock.now()).year - years:04d}-01-01T00:00:00.000Z"


def last_logged(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the last row of each log that is pruned by its time: what comes later is in no archive yet."""
    return {
        table: connection.execute(f"SELECT ifnull(max(id), 0) FROM {table}").fetchone()[0] for table in PRUNED
    }


def prune(
    connection: sqlite3.Connection, before: str, *, actor: str = sqlite.SYSTEM_USER,
    signer: Signer | None = None, logged: Mapping[str, int] | None = None, now: datetime | None = None,
    dry_run: bool = False,
) -> Pruned:  # fmt: skip
    """Take the entries and changes out of the log that were made before a time (UTC text).

    `logged` is what `last_logged` said before the rows were archived; up to there what the integrations
    logged and measured before that time goes too, and without it nothing of that. Seals end with each month
    and are taken whole, so that a time within one keeps what is left of it. A dry run changes nothing.
    Raise InvalidError for a time to come, CorruptError where the log is not what was sealed: what
    is wrong must stay to be looked at.
    """
    at = now or clock.now()
    if before > clock.to_text(at):
        raise InvalidError(f"{before} is still to come.", hint="Prune what is before a time that is over.")
    if dry_run:
        return _count(connection, before)
    seals.seal(connection, signer=signer, now=now)
    if wrong := checks.log_findings(connection):
        raise CorruptError(
            f"The log is not what was sealed, so nothing was pruned: {wrong[0]}",
            hint="See all of it with: edgekit audit verify",
        )
    entries = changes = 0
    while True:
        with seals.transaction(connection), encoding.exact_text(connection):
            step = _step(connection, before, actor, signer, at)
        if step is None:
            break
        entries, changes = entries + step[0], changes + step[1]
    gone = dict.fromkeys(PRUNED, 0)
    while True:
        with seals.transaction(connection), encoding.exact_text(connection):
            taken = _log_step(connection, before, logged or {}, actor, signer, at)
        if not taken:
            break
        gone = {table: count + taken.get(table, 0) for table, count in gone.items()}
    return Pruned(before, floor_of(connection)[0], entries, changes, dry_run=False, logged=gone)


def _target(connection: sqlite3.Connection, before: str) -> Seal | None:
    """Find the last seal all of whose changes are before a time, a hundred thousand entries on at most."""
    (first,) = connection.execute(
        "SELECT min(id) FROM audit_transaction WHERE performed_at >= ? AND id > ?",
        (before, floor_of(connection)[1]),
    ).fetchone()
    floor, _ = floor_of(connection)
    row = connection.execute(
        "SELECT max(id) FROM audit_seal"
        " WHERE kind = 'entries' AND last_txn < ? AND last_seq > ? AND last_seq <= ?",
        (first if first is not None else 1 << 62, floor, floor + _AT_ONCE + seals.EVERY),
    ).fetchone()
    return next(seals.read(connection, after=row[0] - 1), None) if row[0] is not None else None


def _step(
    connection: sqlite3.Connection, before: str, actor: str, signer: Signer | None, at: datetime
) -> tuple[int, int] | None:
    target, last = _target(connection, before), seals.last(connection)
    if target is None or last is None:
        return None
    floor, old_floor = target.last_seq, floor_of(connection)[0]
    (next_txn,) = connection.execute("SELECT min(txn_id) FROM audit_log WHERE seq > ?", (floor,)).fetchone()
    floor_txn = max(min(target.last_txn, (next_txn or target.last_txn + 1) - 1), last.floor_txn)
    reason = f"audit prune before {before}"
    change = sqlite.open_gate(connection, actor, reason=reason)
    kept_changes = (
        f"id <= {floor_txn} AND (id IN (SELECT txn_id FROM audit_log WHERE seq <= {floor} AND {_STAYS})"
        " OR id IN (SELECT txn_id FROM audit_seal WHERE txn_id IS NOT NULL))"
    )
    hashed, _ = encoding.digest(
        connection.execute(
            f"{encoding.CHANGE} WHERE id <= ? AND (id > ? OR {kept_changes}) ORDER BY id",
            (target.last_txn, floor_txn),
        ),
        connection.execute(f"{encoding.ENTRY} WHERE seq <= ? AND {_STAYS} ORDER BY seq", (floor,)),
    )
    taken = f"seq <= {floor} AND NOT {_STAYS}"
    (entries,) = connection.execute(f"SELECT count(*) FROM audit_log WHERE {taken}").fetchone()
    gone = f"id <= {floor_txn} AND NOT ({kept_changes})"
    (changes,) = connection.execute(f"SELECT count(*) FROM audit_transaction WHERE {gone}").fetchone()
    (until,) = connection.execute(
        "SELECT max(performed_at) FROM audit_transaction WHERE id <= ?", (target.last_txn,)
    ).fetchone()
    note = {
        "before": before,
        "until": until,
        "entries": entries,
        "changes": changes,
        "made": _made(connection, taken, last_note(connection).get("made", {})),
    }
    assert floor > old_floor
    seals.append(
        connection, last, signer, kind="prune", last_seq=last.last_seq, last_txn=last.last_txn,
        floor_seq=floor, floor_txn=floor_txn, txn_id=change.id, entries_sha256=hashed,
        note=encoding.encode(note), sealed_at=clock.to_text(at),
    )  # fmt: skip
    connection.execute(f"DELETE FROM audit_log WHERE {taken}")
    connection.execute(f"DELETE FROM audit_transaction WHERE {gone}")
    sqlite.close_gate(connection, change)
    return entries, changes


def _log_step(
    connection: sqlite3.Connection, before: str, until: Mapping[str, int], actor: str, signer: Signer | None,
    at: datetime,
) -> dict[str, int]:  # fmt: skip
    """Take old rows out of the other logs behind a prune record of their own; the floor stays where it is."""
    chosen = {
        table: f"SELECT id FROM {table} WHERE {PRUNED[table]} < ? AND id <= {int(last)} LIMIT {_AT_ONCE}"
        for table, last in until.items()
    }
    counted = {
        table: connection.execute(f"SELECT count(*) FROM ({rows})", (before,)).fetchone()[0]
        for table, rows in chosen.items()
    }
    last = seals.last(connection)
    if last is None or not any(counted.values()):
        return {}
    change = sqlite.open_gate(connection, actor, reason=f"audit prune before {before}")
    kept = connection.execute(
        "SELECT entries_sha256 FROM audit_seal WHERE kind = 'prune' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    seals.append(
        connection, last, signer, kind="prune", last_seq=last.last_seq, last_txn=last.last_txn,
        txn_id=change.id, entries_sha256=kept[0] if kept else encoding.digest([], [])[0],
        note=encoding.encode({**last_note(connection), "before": before, "logged": counted}),
        sealed_at=clock.to_text(at),
    )  # fmt: skip
    for table, rows in chosen.items():
        connection.execute(f"DELETE FROM {table} WHERE id IN ({rows})", (before,))
    sqlite.close_gate(connection, change)
    return counted


def _made(connection: sqlite3.Connection, taken: str, before: dict[str, list[int]]) -> dict[str, list[int]]:
    """Sum up by table which rows the entries made that go: how many, and their ids as `verify` folds them."""
    found = {number: list(sums) for number, sums in before.items()}
    for number, made, folded in connection.execute(
        "SELECT table_id, sum(made), sum(made * (record_key % 1000003)) FROM"
        " (SELECT table_id, record_key, CASE action WHEN 'I' THEN 1 ELSE -1 END AS made FROM audit_log"
        f" WHERE action IN ('I', 'D') AND typeof(record_key) = 'integer' AND {taken}) GROUP BY table_id"
    ):
        so_far = found.setdefault(str(number), [0, 0])
        so_far[0] += made
        so_far[1] += folded
    return found


def _count(connection: sqlite3.Connection, before: str) -> Pruned:
    (last,) = connection.execute(
        "SELECT min(id) FROM audit_transaction WHERE performed_at >= ? AND id > ?",
        (before, floor_of(connection)[1]),
    ).fetchone()
    end = last if last is not None else 1 << 62
    (entries,) = connection.execute(
        f"SELECT count(*) FROM audit_log WHERE txn_id < ? AND NOT {_STAYS}", (end,)
    ).fetchone()
    (changes,) = connection.execute("SELECT count(*) FROM audit_transaction WHERE id < ?", (end,)).fetchone()
    logged = {
        table: connection.execute(f"SELECT count(*) FROM {table} WHERE {column} < ?", (before,)).fetchone()[0]
        for table, column in PRUNED.items()
    }
    return Pruned(before, floor_of(connection)[0], entries, changes, dry_run=True, logged=logged)
