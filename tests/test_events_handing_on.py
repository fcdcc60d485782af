"""Events reach each subscription once, in order, whatever fails; what was given up can be replayed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import events, jobs
from edgekit.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from edgekit.jobs import kinds
from edgekit.runner.examining import examine

if TYPE_CHECKING:
    from edgekit.db import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Ear:
    """A handler of the kind `t.ear`: notes what it hears, and fails for what it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.deliveries: list[events.Delivery] = []
        self.fails: dict[int, Exception] = {}

    def __call__(self, delivery: events.Delivery) -> dict[str, Any] | None:
        number = delivery.event.payload.get("n", 0)
        self.deliveries.append(delivery)
        if number in self.fails:
            raise self.fails[number]
        self.heard.append((delivery.subscription, number))
        return {"heard": number}

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.heard]


@pytest.fixture
def ear(edge: Database, monkeypatch: pytest.MonkeyPatch) -> Ear:
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    made = Ear()

    def listen(delivery: events.Delivery) -> dict[str, Any] | None:
        return made(delivery)

    events.handles("t.ear", attempts=3, delay_seconds=10)(listen)
    return made


def work(now: datetime = NOW, *, limit: int = 1000) -> int:
    """Do what a runner does: hand on, claim, perform, settle, until nothing is due."""
    count = 0
    while events.fan_out(now).more or (found := jobs.claim("me", now=now, limit=100)):
        jobs.settle([jobs.perform(job) for job in found], now=now)
        count += len(found)
        assert count < limit, "it goes on for ever"
    return count


def later(**given: float) -> datetime:
    return NOW + timedelta(**given)


def tell(number: int, key: str | None = None, event_type: str = "policy.bound") -> str:
    return events.emit(event_type, {"n": number}, source="MODULES", ordering_key=key).uuid


def states(db: Database) -> list[str]:
    return [row["processing_status"] for row in db.query("SELECT * FROM integration_event ORDER BY id")]


def deliveries(db: Database) -> list[tuple[str, int]]:
    rows = db.query("SELECT delivery_status AS s, attempts AS a FROM event_delivery ORDER BY id")
    return [(row["s"], row["a"]) for row in rows]


@pytest.mark.ledger("S3-40", "C-51")
def test_an_event_is_handled_once_and_processed(edge: Database, ear: Ear) -> None:
    tell(1)
    events.add_subscription("first", handler="t.ear", event_type="policy.*")
    events.add_subscription("all", handler="t.ear", after=0)
    events.add_subscription("other", handler="t.ear", event_type="claim.opened")
    tell(2)
    assert states(edge) == ["processed", "pending"]
    assert events.fan_out(NOW).deliveries == 3
    assert states(edge) == ["processed", "processing"], "what was processed stays so"
    assert events.fan_out(NOW) == events.Fanned(0, more=False)
    work()
    assert ear.heard == [("first", 2), ("all", 1), ("all", 2)]
    assert states(edge) == ["processed", "processed"]
    (row,) = edge.query("SELECT processed, processed_at FROM integration_events WHERE id = 2")
    assert row["processed"] == 1
    assert row["processed_at"] is not None
    assert work(later(days=1)) == 0
    assert {job.correlation_id for job in jobs.list_jobs(kind="t.ear")} == {
        row["correlation_id"] for row in edge.query("SELECT correlation_id FROM integration_event")
    }


