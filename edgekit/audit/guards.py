"""The parts of the guards: what a REPLACE would delete, and what references ask of parents and children."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from edgekit.audit.images import image
from edgekit.audit.shape import TIME_FORMAT, name_sql, text_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekit.audit.shape import Key, Reference, Table

IS_DIRECT = "(SELECT open_gate FROM audit_transaction ORDER BY id DESC LIMIT 1) IS NULL"
"""True for a writer outside a change of ours."""


def refuse(table: str, column: str, code: str, sentence: str) -> str:
    fields = "|".join(field.replace("|", "/") for field in ("EK", table, column, code, sentence))
    return f"RAISE(ABORT, {text_sql(fields)})"


def say_checks(table: Table) -> str:
    """Refuse what a CHECK would refuse, in its sentence: by itself SQLite says no more than its name."""
    if not table.checks:
        return ""
    cases, words = [], set()
    for column, code, condition, sentence in table.checks:
        words |= {word.lower() for word in re.findall(r"\w+", condition)}
        cases.append(f"WHEN NOT ifnull({condition}, 1) THEN {refuse(table.name, column, code, sentence)}")
    names = [name for name in (table.key, *(c.name for c in table.columns)) if name.lower() in words]
    row = ", ".join(f"{stored_value(table, name)} AS {name_sql(name)}" for name in names)
    return "\n  SELECT CASE " + "\n    ".join(cases) + f" END\n    FROM (SELECT {row});"


LAST_ID = 2**53 - 1
"""The greatest id another tool may choose. After SQLite's own last one a table takes no row any more."""


def say_limits(table: Table, *, updated: bool = False) -> str:
    """Refuse what is no time where a row says when it was made or changed, and an id that ends them all."""
    cases = []
    if not updated:
        refusal = refuse(table.name, table.key, "range", f"Ids end at {LAST_ID}.")
        cases.append(f"WHEN NEW.{name_sql(table.key)} > {LAST_ID} THEN {refusal}")
    for column in table.times:
        if updated and column == "created_at":
            continue  # it never changes at all
        value = f"NEW.{column}" if updated else stored_value(table, column)
        changed = f"NEW.{column} IS NOT OLD.{column} AND " if updated else ""
        sentence = f"{table.name}.{column} must be a UTC time such as 2026-01-31T09:05:00.000Z."
        cases.append(
            f"WHEN {changed}strftime({TIME_FORMAT}, {value}, '+0 days') IS NOT {value}"
            f" THEN {refuse(table.name, column, 'time', sentence)}"
        )
    return "\n  SELECT CASE " + "\n    ".join(cases) + " END;" if cases else ""


# Unique keys: which rows would a REPLACE delete?


def stored_value(table: Table, name: str) -> str:
    """NEW.column as it will be stored: OR REPLACE puts the default where NULL is not allowed."""
    column = table.column(name)
    value = f"NEW.{name_sql(name)}"
    if column is None or not column.not_null or column.default is None:
        return value
    default = column.default
    return f"ifnull({value}, {default if re.fullmatch(r'-?[0-9]+', default) else f'({default})'})"


def conflict(table: Table, key: Key) -> str:
    """Select the ids of the rows that hold the values NEW is about to take of one unique index."""
    own, this = name_sql(table.name), name_sql(table.key)
    parts = [
        part if collation == "BINARY" else f"{part} COLLATE {collation}"
        for part, collation in zip(key.parts, key.collations, strict=True)
    ]
    if key.is_plain:
        terms = [
            f"{part} = {stored_value(table, column)}" for part, column in zip(parts, key.columns, strict=True)
        ]
        return f"SELECT {this} FROM {own} WHERE {' AND '.join(terms)}"
    # The key's own text is evaluated over a row that is NEW, under the names the text uses.
    row = [f"{stored_value(table, name)} AS {name_sql(name)}" for name in key.columns]
    where, also = (f" WHERE {key.predicate}", f"({key.predicate}) AND ") if key.predicate else ("", "")
    taken = f"(SELECT {', '.join(key.parts)} FROM (SELECT {', '.join(row)}){where})"
    return f"SELECT {this} FROM {own} WHERE {also}({', '.join(parts)}) = {taken}"


def set_aside(table: Table, table_id: int, victims: list[str], condition: str = "") -> str:
    """Keep a copy of the rows whose ids `victims` select, in case the statement deletes them unseen."""
    own, this = name_sql(table.name), name_sql(table.key)
    search = "\n      UNION ALL ".join(victims)
    return f"""
{forget(table_id).lstrip(chr(10))}
  INSERT INTO audit_pending SELECT {table_id}, x.{this}, {image(table, "x")}
    FROM {own} x WHERE {condition}x.{this} IN ({search});"""


