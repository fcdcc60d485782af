"""Files as destinations: written beside their place, or in a temporary folder, and put there once whole.

The records go to a part file, flushed to the disk before they count as sent; a state says how long it was,
and an interrupted run goes on from there. At the end the part becomes the file: renamed, uploaded, or, for a
workbook, which cannot be added to, read again and turned into one.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import stat
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from edgekit import clock
from edgekit.connectors.base import Answer, Delivery
from edgekit.connectors.file_encode import encoder
from edgekit.connectors.file_formats import Batch, kind_of_name, read_header, reader
from edgekit.connectors.file_open import source
from edgekit.connectors.file_places import Entry, Place, is_url, local_path, place
from edgekit.errors import ConflictError, DeniedError, InvalidError, NotFoundError, SkipRecordError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from edgekit.connectors.base import Outgoing

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_MOST_ROWS = (1 << 20) - 1


@contextmanager
def opened(
    config: Mapping[str, Any],
    *,
    state: Mapping[str, Any],
    secrets: Mapping[str, str],
    now: datetime | None = None,
) -> Iterator[FileWriter]:
    """Open the way to a file, going on from the state of an unfinished one.

    Raise InvalidError for settings that do not go together, ConflictError where a `new` file is there
    already, NotFoundError where the part an interrupted run left is gone.
    """
    going_on = bool(state) and not state.get("done")
    token = str(state["token"]) if going_on else uuid.uuid4().hex
    path = str(state["path"]) if going_on else _filled_in(str(config["path"]), token, now or clock.now())
    if path == "-":
        raise InvalidError("A run cannot write to standard output.", hint="Name a file: --set to.path=FILE")
    kind = config.get("format") or kind_of_name(path)
    _check(config, kind, path)
    if path.lower().removesuffix(".gz").endswith(".tsv"):
        config = {"delimiter": "tab", **config}
    with place(path, config, secrets) as where:
        writer = FileWriter(config, kind, path, where, token)
        try:
            if going_on:
                writer.go_on(state)
            else:
                writer.start()
            yield writer
        finally:
            writer.close()


def _check(config: Mapping[str, Any], kind: str, path: str) -> None:
    if is_url(path) and ("::" in path or path.startswith(("http://", "https://"))):
        raise InvalidError(f"{path} can be read, not written.")
    is_packed = path.lower().endswith(".gz")
    if config.get("mode") == "append" and (is_packed or kind in {"json", "xml", "xlsx"}):
        raise InvalidError(
            f"{path} is written whole: a file of its kind cannot be appended to.",
            hint="Use csv, ndjson or fixed, or a name of its own for each run: {date}, {time}.",
        )
    if is_packed and kind == "xlsx":
        raise InvalidError("A workbook is packed already: leave .gz out.")


def _filled_in(path: str, token: str, now: datetime) -> str:
    known = {"date": f"{now:%Y-%m-%d}", "time": f"{now:%H%M%S}", "run": token[:8]}

    def value(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise InvalidError(
                f"to.path: there is no {found[0]}.", hint="There are {date}, {time} and {run}, of UTC."
            )
        return known[found[1]]

    return _PLACEHOLDER.sub(value, path)


def _own_folder() -> Path:
    """Return a temporary folder that nobody else of this machine may look into. Raise DeniedError."""
    is_shared = hasattr(os, "getuid")  # else the folder for what is temporary is one's own already
    folder = Path(tempfile.gettempdir()) / (f"edgekit-{os.getuid()}" if is_shared else "edgekit")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if is_shared and (
        not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077
    ):
        raise DeniedError(f"{folder} is not only ours: what is on its way out would be read by others.")
    return folder


class FileWriter:
    """Writes one file, part by part."""

    def __init__(self, config: Mapping[str, Any], kind: str, path: str, where: Place, token: str) -> None:
        self._config = config
        self._kind = kind
        self._path = path
        self._where = where
        self._token = token
        self._records = 0
        self._offset = 0
        self._base = ""
        self._is_finished = False
        self._is_sent = False
        self._is_sheet = kind == "xlsx"
        self._encoder = encoder(kind, config, [])
        digest = hashlib.sha256(str(config["path"]).encode()).hexdigest()[:16]
        temporary = _own_folder()
        self._final = Path(local_path(path))
        if is_url(path):
            self._part = temporary / f"edgekit-{digest}.{token[:8]}.part"
        else:
            self._part = self._final.with_name(f".{self._final.name}.{token[:8]}.part")
        self._note = temporary / f"edgekit-{digest}.done"
        self._file: BinaryIO | None = None

    def start(self) -> None:
        """Begin a new part, with what stands in the file already where it is to be appended to."""
        mode = self._config.get("mode", "replace")
        if mode == "new":
            self._refuse_existing()
        try:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("w+b")
        except OSError as error:
            raise InvalidError(
                f"{self._path} cannot be written: {error.strerror or error}.",
                hint="Check the folder and its rights.",
            ) from error
        if mode == "append" and (entry := self._present()) is not None:
            self._copy(entry)

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Open the part of an interrupted run, without what was written behind the state."""
        self._is_sent = True
        self._records, self._offset = int(state["records"]), int(state["offset"])
        self._base = str(state.get("base", ""))
        if state.get("delimiter"):
            self._config = {**self._config, "delimiter": state["delimiter"]}
        self._encoder = encoder(self._kind, self._config, state.get("columns", []))
        if not self._part.exists() and self._was_put():
            self._is_finished = True
            return
        try:
            self._file = self._part.open("r+b")
        except OSError as error:
            raise self._gone() from error
        if os.fstat(self._file.fileno()).st_size < self._offset:
            raise self._gone()
        self._file.truncate(self._offset)
        self._file.seek(self._offset)

    def close(self) -> None:
        """Let the part go; it stays for the next run if anything was sent to it."""
        if self._file is not None:
            self._file.close()
            if not self._is_sent:
                self._part.unlink(missing_ok=True)

    def send(self, records: Sequence[Outgoing]) -> Delivery:
        """Write records to the part and flush it to the disk; what cannot be written is refused."""
        if self._file is None:
            raise InvalidError(f"{self._path} was finished already.")
        answers, blocks, count = [], [], self._records
        if not self._offset:
            blocks.append(self._encoder.begin([outgoing.record for outgoing in records]))
        for outgoing in records:
            try:
                blocks.append(self._encoder.record(outgoing.record, is_first=count == 0))
            except SkipRecordError as error:
                answers.append(Answer(error=error))
                continue
            count += 1
            answers.append(Answer())
        if self._is_sheet and count > _MOST_ROWS:
            raise InvalidError(f"A sheet has at most {_MOST_ROWS} rows below its header.")
        self._is_sent = True
        self._write(b"".join(blocks))
        self._records = count
        return Delivery(answers, self._state())

    def finish(self) -> dict[str, Any]:
        """Put the file in its place, whole. Done twice, it is done once."""
        if not self._is_finished:
            assert self._file is not None
            is_again = self._was_put()
            if self._config.get("mode") == "new" and not is_again:
                self._refuse_existing()
            if self._base and self._base != self._mark() and not is_again:
                raise ConflictError(
                    f"{self._path} was changed by somebody else while it was appended to.",
                    hint="What was to be added is kept beside it; run again once the other has ended.",
                )
            offset = self._offset
            self._write(self._encoder.end(is_empty=not offset))
            self._file.close()
            self._file = None
            self._note.write_text(self._token, encoding="ascii")
            self._put()
            self._is_finished = True
        return {"done": True, "path": self._path, "records": self._records}

    def _put(self) -> None:
        """Bring the part to its place."""
        whole = self._part
        if self._is_sheet:
            from edgekit.connectors.file_xlsx import write_sheet

            whole = self._part.with_name(f"{self._part.name}.xlsx")
            write_sheet(whole, self._rows(), self._encoder.columns, self._path, self._config.get("sheet"))
        if self._path.lower().endswith(".gz"):
            whole = self._part.with_name(f"{self._part.name}.gz")
            with self._part.open("rb") as plain, gzip.open(whole, "wb") as packed:
                shutil.copyfileobj(plain, packed)
        if is_url(self._path):
            self._where.put(str(whole), self._path)
            whole.unlink()
        else:
            self._where.put(str(whole), str(self._final))
        self._part.unlink(missing_ok=True)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        if not self._part.stat().st_size:
            return
        with source(str(self._part)) as kept:
            items = reader(kept, {"format": "ndjson", "max_record_bytes": 1 << 30})
            while True:
                batch = Batch()
                items.fill(batch, 1000)
                if not len(batch):
                    return
                yield from batch.records

    def _write(self, content: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InvalidError(f"{self._path} cannot be written: {error.strerror or error}.") from error
        self._offset += len(content)

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "token": self._token, "path": self._path, "offset": self._offset, "records": self._records,
        }  # fmt: skip
        if self._encoder.columns:
            state["columns"] = list(self._encoder.columns)
        if self._base:
            state |= {"base": self._base, "delimiter": self._config.get("delimiter")}
        return state

    def _present(self) -> Entry | None:
        try:
            return next(iter(self._where.find()), None)
        except NotFoundError:
            return None

    def _mark(self) -> str:
        entry = self._present()
        return entry.mark if entry is not None else ""

    def _refuse_existing(self) -> None:
        if self._present() is not None:
            raise ConflictError(
                f"There is a file {self._path} already.",
                hint="Give each run a name of its own: {date}, {time}, {run}; or --set to.mode=replace",
            )

    def _copy(self, entry: Entry) -> None:
        """Begin the part with the file as it is, and its columns where it names them."""
        assert self._file is not None
        self._base = entry.mark
        with self._where.fetched(entry) as kept:
            if not Path(kept).stat().st_size:
                return
            if self._kind == "csv" and self._config.get("header", True):
                with source(kept, shown=self._path) as text:
                    columns, mark = read_header(text, self._config)
                chosen = [str(name) for name in self._config.get("columns", columns)]
                if chosen != columns:
                    raise InvalidError(
                        f"{self._path} has other columns than are to be added: {', '.join(columns)[:200]}."
                    )
                self._config = {**self._config, "delimiter": mark}
                self._encoder = encoder(self._kind, self._config, columns)
            with Path(kept).open("rb") as whole:
                shutil.copyfileobj(whole, self._file)
                whole.seek(-1, os.SEEK_END)
                if whole.read() not in b"\r\n\x00":  # NUL: the end of a line in UTF-16
                    self._file.write(b"\n")
        self._offset = self._file.tell()

    def _was_put(self) -> bool:
        """Tell whether the file was brought to its place, and only nobody could note it any more."""
        return self._note.exists() and self._note.read_text(encoding="ascii") == self._token

    def _gone(self) -> NotFoundError:
        return NotFoundError(
            f"What an interrupted run had written of {self._path} is gone: {self._part}.",
            hint="Put it back; or let a new run begin by changing a setting, such as to.path.",
        )