def test_looking_for_new_events_writes_nothing_and_a_cursor_does_not_stay_far_behind(
    edge: Database, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.add_subscription("s", handler="t.ear", event_type="policy.bound")
    seq = edge.query("SELECT max(id) AS n FROM audit_transaction")
    events.fan_out(NOW)
    assert edge.query("SELECT max(id) AS n FROM audit_transaction") == seq
    monkeypatch.setattr("edgekit.events.fanning._LAG", 10)
    events.emit_many("claim.opened", [{}] * 12, source="MODULES")
    assert events.fan_out(NOW).deliveries == 0
    assert events.show_subscription("s")["behind"] == 0


@pytest.mark.ledger("S3-40")
def test_what_fails_is_tried_again_and_at_last_given_up(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear")
    ear.fails[1] = UnavailableError("no answer from https://u:secret@example.org")
    tell(1)
    work()
    (event,) = events.list_events()
    assert (event["status"], event["error"]) == ("processing", "s: no answer from https://***@example.org")
    assert jobs.list_jobs(kind="t.ear")[0].error_message == "no answer from https://***@example.org"
    assert deliveries(edge) == [("pending", 1)]
    assert work(later(seconds=5)) == 0
    work(later(seconds=11))
    del ear.fails[1]
    keys = {delivery.idempotency_key for delivery in ear.deliveries}
    work(later(seconds=60))
    assert deliveries(edge) == [("delivered", 3)]
    assert keys == {ear.deliveries[-1].idempotency_key}, "each attempt has the same key"
    assert events.list_events()[0]["error"] is None
    ear.fails[2] = UnavailableError("gone")
    tell(2)
    for hours in (1, 2, 3, 4):
        work(later(hours=hours))
    assert (deliveries(edge)[1], states(edge)) == (("failed", 3), ["processed", "failed"])
    (letter,) = events.list_deliveries(status="failed")
    assert (letter["subscription"], letter["error"], letter["attempts"]) == ("s", "gone", 3)


def test_an_error_that_no_second_try_mends_is_given_up_at_once(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear")
    ear.fails[1] = InvalidError("no such field")
    tell(1)
    work()
    assert deliveries(edge) == [("failed", 1)]


def test_a_key_keeps_its_order_and_a_poison_event_holds_up_nobody_else(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear")
    ear.fails[1] = UnavailableError("not now")
    for number, key in ((1, "a"), (2, "a"), (3, "b"), (4, None), (5, "a")):
        tell(number, key)
    work()
    assert ear.numbers == [3, 4], "of the key that fails nothing else goes; of others all"
    tell(6, "a")
    work(later(minutes=1))
    assert ear.numbers == [3, 4]
    work(later(hours=1))
    assert ear.numbers == [3, 4, 2, 5, 6], "given up, it holds up its own key no more"
    assert deliveries(edge)[0] == ("failed", 3)


def test_one_that_listens_and_fails_does_not_hold_up_another(edge: Database, ear: Ear) -> None:
    for name in ("bad", "good"):
        events.add_subscription(name, handler="t.ear", max_attempts=1 if name == "bad" else None)
    events.handles("t.poison", attempts=1)(_refuse)
    events.add_subscription("poison", handler="t.poison", event_type="policy.bound")
    told = [tell(number, "k") for number in (1, 2)]
    work()
    assert ear.heard == [("bad", 1), ("good", 1), ("bad", 2), ("good", 2)]
    assert states(edge) == ["failed", "failed"]
    shown = events.show_event(told[0])
    assert {d["subscription"]: d["status"] for d in shown["deliveries"]} == {
        "bad": "delivered", "good": "delivered", "poison": "failed",
    }  # fmt: skip


def _refuse(delivery: events.Delivery) -> None:
    raise InvalidError(f"never {delivery.event.id}")


def test_a_handler_that_writes_commits_with_the_end_or_not_at_all(edge: Database, ear: Ear) -> None:
    calls = []

    def write(delivery: events.Delivery) -> None:
        calls.append(delivery.attempts)
        with edge.change(reason="write"):
            edge.connection().execute("INSERT INTO program(code, name) VALUES ('P', 'P')")
            delivery.settle({"made": 1})
            if delivery.attempts == 1:
                raise UnavailableError("broken off")

    events.handles("t.write", attempts=3, delay_seconds=1)(write)
    events.add_subscription("w", handler="t.write")
    tell(1)
    work()
    assert edge.query("SELECT count(*) AS n FROM program WHERE code = 'P'") == [{"n": 0}]
    assert deliveries(edge) == [("pending", 1)]
    work(later(seconds=5))
    assert edge.query("SELECT count(*) AS n FROM program WHERE code = 'P'") == [{"n": 1}]
    assert (calls, deliveries(edge), states(edge)) == ([1, 2], [("delivered", 2)], ["processed"])
    assert jobs.list_jobs(kind="t.write")[0].result == {"made": 1}


def test_a_dead_runner_leaves_its_delivery_to_the_next(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear")
    tell(1, "k")
    tell(2, "k")
    events.fan_out(NOW)
    (job,) = jobs.claim("dead", now=NOW, limit=10)
    from edgekit.events import delivering

    with edge.change():
        lost = delivering._take(job)
    assert lost is not None
    jobs.recover(["dead"], now=NOW)
    work()
    assert ear.numbers == [1, 2]
    assert ear.deliveries[0].idempotency_key == lost.idempotency_key
    with pytest.raises(ConflictError, match="not ours"), edge.change():
        lost.settle()  # whoever was thought dead writes nothing any more
    assert deliveries(edge) == [("delivered", 2), ("delivered", 1)]


def test_what_an_event_led_to_knows_it_and_a_circle_ends(edge: Database, ear: Ear) -> None:
    def echo(delivery: events.Delivery) -> None:
        events.emit("loop.turned", source="MODULES")

    events.handles("t.echo")(echo)
    events.add_subscription("echo", handler="t.echo", event_type="loop.turned")
    with edge.change(correlation_id="c-7"):
        events.emit("loop.turned", source="MODULES")
    work(limit=100)
    told = list(reversed(events.list_events()))
    assert len(told) == events.MOST_DEEP + 1
    assert {one["correlation_id"] for one in told} == {"c-7"}
    assert [one["causation_id"] for one in told] == [None, *(one["uuid"] for one in told[:-1])]
    assert (told[-1]["status"], told[-1].get("deliveries", [])) == ("failed", [])


def test_a_pause_lets_all_wait_and_retiring_lets_it_go(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear")
    for number, key in ((1, "k"), (2, "k"), (3, None)):
        tell(number, key)
    events.fan_out(NOW)
    events.pause_subscription("s")
    tell(4)
    work()
    assert ear.numbers == []
    assert (states(edge), events.show_subscription("s")["open"]) == (["processing"] * 3 + ["pending"], 3)
    events.resume_subscription("s", now=NOW)
    work()
    assert sorted(ear.numbers) == [1, 2, 3, 4]
    assert states(edge) == ["processed"] * 4
    events.pause_subscription("s")
    tell(5)
    events.retire_subscription("s")
    assert states(edge)[4:] == ["processed"]
    with pytest.raises(NotFoundError):
        events.show_subscription("s")
    with pytest.raises(ConflictError, match="was retired"):
        events.add_subscription("s", handler="t.ear")


def test_retired_while_it_is_tried_it_is_tried_no_more(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear")
    tell(1)
    events.fan_out(NOW)
    (job,) = jobs.claim("me", now=NOW)
    ear.fails[1] = UnavailableError("no")
    ended = jobs.perform(job)
    with edge.change():
        edge.connection().execute("UPDATE event_subscription SET status_id = 4 WHERE code = 's'")
    jobs.settle([ended], now=NOW)
    work(later(hours=1))
    assert (len(ear.deliveries), deliveries(edge), states(edge)) == (1, [("discarded", 1)], ["processed"])


def test_what_failed_is_replayed_for_its_subscriber_alone(edge: Database, ear: Ear) -> None:
    for name in ("s", "other"):
        events.add_subscription(name, handler="t.ear", max_attempts=1)
    ear.fails = {number: InvalidError("no") for number in (1, 2)}
    told = [tell(number, "k") for number in (1, 2, 3)]
    work()
    assert [d["status"] for d in events.list_deliveries(status="failed")] == ["failed"] * 4
    ear.fails, ear.heard = {}, []
    assert events.replay_event(told[0], subscription="s", now=NOW) == 1
    work()
    assert ear.heard == [("s", 1)]
    assert states(edge) == ["failed", "failed", "processed"]
    assert events.replay_subscription("other", now=later(seconds=1)) == 2
    work(later(seconds=1))
    assert ear.heard[1:] == [("other", 1), ("other", 2)]
    assert states(edge) == ["processed", "failed", "processed"]
    (left,) = events.list_deliveries(status="failed")
    events.discard_delivery(left["id"], now=NOW)
    assert states(edge) == ["processed"] * 3
    with pytest.raises(ConflictError, match="No delivery"):
        events.replay_event(told[2])
    ear.heard = []
    assert events.replay_subscription("s", delivered=True, now=later(days=400)) == 2
    work(later(days=400))
    assert ear.numbers == [1, 3], "those that arrived, under the same key; not what was discarded"
    assert states(edge) == ["processed"] * 3


def test_the_job_of_what_was_given_up_can_be_done_again(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear", max_attempts=1)
    ear.fails = {number: InvalidError("no") for number in (1, 2)}
    for number in (1, 2):
        tell(number, "k")
    work()
    first, second = sorted(job.id for job in jobs.list_jobs(kind="t.ear"))
    ear.fails = {}
    tell(3, "k")
    events.fan_out(NOW)
    jobs.replay(first, now=NOW)
    work()
    assert ear.numbers == [3, 1], "behind what is open of its key"
    assert states(edge) == ["processed", "failed", "processed"]
    jobs.replay(second, now=NOW)
    work()
    assert (ear.numbers, states(edge)) == ([3, 1, 2], ["processed"] * 3)
    again = jobs.replay(first, now=NOW)
    work()
    assert "has arrived" in str(jobs.show(again.id).error_message)
    assert (ear.numbers, deliveries(edge)) == (
        [3, 1, 2],
        [("delivered", 2), ("delivered", 2), ("delivered", 1)],
    )


def test_without_its_package_a_delivery_is_given_up_and_holds_up_nothing(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear", event_type="policy.*")
    known = kinds._kinds.pop("t.ear")
    for number in (1, 2):
        tell(number, "k")
    work()
    assert (deliveries(edge), states(edge)) == ([("failed", 0)] * 2, ["failed"] * 2)
    assert "Nothing here handles" in events.list_deliveries()[0]["error"]
    (found,) = [
        one for one in examine(edge.connection(), edge.path, NOW) if "could not be delivered" in one.what
    ]
    assert "edgekit events replay --subscription s" in found.do
    kinds._kinds["t.ear"] = known
    assert events.replay_subscription("s", now=later(seconds=1)) == 2
    work(later(seconds=1))
    assert ear.numbers == [1, 2]


def test_who_lost_its_job_hands_nothing_over(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear")
    tell(1)
    events.fan_out(NOW)
    (job,) = jobs.claim("dead", now=NOW)
    jobs.recover(["dead"], now=NOW)
    jobs.perform(job)
    assert (ear.numbers, deliveries(edge)) == ([], [("pending", 0)])
    work()
    assert (ear.numbers, deliveries(edge)) == ([1], [("delivered", 1)])


def test_what_is_done_and_old_is_taken_out(edge: Database, ear: Ear) -> None:
    events.add_subscription("s", handler="t.ear", max_attempts=1, event_type="policy.bound")
    ear.fails[2] = InvalidError("no")
    for number in (1, 2):
        tell(number)
    tell(3, event_type="claim.opened")
    work()
    tell(4, event_type="claim.opened")
    soon, far = datetime.now(UTC), datetime.now(UTC) + timedelta(days=91)
    assert events.prune_events(now=soon) == 0
    assert events.prune_events(now=far) == 2
    assert [json.loads(r["event_payload"])["n"] for r in edge.query("SELECT * FROM integration_event")] == [
        2,
        4,
    ]
    assert deliveries(edge) == [("failed", 1)]


def test_what_a_subscription_cannot_be_is_refused(edge: Database, ear: Ear) -> None:
    with pytest.raises(NotFoundError, match=r"handles events as t\.none"):
        events.add_subscription("s", handler="t.none")
    with pytest.raises(InvalidError, match="neither a type"):
        events.add_subscription("s", handler="t.ear", event_type="Policy Bound")
    with pytest.raises(NotFoundError, match="no event source X"):
        events.add_subscription("s", handler="t.ear", source="X")
    with pytest.raises(NotFoundError, match="no event 99"):
        events.add_subscription("s", handler="t.ear", after=99)
    events.add_subscription("s", handler="t.ear")
    with pytest.raises(ConflictError, match="already"):
        events.add_subscription("S", handler="t.ear")
    changed = events.set_subscription("s", event_type="a.*", max_attempts=2, title="Title")
    assert (changed["type"], changed["max_attempts"], changed["title"]) == ("a.*", 2, "Title")
    assert events.set_subscription("s", clear=("type", "max_attempts"))["type"] is None
