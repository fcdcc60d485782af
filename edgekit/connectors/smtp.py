"""Mail as a destination: one message per record, sent to a mail server by SMTP.

The settings say what a record becomes; without a recipient, subject and body each record is a whole mail.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from edgekit import clock, codec, masking
from edgekit.connectors.base import Answer, Attempt, Delivery
from edgekit.connectors.smtp_message import ADDRESS, CONTROL, compose, message_id
from edgekit.errors import DeniedError, EdgekitError, InvalidError, SkipRecordError, UnavailableError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.connectors.base import Outgoing

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\}")
_TEXT = {"type": "string", "minLength": 1}
_GONE = (smtplib.SMTPServerDisconnected, OSError, UnicodeError)
"""The connection is no longer there; an error of the protocol is an OSError too, so it is asked for first. A
host that can be nobody's name is a UnicodeError."""


class SmtpConnector:
    """Sends a mail for each record. A record whose mail the server refuses is told of by itself."""

    name: ClassVar[str] = "smtp"
    positions_are_stable: ClassVar[bool] = False
    is_source: ClassVar[bool] = False
    write_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["host", "sender"],
        "dependentRequired": {
            "recipient": ["subject", "body"],
            "subject": ["recipient", "body"],
            "body": ["recipient", "subject"],
        },
        "properties": {
            "host": {**_TEXT, "description": "The mail server."},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "587; 465 for tls."},
            "security": {
                "enum": ["starttls", "tls", "none"],
                "default": "starttls",
                "description": "none only on this machine itself.",
            },
            "username": {"type": ["string", "null"], "description": "To log in with; absent: no log-in."},
            "password": {
                "type": ["object", "null"],
                "description": 'Its key in the vault: {"vault": "key"}',
                "x-secret": "smtp_password",
            },
            "sender": {**_TEXT, "description": "The address it comes from."},
            "recipient": {
                **_TEXT,
                "description": "Addresses, comma-separated: {email}; absent: a record is a whole mail.",
            },
            "cc": _TEXT,
            "bcc": _TEXT,
            "reply_to": _TEXT,
            "subject": {**_TEXT, "description": "Members of the record in braces: Policy {policy_number}"},
            "body": {**_TEXT, "description": "Plain text; members of the record in braces."},
            "timeout_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 600, "default": 30},
        },
    }
    config_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "additionalProperties": False}

    def target_of(self, config: Mapping[str, Any]) -> str:
        """Return the mail server, as smtp://host:port."""
        port = config.get("port", _PORTS[str(config.get("security", "starttls"))])
        return f"smtp://{config['host']}:{port}".lower()

    def read(self, *_: Any, **__: Any) -> Any:
        """Raise InvalidError: a mail server is written to."""
        raise InvalidError("The connector smtp sends; nothing can be read by it.")

    @contextmanager
    def open(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> Iterator[SmtpWriter]:
        """Open the way to the server; it is connected to when the first mail goes."""
        writer = SmtpWriter(config, state, _password(config, secrets))
        try:
            yield writer
        finally:
            writer.close()


class SmtpWriter:
    """An open way to one mail server, one connection for all mails."""

    def __init__(self, config: Mapping[str, Any], state: Mapping[str, Any], password: str | None) -> None:
        """Raise InvalidError for settings that cannot be used."""
        self._config = config
        self._state = dict(state)
        self._password = password
        self._server: smtplib.SMTP | None = None
        self._security = str(config.get("security", "starttls"))
        self._host = str(config["host"])
        self._port = int(config.get("port", _PORTS[self._security]))
        self._attempts: list[Attempt] = []
        if self._security == "none" and self._host.lower() not in _LOOPBACK:
            raise InvalidError(
                f"Mail to {self._host} would go over the network for everybody to read.",
                hint="Set security to starttls or tls.",
            )
        for setting in ("sender", "recipient", "cc", "bcc", "reply_to"):
            self._check_address(setting, str(config.get(setting, "{}")))

    @staticmethod
    def _check_address(setting: str, text: str) -> None:
        """Raise InvalidError for an address that would be refused whatever the record is."""
        if "{" in text:
            return
        try:
            found = _addresses(setting, text, {})
        except SkipRecordError:
            found = []
        if not found or (setting == "sender" and len(found) > 1):
            raise InvalidError(
                f"to.{setting} is no address: {text}", hint="Such as office@example.org, without a name."
            )

    def send(self, records: Sequence[Outgoing]) -> Delivery:
        """Send a mail per record and return what the server said to each.

        Raise UnavailableError or DeniedError where none can be sent; `.answers` has those before it.
        """
        answers: list[Answer] = []
        try:
            for item in records:
                answers += [self._send(item)]
        except EdgekitError as error:
            vars(error)["answers"] = answers
            vars(error)["attempts"] = self._drain()
            raise
        return Delivery(answers, dict(self._state), self._drain())

    def finish(self) -> dict[str, Any]:
        """Return the state: what the server took is sent."""
        return dict(self._state)

    def close(self) -> None:
        """Say goodbye to the server, if it is still there."""
        if self._server is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._server.quit()
            self._server = None

    def _send(self, item: Outgoing) -> Answer:
        try:
            message, sender, recipients = self._message(item)
        except SkipRecordError as unfit:
            return Answer(unfit)
        server = self._connected()
        began = clock.now()
        try:
            missed = server.send_message(message, from_addr=sender, to_addrs=recipients)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            return self._refused(server, began, code, said)
        except smtplib.SMTPNotSupportedError as error:
            return Answer(SkipRecordError(f"{self._host}: {error}", error_code="address"))
        except smtplib.SMTPResponseException as error:
            return self._refused(server, began, error.smtp_code, error.smtp_error)
        except _GONE as error:
            raise self._lost(began, error) from error
        refused = {who: f"{code} {_said(said)}" for who, (code, said) in missed.items()}
        self._note(began, 250, f"not taken for {len(refused)} of {len(recipients)}" if refused else None)
        return Answer(None, 250, str(message["Message-ID"]), {"refused": refused} if refused else None)

    def _refused(self, server: smtplib.SMTP, began: Any, code: int, said: bytes | str) -> Answer:
        """Tell of one mail the server would not take; with 421 it takes none any more."""
        why = f"{self._host} refused the mail ({code}): {_said(said)}"
        self._note(began, code, why)
        if code == 421:
            raise UnavailableError(why)
        with suppress(OSError, smtplib.SMTPException):
            server.rset()
        return Answer(SkipRecordError(why, error_code=f"smtp_{code}"), code)

    def _message(self, item: Outgoing) -> tuple[EmailMessage, str, list[str]]:
        """Write the mail of a record. Raise SkipRecordError where the record cannot fill it."""
        record, config = item.record, self._config
        if "recipient" not in config:
            sender = str(config["sender"])
            whole, found = compose(record, sender, item.idempotency_key)
            return whole, sender, found
        sender, *others = _addresses("sender", config["sender"], record)
        if others:
            raise SkipRecordError("The sender is one address.", error_code="format")
        message = EmailMessage(policy=POLICY)
        message["From"] = sender
        recipients = []
        for setting, header in (("recipient", "To"), ("cc", "Cc"), ("bcc", None)):
            found = _addresses(setting, config[setting], record) if setting in config else []
            recipients += found
            if header and found:
                message[header] = ", ".join(found)
        if "reply_to" in config:
            message["Reply-To"] = ", ".join(_addresses("reply_to", config["reply_to"], record))
        message["Subject"] = _line("subject", _filled("subject", str(config["subject"]), record))
        message["Date"] = format_datetime(clock.now())
        # The same whenever the same content is sent again, so that a second one can be told from a new one.
        message["Message-ID"] = message_id(item.idempotency_key, sender)
        message.set_content(_filled("body", str(config["body"]), record))
        return message, sender, recipients

    def _connected(self) -> smtplib.SMTP:
        if self._server is not None:
            return self._server
        began = clock.now()
        try:
            self._server = self._connect()
        except smtplib.SMTPAuthenticationError as error:
            self._note(began, error.smtp_code, "refused the log-in")
            if error.smtp_code < 500:  # not the password: the server is busy with others
                raise UnavailableError(
                    f"{self._host} lets nobody in just now ({error.smtp_code})."
                ) from error
            raise DeniedError(
                f"{self._host} does not let {self._config.get('username')} in.",
                hint="Store its password again: edgekit vault set INTEGRATION KEY",
            ) from error
        except smtplib.SMTPNotSupportedError as error:
            raise InvalidError(
                f"{self._host} offers no encrypted connection or no log-in by password.",
                hint="Ask for its port and kind of security (starttls or tls).",
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise DeniedError(
                f"{self._host} proves itself by a certificate that is not good: {error.verify_message}."
            ) from error
        except _GONE as error:
            raise self._lost(began, error) from error
        return self._server

    def _connect(self) -> smtplib.SMTP:
        timeout = float(self._config.get("timeout_seconds", 30))
        context = ssl.create_default_context()
        if self._security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=timeout, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=timeout)
        try:
            if self._security == "starttls":
                server.starttls(context=context)
            if self._config.get("username") and self._password is not None:
                server.login(str(self._config["username"]), self._password)
        except BaseException:
            server.close()
            raise
        return server

    def _lost(self, began: Any, error: Exception) -> UnavailableError:
        if self._server is not None:
            self._server.close()
            self._server = None
        why = masking.secrets(str(error) or type(error).__name__)
        self._note(began, None, why)
        lost = UnavailableError(f"The mail server {self._host}:{self._port} cannot be reached: {why}.")
        lost.is_late = isinstance(error, TimeoutError)
        return lost

    def _note(self, began: Any, code: int | None, error: str | None = None) -> None:
        took = round((clock.now() - began).total_seconds() * 1000)
        place = f"smtp://{self._host}:{self._port}"
        self._attempts.append(Attempt("SEND", place, began, took, code, error))

    def _drain(self) -> list[Attempt]:
        found, self._attempts = self._attempts, []
        return found


def _password(config: Mapping[str, Any], secrets: Mapping[str, str]) -> str | None:
    """Open the password. Raise InvalidError where it is not stored, or a user has none."""
    named = config.get("password")
    if not config.get("username"):
        return None
    if not isinstance(named, dict) or set(named) != {"vault"}:
        raise InvalidError(
            "A username needs a password.",
            hint='Name its key in the vault: to.password={"vault": "smtp_password"}',
        )
    try:
        secret = secrets[str(named["vault"])]
    except KeyError:
        raise InvalidError(
            f"The mail server needs the secret {named['vault']}, which is not stored.",
            hint=f"Store it: edgekit vault set INTEGRATION {quoted(named['vault'])}",
        ) from None
    masking.note(secret)
    return secret


def _said(text: bytes | str) -> str:
    """Return what a server said, in one line and without secrets: it likes to repeat whose address it was."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return masking.text(" ".join(text.split()))[:300]


def _filled(setting: str, text: str, record: Mapping[str, Any]) -> str:
    """Put members of a record into a text. Raise SkipRecordError for one that it has not."""

    def value(found: re.Match[str]) -> str:
        place: Any = record
        for part in found[1].split("."):
            place = place.get(part) if isinstance(place, dict) else None
        if place is None:
            raise SkipRecordError(
                f"The {setting} needs {found[1]}, which the record has not.", error_code="required"
            )
        return place if isinstance(place, str) else codec.dumps(place)

    filled = _PLACE.sub(value, text)
    if any("\ud800" <= character <= "\udfff" for character in filled):
        raise SkipRecordError(f"The {setting} would have half a character in it.", error_code="format")
    return filled


def _line(setting: str, text: str) -> str:
    """Raise SkipRecordError for a header of several lines: what follows the first would be headers too."""
    if CONTROL.search(text):
        raise SkipRecordError(
            f"The {setting} would have a line break or a control character in it.", error_code="format"
        )
    return text


def _addresses(setting: str, text: str, record: Mapping[str, Any]) -> list[str]:
    """Return the addresses of a setting; what a record puts in is one address at most, never two."""
    found = []
    for part in text.split(","):
        address = _filled(setting, part.strip(), record).strip()
        if not ADDRESS.fullmatch(address) or CONTROL.search(address):
            raise SkipRecordError(f"The {setting} is no address.", error_code="format")
        found.append(address)
    return found
