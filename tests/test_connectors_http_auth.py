"""Tokens of OAuth 2 and signed requests, against real servers on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from connector_contract import ConnectorContract
from http_provider import Call, Provider, Reply, serve

from edgekit import clock
from edgekit.connectors import Connector, Page, check_config
from edgekit.connectors.base import open_gate
from edgekit.connectors.http import HttpConnector
from edgekit.connectors.http_oauth import Tokens
from edgekit.connectors.http_signature import Message, Signature
from edgekit.errors import DeniedError, EdgekitError, InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = {"client_id": "agency & co", "client_secret": "cl1ent/s3cret+", "refresh_token": "r3fresh-0"}


class Vault(dict[str, str]):
    """Secrets as a run gives them: what the other side renews can be handed back."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.kept: list[tuple[str, str]] = []

    def keep(self, key: str, value: str) -> None:
        self.kept.append((key, value))
        self[key] = value

    def reopen(self, key: str) -> str:
        return self[key]


class Guarded:
    """A service that lets in the newest of its tokens only, and says how it was asked for them."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, list[str]]] = []
        self.basic: list[str | None] = []
        self.rotates = False

    @property
    def token(self) -> str:
        return f"t0ken-number-{len(self.asked)}"

    def __call__(self, call: Call) -> Any:
        if call.path == "/token":
            self.asked.append(call.form)
            self.basic.append(call.headers.get("Authorization"))
            if self.rotates:
                if call.form["refresh_token"] != [f"r3fresh-{len(self.asked) - 1}"]:
                    return Reply({"error": "invalid_grant"}, 400)
                return {
                    "access_token": self.token,
                    "refresh_token": f"r3fresh-{len(self.asked)}",
                    **self.answer,
                }
            return {"access_token": self.token, "token_type": "Bearer", **self.answer}
        if call.headers.get("Authorization") != f"Bearer {self.token}":
            return Reply({"error": "who?"}, 401)
        page = int(call.query["page"][0])
        return [{"id": page}] if page < 4 else []


def read(provider: Provider, auth: dict[str, Any], secrets: dict[str, str], **config: Any) -> list[Page]:
    config = {
        "base_url": provider.url, "timeout_seconds": 5, "pagination": {"kind": "page"},
        "auth": {"kind": "oauth2", "token_url": f"{provider.url}/token", **auth}, **config,
    }  # fmt: skip
    check_config(HttpConnector(), config)
    connector = HttpConnector(sleep=lambda _: None)
    return list(connector.read(config, state={}, inputs=None, secrets=secrets))


def ids(pages: list[Page]) -> list[int]:
    return [record["id"] for page in pages for record in page.records]


def tries(pages: list[Page]) -> list[str]:
    return [attempt.url for page in pages for attempt in page.attempts]


class TestContract(ConnectorContract):
    """A source behind tokens keeps to the contract of any other."""

    secrets = SECRETS

    @pytest.fixture
    def service(self) -> Iterator[Provider]:
        with serve(Guarded()) as provider:
            yield provider

    @pytest.fixture
    def connector(self) -> Connector:
        return HttpConnector(sleep=lambda _: None)

    @pytest.fixture
    def config(self, service: Provider) -> dict[str, Any]:
        auth = {"kind": "oauth2", "token_url": f"{service.url}/token"}
        return {"base_url": service.url, "pagination": {"kind": "page"}, "auth": auth}

    @pytest.fixture
    def broken_config(self, service: Provider) -> dict[str, Any]:
        auth = {"kind": "oauth2", "token_url": f"{service.url}/elsewhere"}
        return {"base_url": service.url, "auth": auth}


def test_a_token_is_fetched_when_first_needed_and_used_for_the_whole_run() -> None:
    service = Guarded(expires_in=3600)
    with serve(service) as provider:
        pages = read(provider, {"scope": "read all", "audience": "api"}, SECRETS)
        assert ids(pages) == [1, 2, 3]
        assert tries(pages)[0] == f"{provider.url}/token"
    assert service.asked == [
        {"grant_type": ["client_credentials"], "scope": ["read all"], "audience": ["api"]}
    ]
    pair = base64.b64decode(str(service.basic[0]).removeprefix("Basic ")).decode()
    assert pair == "agency+%26+co:cl1ent%2Fs3cret%2B"  # as RFC 6749 writes them


def test_a_short_client_id_does_not_mask_every_text() -> None:
    said = Reply({"error": "some message"}, 400)
    with serve(lambda _: said) as provider, pytest.raises(DeniedError, match="some message"):
        read(provider, {}, {**SECRETS, "client_id": "me"})


def test_the_secret_goes_into_the_body_where_the_service_wants_it_there() -> None:
    service = Guarded()
    with serve(service) as provider:
        read(provider, {"client_auth": "body"}, SECRETS)
    assert service.asked[0]["client_secret"] == ["cl1ent/s3cret+"]
    assert service.basic == [None]


def test_a_token_is_renewed_ahead_of_its_end() -> None:
    asked: list[bytes | None] = []
    clock_now = [0.0]

    def post(request: Any) -> tuple[int, dict[str, str], bytes]:
        asked.append(request.content)
        return 200, {}, json.dumps({"access_token": f"t0ken-{len(asked)}", "expires_in": 300}).encode()

    tokens = Tokens(
        {"token_url": "https://login.example.com/token"}, SECRETS, lambda _auth, _setting, key: SECRETS[key],
        lambda _: None, str, now=lambda: clock_now[0],
    )  # fmt: skip
    seen = []
    for clock_now[0] in (0.0, 269.0, 270.0, 539.0, 541.0):
        seen.append(tokens.bearer(post))
    assert seen == ["Bearer t0ken-1"] * 2 + ["Bearer t0ken-2"] * 2 + ["Bearer t0ken-3"]


def test_a_refused_token_is_fetched_anew_once() -> None:
    service = Guarded()

    def revoked_once(call: Call) -> Any:
        if call.query.get("page") == ["2"] and len(service.asked) == 1:
            service.asked.append({})  # the one we have holds no more
        return service(call)

    with serve(revoked_once) as provider:
        assert ids(read(provider, {}, SECRETS)) == [1, 2, 3]
    assert len(service.asked) == 3


def test_who_is_refused_with_a_fresh_token_is_refused() -> None:
    calls: list[str] = []

    def never(call: Call) -> Any:
        calls.append(call.path)
        token = {"access_token": "t0ken-of-no-use"}
        return token if call.path == "/token" else Reply(b"not with t0ken-of-no-use", 401)

    with serve(never) as provider, pytest.raises(DeniedError, match="not with") as caught:
        read(provider, {}, SECRETS)
    assert "t0ken" not in caught.value.message
    assert calls == ["/token", "/", "/token", "/"]


def test_a_rotated_refresh_token_is_handed_back_before_the_token_is_used() -> None:
    service, vault = Guarded(expires_in=0), Vault(SECRETS)
    service.rotates = True
    order: list[str] = []

    def script(call: Call) -> Any:
        order.append(f"{call.path} {len(vault.kept)}")
        return service(call)

    with serve(script) as provider:
        assert ids(read(provider, {"grant": "refresh_token"}, vault)) == [1, 2, 3]
    assert order[:4] == ["/token 0", "/ 1", "/token 1", "/ 2"]
    assert vault["refresh_token"] == f"r3fresh-{len(service.asked)}"


def test_a_run_asks_once_for_a_token_whoever_of_its_branches_needs_it() -> None:
    service, vault = Guarded(), Vault(SECRETS)
    service.rotates = True
    connector = HttpConnector(sleep=lambda _: None).through(open_gate)
    with serve(service) as provider:
        auth = {"kind": "oauth2", "token_url": f"{provider.url}/token", "grant": "refresh_token"}
        config = {"base_url": provider.url, "auth": auth, "pagination": {"kind": "page"}}

        def branch(_: int) -> list[int]:
            return ids(list(connector.read(config, state={}, inputs=None, secrets=vault)))

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(branch, range(4))) == [[1, 2, 3]] * 4
    assert len(service.asked) == 1
    assert len(vault.kept) == 1


def test_a_refresh_token_somebody_else_used_up_is_read_again() -> None:
    service, vault = Guarded(), Vault(SECRETS)
    service.rotates, service.asked = True, [{}]  # one was given to another process
    refused: list[Call] = []

    def script(call: Call) -> Any:
        if call.path == "/token" and call.form["refresh_token"] == ["r3fresh-0"]:
            refused.append(call)
            vault["refresh_token"] = "r3fresh-1"
            return Reply({"error": "invalid_grant"}, 400)
        return service(call)

    with serve(script) as provider:
        assert ids(read(provider, {"grant": "refresh_token"}, vault)) == [1, 2, 3]
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (Reply({"error": "bad", "error_description": "no cl1ent/s3cret+"}, 401), DeniedError, "bad - no ***"),
        (Reply(b"<html>Log in</html>", 200, {"Content-Type": "text/html"}), InvalidError, "an HTML page"),
        (Reply({"error": "x"}, 200), InvalidError, "no access_token"),
        (Reply(["x"], 200), InvalidError, "a list"),
        (Reply({"access_token": "tok\nen", "token_type": "bearer"}), InvalidError, "no access_token"),
        (Reply({"access_token": "t0ken-x", "token_type": "mac"}), InvalidError, "mac"),
        (Reply({}, 503), UnavailableError, "tried 4 times"),
        (Reply({}, 302, {"Location": "http://127.0.0.1:1/"}), InvalidError, "redirects"),
    ],
)  # fmt: skip
def test_a_token_service_that_gives_none_is_named(reply: Reply, kind: type[EdgekitError], says: str) -> None:
    with serve(lambda _: reply) as provider, pytest.raises(kind) as caught:
        read(provider, {}, SECRETS)
    assert says in caught.value.message
    assert type(caught.value) is kind
    attempts = vars(caught.value)["attempts"]
    assert attempts
    assert all(attempt.url.endswith("/token") for attempt in attempts)
    assert not any(secret in str((caught.value.message, attempts)) for secret in SECRETS.values())


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/token",
        "http://localhost@login.example.com/token",
        "http://localhost:x@login.example.com/token",
        "http://127.0.0.1.example.com/token",
        "https://user:pw@login.example.com/token",
    ],
)
def test_secrets_are_sent_by_https_or_within_this_machine_only(url: str) -> None:
    config = {"base_url": "http://127.0.0.1:9", "auth": {"kind": "oauth2", "token_url": url}}
    with pytest.raises(InvalidError, match="token_url"):
        list(HttpConnector().read(config, state={}, inputs=None, secrets=SECRETS))


def test_a_token_goes_to_no_other_place() -> None:
    with serve(lambda _: []) as other, serve(lambda _: []) as provider:
        home = Guarded()

        def script(call: Call) -> Any:
            if call.path == "/token":
                return home(call)
            return Reply([{"id": 1}], 200, {"Link": f'<{other.url}/next>; rel="next"'})

        provider.script = script
        pages = {"kind": "next_link", "allow_other_origin": True}
        assert len(read(provider, {}, SECRETS, pagination=pages)) == 2
        assert [call.headers.get("Authorization") for call in other.calls] == [None]
        provider.script = lambda call: (
            home(call) if call.path == "/token" else Reply({}, 302, {"Location": f"{other.url}/moved"})
        )
        with pytest.raises(InvalidError, match="not followed"):
            read(provider, {}, SECRETS)
        assert len(other.calls) == 1


# signatures


def signed(auth: dict[str, Any], secret: str = "k3y-to-sign", **config: Any) -> Call:
    with serve(lambda _: []) as provider:
        settings = {"base_url": provider.url, "auth": {"kind": "hmac", **auth}, **config}
        check_config(HttpConnector(), settings)
        list(HttpConnector().read(settings, state={}, inputs=None, secrets={"signing_key": secret}))
        return provider.calls[0]


def mac(text: str, secret: bytes = b"k3y-to-sign") -> bytes:
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()


def test_a_body_is_signed_as_github_does() -> None:
    call = signed(
        {"header": "X-Hub-Signature-256", "prefix": "sha256="}, method="POST", request={"json": {"a": "ä"}}
    )
    assert call.headers["X-Hub-Signature-256"] == "sha256=" + mac(call.body.decode()).hex()


def test_time_and_body_are_signed_as_stripe_does() -> None:
    auth = {"header": "Stripe-Signature", "prefix": "t={timestamp},v1=", "over": "{timestamp}.{body}"}
    call = signed(auth, method="POST", request={"json": {"a": 1}})
    time, signature = call.headers["Stripe-Signature"].split(",")
    assert signature == "v1=" + mac(f"{time[2:]}.{call.body.decode()}").hex()
    assert abs(int(time[2:]) - clock.now().timestamp()) < 60


def test_path_and_query_are_signed_as_they_are_sent() -> None:
    auth = {
        "over": "{method}\n{path}\n{query}\n{timestamp}\n{nonce}\n{body}", "timestamp_header": "X-Time",
        "nonce_header": "X-Nonce", "encoding": "base64", "key_encoding": "base64",
    }  # fmt: skip
    call = signed(
        auth, base64.b64encode(b"raw\x00key").decode(), path="/a b/ü", params={"q": "x y&z", "n": [1, 2]}
    )
    said = call.headers
    text = f"GET\n/a%20b/%C3%BC\nq=x+y%26z&n=1&n=2\n{said['X-Time']}\n{said['X-Nonce']}\n"
    assert said["X-Signature"] == base64.b64encode(mac(text, b"raw\x00key")).decode()


def test_each_try_is_signed_for_itself() -> None:
    nonces = []

    def script(call: Call) -> Any:
        nonces.append(call.headers["X-Nonce"])
        return Reply({}, 500) if len(nonces) < 3 else []

    with serve(script) as provider:
        auth = {"kind": "hmac", "over": "{nonce}{path}", "nonce_header": "X-Nonce"}
        connector = HttpConnector(sleep=lambda _: None)
        settings = {"base_url": provider.url, "auth": auth}
        list(connector.read(settings, state={}, inputs=None, secrets={"signing_key": "k3y"}))
    assert len(set(nonces)) == 3


@pytest.mark.parametrize(
    "auth",
    [
        {"over": "{body}{secret}"},
        {"over": "{body}", "timestamp_header": "X-Time"},
        {"over": "{timestamp}{body}"},
        {"over": "{nonce}", "prefix": "sha256="},
        {"key_encoding": "base64"},
        {"key_encoding": "hex"},
        {"over": "{timestamp}{body}", "prefix": "{timestamp}:"},
        {"prefix": "{body},v1="},
    ],
)
def test_a_signature_that_proves_nothing_is_refused(auth: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as caught:
        Signature(auth, "n0 key!")
    assert "n0 key!" not in caught.value.message


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STRIPE = {"prefix": "t={timestamp},v1=", "over": "{timestamp}.{body}"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"prefix": "sha256=", "algorithm": "sha512"},
        STRIPE,
        {"encoding": "base64", "prefix": "v1,", "over": "{timestamp}.{body}", "timestamp_header": "X-Time"},
        {"over": "{method} {path} {nonce} {body}", "nonce_header": "X-Nonce"},
    ],
)
def test_what_is_signed_is_recognised_and_nothing_else(settings: dict[str, Any]) -> None:
    signature = Signature(settings, "k3y-to-sign")
    message = Message("POST", "/webhooks/x", "", b'{"a": 1}')
    headers = {name.lower(): value for name, value in signature.sign(message, now=NOW).items()}
    signature.verify(message, headers, now=NOW)
    with_others = {**headers, "x-signature": headers["x-signature"] + "," + "v1=" + "0" * 64}
    signature.verify(message, with_others, now=NOW)
    for wrong, other in (
        (Message("POST", "/webhooks/x", "", b'{"a": 2}'), headers),
        (message, {}),
        (message, {**headers, "x-signature": ""}),
        (message, {**headers, "x-signature": "ä" * 64}),
        (message, {**headers, "x-signature": headers["x-signature"][:-1]}),
    ):
        with pytest.raises(DeniedError):
            signature.verify(wrong, other, now=NOW)
    with pytest.raises(DeniedError):
        Signature(settings, "an0ther-key").verify(message, headers, now=NOW)


STANDARD = {
    "header": "webhook-signature", "prefix": "v1,", "encoding": "base64", "key_encoding": "base64",
    "over": "{nonce}.{timestamp}.{body}", "nonce_header": "webhook-id",
    "timestamp_header": "webhook-timestamp",
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "secret", "body", "headers"),
    [
        (
            {"header": "X-Hub-Signature-256", "prefix": "sha256="},
            "It's a Secret to Everybody",
            b"Hello, World!",
            {
                "x-hub-signature-256": "sha256="
                "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
            },
        ),
        (
            STANDARD,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            b'{"test": 2432232314}',
            {
                "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "webhook-timestamp": "1614265330",
                "webhook-signature": "v1,aaaa v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,bbbb",
            },
        ),
    ],
    ids=["github", "standard webhooks"],
)
def test_the_examples_senders_publish_are_recognised(
    settings: dict[str, Any], secret: str, body: bytes, headers: dict[str, str]
) -> None:
    sent = datetime.fromtimestamp(1614265330, UTC)
    signature = Signature(settings, secret)
    signature.verify(Message("POST", "/", "", body), headers, now=sent)
    with pytest.raises(DeniedError):
        signature.verify(Message("POST", "/", "", body + b" "), headers, now=sent)


def test_what_is_signed_serves_for_five_minutes_only() -> None:
    signature = Signature(STRIPE, "k3y-to-sign")
    message = Message("POST", "/", "", b"{}")
    headers = {name.lower(): value for name, value in signature.sign(message, now=NOW).items()}
    for seconds in (-300, 300):
        signature.verify(message, headers, now=NOW + timedelta(seconds=seconds))
    for seconds in (-302, 302):
        with pytest.raises(DeniedError, match="time"):
            signature.verify(message, headers, now=NOW + timedelta(seconds=seconds))
    moved = {"x-signature": headers["x-signature"].replace("t=", "t=9")}
    with pytest.raises(DeniedError, match="wrong"):
        signature.verify(message, moved, now=NOW)
