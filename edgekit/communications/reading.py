"""Communications as people read them: lists, one whole, the tree of a thread, what is about a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import db, naming
from edgekit.communications import places, states
from edgekit.errors import InvalidError
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.communications.places import Named

_WAITS = (
    "CASE WHEN s.is_final_state THEN NULL WHEN j.id IS NULL THEN 'a person'"
    " WHEN j.job_status = 'pending' THEN j.run_at END"
)
_COLUMNS = (
    "SELECT c.id, t.code AS type, h.code AS channel, d.code AS direction, s.code AS status,"
    " c.source_type_id, c.source_id, c.target_type_id, c.target_id, c.business_context_type_id,"
    " c.business_context_id, c.request_data ->> '$.to' AS recipient,"
    " c.request_data ->> '$.subject' AS subject, c.created_at, c.scheduled_at,"
    f" c.started_at, c.completed_at, {_WAITS} AS waits_for, c.retry_count, c.error_message,"
    " c.correlation_id, c.parent_communication_id"
    " FROM communication c JOIN communication_type t ON t.id = c.communication_type_id"
    " JOIN communication_channel h ON h.id = c.channel_id"
    " JOIN communication_direction d ON d.id = c.direction_id"
    " JOIN communication_status s ON s.id = c.communication_status_id"
    f" LEFT JOIN job j ON j.kind = '{states.KIND}' AND j.dedupe_key = CAST(c.id AS TEXT)"
    " AND j.job_status IN ('pending', 'running', 'interrupted')"
)


def list_communications(
    *,
    status: str | None = None,
    channel: str | None = None,
    type: str | None = None,  # noqa: A002 - as the table calls it
    tasks: bool = False,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Return communications, the newest first, of a status, a channel or a type; `tasks` wait for a person.

    `waits_for` is the time one is due, or `a person`. Raise NotFoundError for a name nobody knows.
    """
    parts, params = ["1"], list[Any]()
    for column, value in (
        ("communication_status_id", states.status_id(status) if status else None),
        ("channel_id", places.find_channel(channel)["id"] if channel else None),
        ("communication_type_id", places.find_type(type)["id"] if type else None),
    ):
        if value is not None:
            parts.append(f"c.{column} = ?")
            params.append(value)
    if tasks:
        parts.append("NOT s.is_final_state AND j.id IS NULL")
    return _read(f"{' AND '.join(parts)} ORDER BY c.id DESC LIMIT ?", (*params, limit))


def list_inbox(user: str | None = None, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the messages in a user's inbox, the newest first, with what they say.

    It is that of who works if none is named. Raise NotFoundError for a user there is not.
    """
    who = places.party(("USER", user if user is not None else db.current().actor_id))
    found = _read(
        "c.target_type_id = ? AND c.target_id = ? AND +h.code = 'INTERNAL' AND +s.code = 'COMPLETED'"
        " ORDER BY c.completed_at DESC, c.id DESC LIMIT ?",
        (who.type_id, who.id, limit),
    )
    for one in found:
        one["message"] = states.row(one["id"])["request_data"]
    return found


def show(communication_id: int) -> dict[str, Any]:
    """Return one whole, with its payloads and what it is about. Raise NotFoundError."""
    stored = states.row(communication_id)
    found = _read("c.id = ?", (communication_id,))[0]
    return {
        **found,
        "uuid": stored["uuid"],
        "idempotency_key": stored["idempotency_key"],
        "organization_id": stored["organization_id"],
        "request_data": stored["request_data"],
        "response_data": stored["response_data"],
        "metadata": stored["metadata"],
        "contexts": contexts_of(communication_id),
    }


def contexts_of(communication_id: int) -> list[dict[str, Any]]:
    """Return what one is about, what it is mainly about first."""
    found = db.query(
        "SELECT k.code AS context, k.table_name, x.context_id AS id, lower(r.code) AS relationship"
        " FROM communication_business_context x JOIN business_context_type k ON k.id = x.context_type_id"
        " JOIN relationship_type r ON r.id = x.relationship_type_id"
        " WHERE x.communication_id = ? AND x.status_id = 1 ORDER BY x.relationship_type_id, x.id",
        (communication_id,),
    )
    for row in found:
        row["key"] = _label(row.pop("table_name"), row["id"])
    return found


def thread(communication_id: int) -> list[dict[str, Any]]:
    """Return the communications that share a correlation id as a tree, each with its `children`.

    Raise NotFoundError.
    """
    found = _read("c.correlation_id = ? ORDER BY c.id", (states.row(communication_id)["correlation_id"],))
    by_id = {one["id"]: {**one, "children": []} for one in found}
    roots: list[dict[str, Any]] = []
    for one in by_id.values():
        parent = by_id.get(one["parent_communication_id"])
        (parent["children"] if parent is not None else roots).append(one)
    return roots


def find_by_context(code: str, which: Named | int, *, limit: int = 1000) -> list[dict[str, Any]]:
    """Return every communication about a business row, mainly or also, the newest first.

    It is named by id or key: `("QUOTE", 12)`, `("POLICY", "P-7")`. Raise NotFoundError.
    """
    if isinstance(which, tuple):
        raise InvalidError("A business row is named by its id or its key.")
    place = places.context((code, which))
    return _read(
        "c.id IN (SELECT communication_id FROM communication_business_context WHERE context_type_id = ?1"
        " AND context_id = ?2 AND status_id = 1 UNION SELECT id FROM communication"
        " WHERE business_context_type_id = ?1 AND business_context_id = ?2) ORDER BY c.id DESC LIMIT ?3",
        (place.type_id, place.id, limit),
    )


def _read(where: str, params: Sequence[Any]) -> list[dict[str, Any]]:
    """Read rows, and name whom they are from and to and what they are about as people do."""
    found = db.query(f"{_COLUMNS} WHERE {where}", tuple(params))
    kinds = {
        table: {row["id"]: row for row in db.query(f"SELECT id, code, table_name FROM {table}")}
        for table in ("entity_reference_type", "business_context_type")
    } if found else {}  # fmt: skip
    labels: dict[tuple[int, str, int], str] = {}
    shown = []
    for row in found:
        named = {}
        for name, types in (
            ("source", "entity_reference_type"), ("target", "entity_reference_type"),
            ("business_context", "business_context_type"),
        ):  # fmt: skip
            type_id, key = row.pop(f"{name}_type_id"), row.pop(f"{name}_id")
            if type_id is None:
                continue
            kind = kinds[types][type_id]
            place = (type_id, kind["table_name"], key)
            if place not in labels:
                labels[place] = f"{kind['code'].lower()}:{_label(kind['table_name'], key)}"
            named[name] = "system" if kind["code"] == "SYSTEM" else labels[place]
        first = {name: row.pop(name) for name in ("id", "type", "channel", "direction", "status")}
        shown.append(
            {**first, "source": named["source"], "target": named["target"],
             "about": named.get("business_context"), **row}
        )  # fmt: skip
    return shown


def _label(table: str, key: int) -> Any:
    """Return what people know a row by; its id where that is all there is, or where it is not seen."""
    column = naming.label_column(db.connection(), table)
    if column is None:
        return key
    sql = f"SELECT {quote_name(column)} AS label FROM {quote_name(table)} WHERE id = ?"
    found = db.query(sql, (key,))
    return found[0]["label"] if found else key
