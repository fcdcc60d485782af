"""The generated SQL that writes the audit log and guards the file against tools that skip its pragmas.

`audit_*` triggers run for everybody. `direct_*` triggers run for writers outside a change only: the `sqlite3`
shell and its kin leave `foreign_keys` and `recursive_triggers` off, so references and cascades are enforced
here, and a REPLACE, which deletes unseen, is caught by setting its victims aside in `audit_pending` before
it. Those that are gone after it are deleted there, and a trigger of `audit_pending` logs them: on the
hot path, where nothing is pending, this DELETE is cheaper than another trigger that only looks at the gate.

Facts about SQLite 3.40 this rests on, each held by a test:
- the order of two AFTER triggers is undefined, so the touch of `updated_at` is a part of the audit trigger;
- the conflict clause of the outer statement is inherited, so nothing here may violate a constraint;
- a foreign OR IGNORE leaves its pending row behind, so a change of ours must leave `audit_pending` alone;
- NEW.id is -1 in BEFORE INSERT until it is known;
- a value that came out of a JSON function is still JSON in NEW, so `json_quote` is given `'' || NEW.column`;
- `UPDATE t SET rowid = …` is not an `UPDATE OF id`: every alias has to be named.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from edgekit.audit.guards import (
    IS_DIRECT,
    check_parents,
    conflict,
    follow_key,
    forget,
    leave_children,
    refuse,
    say_checks,
    say_limits,
    set_aside,
    settle,
)
from edgekit.audit.images import ARGUMENTS, any_of, differs, image, value_json
from edgekit.audit.retired import retired_triggers, value_tables
from edgekit.audit.shape import all_references, name_sql, ordinary_tables, read_table, text_sql
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from edgekit.audit.shape import Table

APPEND_ONLY = (
    "approval",
    "integration_transformation_run",
    "consultation_analytics",
    "integration_log",
    "metric_sample",
    "schema_migration",
    "validation_message",
    "vault_use_log",
)
"""Tables that are only ever added to: they are logs themselves, so they are guarded and not audited."""

LAST_OWN_ID = 999
"""Ids of `audit_table` up to here are for the tables of the schema; a user's own tables come after."""

_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_TXN = "(SELECT id FROM audit_transaction ORDER BY id DESC LIMIT 1)"  # max(id) costs twice as much
_LOG = "INSERT INTO audit_log(txn_id, table_id, record_key, action, changes)"
_DIRECT_ROW = f"""
  INSERT INTO audit_transaction(reason, performed_at) SELECT 'direct', {_NOW}
    WHERE NOT EXISTS (SELECT 1 FROM audit_transaction
      WHERE id = {_TXN} AND reason = 'direct' AND actor IS NULL AND performed_at = {_NOW});"""


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
    triggers = [
        sql
        for table in ordinary_tables(connection)
        if table in ids or table in APPEND_ONLY
        for sql in _triggers(read_table(connection, table, references=references), ids.get(table))
    ]
    triggers += [sql for table in tables for sql in retired_triggers(table, references, values)]
    return "\n".join([_HEAD, *names, "", *(sql + ";\n" for sql in triggers)])


