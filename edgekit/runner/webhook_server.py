"""The HTTP server that takes webhooks: bounded in time, size and number; it answers when a receipt is kept.

Requests are read by h11, which knows chunks, pipelining and smuggling; what is left is a socket, a few
threads and a clock. It speaks plain HTTP: TLS is for the proxy in front of it.
"""

from __future__ import annotations

import logging
import queue
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from edgekit import __version__, clock, codec, db
from edgekit.connectors import Attempt
from edgekit.errors import DeniedError, EdgekitError, InvalidError, NotFoundError, UnavailableError
from edgekit.runner import webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)

PREFIX = "/webhooks/"
WORKERS = 8
_WAITING = 64
"""Connections that wait for a worker; one more is not taken."""
_REQUEST_SECONDS = 30.0
_IDLE_SECONDS = 10.0
_HEADER_BYTES = 32 * 1024
_LINGER_BYTES = 1024 * 1024
_REASONS = {
    200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 405: b"Method Not Allowed",
    413: b"Content Too Large", 431: b"Request Header Fields Too Large", 501: b"Not Implemented",
    503: b"Service Unavailable",
}  # fmt: skip


class _Refused(Exception):  # noqa: N818 - it carries the answer
    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


@dataclass(frozen=True, slots=True)
class _Asked:
    """A whole request: `target` is its path as sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class WebhookServer:
    """Takes webhooks for the opened file until `stop` is called; `run` blocks."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, seconds: float = _REQUEST_SECONDS) -> None:
        """Raise UnavailableError where the address cannot be taken."""
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family, backlog=_WAITING)
        except (OSError, OverflowError) as error:
            raise UnavailableError(
                f"Nothing can listen on {host}, port {port}: {error}.", hint="Choose another --port."
            ) from error
        self._socket.settimeout(0.2)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}"
        self._seconds = seconds
        self._stopping = threading.Event()
        self._failed = False
        self._workers: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._waiting: queue.Queue[tuple[socket.socket, str] | None] = queue.Queue(_WAITING)
        self._refusals = webhooks.Refusals()
        self._unknown = _Share()

    def stop(self) -> None:
        """Take no more; what is being read is read to its end."""
        self._stopping.set()

    def run(self) -> None:
        """Take webhooks until stopped, by `stop` or Ctrl-C. Raise EdgekitError if a worker failed."""
        try:
            self._accept()
        finally:
            self._stopping.set()
            self._socket.close()
            for _ in self._workers:
                self._waiting.put(None)
            for worker in self._workers:
                worker.join(self._seconds + _IDLE_SECONDS)
        if self._failed:
            raise EdgekitError("The server stopped: one of its workers failed, as told above.")

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as error:  # too many open files, or the caller was gone before we looked
                _log.warning("a webhook could not be taken: %s", error)
                time.sleep(0.05)
                continue
            try:
                self._waiting.put_nowait((connection, str(address[0])))
            except queue.Full:
                connection.close()
                continue
            if not self._idle.acquire(blocking=False) and len(self._workers) < WORKERS:
                self._workers.append(
                    threading.Thread(
                        target=self._work, name=f"edgekit-webhook-{len(self._workers)}", daemon=True
                    )
                )
                self._workers[-1].start()

    def _work(self) -> None:
        """Serve one connection after the other, with a connection to the file of this thread's own.

        A fault of ours ends the server, loudly: see `run`.
        """
        try:
            db.connection().execute("PRAGMA synchronous = FULL")  # what we say we have survives a power cut
            while (taken := self._waiting.get()) is not None:
                connection, address = taken
                with closing(connection):
                    self._serve(connection, address)
                self._idle.release()
        finally:
            if sys.exc_info()[1] is not None:
                self._failed = True
                self._stopping.set()
            db.current().leave()

    def _serve(self, connection: socket.socket, address: str) -> None:
        """Read one request and answer it. Whoever is late is cut off."""
        watch = threading.Timer(self._seconds, _cut, [connection])
        watch.daemon = True
        watch.start()
        try:
            connection.settimeout(_IDLE_SECONDS)
            _Conversation(self, connection, address).hold()
        except OSError:
            return  # it broke off, or was late: it was told nothing, and will tell us again
        finally:
            watch.cancel()

    def answer(self, asked: _Asked, name: str) -> tuple[int, dict[str, Any]]:
        """Keep what was told and return what is answered."""
        try:
            kept = webhooks.receive_webhook(
                name, method=asked.method, path=asked.path, query=asked.query, headers=asked.headers,
                body=asked.body,
            )  # fmt: skip
        except NotFoundError:
            raise _Refused(404, "There is no such webhook.") from None
        except UnavailableError as error:
            _log.warning("%s: a webhook cannot be checked: %s", name, error.message)
            raise _Refused(503, "Try again later.") from None
        except DeniedError as error:
            raise _Refused(401, error.message) from None
        except InvalidError as error:
            raise _Refused(400, error.message) from None
        except EdgekitError as error:
            _log.warning("%s: a webhook cannot be kept: %s", name, error.message)
            raise _Refused(503, "Try again later.") from None
        if kept.challenge is not None:
            return 200, {"challenge": kept.challenge}
        return 200, {"id": kept.id, "repeated": not kept.is_new}

    def refused(self, refusal: _Refused, asked: tuple[str, str], address: str, began: float) -> None:
        """Log what was refused, within its share."""
        method, name = asked
        try:
            hook = webhooks.find_hook(name)
            took = round((time.monotonic() - began) * 1000)
            url = f"{PREFIX}{hook.name}"
            said = f"{refusal.said} (from {address})"
            self._refusals.note(
                hook, Attempt(f"WEBHOOK {method}"[:50], url, clock.now(), took, refusal.status, said)
            )
        except NotFoundError:
            if self._unknown.has_room():
                _log.warning("a webhook nobody here waits for: %.100r, from %s", name, address)
        except EdgekitError as error:
            _log.warning("%s: a refused webhook could not be logged: %s", name, error.message)


