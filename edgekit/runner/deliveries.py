"""What was sent last of each record, and what the other side answered: read before sending, written after."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db, events, integrations, masking
from edgekit.connectors import Answer
from edgekit.errors import EdgekitError, InvalidError, RuleError
from edgekit.schema import quote_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.connectors import Outgoing
    from edgekit.integrations import Plan

_AT_ONCE = 500
_LONGEST_KEY = 200
_LONGEST_RESPONSE = 10_000
"""Characters of an answer that are kept."""

_TOUCHED = {"updated_at", "updated_by"}
"""Say when a row was written, not what it says: where rows go as they are, they do not count as content."""


@dataclass(frozen=True, slots=True)
class Last:
    """What was sent last of a record."""

    content_digest: str
    idempotency_key: str
    is_delivered: bool
    is_replaced: bool = False
    """Whether other content was on its way when the process ended: nobody knows which the other side has."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A record on its way out: its place in the page, as it came, what is sent, and what identifies that."""

    index: int
    record: Any
    outgoing: Outgoing
    content_digest: str
    replaces: bool = False
    """Whether the other side has other content of it."""


def record_key(plan: Plan, record: Any, position: str) -> str:
    """Identify a record in its source: by its key, else by its place where it keeps it, else by content."""
    names = [plan.inputs.key] if plan.connector.name == "table" and plan.inputs else list(plan.key)
    if names:
        if not isinstance(record, dict) or any(record.get(name) in (None, "") for name in names):
            raise InvalidError(f"The record has no {', '.join(names)}, which identifies it.")
        parts = [str(record[name]) for name in names]
        if len(parts) > 1:  # a/b and c is not a and b/c
            parts = [part.replace("%", "%25").replace("/", "%2F") for part in parts]
        text = "/".join(parts)
    elif plan.connector.positions_are_stable:
        text = position
    else:
        text = hashlib.sha256(codec.canonical(record).encode()).hexdigest()
    return text if len(text) <= _LONGEST_KEY else hashlib.sha256(text.encode()).hexdigest()


def content_digest(plan: Plan, document: dict[str, Any]) -> str:
    """Identify what is sent of a record."""
    assert plan.to is not None
    if plan.mapping is None:
        left_out = _TOUCHED | set(plan.to.write_back)
        document = {name: value for name, value in document.items() if name not in left_out}
    return hashlib.sha256(codec.canonical(document).encode()).hexdigest()


def idempotency_key(plan: Plan, key: str, digest: str, last: Last | None) -> str:
    """Return what the other side knows a repeated delivery by.

    It is the same as long as the content is, whatever crashes and however often it is sent. Content that
    comes back after another one was sent is a delivery of its own.
    """
    before = ""
    if last is not None:
        if last.content_digest == digest and not last.is_replaced:
            return last.idempotency_key
        before = last.idempotency_key
    text = f"{db.current().site}/{plan.integration_id}/{key}/{digest}/{before}"
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def read_last(plan: Plan, keys: Sequence[str]) -> dict[str, Last]:
    """Return what was sent last of these records, of those that were."""
    assert plan.to is not None
    if not plan.to.keeps_deliveries:
        return {}
    found = {}
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        rows = db.query(
            "SELECT record_key, content_digest, idempotency_key, delivery_status FROM integration_delivery"
            f" WHERE integration_id = ? AND record_key IN ({', '.join('?' * len(part))})",
            (plan.integration_id, *part),
        )
        for row in rows:
            status = row["delivery_status"]
            found[row["record_key"]] = Last(
                row["content_digest"], row["idempotency_key"], status == "delivered", status == "sending"
            )
    return found


def announce(plan: Plan, parcels: Sequence[Parcel], *, correlation_id: str) -> None:
    """Note which records of the other side are about to be replaced, in a change of its own.

    Where the process ends before it knows the answer, what was delivered before counts no longer: a row that
    goes back to it is sent again.
    """
    assert plan.to is not None
    replaced = [(plan.integration_id, parcel.outgoing.key) for parcel in parcels if parcel.replaces]
    if not replaced or not plan.to.keeps_deliveries:
        return
    at, actor = clock.now_text(), db.current().actor_id
    with db.change(reason=f"run {plan.name}: sending", correlation_id=correlation_id):
        db.connection().executemany(
            f"UPDATE integration_delivery SET delivery_status = 'sending', updated_at = '{at}',"
            f" updated_by = {actor} WHERE integration_id = ? AND record_key = ?"
            " AND delivery_status <> 'sending'",
            replaced,
        )


