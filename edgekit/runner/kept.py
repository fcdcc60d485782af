"""What runs read, kept as it came: written with the batch, opened to run it again, deleted after its time."""

from __future__ import annotations

import json
import uuid
import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, vault
from edgekit.errors import CorruptError, InvalidError, VaultLockedError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from edgekit.connectors import Page
    from edgekit.integrations.plan import Plan
    from edgekit.runner.execution import Execution


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it came: its records, and where each stood."""

    number: int
    records: Sequence[Any]
    positions: Sequence[str]


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many kept batches were deleted, or would be, and of how many runs."""

    batches: int
    executions: int
    dry_run: bool


def require_vault(plan: Plan) -> None:
    """Raise VaultLockedError, before anything is read, where it is to be kept sealed and cannot be."""
    if plan.keep is None or not plan.keep.seals(plan.fields):
        return
    try:
        vault.seal(b"", place="integration_execution_input")
    except VaultLockedError as error:
        raise _locked(plan, error) from error


def _locked(plan: Plan, error: VaultLockedError) -> VaultLockedError:
    return VaultLockedError(
        f"{plan.name} keeps what it reads sealed, and the vault is locked: {error.message}",
        hint=f"{error.hint or 'See: edgekit vault doctor'};"
        f" or keep nothing: edgekit integrations keep-inputs {quoted(plan.name)} --off",
    )


def keep(plan: Plan, current: Execution, page: Page) -> None:
    """Keep a page in the batch's change, if the integration keeps what it reads."""
    if plan.keep is None or not page.records:
        return
    current.batches += 1
    identity = str(uuid.uuid4())
    content = zlib.compress(_written(page).encode(), 1)
    sealed = None
    if plan.keep.seals(plan.fields, page.records):
        try:
            sealed = vault.seal(content, place=_place(identity))
        except VaultLockedError as error:  # the records only told that they are personal
            raise _locked(plan, error) from error
    at = clock.now()
    db.connection().execute(
        "INSERT INTO integration_execution_input(uuid, execution_id, batch_number, record_count,"
        " records_zlib, records_ciphertext, encryption_key_id, expires_at, created_by, created_at,"
        " updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identity,
            current.id,
            current.batches,
            len(page.records),
            None if sealed else content,
            sealed.ciphertext if sealed else None,
            sealed.encryption_key_id if sealed else None,
            clock.to_text(at + timedelta(days=plan.keep.days)),
            db.current().actor_id,
            clock.to_text(at),
            clock.to_text(at),
        ),
    )


def _written(page: Page) -> str:
    # The standard library writes whatever came, half a surrogate and NaN as well.
    return json.dumps({"positions": list(page.positions), "records": list(page.records)}, default=str)


def _place(identity: str) -> str:
    return f"integration_execution_input/{identity}/records_ciphertext"


def read(execution_id: int) -> Iterator[Batch]:
    """Yield what a run kept, batch by batch, one in memory at a time; opening what is sealed is logged.

    Raise InvalidError where it kept nothing, VaultLockedError, CorruptError.
    """
    numbers = db.query(
        "SELECT batch_number FROM integration_execution_input WHERE execution_id = ? ORDER BY batch_number",
        (execution_id,),
    )
    if not numbers:
        raise _nothing(execution_id)
    for number in (row["batch_number"] for row in numbers):
        (row,) = db.query(
            "SELECT uuid, records_zlib, records_ciphertext FROM integration_execution_input"
            " WHERE execution_id = ? AND batch_number = ?",
            (execution_id, number),
        )
        content = row["records_zlib"]
        if content is None:
            purpose = f"executions replay {execution_id}"
            content = vault.open(
                row["records_ciphertext"], place=_place(row["uuid"]), purpose=purpose, is_secret=False
            )
        try:
            document = json.loads(zlib.decompress(content))
        except (zlib.error, ValueError):
            raise CorruptError(
                f"Batch {number} of the execution {execution_id} is not as it was kept."
            ) from None
        yield Batch(number, document["records"], document["positions"])


def _nothing(execution_id: int) -> InvalidError:
    name = db.query(
        "SELECT i.integration_name AS name FROM integration_execution e JOIN integration i"
        " ON i.id = e.integration_id WHERE e.id = ?",
        (execution_id,),
    )[0]["name"]
    return InvalidError(
        f"The execution {execution_id} kept nothing of what it read, or its time is over.",
        hint=f"Keep it from the next run on: edgekit integrations keep-inputs {quoted(name)} --days 30",
    )


def prune_own(integration_id: int) -> None:
    """Delete in the open change what is kept of an integration and past its time."""
    db.connection().execute(
        "DELETE FROM integration_execution_input WHERE expires_at <= ? AND execution_id IN"
        " (SELECT id FROM integration_execution WHERE integration_id = ?)",
        (clock.now_text(), integration_id),
    )


def prune_inputs(*, dry_run: bool = False, now: datetime | None = None) -> Pruned:
    """Delete what runs kept and what is past its time, of all integrations; a run does so for its own."""
    at = clock.to_text(now or clock.now())
    with db.change(reason="executions prune-inputs"):
        (found,) = db.query(
            "SELECT count(*) AS batches, count(DISTINCT execution_id) AS runs"
            " FROM integration_execution_input WHERE expires_at <= ?",
            (at,),
        )
        if not dry_run:
            db.connection().execute("DELETE FROM integration_execution_input WHERE expires_at <= ?", (at,))
    return Pruned(found["batches"], found["runs"], dry_run)
