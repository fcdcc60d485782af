"""The HTTP connector against a real server on loopback that answers as each test says."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import socket
import ssl
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from http_provider import Call, Provider, Reply, Script, in_turn, serve

from edgekit import schema
from edgekit.connectors import Page, check_config, get
from edgekit.connectors.http import HttpConnector, _higher
from edgekit.connectors.http_requests import join_url, render
from edgekit.errors import (
    DeniedError,
    EdgekitError,
    InvalidError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "s3cret/käse+1"
PLAIN = "pl41n-s3cret"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def read(
    provider: Provider | str,
    *,
    state: dict[str, Any] | None = None,
    inputs: list[dict[str, Any]] | None = None,
    secrets: dict[str, str] | None = None,
    waits: list[float] | None = None,
    **config: Any,
) -> list[Page]:
    """Read one pass with checked settings; waiting is noted, never done."""
    connector = HttpConnector(sleep=([] if waits is None else waits).append)
    settings = {
        "base_url": provider if isinstance(provider, str) else provider.url,
        "timeout_seconds": 5,
        **config,
    }
    check_config(connector, settings)
    rows = None if inputs is None else iter(after(inputs, state))
    pages = connector.read(settings, state=state or {}, inputs=rows, secrets=secrets or {})
    return json_states(pages)


def json_states(pages: Iterator[Page]) -> list[Page]:
    found = []
    for page in pages:
        page.state = json.loads(json.dumps(page.state))  # as the file keeps it
        assert len(page.records) == len(page.positions)
        found.append(page)
    return found


def after(rows: list[dict[str, Any]], state: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Give the rows as the runner does: those after the checkpoint."""
    done = (state or {}).get("input") or 0
    return [row for row in rows if row["id"] > done]


def ids(pages: list[Page]) -> list[Any]:
    return [record["id"] for page in pages for record in page.records]


def refused(script: Script | Any, kind: type[EdgekitError] = InvalidError, **config: Any) -> EdgekitError:
    with serve(script if callable(script) else in_turn(script)) as provider, pytest.raises(kind) as caught:
        read(provider, **config)
    assert type(caught.value) is kind
    assert "\n" not in caught.value.message
    return caught.value


def paged(count: int, size: int, **extra: Any) -> Script:
    def script(call: Call) -> Any:
        page = int(call.query["page"][0])
        return {"rows": [{"id": n} for n in range(count)][(page - 1) * size : page * size], **extra}

    return script


PAGES: dict[str, Any] = {"records": "$.rows", "pagination": {"kind": "page"}, "page_size": 3}


# settings and addresses


def test_the_connector_is_found_by_name_and_the_templates_pass_its_schema() -> None:
    connector = get("http")
    assert connector.positions_are_stable is False
    seen = 0
    seeds = [path.read_text(encoding="utf-8") for path in schema.seed_folder().glob("50_integrations/*.json")]
    for template in (row for text in seeds for row in json.loads(text)["integration_template"]):
        settings = template["connection_template"]
        if settings["connector"] == "http":
            target = {"connector", "inputs", "table", "key", "create"}
            own = {k: v for k, v in settings.items() if k not in target}
            own.setdefault("base_url", "http://localhost")  # left to the user of the REST source
            check_config(connector, own)
            seen += 1
    assert seen == 7


@pytest.mark.parametrize(
    "setting",
    [
        {"bse_url": "x"},
        {"base_url": "ftp://example.com"},
        {"method": "DELETE"},
        {"pagination": {"kind": "pages"}},
        {"auth": {"kind": "header", "value": "secret"}},
        {"timeout_seconds": 0},
        {"request": {"form": {}, "json": {}}},
    ],
)
def test_a_wrong_setting_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        check_config(get("http"), {"base_url": "http://127.0.0.1", **setting})


