"""A scripted HTTP server on loopback: real sockets, every answer said by the test."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl


@dataclass
class Call:
    """What arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    peer: tuple[str, int]

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())


@dataclass
class Reply:
    """What is answered. `body` is sent as it is when bytes, as JSON otherwise."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip: float | None = None
    """Seconds between the bytes of the body."""
    cut: bool = False
    """Break the connection off after half of the body."""
    hold: bool = False
    """Answer nothing until the provider stops."""


Script = Callable[[Call], Reply | Any]


class Provider:
    """Runs one script for every request and remembers the calls."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.calls: list[Call] = []
        self.stopping = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                query = parse_qs(parts.query, keep_blank_values=True)
                call = Call(self.command, parts.path, query, self.headers, body, self.client_address)
                provider.calls.append(call)
                reply = provider.script(call)
                self.answer(reply if isinstance(reply, Reply) else Reply(reply))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815 - names of the standard library

            def answer(self, reply: Reply) -> None:
                if reply.hold:
                    provider.stopping.wait(20)
                    return
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):
                    if self.command != "HEAD":
                        self.write(body, reply)

            def write(self, body: bytes, reply: Reply) -> None:
                if reply.cut:
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                elif reply.drip is not None:
                    for byte in body:
                        self.wfile.write(bytes([byte]))
                        if provider.stopping.wait(reply.drip):
                            return
                else:
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serve(script: Script, context: ssl.SSLContext | None = None) -> Iterator[Provider]:
    """Run a provider until the block ends."""
    provider = Provider(script, context)
    thread = threading.Thread(
        target=provider.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield provider
    finally:
        provider.stopping.set()
        provider.server.shutdown()
        provider.server.server_close()
        thread.join(5)


def in_turn(*replies: Any) -> Script:
    """Answer the first, the second … and then the last one for ever."""
    left = list(replies)
    return lambda _call: left.pop(0) if len(left) > 1 else left[0]
