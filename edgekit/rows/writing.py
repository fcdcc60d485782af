"""Adding, changing and retiring a row of the opened file: one change each, signed, as the next version."""

from __future__ import annotations

import uuid
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgekit import db, models
from edgekit.errors import InvalidError
from edgekit.models import documents
from edgekit.rows import values
from edgekit.rows.reading import find, show
from edgekit.rows.shape import read_shape
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgekit.rows.shape import Shape

RETIRED = "INACTIVE"

_GUARDS: dict[str, list[Callable[[int], None]]] = {}

_GUARDED_BY = {
    "configuration_type": "edgekit.configuration.guarding",  # its schema speaks of merges and locks
    "entity": "edgekit.licensing.gating",  # an active one has all it requires
    "feature_license": "edgekit.licensing.granting",  # settings follow the feature's schema
}
"""Which word later in the order has a say in rows of a table; it is imported when such a row is written."""


def guard(table: str, look: Callable[[int], None]) -> None:
    """Have a row looked at in the change that writes it, by its id; a word later in the order says how."""
    if look not in _GUARDS.setdefault(table, []):
        _GUARDS[table].append(look)


def add(table: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Add a row and return it as `show` does.

    Raise InvalidError (a column or value), RuleError (what the file refuses), NotFoundError (the table).
    """
    connection = db.connection()
    shape = read_shape(connection, table)
    _require(shape, shape.adds)
    with db.change(reason=f"{shape.command} add"):
        row = values.read(connection, shape, _with_organization(shape, given))
        if "uuid" in shape.columns:
            row["uuid"] = str(uuid.uuid4())
        if "created_by" in shape.columns:
            row["created_by"] = db.current().actor_id
        model = _model(shape.name)
        if model:
            model.check_schemas(row)
            row |= model.completed(row, set(row))
            documents.check(shape.name, row, set(row))
        names, marks = ", ".join(map(quote_name, row)), ", ".join("?" * len(row))
        into = f"INSERT INTO {quote_name(shape.name)}"
        sql = f"{into} ({names}) VALUES ({marks})" if row else f"{into} DEFAULT VALUES"
        key = connection.execute(sql, list(row.values())).lastrowid
        if model:
            model.settle(row)
        _look(shape.name, int(key or 0))
    return show(connection, shape.name, int(key or 0))


def _with_organization(shape: Shape, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a user adds who belongs to an organization is its, unless another is named."""
    session = db.current().session
    names = {"organization", "organization_id"}
    if session.sees_all or "organization_id" not in shape.columns or names & given.keys():
        return given
    return {**given, "organization_id": session.organization_id}


def set_values(table: str, which: str | int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Change columns of a row and return it as `show` does. What is so already is not written.

    A versioned row becomes its next version where it says something else. Raise as `add`, and NotFoundError
    if there is no such row.
    """
    return _change(table, which, given, "set")


def retire(table: str, which: str | int) -> dict[str, Any]:
    """Switch a row off by its status and return it; it stays, and so does all that refers to it.

    Raise InvalidError where rows have no status, and as `set_values`.
    """
    shape = read_shape(db.connection(), table)
    if not shape.has_status:
        raise InvalidError(f"Rows of {shape.name} are not retired: they have no status.")
    return _change(table, which, {"status_id": RETIRED}, "retire")


def _change(table: str, which: str | int, given: Mapping[str, Any], verb: str) -> dict[str, Any]:
    connection = db.connection()
    shape = read_shape(connection, table)
    _require(shape, shape.refuses)
    with db.change(reason=f"{shape.command} {verb} {which}") as change:
        key = find(connection, shape, which)
        cursor = connection.execute(f"SELECT * FROM {quote_name(shape.name)} WHERE id = ?", (key,))
        old = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))
        wanted = values.read(connection, shape, given, current=old)
        new = {name: value for name, value in wanted.items() if value != old[name]}
        if new:
            model = _model(shape.name)
            if model:
                model.check_schemas(new)
                new |= model.completed({**old, **new}, set(new))
                documents.check(shape.name, {**old, **new}, set(new))
            if "version" in shape.columns and shape.columns["version"].is_given:
                new["version"] = old["version"] + bool(set(new) - _unversioned(shape.name))
            if "updated_by" in shape.columns and "updated_at" in shape.columns:
                new |= {"updated_by": db.current().actor_id, "updated_at": change.at}
            parts = ", ".join(f"{quote_name(name)} = ?" for name in new)
            connection.execute(
                f"UPDATE {quote_name(shape.name)} SET {parts} WHERE id = ?", (*new.values(), key)
            )
            if model:
                model.settle({**old, **new})
            _look(shape.name, key)
    return show(connection, shape.name, key)


def _look(table: str, key: int) -> None:
    if table in _GUARDED_BY:
        import_module(_GUARDED_BY[table])
    for look in _GUARDS.get(table, ()):
        look(key)


def _require(shape: Shape, reason: str | None) -> None:
    """Refuse rows that people do not write, saying who does."""
    if reason is not None:
        raise InvalidError(f"Rows of {shape.name} are not written by hand.", hint=reason)


def _unversioned(table: str) -> frozenset[str]:
    """Return the columns that tell how a row fares, not what it says: its model knows them."""
    return frozenset(getattr(_model(table), "unversioned", ()))


def _model(table: str) -> Any:
    """Return the model of a table of ours; a user's own table has none."""
    name = "".join(part.capitalize() for part in table.split("_"))
    return getattr(models, name) if name in models.__all__ else None