@pytest.mark.parametrize(
    ("base", "path", "whole"),
    [
        ("http://a/api", "/api/vehicles", "http://a/api/vehicles"),
        ("http://a", "/api/vehicles", "http://a/api/vehicles"),
        ("http://a/", "api/vehicles", "http://a/api/vehicles"),
        ("http://a/x/api/", "/api/vehicles", "http://a/x/api/vehicles"),
        ("http://a/api/vehicles", "/api/vehicles", "http://a/api/vehicles"),
        ("http://a/ap", "/api/vehicles", "http://a/ap/api/vehicles"),
        ("http://a/v1", "/items/", "http://a/v1/items/"),
        ("http://a/v1", "", "http://a/v1"),
        ("http://a/v1?k=1", "/items?l=2", "http://a/v1/items?k=1&l=2"),
    ],
)
def test_base_url_and_path_are_joined_without_doubling(base: str, path: str, whole: str) -> None:
    assert join_url(base, path) == whole


@pytest.mark.parametrize("base", ["http://user:pw@a/", "http://a:port/", "http://[a/", "http://"])
def test_a_base_url_that_is_none_or_holds_a_password_is_refused_without_showing_it(base: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read(base)
    assert "pw" not in str(caught.value)


def test_params_and_headers_are_sent() -> None:
    with serve(in_turn([])) as provider:
        read(provider, path="/x?a=1", params={"b": [1, "ü&"], "c": True, "d": None}, headers={"X-One": "1"})
        call = provider.calls[0]
    assert call.query == {"a": ["1"], "b": ["1", "ü&"], "c": ["true"]}
    assert call.headers["X-One"] == "1"


# who asks


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"kind": "header", "name": "X-Api-Key", "secret": "api_key"}, "X-Api-Key", PLAIN),
        ({"kind": "bearer", "secret": "api_key"}, "Authorization", f"Bearer {PLAIN}"),
        (
            {"kind": "basic", "username_secret": "user", "password_secret": "api_key"},
            "Authorization",
            "Basic " + base64.b64encode(f"me:{PLAIN}".encode()).decode(),
        ),
        ({"kind": "none"}, "Authorization", None),
    ],
)
def test_each_kind_of_key_is_sent_in_its_header(auth: dict[str, Any], header: str, value: str | None) -> None:
    with serve(in_turn([])) as provider:
        read(provider, auth=auth, secrets={"api_key": PLAIN, "user": "me"})
        assert provider.calls[0].headers.get(header) == value


def test_a_key_in_the_query_is_sent_and_masked_everywhere() -> None:
    auth = {"kind": "query", "name": "key", "secret": "api_key"}
    with serve(in_turn(Reply({"echo": f"bad key {SECRET}"}, 400, {"X-Request-Id": SECRET}))) as provider:
        with pytest.raises(InvalidError) as caught:
            read(provider, auth=auth, secrets={"api_key": SECRET})
        assert provider.calls[0].query["key"] == [SECRET]
    attempt = caught.value.attempts[0]
    assert attempt.url.endswith("?key=***")
    for text in (str(caught.value), repr(caught.value.attempts)):
        assert "s3cret" not in text
    assert "***" in str(caught.value)


def test_secrets_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(in_turn([])) as provider:
        read(provider, auth={"kind": "query", "secret": "k"}, secrets={"k": PLAIN})
    assert PLAIN not in caplog.text


def test_a_missing_secret_says_how_to_store_it_and_nothing_is_sent() -> None:
    with serve(in_turn([])) as provider:
        with pytest.raises(InvalidError) as caught:
            read(provider, auth={"kind": "bearer", "secret": "token"})
        assert not provider.calls
    assert caught.value.hint == "Store it: edgekit vault set INTEGRATION token"


@pytest.mark.parametrize("secret", ["line\nend", "schlüssel", ""])
def test_a_secret_no_header_can_carry_is_refused_without_showing_it(secret: str) -> None:
    error = refused([], auth={"kind": "header", "name": "K", "secret": "k"}, secrets={"k": secret})
    assert not secret or secret not in str(error)
    assert error.message.startswith("The secret")


def test_a_header_that_cannot_be_sent_is_one_line() -> None:
    for value in ("a\nb: c", "schlüssel"):
        assert "malformed" in refused([], headers={"X-One": value}).message


# pages


