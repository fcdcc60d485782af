"""The HTTP source under the contract of all connectors, and a connector that somebody else installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from connector_contract import ConnectorContract
from http_provider import Call, Provider, Reply, serve

from edgekit import connectors
from edgekit.connectors.http import HttpConnector
from edgekit.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COUNT, SIZE = 7, 2
KEY = "k3y-of-the-contract"


def script(call: Call) -> Any:
    """Seven records, two a page, asked for in any of four ways; without the key nothing."""
    if call.headers.get("X-Api-Key") != KEY:
        return Reply({"error": f"wrong key {call.headers.get('X-Api-Key')}"}, 401)
    asked = {name: values[-1] for name, values in call.query.items()}
    if call.path == "/gone":
        return Reply({"error": f"nothing here for {KEY}"}, 400)
    start = int(asked.get("offset", asked.get("cursor", (int(asked.get("page", 1)) - 1) * SIZE)))
    answer: dict[str, Any] = {"items": [{"id": number} for number in range(COUNT)][start : start + SIZE]}
    if start + SIZE < COUNT:
        answer |= {"next": f"/list?offset={start + SIZE}", "next_cursor": str(start + SIZE)}
    return answer


class HttpContract(ConnectorContract):
    secrets: Mapping[str, str] = {"api_key": KEY}
    pagination: ClassVar[dict[str, Any]]

    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        with serve(script) as provider:
            yield provider

    @pytest.fixture
    def connector(self) -> HttpConnector:
        return HttpConnector(sleep=lambda _seconds: None)

    @pytest.fixture
    def config(self, provider: Provider) -> dict[str, Any]:
        return {
            "base_url": provider.url,
            "path": "/list",
            "records": "$.items",
            "page_size": SIZE,
            "auth": {"kind": "header", "name": "X-Api-Key", "secret": "api_key"},
            "pagination": self.pagination,
        }

    @pytest.fixture
    def broken_config(self, config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "path": "/gone"}


class TestPages(HttpContract):
    pagination: ClassVar[dict[str, Any]] = {"kind": "page"}


class TestOffsets(HttpContract):
    pagination: ClassVar[dict[str, Any]] = {"kind": "offset"}


class TestLinks(HttpContract):
    pagination: ClassVar[dict[str, Any]] = {"kind": "next_link", "next_path": "$.next"}


class TestCursors(HttpContract):
    pagination: ClassVar[dict[str, Any]] = {"kind": "cursor"}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of somebody else's, as an installer would leave it."""
    (tmp_path / "elsewhere.py").write_text(
        "class Countdown:\n"
        "    name = 'countdown'\n"
        "    positions_are_stable = True\n"
        "    config_schema = {'type': 'object'}\n"
        "    def read(self, config, *, state, inputs, secrets):\n"
        "        from edgekit.connectors import Page\n"
        "        yield Page([{'id': 1}], ['first'], {'done': True})\n",
        encoding="utf-8",
    )
    folder = tmp_path / "elsewhere-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n", encoding="utf-8"
    )
    entry = "[edgekit.connectors]\ncountdown = elsewhere:Countdown\nabsent = nowhere:Nothing\n"
    (folder / "entry_points.txt").write_text(entry, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    connectors.get.cache_clear()
    yield
    connectors.get.cache_clear()
    sys.modules.pop("elsewhere", None)


@pytest.mark.usefixtures("installed")
def test_a_connector_of_another_package_is_found_by_its_entry_point() -> None:
    found = connectors.get("countdown")
    assert [page.records for page in found.read({}, state={}, inputs=None, secrets={})] == [[{"id": 1}]]


@pytest.mark.usefixtures("installed")
def test_an_unknown_connector_is_answered_with_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="no connector 'sftp'") as caught:
        connectors.get("sftp")
    assert caught.value.hint == f"There are: {', '.join(connectors.names())}."
    assert {"absent", "countdown", "file", "webhook"} <= set(connectors.names())


@pytest.mark.usefixtures("installed")
def test_a_connector_that_cannot_be_loaded_is_one_line() -> None:
    with pytest.raises(NotFoundError, match="absent cannot be loaded"):
        connectors.get("absent")
