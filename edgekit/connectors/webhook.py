"""Webhooks: the records in what other services told us and was kept; and our own, told to others."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from edgekit import codec
from edgekit.connectors import http_answers
from edgekit.connectors.base import Gate, Page, Reject, open_gate
from edgekit.connectors.http_answers import Answer
from edgekit.connectors.http_signature import SIGNATURE_SETTINGS
from edgekit.connectors.webhook_send import WRITE_SCHEMA, opened
from edgekit.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager

    from edgekit.connectors.webhook_send import WebhookWriter

MAX_BODY = 1024 * 1024
FORM = "application/x-www-form-urlencoded"

_PAGE_BYTES = 8 * 1024 * 1024
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_HEADER: dict[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9_.\\-]+$"}

_CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verify"],
    "properties": {
        "verify": {
            "type": "object",
            "additionalProperties": False,
            "required": ["kind"],
            "properties": {
                "kind": {"enum": ["hmac", "token", "none"]},
                "secret": {
                    **_TEXT,
                    "description": "Key of the stored secret: signing_key, for token token.",
                    "x-secret": "signing_key",
                },
                **SIGNATURE_SETTINGS,
                "tolerance_seconds": {"type": "number", "minimum": 1, "maximum": 86_400, "default": 300},
            },
        },
        "id_header": {**_HEADER, "description": "Carries the sender's own id of what it tells."},
        "id_path": {**_TEXT, "description": "Where that id is in the body, such as $.id"},
        "challenge": {
            **_TEXT,
            "description": "Where a sender that asks whether we are there says what it wants back.",
        },
        "records": {**_TEXT, "default": "$", "description": "JSONPath to the records in a body."},
        "about": {
            **_TEXT,
            "description": "Member each record is given: event_id, received_at and headers of its receipt.",
        },
        "batch_size": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1000},
        "max_body_bytes": {"type": "integer", "minimum": 1, "maximum": 64 * 1024 * 1024, "default": MAX_BODY},
    },
    "not": {"required": ["id_header", "id_path"]},
}


class WebhookConnector:
    """Reads the records of what was received, each receipt once, in their order; and tells others ours."""

    name: ClassVar[str] = "webhook"
    positions_are_stable: ClassVar[bool] = True
    config_schema: ClassVar[Mapping[str, Any]] = _CONFIG_SCHEMA
    write_schema: ClassVar[Mapping[str, Any]] = WRITE_SCHEMA
    driven_by: ClassVar[Mapping[str, Any]] = {
        "table": "webhook_receipt",
        "columns": ("event_id", "content_type", "headers", "body", "received_at"),
        "by": "integration_id",
    }

    def __init__(self, sleep: Callable[[float], None] = time.sleep, gate: Gate = open_gate) -> None:
        self._sleep = sleep
        self._gate = gate

    def through(self, gate: Gate) -> WebhookConnector:
        """Return a connector whose every request, each try of it, passes a gate first."""
        return WebhookConnector(self._sleep, gate)

    def open(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> AbstractContextManager[WebhookWriter]:
        """Open the way to a receiver. Raise InvalidError for settings or secrets it cannot be opened with."""
        del state
        return opened(config, secrets, self._gate, self._sleep)

    def probe(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> None:
        """There is nothing that could be asked: the other side comes to us."""

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Iterator[dict[str, Any]] | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Yield the records of receipts, none where nothing came; the state names the last one read.

        A receipt that is not what its sender says, or has no records where they should be, is set aside.
        """
        size, last = int(config.get("batch_size", 1000)), state.get("input", 0)
        page, held = _Receipts(config), 0
        for row in inputs or ():
            if page.count >= size or held >= _PAGE_BYTES:
                yield page.close({"input": last})
                page, held = _Receipts(config), 0
            page.take(row)
            held += len(row["body"])
            last = row["id"]
        if page.count:
            yield page.close({"input": last, "done": True})


class _Receipts:
    """What a page holds: the records of some receipts, and what is set aside of them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.count = 0
        self._config = config
        self._records: list[Any] = []
        self._positions: list[str] = []
        self._rejects: list[Reject] = []

    def close(self, state: dict[str, Any]) -> Page:
        return Page(self._records, self._positions, state, rejects=self._rejects)

    def take(self, row: Mapping[str, Any]) -> None:
        """Add the records of one receipt."""
        where = f"receipt {row['id']}"
        self.count += 1
        try:
            document = decode(row["body"], row["content_type"])
            answer = Answer(document, where, where)
            records = http_answers.records_in(answer, self._config.get("records", "$"))
        except InvalidError as error:
            self._rejects.append(Reject(row["body"], where, "shape", error.message))
            return
        self.count += max(0, len(records) - 1)
        about = self._config.get("about")
        for number, record in enumerate(records, 1):
            position = f"{where} record {number}"
            if not isinstance(record, dict):
                message = f"A record is an object; this is {http_answers.kind_of(record)}."
                self._rejects.append(Reject(codec.dumps(record), position, "shape", message))
                continue
            if about is not None:
                told = {"event_id": row["event_id"], "received_at": row["received_at"]}
                record = {**record, about: {**told, "headers": json.loads(row["headers"])}}
            self._records.append(record)
            self._positions.append(position)


def decode(body: str, content_type: str | None) -> Any:
    """Decode a body: a form where its sender says so, else JSON. Raise InvalidError for what is neither."""
    if (content_type or "").partition(";")[0].strip().lower() != FORM:
        return codec.loads(body)
    try:
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True, max_num_fields=10_000)
    except ValueError:
        raise InvalidError("not a form") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = value if name not in found else [*_listed(found[name]), value]
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