def test_pages_end_with_a_short_one() -> None:
    with serve(paged(7, 3)) as provider:
        pages = read(provider, **PAGES)
        assert [call.query for call in provider.calls] == [
            {"page": [str(n)], "page_size": ["3"]} for n in (1, 2, 3)
        ]
    assert ids(pages) == list(range(7))
    assert pages[1].positions == ["page 2 record 1", "page 2 record 2", "page 2 record 3"]
    assert [page.state.get("done") for page in pages] == [None, None, True]
    assert len({call.peer for call in provider.calls}) == 1, "one connection is kept"


def test_pages_end_with_an_empty_one() -> None:
    with serve(paged(6, 3)) as provider:
        assert ids(pages := read(provider, **PAGES)) == list(range(6))
    assert len(pages) == 3
    assert pages[-1].state == {"done": True}


def test_a_total_ends_the_pages_and_a_short_page_does_not() -> None:
    settings = {**PAGES, "page_size": 10, "pagination": {"kind": "page", "total_path": "$.total", "start": 1}}
    with serve(paged(6, 3, total=6)) as provider:  # gives three where ten were asked for
        assert ids(read(provider, **settings)) == list(range(6))
        assert len(provider.calls) == 2


def test_max_pages_ends_the_pages() -> None:
    with serve(paged(100, 3)) as provider:
        pages = read(provider, **{**PAGES, "pagination": {"kind": "page", "max_pages": 2}})
    assert ids(pages) == list(range(6))
    assert pages[-1].state == {"done": True}


def test_offsets_go_by_what_came() -> None:
    def script(call: Call) -> Any:
        start = int(call.query["skip"][0])
        return [{"id": n} for n in range(5)][start : start + 2]

    with serve(script) as provider:
        pagination = {"kind": "offset", "page_param": "skip", "size_param": "take"}
        assert ids(read(provider, pagination=pagination, page_size=2)) == list(range(5))
        assert [call.query["skip"] for call in provider.calls] == [["0"], ["2"], ["4"]]
        assert provider.calls[0].query["take"] == ["2"]


def test_next_links_are_followed_with_the_key_and_kept_without_it() -> None:
    def script(call: Call) -> Any:
        page = int(call.query.get("p", ["1"])[0])
        following = f"?p={page + 1}&key={PLAIN}" if page < 3 else None
        return {"rows": [{"id": page}], "links": {"next": following}}

    settings: dict[str, Any] = {
        "path": "/list",
        "params": {"first": "only"},
        "records": "$.rows",
        "pagination": {"kind": "next_link", "next_path": "$.links.next"},
        "auth": {"kind": "query", "name": "key", "secret": "k"},
        "secrets": {"k": PLAIN},
    }
    with serve(script) as provider:
        pages = read(provider, **settings)
        assert all(call.query["key"] == [PLAIN] and call.path == "/list" for call in provider.calls)
        assert ["first" in call.query for call in provider.calls] == [True, False, False]
        assert ids(pages) == [1, 2, 3]
        assert PLAIN not in repr(pages)
        assert ids(read(provider, state=pages[0].state, **settings)) == [2, 3]


def test_the_link_header_is_followed_where_no_path_is_given() -> None:
    replies = [Reply([{"id": 1}], headers={"Link": '</b>; rel="prev", </c>; rel="next"'}), Reply([{"id": 2}])]
    with serve(in_turn(*replies)) as provider:
        assert ids(read(provider, pagination={"kind": "next_link"})) == [1, 2]
        assert provider.calls[1].path == "/c"


def test_a_next_link_elsewhere_is_refused_or_asked_without_any_secret() -> None:
    with serve(in_turn({"rows": [{"id": 2}]})) as other:
        script = in_turn({"rows": [{"id": 1}], "next": f"{other.url}/more"})
        settings: dict[str, Any] = {
            "records": "$.rows",
            "auth": {"kind": "bearer", "secret": "k"},
            "headers": {"X-Mine": "1"},
        }
        pagination = {"kind": "next_link", "next_path": "$.next"}
        with serve(script) as provider:
            with pytest.raises(InvalidError, match="names a next page at another place"):
                read(provider, pagination=pagination, secrets={"k": PLAIN}, **settings)
            assert not other.calls
            pagination["allow_other_origin"] = True  # type: ignore[assignment]
            assert ids(read(provider, pagination=pagination, secrets={"k": PLAIN}, **settings)) == [1, 2]
        assert "Authorization" not in other.calls[0].headers
        assert "X-Mine" not in other.calls[0].headers


