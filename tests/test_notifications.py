"""People are told: rows, windows, recipients and messages in a real file, with the time passed in."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import mail_server
import pytest

import edgekit
from edgekit import (
    communications,
    configuration,
    crypto,
    db,
    events,
    integrations,
    jobs,
    licensing,
    models,
    runner,
    vault,
)
from edgekit.errors import InvalidError, NotFoundError
from edgekit.licensing import installing, issuing, statement, trusting, vendor
from edgekit.licensing.terms import Grant
from edgekit.runner import examining
from edgekit.runner.notifying.pruning import prune_notifications
from edgekit.runner.notifying.recipients import find_recipients, find_schedule
from edgekit.runner.notifying.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.db import Database
    from edgekit.finding import Finding

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ADMIN = "(SELECT id FROM role WHERE code = 'ADMIN')"


def at(minutes: float) -> datetime:
    return BEGIN + minutes * MINUTE


def add_user(edge: Database, name: str, *, email: str | None = None, admin: bool = True) -> int:
    with edge.change():
        row = edge.connection().execute(
            "INSERT INTO user(username, email, organization_id, role_id)"
            f" VALUES (?, ?, 1, {ADMIN if admin else 'NULL'}) RETURNING id",
            (name, email),
        ).fetchone()  # fmt: skip
    return int(row[0])


def fail(minutes: float, name: str = "vins", kind: str = "run.failed", **more: Any) -> None:
    payload = {"integration": name, "execution_id": 7, "error_message": "The server answered 503.", **more}
    runner.notify(kind, payload, organization_id=1, occurred_at=at(minutes), now=at(minutes))


def perform(until: datetime) -> None:
    """Do the flushes that are due until then, each at its time."""
    from edgekit.runner.notifying.hearing import FLUSH

    while (due := jobs.next_due_at()) is not None and due <= until:
        for job in jobs.claim("r", now=due):
            outcome = jobs.perform(job) if job.kind == FLUSH else jobs.Outcome(job)
            jobs.settle([outcome], now=due)


def messages() -> list[dict[str, Any]]:
    found = db.query(
        "SELECT c.id, u.username, t.code AS type, h.code AS channel, c.created_at, c.request_data,"
        " c.correlation_id FROM communication c"
        " JOIN user u ON u.id = c.target_id JOIN communication_type t ON t.id = c.communication_type_id"
        " JOIN communication_channel h ON h.id = c.channel_id ORDER BY c.id"
    )
    return [{**row, **json.loads(row.pop("request_data"))} for row in found]


@pytest.mark.ledger("S4-25")
def test_a_storm_of_a_thousand_failures_is_one_message_and_an_hour_later_another(edge: Database) -> None:
    add_user(edge, "maria")
    for n in range(1000):
        if n % 50 == 0:
            perform(at(n * 0.06))
        fail(n * 0.06)
    perform(at(60))
    assert [(m["username"], m["type"]) for m in messages()] == [("maria", "SCHEDULE_FAILURE_NOTIFICATION")]
    perform(at(24 * 60))
    assert len(messages()) == 2
    assert sum(row["occurrences"] for row in runner.list_notifications()) == 1000
    assert "vins failed" in messages()[0]["text"]
    assert "times since 09:" in messages()[1]["text"]
    assert db.query("SELECT count(*) AS n FROM notification") == [{"n": 2}]
    assert db.query("SELECT count(*) AS n FROM job WHERE kind = 'notification.flush'")[0]["n"] <= 3


@pytest.mark.ledger("S4-25")
def test_the_recipients_of_a_schedule_are_told_each_by_a_message(edge: Database) -> None:
    for name in ("maria", "otto", "eve"):
        add_user(edge, name, admin=name == "eve")
    schedule = add_schedule(edge)
    assert runner.notify_of("nightly", ["maria", "otto"])["recipients"] == ["maria", "otto"]
    fail(0, schedule_id=schedule)
    perform(at(10))
    assert [m["username"] for m in messages()] == ["maria", "otto"]
    runner.notify_of("nightly", ["otto"])
    fail(0, "rates", schedule="nightly")
    perform(at(20))
    assert [m["username"] for m in messages()][2:] == ["otto"]
    assert runner.notify_of("nightly") == {
        "schedule": "nightly", "is_failure_notified": True, "recipients": ["eve"]
    }  # fmt: skip
    assert runner.notify_of("nightly", is_silent=True)["recipients"] == []
    fail(30, "drivers", schedule_id=schedule)
    perform(at(90))
    assert len(messages()) == 3
    with pytest.raises(NotFoundError):
        runner.notify_of("nightly", ["nobody"])
    with pytest.raises(NotFoundError):
        runner.notify_of("daily", ["otto"])


@pytest.fixture
def office(edge: Database) -> Iterator[mail_server.Office]:
    """A mail server, and the account of the agency at it."""
    with mail_server.serve() as server:
        settings = {"to.host": "127.0.0.1", "to.port": server.port, "to.security": "none",
                    "to.sender": "office@example.org", "to.username": mail_server.USER}  # fmt: skip
        integrations.create("office-mail", template="mail-account", settings=settings, acknowledge=True)
        vault.init()
        integrations.set_credential("office-mail", "smtp_password", mail_server.PASSWORD)
        configuration.set("CHANNEL_EMAIL", "integration", "office-mail")
        yield server


def states() -> list[tuple[str, str]]:
    return [(row["channel"], row["status"]) for row in reversed(communications.list_communications())]


@pytest.mark.ledger("S4-25")
def test_who_has_an_address_gets_a_mail_but_not_at_night(edge: Database, office: mail_server.Office) -> None:
    add_user(edge, "maria", email="maria@example.org")
    add_user(edge, "otto")
    configuration.set("NOTIFICATION_SETTINGS", "timezone", "America/Chicago")
    events.emit("run.failed", {"integration": "vins", "error_message": "503"}, source="INTEGRATION",
                organization_id=1, now=at(0))  # fmt: skip
    for hours in range(6):  # 03:00 in Chicago
        runner.tick(at(60 * hours))
        assert len(office.mails) == int(hours > 3), "from 07:00 on"
    assert states() == [("INTERNAL", "COMPLETED"), ("EMAIL", "COMPLETED")]
    (mail,) = office.mails
    assert (mail["To"], mail["Subject"]) == ("maria@example.org", "Test Agency: vins failed")
    assert "vins failed at 03:00: 503" in mail.get_content()


def test_a_mail_that_cannot_be_sent_is_told_inside_and_of_that_nobody_is_told(
    edge: Database, office: mail_server.Office
) -> None:
    configuration.set("NOTIFICATION_SETTINGS", "quiet_hours", None)
    add_user(edge, "maria", email="nobody@example.org")  # the server refuses it
    for minutes in range(0, 100, 5):
        name = "vins" if minutes < 30 else "rates"
        if minutes in {0, 30}:
            events.emit("run.failed", {"integration": name}, source="INTEGRATION", organization_id=1,
                        now=at(minutes))  # fmt: skip
        runner.tick(at(minutes))
    assert office.mails == []
    assert states() == [("EMAIL", "FAILED"), ("INTERNAL", "COMPLETED"), ("INTERNAL", "COMPLETED")]
    inbox = [row["message"]["subject"] for row in communications.list_inbox("maria")]
    assert inbox == ["Test Agency: rates failed", "Test Agency: vins failed"]
    assert {row["topic"] for row in runner.list_notifications()} == {"run.failed"}
    (child,) = [row for row in communications.list_communications() if row["parent_communication_id"]]
    assert child["parent_communication_id"] == communications.list_communications()[-1]["id"]


@pytest.mark.ledger("C-59")
def test_mails_count_for_the_limit_of_a_day_and_what_is_over_it_is_told_inside(
    edge: Database, office: mail_server.Office
) -> None:
    maker = vendor.Vendor("Acme Software", crypto.SigningKey(b"a" * 32))
    trusting.trust(statement.render(vendor.public_statement(maker)))
    now = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=1)
    grants = [Grant("EMAIL_NOTIFICATIONS"), Grant("API_INTEGRATIONS")]
    issued = issuing.issue(maker, features=grants, mode="block", now=now)
    installing.install(statement.render(issued), now=now)
    licensing.grant("EMAIL_NOTIFICATIONS", settings={"daily_email_limit": 1})
    configuration.set("NOTIFICATION_SETTINGS", "quiet_hours", None)
    add_user(edge, "maria", email="maria@example.org")
    for n in range(3):
        moment = now + timedelta(hours=n)
        runner.notify("run.failed", {"integration": f"i{n}"}, organization_id=1, now=moment)
        runner.tick(moment + 10 * MINUTE)
    assert len(office.mails) == 1
    assert states() == [("EMAIL", "COMPLETED"), ("EMAIL", "PENDING"), ("INTERNAL", "COMPLETED")]


def test_one_who_cannot_be_told_keeps_nobody_else_from_being_told(edge: Database) -> None:
    fail(0, "vins")
    runner.notify("backup.failed", {"error": "The disk is full."}, now=at(0))
    with edge.change():
        edge.connection().execute(
            "UPDATE communication_type_channel SET status_id = 2"
            " WHERE channel_id = (SELECT id FROM communication_channel WHERE code = 'INTERNAL')"
        )
    perform(at(10))
    found = jobs.list_jobs(kind="notification.flush")
    assert "does not travel by INTERNAL" in str(found[-1].result)
    assert messages() == []
    with edge.change():
        edge.connection().execute("UPDATE communication_type_channel SET status_id = 1")
    perform(at(70))
    assert len(messages()) == 1


def test_a_test_message_takes_the_way_of_a_real_one(edge: Database, office: mail_server.Office) -> None:
    with edge.change():
        edge.connection().execute("UPDATE user SET email = 'me@example.org' WHERE id = 1")
    found = runner.try_notifications()
    assert (found["channel"], found["communication_status"], found["error"]) == ("EMAIL", "COMPLETED", None)
    assert [mail["To"] for mail in office.mails] == ["me@example.org"]
    integrations.set_credential("office-mail", "smtp_password", "not that one")
    found = runner.try_notifications()
    assert found["communication_status"] == "FAILED"
    assert "does not let office in" in found["error"]
    integrations.set_credential("office-mail", "smtp_password", mail_server.PASSWORD)
    assert runner.try_notifications()["communication_status"] == "COMPLETED"  # mended, it is tried again


def add_schedule(edge: Database) -> int:
    with edge.change():
        found = edge.connection().execute(
            "INSERT INTO integration(integration_name, integration_type_id, connection_config)"
            " SELECT 'vins', id, '{}' FROM integration_type LIMIT 1 RETURNING id"
        ).fetchone()  # fmt: skip
        row = edge.connection().execute(
            "INSERT INTO integration_schedule(schedule_name, integration_id, schedule_type)"
            " VALUES ('nightly', ?, 'manual') RETURNING id", found,
        ).fetchone()  # fmt: skip
    return int(row[0])


def test_without_anybody_who_administers_the_system_user_is_told_inside(edge: Database) -> None:
    fail(0)
    runner.notify("backup.failed", {"error": "The disk is full.", "hint": "Free some."}, now=at(1))
    perform(at(10))
    ((message),) = messages()
    assert (message["username"], message["channel"]) == ("system", "INTERNAL")
    assert message["text"].splitlines()[:2] == [
        "vins failed at 09:00: The server answered 503.", "  What to do: edgekit executions show 7"
    ]  # fmt: skip
    assert "backup failed at 09:01: The disk is full. There is none." in message["text"]
    (state,) = db.query("SELECT s.code FROM communication c JOIN communication_status s"
                        " ON s.id = c.communication_status_id")  # fmt: skip
    assert state["code"] == "COMPLETED"


def test_who_is_told_of_an_organization_and_of_the_file(edge: Database) -> None:
    assert [one.user_id for one in find_recipients(None)] == [1]
    maria = add_user(edge, "maria")
    add_user(edge, "otto", admin=False)
    with edge.change():
        edge.connection().execute("INSERT INTO organization(id, code, name) VALUES (2, 'EAST', 'East')")
    assert [one.user_id for one in find_recipients(1)] == [maria]
    assert [one.user_id for one in find_recipients(2)] == [1]
    assert [one.user_id for one in find_recipients(None)] == [1]  # two agencies share the file
    with edge.change():
        edge.connection().execute("UPDATE user SET organization_id = NULL WHERE id = ?", (maria,))
    assert [(one.user_id, one.organization_id) for one in find_recipients(2)] == [(maria, 2)]
    assert [one.user_id for one in find_recipients(None)] == [maria]
    with edge.change():
        edge.connection().execute("UPDATE user SET status_id = 2 WHERE id = ?", (maria,))
    assert [one.user_id for one in find_recipients(2)] == [1]


def test_recovery_is_told_and_what_was_never_told_is_not(edge: Database) -> None:
    fail(0)
    fail(0, "brief")
    runner.notify("run.recovered", {"integration": "brief"}, organization_id=1, now=at(3))
    perform(at(15))
    runner.notify("run.recovered", {"integration": "vins"}, organization_id=1, now=at(20))
    perform(at(60))
    assert [m["subject"] for m in messages()] == ["Test Agency: vins failed", "Test Agency: vins works again"]
    assert {(r["subject"], r["drop_reason"]) for r in runner.list_notifications()} == {
        ("vins", None), ("brief", "recovered")
    }  # fmt: skip


def test_a_subject_is_muted_by_a_user_for_a_time(edge_file: Path) -> None:
    with edgekit.open(edge_file) as edge:
        add_user(edge, "maria")
        add_user(edge, "otto")
    with edgekit.open(edge_file, actor="maria"):
        assert runner.mute_notifications("VINS", until=at(60), now=BEGIN) == [
            {"subject": "VINS", "until": "2026-03-02T10:00:00.000Z"}
        ]
        with pytest.raises(InvalidError, match="past"):
            runner.mute_notifications("vins", until=BEGIN, now=at(1))
        with pytest.raises(NotFoundError, match="rates is not muted"):
            runner.unmute_notifications("rates")
    with edgekit.open(edge_file):
        fail(0)
        perform(at(30))
        assert [m["username"] for m in messages()] == ["otto"]
        fail(61)
        perform(at(90))
        assert [m["username"] for m in messages()] == ["otto", "maria", "otto"]
        assert {r["drop_reason"] for r in runner.list_notifications()} == {None, "muted"}
    with edgekit.open(edge_file, actor="maria"):
        assert runner.unmute_notifications("vins") == []
        assert len(runner.list_notifications(mine=True)) == 2
        assert runner.list_notifications(mine=True, pending=True) == []


def test_settings_come_along_the_chain_down_to_the_user(edge: Database) -> None:
    maria = add_user(edge, "maria")
    configuration.set("NOTIFICATION_SETTINGS", "grouping_minutes", 5)
    configuration.set("NOTIFICATION_SETTINGS", "topics", {"slot.missed": False}, scope="user:maria")
    configuration.set("NOTIFICATION_SETTINGS", "timezone", "Nowhere/Never", scope="user:maria")
    found = read_settings(user=maria)
    assert (found.grouping_minutes, found.wants("slot.missed"), found.wants("run.failed")) == (5, False, True)
    assert found.zone is None  # a zone that is none does not keep anybody from being told
    assert read_settings(user=1).wants("slot.missed")
    fail(0)
    runner.notify("slot.missed", {"schedule": "nightly", "slot_count": 3}, now=at(0))
    assert [row["topic"] for row in runner.list_notifications()] == ["run.failed"]
    with pytest.raises(InvalidError):
        configuration.set("NOTIFICATION_SETTINGS", "max_messages_per_hour", 0)


def test_what_was_missed_is_told_with_how_often_and_when(edge: Database) -> None:
    integrations.create(
        "rates", template="csv-import", settings={"path": "rates.csv", "table": "rate", "key": "code"}
    )
    runner.add_schedule("hourly", integration="rates", cron="0 * * * *", now=at(0))
    for moment in (at(5 * 60), at(5 * 60 + 1)):
        runner.tick(moment)
    (told,) = [row for row in runner.list_notifications() if row["topic"] == "slot.missed"]
    assert told["subject"] == "schedule hourly"
    first, last = "2026-03-02T10:00:00.000Z", "2026-03-02T13:00:00.000Z"
    assert told["message"].startswith(f"It did not run 4 times, due between {first} and {last}, because")


def test_two_that_flush_at_once_tell_everything_once(edge: Database) -> None:
    for n in range(20):
        fail(0, f"i{n}")
    found: list[runner.Flushed] = []

    def flush() -> None:
        found.append(runner.flush_notifications(now=at(10)))
        db.current().leave()

    threads = [threading.Thread(target=flush) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.told for one in found) == [0, 0, 0, 20]
    assert len(messages()) == 1


@pytest.mark.slow
def test_two_processes_that_flush_at_once_send_each_message_once(edge: Database, edge_file: Path) -> None:
    configuration.set("NOTIFICATION_SETTINGS", "grouping_minutes", 0)
    configuration.set("NOTIFICATION_SETTINGS", "max_messages_per_hour", 1000)
    code = """
