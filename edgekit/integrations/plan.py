"""What a run will do, checked before anything is written: connector, settings, mapping, pipeline, target."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgekit import bulk, codec, connectors, db, licensing
from edgekit.errors import DeniedError, InvalidError, NotFoundError
from edgekit.integrations import (
    approved_pipelines,
    earlier,
    figures,
    given,
    instances,
    live,
    outbound,
    reading,
)
from edgekit.integrations.credentials import Secrets
from edgekit.integrations.keeping import Keep, read_keep
from edgekit.integrations.policies import Policy, read_policy
from edgekit.integrations.steps import Step, read_steps
from edgekit.mapping import CompiledMapping, FieldMapping, compile_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_BATCH = 1000

_BOOKS = {
    "approval",
    "circuit_breaker",
    "client_summary",
    "dead_letter",
    "encryption_key",
    "integration_checkpoint",
    "integration_credential",
    "integration_delivery",
    "integration_execution",
    "integration_execution_communication",
    "integration_execution_input",
    "integration_log",
    "integration_schedule_execution",
    "integration_transformation_run",
    "rate_limit_window",
    "schema_migration",
    "system",
    "tracked_table",
    "validation_message",
    "vault_use_log",
    "webhook_receipt",
}
"""Tables the file keeps for itself, beside those of the audit."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The rows that drive a source: a table's (with columns and filter), or a file's."""

    table: str | None = None
    columns: tuple[str, ...] = ()
    filter: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None
    key: str = "id"
    changed: bool = False
    """Only what was added or changed since it was sent last."""
    rows: tuple[tuple[str, Mapping[str, Any]], ...] | None = None
    """The rows themselves, each with its place, as the events of a subscription are."""


@dataclass(slots=True)
class Plan:
    """One run of an integration, ready to go."""

    integration_id: int
    name: str
    organization_id: int | None
    pipeline_id: int | None
    connector: connectors.Connector
    config: dict[str, Any]
    inputs: Inputs | None
    table: str
    key: tuple[str, ...]
    create: bool
    ignore: tuple[str, ...]
    fields: list[FieldMapping]
    strategy: str
    policy: Policy
    steps: tuple[Step, ...]
    secrets: Mapping[str, str]
    exchange: Mapping[str, Any] = field(default_factory=dict)
    """Time-out and retries as they count here; they say nothing of what is read."""
    keep: Keep | None = None
    """How what is read is kept, if it is."""
    cache_hours: float | None = None
    """How long what was answered for a row is used again."""
    mapping: CompiledMapping | None = None
    learns_only: bool = False
    """Whether a first run only learns the mapping: in production it is approved before it writes."""
    to: outbound.Way | None = None
    """Where records leave to; None where they go into the table."""

    @property
    def fingerprint(self) -> str:
        """Identify the source: a checkpoint of another one is of no use."""
        steady = {
            key: value
            for key, value in self.config.items()
            if key not in {"batch_size", "page_size", "timeout_seconds", "silence_seconds"}
        }
        if hasattr(self.connector, "driven_by"):
            steady = {}  # what was received is the same however it is checked and read
        inputs = [self.inputs.table, self.inputs.path] if self.inputs else []
        way = [self.to.identity] if self.to is not None else []
        said = codec.canonical([self.connector.name, steady, inputs, *way])
        return hashlib.sha256(said.encode()).hexdigest()


def prepare(
    name: str,
    *,
    input: str | None = None,  # noqa: A002
    records: Mapping[str, Mapping[str, Any]] | None = None,
    overrides: Mapping[str, Any] | None = None,
    trial: bool = False,
) -> Plan:
    """Read an integration and check that it can run.

    `input` is a file that takes the place of the file the source reads, or of the rows that drive it;
    `records`, by their places, take the place of what is read, or of those rows.
    `overrides` are settings for this run only. A `trial`, which keeps nothing, takes the mappings as they
    stand; else those that are live take part. Raise NotFoundError or InvalidError naming the setting, table
    or column, DeniedError where none is live, LicenseError where the service it talks to requires a feature
    the licence blocks.
    """
    row = reading.find(name)
    if row["entity_id"] is not None:
        licensing.require_entity(row["entity_id"])
    plan = _prepare(row, None, input, overrides, trial=trial, records=records)
    plan.learns_only = not trial and not plan.fields and live.environment() == live.PRODUCTION
    return plan


