"""The generated SQL that writes the audit log and guards the file against tools that skip its pragmas.

`audit_*` triggers run for everybody. `direct_*` triggers run for writers outside a change only: the `sqlite3`
shell and its kin leave `foreign_keys` and `recursive_triggers` off, so references and cascades are enforced
here, and a REPLACE, which deletes unseen, is made a DELETE before it comes to that.

The schema is parsed each time a file is opened and a prepared statement carries its triggers along, so every
token is paid for. What tables share is in `audit_direct` (see `schema/00_core.sql`).

Facts about SQLite 3.40 this rests on, each held by a test:
- the order of two AFTER triggers is undefined, so the touch of `updated_at` is a part of the audit trigger;
- the conflict clause of the outer statement is inherited, so nothing that logs may violate a constraint; and
  a constraint violated on purpose tells a REPLACE from all else;
- of the BEFORE triggers the youngest fires first, so those written by hand are made anew after these here:
  they must still find the row that a REPLACE is about to delete;
- `changes()` in a trigger counts what the statement before it in the same trigger wrote;
- NEW.id is -1 in BEFORE INSERT until it is known, so that no row may have that id;
- `UPDATE t SET rowid = …` is not an `UPDATE OF id`: every alias has to be named.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from edgekit.audit.guards import (
    IN_SHORT,
    IS_DIRECT,
    NEWEST,
    check_parents,
    check_time,
    conflict,
    first_of,
    follow_key,
    leave_children,
    open_direct,
    refuse,
    replace_first,
    stays_away_from,
)
from edgekit.audit.images import any_of, differences, image, is_plain
from edgekit.audit.retired import given_values, retired_triggers, value_tables
from edgekit.audit.shape import all_references, name_sql, ordinary_tables, read_table, text_sql
from edgekit.audit.typed import typed_triggers
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from edgekit.audit.shape import Reference, Table

APPEND_ONLY = (
    "approval",
    "integration_transformation_run",
    "consultation_analytics",
    "integration_log",
    "metric_sample",
    "moderation_action",
    "schema_migration",
    "validation_message",
    "vault_use_log",
    "webhook_receipt",
)
"""Tables that are only ever added to: they are logs themselves, so they are guarded and not audited."""

PRUNED = {"integration_log": "created_at", "metric_sample": "sampled_at", "webhook_receipt": "received_at"}
"""Those of them whose old rows a prune takes out, and the column that says how old they are."""

EDITED = (
    "alert_rule",
    "client",
    "client_app_override",
    "client_billing_info",
    "client_customization",
    "client_deployment",
    "communication_type_channel",
    "component_registry",
    "configuration_type",
    "consultation_session",
    "dashboard",
    "deployment_template",
    "entity_type",
    "entity_type_feature",
    "event_subscription",
    "feature_dependency",
    "feature_license",
    "handover_package",
    "handover_package_configuration",
    "handover_package_document",
    "handover_package_module",
    "integration",
    "integration_mapping",
    "integration_mapping_test",
    "integration_pipeline_definition",
    "integration_schedule",
    "integration_schedule_recipient",
    "integration_schedule_time",
    "integration_template",
    "integration_template_instance",
    "integration_template_operation",
    "integration_template_prerequisite",
    "integration_transformation",
    "integration_type",
    "license_file",
    "license_tier_feature",
    "map_integration_configuration",
    "marketplace_module",
    "model_registry",
    "module_installation",
    "module_license",
    "module_payment",
    "module_review",
    "module_submission",
    "module_validation",
    "organization",
    "program",
    "publishing_pipeline",
    "questionnaire_submission",
    "consultation_generation",
    "sla_target",
    "sync_peer",
    "system",
    "tracked_table",
    "user",
    "vendor_key",
    "workflow_template",
)
"""Tables whose rows are set up and changed by hand, one at a time, as those of the reference tables are: what
an update changed is written there in the form that is the shortest, not the fastest."""

LAST_OWN_ID = 999
"""Ids of `audit_table` up to here are for the tables of the schema; a user's own tables come after."""

_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_TXN = f"(SELECT id {NEWEST})"  # max(id) costs twice as much
# What the prune record of this very change says, if the change is open and has one.
_PRUNED_BEFORE = (
    "(SELECT note ->> '$.before' FROM audit_seal WHERE kind = 'prune'"
    " AND id = (SELECT max(id) FROM audit_seal) AND txn_id ="
    " (SELECT id FROM audit_transaction WHERE open_gate IS NOT NULL"
    " AND id = (SELECT max(id) FROM audit_transaction)))"
)
_SUFFIXES = ("direct_insert", "direct_update", "kept")
_LOG = "INSERT INTO audit_log"