import sys, edgekit
from datetime import datetime, timedelta
from edgekit import runner
with edgekit.open(sys.argv[1]):
    for n in range(30):
        at = datetime.fromisoformat(sys.argv[2]) + timedelta(minutes=n)
        runner.notify("run.failed", {"integration": f"{sys.argv[3]}{n}"}, organization_id=1, now=at)
        runner.flush_notifications(now=at)
"""
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(edge_file), BEGIN.isoformat(), name])
        for name in "ab"
    ]
    assert [process.wait() for process in both] == [0, 0]
    runner.flush_notifications(now=at(60))
    found = db.query("SELECT subject, count(*) AS n, min(communication_id) AS c FROM notification GROUP BY 1")
    assert len(found) == 60
    assert {row["n"] for row in found} == {1}
    said = "".join(message["text"] for message in messages())
    assert said.count(" failed at ") == 60


@pytest.mark.slow
def test_a_runner_that_is_killed_again_and_again_tells_everything_once(edge_file: Path) -> None:
    code = """
import sys, itertools, edgekit
from datetime import datetime, timedelta
from edgekit import db, events, runner
with edgekit.open(sys.argv[1]):
    (row,) = db.query("SELECT count(*) AS n FROM integration_event WHERE event_type = 'run.failed'")
    for n in itertools.count(row["n"]):
        at = datetime.fromisoformat(sys.argv[2]) + timedelta(minutes=n)
        events.emit("run.failed", {"integration": f"i{n}"}, source="INTEGRATION", organization_id=1, now=at)
        runner.tick(at)
        print(n, flush=True)
