"""Communications travel: by a real mail server, a real service, a signed webhook, an inbox, or a person."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import http_provider
import mail_server
import pytest
from click.testing import CliRunner
from http_provider import Reply

import edgekit
from edgekit import (
    clock,
    communications,
    configuration,
    crypto,
    db,
    integrations,
    jobs,
    licensing,
    models,
    vault,
)
from edgekit.cli import root
from edgekit.communications import states
from edgekit.connectors.http_signature import Message as Signed
from edgekit.connectors.http_signature import Signature
from edgekit.errors import ConflictError
from edgekit.licensing import installing, issuing, statement, trusting, vendor
from edgekit.licensing.terms import Grant
from edgekit.runner import examining
from edgekit.runner.channels import message as channel_message
from edgekit.runner.channels import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edgekit.db import Database
    from edgekit.finding import Finding
    from edgekit.runner.channels.message import Message

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
MAIL = {"subject": "Approved", "text": "The quote {braces stay} is approved.", "html": "<p>Approved</p>"}


def work(now: datetime = NOW) -> list[jobs.Job]:
    """Do what is due, as a runner does."""
    claimed = jobs.claim("r", now=now)
    jobs.settle([jobs.perform(job) for job in claimed], now=now)
    return [jobs.show(job.id) for job in claimed]


@pytest.fixture
def office() -> Iterator[mail_server.Office]:
    with mail_server.serve() as server:
        yield server


def account(server: mail_server.Office, name: str = "office-mail") -> None:
    """Set up the mail account of the office, as docs/communications.md does."""
    settings = {"to.host": "127.0.0.1", "to.port": server.port, "to.security": "none",
                "to.sender": "office@example.org", "to.username": mail_server.USER}  # fmt: skip
    integrations.create(name, template="mail-account", settings=settings, acknowledge=True)
    vault.init()
    integrations.set_credential(name, "smtp_password", mail_server.PASSWORD)
    configuration.set("CHANNEL_EMAIL", "integration", name)


def insured() -> int:
    with db.change():
        return int(models.Insured.create(customer_number="C-1", name="Ann", email="ann@example.org").id)


def notice(**values: Any) -> int:
    wanted = {"target": "system", "request_data": {**MAIL, "to": "ann@example.org"}, "now": NOW, **values}
    return int(communications.create("QUOTE_APPROVAL_NOTIFICATION", **wanted).id)


def log() -> list[dict[str, Any]]:
    return db.query("SELECT * FROM integration_log ORDER BY id")


# --- mail


def test_a_mail_arrives_as_text_and_html_under_an_id_of_its_own(
    edge: Database, office: mail_server.Office
) -> None:
    account(office)
    insured()
    made = notice(target="insured:C-1", request_data=MAIL, idempotency_key="key 1/ü")
    (job,) = work()
    assert (job.job_status, job.result) == ("completed", {"communication": made, "status": "COMPLETED"})
    (mail,) = office.mails
    assert (mail["To"], mail["From"], mail["Subject"]) == (
        "ann@example.org",
        "office@example.org",
        "Approved",
    )
    assert mail["Message-ID"] == "<key=201=2f=c3=bc@example.org>"
    assert mail.get_body(("plain",)).get_content().strip() == MAIL["text"]  # type: ignore[union-attr]
    assert mail.get_body(("html",)).get_content().strip() == MAIL["html"]  # type: ignore[union-attr]
    shown = communications.show(made)
    assert (shown["status"], shown["started_at"]) == ("COMPLETED", "2027-03-02T09:00:00.000Z")
    assert shown["response_data"] == {"message_id": mail["Message-ID"], "code": 250}
    (row,) = log()
    assert (row["communication_id"], row["response_code"], row["is_success"]) == (made, 250, 1)
    assert (row["correlation_id"], row["request_url"]) == (
        shown["correlation_id"], f"smtp://127.0.0.1:{office.port}",
    )  # fmt: skip
    (event,) = db.query("SELECT event_type, correlation_id FROM integration_event ORDER BY id DESC LIMIT 1")
    assert event == {"event_type": "communication.completed", "correlation_id": shown["correlation_id"]}


def test_a_page_alone_says_the_same_as_text(edge: Database, office: mail_server.Office) -> None:
    account(office)
    page = "<style>p {}</style><h1>Hello</h1><p>Your &amp; our<br>policy</p>"
    notice(request_data={"to": ["a@example.org", "b@example.org"], "bcc": "c@example.org", "html": page})
    work()
    (mail,) = office.mails
    said = mail.get_body(("plain",)).get_content().splitlines()  # type: ignore[union-attr]
    assert said == ["Hello", "Your & our", "policy"]
    assert (mail["To"], mail["Bcc"], mail["Subject"]) == (
        "a@example.org, b@example.org", None, "Quote approval notification",
    )  # fmt: skip
    assert office.envelopes[0].rcpt_tos == ["a@example.org", "b@example.org", "c@example.org"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"text": "x"}, "the system it is for has no address"),
        ({"to": "Ann <a@example.org>", "text": "x"}, "to is no address"),
        ({"to": "a@example.org", "text": ""}, "says nothing"),
        ({"to": "a@example.org", "text": "x", "subject": "a\r\nBcc: b@example.org"}, "line break"),
        ({"to": "nobody@example.org", "text": "x"}, "refused the mail (550)"),
    ],
)
def test_what_makes_no_mail_fails_for_good_and_says_why(
    edge: Database, office: mail_server.Office, data: dict[str, Any], words: str
) -> None:
    account(office)
    made = notice(request_data=data)
    (job,) = work()
    shown = communications.show(made)
    assert (job.job_status, shown["status"]) == ("failed", "FAILED")
    assert words in str(shown["error_message"])
    assert "nobody@" not in f"{shown['error_message']} {job.error_message} {log()}"
    assert office.mails == []


@pytest.mark.ledger("S0-88")
def test_a_server_that_is_gone_is_tried_again_under_the_same_key(
    edge: Database, office: mail_server.Office
) -> None:
    account(office)
    integrations.set_settings("office-mail", {"to.port": 9})
    made = notice(idempotency_key="k-1")
    (job,) = work()
    shown = communications.show(made)
    assert (job.job_status, shown["status"], shown["retry_count"]) == ("pending", "RETRYING", 1)
    assert "cannot be reached" in shown["error_message"]
    assert shown["waits_for"] > "2027-03-02T09:00:2"
    integrations.set_settings("office-mail", {"to.port": office.port})
    work(NOW + timedelta(hours=1))
    shown = communications.show(made)
    assert (shown["status"], shown["retry_count"], shown["error_message"]) == ("COMPLETED", 1, None)
    assert office.mails[0]["Message-ID"] == "<k-1@example.org>"
    assert [(row["is_success"], row["retry_count"]) for row in log()] == [(0, 0), (1, 1)]


def test_a_server_that_says_not_now_is_asked_again(edge: Database, office: mail_server.Office) -> None:
    account(office)
    made = notice(request_data={"to": "later@example.org", "text": "x"})
    work()
    shown = communications.show(made)
    assert (shown["status"], "(450)" in shown["error_message"]) == ("RETRYING", True)


def test_a_process_that_ends_while_it_sends_sends_again_under_the_same_key(
    edge: Database, office: mail_server.Office
) -> None:
    account(office)
    made = notice(idempotency_key="k-1")
    (job,) = jobs.claim("dead", now=NOW)
    with edge.change():
        states.begin(made, now=NOW)  # and then nothing more
    jobs.recover(["dead"], now=NOW)
    work()
    shown = communications.show(made)
    assert (shown["status"], shown["retry_count"]) == ("COMPLETED", 1)
    assert office.mails[0]["Message-ID"] == "<k-1@example.org>"
    # What was thought dead and wakes up writes nothing any more.
    assert isinstance(jobs.perform(job).error, ConflictError)
    assert len(office.mails) == 1


def test_one_whose_process_always_dies_is_given_up(edge: Database, office: mail_server.Office) -> None:
    account(office)
    made, moment = notice(), NOW
    while jobs.claim("dead", now=moment):
        with edge.change():
            states.begin(made, now=moment)
        jobs.recover(["dead"], now=moment)
        moment += timedelta(hours=1)
    shown = communications.show(made)
    assert (shown["status"], shown["waits_for"]) == ("FAILED", None)
    assert "process" in shown["error_message"]


# --- calls


def service(provider: http_provider.Provider, **settings: Any) -> None:
    given = {"to.base_url": provider.url, "to.auth": {"kind": "bearer", "secret": "token"}, **settings}
    integrations.create("checks", template="rest-sink", settings=given, acknowledge=True)
    vault.init()
    integrations.set_credential("checks", "token", "s3cret-token-of-ours")
    configuration.set("CHANNEL_API", "integration", "checks")


def ask(**values: Any) -> int:
    wanted = {"request_data": {"license": "00123"}, "now": NOW, **values}
    return int(communications.create("DRIVER_VERIFICATION_REQUEST", **wanted).id)


@pytest.mark.ledger("S1-41")
def test_a_call_is_one_exchange_whose_answer_is_kept(edge: Database) -> None:
    answer = {"id": "x-7", "valid": True, "token": "theirs", "echo": "s3cret-token-of-ours"}
    with http_provider.serve(http_provider.in_turn(Reply({"error": "busy"}, 503), answer)) as provider:
        service(provider)
        made = ask(idempotency_key="k-1", request_data={"id": 5, "license": "00123"})
        work()
        assert communications.show(made)["status"] == "RETRYING"
        work(NOW + timedelta(hours=1))
    first, second = provider.calls
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == "k-1"
    assert json.loads(second.body) == {"id": 5, "license": "00123"}
    shown = communications.show(made)
    assert shown["status"] == "COMPLETED"
    assert shown["response_data"] == {"id": "x-7", "valid": True, "token": "***", "echo": "***"}
    assert [(row["response_code"], row["is_success"], row["retry_count"]) for row in log()] == [
        (503, 0, 0), (200, 1, 1),
    ]  # fmt: skip
    assert all(row["response_time_ms"] is not None and row["request_url"] for row in log())
    stored = str(db.query("SELECT * FROM communication, integration_log, job, integration_event"))
    assert "s3cret-token-of-ours" not in stored


def test_a_service_that_is_read_is_asked_with_the_data(edge: Database) -> None:
    with http_provider.serve(lambda call: [{"vin": call.query["vin"][0], "year": 2003}]) as provider:
        settings = {"base_url": provider.url, "table": "t", "auth": {"kind": "header", "secret": "api_key"}}
        integrations.create("decoder", template="rest-source", settings=settings)
        vault.init()
        integrations.set_credential("decoder", "api_key", "abcdef")
        configuration.set("CHANNEL_API", "types", {"VEHICLE_DECODING_REQUEST": {"integration": "decoder"}})
        made = communications.create("VEHICLE_DECODING_REQUEST", request_data={"vin": "1HG"}, now=NOW).id
        work()
    assert communications.show(made)["response_data"] == {"records": [{"vin": "1HG", "year": 2003}]}


@pytest.mark.ledger("S0-77")
def test_an_answer_that_is_not_as_the_type_says_fails_it(edge: Database) -> None:
    with edge.change():
        kind = models.CommunicationType.get(code="DRIVER_VERIFICATION_REQUEST")
        kind.response_schema = {"type": "object", "required": ["valid"]}
        kind.save()
    with http_provider.serve(http_provider.in_turn({"other": 1})) as provider:
        service(provider)
        made = ask()
        (job,) = work()
    shown = communications.show(made)
    assert (job.job_status, shown["status"], shown["response_data"]) == ("failed", "FAILED", None)
    assert "the answer cannot be kept" in shown["error_message"]
    assert json.loads(log()[0]["response_data"]) == {"other": 1}


@pytest.mark.ledger("S0-95")
def test_no_call_without_a_valid_credential(edge: Database) -> None:
    with http_provider.serve(http_provider.in_turn({"id": 1})) as provider:
        service(provider)
        integrations.set_credential("checks", "token", "another", expires_at=NOW + timedelta(days=1))
        refused = {}
        refused["expired"] = ask(scheduled_at=NOW + timedelta(days=1))
        work(NOW + timedelta(days=1))
        integrations.unset_credential("checks", "token")
        refused["which is not stored"] = ask()
        work()
        integrations.set_settings("checks", {"to.auth": {"kind": "none"}})
        refused["proves itself by none"] = ask()
        work()
        for words, made in refused.items():
            shown = communications.show(made)
            assert shown["status"] == "FAILED"
            assert words in shown["error_message"]
        assert provider.calls == []
        with edge.change():  # a service that is open to everybody is one if somebody says so
            models.CommunicationChannel.update(requires_authentication=False).execute()
        communications.retry(made, now=NOW)
        work()
        assert len(provider.calls) == 1


def test_a_time_out_is_told_as_one(edge: Database) -> None:
    configuration.set("COMMUNICATION_DEFAULTS", "default_retry_attempts", 0)
    with http_provider.serve(http_provider.in_turn(Reply(hold=True))) as provider:
        service(provider, **{"to.timeout_seconds": 0.2})
        made = ask()
        work()
    assert communications.show(made)["status"] == "TIMEOUT"


def test_what_a_service_would_take_twice_is_not_sent_twice(edge: Database) -> None:
    with http_provider.serve(http_provider.in_turn(Reply({"id": 1}, cut=True))) as provider:
        service(provider, **{"to.idempotency_header": None})
        made = ask()
        (job,) = work()
    shown = communications.show(made)
    assert (job.job_status, shown["status"], len(provider.calls)) == ("failed", "FAILED", 1)
    assert "is not sent again by itself" in shown["error_message"]
    with pytest.raises(ConflictError, match="it is FAILED") as refused:
        jobs.replay(job.id, now=NOW)
    assert refused.value.hint == f"Send it anew: edgekit communications retry {made}"


# --- webhooks


def test_a_webhook_is_told_signed(edge: Database) -> None:
    with http_provider.serve(http_provider.in_turn({"ok": True})) as provider:
        settings = {"to.base_url": provider.url, "to.path": "/hook"}
        integrations.create("partner", template="webhook-endpoint", settings=settings)
        vault.init()
        integrations.set_credential("partner", "signing_key", "a key both sides know")
        configuration.set("CHANNEL_WEBHOOK", "integration", "partner")
        made = communications.create(
            "ALERT_NOTIFICATION", channel="WEBHOOK", request_data={"alert": 7}, now=NOW
        ).id
        work()
        (call,) = provider.calls
        integrations.set_settings("partner", {"to.auth": {"kind": "bearer", "secret": "signing_key"}})
        unsigned = communications.create("ALERT_NOTIFICATION", channel="WEBHOOK", now=NOW).id
        work()
        assert len(provider.calls) == 1
    assert communications.show(made)["status"] == "COMPLETED"
    headers = {name.lower(): value for name, value in call.headers.items()}
    way = {"prefix": "t={timestamp},v1=", "over": "{timestamp}.{body}"}
    Signature(way, "a key both sides know").verify(Signed("POST", "/hook", "", call.body), headers)
    assert json.loads(call.body) == {"alert": 7}
    assert "a webhook is signed" in communications.show(unsigned)["error_message"]


def test_each_organization_is_served_by_its_own_of_a_name(edge: Database, office: mail_server.Office) -> None:
    account(office)
    with edge.change():
        east = models.Organization.create(code="EAST", name="East")
        own = models.Integration.get(integration_name="office-mail")
        settings = json.loads(json.dumps(own.connection_config))
        settings["to"] |= {"sender": "east@example.org", "username": None, "password": None}
        models.Integration.create(
            integration_name="office-mail", integration_type=own.integration_type_id, organization=east,
            connection_config=settings,
        )  # fmt: skip
        models.Integration.create(
            integration_name="west-mail", integration_type=own.integration_type_id, organization=east,
            connection_config=settings,
        )  # fmt: skip
    notice(organization=east.id)
    notice()
    work()
    assert sorted(str(mail["From"]) for mail in office.mails) == ["east@example.org", "office@example.org"]
    configuration.set("CHANNEL_EMAIL", "integration", "west-mail")
    refused = notice()
    work()
    assert "belongs to another organization" in communications.show(refused)["error_message"]
    assert len(office.mails) == 2


# --- inbox, people, providers


def test_an_internal_message_that_was_scheduled_is_delivered_when_due(edge: Database) -> None:
    with edge.change():
        models.User.create(username="maria")
    due = NOW + timedelta(days=1)
    communications.create(
        "ALERT_NOTIFICATION", channel="INTERNAL", target="user:maria", scheduled_at=due, now=NOW
    )
    work()
    assert communications.list_inbox("maria") == []
    work(due)
    assert [row["status"] for row in communications.list_inbox("maria")] == ["COMPLETED"]


def test_what_nothing_serves_is_a_task_for_a_person(edge: Database) -> None:
    made = notice(channel="SMS")
    (job,) = work()
    assert job.result == {"communication": made, "status": "PROCESSING", "waits_for": "a person"}
    (task,) = communications.list_communications(tasks=True)
    assert (task["id"], task["waits_for"]) == (made, "a person")
    communications.complete(made, response_data={"note": "called"}, now=NOW)
    other = notice(channel="SMS")
    work()
    communications.fail(other, reason="no such number", now=NOW)
    assert [communications.show(one)["status"] for one in (made, other)] == ["COMPLETED", "FAILED"]
    mail = notice()  # a mail is nobody's task: it says what is missing
    work()
    shown = communications.show(mail)
    assert shown["status"] == "FAILED"
    assert "edgekit configuration set CHANNEL_EMAIL integration NAME" in shown["error_message"]


class Carrier:
    """A provider of text messages, as a package would bring one along."""

    seen: ClassVar[list[tuple[str, Any, str]]] = []

    def send(
        self, message: Message, *, settings: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> channel_message.Sent:
        self.seen.append((message.idempotency_key, settings["sender"], secrets["token"]))
        return channel_message.Sent({"sms": "s-1"})


def test_a_provider_of_another_package_serves_a_channel(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    points = [EntryPoint("carrier", f"{__name__}:Carrier", serving.PROVIDERS)]
    monkeypatch.setattr(serving, "entry_points", lambda group: points if group == serving.PROVIDERS else [])
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    with http_provider.serve(http_provider.in_turn({})) as provider:
        service(provider)
    configuration.set("CHANNEL_SMS", "provider", "carrier")
    configuration.set("CHANNEL_SMS", "integration", "checks")
    configuration.set("CHANNEL_SMS", "sender", "4711")
    made = notice(channel="SMS", idempotency_key="k-1")
    work()
    assert communications.show(made)["response_data"] == {"sms": "s-1"}
    assert Carrier.seen == [("k-1", "4711", "s3cret-token-of-ours")]
    configuration.set("CHANNEL_SMS", "provider", "absent")
    other = notice(channel="SMS")
    work()
    assert "There is no provider absent" in communications.show(other)["error_message"]


# --- what hangs together


def cli(path: Any, *words: str, expected: int = 0, given: str = "") -> Any:
    """Run a command of `communications` and return what it says as JSON."""
    done = CliRunner().invoke(
        root.edgekit, ["--db", str(path), "communications", *words, "--json"], input=given
    )
    assert done.exit_code == expected, done.output
    return json.loads(done.stdout)


@pytest.mark.ledger("S1-55")
def test_the_whole_history_of_a_business_row_is_one_command(
    edge_file: Path, office: mail_server.Office
) -> None:
    with edgekit.open(edge_file) as edge:
        account(office)
        insured()
        with edge.change():
            models.Quote.create(quote_number="Q-1")
            models.Driver.create(last_name="Roe", license_number="00123", license_state="NY")
            models.Vehicle.create(vin="1HGCM82633A004352")
            models.Quote.create(quote_number="Q-2")
    send = ("send", "QUOTE_APPROVAL_NOTIFICATION", "--to", "insured:C-1", "--subject", "S", "--text", "-")
    about = ("--about", "quote:Q-1", "--about", "driver:00123", "--about", "vehicle:1HGCM82633A004352")
    sent = cli(edge_file, *send, *about, given="said")
    assert (sent["status"], office.mails[0].get_content().strip()) == ("COMPLETED", "said")
    for context, which in (("quote", "Q-1"), ("driver", "1"), ("vehicle", "1HGCM82633A004352")):
        newest, oldest = cli(edge_file, "history", context, which)
        assert (newest["what"], newest["response_code"], newest["is_success"]) == ("attempt", 250, True)
        assert newest["request_url"].startswith("smtp://")
        assert (oldest["what"], oldest["status"], oldest["communication_id"]) == (
            "communication", "COMPLETED", sent["id"],
        )  # fmt: skip
    with sqlite3.connect(edge_file) as shell:
        found = shell.execute("SELECT quote_id, driver_id, vehicle_id, policy_id FROM v_integration_log")
        assert found.fetchall() == [(1, 1, 1, None)]
    assert cli(edge_file, "history", "quote", "Q-2") == []
    related = cli(edge_file, "relate", str(sent["id"]), "quote:Q-2", "--as", "referenced")
    assert [row["relationship"] for row in related["contexts"]] == [
        "primary",
        "related",
        "related",
        "referenced",
    ]
    assert len(cli(edge_file, "history", "quote", "Q-2")) == 2


def test_a_thread_has_all_of_its_correlation_id(edge_file: Path, office: mail_server.Office) -> None:
    with edgekit.open(edge_file):
        account(office)
    first = cli(edge_file, "send", "ALERT_NOTIFICATION", "--to", "a@example.org", "--text", "x")
    second = cli(
        edge_file, "send", "ALERT_NOTIFICATION", "--to", "b@example.org", "--text", "y",
        "--answers", str(first["id"]),
    )  # fmt: skip
    thread = cli(edge_file, "thread", str(second["id"]))
    (root_one,) = thread["communications"]
    (child,) = root_one["children"]
    assert (root_one["id"], child["id"]) == (first["id"], second["id"])
    assert [len(one["attempts"]) for one in (root_one, child)] == [1, 1]
    assert [job["status"] for job in thread["jobs"]] == ["completed"] * 2
    assert [event["event_type"] for event in thread["events"]] == ["communication.completed"] * 2
    assert (thread["slots"], thread["executions"], thread["dead_letters"], thread["attempts"]) == (
        [],
        [],
        [],
        [],
    )


def test_commands_say_what_became_of_it(edge_file: Path) -> None:
    failed = cli(edge_file, "send", "ALERT_NOTIFICATION", "--to", "a@example.org", "--text", "x", expected=4)
    assert failed["status"] == "FAILED"
    task = cli(edge_file, "send", "ALERT_NOTIFICATION", "--channel", "SMS", "--set", "phone=5")
    assert [row["id"] for row in cli(edge_file, "list", "--tasks")] == [task["id"]]
    done = cli(edge_file, "complete", str(task["id"]), "--set", "note=called")
    assert done["response_data"] == {"note": "called"}
    waiting = cli(edge_file, "send", "ALERT_NOTIFICATION", "--to", "a@example.org", "--later", "--key", "k")
    assert cli(edge_file, "send", "ALERT_NOTIFICATION", "--key", "k", "--later")["id"] == waiting["id"]
    assert cli(edge_file, "cancel", str(waiting["id"]))["status"] == "CANCELLED"
    later = cli(edge_file, "send", "ALERT_NOTIFICATION", "--channel", "SMS", "--at", "2090-01-01")
    assert (later["status"], later["waits_for"]) == ("PENDING", "2090-01-01T00:00:00.000Z")
    cli(
        edge_file,
        "send",
        "ALERT_NOTIFICATION",
        "--channel",
        "INTERNAL",
        "--to",
        "user:system",
        "--text",
        "hi",
    )
    assert [row["message"] for row in cli(edge_file, "inbox")] == [{"text": "hi"}]
    assert cli(edge_file, "retry", str(failed["id"]), "--later")["parent_communication_id"] == failed["id"]


# --- so many a day


ACME = vendor.Vendor("Acme Software", crypto.SigningKey(b"a" * 32))


@pytest.mark.ledger("S0-111")
def test_mails_above_those_of_a_day_wait_until_tomorrow(edge: Database, office: mail_server.Office) -> None:
    account(office)
    trusting.trust(statement.render(vendor.public_statement(ACME)))
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
    grants = [Grant("EMAIL_NOTIFICATIONS"), Grant("API_INTEGRATIONS")]
    installing.install(statement.render(issuing.issue(ACME, features=grants, mode="block", now=now)), now=now)
    licensing.grant("EMAIL_NOTIFICATIONS", settings={"daily_email_limit": 2})
    today = now + timedelta(days=1)
    made = [notice(now=today) for _ in range(3)]
    work(today)
    assert len(office.mails) == 2
    shown = [communications.show(one) for one in made]
    assert [one["status"] for one in shown] == ["COMPLETED", "COMPLETED", "PENDING"]
    tomorrow = (today + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert shown[2]["waits_for"] == f"{tomorrow:%Y-%m-%dT%H:%M:%S}.000Z"
    assert "The 2 mails a day of the organization" in shown[2]["error_message"]
    work(tomorrow - timedelta(seconds=1))
    assert len(office.mails) == 2
    work(tomorrow)
    assert [communications.show(one)["status"] for one in made] == ["COMPLETED"] * 3


def test_the_scope_decides_which_account_sends(edge: Database, office: mail_server.Office) -> None:
    account(office)
    account(office, "auto-mail")
    integrations.set_settings("auto-mail", {"to.sender": "auto@example.org"})
    with edge.change():
        program = models.Program.create(code="AUTO", name="Auto")
        models.Quote.create(quote_number="Q-1", program=program)
    configuration.set("CHANNEL_EMAIL", "integration", "office-mail")
    configuration.set("CHANNEL_EMAIL", "integration", "auto-mail", scope="program:AUTO")
    notice(context="quote:Q-1")
    notice()
    work()
    assert sorted(str(mail["From"]) for mail in office.mails) == ["auto@example.org", "office@example.org"]


# --- what is given up, and what is not


def test_a_job_that_is_given_up_ends_its_communication_and_tells_of_it(edge: Database) -> None:
    made = notice()
    (job,) = jobs.claim("r", now=NOW)
    jobs.settle([jobs.fault(job, ZeroDivisionError())], now=NOW)
    assert communications.show(made)["status"] == "FAILED"
    (event,) = db.query(
        "SELECT event_type, event_payload ->> '$.communication' AS about FROM integration_event"
        " ORDER BY id DESC LIMIT 1"
    )
    assert event == {"event_type": "communication.failed", "about": made}


def test_what_our_breaker_holds_back_was_no_attempt_and_goes_later(edge: Database) -> None:
    configuration.set("COMMUNICATION_DEFAULTS", "default_retry_attempts", 0)
    configuration.set("COMMUNICATION_DEFAULTS", "circuit_breaker_threshold", 1)
    with http_provider.serve(http_provider.in_turn(Reply({"error": "down"}, 503), {"id": 1})) as provider:
        service(provider)
        first, second = ask(scheduled_at=NOW), ask(scheduled_at=NOW)
        work()
        shown = [communications.show(one)["status"] for one in (first, second)]
        assert (shown, len(provider.calls)) == (["FAILED", "RETRYING"], 1)
        breaker = models.CircuitBreaker.get()
        with edge.change():
            breaker.retry_at = clock.now() - timedelta(seconds=1)
            breaker.opened_at = breaker.retry_at - timedelta(seconds=60)
            breaker.save()
        work(NOW + timedelta(hours=2))
    assert communications.show(second)["status"] == "COMPLETED"


def test_a_mail_waits_for_the_master_key_and_goes_out_once_it_is_there(
    edge: Database, office: mail_server.Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    account(office)
    made = notice(scheduled_at=NOW)
    vault.lock()
    with monkeypatch.context() as away:
        away.setenv("EDGEKIT_HOME", str(edge.path.parent / "elsewhere"))
        (job,) = work()
        shown = communications.show(made)
        assert (job.job_status, shown["status"], shown["retry_count"]) == ("pending", "PENDING", 0)
        assert "waits for the master key" in shown["error_message"]
        written = db.query("SELECT updated_at FROM communication")
        moment = NOW
        for _ in range(8):  # it costs no attempt, nor is the same written again and again
            moment += timedelta(hours=1)
            work(moment)
        assert communications.show(made)["status"] == "PENDING"
        assert db.query("SELECT updated_at FROM communication") == written
        (told,) = [one for one in examined(edge, moment) if "not sent" in one.what]
        assert "Communications that were due are not sent: 1" in told.what
        assert "waits for the master key" in told.what
    work(moment + timedelta(hours=1))
    assert (communications.show(made)["status"], len(office.mails)) == ("COMPLETED", 1)
    assert not [one for one in examined(edge, moment) if "not sent" in one.what]


def examined(edge: Database, now: datetime) -> list[Finding]:
    with closing(sqlite3.connect(edge.path)) as connection:
        return list(examining.examine(connection, edge.path, now))


def test_a_place_that_is_down_for_a_day_costs_nobody_an_attempt(
    edge: Database, office: mail_server.Office
) -> None:
    account(office)
    integrations.set_settings("office-mail", {"to.port": 9})
    made = notice(scheduled_at=NOW)
    with edge.change():
        models.CircuitBreaker.create(
            integration=models.Integration.get(integration_name="office-mail"), target="smtp://127.0.0.1:9",
            failure_count=200, breaker_status="open", opened_at=NOW, retry_at=NOW + timedelta(minutes=1),
        )  # fmt: skip
    (job,) = work()
    shown = communications.show(made)
    assert (job.job_status, shown["status"], shown["retry_count"]) == ("pending", "PENDING", 0)
    assert "does not answer office-mail and is left alone" in shown["error_message"]
    assert shown["waits_for"] == "2027-03-02T09:15:00.000Z"  # seldom, as it has failed for long
    assert log() == []
    moment = NOW + timedelta(hours=1)
    for _ in range(6):  # it is tried, and fails, and is not given up
        work(moment)
        moment += timedelta(hours=1)
    assert communications.show(made)["status"] == "RETRYING"
    assert len(log()) >= 4
    for _ in range(8):  # but not for ever
        work(moment := moment + timedelta(days=1))
    assert communications.show(made)["status"] == "FAILED"


def test_what_a_process_died_sending_to_a_service_without_keys_is_not_sent_again(edge: Database) -> None:
    with http_provider.serve(http_provider.in_turn({"id": 1})) as provider:
        service(provider, **{"to.idempotency_header": None})
        made = ask()
        jobs.claim("dead", now=NOW)
        with edge.change():
            states.begin(made, now=NOW)
        jobs.recover(["dead"], now=NOW)
        work()
        shown = communications.show(made)
        assert (shown["status"], provider.calls) == ("FAILED", [])
        assert "is not sent again by itself" in shown["error_message"]
        communications.retry(made, now=NOW)  # by somebody who has looked
        work()
        assert len(provider.calls) == 1


def test_what_others_asked_for_is_seen_as_on_its_way_within_an_organization_alone(edge_file: Path) -> None:
    with edgekit.open(edge_file) as edge, edge.change():
        other = models.Organization.create(code="EAST", name="East")
        for name, where in (("otto", None), ("eve", other)):
            models.User.create(username=name, organization=where)
    with edgekit.open(edge_file, actor="system"):
        made = notice(now=clock.now(), organization=1)
        (job,) = jobs.list_jobs(kind=states.KIND)
    with edgekit.open(edge_file, actor="otto"):
        assert communications.list_communications(tasks=True) == []
        assert communications.show(made)["waits_for"] == clock.to_text(job.run_at)
        with pytest.raises(ConflictError, match="waits for no person"):
            communications.complete(made)
        with pytest.raises(ConflictError, match="is on its way"):
            communications.retry(made)
        communications.cancel(made)
        assert jobs.show(job.id).job_status == "cancelled"
    with edgekit.open(edge_file, actor="eve"):
        assert (communications.list_communications(), jobs.list_jobs()) == ([], [])


def test_a_time_that_cannot_be_is_refused_and_an_early_one_is_read(edge_file: Path) -> None:
    words = ("send", "ALERT_NOTIFICATION", "--channel", "SMS", "--later", "--text", "x", "--at")
    assert cli(edge_file, *words, "0001-01-01")["scheduled_at"] == "0001-01-01T00:00:00.000Z"
    done = CliRunner().invoke(
        root.edgekit, ["--db", str(edge_file), "communications", *words, "0001-01-01T00:00:00+14:00"]
    )
    assert (done.exit_code, "is no time with its zone" in done.output) == (4, True)


def test_two_that_create_under_one_key_at_once_write_one(edge: Database) -> None:
    made: list[int] = []

    def create() -> None:
        made.append(notice(idempotency_key="k"))
        db.current().leave()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1