def test_cursors_are_followed_to_their_end_over_an_empty_page() -> None:
    answers = {None: ([1], "a"), "a": ([], 0), "0": ([2], "")}

    def script(call: Call) -> Any:
        rows, following = answers[call.query.get("after", [None])[0]]
        return {"rows": [{"id": n} for n in rows], "meta": {"next": following}}

    pagination = {"kind": "cursor", "cursor_param": "after", "cursor_path": "$.meta.next"}
    with serve(script) as provider:
        assert ids(read(provider, records="$.rows", pagination=pagination)) == [1, 2]


@pytest.mark.parametrize(
    ("pagination", "script"),
    [
        ({"kind": "page"}, in_turn({"rows": [{"id": 1}]})),
        # the same records, though the answer counts its pages
        ({"kind": "page"}, lambda call: {"rows": [{"id": 1}], "page": call.query["page"]}),
        ({"kind": "offset"}, in_turn({"rows": [{"id": 1}]})),
        ({"kind": "cursor"}, lambda call: {"rows": [{"id": call.query}], "next_cursor": "same"}),
        (
            {"kind": "next_link", "next_path": "$.n"},
            lambda call: {"rows": [{"id": call.query}], "n": "/?a=1"},
        ),
    ],
)
def test_a_source_that_repeats_a_page_for_ever_is_stopped(pagination: dict[str, Any], script: Script) -> None:
    with (
        serve(script) as provider,
        pytest.raises(InvalidError, match="answers the same page again and again"),
    ):
        read(provider, records="$.rows", pagination=pagination)
    assert len(provider.calls) <= 3


def test_endless_empty_pages_are_stopped() -> None:
    numbers = iter(range(1000))
    error = refused(
        lambda _: {"rows": [], "next_cursor": next(numbers)}, records="$.rows", pagination={"kind": "cursor"}
    )
    assert "again and again" in error.message


def test_a_feed_without_news_ends() -> None:
    with serve(in_turn({"rows": [], "next_cursor": "now"})) as provider:
        pages = read(provider, records="$.rows", pagination={"kind": "cursor", "start": "now"})
    assert pages[-1].state == {"done": True}


def test_every_page_can_be_gone_on_from() -> None:
    with serve(paged(8, 3)) as provider:
        whole = read(provider, **PAGES)
        for number, page in enumerate(whole[:-1]):
            rest = read(provider, state=page.state, **PAGES)
            assert ids(rest) == ids(whole[number + 1 :])
            assert rest[0].positions == whole[number + 1].positions
        finished = {**whole[0].state, **whole[-1].state}
        again = read(provider, state=finished, **PAGES)
        assert ids(again) == ids(whole), "a finished pass starts anew"


# what changed since


def test_the_highest_value_is_asked_from_in_the_next_pass() -> None:
    days = ["2026-01-02T00:00:00Z", "2026-03-01T00:00:00+02:00", "2026-02-01T00:00:00Z", None]
    rows = [{"id": n, "at": day} for n, day in enumerate(days)]

    def script(call: Call) -> Any:
        page = int(call.query["page"][0])
        return {"rows": rows[(page - 1) * 3 : page * 3]}

    settings = {**PAGES, "incremental": {"param": "since", "path": "$.at", "initial": "2026-01-01"}}
    with serve(script) as provider:
        pages = read(provider, **settings)
        assert [call.query["since"] for call in provider.calls] == [["2026-01-01"]] * 2
        assert pages[-1].state == {"done": True, "cursor": days[1]}
        resumed = read(provider, state=pages[0].state, **settings)
        assert resumed[-1].state == pages[-1].state, "what the first page had is not forgotten"
        provider.calls.clear()
        read(provider, state=pages[-1].state, **settings)
        assert [call.query["since"] for call in provider.calls] == [[days[1]]] * 2


