"""Writing by HTTP, against real servers on loopback that take, refuse, break off and forget."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from connector_contract import DestinationContract
from http_provider import Call, Provider, Reply, Script, in_turn, serve

from edgekit import validate
from edgekit.connectors import Delivery, Outgoing, Passage
from edgekit.connectors.http import HttpConnector
from edgekit.connectors.http_write import MAX_RESPONSE
from edgekit.errors import DeniedError, EdgekitError, InvalidError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SECRET = "s3cret/kase+1"


def out(*records: dict[str, Any]) -> list[Outgoing]:
    return [
        Outgoing(record, str(record.get("id")), f"key-{n}", f"row {n}") for n, record in enumerate(records, 1)
    ]


def rows(count: int) -> list[Outgoing]:
    return out(*({"id": n} for n in range(1, count + 1)))


def send(
    provider: Provider,
    records: Sequence[Outgoing],
    *,
    secrets: dict[str, str] | None = None,
    gate: Any = None,
    **config: Any,
) -> Delivery:
    """Send with checked settings; waiting is noted, never done."""
    config = {"base_url": provider.url, "timeout_seconds": 5, **config}
    connector = HttpConnector(sleep=lambda _: None)
    connector = connector if gate is None else connector.through(gate)
    validate.check(connector.write_schema, config, what="settings")
    with connector.open(config, state={}, secrets=secrets or {}) as writer:
        delivery = writer.send(records)
        assert len(delivery.answers) == len(records)
        assert writer.finish() == delivery.state
    return delivery


def broken(script: Script | Any, records: Sequence[Outgoing], **config: Any) -> EdgekitError:
    script = script if callable(script) else in_turn(script)
    with serve(script) as provider, pytest.raises(EdgekitError) as caught:
        send(provider, records, **config)
    assert "\n" not in caught.value.message
    assert vars(caught.value)["attempts"]
    return caught.value


def bodies(provider: Provider) -> list[Any]:
    return [json.loads(call.body) for call in provider.calls]


class Inbox:
    """A service that knows a second try by its key, and lets nobody in but who has the secret."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}

    def __call__(self, call: Call) -> Any:
        if call.path != "/in" or call.headers["Authorization"] != f"Bearer {SECRET}":
            return Reply({"error": f"not with {SECRET}"}, 403)
        document = json.loads(call.body)
        found = document if isinstance(document, list) else [document]
        self.taken.setdefault(call.headers["Idempotency-Key"], 0)
        for record in found:
            self.taken[f"{call.headers['Idempotency-Key']} {record['id']}"] = record["id"]
        return [{"ref": record["id"]} for record in found]


class TestContract(DestinationContract):
    """Records one by one."""

    write_secrets: ClassVar[Mapping[str, str]] = {"token": SECRET}
    extra: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def inbox(self) -> Inbox:
        return Inbox()

    @pytest.fixture
    def service(self, inbox: Inbox) -> Iterator[Provider]:
        with serve(inbox) as provider:
            yield provider

    @pytest.fixture
    def destination(self) -> Any:
        return HttpConnector(sleep=lambda _: None)

    @pytest.fixture
    def write_config(self, service: Provider) -> Mapping[str, Any]:
        return {"base_url": service.url, "path": "/in", "auth": {"kind": "bearer"}, **self.extra}

    @pytest.fixture
    def broken_write_config(self, service: Provider) -> Mapping[str, Any]:
        return {"base_url": service.url, "path": "/elsewhere", "auth": {"kind": "bearer"}}

    @pytest.fixture
    def content(self, inbox: Inbox) -> Callable[[], list[Any]]:
        return lambda: [number for key, number in inbox.taken.items() if " " in key]


@pytest.mark.slow
class TestBatchContract(TestContract):
    """Records in requests of two, each with an answer of its own."""

    extra: ClassVar[Mapping[str, Any]] = {"batch_size": 2, "answer": {"results": "$", "reference": "$.ref"}}