def table_triggers(connection: sqlite3.Connection, table: str, table_id: int) -> list[str]:
    """Generate the CREATE TRIGGER statements of one table, without a closing semicolon.

    Read its columns, unique indexes and foreign keys, those of its children too, from the connection: make
    the tables first. Raise NotFoundError without the table, InvalidError if it has no INTEGER PRIMARY KEY. A
    table of `APPEND_ONLY` gets its guards and no audit.
    """
    return _triggers(read_table(connection, table), table_id)


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
-- audit_* triggers write the log for everybody. direct_* ones enforce references and cascades, and log what a
-- REPLACE deletes, for tools that leave foreign_keys and recursive_triggers off; they step aside while a
-- change of ours is open.
"""


def _triggers(table: Table, table_id: int | None) -> list[str]:
    if table.name in APPEND_ONLY:
        return _append_only(table)
    assert table_id is not None
    made = [*_insert_triggers(table, table_id), *_kept_triggers(table)]
    if table.columns:
        made += _update_triggers(table, table_id)
    return [*made, *_delete_triggers(table, table_id)]


def _trigger(table: Table, suffix: str, event: str, body: Iterable[str], when: str = "") -> str:
    name = name_sql(f"{table.name}_{suffix}")
    condition = f" WHEN {when}" if when else ""
    return f"CREATE TRIGGER {name} {event} ON {name_sql(table.name)}{condition} BEGIN{''.join(body)}\nEND"


def _insert_triggers(table: Table, table_id: int) -> list[str]:
    this = f"NEW.{name_sql(table.key)}"
    victims = [f"SELECT {this}", *(conflict(table, key) for key in table.unique)]
    # A row may be its own parent: only after the insert can one look it up.
    others = [r for r in table.references if r.parent != table.name]
    own = [r for r in table.references if r.parent == table.name]
    entry = f"\n  {_LOG} VALUES ({_TXN}, {table_id}, {this}, 'I', NULL);"
    body = [
        _DIRECT_ROW,
        say_limits(table),
        say_checks(table),
        check_parents(table, others),
        set_aside(table, table_id, victims),
    ]
    made = [
        _trigger(table, "direct_insert", "BEFORE INSERT", body, IS_DIRECT),
        _trigger(table, "audit_insert", "AFTER INSERT", [settle(table, table_id, asks_gate=True), entry]),
    ]
    if own:
        some = " OR ".join(f"NEW.{name_sql(r.columns[0])} IS NOT NULL" for r in own)
        made.append(
            _trigger(
                table,
                "direct_inserted",
                "AFTER INSERT",
                [check_parents(table, own)],
                f"({some}) AND {IS_DIRECT}",
            )
        )
    return made


def _kept_triggers(table: Table) -> list[str]:
    taken = {c.name.lower() for c in table.columns} | {g.lower() for g in table.generated}
    names = [table.key, *(a for a in ("rowid", "oid", "_rowid_") if a not in {*taken, table.key.lower()})]
    this = name_sql(table.key)
    made = [
        _trigger(
            table,
            "id_kept",
            f"BEFORE UPDATE OF {', '.join(name_sql(n) for n in names)}",
            [f"\n  SELECT {refuse(table.name, table.key, 'immutable', 'An id never changes.')};"],
            f"NEW.{this} IS NOT OLD.{this}",
        )
    ]
    if table.column("created_at") and table.column("created_by"):
        time = refuse(table.name, "created_at", "immutable", "The time of creation never changes.")
        maker = refuse(table.name, "created_by", "immutable", "Who made a row never changes.")
        made.append(
            _trigger(
                table,
                "created_kept",
                "BEFORE UPDATE OF created_at, created_by",
                [f"\n  SELECT CASE WHEN NEW.created_at IS NOT OLD.created_at THEN {time} ELSE {maker} END;"],
                "NEW.created_at IS NOT OLD.created_at OR NEW.created_by IS NOT OLD.created_by",
            )
        )
    return made


def _update_triggers(table: Table, table_id: int) -> list[str]:
    made = [
        _audit_update(table, table_id),
        _trigger(
            table,
            "direct_update",
            "BEFORE UPDATE",
            [
                _DIRECT_ROW,
                say_limits(table, updated=True),
                say_checks(table),
                check_parents(table, list(table.references), updated=True),
            ],
            IS_DIRECT,
        ),
    ]
    columns = list(dict.fromkeys(c for key in table.unique for c in key.columns))
    if columns:
        this = name_sql(table.key)
        victims = [conflict(table, key) for key in table.unique]
        event = "UPDATE OF " + ", ".join(name_sql(c) for c in columns)
        aside = set_aside(table, table_id, victims, f"x.{this} IS NOT OLD.{this} AND ")
        followed = [follow_key(table, r) for r in table.children if r.parent_columns != (table.key,)]
        made += [
            _trigger(table, "direct_rekey", f"BEFORE {event}", [aside], IS_DIRECT),
            _trigger(
                table, "direct_rekeyed", f"AFTER {event}", [*followed, settle(table, table_id)], IS_DIRECT
            ),
        ]
    return made


def _audit_update(table: Table, table_id: int) -> str:
    this = f"NEW.{name_sql(table.key)}"
    conditions = [differs(c) for c in table.columns if not (table.has_touch and c.name == "updated_at")]
    pieces = []
    for column in table.columns:
        label = text_sql("," + json.dumps(column.name) + ":[")
        images = f"{label} || {value_json(column, 'OLD')} || ',' || {value_json(column, 'NEW')} || ']'"
        touched = ""
        if table.has_touch and column.name == "updated_at":
            told = f"{label} || {value_json(column, 'OLD')} || ',\"' || {_NOW} || '\"]'"
            touched = f" WHEN {_NOW} IS NOT OLD.updated_at THEN {told}"
        pieces.append(f"CASE WHEN {differs(column)} THEN {images}{touched} END")
    calls = [
        f"format('{'%s' * len(pieces[i : i + ARGUMENTS])}',\n    "
        + ",\n    ".join(pieces[i : i + ARGUMENTS])
        + ")"
        for i in range(0, len(pieces), ARGUMENTS)
    ]
    changes = f"'{{' || substr({' || '.join(calls)}, 2) || '}}'"
    body = f"\n  {_LOG} VALUES ({_TXN}, {table_id}, {this}, 'U', {changes});"
    if table.has_touch:
        # The touch below comes back here: the last entry says already what it does.
        conditions.append(f"""(NEW.updated_at IS NOT OLD.updated_at COLLATE BINARY AND (
    SELECT CASE WHEN table_id = {table_id} AND record_key = {this} AND action = 'U'
      THEN json_extract(changes, '$.updated_at[1]') = NEW.updated_at END
    FROM audit_log ORDER BY seq DESC LIMIT 1) IS NOT 1)""")
        body += f"""
  UPDATE {name_sql(table.name)} SET updated_at = {_NOW}
    WHERE {name_sql(table.key)} = {this} AND NEW.updated_at IS OLD.updated_at COLLATE BINARY;"""
    return _trigger(table, "audit_update", "AFTER UPDATE", [body], any_of(conditions))


def _delete_triggers(table: Table, table_id: int) -> list[str]:
    this = f"OLD.{name_sql(table.key)}"
    entry = f"\n  {_LOG} VALUES ({_TXN}, {table_id}, {this}, 'D',\n    {image(table, 'OLD')});"
    aside = forget(table_id, f" AND record_key = {this}")
    return [
        _trigger(
            table, "direct_delete", "BEFORE DELETE", [_DIRECT_ROW, aside, *leave_children(table)], IS_DIRECT
        ),
        _trigger(table, "audit_delete", "AFTER DELETE", [entry]),
    ]


def _append_only(table: Table) -> list[str]:
    """Refuse every change of a row once written, a REPLACE too."""
    own, this = name_sql(table.name), name_sql(table.key)
    refusal = refuse(table.name, "*", "append_only", f"Rows of {table.name} are only ever added.")
    body = [f"\n  SELECT {refusal};"]
    victims = [f"SELECT {this} FROM {own} WHERE {this} = NEW.{this}"]
    victims += [conflict(table, key) for key in table.unique]
    taken = " OR ".join(f"EXISTS ({victim})" for victim in victims)
    asked = [say_limits(table), say_checks(table), check_parents(table, list(table.references))]
    return [
        *([_trigger(table, "direct_insert", "BEFORE INSERT", asked, IS_DIRECT)] if any(asked) else []),
        _trigger(table, "kept_insert", "BEFORE INSERT", body, taken),
        _trigger(table, "kept_update", "BEFORE UPDATE", body),
        _trigger(table, "kept_delete", "BEFORE DELETE", body),
    ]
