"""What a communication points at, found by the names people use: types, channels, parties, business rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import db, rows
from edgekit.errors import InvalidError, NotFoundError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

Named = str | tuple[str, int | str]
"""A row with its kind: `user:maria`, `policy:5`, `("POLICY", 5)`; `system` is this installation."""


class Place(NamedTuple):
    """A row somebody named: the id of its kind, its own id, the table it is in."""

    type_id: int
    id: int
    table: str
    label: str


def find_type(code: str) -> dict[str, Any]:
    """Return the row of an active type of communication. Raise NotFoundError naming those there are."""
    return _coded("communication_type", code, "type of communication")


def find_channel(code: str) -> dict[str, Any]:
    """Return the row of an active channel. Raise NotFoundError naming those there are."""
    return _coded("communication_channel", code, "channel")


def route(kind: Mapping[str, Any], channel: str | None) -> dict[str, Any]:
    """Return the channel a type travels by: the one named, or its default.

    Raise NotFoundError for one there is not, InvalidError for one that is not linked to the type, or where
    none is named and the type has no default.
    """
    linked = db.query(
        "SELECT c.id, c.code, c.requires_authentication, l.is_default FROM communication_type_channel l"
        " JOIN communication_channel c ON c.id = l.channel_id AND c.status_id = 1"
        " WHERE l.communication_type_id = ? AND l.status_id = 1 ORDER BY l.is_default DESC, c.id",
        (kind["id"],),
    )
    ways = ", ".join(row["code"] for row in linked) or "none yet"
    link = "edgekit communication-type-channels add communication_type={} channel={} is_default={}"
    if channel is not None:
        found = find_channel(channel)
        for row in linked:
            if row["id"] == found["id"]:
                return row
        raise InvalidError(
            f"{kind['code']} does not travel by {found['code']}. Its channels: {ways}.",
            hint=f"Link them: {link.format(quoted(kind['code']), quoted(found['code']), 'no')}",
        )
    if linked and linked[0]["is_default"]:
        return linked[0]
    raise InvalidError(
        f"By which channel? {kind['code']} has no default. Its channels: {ways}.",
        hint=f"Name one, or link one: {link.format(quoted(kind['code']), 'CHANNEL', 'yes')}",
    )


def party(named: Named) -> Place:
    """Find who sends or receives: `system`, `user:maria`, `entity:DCS`, `insured:C-7`, by id, code or key.

    Raise InvalidError for a kind nobody knows, NotFoundError for a row there is not.
    """
    if named == "system":
        named = ("SYSTEM", 1)
    return _place("entity_reference_type", named, "user:maria")


def context(named: Named) -> Place:
    """Find a business row: `policy:P-7`, `quote:12`, `("DRIVER", 3)`. Raise as `party`."""
    return _place("business_context_type", named, "policy:P-7")


def organization_of(place: Place) -> int | None:
    """Return the organization a row belongs to; None for one of nobody's own."""
    if place.table == "organization":
        return place.id
    found = db.query(f"SELECT * FROM {place.table} WHERE id = ?", (place.id,))
    return found[0].get("organization_id") if found else None


def _place(types: str, named: Named, example: str) -> Place:
    if isinstance(named, str):
        code, colon, which = named.partition(":")
        if not colon or not which.strip():
            raise InvalidError(
                f"{named!r} names no row.", hint=f"Write its kind and its key, such as {example}"
            )
        named = (code.strip(), which.strip())
    code, key = named
    kind = _coded(types, code, "kind of party" if types.startswith("entity") else "business context")
    table, connection = kind["table_name"], db.connection()
    if isinstance(key, int) and db.query(f"SELECT 1 FROM {table} WHERE id = ?", (key,)):
        found = key  # by what people call it, finding takes a look at the shape of the table
    else:
        found = rows.find(connection, rows.read_shape(connection, table), key)
    return Place(kind["id"], found, table, f"{kind['code'].lower()}:{key}")


def _coded(table: str, code: str, what: str) -> dict[str, Any]:
    found = db.query(f"SELECT * FROM {table} WHERE code = ? AND status_id = 1", (code,))
    if found:
        return found[0]
    known = ", ".join(
        row["code"] for row in db.query(f"SELECT code FROM {table} WHERE status_id = 1 ORDER BY id")
    )
    raise NotFoundError(f"There is no {what} {code}.", hint=f"There are: {known}.")
