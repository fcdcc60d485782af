"""Files as sources: CSV, NDJSON and JSON arrays, plain or gzip, or standard input; memory stays bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from edgekit.connectors import file_formats, file_open
from edgekit.connectors.base import Page, Reject

Item = tuple[str, Any] | Reject
"""A record with its position, or what could not become one."""


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
            "format": {"enum": ["csv", "ndjson", "json"], "description": "Guessed from the name and the first byte if absent."},
            "encoding": {"type": "string", "default": "utf-8", "description": "Such as latin-1 or cp1252."},
            "delimiter": {"type": "string", "minLength": 1, "maxLength": 1, "description": "Of a CSV; guessed if absent."},
            "records": {"type": "string", "description": "Member of a JSON object that holds the array, such as data.items."},
            "batch_size": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
            "max_record_bytes": {"type": "integer", "minimum": 100, "default": 16 * 1024 * 1024},
        },
    }

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Iterator[dict[str, Any]] | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Yield the file's records in pages of `batch_size`.

        A state of the same file (its size and time unchanged) is gone on from, another one is read from its start.
        Raise NotFoundError, or InvalidError naming the file and the place: empty, wrong encoding, damaged gzip, cut off.
        """
        del inputs, secrets
        path = str(config["path"])
        size = int(config.get("batch_size", 1000))
        mark = _fingerprint(path, config)
        done = int(state.get("record", 0)) if state.get("file") == mark and not state.get("done") else 0
        with file_open.stream(path) as stream, closing(file_formats.items(stream, path, config)) as items:
            _skip(items, done)
            number = done
            batch = list(islice(items, size))
            while batch:
                number += len(batch)
                following = list(islice(items, size))
                yield _page(batch, {"file": mark, "record": number} if following else {"done": True})
                batch = following


def _skip(items: Iterable[Item], count: int) -> None:
    for _ in islice(items, count):
        pass


def _page(batch: list[Item], state: dict[str, Any]) -> Page:
    records: list[Any] = []
    positions: list[str] = []
    rejects: list[Reject] = []
    for item in batch:
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            positions.append(item[0])
            records.append(item[1])
    return Page(records, positions, state, [], rejects)


def _fingerprint(path: str, config: Mapping[str, Any]) -> str:
    """Identify the file's present content cheaply; standard input is never the same twice."""
    if path == "-":
        return ""
    try:
        found = Path(path).stat()
    except OSError:
        return ""
    text = f"{found.st_size} {found.st_mtime_ns} {config.get('format')} {config.get('encoding')} {config.get('records')}"
    return hashlib.sha256(text.encode()).hexdigest()
