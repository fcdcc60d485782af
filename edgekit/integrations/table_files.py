"""A table of the user's own made from a file: columns by what it holds, and its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import bulk, connectors, db, naming
from edgekit.errors import InvalidError
from edgekit.integrations import own_tables
from edgekit.integrations.detecting import FIELD_TYPES, SQL_TYPES, column_name, detect, field, free_name
from edgekit.mapping import compile_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.connectors import Page
    from edgekit.integrations.own_tables import OwnTable

_KINDS = {"boolean": "boolean", "date": "date", "time": "datetime", "json": "json"}


def create_table_from(
    name: str, path: str, *, kinds: Mapping[str, str] | None = None, key: Sequence[str] = ()
) -> OwnTable:
    """Create and track a table with a column per field of a file, and the file's rows in it, in one change.

    `kinds` say otherwise for some of them, by name, as `create_table` takes them; of the rest the type is
    detected over the whole file. Raise NotFoundError (file), ConflictError (the name is taken), InvalidError
    for a file that cannot be read or a row that does not fit, which is named: nothing is made then.
    """
    if path == "-" or "://" in path:
        raise InvalidError(
            f"{path} is read twice, once while the change is open: name a file of this machine.",
            hint="Or make an integration that makes its table: --set create=true",
        )
    if not key:
        raise InvalidError(f"What identifies a row of {name}?", hint="Name its columns: --key A,B")
    wanted = {part.lower(): kind for part, kind in (kinds or {}).items()}
    fields: dict[str, None] = {}
    types = detect(_records(path, fields))
    keeps_id = [part.lower() for part in key] == ["id"]
    found: dict[str, tuple[str, str]] = {}
    taken: set[str] = set() if keeps_id else {"id"}
    for source in fields:
        is_id = column_name(source).lower() == "id" and not keeps_id
        column = free_name("external_id" if is_id else column_name(source), taken)
        taken.add(column.lower())
        found[source] = (column, wanted.pop(column.lower(), SQL_TYPES.get(types.get(source, "text"), "TEXT")))
    if wanted:
        raise InvalidError(
            f"{path} has no field {next(iter(wanted))}.", hint=f"Its fields are: {', '.join(fields)}."
        )
    made = {column: kind.lower() for column, kind in found.values()}
    own_tables.check_columns(name, made, key)
    with db.change(reason=f"tables create {name}"):
        own_tables.create(name, made, key=key)
        _fill(name, path, found, key)
    return own_tables.show_table(name)


def _pages(path: str) -> Iterator[Page]:
    return connectors.get("file").read({"path": path}, state={}, inputs=None, secrets={})


def _records(path: str, fields: dict[str, None]) -> Iterator[Sequence[Any]]:
    """Yield what is in a file, noting the fields. Raise InvalidError at the first line that is no record."""
    for page in _pages(path):
        if page.rejects:
            raise InvalidError(f"{path}, {page.rejects[0].position}: {page.rejects[0].message}")
        for record in page.records:
            fields.update(dict.fromkeys(map(str, record)) if isinstance(record, dict) else {})
        yield page.records


def _fill(name: str, path: str, kinds: Mapping[str, tuple[str, str]], key: Sequence[str]) -> None:
    stored = bulk.table_columns(db.connection(), name)
    mapping = compile_mapping(
        [
            field(source, column, _KINDS.get(kind.removesuffix("!").lower(), FIELD_TYPES[stored[column]]))
            for source, (column, kind) in kinds.items()
        ]
    )
    unique = bulk.resolve_key(db.connection(), name, tuple(key), mapping.columns)
    count = 0
    for page in _pages(path):
        rows, failed = mapping.map_many(page.records)
        written = bulk.upsert_rows(name, mapping.columns, unique, rows, complete=True)
        for place, error in [*failed, *written.refused]:
            raise InvalidError(f"{path}, {page.positions[place]}: {error.message}", hint=error.hint)
        count += len(page.records)
    if (kept := naming.count_rows(db.connection(), name)) < count:
        raise InvalidError(
            f"{path}: {count - kept} of its rows have the {', '.join(key)} of another one.",
            hint="Name all columns that identify a row: --key A,B",
        )