def test_cursor_values_are_compared_by_what_they_are() -> None:
    assert _higher("9", "10") == "10"
    assert _higher(9, 10.5) == 10.5
    assert _higher("2026-01-01T10:00:00+00:00", "2026-01-01T11:30:00+02:00") == "2026-01-01T10:00:00+00:00"
    assert _higher("a", "b") == "b"
    assert _higher("a", None) == _higher("a", True) == _higher("a", "") == _higher(None, "a") == "a"


# rows that drive


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"vin": "V", "model_year": 2020}, "V,2020"),
        ({"vin": "V", "model_year": None}, "V"),
        ({"vin": " V ", "model_year": ""}, "V"),
        ({"vin": None, "model_year": 2020}, ",2020"),
        ({"vin": None, "model_year": None}, ""),
    ],
)
def test_a_row_is_rendered_and_an_empty_last_part_drops_its_comma(row: dict[str, Any], text: str) -> None:
    assert render("{vin},{model_year}", row) == text


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": n * 10, "vin": f"V{n}", "model_year": 2020} for n in range(1, count + 1)]


def ask(into: str, separator: str | None = ";", **more: Any) -> dict[str, Any]:
    inputs = {"join": "{vin},{model_year}", "into": into, "name": "DATA"}
    if separator is not None:
        inputs["separator"] = separator
    return {"request": {"inputs": inputs, **more}, "batch_size": 2}


def test_rows_are_asked_for_in_a_form() -> None:
    with serve(lambda call: [{"id": v} for v in call.form["DATA"][0].split(";")]) as provider:
        pages = read(provider, method="POST", inputs=rows(5), **ask("form", form={"format": "json"}))
        assert provider.calls[0].form == {"format": ["json"], "DATA": ["V1,2020;V2,2020"]}
    assert ids(pages) == [f"V{n},2020" for n in range(1, 6)]
    assert [page.state for page in pages] == [
        {"input": 20, "batch": 2},
        {"input": 40, "batch": 3},
        {"done": True},
    ]
    assert pages[1].positions == ["batch 2 page 1 record 1", "batch 2 page 1 record 2"]


def test_rows_are_asked_for_in_query_json_and_path() -> None:
    with serve(in_turn([])) as provider:
        read(provider, inputs=rows(2), **ask("query"))
        read(provider, inputs=rows(2), **ask("query", None))
        read(provider, inputs=rows(2), method="POST", **ask("json", None, json={"a": 1}))
        read(
            provider,
            inputs=[{"id": 1, "vin": "a/../ü", "model_year": None}],
            path="/v/{DATA}/x",
            **ask("path"),
        )
        first, second, third, fourth = provider.calls
    assert first.query["DATA"] == ["V1,2020;V2,2020"]
    assert second.query["DATA"] == ["V1,2020", "V2,2020"]
    assert json.loads(third.body) == {"a": 1, "DATA": ["V1,2020", "V2,2020"]}
    assert fourth.path == "/v/a%2F..%2F%C3%BC/x"


def test_pages_inside_a_batch_can_be_gone_on_from_even_if_the_rows_have_changed() -> None:
    def script(call: Call) -> Any:
        page = int(call.query["page"][0])
        return {"rows": [{"id": f"{v}/{page}"} for v in call.query["DATA"][0].split(";")][: 3 - page]}

    settings = {**PAGES, **ask("query"), "page_size": 2}
    with serve(script) as provider:
        whole = read(provider, inputs=rows(5), **settings)
        assert len(whole) == 7
        assert whole[2].state["input"] == 20, "the batch before is the last that is finished"
        for number, page in enumerate(whole[:-1]):
            rest = read(provider, inputs=rows(5), state=page.state, **settings)
            assert ids(rest) == ids(whole[number + 1 :])
            assert [p.positions for p in rest] == [p.positions for p in whole[number + 1 :]]
        fewer = [row for row in rows(5) if row["id"] != 10]  # written to meanwhile: the filter lets it out
        assert ids(read(provider, inputs=fewer, state=whole[0].state, **settings)) == ids(whole[1:])


