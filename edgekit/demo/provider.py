"""A loopback stand-in for both providers of the demo: quick, deterministic, and as unreliable as real ones.

    POST /api/vehicles/DecodeVINValuesBatch   vPIC's batches: form fields DATA="VIN,year;VIN" and format=json
    GET  /dcs/v1/household-drivers            ?policies=A,B&page=1&page_size=50 with the header X-Api-Key

The faults are counted over all requests of one served life: the third gets a 429, the fifth a 503, the
seventh is slow. Broken records are where `households` puts them, the same at every asking, so that a run that
was interrupted meets again what it met before.
"""

from __future__ import annotations

import gzip
import hmac
import json
import secrets
import socket
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from edgekit.demo import households, vin

if TYPE_CHECKING:
    from collections.abc import Iterator

VEHICLES = "/api/vehicles/DecodeVINValuesBatch"
DRIVERS = "/dcs/v1/household-drivers"

RATE_LIMITED_REQUEST = 3
UNAVAILABLE_REQUEST = 5
SLOW_REQUEST = 7
SLOW_SECONDS = 0.4
RETRY_AFTER_SECONDS = 1

MOST_VINS = 50
MOST_PER_PAGE = 200
_MOST_BYTES = 1_000_000
_WORTH_GZIP = 500

_MESSAGE = (
    "Results returned successfully. NOTE: Any missing decoded values should be interpreted as NHTSA does not"
    " have data on the specific variable. Missing value should NOT be interpreted as an indication that a"
    " feature or technology is unavailable for a vehicle."
)


@dataclass(slots=True)
class Provider:
    """A served stand-in: where it is, its key, and what it was asked."""

    base_url: str
    api_key: str = field(repr=False)
    requests: Counter[str] = field(default_factory=Counter)
    """Requests by path, faults and refusals included."""
    answers: Counter[int] = field(default_factory=Counter)
    """Answers by status."""
    errors: list[BaseException] = field(default_factory=list)
    """Faults of the stand-in itself; none, unless it is wrong."""


