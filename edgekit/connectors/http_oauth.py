"""Access tokens of OAuth 2: fetched when first needed, kept in memory, renewed ahead of their end.

Two form posts do not need a library: those there are bring clients and sessions of their own, past our
limits, deadlines and log of tries.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from edgekit import codec
from edgekit.connectors import http_answers
from edgekit.connectors.http_requests import Request, origin
from edgekit.errors import DeniedError, InvalidError, quoted

_log = logging.getLogger(__name__)

AHEAD = 60.0
"""Seconds before its end, or a tenth of its life if that is less, from which on a token is not used."""

Post = Callable[[Request], tuple[int, Mapping[str, str], bytes]]
Opener = Callable[[Mapping[str, Any], str, str], str]


class Tokens:
    """The access token of one run. Its repr tells none of it."""

    def __init__(
        self,
        auth: Mapping[str, Any],
        secrets: Mapping[str, str],
        open_secret: Opener,
        hide: Callable[[str], None],
        mask: Callable[[str], str],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raise InvalidError for a token_url that would send the secrets in clear."""
        self._auth = auth
        self._secrets = secrets
        self._open = open_secret
        self._hide = hide
        self._mask = mask
        self._now = now
        self._url = _checked(str(auth.get("token_url", "")))
        self._grant = str(auth.get("grant", "client_credentials"))
        self._token: str | None = None
        self._ends = float("inf")
        self._refresh: str | None = None
        self._lock = threading.Lock()

    def bearer(self, post: Post) -> str:
        """Return the value of the Authorization header, with a token that still holds."""
        with self._lock:  # a refresh token serves once: two who need a new one must not both ask
            if self._token is None or self._now() >= self._ends:
                self._fetch(post)
            return f"Bearer {self._token}"

    def drop(self, refused: str) -> None:
        """Use a token no more that was refused, unless somebody has fetched another one since."""
        with self._lock:
            if refused == f"Bearer {self._token}":
                self._token = None

    def _fetch(self, post: Post) -> None:
        """Ask for a token. Its life counts from before we asked, by a clock nobody sets."""
        asked = self._now()
        document = self._ask(post)
        token, kind = document.get("access_token"), document.get("token_type", "bearer")
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise InvalidError(f"{self._shown} gave no access_token.", hint="Is token_url right?")
        self._hide(token)
        if str(kind).lower() != "bearer":
            raise InvalidError(
                f"{self._shown} gave a token of type {self._mask(str(kind))[:40]}, not bearer."
            )
        self._keep_refresh(document.get("refresh_token"))
        self._token, self._ends = token, asked + _life(document.get("expires_in"))

    def _keep_refresh(self, new: Any) -> None:
        """Hand a new refresh token back before anything else is done: the old one is used up already."""
        if self._grant != "refresh_token" or not isinstance(new, str) or not new or new == self._refresh:
            return
        self._hide(new)
        self._refresh = new
        key = self._refresh_key
        keep = getattr(self._secrets, "keep", None)
        if keep is None:
            _log.warning("the new %s cannot be kept: it is used until the end of this run", key)
        else:
            keep(key, new)

    @property
    def _refresh_key(self) -> str:
        return str(self._auth.get("refresh_token_secret", "refresh_token"))

    @property
    def _shown(self) -> str:
        return self._mask(self._url)

    def _ask(self, post: Post) -> dict[str, Any]:
        """Post the grant, with what is stored meanwhile where somebody else has used up the refresh token."""
        is_shared = hasattr(self._secrets, "keep")  # the other way of this run may have renewed it
        if self._grant == "refresh_token" and (is_shared or self._refresh is None):
            self._refresh = self._open(self._auth, "refresh_token_secret", "refresh_token")
        status, headers, body = post(self._request())
        if status in {400, 401} and self._reopened():
            status, headers, body = post(self._request())
        if 200 <= status < 300:
            document = http_answers.decode(body, headers, status=status, url=self._shown)
            if isinstance(document, dict):
                return document
            raise InvalidError(f"{self._shown} gave {http_answers.kind_of(document)} in place of a token.")
        if status in {400, 401, 403}:
            raise self._refused(status, body)
        raise http_answers.refusal(status, headers, body, url=self._shown, mask=self._mask)

    def _reopened(self) -> bool:
        """Tell whether another process has stored another refresh token since ours was read."""
        reopen = getattr(self._secrets, "reopen", None)
        if self._grant != "refresh_token" or reopen is None:
            return False
        try:
            found: str = reopen(self._refresh_key)
        except KeyError:  # taken out of use meanwhile
            return False
        self._hide(found)
        is_other, self._refresh = found != self._refresh, found
        return is_other

    def _refused(self, status: int, body: bytes) -> DeniedError:
        try:
            document = codec.loads(body)
        except InvalidError:
            document = None
        said = ""
        if isinstance(document, dict):
            words = [document.get("error"), document.get("error_description")]
            said = ": " + " - ".join(str(word) for word in words if isinstance(word, str))
            said = http_answers.excerpt(said.encode(), self._mask)
        key = "refresh_token" if self._grant == "refresh_token" else "client_secret"
        return DeniedError(
            f"{self._shown} gives us no token ({status}){said or '.'}",
            hint=f"Check scope and the secrets; store a new one: edgekit vault set INTEGRATION {quoted(key)}",
        )

    def _request(self) -> Request:
        auth = self._auth
        form = {"grant_type": self._grant}
        form |= {name: str(auth[name]) for name in ("scope", "audience", "resource") if name in auth}
        if self._grant == "refresh_token":
            form["refresh_token"] = str(self._refresh)
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        identity = self._open(auth, "client_id_secret", "client_id")
        if self._is_public():
            form["client_id"] = identity
        else:
            secret = self._open(auth, "client_secret_secret", "client_secret")
            if auth.get("client_auth", "basic") == "body":
                form |= {"client_id": identity, "client_secret": secret}
            else:
                coded = base64.b64encode(f"{quote_plus(identity)}:{quote_plus(secret)}".encode()).decode()
                self._hide(coded)
                headers["Authorization"] = f"Basic {coded}"
        return Request("POST", self._url, self._shown, self._shown, headers, urlencode(form).encode())

    def _is_public(self) -> bool:
        """Whether the client has no secret of its own, as an installed program has none."""
        if self._grant != "refresh_token" or "client_secret_secret" in self._auth:
            return False
        return "client_secret" not in self._secrets


def _life(said: Any) -> float:
    """Return for how long a token is used; without a word until it is refused."""
    try:
        seconds = float(said)
    except (TypeError, ValueError):
        return float("inf")
    return max(0.0, seconds - min(AHEAD, seconds / 10))


def _checked(url: str) -> str:
    try:
        origin(url)
        parts = urlsplit(url)
    except ValueError:
        raise InvalidError(
            "token_url is no web address.", hint="It is written like https://login.example.com/oauth/token"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise InvalidError("token_url holds a user name or password.", hint="Store them as secrets.")
    if parts.scheme != "https" and not _is_loopback(str(parts.hostname)):
        raise InvalidError(
            "token_url is not https: the secrets would be sent in clear.", hint="Use its https address."
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
