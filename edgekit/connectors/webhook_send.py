"""Telling another service by webhook: one signed request for each record, and any 2xx is a yes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgekit.connectors.base import Answer
from edgekit.connectors.http_auth import Credentials
from edgekit.connectors.http_exchange import Exchange
from edgekit.connectors.http_settings import WRITE_SCHEMA as _HTTP
from edgekit.connectors.http_write import HttpWriter, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edgekit.connectors.base import Gate, Outgoing
    from edgekit.connectors.http_exchange import Reply
    from edgekit.connectors.http_requests import Request

CLOUD_EVENT = "application/cloudevents+json; charset=UTF-8"

_TAKEN = (
    "headers", "idempotency_header", "auth", "timeout_seconds", "retries", "retry_delay_ms",
    "retry_multiplier", "max_retry_after_seconds",
)  # fmt: skip
_properties: Mapping[str, Any] = _HTTP["properties"]

WRITE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["url", "auth"],
    "properties": {
        "url": {
            **_properties["base_url"],
            "description": "Where it is told, such as https://example.com/hook",
        },
        **{name: _properties[name] for name in _TAKEN},
    },
}


@contextmanager
def opened(
    config: Mapping[str, Any], secrets: Mapping[str, str], gate: Gate, sleep: Callable[[float], None]
) -> Iterator[WebhookWriter]:
    """Open the way to one receiver. Raise InvalidError for settings or secrets it cannot be opened with."""
    told = {**config, "base_url": config["url"], "method": "POST"}
    credentials = Credentials(config["auth"], secrets)
    with Exchange(told, credentials, sleep, gate) as exchange:
        yield WebhookWriter(told, {}, credentials, exchange)


class WebhookWriter(HttpWriter):
    """An open way to one receiver. What it answers beside a 2xx is of no account."""

    def _make(self, records: Sequence[Outgoing]) -> Request:
        """Make the request. Where a nonce is signed it is the key: the same in every try of a record."""
        request = super()._make(records)
        headers = dict(request.headers)
        signature = self._credentials.signature
        if signature is not None and signature.nonce_header is not None and self._key_header is not None:
            headers[signature.nonce_header] = headers[self._key_header]
        return replace(request, headers=headers)

    def _content(self, records: Sequence[Outgoing], headers: dict[str, str]) -> bytes | None:
        content = super()._content(records, headers)
        if "specversion" in records[0].record:
            headers["Content-Type"] = CLOUD_EVENT
        return content

    def _taken(self, request: Request, reply: Reply, records: Sequence[Outgoing]) -> list[Answer]:
        status, _, body = reply
        return [Answer(None, status, None, self._bounded(said(body))) for _ in records]
