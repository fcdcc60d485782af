"""What happened in this file, as records: a subscription hands the events to the run it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgekit.connectors.base import Page

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping


class EventConnector:
    """Reads the records a run was given, each once."""

    name: ClassVar[str] = "event"
    positions_are_stable: ClassVar[bool] = True
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {},
    }

    def probe(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> None:
        """There is nothing that could be asked: events come by themselves."""

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Iterator[dict[str, Any]] | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Yield the records, each at its place, in one page: none where a run was given none."""
        del config, state, secrets
        given = list(inputs or ())
        yield Page([row["record"] for row in given], [row["position"] for row in given], {"done": True})
