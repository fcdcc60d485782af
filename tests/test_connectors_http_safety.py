"""What an HTTP source may not do: lose records after a break, keep keys in links, outlast its deadline."""

from __future__ import annotations

import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from http_provider import Call, Reply, serve

from edgekit import __version__
from edgekit.connectors.http import HttpConnector
from edgekit.connectors.http_answers import next_link
from edgekit.connectors.http_deadline import Deadline
from edgekit.errors import InvalidError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgekit.connectors.base import Page


def read(config: Mapping[str, Any], state: Mapping[str, Any] | None = None, **secrets: str) -> list[Page]:
    connector = HttpConnector(sleep=lambda _seconds: None)
    return list(connector.read(config, state=state or {}, inputs=None, secrets=secrets))


def ids(pages: list[Page]) -> list[int]:
    return [record["id"] for page in pages for record in page.records]


def hundred(call: Call) -> Any:
    """A hundred records, in pages of the size asked for."""
    page, size = int(call.query["page"][0]), int(call.query["page_size"][0])
    return [{"id": number} for number in range(100)][(page - 1) * size : page * size]


def test_a_broken_pass_loses_nothing_when_the_page_size_has_changed() -> None:
    with serve(hundred) as provider:
        config = {"base_url": provider.url, "pagination": {"kind": "page"}, "page_size": 10}
        first, second, *_ = read(config)
        assert ids(read(config, second.state)) == list(range(20, 100)), "the same size goes on"
        rest = read({**config, "page_size": 40}, second.state)
    assert set(ids([first, second, *rest])) == set(range(100))


def test_a_request_that_waits_for_rows_is_never_sent_without_them() -> None:
    inputs = {"join": "{vin}", "separator": ";", "into": "form", "name": "DATA"}
    with serve(lambda _call: []) as provider:
        with pytest.raises(InvalidError, match="driven by rows, but no inputs are set") as caught:
            read({"base_url": provider.url, "method": "POST", "request": {"inputs": inputs}})
        assert provider.calls == []
    assert "inputs={" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", ["cursor", "next_link"])
def test_a_key_that_comes_back_as_the_name_of_a_page_is_never_kept(kind: str) -> None:
    paging = (
        {"kind": kind, "cursor_path": "$.next"} if kind == "cursor" else {"kind": kind, "next_path": "$.next"}
    )
    with serve(lambda _call: {"items": [{"id": 1}], "next": "/after/s3cr3t-w0rd"}) as provider:
        config = {
            "base_url": provider.url,
            "records": "$.items",
            "auth": {"kind": "bearer"},
            "pagination": paging,
        }
        with pytest.raises(InvalidError, match="gives our secret back") as caught:
            read(config, token="s3cr3t-w0rd")
    assert "s3cr3t" not in caught.value.message


@pytest.mark.parametrize("auth", [{"kind": "bearer"}, {"kind": "query", "name": "key", "secret": "token"}])
def test_a_key_the_source_repeats_in_its_links_is_never_kept(auth: dict[str, str]) -> None:
    def script(call: Call) -> Any:
        page = int(call.query.get("page", ["1"])[0])
        following = f"/list?page={page + 1}&key=s3cr3t-w0rd&sort=a%2Fb" if page < 3 else None
        return {"items": [{"id": page}], "next": following}

    with serve(script) as provider:
        config = {
            "base_url": provider.url, "path": "/list", "records": "$.items", "auth": auth,
            "pagination": {"kind": "next_link", "next_path": "$.next"},
        }  # fmt: skip
        pages = read(config, token="s3cr3t-w0rd")
        assert [call.query.get("sort") for call in provider.calls] == [None, ["a/b"], ["a/b"]]
    assert ids(pages) == [1, 2, 3]
    assert "s3cr3t" not in repr(pages)


@pytest.mark.parametrize(
    ("header", "link"),
    [
        ('</x>; rel="next"', "/x"),
        ("</x>; rel=next", "/x"),
        ('</a>; rel="last", </x>; title="t"; rel="next"', "/x"),
        ('</x>; rel="prefetch next"', "/x"),
        ('</x>; rel="next-archive"', None),
        ("</x>; rel=nextpage", None),
        ('</x>; rel="prev"', None),
        ("", None),
    ],
)
def test_only_the_next_of_a_link_header_is_followed(header: str, link: str | None) -> None:
    assert next_link({"link": header}) == link


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that this process trusts."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    builder = builder.add_extension(address, critical=False)
    signed = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA256()
    )
    path = tmp_path / "loopback.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_a_source_that_drips_through_tls_is_left_in_time(trusted: ssl.SSLContext) -> None:
    answers = [Reply([{"id": 1}]), Reply([{"id": number} for number in range(1000)], drip=0.01)]
    with serve(lambda call: answers["slow" in call.path], trusted) as provider:
        assert ids(read({"base_url": provider.url})) == [1]
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match=r"did not answer within 0\.3 seconds"):
            read({"base_url": provider.url, "path": "slow", "timeout_seconds": 0.3, "retries": 0})
        assert time.monotonic() - begun < 3


def test_a_connection_that_opens_late_is_cut_all_the_same() -> None:
    """The name server may have taken all of the time before there was a socket to shut."""
    cut = threading.Event()

    class Late:
        def get_extra_info(self, _name: str) -> Any:
            return self

        def shutdown(self, _how: int) -> None:
            cut.set()

    deadline = Deadline(0.05)
    try:
        with deadline:
            assert not cut.wait(0.15)
            deadline.trace("connection.connect_tcp.complete", {"return_value": Late()})
            assert cut.wait(5)
            assert deadline.expired
        cut.clear()
        with deadline:
            assert not deadline.expired, "the next request has all of its time"
    finally:
        deadline.close()


def test_the_source_is_told_who_asks() -> None:
    with serve(lambda _call: []) as provider:
        read({"base_url": provider.url})
        assert provider.calls[0].headers["User-Agent"] == f"edgekit/{__version__}"


def test_no_thread_is_left_behind() -> None:
    with serve(hundred) as provider:
        config = {"base_url": provider.url, "pagination": {"kind": "page"}, "page_size": 10}
        connector = HttpConnector(sleep=lambda _seconds: None)
        pages = connector.read(config, state={}, inputs=None, secrets={})
        next(pages)
        assert [t.name for t in threading.enumerate()].count("edgekit-deadline") == 1
        pages.close()
        assert "edgekit-deadline" not in [t.name for t in threading.enumerate()]


def paged(size: int, *, beyond: int = 200) -> Any:
    """A source of 45 records that never gives more than `size` at once, whatever it is asked for."""

    def answer(call: Call) -> Any:
        page = int(call.query["page"][0])
        records = [{"n": n} for n in range(45)][(page - 1) * size : page * size]
        return records if records or beyond == 200 else Reply({"detail": "Invalid page."}, beyond)

    return answer


@pytest.mark.parametrize("beyond", [200, 404])
@pytest.mark.parametrize("size", [20, 15, 45, 100])
def test_a_source_that_gives_less_than_it_is_asked_for_loses_nothing(size: int, beyond: int) -> None:
    with serve(paged(size, beyond=beyond)) as provider:
        found = read({"base_url": provider.url, "pagination": {"kind": "page"}, "page_size": 50})
    assert [record["n"] for page in found for record in page.records] == list(range(45))
    assert found[-1].state == {"done": True}


def test_a_first_page_that_is_not_found_is_no_empty_list() -> None:
    with serve(lambda _call: Reply({}, 404)) as provider, pytest.raises(NotFoundError):
        read({"base_url": provider.url, "pagination": {"kind": "page"}, "page_size": 50})