def test_without_rows_nothing_is_asked_and_the_pass_is_done() -> None:
    with serve(in_turn([])) as provider:
        for given in ([], [{"id": 1, "vin": None, "model_year": " "}]):
            pages = read(provider, inputs=given, **ask("query"))
            assert [(page.records, page.state) for page in pages] == [([], {"done": True})]
        assert not provider.calls


def test_a_row_that_holds_the_separator_is_set_aside() -> None:
    bad = [{"id": 1, "vin": "A;B", "model_year": 1}, {"id": 2, "vin": "C", "model_year": 2}]
    with serve(in_turn([])) as provider:
        [page] = read(provider, inputs=bad, **ask("query"))
        assert provider.calls[0].query["DATA"] == ["C,2"]
        [only] = read(provider, inputs=bad[:1], **ask("query"))
        assert len(provider.calls) == 1
    assert [(r.position, r.code) for r in page.rejects] == [("input 1", "input")]
    assert only.rejects == page.rejects


def test_a_column_the_rows_do_not_have_is_named() -> None:
    error = refused([], inputs=[{"id": 1, "other": 2}], **ask("query"))
    assert "vin" in error.message
    assert "other" in str(error.hint)


def test_inputs_that_cannot_be_sent_are_refused() -> None:
    assert "no body" in refused([], inputs=rows(1), **ask("form")).message
    assert "no place {DATA}" in refused([], inputs=rows(1), **ask("path")).message
    assert "request.inputs" in refused([], inputs=rows(1)).message


# what comes back


def test_what_is_no_object_is_set_aside_with_its_place() -> None:
    with serve(in_turn({"rows": [{"id": 1}, "text", None, [1]]})) as provider:
        [page] = read(provider, records="$.rows")
    assert page.positions == ["page 1 record 1"]
    assert [(r.raw, r.position, r.code) for r in page.rejects] == [
        ('"text"', "page 1 record 2", "shape"),
        ("null", "page 1 record 3", "shape"),
        ("[1]", "page 1 record 4", "shape"),
    ]
    assert page.rejects[0].message == "A record is an object; this is text."


@pytest.mark.parametrize(
    ("body", "path", "found"),
    [
        ([{"id": 1}], "$", [1]),
        ({"id": 1}, "$", [1]),
        ({"a": {"b": [{"id": 1}]}}, "$.a.b", [1]),
        ({"a": [{"r": [{"id": 1}]}, {"r": [{"id": 2}]}]}, "$.a[*].r", [1, 2]),
        ({"a": None}, "$.a", []),
    ],
)
def test_records_are_found_by_path(body: Any, path: str, found: list[int]) -> None:
    with serve(in_turn(body)) as provider:
        assert ids(read(provider, records=path)) == found


def test_no_content_is_no_records() -> None:
    with serve(in_turn(Reply(b"", 204))) as provider:
        assert read(provider, records="$.rows")[0].state == {"done": True}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            Reply(b"<!DOCTYPE html><html>log in</html>", headers={"Content-Type": "text/html"}),
            "gave an HTML page",
        ),
        (Reply(b"<?xml version='1.0'?><a/>"), "gave XML"),
        (Reply(b""), "empty answer"),
        (Reply(b'[{"id": 1}, {"id"'), "not valid JSON"),
        (Reply(b'[{"id": NaN}]'), "not valid JSON"),
        (Reply(b'[{"id": "\xe4"}]'), "UTF-8"),
        (Reply({"error": "no", "code": 5}), "nothing at $.rows; it has: error, code"),
        (Reply({"rows": 3}), "has a number at $.rows"),
        (Reply(b"garbage", headers={"Content-Encoding": "gzip"}), "compression is damaged"),
        (
            Reply(gzip.compress(b'{"rows": [' + b"1," * 5000)[:40], headers={"Content-Encoding": "gzip"}),
            "JSON",
        ),
    ],
)
def test_an_answer_that_is_no_records_is_named_with_its_url(reply: Reply, said: str) -> None:
    error = refused(reply, records="$.rows")
    assert said in error.message
    assert "http://127.0.0.1" in error.message
    [attempt] = error.attempts  # type: ignore[attr-defined]
    assert attempt.response_code == 200


