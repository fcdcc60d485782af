"""Try a recovery kit for real: on a copy of the file, or on a backup, with nothing but the kit."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit import db, sqlite, vault
from edgekit.errors import NotFoundError
from edgekit.file import placing
from edgekit.file.backup import DATABASE, copy_database
from edgekit.file.restore import fetch
from edgekit.vault import master, recovery

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Drilled:
    """What a kit opened of a copy: keys, and values by `table.column`; `holds` says that nothing stayed shut.

    `of` is what was tried. `lost_keys` are generations, `unreadable` places that did not open.
    """

    holds: bool
    of: str
    kit_made_at: str
    keys: int
    values: dict[str, int]
    lost_keys: tuple[int, ...]
    unreadable: tuple[str, ...]


def drill(
    kit: str | Path, passphrase: str, *, backup: str | Path | None = None, now: datetime | None = None
) -> Drilled:
    """Open every secret of a copy of the opened file, or of a backup, with a recovery kit alone.

    No master key of this machine is used, and no secret given out. Where everything opened, the file notes
    that the kit was tried on the keys it shares with the copy. Raise what `vault.read_kit` and `restore` do.
    """
    db.current().session.require_file("administer", "trying a recovery kit")
    opened_kit = vault.read_kit(kit, passphrase)
    source = Path(backup) if backup is not None else db.current().path
    if master.is_same(source, db.current().path):
        backup = None
    if not source.is_file():
        raise NotFoundError(f"There is no backup {source}.")
    with placing.workspace(db.current().path.parent) as folder:
        copy = folder / DATABASE
        if backup is None:
            copy_database(db.connection(), copy)
        else:
            fetch(source, copy, kit=opened_kit)
        with closing(sqlite.connect(copy, read_only=True)) as connection:
            proof = recovery.prove(connection, opened_kit)
    if proof.holds:
        recovery.note_drill(proof, now=now)
    return Drilled(
        proof.holds, str(source), opened_kit.made_at, len(proof.keys), proof.values, proof.lost_keys,
        proof.unreadable,
    )  # fmt: skip
