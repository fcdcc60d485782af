"""Back a file up while others write to it: one ZIP archive, proven by opening it again.

The archive holds `agency.db`, an SQLite file like any other, and `manifest.json`, which says what is in it;
any tool can open both.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import zipfile
import zlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgekit import __version__, clock, schema, sqlite
from edgekit.audit import seals
from edgekit.errors import CorruptError, EdgekitError, MigrationNeededError
from edgekit.file import encrypting, noting, places, placing, sealing
from edgekit.file.verify import damage, findings
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

FORMAT = "edgekit-backup/1"
DATABASE = "agency.db"
MANIFEST = "manifest.json"
SUFFIX = ".edgekit-backup.zip"

_CHUNK = 1024 * 1024
_MANIFEST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. `path` is where it is, and is not part of it.

    `database` is {"sha256", "bytes"}; `log` the newest entry of the audit log, {"seq", "txn", "sha256"}, None
    if it is empty; `keys` the data keys that open the secrets, [{"uuid", "master_fingerprint"}]; `rows` the
    count of every table that has rows; `findings` what a quick `verify` said of the copy;
    `seal` the head of the chain of seals, {"id", "last_seq", "sha256", "sealed_at", "key"}, which
    `verify --anchor` compares with, None where nothing is sealed; `origin` daily, or manual where a person
    asked for it.
    """

    format: str
    edgekit_version: str
    schema: int
    site: str
    organization: str
    created_at: str
    database: dict[str, Any]
    log: dict[str, Any] | None
    keys: list[dict[str, str]]
    rows: dict[str, int]
    findings: list[str]
    seal: dict[str, Any] | None
    origin: str
    path: Path = field(compare=False)

    def to_json(self) -> str:
        """Write the manifest as the archive holds it."""
        values = asdict(self)
        del values["path"]
        return json.dumps(values, indent=2, ensure_ascii=False)


def backup(
    path: str | Path, destination: str | Path, *, seals: bool = True, encrypted: bool = False,
    origin: noting.Origin = "manual", actor: str | None = None, now: datetime | None = None,
) -> Manifest:  # fmt: skip
    """Write a backup of a file, in use or not, to a new archive, and prove it by opening it again.

    `destination` is the archive's name, or a folder, in which it is named after the file and the time, with
    -2, -3 … where that is taken. Raise ConflictError if the name is taken, CorruptError if the file is
    damaged (a copy of damage is no backup; what breaks a mere rule is noted in `findings`), NotFoundError,
    UnavailableError (disk full), MigrationNeededError (a newer schema). Nothing is left behind on failure.
    With `seals` the log is sealed first, and the backup noted in the file; who holds the file's lock must
    leave that out. A manual backup is made of a file that cannot be written, too. `encrypted` seals the whole
    archive under the file's data key, and raises VaultLockedError without the master key.
    """
    path, destination = Path(path), Path(destination)
    at = now or clock.now()
    ending = None
    if destination.is_dir():
        ending = encrypting.SUFFIX if encrypted else SUFFIX
        destination /= f"{path.stem}-{at:%Y-%m-%dT%H%M%SZ}{ending}"
    else:
        placing.require_free(destination)
    if seals:
        _seal(path)
    source = sqlite.connect(path, read_only=True)
    try:
        with placing.workspace(destination.parent) as folder:
            archive = folder / "archive"
            if encrypted:  # nothing that can be read comes near the destination
                with placing.workspace(path.parent) as local:
                    manifest = _make(source, path, local, local, origin, at)
                    encrypting.encrypt(source, path, local / "archive", archive, at=at)
            elif places.unsafe(destination) or places.synchronised(destination):
                # SQLite cannot work in a network folder, and a synchronised one would send out what is half
                # made: there, only the archive is written.
                with placing.workspace(path.parent) as local:
                    manifest = _make(source, path, local, folder, origin, at)
            else:
                manifest = _make(source, path, folder, folder, origin, at)
            placing.copy_rights(path, archive)

            def publish(name: Path) -> None:
                if seals:
                    noting.publish(
                        path, archive, name, origin=origin, encrypted=encrypted, at=at, actor=actor
                    )
                else:
                    placing.publish(archive, name)

            if ending is None:
                publish(destination)
            else:
                destination = placing.name_freely(destination, ending, publish)
    finally:
        source.close()
    return replace(manifest, path=destination)