@contextmanager
def serve(*, faults: bool = True) -> Iterator[Provider]:
    """Serve both providers on a free port of 127.0.0.1 until the block ends, then close every connection.

    `faults=False` leaves out the 429, the 503 and the slow answer, not the broken records.
    """
    households.answers()  # before the first request, not during it
    server = _Server(faults=faults)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.provider
    finally:
        server.close_all()
        thread.join(timeout=2)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *, faults: bool) -> None:
        self.faults = faults
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.open: dict[threading.Thread, socket.socket] = {}
        self.arrived = 0
        super().__init__(("127.0.0.1", 0), _Handler)
        self.provider = Provider(f"http://127.0.0.1:{self.server_address[1]}", secrets.token_urlsafe(24))

    def server_bind(self) -> None:
        """Bind without asking the name server who we are, which takes seconds on some machines."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what went wrong instead of printing it. A client that hangs up is nothing wrong."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.provider.errors.append(error)

    def close_all(self) -> None:
        """Stop listening, hang up on every client and wait for the threads that served them."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self.lock:
            still = list(self.open.items())
        for thread, connection in still:
            with suppress(OSError):  # it may have gone already
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=2)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "provider", ""
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one piece

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.open[threading.current_thread()] = self.connection

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            with self.server.lock:
                self.server.open.pop(threading.current_thread(), None)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class spells it
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer("GET", b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or ""
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            self.close_connection = True  # what follows cannot be told from a next request
            self._send(*_refusal(413 if length.isdecimal() else 411, "Send the form with a Content-Length."))
            return
        self._answer("POST", self.rfile.read(int(length)))

    def _answer(self, method: str, sent: bytes) -> None:
        url = urlsplit(self.path)
        self._send(*(self._fault(url.path) or self._route(method, url.path, url.query, sent)))

    def _fault(self, path: str) -> _Answer | None:
        """Count a request, and give the fault that is its turn."""
        with self.server.lock:
            self.server.arrived += 1
            turn = self.server.arrived
            self.server.provider.requests[path] += 1
        if not self.server.faults:
            return None
        if turn == RATE_LIMITED_REQUEST:
            return _refusal(429, "Too many requests.", **{"Retry-After": str(RETRY_AFTER_SECONDS)})
        if turn == UNAVAILABLE_REQUEST:
            return _refusal(503, "Down for maintenance.")
        if turn == SLOW_REQUEST:
            self.server.closing.wait(SLOW_SECONDS)
        return None

    def _route(self, method: str, path: str, query: str, sent: bytes) -> _Answer:
        if path == VEHICLES:
            return vehicles(query, sent) if method == "POST" else _refusal(405, "Use POST.", Allow="POST")
        if path != DRIVERS:
            return _refusal(404, "There is nothing here.")
        if method != "GET":
            return _refusal(405, "Use GET.", Allow="GET")
        key = self.headers.get("X-Api-Key") or ""
        if not hmac.compare_digest(key.encode(), self.server.provider.api_key.encode()):
            return _refusal(401, "The header X-Api-Key is missing or wrong.")
        return drivers(query)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        with self.server.lock:
            self.server.provider.answers[status] += 1
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        if len(body) >= _WORTH_GZIP and "gzip" in (self.headers.get("Accept-Encoding") or ""):
            body = _zipped(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Vary", "Accept-Encoding")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


_Answer = tuple[int, bytes, dict[str, str]]
"""Status, JSON, headers beyond the usual ones."""


@lru_cache(maxsize=64)
def _zipped(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1, mtime=0)


def _refusal(status: int, message: str, **headers: str) -> _Answer:
    return status, json.dumps({"error": {"status": status, "message": message}}).encode(), headers


@lru_cache(maxsize=8192)
def _vehicle(number: str, year: str) -> bytes:
    return json.dumps(vin.decode(number, year)).encode()


def vehicles(query: str, sent: bytes) -> _Answer:
    """Answer a batch of VINs in their order; 400 without DATA or format=json, or for more than fifty."""
    form = {**parse_qs(query), **parse_qs(sent.decode("utf-8", "replace"))}
    if form.get("format", [""])[-1].lower() != "json":
        return _refusal(400, "Only format=json is spoken here.")
    entries = [part.split(",") for part in form.get("DATA", [""])[-1].split(";") if part.strip(" ,")]
    if not entries or len(entries) > MOST_VINS:
        return _refusal(400, f"DATA holds 1 to {MOST_VINS} VINs, not {len(entries)}.")
    found = [_vehicle(entry[0], entry[1] if len(entry) > 1 else "") for entry in entries]
    head = json.dumps({"Count": len(found), "Message": _MESSAGE, "SearchCriteria": ""})
    return 200, head[:-1].encode() + b', "Results": [' + b",".join(found) + b"]}", {}


def drivers(query: str) -> _Answer:
    """Answer one page of the drivers of the policies asked for. Policies nobody knows have none."""
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    policies = [text.strip() for text in asked.get("policies", "").split(",") if text.strip()]
    page, size = asked.get("page", "1"), asked.get("page_size", "50")
    if not policies:
        return _refusal(400, "policies is missing: policy numbers with commas between them.")
    if not (_whole(page) and _whole(size) and int(page) >= 1 and 1 <= int(size) <= MOST_PER_PAGE):
        return _refusal(400, f"page counts from 1, and page_size is 1 to {MOST_PER_PAGE}.")
    known = households.answers()
    found = [driver for policy in dict.fromkeys(policies) for driver in known.get(policy, ())]
    start = (int(page) - 1) * int(size)
    head = f'{{"page":{int(page)},"page_size":{int(size)},"total":{len(found)},"drivers":['
    return 200, head.encode() + b",".join(found[start : start + int(size)]) + b"]}", {}


def _whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
