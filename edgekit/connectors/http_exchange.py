"""One request and its answer, whatever happens: deadlines, limits, retries, and a record of every try."""

from __future__ import annotations

import logging
import random
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urljoin

from edgekit import __version__, clock, tracing
from edgekit.connectors import http_answers
from edgekit.connectors.base import Attempt, Gate, open_gate
from edgekit.connectors.http_answers import Answer
from edgekit.connectors.http_deadline import Deadline
from edgekit.connectors.http_faults import fault
from edgekit.connectors.http_requests import Request, origin
from edgekit.connectors.http_signature import Message
from edgekit.errors import (
    CircuitOpenError,
    EdgekitError,
    InvalidError,
    RateLimitedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgekit.connectors.http_auth import Credentials

MAX_REDIRECTS = 5
MAX_WAIT = 30.0
"""Seconds between two tries at most, where the source does not ask for more."""

_REFUSAL_BYTES = 64 * 1024


_Found = TypeVar("_Found")

Reply = tuple[int, "Mapping[str, str]", bytes]
"""Status, headers and body."""


class _Retry(Exception):  # noqa: N818 - it carries the error
    """A try failed in a way that another one may mend; `unsent`: the other side knows nothing of it."""

    def __init__(self, error: EdgekitError, *, unsent: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.unsent = unsent


class Exchange:
    """Keeps one connection open, as a context manager; `drain` returns the tries since the last call."""

    def __init__(
        self,
        config: Mapping[str, Any],
        credentials: Credentials,
        sleep: Callable[[float], None],
        gate: Gate = open_gate,
    ) -> None:
        self._seconds = float(config.get("timeout_seconds", 30))
        self._tries = 1 + int(config.get("retries", 3))
        self._delay = int(config.get("retry_delay_ms", 1000)) / 1000
        self._multiplier = float(config.get("retry_multiplier", 2))
        self._longest = float(config.get("max_retry_after_seconds", 60))
        self._max_body = int(config.get("max_body_bytes", 64 * 1024 * 1024))
        self._mask = credentials.mask
        self._credentials = credentials
        self._sleep = sleep
        self._gate = gate
        self._attempts: list[Attempt] = []
        self._deadline = Deadline(self._seconds)

    def __enter__(self) -> Self:
        import httpx2
        import stamina.instrumentation

        stamina.instrumentation.set_on_retry_hooks(())  # tries are told by `drain`, not by log lines
        for name in ("httpx2", "httpcore2"):  # they write URLs and headers into the log, secrets and all
            logging.getLogger(name).setLevel(logging.WARNING)
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
        agent = {"User-Agent": f"edgekit/{__version__}"}
        self._client = httpx2.Client(
            timeout=self._seconds, limits=limits, headers=agent, follow_redirects=False
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline.close()
        self._client.close()

    def drain(self) -> list[Attempt]:
        """Return the tries made since the last call."""
        made, self._attempts = self._attempts, []
        return made

    def send(self, request: Request) -> Answer:
        """Return the decoded answer, trying again where it may help. Raise EdgekitError with `.attempts`."""
        return self._until_done(lambda retry: self._follow(request, retry))

    def deliver(self, request: Request, *, repeatable: bool) -> Reply:
        """Send what changes something there and return the answer, a refusal of it included.

        It is tried again only where that does not do it twice: `repeatable`, or it never arrived. Raise
        UnavailableError, RateLimitedError with `.attempts`.
        """
        return self._until_done(lambda retry: self._deliver(request, retry, repeatable))

    def _until_done(self, one_try: Callable[[int], _Found]) -> _Found:
        """Return what a try gives, told how many there were before it; another where that may help."""
        import stamina

        number, next_wait = 0, 0.0
        last: _Retry | None = None

        def again(error: Exception) -> bool | float:
            """Wait here, by the clock we were given; stamina computes how long and counts."""
            nonlocal last
            last = error if isinstance(error, _Retry) else last
            if not isinstance(error, _Retry) or number >= self._tries:
                return False
            asked = error.error.retry_after if isinstance(error.error, RateLimitedError) else None
            if asked is None:
                asked = min(MAX_WAIT, next_wait + random.uniform(0, self._delay / 2))  # noqa: S311 - no secret
            else:
                asked = min(asked, self._longest)
            self._sleep(asked)
            return 0.0

        try:
            for attempt in stamina.retry_context(
                on=again,
                attempts=self._tries,
                timeout=None,
                wait_initial=self._delay,
                wait_max=MAX_WAIT,
                wait_jitter=0,
                wait_exp_base=self._multiplier,
            ):
                number, next_wait = attempt.num, attempt.next_wait
                with attempt:
                    return one_try(number - 1)
        except _Retry as failure:
            error = failure.error
            if number > 1:
                error.message = f"{error.message.removesuffix('.')} (tried {number} times)."
                error.args = (error.message,)
            raise self._told(error) from None
        except EdgekitError as error:
            if last is not None and not error.was_sent:
                error.hint = f"The last try before: {last.error.message}"
                vars(error)["was_tried"] = True
            raise self._told(error) from None
        raise AssertionError("stamina either returns or raises")

    def knock(self, request: Request) -> None:
        """Send a request once; any answer will do but one that says that we are refused or it fails.

        Raise DeniedError, RateLimitedError or UnavailableError with `.attempts`.
        """
        try:
            status, headers, body = self._proven(request, 0)
        except _Retry as failure:
            raise self._told(failure.error) from None
        except EdgekitError as error:
            raise self._told(error) from None
        if status in {401, 403, 408, 425, 429} or (status >= 500 and status != 501):  # 501: it knows no HEAD
            refused = http_answers.refusal(status, headers, body, url=request.shown, mask=self._mask)
            raise self._told(refused)

    def _told(self, error: EdgekitError) -> EdgekitError:
        vars(error)["attempts"] = self.drain()
        return error

    def _follow(self, request: Request, retry: int) -> Answer:
        """Send a request, and a GET on to where the same origin redirects it."""
        for _ in range(MAX_REDIRECTS + 1):
            status, headers, body = self._proven(request, retry)
            if 200 <= status < 300:
                document = self._decode(status, headers, body, request)
                return Answer(document, request.shown, request.link, http_answers.next_link(headers))
            target = urljoin(request.url, headers.get("location", ""))
            if not self._followed(status, headers, request, target):
                error = http_answers.refusal(status, headers, body, url=request.shown, mask=self._mask)
                raise _Retry(error) if status in http_answers.RETRIED else error
            request = replace(request, url=target, shown=self._mask(target))
        raise InvalidError(f"{request.shown} redirects again and again.")

    def _deliver(self, request: Request, retry: int, repeatable: bool) -> Reply:
        try:
            status, headers, body = self._proven(request, retry)
        except _Retry as failure:
            if repeatable or failure.unsent:
                raise
            raise _perhaps(failure.error) from None
        # Who knows idempotency keys answers 409 while the first try is still being worked on.
        is_met = status == 409 and repeatable and 0 < retry < self._tries - 1
        if status < 500 and status not in http_answers.RETRIED and not is_met:
            return status, headers, body
        error = http_answers.refusal(status, headers, body, url=request.shown, mask=self._mask)
        if status in http_answers.RETRIED | {409} and (repeatable or status == 429):
            raise _Retry(error)
        raise error if repeatable or status == 429 else _perhaps(error)

    def _proven(self, request: Request, retry: int) -> Reply:
        """Make one try with a token that holds, where one is needed; a refused one is fetched anew, once."""
        tokens = self._credentials.tokens if request.is_home else None
        if tokens is None:
            return self._once(request, retry)

        def post(wanted: Request) -> Reply:
            reply = self._once(wanted, retry)
            if reply[0] in http_answers.RETRIED:
                raise _Retry(http_answers.refusal(*reply, url=wanted.shown, mask=self._mask), unsent=True)
            return reply

        for is_last in (False, True):
            bearer = tokens.bearer(post)
            headers = {**request.headers, "Authorization": bearer}
            reply = self._once(replace(request, headers=headers), retry)
            if reply[0] != 401 or is_last:
                break
            tokens.drop(bearer)
        return reply

    def _decode(self, status: int, headers: Mapping[str, str], body: bytes, request: Request) -> Any:
        try:
            return http_answers.decode(body, headers, status=status, url=request.shown)
        except InvalidError as error:
            self._attempts[-1] = replace(self._attempts[-1], error=error.message)
            raise

    @staticmethod
    def _followed(status: int, headers: Mapping[str, str], request: Request, target: str) -> bool:
        if status not in {301, 302, 303, 307, 308} or "location" not in headers or request.method != "GET":
            return False
        try:
            return origin(target) == origin(request.url)
        except ValueError:
            return False

    def _once(self, request: Request, retry: int) -> Reply:
        """Make one try, if the gate lets it pass, and note it. Raise EdgekitError or _Retry."""
        with ExitStack() as stack:
            try:
                passage = stack.enter_context(self._gate(self._longest, _place(request)))
            except (RateLimitedError, CircuitOpenError) as error:
                self._attempts.append(
                    Attempt(request.method, request.shown, clock.now(), 0, None, error.message, retry)
                )
                raise
            try:
                reply = self._made(request, retry)
            except (_Retry, UnavailableError):
                passage.failed = True
                raise
            passage.status = reply[0]
            return reply

    def _made(self, request: Request, retry: int) -> Reply:
        import httpx2

        started, begin = clock.now(), time.monotonic()
        span, traced = _traced(request)
        status: int | None = None
        reference: str | None = None
        error: EdgekitError | None = None
        try:
            with self._deadline as deadline:
                try:
                    with self._client.stream(
                        request.method,
                        request.url,
                        headers={**request.headers, **traced, **self._signed(request)},
                        content=request.content,
                        extensions={"trace": deadline.trace},
                    ) as response:
                        status, reference = response.status_code, response.headers.get("x-request-id")
                        return status, response.headers, self._body(response, request.shown)
                except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError) as failure:
                    is_late = deadline.expired or isinstance(failure, httpx2.TimeoutException)
                    late = self._seconds if is_late else None
                    error, may_mend = fault(failure, url=request.shown, late=late)
                    unsent = isinstance(failure, httpx2.ConnectError | httpx2.ConnectTimeout)
                    raise (_Retry(error, unsent=unsent) if may_mend else error) from None
        except EdgekitError as failed:
            error = failed
            raise
        finally:
            said = error.message if error else f"status {status}" if status is None or status >= 300 else None
            self._attempts.append(
                Attempt(
                    request.method, request.shown, started, round((time.monotonic() - begin) * 1000),
                    status, said, retry, self._mask(reference)[:100] if reference else None, span,
                )
            )  # fmt: skip

    def _signed(self, request: Request) -> dict[str, str]:
        """Return the headers that sign a request, each try of it anew, over what is really sent."""
        import httpx2

        signature = self._credentials.signature
        if signature is None or not request.is_home:
            return {}
        path, _, query = httpx2.URL(request.url).raw_path.decode("ascii").partition("?")
        message = Message(request.method, path, query, request.content or b"")
        return signature.sign(message, nonce=request.headers.get(signature.nonce_header or ""))

    def _body(self, response: Any, url: str) -> bytes:
        """Read the decompressed body up to the limit; of a refusal only its beginning."""
        good = response.status_code < 300
        limit = self._max_body if good else _REFUSAL_BYTES
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                if not good:
                    break
                raise InvalidError(
                    f"{url} gave an answer of more than {self._max_body:,} bytes.",
                    hint="Ask for smaller pages, or raise max_body_bytes.",
                )
        return b"".join(chunks)


def _place(request: Request) -> str | None:
    """Return where a request goes; None where its address is none, which the client will say."""
    try:
        return origin(request.url)
    except ValueError:
        return None


def _traced(request: Request) -> tuple[str | None, dict[str, str]]:
    """Return the span of one try and the header that tells of it, where what is done has a correlation id."""
    correlation_id = tracing.current()
    if correlation_id is None or "traceparent" in {name.lower() for name in request.headers}:
        return None, {}
    span = tracing.new_span_id()
    return span, {"traceparent": tracing.write_parent(correlation_id, span)}


def _perhaps(error: EdgekitError) -> EdgekitError:
    """Say of a failure that what was sent may have arrived: nobody can tell, and it is not sent again."""
    error.message = f"{error.message.removesuffix('.')}; what was sent may have been taken."
    error.args = (error.message,)
    return error
