"""Writing a communication: its row, what it is about, and the job that sends it, in one change."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from edgekit import clock, db, masking
from edgekit.communications import places, states
from edgekit.communications.places import Place
from edgekit.errors import ConflictError, InvalidError, NotFoundError
from edgekit.models.communications import Communication, CommunicationBusinessContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from edgekit.communications.places import Named

INTERNAL = "INTERNAL"
"""The channel whose messages have arrived once they are written: the inbox of a user is in this file."""

RELATIONS = {"primary": 1, "related": 2, "referenced": 3}


def create(
    type: str,  # noqa: A002 - as the table calls it
    *,
    target: Named = "system",
    channel: str | None = None,
    source: Named | None = None,
    direction: str = "OUTBOUND",
    request_data: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    context: Named | None = None,
    related: Iterable[Named] = (),
    scheduled_at: datetime | None = None,
    parent: int | None = None,
    correlation_id: str | None = None,
    idempotency_key: str | None = None,
    organization: int | None = None,
    priority: int = 5,
    now: datetime | None = None,
) -> Communication:
    """Write a communication, its contexts and the job that sends it, in one change; return its row.

    Without a `channel` it travels by the default of its type. The source is who works, `system` where that is
    the system user. `context` is what it is mainly about, `related` what else. It is not sent before
    `scheduled_at`. A child shares the correlation id of its `parent`; without one it is that of the open
    change. With an `idempotency_key` that a communication has already, that one is returned and nothing
    written. One that comes in, or goes to a user's inbox (INTERNAL), has arrived once it is written.

    Raise NotFoundError (type, channel, party, row), InvalidError (the channel is not linked to the type, a
    secret in the data, a time without its zone), RuleError (data not as the type's schemas say),
    ConflictError (the key is another's).
    """
    at, kind = now or clock.now(), places.find_type(type)
    if scheduled_at is not None and scheduled_at.tzinfo is None:
        raise InvalidError("scheduled_at names no time zone.", hint="Use edgekit.clock.now() and the like.")
    way, to = places.route(kind, channel), places.party(target)
    sender = places.party(source if source is not None else _who_works())
    about = places.context(context) if context is not None else None
    _refuse_secrets("request_data", request_data)
    _refuse_secrets("metadata", metadata)
    above = states.row(parent) if parent is not None else None
    thread = correlation_id or (above["correlation_id"] if above else None)
    with db.change(reason=f"communications create {kind['code']}", correlation_id=thread) as change:
        if idempotency_key is not None and (known := _known(idempotency_key, kind)) is not None:
            return known
        made = _insert(
            sender, to, about, idempotency_key,
            organization=_owner(organization, above, about, to), communication_type=kind["id"],
            channel=way["id"], direction=_direction(direction), parent_communication=parent,
            request_data=request_data, metadata=metadata, scheduled_at=scheduled_at,
            correlation_id=thread or change.correlation_id,
            **_beginning(way["code"], direction, scheduled_at, at),
        )  # fmt: skip
        for place, relation in _contexts(about, related):
            _relate(made.id, place, relation)
        if made.completed_at is None:
            states.enqueue(made.id, run_at=scheduled_at or at, priority=priority, now=at)
    return made


def copy(one: Mapping[str, Any], *, now: datetime) -> int:
    """Write a communication once more, as a child of its own with the same contexts, and return its id."""
    kept = ("request_data", "metadata", "correlation_id", "channel_id", "direction_id", "organization_id",
            "communication_type_id")  # fmt: skip
    made = _insert(
        Place(one["source_type_id"], one["source_id"], "", ""),
        Place(one["target_type_id"], one["target_id"], "", ""),
        None, None, parent_communication=one["id"],
        business_context_type=one["business_context_type_id"], business_context_id=one["business_context_id"],
        communication_status=states.status_id("PENDING"),
        **{name.removesuffix("_id") if name != "correlation_id" else name: one[name] for name in kept},
    )  # fmt: skip
    about = CommunicationBusinessContext
    for row in about.select().where(about.communication == one["id"], about.status == 1):
        about.create(
            communication=made.id, context_type=row.context_type_id, context_id=row.context_id,
            relationship_type=row.relationship_type_id,
        )  # fmt: skip
    states.enqueue(made.id, run_at=now, now=now)
    return int(made.id)


def _insert(sender: Place, to: Place, about: Place | None, key: str | None, **values: Any) -> Communication:
    identity = str(uuid.uuid4())
    if about is not None:
        values |= {"business_context_type": about.type_id, "business_context_id": about.id}
    made: Communication = Communication.create(
        uuid=identity, idempotency_key=key or identity, source_type=sender.type_id, source_id=sender.id,
        target_type=to.type_id, target_id=to.id,
        **{name: dict(value) if name in {"request_data", "metadata"} and value is not None else value
           for name, value in values.items()},
    )  # fmt: skip
    return made


def add_context(communication_id: int, context: Named, *, relationship: str = "related") -> None:
    """Say that a communication has to do with one more business row; again is nothing new.

    `relationship` is `primary` (where it has none yet), `related` or `referenced`. Raise NotFoundError,
    InvalidError (the relationship), ConflictError (it is mainly about another row).
    """
    if relationship not in RELATIONS:
        raise InvalidError(f"There is no relationship {relationship}.", hint=f"It is {', '.join(RELATIONS)}.")
    row, place = states.row(communication_id), places.context(context)
    with db.change(reason=f"communications context {communication_id}"):
        if relationship == "primary":
            _make_primary(row, place)
        _relate(communication_id, place, relationship)


def _make_primary(row: Mapping[str, Any], place: Place) -> None:
    own = (row["business_context_type_id"], row["business_context_id"])
    if own == (place.type_id, place.id):
        return
    if own != (None, None):
        raise ConflictError(
            f"Communication {row['id']} is mainly about another row.", hint="Add this one as related."
        )
    Communication.update(business_context_type=place.type_id, business_context_id=place.id).where(
        Communication.id == row["id"]
    ).execute()


def _relate(communication_id: int, place: Place, relationship: str) -> None:
    about = CommunicationBusinessContext
    known = about.get_or_none(communication=communication_id, context_type=place.type_id, context_id=place.id)
    wanted = RELATIONS[relationship]
    if known is None:
        about.create(
            communication=communication_id, context_type=place.type_id, context_id=place.id,
            relationship_type=wanted,
        )  # fmt: skip
    elif known.status_id != 1 or known.relationship_type_id not in {1, wanted}:
        known.status, known.relationship_type = 1, known.relationship_type_id == 1 or wanted
        known.save()


def _contexts(about: Place | None, related: Iterable[Named]) -> list[tuple[Place, str]]:
    found = [(about, "primary")] if about is not None else []
    for named in related:
        place = places.context(named)
        if all((place.type_id, place.id) != (one.type_id, one.id) for one, _ in found):
            found.append((place, "related"))
    return found


def _known(key: str, kind: Mapping[str, Any]) -> Communication | None:
    """Return the communication that has a key. Raise ConflictError where it is one of another type."""
    found: Communication | None = Communication.get_or_none(idempotency_key=key)
    if found is not None and found.communication_type_id != kind["id"]:
        raise ConflictError(f"The key {key} is that of communication {found.id}, which is of another type.")
    return found


def _who_works() -> Named:
    actor = db.current().actor_id
    return "system" if actor == 1 else ("USER", actor)


def _owner(given: int | None, above: Mapping[str, Any] | None, about: Place | None, to: Place) -> int:
    """Say whose it is: the one named, its parent's, that of what it is about, the receiver's, our own."""
    if given is not None:
        return given
    if above is not None:
        return int(above["organization_id"])
    for place in (about, to):
        owner = places.organization_of(place) if place is not None else None
        if owner is not None:
            return int(owner)
    return db.current().session.organization_id


def _direction(code: str) -> int:
    found = db.query("SELECT id FROM communication_direction WHERE code = ?", (code,))
    if not found:
        raise NotFoundError(f"There is no direction {code}.", hint="INBOUND, OUTBOUND or BIDIRECTIONAL.")
    return int(found[0]["id"])


def _beginning(channel: str, direction: str, due: datetime | None, at: datetime) -> dict[str, Any]:
    """Return the state it begins in: what needs nobody to carry it has arrived."""
    if direction.upper() == "INBOUND" or (channel == INTERNAL and (due is None or due <= at)):
        return {"communication_status": states.status_id("COMPLETED"), "started_at": at, "completed_at": at}
    return {"communication_status": states.status_id("PENDING")}


def _refuse_secrets(where: str, document: Any) -> None:
    """Raise InvalidError for a member named like a secret: what is kept of an exchange holds none."""
    if isinstance(document, dict):
        for name, value in document.items():
            if (
                masking.is_secret(str(name))
                and isinstance(value, str | int | float)
                and value != masking.MASK
            ):
                raise InvalidError(
                    f"{where}: {name} is named like a secret, and what is sent is kept in clear.",
                    hint="Leave it out: secrets are in the vault, and the integration that sends adds them.",
                )
            _refuse_secrets(where, value)
    elif isinstance(document, list):
        for item in document:
            _refuse_secrets(where, item)