"""
    with edgekit.open(edge_file):
        configuration.set("NOTIFICATION_SETTINGS", "grouping_minutes", 0)
        configuration.set("NOTIFICATION_SETTINGS", "max_messages_per_hour", 1000)
    for kill in range(6):
        asked = [sys.executable, "-c", code, str(edge_file), BEGIN.isoformat()]
        with subprocess.Popen(asked, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(3 + 2 * kill):
                process.stdout.readline()
            process.kill()
    with edgekit.open(edge_file):
        runner.tick(at(24 * 60))  # what the last one had begun is taken back when its time is over
        (row,) = db.query("SELECT count(*) AS n FROM integration_event WHERE event_type = 'run.failed'")
        found = db.query("SELECT subject, sum(occurrences) AS n FROM notification GROUP BY subject")
        assert [one["n"] for one in found] == [1] * row["n"]
        assert "\n".join(m["text"] for m in messages()).count(" failed at ") == row["n"] >= 30


def test_a_flush_that_fails_leaves_everything_to_the_next(
    edge: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(0)
    with monkeypatch.context() as patched:
        patched.setattr(communications, "create", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.flush_notifications(now=at(10))
    assert runner.list_notifications()[0]["notification_status"] == "pending"
    runner.flush_notifications(now=at(11))
    assert len(messages()) == 1


def test_more_than_a_mailbox_takes_is_summed_up_later(edge: Database) -> None:
    configuration.set("NOTIFICATION_SETTINGS", "grouping_minutes", 1)
    for n in range(60):
        fail(n, f"i{n}")
        perform(at(n))
    perform(at(60))
    assert len(messages()) == 6
    perform(at(200))
    assert len(messages()) == 7
    assert not runner.list_notifications(pending=True)


def test_messages_say_no_secret_and_no_line_of_their_own(edge: Database) -> None:
    fail(0, "vins\r\nBcc: eve@x.org", error_message="GET https://u:pw@h/?token=abcdef12 said\x1b[31m no")
    perform(at(10))
    ((message),) = messages()
    assert "\n" not in message["subject"]
    assert not [said for said in ("\x1b", "abcdef12", "u:pw") if said in message["text"]]


def test_a_retired_user_is_told_nothing_any_more(edge: Database) -> None:
    maria = add_user(edge, "maria")
    fail(0)
    with edge.change():
        edge.connection().execute("UPDATE user SET status_id = 2 WHERE id = ?", (maria,))
    perform(at(10))
    assert messages() == []
    assert [row["drop_reason"] for row in runner.list_notifications()] == ["disabled"]


def test_what_expires_is_told_once_for_each_threshold(edge: Database) -> None:
    assert runner.tell_expiring(now=BEGIN) == []
    end = BEGIN + timedelta(days=40)
    with edge.change():
        edge.connection().execute(
            "INSERT INTO feature_license(uuid, feature_id, scope_type_id, organization_id,"
            " license_expires_at) SELECT printf('%036d', 1), f.id, s.id, 1, ? FROM feature f, scope_type s"
            " WHERE f.code = 'EMAIL_NOTIFICATIONS' AND s.code = 'SYSTEM' LIMIT 1",
            (end.strftime("%Y-%m-%dT%H:%M:%S.000Z"),),
        )
    told = [
        (day, one["threshold_days"], one["days_left"])
        for day in range(75)
        for one in runner.tell_expiring(now=BEGIN + timedelta(days=day))
    ]
    assert told == [(10, 30, 30), (33, 7, 7), (39, 1, 1), (40, 0, -1)]
    found = db.query("SELECT event_type FROM integration_event WHERE event_type LIKE '%expiring'")
    assert len(found) == 4


def test_a_test_message_comes_at_once(edge_file: Path) -> None:
    with edgekit.open(edge_file) as edge:
        add_user(edge, "maria")
    with edgekit.open(edge_file, actor="maria"):
        found = runner.try_notifications()
        assert (found["user"], found["channel"], found["communication_status"]) == (
            "maria", "INTERNAL", "COMPLETED"
        )  # fmt: skip
        with pytest.raises(NotFoundError):
            runner.try_notifications(channel="PIGEON")
        assert "This is a test" in runner.show_notification(found["id"])["text"]
        with pytest.raises(NotFoundError):
            runner.show_notification(99)


@pytest.mark.ledger("S4-25")
def test_a_schedule_that_fails_is_told_by_what_the_runner_does_anyway(edge: Database, tmp_path: Path) -> None:
    add_user(edge, "maria")
    prices = tmp_path / "prices.csv"
    settings = {"path": str(prices), "table": "price", "key": "item", "create": "true"}
    integrations.create("prices", template="csv-import", settings=settings)
    runner.add_schedule("often", integration="prices", every=15, now=at(0))
    with edge.change():
        edge.connection().execute("""UPDATE integration_schedule SET retry_policy = '{"attempts": 0}'""")
    for minutes in range(0, 121, 5):
        if minutes == 90:
            prices.write_text("item,price\nchair,49\n", encoding="utf-8")
        runner.tick(at(minutes))
    told = messages()
    assert [(m["username"], m["channel"], m["subject"]) for m in told] == [
        ("maria", "INTERNAL", "Test Agency: prices (often) failed"),
        ("maria", "INTERNAL", "Test Agency: prices (often) failed"),
        ("maria", "INTERNAL", "Test Agency: prices (often) works again"),
    ]
    first = told[0]
    assert first["text"].startswith("prices (often) failed at 09:15: ")
    assert "edgekit executions show 1" in first["text"]
    (row,) = db.query("SELECT e.correlation_id FROM integration_schedule_execution e ORDER BY e.id LIMIT 1")
    assert row["correlation_id"] == first["correlation_id"]
    assert jobs.list_jobs(status="failed", kind="notification.hear") == []


def test_what_was_told_long_ago_is_thrown_away_and_what_told_it_stays(edge: Database) -> None:
    add_user(edge, "maria")
    fail(0)
    perform(at(10))
    fail(0, "waits")
    later = at(91 * 24 * 60)
    assert prune_notifications(now=later - timedelta(days=2)) == 0
    assert prune_notifications(now=later) == 1
    (left,) = runner.list_notifications()
    assert (left["subject"], left["notification_status"]) == ("waits", "pending")
    assert len(messages()) == 1
    (said,) = [one.what for one in notifications_examined(edge, later) if one.severity == "warning"]
    assert said.startswith("Notifications that were due are not told: 1, the first since 2026-03-02")
    perform(later)
    assert all(one.severity == "ok" for one in notifications_examined(edge, later))


def notifications_examined(edge: Database, now: datetime) -> list[Finding]:
    found = examining.examine(edge.connection(), edge.path, now)
    return [one for one in found if "otification" in one.what or "told" in one.what]


def test_nobody_is_told_of_a_schedule_of_another_organization(edge: Database) -> None:
    add_user(edge, "maria")
    schedule = add_schedule(edge)
    add_user(edge, "otto", admin=False)
    runner.notify_of("nightly", ["otto"])
    with edge.change():
        other = models.Organization.create(code="EAST", name="East")
    assert find_schedule({"schedule_id": schedule}, 1) == schedule
    assert find_schedule({"schedule_id": schedule}, other.id) is None
