"""What editing needs to know of a table, read from the file's catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit import naming
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    import sqlite3

SIGNATURE = ("created_by", "updated_by", "created_at", "updated_at")
SECRET = ("_ciphertext", "_hash")

_KIND = re.compile(r'CONSTRAINT "\w+\.(\w+)\.(boolean|json_object|date|time|choice)" CHECK')

_MADE_ELSEWHERE = {
    "encryption_key": "Keys belong to the vault: edgekit vault init",
    "integration_credential": "Secrets are stored by: edgekit vault set INTEGRATION KEY",
    "tracked_table": "A table is tracked, and let go, by: edgekit tables track NAME",
    "system": "The file has one such row, from: edgekit init",
}
"""Tables whose rows a word of their own makes: what to use instead. Of `system` the columns may be set."""

_ENGINE = {
    "backup": "The file notes its backups itself: edgekit backups run",
    "configuration": "Its keys are checked and told of: edgekit configuration set TYPE KEY VALUE.",
    "integration_execution_input": "A run keeps it, where that is wished: edgekit integrations keep-inputs",
    "integration_delivery": "A run writes what was answered.",
    "integration_checkpoint": "A run writes how far it came.",
    "circuit_breaker": "Runs write it as the other side answers or fails.",
    "rate_limit_window": "Runs count in it.",
    "runner_session": "A runner writes when it began and ended.",
    "feature_usage": "Use is counted when it happens.",
    "workflow_execution": "A workflow writes it as it goes.",
    "integration_execution_communication": "A run writes which communications it made.",
    "module_validation": "The checks of a submission write it.",
    "publishing_pipeline": "Publishing a module writes how far it came.",
    "sync_peer": "A peer is registered with its keys, and the rest is agreed with it.",
    "sync_quarantine": "Applying a bundle writes what could not be applied.",
    "client_summary": "It is summed up by: edgekit monitoring refresh",
    "event_delivery": "The outbox writes what became of an event.",
}
"""Tables the engine writes that the rules below do not find."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: how text becomes its value, and whether people set it.

    `kind` is integer, real, text, blob or any, or one of boolean, json, date, time.
    """

    name: str
    kind: str
    required: bool
    has_default: bool
    parent: str | None
    typed_by: str | None  # the column whose row names the table this id is of
    is_secret: bool
    is_given: bool  # by the file or the data layer: nobody sets it


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as editing sees it."""

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...]
    refuses: str | None  # why no row of it is written by hand
    adds: str | None  # why none is added by hand

    @property
    def command(self) -> str:
        """The word of the command line for these rows."""
        return naming.plural(self.name)

    @property
    def has_status(self) -> bool:
        """Whether its rows are retired by their status."""
        return self.columns["status_id"].parent == "status" if "status_id" in self.columns else False

    def label(self, column: str) -> str:
        """Name the field that shows what a reference points at: `program` beside `program_id`."""
        short = column.removesuffix("_id")
        return short if short != column and short not in self.columns else f"{column}_label"


def read_shape(connection: sqlite3.Connection, table: str) -> Shape:
    """Read a table's shape. Raise NotFoundError if there is none, or it is the log's own."""
    row = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE", (table,)
    ).fetchone()
    if row is None or row[0].startswith(("audit_", "sqlite_")):
        raise NotFoundError(f"There is no table {table}.", hint="See: edgekit schema tables")
    name, sql = row
    kinds = {"json_object": "json", "choice": "text"}
    found = {column: kinds.get(code, code) for column, code in _KIND.findall(sql)}
    listed = 'SELECT "from", "table" FROM pragma_foreign_key_list(?) WHERE seq = 0'
    parents = dict(connection.execute(listed, (name,)).fetchall())
    info = connection.execute(
        'SELECT name, lower(type), "notnull", dflt_value IS NOT NULL, pk FROM pragma_table_info(?)', (name,)
    ).fetchall()
    seals = any(column[0].endswith("_ciphertext") for column in info)
    columns = {}
    for column, kind, required, has_default, pk in info:
        by = column.removesuffix("_id") + "_type_id"
        is_typed = (
            column.endswith("_id") and column not in parents and _names_tables(connection, parents.get(by))
        )
        given = (
            bool(pk)
            or column in SIGNATURE
            or column == "uuid"
            or (column == "version" and kind == "integer")
            or kind == "blob"
            or (seals and column == "encryption_key_id")
        )
        columns[column] = Column(
            column, found.get(column, kind), bool(required), bool(has_default), parents.get(column),
            by if is_typed else None, column.endswith(SECRET), given,
        )  # fmt: skip
    refuses = _refuses(name, columns)
    return Shape(
        name, columns, naming.natural_key(connection, name), refuses, refuses or _adds(name, columns)
    )


def _names_tables(connection: sqlite3.Connection, parent: str | None) -> bool:
    """Tell whether each row of a table names another table, in which ids are then looked up."""
    sql = "SELECT 1 FROM pragma_table_info(?) WHERE name = 'table_name'"
    return parent is not None and connection.execute(sql, (parent,)).fetchone() is not None


def _refuses(table: str, columns: dict[str, Column]) -> str | None:
    """Say why nobody writes rows of a table by hand; a table of the user's own has no such rule."""
    if table not in naming.own_tables():
        return None
    if table in _ENGINE:
        return _ENGINE[table]
    if "updated_at" not in columns:
        return "It is a log: rows are only added, by what they report."
    correlation = columns.get("correlation_id")
    if correlation is not None and correlation.required:
        return "Its rows are made by what runs, each under the correlation id of its run."
    if any(name.endswith("signature") for name in columns):
        return "Its rows are signed elsewhere, and installed."
    return _MADE_ELSEWHERE[table] if table in _MADE_ELSEWHERE and table != "system" else None


def _adds(table: str, columns: dict[str, Column]) -> str | None:
    if any(column.is_secret and column.required for column in columns.values()):
        return "Its rows hold a secret, which no argument may carry."
    return _MADE_ELSEWHERE.get(table)