def prepare_earlier(
    name: str,
    *,
    mapping_version: int | None = None,
    execution_id: int | None = None,
    trial: bool = False,
) -> Plan:
    """Read an integration with the mappings of a version, or with mappings and pipeline of a past run.

    Settings are those of now. Without a `trial`, production writes by live mappings only: raise DeniedError
    there, NotFoundError for a version or run there never was, and as `prepare`.
    """
    row = reading.find(name)
    if mapping_version is None and execution_id is None:
        return prepare(name, trial=trial)
    if not trial and live.environment() == live.PRODUCTION:
        raise DeniedError(
            f"In production records of {name} are written by its live mappings only, not by earlier ones.",
            hint="Look first, without writing: edgekit executions replay ID --mapping-version N --diff",
        )
    if row["entity_id"] is not None:
        licensing.require_entity(row["entity_id"])
    if mapping_version is not None:
        rows = earlier.mapping_rows(row["id"], name, mapping_version)
        return _prepare(row, None, None, None, trial=trial, fields=live.fields_of(rows, every=_sends(row)))
    run = db.query(
        "SELECT pipeline_id, started_at FROM integration_execution WHERE id = ? AND integration_id = ?",
        (execution_id, row["id"]),
    )
    if not run:
        raise NotFoundError(f"{name} has no execution {execution_id}.", hint="See: edgekit executions list")
    rows = earlier.mapping_rows_of_run(row["id"], run[0]["started_at"])
    taken = earlier.pipeline_of_run(row["id"], run[0]["pipeline_id"], run[0]["started_at"])
    return _prepare(
        row, None, None, None, trial=trial, fields=live.fields_of(rows, every=_sends(row)), pipeline=taken
    )


def _sends(row: Mapping[str, Any]) -> bool:
    return "to" in row["connection_config"]


def check_pipeline(name: str, pipeline: dict[str, Any]) -> Plan:
    """Read an integration as if a pipeline were its own, checking each step. Raise as `prepare` does."""
    return _prepare(reading.find(name), None, None, None, trial=True, pipeline=pipeline)


def prepare_pipeline(pipeline_id: int) -> Plan:
    """Read an integration with one of its pipelines, be it the active one or not, as `prepare` does.

    Raise NotFoundError where there is no such pipeline, or its integration is retired.
    """
    return _prepare(reading.find_by_pipeline(pipeline_id), pipeline_id, None, None, trial=True)


def _prepare(
    row: dict[str, Any],
    pipeline_id: int | None,
    input: str | None,  # noqa: A002
    overrides: Mapping[str, Any] | None,
    *,
    trial: bool,
    records: Mapping[str, Mapping[str, Any]] | None = None,
    fields: list[FieldMapping] | None = None,
    pipeline: dict[str, Any] | None = None,
) -> Plan:
    settings: dict[str, Any] = {**row["connection_config"], **(overrides or {})}
    connector = connectors.get(str(settings.get("connector", "")))
    read = _source(row, settings, connector, input)
    connector, config, inputs = given.put_in(row, settings, connector, *read, records)
    if pipeline is None:
        pipeline = reading.pipeline_of(row["id"], pipeline_id)
    way = outbound.read_way(row["integration_name"], settings)
    approved: approved_pipelines.Steps | None = None
    if fields is None:
        fields, approved = _parts(row, trial=trial, every=way is not None)
    if approved is not None:
        pipeline = approved.put_into(pipeline)
    if "batch_size" in connector.config_schema.get("properties", {}):
        config.setdefault(
            "batch_size", pipeline["performance"].get("batch_size", way.batch_size if way else DEFAULT_BATCH)
        )
    exchange = _exchange(row, connector, config)
    steps = read_steps(row["integration_name"], pipeline)
    plan = Plan(
        integration_id=row["id"],
        name=row["integration_name"],
        organization_id=row["organization_id"],
        pipeline_id=pipeline["id"],
        connector=connector,
        config=config,
        inputs=inputs,
        table="" if way else _required(settings, "table", row["integration_name"]),
        key=tuple(_names(settings.get("key"))),
        create=settings.get("create") is True,
        ignore=tuple(_names(settings.get("ignore"))),
        fields=fields,
        strategy=pipeline["error_handling_strategy"],
        policy=read_policy(pipeline),
        steps=steps if approved is None else approved_pipelines.as_they_were(steps, approved.at),
        secrets=Secrets(row["id"], row["integration_name"]),
        exchange=exchange,
        cache_hours=figures.cache_hours(row) if given.is_asked(connector, inputs) else None,
        keep=read_keep(settings),
        to=way,
    )
    if way is not None:
        if not trial and not plan.fields and live.environment() == live.PRODUCTION:
            raise live.sends_unmapped(plan.name)
        known = way.connector.write_schema.get("properties", {}) if way.connector else {}
        way.exchange = figures.exchange_settings(row, way.config, known)
        plan.mapping = outbound.compile_way(plan.name, way, plan.fields)
    elif plan.fields and not (plan.create and _is_missing(plan.table)):  # else made in the first run
        finish(plan)
    return plan