def store(
    plan: Plan, parcels: Sequence[Parcel], answers: Sequence[Answer], *, execution_id: int | None
) -> None:
    """Write what was answered to each record, in the open change."""
    assert plan.to is not None
    if not plan.to.keeps_deliveries:
        return
    at, actor = clock.now_text(), db.current().actor_id
    db.connection().executemany(
        "INSERT INTO integration_delivery(integration_id, record_key, execution_id, content_digest,"
        " idempotency_key, delivery_status, response_code, external_reference, response_data, error_message,"
        " sent_at, created_by, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (integration_id, record_key) DO UPDATE SET execution_id = excluded.execution_id,"
        " content_digest = excluded.content_digest, idempotency_key = excluded.idempotency_key,"
        " delivery_status = excluded.delivery_status, response_code = excluded.response_code,"
        " external_reference = excluded.external_reference, response_data = excluded.response_data,"
        " error_message = excluded.error_message, sent_at = excluded.sent_at,"
        " updated_by = excluded.created_by, updated_at = excluded.updated_at",
        [
            (
                plan.integration_id,
                parcel.outgoing.key,
                execution_id,
                parcel.content_digest,
                parcel.outgoing.idempotency_key,
                "delivered" if answer.error is None else "failed",
                answer.response_code,
                _reference(answer),
                _response(answer.response),
                masking.text(answer.error.message) if answer.error is not None else None,
                at,
                actor,
                at,
                at,
            )
            for parcel, answer in zip(parcels, answers, strict=True)
        ],
    )


def _reference(answer: Answer) -> str | None:
    found = answer.external_reference
    return masking.text(found)[:100] if found else None


def _response(response: Any) -> str | None:
    """Write an answer as it may be read; one that is too long keeps its beginning."""
    if response is None:
        return None
    masked = masking.document(response)
    text = codec.dumps(masked if isinstance(masked, dict) else {"answer": masked})
    if len(text) <= _LONGEST_RESPONSE:
        return text
    return codec.dumps({"beginning": text[:_LONGEST_RESPONSE]})


def write_back(
    plan: Plan, parcels: Sequence[Parcel], answers: Sequence[Answer]
) -> list[tuple[Parcel, EdgekitError]]:
    """Write values of the answers into the rows they are answers to, in the open change.

    Return those the file refuses to write so. An equal row is not touched.
    """
    assert plan.to is not None
    if not plan.to.write_back:
        return []
    assert plan.inputs is not None
    assert plan.inputs.table is not None
    signature = {"updated_at": clock.now_text(), "updated_by": db.current().actor_id}
    signed = signature.keys() & set(integrations.outbound.columns_of(plan.inputs.table))
    by = {name: signature[name] for name in signed}
    failures: list[tuple[Parcel, EdgekitError]] = []
    for parcel, answer in zip(parcels, answers, strict=True):
        if answer.error is not None:
            continue
        values = {}
        for column, path in plan.to.write_back.items():
            found = path.find(answer.response)
            if found:
                first = found[0]
                values[column] = codec.dumps(first) if isinstance(first, dict | list) else first
        try:
            with db.change():
                _update(plan.inputs.table, plan.inputs.key, parcel.record, values, by)
        except RuleError as error:
            failures.append((parcel, error))
    return failures


def _update(
    table: str, key: str, record: Mapping[str, Any], values: Mapping[str, Any], by: Mapping[str, Any]
) -> None:
    """Write values into a row where it has others, signed."""
    if not values:
        return
    differs = " OR ".join(f"{quote_name(name)} IS NOT ?" for name in values)
    written = {**by, **values}
    assigned = ", ".join(f"{quote_name(name)} = ?" for name in written)
    db.connection().execute(
        f"UPDATE {quote_name(table)} SET {assigned} WHERE {quote_name(key)} = ? AND ({differs})",
        (*written.values(), record[key], *values.values()),
    )


def tell(plan: Plan, parcels: Sequence[Parcel]) -> list[Answer]:
    """Write records as events into the outbox, in the open change, and return an answer to each.

    What is told of one record reaches each listener in order.
    """
    assert plan.to is not None
    config = plan.to.config
    told = events.emit_many(
        config["type"],
        [parcel.outgoing.record for parcel in parcels],
        source=str(config.get("source", "INTEGRATION")),
        target=config.get("target"),
        organization_id=plan.organization_id,
        ordering_keys=[_ordering_key(plan, parcel) for parcel in parcels],
        metadata=[{"integration": plan.name, "record_key": parcel.outgoing.key} for parcel in parcels],
    )
    return [Answer(external_reference=event.uuid, response={"event": event.uuid}) for event in told]


def _ordering_key(plan: Plan, parcel: Parcel) -> str:
    text = f"{plan.name}/{parcel.outgoing.key}"
    return text if len(text) <= _LONGEST_KEY else hashlib.sha256(text.encode()).hexdigest()


def list_deliveries(name: str, *, failed: bool = False, limit: int = 1000) -> list[dict[str, Any]]:
    """Return what became of the records an integration sent, the last sent first; only the `failed` ones.

    Raise NotFoundError if there is no such integration.
    """
    row = integrations.find(name)
    found = db.query(
        "SELECT record_key, delivery_status AS status, response_code, external_reference, error_message,"
        " response_data, idempotency_key, content_digest, execution_id, sent_at FROM integration_delivery"
        " WHERE integration_id = ?1 AND (NOT ?2 OR delivery_status = 'failed')"
        " ORDER BY sent_at DESC, id LIMIT ?3",
        (row["id"], failed, limit),
    )
    for item in found:
        item["response_data"] = codec.loads(item["response_data"]) if item["response_data"] else None
    return found
