"""The protocol of a connector, and the finding of one by its name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, overload
from urllib.parse import urlsplit

from edgekit import validate
from edgekit.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from datetime import datetime

    from edgekit.errors import EdgekitError

_BUILT_IN = {
    "event": ("edgekit.connectors.event", "EventConnector"),
    "file": ("edgekit.connectors.file", "FileConnector"),
    "http": ("edgekit.connectors.http", "HttpConnector"),
    "singer": ("edgekit.connectors.singer", "SingerConnector"),
    "sql": ("edgekit.connectors.sql", "SqlConnector"),
    "smtp": ("edgekit.connectors.smtp", "SmtpConnector"),
    "table": ("edgekit.connectors.table", "TableConnector"),
    "webhook": ("edgekit.connectors.webhook", "WebhookConnector"),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at reaching the other side. The URL's secrets are masked; the time is aware."""

    method: str
    url: str
    started_at: datetime
    duration_ms: int
    response_code: int | None = None
    error: str | None = None
    retry_number: int = 0
    external_reference: str | None = None
    span_id: str | None = None
    """In the traceparent that was sent."""


@dataclass(frozen=True, slots=True)
class Reject:
    """What came but is no record: its raw text, where it stood, and why it cannot be used."""

    raw: str
    position: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Description:
    """What a source itself says of its records: the fields that identify one, and the type of each field.

    A type is integer, float, boolean, text or json (an object or a list).
    """

    key: tuple[str, ...]
    types: Mapping[str, str]


@dataclass(slots=True)
class Page:
    """Some records, where each stood, and the state that goes on right behind them once they are committed.

    The last page of a pass has `"done": true` in its state beside what outlives the pass, such as a cursor.
    """

    records: list[Any]
    positions: Sequence[str]
    state: dict[str, Any]
    attempts: list[Attempt] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    description: Description | None = None


@dataclass(slots=True)
class Passage:
    """What came of a request that was let through, told by who made it: the status, or that none came."""

    status: int | None = None
    failed: bool = False
    is_silent: bool = False
    """Whether its going well says nothing of the other side, as when nobody was spoken with yet."""


class Gate(Protocol):
    """Holds what one request needs while it is made, waiting for it no longer than so many seconds.

    `target` is the place it goes to, as scheme://host:port: one that keeps failing is left alone. What is
    raised inside, UnavailableError or not, tells how it went where the passage is told nothing. Raise
    RateLimitedError or CircuitOpenError where it may not be made.
    """

    def __call__(self, longest: float, target: str | None = None) -> AbstractContextManager[Passage]: ...


def open_gate(longest: float, target: str | None = None) -> AbstractContextManager[Passage]:
    """Let every request pass."""
    return nullcontext(Passage())


class Positions(Sequence[str]):
    """Places told by numbers, written out only when asked for: most records need none."""

    def __init__(self, word: str, numbers: Sequence[int]) -> None:
        self._word = word
        self._numbers = numbers

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Positions: ...
    def __getitem__(self, index: int | slice) -> str | Positions:
        if isinstance(index, slice):
            return Positions(self._word, self._numbers[index])
        return f"{self._word} {self._numbers[index]}"

    def __len__(self) -> int:
        return len(self._numbers)

    def within(self, name: str) -> Positions:
        """Return the same places, told as those of a file."""
        return Positions(f"{name}, {self._word}", self._numbers)


