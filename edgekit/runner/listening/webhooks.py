"""`event.webhook`: an event told to another service, signed, as a CloudEvents document.

Every attempt carries the same `Idempotency-Key` (and `webhook-id`, where that is signed) and the same `id`: a
process that ends between sending and noting the answer sends again under the same key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import db, events
from edgekit.connectors import Outgoing
from edgekit.errors import EdgekitError, InvalidError, UnavailableError
from edgekit.events.clouds import as_cloud_event
from edgekit.integrations import figures, outbound, reading, require_usable
from edgekit.integrations.credentials import Secrets
from edgekit.runner.attempts import log_attempts
from edgekit.runner.limits import gated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.connectors import Attempt

KIND = "event.webhook"
CONCURRENCY = 8
ATTEMPTS = 12
"""With the delays between them about six hours."""

_TIMEOUT = 10.0
"""Seconds a receiver has where nothing is said: it has only to say that it took it."""


def _check(
    config: Mapping[str, Any], *, organization_id: int | None = None
) -> tuple[dict[str, Any], outbound.Way]:
    """Return the integration that settings name, and its way out. Raise where it tells nobody by webhook."""
    row = reading.find(integration_in(config), organization_id=organization_id)
    way = outbound.read_way(row["integration_name"], row["connection_config"])
    if way is None or way.kind != "webhook":
        raise InvalidError(
            f"{row['integration_name']} tells nobody by webhook.",
            hint="Create one that does, with --template webhook-out --set to.url=https://…",
        )
    return row, way


def _check_and_use(config: Mapping[str, Any]) -> None:
    """Raise as `_check`, and where whoever asks may not use the integration."""
    _check(config)
    require_usable(integration_in(config))


@events.handles(
    KIND,
    concurrency=CONCURRENCY,
    timeout_seconds=300,
    attempts=ATTEMPTS,
    delay_seconds=10,
    check=_check_and_use,
)
def hand_over(delivery: events.Delivery) -> dict[str, Any] | None:
    """Send the event of a delivery through the integration its subscription names.

    Any 2xx says that it was taken. Whatever else comes, or nothing, is tried again: receivers are mended.
    """
    row, way = _check(delivery.config, organization_id=delivery.organization_id)
    with reading.only(row["id"]):
        return _send(delivery, row, way)


def _send(delivery: events.Delivery, row: dict[str, Any], way: outbound.Way) -> dict[str, Any]:
    name, connector = row["integration_name"], way.connector
    require_usable(name)
    assert connector is not None
    known = connector.write_schema["properties"]
    exchange = figures.exchange_settings(row, way.config, known)
    # The job tries again, with longer and longer delays; meanwhile nobody waits.
    config = {"timeout_seconds": _TIMEOUT, **exchange, **way.config, "retries": way.config.get("retries", 0)}
    parcel = Outgoing(
        as_cloud_event(delivery.event), delivery.event.uuid, delivery.idempotency_key,
        f"event {delivery.event.id}",
    )  # fmt: skip
    limited: Any = connector
    try:
        with (
            gated(limited, row["id"], name) as limited,
            limited.open(config, state={}, secrets=Secrets(row["id"], name)) as writer,
        ):
            sent = writer.send([parcel])
    except EdgekitError as error:
        _log(row, delivery, getattr(error, "attempts", []))
        raise _again(error) from error
    answer = sent.answers[0]
    if answer.error is not None:
        _log(row, delivery, sent.attempts)
        raise _again(answer.error)
    told = {"status": answer.response_code}
    with db.change(reason=f"events: {delivery.subscription}", correlation_id=delivery.event.correlation_id):
        _log(row, delivery, sent.attempts)
        delivery.settle(told)
    return told


def integration_in(config: Mapping[str, Any]) -> str:
    """Return the integration the settings of a subscription name. Raise InvalidError where they name none."""
    name = config.get("integration")
    if not isinstance(name, str) or not name:
        raise InvalidError("The subscription names no integration.")
    return name


def _again(error: EdgekitError) -> UnavailableError:
    """Make an error of one after which it is tried again, whatever the other side said."""
    if isinstance(error, UnavailableError):
        return error
    return UnavailableError(error.message, hint=error.hint)


def _log(row: dict[str, Any], delivery: events.Delivery, attempts: list[Attempt]) -> None:
    with db.change(reason=f"events: {delivery.subscription}", correlation_id=delivery.event.correlation_id):
        log_attempts(
            row["id"], row["organization_id"], attempts, correlation_id=delivery.event.correlation_id
        )
