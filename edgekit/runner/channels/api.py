"""Calls: one exchange with the HTTP service of an integration, which may ask it or tell it something."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from edgekit import codec, connectors
from edgekit.connectors import Outgoing
from edgekit.errors import DeniedError, EdgekitError, SkipRecordError, UnavailableError
from edgekit.integrations import figures
from edgekit.integrations.credentials import Secrets
from edgekit.integrations.instances import connector_config
from edgekit.runner.channels.message import Message, Sent, Service
from edgekit.runner.limits import gated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_KEPT = 1_000_000
"""Characters of the records somebody answered that are kept."""

_REPEATABLE = {"PUT", "DELETE"}


def send(message: Message, service: Service) -> Sent:
    """Make one call with the data of a message, and return what was answered.

    An integration with `to` is told the data as a record, under the idempotency key; one that reads is
    asked with it, as with a row that drives it or else as parameters. Raise as the connector does.
    """
    assert service.integration is not None
    settings = service.integration["connection_config"]
    if "to" in settings:
        return _tell(message, service, settings["to"])
    return _ask(message, service.integration, settings)


def send_signed(message: Message, service: Service) -> Sent:
    """Tell a webhook something, signed. Raise DeniedError where the integration signs nothing."""
    assert service.integration is not None
    to = service.integration["connection_config"].get("to", {})
    if to.get("auth", {}).get("kind") != "hmac":
        name = service.integration["integration_name"]
        raise DeniedError(
            f"{name} does not sign what it sends, and a webhook is signed.",
            hint='Set its to.auth, such as {"kind": "hmac", "secret": "signing_key"}',
        )
    return send(message, service)


def is_repeatable(service: Service) -> bool:
    """Tell whether what may have arrived can be sent again: the service takes it once, or it is a mail."""
    to = service.integration["connection_config"].get("to", {}) if service.integration is not None else {}
    if service.provider is not None or to.get("connector") != "http":
        return True
    knows_key = to.get("idempotency_header", "Idempotency-Key") is not None
    return knows_key or to.get("method", "POST") in _REPEATABLE


def _tell(message: Message, service: Service, to: Mapping[str, Any]) -> Sent:
    assert service.integration is not None
    integration = service.integration
    destination: Any = connectors.get_destination("http")
    config = {key: value for key, value in to.items() if key not in {"connector", "deliveries", "write_back"}}
    # What a run leaves out of rows is no matter here: a communication says itself what is sent.
    if request := {key: value for key, value in config.pop("request", {}).items() if key != "omit"}:
        config["request"] = request
    config = _once(integration, {**config, "batch_size": 1}, destination.write_schema)
    outgoing = Outgoing(dict(message.request_data), str(message.id), message.idempotency_key, "message")
    with _gated(destination, integration) as through:
        opened = through.open(config, state={}, secrets=_secrets(integration))
        with opened as writer:
            try:
                delivery = writer.send([outgoing])
            except UnavailableError as error:
                if is_repeatable(service):
                    raise
                raise _unknown(error) from error
    answer = delivery.answers[0]
    if answer.error is not None:
        vars(answer.error)["attempts"] = delivery.attempts
        vars(answer.error)["response"] = answer.response
        raise answer.error
    return Sent(_document(answer.response), delivery.attempts)


def _ask(message: Message, integration: Mapping[str, Any], settings: Mapping[str, Any]) -> Sent:
    connector: Any = connectors.get("http")
    config = _once(integration, connector_config(settings), connector.config_schema)
    inputs = None
    if "inputs" in config.get("request", {}):
        inputs = iter([{"id": 1, **message.request_data}])
    else:
        config = _with_data(config, message.request_data)
    with _gated(connector, integration) as through:
        pages = through.read(config, state={}, inputs=inputs, secrets=_secrets(integration))
        with closing(pages):
            page = next(pages)
    return Sent(_bounded(page.records), page.attempts)


def _bounded(records: Sequence[Any]) -> dict[str, Any]:
    """Return the records that may be kept, and say so where those are not all."""
    kept: list[Any] = []
    size = 0
    for record in records:
        size += len(codec.dumps(record))
        if size > MAX_KEPT:
            return {"records": kept, "truncated": True}
        kept.append(record)
    return {"records": kept}


def _with_data(config: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Put the data where the service is asked: into the body that is sent, else into the query."""
    request = config.get("request", {})
    for body in ("form", "json"):
        if body in request:
            return {**config, "request": {**request, body: {**request[body], **data}}}
    if config.get("method", "GET") == "POST":
        return {**config, "request": {**request, "json": dict(data)}}
    return {**config, "params": {**config.get("params", {}), **data}}


def _once(
    integration: Mapping[str, Any], config: Mapping[str, Any], schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Return settings with the time-out that counts and no second try: the job tries again, and remembers."""
    found = figures.exchange_settings(integration, config, schema.get("properties", {}))
    return {**config, **found, "retries": 0}


def _gated(connector: Any, integration: Mapping[str, Any]) -> Any:
    return gated(connector, integration["id"], integration["integration_name"])


def _secrets(integration: Mapping[str, Any]) -> Secrets:
    return Secrets(integration["id"], integration["integration_name"])


def _document(said: Any) -> Mapping[str, Any] | None:
    if said is None or isinstance(said, dict):
        return said
    return {"answer": said}


def _unknown(error: EdgekitError) -> SkipRecordError:
    told = unknown(error.message)
    vars(told)["attempts"] = vars(error).get("attempts", [])
    return told


def unknown(message: str) -> SkipRecordError:
    """Return the error of what may have arrived and is not sent again by itself."""
    return SkipRecordError(
        f"{message} Whether it arrived is unknown, and the service knows no key by which it would"
        " take it once: it is not sent again by itself.",
        error_code="unknown",
    )
