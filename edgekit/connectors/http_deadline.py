"""The time a whole request may take. The client's own time-outs count from byte to byte, without an end."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENED = {"connection.connect_tcp.complete", "connection.start_tls.complete", "proxy.start_tls.complete"}
_AGAIN_SECONDS = 0.1


class Deadline:
    """Cuts the connection under a request that is late: it is on time inside `with deadline:`, one at a time.

    One thread watches for as long as the source is read: one per request would cost as much as a small page.
    `expired` tells whether the last request was cut off; `trace` goes into the client's extensions.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._seconds = seconds
        self._due: float | None = None
        self._stream: Any = None
        self._lock = Lock()
        self._closed = Event()
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        if self._thread is None:
            self._thread = Thread(target=self._watch, name="edgekit-deadline", daemon=True)
            self._thread.start()
        with self._lock:
            self.expired = False
            self._due = time.monotonic() + self._seconds
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._due = None

    def close(self) -> None:
        """End the watching."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the connection the client has opened."""
        if event in _OPENED:
            self._stream = info["return_value"]

    def _watch(self) -> None:
        # Asleep while nothing is due, it wakes before what begins meanwhile can be late: all have one length.
        wait = self._seconds
        while not self._closed.wait(wait):
            with self._lock:
                left = self._seconds if self._due is None else self._due - time.monotonic()
                if left <= 0:
                    self._cut()
            wait = left if left > 0 else _AGAIN_SECONDS

    def _cut(self) -> None:
        """Shut the socket, at which whoever waits for it wakes; one not open yet is met the next time."""
        self.expired = True
        found = self._stream.get_extra_info("socket") if self._stream is not None else None
        if found is not None:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
