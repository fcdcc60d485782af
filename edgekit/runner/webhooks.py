"""What other services tell us of their own accord: checked, kept, and read by their integration later.

A receipt is committed before the sender hears that we have it, so that nothing it believes told is lost; and
what it tells again, because it did not hear us, is kept once.
"""

from __future__ import annotations

import hmac
import threading
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgekit import clock, codec, db, events, jsonpath, masking, tracing
from edgekit.connectors.http_signature import Message, Signature
from edgekit.connectors.webhook import MAX_BODY, decode
from edgekit.errors import (
    ConflictError,
    DeniedError,
    EdgekitError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    quoted,
)
from edgekit.integrations import reading
from edgekit.integrations.credentials import Secrets
from edgekit.models.runner import WebhookReceipt
from edgekit.runner.attempts import log_attempts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edgekit.connectors import Attempt

_SECRETS_SECONDS = 60.0
"""For how long opened secrets are used, so that not each receipt opens them again."""

_HOOKS_OPEN = 1000
_HEADERS = 50
_HEADER_CHARACTERS = 1000
_REFUSALS, _PER_SECONDS = 10, 60.0

_NEVER_KEPT = {"authorization", "proxy-authorization", "cookie", "content-length", "connection", "host"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of one delivery: the receipt's id, or that of the same event told before.

    Of a challenge nothing is kept: it has no id, and is what the sender wants back.
    """

    id: int | None
    event_id: str | None
    is_new: bool
    challenge: str | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """An integration that may be told something, with its settings."""

    id: int
    name: str
    organization_id: int | None
    settings: Mapping[str, Any]

    @property
    def max_body(self) -> int:
        """Bytes a body may have."""
        return int(self.settings.get("max_body_bytes", MAX_BODY))


def find_hook(name: str) -> Hook:
    """Return the integration a webhook is for. Raise NotFoundError where there is none of that name."""
    try:
        row = reading.find(name)
    except ConflictError as error:
        raise NotFoundError(error.message, hint=error.hint) from None
    if row["connection_config"].get("connector") != "webhook":
        raise NotFoundError(
            f"{name} receives no webhooks.", hint="Create one that does: --template webhook-inbox"
        )
    return Hook(row["id"], row["integration_name"], row["organization_id"], row["connection_config"])


def list_hooks() -> list[tuple[str, str]]:
    """Return the active integrations that receive webhooks, each with the kind of its verification."""
    rows = db.query(
        "SELECT integration_name AS name, json_extract(connection_config, '$.verify.kind') AS kind"
        " FROM integration WHERE status_id = 1"
        " AND json_extract(connection_config, '$.connector') = 'webhook' ORDER BY 1"
    )
    return [(row["name"], str(row["kind"])) for row in rows]


def receive_webhook(
    name: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    method: str = "POST",
    path: str = "",
    query: str = "",
    now: datetime | None = None,
) -> Receipt:
    """Check what another service tells an integration and keep it, in one change; told again, only once.

    `headers` are named in any case. Raise NotFoundError (no such webhook), DeniedError (not from who it
    should be from, or too old), InvalidError (neither JSON nor a form, or without its id), UnavailableError
    where it cannot be checked.
    """
    hook = find_hook(name)
    lower = {key.lower(): value for key, value in headers.items()}
    moment = now or clock.now()
    _verify(hook, Message(method, path, query, body), lower, moment)
    content_type = lower.get("content-type", "").partition(";")[0].strip()[:100] or None
    text, document = _read(body, lower, content_type)
    if (challenge := _challenge(hook, document)) is not None:
        return Receipt(None, None, is_new=False, challenge=challenge)
    event_id = _event_id(hook, lower, document)
    # Whoever has proved who it is may say of which of its doings this is a part, as W3C has it.
    is_known = hook.settings.get("verify", {}).get("kind") != "none"
    asked = tracing.read_parent(lower.get("traceparent")) if is_known else None
    try:
        with tracing.under(asked or tracing.current()):
            return _store(hook, event_id, content_type, _kept(hook, lower), text, moment)
    except DeniedError as error:  # of whoever receives, not of whoever sends
        raise UnavailableError(error.message, hint=error.hint) from None


def _store(
    hook: Hook, event_id: str, content_type: str | None, headers: dict[str, str], body: str, moment: datetime
) -> Receipt:
    with db.change(reason=f"webhook {hook.name}"):
        known = db.query(
            "SELECT id FROM webhook_receipt WHERE integration_id = ? AND event_id = ?", (hook.id, event_id)
        )
        if known:
            return Receipt(known[0]["id"], event_id, is_new=False)
        made = WebhookReceipt.create(
            integration_id=hook.id, event_id=event_id, content_type=content_type, headers=headers,
            body=body, received_at=moment, organization_id=hook.organization_id,
        )  # fmt: skip
        events.emit(
            "webhook.received",
            {"integration": hook.name, "receipt_id": made.id, "event_id": event_id},
            source="INTEGRATION", target=hook.name[:100], organization_id=hook.organization_id, now=moment,
        )  # fmt: skip
    return Receipt(made.id, event_id, is_new=True)


def _verify(hook: Hook, message: Message, headers: Mapping[str, str], now: datetime) -> None:
    """Raise DeniedError unless the settings say that this is from who it should be from."""
    settings = hook.settings.get("verify", {})
    kind = settings.get("kind")
    if kind == "none":
        return
    if kind == "hmac":
        Signature(settings, _secret(hook, settings, "signing_key")).verify(message, headers, now=now)
        return
    header = str(settings.get("header", "X-Webhook-Token")).lower()
    expected = settings.get("prefix", "") + _secret(hook, settings, "token")
    given = headers.get(header, "")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise DeniedError("The token is missing." if not given else "The token is wrong.")


_opened: dict[tuple[object, int], tuple[float, Secrets]] = {}
_opening = threading.Lock()


def _secret(hook: Hook, settings: Mapping[str, Any], default: str) -> str:
    """Open the secret to check with. Raise UnavailableError where it cannot be: the fault is ours."""
    key, file = str(settings.get("secret", default)), db.current()
    with _opening:
        until, secrets = _opened.get((file, hook.id), (0.0, None))
        if secrets is None or time.monotonic() >= until:
            secrets = Secrets(hook.id, hook.name)
            if len(_opened) >= _HOOKS_OPEN:
                _opened.clear()
            _opened[file, hook.id] = (time.monotonic() + _SECRETS_SECONDS, secrets)
        try:
            return secrets[key]
        except KeyError:
            raise UnavailableError(
                f"{hook.name} needs the secret {key}, which is not stored.",
                hint=f"Store it: edgekit vault set {quoted(hook.name)} {quoted(key)}",
            ) from None
        except EdgekitError as error:
            raise UnavailableError(error.message, hint=error.hint) from None


def _read(body: bytes, headers: Mapping[str, str], content_type: str | None) -> tuple[str, Any]:
    if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise InvalidError("The body is compressed, which is not taken here.")
    try:
        text = body.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        raise InvalidError("The body is not UTF-8.") from None
    if "\0" in text:
        raise InvalidError("The body holds a NUL.")
    try:
        return text, decode(text, content_type)
    except InvalidError as error:
        raise InvalidError(f"The body is neither JSON nor a form: {error.message}.") from None


def _challenge(hook: Hook, document: Any) -> str | None:
    found = jsonpath.find(hook.settings["challenge"], document) if "challenge" in hook.settings else []
    return found[0] if found and isinstance(found[0], str) and len(found[0]) <= _HEADER_CHARACTERS else None


def _event_id(hook: Hook, headers: Mapping[str, str], document: Any) -> str:
    """Return the sender's own id of what it tells; without a setting that says where it is, one of ours."""
    settings = hook.settings
    found: Any = None
    if "id_header" in settings:
        found, where = headers.get(str(settings["id_header"]).lower()), settings["id_header"]
    elif "id_path" in settings:
        matches, where = jsonpath.find(settings["id_path"], document), settings["id_path"]
        found = matches[0] if matches else None
    else:
        return str(uuid.uuid4())
    if isinstance(found, bool | list | dict) or found is None or not 1 <= len(str(found).strip()) <= 200:
        raise InvalidError(f"There is no id of the event at {where}.")
    return str(found).strip()


def _kept(hook: Hook, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are kept: not those that prove who sent it, nor what looks like a secret."""
    proof = str(hook.settings.get("verify", {}).get("header", "")).lower()
    kept = {}
    for name, value in list(headers.items())[:_HEADERS]:
        telling = name in _NEVER_KEPT or name == proof or "signature" in name or masking.ends_in_secret(name)
        if not telling:
            kept[name[:100]] = masking.secrets(value)[:_HEADER_CHARACTERS]
    return kept


class Refusals:
    """Logs deliveries that were refused: so many a minute for each integration, the rest only counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[int, list[float]] = {}

    def note(self, hook: Hook, attempt: Attempt) -> bool:
        """Write one as an attempt of its integration, unless the minute has had its share; tell if it was."""
        with self._lock:
            window = self._windows.setdefault(hook.id, [0.0, 0, 0])
            moment = time.monotonic()
            if moment - window[0] >= _PER_SECONDS or not window[1]:
                window[0], window[1] = moment, 0
            window[1] += 1
            if window[1] > _REFUSALS:
                window[2] += 1
                return False
            unsaid, window[2] = int(window[2]), 0
        if unsaid:
            more = f"{attempt.error} ({unsaid} more were refused before and not logged)"
            attempt = replace(attempt, error=more)
        with db.change(reason=f"webhook {hook.name}: refused") as change:
            log_attempts(hook.id, hook.organization_id, [attempt], correlation_id=change.correlation_id)
        return True


_RECEIPT = (
    "SELECT r.id, i.integration_name AS integration, r.received_at, r.event_id, r.content_type,"
    " length(r.body) AS characters, ifnull(c.state ->> '$.state.input' >= r.id, 0) AS is_read{more}"
    " FROM webhook_receipt r JOIN integration i ON i.id = r.integration_id"
    " LEFT JOIN integration_checkpoint c ON c.integration_id = i.id"
)


def list_webhook_receipts(*, integration: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Return what was received, the newest first, without bodies; `is_read` where a run has read it."""
    wanted = reading.find(integration)["id"] if integration is not None else None
    rows = db.query(
        f"{_RECEIPT.format(more='')} WHERE ?1 IS NULL OR r.integration_id = ?1 ORDER BY r.id DESC LIMIT ?2",
        (wanted, limit),
    )
    return [{**row, "is_read": bool(row["is_read"])} for row in rows]


def show_webhook_receipt(receipt_id: int) -> dict[str, Any]:
    """Return one receipt with headers and body. Raise NotFoundError."""
    rows = db.query(f"{_RECEIPT.format(more=', r.headers, r.body')} WHERE r.id = ?", (receipt_id,))
    if not rows:
        raise NotFoundError(f"There is no receipt {receipt_id}.", hint="See: edgekit webhooks list")
    row = rows[0]
    return {**row, "is_read": bool(row["is_read"]), "headers": codec.loads(row["headers"])}