def forget(table_id: int, condition: str = "") -> str:
    """Empty the pending rows unlogged: only a row that still has its table is logged when deleted."""
    return f"""
  UPDATE audit_pending SET table_id = NULL WHERE table_id = {table_id}{condition};
  DELETE FROM audit_pending WHERE table_id IS NULL;"""


def settle(table: Table, table_id: int, *, asks_gate: bool = False) -> str:
    """Refuse or log the rows that were set aside and are gone now."""
    this = name_sql(table.key)
    by_id: list[str] = []
    by_value: list[str] = []
    for child, references in _by_child(table.children):
        refusal = refuse(table.name, table.key, "referenced", f"Rows of {child} refer to this row.")
        for cases, some in (
            (by_id, [r for r in references if r.parent_columns == (table.key,)]),
            (by_value, [r for r in references if r.parent_columns != (table.key,)]),
        ):
            if some:
                cases.append(f"WHEN {' OR '.join(_orphans(table, r) for r in some)} THEN {refusal}")
    cases = [
        *([f"WHEN {IS_DIRECT.replace('IS NULL', 'IS NOT NULL')} THEN 0"] if asks_gate else []),
        *by_value,  # gone or not, its value may have gone
        f"WHEN record_key = NEW.{this} THEN 1",
        f"WHEN EXISTS (SELECT 1 FROM {name_sql(table.name)} WHERE {this} = audit_pending.record_key) THEN 0",
        *by_id,
    ]
    return f"""
  DELETE FROM audit_pending WHERE table_id = {table_id} AND CASE
    {f"{chr(10)}    ".join(cases)} ELSE 1 END;"""


def _orphans(table: Table, reference: Reference) -> str:
    child, columns = name_sql(reference.child), [name_sql(c) for c in reference.columns]
    if reference.parent_columns == (table.key,):
        return f"EXISTS (SELECT 1 FROM {child} WHERE {columns[0]} = audit_pending.record_key)"
    terms, still = [], []
    for column, parent in zip(columns, reference.parent_columns, strict=True):
        path = text_sql("$." + json.dumps(parent))
        key = (
            "audit_pending.record_key"
            if parent == table.key
            else f"json_extract(audit_pending.changes, {path})"
        )
        terms.append(f"c.{column} = {key}")
        still.append(f"{name_sql(parent)} = c.{column}")
    parent_exists = f"EXISTS (SELECT 1 FROM {name_sql(table.name)} WHERE {' AND '.join(still)})"
    return f"EXISTS (SELECT 1 FROM {child} c WHERE {' AND '.join(terms)} AND NOT {parent_exists})"


def _by_child(references: Iterable[Reference]) -> list[tuple[str, list[Reference]]]:
    grouped: dict[str, list[Reference]] = {}
    for reference in references:
        grouped.setdefault(reference.child, []).append(reference)
    return list(grouped.items())


# References to parents


def _missing_parent(table: Table, reference: Reference, *, updated: bool = False) -> str:
    values = [stored_value(table, c) for c in reference.columns]
    terms = [f"{value} IS NOT NULL" for value in values if not value.startswith("ifnull(")]
    if updated:
        changed = [f"NEW.{name_sql(c)} IS NOT OLD.{name_sql(c)}" for c in reference.columns]
        terms.insert(0, changed[0] if len(changed) == 1 else f"({' OR '.join(changed)})")
        if reference.parent == table.name:
            pairs = zip(reference.parent_columns, values, strict=True)
            terms.append("NOT (" + " AND ".join(f"NEW.{name_sql(p)} = {value}" for p, value in pairs) + ")")
    match = " AND ".join(
        f"{name_sql(parent)} = {value}"
        for parent, value in zip(reference.parent_columns, values, strict=True)
    )
    terms.append(f"NOT EXISTS (SELECT 1 FROM {name_sql(reference.parent)} WHERE {match})")
    column = reference.columns[0]
    sentence = f"There is no {reference.parent} with this {column}."
    return f"WHEN {' AND '.join(terms)} THEN {refuse(table.name, column, 'reference', sentence)}"


def check_parents(table: Table, references: list[Reference], *, updated: bool = False) -> str:
    if not references:
        return ""
    cases = [_missing_parent(table, r, updated=updated) for r in references]
    return "\n  SELECT CASE\n    " + "\n    ".join(cases) + " END;"


# References from children