def audited_tables(connection: sqlite3.Connection) -> list[str]:
    """List the tables the log is kept for, in the order of their making.

    These are all but the log's own and the append-only ones, so the connection must hold only tables of ours,
    as a file fresh from `schema/` does.
    """
    return [
        name
        for name in ordinary_tables(connection)
        if not name.startswith("audit_") and name not in APPEND_ONLY
    ]


def schema_sql(connection: sqlite3.Connection, previous_sql: str = "") -> str:
    """Generate the text of `schema/99_audit.sql` for the tables of a fresh file.

    Ids found in `previous_sql` stay, also those of tables that are gone, because logs refer to them; new
    tables get the next ones. Raise InvalidError when the ids up to 999 are used up.
    """
    ids = {name: int(number) for number, name in _ID_LINE.findall(previous_sql)}
    tables = audited_tables(connection)
    for table in tables:
        if table not in ids:
            ids[table] = max(ids.values(), default=0) + 1
    if max(ids.values(), default=0) > LAST_OWN_ID:
        raise InvalidError(
            f"There are more than {LAST_OWN_ID} audited tables.", hint="Raise audit.LAST_OWN_ID."
        )
    references = all_references(connection)
    values = value_tables(connection)
    names = [
        f"INSERT OR IGNORE INTO audit_table(id, name) VALUES ({number}, {text_sql(name)});"
        for name, number in sorted(ids.items(), key=lambda item: item[1])
    ]
    typed = typed_triggers(connection, ids)
    triggers = []
    for name in ordinary_tables(connection):
        if name in ids or name in APPEND_ONLY:
            triggers += _own_triggers(connection, name, ids.get(name), references, values)
    triggers += [sql for name in tables for sql in retired_triggers(name, references, values)]
    triggers += typed
    triggers += _by_hand(connection, tables)
    return "\n".join([_HEAD, *names, "", *(sql + ";\n" for sql in triggers)])


def _by_hand(connection: sqlite3.Connection, tables: list[str]) -> list[str]:
    """Make the triggers written by hand anew, so that they are the youngest and fire first."""
    rows = connection.execute(
        "SELECT name, tbl_name, sql FROM main.sqlite_schema"
        " WHERE type = 'trigger' AND sql GLOB '* BEFORE [IU]*' ORDER BY rowid"
    )
    return [
        f"DROP TRIGGER {name_sql(name)};\n{sql}"
        for name, table, sql in rows
        if table in tables and name not in {f"{table}_{suffix}" for suffix in _SUFFIXES}
    ]


def table_triggers(connection: sqlite3.Connection, table: str, table_id: int) -> list[str]:
    """Generate the CREATE TRIGGER statements of one table, without a closing semicolon.

    Read its columns, unique indexes and foreign keys, those of its children too, from the connection: make
    the tables first. Raise NotFoundError without the table, InvalidError if it has no INTEGER PRIMARY KEY. A
    table of `APPEND_ONLY` gets its guards and no audit.
    """
    if table_id > LAST_OWN_ID:
        return _triggers(read_table(connection, table), table_id)
    references = all_references(connection)
    return _own_triggers(connection, table, table_id, references, value_tables(connection))


def _own_triggers(
    connection: sqlite3.Connection,
    name: str,
    table_id: int | None,
    references: list[Reference],
    values: set[str],
) -> list[str]:
    """Write the triggers of one table of the schema, which holds rows to what is not retired."""
    table = read_table(connection, name, references=references)
    is_edited = name in values or name in EDITED
    made = _triggers(table, table_id, given_values(name, references, values), is_edited)
    return [sql.replace(NEWEST, IN_SHORT) for sql in made] if is_edited else made


def fingerprint(connection: sqlite3.Connection) -> str:
    """Hash every trigger of the file, so that a dropped or changed one shows. Return 64 hex digits."""
    rows = connection.execute("SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' ORDER BY name")
    return hashlib.sha256("".join(f"{name}\n{sql}\n\n" for name, sql in rows).encode()).hexdigest()