def test_gzip_and_other_charsets_are_read() -> None:
    packed = Reply(gzip.compress(b'[{"id": 1}]'), headers={"Content-Encoding": "gzip"})
    latin = Reply(
        '[{"id": "ä"}]'.encode("latin-1"), headers={"Content-Type": "application/json; charset=iso-8859-1"}
    )
    marked = Reply(b'\xef\xbb\xbf[{"id": 3}]')
    for reply, value in ((packed, 1), (latin, "ä"), (marked, 3)):
        with serve(in_turn(reply)) as provider:
            assert ids(read(provider)) == [value]
            assert provider.calls[0].headers["Accept-Encoding"] == "gzip"


def test_a_small_answer_that_unpacks_to_a_big_one_is_stopped() -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    tracemalloc.start()
    try:
        error = refused(Reply(bomb, headers={"Content-Encoding": "gzip"}), max_body_bytes=100_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than 100,000 bytes" in error.message
    assert peak < 10_000_000


# refusals


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidError),
        (401, DeniedError),
        (403, DeniedError),
        (404, NotFoundError),
        (422, InvalidError),
        (501, UnavailableError),
    ],
)
def test_a_refusal_is_not_tried_again(status: int, kind: type[EdgekitError]) -> None:
    error = refused(Reply(b"no\x1b[2J\n" + b"x" * 500, status, {"X-Request-Id": "r-1"}), kind)
    assert str(status) in error.message
    assert len(error.message) < 300
    assert "\x1b" not in error.message
    [attempt] = error.attempts  # type: ignore[attr-defined]
    assert (attempt.response_code, attempt.retry_number, attempt.external_reference) == (status, 0, "r-1")
    assert attempt.started_at.tzinfo is not None
    assert (error.hint is not None) == (status not in {400, 422})


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(status: int) -> None:
    waits: list[float] = []
    with serve(in_turn(Reply({}, status), Reply({}, status), [{"id": 1}])) as provider:
        [page] = read(provider, waits=waits, retry_delay_ms=1000)
    assert [(a.response_code, a.retry_number) for a in page.attempts] == [(status, 0), (status, 1), (200, 2)]
    assert 1 <= waits[0] <= 1.5
    assert 2 <= waits[1] <= 2.5


