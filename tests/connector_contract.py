"""What every connector keeps to. A connector's tests inherit ConnectorContract and say how to set one up.

One that can be written to inherits DestinationContract as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from edgekit import validate
from edgekit.connectors import Connector, Destination, Outgoing, Page, Reject, Writer
from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager


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


def outgoing(count: int, *, start: int = 0) -> list[Outgoing]:
    """Records for a destination that takes any: `id`, `name` and a text, each with keys of its own."""
    return [
        Outgoing({"id": n, "name": f"Person {n}", "note": "é"}, str(n), f"key-{n:036d}", f"row {n}")
        for n in range(start, start + count)
    ]


class DestinationContract:
    """Give `destination`, `write_config`, `broken_write_config` and `content` as fixtures."""

    write_secrets: Mapping[str, str] = {}
    stands_at_once = True
    """Whether what was sent can be seen before `finish`: of a whole (a file) it must not be."""

    @pytest.fixture
    def destination(self) -> Destination:
        raise NotImplementedError

    @pytest.fixture
    def write_config(self) -> Mapping[str, Any]:
        """Settings that lead to an empty place."""
        raise NotImplementedError

    @pytest.fixture
    def broken_write_config(self) -> Mapping[str, Any]:
        """Valid settings whose other side cannot be reached, or does not let us in."""
        raise NotImplementedError

    @pytest.fixture
    def content(self) -> Callable[[], list[Any]]:
        """Read the other side: the ids it has, in any order, each as often as it has it."""
        raise NotImplementedError

    def open(
        self, destination: Destination, config: Mapping[str, Any], state: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[Writer]:
        return destination.open(config, state=state or {}, secrets=self.write_secrets)

    def records(self, count: int, *, start: int = 0) -> list[Outgoing]:
        return outgoing(count, start=start)

    def test_its_settings_to_write_have_a_schema(
        self, destination: Destination, write_config: Mapping[str, Any]
    ) -> None:
        validate.check_schema(dict(destination.write_schema), what="settings")
        validate.check(destination.write_schema, dict(write_config), what="settings")
        json.dumps(destination.write_schema)

    def test_each_record_is_answered_in_its_place(
        self, destination: Destination, write_config: Mapping[str, Any], content: Callable[[], list[Any]]
    ) -> None:
        with self.open(destination, write_config) as writer:
            for start in (0, 3):
                delivery = writer.send(self.records(3, start=start))
                assert [answer.error for answer in delivery.answers] == [None] * 3
                assert json.loads(json.dumps(delivery.state)) == delivery.state
                if self.stands_at_once:
                    assert sorted(content()) == list(range(start + 3))
            json.dumps(writer.finish())
        assert sorted(content()) == list(range(6))

    def test_left_without_an_end_nothing_half_written_stands_there(
        self, destination: Destination, write_config: Mapping[str, Any], content: Callable[[], list[Any]]
    ) -> None:
        class Left(Exception):  # noqa: N818
            pass

        with pytest.raises(Left), self.open(destination, write_config) as writer:
            writer.send(self.records(3))
            raise Left
        assert sorted(content()) == (list(range(3)) if self.stands_at_once else [])

    def test_from_each_state_the_same_comes_out_as_in_one_go(
        self, destination: Destination, write_config: Mapping[str, Any], content: Callable[[], list[Any]]
    ) -> None:
        """A run is killed behind each batch, once before its answers were committed and once after."""
        state: Mapping[str, Any] = {}
        for start in (0, 3, 6):
            with self.open(destination, write_config, state) as writer:
                writer.send(self.records(3, start=start))  # killed: nobody knows, so it is sent again
            with self.open(destination, write_config, state) as writer:
                state = json.loads(json.dumps(writer.send(self.records(3, start=start)).state))
        with self.open(destination, write_config, state) as writer:
            writer.finish()
        assert sorted(content()) == list(range(9))

    def test_an_end_that_was_cut_off_is_done_again(
        self, destination: Destination, write_config: Mapping[str, Any], content: Callable[[], list[Any]]
    ) -> None:
        with self.open(destination, write_config) as writer:
            state = json.loads(json.dumps(writer.send(self.records(3)).state))
            writer.finish()  # killed before that is known
        with self.open(destination, write_config, state) as writer:
            writer.finish()
        assert sorted(content()) == list(range(3))

    def test_an_error_in_writing_is_of_the_tree_and_tells_no_secret(
        self, destination: Destination, broken_write_config: Mapping[str, Any]
    ) -> None:
        validate.check(destination.write_schema, dict(broken_write_config), what="settings")
        with pytest.raises(EdgekitError) as caught, self.open(destination, broken_write_config) as writer:
            writer.send(self.records(1))
            writer.finish()
        assert "\n" not in caught.value.message
        told = f"{caught.value.message} {caught.value.hint} {getattr(caught.value, 'attempts', '')}"
        assert not any(secret in told for secret in self.write_secrets.values())