def test_each_record_is_sent_with_its_key_and_what_came_back_is_told() -> None:
    def script(call: Call) -> Any:
        return Reply({"id": f"ext-{json.loads(call.body)['id']}"}, 201)

    with serve(script) as provider:
        found = send(provider, rows(2), path="/items", answer={"reference": "$.id"})
    assert [(c.method, c.path, c.headers["Idempotency-Key"]) for c in provider.calls] == [
        ("POST", "/items", "key-1"), ("POST", "/items", "key-2"),
    ]  # fmt: skip
    assert [(a.error, a.response_code, a.external_reference) for a in found.answers] == [
        (None, 201, "ext-1"), (None, 201, "ext-2"),
    ]  # fmt: skip
    assert found.answers[0].response == {"id": "ext-1"}
    assert [attempt.response_code for attempt in found.attempts] == [201, 201]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_values_stand_in_the_path_as_one_part_of_it(method: str) -> None:
    awkward = ["7", "a/b", "a b?x=1#y", "ü%41", "..%2f", "../../admin", "x\r\nEvil: 1"]
    with serve(lambda _: Reply(b"", 204)) as provider:
        records = out(*({"id": value} for value in awkward))
        found = send(
            provider, records, path="/v1/items/{id}?dry=1", base_url=provider.url + "/7", method=method
        )
        assert all(answer.error is None for answer in found.answers)
    assert [call.path for call in provider.calls] == [
        "/7/v1/items/7", "/7/v1/items/a%2Fb", "/7/v1/items/a%20b%3Fx%3D1%23y", "/7/v1/items/%C3%BC%2541",
        "/7/v1/items/..%252f", "/7/v1/items/..%2F..%2Fadmin", "/7/v1/items/x%0D%0AEvil%3A%201",
    ]  # fmt: skip
    assert all(call.query == {"dry": ["1"]} for call in provider.calls)
    assert not any("Evil" in call.headers for call in provider.calls)


def test_a_value_never_melts_into_the_base_url() -> None:
    with serve(lambda _: Reply(b"", 204)) as provider:
        send(provider, out({"id": "5"}), base_url=f"{provider.url}/5", path="/{id}", method="DELETE")
    assert provider.calls[0].path == "/5/5"


@pytest.mark.parametrize("value", [None, "", ".", "..", True, [1], {"a": 1}, "\ud800"])
def test_what_cannot_stand_in_a_path_is_refused_alone(value: Any) -> None:
    with serve(lambda _: Reply(b"", 204)) as provider:
        found = send(provider, out({"id": value}, {"id": 2}), path="/items/{id}", method="PUT")
    assert [answer.error.code if answer.error else None for answer in found.answers] == ["path", None]
    assert len(provider.calls) == 1


def test_the_body_is_what_the_service_wants() -> None:
    with serve(lambda _: {}) as provider:
        record = out({"id": 1, "name": "Ann", "tags": ["a", "b"], "home": {"zip": "02134"}})
        for request in (
            {"json": {"source": "edge"}},
            {"into": "item", "json": {"v": 2}, "omit": ["id", "home", "tags"]},
            {"list": True, "omit": ["home", "tags", "name"]},
            {"form": {"v": 2}},
            {"content_type": "application/merge-patch+json", "omit": ["home"]},
        ):
            send(provider, record, request=request)
        send(provider, rows(3), batch_size=2, request={"into": "items"})
    sent = [call.body.decode() for call in provider.calls]
    assert [json.loads(body) for n, body in enumerate(sent) if n != 3] == [
        {"source": "edge", "id": 1, "name": "Ann", "tags": ["a", "b"], "home": {"zip": "02134"}},
        {"v": 2, "item": {"name": "Ann"}},
        [{"id": 1}],
        {"id": 1, "name": "Ann", "tags": ["a", "b"]},
        {"items": [{"id": 1}, {"id": 2}]},
        {"items": [{"id": 3}]},
    ]
    assert provider.calls[3].form == {
        "v": ["2"], "id": ["1"], "name": ["Ann"], "tags": ["a", "b"], "home": ['{"zip":"02134"}'],
    }  # fmt: skip
    assert provider.calls[4].headers["Content-Type"] == "application/merge-patch+json"


