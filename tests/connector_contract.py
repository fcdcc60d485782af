"""What every connector keeps to. A connector's tests inherit ConnectorContract and say how to set one up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import validate
from edgekit.connectors import Connector, Page, Reject
from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from collections.abc import Mapping


def pages(
    connector: Connector,
    config: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
    inputs: list[dict[str, Any]] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> list[Page]:
    driving = iter(inputs) if inputs is not None else None
    return list(connector.read(config, state=state or {}, inputs=driving, secrets=secrets or {}))


def records(found: list[Page]) -> list[Any]:
    return [record for page in found for record in page.records]


class ConnectorContract:
    """Give `connector`, `config` (at least three pages long) and `broken_config` as fixtures."""

    secrets: Mapping[str, str] = {}

    @pytest.fixture
    def connector(self) -> Connector:
        raise NotImplementedError

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        raise NotImplementedError

    @pytest.fixture
    def broken_config(self) -> Mapping[str, Any]:
        """Valid settings whose source cannot be read."""
        raise NotImplementedError

    def test_its_settings_have_a_schema(self, connector: Connector, config: Mapping[str, Any]) -> None:
        validate.check_schema(dict(connector.config_schema), what="settings")
        validate.check(connector.config_schema, dict(config), what="settings")
        json.dumps(connector.config_schema)

    def test_its_pages_are_well_formed(self, connector: Connector, config: Mapping[str, Any]) -> None:
        found = pages(connector, config, secrets=self.secrets)
        assert len(found) >= 3
        for page in found:
            assert len(page.positions) == len(page.records)
            assert all(isinstance(place, str) and place for place in page.positions)
            assert json.loads(json.dumps(page.state)) == page.state
            assert all(isinstance(reject, Reject) for reject in page.rejects)
        assert [page.state.get("done", False) for page in found] == [False] * (len(found) - 1) + [True]

    def test_each_page_s_state_gives_exactly_the_rest(
        self, connector: Connector, config: Mapping[str, Any]
    ) -> None:
        found = pages(connector, config, secrets=self.secrets)
        for place, page in enumerate(found[:-1], 1):
            state = json.loads(json.dumps(page.state))
            rest = pages(connector, config, state, secrets=self.secrets)
            assert records(rest) == records(found[place:])
            assert [p for q in rest for p in q.positions] == [p for q in found[place:] for p in q.positions]
            assert rest[-1].state == found[-1].state

    def test_reading_changes_no_state(self, connector: Connector, config: Mapping[str, Any]) -> None:
        state = pages(connector, config, secrets=self.secrets)[0].state
        before = json.dumps(state)
        pages(connector, config, state, secrets=self.secrets)
        assert json.dumps(state) == before

    def test_an_error_is_of_the_tree_and_tells_no_secret(
        self, connector: Connector, broken_config: Mapping[str, Any]
    ) -> None:
        with pytest.raises(EdgekitError) as caught:
            pages(connector, broken_config, secrets=self.secrets)
        assert "\n" not in caught.value.message
        told = f"{caught.value.message} {caught.value.hint} {getattr(caught.value, 'attempts', '')}"
        assert not any(secret in told for secret in self.secrets.values())

    def test_it_stops_when_told_to(self, connector: Connector, config: Mapping[str, Any]) -> None:
        source = connector.read(config, state={}, inputs=None, secrets=self.secrets)
        next(source)
        source.close()
        assert list(source) == []
