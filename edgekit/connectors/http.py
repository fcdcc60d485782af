"""HTTP services: read by GET and POST, page by page or driven by rows of one's own; written to as well."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, ClassVar

from edgekit import codec, jsonpath
from edgekit.connectors import http_answers
from edgekit.connectors.base import Gate, Page, Reject, open_gate
from edgekit.connectors.http_auth import Credentials
from edgekit.connectors.http_exchange import Exchange
from edgekit.connectors.http_pages import Pager, Place
from edgekit.connectors.http_requests import Batch, Requests
from edgekit.connectors.http_settings import CONFIG_SCHEMA, WRITE_SCHEMA
from edgekit.connectors.http_write import HttpWriter
from edgekit.errors import EdgekitError, NotFoundError

if TYPE_CHECKING:
    from edgekit.connectors.http_oauth import Tokens

Rows = Iterator[dict[str, Any]]


class HttpConnector:
    """Reads the records of one HTTP resource, page by page, or sends records to one."""

    name: ClassVar[str] = "http"
    positions_are_stable: ClassVar[bool] = False
    config_schema: ClassVar[Mapping[str, Any]] = CONFIG_SCHEMA
    write_schema: ClassVar[Mapping[str, Any]] = WRITE_SCHEMA

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        gate: Gate = open_gate,
        held: dict[tuple[str, int], Tokens] | None = None,
    ) -> None:
        self._sleep = sleep
        self._gate = gate
        self._held = held

    def through(self, gate: Gate) -> HttpConnector:
        """Return a connector whose every request, each try of it, passes a gate first.

        It is that of one run: tokens it was given serve whatever it reads and writes.
        """
        return HttpConnector(self._sleep, gate, {})

    def probe(self, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> Page:
        """Ask for the first page of one record, twice at most and for ten seconds.

        Where asking might do something there, a POST or for rows of ours, only HEAD is sent: any answer but a
        refusal of us or a failure will do. Raise as `read` does.
        """
        brief = {
            **config,
            "timeout_seconds": min(config.get("timeout_seconds", 30), 10),
            "retries": 1,
            "retry_delay_ms": 200,
            "max_retry_after_seconds": 0,
        }
        if config.get("method", "GET") == "GET" and "inputs" not in config.get("request", {}):
            brief |= {"page_size": 1} if "page_size" in config else {}
            with closing(self.read(brief, state={}, inputs=None, secrets=secrets)) as pages:
                return next(pages)
        credentials = Credentials(config.get("auth", {}), secrets, self._held)
        request = Requests(config, credentials).head()
        with Exchange(brief, credentials, self._sleep, self._gate) as exchange:
            exchange.knock(request)
            return Page([], [], {}, exchange.drain())

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Rows | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Yield pages of records from where `state` says; without inputs to ask for, one empty page.

        Raise InvalidError for an answer that is no JSON or goes in circles, DeniedError, NotFoundError,
        RateLimitedError and UnavailableError as the source answers; `.attempts` has the tries not yet told.
        """
        credentials = Credentials(config.get("auth", {}), secrets, self._held)
        requests = Requests(config, credentials)
        with Exchange(config, credentials, self._sleep, self._gate) as exchange:
            walk = _Pass(
                config, requests, Pager(config, credentials), exchange, {} if state.get("done") else state
            )
            walk.mark(state.get("cursor"))
            try:
                yield from walk.pages(inputs)
            except EdgekitError as error:
                vars(error).setdefault("attempts", exchange.drain())
                raise

    @contextmanager
    def open(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> Iterator[HttpWriter]:
        """Open the way to a resource. Each record is sent with an idempotency key; nothing needs a state.

        Raise InvalidError for settings or secrets it cannot be opened with.
        """
        credentials = Credentials(config.get("auth", {}), secrets, self._held)
        with Exchange(config, credentials, self._sleep, self._gate) as exchange:
            yield HttpWriter(config, state, credentials, exchange)


class _Pass:
    """One pass over the source: what is asked next, and the state that goes on from there."""

    def __init__(
        self,
        config: Mapping[str, Any],
        requests: Requests,
        pager: Pager,
        exchange: Exchange,
        state: Mapping[str, Any],
    ) -> None:
        self._config = config
        self._requests = requests
        self._pager = pager
        self._exchange = exchange
        self._state = state
        self._since: Any = None
        self._highest: Any = None

    def mark(self, cursor: Any) -> None:
        """Take the cursor of the pass before, and the highest value of this one so far."""
        self._since = cursor
        self._highest = self._state.get("highest", cursor)

    def pages(self, inputs: Rows | None) -> Iterator[Page]:
        """Yield the pages of every batch; the very last one is done."""
        batches = self._batches(inputs)
        place = Place()
        if "place" in self._state and self._state.get("page_size") == self._config.get("page_size"):
            place = Place(*self._state["place"])  # with pages of another size it would be elsewhere
        finished: int | None = self._state.get("input")
        batch = next(batches, None)
        if batch is None:
            yield Page([], [], self._done())
        while batch is not None:
            following: Batch | None = None
            self._pager.restart()
            after: Place | None = place
            rejects = batch.rejects
            while after is not None:
                place, after = after, None
                records: list[Any] = []
                if batch.items != []:
                    records, after = self._ask(batch, place)
                if after is None:
                    following = next(batches, None)
                    state = self._done() if following is None else self._between(batch, following)
                else:
                    state = self._within(batch, finished, after)
                yield self._page(batch, place, records, rejects, state)
                rejects = []
            finished, place = batch.last, Place()
            batch = following

    def _batches(self, inputs: Rows | None) -> Iterator[Batch]:
        """Yield what is to be asked for, first of all the batch that was broken off."""
        if inputs is None:
            self._requests.check_undriven()
            yield Batch()
            return
        number = int(self._state.get("batch", 1))
        if "items" in self._state:
            # asked for as before: the rows may have changed by what was already written
            last = self._state["last"]
            yield Batch(number, list(self._state["items"]), last)
            number += 1
            inputs = dropwhile(lambda row: row.get("id") is None or row["id"] <= last, inputs)
        yield from self._requests.batches(inputs, number=number)

    def _ask(self, batch: Batch, place: Place) -> tuple[list[Any], Place | None]:
        incremental = self._config.get("incremental", {})
        params = self._pager.params(place)
        since = self._since if self._since is not None else incremental.get("initial")
        if incremental and since is not None:
            params.append((incremental["param"], since))
        try:
            answer = self._exchange.send(self._requests.make(batch, params, self._pager.link(place)))
        except NotFoundError:
            if self._pager.is_beyond(place):
                return [], None
            raise
        records = http_answers.records_in(answer, self._config.get("records", "$"))
        if incremental:
            path = jsonpath.compile(incremental["path"])
            for record in records:
                for value in path.find(record):
                    self._highest = _higher(self._highest, value)
        return records, self._pager.after(place, answer, records)

    def _page(
        self, batch: Batch, place: Place, records: list[Any], rejects: list[Reject], state: dict[str, Any]
    ) -> Page:
        where = f"page {place.page} record"
        if batch.items is not None:
            where = f"batch {batch.number} {where}"
        numbers = [number for number, record in enumerate(records, 1) if isinstance(record, dict)]
        good, rejects = records, list(rejects)
        if len(numbers) < len(records):
            good = [records[number - 1] for number in numbers]
            for number, record in enumerate(records, 1):
                if not isinstance(record, dict):
                    message = f"A record is an object; this is {http_answers.kind_of(record)}."
                    rejects.append(Reject(codec.dumps(record), f"{where} {number}", "shape", message))
        positions = [f"{where} {number}" for number in numbers]
        return Page(good, positions, state, self._exchange.drain(), rejects)

    def _done(self) -> dict[str, Any]:
        cursor = self._highest if self._highest is not None else self._since
        return {"done": True} if cursor is None else {"done": True, "cursor": cursor}

    def _lasting(self) -> dict[str, Any]:
        found = {"cursor": self._since, "highest": self._highest}
        return {key: value for key, value in found.items() if value is not None}

    def _between(self, batch: Batch, following: Batch) -> dict[str, Any]:
        return {**self._lasting(), "input": batch.last, "batch": following.number}

    def _within(self, batch: Batch, finished: int | None, after: Place) -> dict[str, Any]:
        state = {**self._lasting(), "place": [after.page, after.at, after.count]}
        if "page_size" in self._config:
            state["page_size"] = self._config["page_size"]
        if batch.items is not None:
            state |= {"batch": batch.number, "items": batch.items, "last": batch.last}
        if finished is not None:
            state["input"] = finished
        return state


def _higher(one: Any, other: Any) -> Any:
    """Return the higher of two cursor values: by number, by time, else as text."""
    if other is None or isinstance(other, bool | list | dict) or other == "":
        return one
    if one is None:
        return other
    readers: tuple[Callable[[Any], Any], ...] = (_number, _moment, str)
    for read in readers[isinstance(other, str) and ":" in other :]:  # a time of day is no number
        try:
            return other if read(other) > read(one) else one
        except (ValueError, TypeError, InvalidOperation):
            continue
    return one


def _number(value: Any) -> Decimal:
    return Decimal(str(value))


def _moment(value: Any) -> datetime:
    return datetime.fromisoformat(value)