@pytest.mark.parametrize("status", [400, 409, 413, 422, 451])
def test_a_refused_record_is_told_with_the_reason_and_the_rest_goes_on(status: int) -> None:
    def script(call: Call) -> Any:
        bad = json.loads(call.body)["id"] == 2
        return Reply({"detail": f"the name is too long for {SECRET}"}, status) if bad else {}

    auth = {"kind": "bearer"}
    with serve(script) as provider:
        found = send(provider, rows(3), auth=auth, secrets={"token": SECRET})
    first, second, third = found.answers
    assert (first.error, third.error) == (None, None)
    assert second.error is not None
    assert (second.error.code, second.response_code) == (f"http_{status}", status)
    assert "the name is too long for ***" in second.error.message
    assert SECRET not in json.dumps(second.response, ensure_ascii=False)
    assert second.response == {"detail": "the name is too long for ***"}


def test_reasons_and_answers_are_bounded() -> None:
    with serve(in_turn(Reply({"e": "x" * 50_000}, 422), Reply({"e": "y" * 50_000}))) as provider:
        refused, taken = send(provider, rows(2)).answers
    assert refused.error is not None
    assert len(refused.error.message) < 400
    for answer in (refused, taken):
        assert len(json.dumps(answer.response)) < MAX_RESPONSE + 200
        assert answer.response["truncated"] is True


@pytest.mark.parametrize(
    ("status", "kind"), [(401, DeniedError), (403, DeniedError), (404, NotFoundError), (405, InvalidError)]
)
def test_who_lets_nobody_in_stops_the_run(status: int, kind: type[EdgekitError]) -> None:
    with serve(in_turn({}, Reply({"e": "no"}, status))) as provider, pytest.raises(kind) as caught:
        send(provider, rows(3))
    assert [call.body for call in provider.calls] == [b'{"id":1}', b'{"id":2}']
    assert [answer.response_code for answer in vars(caught.value)["answers"]] == [200]


def test_a_record_that_is_not_there_is_refused_or_already_deleted() -> None:
    with serve(lambda _: Reply({}, 404)) as provider:
        (patched,) = send(provider, rows(1), path="/i/{id}", method="PATCH").answers
        (deleted,) = send(provider, rows(1), path="/i/{id}", method="DELETE").answers
    assert patched.error is not None
    assert patched.error.code == "http_404"
    assert deleted.error is None
    assert [call.body for call in provider.calls] == [b'{"id":1}', b""]


