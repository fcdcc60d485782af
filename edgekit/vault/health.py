"""What is wrong with the vault and its surroundings, and what to do about it, in plain words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edgekit import clock, db, naming
from edgekit.errors import EdgekitError
from edgekit.finding import Finding, worst_first
from edgekit.schema import quote_name
from edgekit.vault import fields, keys, master, recovery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgekit.vault.keys import Generation

KEY_AGE = timedelta(days=365)
"""A data key older than this is due for rotation."""

KIT_AGE = timedelta(days=365)
"""A recovery kit nobody has tried for so long is not to be trusted."""

EXPIRY = timedelta(days=30)
"""So long before it expires a secret is spoken of."""

_SHOWN = 5


def doctor(*, key_age: timedelta = KEY_AGE, now: datetime | None = None) -> list[Finding]:
    """Look at the keys, the secrets and the recovery kit of the opened file; return all, the worst first.

    Every secret is opened and none is kept or given out, so no use is noted.
    """
    at = now or clock.now()
    generations = keys.data()
    if not generations:
        return [
            Finding("ok", "The vault of this file has no key yet.", "To store secrets: edgekit vault init")
        ]
    found = [*_master_key(generations), *_age(generations[0], at - key_age), *_expiry(at)]
    if next(fields.every_row(db.connection()), None) is None:
        found.append(Finding("ok", "No secret is stored, so no recovery kit is needed yet."))
    else:
        found += _kit(generations, at)
    return worst_first(found)


def _master_key(generations: Sequence[Generation]) -> Iterator[Finding]:
    """Look for the master key, and open with it all there is."""
    here = db.current()
    try:
        looked = master.search(here.site, here.path, expected=generations[0].master_fingerprint)
        found = keys.check_found(*looked, generations)
        everything = keys.read(db.connection())
        open_keys = keys.unwrap(found, everything)
    except EdgekitError as error:
        yield Finding("error", error.message, error.hint or "")
        return
    yield Finding("ok", f"The master key is {generations[0].master_fingerprint}, from {found.location}.")
    for warning in found.warnings:
        yield Finding("warning", warning)
    lost = [one for one in everything if one.id not in open_keys.by_id]
    for one in lost:
        yield Finding(
            "error" if one.retired_at is None else "warning",
            f"Key {one.id} ({one.purpose}) is sealed by another master key: {one.master_fingerprint}.",
            "Bring that master key, or a recovery kit of its time, and run: edgekit vault recover KIT",
        )
    counts, unreadable = recovery.try_all(db.connection(), open_keys)
    if unreadable:
        shown = ", ".join(unreadable[:_SHOWN]) + (", …" if len(unreadable) > _SHOWN else "")
        yield Finding(
            "error",
            f"Secrets that do not open, because they were altered or their key is lost: {shown}.",
            "Set them again, or restore a backup.",
        )
    yield Finding("ok", f"Secrets that open: {sum(counts.values())}.")


def _age(active: Generation, limit: datetime) -> Iterator[Finding]:
    if active.activated_at < clock.to_text(limit):
        yield Finding(
            "warning", f"Key {active.id} has sealed since {active.activated_at}.", "Run: edgekit vault rotate"
        )
    else:
        yield Finding("ok", f"Key {active.id} seals since {active.activated_at}.")


def _kit(generations: Sequence[Generation], at: datetime) -> Iterator[Finding]:
    active = generations[0]
    newest = max((one.recovery_kit_at for one in generations if one.recovery_kit_at), default=None)
    make = "Make one and keep it apart from this computer: edgekit vault recovery-kit FILE"
    if newest is None:
        yield Finding(
            "warning", "There is no recovery kit: with the master key every secret would be lost.", make
        )
        return
    if active.recovery_kit_at is None:
        yield Finding(
            "warning",
            f"The recovery kit of {newest} is stale: the master key was replaced on {active.activated_at}."
            " It opens older backups only, so keep it with them.",
            make,
        )
        return
    if missing := [str(one.id) for one in generations if one.recovery_kit_at is None]:
        yield Finding(
            "warning", f"The recovery kit of {newest} does not open key {', '.join(missing)}.", make
        )
    drilled = active.drilled_at or max(
        (one.drilled_at for one in generations if one.drilled_at), default=None
    )
    if drilled is None or drilled < active.recovery_kit_at:
        yield Finding(
            "warning", f"Nobody has tried the recovery kit of {newest} yet.", "Run: edgekit vault drill KIT"
        )
    elif drilled < clock.to_text(at - KIT_AGE):
        yield Finding(
            "warning", f"The recovery kit was last tried on {drilled}.", "Run: edgekit vault drill KIT"
        )
    else:
        yield Finding("ok", f"The recovery kit of {newest} was tried on {drilled}.")


def _expiry(at: datetime) -> Iterator[Finding]:
    """Count what has expired or soon will, in any table whose secrets do."""
    now, soon = clock.to_text(at), clock.to_text(at + EXPIRY)
    connection = db.connection()
    for table in fields.tables(connection):
        if not {"expires_at", "status_id"} <= table.others:
            continue
        some = " OR ".join(f"{quote_name(name)} IS NOT NULL" for name in table.columns)
        counted = connection.execute(
            "SELECT count(*) FILTER (WHERE expires_at <= ?1), count(*) FILTER (WHERE expires_at > ?1)"
            f" FROM {quote_name(table.name)} WHERE expires_at <= ?2 AND status_id = 1 AND ({some})",
            (now, soon),
        ).fetchone()
        is_own = table.name == "integration_credential"
        see = "vault list --expiring 30" if is_own else f"{naming.plural(table.name)} list"
        for count, what in zip(counted, ("have expired", f"expire within {EXPIRY.days} days"), strict=True):
            if count:
                sentence = f"Secrets of {table.name} that {what}: {count}."
                yield Finding("warning", sentence, f"edgekit {see}")
