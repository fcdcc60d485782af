"""Where records go when they leave: read from the settings under `to`, and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import codec, connectors, db, jsonpath, validate
from edgekit.errors import InvalidError, NotFoundError
from edgekit.mapping import CompiledMapping, compile_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgekit.mapping import FieldMapping

EVENT = "event"
"""The destination that is the outbox of this file."""

_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "minLength": 1, "maxLength": 100, "description": "Such as driver.changed"},
        "source": {"type": "string", "default": "INTEGRATION", "description": "Code of an event source"},
        "target": {"type": "string", "maxLength": 100, "description": "Whom it is for"},
    },
}
_OWN = {"connector", "write_back", "deliveries"}
"""Settings under `to` that are not the connector's."""

_UNSTEADY = {"batch_size", "timeout_seconds", "retries", "retry_delay_ms", "retry_multiplier"}
_WHOLE = {"file", "singer", "sql"}
"""Destinations that take many records at once."""

_SECRET = ("_ciphertext", "_hash")


@dataclass(slots=True)
class Way:
    """Where the records of an integration go: a connector and its settings, or the outbox (no connector)."""

    kind: str
    connector: connectors.Destination | None
    config: dict[str, Any]
    write_back: Mapping[str, jsonpath.Path] = field(default_factory=dict)
    """Columns of the row that take a value of what was answered."""
    keeps_deliveries: bool = True
    exchange: Mapping[str, Any] = field(default_factory=dict)
    nest: Callable[[Sequence[Any]], dict[str, Any]] | None = None
    """Makes a document of a mapped row."""

    @property
    def identity(self) -> list[Any]:
        """Identify the destination: a checkpoint on the way to another one is of no use."""
        return [self.kind, {key: value for key, value in self.config.items() if key not in _UNSTEADY}]

    @property
    def batch_size(self) -> int:
        """How many records go at once where nothing is said: few where each is a request of its own."""
        return 1000 if self.kind in _WHOLE else 100


def read_way(name: str, settings: Mapping[str, Any]) -> Way | None:
    """Read where records are sent; None where they go into a table of this file.

    Raise InvalidError naming the setting, NotFoundError for a connector or column that is not there.
    """
    to = settings.get("to")
    if to is None:
        return None
    if not isinstance(to, dict) or not isinstance(to.get("connector"), str):
        raise InvalidError(
            f'{name}: to says where records are sent: {{"connector": "http", …}}.',
            hint="Such as: --set to.connector=file --set to.path=out.ndjson",
        )
    if "table" in settings:
        raise InvalidError(
            f"{name} has a table to write to and a way out: records go to one of them.",
            hint="Leave out table, or to.",
        )
    config = {key: value for key, value in to.items() if key not in _OWN}
    kind = to["connector"]
    way = Way(kind, None, config, keeps_deliveries=_keeps(name, to, settings.get("inputs")))
    if kind == EVENT:
        validate.check(_EVENT_SCHEMA, config, what=f"{name}: settings of to")
    else:
        way.connector = connectors.get_destination(kind)
        validate.check(way.connector.write_schema, config, what=f"{name}: settings of to ({kind})")
        refuse_own_file(way.connector, config)
    way.write_back = _write_back(name, to.get("write_back") or {}, settings)
    return way


def refuse_own_file(connector: Any, config: Mapping[str, Any]) -> None:
    """Raise InvalidError where a connector would open the very file that is open, past its rules."""
    file_of = getattr(connector, "file_of", None)
    path = file_of(config) if file_of is not None else None
    if path is None:
        return
    own = db.current().path
    parts = [own.resolve().with_name(f"{own.name}{end}") for end in ("", "-wal", "-shm", "-journal")]
    if path.resolve() in parts or (path.exists() and path.samefile(own)):
        raise InvalidError(
            f"{path} is the file this runs in.",
            hint="Read it by the connector table; write it by the setting table.",
        )


