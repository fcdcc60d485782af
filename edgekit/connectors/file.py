"""Files as sources: CSV, NDJSON and JSON arrays, plain or gzip, or standard input; memory stays bounded."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from edgekit.connectors.base import Page, Positions
from edgekit.connectors.file_formats import Batch, Reader, reader
from edgekit.connectors.file_open import BrokenError, Source, source
from edgekit.errors import EdgekitError, InvalidError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping


class FileConnector:
    """Reads one file from its beginning, or behind the records already committed of the same file."""

    name: ClassVar[str] = "file"
    positions_are_stable: ClassVar[bool] = True
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["path"],
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "The file; - is standard input."},
            "format": {
                "enum": ["csv", "ndjson", "json"],
                "description": "Guessed from the name and the beginning if absent.",
            },
            "encoding": {"type": "string", "default": "utf-8", "description": "Such as latin-1 or cp1252."},
            "delimiter": {
                "type": "string",
                "minLength": 1,
                "maxLength": 3,
                "description": "Of a CSV: one character, or tab; guessed if absent.",
            },
            "records": {
                "type": "string",
                "description": "Member of a JSON object that holds the array, such as data.items.",
            },
            "batch_size": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
            "max_record_bytes": {
                "type": "integer",
                "minimum": 100,
                "maximum": 2**30,
                "default": 16 * 1024 * 1024,
            },
        },
    }

    def probe(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> Page | None:
        """Read the first record. Standard input is left alone: what is read from it is gone."""
        if config["path"] == "-":
            return None
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
        """Yield the file's records in pages of at most `batch_size`, at least one page.

        A state of the same file (size, time and beginning unchanged) is gone on from, another file is read
        from its start. What stands before a damage comes as a page before the error. Raise NotFoundError, or
        InvalidError naming the file and the place: empty, no text, wrong encoding, damaged gzip, cut off.
        """
        del inputs, secrets
        size = int(config.get("batch_size", 1000))
        with source(str(config["path"])) as found:
            mark = _fingerprint(found, config)
            items = reader(found, config)
            number = 0
            known = mark and state.get("file") == mark and not state.get("done")
            behind = int(state.get("record", 0)) if known else 0
            while number < behind:
                passed, failure = _fill(items, min(size, behind - number), found.path, number)
                number += len(passed)
                if failure is not None:
                    raise failure
                if not passed:
                    break
            batch, failure = _fill(items, size, found.path, number)
            while failure is None:
                number += len(batch)
                following, failure = _fill(items, size, found.path, number)
                if failure is None and not following:
                    yield _page(batch, {"done": True})
                    return
                yield _page(batch, {"file": mark, "record": number})
                batch = following
            if batch:
                yield _page(batch, {"file": mark, "record": number + len(batch)})
            raise failure


def _fill(items: Reader, size: int, path: str, before: int) -> tuple[Batch, EdgekitError | None]:
    """Read a batch, and what stopped it in the middle."""
    batch = Batch()
    try:
        items.fill(batch, size)
    except BrokenError as error:
        count = before + len(batch)
        where = f"after record {count}" if count else "before its first record"
        failure = InvalidError(f"{path} {error.what.format(where)}.", hint=error.hint)
        failure.__cause__ = error
        return batch, failure
    except EdgekitError as error:
        return batch, error
    return batch, None


def _page(batch: Batch, state: dict[str, Any]) -> Page:
    return Page(batch.records, Positions(batch.word, batch.numbers), state, [], batch.rejects)


def _fingerprint(found: Source, config: Mapping[str, Any]) -> str:
    """Identify content and reading; standard input is never the same twice."""
    if not found.identity:
        return ""
    settings = [
        config.get(name) for name in ("format", "encoding", "delimiter", "records", "max_record_bytes")
    ]
    return hashlib.sha256(f"{found.identity} {settings}".encode() + found.head).hexdigest()
