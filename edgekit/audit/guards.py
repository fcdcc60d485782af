"""The parts of the guards: what a REPLACE would delete, and what references ask of parents and children."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgekit.audit.images import any_of
from edgekit.audit.shape import TIME_FORMAT, name_sql, names_replaced, text_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekit.audit.shape import Key, Reference, Table

NEWEST = "FROM audit_transaction ORDER BY id DESC LIMIT 1"
IN_SHORT = "FROM audit_now"
"""The newest change. The view says it in fewer words and costs a written row 2 %."""

IS_DIRECT = f"(SELECT open_gate {NEWEST}) IS NULL"
"""True for a writer outside a change of ours."""

NEVER_DELETED = ("status", "system", "user")
"""Tables whose own triggers refuse every DELETE, so that nothing need ask who refers to their rows."""

STANDARD = {"status_id": "status", "created_by": "user", "updated_by": "user"}
"""The references nearly every table has: `audit_direct` checks them for all."""

LAST_ID = 2**53 - 1
"""The greatest id a row may have. After SQLite's own last one a table takes no row any more."""


def refuse(table: str, column: str, code: str, sentence: str) -> str:
    fields = "|".join(field.replace("|", "/") for field in ("EK", table, column, code, sentence))
    return f"RAISE(ABORT, {text_sql(fields)})"


def first_of(cases: list[str]) -> str:
    """Write a statement that refuses in the words of the first case that holds."""
    return "\n  SELECT CASE " + "\n    ".join(cases) + " END;" if cases else ""


# What the tables share


def open_direct(table: Table, *, updated: bool = False) -> str:
    """Open the row of a writer outside a change, and check what `audit_direct` does for all tables."""
    standard = {r.columns[0] for r in table.references if _is_standard(r)}
    values = []
    for column in (*STANDARD, "created_at", "updated_at"):
        if (column not in standard and column not in table.times) or (updated and column in table.kept):
            values.append("NULL")
        elif updated and column == "updated_at":  # the old one may be older than our rules
            values.append("nullif(NEW.updated_at, OLD.updated_at)")
        else:
            values.append(f"NEW.{column}")
    return f"\n  INSERT INTO audit_direct VALUES ({', '.join(values)});"


def _is_standard(reference: Reference) -> bool:
    wanted = (STANDARD.get(reference.columns[0]), ("id",))
    # A user may be its own maker, which shows only after the insert.
    return wanted == (reference.parent, reference.parent_columns) and reference.child != reference.parent


def check_time(table: Table) -> list[str]:
    """Refuse what is no time where an append-only row says when it was made, and an id that ends them all."""
    refusal = refuse(table.name, table.key, "range", f"Ids end at {LAST_ID}.")
    cases = [f"WHEN NEW.{name_sql(table.key)} > {LAST_ID} THEN {refusal}"]
    for column in table.times:
        sentence = f"{table.name}.{column} must be a UTC time such as 2026-01-31T09:05:00.000Z."
        cases.append(
            f"WHEN strftime({TIME_FORMAT}, NEW.{column}, '+0 days') IS NOT NEW.{column}"
            f" THEN {refuse(table.name, column, 'time', sentence)}"
        )
    return cases


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
    """Write the condition under which a row holds the values NEW is about to take of one unique index."""
    parts = [
        part if collation == "BINARY" else f"{part} COLLATE {collation}"
        for part, collation in zip(key.parts, key.collations, strict=True)
    ]
    if key.is_generated:
        # What it is made of is the table's affair: read it off a row that is NEW, under the names it uses.
        own, this = name_sql(table.name), name_sql(table.key)
        row = ", ".join(f"{stored_value(table, name)} AS {name_sql(name)}" for name in key.columns)
        where, also = (f" WHERE {key.predicate}", f"({key.predicate}) AND ") if key.predicate else ("", "")
        taken = f"(SELECT {', '.join(key.parts)} FROM (SELECT {row}){where})"
        return f"{this} IN (SELECT {this} FROM {own} WHERE {also}({', '.join(parts)}) = {taken})"
    new = {name.lower(): stored_value(table, name) for name in key.columns}
    terms = [f"{part} = {names_replaced(own, new)}" for part, own in zip(parts, key.parts, strict=True)]
    if key.predicate:
        terms = [f"({key.predicate})", f"({names_replaced(key.predicate, new)})", *terms]
    return " AND ".join(terms)


