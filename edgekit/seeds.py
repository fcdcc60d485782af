"""Reference rows: put into a file what every file needs, and never touch what somebody has changed.

`seeds/NN_word.json` is {"table": [row, …]}. A reference to another table is written as that row's code; an
object or list becomes JSON text. An id without a declared table, as of a scope, names the table too:
`{"scope_id": {"program": "AUTO"}}`. Rows that hang on a row may stand in it, under the name of their table. A
row that is there already (by its key) is left alone, so applying twice changes nothing.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import db, naming, schema
from edgekit.errors import DeniedError, InvalidError, NotFoundError
from edgekit.schema import quote_name

if TYPE_CHECKING:
    import sqlite3

_SCOPE = ("scope_type_id", "scope_id", "organization_id")
_KEYS = {
    "user": ("username",),
    "communication_type_channel": ("communication_type_id", "channel_id"),
    "integration": ("integration_type_id", "integration_name"),
    "integration_template": ("code", "version", "organization_id"),
    "integration_template_operation": ("template_id", "operation"),
    "integration_template_prerequisite": ("template_id", "prerequisite"),
    "deployment_template": ("code", "version"),
    "workflow_template": ("code", "version"),
    "feature_dependency": ("feature_id", "depends_on_feature_id"),
    "license_tier_feature": ("license_tier_id", "feature_id"),
    "entity_type_feature": ("entity_type_id", "feature_id"),
    "entity_feature": ("entity_id", "feature_id"),
    "model_registry": ("provider", "model_id"),
    "feature_license": ("feature_id", *_SCOPE),
    "configuration": ("configuration_type_id", *_SCOPE),
}
"""What identifies a row where neither its `code` nor its natural key does."""


def apply_core(connection: sqlite3.Connection, *, organization: str, environment: str) -> None:
    """Fill a new file: all reference rows, this installation, its organization.

    The caller holds the open change.
    """
    add_missing(connection)
    row = connection.execute("SELECT id FROM environment WHERE code = ?", (environment,)).fetchone()
    if row is None:
        known = ", ".join(
            code.lower() for (code,) in connection.execute("SELECT code FROM environment ORDER BY id")
        )
        raise InvalidError(f"There is no environment {environment!r}; it is one of: {known}.")
    name = organization.strip()
    if not name:
        raise InvalidError(
            "The organization needs a name.", hint='For example: --organization "Smith & Sons"'
        )
    connection.execute(
        "INSERT INTO system(id, uuid, name, environment_id) VALUES (1, ?, ?, ?)",
        (str(uuid.uuid4()), name[:100], row[0]),
    )
    connection.execute("INSERT INTO organization(id, code, name) VALUES (1, 'MAIN', ?)", (name,))


def add_missing(connection: sqlite3.Connection) -> None:
    """Put in the reference rows of edgekit that are missing; the caller holds the change."""
    for path in _files():
        _apply_file(connection, path)


def apply(paths: list[str] | None = None) -> dict[str, int]:
    """Add the reference rows that are missing from the opened file, in one change.

    `paths` names seed files of one's own; without it the ones that come with edgekit. Return how many rows
    were added per table. Raise NotFoundError or InvalidError, naming the file, with nothing added.
    """
    files = [Path(text) for text in paths] if paths else _files()
    added: dict[str, int] = {}
    with db.change(reason="seeds apply"):
        for path in files:
            for table, count in _apply_file(db.connection(), path).items():
                added[table] = added.get(table, 0) + count
    return added


def _files() -> list[Path]:
    """Return our seed files in the order of the words; those in a word's folder come behind its own."""
    folder = schema.seed_folder()
    found = [*folder.glob("[0-9]*.json"), *folder.glob("[0-9]*/*.json")]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _apply_file(connection: sqlite3.Connection, path: Path) -> dict[str, int]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no seed file {path}.") from error
    except OSError as error:
        raise DeniedError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(rows, list) for rows in document.values()):
        raise InvalidError(f'{path} must be an object of tables: {{"table": [row, …]}}.')
    if not path.is_relative_to(schema.seed_folder()):  # ours are looked at by a test: it takes its time
        _check_schemas(path, document)
    added: dict[str, int] = {}
    for table, rows in document.items():
        _apply_rows(connection, path, table, rows, added)
    return added


def holds_schema(column: str) -> bool:
    """Tell by its name whether a column holds a JSON Schema."""
    return column == "schema_definition" or column.endswith("_schema")