_ID_LINE = re.compile(
    r"^INSERT OR IGNORE INTO audit_table\(id, name\) VALUES \((\d+), '([^']+)'\);$", re.MULTILINE
)
_HEAD = """\
-- Audit: generated by edgekit.audit.schema_sql from the tables of the files before this one; never edit it.
--
-- audit_* triggers write the log for everybody. direct_* ones enforce references and cascades, and make a
-- DELETE of what a REPLACE would delete unseen, for tools that leave foreign_keys and recursive_triggers off;
-- they step aside while a change of ours is open. Triggers written by hand are made anew at the end: the
-- youngest fires first, and they must see a row before it is replaced.
"""


def _triggers(table: Table, table_id: int | None, inserted: str = "", is_edited: bool = False) -> list[str]:
    """Write the triggers of one table; `inserted` is what a new row is held to besides, once it is there."""
    if table.name in APPEND_ONLY:
        return _append_only(table)
    assert table_id is not None
    made = [*_insert_triggers(table, table_id, inserted), _kept_trigger(table)]
    if table.columns:
        made += _update_triggers(table, table_id, is_edited and is_plain(table))
    return [*made, *_delete_triggers(table, table_id)]


def _trigger(table: Table, suffix: str, event: str, body: Iterable[str], when: str = "") -> str:
    name = name_sql(f"{table.name}_{suffix}")
    condition = f" WHEN {when}" if when else ""
    return f"CREATE TRIGGER {name} {event} ON {name_sql(table.name)}{condition} BEGIN{''.join(body)}\nEND"


def _insert_triggers(table: Table, table_id: int, inserted: str) -> list[str]:
    this = f"NEW.{name_sql(table.key)}"
    # A row may be its own parent: only after the insert can one look it up.
    others = [r for r in table.references if r.parent != table.name]
    own = [r for r in table.references if r.parent == table.name]
    body = [open_direct(table), first_of(check_parents(table, others)), replace_first(table, table_id)]
    entry = [f"\n  {_LOG} VALUES (NULL, {_TXN}, {table_id}, {this}, 'I', NULL);", inserted]
    made = [
        _trigger(table, "direct_insert", "BEFORE INSERT", body, IS_DIRECT),
        _trigger(table, "audit_insert", "AFTER INSERT", entry),
    ]
    if own:
        some = " OR ".join(f"NEW.{name_sql(r.columns[0])} NOT NULL" for r in own)
        asked = first_of(check_parents(table, own))
        made.append(_trigger(table, "direct_inserted", "AFTER INSERT", [asked], f"({some}) AND {IS_DIRECT}"))
    return made


def _kept_trigger(table: Table) -> str:
    taken = {c.name.lower() for c in table.columns} | {g.lower() for g in table.generated}
    names = [table.key, *(a for a in ("rowid", "oid", "_rowid_") if a not in {*taken, table.key.lower()})]
    sentences = {
        table.key: "An id never changes.",
        "created_at": "The time of creation never changes.",
        "created_by": "Who made a row never changes.",
    }
    kept = [table.key, *table.kept]
    changed = [f"NEW.{name_sql(c)} IS NOT OLD.{name_sql(c)}" for c in kept]
    refusals = [refuse(table.name, c, "immutable", sentences[c]) for c in kept]
    cases = [f"WHEN {c} THEN {refusal}" for c, refusal in zip(changed, refusals, strict=True)]
    return _trigger(
        table,
        "kept",
        f"BEFORE UPDATE OF {', '.join(name_sql(n) for n in (*names, *table.kept))}",
        [first_of(cases)],
    )


def _update_triggers(table: Table, table_id: int, is_edited: bool) -> list[str]:
    body = [
        open_direct(table, updated=True),
        first_of(check_parents(table, table.references, updated=True)),
        replace_first(table, table_id, updated=True),
    ]
    made = [
        _edited_update(table, table_id) if is_edited else _audit_update(table, table_id),
        _trigger(table, "direct_update", "BEFORE UPDATE", body, IS_DIRECT),
    ]
    if by_value := [r for r in table.children if r.parent_columns != (table.key,)]:
        columns = dict.fromkeys(name_sql(c) for r in by_value for c in r.parent_columns)
        followed = [follow_key(table, r) for r in by_value]
        event = f"AFTER UPDATE OF {', '.join(columns)}"
        made.append(_trigger(table, "direct_rekeyed", event, followed, IS_DIRECT))
    return made