class Connector(Protocol):
    """What a connector offers.

    One whose records wait in a table of this file says so: `driven_by` = {"table", "columns", "by"}, where
    `by` is the column that names the integration. Its `inputs` are those rows, each once.

    One that makes requests also has `through(gate)`: it returns the connector with each of them made in
    `gate(longest, target)`. One that speaks with a place in another way has `target_of(config)`: it says with
    which, as scheme://host:port, or None; a place that keeps failing is left alone for a while. One that does
    something to what it has read, such as moving a file, has `committed(config, *, state, secrets)`: it is
    called once the page of that state is kept for good, and may be called for a state again. After a kill in
    between it is not called: `read` makes up for it.
    """

    name: str
    config_schema: Mapping[str, Any]
    positions_are_stable: bool
    """Whether a record keeps its position from one pass to the next, as a line of a file does."""

    def read(
        self,
        config: Mapping[str, Any],
        *,
        state: Mapping[str, Any],
        inputs: Iterator[dict[str, Any]] | None,
        secrets: Mapping[str, str],
    ) -> Generator[Page, None, None]:
        """Yield pages from where `state` says. Raise EdgekitError; `.attempts` tells of the tries made."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record on its way out.

    `key` identifies it in its source. `idempotency_key` is the same whenever the same content of it is sent
    again, so the other side can tell a second try from a second record.
    """

    record: dict[str, Any]
    key: str
    idempotency_key: str
    position: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said to one record: taken, or refused with `error`."""

    error: EdgekitError | None = None
    response_code: int | None = None
    external_reference: str | None = None
    response: Any = None
    """What it said, decoded; whoever keeps it masks its secrets."""


@dataclass(slots=True)
class Delivery:
    """What became of records that were sent: an answer to each in their order, and the state behind them."""

    answers: list[Answer]
    state: dict[str, Any]
    attempts: list[Attempt] = field(default_factory=list)


class Writer(Protocol):
    """An open way to the other side."""

    def send(self, records: Sequence[Outgoing]) -> Delivery:
        """Send records and return when the other side has them for good, as far as it can tell.

        What is refused one by one is told in the answers; where nothing more can be sent, raise EdgekitError:
        `.attempts` tells of the tries made, `.answers` of what was said to the first of the records, so that
        what arrived before it broke need not be sent again.
        """
        ...

    def finish(self) -> dict[str, Any]:
        """Bring what was sent to its final place once all is sent, and return the last state."""
        ...


class Destination(Protocol):
    """What a connector that can be written to offers as well.

    `write_schema` is the JSON Schema of its settings under `to`.
    """

    name: str
    write_schema: Mapping[str, Any]

    def open(
        self, config: Mapping[str, Any], *, state: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> AbstractContextManager[Writer]:
        """Open the way out, going on from where `state` says: what was sent behind it is sent again.

        Left without `finish`, nothing half-written stands where the whole is expected.
        """
        ...


def names() -> list[str]:
    """Return the names of the connectors that are here, those of other packages among them."""
    from importlib.metadata import entry_points

    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group="edgekit.connectors"))})


@cache
def get(name: str) -> Connector:
    """Return the connector of a name. Raise NotFoundError with the names there are."""
    if name in _BUILT_IN:
        module, kind = _BUILT_IN[name]
        built_in: Connector = getattr(import_module(module), kind)()
        return built_in
    from importlib.metadata import entry_points

    found = {point.name: point for point in entry_points(group="edgekit.connectors")}
    if name in found:
        try:
            other: Connector = found[name].load()()
        except (ImportError, AttributeError) as error:
            raise NotFoundError(
                f"The connector {name} cannot be loaded: {error}.",
                hint="Install its package again, or remove it.",
            ) from error
        return other
    raise NotFoundError(f"There is no connector {name!r}.", hint=f"There are: {', '.join(names())}.")


def get_destination(name: str) -> Destination:
    """Return the connector of a name as one that is written to.

    Raise NotFoundError, or InvalidError for one that only reads.
    """
    connector: Any = get(name)
    if not hasattr(connector, "write_schema"):
        raise InvalidError(f"The connector {name} reads; nothing can be sent by it.")
    destination: Destination = connector
    return destination


def target_in(url: str) -> str | None:
    """Return the scheme://host:port of a URL, without who asks; None for a file of this machine."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname or "://" not in url:
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def probe(connector: Connector, config: Mapping[str, Any], *, secrets: Mapping[str, str]) -> Page | None:
    """Find out with as little as it takes whether a source answers; return what it answered.

    The connector's own `probe(config, secrets=…)` is asked; without one the first page is read, of one record
    where pages have a size. None: there is nothing that could be asked. Raise EdgekitError as `read` does.
    """
    own = getattr(connector, "probe", None)
    if own is not None:
        page: Page | None = own(config, secrets=secrets)
        return page
    known = connector.config_schema.get("properties", {})
    small = {**config, **dict.fromkeys({"batch_size", "page_size"} & set(known), 1)}
    with closing(connector.read(small, state={}, inputs=None, secrets=secrets)) as pages:
        return next(pages, None) or Page([], [], {})


def check_config(connector: Connector, config: Mapping[str, Any]) -> None:
    """Check settings against the connector's schema. Raise InvalidError naming the setting."""
    if "path" not in config and connector.name == "file":
        raise InvalidError(
            "Which file is to be read?", hint="Say it: --set path=FILE (or --input FILE when running)"
        )
    validate.check(connector.config_schema, dict(config), what=f"settings of the connector {connector.name}")
