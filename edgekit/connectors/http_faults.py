"""Why no answer came, in one line, and whether trying again may help."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edgekit.errors import EdgekitError, InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator


def fault(failure: Exception, *, url: str, late: float | None) -> tuple[EdgekitError, bool]:
    """Return the error a failure of the HTTP client is, and whether another try may mend it.

    `url` is masked; `late` has the seconds that were given if they are over. The client's own text is never
    passed on: it may show a header.
    """
    import httpx2

    if late is not None:
        error = UnavailableError(f"{url} did not answer within {late:g} seconds.")
        error.is_late = True
        return error, True
    place = urlsplit(url).netloc
    if isinstance(failure, httpx2.ConnectError):
        return _no_connection(failure, place)
    if isinstance(failure, httpx2.DecodingError):
        return InvalidError(f"{url} gave an answer whose compression is damaged."), False
    ours = isinstance(failure, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol)
    if isinstance(failure, httpx2.TransportError) and not ours:
        return UnavailableError(f"The connection to {place} broke off before the answer was complete."), True
    return InvalidError(f"{url} cannot be asked: the address or a header is malformed."), False


def _no_connection(failure: Exception, place: str) -> tuple[EdgekitError, bool]:
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UnavailableError(
                f"The certificate of {place} cannot be trusted: {cause.verify_message}.",
                hint="Check the name and the clock; a private authority goes into the system's certificates.",
            ), False
        if isinstance(cause, ssl.SSLError):
            hint = "Is it https, and the port right?"
            return UnavailableError(f"{place} does not speak TLS as we do.", hint=hint), False
        if isinstance(cause, socket.gaierror):
            hint = "Check base_url and the network."
            return UnavailableError(f"The host {place} cannot be found.", hint=hint), True
    return UnavailableError(
        f"{place} takes no connection.", hint="Check base_url; is the service running?"
    ), True


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 10:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1
