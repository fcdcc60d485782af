"""Files as sources and destinations: CSV, NDJSON, JSON, XLSX, fixed width and XML, here or behind a URL."""

from __future__ import annotations

import hashlib
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgekit.connectors import file_drop
from edgekit.connectors.base import Page, Positions, target_in
from edgekit.connectors.file_formats import Batch, Reader, Skipping, is_sheet, reader
from edgekit.connectors.file_open import BrokenError, disk_identity, on_disk, source
from edgekit.connectors.file_places import is_pattern, is_url, local_path, place
from edgekit.connectors.file_settings import READ, WRITE
from edgekit.errors import EdgekitError, InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from contextlib import AbstractContextManager

    from edgekit.connectors.base import Writer

_READING = (
    "format", "encoding", "delimiter", "records", "max_record_bytes", "formula_guard", "columns", "sheet",
    "record_length", "namespaces", "header_row", "error_cells", "always_list", "pad", "skip", "skip_lines",
)  # fmt: skip
"""Settings that make other records of the same bytes."""


class FileConnector:
    """Reads one file from its beginning, or behind the records already committed of the same file."""

    name: ClassVar[str] = "file"
    positions_are_stable: ClassVar[bool] = True
    writes_whole: ClassVar[bool] = True
    config_schema: ClassVar[Mapping[str, Any]] = READ
    write_schema: ClassVar[Mapping[str, Any]] = WRITE

    def target_of(self, config: Mapping[str, Any]) -> str | None:
        """Return where a URL leads; None for files of this machine."""
        path = str(config.get("path", ""))
        return target_in(path) if is_url(path) else None

    def probe(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> Page | None:
        """Read the first record of a file here; look for the files elsewhere, without fetching one.

        Standard input is left alone: what is read from it is gone.
        """
        path = str(config["path"])
        if path == "-":
            return None
        if is_url(path) or file_drop.is_drop(config):
            with place(path, config, secrets) as found:
                found.find()
            return Page([], [], {})
        with closing(self.read({**config, "batch_size": 1}, state={}, inputs=None, secrets=secrets)) as pages:
            return next(pages)

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Iterator[dict[str, Any]] | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Yield the records in pages of at most `batch_size`; of a single file at least one page.

        A state of the same file (size, time and beginning unchanged) is gone on from, another file is read
        from its start. What stands before a damage comes as a page before the error. Raise NotFoundError, or
        InvalidError naming the file and the place: empty, no text, wrong encoding, damaged gzip, cut off.
        """
        del inputs
        path = str(config["path"])
        file_drop.check(config)
        if file_drop.is_drop(config):
            yield from file_drop.read(
                config, state, secrets, lambda *what: _read_one(what[0], what[1], what[2], config, what[3])
            )
        elif is_url(path):
            with place(path, config, secrets) as remote:
                entries = remote.find()
                if not entries:
                    raise NotFoundError(f"There is no file {path}.", hint="Check the path.")
                with remote.fetched(entries[0]) as fetched:
                    yield from _read_one(fetched, path, entries[0].mark, config, state)
        else:
            path = local_path(path)
            yield from _read_one(path, path, None, config, state)

    def file_of(self, config: Mapping[str, Any]) -> Path | None:
        """Return the file of this machine that is read or written; None for a pattern or URL."""
        path = str(config.get("path", "-"))
        return None if path == "-" or is_url(path) or is_pattern(path) else Path(local_path(path))

    def open(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> AbstractContextManager[Writer]:
        """Open the way to a file, which stands under its name once it is finished, whole."""
        from edgekit.connectors import file_write

        return file_write.opened(config, state=state, secrets=secrets)

    def committed(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> None:
        """Do what is to be done once the page of this state is kept for good: move or delete its file."""
        file_drop.committed(config, state, secrets)


def _read_one(
    path: str, shown: str, mark: str | None, config: Mapping[str, Any], state: Mapping[str, Any]
) -> Generator[Page, None, None]:
    """Yield the pages of one file of this machine, going on from the state."""
    size = int(config.get("batch_size", 1000))
    with _reader(path, shown, mark, config) as (items, identity):
        known = identity and state.get("file") == identity and not state.get("done")
        number = _pass_over(items, int(state.get("record", 0)) if known else 0, size, shown)
        batch, failure = _fill(items, size, shown, number)
        while failure is None:
            number += len(batch)
            following, failure = _fill(items, size, shown, number)
            if failure is None and not following:
                yield _page(batch, {"done": True})
                return
            yield _page(batch, {"file": identity, "record": number})
            batch = following
        if batch:
            yield _page(batch, {"file": identity, "record": number + len(batch)})
        raise failure


def _pass_over(items: Reader, count: int, size: int, path: str) -> int:
    """Leave out what was read before and return how much that was; lines need not be understood for it."""
    try:
        number = items.skip(count) if isinstance(items, Skipping) else 0
    except BrokenError as error:
        raise _broken(error, path, count) from error
    while number < count:
        passed, failure = _fill(items, min(size, count - number), path, number)
        number += len(passed)
        if failure is not None:
            raise failure
        if not passed:
            break
        del passed  # or it would be held beside the next
    return number


@contextmanager
def _reader(
    path: str, shown: str, mark: str | None, config: Mapping[str, Any]
) -> Iterator[tuple[Reader, str]]:
    """Open a file in its format; tell what identifies its content as it is read."""
    if is_sheet(shown, config):
        from edgekit.connectors.file_xlsx import sheet

        with on_disk(path) as kept:
            told = "" if path == "-" else mark or disk_identity(kept)
            with sheet(kept, "standard input" if path == "-" else shown, config) as found:
                yield found, _fingerprint(told, b"", config)
        return
    with source(path, shown=shown, mark=mark) as opened:
        yield reader(opened, config), _fingerprint(opened.identity, opened.head, config)


def _fill(items: Reader, size: int, path: str, before: int) -> tuple[Batch, EdgekitError | None]:
    """Read a batch, and what stopped it in the middle."""
    batch = Batch()
    try:
        items.fill(batch, size)
    except BrokenError as error:
        failure = _broken(error, path, before + len(batch))
        failure.__cause__ = error
        return batch, failure
    except EdgekitError as error:
        return batch, error
    return batch, None


def _broken(error: BrokenError, path: str, count: int) -> InvalidError:
    """Say behind which record a file cannot be read on."""
    where = f"after record {count}" if count else "before its first record"
    return InvalidError(f"{path} {error.what.format(where)}.", hint=error.hint)


def _page(batch: Batch, state: dict[str, Any]) -> Page:
    return Page(batch.records, Positions(batch.word, batch.numbers), state, [], batch.rejects)


def _fingerprint(identity: str, head: bytes, config: Mapping[str, Any]) -> str:
    """Identify content and reading; standard input is never the same twice."""
    if not identity:
        return ""
    settings = [config.get(name) for name in _READING]
    return hashlib.sha256(f"{identity} {settings}".encode() + head).hexdigest()
