"""Connectors that make no requests of HTTP, such as those to a mail server: a breaker around what they do."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

from edgekit import clock
from edgekit.connectors import Attempt
from edgekit.errors import CircuitOpenError, RateLimitedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from edgekit.connectors import Connector, Delivery, Outgoing, Page, Passage, Writer
    from edgekit.runner.limiting.breakers import Breaker


class Spared:
    """A connector whose target is left alone while its breaker is open; in all else it is that connector.

    Asking for the first page is a call, and so is each opening of a way out and each sending by it.
    """

    def __init__(self, connector: Connector, breaker: Breaker) -> None:
        self._connector: Any = connector
        self._breaker = breaker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    def read(self, config: Mapping[str, Any], **more: Any) -> Generator[Page, None, None]:
        """Yield pages; see `Connector.read`. Raise CircuitOpenError as well."""
        target = self._connector.target_of(config)
        if target is None:
            yield from self._connector.read(config, **more)
            return
        with _passing(self._breaker, target, "READ"):
            pages = self._connector.read(config, **more)
            page = next(pages, None)
        with closing(pages):
            try:
                if page is not None:
                    yield page
                    yield from pages
            except RateLimitedError:
                raise
            except UnavailableError:
                self._breaker.fail(target)
                raise

    @contextmanager
    def open(self, config: Mapping[str, Any], **more: Any) -> Iterator[Any]:
        """Open the way out; see `Destination.open`. Raise CircuitOpenError as well."""
        target = self._connector.target_of(config)
        with ExitStack() as stack:
            if target is None:
                yield stack.enter_context(self._connector.open(config, **more))
                return
            with _passing(self._breaker, target, "OPEN", is_silent=True):
                writer = stack.enter_context(self._connector.open(config, **more))
            yield SparedWriter(writer, self._breaker, target)

    def probe(self, config: Mapping[str, Any], **more: Any) -> Any:
        """Ask whether the source answers, as `connectors.probe` does."""
        from edgekit import connectors

        return self._asked(config, lambda: connectors.probe(self._connector, config, **more))

    def probe_write(self, config: Mapping[str, Any], **more: Any) -> Any:
        """Ask whether the destination answers."""
        return self._asked(config, lambda: self._connector.probe_write(config, **more))

    def _asked(self, config: Mapping[str, Any], ask: Any) -> Any:
        target = self._connector.target_of(config)
        if target is None:
            return ask()
        with _passing(self._breaker, target, "PROBE"):
            return ask()


class SparedWriter:
    """A way out whose every sending passes the breaker."""

    def __init__(self, writer: Writer, breaker: Breaker, target: str) -> None:
        self._writer = writer
        self._breaker = breaker
        self._target = target

    def send(self, records: Sequence[Outgoing]) -> Delivery:
        """Send records; see `Writer.send`. Raise CircuitOpenError as well."""
        with _passing(self._breaker, self._target, "SEND"):
            return self._writer.send(records)

    def finish(self) -> dict[str, Any]:
        """Bring what was sent to its final place."""
        with _passing(self._breaker, self._target, "FINISH", is_silent=True):
            return self._writer.finish()


@contextmanager
def _passing(breaker: Breaker, target: str, method: str, *, is_silent: bool = False) -> Iterator[Passage]:
    """Make one call, and note one that is refused as a try that was not made."""
    try:
        with breaker(target) as passage:
            passage.is_silent = is_silent
            yield passage
    except CircuitOpenError as error:
        vars(error).setdefault("attempts", [Attempt(method, target, clock.now(), 0, None, error.message)])
        raise