def _audit_update(table: Table, table_id: int) -> str:
    this = f"NEW.{name_sql(table.key)}"
    rows = [(c, f"NEW.{name_sql(c.name)}") for c in table.columns if c.name not in table.kept]
    when, some, touch = "", "", ""
    if table.has_touch:
        same = "NEW.updated_at IS OLD.updated_at"
        rows = [(c, f"iif({same}, {_NOW}, {new})" if c.name == "updated_at" else new) for c, new in rows]
        # The touch below comes back here: the last entry says already what it does.
        newest = f"SELECT touched_at FROM audit_newest WHERE of_table = {table_id} AND of_key = {this}"
        when = f"{same}\n  OR ({newest}) IS NOT NEW.updated_at"
        some = f"max(name <> 'updated_at') >= ({same})"
        touch = f"""
  UPDATE {name_sql(table.name)} SET updated_at = {_NOW}
    WHERE {name_sql(table.key)} = {this} AND {same} AND changes();"""
    # The log takes no entry of '{}'. INSERT ... SELECT would go through a temporary table, for that trigger.
    entry = f"""
  {_LOG} VALUES (NULL, {_TXN}, {table_id}, {this}, 'U', (
    {differences(rows, some)}));"""
    return _trigger(table, "audit_update", "AFTER UPDATE", [entry, touch], when)


def _edited_update(table: Table, table_id: int) -> str:
    """Write what changed through `audit_change`, which is short and slow."""
    this = f"NEW.{name_sql(table.key)}"
    changing = [c for c in table.columns if c.name not in (*table.kept, "updated_at")]
    old = ", ".join(f"OLD.{name_sql(c.name)}" for c in changing)
    # What json_set() and its kin return is marked as JSON, and would be logged as such; joined it is text.
    bare = {True: "||''", False: ""}
    new = ", ".join(f"NEW.{name_sql(c.name)}{bare[c.is_json]}" for c in changing)
    columns = text_sql(json.dumps([c.name for c in changing], separators=(",", ":")))
    entry = f"""
  INSERT INTO audit_change VALUES ({table_id}, {this}, {columns}, json_array({old}), json_array({new}),
    OLD.updated_at, NEW.updated_at);"""
    touch = f"""
  UPDATE {name_sql(table.name)} SET updated_at = touched_at FROM audit_newest
    WHERE {name_sql(table.key)} = {this} AND of_table = {table_id} AND of_key = {this}
      AND touched_at <> updated_at;"""
    return _trigger(table, "audit_update", "AFTER UPDATE", [entry, touch])


def _delete_triggers(table: Table, table_id: int) -> list[str]:
    this = f"OLD.{name_sql(table.key)}"
    entry = f"\n  {_LOG} VALUES (NULL, {_TXN}, {table_id}, {this}, 'D',\n    {image(table, 'OLD')});"
    left = leave_children(table)
    when = IS_DIRECT
    if left and all(r.parent_columns == (table.key,) for r in table.children):
        when += f" AND {stays_away_from(table.key, table_id)}"
    opened = "\n  INSERT INTO audit_direct(status_id) VALUES (NULL);"
    return [
        _trigger(table, "direct_delete", "BEFORE DELETE", [opened, *left], when),
        _trigger(table, "audit_delete", "AFTER DELETE", [entry]),
    ]


def _append_only(table: Table) -> list[str]:
    """Refuse every change of a row once written, a REPLACE too; what a prune record covers may go."""
    own, this = name_sql(table.name), name_sql(table.key)
    refusal = refuse(table.name, "*", "append_only", f"Rows of {table.name} are only ever added.")
    body = [f"\n  SELECT {refusal};"]
    taken = any_of([f"{this} = NEW.{this}", *(conflict(table, key) for key in table.unique)], " OR ")
    asked = first_of([*check_time(table), *check_parents(table, table.references, standard=True)])
    pruned = f"(OLD.{PRUNED[table.name]} < {_PRUNED_BEFORE}) IS NOT 1" if table.name in PRUNED else ""
    return [
        _trigger(table, "direct_insert", "BEFORE INSERT", [asked], IS_DIRECT),
        _trigger(table, "kept_insert", "BEFORE INSERT", body, f"EXISTS (SELECT 1 FROM {own} WHERE {taken})"),
        _trigger(table, "kept_update", "BEFORE UPDATE", body),
        _trigger(table, "kept_delete", "BEFORE DELETE", body, pruned),
    ]
