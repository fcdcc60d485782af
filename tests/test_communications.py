"""Communications are written with what sends them, live one life, and are found by what they are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import clock, communications, jobs, models
from edgekit.communications import states
from edgekit.errors import ConflictError, InvalidError, NotFoundError, RuleError

if TYPE_CHECKING:
    import sqlite3

    from edgekit.db import Database

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MAIL = {"subject": "Approved", "text": "The quote is approved."}


def quote(edge: Database) -> int:
    with edge.change(reason="a quote"):
        return int(models.Quote.create(quote_number="Q-7").id)


def notice(**values: Any) -> models.Communication:
    wanted = {"target": "user:system", "request_data": MAIL, "now": NOW, **values}
    return communications.create("QUOTE_APPROVAL_NOTIFICATION", **wanted)


@pytest.mark.ledger("S0-93", "S0-92", "S0-22")
def test_an_exchange_is_found_by_whatever_it_is_about(edge: Database) -> None:
    with edge.change():
        about, asked = quote(edge), models.Entity.get(code="DCS_HOUSEHOLD_DRIVERS")
        driver = models.Driver.create(last_name="Roe", license_number="00123", license_state="NY")
        made = communications.create(
            "DRIVER_VERIFICATION_REQUEST", source="system", target=("ENTITY", asked.id), channel="API",
            direction="OUTBOUND", context=("QUOTE", about), request_data={"license": "00123"}, now=NOW,
        )  # fmt: skip
    communications.add_context(made.id, "driver:00123")
    communications.add_context(made.id, ("DRIVER", driver.id))  # again is nothing new
    for code, which in (("QUOTE", about), ("QUOTE", "Q-7"), ("driver", "00123")):
        assert [row["id"] for row in communications.find_by_context(code, which)] == [made.id]
    shown = communications.show(made.id)
    assert (shown["source"], shown["target"], shown["channel"]) == (
        "system", "entity:DCS_HOUSEHOLD_DRIVERS", "API",
    )  # fmt: skip
    assert [(row["context"], row["key"], row["relationship"]) for row in shown["contexts"]] == [
        ("QUOTE", "Q-7", "primary"), ("DRIVER", "00123", "related"),
    ]  # fmt: skip
    with edge.change():  # one that only its own pair names is found as well
        models.CommunicationBusinessContext.delete().execute()
    assert [row["id"] for row in communications.find_by_context("QUOTE", about)] == [made.id]
    assert communications.find_by_context("DRIVER", driver.id) == []


@pytest.mark.ledger("S0-89")
def test_what_the_caller_leaves_out_is_filled_in(edge: Database) -> None:
    with edge.change():
        models.User.create(username="maria")
    made = notice()
    row = states.row(made.id)
    assert (row["status"], row["direction"], row["channel"]) == ("PENDING", "OUTBOUND", "EMAIL")
    assert (row["source_id"], row["created_by"], row["organization_id"]) == (1, 1, 1)
    assert len(row["correlation_id"]) == 36
    assert row["idempotency_key"] == row["uuid"]
    child = notice(parent=made.id, context=("QUOTE", quote(edge)))
    grandchild = notice(parent=child.id)
    assert {made.correlation_id, child.correlation_id, grandchild.correlation_id} == {row["correlation_id"]}
    with edge.change(correlation_id="c-1"):
        assert notice().correlation_id == "c-1"
    (root,) = communications.thread(grandchild.id)
    (first,) = root["children"]
    assert (root["id"], first["id"], first["children"][0]["id"]) == (made.id, child.id, grandchild.id)
    (job,) = jobs.list_jobs(correlation_id="c-1")
    assert (job.kind, job.job_status, job.max_attempts) == ("communication.send", "pending", 4)


@pytest.mark.ledger("S0-90")
def test_one_that_is_scheduled_waits_with_its_job(edge: Database) -> None:
    due = NOW + timedelta(days=1)
    made = notice(scheduled_at=due)
    assert states.row(made.id)["status"] == "PENDING"
    assert [job.run_at for job in jobs.list_jobs()] == [due]
    assert jobs.claim("r", now=due - timedelta(seconds=1)) == []
    (job,) = jobs.claim("r", now=due)
    assert job.payload == {"communication": made.id}


@pytest.mark.ledger("S0-88")
def test_the_life_of_a_communication(edge: Database, shell: sqlite3.Connection) -> None:
    made = notice()
    with edge.change():
        begun = states.begin(made.id, now=NOW)
    assert begun is not None
    assert (begun["status"], begun["started_at"]) == ("PROCESSING", clock.to_text(NOW))
    later = NOW + timedelta(seconds=5)
    with edge.change():
        states.again(made.id, "no answer from ann@example.org")
        assert (states.row(made.id)["status"], states.row(made.id)["retry_count"]) == ("RETRYING", 1)
        states.begin(made.id, now=later)
        states.settle(made.id, "TIMEOUT", error="no answer from ann@example.org", now=later)
    row = states.row(made.id)
    assert (row["status"], row["started_at"]) == ("TIMEOUT", clock.to_text(NOW))
    assert (row["completed_at"], row["error_message"]) == (clock.to_text(later), "no answer from ***")
    for refused in (
        lambda: states.settle(made.id, "COMPLETED", now=later),
        lambda: communications.cancel(made.id),
    ):
        with pytest.raises(ConflictError, match="has ended: TIMEOUT"), edge.change():
            refused()
    with edge.change():
        assert states.begin(made.id, now=later) is None
    with pytest.raises(RuleError, match="must say why"), edge.change():
        other = notice()
        states.begin(other.id, now=NOW)
        states.settle(other.id, "FAILED", now=NOW)
    for sql, code in (
        ("communication_status_id = 1, completed_at = NULL, error_message = NULL", "final"),
        ("error_message = NULL", "required"),
    ):
        with pytest.raises(Exception, match=f"EK|{code}"):
            shell.execute(f"UPDATE communication SET {sql} WHERE id = {made.id}")


def test_one_left_while_it_was_sent_counts_another_attempt_under_its_key(edge: Database) -> None:
    made = notice(idempotency_key="k-1")
    with edge.change():
        states.begin(made.id, now=NOW)
    with edge.change():
        row = states.begin(made.id, now=NOW)
    assert row is not None
    assert (row["status"], row["retry_count"], row["idempotency_key"]) == ("PROCESSING", 1, "k-1")
    assert "unknown" in row["error_message"]
    with edge.change():  # a clock that was set back meanwhile makes no end before the start
        states.settle(
            made.id, "COMPLETED", response={"token": "abc", "email": "a@b.ch"}, now=NOW - timedelta(1)
        )
    row = states.row(made.id)
    assert (row["completed_at"], row["error_message"]) == (clock.to_text(NOW), None)
    assert row["response_data"] == {"token": "***", "email": "a@b.ch"}


def test_a_key_is_written_once(edge: Database) -> None:
    first = notice(idempotency_key="k-1")
    assert notice(idempotency_key="k-1").id == first.id
    with pytest.raises(ConflictError, match="of another type"):
        communications.create("ALERT_NOTIFICATION", idempotency_key="k-1")
    assert len(jobs.list_jobs()) == 1


def test_an_inbox_has_a_message_once_it_is_written(edge: Database) -> None:
    with edge.change():
        models.User.create(username="maria")
    said = {"target": "user:maria", "channel": "INTERNAL", "request_data": {"subject": "Look"}}
    made = communications.create("ALERT_NOTIFICATION", **said, now=NOW)
    communications.create("ALERT_NOTIFICATION", **said, scheduled_at=NOW + timedelta(1), now=NOW)
    (message,) = communications.list_inbox("maria")
    assert (message["id"], message["message"], message["completed_at"]) == (
        made.id, {"subject": "Look"}, clock.to_text(NOW),
    )  # fmt: skip
    assert communications.list_inbox() == []
    assert len(jobs.list_jobs()) == 1
    heard = communications.create("DATA_EXCHANGE", direction="INBOUND", request_data={"a": 1}, now=NOW)
    assert states.row(heard.id)["status"] == "COMPLETED"


def test_cancel_takes_the_job_along_and_retry_sends_a_copy(edge: Database) -> None:
    made = notice(context=("QUOTE", quote(edge)))
    with pytest.raises(ConflictError, match="is on its way"):
        communications.retry(made.id)
    with pytest.raises(ConflictError, match="waits for no person"):
        communications.complete(made.id)
    communications.cancel(made.id, reason="not needed", now=NOW)
    assert [job.job_status for job in jobs.list_jobs()] == ["cancelled"]
    again = communications.retry(made.id, now=NOW)
    copy = communications.show(again)
    assert (copy["parent_communication_id"], copy["status"], copy["about"]) == (
        made.id,
        "PENDING",
        "quote:Q-7",
    )
    assert copy["request_data"] == MAIL
    assert [row["id"] for row in communications.find_by_context("QUOTE", "Q-7")] == [again, made.id]
    jobs.cancel(jobs.list_jobs(status="open")[0].id)
    shown = communications.show(again)
    assert (shown["status"], shown["error_message"]) == ("CANCELLED", "Its job was cancelled.")
    last = communications.retry(again, now=NOW)
    (job,) = jobs.claim("r", now=NOW)
    with pytest.raises(ConflictError, match="is being sent"):
        communications.cancel(last)
    jobs.finish(job, now=NOW)
    assert communications.list_communications(tasks=True)[0]["waits_for"] == "a person"
    assert communications.retry(last, now=NOW) == last  # it has no job any more, so it gets one
    jobs.finish(jobs.claim("r", now=NOW)[0], now=NOW)
    communications.complete(last, response_data={"note": "done"}, now=NOW)
    assert communications.show(last)["response_data"] == {"note": "done"}


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"channel": "API"}, InvalidError, "does not travel by API. Its channels: EMAIL, SMS"),
        ({"channel": "pigeon"}, NotFoundError, "no channel pigeon"),
        ({"target": "maria"}, InvalidError, "names no row"),
        ({"target": "moon:1"}, NotFoundError, "no kind of party moon"),
        ({"target": "user:nobody"}, NotFoundError, "no user nobody"),
        ({"context": "quote:Q-404"}, NotFoundError, "no quote Q-404"),
        ({"parent": 404}, NotFoundError, "no communication 404"),
        ({"request_data": {"login": {"Password": "x"}}}, InvalidError, "Password is named like a secret"),
        ({"direction": "up"}, NotFoundError, "no direction up"),
        ({"scheduled_at": datetime(2030, 1, 1)}, InvalidError, "no time zone"),  # noqa: DTZ001 - so it is
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_said_and_nothing_is_written(
    edge: Database, values: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        notice(**values)
    assert edge.query("SELECT id FROM communication UNION ALL SELECT id FROM job") == []


def test_the_types_there_are_are_named(edge: Database) -> None:
    with pytest.raises(NotFoundError) as caught:
        communications.create("NONE")
    assert "There are: DRIVER_VERIFICATION_REQUEST" in str(caught.value.hint)