def _exchange(
    row: Mapping[str, Any], connector: connectors.Connector, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return time-out and retries as they count. Raise InvalidError for settings that are none."""
    connectors.check_config(connector, config)
    found = figures.exchange_settings(row, config, connector.config_schema.get("properties", {}))
    connectors.check_config(connector, {**config, **found})
    return found


def _source(
    row: Mapping[str, Any],
    settings: Mapping[str, Any],
    connector: connectors.Connector,
    input: str | None,  # noqa: A002
) -> tuple[dict[str, Any], Inputs | None]:
    """Read the settings of a source and the rows that drive it, `input` in the place of what it reads."""
    name, config = row["integration_name"], instances.connector_config(settings)
    outbound.refuse_own_file(connector, config)
    inputs = _inputs(settings.get("inputs"), own=connector.name == "table")
    waiting: Mapping[str, Any] | None = getattr(connector, "driven_by", None)
    if waiting is not None:
        if input is not None or inputs is not None:
            raise InvalidError(f"{name} reads what it was sent: it takes no input.")
        return config, Inputs(waiting["table"], tuple(waiting["columns"]), {waiting["by"]: row["id"]})
    if inputs is not None and inputs.changed and "to" not in settings:
        raise InvalidError("inputs: changed is for records that are sent; give to, or leave it out.")
    if connector.name == "table" and inputs is not None:
        config["row_key"] = inputs.key
    if input is None:
        return config, inputs
    if connector.name == "file" or (inputs is None and "path" in config and "base_url" not in config):
        return {**config, "path": input}, inputs
    if inputs is None or connector.name == "table":
        raise InvalidError(f"{name} reads no file and is not driven by rows: --input has no use.")
    return config, Inputs(columns=inputs.columns, path=input)


def finish(plan: Plan) -> CompiledMapping:
    """Compile the mapping of a plan and check it against the target table, which must exist by now."""
    connection = db.connection()
    have = bulk.table_columns(connection, plan.table)
    plan.table = _stored_name(plan.table)
    if plan.table.lower().startswith(("audit_", "sqlite_")) or plan.table.lower() in _BOOKS:
        raise InvalidError(f"{plan.table} keeps the file's own books; records cannot be written into it.")
    mapping = compile_mapping(plan.fields)
    lower = {name.lower() for name in have}
    for column in mapping.columns:
        if column.lower() not in lower:
            raise InvalidError(
                f"{plan.name}: the table {plan.table} has no column {column}.",
                hint=f"Its columns are: {', '.join(have)}.",
            )
    plan.key = bulk.resolve_key(connection, plan.table, plan.key, mapping.columns)
    missing = [name for name in plan.key if name not in mapping.columns and name != "organization_id"]
    if missing:
        raise InvalidError(
            f"{plan.name}: nothing is mapped to {missing[0]}, which identifies a record of {plan.table}.",
            hint=live.say_waiting(plan.integration_id, plan.name),
        )
    plan.mapping = mapping
    return mapping


def _is_missing(table: str) -> bool:
    sql = "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE"
    return not db.query(sql, (table,))


def _stored_name(table: str) -> str:
    """Return a table's name as the file spells it."""
    sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE"
    return str(db.query(sql, (table,))[0]["name"])


def _required(settings: Mapping[str, Any], key: str, name: str) -> str:
    value = settings.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InvalidError(f"{name} has no {key} to write to.", hint=f"Give it when creating: --set {key}=…")
    return value.strip()


def _names(value: Any) -> list[str]:
    """Read a comma list of names, or a list."""
    if value is None:
        return []
    if not isinstance(value, str | list):
        raise InvalidError(f"{value!r} is no list of names.", hint='Write it like a,b or ["a", "b"].')
    parts = value.split(",") if isinstance(value, str) else value
    return [str(part).strip() for part in parts if str(part).strip()]


def _inputs(value: Any, *, own: bool = False) -> Inputs | None:
    """Read what drives a source; `own` where its rows are the records: of a view, too, and by any key."""
    if value is None:
        return None
    if isinstance(value, str):
        return Inputs(path=value)
    if not isinstance(value, dict) or not (value.get("table") or value.get("path")):
        raise InvalidError(
            'inputs names a table with columns, or a file: {"table": …, "columns": […], "filter": {…}}.'
        )
    table, columns = value.get("table"), tuple(_names(value.get("columns")))
    wanted = value.get("filter") or {}
    if not isinstance(wanted, dict):
        raise InvalidError('inputs: filter is an object: {"column": value}.')
    key, changed = str(value.get("key") or "id"), value.get("changed", False)
    if not isinstance(changed, bool):
        raise InvalidError("inputs: changed is true or false.")
    if key != "id" and not own:
        raise InvalidError("inputs: key is for the connector table; rows that drive a source have their id.")
    if table:
        have = outbound.columns_of(table) if own else bulk.table_columns(db.connection(), table)
        for column in (*columns, *wanted, key):
            if column not in have:
                raise InvalidError(f"inputs: the table {table} has no column {column}.")
    return Inputs(table, columns, wanted, value.get("path"), key, changed)


def _parts(
    row: dict[str, Any], *, trial: bool, every: bool
) -> tuple[list[FieldMapping], approved_pipelines.Steps | None]:
    """Return the mappings that take part, those that are live or all of a trial; and the approved steps."""
    if trial:
        return read_fields(row["id"], every=every), None
    return live.live_parts(row["id"], row["integration_name"], every=every)


def read_fields(integration_id: int, *, every: bool = False) -> list[FieldMapping]:
    """Return the active mappings of an integration, those that only go outward if `every` one is wanted."""
    rows = db.query(
        "SELECT * FROM integration_mapping WHERE integration_id = ? AND status_id = 1 ORDER BY id",
        (integration_id,),
    )
    return live.fields_of(rows, every=every)
