"""What an enrich step adds to a record, and from where, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import db, jsonpath
from edgekit.audit.shape import is_secret
from edgekit.errors import InvalidError, NotFoundError
from edgekit.integrations import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

MISSING = ("fail", "skip", "null")
_LOOKUP = {"table", "view", "match", "columns", "into", "missing"}


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What is looked up, and where it goes in the record.

    `match` pairs a column of the table, or a member of the answer, with the path of what it must equal in the
    record; `send` names what is sent to the integration. `columns` pairs what is taken with the member it
    becomes; without one, all that is there goes `into` a member.
    """

    match: tuple[tuple[str, jsonpath.Path], ...]
    columns: tuple[tuple[str, str], ...]
    into: str | None
    missing: str
    table: str | None = None
    integration: str | None = None
    send: tuple[tuple[str, jsonpath.Path], ...] = ()
    affinities: tuple[str, ...] = ()
    """As what the columns of `match` compare: text, number or none."""

    @property
    def members(self) -> tuple[str, ...]:
        """The members of the record that it writes."""
        return (self.into,) if self.into is not None else tuple(member for _, member in self.columns)


def read_enrichment(step: Mapping[str, Any]) -> Enrichment:
    """Read an enrich step. Raise InvalidError for what it lacks, NotFoundError for an integration unknown."""
    lookup, integration = step.get("lookup"), step.get("integration")
    if (lookup is None) is (integration is None):
        raise InvalidError(
            "an enrich step has either lookup or integration.",
            hint='Such as {"lookup": {"table": "producer", "match": {"code": "$.agent"}, "columns": ["id"]}}',
        )
    if integration is not None:
        return _from_integration(step, integration)
    if misplaced := {"send", "match", "columns", "into", "missing"} & set(step):
        raise InvalidError(f"{min(misplaced)} belongs into lookup.")
    if not isinstance(lookup, dict):
        raise InvalidError('lookup is an object: {"table", "match": {"column": "path"}, "columns"}.')
    if unknown := set(lookup) - _LOOKUP:
        raise InvalidError(f"lookup has no {min(unknown)}.", hint=f"It has: {', '.join(sorted(_LOOKUP))}.")
    return _from_table(lookup)


def _from_integration(step: Mapping[str, Any], integration: Any) -> Enrichment:
    if not isinstance(integration, str):
        raise InvalidError("integration is the name of one.")
    reading.find(integration)
    match = _paths(step.get("match"), "match")
    columns, into = _taken(step)
    return Enrichment(
        match=match,
        columns=columns,
        into=into,
        missing=_missing(step),
        integration=integration,
        send=_paths(step["send"], "send") if "send" in step else match,
    )


def _from_table(lookup: Mapping[str, Any]) -> Enrichment:
    named = [lookup[key] for key in ("table", "view") if key in lookup]
    if len(named) != 1 or not isinstance(named[0], str):
        raise InvalidError("lookup names a table or a view.")
    table = named[0]
    if table.lower().startswith(("audit_", "sqlite_")):
        raise InvalidError(f"{table} keeps the file's own books; nothing is looked up in it.")
    found = db.query("SELECT name, type FROM pragma_table_info(?)", (table,))
    have = {row["name"]: _affinity(row["type"].upper()) for row in found}
    if not have:
        raise NotFoundError(f"there is no table or view {table}.", hint="See: edgekit schema tables")
    match = _paths(lookup.get("match"), "match")
    columns, into = _taken(lookup)
    if not columns:
        columns = tuple((name, name) for name in have if not is_secret(name))
    for column in (*(name for name, _ in match), *(name for name, _ in columns)):
        if column not in have:
            raise InvalidError(
                f"{table} has no column {column}.", hint=f"Its columns are: {', '.join(have)}."
            )
        if is_secret(column):
            raise InvalidError(f"{table}.{column} is sealed; it is not looked up.")
    affinities = tuple(have[column] for column, _ in match)
    missing = _missing(lookup)
    return Enrichment(match, columns, into, missing, table=table, affinities=affinities)


def _affinity(kind: str) -> str:
    """Tell from its declared type as what a column compares, as SQLite does."""
    if "INT" not in kind and any(part in kind for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    return "none" if not kind or kind == "ANY" or "BLOB" in kind else "number"


def _paths(value: Any, what: str) -> tuple[tuple[str, jsonpath.Path], ...]:
    if (
        not isinstance(value, dict)
        or not value
        or not all(isinstance(path, str) and path for path in value.values())
    ):
        raise InvalidError(f'{what} says by what: {{"column": "path in the record"}}.')
    return tuple((name, jsonpath.compile(path)) for name, path in value.items())


def _taken(said: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """Read what is taken and the member it goes into."""
    columns, into = said.get("columns"), said.get("into")
    if into is not None and (not isinstance(into, str) or not into):
        raise InvalidError("into is the name of a member.")
    if columns is None and into is None:
        raise InvalidError("columns says what is added, or into where all of it goes.")
    if columns is None:
        return (), into
    pairs = columns
    if isinstance(columns, list):
        pairs = dict.fromkeys(name if isinstance(name, str) else "" for name in columns)
    if not isinstance(pairs, dict) or not pairs:
        raise InvalidError('columns is a list of names, or {"column": "member of the record"}.')
    taken = tuple((name, name if member is None else member) for name, member in pairs.items())
    if not all(isinstance(part, str) and part for pair in taken for part in pair):
        raise InvalidError('columns is a list of names, or {"column": "member of the record"}.')
    members = [member for _, member in taken]
    if twice := [member for member in members if members.count(member) > 1]:
        raise InvalidError(f"columns gives {twice[0]} twice.")
    return taken, into


def _missing(said: Mapping[str, Any]) -> str:
    missing = said.get("missing", "fail")
    if missing not in MISSING:
        raise InvalidError(f"missing is one of {', '.join(MISSING)}.")
    return str(missing)