class _Conversation:
    """One connection: a request and its answer."""

    def __init__(self, server: WebhookServer, connection: socket.socket, address: str) -> None:
        import h11

        self._h11 = h11
        self._server = server
        self._socket = connection
        self._address = address
        self._state = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEADER_BYTES)
        self._asked = ("", "")

    def hold(self) -> None:
        """Read, keep, answer."""
        began = time.monotonic()
        try:
            status, said = self._answered()
        except _Refused as refusal:
            status, said = refusal.status, {"error": refusal.said}
            self._server.refused(refusal, self._asked, self._address, began)
        except self._h11.RemoteProtocolError as error:
            status, said = error.error_status_hint, {"error": "This is no HTTP we can read."}
        except sqlite3.Error as error:
            _log.warning("a webhook cannot be kept: %s", error)
            status, said = 503, {"error": "Try again later."}
        with suppress(self._h11.LocalProtocolError):  # what came broke off the protocol: nothing can be said
            self._say(status, said)

    def _answered(self) -> tuple[int, dict[str, Any]]:
        event = self._next()
        if not isinstance(event, self._h11.Request):
            raise OSError("it left")
        path, _, query = event.target.decode("ascii", "replace").partition("?")
        name = unquote(path.removeprefix(PREFIX))
        self._asked = (event.method.decode("ascii", "replace"), name)
        if not path.startswith(PREFIX) or not name:
            raise _Refused(404, "There is no such webhook.")
        try:
            hook = webhooks.find_hook(name)
        except NotFoundError:
            raise _Refused(404, "There is no such webhook.") from None
        if event.method != b"POST":
            raise _Refused(405, "Webhooks are told by POST.")
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in event.headers}
        if int(headers.get("content-length", "0")[:15]) > hook.max_body:
            raise _Refused(413, f"A body has {hook.max_body} bytes at most.")
        body = self._body(hook.max_body)
        return self._server.answer(_Asked("POST", path, query, headers, body), name)

    def _body(self, limit: int) -> bytes:
        if self._state.they_are_waiting_for_100_continue:
            go_on = self._h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self._socket.sendall(self._state.send(go_on) or b"")
        parts: list[bytes] = []
        size = 0
        while isinstance(event := self._next(), self._h11.Data):
            size += len(event.data)
            if size > limit:
                raise _Refused(413, f"A body has {limit} bytes at most.")
            parts.append(bytes(event.data))
        if not isinstance(event, self._h11.EndOfMessage):
            raise OSError("it broke off")
        return b"".join(parts)

    def _next(self) -> Any:
        while (event := self._state.next_event()) is self._h11.NEED_DATA:
            self._state.receive_data(self._socket.recv(64 * 1024))
        return event

    def _say(self, status: int, document: dict[str, Any]) -> None:
        body = codec.dumps(document).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("Server", f"edgekit/{__version__}"),
        ]
        if status == 405:
            headers.append(("Allow", "POST"))
        if status == 503:
            headers.append(("Retry-After", "30"))
        response = self._h11.Response(
            status_code=status, headers=headers, reason=_REASONS.get(status, b"Refused")
        )
        for event in (response, self._h11.Data(data=body), self._h11.EndOfMessage()):
            self._socket.sendall(self._state.send(event) or b"")
        self._linger()

    def _linger(self) -> None:
        """Read what is still on its way, so that our answer is not lost with the connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(1.0)
            left = _LINGER_BYTES
            while left > 0 and (data := self._socket.recv(64 * 1024)):
                left -= len(data)


class _Share:
    """Ten a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began, self._count = 0.0, 0

    def has_room(self) -> bool:
        with self._lock:
            if time.monotonic() - self._began >= 60:
                self._began, self._count = time.monotonic(), 0
            self._count += 1
            return self._count <= 10


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
