"""Suggesting mappings: a sample of the source beside the columns of a table."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgekit import bulk, connectors, db, dictionary, masking
from edgekit.errors import InvalidError
from edgekit.integrations import mappings, reading
from edgekit.mapping import words
from edgekit.mapping.suggest import Column, Suggestions
from edgekit.mapping.suggest import suggest as propose
from edgekit.rows import read_shape
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

THRESHOLD = 0.75
"""The least confidence with which a proposal is applied if nobody says otherwise."""

_OWN = {"id", "organization_id", "status_id", "created_by", "updated_by", "created_at", "updated_at"}
_KINDS = {"real": "number", "time": "datetime"}
_MATCHED = ("code", "customer_number", "policy_number", "quote_number", "vin", "username", "name")
_MOST_CODES, _SAMPLE = 5000, 500


def suggest_mappings(
    name: str | None = None, *, sample: str | None = None, table: str | None = None,
    settings: Mapping[str, Any] | None = None, ask: bool = False,
) -> Suggestions:  # fmt: skip
    """Propose mappings for an integration, or for a file and a table without one.

    `sample` is a file of any format the file connector reads, `settings` say how (`format`, `records` …);
    `ask` reads the first page of the integration's source instead. What is mapped already is left out. Raise
    NotFoundError, InvalidError without a sample, UnavailableError.
    """
    row = None if name is None else reading.find(name)
    config = {} if row is None else row["connection_config"]
    target = table or config.get("table")
    if not target:
        raise InvalidError(
            "Say which table the records go to.", hint="edgekit mappings suggest … --table TABLE"
        )
    if sample is not None:
        records = read_sample(sample, settings)
    elif ask and name is not None:
        records = ask_source(name)
    else:
        raise InvalidError(
            "Give a file to look at, or ask the source for its first page.",
            hint="--sample FILE, or the name of an integration with --ask.",
        )
    if not records:
        raise InvalidError(
            "The sample has no record that is an object.", hint="--set records=PATH says where they are."
        )
    there = [] if row is None else mappings.list_mappings(str(name))
    taken = {one["target_path"].removeprefix("$.") for one in there}
    columns = [column for column in _columns(target) if column.name not in taken]
    found = propose(records, columns, table=target, used=[one["source_path"] for one in there])
    return replace(
        found,
        proposals=tuple(
            replace(p, example=_masked(p.source_path, p.example, p.target_path)) for p in found.proposals
        ),
        unmatched_sources=tuple(
            {**one, "example": _masked(one["source_path"], one["example"])} for one in found.unmatched_sources
        ),
    )


def apply_suggestions(name: str, found: Suggestions, *, threshold: float = THRESHOLD) -> list[dict[str, Any]]:
    """Write what is proposed with at least that confidence, in one change; return the mappings there are.

    Raise NotFoundError, ConflictError where a target was mapped meanwhile.
    """
    integration = reading.find(name)
    items = [one.mapping() for one in found.proposals if one.confidence >= threshold]
    if items:
        with db.change(reason=f"mappings suggest {name}"):
            mappings.write_mappings(integration, items, reason="new_integration")
    return mappings.list_mappings(name)


def read_sample(path: str, settings: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the first records of a file. Raise NotFoundError, InvalidError."""
    connector = connectors.get("file")
    config = {"batch_size": _SAMPLE, **(settings or {}), "path": path}
    connectors.check_config(connector, config)
    with closing(connector.read(config, state={}, inputs=None, secrets={})) as pages:
        return _objects(next(iter(pages)).records)


def ask_source(name: str) -> list[dict[str, Any]]:
    """Return the records of the first page of an integration's source; nothing is kept of it.

    Raise NotFoundError, InvalidError where rows drive the source, UnavailableError.
    """
    from edgekit.integrations.plan import prepare

    plan = prepare(name, trial=True)
    if plan.inputs is not None:
        raise InvalidError(
            f"Rows drive the source of {name}: asking it needs some.",
            hint="Give an answer of it: --sample FILE",
        )
    config = {**plan.config, **plan.exchange}
    with closing(plan.connector.read(config, state={}, inputs=None, secrets=plan.secrets)) as pages:
        return _objects(next(iter(pages)).records)


def _objects(records: Sequence[Any]) -> list[dict[str, Any]]:
    return [record for record in records[:_SAMPLE] if isinstance(record, dict)]


def _columns(table: str) -> list[Column]:
    connection = db.connection()
    bulk.table_columns(connection, table)  # which says what comes close
    known = {column.name: column for column in dictionary.read(connection, table).columns}
    found = []
    for column in read_shape(connection, table).columns.values():
        if column.name in _OWN or column.is_secret:
            continue
        about = known[column.name]
        found.append(
            Column(
                column.name, _kind(column.name, column.kind, about.meaning),
                is_required=column.required and not column.has_default, references=column.parent,
                codes=_codes(column.parent) if column.parent else {}, choices=frozenset(about.values),
            )
        )  # fmt: skip
    return found


def _kind(name: str, kind: str, meaning: str) -> str:
    if kind == "integer" and ("minor units" in meaning or name.endswith(("_amount", "_cents"))):
        return "money"
    return _KINDS.get(kind, kind)


def _codes(table: str) -> dict[str, frozenset[str]]:
    """Return the values rows of a table are known by, by column."""
    there = bulk.table_columns(db.connection(), table)
    found = {}
    for match in (name for name in _MATCHED if name in there):
        rows = db.query(f"SELECT {quote_name(match)} AS value FROM {quote_name(table)} LIMIT {_MOST_CODES}")
        found[match] = frozenset(str(row["value"]) for row in rows)
    return found


def _masked(path: str, example: Any, column: str | None = None) -> Any:
    """Show of a value only what may stand in a list: what is secret or tells of a person is masked.

    It is known by its name, in any language that is understood, or by the column it goes to.
    """
    name = path.rpartition(".")[2].strip("[]'")
    for said in (name, "_".join(words.tokens(name)), column):
        if said and example is not None:
            example = masking.document({said: example})[said]
    return example