def replace_first(table: Table, table_id: int, *, updated: bool = False) -> str:
    """Delete the rows a REPLACE would delete unseen before it does, so that every rule and the log see it.

    Only the AND of `changes()`, what the probe before it stored, keeps an update nested in that deletion from
    doing it again.
    """
    own, this = name_sql(table.name), name_sql(table.key)
    keys = [conflict(table, key) for key in table.unique]
    if updated:
        if not keys:
            return ""
        where = f"({any_of(keys, ' OR ')}) AND {this} IS NOT OLD.{this}"
    else:  # NEW.id is -1 until SQLite has chosen it
        where = any_of([f"{this} = nullif(NEW.{this}, -1)", *keys], " OR ")
    return f"""
  INSERT OR IGNORE INTO audit_replaced SELECT {table_id}, {this}, NEW.{this}, NULL FROM {own}
    WHERE {where};
  DELETE FROM {own} WHERE changes() AND {this} IN (
    SELECT record_key FROM audit_replaced WHERE table_id = {table_id});
  DELETE FROM audit_replaced;"""


def stays_away_from(key: str, table_id: int) -> str:
    """Write the condition under which a deleted row's id does not come again, as by a REPLACE it may."""
    return f"OLD.{name_sql(key)} IS NOT (SELECT new_key FROM audit_replaced WHERE table_id = {table_id})"


# References to parents


def check_parents(
    table: Table, references: Iterable[Reference], *, updated: bool = False, standard: bool = False
) -> list[str]:
    """Refuse a reference to a row that does not exist; the standard ones are left to `audit_direct`."""
    return [_missing_parent(table, r, updated=updated) for r in references if standard or not _is_standard(r)]


def _missing_parent(table: Table, reference: Reference, *, updated: bool) -> str:
    column, parent = reference.columns[0], name_sql(reference.parent)
    sentence = f"There is no {reference.parent} with this {column}."
    refusal = refuse(table.name, column, "reference", sentence)
    if not reference.is_to_id:
        return f"WHEN {_missing_row(table, reference, updated=updated)} THEN {refusal}"
    new, old, stored = f"NEW.{name_sql(column)}", f"OLD.{name_sql(column)}", table.column(column)
    value = new if reference.parent in NEVER_DELETED else stored_value(table, column)
    changed = f"nullif({new}, {old})" if updated else new
    if stored is not None and stored.not_null:
        given, asked = "", changed if updated else value
    else:  # NULL is not in an empty set either, so a column that may hold it has to say so
        given, asked = f"{changed} NOT NULL AND ", value
    target = name_sql(reference.parent_columns[0])
    return f"WHEN {given}{asked} NOT IN (SELECT {target} FROM {parent}) THEN {refusal}"