def test_waits_stay_bounded() -> None:
    waits: list[float] = []
    refused(Reply({}, 500), UnavailableError, waits=waits, retries=8, retry_delay_ms=5000)
    assert len(waits) == 8
    assert max(waits) == 30


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("999999999999999999999", 60, 60),
        (30, 15, 30),
        (-86400, 0, 0),
        ("soon", 1, 1.5),
        ("-5", 1, 1.5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_and_capped(status: int, value: str | int, low: float, high: float) -> None:
    if isinstance(value, int):  # seconds from now, said as a date
        value = format_datetime(datetime.now(UTC) + timedelta(seconds=value), usegmt=True)
    waits: list[float] = []
    with serve(in_turn(Reply({}, status, {"Retry-After": value}), [])) as provider:
        read(provider, waits=waits)
    assert len(waits) == 1
    assert low <= waits[0] <= high


def test_a_source_that_goes_on_refusing_is_given_up() -> None:
    error = refused(Reply({}, 429, {"Retry-After": "3"}), RateLimitedError, retries=2)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 3
    assert error.message.endswith("(tried 3 times).")
    assert len(error.attempts) == 3  # type: ignore[attr-defined]
    assert "(500)" in refused(Reply({}, 500), UnavailableError, retries=0).message


def test_attempts_of_a_page_given_are_not_told_twice() -> None:
    def script(call: Call) -> Any:
        return {"rows": [{"id": 1}]} if call.query["page"] == ["1"] else Reply({}, 500)

    with serve(script) as provider:
        pages = HttpConnector(sleep=lambda _: None).read(
            {"base_url": provider.url, "retries": 1, "records": "$.rows", "pagination": {"kind": "page"}},
            state={}, inputs=None, secrets={},
        )  # fmt: skip
        assert len(next(pages).attempts) == 1
        with pytest.raises(UnavailableError) as caught:
            next(pages)
    assert [a.retry_number for a in caught.value.attempts] == [0, 1]


# redirects


def test_only_a_get_is_redirected_and_only_within_the_origin() -> None:
    script: Script = lambda call: [{"id": 1}] if call.path == "/new" else Reply({}, 302, {"Location": "/new"})  # noqa: E731
    auth: dict[str, Any] = {"auth": {"kind": "bearer", "secret": "k"}, "secrets": {"k": PLAIN}}
    with serve(script) as provider:
        assert ids(read(provider, path="/old", **auth)) == [1]
        assert provider.calls[1].headers["Authorization"] == f"Bearer {PLAIN}"
        with pytest.raises(InvalidError, match="redirects to"):
            read(provider, path="/old", method="POST")
    with serve(in_turn([])) as other:
        error = refused(Reply({}, 307, {"Location": f"{other.url}/?x={PLAIN}"}), **auth)
        assert not other.calls
    assert PLAIN not in str(error)
    assert "again and again" in refused(Reply({}, 301, {"Location": "/"})).message


# connections


def test_a_silent_source_is_left_in_time() -> None:
    error = refused(Reply(hold=True), UnavailableError, timeout_seconds=0.2, retries=1)
    assert "did not answer within 0.2 seconds (tried 2 times)." in error.message


def test_a_dripping_source_is_left_in_time() -> None:
    begin = time.monotonic()
    error = refused(Reply(b" " * 100, drip=0.05), UnavailableError, timeout_seconds=0.3, retries=0)
    assert "did not answer within" in error.message
    assert time.monotonic() - begin < 2


def test_dripping_headers_are_left_in_time() -> None:
    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    connection.sendall(b"X")
                    time.sleep(0.05)  # the source's, not the test's
            except OSError:
                return

    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        begin = time.monotonic()
        with pytest.raises(UnavailableError, match="did not answer within"):
            read(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_seconds=0.3, retries=0)
    assert time.monotonic() - begin < 2


def test_a_broken_connection_is_tried_again() -> None:
    with serve(in_turn(Reply([{"id": 1}], cut=True), [{"id": 1}])) as provider:
        [page] = read(provider)
    assert [a.retry_number for a in page.attempts] == [0, 1]
    assert "broke off" in str(page.attempts[0].error)
    assert "broke off" in refused(Reply([1, 2, 3], cut=True), UnavailableError, retries=1).message


def test_a_closed_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    waits: list[float] = []
    with pytest.raises(
        UnavailableError, match=rf"^127\.0\.0\.1:{port} takes no connection \(tried 4 times\)\.$"
    ):
        read(f"http://127.0.0.1:{port}", waits=waits)
    assert len(waits) == 3


def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(UnavailableError, match=r"The host nowhere\.invalid cannot be found"):
        read("http://nowhere.invalid", retries=0)


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_nobody_vouches_for_is_not_tried_again(self_signed: ssl.SSLContext) -> None:
    waits: list[float] = []
    with serve(in_turn([]), self_signed) as provider:
        with pytest.raises(
            UnavailableError, match=r"certificate of 127\.0\.0\.1:\d+ cannot be trusted"
        ) as caught:
            read(provider, waits=waits)
        assert not provider.calls
    assert not waits
    assert len(caught.value.attempts) == 1


def test_tls_to_a_source_without_it_is_one_line() -> None:
    with serve(in_turn([])) as provider, pytest.raises(UnavailableError, match="does not speak TLS"):
        read(provider.url.replace("http:", "https:"))


def test_leaving_early_closes_the_connection() -> None:
    with serve(paged(100, 3)) as provider:
        pages = HttpConnector().read({"base_url": provider.url, **PAGES}, state={}, inputs=None, secrets={})
        next(pages)
        pages.close()
        assert len(provider.calls) == 1


def test_a_connector_is_named_without_loading_the_http_client() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from edgekit.connectors import get; get('http');"
        "sys.exit(any(name in sys.modules for name in ('httpx2', 'stamina', 'tenacity')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
