"""Mails: one message by the SMTP account of an integration, under a Message-ID that stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit import connectors, db
from edgekit.connectors import Outgoing
from edgekit.errors import InvalidError, UnavailableError
from edgekit.integrations.credentials import Secrets
from edgekit.runner.channels.message import Message, Sent, Service
from edgekit.runner.limits import gated

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEMPLATE = {"recipient", "cc", "bcc", "reply_to", "subject", "body"}
"""Settings of an integration that makes mails of rows: a communication says itself what goes to whom."""


def send(message: Message, service: Service) -> Sent:
    """Send a mail: `subject`, `text`, `html`, `to`, `cc`, `bcc`, `reply_to` of its data.

    Without `to` it goes to the address of the target, without a subject it is named by its type. Raise
    InvalidError where nobody knows the address, and as the connector does.
    """
    assert service.integration is not None
    integration = service.integration
    to: Mapping[str, Any] = integration["connection_config"]["to"]
    left_out = {"connector", "deliveries", "write_back", *_TEMPLATE}
    config = {key: value for key, value in to.items() if key not in left_out}
    mail = dict(message.request_data)
    if not mail.get("to"):
        mail["to"] = _address(message)
    mail["subject"] = mail.get("subject") or message.type.replace("_", " ").capitalize()
    outgoing = Outgoing(mail, str(message.id), message.idempotency_key, "message")
    destination: Any = connectors.get_destination("smtp")
    secrets = Secrets(integration["id"], integration["integration_name"])
    with (
        gated(destination, integration["id"], integration["integration_name"]) as through,
        through.open(config, state={}, secrets=secrets) as writer,  # type: ignore[attr-defined]
    ):
        delivery = writer.send([outgoing])
    answer = delivery.answers[0]
    if answer.error is not None:
        refusal = answer.error
        if (
            answer.response_code is not None and answer.response_code < 500
        ):  # not now, as servers say at first
            refusal = UnavailableError(refusal.message)
        vars(refusal)["attempts"] = delivery.attempts
        raise refusal
    said = answer.response if isinstance(answer.response, dict) else {}
    told = {"message_id": answer.external_reference, "code": answer.response_code}
    return Sent({**told, **said}, delivery.attempts)


def _address(message: Message) -> str:
    """Return the address of who it is for."""
    table, key = message.target
    columns = {row["name"] for row in db.query("SELECT name FROM pragma_table_info(?)", (table,))}
    found = db.query(f"SELECT email FROM {table} WHERE id = ?", (key,)) if "email" in columns else []
    if not found or not found[0]["email"]:
        raise InvalidError(
            f"Nobody knows where the mail is to go: the {table} it is for has no address.",
            hint='Give the target an email, or say it in the data: {"to": "office@example.org"}',
        )
    return str(found[0]["email"])