def _missing_row(table: Table, reference: Reference, *, updated: bool) -> str:
    values = [stored_value(table, c) for c in reference.columns]
    terms = [f"{value} NOT NULL" for value in values if not value.startswith("ifnull(")]
    pairs = list(zip(reference.parent_columns, values, strict=True))
    if updated:
        changed = [f"NEW.{name_sql(c)} IS NOT OLD.{name_sql(c)}" for c in reference.columns]
        terms.insert(0, f"({' OR '.join(changed)})")
        if reference.parent == table.name:
            terms.append("NOT (" + " AND ".join(f"NEW.{name_sql(p)} = {value}" for p, value in pairs) + ")")
    match = " AND ".join(f"{name_sql(parent)} = {value}" for parent, value in pairs)
    return " AND ".join([*terms, f"NOT EXISTS (SELECT 1 FROM {name_sql(reference.parent)} WHERE {match})"])


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
    children = [] if table.name in NEVER_DELETED else table.children
    tree = [r for r in children if r.child == table.name and r.on_delete == "CASCADE"]
    gone = _tree_of(table, tree)

    def match(reference: Reference) -> str:
        pairs = [
            (name_sql(c), name_sql(p))
            for c, p in zip(reference.columns, reference.parent_columns, strict=True)
        ]
        if not tree:
            return " AND ".join(f"{c} = OLD.{p}" for c, p in pairs)
        keys = ", ".join(p for _, p in pairs)
        return f"({', '.join(c for c, _ in pairs)}) IN (SELECT {keys} FROM {own} WHERE {this} IN ({gone}))"

    def is_used(reference: Reference) -> str:
        child = name_sql(reference.child)
        if reference.child == table.name:
            itself = f"{this} NOT IN ({gone})" if tree else f"{this} IS NOT OLD.{this}"
            return f"EXISTS (SELECT 1 FROM {child} WHERE {match(reference)} AND {itself})"
        if tree or len(reference.columns) > 1:
            return f"EXISTS (SELECT 1 FROM {child} WHERE {match(reference)})"
        column, parent = name_sql(reference.columns[0]), name_sql(reference.parent_columns[0])
        return f"OLD.{parent} IN (SELECT {column} FROM {child})"

    refusing = [r for r in children if r.on_delete in ("NO ACTION", "RESTRICT")]
    steps = [_refuse_used(table, [r.child for r in refusing], [is_used(r) for r in refusing])]
    for r in children:
        if r.on_delete.startswith("SET "):
            steps.append(
                f"\n  UPDATE {name_sql(r.child)} SET {_assign(r, _blank(r, r.on_delete))} WHERE {match(r)};"
            )
            if r.on_delete == "SET DEFAULT":  # the default may be this very row
                still = f"EXISTS (SELECT 1 FROM {name_sql(r.child)} WHERE {match(r)})"
                steps.append(_refuse_used(table, [r.child], [still]))
        elif r.on_delete == "CASCADE" and r not in tree:
            steps.append(f"\n  DELETE FROM {name_sql(r.child)} WHERE {match(r)};")
    if tree:
        steps.append(f"\n  DELETE FROM {own} WHERE {this} IN ({gone}) AND {this} IS NOT OLD.{this};")
    return [step for step in steps if step]


def _tree_of(table: Table, references: Iterable[Reference]) -> str:
    """Select the ids of a row and of all below it.

    Without recursive triggers a row deleted by its own table's trigger fires no such trigger again, so the
    whole tree has to go at once.
    """
    own, this = name_sql(table.name), name_sql(table.key)
    steps = " UNION ".join(
        f"SELECT c.{this} FROM {own} c JOIN {own} p ON "
        + " AND ".join(
            f"c.{name_sql(a)} = p.{name_sql(b)}" for a, b in zip(r.columns, r.parent_columns, strict=True)
        )
        + f" JOIN gone ON p.{this} = gone.key"
        for r in references
    )
    return f"WITH RECURSIVE gone(key) AS (SELECT OLD.{this} UNION {steps}) SELECT key FROM gone"


def _refuse_used(table: Table, children: list[str], conditions: list[str]) -> str:
    if not children:
        return ""
    names = list(dict.fromkeys(children))
    of = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    sentence = f"Rows of {of if len(names) <= 6 else 'other tables'} refer to this row."
    refusal = refuse(table.name, table.key, "referenced", sentence)
    return f"\n  SELECT {refusal} WHERE {any_of(conditions)};"


def _assign(reference: Reference, values: Iterable[str]) -> str:
    return ", ".join(f"{name_sql(c)} = {v}" for c, v in zip(reference.columns, values, strict=True))


def _blank(reference: Reference, action: str) -> list[str]:
    """List what SET NULL or SET DEFAULT puts into the child's columns."""
    return [f"({d})" if action == "SET DEFAULT" and d is not None else "NULL" for d in reference.defaults]