class Remembers:
    """Takes a record and breaks off before it says so, as often as told; knows keys it has seen."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks
        self.taken: dict[str, bytes] = {}
        self.calls = 0

    def __call__(self, call: Call) -> Any:
        self.calls += 1
        self.taken.setdefault(call.headers.get("Idempotency-Key") or f"#{self.calls}", call.body)
        if self.breaks:
            self.breaks -= 1
            return Reply({"id": "x" * 100}, cut=True)
        return {"id": 7}


def test_what_was_taken_and_not_answered_is_sent_again_under_the_same_key() -> None:
    service = Remembers(2)
    with serve(service) as provider:
        found = send(provider, rows(1), answer={"reference": "$.id"})
    assert service.calls == 3
    assert service.taken == {"key-1": b'{"id":1}'}
    assert found.answers[0].external_reference == "7"
    assert [attempt.retry_number for attempt in found.attempts] == [0, 1, 2]


def test_without_a_key_what_may_have_been_taken_is_not_sent_again() -> None:
    service = Remembers(1)
    error = broken(service, rows(1), idempotency_header=None)
    assert isinstance(error, UnavailableError)
    assert "may have been taken" in error.message
    assert service.calls == 1
    calls: list[Call] = []

    def fails(call: Call) -> Any:
        calls.append(call)
        return Reply({}, 503)

    assert "may have been taken" in broken(fails, rows(1), idempotency_header=None).message
    assert len(calls) == 1
    assert "may have been" not in broken(
        fails, rows(1), idempotency_header=None, method="PUT", path="/{id}"
    ).message  # fmt: skip
    assert len(calls) == 5


def test_what_was_surely_not_taken_is_sent_again_without_a_key_too() -> None:
    replies = in_turn(Reply({}, 429, {"Retry-After": "1"}), {"id": 1})
    with serve(replies) as provider:
        found = send(provider, rows(1), idempotency_header=None)
    assert found.answers[0].error is None
    assert len(provider.calls) == 2
    with serve(lambda _: {}) as gone:
        pass
    with pytest.raises(UnavailableError) as caught:
        send(gone, rows(1), idempotency_header=None)
    assert len(vars(caught.value)["attempts"]) == 4


def test_a_second_try_that_meets_the_first_waits_for_it() -> None:
    replies = in_turn(Reply({}, 500), Reply({"e": "in progress"}, 409), {"id": 1})
    with serve(replies) as provider:
        assert send(provider, rows(1)).answers[0].error is None
    assert len(provider.calls) == 3
    with serve(in_turn(Reply({}, 500), Reply({"e": "there is one"}, 409))) as provider:
        (answer,) = send(provider, rows(1)).answers
    assert answer.error is not None
    assert (answer.error.code, len(provider.calls)) == ("http_409", 4)


def test_a_refused_batch_is_halved_until_the_bad_record_is_found() -> None:
    def script(call: Call) -> Any:
        return Reply({"e": "bad"}, 422) if {"id": 3} in json.loads(call.body) else {}

    with serve(script) as provider:
        found = send(provider, rows(4), batch_size=4)
    assert [answer.error.code if answer.error else None for answer in found.answers] == [
        None, None, "http_422", None,
    ]  # fmt: skip
    keys = [call.headers["Idempotency-Key"] for call in provider.calls]
    assert len(set(keys)) == len(keys) == 5
    with serve(lambda _: {}) as provider:
        send(provider, rows(4), batch_size=4)
    assert provider.calls[0].headers["Idempotency-Key"] == keys[0]


def test_each_record_of_a_batch_has_its_own_answer() -> None:
    answer = {"results": "$.results", "reference": "$.id", "error": "$.error", "status": "$.status"}
    results = [
        {"id": "a", "status": 201},
        {"status": 422, "error": {"name": "too long"}},
        {"id": "c", "error": None},
        {"error": "again?"},
        {"status": "409"},
    ]
    with serve(lambda _: Reply({"results": results}, 207)) as provider:
        found = send(provider, rows(5), batch_size=5, answer=answer).answers
    assert [(a.external_reference, a.error.code if a.error else None, a.response_code) for a in found] == [
        ("a", None, 201), (None, "http_422", 422), ("c", None, 207), (None, "refused", 207),
        (None, "http_409", 409),
    ]  # fmt: skip
    assert found[1].error is not None
    assert 'refused it: {"name":"too long"}' in found[1].error.message
    assert found[0].response == {"id": "a", "status": 201}


def test_an_answer_to_all_is_kept_once_and_counts_for_all() -> None:
    with serve(in_turn({"ok": True}, {"error": "closed"})) as provider:
        taken = send(provider, rows(3), batch_size=3, answer={"error": "$.error"}).answers
        refused = send(provider, rows(3), batch_size=3, answer={"error": "$.error"}).answers
    assert [(a.error, a.response) for a in taken] == [(None, {"ok": True}), (None, None), (None, None)]
    assert [a.error.code if a.error else None for a in refused] == ["refused"] * 3


def test_what_was_said_before_it_broke_is_told_also_within_a_halved_batch() -> None:
    replies = in_turn(Reply({}, 422), {}, Reply({}, 401))
    with serve(replies) as provider, pytest.raises(DeniedError) as caught:
        send(provider, rows(2), batch_size=2)
    assert [answer.error for answer in vars(caught.value)["answers"]] == [None]


def test_a_partial_answer_nobody_can_read_stops_the_run() -> None:
    assert "nobody knows where" in broken(Reply({"x": 1}, 207), rows(2), batch_size=2).message
    two = {"results": "$.results"}
    assert "1 results for 2 records" in broken({"results": [{}]}, rows(2), batch_size=2, answer=two).message


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(b"<html>Log in</html>", 200, {"Content-Type": "text/html"}), "an HTML page"),
        (Reply(b" <!DOCTYPE html><p>Log in", 200, {"Content-Type": "text/plain"}), "an HTML page"),
        (Reply(b"{oops", 200), "not valid JSON"),
        (Reply({}, 302, {"Location": "https://elsewhere.example.com/"}), "not followed"),
        (Reply({}, 307, {"Location": "/other"}), "not followed"),
    ],
)  # fmt: skip
def test_a_yes_that_is_none_stops_the_run(reply: Reply, says: str) -> None:
    assert says in broken(reply, rows(1)).message


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"", None),
        (b"OK", "OK"),
        (b"<ok/>", "<ok/>"),
        (b"7", 7),
        (b"[1]", [1]),
    ],
)
def test_a_yes_need_not_say_more(body: bytes, kept: Any) -> None:
    with serve(lambda _: Reply(body, 200, {"Content-Type": "text/plain"})) as provider:
        (answer,) = send(provider, rows(1), answer={"reference": "$.id"}).answers
    assert (answer.error, answer.external_reference, answer.response) == (None, None, kept)


@pytest.mark.parametrize(
    "config",
    [
        {"method": "DELETE", "path": "/items"},
        {"path": "/items/{id}", "batch_size": 2},
        {"batch_size": 2, "request": {"form": {}}},
        {"base_url": "http://user:pw@127.0.0.1/"},
    ],
)
def test_settings_that_do_harm_together_are_refused(config: dict[str, Any]) -> None:
    with serve(lambda _: {}) as provider:
        with pytest.raises(InvalidError):
            send(provider, rows(2), **config)
        assert provider.calls == []


@pytest.mark.parametrize(
    "config",
    [
        {"method": "GET"},
        {"idempotency_header": "X\r\nEvil: 1"},
        {"request": {}},
        {"pagination": {}},
        {"x": 1},
    ],
)
def test_an_unknown_setting_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        validate.check(HttpConnector.write_schema, {"base_url": "http://h", **config}, what="settings")


def test_a_key_no_header_can_carry_is_carried_as_its_digest() -> None:
    with serve(lambda _: {}) as provider:
        for key in ("ä", "a\r\nEvil: 1", "", "x" * 300):
            send(provider, [Outgoing({"id": 1}, "1", key, "row 1")])
    sent = [call.headers["Idempotency-Key"] for call in provider.calls]
    assert all(len(key) == 64 for key in sent)
    assert len(set(sent)) == 4


def test_every_try_passes_the_gate() -> None:
    from contextlib import contextmanager

    passed: list[tuple[str | None, Passage]] = []

    @contextmanager
    def gate(longest: float, target: str | None = None) -> Any:
        passed.append((target, Passage()))
        yield passed[-1][1]

    with serve(in_turn(Reply({}, 500), {}, {})) as provider:
        send(provider, rows(2), gate=gate)
    assert len(passed) == len(provider.calls) == 3
    assert {target for target, _ in passed} == {provider.url}
    assert [passage.status for _, passage in passed] == [500, 200, 200]


def test_a_request_is_signed_and_a_token_renewed_as_for_reading() -> None:
    def script(call: Call) -> Any:
        if call.path == "/token":
            return {"access_token": f"t0ken-{len([c for c in provider.calls if c.path == '/token'])}"}
        return {} if call.headers["Authorization"] == "Bearer t0ken-2" else Reply({}, 401)

    with serve(script) as provider:
        auth = {"kind": "oauth2", "token_url": f"{provider.url}/token"}
        found = send(provider, rows(2), auth=auth, secrets={"client_id": "me", "client_secret": SECRET})
        assert [answer.error for answer in found.answers] == [None, None]
        asked = [attempt.url.removeprefix(provider.url) for attempt in found.attempts]
        assert asked == ["/token", "", "/token", "", ""]
    with serve(lambda _: {}) as provider:
        send(provider, rows(1), auth={"kind": "hmac"}, secrets={"signing_key": SECRET})
        assert len(provider.calls[0].headers["X-Signature"]) == 64
