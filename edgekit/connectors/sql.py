"""SQL databases as source and destination: SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgekit.connectors.base import Page, target_in
from edgekit.connectors.sql_reading import Reading
from edgekit.connectors.sql_sides import connect, read_place
from edgekit.connectors.sql_writing import SqlWriter
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

_TEXT = {"type": "string", "minLength": 1}
_NAMES = {
    "anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": _TEXT}],
    "description": "A comma list of columns, or a list.",
}
_WAY = {
    "url": {**_TEXT, "description": "sqlite:///file.db, postgresql://host/database, mysql://host/database"},
    "user": {**_TEXT, "description": "Who asks. The password is a secret: edgekit vault set NAME password"},
    "password": {
        "x-secret": "password",
        "type": "object",
        "additionalProperties": False,
        "required": ["vault"],
        "properties": {"vault": _TEXT},
        "description": "Another key of the vault than password.",
    },
    "timeout_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 3600, "default": 30},
}


class SqlConnector:
    """Reads a table or a query in the order of its key, and writes records into a table by theirs."""

    name: ClassVar[str] = "sql"
    positions_are_stable: ClassVar[bool] = False
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["url"],
        "oneOf": [{"required": ["source_table"]}, {"required": ["query"]}],
        "properties": {
            **_WAY,
            "source_table": {**_TEXT, "description": "The table or view to read; schema.table where needed."},
            "query": {**_TEXT, "description": "A SELECT, in the place of source_table."},
            "columns": {**_NAMES, "description": "Of source_table; all if absent."},
            "source_key": {**_NAMES, "description": "What identifies a row; the primary key if absent."},
            "incremental": {
                "type": "object",
                "additionalProperties": False,
                "required": ["column"],
                "properties": {"column": _TEXT, "initial": {"type": ["string", "integer", "number"]}},
                "description": "Rows from the largest value of a column on that was seen last.",
            },
            "batch_size": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
        },
    }
    write_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["url", "table", "key"],
        "properties": {
            **_WAY,
            "table": {**_TEXT, "description": "The table to write; schema.table where needed."},
            "key": {**_NAMES, "description": "What identifies a record: its primary or another unique key."},
            "create": {"type": "boolean", "default": False, "description": "Make the table from the data."},
        },
    }

    def file_of(self, config: Mapping[str, Any]) -> Path | None:
        """Return the file of an SQLite address; None for a server."""
        url = str(config.get("url", ""))
        return Path(read_place(config, {}).database) if url.startswith("sqlite:///") else None

    def target_of(self, config: Mapping[str, Any]) -> str | None:
        """Return the server an address is of; None for a file."""
        return target_in(str(config.get("url", "")))

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Iterator[dict[str, Any]] | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Yield the rows in pages, at least one page, in one read-only transaction.

        With a key each state goes on right behind its page; without one a pass that was broken off begins
        anew. Raise UnavailableError, DeniedError, NotFoundError or InvalidError in one line.
        """
        del inputs
        with closing(connect(read_place(config, secrets), writes=False)) as side:
            yield from Reading(side, config).pages(state)

    def probe(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> Page | None:
        """Read one row, in no order."""
        with closing(connect(read_place(config, secrets), writes=False)) as side:
            return Reading(side, config).first()

    def probe_write(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> Page | None:
        """Look whether the table is there, or may be made. Nothing is made."""
        path = self.file_of(config)
        if path is not None and not path.exists() and path.parent.is_dir() and config.get("create"):
            return Page([], [], {})
        with closing(connect(read_place(config, secrets), writes=False)) as side:
            if not side.columns(str(config["table"])) and not config.get("create"):
                raise NotFoundError(f"{side.place.shown}: there is no table {config['table']}.")
        return Page([], [], {})

    @contextmanager
    def open(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> Iterator[SqlWriter]:
        """Open the way into a table. What is sent again only writes the same once more."""
        with closing(connect(read_place(config, secrets), writes=True)) as side:
            yield SqlWriter(side, config, state)