def follow_key(table: Table, reference: Reference) -> str:
    """Do for a changed parent key, other than the id, what ON UPDATE says."""
    pairs = list(zip(reference.columns, reference.parent_columns, strict=True))
    changed = " OR ".join(f"NEW.{name_sql(p)} IS NOT OLD.{name_sql(p)}" for _, p in pairs)
    match = " AND ".join(f"{name_sql(c)} = OLD.{name_sql(p)}" for c, p in pairs)
    child = name_sql(reference.child)
    if reference.on_update == "CASCADE":
        values = [f"NEW.{name_sql(p)}" for _, p in pairs]
        return f"\n  UPDATE {child} SET {_assign(reference, values)} WHERE {match} AND ({changed});"
    if reference.on_update.startswith("SET "):
        values = _blank(reference, reference.on_update)
        return f"\n  UPDATE {child} SET {_assign(reference, values)} WHERE {match} AND ({changed});"
    sentence = f"Rows of {reference.child} refer to this value."
    refusal = refuse(table.name, pairs[0][1], "referenced", sentence)
    return f"\n  SELECT {refusal} WHERE ({changed}) AND EXISTS (SELECT 1 FROM {child} WHERE {match});"


def leave_children(table: Table) -> list[str]:
    """Do for the children of a row that goes what ON DELETE says: first all refusals, then the effects."""
    own, this = name_sql(table.name), name_sql(table.key)
    tree = [r for r in table.children if r.child == table.name and r.on_delete == "CASCADE"]
    # Without recursive triggers a row deleted here fires no such trigger again: take the whole tree at once.
    steps = " UNION ".join(
        f"SELECT c.{this} FROM {own} c JOIN {own} p ON "
        + " AND ".join(
            f"c.{name_sql(a)} = p.{name_sql(b)}" for a, b in zip(r.columns, r.parent_columns, strict=True)
        )
        + f" JOIN gone ON p.{this} = gone.key"
        for r in tree
    )
    gone = f"WITH RECURSIVE gone(key) AS (SELECT OLD.{this} UNION {steps}) SELECT key FROM gone"

    def match(reference: Reference) -> str:
        pairs = [
            (name_sql(c), name_sql(p))
            for c, p in zip(reference.columns, reference.parent_columns, strict=True)
        ]
        if not tree:
            return " AND ".join(f"{c} = OLD.{p}" for c, p in pairs)
        keys = ", ".join(p for _, p in pairs)
        return f"({', '.join(c for c, _ in pairs)}) IN (SELECT {keys} FROM {own} WHERE {this} IN ({gone}))"

    refusing, acting = [], []
    for child, references in _by_child(r for r in table.children if r.on_delete in ("NO ACTION", "RESTRICT")):
        itself = f" AND {this} IS NOT OLD.{this}" if child == table.name else ""
        if child == table.name and tree:
            itself = f" AND {this} NOT IN ({gone})"
        found = " OR ".join(match(r) for r in references)
        found = f"({found})" if itself else found
        refusal = refuse(table.name, table.key, "referenced", f"Rows of {child} refer to this row.")
        refusing.append(
            f"\n  SELECT {refusal} WHERE EXISTS (SELECT 1 FROM {name_sql(child)} WHERE {found}{itself});"
        )
    for r in table.children:
        if r.on_delete.startswith("SET "):
            acting.append(
                f"\n  UPDATE {name_sql(r.child)} SET {_assign(r, _blank(r, r.on_delete))} WHERE {match(r)};"
            )
            if r.on_delete == "SET DEFAULT":  # the default may be this very row
                refusal = refuse(table.name, table.key, "referenced", f"Rows of {r.child} refer to this row.")
                still = f"EXISTS (SELECT 1 FROM {name_sql(r.child)} WHERE {match(r)})"
                acting.append(f"\n  SELECT {refusal} WHERE {still};")
        elif r.on_delete == "CASCADE" and r not in tree:
            acting.append(f"\n  DELETE FROM {name_sql(r.child)} WHERE {match(r)};")
    if tree:
        acting.append(f"\n  DELETE FROM {own} WHERE {this} IN ({gone}) AND {this} IS NOT OLD.{this};")
    return refusing + acting


def _assign(reference: Reference, values: Iterable[str]) -> str:
    return ", ".join(f"{name_sql(c)} = {v}" for c, v in zip(reference.columns, values, strict=True))


def _blank(reference: Reference, action: str) -> list[str]:
    """List what SET NULL or SET DEFAULT puts into the child's columns."""
    return [f"({d})" if action == "SET DEFAULT" and d is not None else "NULL" for d in reference.defaults]
