"""The rows of a table or view of this file as records. Who runs it reads them: a connector sees no file."""

from __future__ import annotations

import base64
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from edgekit.connectors.base import Page
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping


class TableConnector:
    """Passes on the rows that drive it, in pages. Bytes become base64."""

    name: ClassVar[str] = "table"
    positions_are_stable: ClassVar[bool] = False
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "batch_size": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
            "row_key": {"type": "string", "default": "id", "description": "What identifies a row."},
        },
    }

    def probe(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> Page | None:
        """Return an empty page: the file is here."""
        del config, secrets
        return Page([], [], {})

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Iterator[dict[str, Any]] | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Yield the rows in pages, at least one page; the state is the key of the last row passed on."""
        del secrets
        if inputs is None:
            raise InvalidError("Which rows?", hint='Say it: --set \'inputs={"table": "driver"}\'')
        size, key = int(config.get("batch_size", 1000)), str(config.get("row_key", "id"))
        last = state.get("input") if not state.get("done") else None
        rows = list(islice(inputs, size))
        while True:
            following = list(islice(inputs, size))
            last = rows[-1][key] if rows else last
            yield Page([_plain(row) for row in rows], [f"row {row[key]}" for row in rows],
                       {"input": last} if following else {"done": True})  # fmt: skip
            if not following:
                return
            rows = following


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    if not any(isinstance(value, bytes) for value in row.values()):
        return row
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in row.items()
    }