def _check_schemas(path: Path, document: dict[str, Any]) -> None:
    for table, rows in document.items():
        for row in rows:
            for column, value in row.items() if isinstance(row, dict) else ():
                if holds_schema(column) and value is not None:
                    from edgekit import validate

                    validate.check_schema(value, f"{path}: {table}.{column}")


def _apply_rows(
    connection: sqlite3.Connection, path: Path, table: str, rows: list[Any], added: dict[str, int],
    within: tuple[str, int] | None = None,
) -> None:  # fmt: skip
    """Add the rows of a table that are missing, and count them; `within` is the row they stand in."""
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}
    if not columns or table.startswith(("audit_", "sqlite_")):
        raise InvalidError(f"{path}: there is no table {table} to put rows into.")
    references = dict(
        connection.execute('SELECT "from", "table" FROM pragma_foreign_key_list(?)', (table,)).fetchall()
    )
    added.setdefault(table, 0)
    for row in rows:
        if not isinstance(row, dict):
            raise InvalidError(f"{path}: a row of {table} is not an object.")
        inner = {name: row[name] for name in row if name not in columns and isinstance(row[name], list)}
        if unknown := sorted(set(row) - columns - set(inner)):
            raise InvalidError(f"{path}: {table} has no column {unknown[0]}.")
        values = {
            column: _value(connection, path, column, row[column], references)
            for column in row
            if column in columns
        }
        if within is not None:
            values[_reference(path, table, references, within[0])] = within[1]
        where, known = _identity(connection, path, table, values)
        if connection.execute(f"SELECT 1 FROM {where}", known).fetchone() is None:
            names = ", ".join(quote_name(column) for column in values)
            marks = ", ".join("?" * len(values))
            connection.execute(
                f"INSERT INTO {quote_name(table)} ({names}) VALUES ({marks})", list(values.values())
            )
            added[table] += 1
        for child, hanging in inner.items():
            (number,) = connection.execute(f"SELECT id FROM {where}", known).fetchone()
            _apply_rows(connection, path, child, hanging, added, (table, number))


def _reference(path: Path, table: str, references: dict[str, str], parent: str) -> str:
    """Return the column by which rows of a table hang on rows of another."""
    signed = {"created_by", "updated_by", "status_id"}
    found = [column for column, named in references.items() if named == parent and column not in signed]
    if len(found) != 1:
        raise InvalidError(f"{path}: rows of {table} do not hang on rows of {parent}.")
    return found[0]


def _identity(
    connection: sqlite3.Connection, path: Path, table: str, values: dict[str, Any]
) -> tuple[str, list[Any]]:
    """Write where a row is found again, and the values that identify it."""
    keys = _keys(connection, table)
    if missing := [key for key in keys if key not in values and key not in _SCOPE[1:]]:
        raise InvalidError(f"{path}: a row of {table} has no {missing[0]}.")
    where = " AND ".join(f"{quote_name(key)} IS ?" for key in keys)
    return f"{quote_name(table)} WHERE {where}", [values.get(key) for key in keys]


def _keys(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Return what identifies a row: as told above, else its code, else what people know it by."""
    natural = naming.natural_key(connection, table)
    return _KEYS.get(table, ("code",) if "code" in natural or not natural else natural)


def _value(
    connection: sqlite3.Connection, path: Path, column: str, value: Any, references: dict[str, str]
) -> Any:
    if isinstance(value, dict) and column.endswith("_id"):
        if column not in references and len(value) == 1:
            ((parent, code),) = value.items()
            return _id_of(connection, path, column, parent, code)
        raise InvalidError(f"{path}: {column} must name one row.")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, bool):
        return int(value)
    if column in references and isinstance(value, str):
        return _id_of(connection, path, column, references[column], value)
    return value


def _id_of(connection: sqlite3.Connection, path: Path, column: str, parent: str, code: Any) -> int:
    """Find a row by its code, or what identifies it instead; among organizations the first is meant."""
    key = naming.label_column(connection, parent) or "code"
    known = connection.execute("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (parent, key)).fetchone()
    if known is None:
        raise InvalidError(f"{path}: {column} names {parent}, which has no rows with a {key}.")
    row = connection.execute(
        f"SELECT id FROM {quote_name(parent)} WHERE {quote_name(key)} = ? ORDER BY id", (code,)
    ).fetchone()
    if row is None:
        raise InvalidError(f"{path}: {column} names {code}, which is no {key} of {parent}.")
    return int(row[0])
