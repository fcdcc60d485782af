"""Who we say we are, to the source and to nobody else; and the masking of what must not be read."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from edgekit import codec, masking
from edgekit.connectors.http_oauth import Tokens
from edgekit.connectors.http_signature import Signature
from edgekit.errors import InvalidError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping


class Credentials:
    """The headers and query parameters that prove who asks. Its repr tells none of them.

    `tokens` gives what is fetched first, `signature` signs each try; None where the kind has none.
    """

    def __init__(
        self,
        auth: Mapping[str, Any],
        secrets: Mapping[str, str],
        held: dict[tuple[str, int], Tokens] | None = None,
    ) -> None:
        """Open the secrets the settings name. Raise InvalidError for one that is missing or unfit.

        `held` has the tokens of the run so far, to be used again.
        """
        self.headers: dict[str, str] = {}
        self.params: dict[str, str] = {}
        self._secrets = secrets
        self._masked: set[str] = set()
        self.tokens: Tokens | None = None
        self.signature: Signature | None = None
        kind = auth.get("kind", "none")
        if kind == "header":
            self._header(auth.get("name", "X-Api-Key"), self._open(auth, "secret", "api_key"))
        elif kind == "bearer":
            self._header("Authorization", "Bearer " + self._open(auth, "secret", "token"))
        elif kind == "query":
            self.params[auth.get("name", "api_key")] = self._open(auth, "secret", "api_key")
        elif kind == "basic":
            user = self._open(auth, "username_secret", "username")
            pair = f"{user}:{self._open(auth, 'password_secret', 'password')}"
            coded = base64.b64encode(pair.encode()).decode()
            self._masked.add(coded)
            self._header("Authorization", f"Basic {coded}")
        elif kind == "oauth2":
            self.tokens = Tokens(auth, secrets, self._open, self._hide, self.mask)
            if held is not None:
                self.tokens = held.setdefault((codec.canonical(dict(auth)), id(secrets)), self.tokens)
        elif kind == "hmac":
            self.signature = Signature(auth, self._open(auth, "secret", "signing_key"))

    def mask(self, text: str) -> str:
        """Return the text with every secret in it, however it is written, replaced by `***`."""
        return masking.secrets(masking.hide(text, self._masked))

    def are_in(self, text: str) -> bool:
        """Tell whether a text holds a secret of ours."""
        return any(secret in text for secret in self._masked if len(secret) >= masking.SHORTEST)

    def bare(self, url: str) -> str:
        """Return a URL without the query parameters that carry secrets: so it may be kept."""
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        kept = [
            (name, value) for name, value in query if name not in self.params and value not in self._masked
        ]
        return url if kept == query else urlunsplit(parts._replace(query=urlencode(kept)))

    def _open(self, auth: Mapping[str, Any], setting: str, default: str) -> str:
        key = str(auth.get(setting, default))
        try:
            secret = self._secrets[key]
        except KeyError:
            raise InvalidError(
                f"The source needs the secret {key}, which is not stored.",
                hint=f"Store it: edgekit vault set INTEGRATION {quoted(key)}",
            ) from None
        if not secret:
            raise InvalidError(
                f"The secret {key} is empty.", hint=f"Store it: edgekit vault set INTEGRATION {quoted(key)}"
            )
        if setting != "client_id_secret" or len(secret) >= masking.SHORTEST:  # a short name is in every text
            self._hide(secret)
        return secret

    def _hide(self, secret: str) -> None:
        self._masked |= masking.variants(secret)
        masking.note(secret)

    def _header(self, name: str, value: str) -> None:
        """Take a header. The library would show one it cannot send in its message, so look here."""
        if not value.isascii() or not value.isprintable():
            raise InvalidError(
                f"The secret for the header {name} has a character that no header can carry.",
                hint="Store it again, without line ends or letters beyond ASCII.",
            )
        self.headers[name] = value
