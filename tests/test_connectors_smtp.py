"""Mail as a destination, against a real mail server on the loopback."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

import mail_server
import pytest
from connector_contract import DestinationContract, outgoing

from edgekit import validate
from edgekit.connectors import Destination, Outgoing
from edgekit.connectors.base import get_destination
from edgekit.connectors.smtp import SmtpConnector
from edgekit.errors import DeniedError, InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mail_server import Office

SMTP = SmtpConnector()
SECRETS = {"smtp_password": mail_server.PASSWORD}


@pytest.fixture
def office() -> Iterator[Office]:
    with mail_server.serve() as found:
        yield found


def settings(office: Office, **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1", "port": office.port, "security": "none", "sender": "office@example.org",
        "recipient": "{email}", "subject": "Policy of {name}", "body": "Dear {name},\nyour policy.", **more,
    }  # fmt: skip


def mail(**record: Any) -> Outgoing:
    full = {"email": "ann@example.org", "name": "Ann Smith", **record}
    return Outgoing(full, "1", "k" * 40, "row 1")


class TestContract(DestinationContract):
    @pytest.fixture
    def destination(self) -> Destination:
        return get_destination("smtp")

    @pytest.fixture
    def write_config(self, office: Office) -> Mapping[str, Any]:
        return settings(office, recipient="person{id}@example.org", subject="{id}")

    @pytest.fixture
    def broken_write_config(self, write_config: Mapping[str, Any]) -> Mapping[str, Any]:
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            return {**write_config, "port": nobody.getsockname()[1]}

    @pytest.fixture
    def content(self, office: Office) -> Callable[[], list[Any]]:
        # A mail sent a second time has the Message-ID of the first: that is how mailboxes know it.
        return lambda: [int(s) for _, s in {(m["Message-ID"], m["Subject"]) for m in office.mails}]


def test_a_mail_per_record_filled_from_it(office: Office) -> None:
    config = settings(office, cc="team@example.org", bcc="archive@example.org", reply_to="desk@example.org")
    with SMTP.open(config, state={}, secrets={}) as writer:
        (answer,) = writer.send([mail(name="Zoë Müller")]).answers
    (found,) = office.mails
    assert (found["From"], found["To"], found["Cc"]) == (
        "office@example.org", "ann@example.org", "team@example.org",
    )  # fmt: skip
    assert (found["Subject"], found["Reply-To"], found["Bcc"]) == (
        "Policy of Zoë Müller", "desk@example.org", None,
    )  # fmt: skip
    assert found.get_content().replace("\r\n", "\n") == "Dear Zoë Müller,\nyour policy.\n"
    assert office.envelopes[0].rcpt_tos == ["ann@example.org", "team@example.org", "archive@example.org"]
    assert answer.external_reference == found["Message-ID"] == f"<{'k' * 40}@example.org>"


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"name": "Ann\r\nBcc: evil@example.org"}, "format"),
        ({"name": "Ann\u2028x"}, "format"),
        ({"name": "Ann\x85Bcc: evil@example.org"}, "format"),
        ({"name": "Ann\ud800"}, "format"),
        ({"email": "ann@example.org, evil@example.org"}, "format"),
        ({"email": "ann@example.org\nBcc: x@example.org"}, "format"),
        ({"email": "Ann <ann@example.org>"}, "format"),
        ({"email": "no address"}, "format"),
        ({"email": None}, "required"),
        ({"email": "nobody@example.org"}, "smtp_550"),
    ],
)
def test_a_record_that_cannot_be_mailed_is_refused_alone(
    office: Office, record: dict[str, Any], code: str
) -> None:
    with SMTP.open(settings(office), state={}, secrets={}) as writer:
        answers = writer.send([mail(), mail(**record), mail()]).answers
    assert [answer.error and answer.error.code for answer in answers] == [None, code, None]
    assert len(office.mails) == 2
    assert not any("evil" in str(envelope.rcpt_tos) for envelope in office.envelopes)


def test_settings_nobody_can_mail_with_are_told_of(office: Office) -> None:
    with SMTP.open(settings(office, sender="{both}"), state={}, secrets={}) as writer:
        (answer,) = writer.send([mail(both="a@b.org, c@d.org")]).answers
    assert "sender is no address" in str(answer.error)
    with (
        SMTP.open(settings(office, host="..", security="starttls"), state={}, secrets={}) as writer,
        pytest.raises(UnavailableError, match="cannot be reached"),
    ):
        writer.send([mail()])


def test_who_did_not_get_a_mail_that_was_sent_is_told(office: Office) -> None:
    config = settings(office, cc="nobody@example.org")
    with SMTP.open(config, state={}, secrets={}) as writer:
        delivery = writer.send([mail()])
    (answer,) = delivery.answers
    assert answer.error is None
    assert answer.response == {
        "refused": {"nobody@example.org": "550 5.1.1 <***>: There is nobody of that name"}
    }
    assert delivery.attempts[-1].error == "not taken for 1 of 2"


@pytest.mark.parametrize(
    "wrong", [{"sender": "a@example.org, b@example.org"}, {"cc": "Ann <a@example.org>"}, {"recipient": ","}]
)
def test_an_address_no_record_could_mend_is_told_before_any_is_sent(
    office: Office, wrong: dict[str, str]
) -> None:
    with pytest.raises(InvalidError, match=rf"to\.{next(iter(wrong))} is no address"):
        SMTP.open(settings(office, **wrong), state={}, secrets={}).__enter__()


def test_mail_leaves_this_machine_encrypted_or_not_at_all(office: Office) -> None:
    config = settings(office, host="mail.example.org")
    with pytest.raises(InvalidError, match="for everybody to read"), SMTP.open(config, state={}, secrets={}):
        pass
    config = settings(office, security="starttls")
    with (
        SMTP.open(config, state={}, secrets={}) as writer,
        pytest.raises(InvalidError, match="no encrypted connection"),
    ):
        writer.send([mail()])
    assert office.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_proves_who_it_is_to_a_server_that_proves_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    context, vouching = mail_server.certificate(tmp_path)
    with mail_server.serve(context, implicit=security == "tls") as office:
        config = settings(office, security=security, username=mail_server.USER,
                          password={"vault": "smtp_password"})  # fmt: skip
        validate.check(SMTP.write_schema, config, what="settings")
        with (
            SMTP.open(config, state={}, secrets=SECRETS) as writer,
            pytest.raises(DeniedError, match="a certificate that is not good"),
        ):
            writer.send([mail()])
        monkeypatch.setenv("SSL_CERT_FILE", str(vouching))
        with SMTP.open(config, state={}, secrets=SECRETS) as writer:
            assert writer.send([mail()]).answers[0].error is None
        with (
            SMTP.open(config, state={}, secrets={"smtp_password": "wrong"}) as writer,
            pytest.raises(DeniedError, match="does not let office in"),
        ):
            writer.send([mail()])
        with (
            SMTP.open({**config, "username": "busy"}, state={}, secrets=SECRETS) as writer,
            pytest.raises(UnavailableError, match=r"lets nobody in just now \(454\)"),
        ):
            writer.send([mail()])
        with pytest.raises(InvalidError, match="needs the secret smtp_password"):
            SMTP.open(config, state={}, secrets={}).__enter__()
    assert len(office.mails) == 1


def test_a_server_that_goes_away_keeps_what_it_took(office: Office) -> None:
    office.drops_after = 2
    config = settings(office, recipient="p{id}@example.org", subject="{id}")
    with SMTP.open(config, state={}, secrets={}) as writer, pytest.raises(UnavailableError) as caught:
        writer.send(outgoing(4))
    assert len(vars(caught.value)["answers"]) == 2
    assert re.search("refused the mail|cannot be reached", caught.value.message)
    assert [attempt.response_code for attempt in vars(caught.value)["attempts"]][:2] == [250, 250]