def _seal(path: Path) -> None:
    """Seal the log, so that the backup can vouch for it; what cannot be written is backed up as it is."""
    with contextlib.suppress(EdgekitError, sqlite3.Error, OSError):
        sealing.seal(path)


def _make(
    source: sqlite3.Connection, path: Path, local: Path, folder: Path, origin: str, at: datetime
) -> Manifest:
    copy = local / DATABASE
    copy_database(source, copy)
    with copy.open("rb") as file:
        database = {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": copy.stat().st_size}
    manifest = _describe(copy, database, path, origin, at)
    with zipfile.ZipFile(folder / "archive", "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr(MANIFEST, manifest.to_json())
        archive.write(copy, DATABASE)
    copy.unlink()
    _prove(folder / "archive", local)
    return manifest


def copy_database(source: sqlite3.Connection, copy: Path) -> None:
    """Copy one consistent state of a database into a new file that needs nothing beside it."""
    target = sqlite3.connect(copy, isolation_level=None)
    try:
        source.backup(target)  # in one step: with several, a busy writer would start it over for ever
        target.execute("PRAGMA journal_mode = DELETE")
    finally:
        target.close()


def _describe(copy: Path, database: dict[str, Any], path: Path, origin: str, at: datetime) -> Manifest:
    connection = sqlite.connect(copy, read_only=True)
    try:
        version = check(connection, path)
        found = findings(connection, with_catalogue=version == schema.VERSION, quick=True)
        site, organization = _identity(connection)
        return Manifest(
            format=FORMAT,
            edgekit_version=__version__,
            schema=version,
            site=site,
            organization=organization,
            created_at=clock.to_text(at),
            database=database,
            log=log_head(connection),
            keys=_keys(connection),
            rows=_rows(connection),
            findings=found,
            seal=_seal_head(connection),
            origin=origin,
            path=path,
        )
    finally:
        connection.close()


def check(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema of a copy. Raise CorruptError if damaged, MigrationNeededError if newer."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > schema.VERSION:
        sqlite.check_version(connection, path)
    if found := damage(connection):
        raise CorruptError(
            f"{path} is damaged: {found[0].removeprefix('The file is damaged: ')}",
            hint="Use an older backup, which is whole: edgekit restore BACKUP FILE",
        )
    return version


def log_head(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """Return the newest entry of the log and a hash over it: an anchor outside the file."""
    row = connection.execute(
        "SELECT seq, txn_id, table_id, record_key, action, changes FROM audit_log ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    text = json.dumps(
        [value.hex() if isinstance(value, bytes) else value for value in row],
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return {"seq": row[0], "txn": row[1], "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _seal_head(connection: sqlite3.Connection) -> dict[str, Any] | None:
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit_seal'").fetchone():
        return None  # a file of an old schema
    end = seals.head(connection)
    return asdict(end) if end else None


def _identity(connection: sqlite3.Connection) -> tuple[str, str]:
    row = connection.execute(
        "SELECT s.uuid, ifnull((SELECT name FROM organization ORDER BY id LIMIT 1), s.name) FROM system s"
    ).fetchone()
    return (row[0], row[1]) if row else ("", "")


def _keys(connection: sqlite3.Connection) -> list[dict[str, str]]:
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'encryption_key'").fetchone():
        return []  # a file of an old schema
    rows = connection.execute(
        "SELECT uuid, master_fingerprint FROM encryption_key WHERE purpose = 'data' ORDER BY id"
    )
    return [{"uuid": uuid, "master_fingerprint": fingerprint} for uuid, fingerprint in rows]


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
        " AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    ).fetchall()
    counted = {
        name: int(connection.execute(f"SELECT count(*) FROM {quote_name(name)}").fetchone()[0])
        for (name,) in names
    }
    return {name: count for name, count in counted.items() if count}


def _prove(archive: Path, folder: Path) -> None:
    """Open the archive as restoring it would."""
    again = folder / "proof.db"
    manifest = unpack(archive, again)
    connection = sqlite.connect(again, read_only=True)
    try:
        check(connection, archive)
        if log_head(connection) != manifest.log:
            raise CorruptError(
                f"{archive.name}: the backup does not hold what was copied; it was thrown away."
            )
    finally:
        connection.close()
        again.unlink()


def read_manifest(path: str | Path) -> Manifest:
    """Read what a backup says of itself. Raise CorruptError if it is no backup, or damaged."""
    path = Path(path)
    encrypting.refuse(path)
    with _opened(path) as archive:
        return _manifest(archive, path)


def read_origin(path: Path) -> tuple[str, str | None, datetime] | None:
    """Return of which site an archive says to be, of which organization, and of when.

    An encrypted one does not name its organization. None of what is no backup, or cannot be read.
    """
    try:
        if encrypting.is_sealed(path):
            site, made_at = encrypting.read_origin(path)
            return site, None, clock.from_text(made_at)
        manifest = read_manifest(path)
        return manifest.site, manifest.organization, clock.from_text(manifest.created_at)
    except (EdgekitError, OSError, ValueError):
        return None


def unpack(path: Path, target: Path) -> Manifest:
    """Write the database of an archive to a new file, checking size and hash on the way.

    Raise CorruptError if anything differs from the manifest, MigrationNeededError if a newer edgekit made it.
    """
    with _opened(path) as archive:
        manifest = _manifest(archive, path)
        digest, size = hashlib.sha256(), 0
        try:
            with archive.open(DATABASE) as source, target.open("xb") as copy:
                for chunk in _chunks(source):
                    size += len(chunk)
                    if size > manifest.database["bytes"]:  # never fill the disk with what was not promised
                        break
                    digest.update(chunk)
                    copy.write(chunk)
        except (
            KeyError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise _damaged(path) from error
        if size != manifest.database["bytes"] or digest.hexdigest() != manifest.database["sha256"]:
            raise _damaged(path)
    return manifest


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise CorruptError(
            f"{path} is not a backup, or it is damaged.", hint="Use another backup."
        ) from error


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _damaged(path: Path) -> CorruptError:
    return CorruptError(
        f"{path} is damaged: its database is not what was backed up.", hint="Use another backup."
    )


def _manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    wrong = CorruptError(f"{path} is not an edgekit backup, or it is damaged.", hint="Use another backup.")
    try:
        with archive.open(MANIFEST) as file:
            values = json.loads(file.read(_MANIFEST_BYTES))
        kind, number = str(values["format"]).rsplit("/", 1)
        if kind == FORMAT.split("/")[0] and number.isdigit() and int(number) > 1:
            raise MigrationNeededError(
                f"{path} was made by a newer edgekit.", hint="Install a newer edgekit."
            )
        if values["format"] != FORMAT:
            raise wrong
        values = {"seal": None, "origin": "manual"} | values  # what is younger than the form
        made = Manifest(**{name: values[name] for name in Manifest.__slots__ if name != "path"}, path=path)
        int(made.database["bytes"]), str(made.database["sha256"]), int(made.schema)
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise wrong from error
    if made.schema > schema.VERSION:
        raise MigrationNeededError(
            f"{path} holds schema {made.schema}; this program knows schema {schema.VERSION}.",
            hint="Install a newer edgekit.",
        )
    return made