def _keeps(name: str, to: Mapping[str, Any], inputs: Any) -> bool:
    """Say whether what became of each record is kept: of a file there is nothing to be told per record."""
    only_changes = isinstance(inputs, dict) and inputs.get("changed") is True
    wanted = to.get("deliveries", only_changes or to["connector"] != "file")
    if not isinstance(wanted, bool):
        raise InvalidError(f"{name}: to.deliveries is true or false.")
    if only_changes and not wanted:
        raise InvalidError(f"{name}: what changed is told by what was delivered; leave out to.deliveries.")
    return wanted


def _write_back(name: str, wanted: Any, settings: Mapping[str, Any]) -> dict[str, jsonpath.Path]:
    if not isinstance(wanted, dict) or not all(isinstance(path, str) for path in wanted.values()):
        raise InvalidError(f'{name}: to.write_back says which column takes what: {{"column": "$.id"}}.')
    if not wanted:
        return {}
    inputs = settings.get("inputs")
    table = inputs.get("table") if isinstance(inputs, dict) else None
    if settings.get("connector") != "table" or not isinstance(inputs, dict) or not isinstance(table, str):
        raise InvalidError(
            f"{name}: to.write_back goes back into the rows of a table, and none is the source."
        )
    have = columns_of(table)
    key = inputs.get("key") or "id"
    for column in wanted:
        if column not in have or column.endswith(_SECRET) or column == key:
            raise InvalidError(f"{name}: to.write_back cannot write {table}.{column}.")
    if db.query("SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = ? COLLATE NOCASE", (table,)):
        raise InvalidError(f"{name}: to.write_back goes back into the rows of a table; {table} is a view.")
    return {column: jsonpath.compile(path) for column, path in wanted.items()}


def columns_of(table: str) -> list[str]:
    """Return the columns of a table or view that may leave the file: all but its secrets.

    Raise NotFoundError if there is none of that name.
    """
    names = [row["name"] for row in db.query("SELECT name FROM pragma_table_info(?)", (table,))]
    if not names:
        raise NotFoundError(f"There is no table or view {table}.", hint="See: edgekit schema tables")
    return [name for name in names if not name.endswith(_SECRET)]


def compile_way(name: str, way: Way, fields: Sequence[FieldMapping]) -> CompiledMapping | None:
    """Compile the mappings that go outward; None without any: records go as they are.

    Raise InvalidError naming a mapping that cannot go outward, or where there are some and none does.
    """
    if not fields:
        return None
    if all(mapping.direction == "inbound" for mapping in fields):
        raise InvalidError(
            f"{name} sends records, and all its mappings go inward.",
            hint="Give them the direction outbound or bidirectional, or retire them: records go as they are.",
        )
    mapping = compile_mapping(fields, direction="outbound")
    if mapping.lookups:
        raise InvalidError(
            f"{name}: a lookup finds the id of a row, which says nothing to others.",
            hint="Send a view that has the column they know.",
        )
    way.nest = _nesting(name, mapping)
    return mapping


def _nesting(name: str, mapping: CompiledMapping) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """Return what makes `{"customer": {"name": …}}` of a row whose column is `customer.name`.

    What a column holds as JSON text leaves as the document it is.
    """
    paths: list[tuple[str, ...]] = []
    is_json = [field.target_type == "json" for field in mapping.fields]
    for target in mapping.columns:
        segments = jsonpath.compile(target).segments or ()
        if not segments or not all(isinstance(part, str) for part in segments):
            raise InvalidError(f"{name}: the target {target} is no member, such as customer.name.")
        paths.append(tuple(str(part) for part in segments))
    for path in paths:
        inside = [other for other in paths if other != path and other[: len(path)] == path]
        if inside:
            raise InvalidError(
                f"{name}: the target {'.'.join(path)} is a value, and {'.'.join(inside[0])} lies in it."
            )

    def nest(row: Sequence[Any]) -> dict[str, Any]:
        from edgekit.mapping import ABSENT

        document: dict[str, Any] = {}
        for path, value, decodes in zip(paths, row, is_json, strict=True):
            if value is ABSENT:
                continue
            place = document
            for part in path[:-1]:
                place = place.setdefault(part, {})
            place[path[-1]] = codec.loads(value) if decodes and isinstance(value, str) else value
        return document

    return nest
